package log

import (
	"fmt"
	"path"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/mutant"
)

// A truncation goes like this:
//
//  1. Nothing new is ordered, until what is in flight is done: a write that arrives
//     after the cut would bring back what was cut.
//  2. A job finds where to cut, writes down in the directory that the checkpoints of
//     the log directory are too high, cuts, and reads what the producers were there.
//  3. The log goes on from there. All of the cut is durable, so that nothing of it can
//     come back among what is appended since.

// cut is a truncation that was asked for and is not done.
type cut struct {
	to      int64    // nothing from here on is kept
	then    *Batches // to be appended afterwards, or nil
	restart bool     // nothing before it is kept either, and the log starts there
	ordered bool
}

// Truncating reports that a truncation is not done. Until it is, the log's marks stay
// where they were, nothing above the cut can be read, and nothing may be appended or
// truncated. JobDone ends it.
func (l *Log) Truncating() bool { return l.cut != nil }

// TruncateTo cuts off the end of the log, from the first batch on that holds offset or
// lies above it, also below the high watermark: a batch is never cut in two. Of a log
// that ends there or before, only the leader epochs that have written nothing go. An
// offset below all segments begins the log anew there. Unless Truncating reports false
// already, LogEndOffset says where the log ends once it does.
func (l *Log) TruncateTo(now clock.Time, offset int64, o *Orders) {
	invariant.True(!l.closing, "a log that is closing is not cut")
	invariant.True(l.cut == nil, "one truncation is done at a time")
	invariant.True(offset >= 0, "offsets are not negative")
	if offset >= l.active.end {
		l.dropUnusedEpochs(o)
		return
	}
	l.beginCut(now, &cut{to: offset, restart: offset < l.FirstBaseOffset()}, o)
}

// TruncateFullyAndStartAt drops all of the log, with its leader epochs and producers,
// and begins it anew at offset. The caller waits as for TruncateTo.
func (l *Log) TruncateFullyAndStartAt(now clock.Time, offset int64, o *Orders) {
	invariant.True(!l.closing, "a log that is closing is not cut")
	invariant.True(l.cut == nil, "one truncation is done at a time")
	invariant.True(offset >= 0, "offsets are not negative")
	l.beginCut(now, &cut{to: offset, restart: true}, o)
}

// dropUnusedEpochs forgets the leader epochs that have written nothing.
func (l *Log) dropUnusedEpochs(o *Orders) {
	if l.epochs.truncateEnd(l.active.end) {
		// Until the checkpoint says so as well, recovery must look at the batches that
		// come now, or it would take their epoch for the one dropped.
		l.epochsDirtyFrom = min(l.epochsDirtyFrom, l.active.end)
		l.epochsChanged = true
		l.maybeWriteEpochs(o)
	}
}

func (l *Log) beginCut(now clock.Time, c *cut, o *Orders) {
	l.cut = c
	l.maybeCut(now, o)
	l.check()
}

// readable is the offset below which the log may be read while it is cut.
func (l *Log) readable() int64 {
	switch {
	case l.cut == nil:
		return l.written.offset
	case l.cut.restart:
		return l.logStart
	}
	return min(l.written.offset, l.cut.to)
}

// maybeCut orders the truncation that waits, once nothing else is in flight.
func (l *Log) maybeCut(now clock.Time, o *Orders) {
	if l.cut == nil || l.cut.ordered || l.closeOrdered || !l.quiet() {
		return
	}
	l.cut.ordered = true
	j := &truncateLog{
		dir: l.dir, to: l.cut.to, restart: l.cut.restart, epochs: l.epochs.clone(),
		mark: cutMark{offset: maxOffset, logEnd: l.active.end, logStart: l.logStart},
		now:  now, cfg: l.cfg, set: l.set,
	}
	if l.cut.then != nil {
		j.mark.logStart = 0 // the log starts where it did, inside of a batch
	}
	if l.mark != nil {
		j.mark = l.mark.with(j.mark)
	}
	for _, s := range append(l.closed[:len(l.closed):len(l.closed)], l.active) {
		if s.base <= l.cut.to && !l.cut.restart {
			j.segments = append(j.segments, segment{
				base: s.base, end: s.end, size: s.size, state: sealed,
				created: s.created, modified: s.modified,
			})
		}
	}
	l.runJob(j, logTruncated, nil, o)
}

