package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/mutant"
)

// joinGroup answers JoinGroup (11), versions 0 to 9: KIP-62, KIP-345, KIP-394, KIP-814. The
// answer waits until all members have joined.
func (t *tx) joinGroup(req *kmsg.JoinGroupRequest) *failure {
	config := t.s.config()
	timeout := millis(req.SessionTimeoutMillis)
	switch {
	case !validID(req.Group):
		return fail(errcode.InvalidGroupID, "")
	case timeout < config.GroupMinSessionTimeout || timeout > config.GroupMaxSessionTimeout:
		return fail(errcode.InvalidSessionTimeout, "")
	case !shortStrings(req):
		return fail(errcode.InvalidRequest, "")
	}
	g := t.group(req.Group)
	if g != nil && g.consumer != nil {
		if len(g.consumer.members) > 0 {
			return t.classicJoinsConsumer(g, req)
		}
		t.emitConsumerTombstones(g)
		g = nil
	}
	isNew := g == nil
	if isNew {
		if req.MemberID != "" {
			return fail(errcode.UnknownMemberID, "")
		}
		t.put(&group{id: req.Group, classic: newClassicGroup()})
		t.group(req.Group).classic.enter(ClassicEmpty, t.wall())
	}
	if f := t.joinClassic(t.edit(req.Group), req); f != nil {
		return f
	}
	if g = t.group(req.Group); isNew && g != nil && g.classic.stored == nil {
		// What the log says to the first record tells the first member whether this is
		// still the coordinator.
		t.emit(Key{Type: GroupMetadataType, Group: g.id}, &kmsg.GroupMetadataValue{
			Version: 3, CurrentStateTimestamp: g.classic.stateTimestamp,
		})
	}
	return nil
}

func validID(id string) bool { return id != "" && len(id) <= nameMax }

// shortStrings reports whether what a record will hold of the request fits.
func shortStrings(req *kmsg.JoinGroupRequest) bool {
	fits := len(req.ProtocolType) <= nameMax && len(text(req.InstanceID)) <= nameMax &&
		len(req.MemberID) <= nameMax
	for i := range req.Protocols {
		fits = fits && len(req.Protocols[i].Name) <= nameMax
	}
	return fits
}

func (t *tx) joinClassic(g *group, req *kmsg.JoinGroupRequest) *failure {
	c := g.classic
	if !t.accepts(c, req.MemberID) {
		if c.members[req.MemberID] == nil {
			c.drop(req.MemberID)
			t.answer(ErrorResponse(anonymous(req), errcode.GroupMaxSizeReached, ""))
			return nil
		}
		// A member that comes too late into a group that is full now has lost its place.
		t.removeClassic(g, req.MemberID, CauseOverCapacity)
		t.answer(ErrorResponse(anonymous(req), errcode.GroupMaxSizeReached, ""))
		return nil
	}
	if !c.supports(req.ProtocolType, protocolsOf(req)) {
		return fail(errcode.InconsistentGroupProtocol, "")
	}
	switch {
	case req.MemberID == "" && req.InstanceID == nil:
		t.joinNewDynamic(g, req)
	case req.MemberID == "":
		id := *req.InstanceID + "-" + dashed(t.c.IDs())
		if old := c.instances[*req.InstanceID]; old != "" {
			t.rejoinStatic(g, req, old, id)
		} else {
			t.joinAs(g, req, id)
		}
	case c.pendingJoin[req.MemberID]:
		if req.InstanceID != nil {
			return fail(errcode.UnknownMemberID, "") // ids are given out to dynamic members
		}
		t.joinAs(g, req, req.MemberID)
	default:
		if f := c.checkMember(req.MemberID, req.InstanceID); f != nil {
			return f
		}
		return t.rejoin(g, req)
	}
	return nil
}

// anonymous returns the request as one that has no member id, to echo none.
func anonymous(req *kmsg.JoinGroupRequest) *kmsg.JoinGroupRequest {
	r := *req
	r.MemberID = ""
	return &r
}

