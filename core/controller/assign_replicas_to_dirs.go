package controller

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

// AssignReplicasToDirs (73), version 0: KIP-858.

// AssignReplicasToDirs notes in which log directories a broker has put its replicas. A
// replica in a directory that the broker does not have online any more is lost.
func (c *Controller) AssignReplicasToDirs(
	req *kmsg.AssignReplicasToDirsRequest,
) Result[*kmsg.AssignReplicasToDirsResponse] {
	resp := req.ResponseKind().(*kmsg.AssignReplicasToDirsResponse)
	out := Result[*kmsg.AssignReplicasToDirsResponse]{Response: resp}
	b := c.image.Broker(req.BrokerID)
	if b == nil || b.Epoch != req.BrokerEpoch {
		resp.ErrorCode = int16(errcode.StaleBrokerEpoch)
		return out
	}
	seen := map[partitionKey]bool{}
	for i := range req.Directories {
		dir := kmsg.NewAssignReplicasToDirsResponseDirectory()
		dir.ID = req.Directories[i].ID
		for j := range req.Directories[i].Topics {
			q := &req.Directories[i].Topics[j]
			topic := kmsg.NewAssignReplicasToDirsResponseDirectoryTopic()
			topic.TopicID = q.TopicID
			for k := range q.Partitions {
				answer := kmsg.NewAssignReplicasToDirsResponseDirectoryTopicPartition()
				answer.Partition = q.Partitions[k].Partition
				key := partitionKey{q.TopicID, answer.Partition}
				record, code := c.assign(b, key, dir.ID)
				if seen[key] {
					record, code = nil, errcode.InvalidRequest
				}
				seen[key] = true
				answer.ErrorCode = int16(code)
				if record != nil {
					out.Records = append(out.Records, record)
				}
				topic.Partitions = append(topic.Partitions, answer)
			}
			dir.Topics = append(dir.Topics, topic)
		}
		resp.Directories = append(resp.Directories, dir)
	}
	return out
}

func (c *Controller) assign(b *metadata.Broker, key partitionKey, dir metadata.ID) (
	*metadata.PartitionChangeRecord, errcode.Code,
) {
	t := c.image.TopicByID(key.topic)
	switch {
	case t == nil:
		return nil, errcode.UnknownTopicID
	case key.index < 0 || int(key.index) >= len(t.Partitions):
		return nil, errcode.UnknownTopicOrPartition
	case !slices.Contains(t.Partitions[key.index].Replicas, b.ID):
		return nil, errcode.NotLeaderOrFollower
	}
	ch := c.changeOf(t, key.index, c.asIs())
	ch.setDirectory(b.ID, dir)
	if !isOnline(b.LogDirs, dir) {
		ch.lost = b.ID
		ch.next.ISR = without(ch.old.ISR, b.ID)
	}
	return ch.build(), errcode.None
}
