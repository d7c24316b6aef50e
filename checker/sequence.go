package checker

// producer is the last that one producer appended to one log.
type producer struct {
	next  int32 // sequence of the next record
	epoch int16
}

// checkSequence judges that the sequences of one producer and epoch follow one
// another without gap or repetition along the log. A producer that the log does not
// know may begin anywhere, one with a new epoch begins at 0.
func (j *Judge) checkSequence(r *Replica, b *Batch) {
	if b.ProducerID < 0 || b.Control() {
		return
	}
	p := r.p
	last, known := r.producers[b.ProducerID]
	switch {
	case !known:
	case b.ProducerEpoch < last.epoch:
		j.Report(ProducerSequence, "zombie", "%s: producer %d epoch %d at %d after epoch %d",
			p.Name, b.ProducerID, b.ProducerEpoch, b.BaseOffset, last.epoch)
	case b.ProducerEpoch > last.epoch:
		if b.BaseSequence != 0 {
			j.Report(ProducerSequence, "gap", "%s: producer %d epoch %d begins with %d at %d",
				p.Name, b.ProducerID, b.ProducerEpoch, b.BaseSequence, b.BaseOffset)
		}
	case b.BaseSequence == last.next:
	case baseOf(r.batches, b.Hash) != noOffset:
		j.Report(ProducerSequence, "duplicate", "%s: producer %d epoch %d sequence %d at %d again",
			p.Name, b.ProducerID, b.ProducerEpoch, b.BaseSequence, b.BaseOffset)
	default:
		j.Report(ProducerSequence, "gap", "%s: producer %d epoch %d sequence %d at %d, due was %d",
			p.Name, b.ProducerID, b.ProducerEpoch, b.BaseSequence, b.BaseOffset, last.next)
	}
}

// know remembers the last batch of a producer.
func (r *Replica) know(b *Batch, sequenceMax int32) {
	if b.ProducerID < 0 || b.Control() {
		return
	}
	next := int64(b.BaseSequence) + int64(b.RecordCount)
	if next > int64(sequenceMax) {
		next -= int64(sequenceMax) + 1
	}
	r.producers[b.ProducerID] = producer{next: int32(next), epoch: b.ProducerEpoch}
}

// recallProducers rebuilds what a log knows of producers after a loss. It may
// have forgotten those whose last batch is below the log start. The cleaner may have
// taken a producer's batch for the sake of a later one that is lost now, so a
// compacted log may know nothing.
func (r *Replica) recallProducers(start int64, sequenceMax int32) {
	clear(r.producers)
	if r.p.policy.Compacted {
		return
	}
	for i := range r.batches {
		if b := &r.batches[i]; b.EndOffset > start {
			r.know(b, sequenceMax)
		}
	}
}
