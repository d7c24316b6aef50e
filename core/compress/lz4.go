package compress

import "github.com/pierrec/lz4/v4"

// lz4Levels counts the fast compressor and the library's levels 1 to 9.
const lz4Levels = 10

// kafkaLZ4Default is the level that means the fast compressor (KIP-390).
const kafkaLZ4Default = 9

var lz4Settings = [lz4Levels]lz4.CompressionLevel{
	lz4.Fast, lz4.Level1, lz4.Level2, lz4.Level3, lz4.Level4,
	lz4.Level5, lz4.Level6, lz4.Level7, lz4.Level8, lz4.Level9,
}

// lz4Setting maps Kafka's levels, 1 to 17, to the library's.
func lz4Setting(level int) int {
	if level == kafkaLZ4Default {
		return 0
	}
	return min(max(level, 0), lz4Levels-1)
}

// lz4 writes the frame that Kafka's clients do: independent blocks of 64 KiB
// without checksums.
func (c *Codec) lz4(dst []byte, level int, src []byte) ([]byte, error) {
	setting := lz4Setting(level)
	out := sink{dst}
	w, ok := c.lz4Writers[setting].Get().(*lz4.Writer)
	if ok {
		w.Reset(&out)
	} else {
		w = lz4.NewWriter(&out)
		err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false),
			lz4.ConcurrencyOption(1), lz4.CompressionLevelOption(lz4Settings[setting]))
		if err != nil {
			return dst, err
		}
	}
	if err := writeAll(w, src); err != nil {
		return dst, err
	}
	w.Reset(nil)
	c.lz4Writers[setting].Put(w)
	return out.b, nil
}

// unlz4er is a decoder with its input.
type unlz4er struct {
	in source
	*lz4.Reader
}

func (r *unlz4er) release() {
	r.in.release()
	r.Reset(nil)
}

func (c *Codec) unlz4(dst, src []byte, bytesMax int) ([]byte, error) {
	r, ok := c.lz4Readers.Get().(*unlz4er)
	if !ok {
		r = new(unlz4er)
		r.Reader = lz4.NewReader(&r.in)
		if err := r.Apply(lz4.ConcurrencyOption(1)); err != nil {
			return dst, err
		}
	}
	defer c.lz4Readers.Put(r)
	defer r.release()
	r.in.Reset(src)
	r.Reset(&r.in)
	return expand(dst, r, len(src), bytesMax)
}
