package sim

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/core/errcode"
)

// What an administrator does to partitions and their replicas.

// deleteRecords deletes what is before some offset, which may be out of range.
func (a *Admin) deleteRecords(conn *clientConn, spec *TopicSpec) {
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Partition = int32(a.rand.Below(int64(spec.Partitions)))
	p.Offset = -1
	if a.rand.Chance(900_000) {
		p.Offset = a.rand.LogUniform(1, 2000)
	}
	t := kmsg.NewDeleteRecordsRequestTopic()
	t.Topic, t.Partitions = spec.Name, append(t.Partitions, p)
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.Version, req.TimeoutMillis = int16(a.rand.Between(0, 2)), a.millis()
	req.Topics = append(req.Topics, t)
	a.ask(conn, req, checker.OpOther, spec.Name, fmt.Sprintf("delete records before %d", p.Offset))
}

// reassign gives a partition other replicas, or ends its reassignment. The request may
// name nodes that are down.
func (a *Admin) reassign(conn *clientConn, spec *TopicSpec) {
	p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	p.Partition = int32(a.rand.Below(int64(spec.Partitions)))
	text := "cancel reassignment"
	if a.rand.Chance(800_000) {
		p.Replicas = a.replicas(max(int64(spec.Replicas), 1))
		text = fmt.Sprintf("reassign partition %d to %v", p.Partition, p.Replicas)
	}
	t := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	t.Topic, t.Partitions = spec.Name, append(t.Partitions, p)
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.Version, req.TimeoutMillis, req.Topics = 0, a.millis(), append(req.Topics, t)
	a.ask(conn, req, checker.OpOther, spec.Name, text)
}

// replicas draws so many nodes, the preferred leader first.
func (a *Admin) replicas(count int64) []int32 {
	all := make([]int32, a.nodes)
	for i := range all {
		all[i] = int32(i)
	}
	a.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:min(count, int64(len(all)))]
}

// The types of elections (KIP-460).
const (
	preferredElection int8 = 0
	uncleanElection   int8 = 1
)

func (a *Admin) elect(conn *clientConn, spec *TopicSpec, kind int8) {
	t := kmsg.NewElectLeadersRequestTopic()
	t.Topic = spec.Name
	t.Partitions = append(t.Partitions, int32(a.rand.Below(int64(spec.Partitions))))
	req := kmsg.NewPtrElectLeadersRequest()
	req.Version, req.ElectionType, req.TimeoutMillis = int16(a.rand.Between(1, 2)), kind, a.millis()
	req.Topics = append(req.Topics, t)
	a.ask(conn, req, checker.OpOther, spec.Name, fmt.Sprintf("elect, type %d", kind))
}

func (a *Admin) describeConfigs(conn *clientConn, spec *TopicSpec) {
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, spec.Name
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Version, req.Resources = int16(a.rand.Between(1, 4)), append(req.Resources, r)
	a.ask(conn, req, checker.OpOther, spec.Name, "describe configs")
}

// configsShown tells the judge what a node says of what the administrator alters.
func (a *Admin) configsShown(call *adminCall, resp *kmsg.DescribeConfigsResponse) {
	if len(resp.Resources) != 1 || errcode.Code(resp.Resources[0].ErrorCode) != errcode.None {
		return
	}
	for i := range resp.Resources[0].Configs {
		c := &resp.Resources[0].Configs[i]
		altered := func(o TopicConfig) bool { return o.Name == c.Name }
		if !slices.ContainsFunc(a.config.Alter, altered) {
			continue
		}
		value := ""
		if c.Source == kmsg.ConfigSourceDynamicTopicConfig && c.Value != nil {
			value = *c.Value
		}
		a.config.Judge.ConfigShown(call.node, call.topic, c.Name, value, call.called)
	}
}
