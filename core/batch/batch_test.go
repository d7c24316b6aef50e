package batch_test

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/compress"
)

const blockMax = 1 << 20

var (
	codec  = new(compress.Codec)
	codecs = []batch.Compression{
		batch.Uncompressed, batch.Gzip, batch.Snappy, batch.LZ4, batch.Zstd,
	}
)

// client is a batch as a real client sent it.
type client struct {
	name string
	data []byte
}

func clients(t testing.TB) []client {
	f, err := os.Open("testdata/clients.txt")
	require.NoError(t, err)
	defer f.Close()
	var all []client
	for s := bufio.NewScanner(f); s.Scan(); {
		line := s.Text()
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "  "):
			b, err := hex.DecodeString(line[2:])
			require.NoError(t, err)
			last := &all[len(all)-1]
			last.data = append(last.data, b...)
		default:
			all = append(all, client{name: line})
		}
	}
	require.Len(t, all, 15)
	return all
}

// rec is a record in tests. An empty string with a leading zero byte is null.
type rec struct {
	ts         int64
	key, value string
}

const null = "\x00"

func bytesOf(s string) []byte {
	if s == null {
		return nil
	}
	return []byte(s)
}

func build(t testing.TB, o batch.Options, recs ...rec) []byte {
	var b batch.Builder
	b.Reset(&o)
	for _, r := range recs {
		b.Append(r.ts, bytesOf(r.key), bytesOf(r.value), nil)
	}
	data, err := b.Finish(nil, codec)
	require.NoError(t, err)
	return data
}

func parse(t testing.TB, data []byte) batch.Header {
	var h batch.Header
	require.NoError(t, batch.Parse(data, &h))
	require.Len(t, data, int(h.Size))
	require.True(t, batch.ValidCRC(data, &h))
	return h
}

func read(t testing.TB, data []byte) []rec {
	h := parse(t, data)
	reader := batch.Reader{Codec: codec, BytesMax: blockMax}
	rs, err := reader.Records(data, &h)
	require.NoError(t, err)
	var out []rec
	var r batch.Record
	for rs.Next(&r) {
		next := rec{ts: h.Timestamp(&r), key: string(r.Key), value: string(r.Value)}
		if r.Key == nil {
			next.key = null
		}
		if r.Value == nil {
			next.value = null
		}
		out = append(out, next)
	}
	require.NoError(t, rs.Err())
	return out
}

func TestParse(t *testing.T) {
	whole := build(t, batch.Options{}, rec{1, "k", "v"})
	set := func(at int, v ...byte) []byte {
		b := append([]byte(nil), whole...)
		copy(b[at:], v)
		return b
	}
	for _, tc := range []struct {
		name string
		in   []byte
		want error
	}{
		{"whole", whole, nil},
		{"header only", whole[:61], nil},
		{"longer", append(set(0), 1, 2, 3), nil},
		{"empty", nil, batch.ErrShort},
		{"no length", whole[:11], batch.ErrShort},
		{"no magic", whole[:16], batch.ErrShort},
		{"no count", whole[:60], batch.ErrShort},
		{"length below any message", set(8, 0, 0, 0, 13), batch.ErrLength},
		{"length below the header", set(8, 0, 0, 0, 48), batch.ErrLength},
		{"header without records", set(8, 0, 0, 0, 49), nil},
		{"negative length", set(8, 0xff), batch.ErrLength},
		{"size beyond int32", set(8, 0x7f, 0xff, 0xff, 0xf4), batch.ErrLength},
		{"largest size", set(8, 0x7f, 0xff, 0xff, 0xf3), nil},
		{"magic 1", set(16, 1), batch.ErrMagic},
		{"magic 3", set(16, 3), batch.ErrMagic},
		{"short message of magic 0", set(8, 0, 0, 0, 14, 0, 0, 0, 0, 0), batch.ErrMagic},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var h batch.Header
			require.ErrorIs(t, batch.Parse(tc.in, &h), tc.want)
		})
	}
}

