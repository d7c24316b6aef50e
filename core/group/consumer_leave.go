package group

import (
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
)

// consumerLeave removes a member, or notes that a static one will be back.
func (t *tx) consumerLeave(req *kmsg.ConsumerGroupHeartbeatRequest) *failure {
	g := t.group(req.Group)
	if g == nil || g.consumer == nil {
		return fail(errcode.GroupIDNotFound, "there is no consumer group of this id")
	}
	m := g.consumer.members[req.MemberID]
	if req.InstanceID != nil {
		m = g.consumer.static(req.InstanceID)
	}
	switch {
	case m == nil:
		return fail(errcode.UnknownMemberID, "the member is not known")
	case m.id != req.MemberID:
		return fail(errcode.FencedInstanceID, "another member has the instance id")
	}
	if req.MemberEpoch == leaveStaticEpoch {
		t.emit(Key{Type: ConsumerCurrentType, Group: g.id, Name: m.id}, &ConsumerCurrent{
			MemberEpoch: leaveStaticEpoch, PreviousMemberEpoch: m.epoch,
			// What it had to give up it has given up, as it has stopped.
			State: m.state, Assigned: m.assigned,
		})
		t.cancel(memberKey(revocationTimer, g.id, m.id))
	} else {
		t.fence(g, m, CauseMemberLeft)
	}
	r := req.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
	id := m.id
	r.MemberID, r.MemberEpoch = &id, req.MemberEpoch
	t.answer(r)
	return nil
}

// fence removes a member from a consumer group. What it had is free at once.
func (t *tx) fence(g *group, m *consumerMember, cause Cause) {
	if t.mayDowngrade(g.consumer, m.id, len(g.consumer.members)-1) {
		t.downgrade(g.id, m.id, nil)
		return
	}
	t.expel(g.id, []string{m.id}, cause)
}

// expel removes members from a consumer group, and begins a new epoch without them.
func (t *tx) expel(id string, members []string, cause Cause) {
	var gone []*consumerMember
	for _, member := range members {
		gone = append(gone, t.group(id).consumer.members[member])
		t.emitMemberTombstones(id, member)
		t.cancelMember(id, member)
	}
	for _, m := range gone {
		t.cleanRegex(id, m, nil)
	}
	t.bump(id, cause, members[0])
}

func (t *tx) emitMemberTombstones(group, member string) {
	for _, k := range []KeyType{ConsumerCurrentType, ConsumerTargetMemberType, ConsumerMemberType} {
		t.emit(Key{Type: k, Group: group, Name: member}, nil)
	}
}

func (t *tx) cancelMember(group, member string) {
	for _, k := range []timerKind{sessionTimer, revocationTimer, rejoinTimer, resyncTimer} {
		t.cancel(memberKey(k, group, member))
	}
}

// emitConsumerTombstones removes a consumer group, but not its offsets.
func (t *tx) emitConsumerTombstones(g *group) {
	c := g.consumer
	for _, m := range c.ids() {
		t.emitMemberTombstones(g.id, m)
		t.cancelMember(g.id, m)
	}
	for _, m := range slices.Sorted(maps.Keys(c.target)) {
		if c.members[m] == nil {
			t.emit(Key{Type: ConsumerTargetMemberType, Group: g.id, Name: m}, nil)
		}
	}
	t.emit(Key{Type: ConsumerTargetMetadataType, Group: g.id}, nil)
	for _, pattern := range slices.Sorted(maps.Keys(c.regexes)) {
		t.emit(Key{Type: ConsumerRegularExpressionType, Group: g.id, Name: pattern}, nil)
	}
	if c.oldMetadata {
		t.emit(Key{Type: ConsumerPartitionType, Group: g.id}, nil)
	}
	t.cancel(timerKey{kind: regexTimer, group: g.id})
	t.emit(Key{Type: ConsumerGroupMetadataType, Group: g.id}, nil)
}

// consumerLoaded gives every member of a group a whole session.
func (t *tx) consumerLoaded(g *group) {
	c := g.consumer
	patterns := false
	for _, id := range c.ids() {
		m := c.members[id]
		timeout := t.s.sessionTimeout(g.id)
		if m.Classic != nil {
			timeout = millis(m.Classic.SessionTimeoutMillis)
		}
		t.set(session(g.id, id), timeout, 0)
		if m.Classic == nil && m.state == UnrevokedPartitions {
			t.set(memberKey(revocationTimer, g.id, id), millis(m.RebalanceTimeoutMillis), int64(m.epoch))
		}
		_, ok := m.regex()
		patterns = patterns || ok
	}
	if patterns {
		t.rematch(g)
	}
}
