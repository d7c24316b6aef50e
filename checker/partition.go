package checker

// noOffset stands for no offset at all.
const noOffset = -1

// Partition is the truth about one partition, as far as facts told it: every batch
// that was appended and not lost, what each record holds, what was promised about
// it, and where the marks stand. It lives outside of the brokers and survives them.
type Partition struct {
	ID        PartitionID
	Name      string // topic-partition, for messages
	policy    Policy
	batches   []Batch
	slots     []slot // by offset
	producers map[int64]producer
	keys      map[uint64]int64 // last offset ever appended for a key
	cursors   map[int]int64    // next offset of each consumer

	logStart      int64
	highWatermark int64 // of this life of the leader, as far as known
	reported      int64 // the last one that the leader reported in this life
	committed     int64 // highest high watermark ever, but for excused losses
	logEnd        int64
	written       int64 // all below is written
	synced        int64 // all below is synced, as the disk said or showed
	checkpointed  int64 // log start that is safely checkpointed

	// The excuse ledger. A record is durable below synced, volatile between synced
	// and written, and absent once a fault destroyed it: that is from riskFrom on,
	// since a log is worth nothing behind its first hole.
	required int64 // where the log must end at least after a restart; -1: online
	riskFrom int64 // first offset that a fault destroyed since the last life; -1: none
	rotten   bool  // by bit rot, which spares no synced record
	failedAt int64 // first offset of a sync that failed in this life; -1: none
	doubt    span  // offsets whose sync failed once: they may never become durable

	lifeStart   int64 // log end offset when this life began
	startFellAt int64 // judge's clock when a restart last forgot a raise of the log start
	startBefore int64 // the highest log start that a restart forgot
	truncatedAt int64 // judge's clock at the last excused loss
	latest      []answer
	earliest    []answer
	deleted     bool
	rots        bool  // bit rot was planted at some time
	rotsFrom    int64 // the lowest offset that it took, if so
	named       int   // how many partitions have had this name
	met         int64 // judge's clock when it was met
}

// span is the offsets in [from, to).
type span struct{ from, to int64 }

// slot is one record.
type slot struct {
	hash  uint64 // RecordHash; 0: unknown
	key   uint64 // KeyHash; 0: none or unknown
	flags uint8
}

const (
	slotTombstone uint8 = 1 << iota
	slotControl
	slotAckedOne // acknowledged under acks=1
	slotAckedAll // acknowledged under acks=all
)

// LogStart is the log start offset as the leader last told it.
func (p *Partition) LogStart() int64 { return p.logStart }

// HighWatermark is the high watermark as the leader last told it.
func (p *Partition) HighWatermark() int64 { return p.highWatermark }

// LogEnd is the log end offset as the leader last told it.
func (p *Partition) LogEnd() int64 { return p.logEnd }

// Committed is the highest offset below which everything was committed, and was not
// lost since with an excuse.
func (p *Partition) Committed() int64 { return p.committed }

// Deleted reports whether the topic is gone.
func (p *Partition) Deleted() bool { return p.deleted }

// Batches returns the batches of the log, oldest first; those below the log start
// are still there.
func (p *Partition) Batches() []Batch { return p.batches }

// attempt is one batch that a producer sent, once or several times.
type attempt struct {
	records []AttemptRecord
}

// AttemptRecord identifies one record that a producer is about to send.
type AttemptRecord struct {
	Hash      uint64 // RecordHash
	Key       uint64 // KeyHash
	Tombstone bool
}

// Attempt announces a batch before it is sent for the first time, under the hash of
// what no broker may change.
func (j *Judge) Attempt(hash uint64, records []AttemptRecord) {
	j.attempts[hash] = &attempt{records: records}
}

// Appended says that the leader appended a batch.
func (j *Judge) Appended(id PartitionID, b Batch) {
	p := j.partitions[id]
	j.checkShape(p, &b)
	j.checkSequence(p, &b)
	p.batches = append(p.batches, b)
	p.logEnd = max(p.logEnd, b.EndOffset)
	j.fill(p, &b)
}

func (j *Judge) checkShape(p *Partition, b *Batch) {
	count := b.EndOffset - b.BaseOffset
	switch {
	case b.BaseOffset < p.logEnd:
		j.Report(AppendShape, "overlap", "%s: batch at %d, log end offset %d",
			p.Name, b.BaseOffset, p.logEnd)
	case b.BaseOffset > p.logEnd:
		j.Report(AppendShape, "gap", "%s: batch at %d, log end offset %d",
			p.Name, b.BaseOffset, p.logEnd)
	case count <= 0 || count != int64(b.RecordCount):
		j.Report(AppendShape, "count", "%s: batch at %d spans %d offsets with %d records",
			p.Name, b.BaseOffset, count, b.RecordCount)
	}
	if n := len(p.batches); n > 0 && b.LeaderEpoch < p.batches[n-1].LeaderEpoch {
		j.Report(AppendShape, "epoch-fell", "%s: leader epoch %d at %d after %d",
			p.Name, b.LeaderEpoch, b.BaseOffset, p.batches[n-1].LeaderEpoch)
	}
}

