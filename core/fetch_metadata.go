package core

import (
	"slices"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/quorum"
	"github.com/heiban/heiban/core/wire"
)

// Fetch (key 1) on a listener of controllers reads the metadata log (KIP-595): what is
// committed of it, at the active controller. Nodes that are not members of the quorum
// follow it so. What the log does not hold any more is in a snapshot, whose id stands in
// the answer (KIP-630). There are no sessions.

// metadataFetch is a Fetch that waits until there is something to tell.
type metadataFetch struct {
	call     callRef
	want     wire.FetchPartition
	deadline clock.Instant
	maxBytes int32
	byID     bool
}

func (b *Broker) fetchMetadata(c *call, req *wire.FetchRequest) {
	f := metadataFetch{
		call: c.ref(), maxBytes: min(req.MaxBytes, b.base.FetchMaxBytes),
		byID:     req.Version >= fetchTopicIDsFrom,
		deadline: b.now.Mono.Add(clock.Millis(int64(max(0, req.MaxWaitMillis)))),
	}
	if len(req.Partitions) != 1 {
		resp := &wire.FetchResponse{Err: errcode.InvalidRequest}
		b.answer(c, resp)
		return
	}
	f.want = req.Partitions[0]
	isMetadata := f.want.TopicID == metadataTopicID || !f.byID && f.want.Topic == metadataTopic
	f.want.Topic = metadataTopic // the request's is part of its frame
	if !isMetadata || f.want.Partition != 0 {
		part := f.part()
		part.Err = errcode.UnknownTopicOrPartition
		if f.byID {
			part.Err = errcode.UnknownTopicID
		}
		b.answerMetadataFetch(c, &f, part)
		return
	}
	part, tells := b.metadataPart(&f)
	if tells || f.deadline <= b.now.Mono {
		b.answerMetadataFetch(c, &f, part)
		return
	}
	b.metalog.fetches = append(b.metalog.fetches, f)
	b.deadlines.push(deadline{at: f.deadline, kind: metadataFetchDeadline})
}

func (b *Broker) answerMetadataFetch(c *call, f *metadataFetch, part wire.FetchedPartition) {
	a := &fetchAnswer{}
	a.query.Response = &a.response
	a.one[0] = part
	a.response = wire.FetchResponse{MaxBytes: f.maxBytes, Partitions: a.one[:]}
	b.answerLater(c, &a.query)
}

// part is an answer that says nothing yet.
func (f *metadataFetch) part() wire.FetchedPartition {
	return wire.FetchedPartition{
		Topic: f.want.Topic, TopicID: f.want.TopicID, MaxBytes: f.want.MaxBytes,
		Partition: f.want.Partition, HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1,
		DivergingEpoch: -1, DivergingEndOffset: -1, LeaderID: -1, LeaderEpoch: -1,
		PreferredReadReplica: -1, NullAborted: true, Changed: true,
	}
}

// metadataPart says what a Fetch may read now, and whether that tells anything.
func (b *Broker) metadataPart(f *metadataFetch) (part wire.FetchedPartition, tells bool) {
	m := &b.metalog
	part = f.part()
	if m.engine == nil || !m.engine.Active() {
		part.Err = errcode.NotLeaderOrFollower
		if m.engine != nil && m.leader != quorum.NoNode {
			part.LeaderID, part.LeaderEpoch = int32(m.leader), int32(m.engine.Term())
		}
		return part, true
	}
	l, epoch := m.partition.log, int32(m.engine.Term())
	if f.want.CurrentLeaderEpoch != epoch {
		part.LeaderID, part.LeaderEpoch = b.options.NodeID, epoch
	}
	part.HighWatermark, part.LastStableOffset = l.HighWatermark(), l.HighWatermark()
	part.LogStartOffset = l.LogStartOffset()
	switch {
	case f.want.CurrentLeaderEpoch > epoch:
		part.Err = errcode.UnknownLeaderEpoch
	case f.want.CurrentLeaderEpoch >= 0 && f.want.CurrentLeaderEpoch < epoch:
		part.Err = errcode.FencedLeaderEpoch
	case f.want.FetchOffset < part.LogStartOffset && m.snapshots.end > f.want.FetchOffset:
		part.SnapshotEndOffset, part.SnapshotEpoch = m.snapshots.end, m.snapshots.epoch
	case f.want.FetchOffset < part.LogStartOffset || f.want.FetchOffset > l.LogEndOffset():
		part.Err = errcode.OffsetOutOfRange
	case b.metadataDiverges(&f.want, &part):
	case f.want.FetchOffset < part.HighWatermark:
		part.Slice, _ = l.SliceFrom(f.want.FetchOffset, part.HighWatermark)
	default:
		return part, part.LeaderEpoch >= 0
	}
	return part, true
}

// metadataDiverges notes where a log that is not the beginning of this one leaves it.
func (b *Broker) metadataDiverges(want *wire.FetchPartition, part *wire.FetchedPartition) bool {
	if want.LastFetchedEpoch < 0 {
		return false
	}
	epoch, end := b.metalog.partition.log.EndOffsetFor(want.LastFetchedEpoch)
	if epoch == want.LastFetchedEpoch && end >= want.FetchOffset {
		return false
	}
	part.DivergingEpoch, part.DivergingEndOffset = epoch, end
	return true
}

// wakeMetadataFetches answers the Fetches that there is something to tell, or whose time
// is over.
func (b *Broker) wakeMetadataFetches() {
	m := &b.metalog
	m.fetches = slices.DeleteFunc(m.fetches, func(f metadataFetch) bool {
		c := f.call.get()
		if c == nil {
			return true
		}
		part, tells := b.metadataPart(&f)
		if !tells && f.deadline > b.now.Mono {
			return false
		}
		b.answerMetadataFetch(c, &f, part)
		return true
	})
}
