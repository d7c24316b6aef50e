package sim

import (
	"slices"

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
	misses     int             // answers in a row that know nothing of it
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

// missesMax is how many answers in a row must know nothing of a topic before a client
// believes that it is gone: a node may not have heard of it yet.
const missesMax = 3

// learn takes in an answer, or nil if there will be none. What is known of leaders gives
// way only to what is newer (KIP-320): a node may lag behind.
func (k *catalog) learn(c *caller, resp *kmsg.MetadataResponse) {
	k.asking = false
	k.due = c.now.Mono.Add(k.retry)
	if resp == nil {
		return
	}
	found := 0
	for i := range resp.Topics {
		t := &resp.Topics[i]
		if t.Topic == nil {
			continue
		}
		if errcode.Code(t.ErrorCode) != errcode.None {
			k.missed(*t.Topic, c.nodes)
			continue
		}
		found++
		k.learnTopic(t)
	}
	slices.SortFunc(k.topics, func(a, b topicView) int {
		return slices.Index(k.wanted, a.name) - slices.Index(k.wanted, b.name)
	})
	if found == len(k.wanted) {
		k.due = c.now.Mono.Add(k.maxAge)
	}
}

// missed notes that a node knows nothing of a topic. Where there is one node only, it
// is right.
func (k *catalog) missed(name string, nodes int32) {
	t := k.topic(name)
	if t == nil {
		return
	}
	t.misses++
	if nodes == 1 || t.misses >= missesMax {
		k.topics = slices.DeleteFunc(k.topics, func(o topicView) bool { return o.name == name })
	}
}

func (k *catalog) learnTopic(t *kmsg.MetadataResponseTopic) {
	view := topicView{name: *t.Topic, id: t.TopicID}
	view.partitions = make([]partitionView, len(t.Partitions))
	for _, p := range t.Partitions {
		if int(p.Partition) < len(view.partitions) {
			view.partitions[p.Partition] = partitionView{leader: p.Leader, epoch: p.LeaderEpoch}
		}
	}
	old := k.topic(view.name)
	if old == nil {
		k.topics = append(k.topics, view)
		return
	}
	if old.id == view.id {
		for i := range old.partitions {
			if i < len(view.partitions) && old.partitions[i].epoch <= view.partitions[i].epoch {
				continue
			}
			if i >= len(view.partitions) {
				view.partitions = append(view.partitions, old.partitions[i])
			}
			view.partitions[i] = old.partitions[i]
		}
	}
	*old = view
}

// hint takes in what a broker that does not lead says of who does (KIP-951).
func (k *catalog) hint(name string, index, leader, epoch int32) {
	t := k.topic(name)
	if t == nil || int(index) >= len(t.partitions) || leader < 0 {
		return
	}
	if p := &t.partitions[index]; epoch > p.epoch {
		*p = partitionView{leader: leader, epoch: epoch}
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

// epoch returns the leader epoch of a partition, or -1.
func (k *catalog) epoch(name string, index int32) int32 {
	if t := k.topic(name); t != nil && int(index) < len(t.partitions) {
		return t.partitions[index].epoch
	}
	return -1
}

// The lanes of a client: what waits long has a connection of its own.
const (
	laneControl int8 = iota
	laneData
)
