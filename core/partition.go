package core

import (
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/mutant"
	"github.com/heiban/heiban/core/wire"
)

// topic is what a broker keeps of a topic it hosts or knows.
type topic struct {
	name       string
	partitions []*partition // by index
	id         wire.TopicID
	internal   bool // written by coordinators only
}

// partition is one partition hosted by this broker, which leads it.
type partition struct {
	topic *topic
	log   *log.Log // set while online
	dir   *logDir

	// Who waits. Both queues are ordered by endOffset.
	untilWritten []produceWait // acks=1
	untilHigh    []produceWait // acks=all: until the high watermark has passed
	fetches      []*fetchPart
	opening      *opening // who waits for it to come online

	highWatermark int64 // as last reported
	logStart      int64
	recoveryPoint int64         // as last seen
	epochStart    int64         // where leaderEpoch starts
	armed         clock.Instant // when the log's Tick is due in the heap
	id            log.ID
	index         int32
	leaderEpoch   int32
	state         partitionState
}

type partitionState uint8

const (
	partitionOpening partitionState = iota // its log is being recovered or made
	partitionOnline
	partitionClosing // its log is being closed for shutdown
	partitionClosed
	partitionOffline // its log directory failed
	partitionDeleted
)

// find returns the partition a request names, or why not (KIP-516).
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
	case partitionOpening, partitionClosing, partitionClosed, partitionDeleted:
	}
	return p, errcode.NotLeaderOrFollower
}

// checkEpoch compares the leader epoch a request carries with the partition's
// (KIP-320). An epoch of -1 asks for no comparison.
func (p *partition) checkEpoch(currentLeaderEpoch int32) errcode.Code {
	switch {
	case currentLeaderEpoch == -1 || currentLeaderEpoch == p.leaderEpoch:
		return errcode.None
	case currentLeaderEpoch < p.leaderEpoch:
		return errcode.FencedLeaderEpoch
	default:
		return errcode.UnknownLeaderEpoch
	}
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
// the jobs from index firstJob on, advances the high watermark, answers who waited for
// it, and arms the log's deadline.
func (b *Broker) logChanged(p *partition, firstJob int) {
	for _, job := range b.fx.Jobs[firstJob:] {
		b.jobs[job.Op] = jobOwner{kind: jobOfLog, part: p}
	}
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
	b.maybeAdvanceHighWatermark(p)
	b.answerWritten(p)
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

// maybeAdvanceHighWatermark raises the high watermark to what the in-sync replicas
// hold: with this broker as the only replica, to what its own log holds.
func (b *Broker) maybeAdvanceHighWatermark(p *partition) bool {
	held := p.log.HeldEndOffset()
	if held > p.log.HighWatermark() {
		p.log.SetHighWatermark(held)
	}
	high := p.log.HighWatermark()
	if high == p.highWatermark {
		return false
	}
	p.highWatermark = high
	p.dir.stale |= highWatermarks
	b.report(Report{
		Kind: HighWatermarkAdvanced, Topic: p.topic.name, TopicID: p.topic.id,
		Partition: p.index, Offset: high, EndOffset: p.log.LogEndOffset(),
	})
	b.answerCommitted(p)
	b.wakeFetches(p)
	return true
}

// leave answers everybody who waits on p with why they wait in vain.
func (b *Broker) leave(p *partition, why errcode.Code) {
	for _, w := range p.untilWritten {
		b.produceEnded(w, why)
	}
	for _, w := range p.untilHigh {
		b.produceEnded(w, why)
	}
	p.untilWritten, p.untilHigh = nil, nil
	b.completeFetches(p)
}

// completeFetches answers all fetches that wait on p.
func (b *Broker) completeFetches(p *partition) {
	for len(p.fetches) > 0 {
		b.completeFetch(p.fetches[0].call)
	}
}
