package realnet

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// fdatasync makes a file's bytes and size durable.
func fdatasync(fd int) error {
	return retry(func() error { return unix.Fdatasync(fd) })
}

// syncfs makes everything durable on the file system that holds fd.
func syncfs(fd int) error {
	return retry(func() error { return unix.Syncfs(fd) })
}

// fallocate reserves room for a part of a file, without changing its size.
func fallocate(fd int, from, length int64) error {
	return retry(func() error { return unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, from, length) })
}

// hasSyncfs says whether one call can sync many files.
const hasSyncfs = true

// memoryBytes is how much memory this process may use: the machine's, or what its
// control group is given.
func memoryBytes() int64 {
	var total int64 = 8 << 30
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		total = int64(info.Totalram) * int64(info.Unit)
	}
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
			total = min(total, limit)
		}
	}
	return total
}
