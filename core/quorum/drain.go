package quorum

import (
	"encoding/binary"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/mutant"
)

// drain takes from raft what it has to say, until it has no more.
func (e *Engine) drain(now clock.Instant, fx *Effects) {
	for {
		for len(e.due) > 0 {
			m := e.due[0]
			e.due = slices.Delete(e.due, 0, 1)
			// An answer to itself of a member that was just removed is an error to raft.
			_ = e.node.Step(m)
		}
		if !e.node.HasReady() {
			return
		}
		rd := e.node.Ready()
		e.observe(now, &rd, fx)
		// What is to be written comes last, but others wait for it.
		for _, m := range rd.Messages {
			if m.GetTo() == raft.LocalAppendThread {
				e.order(m, fx)
			}
		}
		for _, m := range rd.Messages {
			switch m.GetTo() {
			case raft.LocalAppendThread:
			case raft.LocalApplyThread:
				e.apply(m, fx)
			default:
				e.send(m, fx)
			}
		}
	}
}

// observe takes over raft's state.
func (e *Engine) observe(now clock.Instant, rd *raft.Ready, fx *Effects) {
	before := e.hard
	if !raft.IsEmptyHardState(rd.HardState) {
		e.hard = hardStateOf(rd.HardState)
	}
	invariant.True(e.hard.Term >= before.Term, "the term does not decrease")
	invariant.True(e.hard.Commit >= before.Commit, "the commit index does not decrease")
	for _, read := range rd.ReadStates {
		id := binary.BigEndian.Uint64(read.RequestCtx)
		fx.Reads = append(fx.Reads, Read{ID: id, Index: read.Index})
	}
	role, leader := e.role, e.leader
	if rd.SoftState != nil {
		role, leader = roleOf(rd.RaftState), rd.Lead
	}
	if role != e.role || e.hard.Term != before.Term {
		e.role = role
		e.timer.entered(now, e.hard.Term, role == Leader)
		e.snapshots = e.snapshots[:0]
	} else if leader == e.leader {
		return
	}
	e.leader = leader
	fx.Reports = append(fx.Reports, Report{
		Kind: RoleChanged, Role: role, Node: nodeID(leader),
		Position: Position{e.last.Index, e.hard.Term},
	})
}

func roleOf(s raft.StateType) Role {
	switch s {
	case raft.StateFollower:
		return Follower
	case raft.StatePreCandidate:
		return Prospective
	case raft.StateCandidate:
		return Candidate
	case raft.StateLeader:
		return Leader
	}
	invariant.Fail("raft is in state %d", s)
	return Follower
}

// order makes a Write of what raft wants stored, if anything needs to be.
func (e *Engine) order(m *raftpb.Message, fx *Effects) {
	w := pendingWrite{entries: m.GetEntries(), responses: m.GetResponses()}
	if !raft.IsEmptySnap(m.GetSnapshot()) {
		snapshot := snapshotOf(m.GetSnapshot())
		w.snapshot = &snapshot
	}
	voted := e.hard.Term != e.ordered.Term || e.hard.Vote != e.ordered.Vote
	if w.snapshot == nil && len(w.entries) == 0 && !voted {
		e.afterWrites(w.responses, fx)
		return
	}
	e.token++
	w.token = e.token
	out := Write{Token: w.token, Snapshot: w.snapshot}
	e.follow(&w, &out)
	if voted || e.owesCommit() {
		e.orderHardState(&w, &out)
	}
	if e.mutants.On(mutant.K9MessagesBeforeHardState) {
		w.responses = e.sendVotes(w.responses, fx)
	}
	fx.Writes = append(fx.Writes, out)
	if e.mutants.On(mutant.K8AckBeforeSync) {
		e.keep(&w, fx)
		w = pendingWrite{token: w.token}
	}
	e.writes = append(e.writes, w)
}

// owesCommit says that the commit index must be written with the next entries: the log
// holds a membership entry that the one on disk does not reach.
func (e *Engine) owesCommit() bool {
	return e.hard.Commit > e.ordered.Commit && e.membershipIndex > e.ordered.Commit
}

func (e *Engine) orderHardState(w *pendingWrite, out *Write) {
	out.HardState, out.HasHardState = e.hard, true
	w.commit, e.ordered = e.hard.Commit, e.hard
	if e.mutants.On(mutant.K10MembershipWithoutCommit) {
		out.HardState.Commit = 0
	}
}

// follow notes the log as it will be after the write, and hands out its entries.
func (e *Engine) follow(w *pendingWrite, out *Write) {
	if w.snapshot != nil {
		e.last = w.snapshot.Position
		e.membershipIndex = min(e.membershipIndex, e.last.Index)
		e.ordered.Commit = max(e.ordered.Commit, e.last.Index)
		w.commit = e.last.Index
	}
	if len(w.entries) == 0 {
		return
	}
	invariant.True(w.entries[0].GetIndex() <= e.last.Index+1, "entries are written without a gap")
	e.membershipIndex = min(e.membershipIndex, w.entries[0].GetIndex()-1)
	out.Entries = make([]Entry, 0, len(w.entries))
	for _, raw := range w.entries {
		entry := entryOf(raw)
		if entry.Kind == KindMembership {
			e.membershipIndex = entry.Index
		}
		if entry.Index == e.proposed {
			e.proposed, e.refused = 0, entry.Kind == KindEmpty
		}
		e.last = Position{entry.Index, entry.Term}
		out.Entries = append(out.Entries, entry)
	}
}

