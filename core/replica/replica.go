// Package replica is the replication of one partition as two state machines over
// numbers: the Leader decides what is committed and who is in sync, the Follower what
// to fetch and where to cut its log. It knows nothing of files, connections, requests
// or other partitions: the caller owns the log, tells what became of it, and carries
// out what is decided. A partition holds exactly one of the two roles. Start at
// BecomeLeader and BecomeFollower.
package replica

import (
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/mutant"
)

const (
	unknown = -1
	// longAgo is before every instant of a node's life: the clock starts at zero, so
	// zero may be a moment ago. It is far from the limits, so that spans fit.
	longAgo clock.Instant = -1 << 62
)

// Settings are what all partitions of a broker go by.
type Settings struct {
	NodeID              int32
	ReplicaLagTimeMax   clock.Duration // replica.lag.time.max.ms
	ReplicaFetchBackoff clock.Duration // replica.fetch.backoff.ms
	Mutants             mutant.Set
}

// Partition is what the cluster's metadata says of a partition. Its slices are never
// changed.
type Partition struct {
	Replicas         []int32
	ISR              []int32
	AddingReplicas   []int32
	RemovingReplicas []int32
	Leader           int32 // -1: none
	LeaderEpoch      int32
	PartitionEpoch   int32
}

// Broker is what the cluster's metadata says of a registered broker.
type Broker struct {
	Rack                 string // empty: none
	Epoch                int64  // of its present life (KIP-380)
	ID                   int32
	Fenced               bool
	InControlledShutdown bool
}

// LogState are the marks of the caller's log.
type LogState struct {
	LogStartOffset int64
	HighWatermark  int64
	LogEndOffset   int64
	HeldEndOffset  int64 // the end of what counts as held, as the durability wants it
	LatestEpoch    int32 // the last leader epoch the log knows, or -1
}

func (s *LogState) check() {
	invariant.True(s.LogStartOffset >= 0, "offsets are not negative")
	invariant.True(s.LogStartOffset <= s.LogEndOffset, "logStartOffset <= logEndOffset")
	invariant.True(s.HeldEndOffset <= s.LogEndOffset, "what is held is in the log")
}

// EpochEnd is the answer of a log to the question where a leader epoch ends: the
// largest epoch at or below the one asked for, and its end offset (KIP-101, KIP-279).
// Both are -1 if there is none.
type EpochEnd struct {
	Epoch     int32
	EndOffset int64
}

// NoEpoch is the EpochEnd of an epoch that a log knows nothing of.
var NoEpoch = EpochEnd{Epoch: unknown, EndOffset: unknown}

// checkEpoch compares the leader epoch that a request carries, or -1, with the local
// one (KIP-320).
func checkEpoch(requested, local int32) errcode.Code {
	switch {
	case requested == unknown || requested == local:
		return errcode.None
	case requested < local:
		return errcode.FencedLeaderEpoch
	default:
		return errcode.UnknownLeaderEpoch
	}
}

// restoredHighWatermark is the high watermark to begin a role with: what was last
// known, within what the log holds. A checkpoint may be newer than a log that lost its
// tail, and older than its start.
func restoredHighWatermark(set *Settings, log *LogState) int64 {
	if set.Mutants.On(mutant.R8UncappedHighWatermark) {
		return log.HighWatermark
	}
	return clamp(log.HighWatermark, log.LogStartOffset, log.LogEndOffset)
}

func clamp(n, low, high int64) int64 { return max(low, min(n, high)) }
