package core

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/wire"
)

// offsetForLeaderEpoch (key 23, versions 2-4) tells where a leader epoch ends, so that
// a consumer notices a truncation (KIP-320).
func (b *Broker) offsetForLeaderEpoch(c *call, req *kmsg.OffsetForLeaderEpochRequest) {
	resp := kmsg.NewPtrOffsetForLeaderEpochResponse()
	for _, t := range req.Topics {
		out := kmsg.NewOffsetForLeaderEpochResponseTopic()
		out.Topic = t.Topic
		for _, want := range t.Partitions {
			part := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			part.Partition, part.LeaderEpoch, part.EndOffset = want.Partition, -1, -1
			p, code := b.find(t.Topic, wire.TopicID{}, false, want.Partition)
			if code == errcode.None {
				code = p.checkEpoch(want.CurrentLeaderEpoch)
			}
			part.ErrorCode = int16(code)
			if code == errcode.None {
				part.LeaderEpoch, part.EndOffset = p.log.EndOffsetFor(want.LeaderEpoch)
			}
			out.Partitions = append(out.Partitions, part)
		}
		resp.Topics = append(resp.Topics, out)
	}
	b.answer(c, resp)
}

// deleteRecords (key 21, versions 0-2) raises the log start offset (KIP-107). The low
// watermark is that of the only replica, so the answer needs no wait.
func (b *Broker) deleteRecords(c *call, req *kmsg.DeleteRecordsRequest) {
	resp := kmsg.NewPtrDeleteRecordsResponse()
	for _, t := range req.Topics {
		out := kmsg.NewDeleteRecordsResponseTopic()
		out.Topic = t.Topic
		for _, want := range t.Partitions {
			part := kmsg.NewDeleteRecordsResponseTopicPartition()
			part.Partition, part.LowWatermark = want.Partition, -1
			p, code := b.find(t.Topic, wire.TopicID{}, false, want.Partition)
			if code == errcode.None {
				code = b.deleteBefore(p, want.Offset)
			}
			part.ErrorCode = int16(code)
			if code == errcode.None {
				part.LowWatermark = p.log.LogStartOffset()
			}
			out.Partitions = append(out.Partitions, part)
		}
		resp.Topics = append(resp.Topics, out)
	}
	b.answer(c, resp)
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

// describeProducers (key 61, version 0) lists the producers a partition knows
// (KIP-664).
func (b *Broker) describeProducers(c *call, req *kmsg.DescribeProducersRequest) {
	resp := kmsg.NewPtrDescribeProducersResponse()
	for _, t := range req.Topics {
		out := kmsg.NewDescribeProducersResponseTopic()
		out.Topic = t.Topic
		for _, index := range t.Partitions {
			part := kmsg.NewDescribeProducersResponseTopicPartition()
			part.Partition = index
			p, code := b.find(t.Topic, wire.TopicID{}, false, index)
			part.ErrorCode = int16(code)
			if code == errcode.None {
				part.ActiveProducers = b.activeProducers(p)
			}
			out.Partitions = append(out.Partitions, part)
		}
		resp.Topics = append(resp.Topics, out)
	}
	b.answer(c, resp)
}

func (b *Broker) activeProducers(
	p *partition,
) []kmsg.DescribeProducersResponseTopicPartitionActiveProducer {
	var active []kmsg.DescribeProducersResponseTopicPartitionActiveProducer
	for _, state := range p.log.Producers(b.now) {
		one := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		one.ProducerID, one.ProducerEpoch = state.ProducerID, int32(state.ProducerEpoch)
		one.LastSequence, one.LastTimestamp = state.LastSequence, state.LastTimestamp
		one.CoordinatorEpoch = state.CoordinatorEpoch
		one.CurrentTxnStartOffset = state.CurrentTxnStartOffset
		active = append(active, one)
	}
	return active
}

// describeLogDirs (key 35, versions 1-4) tells how large the logs are (KIP-113).
func (b *Broker) describeLogDirs(c *call, req *kmsg.DescribeLogDirsRequest) {
	wanted := map[partKey]bool{}
	for _, t := range req.Topics {
		for _, index := range t.Partitions {
			wanted[partKey{topic: t.Topic, partition: index}] = true
		}
	}
	resp := kmsg.NewPtrDescribeLogDirsResponse()
	for i := range b.dirs {
		dir := &b.dirs[i]
		out := kmsg.NewDescribeLogDirsResponseDir()
		out.Dir, out.TotalBytes, out.UsableBytes = dir.path, -1, -1
		if dir.offline {
			out.ErrorCode = int16(errcode.KafkaStorageError)
		} else {
			out.Topics = b.logsIn(dir, wanted, req.Topics == nil)
		}
		resp.Dirs = append(resp.Dirs, out)
	}
	b.answer(c, resp)
}

func (b *Broker) logsIn(
	dir *logDir, wanted map[partKey]bool, all bool,
) []kmsg.DescribeLogDirsResponseDirTopic {
	var topics []kmsg.DescribeLogDirsResponseDirTopic
	for _, t := range b.sortedTopics() {
		out := kmsg.NewDescribeLogDirsResponseDirTopic()
		out.Topic = t.name
		for _, p := range t.partitions {
			key := partKey{topic: t.name, partition: p.index}
			if p.dir != dir || p.state != partitionOnline || !all && !wanted[key] {
				continue
			}
			part := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
			part.Partition, part.Size = p.index, p.log.Size()
			out.Partitions = append(out.Partitions, part)
		}
		if len(out.Partitions) > 0 {
			topics = append(topics, out)
		}
	}
	return topics
}
