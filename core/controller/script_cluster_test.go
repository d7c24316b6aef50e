package controller

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

func scriptFeatures() []metadata.BrokerFeature {
	return []metadata.BrokerFeature{
		{Name: metadata.MetadataVersion, MinSupportedVersion: 7, MaxSupportedVersion: 30},
		{Name: metadata.EligibleLeaderReplicaVersion, MaxSupportedVersion: 1},
		{Name: metadata.GroupVersion, MaxSupportedVersion: 1},
	}
}

func scriptOptions(now clock.Instant) Options {
	return Options{ClusterID: "cluster", Features: scriptFeatures(), Now: now}
}

// runCluster runs the commands that are about several brokers.
func (s *script) runCluster() {
	switch s.d.Cmd {
	case "at":
		s.now = clock.Instant(clock.Millis(int64(s.number("ms", 0))))
	case "tick":
		s.tick()
	case "failover":
		s.c = New(s.c.Image(), scriptOptions(s.now))
	case "state":
		s.state()
	case "register-broker":
		s.registerBroker()
	case "heartbeat":
		s.heartbeat()
	case "unregister":
		s.unregister()
	case "alter-partition":
		s.alterPartition()
	case "elect":
		s.elect()
	case "reassign":
		s.reassign()
	case "list-reassignments":
		s.listReassignments()
	case "assign-dirs":
		s.assignDirs()
	case "update-features":
		s.updateFeatures()
	default:
		s.t.Fatalf("unknown command %s", s.d.Cmd)
	}
}

func short(id metadata.ID) uint64 { return binary.BigEndian.Uint64(id[8:]) }

func shorts(ids []metadata.ID) []uint64 {
	out := make([]uint64, len(ids))
	for i := range ids {
		out[i] = short(ids[i])
	}
	return out
}

func describeRecord(r metadata.Record) string {
	switch r := r.(type) {
	case *metadata.TopicRecord:
		return fmt.Sprintf("topic %s id=%d", r.Name, short(r.TopicID))
	case *metadata.PartitionRecord:
		return fmt.Sprintf("partition %d topic=%d replicas=%v isr=%v leader=%d", r.PartitionID,
			short(r.TopicID), r.Replicas, r.ISR, r.Leader)
	case *metadata.PartitionChangeRecord:
		return describeChange(r)
	case *metadata.RemoveTopicRecord:
		return fmt.Sprintf("remove topic %d", short(r.TopicID))
	case *metadata.ConfigRecord:
		value := "null"
		if r.Value != nil {
			value = *r.Value
		}
		return fmt.Sprintf("config %d %q %s=%s", r.ResourceType, r.ResourceName, r.Name, value)
	case *metadata.ProducerIDsRecord:
		return fmt.Sprintf("producer ids below %d", r.NextProducerID)
	case *metadata.FeatureLevelRecord:
		return fmt.Sprintf("feature %s=%d", r.Name, r.FeatureLevel)
	case *metadata.RegisterBrokerRecord:
		return fmt.Sprintf("broker %d epoch=%d fenced=%t", r.BrokerID, r.BrokerEpoch, r.Fenced)
	case *metadata.UnregisterBrokerRecord:
		return fmt.Sprintf("unregister broker %d epoch=%d", r.BrokerID, r.BrokerEpoch)
	case *metadata.BrokerRegistrationChangeRecord:
		out := fmt.Sprintf("broker %d epoch=%d:", r.BrokerID, r.BrokerEpoch)
		switch {
		case r.Fenced > 0:
			out += " fenced"
		case r.Fenced < 0:
			out += " unfenced"
		}
		if r.InControlledShutdown != 0 {
			out += " in controlled shutdown"
		}
		if len(r.LogDirs) > 0 {
			out += fmt.Sprintf(" directories=%v", shorts(r.LogDirs))
		}
		return out
	case *metadata.NoOpRecord, *metadata.BeginTransactionRecord,
		*metadata.EndTransactionRecord, *metadata.AbortTransactionRecord,
		*metadata.ClearELRRecord:
	}
	return fmt.Sprintf("%T", r)
}

