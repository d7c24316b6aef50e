package log

import (
	"errors"
	"fmt"
	"math"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
)

// Compact is the job that rewrites the segments of a log without the records that a
// later record of the same key has replaced (result *Compacted).
//
// Pass 1 reads the dirty segments and notes the last offset of every key, as far as
// the buffer holds. Pass 2 rewrites the log from its beginning up to there, several
// small segments into one. Offsets, timestamps and headers of what is kept do not
// change. Kafka compares hashes of keys; this compares keys.
//
// The log does nothing else to these segments until the job is done, but appends to
// the active segment and reads anything. A reader that opens a replaced file by its
// name, before the log took in the result, may find the new one there: positions
// that come from an old index must be checked against what stands there.
type Compact struct {
	dir        string
	segments   []compactSource  // sealed, from the log's beginning, without a gap
	later      []int64          // bases of the sealed segments after these
	aborted    []abortedTxn     // what segments after these have in memory only
	producers  []activeProducer // by id
	firstDirty int64            // below it the log is compacted
	now        clock.Wall
	cfg        *Config
	set        *Settings
}

// compactSource is a segment to compact.
type compactSource struct {
	base          int64
	end           int64
	size          int64
	offsetEntries int
	timeEntries   int
	created       clock.Wall
	modified      clock.Wall
}

// activeProducer is what compaction must keep of a producer, so that its state can
// still be rebuilt from the log: the batch with its last sequence (KAFKA-5490), or
// if it has none in this epoch, the marker with its epoch.
type activeProducer struct {
	producerID     int64
	lastDataOffset int64 // or noOffset
	epoch          int16
}

// Compacted is what Compact did. What it lists is durable, also when the log turned
// out to be uncleanable later on.
type Compacted struct {
	Stats       string        // for people
	Uncleanable string        // why the log cannot be compacted, if it cannot
	FirstDirty  int64         // the first offset that is still dirty
	replaced    []replacement // in order
	deleted     []string      // files to be removed when nobody reads them any more
}

// replacement is a run of segments and the one that took their place.
type replacement struct {
	bases   []int64
	segment *segment // sealed, without names; the log's from now on
}

// source describes a sealed segment to Compact.
func (s *segment) source() compactSource {
	return compactSource{
		base: s.base, end: s.end, size: s.size,
		offsetEntries: s.offsetEntries, timeEntries: s.timeEntries,
		created: s.created, modified: s.modified,
	}
}

// corruptError says that a segment holds what no broker wrote there. It is not
// rewritten: new checksums would hide the damage.
type corruptError struct{ cause error }

func (e *corruptError) Error() string { return e.cause.Error() }
func (e *corruptError) Unwrap() error { return e.cause }

