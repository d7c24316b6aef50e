package core

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/wire"
)

// dispatch hands a request to its API. A request that this broker does not serve
// closes the connection, as does any request while the node stops.
func (b *Broker) dispatch(c *call, request wire.Request) {
	if message, ok := request.(*wire.RaftRequest); ok {
		b.raftArrived(c, message)
		return
	}
	onController := c.conn.serves == wire.OnController
	if b.phase > running || b.phase < running && (!onController || b.image == nil) {
		b.refuse(c, errcode.BrokerNotAvailable, "the node is not running")
		return
	}
	if !wire.Supported(c.header.Key, c.header.Version) && c.header.Key != apiVersionsKey {
		b.refuse(c, errcode.UnsupportedVersion, "unsupported api version")
		return
	}
	if !wire.ServedOn(c.header.Key, c.conn.serves) {
		b.refuse(c, errcode.UnsupportedVersion, "not an api of this listener")
		return
	}
	if onController {
		b.dispatchController(c, request)
		return
	}
	switch req := request.(type) {
	case *wire.ProduceRequest:
		b.produce(c, req)
	case *wire.FetchRequest:
		b.fetch(c, req)
	case *kmsg.ListOffsetsRequest:
		b.listOffsets(c, req)
	case *kmsg.MetadataRequest:
		b.metadata(c, req)
	case *kmsg.ApiVersionsRequest:
		b.apiVersions(c, req)
	case *kmsg.InitProducerIDRequest:
		b.initProducerID(c, req)
	case *kmsg.OffsetForLeaderEpochRequest:
		b.offsetForLeaderEpoch(c, req)
	case *kmsg.DeleteRecordsRequest:
		b.deleteRecords(c, req)
	case *kmsg.DescribeProducersRequest:
		b.describeProducers(c, req)
	case *kmsg.DescribeLogDirsRequest:
		b.describeLogDirs(c, req)
	default:
		if !b.dispatchGroup(c, request) {
			b.dispatchAdmin(c, request)
		}
	}
}

// dispatchAdmin serves the requests that read or change the metadata.
func (b *Broker) dispatchAdmin(c *call, request wire.Request) {
	switch req := request.(type) {
	case *kmsg.DescribeTopicPartitionsRequest:
		b.describeTopicPartitions(c, req)
	case *kmsg.DescribeConfigsRequest, *kmsg.DescribeClusterRequest,
		*kmsg.ListConfigResourcesRequest:
		b.answerFromImage(c, request)
	case kmsg.Request:
		b.forward(c, req)
	default:
		b.refuse(c, errcode.UnsupportedVersion, "unsupported api")
	}
}

// refuse ends a call by closing its connection: there is no safe answer.
func (b *Broker) refuse(c *call, code errcode.Code, why string) {
	b.report(Report{Kind: RequestRefused, Err: code, Text: why})
	b.answerByClosing(c)
}
