package log

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/mutant"
	_ "github.com/heiban/heiban/internal/repeatable"
)

// appendedBatch is a batch that was appended.
type appendedBatch struct {
	base, end int64
	epoch     int32
	data      []byte
	records   []testRecord
	producer  int64
	sequence  int32 // of the first record
}

// logMachine drives a Log and a plain list of batches with the same steps.
type logMachine struct {
	d       *device
	batches []appendedBatch
	end     int64
	epoch   int32
	started []epochEntry    // epochs that wrote or were assigned
	next    map[int64]int32 // sequence by producer
	before  map[int64]int32 // the same, before batches
}

func newLogMachine(t *rapid.T, mutants mutant.Set) *logMachine {
	m := &logMachine{d: newDevice(), next: map[int64]int32{}, before: map[int64]int32{}}
	m.d.set.Mutants = mutants
	cfg := m.d.cfg
	cfg.SegmentBytes = rapid.Int64Range(300, 1500).Draw(t, "segment.bytes")
	cfg.IndexIntervalBytes = rapid.Int32Range(0, 300).Draw(t, "index.interval.bytes")
	cfg.SegmentIndexBytes = rapid.SampledFrom([]int32{36, 10 << 20}).Draw(t, "segment.index.bytes")
	m.d.set.IndexEntriesMax = rapid.IntRange(2, 8).Draw(t, "index entries")
	if rapid.Bool().Draw(t, "page cache") {
		cfg.Durability = PageCache
		cfg.FlushMessages = rapid.SampledFrom([]int64{3, 1 << 60}).Draw(t, "flush.messages")
		cfg.FlushMillis = rapid.SampledFrom([]int64{-1, 50}).Draw(t, "flush.ms")
	}
	cfg.RetentionBytes = rapid.SampledFrom([]int64{-1, 800}).Draw(t, "retention.bytes")
	cfg.RetentionMillis = rapid.SampledFrom([]int64{-1, 5000}).Draw(t, "retention.ms")
	_, err := m.d.start(true)
	require.NoError(t, err)
	return m
}

func (m *logMachine) records(t *rapid.T) []testRecord {
	records := make([]testRecord, rapid.IntRange(1, 3).Draw(t, "records"))
	for i := range records {
		records[i] = testRecord{
			timestamp: int64(m.d.now.Wall) + rapid.Int64Range(-300, 300).Draw(t, "timestamp"),
			value:     strings.Repeat("v", rapid.IntRange(0, 60).Draw(t, "value")),
		}
	}
	return records
}

func (m *logMachine) Append(t *rapid.T) {
	o := batch.Options{}
	producer := rapid.Int64Range(0, 3).Draw(t, "producer")
	if producer > 0 {
		o.HasProducer, o.ProducerID, o.BaseSequence = true, producer, m.next[producer]
	}
	records := m.records(t)
	h, data := makeBatch(o, records...)
	a, data := m.d.append(m.epoch, &h, data)
	require.Equal(t, errcode.None, a.Err)
	require.False(t, a.Duplicate)
	require.Equal(t, m.end, a.BaseOffset)
	b := appendedBatch{
		base: m.end, end: m.end + int64(len(records)), epoch: m.epoch, data: data,
		records: records, producer: producer, sequence: m.next[producer],
	}
	require.Equal(t, b.end, a.EndOffset)
	m.batches, m.end = append(m.batches, b), b.end
	m.next[producer] += int32(len(records))
	m.assign(m.epoch, b.base)
}

// Retry sends the last batch of a producer again.
func (m *logMachine) Retry(t *rapid.T) {
	producer := rapid.Int64Range(1, 3).Draw(t, "producer")
	for _, b := range slices.Backward(m.batches) {
		if b.producer != producer {
			continue
		}
		h, data := makeBatch(batch.Options{
			HasProducer: true, ProducerID: producer, BaseSequence: b.sequence,
		}, b.records...)
		a, _ := m.d.append(m.epoch, &h, data)
		require.Equal(t, errcode.None, a.Err)
		require.True(t, a.Duplicate, "sequence %d of producer %d", b.sequence, producer)
		require.Equal(t, [2]int64{b.base, b.end}, [2]int64{a.BaseOffset, a.EndOffset})
		return
	}
	t.Skip("nothing to retry")
}

