package batch

import "github.com/heiban/heiban/core/invariant"

// Options are the fields of a batch that do not follow from its records. The zero
// value is an uncompressed batch at offset 0, without a producer.
type Options struct {
	BaseOffset           int64
	ProducerID           int64 // with ProducerEpoch and BaseSequence, only if HasProducer
	LogAppendTime        int64 // the timestamp of every record, only under LogAppendTime
	DeleteHorizon        int64 // if positive, stands as baseTimestamp (KIP-534)
	PartitionLeaderEpoch int32
	BaseSequence         int32
	CompressionLevel     int // 0 is the codec's default
	ProducerEpoch        int16
	Compression          Compression
	TimestampType        TimestampType
	HasProducer          bool
	Transactional        bool
	Control              bool
}

// header returns the header of a batch without records.
func (o *Options) header() Header {
	h := Header{
		BaseOffset:           o.BaseOffset,
		BaseTimestamp:        NoTimestamp,
		MaxTimestamp:         NoTimestamp,
		ProducerID:           NoProducerID,
		ProducerEpoch:        NoProducerEpoch,
		BaseSequence:         NoSequence,
		PartitionLeaderEpoch: o.PartitionLeaderEpoch,
		LastOffsetDelta:      -1,
		Attributes:           int16(o.Compression),
		Magic:                magicV2,
	}
	if o.HasProducer {
		h.ProducerID, h.ProducerEpoch = o.ProducerID, o.ProducerEpoch
		h.BaseSequence = o.BaseSequence
	}
	if o.TimestampType == LogAppendTime {
		h.Attributes |= logAppendTimeFlag
		h.MaxTimestamp = o.LogAppendTime
	}
	if o.Transactional {
		h.Attributes |= transactionalFlag
	}
	if o.Control {
		h.Attributes |= controlFlag
	}
	if o.DeleteHorizon > 0 {
		h.Attributes |= deleteHorizonFlag
		h.BaseTimestamp = o.DeleteHorizon
	}
	return h
}

// Builder makes one batch after another. Reset begins a batch, Append adds to it,
// Finish ends it. The zero value has been Reset with no options.
type Builder struct {
	header Header
	level  int
	block  []byte // records, uncompressed; reused
	begun  bool
}

// Reset begins a new batch and keeps the Builder's memory.
func (b *Builder) Reset(o *Options) {
	b.header, b.level, b.begun = o.header(), o.CompressionLevel, true
	b.block = b.block[:0]
}

// Append adds a record at the next offset. Nil is a null key or value. The batch's
// baseTimestamp is the timestamp of its first record.
func (b *Builder) Append(timestamp int64, key, value []byte, headers []RecordHeader) {
	b.begin(timestamp)
	h := &b.header
	h.LastOffsetDelta++
	body := 1 + varintSize(timestamp-h.BaseTimestamp) + varintSize(int64(h.LastOffsetDelta)) +
		fieldSize(key) + fieldSize(value) + varintSize(int64(len(headers)))
	for i := range headers {
		body += fieldSize(headers[i].Key) + fieldSize(headers[i].Value)
	}
	p := appendVarint(b.block, int64(body))
	p = append(p, 0)
	p = appendVarint(p, timestamp-h.BaseTimestamp)
	p = appendVarint(p, int64(h.LastOffsetDelta))
	p = appendField(p, key)
	p = appendField(p, value)
	p = appendVarint(p, int64(len(headers)))
	for i := range headers {
		// A null header key has no form on the wire.
		p = appendVarint(p, int64(len(headers[i].Key)))
		p = append(p, headers[i].Key...)
		p = appendField(p, headers[i].Value)
	}
	b.block = p
}

// AppendRecord adds a record as it was read from another batch, with its offset
// delta, which must be above the last one's, and with timestamp instead of its
// timestamp delta.
func (b *Builder) AppendRecord(timestamp int64, r *Record) {
	b.begin(timestamp)
	invariant.True(r.OffsetDelta > b.header.LastOffsetDelta, "offsets in a batch increase")
	b.header.LastOffsetDelta = r.OffsetDelta
	b.block = appendRecord(b.block, timestamp-b.header.BaseTimestamp, r.OffsetDelta, r)
}

// begin takes in the timestamp of the next record.
func (b *Builder) begin(timestamp int64) {
	if !b.begun {
		b.Reset(&Options{})
	}
	h := &b.header
	if h.RecordCount == 0 && !h.HasDeleteHorizon() {
		h.BaseTimestamp = timestamp
	}
	if h.TimestampType() == CreateTime {
		h.MaxTimestamp = max(h.MaxTimestamp, timestamp)
	}
	h.RecordCount++
}

// Count returns how many records were appended since Reset.
func (b *Builder) Count() int { return int(b.header.RecordCount) }

// Size returns the size of the batch so far, before compression.
func (b *Builder) Size() int { return HeaderSize + len(b.block) }

// Finish appends the batch to dst. c may be nil for an uncompressed batch. The
// error is the Codec's.
func (b *Builder) Finish(dst []byte, c Codec) ([]byte, error) {
	if !b.begun {
		b.Reset(&Options{})
	}
	return seal(dst, &b.header, b.block, compressor{c, b.level})
}

// compressor is a Codec set to a level.
type compressor struct {
	codec Codec
	level int
}

// seal appends to dst the batch of header h and records block, which it compresses
// if the header says so, and sets in h what follows from that.
func seal(dst []byte, h *Header, block []byte, c compressor) ([]byte, error) {
	start := len(dst)
	var blank [HeaderSize]byte
	dst = append(dst, blank[:]...)
	if h.Codec() == Uncompressed {
		dst = append(dst, block...)
	} else {
		var err error
		if dst, err = c.codec.Compress(dst, h.Codec(), c.level, block); err != nil {
			return dst[:start], err
		}
	}
	Seal(dst[start:], h)
	return dst, nil
}

// appendRecord appends r to a block, with other deltas than its own.
func appendRecord(block []byte, timestampDelta int64, offsetDelta int32, r *Record) []byte {
	body := 1 + varintSize(timestampDelta) + varintSize(int64(offsetDelta)) +
		fieldSize(r.Key) + fieldSize(r.Value) +
		varintSize(int64(r.Headers.count)) + len(r.Headers.raw)
	block = appendVarint(block, int64(body))
	block = append(block, byte(r.Attributes))
	block = appendVarint(block, timestampDelta)
	block = appendVarint(block, int64(offsetDelta))
	block = appendField(block, r.Key)
	block = appendField(block, r.Value)
	block = appendVarint(block, int64(r.Headers.count))
	return append(block, r.Headers.raw...)
}

func appendField(b, field []byte) []byte {
	if field == nil {
		return appendVarint(b, -1)
	}
	return append(appendVarint(b, int64(len(field))), field...)
}

func fieldSize(field []byte) int {
	if field == nil {
		return varintSize(-1)
	}
	return varintSize(int64(len(field))) + len(field)
}
