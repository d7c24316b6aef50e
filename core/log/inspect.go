package log

import (
	"errors"
	"io"

	"github.com/heiban/heiban/core/batch"
)

// Epochs is a copy of a log's leader epochs, to be asked later and elsewhere.
type Epochs struct{ cache epochCache }

// Epochs copies the log's leader epochs.
func (l *Log) Epochs() Epochs { return Epochs{epochCache{entries: l.epochs.clone()}} }

// Of returns the leader epoch of an offset, or -1.
func (e *Epochs) Of(offset int64) int32 { return e.cache.epochOf(offset) }

// FirstBaseOffset is the base offset of the first segment. It is at most
// LogStartOffset.
func (l *Log) FirstBaseOffset() int64 {
	if len(l.closed) > 0 {
		return l.closed[0].base
	}
	return l.active.base
}

// FirstDirtyOffset is where the part begins that compaction has not seen.
func (l *Log) FirstDirtyOffset() int64 { return l.firstDirty }

// ReleaseFiles orders the handles of all the log's files closed: nothing is done to
// the log any more.
func (l *Log) ReleaseFiles(o *Orders) {
	for _, s := range l.closed {
		o.release(s.files)
	}
	o.release(l.active.files)
	for _, d := range l.doomed {
		o.Releases = append(o.Releases, d.refs...)
	}
}

// Empty reports whether there is nothing to read in the slice.
func (s *Slice) Empty() bool { return s.from >= s.bound.offset }

// ReadAll reads a slice from its beginning to its end, whole batches. It is for logs
// that are small, such as the metadata log.
func ReadAll(d *Devices, s *Slice) ([]byte, error) {
	const chunk = 1 << 20
	var all []byte
	reader := filesReader{files: d.Files}
	for rest := *s; !rest.Empty(); {
		data, err := rest.take(reader, chunk, nil)
		if err != nil {
			return nil, err
		}
		if len(data) == 0 {
			break
		}
		all = append(all, data...)
	}
	return all, nil
}

// EachBatch shows visit the batches of a slice, one after another, with their headers;
// the first may begin before the slice does. It reads about chunk bytes at once. What
// visit is given is valid until it returns.
//
// It returns the offset after the last batch. That is less than the end of the slice if
// compaction has replaced a file that it reads by name: a slice that is made later goes
// on from there. A batch with a wrong checksum is taken for such a file's. An error is
// the disk's, or that of visit.
func EachBatch(
	d *Devices, s *Slice, chunk int32, visit func(b []byte, h *batch.Header) error,
) (next int64, err error) {
	reader := filesReader{files: d.Files}
	var buf []byte
	rest := *s
	for !rest.Empty() {
		from := rest.from
		if buf, err = rest.take(reader, chunk, buf); err != nil || len(buf) == 0 {
			if replaced(err) {
				err = nil
			}
			return from, err
		}
		for data := buf; len(data) > 0; {
			var h batch.Header
			if batch.Parse(data, &h) != nil || !batch.ValidCRC(data, &h) || h.NextOffset() <= from {
				return from, nil
			}
			if err := visit(data[:h.Size], &h); err != nil {
				return from, err
			}
			from, data = h.NextOffset(), data[h.Size:]
		}
	}
	return rest.from, nil
}

// replaced reports whether an error is what reading by name comes to when the file is
// another by now, or none.
func replaced(err error) bool {
	for _, sign := range []error{
		ErrNotExist, io.EOF, io.ErrUnexpectedEOF, batch.ErrShort, batch.ErrLength, batch.ErrMagic,
	} {
		if errors.Is(err, sign) {
			return true
		}
	}
	return false
}

// take reads whole batches from the beginning of the slice, about chunk bytes or one
// batch, and takes them off it. It returns none where nothing is found. The bytes are
// in buf if that has room.
func (s *Slice) take(r Reader, chunk int32, buf []byte) ([]byte, error) {
	found, err := s.Locate(r, chunk, true)
	if err != nil || found.Len == 0 {
		return nil, err
	}
	if cap(buf) < found.Len {
		buf = make([]byte, found.Len)
	}
	buf = buf[:found.Len]
	if n, err := r.ReadAt(found.File, buf, found.Pos); n < len(buf) {
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	whole, next, err := wholeBatches(buf)
	if err != nil || whole == 0 {
		return nil, err
	}
	s.from, s.start, s.size = next, unknown, 0
	return buf[:whole], nil
}

// filesReader reads named files through Files, opening them every time.
type filesReader struct{ files Files }

func (r filesReader) ReadAt(ref FileRef, p []byte, pos int64) (int, error) {
	f, err := r.files.Open(ref.Path)
	if err != nil {
		return 0, err
	}
	n, err := f.ReadAt(p, pos)
	return n, errors.Join(err, f.Close())
}

// wholeBatches returns the length of the batches that data holds entirely, and the
// offset after them.
func wholeBatches(data []byte) (n int, next int64, err error) {
	for n < len(data) {
		var h batch.Header
		err := batch.Parse(data[n:], &h)
		if errors.Is(err, batch.ErrShort) && n > 0 || err == nil && n+int(h.Size) > len(data) {
			break
		}
		if err != nil {
			return 0, 0, err
		}
		n, next = n+int(h.Size), h.NextOffset()
	}
	return n, next, nil
}
