package batch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/invariant"
)

// RecordErrorsMax is how many records of a batch Check names at most. A client
// takes the others for victims of the same failure.
const RecordErrorsMax = 1000

// Rules are what Check holds a batch to. Limits in milliseconds below zero are no
// limits.
type Rules struct {
	TimestampBeforeMaxMillis int64 // message.timestamp.before.max.ms (KIP-937)
	TimestampAfterMaxMillis  int64 // message.timestamp.after.max.ms (KIP-937)
	DecompressedBytesMax     int   // the largest block that records may expand to
	CompressionLevel         int   // 0 is the codec's default
	MaxMessageBytes          int32 // the largest batch, header included, compressed
	Compression              Compression
	TimestampType            TimestampType
	KeepCompression          bool // compression.type=producer: Compression is not used
	Compacted                bool // every record must have a key
	AllowZstd                bool // Produce v7 and later (KIP-110)
	AllowControl             bool // the batch comes from a coordinator
	Strict                   bool // look into every compressed batch, as Kafka does
}

// RecordError says what is wrong with one record of a batch (KIP-467).
type RecordError struct {
	Message string
	Index   int32 // of the record in its batch
}

// Checked is the outcome of Check. Data is the one batch to append, and Header
// its header, both only without an Err.
type Checked struct {
	Header       Header
	Data         []byte // the bytes given to Check where they could be patched
	RecordErrors []RecordError
	Message      string // why, with an Err
	Err          errcode.Code
}

// Check validates the records that a Produce request brings for one partition, as
// Kafka's LogValidator does, and makes them what the topic wants: timestamps, and
// where needed compression and offset deltas. It owns data and patches it in
// place where it can. Base offset and leader epoch stay as they are.
//
// Two things differ from Kafka. A compressed batch is only looked into where its
// header cannot tell: for keys on a compacted topic, another compression, limits
// of timestamps, and under Strict. And an uncompressed batch whose offset deltas
// are not 0, 1, 2 and so on is refused.
//
// A refusal is CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, INVALID_TIMESTAMP,
// UNSUPPORTED_COMPRESSION_TYPE or INVALID_RECORD, for the batch as a whole.
func Check(data []byte, r *Rules, now clock.Wall, c Codec) Checked {
	k := check{rules: r, codec: c, now: int64(now)}
	k.Data = data
	if !k.one() || !k.header() || !k.records() {
		k.Data = nil
	}
	return k.Checked
}

// check is a Check under way. Its methods report whether the batch still stands;
// if not, they have said why.
type check struct {
	Checked
	rules *Rules
	codec Codec
	now   int64
}

func (k *check) refuse(code errcode.Code, message string) bool {
	k.Err, k.Message = code, message
	return false
}

func (k *check) invalid(message string) bool { return k.refuse(errcode.InvalidRecord, message) }

// one makes sure of exactly one whole batch and cuts a cut-off one behind it off.
func (k *check) one() bool {
	size, err := wholeSize(k.Data)
	if err != nil {
		return k.refuse(errcode.CorruptMessage, err.Error())
	}
	if size == 0 {
		return k.invalid("a Produce request must have at least one record batch per partition")
	}
	switch err := Parse(k.Data, &k.Header); {
	case errors.Is(err, ErrMagic):
		return k.invalid("a Produce request must have record batches of magic 2 only")
	case err != nil:
		return k.refuse(errcode.CorruptMessage, err.Error())
	}
	rest := k.Data[size:]
	k.Data = k.Data[:size:size]
	switch size, err := wholeSize(rest); {
	case err != nil:
		return k.refuse(errcode.CorruptMessage, err.Error())
	case size > 0:
		return k.invalid("a Produce request must have exactly one record batch per partition")
	}
	return true
}

// wholeSize returns the size of the batch, of any magic, at the start of b, or 0
// if it is cut off.
func wholeSize(b []byte) (int, error) {
	if len(b) < lengthOverhead {
		return 0, nil
	}
	length := int32(binary.BigEndian.Uint32(b[8:]))
	if length < legacyMessageSizeMin {
		return 0, ErrLength
	}
	if len(b) >= magicEnd && b[16] > byte(magicV2) {
		return 0, ErrMagic
	}
	if size := int(length) + lengthOverhead; size <= len(b) {
		return size, nil
	}
	return 0, nil
}

