package group

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// KeyType is what a record of __consumer_offsets is about, numbered as in Kafka. It
// stands first in the record's key.
type KeyType int16

// The types of records. Those of share and streams groups are not kept.
const (
	OffsetCommitType              KeyType = 1 // 0 is an older form of the same
	GroupMetadataType             KeyType = 2
	ConsumerGroupMetadataType     KeyType = 3 // KIP-848, as the following
	ConsumerPartitionType         KeyType = 4 // replaced by a hash in KIP-1101
	ConsumerMemberType            KeyType = 5
	ConsumerTargetMetadataType    KeyType = 6
	ConsumerTargetMemberType      KeyType = 7
	ConsumerCurrentType           KeyType = 8
	ConsumerRegularExpressionType KeyType = 16
)

// Key names what a record is about. The last record of a key counts.
type Key struct {
	Group     string
	Name      string // the topic, the member's id or the regular expression
	Partition int32  // of an offset
	Type      KeyType
}

// Value is what a record says about its key.
type Value interface {
	// AppendTo appends the version of the value's schema, and the value.
	AppendTo(dst []byte) []byte
}

// Record is one record of __consumer_offsets. A nil Value is a tombstone: there is
// nothing to be said about the key any more.
type Record struct {
	Value Value
	Key   Key
}

// ErrCorrupt is what DecodeRecord returns for bytes that are no record of a group.
var ErrCorrupt = errors.New("corrupt record of a group")

// ErrUnsupported is what DecodeRecord returns for a value of a version that this
// software does not know. A shard made without it would be wrong.
var ErrUnsupported = errors.New("unsupported record of a group")

// ErrNotKept is what DecodeRecord returns for a record of a type that no shard keeps.
// Whoever loads a shard skips it; compaction keeps it.
var ErrNotKept = errors.New("record of a group of a type that is not kept")

// AppendKey appends a key as it stands in the log.
//
//	int16 type | string group | string name | int32 partition
//
// A key about a whole group ends with the group, and only an offset has a partition.
// Strings follow their int16 length.
func AppendKey(dst []byte, k Key) []byte {
	dst = appendInt16(dst, int16(k.Type))
	dst = appendShortString(dst, k.Group)
	switch k.Type {
	case GroupMetadataType, ConsumerGroupMetadataType, ConsumerPartitionType,
		ConsumerTargetMetadataType:
	case OffsetCommitType:
		dst = appendInt32(appendShortString(dst, k.Name), k.Partition)
	case ConsumerMemberType, ConsumerTargetMemberType, ConsumerCurrentType,
		ConsumerRegularExpressionType:
		dst = appendShortString(dst, k.Name)
	}
	return dst
}

// AppendValue appends a value as it stands in the log. A tombstone has none.
func AppendValue(dst []byte, v Value) []byte { return v.AppendTo(dst) }

// DecodeRecord reads a record. A nil value is a tombstone. The record does not alias
// its bytes. Fields that are tagged and not known are skipped, or kept as they are.
func DecodeRecord(key, value []byte) (Record, error) {
	k, err := decodeKey(key)
	if err != nil || value == nil {
		return Record{Key: k}, err
	}
	v, err := decodeValue(k.Type, value)
	if err != nil {
		return Record{}, fmt.Errorf("%w: type %d", err, k.Type)
	}
	return Record{Key: k, Value: v}, nil
}

func decodeKey(src []byte) (Key, error) {
	d := decoder{src: src}
	k := Key{Type: KeyType(d.int16())}
	if d.bad {
		return Key{}, fmt.Errorf("%w: no type", ErrCorrupt)
	}
	switch k.Type {
	case 0, OffsetCommitType:
		k.Type = OffsetCommitType
		k.Group, k.Name, k.Partition = d.shortString(), d.shortString(), d.int32()
	case GroupMetadataType, ConsumerGroupMetadataType, ConsumerPartitionType,
		ConsumerTargetMetadataType:
		k.Group = d.shortString()
	case ConsumerMemberType, ConsumerTargetMemberType, ConsumerCurrentType,
		ConsumerRegularExpressionType:
		k.Group, k.Name = d.shortString(), d.shortString()
	default:
		return Key{}, fmt.Errorf("%w: type %d", ErrNotKept, k.Type)
	}
	if d.bad || len(d.src) > 0 {
		return Key{}, fmt.Errorf("%w: key of type %d", ErrCorrupt, k.Type)
	}
	return k, nil
}

