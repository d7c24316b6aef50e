package config

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"

	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/log"
)

// topicValues is the effective configuration of a topic before the values that
// depend on each other are settled.
type topicValues struct {
	log.Config
	gzip, lz4, zstd int
	internalSegment int64       // 0: not set
	shared          *log.Config // of topics without overrides
}

// Topic returns the effective configuration of a topic's logs: overrides, sorted by
// name, over the broker's dynamic values, its static values and Kafka's defaults.
// Topics without overrides share one Config. Overrides that are unknown or do not
// fit are left out, and the first such is returned as the error; the Config is
// usable all the same.
func (b *Broker) Topic(overrides []Entry) (*log.Config, error) {
	if len(overrides) == 0 {
		return b.topic.shared, nil
	}
	var first error
	values := b.topic
	for _, e := range overrides {
		k, ok := lookupIn(TopicScope, e.Name)
		if !ok {
			first = cmp.Or(first, unknownTopicKey(e.Name))
			continue
		}
		if err := k.check(e.Value, b.SmallLimits); err != nil {
			first = cmp.Or(first, err)
			continue
		}
		values.set(k, e.Value)
	}
	return values.settle(), first
}

func unknownTopicKey(name string) error {
	return fmt.Errorf("unknown topic configuration %s", name)
}

// ValidateTopic returns an error unless value is allowed for a topic's key.
func (b *Broker) ValidateTopic(name, value string) error {
	k, ok := lookupIn(TopicScope, name)
	if !ok {
		return unknownTopicKey(name)
	}
	return k.check(value, b.SmallLimits)
}

// ValidateTopicEntries returns an error unless all of a topic's overrides, sorted by
// name, are allowed, each and together.
func (b *Broker) ValidateTopicEntries(overrides []Entry) error {
	for _, e := range overrides {
		if err := b.ValidateTopic(e.Name, e.Value); err != nil {
			return err
		}
	}
	c, err := b.Topic(overrides)
	if err != nil {
		return err
	}
	if c.CleanupCompact && c.MinCompactionLagMillis > c.MaxCompactionLagMillis {
		return fmt.Errorf("min.compaction.lag.ms %d is above max.compaction.lag.ms %d",
			c.MinCompactionLagMillis, c.MaxCompactionLagMillis)
	}
	if v, ok := Find(overrides, "remote.storage.enable"); ok {
		if k, _ := Lookup("remote.storage.enable"); k != nil {
			if on, _ := k.parseBool(v); on {
				return errors.New("remote.storage.enable: tiered storage is disabled on this " +
					"broker")
			}
		}
	}
	return nil
}

// TopicValue returns the effective value of a topic's key under overrides sorted by
// name, and where it comes from. It is false if the key has no value.
func (b *Broker) TopicValue(k *Key, overrides []Entry) (string, Source, bool) {
	if v, ok := Find(overrides, k.Name); ok {
		return v, DynamicTopic, true
	}
	for _, layer := range b.layers() {
		for _, s := range k.Synonyms {
			if v, ok := Find(layer.entries, s.Name); ok {
				return s.convert(v), layer.source, true
			}
		}
	}
	for _, s := range k.Synonyms {
		if bk, ok := Lookup(s.Name); ok && !bk.Null {
			return s.convert(bk.Default), Default, true
		}
	}
	return k.Default, Default, !k.Null
}

// layer is the values of one source.
type layer struct {
	entries []Entry
	source  Source
}

// layers returns the broker's values, the strongest first.
func (b *Broker) layers() [3]layer {
	return [3]layer{
		{b.node, DynamicBroker}, {b.cluster, DynamicDefaultBroker}, {b.static, StaticBroker},
	}
}

// convert turns a broker's value into a topic's. Less than nothing is no limit.
func (s Synonym) convert(value string) string {
	if s.Millis == 0 {
		return value
	}
	n, err := strconv.ParseInt(value, 10, 32)
	switch {
	case err != nil:
		return value // refused where it is checked
	case n < 0:
		return "-1"
	}
	return strconv.FormatInt(n*s.Millis, 10)
}

// deriveTopic computes the configuration of topics without overrides.
func (b *Broker) deriveTopic() error {
	b.topic = topicValues{}
	for i := range topicKeys {
		k := &topicKeys[i]
		v, _, ok := b.TopicValue(k, nil)
		if !ok {
			continue
		}
		if err := k.check(v, b.SmallLimits); err != nil {
			return err
		}
		b.topic.set(k, v)
	}
	b.topic.shared = b.topic.settle()
	return nil
}

