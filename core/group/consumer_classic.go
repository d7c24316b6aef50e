package group

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
)

// Members that speak the classic protocol may be in a consumer group while it migrates
// (KIP-848). The coordinator assigns partitions to them as to the others; their epoch is
// what they take for the generation.

// classicJoinsConsumer lets a member join, or come for its next assignment.
func (t *tx) classicJoinsConsumer(g *group, req *kmsg.JoinGroupRequest) *failure {
	id := req.MemberID
	if id == "" {
		id = t.c.ClientID + "-" + dashed(t.c.IDs())
		if req.InstanceID != nil {
			id = *req.InstanceID + "-" + dashed(t.c.IDs())
		}
	}
	said, ok := t.subscriptionOf(g.consumer, req)
	switch {
	case g.full(t.s.config().GroupConsumerMaxSize, id):
		return fail(errcode.GroupMaxSizeReached, "")
	case !ok:
		return fail(errcode.InconsistentGroupProtocol, "")
	case req.MemberID == "" && req.InstanceID == nil && req.Version >= 4:
		r := joinResponse(req)
		r.ErrorCode, r.MemberID = int16(errcode.MemberIDRequired), id
		t.answer(r)
		return nil
	}
	existing := g.consumer.static(req.InstanceID)
	old, f := t.findMember(g, &joining{
		id: id, instanceID: req.InstanceID, classic: true,
		create: req.InstanceID == nil || req.MemberID == "",
	})
	if f != nil {
		return f
	}
	wish := *old
	wish.ConsumerMember = ConsumerMember{
		InstanceID: req.InstanceID, RackID: said.Rack, ClientID: t.c.ClientID,
		ClientHost: t.c.ClientHost, SubscribedTopicNames: sortedNames(said.Topics),
		RebalanceTimeoutMillis: rebalanceMillis(req),
		Classic: &ClassicMember{
			Protocols: protocolsOf(req), SessionTimeoutMillis: req.SessionTimeoutMillis,
		},
	}
	t.subscribe(g.id, old, &wish)
	owned := t.ownedByName(said.OwnedPartitions)
	m := t.assignTo(g.id, wish.id, &owned)
	protocolType, protocol := consumerProtocol, m.Classic.Protocols[0].Name
	r := joinResponse(req)
	r.MemberID, r.Generation, r.ProtocolType, r.Protocol = m.id, m.epoch, &protocolType, &protocol
	t.answer(r)
	t.cancel(memberKey(rejoinTimer, g.id, m.id))
	t.set(session(g.id, m.id), millis(req.SessionTimeoutMillis), 0)
	t.set(memberKey(resyncTimer, g.id, m.id), millis(wish.RebalanceTimeoutMillis), 0)
	replaced := existing != nil && existing.id != m.id && existing.Classic == nil
	if c := t.group(g.id).consumer; replaced && t.mayDowngrade(c, "", len(c.members)) {
		t.downgrade(g.id, "", m)
	}
	return nil
}

// subscriptionOf returns what a member says of itself when it joins; ok is false if it
// cannot join this group.
func (t *tx) subscriptionOf(
	c *consumerGroup, req *kmsg.JoinGroupRequest,
) (said *kmsg.ConsumerMemberMetadata, ok bool) {
	if req.ProtocolType != consumerProtocol || len(req.Protocols) == 0 {
		return nil, false
	}
	common := slices.ContainsFunc(req.Protocols, func(p kmsg.JoinGroupRequestProtocol) bool {
		// All or not all: the map may be read in any order.
		for _, m := range c.members {
			if m.Classic != nil && !slices.ContainsFunc(m.Classic.Protocols,
				func(q Protocol) bool { return p.Name == q.Name }) {
				return false
			}
		}
		return true
	})
	if !common {
		return nil, false
	}
	return readSubscription(req.Protocols[0].Metadata)
}

// ownedByName returns partitions whose topics exist.
func (t *tx) ownedByName(list []kmsg.ConsumerMemberMetadataOwnedPartition) Assignment {
	var a Assignment
	for i := range list {
		a = t.addByName(a, list[i].Topic, list[i].Partitions)
	}
	return a.sorted()
}

func (t *tx) addByName(a Assignment, name string, partitions []int32) Assignment {
	topic := t.s.image.Topic(name)
	if topic == nil {
		return a
	}
	for _, p := range partitions {
		if p >= 0 && int(p) < len(topic.Partitions) {
			a = append(a, Partition{Topic: topic.ID, Index: p})
		}
	}
	return a
}

