package checker

// noOffset stands for no offset at all.
const noOffset = -1

// Partition is the truth about one partition, as far as facts told it: what was
// committed and not lost with an excuse, what each record of it holds, what was promised
// about it, and every copy of it. It lives outside of the brokers and survives them.
type Partition struct {
	ID      PartitionID
	Name    string // topic-partition, for messages
	policy  Policy
	batches []Batch // those with a committed record, oldest first
	slots   []slot  // of committed records, by offset
	keys    map[uint64]int64
	cursors map[int]int64 // next offset of each consumer

	replicas []*Replica // in order of appearance
	departed []holding  // of copies that are deleted, in that order
	leading  *Replica   // who led last, as far as known; nil: nobody yet
	origins  map[place]origin
	writers  map[int32]int32 // who appended first in a leader epoch
	states   []PartitionState

	logStart     int64 // as the leader last told
	highestStart int64 // that any leader told
	committed    int64 // highest high watermark ever, but for excused losses
	uncleanEpoch int32 // leaders of lower epochs were deposed uncleanly; 0: none

	startFellAt int64 // judge's clock when the log start last fell
	startBefore int64 // the highest log start that it fell from
	truncatedAt int64 // judge's clock at the last excused loss
	ledAt       int64 // judge's clock when another node began to lead
	latest      []answer
	earliest    []answer
	deleted     bool
	anew        bool  // a copy began behind the log's beginning, and knows no producer before
	ceded       bool  // who led last follows now
	unsettled   bool  // an unclean election took place, and nobody led since
	broken      bool  // a loss was reported that the next leader will show again
	rots        bool  // bit rot was planted at some time
	rotsFrom    int64 // the lowest offset that it took, if so
	named       int   // how many partitions have had this name
	met         int64 // judge's clock when it was met
}

// span is the offsets in [from, to).
type span struct{ from, to int64 }

// slot is one committed record.
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
	slotForgiven // at some instant faults had taken it from all who may be elected
)

// LogStart is the log start offset as the leader last told it.
func (p *Partition) LogStart() int64 { return p.logStart }

// HighWatermark is the high watermark as the leader last told it.
func (p *Partition) HighWatermark() int64 {
	if p.leading == nil {
		return 0
	}
	return p.leading.highWatermark
}

// LogEnd is the log end offset as the leader last told it.
func (p *Partition) LogEnd() int64 {
	if p.leading == nil {
		return 0
	}
	return p.leading.logEnd
}

// Committed is the highest offset below which everything was committed, and was not
// lost since with an excuse.
func (p *Partition) Committed() int64 { return p.committed }

// Deleted reports whether the topic is gone.
func (p *Partition) Deleted() bool { return p.deleted }

// Rots reports whether bit rot struck one of the copies, which nobody need notice.
func (p *Partition) Rots() bool { return p.rots }

// Batches returns the batches of the leader's log, oldest first; those below the log
// start are still there.
func (p *Partition) Batches() []Batch {
	if p.leading == nil {
		return nil
	}
	return p.leading.batches
}

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

// HighWatermark says that a leader moved its high watermark: what is below it, it says,
// all in-sync replicas hold.
func (j *Judge) HighWatermark(id ReplicaID, offset, endOffset int64) {
	r := j.replica(id)
	p := r.p
	switch {
	case !r.leads:
		j.Report(Range, "high-watermark-of-follower", "%s: node %d moved it to %d",
			p.Name, r.Node, offset)
	case offset < r.reported:
		j.Report(Range, "high-watermark-fell", "%s: from %d to %d", p.Name, r.reported, offset)
	case offset > r.logEnd:
		j.Report(Range, "high-watermark-past-end", "%s: %d, log end offset %d",
			p.Name, offset, r.logEnd)
	case endOffset != r.logEnd:
		j.Report(Range, "wrong-end", "%s: leader says its log ends at %d, it appended up to %d",
			p.Name, endOffset, r.logEnd)
	case p.policy.Fsync && r.failedAt != noOffset && offset > r.failedAt:
		j.Report(AckPolicy, "committed-after-failed-sync",
			"%s: high watermark %d, though the sync of what is behind %d failed",
			p.Name, offset, r.failedAt)
	case p.policy.Fsync && offset > r.synced:
		j.Report(AckPolicy, "committed-unsynced", "%s: high watermark %d, synced up to %d",
			p.Name, offset, r.synced)
	case offset > r.written:
		j.Report(AckPolicy, "committed-unwritten", "%s: high watermark %d, written up to %d",
			p.Name, offset, r.written)
	}
	r.reported = offset
	r.highWatermark = max(r.highWatermark, offset)
	j.commit(r, min(offset, r.logEnd))
}

