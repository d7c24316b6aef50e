package checker

// Stopped says that the life of the partition's leader ended. Everything written
// must be there after the restart, and after a clean stop all that was appended;
// Destroyed says otherwise.
func (j *Judge) Stopped(id PartitionID, clean bool) {
	p := j.partitions[id]
	if p.required != noOffset {
		return // it had not come online since the last stop
	}
	p.required = p.written
	if clean {
		p.required = p.logEnd
	}
}

// Cause is what destroyed a record.
type Cause uint8

// The causes.
const (
	Power     Cause = iota // took what was volatile
	Rot                    // takes what is durable too, and may stay unnoticed
	RotInTail              // the same, where recovery after an unclean stop must notice it
)

// Destroyed says that a fault took away the record at offset and so all behind it.
func (j *Judge) Destroyed(id PartitionID, offset int64, cause Cause) {
	p := j.partitions[id]
	if p.riskFrom == noOffset || offset < p.riskFrom {
		p.riskFrom = offset
	}
	if cause == Power && offset >= p.doubt.from && offset < p.doubt.to {
		cause = Rot // it was taken for durable: recovery need not look there
	}
	p.rotten = p.rotten || cause != Power
	if cause == Rot && (!p.rots || offset < p.rotsFrom) {
		p.rots, p.rotsFrom = true, offset
	}
	if p.required != noOffset {
		p.required = min(p.required, offset)
	}
}

// Online says that the partition is served again, or for the first time, with a
// log from start to end. What the log held before must be there, but for what
// injected faults destroyed. To have been recovered makes nothing durable: Synced
// and Durable say what is.
func (j *Judge) Online(id PartitionID, start, end int64) {
	p := j.partitions[id]
	switch {
	case start > end:
		j.Report(Range, "log-start-past-end", "%s: from %d to %d", p.Name, start, end)
		return
	case end > p.logEnd:
		j.Report(RecoveryFidelity, "from-nowhere",
			"%s: log ends at %d, nothing was appended past %d",
			p.Name, end, p.logEnd)
		return
	case start < p.checkpointed && p.riskFrom == noOffset:
		j.Report(RecoveryFidelity, "log-start-fell", "%s: to %d, checkpointed was %d",
			p.Name, start, p.checkpointed)
	}
	j.lose(p, p.logStart, min(start, p.logEnd))
	j.lose(p, max(end, p.logStart), p.logEnd)
	if p.required != noOffset && end < p.required {
		j.Report(RecoveryFidelity, "written-lost", "%s: log ends at %d, intact on disk up to %d",
			p.Name, end, p.required)
	}
	j.truncate(p, start, end)
	if start < p.logStart { // raised since the last checkpoint
		p.startFellAt, p.earliest = j.tick(), nil
		p.startBefore = max(p.startBefore, p.logStart)
	}
	p.logStart, p.reported, p.failedAt = start, start, noOffset
	p.highWatermark = max(start, min(p.committed, end))
	p.required, p.riskFrom, p.rotten = noOffset, noOffset, false
	p.written, p.lifeStart = end, end
	p.synced = min(p.synced, end) // recovery may read what no sync has covered yet
}

// Inspected compares what is on disk after a recovery with what was appended: each
// batch must be there as it was, and nothing else. The cleaner may have taken
// batches and records of compacted partitions. Damaged says that what follows the
// batches is none.
func (j *Judge) Inspected(id PartitionID, batches []Batch, damaged error) {
	p := j.partitions[id]
	if damaged != nil && !p.rots {
		j.Report(RecoveryFidelity, "damage-kept", "%s: after %d batches: %v",
			p.Name, len(batches), damaged)
	}
	if damaged != nil || p.rots {
		return
	}
	if n := p.known(batches); n < len(batches) {
		b := &batches[n]
		j.Report(RecoveryFidelity, "other-batch", "%s: the batch at %d to %d was never there",
			p.Name, b.BaseOffset, b.EndOffset)
		return
	}
	if p.policy.Compacted {
		j.checkKept(p, batches)
	} else {
		j.checkWhole(p, batches)
	}
}

// Durable says that the leader's disk holds these batches, the first of the log, and
// would hold them without power too. Those that rot turned into others say nothing.
func (j *Judge) Durable(id PartitionID, batches []Batch) {
	p := j.partitions[id]
	if n := p.known(batches); n > 0 {
		p.synced = max(p.synced, batches[n-1].EndOffset)
	}
}

