package core

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/quorum"
)

// Every entry of the quorum's log is one batch of the metadata log. What the quorum
// has for itself stands in control batches: an entry without data is a LeaderChange,
// and a change of the membership has a type of its own. Both follow from the entry
// alone, so that the logs of all members are the same, byte for byte.

// membershipControl is the type of control records that change the membership; the
// value is the quorum's own.
const membershipControl batch.ControlType = 100

// noLeaderChange is a LeaderChangeMessage, version 0, that names nobody:
//
//	int16 version | int32 leaderId | array voters | array grantingVoters | tagged fields
//
// Who led in an epoch does not follow from an entry, and nothing depends on it.
var noLeaderChange = []byte{0, 0, 0xff, 0xff, 0xff, 0xff, 1, 1, 0}

// batchOf returns the batch of an entry that stands at base.
func batchOf(entry *quorum.Entry, base int64) []byte {
	o := batch.Options{BaseOffset: base, PartitionLeaderEpoch: int32(entry.Term)}
	switch entry.Kind {
	case quorum.KindData:
		return entry.Data
	case quorum.KindEmpty:
		return batch.AppendControl(nil, o, batch.LeaderChange, 0, noLeaderChange)
	case quorum.KindMembership:
		return batch.AppendControl(nil, o, membershipControl, 0, entry.Data)
	case quorum.KindSnapshot:
	}
	invariant.Fail("an entry of kind %d stands in no log", entry.Kind)
	return nil
}

// entryOf returns the entry of a batch with the header h. Batches of Kafka's and those
// of epoch 0, from before there were terms, are entries like others.
func entryOf(data []byte, h *batch.Header, index uint64) (quorum.Entry, error) {
	if h.PartitionLeaderEpoch < 0 || h.LastOffsetDelta < 0 {
		return quorum.Entry{}, fmt.Errorf("batch at offset %d: leader epoch %d, last offset delta %d",
			h.BaseOffset, h.PartitionLeaderEpoch, h.LastOffsetDelta)
	}
	entry := quorum.Entry{
		Index: index, Term: termOf(h.PartitionLeaderEpoch), Kind: quorum.KindData, Data: data,
	}
	if !h.IsControl() || h.Codec() != batch.Uncompressed || h.RecordCount != 1 {
		return entry, nil
	}
	records := batch.RecordsOf(data[batch.HeaderSize:h.Size], h.RecordCount)
	var r batch.Record
	if !records.Next(&r) || len(r.Key) < controlKeySize {
		return entry, nil
	}
	own := quorum.Entry{Index: index, Term: entry.Term}
	switch batch.ControlType(binary.BigEndian.Uint16(r.Key[2:])) {
	case batch.LeaderChange:
		own.Kind = quorum.KindEmpty
	case membershipControl:
		own.Kind, own.Data = quorum.KindMembership, r.Value
	default:
		return entry, nil
	}
	if !bytes.Equal(batchOf(&own, h.BaseOffset), data) {
		return entry, nil // Kafka's
	}
	return own, nil
}

const controlKeySize = 4 // version int16, type int16

// termOf is the quorum's term of a leader epoch. Terms begin at 1.
func termOf(leaderEpoch int32) uint64 { return uint64(max(1, leaderEpoch)) }
