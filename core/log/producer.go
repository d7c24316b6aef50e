package log

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/mutant"
)

// noOffset says that there is none.
const noOffset = -1

// producerBatchesKept is how many batches of a producer a retry is compared with.
// A client has at most five requests in flight (KIP-98).
const producerBatchesKept = 5

// producers is what a log knows of the idempotent and transactional producers that
// wrote to it (KIP-98): their last batches, to notice retries and gaps, and their
// open transactions, to know what is stable.
//
// Entries outlive the deletion of their records (KIP-360): only time ends them.
type producers struct {
	set  *Settings
	byID map[int64]*producerEntry

	// ongoing are the open transactions and unreplicated the ended ones whose
	// marker is not below the high watermark yet, each by first offset.
	ongoing      []openTxn
	unreplicated []openTxn
}

// producerEntry is what a log knows of one producer.
type producerEntry struct {
	batches               [producerBatchesKept]producerBatch // a ring
	lastTimestamp         int64
	currentTxnFirstOffset int64
	coordinatorEpoch      int32
	epoch                 int16
	oldest, count         uint8 // of the ring
}

// producerBatch is the place of one batch. Its first sequence and first offset
// follow from the last ones.
type producerBatch struct {
	lastOffset   int64
	timestamp    int64 // largest of the batch
	lastSequence int32
	offsetDelta  int32
}

// openTxn is a transaction that read_committed consumers must not read beyond.
type openTxn struct {
	firstOffset int64
	lastOffset  int64 // of its marker; noOffset while it is ongoing
	producerID  int64
}

func newProducers(set *Settings) *producers {
	return &producers{set: set, byID: map[int64]*producerEntry{}}
}

func (b *producerBatch) baseOffset() int64 { return b.lastOffset - int64(b.offsetDelta) }
func (b *producerBatch) endOffset() int64  { return b.lastOffset + 1 }

// batch returns the i-th oldest batch kept.
func (e *producerEntry) batch(i uint8) *producerBatch {
	return &e.batches[(e.oldest+i)%producerBatchesKept]
}

// last returns the newest batch kept, or nil.
func (e *producerEntry) last() *producerBatch {
	if e.count == 0 {
		return nil
	}
	return e.batch(e.count - 1)
}

func (e *producerEntry) add(b producerBatch) {
	if e.count == producerBatchesKept {
		e.oldest, e.count = (e.oldest+1)%producerBatchesKept, e.count-1
	}
	e.count++
	*e.last() = b
}

// setEpoch begins a new epoch, to which no batch belongs yet.
func (e *producerEntry) setEpoch(epoch int16) {
	if e.epoch != epoch {
		e.epoch, e.oldest, e.count = epoch, 0, 0
	}
}

// sequenceBefore returns the sequence n records before s.
func sequenceBefore(s, n, max int32) int32 {
	if s < n {
		return max - (n - s) + 1
	}
	return s - n
}

// check says whether a client's data batch may be appended. If it is a retry of one
// of the producer's last batches, check returns that batch's place, and nothing is
// to be written. Otherwise it returns the error and its reason, or None.
func (p *producers) check(h *batch.Header) (*producerBatch, errcode.Code, string) {
	e := p.byID[h.ProducerID]
	if !h.HasProducer() || e == nil {
		// Without state any sequence is accepted: it expired, or its records were
		// deleted before this replica saw them (KIP-360).
		return nil, errcode.None, ""
	}
	if b := p.duplicateOf(e, h); b != nil {
		return b, errcode.None, ""
	}
	if h.ProducerEpoch < e.epoch {
		return nil, errcode.InvalidProducerEpoch, fmt.Sprintf(
			"producer %d has epoch %d, and epoch %d is over",
			h.ProducerID, e.epoch, h.ProducerEpoch)
	}
	if code, why := p.checkSequence(e, h); code != errcode.None {
		return nil, code, why
	}
	if e.currentTxnFirstOffset != noOffset && !h.IsTransactional() {
		return nil, errcode.InvalidTxnState, fmt.Sprintf(
			"producer %d has a transaction open since offset %d, and this batch is not part of it",
			h.ProducerID, e.currentTxnFirstOffset)
	}
	return nil, errcode.None, ""
}

