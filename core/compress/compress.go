// Package compress is the codecs of record batches over compression libraries.
// Equal input gives equal output on one kind of machine; on another kind the
// libraries' assembly may choose other bytes of the same meaning. It knows nothing
// of batches but the codec's number. Start at Codec.
package compress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/heiban/heiban/core/batch"
)

// ErrUnknown says that a compression is none of the protocol's.
var ErrUnknown = errors.New("the compression type is unknown")

// Codec is the batch.Codec of a node. It keeps encoders and decoders for reuse
// and is safe for concurrent use. Its zero value is ready; do not copy it after
// first use.
type Codec struct {
	gzipWriters [gzipLevels]sync.Pool // of *gzip.Writer
	gzipReaders sync.Pool             // of *gzip.Reader
	lz4Writers  [lz4Levels]sync.Pool  // of *lz4.Writer
	lz4Readers  sync.Pool             // of *lz4.Reader
	zstdWriters [zstdLevels]sync.Pool // of *zstd.Encoder
	zstdReaders sync.Pool             // of *zstd.Decoder
	snappy      sync.Pool             // of *[]byte, for one block
}

var _ batch.Codec = (*Codec)(nil)

// Compress appends the compressed form of src to dst. Levels are those of
// compression.gzip.level (1 to 9, -1 the default), compression.lz4.level (1 to 17,
// 9 the default) and compression.zstd.level (-131072 to 22, 3 the default); 0 is
// the default of each, and Snappy has none (KIP-390).
func (c *Codec) Compress(
	dst []byte, t batch.Compression, level int, src []byte,
) ([]byte, error) {
	switch t {
	case batch.Uncompressed:
		return append(dst, src...), nil
	case batch.Gzip:
		return c.gzip(dst, level, src)
	case batch.Snappy:
		return c.xerial(dst, src), nil
	case batch.LZ4:
		return c.lz4(dst, level, src)
	case batch.Zstd:
		return c.zstd(dst, level, src)
	}
	return dst, fmt.Errorf("%w: %d", ErrUnknown, t)
}

// Decompress appends the expanded form of src to dst. An expansion beyond
// bytesMax is batch.ErrExpansion. Apart from the memory that decoders keep, it
// allocates in proportion to what src expands to, and for no more than bytesMax.
func (c *Codec) Decompress(
	dst []byte, t batch.Compression, src []byte, bytesMax int,
) ([]byte, error) {
	bytesMax = min(max(bytesMax, 0), math.MaxInt32)
	switch t {
	case batch.Uncompressed:
		if len(src) > bytesMax {
			return dst, batch.ErrExpansion
		}
		return append(dst, src...), nil
	case batch.Gzip:
		return c.gunzip(dst, src, bytesMax)
	case batch.Snappy:
		return unxerial(dst, src, bytesMax)
	case batch.LZ4:
		return c.unlz4(dst, src, bytesMax)
	case batch.Zstd:
		return c.unzstd(dst, src, bytesMax)
	}
	return dst, fmt.Errorf("%w: %d", ErrUnknown, t)
}

// sink collects what a library writes, appended to b.
type sink struct{ b []byte }

func (s *sink) Write(p []byte) (int, error) {
	s.b = append(s.b, p...)
	return len(p), nil
}

// writeAll writes src through an encoder, and ends what it writes.
func writeAll(w io.WriteCloser, src []byte) error {
	if _, err := w.Write(src); err != nil {
		return err
	}
	return w.Close()
}

// expand appends to dst what r expands src to, of which srcLen bytes are given.
func expand(dst []byte, r io.Reader, srcLen, bytesMax int) ([]byte, error) {
	start := len(dst)
	dst = grow(dst, min(3*srcLen+512, bytesMax+1))
	for {
		if len(dst) == cap(dst) {
			dst = grow(dst, min(len(dst)-start+512, start+bytesMax+1-len(dst)))
		}
		// One byte of room beyond bytesMax tells the end from too much.
		n, err := r.Read(dst[len(dst):min(cap(dst), start+bytesMax+1)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst)-start > bytesMax:
			return dst[:start], batch.ErrExpansion
		case errors.Is(err, io.EOF):
			return dst, nil
		case err != nil:
			return dst[:start], err
		}
	}
}

// grow returns b with room for n more bytes.
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	return append(make([]byte, 0, len(b)+n), b...)
}

// source is a reader over bytes that can let go of them.
type source struct{ bytes.Reader }

func (s *source) release() { s.Reset(nil) }
