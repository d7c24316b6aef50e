package log

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/core/batch"
)

// A slice is read to its end, whatever is read at once, and from the middle of what a
// batch holds.
func TestEachBatch(t *testing.T) {
	d := compactable(t)
	devices := &Devices{Files: d.files}
	for from := range int64(16) {
		for _, chunk := range []int32{1, 100, 1 << 20} {
			slice, _ := d.log.SliceFrom(from, 15)
			seen := from
			next, err := EachBatch(devices, &slice, chunk, func(b []byte, h *batch.Header) error {
				require.True(t, batch.ValidCRC(b, h))
				require.Len(t, b, int(h.Size))
				require.Equal(t, seen, h.BaseOffset)
				seen = h.NextOffset()
				return nil
			})
			require.NoError(t, err)
			require.Equal(t, max(from, 15), next)
			require.Equal(t, next, seen)
		}
	}
}

// What goes wrong with a disk is told. That a file is another by now is not.
func TestEachBatchEndsWhereFilesAreReplaced(t *testing.T) {
	d := compactable(t)
	devices := &Devices{Files: d.files}
	slice, _ := d.log.SliceFrom(0, 15)
	refusal := errors.New("enough")
	next, err := EachBatch(devices, &slice, 100, func(_ []byte, h *batch.Header) error {
		if h.BaseOffset == 3 {
			return refusal
		}
		return nil
	})
	require.ErrorIs(t, err, refusal)
	require.Equal(t, int64(3), next)

	d.advance(20_000)
	d.tick()
	d.settle()
	read := func(s *Slice) (next int64, found int) {
		next, err := EachBatch(devices, s, 100, func([]byte, *batch.Header) error {
			found++
			return nil
		})
		require.NoError(t, err)
		return next, found
	}
	_, found := read(&slice)
	require.Less(t, found, 15, "the files hold less than the slice knows")
	now, _ := d.log.SliceFrom(0, 15)
	next, found = read(&now)
	require.Equal(t, int64(15), next)
	require.Positive(t, found)

	require.NoError(t, d.files.Remove(d.log.active.files.log.Path))
	next, found = read(&now)
	require.Less(t, next, int64(15))
	require.Positive(t, found)
}
