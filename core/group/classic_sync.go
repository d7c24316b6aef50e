package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/mutant"
)

// syncGroup answers SyncGroup (14), versions 0 to 5: KIP-345, KIP-559. The answer waits
// until the leader's assignment is committed.
func (t *tx) syncGroup(req *kmsg.SyncGroupRequest) *failure {
	if !validID(req.Group) {
		return fail(errcode.InvalidGroupID, "")
	}
	if req.Version >= 5 && (req.ProtocolType == nil || req.Protocol == nil) {
		return fail(errcode.InconsistentGroupProtocol, "")
	}
	g := t.group(req.Group)
	switch {
	case g == nil || g.empty():
		return fail(errcode.UnknownMemberID, "")
	case g.consumer != nil:
		return t.classicSyncsConsumer(g, req)
	}
	if f := t.checkSync(g.classic, req); f != nil {
		return f
	}
	g = t.edit(g.id)
	c := g.classic
	switch c.state {
	case ClassicPreparing, ClassicEmpty:
		return fail(errcode.RebalanceInProgress, "")
	case ClassicStable:
		t.synced(g, req.MemberID)
		t.answer(c.syncResponse(req, c.members[req.MemberID]))
	case ClassicCompleting:
		m := c.mutable(req.MemberID)
		if m.sync != nil {
			t.answerParked(m.sync, ErrorResponse(m.sync.request, errcode.RebalanceInProgress, ""))
		}
		m.sync = t.park(req)
		t.synced(g, m.id)
		if m.id == c.leader || t.s.mutants.On(mutant.G9SyncOfAnyone) && len(req.GroupAssignment) > 0 {
			t.assign(g, req)
		}
	}
	return nil
}

func (t *tx) checkSync(c *classicGroup, req *kmsg.SyncGroupRequest) *failure {
	if f := c.checkMember(req.MemberID, req.InstanceID); f != nil {
		return f
	}
	if req.Generation != c.generation && !t.s.mutants.On(mutant.G9SyncOfAnyone) {
		return fail(errcode.IllegalGeneration, "")
	}
	if differs(req.ProtocolType, &c.protocolType) || differs(req.Protocol, c.protocol) {
		return fail(errcode.InconsistentGroupProtocol, "")
	}
	return nil
}

// differs reports whether a client says something else than the group.
func differs(said, known *string) bool {
	return said != nil && known != nil && *said != *known
}

// synced notes that a member has come for its assignment.
func (t *tx) synced(g *group, id string) {
	delete(g.classic.pendingSync, id)
	if len(g.classic.pendingSync) == 0 {
		t.cancel(syncKey(g))
	}
}

// assign takes the assignment of the leader.
func (t *tx) assign(g *group, req *kmsg.SyncGroupRequest) {
	c := g.classic
	parts := make(map[string][]byte, len(req.GroupAssignment))
	for i := range req.GroupAssignment {
		a := &req.GroupAssignment[i]
		parts[a.MemberID] = a.MemberAssignment
	}
	for _, m := range c.ordered() {
		// Who is left out has nothing.
		c.mutable(m.id).assignment = append([]byte{}, parts[m.id]...)
	}
	c.enter(ClassicStable, t.wall())
	t.emitClassic(g)
	for _, m := range c.ordered() {
		t.completeSync(g, m.id, errcode.None)
	}
	t.report(RebalanceCompleted{Group: g.id, Epoch: c.generation, Took: t.mono().Sub(c.began)})
}

// completeSync answers the SyncGroup of a member, if one waits.
func (t *tx) completeSync(g *group, id string, code errcode.Code) {
	c := g.classic
	m := c.mutable(id)
	if m.sync == nil {
		return
	}
	req := m.sync.request.(*kmsg.SyncGroupRequest)
	r := kmsg.Response(c.syncResponse(req, m))
	if code != errcode.None {
		r = ErrorResponse(req, code, "")
	}
	t.answerParked(m.sync, r)
	m.sync = nil
	t.restartSession(g, m)
}

func (c *classicGroup) syncResponse(
	req *kmsg.SyncGroupRequest, m *classicMember,
) *kmsg.SyncGroupResponse {
	r := req.ResponseKind().(*kmsg.SyncGroupResponse)
	protocolType := c.protocolType
	r.ProtocolType, r.Protocol = &protocolType, c.protocol
	r.MemberAssignment = m.assignment
	return r
}

// heartbeat answers Heartbeat (12), versions 0 to 4.
func (t *tx) heartbeat(req *kmsg.HeartbeatRequest) *failure {
	if !validID(req.Group) {
		return fail(errcode.InvalidGroupID, "")
	}
	g := t.group(req.Group)
	switch {
	case g == nil:
		return fail(errcode.UnknownMemberID, "")
	case g.consumer != nil:
		return t.classicBeatsConsumer(g, req)
	}
	c := g.classic
	if f := c.checkMember(req.MemberID, req.InstanceID); f != nil {
		return f
	}
	if req.Generation != c.generation {
		return fail(errcode.IllegalGeneration, "")
	}
	t.restartSession(g, c.members[req.MemberID])
	r := req.ResponseKind().(*kmsg.HeartbeatResponse)
	if c.state == ClassicPreparing {
		r.ErrorCode = int16(errcode.RebalanceInProgress)
	}
	t.answer(r)
	return nil
}

// leaveGroup answers LeaveGroup (13), versions 0 to 5: KIP-345, KIP-800.
func (t *tx) leaveGroup(req *kmsg.LeaveGroupRequest) *failure {
	if !validID(req.Group) {
		return fail(errcode.InvalidGroupID, "")
	}
	g := t.group(req.Group)
	if g == nil {
		return fail(errcode.UnknownMemberID, "")
	}
	members := req.Members
	if req.Version < 3 {
		members = []kmsg.LeaveGroupRequestMember{{MemberID: req.MemberID}}
	}
	g = t.edit(g.id)
	leave := t.classicLeaves
	if g.consumer != nil {
		leave = t.classicLeavesConsumer
	}
	r := req.ResponseKind().(*kmsg.LeaveGroupResponse)
	r.Members = leave(g, members)
	if req.Version < 3 {
		r.ErrorCode, r.Members = r.Members[0].ErrorCode, nil
	}
	t.answer(r)
	return nil
}

func (t *tx) classicLeaves(
	g *group, members []kmsg.LeaveGroupRequestMember,
) []kmsg.LeaveGroupResponseMember {
	c := g.classic
	left := ""
	var answers []kmsg.LeaveGroupResponseMember
	for i := range members {
		m := &members[i]
		answer := kmsg.LeaveGroupResponseMember{MemberID: m.MemberID, InstanceID: m.InstanceID}
		id := m.MemberID
		if id == "" && m.InstanceID != nil {
			id = c.instances[*m.InstanceID] // an operator knows no ids (KIP-345)
		}
		if c.pendingJoin[id] {
			c.drop(id)
			t.cancel(session(g.id, id))
			left = id
		} else if f := c.checkMember(id, m.InstanceID); f != nil {
			answer.ErrorCode = int16(f.code)
		} else {
			t.dropMember(g, id)
			left = id
		}
		answers = append(answers, answer)
	}
	if left != "" {
		t.rebalanceWithout(g, CauseMemberLeft, left)
	}
	return answers
}
