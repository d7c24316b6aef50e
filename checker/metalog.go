package checker

// metalog is the truth about the metadata log, the one log of which every node has a
// copy: what is committed of it, and what each node's copy holds.
type metalog struct {
	committed   []Batch
	copies      []*metaCopy
	origins     map[place]origin
	controllers map[int32]int32 // node by epoch
}

// metaCopy is one node's copy of the metadata log.
type metaCopy struct {
	node    int32
	batches []Batch
	end     int64
	synced  int64
	applied int64 // end of what its image is made of, in this life
}

func (j *Judge) metaCopy(node int32) *metaCopy {
	for _, c := range j.metalog.copies {
		if c.node == node {
			return c
		}
	}
	c := &metaCopy{node: node}
	j.metalog.copies = append(j.metalog.copies, c)
	return c
}

// MetadataEnd is the end of the committed metadata log.
func (j *Judge) MetadataEnd() int64 { return endOf(j.metalog.committed) }

// MetadataAppliedBy is the end of what a node's image is made of.
func (j *Judge) MetadataAppliedBy(node int32) int64 { return j.metaCopy(node).applied }

func endOf(batches []Batch) int64 {
	if len(batches) == 0 {
		return 0
	}
	return batches[len(batches)-1].EndOffset
}

// MetadataFound says what a node's copy of the metadata log holds as a life begins, and
// how many of the batches no power loss can take.
func (j *Judge) MetadataFound(node int32, batches []Batch, durable int) {
	c := j.metaCopy(node)
	c.batches = append(c.batches[:0:0], batches...)
	c.end, c.synced, c.applied = endOf(batches), endOf(batches[:durable]), 0
	for i := range batches {
		before := int32(epochUnknown)
		if i > 0 {
			before = batches[i-1].LeaderEpoch
		}
		j.matchMetadata(node, &batches[i], before)
	}
}

// MetadataTruncated says that a node's copy was cut: it now has what lies between the two
// offsets. One that is empty goes on from a snapshot of what was committed.
func (j *Judge) MetadataTruncated(node int32, start, end int64) {
	c := j.metaCopy(node)
	if start == end && end > j.MetadataEnd() {
		j.Report(MetadataLog, "snapshot-ahead", "node %d has a snapshot up to %d, committed is %d",
			node, end, j.MetadataEnd())
	}
	kept := 0
	for i := range c.batches {
		b := &c.batches[i]
		if b.BaseOffset >= start && b.EndOffset <= end {
			c.batches[kept] = *b
			kept++
			continue
		}
		committed := batchAt(j.metalog.committed, b.BaseOffset)
		if start != end && b.EndOffset > end && committed != nil && sameIdentity(committed, b) {
			j.Report(MetadataLog, "committed-truncated", "node %d cut the batch %d to %d of epoch %d",
				node, b.BaseOffset, b.EndOffset, b.LeaderEpoch)
		}
	}
	c.batches = c.batches[:kept]
	c.end, c.synced = end, min(c.synced, end)
}

// MetadataAppended says that a node's copy gets another batch. One that begins before
// the end takes the place of what was there.
func (j *Judge) MetadataAppended(node int32, b Batch) {
	c := j.metaCopy(node)
	n := len(c.batches)
	for n > 0 && c.batches[n-1].BaseOffset >= b.BaseOffset {
		n--
		gone := &c.batches[n]
		if kept := batchAt(j.metalog.committed, gone.BaseOffset); kept != nil &&
			sameIdentity(kept, gone) && !sameIdentity(kept, &b) {
			j.Report(MetadataLog, "committed-truncated", "node %d cut the batch %d to %d of epoch %d",
				node, gone.BaseOffset, gone.EndOffset, gone.LeaderEpoch)
		}
	}
	c.batches = c.batches[:n:n]
	if b.BaseOffset > c.end && b.BaseOffset > j.MetadataEnd() {
		j.Report(MetadataLog, "gap", "node %d has a batch at %d, its log ends at %d, committed is %d",
			node, b.BaseOffset, c.end, j.MetadataEnd())
	}
	before := int32(epochUnknown)
	if n > 0 && c.batches[n-1].EndOffset == b.BaseOffset {
		before = c.batches[n-1].LeaderEpoch
		if before > b.LeaderEpoch {
			j.Report(MetadataLog, "epoch-fell", "node %d has epoch %d after %d at %d",
				node, b.LeaderEpoch, before, b.BaseOffset)
		}
	}
	j.matchMetadata(node, &b, before)
	c.batches, c.end = append(c.batches, b), b.EndOffset
	c.synced = min(c.synced, b.BaseOffset)
}

