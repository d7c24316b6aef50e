package checker

// Answer is what a broker answers to one partition's part of a Produce request, at
// the moment when it does.
type Answer struct {
	Replica  ReplicaID // who answers
	Hash     uint64    // of the batch in the request
	Base     int64     // base offset in the answer
	Appended int64     // base offset at which the batch was appended meanwhile, or -1

	ProducerID int64 // of the batch
	Err        int16
	Acks       int16
	Doubled    bool // the batch came in several requests: it is not sure which appended
}

// Acknowledged judges an answer against what the leader holds at that moment.
func (j *Judge) Acknowledged(a *Answer) {
	p := j.partitions[a.Replica.PartitionID]
	if p == nil || p.deleted {
		return // the answer to a topic that went meanwhile says nothing
	}
	r := j.replica(a.Replica)
	if a.Err != 0 {
		if a.Appended >= 0 && !a.Doubled && promisesNoAppend(a.Err) {
			j.Report(AckPolicy, "refused-yet-appended", "%s: error %d, but the batch is at %d",
				p.Name, a.Err, a.Appended)
		}
		j.checkRefusal(r, a)
		return
	}
	if !r.leads {
		j.acknowledgedLate(r, a)
		return
	}
	b := j.placed(r, a)
	if b == nil {
		return
	}
	switch {
	case a.Acks == -1 && r.highWatermark < b.EndOffset:
		j.Report(AckPolicy, "acked-uncommitted", "%s: acks=all for %d to %d, high watermark %d",
			p.Name, b.BaseOffset, b.EndOffset, r.highWatermark)
	case a.Acks == 1 && r.written < b.EndOffset:
		j.Report(AckPolicy, "acked-unwritten", "%s: acks=1 for %d to %d, written up to %d",
			p.Name, b.BaseOffset, b.EndOffset, r.written)
	}
	if p.deposed(r) {
		return
	}
	flag := slotAckedAll
	if a.Acks != -1 {
		flag = slotAckedOne
		r.ackedOne = append(r.ackedOne, span{b.BaseOffset, b.EndOffset})
	}
	for o := b.BaseOffset; o < min(b.EndOffset, p.committed); o++ {
		p.slots[o].flags |= flag
	}
}

// acknowledgedLate judges the answer of a node that leads no more. The answer was ready
// while it led and waited for its turn; its log may have been cut since.
func (j *Judge) acknowledgedLate(r *Replica, a *Answer) {
	p := r.p
	if a.Acks != -1 || p.deposed(r) || a.Base < p.highestStart {
		return
	}
	b := batchAt(p.batches, a.Base)
	if (b == nil || b.BaseOffset != a.Base || b.EndOffset > p.committed) && p.truncatedAt == 0 {
		j.Report(AckPolicy, "acked-by-follower", "%s: node %d acknowledged %d, committed is %d",
			p.Name, r.Node, a.Base, p.committed)
		return
	}
	if b != nil {
		for o := b.BaseOffset; o < min(b.EndOffset, p.committed); o++ {
			p.slots[o].flags |= slotAckedAll
		}
	}
}

// remembered is how many batches of each producer a broker must recognize (KIP-98).
const remembered = 5

// checkRefusal judges that a batch refused as out of order is not one of those that
// the leader must recognize. After a restart it may have forgotten all but the last.
func (j *Judge) checkRefusal(r *Replica, a *Answer) {
	const outOfOrderSequenceNumber = 45
	if a.Err != outOfOrderSequenceNumber || a.Appended >= 0 {
		return
	}
	later := 0
	for i := len(r.batches) - 1; i >= 0 && r.batches[i].BaseOffset >= r.lifeStart; i-- {
		b := &r.batches[i]
		if b.Hash == a.Hash {
			if later < remembered {
				j.Report(ProducerSequence, "duplicate-refused",
					"%s: the batch at %d was sent again and refused, %d later ones of producer %d",
					r.p.Name, b.BaseOffset, later, b.ProducerID)
			}
			return
		}
		if b.ProducerID == a.ProducerID {
			later++
		}
	}
}

// placed finds the batch that an answer speaks of.
func (j *Judge) placed(r *Replica, a *Answer) *Batch {
	p := r.p
	if a.Appended >= 0 && a.Base != a.Appended && !a.Doubled {
		j.Report(AckPolicy, "wrong-offset", "%s: answered %d, appended at %d",
			p.Name, a.Base, a.Appended)
		return nil
	}
	b := batchAt(r.batches, a.Base)
	switch {
	case b == nil || b.BaseOffset != a.Base:
		if a.Base < r.logStart && b == nil {
			return nil // deleted since
		}
		j.Report(AckPolicy, "acked-absent", "%s: answered %d, where no batch begins",
			p.Name, a.Base)
		return nil
	case a.Appended < 0 && b.Hash != a.Hash && !p.policy.Rewritten:
		j.Report(AckPolicy, "acked-other", "%s: answered %d, which holds another batch",
			p.Name, a.Base)
		return nil
	}
	return b
}

// promisesNoAppend reports whether an error code says that this request appended
// nothing, now and for good.
func promisesNoAppend(code int16) bool {
	switch code {
	case 2, 10, 18, 19, 29, 32, 45, 47, 48, 53, 87:
		return true
	}
	return false
}
