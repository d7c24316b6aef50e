package core

import (
	"fmt"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/quorum"
	"github.com/heiban/heiban/core/wire"
)

// metalog is the node's part in the metadata log, which the quorum replicates. The
// active controller decides, the records are proposed as one batch, and when the quorum
// has committed the batch, every node applies the records to its image. Then the request
// is answered.
type metalog struct {
	partition partition
	engine    *quorum.Engine // nil until the log is read, and once it closes
	builder   batch.Builder
	reader    metadataReader

	// What the engine ordered: the last inputs' effects, and those being carried out.
	fx, carried quorum.Effects
	carrying    bool

	baseIndex uint64     // of the entry before the first of entries
	baseEnd   int64      // the offset after it
	entries   []logEntry // of the log as ordered
	storing   []storing  // in the order of tokens
	orders    []logOrder // that wait for the log
	ordered   uint64     // counts them
	snapshots snapshots
	change    *voterChange // being made by this node, or nil
	observer  observer
	fetches   []metadataFetch // that wait
	state     hardStates

	image   *metadata.Image // folded from all that is committed; see Broker.image
	applied quorum.Position // of image
	held    []*opening      // deltas to be followed when all logs are open
	commits []commit        // in log order, not applied yet

	term     uint64        // in which the controller is the active one
	leader   quorum.NodeID // as last told
	before   quorum.NodeID // the last other node that led
	heard    clock.Instant // when it was last heard of as the leader; 0: this node led since
	handed   uint64        // the term in which another voter was asked to take over
	handBy   clock.Instant // until when that is waited for
	armed    clock.Instant // when the engine is to be advanced in the heap
	caughtUp bool          // with some leader, once in the node's life
	holds    bool          // logs are being opened: deltas wait in held
	stopped  bool          // the node's part in the quorum has ended
	cutting  bool          // the log is being cut, which ended at cutFrom
	cutFrom  int64
	// storingSnapshot says that a job carries out the first of orders.
	storingSnapshot bool
}

// logEntry is what is kept of an entry of the quorum's log.
type logEntry struct {
	records []metadata.Record // if they were decoded when the log was read
	end     int64             // the offset after it
}

// commit is one decision on its way into the log.
type commit struct {
	records []metadata.Record
	body    wire.Response // the answer
	who     asked         // who is to have it, nil: nobody
	at      quorum.Position
}

// metadataTopicID is the id Kafka gives __cluster_metadata.
var metadataTopicID = wire.TopicID{15: 1}

const metadataTopic = "__cluster_metadata"

// metadataLogConfig never drops or rewrites anything by itself.
func (b *Broker) metadataLogConfig() *log.Config {
	const unlimited = 1<<63 - 1
	return &log.Config{
		SegmentBytes: int64(b.base.MetadataLogSegmentBytes), SegmentMillis: unlimited, SegmentIndexBytes: 10 << 20,
		IndexIntervalBytes: 4096, RetentionBytes: -1, RetentionMillis: -1,
		FileDeleteDelayMillis: 60_000, FlushMessages: unlimited, FlushMillis: unlimited,
		TimestampBeforeMaxMillis: unlimited, TimestampAfterMaxMillis: unlimited,
		MaxMessageBytes: 1 << 30, MinInsyncReplicas: 1, KeepCompression: true,
		Durability: log.Fsync, LargeBatches: true,
	}
}

// commit proposes records to the quorum. Without records it waits for those that were
// proposed before. It fails where this is not the active controller.
func (b *Broker) commit(c commit) {
	m := &b.metalog
	if b.controller == nil {
		b.commitFailed(&c)
		return
	}
	if len(c.records) == 0 {
		c.at = m.engine.Last()
		if m.applied.Index >= c.at.Index && len(m.commits) == 0 {
			b.opened(&opening{commit: c, left: 1})
			return
		}
		m.commits = append(m.commits, c)
		return
	}
	m.builder.Reset(&batch.Options{
		ProducerID: batch.NoProducerID, ProducerEpoch: -1, BaseSequence: -1,
		BaseOffset: m.endOffset(), PartitionLeaderEpoch: int32(m.engine.Term()),
	})
	for _, r := range c.records {
		m.builder.Append(int64(b.now.Wall), nil, metadata.AppendRecord(nil, r), nil)
	}
	data, err := m.builder.Finish(nil, nil)
	invariant.True(err == nil, "an uncompressed batch can be built")
	at, refusal := m.engine.Propose(b.now.Mono, data, &m.fx)
	if refusal != quorum.Accepted {
		b.commitFailed(&c)
		return
	}
	c.at = at
	m.commits = append(m.commits, c)
	b.controller.Replay(c.records)
	b.quorumMoved()
}

