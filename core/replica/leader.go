package replica

import (
	"slices"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/mutant"
)

// Change is what a call has changed, as a set.
type Change uint8

// The changes, each with what tells more about it.
const (
	EpochStarted          Change = 1 << iota // LeaderEpoch: the log must note its start at once
	HighWatermarkAdvanced                    // HighWatermark
	LowWatermarkAdvanced                     // LowWatermark
	ISRProposed                              // AlterPartition is to be sent to the controller
	ISRExpanded                              // ISR: as committed
	ISRShrunk                                // ISR: as committed
	ProposalRejected                         // ISR: as before the proposal
)

// Has reports whether any of what is in c.
func (c Change) Has(what Change) bool { return c&what != 0 }

// Leader is a partition's replica that takes writes, in one leader epoch.
type Leader struct {
	set               *Settings
	brokers           []Broker
	minInsyncReplicas int32

	leaderEpoch      int32
	partitionEpoch   int32
	epochStartOffset int64 // the log end offset when it was elected

	replicas []int32
	adding   []int32
	removing []int32
	isr      []int32 // committed
	remotes  []remote
	proposal proposal

	logStartOffset int64
	highWatermark  int64
	heldEndOffset  int64
	logEndOffset   int64
	lowWatermark   int64

	shrinkAt clock.Instant // when to look for replicas that fell behind
}

// remote is what a leader knows of another replica.
type remote struct {
	broker Broker // as in the metadata; meaningless unless registered
	id     int32

	registered bool
	inSync     bool // in the committed ISR
	joining    bool // proposed for the ISR
	fetched    bool // brokerEpoch is set

	logEndOffset   int64 // -1: not known
	logStartOffset int64 // -1: not known
	brokerEpoch    int64 // of the fetch that told the offsets; -1: it did not say

	lastFetchLeaderEndOffset int64 // the leader's log end offset at the last fetch
	lastFetchAt              clock.Instant
	lastCaughtUpAt           clock.Instant
}

// Election is what a broker knows when the metadata makes it a leader.
type Election struct {
	Partition         Partition
	Brokers           []Broker // all registered ones, by id; never changed
	Log               LogState
	MinInsyncReplicas int32   // min.insync.replicas
	Before            *Leader // if this broker led in the epoch before as well; not used again
}

// BecomeLeader begins a leader epoch. The high watermark is not raised to the log end
// offset by an election: it advances when the in-sync replicas have fetched.
func BecomeLeader(now clock.Instant, set *Settings, e *Election) (Leader, Change) {
	e.Log.check()
	p := &e.Partition
	invariant.True(p.Leader == set.NodeID, "the metadata names this broker the leader")
	invariant.True(e.Log.LatestEpoch <= p.LeaderEpoch, "no epoch in the log is above the leader's")
	l := Leader{
		set:               set,
		brokers:           e.Brokers,
		minInsyncReplicas: e.MinInsyncReplicas,
		leaderEpoch:       p.LeaderEpoch,
		partitionEpoch:    p.PartitionEpoch,
		epochStartOffset:  e.Log.LogEndOffset,
		replicas:          p.Replicas,
		adding:            p.AddingReplicas,
		removing:          p.RemovingReplicas,
		isr:               p.ISR,
		remotes:           remotesAtElection(now, set, e),
		proposal:          proposal{},
		logStartOffset:    e.Log.LogStartOffset,
		highWatermark:     restoredHighWatermark(set, &e.Log),
		heldEndOffset:     e.Log.HeldEndOffset,
		logEndOffset:      e.Log.LogEndOffset,
		lowWatermark:      unknown,
		shrinkAt:          now.Add(set.ReplicaLagTimeMax / 2),
	}
	changed := l.maybeAdvanceHighWatermark(now)
	l.lowWatermark = l.LowWatermark()
	l.check()
	if !set.Mutants.On(mutant.T3NoEpochAtElection) {
		changed |= EpochStarted
	}
	return l, changed
}

