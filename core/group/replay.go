package group

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/metadata"
)

// editor is where records take effect: a shard that loads, or a decision.
type editor interface {
	// edit returns a group that may be changed, nil if there is none.
	edit(id string) *group
	put(g *group)
	remove(id string)
}

func (s *Shard) edit(id string) *group { return s.groups[id] }

func (s *Shard) put(g *group) { s.groups[g.id] = g }

func (s *Shard) remove(id string) { delete(s.groups, id) }

// Replay applies one record of the partition to a shard that is not in charge yet. It
// decides nothing. Compaction may have removed what came before: a tombstone of what is
// not there says nothing.
func (s *Shard) Replay(r Record) {
	if r.Key.Type == OffsetCommitType {
		s.replayOffset(&r)
		return
	}
	replay(s, &r)
}

// replay applies a record about a group.
func replay(e editor, r *Record) {
	if r.Key.Type == GroupMetadataType {
		replayClassic(e, r)
		return
	}
	g := e.edit(r.Key.Group)
	if g == nil || g.consumer == nil {
		// A group that is empty in one protocol may begin anew in the other.
		if r.Value == nil || g != nil && len(g.classic.members) > 0 {
			return
		}
		idle := idleOf(g)
		g = &group{id: r.Key.Group, consumer: newConsumerGroup(), idle: idle}
		e.put(g)
	}
	if r.Value == nil {
		replayTombstone(e, g, r.Key)
		return
	}
	replayConsumer(g.consumer, r)
}

func idleOf(g *group) map[TopicPartition]clock.Instant {
	if g == nil {
		return nil
	}
	return g.idle
}

func replayConsumer(c *consumerGroup, r *Record) {
	switch v := r.Value.(type) {
	case *ConsumerGroupMetadata:
		c.epoch, c.metadataHash = v.Epoch, v.MetadataHash
	case *ConsumerPartitionMetadata:
		c.oldMetadata = true
	case *ConsumerMember:
		m := c.mutable(r.Key.Name)
		m.ConsumerMember = *v
		m.SubscribedTopicNames = sortedNames(v.SubscribedTopicNames)
		c.replace(m)
	case *ConsumerTargetMetadata:
		c.targetEpoch = v.AssignmentEpoch
	case *ConsumerTargetMember:
		c.target[r.Key.Name] = v.Partitions
	case *ConsumerCurrent:
		m := c.mutable(r.Key.Name)
		m.epoch, m.previousEpoch, m.state = v.MemberEpoch, v.PreviousMemberEpoch, v.State
		m.assigned, m.pendingRevocation = v.Assigned, v.PendingRevocation
		c.replace(m)
	case *ConsumerRegularExpression:
		c.regexes[r.Key.Name] = v
	}
}

func replayTombstone(e editor, g *group, k Key) {
	c := g.consumer
	switch k.Type {
	case ConsumerGroupMetadataType:
		e.remove(g.id)
	case ConsumerPartitionType:
		c.oldMetadata = false
	case ConsumerMemberType:
		c.drop(k.Name)
	case ConsumerTargetMetadataType:
		c.targetEpoch = 0
	case ConsumerTargetMemberType:
		delete(c.target, k.Name)
	case ConsumerCurrentType:
		if c.members[k.Name] == nil {
			return
		}
		m := c.mutable(k.Name)
		m.epoch, m.previousEpoch, m.state = leaveEpoch, leaveEpoch, Stable
		m.assigned, m.pendingRevocation = nil, nil
		c.replace(m)
	case ConsumerRegularExpressionType:
		delete(c.regexes, k.Name)
	case OffsetCommitType, GroupMetadataType:
	}
}

// replayClassic applies what a record says of a classic group. A decision that emits such
// a record has brought its own group there already, and keeps what no record tells.
func replayClassic(e editor, r *Record) {
	g := e.edit(r.Key.Group)
	if r.Value == nil {
		if g != nil && g.classic != nil {
			e.remove(r.Key.Group)
		}
		return
	}
	v := r.Value.(*kmsg.GroupMetadataValue)
	if _, deciding := e.(*tx); deciding && g != nil && g.classic != nil {
		g.classic.stored = v
		return
	}
	e.put(&group{id: r.Key.Group, classic: storedClassic(v), idle: idleOf(g)})
}

// storedClassic returns the group that a record tells of.
func storedClassic(v *kmsg.GroupMetadataValue) *classicGroup {
	c := newClassicGroup()
	c.stored = v
	c.generation, c.protocolType, c.protocol = v.Generation, v.ProtocolType, v.Protocol
	if v.Version >= 2 {
		c.stateTimestamp = v.CurrentStateTimestamp
	}
	if len(v.Members) > 0 {
		c.state = ClassicStable
	}
	for i := range v.Members {
		m := &v.Members[i]
		rebalanceTimeout := m.RebalanceTimeoutMillis
		if rebalanceTimeout < 0 || v.Version < 1 {
			rebalanceTimeout = m.SessionTimeoutMillis
		}
		c.add(&classicMember{
			id: m.MemberID, instanceID: m.InstanceID, clientID: m.ClientID, clientHost: m.ClientHost,
			sessionTimeoutMillis: m.SessionTimeoutMillis, rebalanceTimeoutMillis: rebalanceTimeout,
			protocols:  []Protocol{{Name: text(v.Protocol), Metadata: m.Subscription}},
			assignment: m.Assignment,
		})
	}
	c.leader = text(v.Leader)
	return c
}

// replayOffset applies what a record says of a committed offset.
func (s *Shard) replayOffset(r *Record) {
	p := TopicPartition{Topic: r.Key.Name, Partition: r.Key.Partition}
	offsets := s.offsets[r.Key.Group]
	if r.Value == nil {
		delete(offsets, p)
		if len(offsets) == 0 {
			delete(s.offsets, r.Key.Group)
		}
		return
	}
	if offsets == nil {
		offsets = groupOffsets{}
		s.offsets[r.Key.Group] = offsets
	}
	v := r.Value.(*kmsg.OffsetCommitValue)
	c := committed{
		offset: v.Offset, leaderEpoch: -1, metadata: v.Metadata, timestamp: v.CommitTimestamp,
		expires: -1, topicID: v.TopicID,
	}
	if v.Version >= 3 {
		c.leaderEpoch = v.LeaderEpoch
	}
	if v.Version == 1 {
		c.expires = v.ExpireTimestamp
	}
	offsets[p] = c
}

func sortedNames(names []string) []string {
	if slices.IsSorted(names) {
		return slices.Compact(slices.Clip(names))
	}
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

// noTopic is the id of a topic that is not known by id.
func noTopic(id metadata.ID) bool { return id == metadata.ID{} }
