package controller

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/mutant"
)

const modelBrokers = 4

// holding is what a model knows of a partition that no record says: who holds all that
// was committed.
type holding struct {
	complete map[int32]bool
}

// model is a cluster of brokers that do what brokers do, and what they should not.
type model struct {
	c        *Controller
	options  Options
	now      clock.Instant
	decoded  *metadata.Image // folded from bytes
	epochs   map[int32]int64 // highest broker epoch ever
	ids      int
	before   *metadata.Image // before the last decision
	joined   []int32         // whom a leader has found in sync with this decision
	holdings map[partitionKey]*holding
}

func newModel(t *rapid.T, mutants mutant.Set) *model {
	base, _, err := config.Parse(nil)
	require.NoError(t, err)
	m := &model{epochs: map[int32]int64{}, holdings: map[partitionKey]*holding{}}
	m.options = Options{ClusterID: "cluster", Features: scriptFeatures(), Mutants: mutants}
	m.decoded = metadata.New(base)
	m.c = New(m.decoded, m.options)
	levels := []metadata.Feature{{Name: metadata.MetadataVersion, Level: 30}}
	if rapid.Bool().Draw(t, "elr") {
		levels = append(levels,
			metadata.Feature{Name: metadata.EligibleLeaderReplicaVersion, Level: 1})
	}
	m.decide(t, m.c.Bootstrap(levels))
	for id := int32(1); id <= modelBrokers; id++ {
		m.start(t, id, false)
		m.beat(t, id, nil)
	}
	m.create(t)
	return m
}

// decide carries a decision out, as a batch of bytes as well, and checks the outcome.
func (m *model) decide(t *rapid.T, records []metadata.Record) {
	m.before = m.c.Image()
	decoded := make([]metadata.Record, len(records))
	for i, r := range records {
		var err error
		decoded[i], err = metadata.DecodeRecord(metadata.AppendRecord(nil, r))
		require.NoError(t, err)
	}
	m.c.Replay(records)
	m.decoded, _ = m.decoded.Apply(decoded)
	requireSame(t, m.c.Image(), m.decoded)
	m.check(t)
}

func (m *model) elr() bool {
	return m.c.Image().Feature(metadata.EligibleLeaderReplicaVersion) > 0
}

// check tells what is true after every decision.
func (m *model) check(t *rapid.T) {
	image := m.c.Image()
	for _, b := range image.Brokers() {
		require.GreaterOrEqual(t, b.Epoch, m.epochs[b.ID], "broker epochs rise")
		if old := m.before.Broker(b.ID); old != nil && old.Incarnation != b.Incarnation {
			require.Greater(t, b.Epoch, m.epochs[b.ID], "a new life has a higher epoch")
		}
		m.epochs[b.ID] = b.Epoch
	}
	for topic := range image.Topics() {
		for i := range topic.Partitions {
			m.checkPartition(t, topic, int32(i))
		}
	}
}

func (m *model) checkPartition(t *rapid.T, topic *metadata.Topic, index int32) {
	p := &topic.Partitions[index]
	require.Equal(t, len(p.Replicas), len(p.Directories))
	require.Len(t, slices.Compact(sorted(p.Replicas)), len(p.Replicas), "replicas are distinct")
	require.Len(t, slices.Compact(sorted(p.ISR)), len(p.ISR), "who is in sync is distinct")
	for _, list := range [][]int32{
		p.ISR, p.ELR, p.LastKnownELR, p.AddingReplicas, p.RemovingReplicas,
	} {
		require.Subset(t, p.Replicas, list)
	}
	for _, id := range p.ISR {
		require.NotContains(t, p.ELR, id, "who is in sync is not merely eligible")
	}
	if p.Leader != noLeader {
		require.Contains(t, p.ISR, p.Leader, "the leader is in sync")
		require.True(t, m.c.asIs().acceptable(p, p.Leader), "the leader can lead")
		require.Empty(t, p.LastKnownELR)
	}
	if !m.elr() {
		require.NotEmpty(t, p.ISR)
		require.Empty(t, p.ELR)
	}
	needed := min(int(topic.Config.MinInsyncReplicas), len(p.Replicas))
	if len(p.ISR) >= needed {
		require.Empty(t, p.ELR, "nobody is eligible while the high watermark may rise")
	}
	if p.Leader == noLeader {
		for _, id := range p.Replicas {
			eligible := slices.Contains(p.ISR, id) || len(p.ISR) == 0 && slices.Contains(p.ELR, id)
			if eligible {
				require.False(t, m.c.asIs().acceptable(p, id), "who can lead leads")
			}
		}
	}
	if old := m.before.TopicByID(topic.ID); old != nil {
		m.checkChange(t, &old.Partitions[index], p)
	}
	m.checkHolding(t, partitionKey{topic.ID, index}, p, needed)
}

