package log

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
)

// flipCodec is a codec whose output shows whether it was used: every byte is
// flipped, after the codec's number.
type flipCodec struct{}

func (flipCodec) Compress(dst []byte, c batch.Compression, _ int, src []byte) ([]byte, error) {
	dst = append(dst, byte(c))
	for _, b := range src {
		dst = append(dst, ^b)
	}
	return dst, nil
}

func (flipCodec) Decompress(dst []byte, c batch.Compression, src []byte, _ int) ([]byte, error) {
	if len(src) == 0 || src[0] != byte(c) {
		return dst, errors.New("not of this codec")
	}
	for _, b := range src[1:] {
		dst = append(dst, ^b)
	}
	return dst, nil
}

// testingT is what both kinds of tests give.
type testingT interface {
	require.TestingT
	Helper()
}

// compactLog is a log to compact: its files, and what a Log knows of them.
type compactLog struct {
	files      *memFiles
	dir        string
	cfg        *Config
	set        *Settings
	producers  *producers
	closed     []*segment
	active     *segment
	firstDirty int64
	end        int64
}

func newCompactLog() *compactLog {
	c := &compactLog{
		files: newMemFiles(), dir: "t-0",
		cfg: &Config{
			SegmentBytes: 1 << 20, SegmentIndexBytes: 1 << 10, IndexIntervalBytes: 100,
			DeleteRetentionMillis: 1000, CleanupCompact: true,
		},
		set: producerSettings(),
	}
	c.set.CleanerIOBufferBytes, c.set.CleanerDedupeBufferBytes = 256, 1<<20
	c.producers = newProducers(c.set)
	epochs := encodeEpochs([]epochEntry{{}})
	c.files.put(path.Join(c.dir, leaderEpochFile), epochs)
	c.begin()
	return c
}

func (c *compactLog) begin() {
	c.active = newSegment(c.end, 0, c.cfg)
	c.files.put(segmentPath(c.dir, c.end, logSuffix), nil)
}

// append takes in a batch as a leader does.
func (c *compactLog) append(t testingT, data []byte) {
	t.Helper()
	batch.SetBaseOffset(data, c.end)
	var h batch.Header
	require.NoError(t, batch.Parse(data, &h))
	if h.IsControl() {
		m, ok, err := batch.ParseMarker(data, &h)
		require.NoError(t, err)
		require.True(t, ok)
		if aborted, is := c.producers.applyMarker(&m, c.end); is {
			c.active.aborted = append(c.active.aborted, aborted)
		}
	} else {
		c.producers.apply(&h, c.end)
	}
	f, err := c.files.Open(segmentPath(c.dir, c.active.base, logSuffix))
	require.NoError(t, err)
	_, err = f.WriteAt(data, c.active.size)
	require.NoError(t, err)
	c.active.append(h.LastOffset(), h.MaxTimestamp, int64(len(data)), 0)
	c.end = h.NextOffset()
}

// roll seals the active segment.
func (c *compactLog) roll(t testingT) {
	t.Helper()
	s := c.active
	require.NoError(t,
		writeIndexes(c.files, c.dir, s.base, s.offsets, s.sealTimes(), s.aborted))
	c.files.put(segmentPath(c.dir, c.end, snapshotSuffix), c.producers.snapshot())
	s.offsetEntries, s.timeEntries, s.state = len(s.offsets), len(s.sealTimes()), sealed
	s.end = c.end
	c.closed = append(c.closed, s)
	c.begin()
	c.files.syncAll()
}

// job is the compaction of the n oldest segments.
func (c *compactLog) job(n int, now clock.Wall) *Compact {
	j := &Compact{
		dir: c.dir, producers: c.producers.activeProducers(), firstDirty: c.firstDirty,
		now: now, cfg: c.cfg, set: c.set, aborted: slices.Clone(c.active.aborted),
	}
	for i, s := range c.closed {
		if i < n {
			j.segments = append(j.segments, s.source())
		} else {
			j.later = append(j.later, s.base)
		}
	}
	return j
}

// take puts the result of a compaction in place, and checks it against the files.
func (c *compactLog) take(t testingT, r *Compacted) {
	t.Helper()
	c.firstDirty = r.FirstDirty
	for _, p := range r.replaced {
		i := slices.IndexFunc(c.closed, func(s *segment) bool { return s.base == p.bases[0] })
		for k, base := range p.bases {
			require.Equal(t, base, c.closed[i+k].base)
		}
		require.Equal(t, c.closed[i+len(p.bases)-1].end, p.segment.end)
		c.closed = slices.Replace(c.closed, i, i+len(p.bases), p.segment)
		c.checkFiles(t, p.segment)
	}
	for _, name := range r.deleted {
		_, there := c.files.get(name)
		require.True(t, there, name)
		require.NoError(t, c.files.Remove(name))
	}
	for _, line := range c.files.dump() {
		require.LessOrEqual(t, strings.Count(line, "."), 1, "a file is left over")
	}
}

