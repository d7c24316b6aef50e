package sim

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/invariant"
)

// clientRecord is one record that a simulated producer writes.
type clientRecord struct {
	key       []byte
	value     []byte
	timestamp int64
}

// clientBatch is what a simulated producer puts into a record batch. The encoder is
// its own, so that broker and clients cannot share a bug.
type clientBatch struct {
	records     []clientRecord
	producerID  int64
	sequence    int32
	epoch       int16
	compression batch.Compression
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode returns the batch in Kafka's format, version 2.
func (b *clientBatch) encode(codec batch.Codec) []byte {
	base, most := b.records[0].timestamp, b.records[0].timestamp
	var block []byte
	for i := range b.records {
		r := &b.records[i]
		most = max(most, r.timestamp)
		block = appendClientRecord(block, r, r.timestamp-base, int64(i))
	}
	attributes := uint16(0)
	if b.compression != batch.Uncompressed {
		packed, err := codec.Compress(nil, b.compression, 0, block)
		if err != nil {
			invariant.Fail("a simulated client cannot compress: %v", err)
		}
		block, attributes = packed, uint16(b.compression)
	}
	be := binary.BigEndian
	data := make([]byte, batch.HeaderSize, batch.HeaderSize+len(block))
	data = append(data, block...)
	be.PutUint32(data[8:], uint32(len(data)-12))
	be.PutUint32(data[12:], ^uint32(0))
	data[16] = 2
	be.PutUint16(data[21:], attributes)
	be.PutUint32(data[23:], uint32(len(b.records)-1))
	be.PutUint64(data[27:], uint64(base))
	be.PutUint64(data[35:], uint64(most))
	be.PutUint64(data[43:], uint64(b.producerID))
	be.PutUint16(data[51:], uint16(b.epoch))
	be.PutUint32(data[53:], uint32(b.sequence))
	be.PutUint32(data[57:], uint32(len(b.records)))
	be.PutUint32(data[17:], crc32.Checksum(data[21:], castagnoli))
	return data
}

func appendClientRecord(dst []byte, r *clientRecord, timestampDelta, offsetDelta int64) []byte {
	body := []byte{0}
	body = binary.AppendVarint(body, timestampDelta)
	body = binary.AppendVarint(body, offsetDelta)
	body = appendClientBytes(body, r.key)
	body = appendClientBytes(body, r.value)
	body = binary.AppendVarint(body, 0)
	return append(binary.AppendVarint(dst, int64(len(body))), body...)
}

func appendClientBytes(dst, p []byte) []byte {
	if p == nil {
		return binary.AppendVarint(dst, -1)
	}
	return append(binary.AppendVarint(dst, int64(len(p))), p...)
}

// attempt identifies the batch for the judge.
func (b *clientBatch) attempt() (records []checker.AttemptRecord, hashes []uint64) {
	for i := range b.records {
		r := &b.records[i]
		h := checker.RecordHash(r.key, r.value)
		hashes = append(hashes, h)
		records = append(records, checker.AttemptRecord{
			Hash: h, Key: checker.KeyHash(r.key), Tombstone: r.value == nil,
		})
	}
	return records, hashes
}

// decodeMax bounds the expansion of a compressed batch that a client reads.
const decodeMax = 1 << 24

// readBatch takes the first batch off data and expands it. A batch cut short is
// no error: it comes with size 0.
func readBatch(codec batch.Codec, data []byte) (
	b checker.Batch, rs []checker.Record, size int, err error,
) {
	if len(data) < 12 || len(data)-12 < int(binary.BigEndian.Uint32(data[8:])) {
		return b, nil, 0, nil
	}
	b, block, size, err := checker.ParseBatch(data)
	if err != nil {
		return b, nil, 0, err
	}
	if c := b.Codec(); c != 0 {
		block, err = codec.Decompress(nil, batch.Compression(c), block, decodeMax)
		if err != nil {
			return b, nil, 0, fmt.Errorf("batch at %d: %w", b.BaseOffset, err)
		}
	}
	if b.Control() {
		return b, nil, size, nil
	}
	rs, err = checker.ParseRecords(&b, checker.BaseTimestamp(data), block)
	return b, rs, size, err
}
