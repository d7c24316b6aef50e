package quorum

import (
	"encoding/binary"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/invariant"
)

// Refusal says why an input was refused, if it was.
type Refusal uint8

// The refusals. None of them changed anything, but RefusedPending of ProposeChange,
// which costs an empty entry.
const (
	Accepted        Refusal = iota
	RefusedNotReady         // not the leader, or not Active yet
	RefusedBusy             // too much is pending, or leadership or the membership is changing
	RefusedPending          // another change of the membership is not done yet
	RefusedInvalid          // no voter would remain, or a node is named twice
)

// Deadline is when Advance wants to be called, or Never.
func (e *Engine) Deadline() clock.Instant {
	if e.role == Leader {
		if e.alone() {
			return clock.Never
		}
		at := e.timer.tickAt
		for _, s := range e.snapshots {
			at = min(at, s.deadline)
		}
		return at
	}
	if e.promotable() {
		return min(e.timer.campaignAt, e.timer.forgetAt)
	}
	return e.timer.forgetAt
}

// alone says that nobody waits for a leader's heartbeats, nor can depose it.
func (e *Engine) alone() bool {
	m := &e.window.membership
	return m.soleVoter(nodeID(e.id)) && len(m.Learners) == 0 && len(e.snapshots) == 0
}

// promotable says whether the member may ask for votes.
func (e *Engine) promotable() bool { return e.window.membership.IsVoter(nodeID(e.id)) }

// Advance does what is due by now. However late it is called, a leader ticks once: a
// node that was paused gets to hear of its peers before it judges them.
func (e *Engine) Advance(now clock.Instant, fx *Effects) {
	switch e.role {
	case Leader:
		e.expireSnapshots(now, fx)
		if now >= e.timer.tickAt {
			e.timer.tickAt = now.Add(e.timer.heartbeat)
			e.node.Tick()
		}
	default:
		if now >= e.timer.forgetAt {
			e.timer.forgetAt = clock.Never
			err := e.node.ForgetLeader()
			invariant.True(err == nil, "a leader can be forgotten")
		}
		if now >= e.timer.campaignAt && e.promotable() {
			e.timer.draw(now)
			// A vote is asked for on the strength of what is stored, so a member that waits
			// for its disk has nothing to say yet.
			if len(e.writes) == 0 {
				err := e.node.Campaign()
				invariant.True(err == nil, "a member can campaign")
			}
		}
	}
	e.drain(now, fx)
	e.settle(now, fx)
}

// expireSnapshots gives up on snapshots that nothing was heard of.
func (e *Engine) expireSnapshots(now clock.Instant, fx *Effects) {
	for len(e.snapshots) > 0 {
		i := slices.IndexFunc(e.snapshots, func(s sentSnapshot) bool { return now >= s.deadline })
		if i < 0 {
			return
		}
		to := e.snapshots[i].to
		e.snapshots = slices.Delete(e.snapshots, i, i+1)
		e.node.ReportSnapshot(to, raft.SnapshotFailure)
		fx.Reports = append(fx.Reports, Report{Kind: SnapshotLost, Node: nodeID(to)})
	}
}

// Receive takes a message of a peer, as in Send. Messages may be lost, delayed,
// repeated and reordered, also across restarts of either side. The error is the
// sender's: nothing changed. Where the message came with a state, either a Write
// takes it or it is to be dropped.
func (e *Engine) Receive(now clock.Instant, data []byte, fx *Effects) error {
	m, err := decode(data, e.id)
	if err != nil {
		return err
	}
	// An answer of somebody who is no member any more is the only error there is.
	_ = e.node.Step(m)
	e.drain(now, fx)
	e.settle(now, fx)
	if m.GetTerm() != e.hard.Term || e.role == Leader {
		return nil
	}
	if isFromLeader(m) {
		e.timer.heard(now)
	} else if m.GetType() == raftpb.MsgVote && nodeID(m.GetFrom()) == e.hard.Vote {
		e.timer.restart(now)
	}
	return nil
}

// Stored says that the oldest write that is not stored yet is durable, with all
// before it.
func (e *Engine) Stored(now clock.Instant, token Token, fx *Effects) {
	invariant.True(len(e.writes) > 0 && e.writes[0].token == token, "writes are stored in order")
	w := e.writes[0]
	e.writes = slices.Delete(e.writes, 0, 1)
	e.keep(&w, fx)
	e.drain(now, fx)
	e.settle(now, fx)
}

