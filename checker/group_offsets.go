package checker

import (
	"slices"

	"github.com/anishathalye/porcupine"
)

// offsetRegister is what a group committed of one partition, and what it was given of it.
type offsetRegister struct {
	id        PartitionID
	commits   []*offsetCommit
	byTag     map[string]*offsetCommit
	reads     []offsetRead
	delivered []span // sorted, apart from one another
}

// offsetCommit is one commit. Its tag tells it from all others.
type offsetCommit struct {
	tag     string
	member  string
	call    int64
	effect  int64 // it had taken effect by then; 0: it is not known to have
	offset  int64
	epoch   int32
	client  int
	outcome Outcome
	stale   bool // its generation was over when it was called
}

type offsetRead struct {
	commit   *offsetCommit // nil: there is no offset
	call     int64
	returned int64
	client   int
}

// OffsetCommit is an offset that somebody wants to commit.
type OffsetCommit struct {
	Group     string
	Member    string
	Tag       string // unlike that of any other commit
	Partition PartitionID
	Offset    int64
	Epoch     int32 // or generation; negative: the group has no members
	Client    int
	Classic   bool
}

// CommitRef names a commit.
type CommitRef struct{ commit *offsetCommit }

func (b *groupBook) register(id PartitionID) *offsetRegister {
	r := b.registers[id]
	if r == nil {
		r = &offsetRegister{id: id, byTag: make(map[string]*offsetCommit)}
		b.registers[id] = r
		b.offsets = append(b.offsets, r)
	}
	return r
}

// Commit says that a commit is sent now.
func (g *Groups) Commit(c *OffsetCommit) CommitRef {
	b := g.book(c.Group)
	commit := &offsetCommit{
		tag: c.Tag, member: c.Member, call: g.judge.tick(), offset: c.Offset, epoch: c.Epoch,
		client: c.Client, stale: c.Epoch >= 0 && g.stale(b, c.Member, c.Epoch, c.Classic),
	}
	r := b.register(c.Partition)
	r.commits, r.byTag[c.Tag] = append(r.commits, commit), commit
	return CommitRef{commit}
}

// Committed ends a commit now. A commit that never ends may yet take effect.
func (g *Groups) Committed(group string, ref CommitRef, outcome Outcome) {
	c := ref.commit
	c.outcome = outcome
	now := g.judge.tick()
	if outcome != Done {
		return
	}
	if c.effect == 0 {
		c.effect = now
	}
	if c.stale {
		g.judge.Report(CommittedOffsets, "stale-accepted", "group %s: %s committed %d at epoch %d, "+
			"which was over when it did", group, c.member, c.offset, c.epoch)
	}
}

// OffsetRead is what a coordinator says that a group committed of a partition.
type OffsetRead struct {
	Group     string
	Tag       string
	Partition PartitionID
	Offset    int64 // negative: nothing is committed
	Called    int64 // Judge.Now when the request was sent
	Node      int32
	Client    int
}

// OffsetFetched judges what a member is told to have been committed. It reports whether
// the answer was of the present.
func (g *Groups) OffsetFetched(f *OffsetRead) bool {
	if !g.speaks(f.Group, f.Node, f.Called) {
		return false
	}
	b := g.book(f.Group)
	r := b.register(f.Partition)
	now := g.judge.tick()
	if f.Offset < 0 {
		g.checkNothing(b, r, f)
		r.reads = append(r.reads, offsetRead{call: f.Called, returned: now, client: f.Client})
		return true
	}
	c := r.byTag[f.Tag]
	switch {
	case c == nil:
		g.report(b, r, "phantom", "client %d was told of %d (%q), which nobody committed",
			f.Client, f.Offset, f.Tag)
		return true
	case c.offset != f.Offset:
		g.report(b, r, "changed", "client %d was told of %d, committed was %d",
			f.Client, f.Offset, c.offset)
	case c.outcome == Refused:
		g.report(b, r, "refused-took-effect", "client %d was told of %d, whose commit by %s was "+
			"refused", f.Client, f.Offset, c.member)
	case c.stale:
		g.report(b, r, "stale-took-effect", "client %d was told of %d, which %s committed at "+
			"epoch %d, when that was over", f.Client, f.Offset, c.member, c.epoch)
	}
	if newer := r.newer(c, f.Called); newer != nil {
		g.report(b, r, "stale-read", "client %d was told of %d (%s) after %d (%s) was committed",
			f.Client, f.Offset, c.tag, newer.offset, newer.tag)
	}
	if c.effect == 0 {
		c.effect = now
	}
	r.reads = append(r.reads, offsetRead{commit: c, call: f.Called, returned: now, client: f.Client})
	g.checkDelivered(b, r, f)
	return true
}

// newer returns a commit that began when c had taken effect, and that had taken effect
// before an instant.
func (r *offsetRegister) newer(c *offsetCommit, before int64) *offsetCommit {
	for _, o := range r.commits {
		if o != c && c.effect > 0 && o.call > c.effect && o.effect > 0 && o.effect <= before {
			return o
		}
	}
	return nil
}

