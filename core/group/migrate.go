package group

import (
	"github.com/heiban/heiban/core/errcode"
)

// The values of group.consumer.migration.policy.
const (
	policyBidirectional = "bidirectional"
	policyUpgrade       = "upgrade"
	policyDowngrade     = "downgrade"
)

// upgrade makes a consumer group of a classic one with members, which go on with what they
// have (KIP-848). Its generation is the first epoch.
func (t *tx) upgrade(g *group) *failure {
	c := g.classic
	config := t.s.config()
	policy := config.GroupConsumerMigrationPolicy
	refused := fail(errcode.GroupIDNotFound, "the group is a classic group")
	allowed := policy == policyBidirectional || policy == policyUpgrade
	if !allowed || c.protocolType != consumerProtocol ||
		len(c.members) > int(config.GroupConsumerMaxSize) {
		return refused
	}
	members, ok := t.upgraded(c)
	if !ok {
		return refused
	}
	for _, m := range c.ordered() {
		for _, p := range []*parked{m.join, m.sync} {
			if p != nil {
				t.answerParked(p, ErrorResponse(p.request, errcode.RebalanceInProgress, ""))
			}
		}
	}
	t.cancel(joinKey(g))
	t.cancel(syncKey(g))
	if c.stored != nil {
		t.emit(Key{Type: GroupMetadataType, Group: g.id}, nil)
	}
	t.put(&group{id: g.id, consumer: newConsumerGroup(), idle: g.idle})
	t.emit(Key{Type: ConsumerGroupMetadataType, Group: g.id},
		&ConsumerGroupMetadata{Epoch: c.generation})
	for _, m := range members {
		member := m.ConsumerMember
		t.emit(Key{Type: ConsumerMemberType, Group: g.id, Name: m.id}, &member)
		t.emit(Key{Type: ConsumerTargetMemberType, Group: g.id, Name: m.id},
			&ConsumerTargetMember{Partitions: m.assigned})
		t.emit(Key{Type: ConsumerCurrentType, Group: g.id, Name: m.id}, &ConsumerCurrent{
			MemberEpoch: m.epoch, PreviousMemberEpoch: m.epoch, State: Stable, Assigned: m.assigned,
		})
		t.set(session(g.id, m.id), millis(m.Classic.SessionTimeoutMillis), 0)
	}
	t.emit(Key{Type: ConsumerTargetMetadataType, Group: g.id},
		&ConsumerTargetMetadata{AssignmentEpoch: c.generation})
	t.report(Converted{Group: g.id, To: consumerProtocol, Epoch: c.generation})
	return nil
}

// upgraded returns the members of a classic group as members of a consumer group; ok is
// false if what they say of themselves cannot be read.
func (t *tx) upgraded(c *classicGroup) (members []*consumerMember, ok bool) {
	taken := map[Partition]bool{}
	for _, m := range c.ordered() {
		// Before the first generation no protocol is chosen.
		words := m.protocols[0].Metadata
		if c.protocol != nil && m.metadata(*c.protocol) != nil {
			words = m.metadata(*c.protocol)
		}
		said, readable := readSubscription(words)
		topics, assigned := readAssignment(m.assignment)
		if !readable || !assigned {
			return nil, false
		}
		var a Assignment
		for i := range topics {
			a = t.addByName(a, topics[i].Topic, topics[i].Partitions)
		}
		// Nothing keeps the leader of a classic group from assigning a partition twice.
		a = a.sorted().filter(func(p Partition) bool { return !taken[p] })
		for _, p := range a {
			taken[p] = true
		}
		members = append(members, &consumerMember{
			id: m.id, epoch: c.generation, assigned: a,
			ConsumerMember: ConsumerMember{
				InstanceID: m.instanceID, RackID: said.Rack, ClientID: m.clientID,
				ClientHost: m.clientHost, SubscribedTopicNames: sortedNames(said.Topics),
				RebalanceTimeoutMillis: m.rebalanceTimeoutMillis,
				Classic: &ClassicMember{
					Protocols: m.protocols, SessionTimeoutMillis: m.sessionTimeoutMillis,
				},
			},
		})
	}
	return members, true
}

// mayDowngrade reports whether a consumer group becomes a classic one without a member:
// those that are left, of this number, speak the classic protocol.
func (t *tx) mayDowngrade(c *consumerGroup, without string, left int) bool {
	config := t.s.config()
	policy := config.GroupConsumerMigrationPolicy
	return (policy == policyBidirectional || policy == policyDowngrade) && left > 0 &&
		left <= int(config.GroupMaxSize) && c.allClassicBut(without)
}

// downgrade makes a classic group of a consumer group whose last member that needs it is
// gone. Joined is a member that has just joined in the place of that one, and needs no
// rebalance; nil if there is none.
func (t *tx) downgrade(id, gone string, joined *consumerMember) {
	from := t.group(id)
	old := from.consumer
	c := newClassicGroup()
	c.state, c.stateTimestamp = ClassicStable, t.wall()
	c.generation, c.protocolType = old.epoch, consumerProtocol
	for _, member := range old.ids() {
		m := old.members[member]
		if member == gone {
			continue
		}
		c.add(&classicMember{
			id: m.id, instanceID: m.InstanceID, clientID: m.ClientID, clientHost: m.ClientHost,
			sessionTimeoutMillis:   m.Classic.SessionTimeoutMillis,
			rebalanceTimeoutMillis: m.RebalanceTimeoutMillis,
			protocols:              m.Classic.Protocols,
		})
	}
	protocol := c.selectProtocol()
	c.protocol = &protocol
	for _, m := range c.ordered() {
		m.assignment = t.classicAssignment(old.target[m.id], m.metadata(protocol))
	}
	t.emitConsumerTombstones(from)
	g := &group{id: id, classic: c, idle: from.idle}
	t.put(g)
	t.emitClassic(g)
	for _, m := range c.ordered() {
		t.restartSession(g, m)
	}
	t.report(Converted{Group: id, To: "classic", Epoch: c.generation})
	if joined == nil {
		t.prepareRebalance(g, CauseDowngraded, gone)
	}
}
