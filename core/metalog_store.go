package core

import (
	"fmt"

	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/quorum"
)

// The quorum orders entries and hard states to be stored, in order; a Write is stored
// when the log is durable up to its end and the file with its hard state, or a later
// one, is replaced.

// storing is a Write that the quorum waits for.
type storing struct {
	token quorum.Token
	end   int64  // of the log
	order uint64 // the number of its last order to the log, 0 if it has none
	state uint64 // the number of its hard state, 0 if it has none
}

// logOrder is something to be done to the metadata log. While the log is cut, nothing
// can be appended, so orders wait for each other.
type logOrder struct {
	data    []byte           // of a batch to be appended; nil: the log is cut
	install *fetchedSnapshot // made durable first, by a job
	cut     int64            // nothing from this offset on is kept
	restart bool             // nor anything before it
}

// hardStates keeps quorum-state up to date, one job at a time.
type hardStates struct {
	latest  quorum.HardState
	ordered uint64 // counts them
	writing uint64 // the one on its way, or 0
	done    uint64
}

// endOffset is the offset after the last entry.
func (m *metalog) endOffset() int64 {
	if n := len(m.entries); n > 0 {
		return m.entries[n-1].end
	}
	return m.baseEnd
}

// takeWrites carries out the writes that the quorum has ordered.
func (b *Broker) takeWrites() {
	m := &b.metalog
	for i := range m.fx.Writes {
		w := &m.fx.Writes[i]
		s := storing{token: w.Token}
		if w.Snapshot != nil {
			m.installSnapshot(w.Snapshot.Position)
			s.end, s.order = m.endOffset(), m.ordered
		}
		if len(w.Entries) > 0 {
			m.truncate(w.Entries[0].Index)
			b.appendEntries(w.Entries)
			s.end, s.order = m.endOffset(), m.ordered
		}
		if w.HasHardState {
			m.state.latest = w.HardState
			m.state.ordered++
			s.state = m.state.ordered
			b.writeHardState()
		}
		m.storing = append(m.storing, s)
	}
	clear(m.fx.Writes)
	m.fx.Writes = m.fx.Writes[:0]
	b.orderLog()
}

// truncate makes index that of the next entry. Writes that are not stored yet have
// nothing left above it to wait for.
func (m *metalog) truncate(index uint64) {
	keep := index - m.baseIndex - 1
	if keep >= uint64(len(m.entries)) {
		return
	}
	invariant.True(index > m.applied.Index, "no applied entry is truncated")
	clear(m.entries[keep:])
	m.entries = m.entries[:keep]
	for i := range m.storing {
		m.storing[i].end = min(m.storing[i].end, m.endOffset())
	}
	m.order(logOrder{cut: m.endOffset()})
}

func (m *metalog) order(o logOrder) {
	m.ordered++
	m.orders = append(m.orders, o)
}

// appendEntries has entries appended to the metadata log.
func (b *Broker) appendEntries(entries []quorum.Entry) {
	m := &b.metalog
	for i := range entries {
		data := batchOf(&entries[i], m.endOffset())
		var h batch.Header
		if err := checkEntry(data, &h, m.endOffset()); err != nil {
			b.fatal(fmt.Errorf("append to the metadata log: %w", err))
			return
		}
		m.entries = append(m.entries, logEntry{end: h.NextOffset()})
		m.order(logOrder{data: data})
		if b.controller != nil && entries[i].Kind != quorum.KindData {
			b.controller.Skip(int64(h.LastOffsetDelta) + 1)
		}
	}
}

