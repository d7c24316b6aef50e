package log

import (
	"errors"

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
		found, err := rest.Locate(reader, chunk, true)
		if err != nil {
			return nil, err
		}
		if found.Len == 0 {
			break
		}
		data := make([]byte, found.Len)
		if n, err := reader.ReadAt(found.File, data, found.Pos); n < len(data) {
			return nil, err
		}
		whole, next, err := wholeBatches(data)
		if err != nil {
			return nil, err
		}
		all = append(all, data[:whole]...)
		rest.from, rest.start, rest.size = next, unknown, 0
	}
	return all, nil
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
