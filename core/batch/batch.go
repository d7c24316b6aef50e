// Package batch reads, checks, patches and builds Kafka's record batch v2 (KIP-98)
// over opaque bytes. It knows nothing of logs, partitions or connections. Start at
// Header, then Check for what a producer sends, Records for what a batch holds,
// and Builder for making one.
package batch

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
)

// HeaderSize is the length of a batch's header, from baseOffset to recordsCount.
const HeaderSize = 61

// Compression is the codec of a batch, bits 0-2 of its attributes.
type Compression uint8

// The codecs of the protocol.
const (
	Uncompressed Compression = iota
	Gzip
	Snappy // xerial framing
	LZ4    // frame format
	Zstd
)

// String returns the name that compression.type uses.
func (c Compression) String() string {
	switch c {
	case Uncompressed:
		return "none"
	case Gzip:
		return "gzip"
	case Snappy:
		return "snappy"
	case LZ4:
		return "lz4"
	case Zstd:
		return "zstd"
	}
	return "unknown"
}

// TimestampType says who set a batch's timestamps, bit 3 of its attributes.
type TimestampType uint8

// The timestamp types of the protocol.
const (
	CreateTime TimestampType = iota
	LogAppendTime
)

// ErrExpansion says that records expand beyond the limit given to a Codec.
var ErrExpansion = errors.New("records expand beyond the limit")

// Codec compresses and expands record blocks. The core is given one, so that it
// need not know any compression library.
type Codec interface {
	// Compress appends the compressed form of src to dst. Level 0 is the
	// codec's default.
	Compress(dst []byte, c Compression, level int, src []byte) ([]byte, error)
	// Decompress appends the expanded form of src to dst. An expansion beyond
	// max bytes is ErrExpansion.
	Decompress(dst []byte, c Compression, src []byte, max int) ([]byte, error)
}

// Header is the fixed part of a batch, decoded.
//
//	off len field                 off len field
//	  0   8 baseOffset             27   8 baseTimestamp (delete horizon if bit 6)
//	  8   4 batchLength            35   8 maxTimestamp
//	 12   4 partitionLeaderEpoch   43   8 producerId
//	 16   1 magic                  51   2 producerEpoch
//	 17   4 crc                    53   4 baseSequence
//	 21   2 attributes             57   4 recordsCount
//	 23   4 lastOffsetDelta        61     records
type Header struct {
	BaseOffset           int64
	BaseTimestamp        int64
	MaxTimestamp         int64
	ProducerID           int64
	Size                 int32 // whole batch in bytes: 12 + batchLength
	PartitionLeaderEpoch int32
	LastOffsetDelta      int32
	BaseSequence         int32
	RecordCount          int32
	CRC                  uint32
	Attributes           int16
	ProducerEpoch        int16
	Magic                int8
}

// NoTimestamp is the timestamp of a record that has none, and NoSequence the
// baseSequence of a batch whose producer counts no sequences. NoProducerID and
// NoProducerEpoch stand in the batches of plain producers.
const (
	NoTimestamp     int64 = -1
	NoSequence      int32 = -1
	NoProducerID    int64 = -1
	NoProducerEpoch int16 = -1
)

// The bits of a batch's attributes. Bits 7 to 15 are unused.
const (
	compressionMask      int16 = 0x07
	logAppendTimeFlag    int16 = 0x08
	transactionalFlag    int16 = 0x10
	controlFlag          int16 = 0x20
	deleteHorizonFlag    int16 = 0x40 // KIP-534
	magicV2              int8  = 2
	lengthOverhead             = 12 // baseOffset and batchLength
	magicEnd                   = 17 // the bytes up to and with magic
	attributesAt               = 21 // where the bytes under the CRC begin
	batchLengthMin             = HeaderSize - lengthOverhead
	legacyMessageSizeMin       = 14 // the smallest message of magic 0
)

