package realnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/wire"
)

// peer is a connection that the core has dialled to another node: a link. One goroutine
// opens it, reads the answers, steps the core with them and carries out what follows.
// Requests are sent by whoever finds that nobody is sending, as far as the socket takes
// them.
type peer struct {
	id      core.LinkID
	node    int32
	address string
	driver  *Driver
	network *network

	frames    // by the connection's goroutine
	responded core.ResponseArrived
	fetched   wire.FetchResponse

	mu      sync.Mutex
	socket  *net.TCPConn  // nil while it is being opened
	pending []wire.Header // of requests that are filed and not answered, in order
	filed   []byte        // requests that no sender has taken yet
	sending bool          // somebody is the sender
	hungUp  bool          // closed as soon as nobody is
	dead    bool          // nothing is read, filed or sent any more
	cancel  context.CancelFunc

	taken     []byte // by the sender, from filed
	rest      []byte // of taken, not written
	block     bool   // wait until the socket takes everything
	writeErr  error
	writeFunc func(fd uintptr) bool
}

// hangUpPatience is how long a link that is hung up may take to send what came before.
const hangUpPatience = 2 * time.Second

// filedBytesMax is how much memory is kept for the next requests.
const filedBytesMax = 64 << 10

// fileLinks carries out what a Step ordered of links. The driver's mutex is held.
func (d *Driver) fileLinks(t *turn) {
	for i := range d.fx.Dials {
		d.dial(&d.fx.Dials[i])
	}
	for i := range d.fx.Sends {
		if p := d.peers[d.fx.Sends[i].Link]; p != nil {
			p.file(t, &d.fx.Sends[i])
		}
	}
	for _, id := range d.fx.Hangups {
		if p := d.peers[id]; p != nil {
			delete(d.peers, id)
			p.hangUp()
		}
	}
}

// dial begins to open a link.
func (d *Driver) dial(order *core.Dial) {
	p := &peer{
		id: order.Link, node: order.Node, driver: d, network: d.network,
		address: net.JoinHostPort(order.Host, strconv.Itoa(int(order.Port))),
	}
	p.gone, p.writeFunc = make(chan struct{}), p.tryWrite
	var ctx context.Context
	ctx, p.cancel = context.WithTimeout(context.Background(), d.network.limits.setupTimeout)
	if !d.network.addPeer(p, func() { p.run(ctx) }) {
		p.cancel() // the node ends
		return
	}
	d.peers[p.id] = p
}

// run is the life of a link.
func (p *peer) run(ctx context.Context) {
	d := p.driver
	t := d.newTurn()
	t.reading = true
	err := p.open(ctx)
	p.cancel()
	if err == nil {
		d.metrics.linksOpened.Add(1)
		d.stepPeer(t, p, &core.LinkOpened{Link: p.id}, nil)
		t.drain()
		err = p.readResponses(t)
		d.metrics.linksClosed.Add(1)
	}
	p.kill()
	d.mu.Lock()
	if d.peers[p.id] == p {
		delete(d.peers, p.id)
		d.stepLocked(t, &core.LinkClosed{Link: p.id, Err: err}, nil)
	}
	d.mu.Unlock()
	t.drain()
	p.giveBack()
	p.network.logger.Debug("link closed", "link", p.id, "node", p.node, "address", p.address,
		"err", err)
}

// stepPeer steps the core with what happened on a link, unless it was hung up.
func (d *Driver) stepPeer(t *turn, p *peer, ev core.Event, frame *buffer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.peers[p.id] == p {
		d.stepLocked(t, ev, frame)
	}
}

func (p *peer) open(ctx context.Context) error {
	var dialer net.Dialer
	opened, err := dialer.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		opened.Close()
		return errGone
	}
	p.socket = opened.(*net.TCPConn) // whose delay of small segments is off
	return p.init(p.socket, p.network.buffers, p.network.limits.requestBytesMax,
		&p.driver.metrics.linkReceived)
}

// kill closes the socket and lets go of everybody who waits for it.
func (p *peer) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return
	}
	p.dead = true
	close(p.gone)
	p.cancel()
	if p.socket != nil {
		p.socket.Close()
	}
}