// Propose appends an entry with data, which must not be empty, to the log. Where the
// entry of the returned position is later in Commits, it is the proposed one; where
// another term's is in its place, it never will be.
func (e *Engine) Propose(now clock.Instant, data []byte, fx *Effects) (Position, Refusal) {
	invariant.True(len(data) > 0, "a proposal has data")
	if e.role != Leader {
		return Position{}, RefusedNotReady
	}
	// Until a change of the membership is durably known to be committed nothing is added
	// to the log, or:
	// 1. the voters are A and B; B leads, removes itself, and appends more, which A lacks,
	// 2. B applies its removal and stops; A does not know yet that it is committed,
	// 3. A needs the vote of B, whose log is the longer one, and B must not stand.
	known := min(e.storedCommit, e.window.applied.Index)
	if e.window.bytes >= e.windowBytesMax || e.membershipIndex > known {
		return Position{}, RefusedBusy
	}
	return e.propose(now, fx, func() error { return e.node.Propose(data) })
}

// ProposeChange proposes to change the membership; several changes at once go through
// a time where majorities of both memberships decide. The change counts when it is
// applied, as MembershipChanged reports.
func (e *Engine) ProposeChange(
	now clock.Instant, changes []Change, fx *Effects,
) (Position, Refusal) {
	if !e.Active() {
		return Position{}, RefusedNotReady
	}
	if len(e.window.membership.VotersOutgoing) > 0 {
		return Position{}, RefusedPending
	}
	if !e.window.membership.allows(changes) {
		return Position{}, RefusedInvalid
	}
	change := toConfChange(changes)
	return e.propose(now, fx, func() error { return e.node.ProposeConfChange(change) })
}

func (e *Engine) propose(
	now clock.Instant, fx *Effects, step func() error,
) (Position, Refusal) {
	at := Position{Index: e.last.Index + 1, Term: e.hard.Term}
	if step() != nil {
		return Position{}, RefusedBusy
	}
	e.proposed, e.refused = at.Index, false
	e.drain(now, fx)
	e.settle(now, fx)
	invariant.True(e.proposed == 0, "an accepted proposal is ordered to be written at once")
	if e.refused {
		return Position{}, RefusedPending
	}
	return at, Accepted
}

// ReadIndex asks how far the state must be applied for a read to be linearizable. A
// Read with id answers once a majority confirmed that this member still leads; it
// never comes if the member loses the leadership before.
func (e *Engine) ReadIndex(now clock.Instant, id uint64, fx *Effects) Refusal {
	// Raft answers a sole voter from its commit index, which lags after a restart until
	// an entry of the term is committed.
	if !e.Active() {
		return RefusedNotReady
	}
	e.node.ReadIndex(binary.BigEndian.AppendUint64(nil, id))
	e.drain(now, fx)
	e.settle(now, fx)
	return Accepted
}

// TransferLeadership asks a voter to take over. Until it has, or for at most an
// election timeout, proposals are refused.
func (e *Engine) TransferLeadership(now clock.Instant, to NodeID, fx *Effects) Refusal {
	if e.role != Leader {
		return RefusedNotReady
	}
	if !e.window.membership.IsVoter(to) {
		return RefusedInvalid
	}
	e.node.TransferLeader(raftID(to))
	e.drain(now, fx)
	e.settle(now, fx)
	return Accepted
}

// Compact says that a durable snapshot of the state covers everything up to index:
// the entries up to there leave the memory. A member that needs them will be sent a
// snapshot.
func (e *Engine) Compact(index uint64) {
	invariant.True(index <= e.window.applied.Index, "only what is applied is compacted")
	if index <= e.window.base.Index {
		return
	}
	e.window.compact(index)
}

// SnapshotSent says whether the state of a Send with a snapshot arrived and its
// message was received.
func (e *Engine) SnapshotSent(now clock.Instant, to NodeID, arrived bool, fx *Effects) {
	id := raftID(to)
	i := slices.IndexFunc(e.snapshots, func(s sentSnapshot) bool { return s.to == id })
	if i < 0 {
		return
	}
	e.snapshots = slices.Delete(e.snapshots, i, i+1)
	status := raft.SnapshotFailure
	if arrived {
		status = raft.SnapshotFinish
	}
	e.node.ReportSnapshot(id, status)
	e.drain(now, fx)
	e.settle(now, fx)
}

// Unreachable says that messages to a peer were probably lost: entries are sent to it
// one message at a time until it answers.
func (e *Engine) Unreachable(now clock.Instant, peer NodeID, fx *Effects) {
	e.node.ReportUnreachable(raftID(peer))
	e.drain(now, fx)
	e.settle(now, fx)
}
