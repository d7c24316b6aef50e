package log

import "github.com/heiban/heiban/clock"

// segmentFiles names the files of one segment. It never changes.
type segmentFiles struct {
	log       FileRef
	index     FileRef
	timeIndex FileRef
}

// newSegmentFiles names the files of the segment at base under ids never used
// before.
func newSegmentFiles(dir string, base int64, ids func() uint64) *segmentFiles {
	return &segmentFiles{
		log:       FileRef{ID: ids(), Path: segmentPath(dir, base, logSuffix)},
		index:     FileRef{ID: ids(), Path: segmentPath(dir, base, indexSuffix)},
		timeIndex: FileRef{ID: ids(), Path: segmentPath(dir, base, timeIndexSuffix)},
	}
}

// segmentState says how far a segment is on its way from being appended to, to
// being read only.
type segmentState uint8

const (
	active  segmentState = iota // appended to; its index is in memory
	closed                      // not appended to any more; still being written
	sealing                     // its indexes are being written by a job
	sealed                      // its indexes are in files only
)

// segment is a run of batches in one file, with what is known of it.
type segment struct {
	// These fields do not change once the segment is closed. Slices read them from
	// other goroutines: a change brings a new segment in a new list.
	files         *segmentFiles
	base          int64
	end           int64         // the next offset, or the base of the next segment
	size          int64         // bytes, assigned though perhaps not yet written
	offsets       []offsetEntry // the offset index, until the segment is sealed
	times         []timeEntry   // the time index, likewise
	offsetEntries int           // in the index file, once it is sealed
	timeEntries   int
	inFiles       bool  // the indexes are in files only
	maxTime       int64 // the largest timestamp of a batch, or -1
	maxTimeOffset int64 // the last offset of the first batch that has it
	rollTime      int64 // the largest timestamp of the first batch, or -1
	created       clock.Wall
	modified      clock.Wall

	// These fields belong to the Log alone.
	indexInterval int64  // bytes between two index entries
	sinceIndex    int64  // bytes since the last one
	written       int64  // the offset below which the file is written
	synced        int64  // the offset below which it is durable
	snapshot      []byte // the producers at its end, until the segment is sealed
	aborted       []abortedTxn
	state         segmentState
	exists        bool // the file is there, or its creation is ordered
	named         bool // its name is durable
	syncsLog      bool // the job that seals it also syncs it
}

// newSegment returns an empty active segment.
func newSegment(base int64, now clock.Wall, cfg *Config) *segment {
	return &segment{
		base: base, end: base, written: base, synced: base,
		maxTime: -1, maxTimeOffset: -1, rollTime: -1,
		created: now, modified: now, indexInterval: int64(cfg.IndexIntervalBytes),
	}
}

// append notes a batch of n bytes, whose last offset is last, at the end. An index
// entry is made once more than the interval was appended since the one before.
func (s *segment) append(last, maxTime, n int64, entriesMax int) {
	if s.size == 0 {
		s.rollTime = maxTime
	}
	if maxTime > s.maxTime {
		s.maxTime, s.maxTimeOffset = maxTime, last
	}
	if s.sinceIndex > s.indexInterval {
		s.addEntry(last, entriesMax)
		s.sinceIndex = 0
	}
	s.sinceIndex += n
	s.size += n
	s.end = last + 1
}

// addEntry indexes the batch that ends in last and starts at the segment's end.
// When the index has entriesMax entries already, every second one goes and the
// interval doubles. Readers may hold the old entries, so they are copied.
func (s *segment) addEntry(last int64, entriesMax int) {
	if entriesMax > 0 && len(s.offsets) >= entriesMax {
		s.offsets = everySecond(s.offsets)
		s.indexInterval *= 2
	}
	if entriesMax > 0 && len(s.times) >= entriesMax {
		s.times = everySecond(s.times)
	}
	s.offsets = append(s.offsets, offsetEntry{relative: uint32(last - s.base), pos: uint32(s.size)})
	s.times = appendTime(s.times, s.maxTime, uint32(s.maxTimeOffset-s.base))
}

// everySecond copies the entries with an odd place, with room for as many as
// there were.
func everySecond[T any](entries []T) []T {
	kept := make([]T, 0, cap(entries))
	for i := 1; i < len(entries); i += 2 {
		kept = append(kept, entries[i])
	}
	return kept
}

// sealTimes returns the time index with the largest timestamp as its last entry,
// as Kafka leaves it for readers of a segment that is complete.
func (s *segment) sealTimes() []timeEntry {
	if s.maxTime < 0 {
		return s.times
	}
	times := s.times[:len(s.times):len(s.times)]
	return appendTime(times, s.maxTime, uint32(s.maxTimeOffset-s.base))
}

// largestTime is the timestamp that retention by time looks at.
func (s *segment) largestTime() int64 {
	if s.maxTime >= 0 {
		return s.maxTime
	}
	return int64(s.modified)
}

// view returns what a reader needs of the segment.
func (s *segment) view() view {
	return view{
		files: s.files, base: s.base, end: s.end, size: s.size,
		offsets: s.offsets, times: s.times,
		offsetEntries: s.offsetEntries, timeEntries: s.timeEntries,
		maxTime: s.maxTime, maxTimeOffset: s.maxTimeOffset, inFiles: s.inFiles,
	}
}
