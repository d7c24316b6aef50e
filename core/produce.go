package core

import (
	"strings"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/mutant"
	"github.com/heiban/heiban/core/wire"
)

// Produce (key 0, versions 3-13): appends one batch per partition and answers when
// the asked for acknowledgement is reached, all partitions together (KIP-98,
// KIP-467, KIP-516, KIP-951).
//
//	acks=0   appended, never answered; an error closes the connection
//	acks=1   answered when written
//	acks=-1  refused if too few replicas are in sync (min.insync.replicas), answered when
//	         the high watermark has passed the batch

// producing is the state of a Produce that waits for its acknowledgement.
type producing struct {
	response wire.ProduceResponse
	waits    []bool // by partition of the response: has not reached it
	waiting  int    // how many wait; one more while the request is being appended
}

func (p *producing) reset() {
	clear(p.response.Partitions)
	p.response.Partitions = p.response.Partitions[:0]
	p.response.NodeEndpoints = p.response.NodeEndpoints[:0]
	p.waits = p.waits[:0]
	p.waiting = 0
}

// produceWait is a partition's note of a Produce that waits for endOffset.
type produceWait struct {
	call      callRef
	endOffset int64
	index     int32 // of the partition in the response
}

const (
	acksNone = 0
	acksOne  = 1
	acksAll  = -1
)

func (b *Broker) produce(c *call, req *wire.ProduceRequest) {
	c.produce.waiting = 1
	failed := false
	for i := range req.Partitions {
		part := &req.Partitions[i]
		c.produce.response.Partitions = append(c.produce.response.Partitions, wire.ProducedPartition{
			TopicID: part.TopicID, TopicRun: part.TopicRun, Partition: part.Partition,
			BaseOffset: -1, LogAppendTime: -1, LogStartOffset: -1, LeaderEpoch: -1,
		})
		c.produce.waits = append(c.produce.waits, false)
		out := &c.produce.response.Partitions[i]
		p := b.appendPart(c, req, part, out)
		if p == nil { // names the partition as the client did
			out.Topic = strings.Clone(part.Topic)
		} else {
			out.Topic = p.topic.name
		}
		failed = failed || out.Err != errcode.None
	}
	c.produce.waiting--
	switch {
	case req.Acks == acksNone && failed:
		b.answerByClosing(c)
	case req.Acks == acksNone:
		b.answer(c, nil)
	case c.produce.waiting == 0:
		b.answer(c, &c.produce.response)
	default:
		b.arm(c, clock.Millis(int64(req.TimeoutMillis)))
	}
}

// appendPart appends one partition's batch and notes in out what came of it. It
// returns the partition, or nil if there is none of that name.
func (b *Broker) appendPart(
	c *call, req *wire.ProduceRequest, part *wire.ProducePartition, out *wire.ProducedPartition,
) *partition {
	if req.Acks != acksNone && req.Acks != acksOne && req.Acks != acksAll {
		out.Err = errcode.InvalidRequiredAcks
		return nil
	}
	const topicIDsFrom = 13
	p, code := b.find(part.Topic, part.TopicID, req.Version >= topicIDsFrom, part.Partition)
	if code == errcode.None && p.leader == nil {
		code = errcode.NotLeaderOrFollower
	}
	if code != errcode.None {
		b.failPart(c, p, out, code)
		return p
	}
	switch {
	case p.topic.internal && !c.admin:
		out.Err = errcode.InvalidTopicException
		return p
	case p.leader.CheckProduce(req.Acks) != errcode.None:
		out.Err = p.leader.CheckProduce(req.Acks)
		return p
	case part.Err != errcode.None:
		out.Err, out.ErrorMessage, out.RecordErrors = part.Err, part.ErrorMessage, part.RecordErrors
		return p
	case part.Batch.Size == 0:
		// The topic was made after Prepare had looked for it.
		out.Err = errcode.UnknownTopicOrPartition
		if req.Version >= topicIDsFrom {
			out.Err = errcode.UnknownTopicID
		}
		return p
	case part.Batch.IsTransactional():
		out.Err = errcode.InvalidTxnState
		out.ErrorMessage = "the batch belongs to no open transaction"
		return p
	}
	from := len(b.fx.Jobs)
	a := p.log.Append(b.now, p.leaderEpoch, &part.Batch, part.Records, &b.fx.Orders)
	if a.Err != errcode.None {
		out.Err, out.ErrorMessage = a.Err, a.Message
		return p
	}
	out.BaseOffset, out.LogAppendTime = a.BaseOffset, a.LogAppendTime
	out.LogStartOffset = a.LogStartOffset
	if !a.Duplicate {
		b.reportAppended(p, &a, &part.Batch)
	}
	b.await(c, p, req.Acks, a.EndOffset, len(c.produce.response.Partitions)-1)
	b.logChanged(p, from)
	return p
}

