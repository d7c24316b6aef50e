package controller

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

// IncrementalAlterConfigs (44), versions 0 and 1: KIP-339.
// AlterConfigs (33), versions 0 to 2: KIP-133; it replaces all of a resource's
// configuration and is deprecated.

// IncrementalAlterConfigs decides about an IncrementalAlterConfigs request. Each
// resource is changed as a whole or not at all.
func (c *Controller) IncrementalAlterConfigs(
	req *kmsg.IncrementalAlterConfigsRequest,
) Result[*kmsg.IncrementalAlterConfigsResponse] {
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	var records []metadata.Record
	times := make(map[resourceKey]int, len(req.Resources))
	for i := range req.Resources {
		times[resourceKey{req.Resources[i].ResourceName, req.Resources[i].ResourceType}]++
	}
	for i := range req.Resources {
		r := &req.Resources[i]
		a := alteration{c: c, resourceKey: resourceKey{r.ResourceName, r.ResourceType}}
		for j := range r.Configs {
			o := &r.Configs[j]
			a.ops = append(a.ops, configOp{name: o.Name, value: o.Value, op: o.Op})
		}
		f := a.decide(times[a.resourceKey])
		if f == nil {
			records = append(records, a.records...)
		}
		out := kmsg.NewIncrementalAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = r.ResourceType, r.ResourceName
		out.ErrorCode, out.ErrorMessage = f.codes()
		resp.Resources = append(resp.Resources, out)
	}
	records = append(records, c.reconsider(records)...)
	if req.ValidateOnly {
		records = nil
	}
	return Result[*kmsg.IncrementalAlterConfigsResponse]{Records: records, Response: resp}
}

// AlterConfigs decides about an AlterConfigs request. Each resource is changed as a
// whole or not at all; what the request does not name is deleted.
func (c *Controller) AlterConfigs(
	req *kmsg.AlterConfigsRequest,
) Result[*kmsg.AlterConfigsResponse] {
	resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
	var records []metadata.Record
	times := make(map[resourceKey]int, len(req.Resources))
	for i := range req.Resources {
		times[resourceKey{req.Resources[i].ResourceName, req.Resources[i].ResourceType}]++
	}
	for i := range req.Resources {
		r := &req.Resources[i]
		a := alteration{
			c: c, resourceKey: resourceKey{r.ResourceName, r.ResourceType}, replace: true,
		}
		for j := range r.Configs {
			o := &r.Configs[j]
			a.ops = append(a.ops,
				configOp{name: o.Name, value: o.Value, op: kmsg.IncrementalAlterConfigOpSet})
		}
		f := a.decide(times[a.resourceKey])
		if f == nil {
			records = append(records, a.records...)
		}
		out := kmsg.NewAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = r.ResourceType, r.ResourceName
		out.ErrorCode, out.ErrorMessage = f.codes()
		resp.Resources = append(resp.Resources, out)
	}
	records = append(records, c.reconsider(records)...)
	if req.ValidateOnly {
		records = nil
	}
	return Result[*kmsg.AlterConfigsResponse]{Records: records, Response: resp}
}

type resourceKey struct {
	name string
	kind kmsg.ConfigResourceType
}

// configOp is one change that is asked for.
type configOp struct {
	value *string
	name  string
	op    kmsg.IncrementalAlterConfigOp
}

// alteration is the change of one resource's configuration.
type alteration struct {
	c *Controller
	resourceKey
	ops     []configOp
	records []metadata.Record
	merged  []config.Entry // what the configuration will be
	replace bool           // what ops do not name is deleted
}

// decide fills in records. Times is how often the request names the resource.
func (a *alteration) decide(times int) *failure {
	if times > 1 {
		return fail(errcode.InvalidRequest, "the request names the resource more than once")
	}
	if f := a.checkOps(); f != nil {
		return f
	}
	switch a.kind {
	case kmsg.ConfigResourceTypeTopic:
		return a.topic()
	case kmsg.ConfigResourceTypeBroker:
		return a.broker()
	case kmsg.ConfigResourceTypeBrokerLogger:
		return fail(errcode.InvalidRequest, "the broker has no loggers to configure")
	case kmsg.ConfigResourceTypeUnknown, kmsg.ConfigResourceTypeClientMetrics,
		kmsg.ConfigResourceTypeGroupConfig:
	}
	return fail(errcode.InvalidRequest, fmt.Sprintf("unknown resource type %d", a.kind))
}

// checkOps refuses changes that make no sense whatever they are about.
func (a *alteration) checkOps() *failure {
	var nulls []string
	names := make(map[string]bool, len(a.ops))
	for _, o := range a.ops {
		if names[o.name] {
			return fail(errcode.InvalidRequest, "the request names "+o.name+" more than once")
		}
		names[o.name] = true
		if o.value == nil && o.op != kmsg.IncrementalAlterConfigOpDelete {
			nulls = append(nulls, o.name)
		}
		if o.op < kmsg.IncrementalAlterConfigOpSet || o.op > kmsg.IncrementalAlterConfigOpSubtract {
			return fail(errcode.InvalidRequest, fmt.Sprintf("unknown operation %d", o.op))
		}
	}
	if len(nulls) > 0 {
		return fail(errcode.InvalidRequest, "no value for "+strings.Join(nulls, ", "))
	}
	return nil
}