// known returns how many of the batches, up to the first that was not, were appended.
func (p *Partition) known(batches []Batch) int {
	at := 0
	for i := range batches {
		b := &batches[i]
		for at < len(p.batches) && p.batches[at].BaseOffset < b.BaseOffset {
			at++
		}
		if at == len(p.batches) || !p.sameBatch(&p.batches[at], b) {
			return i
		}
	}
	return len(batches)
}

func (p *Partition) sameBatch(a, b *Batch) bool {
	same := a.BaseOffset == b.BaseOffset && a.EndOffset == b.EndOffset
	return same && (p.policy.Compacted || a.Hash == b.Hash && a.LeaderEpoch == b.LeaderEpoch)
}

// checkWhole judges that what lies between log start and end is on disk without gap.
func (j *Judge) checkWhole(p *Partition, batches []Batch) {
	next := p.logStart
	for i := range batches {
		b := &batches[i]
		if b.BaseOffset > next {
			break
		}
		next = max(next, b.EndOffset)
	}
	if next < p.logEnd {
		j.Report(RecoveryFidelity, "hole", "%s: from %d to %d, but nothing is on disk at %d",
			p.Name, p.logStart, p.logEnd, next)
	}
}

// checkKept judges that what lies between log start and end, and that the cleaner may
// not take, is on disk.
func (j *Judge) checkKept(p *Partition, batches []Batch) {
	for offset, i := p.logStart, 0; offset < p.logEnd; offset++ {
		for i < len(batches) && batches[i].EndOffset <= offset {
			i++
		}
		kept := i < len(batches) && batches[i].BaseOffset <= offset && batches[i].RecordCount > 0
		if !kept && p.dataAt(offset) != nil && !p.superseded(offset) {
			j.Report(RecoveryFidelity, "hole", "%s: from %d to %d, but the last record of its "+
				"key at %d is not on disk", p.Name, p.logStart, p.logEnd, offset)
			return
		}
	}
}

// lose settles the account of the records in [from, to), which are gone.
func (j *Judge) lose(p *Partition, from, to int64) {
	for offset := from; offset < to; offset++ {
		s := p.dataAt(offset)
		if s == nil || p.superseded(offset) {
			continue
		}
		acked := s.flags&(slotAckedOne|slotAckedAll) != 0
		committed := offset < p.committed
		if !acked && !committed {
			continue
		}
		if !p.excused(offset, s) {
			kind := "committed-lost"
			if acked {
				kind = "acked-lost"
			}
			j.Report(AckDurable, kind, "%s: record %d (log was %d to %d, committed %d, synced %d, "+
				"written %d, destroyed from %d)", p.Name, offset, p.logStart, p.logEnd,
				p.committed, p.synced, p.written, p.riskFrom)
			return
		}
		if acked {
			j.excused.Acked++
		} else {
			j.excused.Committed++
		}
	}
}

// excused reports whether faults explain the loss of a record. A process crash
// explains none. Rot explains all behind it, and a failed sync what it was to make
// durable, once the power is lost. A power loss explains those that were volatile, but where a
// record counts only once it is synced, none that counted.
func (p *Partition) excused(offset int64, s *slot) bool {
	if p.riskFrom == noOffset || offset < p.riskFrom {
		return false
	}
	if p.rotten {
		return true
	}
	if offset >= p.doubt.from && offset < p.doubt.to {
		return true
	}
	counted := s.flags&slotAckedAll != 0 || offset < p.committed
	return offset >= p.synced && (!p.policy.Fsync || !counted)
}

// truncate forgets what the log lost. A log that lost all behind its log start begins
// anew there, which may be within a batch that is gone.
func (j *Judge) truncate(p *Partition, start, end int64) {
	if end >= p.logEnd {
		return
	}
	n := len(p.batches)
	for n > 0 && p.batches[n-1].BaseOffset >= end {
		n--
	}
	if n > 0 && p.batches[n-1].EndOffset > end {
		n--
		if b := &p.batches[n]; start < end {
			j.Report(RecoveryFidelity, "torn-batch",
				"%s: log ends at %d, within the batch %d to %d",
				p.Name, end, b.BaseOffset, b.EndOffset)
		}
	}
	p.batches = p.batches[:n]
	p.slots = p.slots[:min(int64(len(p.slots)), end)]
	j.recallProducers(p, start)
	p.logEnd = end
	p.doubt = span{min(p.doubt.from, end), min(p.doubt.to, end)}
	p.committed = min(p.committed, end)
	p.truncatedAt = j.tick()
	p.latest, p.earliest = nil, nil
}
