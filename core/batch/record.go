package batch

import (
	"errors"
	"math"
)

// What is wrong with a block of records.
var (
	ErrRecordSize  = errors.New("a record's size is not the size of its fields")
	ErrHeaderCount = errors.New("a record's header count is out of range")
	ErrHeaderKey   = errors.New("a record header's key has a negative size")
	ErrRecordsLeft = errors.New("bytes are left after the last record")
	ErrRecordsEnd  = errors.New("the records end before their count is reached")
	ErrRecordCount = errors.New("the record count is negative")
)

// Record is one record of a batch. Its slices are parts of the block it was read
// from.
//
//	size varint              everything after this field
//	attributes int8          unused
//	timestampDelta varlong   from the batch's baseTimestamp
//	offsetDelta varint       from the batch's baseOffset
//	key varint + bytes       a negative size is null
//	value varint + bytes     a negative size is null
//	headers varint           count, then for each: key varint + bytes, value as above
type Record struct {
	Key            []byte // nil is null
	Value          []byte // nil is null: a tombstone on a compacted topic
	Headers        RecordHeaders
	TimestampDelta int64
	OffsetDelta    int32
	Attributes     int8
}

// RecordHeader is a header of a record (KIP-82).
type RecordHeader struct {
	Key   []byte
	Value []byte // nil is null
}

// RecordHeaders is what is left of a record's headers. To read them, copy it and
// call Next:
//
//	for hs := r.Headers; hs.Next(&h); {
type RecordHeaders struct {
	raw   []byte
	count int32
}

// Len returns how many headers are left.
func (hs *RecordHeaders) Len() int { return int(hs.count) }

// Next takes one header off and reports whether there was one.
func (hs *RecordHeaders) Next(h *RecordHeader) bool {
	if hs.count == 0 {
		return false
	}
	size, p := varint(hs.raw, 0)
	h.Key, p = hs.raw[p:p+int(size):p+int(size)], p+int(size)
	size, p = varint(hs.raw, p)
	h.Value, p = field(hs.raw, p, size)
	hs.raw, hs.count = hs.raw[p:], hs.count-1
	return true
}

// Records iterates over an uncompressed block of records. It allocates nothing.
//
//	for rs := batch.RecordsOf(block, h.RecordCount); rs.Next(&r); {
type Records struct {
	block []byte
	pos   int
	left  int32
	err   error
}

// RecordsOf returns the iterator over a block that holds count records.
func RecordsOf(block []byte, count int32) Records {
	rs := Records{block: block, left: count}
	switch {
	case count < 0:
		rs.err = ErrRecordCount
	case count == 0 && len(block) > 0:
		rs.err = ErrRecordsLeft
	}
	return rs
}

// Next reads a record into r and reports whether there was one. It ends at the
// count, or where the block is wrong: then Err says so.
func (rs *Records) Next(r *Record) bool {
	if rs.left <= 0 || rs.err != nil {
		return false
	}
	rs.pos, rs.err = r.parse(rs.block, rs.pos)
	rs.left--
	if rs.err == nil && rs.left == 0 && rs.pos != len(rs.block) {
		rs.err = ErrRecordsLeft
	}
	return rs.err == nil
}

// Err returns what is wrong with the block as far as it was read.
func (rs *Records) Err() error { return rs.err }

// parse reads the record at block[pos] and returns the position after it.
func (r *Record) parse(block []byte, pos int) (int, error) {
	b, p, err := recordAt(block, pos)
	if err != nil {
		return 0, err
	}
	if p < len(b) {
		r.Attributes = int8(b[p])
	}
	r.TimestampDelta, p = varlong(b, p+1)
	r.OffsetDelta, p = varint(b, p)
	size, p := varint(b, p)
	r.Key, p = field(b, p, size)
	size, p = varint(b, p)
	r.Value, p = field(b, p, size)
	count, p := varint(b, p)
	r.Headers = RecordHeaders{}
	if count != 0 {
		start := p
		if p, err = walkHeaders(b, p, count); err != nil {
			return 0, err
		}
		if p <= len(b) {
			r.Headers = RecordHeaders{raw: b[start:p], count: count}
		}
	}
	if p != len(b) {
		return 0, ErrRecordSize
	}
	return p, nil
}

