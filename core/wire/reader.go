package wire

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// reader takes fields off the front of a request. Once something is missing or
// makes no sense it is bad, and stays so: every later read gives zero.
type reader struct {
	b        []byte
	flexible bool // KIP-482: compact lengths, tagged fields
	bad      bool
}

func (r *reader) fail() {
	r.b, r.bad = nil, true
}

// span takes n bytes. They alias the input, and appending to them copies.
func (r *reader) span(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail()
		return nil
	}
	s := r.b[:n:n]
	r.b = r.b[n:]
	return s
}

func (r *reader) int8() int8 {
	if len(r.b) < 1 {
		r.fail()
		return 0
	}
	v := int8(r.b[0])
	r.b = r.b[1:]
	return v
}

func (r *reader) int16() int16 {
	if len(r.b) < 2 {
		r.fail()
		return 0
	}
	v := int16(binary.BigEndian.Uint16(r.b))
	r.b = r.b[2:]
	return v
}

func (r *reader) int32() int32 {
	if len(r.b) < 4 {
		r.fail()
		return 0
	}
	v := int32(binary.BigEndian.Uint32(r.b))
	r.b = r.b[4:]
	return v
}

func (r *reader) int64() int64 {
	if len(r.b) < 8 {
		r.fail()
		return 0
	}
	v := int64(binary.BigEndian.Uint64(r.b))
	r.b = r.b[8:]
	return v
}

func (r *reader) topicID() TopicID {
	if len(r.b) < len(TopicID{}) {
		r.fail()
		return TopicID{}
	}
	v := TopicID(r.b)
	r.b = r.b[len(v):]
	return v
}

// uvarint takes an unsigned varint of up to 32 bits.
func (r *reader) uvarint() uint32 {
	if len(r.b) > 0 && r.b[0] < 0x80 {
		v := uint32(r.b[0])
		r.b = r.b[1:]
		return v
	}
	return r.longUvarint()
}

func (r *reader) longUvarint() uint32 {
	v, n := binary.Uvarint(r.b[:min(len(r.b), binary.MaxVarintLen32)])
	if n <= 0 || v > math.MaxUint32 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return uint32(v)
}

// stringLength takes the length of a string (int16 or compact), -1 for null. Other
// negative lengths are bad.
func (r *reader) stringLength() int {
	n := 0
	if r.flexible {
		n = int(r.uvarint()) - 1
	} else {
		n = int(r.int16())
	}
	if n < -1 {
		r.fail()
	}
	return n
}

// wideLength is stringLength for bytes and arrays, whose lengths are int32 before
// flexible versions.
func (r *reader) wideLength() int {
	n := 0
	if r.flexible {
		n = int(r.uvarint()) - 1
	} else {
		n = int(r.int32())
	}
	if n < -1 {
		r.fail()
	}
	return n
}

// string takes a string that may not be null. It aliases the input.
func (r *reader) string() string {
	return alias(r.span(r.stringLength()))
}

// nullString takes a string and says whether it is there.
func (r *reader) nullString() (s string, ok bool) {
	n := r.stringLength()
	if n < 0 {
		return "", false
	}
	return alias(r.span(n)), true
}

// nullBytes takes bytes, nil if null. They alias the input.
func (r *reader) nullBytes() []byte {
	n := r.wideLength()
	if n < 0 {
		return nil
	}
	return r.span(n)
}

// count takes the length of an array that may not be null, whose elements are at
// least elementBytesMin long. More elements than the input can hold are bad, so
// that a caller may make room for them.
func (r *reader) count(elementBytesMin int) int {
	n := r.wideLength()
	if n < 0 || n > len(r.b)/elementBytesMin {
		r.fail()
		return 0
	}
	return n
}

// skipTags skips the tagged fields at the end of a struct, if there are any.
func (r *reader) skipTags() {
	for n := r.tagCount(); n > 0; n-- {
		r.tag()
	}
}

// tagCount takes the number of tagged fields at the end of a struct.
func (r *reader) tagCount() int {
	if !r.flexible {
		return 0
	}
	const tagBytesMin = 2
	n := int(r.uvarint())
	if n > len(r.b)/tagBytesMin {
		r.fail()
		return 0
	}
	return n
}

// tag takes one tagged field.
func (r *reader) tag() (key uint32, field reader) {
	key = r.uvarint()
	b := r.span(int(r.uvarint()))
	return key, reader{b: b, flexible: true}
}

// endTag fails unless everything of a tagged field was there, and nothing left over.
func (r *reader) endTag(field *reader) {
	if !field.end() {
		r.fail()
	}
}

// end says whether everything was there and nothing is left over.
func (r *reader) end() bool {
	return !r.bad && len(r.b) == 0
}

// alias gives bytes as a string without a copy. This is sound as long as nobody
// writes to b while the string is in use, which the owner of a frame promises: see
// Parse, ParseHeader and the walkers.
func alias(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b))
}