func describeChange(r *metadata.PartitionChangeRecord) string {
	out := fmt.Sprintf("partition change %d topic=%d", r.PartitionID, short(r.TopicID))
	if r.Leader != metadata.NoLeaderChange {
		out += fmt.Sprintf(" leader=%d", r.Leader)
	}
	for _, f := range []struct {
		name string
		list []int32
	}{
		{"isr", r.ISR},
		{"replicas", r.Replicas},
		{"adding", r.AddingReplicas},
		{"removing", r.RemovingReplicas},
		{"elr", r.EligibleLeaderReplicas},
		{"lastKnownELR", r.LastKnownELR},
	} {
		if f.list != nil {
			out += fmt.Sprintf(" %s=%v", f.name, f.list)
		}
	}
	if r.Directories != nil {
		out += fmt.Sprintf(" directories=%v", shorts(r.Directories))
	}
	if r.LeaderRecoveryState != metadata.NoRecoveryStateChange {
		out += fmt.Sprintf(" recovery=%d", r.LeaderRecoveryState)
	}
	return out
}

// state prints partitions and brokers with all that this package decides about.
func (s *script) state() {
	for t := range s.c.Image().Topics() {
		for i, p := range t.Partitions {
			s.printf("%s/%d leader=%d epoch=%d/%d isr=%v elr=%v last=%v replicas=%v", t.Name, i,
				p.Leader, p.LeaderEpoch, p.PartitionEpoch, p.ISR, p.ELR, p.LastKnownELR, p.Replicas)
			if p.RecoveryState != 0 {
				s.printf(" recovering")
			}
			if len(p.AddingReplicas)+len(p.RemovingReplicas) > 0 {
				s.printf(" adding=%v removing=%v", p.AddingReplicas, p.RemovingReplicas)
			}
			s.printf("\n")
		}
	}
	if !s.has("brokers") {
		return
	}
	for _, b := range s.c.Image().Brokers() {
		s.printf("broker %d epoch=%d fenced=%t shutdown=%t directories=%v\n", b.ID, b.Epoch,
			b.Fenced, b.InControlledShutdown, shorts(b.LogDirs))
	}
}

func (s *script) tick() {
	for s.now >= s.c.Deadline() {
		result := s.c.Tick(s.now)
		if result.Response >= 0 {
			s.printf("broker %d is fenced\n", result.Response)
		}
		s.decided(result.Records)
	}
	s.printf("next tick in %d ms\n", s.c.Deadline().Sub(s.now).Millis())
}

func (s *script) idList(name string) []metadata.ID {
	var ids []metadata.ID
	for _, word := range config.SplitList(s.arg(name)) {
		n, err := strconv.Atoi(word)
		require.NoError(s.t, err)
		ids = append(ids, scriptID(n))
	}
	return ids
}

func (s *script) int32s(text string) []int32 {
	list := []int32{}
	for _, word := range config.SplitList(text) {
		n, err := strconv.Atoi(word)
		require.NoError(s.t, err)
		list = append(list, int32(n))
	}
	return list
}

// epoch returns an argument, the broker's epoch by default.
func (s *script) epoch(broker int) int64 {
	otherwise := -1
	if b := s.c.Image().Broker(int32(broker)); b != nil {
		otherwise = int(b.Epoch)
	}
	return int64(s.number("epoch", otherwise))
}

// registerBroker registers a broker with what scripts usually want; lines are features.
func (s *script) registerBroker() {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version = int16(s.number("version", 4))
	id := s.number("broker", 1)
	req.BrokerID, req.ClusterID = int32(id), "cluster"
	if s.has("cluster") {
		req.ClusterID = s.arg("cluster")
	}
	req.IncarnationID = scriptID(s.number("incarnation", 1))
	req.PreviousBrokerEpoch = int64(s.number("previous", -1))
	req.IsMigratingZkBroker = s.has("zookeeper")
	req.LogDirs = []metadata.ID{scriptID(100 + id)}
	if s.has("directories") {
		req.LogDirs = s.idList("directories")
	}
	l := kmsg.NewBrokerRegistrationRequestListener()
	l.Name, l.Host, l.Port = "PLAINTEXT", "h", 9092
	req.Listeners = append(req.Listeners, l)
	lines := s.lines()
	for _, f := range scriptFeatures() {
		if len(lines) == 0 {
			req.Features = append(req.Features, kmsg.BrokerRegistrationRequestFeature{
				Name: f.Name, MinSupportedVersion: f.MinSupportedVersion,
				MaxSupportedVersion: f.MaxSupportedVersion,
			})
		}
	}
	for _, l := range lines {
		f := kmsg.NewBrokerRegistrationRequestFeature()
		f.Name, f.MinSupportedVersion = l.name, int16(l.number(s.t, "min", 0))
		f.MaxSupportedVersion = int16(l.number(s.t, "max", 0))
		req.Features = append(req.Features, f)
	}
	result := s.c.BrokerRegistration(s.now, req)
	s.wire(result.Response)
	s.printf("%s epoch=%d\n", errcode.Code(result.Response.ErrorCode), result.Response.BrokerEpoch)
	s.decided(result.Records)
}

