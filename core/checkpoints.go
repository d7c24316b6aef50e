package core

import "github.com/heiban/heiban/core/log"

// Checkpoints tell the next start where recovery may begin. They are written from
// time to time and when the node stops; they may be old, never wrong.

// armCheckpoints asks for the next checkpoint.
func (b *Broker) armCheckpoints() {
	b.deadlines.push(deadline{
		at:   b.now.Mono.Add(b.base.HighWatermarkCheckpointInterval),
		kind: checkpointDeadline,
	})
}

func (b *Broker) checkpointsDue() {
	if b.phase != running {
		return
	}
	for i := range b.dirs {
		b.checkpoint(&b.dirs[i])
	}
	b.armCheckpoints()
}

// checkpoint orders a directory's checkpoints to be written, one job at a time.
func (b *Broker) checkpoint(dir *logDir) {
	if dir.offline || dir.writing {
		return
	}
	job := b.checkpointJob(dir)
	dir.writing = true
	b.order(job, jobOwner{kind: jobCheckpoint, dir: dir})
}

func (b *Broker) checkpointJob(dir *logDir) *log.WriteCheckpoints {
	job := &log.WriteCheckpoints{
		Path: dir.path, RecoveryPoints: []log.Checkpoint{}, HighWatermarks: []log.Checkpoint{},
		LogStarts: []log.Checkpoint{},
	}
	m := &b.metalog.partition
	if m.dir == dir && m.log != nil {
		job.RecoveryPoints = append(job.RecoveryPoints, m.checkpoint(m.log.RecoveryPoint()))
	}
	for _, t := range b.sortedTopics() {
		for _, p := range t.partitions {
			if p.dir != dir || p.log == nil || p.state == partitionDeleted {
				continue
			}
			job.RecoveryPoints = append(job.RecoveryPoints, p.checkpoint(p.log.RecoveryPoint()))
			job.HighWatermarks = append(job.HighWatermarks, p.checkpoint(p.log.HighWatermark()))
			if start := p.log.LogStartOffset(); start > p.log.FirstBaseOffset() {
				job.LogStarts = append(job.LogStarts, p.checkpoint(start))
			}
		}
	}
	return job
}

func (p *partition) checkpoint(offset int64) log.Checkpoint {
	return log.Checkpoint{Topic: p.topic.name, Partition: p.index, Offset: offset}
}

// shutdownRequested begins a clean stop: parked fetches are answered, every log is
// flushed and closed, then the checkpoints and the clean marker are written.
func (b *Broker) shutdownRequested() {
	if b.phase != running {
		if b.phase == booting { // nothing is open for writing yet
			b.phase = stopped
			b.fx.Stopped = true
		}
		return
	}
	b.phase = closingLogs
	b.closing = 1
	for _, t := range b.sortedTopics() {
		for _, p := range t.partitions {
			b.closeLog(p)
		}
	}
	b.closing--
	b.closedAll()
}

func (b *Broker) closeLog(p *partition) {
	if p.state != partitionOnline {
		return
	}
	p.state = partitionClosing
	b.closing++
	from := len(b.fx.Jobs)
	p.log.Close(b.now, &b.fx.Orders)
	b.logChanged(p, from)
	waiting := p.fetches
	p.fetches = nil
	for _, w := range waiting {
		if c := w.call.get(); c != nil {
			b.completeFetch(c)
		}
	}
}

// closedMaybe notes that a log is closed, when it is.
func (b *Broker) closedMaybe(p *partition) {
	if p.state != partitionClosing || !p.log.Closed() {
		return
	}
	p.state = partitionClosed
	b.closing--
	b.closedAll()
}

// closedAll goes on when all partitions' logs are closed: the metadata log is next,
// the checkpoints come last.
func (b *Broker) closedAll() {
	if b.phase != closingLogs || b.closing > 0 {
		return
	}
	if m := &b.metalog.partition; m.state == partitionOnline {
		b.closeLog(m)
		return
	}
	b.phase = writingCheckpoints
	for i := range b.dirs {
		dir := &b.dirs[i]
		if dir.offline {
			continue
		}
		b.closing++
		if !dir.writing {
			b.closeDir(dir)
		}
	}
}

func (b *Broker) closeDir(dir *logDir) {
	job := b.checkpointJob(dir)
	job.Clean = true
	b.order(job, jobOwner{kind: jobCloseDir, dir: dir})
}

// checkpointWritten lets a stop that waited for the checkpoint go on.
func (b *Broker) checkpointWritten(dir *logDir) {
	dir.writing = false
	if b.phase == writingCheckpoints {
		b.closeDir(dir)
	}
}

func (b *Broker) dirClosed() {
	b.closing--
	if b.closing == 0 {
		b.phase = stopped
		b.fx.Stopped = true
	}
}
