package metadata

import (
	"bytes"
	"slices"

	"github.com/heiban/heiban/core/config"
)

// Records returns records that make the image, but for its offset, of an empty one
// (KIP-630). Features come first, as readers of a snapshot expect it.
func (m *Image) Records() []Record {
	var records []Record
	for _, first := range []bool{true, false} {
		for _, f := range m.features {
			if (f.Name == MetadataVersion) == first {
				records = append(records, &FeatureLevelRecord{Name: f.Name, FeatureLevel: f.Level})
			}
		}
	}
	for _, b := range m.brokers {
		records = append(records, registrationOf(b))
	}
	for t := range m.Topics() {
		records = t.appendRecords(records)
	}
	for _, r := range m.resources {
		records = appendEntries(records, r.Type, r.Name, r.Entries)
	}
	if m.nextProducerID > 0 {
		records = append(records, &ProducerIDsRecord{
			BrokerID: -1, BrokerEpoch: -1, NextProducerID: m.nextProducerID,
		})
	}
	if m.inTransaction {
		records = append(records, &BeginTransactionRecord{})
		records = append(records, m.open...)
	}
	return records
}

func registrationOf(b *Broker) *RegisterBrokerRecord {
	return &RegisterBrokerRecord{
		Rack: b.Rack, EndPoints: b.Endpoints, Features: b.Features, LogDirs: b.LogDirs,
		CordonedLogDirs: b.CordonedLogDirs, BrokerEpoch: b.Epoch, IncarnationID: b.Incarnation,
		BrokerID: b.ID, Fenced: b.Fenced, InControlledShutdown: b.InControlledShutdown,
	}
}

func (t *Topic) appendRecords(records []Record) []Record {
	records = append(records, &TopicRecord{Name: t.Name, TopicID: t.ID})
	records = appendEntries(records, TopicResource, t.Name, t.Overrides)
	for i := range t.Partitions {
		p := &t.Partitions[i]
		records = append(records, &PartitionRecord{
			Replicas: p.Replicas, ISR: p.ISR,
			RemovingReplicas: p.RemovingReplicas, AddingReplicas: p.AddingReplicas,
			Directories: p.Directories, EligibleLeaderReplicas: p.ELR, LastKnownELR: p.LastKnownELR,
			TopicID: t.ID, PartitionID: int32(i), Leader: p.Leader,
			LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch,
			LeaderRecoveryState: p.RecoveryState,
		})
	}
	return records
}

func appendEntries(records []Record, kind ResourceType, name string, entries []config.Entry) []Record {
	for _, e := range entries {
		records = append(records, &ConfigRecord{
			ResourceType: kind, ResourceName: name, Name: e.Name, Value: &e.Value,
		})
	}
	return records
}

// Since returns what changed from another image to m, whatever records lay between.
func (m *Image) Since(old *Image) *Delta {
	b := builder{m: m, before: old}
	for t := range old.Topics() {
		if m.TopicByID(t.ID) == nil {
			b.deleted = append(b.deleted, t)
		}
	}
	for t := range m.Topics() {
		was := old.TopicByID(t.ID)
		if was == t {
			continue
		}
		if was == nil {
			b.created = append(b.created, t.ID)
		} else {
			b.overridden = append(b.overridden, t.ID)
		}
		for i := range t.Partitions {
			b.markPartition(t, was, int32(i))
		}
	}
	b.markBrokers()
	b.markResources()
	b.features = !slices.Equal(m.features, old.features)
	b.nodeEntries = m.effective != old.effective
	return b.finish()
}

// markPartition notes what changed of a partition; was is its topic before, nil if it is
// new.
func (b *builder) markPartition(t, was *Topic, index int32) {
	mark := partitionMark{id: t.ID, index: index}
	if was == nil || int(index) >= len(was.Partitions) {
		mark.new, mark.leader, mark.replicas = true, true, true
		b.partitions = append(b.partitions, mark)
		return
	}
	p, q := &t.Partitions[index], &was.Partitions[index]
	mark.leader = p.Leader != q.Leader || p.LeaderEpoch != q.LeaderEpoch
	mark.replicas = !slices.Equal(p.Replicas, q.Replicas) || !slices.Equal(p.ISR, q.ISR) ||
		!slices.Equal(p.AddingReplicas, q.AddingReplicas) ||
		!slices.Equal(p.RemovingReplicas, q.RemovingReplicas) ||
		!slices.Equal(p.ELR, q.ELR) || !slices.Equal(p.LastKnownELR, q.LastKnownELR) ||
		!slices.Equal(p.Directories, q.Directories)
	if mark.leader || mark.replicas || p.PartitionEpoch != q.PartitionEpoch {
		b.partitions = append(b.partitions, mark)
	}
}

func (b *builder) markBrokers() {
	for _, o := range b.before.brokers {
		if b.m.Broker(o.ID) == nil {
			b.brokers = append(b.brokers, o.ID)
		}
	}
	for _, n := range b.m.brokers {
		o := b.before.Broker(n.ID)
		if o == nil || !sameRecord(registrationOf(o), registrationOf(n)) {
			b.brokers = append(b.brokers, n.ID)
		}
	}
}

func (b *builder) markResources() {
	differ := func(r *Resource, other *Image) bool {
		return !slices.Equal(r.Entries, other.Configs(r.Type, r.Name))
	}
	for i := range b.before.resources {
		if r := &b.before.resources[i]; differ(r, b.m) {
			b.resources = append(b.resources, Resource{Type: r.Type, Name: r.Name})
		}
	}
	for i := range b.m.resources {
		if r := &b.m.resources[i]; differ(r, b.before) {
			b.resources = append(b.resources, Resource{Type: r.Type, Name: r.Name})
		}
	}
}

func sameRecord(a, b Record) bool {
	return bytes.Equal(AppendRecord(nil, a), AppendRecord(nil, b))
}