// hangUp closes a link after the requests filed before.
func (p *peer) hangUp() {
	p.mu.Lock()
	p.hungUp = true
	wait := p.sending && !p.dead &&
		p.socket.SetWriteDeadline(time.Now().Add(hangUpPatience)) == nil
	p.mu.Unlock()
	if !wait {
		p.kill()
	}
}

// readResponses steps the core with one answer after the other.
func (p *peer) readResponses(t *turn) error {
	for {
		frame, held, err := p.next(t)
		if err != nil {
			return err
		}
		if err := p.respond(t, frame, held); err != nil {
			t.drain()
			return err
		}
	}
}

// respond steps the core with the answer in frame, which is held by b.
func (p *peer) respond(t *turn, frame []byte, b *buffer) error {
	h, ok := p.oldest()
	if !ok {
		return errors.New("an answer to no request")
	}
	ev := &p.responded
	ev.Link, ev.Bytes = p.id, int32(len(frame))
	if err := p.parse(&h, frame); err != nil {
		return err
	}
	if ev.CorrelationID != h.CorrelationID {
		return fmt.Errorf("answer %d came instead of %d", ev.CorrelationID, h.CorrelationID)
	}
	core.PrepareAnswer(ev.Response)
	p.driver.stepPeer(t, p, ev, b)
	return nil
}

// oldest takes the header of the request that is answered next.
func (p *peer) oldest() (wire.Header, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pending) == 0 {
		return wire.Header{}, false
	}
	h := p.pending[0]
	n := copy(p.pending, p.pending[1:])
	p.pending = p.pending[:n]
	return h, true
}

// parse reads an answer into p.responded.
func (p *peer) parse(h *wire.Header, frame []byte) (err error) {
	ev := &p.responded
	switch h.Key {
	case fetchAPI:
		var body []byte
		ev.CorrelationID, body, err = wire.ParseResponseHeader(h, frame)
		if err != nil {
			return err
		}
		ev.Response = &p.fetched
		return p.fetched.Parse(h.Version, body)
	case wire.RaftKey:
	default:
		// The core may keep such an answer, and its byte fields alias what it was
		// read from.
		frame = bytes.Clone(frame)
	}
	ev.CorrelationID, ev.Response, err = wire.ParseResponse(h, frame)
	return err
}

// file files a request. The driver's mutex is held.
func (p *peer) file(t *turn, r *core.LinkRequest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead || p.hungUp {
		return
	}
	p.pending = append(p.pending, r.Header)
	p.filed = wire.AppendRequest(p.filed, &r.Header, r.Body)
	if !p.sending {
		p.sending = true
		t.peers = append(t.peers, p)
	}
}

// send sends what is filed, as its sender. It returns false if the socket is full and
// block is false; the caller is still the sender then. Otherwise it is no longer.
func (p *peer) send(block bool) bool {
	p.block = block
	for len(p.rest) > 0 || p.take() {
		p.writeErr = nil
		if err := p.raw.Write(p.writeFunc); err != nil {
			p.writeErr = err
		}
		if p.writeErr != nil {
			p.kill()
			p.rest = nil
			continue // take stops
		}
		if len(p.rest) > 0 {
			return false
		}
	}
	return true
}

// sendRest waits for the socket, in a goroutine of its own.
func (p *peer) sendRest() { p.send(true) }

// take takes what was filed since. With nothing to take, nobody is the sender.
func (p *peer) take() bool {
	p.mu.Lock()
	if !p.dead && len(p.filed) > 0 {
		if cap(p.taken) > filedBytesMax {
			p.taken = nil
		}
		p.taken, p.filed = p.filed, p.taken[:0]
		p.rest = p.taken
		p.mu.Unlock()
		return true
	}
	p.sending = false
	over := p.hungUp
	p.mu.Unlock()
	if over {
		p.kill()
	}
	return false
}

// tryWrite writes what the socket takes. It returns false if it is to be called again
// when there is room.
func (p *peer) tryWrite(fd uintptr) bool {
	for len(p.rest) > 0 {
		n, err := unix.Write(int(fd), p.rest)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return !p.block
		case err != nil:
			p.writeErr = err
			return true
		default:
			p.rest = p.rest[n:]
			p.driver.metrics.linkSent.Add(int64(n))
		}
	}
	return true
}