// checkChange tells what is true between two images.
func (m *model) checkChange(t *rapid.T, old, p *metadata.Partition) {
	if old.Leader != p.Leader {
		require.Greater(t, p.LeaderEpoch, old.LeaderEpoch, "another leader has another epoch")
	}
	if !containsAll(p.Replicas, old.Replicas) {
		require.Greater(t, p.LeaderEpoch, old.LeaderEpoch, "who leaves is fenced by the epoch")
	}
	require.GreaterOrEqual(t, p.LeaderEpoch, old.LeaderEpoch)
	require.LessOrEqual(t, p.PartitionEpoch-old.PartitionEpoch, int32(1), "one change at a time")
	require.GreaterOrEqual(t, p.PartitionEpoch-old.PartitionEpoch, p.LeaderEpoch-old.LeaderEpoch)
	if p.PartitionEpoch == old.PartitionEpoch {
		same := *old
		require.Equal(t, same, *p, "every change has an epoch")
	}
	for _, id := range p.ISR {
		b := m.c.Image().Broker(id)
		if !slices.Contains(old.ISR, id) && p.RecoveryState != recovering && m.elr() {
			require.True(t, b != nil && b.Active(), "only active brokers join")
		}
	}
	if p.Leader == noLeader || p.Leader == old.Leader || p.RecoveryState == recovering {
		return
	}
	gone := len(withoutAll(old.ISR, p.ISR)) == len(old.ISR)
	require.True(t, slices.Contains(old.ISR, p.Leader) || slices.Contains(m.joined, p.Leader) ||
		gone && slices.Contains(old.ELR, p.Leader), "who was not eligible leads uncleanly")
}

// checkHolding follows who holds everything that was committed. Everyone in sync does.
// Once min.insync.replicas are in sync nobody else does, for the high watermark may
// rise without them.
func (m *model) checkHolding(t *rapid.T, key partitionKey, p *metadata.Partition, needed int) {
	h := m.holdings[key]
	if h == nil {
		h = &holding{complete: map[int32]bool{}}
		m.holdings[key] = h
	}
	if old := m.before.TopicByID(key.topic); old != nil &&
		old.Partitions[key.index].PartitionEpoch != p.PartitionEpoch {
		for _, id := range m.joined {
			h.complete[id] = true
		}
	}
	if p.RecoveryState == recovering {
		clear(h.complete) // what was committed is what the leader has
	} else if m.elr() {
		for _, id := range p.ELR {
			require.True(t, h.complete[id], "who is eligible holds all that was committed")
		}
		if p.Leader != noLeader && len(h.complete) > 0 {
			old := m.before.TopicByID(key.topic)
			if old != nil && old.Partitions[key.index].Leader != p.Leader {
				require.True(t, h.complete[p.Leader], "who is elected holds all that was committed")
			}
		}
	}
	if len(p.ISR) >= needed {
		clear(h.complete)
	}
	for _, id := range p.ISR {
		h.complete[id] = true
	}
}