// SkipSequence sends a batch out of order.
func (m *logMachine) SkipSequence(t *rapid.T) {
	producer := rapid.Int64Range(1, 3).Draw(t, "producer")
	if m.next[producer] == 0 {
		t.Skip("nothing is out of order yet")
	}
	h, data := makeBatch(batch.Options{
		HasProducer: true, ProducerID: producer, BaseSequence: m.next[producer] + 1,
	}, testRecord{timestamp: 1})
	a, _ := m.d.append(m.epoch, &h, data)
	require.Equal(t, errcode.OutOfOrderSequenceNumber, a.Err)
}

func (m *logMachine) Elect(*rapid.T) {
	m.epoch++
	m.d.log.AssignEpoch(m.epoch, &m.d.orders)
	m.d.take()
	m.assign(m.epoch, m.end)
}

func (m *logMachine) assign(epoch int32, offset int64) {
	n := len(m.started)
	if n > 0 && m.started[n-1].epoch == epoch {
		return
	}
	if n > 0 && m.started[n-1].startOffset == offset {
		n--
	}
	m.started = append(m.started[:n], epochEntry{epoch, offset})
}

func (m *logMachine) Write(t *rapid.T) {
	ready := m.d.writable()
	if len(ready) == 0 {
		t.Skip("nothing to write")
	}
	m.d.write(rapid.SampledFrom(ready).Draw(t, "write"))
}

func (m *logMachine) Sync(t *rapid.T) {
	if len(m.d.syncs) == 0 {
		t.Skip("nothing to sync")
	}
	require.Len(t, m.d.syncs, 1, "one sync is in flight at a time")
	m.d.sync()
}

func (m *logMachine) Job(t *rapid.T) {
	if len(m.d.jobs) == 0 {
		t.Skip("no job")
	}
	m.d.job(rapid.IntRange(0, len(m.d.jobs)-1).Draw(t, "job"))
}

func (m *logMachine) Settle(*rapid.T) { m.d.settle() }

func (m *logMachine) RaiseHighWatermark(*rapid.T) {
	l := m.d.log
	l.SetHighWatermark(l.HeldEndOffset())
}

func (m *logMachine) DeleteRecords(t *rapid.T) {
	l := m.d.log
	offset := rapid.Int64Range(l.LogStartOffset(), l.HighWatermark()).Draw(t, "offset")
	l.DeleteRecordsBefore(m.d.now, offset, &m.d.orders)
	m.d.take()
	require.GreaterOrEqual(t, l.LogStartOffset(), offset)
}

func (m *logMachine) Tick(t *rapid.T) {
	m.d.advance(rapid.SampledFrom([]int64{0, 10, 1000, 300_000}).Draw(t, "millis"))
	if m.d.now.Mono >= m.d.log.Deadline() {
		m.d.tick()
	}
	require.LessOrEqual(t, m.d.log.LogStartOffset(), m.d.log.HighWatermark())
}

func (m *logMachine) Checkpoint(*rapid.T) { m.d.checkpoint() }

func (m *logMachine) Fetch(t *rapid.T) {
	l := m.d.log
	bound := rapid.SampledFrom([]int64{l.HighWatermark(), l.WrittenEndOffset()}).Draw(t, "bound")
	from := rapid.Int64Range(l.LogStartOffset(), max(l.LogStartOffset(), bound)).Draw(t, "from")
	slice, _ := l.SliceFrom(from, bound)
	m.fetch(t, &slice, from, bound)
}

