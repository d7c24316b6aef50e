package compress_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/compress"
	_ "github.com/heiban/heiban/internal/repeatable"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var codecs = []batch.Compression{
	batch.Uncompressed, batch.Gzip, batch.Snappy, batch.LZ4, batch.Zstd,
}

// text returns n bytes that compress about as well as records of JSON do.
func text(n int) []byte {
	var b bytes.Buffer
	random := rand.New(rand.NewPCG(1, 2))
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, `{"seq":%d,"user":"u-%d","text":"the quick brown fox"}`, i,
			random.IntN(9999))
	}
	return b.Bytes()[:n]
}

// noise returns n bytes that do not compress.
func noise(n int) []byte {
	random := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	c := new(compress.Codec)
	inputs := [][]byte{
		{},
		{1},
		text(100), text(32 << 10), text(32<<10 + 1), text(64 << 10), text(500_000),
		noise(100), noise(100_000), make([]byte, 1_000_000),
	}
	for _, typ := range codecs {
		for _, in := range inputs {
			packed, err := c.Compress([]byte("before"), typ, 0, in)
			require.NoError(t, err)
			require.Equal(t, "before", string(packed[:6]))
			out, err := c.Decompress([]byte("prefix"), typ, packed[6:], len(in))
			require.NoError(t, err, "%v %d", typ, len(in))
			require.Equal(t, "prefix", string(out[:6]))
			require.True(t, bytes.Equal(in, out[6:]), "%v %d", typ, len(in))
		}
	}
}

func TestAnyBytesAnyLevel(t *testing.T) {
	c := new(compress.Codec)
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom(codecs).Draw(t, "codec")
		level := rapid.IntRange(-5, 30).Draw(t, "level")
		in := rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
		in = bytes.Repeat(in, rapid.IntRange(0, 50).Draw(t, "times"))
		packed, err := c.Compress(nil, typ, level, in)
		require.NoError(t, err)
		again, err := new(compress.Codec).Compress(nil, typ, level, in)
		require.NoError(t, err)
		require.Equal(t, packed, again, "a used encoder gives what a new one gives")
		out, err := c.Decompress(nil, typ, packed, len(in))
		require.NoError(t, err)
		require.True(t, bytes.Equal(in, out))
	})
}

func TestLevels(t *testing.T) {
	c := new(compress.Codec)
	in := text(200_000)
	size := func(typ batch.Compression, level int) int {
		b, err := c.Compress(nil, typ, level, in)
		require.NoError(t, err)
		return len(b)
	}
	for _, tc := range []struct {
		typ          batch.Compression
		same, better [2]int
	}{
		{batch.Gzip, [2]int{0, -1}, [2]int{1, 9}},
		{batch.LZ4, [2]int{0, 9}, [2]int{9, 17}},
		{batch.Zstd, [2]int{0, 3}, [2]int{-131072, 22}},
	} {
		require.Equal(t, size(tc.typ, tc.same[0]), size(tc.typ, tc.same[1]), "%v", tc.typ)
		require.Greater(t, size(tc.typ, tc.better[0]), size(tc.typ, tc.better[1]), "%v", tc.typ)
	}
}

func TestExpansionLimit(t *testing.T) {
	c := new(compress.Codec)
	for _, typ := range codecs {
		for _, n := range []int{1, 1000, 70_000, 1_000_000} {
			for _, in := range [][]byte{text(n), make([]byte, n)} {
				packed, err := c.Compress(nil, typ, 0, in)
				require.NoError(t, err)
				out, err := c.Decompress(nil, typ, packed, n)
				require.NoError(t, err)
				require.Len(t, out, n)
				for _, limit := range []int{n - 1, n / 2, 0, -1} {
					out, err = c.Decompress([]byte("prefix"), typ, packed, limit)
					require.ErrorIs(t, err, batch.ErrExpansion, "%v %d %d", typ, n, limit)
					require.Equal(t, "prefix", string(out))
				}
			}
		}
	}
}

// TestMemory: a bomb of zeros costs no more than the limit, and a false claim of a
// large size nothing.
func TestMemory(t *testing.T) {
	const limit = 4 << 20
	c := new(compress.Codec)
	zeros := make([]byte, 64<<20)
	lyingSnappy := append(binary.AppendUvarint(nil, limit), 0, 'x')
	lyingZstd := []byte{
		0x28, 0xb5, 0x2f, 0xfd, // magic
		0xa0,                 // single segment, content size of 4 bytes
		0, 0, limit >> 16, 0, // content size
		1, 0, 0, // last block, raw, empty
	}
	wideZstd := []byte{
		0x28, 0xb5, 0x2f, 0xfd, // magic
		0,       // content size unknown
		17 << 3, // window of 128 MiB
		1, 0, 0, // last block, raw, empty
	}
	for _, tc := range []struct {
		name string
		typ  batch.Compression
		in   func() []byte
		max  uint64
	}{
		{"gzip", batch.Gzip, func() []byte { return zeros }, 4 * limit},
		{"snappy", batch.Snappy, func() []byte { return zeros }, 4 * limit},
		{"lz4", batch.LZ4, func() []byte { return zeros }, 4 * limit},
		{"zstd", batch.Zstd, func() []byte { return zeros }, 4 * limit},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bomb, err := c.Compress(nil, tc.typ, 0, tc.in())
			require.NoError(t, err)
			require.Less(t, allocated(func() {
				_, err = c.Decompress(nil, tc.typ, bomb, limit)
			}), tc.max)
			require.ErrorIs(t, err, batch.ErrExpansion)
		})
	}
	for _, tc := range []struct {
		name string
		typ  batch.Compression
		in   []byte
	}{
		{"snappy's size", batch.Snappy, lyingSnappy},
		{"zstd's size", batch.Zstd, lyingZstd},
		{"zstd's window", batch.Zstd, wideZstd},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _ = c.Decompress(nil, tc.typ, tc.in, limit) // the decoder's own memory
			require.Less(t, allocated(func() {
				_, _ = c.Decompress(nil, tc.typ, tc.in, limit)
			}), uint64(64<<10))
		})
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestXerialFraming(t *testing.T) {
	c := new(compress.Codec)
	in := text(40_000)
	packed, err := c.Compress(nil, batch.Snappy, 0, in)
	require.NoError(t, err)
	require.Equal(t, "\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01", string(packed[:16]))
	rest, blocks := packed[16:], 0
	for ; len(rest) > 0; blocks++ {
		n := binary.BigEndian.Uint32(rest)
		part, err := s2.Decode(nil, rest[4:4+n])
		require.NoError(t, err)
		require.Equal(t, in[:len(part)], part)
		in, rest = in[len(part):], rest[4+n:]
	}
	require.Equal(t, 2, blocks)
	require.Empty(t, in)

	raw := s2.EncodeSnappy(nil, text(40_000))
	out, err := c.Decompress(nil, batch.Snappy, raw, 40_000)
	require.NoError(t, err, "a raw block is accepted too")
	require.Equal(t, text(40_000), out)
	_, err = c.Decompress(nil, batch.Snappy, raw, 39_999)
	require.ErrorIs(t, err, batch.ErrExpansion)
}

