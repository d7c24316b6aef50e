package group

import (
	"unicode/utf16"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

// The topics whose leaders coordinate.
const (
	OffsetsTopic     = "__consumer_offsets"
	TransactionTopic = "__transaction_state"
)

// The types of keys in FindCoordinator.
const (
	groupKey       = 0
	transactionKey = 1
)

// PartitionOf returns the partition, of so many, whose leader coordinates a group: Java's
// hash code of its id, made positive, modulo the number.
func PartitionOf(id string, partitions int32) int32 {
	hash := int32(0)
	for _, unit := range utf16.Encode([]rune(id)) {
		hash = 31*hash + int32(unit)
	}
	switch {
	case hash == -1<<31: // it has no positive counterpart (kafka: Utils.abs)
		hash = 0
	case hash < 0:
		hash = -hash
	}
	return hash % partitions
}

// FindCoordinator answers FindCoordinator (10), versions 0 to 6: KIP-699. Listener is where
// the request came from. It also returns the topic that has to be created before there can
// be a coordinator; empty if it is there.
func FindCoordinator(
	image *metadata.Image, req *kmsg.FindCoordinatorRequest, listener string,
) (resp *kmsg.FindCoordinatorResponse, missing string) {
	resp = req.ResponseKind().(*kmsg.FindCoordinatorResponse)
	keys := req.CoordinatorKeys
	if req.Version < 4 {
		keys = []string{req.CoordinatorKey}
	}
	topic := ""
	switch req.CoordinatorType {
	case groupKey:
		topic = OffsetsTopic
	case transactionKey:
		topic = TransactionTopic
	}
	for _, key := range keys {
		c := kmsg.FindCoordinatorResponseCoordinator{
			Key: key, NodeID: -1, Port: -1, ErrorCode: int16(errcode.CoordinatorNotAvailable),
		}
		switch t := image.Topic(topic); {
		case topic == "" || len(key) > nameMax:
			c.ErrorCode = int16(errcode.InvalidRequest)
		case key == "" && req.CoordinatorType == groupKey:
			c.ErrorCode = int16(errcode.InvalidGroupID)
		case t == nil:
			missing = topic
		default:
			coordinatorAt(image, t, &c, listener)
		}
		resp.Coordinators = append(resp.Coordinators, c)
	}
	if req.Version < 4 {
		c := &resp.Coordinators[0]
		resp.ErrorCode, resp.NodeID, resp.Host, resp.Port = c.ErrorCode, c.NodeID, c.Host, c.Port
		resp.ErrorMessage = new(string)
		resp.Coordinators = nil
	}
	return resp, missing
}

func coordinatorAt(
	image *metadata.Image, topic *metadata.Topic, c *kmsg.FindCoordinatorResponseCoordinator,
	listener string,
) {
	p := &topic.Partitions[PartitionOf(c.Key, int32(len(topic.Partitions)))]
	b := image.Broker(p.Leader)
	if b == nil || b.Fenced {
		return
	}
	if at := b.Endpoint(listener); at != nil {
		c.NodeID, c.Host, c.Port, c.ErrorCode = b.ID, at.Host, int32(at.Port), 0
	}
}
