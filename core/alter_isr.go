package core

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/replica"
	"github.com/heiban/heiban/core/wire"
)

// Leaders propose changes of their in-sync replicas to the controller with AlterPartition
// (KIP-497). One request is in flight, with all that was proposed until it was sent.

// isrChanges are the proposals of the partitions that this broker leads.
type isrChanges struct {
	waiting []*partition // have a proposal to be sent; in the order of their proposals
	armed   clock.Instant
	notYet  clock.Instant // nothing is sent before, after a failure
	asking  bool
}

// isrRetryPause is how long a broker waits before it proposes again what came to nothing.
const isrRetryPause = 50 * clock.Millisecond // kafka: AlterPartitionManager

// proposeISR has what p's leader proposes sent at the end of this Step.
func (b *Broker) proposeISR(p *partition) {
	if !p.proposing {
		p.proposing = true
		b.isr.waiting = append(b.isr.waiting, p)
	}
}

// askISR sends the proposals that wait, if none are in flight, and reports whether it did.
func (b *Broker) askISR() bool {
	if b.isr.asking || len(b.isr.waiting) == 0 || b.phase > running {
		return false
	}
	if b.now.Mono < b.isr.notYet {
		if b.isr.notYet < b.isr.armed {
			b.isr.armed = b.isr.notYet
			b.deadlines.push(deadline{at: b.isr.notYet, kind: isrDeadline})
		}
		return false
	}
	const version = 3
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version, req.BrokerID = version, b.options.NodeID
	req.BrokerEpoch = b.life.epoch
	sent := &isrProposals{}
	for i, p := range b.isr.waiting {
		b.isr.waiting[i], p.proposing = nil, false
		if p.leader == nil {
			continue
		}
		if proposal, ok := p.leader.AlterPartition(); ok {
			sent.all = append(sent.all, isrProposal{part: p, proposal: proposal})
			addProposal(req, p, &proposal)
		}
	}
	b.isr.waiting = b.isr.waiting[:0]
	if len(sent.all) == 0 {
		return false
	}
	b.isr.asking = true
	b.askController(req, b.base.RequestTimeout, sent)
	return true
}

// addProposal adds a partition's proposal to a request.
func addProposal(
	req *kmsg.AlterPartitionRequest, p *partition, proposal *replica.AlterPartition,
) {
	one := kmsg.NewAlterPartitionRequestTopicPartition()
	one.Partition, one.LeaderEpoch = p.index, proposal.LeaderEpoch
	one.PartitionEpoch = proposal.PartitionEpoch
	for _, m := range proposal.ISR {
		member := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
		member.BrokerID, member.BrokerEpoch = m.BrokerID, m.BrokerEpoch
		one.NewEpochISR = append(one.NewEpochISR, member)
	}
	n := len(req.Topics)
	if n == 0 || req.Topics[n-1].TopicID != p.topic.id {
		t := kmsg.NewAlterPartitionRequestTopic()
		t.TopicID = p.topic.id
		req.Topics = append(req.Topics, t)
		n++
	}
	req.Topics[n-1].Partitions = append(req.Topics[n-1].Partitions, one)
}

// isrProposals are the proposals of one request.
type isrProposals struct{ all []isrProposal }

type isrProposal struct {
	part     *partition
	proposal replica.AlterPartition
}

// answered tells the leaders what became of their proposals.
func (s *isrProposals) answered(b *Broker, resp wire.Response, err error) {
	b.isr.asking = false
	told := map[partKey]*kmsg.AlterPartitionResponseTopicPartition{}
	failed := errcode.RequestTimedOut
	if r, ok := resp.(*kmsg.AlterPartitionResponse); ok && err == nil {
		failed = errcode.Code(r.ErrorCode)
		for i := range r.Topics {
			t := &r.Topics[i]
			for j := range t.Partitions {
				told[partKey{id: t.TopidID, partition: t.Partitions[j].Partition}] = &t.Partitions[j]
			}
		}
		if failed == errcode.None { // of a partition that the answer does not mention
			failed = errcode.UnknownServerError
		}
	}
	for i := range s.all {
		p := s.all[i].part
		a := replica.AlterPartitionAnswer{Err: failed}
		if one := told[partKey{id: p.topic.id, partition: p.index}]; one != nil {
			a = replica.AlterPartitionAnswer{
				ISR: one.ISR, LeaderEpoch: one.LeaderEpoch, PartitionEpoch: one.PartitionEpoch,
				Err: errcode.Code(one.ErrorCode),
			}
		}
		if p.leader == nil {
			continue
		}
		isr := p.leader.ISR()
		changed := p.leader.AlterPartitionAnswered(b.now.Mono, &s.all[i].proposal, &a)
		if changed.Has(replica.ISRProposed) {
			b.isr.notYet = b.now.Mono.Add(isrRetryPause)
		}
		b.led(p, changed)
		b.reportISR(p, isr)
	}
}
