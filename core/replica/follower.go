package replica

import (
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/mutant"
)

// Follower is a partition's replica that copies a leader's log, in one leader epoch.
type Follower struct {
	set            *Settings
	leader         int32 // -1: none
	leaderEpoch    int32
	partitionEpoch int32

	state   followerState
	asked   bool          // an Ask is in flight
	matches bool          // the log is a part of the leader's, as an answer has shown
	retryAt clock.Instant // when to ask again after an error

	fetchOffset      int64
	lastFetchedEpoch int32
	leaderEndOffset  int64 // as told while its range is being found out
	heldEndOffset    int64
	highWatermark    int64
	logStartOffset   int64
	lag              int64
}

type followerState uint8

const (
	fetching followerState = iota
	truncating
	seekingLatest   // out of range: where does the leader's log end?
	seekingEarliest // out of range: where does the leader's log start?
	parked          // until there is other metadata
)

// AskKind says what a follower asks of its leader.
type AskKind uint8

// The kinds of Ask.
const (
	AskRecords        AskKind = iota + 1 // a Fetch
	AskLatestOffset                      // a ListOffsets for the log end offset
	AskEarliestOffset                    // a ListOffsets for the log start offset
)

// Ask is a question to the leader.
type Ask struct {
	FetchOffset        int64
	LogStartOffset     int64
	HighWatermark      int64 // so that the leader can tell of a newer one at once (KIP-1166)
	Leader             int32
	CurrentLeaderEpoch int32
	LastFetchedEpoch   int32 // -1: not known
	Kind               AskKind
}

// FetchAnswer is the answer to AskRecords without its records. Without an answer, Err
// says why, such as NetworkException.
type FetchAnswer struct {
	Diverging      EpochEnd // or NoEpoch
	HighWatermark  int64
	LogStartOffset int64
	Err            errcode.Code
}

// Decision is what to do about an answer.
type Decision struct {
	Offset int64 // where to truncate
	Kind   DecisionKind
}

// DecisionKind says what to do about an answer.
type DecisionKind uint8

// The kinds of Decision.
const (
	// Nothing: the answer is old, or there is an error to wait for.
	Nothing DecisionKind = iota
	// Append: append the batches that Accepts lets pass, if any, and call Appended.
	Append
	// Truncate: cut the log at Offset at the latest, and call Truncated.
	Truncate
	// TruncateFully: drop all records, start over at Offset, and call Truncated.
	TruncateFully
)

// BecomeFollower begins a leader epoch. The log is not cut by what this broker thinks
// is committed, but where the leader says that it diverges (KIP-101): the decision
// is Nothing, except for a log from before there were leader epochs.
func BecomeFollower(set *Settings, p *Partition, log *LogState) (Follower, Decision) {
	log.check()
	invariant.True(p.Leader != set.NodeID, "a follower is not the leader")
	f := Follower{
		set:              set,
		leader:           p.Leader,
		leaderEpoch:      p.LeaderEpoch,
		partitionEpoch:   p.PartitionEpoch,
		state:            fetching,
		asked:            false,
		retryAt:          longAgo,
		fetchOffset:      log.LogEndOffset,
		lastFetchedEpoch: log.LatestEpoch,
		leaderEndOffset:  unknown,
		heldEndOffset:    log.HeldEndOffset,
		highWatermark:    restoredHighWatermark(set, log),
		logStartOffset:   log.LogStartOffset,
		lag:              unknown,
	}
	f.check()
	noEpochs := log.LatestEpoch == unknown && log.LogEndOffset > f.highWatermark
	if noEpochs || set.Mutants.On(mutant.T1TruncateToHighWatermark) {
		return f, f.truncate(f.highWatermark)
	}
	return f, Decision{}
}

// MetadataChanged takes in another state of the partition in the same leader epoch.
// Nothing starts over.
func (f *Follower) MetadataChanged(p *Partition) {
	invariant.True(p.LeaderEpoch == f.leaderEpoch, "another leader epoch is another Follower")
	f.partitionEpoch = max(f.partitionEpoch, p.PartitionEpoch)
}

// Leader is who it follows, or -1.
func (f *Follower) Leader() int32 { return f.leader }

// LeaderEpoch is the epoch it follows in.
func (f *Follower) LeaderEpoch() int32 { return f.leaderEpoch }

// PartitionEpoch is that of the last state of the partition it knows.
func (f *Follower) PartitionEpoch() int32 { return f.partitionEpoch }

// HighWatermark is the end of what is known to be committed and is in the log. It goes
// down if a new leader's is lower. The caller copies it to the log.
func (f *Follower) HighWatermark() int64 { return f.highWatermark }

// LogStartOffset is where the log is to start. The caller copies it to the log, after
// the high watermark.
func (f *Follower) LogStartOffset() int64 { return f.logStartOffset }

// Lag is how many committed records are missing, or -1 if that is not known.
func (f *Follower) Lag() int64 { return f.lag }

// Parked reports whether it has stopped until there is other metadata.
func (f *Follower) Parked() bool { return f.state == parked }

// CheckEpoch compares a request's leader epoch, or -1, with the follower's (KIP-320).
func (f *Follower) CheckEpoch(currentLeaderEpoch int32) errcode.Code {
	return checkEpoch(currentLeaderEpoch, f.leaderEpoch)
}

// Next returns what to ask of the leader now, and false if that is nothing. What is
// asked must be answered: by Fetched, Listed or an error to either of them. Records are
// asked for only when all before are held, because that is what asking tells the leader.
func (f *Follower) Next(now clock.Instant) (Ask, bool) {
	if f.asked || f.leader == unknown || now < f.retryAt {
		return Ask{}, false
	}
	ask := Ask{
		Leader: f.leader, CurrentLeaderEpoch: f.leaderEpoch,
		FetchOffset: f.fetchOffset, LastFetchedEpoch: f.lastFetchedEpoch,
		LogStartOffset: f.logStartOffset, HighWatermark: f.highWatermark,
	}
	switch f.state {
	case fetching:
		if f.heldEndOffset < f.fetchOffset {
			return Ask{}, false
		}
		ask.Kind = AskRecords
	case seekingLatest:
		ask.Kind = AskLatestOffset
	case seekingEarliest:
		ask.Kind = AskEarliestOffset
	case truncating, parked:
		return Ask{}, false
	}
	f.asked = true
	return ask, true
}

// Deadline is when Next has something to ask, or Never if that is up to another event.
func (f *Follower) Deadline() clock.Instant {
	if f.asked || f.leader == unknown || f.state == parked || f.state == truncating ||
		f.state == fetching && f.heldEndOffset < f.fetchOffset {
		return clock.Never
	}
	return f.retryAt
}

// Held takes in the end of what counts as held after a write or a sync.
func (f *Follower) Held(heldEndOffset int64) { f.heldEndOffset = heldEndOffset }

// check asserts what must always be true of a follower.
func (f *Follower) check() {
	invariant.True(f.logStartOffset >= 0, "offsets are not negative")
	invariant.True(f.logStartOffset <= f.highWatermark, "logStartOffset <= highWatermark")
	invariant.True(f.highWatermark <= f.fetchOffset, "highWatermark <= logEndOffset")
}