// commitFailed ends a decision whose records are not, or may never be, committed.
func (b *Broker) commitFailed(c *commit) {
	if c.who != nil {
		c.who.answered(b, nil, errNotController)
	}
}

// committed takes in the next entry that the quorum has committed.
func (b *Broker) committed(entry *quorum.Entry) {
	m := &b.metalog
	at := quorum.Position{Index: entry.Index, Term: entry.Term}
	if entry.Kind == quorum.KindSnapshot {
		b.snapshotCommitted(at)
		return
	}
	kept := &m.entries[entry.Index-m.baseIndex-1]
	var own commit
	if len(m.commits) > 0 && m.commits[0].at == at && len(m.commits[0].records) > 0 {
		own = m.nextCommit()
	}
	records := own.records
	switch {
	case records != nil || entry.Kind != quorum.KindData:
	case kept.records != nil:
		records = kept.records
	default:
		var err error
		if records, err = m.reader.entry(entry); err != nil {
			b.fatal(fmt.Errorf("metadata log: %w", err))
			return
		}
	}
	kept.records = nil
	m.snapshots.bytes += int64(len(entry.Data))
	m.partition.log.SetHighWatermark(kept.end)
	m.applied = at
	b.apply(own, records, kept.end)
	for len(m.commits) > 0 && m.commits[0].at.Index <= at.Index {
		b.opened(&opening{commit: m.nextCommit(), left: 1})
	}
}

// nextCommit takes the oldest commit off the queue.
func (m *metalog) nextCommit() commit {
	c := m.commits[0]
	rest := copy(m.commits, m.commits[1:])
	m.commits[rest] = commit{}
	m.commits = m.commits[:rest]
	return c
}

// opening is a commit whose partitions are being made.
type opening struct {
	commit commit
	image  *metadata.Image // with the commit
	delta  *metadata.Delta
	left   int
}

// apply folds committed records into the image and starts what they ask for. c is the
// decision that they are of, if it was made here.
func (b *Broker) apply(c commit, records []metadata.Record, end int64) {
	m := &b.metalog
	o := &opening{commit: c, left: 1}
	m.image, o.delta = m.image.Apply(records)
	m.image = m.image.At(end - 1)
	o.image = m.image
	b.applied(o)
}

// applied follows what was committed, now or when the node is ready to.
func (b *Broker) applied(o *opening) {
	m := &b.metalog
	switch {
	case b.phase > running: // a node that stops leaves the rest to its next start
		b.report(Report{Kind: MetadataHeld, Offset: o.image.Offset()})
		b.opened(o)
	case m.holds: // no client waits, but other brokers may
		b.report(Report{Kind: MetadataHeld, Offset: o.image.Offset()})
		m.held = append(m.held, &opening{image: o.image, delta: o.delta, left: 1})
		b.opened(o)
	case b.phase == booting: // what there is by then will be opened
		if m.caughtUp {
			b.publish(o.image)
		}
		b.opened(o)
		if m.caughtUp {
			b.imageFollowed()
		}
	default:
		b.publish(o.image)
		b.follow(o.delta, o)
		b.opened(o)
		b.imageFollowed()
	}
}

// publish makes an image the one that the node goes by.
func (b *Broker) publish(image *metadata.Image) { b.image, b.fx.Image = image, image }

// followHeld follows what was committed while the logs were being opened.
func (b *Broker) followHeld() {
	m := &b.metalog
	m.holds = false
	held := m.held
	m.held = nil
	for _, o := range held {
		b.publish(o.image)
		b.follow(o.delta, o)
		b.opened(o)
	}
}

// opened counts one of an opening's partitions as done, and answers when all are.
func (b *Broker) opened(o *opening) {
	o.left--
	if o.left > 0 {
		return
	}
	if who := o.commit.who; who != nil {
		who.answered(b, o.commit.body, nil)
	}
}

// follow makes the node's topics and partitions what the image says.
func (b *Broker) follow(delta *metadata.Delta, o *opening) {
	for _, t := range delta.Deleted {
		b.dropTopic(t.ID)
	}
	for _, changed := range delta.Configured {
		b.configure(changed)
	}
	for _, t := range delta.Created {
		b.addTopic(t)
		b.report(Report{Kind: TopicCreated, Topic: t.Name, TopicID: t.ID})
	}
	if len(delta.Brokers) > 0 {
		b.brokersChanged()
	}
	for i, change := range delta.Partitions {
		if i == 0 || delta.Partitions[i-1].Topic != change.Topic {
			b.growTopic(change.Topic, o)
		}
		if !change.New {
			b.partitionChanged(change.Topic, change.Index, o)
		}
	}
	b.groupsFollow(delta)
}
