package log

import (
	"errors"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
)

// ErrNotExist is what a device wraps when a file or directory is not there.
var ErrNotExist = errors.New("file does not exist")

// ErrNoSpace is what a device wraps when the disk is full.
var ErrNoSpace = errors.New("no space left on device")

// Files is the disk as jobs see it. Paths are slash-separated. Nothing is
// durable before Sync (a file's bytes and size) or SyncDir (the names in a
// directory) returned nil.
type Files interface {
	// Open opens an existing file for reading and writing.
	Open(path string) (File, error)
	// Create opens a file, making it empty if it was not there.
	Create(path string) (File, error)
	// List returns a directory's entries sorted by name.
	List(dir string) ([]Entry, error)
	// MakeDir makes a directory and its missing parents.
	MakeDir(path string) error
	// Rename replaces newPath, atomically.
	Rename(oldPath, newPath string) error
	// Remove removes a file, or a directory with all it holds. To remove what
	// is not there is no error.
	Remove(path string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(path string) error
}

// Entry is one name in a directory.
type Entry struct {
	Name     string
	Size     int64
	Modified clock.Wall
	Dir      bool
}

// File is one open file.
type File interface {
	ReadAt(p []byte, pos int64) (int, error)
	WriteAt(p []byte, pos int64) (int, error)
	Size() (int64, error)
	Truncate(size int64) error
	Sync() error
	Close() error
}

// FileRef names a file of a log for the length of the node's life. The id is
// never used twice, so a handle kept under it cannot meet another file that has
// taken the same path.
type FileRef struct {
	ID   uint64
	Path string
}

// Reader reads files that the core has named. Production keeps them open.
type Reader interface {
	ReadAt(f FileRef, p []byte, pos int64) (int, error)
}

// Devices is what a job may use.
type Devices struct {
	Files Files
	Codec batch.Codec
}
