package quorum

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/mutant"
)

// entryOverheadBytes is about what an entry takes in memory besides its data.
const entryOverheadBytes = 96

// window is the part of the log that is stored and not compacted, as raft's Storage.
// What is not stored yet raft keeps itself.
type window struct {
	base    Position // the entry before the first one
	entries []*raftpb.Entry
	bytes   int

	applied    Position
	membership Membership        // as of applied
	hard       *raftpb.HardState // at the start
}

// reset empties the window; the log goes on after base.
func (w *window) reset(base Position) {
	w.base, w.entries, w.bytes = base, nil, 0
}

// last is the last entry stored.
func (w *window) last() Position {
	if n := len(w.entries); n > 0 {
		return Position{w.entries[n-1].GetIndex(), w.entries[n-1].GetTerm()}
	}
	return w.base
}

// append adds entries, in place of those at their indexes and above. Raft may still
// hold slices of the window, so no element of it is replaced.
func (w *window) append(entries []*raftpb.Entry) {
	if len(entries) == 0 {
		return
	}
	first := entries[0].GetIndex()
	invariant.True(first > w.base.Index, "entries are appended after the snapshot")
	invariant.True(first <= w.last().Index+1, "entries are appended without a gap")
	if keep := int(first - w.base.Index - 1); keep < len(w.entries) {
		invariant.True(first > w.applied.Index, "no applied entry is truncated")
		w.bytes -= sizeOf(w.entries[keep:])
		w.entries = w.entries[:keep:keep]
	}
	w.entries = append(w.entries, entries...)
	w.bytes += sizeOf(entries)
}

// compact drops the entries up to index, which the window must hold.
func (w *window) compact(index uint64) {
	drop := int(index - w.base.Index)
	w.base = Position{index, w.entries[drop-1].GetTerm()}
	w.bytes -= sizeOf(w.entries[:drop])
	w.entries = append([]*raftpb.Entry(nil), w.entries[drop:]...)
}

// here is the snapshot of the applied state.
func (w *window) here(mutants mutant.Set) Snapshot {
	at := w.applied
	if mutants.On(mutant.K7SnapshotAboveCommit) {
		at = w.last()
	}
	return Snapshot{Position: at, Membership: w.membership.clone()}
}

func sizeOf(entries []*raftpb.Entry) int {
	size := 0
	for _, entry := range entries {
		size += len(entry.GetData()) + entryOverheadBytes
	}
	return size
}

// InitialState is part of raft.Storage.
func (w *window) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	return w.hard, w.membership.toRaft(), nil
}

// Entries is part of raft.Storage.
func (w *window) Entries(low, high, maxSize uint64) ([]*raftpb.Entry, error) {
	if low <= w.base.Index {
		return nil, raft.ErrCompacted
	}
	if high > w.last().Index+1 {
		return nil, raft.ErrUnavailable
	}
	entries := w.entries[low-w.base.Index-1 : high-w.base.Index-1]
	size := uint64(0)
	for i, entry := range entries {
		size += uint64(proto.Size(entry))
		if i > 0 && size > maxSize {
			entries = entries[:i]
			break
		}
	}
	return entries[:len(entries):len(entries)], nil
}

// Term is part of raft.Storage.
func (w *window) Term(index uint64) (uint64, error) {
	switch {
	case index < w.base.Index:
		return 0, raft.ErrCompacted
	case index == w.base.Index:
		return w.base.Term, nil
	case index > w.last().Index:
		return 0, raft.ErrUnavailable
	}
	return w.entries[index-w.base.Index-1].GetTerm(), nil
}

// LastIndex is part of raft.Storage.
func (w *window) LastIndex() (uint64, error) { return w.last().Index, nil }

// FirstIndex is part of raft.Storage.
func (w *window) FirstIndex() (uint64, error) { return w.base.Index + 1, nil }

// Snapshot is part of raft.Storage. What is sent is made at the end of the input.
func (w *window) Snapshot() (*raftpb.Snapshot, error) {
	return Snapshot{Position: w.applied, Membership: w.membership}.toRaft(), nil
}
