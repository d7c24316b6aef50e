package log

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/mutant"
)

const transactionalBit = 0x10

func producerSettings() *Settings {
	return &Settings{SequenceMax: math.MaxInt32, ProducerExpirationMillis: 86_400_000}
}

func dataHeader(producerID int64, epoch int16, sequence, records int32) *batch.Header {
	return &batch.Header{
		ProducerID: producerID, ProducerEpoch: epoch, BaseSequence: sequence,
		LastOffsetDelta: records - 1, RecordCount: records, MaxTimestamp: 1000, Magic: 2,
	}
}

// TestProducers runs the scripts of the rules for producers.
//
//	append pid epoch seq n [txn] [ts=]   check a batch, and apply it at the end
//	commit|abort pid epoch [coordinator=] [ts=]   a marker at the end
//	replicated to=    the high watermark
//	delete before=    the log start offset
//	expire now=
//	reload now=       snapshot, then load it
//	list now=
func TestProducers(t *testing.T) {
	datadriven.Walk(t, "testdata/producers", func(t *testing.T, path string) {
		var p *producers
		end, highWatermark, start := int64(0), int64(0), int64(0)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "new" {
				p = newProducers(producerSettings())
				end, highWatermark, start = 0, 0, 0
				if d.HasArg("max") {
					d.ScanArgs(t, "max", &p.set.SequenceMax)
				}
				return ""
			}
			now := int64(0)
			if d.HasArg("now") {
				d.ScanArgs(t, "now", &now)
			}
			answer := ""
			switch d.Cmd {
			case "append":
				answer = scriptAppend(t, d, p, &end)
			case "commit", "abort":
				answer = scriptMarker(t, d, p, &end)
			case "replicated":
				d.ScanArgs(t, "to", &highWatermark)
				p.replicatedTo(highWatermark)
			case "delete":
				d.ScanArgs(t, "before", &start)
				p.replicatedTo(start)
			case "expire":
				p.expire(clock.Wall(now))
			case "reload":
				data := p.snapshot()
				p = newProducers(p.set)
				require.NoError(t, p.loadSnapshot(data, clock.Wall(now)))
			case "list":
				return scriptList(p.list(clock.Wall(now)))
			default:
				t.Fatalf("unknown command %s", d.Cmd)
			}
			stable := p.lastStableOffset(start, highWatermark)
			return answer + fmt.Sprintf("end=%d lastStable=%d\n", end, stable)
		})
	})
}

func scriptAppend(t *testing.T, d *datadriven.TestData, p *producers, end *int64) string {
	var pid int64
	var epoch, seq, n, ts int
	d.ScanArgs(t, "pid", &pid)
	d.ScanArgs(t, "epoch", &epoch)
	d.ScanArgs(t, "seq", &seq)
	d.ScanArgs(t, "n", &n)
	h := dataHeader(pid, int16(epoch), int32(seq), int32(n))
	if d.HasArg("ts") {
		d.ScanArgs(t, "ts", &ts)
		h.MaxTimestamp = int64(ts)
	}
	if d.HasArg("txn") {
		h.Attributes |= transactionalBit
	}
	original, code, why := p.check(h)
	switch {
	case code != errcode.None:
		require.Nil(t, original)
		return fmt.Sprintf("error %d: %s\n", code, why)
	case original != nil:
		return fmt.Sprintf("duplicate of %d to %d at %d\n",
			original.baseOffset(), original.endOffset(), original.timestamp)
	}
	p.apply(h, *end)
	*end += int64(n)
	return ""
}

func scriptMarker(t *testing.T, d *datadriven.TestData, p *producers, end *int64) string {
	m := batch.Marker{Timestamp: 1000, Commit: d.Cmd == "commit"}
	var epoch int
	d.ScanArgs(t, "pid", &m.ProducerID)
	d.ScanArgs(t, "epoch", &epoch)
	m.ProducerEpoch = int16(epoch)
	if d.HasArg("coordinator") {
		d.ScanArgs(t, "coordinator", &m.CoordinatorEpoch)
	}
	if d.HasArg("ts") {
		d.ScanArgs(t, "ts", &m.Timestamp)
	}
	aborted, ok := p.applyMarker(&m, *end)
	*end++
	if !ok {
		return ""
	}
	return fmt.Sprintf("aborted pid=%d first=%d last=%d lastStable=%d\n",
		aborted.producerID, aborted.firstOffset, aborted.lastOffset, aborted.lastStableOffset)
}

