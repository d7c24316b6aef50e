package checker

import "slices"

// Stopped says that the life of a copy's node ended. Everything written
// must be there after the restart, and after a clean stop all that was appended;
// Destroyed says otherwise.
func (j *Judge) Stopped(id ReplicaID, clean bool) {
	r := j.replica(id)
	r.leads = false
	if r.required != noOffset {
		return // it had not come online since the last stop
	}
	r.required, r.stopped = r.written, r.written
	if clean {
		r.required, r.stopped = r.logEnd, noOffset
	}
}

// Cause is what destroyed a record.
type Cause uint8

// The causes.
const (
	Power     Cause = iota // took what was volatile
	Rot                    // takes what is durable too, and may stay unnoticed
	RotInTail              // the same, where recovery after an unclean stop must notice it
	Wiped                  // the disk was replaced by an empty one
)

// Destroyed says that a fault took away a copy's record at offset and so all behind it.
func (j *Judge) Destroyed(id ReplicaID, offset int64, cause Cause) {
	r := j.replica(id)
	p := r.p
	if cause == Wiped {
		offset, r.checkpointed = 0, 0 // the next life knows nothing of where it began
	}
	if r.riskFrom == noOffset || offset < r.riskFrom {
		r.riskFrom = offset
	}
	if cause == Power && offset >= r.doubt.from && offset < r.doubt.to {
		cause = Rot // it was taken for durable: recovery need not look there
	}
	r.rotten = r.rotten || cause != Power
	if cause == Rot && (!p.rots || offset < p.rotsFrom) {
		p.rots, p.rotsFrom = true, offset
	}
	if r.required != noOffset {
		r.required = min(r.required, offset)
	}
	j.reckon(p)
}

// Online says that a copy is served again, or for the first time, with a
// log from start to end. What the log held before must be there, but for what
// injected faults destroyed. To have been recovered makes nothing durable: Synced
// and Durable say what is.
func (j *Judge) Online(id ReplicaID, start, end int64) {
	r := j.replica(id)
	p := r.p
	switch {
	case start > end:
		j.Report(Range, "log-start-past-end", "%s: from %d to %d", p.Name, start, end)
		return
	case end > r.logEnd:
		j.Report(RecoveryFidelity, "from-nowhere",
			"%s: log ends at %d, nothing was appended past %d",
			p.Name, end, r.logEnd)
		return
	case start < r.checkpointed && r.riskFrom == noOffset:
		j.Report(RecoveryFidelity, "log-start-fell", "%s: to %d, checkpointed was %d",
			p.Name, start, r.checkpointed)
	}
	j.lose(r, r.logStart, min(start, r.logEnd))
	j.lose(r, max(end, r.logStart), r.logEnd)
	if r.required != noOffset && end < r.required {
		j.Report(RecoveryFidelity, "written-lost", "%s: log ends at %d, intact on disk up to %d",
			p.Name, end, r.required)
	}
	j.cut(r, start, end)
	r.logStart, r.reported, r.failedAt = start, start, noOffset
	r.highWatermark = max(start, min(p.committed, end))
	r.required, r.stopped, r.riskFrom, r.rotten = noOffset, noOffset, noOffset, false
	r.written, r.lifeStart = end, end
	r.synced = min(r.synced, end) // recovery may read what no sync has covered yet
	j.reckon(p)
}

// Returned says what recovery finds on the disk of a copy, before Online. What a
// follower cut off may be back if the power failed before that was durable.
func (j *Judge) Returned(id ReplicaID, batches []Batch) {
	r := j.replica(id)
	back := -1
	for i := range batches {
		b := &batches[i]
		if !slices.ContainsFunc(r.batches, func(o Batch) bool { return r.p.sameBatch(b, &o) }) {
			if back < 0 {
				back = i
			}
			known := func(o Batch) bool { return r.p.sameBatch(b, &o) }
			if !slices.ContainsFunc(r.cutOff, known) {
				return // it is from nowhere
			}
		}
	}
	r.cutOff = nil
	if back < 0 {
		return
	}
	at := batches[back].BaseOffset
	j.lose(r, at, r.logEnd)
	r.logEnd = max(r.logEnd, at) // the end of what is left may be below
	j.cut(r, r.logStart, at)
	for i := range batches[back:] {
		b := batches[back+i]
		r.know(&b, j.limits.SequenceMax)
		r.batches = append(r.batches, b)
		r.logEnd = b.EndOffset
	}
	r.written = max(r.written, r.logEnd)
	if r.required != noOffset {
		r.required = min(r.required, at)
	}
}

// Removed says that a node deletes its copy, which it is to have no more.
func (j *Judge) Removed(id ReplicaID) {
	p := j.partitions[id.PartitionID]
	for i, r := range p.replicas {
		if r.Node == id.Node {
			p.departed = append(p.departed, holding{r.Node, r.held()})
			p.replicas = append(p.replicas[:i:i], p.replicas[i+1:]...)
			break
		}
	}
	if !p.deleted {
		j.reckon(p)
	}
}

