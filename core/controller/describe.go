package controller

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

// DescribeTopicPartitions (75), version 0: KIP-966.
// DescribeCluster (60), versions 0 to 2: KIP-700, KIP-919, KIP-1073.
// ListConfigResources (74), versions 0 and 1: KIP-714, KIP-1142.

// ErrInvalidRequest is what DescribeTopicPartitions returns for a request that
// contradicts itself. The response has no field for that; the caller closes the
// connection.
var ErrInvalidRequest = errors.New("INVALID_REQUEST")

// DescribeTopicPartitions answers a DescribeTopicPartitions request from an image:
// topics in the order of names, from the cursor on, up to a number of partitions.
// It reads only the image and may run in any goroutine.
func DescribeTopicPartitions(
	m *metadata.Image, req *kmsg.DescribeTopicPartitionsRequest, v View,
) (*kmsg.DescribeTopicPartitionsResponse, error) {
	d := partitionsPage{m: m, listener: v.Listener}
	d.resp = req.ResponseKind().(*kmsg.DescribeTopicPartitionsResponse)
	d.left = max(1, min(m.Config().MaxRequestPartitionSize, req.ResponsePartitionLimit))
	var from string
	var first int32
	if req.Cursor != nil {
		from, first = req.Cursor.Topic, req.Cursor.Partition
		if first < 0 {
			return nil, fmt.Errorf("%w: the cursor's partition is %d", ErrInvalidRequest, first)
		}
	}
	start := func(name string) int32 {
		if name == from {
			return first
		}
		return 0
	}
	if len(req.Topics) == 0 {
		for t := range m.TopicsFrom(from) {
			if !d.add(t, start(t.Name)) {
				break
			}
		}
		return d.resp, nil
	}
	names := make([]string, 0, len(req.Topics))
	for i := range req.Topics {
		if req.Topics[i].Topic >= from {
			names = append(names, req.Topics[i].Topic)
		}
	}
	if req.Cursor != nil && !slices.Contains(names, from) {
		return nil, fmt.Errorf("%w: the topics lack the cursor's, %s", ErrInvalidRequest, from)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		t := m.Topic(name)
		if t == nil {
			d.refuse(name)
		} else if !d.add(t, start(name)) {
			break
		}
	}
	return d.resp, nil
}

// partitionsPage is a DescribeTopicPartitions response in the making.
type partitionsPage struct {
	m        *metadata.Image
	resp     *kmsg.DescribeTopicPartitionsResponse
	listener string
	left     int32 // how many partitions still fit
}

func (d *partitionsPage) refuse(name string) {
	out := kmsg.NewDescribeTopicPartitionsResponseTopic()
	out.Topic, out.IsInternal = &name, internal(name)
	out.ErrorCode = int16(errcode.UnknownTopicOrPartition)
	if f := checkName(name); f != nil {
		out.ErrorCode = int16(f.code)
	}
	d.resp.Topics = append(d.resp.Topics, out)
}

// add adds a topic's partitions from first on. It is false if not all of them fit;
// the cursor then points at the first one left out.
func (d *partitionsPage) add(t *metadata.Topic, first int32) bool {
	cursor := func(partition int32) bool {
		next := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
		next.Topic, next.Partition = t.Name, partition
		d.resp.NextCursor = &next
		return false
	}
	if d.left == 0 {
		return cursor(first)
	}
	out := kmsg.NewDescribeTopicPartitionsResponseTopic()
	out.Topic, out.TopicID, out.IsInternal = &t.Name, t.ID, internal(t.Name)
	out.AuthorizedOperations = topicOperations
	count := int32(len(t.Partitions))
	end := min(count, first+min(d.left, count))
	for i := first; i < end; i++ {
		out.Partitions = append(out.Partitions, d.partition(i, &t.Partitions[i]))
	}
	d.resp.Topics = append(d.resp.Topics, out)
	d.left -= max(0, end-first)
	if end < count {
		return cursor(end)
	}
	return true
}

func (d *partitionsPage) partition(
	index int32, p *metadata.Partition,
) kmsg.DescribeTopicPartitionsResponseTopicPartition {
	out := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
	leader, code := leaderOf(d.m, p, d.listener)
	out.Partition, out.LeaderID, out.ErrorCode = index, leader, int16(code)
	out.LeaderEpoch, out.Replicas, out.ISR = p.LeaderEpoch, p.Replicas, p.ISR
	out.EligibleLeaderReplicas = none(p.ELR)
	out.LastKnownELR = none(p.LastKnownELR)
	out.OfflineReplicas = offline(d.m, p, d.listener)
	return out
}

