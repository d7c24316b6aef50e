// Package log is one partition's log on files, in Kafka's own formats: segments,
// offset and time indexes, leader epochs, producer state, recovery, retention and
// compaction. A Log is plain state: its methods take facts and append orders to
// an Orders; work that grows with bytes is a Job. It knows nothing of leaders,
// followers, connections or topics' names. Start at Log and Append; Recover makes
// what Open needs, and Slice is how a log is read.
package log

import (
	"math"
	"sort"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/invariant"
)

const (
	maxOffset   = math.MaxInt64
	unknown     = -1
	tailBatches = 64
)

// Log is the state of one partition's log. Its methods are called one at a time.
type Log struct {
	id  ID
	dir string
	cfg *Config
	set *Settings
	ids func() uint64

	// closed are the segments before the active one. Slices share it: elements are
	// never replaced in place, and it grows only at its end.
	closed []*segment
	active *segment
	// pending are the segments, in order and ending in the active one, that are not
	// sealed and durable yet.
	pending []*segment
	tail    []tailBatch // the last batches of the active segment

	logStart      int64
	highWatermark place
	written       place
	durable       int64 // everything below is synced
	size          int64 // of closed

	epochs            epochCache
	epochsDirtyFrom   int64 // the first offset whose epoch no checkpoint holds yet
	epochsWritingFrom int64 // the same, of the checkpoint being written
	epochsChanged     bool
	epochsWriting     bool
	producers         *producers

	syncing    *segment // the one a Sync is in flight for
	syncingEnd int64
	flushTo    int64         // sync up to here whatever the durability is
	flushedAt  clock.Instant // when the last sync ended

	jobs           []runningJob
	doomed         []doomedFiles
	deleting       bool // segments are being renamed
	compacting     bool
	retentionWaits bool  // for a job to be done
	uncleanable    bool  // compaction met something it does not understand
	firstDirty     int64 // below it the log is compacted
	retentionAt    clock.Instant
	cleanAt        clock.Instant
	expireAt       clock.Instant

	cut          *cut     // the truncation that is not done
	mark         *cutMark // in the directory, since former ones
	markDropping bool     // it is being removed

	opened    *segment // the active one, if all that closing writes was there already
	openedEnd int64    // its end by then

	closing      bool
	closeOrdered bool
	done         bool
}

// place is an offset and where the batch that starts at it is or will be: the base
// of its segment and the position there, or -1 if that is not known.
type place struct {
	offset int64
	base   int64
	pos    int64
}

// tailBatch is the place of one of the last batches.
type tailBatch struct {
	offset int64
	pos    uint32
	size   uint32
}

// Open makes a Log of what Recover found in dir, whose parts it takes over. What
// lies between the recovery point and the log end offset is written but not known
// to be durable: the first Tick, for which Deadline asks at once, orders it synced.
func Open(
	id ID, dir string, cfg *Config, set *Settings, ids func() uint64, r *Recovered, now clock.Time,
) *Log {
	l := &Log{
		id: id, dir: dir, cfg: cfg, set: set, ids: ids,
		logStart: r.logStart, durable: r.recoveryPoint, firstDirty: r.firstDirty, mark: r.mark,
		epochs: epochCache{entries: r.epochs}, producers: r.producers,
		epochsDirtyFrom: maxOffset, epochsWritingFrom: maxOffset,
		flushedAt: now.Mono, retentionAt: now.Mono,
		expireAt: now.Mono.Add(millisOr(set.ProducerCheckMillis, producerCheckMillis)),
		cleanAt:  now.Mono.Add(millisOr(set.CleanerBackoffMillis, cleanerBackoffMillis)),
	}
	n := len(r.segments)
	for _, s := range r.segments {
		s.files = newSegmentFiles(dir, s.base, ids)
		s.written, s.synced = s.end, min(s.end, max(s.base, r.recoveryPoint))
		if s.end > r.recoveryPoint || s == r.segments[n-1] {
			l.pending = append(l.pending, s)
		}
	}
	l.closed, l.active = r.segments[:n-1:n-1], r.segments[n-1]
	for _, s := range l.closed {
		l.size += s.size
	}
	if r.asClosed {
		l.opened, l.openedEnd = l.active, l.active.end
	}
	l.written = l.endPlace()
	l.flushTo = l.written.offset
	l.highWatermark = l.placeOf(r.highWatermark)
	l.producers.replicatedTo(r.highWatermark)
	l.check()
	return l
}

// millisOr is a number of milliseconds, or the default if it is not set.
func millisOr(millis, otherwise int64) clock.Duration {
	if millis <= 0 {
		millis = otherwise
	}
	return clock.Millis(millis)
}

// SetConfig changes the configuration. Retention and compaction look at the new one
// at the next Tick.
func (l *Log) SetConfig(cfg *Config) {
	l.cfg = cfg
	l.active.indexInterval = max(l.active.indexInterval, int64(cfg.IndexIntervalBytes))
	l.retentionAt, l.cleanAt = 0, 0
}

// LogStartOffset is the first offset that may be read. It is the lowest of the four
// marks: LogStartOffset, LastStableOffset, HighWatermark, LogEndOffset.
func (l *Log) LogStartOffset() int64 { return l.logStart }

// HighWatermark is the end of what consumers may read.
func (l *Log) HighWatermark() int64 { return l.highWatermark.offset }

// LastStableOffset is the end of what read_committed consumers may read.
func (l *Log) LastStableOffset() int64 {
	return l.producers.lastStableOffset(l.logStart, l.highWatermark.offset)
}

