package batch_test

import (
	"encoding/binary"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
	_ "github.com/heiban/heiban/internal/repeatable"
)

const (
	now  = 1_700_000_000_000
	hour = 3_600_000
)

// Short names for the tables.
type (
	header = batch.Header
	limits = batch.Rules
)

const (
	fine        = errcode.None
	invalid     = errcode.InvalidRecord
	badTime     = errcode.InvalidTimestamp
	corrupt     = errcode.CorruptMessage
	tooLarge    = errcode.MessageTooLarge
	unsupported = errcode.UnsupportedCompressionType
)

// rules are those of a topic with Kafka's defaults.
func rules() batch.Rules {
	return batch.Rules{
		TimestampBeforeMaxMillis: math.MaxInt64,
		TimestampAfterMaxMillis:  hour,
		DecompressedBytesMax:     blockMax,
		MaxMessageBytes:          1 << 20,
		KeepCompression:          true,
		AllowZstd:                true,
	}
}

func check(data []byte, r batch.Rules) batch.Checked {
	return batch.Check(data, &r, clock.Wall(now), codec)
}

// header gives the batch another header and a right CRC.
func reheader(data []byte, change func(h *header)) []byte {
	var h batch.Header
	if err := batch.Parse(data, &h); err != nil {
		panic(err)
	}
	change(&h)
	data = append([]byte(nil), data...)
	batch.Seal(data, &h)
	return data
}

// offsets builds a batch with the given offset deltas.
func offsets(t testing.TB, c batch.Compression, deltas ...int32) []byte {
	var b batch.Builder
	b.Reset(&batch.Options{Compression: c})
	for i, delta := range deltas {
		b.AppendRecord(now, &batch.Record{OffsetDelta: delta, Key: []byte{byte(i)}})
	}
	data, err := b.Finish(nil, codec)
	require.NoError(t, err)
	return reheader(data, func(h *header) { h.LastOffsetDelta = h.RecordCount - 1 })
}

// TestCheckAcceptsClients passes what real clients sent through the default rules.
func TestCheckAcceptsClients(t *testing.T) {
	for _, c := range clients(t) {
		for _, strict := range []bool{false, true} {
			was := parse(t, c.data)
			data := append([]byte(nil), c.data...)
			r := rules()
			r.Strict, r.TimestampAfterMaxMillis = strict, -1
			k := check(data, r)
			require.Equal(t, batch.Checked{Header: was, Data: data}, k, c.name)
			require.Equal(t, c.data, k.Data)
			require.Same(t, &data[0], &k.Data[0], "in place")
		}
	}
}

func TestCheckFrames(t *testing.T) {
	one := build(t, batch.Options{}, rec{now, "k", "v"})
	set := func(at int, v ...byte) []byte {
		b := append([]byte(nil), one...)
		copy(b[at:], v)
		return b
	}
	for _, tc := range []struct {
		name string
		in   []byte
		want errcode.Code
	}{
		{"one batch", one, fine},
		{"null", nil, invalid},
		{"no length", one[:11], invalid},
		{"no magic", one[:16], invalid},
		{"cut off", one[:len(one)-1], invalid},
		{"tiny length", set(8, 0, 0, 0, 13), corrupt},
		{"length below the header", set(8, 0, 0, 0, 48), corrupt},
		{"negative length", set(8, 0xff), corrupt},
		{"magic 1", set(16, 1), invalid},
		{"magic 3", set(16, 3), corrupt},
		{"magic -1", set(16, 0xff), corrupt},
		{"two batches", join(one, one), invalid},
		{"and one of magic 1", join(one, set(16, 1)), invalid},
		{"and a cut-off one", join(one, one[:len(one)-1]), fine},
		{"and a header", join(one, one[:61]), fine},
		{"and a few bytes", join(one, one[:5]), fine},
		{"and a tiny length", join(one, set(8, 0, 0, 0, 13)), corrupt},
		{"and magic 3", join(one, set(16, 3)), corrupt},
		{"bad CRC", set(30, 0x77), corrupt},
		{"bad record", set(len(one)-1, 0x77), corrupt},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := check(append([]byte(nil), tc.in...), rules())
			require.Equal(t, tc.want, k.Err, k.Message)
			require.Equal(t, tc.want != fine, k.Message != "")
			if tc.want == fine {
				require.Equal(t, one, k.Data, "what is cut off goes")
			} else {
				require.Nil(t, k.Data)
			}
		})
	}
}