// truncateDone goes on with what the truncation left.
func (l *Log) truncateDone(now clock.Time, r *truncated, o *Orders) {
	c, started := l.cut, l.logStart
	l.cut, l.mark = nil, &r.mark
	l.takeSegments(r.active, c.restart, o)
	end := l.active.end
	if !l.set.Mutants.On(mutant.T16KeepProducers) {
		l.producers = r.producers
	}
	if !l.set.Mutants.On(mutant.T15KeepEpochs) {
		l.epochs.entries = r.epochs
	}
	l.epochsChanged, l.epochsDirtyFrom = false, maxOffset
	l.logStart = min(l.logStart, end)
	high := min(l.highWatermark.offset, end)
	if c.restart {
		l.logStart, high = end, end
	}
	l.highWatermark = l.placeOf(high)
	l.producers.replicatedTo(high)
	l.firstDirty, l.uncleanable = min(l.firstDirty, end), false
	if c.then != nil && !l.closing { // a log that closes has them sent again later
		err := l.AppendReplicated(now, c.then, o)
		invariant.True(err == nil, "batches fit a log that begins with them")
		l.MoveHighWatermark(started)
		l.raiseLogStart(started, o)
	}
	l.maybeSeal(o)
	if l.retentionWaits {
		l.retain(now, o)
	}
}

// takeSegments makes s the active segment, instead of those from its base on, or all of
// them after a restart.
func (l *Log) takeSegments(s *segment, restart bool, o *Orders) {
	kept, pending := 0, 0
	if !restart {
		kept = findSegment(l.closed, s.base-1) + 1
		pending = findSegment(l.pending, s.base-1) + 1
	}
	s.files = newSegmentFiles(l.dir, s.base, l.ids)
	for _, gone := range append(l.closed[kept:len(l.closed):len(l.closed)], l.active) {
		if gone.base == s.base && !restart {
			// The log is the file it was: it keeps its one handle.
			s.files.log = gone.files.log
			o.Releases = append(o.Releases, gone.files.index, gone.files.timeIndex)
			continue
		}
		o.release(gone.files)
	}
	s.written, s.synced, s.exists, s.named = s.end, s.end, true, true
	l.closed, l.active = l.closed[:kept:kept], s
	l.pending = append(l.pending[:pending:pending], s)
	l.size = 0
	for _, s := range l.closed {
		l.size += s.size
	}
	l.tail = l.tail[:0]
	l.written = l.endPlace()
	l.durable, l.flushTo = min(l.durable, s.end), min(l.flushTo, s.end)
	l.settleDurable()
}

// maybeDropMark orders the mark of former truncations removed once it tells nothing: a
// checkpoint from before them is true again of the log as it is now.
func (l *Log) maybeDropMark(o *Orders) {
	m := l.mark
	if m == nil || l.cut != nil || l.closing || l.markDropping ||
		min(l.RecoveryPoint(), l.highWatermark.offset) < m.logEnd || l.logStart < m.logStart {
		return
	}
	l.markDropping = true
	l.runJob(&dropMark{dir: l.dir}, markDropped, nil, o)
}

// dropMark is the job that removes the mark of former truncations.
type dropMark struct{ dir string }

func (j *dropMark) Run(d *Devices) (Result, error) {
	if err := d.Files.Remove(path.Join(j.dir, truncationFile)); err != nil {
		return nil, fmt.Errorf("remove %s of %s: %w", truncationFile, j.dir, err)
	}
	return nil, d.Files.SyncDir(j.dir)
}
