package log

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/mutant"
)

// replicaMachine drives a replica's log and a plain list of batches with the same
// steps: it follows leaders, is cut where they say, and leads from time to time.
type replicaMachine struct {
	modelLog
	d     *device
	epoch int32 // of the present leader
	cut   *modelCut
	high  int64 // the highest that the high watermark was, of the log as it is
	start int64 // the lowest that the checkpoint of the log start may count for
}

// modelLog is what the log holds, and has held.
type modelLog struct {
	batches []batch.Header
	bytes   [][]byte
	origin  []byte // a snapshot of the producers before batches
	end     int64
}

// modelCut is a truncation that is not done.
type modelCut struct {
	at      int64 // where the log is cut
	end     int64 // where the log is to end
	restart bool  // and to start
	inside  int64 // where it started, inside of the batch that it is to begin with; or 0
	before  modelLog
}

func newReplicaMachine(t *rapid.T, mutants mutant.Set) *replicaMachine {
	m := &replicaMachine{d: newDevice()}
	m.d.set.Mutants = mutants
	cfg := m.d.cfg
	cfg.SegmentBytes = rapid.Int64Range(300, 1000).Draw(t, "segment.bytes")
	cfg.IndexIntervalBytes = rapid.Int32Range(0, 300).Draw(t, "index.interval.bytes")
	cfg.SegmentIndexBytes = rapid.SampledFrom([]int32{36, 10 << 20}).Draw(t, "segment.index.bytes")
	m.d.set.IndexEntriesMax = rapid.IntRange(2, 8).Draw(t, "index entries")
	if rapid.Bool().Draw(t, "page cache") {
		cfg.Durability = PageCache
	}
	cfg.RetentionBytes = rapid.SampledFrom([]int64{-1, 1500}).Draw(t, "retention.bytes")
	_, err := m.d.start(true)
	require.NoError(t, err)
	m.begin()
	return m
}

// begin forgets what was before the log's present content.
func (m *replicaMachine) begin() {
	m.batches, m.bytes = nil, nil
	m.origin = m.d.log.producers.snapshot()
	m.end = m.d.log.LogEndOffset()
}

// fetched is a batch as some leader has it at an offset.
func (m *replicaMachine) fetched(t *rapid.T, base int64) []byte {
	producer := rapid.Int64Range(0, 3).Draw(t, "producer")
	o := batch.Options{Transactional: producer == 3}
	if producer > 0 {
		o.HasProducer, o.ProducerID = true, producer
		o.ProducerEpoch = rapid.Int16Range(0, 1).Draw(t, "producer epoch")
		o.BaseSequence = rapid.Int32Range(0, 5).Draw(t, "sequence")
	}
	var data []byte
	switch {
	case producer == 3 && rapid.Bool().Draw(t, "marker"):
		data = batch.AppendMarker(nil, &batch.Marker{
			ProducerID: 3, ProducerEpoch: o.ProducerEpoch, Timestamp: int64(m.d.now.Wall),
			Commit: rapid.Bool().Draw(t, "commit"),
		})
	case producer == 0 && rapid.SampledFrom([]int{1, 2, 3, 0}).Draw(t, "control") == 0:
		o.HasProducer, o.Transactional = false, false
		data = batch.AppendControl(nil, batch.Options{}, batch.LeaderChange, 7, []byte("leader"))
	default:
		records := make([]testRecord, rapid.IntRange(1, 3).Draw(t, "records"))
		for i := range records {
			records[i] = testRecord{
				timestamp: int64(m.d.now.Wall) + rapid.Int64Range(-300, 300).Draw(t, "timestamp"),
				value:     strings.Repeat("v", rapid.IntRange(0, 60).Draw(t, "value")),
			}
		}
		_, data = makeBatch(o, records...)
	}
	batch.SetBaseOffset(data, base)
	batch.SetPartitionLeaderEpoch(data, m.epoch)
	return data
}

