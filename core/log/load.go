package log

import (
	"errors"
	"fmt"
	"path"

	"github.com/heiban/heiban/core/batch"
)

// foundSegment is a .log file in the directory.
type foundSegment struct {
	Entry
	base int64
}

// loadSegments opens the segments in order. After an unclean stop those that reach
// above the recovery point are checked batch by batch. The log ends before the first
// batch that is not valid: that and all that follows is removed.
func (r *recovery) loadSegments() error {
	found, err := r.findSegments()
	if err != nil {
		return err
	}
	for i, f := range found {
		next := int64(maxOffset)
		if i+1 < len(found) {
			next = found[i+1].base
		}
		seg, err := r.loadSegment(f, next)
		if err != nil {
			return err
		}
		r.segments = append(r.segments, seg)
		if next == maxOffset {
			return nil
		}
		if seg.state == active { // cut short
			r.repaired("%d later segments removed", len(found)-i-1)
			return r.dropFrom(next)
		}
	}
	return nil
}

// findSegments lists the segments, and removes index files without one.
func (r *recovery) findSegments() ([]foundSegment, error) {
	var found []foundSegment
	orphans := false
	for _, e := range r.names {
		base, kind, state, ok := parseSegmentName(e.Name)
		if !ok || state != "" {
			continue
		}
		switch kind {
		case logSuffix:
			found = append(found, foundSegment{Entry: e, base: base})
		case indexSuffix, timeIndexSuffix, txnIndexSuffix:
			if r.has(base, logSuffix) {
				continue
			}
			orphans = true
			if err := r.remove(e.Name); err != nil {
				return nil, err
			}
		}
	}
	if orphans {
		return found, r.relist()
	}
	return found, nil
}

// loadSegment opens one segment; next is the base of the one after it, or maxOffset.
// The segment it returns is active if it is the last one or was cut short.
func (r *recovery) loadSegment(f foundSegment, next int64) (*segment, error) {
	// A segment that ends at the recovery point may have been the active one when that
	// was noted, and have index files from an earlier stop.
	unclean := !r.Clean && (next == maxOffset || next >= r.RecoveryPoint)
	if !unclean && (!r.scan.allEpochs || f.Size == 0) {
		seg, err := r.loadIndexed(f, next)
		if seg != nil || err != nil {
			return seg, err
		}
		r.repaired("%s: index missing or corrupt, rebuilt", f.Name)
	}
	// Without the transactions that are open at its start, a segment's transaction
	// index cannot be rebuilt.
	if err := r.bringProducersTo(f.base); err != nil {
		return nil, err
	}
	seg := r.newSegment(f)
	reason, err := r.scan.segment(r.path(f.Name), seg,
		scan{verify: unclean, epochs: &r.epochs, until: maxOffset})
	if err != nil {
		return nil, err
	}
	if reason != "" {
		return seg, r.cut(f, seg, reason)
	}
	if next == maxOffset {
		return seg, nil
	}
	if unclean && seg.end < next && next > r.CleanerPoint {
		// Whole batches were lost from the end of the file. What was compacted may end
		// in a gap if Kafka did it; ours keeps the last batch of what it rewrites. Above
		// the cleaner's checkpoint, a gap is a loss also in a log that is compacted.
		r.repaired("%s: ends at offset %d where %d follows", f.Name, seg.end, next)
		return seg, nil
	}
	// Once the segment is deleted, this is all that is left of its producers.
	name := segmentPath(r.Dir, next, snapshotSuffix)
	if err := writeFile(r.d.Files, name, r.scan.producers.snapshot()); err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	return seg, r.seal(seg, next)
}

func (r *recovery) newSegment(f foundSegment) *segment {
	seg := newSegment(f.base, r.Now.Wall, r.Config)
	seg.exists, seg.modified = true, f.Modified
	return seg
}