// fetch checks one Locate against the list.
func (m *logMachine) fetch(t *rapid.T, slice *Slice, from, bound int64) {
	maxBytes := rapid.Int32Range(0, 1000).Draw(t, "max bytes")
	atLeastOne := rapid.Bool().Draw(t, "at least one")
	got, err := slice.Locate(m.d.reader, maxBytes, atLeastOne)
	require.NoError(t, err)
	var want []byte
	first := 0
	for _, b := range m.batches {
		if b.end > from && b.end <= bound {
			if first == 0 {
				first = len(b.data)
			}
			want = append(want, b.data...)
		}
	}
	if first == 0 || first > int(maxBytes) && !atLeastOne {
		require.Zero(t, got.Len)
		return
	}
	most := min(len(want), max(int(maxBytes), first))
	data := m.d.read(got)
	require.NotEmpty(t, data)
	require.LessOrEqual(t, len(data), most)
	require.True(t, bytes.Equal(want[:len(data)], data), "the bytes are those appended")
	if len(data) < most {
		var h batch.Header
		require.NoError(t, batch.Parse(want[len(data):], &h))
		ends := slices.ContainsFunc(slice.closed,
			func(s *segment) bool { return s.end == h.BaseOffset })
		require.True(t, ends, "a fetch ends early at a segment's end only")
	}
}

func (m *logMachine) LookUpTime(t *rapid.T) {
	l := m.d.log
	slice, _ := l.SliceFrom(l.LogStartOffset(), l.HighWatermark())
	target := int64(m.d.now.Wall) + rapid.Int64Range(-2000, 500).Draw(t, "target")
	if rapid.Bool().Draw(t, "largest") {
		target = MaxTimestamp
	}
	wantOffset, wantTime := m.find(target)
	offset, timestamp, err := slice.OffsetOfTime(m.d.reader, nil, target)
	require.NoError(t, err)
	require.Equal(t, [2]int64{wantOffset, wantTime}, [2]int64{offset, timestamp})
}

func (m *logMachine) find(target int64) (offset, timestamp int64) {
	offset, timestamp = -1, -1
	for _, b := range m.batches {
		for i, r := range b.records {
			at := b.base + int64(i)
			// A high watermark from before a crash may stand inside a batch.
			if at < m.d.log.LogStartOffset() || b.end > m.d.log.HighWatermark() {
				continue
			}
			if target == MaxTimestamp {
				if r.timestamp > timestamp {
					offset, timestamp = at, r.timestamp
				}
			} else if r.timestamp >= target {
				return at, r.timestamp
			}
		}
	}
	return offset, timestamp
}

// Restart stops the log cleanly and opens it again.
func (m *logMachine) Restart(t *rapid.T) {
	l := m.d.log
	l.Close(m.d.now, &m.d.orders)
	m.d.take()
	m.d.settle()
	require.True(t, l.Closed())
	require.Equal(t, m.end, l.RecoveryPoint())
	m.d.checkpoint()
	if rapid.Bool().Draw(t, "power lost after the stop") {
		m.d.files.crash(false)
	}
	start, highWatermark := l.LogStartOffset(), l.HighWatermark()
	r, err := m.d.start(true)
	require.NoError(t, err)
	require.Empty(t, r.Text)
	require.Equal(t, start, m.d.log.LogStartOffset())
	require.Equal(t, highWatermark, m.d.log.HighWatermark())
	require.Equal(t, m.end, m.d.log.LogEndOffset())
	require.Equal(t, m.end, m.d.log.RecoveryPoint())
	m.cutEpochs()
}

// cutEpochs drops the epochs that wrote nothing: a start forgets them.
func (m *logMachine) cutEpochs() {
	for n := len(m.started); n > 0 && m.started[n-1].startOffset >= m.end; n-- {
		m.started = m.started[:n-1]
	}
}

