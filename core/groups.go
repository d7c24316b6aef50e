package core

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/controller"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/group"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/wire"
)

// The APIs of groups (keys 8 to 16, 42, 47, 68 and 69) go to the shard that coordinates
// the group, if that is at this node. A request about several groups is asked in parts,
// one for each group, and answered when all parts are.

// groupAsk is a request, or a part of one, that a shard has been asked.
type groupAsk struct {
	request kmsg.Request
	call    callRef
	parts   *groupParts // nil if the request went to one shard as a whole
	index   int         // in parts
}

// groupParts are the answers to the parts of a request, in its order.
type groupParts struct {
	request kmsg.Request
	answers []kmsg.Response
	waiting int
}

// dispatchGroup serves requests about groups, and reports whether the request is one.
func (b *Broker) dispatchGroup(c *call, request wire.Request) bool {
	switch req := request.(type) {
	case *kmsg.FindCoordinatorRequest:
		b.findCoordinator(c, req)
	case *kmsg.JoinGroupRequest, *kmsg.SyncGroupRequest, *kmsg.HeartbeatRequest,
		*kmsg.LeaveGroupRequest, *kmsg.OffsetDeleteRequest:
		b.askShard(c, req.(kmsg.Request))
	case *kmsg.OffsetCommitRequest:
		if b.image.Topic(group.OffsetsTopic) == nil {
			b.createInternal(group.OffsetsTopic)
		}
		b.askShard(c, req)
	case *kmsg.OffsetFetchRequest:
		const severalFrom = 8 // KIP-709
		if req.Version >= severalFrom {
			b.askShards(c, req, offsetFetchParts(req))
		} else {
			b.askShard(c, req)
		}
	case *kmsg.ConsumerGroupHeartbeatRequest:
		b.askConsumer(c, req, func() { b.askShard(c, req) })
	case *kmsg.ConsumerGroupDescribeRequest:
		b.askConsumer(c, req, func() { b.askShards(c, req, consumerDescribeParts(req)) })
	case *kmsg.DescribeGroupsRequest:
		b.askShards(c, req, describeParts(req))
	case *kmsg.DeleteGroupsRequest:
		b.askShards(c, req, deleteParts(req))
	case *kmsg.ListGroupsRequest:
		b.listGroups(c, req)
	default:
		return false
	}
	return true
}

// askConsumer lets a request of the consumer protocol pass if the cluster has agreed on
// that (KIP-848).
func (b *Broker) askConsumer(c *call, req kmsg.Request, ask func()) {
	if b.image.Feature(metadata.GroupVersion) == 0 {
		b.answer(c, group.ErrorResponse(req, errcode.UnsupportedVersion, ""))
		return
	}
	ask()
}

// findCoordinator (key 10, versions 0-6) tells who coordinates groups. The topic that
// decides about it is made when it is first asked for.
func (b *Broker) findCoordinator(c *call, req *kmsg.FindCoordinatorRequest) {
	const transactions = 1
	resp, missing := group.FindCoordinator(b.image, req, c.conn.listener)
	if req.CoordinatorType == transactions { // there is no transaction coordinator
		resp.ErrorCode = int16(errcode.UnsupportedVersion)
		for i := range resp.Coordinators {
			resp.Coordinators[i].ErrorCode = resp.ErrorCode
		}
	} else if missing != "" {
		b.createInternal(missing)
	}
	b.answer(c, resp)
}

// createInternal has a topic of coordinators made. Clients are told that there is none
// yet, and ask again.
func (b *Broker) createInternal(topic string) {
	if b.creating[topic] {
		return
	}
	b.creating[topic] = true
	b.askController(b.autoCreate(topic), b.base.RequestTimeout, &internalCreation{topic: topic})
}

// internalCreation waits for a topic of coordinators.
type internalCreation struct{ topic string }

func (i *internalCreation) answered(b *Broker, resp wire.Response, err error) {
	delete(b.creating, i.topic)
	if err != nil {
		return
	}
	for _, t := range resp.(*kmsg.CreateTopicsResponse).Topics {
		code := errcode.Code(t.ErrorCode)
		if code != errcode.None && code != errcode.TopicAlreadyExists {
			b.report(Report{Kind: RequestRefused, Err: code, Text: "there can be no " + i.topic})
		}
	}
}