// duplicateOf returns the batch that h repeats: same epoch, same first and last
// sequence. Anything less is not a retry.
func (p *producers) duplicateOf(e *producerEntry, h *batch.Header) *producerBatch {
	if h.ProducerEpoch != e.epoch {
		return nil
	}
	lastSequence := h.LastSequence(p.set.SequenceMax)
	for i := range e.count {
		b := e.batch(i)
		first := sequenceBefore(b.lastSequence, b.offsetDelta, p.set.SequenceMax)
		if b.lastSequence != lastSequence || first != h.BaseSequence {
			continue
		}
		if i != e.count-1 && p.set.Mutants.On(mutant.P1LastBatchOnly) {
			continue
		}
		return b
	}
	return nil
}

func (p *producers) checkSequence(e *producerEntry, h *batch.Header) (errcode.Code, string) {
	switch {
	case e.epoch == batch.NoProducerEpoch:
		return errcode.None, ""
	case h.ProducerEpoch != e.epoch:
		if h.BaseSequence == 0 {
			return errcode.None, ""
		}
		return errcode.OutOfOrderSequenceNumber, fmt.Sprintf(
			"producer %d begins epoch %d with sequence %d, not 0",
			h.ProducerID, h.ProducerEpoch, h.BaseSequence)
	}
	expected := int32(0)
	if b := e.last(); b != nil {
		expected = batch.IncrementSequence(b.lastSequence, 1, p.set.SequenceMax)
	}
	if h.BaseSequence == expected {
		return errcode.None, ""
	}
	return errcode.OutOfOrderSequenceNumber, fmt.Sprintf(
		"producer %d sends sequence %d where %d is next", h.ProducerID, h.BaseSequence, expected)
}

// entry returns the producer's entry, and makes it if it is not there.
func (p *producers) entry(producerID int64) *producerEntry {
	e := p.byID[producerID]
	if e == nil {
		e = &producerEntry{
			lastTimestamp: -1, currentTxnFirstOffset: noOffset,
			coordinatorEpoch: -1, epoch: batch.NoProducerEpoch,
		}
		p.byID[producerID] = e
	}
	return e
}

// apply takes in a data batch that is in the log at baseOffset. It refuses nothing:
// what stands in the log counts, also where the rules for appending have changed
// since. It does not allocate for a producer it knows.
func (p *producers) apply(h *batch.Header, baseOffset int64) {
	if !h.HasProducer() {
		return
	}
	e := p.entry(h.ProducerID)
	e.setEpoch(h.ProducerEpoch)
	e.add(producerBatch{
		lastOffset:   baseOffset + int64(h.LastOffsetDelta),
		timestamp:    h.MaxTimestamp,
		lastSequence: h.LastSequence(p.set.SequenceMax),
		offsetDelta:  h.LastOffsetDelta,
	})
	e.lastTimestamp = h.MaxTimestamp
	if h.IsTransactional() && e.currentTxnFirstOffset == noOffset {
		e.currentTxnFirstOffset = baseOffset
		p.ongoing = insertTxn(p.ongoing, openTxn{
			firstOffset: baseOffset, lastOffset: noOffset, producerID: h.ProducerID,
		})
	}
}

// applyMarker takes in the marker of a transaction's end that is in the log at
// offset. If it aborts an open transaction it returns the entry for the transaction
// index of the marker's segment, and true.
func (p *producers) applyMarker(m *batch.Marker, offset int64) (abortedTxn, bool) {
	e := p.entry(m.ProducerID)
	first := e.currentTxnFirstOffset
	e.setEpoch(m.ProducerEpoch)
	e.coordinatorEpoch = m.CoordinatorEpoch
	e.lastTimestamp = m.Timestamp // KAFKA-9144: a marker keeps its producer alive
	e.currentTxnFirstOffset = noOffset
	if first == noOffset {
		return abortedTxn{}, false
	}
	p.ongoing = slices.DeleteFunc(p.ongoing, func(t openTxn) bool { return t.firstOffset == first })
	p.unreplicated = insertTxn(p.unreplicated, openTxn{
		firstOffset: first, lastOffset: offset, producerID: m.ProducerID,
	})
	if m.Commit {
		return abortedTxn{}, false
	}
	stable := offset + 1
	if len(p.ongoing) > 0 {
		stable = p.ongoing[0].firstOffset
	}
	return abortedTxn{
		producerID: m.ProducerID, firstOffset: first, lastOffset: offset, lastStableOffset: stable,
	}, true
}

