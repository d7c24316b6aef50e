package log

import (
	"encoding/binary"
	"fmt"
)

// abortedTxn is one entry of a transaction index, Kafka's .txnindex file: a
// transaction whose abort marker is in the segment. Entries stand in the order of
// their markers.
//
//	off len field             off len field
//	  0   2 version            18   8 lastOffset, of the marker
//	  2   8 producerId         26   8 lastStableOffset, once the marker was appended
//	 10   8 firstOffset
type abortedTxn struct {
	producerID       int64
	firstOffset      int64
	lastOffset       int64
	lastStableOffset int64
}

const (
	abortedTxnVersion = 0
	abortedTxnSize    = 34
)

// appendAbortedTxn appends the encoded entry to dst.
func appendAbortedTxn(dst []byte, t abortedTxn) []byte {
	be := binary.BigEndian
	dst = be.AppendUint16(dst, abortedTxnVersion)
	dst = be.AppendUint64(dst, uint64(t.producerID))
	dst = be.AppendUint64(dst, uint64(t.firstOffset))
	dst = be.AppendUint64(dst, uint64(t.lastOffset))
	return be.AppendUint64(dst, uint64(t.lastStableOffset))
}

// parseTxnIndex decodes the transaction index of the segment that begins at
// baseOffset. A torn entry at the end, unknown versions and offsets that cannot be
// are errors: the index is to be rebuilt from the segment.
func parseTxnIndex(data []byte, baseOffset int64) ([]abortedTxn, error) {
	if len(data)%abortedTxnSize != 0 {
		return nil, fmt.Errorf("transaction index of %d bytes has a torn entry", len(data))
	}
	be := binary.BigEndian
	txns := make([]abortedTxn, 0, len(data)/abortedTxnSize)
	previous := baseOffset - 1
	for at := 0; at < len(data); at += abortedTxnSize {
		d := data[at : at+abortedTxnSize]
		if v := be.Uint16(d); v != abortedTxnVersion {
			return nil, fmt.Errorf("transaction index has unknown version %d at %d", v, at)
		}
		t := abortedTxn{
			producerID:       int64(be.Uint64(d[2:])),
			firstOffset:      int64(be.Uint64(d[10:])),
			lastOffset:       int64(be.Uint64(d[18:])),
			lastStableOffset: int64(be.Uint64(d[26:])),
		}
		if t.lastOffset <= previous || t.firstOffset < 0 || t.firstOffset > t.lastOffset {
			return nil, fmt.Errorf("transaction index at %d: transaction from %d to %d after %d",
				at, t.firstOffset, t.lastOffset, previous)
		}
		previous = t.lastOffset
		txns = append(txns, t)
	}
	return txns, nil
}
