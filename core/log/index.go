package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"
)

// offsetEntry is an entry of an offset index: the last offset of a batch relative
// to the segment's base, and the position where that batch starts.
//
//	off len field
//	  0   4 relative offset
//	  4   4 position
type offsetEntry struct {
	relative uint32
	pos      uint32
}

// timeEntry is an entry of a time index: the largest timestamp so far, and the last
// offset of the first batch that has it, relative to the segment's base.
//
//	off len field
//	  0   8 timestamp
//	  8   4 relative offset
type timeEntry struct {
	time     int64
	relative uint32
}

const (
	offsetEntrySize = 8
	timeEntrySize   = 12
)

// appendTime adds an entry, unless the timestamp is no larger than the last one.
func appendTime(times []timeEntry, time int64, relative uint32) []timeEntry {
	if time < 0 || len(times) > 0 && time <= times[len(times)-1].time {
		return times
	}
	return append(times, timeEntry{time: time, relative: relative})
}

func encodeOffsets(entries []offsetEntry) []byte {
	p := make([]byte, 0, len(entries)*offsetEntrySize)
	for _, e := range entries {
		p = binary.BigEndian.AppendUint32(p, e.relative)
		p = binary.BigEndian.AppendUint32(p, e.pos)
	}
	return p
}

func decodeOffset(p []byte) offsetEntry {
	return offsetEntry{
		relative: binary.BigEndian.Uint32(p),
		pos:      binary.BigEndian.Uint32(p[4:]),
	}
}

func encodeTimes(entries []timeEntry) []byte {
	p := make([]byte, 0, len(entries)*timeEntrySize)
	for _, e := range entries {
		p = binary.BigEndian.AppendUint64(p, uint64(e.time))
		p = binary.BigEndian.AppendUint32(p, e.relative)
	}
	return p
}

func decodeTime(p []byte) timeEntry {
	return timeEntry{
		time:     int64(binary.BigEndian.Uint64(p)),
		relative: binary.BigEndian.Uint32(p[8:]),
	}
}

// decodeOffsets decodes a whole offset index. It reports false if the entries do
// not increase, or point beyond a log of the given size.
func decodeOffsets(p []byte, size int64) ([]offsetEntry, bool) {
	if len(p)%offsetEntrySize != 0 {
		return nil, false
	}
	entries := make([]offsetEntry, 0, len(p)/offsetEntrySize)
	for ; len(p) > 0; p = p[offsetEntrySize:] {
		e := decodeOffset(p)
		if n := len(entries); n > 0 &&
			(e.relative <= entries[n-1].relative || e.pos <= entries[n-1].pos) {
			return nil, false
		}
		if int64(e.pos) >= size {
			return nil, false
		}
		entries = append(entries, e)
	}
	return entries, true
}

// decodeTimes decodes a whole time index. It reports false if the entries do not
// increase.
func decodeTimes(p []byte) ([]timeEntry, bool) {
	if len(p)%timeEntrySize != 0 {
		return nil, false
	}
	entries := make([]timeEntry, 0, len(p)/timeEntrySize)
	for ; len(p) > 0; p = p[timeEntrySize:] {
		e := decodeTime(p)
		if n := len(entries); n > 0 &&
			(e.time <= entries[n-1].time || e.relative < entries[n-1].relative) {
			return nil, false
		}
		entries = append(entries, e)
	}
	return entries, true
}

// floorOffset returns the position of the last entry whose offset is at most
// relative, or 0.
func floorOffset(entries []offsetEntry, relative int64) int64 {
	i := sort.Search(len(entries),
		func(i int) bool { return int64(entries[i].relative) > relative })
	if i == 0 {
		return 0
	}
	return int64(entries[i-1].pos)
}

// floorTime returns the last entry whose timestamp is at most target, or a zero
// entry with timestamp -1.
func floorTime(entries []timeEntry, target int64) timeEntry {
	i := sort.Search(len(entries), func(i int) bool { return entries[i].time > target })
	if i == 0 {
		return timeEntry{time: -1}
	}
	return entries[i-1]
}

// view is what a reader needs of one segment. It never changes.
type view struct {
	files         *segmentFiles
	offsets       []offsetEntry
	times         []timeEntry
	base          int64
	end           int64
	size          int64
	maxTime       int64
	maxTimeOffset int64
	offsetEntries int
	timeEntries   int
	inFiles       bool // the indexes are in files
}

// floorOffset returns a position at or before the first batch that ends at or
// after offset.
func (v *view) floorOffset(w *walker, offset int64) (int64, error) {
	relative := offset - v.base
	switch {
	case relative <= 0:
		return 0, nil
	case !v.inFiles:
		return floorOffset(v.offsets, relative), nil
	}
	entry, err := w.searchFile(v.files.index, v.offsetEntries, offsetEntrySize,
		func(p []byte) bool { return int64(decodeOffset(p).relative) > relative })
	if err != nil || entry == nil {
		return 0, err
	}
	return int64(decodeOffset(entry).pos), nil
}

// floorTime returns the last entry of the time index whose timestamp is at most
// target, or a zero entry with timestamp -1.
func (v *view) floorTime(w *walker, target int64) (timeEntry, error) {
	if !v.inFiles {
		return floorTime(v.times, target), nil
	}
	entry, err := w.searchFile(v.files.timeIndex, v.timeEntries, timeEntrySize,
		func(p []byte) bool { return decodeTime(p).time > target })
	if err != nil || entry == nil {
		return timeEntry{time: -1}, err
	}
	return decodeTime(entry), nil
}

// searchFile returns the last of n entries of an index file for which above is
// false, or nil. It halves the file until the rest fits one read.
func (w *walker) searchFile(f FileRef, n, size int, above func([]byte) bool) ([]byte, error) {
	w.forget()
	lo, hi := 0, n // entries before lo are not above; those from hi on are
	block := len(w.buf) / size
	for hi-lo > block {
		mid := lo + (hi-lo)/2
		p := w.buf[:size]
		if err := readFull(w.r, f, p, int64(mid)*int64(size)); err != nil {
			return nil, fmt.Errorf("read index %s: %w", f.Path, err)
		}
		if above(p) {
			hi = mid
		} else {
			lo = mid
		}
	}
	if hi == lo {
		return nil, nil
	}
	p := w.buf[:(hi-lo)*size]
	if err := readFull(w.r, f, p, int64(lo)*int64(size)); err != nil {
		return nil, fmt.Errorf("read index %s: %w", f.Path, err)
	}
	i := sort.Search(hi-lo, func(i int) bool { return above(p[i*size : (i+1)*size]) })
	if i == 0 {
		return nil, nil
	}
	return p[(i-1)*size : i*size], nil
}

// readFull reads all of p or returns an error.
func readFull(r Reader, f FileRef, p []byte, pos int64) error {
	n, err := r.ReadAt(f, p, pos)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