func scriptList(states []ProducerState) string {
	var s strings.Builder
	for _, p := range states {
		fmt.Fprintf(&s, "pid=%d epoch=%d lastSequence=%d ts=%d coordinator=%d txn=%d\n",
			p.ProducerID, p.ProducerEpoch, p.LastSequence, p.LastTimestamp, p.CoordinatorEpoch,
			p.CurrentTxnStartOffset)
	}
	if s.Len() == 0 {
		return "none\n"
	}
	return s.String()
}

// snapshotGolden are three producers as Kafka's ProducerSnapshot schema lays them
// out: one with a batch, one that only a marker is known of, one with an open
// transaction.
const snapshotGolden = "0001e3e37b71" +
	"00000003" +
	"0000000000000fa0000200000029000000000000006b000000030000018bcfe5687bffffffffffffffffffffffff" +
	"0000000000000fa10000ffffffffffffffffffffffff000000000000018bcfe569c800000007ffffffffffffffff" +
	"0000000000000fa200057fffffff0000000000000063000000000000018bcfe56b15000000030000000000000062"

func TestSnapshotGolden(t *testing.T) {
	golden, err := hex.DecodeString(snapshotGolden)
	require.NoError(t, err)
	p := newProducers(producerSettings())
	require.NoError(t, p.loadSnapshot(golden, 1_700_000_001_000))
	require.Equal(t, []ProducerState{
		{
			ProducerID: 4000, ProducerEpoch: 2, LastSequence: 41, LastTimestamp: 1_700_000_000_123,
			CoordinatorEpoch: -1, CurrentTxnStartOffset: -1,
		},
		{
			ProducerID: 4001, ProducerEpoch: 0, LastSequence: -1, LastTimestamp: 1_700_000_000_456,
			CoordinatorEpoch: 7, CurrentTxnStartOffset: -1,
		},
		{
			ProducerID: 4002, ProducerEpoch: 5, LastSequence: math.MaxInt32,
			LastTimestamp: 1_700_000_000_789, CoordinatorEpoch: 3, CurrentTxnStartOffset: 98,
		},
	}, p.list(1_700_000_001_000))
	require.Equal(t, int64(98), p.firstUnstableOffset())
	require.Equal(t, golden, p.snapshot())

	original, code, _ := p.check(dataHeader(4000, 2, 38, 4))
	require.Equal(t, errcode.None, code)
	require.Equal(t, int64(104), original.baseOffset())
}

func TestSnapshotDamage(t *testing.T) {
	golden, err := hex.DecodeString(snapshotGolden)
	require.NoError(t, err)
	p := newProducers(producerSettings())
	require.NoError(t, p.loadSnapshot(golden, 0))
	before := p.list(0)
	for i := range golden {
		damaged := slices.Clone(golden)
		damaged[i] ^= 0x10
		require.Error(t, p.loadSnapshot(damaged, 0), "byte %d", i)
		require.Error(t, p.loadSnapshot(golden[:i], 0), "cut at %d", i)
	}
	require.Error(t, p.loadSnapshot(append(slices.Clone(golden), 0), 0))
	require.Equal(t, before, p.list(0), "after an error the state is as it was")
}

func TestProducersAllocateNothing(t *testing.T) {
	p := newProducers(producerSettings())
	h := dataHeader(7, 0, 0, 10)
	p.apply(h, 0)
	offset := int64(10)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		h.BaseSequence += 10
		if _, code, _ := p.check(h); code != errcode.None {
			panic(code)
		}
		p.apply(h, offset)
		if original, _, _ := p.check(h); original == nil {
			panic("not found to be a duplicate")
		}
		p.replicatedTo(offset)
		offset += 10
	}))
}

func TestLastBatchOnlyMutant(t *testing.T) {
	if !mutant.Enabled {
		t.Log("this build has no mutants: the rule itself is tested")
	}
	set := producerSettings()
	set.Mutants = mutant.New(mutant.P1LastBatchOnly)
	p := newProducers(set)
	p.apply(dataHeader(1, 0, 0, 1), 0)
	p.apply(dataHeader(1, 0, 1, 1), 1)
	original, code, _ := p.check(dataHeader(1, 0, 0, 1))
	if mutant.Enabled {
		require.Equal(t, errcode.OutOfOrderSequenceNumber, code)
		require.Equal(t, int64(1), set.Mutants.Hits())
		return
	}
	require.Equal(t, errcode.None, code)
	require.Equal(t, int64(0), original.baseOffset())
}

// producedBatch is what the model below remembers of a batch or marker in the log.
type producedBatch struct {
	h      *batch.Header
	offset int64
	marker *batch.Marker
}