// Replicate appends what a leader sends.
func (m *replicaMachine) Replicate(t *rapid.T) {
	if m.d.log.Truncating() {
		t.Skip("the log is being cut")
	}
	var data []byte
	next := m.end
	if m.end == m.d.log.LogStartOffset() && m.end > 0 {
		next -= rapid.Int64Range(0, min(2, m.end)).Draw(t, "inside")
	}
	inside := next < m.end
	for i := range rapid.IntRange(1, 4).Draw(t, "batches") {
		if i > 0 || !inside {
			next += rapid.SampledFrom([]int64{0, 0, 0, 1, 7}).Draw(t, "gap")
		}
		one := m.fetched(t, next)
		var h batch.Header
		require.NoError(t, batch.Parse(one, &h))
		if inside && i == 0 && h.NextOffset() <= m.end {
			return
		}
		data, next = append(data, one...), h.NextOffset()
		if rapid.SampledFrom([]int{1, 2, 3, 0}).Draw(t, "next epoch") == 0 {
			m.epoch++
		}
	}
	cutOff := m.fetched(t, next)
	cutOff = cutOff[:rapid.IntRange(0, len(cutOff)-1).Draw(t, "cut off")]
	var b Batches
	require.NoError(t, b.Parse(append(data, cutOff...)))
	require.Equal(t, data, b.Bytes())
	start, before := m.end, m.modelLog
	require.NoError(t, m.d.log.AppendReplicated(m.d.now, &b, &m.d.orders))
	m.d.take()
	require.Equal(t, inside, m.d.log.Truncating())
	if inside {
		m.begin()
		m.origin = newProducers(m.d.set).snapshot()
	}
	for i := range b.Len() {
		m.add(b.Header(i), data)
		data = data[b.Header(i).Size:]
	}
	if inside {
		m.cut = &modelCut{
			at: m.batches[0].BaseOffset, end: m.end, restart: true, inside: start, before: before,
		}
	}
}

// add notes the batch at the start of data.
func (m *replicaMachine) add(h *batch.Header, data []byte) {
	m.batches = append(m.batches, *h)
	m.bytes = append(m.bytes, slices.Clone(data[:h.Size]))
	m.end = h.NextOffset()
}

// ReplicateWrong sends what a log must refuse.
func (m *replicaMachine) ReplicateWrong(t *rapid.T) {
	l := m.d.log
	if l.Truncating() || m.end == l.LogStartOffset() {
		t.Skip("nothing would be wrong")
	}
	epoch, base := m.epoch, m.end
	if rapid.Bool().Draw(t, "below the end") {
		base--
	} else if m.epoch = l.EpochOf(m.end-1) - 1; m.epoch < 0 {
		m.epoch = epoch
		t.Skip("there is no lower epoch")
	}
	data := append(m.fetched(t, base), m.fetched(t, base+9)...)
	m.epoch = epoch
	var b Batches
	require.NoError(t, b.Parse(data))
	require.Error(t, l.AppendReplicated(m.d.now, &b, &m.d.orders))
	m.d.take()
}

// Lead appends as a leader does, in an epoch of its own.
func (m *replicaMachine) Lead(t *rapid.T) {
	if m.d.log.Truncating() {
		t.Skip("the log is being cut")
	}
	m.epoch = max(m.epoch, m.d.log.LatestEpoch()) + 1
	m.d.log.AssignEpoch(m.epoch, &m.d.orders)
	m.d.take()
	if rapid.Bool().Draw(t, "idle") {
		return
	}
	h, data := makeBatch(batch.Options{}, testRecord{timestamp: 5, value: "leader"})
	a, data := m.d.append(m.epoch, &h, data)
	require.Equal(t, errcode.None, a.Err)
	require.NoError(t, batch.Parse(data, &h))
	m.add(&h, data)
}

// Truncate cuts the log where another leader says.
func (m *replicaMachine) Truncate(t *rapid.T) {
	l := m.d.log
	if l.Truncating() {
		t.Skip("the log is being cut")
	}
	to := rapid.Int64Range(max(0, l.LogStartOffset()-3), m.end+2).Draw(t, "to")
	m.high = max(m.high, l.HighWatermark())
	first := l.FirstBaseOffset()
	l.TruncateTo(m.d.now, to, &m.d.orders)
	m.d.take()
	if to >= m.end {
		require.False(t, l.Truncating())
		require.Equal(t, l.epochs.epochOf(m.end-1), l.LatestEpoch())
		return
	}
	m.cut = &modelCut{end: min(first, to), restart: to < first}
	for _, h := range m.batches {
		if h.NextOffset() <= to {
			m.cut.end = max(m.cut.end, h.NextOffset())
		}
	}
	m.cut.at = m.cut.end
	m.epoch = max(m.epoch, l.LatestEpoch()) + 1
	m.cutDone(t)
}

