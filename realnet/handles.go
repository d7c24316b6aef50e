package realnet

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/log"
)

// handles is the table of the files that the core has named. It opens them when they
// are used, and keeps a bounded number of descriptors and mappings, those used last.
// What is in use is never closed.
type handles struct {
	mu      sync.Mutex
	byID    map[uint64]*handle
	idle    ring[*handle]  // open and unused, the longest unused first
	mapped  ring[*mapping] // mapped and unused, the longest unused first
	open    int
	maps    int
	openMax int
	mapsMax int
	epochs  epochs
	rubbish []rubbish // to be closed outside of the mutex

	// sizing is held to read a file's size and set it, and by jobs that set one.
	sizing sync.Mutex
}

// handle is one file. Its identity is the id in ref: another file may have the same
// path by now.
type handle struct {
	ref log.FileRef

	// opening is held to open or map the file, so that only this file's users
	// wait for that.
	opening sync.Mutex

	// Changed by whoever writes to the file, read by others while it has no users.
	reserved      int64 // room is reserved up to here; 0: none
	quiet         bool  // not written to since the last trimQuiet
	cannotReserve bool

	// Under the table's mutex. A descriptor stays open while there are users.
	fd       int
	users    int
	view     *mapping
	released bool // no new order or query will name the file
	done     bool // and none of the old ones does: the last user closes it
	unused   link[*handle]
}

// mapping is a part of a file in memory, from its first byte on. Files grow under
// it; a mapping may reach beyond the end of its file.
type mapping struct {
	bytes  []byte
	of     *handle
	users  int
	stale  bool // replaced by a longer one: the last user unmaps it
	unused link[*mapping]
}

// rubbish is what nothing refers to any more.
type rubbish struct {
	fd    int
	bytes []byte
}

// use says what a file is opened for.
type use uint8

const (
	forReading use = iota
	forWriting
	forCreating
)

// newHandles makes a table that keeps at most openMax descriptors and mapsMax mappings
// beyond those in use.
func newHandles(openMax, mapsMax int) *handles {
	hs := &handles{byID: map[uint64]*handle{}, openMax: openMax, mapsMax: mapsMax}
	hs.idle.init()
	hs.mapped.init()
	return hs
}

// unlock gives up the mutex and closes what has become rubbish. To close the last
// descriptor of a large removed file takes long.
func (hs *handles) unlock() {
	thrown := hs.rubbish
	hs.rubbish = nil
	hs.mu.Unlock()
	for _, r := range thrown {
		// A close reports only the errors of writes that were not synced, and
		// what must not be lost is synced.
		if r.fd >= 0 {
			_ = unix.Close(r.fd)
		}
		if r.bytes != nil {
			err := unix.Munmap(r.bytes)
			invariant.True(err == nil, "a mapping is unmapped once")
		}
	}
}

// take makes the caller a user of a file, without opening it. A drop ends that.
func (hs *handles) take(ref log.FileRef) *handle {
	hs.mu.Lock()
	h := hs.find(ref)
	hs.enter(h)
	hs.mu.Unlock()
	return h
}

func (hs *handles) find(ref log.FileRef) *handle {
	h := hs.byID[ref.ID]
	if h == nil {
		h = &handle{ref: ref, fd: -1}
		h.unused.of = h
		hs.byID[ref.ID] = h
	}
	return h
}

func (hs *handles) enter(h *handle) {
	h.users++
	h.unused.remove()
}

// drop ends one use of h.
func (hs *handles) drop(h *handle) {
	hs.mu.Lock()
	h.users--
	invariant.True(h.users >= 0, "every user of a file took it")
	if h.users == 0 {
		hs.settle(h)
	}
	hs.evict()
	hs.unlock()
}

// settle puts a file without users where it belongs.
func (hs *handles) settle(h *handle) {
	switch {
	case h.done:
		hs.forget(h)
	case h.fd >= 0:
		hs.idle.push(&h.unused)
	case h.view == nil && !h.released:
		delete(hs.byID, h.ref.ID)
	}
}

// forget takes a file out of the table that nothing will name any more.
func (hs *handles) forget(h *handle) {
	h.unused.remove()
	hs.closeDescriptor(h)
	hs.replaceView(h, nil)
	delete(hs.byID, h.ref.ID)
}

func (hs *handles) closeDescriptor(h *handle) {
	if h.fd >= 0 {
		hs.trim(h)
		hs.rubbish = append(hs.rubbish, rubbish{fd: h.fd})
		h.fd = -1
		hs.open--
	}
}

// replaceView gives h another mapping, or none.
func (hs *handles) replaceView(h *handle, m *mapping) {
	if old := h.view; old != nil {
		hs.maps--
		old.stale = true
		if old.users == 0 {
			hs.unmap(old)
		}
	}
	if h.view = m; m != nil {
		hs.maps++
	}
}

func (hs *handles) unmap(m *mapping) {
	m.unused.remove()
	hs.rubbish = append(hs.rubbish, rubbish{fd: -1, bytes: m.bytes})
	m.bytes = nil
}

// evict closes what was unused longest, for as long as there is too much.
func (hs *handles) evict() {
	for hs.open > hs.openMax {
		h, ok := hs.idle.oldest()
		if !ok {
			break
		}
		h.unused.remove()
		hs.closeDescriptor(h)
		hs.settle(h)
	}
	for hs.maps > hs.mapsMax {
		m, ok := hs.mapped.oldest()
		if !ok {
			break
		}
		h := m.of
		hs.replaceView(h, nil)
		if h.users == 0 && h.fd < 0 {
			hs.settle(h)
		}
	}
}