// producedLog is a log as the rules see it, without any state kept.
type producedLog struct {
	batches []producedBatch
	end     int64
}

// open returns the first offset of the producer's open transaction, or noOffset.
func (m *producedLog) open(producerID, before int64) int64 {
	first := int64(noOffset)
	for _, b := range m.batches {
		switch {
		case b.offset >= before || b.h.ProducerID != producerID:
		case b.marker != nil:
			first = noOffset
		case b.h.IsTransactional() && first == noOffset:
			first = b.offset
		}
	}
	return first
}

// lastStable recomputes the last stable offset from the whole log.
func (m *producedLog) lastStable(highWatermark int64) int64 {
	stable := highWatermark
	for _, b := range m.batches {
		if b.marker != nil || !b.h.IsTransactional() {
			continue
		}
		ended := slices.ContainsFunc(m.batches, func(e producedBatch) bool {
			return e.marker != nil && e.h.ProducerID == b.h.ProducerID &&
				e.offset > b.offset && e.offset < highWatermark
		})
		if !ended {
			stable = min(stable, b.offset)
		}
	}
	return stable
}

// last returns the producer's batches of its present epoch, at most five.
func (m *producedLog) last(producerID int64) (epoch int16, batches []producedBatch) {
	epoch = -1
	for _, b := range m.batches {
		if b.h.ProducerID != producerID {
			continue
		}
		if b.h.ProducerEpoch != epoch {
			epoch, batches = b.h.ProducerEpoch, nil
		}
		if b.marker == nil {
			batches = append(batches, b)
		}
	}
	return epoch, batches[max(0, len(batches)-producerBatchesKept):]
}

// TestProducersFollowTheLog compares the state that is kept with what follows from
// the whole log, and with what is rebuilt from any snapshot and the rest.
func TestProducersFollowTheLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := producerSettings()
		set.SequenceMax = 63
		p, m := newProducers(set), &producedLog{}
		highWatermark := int64(0)
		snapshotAt, snapshot := 0, p.snapshot()
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				h := dataHeader(rapid.Int64Range(0, 2).Draw(t, "pid"),
					int16(rapid.IntRange(0, 2).Draw(t, "epoch")), 0,
					rapid.Int32Range(1, 5).Draw(t, "n"))
				epoch, batches := m.last(h.ProducerID)
				if len(batches) > 0 && rapid.Bool().Draw(t, "likely") {
					b := rapid.SampledFrom(batches).Draw(t, "batch")
					h.ProducerEpoch, h.BaseSequence = epoch, b.h.BaseSequence
					h.RecordCount, h.LastOffsetDelta = b.h.RecordCount, b.h.LastOffsetDelta
					if rapid.Bool().Draw(t, "next") {
						h.BaseSequence = batches[len(batches)-1].h.LastSequence(63) + 1
						h.BaseSequence %= 64
					}
				}
				if rapid.Bool().Draw(t, "transactional") {
					h.Attributes |= transactionalBit
				}
				m.checkAppend(t, p, h)
			},
			"marker": func(t *rapid.T) {
				pid := rapid.Int64Range(0, 2).Draw(t, "pid")
				epoch, _ := m.last(pid)
				marker := &batch.Marker{
					ProducerID: pid, Timestamp: 1000, Commit: rapid.Bool().Draw(t, "commit"),
					ProducerEpoch: max(epoch, 0) + int16(rapid.IntRange(0, 1).Draw(t, "bump")),
				}
				first := m.open(pid, m.end)
				aborted, ok := p.applyMarker(marker, m.end)
				require.Equal(t, first != noOffset && !marker.Commit, ok)
				m.batches = append(m.batches, producedBatch{
					h:      &batch.Header{ProducerID: pid, ProducerEpoch: marker.ProducerEpoch},
					offset: m.end, marker: marker,
				})
				m.end++
				if ok {
					require.Equal(t, abortedTxn{
						producerID: pid, firstOffset: first, lastOffset: m.end - 1,
						lastStableOffset: m.lastStable(m.end),
					}, aborted)
				}
			},
			"replicate": func(t *rapid.T) {
				highWatermark = rapid.Int64Range(highWatermark, m.end).Draw(t, "highWatermark")
				p.replicatedTo(highWatermark)
			},
			"snapshot": func(*rapid.T) { snapshotAt, snapshot = len(m.batches), p.snapshot() },
			"": func(t *rapid.T) {
				require.Equal(t, m.lastStable(highWatermark), p.lastStableOffset(0, highWatermark))
				rebuilt := newProducers(set)
				require.NoError(t, rebuilt.loadSnapshot(snapshot, 0))
				for _, b := range m.batches[snapshotAt:] {
					if b.marker != nil {
						rebuilt.applyMarker(b.marker, b.offset)
					} else {
						rebuilt.apply(b.h, b.offset)
					}
				}
				require.Equal(t, p.list(0), rebuilt.list(0))
				require.Equal(t, p.snapshot(), rebuilt.snapshot())
				require.True(t, slices.Equal(p.ongoing, rebuilt.ongoing))
			},
		})
	})
}