// accepts reports whether a group has room for who joins: in a rebalance the first who
// come are served (KIP-389).
func (t *tx) accepts(c *classicGroup, id string) bool {
	limit := int(t.s.config().GroupMaxSize)
	m := c.members[id]
	switch c.state {
	case ClassicEmpty:
		return true
	case ClassicPreparing:
		return m != nil && m.join != nil || c.awaiting() < limit
	case ClassicCompleting, ClassicStable:
	}
	return m != nil || len(c.members) < limit
}

func (t *tx) joinNewDynamic(g *group, req *kmsg.JoinGroupRequest) {
	id := t.c.ClientID + "-" + dashed(t.c.IDs())
	if req.Version < 4 {
		t.joinAs(g, req, id)
		return
	}
	// KIP-394: who does not come back with its id leaves no member behind.
	g.classic.pendingJoin[id] = true
	t.set(session(g.id, id), millis(req.SessionTimeoutMillis), 0)
	r := joinResponse(req)
	r.ErrorCode, r.MemberID = int16(errcode.MemberIDRequired), id
	t.answer(r)
}

func protocolsOf(req *kmsg.JoinGroupRequest) []Protocol {
	list := make([]Protocol, len(req.Protocols))
	for i := range req.Protocols {
		p := &req.Protocols[i]
		list[i] = Protocol{Name: p.Name, Metadata: append([]byte{}, p.Metadata...)}
	}
	return list
}

func rebalanceMillis(req *kmsg.JoinGroupRequest) int32 {
	if req.Version == 0 {
		return req.SessionTimeoutMillis
	}
	return req.RebalanceTimeoutMillis
}

// joinAs adds a member, which waits for the others.
func (t *tx) joinAs(g *group, req *kmsg.JoinGroupRequest, id string) {
	c := g.classic
	if len(c.members) == 0 {
		c.protocolType = req.ProtocolType
	}
	if c.state == ClassicPreparing && c.first {
		c.newMember = true
	}
	c.add(&classicMember{
		id: id, instanceID: req.InstanceID, clientID: t.c.ClientID, clientHost: t.c.ClientHost,
		sessionTimeoutMillis: req.SessionTimeoutMillis, rebalanceTimeoutMillis: rebalanceMillis(req),
		protocols: protocolsOf(req), isNew: true, join: t.park(req),
	})
	t.set(session(g.id, id), newMemberJoinTimeout, 0)
	t.rebalance(g, CauseMemberJoined, id)
}

// park notes that a request waits. Its bytes are the caller's, so they are let go.
func (t *tx) park(req kmsg.Request) *parked {
	p := &parked{call: t.c.Call, request: req}
	switch req := req.(type) {
	case *kmsg.JoinGroupRequest:
		kept := *req
		kept.Protocols = nil
		p.request = &kept
	case *kmsg.SyncGroupRequest:
		kept := *req
		kept.GroupAssignment = nil
		p.request = &kept
	}
	return p
}

// rejoin lets a member that is known join the next generation, or tells it again what the
// present one is.
func (t *tx) rejoin(g *group, req *kmsg.JoinGroupRequest) *failure {
	c := g.classic
	m := c.members[req.MemberID]
	same := m.matches(protocolsOf(req))
	isLeader := c.leader == m.id
	switch {
	case c.state == ClassicEmpty:
		return fail(errcode.UnknownMemberID, "")
	case c.state == ClassicPreparing:
		t.update(c, req, m.id)
		t.rebalance(g, CauseMemberRejoined, m.id)
	case c.state == ClassicCompleting && same, c.state == ClassicStable && same && !isLeader:
		t.answer(c.joined(req, m, c.state == ClassicCompleting && isLeader))
	default:
		cause := CauseSubscriptionChanged
		if same {
			cause = CauseLeaderRejoined
		}
		t.update(c, req, m.id)
		t.rebalance(g, cause, m.id)
	}
	return nil
}

