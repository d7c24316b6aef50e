package realnet

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/heiban/heiban/core/invariant"
)

// Sizes of buffers. A class holds buffers of minBufferBytes << class.
const (
	minBufferBytes = 4 << 10
	bufferClasses  = 16 // up to 128 MiB, above the largest socket.request.max.bytes in use
	slabBytesMin   = 16 << 10
	slabBytesMax   = 256 << 10
)

// buffer is memory with users: it goes back to where it came from when the last one
// is gone.
type buffer struct {
	b        []byte
	from     *buffers
	reserved int64 // of the budget, given back with the buffer
	users    atomic.Int32
	class    int8 // -1: not pooled
}

// retain adds a user.
func (b *buffer) retain() { b.users.Add(1) }

// release takes a user away.
func (b *buffer) release() {
	left := b.users.Add(-1)
	invariant.True(left >= 0, "every user of a buffer retained it")
	if left > 0 {
		return
	}
	if b.reserved > 0 {
		b.from.budget.give(b.reserved)
		b.reserved = 0
	}
	if b.class >= 0 {
		b.from.pools[b.class].Put(b)
	}
}

// buffers hands out buffers for requests and keeps those given back for reuse.
type buffers struct {
	budget budget
	pools  [bufferClasses]sync.Pool
}

func newBuffers(budgetBytes int64) *buffers {
	p := &buffers{}
	p.budget.init(budgetBytes)
	return p
}

// get returns a buffer of at least size bytes with one user. Its bytes are garbage.
func (p *buffers) get(size int) *buffer {
	class := max(0, bits.Len(uint(size-1))-bits.Len(uint(minBufferBytes-1)))
	if class >= bufferClasses {
		b := &buffer{b: make([]byte, size), from: p, class: -1}
		b.users.Store(1)
		return b
	}
	b, ok := p.pools[class].Get().(*buffer)
	if !ok {
		b = &buffer{b: make([]byte, minBufferBytes<<class), from: p, class: int8(class)}
	}
	b.users.Store(1)
	return b
}

// budget bounds the memory that large requests take, over all connections. Who wants
// more than there is waits, in the order of asking, and so its client does, too.
type budget struct {
	mu      sync.Mutex
	total   int64
	free    int64
	waiting []*claim
}

// claim is somebody waiting for part of the budget.
type claim struct {
	granted chan struct{}
	bytes   int64
}

func (b *budget) init(total int64) { b.total, b.free = total, total }

// take waits for n bytes, at most the whole budget, and returns how many it took. It
// gives up when done is closed. To take what one holds a part of already may wait
// forever: give that back first.
func (b *budget) take(n int64, done <-chan struct{}) (taken int64, ok bool) {
	n = min(n, b.total)
	b.mu.Lock()
	if len(b.waiting) == 0 && n <= b.free {
		b.free -= n
		b.mu.Unlock()
		return n, true
	}
	c := &claim{granted: make(chan struct{}), bytes: n}
	b.waiting = append(b.waiting, c)
	b.mu.Unlock()
	select {
	case <-c.granted:
		return n, true
	case <-done:
		b.cancel(c)
		return 0, false
	}
}

func (b *budget) cancel(c *claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, w := range b.waiting {
		if w == c {
			b.waiting = append(b.waiting[:i], b.waiting[i+1:]...)
			b.grant()
			return
		}
	}
	b.free += c.bytes // it was granted in the meantime
	b.grant()
}

// give returns n bytes.
func (b *budget) give(n int64) {
	b.mu.Lock()
	b.free += n
	invariant.True(b.free <= b.total, "the budget gets back what it gave")
	b.grant()
	b.mu.Unlock()
}

func (b *budget) grant() {
	for len(b.waiting) > 0 && b.waiting[0].bytes <= b.free {
		c := b.waiting[0]
		b.waiting = b.waiting[1:]
		b.free -= c.bytes
		close(c.granted)
	}
}

// left returns what is free.
func (b *budget) left() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.free
}
