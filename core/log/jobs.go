package log

import (
	"errors"
	"fmt"
	"slices"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/mutant"
)

// jobKind says what a running job does.
type jobKind uint8

const (
	segmentSealed jobKind = iota + 1
	epochsWritten
	segmentsDoomed
	segmentsRemoved
	segmentsCompacted
	logTruncated
	markDropped
	logClosed
)

// runningJob is a job that was ordered and is not done.
type runningJob struct {
	op      OpID
	kind    jobKind
	segment *segment // the one being sealed
}

// runJob orders a job and remembers it.
func (l *Log) runJob(j Job, kind jobKind, s *segment, o *Orders) {
	op := OpID(l.ids())
	l.jobs = append(l.jobs, runningJob{op: op, kind: kind, segment: s})
	o.Jobs = append(o.Jobs, RunJob{Op: op, Job: j})
}

// JobDone takes in the result of a job this log ordered.
func (l *Log) JobDone(now clock.Time, op OpID, result Result, o *Orders) {
	i := slices.IndexFunc(l.jobs, func(j runningJob) bool { return j.op == op })
	invariant.True(i >= 0, "a job is done that was ordered")
	j := l.jobs[i]
	l.jobs = slices.Delete(l.jobs, i, i+1)
	switch j.kind {
	case segmentSealed:
		l.sealDone(now, j.segment, o)
	case epochsWritten:
		l.epochsWrittenDone(o)
	case segmentsDoomed:
		l.doomDone(now, result.(*doomed), o)
	case segmentsRemoved:
		l.removeDone(result.(*removed), o)
	case segmentsCompacted:
		l.compactDone(now, result.(*Compacted), o)
	case logTruncated:
		l.truncateDone(now, result.(*truncated), o)
	case markDropped:
		l.mark, l.markDropping = nil, false
	case logClosed:
		l.closeDone(o)
	}
	l.maybeSync(o)
	l.maybeDropMark(o)
	l.maybeCut(now, o)
	l.maybeClose(o)
	l.check()
}

// sealSegment is the job that writes the indexes of a segment that is complete, and
// the producer snapshot at its end. Nothing but a Sync touches the segment's log
// meanwhile, and not even that if the job syncs it.
type sealSegment struct {
	dir      string
	base     int64
	end      int64
	offsets  []offsetEntry
	times    []timeEntry
	aborted  []abortedTxn
	snapshot []byte
	syncLog  bool
	mutants  mutant.Set
}

func (j *sealSegment) Run(d *Devices) (Result, error) {
	if err := writeIndexes(d.Files, j.dir, j.base, j.offsets, j.times, j.aborted); err != nil {
		return nil, err
	}
	write := writeFile
	if j.mutants.On(mutant.D3SnapshotWithoutSync) {
		write = writeUnsynced
	}
	if err := write(d.Files, segmentPath(j.dir, j.end, snapshotSuffix), j.snapshot); err != nil {
		return nil, fmt.Errorf("write the producer snapshot at %d of %s: %w", j.end, j.dir, err)
	}
	if j.syncLog {
		if err := syncFile(d.Files, segmentPath(j.dir, j.base, logSuffix)); err != nil {
			return nil, err
		}
	}
	if j.mutants.On(mutant.D7NoDirectorySync) {
		return nil, nil
	}
	return nil, d.Files.SyncDir(j.dir)
}

// writeIndexes makes the index files of a segment durable, but not their names. A
// transaction index is written only if there is something to say. The offset index
// comes last: where that is missing, recovery makes all of them anew.
func writeIndexes(
	fs Files, dir string, base int64,
	offsets []offsetEntry, times []timeEntry, aborted []abortedTxn,
) error {
	err := writeTxnIndex(fs, segmentPath(dir, base, txnIndexSuffix), aborted)
	if err == nil {
		err = writeFile(fs, segmentPath(dir, base, timeIndexSuffix), encodeTimes(times))
	}
	if err == nil {
		err = writeFile(fs, segmentPath(dir, base, indexSuffix), encodeOffsets(offsets))
	}
	if err != nil {
		return fmt.Errorf("write the indexes of segment %d of %s: %w", base, dir, err)
	}
	return nil
}

func writeTxnIndex(fs Files, path string, aborted []abortedTxn) error {
	if len(aborted) == 0 {
		return fs.Remove(path)
	}
	var data []byte
	for _, t := range aborted {
		data = appendAbortedTxn(data, t)
	}
	return writeFile(fs, path, data)
}

// writeUnsynced is writeFile with the mistake of leaving out the sync.
func writeUnsynced(fs Files, path string, data []byte) error {
	f, err := fs.Create(path)
	if err != nil {
		return err
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt(data, 0)
	}
	return errors.Join(err, f.Close())
}

// syncFile makes a file durable. It makes the file if it is not there.
func syncFile(fs Files, path string) (err error) {
	f, err := fs.Create(path)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	return nil
}

// maybeSeal orders the closed segments that are written to be sealed. Under
// PageCache that also syncs them, as Kafka does after a roll: it is what moves the
// recovery point.
func (l *Log) maybeSeal(o *Orders) {
	if l.closeOrdered || l.cut != nil {
		return
	}
	for _, s := range l.pending {
		if s.written < s.end {
			return
		}
		if s.state != closed {
			continue
		}
		syncsLog := l.cfg.Durability == PageCache && s.synced < s.end
		if syncsLog && l.syncing == s {
			return
		}
		s.state, s.syncsLog = sealing, syncsLog
		l.runJob(&sealSegment{
			dir: l.dir, base: s.base, end: s.end,
			offsets: s.offsets, times: s.sealTimes(), aborted: s.aborted, snapshot: s.snapshot,
			syncLog: syncsLog, mutants: l.set.Mutants,
		}, segmentSealed, s, o)
	}
}

// sealDone forgets the indexes of a segment, which are in files now. Readers may
// hold the old one.
func (l *Log) sealDone(now clock.Time, old *segment, o *Orders) {
	s := *old
	s.state, s.inFiles = sealed, true
	s.offsetEntries, s.timeEntries = len(old.offsets), len(old.sealTimes())
	s.offsets, s.times, s.snapshot, s.aborted = nil, nil, nil, nil
	l.closed = slices.Clone(l.closed)
	for _, list := range [][]*segment{l.closed, l.pending} {
		if i := slices.Index(list, old); i >= 0 {
			list[i] = &s
		}
	}
	if l.syncing == old {
		l.syncing = &s
	}
	if s.syncsLog {
		s.syncsLog, s.named = false, true
		l.synced(now, &s, s.end)
	}
	l.settle()
	if l.retentionWaits {
		l.retain(now, o)
	}
}
