package log

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/mutant"
)

// truncateLog is the job that cuts a log (result *truncated). A crash at any moment
// leaves the log as it was, or cut, or ending with one of the segments in between.
// Nothing else touches the log's files meanwhile.
type truncateLog struct {
	dir      string
	to       int64
	restart  bool
	segments []segment // those that keep something; the last one is cut
	epochs   []epochEntry
	mark     cutMark // its offset is that of the mark before
	now      clock.Time
	cfg      *Config
	set      *Settings
}

// truncated is the result of truncateLog. All of it is durable.
type truncated struct {
	active    *segment
	producers *producers
	epochs    []epochEntry
	mark      cutMark
}

func (j *truncateLog) Run(d *Devices) (Result, error) {
	t := truncation{job: j, recovery: recovery{
		Recover: &Recover{Dir: j.dir, Now: j.now, Config: j.cfg, Settings: j.set}, d: d,
	}}
	t.scan = scanner{fs: d.Files, set: j.set, cfg: j.cfg}
	for _, step := range []func() error{
		t.relist, t.find, t.writeMark, t.removeAbove, t.cutFile,
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("truncate the log in %s to %d: %w", j.dir, j.to, err)
		}
	}
	return &truncated{
		active: t.active, producers: t.scan.producers, epochs: t.epochs.entries, mark: *t.mark,
	}, nil
}

// truncation is one run of truncateLog, which reads a log as recovery does. It goes on
// in this order:
//
//  1. Find where to cut, and read the producers up to there: nothing is changed.
//  2. Mark the checkpoints as too high, and take the leader epochs back. If it ends here,
//     recovery looks at all that was to be cut and finds its epochs again.
//  3. Remove the segments above, the last one first, each for good before the next.
//  4. Cut the segment that is left.
type truncation struct {
	recovery
	job    *truncateLog
	active *segment
}

// find makes the active segment as it is to be.
func (t *truncation) find() error {
	j := t.job
	mark := j.mark
	t.mark = &mark
	if j.restart {
		t.scan.producers = newProducers(j.set)
		t.active = newSegment(j.to, j.now.Wall, j.cfg)
		mark.offset = min(mark.offset, j.to)
		return nil
	}
	last := len(j.segments) - 1
	for i := range j.segments[:last] {
		t.segments = append(t.segments, &j.segments[i])
	}
	old := &j.segments[last]
	if err := t.bringProducersTo(old.base); err != nil {
		return err
	}
	t.epochs.entries = slices.Clone(j.epochs)
	t.active = newSegment(old.base, old.created, j.cfg)
	t.active.modified = old.modified
	name := segmentPath(j.dir, old.base, logSuffix)
	reason, err := t.scan.segment(name, t.active, scan{epochs: &t.epochs, until: j.to})
	if err == nil && reason != "" {
		err = fmt.Errorf("%s at %d: %s", name, t.active.size, reason)
	}
	t.epochs.truncateEnd(t.active.end)
	mark.offset = min(mark.offset, t.active.end)
	return err
}

func (t *truncation) writeMark() error {
	if !t.job.set.Mutants.On(mutant.T17NoTruncationMark) {
		err := swapFile(t.d.Files, t.Dir, truncationFile, encodeCutMark(t.mark))
		if err != nil {
			return err
		}
	}
	return replaceFile(t.d.Files, t.Dir, leaderEpochFile, encodeEpochs(t.epochs.entries))
}

// removeAbove removes the segments that are cut off whole, and the producer snapshots
// that tell of what is cut. A gap between two segments would be taken for one that
// compaction left, so they go from the last one down.
func (t *truncation) removeAbove() error {
	var doomed []string
	for _, e := range slices.Backward(t.names) {
		base, kind, state, ok := parseSegmentName(e.Name)
		if !ok || state != "" {
			continue
		}
		kept := base < t.active.base || kind == logSuffix && base == t.active.base
		if kind == snapshotSuffix {
			kept = base <= t.active.end
		}
		if kept && !t.job.restart {
			continue
		}
		if n := len(doomed); n > 0 && path.Base(doomed[n-1])[:20] != e.Name[:20] {
			if err := t.removeAll(doomed); err != nil {
				return err
			}
			doomed = doomed[:0]
		}
		doomed = append(doomed, e.Name)
	}
	return t.removeAll(doomed)
}

// cutFile cuts the active segment's file to what it keeps, or makes it.
func (t *truncation) cutFile() (err error) {
	name := segmentPath(t.Dir, t.active.base, logSuffix)
	f, err := t.d.Files.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(t.active.size); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return t.d.Files.SyncDir(t.Dir)
}
