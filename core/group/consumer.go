package group

import (
	"maps"
	"slices"

	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/metadata"
)

// MemberState is how far a member of a consumer group is with its assignment, numbered
// as in Kafka's records.
type MemberState int8

// The states of members.
const (
	Stable               MemberState = 1 // nothing is to be done until the target changes
	UnrevokedPartitions  MemberState = 2 // the member must give up partitions first
	UnreleasedPartitions MemberState = 3 // others must give up partitions first
)

// The epochs that members leave with.
const (
	leaveEpoch       = -1
	leaveStaticEpoch = -2 // KIP-345: the member will be back
)

// Names of the states of a consumer group.
const (
	consumerEmpty       = "Empty"
	consumerAssigning   = "Assigning"
	consumerReconciling = "Reconciling"
	consumerStable      = "Stable"
)

// consumerGroup is a group whose partitions the coordinator assigns. All of it stands in
// records.
type consumerGroup struct {
	members   map[string]*consumerMember
	instances map[string]string // static members: their ids by instance id
	target    map[string]Assignment
	regexes   map[string]*ConsumerRegularExpression
	owners    map[Partition]string // who has a partition, or has yet to give it up

	metadataHash int64 // of the topics that are subscribed to, 0 if not known
	epoch        int32
	targetEpoch  int32 // the group's epoch that the target is of
	oldMetadata  bool  // a record of before KIP-1101 is left
}

// consumerMember is a member of a consumer group. It is replaced when it changes.
type consumerMember struct {
	ConsumerMember
	id                string
	assigned          Assignment
	pendingRevocation Assignment
	epoch             int32
	previousEpoch     int32
	state             MemberState
}

func newConsumerGroup() *consumerGroup {
	return &consumerGroup{
		members: map[string]*consumerMember{}, instances: map[string]string{},
		target: map[string]Assignment{}, regexes: map[string]*ConsumerRegularExpression{},
		owners: map[Partition]string{},
	}
}

func (c *consumerGroup) clone() *consumerGroup {
	n := *c
	n.members = maps.Clone(c.members)
	n.instances = maps.Clone(c.instances)
	n.target = maps.Clone(c.target)
	n.regexes = maps.Clone(c.regexes)
	n.owners = maps.Clone(c.owners)
	return &n
}

// mutable returns a copy of a member, or a new one, to be given to replace.
func (c *consumerGroup) mutable(id string) *consumerMember {
	if m := c.members[id]; m != nil {
		n := *m
		return &n
	}
	return &consumerMember{id: id, previousEpoch: -1, state: Stable}
}

// replace puts a member in the place of the one with its id.
func (c *consumerGroup) replace(m *consumerMember) {
	old := c.members[m.id]
	if old != nil {
		c.release(old)
	}
	c.members[m.id] = m
	if m.InstanceID != nil {
		c.instances[*m.InstanceID] = m.id
	}
	for _, a := range []Assignment{m.assigned, m.pendingRevocation} {
		for _, p := range a {
			c.owners[p] = m.id
		}
	}
}

func (c *consumerGroup) release(m *consumerMember) {
	for _, a := range []Assignment{m.assigned, m.pendingRevocation} {
		for _, p := range a {
			if c.owners[p] == m.id {
				delete(c.owners, p)
			}
		}
	}
}

func (c *consumerGroup) drop(id string) {
	m := c.members[id]
	if m == nil {
		return
	}
	c.release(m)
	if m.InstanceID != nil && c.instances[*m.InstanceID] == id {
		delete(c.instances, *m.InstanceID)
	}
	delete(c.members, id)
}

// ids returns the ids of the members, sorted.
func (c *consumerGroup) ids() []string { return slices.Sorted(maps.Keys(c.members)) }

// static returns the member of an instance, nil if there is none.
func (c *consumerGroup) static(instanceID *string) *consumerMember {
	if instanceID == nil {
		return nil
	}
	return c.members[c.instances[*instanceID]]
}

