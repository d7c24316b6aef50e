package realnet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockName is the file in a log directory whose lock says that a process uses it.
const lockName = ".lock"

// dirLock is a log directory that no other process will use.
type dirLock struct{ file *os.File }

// lockDir makes a log directory if it is not there, and locks it. The system takes
// the lock away when the process ends, however it ends.
func lockDir(dir string) (*dirLock, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make log directory %s: %w; "+
			"set log.dirs to a directory that this user may write to", dir, err)
	}
	path := filepath.Join(dir, lockName)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w; "+
			"set log.dirs to a directory that this user may write to", path, err)
	}
	err = retry(func() error { return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		defer file.Close()
		return nil, fmt.Errorf("log directory %s is in use by another process%s; "+
			"stop it, or set log.dirs to another directory", dir, owner(file))
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	l := &dirLock{file: file}
	if err := l.sign(); err != nil {
		l.unlock()
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return l, nil
}

// sign writes who holds the lock, for the error message of the next one.
func (l *dirLock) sign() error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// owner names the process that holds a lock, if it can be read.
func owner(file *os.File) string {
	text := make([]byte, 32)
	n, _ := file.ReadAt(text, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (pid %d)", pid)
}

func (l *dirLock) unlock() { l.file.Close() }