// none returns an empty list for nil, where nil would be sent as null.
func none(list []int32) []int32 {
	if list == nil {
		return []int32{}
	}
	return list
}

// DescribeCluster answers a DescribeCluster request from an image: with the brokers, or on
// a listener of controllers with those. It reads only the image and may run in any
// goroutine.
func DescribeCluster(
	m *metadata.Image, req *kmsg.DescribeClusterRequest, v View,
) *kmsg.DescribeClusterResponse {
	resp := req.ResponseKind().(*kmsg.DescribeClusterResponse)
	resp.ClusterID, resp.ControllerID = v.ClusterID, v.Controller
	resp.EndpointType = req.EndpointType
	resp.ClusterAuthorizedOperations = operations(
		req.IncludeClusterAuthorizedOperations, clusterOperations)
	if f := checkEndpointType(req, v); f != nil {
		resp.ErrorCode, resp.ErrorMessage = f.codes()
		resp.ControllerID = -1
		return resp
	}
	if v.OnController {
		for _, voter := range v.Voters {
			out := kmsg.NewDescribeClusterResponseBroker()
			out.NodeID, out.Host, out.Port = voter.ID, voter.Host, voter.Port
			resp.Brokers = append(resp.Brokers, out)
		}
		return resp
	}
	for _, b := range m.Brokers() {
		e := b.Endpoint(v.Listener)
		if e == nil || b.Fenced && (req.Version < 2 || !req.IncludeFencedBrokers) {
			continue
		}
		out := kmsg.NewDescribeClusterResponseBroker()
		out.NodeID, out.Host, out.Port, out.Rack = b.ID, e.Host, int32(e.Port), b.Rack
		out.IsFenced = b.Fenced
		resp.Brokers = append(resp.Brokers, out)
	}
	return resp
}

// checkEndpointType returns a failure unless the request wants what the listener is for.
// Version 0 always wants brokers.
func checkEndpointType(req *kmsg.DescribeClusterRequest, v View) *failure {
	const brokers, controllers = 1, 2
	wanted := req.EndpointType
	if req.Version < 1 {
		wanted = brokers
	}
	switch {
	case wanted != brokers && wanted != controllers:
		return fail(errcode.UnsupportedEndpointType, "")
	case wanted == controllers && !v.OnController:
		return fail(errcode.MismatchedEndpointType, "this is a broker's listener")
	case wanted == brokers && v.OnController:
		return fail(errcode.MismatchedEndpointType, "this is a controller's listener")
	}
	return nil
}

// ListConfigResources answers a ListConfigResources request from an image. It reads
// only the image and may run in any goroutine.
func ListConfigResources(
	m *metadata.Image, req *kmsg.ListConfigResourcesRequest,
) *kmsg.ListConfigResourcesResponse {
	resp := req.ResponseKind().(*kmsg.ListConfigResourcesResponse)
	all := []int8{
		int8(metadata.TopicResource), int8(metadata.BrokerResource),
		int8(metadata.BrokerLoggerResource), int8(metadata.ClientMetricsResource),
		int8(metadata.GroupResource),
	}
	wanted := req.ResourceTypes
	if req.Version == 0 {
		wanted = []int8{int8(metadata.ClientMetricsResource)}
	} else if len(wanted) == 0 {
		wanted = all
	}
	for _, kind := range wanted {
		if !slices.Contains(all, kind) {
			resp.ErrorCode = int16(errcode.UnsupportedVersion)
			return resp
		}
	}
	add := func(kind metadata.ResourceType, name string) {
		out := kmsg.NewListConfigResourcesResponseConfigResource()
		out.Type, out.Name = int8(kind), name
		resp.ConfigResources = append(resp.ConfigResources, out)
	}
	if slices.Contains(wanted, int8(metadata.TopicResource)) {
		for t := range m.Topics() {
			add(metadata.TopicResource, t.Name)
		}
	}
	if slices.Contains(wanted, int8(metadata.BrokerResource)) {
		for _, b := range m.Brokers() {
			add(metadata.BrokerResource, strconv.Itoa(int(b.ID)))
		}
	}
	for _, r := range m.Resources() {
		if r.Type != metadata.BrokerResource && slices.Contains(wanted, int8(r.Type)) {
			add(r.Type, r.Name)
		}
	}
	return resp
}
