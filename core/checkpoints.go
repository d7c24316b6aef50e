package core

import (
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/log"
)

// Checkpoints tell the next start where recovery may begin. They are written from
// time to time and when the node stops; they may be old, never wrong.

// checkpoints is a set of checkpoint files.
type checkpoints uint8

const (
	highWatermarks checkpoints = 1 << iota
	recoveryPoints
	logStarts
	cleanerPoints
	allCheckpoints = highWatermarks | recoveryPoints | logStarts | cleanerPoints
)

// checkpointPlan says which checkpoint a deadline is for, and how often it comes.
func (b *Broker) checkpointPlan(kind deadlineKind) (checkpoints, clock.Duration) {
	switch kind {
	case highWatermarksDeadline:
		return highWatermarks, b.base.HighWatermarkCheckpointInterval
	case recoveryPointsDeadline:
		return recoveryPoints, b.base.LogFlushOffsetCheckpointInterval
	default:
		return logStarts, b.base.LogFlushStartCheckpointInterval
	}
}

// armCheckpoints asks for the first checkpoints.
func (b *Broker) armCheckpoints() {
	for kind := highWatermarksDeadline; kind <= logStartsDeadline; kind++ {
		b.armCheckpoint(kind)
	}
}

func (b *Broker) armCheckpoint(kind deadlineKind) {
	_, interval := b.checkpointPlan(kind)
	b.deadlines.push(deadline{at: b.now.Mono.Add(interval), kind: kind})
}

func (b *Broker) checkpointsDue(kind deadlineKind) {
	if !b.open() {
		return
	}
	which, _ := b.checkpointPlan(kind)
	for i := range b.dirs {
		b.dirs[i].due |= which
		b.checkpoint(&b.dirs[i])
	}
	b.armCheckpoint(kind)
}

// checkpoint orders those of a directory's checkpoints to be written that are due and
// have changed, one job at a time.
func (b *Broker) checkpoint(dir *logDir) {
	if dir.offline || dir.writing {
		return
	}
	which := dir.due & dir.stale
	dir.due = 0
	if which == 0 {
		return
	}
	dir.stale &^= which
	dir.writing, dir.freeing, dir.freed = true, dir.freed, nil
	b.order(b.checkpointJob(dir, which), jobOwner{kind: jobCheckpoint, dir: dir})
}

// compacted has the cleaner's progress written down at once: to do it again costs a
// rewrite of the log.
func (b *Broker) compacted(dir *logDir) {
	dir.stale |= cleanerPoints
	if b.open() {
		dir.due |= cleanerPoints
		b.checkpoint(dir)
	}
}

// checkpointWritten goes on with what waited for it.
func (b *Broker) checkpointWritten(dir *logDir) {
	dir.writing = false
	freed := dir.freeing
	dir.freeing = nil
	for _, path := range freed {
		b.freeName(path)
	}
	b.checkpoint(dir)
	b.readyMaybe()
}

func (b *Broker) checkpointJob(dir *logDir, which checkpoints) *log.WriteCheckpoints {
	job := &log.WriteCheckpoints{Path: dir.path}
	add := func(list *[]log.Checkpoint, kind checkpoints, p *partition, offset int64) {
		if which&kind != 0 {
			*list = append(*list,
				log.Checkpoint{Topic: p.topic.name, Partition: p.index, Offset: offset})
		}
	}
	for _, list := range []struct {
		kind  checkpoints
		lines *[]log.Checkpoint
	}{
		{highWatermarks, &job.HighWatermarks},
		{recoveryPoints, &job.RecoveryPoints},
		{logStarts, &job.LogStarts},
		{cleanerPoints, &job.CleanerPoints},
	} {
		if which&list.kind != 0 {
			*list.lines = []log.Checkpoint{} // nil leaves the file as it is
		}
	}
	m := &b.metalog.partition
	if m.dir == dir && m.log != nil {
		add(&job.RecoveryPoints, recoveryPoints, m, m.log.RecoveryPoint())
	}
	for _, t := range b.sortedTopics() {
		for _, p := range t.partitions {
			if p.dir != dir || p.log == nil || p.state == partitionDeleted {
				continue
			}
			add(&job.RecoveryPoints, recoveryPoints, p, p.log.RecoveryPoint())
			add(&job.HighWatermarks, highWatermarks, p, p.log.HighWatermark())
			if start := p.log.LogStartOffset(); start > p.log.FirstBaseOffset() {
				add(&job.LogStarts, logStarts, p, start)
			}
			if point := p.log.FirstDirtyOffset(); point > p.log.LogStartOffset() {
				add(&job.CleanerPoints, cleanerPoints, p, point)
			}
		}
	}
	return job
}

// shutdownRequested begins a clean stop.
func (b *Broker) shutdownRequested() {
	switch b.phase {
	case booting: // no partition is open for writing yet
		b.stopQuorum()
		b.phase = stopped
		b.fx.Stopped = true
	case joining:
		b.closeLogs()
	case running:
		b.stopBroker()
	case closingLogs, writingCheckpoints, stopped:
	}
}

// closeLogs is the second part of a stop: parked fetches are answered, every log is
// flushed and closed, then the checkpoints and the clean marker are written.
func (b *Broker) closeLogs() {
	b.phase = closingLogs
	b.handOver()
	for _, t := range b.sortedTopics() {
		for _, p := range t.partitions {
			b.closeLog(p)
		}
	}
	b.closedAll()
}

func (b *Broker) closeLog(p *partition) {
	if p.state != partitionOnline {
		return
	}
	b.completeFetches(p)
	b.unfollow(p)
	b.resign(p)
	p.state = partitionClosing
	b.closing++
	from := len(b.fx.Jobs)
	p.log.Close(b.now, &b.fx.Orders)
	b.logChanged(p, from)
}

// closedMaybe notes that a log is closed, when it is.
func (b *Broker) closedMaybe(p *partition) {
	if p.state == partitionClosing && p.log.Closed() {
		p.state = partitionClosed
		b.closing--
	}
}

// closedAll goes on with a stop when nothing that was ordered is under way: when the
// partitions' logs are closed the metadata log is next, the checkpoints come last.
func (b *Broker) closedAll() {
	if b.closing > 0 || len(b.jobs) > 0 || len(b.removing) > 0 {
		return
	}
	switch b.phase {
	case booting, joining, running, stopped:
	case closingLogs:
		if m := &b.metalog.partition; m.state == partitionOnline {
			if len(b.metalog.commits) == 0 && !b.handingOver() {
				b.stopQuorum()
				b.closeLog(m)
			}
			return
		}
		b.phase = writingCheckpoints
		for i := range b.dirs {
			if !b.dirs[i].offline {
				b.closeDir(&b.dirs[i])
			}
		}
	case writingCheckpoints:
		b.phase = stopped
		b.fx.Stopped = true
	}
}

func (b *Broker) closeDir(dir *logDir) {
	job := b.checkpointJob(dir, allCheckpoints)
	job.Clean = true
	job.BrokerEpoch = b.life.epoch
	b.order(job, jobOwner{kind: jobCloseDir, dir: dir})
}
