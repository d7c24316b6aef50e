package replica

import (
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/mutant"
)

// FollowerFetch is one partition of a follower's Fetch.
type FollowerFetch struct {
	FetchOffset        int64 // the follower's log end offset: it holds all before
	LogStartOffset     int64
	BrokerEpoch        int64 // -1: not told (KIP-903)
	ReplicaID          int32
	CurrentLeaderEpoch int32 // -1: not told
	LastFetchedEpoch   int32 // of the follower's last batch; -1: not told
}

// Position is where a fetch stands in the leader's log.
type Position struct {
	// Diverging is where the follower's log parts from the leader's (KIP-595), or
	// NoEpoch. Then no records are returned.
	Diverging EpochEnd
	Err       errcode.Code
}

// Diverges reports whether the follower must cut its log first.
func (p *Position) Diverges() bool { return p.Diverging.Epoch != unknown }

// Locate finds where a fetch stands, and changes nothing. Of is what the leader's log
// says of LastFetchedEpoch. A fetch from before the log start is out of range even if
// the logs diverge.
func (l *Leader) Locate(f *FollowerFetch, of EpochEnd) Position {
	at := Position{Diverging: NoEpoch}
	if at.Err = l.CheckEpoch(f.CurrentLeaderEpoch); at.Err != errcode.None {
		return at
	}
	if l.remote(f.ReplicaID) == nil {
		at.Err = errcode.NotLeaderOrFollower
		if f.CurrentLeaderEpoch != unknown { // it may know of its assignment before we do
			at.Err = errcode.UnknownLeaderEpoch
		}
		return at
	}
	if f.FetchOffset < l.logStartOffset {
		at.Err = errcode.OffsetOutOfRange
		return at
	}
	if f.LastFetchedEpoch != unknown {
		if of.Epoch == unknown {
			at.Err = errcode.OffsetOutOfRange
			return at
		}
		other := of.Epoch < f.LastFetchedEpoch && !l.set.Mutants.On(mutant.T2EpochOfEndIgnored)
		if other || of.EndOffset < f.FetchOffset {
			at.Diverging = of
			return at
		}
	}
	if f.FetchOffset > l.logEndOffset {
		at.Err = errcode.OffsetOutOfRange
	}
	return at
}

// FollowerFetched takes in a follower's fetch when it is first read, and says where it
// stands. What a fetch tells of its replica counts only if the logs agree up to there
// and it is from the broker's present life. A fetch that is read again later, because
// it waited for records, goes to Locate.
func (l *Leader) FollowerFetched(
	now clock.Instant, f *FollowerFetch, of EpochEnd,
) (Position, Change) {
	at := l.Locate(f, of)
	if at.Err != errcode.None || at.Diverges() && !l.set.Mutants.On(mutant.T8CountDiverging) {
		return at, 0
	}
	r := l.remote(f.ReplicaID)
	brokerEpoch := f.BrokerEpoch
	if l.set.Mutants.On(mutant.I5BrokerEpochIgnored) {
		brokerEpoch = unknown
	}
	if brokerEpoch != unknown && r.registered && brokerEpoch < r.broker.Epoch {
		at.Err = errcode.NotLeaderOrFollower
		return at, 0
	}
	// A follower that is always one fetch behind a busy leader is caught up with it as
	// of the fetch before.
	if f.FetchOffset >= l.logEndOffset {
		r.lastCaughtUpAt = max(r.lastCaughtUpAt, now)
	} else if f.FetchOffset >= r.lastFetchLeaderEndOffset {
		r.lastCaughtUpAt = max(r.lastCaughtUpAt, r.lastFetchAt)
	}
	moved := r.logEndOffset != f.FetchOffset
	r.logEndOffset, r.logStartOffset = f.FetchOffset, f.LogStartOffset
	r.lastFetchLeaderEndOffset = max(r.lastFetchLeaderEndOffset, l.logEndOffset)
	r.lastFetchAt = now
	r.brokerEpoch, r.fetched = brokerEpoch, true

	changed := l.maybeAdvanceLowWatermark() | l.maybeExpandISR(r)
	if moved {
		changed |= l.maybeAdvanceHighWatermark(now)
	}
	l.check()
	return at, changed
}

// PreferredReadReplica chooses who serves a consumer from a rack (KIP-392): the leader
// if it is in that rack or nobody else is; otherwise the in-sync replica there that
// has the offset and the most records. It returns -1 for the leader itself.
func (l *Leader) PreferredReadReplica(rack string, fetchOffset int64) int32 {
	if rack == "" || l.rack() == rack {
		return unknown
	}
	var best *remote
	for i := range l.remotes {
		r := &l.remotes[i]
		if !r.inSync || !r.registered || r.broker.Fenced || r.broker.Rack != rack ||
			r.logEndOffset < fetchOffset || r.logStartOffset > fetchOffset {
			continue
		}
		if best == nil || r.logEndOffset > best.logEndOffset ||
			r.logEndOffset == best.logEndOffset && r.lastCaughtUpAt > best.lastCaughtUpAt {
			best = r
		}
	}
	if best == nil {
		return unknown
	}
	return best.id
}

// rack is the leader's own, or empty.
func (l *Leader) rack() string {
	for i := range l.brokers {
		if l.brokers[i].ID == l.set.NodeID {
			return l.brokers[i].Rack
		}
	}
	return ""
}
