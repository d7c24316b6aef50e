package sim

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
)

// drain sends every batch that may be sent, at most one for each partition in one
// request, while the limit of requests in flight allows.
func (p *Producer) drain() {
	for range p.inFlight {
		node, due := p.pickDue()
		if len(due) == 0 {
			return
		}
		conn := p.ready(node, laneData)
		if conn == nil || len(conn.calls) >= p.inFlight {
			return
		}
		p.sendBatches(conn, due)
	}
}

// pickDue returns the batches for one node that may be sent together.
func (p *Producer) pickDue() (node int32, due []*produceBatch) {
	for _, q := range p.queues {
		b := p.dueIn(q)
		if b == nil {
			continue
		}
		leader := p.catalog.leader(q.topic, q.id.Index)
		if leader < 0 {
			p.catalog.stale(p.now.Mono)
			continue
		}
		if len(due) > 0 && leader != node {
			continue
		}
		node, due = leader, append(due, b)
	}
	return node, due
}

// dueIn returns the first batch of a queue that may be sent. With idempotence all
// before it must be in flight, and while the partition has not seen the producer's
// epoch there may be one batch in flight only: a partition that knows nothing of a
// producer accepts any sequence as its first.
func (p *Producer) dueIn(q *produceQueue) *produceBatch {
	for i, b := range q.batches {
		switch {
		case b.state == batchInFlight && p.config.Idempotent && !q.proven:
			return nil
		case b.state == batchInFlight:
		case b.notBefore > p.now.Mono:
			return nil
		case i >= 5 && p.config.Idempotent:
			return nil // the broker remembers five batches
		default:
			return b
		}
	}
	return nil
}

func (p *Producer) sendBatches(conn *clientConn, batches []*produceBatch) {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks = p.version, p.config.Acks
	req.TimeoutMillis = int32(max(int64(p.timeout/clock.Millisecond)/2, 1))
	for _, b := range batches {
		p.prepare(b)
		rp := kmsg.NewProduceRequestTopicPartition()
		rp.Partition, rp.Records = b.queue.id.Index, b.data
		t := produceTopic(req, b.queue)
		t.Partitions = append(t.Partitions, rp)
	}
	p.remember(req)
	if req.Acks == 0 {
		p.send(conn, req)
		for _, b := range batches {
			p.giveUp(b)
			b.queue.remove(b)
		}
		return
	}
	p.call(conn, req, produceCall{batches})
}

func produceTopic(req *kmsg.ProduceRequest, q *produceQueue) *kmsg.ProduceRequestTopic {
	for i := range req.Topics {
		if t := &req.Topics[i]; t.TopicID == q.id.Topic {
			return t
		}
	}
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.TopicID = q.topic, q.id.Topic
	req.Topics = append(req.Topics, t)
	return &req.Topics[len(req.Topics)-1]
}

// prepare numbers and encodes a batch before its first attempt.
func (p *Producer) prepare(b *produceBatch) {
	b.state = batchInFlight
	b.attempts++
	if b.data != nil {
		return
	}
	b.producerID, b.epoch, b.sequence = -1, -1, -1
	if p.config.Idempotent {
		b.producerID, b.epoch, b.sequence = p.producerID, p.epoch, b.queue.next
		b.queue.next = sequenceAfter(b.sequence, len(b.records), p.config.SequenceMax)
	} else {
		p.config.Judge.Plain(b.queue.id)
	}
	b.data = b.encode(p.config.Codec)
	hash := checker.Hash(b.data[21:])
	attempt, hashes := b.attempt()
	p.config.Judge.Attempt(hash, attempt)
	b.ref = p.config.Judge.Call(checker.Op{
		Kind: checker.OpProduce, Client: p.client, Topic: b.queue.topic, Partition: b.queue.id,
		Hash: hash, Records: hashes, Acks: p.config.Acks,
	})
}

// sequenceAfter returns the sequence after so many records; after the last comes 0.
func sequenceAfter(sequence int32, records int, last int32) int32 {
	if last == 0 {
		last = 1<<31 - 1
	}
	next := int64(sequence) + int64(records)
	if next > int64(last) {
		next -= int64(last) + 1
	}
	return int32(next)
}

// remembered is how many requests back somebody may send one again.
const remembered = 16

func (p *Producer) remember(req *kmsg.ProduceRequest) {
	if len(p.sent) == remembered {
		p.sent = slices.Delete(p.sent, 0, 1)
	}
	p.sent = append(p.sent, req)
}

