package metadata

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/invariant"
)

// Delta is what changed between two images. Topics are in the order of names,
// those of one name in the order of ids; partitions follow their topics. Topics
// that were created and deleted in between are not mentioned.
type Delta struct {
	Created    []*Topic
	Deleted    []*Topic         // as they were last
	Partitions []PartitionDelta // new ones, also of Created, and changed ones
	Configured []*Topic         // not Created, with another Config
	Resources  []Resource       // not topics, with other entries; as they are now
	Brokers    []int32          // registered, changed or unregistered; rising
	Features   bool
	NodeConfig bool // Image.Config changed
}

// PartitionDelta says what changed of a partition.
type PartitionDelta struct {
	Topic    *Topic
	Index    int32
	New      bool
	Leader   bool // another leader, or the same with another epoch
	Replicas bool // other replicas, in-sync or eligible replicas, or directories
}

// Apply returns the image after more records, and what they changed. Records must
// be complete decisions: a fold of one decision in two halves shows the first half.
// It decides nothing; a record that contradicts the image is a bug of its author.
func (m *Image) Apply(records []Record) (*Image, *Delta) {
	next := *m
	b := builder{m: &next, before: m, own: fresh[*Topic]{}}
	for _, r := range records {
		b.record(r)
	}
	next.offset += int64(len(records))
	b.close()
	if b.nodeEntries {
		b.configureNode()
	}
	return &next, b.finish()
}

// builder folds records into an image of its own.
type builder struct {
	m      *Image
	before *Image
	topic  *Topic // the topic being changed: a copy not yet in the indexes
	fresh  bool   // topic has no forerunner in the indexes
	own    fresh[*Topic]

	created     []ID
	deleted     []*Topic
	partitions  []partitionMark
	overridden  []ID
	resources   []Resource // type and name
	brokers     []int32
	features    bool
	nodeEntries bool
}

type partitionMark struct {
	id                    ID
	index                 int32
	new, leader, replicas bool
}

// record folds one record, or keeps it while a transaction is open.
func (b *builder) record(r Record) {
	_, begins := r.(*BeginTransactionRecord)
	_, ends := r.(*EndTransactionRecord)
	_, aborts := r.(*AbortTransactionRecord)
	invariant.True(!begins || !b.m.inTransaction, "metadata transactions do not nest")
	if b.m.inTransaction && !ends && !aborts {
		b.m.open = append(slices.Clip(b.m.open), r)
		return
	}
	b.fold(r)
}

func (b *builder) fold(r Record) {
	switch r := r.(type) {
	case *RegisterBrokerRecord:
		b.registerBroker(r)
	case *UnregisterBrokerRecord:
		b.unregisterBroker(r)
	case *BrokerRegistrationChangeRecord:
		b.changeRegistration(r)
	case *TopicRecord:
		b.createTopic(r)
	case *PartitionRecord:
		b.addPartition(r)
	case *PartitionChangeRecord:
		b.changePartition(r)
	case *RemoveTopicRecord:
		b.removeTopic(r)
	case *ConfigRecord:
		b.configure(r)
	case *FeatureLevelRecord:
		b.setFeature(r)
	case *ProducerIDsRecord:
		b.m.nextProducerID = r.NextProducerID
	case *ClearELRRecord:
		b.clearELR(r)
	case *NoOpRecord:
	case *BeginTransactionRecord:
		b.m.inTransaction = true
	case *EndTransactionRecord:
		open := b.m.open
		b.m.inTransaction, b.m.open = false, nil
		for _, r := range open {
			b.fold(r)
		}
	case *AbortTransactionRecord:
		b.m.inTransaction, b.m.open = false, nil
	}
}

// open makes the topic of an id the one being changed.
func (b *builder) open(id ID) *Topic {
	if b.topic != nil && b.topic.ID == id {
		return b.topic
	}
	b.close()
	t := b.m.TopicByID(id)
	if t == nil {
		invariant.Fail("a metadata record is about the unknown topic %x", id)
	}
	own := *t
	own.Partitions = slices.Clone(t.Partitions)
	b.topic, b.fresh = &own, false
	return b.topic
}

