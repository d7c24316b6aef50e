package realnet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/log"
)

// Files is the file system of the machine, as jobs use it.
type Files struct{}

var _ log.Files = Files{}

// Open opens an existing file for reading and writing.
func (Files) Open(path string) (log.File, error) { return open(path, 0) }

// Create opens a file, making it empty if it was not there.
func (Files) Create(path string) (log.File, error) { return open(path, unix.O_CREAT) }

func open(path string, flags int) (log.File, error) {
	fd, err := openFile(path, flags)
	if err != nil {
		return nil, err
	}
	return &file{fd: fd, path: path}, nil
}

// List returns a directory's entries sorted by name. A file that goes away while
// they are listed is left out.
func (Files) List(dir string) ([]log.Entry, error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, translate(err)
	}
	entries := make([]log.Entry, 0, len(names))
	for _, name := range names {
		stat, err := name.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, translate(err)
		}
		entry := log.Entry{
			Name: name.Name(), Modified: clock.Wall(stat.ModTime().UnixMilli()), Dir: stat.IsDir(),
		}
		if !entry.Dir {
			entry.Size = stat.Size()
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// MakeDir makes a directory and its missing parents.
func (Files) MakeDir(path string) error { return translate(os.MkdirAll(path, 0o755)) }

// Rename replaces newPath, atomically.
func (Files) Rename(oldPath, newPath string) error { return translate(os.Rename(oldPath, newPath)) }

// Remove removes a file, or a directory with all it holds. To remove what is not
// there is no error.
func (Files) Remove(path string) error { return translate(os.RemoveAll(path)) }

// SyncDir makes the names in a directory durable.
func (Files) SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return translate(err)
	}
	defer dir.Close()
	return translate(dir.Sync())
}

// jobFiles is the file system as jobs use it beside handles: a job may cut a file that
// has one.
type jobFiles struct {
	Files
	handles *handles
}

// Open opens an existing file for reading and writing.
func (j jobFiles) Open(path string) (log.File, error) { return j.open(path, 0) }

// Create opens a file, making it empty if it was not there.
func (j jobFiles) Create(path string) (log.File, error) { return j.open(path, unix.O_CREAT) }

func (j jobFiles) open(path string, flags int) (log.File, error) {
	fd, err := openFile(path, flags)
	if err != nil {
		return nil, err
	}
	return &jobFile{file: file{fd: fd, path: path}, handles: j.handles}, nil
}

type jobFile struct {
	file
	handles *handles
}

// Truncate waits while the room behind a file is given back.
func (f *jobFile) Truncate(size int64) error {
	f.handles.sizing.Lock()
	defer f.handles.sizing.Unlock()
	return f.file.Truncate(size)
}

// file is one open file of a job.
type file struct {
	path string
	fd   int
}

func (f *file) ReadAt(p []byte, pos int64) (int, error) { return readAt(f.fd, p, pos) }

func (f *file) WriteAt(p []byte, pos int64) (int, error) {
	n, err := writeAt(f.fd, p, pos)
	return n, f.wrap("write", err)
}

func (f *file) Size() (int64, error) {
	var stat unix.Stat_t
	err := retry(func() error { return unix.Fstat(f.fd, &stat) })
	return stat.Size, f.wrap("stat", err)
}

func (f *file) Truncate(size int64) error {
	return f.wrap("truncate", retry(func() error { return unix.Ftruncate(f.fd, size) }))
}

// Sync makes the bytes and the size durable: fdatasync leaves out only the times.
func (f *file) Sync() error { return f.wrap("sync", fdatasync(f.fd)) }

func (f *file) Close() error { return f.wrap("close", unix.Close(f.fd)) }

func (f *file) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", what, filepath.Base(f.path), translate(err))
}
