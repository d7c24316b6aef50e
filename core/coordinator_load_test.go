package core

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/group"
	"github.com/heiban/heiban/core/metadata"
)

// Kafka's coordinators commit offsets in transactions too: those count once they are
// committed.
func TestReplayOfTransactions(t *testing.T) {
	base, _, err := config.Parse(nil)
	require.NoError(t, err)
	replay := newGroupReplay(group.Options{Image: metadata.New(base)})
	add := func(data []byte) {
		var h batch.Header
		require.NoError(t, batch.Parse(data, &h))
		require.NoError(t, replay.batch(&batch.Reader{}, data, &h))
	}
	commit := func(producer, offset int64) {
		var b batch.Builder
		o := batch.Options{ProducerID: batch.NoProducerID, ProducerEpoch: -1, BaseSequence: -1}
		if producer >= 0 {
			o = batch.Options{HasProducer: true, ProducerID: producer, Transactional: true}
		}
		b.Reset(&o)
		key := group.Key{Type: group.OffsetCommitType, Group: "g", Name: "t"}
		value := &kmsg.OffsetCommitValue{Version: 3, Offset: offset, CommitTimestamp: 1}
		b.Append(1, group.AppendKey(nil, key), group.AppendValue(nil, value), nil)
		data, err := b.Finish(nil, nil)
		require.NoError(t, err)
		add(data)
	}
	end := func(producer int64, committed bool) {
		add(batch.AppendMarker(nil, &batch.Marker{ProducerID: producer, Commit: committed}))
	}
	commit(-1, 1)
	commit(7, 2)
	commit(8, 3)
	commit(9, 4)
	end(8, true)
	end(7, false)
	require.Len(t, replay.open, 1)
	require.Equal(t, int64(3), offsetOf(t, replay.shard))
	end(9, true)
	end(9, true)
	require.Empty(t, replay.open)
	require.Equal(t, int64(4), offsetOf(t, replay.shard))
}

// offsetOf is what group g has committed of t-0.
func offsetOf(t *testing.T, s *group.Shard) int64 {
	req := &kmsg.OffsetFetchRequest{Version: 7, Group: "g"}
	d := s.Decide(&group.Context{Now: clock.Time{}}, req)
	s.Apply(d)
	require.Len(t, d.Answers, 1)
	resp := d.Answers[0].Response.(*kmsg.OffsetFetchResponse)
	require.Len(t, resp.Topics, 1)
	return resp.Topics[0].Partitions[0].Offset
}

func TestBatchesThatCannotBeReplayed(t *testing.T) {
	base, _, err := config.Parse(nil)
	require.NoError(t, err)
	replay := newGroupReplay(group.Options{Image: metadata.New(base)})
	build := func(o batch.Options, key, value []byte) ([]byte, *batch.Header) {
		var b batch.Builder
		b.Reset(&o)
		b.Append(1, key, value, nil)
		data, err := b.Finish(nil, nil)
		require.NoError(t, err)
		var h batch.Header
		require.NoError(t, batch.Parse(data, &h))
		return data, &h
	}
	key := group.AppendKey(nil, group.Key{Type: group.OffsetCommitType, Group: "g", Name: "t"})
	for name, c := range map[string]struct { // in any order
		options batch.Options
		key     []byte
		value   []byte
		err     error
	}{
		"no type":         {key: []byte{0}, err: group.ErrCorrupt},
		"unknown version": {key: key, value: []byte{0, 99}, err: group.ErrUnsupported},
		"foreign type":    {key: []byte{0, 99}},
		"foreign control": {options: batch.Options{Control: true}, key: []byte{0, 0, 0, 99}},
		"broken control": {
			options: batch.Options{Control: true}, key: []byte{0}, err: batch.ErrControl,
		},
	} {
		data, h := build(c.options, c.key, c.value)
		err := replay.batch(&batch.Reader{}, data, h)
		if c.err == nil {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorIs(t, err, c.err, name)
	}
}
