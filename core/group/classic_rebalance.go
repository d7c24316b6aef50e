package group

import (
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
)

// reason is why a generation or an epoch came to be.
type reason struct {
	cause  Cause
	member string // who brought it about, empty if nobody did
}

func joinKey(g *group) timerKey { return timerKey{kind: joinTimer, group: g.id} }

func syncKey(g *group) timerKey { return timerKey{kind: syncTimer, group: g.id} }

// rebalance starts a rebalance, or goes on with the one that is under way.
func (t *tx) rebalance(g *group, cause Cause, member string) {
	if g.classic.state == ClassicPreparing {
		t.maybeCompleteJoin(g)
		return
	}
	t.prepareRebalance(g, cause, member)
}

// prepareRebalance makes all members join again. If the group was empty, more are waited
// for, as they tend to start together; otherwise those that are known.
func (t *tx) prepareRebalance(g *group, cause Cause, member string) {
	c := g.classic
	if c.state == ClassicCompleting {
		for _, m := range c.ordered() {
			c.mutable(m.id).assignment = nil
			t.completeSync(g, m.id, errcode.RebalanceInProgress)
		}
	}
	c.pendingSync = map[string]bool{}
	t.cancel(syncKey(g))
	c.first = c.state == ClassicEmpty
	c.newMember = false
	c.reason, c.began = reason{cause: cause, member: member}, t.mono()
	c.enter(ClassicPreparing, t.wall())
	t.report(RebalanceStarted{Group: g.id, Cause: cause, Member: member, Epoch: c.generation})
	if !c.first {
		t.completeJoinOrWait(g)
		return
	}
	delay := t.s.config().GroupInitialRebalanceDelay
	c.joinWait, c.joinWaitLeft = delay, max(c.rebalanceTimeout()-delay, 0)
	t.set(joinKey(g), delay, 0)
}

func (t *tx) completeJoinOrWait(g *group) {
	if g.classic.allJoined() {
		t.completeJoin(g)
		return
	}
	t.set(joinKey(g), g.classic.rebalanceTimeout(), 0)
}

// maybeCompleteJoin completes a rebalance if nobody is waited for any more.
func (t *tx) maybeCompleteJoin(g *group) {
	if c := g.classic; c.state == ClassicPreparing && !c.first && c.allJoined() {
		t.completeJoin(g)
	}
}

// fireJoin is due when joins have been waited for long enough.
func (t *tx) fireJoin(g *group) {
	if g.classic.state != ClassicPreparing {
		return
	}
	g = t.edit(g.id)
	c := g.classic
	if c.first && c.newMember && c.joinWaitLeft > 0 {
		c.newMember = false
		wait := min(t.s.config().GroupInitialRebalanceDelay, c.joinWaitLeft)
		c.joinWaitLeft = max(c.joinWaitLeft-c.joinWait, 0)
		c.joinWait = wait
		t.set(joinKey(g), wait, 0)
		return
	}
	t.completeJoin(g)
}

// completeJoin begins the next generation with those who joined. Static members that did
// not are kept until their sessions end.
func (t *tx) completeJoin(g *group) {
	c := g.classic
	t.cancel(joinKey(g))
	for _, m := range c.ordered() {
		if m.join == nil && m.instanceID == nil {
			c.drop(m.id)
			t.cancel(session(g.id, m.id))
		}
	}
	if len(c.members) > 0 && !c.electJoined() {
		t.set(joinKey(g), c.rebalanceTimeout(), 0)
		return
	}
	c.generation++
	c.first = false
	c.pendingSync = map[string]bool{}
	if len(c.members) == 0 {
		t.becomeEmpty(g)
		return
	}
	protocol := c.selectProtocol()
	c.protocol = &protocol
	c.enter(ClassicCompleting, t.wall())
	for _, m := range c.ordered() {
		m = c.mutable(m.id)
		c.pendingSync[m.id] = true
		m.isNew = false
		if m.join != nil {
			req := m.join.request.(*kmsg.JoinGroupRequest)
			t.answerParked(m.join, c.joined(req, m, c.leader == m.id))
			m.join = nil
			t.restartSession(g, m)
		}
	}
	t.set(syncKey(g), c.rebalanceTimeout(), int64(c.generation))
	t.reportGeneration(g)
}