// remotesAtElection is what a new leader knows of the other replicas. Their offsets
// are not known before they fetch, except to a leader that follows itself: then nobody
// else led in between, so what they hold of its log they still hold.
func remotesAtElection(now clock.Instant, set *Settings, e *Election) []remote {
	p := &e.Partition
	known := e.Before
	if known != nil && known.leaderEpoch+1 != p.LeaderEpoch &&
		!set.Mutants.On(mutant.I3KeepReplicaState) {
		known = nil
	}
	remotes := makeRemotes(set.NodeID, p, e.Brokers, known)
	for i := range remotes {
		r := &remotes[i]
		r.lastFetchAt, r.lastCaughtUpAt = longAgo, longAgo
		if r.inSync {
			r.lastCaughtUpAt = now
		}
		r.lastFetchLeaderEndOffset = unknown
		if known != nil {
			r.lastFetchAt = r.lastCaughtUpAt
			r.lastFetchLeaderEndOffset = e.Log.LogEndOffset
		}
	}
	return remotes
}

// makeRemotes lists the other replicas of a partition, with what before knew of them.
func makeRemotes(self int32, p *Partition, brokers []Broker, before *Leader) []remote {
	remotes := make([]remote, 0, len(p.Replicas))
	for _, id := range p.Replicas {
		if id == self {
			continue
		}
		r := remote{
			id: id, logEndOffset: unknown, logStartOffset: unknown, brokerEpoch: unknown,
			lastFetchLeaderEndOffset: unknown, lastFetchAt: longAgo, lastCaughtUpAt: longAgo,
		}
		if before != nil {
			if known := before.remote(id); known != nil {
				r = *known
			}
		}
		r.inSync, r.joining = slices.Contains(p.ISR, id), false
		r.setBroker(brokers)
		remotes = append(remotes, r)
	}
	return remotes
}

func (r *remote) setBroker(brokers []Broker) {
	i, found := slices.BinarySearchFunc(brokers, r.id, func(b Broker, id int32) int {
		return int(b.ID) - int(id)
	})
	r.registered = found
	if found {
		r.broker = brokers[i]
	}
}

// remote returns what is known of another replica, and nil if it is none.
func (l *Leader) remote(id int32) *remote {
	for i := range l.remotes {
		if l.remotes[i].id == id {
			return &l.remotes[i]
		}
	}
	return nil
}

// LeaderEpoch is the epoch it leads in.
func (l *Leader) LeaderEpoch() int32 { return l.leaderEpoch }

// PartitionEpoch is that of the last state of the partition it knows.
func (l *Leader) PartitionEpoch() int32 { return l.partitionEpoch }

// EpochStartOffset is where its leader epoch starts. While the high watermark is below
// it, the latest offset cannot be told to clients without going back (KIP-207).
func (l *Leader) EpochStartOffset() int64 { return l.epochStartOffset }

// HighWatermark is the end of what is committed, as far as this leader knows. The
// caller copies it to the log.
func (l *Leader) HighWatermark() int64 { return l.highWatermark }

// ISR lists the committed in-sync replicas. It is never changed in place.
func (l *Leader) ISR() []int32 { return l.isr }

// Replicas lists the assigned replicas. It is never changed in place.
func (l *Leader) Replicas() []int32 { return l.replicas }

// LowWatermark is the smallest log start offset among the replicas that are alive, -1
// while one of them has not told it. A DeleteRecords is done when it has been reached.
func (l *Leader) LowWatermark() int64 {
	low := l.logStartOffset
	for i := range l.remotes {
		if r := &l.remotes[i]; r.registered && !r.broker.Fenced {
			low = min(low, r.logStartOffset)
		}
	}
	return low
}

// UnderReplicated reports whether replicas are missing from the ISR. During a
// reassignment the replicas being added are not counted.
func (l *Leader) UnderReplicated() bool {
	return len(l.isr) < len(l.replicas)-len(l.adding)
}

// Reassigning reports whether the partition is being reassigned.
func (l *Leader) Reassigning() bool { return len(l.adding) > 0 || len(l.removing) > 0 }