// checkNothing judges that nothing is committed: nothing was, or it has expired.
func (g *Groups) checkNothing(b *groupBook, r *offsetRegister, f *OffsetRead) {
	for _, c := range r.commits {
		if c.effect > b.emptiedAt && c.effect <= f.Called {
			g.report(b, r, "lost", "client %d was told of nothing after %d (%s) was committed",
				f.Client, c.offset, c.tag)
			return
		}
	}
}

func (g *Groups) report(b *groupBook, r *offsetRegister, kind, format string, args ...any) {
	name := "a partition"
	if p := g.judge.partitions[r.id]; p != nil {
		name = p.Name
	}
	args = append([]any{b.name, name}, args...)
	g.judge.Report(CommittedOffsets, kind, "group %s, %s: "+format, args...)
}

// Delivered says that the group was given all records of a partition in [from, to).
func (g *Groups) Delivered(group string, id PartitionID, from, to int64) {
	r := g.book(group).register(id)
	at := 0
	for at < len(r.delivered) && r.delivered[at].to < from {
		at++
	}
	end := at
	for end < len(r.delivered) && r.delivered[end].from <= to {
		from, to = min(from, r.delivered[end].from), max(to, r.delivered[end].to)
		end++
	}
	r.delivered = slices.Replace(r.delivered, at, end, span{from, to})
}

// missed returns a record in [0, to) that the group was not given, or -1.
func (r *offsetRegister) missed(p *Partition, to int64) int64 {
	i := 0
	for o := p.highestStart; o < to; o++ {
		for i < len(r.delivered) && r.delivered[i].to <= o {
			i++
		}
		if (i == len(r.delivered) || r.delivered[i].from > o) && p.promised(o) {
			return o
		}
	}
	return noOffset
}

// checkDelivered judges that who goes on at a committed offset skips nothing.
func (g *Groups) checkDelivered(b *groupBook, r *offsetRegister, f *OffsetRead) {
	p := g.judge.partitions[r.id]
	if p == nil || p.deleted || p.rots {
		return
	}
	if o := r.missed(p, f.Offset); o != noOffset {
		g.judge.Report(GroupDelivery, "skipped", "group %s, %s: goes on at %d, but nobody was given %d",
			b.name, p.Name, f.Offset, o)
	}
}

// Check judges the whole history: of each partition the commits and fetches are those of
// one register, and the group was given every record. Complete says that the run had the
// time for that.
func (g *Groups) Check(complete bool) {
	for _, b := range g.ordered {
		for _, r := range b.offsets {
			p := g.judge.partitions[r.id]
			if p == nil || p.deleted || p.rots {
				continue
			}
			if b.emptiedAt == 0 {
				g.judge.linearize(CommittedOffsets, b.name+" "+p.Name, offsetModel(),
					r.history(g.judge.limits.Porcupine))
			}
			if o := r.missed(p, p.committed); complete && o != noOffset {
				g.judge.Report(GroupDelivery, "never-delivered", "group %s, %s: nobody was given %d",
					b.name, p.Name, o)
			}
		}
	}
}

// offsetOp is a commit, or a fetch, of which commit is what it found.
type offsetOp struct {
	commit *offsetCommit
	writes bool
}

// offsetModel returns a register of commits.
func offsetModel() *porcupine.Model {
	return &porcupine.Model{
		Init: func() any { return (*offsetCommit)(nil) },
		Step: func(state, input, _ any) (bool, any) {
			op := input.(offsetOp)
			if op.writes {
				return true, op.commit
			}
			return state.(*offsetCommit) == op.commit, state
		},
	}
}

// history returns the beginning of what happened to a register, at most so many
// operations. A commit without known end that nobody read need never have happened.
func (r *offsetRegister) history(limit int) []porcupine.Operation {
	var ops []porcupine.Operation
	// A fetch is called behind the last tick of the clock, and all else at one.
	read := map[*offsetCommit]bool{}
	for _, f := range r.reads {
		read[f.commit] = true
		ops = append(ops, porcupine.Operation{
			ClientId: f.client, Input: offsetOp{commit: f.commit}, Call: 2*f.call + 1,
			Return: 2 * f.returned,
		})
	}
	for _, c := range r.commits {
		if c.outcome != Done && !read[c] {
			continue
		}
		ops = append(ops, porcupine.Operation{
			ClientId: c.client, Input: offsetOp{commit: c, writes: true}, Call: 2 * c.call,
			Return: 2 * c.effect, // a fetch saw it by then
		})
	}
	slices.SortStableFunc(ops, func(a, b porcupine.Operation) int { return int(a.Return - b.Return) })
	if len(ops) <= limit {
		return ops
	}
	// What returned after the last one kept cannot have been seen before it began.
	cut := ops[limit].Return
	kept := ops[:limit:limit]
	for _, o := range ops[limit:] {
		if o.Input.(offsetOp).writes && o.Call < cut {
			kept = append(kept, o)
		}
	}
	return kept
}
