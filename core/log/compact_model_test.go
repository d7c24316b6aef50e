package log

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
)

// keptRecord is a record as a model remembers it.
type keptRecord struct {
	key, value string // with a mark before it, or "" for null
	headers    string
	timestamp  int64
	producerID int64
	txn        bool
}

// compactModel is all that was ever appended to a log.
type compactModel struct {
	*compactLog
	records    map[int64]keptRecord // by offset
	aborted    map[int64]bool       // offsets of aborted records
	open       map[int64][]int64    // offsets of open transactions, by producer
	sequences  map[int64]int32
	epochs     map[int64]int16
	tombstones map[int64]int64 // when a compaction met one first
	now        clock.Wall
}

func newCompactModel(t *rapid.T) *compactModel {
	m := &compactModel{
		compactLog: newCompactLog(), records: map[int64]keptRecord{}, aborted: map[int64]bool{},
		open: map[int64][]int64{}, sequences: map[int64]int32{}, epochs: map[int64]int16{},
		tombstones: map[int64]int64{}, now: 1,
	}
	m.cfg.SegmentBytes = rapid.Int64Range(300, 2000).Draw(t, "segment.bytes")
	m.cfg.SegmentIndexBytes = rapid.Int32Range(40, 400).Draw(t, "segment.index.bytes")
	m.cfg.DeleteRetentionMillis = rapid.Int64Range(0, 50).Draw(t, "delete.retention.ms")
	m.set.CleanerIOBufferBytes = rapid.IntRange(1, 600).Draw(t, "io buffer")
	m.set.CleanerDedupeBufferBytes = rapid.Int64Range(1, 600).Draw(t, "dedupe buffer")
	m.set.SequenceMax = 255
	return m
}

// appendBatch appends a batch of random records.
func (m *compactModel) appendBatch(t *rapid.T) {
	o := batch.Options{
		Compression: rapid.SampledFrom([]batch.Compression{
			batch.Uncompressed, batch.Uncompressed, batch.Gzip, batch.Zstd,
		}).Draw(t, "codec"),
	}
	n := rapid.IntRange(1, 5).Draw(t, "records")
	if pid := rapid.SampledFrom([]int64{-1, 0, 1, -1, 2, 3, 4, 5}).Draw(t, "pid"); pid >= 0 {
		o.HasProducer, o.ProducerID = true, pid
		o.ProducerEpoch, o.BaseSequence = m.epochs[pid], m.sequences[pid]
		o.Transactional = len(m.open[pid]) > 0 || rapid.Bool().Draw(t, "txn")
		m.sequences[pid] = (m.sequences[pid] + int32(n)) % 256
	}
	if rapid.SampledFrom([]int{1, 2, 3, 0}).Draw(t, "log append time") == 0 {
		o.TimestampType, o.LogAppendTime = batch.LogAppendTime, int64(m.now)
	}
	var b batch.Builder
	b.Reset(&o)
	for i := range n {
		r := keptRecord{
			timestamp:  int64(m.now) + rapid.Int64Range(-3, 3).Draw(t, "ts"),
			producerID: o.ProducerID, txn: o.Transactional,
			headers: fmt.Sprintf("[h:%d]", i),
		}
		var key, value []byte
		if rapid.SampledFrom([]int{1, 2, 3, 4, 0}).Draw(t, "keyed") > 0 {
			key = []byte(rapid.SampledFrom([]string{"", "a", "b", "c", "dd", "ee"}).Draw(t, "key"))
			r.key = "k" + string(key)
		}
		if rapid.SampledFrom([]int{1, 2, 3, 0}).Draw(t, "valued") > 0 {
			value = []byte(fmt.Sprint(m.end + int64(i)))
			r.value = "v" + string(value)
		}
		b.Append(r.timestamp, key, value, []batch.RecordHeader{
			{Key: []byte("h"), Value: []byte(fmt.Sprint(i))},
		})
		if o.TimestampType == batch.LogAppendTime {
			r.timestamp = o.LogAppendTime
		}
		m.records[m.end+int64(i)] = r
		if o.Transactional {
			m.open[o.ProducerID] = append(m.open[o.ProducerID], m.end+int64(i))
		}
	}
	data, err := b.Finish(nil, flipCodec{})
	require.NoError(t, err)
	m.append(t, data)
}

