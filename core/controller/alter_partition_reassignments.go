package controller

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

// AlterPartitionReassignments (45), versions 0 and 1: KIP-455; whether the replication
// factor may change (KIP-860). kmsg calls it AlterPartitionAssignments.

// A reassignment goes on in two steps:
//
//  1. The replicas become the target and, behind it, those that are to be removed.
//  2. With the change after which the target is in sync, the others are removed.
//
// If no replica has to catch up first, both are one.

// AlterPartitionReassignments decides to move partitions to other replicas, or to call
// off such a move. Each partition is changed or not whatever becomes of the others.
func (c *Controller) AlterPartitionReassignments(
	req *kmsg.AlterPartitionAssignmentsRequest,
) Result[*kmsg.AlterPartitionAssignmentsResponse] {
	resp := req.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
	out := Result[*kmsg.AlterPartitionAssignmentsResponse]{Response: resp}
	resp.AllowReplicationFactorChange = req.AllowReplicationFactorChange
	const mayForbidFrom = 1
	free := req.Version < mayForbidFrom || req.AllowReplicationFactorChange
	seen := map[partitionKey]bool{}
	for i := range req.Topics {
		q := &req.Topics[i]
		t := c.image.Topic(q.Topic)
		answers := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		answers.Topic = q.Topic
		for j := range q.Partitions {
			index := q.Partitions[j].Partition
			var record *metadata.PartitionChangeRecord
			f := fail(errcode.UnknownTopicOrPartition,
				fmt.Sprintf("there is no partition %d of topic %s", index, q.Topic))
			if t != nil && index >= 0 && int(index) < len(t.Partitions) {
				key := partitionKey{t.ID, index}
				f = fail(errcode.InvalidRequest, "the request names the partition more than once")
				if !seen[key] {
					record, f = c.reassign(t, &q.Partitions[j], free)
				}
				seen[key] = true
			}
			if record != nil {
				out.Records = append(out.Records, record)
			}
			answer := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			answer.Partition = index
			answer.ErrorCode, answer.ErrorMessage = f.codes()
			answers.Partitions = append(answers.Partitions, answer)
		}
		resp.Topics = append(resp.Topics, answers)
	}
	if len(out.Records) > recordsMax {
		resp.ErrorCode, resp.ErrorMessage = tooLarge().codes()
		resp.Topics, out.Records = nil, nil
	}
	return out
}

// reassign decides about one partition, that exists. Free says whether the number of
// replicas may change.
func (c *Controller) reassign(
	t *metadata.Topic, q *kmsg.AlterPartitionAssignmentsRequestTopicPartition, free bool,
) (*metadata.PartitionChangeRecord, *failure) {
	if q.Replicas == nil {
		return c.cancelReassignment(t, q.Partition)
	}
	p := &t.Partitions[q.Partition]
	if f := c.checkAssignment(q.Replicas, 0); f != nil {
		return nil, f
	}
	if factor := len(p.Replicas) - len(p.RemovingReplicas); !free && factor != len(q.Replicas) {
		return nil, fail(errcode.InvalidReplicationFactor, fmt.Sprintf(
			"the replication factor would change from %d to %d", factor, len(q.Replicas)))
	}
	ch := c.changeOf(t, q.Partition, c.asIs())
	ch.election = online
	// Who is still being added goes on being added.
	settled := withoutAll(p.Replicas, p.AddingReplicas)
	adding, removing := withoutAll(q.Replicas, settled), withoutAll(p.Replicas, q.Replicas)
	slices.Sort(adding)
	slices.Sort(removing)
	ch.setReplicas(slices.Concat(q.Replicas, removing))
	ch.next.AddingReplicas, ch.next.RemovingReplicas = adding, removing
	return ch.build(), nil
}

// cancelReassignment decides to take the replicas away that were being added, and to
// keep those that were to be removed.
func (c *Controller) cancelReassignment(t *metadata.Topic, index int32) (
	*metadata.PartitionChangeRecord, *failure,
) {
	p := &t.Partitions[index]
	if len(p.AddingReplicas)+len(p.RemovingReplicas) == 0 {
		return nil, fail(errcode.NoReassignmentInProgress, "no reassignment is in progress")
	}
	ch := c.changeOf(t, index, c.asIs())
	kept := withoutAll(p.Replicas, p.AddingReplicas)
	if len(kept) == 0 {
		return nil, fail(errcode.InvalidReplicaAssignment, "all replicas are being added")
	}
	isr := withoutAll(p.ISR, p.AddingReplicas)
	eligible := ch.elr && len(withoutAll(p.ELR, p.AddingReplicas)) > 0
	if len(isr) == 0 && !eligible {
		if !t.Config.UncleanLeaderElection {
			return nil, fail(errcode.InvalidReplicaAssignment,
				"who is in sync would be removed: it would take an unclean election")
		}
		ch.next.RecoveryState = recovering
		if !ch.elr {
			isr = kept[:1:1]
		}
	}
	ch.setReplicas(kept)
	ch.next.ISR, ch.next.AddingReplicas, ch.next.RemovingReplicas = isr, nil, nil
	return ch.build(), nil
}

// ListPartitionReassignments (46), version 0: KIP-455.

// ListPartitionReassignments answers a ListPartitionReassignments request from an
// image. It reads only the image and may run in any goroutine.
func ListPartitionReassignments(
	m *metadata.Image, req *kmsg.ListPartitionReassignmentsRequest,
) *kmsg.ListPartitionReassignmentsResponse {
	resp := req.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
	if req.Topics == nil {
		for t := range m.Topics() {
			listReassignments(resp, t, everyIndex(t))
		}
	}
	for i := range req.Topics {
		if t := m.Topic(req.Topics[i].Topic); t != nil {
			listReassignments(resp, t, req.Topics[i].Partitions)
		}
	}
	return resp
}

func listReassignments(
	resp *kmsg.ListPartitionReassignmentsResponse, t *metadata.Topic, partitions []int32,
) {
	out := kmsg.NewListPartitionReassignmentsResponseTopic()
	out.Topic = t.Name
	for _, index := range partitions {
		if index < 0 || int(index) >= len(t.Partitions) {
			continue
		}
		p := &t.Partitions[index]
		if len(p.AddingReplicas)+len(p.RemovingReplicas) == 0 {
			continue
		}
		answer := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
		answer.Partition, answer.Replicas = index, p.Replicas
		answer.AddingReplicas, answer.RemovingReplicas = p.AddingReplicas, p.RemovingReplicas
		out.Partitions = append(out.Partitions, answer)
	}
	if len(out.Partitions) > 0 {
		resp.Topics = append(resp.Topics, out)
	}
}
