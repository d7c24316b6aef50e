package batch_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/core/batch"
)

func newFilter() *batch.Filter {
	return &batch.Filter{Reader: batch.Reader{Codec: codec, BytesMax: blockMax}}
}

// drop keeps all but the given offset deltas.
func drop(deltas ...int32) func(*batch.Record) bool {
	return func(r *batch.Record) bool {
		for _, d := range deltas {
			if r.OffsetDelta == d {
				return false
			}
		}
		return true
	}
}

// filterCase is a batch to filter and what must come of it.
type filterCase struct {
	name    string
	in      []byte
	how     batch.Retention
	drop    []int32
	want    []rec
	base    int64 // timestamp
	latest  int64 // timestamp
	horizon bool
	changed bool
}

func filterCases(t *testing.T, o batch.Options) []filterCase {
	recs := []rec{{500, "a", "1"}, {700, "b", null}, {600, "c", "3"}}
	values := []rec{{500, "a", "1"}, {700, "b", "2"}, {600, "c", "3"}}
	mark := batch.Retention{DeleteHorizon: 99}
	emptyTransaction := batch.Retention{DeleteHorizon: 99, EmptyTransaction: true}
	plain, tombstone := build(t, o, values...), build(t, o, recs...)
	o.DeleteHorizon = 10_000
	marked := build(t, o, recs...)
	first, second, third := []int32{0}, []int32{1}, []int32{2}
	ends, valueEnds := []rec{recs[0], recs[2]}, []rec{values[0], values[2]}
	return []filterCase{
		{"keep all", plain, mark, nil, values, 500, 700, false, false},
		{"drop the first", plain, mark, first, values[1:], 700, 700, false, true},
		{"drop the latest", plain, mark, second, valueEnds, 500, 600, false, true},
		{"a tombstone sets the horizon", tombstone, mark, nil, recs, 99, 700, true, true},
		{"and drop", tombstone, mark, third, recs[:2], 99, 700, true, true},
		{"a dropped tombstone sets none", tombstone, mark, second, ends, 500, 600, false, true},
		{"no horizon to set", tombstone, batch.Retention{}, nil, recs, 500, 700, false, false},
		{"an empty transaction", plain, emptyTransaction, nil, values, 99, 700, true, true},
		{"a horizon is set once", marked, mark, nil, recs, 10_000, 700, true, false},
		{"a horizon stays", marked, mark, first, recs[1:], 10_000, 700, true, true},
	}
}

func TestFilter(t *testing.T) {
	for _, c := range codecs {
		for _, tc := range filterCases(t, batch.Options{
			BaseOffset: 40, Compression: c, HasProducer: true, ProducerID: 5,
			ProducerEpoch: 6, BaseSequence: 7, Transactional: true, PartitionLeaderEpoch: 9,
		}) {
			t.Run(c.String()+"/"+tc.name, func(t *testing.T) {
				was := parse(t, tc.in)
				dst, kept, err := newFilter().Append([]byte("before"), tc.in, &was, tc.how,
					drop(tc.drop...))
				require.NoError(t, err)
				require.Equal(t, "before", string(dst[:6]))
				got := dst[6:]
				h := parse(t, got)
				require.Equal(t, batch.Kept{
					Header: h, Records: len(tc.want), Written: true, Changed: tc.changed,
				}, kept)
				require.Equal(t, tc.want, read(t, got))
				if !tc.changed {
					require.Equal(t, tc.in, got)
				}
				require.Equal(t, tc.base, h.BaseTimestamp)
				require.Equal(t, tc.latest, h.MaxTimestamp)
				require.Equal(t, tc.horizon, h.HasDeleteHorizon())
				want := was
				want.BaseTimestamp, want.MaxTimestamp = h.BaseTimestamp, h.MaxTimestamp
				want.Attributes, want.RecordCount = h.Attributes, int32(len(tc.want))
				want.Size, want.CRC = h.Size, h.CRC
				require.Equal(t, want, h, "all else stays")
				require.Equal(t, was.Codec(), h.Codec())
				require.True(t, h.IsTransactional())
			})
		}
	}
}