// checkFiles compares what is said of a segment with its files.
func (c *compactLog) checkFiles(t testingT, s *segment) {
	t.Helper()
	data, _ := c.files.get(segmentPath(c.dir, s.base, logSuffix))
	require.Equal(t, s.size, int64(len(data)))
	positions := map[uint32]int64{}
	maxTime, maxTimeOffset, next := int64(-1), int64(-1), s.base
	var h batch.Header
	for pos := 0; pos < len(data); pos += int(h.Size) {
		require.NoError(t, batch.Parse(data[pos:], &h))
		require.True(t, batch.ValidCRC(data[pos:], &h))
		require.GreaterOrEqual(t, h.BaseOffset, next)
		next = h.NextOffset()
		positions[uint32(pos)] = h.LastOffset()
		if h.MaxTimestamp > maxTime {
			maxTime, maxTimeOffset = h.MaxTimestamp, h.LastOffset()
		}
	}
	require.LessOrEqual(t, next, s.end)
	require.Equal(t, maxTime, s.maxTime)
	require.Equal(t, maxTimeOffset, s.maxTimeOffset)

	index, _ := c.files.get(segmentPath(c.dir, s.base, indexSuffix))
	offsets, ok := decodeOffsets(index, s.size)
	require.True(t, ok)
	require.Len(t, offsets, s.offsetEntries)
	for _, e := range offsets {
		require.Equal(t, positions[e.pos], s.base+int64(e.relative))
	}
	index, _ = c.files.get(segmentPath(c.dir, s.base, timeIndexSuffix))
	times, ok := decodeTimes(index)
	require.True(t, ok)
	require.Len(t, times, s.timeEntries)
	if maxTime >= 0 {
		last := times[len(times)-1]
		require.Equal(t, maxTime, last.time)
		require.Equal(t, maxTimeOffset, s.base+int64(last.relative))
	}
}

func (c *compactLog) compact(t testingT, n int, now clock.Wall) *Compacted {
	t.Helper()
	result, err := c.job(n, now).Run(&Devices{Files: c.files, Codec: flipCodec{}})
	require.NoError(t, err)
	c.take(t, result.(*Compacted))
	return result.(*Compacted)
}

// dumpLog lists the segments of a directory with their batches and records.
func dumpLog(t testingT, files *memFiles, dir string) string {
	t.Helper()
	entries, err := files.List(dir)
	require.NoError(t, err)
	var out strings.Builder
	for _, e := range entries {
		base, kind, state, ok := parseSegmentName(e.Name)
		if !ok || kind != logSuffix || state != "" {
			continue
		}
		fmt.Fprintf(&out, "segment %d\n", base)
		if data, _ := files.get(path.Join(dir, e.Name)); len(data) > 0 {
			dumpBatches(t, &out, data)
		}
		data, _ := files.get(segmentPath(dir, base, txnIndexSuffix))
		txns, err := parseTxnIndex(data, base)
		require.NoError(t, err)
		for _, txn := range txns {
			fmt.Fprintf(&out, "  aborted pid=%d %d..%d\n", txn.producerID, txn.firstOffset,
				txn.lastOffset)
		}
	}
	return out.String()
}

func dumpBatches(t testingT, out *strings.Builder, data []byte) {
	t.Helper()
	var h batch.Header
	reader := batch.Reader{Codec: flipCodec{}, BytesMax: math.MaxInt32}
	for ; len(data) > 0; data = data[h.Size:] {
		require.NoError(t, batch.Parse(data, &h))
		require.True(t, batch.ValidCRC(data, &h))
		fmt.Fprintf(out, "  %d..%d", h.BaseOffset, h.LastOffset())
		if h.Codec() != batch.Uncompressed {
			fmt.Fprintf(out, " %s", h.Codec())
		}
		if h.HasProducer() {
			fmt.Fprintf(out, " pid=%d epoch=%d seq=%d", h.ProducerID, h.ProducerEpoch,
				h.BaseSequence)
		}
		if h.IsTransactional() {
			out.WriteString(" txn")
		}
		if h.HasDeleteHorizon() {
			fmt.Fprintf(out, " horizon=%d", h.BaseTimestamp)
		}
		out.WriteString(":")
		records, err := reader.Records(data, &h)
		require.NoError(t, err)
		var r batch.Record
		for records.Next(&r) {
			if h.IsControl() {
				controlType, err := batch.ParseControlKey(r.Key)
				require.NoError(t, err)
				out.WriteString(map[batch.ControlType]string{
					batch.Commit: " commit", batch.Abort: " abort",
				}[controlType])
				continue
			}
			fmt.Fprintf(out, " %d@%d:%s", h.Offset(&r), h.Timestamp(&r), showRecord(&r))
		}
		require.NoError(t, records.Err())
		out.WriteString("\n")
	}
}