func (q *produceQueue) remove(b *produceBatch) {
	if i := slices.Index(q.batches, b); i >= 0 {
		q.batches = slices.Delete(q.batches, i, i+1)
	}
}

func (p *Producer) produced(call produceCall, resp *kmsg.ProduceResponse) {
	for _, b := range call.batches {
		if b.state == batchSettled {
			continue
		}
		part := producedPartition(resp, b.queue)
		if part == nil {
			p.config.Judge.Report(checker.AckPolicy, "unanswered",
				"producer %d got an answer without %s-%d",
				p.client, b.queue.topic, b.queue.id.Index)
			return
		}
		p.settle(b, part)
	}
}

func producedPartition(
	resp *kmsg.ProduceResponse, q *produceQueue,
) *kmsg.ProduceResponseTopicPartition {
	for i := range resp.Topics {
		t := &resp.Topics[i]
		if t.TopicID != q.id.Topic && (resp.Version >= 13 || t.Topic != q.topic) {
			continue
		}
		for j := range t.Partitions {
			if t.Partitions[j].Partition == q.id.Index {
				return &t.Partitions[j]
			}
		}
	}
	return nil
}

func (p *Producer) settle(b *produceBatch, part *kmsg.ProduceResponseTopicPartition) {
	q := b.queue
	code := errcode.Code(part.ErrorCode)
	switch code {
	case errcode.None:
		b.state, q.proven, q.misses = batchSettled, true, 0
		q.remove(b)
		p.config.Judge.Return(b.ref, checker.Done).Offset = part.BaseOffset
	case errcode.UnknownTopicOrPartition, errcode.UnknownTopicID, errcode.InconsistentTopicID:
		p.catalog.stale(p.now.Mono)
		if q.misses++; q.misses > 50 {
			p.fail(b, part.ErrorCode)
			return
		}
		p.retry(b)
	case errcode.OutOfOrderSequenceNumber:
		// If batches before it are on their way, they failed, and this one follows
		// them again. If there are none, the partition lost what it acknowledged.
		if q.batches[0] != b {
			p.retry(b)
			return
		}
		p.fail(b, part.ErrorCode)
	case errcode.RecordListTooLarge:
		if p.config.Stubborn && b.attempts < 3 {
			p.retry(b)
			return
		}
		p.fail(b, part.ErrorCode)
	case errcode.InvalidProducerEpoch, errcode.UnknownProducerID, errcode.MessageTooLarge,
		errcode.InvalidRecord, errcode.InvalidTimestamp,
		errcode.TopicAuthorizationFailed, errcode.InvalidRequiredAcks:
		p.fail(b, part.ErrorCode)
	default:
		p.catalog.stale(p.now.Mono)
		p.catalog.hint(q.topic, q.id.Index, part.CurrentLeader.LeaderID,
			part.CurrentLeader.LeaderEpoch)
		p.retry(b)
	}
}

// retry puts a batch back, to be sent again as it is.
func (p *Producer) retry(b *produceBatch) {
	if b.state == batchSettled {
		return
	}
	b.state = batchWaiting
	b.notBefore = p.now.Mono.Add(p.backoff)
	if !p.config.Idempotent && b.attempts >= p.attemptsMax {
		p.giveUp(b)
		b.queue.remove(b)
	}
}

// fail ends a batch that the broker does not want. A sequence is missing then, so an
// idempotent producer begins anew: with a new epoch (KIP-360) or a new id.
func (p *Producer) fail(b *produceBatch, code int16) {
	outcome := checker.Unknown
	if b.attempts == 1 {
		outcome = checker.Refused
	}
	b.state = batchSettled
	b.queue.remove(b)
	p.config.Judge.Return(b.ref, outcome).Err = code
	if p.config.Idempotent && b.producerID == p.producerID && b.epoch == p.epoch {
		p.startOver()
	}
}

func (p *Producer) startOver() {
	if p.bumps && p.epoch < 1<<15-1 {
		p.epoch++
	} else {
		p.producerID = -1
	}
	for _, q := range p.queues {
		q.next, q.proven = 0, false
		kept := q.batches[:0]
		for _, b := range q.batches {
			if b.attempts > 0 {
				p.giveUp(b)
				continue
			}
			kept = append(kept, b)
		}
		q.batches = kept
	}
}