// autoCreate is the request that creates topics by themselves. A cluster with one voter
// need not be told that it has fewer brokers than Kafka's default for the offsets topic
// asks for.
func (b *Broker) autoCreate(names ...string) *kmsg.CreateTopicsRequest {
	req := controller.AutoCreateRequest(b.image, names)
	const factor = "offsets.topic.replication.factor"
	if _, said := config.Find(b.base.Static(), factor); said || len(b.base.QuorumVoters) > 1 {
		return req
	}
	for i := range req.Topics {
		if t := &req.Topics[i]; t.Topic == group.OffsetsTopic {
			t.ReplicationFactor = min(t.ReplicationFactor, int16(len(b.image.Brokers())))
		}
	}
	return req
}

// coordinatorOf returns who coordinates a group, or why nobody does here.
func (b *Broker) coordinatorOf(id string) (*coordinator, errcode.Code) {
	t := b.topics[group.OffsetsTopic]
	if t == nil || len(t.partitions) == 0 {
		return nil, errcode.CoordinatorNotAvailable
	}
	co := t.partitions[group.PartitionOf(id, int32(len(t.partitions)))].groups
	switch {
	case co == nil || co.loading != nil && co.loading.failed:
		return nil, errcode.NotCoordinator
	case co.loading != nil:
		return nil, errcode.CoordinatorLoadInProgress
	}
	return co, errcode.None
}

// askShard asks the shard of a request's group.
func (b *Broker) askShard(c *call, req kmsg.Request) {
	b.askGroup(groupOf(req), c, &groupAsk{request: req, call: c.ref()})
}

// askShards asks the shards of groups, with the part of each, in the order of the request.
func (b *Broker) askShards(c *call, req kmsg.Request, parts []kmsg.Request) {
	g := &groupParts{
		request: req, answers: make([]kmsg.Response, len(parts)), waiting: len(parts) + 1,
	}
	for i, part := range parts {
		b.askGroup(groupOf(part), c, &groupAsk{request: part, call: c.ref(), parts: g, index: i})
	}
	b.partAnswered(c.ref(), g)
}

func (b *Broker) askGroup(id string, c *call, ask *groupAsk) {
	co, code := b.coordinatorOf(id)
	if code != errcode.None {
		b.askAnswered(ask, group.ErrorResponse(ask.request, code, ""))
		return
	}
	b.askCoordinator(co, c, ask)
}

// listGroups (key 16, versions 0-5) lists the groups that are coordinated here. While some
// are not known yet it lists none.
func (b *Broker) listGroups(c *call, req *kmsg.ListGroupsRequest) {
	var coordinators []*coordinator
	if t := b.topics[group.OffsetsTopic]; t != nil {
		for _, p := range t.partitions {
			switch co := p.groups; {
			case co == nil || co.loading != nil && co.loading.failed:
			case co.loading != nil:
				b.answer(c, group.ErrorResponse(req, errcode.CoordinatorLoadInProgress, ""))
				return
			default:
				coordinators = append(coordinators, co)
			}
		}
	}
	g := &groupParts{
		request: req, answers: make([]kmsg.Response, len(coordinators)), waiting: len(coordinators) + 1,
	}
	for i, co := range coordinators {
		b.askCoordinator(co, c, &groupAsk{request: req, call: c.ref(), parts: g, index: i})
	}
	b.partAnswered(c.ref(), g)
}

func (b *Broker) askCoordinator(co *coordinator, c *call, ask *groupAsk) {
	number := group.Call(b.newID())
	b.asks[number] = ask
	b.carryOut(co, co.shard.Decide(&group.Context{
		IDs: b.newMetadataID, ClientID: c.clientID, ClientHost: "/" + c.conn.peer,
		Now: b.now, Call: number,
	}, ask.request))
}

func (b *Broker) newMetadataID() metadata.ID { return b.random.uuid() }

// groupAnswered takes in what a shard has answered.
func (b *Broker) groupAnswered(a group.Answer) {
	if ask := b.asks[a.Call]; ask != nil {
		delete(b.asks, a.Call)
		b.askAnswered(ask, a.Response)
	}
}

// groupFailed answers in place of a shard.
func (b *Broker) groupFailed(number group.Call, code errcode.Code) {
	if ask := b.asks[number]; ask != nil {
		delete(b.asks, number)
		b.askAnswered(ask, group.ErrorResponse(ask.request, code, ""))
	}
}

