package core

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/wire"
)

// Requests that the controller did not decide about are answered in the form that each
// API has for that: with an error on top, or with one for everything that was asked.

// refusal answers a request to the controller with an error.
func refusal(request kmsg.Request, code errcode.Code) kmsg.Response {
	resp := request.ResponseKind()
	on := topCode(resp)
	if on != nil {
		*on = int16(code)
	}
	switch req := request.(type) {
	case *kmsg.CreateTopicsRequest:
		refuseCreation(req, resp.(*kmsg.CreateTopicsResponse), code)
	case *kmsg.DeleteTopicsRequest:
		refuseDeletion(req, resp.(*kmsg.DeleteTopicsResponse), code)
	case *kmsg.CreatePartitionsRequest:
		out := resp.(*kmsg.CreatePartitionsResponse)
		for i := range req.Topics {
			t := kmsg.NewCreatePartitionsResponseTopic()
			t.Topic, t.ErrorCode = req.Topics[i].Topic, int16(code)
			out.Topics = append(out.Topics, t)
		}
	case *kmsg.AlterConfigsRequest:
		out := resp.(*kmsg.AlterConfigsResponse)
		for i := range req.Resources {
			r := kmsg.NewAlterConfigsResponseResource()
			r.ResourceType, r.ResourceName = req.Resources[i].ResourceType, req.Resources[i].ResourceName
			r.ErrorCode = int16(code)
			out.Resources = append(out.Resources, r)
		}
	case *kmsg.IncrementalAlterConfigsRequest:
		out := resp.(*kmsg.IncrementalAlterConfigsResponse)
		for i := range req.Resources {
			r := kmsg.NewIncrementalAlterConfigsResponseResource()
			r.ResourceType, r.ResourceName = req.Resources[i].ResourceType, req.Resources[i].ResourceName
			r.ErrorCode = int16(code)
			out.Resources = append(out.Resources, r)
		}
	case *kmsg.ElectLeadersRequest:
		refuseElections(req, resp.(*kmsg.ElectLeadersResponse), code)
	default:
		invariant.True(on != nil, "every API has a form for errors")
	}
	return resp
}

func refuseCreation(
	req *kmsg.CreateTopicsRequest, resp *kmsg.CreateTopicsResponse, code errcode.Code,
) {
	for i := range req.Topics {
		t := kmsg.NewCreateTopicsResponseTopic()
		t.Topic, t.ErrorCode = req.Topics[i].Topic, int16(code)
		resp.Topics = append(resp.Topics, t)
	}
}

// refuseDeletion refuses topics by name and, from version 6 on, by name or id.
func refuseDeletion(
	req *kmsg.DeleteTopicsRequest, resp *kmsg.DeleteTopicsResponse, code errcode.Code,
) {
	const topicsFrom = 6
	add := func(name *string, id wire.TopicID) {
		t := kmsg.NewDeleteTopicsResponseTopic()
		t.Topic, t.TopicID, t.ErrorCode = name, id, int16(code)
		resp.Topics = append(resp.Topics, t)
	}
	if req.Version >= topicsFrom {
		for i := range req.Topics {
			add(req.Topics[i].Topic, req.Topics[i].TopicID)
		}
		return
	}
	for i := range req.TopicNames {
		add(&req.TopicNames[i], wire.TopicID{})
	}
}

func refuseElections(
	req *kmsg.ElectLeadersRequest, resp *kmsg.ElectLeadersResponse, code errcode.Code,
) {
	for i := range req.Topics {
		t := kmsg.NewElectLeadersResponseTopic()
		t.Topic = req.Topics[i].Topic
		for _, index := range req.Topics[i].Partitions {
			p := kmsg.NewElectLeadersResponseTopicPartition()
			p.Partition, p.ErrorCode = index, int16(code)
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
}

// topCode is where an answer of the controller has its error, nil if it has none for the
// whole.
func topCode(resp kmsg.Response) *int16 {
	switch r := resp.(type) {
	case *kmsg.ElectLeadersResponse:
		return &r.ErrorCode
	case *kmsg.AlterPartitionAssignmentsResponse:
		return &r.ErrorCode
	case *kmsg.ListPartitionReassignmentsResponse:
		return &r.ErrorCode
	case *kmsg.AlterPartitionResponse:
		return &r.ErrorCode
	case *kmsg.UpdateFeaturesResponse:
		return &r.ErrorCode
	case *kmsg.DescribeQuorumResponse:
		return &r.ErrorCode
	case *kmsg.AddRaftVoterResponse:
		return &r.ErrorCode
	case *kmsg.RemoveRaftVoterResponse:
		return &r.ErrorCode
	case *kmsg.BrokerRegistrationResponse:
		return &r.ErrorCode
	case *kmsg.BrokerHeartbeatResponse:
		return &r.ErrorCode
	case *kmsg.UnregisterBrokerResponse:
		return &r.ErrorCode
	case *kmsg.AllocateProducerIDsResponse:
		return &r.ErrorCode
	case *kmsg.AssignReplicasToDirsResponse:
		return &r.ErrorCode
	}
	return nil
}

// codeOf is the error that an answer of the controller has on top, or else with the first
// thing that was asked. A refusal has the same everywhere.
func codeOf(resp wire.Response) errcode.Code {
	code := int16(errcode.None)
	switch r := resp.(type) {
	case *kmsg.CreateTopicsResponse:
		if len(r.Topics) > 0 {
			code = r.Topics[0].ErrorCode
		}
	case *kmsg.DeleteTopicsResponse:
		if len(r.Topics) > 0 {
			code = r.Topics[0].ErrorCode
		}
	case *kmsg.CreatePartitionsResponse:
		if len(r.Topics) > 0 {
			code = r.Topics[0].ErrorCode
		}
	case *kmsg.AlterConfigsResponse:
		if len(r.Resources) > 0 {
			code = r.Resources[0].ErrorCode
		}
	case *kmsg.IncrementalAlterConfigsResponse:
		if len(r.Resources) > 0 {
			code = r.Resources[0].ErrorCode
		}
	case *kmsg.ElectLeadersResponse: // version 0 has no error on top
		code = r.ErrorCode
		if code == 0 && len(r.Topics) > 0 && len(r.Topics[0].Partitions) > 0 {
			code = r.Topics[0].Partitions[0].ErrorCode
		}
	case kmsg.Response:
		if on := topCode(r); on != nil {
			code = *on
		}
	}
	return errcode.Code(code)
}
