package log

import (
	"errors"
	"fmt"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/mutant"
)

// DeleteRecordsBefore raises the log start offset, at most to the high watermark: for
// DeleteRecords, or because a leader's log starts there. The caller checked policy and
// bounds. Segments that lie below it go at once; a batch that lies below it in part
// stays whole.
func (l *Log) DeleteRecordsBefore(now clock.Time, offset int64, o *Orders) {
	invariant.True(l.cut == nil, "a log that is being cut starts where it did")
	l.raiseLogStart(offset, o)
	l.retain(now, o)
	l.check()
}

func (l *Log) raiseLogStart(offset int64, o *Orders) {
	invariant.True(offset <= l.highWatermark.offset, "the log starts at most at the high watermark")
	if offset <= l.logStart {
		return
	}
	l.logStart = offset
	l.producers.replicatedTo(offset)
	if l.epochs.truncateStart(offset) {
		l.epochsChanged = true
		l.maybeWriteEpochs(o)
	}
}

// retain lets go of the oldest segments that the log start offset, retention.bytes
// or retention.ms no longer want, as far as they lie below the high watermark. The
// active segment is rolled first if it is among them. Segments that are not sealed
// and durable yet are left for when they are.
func (l *Log) retain(now clock.Time, o *Orders) {
	l.retentionWaits = false
	if l.closing || l.deleting || l.compacting || l.cut != nil {
		l.retentionWaits = !l.closing
		return
	}
	n := l.expired(now)
	if n > len(l.closed) {
		l.roll(now, o)
	}
	ready := 0
	for ready < n && l.closed[ready].base < l.pending[0].base {
		ready++
	}
	l.retentionWaits = ready < n
	if ready > 0 {
		l.doom(ready, o)
	}
}

// expired returns how many of the oldest segments are to go, counting the active
// one unless it is empty.
func (l *Log) expired(now clock.Time) int {
	n, left := 0, l.Size()
	for ; n <= len(l.closed); n++ {
		s := l.active
		if n < len(l.closed) {
			s = l.closed[n]
		} else if s.size == 0 {
			break
		}
		if s.end > l.highWatermark.offset || !l.unwanted(now, s, left) {
			break
		}
		left -= s.size
	}
	return n
}

// unwanted says whether the oldest segment is to go when the log has size bytes.
func (l *Log) unwanted(now clock.Time, s *segment, size int64) bool {
	if s != l.active && s.end <= l.logStart {
		return true
	}
	if !l.cfg.CleanupDelete {
		return false
	}
	if l.cfg.RetentionBytes >= 0 && size-l.cfg.RetentionBytes >= s.size {
		return true
	}
	return l.cfg.RetentionMillis >= 0 && int64(now.Wall)-s.largestTime() > l.cfg.RetentionMillis
}

// doom takes the n oldest segments out of the log and orders their files renamed.
// Readers may go on to use them until file.delete.delay.ms has passed.
func (l *Log) doom(n int, o *Orders) {
	next := l.active
	if n < len(l.closed) {
		next = l.closed[n]
	}
	j := &doomSegments{dir: l.dir, keep: next.files.log.Path, mutants: l.set.Mutants}
	for _, s := range l.closed[:n] {
		j.bases = append(j.bases, s.base)
		j.refs = append(j.refs, s.files.log, s.files.index, s.files.timeIndex)
		l.size -= s.size
	}
	l.closed = l.closed[n:]
	l.firstDirty = max(l.firstDirty, next.base)
	l.raiseLogStart(next.base, o)
	l.deleting = true
	l.runJob(j, segmentsDoomed, nil, o)
}

// doomSegments is the job that renames the files of segments to .deleted. What
// follows them must be there after a crash, or the log would begin anew at 0. And none
// may be back where a later one stays gone, or the log would have a hole.
type doomSegments struct {
	dir     string
	keep    string // the log file of the first segment that stays
	bases   []int64
	refs    []FileRef
	mutants mutant.Set
}

// doomed is the result of doomSegments: what is left to remove.
type doomed struct{ files doomedFiles }

// doomedFiles are files without a log.
type doomedFiles struct {
	paths []string
	refs  []FileRef
	at    clock.Instant // when to remove them
}

func (j *doomSegments) Run(d *Devices) (Result, error) {
	if err := touch(d.Files, j.keep); err != nil {
		return nil, err
	}
	r := &doomed{files: doomedFiles{refs: j.refs}}
	for _, base := range j.bases {
		if !j.mutants.On(mutant.D7NoDirectorySync) {
			if err := d.Files.SyncDir(j.dir); err != nil {
				return nil, err
			}
		}
		for _, suffix := range []string{
			logSuffix, indexSuffix, timeIndexSuffix, txnIndexSuffix, snapshotSuffix,
		} {
			path := segmentPath(j.dir, base, suffix)
			err := d.Files.Rename(path, path+deletedSuffix)
			if errors.Is(err, ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("rename %s: %w", path, err)
			}
			r.files.paths = append(r.files.paths, path+deletedSuffix)
		}
	}
	return r, d.Files.SyncDir(j.dir)
}

// touch makes a file if it is not there.
func touch(fs Files, path string) error {
	f, err := fs.Create(path)
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	return f.Close()
}

func (l *Log) doomDone(now clock.Time, r *doomed, o *Orders) {
	l.deleting = false
	l.removeLater(now, r.files)
	if l.retentionWaits {
		l.retain(now, o)
	}
}

// removeLater keeps files without a log for file.delete.delay.ms.
func (l *Log) removeLater(now clock.Time, f doomedFiles) {
	f.at = now.Mono.Add(clock.Millis(max(0, l.cfg.FileDeleteDelayMillis)))
	l.doomed = append(l.doomed, f)
}

// removeDoomed orders the files removed whose time has come.
func (l *Log) removeDoomed(now clock.Time, o *Orders) {
	j := &removeFiles{}
	n := 0
	for ; n < len(l.doomed) && l.doomed[n].at <= now.Mono; n++ {
		j.paths = append(j.paths, l.doomed[n].paths...)
		j.refs = append(j.refs, l.doomed[n].refs...)
	}
	if n == 0 {
		return
	}
	l.doomed = append(l.doomed[:0], l.doomed[n:]...)
	l.runJob(j, segmentsRemoved, nil, o)
}

// removeFiles is the job that removes files for good.
type removeFiles struct {
	paths []string
	refs  []FileRef
}

// removed is the result of removeFiles: nothing will read these any more.
type removed struct{ refs []FileRef }

func (j *removeFiles) Run(d *Devices) (Result, error) {
	for _, path := range j.paths {
		if err := d.Files.Remove(path); err != nil {
			return nil, fmt.Errorf("remove %s: %w", path, err)
		}
	}
	return &removed{refs: j.refs}, nil
}

func (l *Log) removeDone(r *removed, o *Orders) {
	o.Releases = append(o.Releases, r.refs...)
}
