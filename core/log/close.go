package log

import (
	"fmt"
	"path"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/invariant"
)

// Close orders all that a clean shutdown needs: the last sync, the indexes of the
// active segment, a producer snapshot and the leader epochs. Closed reports when it
// is done. Nothing is appended any more; what is in flight is waited for.
func (l *Log) Close(_ clock.Time, o *Orders) {
	invariant.True(!l.closing, "a log is closed once")
	l.closing = true
	l.maybeClose(o)
}

// Closed reports that everything Close ordered is done, and the log needs no
// recovery.
func (l *Log) Closed() bool { return l.done }

// Abandon ends a log whose files are to be removed: nothing more is ordered. Facts
// about what is in flight are still to be brought.
func (l *Log) Abandon() {
	l.closing, l.closeOrdered = true, true
	if l.cut != nil && !l.cut.ordered {
		l.cut = nil
	}
}

// Idle reports that nothing is in flight: no write, sync or job will touch the log's
// files.
func (l *Log) Idle() bool { return l.cut == nil && l.quiet() }

// quiet is Idle except for a truncation that waits for it.
func (l *Log) quiet() bool {
	return l.syncing == nil && len(l.jobs) == 0 && l.written.offset == l.active.end
}

// closeLog is the job that makes all of a log durable. Nothing else touches the
// log's files any more.
type closeLog struct {
	dir      string
	base     int64
	end      int64
	unsynced []string
	offsets  []offsetEntry
	times    []timeEntry
	aborted  []abortedTxn
	snapshot []byte
	epochs   []epochEntry

	newEpochs bool // the checkpoint is out of date
	marked    bool // by a truncation, which the checkpoints to come make void
}

func (j *closeLog) Run(d *Devices) (Result, error) {
	for _, path := range j.unsynced {
		if err := syncFile(d.Files, path); err != nil {
			return nil, err
		}
	}
	if err := writeIndexes(d.Files, j.dir, j.base, j.offsets, j.times, j.aborted); err != nil {
		return nil, err
	}
	name := segmentPath(j.dir, j.end, snapshotSuffix)
	if err := writeFile(d.Files, name, j.snapshot); err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	if j.newEpochs {
		err := replaceFile(d.Files, j.dir, leaderEpochFile, encodeEpochs(j.epochs))
		if err != nil {
			return nil, err
		}
	}
	if j.marked {
		if err := d.Files.Remove(path.Join(j.dir, truncationFile)); err != nil {
			return nil, err
		}
	}
	return nil, d.Files.SyncDir(j.dir)
}

// maybeClose orders the last job once nothing else is in flight.
func (l *Log) maybeClose(o *Orders) {
	if !l.closing || l.closeOrdered || !l.Idle() {
		return
	}
	l.closeOrdered = true
	if l.unchanged() {
		l.closeDone(o)
		return
	}
	s := l.active
	j := &closeLog{
		dir: l.dir, base: s.base, end: s.end,
		offsets: s.offsets, times: s.sealTimes(), aborted: s.aborted,
		snapshot: l.producers.snapshot(), epochs: l.epochs.clone(),
		newEpochs: l.epochsChanged || l.mark != nil, marked: l.mark != nil,
	}
	for _, s := range l.pending {
		j.unsynced = append(j.unsynced, s.files.log.Path)
	}
	l.runJob(j, logClosed, nil, o)
}

// unchanged reports that the next start finds the log as this one has, without anything
// being written. Appends move the end of the active segment, and all else that concerns
// it brings another one.
func (l *Log) unchanged() bool {
	return l.active == l.opened && l.active.end == l.openedEnd && l.durable == l.openedEnd &&
		l.mark == nil && (!l.epochsChanged || l.onlyUnused())
}

func (l *Log) closeDone(o *Orders) {
	l.durable, l.done = l.active.end, true
	l.epochsDirtyFrom, l.epochsWritingFrom = maxOffset, maxOffset
	for _, s := range l.pending {
		s.synced = s.end
	}
	l.settle()
	l.ReleaseFiles(o)
}

// release orders the handles of a segment's files closed.
func (o *Orders) release(f *segmentFiles) {
	o.Releases = append(o.Releases, f.log, f.index, f.timeIndex)
}
