package core

import (
	"fmt"

	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/wire"
)

// metalog is the metadata log of a quorum of one: what is synced here is committed.
// The controller decides, the records are appended as one batch, and when the batch is
// committed the records are applied to the image and the request is answered.
type metalog struct {
	partition partition
	commits   []commit // in log order
	builder   batch.Builder
}

// commit is one decision on its way into the log.
type commit struct {
	records   []metadata.Record
	body      wire.Response // the answer
	who       asked         // who is to have it, nil: nobody
	endOffset int64
	then      thenKind
}

// thenKind says what follows when a commit is applied and the partitions it makes are
// online.
type thenKind uint8

const (
	thenAnswer         thenKind = iota // body to who
	thenOpenPartitions                 // go on booting
)

// metadataTopicID is the id Kafka gives __cluster_metadata.
var metadataTopicID = wire.TopicID{15: 1}

const metadataTopic = "__cluster_metadata"

// metadataLogConfig never drops or rewrites anything.
func metadataLogConfig() *log.Config {
	const unlimited = 1<<63 - 1
	return &log.Config{
		SegmentBytes: 1 << 30, SegmentMillis: unlimited, SegmentIndexBytes: 10 << 20,
		IndexIntervalBytes: 4096, RetentionBytes: -1, RetentionMillis: -1,
		FileDeleteDelayMillis: 60_000, FlushMessages: unlimited, FlushMillis: unlimited,
		TimestampBeforeMaxMillis: unlimited, TimestampAfterMaxMillis: unlimited,
		MaxMessageBytes: 1 << 30, MinInsyncReplicas: 1, KeepCompression: true,
		Durability: log.Fsync,
	}
}

// commit appends records to the metadata log. Without records it waits for those that
// were appended before.
func (b *Broker) commit(c commit) {
	if len(c.records) == 0 {
		c.endOffset = b.metalog.partition.log.LogEndOffset()
		b.metalog.commits = append(b.metalog.commits, c)
		b.metalogChanged()
		return
	}
	m := &b.metalog
	m.builder.Reset(&batch.Options{
		ProducerID: batch.NoProducerID, ProducerEpoch: -1, BaseSequence: -1,
		PartitionLeaderEpoch: m.partition.leaderEpoch,
	})
	for _, r := range c.records {
		m.builder.Append(int64(b.now.Wall), nil, metadata.AppendRecord(nil, r), nil)
	}
	data, err := m.builder.Finish(nil, nil)
	invariant.True(err == nil, "an uncompressed batch can be built")
	var h batch.Header
	invariant.True(batch.Parse(data, &h) == nil, "a built batch can be parsed")
	from := len(b.fx.Jobs)
	a := m.partition.log.Append(b.now, m.partition.leaderEpoch, &h, data, &b.fx.Orders)
	if a.Err != errcode.None {
		b.fatal(fmt.Errorf("append to the metadata log: %s", a.Err))
		return
	}
	c.endOffset = a.EndOffset
	b.controller.Replay(c.records)
	m.commits = append(m.commits, c)
	b.logChanged(&m.partition, from)
}

// metalogChanged applies what is committed by now.
func (b *Broker) metalogChanged() {
	m := &b.metalog
	if held := m.partition.log.HeldEndOffset(); held > m.partition.log.HighWatermark() {
		m.partition.log.SetHighWatermark(held)
	}
	for len(m.commits) > 0 && m.commits[0].endOffset <= m.partition.log.HighWatermark() {
		c := m.commits[0]
		rest := copy(m.commits, m.commits[1:]) // before what c leads to, which may commit
		m.commits[rest] = commit{}
		m.commits = m.commits[:rest]
		b.apply(c)
	}
	b.closedMaybe(&m.partition)
}

// opening is a commit whose partitions are being made.
type opening struct {
	commit commit
	left   int
}

// apply folds a committed decision into the image and starts what it asks for.
func (b *Broker) apply(c commit) {
	// A node that stops leaves the rest to its next start.
	if len(c.records) == 0 || b.phase > running {
		b.opened(&opening{commit: c, left: 1})
		return
	}
	image, delta := b.image.Apply(c.records)
	b.image = image.At(c.endOffset - 1)
	b.fx.Image = b.image
	if c.then == thenOpenPartitions {
		b.openAll()
		return
	}
	o := &opening{commit: c, left: 1}
	b.follow(delta, o)
	b.opened(o)
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
}