// afterWrites has messages wait for every write ordered so far.
func (e *Engine) afterWrites(messages []*raftpb.Message, fx *Effects) {
	if n := len(e.writes); n > 0 {
		e.writes[n-1].responses = append(e.writes[n-1].responses, messages...)
		return
	}
	e.release(messages, fx)
}

// release lets go what waited for a write.
func (e *Engine) release(messages []*raftpb.Message, fx *Effects) {
	for _, m := range messages {
		if m.GetTo() == e.id {
			e.due = append(e.due, m)
		} else {
			e.dispatch(m, fx)
		}
	}
}

// keep takes a stored write into the window and lets go what waited for it.
func (e *Engine) keep(w *pendingWrite, fx *Effects) {
	e.storedCommit = max(e.storedCommit, w.commit)
	if w.snapshot != nil {
		invariant.True(w.snapshot.Index > e.window.applied.Index, "a snapshot goes forward")
		e.window.reset(w.snapshot.Position)
		e.window.applied = w.snapshot.Position
		fx.Commits = append(fx.Commits, Entry{
			Index: w.snapshot.Index, Term: w.snapshot.Term, Kind: KindSnapshot,
		})
		e.changeMembership(w.snapshot.Membership.clone(), fx)
	}
	e.window.append(w.entries)
	e.release(w.responses, fx)
}

// apply hands out committed entries. All of them are stored.
func (e *Engine) apply(m *raftpb.Message, fx *Effects) {
	for _, raw := range m.GetEntries() {
		entry := entryOf(raw)
		invariant.True(entry.Index == e.window.applied.Index+1, "entries are applied in order")
		invariant.True(entry.Index <= e.window.last().Index, "what is applied is stored")
		invariant.True(entry.Term >= e.window.applied.Term, "terms do not decrease in the log")
		e.window.applied = Position{entry.Index, entry.Term}
		fx.Commits = append(fx.Commits, entry)
		if entry.Kind == KindMembership {
			change := &raftpb.ConfChangeV2{}
			err := proto.Unmarshal(entry.Data, change)
			invariant.True(err == nil, "a membership entry can be decoded")
			e.changeMembership(membershipOf(e.node.ApplyConfChange(change)), fx)
		}
	}
	e.due = append(e.due, m.GetResponses()...)
}

func (e *Engine) changeMembership(m Membership, fx *Effects) {
	e.window.membership = m
	fx.Reports = append(fx.Reports, Report{
		Kind: MembershipChanged, Role: e.role, Node: e.Leader(), Position: e.window.applied,
	})
}

// send lets a message go that raft does not hold back.
func (e *Engine) send(m *raftpb.Message, fx *Effects) {
	switch {
	case m.GetType() == raftpb.MsgSnap:
		e.held = append(e.held, m)
	case isCanvass(m) && !e.mutants.On(mutant.K9MessagesBeforeHardState) && len(e.writes) > 0:
		// Raft would let it go at once, but then:
		// 1. the candidate asks for votes on the strength of entries it has not stored,
		// 2. it crashes, and restarts without them and without its new term,
		// 3. it asks again in the same term, and the votes given to the longer log of
		//    before elect the shorter one, which may lack committed entries.
		e.afterWrites([]*raftpb.Message{m}, fx)
	default:
		e.dispatch(m, fx)
	}
}

// sendVotes is the mutant: it lets votes go before they are stored.
func (e *Engine) sendVotes(responses []*raftpb.Message, fx *Effects) []*raftpb.Message {
	rest := make([]*raftpb.Message, 0, len(responses))
	for _, m := range responses {
		if isVote(m) && m.GetTo() != e.id {
			e.dispatch(m, fx)
		} else {
			rest = append(rest, m)
		}
	}
	return rest
}

func (e *Engine) dispatch(m *raftpb.Message, fx *Effects) {
	fx.Sends = append(fx.Sends, Send{To: nodeID(m.GetTo()), Data: encode(m)})
}

// settle ends an input: snapshots go as of the last entry applied in it, so that the
// host's state is the one they name.
func (e *Engine) settle(now clock.Instant, fx *Effects) {
	if e.window.applied.Index >= e.membershipIndex && e.owesCommit() {
		// The membership changed: Propose waits for this, and nothing else brings it about.
		e.token++
		w, out := pendingWrite{token: e.token}, Write{Token: e.token}
		e.orderHardState(&w, &out)
		fx.Writes, e.writes = append(fx.Writes, out), append(e.writes, w)
	}
	for _, m := range e.held {
		if e.role != Leader || m.GetTerm() != e.hard.Term {
			continue
		}
		snapshot := e.Snapshot()
		m.Snapshot = snapshot.toRaft()
		fx.Sends = append(fx.Sends, Send{
			To: nodeID(m.GetTo()), Data: encode(m), Snapshot: &snapshot,
		})
		e.snapshots = slices.DeleteFunc(e.snapshots, func(s sentSnapshot) bool {
			return s.to == m.GetTo()
		})
		e.snapshots = append(e.snapshots, sentSnapshot{
			to: m.GetTo(), deadline: now.Add(e.snapshotTimeout),
		})
	}
	clear(e.held)
	e.held = e.held[:0]
}
