package compress

import (
	"encoding/binary"
	"errors"

	"github.com/klauspost/compress/s2"

	"github.com/heiban/heiban/core/batch"
)

// Snappy comes in the framing of the Java library by Xerial:
//
//	magic 8 bytes, version int32, compatible int32   16 bytes, both numbers 1
//	then blocks: size int32, a raw Snappy block of at most 32 KiB of data
const (
	xerialMagic      = "\x82SNAPPY\x00"
	xerialHeader     = xerialMagic + "\x00\x00\x00\x01\x00\x00\x00\x01"
	xerialBlockBytes = 32 << 10
)

// snappyExpansionMax is more than a byte of a Snappy block can stand for: a copy
// of 64 bytes takes three.
const snappyExpansionMax = 22

var errXerial = errors.New("snappy: the xerial framing is corrupt")

func (c *Codec) xerial(dst, src []byte) []byte {
	block, ok := c.snappy.Get().(*[]byte)
	if !ok {
		room := make([]byte, s2.MaxEncodedLen(xerialBlockBytes))
		block = &room
	}
	dst = append(dst, xerialHeader...)
	for len(src) > 0 {
		n := min(len(src), xerialBlockBytes)
		encoded := s2.EncodeSnappy(*block, src[:n])
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(encoded)))
		dst = append(dst, encoded...)
		src = src[n:]
	}
	c.snappy.Put(block)
	return dst
}

// unxerial expands framed blocks, or one raw block, which some clients send.
func unxerial(dst, src []byte, bytesMax int) ([]byte, error) {
	start := len(dst)
	if len(src) < len(xerialHeader) || string(src[:len(xerialMagic)]) != xerialMagic {
		return unsnappy(dst, src, bytesMax)
	}
	src = src[len(xerialHeader):]
	for len(src) > 0 {
		if len(src) < 4 {
			return dst[:start], errXerial
		}
		size := int64(binary.BigEndian.Uint32(src))
		src = src[4:]
		if size > int64(len(src)) {
			return dst[:start], errXerial
		}
		var err error
		if dst, err = unsnappy(dst, src[:size], start+bytesMax-len(dst)); err != nil {
			return dst[:start], err
		}
		src = src[size:]
	}
	return dst, nil
}

func unsnappy(dst, block []byte, bytesMax int) ([]byte, error) {
	n, err := s2.DecodedLen(block)
	switch {
	case err != nil:
		return dst, err
	case n > snappyExpansionMax*len(block):
		return dst, s2.ErrCorrupt
	case n > bytesMax:
		return dst, batch.ErrExpansion
	}
	end := len(dst) + n
	if cap(dst) < end {
		dst = grow(dst, max(n, len(dst)))
	}
	if _, err := s2.Decode(dst[len(dst):end], block); err != nil {
		return dst, err
	}
	return dst[:end], nil
}