// close puts the topic being changed into the indexes.
func (b *builder) close() {
	t := b.topic
	if t == nil {
		return
	}
	b.topic = nil
	t.Partitions = slices.Clip(t.Partitions)
	if !b.fresh {
		b.m.partitions -= len(b.m.TopicByID(t.ID).Partitions)
	}
	b.m.partitions += len(t.Partitions)
	// An override that does not fit was accepted under another broker
	// configuration or by other software; the topic goes by the rest.
	t.Config, _ = b.m.effective.Topic(t.Overrides)
	b.put(t)
}

func (b *builder) put(t *Topic) {
	b.m.topics = put(b.m.topics, t.Name, t, byName, b.own)
	b.m.ids = put(b.m.ids, t.ID, t, byID, b.own)
	if hasCollisionChars(t.Name) {
		b.m.unified = put(b.m.unified, collisionKeyOf(t), t, byUnified, b.own)
	}
}

func collisionKeyOf(t *Topic) collisionKey {
	return collisionKey{unified: t.unified, name: t.Name}
}

func (b *builder) createTopic(r *TopicRecord) {
	b.close()
	if b.m.Topic(r.Name) != nil || b.m.TopicByID(r.TopicID) != nil {
		invariant.Fail("the new topic %s exists", r.Name)
	}
	b.topic, b.fresh = &Topic{Name: r.Name, ID: r.TopicID, unified: unify(r.Name)}, true
	b.created = append(b.created, r.TopicID)
}

func (b *builder) addPartition(r *PartitionRecord) {
	t := b.open(r.TopicID)
	if int(r.PartitionID) != len(t.Partitions) {
		invariant.Fail("topic %s has %d partitions, the next is not %d",
			t.Name, len(t.Partitions), r.PartitionID)
	}
	t.Partitions = append(t.Partitions, Partition{
		Replicas: some(r.Replicas), ISR: some(r.ISR),
		RemovingReplicas: some(r.RemovingReplicas), AddingReplicas: some(r.AddingReplicas),
		Directories: some(r.Directories),
		ELR:         some(r.EligibleLeaderReplicas), LastKnownELR: some(r.LastKnownELR),
		Leader: r.Leader, LeaderEpoch: r.LeaderEpoch, PartitionEpoch: r.PartitionEpoch,
		RecoveryState: r.LeaderRecoveryState,
	})
	b.partitions = append(b.partitions, partitionMark{
		id: r.TopicID, index: r.PartitionID, new: true, leader: true, replicas: true,
	})
}

