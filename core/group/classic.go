package group

import (
	"cmp"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
)

// ClassicState is where a classic group stands.
type ClassicState uint8

// The states of a classic group. A group that is gone counts as Dead.
const (
	ClassicEmpty ClassicState = iota
	ClassicPreparing
	ClassicCompleting
	ClassicStable
)

// String returns Kafka's name of the state.
func (s ClassicState) String() string {
	return [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable"}[s]
}

// deadState is the state of a group that is not there.
const deadState = "Dead"

// consumerProtocol is the protocol type of groups of consumers. What their members say
// of themselves can be read.
const consumerProtocol = "consumer"

// classicGroup is a group whose clients assign the partitions. All but stored is as the
// clients see it; a record is written only when an assignment is complete.
type classicGroup struct {
	stored      *kmsg.GroupMetadataValue // the last record, nil if there is none
	members     map[string]*classicMember
	instances   map[string]string // static members: their ids by instance id
	pendingJoin map[string]bool   // ids that were given out, and did not join yet
	pendingSync map[string]bool   // members that joined this generation, and did not sync yet
	own         map[string]bool   // members that this copy of the group may change
	protocol    *string           // nil: none is chosen

	protocolType string // empty: nobody has joined yet
	leader       string // empty: none
	reason       reason // for the rebalance that is under way, or for the last one

	began          clock.Instant // when the rebalance did
	joinWait       clock.Duration
	joinWaitLeft   clock.Duration // of a first rebalance
	stateTimestamp int64          // wall time of the last change of state, -1 if not known
	joins          int64          // counts members, for their order
	generation     int32
	state          ClassicState
	first          bool // the rebalance is the first since the group was empty
	newMember      bool // one came while the first rebalance waited
}

// classicMember is a member of a classic group.
type classicMember struct {
	instanceID *string // nil: dynamic
	join       *parked // its JoinGroup, while it waits
	sync       *parked // its SyncGroup
	id         string
	clientID   string
	clientHost string
	protocols  []Protocol // in the order of its preference
	assignment []byte
	order      int64 // members are ordered by when they joined

	sessionTimeoutMillis   int32
	rebalanceTimeoutMillis int32
	isNew                  bool // it has seen no generation yet
}

// parked is a call that waits.
type parked struct {
	request kmsg.Request
	call    Call
}

func newClassicGroup() *classicGroup {
	return &classicGroup{
		members: map[string]*classicMember{}, instances: map[string]string{},
		pendingJoin: map[string]bool{}, pendingSync: map[string]bool{}, own: map[string]bool{},
		stateTimestamp: -1,
	}
}

// clone returns a copy that may be changed, and whose members are copied when they are.
func (c *classicGroup) clone() *classicGroup {
	n := *c
	n.members = maps.Clone(c.members)
	n.instances = maps.Clone(c.instances)
	n.pendingJoin = maps.Clone(c.pendingJoin)
	n.pendingSync = maps.Clone(c.pendingSync)
	n.own = map[string]bool{}
	return &n
}

// mutable returns a member that may be changed.
func (c *classicGroup) mutable(id string) *classicMember {
	m := c.members[id]
	if !c.own[id] {
		n := *m
		m = &n
		c.members[id], c.own[id] = m, true
	}
	return m
}

// ordered returns the members, those who joined first at the front.
func (c *classicGroup) ordered() []*classicMember {
	list := make([]*classicMember, 0, len(c.members))
	// Sorted below: the map may be read in any order.
	for _, m := range c.members {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b *classicMember) int { return cmp.Compare(a.order, b.order) })
	return list
}

// add adds a member; the first one leads.
func (c *classicGroup) add(m *classicMember) {
	c.joins++
	m.order = c.joins
	c.members[m.id], c.own[m.id] = m, true
	if m.instanceID != nil {
		c.instances[*m.instanceID] = m.id
	}
	if c.leader == "" {
		c.leader = m.id
	}
	delete(c.pendingJoin, m.id)
}

// drop removes a member, or an id that was given out.
func (c *classicGroup) drop(id string) {
	if m := c.members[id]; m != nil {
		if m.instanceID != nil && c.instances[*m.instanceID] == id {
			delete(c.instances, *m.instanceID)
		}
		delete(c.members, id)
	}
	delete(c.pendingJoin, id)
	delete(c.pendingSync, id)
	if c.leader != id {
		return
	}
	c.leader = ""
	if list := c.ordered(); len(list) > 0 {
		c.leader = list[0].id
	}
}

func (c *classicGroup) enter(s ClassicState, wall int64) {
	c.state, c.stateTimestamp = s, wall
}

// awaiting counts members whose JoinGroup waits.
func (c *classicGroup) awaiting() int {
	n := 0
	// Counted: the map may be read in any order.
	for _, m := range c.members {
		if m.join != nil {
			n++
		}
	}
	return n
}

func (c *classicGroup) allJoined() bool {
	return c.awaiting() == len(c.members) && len(c.pendingJoin) == 0
}

// rebalanceTimeout is the longest of the members'.
func (c *classicGroup) rebalanceTimeout() clock.Duration {
	longest := int32(0)
	// A maximum: the map may be read in any order.
	for _, m := range c.members {
		longest = max(longest, m.rebalanceTimeoutMillis)
	}
	return millis(longest)
}

