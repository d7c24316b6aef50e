package group

import (
	"strconv"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/mutant"
)

func memberKey(kind timerKind, group, member string) timerKey {
	return timerKey{kind: kind, group: group, member: member}
}

// assignTo brings the target of a group up to its epoch, and a member nearer to the
// target. Owned is what the client says it has, nil if it does not say. It returns the
// member as it is then.
func (t *tx) assignTo(id, member string, owned *Assignment) *consumerMember {
	if c := t.group(id).consumer; c.epoch > c.targetEpoch {
		t.retarget(id)
	}
	c := t.group(id).consumer
	m := c.members[member]
	if m.reconciled(c.targetEpoch) {
		return m
	}
	next := t.next(c, m, owned)
	if next.same(m) {
		return m
	}
	t.emit(Key{Type: ConsumerCurrentType, Group: id, Name: member}, &ConsumerCurrent{
		MemberEpoch: next.epoch, PreviousMemberEpoch: next.previousEpoch, State: next.state,
		Assigned: next.assigned, PendingRevocation: next.pendingRevocation,
	})
	key := memberKey(revocationTimer, id, member)
	switch {
	case m.Classic != nil:
	case next.state == UnrevokedPartitions:
		t.set(key, millis(next.RebalanceTimeoutMillis), int64(next.epoch))
	default:
		t.cancel(key)
	}
	return t.group(id).consumer.members[member]
}

func (m *consumerMember) same(n *consumerMember) bool {
	return m.epoch == n.epoch && m.previousEpoch == n.previousEpoch && m.state == n.state &&
		m.assigned.equal(n.assigned) && m.pendingRevocation.equal(n.pendingRevocation)
}

// retarget computes which member shall have which partitions, as of the group's epoch.
func (t *tx) retarget(id string) {
	c := t.group(id).consumer
	config := t.s.config()
	target := assign(c.assignorName(config), t.s.memberSpecs(c))
	for _, member := range c.ids() {
		if old, ok := c.target[member]; !ok || !old.equal(target[member]) {
			t.emit(Key{Type: ConsumerTargetMemberType, Group: id, Name: member},
				&ConsumerTargetMember{Partitions: target[member]})
		}
	}
	t.emit(Key{Type: ConsumerTargetMetadataType, Group: id},
		&ConsumerTargetMetadata{AssignmentEpoch: t.group(id).consumer.epoch})
}

// memberSpecs returns what the assignors have to know of the members.
func (s *Shard) memberSpecs(c *consumerGroup) []memberSpec {
	specs := make([]memberSpec, 0, len(c.members))
	for _, id := range c.ids() {
		m := c.members[id]
		spec := memberSpec{id: id, instanceID: m.InstanceID, previous: c.target[id]}
		for _, name := range c.topicsOf(m) {
			if topic := s.image.Topic(name); topic != nil {
				spec.topics = append(spec.topics, topic)
			}
		}
		specs = append(specs, spec)
	}
	return specs
}

// next returns a member one step nearer to the target.
//
//	what it has that is in the target stays
//	what it has besides must be revoked: until the client has given it up, nothing else
//	what is in the target besides is added, but for what others still have
//
// A partition is another's until that one's client said that it has it no longer, or
// until that one was removed.
func (t *tx) next(c *consumerGroup, m *consumerMember, owned *Assignment) *consumerMember {
	from := *m
	if from.state == UnrevokedPartitions {
		if owned == nil || len(owned.and(from.pendingRevocation)) > 0 {
			return m
		}
		// The client gave up what it had to; it may not know yet that this is a new epoch.
		if from.epoch < c.targetEpoch {
			from.advance(from.epoch + 1)
		}
		from.pendingRevocation = nil
	}
	target := c.target[m.id]
	kept := from.assigned.and(target)
	revoked := from.assigned.without(kept)
	wanted := target.without(kept)
	free := wanted.filter(func(p Partition) bool {
		owner, taken := c.owners[p]
		if taken && t.s.mutants.On(mutant.G8RevokingIsFree) {
			taken = c.members[owner].assigned.has(p)
		}
		return !taken || owner == m.id
	})
	n := from
	if len(revoked) > 0 && (owned == nil || len(owned.and(revoked)) > 0) {
		n.state, n.assigned, n.pendingRevocation = UnrevokedPartitions, kept, revoked
		return &n
	}
	n.advance(c.targetEpoch)
	n.assigned, n.pendingRevocation = kept.plus(free), nil
	n.state = Stable
	if len(free) < len(wanted) {
		n.state = UnreleasedPartitions
	}
	return &n
}

// advance raises the epoch of a member.
func (m *consumerMember) advance(epoch int32) {
	if epoch == m.epoch {
		return
	}
	m.previousEpoch, m.epoch = m.epoch, epoch
}

// sessionTimeout returns how long the members of a consumer group may be silent.
func (s *Shard) sessionTimeout(group string) clock.Duration {
	c := s.config()
	return s.groupConfig(group, "consumer.session.timeout.ms", c.GroupConsumerSessionTimeout,
		c.GroupConsumerMinSessionTimeout, c.GroupConsumerMaxSessionTimeout)
}

// heartbeatInterval returns how often the members of a consumer group are to call.
func (s *Shard) heartbeatInterval(group string) clock.Duration {
	c := s.config()
	return s.groupConfig(group, "consumer.heartbeat.interval.ms", c.GroupConsumerHeartbeatInterval,
		c.GroupConsumerMinHeartbeatInterval, c.GroupConsumerMaxHeartbeatInterval)
}

// groupConfig returns what is configured for one group, or else the default for all.
func (s *Shard) groupConfig(group, name string, def, least, most clock.Duration) clock.Duration {
	for _, e := range s.image.Configs(metadata.GroupResource, group) {
		if e.Name != name {
			continue
		}
		if n, err := strconv.ParseInt(e.Value, 10, 64); err == nil {
			return min(max(clock.Millis(n), least), most)
		}
	}
	return def
}
