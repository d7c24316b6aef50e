package realnet

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/wire"
)

// answer is one thing to do for a connection, in order.
type answer struct {
	header wire.Header
	body   wire.Response // to be encoded
	query  core.Query    // to be answered and encoded
	epoch  int           // of the query
	size   int           // bytes of conn.encoded, if neither body nor query
	count  int           // answers in them
	closes bool          // close the connection
}

// outgoing is what a connection's sender is sending.
type outgoing struct {
	taken     []answer // from conn.answers
	next      int      // of taken, the first not composed
	encoded   []byte   // from conn.encoded
	used      int      // of encoded, composed
	iov       [][]byte // composed
	rest      [][]byte // of iov, not written
	scratch   *scratch // encoded here, not under the driver's mutex
	pins      []*mapping
	epochs    []int // of the queries composed
	count     int   // answers composed
	block     bool  // wait until the socket takes everything
	err       error
	writeFunc func(fd uintptr) bool
}

// scratch is memory to encode answers in.
type scratch struct {
	b    []byte
	cuts []int
}

// Sizes of what is kept for the next answers, and of what is composed at once.
const (
	scratchBytesMax = 64 << 10
	composeBytesMax = 256 << 10
	encodedBytesMax = 4 << 10
)

// scratches are shared by all connections: only those that are sending hold one.
var scratches = sync.Pool{New: func() any { return new(scratch) }}

// fileResponse files an answer in the order of the connection's requests. The driver's
// mutex is held.
func (c *conn) fileResponse(t *turn, r *core.Response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// A Produce is encoded here because its answer holds only until the next Step.
	produced, isProduce := r.Body.(*wire.ProduceResponse)
	switch {
	case r.Body == nil && r.Query == nil:
		c.inFlight--
		c.room.Broadcast()
	case c.dead:
	case isProduce:
		from := len(c.encoded)
		c.encoded = wire.AppendResponse(c.encoded, &r.Header, produced)
		c.fileEncoded(len(c.encoded) - from)
		c.claim(t)
	case r.Query != nil:
		epoch := c.driver.handles.beginQuery()
		c.answers = append(c.answers, answer{header: r.Header, query: r.Query, epoch: epoch})
		c.claim(t)
	default:
		c.answers = append(c.answers, answer{header: r.Header, body: r.Body})
		c.claim(t)
	}
	c.answered()
}

func (c *conn) fileEncoded(size int) {
	if n := len(c.answers); n > 0 && c.answers[n-1].size > 0 {
		c.answers[n-1].size += size
		c.answers[n-1].count++
		return
	}
	c.answers = append(c.answers, answer{size: size, count: 1})
}

// fileClose files the end of the connection. The driver's mutex is held.
func (c *conn) fileClose(t *turn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dead {
		c.answers = append(c.answers, answer{closes: true})
		c.claim(t)
	}
}

// claim makes t the sender unless somebody is.
func (c *conn) claim(t *turn) {
	if !c.sending {
		c.sending = true
		t.conns = append(t.conns, c)
	}
}

// send sends what is filed, as its sender. It returns false if the socket is full and
// block is false; the caller is still the sender then. Otherwise it is no longer.
func (c *conn) send(block bool) bool {
	o := &c.out
	o.block = block
	for {
		if len(o.rest) == 0 && !c.compose() {
			return true
		}
		o.err = nil
		if err := c.raw.Write(o.writeFunc); err != nil {
			o.err = err
		}
		switch {
		case o.err != nil:
			c.kill()
			c.stopSending()
			return true
		case len(o.rest) > 0:
			return false
		}
		c.sent()
	}
}

// sendRest waits for the socket, in a goroutine of its own.
func (c *conn) sendRest() { c.send(true) }

// tryWrite writes what the socket takes. It returns false if it is to be called again
// when there is room.
func (c *conn) tryWrite(fd uintptr) bool {
	o := &c.out
	for len(o.rest) > 0 {
		n, err := writev(int(fd), o.rest)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return !o.block
		case err != nil:
			o.err = err
			return true
		default:
			o.rest = advance(o.rest, n)
			c.activity.Add(1)
			c.driver.metrics.sent.Add(int64(n))
		}
	}
	return true
}

func writev(fd int, bufs [][]byte) (int, error) {
	if len(bufs) == 1 {
		return unix.Write(fd, bufs[0])
	}
	return unix.Writev(fd, bufs[:min(len(bufs), iovecsMax)])
}

// compose makes the next answers ready to be written. It returns false if there is
// nothing to send; the caller is no longer the sender then.
func (c *conn) compose() bool {
	o := &c.out
	if o.next == len(o.taken) && !c.takeAnswers() {
		return false
	}
	if o.scratch == nil {
		o.scratch = scratches.Get().(*scratch)
	}
	for o.next < len(o.taken) && len(o.scratch.b) < composeBytesMax {
		a := &o.taken[o.next]
		switch {
		case a.closes:
			if len(o.iov) > 0 {
				o.rest = o.iov
				return true
			}
			c.kill()
			c.stopSending()
			return false
		case a.query != nil:
			c.composeQuery(a)
		case a.body != nil:
			c.encode(&a.header, a.body)
		default:
			o.iov = append(o.iov, o.encoded[o.used:o.used+a.size])
			o.used += a.size
			o.count += a.count - 1
		}
		o.count++
		o.next++
	}
	o.rest = o.iov
	return true
}

