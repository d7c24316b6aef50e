package core

import (
	"bytes"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/wire"
)

// keep copies a request that cannot start yet, since what it aliases is the driver's.
// Requests of kmsg own their memory, but for fields of bytes.
func keep(request wire.Request) wire.Request {
	switch req := request.(type) {
	case *wire.ProduceRequest:
		return keepProduce(req)
	case *wire.FetchRequest:
		return keepFetch(req)
	case *kmsg.JoinGroupRequest:
		for i := range req.Protocols {
			req.Protocols[i].Metadata = bytes.Clone(req.Protocols[i].Metadata)
		}
		return req
	case *kmsg.SyncGroupRequest:
		for i := range req.GroupAssignment {
			assignment := &req.GroupAssignment[i]
			assignment.MemberAssignment = bytes.Clone(assignment.MemberAssignment)
		}
		return req
	case *wire.RaftRequest:
		return &wire.RaftRequest{
			ClusterID: strings.Clone(req.ClusterID), From: req.From, Message: bytes.Clone(req.Message),
		}
	default:
		return request
	}
}

func keepProduce(req *wire.ProduceRequest) *wire.ProduceRequest {
	kept := *req
	kept.TransactionalID = strings.Clone(req.TransactionalID)
	kept.Partitions = slices.Clone(req.Partitions)
	for i := range kept.Partitions {
		part := &kept.Partitions[i]
		part.Topic = strings.Clone(part.Topic)
		part.Records = bytes.Clone(part.Records)
		part.RecordErrors = slices.Clone(part.RecordErrors)
	}
	return &kept
}

func keepFetch(req *wire.FetchRequest) *wire.FetchRequest {
	kept := *req
	kept.Rack = strings.Clone(req.Rack)
	kept.Partitions = slices.Clone(req.Partitions)
	for i := range kept.Partitions {
		kept.Partitions[i].Topic = strings.Clone(kept.Partitions[i].Topic)
	}
	kept.Forgotten = slices.Clone(req.Forgotten)
	for i := range kept.Forgotten {
		kept.Forgotten[i].Topic = strings.Clone(kept.Forgotten[i].Topic)
	}
	return &kept
}