// counts sets the fields that say how many records there are.
func counts(recordCount, lastOffsetDelta int32) func(h *header) {
	return func(h *header) { h.RecordCount, h.LastOffsetDelta = recordCount, lastOffsetDelta }
}

func TestCheckHeaders(t *testing.T) {
	one := build(t, batch.Options{}, rec{now, "k", "v"}, rec{now, "k", "v"})
	size := int32(len(one))
	for _, tc := range []struct {
		name   string
		header func(h *header)
		rules  func(r *limits)
		want   errcode.Code
	}{
		{"baseOffset", func(h *header) { h.BaseOffset = 1 }, nil, invalid},
		{"leader epoch", func(h *header) { h.PartitionLeaderEpoch = 9 }, nil, fine},
		{"just small enough", nil, func(r *limits) { r.MaxMessageBytes = size }, fine},
		{"too large", nil, func(r *limits) { r.MaxMessageBytes = size - 1 }, tooLarge},
		{"no records", counts(0, -1), nil, invalid},
		{"negative count", counts(-2, -3), nil, invalid},
		{"count below the offsets", counts(1, 1), nil, invalid},
		{"count above the offsets", counts(2, 0), nil, invalid},
		{"count above the records", counts(3, 2), nil, invalid},
		{"count below the records", counts(1, 0), nil, invalid},
		{"largest count", counts(math.MaxInt32, math.MaxInt32-1), nil, invalid},
		{"count wraps", counts(math.MinInt32, math.MaxInt32), nil, invalid},
		{"control", func(h *header) { h.Attributes = 0x20 }, nil, invalid},
		{
			"control of a coordinator", func(h *header) { h.Attributes = 0x20 },
			func(r *limits) { r.AllowControl = true }, fine,
		},
		{"producer without a sequence", func(h *header) { h.ProducerID = 1 }, nil, invalid},
		{"producer 0 without a sequence", func(h *header) { h.ProducerID = 0 }, nil, invalid},
		{"producer", func(h *header) { h.ProducerID, h.BaseSequence = 0, 0 }, nil, fine},
		{"transactional", func(h *header) {
			h.ProducerID, h.BaseSequence, h.Attributes = 1, 0, 0x10
		}, nil, fine},
		{"LogAppendTime", func(h *header) { h.Attributes = 0x08 }, nil, badTime},
		{
			"LogAppendTime on such a topic", func(h *header) { h.Attributes = 0x08 },
			func(r *limits) { r.TimestampType = batch.LogAppendTime }, badTime,
		},
		{"codec 5", func(h *header) { h.Attributes = 5 }, nil, unsupported},
		{"codec 7", func(h *header) { h.Attributes = 7 }, nil, unsupported},
		{"zstd", func(h *header) { h.Attributes = 4 }, nil, fine},
		{
			"zstd too early", func(h *header) { h.Attributes = 4 },
			func(r *limits) { r.AllowZstd = false }, unsupported,
		},
		{
			"zstd that is none", func(h *header) { h.Attributes = 4 },
			func(r *limits) { r.Strict = true }, invalid,
		},
		{"unused bits", func(h *header) { h.Attributes = -0x80 }, nil, fine},
	} {
		t.Run(tc.name, func(t *testing.T) {
			data, r := append([]byte(nil), one...), rules()
			if tc.header != nil {
				data = reheader(data, tc.header)
			}
			if tc.rules != nil {
				tc.rules(&r)
			}
			k := check(data, r)
			require.Equal(t, tc.want, k.Err, k.Message)
		})
	}
}

