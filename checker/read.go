package checker

// Read is one record that a consumer was given.
type Read struct {
	Offset int64
	Hash   uint64 // RecordHash
	Epoch  int32  // leader epoch of its batch
}

// Fetched is one partition's part of a Fetch response, as a read_uncommitted
// consumer takes it in. Records below FetchOffset, which it must skip, are left out.
type Fetched struct {
	Records       []Read
	Partition     PartitionID
	FetchOffset   int64
	End           int64 // where the consumer goes on, if behind the last record
	HighWatermark int64
	LogStart      int64
	Called        int64 // Judge.Now when the request was sent
	Consumer      int
	Node          int32 // that answered
}

// Positioned says that a consumer chose its next offset itself.
func (j *Judge) Positioned(consumer int, id PartitionID, offset int64) {
	if p := j.partitions[id]; p != nil {
		p.cursors[consumer] = offset
	}
}

// Fetched judges what a consumer was given.
func (j *Judge) Fetched(f *Fetched) {
	p := j.partitions[f.Partition]
	if p == nil {
		j.Report(ReadPrefix, "unknown-partition", "consumer %d was answered for a partition "+
			"that never was", f.Consumer)
		return
	}
	if p.deleted {
		return
	}
	if p.deposed(p.replica(f.Node)) {
		delete(p.cursors, f.Consumer)
		return
	}
	j.checkMarks(p, f)
	stale := f.Called <= p.truncatedAt // of the log before an excused loss
	if next, known := p.cursors[f.Consumer]; known && next != f.FetchOffset && !stale {
		j.Report(ConsumerContiguity, "strayed", "%s: consumer %d at %d fetched %d",
			p.Name, f.Consumer, next, f.FetchOffset)
	}
	next := f.FetchOffset
	for _, r := range f.Records {
		if r.Offset < next {
			j.Report(ConsumerContiguity, "repeated", "%s: consumer %d due %d was given %d",
				p.Name, f.Consumer, next, r.Offset)
			return
		}
		if r.Offset >= f.HighWatermark {
			j.Report(ReadPrefix, "uncommitted", "%s: consumer %d was given %d, high watermark %d",
				p.Name, f.Consumer, r.Offset, f.HighWatermark)
			return
		}
		if !stale && (!j.checkSkipped(p, f.Consumer, next, r.Offset) || !j.checkContent(p, f, r)) {
			return
		}
		next = r.Offset + 1
	}
	if f.End > next && !stale && !j.checkSkipped(p, f.Consumer, next, f.End) {
		return
	}
	p.cursors[f.Consumer] = max(next, f.End)
}

func (j *Judge) checkMarks(p *Partition, f *Fetched) {
	switch {
	case f.HighWatermark < 0: // unknown to the broker
	case f.LogStart > f.HighWatermark:
		j.Report(Range, "log-start-past-high-watermark", "%s: answered %d, high watermark %d",
			p.Name, f.LogStart, f.HighWatermark)
	case f.HighWatermark > p.committed && f.Called > p.truncatedAt:
		j.Report(ReadPrefix, "high-watermark-from-nowhere", "%s: answered %d, committed is %d",
			p.Name, f.HighWatermark, p.committed)
	}
}

// checkSkipped judges that no record of [from, to) should have been delivered.
func (j *Judge) checkSkipped(p *Partition, consumer int, from, to int64) bool {
	for o := max(from, p.highestStart); o < to && !p.rots; o++ {
		if p.dataAt(o) == nil || p.superseded(o) {
			continue
		}
		kind := "skipped"
		if p.policy.Compacted {
			kind = "last-value-missing"
		}
		j.Report(ConsumerContiguity, kind,
			"%s: consumer %d due %d was given %d, record %d is there",
			p.Name, consumer, from, to, o)
		return false
	}
	return true
}

