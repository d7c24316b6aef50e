package core

import (
	"fmt"

	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/quorum"
)

// The quorum orders entries and hard states to be stored, in order; a Write is stored
// when the log is durable up to its end and the file with its hard state, or a later
// one, is replaced.

// storing is a Write that the quorum waits for.
type storing struct {
	token quorum.Token
	end   int64  // of the log
	state uint64 // the number of the hard state, 0 if it has none
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
		if len(w.Entries) > 0 {
			b.appendEntries(w.Entries)
			s.end = m.endOffset()
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
}

// appendEntries appends to the metadata log.
func (b *Broker) appendEntries(entries []quorum.Entry) {
	m := &b.metalog
	from := len(b.fx.Jobs)
	for i := range entries {
		data := batchOf(&entries[i], m.endOffset())
		var h batch.Header
		if err := checkEntry(data, &h, m.endOffset()); err != nil {
			b.fatal(fmt.Errorf("append to the metadata log: %w", err))
			return
		}
		a := m.partition.log.Append(b.now, h.PartitionLeaderEpoch, &h, data, &b.fx.Orders)
		if a.Err != errcode.None {
			b.fatal(fmt.Errorf("append to the metadata log: %s", a.Err))
			return
		}
		m.entries = append(m.entries, logEntry{end: a.EndOffset})
		if b.controller != nil && entries[i].Kind != quorum.KindData {
			b.controller.Skip(a.EndOffset - a.BaseOffset)
		}
	}
	b.ownJobs(from)
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
	b.storedMaybe()
	b.closedMaybe(&b.metalog.partition)
}

// storedMaybe tells the quorum what is stored by now.
func (b *Broker) storedMaybe() {
	m := &b.metalog
	if m.engine == nil {
		return
	}
	held := m.partition.log.HeldEndOffset()
	for len(m.storing) > 0 && m.storing[0].end <= held && m.storing[0].state <= m.state.done {
		token := m.storing[0].token
		m.storing = m.storing[:copy(m.storing, m.storing[1:])]
		m.engine.Stored(b.now.Mono, token, &m.fx)
		b.takeWrites()
	}
	b.quorumMoved()
}
