package controller

import (
	"math"
	"slices"

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
// Partitions without a leader, as Kafka leaves them when it stops, get this broker if
// it is eligible.
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
	for t := range c.image.Topics() {
		for i := range t.Partitions {
			p := &t.Partitions[i]
			change := &metadata.PartitionChangeRecord{
				PartitionID: int32(i), TopicID: t.ID, Leader: r.ID,
				LeaderRecoveryState: metadata.NoRecoveryStateChange,
			}
			switch {
			case p.Leader == r.ID && !r.Clean:
				records = append(records, change)
			case p.Leader < 0 && eligible(p, r.ID):
				becomeOnlyISR(change, p)
				records = append(records, change)
			}
		}
	}
	return records
}

// eligible reports whether nothing that was committed is lost when a broker leads p:
// it is in sync, or would be but for min.insync.replicas (KIP-966). If nobody is, the
// last leader may have lost its tail, but no other replica has more.
func eligible(p *metadata.Partition, id int32) bool {
	if len(p.ISR)+len(p.ELR) == 0 {
		return len(p.LastKnownELR) == 1 && p.LastKnownELR[0] == id
	}
	return slices.Contains(p.ISR, id) || slices.Contains(p.ELR, id)
}

// becomeOnlyISR makes the leader that change elects the only replica in sync.
func becomeOnlyISR(change *metadata.PartitionChangeRecord, p *metadata.Partition) {
	if len(p.ISR) != 1 || p.ISR[0] != change.Leader {
		change.ISR = []int32{change.Leader}
	}
	if len(p.ELR) > 0 {
		change.EligibleLeaderReplicas = []int32{}
	}
	if len(p.LastKnownELR) > 0 {
		change.LastKnownELR = []int32{}
	}
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
