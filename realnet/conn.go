package realnet

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/wire"
)

// conn is one client's connection. One goroutine reads its requests, steps the core
// with them and carries out what follows, answers included. Answers that become ready
// in other goroutines are sent by those, as far as the socket takes them.
type conn struct {
	id       core.ConnID
	driver   *Driver
	limits   *limits
	buffers  *buffers
	socket   *net.TCPConn
	raw      syscall.RawConn
	listener string
	peer     string

	// Reading, by the connection's goroutine.
	slab      *buffer // nil while nothing is there to be parsed
	begin     int     // of what is not parsed yet
	end       int
	slabBytes int
	into      []byte // what tryRead reads into; nil: a new slab
	readBytes int
	readErr   error
	readFunc  func(fd uintptr) bool
	arrived   core.RequestArrived

	mu           sync.Mutex
	room         sync.Cond      // there may be room for another request, or nobody sends
	inFlight     int            // requests whose answers are not sent yet
	running      []wire.Request // stepped and not yet answered, in order
	spareFetch   []*wire.FetchRequest
	spareProduce []*wire.ProduceRequest
	answers      []answer // filed and not yet taken by a sender
	encoded      []byte   // the bytes of answers that are encoded
	sending      bool     // somebody is the sender
	dead         bool     // nothing is read, filed or sent any more

	gone     chan struct{} // closed with dead
	activity atomic.Uint32 // changes whenever bytes move
	out      outgoing      // by the sender
}

// limits bound what one connection may ask for.
type limits struct {
	frameBytesMax int32 // socket.request.max.bytes
	inFlightMax   int
}

// errGone ends the reading of a connection that somebody else has closed.
var errGone = errors.New("connection is closed")

// sizePrefix is the length of the size before every frame.
const sizePrefix = 4

// trustBytesMax is how much memory a frame gets for its size prefix alone. More is
// given as its bytes arrive.
const trustBytesMax = 2 << 20

func newConn(id core.ConnID, d *Driver, socket *net.TCPConn, l *limits, b *buffers) (*conn, error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &conn{
		id: id, driver: d, limits: l, buffers: b, socket: socket, raw: raw,
		slabBytes: slabBytesMin, gone: make(chan struct{}),
	}
	c.room.L = &c.mu
	c.readFunc = c.tryRead
	c.out.writeFunc = c.tryWrite
	return c, nil
}

// serve reads requests until the connection ends, and returns why it did.
func (c *conn) serve() error {
	t := c.driver.newTurn()
	t.own = c
	c.driver.openConn(t, c)
	t.drain()
	err := c.readRequests(t)
	c.kill()
	c.driver.closeConn(t, c)
	t.drain()
	if c.slab != nil {
		c.slab.release()
	}
	return err
}

// openConn makes a connection known to the core.
func (d *Driver) openConn(t *turn, c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns[c.id] = c
	d.stepLocked(t, &core.ConnOpened{Conn: c.id, Listener: c.listener, Peer: c.peer}, nil)
}

// closeConn makes the core forget a connection.
func (d *Driver) closeConn(t *turn, c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stepLocked(t, &core.ConnClosed{Conn: c.id}, nil)
	delete(d.conns, c.id)
}

// kill closes the socket and lets go of everybody who waits for it.
func (c *conn) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return
	}
	c.dead = true
	close(c.gone)
	c.socket.Close()
	c.room.Broadcast()
	if !c.sending {
		c.dropAnswers()
	}
}

// readRequests steps the core with one request after the other. Requests that arrived
// together are all stepped before what they ordered is carried out, so that it can
// be carried out together.
func (c *conn) readRequests(t *turn) error {
	for {
		size, err := c.peek()
		if err != nil {
			return err
		}
		have := c.end - c.begin - sizePrefix
		switch {
		case size >= 0 && have >= size:
			begin := c.begin + sizePrefix
			c.begin = begin + size
			err = c.request(t, c.slab.b[begin:c.begin:c.begin], c.slab)
		case size > slabBytesMax-sizePrefix:
			t.drain()
			err = c.readLarge(t, size)
		default:
			t.drain()
			err = c.fill(max(0, size) + sizePrefix)
		}
		if err != nil {
			t.drain()
			return err
		}
	}
}