func (b *Broker) askAnswered(ask *groupAsk, resp kmsg.Response) {
	if ask.parts == nil {
		if c := ask.call.get(); c != nil {
			b.answer(c, resp)
		}
		return
	}
	ask.parts.answers[ask.index] = resp
	b.partAnswered(ask.call, ask.parts)
}

func (b *Broker) partAnswered(call callRef, g *groupParts) {
	g.waiting--
	if c := call.get(); c != nil && g.waiting == 0 {
		b.answer(c, g.join())
	}
}

// join puts the answers to the parts of a request together.
func (g *groupParts) join() kmsg.Response {
	whole := g.request.ResponseKind()
	for _, part := range g.answers {
		switch part := part.(type) {
		case *kmsg.OffsetFetchResponse:
			all := whole.(*kmsg.OffsetFetchResponse)
			all.Groups = append(all.Groups, part.Groups...)
		case *kmsg.DescribeGroupsResponse:
			all := whole.(*kmsg.DescribeGroupsResponse)
			all.Groups = append(all.Groups, part.Groups...)
		case *kmsg.ConsumerGroupDescribeResponse:
			all := whole.(*kmsg.ConsumerGroupDescribeResponse)
			all.Groups = append(all.Groups, part.Groups...)
		case *kmsg.DeleteGroupsResponse:
			all := whole.(*kmsg.DeleteGroupsResponse)
			all.Groups = append(all.Groups, part.Groups...)
		case *kmsg.ListGroupsResponse:
			all := whole.(*kmsg.ListGroupsResponse)
			if part.ErrorCode == int16(errcode.NotCoordinator) {
				continue // somebody else lists these now
			}
			if part.ErrorCode != 0 {
				return part
			}
			all.Groups = append(all.Groups, part.Groups...)
		}
	}
	if all, ok := whole.(*kmsg.ListGroupsResponse); ok {
		slices.SortFunc(all.Groups, func(a, b kmsg.ListGroupsResponseGroup) int {
			return strings.Compare(a.Group, b.Group)
		})
	}
	return whole
}

// groupOf is the group that a request, or a part of one, is about.
func groupOf(request kmsg.Request) string {
	switch req := request.(type) {
	case *kmsg.JoinGroupRequest:
		return req.Group
	case *kmsg.SyncGroupRequest:
		return req.Group
	case *kmsg.HeartbeatRequest:
		return req.Group
	case *kmsg.LeaveGroupRequest:
		return req.Group
	case *kmsg.OffsetCommitRequest:
		return req.Group
	case *kmsg.OffsetDeleteRequest:
		return req.Group
	case *kmsg.ConsumerGroupHeartbeatRequest:
		return req.Group
	case *kmsg.OffsetFetchRequest:
		if len(req.Groups) > 0 {
			return req.Groups[0].Group
		}
		return req.Group
	case *kmsg.DescribeGroupsRequest:
		return req.Groups[0]
	case *kmsg.ConsumerGroupDescribeRequest:
		return req.Groups[0]
	case *kmsg.DeleteGroupsRequest:
		return req.Groups[0]
	}
	return ""
}

func offsetFetchParts(req *kmsg.OffsetFetchRequest) []kmsg.Request {
	parts := make([]kmsg.Request, len(req.Groups))
	for i := range req.Groups {
		part := *req
		part.Groups = req.Groups[i : i+1]
		parts[i] = &part
	}
	return parts
}

func consumerDescribeParts(req *kmsg.ConsumerGroupDescribeRequest) []kmsg.Request {
	parts := make([]kmsg.Request, len(req.Groups))
	for i := range req.Groups {
		part := *req
		part.Groups = req.Groups[i : i+1]
		parts[i] = &part
	}
	return parts
}

func describeParts(req *kmsg.DescribeGroupsRequest) []kmsg.Request {
	parts := make([]kmsg.Request, len(req.Groups))
	for i := range req.Groups {
		part := *req
		part.Groups = req.Groups[i : i+1]
		parts[i] = &part
	}
	return parts
}

func deleteParts(req *kmsg.DeleteGroupsRequest) []kmsg.Request {
	parts := make([]kmsg.Request, len(req.Groups))
	for i := range req.Groups {
		part := *req
		part.Groups = req.Groups[i : i+1]
		parts[i] = &part
	}
	return parts
}
