package core

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/replica"
	"github.com/heiban/heiban/core/wire"
)

// A follower whose next offset is out of the leader's range asks with ListOffsets where
// that begins and ends.

// listing is one ListOffsets in flight.
type listing struct {
	fetcher *fetcher
	asked   []listed
}

type listed struct {
	part *partition
	ask  replica.Ask
}

// request asks for the ends of the partitions' logs, as a replica does.
func (l *listing) request(nodeID int32) *kmsg.ListOffsetsRequest {
	const version = 10
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = version, nodeID
	for i := range l.asked {
		p, ask := l.asked[i].part, &l.asked[i].ask
		one := kmsg.NewListOffsetsRequestTopicPartition()
		one.Partition, one.CurrentLeaderEpoch = p.index, ask.CurrentLeaderEpoch
		one.Timestamp = earliestTimestamp
		if ask.Kind == replica.AskLatestOffset {
			one.Timestamp = latestTimestamp
		}
		n := len(req.Topics)
		if n == 0 || req.Topics[n-1].Topic != p.topic.name {
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = p.topic.name
			req.Topics = append(req.Topics, t)
			n++
		}
		req.Topics[n-1].Partitions = append(req.Topics[n-1].Partitions, one)
	}
	return req
}

// answered tells every follower what it asked for.
func (l *listing) answered(b *Broker, resp wire.Response, err error) {
	told := map[partKey]*kmsg.ListOffsetsResponseTopicPartition{}
	if r, ok := resp.(*kmsg.ListOffsetsResponse); ok && err == nil {
		for i := range r.Topics {
			t := &r.Topics[i]
			for j := range t.Partitions {
				told[partKey{topic: t.Topic, partition: t.Partitions[j].Partition}] = &t.Partitions[j]
			}
		}
	}
	for i := range l.asked {
		p, ask := l.asked[i].part, &l.asked[i].ask
		if p.follower == nil || p.state != partitionOnline || p.log.Truncating() {
			continue
		}
		offset, code := int64(-1), errcode.NetworkException
		if one := told[partKey{topic: p.topic.name, partition: p.index}]; one != nil {
			offset, code = one.Offset, errcode.Code(one.ErrorCode)
		}
		b.decided(p, p.follower.Listed(b.now.Mono, ask, offset, code), nil, nil)
	}
	b.pumpLater(l.fetcher)
}
