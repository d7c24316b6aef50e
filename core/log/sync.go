package log

import (
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/mutant"
)

// WriteDone takes in that what was ordered to be written to the file that ends at
// endOffset, or goes on there, is written up to it. Files of one log may finish in
// another order than theirs.
func (l *Log) WriteDone(now clock.Time, endOffset int64, o *Orders) {
	i := findSegment(l.pending, endOffset-1)
	invariant.True(i >= 0, "a write is done in a segment that has one")
	s := l.pending[i]
	invariant.True(endOffset <= s.end, "a write is done that was ordered")
	s.written = max(s.written, endOffset)
	for _, s := range l.pending {
		if s.written > l.written.offset {
			l.written = l.placeOf(s.written)
		}
		if s.written < s.end {
			break
		}
	}
	l.maybeSeal(o)
	l.maybeFlush(now)
	l.maybeSync(o)
	l.maybeCut(now, o)
	l.maybeClose(o)
	l.check()
}

// maybeFlush decides that everything written is to be synced, by flush.messages or
// flush.ms.
func (l *Log) maybeFlush(now clock.Time) {
	waiting := l.written.offset - max(l.durable, l.flushTo)
	if waiting <= 0 {
		return
	}
	if l.cfg.Durability == Fsync || waiting >= l.cfg.FlushMessages || now.Mono >= l.flushAt() {
		l.flushTo = l.written.offset
	}
}

// flushAt is when flush.ms asks for a sync of what is written.
func (l *Log) flushAt() clock.Instant {
	if l.cfg.FlushMillis < 0 {
		return clock.Never
	}
	return l.flushedAt.Add(clock.Millis(l.cfg.FlushMillis))
}

// maybeSync orders the next sync that is due, unless one is in flight. One at a time
// is group commit: the next one covers all that was written meanwhile.
func (l *Log) maybeSync(o *Orders) {
	if l.syncing != nil || l.closeOrdered || l.cut != nil || l.durable >= l.flushTo {
		return
	}
	s := l.syncable()
	if s == nil {
		return
	}
	l.syncing, l.syncingEnd = s, s.written
	dir := !s.named && !l.set.Mutants.On(mutant.D7NoDirectorySync)
	o.Syncs = append(o.Syncs, Sync{Log: l.id, File: s.files.log, EndOffset: s.written, Dir: dir})
}

// syncable returns the segment to be synced next, or nil. Segments are synced in
// order, so that what is durable has no gaps; one may have to be written first, or
// be synced by the job that seals it.
func (l *Log) syncable() *segment {
	for _, s := range l.pending {
		if s.synced == s.end && s != l.active {
			continue
		}
		if s.synced == s.written || s.syncsLog {
			return nil
		}
		return s
	}
	return nil
}

// SyncDone takes in that everything below endOffset is durable.
func (l *Log) SyncDone(now clock.Time, endOffset int64, o *Orders) {
	s := l.syncing
	invariant.True(s != nil && endOffset == l.syncingEnd, "a sync is done that was ordered")
	l.syncing = nil
	s.named = true
	l.synced(now, s, endOffset)
	l.maybeSeal(o)
	if l.retentionWaits {
		l.retain(now, o)
	}
	l.maybeFlush(now)
	l.maybeSync(o)
	l.maybeDropMark(o)
	l.maybeCut(now, o)
	l.maybeClose(o)
	l.check()
}

// synced notes that a segment is durable up to an offset.
func (l *Log) synced(now clock.Time, s *segment, endOffset int64) {
	s.synced = max(s.synced, endOffset)
	l.settleDurable()
	l.flushedAt = now.Mono
	l.settle()
}

// settleDurable raises what is durable to where the first gap is.
func (l *Log) settleDurable() {
	for _, s := range l.pending {
		l.durable = max(l.durable, s.synced)
		if s.synced < s.end {
			break
		}
	}
}

// settle forgets the pending segments that are sealed and durable.
func (l *Log) settle() {
	n := 0
	for _, s := range l.pending {
		if s.state != sealed || s.synced < s.end {
			break
		}
		n++
	}
	if n > 0 {
		l.pending = append(l.pending[:0], l.pending[n:]...)
	}
}

// RecoveryPoint is the offset below which everything is durable: records, the
// indexes of closed segments, and leader epochs. Recovery need not look below it.
func (l *Log) RecoveryPoint() int64 {
	if l.syncing != nil && l.set.Mutants.On(mutant.D2RecoveryPointBeforeSync) {
		return max(l.durable, l.syncingEnd)
	}
	point := min(l.durable, l.epochsDirtyFrom, l.epochsWritingFrom)
	for _, s := range l.pending {
		if s.state == closed || s.state == sealing {
			point = min(point, s.base)
		}
	}
	return point
}
