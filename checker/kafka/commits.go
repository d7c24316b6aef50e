package kafka

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// register is one committed offset: of one group and one key.
type register struct {
	group string
	key   Key
}

func (r register) String() string { return fmt.Sprintf("group %s of %s", r.group, r.key) }

// access is one operation on a register.
type access struct {
	op     *Op
	offset int64
}

// registerHistory is all that happened to a register.
type registerHistory struct {
	commits []access // unless they failed, in the order of invocation
	reads   []access // that were answered, in the order of invocation
}

// checkCommits judges committed offsets: each is a register that any client writes by
// Commit and reads by Committed or Resume.
func (a *analysis) checkCommits() {
	all := map[register]*registerHistory{}
	of := func(group string, key Key) *registerHistory {
		r := register{group, key}
		if all[r] == nil {
			all[r] = &registerHistory{}
		}
		return all[r]
	}
	for _, op := range a.ops {
		for _, p := range op.Offsets {
			switch {
			case op.F == Commit && op.Type != Fail:
				h := of(op.Group, p.Key)
				h.commits = append(h.commits, access{op, p.Offset})
			case (op.F == Committed || op.F == Resume) && op.Type == OK:
				h := of(op.Group, p.Key)
				h.reads = append(h.reads, access{op, p.Offset})
			}
		}
	}
	names := slices.SortedFunc(maps.Keys(all), func(r, s register) int {
		return cmp.Or(cmp.Compare(r.group, s.group), cmp.Compare(r.key, s.key))
	})
	for _, r := range names {
		a.checkCommitted(r, all[r])
		a.checkCommitOrder(r, all[r])
	}
}

func byEnd(a, b access) int { return cmp.Compare(a.op.Done, b.op.Done) }

// acknowledged returns the commits that were, in the order of their ends.
func (h *registerHistory) acknowledged() []access {
	done := slices.Clone(h.commits)
	done = slices.DeleteFunc(done, func(c access) bool { return c.op.Type != OK })
	slices.SortStableFunc(done, byEnd)
	return done
}

// checkCommitted judges what was read of a register: it must be what a commit wrote that
// no later commit had replaced when the read began.
func (a *analysis) checkCommitted(r register, h *registerHistory) {
	byOffset := map[int64][]access{}
	for _, c := range h.commits {
		byOffset[c.offset] = append(byOffset[c.offset], c)
	}
	done, next := h.acknowledged(), 0
	var latest *access // the last one to begin of those that had ended
	for _, read := range h.reads {
		for ; next < len(done) && done[next].op.before(read.op); next++ {
			if latest == nil || done[next].op.ID > latest.op.ID {
				latest = &done[next]
			}
		}
		a.judgeCommitted(r, read, byOffset[read.offset], latest)
	}
}

// judgeCommitted judges one read, given the commits of the offset that it was told and
// the latest one that had ended before, or nil.
func (a *analysis) judgeCommitted(r register, read access, sources []access, latest *access) {
	if read.offset == NoOffset && latest == nil {
		return
	}
	w := Witness{Key: r.key, Ops: []*Op{read.op}}
	begun := 0
	for _, c := range slices.Backward(sources) {
		if c.op.ID > read.op.Done {
			continue
		}
		if latest == nil || !c.op.before(latest.op) {
			return
		}
		if begun++; begun == 1 {
			w.Ops = append(w.Ops, c.op)
		}
	}
	if latest != nil {
		w.Ops = append(w.Ops, latest.op)
	}
	if begun == 0 && read.offset != NoOffset {
		w.Text = fmt.Sprintf("the offset of %s was told as %d, which nobody had committed", r,
			read.offset)
		a.report(WrongCommittedOffset, w)
		return
	}
	w.Text = fmt.Sprintf("the offset of %s was told as %d after %d had been committed", r, read.offset,
		latest.offset)
	if read.op.ID > a.settled {
		w.Text += ", and all else was over"
		a.report(LostCommit, w)
		return
	}
	a.report(StaleCommittedOffset, w)
}

// checkCommitOrder looks for commits below what the group had committed before they
// began: a member that was replaced must be refused. What explains a commit is a reset,
// or a lower commit of unknown outcome, at which the member may have gone on.
func (a *analysis) checkCommitOrder(r register, h *registerHistory) {
	done, next := h.acknowledged(), 0
	var top *access
	for _, c := range h.commits {
		for ; next < len(done) && done[next].op.before(c.op); next++ {
			if top == nil || done[next].offset > top.offset {
				top = &done[next]
			}
		}
		if top == nil || c.op.Type != OK || c.op.Reset || c.offset >= top.offset {
			continue
		}
		if top.op.ID < h.lastReset(c) {
			top = nil // whatever was committed before it counts no more
			continue
		}
		a.report(NonmonotonicCommit, Witness{
			Key: r.key, Ops: []*Op{top.op, c.op},
			Text: fmt.Sprintf("the offset of %s was committed as %d after %d", r, c.offset, top.offset),
		})
	}
}

// lastReset returns when all was over that may have set the register back to where a
// commit began: resets, and commits of unknown outcome that happened late.
func (h *registerHistory) lastReset(c access) int64 {
	last := int64(0)
	for _, other := range h.commits {
		switch {
		case other.op.ID > c.op.Done:
		case other.op.Type == Info && (other.op.Reset || other.offset <= c.offset):
			return never
		case other.op.Reset:
			last = max(last, other.op.Done)
		}
	}
	return last
}
