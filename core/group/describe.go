package group

import (
	"math"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
)

// noOperations says that a response does not tell what the client may do.
const noOperations = math.MinInt32

// The types of groups, as ListGroups names them.
const (
	classicType  = "classic"
	consumerType = "consumer"
)

// describeGroups answers DescribeGroups (15), versions 0 to 6.
func (t *tx) describeGroups(req *kmsg.DescribeGroupsRequest) *failure {
	r := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
	for _, id := range req.Groups {
		r.Groups = append(r.Groups, t.describeClassic(req.Version, id))
	}
	t.answer(r)
	return nil
}

func (t *tx) describeClassic(version int16, id string) kmsg.DescribeGroupsResponseGroup {
	out := kmsg.DescribeGroupsResponseGroup{Group: id, AuthorizedOperations: noOperations}
	g := t.group(id)
	switch {
	case g == nil && len(t.s.offsets[id]) > 0:
		out.State = ClassicEmpty.String()
		return out
	case g == nil || g.consumer != nil:
		out.State = deadState
		if version >= 6 {
			words := "there is no classic group of this id"
			out.ErrorCode, out.ErrorMessage = int16(errcode.GroupIDNotFound), &words
		}
		return out
	}
	c := g.classic
	out.State, out.ProtocolType = c.state.String(), c.protocolType
	stable := c.state == ClassicStable
	if stable {
		out.Protocol = text(c.protocol)
	}
	for _, m := range c.ordered() {
		member := kmsg.DescribeGroupsResponseGroupMember{
			MemberID: m.id, InstanceID: m.instanceID, ClientID: m.clientID, ClientHost: m.clientHost,
			ProtocolMetadata: []byte{}, MemberAssignment: []byte{},
		}
		if stable {
			member.ProtocolMetadata = m.metadata(out.Protocol)
			member.MemberAssignment = append(member.MemberAssignment, m.assignment...)
		}
		out.Members = append(out.Members, member)
	}
	return out
}

// consumerGroupDescribe answers ConsumerGroupDescribe (69), versions 0 and 1: KIP-848.
func (t *tx) consumerGroupDescribe(req *kmsg.ConsumerGroupDescribeRequest) *failure {
	r := req.ResponseKind().(*kmsg.ConsumerGroupDescribeResponse)
	for _, id := range req.Groups {
		out := kmsg.NewConsumerGroupDescribeResponseGroup()
		out.Group, out.AuthorizedOperations = id, noOperations
		if g := t.group(id); g == nil || g.consumer == nil {
			words := "there is no consumer group of this id"
			out.ErrorCode, out.ErrorMessage = int16(errcode.GroupIDNotFound), &words
		} else {
			t.describeConsumer(g.consumer, &out)
		}
		r.Groups = append(r.Groups, out)
	}
	t.answer(r)
	return nil
}

func (t *tx) describeConsumer(c *consumerGroup, out *kmsg.ConsumerGroupDescribeResponseGroup) {
	out.State, out.Epoch, out.AssignmentEpoch = c.state(), c.epoch, c.targetEpoch
	out.AssignorName = c.assignorName(t.s.config())
	for _, id := range c.ids() {
		m := c.members[id]
		member := kmsg.NewConsumerGroupDescribeResponseGroupMember()
		member.MemberID, member.InstanceID, member.RackID = id, m.InstanceID, m.RackID
		member.MemberEpoch, member.ClientID, member.ClientHost = m.epoch, m.ClientID, m.ClientHost
		member.SubscribedTopics = m.SubscribedTopicNames
		member.SubscribedTopicRegex = m.SubscribedTopicRegex
		member.Assignment = t.describeAssignment(m.assigned)
		member.TargetAssignment = t.describeAssignment(c.target[id])
		if member.MemberType = 1; m.Classic != nil {
			member.MemberType = 0
		}
		out.Members = append(out.Members, member)
	}
}

func (t *tx) describeAssignment(a Assignment) kmsg.Assignment {
	var out kmsg.Assignment
	for topic := range a.topics() {
		known := t.s.image.TopicByID(topic[0].Topic)
		if known == nil {
			continue
		}
		part := kmsg.AssignmentTopicPartition{TopicID: known.ID, Topic: known.Name}
		for _, p := range topic {
			part.Partitions = append(part.Partitions, p.Index)
		}
		out.TopicPartitions = append(out.TopicPartitions, part)
	}
	return out
}

// listGroups answers ListGroups (16), versions 0 to 5: KIP-518, KIP-848.
func (t *tx) listGroups(req *kmsg.ListGroupsRequest) *failure {
	r := req.ResponseKind().(*kmsg.ListGroupsResponse)
	for _, id := range t.s.idsFrom("") {
		out := kmsg.ListGroupsResponseGroup{Group: id, GroupType: classicType}
		switch g := t.group(id); {
		case g == nil:
			out.GroupState = ClassicEmpty.String()
		case g.classic != nil:
			out.GroupState, out.ProtocolType = g.classic.state.String(), g.classic.protocolType
		default:
			out.GroupState, out.ProtocolType = g.consumer.state(), consumerProtocol
			out.GroupType = consumerType
		}
		if wanted(req.StatesFilter, out.GroupState) && wanted(req.TypesFilter, out.GroupType) {
			r.Groups = append(r.Groups, out)
		}
	}
	t.answer(r)
	return nil
}

// wanted reports whether a filter lets a value pass; an empty filter lets everything.
func wanted(filter []string, value string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(s string) bool {
		return strings.EqualFold(strings.TrimSpace(s), value)
	})
}

// deleteGroups answers DeleteGroups (42), versions 0 to 2: KIP-229.
func (t *tx) deleteGroups(req *kmsg.DeleteGroupsRequest) *failure {
	r := req.ResponseKind().(*kmsg.DeleteGroupsResponse)
	done := map[string]bool{}
	for _, id := range req.Groups {
		out := kmsg.DeleteGroupsResponseGroup{Group: id}
		g := t.group(id)
		switch {
		case !validID(id):
			out.ErrorCode = int16(errcode.InvalidGroupID)
		case g == nil && (len(t.s.offsets[id]) == 0 || done[id]):
			out.ErrorCode = int16(errcode.GroupIDNotFound)
		case g != nil && !g.empty():
			out.ErrorCode = int16(errcode.NonEmptyGroup)
		default:
			done[id] = true
			t.forgetOffsets(id, len(t.s.offsets[id]),
				func(TopicPartition, *committed) bool { return false })
			if g != nil {
				t.deleteGroup(g)
			}
		}
		r.Groups = append(r.Groups, out)
	}
	t.answer(r)
	return nil
}