// TruncateFully begins the log anew.
func (m *replicaMachine) TruncateFully(t *rapid.T) {
	l := m.d.log
	if l.Truncating() {
		t.Skip("the log is being cut")
	}
	at := rapid.Int64Range(0, m.end+20).Draw(t, "at")
	m.high = max(m.high, l.HighWatermark())
	l.TruncateFullyAndStartAt(m.d.now, at, &m.d.orders)
	m.d.take()
	m.cut = &modelCut{at: at, end: at, restart: true}
	m.cutDone(t)
}

// cutDone looks at what a truncation has left, if it is done.
func (m *replicaMachine) cutDone(t *rapid.T) {
	l, c := m.d.log, m.cut
	if l.Truncating() || c == nil {
		return
	}
	m.cut = nil
	require.Equal(t, c.end, l.LogEndOffset(), "whole batches are cut, and no more")
	switch {
	case c.inside > 0:
		require.Equal(t, c.inside, l.LogStartOffset())
		require.Equal(t, c.inside, l.HighWatermark())
	case c.restart:
		require.Equal(t, c.end, l.LogStartOffset())
		require.Equal(t, c.end, l.HighWatermark())
		require.Empty(t, l.epochs.entries)
		require.Zero(t, l.Size())
		m.begin()
	default:
		m.forget(c.end)
	}
	m.high = min(m.high, l.LogEndOffset())
	m.start = min(m.start, c.at)
}

// forget drops the batches that are not in the log any more.
func (m *replicaMachine) forget(end int64) {
	n := len(m.batches)
	for n > 0 && m.batches[n-1].NextOffset() > end {
		n--
	}
	m.batches, m.bytes, m.end = m.batches[:n], m.bytes[:n], end
}

func (m *replicaMachine) Write(t *rapid.T) {
	ready := m.d.writable()
	if len(ready) == 0 {
		t.Skip("nothing to write")
	}
	m.d.write(rapid.SampledFrom(ready).Draw(t, "write"))
	m.cutDone(t)
}

func (m *replicaMachine) Sync(t *rapid.T) {
	if len(m.d.syncs) == 0 {
		t.Skip("nothing to sync")
	}
	m.d.sync()
	m.cutDone(t)
}

// Job runs a job, or as much of it as a crash leaves time for.
func (m *replicaMachine) Job(t *rapid.T) {
	if len(m.d.jobs) == 0 {
		t.Skip("no job")
	}
	i := rapid.IntRange(0, len(m.d.jobs)-1).Draw(t, "job")
	if rapid.SampledFrom([]int{1, 2, 3, 0}).Draw(t, "crash") > 0 {
		m.d.job(i)
		m.cutDone(t)
		return
	}
	m.d.files.budget = rapid.IntRange(0, 20).Draw(t, "operations")
	_, err := m.d.jobs[i].Job.Run(&Devices{Files: m.d.files})
	require.True(t, err == nil || errors.Is(err, errCrashed), "%v", err)
	m.d.files.budget = -1
	m.Crash(t)
}

func (m *replicaMachine) Settle(t *rapid.T) {
	m.d.settle()
	require.False(t, m.d.log.Truncating(), "a truncation is done when all else is")
	m.cutDone(t)
}

func (m *replicaMachine) MoveHighWatermark(t *rapid.T) {
	l := m.d.log
	if l.Truncating() {
		t.Skip("the log is being cut")
	}
	to := rapid.Int64Range(l.LogStartOffset()-1, m.end+1).Draw(t, "to")
	l.MoveHighWatermark(to)
	require.Equal(t, max(l.LogStartOffset(), min(to, m.end)), l.HighWatermark())
	m.high = max(m.high, l.HighWatermark())
}