func TestParseReadsEveryField(t *testing.T) {
	want := batch.Header{
		BaseOffset: 1 << 40, BaseTimestamp: 1111, MaxTimestamp: 2222, ProducerID: 3333,
		PartitionLeaderEpoch: 44, LastOffsetDelta: 55, BaseSequence: 66, RecordCount: 77,
		Attributes: 0x7c, ProducerEpoch: 88,
	}
	data := make([]byte, 100)
	batch.Seal(data, &want)
	var got batch.Header
	require.NoError(t, batch.Parse(data, &got))
	require.Equal(t, want, got)
	require.Equal(t, int32(100), got.Size)
	require.Equal(t, crc32.Checksum(data[21:], crc32.MakeTable(crc32.Castagnoli)), got.CRC)
	require.Equal(t, batch.Zstd, got.Codec())
	require.Equal(t, batch.LogAppendTime, got.TimestampType())
	require.True(t, got.IsTransactional())
	require.True(t, got.IsControl())
	require.True(t, got.HasDeleteHorizon())
	require.True(t, got.HasProducer())
	require.Equal(t, int64(1<<40+55), got.LastOffset())
	require.Equal(t, int64(1<<40+56), got.NextOffset())
	require.Equal(t, int32(121), got.LastSequence(math.MaxInt32))
	require.Equal(t, int32(1), got.LastSequence(119))
}

func TestFlagsAreSingleBits(t *testing.T) {
	flags := []func(*batch.Header) bool{
		func(h *batch.Header) bool { return h.TimestampType() == batch.LogAppendTime },
		(*batch.Header).IsTransactional, (*batch.Header).IsControl,
		(*batch.Header).HasDeleteHorizon,
	}
	for bit := 0; bit < 16; bit++ {
		h := batch.Header{Attributes: int16(uint16(1) << bit)}
		for i, flag := range flags {
			require.Equal(t, bit == i+3, flag(&h), "bit %d, flag %d", bit, i)
		}
		require.Equal(t, bit < 3, h.Codec() != batch.Uncompressed, "bit %d", bit)
	}
}

func TestValidCRC(t *testing.T) {
	data := build(t, batch.Options{}, rec{1, "k", "v"})
	h := parse(t, data)
	require.True(t, batch.ValidCRC(append(data, 9, 9), &h), "bytes behind the batch do not count")
	require.False(t, batch.ValidCRC(data[:len(data)-1], &h), "a cut-off batch")
	for i := range data {
		flipped := append([]byte(nil), data...)
		flipped[i] ^= 0x40
		outside := i < 8 || i >= 12 && i < 16
		var h batch.Header
		if err := batch.Parse(flipped, &h); err != nil {
			require.False(t, outside)
			continue
		}
		require.Equal(t, outside, batch.ValidCRC(flipped, &h), "byte %d", i)
	}
}

func TestIncrementSequence(t *testing.T) {
	for _, tc := range []struct{ seq, n, max, want int32 }{
		{0, 0, math.MaxInt32, 0},
		{0, 10, math.MaxInt32, 10},
		{math.MaxInt32, 1, math.MaxInt32, 0},
		{math.MaxInt32 - 1, 1, math.MaxInt32, math.MaxInt32},
		{math.MaxInt32 - 9, 20, math.MaxInt32, 10},
		{math.MaxInt32, math.MaxInt32, math.MaxInt32, math.MaxInt32 - 1},
		{7, 1, 7, 0},
		{6, 1, 7, 7},
		{5, 20, 7, 1},
		{0, 8, 7, 0},
	} {
		require.Equal(t, tc.want, batch.IncrementSequence(tc.seq, tc.n, tc.max), "%+v", tc)
	}
	none := batch.Header{BaseSequence: batch.NoSequence, LastOffsetDelta: 3}
	require.Equal(t, batch.NoSequence, none.LastSequence(math.MaxInt32))
}

func TestPatches(t *testing.T) {
	data := build(t, batch.Options{}, rec{100, "k", "v"}, rec{90, "k", "v"})
	was := parse(t, data)
	tail := []byte{1, 2, 3}
	data = append(data, tail...)
	size := int(was.Size)

	batch.SetBaseOffset(data, 1<<33)
	batch.SetPartitionLeaderEpoch(data, 12)
	want := was
	want.BaseOffset, want.PartitionLeaderEpoch = 1<<33, 12
	require.Equal(t, want, parse(t, data[:size]), "the CRC does not change")

	batch.SetMaxTimestamp(data, 777)
	h := parse(t, data[:size])
	want.MaxTimestamp, want.CRC = 777, h.CRC
	require.Equal(t, want, h)
	require.NotEqual(t, was.CRC, h.CRC)

	batch.SetLogAppendTime(data, 5000)
	h = parse(t, data[:size])
	require.Equal(t, batch.LogAppendTime, h.TimestampType())
	require.Equal(t, []rec{{5000, "k", "v"}, {5000, "k", "v"}}, read(t, data[:size]))
	require.Equal(t, tail, data[size:], "the bytes behind the batch stay")
}

