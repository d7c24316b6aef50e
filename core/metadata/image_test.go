package metadata

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/core/config"
	_ "github.com/heiban/heiban/internal/repeatable"
)

func emptyImage(t testing.TB) *Image {
	b, _, err := config.Parse(nil)
	require.NoError(t, err)
	return New(b)
}

func topicID(n int) (id ID) {
	binary.BigEndian.PutUint64(id[:], uint64(n)*0x9e3779b97f4a7c15) // in no order
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

// newTopic returns the records of a topic with partitions led by broker 1.
func newTopic(name string, id ID, partitions int) []Record {
	records := []Record{&TopicRecord{Name: name, TopicID: id}}
	for i := range partitions {
		records = append(records, &PartitionRecord{
			PartitionID: int32(i), TopicID: id, Replicas: []int32{1}, ISR: []int32{1}, Leader: 1,
		})
	}
	return records
}

func setConfig(kind ResourceType, resource, name, value string) *ConfigRecord {
	return &ConfigRecord{ResourceType: kind, ResourceName: resource, Name: name, Value: &value}
}

func topicNames(topics []*Topic) []string {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	return names
}

func TestTopicLife(t *testing.T) {
	empty := emptyImage(t)
	require.Equal(t, int64(-1), empty.Offset())
	m, d := empty.Apply(append(newTopic("b", id1, 2), newTopic("a", id2, 1)...))
	require.Equal(t, []string{"a", "b"}, topicNames(d.Created))
	require.Equal(t, []PartitionDelta{
		{Topic: m.Topic("a"), Index: 0, New: true, Leader: true, Replicas: true},
		{Topic: m.Topic("b"), Index: 0, New: true, Leader: true, Replicas: true},
		{Topic: m.Topic("b"), Index: 1, New: true, Leader: true, Replicas: true},
	}, d.Partitions)
	require.Empty(t, d.Configured)
	require.Equal(t, int64(4), m.Offset())
	require.Equal(t, int64(9), m.At(9).Offset())
	require.Equal(t, 2, m.TopicCount())
	require.Equal(t, 3, m.PartitionCount())
	require.Same(t, m.Topic("b"), m.TopicByID(id1))
	require.Same(t, m.Topic("a").Config, m.Topic("b").Config)
	require.Zero(t, empty.TopicCount(), "the old image is as it was")

	changed, d := m.Apply([]Record{
		&PartitionChangeRecord{
			PartitionID: 1, TopicID: id1, Leader: 1, LeaderRecoveryState: NoRecoveryStateChange,
		},
		&PartitionChangeRecord{
			PartitionID: 1, TopicID: id1, Leader: NoLeaderChange, ISR: []int32{1, 2},
			LeaderRecoveryState: 1,
		},
	})
	require.Equal(t, []PartitionDelta{
		{Topic: changed.Topic("b"), Index: 1, Leader: true, Replicas: true},
	}, d.Partitions)
	p := changed.Topic("b").Partitions[1]
	require.Equal(t, Partition{
		Replicas: []int32{1}, ISR: []int32{1, 2}, Leader: 1, LeaderEpoch: 1, PartitionEpoch: 2,
		RecoveryState: 1,
	}, p)
	require.Zero(t, m.Topic("b").Partitions[1].LeaderEpoch, "the old image is as it was")

	removed, d := changed.Apply([]Record{&RemoveTopicRecord{TopicID: id1}})
	require.Equal(t, []string{"b"}, topicNames(d.Deleted))
	require.Nil(t, removed.Topic("b"))
	require.Nil(t, removed.TopicByID(id1))
	require.Equal(t, 1, removed.PartitionCount())
}

// A topic may be deleted and created anew under its name at one go. A topic that
// comes and goes at one go is not mentioned.
func TestRecreation(t *testing.T) {
	m, _ := emptyImage(t).Apply(newTopic("a", id1, 1))
	m, d := m.Apply(append([]Record{&RemoveTopicRecord{TopicID: id1}}, newTopic("a", id2, 3)...))
	require.Equal(t, []string{"a"}, topicNames(d.Created))
	require.Equal(t, id1, d.Deleted[0].ID)
	require.Equal(t, id2, m.Topic("a").ID)
	require.Len(t, d.Partitions, 3)

	_, d = m.Apply(append(newTopic("x", id1, 1), &RemoveTopicRecord{TopicID: id1}))
	require.Equal(t, &Delta{}, d)
}

func TestConfigs(t *testing.T) {
	m, _ := emptyImage(t).Apply(append(newTopic("a", id1, 1), newTopic("b", id2, 1)...))
	m, d := m.Apply([]Record{
		setConfig(TopicResource, "a", "retention.ms", "5"),
		setConfig(TopicResource, "b", "retention.ms", "604800000"), // the default
		setConfig(TopicResource, "gone", "retention.ms", "5"),
	})
	require.Equal(t, []string{"a"}, topicNames(d.Configured))
	require.Equal(t, int64(5), m.Topic("a").Config.RetentionMillis)
	require.Equal(t, []config.Entry{{Name: "retention.ms", Value: "5"}}, m.Configs(TopicResource, "a"))
	require.Nil(t, m.Configs(TopicResource, "gone"))

	m, d = m.Apply([]Record{
		setConfig(BrokerResource, "", "log.retention.ms", "7"),
		setConfig(BrokerResource, "1", "message.max.bytes", "100"),
		setConfig(BrokerResource, "2", "message.max.bytes", "200"),
	})
	require.True(t, d.NodeConfig)
	require.Equal(t, []string{"a", "b"}, topicNames(d.Configured))
	require.Len(t, d.Resources, 3)
	require.Equal(t, int32(100), m.Config().MessageMaxBytes)
	require.Equal(t, int64(5), m.Topic("a").Config.RetentionMillis)
	require.Equal(t, int32(100), m.Topic("b").Config.MaxMessageBytes)
	require.Same(t, m.Topic("a"), m.TopicByID(id1))

	m, d = m.Apply([]Record{
		&ConfigRecord{ResourceType: BrokerResource, ResourceName: "1", Name: "message.max.bytes"},
		&ConfigRecord{ResourceType: TopicResource, ResourceName: "a", Name: "retention.ms"},
	})
	require.Equal(t, []string{"a", "b"}, topicNames(d.Configured))
	require.Equal(t, int64(7), m.Topic("a").Config.RetentionMillis)
	require.Empty(t, m.Topic("a").Overrides)
	require.Len(t, m.Resources(), 2, "nothing is left of the broker without values")

	_, d = m.Apply([]Record{setConfig(BrokerResource, "2", "message.max.bytes", "300")})
	require.False(t, d.NodeConfig, "it is another node's")
	require.Equal(t, []Resource{{
		Type: BrokerResource, Name: "2",
		Entries: []config.Entry{{Name: "message.max.bytes", Value: "300"}},
	}}, d.Resources)
}

func TestBrokersAndFeatures(t *testing.T) {
	m, d := emptyImage(t).Apply([]Record{
		&RegisterBrokerRecord{BrokerID: 2, BrokerEpoch: 4, Fenced: true},
		&RegisterBrokerRecord{
			BrokerID: 1, BrokerEpoch: 5,
			EndPoints: []BrokerEndpoint{{Name: "PLAINTEXT", Host: "h", Port: 1}},
		},
		&FeatureLevelRecord{Name: MetadataVersion, FeatureLevel: 29},
		&FeatureLevelRecord{Name: GroupVersion, FeatureLevel: 1},
		&ProducerIDsRecord{NextProducerID: 3000},
	})
	require.Equal(t, []int32{1, 2}, d.Brokers)
	require.True(t, d.Features)
	require.False(t, m.Broker(2).Active())
	require.True(t, m.Broker(1).Active())
	require.Equal(t, "h", m.Broker(1).Endpoint("PLAINTEXT").Host)
	require.Nil(t, m.Broker(1).Endpoint("SSL"))
	require.Equal(t, int64(3000), m.NextProducerID())
	require.Equal(t, []Feature{{GroupVersion, 1}, {MetadataVersion, 29}}, m.Features())

	m, d = m.Apply([]Record{
		&BrokerRegistrationChangeRecord{BrokerID: 2, BrokerEpoch: 4, Fenced: -1, LogDirs: []ID{id1}},
		&UnregisterBrokerRecord{BrokerID: 1, BrokerEpoch: 5},
		&FeatureLevelRecord{Name: GroupVersion},
		&NoOpRecord{},
	})
	require.Equal(t, []int32{1, 2}, d.Brokers)
	require.Nil(t, m.Broker(1))
	require.True(t, m.Broker(2).Active())
	require.Equal(t, []ID{id1}, m.Broker(2).LogDirs)
	require.Zero(t, m.Feature(GroupVersion))
	require.Equal(t, int16(29), m.Feature(MetadataVersion))
	m, _ = m.Apply([]Record{
		&BrokerRegistrationChangeRecord{BrokerID: 2, BrokerEpoch: 4, InControlledShutdown: 1},
	})
	require.False(t, m.Broker(2).Active())
}

// The records of a transaction take effect together, also if it spans several
// batches, and not at all if it is aborted (KIP-868).
func TestTransactions(t *testing.T) {
	m, d := emptyImage(t).Apply(append([]Record{&BeginTransactionRecord{}}, newTopic("a", id1, 1)...))
	require.Equal(t, &Delta{}, d)
	require.Zero(t, m.TopicCount())
	require.Equal(t, int64(2), m.Offset())
	aborted, _ := m.Apply([]Record{&AbortTransactionRecord{}})
	require.Zero(t, aborted.TopicCount())
	ended, d := m.Apply([]Record{&NoOpRecord{}, &EndTransactionRecord{}})
	require.Equal(t, []string{"a"}, topicNames(d.Created))
	require.Equal(t, 1, ended.PartitionCount())
}

func TestColliding(t *testing.T) {
	m, _ := emptyImage(t).Apply(append(newTopic("a.b_c", id1, 1), newTopic("ab", id2, 1)...))
	require.Equal(t, "a.b_c", m.Colliding("a_b.c").Name)
	require.Nil(t, m.Colliding("a_b"))
	require.Nil(t, m.Colliding("ab"))
	m, _ = m.Apply([]Record{&RemoveTopicRecord{TopicID: id1}})
	require.Nil(t, m.Colliding("a_b.c"))
}

func TestTopicsFrom(t *testing.T) {
	m := emptyImage(t)
	for i := range 1000 {
		m, _ = m.Apply(newTopic(fmt.Sprintf("t%04d", (i*7)%1000), topicID(i), 1))
	}
	var got []string
	for topic := range m.TopicsFrom("t0500x") {
		got = append(got, topic.Name)
	}
	require.Len(t, got, 499)
	require.Equal(t, "t0501", got[0])
	require.True(t, slices.IsSorted(got))
	for topic := range m.Topics() {
		require.Equal(t, "t0000", topic.Name)
		break
	}
}

// Records that contradict the image are bugs of their author.
func TestContradictions(t *testing.T) {
	m, _ := emptyImage(t).Apply(newTopic("a", id1, 1))
	for _, r := range []Record{
		&TopicRecord{Name: "a", TopicID: id2},
		&TopicRecord{Name: "b", TopicID: id1},
		&PartitionRecord{TopicID: id1, PartitionID: 2},
		&PartitionRecord{TopicID: id2},
		&PartitionChangeRecord{TopicID: id1, PartitionID: 1},
		&RemoveTopicRecord{TopicID: id2},
		&BrokerRegistrationChangeRecord{BrokerID: 1},
	} {
		require.Panics(t, func() { m.Apply([]Record{r}) }, "%T", r)
	}
}

type pair struct{ key, value int }

func byKey(p pair, key int) int { return cmp.Compare(p.key, key) }

// An index behaves as a sorted slice, and no change shows in versions of it that are
// older than what its author calls its own.
func TestIndex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x, old index[pair]
		var model, oldModel []pair
		bulk := rapid.IntRange(0, 3*chunkMax).Draw(t, "bulk")
		own := fresh[pair]{}
		for i := range bulk {
			p := pair{key: 2 * i}
			x = put(x, p.key, p, byKey, own)
			model = append(model, p)
		}
		for step := range rapid.IntRange(0, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "new author") {
				own = fresh[pair]{}
				old, oldModel = x, slices.Clone(model)
			}
			p := pair{key: rapid.IntRange(-1, 2*bulk+1).Draw(t, "key"), value: 1 + step}
			i, ok := slices.BinarySearchFunc(model, p.key, byKey)
			if rapid.Bool().Draw(t, "put") {
				x = put(x, p.key, p, byKey, own)
				if ok {
					model[i] = p
				} else {
					model = slices.Insert(model, i, p)
				}
			} else {
				x = drop(x, p.key, byKey)
				if ok {
					model = slices.Delete(model, i, i+1)
				}
			}
			for n, v := range []index[pair]{old, x} {
				want := [][]pair{oldModel, model}[n]
				got := []pair(nil)
				from(&v, -2, byKey, func(p pair) bool { got = append(got, p); return true })
				require.True(t, slices.Equal(want, got))
				require.Equal(t, len(want), v.n)
			}
			_, found := get(&x, p.key, byKey)
			_, ok = slices.BinarySearchFunc(model, p.key, byKey)
			require.Equal(t, ok, found)
		}
	})
}

