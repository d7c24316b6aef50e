package kafka

import (
	"cmp"
	"fmt"
	"slices"
)

// cursor is where a process is in a key.
type cursor struct {
	last    Record // polled last; its Offset is NoOffset if there is none since start
	lastOp  *Op
	start   int64 // where it was told to begin; NoOffset: not known
	startOp *Op
}

// sessions walks the operations process by process and knows where each of them is.
type sessions struct {
	a  *analysis
	at map[int]map[Key]*cursor
}

// checkSessions judges what each process polled and committed, in its own order. That is
// the order in which its operations ended: a rebalance may come while a poll waits.
func (a *analysis) checkSessions() {
	s := &sessions{a: a, at: make(map[int]map[Key]*cursor)}
	ended := slices.Clone(a.ops)
	slices.SortStableFunc(ended, func(a, b *Op) int { return cmp.Compare(a.Done, b.Done) })
	for _, op := range ended {
		if s.at[op.Process] == nil {
			s.at[op.Process] = make(map[Key]*cursor)
		}
		cursors := s.at[op.Process]
		switch op.F {
		case Crash:
			clear(cursors)
		case Assign, Subscribe:
			s.assigned(cursors, op)
		case Resume:
			s.resumed(cursors, op)
		case Poll, Txn:
			s.polled(cursors, op)
		case Commit:
			s.committed(cursors, op)
		case Send, Committed, Ends, Final, Nemesis:
		}
	}
}

// assigned keeps the places of keys that are listed still, and takes over those that
// the assignment names.
func (s *sessions) assigned(cursors map[Key]*cursor, op *Op) {
	if op.Type == Fail {
		return
	}
	// in any order: each key is judged by itself
	for k := range cursors {
		if !slices.Contains(op.Keys, k) {
			delete(cursors, k)
		}
	}
	s.begin(cursors, op)
}

// resumed moves a member of a group to the offsets that it was told, or to where nobody
// knows.
func (s *sessions) resumed(cursors map[Key]*cursor, op *Op) {
	for _, k := range op.Keys {
		delete(cursors, k)
	}
	s.begin(cursors, op)
}

func (s *sessions) begin(cursors map[Key]*cursor, op *Op) {
	for _, p := range op.Offsets {
		delete(cursors, p.Key)
		if op.Type == OK && p.Offset != NoOffset {
			cursors[p.Key] = &cursor{
				last: Record{Offset: NoOffset}, start: p.Offset, startOp: op,
			}
		}
	}
}

// polled judges one operation's polls. Only those of an OK operation move the process.
func (s *sessions) polled(cursors map[Key]*cursor, op *Op) {
	for _, k := range op.Moved {
		delete(cursors, k)
	}
	inside := map[Key]Record{}
	for i := range op.Mops {
		for _, p := range op.Mops[i].Polled {
			for _, r := range p.Records {
				last, again := inside[p.Key]
				switch {
				case again && !slices.Contains(op.Moved, p.Key):
					s.inside(p.Key, op, last, r)
				case !again && op.Type == OK && cursors[p.Key] != nil:
					s.outside(p.Key, op, cursors[p.Key], r)
				}
				inside[p.Key] = r
			}
		}
	}
	if op.Type != OK {
		return
	}
	// in any order: each key is moved by itself
	for k, r := range inside {
		cursors[k] = &cursor{last: r, lastOp: op, start: NoOffset}
	}
}

// inside judges two records of a key that one operation polled one after the other.
func (s *sessions) inside(key Key, op *Op, last, r Record) {
	if r.Offset <= last.Offset {
		s.a.report(IntNonmonotonicPoll, Witness{
			Key: key, Ops: []*Op{op}, Records: []Record{last, r},
			Text: fmt.Sprintf("inside one operation, offset %d of %s was polled after %d", r.Offset,
				key, last.Offset),
		})
		return
	}
	if skipped, found := s.a.logs[key].between(last.Offset, r.Offset, nil); found {
		s.a.report(IntPollSkip, s.skip(key, []*Op{op}, skipped, last, r,
			"inside one operation, offset %d of %s was polled after %d, and not %s"))
	}
}

// outside judges the first record that an operation polled of a key.
func (s *sessions) outside(key Key, op *Op, c *cursor, r Record) {
	l := s.a.logs[key]
	switch {
	case c.lastOp == nil && r.Offset < c.start:
		s.a.report(ResumeRepeat, Witness{
			Key: key, Ops: []*Op{c.startOp, op}, Records: []Record{r},
			Text: fmt.Sprintf("%s was to go on at offset %d, and began at %d", key, c.start, r.Offset),
		})
	case c.lastOp == nil:
		if skipped, found := l.between(c.start-1, r.Offset, nil); found {
			w := s.skip(key, []*Op{c.startOp, op}, skipped, Record{Offset: c.start}, r,
				"offset %d of %s was polled first after the start at %d, and not %s")
			w.Records = w.Records[1:] // there is none at the start
			s.a.report(ResumeSkip, w)
		}
	case r.Offset <= c.last.Offset:
		s.a.report(NonmonotonicPoll, Witness{
			Key: key, Ops: []*Op{c.lastOp, op}, Records: []Record{c.last, r},
			Text: fmt.Sprintf("offset %d of %s was polled after %d by the same process", r.Offset, key,
				c.last.Offset),
		})
	default:
		if skipped, found := l.between(c.last.Offset, r.Offset, nil); found {
			s.a.report(PollSkip, s.skip(key, []*Op{c.lastOp, op}, skipped, c.last, r,
				"offset %d of %s was polled after %d by the same process, and not %s"))
		}
	}
}

// skip returns the proof that a record was jumped over.
func (s *sessions) skip(key Key, ops []*Op, skipped, last, r Record, format string) Witness {
	return Witness{
		Key: key, Ops: append(ops, s.a.logs[key].versions[skipped.Value].proof()),
		Records: []Record{last, skipped, r},
		Text:    fmt.Sprintf(format, r.Offset, key, last.Offset, skipped),
	}
}

// committed judges whether a process had polled what it commits.
func (s *sessions) committed(cursors map[Key]*cursor, op *Op) {
	if op.Type == Fail {
		return
	}
	for _, p := range op.Offsets {
		c := cursors[p.Key]
		if c == nil || op.Reset {
			if op.Reset {
				delete(cursors, p.Key)
			}
			continue
		}
		polled, proof := c.last.Offset+1, c.lastOp
		if c.lastOp == nil {
			polled, proof = c.start, c.startOp
		}
		w := Witness{Key: p.Key, Ops: []*Op{proof, op}}
		if c.lastOp != nil {
			w.Records = []Record{c.last}
		}
		if p.Offset <= polled {
			continue
		}
		w.Text = fmt.Sprintf("offset %d of %s was committed, and it was polled below %d only",
			p.Offset, p.Key, polled)
		skipped, found := Record{}, false
		if l := s.a.logs[p.Key]; l != nil {
			skipped, found = l.between(polled-1, p.Offset, nil)
		}
		switch {
		case found:
			w.Text += fmt.Sprintf(", without %s", skipped)
			w.Records = append(w.Records, skipped)
			w.Ops = append(w.Ops, s.a.logs[p.Key].versions[skipped.Value].proof())
		case s.a.config.Transactional:
			continue // markers stand between the records
		}
		s.a.report(CommitBeyondPoll, w)
	}
}