// peek returns the size of the next frame, without its prefix, or -1 if it is not
// known yet.
func (c *conn) peek() (int, error) {
	if c.end-c.begin < sizePrefix {
		return -1, nil
	}
	size, err := wire.FrameSize(c.slab.b[c.begin:c.end], c.limits.frameBytesMax)
	return int(size), err
}

// fill reads more into the slab, which gets room for a frame of need bytes, prefix
// included. A connection that waits for its next request holds no slab.
func (c *conn) fill(need int) error {
	if c.slab != nil && (c.begin == c.end || c.begin+need > len(c.slab.b)) {
		if err := c.changeSlab(need); err != nil {
			return err
		}
	}
	c.into = nil
	if c.slab != nil {
		c.into = c.slab.b[c.end:]
	}
	if err := c.read(); err != nil {
		return err
	}
	switch {
	case c.readBytes == len(c.into):
		c.slabBytes = min(2*c.slabBytes, slabBytesMax)
	case c.readBytes < c.slabBytes/8:
		c.slabBytes = max(c.slabBytes/2, slabBytesMin)
	}
	c.end += c.readBytes
	return nil
}

// changeSlab leaves the slab and moves what is left of it to another one.
func (c *conn) changeSlab(need int) error {
	old := c.slab
	if old.users.Load() > 1 {
		// Writes under way keep it. From here on it counts, and so a client
		// that is faster than the disk waits.
		if err := c.reserve(old, int64(len(old.b))); err != nil {
			return err
		}
	}
	c.slab = nil
	if c.begin < c.end {
		c.slab = c.buffers.get(max(need, c.slabBytes))
		copy(c.slab.b, old.b[c.begin:c.end])
	}
	c.begin, c.end = 0, c.end-c.begin
	old.release()
	return nil
}

// reserve makes b count against the budget, and waits for its turn.
func (c *conn) reserve(b *buffer, bytes int64) error {
	taken, ok := c.buffers.budget.take(bytes, c.gone)
	if !ok {
		return errGone
	}
	b.reserved = taken
	return nil
}

// readLarge reads a frame that fits no slab into a buffer of its own and steps it.
func (c *conn) readLarge(t *turn, size int) error {
	b := c.buffers.get(min(size, trustBytesMax))
	defer func() { b.release() }()
	got := copy(b.b, c.slab.b[c.begin+sizePrefix:c.end])
	c.begin = c.end
	if err := c.changeSlab(0); err != nil {
		return err
	}
	if err := c.reserve(b, int64(min(size, trustBytesMax))); err != nil {
		return err
	}
	for got < size {
		if got == len(b.b) {
			larger, err := c.grow(b, size)
			if err != nil {
				return err
			}
			b = larger
		}
		c.into = b.b[got:min(size, len(b.b))]
		if err := c.read(); err != nil {
			return err
		}
		got += c.readBytes
	}
	return c.request(t, b.b[:size:size], b)
}

// grow moves what has arrived of a large frame to a buffer of twice the size. What was
// reserved is given back before more is asked for, so that no two connections wait
// for each other's part.
func (c *conn) grow(b *buffer, size int) (*buffer, error) {
	if b.reserved < int64(size) {
		c.buffers.budget.give(b.reserved)
		b.reserved = 0
		if err := c.reserve(b, int64(size)); err != nil {
			return b, err
		}
	}
	larger := c.buffers.get(min(size, 2*len(b.b)))
	copy(larger.b, b.b)
	larger.reserved, b.reserved = b.reserved, 0
	b.release()
	return larger, nil
}

// read waits for bytes and reads them. It sets readBytes, which is more than 0.
func (c *conn) read() error {
	if err := c.raw.Read(c.readFunc); err != nil {
		return err
	}
	if c.readErr != nil {
		return c.readErr
	}
	c.activity.Add(1)
	c.driver.metrics.received.Add(int64(c.readBytes))
	return nil
}

