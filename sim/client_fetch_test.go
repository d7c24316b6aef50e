package sim

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
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