// some returns list, or nil if it is empty: an Image has one form of nothing.
func some[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

func (b *builder) changePartition(r *PartitionChangeRecord) {
	t := b.open(r.TopicID)
	if r.PartitionID < 0 || int(r.PartitionID) >= len(t.Partitions) {
		invariant.Fail("topic %s has no partition %d", t.Name, r.PartitionID)
	}
	p := &t.Partitions[r.PartitionID]
	mark := partitionMark{id: r.TopicID, index: r.PartitionID}
	p.PartitionEpoch++
	if r.Leader != NoLeaderChange {
		p.Leader = r.Leader
		p.LeaderEpoch++
		mark.leader = true
	}
	if r.LeaderRecoveryState != NoRecoveryStateChange {
		p.RecoveryState = r.LeaderRecoveryState
	}
	for _, f := range []struct {
		field *[]int32
		value []int32
	}{
		{&p.Replicas, r.Replicas},
		{&p.ISR, r.ISR},
		{&p.RemovingReplicas, r.RemovingReplicas},
		{&p.AddingReplicas, r.AddingReplicas},
		{&p.ELR, r.EligibleLeaderReplicas},
		{&p.LastKnownELR, r.LastKnownELR},
	} {
		if f.value != nil {
			*f.field = some(f.value)
			mark.replicas = true
		}
	}
	if r.Directories != nil {
		p.Directories = some(r.Directories)
		mark.replicas = true
	}
	b.partitions = append(b.partitions, mark)
}

// clearELR forgets the eligible leader replicas. It is no change of the partitions:
// their epochs stay.
func (b *builder) clearELR(r *ClearELRRecord) {
	b.close()
	var topics []*Topic
	if t := b.m.Topic(r.TopicName); t != nil {
		topics = append(topics, t)
	}
	if r.TopicName == "" {
		topics = slices.Collect(b.m.Topics())
	}
	for _, t := range topics {
		for i := range t.Partitions {
			if p := &t.Partitions[i]; p.ELR == nil && p.LastKnownELR == nil {
				continue
			}
			own := &b.open(t.ID).Partitions[i]
			own.ELR, own.LastKnownELR = nil, nil
			b.partitions = append(b.partitions,
				partitionMark{id: t.ID, index: int32(i), replicas: true})
		}
	}
}

func (b *builder) removeTopic(r *RemoveTopicRecord) {
	b.close()
	t := b.m.TopicByID(r.TopicID)
	if t == nil {
		invariant.Fail("the removed topic %x does not exist", r.TopicID)
	}
	b.m.partitions -= len(t.Partitions)
	b.m.topics = drop(b.m.topics, t.Name, byName)
	b.m.ids = drop(b.m.ids, t.ID, byID)
	if hasCollisionChars(t.Name) {
		b.m.unified = drop(b.m.unified, collisionKeyOf(t), byUnified)
	}
	b.deleted = append(b.deleted, t)
}

func (b *builder) configure(r *ConfigRecord) {
	if r.ResourceType == TopicResource {
		b.configureTopic(r)
		return
	}
	key := Resource{Type: r.ResourceType, Name: r.ResourceName}
	entries := changed(b.m.Configs(r.ResourceType, r.ResourceName), r)
	i, ok := slices.BinarySearchFunc(b.m.resources, key, byResource)
	resources := slices.Clone(b.m.resources)
	switch {
	case ok && len(entries) == 0:
		resources = slices.Delete(resources, i, i+1)
	case ok:
		resources[i].Entries = entries
	case len(entries) > 0:
		resources = slices.Insert(resources, i,
			Resource{Type: key.Type, Name: key.Name, Entries: entries})
	}
	b.m.resources = resources
	b.resources = append(b.resources, key)
	if key.Type == BrokerResource && (key.Name == "" || key.Name == b.m.nodeName()) {
		b.nodeEntries = true
	}
}

// configureTopic sets a topic's override. Removing a topic removes its overrides,
// so a record about a topic that is not there has nothing to set.
func (b *builder) configureTopic(r *ConfigRecord) {
	if b.topic == nil || b.topic.Name != r.ResourceName {
		b.close()
		t := b.m.Topic(r.ResourceName)
		if t == nil {
			return
		}
		b.open(t.ID)
	}
	b.topic.Overrides = changed(b.topic.Overrides, r)
	b.overridden = append(b.overridden, b.topic.ID)
}

func changed(entries []config.Entry, r *ConfigRecord) []config.Entry {
	if r.Value == nil {
		return config.Without(entries, r.Name)
	}
	return config.With(entries, r.Name, *r.Value)
}

func (b *builder) registerBroker(r *RegisterBrokerRecord) {
	b.putBroker(&Broker{
		Rack: r.Rack, Endpoints: some(r.EndPoints), Features: some(r.Features),
		LogDirs: some(r.LogDirs), CordonedLogDirs: some(r.CordonedLogDirs),
		Epoch: r.BrokerEpoch, Incarnation: r.IncarnationID, ID: r.BrokerID,
		Fenced: r.Fenced, InControlledShutdown: r.InControlledShutdown,
	})
}

func (b *builder) putBroker(broker *Broker) {
	i, ok := slices.BinarySearchFunc(b.m.brokers, broker.ID, byBrokerID)
	brokers := slices.Clone(b.m.brokers)
	if ok {
		brokers[i] = broker
	} else {
		brokers = slices.Insert(brokers, i, broker)
	}
	b.m.brokers = brokers
	b.brokers = append(b.brokers, broker.ID)
}

func (b *builder) unregisterBroker(r *UnregisterBrokerRecord) {
	b.m.brokers = slices.DeleteFunc(slices.Clone(b.m.brokers), func(o *Broker) bool {
		return o.ID == r.BrokerID
	})
	b.brokers = append(b.brokers, r.BrokerID)
}

func (b *builder) changeRegistration(r *BrokerRegistrationChangeRecord) {
	old := b.m.Broker(r.BrokerID)
	if old == nil || old.Epoch != r.BrokerEpoch {
		invariant.Fail("broker %d is not registered with epoch %d", r.BrokerID, r.BrokerEpoch)
	}
	broker := *old
	if r.Fenced != 0 {
		broker.Fenced = r.Fenced > 0
	}
	if r.InControlledShutdown != 0 {
		broker.InControlledShutdown = true
	}
	if len(r.LogDirs) > 0 {
		broker.LogDirs = r.LogDirs
	}
	if r.CordonedLogDirs != nil {
		broker.CordonedLogDirs = some(r.CordonedLogDirs)
	}
	b.putBroker(&broker)
}

func (b *builder) setFeature(r *FeatureLevelRecord) {
	i, ok := slices.BinarySearchFunc(b.m.features, r.Name, byFeature)
	features := slices.Clone(b.m.features)
	switch {
	case ok && r.FeatureLevel == 0:
		features = slices.Delete(features, i, i+1)
	case ok:
		features[i].Level = r.FeatureLevel
	case r.FeatureLevel != 0:
		features = slices.Insert(features, i, Feature{Name: r.Name, Level: r.FeatureLevel})
	}
	b.m.features = features
	b.features = true
}

// configureNode lays the cluster's dynamic values over the node's own, and computes
// the configuration of all topics anew.
func (b *builder) configureNode() {
	node := b.m.Configs(BrokerResource, b.m.nodeName())
	cluster := b.m.Configs(BrokerResource, "")
	// A value that does not fit is left out: it was accepted by other software.
	b.m.effective, _ = b.m.base.WithDynamic(node, cluster)
	all := make([]*Topic, 0, b.m.topics.n)
	for t := range b.m.Topics() {
		all = append(all, t)
	}
	for _, t := range all {
		c, _ := b.m.effective.Topic(t.Overrides)
		own := *t
		own.Config = c
		b.put(&own)
	}
}

// finish returns what changed, in order.
func (b *builder) finish() *Delta {
	d := &Delta{Features: b.features, NodeConfig: b.nodeEntries}
	for _, id := range b.created {
		if t := b.m.TopicByID(id); t != nil {
			d.Created = append(d.Created, t)
		}
	}
	for _, t := range b.deleted {
		if b.before.TopicByID(t.ID) != nil {
			d.Deleted = append(d.Deleted, t)
		}
	}
	slices.SortFunc(d.Created, compareTopics)
	slices.SortFunc(d.Deleted, compareTopics)
	b.finishPartitions(d)
	b.finishConfigs(d)
	slices.Sort(b.brokers)
	d.Brokers = slices.Compact(b.brokers)
	return d
}

func (b *builder) finishPartitions(d *Delta) {
	for _, mark := range b.partitions {
		if t := b.m.TopicByID(mark.id); t != nil {
			d.Partitions = append(d.Partitions, PartitionDelta{
				Topic: t, Index: mark.index,
				New: mark.new, Leader: mark.leader, Replicas: mark.replicas,
			})
		}
	}
	slices.SortStableFunc(d.Partitions, func(x, y PartitionDelta) int {
		return cmp.Or(compareTopics(x.Topic, y.Topic), cmp.Compare(x.Index, y.Index))
	})
	merged := d.Partitions[:0]
	for _, p := range d.Partitions {
		if n := len(merged); n > 0 && merged[n-1].Topic == p.Topic && merged[n-1].Index == p.Index {
			last := &merged[n-1]
			last.New = last.New || p.New
			last.Leader = last.Leader || p.Leader
			last.Replicas = last.Replicas || p.Replicas
			continue
		}
		merged = append(merged, p)
	}
	d.Partitions = merged
}

func (b *builder) finishConfigs(d *Delta) {
	slices.SortFunc(b.resources, byResource)
	for _, r := range slices.CompactFunc(b.resources, func(x, y Resource) bool {
		return byResource(x, y) == 0
	}) {
		r.Entries = b.m.Configs(r.Type, r.Name)
		d.Resources = append(d.Resources, r)
	}
	consider := func(t *Topic) {
		if old := b.before.TopicByID(t.ID); old != nil && *old.Config != *t.Config {
			d.Configured = append(d.Configured, t)
		}
	}
	if b.nodeEntries {
		for t := range b.m.Topics() {
			consider(t)
		}
		return
	}
	slices.SortFunc(b.overridden, func(x, y ID) int { return bytes.Compare(x[:], y[:]) })
	for _, id := range slices.Compact(b.overridden) {
		if t := b.m.TopicByID(id); t != nil {
			consider(t)
		}
	}
	slices.SortFunc(d.Configured, compareTopics)
}

func compareTopics(x, y *Topic) int {
	return cmp.Or(cmp.Compare(x.Name, y.Name), bytes.Compare(x.ID[:], y.ID[:]))
}
