package controller

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

// DeleteTopics (20), versions 1 to 6: KIP-4, by id since version 6 (KIP-516).

// DeleteTopics decides about a DeleteTopics request. The answers are in the order
// in which the request first names a topic.
func (c *Controller) DeleteTopics(
	req *kmsg.DeleteTopicsRequest,
) Result[*kmsg.DeleteTopicsResponse] {
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	asked := req.Topics
	if req.Version < 6 {
		asked = make([]kmsg.DeleteTopicsRequestTopic, len(req.TopicNames))
		for i := range req.TopicNames {
			asked[i].Topic = &req.TopicNames[i]
		}
	}
	d := deletion{c: c, times: make(map[topicKey]int, len(asked))}
	for i := range asked {
		key, _ := d.resolve(&asked[i])
		d.times[key]++
	}
	for i := range asked {
		if answer, ok := d.topic(&asked[i], req.Version); ok {
			resp.Topics = append(resp.Topics, answer)
		}
	}
	if len(d.records) > recordsMax {
		for i := range resp.Topics {
			resp.Topics[i].ErrorCode, resp.Topics[i].ErrorMessage = tooLarge().codes()
		}
		d.records = nil
	}
	return Result[*kmsg.DeleteTopicsResponse]{Records: d.records, Response: resp}
}

// deletion is a DeleteTopics request as far as it was decided about.
type deletion struct {
	c       *Controller
	records []metadata.Record
	times   map[topicKey]int // how often the request names each topic; 0: answered
}

// topicKey is what a request calls a topic: the id of one that exists, whichever
// way it is named, and otherwise the name or the id given.
type topicKey struct {
	name string
	id   metadata.ID
}

func (d *deletion) resolve(t *kmsg.DeleteTopicsRequestTopic) (topicKey, *metadata.Topic) {
	key := topicKey{id: t.TopicID}
	found := d.c.image.TopicByID(t.TopicID)
	if t.Topic != nil {
		key.name = *t.Topic
		found = d.c.image.Topic(*t.Topic)
		if t.TopicID != (metadata.ID{}) {
			return key, nil // contradicts itself, and names nothing
		}
	}
	if found != nil {
		key = topicKey{id: found.ID}
	}
	return key, found
}

// topic decides about one entry of the request. It is false for an entry that was
// answered with an earlier one.
func (d *deletion) topic(
	t *kmsg.DeleteTopicsRequestTopic, version int16,
) (kmsg.DeleteTopicsResponseTopic, bool) {
	out := kmsg.NewDeleteTopicsResponseTopic()
	out.Topic, out.TopicID = t.Topic, t.TopicID
	key, found := d.resolve(t)
	times := d.times[key]
	d.times[key] = 0
	var f *failure
	switch {
	case times == 0:
		return out, false
	case !d.c.image.Config().DeleteTopicEnable && version < 3:
		f = fail(errcode.InvalidRequest, "delete.topic.enable is false")
	case !d.c.image.Config().DeleteTopicEnable:
		f = fail(errcode.TopicDeletionDisabled, "delete.topic.enable is false")
	case t.Topic != nil && t.TopicID != metadata.ID{}:
		f = fail(errcode.InvalidRequest, "a topic is named either by name or by id")
	case t.Topic == nil && t.TopicID == metadata.ID{}:
		f = fail(errcode.InvalidRequest, "neither a name nor an id is given")
	case times > 1:
		f = fail(errcode.InvalidRequest, "the request names the topic more than once")
	case found == nil && t.Topic != nil:
		f = fail(errcode.UnknownTopicOrPartition, "")
	case found == nil:
		f = fail(errcode.UnknownTopicID, "")
	default:
		out.Topic, out.TopicID = &found.Name, found.ID
		d.records = append(d.records, &metadata.RemoveTopicRecord{TopicID: found.ID})
	}
	out.ErrorCode, out.ErrorMessage = f.codes()
	return out, true
}