// header checks the header and the CRC.
func (k *check) header() bool {
	h, r := &k.Header, k.rules
	switch {
	case h.Codec() == Zstd && !r.AllowZstd:
		return k.refuse(errcode.UnsupportedCompressionType,
			"zstd needs version 7 of Produce or a later one")
	case h.BaseOffset != 0:
		return k.invalid("the baseOffset of a producer's batch must be 0")
	case h.Size > r.MaxMessageBytes:
		return k.refuse(errcode.MessageTooLarge,
			fmt.Sprintf("the record batch is of %d bytes, and max.message.bytes is %d",
				h.Size, r.MaxMessageBytes))
	case !ValidCRC(k.Data, h):
		return k.refuse(errcode.CorruptMessage, "the CRC of the record batch is wrong")
	case h.Codec() > Zstd:
		return k.refuse(errcode.UnsupportedCompressionType, "the compression type is unknown")
	case h.RecordCount <= 0:
		return k.invalid(fmt.Sprintf("the record count is %d", h.RecordCount))
	case int64(h.LastOffsetDelta)+1 != int64(h.RecordCount):
		return k.invalid(fmt.Sprintf("the lastOffsetDelta is %d in a batch of %d records",
			h.LastOffsetDelta, h.RecordCount))
	case h.IsControl() && !r.AllowControl:
		return k.invalid("clients may not write control records")
	case h.HasProducer() && h.BaseSequence < 0 && !h.IsControl():
		return k.invalid(fmt.Sprintf("the baseSequence of producer %d is %d",
			h.ProducerID, h.BaseSequence))
	case h.TimestampType() == LogAppendTime:
		return k.refuseLogAppendTime()
	}
	return true
}

// refuseLogAppendTime blames every record for the timestamp type of its batch.
func (k *check) refuseLogAppendTime() bool {
	for i := range min(k.Header.RecordCount, RecordErrorsMax) {
		k.RecordErrors = append(k.RecordErrors, RecordError{
			Index:   i,
			Message: "a producer must not set the timestamp type to LogAppendTime",
		})
	}
	return k.refuse(errcode.InvalidTimestamp, timestampMessage)
}

const timestampMessage = "one or more records were rejected because of their timestamps"

// records checks the records as far as needed and writes what the broker decides.
func (k *check) records() bool {
	h, r := &k.Header, k.rules
	target := r.Compression
	if r.KeepCompression || h.IsControl() && h.Codec() == Uncompressed {
		target = h.Codec()
	}
	if h.Codec() != Uncompressed && target == h.Codec() && !k.mustLook() {
		k.setMaxTimestamp(h.MaxTimestamp)
		return true
	}
	if h.Codec() != Uncompressed {
		invariant.True(r.DecompressedBytesMax > 0, "a check has a limit for expanding records")
	}
	reader := Reader{Codec: k.codec, BytesMax: r.DecompressedBytesMax}
	block, err := reader.Block(k.Data, h)
	if errors.Is(err, ErrExpansion) {
		return k.refuse(errcode.MessageTooLarge, err.Error())
	} else if err != nil {
		return k.invalid("the records do not decompress: " + err.Error())
	}
	sum, err := Walk(block, h.RecordCount, h.BaseTimestamp)
	if err != nil {
		return k.invalid(err.Error())
	}
	inPlace := target == h.Codec() && (sum.Consecutive || h.Codec() == Uncompressed)
	renumber := !sum.Consecutive && !inPlace
	if !k.judge(block, &sum, renumber) {
		return false
	}
	if !inPlace {
		return k.rebuild(block, &sum, target)
	}
	k.setMaxTimestamp(sum.MaxTimestamp)
	return true
}

// mustLook reports whether the header of a compressed batch leaves open if its
// records are right.
func (k *check) mustLook() bool {
	h, r := &k.Header, k.rules
	if r.Strict || r.Compacted {
		return true
	}
	// No field tells the lowest timestamp.
	bounded := r.TimestampBeforeMaxMillis >= 0 && r.TimestampBeforeMaxMillis < math.MaxInt64
	return r.TimestampType == CreateTime &&
		(bounded || !k.inRange(h.BaseTimestamp) || !k.inRange(h.MaxTimestamp))
}

// inRange reports whether a producer may give a record this timestamp.
func (k *check) inRange(timestamp int64) bool {
	if timestamp == NoTimestamp {
		return true
	}
	before, after := k.rules.TimestampBeforeMaxMillis, k.rules.TimestampAfterMaxMillis
	if timestamp <= k.now {
		age := uint64(k.now) - uint64(timestamp) // of any two int64, it fits
		return before < 0 || age <= uint64(before)
	}
	return after < 0 || uint64(timestamp)-uint64(k.now) <= uint64(after)
}

