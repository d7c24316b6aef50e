package replica

import (
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/mutant"
)

// Fetched takes in an answer to AskRecords. Own is what the follower's log says of the
// diverging epoch, if there is one. An answer to another question than the one that
// is open is dropped: the log may have been cut, or begun anew, since it was asked.
func (f *Follower) Fetched(
	now clock.Instant, ask *Ask, a *FetchAnswer, own EpochEnd,
) Decision {
	if !f.answers(ask) && !f.set.Mutants.On(mutant.T7StaleAnswer) {
		return Decision{}
	}
	f.asked = false
	if a.Err != errcode.None {
		f.refused(now, ask, a.Err)
		return Decision{}
	}
	if f.set.Mutants.On(mutant.T5MarksBeforeTruncation) {
		f.setMarks(a)
	}
	if a.Diverging.Epoch != unknown {
		offset := f.divergence(a.Diverging, own)
		if a.LogStartOffset > f.logStartOffset && offset <= a.LogStartOffset {
			return f.startOver(a.LogStartOffset)
		}
		return f.truncate(offset)
	}
	if !f.matches && a.LogStartOffset > f.logStartOffset && f.fetchOffset <= a.LogStartOffset {
		return f.startOver(a.LogStartOffset)
	}
	f.matches = true
	return Decision{Kind: Append}
}

// answers reports whether ask is what the follower waits to have answered.
func (f *Follower) answers(ask *Ask) bool {
	kind := AskRecords
	switch f.state {
	case fetching:
	case seekingLatest:
		kind = AskLatestOffset
	case seekingEarliest:
		kind = AskEarliestOffset
	case truncating, parked:
		return false
	}
	return f.asked && ask.Kind == kind && ask.CurrentLeaderEpoch == f.leaderEpoch &&
		ask.FetchOffset == f.fetchOffset && ask.LastFetchedEpoch == f.lastFetchedEpoch
}

// divergence is where to cut: where both logs stop having the same epoch. If the
// follower does not know the leader's epoch, it cuts where its own next lower one
// ends, and the next fetch finds out whether that is enough (KIP-279).
func (f *Follower) divergence(leader, own EpochEnd) int64 {
	switch own.Epoch {
	case unknown:
		return min(leader.EndOffset, f.fetchOffset)
	case leader.Epoch:
		return min(leader.EndOffset, own.EndOffset, f.fetchOffset)
	default:
		return min(own.EndOffset, f.fetchOffset)
	}
}

// truncate orders the log cut. An offset before the log start means to start over
// there.
func (f *Follower) truncate(offset int64) Decision {
	f.state = truncating
	if offset < f.logStartOffset {
		return Decision{Kind: TruncateFully, Offset: max(0, offset)}
	}
	return Decision{Kind: Truncate, Offset: offset}
}

// startOver orders the log begun anew where the leader's starts, since nothing that would
// be left of it is in the leader's log. It could be of another history, and would be shown
// to consumers if this replica led before it has noted where the log starts:
//
//  1. A leads in epoch 0 and appends 0 and 1, which B does not have.
//  2. B leads in epoch 1 and appends others there, which are committed and deleted.
//  3. A follows. It is not told of a divergence, since B's log has nothing before 2: it
//     keeps 0 and 1, fetches from 2 on, and learns that the log starts at 2.
//  4. A crashes before that is on disk, comes back, and leads: its log starts at 0.
func (f *Follower) startOver(offset int64) Decision {
	f.state = truncating
	return Decision{Kind: TruncateFully, Offset: offset}
}

// Truncated takes in where the log stands after a truncation. The high watermark
// follows the log down, and up to its new start.
func (f *Follower) Truncated(log *LogState) {
	log.check()
	f.state = fetching
	f.takeLog(log)
	f.logStartOffset = log.LogStartOffset
	f.highWatermark = clamp(f.highWatermark, f.logStartOffset, f.fetchOffset)
	f.check()
}

func (f *Follower) takeLog(log *LogState) {
	f.fetchOffset, f.lastFetchedEpoch = log.LogEndOffset, log.LatestEpoch
	f.heldEndOffset = log.HeldEndOffset
}

// Accepts reports whether a batch of an answer may be appended. One from a later
// epoch than the fetch's is not the leader's that was asked, and all after it go with
// it: its place in the log is not certain (KAFKA-18723).
func (f *Follower) Accepts(partitionLeaderEpoch int32) bool {
	return partitionLeaderEpoch <= f.leaderEpoch
}

// Appended takes in where the log stands after the batches of an answer are appended,
// and then what the answer says is committed and where the leader's log starts: the
// high watermark first, because the log start offset is at most that.
func (f *Follower) Appended(a *FetchAnswer, log *LogState) {
	log.check()
	f.takeLog(log)
	f.logStartOffset = max(f.logStartOffset, log.LogStartOffset)
	f.setMarks(a)
	f.lag = max(0, a.HighWatermark-f.fetchOffset)
	f.check()
}

func (f *Follower) setMarks(a *FetchAnswer) {
	f.highWatermark = clamp(a.HighWatermark, f.logStartOffset, f.fetchOffset)
	if f.set.Mutants.On(mutant.R9HighWatermarkBeyondLog) {
		f.highWatermark = max(a.HighWatermark, f.logStartOffset)
	}
	f.logStartOffset = max(f.logStartOffset, min(a.LogStartOffset, f.highWatermark))
}

// AppendFailed takes in that batches of an answer were not appended: because they are
// damaged, which may be different the next time, or because the disk failed.
func (f *Follower) AppendFailed(now clock.Instant, code errcode.Code) {
	if code == errcode.KafkaStorageError {
		f.state = parked
		return
	}
	f.retryAt = now.Add(f.set.ReplicaFetchBackoff)
}

// refused decides what to do about an error in an answer.
func (f *Follower) refused(now clock.Instant, ask *Ask, code errcode.Code) {
	switch code {
	case errcode.FencedLeaderEpoch: // the leader is in a later epoch, of which we will hear
		f.state = parked
	case errcode.OffsetOutOfRange:
		if ask.Kind == AskRecords {
			f.state = seekingLatest
			return
		}
		f.retry(now)
	default:
		f.retry(now)
	}
}

func (f *Follower) retry(now clock.Instant) {
	f.state = fetching
	f.retryAt = now.Add(f.set.ReplicaFetchBackoff)
}

// Listed takes in an answer to AskLatestOffset or AskEarliestOffset. A fetch is out
// of range because the log goes on beyond the leader's, after an unclean election; or
// because it ends before the leader's starts; or it was, and is no more.
func (f *Follower) Listed(now clock.Instant, ask *Ask, offset int64, code errcode.Code) Decision {
	if !f.answers(ask) {
		return Decision{}
	}
	f.asked = false
	if code != errcode.None {
		f.refused(now, ask, code)
		return Decision{}
	}
	if ask.Kind == AskLatestOffset {
		if offset < f.fetchOffset {
			return f.truncate(offset)
		}
		f.state, f.leaderEndOffset = seekingEarliest, offset
		return Decision{}
	}
	f.lag = max(0, f.leaderEndOffset-max(offset, f.fetchOffset))
	if offset > f.fetchOffset {
		f.state = truncating
		return Decision{Kind: TruncateFully, Offset: offset}
	}
	f.state = fetching
	return Decision{}
}
