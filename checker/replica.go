package checker

// ReplicaID names a node's copy of a partition.
type ReplicaID struct {
	PartitionID
	Node int32
}

// Replica is what is known of one node's copy of a partition: its log, what of that its
// devices keep, and the role of the node.
type Replica struct {
	Node      int32
	p         *Partition
	batches   []Batch
	producers map[int64]producer
	ackedOne  []span  // acknowledged under acks=1
	cutOff    []Batch // that it cut off in this life, and that may still be on disk

	logStart      int64
	highWatermark int64 // of this life, as far as known
	reported      int64 // the last one that it reported in this role
	logEnd        int64
	written       int64 // all below is written
	synced        int64 // all below is synced, as the disk said or showed
	checkpointed  int64 // log start that is safely checkpointed
	matched       int64 // all below is as committed, where it reaches so far
	heldOnce      int64 // the end of what it ever held, and did not cut off itself

	// The excuse ledger. A record is durable below synced, volatile between synced
	// and written, and absent once a fault destroyed it: that is from riskFrom on,
	// since a log is worth nothing behind its first hole.
	required int64 // where the log must end at least after a restart; -1: online
	stopped  int64 // what was ordered but not written when the last life ended; -1: nothing
	riskFrom int64 // first offset that a fault destroyed since the last life; -1: none
	rotten   bool  // by bit rot or a lost disk, which spare no synced record
	failedAt int64 // first offset of a sync that failed in this life; -1: none
	doubt    span  // offsets whose sync failed once: they may never become durable
	lackFrom int64 // what it lacks from here on, faults explain; -1: nothing

	lifeStart   int64 // log end offset when this life began
	minISR      int   // min.insync.replicas, as its node sees it
	stateEpoch  int32 // partition epoch that its node knows
	leaderEpoch int32 // of its role; -1: none yet
	leads       bool
	stale       bool // it has not yet cut off what is lost with an excuse
}

// place is where a batch stands: its base offset and its leader epoch.
type place struct {
	offset int64
	epoch  int32
}

// origin is what a place determines in all logs.
type origin struct {
	hash     uint64
	previous int32 // epoch of the batch before; -2: not known
}

// epochUnknown stands for the epoch of a batch that nobody saw.
const epochUnknown = -2

// replica returns a copy of a partition that was met.
func (j *Judge) replica(id ReplicaID) *Replica {
	p := j.partitions[id.PartitionID]
	if r := p.replica(id.Node); r != nil {
		return r
	}
	r := &Replica{
		Node: id.Node, p: p, required: noOffset, stopped: noOffset, riskFrom: noOffset, failedAt: noOffset,
		lackFrom: noOffset, leaderEpoch: -1, stateEpoch: -1, producers: make(map[int64]producer),
	}
	p.replicas = append(p.replicas, r)
	return r
}

// replica returns a node's copy, or nil if it never had one.
func (p *Partition) replica(node int32) *Replica {
	for _, r := range p.replicas {
		if r.Node == node {
			return r
		}
	}
	return nil
}

// CopyOf returns where a node's copy ends and what it takes for committed, and whether
// there is one.
func (p *Partition) CopyOf(node int32) (logEnd, highWatermark int64, known bool) {
	r := p.replica(node)
	if r == nil {
		return 0, 0, false
	}
	return r.logEnd, r.highWatermark, true
}

// Appended says that a copy got another batch: the leader from a client, others from
// the leader.
func (j *Judge) Appended(id ReplicaID, b Batch) {
	r := j.replica(id)
	j.checkShape(r, &b)
	if j.checkOrigin(r, &b) {
		j.checkSequence(r, &b)
	}
	r.stale = false // or it would not follow
	r.know(&b, j.limits.SequenceMax)
	r.batches = append(r.batches, b)
	r.logEnd = max(r.logEnd, b.EndOffset)
}

func (j *Judge) checkShape(r *Replica, b *Batch) {
	p := r.p
	count := b.EndOffset - b.BaseOffset
	cleaned := p.policy.Compacted && !r.leads
	// A follower that begins anew may get the batch around its log start (KIP-107).
	first := !r.leads && (len(r.batches) == 0 || r.logEnd == r.logStart) && b.EndOffset > r.logEnd
	switch {
	case b.BaseOffset < r.logEnd && !first:
		j.Report(AppendShape, "overlap", "%s: batch at %d, log end offset %d of node %d",
			p.Name, b.BaseOffset, r.logEnd, r.Node)
	case b.BaseOffset > r.logEnd && !cleaned:
		j.Report(AppendShape, "gap", "%s: batch at %d, log end offset %d of node %d",
			p.Name, b.BaseOffset, r.logEnd, r.Node)
	case count <= 0 || count != int64(b.RecordCount) && !cleaned:
		j.Report(AppendShape, "count", "%s: batch at %d spans %d offsets with %d records",
			p.Name, b.BaseOffset, count, b.RecordCount)
	}
	if n := len(r.batches); n > 0 && b.LeaderEpoch < r.batches[n-1].LeaderEpoch {
		j.Report(AppendShape, "epoch-fell", "%s: leader epoch %d at %d after %d",
			p.Name, b.LeaderEpoch, b.BaseOffset, r.batches[n-1].LeaderEpoch)
	}
}

