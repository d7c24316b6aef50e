package controller

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

// CreatePartitions (37), versions 0 to 3: KIP-195.

// CreatePartitions decides about a CreatePartitions request. What is random in the
// placement of replicas follows from seed.
func (c *Controller) CreatePartitions(
	req *kmsg.CreatePartitionsRequest, seed uint32,
) Result[*kmsg.CreatePartitionsResponse] {
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	var records []metadata.Record
	seen := make(map[string]int, len(req.Topics))
	for i := range req.Topics {
		seen[req.Topics[i].Topic]++
	}
	for i := range req.Topics {
		t := &req.Topics[i]
		n := seen[t.Topic]
		if n == 0 {
			continue // answered where its name came first
		}
		seen[t.Topic] = 0
		var more []metadata.Record
		f := fail(errcode.InvalidRequest, "the request names the topic more than once")
		if n == 1 {
			more, f = c.addPartitions(t, seed+uint32(i))
		}
		records = append(records, more...)
		out := kmsg.NewCreatePartitionsResponseTopic()
		out.Topic = t.Topic
		out.ErrorCode, out.ErrorMessage = f.codes()
		resp.Topics = append(resp.Topics, out)
	}
	if len(records) > recordsMax {
		for i := range resp.Topics {
			resp.Topics[i].ErrorCode, resp.Topics[i].ErrorMessage = tooLarge().codes()
		}
		records = nil
	}
	if req.ValidateOnly {
		records = nil
	}
	return Result[*kmsg.CreatePartitionsResponse]{Records: records, Response: resp}
}

// addPartitions decides about one topic.
func (c *Controller) addPartitions(t *kmsg.CreatePartitionsRequestTopic, seed uint32) (
	[]metadata.Record, *failure,
) {
	topic := c.image.Topic(t.Topic)
	if topic == nil {
		return nil, fail(errcode.UnknownTopicOrPartition, "")
	}
	first := int32(len(topic.Partitions))
	if t.Count <= first {
		return nil, fail(errcode.InvalidPartitions, fmt.Sprintf(
			"the topic has %d partitions, and %d are no more", first, t.Count))
	}
	count := t.Count - first
	if count > recordsMax {
		return nil, tooLarge()
	}
	factor := len(topic.Partitions[0].Replicas)
	manual := t.Assignment != nil
	var assignments [][]int32
	if manual {
		if len(t.Assignment) != int(count) {
			return nil, fail(errcode.InvalidReplicaAssignment, fmt.Sprintf(
				"%d partitions are added, with %d assignments", count, len(t.Assignment)))
		}
		for i := range t.Assignment {
			if f := c.checkAssignment(t.Assignment[i].Replicas, factor); f != nil {
				return nil, f
			}
			assignments = append(assignments, slices.Clone(t.Assignment[i].Replicas))
		}
	} else {
		var f *failure
		if assignments, f = c.place(count, int16(factor), seed); f != nil {
			return nil, f
		}
	}
	records := make([]metadata.Record, 0, count)
	for i, replicas := range assignments {
		p := c.newPartition(topic.ID, first+int32(i), replicas)
		if p == nil {
			return nil, inactive(manual, int(first)+i)
		}
		records = append(records, p)
	}
	return records, nil
}
