package log

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/core/batch"
)

// benchLog is a log whose disk is quick: it says done to every order.
func benchLog(tb testing.TB) *device {
	d := newDevice()
	d.cfg.SegmentBytes = 1 << 30
	d.cfg.IndexIntervalBytes = 4096
	d.set.IndexEntriesMax = 1 << 18
	d.set.Check = false
	d.set.CleanerIOBufferBytes = 1 << 19
	_, err := d.start(true)
	require.NoError(tb, err)
	return d
}

// oneBatch is a batch of an idempotent producer with one record of n bytes.
func oneBatch(n int) (batch.Header, []byte) {
	return makeBatch(batch.Options{HasProducer: true, ProducerID: 1},
		testRecord{timestamp: 1000, value: string(make([]byte, n))})
}

// appendOnce is one produce: append, written, synced, acknowledged.
func (d *device) appendOnce(h *batch.Header, data []byte) {
	a := d.log.Append(d.now, 1, h, data, &d.orders)
	d.log.WriteDone(d.now, a.EndOffset, &d.orders)
	d.log.SyncDone(d.now, a.EndOffset, &d.orders)
	d.log.SetHighWatermark(d.log.HeldEndOffset())
	h.BaseSequence++
	d.orders.Reset()
}

func BenchmarkAppend(b *testing.B) {
	d := benchLog(b)
	h, data := oneBatch(1000)
	b.ReportAllocs()
	for b.Loop() {
		d.appendOnce(&h, data)
	}
}

// Append allocates nothing but, now and then, room for more index entries.
func TestAppendAllocates(t *testing.T) {
	d := benchLog(t)
	h, data := oneBatch(1000)
	d.appendOnce(&h, data)
	require.Zero(t, testing.AllocsPerRun(20_000, func() { d.appendOnce(&h, data) }))
}

// A fetch at the end of the log allocates nothing and reads nothing.
func TestFetchAllocates(t *testing.T) {
	d := benchLog(t)
	h, data := oneBatch(1000)
	for range 500 {
		d.appendOnce(&h, data)
	}
	var reader Reader = failingReader{t}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		s, bytes := d.log.SliceFrom(490, 500)
		r, err := s.Locate(reader, 1<<20, true)
		if err != nil || int64(r.Len) != bytes || r.Len != 10*len(data) {
			t.Fatalf("%v, %d of %d bytes", err, r.Len, bytes)
		}
	}))
}

// failingReader is for what should not read.
type failingReader struct{ tb testing.TB }

func (f failingReader) ReadAt(ref FileRef, p []byte, pos int64) (int, error) {
	f.tb.Fatalf("read %s at %d, %d bytes", ref.Path, pos, len(p))
	return 0, nil
}

// fillLog appends megabytes of batches of n bytes and carries out the writes.
func fillLog(tb testing.TB, d *device, megabytes, n int) {
	h, data := oneBatch(n)
	for d.log.Size() < int64(megabytes)<<20 {
		d.append(1, &h, data)
		h.BaseSequence++
		d.settle()
	}
	d.log.SetHighWatermark(d.log.HeldEndOffset())
	require.Equal(tb, d.log.LogEndOffset(), d.log.HighWatermark())
}

func BenchmarkLocate(b *testing.B) {
	d := benchLog(b)
	d.cfg.SegmentBytes = 4 << 20
	d.cfg.Durability = PageCache
	fillLog(b, d, 6, 1000)
	end := d.log.LogEndOffset()
	for _, c := range []struct {
		name string
		from int64
	}{{"tail", end - 5}, {"active", end - 1000}, {"sealed", end / 4}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, _ := d.log.SliceFrom(c.from, end)
				if r, err := s.Locate(d.reader, 64<<10, true); err != nil || r.Len == 0 {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRecover(b *testing.B) {
	d := benchLog(b)
	d.cfg.Durability = PageCache
	fillLog(b, d, 32, 16_000)
	d.files.crash(true)
	j := &Recover{
		Dir: testDir, Now: d.now, TopicID: [16]byte{7}, Config: d.cfg, Settings: d.set,
	}
	b.SetBytes(d.log.Size())
	for b.Loop() {
		result, err := j.Run(&Devices{Files: d.files})
		if err != nil || result.(*Recovered).Text != "" {
			b.Fatal(result, err)
		}
	}
}