// becomeEmpty begins a generation without members. From now on its offsets age.
func (t *tx) becomeEmpty(g *group) {
	c := g.classic
	c.protocol = nil
	c.enter(ClassicEmpty, t.wall())
	t.reportGeneration(g)
	t.emitClassic(g)
}

func (t *tx) reportGeneration(g *group) {
	c := g.classic
	t.report(EpochStarted{
		Group: g.id, Epoch: c.generation, Cause: c.reason.cause, Member: c.reason.member,
		Members: len(c.members), Took: t.mono().Sub(c.began),
	})
}

// electJoined makes sure that a member that joined leads; it reports whether there is one.
func (c *classicGroup) electJoined() bool {
	if m := c.members[c.leader]; m != nil && m.join != nil {
		return true
	}
	for _, m := range c.ordered() {
		if m.join != nil {
			c.leader = m.id
			return true
		}
	}
	return false
}

// fireSync is due when members that joined a generation had long enough to sync. Without
// them the group would wait for ever (KAFKA-12890).
func (t *tx) fireSync(g *group, generation int32) {
	c := g.classic
	working := c.state == ClassicCompleting || c.state == ClassicStable
	if c.generation != generation || !working || len(c.pendingSync) == 0 {
		return
	}
	g = t.edit(g.id)
	c = g.classic
	late := slices.Sorted(maps.Keys(c.pendingSync))
	for _, id := range late {
		c.drop(id)
		t.cancel(session(g.id, id))
	}
	t.prepareRebalance(g, CauseSyncTimeout, late[0])
}

// classicSessionExpired removes a member that was not heard of for its session timeout.
func (t *tx) classicSessionExpired(g *group, id string) {
	c := g.classic
	if c.pendingJoin[id] {
		g = t.edit(g.id)
		g.classic.drop(id)
		t.maybeCompleteJoin(g)
		return
	}
	if m := c.members[id]; m != nil && !m.satisfied() {
		t.removeClassic(t.edit(g.id), id, CauseSessionExpired)
	}
}

// removeClassic removes a member, and lets the others share what it had.
func (t *tx) removeClassic(g *group, id string, cause Cause) {
	t.dropMember(g, id)
	t.rebalanceWithout(g, cause, id)
}

// dropMember removes a member, and answers what it waits for.
func (t *tx) dropMember(g *group, id string) {
	c := g.classic
	m := c.members[id]
	if m.join != nil {
		req := anonymous(m.join.request.(*kmsg.JoinGroupRequest))
		t.answerParked(m.join, ErrorResponse(req, errcode.UnknownMemberID, ""))
	}
	if m.sync != nil {
		t.answerParked(m.sync, ErrorResponse(m.sync.request, errcode.UnknownMemberID, ""))
	}
	c.drop(id)
	t.cancel(session(g.id, id))
}

// rebalanceWithout lets a group go on that lost a member.
func (t *tx) rebalanceWithout(g *group, cause Cause, id string) {
	switch c := g.classic; c.state {
	case ClassicStable, ClassicCompleting:
		t.prepareRebalance(g, cause, id)
	case ClassicPreparing:
		t.maybeCompleteJoin(g)
	case ClassicEmpty:
	}
}

// classicLoaded gives every member of a group a whole session.
func (t *tx) classicLoaded(g *group) {
	for _, m := range g.classic.ordered() {
		t.restartSession(g, m)
	}
	if len(g.classic.members) > int(t.s.config().GroupMaxSize) {
		t.prepareRebalance(t.edit(g.id), CauseOverCapacity, "")
	}
}
