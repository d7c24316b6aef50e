package controller

import (
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

// Registration is how a broker makes itself known when it starts (KIP-631).
type Registration struct {
	Incarnation metadata.ID // new with every start
	Endpoints   []config.Endpoint
	Features    []metadata.BrokerFeature
	LogDirs     []metadata.ID
	Rack        string // empty: none
	ID          int32
	Clean       bool // the last stop of the broker lost nothing
}

// Register decides about the registration of the broker that is alone in its
// cluster. It is active at once. After an unclean stop the leader epoch of each
// partition that it leads rises: the log may end earlier than it did, and offsets
// that were given out before must not be taken for those that are given out now.
func (c *Controller) Register(r *Registration) []metadata.Record {
	rec := &metadata.RegisterBrokerRecord{
		BrokerID: r.ID, IncarnationID: r.Incarnation, Features: r.Features, LogDirs: r.LogDirs,
		// As in Kafka, the epoch is the offset of the record itself.
		BrokerEpoch: c.image.Offset() + 1,
	}
	if r.Rack != "" {
		rec.Rack = &r.Rack
	}
	for _, e := range r.Endpoints {
		rec.EndPoints = append(rec.EndPoints, metadata.BrokerEndpoint{
			Name: e.Name, Host: e.Host, Port: uint16(e.Port), SecurityProtocol: int16(e.Protocol),
		})
	}
	records := []metadata.Record{rec}
	if r.Clean {
		return records
	}
	for t := range c.image.Topics() {
		for i := range t.Partitions {
			p := &t.Partitions[i]
			if p.Leader != r.ID {
				continue
			}
			records = append(records, &metadata.PartitionChangeRecord{
				PartitionID: int32(i), TopicID: t.ID, Leader: r.ID,
				LeaderRecoveryState: metadata.NoRecoveryStateChange,
			})
		}
	}
	return records
}

// Bootstrap decides about the features of a cluster: those of levels that are not
// in use at that level yet. The metadata version comes first, as readers of the log
// expect it.
func (c *Controller) Bootstrap(levels []metadata.Feature) []metadata.Record {
	var records []metadata.Record
	add := func(first bool) {
		for _, f := range levels {
			if (f.Name == metadata.MetadataVersion) == first && c.image.Feature(f.Name) != f.Level {
				records = append(records,
					&metadata.FeatureLevelRecord{Name: f.Name, FeatureLevel: f.Level})
			}
		}
	}
	add(true)
	add(false)
	return records
}

// producerIDBlock is how many producer ids a broker is given at once.
const producerIDBlock = 1000 // kafka: ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE

// AllocateProducerIDs (67), version 0: KIP-730. No id is given out twice; those of
// a block that a broker does not use up are lost.
func (c *Controller) AllocateProducerIDs(
	req *kmsg.AllocateProducerIDsRequest,
) Result[*kmsg.AllocateProducerIDsResponse] {
	resp := req.ResponseKind().(*kmsg.AllocateProducerIDsResponse)
	out := Result[*kmsg.AllocateProducerIDsResponse]{Response: resp}
	b := c.image.Broker(req.BrokerID)
	first := c.image.NextProducerID()
	switch {
	case b == nil || b.Epoch != req.BrokerEpoch:
		resp.ErrorCode = int16(errcode.StaleBrokerEpoch)
	case first > math.MaxInt64-producerIDBlock:
		resp.ErrorCode = int16(errcode.UnknownServerError) // all ids are used up
	default:
		resp.ProducerIDStart, resp.ProducerIDLen = first, producerIDBlock
		out.Records = []metadata.Record{&metadata.ProducerIDsRecord{
			BrokerID: req.BrokerID, BrokerEpoch: req.BrokerEpoch,
			NextProducerID: first + producerIDBlock,
		}}
	}
	return out
}