// TestClients reads what real clients wrote with every codec.
func TestClients(t *testing.T) {
	for _, c := range clients(t) {
		t.Run(c.name, func(t *testing.T) {
			h := parse(t, c.data)
			kind, name, _ := strings.Cut(c.name, "-")
			require.Equal(t, name, h.Codec().String())
			require.Equal(t, int64(6), h.NextOffset())
			reader := batch.Reader{Codec: codec, BytesMax: blockMax}
			rs, err := reader.Records(c.data, &h)
			require.NoError(t, err)
			var r batch.Record
			latest := batch.NoTimestamp
			for i := range 6 {
				require.True(t, rs.Next(&r))
				require.Equal(t, int32(i), r.OffsetDelta)
				latest = max(latest, h.Timestamp(&r))
				require.Equal(t, kind != "kcat" && i == 3, r.Key == nil)
				require.Equal(t, i == 5, r.Value == nil)
				checkHeaders(t, kind, &r)
				if kind != "kcat" {
					require.Equal(t, 1700000000000+int64(i*7%5)*1000, h.Timestamp(&r))
				}
			}
			require.False(t, rs.Next(&r))
			require.NoError(t, rs.Err())
			require.Equal(t, h.MaxTimestamp, latest)
		})
	}
}

func checkHeaders(t *testing.T, kind string, r *batch.Record) {
	var got []batch.RecordHeader
	var rh batch.RecordHeader
	for hs := r.Headers; hs.Next(&rh); {
		got = append(got, rh)
	}
	want := []batch.RecordHeader{{Key: []byte("trace"), Value: []byte("abc")}}
	if kind == "kcat" {
		want = append(want, batch.RecordHeader{Key: []byte("empty"), Value: []byte{}})
	}
	require.Equal(t, append(want, batch.RecordHeader{Key: []byte("null")}), got)
	require.Equal(t, len(got), r.Headers.Len())
}

// TestClientsRoundTrip builds what the clients built, byte for byte.
func TestClientsRoundTrip(t *testing.T) {
	for _, c := range clients(t) {
		h := parse(t, c.data)
		if h.Codec() != batch.Uncompressed {
			continue
		}
		var b batch.Builder
		b.Reset(&batch.Options{
			ProducerID: h.ProducerID, ProducerEpoch: h.ProducerEpoch,
			BaseSequence: h.BaseSequence, HasProducer: h.HasProducer(),
			PartitionLeaderEpoch: h.PartitionLeaderEpoch,
		})
		var r batch.Record
		for rs := batch.RecordsOf(c.data[batch.HeaderSize:], h.RecordCount); rs.Next(&r); {
			var headers []batch.RecordHeader
			var rh batch.RecordHeader
			for hs := r.Headers; hs.Next(&rh); {
				headers = append(headers, rh)
			}
			b.Append(h.Timestamp(&r), r.Key, r.Value, headers)
		}
		require.Equal(t, len(c.data), b.Size())
		data, err := b.Finish(nil, nil)
		require.NoError(t, err)
		require.Equal(t, hex.EncodeToString(c.data), hex.EncodeToString(data), c.name)
	}
}

func BenchmarkParse(b *testing.B) {
	data := clients(b)[0].data
	var h batch.Header
	b.ReportAllocs()
	for b.Loop() {
		if batch.Parse(data, &h) != nil {
			b.Fatal("the batch is whole")
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range clients(f) {
		f.Add(c.data)
		f.Add(c.data[:70])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var h batch.Header
		if batch.Parse(data, &h) != nil {
			return
		}
		require.GreaterOrEqual(t, h.Size, int32(batch.HeaderSize))
		require.Equal(t, h.Size, int32(binary.BigEndian.Uint32(data[8:]))+12)
		if !batch.ValidCRC(data, &h) {
			return
		}
		again := append([]byte(nil), data[:h.Size]...)
		sealed := h
		batch.Seal(again, &sealed)
		require.Equal(t, data[:h.Size], again, "Seal writes what Parse reads")
		require.Equal(t, h, sealed)
		m, ok, err := batch.ParseMarker(data, &h)
		if ok {
			require.NoError(t, err)
			require.True(t, h.IsControl())
			require.Equal(t, h.ProducerID, m.ProducerID)
		}
	})
}
