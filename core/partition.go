package core

import (
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/mutant"
	"github.com/heiban/heiban/core/replica"
	"github.com/heiban/heiban/core/wire"
)

// topic is what a broker keeps of a topic it hosts or knows.
type topic struct {
	name       string
	partitions []*partition // by index
	id         wire.TopicID
	internal   bool // written by coordinators only
}

// partition is one partition of a topic, and its replica if this broker has one. While
// that is online it leads or follows.
type partition struct {
	topic *topic
	log   *log.Log // set while online
	dir   *logDir

	leader   *replica.Leader // if it leads
	ledAs    *replica.Leader // in the epoch before, if nobody else has led since
	follower *following      // if it follows
	cut      cut             // of its log

	// Who waits. The first two queues are ordered by endOffset.
	untilWritten []produceWait // acks=1
	untilHigh    []produceWait // acks=all: until the high watermark has passed
	untilLow     []deleteWait  // until the low watermark has reached
	fetches      []*fetchPart
	groups       *coordinator // of __consumer_offsets, while it leads
	opening      *opening     // who waits for it to come online

	highWatermark int64 // as last reported
	logStart      int64
	recoveryPoint int64         // as last seen
	written       int64         // as last seen: what fetches may read at most
	armed         clock.Instant // when the log's Tick is due in the heap
	roleArmed     clock.Instant // when the role's deadline is due in the heap
	id            log.ID
	index         int32
	leaderEpoch   int32 // of the role
	state         partitionState
	proposing     bool // in Broker.isr.waiting
}

type partitionState uint8

const (
	partitionAbsent  partitionState = iota // this broker has no replica of it
	partitionOpening                       // its log is being recovered or made
	partitionOnline
	partitionClosing // its log is being closed for shutdown
	partitionClosed
	partitionOffline // its log directory failed
	partitionDeleted
)

// find returns the partition a request names, whose replica here is online, or why not
// (KIP-516).
func (b *Broker) find(
	name string, id wire.TopicID, byID bool, index int32,
) (*partition, errcode.Code) {
	var t *topic
	if byID {
		if t = b.topicIDs[id]; t == nil {
			return nil, errcode.UnknownTopicID
		}
	} else if t = b.topics[name]; t == nil {
		return nil, errcode.UnknownTopicOrPartition
	}
	if index < 0 || int(index) >= len(t.partitions) {
		return nil, errcode.UnknownTopicOrPartition
	}
	p := t.partitions[index]
	switch p.state {
	case partitionOnline:
		return p, errcode.None
	case partitionOffline:
		return p, errcode.KafkaStorageError
	case partitionAbsent, partitionOpening, partitionClosing, partitionClosed, partitionDeleted:
	}
	return p, errcode.NotLeaderOrFollower
}

// findLed is find for what only the leader does. An epoch of -1 asks for no comparison
// with the leader's (KIP-320).
func (b *Broker) findLed(name string, index, currentLeaderEpoch int32) (*partition, errcode.Code) {
	p, code := b.find(name, wire.TopicID{}, false, index)
	if code == errcode.None {
		code = p.checkEpoch(currentLeaderEpoch)
	}
	if code == errcode.None && p.leader == nil {
		code = errcode.NotLeaderOrFollower
	}
	return p, code
}

// checkEpoch compares the leader epoch a request carries, or -1, with that of the role
// of an online partition (KIP-320).
func (p *partition) checkEpoch(currentLeaderEpoch int32) errcode.Code {
	if p.leader != nil {
		return p.leader.CheckEpoch(currentLeaderEpoch)
	}
	return p.follower.CheckEpoch(currentLeaderEpoch)
}

func (b *Broker) writeDone(ev *WriteDone) {
	p := b.logs[ev.Log]
	if p == nil || p.log == nil || p.state == partitionOffline {
		return
	}
	if ev.Err != nil {
		b.dirFailed(p.dir, ev.Err)
		return
	}
	from := len(b.fx.Jobs)
	p.log.WriteDone(b.now, ev.EndOffset, &b.fx.Orders)
	b.logChanged(p, from)
}

func (b *Broker) syncDone(ev *SyncDone) {
	p := b.logs[ev.Log]
	if p == nil || p.log == nil || p.state == partitionOffline {
		return
	}
	if ev.Err != nil && !b.settings.Mutants.On(mutant.F1RetryFailedSync) {
		b.dirFailed(p.dir, ev.Err)
		return
	}
	from := len(b.fx.Jobs)
	p.log.SyncDone(b.now, ev.EndOffset, &b.fx.Orders)
	b.logChanged(p, from)
}

// tickLog does what time asks of a log.
func (b *Broker) tickLog(p *partition) {
	p.armed = clock.Never
	from := len(b.fx.Jobs)
	p.log.Tick(b.now, &b.fx.Orders)
	b.logChanged(p, from)
}

// logChanged follows up on any call that may have moved p's log: it notes who ordered
// the jobs from index firstJob on, tells the role, answers who waited, and arms the
// log's deadline.
func (b *Broker) logChanged(p *partition, firstJob int) {
	b.jobsOf(p, firstJob)
	if p.state == partitionDeleted {
		b.removeIdle(p)
		return
	}
	if point := p.log.RecoveryPoint(); point != p.recoveryPoint {
		p.recoveryPoint = point
		p.dir.stale |= recoveryPoints
	}
	if p == &b.metalog.partition {
		b.metalogChanged()
		return
	}
	from := len(b.fx.Jobs)
	b.roleSeesLog(p)
	b.jobsOf(p, from)
	if written := p.log.WrittenEndOffset(); written != p.written {
		p.written = written
		b.answerWritten(p)
		b.wakeReaders(p)
		if p.groups != nil && p.groups.loading != nil {
			b.load(p.groups)
		}
	}
	if start := p.log.LogStartOffset(); start != p.logStart {
		p.logStart = start
		p.dir.stale |= logStarts
		b.report(Report{
			Kind: LogStartAdvanced, Topic: p.topic.name, TopicID: p.topic.id,
			Partition: p.index, Offset: start,
		})
	}
	if p.state == partitionClosing {
		b.closedMaybe(p)
		return
	}
	if at := p.log.Deadline(); at < p.armed {
		p.armed = at
		b.deadlines.push(deadline{at: at, part: p, kind: logDeadline})
	}
}

// jobsOf notes that the jobs from index first on are of p's log, but for those that
// somebody else has ordered meanwhile.
func (b *Broker) jobsOf(p *partition, first int) {
	for _, job := range b.fx.Jobs[first:] {
		if _, owned := b.jobs[job.Op]; !owned {
			b.jobs[job.Op] = jobOwner{kind: jobOfLog, part: p}
		}
	}
}

// leave answers everybody who waits on p with why they wait in vain.
func (b *Broker) leave(p *partition, why errcode.Code) {
	for _, w := range p.untilWritten {
		b.produceEnded(p, w, why)
	}
	for _, w := range p.untilHigh {
		b.produceEnded(p, w, why)
	}
	for _, w := range p.untilLow {
		b.deleteEnded(w, -1, why)
	}
	p.untilWritten, p.untilHigh, p.untilLow = nil, nil, nil
	b.completeFetches(p)
}

// completeFetches answers all fetches that wait on p.
func (b *Broker) completeFetches(p *partition) {
	for len(p.fetches) > 0 {
		b.completeFetch(p.fetches[0].call)
	}
}
