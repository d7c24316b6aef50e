package batch

import (
	"encoding/binary"
	"errors"
)

// ControlType is the type of a control record, part of its key.
type ControlType int16

// The control records of the protocol. Others are to be ignored.
const (
	Abort          ControlType = 0 // KIP-98
	Commit         ControlType = 1 // KIP-98
	LeaderChange   ControlType = 2 // KIP-595
	SnapshotHeader ControlType = 3 // KIP-630
	SnapshotFooter ControlType = 4 // KIP-630
	KRaftVersion   ControlType = 5 // KIP-853
	KRaftVoters    ControlType = 6 // KIP-853
)

// ErrControl says that a control record's key or value is malformed.
var ErrControl = errors.New("the control record is malformed")

const (
	controlKeySize  = 4 // version int16, type int16
	markerValueSize = 6 // version int16, coordinatorEpoch int32
)

// AppendControlKey appends the key of control records of type t, in version 0.
func AppendControlKey(dst []byte, t ControlType) []byte {
	return binary.BigEndian.AppendUint16(append(dst, 0, 0), uint16(t))
}

// ParseControlKey returns the type in a control record's key, of any version. The
// error is ErrControl.
func ParseControlKey(key []byte) (ControlType, error) {
	if len(key) < controlKeySize || int8(key[0]) < 0 {
		return 0, ErrControl
	}
	return ControlType(binary.BigEndian.Uint16(key[2:])), nil
}

// Marker is the end of a producer's transaction on a partition (KIP-98).
type Marker struct {
	ProducerID       int64
	Timestamp        int64
	CoordinatorEpoch int32
	ProducerEpoch    int16
	Commit           bool
}

// Type returns Commit or Abort.
func (m *Marker) Type() ControlType {
	if m.Commit {
		return Commit
	}
	return Abort
}

// AppendMarker appends the control batch that ends a transaction: one record, at
// offset 0 and leader epoch -1 until a leader takes it in, without a sequence.
func AppendMarker(dst []byte, m *Marker) []byte {
	var space [controlKeySize + markerValueSize]byte
	key := AppendControlKey(space[:0], m.Type())
	value := binary.BigEndian.AppendUint32(append(key[controlKeySize:], 0, 0),
		uint32(m.CoordinatorEpoch))
	return appendControl(dst, &Options{
		ProducerID:           m.ProducerID,
		ProducerEpoch:        m.ProducerEpoch,
		BaseSequence:         NoSequence,
		PartitionLeaderEpoch: -1,
		HasProducer:          true,
		Transactional:        true,
	}, m.Timestamp, key, value)
}

// AppendControl appends an uncompressed control batch of one record. Of the
// options, Control is set and the compression ignored.
func AppendControl(dst []byte, o Options, t ControlType, timestamp int64, value []byte) []byte {
	var space [controlKeySize]byte
	return appendControl(dst, &o, timestamp, AppendControlKey(space[:0], t), value)
}

func appendControl(dst []byte, o *Options, timestamp int64, key, value []byte) []byte {
	o.Control, o.Compression = true, Uncompressed
	h := o.header()
	if h.BaseTimestamp == NoTimestamp {
		h.BaseTimestamp = timestamp
	}
	if h.TimestampType() == CreateTime {
		h.MaxTimestamp = timestamp
	}
	h.LastOffsetDelta, h.RecordCount = 0, 1
	start := len(dst)
	var blank [HeaderSize]byte
	dst = append(dst, blank[:]...)
	dst = appendRecord(dst, timestamp-h.BaseTimestamp, 0, &Record{Key: key, Value: value})
	Seal(dst[start:], &h)
	return dst
}

// ParseMarker reads the marker in the control batch at the start of b, whose
// header is h. A control batch of another type, or of one that is not known, is
// not ok; a malformed one is ErrControl or what Records tells.
func ParseMarker(b []byte, h *Header) (m Marker, ok bool, err error) {
	if !h.IsControl() || h.RecordCount == 0 {
		return Marker{}, false, nil
	}
	if h.Codec() != Uncompressed {
		return Marker{}, false, ErrControl
	}
	var r Record
	rs := RecordsOf(b[HeaderSize:h.Size], h.RecordCount)
	if !rs.Next(&r) {
		return Marker{}, false, rs.Err()
	}
	t, err := ParseControlKey(r.Key)
	if err != nil || t != Abort && t != Commit {
		return Marker{}, false, err
	}
	if len(r.Value) < markerValueSize || int8(r.Value[0]) < 0 {
		return Marker{}, false, ErrControl
	}
	return Marker{
		ProducerID:       h.ProducerID,
		ProducerEpoch:    h.ProducerEpoch,
		Timestamp:        h.Timestamp(&r),
		CoordinatorEpoch: int32(binary.BigEndian.Uint32(r.Value[2:])),
		Commit:           t == Commit,
	}, true, nil
}
