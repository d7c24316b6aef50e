package realnet

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/core/log"
)

func TestFilesKeepWhatIsWritten(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "b", "f")
	var files Files
	require.NoError(t, files.MakeDir(filepath.Dir(path)))
	f, err := files.Create(path)
	require.NoError(t, err)
	n, err := f.WriteAt([]byte("hello"), 3)
	require.NoError(t, err)
	require.Equal(t, 5, n)
	require.NoError(t, f.Sync())
	require.NoError(t, files.SyncDir(filepath.Dir(path)))
	require.NoError(t, f.Close())

	f, err = files.Create(path)
	require.NoError(t, err, "create opens what is there")
	size, err := f.Size()
	require.NoError(t, err)
	require.EqualValues(t, 8, size)
	p := make([]byte, 10)
	n, err = f.ReadAt(p, 0)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, "\x00\x00\x00hello", string(p[:n]))
	n, err = f.ReadAt(p[:8], 0)
	require.NoError(t, err, "up to the end is not beyond it")
	require.Equal(t, 8, n)
	require.NoError(t, f.Truncate(4))
	size, err = f.Size()
	require.NoError(t, err)
	require.EqualValues(t, 4, size)
	require.NoError(t, f.Close())
}

func TestFilesListByName(t *testing.T) {
	dir := t.TempDir()
	var files Files
	for _, name := range []string{"b", "a", "c"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name+name), 0o644))
	}
	require.NoError(t, files.MakeDir(filepath.Join(dir, "aa")))
	entries, err := files.List(dir)
	require.NoError(t, err)
	require.Len(t, entries, 4)
	for i, want := range []log.Entry{
		{Name: "a", Size: 2},
		{Name: "aa", Dir: true},
		{Name: "b", Size: 2},
		{Name: "c", Size: 2},
	} {
		require.Positive(t, entries[i].Modified)
		want.Modified = entries[i].Modified
		require.Equal(t, want, entries[i])
	}
}

func TestFilesRenameAndRemove(t *testing.T) {
	dir := t.TempDir()
	var files Files
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	require.NoError(t, os.WriteFile(from, []byte("new"), 0o644))
	require.NoError(t, os.WriteFile(to, []byte("old"), 0o644))
	require.NoError(t, files.Rename(from, to))
	text, err := os.ReadFile(to)
	require.NoError(t, err)
	require.Equal(t, "new", string(text))
	sub := filepath.Join(dir, "sub")
	require.NoError(t, files.MakeDir(filepath.Join(sub, "deeper")))
	require.NoError(t, files.Remove(sub))
	require.NoError(t, files.Remove(sub), "to remove what is not there is no error")
	require.NoError(t, files.Remove(to))
	entries, err := files.List(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestFilesTellTheCoreItsErrors(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	var files Files
	_, err := files.Open(missing)
	require.ErrorIs(t, err, log.ErrNotExist)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = files.List(missing)
	require.ErrorIs(t, err, log.ErrNotExist)
	require.ErrorIs(t, files.Rename(missing, missing+"2"), log.ErrNotExist)
	require.ErrorIs(t, files.SyncDir(missing), log.ErrNotExist)
}

func TestFilesTellAFullDisk(t *testing.T) {
	f, err := Files{}.Open(fullDevice(t))
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("x"), 0)
	require.ErrorIs(t, err, log.ErrNoSpace)
	require.NotErrorIs(t, err, log.ErrNotExist)
}

// fullDevice is a file on which every write finds the disk full.
func fullDevice(t *testing.T) string {
	const path = "/dev/full"
	_, err := os.Stat(path)
	require.NoError(t, err, "this system has no %s", path)
	return path
}
