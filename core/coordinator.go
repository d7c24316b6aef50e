package core

import (
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/group"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/mutant"
)

// coordinator is what a node has to coordinate groups with, for one partition of
// __consumer_offsets while it leads that. The shard decides; here its records go into the
// log, and its answers wait until they are committed.
type coordinator struct {
	part    *partition
	shard   *group.Shard   // nil until the partition's records are replayed
	loading *loading       // until then
	missed  []imageChange  // while loading
	held    []heldDecision // in the order they were made, and so of their ends
	armed   clock.Instant  // when tickGroups is due in the heap
	builder batch.Builder
	key     []byte // of a record, reused
	value   []byte // of a record, reused
}

// heldDecision is what a decision has to say once its records are committed.
type heldDecision struct {
	answers []group.Answer
	reports []group.Report
	end     int64         // what the high watermark must reach
	due     clock.Instant // when the answers come too late
}

// imageChange is news of the cluster's metadata.
type imageChange struct {
	image *metadata.Image
	delta *metadata.Delta
}

// coordinate makes the node the coordinator of a partition that it leads, unless it is.
// In a later leader epoch of its own nothing that it has appended is lost.
func (b *Broker) coordinate(p *partition) {
	if p.topic.name != group.OffsetsTopic || p.groups != nil {
		return
	}
	p.groups = &coordinator{part: p, armed: clock.Never, loading: &loading{
		next: p.log.LogStartOffset(), retry: clock.Never,
		replay: newGroupReplay(group.Options{Image: b.image, Mutants: b.settings.Mutants}),
	}}
	b.load(p.groups)
}

// resign ends a coordinator: what it appended and was not committed may be lost.
func (b *Broker) resign(p *partition) {
	co := p.groups
	if co == nil {
		return
	}
	p.groups = nil
	for i := range co.held {
		for _, a := range co.held[i].answers {
			b.groupFailed(a.Call, errcode.NotCoordinator)
		}
	}
	if co.shard == nil {
		return
	}
	for _, a := range co.shard.Unload() {
		b.groupAnswered(a)
	}
}

// loaded puts the shard in charge of its groups.
func (b *Broker) loaded(co *coordinator) {
	co.shard, co.loading = co.loading.replay.shard, nil
	b.report(Report{
		Kind: GroupsLoaded, Topic: co.part.topic.name, TopicID: co.part.topic.id,
		Partition: co.part.index, Epoch: co.part.leaderEpoch, EndOffset: co.part.log.LogEndOffset(),
	})
	b.carryOut(co, co.shard.Loaded(b.now))
	missed := co.missed
	co.missed = nil
	for i := range missed {
		b.carryOut(co, co.shard.ImageChanged(b.now, missed[i].image, missed[i].delta))
	}
}

// groupsFollow gives newer metadata to the coordinators.
func (b *Broker) groupsFollow(delta *metadata.Delta) {
	t := b.topics[group.OffsetsTopic]
	if t == nil {
		return
	}
	for _, p := range t.partitions {
		switch co := p.groups; {
		case co == nil:
		case co.shard == nil:
			co.missed = append(co.missed, imageChange{image: b.image, delta: delta})
		default:
			b.carryOut(co, co.shard.ImageChanged(b.now, b.image, delta))
		}
	}
}

// carryOut does what a decision of a shard comes to. The decision counts from here on for
// those that follow; clients hear of it once it is committed.
func (b *Broker) carryOut(co *coordinator, d *group.Decision) {
	p := co.part
	if len(d.Records) > 0 {
		from := len(b.fx.Jobs)
		if code := b.appendRecords(co, d.Records); code != errcode.None {
			for _, a := range co.shard.Refuse(d, code) {
				b.groupAnswered(a)
			}
			b.armGroups(co)
			return
		}
		b.jobsOf(p, from)
	}
	co.shard.Apply(d)
	for _, patterns := range d.Patterns {
		b.order(&matchTopics{patterns: patterns, image: b.image},
			jobOwner{kind: jobMatchTopics, part: p, groups: co})
	}
	if len(d.Answers)+len(d.Reports) > 0 {
		co.held = append(co.held, heldDecision{
			answers: d.Answers, reports: d.Reports, end: p.log.LogEndOffset(),
			due: b.now.Mono.Add(b.base.OffsetsCommitTimeout),
		})
	}
	if len(d.Records) > 0 {
		b.logChanged(p, len(b.fx.Jobs))
	}
	b.groupsCommitted(co)
	b.armGroups(co)
}

