package group

import (
	"regexp"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
)

// consumerGroupHeartbeat answers ConsumerGroupHeartbeat (68), versions 0 and 1: KIP-848,
// KIP-1082. Members join, say what they want, learn what they get, and leave with it.
func (t *tx) consumerGroupHeartbeat(req *kmsg.ConsumerGroupHeartbeatRequest) *failure {
	if f := t.checkBeat(req); f != nil {
		return f
	}
	if req.MemberEpoch < 0 {
		return t.consumerLeave(req)
	}
	if f := t.becomeConsumer(req.Group, req.MemberEpoch == 0); f != nil {
		return f
	}
	g := t.group(req.Group)
	id := req.MemberID
	if g.full(t.s.config().GroupConsumerMaxSize, id) {
		return fail(errcode.GroupMaxSizeReached, "the group has no room for another member")
	}
	if id == "" {
		id = compact(t.c.IDs())
	}
	old, f := t.findMember(g, &joining{
		id: id, instanceID: req.InstanceID, epoch: req.MemberEpoch, owned: ownedOf(req.Topics),
		create: req.MemberEpoch == 0,
	})
	if f != nil {
		return f
	}
	wish := t.wishOf(old, req)
	t.subscribe(req.Group, old, wish)
	m := t.assignTo(req.Group, wish.id, ownedOf(req.Topics))
	t.set(session(req.Group, m.id), t.s.sessionTimeout(req.Group), 0)
	t.answer(t.beatResponse(req, old, m))
	return nil
}

func (g *group) full(limit int32, id string) bool {
	return len(g.consumer.members) >= int(limit) && g.consumer.members[id] == nil
}

func (t *tx) checkBeat(req *kmsg.ConsumerGroupHeartbeatRequest) *failure {
	invalid := func(text string) *failure { return fail(errcode.InvalidRequest, text) }
	set := func(s *string) bool { return s == nil || *s != "" && len(*s) <= nameMax }
	joins := req.MemberEpoch == 0
	switch {
	case !validID(req.Group):
		return invalid("the group id is empty or too long")
	case !set(req.InstanceID) || !set(req.RackID) || len(req.MemberID) > nameMax:
		return invalid("an instance id, rack id or member id is empty or too long")
	case req.MemberEpoch < leaveStaticEpoch:
		return invalid("the member epoch is invalid")
	case req.MemberID == "" && (!joins || req.Version > 0): // KIP-1082
		return invalid("the member id is empty")
	case req.MemberEpoch == leaveStaticEpoch && req.InstanceID == nil:
		return invalid("a static member leaves without an instance id")
	case joins && req.RebalanceTimeoutMillis == -1:
		return invalid("the first request has no rebalance timeout")
	case joins && (req.Topics == nil || len(req.Topics) > 0):
		return invalid("the first request must have an empty list of partitions")
	case joins && len(req.SubscribedTopicNames) == 0 && text(req.SubscribedTopicRegex) == "" &&
		(req.Version == 0 || req.SubscribedTopicNames == nil && req.SubscribedTopicRegex == nil):
		return invalid("the first request has no subscription")
	}
	if req.MemberEpoch < 0 {
		return nil
	}
	if req.ServerAssignor != nil && !knownAssignor(t.s.config(), *req.ServerAssignor) {
		return fail(errcode.UnsupportedAssignor, "the assignor is not supported")
	}
	if p := text(req.SubscribedTopicRegex); p != "" {
		if _, err := regexp.Compile(p); err != nil || len(p) > nameMax {
			return fail(errcode.InvalidRegularExpression, "the regular expression is not valid RE2")
		}
	}
	return nil
}

// ownedOf returns the partitions that a client says it has; nil if it says nothing.
func ownedOf(topics []kmsg.ConsumerGroupHeartbeatRequestTopic) *Assignment {
	if topics == nil {
		return nil
	}
	owned := Assignment{}
	for i := range topics {
		for _, p := range topics[i].Partitions {
			owned = append(owned, Partition{Topic: topics[i].TopicID, Index: p})
		}
	}
	owned = owned.sorted()
	return &owned
}

