package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/invariant"
)

// ErrorResponse answers a request for groups with one error, as Kafka does for each API:
// for the whole request, or for everything that it asks for. Text is for people, and may
// be empty.
func ErrorResponse(req kmsg.Request, code errcode.Code, text string) kmsg.Response {
	c := int16(code)
	switch req := req.(type) {
	case *kmsg.JoinGroupRequest:
		r := joinResponse(req)
		r.ErrorCode = c
		return r
	case *kmsg.SyncGroupRequest:
		r := req.ResponseKind().(*kmsg.SyncGroupResponse)
		r.ErrorCode, r.MemberAssignment = c, []byte{}
		return r
	case *kmsg.HeartbeatRequest:
		r := req.ResponseKind().(*kmsg.HeartbeatResponse)
		r.ErrorCode = c
		return r
	case *kmsg.LeaveGroupRequest:
		r := req.ResponseKind().(*kmsg.LeaveGroupResponse)
		r.ErrorCode = c
		return r
	case *kmsg.ConsumerGroupHeartbeatRequest:
		r := req.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
		r.ErrorCode = c
		if text != "" {
			r.ErrorMessage = &text
		}
		return r
	case *kmsg.OffsetCommitRequest:
		return commitError(req, c)
	case *kmsg.OffsetFetchRequest:
		return fetchError(req, c)
	case *kmsg.OffsetDeleteRequest:
		r := req.ResponseKind().(*kmsg.OffsetDeleteResponse)
		r.ErrorCode = c
		return r
	}
	return listError(req, c)
}

func commitError(req *kmsg.OffsetCommitRequest, c int16) kmsg.Response {
	r := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	for i := range req.Topics {
		from := &req.Topics[i]
		out := kmsg.OffsetCommitResponseTopic{Topic: from.Topic, TopicID: from.TopicID}
		for j := range from.Partitions {
			out.Partitions = append(out.Partitions, kmsg.OffsetCommitResponseTopicPartition{
				Partition: from.Partitions[j].Partition, ErrorCode: c,
			})
		}
		r.Topics = append(r.Topics, out)
	}
	return r
}

func fetchError(req *kmsg.OffsetFetchRequest, c int16) kmsg.Response {
	r := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	switch {
	case req.Version >= 8:
		for i := range req.Groups {
			r.Groups = append(r.Groups,
				kmsg.OffsetFetchResponseGroup{Group: req.Groups[i].Group, ErrorCode: c})
		}
	case req.Version >= 2:
		r.ErrorCode = c
	default: // errors are told of each partition
		none := committed{}
		for i := range req.Topics {
			out := kmsg.OffsetFetchResponseTopic{Topic: req.Topics[i].Topic}
			for _, p := range req.Topics[i].Partitions {
				f := fetched(p, &none, false, errcode.Code(c))
				out.Partitions = append(out.Partitions, kmsg.OffsetFetchResponseTopicPartition{
					Partition: p, Offset: f.Offset, Metadata: f.Metadata, ErrorCode: c,
				})
			}
			r.Topics = append(r.Topics, out)
		}
	}
	return r
}

// listError answers requests about several groups.
func listError(req kmsg.Request, c int16) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.DescribeGroupsRequest:
		r := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
		for _, id := range req.Groups {
			r.Groups = append(r.Groups, kmsg.DescribeGroupsResponseGroup{
				Group: id, ErrorCode: c, AuthorizedOperations: noOperations,
			})
		}
		return r
	case *kmsg.ConsumerGroupDescribeRequest:
		r := req.ResponseKind().(*kmsg.ConsumerGroupDescribeResponse)
		for _, id := range req.Groups {
			out := kmsg.NewConsumerGroupDescribeResponseGroup()
			out.Group, out.ErrorCode, out.AuthorizedOperations = id, c, noOperations
			r.Groups = append(r.Groups, out)
		}
		return r
	case *kmsg.ListGroupsRequest:
		r := req.ResponseKind().(*kmsg.ListGroupsResponse)
		r.ErrorCode = c
		return r
	case *kmsg.DeleteGroupsRequest:
		r := req.ResponseKind().(*kmsg.DeleteGroupsResponse)
		for _, id := range req.Groups {
			r.Groups = append(r.Groups, kmsg.DeleteGroupsResponseGroup{Group: id, ErrorCode: c})
		}
		return r
	}
	invariant.Fail("no group is asked for API %d", req.Key())
	return nil
}