// judge checks the records that sum sums up, and names those that are wrong.
func (k *check) judge(block []byte, sum *Summary, renumber bool) bool {
	r := k.rules
	timestamps := r.TimestampType == LogAppendTime ||
		k.inRange(sum.MinTimestamp) && k.inRange(sum.MaxTimestamp)
	if timestamps && (sum.Keyed || !r.Compacted) && (sum.Consecutive || renumber) {
		return true
	}
	var rec Record
	code, faults, index := errcode.InvalidRecord, 0, int32(0)
	for rs := RecordsOf(block, k.Header.RecordCount); rs.Next(&rec); index++ {
		message, badTimestamp := k.fault(&rec, index, renumber)
		if message == "" {
			continue
		}
		if badTimestamp {
			code = errcode.InvalidTimestamp
		}
		if faults++; faults <= RecordErrorsMax {
			k.RecordErrors = append(k.RecordErrors, RecordError{Message: message, Index: index})
		}
	}
	switch {
	case faults == 0: // a timestamp that stood out was NoTimestamp
		return true
	case code == errcode.InvalidTimestamp:
		return k.refuse(code, timestampMessage)
	}
	return k.refuse(code, fmt.Sprintf("%d records were rejected, the first because: %s",
		faults, k.RecordErrors[0].Message))
}

// fault says what is wrong with a record, or nothing.
func (k *check) fault(rec *Record, index int32, renumber bool) (message string, timestamp bool) {
	r := k.rules
	if rec.OffsetDelta != index && !renumber {
		return fmt.Sprintf("the offset delta is %d, not %d", rec.OffsetDelta, index), false
	}
	if r.Compacted && rec.Key == nil {
		return "a compacted topic takes no record without a key", false
	}
	t := k.Header.Timestamp(rec)
	if r.TimestampType == CreateTime && !k.inRange(t) {
		return fmt.Sprintf("the timestamp %d is too far from the broker's time %d", t, k.now), true
	}
	return "", false
}

// setMaxTimestamp writes the timestamps of a batch that stays as it is, of which
// the largest timestamp is given.
func (k *check) setMaxTimestamp(timestamp int64) {
	h := &k.Header
	switch {
	case k.rules.TimestampType == LogAppendTime:
		h.Attributes |= logAppendTimeFlag
		h.MaxTimestamp = k.now
		SetLogAppendTime(k.Data, k.now)
	case h.MaxTimestamp != timestamp:
		h.MaxTimestamp = timestamp
		SetMaxTimestamp(k.Data, timestamp)
	default:
		return
	}
	h.CRC = crcOf(k.Data)
}

// rebuild makes a new batch of the records in block.
func (k *check) rebuild(block []byte, sum *Summary, target Compression) bool {
	h, r := &k.Header, k.rules
	if !sum.Consecutive {
		block = renumbered(block, h.RecordCount)
	}
	h.Attributes = h.Attributes&^compressionMask | int16(target)
	h.MaxTimestamp = sum.MaxTimestamp
	if r.TimestampType == LogAppendTime {
		h.Attributes |= logAppendTimeFlag
		h.MaxTimestamp = k.now
	}
	if target == Uncompressed && len(block) > math.MaxInt32-HeaderSize {
		return k.refuse(errcode.MessageTooLarge, ErrExpansion.Error())
	}
	data := make([]byte, 0, HeaderSize+len(block))
	data, err := seal(data, h, block, compressor{k.codec, r.CompressionLevel})
	if err != nil {
		return k.refuse(errcode.UnknownServerError, "compress the records: "+err.Error())
	}
	if h.Size > r.MaxMessageBytes {
		return k.refuse(errcode.MessageTooLarge,
			fmt.Sprintf("the recompressed record batch is of %d bytes, and max.message.bytes is %d",
				h.Size, r.MaxMessageBytes))
	}
	k.Data = data
	return true
}

// renumbered returns a copy of block, which Walk accepted, with the offset deltas
// 0, 1, 2 and so on, which some old clients get wrong in compressed batches.
func renumbered(block []byte, count int32) []byte {
	out := make([]byte, 0, len(block))
	var rec Record
	index := int32(0)
	for rs := RecordsOf(block, count); rs.Next(&rec); index++ {
		out = appendRecord(out, rec.TimestampDelta, index, &rec)
	}
	return out
}