func (b *Broker) reportAppended(p *partition, a *log.Appended, h *batch.Header) {
	b.report(Report{
		Kind: BatchAppended, Topic: p.topic.name, TopicID: p.topic.id, Partition: p.index,
		Offset: a.BaseOffset, EndOffset: a.EndOffset, Epoch: p.leaderEpoch,
		Producer: h.ProducerID, Sequence: h.BaseSequence,
	})
}

// await queues the index-th partition of a Produce until p reaches endOffset, unless
// it has.
func (b *Broker) await(c *call, p *partition, acks int16, endOffset int64, index int) {
	w := produceWait{call: c.ref(), endOffset: endOffset, index: int32(index)}
	switch acks {
	case acksOne:
		if p.log.WrittenEndOffset() >= endOffset {
			return
		}
		p.untilWritten = enqueue(p.untilWritten, w)
	case acksAll:
		if b.settings.Mutants.On(mutant.R5AckBeforeHighWatermark) {
			return
		}
		if done, code := p.leader.CheckAcks(endOffset); done { // as it is for a duplicate
			if code != errcode.None {
				b.failPart(c, p, &c.produce.response.Partitions[index], code)
			}
			return
		}
		p.untilHigh = enqueue(p.untilHigh, w)
	default:
		return
	}
	c.produce.waits[index] = true
	c.produce.waiting++
}

// enqueue keeps a queue ordered by endOffset. Only a duplicate, which waits for its
// original's end, is not the last.
func enqueue(queue []produceWait, w produceWait) []produceWait {
	queue = append(queue, w)
	for i := len(queue) - 1; i > 0 && queue[i-1].endOffset > w.endOffset; i-- {
		queue[i-1], queue[i] = queue[i], queue[i-1]
	}
	return queue
}

// answerWritten answers acks=1 produces whose batches are written.
func (b *Broker) answerWritten(p *partition) {
	if len(p.untilWritten) > 0 {
		p.untilWritten = b.release(p, p.untilWritten, p.log.WrittenEndOffset(), errcode.None)
	}
}

// answerCommitted answers acks=all produces that the high watermark has passed.
func (b *Broker) answerCommitted(p *partition) {
	if len(p.untilHigh) > 0 {
		reached := p.log.HighWatermark()
		_, code := p.leader.CheckAcks(reached)
		p.untilHigh = b.release(p, p.untilHigh, reached, code)
	}
}

// release ends the waits up to reached and returns the rest.
func (b *Broker) release(
	p *partition, queue []produceWait, reached int64, code errcode.Code,
) []produceWait {
	n := 0
	for n < len(queue) && queue[n].endOffset <= reached {
		b.produceEnded(p, queue[n], code)
		n++
	}
	rest := copy(queue, queue[n:])
	clear(queue[rest:])
	return queue[:rest]
}

// produceEnded notes that one partition of a Produce waits no longer, and answers
// when it was the last.
func (b *Broker) produceEnded(p *partition, w produceWait, code errcode.Code) {
	c := w.call.get()
	if c == nil {
		return
	}
	if code != errcode.None {
		b.failPart(c, p, &c.produce.response.Partitions[w.index], code)
	}
	c.produce.waits[w.index] = false
	c.produce.waiting--
	if c.produce.waiting == 0 {
		b.answer(c, &c.produce.response)
	}
}

// produceTimedOut answers a Produce whose timeout has come. What it appended stays,
// and may still be committed.
func (b *Broker) produceTimedOut(c *call) {
	for i, waits := range c.produce.waits {
		if waits {
			b.failPart(c, nil, &c.produce.response.Partitions[i], errcode.RequestTimedOut)
		}
	}
	b.answer(c, &c.produce.response)
}

// failPart makes of one partition's outcome an error. A client that took another for
// the leader is told who leads.
func (b *Broker) failPart(c *call, p *partition, out *wire.ProducedPartition, code errcode.Code) {
	out.Err, out.BaseOffset, out.LogAppendTime, out.LogStartOffset = code, -1, -1, -1
	if code == errcode.NotLeaderOrFollower {
		out.LeaderID, out.LeaderEpoch = b.leaderOf(p)
		resp := &c.produce.response
		resp.NodeEndpoints = b.addEndpoint(resp.NodeEndpoints, out.LeaderID, c.conn.listener)
	}
}
