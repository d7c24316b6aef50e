package metadata

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/core/config"
)

// history draws records that a controller could have written after those of image.
type history struct {
	image  *Image
	topics int
}

func (h *history) draw(t *rapid.T) []Record {
	var names []string
	for topic := range h.image.Topics() {
		names = append(names, topic.Name)
	}
	kind := rapid.IntRange(0, 8).Draw(t, "kind")
	if len(names) == 0 && kind < 4 {
		kind = 8
	}
	switch kind {
	case 0:
		return []Record{&RemoveTopicRecord{
			TopicID: h.image.Topic(rapid.SampledFrom(names).Draw(t, "topic")).ID,
		}}
	case 1, 2:
		topic := h.image.Topic(rapid.SampledFrom(names).Draw(t, "topic"))
		r := &PartitionChangeRecord{
			TopicID: topic.ID, Leader: NoLeaderChange, LeaderRecoveryState: NoRecoveryStateChange,
			PartitionID: int32(rapid.IntRange(0, len(topic.Partitions)-1).Draw(t, "partition")),
		}
		if rapid.Bool().Draw(t, "elects") {
			r.Leader = rapid.Int32Range(-1, 3).Draw(t, "leader")
		} else {
			r.ISR, r.EligibleLeaderReplicas = []int32{1, 2}, []int32{3}
			r.Directories = []ID{id1}
		}
		return []Record{r}
	case 3:
		return []Record{setConfig(TopicResource, rapid.SampledFrom(names).Draw(t, "topic"),
			"retention.ms", fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "value")))}
	case 4:
		r := setConfig(BrokerResource, rapid.SampledFrom([]string{"", "0", "7"}).Draw(t, "broker"),
			"log.retention.ms", fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "value")))
		if rapid.Bool().Draw(t, "deletes") {
			r.Value = nil
		}
		return []Record{r}
	case 5:
		id := rapid.Int32Range(0, 3).Draw(t, "broker")
		if h.image.Broker(id) != nil && rapid.Bool().Draw(t, "leaves") {
			return []Record{&UnregisterBrokerRecord{BrokerID: id}}
		}
		return []Record{&RegisterBrokerRecord{
			BrokerID: id, BrokerEpoch: h.image.Offset() + 1, LogDirs: []ID{id2},
			Fenced: rapid.Bool().Draw(t, "fenced"),
		}}
	case 6:
		return []Record{&FeatureLevelRecord{
			Name:         rapid.SampledFrom([]string{"a.version", MetadataVersion}).Draw(t, "feature"),
			FeatureLevel: rapid.Int16Range(0, 30).Draw(t, "level"),
		}}
	case 7:
		return []Record{&ProducerIDsRecord{NextProducerID: h.image.NextProducerID() + 1000}}
	default:
		h.topics++
		return newTopic(fmt.Sprintf("t.%d", h.topics), topicID(h.topics),
			rapid.IntRange(1, 3).Draw(t, "partitions"))
	}
}

func (h *history) add(t *rapid.T, most int) {
	for range rapid.IntRange(0, most).Draw(t, "changes") {
		h.image, _ = h.image.Apply(h.draw(t))
	}
}

// An image can be made again of its records, and what lies between two images is found
// without the records in between.
func TestImageFromItsRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, _, err := config.Parse(nil)
		require.NoError(t, err)
		h := &history{image: New(base)}
		h.add(t, 30)
		old := h.image
		h.add(t, 30)

		again, _ := New(base).Apply(h.image.Records())
		require.Equal(t, h.image.Records(), again.Records())
		require.Equal(t, h.image.PartitionCount(), again.PartitionCount())
		for topic := range h.image.Topics() {
			require.Equal(t, topic, again.Topic(topic.Name))
		}
		requireNothing(t, again.Since(h.image))
		requireNothing(t, h.image.Since(again))

		d := h.image.Since(old)
		requireDelta(t, old, h.image, d)
		require.Equal(t, topicNames(d.Created), topicNames(again.Since(old).Created))
	})
}

func requireNothing(t require.TestingT, d *Delta) {
	require.Empty(t, d.Created)
	require.Empty(t, d.Deleted)
	require.Empty(t, d.Partitions)
	require.Empty(t, d.Configured)
	require.Empty(t, d.Resources)
	require.Empty(t, d.Brokers)
	require.False(t, d.Features)
}

// requireDelta checks that what d does not mention is the same in both images.
func requireDelta(t require.TestingT, old, m *Image, d *Delta) {
	for topic := range m.Topics() {
		was := old.TopicByID(topic.ID)
		created := slices.ContainsFunc(d.Created, func(c *Topic) bool { return c == topic })
		require.Equal(t, was == nil, created)
		for i := range topic.Partitions {
			mentioned := slices.ContainsFunc(d.Partitions, func(p PartitionDelta) bool {
				return p.Topic == topic && p.Index == int32(i)
			})
			same := was != nil && topic.Partitions[i].PartitionEpoch == was.Partitions[i].PartitionEpoch
			require.Equal(t, !same, mentioned)
		}
	}
	for topic := range old.Topics() {
		require.Equal(t, m.TopicByID(topic.ID) == nil, slices.Contains(d.Deleted, topic))
	}
	for id := range int32(4) {
		before, after := old.Broker(id), m.Broker(id)
		same := before == nil && after == nil ||
			before != nil && after != nil && sameRecord(registrationOf(before), registrationOf(after))
		require.Equal(t, !same, slices.Contains(d.Brokers, id))
	}
	require.Equal(t, !slices.Equal(old.Features(), m.Features()), d.Features)
}

// A snapshot that is taken inside of a transaction holds what it has so far.
func TestRecordsOfAnOpenTransaction(t *testing.T) {
	m, _ := emptyImage(t).Apply([]Record{
		&BeginTransactionRecord{}, &TopicRecord{Name: "t", TopicID: id1},
	})
	require.Nil(t, m.Topic("t"))
	again, _ := emptyImage(t).Apply(m.Records())
	require.Nil(t, again.Topic("t"))
	again, _ = again.Apply([]Record{&EndTransactionRecord{}})
	require.NotNil(t, again.Topic("t"))
}