// start registers a broker with a new incarnation; clean proves that nothing was lost.
func (m *model) start(t *rapid.T, id int32, clean bool) {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version, req.BrokerID, req.ClusterID = 4, id, "cluster"
	m.ids++
	req.IncarnationID = scriptID(1000 + m.ids)
	req.LogDirs = []metadata.ID{scriptID(100 + 2*int(id)), scriptID(101 + 2*int(id))}
	req.PreviousBrokerEpoch = -1
	old := m.c.Image().Broker(id)
	if clean && old != nil {
		req.PreviousBrokerEpoch = old.Epoch
	}
	for _, f := range scriptFeatures() {
		req.Features = append(req.Features, kmsg.BrokerRegistrationRequestFeature{
			Name: f.Name, MinSupportedVersion: f.MinSupportedVersion,
			MaxSupportedVersion: f.MaxSupportedVersion,
		})
	}
	result := m.c.BrokerRegistration(m.now, req)
	if result.Response.ErrorCode != 0 {
		require.Equal(t, errcode.DuplicateBrokerRegistration, errcode.Code(result.Response.ErrorCode))
		require.True(t, m.c.live(old, m.now))
		require.Empty(t, result.Records)
		return
	}
	if !clean {
		// In any order.
		for _, h := range m.holdings {
			if m.elr() {
				delete(h.complete, id)
			}
		}
	}
	m.decide(t, result.Records)
	b := m.c.Image().Broker(id)
	require.Equal(t, b.Epoch, result.Response.BrokerEpoch)
	require.True(t, b.Fenced, "a new life begins fenced")
	if m.elr() {
		for topic := range m.c.Image().Topics() {
			for _, p := range topic.Partitions {
				require.NotContains(t, p.ISR, id, "a new life is in sync nowhere")
				if !clean {
					require.NotContains(t, p.ELR, id, "who may have lost its tail is not eligible")
				}
			}
		}
	}
}

// beat sends a heartbeat; edit changes it from what a well broker sends.
func (m *model) beat(t *rapid.T, id int32, edit func(*kmsg.BrokerHeartbeatRequest)) {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.Version, req.BrokerID = 1, id
	b := m.c.Image().Broker(id)
	if b == nil {
		return
	}
	req.BrokerEpoch, req.CurrentMetadataOffset = b.Epoch, m.c.Image().Offset()
	if edit != nil {
		edit(req)
	}
	result := m.c.BrokerHeartbeat(m.now, req)
	if req.BrokerEpoch != b.Epoch {
		require.Equal(t, errcode.StaleBrokerEpoch, errcode.Code(result.Response.ErrorCode))
		require.Empty(t, result.Records)
		return
	}
	m.decide(t, result.Records)
	after := m.c.Image().Broker(id)
	require.Equal(t, result.Response.IsFenced, after.Fenced)
	if b.Fenced && !after.Fenced {
		require.GreaterOrEqual(t, req.CurrentMetadataOffset, b.Epoch,
			"who is unfenced has read its registration")
	}
	if result.Response.ShouldShutdown {
		require.False(t, m.c.leads(id), "who may stop leads nothing")
	}
}

func (m *model) create(t *rapid.T) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 7
	q := kmsg.NewCreateTopicsRequestTopic()
	q.Topic, q.NumPartitions, q.ReplicationFactor = fmt.Sprintf("t%d", m.ids), 2, 3
	for _, c := range [][2]string{
		{minISRConfig, fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "min"))},
		{"unclean.leader.election.enable", fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "unclean") == 0)},
	} {
		q.Configs = append(q.Configs,
			kmsg.CreateTopicsRequestTopicConfig{Name: c[0], Value: &c[1]})
	}
	req.Topics = append(req.Topics, q)
	result := m.c.CreateTopics(req, func() metadata.ID {
		m.ids++
		return scriptID(m.ids)
	}, rapid.Uint32().Draw(t, "seed"))
	m.decide(t, result.Records)
}