// classicMemberOf returns the member that a request comes from, if it may speak the
// classic protocol.
func classicMemberOf(c *consumerGroup, id string, instanceID *string) (*consumerMember, *failure) {
	m := c.members[id]
	if instanceID != nil {
		if m = c.static(instanceID); m != nil && m.id != id {
			return nil, fail(errcode.FencedInstanceID, "")
		}
	}
	if m == nil || m.Classic == nil {
		return nil, fail(errcode.UnknownMemberID, "")
	}
	return m, nil
}

// classicSyncsConsumer tells a member its partitions.
func (t *tx) classicSyncsConsumer(g *group, req *kmsg.SyncGroupRequest) *failure {
	m, f := classicMemberOf(g.consumer, req.MemberID, req.InstanceID)
	if f != nil {
		return f
	}
	protocolType, protocol := consumerProtocol, m.Classic.Protocols[0].Name
	switch {
	case req.Generation != m.epoch:
		return fail(errcode.IllegalGeneration, "")
	case differs(req.ProtocolType, &protocolType) || differs(req.Protocol, &protocol):
		return fail(errcode.InconsistentGroupProtocol, "")
	case g.consumer.epoch > m.epoch && m.state != UnrevokedPartitions:
		t.setIfAbsent(memberKey(rejoinTimer, g.id, m.id), millis(m.RebalanceTimeoutMillis))
		return fail(errcode.RebalanceInProgress, "")
	}
	t.cancel(memberKey(resyncTimer, g.id, m.id))
	t.set(session(g.id, m.id), millis(m.Classic.SessionTimeoutMillis), 0)
	r := req.ResponseKind().(*kmsg.SyncGroupResponse)
	r.ProtocolType, r.Protocol = &protocolType, &protocol
	r.MemberAssignment = t.classicAssignment(m.assigned, m.Classic.Protocols[0].Metadata)
	t.answer(r)
	return nil
}

// classicAssignment writes an assignment as leaders of classic groups do, in the version
// of the schema that the member's own words are in.
func (t *tx) classicAssignment(a Assignment, words []byte) []byte {
	out := kmsg.ConsumerMemberAssignment{}
	if said, ok := readSubscription(words); ok {
		out.Version = said.Version
	}
	for topic := range a.topics() {
		known := t.s.image.TopicByID(topic[0].Topic)
		if known == nil {
			continue
		}
		part := kmsg.ConsumerMemberAssignmentTopic{Topic: known.Name}
		for _, p := range topic {
			part.Partitions = append(part.Partitions, p.Index)
		}
		out.Topics = append(out.Topics, part)
	}
	return out.AppendTo(nil)
}

// classicBeatsConsumer tells a member whether it has to join again.
func (t *tx) classicBeatsConsumer(g *group, req *kmsg.HeartbeatRequest) *failure {
	c := g.consumer
	m, f := classicMemberOf(c, req.MemberID, req.InstanceID)
	switch {
	case f != nil:
		return f
	case req.Generation != m.epoch:
		return fail(errcode.IllegalGeneration, "")
	}
	t.set(session(g.id, m.id), millis(m.Classic.SessionTimeoutMillis), 0)
	r := req.ResponseKind().(*kmsg.HeartbeatResponse)
	if m.epoch < c.epoch || m.state == UnrevokedPartitions ||
		m.state == UnreleasedPartitions && !c.waits(m) {
		r.ErrorCode = int16(errcode.RebalanceInProgress)
		t.setIfAbsent(memberKey(rejoinTimer, g.id, m.id), millis(m.RebalanceTimeoutMillis))
	}
	t.answer(r)
	return nil
}

// waits reports whether a partition that the member shall have is another's still.
func (c *consumerGroup) waits(m *consumerMember) bool {
	for _, p := range c.target[m.id] {
		owner, taken := c.owners[p]
		if !m.assigned.has(p) && taken && owner != m.id {
			return true
		}
	}
	return false
}

func (t *tx) classicLeavesConsumer(
	g *group, members []kmsg.LeaveGroupRequestMember,
) []kmsg.LeaveGroupResponseMember {
	var answers []kmsg.LeaveGroupResponseMember
	var left []string
	for i := range members {
		l := &members[i]
		answer := kmsg.LeaveGroupResponseMember{MemberID: l.MemberID, InstanceID: l.InstanceID}
		id := l.MemberID
		if id == "" && l.InstanceID != nil {
			id = g.consumer.instances[*l.InstanceID]
		}
		m, f := classicMemberOf(g.consumer, id, l.InstanceID)
		switch {
		case f != nil:
			answer.ErrorCode = int16(f.code)
		case !slices.Contains(left, m.id):
			answer.MemberID = m.id
			left = append(left, m.id)
		}
		answers = append(answers, answer)
	}
	if len(left) > 0 {
		t.expel(g.id, left, CauseMemberLeft)
	}
	return answers
}
