package checker

// producer is the last that one producer appended to one partition.
type producer struct {
	next  int32 // sequence of the next record
	epoch int16
}

// checkSequence judges that the sequences of one producer and epoch follow one
// another without gap or repetition along the log. A producer that the partition
// does not know may begin anywhere, one with a new epoch begins at 0.
func (j *Judge) checkSequence(p *Partition, b *Batch) {
	if b.ProducerID < 0 || b.Control() {
		return
	}
	last, known := p.producers[b.ProducerID]
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
	case p.baseOf(b.Hash) != noOffset:
		j.Report(ProducerSequence, "duplicate", "%s: producer %d epoch %d sequence %d at %d again",
			p.Name, b.ProducerID, b.ProducerEpoch, b.BaseSequence, b.BaseOffset)
	default:
		j.Report(ProducerSequence, "gap", "%s: producer %d epoch %d sequence %d at %d, due was %d",
			p.Name, b.ProducerID, b.ProducerEpoch, b.BaseSequence, b.BaseOffset, last.next)
	}
	p.producers[b.ProducerID] = j.after(b)
}

func (j *Judge) after(b *Batch) producer {
	next := int64(b.BaseSequence) + int64(b.RecordCount)
	if next > int64(j.limits.SequenceMax) {
		next -= int64(j.limits.SequenceMax) + 1
	}
	return producer{next: int32(next), epoch: b.ProducerEpoch}
}

// recallProducers rebuilds what a partition knows of producers after a loss. It may
// have forgotten those whose last batch is below the log start. The cleaner may have
// taken a producer's batch for the sake of a later one that is lost now, so a
// compacted partition may know nothing.
func (j *Judge) recallProducers(p *Partition, start int64) {
	clear(p.producers)
	if p.policy.Compacted {
		return
	}
	for i := range p.batches {
		b := &p.batches[i]
		if b.ProducerID >= 0 && !b.Control() && b.EndOffset > start {
			p.producers[b.ProducerID] = j.after(b)
		}
	}
}
