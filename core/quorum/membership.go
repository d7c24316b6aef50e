package quorum

import (
	"slices"

	"go.etcd.io/raft/v3/raftpb"
)

// Membership is who takes part, each list sorted. While the voters change by more
// than one, VotersOutgoing are those before, and a majority of both lists decides.
type Membership struct {
	Voters         []NodeID
	Learners       []NodeID // follow, and do not vote
	VotersOutgoing []NodeID
	LearnersNext   []NodeID // outgoing voters that will be learners
	AutoLeave      bool     // the leader ends the change by itself
}

// Change is one change of the membership.
type Change struct {
	Node NodeID
	Kind ChangeKind
}

// ChangeKind says what a Change does.
type ChangeKind uint8

// The kinds of changes.
const (
	// AddVoter adds a voter or promotes a learner. A voter whose log is behind counts
	// in every majority at once, so it should be a learner until it has caught up.
	AddVoter ChangeKind = iota
	// AddLearner adds a learner or demotes a voter.
	AddLearner
	Remove
)

// IsVoter says whether a node votes, in either list.
func (m *Membership) IsVoter(node NodeID) bool {
	return slices.Contains(m.Voters, node) || slices.Contains(m.VotersOutgoing, node)
}

// IsMember says whether a node takes part at all.
func (m *Membership) IsMember(node NodeID) bool {
	return m.IsVoter(node) || slices.Contains(m.Learners, node)
}

func (m *Membership) soleVoter(node NodeID) bool {
	return len(m.VotersOutgoing) == 0 && len(m.Voters) == 1 && m.Voters[0] == node
}

// allows says whether voters remain after the changes and every node is named once.
func (m *Membership) allows(changes []Change) bool {
	voters := slices.Clone(m.Voters)
	for i, change := range changes {
		if change.Node < 0 || slices.ContainsFunc(changes[:i], func(c Change) bool {
			return c.Node == change.Node
		}) {
			return false
		}
		voters = slices.DeleteFunc(voters, func(v NodeID) bool { return v == change.Node })
		if change.Kind == AddVoter {
			voters = append(voters, change.Node)
		}
	}
	return len(changes) > 0 && len(voters) > 0
}

func (m *Membership) clone() Membership {
	return Membership{
		Voters: slices.Clone(m.Voters), Learners: slices.Clone(m.Learners),
		VotersOutgoing: slices.Clone(m.VotersOutgoing),
		LearnersNext:   slices.Clone(m.LearnersNext), AutoLeave: m.AutoLeave,
	}
}

func (m *Membership) toRaft() *raftpb.ConfState {
	return &raftpb.ConfState{
		Voters: raftIDs(m.Voters), Learners: raftIDs(m.Learners),
		VotersOutgoing: raftIDs(m.VotersOutgoing), LearnersNext: raftIDs(m.LearnersNext),
		AutoLeave: new(m.AutoLeave),
	}
}

func membershipOf(s *raftpb.ConfState) Membership {
	return Membership{
		Voters: nodeIDs(s.GetVoters()), Learners: nodeIDs(s.GetLearners()),
		VotersOutgoing: nodeIDs(s.GetVotersOutgoing()),
		LearnersNext:   nodeIDs(s.GetLearnersNext()), AutoLeave: s.GetAutoLeave(),
	}
}

func raftIDs(nodes []NodeID) []uint64 {
	ids := make([]uint64, 0, len(nodes))
	for _, node := range nodes {
		ids = append(ids, raftID(node))
	}
	return ids
}

func nodeIDs(ids []uint64) []NodeID {
	nodes := make([]NodeID, 0, len(ids))
	for _, id := range ids {
		nodes = append(nodes, nodeID(id))
	}
	slices.Sort(nodes)
	return nodes
}

func (s Snapshot) toRaft() *raftpb.Snapshot {
	return &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
		Index: new(s.Index), Term: new(s.Term), ConfState: s.Membership.toRaft(),
	}}
}

func snapshotOf(s *raftpb.Snapshot) Snapshot {
	m := s.GetMetadata()
	return Snapshot{
		Position:   Position{m.GetIndex(), m.GetTerm()},
		Membership: membershipOf(m.GetConfState()),
	}
}

func toConfChange(changes []Change) *raftpb.ConfChangeV2 {
	out := &raftpb.ConfChangeV2{}
	for _, change := range changes {
		kind := raftpb.ConfChangeAddNode
		switch change.Kind {
		case AddVoter:
		case AddLearner:
			kind = raftpb.ConfChangeAddLearnerNode
		case Remove:
			kind = raftpb.ConfChangeRemoveNode
		}
		out.Changes = append(out.Changes, &raftpb.ConfChangeSingle{
			Type: kind.Enum(), NodeId: new(raftID(change.Node)),
		})
	}
	return out
}