func (s *script) heartbeat() {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.Version = 1
	id := s.number("broker", 1)
	req.BrokerID, req.BrokerEpoch = int32(id), s.epoch(id)
	req.CurrentMetadataOffset = int64(s.number("offset", int(s.c.Image().Offset())))
	req.WantFence, req.WantShutdown = s.has("fence"), s.has("shutdown")
	req.OfflineLogDirs = s.idList("offline")
	result := s.c.BrokerHeartbeat(s.now, req)
	s.wire(result.Response)
	s.printf("%s caught up=%t fenced=%t shutdown=%t\n", errcode.Code(result.Response.ErrorCode),
		result.Response.IsCaughtUp, result.Response.IsFenced, result.Response.ShouldShutdown)
	s.decided(result.Records)
}

func (s *script) unregister() {
	req := kmsg.NewPtrUnregisterBrokerRequest()
	req.BrokerID = int32(s.number("broker", 1))
	result := s.c.UnregisterBroker(req)
	s.wire(result.Response)
	s.code(result.Response.ErrorCode, result.Response.ErrorMessage)
	s.decided(result.Records)
}

// partitionOf reads "foo/0".
func (s *script) partitionOf(text string) (string, int32) {
	name, index, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(index)
	require.NoError(s.t, err)
	return name, int32(n)
}

// alterPartition sends what a leader wants; epochs are the current ones by default.
func (s *script) alterPartition() {
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version = int16(s.number("version", 3))
	id := s.number("broker", 1)
	req.BrokerID, req.BrokerEpoch = int32(id), s.epoch(id)
	for _, l := range s.lines() {
		name, index := s.partitionOf(l.name)
		t := kmsg.NewAlterPartitionRequestTopic()
		p := kmsg.NewAlterPartitionRequestTopicPartition()
		p.Partition = index
		t.TopicID = scriptID(l.number(s.t, "id", 999))
		if topic := s.c.Image().Topic(name); topic != nil {
			t.TopicID = topic.ID
			if index >= 0 && int(index) < len(topic.Partitions) {
				now := &topic.Partitions[index]
				p.LeaderEpoch, p.PartitionEpoch = now.LeaderEpoch, now.PartitionEpoch
				p.LeaderRecoveryState = now.RecoveryState
			}
		}
		p.LeaderEpoch += int32(l.number(s.t, "leader-epoch", 0))
		p.PartitionEpoch += int32(l.number(s.t, "partition-epoch", 0))
		p.LeaderRecoveryState = int8(l.number(s.t, "recovery", int(p.LeaderRecoveryState)))
		for _, word := range config.SplitList(l.get("isr", "")) {
			member, epoch, ok := strings.Cut(word, ":")
			m := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
			n, err := strconv.Atoi(member)
			require.NoError(s.t, err)
			m.BrokerID, m.BrokerEpoch = int32(n), -1
			if ok {
				n, err := strconv.Atoi(epoch)
				require.NoError(s.t, err)
				m.BrokerEpoch = int64(n)
			}
			p.NewISR, p.NewEpochISR = append(p.NewISR, m.BrokerID), append(p.NewEpochISR, m)
		}
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
	}
	result := s.c.AlterPartition(req)
	s.wire(result.Response)
	if code := result.Response.ErrorCode; code != 0 {
		s.code(code, nil)
	}
	for _, t := range result.Response.Topics {
		for _, p := range t.Partitions {
			s.printf("%d/%d: %s", short(t.TopidID), p.Partition, errcode.Code(p.ErrorCode))
			if p.ErrorCode == 0 {
				s.printf(" leader=%d epoch=%d/%d isr=%v recovery=%d", p.LeaderID, p.LeaderEpoch,
					p.PartitionEpoch, p.ISR, p.LeaderRecoveryState)
			}
			s.printf("\n")
		}
	}
	s.decided(result.Records)
}

