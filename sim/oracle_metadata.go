package sim

import (
	"slices"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/metadata"
)

// metadataOracle watches the metadata log: what every node writes into its copy and
// what of it each applies. It folds what is committed, record by record, into what the
// judge is to know: a node's image may skip states that lay between two images.
type metadataOracle struct {
	records map[metadataPlace][]metadata.Record
	states  map[checker.PartitionID]*checker.PartitionState
	brokers map[int32]*checker.BrokerState
	topics  map[checker.TopicID]string
	configs map[string][]string // names of what a topic has set
	open    []metadata.Record   // of a transaction that has not ended
	nodes   []metadataNode
	inside  bool // of a transaction
}

// metadataPlace is where a batch of the metadata log stands.
type metadataPlace struct {
	offset int64
	epoch  int32
}

// metadataNode is one node's copy of the metadata log.
type metadataNode struct {
	image *metadata.Image // the last one
	log   log.ID
	found bool // in this life
}

func newMetadataOracle(nodes int) metadataOracle {
	return metadataOracle{
		records: map[metadataPlace][]metadata.Record{},
		states:  map[checker.PartitionID]*checker.PartitionState{},
		brokers: map[int32]*checker.BrokerState{},
		topics:  map[checker.TopicID]string{},
		configs: map[string][]string{},
		nodes:   make([]metadataNode, nodes),
	}
}

const (
	metadataTopic = "__cluster_metadata"
	metadataDir   = logDir + "/" + metadataTopic + "-0"
)

// started takes note of a new life of a node.
func (m *metadataOracle) started(node int32) { m.nodes[node] = metadataNode{} }

// stepped takes in what a step did to a node's copy.
func (m *metadataOracle) stepped(o *Oracle, node int32, fx *core.Effects) {
	n := &m.nodes[node]
	for i := range fx.Reports {
		if r := &fx.Reports[i]; r.Kind == core.LogTruncated && r.Topic == metadataTopic {
			o.judge.MetadataTruncated(node, r.Offset, r.EndOffset)
		}
	}
	for i := range fx.Syncs {
		if dir, _ := split(fx.Syncs[i].File.Path); dir == metadataDir {
			m.find(o, node)
			n.log = fx.Syncs[i].Log
		}
	}
	if fx.Image != nil {
		m.find(o, node)
	}
	for i := range fx.Writes {
		w := &fx.Writes[i]
		if dir, _ := split(w.File.Path); dir != metadataDir {
			continue
		}
		m.find(o, node)
		m.read(w.Data, func(b *checker.Batch) { o.judge.MetadataAppended(node, *b) })
	}
	if fx.Image != nil {
		n.image = fx.Image
		m.committed(o, o.judge.MetadataApplied(node, n.image.Offset()+1))
	}
	for i := range fx.Reports { // others may be told of it before it is in an image
		if r := &fx.Reports[i]; r.Kind == core.MetadataHeld {
			m.committed(o, o.judge.MetadataCommitted(node, r.Offset+1))
		}
	}
}

// committed takes in batches that are committed now.
func (m *metadataOracle) committed(o *Oracle, batches []checker.Batch) {
	for _, b := range batches {
		for _, r := range m.records[metadataPlace{b.BaseOffset, b.LeaderEpoch}] {
			m.record(o, r)
		}
		o.judge.DecisionEnded()
	}
}

// synced takes in that a log of a node is durable.
func (m *metadataOracle) synced(o *Oracle, node int32, ev *core.SyncDone) {
	if n := &m.nodes[node]; n.found && n.log == ev.Log && ev.Err == nil {
		o.judge.MetadataSynced(node, ev.EndOffset)
	}
}

// find looks once in each life at what a node's disk has of the metadata log.
func (m *metadataOracle) find(o *Oracle, node int32) {
	n := &m.nodes[node]
	if n.found {
		return
	}
	n.found = true
	segments := o.world.Disk(node).segments(metadataDir)
	batches, durable, err := parseSegments(segments)
	if err != nil {
		o.judge.Report(checker.MetadataLog, "damage-kept", "node %d: after %d batches: %v",
			node, len(batches), err)
		return
	}
	for _, s := range segments {
		m.read(s.data, func(*checker.Batch) {})
	}
	o.judge.MetadataFound(node, batches, durable)
}

// read decodes batches of the metadata log.
func (m *metadataOracle) read(data []byte, each func(*checker.Batch)) {
	for len(data) > 0 {
		b, block, size, err := checker.ParseBatch(data)
		if err != nil {
			return // the judge of the bytes says so
		}
		at := metadataPlace{b.BaseOffset, b.LeaderEpoch}
		if _, known := m.records[at]; !known {
			m.records[at] = decodeMetadata(&b, data, block)
		}
		each(&b)
		data = data[size:]
	}
}

// decodeMetadata returns the records of a batch that an image is made of.
func decodeMetadata(b *checker.Batch, data, block []byte) []metadata.Record {
	if b.Control() {
		return nil
	}
	records, err := checker.ParseRecords(b, checker.BaseTimestamp(data), block)
	if err != nil {
		return nil
	}
	all := make([]metadata.Record, 0, len(records))
	for _, r := range records {
		if record, err := metadata.DecodeRecord(r.Value); err == nil {
			all = append(all, record)
		}
	}
	return all
}

// record folds one committed record.
func (m *metadataOracle) record(o *Oracle, r metadata.Record) {
	switch r.(type) {
	case *metadata.BeginTransactionRecord:
		m.inside = true
		return
	case *metadata.AbortTransactionRecord:
		m.inside, m.open = false, nil
		return
	case *metadata.EndTransactionRecord:
		open := m.open
		m.inside, m.open = false, nil
		for _, r := range open {
			m.record(o, r)
		}
		return
	default:
	}
	if m.inside {
		m.open = append(m.open, r)
		return
	}
	m.fold(o, r)
}

