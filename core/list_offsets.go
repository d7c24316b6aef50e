package core

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/wire"
)

// ListOffsets (key 2, versions 1-11): the ends of a partition, and the first record at
// or after a time (KIP-79, KIP-207, KIP-320, KIP-734, KIP-405, KIP-1005, KIP-1023).

// The special timestamps, with the version that brought each.
const (
	latestTimestamp        = -1
	earliestTimestamp      = -2
	maxTimestamp           = -3 // 7
	earliestLocalTimestamp = -4 // 8
	latestTieredTimestamp  = -5 // 9
	earliestPendingUpload  = -6 // 11
)

var specialFrom = [...]int16{
	-latestTimestamp: 1, -earliestTimestamp: 1, -maxTimestamp: 7,
	-earliestLocalTimestamp: 8, -latestTieredTimestamp: 9, -earliestPendingUpload: 11,
}

// listOffsetsQuery is a ListOffsets whose lookups by time are still to be done.
type listOffsetsQuery struct {
	response *kmsg.ListOffsetsResponse
	lookups  []timeLookup
}

// timeLookup finds the offset of a time in one partition.
type timeLookup struct {
	slice     log.Slice
	epochs    log.Epochs
	timestamp int64
	topic     int
	partition int
	missing   errcode.Code // if nothing is found
}

func (b *Broker) listOffsets(c *call, req *kmsg.ListOffsetsRequest) {
	resp := kmsg.NewPtrListOffsetsResponse()
	query := &listOffsetsQuery{response: resp}
	times := map[partKey]int{}
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			times[partKey{topic: req.Topics[i].Topic, partition: req.Topics[i].Partitions[j].Partition}]++
		}
	}
	for i := range req.Topics {
		t := &req.Topics[i]
		out := kmsg.NewListOffsetsResponseTopic()
		out.Topic = t.Topic
		for j := range t.Partitions {
			part := kmsg.NewListOffsetsResponseTopicPartition()
			part.Partition, part.Offset, part.Timestamp = t.Partitions[j].Partition, -1, -1
			key := partKey{topic: t.Topic, partition: part.Partition}
			if times[key] > 1 {
				part.ErrorCode = int16(errcode.InvalidRequest)
			} else {
				b.listOffset(query, req, t.Topic, &t.Partitions[j], &part, [2]int{i, j})
			}
			out.Partitions = append(out.Partitions, part)
		}
		resp.Topics = append(resp.Topics, out)
	}
	if len(query.lookups) == 0 {
		b.answer(c, resp)
		return
	}
	b.answerLater(c, query)
}

func (b *Broker) listOffset(
	query *listOffsetsQuery, req *kmsg.ListOffsetsRequest, topic string,
	want *kmsg.ListOffsetsRequestTopicPartition,
	out *kmsg.ListOffsetsResponseTopicPartition, at [2]int,
) {
	p, code := b.findLed(topic, want.Partition, want.CurrentLeaderEpoch)
	if req.ReplicaID == debugReplica && code == errcode.NotLeaderOrFollower {
		p, code = b.find(topic, wire.TopicID{}, false, want.Partition)
	}
	ts := want.Timestamp
	if code == errcode.None && ts < 0 &&
		(ts < earliestPendingUpload || req.Version < specialFrom[-ts]) {
		code = errcode.UnsupportedVersion
	}
	if code != errcode.None {
		out.ErrorCode = int16(code)
		return
	}
	bound, unsure := p.log.HighWatermark(), errcode.None
	if req.IsolationLevel == 1 {
		bound = p.log.LastStableOffset()
	}
	if req.ReplicaID != noReplica { // a follower or a tool
		bound = p.log.LogEndOffset()
	} else if p.log.HighWatermark() < p.leader.EpochStartOffset() {
		// Clients may have seen a later end of the epoch before (KIP-207).
		unsure = errcode.OffsetNotAvailable
		if req.Version < offsetNotAvailableFrom {
			unsure = errcode.LeaderNotAvailable
		}
	}
	switch ts {
	case latestTimestamp:
		if unsure != errcode.None {
			out.ErrorCode = int16(unsure)
			return
		}
		out.Offset, out.LeaderEpoch = bound, p.leaderEpoch
	case earliestTimestamp, earliestLocalTimestamp:
		out.Offset = p.log.LogStartOffset()
		out.LeaderEpoch = p.log.EpochOf(out.Offset)
	case latestTieredTimestamp, earliestPendingUpload: // nothing is tiered
	default:
		start := p.log.LogStartOffset()
		if start >= bound {
			out.ErrorCode = int16(unsure)
			return
		}
		slice, _ := p.log.SliceFrom(start, bound)
		query.lookups = append(query.lookups, timeLookup{
			slice: slice, epochs: p.log.Epochs(), timestamp: ts,
			topic: at[0], partition: at[1], missing: unsure,
		})
	}
}

// debugReplica is the replica id with which tools read beyond the high watermark.
const debugReplica = -2

const offsetNotAvailableFrom = 5

// Answer does the lookups.
func (q *listOffsetsQuery) Answer(d *QueryDevices) wire.Response {
	for i := range q.lookups {
		l := &q.lookups[i]
		out := &q.response.Topics[l.topic].Partitions[l.partition]
		offset, timestamp, err := l.slice.OffsetOfTime(d.Reader, d.Codec, l.timestamp)
		if err != nil {
			out.ErrorCode = int16(errcode.KafkaStorageError)
			continue
		}
		if offset < 0 {
			out.ErrorCode = int16(l.missing)
			continue
		}
		out.Offset, out.Timestamp, out.LeaderEpoch = offset, timestamp, l.epochs.Of(offset)
	}
	return q.response
}