// becomeConsumer makes sure that there is a consumer group of an id; if create is set, an
// empty group may become one, and a classic one whose members may stay.
func (t *tx) becomeConsumer(id string, create bool) *failure {
	g := t.group(id)
	switch {
	case g != nil && g.consumer != nil:
		return nil
	case !create:
		return fail(errcode.GroupIDNotFound, "there is no consumer group of this id")
	case g == nil:
		t.put(&group{id: id, consumer: newConsumerGroup()})
		return nil
	case g.empty():
		if g.classic.stored != nil {
			t.emit(Key{Type: GroupMetadataType, Group: id}, nil)
		}
		t.put(&group{id: id, consumer: newConsumerGroup()})
		return nil
	}
	return t.upgrade(g)
}

// joining is how a member identifies itself.
type joining struct {
	instanceID *string
	owned      *Assignment // what it has, nil if it does not say
	id         string
	epoch      int32
	create     bool // it may be new
	classic    bool // its epoch is not compared
}

// findMember returns the member that a request comes from. A new one is not in the group
// yet. A static one that comes back under another id gets the place of the old.
func (t *tx) findMember(g *group, j *joining) (*consumerMember, *failure) {
	c := g.consumer
	if j.instanceID == nil {
		m := c.members[j.id]
		if m == nil && !j.create {
			return nil, fail(errcode.UnknownMemberID, "the member is not known")
		}
		if m == nil {
			return c.mutable(j.id), nil
		}
		return m, j.checkEpoch(m)
	}
	m := c.static(j.instanceID)
	switch {
	case m == nil && !j.create:
		return nil, fail(errcode.UnknownMemberID, "the instance id is not known")
	case m == nil:
		return c.mutable(j.id), nil
	case !j.create && m.id != j.id:
		return nil, fail(errcode.FencedInstanceID, "another member has the instance id")
	case !j.create, m.id == j.id && m.epoch != leaveStaticEpoch:
		return m, j.checkEpoch(m)
	case !j.classic && m.Classic == nil && m.epoch != leaveStaticEpoch:
		return nil, fail(errcode.UnreleasedInstanceID, "another member has the instance id")
	}
	return t.replaceStatic(g.id, m, j.id), nil
}

// checkEpoch compares what the member and the coordinator take for the member's epoch. The
// member may be one behind if an answer was lost, as long as it has nothing that it was
// told to give up.
func (j *joining) checkEpoch(m *consumerMember) *failure {
	if j.classic || j.epoch == m.epoch {
		return nil
	}
	lost := j.epoch < m.epoch && j.epoch == m.previousEpoch && j.owned != nil &&
		len(j.owned.without(m.assigned)) == 0
	if lost {
		return nil
	}
	return fail(errcode.FencedMemberEpoch, "the member must give up its partitions and join again")
}

// replaceStatic gives the place of a static member, with all it has, to another id.
func (t *tx) replaceStatic(group string, old *consumerMember, id string) *consumerMember {
	target := t.group(group).consumer.target[old.id]
	t.emitMemberTombstones(group, old.id)
	t.cancelMember(group, old.id)
	member := old.ConsumerMember
	t.emit(Key{Type: ConsumerMemberType, Group: group, Name: id}, &member)
	t.emit(Key{Type: ConsumerTargetMemberType, Group: group, Name: id},
		&ConsumerTargetMember{Partitions: target})
	t.emit(Key{Type: ConsumerCurrentType, Group: group, Name: id}, &ConsumerCurrent{
		State: old.state, Assigned: old.assigned, PendingRevocation: old.pendingRevocation,
	})
	return t.group(group).consumer.members[id]
}

// wishOf returns the member as the request wants it to be.
func (t *tx) wishOf(old *consumerMember, req *kmsg.ConsumerGroupHeartbeatRequest) *consumerMember {
	m := *old
	if req.InstanceID != nil {
		m.InstanceID = req.InstanceID
	}
	if req.RackID != nil {
		m.RackID = req.RackID
	}
	if req.RebalanceTimeoutMillis != -1 {
		m.RebalanceTimeoutMillis = req.RebalanceTimeoutMillis
	}
	if req.ServerAssignor != nil {
		m.ServerAssignor = req.ServerAssignor
	}
	if req.SubscribedTopicNames != nil {
		m.SubscribedTopicNames = sortedNames(req.SubscribedTopicNames)
	}
	if req.SubscribedTopicRegex != nil {
		m.SubscribedTopicRegex = req.SubscribedTopicRegex
	}
	m.ClientID, m.ClientHost, m.Classic = t.c.ClientID, t.c.ClientHost, nil
	return &m
}

