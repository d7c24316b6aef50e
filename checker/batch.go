package checker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
)

// Batch is what the header of one record batch v2 says, and a hash of all that
// a broker may not change.
//
//	off len field                 off len field
//	  0   8 baseOffset             27   8 baseTimestamp
//	  8   4 batchLength            35   8 maxTimestamp
//	 12   4 partitionLeaderEpoch   43   8 producerId
//	 16   1 magic                  51   2 producerEpoch
//	 17   4 crc                    53   4 baseSequence
//	 21   2 attributes             57   4 recordsCount
//	 23   4 lastOffsetDelta        61   ... records
type Batch struct {
	BaseOffset    int64
	EndOffset     int64 // exclusive
	MaxTimestamp  int64
	ProducerID    int64
	Hash          uint64 // of everything under the CRC
	LeaderEpoch   int32
	BaseSequence  int32
	RecordCount   int32
	ProducerEpoch int16
	Attributes    int16
}

// Control reports whether the batch holds a control record.
func (b *Batch) Control() bool { return b.Attributes&0x20 != 0 }

// Codec returns the compression codec of the batch, 0 for none.
func (b *Batch) Codec() int { return int(b.Attributes & 7) }

const batchHeaderSize = 61

var (
	errShort   = errors.New("batch is cut short")
	errMagic   = errors.New("batch has a magic other than 2")
	errCRC     = errors.New("batch does not match its crc")
	errVarint  = errors.New("record has a bad varint")
	errRecord  = errors.New("record is cut short")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// ParseBatch reads the first batch of data and verifies its CRC. It returns the
// batch, its record block and its size in bytes; the block aliases data.
func ParseBatch(data []byte) (b Batch, records []byte, size int, err error) {
	if len(data) < batchHeaderSize {
		return b, nil, 0, errShort
	}
	be := binary.BigEndian
	size = 12 + int(int32(be.Uint32(data[8:])))
	if size < batchHeaderSize || size > len(data) {
		return b, nil, 0, errShort
	}
	if data[16] != 2 {
		return b, nil, 0, errMagic
	}
	if crc32.Checksum(data[21:size], castagnoli) != be.Uint32(data[17:]) {
		return b, nil, 0, errCRC
	}
	b = Batch{
		BaseOffset:    int64(be.Uint64(data)),
		MaxTimestamp:  int64(be.Uint64(data[35:])),
		ProducerID:    int64(be.Uint64(data[43:])),
		Hash:          Hash(data[21:size]),
		LeaderEpoch:   int32(be.Uint32(data[12:])),
		BaseSequence:  int32(be.Uint32(data[53:])),
		RecordCount:   int32(be.Uint32(data[57:])),
		ProducerEpoch: int16(be.Uint16(data[51:])),
		Attributes:    int16(be.Uint16(data[21:])),
	}
	b.EndOffset = b.BaseOffset + int64(int32(be.Uint32(data[23:]))) + 1
	return b, data[batchHeaderSize:size], size, nil
}

// Record is one record as a consumer reads it.
type Record struct {
	Key       []byte // nil: no key
	Value     []byte // nil: a tombstone
	Offset    int64
	Timestamp int64
}

// ParseRecords reads the records of an uncompressed record block. The records
// alias it.
func ParseRecords(b *Batch, baseTimestamp int64, block []byte) ([]Record, error) {
	if b.RecordCount < 0 || int(b.RecordCount) > len(block) {
		return nil, fmt.Errorf("batch at %d: %d records in %d bytes: %w",
			b.BaseOffset, b.RecordCount, len(block), errRecord)
	}
	records := make([]Record, 0, b.RecordCount)
	for range b.RecordCount {
		r, rest, err := parseRecord(block)
		if err != nil {
			return nil, fmt.Errorf("batch at %d: %w", b.BaseOffset, err)
		}
		r.Offset += b.BaseOffset
		r.Timestamp += baseTimestamp
		records = append(records, r)
		block = rest
	}
	if len(block) != 0 {
		return nil, fmt.Errorf("batch at %d: %d bytes too many: %w",
			b.BaseOffset, len(block), errRecord)
	}
	return records, nil
}

// BaseTimestamp reads the base timestamp of the batch at the start of data, which
// ParseBatch has accepted.
func BaseTimestamp(data []byte) int64 { return int64(binary.BigEndian.Uint64(data[27:])) }

func parseRecord(block []byte) (r Record, rest []byte, err error) {
	length, n := binary.Varint(block)
	if n <= 0 || length < 1 || length > int64(len(block)-n) {
		return r, nil, errRecord
	}
	body, rest := block[n:n+int(length)], block[n+int(length):]
	body = body[1:] // attributes
	var ok bool
	if r.Timestamp, body, ok = varint(body); !ok {
		return r, nil, errVarint
	}
	if r.Offset, body, ok = varint(body); !ok {
		return r, nil, errVarint
	}
	if r.Key, body, err = varbytes(body); err != nil {
		return r, nil, err
	}
	r.Value, _, err = varbytes(body)
	return r, rest, err
}

func varint(p []byte) (int64, []byte, bool) {
	v, n := binary.Varint(p)
	if n <= 0 {
		return 0, nil, false
	}
	return v, p[n:], true
}

func varbytes(p []byte) (value, rest []byte, err error) {
	length, p, ok := varint(p)
	switch {
	case !ok:
		return nil, nil, errVarint
	case length < 0:
		return nil, p, nil
	case length > int64(len(p)):
		return nil, nil, errRecord
	}
	return p[:length:length], p[length:], nil
}

// RecordHash identifies a record's key and value, whatever its place or time.
func RecordHash(key, value []byte) uint64 {
	h := mix(Hash(key), uint64(len(key)))
	if value == nil {
		return mix(h, 0x7f4a7c15) | 1
	}
	return mix(h, Hash(value)) | 1 // never 0, which means unknown
}

// KeyHash identifies a record's key; no key is 0.
func KeyHash(key []byte) uint64 {
	if key == nil {
		return 0
	}
	return Hash(key) | 1
}

// Hash mixes bytes to 64 bits. It is the same on every machine.
func Hash(p []byte) uint64 {
	h := uint64(len(p)) ^ 0x9e3779b97f4a7c15
	for len(p) >= 8 {
		h = mix(h, binary.LittleEndian.Uint64(p))
		p = p[8:]
	}
	var last uint64
	for i, c := range p {
		last |= uint64(c) << (8 * i)
	}
	return mix(h, last^0xe7037ed1a0b428db)
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0xa0761d6478bd642f, b^0x8ebc6af09c88c6e3)
	return hi ^ lo
}
