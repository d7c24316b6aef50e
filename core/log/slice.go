package log

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/invariant"
)

// Range is a run of bytes in one file.
type Range struct {
	File FileRef
	Pos  int64
	Len  int
}

// plenty stands for the bytes between two segments, which are not counted.
const plenty = math.MaxInt32

// readBytes is how much a walk over headers reads at once: about one interval of
// the index.
const readBytes = 4096

// Slice is what a fetch may read: the batches from an offset up to a bound. It is
// immutable, outlives the step, and may be used in any goroutine while the log goes
// on. A Reader had best keep the files it opened by their ids: what it opens by name
// later may be gone, or compacted.
type Slice struct {
	closed []*segment // from the one that holds the offset on
	last   view       // the active segment
	from   int64
	bound  place
	start  int64 // position of the batch that holds from, if known
	size   int64 // of that batch
}

// SliceFrom returns what may be read from fetchOffset, in [LogStartOffset, bound],
// up to bound, and about how many bytes that is. What is not written yet is left
// out. The bytes are exact near the end of the log; to the end of an older segment
// they are math.MaxInt32, as plenty.
func (l *Log) SliceFrom(fetchOffset, bound int64) (Slice, int64) {
	invariant.True(fetchOffset >= l.logStart, "a fetch starts within the log")
	bound = min(bound, l.readable())
	s := Slice{last: l.active.view(), from: fetchOffset, bound: l.placeOf(bound), start: unknown}
	if fetchOffset < l.active.base {
		s.closed = l.closed[max(0, findSegment(l.closed, fetchOffset)):]
	}
	if fetchOffset >= bound {
		return s, 0
	}
	if s.bound.base == l.active.base {
		if len(s.closed) > 0 {
			return s, plenty
		}
		return s, l.tailBytes(&s)
	}
	if holder := s.closed[0]; holder.base != s.bound.base {
		return s, plenty
	} else if holder.state != sealed {
		return s, indexedBytes(holder.offsets, holder.base, &s)
	}
	return s, plenty
}

// tailBytes sets where s starts, if that is one of the last batches, and returns
// how many bytes s is.
func (l *Log) tailBytes(s *Slice) int64 {
	i := l.findTail(s.from)
	if i < 0 || s.bound.pos < 0 {
		return indexedBytes(l.active.offsets, l.active.base, s)
	}
	s.start, s.size = int64(l.tail[i].pos), int64(l.tail[i].size)
	return max(0, s.bound.pos-s.start)
}

// indexedBytes returns about how many bytes s is, going by an index.
func indexedBytes(offsets []offsetEntry, base int64, s *Slice) int64 {
	end := s.bound.pos
	if end < 0 {
		end = floorOffset(offsets, s.bound.offset-base)
	}
	// An index is coarse. What may be read is at least one byte.
	return max(1, end-floorOffset(offsets, s.from-base))
}

// segment returns the i-th segment of the slice.
func (s *Slice) segment(i int) view {
	if i < len(s.closed) {
		return s.closed[i].view()
	}
	return s.last
}

// Locate finds the bytes to send: from the batch that holds the fetch offset, at
// most maxBytes, but at least the first whole batch if atLeastOne (KIP-74). It ends
// at the bound or the segment's end at a batch, at maxBytes anywhere. It returns an
// empty Range when there is nothing, or when the first batch does not fit.
func (s *Slice) Locate(r Reader, maxBytes int32, atLeastOne bool) (Range, error) {
	if s.from >= s.bound.offset || maxBytes <= 0 && !atLeastOne {
		return Range{}, nil
	}
	w := walker{r: r}
	for i := 0; i <= len(s.closed); i++ {
		v := s.segment(i)
		if v.base >= s.bound.offset {
			break
		}
		pos, size, err := s.first(&w, &v, i)
		if err != nil {
			return Range{}, err
		}
		if size == 0 {
			continue // a gap that compaction left: go on in the next segment
		}
		most := max(0, int64(maxBytes))
		if size > most {
			if !atLeastOne {
				return Range{}, nil
			}
			most = size
		}
		end, err := s.endIn(&w, &v, pos, pos+most)
		if err != nil {
			return Range{}, err
		}
		if i < len(s.closed) && !w.reaches(&v, end) {
			return Range{}, nil // it was compacted: the next slice knows the new segment
		}
		return Range{File: v.files.log, Pos: pos, Len: int(end - pos)}, nil
	}
	return Range{}, nil
}