// Crash ends the process or the machine, and recovers.
func (m *logMachine) Crash(t *rapid.T) {
	l := m.d.log
	held := l.RecoveryPoint()
	if m.d.cfg.Durability == Fsync {
		held = l.HeldEndOffset()
	}
	// What could not be checkpointed since it rose may be lost again.
	start := max(m.d.logStart, 0)
	written := l.WrittenEndOffset()
	power := true
	switch rapid.SampledFrom([]string{"process", "power", "torn"}).Draw(t, "crash") {
	case "process":
		power = false
		m.d.files.crash(true)
	case "power":
		m.d.files.crash(false)
	default:
		m.d.files.crashTorn(t)
	}
	if rapid.Bool().Draw(t, "crash in recovery") {
		power = m.crashInRecovery(t) || power
	}
	if !power {
		held = written
	}
	r, err := m.d.start(false)
	require.NoError(t, err)
	l = m.d.log
	// There is nothing to recover below the first segment.
	require.LessOrEqual(t, l.RecoveryPoint(), max(m.d.recoveryPoint, l.FirstBaseOffset()), r.Text)
	require.GreaterOrEqual(t, l.LogEndOffset(), held, "what was held is kept")
	require.LessOrEqual(t, l.LogEndOffset(), m.end)
	require.GreaterOrEqual(t, l.LogStartOffset(), start)
	m.forget(t, l.LogEndOffset())
}

// crashInRecovery crashes once more on the way, and reports whether the power was
// lost.
func (m *logMachine) crashInRecovery(t *rapid.T) bool {
	m.d.files.budget = rapid.IntRange(0, 10).Draw(t, "operations")
	_, err := m.d.start(false)
	m.d.files.budget = -1
	if err == nil {
		return false
	}
	require.ErrorIs(t, err, errCrashed)
	power := rapid.Bool().Draw(t, "power")
	m.d.files.crash(!power)
	return power
}

// forget drops what the log lost in a crash.
func (m *logMachine) forget(t *rapid.T, end int64) {
	for len(m.batches) > 0 && m.batches[len(m.batches)-1].end > end {
		m.batches = m.batches[:len(m.batches)-1]
	}
	if n := len(m.batches); n > 0 && end > m.d.log.LogStartOffset() {
		require.Equal(t, end, m.batches[n-1].end, "the log ends where a batch does")
	}
	m.end = end
	m.cutEpochs()
	m.next = maps.Clone(m.before)
	for _, b := range m.batches {
		if b.producer > 0 {
			m.next[b.producer] = b.sequence + int32(len(b.records))
		}
	}
	if m.d.log.Size() == 0 {
		// Nothing is left of the records, and perhaps of their producers, if all of the
		// log was lost below its start.
		m.batches, m.before = nil, map[int64]int32{}
		for _, p := range m.d.log.Producers(m.d.now) {
			m.before[p.ProducerID] = p.LastSequence + 1
		}
		m.next = maps.Clone(m.before)
	}
	if m.d.log.LatestEpoch() > m.epoch {
		t.Fatalf("epoch %d was never assigned", m.d.log.LatestEpoch())
	}
}

// Check compares all of the state that can be seen.
func (m *logMachine) Check(t *rapid.T) {
	l := m.d.log
	l.checkAll()
	require.Equal(t, m.end, l.LogEndOffset())
	for _, b := range m.batches {
		if b.base >= l.LogStartOffset() {
			require.Equal(t, b.epoch, l.EpochOf(b.base), "epoch of offset %d", b.base)
		}
	}
	for i, e := range m.started {
		if e.startOffset <= l.LogStartOffset() || i == 0 {
			continue
		}
		_, end := l.EndOffsetFor(e.epoch - 1)
		if end != e.startOffset {
			t.Fatalf("epoch %d ends at %d, want %d", e.epoch-1, end, e.startOffset)
		}
	}
	require.LessOrEqual(t, l.RecoveryPoint(), l.LogEndOffset())
}

// A Log does what a list of batches does, whatever the disk does in between.
func TestLogAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newLogMachine(t, mutant.Set{})
		t.Repeat(rapid.StateMachineActions(m))
	})
}
