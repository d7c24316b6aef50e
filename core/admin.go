package core

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/controller"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/wire"
)

// What a broker tells of the cluster follows from its image of the metadata.

// apiVersionsKey is served in whatever version it comes (KIP-511).
const apiVersionsKey = 18

// apiVersions (key 18, versions 0-4) tells what the broker serves, and the features the
// cluster has agreed on (KIP-511, KIP-584).
func (b *Broker) apiVersions(c *call, req *kmsg.ApiVersionsRequest) {
	const softwareFrom = 3
	if wire.Supported(apiVersionsKey, c.header.Version) && c.header.Version >= softwareFrom &&
		(!isSoftware(req.ClientSoftwareName) || !isSoftware(req.ClientSoftwareVersion)) {
		resp := kmsg.NewPtrApiVersionsResponse()
		resp.ErrorCode = int16(errcode.InvalidRequest)
		b.answer(c, resp)
		return
	}
	f := wire.Features{Epoch: b.image.Offset()}
	for _, level := range supported() {
		f.Supported = append(f.Supported, wire.SupportedFeature{
			Name: level.Name, Min: level.MinSupportedVersion, Max: level.MaxSupportedVersion,
		})
		// What else a directory of Kafka's was brought to is not served here, and
		// would make clients ask for it.
		if finalized := b.image.Feature(level.Name); finalized > 0 {
			f.Finalized = append(f.Finalized,
				wire.FinalizedFeature{Name: level.Name, Level: finalized})
		}
	}
	b.answer(c, wire.NewAPIVersionsResponse(c.header.Version, c.conn.serves, &f))
}

// supported are the ranges of the features that this node serves: of groups the consumer
// protocol (KIP-848), and nothing that transactions would need.
func supported() []metadata.BrokerFeature {
	return []metadata.BrokerFeature{
		{Name: metadata.GroupVersion, MaxSupportedVersion: 1},
		{
			Name:                metadata.MetadataVersion,
			MinSupportedVersion: metadata.MetadataVersionMin,
			MaxSupportedVersion: metadata.MetadataVersionMax,
		},
	}
}

// levels are the features that a new cluster is brought to.
func levels() []metadata.Feature {
	var levels []metadata.Feature
	for _, f := range supported() {
		levels = append(levels, metadata.Feature{Name: f.Name, Level: f.MaxSupportedVersion})
	}
	return levels
}

// isSoftware reports whether a client may call its software s: letters and digits with
// dots and dashes between (KIP-511).
func isSoftware(s string) bool {
	for i := range len(s) {
		c := s[i]
		inner := i > 0 && i < len(s)-1 && (c == '.' || c == '-')
		if !inner && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// metadata (key 3, versions 0-13) describes topics and brokers. Topics that do not
// exist are made if client and broker allow it, and described when they are online here.
func (b *Broker) metadata(c *call, req *kmsg.MetadataRequest) {
	if b.lacks(req) {
		if _, names := controller.Metadata(b.image, req, b.view(c)); len(names) > 0 {
			create := b.autoCreate(names...)
			b.askController(create, b.base.RequestTimeout, &autoCreation{call: c.ref(), request: req})
			return
		}
	}
	b.answerFromImage(c, req)
}

// autoCreation answers a Metadata request once the topics it lacked are there, or cannot
// be made: what is missing then stands in the answer.
type autoCreation struct {
	request *kmsg.MetadataRequest
	call    callRef
}

func (a *autoCreation) answered(b *Broker, _ wire.Response, _ error) {
	if c := a.call.get(); c != nil {
		b.answerFromImage(c, a.request)
	}
}

// lacks reports whether a Metadata request names a topic that does not exist.
func (b *Broker) lacks(req *kmsg.MetadataRequest) bool {
	return slices.ContainsFunc(req.Topics, func(t kmsg.MetadataRequestTopic) bool {
		return t.Topic != nil && b.image.Topic(*t.Topic) == nil
	})
}

func (b *Broker) answerFromImage(c *call, request wire.Request) {
	b.answerLater(c, &imageQuery{image: b.image, request: request, view: b.view(c)})
}

// view is from where the client of a call looks at the cluster.
func (b *Broker) view(c *call) controller.View {
	v := controller.View{
		Listener: c.conn.listener, ClusterID: b.dirs[0].found.ClusterID,
		Controller: b.activeController(),
	}
	if c.conn.serves == wire.OnController {
		v.OnController, v.Voters = true, b.base.QuorumVoters
		return v
	}
	// Clients of brokers do not reach controllers, but any broker forwards (KIP-590).
	if own := b.image.Broker(v.Controller); own == nil || own.Fenced {
		v.Controller = b.options.NodeID
	}
	return v
}

// describeTopicPartitions (key 75, version 0, KIP-966).
func (b *Broker) describeTopicPartitions(c *call, req *kmsg.DescribeTopicPartitionsRequest) {
	if validCursor(req) {
		b.answerFromImage(c, req)
		return
	}
	resp := kmsg.NewPtrDescribeTopicPartitionsResponse()
	for i := range req.Topics {
		t := kmsg.NewDescribeTopicPartitionsResponseTopic()
		t.Topic, t.ErrorCode = &req.Topics[i].Topic, int16(errcode.InvalidRequest)
		resp.Topics = append(resp.Topics, t)
	}
	b.answer(c, resp)
}

// validCursor reports whether a request's cursor, if any, points into its topics.
func validCursor(req *kmsg.DescribeTopicPartitionsRequest) bool {
	if req.Cursor == nil {
		return true
	}
	named := slices.ContainsFunc(req.Topics, func(t kmsg.DescribeTopicPartitionsRequestTopic) bool {
		return t.Topic == req.Cursor.Topic
	})
	return req.Cursor.Partition >= 0 && (named || len(req.Topics) == 0)
}

// imageQuery is a request whose answer follows from the metadata alone.
type imageQuery struct {
	image   *metadata.Image
	request wire.Request
	view    controller.View
}

// Answer builds the response.
func (q *imageQuery) Answer(*QueryDevices) wire.Response {
	switch req := q.request.(type) {
	case *kmsg.MetadataRequest:
		resp, _ := controller.Metadata(q.image, req, q.view)
		return resp
	case *kmsg.DescribeTopicPartitionsRequest:
		resp, _ := controller.DescribeTopicPartitions(q.image, req, q.view) // checked before
		return resp
	case *kmsg.DescribeClusterRequest:
		return controller.DescribeCluster(q.image, req, q.view)
	case *kmsg.DescribeConfigsRequest:
		return controller.DescribeConfigs(q.image, req)
	case *kmsg.ListConfigResourcesRequest:
		return controller.ListConfigResources(q.image, req)
	default:
		return nil
	}
}
