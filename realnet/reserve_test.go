//go:build linux

package realnet

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/heiban/heiban/core/log"
)

// blocks returns a file's size and the bytes it takes up.
func blocks(t *testing.T, path string) (size, taken int64) {
	t.Helper()
	var stat unix.Stat_t
	require.NoError(t, unix.Stat(path, &stat))
	const blockBytes = 512
	return stat.Size, stat.Blocks * blockBytes
}

// TestReserve: a file that grows takes up more than it holds, and gives it back when it
// is quiet, and when its descriptor is closed; its bytes stay.
func TestReserve(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	hs := newHandles(8, 8)
	ref := log.FileRef{ID: 1, Path: path}
	chunk := make([]byte, 1<<20)
	for i := range chunk {
		chunk[i] = byte(i)
	}
	write := func(i int64) {
		h := hs.take(ref)
		defer hs.drop(h)
		fd, err := hs.descriptor(h, forCreating)
		require.NoError(t, err)
		h.reserve(fd, (i+1)<<20)
		require.NoError(t, writeAllAt(fd, [][]byte{chunk}, i<<20))
	}
	write(0)
	h := hs.take(ref)
	if h.cannotReserve {
		t.Log("this file system reserves nothing")
	} else {
		require.Equal(t, int64(2<<20), h.reserved)
		_, taken := blocks(t, path)
		require.GreaterOrEqual(t, taken, int64(2<<20))
	}
	hs.trimQuiet()
	hs.drop(h)

	hs.trimQuiet() // it was written to since the last time
	write(1)
	hs.trimQuiet()
	hs.trimQuiet()
	size, taken := blocks(t, path)
	require.Equal(t, int64(2<<20), size)
	require.Less(t, taken, int64(2<<20+1<<16))

	write(2)
	hs.close()
	size, taken = blocks(t, path)
	require.Equal(t, int64(3<<20), size)
	require.Less(t, taken, int64(3<<20+1<<16))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := range 3 {
		require.Equal(t, chunk, data[i<<20:(i+1)<<20])
	}
}

// TestCutBesideTrim: to give back what is reserved does not bring back what a job cuts
// at the same time.
func TestCutBesideTrim(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	hs := newHandles(8, 8)
	defer hs.close()
	ref := log.FileRef{ID: 1, Path: path}
	chunk := make([]byte, 1<<20)
	for range 300 {
		h := hs.take(ref)
		fd, err := hs.descriptor(h, forCreating)
		require.NoError(t, err)
		h.reserve(fd, 1<<20)
		require.NoError(t, writeAllAt(fd, [][]byte{chunk}, 0))
		hs.drop(h)
		hs.trimQuiet() // the next one trims
		var beside sync.WaitGroup
		beside.Go(hs.trimQuiet)
		f, err := jobFiles{handles: hs}.Open(path)
		require.NoError(t, err)
		require.NoError(t, f.Truncate(5))
		require.NoError(t, f.Close())
		beside.Wait()
		size, _ := blocks(t, path)
		require.Equal(t, int64(5), size)
	}
}