func (m *metadataOracle) fold(o *Oracle, r metadata.Record) {
	switch r := r.(type) {
	case *metadata.TopicRecord:
		m.topics[r.TopicID] = r.Name
		o.judge.TopicChanged(r.Name, r.TopicID)
	case *metadata.PartitionRecord:
		m.partition(o, r)
	case *metadata.PartitionChangeRecord:
		m.change(o, r)
	case *metadata.RemoveTopicRecord:
		m.remove(o, r.TopicID)
	case *metadata.ConfigRecord:
		m.config(o, r)
	case *metadata.RegisterBrokerRecord:
		m.broker(o, r.BrokerID, checker.BrokerState{
			ID: r.BrokerID, Epoch: r.BrokerEpoch, Fenced: r.Fenced,
			ShuttingDown: r.InControlledShutdown,
		})
	case *metadata.BrokerRegistrationChangeRecord:
		b := checker.BrokerState{ID: r.BrokerID, Epoch: r.BrokerEpoch}
		if known := m.brokers[r.BrokerID]; known != nil {
			b = *known
		}
		if r.Fenced != 0 {
			b.Fenced = r.Fenced > 0
		}
		b.ShuttingDown = b.ShuttingDown || r.InControlledShutdown > 0
		m.broker(o, r.BrokerID, b)
	case *metadata.ClearELRRecord:
		m.clearELR(o, r.TopicName)
	default:
	}
}

func (m *metadataOracle) remove(o *Oracle, id checker.TopicID) {
	name := m.topics[id]
	o.judge.TopicChanged(name, checker.TopicID{})
	for _, config := range m.configs[name] {
		o.judge.ConfigChanged(name, config, "")
	}
	delete(m.configs, name)
	delete(m.topics, id)
	o.judge.TopicGone(id)
}

func (m *metadataOracle) config(o *Oracle, r *metadata.ConfigRecord) {
	if r.ResourceType != metadata.TopicResource {
		return
	}
	value := ""
	if r.Value != nil {
		value = *r.Value
	}
	m.configs[r.ResourceName] = append(m.configs[r.ResourceName], r.Name)
	o.judge.ConfigChanged(r.ResourceName, r.Name, value)
}

func (m *metadataOracle) broker(o *Oracle, id int32, b checker.BrokerState) {
	m.brokers[id] = &b
	o.judge.BrokerChanged(b)
}

func (m *metadataOracle) partition(o *Oracle, r *metadata.PartitionRecord) {
	id := checker.PartitionID{Topic: r.TopicID, Index: r.PartitionID}
	s := &checker.PartitionState{
		Partition: id, Replicas: r.Replicas, ISR: r.ISR, ELR: r.EligibleLeaderReplicas,
		LastKnownELR: r.LastKnownELR, Adding: r.AddingReplicas, Removing: r.RemovingReplicas,
		Leader: r.Leader, LeaderEpoch: r.LeaderEpoch, PartitionEpoch: r.PartitionEpoch,
		Recovering: r.LeaderRecoveryState != 0,
	}
	m.states[id] = s
	o.meet(id, m.topics[r.TopicID])
	o.judge.PartitionChanged(s)
}

func (m *metadataOracle) change(o *Oracle, r *metadata.PartitionChangeRecord) {
	id := checker.PartitionID{Topic: r.TopicID, Index: r.PartitionID}
	s := m.states[id]
	if s == nil {
		o.judge.Report(checker.MetadataLog, "unknown-partition",
			"a change of partition %d of the topic %x", r.PartitionID, r.TopicID)
		return
	}
	s.PartitionEpoch++
	if r.Leader != metadata.NoLeaderChange {
		s.Leader = r.Leader
		s.LeaderEpoch++
	}
	if r.LeaderRecoveryState != metadata.NoRecoveryStateChange {
		s.Recovering = r.LeaderRecoveryState != 0
	}
	for _, f := range []struct {
		field *[]int32
		value []int32
	}{
		{&s.Replicas, r.Replicas},
		{&s.ISR, r.ISR},
		{&s.Removing, r.RemovingReplicas},
		{&s.Adding, r.AddingReplicas},
		{&s.ELR, r.EligibleLeaderReplicas},
		{&s.LastKnownELR, r.LastKnownELR},
	} {
		if f.value != nil {
			*f.field = f.value
		}
	}
	o.judge.PartitionChanged(s)
}

// clearELR makes a topic's replicas eligible no more, or those of all topics. It is no
// change of the partitions.
func (m *metadataOracle) clearELR(o *Oracle, topic string) {
	for id, s := range m.states { // each by itself, in any order
		if topic == "" || m.topics[id.Topic] == topic {
			s.ELR, s.LastKnownELR = nil, nil
			o.judge.EligibleCleared(id)
		}
	}
}

// saw tells what a node's image says of the copies that the node is to have: once before
// what the node did in the same step, which may rest on what it knew before, and once after.
func (m *metadataOracle) saw(o *Oracle, node int32, fx *core.Effects, after bool) {
	if fx.Image == nil {
		return
	}
	for t := range fx.Image.Topics() {
		for i := range t.Partitions {
			p := &t.Partitions[i]
			if !slices.Contains(p.Replicas, node) {
				continue
			}
			part := checker.PartitionID{Topic: t.ID, Index: int32(i)}
			id := checker.ReplicaID{PartitionID: part, Node: node}
			if minISR := int(t.Config.MinInsyncReplicas); after {
				o.judge.Saw(id, p.PartitionEpoch, minISR)
			} else {
				o.judge.Foresees(id, minISR)
			}
		}
	}
}