func sameIdentity(a, b *Batch) bool {
	return a.BaseOffset == b.BaseOffset && a.EndOffset == b.EndOffset && a.Hash == b.Hash &&
		a.LeaderEpoch == b.LeaderEpoch
}

// matchMetadata judges log matching, as of partitions.
func (j *Judge) matchMetadata(node int32, b *Batch, previous int32) {
	at := place{b.BaseOffset, b.LeaderEpoch}
	from := origin{hash: b.Hash, previous: previous}
	known, old := j.metalog.origins[at]
	switch {
	case !old:
		j.metalog.origins[at] = from
	case known.hash != from.hash && j.limits.Voters <= 1:
		// Nobody else can have the batch that a quorum of one lost before it counted.
		j.metalog.origins[at] = from
	case known.hash != from.hash:
		j.Report(MetadataLog, "other-batch", "node %d has another batch at %d of epoch %d",
			node, b.BaseOffset, b.LeaderEpoch)
	case known.previous != previous && known.previous != epochUnknown && previous != epochUnknown:
		j.Report(MetadataLog, "other-history", "node %d has epoch %d, not %d, before %d of epoch %d",
			node, previous, known.previous, b.BaseOffset, b.LeaderEpoch)
	case known.previous == epochUnknown:
		j.metalog.origins[at] = from
	}
}

// MetadataSynced says that a node's copy is durable up to endOffset.
func (j *Judge) MetadataSynced(node int32, endOffset int64) {
	c := j.metaCopy(node)
	c.synced = max(c.synced, min(endOffset, c.end))
}

// MetadataApplied says that a node's image is made of everything below endOffset, so
// that is committed. It returns the batches that are so for the first time.
func (j *Judge) MetadataApplied(node int32, endOffset int64) []Batch {
	c := j.metaCopy(node)
	if endOffset < c.applied {
		j.Report(MetadataLog, "image-fell", "node %d: from %d to %d", node, c.applied, endOffset)
	}
	c.applied = endOffset
	return j.MetadataCommitted(node, endOffset)
}

// MetadataCommitted says that a node takes everything below endOffset for committed. It
// may know of more than its image is made of. It returns the batches that are committed
// for the first time.
func (j *Judge) MetadataCommitted(node int32, endOffset int64) []Batch {
	c := j.metaCopy(node)
	old := j.MetadataEnd()
	from := len(j.metalog.committed)
	for i := range c.batches {
		b := &c.batches[i]
		if b.EndOffset > endOffset {
			break
		}
		if kept := batchAt(j.metalog.committed, b.BaseOffset); kept != nil {
			if !sameIdentity(kept, b) {
				j.Report(MetadataLog, "committed-otherwise", "node %d applied the batch at %d of "+
					"epoch %d, others that of epoch %d", node, b.BaseOffset, b.LeaderEpoch,
					kept.LeaderEpoch)
				return nil
			}
			continue
		}
		j.metalog.committed = append(j.metalog.committed, *b)
	}
	if end := j.MetadataEnd(); endOffset > end {
		j.Report(MetadataLog, "from-nowhere", "node %d applied up to %d, its log ends at %d",
			node, endOffset, c.end)
	} else if end > old {
		j.checkMajority(node, end)
	}
	return j.metalog.committed[from:]
}

// checkMajority judges that a majority of the voters holds what is committed, durably.
func (j *Judge) checkMajority(node int32, end int64) {
	held := 0
	for _, c := range j.metalog.copies {
		if b := batchAt(c.batches, end-1); b != nil && c.synced >= end &&
			sameIdentity(b, &j.metalog.committed[len(j.metalog.committed)-1]) {
			held++
		}
	}
	if j.limits.Voters > 0 && held <= j.limits.Voters/2 {
		j.Report(MetadataLog, "committed-unheld", "node %d applied up to %d, which %d of %d voters "+
			"hold", node, end, held, j.limits.Voters)
	}
}

// ControllerStarted says that a node is the active controller of an epoch of the quorum.
func (j *Judge) ControllerStarted(node, epoch int32) {
	if other, known := j.metalog.controllers[epoch]; known && other != node {
		j.Report(MetadataLog, "two-controllers", "nodes %d and %d in epoch %d", other, node, epoch)
	}
	j.metalog.controllers[epoch] = node
}
