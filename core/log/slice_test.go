package log

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/core/batch"
)

// compactable is a log of three segments of batches with one key, ready for Tick to
// compact.
func compactable(t *testing.T) *device {
	d := newDevice()
	d.cfg.CleanupCompact, d.cfg.CleanupDelete = true, false
	d.cfg.SegmentBytes, d.cfg.IndexIntervalBytes = 400, 60
	_, err := d.start(true)
	require.NoError(t, err)
	for range 15 {
		h, data := makeBatch(batch.Options{}, testRecord{timestamp: 1000, key: "k", value: "v"})
		d.append(0, &h, data)
		d.settle()
	}
	d.log.SetHighWatermark(d.log.LogEndOffset())
	require.Len(t, d.log.closed, 2)
	return d
}

// A slice goes on reading the files it began with. A reader that has not opened
// them may meet the new ones: then it finds whole batches of those, or nothing.
func TestSliceOutlivesCompaction(t *testing.T) {
	for from := int64(0); from < 15; from++ {
		d := compactable(t)
		slice, _ := d.log.SliceFrom(from, 15)
		before, err := slice.Locate(d.reader, 1<<20, true)
		require.NoError(t, err)
		want := d.read(before)

		d.advance(20_000)
		d.tick()
		require.Len(t, d.jobs, 1)
		d.settle()
		require.Less(t, d.log.closed[0].size, slice.segment(0).size+1)

		again, err := slice.Locate(d.reader, 1<<20, true)
		require.NoError(t, err)
		require.Equal(t, before, again)
		require.Equal(t, want, d.read(again))

		d.reader = newMemReader(d.files)
		late, err := slice.Locate(d.reader, 1<<20, true)
		require.NoError(t, err)
		for data := d.read(late); len(data) > 0; {
			var h batch.Header
			require.NoError(t, batch.Parse(data, &h))
			require.True(t, batch.ValidCRC(data, &h))
			data = data[h.Size:]
		}
		offset, _, err := slice.OffsetOfTime(d.reader, nil, 1000)
		require.NoError(t, err)
		require.GreaterOrEqual(t, offset, from)
	}
}

// What a fetch may read does not change under it while the log goes on.
func TestSliceIsImmutable(t *testing.T) {
	d := compactable(t)
	slice, bytes := d.log.SliceFrom(13, 15)
	for range 100 {
		h, data := makeBatch(batch.Options{}, testRecord{timestamp: 2000, key: "k", value: "w"})
		d.append(0, &h, data)
		d.settle()
	}
	r, err := slice.Locate(d.reader, 1<<20, true)
	require.NoError(t, err)
	require.Equal(t, int64(r.Len), bytes)
	_, timestamp, err := slice.OffsetOfTime(d.reader, nil, MaxTimestamp)
	require.NoError(t, err)
	require.Equal(t, int64(1000), timestamp)
}

// Slices are read in other goroutines while the log goes on.
func TestSliceIsReadConcurrently(t *testing.T) {
	d := compactable(t)
	d.cfg.CleanupCompact = false
	done := make(chan error)
	readers := 0
	for i := range 50 {
		slice, _ := d.log.SliceFrom(int64(i%15), d.log.LogEndOffset())
		segments := append([]*segment(nil), slice.closed...)
		readers++
		go func() {
			for _, s := range segments {
				v := s.view()
				floorOffset(v.offsets, 3)
				floorTime(v.times, 1000)
			}
			_, err := slice.Locate(emptyReader{}, 1, false)
			done <- err
		}()
		h, data := makeBatch(batch.Options{}, testRecord{timestamp: 2000, key: "k", value: "w"})
		d.append(0, &h, data)
		d.settle()
	}
	for range readers {
		require.NoError(t, <-done)
	}
}

// emptyReader finds every file empty.
type emptyReader struct{}

func (emptyReader) ReadAt(FileRef, []byte, int64) (int, error) { return 0, io.EOF }
