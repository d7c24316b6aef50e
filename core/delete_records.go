package core

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
)

// DeleteRecords (key 21, versions 0-2) raises the log start offset (KIP-107), and is
// answered when all replicas that are alive start there: all partitions together, with
// their low watermarks.

// deleting is the state of a DeleteRecords that waits for replicas.
type deleting struct {
	response *kmsg.DeleteRecordsResponse
	waiting  int // partitions that wait; one more while the request is being carried out
}

// deleteWait is a partition's note of a DeleteRecords that waits for its low watermark
// to reach offset.
type deleteWait struct {
	call      callRef
	offset    int64
	topic     int32 // of the response
	partition int32 // of its topic in the response
}

func (b *Broker) deleteRecords(c *call, req *kmsg.DeleteRecordsRequest) {
	resp := kmsg.NewPtrDeleteRecordsResponse()
	c.deleting = &deleting{response: resp, waiting: 1}
	for i, t := range req.Topics {
		out := kmsg.NewDeleteRecordsResponseTopic()
		out.Topic = t.Topic
		for _, want := range t.Partitions {
			part := kmsg.NewDeleteRecordsResponseTopicPartition()
			part.Partition, part.LowWatermark = want.Partition, -1
			out.Partitions = append(out.Partitions, part)
		}
		resp.Topics = append(resp.Topics, out)
		for j, want := range t.Partitions {
			p, code := b.findLed(t.Topic, want.Partition, -1)
			if code == errcode.None {
				code = b.deleteBefore(p, want.Offset)
			}
			w := deleteWait{call: c.ref(), topic: int32(i), partition: int32(j)}
			c.deleting.waiting++
			if code != errcode.None {
				b.deleteEnded(w, -1, code)
				continue
			}
			w.offset = want.Offset
			if want.Offset == -1 {
				w.offset = p.log.HighWatermark()
			}
			p.untilLow = append(p.untilLow, w)
			b.answerDeleted(p)
		}
	}
	c.deleting.waiting--
	if c.deleting.waiting == 0 {
		b.answer(c, resp)
		return
	}
	b.arm(c, clock.Millis(int64(req.TimeoutMillis)))
}

// deleteBefore raises p's log start offset; -1 means the high watermark.
func (b *Broker) deleteBefore(p *partition, offset int64) errcode.Code {
	if p.topic.internal {
		return errcode.InvalidTopicException
	}
	if !b.image.TopicByID(p.topic.id).Config.CleanupDelete {
		return errcode.PolicyViolation
	}
	if offset == -1 {
		offset = p.log.HighWatermark()
	}
	if offset < 0 || offset > p.log.HighWatermark() {
		return errcode.OffsetOutOfRange
	}
	from := len(b.fx.Jobs)
	p.log.DeleteRecordsBefore(b.now, offset, &b.fx.Orders)
	b.logChanged(p, from)
	return errcode.None
}

// answerDeleted ends the waits that p's low watermark has reached.
func (b *Broker) answerDeleted(p *partition) {
	if len(p.untilLow) == 0 {
		return
	}
	low, left := p.leader.LowWatermark(), 0
	for _, w := range p.untilLow {
		if w.offset <= low {
			b.deleteEnded(w, low, errcode.None)
			continue
		}
		p.untilLow[left] = w
		left++
	}
	p.untilLow = p.untilLow[:left]
}

// deleteEnded notes that one partition of a DeleteRecords waits no longer, and answers
// when it was the last.
func (b *Broker) deleteEnded(w deleteWait, lowWatermark int64, code errcode.Code) {
	c := w.call.get()
	if c == nil {
		return
	}
	out := &c.deleting.response.Topics[w.topic].Partitions[w.partition]
	out.LowWatermark, out.ErrorCode = lowWatermark, int16(code)
	c.deleting.waiting--
	if c.deleting.waiting == 0 {
		b.answer(c, c.deleting.response)
	}
}

// deleteTimedOut answers a DeleteRecords whose timeout has come. Its leader has deleted
// the records; replicas that have not will.
func (b *Broker) deleteTimedOut(c *call) {
	resp := c.deleting.response
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			out := &resp.Topics[i].Partitions[j]
			if out.ErrorCode == int16(errcode.None) && out.LowWatermark < 0 {
				out.ErrorCode = int16(errcode.RequestTimedOut)
			}
		}
	}
	b.answer(c, resp)
}
