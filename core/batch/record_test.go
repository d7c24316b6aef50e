package batch_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/core/batch"
)

// record returns a record of the given body, with its size before it.
func record(body ...byte) []byte {
	return append(binary.AppendVarint(nil, int64(len(body))), body...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// TestMalformedRecords feeds both readers blocks that break one rule each.
func TestMalformedRecords(t *testing.T) {
	// attributes, timestampDelta, offsetDelta, key -1, value -1, no headers.
	good := record(0, 0, 0, 1, 1, 0)
	second := record(0, 0, 2, 1, 1, 0)
	long := bytes.Repeat([]byte{0x80}, 4)
	for _, tc := range []struct {
		name  string
		block []byte
		count int32
		want  error
	}{
		{"one", good, 1, nil},
		{"two", join(good, second), 2, nil},
		{"none", nil, 0, nil},
		{"negative count", good, -1, batch.ErrRecordCount},
		{"bytes but no records", good, 0, batch.ErrRecordsLeft},
		{"bytes after the last", join(good, []byte{0}), 1, batch.ErrRecordsLeft},
		{"a record after the last", join(good, second), 1, batch.ErrRecordsLeft},
		{"too few", good, 2, batch.ErrRecordsEnd},
		{"too few by far", good, math.MaxInt32, batch.ErrRecordsEnd},
		{"empty block", nil, 1, batch.ErrRecordsEnd},
		{"cut off", good[:6], 1, batch.ErrRecordsEnd},
		{"size cut off", []byte{0x80}, 1, batch.ErrRecordsEnd},
		{"size too long", join(long, []byte{0x80, 0}), 1, batch.ErrRecordsEnd},
		{"negative size", join([]byte{1}, good), 1, batch.ErrRecordSize},
		{"size zero", []byte{0}, 1, batch.ErrRecordSize},
		{"size of one", record(0), 1, batch.ErrRecordSize},
		{"no header count", record(0, 0, 0, 1, 1), 1, batch.ErrRecordSize},
		{"size too large", record(0, 0, 0, 1, 1, 0, 0), 1, batch.ErrRecordSize},
		{"size too small", join(record(0, 0, 0, 1, 1), []byte{0}), 1, batch.ErrRecordSize},
		{"key beyond the record", record(0, 0, 0, 8, 1, 0), 1, batch.ErrRecordSize},
		{
			"key into the next record", join(record(0, 0, 0, 6, 1, 0), second), 2,
			batch.ErrRecordSize,
		},
		{"value beyond the record", record(0, 0, 0, 1, 8, 0), 1, batch.ErrRecordSize},
		{
			"longest key", record(0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0x0f, 1, 0), 1,
			batch.ErrRecordSize,
		},
		{"key size -3 is null", record(0, 0, 0, 5, 1, 0), 1, nil},
		{"empty key and value", record(0, 0, 0, 0, 0, 0), 1, nil},
		{
			"timestamp of 10 bytes",
			record(join([]byte{0}, long, long, []byte{0x80, 1, 0, 1, 1, 0})...), 1, nil,
		},
		{
			"timestamp of 11 bytes",
			record(join([]byte{0}, long, long, []byte{0x80, 0x80, 1, 0, 1, 1, 0})...), 1,
			batch.ErrRecordSize,
		},
		{"negative header count", record(0, 0, 0, 1, 1, 1), 1, batch.ErrHeaderCount},
		{"more headers than bytes", record(0, 0, 0, 1, 1, 4, 0), 1, batch.ErrHeaderCount},
		{"header", record(0, 0, 0, 1, 1, 2, 2, 'k', 2, 'v'), 1, nil},
		{"header of null", record(0, 0, 0, 1, 1, 2, 0, 1), 1, nil},
		{"negative header key", record(0, 0, 0, 1, 1, 2, 1, 1), 1, batch.ErrHeaderKey},
		{"header key beyond", record(0, 0, 0, 1, 1, 2, 8, 1), 1, batch.ErrRecordSize},
		{"header value beyond", record(0, 0, 0, 1, 1, 2, 0, 8), 1, batch.ErrRecordSize},
		{"header without a value", record(0, 0, 0, 1, 1, 2, 0), 1, batch.ErrRecordSize},
		{"byte after the headers", record(0, 0, 0, 1, 1, 2, 0, 1, 0), 1, batch.ErrRecordSize},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var r batch.Record
			rs, n := batch.RecordsOf(tc.block, tc.count), 0
			for ; rs.Next(&r); n++ {
			}
			require.ErrorIs(t, rs.Err(), tc.want)
			if tc.want == nil {
				require.Equal(t, int(tc.count), n)
			}
			_, err := batch.Walk(tc.block, tc.count, 0)
			require.ErrorIs(t, err, tc.want)
		})
	}
}

