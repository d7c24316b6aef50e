package realnet

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/compress"
	"github.com/heiban/heiban/core/log"
	netconf "github.com/heiban/heiban/netsim/conformance"
	diskconf "github.com/heiban/heiban/sim/conformance"
)

func TestDiskConformance(t *testing.T) {
	for _, check := range diskconf.Suite() {
		t.Run(check.Name, func(t *testing.T) {
			d := &realDisk{root: t.TempDir()}
			d.start(t)
			require.NoError(t, check.Run(d))
		})
	}
}

// realDisk gives single orders to a driver and waits for their ends.
type realDisk struct {
	*Driver
	t     *testing.T
	root  string
	core  *endsCore
	close func()
}

// endsCore orders what it is told to, and passes on how it ended.
type endsCore struct {
	order func(fx *core.Effects)
	ends  chan error
}

func (c *endsCore) Deadline() clock.Instant { return clock.Never }

func (c *endsCore) Step(_ clock.Time, ev core.Event, fx *core.Effects) {
	fx.Orders.Reset()
	switch ev := ev.(type) {
	case *core.Started:
		if c.order != nil {
			c.order(fx)
		}
	case *core.WriteDone:
		c.ends <- ev.Err
	case *core.SyncDone:
		c.ends <- ev.Err
	default:
	}
}

func (d *realDisk) start(t *testing.T) {
	d.t = t
	d.core = &endsCore{ends: make(chan error, 1)}
	m := &metrics{}
	d.Driver = newDriver(d.core, &compress.Codec{}, newHandles(8, 8), m)
	m.driver = d.Driver
	y, err := newSyncer(d.Driver, d.root)
	require.NoError(t, err)
	d.syncers = append(d.syncers, y)
	d.Driver.start(1)
	d.close = sync.OnceFunc(d.Driver.close)
	t.Cleanup(d.close)
}

func (d *realDisk) give(order func(fx *core.Effects)) {
	t := d.newTurn()
	d.mu.Lock()
	d.core.order = order
	d.stepLocked(t, &core.Started{}, nil)
	d.core.order = nil
	d.mu.Unlock()
	t.drain()
}

func (d *realDisk) Root() string     { return d.root }
func (d *realDisk) Files() log.Files { return jobFiles{handles: d.handles} }

func (d *realDisk) ReadAt(ref log.FileRef, p []byte, pos int64) (int, error) {
	return d.handles.ReadAt(ref, p, pos)
}

func (d *realDisk) Write(w *log.Write) error {
	d.give(func(fx *core.Effects) { fx.Writes = append(fx.Writes, *w) })
	return <-d.core.ends
}

func (d *realDisk) Sync(s *log.Sync) error {
	d.give(func(fx *core.Effects) { fx.Syncs = append(fx.Syncs, *s) })
	return <-d.core.ends
}

func (d *realDisk) Release(ref log.FileRef) {
	d.give(func(fx *core.Effects) { fx.Releases = append(fx.Releases, ref) })
}

func (d *realDisk) Restart() error {
	d.close()
	d.start(d.t)
	return nil
}

func TestNetworkConformance(t *testing.T) {
	for _, check := range netconf.Suite() {
		t.Run(check.Name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, check.Run(newRealHosts(t)))
		})
	}
}

// realHosts is a client on one side and a network on the other. A frame to the
// network travels as the client id of a Metadata request; a frame to the client as
// the cluster id in the answer to one of the DescribeCluster requests that the
// client sends when it connects.
type realHosts struct {
	t       *testing.T
	network *network
	core    *frameCore
	address string
}

// answersOwed is how many requests a client sends when it connects.
const answersOwed = 100

func newRealHosts(t *testing.T) *realHosts {
	c := &frameCore{
		opened: make(chan *listenerEnd, 16), ends: map[core.ConnID]*listenerEnd{},
		links: map[core.LinkID]*linkEnd{},
	}
	m := &metrics{}
	d := newDriver(c, &compress.Codec{}, newHandles(8, 8), m)
	m.driver = d
	t.Cleanup(d.close)
	n := newNetwork(d, connLimits{inFlightMax: 1 << 20}, slog.New(slog.DiscardHandler))
	t.Cleanup(n.close)
	return &realHosts{t: t, network: n, core: c, address: "127.0.0.1:0"}
}

func (h *realHosts) Listen(accept bool) error {
	if !accept {
		if h.address == "127.0.0.1:0" { // find an address where nobody listens
			if err := h.Listen(true); err != nil {
				return err
			}
		}
		h.network.stopAccepting()
		return nil
	}
	ln, err := bind(h.address)
	if err != nil && errors.Is(err, syscall.EADDRINUSE) {
		return nil
	}
	if err != nil {
		return err
	}
	h.address = ln.Addr().String()
	h.network.accept(&boundListener{Listener: ln, name: "PLAINTEXT"})
	return nil
}

func (h *realHosts) Dial() (dialer, listener netconf.Conn, err error) {
	socket, err := net.Dial("tcp", h.address)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, nil, netconf.ErrRefused
	}
	if err != nil {
		return nil, nil, err
	}
	h.t.Cleanup(func() { socket.Close() })
	raw := &rawClient{t: h.t, Conn: socket}
	for range answersOwed {
		raw.send(raw.frame(kmsg.NewPtrDescribeClusterRequest(), ""))
	}
	end := <-h.core.opened
	end.await(h)
	return &dialerEnd{rawClient: raw}, end, nil
}