// partition draws a partition; nil if there is none.
func (m *model) partition(t *rapid.T) (*metadata.Topic, int32) {
	all := slices.Collect(m.c.Image().Topics())
	if len(all) == 0 {
		t.Skip("no topics")
	}
	topic := rapid.SampledFrom(all).Draw(t, "topic")
	return topic, int32(rapid.IntRange(0, len(topic.Partitions)-1).Draw(t, "partition"))
}

// alterPartition sends what a leader wants, of now or of a while ago.
func (m *model) alterPartition(t *rapid.T) {
	topic, index := m.partition(t)
	p := &topic.Partitions[index]
	sender := p.Leader
	if rapid.IntRange(0, 9).Draw(t, "another sender") == 0 {
		sender = int32(rapid.IntRange(1, modelBrokers).Draw(t, "sender"))
	}
	b := m.c.Image().Broker(sender)
	if b == nil {
		return
	}
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version, req.BrokerID, req.BrokerEpoch = 3, b.ID, b.Epoch
	q := kmsg.NewAlterPartitionRequestTopicPartition()
	q.Partition, q.LeaderEpoch, q.PartitionEpoch = index, p.LeaderEpoch, p.PartitionEpoch
	switch rapid.IntRange(0, 9).Draw(t, "stale") {
	case 0:
		req.BrokerEpoch--
	case 1:
		q.LeaderEpoch += int32(rapid.SampledFrom([]int{-1, 1}).Draw(t, "leader epoch"))
	case 2:
		q.PartitionEpoch += int32(rapid.SampledFrom([]int{-1, 1}).Draw(t, "partition epoch"))
	}
	for _, id := range p.Replicas {
		if id != sender && !rapid.Bool().Draw(t, "in sync") {
			continue
		}
		member := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
		member.BrokerID, member.BrokerEpoch = id, -1
		if other := m.c.Image().Broker(id); other != nil && rapid.Bool().Draw(t, "with epoch") {
			member.BrokerEpoch = other.Epoch
		}
		q.NewEpochISR = append(q.NewEpochISR, member)
	}
	req.Topics = append(req.Topics, kmsg.AlterPartitionRequestTopic{
		TopicID: topic.ID, Partitions: []kmsg.AlterPartitionRequestTopicPartition{q},
	})
	result := m.c.AlterPartition(req)
	if req.BrokerEpoch != b.Epoch {
		require.Equal(t, errcode.StaleBrokerEpoch, errcode.Code(result.Response.ErrorCode))
		require.Empty(t, result.Records)
		return
	}
	answer := result.Response.Topics[0].Partitions[0]
	code := errcode.Code(answer.ErrorCode)
	if q.PartitionEpoch != p.PartitionEpoch || q.LeaderEpoch != p.LeaderEpoch || sender != p.Leader {
		require.NotEqual(t, errcode.None, code, "a stale wish changes nothing")
		require.Empty(t, result.Records)
	}
	for _, member := range q.NewEpochISR {
		m.joined = append(m.joined, member.BrokerID)
	}
	m.decide(t, result.Records)
	m.joined = nil
	if code != errcode.None && code != errcode.NewLeaderElected {
		require.Empty(t, result.Records)
		return
	}
	next := &m.c.Image().TopicByID(topic.ID).Partitions[index]
	if code == errcode.NewLeaderElected {
		require.NotEqual(t, sender, next.Leader)
		return
	}
	require.Equal(t, []any{answer.LeaderID, answer.LeaderEpoch, answer.PartitionEpoch, answer.ISR},
		[]any{next.Leader, next.LeaderEpoch, next.PartitionEpoch, next.ISR})
	for _, id := range next.ISR {
		require.True(t, m.c.Image().Broker(id).Active(), "only active brokers are put in sync")
	}
}