// fill notes what the records of an appended batch hold.
func (j *Judge) fill(p *Partition, b *Batch) {
	for int64(len(p.slots)) < b.EndOffset {
		p.slots = append(p.slots, slot{})
	}
	if b.Control() {
		for o := b.BaseOffset; o < b.EndOffset; o++ {
			p.slots[o].flags |= slotControl
		}
		return
	}
	a := j.attempts[b.Hash]
	if a == nil {
		if !p.policy.Rewritten {
			j.Report(AppendShape, "phantom", "%s: nobody sent the batch at %d",
				p.Name, b.BaseOffset)
		}
		return
	}
	for i, r := range a.records {
		o := b.BaseOffset + int64(i)
		if o >= b.EndOffset {
			return
		}
		s := slot{hash: r.Hash, key: r.Key}
		if r.Tombstone {
			s.flags = slotTombstone
		}
		p.slots[o] = s
		if r.Key != 0 {
			p.keys[r.Key] = max(p.keys[r.Key], o)
		}
	}
}

// Written says that the leader's device wrote everything below endOffset.
func (j *Judge) Written(id PartitionID, endOffset int64) {
	p := j.partitions[id]
	p.written = max(p.written, min(endOffset, p.logEnd))
}

// Synced says that the leader's device synced everything below endOffset.
func (j *Judge) Synced(id PartitionID, endOffset int64) {
	p := j.partitions[id]
	p.synced = max(p.synced, min(endOffset, p.logEnd))
}

// SyncFailed says that the leader's device could not sync what was written. Nobody
// knows from then on which of it will survive a power loss, and a later sync says
// nothing about it.
func (j *Judge) SyncFailed(id PartitionID, inThisLog bool) {
	p := j.partitions[id]
	if p.doubt.from == p.doubt.to {
		p.doubt.from = p.synced
	}
	p.doubt = span{min(p.doubt.from, p.synced), max(p.doubt.to, p.logEnd)}
	if inThisLog && p.failedAt == noOffset {
		p.failedAt = p.synced
	}
}

// HighWatermark says that the leader moved its high watermark.
func (j *Judge) HighWatermark(id PartitionID, offset, endOffset int64) {
	p := j.partitions[id]
	switch {
	case offset < p.reported:
		j.Report(Range, "high-watermark-fell", "%s: from %d to %d", p.Name, p.reported, offset)
	case offset > p.logEnd:
		j.Report(Range, "high-watermark-past-end", "%s: %d, log end offset %d",
			p.Name, offset, p.logEnd)
	case endOffset != p.logEnd:
		j.Report(Range, "wrong-end", "%s: leader says its log ends at %d, it appended up to %d",
			p.Name, endOffset, p.logEnd)
	case p.policy.Fsync && p.failedAt != noOffset && offset > p.failedAt:
		j.Report(AckPolicy, "committed-after-failed-sync",
			"%s: high watermark %d, though the sync of what is behind %d failed",
			p.Name, offset, p.failedAt)
	case p.policy.Fsync && offset > p.synced:
		j.Report(AckPolicy, "committed-unsynced", "%s: high watermark %d, synced up to %d",
			p.Name, offset, p.synced)
	case offset > p.written:
		j.Report(AckPolicy, "committed-unwritten", "%s: high watermark %d, written up to %d",
			p.Name, offset, p.written)
	}
	p.reported = offset
	p.highWatermark = max(p.highWatermark, offset)
	p.committed = max(p.committed, offset)
}

// LogStart says that the leader raised its log start offset.
func (j *Judge) LogStart(id PartitionID, offset int64) {
	p := j.partitions[id]
	if offset < p.logStart {
		j.Report(Range, "log-start-fell", "%s: from %d to %d", p.Name, p.logStart, offset)
	}
	if offset > p.highWatermark {
		j.Report(Range, "log-start-past-high-watermark", "%s: %d, high watermark %d",
			p.Name, offset, p.highWatermark)
	}
	p.logStart = max(p.logStart, offset)
}

// LogStartCheckpointed says that a log start offset is safely in a checkpoint.
func (j *Judge) LogStartCheckpointed(id PartitionID, offset int64) {
	p := j.partitions[id]
	p.checkpointed = max(p.checkpointed, offset)
}

// TopicGone says that a topic was deleted.
func (j *Judge) TopicGone(id TopicID) {
	for _, p := range j.ordered {
		if p.ID.Topic == id {
			p.deleted = true
		}
	}
}

// TopicMissing says that a node which had a topic is ready without it. That is the end
// of the topic if somebody asked for its deletion and was not refused: it may have
// happened while the node stopped or started. One request ends one topic.
func (j *Judge) TopicMissing(id TopicID, name string) {
	met := int64(0)
	for _, p := range j.ordered {
		if p.ID.Topic == id {
			met = max(met, p.met)
		}
	}
	for i := range j.ops {
		op := &j.ops[i]
		asked := op.Kind == OpDelete && op.Topic == name || op.Kind == OpDeleteID
		if !asked || op.TopicID != id && op.TopicID != (TopicID{}) {
			continue
		}
		if op.Outcome == Unknown || op.Outcome == Done && op.Return > met {
			op.TopicID = id
			j.TopicGone(id)
			return
		}
	}
	j.TopicGone(id) // to say so once is enough
	j.Report(RecoveryFidelity, "topic-missing", "%s: nobody asked for its deletion", name)
}

// dataAt returns the slot of a data record, or nil if the offset holds none.
func (p *Partition) dataAt(offset int64) *slot {
	if offset < 0 || offset >= int64(len(p.slots)) || p.slots[offset].flags&slotControl != 0 {
		return nil
	}
	return &p.slots[offset]
}

// superseded reports whether the cleaner may have taken a record away.
func (p *Partition) superseded(offset int64) bool {
	s := &p.slots[offset]
	if !p.policy.Compacted {
		return false
	}
	return s.key == 0 || s.flags&slotTombstone != 0 || p.keys[s.key] > offset
}
