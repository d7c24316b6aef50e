package core

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/quorum"
	"github.com/heiban/heiban/core/wire"
)

// AddRaftVoter (key 80, version 0) and RemoveRaftVoter (key 81, version 0) change who
// votes in the metadata quorum (KIP-853). A voter that is added learns first: while its
// log is behind, its vote would only be missing. One that is removed goes on learning, as
// an observer: its broker needs the metadata. One change is made at a time.
//
// Where voters are is said by controller.quorum.voters on every node, which may name more
// nodes than vote. A new node with controller.quorum.bootstrap.servers begins no quorum,
// and waits to be added.

// voterChange is a change of the voters on its way.
type voterChange struct {
	who      asked
	resp     wire.Response
	deadline clock.Instant
	after    uint64 // the index that is to be applied before the next step
	voter    quorum.NodeID
	removes  bool
}

// addVoter makes a node a voter.
func (b *Broker) addVoter(req *kmsg.AddRaftVoterRequest, who asked) {
	resp := req.ResponseKind().(*kmsg.AddRaftVoterResponse)
	change := voterChange{voter: quorum.NodeID(req.VoterID), resp: resp, who: who}
	code, text := b.checkVoterChange(req.ClusterID, &change)
	if code != errcode.None {
		resp.ErrorCode, resp.ErrorMessage = int16(code), &text
		who.answered(b, resp, nil)
		return
	}
	b.changeVoters(change, clock.Millis(int64(max(0, req.TimeoutMillis))))
}

// removeVoter makes a voter a voter no more.
func (b *Broker) removeVoter(req *kmsg.RemoveRaftVoterRequest, who asked) {
	resp := req.ResponseKind().(*kmsg.RemoveRaftVoterResponse)
	change := voterChange{voter: quorum.NodeID(req.VoterID), resp: resp, who: who, removes: true}
	code, text := b.checkVoterChange(req.ClusterID, &change)
	if code != errcode.None {
		resp.ErrorCode, resp.ErrorMessage = int16(code), &text
		who.answered(b, resp, nil)
		return
	}
	b.changeVoters(change, b.base.RequestTimeout)
}

// checkVoterChange says why the voters cannot be changed so, if they cannot.
func (b *Broker) checkVoterChange(clusterID *string, c *voterChange) (errcode.Code, string) {
	membership := b.metalog.engine.Membership()
	votes := membership.IsVoter(c.voter)
	named := slices.Contains(b.namedVoters(), c.voter)
	switch {
	case clusterID != nil && *clusterID != b.dirs[0].found.ClusterID:
		return errcode.InconsistentClusterID, "the node belongs to another cluster"
	case b.metalog.change != nil:
		return errcode.RequestTimedOut, "another change of the voters is not done"
	case !c.removes && votes:
		return errcode.DuplicateVoter, "the node is a voter"
	case !c.removes && !named:
		return errcode.InvalidRequest, "controller.quorum.voters does not say where the node is"
	case c.removes && !votes:
		return errcode.VoterNotFound, "the node is no voter"
	case c.removes && len(membership.Voters) == 1:
		return errcode.InvalidRequest, "a quorum has at least one voter"
	}
	return errcode.None, ""
}

// namedVoters are the nodes that may vote: those whose address is configured.
func (b *Broker) namedVoters() []quorum.NodeID {
	var named []quorum.NodeID
	for _, v := range b.base.QuorumVoters {
		named = append(named, quorum.NodeID(v.ID))
	}
	return named
}

func (b *Broker) changeVoters(c voterChange, timeout clock.Duration) {
	c.deadline = b.now.Mono.Add(timeout)
	b.metalog.change = &c
	b.deadlines.push(deadline{at: c.deadline, kind: quorumDeadline})
	b.quorumMoved()
}

// changeMaybe takes the next step of a change of the voters. What is refused for now is
// tried again when the quorum has moved on.
func (b *Broker) changeMaybe() {
	m := &b.metalog
	c := m.change
	if c == nil {
		return
	}
	membership := m.engine.Membership()
	var next quorum.Change
	switch {
	case c.done(membership):
		b.endChange(errcode.None)
		return
	case b.now.Mono >= c.deadline:
		b.endChange(errcode.RequestTimedOut)
		return
	case m.applied.Index < c.after:
		return
	case c.removes:
		next = quorum.Change{Node: c.voter, Kind: quorum.AddLearner}
	case !membership.IsMember(c.voter):
		next = quorum.Change{Node: c.voter, Kind: quorum.AddLearner}
	case b.hasCaughtUp(c.voter):
		next = quorum.Change{Node: c.voter, Kind: quorum.AddVoter}
	default:
		return
	}
	// Even a refusal may have cost an entry, so it is not tried again at once.
	m.engine.ProposeChange(b.now.Mono, []quorum.Change{next}, &m.fx)
	c.after = max(m.engine.Last().Index, m.applied.Index+1)
	b.quorumMoved()
}

// done reports whether the membership is as the change wants it.
func (c *voterChange) done(m quorum.Membership) bool { return m.IsVoter(c.voter) != c.removes }

// hasCaughtUp reports whether a learner stores all that is committed.
func (b *Broker) hasCaughtUp(learner quorum.NodeID) bool {
	e := b.metalog.engine
	return slices.ContainsFunc(e.AppendProgress(nil), func(p quorum.Progress) bool {
		return p.Node == learner && p.Match >= e.CommitIndex()
	})
}

// endChange answers who asked for a change of the voters.
func (b *Broker) endChange(code errcode.Code) {
	c := b.metalog.change
	b.metalog.change = nil
	switch r := c.resp.(type) {
	case *kmsg.AddRaftVoterResponse:
		r.ErrorCode = int16(code)
	case *kmsg.RemoveRaftVoterResponse:
		r.ErrorCode = int16(code)
	}
	if code == errcode.NotController {
		c.who.answered(b, nil, errNotController)
		return
	}
	c.who.answered(b, c.resp, nil)
}
