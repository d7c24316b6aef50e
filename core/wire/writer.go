package wire

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/heiban/heiban/core/invariant"
)

// writer appends fields to a response.
type writer struct {
	b        []byte
	flexible bool // KIP-482: compact lengths, tagged fields
}

func (w *writer) int16(v int16) { w.b = binary.BigEndian.AppendUint16(w.b, uint16(v)) }
func (w *writer) int32(v int32) { w.b = binary.BigEndian.AppendUint32(w.b, uint32(v)) }
func (w *writer) int64(v int64) { w.b = binary.BigEndian.AppendUint64(w.b, uint64(v)) }

func (w *writer) topicID(v TopicID) { w.b = append(w.b, v[:]...) }

func (w *writer) uvarint(v uint32) {
	if v < 0x80 {
		w.b = append(w.b, byte(v))
		return
	}
	w.b = binary.AppendUvarint(w.b, uint64(v))
}

// string appends a string that is not null.
func (w *writer) string(s string) {
	if w.flexible {
		w.uvarint(uint32(len(s)) + 1)
	} else {
		invariant.True(len(s) <= math.MaxInt16, "a string fits its length field")
		w.int16(int16(len(s)))
	}
	w.b = append(w.b, s...)
}

// nullString appends a string, null if it is empty.
func (w *writer) nullString(s string) {
	switch {
	case s != "":
		w.string(s)
	case w.flexible:
		w.uvarint(0)
	default:
		w.int16(-1)
	}
}

// count appends the length of an array or of bytes that are not null.
func (w *writer) count(n int) {
	if w.flexible {
		w.uvarint(uint32(n) + 1)
	} else {
		w.int32(int32(n))
	}
}

// null appends the length of an array that is null.
func (w *writer) null() {
	if w.flexible {
		w.uvarint(0)
	} else {
		w.int32(-1)
	}
}

// noTags ends a struct that has no tagged fields.
func (w *writer) noTags() {
	if w.flexible {
		w.b = append(w.b, 0)
	}
}

// tag begins a tagged field of size bytes.
func (w *writer) tag(key uint32, size int) {
	w.uvarint(key)
	w.uvarint(uint32(size))
}

// uvarintSize is the number of bytes of v as an unsigned varint.
func uvarintSize(v uint32) int {
	return (bits.Len32(v|1) + 6) / 7
}

// compactSize is the number of bytes of s as a compact string.
func compactSize(s string) int {
	return uvarintSize(uint32(len(s))+1) + len(s)
}

// nodeEndpoints appends the tagged fields at the end of a Produce or Fetch
// response: none, or the one with tag 0 (KIP-951).
func (w *writer) nodeEndpoints(endpoints []NodeEndpoint) {
	if len(endpoints) == 0 {
		w.noTags()
		return
	}
	size := uvarintSize(uint32(len(endpoints)) + 1)
	for i := range endpoints {
		e := &endpoints[i]
		size += 4 + compactSize(e.Host) + 4 + 1 // id, host, port, no tags
		if e.Rack == "" {
			size++
		} else {
			size += compactSize(e.Rack)
		}
	}
	w.uvarint(1)
	w.tag(0, size)
	w.count(len(endpoints))
	for i := range endpoints {
		e := &endpoints[i]
		w.int32(e.ID)
		w.string(e.Host)
		w.int32(e.Port)
		w.nullString(e.Rack)
		w.noTags()
	}
}

// currentLeader appends KIP-951's tagged field.
func (w *writer) currentLeader(key uint32, leaderID, leaderEpoch int32) {
	w.tag(key, 4+4+1)
	w.int32(leaderID)
	w.int32(leaderEpoch)
	w.noTags()
}
