package log

import (
	"errors"
	"fmt"
	"io"

	"github.com/heiban/heiban/core/batch"
)

// batchReader reads the batches of a complete segment, one after another, and checks
// them.
type batchReader struct {
	file      File
	path      string
	header    batch.Header
	buf       []byte // what was read
	bufPos    int64  // where in the file buf begins
	at        int    // where in buf the next batch begins
	current   int64  // where in the file the batch last returned begins
	size      int64  // of the file
	offsetMin int64  // of the next batch
	offsetEnd int64  // of the segment
	chunk     int
}

// open begins to read a segment.
func (c *compactor) open(s compactSource) (*batchReader, error) {
	path := segmentPath(c.dir, s.base, logSuffix)
	file, err := c.files.Open(path)
	if err != nil {
		return nil, err
	}
	return &batchReader{
		file: file, path: path, size: s.size, offsetMin: s.base, offsetEnd: s.end,
		chunk: max(c.set.CleanerIOBufferBytes, batch.HeaderSize),
	}, nil
}

func (r *batchReader) close() error { return r.file.Close() }

// corrupt says in which batch err was found. Of no error it makes none.
func (r *batchReader) corrupt(err error) error {
	if err == nil {
		return nil
	}
	return &corruptError{fmt.Errorf("%s at %d: %w", r.path, r.current, err)}
}

// What is wrong with a batch in a segment.
var (
	errCutOff     = errors.New("the segment ends within a batch")
	errChecksum   = errors.New("the batch has a wrong CRC")
	errOutOfOrder = errors.New("the batch does not follow the one before")
)

// next returns the next batch, or nil at the end. It is valid until the next call.
func (r *batchReader) next() ([]byte, *batch.Header, error) {
	r.current = r.bufPos + int64(r.at)
	if r.current == r.size {
		return nil, nil, nil
	}
	if err := r.fill(batch.HeaderSize); err != nil {
		return nil, nil, err
	}
	h := &r.header
	if err := batch.Parse(r.buf[r.at:], h); err != nil {
		return nil, nil, r.corrupt(err)
	}
	if err := r.fill(int(h.Size)); err != nil {
		return nil, nil, err
	}
	data := r.buf[r.at : r.at+int(h.Size)]
	if !batch.ValidCRC(data, h) {
		return nil, nil, r.corrupt(errChecksum)
	}
	if h.BaseOffset < r.offsetMin || h.LastOffsetDelta < 0 || h.NextOffset() > r.offsetEnd {
		return nil, nil, r.corrupt(errOutOfOrder)
	}
	r.offsetMin = h.NextOffset()
	r.at += int(h.Size)
	return data, h, nil
}

// fill makes sure that n bytes of the next batch are in buf.
func (r *batchReader) fill(n int) error {
	if len(r.buf)-r.at >= n {
		return nil
	}
	if r.size-r.current < int64(n) {
		return r.corrupt(errCutOff)
	}
	held := copy(r.buf, r.buf[r.at:])
	r.bufPos, r.at = r.current, 0
	want := int(min(int64(max(n, r.chunk)), r.size-r.bufPos))
	if cap(r.buf) < want {
		r.buf = append(make([]byte, 0, want), r.buf[:held]...)
	}
	r.buf = r.buf[:want]
	got, err := r.file.ReadAt(r.buf[held:], r.bufPos+int64(held))
	if got == want-held {
		return nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s: %w", r.path, err)
	}
	end := r.bufPos + int64(held+got)
	return &corruptError{fmt.Errorf("%s ends at %d, want %d", r.path, end, r.size)}
}
