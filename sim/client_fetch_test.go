package sim

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/checker"
)

// A session holds what its broker was told of, until the broker is told to forget it:
// also what is read elsewhere already.
func TestSessionsForgetWhatMoved(t *testing.T) {
	k := NewConsumer(ConsumerConfig{Topics: []string{"t"}, VersionMin: 12, VersionMax: 12})
	stays, moves := &consumedPart{topic: "t"}, &consumedPart{topic: "t"}
	moves.id.Index = 1
	here, there := &fetcher{node: 0}, &fetcher{node: 1}
	fetch := func(f *fetcher, parts ...*consumedPart) (told, forgotten []int32) {
		req := kmsg.NewPtrFetchRequest()
		k.forget(req, &fetchCall{fetcher: f, parts: parts})
		for _, p := range parts {
			if f.tell(toldPart{part: p, offset: p.position}) {
				told = append(told, p.id.Index)
			}
		}
		for _, topic := range req.ForgottenTopics {
			forgotten = append(forgotten, topic.Partitions...)
		}
		f.epoch++
		return told, forgotten
	}
	told, forgotten := fetch(here, stays, moves)
	require.Equal(t, []int32{0, 1}, told)
	require.Empty(t, forgotten)
	told, forgotten = fetch(here, stays, moves)
	require.Empty(t, told)
	require.Empty(t, forgotten)

	here.retell(moves) // it was refused
	told, _ = fetch(there, moves)
	require.Equal(t, []int32{1}, told)
	told, forgotten = fetch(here, stays)
	require.Empty(t, told)
	require.Equal(t, []int32{1}, forgotten)
	_, forgotten = fetch(here, stays)
	require.Empty(t, forgotten, "once")

	stays.position = 5
	told, _ = fetch(here, stays, moves)
	require.Equal(t, []int32{0, 1}, told)

	k.closeSession(here)
	told, forgotten = fetch(here, stays)
	require.Equal(t, []int32{0}, told, "a full fetch")
	require.Empty(t, forgotten)
}

// A node that is behind may not know a topic. A consumer that is told so begins anew when
// it hears of the topic again: what it asked for before is of no use.
func TestConsumersForgetGoneTopics(t *testing.T) {
	j := checker.NewJudge(checker.Limits{})
	k := NewConsumer(ConsumerConfig{Judge: j, Topics: []string{"t"}, VersionMin: 12, VersionMax: 12})
	id := checker.PartitionID{Topic: checker.TopicID{1}}
	j.Meet(id, "t-0", checker.Policy{})
	p := &consumedPart{topic: "t", id: id}
	k.parts = []*consumedPart{p}
	ref := j.Call(checker.Op{Kind: checker.OpOther})
	j.Positioned(0, id, 3) // as its successor is
	call := &fetchCall{
		fetcher: &fetcher{}, parts: []*consumedPart{p}, from: []int64{0}, known: []int64{0},
		called: j.Now(),
	}
	k.assign()
	require.Empty(t, k.parts)

	part := kmsg.NewFetchResponseTopicPartition()
	topic := kmsg.NewFetchResponseTopic()
	topic.Topic, topic.Partitions = "t", append(topic.Partitions, part)
	resp := kmsg.NewPtrFetchResponse()
	resp.Topics = append(resp.Topics, topic)
	k.fetched(call, resp)
	offset := kmsg.NewListOffsetsResponseTopicPartition()
	offsets := kmsg.NewListOffsetsResponseTopic()
	offsets.Partitions = append(offsets.Partitions, offset)
	listed := kmsg.NewPtrListOffsetsResponse()
	listed.Topics = append(listed.Topics, offsets)
	k.answeredList(&listCall{part: p, target: checker.ListEarliest, ref: ref, reset: true}, listed)
	require.Empty(t, j.Found())
	j.Fetched(&checker.Fetched{Partition: id, FetchOffset: 3, End: 3, Called: j.Now()})
	require.Empty(t, j.Found(), "the successor is where it was")
}

// An answer about a position is of no use to a consumer that has read on meanwhile.
func TestConsumersValidateWhereTheyAre(t *testing.T) {
	j := checker.NewJudge(checker.Limits{})
	k := NewConsumer(ConsumerConfig{Judge: j, Topics: []string{"t"}, VersionMin: 12, VersionMax: 12})
	part := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
	part.LeaderEpoch, part.EndOffset = 0, 1
	topic := kmsg.NewOffsetForLeaderEpochResponseTopic()
	topic.Partitions = append(topic.Partitions, part)
	resp := kmsg.NewPtrOffsetForLeaderEpochResponse()
	resp.Topics = append(resp.Topics, topic)
	p := &consumedPart{topic: "t", position: 1, validated: 3}
	call := &validateCall{part: p, position: 1, last: 0, epoch: 4}
	p.position, p.last = 3, 1
	k.answeredValidation(call, resp)
	require.EqualValues(t, 3, p.position)
	require.EqualValues(t, 3, p.validated, "to be asked again")

	p.position, p.last = 1, 0
	k.answeredValidation(call, resp)
	require.EqualValues(t, 1, p.position)
	require.EqualValues(t, 4, p.validated)
}