func (m *model) reassign(t *rapid.T) {
	topic, index := m.partition(t)
	q := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	q.Partition = index
	if rapid.IntRange(0, 3).Draw(t, "cancel") > 0 {
		q.Replicas = rapid.SliceOfNDistinct(rapid.Int32Range(1, modelBrokers), 1, 3,
			rapid.ID[int32]).Draw(t, "target")
	}
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.Version = 1
	req.Topics = append(req.Topics, kmsg.AlterPartitionAssignmentsRequestTopic{
		Topic: topic.Name, Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{q},
	})
	m.decide(t, m.c.AlterPartitionReassignments(req).Records)
}

func (m *model) elect(t *rapid.T) {
	req := kmsg.NewPtrElectLeadersRequest()
	req.Version, req.ElectionType = 2, int8(rapid.IntRange(0, 1).Draw(t, "kind"))
	m.decide(t, m.c.ElectLeaders(req).Records)
}

// configure changes what elections and eligibility depend on.
func (m *model) configure(t *rapid.T) {
	topic, _ := m.partition(t)
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	q := kmsg.NewIncrementalAlterConfigsRequestResource()
	q.ResourceType, q.ResourceName = kmsg.ConfigResourceTypeTopic, topic.Name
	if rapid.IntRange(0, 3).Draw(t, "all topics") == 0 {
		q.ResourceType, q.ResourceName = kmsg.ConfigResourceTypeBroker, ""
	}
	name, value := minISRConfig, fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "min"))
	if rapid.IntRange(0, 3).Draw(t, "which") == 0 {
		name = "unclean.leader.election.enable"
		value = fmt.Sprint(rapid.Bool().Draw(t, "unclean"))
	}
	q.Configs = append(q.Configs, kmsg.IncrementalAlterConfigsRequestResourceConfig{
		Name: name, Value: &value,
	})
	if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
		q.Configs[0].Op = kmsg.IncrementalAlterConfigOpDelete
	}
	req.Resources = append(req.Resources, q)
	m.decide(t, m.c.IncrementalAlterConfigs(req).Records)
}

// toggle switches the use of eligible leader replicas on or off.
func (m *model) toggle(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "really") > 0 {
		return
	}
	req := kmsg.NewPtrUpdateFeaturesRequest()
	req.Version = 2
	u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
	u.Feature, u.MaxVersionLevel, u.UpgradeType = metadata.EligibleLeaderReplicaVersion, 1, upgrade
	if m.elr() {
		u.MaxVersionLevel, u.UpgradeType = 0, safeDowngrade
	}
	req.FeatureUpdates = append(req.FeatureUpdates, u)
	m.decide(t, m.c.UpdateFeatures(req).Records)
}

func (m *model) assign(t *rapid.T) {
	topic, index := m.partition(t)
	p := &topic.Partitions[index]
	b := m.c.Image().Broker(rapid.SampledFrom(p.Replicas).Draw(t, "replica"))
	if b == nil {
		return
	}
	req := kmsg.NewPtrAssignReplicasToDirsRequest()
	req.BrokerID, req.BrokerEpoch = b.ID, b.Epoch
	dir := scriptID(100 + 2*int(b.ID) + rapid.IntRange(0, 1).Draw(t, "directory"))
	req.Directories = append(req.Directories, kmsg.AssignReplicasToDirsRequestDirectory{
		ID: dir,
		Topics: []kmsg.AssignReplicasToDirsRequestDirectoryTopic{{
			TopicID:    topic.ID,
			Partitions: []kmsg.AssignReplicasToDirsRequestDirectoryTopicPartition{{Partition: index}},
		}},
	})
	m.decide(t, m.c.AssignReplicasToDirs(req).Records)
}

