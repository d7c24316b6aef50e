package core

import (
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/replica"
)

// What a Fetch of a follower is to its leader: by asking for what follows an offset, it
// says that it holds all before (KIP-903 tells in which life). It may read beyond the
// high watermark, and waits for a newer one as well as for records (KIP-1166).

// noReplica stands for the id of a follower where there is none.
const noReplica = -1

// fetchPosition is where a fetch stands in a partition's log.
type fetchPosition struct {
	diverging replica.EpochEnd // where the fetcher's log parts from ours, or NoEpoch
	code      errcode.Code
}

func (at *fetchPosition) diverges() bool { return at.diverging.Epoch >= 0 }

// endOf returns where a leader epoch ends in p's log.
func (p *partition) endOf(leaderEpoch int32) replica.EpochEnd {
	epoch, end := p.log.EndOffsetFor(leaderEpoch)
	return replica.EpochEnd{Epoch: epoch, EndOffset: end}
}

// asFollower is what a Fetch says of the follower's replica.
func (f *parkedFetch) asFollower(part *fetchPart) replica.FollowerFetch {
	want := &part.want
	return replica.FollowerFetch{
		ReplicaID: f.replica, BrokerEpoch: f.brokerEpoch,
		FetchOffset: want.FetchOffset, LogStartOffset: want.LogStartOffset,
		CurrentLeaderEpoch: want.CurrentLeaderEpoch, LastFetchedEpoch: want.LastFetchedEpoch,
	}
}

// takeFollower takes in what a Fetch says of a follower's replicas. It does so once: a
// Fetch that is read again says nothing new.
func (b *Broker) takeFollower(f *parkedFetch) {
	for _, part := range f.partitions {
		part.refused = errcode.None
		p, at := b.locate(f, part)
		if at.code != errcode.None {
			continue
		}
		follower := f.asFollower(part)
		stands, changed := p.leader.FollowerFetched(b.now.Mono, &follower,
			p.endOf(follower.LastFetchedEpoch))
		part.refused = stands.Err
		b.led(p, changed)
	}
}

// locateFollower finds where a follower's fetch stands in the log of a partition led
// here.
func (b *Broker) locateFollower(f *parkedFetch, p *partition, part *fetchPart) fetchPosition {
	follower := f.asFollower(part)
	at := p.leader.Locate(&follower, p.endOf(follower.LastFetchedEpoch))
	return fetchPosition{code: at.Err, diverging: at.Diverging}
}

// lags reports whether a follower's high watermark could be higher than it is.
func (f *parkedFetch) lags(p *partition, part *fetchPart) bool {
	return f.replica != noReplica &&
		part.want.HighWatermark < min(p.log.HighWatermark(), part.want.FetchOffset)
}

// wakeReaders answers the fetches for which what has been written since is enough:
// those of followers, which read to the log's end, and on a follower those of consumers.
func (b *Broker) wakeReaders(p *partition) {
	for _, part := range p.fetches {
		if p.leader == nil || part.call.fetch.replica != noReplica {
			b.wakeFetches(p)
			return
		}
	}
}

// preferred returns the follower that a consumer had better read from, or noReplica
// (KIP-392).
func (b *Broker) preferred(f *parkedFetch, p *partition, part *fetchPart) int32 {
	if f.rack == "" || p.leader == nil {
		return noReplica
	}
	return p.leader.PreferredReadReplica(f.rack, part.want.FetchOffset)
}