// checkOrigin judges log matching: a base offset and a leader epoch determine a batch
// and the epoch before it, in all logs. It reports whether the batch is new to all.
func (j *Judge) checkOrigin(r *Replica, b *Batch) bool {
	p := r.p
	at := place{b.BaseOffset, b.LeaderEpoch}
	from := origin{hash: b.Hash, previous: epochUnknown}
	if n := len(r.batches); n > 0 && r.batches[n-1].EndOffset == b.BaseOffset {
		from.previous = r.batches[n-1].LeaderEpoch
	}
	known, old := p.origins[at]
	if !old || r.leads && r.leaderEpoch == b.LeaderEpoch {
		p.origins[at] = from
		j.checkWriter(r, b)
		return true
	}
	switch {
	case p.policy.Compacted:
	case known.hash != from.hash:
		j.Report(LogMatching, "other-batch", "%s: node %d has another batch at %d of epoch %d",
			p.Name, r.Node, b.BaseOffset, b.LeaderEpoch)
	case known.previous != from.previous && known.previous != epochUnknown &&
		from.previous != epochUnknown:
		j.Report(LogMatching, "other-history", "%s: node %d has epoch %d, not %d, before %d",
			p.Name, r.Node, from.previous, known.previous, b.BaseOffset)
	}
	return false
}

// checkWriter judges that a new batch is of a producer, and of the one who leads in its
// epoch.
func (j *Judge) checkWriter(r *Replica, b *Batch) {
	p := r.p
	if j.attempts[b.Hash] == nil && !b.Control() && !p.policy.Rewritten {
		j.Report(AppendShape, "phantom", "%s: nobody sent the batch at %d", p.Name, b.BaseOffset)
	}
	writer, known := p.writers[b.LeaderEpoch]
	if !known {
		p.writers[b.LeaderEpoch] = r.Node
	}
	if known && writer != r.Node {
		j.Report(OneLeader, "two-writers", "%s: nodes %d and %d both wrote in epoch %d",
			p.Name, writer, r.Node, b.LeaderEpoch)
	}
	if !r.leads {
		j.Report(LogMatching, "from-nowhere", "%s: follower %d has a batch at %d of epoch %d "+
			"that no leader wrote", p.Name, r.Node, b.BaseOffset, b.LeaderEpoch)
	}
}

// Truncated says that a follower cut its log, which goes from start to end now. It may
// cut what no leader committed, or what the leader has deleted.
func (j *Judge) Truncated(id ReplicaID, start, end int64) {
	r := j.replica(id)
	p := r.p
	r.follow()
	for o := max(end, r.logStart); o < min(r.matched, r.logEnd); o++ {
		if p.promised(o) && p.slots[o].flags&slotForgiven == 0 && !p.unsettled {
			j.Report(LeaderCompleteness, "committed-truncated",
				"%s: node %d cut its log at %d, committed is %d", p.Name, r.Node, end, p.committed)
			break
		}
	}
	for i := range r.batches {
		if b := &r.batches[i]; b.EndOffset > end || start == end {
			r.cutOff = append(r.cutOff, *b)
		}
	}
	j.cut(r, start, end)
	if start == end { // it begins anew
		r.batches = nil
		clear(r.producers)
		p.anew = p.anew || start > 0
	}
	r.logStart, r.logEnd = start, end
	r.written, r.synced = min(r.written, end), min(r.synced, end)
	r.heldOnce = min(r.heldOnce, end)
	r.highWatermark = min(r.highWatermark, end)
	r.lifeStart, r.stale = end, false
	r.follow()
}

// cut forgets what a log lost. A log that lost all behind its log start begins anew
// there, which may be within a batch that is gone.
func (j *Judge) cut(r *Replica, start, end int64) {
	if end >= r.logEnd {
		return
	}
	n := len(r.batches)
	for n > 0 && r.batches[n-1].BaseOffset >= end {
		n--
	}
	if n > 0 && r.batches[n-1].EndOffset > end {
		n--
		if b := &r.batches[n]; start < end {
			j.Report(RecoveryFidelity, "torn-batch",
				"%s: log ends at %d, within the batch %d to %d",
				r.p.Name, end, b.BaseOffset, b.EndOffset)
		}
	}
	r.batches = r.batches[:n:n]
	r.recallProducers(start, j.limits.SequenceMax)
	r.logEnd = end
	r.matched = min(r.matched, end)
	r.doubt = span{min(r.doubt.from, end), min(r.doubt.to, end)}
	kept := r.ackedOne[:0]
	for _, s := range r.ackedOne {
		if s.from < end {
			kept = append(kept, span{s.from, min(s.to, end)})
		}
	}
	r.ackedOne = kept
}