// SetAside says that a node that started put a copy aside. It may if the metadata says
// that it is to have none, or said so since the node last knew of the partition.
func (j *Judge) SetAside(id ReplicaID) {
	p := j.partitions[id.PartitionID]
	r := p.replica(id.Node)
	gone := p.deleted || r == nil || len(p.states) == 0
	for i := len(p.states) - 1; i >= 0 && !gone && p.states[i].PartitionEpoch >= r.stateEpoch; i-- {
		gone = !slices.Contains(p.states[i].Replicas, id.Node)
	}
	if !gone {
		j.Report(ISRLegality, "replica-set-aside", "%s: node %d put its copy aside, the replicas "+
			"are %v", p.Name, id.Node, p.State().Replicas)
	}
	j.Removed(id)
}

// Inspected compares what is on disk after a recovery with what was appended: each
// batch must be there as it was, and nothing else. The cleaner may have taken
// batches and records of compacted partitions. Damaged says that what follows the
// batches is none.
func (j *Judge) Inspected(id ReplicaID, batches []Batch, damaged error) {
	r := j.replica(id)
	p := r.p
	if damaged != nil && !p.rots {
		j.Report(RecoveryFidelity, "damage-kept", "%s: after %d batches: %v",
			p.Name, len(batches), damaged)
	}
	if damaged != nil || p.rots {
		return
	}
	if n := r.known(batches); n < len(batches) {
		b := &batches[n]
		j.Report(RecoveryFidelity, "other-batch", "%s: the batch at %d to %d was never there",
			p.Name, b.BaseOffset, b.EndOffset)
		return
	}
	if p.policy.Compacted {
		j.checkKept(r, batches)
	} else {
		j.checkWhole(r, batches)
	}
}

// Durable says that a copy's disk holds these batches, the first of the log, and
// would hold them without power too. Those that rot turned into others say nothing.
func (j *Judge) Durable(id ReplicaID, batches []Batch) {
	r := j.replica(id)
	if n := r.known(batches); n > 0 {
		r.synced = max(r.synced, batches[n-1].EndOffset)
		r.heldOnce = max(r.heldOnce, r.synced)
	}
}

// known returns how many of the batches, up to the first that was not, were appended.
func (r *Replica) known(batches []Batch) int {
	at := 0
	for i := range batches {
		b := &batches[i]
		for at < len(r.batches) && r.batches[at].BaseOffset < b.BaseOffset {
			at++
		}
		if at == len(r.batches) || !r.p.sameBatch(&r.batches[at], b) {
			return i
		}
	}
	return len(batches)
}

func (p *Partition) sameBatch(a, b *Batch) bool {
	same := a.BaseOffset == b.BaseOffset && a.EndOffset == b.EndOffset &&
		a.LeaderEpoch == b.LeaderEpoch
	return same && (p.policy.Compacted || a.Hash == b.Hash)
}

// checkWhole judges that what lies between log start and end is on disk without gap.
func (j *Judge) checkWhole(r *Replica, batches []Batch) {
	next := r.logStart
	for i := range batches {
		b := &batches[i]
		if b.BaseOffset > next {
			break
		}
		next = max(next, b.EndOffset)
	}
	if next < r.logEnd {
		j.Report(RecoveryFidelity, "hole", "%s: from %d to %d, but nothing is on disk at %d",
			r.p.Name, r.logStart, r.logEnd, next)
	}
}

// checkKept judges that what lies between log start and end, and that the cleaner may
// not take, is on disk.
func (j *Judge) checkKept(r *Replica, batches []Batch) {
	p := r.p
	for offset, i := r.logStart, 0; offset < r.logEnd; offset++ {
		for i < len(batches) && batches[i].EndOffset <= offset {
			i++
		}
		kept := i < len(batches) && batches[i].BaseOffset <= offset && batches[i].RecordCount > 0
		if kept || batchAt(r.batches, offset) == nil {
			continue
		}
		if offset >= p.committed || p.dataAt(offset) != nil && !p.superseded(offset) {
			j.Report(RecoveryFidelity, "hole", "%s: from %d to %d, but the last record of its "+
				"key at %d is not on disk", p.Name, r.logStart, r.logEnd, offset)
			return
		}
	}
}

// lose settles a copy's account of the records in [from, to), which it lost when its
// node restarted.
func (j *Judge) lose(r *Replica, from, to int64) {
	p := r.p
	r.follow()
	for offset := from; offset < to; offset++ {
		committed := offset < r.matched
		if committed && (p.dataAt(offset) == nil || p.superseded(offset)) {
			continue
		}
		explained := r.excused(offset)
		if explained && (r.lackFrom == noOffset || offset < r.lackFrom) {
			r.lackFrom = offset
		}
		acked := r.acked(offset)
		if !committed && !acked {
			continue
		}
		if explained {
			if !committed {
				j.excused.Acked++
			}
			continue
		}
		acked = acked || p.slots[offset].flags&(slotAckedOne|slotAckedAll) != 0
		j.lost(r, offset, acked)
		return
	}
}

// lost reports a record that a copy lost without excuse.
func (j *Judge) lost(r *Replica, offset int64, acked bool) {
	p := r.p
	kind := "committed-lost"
	if acked {
		kind = "acked-lost"
	}
	checker := AckDurable
	if p.elsewhere(r, offset) {
		checker = RecoveryFidelity
	}
	p.broken = true
	j.Report(checker, kind, "%s: record %d on node %d (log was %d to %d, committed %d, "+
		"synced %d, written %d, destroyed from %d)", p.Name, offset, r.Node, r.logStart, r.logEnd,
		p.committed, r.synced, r.written, r.riskFrom)
}
