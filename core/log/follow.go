package log

import (
	"errors"
	"fmt"
	"math"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/invariant"
)

// Batches are whole batches one after another, as a leader sent them to a follower.
// The zero value holds none.
type Batches struct {
	data    []byte
	headers []batch.Header
}

// Parse takes over the records of one partition in a fetch's answer. It is work for
// before Step, since it reads every byte. A batch that is cut off at the end is left
// out. The batches alias data; what Batches has allocated is kept for the next Parse.
//
// The error says which batch is malformed, has a wrong CRC or does not follow the one
// before. Then there are no batches.
func (b *Batches) Parse(data []byte) error {
	b.data, b.headers = nil, b.headers[:0]
	next, pos := int64(0), 0
	for pos < len(data) {
		var h batch.Header
		err := batch.Parse(data[pos:], &h)
		if errors.Is(err, batch.ErrShort) || err == nil && int(h.Size) > len(data)-pos {
			break
		}
		if err == nil {
			err = checkBatch(data[pos:pos+int(h.Size)], &h, next)
		}
		if err != nil {
			b.headers = b.headers[:0]
			return fmt.Errorf("batch at byte %d: %w", pos, err)
		}
		b.headers = append(b.headers, h)
		next, pos = h.NextOffset(), pos+int(h.Size)
	}
	b.data = data[:pos:pos]
	return nil
}

// checkBatch says what is wrong with a whole batch that is to start at next or later.
func checkBatch(data []byte, h *batch.Header, next int64) error {
	switch {
	case h.LastOffsetDelta < 0 || h.BaseOffset > math.MaxInt64-1-int64(h.LastOffsetDelta):
		return fmt.Errorf("its last offset is %d above its first, %d",
			h.LastOffsetDelta, h.BaseOffset)
	case h.BaseOffset < next:
		return fmt.Errorf("it starts at offset %d where %d is next", h.BaseOffset, next)
	case !batch.ValidCRC(data, h):
		return errors.New("its CRC is wrong")
	}
	_, _, err := batch.ParseMarker(data, h)
	return err
}

// Len is how many batches there are.
func (b *Batches) Len() int { return len(b.headers) }

// Header is that of the i-th batch.
func (b *Batches) Header(i int) *batch.Header { return &b.headers[i] }

// Bytes are all the batches.
func (b *Batches) Bytes() []byte { return b.data }

// Keep drops all but the first n batches.
func (b *Batches) Keep(n int) {
	size := 0
	for i := range b.headers[:n] {
		size += int(b.headers[i].Size)
	}
	b.headers, b.data = b.headers[:n], b.data[:size:size]
}

// clone returns a copy that shares nothing.
func (b *Batches) clone() *Batches {
	return &Batches{
		data: append([]byte(nil), b.data...), headers: append([]batch.Header(nil), b.headers...),
	}
}

// AppendReplicated appends batches as the leader has them: with their offsets, leader
// epochs and timestamps, whatever their producers did. Offsets may leave gaps, since the
// leader may have compacted its log. Their own bytes are ordered to be written, and
// LogEndOffset moves at once.
//
// The error says which batch starts below the log end offset, or is of an earlier leader
// epoch than what is before it. Then nothing has changed.
//
// In one case the log is Truncating afterwards: it is empty, and the first batch holds
// its start, because the leader's log starts inside of that batch. The log then begins
// anew with a copy of the batches, and the caller waits as for a truncation.
func (l *Log) AppendReplicated(now clock.Time, b *Batches, o *Orders) error {
	invariant.True(!l.closing, "nothing is appended to a log that is closing")
	invariant.True(l.cut == nil, "nothing is appended to a log that is being cut")
	if b.Len() == 0 {
		return nil
	}
	if first := b.Header(0); l.holdsStart(first) {
		l.beginCut(now, &cut{to: first.BaseOffset, restart: true, then: b.clone()}, o)
		return nil
	}
	if err := l.checkReplicated(b); err != nil {
		return err
	}
	headers, data := b.headers, b.data
	for len(headers) > 0 {
		if h := &headers[0]; l.mustRoll(now.Wall, h, h.LastOffset()) {
			l.rollFor(now, h, o)
		}
		n, size := l.writeRun(now, headers, data, o)
		headers, data = headers[n:], data[size:]
	}
	l.check()
	return nil
}