func showRecord(r *batch.Record) string {
	key, value := "null", ""
	if r.Key != nil {
		key = string(r.Key)
	}
	if r.Value != nil {
		value = "=" + string(r.Value)
	}
	var h batch.RecordHeader
	for hs := r.Headers; hs.Next(&h); {
		value += fmt.Sprintf("[%s:%s]", h.Key, h.Value)
	}
	return key + value
}

// TestCompaction runs the scripts of the rules for compaction.
//
//	new [segment-bytes=] [buffer=]
//	batch [pid= epoch= seq=] [txn] [codec=] [ts=]    records of the input: k=v, or k
//	commit|abort pid= epoch=
//	roll
//	compact now= [segments=]     all but the active one, or the oldest
func TestCompaction(t *testing.T) {
	datadriven.Walk(t, "testdata/compaction", func(t *testing.T, path string) {
		var c *compactLog
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "new":
				c = newCompactLog()
				scanMaybe(t, d, "segment-bytes", &c.cfg.SegmentBytes)
				scanMaybe(t, d, "buffer", &c.set.CleanerDedupeBufferBytes)
			case "batch":
				c.append(t, scriptBatch(t, d))
			case "commit", "abort":
				m := batch.Marker{Timestamp: 50, Commit: d.Cmd == "commit"}
				var epoch int
				d.ScanArgs(t, "pid", &m.ProducerID)
				d.ScanArgs(t, "epoch", &epoch)
				m.ProducerEpoch = int16(epoch)
				c.append(t, batch.AppendMarker(nil, &m))
			case "expire":
				c.producers.expire(math.MaxInt64)
			case "roll":
				c.roll(t)
			case "compact":
				n, now := len(c.closed), int64(0)
				scanMaybe(t, d, "segments", &n)
				d.ScanArgs(t, "now", &now)
				r := c.compact(t, n, clock.Wall(now))
				return fmt.Sprintf("%s\n%s", r.Stats+r.Uncleanable, dumpLog(t, c.files, c.dir))
			default:
				t.Fatalf("unknown command %s", d.Cmd)
			}
			return ""
		})
	})
}

func scanMaybe(t *testing.T, d *datadriven.TestData, key string, to any) {
	t.Helper()
	if d.HasArg(key) {
		d.ScanArgs(t, key, to)
	}
}

func scriptBatch(t *testing.T, d *datadriven.TestData) []byte {
	t.Helper()
	var epoch, seq int
	var codec string
	o := batch.Options{HasProducer: d.HasArg("pid"), Transactional: d.HasArg("txn")}
	scanMaybe(t, d, "pid", &o.ProducerID)
	scanMaybe(t, d, "epoch", &epoch)
	scanMaybe(t, d, "seq", &seq)
	scanMaybe(t, d, "codec", &codec)
	o.ProducerEpoch, o.BaseSequence = int16(epoch), int32(seq)
	for o.Compression.String() != codec && codec != "" {
		o.Compression++
	}
	ts := int64(10)
	scanMaybe(t, d, "ts", &ts)
	if d.HasArg("log-append-time") {
		o.TimestampType, o.LogAppendTime = batch.LogAppendTime, ts
	}
	var b batch.Builder
	b.Reset(&o)
	for i, text := range strings.Fields(d.Input) {
		key, value, found := bytes.Cut([]byte(text), []byte("="))
		if !found {
			value = nil
		}
		if string(key) == "null" {
			key = nil
		}
		headers := []batch.RecordHeader{{Key: []byte("h"), Value: []byte{'0' + byte(i)}}}
		b.Append(ts+int64(i), key, value, headers)
	}
	data, err := b.Finish(nil, flipCodec{})
	require.NoError(t, err)
	return data
}