// checkContent judges that a record is what it was whenever it was seen before.
func (j *Judge) checkContent(p *Partition, f *Fetched, r Read) bool {
	s := p.dataAt(r.Offset)
	switch {
	case s == nil:
		j.Report(ReadPrefix, "phantom", "%s: consumer %d was given %d, where no record is",
			p.Name, f.Consumer, r.Offset)
		return false
	case s.hash == 0:
		s.hash = r.Hash
	case s.hash != r.Hash:
		j.Report(ReadPrefix, "changed", "%s: consumer %d was given another record at %d",
			p.Name, f.Consumer, r.Offset)
		return false
	}
	return true
}

// CaughtUp reports whether a consumer that stands at position was given all there is
// up to the high watermark of the partition: what lies between is gone by rule.
func (j *Judge) CaughtUp(id PartitionID, position int64) bool {
	p := j.partitions[id]
	for o := max(position, p.logStart); o < p.HighWatermark() && !p.rots; o++ {
		if p.dataAt(o) != nil && !p.superseded(o) {
			return false
		}
	}
	return true
}

// OutOfRange judges that a consumer was told OFFSET_OUT_OF_RANGE rightly. What was
// committed when it asked, and nobody deleted, is never out of the leader's range. One
// who follows may not have it yet.
func (j *Judge) OutOfRange(consumer int, id ReplicaID, offset, committed, called int64) {
	p := j.partitions[id.PartitionID]
	if p == nil || p.deleted || called <= max(p.truncatedAt, p.startFellAt) || p.named > 1 ||
		!p.ledBy(id.Node, called) {
		return
	}
	if offset >= p.highestStart && offset <= committed {
		j.Report(ConsumerContiguity, "out-of-range", "%s: consumer %d may not read %d, "+
			"log start offset %d, committed %d", p.Name, consumer, offset, p.logStart, committed)
	}
}

// Truncation is a consumer's being told that the log ends before its position.
type Truncation struct {
	Replica  ReplicaID // who said so
	Position int64
	Offset   int64 // where the consumer goes on
	Called   int64 // Judge.Now when the request was sent
	Consumer int
}

// ToldTruncated judges that a consumer was taken back rightly (KIP-320): what it has
// read was committed, and is not lost without excuse.
func (j *Judge) ToldTruncated(t *Truncation) {
	p := j.partitions[t.Replica.PartitionID]
	if p == nil || p.deleted || p.rots || p.truncatedAt > 0 || p.uncleanEpoch > 0 {
		return
	}
	for o := t.Offset; o < min(t.Position, p.committed); o++ {
		if p.promised(o) {
			j.Report(ConsumerContiguity, "taken-back", "%s: node %d took consumer %d back from %d "+
				"to %d, committed is %d", p.Name, t.Replica.Node, t.Consumer, t.Position, t.Offset,
				p.committed)
			return
		}
	}
}

// Witnessed judges at the end all that a consumer has read and not taken back: records
// that are lost with an excuse it was told of (KIP-320).
func (j *Judge) Witnessed(consumer int, id PartitionID, seen []Read) {
	p := j.partitions[id]
	if p == nil || p.deleted || p.rots || p.named > 1 {
		return
	}
	for _, r := range seen {
		if r.Offset < p.highestStart {
			continue
		}
		s := p.dataAt(r.Offset)
		if s == nil && r.Offset < p.committed && p.policy.Compacted {
			continue
		}
		if s == nil || s.hash != 0 && s.hash != r.Hash {
			j.Report(ConsumerContiguity, "loss-untold", "%s: consumer %d still has a record at %d "+
				"that is lost, committed is %d", p.Name, consumer, r.Offset, p.committed)
			return
		}
	}
}

// ledBy reports whether a node led all the time since a question was called.
func (p *Partition) ledBy(node int32, called int64) bool {
	return p.leading != nil && p.leading.Node == node && called > p.ledAt && !p.ceded
}

// Corrupt says that a consumer was sent a batch that does not match its CRC.
func (j *Judge) Corrupt(consumer int, id PartitionID, offset int64, err error) {
	p := j.partitions[id]
	if p == nil || p.deleted || p.rots {
		return
	}
	j.Report(ReadPrefix, "corrupt", "%s: consumer %d was sent %v after %d",
		p.Name, consumer, err, offset)
}