func (m *ConsumerMember) equal(n *ConsumerMember) bool {
	same := sameText(m.InstanceID, n.InstanceID) && sameText(m.RackID, n.RackID) &&
		sameText(m.SubscribedTopicRegex, n.SubscribedTopicRegex) &&
		sameText(m.ServerAssignor, n.ServerAssignor) && m.ClientID == n.ClientID &&
		m.ClientHost == n.ClientHost && m.RebalanceTimeoutMillis == n.RebalanceTimeoutMillis &&
		slices.Equal(m.SubscribedTopicNames, n.SubscribedTopicNames)
	if !same || (m.Classic == nil) != (n.Classic == nil) {
		return false
	}
	return m.Classic == nil ||
		m.Classic.SessionTimeoutMillis == n.Classic.SessionTimeoutMillis &&
			slices.EqualFunc(m.Classic.Protocols, n.Classic.Protocols, func(a, b Protocol) bool {
				return a.Name == b.Name && string(a.Metadata) == string(b.Metadata)
			})
}

// subscribe writes down what a member wants. The group's epoch rises if there is something
// new to share, or somebody new to share with.
func (t *tx) subscribe(id string, old, wish *consumerMember) {
	c := t.group(id).consumer
	before := c.members[wish.id]
	cause := Cause("")
	if before == nil || !before.equal(&wish.ConsumerMember) {
		member := wish.ConsumerMember
		was := c.topicsOf(old)
		t.emit(Key{Type: ConsumerMemberType, Group: id, Name: wish.id}, &member)
		t.cleanRegex(id, old, wish)
		now := t.group(id).consumer.topicsOf(wish)
		switch {
		case before == nil:
			cause = CauseMemberJoined
		case !slices.Equal(was, now):
			cause = CauseSubscriptionChanged
		}
	}
	t.bump(id, cause, wish.id)
}

// bump raises the epoch of a group if there is a cause, or if the topics that it subscribes
// to are others than they were.
func (t *tx) bump(id string, cause Cause, member string) {
	if cause == "" && t.s.matched[id] == t.s.topics {
		return
	}
	c := t.group(id).consumer
	hash := hashTopics(t.s.image, c.subscribed())
	if cause == "" {
		if hash == c.metadataHash {
			t.s.matched[id] = t.s.topics // so that it is not made again for nothing
			return
		}
		cause, member = CauseTopicsChanged, ""
	}
	if c.oldMetadata {
		t.emit(Key{Type: ConsumerPartitionType, Group: id}, nil)
	}
	epoch := c.epoch + 1
	t.emit(Key{Type: ConsumerGroupMetadataType, Group: id},
		&ConsumerGroupMetadata{Epoch: epoch, MetadataHash: hash})
	t.report(EpochStarted{
		Group: id, Epoch: epoch, Cause: cause, Member: member,
		Members: len(t.group(id).consumer.members),
	})
}

func (t *tx) beatResponse(
	req *kmsg.ConsumerGroupHeartbeatRequest, old, m *consumerMember,
) *kmsg.ConsumerGroupHeartbeatResponse {
	r := req.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
	id := m.id
	r.MemberID, r.MemberEpoch = &id, m.epoch
	r.HeartbeatIntervalMillis = int32(t.s.heartbeatInterval(req.Group).Millis())
	full := req.MemberEpoch == 0 || req.RebalanceTimeoutMillis != -1 && req.Topics != nil &&
		(req.SubscribedTopicNames != nil || req.SubscribedTopicRegex != nil)
	if full || !old.assigned.equal(m.assigned) {
		r.Assignment = &kmsg.ConsumerGroupHeartbeatResponseAssignment{
			Topics: []kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{},
		}
		for topic := range m.assigned.topics() {
			part := kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{TopicID: topic[0].Topic}
			for _, p := range topic {
				part.Partitions = append(part.Partitions, p.Index)
			}
			r.Assignment.Topics = append(r.Assignment.Topics, part)
		}
	}
	return r
}