// TestCheckRecords holds for every codec, as all of these rules look inside.
func TestCheckRecords(t *testing.T) {
	before := func(r *limits) { r.TimestampBeforeMaxMillis = hour }
	compacted := func(r *limits) { r.Compacted = true }
	appendTime := func(r *limits) { r.TimestampType = batch.LogAppendTime }
	for _, tc := range []struct {
		name  string
		rules func(r *limits)
		recs  []rec
		want  errcode.Code
		wrong []int32
	}{
		{"keys", compacted, []rec{{now, "k", "v"}, {now, "", null}}, fine, nil},
		{
			"a null key", compacted,
			[]rec{{now, "k", "v"}, {now, null, "v"}, {now, null, "v"}},
			invalid,
			[]int32{1, 2},
		},
		{"just new enough", nil, []rec{{now + hour, "k", "v"}}, fine, nil},
		{
			"too new", nil,
			[]rec{{now, "k", "v"}, {now + hour + 1, "k", "v"}},
			badTime,
			[]int32{1},
		},
		{
			"too new on a LogAppendTime topic", appendTime,
			[]rec{{now + hour + 1, "k", "v"}},
			fine, nil,
		},
		{"just old enough", before, []rec{{now - hour, "k", "v"}}, fine, nil},
		{
			"too old", before,
			[]rec{{now, "k", "v"}, {now - hour - 1, "k", "v"}, {now, "k", "v"}},
			badTime,
			[]int32{1},
		},
		{"very old", nil, []rec{{1, "k", "v"}}, fine, nil},
		{"no timestamp", before, []rec{{-1, "k", "v"}, {now, "k", "v"}, {-1, "k", "v"}}, fine, nil},
		{
			"both faults", func(r *limits) { compacted(r); before(r) },
			[]rec{{now, null, "v"}, {7, "k", "v"}},
			badTime,
			[]int32{0, 1},
		},
		{
			"no limits",
			func(r *limits) { r.TimestampAfterMaxMillis, r.TimestampBeforeMaxMillis = -1, -1 },
			[]rec{{math.MaxInt64, "k", "v"}, {0, "k", "v"}},
			fine, nil,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, c := range codecs {
				r := rules()
				if tc.rules != nil {
					tc.rules(&r)
				}
				k := check(build(t, batch.Options{Compression: c}, tc.recs...), r)
				require.Equal(t, tc.want, k.Err, k.Message)
				var wrong []int32
				for _, e := range k.RecordErrors {
					require.NotEmpty(t, e.Message)
					wrong = append(wrong, e.Index)
				}
				require.Equal(t, tc.wrong, wrong, "%v", c)
			}
		})
	}
}

func TestCheckLimitsRecordErrors(t *testing.T) {
	recs := make([]rec, batch.RecordErrorsMax+5)
	for i := range recs {
		recs[i] = rec{now, null, "v"}
	}
	r := rules()
	r.Compacted = true
	k := check(build(t, batch.Options{}, recs...), r)
	require.Equal(t, invalid, k.Err)
	require.Contains(t, k.Message, "1005 records")
	require.Len(t, k.RecordErrors, batch.RecordErrorsMax)

	flagged := reheader(build(t, batch.Options{}, recs...), func(h *header) {
		h.Attributes |= 0x08
	})
	require.Len(t, check(flagged, rules()).RecordErrors, batch.RecordErrorsMax)
}

func TestCheckTimestamps(t *testing.T) {
	recs := []rec{{now, "k", "v"}, {now + 20, "k", "v"}, {now + 10, "k", "v"}}
	for _, c := range codecs {
		right := build(t, batch.Options{Compression: c}, recs...)
		wrong := reheader(right, func(h *header) { h.MaxTimestamp = now + 999 })

		// 1. CreateTime: maxTimestamp becomes that of the records, if one looks.
		r := rules()
		k := check(append([]byte(nil), wrong...), r)
		require.Equal(t, fine, k.Err)
		if c == batch.Uncompressed {
			require.Equal(t, right, k.Data)
			require.Equal(t, parse(t, right), k.Header)
		} else {
			require.Equal(t, wrong, k.Data, "the header is believed")
		}
		r.Strict = true
		k = check(append([]byte(nil), wrong...), r)
		require.Equal(t, right, k.Data)
		require.Equal(t, parse(t, k.Data), k.Header)

		// 2. LogAppendTime: every record takes the broker's time.
		r = rules()
		r.TimestampType = batch.LogAppendTime
		data := append([]byte(nil), wrong...)
		k = check(data, r)
		require.Equal(t, fine, k.Err)
		require.Same(t, &data[0], &k.Data[0], "in place")
		require.Equal(t, parse(t, k.Data), k.Header)
		require.Equal(t, int64(now), k.Header.MaxTimestamp)
		for _, got := range read(t, k.Data) {
			require.Equal(t, rec{now, "k", "v"}, got)
		}

		// 3. Not a single timestamp.
		none := build(t, batch.Options{Compression: c}, rec{-1, "k", "v"}, rec{-1, "k", "v"})
		k = check(append([]byte(nil), none...), rules())
		require.Equal(t, none, k.Data)
	}
}