// LogEndOffset is the next offset to be assigned.
func (l *Log) LogEndOffset() int64 { return l.active.end }

// HeldEndOffset is the end of what this replica holds as its durability wants it:
// written under PageCache, synced under Fsync.
func (l *Log) HeldEndOffset() int64 {
	if l.cfg.Durability == PageCache {
		return l.written.offset
	}
	return l.durable
}

// WrittenEndOffset is the end of what is written.
func (l *Log) WrittenEndOffset() int64 { return l.written.offset }

// SetHighWatermark raises the high watermark, at most to LogEndOffset. A lower
// offset than the present one changes nothing.
func (l *Log) SetHighWatermark(offset int64) {
	invariant.True(offset <= l.active.end, "the high watermark is at most the log end offset")
	if offset <= l.highWatermark.offset {
		return
	}
	l.highWatermark = l.placeOf(offset)
	l.producers.replicatedTo(offset)
}

// Size is the bytes of all segments.
func (l *Log) Size() int64 { return l.size + l.active.size }

// Producers lists the active producers by id.
func (l *Log) Producers(now clock.Time) []ProducerState { return l.producers.list(now.Wall) }

// ProducerState is one producer's last state, for DescribeProducers.
type ProducerState struct {
	ProducerID            int64
	LastTimestamp         int64
	CurrentTxnStartOffset int64 // -1: none
	LastSequence          int32
	CoordinatorEpoch      int32
	ProducerEpoch         int16
}

// endPlace is the place of the log end offset.
func (l *Log) endPlace() place {
	return place{offset: l.active.end, base: l.active.base, pos: l.active.size}
}

// placeOf returns the place of an offset where a batch starts or will start. The
// position is not known if that was long ago.
func (l *Log) placeOf(offset int64) place {
	switch {
	case offset == l.active.end:
		return l.endPlace()
	case offset == l.highWatermark.offset:
		return l.highWatermark
	case offset == l.written.offset:
		return l.written
	case offset >= l.active.base:
		p := place{offset: offset, base: l.active.base, pos: unknown}
		if i := l.findTail(offset); i >= 0 && l.tail[i].offset == offset {
			p.pos = int64(l.tail[i].pos)
		} else if offset == l.active.base {
			p.pos = 0
		}
		return p
	}
	p := place{offset: offset, base: l.logStart, pos: unknown}
	if i := findSegment(l.closed, offset); i >= 0 {
		p.base = l.closed[i].base
		if p.base == offset {
			p.pos = 0
		}
	}
	return p
}

// findTail returns the place in tail of the last batch that starts at or before
// offset, or -1.
func (l *Log) findTail(offset int64) int {
	return sort.Search(len(l.tail), func(i int) bool { return l.tail[i].offset > offset }) - 1
}

// findSegment returns the place of the last segment whose base is at most offset,
// or -1.
func findSegment(segments []*segment, offset int64) int {
	return sort.Search(len(segments), func(i int) bool { return segments[i].base > offset }) - 1
}

// addTail notes the place of a batch that is appended to the active segment.
func (l *Log) addTail(offset, pos, size int64) {
	if len(l.tail) == 2*tailBatches { // shifted once in a while, so that it stays sorted
		n := copy(l.tail, l.tail[tailBatches:])
		l.tail = l.tail[:n]
	}
	l.tail = append(l.tail, tailBatch{offset: offset, pos: uint32(pos), size: uint32(size)})
}

// check asserts what must always be true of a log.
func (l *Log) check() {
	invariant.True(l.logStart <= l.highWatermark.offset, "logStartOffset <= highWatermark")
	invariant.True(l.highWatermark.offset <= l.active.end, "highWatermark <= logEndOffset")
	invariant.True(l.durable <= l.written.offset, "what is durable is written")
	invariant.True(l.written.offset <= l.active.end, "what is written is assigned")
	if l.set.Check {
		l.checkAll()
	}
}

// checkAll asserts what takes the whole state to see.
func (l *Log) checkAll() {
	lastStable := l.LastStableOffset()
	invariant.True(l.logStart <= lastStable, "logStartOffset <= lastStableOffset")
	invariant.True(lastStable <= l.highWatermark.offset, "lastStableOffset <= highWatermark")
	size, next := int64(0), int64(-1)
	for _, s := range l.closed {
		invariant.True(s.base >= next, "segments follow one another")
		invariant.True(s.state != active, "only the last segment is active")
		next, size = s.end, size+s.size
	}
	invariant.True(size == l.size, "the size is that of all closed segments")
	invariant.True(l.active.base >= next, "the active segment follows the others")
	first := l.active
	if len(l.closed) > 0 {
		first = l.closed[0]
	}
	invariant.True(first.base <= l.logStart, "the first segment holds the log start offset")
	invariant.True(l.pending[len(l.pending)-1] == l.active, "the active segment is pending")
	for i, e := range l.active.offsets {
		if i > 0 {
			before := l.active.offsets[i-1]
			invariant.True(e.relative > before.relative, "indexed offsets increase")
			invariant.True(e.pos > before.pos, "indexed positions increase")
		}
	}
	for i, e := range l.active.times {
		invariant.True(i == 0 || e.time > l.active.times[i-1].time, "indexed timestamps increase")
	}
	for i, e := range l.epochs.entries {
		invariant.True(e.startOffset <= l.active.end, "epochs start within the log")
		if i > 0 {
			before := l.epochs.entries[i-1]
			invariant.True(e.epoch > before.epoch, "epochs increase")
			invariant.True(e.startOffset > before.startOffset, "epochs' start offsets increase")
		}
	}
}