func TestFilterEmpties(t *testing.T) {
	for _, c := range codecs {
		data := build(t, batch.Options{
			BaseOffset: 40, Compression: c, HasProducer: true, ProducerID: 5, ProducerEpoch: 6,
			BaseSequence: 7, DeleteHorizon: 1234, Transactional: true,
		}, rec{500, "a", "1"}, rec{700, "b", "2"})
		was := parse(t, data)
		f := newFilter()
		dst, kept, err := f.Append(nil, data, &was, batch.Retention{}, drop(0, 1))
		require.NoError(t, err)
		require.Empty(t, dst)
		require.False(t, kept.Written)

		dst, kept, err = f.Append(nil, data, &was, batch.Retention{KeepEmpty: true}, drop(0, 1))
		require.NoError(t, err)
		require.Len(t, dst, batch.HeaderSize)
		h := parse(t, dst)
		require.Equal(t, batch.Kept{Header: h, Written: true, Changed: true}, kept)
		want := was
		want.Attributes, want.RecordCount, want.BaseTimestamp = 0x10, 0, batch.NoTimestamp
		want.Size, want.CRC = h.Size, h.CRC
		require.Equal(t, want, h, "offsets, sequence and maxTimestamp stay")
		require.Empty(t, read(t, dst))

		again, _, err := f.Append(nil, dst, &h, batch.Retention{KeepEmpty: true}, drop())
		require.NoError(t, err)
		require.Equal(t, dst, again, "an emptied batch stays as it is")
	}
}

func TestFilterLogAppendTime(t *testing.T) {
	data := build(t, batch.Options{TimestampType: batch.LogAppendTime, LogAppendTime: 900},
		rec{5, "a", "1"}, rec{6, "b", null})
	h := parse(t, data)
	dst, kept, err := newFilter().Append(nil, data, &h, batch.Retention{DeleteHorizon: 77}, drop(0))
	require.NoError(t, err)
	require.Equal(t, []rec{{900, "b", null}}, read(t, dst))
	require.Equal(t, batch.LogAppendTime, kept.Header.TimestampType())
	require.True(t, kept.Header.HasDeleteHorizon())
}

func TestFilterRefusesBadBatches(t *testing.T) {
	f := newFilter()
	whole := build(t, batch.Options{}, rec{1, "a", "1"}, rec{2, "b", "2"})
	for _, tc := range []struct {
		name string
		data []byte
		want error
	}{
		{
			"count", reheader(whole, func(h *batch.Header) { h.RecordCount = 3 }),
			batch.ErrRecordsEnd,
		},
		{
			"size", reheader(whole, func(h *batch.Header) { h.RecordCount = 1 }),
			batch.ErrRecordsLeft,
		},
		{"order", reordered(t), batch.ErrOffsetOrder},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := parse(t, tc.data)
			dst, _, err := f.Append([]byte("x"), tc.data, &h, batch.Retention{}, drop())
			require.ErrorIs(t, err, tc.want)
			require.Equal(t, "x", string(dst))
		})
	}
	big := build(t, batch.Options{Compression: batch.Zstd}, rec{1, "a", string(make([]byte, 5000))})
	h := parse(t, big)
	f.BytesMax = 4000
	_, _, err := f.Append(nil, big, &h, batch.Retention{}, drop())
	require.ErrorIs(t, err, batch.ErrExpansion)
}

// reordered returns a batch whose second record comes before its first.
func reordered(t *testing.T) []byte {
	data := build(t, batch.Options{}, rec{1, "a", "1"})
	second := record(0, 0, 1, 2, 'k', 1, 0) // offsetDelta -1
	return reheader(append(data, second...), func(h *batch.Header) { h.RecordCount = 2 })
}

// TestFilterKeepsTheRest drops any records of any batch, twice, and finds the
// others untouched.
func TestFilterKeepsTheRest(t *testing.T) {
	f := newFilter()
	rapid.Check(t, func(rt *rapid.T) {
		var recs []rec
		for _, d := range rapid.SliceOfN(rapid.Custom(drawRecord), 1, 20).Draw(rt, "records") {
			recs = append(recs, rec{d.ts, "k" + string(d.key), "v" + string(d.value)})
		}
		o := batch.Options{Compression: rapid.SampledFrom(codecs).Draw(rt, "codec")}
		data := build(t, o, recs...)
		alive := make([]bool, len(recs))
		for i := range alive {
			alive[i] = true
		}
		for range 2 {
			var want []rec
			for i := range recs {
				alive[i] = alive[i] && rapid.Bool().Draw(rt, "alive")
				if alive[i] {
					want = append(want, recs[i])
				}
			}
			h := parse(t, data)
			last := h.LastOffset()
			out, kept, err := f.Append(nil, data, &h, batch.Retention{
				KeepEmpty: true, DeleteHorizon: 55,
				EmptyTransaction: rapid.Bool().Draw(rt, "empty"),
			}, func(r *batch.Record) bool { return alive[r.OffsetDelta] })
			require.NoError(rt, err)
			require.Equal(rt, want, read(t, out))
			require.Equal(rt, len(want), kept.Records)
			require.Equal(rt, last, kept.Header.LastOffset())
			data = out
		}
	})
}