// appendMarker ends the transaction of a producer, and perhaps bumps its epoch.
func (m *compactModel) appendMarker(t *rapid.T, pid int64) {
	commit := rapid.Bool().Draw(t, "commit")
	if rapid.SampledFrom([]int{1, 2, 3, 0}).Draw(t, "bump") == 0 {
		m.epochs[pid]++
		m.sequences[pid] = 0
	}
	for _, offset := range m.open[pid] {
		m.aborted[offset] = !commit
	}
	delete(m.open, pid)
	m.append(t, batch.AppendMarker(nil, &batch.Marker{
		ProducerID: pid, ProducerEpoch: m.epochs[pid], Timestamp: int64(m.now), Commit: commit,
	}))
}

// cleanable returns how many segments may be compacted: those that are stable.
func (m *compactModel) cleanable() int {
	m.producers.replicatedTo(m.end)
	stable := m.producers.lastStableOffset(0, m.end)
	n := 0
	for n < len(m.closed) && m.closed[n].end <= stable {
		n++
	}
	return n
}

// values folds committed records into the last value of each key, up to an offset.
func (m *compactModel) values(records map[int64]keptRecord) map[string]string {
	values := map[string]string{}
	for _, offset := range slices.Sorted(maps.Keys(records)) {
		r := records[offset]
		if r.key == "" || m.aborted[offset] {
			continue
		}
		values[r.key] = r.value
		if r.value == "" {
			delete(values, r.key)
		}
	}
	return values
}

// found is what stands in the files.
type found struct {
	records   map[int64]keptRecord
	producers *producers // rebuilt from the batches
	aborted   []abortedTxn
}

// readAll reads a whole log and checks its form.
func (m *compactModel) readAll(t testingT, segments []*segment) *found {
	f := &found{records: map[int64]keptRecord{}, producers: newProducers(m.set)}
	reader := batch.Reader{Codec: flipCodec{}, BytesMax: math.MaxInt32}
	next := int64(0)
	for i, s := range segments {
		require.GreaterOrEqual(t, s.base, next)
		data, _ := m.files.get(segmentPath(m.dir, s.base, logSuffix))
		require.Len(t, data, int(s.size))
		var h batch.Header
		for ; len(data) > 0; data = data[h.Size:] {
			require.NoError(t, batch.Parse(data, &h))
			require.True(t, batch.ValidCRC(data, &h))
			require.GreaterOrEqual(t, h.BaseOffset, next, "offsets increase")
			next = h.NextOffset()
			if h.IsControl() {
				marker, ok, err := batch.ParseMarker(data, &h)
				require.NoError(t, err)
				require.Equal(t, h.RecordCount > 0, ok)
				if ok {
					f.producers.applyMarker(&marker, h.BaseOffset)
				}
				continue
			}
			f.producers.apply(&h, h.BaseOffset)
			records, err := reader.Records(data, &h)
			require.NoError(t, err)
			var r batch.Record
			for records.Next(&r) {
				f.records[h.Offset(&r)] = keep(&h, &r)
			}
			require.NoError(t, records.Err())
		}
		require.LessOrEqual(t, next, s.end)
		if i+1 < len(segments) {
			require.LessOrEqual(t, s.end, segments[i+1].base)
		}
		aborted := s.aborted // until the segment is sealed
		if s.state == sealed {
			var err error
			txns, _ := m.files.get(segmentPath(m.dir, s.base, txnIndexSuffix))
			aborted, err = parseTxnIndex(txns, s.base)
			require.NoError(t, err)
		}
		f.aborted = append(f.aborted, aborted...)
	}
	return f
}

func keep(h *batch.Header, r *batch.Record) keptRecord {
	k := keptRecord{timestamp: h.Timestamp(r), txn: h.IsTransactional()}
	if h.HasProducer() {
		k.producerID = h.ProducerID
	}
	if r.Key != nil {
		k.key = "k" + string(r.Key)
	}
	if r.Value != nil {
		k.value = "v" + string(r.Value)
	}
	var header batch.RecordHeader
	for hs := r.Headers; hs.Next(&header); {
		k.headers += fmt.Sprintf("[%s:%s]", header.Key, header.Value)
	}
	return k
}