// cut truncates a segment after its last valid batch.
func (r *recovery) cut(f foundSegment, seg *segment, reason string) (err error) {
	r.repaired("%s: %d bytes cut off at %d: %s", f.Name, f.Size-seg.size, seg.size, reason)
	if r.scan.producersAt > seg.end {
		return fmt.Errorf("%s: producers are known up to %d, and the log ends at %d",
			f.Name, r.scan.producersAt, seg.end)
	}
	file, err := r.d.Files.Open(r.path(f.Name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := file.Truncate(seg.size); err != nil {
		return err
	}
	return file.Sync()
}

// seal writes the indexes of a segment that others follow.
func (r *recovery) seal(seg *segment, next int64) error {
	times := seg.sealTimes()
	err := writeIndexes(r.d.Files, r.Dir, seg.base, seg.offsets, times, seg.aborted)
	if err != nil {
		return err
	}
	r.renamed = true
	seg.offsetEntries, seg.timeEntries = len(seg.offsets), len(times)
	seg.offsets, seg.times, seg.aborted = nil, nil, nil
	seg.state, seg.inFiles, seg.end = sealed, true, next
	return nil
}

// loadIndexed opens a segment with the help of its indexes. It returns nil if they
// are missing or wrong.
func (r *recovery) loadIndexed(f foundSegment, next int64) (*segment, error) {
	indexed := r.has(f.base, indexSuffix) && r.has(f.base, timeIndexSuffix)
	if f.Size > 0 && !indexed {
		return nil, nil
	}
	seg := r.newSegment(f)
	if next != maxOffset {
		return r.loadSealed(f, seg, next)
	}
	index, err := r.readIndex(f.base, indexSuffix)
	if err != nil {
		return nil, err
	}
	timeIndex, err := r.readIndex(f.base, timeIndexSuffix)
	if err != nil {
		return nil, err
	}
	var offsetsOK, timesOK bool
	seg.offsets, offsetsOK = decodeOffsets(index, f.Size)
	seg.times, timesOK = decodeTimes(timeIndex)
	if !offsetsOK || !timesOK {
		return nil, nil
	}
	if n := len(seg.times); n > 0 {
		last := seg.times[n-1]
		seg.maxTime, seg.maxTimeOffset = last.time, f.base+int64(last.relative)
	}
	ok, err := r.walkTail(f, seg)
	if err != nil || !ok {
		return nil, err
	}
	return seg, r.loadAborted(seg)
}

// loadSealed opens a segment that others follow. It looks at no more than the last
// entry of each index.
func (r *recovery) loadSealed(f foundSegment, seg *segment, next int64) (*segment, error) {
	seg.size, seg.end, seg.state, seg.inFiles = f.Size, next, sealed, true
	last, n, err := r.lastEntry(f.base, indexSuffix, offsetEntrySize)
	if err != nil || n < 0 {
		return nil, err
	}
	if n > 0 {
		e := decodeOffset(last)
		blank := n > 1 && e.relative == 0 // Kafka makes its indexes longer than they are
		if int64(e.pos) >= f.Size || f.base+int64(e.relative) >= next || blank {
			return nil, nil
		}
	}
	seg.offsetEntries = n
	last, n, err = r.lastEntry(f.base, timeIndexSuffix, timeEntrySize)
	if err != nil || n < 0 {
		return nil, err
	}
	if n > 0 {
		e := decodeTime(last)
		seg.maxTime, seg.maxTimeOffset = e.time, f.base+int64(e.relative)
		if e.time < 0 || seg.maxTimeOffset >= next || n > 1 && e.time == 0 {
			return nil, nil
		}
	}
	seg.timeEntries = n
	return seg, nil
}

// lastEntry reads the last entry of an index file, and returns how many there are: 0
// if there is no such file, -1 if the last one is torn.
func (r *recovery) lastEntry(base int64, kind string, size int64) (last []byte, n int, err error) {
	if !r.has(base, kind) {
		return nil, 0, nil
	}
	file, err := r.d.Files.Open(segmentPath(r.Dir, base, kind))
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	bytes, err := file.Size()
	if err != nil || bytes == 0 {
		return nil, 0, err
	}
	if bytes%size != 0 {
		return nil, -1, nil
	}
	last = make([]byte, size)
	if n, err := file.ReadAt(last, bytes-size); n < len(last) {
		return nil, 0, fmt.Errorf("read %s: %w", segmentPath(r.Dir, base, kind), err)
	}
	return last, int(bytes / size), nil
}

// readIndex reads an index file, or returns nil if there is none.
func (r *recovery) readIndex(base int64, kind string) ([]byte, error) {
	if !r.has(base, kind) {
		return nil, nil
	}
	return readSmallFile(r.d.Files, segmentPath(r.Dir, base, kind))
}

// loadAborted reads the transaction index of the active segment.
func (r *recovery) loadAborted(seg *segment) error {
	data, err := r.readIndex(seg.base, txnIndexSuffix)
	if err != nil {
		return err
	}
	seg.aborted, err = parseTxnIndex(data, seg.base)
	return err
}

// walkTail walks over what follows the last indexed batch of the active segment, and
// reports false if the file does not end where a batch does.
func (r *recovery) walkTail(f foundSegment, seg *segment) (bool, error) {
	s, err := r.scan.open(r.path(f.Name), walkBytes)
	if err != nil {
		return false, err
	}
	defer s.f.Close()
	start := int64(0)
	if n := len(seg.offsets); n > 0 {
		start = int64(seg.offsets[n-1].pos)
	}
	var h batch.Header
	pos := start
	for ; pos < f.Size; pos += int64(h.Size) {
		reason, err := s.header(pos, &h)
		if err != nil || reason != "" || h.BaseOffset < seg.end && pos > start {
			return false, err
		}
		if h.MaxTimestamp > seg.maxTime {
			seg.maxTime, seg.maxTimeOffset = h.MaxTimestamp, h.LastOffset()
		}
		seg.end = h.NextOffset()
	}
	if f.Size > 0 {
		if reason, err := s.header(0, &h); err != nil || reason != "" {
			return false, err
		}
		seg.rollTime = h.MaxTimestamp
	}
	seg.size, seg.sinceIndex = f.Size, f.Size-start
	return true, nil
}

// bringProducersTo makes the producers those at an offset, which is the end of the
// segments so far: from the newest snapshot at or below it, and what follows.
func (r *recovery) bringProducersTo(offset int64) error {
	if r.scan.producers == nil {
		if err := r.loadSnapshot(offset); err != nil {
			return err
		}
	}
	for _, seg := range r.segments {
		if seg.end <= r.scan.producersAt {
			continue
		}
		if err := r.scan.replay(segmentPath(r.Dir, seg.base, logSuffix), seg); err != nil {
			return err
		}
	}
	r.scan.producersAt = max(r.scan.producersAt, offset)
	return nil
}

// loadSnapshot loads the newest snapshot at or below an offset that can be read.
func (r *recovery) loadSnapshot(offset int64) error {
	r.scan.producers = newProducers(r.Settings)
	for i := len(r.names) - 1; i >= 0; i-- {
		name := r.names[i].Name
		at, kind, state, ok := parseSegmentName(name)
		if !ok || kind != snapshotSuffix || state != "" || at > offset {
			continue
		}
		data, err := readSmallFile(r.d.Files, r.path(name))
		if err != nil {
			return err
		}
		if err = r.scan.producers.loadSnapshot(data, r.Now.Wall); err == nil {
			r.scan.producersAt = at
			return nil
		}
		r.repaired("%s: removed: %v", name, err)
		if err := r.remove(name); err != nil {
			return err
		}
	}
	return nil
}

// loadProducers brings the producers to the log end offset, and removes snapshots
// that nothing will use: those above the end, which tell of records that are lost,
// and those that neither stand at a segment's base nor at the end.
func (r *recovery) loadProducers() error {
	end := r.segments[len(r.segments)-1].end
	if err := r.bringProducersTo(end); err != nil {
		return err
	}
	r.scan.producers.expire(r.Now.Wall)
	for _, e := range r.names {
		at, kind, state, ok := parseSegmentName(e.Name)
		if !ok || kind != snapshotSuffix || state != "" {
			continue
		}
		if at == end || at < end && r.has(at, logSuffix) {
			continue
		}
		if err := r.remove(path.Base(e.Name)); err != nil {
			return err
		}
	}
	return nil
}
