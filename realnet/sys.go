package realnet

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/heiban/heiban/core/log"
)

// iovecsMax is the most buffers that one writev or pwritev takes (IOV_MAX).
const iovecsMax = 1024

// retry repeats a system call for as long as a signal interrupts it.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// deviceError is an error of the system under the name the core knows it by.
type deviceError struct{ err, name error }

func (e *deviceError) Error() string   { return e.err.Error() }
func (e *deviceError) Unwrap() []error { return []error{e.err, e.name} }

// translate gives the errors that the core tells apart the core's names.
func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return &deviceError{err, log.ErrNotExist}
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return &deviceError{err, log.ErrNoSpace}
	default:
		return err
	}
}

// openFile opens a file for reading and writing without asking the poller about it,
// as the standard library would.
func openFile(path string, flags int) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|flags, 0o644)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, fmt.Errorf("open %s: %w", path, translate(err))
		}
		return fd, nil
	}
}

// readAt is io.ReaderAt over a descriptor.
func readAt(fd int, p []byte, pos int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pread(fd, p[done:], pos+int64(done))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return done, err
		case n == 0:
			return done, io.EOF
		default:
			done += n
		}
	}
	return done, nil
}

// writeAt is io.WriterAt over a descriptor.
func writeAt(fd int, p []byte, pos int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pwrite(fd, p[done:], pos+int64(done))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return done, translate(err)
		}
		done += n
	}
	return done, nil
}

// writeAllAt writes bufs one after the other from pos on. It uses up bufs.
func writeAllAt(fd int, bufs [][]byte, pos int64) error {
	for len(bufs) > 0 {
		if len(bufs) == 1 {
			_, err := writeAt(fd, bufs[0], pos)
			return err
		}
		n, err := unix.Pwritev(fd, bufs[:min(len(bufs), iovecsMax)], pos)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return translate(err)
		}
		pos += int64(n)
		bufs = advance(bufs, n)
	}
	return nil
}

// advance takes n written bytes off the front of bufs.
func advance(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if n > 0 {
		bufs[0] = bufs[0][n:]
	}
	return bufs
}