// checkAppend appends a batch if it may be, and checks the answer against the rules
// applied to the whole log.
func (m *producedLog) checkAppend(t *rapid.T, p *producers, h *batch.Header) {
	epoch, batches := m.last(h.ProducerID)
	known := epoch >= 0
	original, code, _ := p.check(h)
	i := slices.IndexFunc(batches, func(b producedBatch) bool {
		return h.ProducerEpoch == epoch && b.h.BaseSequence == h.BaseSequence &&
			b.h.LastOffsetDelta == h.LastOffsetDelta
	})
	if i >= 0 {
		require.NotNil(t, original)
		require.Equal(t, batches[i].offset, original.baseOffset())
		return
	}
	require.Nil(t, original)
	expected := int32(0)
	if len(batches) > 0 && h.ProducerEpoch == epoch {
		expected = (batches[len(batches)-1].h.LastSequence(63) + 1) % 64
	}
	switch {
	case known && h.ProducerEpoch < epoch:
		require.Equal(t, errcode.InvalidProducerEpoch, code)
	case known && h.BaseSequence != expected:
		require.Equal(t, errcode.OutOfOrderSequenceNumber, code)
	case m.open(h.ProducerID, m.end) != noOffset && !h.IsTransactional():
		require.Equal(t, errcode.InvalidTxnState, code)
	default:
		require.Equal(t, errcode.None, code)
		p.apply(h, m.end)
		m.batches = append(m.batches, producedBatch{h: h, offset: m.end})
		m.end += int64(h.RecordCount)
	}
}

func TestTxnIndex(t *testing.T) {
	txns := []abortedTxn{
		{producerID: 9, firstOffset: 3, lastOffset: 12, lastStableOffset: 5},
		{producerID: 1 << 40, firstOffset: 5, lastOffset: 20, lastStableOffset: 21},
	}
	var data []byte
	for _, txn := range txns {
		data = appendAbortedTxn(data, txn)
	}
	golden := "0000" + "0000000000000009" + "0000000000000003" +
		"000000000000000c" + "0000000000000005" +
		"0000" + "0000010000000000" + "0000000000000005" +
		"0000000000000014" + "0000000000000015"
	require.Equal(t, golden, hex.EncodeToString(data))
	parsed, err := parseTxnIndex(data, 10)
	require.NoError(t, err)
	require.Equal(t, txns, parsed)

	_, err = parseTxnIndex(data, 13)
	require.ErrorContains(t, err, "transaction from 3 to 12 after 12", "a marker below")
	_, err = parseTxnIndex(data[:67], 10)
	require.ErrorContains(t, err, "torn")
	_, err = parseTxnIndex(append(slices.Clone(data), data[:34]...), 10)
	require.ErrorContains(t, err, "after 20", "markers increase")
	data[1] = 1
	_, err = parseTxnIndex(data, 10)
	require.ErrorContains(t, err, "version 1")
}

func FuzzSnapshot(f *testing.F) {
	golden, err := hex.DecodeString(snapshotGolden)
	require.NoError(f, err)
	f.Add(golden)
	f.Fuzz(func(t *testing.T, data []byte) {
		p := newProducers(producerSettings())
		if p.loadSnapshot(data, math.MinInt64/2) == nil {
			again := newProducers(producerSettings())
			require.NoError(t, again.loadSnapshot(p.snapshot(), math.MinInt64/2))
			require.Equal(t, p.list(math.MinInt64/2), again.list(math.MinInt64/2))
		}
	})
}

func FuzzTxnIndex(f *testing.F) {
	f.Add(appendAbortedTxn(nil, abortedTxn{producerID: 1, firstOffset: 2, lastOffset: 3}), int64(0))
	f.Fuzz(func(t *testing.T, data []byte, base int64) {
		txns, err := parseTxnIndex(data, base)
		if err != nil {
			return
		}
		var again []byte
		for _, txn := range txns {
			again = appendAbortedTxn(again, txn)
		}
		require.Equal(t, string(data), string(again))
	})
}
