package core

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/quorum"
)

// DescribeQuorum (key 55, versions 0-2, KIP-595, KIP-836, KIP-853) tells who votes in the
// metadata quorum, and how far their logs are. The active controller answers.

func (b *Broker) describeQuorum(req *kmsg.DescribeQuorumRequest) *kmsg.DescribeQuorumResponse {
	resp := req.ResponseKind().(*kmsg.DescribeQuorumResponse)
	for i := range req.Topics {
		t := kmsg.NewDescribeQuorumResponseTopic()
		t.Topic = req.Topics[i].Topic
		for _, asked := range req.Topics[i].Partitions {
			p := kmsg.NewDescribeQuorumResponseTopicPartition()
			p.Partition = asked.Partition
			if t.Topic == metadataTopic && p.Partition == 0 {
				b.describePartition(&p)
			} else {
				p.ErrorCode = int16(errcode.UnknownTopicOrPartition)
			}
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	for _, v := range b.base.QuorumVoters {
		n := kmsg.NewDescribeQuorumResponseNode()
		n.NodeID = v.ID
		l := kmsg.NewDescribeQuorumResponseNodeListener()
		if len(b.base.ControllerListenerNames) > 0 {
			l.Name = b.base.ControllerListenerNames[0]
		}
		l.Host, l.Port = v.Host, uint16(v.Port)
		n.Listeners = append(n.Listeners, l)
		resp.Nodes = append(resp.Nodes, n)
	}
	return resp
}

func (b *Broker) describePartition(p *kmsg.DescribeQuorumResponseTopicPartition) {
	m := &b.metalog
	p.LeaderID, p.LeaderEpoch = b.options.NodeID, int32(m.engine.Term())
	p.HighWatermark = m.partition.log.HighWatermark()
	for _, progress := range m.engine.AppendProgress(nil) {
		s := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		s.ReplicaID, s.LogEndOffset = int32(progress.Node), m.endOf(progress.Match)
		if progress.Node == quorum.NodeID(b.options.NodeID) {
			s.ReplicaDirectoryID = b.dirs[0].found.DirectoryID
			s.LogEndOffset = m.endOffset()
		} else if progress.Active {
			s.LastFetchTimestamp = int64(b.now.Wall)
			if progress.Match == m.engine.Last().Index {
				s.LastCaughtUpTimestamp = int64(b.now.Wall)
			}
		}
		if progress.Voter {
			p.CurrentVoters = append(p.CurrentVoters, s)
		} else {
			p.Observers = append(p.Observers, s)
		}
	}
}

// endOf is the offset after an entry, -1 if it is not known any more.
func (m *metalog) endOf(index uint64) int64 {
	switch {
	case index == m.baseIndex:
		return m.baseEnd
	case index < m.baseIndex || index > m.baseIndex+uint64(len(m.entries)):
		return -1
	}
	return m.entries[index-m.baseIndex-1].end
}