// takeAnswers takes what was filed since. With nothing to take, nobody is the sender.
func (c *conn) takeAnswers() bool {
	o := &c.out
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead || len(c.answers) == 0 {
		c.giveUp()
		return false
	}
	clear(o.taken)
	o.taken, c.answers = c.answers, o.taken[:0]
	if cap(o.encoded) > encodedBytesMax {
		o.encoded = nil
	}
	o.encoded, c.encoded = c.encoded, o.encoded[:0]
	o.next, o.used = 0, 0
	return true
}

// encode encodes an answer behind those before it. Where the scratch grows, the bytes
// before stay where they are and as they are.
func (c *conn) encode(h *wire.Header, body wire.Response) {
	o := &c.out
	from := len(o.scratch.b)
	o.scratch.b = wire.AppendResponse(o.scratch.b, h, body)
	o.iov = append(o.iov, o.scratch.b[from:])
}

func (c *conn) composeQuery(a *answer) {
	d := c.driver
	c.out.epochs = append(c.out.epochs, a.epoch)
	if fetch, ok := a.query.(*core.FetchQuery); ok {
		c.composeFetch(&a.header, fetch)
		return
	}
	c.encode(&a.header, a.query.Answer(&d.devices))
}

// composeFetch sends the records straight from the mapped files, between the bytes
// that are encoded.
func (c *conn) composeFetch(h *wire.Header, fetch *core.FetchQuery) {
	o, r := &c.out, fetch.Response
	first := len(o.pins)
	for i := range r.Partitions {
		if !fetch.Locate(c.driver.handles, i) {
			continue
		}
		p := &r.Partitions[i]
		m, bytes, err := c.driver.handles.pin(p.Range.File, p.Range.Pos, p.Range.Len)
		if err != nil {
			fetch.Unreadable(i)
			continue
		}
		o.pins = append(o.pins, m)
		p.Records = bytes
	}
	from := len(o.scratch.b)
	o.scratch.b, o.scratch.cuts = r.AppendFrame(o.scratch.b, h, o.scratch.cuts[:0])
	if len(o.pins) == first {
		o.iov = append(o.iov, o.scratch.b[from:])
		return
	}
	for i := range r.Partitions {
		p := &r.Partitions[i]
		if p.Range.Len == 0 {
			continue
		}
		cut := o.scratch.cuts[i]
		o.iov = append(o.iov, o.scratch.b[from:cut], p.Records)
		from = cut
		p.Records = nil
		c.driver.metrics.fetched.Add(int64(p.Range.Len))
	}
	if from < len(o.scratch.b) {
		o.iov = append(o.iov, o.scratch.b[from:])
	}
}

// sent gives back what the last answers needed, and lets the reader go on.
func (c *conn) sent() {
	o := &c.out
	count := o.count
	c.letGo()
	c.mu.Lock()
	c.inFlight -= count
	c.room.Broadcast()
	c.mu.Unlock()
}

// letGo ends the use of everything that was composed.
func (c *conn) letGo() {
	o := &c.out
	for _, m := range o.pins {
		c.driver.handles.unpin(m)
	}
	for _, epoch := range o.epochs {
		c.driver.handles.endQuery(epoch)
	}
	clear(o.pins)
	clear(o.iov)
	o.pins, o.epochs, o.iov, o.rest, o.count = o.pins[:0], o.epochs[:0], o.iov[:0], nil, 0
	if s := o.scratch; s != nil {
		o.scratch = nil
		if cap(s.b) <= scratchBytesMax {
			s.b = s.b[:0]
			scratches.Put(s)
		}
	}
}

// stopSending ends the sender's role for a connection that is dead.
func (c *conn) stopSending() {
	c.mu.Lock()
	c.giveUp()
	c.mu.Unlock()
}

// giveUp makes nobody the sender; what is left of a dead connection is dropped. The
// mutex is held.
func (c *conn) giveUp() {
	c.letGo()
	for i := c.out.next; i < len(c.out.taken); i++ {
		c.dropAnswer(&c.out.taken[i])
	}
	clear(c.out.taken)
	c.out.taken, c.out.next = c.out.taken[:0], 0
	if c.dead {
		c.dropAnswers()
	}
	c.sending = false
	c.room.Broadcast()
}

// dropAnswers drops what is filed. The mutex is held.
func (c *conn) dropAnswers() {
	for i := range c.answers {
		c.dropAnswer(&c.answers[i])
	}
	c.answers = nil
}

func (c *conn) dropAnswer(a *answer) {
	if a.query != nil {
		c.driver.handles.endQuery(a.epoch)
	}
}
