package controller

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/metadata"
	_ "github.com/heiban/heiban/internal/repeatable"
)

func newController(t testing.TB) *Controller {
	b, _, err := config.Parse(nil)
	require.NoError(t, err)
	c := New(metadata.New(b), Options{})
	c.Replay(c.Bootstrap([]metadata.Feature{
		{Name: metadata.MetadataVersion, Level: metadata.MetadataVersionMax},
	}))
	c.Replay(c.Register(&Registration{
		ID: 1, LogDirs: []metadata.ID{{9}},
		Endpoints: []config.Endpoint{{Name: "PLAINTEXT", Host: "h", Port: 9092}},
	}))
	return c
}

// cluster is a controller with the image that was published, and every decision.
type cluster struct {
	c         *Controller
	published *metadata.Image
	decisions [][]metadata.Record // those not committed yet
	replayed  *metadata.Image     // folded from bytes, one decision late
	ids       int
	topics    int // how many topics were created, less those deleted
}

// decide does what the core does with a decision. A decision changes nothing
// before its records are replayed.
func (c *cluster) decide(t *rapid.T, before *metadata.Image, records []metadata.Record) {
	require.Same(t, before, c.c.Image())
	c.c.Replay(records)
	if len(records) > 0 {
		c.decisions = append(c.decisions, records)
	}
}

// commit publishes the oldest decision, and folds what it reads back from bytes.
func (c *cluster) commit(t *rapid.T) {
	if len(c.decisions) == 0 {
		return
	}
	records := c.decisions[0]
	c.decisions = c.decisions[1:]
	c.published, _ = c.published.Apply(records)
	decoded := make([]metadata.Record, len(records))
	for i, r := range records {
		var err error
		decoded[i], err = metadata.DecodeRecord(metadata.AppendRecord(nil, r))
		require.NoError(t, err)
	}
	c.replayed, _ = c.replayed.Apply(decoded)
}

func (c *cluster) newID() metadata.ID {
	c.ids++
	return scriptID(c.ids)
}

func (c *cluster) create(t *rapid.T, names *rapid.Generator[string]) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 7
	for range rapid.IntRange(1, 3).Draw(t, "topics") {
		q := kmsg.NewCreateTopicsRequestTopic()
		q.Topic = names.Draw(t, "name")
		q.NumPartitions = int32(rapid.IntRange(-1, 4).Draw(t, "partitions"))
		q.ReplicationFactor = int16(rapid.IntRange(-1, 2).Draw(t, "factor"))
		req.Topics = append(req.Topics, q)
	}
	before := c.c.Image()
	result := c.c.CreateTopics(req, c.newID, rapid.Uint32().Draw(t, "rotation"))
	for _, r := range result.Response.Topics {
		require.Equal(t, r.ErrorCode == 0, r.TopicID != metadata.ID{})
		if r.ErrorCode == 0 {
			c.topics++
		}
	}
	c.decide(t, before, result.Records)
}

func (c *cluster) delete(t *rapid.T, names *rapid.Generator[string]) {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version = 5
	req.TopicNames = rapid.SliceOfN(names, 1, 3).Draw(t, "names")
	before := c.c.Image()
	result := c.c.DeleteTopics(req)
	for _, r := range result.Response.Topics {
		if r.ErrorCode == 0 {
			c.topics--
		}
	}
	c.decide(t, before, result.Records)
}

func (c *cluster) addPartitions(t *rapid.T, names *rapid.Generator[string]) {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.Version = 3
	q := kmsg.NewCreatePartitionsRequestTopic()
	q.Topic, q.Count = names.Draw(t, "name"), int32(rapid.IntRange(0, 8).Draw(t, "count"))
	req.Topics = append(req.Topics, q)
	before := c.c.Image()
	c.decide(t, before, c.c.CreatePartitions(req, 0).Records)
}

func (c *cluster) alter(t *rapid.T, names *rapid.Generator[string]) {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	q := kmsg.NewIncrementalAlterConfigsRequestResource()
	key := "retention.ms"
	q.ResourceType, q.ResourceName = kmsg.ConfigResourceTypeTopic, names.Draw(t, "name")
	if rapid.Bool().Draw(t, "broker") {
		q.ResourceType = kmsg.ConfigResourceTypeBroker
		q.ResourceName = rapid.SampledFrom([]string{"", "1"}).Draw(t, "broker name")
		key = "log.retention.ms"
	}
	value := fmt.Sprint(rapid.IntRange(-2, 9).Draw(t, "value"))
	q.Configs = append(q.Configs, kmsg.IncrementalAlterConfigsRequestResourceConfig{
		Name: key, Value: &value,
		Op: kmsg.IncrementalAlterConfigOp(rapid.IntRange(0, 2).Draw(t, "op")),
	})
	req.Resources = append(req.Resources, q)
	before := c.c.Image()
	c.decide(t, before, c.c.IncrementalAlterConfigs(req).Records)
}

func (c *cluster) allocate(t *rapid.T) {
	req := kmsg.NewPtrAllocateProducerIDsRequest()
	req.BrokerID, req.BrokerEpoch = 1, c.c.Image().Broker(1).Epoch
	before := c.c.Image()
	result := c.c.AllocateProducerIDs(req)
	require.Equal(t, before.NextProducerID(), result.Response.ProducerIDStart)
	c.decide(t, before, result.Records)
	require.Greater(t, c.c.Image().NextProducerID(), before.NextProducerID())
}