func (m *replicaMachine) RaiseLogStart(t *rapid.T) {
	l := m.d.log
	if l.Truncating() {
		t.Skip("the log is being cut")
	}
	offset := rapid.Int64Range(l.LogStartOffset(), l.HighWatermark()).Draw(t, "offset")
	l.DeleteRecordsBefore(m.d.now, offset, &m.d.orders)
	m.d.take()
}

func (m *replicaMachine) Tick(t *rapid.T) {
	m.d.advance(rapid.SampledFrom([]int64{0, 10, 300_000}).Draw(t, "millis"))
	if m.d.now.Mono >= m.d.log.Deadline() {
		m.d.tick()
		require.Greater(t, m.d.log.Deadline(), m.d.now.Mono, "a tick does what it was for")
	}
}

func (m *replicaMachine) Checkpoint(*rapid.T) {
	l := m.d.log
	m.d.checkpoint()
	m.start = l.LogStartOffset()
	if l.mark != nil {
		m.start = min(m.start, l.mark.offset)
	}
	if m.cut != nil {
		m.start = min(m.start, m.cut.at)
	}
}

func (m *replicaMachine) Fetch(t *rapid.T) {
	l := m.d.log
	from := rapid.Int64Range(l.LogStartOffset(), m.end).Draw(t, "from")
	bound := rapid.SampledFrom([]int64{l.HighWatermark(), m.end}).Draw(t, "bound")
	slice, _ := l.SliceFrom(from, bound)
	m.fetch(t, &slice, from, min(bound, l.readable()))
}

// fetch reads once what may be read from an offset.
func (m *replicaMachine) fetch(t *rapid.T, slice *Slice, from, bound int64) {
	maxBytes := rapid.Int32Range(0, 600).Draw(t, "max bytes")
	found, err := slice.Locate(m.d.reader, maxBytes, true)
	require.NoError(t, err)
	got := m.d.read(found)
	i := slices.IndexFunc(m.batches, func(h batch.Header) bool { return h.NextOffset() > from })
	if i < 0 || m.batches[i].NextOffset() > bound {
		require.Empty(t, got)
		return
	}
	require.GreaterOrEqual(t, len(got), len(m.bytes[i]), "a fetch gets on")
	for ; len(got) > 0; i++ {
		require.LessOrEqual(t, m.batches[i].NextOffset(), bound)
		n := min(len(got), len(m.bytes[i]))
		require.True(t, bytes.Equal(m.bytes[i][:n], got[:n]), "the bytes are those appended")
		got = got[n:]
	}
}

// Restart stops the log cleanly and opens it again.
func (m *replicaMachine) Restart(t *rapid.T) {
	l := m.d.log
	l.Close(m.d.now, &m.d.orders)
	m.d.take()
	if c := m.cut; c != nil && c.inside > 0 { // what was to follow is not appended
		c.end, c.inside = c.at, 0
	}
	m.d.settle()
	require.True(t, l.Closed())
	m.cutDone(t)
	m.d.checkpoint()
	if rapid.Bool().Draw(t, "power lost after the stop") {
		m.d.files.crash(false)
	}
	start, high := l.LogStartOffset(), l.HighWatermark()
	r, err := m.d.start(true)
	require.NoError(t, err)
	require.Empty(t, r.Text)
	require.Nil(t, m.d.log.mark)
	require.Equal(t, [3]int64{start, high, m.end}, [3]int64{
		m.d.log.LogStartOffset(), m.d.log.HighWatermark(), m.d.log.LogEndOffset(),
	})
	m.start, m.high = start, high
}

// Crash ends the process or the machine, and recovers.
func (m *replicaMachine) Crash(t *rapid.T) {
	l := m.d.log
	held := l.RecoveryPoint()
	if m.d.cfg.Durability == Fsync {
		held = l.HeldEndOffset()
	}
	cutting := l.cut != nil && l.cut.ordered
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
	_, err := m.d.start(false)
	require.NoError(t, err)
	l = m.d.log
	end := l.LogEndOffset()
	c := m.cut
	if m.cut = nil; c != nil {
		m.start = min(m.start, c.at)
	}
	switch {
	case c == nil:
		require.GreaterOrEqual(t, end, held, "what was held is kept")
	case c.inside > 0 && end == c.at && l.Size() == 0:
		m.begin()
	case c.inside > 0:
		m.modelLog = c.before
	case cutting && c.restart && end == c.end && l.Size() == 0:
		m.begin()
	case cutting && !c.restart:
		require.GreaterOrEqual(t, end, min(held, c.end))
	case !cutting:
		require.GreaterOrEqual(t, end, held, "what was held is kept")
	}
	require.LessOrEqual(t, end, m.end)
	require.GreaterOrEqual(t, l.LogStartOffset(), min(m.start, end))
	m.afterCrash(t)
}