// What Parse finds wrong with a header.
var (
	ErrShort  = errors.New("the batch header is cut off")
	ErrLength = errors.New("the batch length is out of range")
	ErrMagic  = errors.New("the batch is not of magic 2")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Parse decodes the header at the start of b, which may end after the header or
// go on beyond the batch. It checks neither the CRC nor that b holds Size bytes.
// The error is ErrShort, ErrLength or ErrMagic, and h is then undefined.
func Parse(b []byte, h *Header) error {
	if len(b) < lengthOverhead {
		return ErrShort
	}
	be := binary.BigEndian
	length := int32(be.Uint32(b[8:]))
	if length < legacyMessageSizeMin || length > math.MaxInt32-lengthOverhead {
		return ErrLength
	}
	if len(b) < magicEnd {
		return ErrShort
	}
	if int8(b[16]) != magicV2 {
		return ErrMagic
	}
	if length < batchLengthMin {
		return ErrLength
	}
	if len(b) < HeaderSize {
		return ErrShort
	}
	b = b[:HeaderSize:HeaderSize]
	h.BaseOffset = int64(be.Uint64(b))
	h.Size = length + lengthOverhead
	h.PartitionLeaderEpoch = int32(be.Uint32(b[12:]))
	h.Magic = int8(b[16])
	h.CRC = be.Uint32(b[17:])
	h.Attributes = int16(be.Uint16(b[21:]))
	h.LastOffsetDelta = int32(be.Uint32(b[23:]))
	h.BaseTimestamp = int64(be.Uint64(b[27:]))
	h.MaxTimestamp = int64(be.Uint64(b[35:]))
	h.ProducerID = int64(be.Uint64(b[43:]))
	h.ProducerEpoch = int16(be.Uint16(b[51:]))
	h.BaseSequence = int32(be.Uint32(b[53:]))
	h.RecordCount = int32(be.Uint32(b[57:]))
	return nil
}

// ValidCRC reports whether b holds the whole batch of h and its CRC-32C is right.
// The header's first 17 bytes, and so baseOffset and partitionLeaderEpoch, stand
// outside the CRC.
func ValidCRC(b []byte, h *Header) bool {
	return len(b) >= int(h.Size) && h.Size >= HeaderSize &&
		crc32.Checksum(b[attributesAt:h.Size], castagnoli) == h.CRC
}

// Codec returns the compression of the records. Values above Zstd are unknown.
func (h *Header) Codec() Compression { return Compression(h.Attributes & compressionMask) }

// TimestampType returns who set the timestamps.
func (h *Header) TimestampType() TimestampType {
	if h.Attributes&logAppendTimeFlag != 0 {
		return LogAppendTime
	}
	return CreateTime
}

// IsTransactional reports whether the batch is part of a transaction.
func (h *Header) IsTransactional() bool { return h.Attributes&transactionalFlag != 0 }

// IsControl reports whether the records are control records.
func (h *Header) IsControl() bool { return h.Attributes&controlFlag != 0 }

// HasDeleteHorizon reports whether BaseTimestamp is the time from which the
// batch's tombstones may go (KIP-534).
func (h *Header) HasDeleteHorizon() bool { return h.Attributes&deleteHorizonFlag != 0 }

// HasProducer reports whether an idempotent producer or a transaction
// coordinator wrote the batch.
func (h *Header) HasProducer() bool { return h.ProducerID > NoProducerID }

// LastOffset is the offset of the last record the batch was written with, which
// compaction may have taken away since.
func (h *Header) LastOffset() int64 { return h.BaseOffset + int64(h.LastOffsetDelta) }

// NextOffset is the offset after LastOffset.
func (h *Header) NextOffset() int64 { return h.LastOffset() + 1 }

// LastSequence is the sequence of the last record the batch was written with, or
// NoSequence. Sequences live in [0, sequenceMax].
func (h *Header) LastSequence(sequenceMax int32) int32 {
	if h.BaseSequence == NoSequence {
		return NoSequence
	}
	return IncrementSequence(h.BaseSequence, h.LastOffsetDelta, sequenceMax)
}

// IncrementSequence returns the sequence n after seq. After sequenceMax comes 0;
// it is 2^31-1 in production and small in simulation.
func IncrementSequence(seq, n, sequenceMax int32) int32 {
	return int32((int64(seq) + int64(n)) % (int64(sequenceMax) + 1))
}

// Offset returns the offset of a record of the batch.
func (h *Header) Offset(r *Record) int64 { return h.BaseOffset + int64(r.OffsetDelta) }

// Timestamp returns the timestamp of a record of the batch: its own, or that of
// the batch under LogAppendTime.
func (h *Header) Timestamp(r *Record) int64 {
	if h.Attributes&logAppendTimeFlag != 0 {
		return h.MaxTimestamp
	}
	return h.BaseTimestamp + r.TimestampDelta
}
