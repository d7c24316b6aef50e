package compress

import (
	"errors"

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

// unzstd decodes into the room that dst has, so that the decoder keeps no window,
// and gives it more room as long as that is what is missing.
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
	for room := zstdRoom(src, bytesMax); ; {
		dst = grow(dst, room)
		out, err := r.DecodeAll(src, dst[:start:start+max(room, min(cap(dst)-start, bytesMax))])
		switch {
		case err == nil:
			return out, nil
		case !errors.Is(err, zstd.ErrDecoderSizeExceeded):
			return dst[:start], err
		case room >= bytesMax:
			return dst[:start], batch.ErrExpansion
		}
		room = min(8*room, bytesMax)
	}
}

// zstdRoom guesses how much src expands to. What a frame claims is believed up to
// a ratio that data seldom exceeds.
func zstdRoom(src []byte, bytesMax int) int {
	guess := 8*len(src) + 512
	var h zstd.Header
	if err := h.Decode(src); err == nil && h.HasFCS {
		guess = int(min(h.FrameContentSize, uint64(8*guess)))
	}
	return max(1, min(guess, bytesMax))
}