// afterCrash compares what was recovered with the batches.
func (m *replicaMachine) afterCrash(t *rapid.T) {
	l := m.d.log
	m.forget(l.LogEndOffset())
	if n := len(m.batches); n == 0 || l.Size() == 0 {
		m.begin() // what is left of the producers is all there is
	} else {
		require.Equal(t, l.LogEndOffset(), m.batches[n-1].NextOffset(), "it ends with a batch")
	}
	require.LessOrEqual(t, l.HighWatermark(), max(m.high, l.LogStartOffset()),
		"a high watermark of batches that were cut is forgotten")
	m.high = max(m.high, l.HighWatermark())
	m.start = min(m.start, l.LogStartOffset())
	m.epoch = max(m.epoch, l.LatestEpoch())
	for from := l.LogStartOffset(); from < m.end; {
		i := slices.IndexFunc(m.batches, func(h batch.Header) bool { return h.NextOffset() > from })
		slice, _ := l.SliceFrom(from, m.end)
		m.fetch(t, &slice, from, m.end)
		from = m.batches[i].NextOffset()
	}
}

func (m *replicaMachine) crashInRecovery(t *rapid.T) bool {
	m.d.files.budget = rapid.IntRange(0, 10).Draw(t, "recovery operations")
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

// Check compares all of the state that can be seen.
func (m *replicaMachine) Check(t *rapid.T) {
	l := m.d.log
	l.checkAll()
	require.LessOrEqual(t, l.RecoveryPoint(), l.LogEndOffset())
	if l.Truncating() {
		return
	}
	require.Equal(t, m.end, l.LogEndOffset())
	last := int32(-1)
	for i := range m.batches {
		h := &m.batches[i]
		last = h.PartitionLeaderEpoch
		if h.BaseOffset >= l.LogStartOffset() {
			require.Equal(t, last, l.EpochOf(h.BaseOffset), "epoch of offset %d", h.BaseOffset)
		}
	}
	if m.end > l.LogStartOffset() {
		require.Equal(t, last, l.EpochOf(m.end-1))
	}
	want := newProducers(m.d.set)
	require.NoError(t, want.loadSnapshot(m.origin, m.d.now.Wall))
	for i := range m.batches {
		h := &m.batches[i]
		if !h.IsControl() {
			want.apply(h, h.BaseOffset)
		} else if marker, ok, _ := batch.ParseMarker(m.bytes[i], h); ok {
			want.applyMarker(&marker, h.BaseOffset)
		}
	}
	require.Equal(t, want.list(m.d.now.Wall), l.Producers(m.d.now))
	require.True(t, slices.Equal(want.ongoing, l.producers.ongoing),
		fmt.Sprint(want.ongoing, l.producers.ongoing))
}

// A replica's log does what a list of batches does, whatever the leaders say and the disk
// does in between.
func TestReplicaAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newReplicaMachine(t, mutant.Set{})
		t.Repeat(rapid.StateMachineActions(m))
	})
}

// A log that is abandoned while it waits to be cut is not cut, and one that is cut already
// ends with that.
func TestAbandonWhileTruncating(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		d := newDevice()
		_, err := d.start(true)
		require.NoError(t, err)
		var b Batches
		require.NoError(t, b.Parse(append(replicated(t, "at=0"), replicated(t, "at=1")...)))
		require.NoError(t, d.log.AppendReplicated(d.now, &b, &d.orders))
		d.take()
		if ordered {
			d.settle()
		}
		d.log.TruncateTo(d.now, 1, &d.orders)
		d.take()
		d.log.Abandon()
		require.Equal(t, ordered, d.log.Truncating())
		require.False(t, d.log.Idle())
		d.settle()
		require.True(t, d.log.Idle())
		require.False(t, d.log.Truncating())
	}
}