// supports reports whether a member with these protocols can join the others: at least
// one protocol is known to all.
func (c *classicGroup) supports(protocolType string, protocols []Protocol) bool {
	if len(c.members) == 0 {
		return protocolType != "" && len(protocols) > 0
	}
	if c.protocolType != protocolType {
		return false
	}
	return slices.ContainsFunc(protocols, func(p Protocol) bool { return c.candidate(p.Name) })
}

// candidate reports whether all members support a protocol.
func (c *classicGroup) candidate(name string) bool {
	// All or not all: the map may be read in any order.
	for _, m := range c.members {
		if m.metadata(name) == nil {
			return false
		}
	}
	return true
}

// selectProtocol returns the protocol that most members prefer of those that all support.
// Of two, the one whose first friend joined first.
func (c *classicGroup) selectProtocol() string {
	votes := map[string]int{}
	var order []string
	for _, m := range c.ordered() {
		i := slices.IndexFunc(m.protocols, func(p Protocol) bool { return c.candidate(p.Name) })
		if i < 0 {
			continue
		}
		name := m.protocols[i].Name
		if votes[name]++; votes[name] == 1 {
			order = append(order, name)
		}
	}
	best := ""
	for _, name := range order {
		if best == "" || votes[name] > votes[best] {
			best = name
		}
	}
	return best
}

// metadata returns what the member said with a protocol, and nil if it does not support
// it. What it said may be empty.
func (m *classicMember) metadata(protocol string) []byte {
	for i := range m.protocols {
		if m.protocols[i].Name == protocol {
			return append([]byte{}, m.protocols[i].Metadata...)
		}
	}
	return nil
}

// matches reports whether the member said the same when it joined.
func (m *classicMember) matches(protocols []Protocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a, b Protocol) bool {
		return a.Name == b.Name && string(a.Metadata) == string(b.Metadata)
	})
}

// satisfied reports whether the member needs no heartbeat, as it waits for an answer.
func (m *classicMember) satisfied() bool {
	return !m.isNew && (m.join != nil || m.sync != nil)
}

// checkMember returns a failure unless the group knows the member by this identity.
func (c *classicGroup) checkMember(id string, instanceID *string) *failure {
	if instanceID != nil {
		switch known := c.instances[*instanceID]; known {
		case id:
		case "":
			return fail(errcode.UnknownMemberID, "")
		default:
			return fail(errcode.FencedInstanceID, "")
		}
	}
	if c.members[id] == nil {
		return fail(errcode.UnknownMemberID, "")
	}
	return nil
}

// subscribed returns the topics that members subscribe to; ok is false if that is not
// known.
func (c *classicGroup) subscribed() (topics map[string]bool, ok bool) {
	if c.protocolType != consumerProtocol {
		return nil, false
	}
	topics = map[string]bool{}
	for _, m := range c.ordered() {
		said, ok := readSubscription(m.metadata(text(c.protocol)))
		if !ok {
			return nil, false
		}
		for _, name := range said.Topics {
			topics[name] = true
		}
	}
	return topics, true
}

// readSubscription reads what a consumer says of itself when it joins a classic group.
func readSubscription(src []byte) (*kmsg.ConsumerMemberMetadata, bool) {
	var said kmsg.ConsumerMemberMetadata
	if len(src) < 2 || said.ReadFrom(src) != nil || said.Version < 0 {
		return nil, false
	}
	return &said, true
}

// readAssignment reads what the leader of a classic group assigned to a consumer.
func readAssignment(src []byte) ([]kmsg.ConsumerMemberAssignmentTopic, bool) {
	var a kmsg.ConsumerMemberAssignment
	if len(src) == 0 {
		return nil, true
	}
	if a.ReadFrom(src) != nil || a.Version < 0 {
		return nil, false
	}
	return a.Topics, true
}

// value returns the group as it stands in a record.
func (c *classicGroup) value() *kmsg.GroupMetadataValue {
	v := &kmsg.GroupMetadataValue{
		Version: 3, ProtocolType: c.protocolType, Generation: c.generation, Protocol: c.protocol,
		CurrentStateTimestamp: c.stateTimestamp,
	}
	if c.leader != "" {
		leader := c.leader
		v.Leader = &leader
	}
	for _, m := range c.ordered() {
		v.Members = append(v.Members, kmsg.GroupMetadataValueMember{
			MemberID: m.id, InstanceID: m.instanceID, ClientID: m.clientID, ClientHost: m.clientHost,
			RebalanceTimeoutMillis: m.rebalanceTimeoutMillis,
			SessionTimeoutMillis:   m.sessionTimeoutMillis,
			Subscription:           m.metadata(text(c.protocol)), Assignment: m.assignment,
		})
	}
	return v
}

func (t *tx) emitClassic(g *group) {
	t.emit(Key{Type: GroupMetadataType, Group: g.id}, g.classic.value())
}

func session(group, member string) timerKey {
	return timerKey{kind: sessionTimer, group: group, member: member}
}

func (t *tx) restartSession(g *group, m *classicMember) {
	t.set(session(g.id, m.id), millis(m.sessionTimeoutMillis), 0)
}