// acked reports whether a record was acknowledged under acks=1.
func (r *Replica) acked(offset int64) bool {
	for _, s := range r.ackedOne {
		if offset >= s.from && offset < s.to {
			return true
		}
	}
	return false
}

// follow moves matched on as far as the log is as committed. A cleaned log has holes.
func (r *Replica) follow() {
	p := r.p
	if r.logStart > r.matched {
		r.matched = min(r.logStart, p.highestStart)
	}
	r.matched = min(r.matched, p.committed)
	for r.matched < min(p.committed, r.logEnd) {
		want, have := batchAt(p.batches, r.matched), batchAt(r.batches, r.matched)
		next := min(r.logEnd, p.committed)
		switch {
		case want == nil: // a hole in what is committed: it is the log of an earlier start
			for i := range p.batches {
				if b := &p.batches[i]; b.BaseOffset > r.matched {
					next = min(next, b.BaseOffset)
					break
				}
			}
		case have == nil && (p.policy.Compacted || want.EndOffset <= r.logStart):
			next = min(next, want.EndOffset)
		case have == nil || !p.sameBatch(want, have):
			return
		default:
			next = min(next, want.EndOffset)
		}
		r.matched = next
	}
	if r.matched >= p.committed && r.riskFrom == noOffset && r.stopped == noOffset {
		r.lackFrom = noOffset
	}
}

// has returns the end of the committed records that it holds, faults considered.
func (r *Replica) has() int64 {
	r.follow()
	end := r.matched
	if r.stopped != noOffset {
		end = min(end, r.stopped)
	}
	if r.riskFrom != noOffset {
		end = min(end, r.riskFrom)
	}
	return end
}

// Written says that a copy's device wrote everything below endOffset.
func (j *Judge) Written(id ReplicaID, endOffset int64) {
	r := j.replica(id)
	r.written = max(r.written, min(endOffset, r.logEnd))
	if !r.p.policy.Fsync {
		r.heldOnce = max(r.heldOnce, r.written)
	}
}

// Synced says that a copy's device synced everything below endOffset.
func (j *Judge) Synced(id ReplicaID, endOffset int64) {
	r := j.replica(id)
	r.synced = max(r.synced, min(endOffset, r.logEnd))
	r.heldOnce = max(r.heldOnce, r.synced)
}

// SyncFailed says that a copy's device could not sync what was written. Nobody
// knows from then on which of it will survive a power loss, and a later sync says
// nothing about it.
func (j *Judge) SyncFailed(id ReplicaID, inThisLog bool) {
	r := j.replica(id)
	if r.doubt.from == r.doubt.to {
		r.doubt.from = r.synced
	}
	r.doubt = span{min(r.doubt.from, r.synced), max(r.doubt.to, r.logEnd)}
	if inThisLog && r.failedAt == noOffset {
		r.failedAt = r.synced
	}
}

// HighWatermarkLearned says what a follower takes for committed. It may fall when a new
// leader's is lower.
func (j *Judge) HighWatermarkLearned(id ReplicaID, offset, endOffset int64) {
	r := j.replica(id)
	p := r.p
	r.follow()
	switch {
	case offset > r.logEnd:
		j.Report(Range, "high-watermark-past-end", "%s: %d, log end offset %d of node %d",
			p.Name, offset, r.logEnd, r.Node)
	case endOffset != r.logEnd:
		j.Report(Range, "wrong-end", "%s: node %d says its log ends at %d, it appended up to %d",
			p.Name, r.Node, endOffset, r.logEnd)
	case p.deposed(r):
	case offset > p.committed:
		j.Report(Range, "high-watermark-from-nowhere", "%s: node %d learned %d, committed is %d",
			p.Name, r.Node, offset, p.committed)
	case offset > r.matched && !p.policy.Compacted:
		j.Report(LogMatching, "committed-otherwise", "%s: node %d takes %d for committed, "+
			"and its log differs at %d", p.Name, r.Node, offset, r.matched)
	}
	r.highWatermark = offset
}

// LogStart says that a copy raised its log start offset.
func (j *Judge) LogStart(id ReplicaID, offset int64) {
	r := j.replica(id)
	p := r.p
	high := p.committed
	if r.leads {
		high = r.highWatermark
	}
	if offset < r.logStart {
		j.Report(Range, "log-start-fell", "%s: from %d to %d", p.Name, r.logStart, offset)
	}
	if offset > high {
		j.Report(Range, "log-start-past-high-watermark", "%s: %d, high watermark %d",
			p.Name, offset, high)
	}
	r.logStart = max(r.logStart, offset)
	if r == p.leading {
		p.logStart = max(p.logStart, offset)
		p.highestStart = max(p.highestStart, offset)
	}
}

// LogStartCheckpointed says that a log start offset is safely in a checkpoint.
func (j *Judge) LogStartCheckpointed(id ReplicaID, offset int64) {
	r := j.replica(id)
	r.checkpointed = max(r.checkpointed, offset)
}
