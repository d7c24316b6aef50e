package group

import (
	"maps"
	"slices"

	"github.com/heiban/heiban/clock"
)

// Report is a fact about a group, for those who explain what happened.
//
//sumtype:decl
type Report interface{ report() }

// Cause says why a rebalance began, or an epoch.
type Cause string

// The causes.
const (
	CauseMemberJoined        Cause = "member joined"
	CauseMemberRejoined      Cause = "member rejoined"
	CauseLeaderRejoined      Cause = "leader rejoined"
	CauseMemberLeft          Cause = "member left"
	CauseSessionExpired      Cause = "session expired"
	CauseSyncTimeout         Cause = "member did not sync in time"
	CauseRejoinTimeout       Cause = "member did not rejoin in time"
	CauseRevocationTimeout   Cause = "member did not give up partitions in time"
	CauseSubscriptionChanged Cause = "subscription changed"
	CauseStaticReplaced      Cause = "static member replaced"
	CauseTopicsChanged       Cause = "topics changed"
	CauseOverCapacity        Cause = "group over capacity"
	CauseDowngraded          Cause = "group downgraded to the classic protocol"
)

// RebalanceStarted says that the members of a classic group have to join again.
type RebalanceStarted struct {
	Group  string
	Cause  Cause
	Member string // who brought it about; empty if nobody did
	Epoch  int32  // the generation that ends
}

// EpochStarted says that a classic group has a new generation, or a consumer group a new
// epoch.
type EpochStarted struct {
	Group   string
	Cause   Cause
	Member  string // who brought it about; empty if nobody did
	Members int
	Took    clock.Duration // how long the members of a classic group were waited for
	Epoch   int32
}

// RebalanceCompleted says that the members of a classic group have their partitions.
type RebalanceCompleted struct {
	Group string
	Took  clock.Duration // since the rebalance began
	Epoch int32
}

// PartitionTaken says that a member has a partition that it had not before.
type PartitionTaken struct {
	Group     string
	Topic     string
	Member    string
	Unowned   clock.Duration // how long nobody had it
	Partition int32
	Epoch     int32
	First     bool // nobody is known to have had it before; Unowned is zero
}

// Converted says that a group uses the other protocol now.
type Converted struct {
	Group string
	To    string // "consumer" or "classic"
	Epoch int32
}

func (RebalanceStarted) report()   {}
func (EpochStarted) report()       {}
func (RebalanceCompleted) report() {}
func (PartitionTaken) report()     {}
func (Converted) report()          {}

// follow notes which partitions lost or got an owner in a decision.
func (t *tx) follow(old, g *group) {
	before := t.ownersOf(old, g)
	after := t.ownersOf(g, old)
	if len(before)+len(after) == 0 {
		return
	}
	for _, p := range sortedPartitions(before) {
		if after[p] == "" {
			if g.idle == nil {
				g.idle = map[TopicPartition]clock.Instant{}
			}
			g.idle[p] = t.mono()
		}
	}
	epoch := int32(0)
	if g.classic != nil {
		epoch = g.classic.generation
	} else {
		epoch = g.consumer.targetEpoch
	}
	for _, p := range sortedPartitions(after) {
		if before[p] == after[p] {
			continue
		}
		r := PartitionTaken{
			Group: g.id, Topic: p.Topic, Partition: p.Partition, Member: after[p], Epoch: epoch,
		}
		if since, ok := g.idle[p]; ok {
			r.Unowned = t.mono().Sub(since)
			delete(g.idle, p)
		} else if before[p] == "" {
			r.First = true
		}
		t.report(r)
	}
}

func sortedPartitions(m map[TopicPartition]string) []TopicPartition {
	return slices.SortedFunc(maps.Keys(m), compareTopicPartitions)
}

// ownersOf returns who has which partitions, of the members that are others in another
// form of the group.
func (t *tx) ownersOf(g, other *group) map[TopicPartition]string {
	owners := map[TopicPartition]string{}
	switch {
	case g == nil:
	case g.classic != nil:
		for _, m := range g.classic.ordered() {
			if other != nil && other.classic != nil && other.classic.members[m.id] == m {
				continue
			}
			for _, p := range g.classic.has(m) {
				owners[p] = m.id
			}
		}
	case g.consumer != nil:
		for _, id := range g.consumer.ids() {
			m := g.consumer.members[id]
			if other != nil && other.consumer != nil && other.consumer.members[id] == m {
				continue
			}
			for _, p := range m.has() {
				if topic := t.s.image.TopicByID(p.Topic); topic != nil {
					owners[TopicPartition{Topic: topic.Name, Partition: p.Index}] = id
				}
			}
		}
	}
	return owners
}

// has returns the partitions that a member of a classic group has. One that joins again
// has only those that it says it has kept (KIP-429).
func (c *classicGroup) has(m *classicMember) []TopicPartition {
	if c.protocolType != consumerProtocol {
		return nil
	}
	var list []TopicPartition
	if m.join != nil {
		said, ok := readSubscription(m.protocols[0].Metadata)
		if !ok {
			return nil
		}
		for i := range said.OwnedPartitions {
			for _, p := range said.OwnedPartitions[i].Partitions {
				list = append(list, TopicPartition{
					Topic: said.OwnedPartitions[i].Topic, Partition: p,
				})
			}
		}
		return list
	}
	topics, _ := readAssignment(m.assignment)
	for i := range topics {
		for _, p := range topics[i].Partitions {
			list = append(list, TopicPartition{Topic: topics[i].Topic, Partition: p})
		}
	}
	return list
}