func (a *alteration) topic() *failure {
	if a.name == "" {
		return fail(errcode.InvalidRequest, "topics have no configuration in common")
	}
	if f := checkName(a.name); f != nil {
		return f
	}
	current := a.c.image.Configs(metadata.TopicResource, a.name)
	if f := a.merge(config.TopicScope, metadata.TopicResource, current); f != nil {
		return f
	}
	if err := a.c.image.Config().ValidateTopicEntries(a.merged); err != nil {
		return fail(errcode.InvalidConfig, err.Error())
	}
	if a.c.image.Topic(a.name) == nil {
		return fail(errcode.UnknownTopicOrPartition, "")
	}
	return nil
}

func (a *alteration) broker() *failure {
	perBroker := a.name != ""
	if perBroker {
		id, err := strconv.ParseInt(a.name, 10, 32)
		if err != nil {
			return fail(errcode.InvalidRequest, fmt.Sprintf("the broker %q is not a number", a.name))
		}
		if a.c.image.Broker(int32(id)) == nil {
			return fail(errcode.InvalidRequest, fmt.Sprintf("broker %s is not registered", a.name))
		}
		a.name = strconv.Itoa(int(id))
	}
	current := a.c.image.Configs(metadata.BrokerResource, a.name)
	if f := a.merge(config.BrokerScope, metadata.BrokerResource, current); f != nil {
		return f
	}
	if err := a.c.image.Config().ValidateDynamic(a.merged, perBroker); err != nil {
		return fail(errcode.InvalidRequest, err.Error()) // not 40, by Kafka's habit
	}
	return a.oneMinISR(perBroker)
}

// oneMinISR refuses what would let brokers differ in min.insync.replicas while who is
// eligible to lead depends on it (KIP-966).
func (a *alteration) oneMinISR(perBroker bool) *failure {
	if !a.c.elrEnabled() {
		return nil
	}
	for _, r := range a.records {
		c := r.(*metadata.ConfigRecord)
		if c.Name == minISRConfig && (perBroker || c.Value == nil) {
			return fail(errcode.InvalidConfig, "with "+metadata.EligibleLeaderReplicaVersion+
				", "+minISRConfig+" must be the same for all brokers")
		}
	}
	return nil
}

// reconsider returns the changes of partitions that follow from other configurations:
// with another min.insync.replicas others are eligible, and where unclean elections
// are allowed from now on, leaders may be elected.
func (c *Controller) reconsider(records []metadata.Record) []metadata.Record {
	matters := slices.ContainsFunc(records, func(r metadata.Record) bool {
		name := r.(*metadata.ConfigRecord).Name
		return name == minISRConfig || name == "unclean.leader.election.enable"
	})
	if !matters {
		return nil
	}
	_, delta := c.image.Apply(records)
	var changes []metadata.Record
	for _, t := range delta.Configured {
		was := c.image.TopicByID(t.ID).Config
		eligible := c.elrEnabled() && was.MinInsyncReplicas != t.Config.MinInsyncReplicas
		allowed := !was.UncleanLeaderElection && t.Config.UncleanLeaderElection
		for i := range t.Partitions {
			if !eligible && (!allowed || t.Partitions[i].Leader != noLeader) {
				continue
			}
			ch := c.changeOf(t, int32(i), c.asIs())
			if r := ch.build(); r != nil {
				changes = append(changes, r)
			}
		}
	}
	return changes
}

// merge applies the operations to the current entries. A broker gets a record even
// for a value that it has, so that it reads again what the value points at.
func (a *alteration) merge(
	scope config.Scope, kind metadata.ResourceType, current []config.Entry,
) *failure {
	a.merged = current
	for _, o := range a.ops {
		old, had := config.Find(current, o.name)
		value, f := o.result(scope, old, had)
		if f != nil {
			return f
		}
		if value == nil {
			a.merged = config.Without(a.merged, o.name)
		} else {
			a.merged = config.With(a.merged, o.name, *value)
		}
		same := value == nil && !had || value != nil && had && *value == old
		if !same || kind == metadata.BrokerResource {
			a.record(kind, o.name, value)
		}
	}
	if !a.replace {
		return nil
	}
	for _, e := range current {
		named := slices.ContainsFunc(a.ops, func(o configOp) bool { return o.name == e.Name })
		if !named {
			a.merged = config.Without(a.merged, e.Name)
			a.record(kind, e.Name, nil)
		}
	}
	return nil
}

func (a *alteration) record(kind metadata.ResourceType, name string, value *string) {
	a.records = append(a.records, &metadata.ConfigRecord{
		ResourceType: kind, ResourceName: a.name, Name: name, Value: value,
	})
}

// result returns the value that an operation comes to; nil deletes it.
func (o *configOp) result(scope config.Scope, old string, had bool) (*string, *failure) {
	switch o.op {
	case kmsg.IncrementalAlterConfigOpSet:
		return o.value, nil
	case kmsg.IncrementalAlterConfigOpDelete:
		return nil, nil
	case kmsg.IncrementalAlterConfigOpAppend, kmsg.IncrementalAlterConfigOpSubtract:
	}
	if !config.IsList(scope, o.name) {
		return nil, fail(errcode.InvalidConfig, o.name+" is not a list to add to or take from")
	}
	if !had {
		old = config.DefaultOf(o.name)
	}
	value := config.AppendList(old, *o.value)
	if o.op == kmsg.IncrementalAlterConfigOpSubtract {
		value = config.SubtractList(old, *o.value)
	}
	return &value, nil
}