// tryRead reads without waiting. It returns false if there is nothing yet.
func (c *conn) tryRead(fd uintptr) bool {
	newSlab := c.into == nil
	if newSlab {
		c.slab = c.buffers.get(c.slabBytes)
		c.begin, c.end, c.into = 0, 0, c.slab.b
	}
	n, err := unix.Read(int(fd), c.into)
	for err == unix.EINTR {
		n, err = unix.Read(int(fd), c.into)
	}
	if err == unix.EAGAIN {
		if newSlab {
			c.slab.release()
			c.slab, c.into = nil, nil
		}
		return false
	}
	if err == nil && n == 0 {
		err = io.EOF
	}
	c.readBytes, c.readErr = n, err
	return true
}

// request steps the core with the request in frame, which is held by b.
func (c *conn) request(t *turn, frame []byte, b *buffer) error {
	ev := &c.arrived
	ev.Conn, ev.Bytes = c.id, int32(len(frame))
	body, err := wire.ParseHeader(frame, &ev.Header)
	if err != nil {
		return err
	}
	if ev.Request, err = c.parse(&ev.Header, body); err != nil {
		return err
	}
	if err := c.admit(t, ev.Request); err != nil {
		return err
	}
	c.driver.metrics.request(ev.Header.Key, len(frame))
	c.driver.step(t, ev, b)
	return nil
}

// parse reads a request's body, and does what grows with its bytes.
func (c *conn) parse(h *wire.Header, body []byte) (wire.Request, error) {
	const produceKey, fetchKey = 0, 1
	switch h.Key {
	case produceKey:
		r := takeSpare(c, &c.spareProduce)
		if err := r.Parse(h.Version, body); err != nil {
			return nil, err
		}
		d := c.driver
		core.Prepare(d.image.Load(), d.codec, d.now().Wall, r)
		return r, nil
	case fetchKey:
		r := takeSpare(c, &c.spareFetch)
		if err := r.Parse(h.Version, body); err != nil {
			return nil, err
		}
		return r, nil
	default:
		// The core may keep such a request, and its byte fields alias what it
		// was read from.
		return wire.Parse(h, append([]byte(nil), body...))
	}
}

// takeSpare takes one of a connection's spare requests, or makes one.
func takeSpare[T any](c *conn, spare *[]*T) *T {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(*spare)
	if n == 0 {
		return new(T)
	}
	r := (*spare)[n-1]
	*spare = (*spare)[:n-1]
	return r
}

// admit waits until fewer than inFlightMax requests are unanswered. A client that
// sends without reading answers stops being read.
func (c *conn) admit(t *turn, r wire.Request) error {
	c.mu.Lock()
	for c.inFlight >= c.limits.inFlightMax && !c.dead {
		c.mu.Unlock()
		t.drain()
		c.mu.Lock()
		if c.inFlight >= c.limits.inFlightMax && !c.dead {
			c.room.Wait()
		}
	}
	defer c.mu.Unlock()
	if c.dead {
		return errGone
	}
	c.inFlight++
	c.running = append(c.running, r)
	return nil
}

// answered takes the oldest request back for reuse. The mutex is held.
func (c *conn) answered() {
	invariant.True(len(c.running) > 0, "every answer has a request")
	const spareMax = 8
	r := c.running[0]
	n := copy(c.running, c.running[1:])
	c.running[n] = nil
	c.running = c.running[:n]
	switch r := r.(type) {
	case *wire.ProduceRequest:
		if len(c.spareProduce) < spareMax {
			c.spareProduce = append(c.spareProduce, r)
		}
	case *wire.FetchRequest:
		if len(c.spareFetch) < spareMax {
			c.spareFetch = append(c.spareFetch, r)
		}
	}
}

// flush waits until every answer that is filed has been sent, or ctx is done.
func (c *conn) flush(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		c.room.Broadcast()
		c.mu.Unlock()
	})
	defer stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.sending && !c.dead && ctx.Err() == nil {
		c.room.Wait()
	}
}