func TestCheckConverts(t *testing.T) {
	recs := []rec{{now, "k", "v"}, {now + 20, null, "vvvvvvvvvvvvvvvvv"}, {now + 10, "k", null}}
	for _, from := range codecs {
		for _, to := range codecs {
			o := batch.Options{
				Compression: from, HasProducer: true, ProducerID: 5, ProducerEpoch: 6,
				BaseSequence: 7, Transactional: true,
			}
			data := reheader(build(t, o, recs...), func(h *header) { h.MaxTimestamp = 1 })
			want := parse(t, data)
			r := rules()
			r.KeepCompression, r.Compression = false, to
			k := check(data, r)
			require.Equal(t, fine, k.Err, k.Message)
			require.Equal(t, recs, read(t, k.Data))
			got := parse(t, k.Data)
			require.Equal(t, got, k.Header)
			want.Attributes = want.Attributes&^7 | int16(to)
			if from != to || from == batch.Uncompressed {
				want.MaxTimestamp = now + 20
			}
			want.CRC, want.Size = got.CRC, got.Size
			require.Equal(t, want, got, "%v to %v", from, to)

			r.TimestampType = batch.LogAppendTime
			k = check(build(t, o, recs...), r)
			require.Equal(t, fine, k.Err)
			require.Equal(t, batch.LogAppendTime, k.Header.TimestampType())
			require.Equal(t, int64(now), k.Header.MaxTimestamp)
			require.Equal(t, parse(t, k.Data), k.Header)
		}
	}
}

func TestCheckSizeAfterConversion(t *testing.T) {
	value := string(make([]byte, 10_000))
	data := build(t, batch.Options{Compression: batch.Zstd}, rec{now, "k", value})
	r := rules()
	r.KeepCompression, r.MaxMessageBytes = false, 10_000
	require.Less(t, len(data), 1000)
	require.Equal(t, tooLarge, check(append([]byte(nil), data...), r).Err)
	r.MaxMessageBytes = 11_000
	require.Equal(t, fine, check(append([]byte(nil), data...), r).Err)

	r = rules()
	r.Strict, r.DecompressedBytesMax = true, 10_000
	require.Equal(t, tooLarge, check(data, r).Err, "it expands beyond the limit")
}

func TestCheckOffsets(t *testing.T) {
	for _, c := range codecs {
		gap := offsets(t, c, 0, 2, 5)
		r := rules()
		r.Strict = true
		k := check(append([]byte(nil), gap...), r)
		if c == batch.Uncompressed {
			require.Equal(t, invalid, k.Err)
			require.Equal(t, int32(1), k.RecordErrors[0].Index)
			require.Len(t, k.RecordErrors, 2)
			r.KeepCompression, r.Compression = false, batch.LZ4
			k = check(append([]byte(nil), gap...), r)
		}
		require.Equal(t, fine, k.Err, k.Message)
		want := c
		if c == batch.Uncompressed {
			want = batch.LZ4
		}
		require.Equal(t, offsets(t, want, 0, 1, 2), k.Data, "%v", c)
		require.Equal(t, parse(t, k.Data), k.Header)
	}
}

// TestCheckMarkers: a coordinator's markers pass, and are never compressed.
func TestCheckMarkers(t *testing.T) {
	data := batch.AppendMarker(nil, &batch.Marker{ProducerID: 1, Timestamp: now})
	r := rules()
	r.KeepCompression, r.Compression, r.Compacted = false, batch.Zstd, true
	require.Equal(t, invalid, check(append([]byte(nil), data...), r).Err)
	r.AllowControl = true
	k := check(append([]byte(nil), data...), r)
	require.Equal(t, fine, k.Err, k.Message)
	require.Equal(t, data, k.Data)
}

func TestCheckAllocatesNothing(t *testing.T) {
	for _, c := range codecs {
		was := build(t, batch.Options{Compression: c}, thousand()...)
		data := append([]byte(nil), was...)
		for _, typ := range []batch.TimestampType{batch.CreateTime, batch.LogAppendTime} {
			r := rules()
			r.TimestampType = typ
			require.Zero(t, testing.AllocsPerRun(10, func() {
				copy(data, was)
				if k := batch.Check(data, &r, clock.Wall(now), codec); k.Err != fine {
					panic(k.Message)
				}
			}), "%v", c)
		}
	}
}

// TestCheckBelievesNoCount: what a header or a record claims costs no memory.
func TestCheckBelievesNoCount(t *testing.T) {
	counted := func(attributes int16) func(h *header) {
		return func(h *header) {
			h.RecordCount, h.LastOffsetDelta = math.MaxInt32, math.MaxInt32-1
			h.Attributes |= attributes
		}
	}
	headers := append(make([]byte, batch.HeaderSize),
		record(0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f)...)
	batch.Seal(headers, &batch.Header{RecordCount: 1})
	for _, tc := range []struct {
		name string
		data []byte
	}{
		{"records", reheader(build(t, batch.Options{}, rec{now, "k", "v"}), counted(0))},
		{"compressed", reheader(build(t, batch.Options{Compression: batch.LZ4}, rec{now, "k", "v"}),
			counted(0))},
		{"flagged", reheader(build(t, batch.Options{}, rec{now, "k", "v"}), counted(0x08))},
		{"headers", headers},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rules()
			r.Strict = true
			require.NotEqual(t, fine, check(tc.data, r).Err) // and decoders are made
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range 10 {
				check(tc.data, r)
			}
			runtime.ReadMemStats(&after)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(10*128<<10))
		})
	}
}

