package replica_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/replica"
)

// pair is a leader and a follower of a partition with three replicas.
type pair struct {
	leader   replica.Leader
	follower replica.Follower
	now      clock.Instant
	end      int64
}

func newPair() *pair {
	p := replica.Partition{
		Replicas: []int32{1, 2, 3}, ISR: []int32{1, 2, 3}, Leader: 1, LeaderEpoch: 1,
	}
	var brokers []replica.Broker
	for _, id := range p.Replicas {
		brokers = append(brokers, replica.Broker{ID: id, Epoch: 10})
	}
	log := replica.LogState{LatestEpoch: -1}
	set := &replica.Settings{NodeID: 1, ReplicaLagTimeMax: clock.Second}
	leader, _ := replica.BecomeLeader(0, set, &replica.Election{
		Partition: p, Brokers: brokers, Log: log, MinInsyncReplicas: 2,
	})
	follower, _ := replica.BecomeFollower(&replica.Settings{NodeID: 2}, &p, &log)
	return &pair{leader: leader, follower: follower}
}

// round appends to the leader and lets both followers have it.
func (p *pair) round() bool {
	p.now++
	ask, ok := p.follower.Next(p.now)
	if !ok {
		return false
	}
	changed := replica.Change(0)
	for _, id := range []int32{2, 3} {
		f := replica.FollowerFetch{
			ReplicaID: id, BrokerEpoch: 10, FetchOffset: ask.FetchOffset,
			CurrentLeaderEpoch: ask.CurrentLeaderEpoch, LastFetchedEpoch: ask.LastFetchedEpoch,
		}
		of := replica.EpochEnd{Epoch: ask.LastFetchedEpoch, EndOffset: p.end}
		at, c := p.leader.FollowerFetched(p.now, &f, of)
		if at.Err != errcode.None || at.Diverges() {
			return false
		}
		changed |= c
	}
	if p.end > 0 && !changed.Has(replica.HighWatermarkAdvanced) {
		return false
	}
	p.end++
	log := replica.LogState{LogEndOffset: p.end, HeldEndOffset: p.end, LatestEpoch: 1}
	p.leader.LogChanged(p.now, &log)
	a := replica.FetchAnswer{
		HighWatermark: p.leader.HighWatermark(), Diverging: replica.NoEpoch,
	}
	if p.follower.Fetched(p.now, &ask, &a, replica.NoEpoch).Kind != replica.Append {
		return false
	}
	p.follower.Appended(&a, &log)
	return true
}

// A round of replication allocates nothing.
func TestReplicationAllocatesNothing(t *testing.T) {
	p := newPair()
	rounds := 0
	allocs := testing.AllocsPerRun(1000, func() {
		if p.round() {
			rounds++
		}
	})
	require.Equal(t, 1001, rounds, "each round replicates a record")
	require.Zero(t, allocs)
}

func BenchmarkReplication(b *testing.B) {
	p := newPair()
	b.ReportAllocs()
	for b.Loop() {
		p.round()
	}
}
