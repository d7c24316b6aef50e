package batch

import "math/bits"

// Numbers in records are zigzag varints: at most 5 bytes for 32 bits and 10 for
// 64, with bits beyond the type dropped, as Kafka's clients do.

// cutOff is the position that reading beyond the end leads to. It lies so far out
// that no length added to it comes back into a block, so that a walk need check
// its position only once, at the end of each record.
const cutOff = 1 << 40

// varint reads the number at b[p] and returns the position after it, or one
// beyond the end of b if it is cut off or too long.
func varint(b []byte, p int) (int32, int) {
	if uint(p) < uint(len(b)) && b[p] < 0x80 {
		u := uint32(b[p])
		return int32(u>>1) ^ -int32(u&1), p + 1
	}
	if uint(p+1) < uint(len(b)) && b[p+1] < 0x80 {
		u := uint32(b[p]&0x7f) | uint32(b[p+1])<<7
		return int32(u>>1) ^ -int32(u&1), p + 2
	}
	return varintLong(b, p)
}

func varintLong(b []byte, p int) (int32, int) {
	var u uint32
	for shift := 0; shift < 35; shift += 7 {
		if uint(p) >= uint(len(b)) {
			return 0, cutOff
		}
		c := b[p]
		p++
		u |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return int32(u>>1) ^ -int32(u&1), p
		}
	}
	return 0, cutOff
}

// varlong is varint for 64 bits.
func varlong(b []byte, p int) (int64, int) {
	if uint(p) < uint(len(b)) && b[p] < 0x80 {
		u := uint64(b[p])
		return int64(u>>1) ^ -int64(u&1), p + 1
	}
	if uint(p+1) < uint(len(b)) && b[p+1] < 0x80 {
		u := uint64(b[p]&0x7f) | uint64(b[p+1])<<7
		return int64(u>>1) ^ -int64(u&1), p + 2
	}
	return varlongLong(b, p)
}

func varlongLong(b []byte, p int) (int64, int) {
	var u uint64
	for shift := 0; shift < 70; shift += 7 {
		if uint(p) >= uint(len(b)) {
			return 0, cutOff
		}
		c := b[p]
		p++
		u |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return int64(u>>1) ^ -int64(u&1), p
		}
	}
	return 0, cutOff
}

func appendVarint(b []byte, v int64) []byte {
	u := uint64(v)<<1 ^ uint64(v>>63)
	for u >= 0x80 {
		b = append(b, byte(u)|0x80)
		u >>= 7
	}
	return append(b, byte(u))
}

func varintSize(v int64) int {
	u := uint64(v)<<1 ^ uint64(v>>63)
	return (bits.Len64(u|1) + 6) / 7
}