func TestRecordsStopAtAnError(t *testing.T) {
	block := join(record(0, 0, 0, 1, 1, 0), record(0, 0, 0, 8, 1, 0), record(0, 0, 0, 1, 1, 0))
	rs := batch.RecordsOf(block, 3)
	var r batch.Record
	require.True(t, rs.Next(&r))
	for range 3 {
		require.False(t, rs.Next(&r))
		require.ErrorIs(t, rs.Err(), batch.ErrRecordSize)
	}
}

func TestWalkSums(t *testing.T) {
	for _, tc := range []struct {
		name  string
		block []byte
		want  batch.Summary
	}{
		{
			"in order, keyed",
			join(record(0, 0, 0, 2, 'k', 1, 0), record(0, 20, 2, 0, 1, 0)),
			batch.Summary{MinTimestamp: 100, MaxTimestamp: 110, Consecutive: true, Keyed: true},
		},
		{
			"earlier later, a null key",
			join(record(0, 0, 0, 2, 'k', 1, 0), record(0, 19, 2, 1, 1, 0)),
			batch.Summary{MinTimestamp: 90, MaxTimestamp: 100, Consecutive: true},
		},
		{
			"a gap",
			join(record(0, 0, 0, 0, 1, 0), record(0, 0, 4, 0, 1, 0)),
			batch.Summary{MinTimestamp: 100, MaxTimestamp: 100, Keyed: true},
		},
		{
			"the first is wrong, the last right",
			join(record(0, 0, 4, 1, 1, 0), record(0, 0, 2, 0, 1, 0)),
			batch.Summary{MinTimestamp: 100, MaxTimestamp: 100},
		},
		{
			"before the epoch",
			join(record(0, 0xe7, 0x07, 0, 0, 0, 0), record(0, 0xe7, 0x07, 2, 0, 0, 0)),
			batch.Summary{MinTimestamp: -400, MaxTimestamp: -1, Consecutive: true, Keyed: true},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sum, err := batch.Walk(tc.block, 2, 100)
			require.NoError(t, err)
			require.Equal(t, tc.want, sum)
		})
	}
}

// drawn is a record as rapid draws it.
type drawn struct {
	ts         int64
	key, value []byte
	headers    []batch.RecordHeader
}

func drawBytes(t *rapid.T, label string) []byte {
	if rapid.IntRange(0, 4).Draw(t, label+" null") == 0 {
		return nil
	}
	b := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, label)
	return append([]byte{}, b...)
}

func drawRecord(t *rapid.T) drawn {
	d := drawn{
		ts:  rapid.Int64Range(-1, 1<<42).Draw(t, "ts"),
		key: drawBytes(t, "key"), value: drawBytes(t, "value"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "headers") {
		key := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "header")
		d.headers = append(d.headers,
			batch.RecordHeader{Key: append([]byte{}, key...), Value: drawBytes(t, "header value")})
	}
	return d
}