// commit makes what a leader holds below an offset the truth.
func (j *Judge) commit(r *Replica, offset int64) {
	p := r.p
	if p.deposed(r) {
		return // others may take the place of what it commits now
	}
	r.follow()
	if r.matched < min(offset, p.committed) {
		j.Report(LeaderCompleteness, "committed-otherwise",
			"%s: leader %d of epoch %d commits up to %d, and differs at %d from what was "+
				"committed up to %d", p.Name, r.Node, r.leaderEpoch, offset, r.matched, p.committed)
		return
	}
	if offset <= p.committed {
		return
	}
	j.extend(r, offset)
	j.checkHeld(r, offset)
}

// extend makes what a copy holds up to an offset the truth, behind what is the truth.
func (j *Judge) extend(r *Replica, offset int64) {
	p := r.p
	for i := range r.batches {
		b := &r.batches[i]
		if b.EndOffset <= p.committed || b.BaseOffset >= offset {
			continue
		}
		if n := len(p.batches); n == 0 || p.batches[n-1].BaseOffset != b.BaseOffset {
			p.batches = append(p.batches, *b)
		}
		j.fill(r, b, offset)
	}
	p.committed = offset
	r.follow()
}

// fill notes what the records of a batch hold that are committed by now.
func (j *Judge) fill(r *Replica, b *Batch, end int64) {
	p := r.p
	end = min(end, b.EndOffset)
	for int64(len(p.slots)) < end {
		p.slots = append(p.slots, slot{})
	}
	if b.Control() {
		for o := max(b.BaseOffset, p.committed); o < end; o++ {
			p.slots[o] = slot{flags: slotControl}
		}
		return
	}
	a := j.attempts[b.Hash]
	for o := max(b.BaseOffset, p.committed); o < end; o++ {
		s := slot{}
		if i := o - b.BaseOffset; a != nil && i < int64(len(a.records)) {
			record := &a.records[i]
			s.hash, s.key = record.Hash, record.Key
			if record.Tombstone {
				s.flags = slotTombstone
			}
		}
		if r.acked(o) {
			s.flags |= slotAckedOne
		}
		p.slots[o] = s
		if s.key != 0 {
			p.keys[s.key] = max(p.keys[s.key], o)
		}
	}
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

// dataAt returns the slot of a committed data record, or nil if the offset holds none.
func (p *Partition) dataAt(offset int64) *slot {
	if offset < 0 || offset >= int64(len(p.slots)) || p.slots[offset].flags&slotControl != 0 {
		return nil
	}
	return &p.slots[offset]
}

// superseded reports whether the cleaner may have taken a committed record away.
func (p *Partition) superseded(offset int64) bool {
	s := &p.slots[offset]
	if !p.policy.Compacted {
		return false
	}
	return s.key == 0 || s.flags&slotTombstone != 0 || p.keys[s.key] > offset
}

// promised reports whether a record must be there: it is committed, and neither deleted
// nor superseded.
func (p *Partition) promised(offset int64) bool {
	return offset >= p.highestStart && offset < p.committed &&
		p.dataAt(offset) != nil && !p.superseded(offset)
}

// batchAt returns the batch that holds an offset, or nil.
func batchAt(batches []Batch, offset int64) *Batch {
	lo, hi := 0, len(batches)
	for lo < hi {
		mid := (lo + hi) / 2
		if batches[mid].EndOffset <= offset {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(batches) && batches[lo].BaseOffset <= offset {
		return &batches[lo]
	}
	return nil
}