// first returns the position and size of the first batch in the i-th segment that
// the slice holds, or size 0.
func (s *Slice) first(w *walker, v *view, i int) (pos, size int64, err error) {
	if i == 0 && s.start >= 0 {
		return s.start, s.size, nil
	}
	w.open(v)
	var h batch.Header
	found, err := w.seek(v, s.from, &h)
	if err != nil || !found || h.NextOffset() > s.bound.offset {
		return 0, 0, err
	}
	return w.pos, int64(h.Size), nil
}

// endIn returns the position where the slice ends in a segment, or most if that is
// less. From pos on it is walked if need be.
func (s *Slice) endIn(w *walker, v *view, pos, most int64) (int64, error) {
	switch {
	case s.bound.offset >= v.end && v.files != s.last.files:
		return min(v.size, most), nil
	case s.bound.base == v.base && s.bound.pos >= 0:
		return min(s.bound.pos, most), nil
	}
	w.open(v)
	// The batch that is indexed there ends below the bound.
	indexed, err := v.floorOffset(w, s.bound.offset-1)
	if err != nil {
		return 0, err
	}
	if indexed >= most {
		return most, nil
	}
	w.pos = max(pos, indexed)
	var h batch.Header
	for w.pos < most {
		if err := w.header(&h); err != nil {
			return 0, err
		}
		if h.NextOffset() > s.bound.offset {
			break
		}
		w.pos += int64(h.Size)
		if h.NextOffset() == s.bound.offset {
			break // what follows may not be written yet
		}
	}
	return min(w.pos, most), nil
}

// walker reads the headers of a segment's batches one after another.
type walker struct {
	r    Reader
	file FileRef
	size int64  // of the file, as far as it may be read
	pos  int64  // of the next header
	buf  []byte // what was read last
	have int
	at   int64 // position of buf in the file
}

// reaches says that the file of a segment has bytes up to end. If the file was
// opened by name after compaction replaced it, it may be shorter than the segment
// was.
func (w *walker) reaches(v *view, end int64) bool {
	w.open(v)
	w.forget()
	return readFull(w.r, w.file, w.buf[:1], end-1) == nil
}

// open begins a walk over a segment.
func (w *walker) open(v *view) {
	if w.buf == nil {
		w.buf = make([]byte, readBytes)
	}
	if w.file != v.files.log {
		w.forget()
	}
	w.file, w.size, w.pos = v.files.log, v.size, 0
}

// forget drops what was read.
func (w *walker) forget() { w.have = 0 }

// header reads the header at pos.
func (w *walker) header(h *batch.Header) error {
	if w.pos < w.at || w.pos+batch.HeaderSize > w.at+int64(w.have) {
		p := w.buf[:min(int64(len(w.buf)), max(0, w.size-w.pos))]
		n, err := w.r.ReadAt(w.file, p, w.pos)
		w.at, w.have = w.pos, n
		if n == 0 && errors.Is(err, io.EOF) {
			return io.EOF
		}
		if n < batch.HeaderSize {
			return fmt.Errorf("read %s at %d: %w", w.file.Path, w.pos,
				errors.Join(err, batch.ErrShort))
		}
	}
	if err := batch.Parse(w.buf[w.pos-w.at:w.have], h); err != nil {
		return fmt.Errorf("read %s at %d: %w", w.file.Path, w.pos, err)
	}
	return nil
}

// ignore returns err, or nil if it is the one expected.
func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// seek walks to the first batch that ends at or after offset, and reports whether
// there is one. If the index leads to no such batch it is not trusted, and the
// segment is walked from its start.
func (w *walker) seek(v *view, offset int64, h *batch.Header) (bool, error) {
	start, err := v.floorOffset(w, offset)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	if start > 0 && err == nil {
		w.pos = start
		if w.pos < w.size && w.header(h) == nil && h.BaseOffset <= offset &&
			h.BaseOffset >= v.base {
			return w.walkTo(offset, h)
		}
	}
	w.pos = 0
	return w.walkTo(offset, h)
}

// walkTo is seek from the present position on.
func (w *walker) walkTo(offset int64, h *batch.Header) (bool, error) {
	for w.pos < w.size {
		if err := w.header(h); err != nil {
			// A file that was compacted since may end before the segment did.
			return false, ignore(err, io.EOF)
		}
		if h.LastOffset() >= offset {
			return true, nil
		}
		w.pos += int64(h.Size)
	}
	return false, nil
}