// TestRoundTrip builds batches of any records in every codec and reads them back.
func TestRoundTrip(t *testing.T) {
	var b batch.Builder
	reader := batch.Reader{Codec: codec, BytesMax: blockMax}
	rapid.Check(t, func(t *rapid.T) {
		o := batch.Options{
			BaseOffset:           rapid.Int64Range(0, 1<<60).Draw(t, "baseOffset"),
			PartitionLeaderEpoch: rapid.Int32().Draw(t, "leaderEpoch"),
			Compression:          rapid.SampledFrom(codecs).Draw(t, "codec"),
			CompressionLevel:     rapid.IntRange(-1, 22).Draw(t, "level"),
			Transactional:        rapid.Bool().Draw(t, "transactional"),
		}
		if o.HasProducer = rapid.Bool().Draw(t, "producer"); o.HasProducer {
			o.ProducerID, o.ProducerEpoch, o.BaseSequence = 7, 8, 9
		}
		want := rapid.SliceOfN(rapid.Custom(drawRecord), 1, 30).Draw(t, "records")
		prefix := []byte("before")
		b.Reset(&o)
		latest := batch.NoTimestamp
		for _, d := range want {
			b.Append(d.ts, d.key, d.value, d.headers)
			latest = max(latest, d.ts)
		}
		require.Equal(t, len(want), b.Count())
		data, err := b.Finish(prefix, codec)
		require.NoError(t, err)
		require.Equal(t, prefix, data[:len(prefix)])
		data = data[len(prefix):]

		var h batch.Header
		require.NoError(t, batch.Parse(data, &h))
		require.True(t, batch.ValidCRC(data, &h))
		require.Len(t, data, int(h.Size))
		require.Equal(t, o.BaseOffset+int64(len(want)), h.NextOffset())
		require.Equal(t, o.Compression, h.Codec())
		require.Equal(t, o.HasProducer, h.HasProducer())
		require.Equal(t, o.Transactional, h.IsTransactional())
		require.Equal(t, o.PartitionLeaderEpoch, h.PartitionLeaderEpoch)
		require.Equal(t, latest, h.MaxTimestamp)

		block, err := reader.Block(data, &h)
		require.NoError(t, err)
		sum, err := batch.Walk(block, h.RecordCount, h.BaseTimestamp)
		require.NoError(t, err)
		require.True(t, sum.Consecutive)
		require.Equal(t, latest, sum.MaxTimestamp)
		rs, err := reader.Records(data, &h)
		require.NoError(t, err)
		var r batch.Record
		for i, d := range want {
			require.True(t, rs.Next(&r))
			got := drawn{ts: h.Timestamp(&r), key: r.Key, value: r.Value}
			var rh batch.RecordHeader
			for hs := r.Headers; hs.Next(&rh); {
				got.headers = append(got.headers, rh)
			}
			require.Equal(t, d, got)
			require.Equal(t, o.BaseOffset+int64(i), h.Offset(&r))
		}
		require.False(t, rs.Next(&r))
		require.NoError(t, rs.Err())
	})
}

func TestBuilderOptions(t *testing.T) {
	data := build(t, batch.Options{
		TimestampType: batch.LogAppendTime, LogAppendTime: 500, Control: true,
		DeleteHorizon: 900,
	}, rec{10, "k", "v"}, rec{700, "k", "v"})
	h := parse(t, data)
	require.Equal(t, int64(900), h.BaseTimestamp)
	require.Equal(t, int64(500), h.MaxTimestamp)
	require.True(t, h.HasDeleteHorizon())
	require.True(t, h.IsControl())
	require.Equal(t, []rec{{500, "k", "v"}, {500, "k", "v"}}, read(t, data))

	var b batch.Builder // the zero value
	b.Append(5, nil, []byte("v"), nil)
	data, err := b.Finish(nil, nil)
	require.NoError(t, err)
	require.Equal(t, []rec{{5, null, "v"}}, read(t, data))
	h = parse(t, data)
	require.Equal(t, batch.NoProducerID, h.ProducerID)
	require.Equal(t, batch.NoProducerEpoch, h.ProducerEpoch)
	require.Equal(t, batch.NoSequence, h.BaseSequence)
}

func TestBuilderRefusesOffsetsOutOfOrder(t *testing.T) {
	var b batch.Builder
	b.AppendRecord(0, &batch.Record{OffsetDelta: 4})
	require.Panics(t, func() { b.AppendRecord(0, &batch.Record{OffsetDelta: 4}) })
}

