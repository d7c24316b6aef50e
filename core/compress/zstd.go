package compress

import (
	"github.com/klauspost/compress/zstd"

	"github.com/heiban/heiban/core/batch"
)

// zstdLevels counts the library's levels.
const zstdLevels = 4

// zstdWindowMax is the largest window that the reference library's levels use.
const zstdWindowMax = 128 << 20

func zstdSetting(level int) zstd.EncoderLevel {
	if level == 0 {
		return zstd.SpeedDefault
	}
	return zstd.EncoderLevelFromZstd(level)
}

func (c *Codec) zstd(dst []byte, level int, src []byte) ([]byte, error) {
	setting := zstdSetting(level)
	pool := &c.zstdWriters[setting-zstd.SpeedFastest]
	w, ok := pool.Get().(*zstd.Encoder)
	if !ok {
		var err error
		w, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1),
			zstd.WithEncoderLevel(setting), zstd.WithEncoderCRC(false),
			zstd.WithZeroFrames(true))
		if err != nil {
			return dst, err
		}
	}
	defer pool.Put(w)
	return w.EncodeAll(src, dst), nil
}

// unzstd decodes into the room that dst has, so that the decoder keeps no window.
// For want of room it fails in more than one way, therefore any failure is tried
// again with more, up to what the frames can hold.
func (c *Codec) unzstd(dst, src []byte, bytesMax int) ([]byte, error) {
	r, ok := c.zstdReaders.Get().(*zstd.Decoder)
	if !ok {
		var err error
		r, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1),
			zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxWindow(zstdWindowMax))
		if err != nil {
			return dst, err
		}
	}
	defer c.zstdReaders.Put(r)
	start := len(dst)
	bound := zstdBound(src)
	limit := min(bound, bytesMax)
	for room := min(8*len(src)+512, limit); ; room = min(8*room, limit) {
		dst = grow(dst, room)
		room = min(cap(dst)-start, limit)
		out, err := r.DecodeAll(src, dst[start:start:start+room])
		switch {
		case err == nil && len(out) <= bytesMax:
			return append(dst, out...), nil // in place, if out is where dst ends
		case room < limit:
		case limit < bound || err == nil:
			return dst, batch.ErrExpansion
		default:
			return dst, err
		}
	}
}

// zstdBound returns the most that the frames in src can expand to, from the
// headers of frames and blocks (RFC 8878), as far as src is well formed.
func zstdBound(src []byte) int {
	bound := 0
	for len(src) > 0 {
		var h zstd.Header
		if err := h.Decode(src); err != nil {
			break
		}
		if h.Skippable {
			src = src[min(h.HeaderSize+int(h.SkippableSize), len(src)):]
			continue
		}
		size, n := zstdBlocks(src[h.HeaderSize:])
		if h.HasFCS {
			size = int(min(uint64(size), h.FrameContentSize))
		}
		bound += size
		src = src[h.HeaderSize+n:]
		if h.HasCheckSum {
			src = src[min(4, len(src)):]
		}
	}
	return bound
}

// zstdBlocks returns the most that the blocks at the start of src can expand to,
// and their length.
//
//	block header, 3 bytes, little-endian: bit 0 last, bits 1-2 type, the rest size
func zstdBlocks(src []byte) (bound, n int) {
	const (
		raw           = 0 // size bytes as they are
		repeated      = 1 // one byte, size times
		blockBytesMax = 128 << 10
	)
	for len(src)-n >= 3 {
		header := int(src[n]) | int(src[n+1])<<8 | int(src[n+2])<<16
		size := header >> 3
		length := size
		switch header >> 1 & 3 {
		case raw:
		case repeated:
			length = 1
		default:
			size = blockBytesMax
		}
		bound += min(size, blockBytesMax)
		n = min(n+3+length, len(src))
		if header&1 != 0 {
			break
		}
	}
	return bound, n
}
