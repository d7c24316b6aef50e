package compress

import "github.com/klauspost/compress/gzip"

// gzipLevels counts the default and 1 to 9.
const gzipLevels = 10

func (c *Codec) gzip(dst []byte, level int, src []byte) ([]byte, error) {
	level = min(max(level, 0), gzipLevels-1)
	out := sink{dst}
	w, ok := c.gzipWriters[level].Get().(*gzip.Writer)
	if ok {
		w.Reset(&out)
	} else {
		setting := level
		if level == 0 {
			setting = gzip.DefaultCompression
		}
		var err error
		if w, err = gzip.NewWriterLevel(&out, setting); err != nil {
			return dst, err
		}
	}
	if err := writeAll(w, src); err != nil {
		return dst, err
	}
	w.Reset(nil)
	c.gzipWriters[level].Put(w)
	return out.b, nil
}

// gunzipper is a decoder with its input.
type gunzipper struct {
	in source
	gzip.Reader
}

func (c *Codec) gunzip(dst, src []byte, bytesMax int) ([]byte, error) {
	r, ok := c.gzipReaders.Get().(*gunzipper)
	if !ok {
		r = new(gunzipper)
	}
	defer c.gzipReaders.Put(r)
	defer r.in.release()
	r.in.Reset(src)
	if err := r.Reset(&r.in); err != nil {
		return dst, err
	}
	return expand(dst, r, len(src), bytesMax)
}