// holdsStart says that the log is empty and that its start lies inside of a batch.
func (l *Log) holdsStart(h *batch.Header) bool {
	return l.logStart == l.active.end && h.BaseOffset < l.logStart && h.NextOffset() > l.logStart
}

// checkReplicated says why batches cannot follow what the log has.
func (l *Log) checkReplicated(b *Batches) error {
	next, epoch := l.active.end, l.epochs.epochOf(l.active.end-1)
	for i := range b.headers {
		h := &b.headers[i]
		switch {
		case h.BaseOffset < next:
			return fmt.Errorf("batch at offset %d: the log ends at %d", h.BaseOffset, next)
		case h.PartitionLeaderEpoch >= 0 && h.PartitionLeaderEpoch < epoch:
			return fmt.Errorf("batch at offset %d: leader epoch %d after %d",
				h.BaseOffset, h.PartitionLeaderEpoch, epoch)
		}
		next, epoch = h.NextOffset(), max(epoch, h.PartitionLeaderEpoch)
	}
	return nil
}

// rollFor begins a new segment for a batch. Offsets are kept relative to the segment's
// base in 31 bits, so behind a gap of more than that it begins with the batch.
func (l *Log) rollFor(now clock.Time, h *batch.Header, o *Orders) {
	base := l.active.end
	if h.LastOffset()-base > math.MaxInt32 {
		base = h.BaseOffset
		l.firstDirty = max(l.firstDirty, base) // what tells recovery that the gap is no loss
	}
	l.rollAt(now, base, o)
}

// writeRun takes the first batches into the active segment, as far as they fit, and
// orders them written as one. It returns how many they are, and their size.
func (l *Log) writeRun(
	now clock.Time, headers []batch.Header, data []byte, o *Orders,
) (n, size int) {
	s := l.active
	w := Write{Log: l.id, File: s.files.log, Pos: s.size, Create: !s.exists}
	for n < len(headers) {
		h := &headers[n]
		if n > 0 && l.mustRoll(now.Wall, h, h.LastOffset()) {
			break
		}
		l.replicateEpoch(h, o)
		if whole := data[size : size+int(h.Size)]; h.IsControl() {
			l.applyMarker(h, whole, h.BaseOffset)
		} else {
			l.producers.apply(h, h.BaseOffset)
		}
		// A lookup of an offset in the gap before the batch finds the batch.
		l.addTail(s.end, s.size, int64(h.Size))
		s.append(h.LastOffset(), h.MaxTimestamp, int64(h.Size), l.set.IndexEntriesMax)
		n, size = n+1, size+int(h.Size)
	}
	s.exists, s.modified = true, now.Wall
	w.Data, w.EndOffset = data[:size:size], s.end
	o.Writes = append(o.Writes, w)
	l.maybeWriteEpochs(o)
	return n, size
}

// replicateEpoch notes the leader epoch of a batch. An epoch that was assigned and has
// written nothing goes if the leader's log does not know it.
func (l *Log) replicateEpoch(h *batch.Header, o *Orders) {
	epoch := h.PartitionLeaderEpoch
	if epoch >= 0 && epoch < l.epochs.latest() {
		l.dropUnusedEpochs(o)
	}
	if epoch > l.epochs.latest() {
		l.assignEpoch(epoch, h.BaseOffset, o)
	}
}

// MoveHighWatermark sets the high watermark as a leader told it, up or down, as far as
// LogStartOffset and LogEndOffset allow. It stays where it is while the log is cut.
func (l *Log) MoveHighWatermark(offset int64) {
	if l.cut != nil {
		return
	}
	offset = max(l.logStart, min(offset, l.active.end))
	if offset == l.highWatermark.offset {
		return
	}
	l.highWatermark = l.placeOf(offset)
	l.producers.replicatedTo(offset)
	l.check()
}