// frameCore hands requests and answers to the test.
type frameCore struct {
	opened chan *listenerEnd
	ends   map[core.ConnID]*listenerEnd
	links  map[core.LinkID]*linkEnd
	order  func(fx *core.Effects)
}

func (c *frameCore) Deadline() clock.Instant { return clock.Never }

func (c *frameCore) Step(_ clock.Time, ev core.Event, fx *core.Effects) {
	clear(fx.Responses)
	fx.Responses, fx.Closes = fx.Responses[:0], fx.Closes[:0]
	fx.Dials, fx.Sends, fx.Hangups = nil, nil, nil
	switch ev := ev.(type) {
	case *core.LinkOpened:
		close(c.links[ev.Link].opened)
	case *core.LinkClosed:
		c.links[ev.Link].lost(ev.Err)
	case *core.ResponseArrived:
		c.links[ev.Link].frames <- []byte(ev.Response.(*kmsg.DescribeClusterResponse).ClusterID)
	case *core.ConnOpened:
		end := &listenerEnd{
			id: ev.Conn, frames: make(chan []byte, 1000), owed: make(chan int32, answersOwed),
		}
		c.ends[ev.Conn] = end
		c.opened <- end
	case *core.ConnClosed:
		close(c.ends[ev.Conn].frames)
	case *core.RequestArrived:
		if _, ok := ev.Request.(*kmsg.DescribeClusterRequest); ok {
			c.ends[ev.Conn].owed <- ev.Header.CorrelationID
			return
		}
		c.ends[ev.Conn].frames <- []byte(strings.Clone(ev.Header.ClientID))
	case *core.Started:
		if c.order != nil {
			c.order(fx)
		}
	default:
	}
}

// patience is how long a real network waits before it calls a connection silent.
const patience = 2 * time.Second

// listenerEnd is the network's end of a connection.
type listenerEnd struct {
	hosts  *realHosts
	id     core.ConnID
	frames chan []byte
	owed   chan int32 // correlation ids of what the client is to be answered
}

// await waits until all of the client's requests are there.
func (e *listenerEnd) await(h *realHosts) {
	e.hosts = h
	waitFor(h.t, func() bool { return len(e.owed) == answersOwed })
}

func (e *listenerEnd) give(order func(fx *core.Effects)) { e.hosts.give(order) }

func (h *realHosts) give(order func(fx *core.Effects)) {
	d := h.network.driver
	t := d.newTurn()
	d.mu.Lock()
	h.core.order = order
	d.stepLocked(t, &core.Started{}, nil)
	h.core.order = nil
	d.mu.Unlock()
	t.drain()
}

func (e *listenerEnd) Send(frame []byte) error {
	body := kmsg.NewPtrDescribeClusterResponse()
	body.ClusterID = string(frame)
	e.give(func(fx *core.Effects) {
		r := core.Response{Conn: e.id, Body: body}
		r.Header.Key, r.Header.CorrelationID = body.Key(), <-e.owed
		fx.Responses = append(fx.Responses, r)
	})
	return nil
}

func (e *listenerEnd) Receive() ([]byte, error) {
	select {
	case frame, ok := <-e.frames:
		if !ok {
			return nil, netconf.ErrClosed
		}
		return frame, nil
	case <-time.After(patience):
		return nil, netconf.ErrSilent
	}
}

func (e *listenerEnd) Close() error {
	e.give(func(fx *core.Effects) { fx.Closes = append(fx.Closes, e.id) })
	return nil
}

func (e *listenerEnd) Reset() error {
	for _, c := range e.hosts.network.all() {
		if c.id == e.id {
			if err := c.socket.SetLinger(0); err != nil {
				return err
			}
			c.kill()
		}
	}
	return nil
}

// dialerEnd is the client's end of a connection.
type dialerEnd struct{ *rawClient }

func (e *dialerEnd) Send(frame []byte) error {
	r := metadataRequest()
	_, err := e.Write(e.frame(r, string(frame)))
	return err
}

func (e *dialerEnd) Receive() ([]byte, error) {
	if err := e.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, netconf.ErrClosed
	}
	var prefix [4]byte
	if _, err := io.ReadFull(e, prefix[:]); err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return nil, netconf.ErrSilent
		}
		return nil, netconf.ErrClosed
	}
	frame := make([]byte, binary.BigEndian.Uint32(prefix[:]))
	if _, err := io.ReadFull(e, frame); err != nil {
		return nil, netconf.ErrClosed
	}
	const headerSize = 4 + 1
	body := kmsg.NewPtrDescribeClusterResponse()
	if err := body.ReadFrom(frame[headerSize:]); err != nil {
		return nil, err
	}
	return []byte(body.ClusterID), nil
}

func (e *dialerEnd) Close() error { return e.Conn.Close() }

func (e *dialerEnd) Reset() error {
	if err := e.Conn.(*net.TCPConn).SetLinger(0); err != nil {
		return err
	}
	return e.Conn.Close()
}