// TestCheckKeepsRecords converts any batch under any rules and finds the same
// records in it.
func TestCheckKeepsRecords(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var want []rec
		for _, d := range rapid.SliceOfN(rapid.Custom(drawRecord), 1, 20).Draw(rt, "records") {
			want = append(want, rec{d.ts, "k" + string(d.key), string(d.value)})
		}
		o := batch.Options{Compression: rapid.SampledFrom(codecs).Draw(rt, "from")}
		r := rules()
		r.Compression = rapid.SampledFrom(codecs).Draw(rt, "to")
		r.KeepCompression = rapid.Bool().Draw(rt, "keep")
		r.Compacted = rapid.Bool().Draw(rt, "compacted")
		r.Strict = rapid.Bool().Draw(rt, "strict")
		r.TimestampAfterMaxMillis = -1
		k := check(build(t, o, want...), r)
		require.Equal(rt, fine, k.Err, k.Message)
		require.Equal(rt, want, read(t, k.Data))
		require.Equal(rt, parse(t, k.Data), k.Header)
		if r.KeepCompression {
			require.Equal(rt, o.Compression, k.Header.Codec())
		} else {
			require.Equal(rt, r.Compression, k.Header.Codec())
		}
		again := check(append([]byte(nil), k.Data...), r)
		require.Equal(rt, k, again, "a second check changes nothing")
	})
}

func benchmarkCheck(b *testing.B, o batch.Options, change func(r *limits)) {
	data := build(b, o, thousand()...)
	r := rules()
	change(&r)
	b.ReportAllocs()
	for b.Loop() {
		if k := batch.Check(data, &r, clock.Wall(now), codec); k.Err != fine {
			b.Fatal(k.Message)
		}
	}
	reportRecords(b, data)
}

func BenchmarkCheck(b *testing.B) {
	b.Run("uncompressed", func(b *testing.B) {
		benchmarkCheck(b, batch.Options{}, func(*limits) {})
	})
	for _, c := range codecs[1:] {
		b.Run(c.String(), func(b *testing.B) {
			benchmarkCheck(b, batch.Options{Compression: c}, func(*limits) {})
		})
		b.Run(c.String()+"/compacted", func(b *testing.B) {
			benchmarkCheck(b, batch.Options{Compression: c},
				func(r *limits) { r.Compacted = true })
		})
	}
}

func FuzzCheck(f *testing.F) {
	for i, c := range clients(f) {
		f.Add(c.data, uint16(i))
		f.Add(c.data, uint16(0xff00|i))
	}
	f.Fuzz(func(t *testing.T, data []byte, bits uint16) {
		r := rules()
		r.Compression = batch.Compression(bits & 7 % 5)
		r.KeepCompression, r.Compacted = bits&8 != 0, bits&16 != 0
		r.AllowZstd, r.AllowControl = bits&32 != 0, bits&64 != 0
		r.Strict, r.TimestampType = bits&128 != 0, batch.TimestampType(bits>>8&1)
		if bits>>9&1 != 0 {
			r.TimestampBeforeMaxMillis = hour
		}
		// The fuzzer cannot guess a CRC.
		if len(data) >= batch.HeaderSize && int32(binary.BigEndian.Uint32(data[8:])) ==
			int32(len(data)-12) && bits>>10&1 != 0 {
			batch.SetPartitionLeaderEpoch(data, 1)
			batch.SetMaxTimestamp(data, int64(binary.BigEndian.Uint64(data[35:])))
		}
		k := check(data, r)
		if k.Err != fine {
			require.Nil(t, k.Data)
			require.NotEmpty(t, k.Message)
			return
		}
		require.Equal(t, parse(t, k.Data), k.Header)
		require.Empty(t, k.RecordErrors)
		if k.Header.Codec() == batch.Uncompressed || r.Strict {
			read(t, k.Data)
		}
		again := check(append([]byte(nil), k.Data...), r)
		if r.TimestampType == batch.CreateTime {
			require.Equal(t, k, again, "a second check changes nothing")
		}
	})
}