// allocate gives a broker, or one of an earlier life, producer ids.
func (m *model) allocate(t *rapid.T) {
	b := m.c.Image().Broker(rapid.Int32Range(1, modelBrokers).Draw(t, "broker"))
	if b == nil {
		return
	}
	stale := int64(rapid.IntRange(0, 1).Draw(t, "stale"))
	req := kmsg.NewPtrAllocateProducerIDsRequest()
	req.BrokerID, req.BrokerEpoch = b.ID, b.Epoch-stale
	result := m.c.AllocateProducerIDs(req)
	next := m.c.Image().NextProducerID()
	m.decide(t, result.Records)
	if stale > 0 {
		require.Equal(t, errcode.StaleBrokerEpoch, errcode.Code(result.Response.ErrorCode))
		require.Empty(t, result.Records)
		return
	}
	require.Equal(t, next, result.Response.ProducerIDStart)
	require.Equal(t, next+int64(result.Response.ProducerIDLen), m.c.Image().NextProducerID(),
		"blocks of producer ids do not overlap")
}

// pass lets time go by, and has the controller do what is due, one thing at a time.
func (m *model) pass(t *rapid.T) {
	m.now = m.now.Add(clock.Millis(int64(rapid.IntRange(0, 12_000).Draw(t, "ms"))))
	if rapid.IntRange(0, 9).Draw(t, "long") == 0 {
		m.now = m.now.Add(5 * clock.Minute)
	}
	for steps := 0; m.now >= m.c.Deadline(); steps++ {
		require.Less(t, steps, 20, "what is due ends")
		result := m.c.Tick(m.now)
		m.decide(t, result.Records)
		if result.Response != noBroker {
			require.True(t, m.c.Image().Broker(result.Response).Fenced)
		}
	}
	for _, b := range m.c.Image().Brokers() {
		require.True(t, b.Fenced || m.c.live(b, m.now), "who is not heard of is fenced")
	}
}

func (m *model) actions() map[string]func(*rapid.T) {
	broker := rapid.Int32Range(1, modelBrokers)
	return map[string]func(*rapid.T){
		"restart": func(t *rapid.T) {
			m.start(t, broker.Draw(t, "broker"), rapid.Bool().Draw(t, "clean"))
		},
		"beat":  func(t *rapid.T) { m.beat(t, broker.Draw(t, "broker"), nil) },
		"beat2": func(t *rapid.T) { m.beat(t, broker.Draw(t, "broker"), nil) },
		"beat all": func(t *rapid.T) {
			for id := int32(1); id <= modelBrokers; id++ {
				m.beat(t, id, nil)
			}
		},
		"odd beat": func(t *rapid.T) {
			id := broker.Draw(t, "broker")
			m.beat(t, id, func(req *kmsg.BrokerHeartbeatRequest) {
				req.BrokerEpoch -= int64(rapid.IntRange(0, 1).Draw(t, "stale"))
				req.CurrentMetadataOffset -= int64(rapid.IntRange(0, 20).Draw(t, "behind"))
				req.WantFence = rapid.Bool().Draw(t, "fence")
				req.WantShutdown = rapid.Bool().Draw(t, "shutdown")
				if rapid.IntRange(0, 2).Draw(t, "offline") == 0 {
					req.OfflineLogDirs = append(req.OfflineLogDirs, scriptID(100+2*int(id)))
				}
			})
		},
		"pass": m.pass,
		"failover": func(*rapid.T) {
			m.options.Now = m.now
			m.c = New(m.c.Image(), m.options)
		},
		"unregister": func(t *rapid.T) {
			req := kmsg.NewPtrUnregisterBrokerRequest()
			req.BrokerID = broker.Draw(t, "broker")
			if rapid.IntRange(0, 4).Draw(t, "really") == 0 {
				m.decide(t, m.c.UnregisterBroker(req).Records)
			}
		},
		"alter": m.alterPartition, "alter2": m.alterPartition, "alter3": m.alterPartition,
		"reassign": m.reassign, "elect": m.elect, "configure": m.configure, "assign": m.assign,
		"toggle": m.toggle, "allocate": m.allocate,
	}
}

// Whatever brokers and administrators do, and in whatever order, partitions keep their
// rules, and nobody leads who may lack what was committed unless that is said.
func TestClusterModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t, mutant.Set{})
		t.Repeat(m.actions())
	})
}