// settle returns the configuration with what depends on several values.
func (t *topicValues) settle() *log.Config {
	c := t.Config
	if t.internalSegment != 0 {
		c.SegmentBytes = t.internalSegment
	}
	switch c.Compression {
	case batch.Gzip:
		c.CompressionLevel = t.gzip
	case batch.LZ4:
		c.CompressionLevel = t.lz4
	case batch.Zstd:
		c.CompressionLevel = t.zstd
	case batch.Uncompressed, batch.Snappy:
		c.CompressionLevel = 0
	}
	return &c
}

// set takes over a value that has been checked. Keys without effect are passed over.
func (t *topicValues) set(k *Key, value string) {
	if k.Inert {
		return
	}
	switch k.Type {
	case Int, Long:
		n, _ := k.parseInt(value, true)
		t.setNumber(k.Name, n)
	case Boolean:
		on, _ := k.parseBool(value)
		t.setFlag(k.Name, on)
	case Double:
		ppm, _ := k.parseMillionths(value)
		t.MinCleanableDirtyPPM = int32(ppm)
	case String, List:
		t.setText(k.Name, value)
	case Short, Class, Password:
		invariant.Fail("topic configuration %s has the type %s", k.Name, k.Type)
	}
}

func (t *topicValues) setNumber(name string, n int64) {
	switch name {
	case "segment.bytes":
		t.SegmentBytes = n
	case "internal.segment.bytes":
		t.internalSegment = n
	case "segment.ms":
		t.SegmentMillis = n
	case "segment.jitter.ms":
		t.SegmentJitterMillis = n
	case "segment.index.bytes":
		t.SegmentIndexBytes = int32(n)
	case "index.interval.bytes":
		t.IndexIntervalBytes = int32(n)
	case "retention.bytes":
		t.RetentionBytes = n
	case "retention.ms":
		t.RetentionMillis = n
	case "file.delete.delay.ms":
		t.FileDeleteDelayMillis = n
	case "delete.retention.ms":
		t.DeleteRetentionMillis = n
	case "min.compaction.lag.ms":
		t.MinCompactionLagMillis = n
	case "max.compaction.lag.ms":
		t.MaxCompactionLagMillis = n
	case "flush.messages":
		t.FlushMessages = n
	case "flush.ms":
		t.FlushMillis = n
	case "message.timestamp.before.max.ms":
		t.TimestampBeforeMaxMillis = n
	case "message.timestamp.after.max.ms":
		t.TimestampAfterMaxMillis = n
	case "max.message.bytes":
		t.MaxMessageBytes = int32(n)
	case "min.insync.replicas":
		t.MinInsyncReplicas = int32(n)
	case "compression.gzip.level":
		t.gzip = int(n)
	case "compression.lz4.level":
		t.lz4 = int(n)
	case "compression.zstd.level":
		t.zstd = int(n)
	default:
		invariant.Fail("topic configuration %s has no field", name)
	}
}

func (t *topicValues) setFlag(name string, on bool) {
	switch name {
	case "preallocate":
		t.Preallocate = on
	case "unclean.leader.election.enable":
		t.UncleanLeaderElection = on
	default:
		invariant.Fail("topic configuration %s has no field", name)
	}
}

func (t *topicValues) setText(name, value string) {
	switch name {
	case "cleanup.policy":
		t.CleanupDelete, t.CleanupCompact = false, false
		for _, policy := range SplitList(value) {
			t.CleanupDelete = t.CleanupDelete || policy == "delete"
			t.CleanupCompact = t.CleanupCompact || policy == "compact"
		}
	case "compression.type":
		t.KeepCompression = value == "producer"
		t.Compression = map[string]batch.Compression{
			"gzip": batch.Gzip, "snappy": batch.Snappy, "lz4": batch.LZ4, "zstd": batch.Zstd,
		}[value]
	case "message.timestamp.type":
		t.TimestampType = batch.CreateTime
		if value == "LogAppendTime" {
			t.TimestampType = batch.LogAppendTime
		}
	case "heiban.durability":
		t.Durability = log.Fsync
		if value == "page-cache" {
			t.Durability = log.PageCache
		}
	default:
		invariant.Fail("topic configuration %s has no field", name)
	}
}