func TestReadingAllocatesNothing(t *testing.T) {
	data := build(t, batch.Options{}, thousand()...)
	h := parse(t, data)
	block := data[batch.HeaderSize:]
	require.Zero(t, testing.AllocsPerRun(10, func() {
		var r batch.Record
		n := 0
		for rs := batch.RecordsOf(block, h.RecordCount); rs.Next(&r); n++ {
			var rh batch.RecordHeader
			for hs := r.Headers; hs.Next(&rh); {
				n++
			}
		}
		if n != 1000 {
			panic("records are missing")
		}
	}))
	require.Zero(t, testing.AllocsPerRun(10, func() {
		if _, err := batch.Walk(block, h.RecordCount, 0); err != nil {
			panic(err)
		}
		if batch.Parse(data, &h) != nil || !batch.ValidCRC(data, &h) {
			panic("the batch is whole")
		}
	}))
	var b batch.Builder
	dst := make([]byte, 0, len(data))
	value := make([]byte, 100)
	options := batch.Options{}
	require.Zero(t, testing.AllocsPerRun(10, func() {
		b.Reset(&options)
		for range 500 {
			b.Append(1, value, value, nil)
		}
		dst, _ = b.Finish(dst[:0], nil)
	}), "a builder reuses its memory")
}

// thousand returns a thousand records of about 100 bytes.
func thousand() []rec {
	recs := make([]rec, 1000)
	for i := range recs {
		recs[i] = rec{int64(i), "key-0123", string(bytes.Repeat([]byte{byte(i), 'x'}, 40))}
	}
	return recs
}

func reportRecords(b *testing.B, block []byte) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/record")
	b.SetBytes(int64(len(block)))
}

func BenchmarkWalk(b *testing.B) {
	block := build(b, batch.Options{}, thousand()...)[batch.HeaderSize:]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := batch.Walk(block, 1000, 0); err != nil {
			b.Fatal(err)
		}
	}
	reportRecords(b, block)
}

func BenchmarkRecords(b *testing.B) {
	block := build(b, batch.Options{}, thousand()...)[batch.HeaderSize:]
	b.ReportAllocs()
	var r batch.Record
	for b.Loop() {
		rs := batch.RecordsOf(block, 1000)
		for rs.Next(&r) {
		}
		if rs.Err() != nil {
			b.Fatal(rs.Err())
		}
	}
	reportRecords(b, block)
}

func BenchmarkBuilder(b *testing.B) {
	var builder batch.Builder
	var dst []byte
	options := batch.Options{}
	key, value := []byte("key-0123"), make([]byte, 80)
	b.ReportAllocs()
	for b.Loop() {
		builder.Reset(&options)
		for i := range 1000 {
			builder.Append(int64(i), key, value, nil)
		}
		dst, _ = builder.Finish(dst[:0], nil)
	}
	reportRecords(b, dst)
}

func FuzzRecords(f *testing.F) {
	for _, c := range clients(f) {
		h := parse(f, c.data)
		reader := batch.Reader{Codec: codec, BytesMax: blockMax}
		block, err := reader.Block(c.data, &h)
		require.NoError(f, err)
		f.Add(append([]byte(nil), block...), h.RecordCount)
	}
	f.Fuzz(func(t *testing.T, block []byte, count int32) {
		rs := batch.RecordsOf(block, count)
		var r batch.Record
		var out batch.Builder
		n, ordered := int32(0), true
		minTimestamp, maxTimestamp, last := int64(math.MaxInt64), batch.NoTimestamp, int32(-1)
		for rs.Next(&r) {
			minTimestamp = min(minTimestamp, 50+r.TimestampDelta)
			maxTimestamp = max(maxTimestamp, 50+r.TimestampDelta)
			headers := 0
			var rh batch.RecordHeader
			for hs := r.Headers; hs.Next(&rh); headers++ {
				require.NotNil(t, rh.Key)
			}
			require.Equal(t, r.Headers.Len(), headers)
			if ordered = ordered && r.OffsetDelta > last; ordered {
				out.AppendRecord(r.TimestampDelta, &r)
			}
			last = r.OffsetDelta
			n++
		}
		sum, err := batch.Walk(block, count, 50)
		require.Equal(t, rs.Err(), err, "both readers find the same")
		if err != nil {
			return
		}
		require.Equal(t, count, n)
		require.LessOrEqual(t, int(n)*7, len(block))
		if n > 0 {
			require.Equal(t, minTimestamp, sum.MinTimestamp)
			require.Equal(t, maxTimestamp, sum.MaxTimestamp)
		}
		if ordered && n > 0 {
			data, err := out.Finish(nil, nil)
			require.NoError(t, err)
			h := parse(t, data)
			_, err = batch.Walk(data[batch.HeaderSize:], h.RecordCount, 0)
			require.NoError(t, err, "what was read can be written and read")
		}
	})
}
