package replica

import (
	"slices"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/mutant"
)

// AlterPartition is a proposal to the controller to change the in-sync replicas (key
// 56, KIP-497). The leader recovery state that goes with it is always 0, recovered.
type AlterPartition struct {
	ISR            []ISRMember
	LeaderEpoch    int32
	PartitionEpoch int32
	number         uint32
}

// ISRMember is a proposed in-sync replica in the life that fetched (KIP-903).
type ISRMember struct {
	BrokerEpoch int64 // -1: not known
	BrokerID    int32
}

// AlterPartitionAnswer is what became of an AlterPartition. Without an answer from the
// controller, Err says why there is none, such as RequestTimedOut.
type AlterPartitionAnswer struct {
	ISR            []int32 // never changed
	LeaderEpoch    int32
	PartitionEpoch int32
	Err            errcode.Code
}

// proposal is a change of the ISR whose outcome is not known. One at a time.
type proposal struct {
	request AlterPartition
	active  bool
	joining int32 // who is to join, or -1
}

func (l *Leader) propose(isr []int32, joining int32) {
	invariant.True(!l.proposal.active, "one proposal at a time")
	members := make([]ISRMember, len(isr))
	for i, id := range isr {
		members[i] = ISRMember{BrokerID: id, BrokerEpoch: l.knownEpoch(id)}
	}
	l.proposal = proposal{
		active: true, joining: joining,
		request: AlterPartition{
			LeaderEpoch: l.leaderEpoch, PartitionEpoch: l.partitionEpoch, ISR: members,
			number: l.proposal.request.number + 1,
		},
	}
}

// knownEpoch is the broker epoch in which a replica was last heard of, or -1.
func (l *Leader) knownEpoch(id int32) int64 {
	if r := l.remote(id); r != nil {
		return r.brokerEpoch
	}
	for i := range l.brokers {
		if l.brokers[i].ID == id {
			return l.brokers[i].Epoch
		}
	}
	return unknown
}

// AlterPartition returns what to ask of the controller, and false if that is nothing.
// The same is asked again until it is decided.
func (l *Leader) AlterPartition() (AlterPartition, bool) {
	return l.proposal.request, l.proposal.active
}

// AlterPartitionAnswered takes in what became of a request. An outcome that is not
// known leaves the proposal as it is: it may have been applied. Only an answer which
// says that it was not, and that the partition epoch was right, takes it back. With
// ISRProposed it is to be sent again.
func (l *Leader) AlterPartitionAnswered(
	now clock.Instant, request *AlterPartition, a *AlterPartitionAnswer,
) Change {
	mine := l.proposal.active && request.LeaderEpoch == l.leaderEpoch &&
		request.number == l.proposal.request.number
	if !mine {
		if a.Err == errcode.None && l.set.Mutants.On(mutant.I9LateAnswerCounts) {
			return l.committed(now, a)
		}
		return 0 // metadata decided it before the answer came
	}
	switch a.Err {
	case errcode.None:
		if a.LeaderEpoch != l.leaderEpoch || a.PartitionEpoch < l.partitionEpoch {
			return 0
		}
		return l.committed(now, a)
	case errcode.OperationNotAttempted, errcode.IneligibleReplica:
		l.endProposal()
		return ProposalRejected | l.maybeAdvanceHighWatermark(now)
	case errcode.UnknownTopicOrPartition, errcode.UnknownTopicID, errcode.FencedLeaderEpoch,
		errcode.InvalidUpdateVersion, errcode.InvalidRequest, errcode.NewLeaderElected:
		return 0 // the metadata that is on its way decides it
	default:
		return ISRProposed
	}
}

// committed takes in the ISR as the controller committed it. That may be the moment a
// write is committed that waited for a replica which is out of sync now.
func (l *Leader) committed(now clock.Instant, a *AlterPartitionAnswer) Change {
	changed := Change(0)
	if len(a.ISR) > len(l.isr) {
		changed = ISRExpanded
	} else if len(a.ISR) < len(l.isr) {
		changed = ISRShrunk
	}
	l.endProposal()
	l.isr, l.partitionEpoch = a.ISR, a.PartitionEpoch
	for i := range l.remotes {
		l.remotes[i].inSync = slices.Contains(l.isr, l.remotes[i].id)
	}
	changed |= l.maybeAdvanceHighWatermark(now)
	l.check()
	return changed
}

func (l *Leader) endProposal() {
	l.proposal.active = false
	for i := range l.remotes {
		l.remotes[i].joining = false
	}
}
