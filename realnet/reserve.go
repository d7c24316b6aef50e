package realnet

import (
	"time"

	"golang.org/x/sys/unix"
)

// Files that grow reserve room ahead of what is written, beyond their end. Appends into
// reserved room cost a third of the processor time of others, and do not stall behind
// the writeback of other files (ext4). What is reserved is given back when a file has
// not been written to for a while, or its descriptor is closed; after a crash, when it
// is next trimmed.

const (
	// reserveFrom is how large a file is before it reserves: most are small.
	reserveFrom = 1 << 20
	// reserveMax is the most that is reserved at once. It is at most what the file
	// holds already.
	reserveMax = 64 << 20

	trimEvery = 10 * time.Second
)

// reserve makes room for a write that ends at end. The caller is a user of h and the
// only one who writes to it. A file system that cannot reserve is not asked again.
func (h *handle) reserve(fd int, end int64) {
	h.quiet = false
	if end <= h.reserved || end < reserveFrom || h.cannotReserve {
		return
	}
	from := max(h.reserved, 0)
	upTo := end + min(end, reserveMax)
	if err := fallocate(fd, from, upTo-from); err != nil {
		h.cannotReserve = true
		return
	}
	h.reserved = upTo
}

// trim gives back what h reserved beyond its end: to truncate a file to its size changes
// nothing else. The table's mutex is held, and h has no users. A job may be cutting the
// file: to set the size from before that would bring back what it cut, as zeros.
func (hs *handles) trim(h *handle) {
	if h.reserved == 0 || h.fd < 0 {
		return
	}
	hs.sizing.Lock()
	defer hs.sizing.Unlock()
	h.reserved = 0
	var stat unix.Stat_t
	if retry(func() error { return unix.Fstat(h.fd, &stat) }) == nil {
		// If it fails the room stays reserved, which costs only space.
		_ = retry(func() error { return unix.Ftruncate(h.fd, stat.Size) })
	}
}

// trimQuiet trims the files that nobody has written to since it was last called.
func (hs *handles) trimQuiet() {
	hs.mu.Lock()
	quiet := make([]*handle, 0, len(hs.byID))
	for _, h := range hs.byID {
		if h.users == 0 && h.reserved > 0 {
			if h.quiet {
				quiet = append(quiet, h)
			}
			h.quiet = true
		}
	}
	hs.mu.Unlock()
	for _, h := range quiet { // one at a time, for writers not to wait long
		hs.mu.Lock()
		if h.users == 0 && h.quiet {
			hs.trim(h)
		}
		hs.mu.Unlock()
	}
}

// trimFiles trims quiet files from time to time, until the driver is closed.
func (d *Driver) trimFiles() {
	ticker := time.NewTicker(trimEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			d.handles.trimQuiet()
		case <-d.closing:
			return
		}
	}
}
