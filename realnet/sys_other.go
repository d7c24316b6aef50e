//go:build unix && !linux

package realnet

import (
	"errors"

	"golang.org/x/sys/unix"
)

// fdatasync makes a file's bytes and size durable.
func fdatasync(fd int) error {
	return retry(func() error { return unix.Fsync(fd) })
}

// syncfs makes everything durable on the file system that holds fd.
func syncfs(int) error { return errors.ErrUnsupported }

// fallocate reserves room for a part of a file, without changing its size.
func fallocate(int, int64, int64) error { return errors.ErrUnsupported }

// hasSyncfs says whether one call can sync many files.
const hasSyncfs = false

// memoryBytes is how much memory this process may use.
func memoryBytes() int64 { return 8 << 30 }