// check compares the files with everything that was appended.
func (m *compactModel) check(t testingT, segments []*segment) {
	f := m.readAll(t, segments)
	for offset, r := range f.records { // in any order: each is compared by itself
		require.Equal(t, m.records[offset], r, "what is kept does not change")
	}
	require.Equal(t, m.values(m.records), m.values(f.records), "the last values are the same")
	for offset, r := range m.records { // in any order: each is looked up by itself
		_, here := f.records[offset]
		met, cleaned := m.tombstones[offset]
		if here || r.key == "" || r.value != "" || m.aborted[offset] ||
			m.replacedBefore(offset, r.key) {
			continue
		}
		require.True(t, cleaned, "the tombstone at %d is gone, and no compaction met it", offset)
		require.GreaterOrEqual(t, int64(m.now), met+m.cfg.DeleteRetentionMillis,
			"the tombstone at %d is gone too early", offset)
	}
	m.checkTransactions(t, f)

	// Producers go on where they were, and what is stable is the same.
	want, got := m.producers.list(0), f.producers.list(0)
	for i := range want {
		want[i].LastTimestamp, want[i].CoordinatorEpoch = 0, 0
	}
	for i := range got {
		got[i].LastTimestamp, got[i].CoordinatorEpoch = 0, 0
	}
	require.Equal(t, want, got)
	f.producers.replicatedTo(m.end)
	m.producers.replicatedTo(m.end)
	require.True(t, slices.Equal(m.producers.ongoing, f.producers.ongoing))
}

// replacedBefore says that a later committed record has the key.
func (m *compactModel) replacedBefore(offset int64, key string) bool {
	for later, r := range m.records { // in any order: one is enough
		if later > offset && r.key == key && !m.aborted[later] {
			return true
		}
	}
	return false
}

// checkTransactions makes sure that consumers still know which records were aborted.
func (m *compactModel) checkTransactions(t testingT, f *found) {
	for offset, r := range f.records { // in any order: each is looked up by itself
		listed := slices.ContainsFunc(f.aborted, func(txn abortedTxn) bool {
			return txn.producerID == r.producerID && r.txn &&
				txn.firstOffset <= offset && offset < txn.lastOffset
		})
		require.Equal(t, m.aborted[offset], listed, "aborted at %d", offset)
	}
}

// meet notes the tombstones that a compaction looks at.
func (m *compactModel) meet(segments []compactSource, end int64) {
	for _, s := range segments {
		for offset := s.base; offset < min(s.end, end); offset++ {
			if _, met := m.tombstones[offset]; !met {
				m.tombstones[offset] = int64(m.now)
			}
		}
	}
}

// step does one random thing to the log other than compacting it.
func (m *compactModel) step(t *rapid.T) {
	switch rapid.SampledFrom([]string{
		"batch", "marker", "batch", "roll", "batch", "marker", "batch", "batch",
	}).Draw(t, "step") {
	case "marker":
		pid := rapid.SampledFrom([]int64{2, 0, 1, 3, 4, 5}).Draw(t, "pid")
		if len(m.open[pid]) > 0 || rapid.Bool().Draw(t, "needless") {
			m.appendMarker(t, pid)
		}
	case "roll":
		if m.active.size > 0 {
			m.roll(t)
		}
	default:
		m.appendBatch(t)
	}
}

// finish ends most open transactions, so that there is something to compact.
func (m *compactModel) finish(t *rapid.T) {
	for _, pid := range slices.Sorted(maps.Keys(m.open)) {
		if rapid.SampledFrom([]int{1, 2, 3, 0}).Draw(t, "end") > 0 {
			m.appendMarker(t, pid)
		}
	}
	if m.active.size > 0 {
		m.roll(t)
	}
}

// TestCompactionKeepsWhatCounts compacts a random log again and again, and compares
// it with everything that was ever appended.
func TestCompactionKeepsWhatCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newCompactModel(t)
		t.Repeat(map[string]func(*rapid.T){
			"step": m.step,
			"more": m.step,
			"compact": func(t *rapid.T) {
				m.now += clock.Wall(rapid.IntRange(0, 60).Draw(t, "time"))
				m.finish(t)
				n := m.cleanable()
				if n > 0 {
					n = rapid.IntRange(1, n).Draw(t, "segments")
				}
				if n == 0 || m.closed[n-1].end < m.firstDirty {
					return
				}
				j := m.job(n, m.now)
				result, err := j.Run(&Devices{Files: m.files, Codec: flipCodec{}})
				require.NoError(t, err)
				r := result.(*Compacted)
				require.Empty(t, r.Uncleanable)
				if m.firstDirty < m.closed[n-1].end {
					require.Greater(t, r.FirstDirty, m.firstDirty, "every round gets on")
				}
				m.meet(j.segments, math.MaxInt64)
				m.take(t, r)
				m.files.syncAll()
			},
			"": func(t *rapid.T) { m.check(t, append(slices.Clone(m.closed), m.active)) },
		})
	})
}

