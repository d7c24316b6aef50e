package realnet

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/core/log"
	_ "github.com/heiban/heiban/internal/repeatable"
)

func TestHandlesOpenAFewAtATime(t *testing.T) {
	const files, openMax = 10, 3
	hs := newHandles(openMax, 2)
	defer hs.close()
	refs := writeFiles(t, t.TempDir(), files)
	p := make([]byte, 8)
	for range 3 {
		for i, ref := range refs {
			n, err := hs.ReadAt(ref, p, 1)
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, fmt.Sprintf("ile %d", i), string(p[:n]))
			open, _ := hs.counts()
			require.LessOrEqual(t, open, openMax)
		}
	}
	require.Len(t, hs.byID, openMax, "what is closed is forgotten")
}

func TestHandlesNeverCloseWhatIsInUse(t *testing.T) {
	hs := newHandles(1, 1)
	defer hs.close()
	refs := writeFiles(t, t.TempDir(), 4)
	h := hs.take(refs[0])
	fd, err := hs.descriptor(h, forReading)
	require.NoError(t, err)
	m, bytes, err := hs.pin(refs[0], 0, 6)
	require.NoError(t, err)
	for _, ref := range refs[1:] {
		other, _, err := hs.pin(ref, 0, 6)
		require.NoError(t, err)
		hs.unpin(other)
	}
	p := make([]byte, 6)
	_, err = readAt(fd, p, 0)
	require.NoError(t, err)
	require.Equal(t, "file 0", string(p))
	require.Equal(t, "file 0", string(bytes))
	hs.unpin(m)
	hs.drop(h)
	open, mapped := hs.counts()
	require.Equal(t, 1, open)
	require.Equal(t, 1, mapped)
}

func TestHandlesMapWhatHasGrown(t *testing.T) {
	dir := t.TempDir()
	hs := newHandles(8, 8)
	defer hs.close()
	ref := writeFiles(t, dir, 1)[0]
	before, first, err := hs.pin(ref, 0, 6)
	require.NoError(t, err)
	h := hs.take(ref)
	fd, err := hs.descriptor(h, forWriting)
	require.NoError(t, err)
	_, err = writeAt(fd, []byte("end"), 3<<20)
	require.NoError(t, err)
	hs.drop(h)
	after, last, err := hs.pin(ref, 3<<20, 3)
	require.NoError(t, err)
	require.Equal(t, "end", string(last))
	require.Equal(t, "file 0", string(first), "the shorter mapping is still in use")
	require.NotSame(t, before, after)
	again, _, err := hs.pin(ref, 1<<20, 1<<20)
	require.NoError(t, err)
	require.Same(t, after, again)
	hs.unpin(before)
	hs.unpin(after)
	hs.unpin(again)
	require.Nil(t, before.bytes, "the shorter one is unmapped")
	_, mapped := hs.counts()
	require.Equal(t, 1, mapped)
}

func TestHandlesReadAReleasedFileOnlyIfItIsOpen(t *testing.T) {
	dir := t.TempDir()
	hs := newHandles(8, 8)
	defer hs.close()
	refs := writeFiles(t, dir, 2)
	p := make([]byte, 6)
	_, err := hs.ReadAt(refs[0], p, 0)
	require.NoError(t, err)

	query := hs.beginQuery()
	for _, ref := range refs {
		hs.release(ref)
		require.NoError(t, os.Remove(ref.Path))
		require.NoError(t, os.WriteFile(ref.Path, []byte("other!"), 0o644))
	}
	_, err = hs.ReadAt(refs[0], p, 0)
	require.NoError(t, err)
	require.Equal(t, "file 0", string(p), "the open one is the old file")
	_, err = hs.ReadAt(refs[1], p, 0)
	require.ErrorIs(t, err, log.ErrNotExist, "the path leads to another file")
	_, _, err = hs.pin(refs[1], 0, 6)
	require.ErrorIs(t, err, log.ErrNotExist)
	require.Len(t, hs.byID, 2)

	hs.endQuery(query)
	require.Empty(t, hs.byID, "nothing names the files any more")
	open, _ := hs.counts()
	require.Zero(t, open)
}

// A released file is kept exactly as long as a query filed before its release is
// under way.
func TestHandlesKeepReleasedFilesForQueries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hs := newHandles(8, 8)
		type query struct{ epoch, filed int }
		var queries []query
		released := map[uint64]int{} // when
		for now := range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				queries = append(queries, query{hs.beginQuery(), now})
			case 1:
				if len(queries) > 0 {
					i := rapid.IntRange(0, len(queries)-1).Draw(t, "query")
					hs.endQuery(queries[i].epoch)
					queries = append(queries[:i], queries[i+1:]...)
				}
			case 2:
				released[uint64(now)] = now
				hs.release(log.FileRef{ID: uint64(now), Path: "unused"})
			}
			for id, at := range released {
				for _, q := range queries {
					if q.filed < at && hs.byID[id] == nil {
						t.Fatalf("file %d was forgotten before the query of %d", id, q.filed)
					}
				}
			}
		}
		for _, q := range queries {
			hs.endQuery(q.epoch)
		}
		if len(hs.byID) > 0 {
			t.Fatalf("%d files are kept for nobody", len(hs.byID))
		}
	})
}

func writeFiles(t *testing.T, dir string, n int) []log.FileRef {
	refs := make([]log.FileRef, n)
	for i := range refs {
		path := filepath.Join(dir, fmt.Sprintf("%d.log", i))
		require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, "file %d", i), 0o644))
		refs[i] = log.FileRef{ID: uint64(i + 1), Path: path}
	}
	return refs
}