func decodeValue(t KeyType, src []byte) (Value, error) {
	d := decoder{src: src}
	version := d.int16()
	if d.bad || version < 0 {
		return nil, ErrCorrupt
	}
	var v decodable
	switch t {
	case OffsetCommitType:
		return decodeForeign(&kmsg.OffsetCommitValue{}, version, src)
	case GroupMetadataType:
		return decodeForeign(&kmsg.GroupMetadataValue{}, version, src)
	case ConsumerGroupMetadataType:
		v = &ConsumerGroupMetadata{}
	case ConsumerPartitionType:
		return &ConsumerPartitionMetadata{Raw: append([]byte(nil), src...)}, nil
	case ConsumerMemberType:
		v = &ConsumerMember{}
	case ConsumerTargetMetadataType:
		v = &ConsumerTargetMetadata{}
	case ConsumerTargetMemberType:
		v = &ConsumerTargetMember{}
	case ConsumerCurrentType:
		v = &ConsumerCurrent{}
	case ConsumerRegularExpressionType:
		v = &ConsumerRegularExpression{}
	}
	if version > 0 {
		return nil, ErrUnsupported
	}
	v.decode(&d)
	if d.bad || len(d.src) > 0 {
		return nil, ErrCorrupt
	}
	return v, nil
}

// decodable is a value whose schema stands in this package.
type decodable interface {
	Value
	decode(d *decoder)
}

// foreignVersionMax is the highest version of the values that kmsg reads.
const foreignVersionMax = 4

func decodeForeign[V interface {
	Value
	ReadFrom(src []byte) error
}](v V, version int16, src []byte) (Value, error) {
	if version > foreignVersionMax {
		return nil, ErrUnsupported
	}
	// What kmsg reads shares its bytes with the source.
	if v.ReadFrom(append([]byte(nil), src...)) != nil {
		return nil, ErrCorrupt
	}
	return v, nil
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

func appendShortString(dst []byte, s string) []byte {
	return append(appendInt16(dst, int16(len(s))), s...)
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

func (d *decoder) int8() int8 {
	if b := d.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

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

func (d *decoder) shortString() string {
	n := d.int16()
	if n < 0 {
		d.bad = true
		return ""
	}
	return string(d.take(uint64(n)))
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

// length reads the length of a compact string, of bytes or of an array; -1 is null.
func (d *decoder) length() int { return int(d.uvarint()) - 1 }

func (d *decoder) string() string {
	s := d.nullableString()
	if s == nil {
		d.bad = true
		return ""
	}
	return *s
}

func (d *decoder) nullableString() *string {
	n := d.length()
	if d.bad || n < 0 {
		return nil
	}
	s := string(d.take(uint64(n)))
	return &s
}

func (d *decoder) bytes() []byte {
	n := d.length()
	if n < 0 {
		d.bad = true
		return nil
	}
	return append([]byte(nil), d.take(uint64(n))...)
}

// count reads the length of an array whose elements take size bytes or more, so that no
// length makes it allocate more than the bytes that are there.
func (d *decoder) count(size int) int {
	n := d.length()
	if d.bad || n < 0 || n > len(d.src)/size {
		d.bad = true
		return 0
	}
	return n
}

// tags reads tagged fields. Field returns whether it took the value.
func (d *decoder) tags(field func(tag uint64, value *decoder) bool) {
	last := -1
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		tag := d.uvarint()
		value := decoder{src: d.take(d.uvarint())}
		if d.bad || int(tag) <= last {
			d.bad = true
			return
		}
		last = int(tag)
		if field(tag, &value) && (value.bad || len(value.src) > 0) {
			d.bad = true
		}
	}
}

func noTags(uint64, *decoder) bool { return false }