func insertTxn(txns []openTxn, t openTxn) []openTxn {
	i, _ := slices.BinarySearchFunc(txns, t.firstOffset, func(t openTxn, first int64) int {
		return cmp.Compare(t.firstOffset, first)
	})
	return slices.Insert(txns, i, t)
}

// replicatedTo forgets the ended transactions whose markers are below an offset:
// the high watermark, or the log start offset.
func (p *producers) replicatedTo(offset int64) {
	if len(p.unreplicated) > 0 {
		p.unreplicated = slices.DeleteFunc(p.unreplicated, func(t openTxn) bool {
			return t.lastOffset < offset
		})
	}
}

// firstUnstableOffset returns the first offset of the transactions that are open, or
// ended by a marker that is not below the high watermark; or noOffset.
func (p *producers) firstUnstableOffset() int64 {
	switch {
	case len(p.ongoing) == 0 && len(p.unreplicated) == 0:
		return noOffset
	case len(p.ongoing) == 0:
		return p.unreplicated[0].firstOffset
	case len(p.unreplicated) == 0:
		return p.ongoing[0].firstOffset
	}
	return min(p.ongoing[0].firstOffset, p.unreplicated[0].firstOffset)
}

// lastStableOffset returns the offset that read_committed consumers read up to.
func (p *producers) lastStableOffset(logStartOffset, highWatermark int64) int64 {
	unstable := p.firstUnstableOffset()
	if unstable == noOffset {
		return highWatermark
	}
	return min(max(unstable, logStartOffset), highWatermark)
}

// expired says that the producer has been silent for producer.id.expiration.ms. A
// producer with an open transaction never expires.
func (p *producers) expired(e *producerEntry, now clock.Wall) bool {
	return e.currentTxnFirstOffset == noOffset &&
		int64(now)-e.lastTimestamp >= p.set.ProducerExpirationMillis
}

// expire forgets the producers that have been silent for too long.
func (p *producers) expire(now clock.Wall) {
	// In any order: whether one expires does not depend on another.
	maps.DeleteFunc(p.byID, func(_ int64, e *producerEntry) bool { return p.expired(e, now) })
}

// reset forgets everything, before a rebuild.
func (p *producers) reset() {
	clear(p.byID)
	p.ongoing, p.unreplicated = p.ongoing[:0], p.unreplicated[:0]
}

// ids returns the ids of all producers in order.
func (p *producers) ids() []int64 {
	return slices.Sorted(maps.Keys(p.byID)) // in any order: sorted
}

// list returns the producers that have not expired, by id.
func (p *producers) list(now clock.Wall) []ProducerState {
	states := make([]ProducerState, 0, len(p.byID))
	for _, id := range p.ids() {
		e := p.byID[id]
		if p.expired(e, now) {
			continue
		}
		s := ProducerState{
			ProducerID:            id,
			LastTimestamp:         e.lastTimestamp,
			CurrentTxnStartOffset: e.currentTxnFirstOffset,
			LastSequence:          batch.NoSequence,
			CoordinatorEpoch:      e.coordinatorEpoch,
			ProducerEpoch:         e.epoch,
		}
		if b := e.last(); b != nil {
			s.LastSequence = b.lastSequence
		}
		states = append(states, s)
	}
	return states
}

// activeProducers returns, by id, what compaction must keep of each producer.
func (p *producers) activeProducers() []activeProducer {
	active := make([]activeProducer, 0, len(p.byID))
	for _, id := range p.ids() {
		e := p.byID[id]
		a := activeProducer{producerID: id, lastDataOffset: noOffset, epoch: e.epoch}
		if b := e.last(); b != nil {
			a.lastDataOffset = b.lastOffset
		}
		active = append(active, a)
	}
	return active
}
