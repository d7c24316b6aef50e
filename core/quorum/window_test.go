package quorum

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	_ "github.com/heiban/heiban/internal/repeatable"
)

// A window is a slice of entries after a base, cut at both ends.
func TestWindowIsASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := Position{
			Index: rapid.Uint64Range(0, 100).Draw(t, "base"), Term: 1,
		}
		var w window
		w.reset(base)
		w.applied = base
		var model []*raftpb.Entry
		term := uint64(1)
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				applied := int(w.applied.Index - base.Index)
				keep := rapid.IntRange(applied, len(model)).Draw(t, "keep")
				term += rapid.Uint64Range(0, 1).Draw(t, "term")
				var entries []*raftpb.Entry
				for i := range rapid.IntRange(0, 5).Draw(t, "entries") {
					entries = append(entries, &raftpb.Entry{
						Index: new(base.Index + uint64(keep+i) + 1), Term: new(term),
						Data: make([]byte, rapid.IntRange(0, 300).Draw(t, "bytes")),
					})
				}
				held, err := heldBy(&w)
				w.append(entries)
				if len(entries) > 0 {
					model = append(model[:keep:keep], entries...)
				}
				require.NoError(t, err)
				require.NoError(t, held(), "a slice that raft holds changed")
			},
			"apply": func(t *rapid.T) {
				applied := int(w.applied.Index - base.Index)
				if n := rapid.IntRange(applied, len(model)).Draw(t, "applied"); n > 0 {
					w.applied = Position{model[n-1].GetIndex(), model[n-1].GetTerm()}
				}
			},
			"compact": func(t *rapid.T) {
				applied := int(w.applied.Index - base.Index)
				if n := rapid.IntRange(0, applied).Draw(t, "upTo"); n > 0 {
					base = Position{model[n-1].GetIndex(), model[n-1].GetTerm()}
					model = model[n:]
					w.compact(base.Index)
				}
			},
			"install": func(t *rapid.T) {
				base = Position{w.last().Index + rapid.Uint64Range(1, 9).Draw(t, "on"), term}
				model = nil
				w.reset(base)
				w.applied = base
			},
			"": func(t *rapid.T) { checkWindow(t, &w, base, model) },
		})
	})
}

// heldBy takes a slice as raft does and returns a check that it stays what it is.
func heldBy(w *window) (func() error, error) {
	if len(w.entries) == 0 {
		return func() error { return nil }, nil
	}
	held, err := w.Entries(w.base.Index+1, w.last().Index+1, math.MaxUint64)
	before := append([]*raftpb.Entry(nil), held...)
	return func() error {
		for i := range held {
			if held[i] != before[i] {
				return raft.ErrUnavailable
			}
		}
		return nil
	}, err
}

func checkWindow(t *rapid.T, w *window, base Position, model []*raftpb.Entry) {
	first, err := w.FirstIndex()
	require.NoError(t, err)
	require.Equal(t, base.Index+1, first)
	last, err := w.LastIndex()
	require.NoError(t, err)
	require.Equal(t, base.Index+uint64(len(model)), last)
	require.Equal(t, sizeOf(model), w.bytes)

	term, err := w.Term(base.Index)
	require.NoError(t, err)
	require.Equal(t, base.Term, term)
	_, err = w.Term(last + 1)
	require.ErrorIs(t, err, raft.ErrUnavailable)
	_, err = w.Entries(base.Index, last+1, 1)
	require.ErrorIs(t, err, raft.ErrCompacted)
	_, err = w.Entries(first, last+2, 1)
	require.ErrorIs(t, err, raft.ErrUnavailable)
	if base.Index > 0 {
		_, err = w.Term(base.Index - 1)
		require.ErrorIs(t, err, raft.ErrCompacted)
	}
	if len(model) == 0 {
		return
	}
	low := rapid.IntRange(0, len(model)-1).Draw(t, "low")
	high := rapid.IntRange(low+1, len(model)).Draw(t, "high")
	sizeMax := rapid.Uint64Range(0, 1000).Draw(t, "sizeMax")
	got, err := w.Entries(first+uint64(low), first+uint64(high), sizeMax)
	require.NoError(t, err)
	require.NotEmpty(t, got)
	require.Equal(t, model[low:low+len(got)], got)
	size := uint64(0)
	for _, entry := range got {
		size += uint64(proto.Size(entry))
	}
	require.True(t, len(got) == 1 || size <= sizeMax)
	if low+len(got) < high {
		require.Greater(t, size+uint64(proto.Size(model[low+len(got)])), sizeMax)
	}
	term, err = w.Term(got[0].GetIndex())
	require.NoError(t, err)
	require.Equal(t, got[0].GetTerm(), term)
}