// recordAt returns block cut at the end of the record at pos, and the position
// after the record's size.
func recordAt(block []byte, pos int) ([]byte, int, error) {
	size, p := varint(block, pos)
	if p > len(block) {
		return nil, 0, ErrRecordsEnd
	}
	if size < 0 {
		return nil, 0, ErrRecordSize
	}
	end := p + int(size)
	if end > len(block) {
		return nil, 0, ErrRecordsEnd
	}
	return block[:end:end], p, nil
}

// field returns the size bytes at b[p], or nil if size is negative, and the
// position after them.
func field(b []byte, p int, size int32) ([]byte, int) {
	if size < 0 {
		return nil, p
	}
	end := p + int(size)
	if end > len(b) {
		return nil, cutOff
	}
	return b[p:end:end], end
}

// walkHeaders returns the position after count headers at b[p].
func walkHeaders(b []byte, p int, count int32) (int, error) {
	if p > len(b) {
		return p, nil
	}
	if count < 0 || int(count) > len(b)-p {
		return 0, ErrHeaderCount
	}
	for range count {
		size, next := varint(b, p)
		if size < 0 {
			return 0, ErrHeaderKey
		}
		size, p = varint(b, next+int(size))
		p += int(max(size, 0))
		if p > len(b) {
			break
		}
	}
	return p, nil
}

// Summary is what Walk learns about the records of a block.
type Summary struct {
	MinTimestamp int64
	MaxTimestamp int64 // at least NoTimestamp
	Consecutive  bool  // the offset deltas are 0, 1, 2 and so on
	Keyed        bool  // every record has a key
}

// Walk checks the structure of a block of count records as strictly as Records,
// without giving out the records. baseTimestamp is that of the batch. Of no
// records the timestamps are NoTimestamp.
func Walk(block []byte, count int32, baseTimestamp int64) (Summary, error) {
	if count <= 0 {
		rs := RecordsOf(block, count)
		return Summary{NoTimestamp, NoTimestamp, true, true}, rs.Err()
	}
	minTimestamp, maxTimestamp := int64(math.MaxInt64), NoTimestamp
	gaps, nullKeys := int32(0), int32(0) // not zero, and negative, if there are any
	pos := 0
	for i := range count {
		b, p, err := recordAt(block, pos)
		if err != nil {
			return Summary{}, err
		}
		timestampDelta, p := varlong(b, p+1)
		minTimestamp = min(minTimestamp, baseTimestamp+timestampDelta)
		maxTimestamp = max(maxTimestamp, baseTimestamp+timestampDelta)
		offsetDelta, p := varint(b, p)
		gaps |= offsetDelta ^ i
		size, p := varint(b, p)
		nullKeys |= size
		size, p = varint(b, p+int(max(size, 0)))
		headers, p := varint(b, p+int(max(size, 0)))
		if headers != 0 {
			if p, err = walkHeaders(b, p, headers); err != nil {
				return Summary{}, err
			}
		}
		if p != len(b) {
			return Summary{}, ErrRecordSize
		}
		pos = p
	}
	if pos != len(block) {
		return Summary{}, ErrRecordsLeft
	}
	return Summary{minTimestamp, maxTimestamp, gaps == 0, nullKeys >= 0}, nil
}

// Reader opens the records of batches, compressed or not.
type Reader struct {
	Codec    Codec
	BytesMax int // the largest block that a compressed batch may expand to
	block    []byte
}

// Records returns the records of the batch at the start of b, whose header is h.
// They are parts of b or of the Reader's memory, and valid until the next call.
// The error is the Codec's; what else is wrong the iterator tells.
func (r *Reader) Records(b []byte, h *Header) (Records, error) {
	block, err := r.Block(b, h)
	if err != nil {
		return Records{}, err
	}
	return RecordsOf(block, h.RecordCount), nil
}

// Block returns the records of the batch at the start of b, whose header is h, as
// one uncompressed block, under the same terms as Records.
func (r *Reader) Block(b []byte, h *Header) ([]byte, error) {
	block := b[HeaderSize:h.Size]
	// A batch that the cleaner emptied has nothing to expand.
	if h.Codec() == Uncompressed || len(block) == 0 && h.RecordCount == 0 {
		return block, nil
	}
	var err error
	r.block, err = r.Codec.Decompress(r.block[:0], h.Codec(), block, r.BytesMax)
	return r.block, err
}