func TestMarkers(t *testing.T) {
	for _, want := range []batch.Marker{
		{
			ProducerID: 1 << 40, ProducerEpoch: 12, CoordinatorEpoch: 34, Timestamp: 5678,
			Commit: true,
		},
		{ProducerID: 0, ProducerEpoch: 0, CoordinatorEpoch: -1, Timestamp: 0},
	} {
		data := batch.AppendMarker([]byte("before"), &want)[6:]
		h := parse(t, data)
		require.Len(t, data, 78)
		require.Equal(t, int16(0x30), h.Attributes)
		require.Equal(t, batch.NoSequence, h.BaseSequence)
		require.Equal(t, int32(-1), h.PartitionLeaderEpoch)
		require.Equal(t, int64(0), h.LastOffset())
		require.Equal(t, want.Timestamp, h.MaxTimestamp)
		got, ok, err := batch.ParseMarker(data, &h)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, want, got)
	}
}

func TestParseMarker(t *testing.T) {
	control := batch.Options{Control: true}
	bad := batch.ErrControl
	commit := string(batch.AppendControlKey(nil, batch.Commit))
	value := "\x00\x00\x00\x00\x00\x07"
	for _, tc := range []struct {
		name string
		data []byte
		ok   bool
		want error
	}{
		{"commit", build(t, control, rec{1, commit, value}), true, nil},
		{"longer, of a later version", build(t, control,
			rec{1, "\x00\x01\x00\x01more", "\x00\x01\x00\x00\x00\x07more"}), true, nil},
		{"not control", build(t, batch.Options{}, rec{1, commit, value}), false, nil},
		{
			"another type", batch.AppendControl(nil, control, batch.LeaderChange, 1, nil),
			false, nil,
		},
		{"unknown type", build(t, control, rec{1, "\x00\x00\x00\x63", value}), false, nil},
		{"short key", build(t, control, rec{1, "\x00\x00\x00", value}), false, bad},
		{"null key", build(t, control, rec{1, null, value}), false, bad},
		{"negative key version", build(t, control, rec{1, "\xff\xff\x00\x01", value}), false, bad},
		{"short value", build(t, control, rec{1, commit, value[:5]}), false, bad},
		{
			"negative value version",
			build(t, control, rec{1, commit, "\xff" + value[1:]}), false, bad,
		},
		{"compressed", build(t, batch.Options{Control: true, Compression: batch.LZ4},
			rec{1, commit, value}), false, bad},
		{"broken", reheader(build(t, control, rec{1, commit, value}),
			func(h *batch.Header) { h.RecordCount = -1 }), false, batch.ErrRecordCount},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := parse(t, tc.data)
			m, ok, err := batch.ParseMarker(tc.data, &h)
			require.ErrorIs(t, err, tc.want)
			require.Equal(t, tc.ok, ok)
			if ok {
				require.True(t, m.Commit)
				require.Equal(t, batch.Commit, m.Type())
				require.Equal(t, int32(7), m.CoordinatorEpoch)
			} else {
				require.Zero(t, m)
			}
		})
	}
}

func TestControlKeys(t *testing.T) {
	for typ := batch.Abort; typ <= batch.KRaftVoters; typ++ {
		got, err := batch.ParseControlKey(batch.AppendControlKey(nil, typ))
		require.NoError(t, err)
		require.Equal(t, typ, got)
	}
	data := batch.AppendControl(nil, batch.Options{
		BaseOffset: 9, PartitionLeaderEpoch: 3, Compression: batch.Zstd,
	}, batch.LeaderChange, 88, []byte("value"))
	h := parse(t, data)
	require.True(t, h.IsControl())
	require.Equal(t, int64(9), h.LastOffset())
	require.Equal(t, batch.Uncompressed, h.Codec())
	require.Equal(t, []rec{{88, "\x00\x00\x00\x02", "value"}}, read(t, data))
}

// TestMarkerAllocatesNothing: coordinators write many markers.
func TestMarkerAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 100)
	m := batch.Marker{ProducerID: 1, Commit: true}
	var err error
	require.Zero(t, testing.AllocsPerRun(10, func() {
		dst = batch.AppendMarker(dst[:0], &m)
		var h batch.Header
		var ok bool
		if err = batch.Parse(dst, &h); err == nil {
			if _, ok, err = batch.ParseMarker(dst, &h); !ok {
				err = errors.New("the marker is not one")
			}
		}
	}))
	require.NoError(t, err)
}

func BenchmarkFilter(b *testing.B) {
	for _, c := range []batch.Compression{batch.Uncompressed, batch.LZ4} {
		b.Run(c.String(), func(b *testing.B) {
			data := build(b, batch.Options{Compression: c}, thousand()...)
			h := parse(b, data)
			f := newFilter()
			var dst []byte
			b.ReportAllocs()
			for b.Loop() {
				var err error
				dst, _, err = f.Append(dst[:0], data, &h, batch.Retention{},
					func(r *batch.Record) bool { return r.OffsetDelta&1 == 0 })
				if err != nil {
					b.Fatal(err)
				}
			}
			reportRecords(b, data)
		})
	}
}