// appendRecords appends records of groups as one batch, on the terms of a Produce with
// acks=all.
func (b *Broker) appendRecords(co *coordinator, records []group.Record) errcode.Code {
	p := co.part
	if code := p.leader.CheckProduce(acksAll); code != errcode.None {
		return code
	}
	co.builder.Reset(&batch.Options{
		ProducerID: batch.NoProducerID, ProducerEpoch: batch.NoProducerEpoch,
		BaseSequence: batch.NoSequence, PartitionLeaderEpoch: p.leaderEpoch,
	})
	for i := range records {
		r := &records[i]
		co.key = group.AppendKey(co.key[:0], r.Key)
		var value []byte // a tombstone has none
		if r.Value != nil {
			co.value = group.AppendValue(co.value[:0], r.Value)
			value = co.value
		}
		co.builder.Append(int64(b.now.Wall), co.key, value, nil)
	}
	limit := int(b.image.TopicByID(p.topic.id).Config.MaxMessageBytes)
	if co.builder.Size() > limit {
		return errcode.MessageTooLarge
	}
	data, err := co.builder.Finish(nil, nil)
	invariant.True(err == nil, "an uncompressed batch can be built")
	var h batch.Header
	invariant.True(batch.Parse(data, &h) == nil, "a batch that was built can be parsed")
	a := p.log.Append(b.now, p.leaderEpoch, &h, data, &b.fx.Orders)
	if a.Err != errcode.None {
		return a.Err
	}
	b.reportAppended(p, &a, &h)
	return errcode.None
}

// groupsCommitted sends what was held until the high watermark had passed it.
func (b *Broker) groupsCommitted(co *coordinator) {
	high, n := co.part.log.HighWatermark(), 0
	if b.settings.Mutants.On(mutant.G3AnswerBeforeCommit) {
		high = co.part.log.LogEndOffset()
	}
	for n < len(co.held) && co.held[n].end <= high {
		for _, a := range co.held[n].answers {
			b.groupAnswered(a)
		}
		for _, r := range co.held[n].reports {
			b.report(Report{
				Kind: GroupChanged, Topic: co.part.topic.name, TopicID: co.part.topic.id,
				Partition: co.part.index, Group: r,
			})
		}
		n++
	}
	rest := copy(co.held, co.held[n:])
	clear(co.held[rest:])
	co.held = co.held[:rest]
}

// tickGroups does what time asks of a coordinator.
func (b *Broker) tickGroups(p *partition) {
	co := p.groups
	co.armed = clock.Never
	if l := co.loading; l != nil {
		if l.retry <= b.now.Mono {
			l.retry = clock.Never
			b.load(co)
		}
	} else {
		for co.shard.Deadline() <= b.now.Mono {
			b.carryOut(co, co.shard.Tick(b.now))
		}
		b.expireHeld(co)
	}
	b.armGroups(co)
}

// expireHeld answers those whose records were not committed in time. The records stand,
// and may still be.
func (b *Broker) expireHeld(co *coordinator) {
	for i := range co.held {
		if co.held[i].due > b.now.Mono {
			return
		}
		late := co.held[i].answers
		co.held[i].answers = nil
		for _, a := range late {
			b.groupFailed(a.Call, group.Refusal(errcode.RequestTimedOut))
		}
	}
}

// armGroups asks for a coordinator to be woken.
func (b *Broker) armGroups(co *coordinator) {
	at := co.nextDue()
	if at < co.armed {
		co.armed = at
		b.deadlines.push(deadline{at: at, part: co.part, kind: groupsDeadline})
	}
}

// nextDue is when tickGroups has something to do.
func (co *coordinator) nextDue() clock.Instant {
	if co.loading != nil {
		return co.loading.retry
	}
	for i := range co.held {
		if len(co.held[i].answers) > 0 {
			return min(co.shard.Deadline(), co.held[i].due)
		}
	}
	return co.shard.Deadline()
}

// matchTopics is the job that finds the topics that regular expressions match (result
// *group.Matches).
type matchTopics struct {
	image    *metadata.Image
	patterns group.Patterns
}

// Run matches.
func (j *matchTopics) Run(*log.Devices) (log.Result, error) {
	m := j.patterns.Match(j.image)
	return &m, nil
}

// topicsMatched gives a shard what its regular expressions match.
func (b *Broker) topicsMatched(owner jobOwner, m *group.Matches) {
	if co := owner.groups; co == owner.part.groups {
		b.carryOut(co, co.shard.Matched(b.now, *m))
	}
}