// reconciled reports whether the member has what the target of an epoch gives it.
func (m *consumerMember) reconciled(targetEpoch int32) bool {
	return m.state == Stable && m.epoch == targetEpoch
}

func (m *consumerMember) has() Assignment { return m.assigned.plus(m.pendingRevocation) }

// regex returns the regular expression that the member subscribes with; ok is false if
// there is none.
func (m *consumerMember) regex() (pattern string, ok bool) {
	pattern = text(m.SubscribedTopicRegex)
	return pattern, pattern != ""
}

// topicsOf returns what a member subscribes to, by name or by a regular expression that
// has been matched. It is sorted.
func (c *consumerGroup) topicsOf(m *consumerMember) []string {
	pattern, ok := m.regex()
	if !ok || c.regexes[pattern] == nil {
		return m.SubscribedTopicNames
	}
	return sortedNames(slices.Concat(m.SubscribedTopicNames, c.regexes[pattern].Topics))
}

// subscribed returns what the members subscribe to, sorted.
func (c *consumerGroup) subscribed() []string {
	topics := map[string]bool{}
	// Collected as a set: the map may be read in any order.
	for _, m := range c.members {
		for _, name := range c.topicsOf(m) {
			topics[name] = true
		}
	}
	return slices.Sorted(maps.Keys(topics))
}

// uses reports whether a member subscribes with a regular expression.
func (c *consumerGroup) uses(pattern string) bool {
	// Any one will do: the map may be read in any order.
	for _, m := range c.members {
		if p, ok := m.regex(); ok && p == pattern {
			return true
		}
	}
	return false
}

// state returns Kafka's name of the group's state.
func (c *consumerGroup) state() string {
	switch {
	case len(c.members) == 0:
		return consumerEmpty
	case c.epoch > c.targetEpoch:
		return consumerAssigning
	}
	// All or not all: the map may be read in any order.
	for _, m := range c.members {
		if !m.reconciled(c.targetEpoch) {
			return consumerReconciling
		}
	}
	return consumerStable
}

// allClassicBut reports whether all members but one use the classic protocol.
func (c *consumerGroup) allClassicBut(id string) bool {
	// All or not all: the map may be read in any order.
	for _, m := range c.members {
		if m.id != id && m.Classic == nil {
			return false
		}
	}
	return true
}

// assignorName returns the assignor that most members ask for; the first of the
// configuration if nobody does. Of two, the one whose name comes first.
func (c *consumerGroup) assignorName(config *config.Broker) string {
	votes := map[string]int{}
	// Counted: the map may be read in any order.
	for _, m := range c.members {
		if m.ServerAssignor != nil && *m.ServerAssignor != "" {
			votes[*m.ServerAssignor]++
		}
	}
	best := ""
	for _, name := range slices.Sorted(maps.Keys(votes)) {
		if best == "" || votes[name] > votes[best] {
			best = name
		}
	}
	if best == "" || !knownAssignor(config, best) {
		return defaultAssignor(config)
	}
	return best
}

// empty reports whether nobody is in the group.
func (g *group) empty() bool {
	if g.classic != nil {
		return g.classic.state == ClassicEmpty
	}
	return len(g.consumer.members) == 0
}

// hashTopics makes a number of the topics of these names that changes with what the
// assignors see of them. A group writes it down to know when to assign anew (KIP-1101).
func hashTopics(image *metadata.Image, names []string) int64 {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a, 64 bits
	h := uint64(offset)
	add := func(b byte) { h = (h ^ uint64(b)) * prime }
	for _, name := range names {
		t := image.Topic(name)
		if t == nil {
			continue
		}
		for i := range len(name) {
			add(name[i])
		}
		add(0)
		for _, b := range t.ID {
			add(b)
		}
		for shift := 0; shift < 32; shift += 8 {
			add(byte(len(t.Partitions) >> shift))
		}
	}
	if h == 0 {
		return 1 // 0 says that it is not known
	}
	return int64(h)
}
