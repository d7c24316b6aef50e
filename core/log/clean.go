package log

import (
	"slices"

	"github.com/heiban/heiban/clock"
)

// cleanDue is when to look at compaction next.
func (l *Log) cleanDue() clock.Instant {
	dirty := len(l.closed) > 0 && l.closed[len(l.closed)-1].end > l.firstDirty
	if !l.cfg.CleanupCompact || !dirty || l.compacting || l.uncleanable {
		return clock.Never
	}
	return l.cleanAt
}

// maybeCompact orders the log compacted if enough of it is dirty or something dirty
// is too old, and reports whether it did. What is not stable, not durable or younger
// than min.compaction.lag.ms is left alone. After a start all of the log counts as
// dirty.
func (l *Log) maybeCompact(now clock.Time, o *Orders) bool {
	if l.deleting || l.closing || l.cut != nil {
		return false
	}
	n, clean, dirty, overdue := l.cleanable(now)
	if dirty == 0 {
		return false
	}
	// dirty/(clean+dirty) > ratio, in millionths
	enough := dirty*1_000_000 > (clean+dirty)*int64(l.cfg.MinCleanableDirtyPPM)
	if !enough && !overdue {
		return false
	}
	j := &Compact{
		dir: l.dir, producers: l.producers.activeProducers(), firstDirty: l.firstDirty,
		now: now.Wall, cfg: l.cfg, set: l.set,
	}
	for i, s := range l.closed {
		switch {
		case i < n:
			j.segments = append(j.segments, s.source())
		case s.state == sealed:
			j.later = append(j.later, s.base)
		default:
			j.aborted = append(j.aborted, s.aborted...)
		}
	}
	j.aborted = append(j.aborted, l.active.aborted...)
	l.compacting = true
	l.runJob(j, segmentsCompacted, nil, o)
	return true
}

// cleanable returns how many segments may be compacted, how many bytes of them are
// clean and dirty, and whether max.compaction.lag.ms asks for it.
func (l *Log) cleanable(now clock.Time) (n int, clean, dirty int64, overdue bool) {
	stable := l.LastStableOffset()
	for _, s := range l.closed {
		if s.end > stable || s.base >= l.pending[0].base {
			break
		}
		if s.end <= l.firstDirty {
			n, clean = n+1, clean+s.size
			continue
		}
		if s.largestTime() > int64(now.Wall)-l.cfg.MinCompactionLagMillis {
			break
		}
		n, dirty = n+1, dirty+s.size
		first := s.rollTime
		if first < 0 {
			first = s.largestTime()
		}
		overdue = overdue || l.cfg.MaxCompactionLagMillis > 0 &&
			first < int64(now.Wall)-l.cfg.MaxCompactionLagMillis
	}
	return n, clean, dirty, overdue
}

// compactDone puts the compacted segments in place of the old ones, whose files go
// once nobody reads them any more.
func (l *Log) compactDone(now clock.Time, r *Compacted, o *Orders) {
	l.compacting = false
	l.uncleanable = r.Uncleanable != ""
	l.firstDirty = max(l.firstDirty, r.FirstDirty)
	l.closed = slices.Clone(l.closed)
	old := doomedFiles{paths: r.deleted}
	for _, p := range r.replaced {
		i := slices.IndexFunc(l.closed, func(s *segment) bool { return s.base == p.bases[0] })
		for _, s := range l.closed[i : i+len(p.bases)] {
			old.refs = append(old.refs, s.files.log, s.files.index, s.files.timeIndex)
			l.size -= s.size
		}
		s := p.segment
		s.files, s.inFiles = newSegmentFiles(l.dir, s.base, l.ids), true
		s.written, s.synced, s.exists, s.named = s.end, s.end, true, true
		l.size += s.size
		l.closed = slices.Replace(l.closed, i, i+len(p.bases), s)
	}
	if len(old.refs) > 0 {
		l.removeLater(now, old)
	}
	if l.retentionWaits {
		l.retain(now, o)
	}
}
