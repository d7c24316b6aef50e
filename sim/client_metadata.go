package sim

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
)

// catalog is a client's view of the cluster.
type catalog struct {
	topics  []topicView
	wanted  []string
	due     clock.Instant // of the next request
	maxAge  clock.Duration
	retry   clock.Duration
	version int16 // 10 or later: answers carry topic ids
	create  bool  // topics that are not there
	asking  bool
}

// topicView is what a client knows of a topic that exists.
type topicView struct {
	name       string
	id         checker.TopicID
	partitions []partitionView // by index
}

type partitionView struct {
	leader int32 // -1: none
	epoch  int32
}

type metadataCall struct{}

func newCatalog(r *Rand, wanted []string) catalog {
	return catalog{
		wanted: wanted, version: int16(r.Between(10, 13)),
		maxAge: clock.Duration(r.LogUniform(200, 5000)) * clock.Millisecond,
		retry:  clock.Duration(r.LogUniform(20, 200)) * clock.Millisecond,
	}
}

// stale asks for a refresh soon.
func (k *catalog) stale(now clock.Instant) { k.due = min(k.due, now.Add(k.retry)) }

// refresh asks for metadata if it is time to.
func (k *catalog) refresh(c *caller) {
	if k.asking || c.now.Mono < k.due {
		return
	}
	conn := c.ready(c.bootstrap(), laneControl)
	if conn == nil {
		k.due = c.now.Mono.Add(k.retry)
		return
	}
	c.call(conn, k.request(), metadataCall{})
	k.asking = true
}

func (k *catalog) request() *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = k.version
	req.AllowAutoTopicCreation = k.create
	req.Topics = make([]kmsg.MetadataRequestTopic, 0, len(k.wanted))
	for _, name := range k.wanted {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	return req
}

// learn takes in an answer, or nil if there will be none.
func (k *catalog) learn(c *caller, resp *kmsg.MetadataResponse) {
	k.asking = false
	k.due = c.now.Mono.Add(k.retry)
	if resp == nil {
		return
	}
	k.topics = k.topics[:0]
	for i := range resp.Topics {
		t := &resp.Topics[i]
		if errcode.Code(t.ErrorCode) != errcode.None || t.Topic == nil {
			continue
		}
		view := topicView{name: *t.Topic, id: t.TopicID}
		view.partitions = make([]partitionView, len(t.Partitions))
		for _, p := range t.Partitions {
			if int(p.Partition) < len(view.partitions) {
				view.partitions[p.Partition] = partitionView{leader: p.Leader, epoch: p.LeaderEpoch}
			}
		}
		k.topics = append(k.topics, view)
	}
	if len(k.topics) == len(k.wanted) {
		k.due = c.now.Mono.Add(k.maxAge)
	}
}

// topic returns what is known of a topic, or nil.
func (k *catalog) topic(name string) *topicView {
	for i := range k.topics {
		if k.topics[i].name == name {
			return &k.topics[i]
		}
	}
	return nil
}

// leader returns the leader of a partition, or -1.
func (k *catalog) leader(name string, index int32) int32 {
	if t := k.topic(name); t != nil && int(index) < len(t.partitions) {
		return t.partitions[index].leader
	}
	return -1
}

// The lanes of a client: what waits long has a connection of its own.
const (
	laneControl int8 = iota
	laneData
)