func bigImage(b *testing.B, topics int) *Image {
	m := emptyImage(b)
	for i := range topics {
		m, _ = m.Apply(newTopic(fmt.Sprintf("topic.%05d", (i*7919)%topics), topicID(i), 1))
	}
	require.Equal(b, topics, m.TopicCount())
	return m
}

func BenchmarkCreateTopic(b *testing.B) {
	m := bigImage(b, 10_000)
	records := newTopic("topic.05000x", ID{1}, 1)
	b.ReportAllocs()
	for b.Loop() {
		m.Apply(records)
	}
}

func BenchmarkTopic(b *testing.B) {
	m := bigImage(b, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		if m.Topic("topic.05000") == nil {
			b.Fatal("it is there")
		}
	}
}

// What min.insync.replicas was decides who is eligible; when it changes, nobody is.
func TestClearELR(t *testing.T) {
	eligible := func(id ID) *PartitionRecord {
		return &PartitionRecord{
			TopicID: id, Replicas: []int32{1, 2}, ISR: []int32{1}, Leader: 1,
			EligibleLeaderReplicas: []int32{2}, LastKnownELR: []int32{1},
		}
	}
	m, _ := emptyImage(t).Apply([]Record{
		&TopicRecord{Name: "a", TopicID: id1}, eligible(id1),
		&TopicRecord{Name: "b", TopicID: id2}, eligible(id2),
	})
	none := Partition{Replicas: []int32{1, 2}, ISR: []int32{1}, Leader: 1}

	one, d := m.Apply([]Record{&ClearELRRecord{TopicName: "b"}, &ClearELRRecord{TopicName: "gone"}})
	require.Equal(t, []PartitionDelta{{Topic: one.Topic("b"), Replicas: true}}, d.Partitions)
	require.Equal(t, none, one.Topic("b").Partitions[0])
	require.Equal(t, []int32{2}, one.Topic("a").Partitions[0].ELR)
	require.Equal(t, []int32{2}, m.Topic("b").Partitions[0].ELR, "the old image is as it was")

	all, d := one.Apply([]Record{&ClearELRRecord{}})
	require.Equal(t, []PartitionDelta{{Topic: all.Topic("a"), Replicas: true}}, d.Partitions)
	require.Equal(t, none, all.Topic("a").Partitions[0])
}

// A log directory is cordoned by the registration or by a change of it (KIP-1066).
func TestCordonedLogDirs(t *testing.T) {
	m, _ := emptyImage(t).Apply([]Record{
		&RegisterBrokerRecord{BrokerID: 1, LogDirs: []ID{id1, id2}, CordonedLogDirs: []ID{id1}},
	})
	require.Equal(t, []ID{id1}, m.Broker(1).CordonedLogDirs)
	m, _ = m.Apply([]Record{&BrokerRegistrationChangeRecord{BrokerID: 1, Fenced: -1}})
	require.Equal(t, []ID{id1}, m.Broker(1).CordonedLogDirs)
	m, d := m.Apply([]Record{&BrokerRegistrationChangeRecord{BrokerID: 1, CordonedLogDirs: []ID{}}})
	require.Nil(t, m.Broker(1).CordonedLogDirs)
	require.Equal(t, []int32{1}, d.Brokers)
}
