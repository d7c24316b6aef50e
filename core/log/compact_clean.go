package log

import (
	"errors"
	"fmt"
	"math"

	"github.com/heiban/heiban/core/batch"
)

// cleaned is the segment that a group is rewritten into.
type cleaned struct {
	*segment
	file     File
	path     string
	buf      []byte
	pos      int64
	groupEnd int64 // the end of the group
	changed  bool  // something differs from the group's batches
}

// cleanGroup is pass 2 over one group of segments. A single segment that loses
// nothing stays.
func (c *compactor) cleanGroup(group []compactSource) (err error) {
	first, last := group[0], group[len(group)-1]
	out := &cleaned{
		segment:  newSegment(first.base, first.created, c.cfg),
		path:     segmentPath(c.dir, first.base, logSuffix+cleanedSuffix),
		groupEnd: last.end, changed: len(group) > 1,
	}
	if err := c.files.Remove(out.path); err != nil {
		return err
	}
	if out.file, err = c.files.Create(out.path); err != nil {
		return err
	}
	c.txns.kept = nil
	for _, s := range group {
		if err = c.cleanSegment(s, out); err != nil {
			break
		}
	}
	if err == nil {
		err = c.flush(out)
	}
	if err == nil && out.changed {
		err = out.file.Sync()
	}
	err = errors.Join(err, out.file.Close())
	if err != nil || !out.changed {
		return errors.Join(err, c.files.Remove(out.path))
	}
	out.end, out.modified = last.end, last.modified
	out.written, out.synced = last.end, last.end
	return c.replace(group, out)
}