// orderLog does to the log what was ordered, as far as it can be.
func (b *Broker) orderLog() {
	m := &b.metalog
	from := len(b.fx.Jobs)
	l := m.partition.log
	for b.logCut(); len(m.orders) > 0 && !l.Truncating() && !m.storingSnapshot &&
		b.fx.Fatal == nil; b.logCut() {
		o := m.orders[0]
		if o.install != nil {
			m.storingSnapshot = true
			b.ownJobs(from)
			b.order(&storeSnapshot{
				dir: m.partition.path(), name: o.install.name(), data: o.install.data,
			}, jobOwner{kind: jobStoreSnapshot, part: &m.partition})
			return
		}
		m.orders[0] = logOrder{}
		m.orders = m.orders[1:]
		if o.data == nil {
			m.cutting, m.cutFrom = true, l.LogEndOffset()
		}
		switch {
		case o.restart:
			l.TruncateFullyAndStartAt(b.now, o.cut, &b.fx.Orders)
			continue
		case o.data == nil:
			l.TruncateTo(b.now, o.cut, &b.fx.Orders)
			continue
		}
		var h batch.Header
		invariant.True(batch.Parse(o.data, &h) == nil, "a checked batch can be parsed")
		a := l.Append(b.now, h.PartitionLeaderEpoch, &h, o.data, &b.fx.Orders)
		if a.Err != errcode.None {
			b.fatal(fmt.Errorf("append to the metadata log: %s", a.Err))
		}
	}
	if len(m.orders) == 0 {
		m.orders = nil
	}
	b.ownJobs(from)
}

// logCut reports that the log was cut, once it is.
func (b *Broker) logCut() {
	m := &b.metalog
	l := m.partition.log
	if m.cutting && !l.Truncating() {
		m.cutting = false
		b.report(Report{
			Kind: LogTruncated, Topic: metadataTopic, TopicID: metadataTopicID,
			Offset: l.LogStartOffset(), EndOffset: l.LogEndOffset(), From: m.cutFrom,
		})
	}
}

// checkEntry parses the batch of an entry that is to stand at offset.
func checkEntry(data []byte, h *batch.Header, offset int64) error {
	if err := batch.Parse(data, h); err != nil {
		return err
	}
	if int(h.Size) != len(data) || h.BaseOffset != offset || h.LastOffsetDelta < 0 {
		return fmt.Errorf("a batch of %d bytes at offset %d, want %d", h.Size, h.BaseOffset, offset)
	}
	if !batch.ValidCRC(data, h) {
		return fmt.Errorf("batch at offset %d: wrong checksum", h.BaseOffset)
	}
	return nil
}

// ownJobs notes that the jobs from index on are the metadata log's.
func (b *Broker) ownJobs(from int) {
	for _, job := range b.fx.Jobs[from:] {
		b.jobs[job.Op] = jobOwner{kind: jobOfLog, part: &b.metalog.partition}
	}
}

// writeHardState orders quorum-state to be replaced, unless it is being replaced.
func (b *Broker) writeHardState() {
	m := &b.metalog
	if m.state.writing != 0 || m.state.done == m.state.ordered {
		return
	}
	m.state.writing = m.state.ordered
	b.order(&writeQuorumState{dir: m.partition.path(), state: m.state.latest},
		jobOwner{kind: jobQuorumState, part: &m.partition})
}

// hardStateWritten takes in that quorum-state is replaced.
func (b *Broker) hardStateWritten() {
	m := &b.metalog
	m.state.done, m.state.writing = m.state.writing, 0
	if m.engine != nil {
		b.writeHardState()
		b.storedMaybe()
	}
}

// metalogChanged follows up on what happened to the metadata log's files.
func (b *Broker) metalogChanged() {
	switch {
	case b.metalog.engine != nil:
		b.orderLog()
		b.storedMaybe()
	case b.metalog.observer.on && !b.metalog.stopped:
		b.orderLog()
		b.observe()
	}
	p := &b.metalog.partition
	if at := p.log.Deadline(); at < p.armed {
		p.armed = at
		b.deadlines.push(deadline{at: at, part: p, kind: logDeadline})
	}
	b.closedMaybe(&b.metalog.partition)
}

// storedMaybe tells the quorum what is stored by now.
func (b *Broker) storedMaybe() {
	m := &b.metalog
	for len(m.storing) > 0 && m.isStored(&m.storing[0]) {
		token := m.storing[0].token
		m.storing = m.storing[:copy(m.storing, m.storing[1:])]
		m.engine.Stored(b.now.Mono, token, &m.fx)
		b.takeWrites()
	}
	b.quorumMoved()
}

// isStored reports whether a write is durable.
func (m *metalog) isStored(s *storing) bool {
	l := m.partition.log
	done := m.ordered - uint64(len(m.orders))
	if l.Truncating() {
		done-- // the last one is not done yet
	}
	return s.order <= done && s.end <= l.HeldEndOffset() && s.state <= m.state.done
}