func (s *script) elect() {
	req := kmsg.NewPtrElectLeadersRequest()
	req.Version, req.ElectionType = int16(s.number("version", 2)), int8(s.number("kind", 0))
	for _, l := range s.lines() {
		name, index := s.partitionOf(l.name)
		req.Topics = append(req.Topics,
			kmsg.ElectLeadersRequestTopic{Topic: name, Partitions: []int32{index}})
	}
	result := s.c.ElectLeaders(req)
	s.wire(result.Response)
	s.code(result.Response.ErrorCode, nil)
	for _, t := range result.Response.Topics {
		for _, p := range t.Partitions {
			s.printf("%s/%d: ", t.Topic, p.Partition)
			s.code(p.ErrorCode, p.ErrorMessage)
		}
	}
	s.decided(result.Records)
}

func (s *script) reassign() {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.Version = int16(s.number("version", 1))
	req.AllowReplicationFactorChange = !s.has("same-factor")
	for _, l := range s.lines() {
		name, index := s.partitionOf(l.name)
		p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		p.Partition = index
		if to := l.get("to", "cancel"); to != "cancel" {
			p.Replicas = s.int32s(to)
		}
		req.Topics = append(req.Topics, kmsg.AlterPartitionAssignmentsRequestTopic{
			Topic:      name,
			Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{p},
		})
	}
	result := s.c.AlterPartitionReassignments(req)
	s.wire(result.Response)
	for _, t := range result.Response.Topics {
		for _, p := range t.Partitions {
			s.printf("%s/%d: ", t.Topic, p.Partition)
			s.code(p.ErrorCode, p.ErrorMessage)
		}
	}
	s.decided(result.Records)
}

func (s *script) listReassignments() {
	req := kmsg.NewPtrListPartitionReassignmentsRequest()
	for _, l := range s.lines() {
		name, index := s.partitionOf(l.name)
		req.Topics = append(req.Topics,
			kmsg.ListPartitionReassignmentsRequestTopic{Topic: name, Partitions: []int32{index}})
	}
	resp := ListPartitionReassignments(s.c.Image(), req)
	s.wire(resp)
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			s.printf("%s/%d replicas=%v adding=%v removing=%v\n", t.Topic, p.Partition, p.Replicas,
				p.AddingReplicas, p.RemovingReplicas)
		}
	}
}

func (s *script) assignDirs() {
	req := kmsg.NewPtrAssignReplicasToDirsRequest()
	id := s.number("broker", 1)
	req.BrokerID, req.BrokerEpoch = int32(id), s.epoch(id)
	for _, l := range s.lines() {
		name, index := s.partitionOf(l.name)
		t := kmsg.NewAssignReplicasToDirsRequestDirectoryTopic()
		t.TopicID = scriptID(999)
		if topic := s.c.Image().Topic(name); topic != nil {
			t.TopicID = topic.ID
		}
		t.Partitions = append(t.Partitions,
			kmsg.AssignReplicasToDirsRequestDirectoryTopicPartition{Partition: index})
		req.Directories = append(req.Directories, kmsg.AssignReplicasToDirsRequestDirectory{
			ID:     scriptID(l.number(s.t, "directory", 0)),
			Topics: []kmsg.AssignReplicasToDirsRequestDirectoryTopic{t},
		})
	}
	result := s.c.AssignReplicasToDirs(req)
	s.wire(result.Response)
	if code := result.Response.ErrorCode; code != 0 {
		s.code(code, nil)
	}
	for _, d := range result.Response.Directories {
		for _, t := range d.Topics {
			for _, p := range t.Partitions {
				s.printf("%d: %d/%d: %s\n", short(d.ID), short(t.TopicID), p.Partition,
					errcode.Code(p.ErrorCode))
			}
		}
	}
	s.decided(result.Records)
}

func (s *script) updateFeatures() {
	req := kmsg.NewPtrUpdateFeaturesRequest()
	req.Version, req.ValidateOnly = int16(s.number("version", 2)), s.has("validate-only")
	for _, l := range s.lines() {
		u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		u.Feature, u.MaxVersionLevel = l.name, int16(l.number(s.t, "level", 0))
		u.UpgradeType = int8(l.number(s.t, "kind", 1))
		u.AllowDowngrade = l.get("downgrade", "no") == "yes"
		req.FeatureUpdates = append(req.FeatureUpdates, u)
	}
	result := s.c.UpdateFeatures(req)
	s.wire(result.Response)
	s.code(result.Response.ErrorCode, result.Response.ErrorMessage)
	for _, r := range result.Response.Results {
		s.printf("%s: %s\n", r.Feature, errcode.Code(r.ErrorCode))
	}
	s.decided(result.Records)
}
