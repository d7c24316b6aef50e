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
			p, code := b.findLed(t.Topic, want.Partition, want.CurrentLeaderEpoch)
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
