package group

import (
	"cmp"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/mutant"
)

// TopicPartition names a partition by its topic's name, as committed offsets are kept.
type TopicPartition struct {
	Topic     string
	Partition int32
}

func compareTopicPartitions(a, b TopicPartition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

// groupOffsets are the offsets that a group committed.
type groupOffsets map[TopicPartition]committed

func (o groupOffsets) sorted() []TopicPartition {
	return slices.SortedFunc(maps.Keys(o), compareTopicPartitions)
}

// committed is an offset that a group committed.
type committed struct {
	metadata    string
	offset      int64
	timestamp   int64 // when it was committed
	expires     int64 // when it is forgotten, -1: as the configuration says
	leaderEpoch int32 // of the record before the offset, -1 if not known
	topicID     metadata.ID
}

// foreign reports whether the offset is of another topic that had the same name.
func (o *committed) foreign(id metadata.ID) bool {
	return !noTopic(o.topicID) && !noTopic(id) && o.topicID != id
}

// offsetCommit answers OffsetCommit (8), versions 2 to 10: KIP-211, KIP-320, KIP-848.
func (t *tx) offsetCommit(req *kmsg.OffsetCommitRequest) *failure {
	if !validID(req.Group) {
		return fail(errcode.InvalidGroupID, "")
	}
	g := t.group(req.Group)
	switch {
	case g == nil && req.Generation >= 0 && req.Version >= 9:
		return fail(errcode.GroupIDNotFound, "")
	case g == nil && req.Generation >= 0:
		return fail(errcode.IllegalGeneration, "")
	case g == nil: // offsets can be kept for a group that has no members
	case g.classic != nil:
		if f := t.checkClassicCommit(g.classic, req); f != nil {
			return f
		}
		if m := g.classic.members[req.MemberID]; m != nil {
			t.restartSession(g, m)
		}
	default:
		if f := t.checkConsumerCommit(g.consumer, req); f != nil {
			return f
		}
	}
	r := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	for i := range req.Topics {
		r.Topics = append(r.Topics, t.commitTopic(req, &req.Topics[i]))
	}
	t.answer(r)
	return nil
}

func (t *tx) checkClassicCommit(c *classicGroup, req *kmsg.OffsetCommitRequest) *failure {
	switch {
	case req.Generation < 0 && c.state == ClassicEmpty:
		return nil
	case req.Generation < 0 && req.MemberID == "" && req.InstanceID == nil:
		return fail(errcode.UnknownMemberID, "")
	}
	if t.s.mutants.On(mutant.G4CommitOfAnyone) {
		return nil
	}
	if f := c.checkMember(req.MemberID, req.InstanceID); f != nil {
		return f
	}
	switch {
	case req.Generation != c.generation:
		return fail(errcode.IllegalGeneration, "")
	case c.state == ClassicCompleting:
		// Whoever gets the partition may have fetched the offset by now.
		return fail(errcode.RebalanceInProgress, "")
	}
	return nil
}

func (t *tx) checkConsumerCommit(c *consumerGroup, req *kmsg.OffsetCommitRequest) *failure {
	if req.Generation < 0 && len(c.members) == 0 || t.s.mutants.On(mutant.G4CommitOfAnyone) {
		return nil
	}
	m := c.members[req.MemberID]
	if req.InstanceID != nil && m != nil && !sameText(m.InstanceID, req.InstanceID) {
		return fail(errcode.FencedInstanceID, "")
	}
	switch {
	case m == nil:
		return fail(errcode.UnknownMemberID, "")
	case m.Classic == nil && req.Version < 9:
		return fail(errcode.UnsupportedVersion, "")
	case m.epoch == req.Generation:
		return nil
	case m.Classic != nil:
		return fail(errcode.IllegalGeneration, "")
	}
	return fail(errcode.StaleMemberEpoch, "")
}

// commitTopic commits the offsets of one topic.
func (t *tx) commitTopic(
	req *kmsg.OffsetCommitRequest, from *kmsg.OffsetCommitRequestTopic,
) kmsg.OffsetCommitResponseTopic {
	out := kmsg.OffsetCommitResponseTopic{Topic: from.Topic, TopicID: from.TopicID}
	topic := t.s.image.Topic(from.Topic)
	missing := errcode.UnknownTopicOrPartition
	if req.Version >= 10 {
		topic, missing = t.s.image.TopicByID(from.TopicID), errcode.UnknownTopicID
	}
	for i := range from.Partitions {
		p := &from.Partitions[i]
		code := errcode.None
		switch {
		case topic == nil:
			code = missing
		case p.Partition < 0 || int(p.Partition) >= len(topic.Partitions):
			code = errcode.UnknownTopicOrPartition
		case len(text(p.Metadata)) > int(t.s.config().OffsetMetadataMaxBytes):
			code = errcode.OffsetMetadataTooLarge
		default:
			t.commit(req, topic, p)
		}
		out.Partitions = append(out.Partitions,
			kmsg.OffsetCommitResponseTopicPartition{Partition: p.Partition, ErrorCode: int16(code)})
	}
	return out
}

func (t *tx) commit(
	req *kmsg.OffsetCommitRequest, topic *metadata.Topic, p *kmsg.OffsetCommitRequestTopicPartition,
) {
	v := &kmsg.OffsetCommitValue{
		Version: 4, Offset: p.Offset, LeaderEpoch: p.LeaderEpoch, Metadata: text(p.Metadata),
		CommitTimestamp: t.wall(), TopicID: topic.ID,
	}
	if req.Version < 6 {
		v.LeaderEpoch = -1
	}
	if req.Version <= 4 && req.RetentionTimeMillis >= 0 {
		// Only this version of the schema has room for it.
		v.Version, v.ExpireTimestamp = 1, t.wall()+req.RetentionTimeMillis
		v.LeaderEpoch, v.TopicID = 0, metadata.ID{}
	}
	t.emit(Key{
		Type: OffsetCommitType, Group: req.Group, Name: topic.Name, Partition: p.Partition,
	}, v)
}

// forgetOffsets forgets the offsets of a group that are not kept, at most so many.
func (t *tx) forgetOffsets(group string, most int, keep func(TopicPartition, *committed) bool) int {
	forgotten := 0
	offsets := t.s.offsets[group]
	for _, p := range offsets.sorted() {
		o := offsets[p]
		if forgotten == most {
			break
		}
		if !keep(p, &o) {
			t.emit(Key{Type: OffsetCommitType, Group: group, Name: p.Topic, Partition: p.Partition}, nil)
			forgotten++
		}
	}
	return forgotten
}

// forgetTopic forgets the offsets of a topic that was deleted.
func (t *tx) forgetTopic(topic *metadata.Topic) {
	for _, id := range slices.Sorted(maps.Keys(t.s.offsets)) {
		t.forgetOffsets(id, len(t.s.offsets[id]), func(p TopicPartition, o *committed) bool {
			return p.Topic != topic.Name || o.foreign(topic.ID)
		})
	}
}

// offsetDelete answers OffsetDelete (47), version 0: KIP-496.
func (t *tx) offsetDelete(req *kmsg.OffsetDeleteRequest) *failure {
	g := t.group(req.Group)
	r := req.ResponseKind().(*kmsg.OffsetDeleteResponse)
	offsets := t.s.offsets[req.Group]
	switch {
	case !validID(req.Group):
		return fail(errcode.InvalidGroupID, "")
	case g == nil && len(offsets) == 0:
		return fail(errcode.GroupIDNotFound, "")
	case g != nil && g.classic != nil && !g.empty() && g.classic.protocolType != consumerProtocol:
		return fail(errcode.NonEmptyGroup, "")
	}
	for i := range req.Topics {
		from := &req.Topics[i]
		out := kmsg.OffsetDeleteResponseTopic{Topic: from.Topic}
		inUse := g != nil && g.subscribedTo(from.Topic)
		for j := range from.Partitions {
			p := TopicPartition{Topic: from.Topic, Partition: from.Partitions[j].Partition}
			part := kmsg.OffsetDeleteResponseTopicPartition{Partition: p.Partition}
			if _, ok := offsets[p]; inUse {
				part.ErrorCode = int16(errcode.GroupSubscribedToTopic)
			} else if ok {
				t.emit(Key{
					Type: OffsetCommitType, Group: req.Group, Name: p.Topic, Partition: p.Partition,
				}, nil)
			}
			out.Partitions = append(out.Partitions, part)
		}
		r.Topics = append(r.Topics, out)
	}
	t.answer(r)
	return nil
}

// subscribedTo reports whether a member of the group subscribes to a topic, or may do so.
func (g *group) subscribedTo(topic string) bool {
	if g.classic != nil {
		topics, ok := g.classic.subscribed()
		if !ok {
			return g.classic.protocolType == consumerProtocol && len(g.classic.members) > 0
		}
		return topics[topic]
	}
	// Any one will do: the map may be read in any order.
	for _, m := range g.consumer.members {
		if _, found := slices.BinarySearch(g.consumer.topicsOf(m), topic); found {
			return true
		}
	}
	return false
}
