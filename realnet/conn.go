package realnet

import (
	"context"
	"net"
	"sync"

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
	socket   *net.TCPConn
	listener string
	peer     string

	frames  // by the connection's goroutine
	arrived core.RequestArrived

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

	out outgoing // by the sender
}

// limits bound what one connection may ask for.
type limits struct {
	frameBytesMax int32 // socket.request.max.bytes
	inFlightMax   int
}

func newConn(id core.ConnID, d *Driver, socket *net.TCPConn, l *limits, b *buffers) (*conn, error) {
	c := &conn{id: id, driver: d, limits: l, socket: socket}
	if err := c.init(socket, b, l.frameBytesMax, &d.metrics.received); err != nil {
		return nil, err
	}
	c.room.L = &c.mu
	c.gone = make(chan struct{}) // closed with dead
	c.out.writeFunc = c.tryWrite
	return c, nil
}

// serve reads requests until the connection ends, and returns why it did.
func (c *conn) serve() error {
	t := c.driver.newTurn()
	t.own, t.reading = c, true
	c.driver.openConn(t, c)
	t.drain()
	err := c.readRequests(t)
	c.kill()
	c.driver.closeConn(t, c)
	t.drain()
	c.giveBack()
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

// readRequests steps the core with one request after the other.
func (c *conn) readRequests(t *turn) error {
	for {
		frame, held, err := c.next(t)
		if err != nil {
			return err
		}
		if err := c.request(t, frame, held); err != nil {
			t.drain()
			return err
		}
	}
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
