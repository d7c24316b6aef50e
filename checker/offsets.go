package checker

// The timestamps of ListOffsets that mean something else than a time.
const (
	ListLatest   int64 = -1
	ListEarliest int64 = -2
	ListMax      int64 = -3 // KIP-734
)

// Listed is one partition's part of a ListOffsets response without error.
type Listed struct {
	Partition PartitionID
	Target    int64 // timestamp asked for
	Offset    int64
	Timestamp int64
	Called    int64 // Judge.Now when the request was sent
	Client    int
	Node      int32 // that answered
}

// answer is an offset that a client was told, and when.
type answer struct {
	at     int64
	offset int64
}

// answersMax bounds what is kept of past answers. It is more than there are
// requests on their way at any time.
const answersMax = 64

// Listed judges an answer to ListOffsets. In one life of a partition and across
// restarts the marks never go back: whoever asks after an answer came is told at
// least as much (KIP-207).
//
// One who leads no more may not know it yet, and tells of the past. Listed reports
// whether the answer is the leader's.
func (j *Judge) Listed(l *Listed) bool {
	p := j.partitions[l.Partition]
	if p == nil || p.deleted || l.Called <= p.truncatedAt || p.named > 1 {
		return true // clients ask by name, and may be told of a later topic
	}
	if !p.ledBy(l.Node, l.Called) {
		return false
	}
	switch l.Target {
	case ListLatest:
		if l.Offset > p.committed {
			j.Report(ListOffsetsMonotone, "latest-uncommitted", "%s: latest %d, committed is %d",
				p.Name, l.Offset, p.committed)
		}
		j.checkMonotone(p, "latest-fell", p.latest, l)
		p.latest = j.note(p.latest, l.Offset)
	case ListEarliest:
		if l.Called <= p.startFellAt {
			return true
		}
		if l.Offset > p.logStart {
			j.Report(ListOffsetsMonotone, "earliest-ahead", "%s: earliest %d, log start offset %d",
				p.Name, l.Offset, p.logStart)
		}
		j.checkMonotone(p, "earliest-fell", p.earliest, l)
		p.earliest = j.note(p.earliest, l.Offset)
	default:
		j.checkTime(p, l)
	}
	return true
}

func (j *Judge) checkMonotone(p *Partition, kind string, past []answer, l *Listed) {
	for _, a := range past {
		if a.at < l.Called && a.offset > l.Offset {
			j.Report(ListOffsetsMonotone, kind, "%s: client %d was told %d after %d",
				p.Name, l.Client, l.Offset, a.offset)
			return
		}
	}
}

// note keeps an answer, in place of all that it makes superfluous.
func (j *Judge) note(past []answer, offset int64) []answer {
	now := j.tick()
	if n := len(past); n > 0 && past[n-1].offset >= offset {
		return past
	}
	if len(past) == answersMax {
		copy(past, past[1:])
		past = past[:answersMax-1]
	}
	return append(past, answer{at: now, offset: offset})
}

// checkTime judges a look-up by time: the answer is not too early, and no whole
// batch before it reaches the time. An answer may be of a life whose raise of the log
// start a restart forgot meanwhile; and what rot took is not found.
func (j *Judge) checkTime(p *Partition, l *Listed) {
	if l.Target < 0 {
		return
	}
	if l.Offset < 0 {
		l.Offset = noOffset
	} else if l.Timestamp < l.Target {
		j.Report(ListOffsetsMonotone, "time-before-target",
			"%s: asked for %d, told %d at offset %d",
			p.Name, l.Target, l.Timestamp, l.Offset)
	} else if l.Offset >= p.committed {
		j.Report(ListOffsetsMonotone, "time-uncommitted", "%s: told %d, committed is %d",
			p.Name, l.Offset, p.committed)
	}
	if p.policy.Compacted || l.Offset == noOffset {
		return
	}
	start := p.logStart
	if l.Called <= p.startFellAt {
		start = max(start, p.startBefore)
	}
	for i := range p.batches {
		b := &p.batches[i]
		if b.EndOffset > l.Offset || p.rots && b.EndOffset > p.rotsFrom {
			return
		}
		if b.BaseOffset >= start && b.MaxTimestamp >= l.Target {
			j.Report(ListOffsetsMonotone, "time-not-first", "%s: asked for %d, told offset %d, "+
				"batch at %d reaches %d", p.Name, l.Target, l.Offset, b.BaseOffset, b.MaxTimestamp)
			return
		}
	}
}
