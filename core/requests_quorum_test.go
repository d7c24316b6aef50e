package core_test

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/wire"
)

func (s *script) describeQuorum() (wire.Request, int16, int16) {
	req := kmsg.NewPtrDescribeQuorumRequest()
	p := kmsg.NewDescribeQuorumRequestTopicPartition()
	p.Partition = int32(s.int("partition", 0))
	t := kmsg.NewDescribeQuorumRequestTopic()
	t.Topic = s.string("topic", "__cluster_metadata")
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req, 55, int16(s.int("version", 2))
}

func (s *script) addVoter() (wire.Request, int16, int16) {
	req := kmsg.NewPtrAddRaftVoterRequest()
	req.VoterID, req.TimeoutMillis = int32(s.int("id", 4)), int32(s.int("timeout", 10_000))
	if id, ok := s.args["cluster"]; ok {
		req.ClusterID = &id
	}
	return req, 80, 0
}

func (s *script) removeVoter() (wire.Request, int16, int16) {
	req := kmsg.NewPtrRemoveRaftVoterRequest()
	req.VoterID = int32(s.int("id", 4))
	return req, 81, 0
}

// fetchSnapshot asks for bytes of a snapshot.
func (s *script) fetchSnapshot() (wire.Request, int16, int16) {
	req := kmsg.NewPtrFetchSnapshotRequest()
	req.MaxBytes, req.ReplicaID = int32(s.int("max", 1<<20)), 9
	if id, ok := s.args["cluster"]; ok {
		req.ClusterID = &id
	}
	p := kmsg.NewFetchSnapshotRequestTopicPartition()
	p.CurrentLeaderEpoch = int32(s.int("leaderEpoch", -1))
	p.SnapshotID.EndOffset, p.SnapshotID.Epoch = s.int("end", 0), int32(s.int("epoch", 1))
	p.Position = s.int("position", 0)
	t := kmsg.NewFetchSnapshotRequestTopic()
	t.Topic = s.string("topic", "__cluster_metadata")
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req, 59, 0
}

// ofQuorum prints the answers about the metadata quorum.
func (s *script) ofQuorum(r kmsg.Response, add func(string, ...any)) {
	switch r := r.(type) {
	case *kmsg.DescribeQuorumResponse:
		add("quorum %s", errorOr(r.ErrorCode, ""))
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				add("  %s-%d %s", t.Topic, p.Partition, errorOr(p.ErrorCode, ""))
				if p.ErrorCode != 0 {
					continue
				}
				add("  leader=%d epoch=%d highWatermark=%d", p.LeaderID, p.LeaderEpoch, p.HighWatermark)
				for _, v := range p.CurrentVoters {
					add("  voter %d end=%d caughtUp=%v", v.ReplicaID, v.LogEndOffset,
						v.LastCaughtUpTimestamp >= 0)
				}
				for _, v := range p.Observers {
					add("  observer %d end=%d caughtUp=%v", v.ReplicaID, v.LogEndOffset,
						v.LastCaughtUpTimestamp >= 0)
				}
			}
		}
		for _, n := range r.Nodes {
			add("  node %d=%s:%d", n.NodeID, n.Listeners[0].Host, n.Listeners[0].Port)
		}
	case *kmsg.AddRaftVoterResponse:
		add("added %s%s", errorOr(r.ErrorCode, ""), because(r.ErrorMessage))
	case *kmsg.RemoveRaftVoterResponse:
		add("removed %s%s", errorOr(r.ErrorCode, ""), because(r.ErrorMessage))
	case *kmsg.FetchSnapshotResponse:
		add("snapshot %s", errorOr(r.ErrorCode, ""))
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				add("  %s-%d %s", t.Topic, p.Partition,
					errorOr(p.ErrorCode, fmtPiece(&p)))
			}
		}
	default:
		s.grouped(r, add)
	}
}

func fmtPiece(p *kmsg.FetchSnapshotResponseTopicPartition) string {
	return fmt.Sprintf("position=%d bytes=%d size=%d", p.Position, len(p.Bytes), p.Size)
}

func because(message *string) string {
	if message == nil {
		return ""
	}
	return " " + *message
}
