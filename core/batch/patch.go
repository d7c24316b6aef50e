package batch

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/heiban/heiban/core/invariant"
)

// The functions of this file change a batch in place. b must begin with a batch
// that Parse accepted, whole if the CRC changes too.

// SetBaseOffset gives the batch its place in a log. The CRC does not cover it.
func SetBaseOffset(b []byte, offset int64) {
	binary.BigEndian.PutUint64(b, uint64(offset))
}

// SetPartitionLeaderEpoch notes in which epoch a leader took the batch in. The CRC
// does not cover it.
func SetPartitionLeaderEpoch(b []byte, epoch int32) {
	binary.BigEndian.PutUint32(b[12:], uint32(epoch))
}

// SetLogAppendTime makes timestamp the timestamp of every record: it sets the
// timestamp type and maxTimestamp, and computes the CRC anew.
func SetLogAppendTime(b []byte, timestamp int64) {
	attributes := binary.BigEndian.Uint16(b[21:]) | uint16(logAppendTimeFlag)
	binary.BigEndian.PutUint16(b[21:], attributes)
	SetMaxTimestamp(b, timestamp)
}

// SetMaxTimestamp sets maxTimestamp and computes the CRC anew.
func SetMaxTimestamp(b []byte, timestamp int64) {
	binary.BigEndian.PutUint64(b[35:], uint64(timestamp))
	setCRC(b)
}

// Seal writes the header of the batch that is the whole of b over its first
// HeaderSize bytes. It takes Size, Magic and CRC from b and sets them in h.
func Seal(b []byte, h *Header) {
	invariant.True(len(b) >= HeaderSize, "a batch is sealed with room for its header")
	be := binary.BigEndian
	h.Size, h.Magic = int32(len(b)), magicV2
	be.PutUint64(b, uint64(h.BaseOffset))
	be.PutUint32(b[8:], uint32(h.Size-lengthOverhead))
	be.PutUint32(b[12:], uint32(h.PartitionLeaderEpoch))
	b[16] = byte(h.Magic)
	be.PutUint16(b[21:], uint16(h.Attributes))
	be.PutUint32(b[23:], uint32(h.LastOffsetDelta))
	be.PutUint64(b[27:], uint64(h.BaseTimestamp))
	be.PutUint64(b[35:], uint64(h.MaxTimestamp))
	be.PutUint64(b[43:], uint64(h.ProducerID))
	be.PutUint16(b[51:], uint16(h.ProducerEpoch))
	be.PutUint32(b[53:], uint32(h.BaseSequence))
	be.PutUint32(b[57:], uint32(h.RecordCount))
	setCRC(b)
	h.CRC = crcOf(b)
}

// setCRC computes the CRC of the batch at the start of b.
func setCRC(b []byte) {
	size := int(int32(binary.BigEndian.Uint32(b[8:]))) + lengthOverhead
	invariant.True(size >= HeaderSize && size <= len(b), "a batch is patched as a whole")
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[attributesAt:size], castagnoli))
}

func crcOf(b []byte) uint32 { return binary.BigEndian.Uint32(b[17:]) }