// TestCompactionCrash crashes a compaction at any operation. Recovery must find a
// log that keeps what counts, and compacting it again must come to an end.
func TestCompactionCrash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newCompactModel(t)
		for range rapid.IntRange(20, 60).Draw(t, "steps") {
			m.step(t)
		}
		m.finish(t)
		n := m.cleanable()
		if n == 0 {
			return
		}
		m.meet(m.job(n, m.now).segments, math.MaxInt64)
		before := m.files
		stride := rapid.SampledFrom([]int{13, 11, 7}).Draw(t, "stride")
		for budget := rapid.IntRange(0, stride).Draw(t, "first"); ; budget += stride {
			m.files = before.clone()
			m.files.budget = budget
			_, err := m.job(n, m.now).Run(&Devices{Files: m.files, Codec: flipCodec{}})
			m.crash(t)
			point := rapid.SampledFrom([]int64{m.end, 0}).Draw(t, "recovery point")
			m.files.budget = rapid.IntRange(0, 12).Draw(t, "recovery")
			_, again := m.recovery(point).Run(&Devices{Files: m.files, Codec: flipCodec{}})
			require.True(t, again == nil || errors.Is(again, errCrashed), "%v", again)
			m.crash(t)
			m.recover(t, point)
			if err == nil {
				break
			}
			require.True(t, errors.Is(err, errCrashed), "%v", err)
		}
	})
}

func (m *compactModel) crash(t *rapid.T) {
	switch rapid.SampledFrom([]string{"process", "power", "torn"}).Draw(t, "crash") {
	case "process":
		m.files.crash(true)
	case "power":
		m.files.crash(false)
	case "torn":
		m.files.crashTorn(t)
	}
}

// recovery is the job that recovers the log.
func (m *compactModel) recovery(point int64) *Recover {
	j := &Recover{
		Dir: m.dir, Config: m.cfg, Settings: m.set, HighWatermark: m.end,
		RecoveryPoint: point,
	}
	j.Now.Wall = m.now
	return j
}

// recover recovers the log, checks it, compacts what is found and checks that.
func (m *compactModel) recover(t *rapid.T, point int64) {
	saved := *m.compactLog
	defer func() { *m.compactLog = saved }()
	devices := &Devices{Files: m.files, Codec: flipCodec{}}
	result, err := m.recovery(point).Run(devices)
	require.NoError(t, err)
	r := result.(*Recovered)
	last := len(r.segments) - 1
	require.Equal(t, m.end, r.segments[last].end, "nothing is lost")
	m.check(t, r.segments)
	require.True(t, slices.Equal(m.producers.ongoing, r.producers.ongoing))

	m.closed, m.active, m.producers = slices.Clone(r.segments[:last]), r.segments[last], r.producers
	for _, s := range m.closed {
		if s.state != sealed {
			require.NoError(t,
				writeIndexes(m.files, m.dir, s.base, s.offsets, s.sealTimes(), s.aborted))
			s.offsetEntries, s.timeEntries, s.state = len(s.offsets), len(s.sealTimes()), sealed
		}
	}
	m.firstDirty = 0
	now := m.now
	defer func() { m.now = now }()
	n := m.cleanable()
	for late := 0; late < 3; n = m.cleanable() { // until what waits is gone as well
		if n == 0 || m.firstDirty == m.closed[n-1].end {
			m.now += clock.Wall(m.cfg.DeleteRetentionMillis)
			late++
		}
		result, err := m.job(n, m.now).Run(devices)
		require.NoError(t, err)
		done := result.(*Compacted)
		require.Empty(t, done.Uncleanable)
		require.True(t, late > 0 || done.FirstDirty > m.firstDirty, "every round gets on")
		m.take(t, done)
		m.check(t, append(slices.Clone(m.closed), m.active))
	}
}
