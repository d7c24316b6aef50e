package log

import (
	"fmt"
	"math"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/mutant"
)

// Appended is what came of an append.
type Appended struct {
	BaseOffset     int64
	EndOffset      int64 // the next offset after the batch; of the original if Duplicate
	LogAppendTime  int64 // of the original if Duplicate; -1 for CreateTime
	LogStartOffset int64
	Err            errcode.Code
	Message        string // why, when Err is set
	Duplicate      bool   // nothing was written: this is the original's place
}

// Append assigns offsets to one batch, patches base offset and leader epoch into
// data, and orders its write. h is the header of data as it arrived, and the batch
// is valid. LogEndOffset moves at once. A control batch must be a transaction's
// marker; what its coordinator may do was checked before.
//
// Errors: OutOfOrderSequenceNumber, InvalidProducerEpoch, InvalidTxnState, and
// RecordListTooLarge for a batch larger than a segment, unless LargeBatches are allowed.
// Then nothing has changed.
func (l *Log) Append(
	now clock.Time, leaderEpoch int32, h *batch.Header, data []byte, o *Orders,
) Appended {
	invariant.True(!l.closing, "nothing is appended to a log that is closing")
	invariant.True(l.cut == nil, "nothing is appended to a log that is being cut")
	invariant.True(leaderEpoch >= l.epochs.latest(), "leader epochs do not decrease")
	invariant.True(int(h.Size) == len(data), "one batch is appended at a time")
	a := Appended{BaseOffset: -1, EndOffset: -1, LogAppendTime: -1, LogStartOffset: l.logStart}
	if !h.IsControl() {
		original, code, why := l.producers.check(h)
		if original != nil {
			return a.duplicate(original, h)
		}
		if code != errcode.None {
			a.Err, a.Message = code, why
			return a
		}
	}
	early := !h.IsControl() && l.set.Mutants.On(mutant.P2StateBeforeAppend)
	if early {
		l.producers.apply(h, l.active.end)
	}
	if int64(len(data)) > l.cfg.SegmentBytes && !l.cfg.LargeBatches {
		a.Err = errcode.RecordListTooLarge
		a.Message = fmt.Sprintf("the batch of %d bytes is larger than segment.bytes of %d",
			len(data), l.cfg.SegmentBytes)
		return a
	}
	base := l.active.end
	last := base + int64(h.LastOffsetDelta)
	if l.mustRoll(now.Wall, h, last) {
		l.roll(now, o)
	}
	batch.SetBaseOffset(data, base)
	batch.SetPartitionLeaderEpoch(data, leaderEpoch)
	l.assignEpoch(leaderEpoch, base, o)
	if h.IsControl() {
		l.applyMarker(h, data, base)
	} else if !early {
		l.producers.apply(h, base)
	}
	l.write(now, h, data, o)
	a.BaseOffset, a.EndOffset = base, last+1
	if h.TimestampType() == batch.LogAppendTime {
		a.LogAppendTime = h.MaxTimestamp
	}
	l.check()
	return a
}

// duplicate is the answer to a batch that is in the log already.
func (a Appended) duplicate(original *producerBatch, h *batch.Header) Appended {
	a.BaseOffset, a.EndOffset = original.baseOffset(), original.endOffset()
	a.Duplicate = true
	if h.TimestampType() == batch.LogAppendTime {
		a.LogAppendTime = original.timestamp
	}
	return a
}

// applyMarker takes in the end of a transaction.
func (l *Log) applyMarker(h *batch.Header, data []byte, offset int64) {
	m, ok, err := batch.ParseMarker(data, h)
	invariant.True(err == nil, "a coordinator writes well-formed control records")
	if !ok {
		return
	}
	if aborted, is := l.producers.applyMarker(&m, offset); is {
		l.active.aborted = append(l.active.aborted, aborted)
	}
}

// write takes the batch into the active segment and orders its bytes written.
func (l *Log) write(now clock.Time, h *batch.Header, data []byte, o *Orders) {
	s := l.active
	pos, base, n := s.size, s.end, int64(len(data))
	s.append(base+int64(h.LastOffsetDelta), h.MaxTimestamp, n, l.set.IndexEntriesMax)
	s.modified = now.Wall
	l.addTail(base, pos, n)
	o.Writes = append(o.Writes, Write{
		Log: l.id, File: s.files.log, Data: data, Pos: pos, EndOffset: s.end, Create: !s.exists,
	})
	s.exists = true
	l.maybeWriteEpochs(o)
}

// mustRoll says whether a batch that ends in last begins a new segment. Time is the
// time of the records, so an idle segment does not roll.
func (l *Log) mustRoll(now clock.Wall, h *batch.Header, last int64) bool {
	s := l.active
	switch {
	case s.size == 0:
		return last-s.base > math.MaxInt32
	case s.size > l.cfg.SegmentBytes-int64(h.Size), s.size > math.MaxUint32-int64(h.Size):
		return true
	case last-s.base > math.MaxInt32:
		return true
	case int64(len(s.offsets)) >= int64(l.cfg.SegmentIndexBytes)/offsetEntrySize:
		return true
	case int64(len(s.times)) >= int64(l.cfg.SegmentIndexBytes)/timeEntrySize-1:
		return true // one is kept for the largest timestamp
	}
	waited := h.MaxTimestamp - s.rollTime
	if s.rollTime < 0 {
		waited = int64(now) - int64(s.created)
	}
	return waited > l.cfg.SegmentMillis-l.jitter(s.base)
}

// jitter spreads the rolls of logs that began at the same time, as
// segment.jitter.ms asks. It follows from the log and the segment alone.
func (l *Log) jitter(base int64) int64 {
	most := min(l.cfg.SegmentJitterMillis, l.cfg.SegmentMillis)
	if most <= 0 {
		return 0
	}
	x := uint64(l.id)*0x9e3779b97f4a7c15 + uint64(base)
	x = (x ^ x>>31) * 0xbf58476d1ce4e5b9
	return int64((x ^ x>>29) % uint64(most))
}

// roll closes the active segment and begins a new one at the log end offset. The
// closed one is sealed once it is written.
func (l *Log) roll(now clock.Time, o *Orders) { l.rollAt(now, l.active.end, o) }

func (l *Log) rollAt(now clock.Time, base int64, o *Orders) {
	s := l.active
	s.state, s.snapshot = closed, l.producers.snapshot()
	l.closed = append(l.closed, s)
	l.size += s.size
	l.active = newSegment(base, now.Wall, l.cfg)
	l.active.files = newSegmentFiles(l.dir, base, l.ids)
	l.pending = append(l.pending, l.active)
	l.tail = l.tail[:0]
	l.maybeSeal(o)
}
