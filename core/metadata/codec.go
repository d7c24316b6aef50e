package metadata

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// frameVersion stands first in every metadata record.
const frameVersion = 1

// ErrCorrupt is what DecodeRecord returns for bytes that are no metadata record.
var ErrCorrupt = errors.New("corrupt metadata record")

// ErrUnsupported is what DecodeRecord returns for a record of a type or a version
// that this software does not know. An image made without it may be wrong.
var ErrUnsupported = errors.New("unsupported metadata record")

// ErrNotKept is what DecodeRecord returns for a record of Kafka's about something
// that no image holds, such as quotas.
var ErrNotKept = errors.New("metadata record of a type that is not kept")

// AppendRecord appends a record as it stands as the value of a record in the
// metadata log.
//
//	varint frameVersion | varint type | varint version | fields | tagged fields
//
// All varints are unsigned. Strings and arrays are compact: their length plus one
// as a varint, then the bytes; zero is null.
func AppendRecord(dst []byte, r Record) []byte {
	dst = binary.AppendUvarint(dst, frameVersion)
	dst = binary.AppendUvarint(dst, uint64(r.key()))
	dst = binary.AppendUvarint(dst, uint64(r.version()))
	return r.appendBody(dst)
}

// DecodeRecord reads a record from the value of a record in the metadata log. It
// skips tagged fields that it does not know. The record does not alias value.
func DecodeRecord(value []byte) (Record, error) {
	d := decoder{src: value}
	frame, key, version := d.uvarint(), d.uvarint(), d.uvarint()
	if d.bad {
		return nil, fmt.Errorf("%w: no header", ErrCorrupt)
	}
	if frame != frameVersion {
		return nil, fmt.Errorf("%w: frame version %d", ErrUnsupported, frame)
	}
	if key > 1<<15-1 || version > 1<<15-1 {
		return nil, fmt.Errorf("%w: type %d, version %d", ErrCorrupt, key, version)
	}
	if notKept(int16(key)) {
		return nil, fmt.Errorf("%w: type %d, version %d", ErrNotKept, key, version)
	}
	r, highest := newRecord(int16(key))
	if r == nil || int16(version) > highest {
		return nil, fmt.Errorf("%w: type %d, version %d", ErrUnsupported, key, version)
	}
	r.decodeBody(&d, int16(version))
	switch {
	case d.bad:
		return nil, fmt.Errorf("%w: type %d ends early or holds wrong values", ErrCorrupt, key)
	case len(d.src) > 0:
		return nil, fmt.Errorf("%w: %d bytes behind type %d", ErrCorrupt, len(d.src), key)
	}
	return r, nil
}

func appendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s))+1)
	return append(dst, s...)
}

func appendNullableString(dst []byte, s *string) []byte {
	if s == nil {
		return append(dst, 0)
	}
	return appendString(dst, *s)
}

func appendInt16(dst []byte, v int16) []byte {
	return binary.BigEndian.AppendUint16(dst, uint16(v))
}

func appendInt32(dst []byte, v int32) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(v))
}

func appendInt64(dst []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(v))
}

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendInt32s(dst []byte, list []int32) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list))+1)
	for _, v := range list {
		dst = appendInt32(dst, v)
	}
	return dst
}

func appendIDs(dst []byte, list []ID) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list))+1)
	for i := range list {
		dst = append(dst, list[i][:]...)
	}
	return dst
}

// tagger collects the tagged fields of a record, which follow their count.
type tagger struct {
	fields []byte
	count  uint64
}

// add adds a field; tags must rise.
func (t *tagger) add(tag uint64, value []byte) {
	t.fields = binary.AppendUvarint(t.fields, tag)
	t.fields = binary.AppendUvarint(t.fields, uint64(len(value)))
	t.fields = append(t.fields, value...)
	t.count++
}

func (t *tagger) addInt32s(tag uint64, list []int32) {
	if list != nil {
		t.add(tag, appendInt32s(nil, list))
	}
}

func (t *tagger) appendTo(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, t.count)
	return append(dst, t.fields...)
}

// decoder takes values off the front of src. Once bad, it returns zeros.
type decoder struct {
	src []byte
	bad bool
}

func (d *decoder) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.src)) {
		d.bad = true
		return nil
	}
	taken := d.src[:n]
	d.src = d.src[n:]
	return taken
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.src)
	if d.bad || n <= 0 || v > 1<<32-1 { // Kafka's varints hold 32 bits
		d.bad = true
		return 0
	}
	d.src = d.src[n:]
	return v
}

func (d *decoder) int8() int8 {
	if b := d.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (d *decoder) bool() bool { return d.int8() != 0 }

func (d *decoder) int16() int16 {
	if b := d.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (d *decoder) int32() int32 {
	if b := d.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (d *decoder) int64() int64 {
	if b := d.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (d *decoder) id() (id ID) {
	copy(id[:], d.take(uint64(len(id))))
	return id
}

func (d *decoder) nullableString() *string {
	n := d.uvarint()
	if d.bad || n == 0 {
		return nil
	}
	s := string(d.take(n - 1))
	return &s
}

func (d *decoder) string() string {
	s := d.nullableString()
	if s == nil {
		d.bad = true
		return ""
	}
	return *s
}

// count reads the length of an array whose elements take size bytes or more, so
// that no length makes it allocate more than the bytes that are there. It is -1
// for null.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if d.bad || n == 0 {
		return -1
	}
	if (n-1)*uint64(size) > uint64(len(d.src)) {
		d.bad = true
		return -1
	}
	return int(n - 1)
}

// int32s reads an array; null is nil, and an empty array is not.
func (d *decoder) int32s() []int32 {
	n := d.count(4)
	if n < 0 {
		return nil
	}
	list := make([]int32, n)
	for i := range list {
		list[i] = d.int32()
	}
	return list
}

func (d *decoder) ids() []ID {
	n := d.count(16)
	if n < 0 {
		return nil
	}
	list := make([]ID, n)
	for i := range list {
		list[i] = d.id()
	}
	return list
}

// notNull marks the bytes as bad if an array is null that must not be.
func notNull[T any](d *decoder, list []T) []T {
	if list == nil {
		d.bad = true
	}
	return list
}

// tags reads the tagged fields at the end of a struct. Field is called with each
// tag and a decoder of its value; it returns false for tags that it does not know.
func (d *decoder) tags(field func(tag uint64, value *decoder) bool) {
	last := int64(-1)
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		tag := d.uvarint()
		value := decoder{src: d.take(d.uvarint()), bad: d.bad}
		if d.bad || int64(tag) <= last {
			d.bad = true
			return
		}
		last = int64(tag)
		if field(tag, &value) && (value.bad || len(value.src) > 0) {
			d.bad = true
		}
	}
}

func noTags(uint64, *decoder) bool { return false }
