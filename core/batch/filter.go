package batch

import "errors"

// ErrOffsetOrder says that the offsets of records in a batch do not increase.
var ErrOffsetOrder = errors.New("the offsets in the batch do not increase")

// Filter rewrites batches for compaction. It keeps its memory from one batch to
// the next.
type Filter struct {
	Reader      // the Codec, and the limit for expanding
	Level   int // of compression; 0 is the codec's default
	kept    []Record
	builder Builder
}

// Retention says how a batch is to be rewritten.
type Retention struct {
	// DeleteHorizon, if positive, is written into the batch if it has none yet and
	// keeps a tombstone, or is the marker of an empty transaction (KIP-534).
	DeleteHorizon    int64
	EmptyTransaction bool
	// KeepEmpty keeps the header of a batch that loses all its records: it holds
	// the producer's last sequence, or the end of the log.
	KeepEmpty bool
}

// Kept is what Filter did with a batch.
type Kept struct {
	Header  Header // of what was appended
	Records int    // how many records are kept
	Written bool   // something was appended
	Changed bool   // and it is not the batch as it was
}

// Append appends to dst the batch at the start of b, whose header is h, without
// the records that keep refuses. It asks keep once for each record, in order.
// Offsets, sequences, producer and leader epoch stay; lastOffsetDelta too, so that
// the producer's last sequence is not lost. A batch that loses nothing is copied
// as it is. The error is the Codec's, what Records tells or ErrOffsetOrder; dst is then as it was.
func (f *Filter) Append(
	dst, b []byte, h *Header, how Retention, keep func(r *Record) bool,
) ([]byte, Kept, error) {
	rs, err := f.Records(b, h)
	if err != nil {
		return dst, Kept{}, err
	}
	f.kept = f.kept[:0]
	var r Record
	tombstones := false
	for rs.Next(&r) {
		if keep(&r) {
			if n := len(f.kept); n > 0 && f.kept[n-1].OffsetDelta >= r.OffsetDelta {
				return dst, Kept{}, ErrOffsetOrder
			}
			f.kept = append(f.kept, r)
			tombstones = tombstones || r.Value == nil
		}
	}
	if err := rs.Err(); err != nil {
		return dst, Kept{}, err
	}
	horizon := int64(0)
	switch {
	case h.HasDeleteHorizon():
		horizon = h.BaseTimestamp
	case tombstones || how.EmptyTransaction:
		horizon = how.DeleteHorizon
	}
	kept := Kept{Header: *h, Records: len(f.kept), Written: true}
	switch {
	case kept.Records == 0 && !how.KeepEmpty:
		kept.Written = false
	case kept.Records == 0:
		dst, kept.Changed = appendEmptied(dst, &kept.Header), true
	case kept.Records == int(h.RecordCount) && h.HasDeleteHorizon() == (horizon > 0):
		dst = append(dst, b[:h.Size]...)
	default:
		dst, err = f.appendKept(dst, &kept.Header, horizon)
		kept.Changed = true
	}
	if err != nil {
		return dst, Kept{}, err
	}
	return dst, kept, nil
}

// appendKept appends the batch of h with the records kept, and sets in h what
// changes by it.
func (f *Filter) appendKept(dst []byte, h *Header, horizon int64) ([]byte, error) {
	f.builder.Reset(&Options{DeleteHorizon: horizon})
	for i := range f.kept {
		f.builder.AppendRecord(h.Timestamp(&f.kept[i]), &f.kept[i])
	}
	made := &f.builder.header
	h.Attributes = h.Attributes&^deleteHorizonFlag | made.Attributes
	h.RecordCount, h.BaseTimestamp = made.RecordCount, made.BaseTimestamp
	if h.TimestampType() == CreateTime {
		h.MaxTimestamp = made.MaxTimestamp
	}
	return seal(dst, h, f.builder.block, compressor{f.Codec, f.Level})
}

// appendEmptied appends the batch of h without records. Its maxTimestamp stays.
func appendEmptied(dst []byte, h *Header) []byte {
	h.Attributes &^= compressionMask | deleteHorizonFlag
	h.RecordCount, h.BaseTimestamp = 0, NoTimestamp
	start := len(dst)
	var blank [HeaderSize]byte
	dst = append(dst, blank[:]...)
	Seal(dst[start:], h)
	return dst
}
