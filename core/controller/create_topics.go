package controller

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

// CreateTopics (19), versions 2 to 7: KIP-4, defaults for partitions and
// replication factor (KIP-464), configurations in the response (KIP-525), topic ids
// (KIP-516).

// CreateTopics decides about a CreateTopics request. What is random in the placement of
// replicas follows from seed.
func (c *Controller) CreateTopics(
	req *kmsg.CreateTopicsRequest, ids Source, seed uint32,
) Result[*kmsg.CreateTopicsResponse] {
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	var records []metadata.Record
	seen := make(map[string]int, len(req.Topics))
	for i := range req.Topics {
		seen[req.Topics[i].Topic]++
	}
	for i := range req.Topics {
		t := &req.Topics[i]
		n := seen[t.Topic]
		if n == 0 {
			continue // answered where its name came first
		}
		seen[t.Topic] = 0
		if n > 1 {
			resp.Topics = append(resp.Topics, refusedTopic(t.Topic,
				fail(errcode.InvalidRequest, "the request names the topic more than once")))
			continue
		}
		// Each topic has a seed of its own.
		created, more, f := c.createTopic(t, ids, seed+uint32(i))
		if f != nil {
			resp.Topics = append(resp.Topics, refusedTopic(t.Topic, f))
			continue
		}
		resp.Topics = append(resp.Topics, created)
		records = append(records, more...)
	}
	if len(records) > recordsMax {
		for i := range resp.Topics {
			resp.Topics[i] = refusedTopic(resp.Topics[i].Topic, tooLarge())
		}
		records = nil
	}
	if req.ValidateOnly {
		records = nil
	}
	return Result[*kmsg.CreateTopicsResponse]{Records: records, Response: resp}
}

func tooLarge() *failure {
	return fail(errcode.PolicyViolation, "the request comes to more than 10000 records")
}

func refusedTopic(name string, f *failure) kmsg.CreateTopicsResponseTopic {
	t := kmsg.NewCreateTopicsResponseTopic()
	t.Topic = name
	t.ErrorCode, t.ErrorMessage = f.codes()
	t.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
	return t
}

// createTopic decides about one topic.
func (c *Controller) createTopic(
	t *kmsg.CreateTopicsRequestTopic, ids Source, seed uint32,
) (kmsg.CreateTopicsResponseTopic, []metadata.Record, *failure) {
	var none kmsg.CreateTopicsResponseTopic
	if f := c.checkNewName(t.Topic); f != nil {
		return none, nil, f
	}
	overrides, f := c.newOverrides(t.Configs)
	if f != nil {
		return none, nil, f
	}
	assignments, f := c.newAssignments(t, seed)
	if f != nil {
		return none, nil, f
	}
	if len(assignments) > recordsMax {
		return none, nil, tooLarge()
	}
	id := ids()
	records := make([]metadata.Record, 0, 1+len(overrides)+len(assignments))
	records = append(records, &metadata.TopicRecord{Name: t.Topic, TopicID: id})
	for _, e := range overrides {
		records = append(records, &metadata.ConfigRecord{
			ResourceType: metadata.TopicResource, ResourceName: t.Topic,
			Name: e.Name, Value: &e.Value,
		})
	}
	for i, replicas := range assignments {
		p := c.newPartition(id, int32(i), replicas)
		if p == nil {
			return none, nil, inactive(len(t.ReplicaAssignment) > 0, i)
		}
		records = append(records, p)
	}
	created := kmsg.NewCreateTopicsResponseTopic()
	created.Topic, created.TopicID = t.Topic, id
	created.NumPartitions = int32(len(assignments))
	created.ReplicationFactor = int16(len(assignments[0]))
	created.Configs = c.newConfigs(overrides)
	return created, records, nil
}

// inactive says that no broker of a partition can lead it.
func inactive(manual bool, partition int) *failure {
	code := errcode.InvalidReplicationFactor
	if manual {
		code = errcode.InvalidReplicaAssignment
	}
	return fail(code,
		fmt.Sprintf("all brokers of partition %d are fenced or shutting down", partition))
}

// checkNewName returns a failure unless a topic of the name can be created.
func (c *Controller) checkNewName(name string) *failure {
	if name == metadataTopic {
		return fail(errcode.InvalidRequest, "the metadata log cannot be created as a topic")
	}
	if c.image.Topic(name) != nil {
		return fail(errcode.TopicAlreadyExists, fmt.Sprintf("topic %s exists", name))
	}
	if f := checkName(name); f != nil {
		return f
	}
	if other := c.image.Colliding(name); other != nil {
		return fail(errcode.InvalidTopicException, fmt.Sprintf(
			"topic %s collides with %s, as '.' and '_' count as one", name, other.Name))
	}
	return nil
}