// UnderMinISR reports whether too few replicas are in sync for min.insync.replicas.
func (l *Leader) UnderMinISR() bool { return len(l.isr) < l.effectiveMinISR() }

// AtMinISR reports whether one replica less in sync would be too few.
func (l *Leader) AtMinISR() bool { return len(l.isr) == l.effectiveMinISR() }

// effectiveMinISR is min.insync.replicas, at most the number of replicas.
func (l *Leader) effectiveMinISR() int {
	return min(int(l.minInsyncReplicas), len(l.replicas))
}

// CheckEpoch compares a request's leader epoch, or -1, with the leader's: answers
// FencedLeaderEpoch to a lower and UnknownLeaderEpoch to a higher one (KIP-320).
func (l *Leader) CheckEpoch(currentLeaderEpoch int32) errcode.Code {
	if l.set.Mutants.On(mutant.T9NoEpochFencing) {
		return errcode.None
	}
	return checkEpoch(currentLeaderEpoch, l.leaderEpoch)
}

// LogChanged takes in where the leader's own log stands after an append, a sync or a
// raised log start offset. Its high watermark is not looked at.
func (l *Leader) LogChanged(now clock.Instant, log *LogState) Change {
	log.check()
	invariant.True(log.LogEndOffset >= l.logEndOffset, "a leader's log never shrinks")
	l.logStartOffset = log.LogStartOffset
	l.heldEndOffset, l.logEndOffset = log.HeldEndOffset, log.LogEndOffset
	changed := l.maybeAdvanceHighWatermark(now) | l.maybeAdvanceLowWatermark()
	l.check()
	return changed
}

// MetadataChanged takes in another state of the partition in the same leader epoch. A
// higher partition epoch replaces the in-sync replicas and any proposal to change
// them; a lower one is old news. At the same partition epoch only the assignment is
// taken: the answer to AlterPartition brought the rest, and a proposal made since then
// may be committed by now.
func (l *Leader) MetadataChanged(now clock.Instant, p *Partition) Change {
	invariant.True(p.LeaderEpoch == l.leaderEpoch, "another leader epoch is another Leader")
	if p.PartitionEpoch < l.partitionEpoch {
		return 0
	}
	l.replicas, l.adding, l.removing = p.Replicas, p.AddingReplicas, p.RemovingReplicas
	if p.PartitionEpoch == l.partitionEpoch {
		joining := l.proposal.joining
		l.remotes = makeRemotes(l.set.NodeID, &Partition{Replicas: p.Replicas, ISR: l.isr},
			l.brokers, l)
		if r := l.remote(joining); l.proposal.active && r != nil {
			r.joining = true
		}
	} else {
		l.proposal.active = false
		l.partitionEpoch = p.PartitionEpoch
		l.isr = p.ISR
		l.remotes = makeRemotes(l.set.NodeID, p, l.brokers, l)
	}
	changed := l.maybeAdvanceHighWatermark(now) | l.maybeAdvanceLowWatermark()
	l.check()
	return changed
}

// BrokersChanged takes in another list of all registered brokers, by id. It is never
// changed.
func (l *Leader) BrokersChanged(now clock.Instant, brokers []Broker) Change {
	l.brokers = brokers
	for i := range l.remotes {
		l.remotes[i].setBroker(brokers)
	}
	return l.maybeAdvanceHighWatermark(now) | l.maybeAdvanceLowWatermark()
}

// SetMinInsyncReplicas takes in another min.insync.replicas.
func (l *Leader) SetMinInsyncReplicas(now clock.Instant, n int32) Change {
	l.minInsyncReplicas = n
	return l.maybeAdvanceHighWatermark(now)
}

// check asserts what must always be true of a leader.
func (l *Leader) check() {
	invariant.True(l.highWatermark >= 0, "offsets are not negative")
	invariant.True(l.highWatermark <= l.logEndOffset, "highWatermark <= logEndOffset")
	invariant.True(l.logStartOffset <= l.highWatermark, "logStartOffset <= highWatermark")
	invariant.True(l.epochStartOffset <= l.logEndOffset, "an epoch starts within the log")
}