// TestZstdStreams reads frames as streaming encoders write them, without a size.
func TestZstdStreams(t *testing.T) {
	c := new(compress.Codec)
	for _, in := range [][]byte{text(300_000), make([]byte, 3_000_000)} {
		var b bytes.Buffer
		w, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
		require.NoError(t, err)
		_, err = w.Write(in)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		out, err := c.Decompress(nil, batch.Zstd, b.Bytes(), len(in))
		require.NoError(t, err)
		require.True(t, bytes.Equal(in, out))
		_, err = c.Decompress(nil, batch.Zstd, b.Bytes(), len(in)-1)
		require.ErrorIs(t, err, batch.ErrExpansion)
	}
}

func TestCorruptInput(t *testing.T) {
	c := new(compress.Codec)
	in := text(100_000)
	for _, typ := range codecs[1:] {
		packed, err := c.Compress(nil, typ, 0, in)
		require.NoError(t, err)
		for _, cut := range []int{1, 7, 30, len(packed) / 2, len(packed) - 5} {
			out, err := c.Decompress(nil, typ, packed[:cut], len(in))
			require.True(t, err != nil || len(out) < len(in), "%v cut at %d", typ, cut)
		}
		_, err = c.Decompress(nil, typ, []byte(strings.Repeat("garbage", 9)), len(in))
		require.Error(t, err, "%v", typ)
		out, err := c.Decompress(nil, typ, packed, len(in))
		require.NoError(t, err, "a decoder recovers from an error")
		require.Equal(t, in, out)
	}
	for _, typ := range []batch.Compression{5, 6, 7, 255} {
		_, err := c.Compress(nil, typ, 0, in)
		require.ErrorIs(t, err, compress.ErrUnknown)
		_, err = c.Decompress(nil, typ, in, len(in))
		require.ErrorIs(t, err, compress.ErrUnknown)
	}
}

// TestConcurrentUse gives many goroutines one Codec, under -race.
func TestConcurrentUse(t *testing.T) {
	c := new(compress.Codec)
	in := text(20_000)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for g := range errs {
		wg.Go(func() {
			for i := range 20 {
				typ := codecs[(g+i)%len(codecs)]
				packed, err := c.Compress(nil, typ, 0, in)
				if err != nil {
					errs[g] = err
					return
				}
				out, err := c.Decompress(nil, typ, packed, len(in))
				if err != nil || !bytes.Equal(in, out) {
					errs[g] = fmt.Errorf("%v came back wrong: %w", typ, err)
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}

func BenchmarkCompress(b *testing.B) {
	c, in := new(compress.Codec), text(100<<10)
	for _, typ := range codecs[1:] {
		b.Run(typ.String(), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			var dst []byte
			for b.Loop() {
				var err error
				if dst, err = c.Compress(dst[:0], typ, 0, in); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(in))/float64(len(dst)), "ratio")
		})
	}
}

func BenchmarkDecompress(b *testing.B) {
	c, in := new(compress.Codec), text(100<<10)
	for _, typ := range codecs[1:] {
		b.Run(typ.String(), func(b *testing.B) {
			packed, err := c.Compress(nil, typ, 0, in)
			require.NoError(b, err)
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			var dst []byte
			for b.Loop() {
				if dst, err = c.Decompress(dst[:0], typ, packed, len(in)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzDecompress(f *testing.F) {
	c := new(compress.Codec)
	for _, typ := range codecs {
		for _, in := range [][]byte{nil, text(200), make([]byte, 5000)} {
			packed, err := c.Compress(nil, typ, 0, in)
			require.NoError(f, err)
			f.Add(packed, uint8(typ), uint16(len(in)))
		}
	}
	f.Fuzz(func(t *testing.T, src []byte, typ uint8, limit uint16) {
		const spare = 100
		dst := append(make([]byte, 0, spare), "prefix"...)
		out, err := c.Decompress(dst, batch.Compression(typ), src, int(limit))
		require.Equal(t, "prefix", string(out[:6]))
		if err != nil {
			require.Len(t, out, 6)
			return
		}
		require.LessOrEqual(t, len(out)-6, int(limit))
		again, err := c.Decompress(nil, batch.Compression(typ), src, int(limit))
		require.NoError(t, err)
		require.True(t, bytes.Equal(out[6:], again), "the result does not depend on dst")
	})
}