// check tells what is true of every image.
func check(t *rapid.T, m *metadata.Image) {
	seen := map[metadata.ID]bool{}
	topics, partitions, last := 0, 0, ""
	for topic := range m.Topics() {
		require.Less(t, last, topic.Name, "names are unique and in order")
		last = topic.Name
		require.False(t, seen[topic.ID], "ids are unique")
		seen[topic.ID] = true
		require.Same(t, topic, m.Topic(topic.Name))
		require.Same(t, topic, m.TopicByID(topic.ID))
		require.NotEmpty(t, topic.Partitions)
		for _, p := range topic.Partitions {
			require.Contains(t, p.ISR, p.Leader)
			require.Len(t, p.Directories, len(p.Replicas))
		}
		want, err := m.Config().Topic(topic.Overrides)
		require.NoError(t, err)
		require.Equal(t, want, topic.Config, "the effective configuration is up to date")
		topics++
		partitions += len(topic.Partitions)
	}
	require.Equal(t, topics, m.TopicCount())
	require.Equal(t, partitions, m.PartitionCount())
}

// requireSame compares all that images show.
func requireSame(t *rapid.T, a, b *metadata.Image) {
	require.Equal(t, slices.Collect(a.Topics()), slices.Collect(b.Topics()))
	require.Equal(t, a.Brokers(), b.Brokers())
	require.Equal(t, a.Resources(), b.Resources())
	require.Equal(t, a.Features(), b.Features())
	require.Equal(t, a.NextProducerID(), b.NextProducerID())
	require.Equal(t, a.Offset(), b.Offset())
	require.Equal(t, a.Config(), b.Config())
}

// However decisions and commits mix, images keep their rules, and what is folded
// from the bytes of the records is what was decided.
func TestDecisionsAndReplay(t *testing.T) {
	start := newController(t).Image()
	names := rapid.SampledFrom([]string{"a", "b", "c.d", "c_d", "e-", "."})
	rapid.Check(t, func(t *rapid.T) {
		c := &cluster{c: New(start, Options{}), published: start, replayed: start}
		t.Repeat(map[string]func(*rapid.T){
			"create":         func(t *rapid.T) { c.create(t, names) },
			"delete":         func(t *rapid.T) { c.delete(t, names) },
			"add partitions": func(t *rapid.T) { c.addPartitions(t, names) },
			"alter":          func(t *rapid.T) { c.alter(t, names) },
			"allocate":       c.allocate,
			"commit":         c.commit,
			"": func(t *rapid.T) {
				check(t, c.c.Image())
				require.Equal(t, c.topics, c.c.Image().TopicCount())
			},
		})
		for len(c.decisions) > 0 {
			c.commit(t)
		}
		requireSame(t, c.c.Image(), c.published)
		requireSame(t, c.c.Image(), c.replayed)
	})
}

// All pages of DescribeTopicPartitions together are everything, once.
func TestDescribeTopicPartitionsPages(t *testing.T) {
	c := newController(t)
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 7
	for i := range 20 {
		q := kmsg.NewCreateTopicsRequestTopic()
		q.Topic, q.NumPartitions, q.ReplicationFactor = fmt.Sprintf("t%02d", i), int32(1+i%7), 1
		req.Topics = append(req.Topics, q)
	}
	ids := 0
	c.Replay(c.CreateTopics(req, func() metadata.ID { ids++; return scriptID(ids) }, 0).Records)
	var want []string
	for topic := range c.Image().Topics() {
		for i := range topic.Partitions {
			want = append(want, fmt.Sprint(topic.Name, i))
		}
	}
	for limit := int32(1); limit < 20; limit++ {
		var got []string
		req := kmsg.NewPtrDescribeTopicPartitionsRequest()
		req.ResponsePartitionLimit = limit
		for {
			resp, err := DescribeTopicPartitions(c.Image(), req, View{Listener: "PLAINTEXT"})
			require.NoError(t, err)
			n := 0
			for _, topic := range resp.Topics {
				for _, p := range topic.Partitions {
					got = append(got, fmt.Sprint(*topic.Topic, p.Partition))
					n++
				}
			}
			require.LessOrEqual(t, n, int(limit))
			if resp.NextCursor == nil {
				break
			}
			req.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{
				Topic: resp.NextCursor.Topic, Partition: resp.NextCursor.Partition,
			}
		}
		require.Equal(t, want, got)
	}
}

func BenchmarkCreateTopics(b *testing.B) {
	c := newController(b)
	ids := 0
	newID := func() metadata.ID { ids++; return scriptID(ids) }
	create := func(name string) []metadata.Record {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Version = 7
		q := kmsg.NewCreateTopicsRequestTopic()
		q.Topic, q.NumPartitions, q.ReplicationFactor = name, 1, 1
		req.Topics = append(req.Topics, q)
		return c.CreateTopics(req, newID, 0).Records
	}
	for i := range 10_000 {
		c.Replay(create(fmt.Sprintf("topic.%05d", i)))
	}
	full := c.Image()
	b.ReportAllocs()
	for b.Loop() {
		c.Replay(create("topic.05000x"))
		c.image = full
	}
}

func BenchmarkMetadataAll(b *testing.B) {
	c := newController(b)
	ids := 0
	for i := range 10_000 {
		req := AutoCreateRequest(c.Image(), []string{fmt.Sprintf("topic-%05d", i)})
		records := c.CreateTopics(req, func() metadata.ID {
			ids++
			return scriptID(ids)
		}, 0).Records
		c.Replay(records)
	}
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 12
	b.ReportAllocs()
	for b.Loop() {
		resp, _ := Metadata(c.Image(), req, View{Listener: "PLAINTEXT"})
		if len(resp.Topics) != 10_000 {
			b.Fatal("all topics are there")
		}
	}
}
