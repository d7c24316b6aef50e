package log

import (
	"fmt"
	"io"
	"math"

	"github.com/heiban/heiban/core/batch"
)

// MaxTimestamp is the target that asks OffsetOfTime for the record with the largest
// timestamp (KIP-734).
const MaxTimestamp = -3

// OffsetOfTime returns the first record of the slice with a timestamp of at least
// target, or with MaxTimestamp the first one of those with the largest timestamp;
// or offset -1 and timestamp -1 (KIP-79). At most one batch after the other is
// expanded, and only one that has such a record.
func (s *Slice) OffsetOfTime(
	r Reader, c batch.Codec, target int64,
) (offset, timestamp int64, err error) {
	if s.from >= s.bound.offset {
		return -1, -1, nil
	}
	f := timeFinder{s: s, w: walker{r: r}, records: batch.Reader{Codec: c, BytesMax: math.MaxInt32}}
	if target == MaxTimestamp {
		if target, err = f.largest(); err != nil || target < 0 {
			return -1, -1, err
		}
	}
	for i := 0; i <= len(s.closed); i++ {
		v := s.segment(i)
		if v.base >= s.bound.offset {
			break
		}
		if v.maxTime < target {
			continue
		}
		offset, timestamp, err = f.inSegment(&v, target)
		if err != nil || offset >= 0 {
			return offset, timestamp, err
		}
	}
	return -1, -1, nil
}

// timeFinder is one lookup by time.
type timeFinder struct {
	s       *Slice
	w       walker
	records batch.Reader
	data    []byte
}

// inSegment returns the first record of a segment at or after target.
func (f *timeFinder) inSegment(v *view, target int64) (offset, timestamp int64, err error) {
	f.w.open(v)
	// All batches before the entry's have smaller timestamps.
	entry, err := v.floorTime(&f.w, target)
	if err != nil {
		return -1, -1, err
	}
	from := max(f.s.from, v.base+int64(entry.relative))
	if from >= f.s.bound.offset {
		return -1, -1, nil
	}
	var h batch.Header
	found, err := f.w.seek(v, from, &h)
	for ; err == nil && found; found, err = f.next(&h) {
		if h.NextOffset() > f.s.bound.offset {
			break
		}
		if h.MaxTimestamp < target {
			continue
		}
		offset, timestamp, err = f.inBatch(&h, target)
		if err != nil || offset >= 0 {
			return offset, timestamp, err
		}
	}
	return -1, -1, err
}

// next goes to the next batch of the segment, if that may be read.
func (f *timeFinder) next(h *batch.Header) (bool, error) {
	f.w.pos += int64(h.Size)
	if f.w.pos >= f.w.size || h.NextOffset() >= f.s.bound.offset {
		return false, nil
	}
	err := f.w.header(h)
	return err == nil, ignore(err, io.EOF)
}

// inBatch returns the first record of a batch at or after target.
func (f *timeFinder) inBatch(h *batch.Header, target int64) (offset, timestamp int64, err error) {
	if cap(f.data) < int(h.Size) {
		f.data = make([]byte, h.Size)
	}
	f.data = f.data[:h.Size]
	if err := readFull(f.w.r, f.w.file, f.data, f.w.pos); err != nil {
		return -1, -1, fmt.Errorf("read %s at %d: %w", f.w.file.Path, f.w.pos, err)
	}
	records, err := f.records.Records(f.data, h)
	if err != nil {
		return -1, -1, fmt.Errorf("expand the batch at %d: %w", h.BaseOffset, err)
	}
	var r batch.Record
	for records.Next(&r) {
		if h.Timestamp(&r) >= target && h.Offset(&r) >= f.s.from {
			return h.Offset(&r), h.Timestamp(&r), nil
		}
	}
	if err := records.Err(); err != nil {
		return -1, -1, fmt.Errorf("read the batch at %d: %w", h.BaseOffset, err)
	}
	return -1, -1, nil
}

// largest returns the largest timestamp of the slice, or -1. The indexes know that
// of whole segments; what the slice has only a part of is walked.
func (f *timeFinder) largest() (int64, error) {
	s, largest := f.s, int64(-1)
	for i := 0; i <= len(s.closed); i++ {
		v := s.segment(i)
		if v.base >= s.bound.offset {
			break
		}
		if v.maxTime <= largest {
			continue
		}
		if s.from <= v.base && v.maxTimeOffset < s.bound.offset {
			largest = v.maxTime
			continue
		}
		in, err := f.largestIn(&v)
		if err != nil {
			return -1, err
		}
		largest = max(largest, in)
	}
	return largest, nil
}

// largestIn walks over the part of a segment that the slice has.
func (f *timeFinder) largestIn(v *view) (int64, error) {
	f.w.open(v)
	largest := int64(-1)
	var h batch.Header
	found, err := f.w.seek(v, f.s.from, &h)
	for ; err == nil && found; found, err = f.next(&h) {
		if h.NextOffset() > f.s.bound.offset {
			break
		}
		most := h.MaxTimestamp
		if h.BaseOffset < f.s.from && most > largest {
			// Only a part of the batch counts.
			if most, err = f.largestOf(&h); err != nil {
				return -1, err
			}
		}
		largest = max(largest, most)
	}
	return largest, err
}

// largestOf returns the largest timestamp of the records of a batch that the slice
// has.
func (f *timeFinder) largestOf(h *batch.Header) (int64, error) {
	largest := int64(-1)
	for target := int64(0); ; target = largest + 1 {
		_, timestamp, err := f.inBatch(h, target)
		if err != nil || timestamp < 0 {
			return largest, err
		}
		largest = timestamp
	}
}