// descriptor opens h, which the caller has taken, unless it is open. The descriptor
// is good until the caller drops h. A file that was released before it was opened is
// not there for readers: its path may lead to another file.
func (hs *handles) descriptor(h *handle, u use) (int, error) {
	if fd, _ := hs.state(h); fd >= 0 {
		return fd, nil
	}
	h.opening.Lock()
	defer h.opening.Unlock()
	fd, released := hs.state(h)
	if fd >= 0 {
		return fd, nil
	}
	if released && u == forReading {
		return -1, fmt.Errorf("open %s: %w", h.ref.Path, log.ErrNotExist)
	}
	flags := 0
	if u == forCreating {
		flags = unix.O_CREAT
	}
	fd, err := openFile(h.ref.Path, flags)
	if err != nil {
		return -1, err
	}
	hs.mu.Lock()
	h.fd = fd
	hs.open++
	hs.evict()
	hs.unlock()
	return fd, nil
}

func (hs *handles) state(h *handle) (fd int, released bool) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	return h.fd, h.released
}

// ReadAt reads a file that the core has named. It copies with pread: a mapping
// would turn a read error into a signal.
func (hs *handles) ReadAt(ref log.FileRef, p []byte, pos int64) (int, error) {
	h := hs.take(ref)
	defer hs.drop(h)
	fd, err := hs.descriptor(h, forReading)
	if err != nil {
		return 0, err
	}
	return readAt(fd, p, pos)
}

var _ log.Reader = (*handles)(nil)

// pin keeps size bytes of a file, from pos on, mapped. They are good until unpin,
// and are only to be handed to the system: to touch them could end in a signal.
func (hs *handles) pin(ref log.FileRef, pos int64, size int) (*mapping, []byte, error) {
	end := pos + int64(size)
	hs.mu.Lock()
	h := hs.find(ref)
	if m := h.view; m != nil && end <= int64(len(m.bytes)) {
		hs.enterView(m)
		hs.mu.Unlock()
		return m, m.bytes[pos:end:end], nil
	}
	hs.enter(h)
	hs.mu.Unlock()
	defer hs.drop(h)
	m, err := hs.extend(h, end)
	if err != nil {
		return nil, nil, err
	}
	return m, m.bytes[pos:end:end], nil
}

func (*handles) enterView(m *mapping) {
	m.users++
	m.unused.remove()
}

// extend maps h, which the caller has taken, at least up to end, and pins it.
func (hs *handles) extend(h *handle, end int64) (*mapping, error) {
	fd, err := hs.descriptor(h, forReading)
	if err != nil {
		return nil, err
	}
	h.opening.Lock()
	defer h.opening.Unlock()
	hs.mu.Lock()
	if m := h.view; m != nil && end <= int64(len(m.bytes)) {
		hs.enterView(m)
		hs.mu.Unlock()
		return m, nil
	}
	hs.mu.Unlock()
	bytes, err := unix.Mmap(fd, 0, int(mappingSize(end)), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", h.ref.Path, err)
	}
	m := &mapping{bytes: bytes, of: h, users: 1}
	m.unused.of = m
	hs.mu.Lock()
	hs.replaceView(h, m)
	hs.evict()
	hs.unlock()
	return m, nil
}

// mappingSize doubles from 1 MiB on, so that a growing segment is mapped anew only a
// few times. Address space beyond the end of a file costs nothing.
func mappingSize(end int64) int64 {
	size := int64(1 << 20)
	for size < end {
		size *= 2
	}
	return size
}

// unpin ends one use of a mapping.
func (hs *handles) unpin(m *mapping) {
	hs.mu.Lock()
	m.users--
	invariant.True(m.users >= 0, "every user of a mapping pinned it")
	if m.users == 0 {
		if m.stale {
			hs.unmap(m)
		} else {
			hs.mapped.push(&m.unused)
		}
	}
	hs.evict()
	hs.unlock()
}

// release takes in that no later order or query will name a file. Queries that were
// filed before may still read it, if it is open.
func (hs *handles) release(ref log.FileRef) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.find(ref)
	if h.released {
		return
	}
	h.released = true
	hs.epochs.retire(h)
	hs.forgetDone()
}

// sweep closes what release left.
func (hs *handles) sweep() {
	hs.mu.Lock()
	hs.unlock()
}

// beginQuery notes that a query was filed, which may name any file not yet released.
// The result is for endQuery.
func (hs *handles) beginQuery() (epoch int) {
	hs.mu.Lock()
	epoch = hs.epochs.begin()
	hs.mu.Unlock()
	return epoch
}

// endQuery notes that a query will read no more.
func (hs *handles) endQuery(epoch int) {
	hs.mu.Lock()
	hs.epochs.end(epoch)
	hs.forgetDone()
	hs.unlock()
}

func (hs *handles) forgetDone() {
	for _, h := range hs.epochs.done() {
		h.done = true
		if h.users == 0 {
			hs.forget(h)
		}
	}
}

// close closes everything. There must be no users.
func (hs *handles) close() {
	hs.mu.Lock()
	for _, h := range hs.byID {
		hs.forget(h)
	}
	hs.unlock()
}

// counts returns how many descriptors and mappings there are.
func (hs *handles) counts() (open, mapped int) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	return hs.open, hs.maps
}