// cleanSegment appends to out what is kept of a segment.
func (c *compactor) cleanSegment(s compactSource, out *cleaned) (err error) {
	r, err := c.open(s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	for {
		data, h, err := r.next()
		if data == nil || err != nil {
			return err
		}
		kept, err := c.cleanBatch(data, h, out)
		if err != nil {
			return r.corrupt(err)
		}
		c.stats.bytesRead += int64(h.Size)
		c.stats.recordsRead += int64(h.RecordCount)
		out.changed = out.changed || kept.Changed || !kept.Written
		if !kept.Written {
			continue
		}
		n := int64(kept.Header.Size)
		c.stats.bytesWritten += n
		c.stats.recordsWritten += int64(kept.Records)
		out.append(h.LastOffset(), kept.Header.MaxTimestamp, n, 0)
		if len(out.buf) >= c.set.CleanerIOBufferBytes {
			if err := c.flush(out); err != nil {
				return err
			}
		}
	}
}

// cleanBatch appends to out's buffer what is kept of a batch.
func (c *compactor) cleanBatch(data []byte, h *batch.Header, out *cleaned) (batch.Kept, error) {
	discard, emptyTxn := false, false
	if h.IsControl() {
		empty, err := c.txns.control(data, h)
		if err != nil {
			return batch.Kept{}, err
		}
		// A marker waits as long as a tombstone once its transaction is gone. That of
		// an active producer stays whole: emptied, it would not tell the epoch.
		emptyTxn = empty && !c.isLastMarker(h)
		discard = emptyTxn && h.HasDeleteHorizon() && h.BaseTimestamp <= int64(c.now)
	} else {
		discard = c.txns.data(h)
	}
	how := batch.Retention{
		DeleteHorizon:    c.deleteHorizon(),
		EmptyTransaction: emptyTxn,
		// The last batch tells where the segment ends. So recovery knows what a .swap
		// covers, and that no batch was lost at its end.
		KeepEmpty: c.isLastData(h) || h.NextOffset() == out.groupEnd,
	}
	var kept batch.Kept
	var err error
	out.buf, kept, err = c.filter.Append(out.buf, data, h, how, func(r *batch.Record) bool {
		return !discard && (h.IsControl() || c.keeps(h, r))
	})
	return kept, err
}

// deleteHorizon is until when a tombstone stays that is met now for the first time.
func (c *compactor) deleteHorizon() int64 {
	if c.cfg.DeleteRetentionMillis > math.MaxInt64-int64(c.now) {
		return math.MaxInt64
	}
	return max(int64(c.now)+c.cfg.DeleteRetentionMillis, 1)
}

// isLastData says that the batch holds the last sequence of an active producer.
func (c *compactor) isLastData(h *batch.Header) bool {
	p, ok := c.last[h.ProducerID]
	return ok && p.lastDataOffset != noOffset && p.lastDataOffset == h.LastOffset()
}

// isLastMarker says that the marker may be all that tells an active producer's epoch.
func (c *compactor) isLastMarker(h *batch.Header) bool {
	p, ok := c.last[h.ProducerID]
	return ok && p.lastDataOffset == noOffset && p.epoch == h.ProducerEpoch
}

// keeps says whether a data record stays: it is not covered by the map, or it is the
// last one of its key, and no tombstone whose time is over.
func (c *compactor) keeps(h *batch.Header, r *batch.Record) bool {
	offset := h.Offset(r)
	switch {
	case offset >= c.end:
		return true
	case r.Key == nil, offset < c.keys.get(r.Key):
		return false
	}
	return r.Value != nil || !h.HasDeleteHorizon() || int64(c.now) < h.BaseTimestamp
}

func (c *compactor) flush(out *cleaned) error {
	if len(out.buf) == 0 {
		return nil
	}
	if _, err := out.file.WriteAt(out.buf, out.pos); err != nil {
		return fmt.Errorf("write %s: %w", out.path, err)
	}
	out.pos += int64(len(out.buf))
	out.buf = out.buf[:0]
	return nil
}

// segmentKinds are the files of a segment that compaction replaces. The log comes
// last: its name is what makes a segment, or a replacement, of them.
var segmentKinds = [...]string{txnIndexSuffix, timeIndexSuffix, indexSuffix, logSuffix}

// replace puts the cleaned segment in place of a group. In order, and each durable
// before the next:
//
//  1. Everything is written as .cleaned. After a crash that is worthless.
//  2. The files become .swap. From here on recovery completes what is left.
//  3. The group's files become .deleted. Some may go before others: recovery removes
//     what a .swap covers.
//  4. The .swap files take their final names. If one did before an old segment that
//     it covers was durably gone, a crash would leave two segments with the same
//     offsets.
func (c *compactor) replace(group []compactSource, out *cleaned) error {
	kinds, err := c.writeCleaned(group, out)
	if err != nil {
		return err
	}
	if err := c.rename(out.base, kinds, cleanedSuffix, swapSuffix); err != nil {
		return err
	}
	bases := make([]int64, 0, len(group))
	for i, s := range group {
		bases = append(bases, s.base)
		if err := c.markDeleted(s.base, i > 0); err != nil {
			return err
		}
	}
	if err := c.files.SyncDir(c.dir); err != nil {
		return err
	}
	if err := c.rename(out.base, kinds, swapSuffix, ""); err != nil {
		return err
	}
	c.stats.segmentsRead += len(group)
	c.stats.segmentsMade++
	c.result.replaced = append(c.result.replaced, replacement{bases: bases, segment: out.segment})
	return nil
}

// writeCleaned writes the indexes beside the cleaned log, and returns which files
// there are. A transaction index is written also when it is empty, if it replaces
// one.
func (c *compactor) writeCleaned(group []compactSource, out *cleaned) ([]string, error) {
	s := out.segment
	times := s.sealTimes()
	var txns []byte
	for _, t := range c.txns.kept {
		txns = appendAbortedTxn(txns, t)
	}
	contents := map[string][]byte{
		indexSuffix: encodeOffsets(s.offsets), timeIndexSuffix: encodeTimes(times),
		txnIndexSuffix: txns,
	}
	kinds := segmentKinds[:]
	if len(txns) == 0 && !c.exists(group[0].base, txnIndexSuffix) {
		kinds = kinds[1:]
	}
	for _, kind := range kinds[:len(kinds)-1] {
		name := segmentPath(c.dir, s.base, kind+cleanedSuffix)
		if err := writeFile(c.files, name, contents[kind]); err != nil {
			return nil, err
		}
	}
	s.offsetEntries, s.timeEntries = len(s.offsets), len(times)
	s.state, s.exists, s.named = sealed, true, true
	s.offsets, s.times = nil, nil
	return kinds, c.files.SyncDir(c.dir)
}

func (c *compactor) exists(base int64, kind string) bool {
	f, err := c.files.Open(segmentPath(c.dir, base, kind))
	return err == nil && f.Close() == nil
}

// rename changes the state of a segment's files, and makes it durable.
func (c *compactor) rename(base int64, kinds []string, from, to string) error {
	for _, kind := range kinds {
		err := c.files.Rename(
			segmentPath(c.dir, base, kind+from), segmentPath(c.dir, base, kind+to))
		if err != nil {
			return err
		}
	}
	return c.files.SyncDir(c.dir)
}

// markDeleted renames the files of a segment that is replaced. The producer snapshot
// at its base goes too, if no segment has that base any more.
func (c *compactor) markDeleted(base int64, snapshot bool) error {
	kinds := segmentKinds[:]
	if snapshot {
		kinds = append(kinds[:len(kinds):len(kinds)], snapshotSuffix)
	}
	for _, kind := range kinds {
		name := segmentPath(c.dir, base, kind)
		err := c.files.Rename(name, name+deletedSuffix)
		if errors.Is(err, ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		c.result.deleted = append(c.result.deleted, name+deletedSuffix)
	}
	return nil
}