// Run compacts the segments, group by group. A crash at any point leaves what
// Recover turns into the old or the new state of each segment.
func (j *Compact) Run(d *Devices) (Result, error) {
	result := &Compacted{FirstDirty: j.firstDirty}
	c := &compactor{
		Compact: j, files: d.Files, result: result, end: j.firstDirty,
		filter: batch.Filter{Reader: batch.Reader{Codec: d.Codec, BytesMax: math.MaxInt32}},
		last:   make(map[int64]activeProducer, len(j.producers)),
	}
	for _, p := range j.producers {
		c.last[p.producerID] = p
	}
	err := c.run()
	var corrupt *corruptError
	if errors.As(err, &corrupt) {
		result.Uncleanable, err = err.Error(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("compact %s: %w", j.dir, err)
	}
	return result, nil
}

// compactor is one run of Compact.
type compactor struct {
	*Compact
	files  Files
	result *Compacted
	filter batch.Filter
	keys   keyMap
	end    int64 // everything in [firstDirty, end) is in keys
	txns   *txnTracker
	last   map[int64]activeProducer
	stats  compactStats
}

// compactStats counts for Compacted.Stats.
type compactStats struct {
	bytesRead, bytesWritten     int64
	recordsRead, recordsWritten int64
	segmentsRead, segmentsMade  int
}

func (c *compactor) run() error {
	if len(c.segments) == 0 {
		return nil
	}
	aborted, err := c.readAborted()
	if err != nil {
		return err
	}
	if err := c.buildMap(aborted); err != nil {
		return err
	}
	c.txns = newTxnTracker(aborted)
	for rest := c.segments; len(rest) > 0 && rest[0].base < c.end; {
		group := rest[:c.groupLen(rest)]
		rest = rest[len(group):]
		if err := c.cleanGroup(group); err != nil {
			return err
		}
	}
	c.result.FirstDirty = c.end
	s := &c.stats
	c.result.Stats = fmt.Sprintf(
		"offsets %d to %d, %d keys: %d of %d records and %d of %d bytes kept, "+
			"%d segments became %d",
		c.firstDirty, c.end, len(c.keys.offsets), s.recordsWritten, s.recordsRead,
		s.bytesWritten, s.bytesRead, s.segmentsRead, s.segmentsMade)
	return nil
}

// readAborted reads the aborted transactions that the segments may hold records of,
// in the order of their markers.
func (c *compactor) readAborted() ([]abortedTxn, error) {
	var aborted []abortedTxn
	bases := make([]int64, 0, len(c.segments)+len(c.later))
	for _, s := range c.segments {
		bases = append(bases, s.base)
	}
	for _, base := range append(bases, c.later...) {
		name := segmentPath(c.dir, base, txnIndexSuffix)
		data, err := readSmallFile(c.files, name)
		if errors.Is(err, ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		txns, err := parseTxnIndex(data, base)
		if err != nil {
			return nil, &corruptError{fmt.Errorf("%s: %w", name, err)}
		}
		aborted = append(aborted, txns...)
	}
	return append(aborted, c.aborted...), nil
}

// groupLen returns how many segments from the first on become one. It keeps to the
// limits of one segment: its size, its indexes' sizes, and offsets of 31 bits above
// its base (KAFKA-5413).
func (c *compactor) groupLen(segments []compactSource) int {
	size, offsets, times := int64(0), 0, 0
	for i, s := range segments {
		size, offsets, times = size+s.size, offsets+s.offsetEntries, times+s.timeEntries
		fits := size <= c.cfg.SegmentBytes &&
			offsets <= int(c.cfg.SegmentIndexBytes)/offsetEntrySize &&
			times < int(c.cfg.SegmentIndexBytes)/timeEntrySize &&
			s.end-1-segments[0].base <= math.MaxInt32
		if i > 0 && (!fits || s.base >= c.end) {
			return i
		}
	}
	return len(segments)
}

// buildMap is pass 1. It stops where the map is full, but takes in one batch at
// least, so that every run gets on.
func (c *compactor) buildMap(aborted []abortedTxn) error {
	c.keys = keyMap{places: map[string]int32{}, bytesMax: c.set.CleanerDedupeBufferBytes}
	c.txns = newTxnTracker(aborted)
	for _, s := range c.segments {
		if s.end <= c.firstDirty {
			continue
		}
		full, err := c.mapSegment(s)
		if err != nil || full {
			return err
		}
		c.end = s.end // also over a gap at the segment's end
	}
	return nil
}

// mapSegment adds a segment's keys to the map, and reports whether it is full.
func (c *compactor) mapSegment(s compactSource) (full bool, err error) {
	r, err := c.open(s)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	for {
		data, h, err := r.next()
		if data == nil || err != nil {
			return false, err
		}
		skip := true
		if h.IsControl() {
			_, err = c.txns.control(data, h)
		} else {
			skip = c.txns.data(h)
		}
		if err != nil {
			return false, r.corrupt(err)
		}
		if skip || h.NextOffset() <= c.firstDirty {
			continue
		}
		if full, err := c.mapBatch(data, h); err != nil || full {
			return full, r.corrupt(err)
		}
		c.end = max(c.end, h.NextOffset())
	}
}

// mapBatch adds a batch's keys to the map, and reports whether it was full before
// the last of them.
func (c *compactor) mapBatch(data []byte, h *batch.Header) (full bool, err error) {
	records, err := c.filter.Records(data, h)
	if err != nil {
		return false, err
	}
	var rec batch.Record
	for records.Next(&rec) {
		if rec.Key == nil || h.Offset(&rec) < c.firstDirty {
			continue
		}
		if !c.keys.put(rec.Key, h.Offset(&rec), c.end == c.firstDirty) {
			return true, nil
		}
	}
	return false, records.Err()
}

// keyMap maps keys to the last offset of each, within a limit of memory.
type keyMap struct {
	places   map[string]int32 // in offsets
	offsets  []int64
	bytes    int64
	bytesMax int64
}

// keyOverhead is about what a key costs besides its bytes.
const keyOverhead = 64

// put notes that key is at offset. It reports false, and does nothing, if key is new
// and there is no room for it, unless forced.
func (m *keyMap) put(key []byte, offset int64, forced bool) bool {
	if i, ok := m.places[string(key)]; ok {
		m.offsets[i] = offset
		return true
	}
	cost := int64(len(key)) + keyOverhead
	if !forced && m.bytes+cost > m.bytesMax || len(m.offsets) == math.MaxInt32 {
		return false
	}
	m.bytes += cost
	m.places[string(key)] = int32(len(m.offsets))
	m.offsets = append(m.offsets, offset)
	return true
}

// get returns the last offset of key, or noOffset.
func (m *keyMap) get(key []byte) int64 {
	if i, ok := m.places[string(key)]; ok {
		return m.offsets[i]
	}
	return noOffset
}
