package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

// offsetFetch answers OffsetFetch (9), versions 1 to 10: KIP-447, KIP-709, KIP-848. No
// offset is pending in a transaction here, so that RequireStable asks for nothing more
// than what every answer keeps: it is sent when what it says is committed.
func (t *tx) offsetFetch(req *kmsg.OffsetFetchRequest) *failure {
	r := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	if req.Version >= 8 {
		for i := range req.Groups {
			r.Groups = append(r.Groups, t.fetchGroup(req.Version, &req.Groups[i]))
		}
		t.answer(r)
		return nil
	}
	from := kmsg.OffsetFetchRequestGroup{Group: req.Group, MemberEpoch: -1}
	if req.Topics != nil {
		from.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
	}
	for i := range req.Topics {
		from.Topics = append(from.Topics, kmsg.OffsetFetchRequestGroupTopic{
			Topic: req.Topics[i].Topic, Partitions: req.Topics[i].Partitions,
		})
	}
	group := t.fetchGroup(req.Version, &from)
	r.ErrorCode = group.ErrorCode
	for i := range group.Topics {
		out := kmsg.OffsetFetchResponseTopic{Topic: group.Topics[i].Topic}
		for _, p := range group.Topics[i].Partitions {
			out.Partitions = append(out.Partitions, kmsg.OffsetFetchResponseTopicPartition{
				Partition: p.Partition, Offset: p.Offset, LeaderEpoch: p.LeaderEpoch,
				Metadata: p.Metadata, ErrorCode: p.ErrorCode,
			})
		}
		r.Topics = append(r.Topics, out)
	}
	t.answer(r)
	return nil
}

func (t *tx) fetchGroup(
	version int16, from *kmsg.OffsetFetchRequestGroup,
) kmsg.OffsetFetchResponseGroup {
	out := kmsg.OffsetFetchResponseGroup{Group: from.Group}
	if f := t.checkFetch(version, from); f != nil {
		out.ErrorCode = int16(f.code)
		return out
	}
	offsets := t.s.offsets[from.Group]
	if from.Topics == nil {
		out.Topics = t.fetchAll(version, offsets)
		return out
	}
	for i := range from.Topics {
		topic := &from.Topics[i]
		part := kmsg.OffsetFetchResponseGroupTopic{Topic: topic.Topic, TopicID: topic.TopicID}
		name, id, code := topic.Topic, metadata.ID{}, errcode.None
		known := t.s.image.Topic(name)
		if version >= 10 {
			if known = t.s.image.TopicByID(topic.TopicID); known == nil {
				code = errcode.UnknownTopicID
			}
		}
		if known != nil {
			name, id = known.Name, known.ID
		}
		for _, p := range topic.Partitions {
			o, ok := offsets[TopicPartition{Topic: name, Partition: p}]
			ok = ok && code == errcode.None && !o.foreign(id)
			part.Partitions = append(part.Partitions, fetched(p, &o, ok, code))
		}
		out.Topics = append(out.Topics, part)
	}
	return out
}

// fetchAll returns all offsets of a group, by topic.
func (t *tx) fetchAll(version int16, offsets groupOffsets) []kmsg.OffsetFetchResponseGroupTopic {
	var topics []kmsg.OffsetFetchResponseGroupTopic
	for _, p := range offsets.sorted() {
		o := offsets[p]
		known := t.s.image.Topic(p.Topic)
		if known != nil && o.foreign(known.ID) || version >= 10 && known == nil {
			continue
		}
		if n := len(topics); n == 0 || topics[n-1].Topic != p.Topic {
			topics = append(topics, kmsg.OffsetFetchResponseGroupTopic{Topic: p.Topic})
			if known != nil {
				topics[n].TopicID = known.ID
			}
		}
		last := &topics[len(topics)-1]
		last.Partitions = append(last.Partitions, fetched(p.Partition, &o, true, errcode.None))
	}
	return topics
}

func fetched(
	partition int32, o *committed, ok bool, code errcode.Code,
) kmsg.OffsetFetchResponseGroupTopicPartition {
	r := kmsg.OffsetFetchResponseGroupTopicPartition{
		Partition: partition, Offset: -1, LeaderEpoch: -1, Metadata: new(string),
		ErrorCode: int16(code),
	}
	if ok {
		said := o.metadata
		r.Offset, r.LeaderEpoch, r.Metadata = o.offset, o.leaderEpoch, &said
	}
	return r
}

func (t *tx) checkFetch(version int16, from *kmsg.OffsetFetchRequestGroup) *failure {
	if !validID(from.Group) {
		return fail(errcode.InvalidGroupID, "")
	}
	g := t.group(from.Group)
	named := version >= 9 && (from.MemberID != nil && *from.MemberID != "" || from.MemberEpoch >= 0)
	if g == nil || g.consumer == nil || !named {
		return nil
	}
	m := g.consumer.members[text(from.MemberID)]
	switch {
	case m == nil:
		return fail(errcode.UnknownMemberID, "")
	case m.epoch == from.MemberEpoch:
		return nil
	case m.Classic != nil:
		return fail(errcode.IllegalGeneration, "")
	}
	return fail(errcode.StaleMemberEpoch, "")
}