// update notes what a member says anew, and lets it wait.
func (t *tx) update(c *classicGroup, req *kmsg.JoinGroupRequest, id string) {
	m := c.mutable(id)
	if m.join != nil { // the connection that it came on is gone, or soon will be
		t.answerParked(m.join, ErrorResponse(m.join.request, errcode.RebalanceInProgress, ""))
	}
	m.protocols = protocolsOf(req)
	m.rebalanceTimeoutMillis = rebalanceMillis(req)
	m.sessionTimeoutMillis = req.SessionTimeoutMillis
	m.join = t.park(req)
}

// rejoinStatic gives a static member that was started again its place, under a new id.
// Whoever still uses the old id is fenced (KIP-345).
func (t *tx) rejoinStatic(g *group, req *kmsg.JoinGroupRequest, old, id string) {
	c := g.classic
	previousLeader := c.leader
	m := c.mutable(old)
	if m.join != nil {
		t.answerParked(m.join, ErrorResponse(m.join.request, errcode.FencedInstanceID, ""))
	}
	if m.sync != nil {
		t.answerParked(m.sync, ErrorResponse(m.sync.request, errcode.FencedInstanceID, ""))
	}
	if t.s.mutants.On(mutant.G7StaticNotFenced) {
		id = old
	}
	c.rename(old, id)
	t.cancel(session(g.id, old))
	m = c.mutable(id)
	m.join, m.sync = nil, nil
	m.clientID, m.clientHost = t.c.ClientID, t.c.ClientHost
	t.update(c, req, id)
	t.restartSession(g, m)
	switch c.state {
	case ClassicStable:
		if c.selectProtocol() != text(c.protocol) {
			t.rebalance(g, CauseSubscriptionChanged, id)
			return
		}
		// Nothing that matters to the others changed. The new id must survive this
		// coordinator, or its successor would know the old one only (KAFKA-8500).
		if m.join = nil; !t.s.mutants.On(mutant.G7StaticNotFenced) {
			t.emitClassic(g)
		}
		r := c.joined(req, m, c.leader == id && req.Version >= 9)
		r.SkipAssignment = c.leader == id && req.Version >= 9 // KIP-814
		if req.Version < 9 {
			// Under its old id the leader does not know itself, and assigns nothing.
			r.LeaderID = previousLeader
		}
		t.answer(r)
	case ClassicCompleting:
		t.rebalance(g, CauseStaticReplaced, id)
	case ClassicPreparing:
		t.maybeCompleteJoin(g)
	case ClassicEmpty:
	}
}

// rename gives a static member another id, and its place.
func (c *classicGroup) rename(old, id string) {
	m := c.mutable(old)
	delete(c.members, old)
	delete(c.own, old)
	m.id = id
	c.members[id], c.own[id] = m, true
	c.instances[*m.instanceID] = id
	if c.leader == old {
		c.leader = id
	}
	if c.pendingSync[old] {
		delete(c.pendingSync, old)
		c.pendingSync[id] = true
	}
}

func joinResponse(req *kmsg.JoinGroupRequest) *kmsg.JoinGroupResponse {
	r := req.ResponseKind().(*kmsg.JoinGroupResponse)
	r.Generation = -1
	r.MemberID = req.MemberID
	if req.Version < 7 {
		r.Protocol = new(string)
	}
	return r
}

// joined returns the answer that tells a member of the present generation.
func (c *classicGroup) joined(
	req *kmsg.JoinGroupRequest, m *classicMember, withMembers bool,
) *kmsg.JoinGroupResponse {
	r := joinResponse(req)
	r.MemberID, r.LeaderID, r.Generation = m.id, c.leader, c.generation
	protocolType := c.protocolType
	r.ProtocolType, r.Protocol = &protocolType, c.protocol
	if withMembers {
		for _, m := range c.ordered() {
			r.Members = append(r.Members, kmsg.JoinGroupResponseMember{
				MemberID: m.id, InstanceID: m.instanceID,
				ProtocolMetadata: m.metadata(text(c.protocol)),
			})
		}
	}
	return r
}