// newOverrides returns the configuration asked for, sorted by name.
func (c *Controller) newOverrides(asked []kmsg.CreateTopicsRequestTopicConfig) (
	[]config.Entry, *failure,
) {
	var overrides []config.Entry
	var nulls []string
	for i := range asked {
		if asked[i].Value == nil {
			nulls = append(nulls, asked[i].Name)
			continue
		}
		overrides = config.With(overrides, asked[i].Name, *asked[i].Value)
	}
	if len(nulls) > 0 {
		return nil, fail(errcode.InvalidConfig, "no value for "+strings.Join(nulls, ", "))
	}
	if err := c.image.Config().ValidateTopicEntries(overrides); err != nil {
		return nil, fail(errcode.InvalidConfig, err.Error())
	}
	return overrides, nil
}

// newAssignments returns the replicas of a new topic's partitions.
func (c *Controller) newAssignments(t *kmsg.CreateTopicsRequestTopic, seed uint32) (
	[][]int32, *failure,
) {
	if len(t.ReplicaAssignment) > 0 {
		return c.manualAssignments(t)
	}
	count, factor := t.NumPartitions, t.ReplicationFactor
	if factor < -1 || factor == 0 {
		return nil, fail(errcode.InvalidReplicationFactor,
			"the replication factor must be above 0, or -1 for the default")
	}
	if count < -1 || count == 0 {
		return nil, fail(errcode.InvalidPartitions,
			"the number of partitions must be above 0, or -1 for the default")
	}
	if count == -1 {
		count = c.image.Config().NumPartitions
	}
	if factor == -1 {
		factor = c.image.Config().DefaultReplicationFactor
	}
	if count > recordsMax {
		return nil, tooLarge()
	}
	return c.place(count, factor, seed)
}

func (c *Controller) manualAssignments(t *kmsg.CreateTopicsRequestTopic) ([][]int32, *failure) {
	if t.ReplicationFactor != -1 {
		return nil, fail(errcode.InvalidRequest,
			"with a manual assignment the replication factor must be -1")
	}
	if t.NumPartitions != -1 {
		return nil, fail(errcode.InvalidRequest,
			"with a manual assignment the number of partitions must be -1")
	}
	manual := slices.Clone(t.ReplicaAssignment)
	slices.SortStableFunc(manual, func(a, b kmsg.CreateTopicsRequestTopicReplicaAssignment) int {
		return cmp.Compare(a.Partition, b.Partition)
	})
	assignments := make([][]int32, len(manual))
	for i := range manual {
		if i > 0 && manual[i].Partition == manual[i-1].Partition {
			return nil, fail(errcode.InvalidReplicaAssignment, fmt.Sprintf(
				"partition %d has more than one assignment", manual[i].Partition))
		}
		if f := c.checkAssignment(manual[i].Replicas, len(manual[0].Replicas)); f != nil {
			return nil, f
		}
		assignments[i] = slices.Clone(manual[i].Replicas)
	}
	if manual[0].Partition != 0 || int(manual[len(manual)-1].Partition) != len(manual)-1 {
		return nil, fail(errcode.InvalidReplicaAssignment,
			"the assigned partitions do not count up from 0")
	}
	return assignments, nil
}

// newConfigs returns the effective configuration of a new topic.
func (c *Controller) newConfigs(overrides []config.Entry) []kmsg.CreateTopicsResponseTopicConfig {
	described := c.image.Config().DescribeTopic(overrides, nil)
	configs := make([]kmsg.CreateTopicsResponseTopicConfig, len(described))
	for i := range described {
		d := &described[i]
		configs[i] = kmsg.CreateTopicsResponseTopicConfig{
			Name: d.Name, ReadOnly: d.ReadOnly, Source: int8(d.Source), IsSensitive: d.Sensitive,
		}
		if !d.Null {
			configs[i].Value = &d.Value
		}
	}
	return configs
}

// AutoCreateRequest returns the request to create topics that do not exist and that a
// client asked for, with the broker's defaults. Internal topics have their own partitions,
// factor and configuration. It reads only the image.
func AutoCreateRequest(m *metadata.Image, names []string) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 7
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		if m.Topic(name) == nil {
			req.Topics = append(req.Topics, autoTopic(m.Config(), name))
		}
	}
	return req
}

// autoTopic returns the request for a topic created by itself.
func autoTopic(b *config.Broker, name string) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, -1, -1
	set := func(name, value string) {
		t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: name, Value: &value})
	}
	switch name {
	case "__consumer_offsets":
		t.NumPartitions = b.OffsetsTopicNumPartitions
		t.ReplicationFactor = b.OffsetsTopicReplicationFactor
		set("cleanup.policy", "compact")
		set("compression.type", "producer")
		set("segment.bytes", fmt.Sprint(b.OffsetsTopicSegmentBytes))
		set("heiban.durability", "fsync") // whatever the broker's records are worth
	case "__transaction_state":
		t.NumPartitions = b.TransactionStateNumPartitions
		t.ReplicationFactor = b.TransactionStateReplicationFactor
		set("cleanup.policy", "compact")
		set("compression.type", "uncompressed")
		set("unclean.leader.election.enable", "false")
		set("min.insync.replicas", fmt.Sprint(b.TransactionStateMinISR))
		set("segment.bytes", fmt.Sprint(b.TransactionStateSegmentBytes))
	}
	return t
}
