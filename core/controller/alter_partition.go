package controller

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/mutant"
)

// AlterPartition (56), versions 2 and 3: KIP-497, topic ids and ineligible replicas
// (KIP-841), the epochs of the brokers in sync (KIP-903).

// partitionKey names a partition.
type partitionKey struct {
	topic metadata.ID
	index int32
}

// AlterPartition decides which replicas of partitions are in sync, as their leader
// asks. Each partition is changed or not whatever becomes of the others.
func (c *Controller) AlterPartition(
	req *kmsg.AlterPartitionRequest,
) Result[*kmsg.AlterPartitionResponse] {
	resp := req.ResponseKind().(*kmsg.AlterPartitionResponse)
	out := Result[*kmsg.AlterPartitionResponse]{Response: resp}
	b := c.image.Broker(req.BrokerID)
	if b == nil || b.Epoch != req.BrokerEpoch {
		resp.ErrorCode = int16(errcode.StaleBrokerEpoch)
		return out
	}
	changed := map[partitionKey]bool{}
	for i := range req.Topics {
		q := &req.Topics[i]
		answers := kmsg.NewAlterPartitionResponseTopic()
		answers.TopidID = q.TopicID // as kmsg spells it
		for j := range q.Partitions {
			a := alterPartition{
				c: c, topic: c.image.TopicByID(q.TopicID), q: &q.Partitions[j], sender: b.ID,
				again: changed[partitionKey{q.TopicID, q.Partitions[j].Partition}],
			}
			answer, record := a.decide(req.Version)
			answers.Partitions = append(answers.Partitions, answer)
			if record != nil {
				changed[partitionKey{q.TopicID, answer.Partition}] = true
				out.Records = append(out.Records, record)
			}
		}
		resp.Topics = append(resp.Topics, answers)
	}
	return out
}

// alterPartition is the wish of a leader about one partition.
type alterPartition struct {
	c      *Controller
	topic  *metadata.Topic // nil: there is none
	q      *kmsg.AlterPartitionRequestTopicPartition
	isr    []kmsg.AlterPartitionRequestTopicPartitionNewEpochISR
	sender int32
	again  bool // the request changes the partition already
}

func (a *alterPartition) decide(version int16) (
	kmsg.AlterPartitionResponseTopicPartition, *metadata.PartitionChangeRecord,
) {
	const epochsFrom = 3
	a.isr = a.q.NewEpochISR
	if version < epochsFrom {
		a.isr = nil
		for _, id := range a.q.NewISR {
			a.isr = append(a.isr, kmsg.AlterPartitionRequestTopicPartitionNewEpochISR{
				BrokerID: id, BrokerEpoch: -1,
			})
		}
	}
	out := kmsg.NewAlterPartitionResponseTopicPartition()
	out.Partition = a.q.Partition
	if code := a.check(); code != errcode.None {
		out.ErrorCode = int16(code)
		return out, nil
	}
	ch := a.c.changeOf(a.topic, a.q.Partition, a.c.asIs())
	ch.next.RecoveryState = a.q.LeaderRecoveryState
	ch.next.ISR = make([]int32, len(a.isr))
	for i := range a.isr {
		ch.next.ISR[i] = a.isr[i].BrokerID
	}
	record := ch.build()
	p := &ch.next
	if record != nil {
		p.PartitionEpoch++
		if record.Leader != metadata.NoLeaderChange {
			p.LeaderEpoch++
		}
		if p.Leader != a.sender { // a reassignment is complete, and took the lead away
			out.ErrorCode = int16(errcode.NewLeaderElected)
			return out, record
		}
	}
	out.LeaderID, out.LeaderEpoch, out.PartitionEpoch = p.Leader, p.LeaderEpoch, p.PartitionEpoch
	out.ISR, out.LeaderRecoveryState = p.ISR, p.RecoveryState
	return out, record
}

// check returns the first reason not to do what the leader asks. The order tells a
// leader what to do: wait for another controller, or for news of itself.
func (a *alterPartition) check() errcode.Code {
	if a.topic == nil {
		return errcode.UnknownTopicID
	}
	q, mutants := a.q, a.c.options.Mutants
	if q.Partition < 0 || int(q.Partition) >= len(a.topic.Partitions) {
		return errcode.UnknownTopicOrPartition
	}
	p := &a.topic.Partitions[q.Partition]
	switch {
	case q.LeaderEpoch > p.LeaderEpoch, q.PartitionEpoch > p.PartitionEpoch:
		return errcode.NotController // the sender knows a later one
	case q.LeaderEpoch < p.LeaderEpoch:
		return errcode.FencedLeaderEpoch
	case a.sender != p.Leader:
		return errcode.InvalidRequest
	case q.PartitionEpoch < p.PartitionEpoch && !mutants.On(mutant.I7IgnorePartitionEpoch),
		a.again:
		return errcode.InvalidUpdateVersion
	case !a.validISR(p):
		return errcode.InvalidRequest
	case q.LeaderRecoveryState != recovered && q.LeaderRecoveryState != recovering:
		return errcode.InvalidRequest
	case q.LeaderRecoveryState == recovering && (len(a.isr) > 1 || p.RecoveryState == recovered):
		return errcode.InvalidRequest
	}
	for i := range a.isr {
		if !a.mayJoin(&a.isr[i]) {
			return errcode.IneligibleReplica
		}
	}
	return errcode.None
}

// validISR reports whether the replicas asked for are replicas, distinct, and the
// leader among them.
func (a *alterPartition) validISR(p *metadata.Partition) bool {
	leads := false
	for i := range a.isr {
		id := a.isr[i].BrokerID
		twice := slices.ContainsFunc(a.isr[:i],
			func(m kmsg.AlterPartitionRequestTopicPartitionNewEpochISR) bool { return m.BrokerID == id })
		if twice || !slices.Contains(p.Replicas, id) {
			return false
		}
		leads = leads || id == p.Leader
	}
	return leads
}

// mayJoin reports whether a broker may be in sync: it is active, and in the life in
// which the leader saw it fetch.
func (a *alterPartition) mayJoin(m *kmsg.AlterPartitionRequestTopicPartitionNewEpochISR) bool {
	b := a.c.image.Broker(m.BrokerID)
	if b == nil || m.BrokerEpoch != -1 && m.BrokerEpoch != b.Epoch {
		return false
	}
	return b.Active() || a.c.options.Mutants.On(mutant.I4InactiveInSync)
}
