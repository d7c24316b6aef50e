package sim

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/core/errcode"
)

// A consumer that validates asks every new leader where the epoch ended that it read
// last. If that is before its position, records it has read are lost, and it goes back
// (KIP-320).

type validateCall struct {
	part     *consumedPart
	position int64
	called   int64
	last     int32 // leader epoch before the position
	epoch    int32 // of the leader
	node     int32
}

// position puts a consumer at an offset of its own choice.
func (k *Consumer) position(p *consumedPart, offset int64) {
	p.position, p.last, p.seen = offset, -1, nil
	p.validated = k.catalog.epoch(p.topic, p.id.Index)
	k.config.Judge.Positioned(k.client, p.id, offset)
}

// unvalidated reports whether a position must be validated before it is fetched from.
func (k *Consumer) unvalidated(p *consumedPart) bool {
	return k.validates && k.catalog.epoch(p.topic, p.id.Index) > p.validated
}

// validate asks a new leader about a position.
func (k *Consumer) validate(p *consumedPart) {
	if p.position < 0 || p.asking || k.now.Mono < p.retryAt || !k.unvalidated(p) {
		return
	}
	epoch := k.catalog.epoch(p.topic, p.id.Index)
	if p.last < 0 {
		p.validated = epoch // it has read nothing that might be lost
		return
	}
	leader := k.catalog.leader(p.topic, p.id.Index)
	if leader < 0 {
		k.catalog.stale(k.now.Mono)
		return
	}
	conn := k.ready(leader, laneControl)
	if conn == nil {
		return
	}
	rp := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
	rp.Partition, rp.CurrentLeaderEpoch, rp.LeaderEpoch = p.id.Index, epoch, p.last
	t := kmsg.NewOffsetForLeaderEpochRequestTopic()
	t.Topic, t.Partitions = p.topic, append(t.Partitions, rp)
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.Version, req.ReplicaID, req.Topics = 3+int16(k.client%2), -1, append(req.Topics, t)
	p.asking = true
	k.call(conn, req, &validateCall{
		part: p, position: p.position, last: p.last, epoch: epoch, called: k.config.Judge.Now(), node: leader,
	})
}

func (k *Consumer) answeredValidation(
	call *validateCall, resp *kmsg.OffsetForLeaderEpochResponse,
) {
	p := call.part
	p.asking = false
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		k.config.Judge.Report(checker.ConsumerContiguity, "unanswered",
			"consumer %d validated one position and was told of others", k.client)
		return
	}
	part := &resp.Topics[0].Partitions[0]
	if errcode.Code(part.ErrorCode) != errcode.None {
		k.catalog.stale(k.now.Mono)
		p.retryAt = k.now.Mono.Add(k.catalog.retry)
		return
	}
	switch {
	case p.position < 0:
	case p.position != call.position || p.last != call.last: // it has read on: ask again
	case part.EndOffset < 0: // the leader knows nothing of what was read
		p.position, p.last, p.seen = -1, -1, nil
	case part.EndOffset < p.position || part.LeaderEpoch < p.last:
		k.truncated(p, call.node, part.LeaderEpoch, part.EndOffset, call.called)
		p.validated = call.epoch
	default:
		p.validated = call.epoch
	}
}

// truncated takes a consumer back to where a log parts from what it has read: the leader
// knows nothing of later epochs than the one it answers with.
func (k *Consumer) truncated(
	p *consumedPart, node, epoch int32, endOffset int64, called int64,
) {
	endOffset = min(endOffset, p.position)
	for _, r := range p.seen {
		if r.Epoch > epoch {
			endOffset = min(endOffset, r.Offset)
		}
	}
	k.config.Judge.ToldTruncated(&checker.Truncation{
		Replica: checker.ReplicaID{PartitionID: p.id, Node: node}, Consumer: k.client,
		Position: p.position, Offset: endOffset, Called: called,
	})
	n := len(p.seen)
	for n > 0 && p.seen[n-1].Offset >= endOffset {
		n--
	}
	p.seen = p.seen[:n]
	p.position, p.last = endOffset, epoch
	k.config.Judge.Positioned(k.client, p.id, endOffset)
}

// Witness tells the judge all that the consumer has read, if it would have been told of
// losses.
func (k *Consumer) Witness() {
	if !k.validates {
		return
	}
	for _, p := range k.parts {
		if !p.gone && p.position >= 0 && !k.unvalidated(p) {
			k.config.Judge.Witnessed(k.client, p.id, p.seen)
		}
	}
}
