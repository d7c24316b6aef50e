package realnet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heiban/heiban/core"
)

// connLimits bound the connections of a server. Zero means Kafka's default.
type connLimits struct {
	connectionsMax      int            // max.connections: further ones wait to be accepted
	connectionsPerIPMax int            // max.connections.per.ip: further ones are closed
	perIPOverrides      map[string]int // max.connections.per.ip.overrides, by address
	idleMax             time.Duration  // connections.max.idle.ms; negative: no limit
	requestBytesMax     int32          // socket.request.max.bytes
	requestMemoryMax    int64          // queued.max.request.bytes; default: 1/8 of the memory
	inFlightMax         int            // unanswered requests of one connection
	setupTimeout        time.Duration  // socket.connection.setup.timeout.ms, of links
}

// defaults fills in what is zero.
func (l *connLimits) defaults() {
	const kafkaNoLimit = 1<<31 - 1
	setDefault(&l.connectionsMax, kafkaNoLimit)
	setDefault(&l.connectionsPerIPMax, kafkaNoLimit)
	setDefault(&l.idleMax, 10*time.Minute)
	setDefault(&l.requestBytesMax, 100<<20)
	setDefault(&l.requestMemoryMax, memoryBytes()/8)
	setDefault(&l.inFlightMax, 64)
	setDefault(&l.setupTimeout, 10*time.Second)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// network accepts connections for a driver, and dials those to other nodes.
type network struct {
	driver  *Driver
	limits  connLimits
	perConn limits
	buffers *buffers
	logger  *slog.Logger
	running sync.WaitGroup

	mu        sync.Mutex
	slot      sync.Cond // a connection has ended, or all is over
	listeners []net.Listener
	conns     map[*conn]struct{}
	peers     map[*peer]struct{}
	perIP     map[string]int
	lastID    core.ConnID
	closed    bool
	over      chan struct{} // closed with closed
}

func newNetwork(d *Driver, l connLimits, logger *slog.Logger) *network {
	l.defaults()
	n := &network{
		driver: d, limits: l, logger: logger, buffers: newBuffers(l.requestMemoryMax),
		perConn: limits{frameBytesMax: l.requestBytesMax, inFlightMax: l.inFlightMax},
		conns:   map[*conn]struct{}{}, perIP: map[string]int{}, over: make(chan struct{}),
		peers: map[*peer]struct{}{},
	}
	n.slot.L = &n.mu
	d.network, d.metrics.budget = n, &n.buffers.budget
	return n
}

// bind takes an address without accepting connections yet. Port 0 takes a free one.
func bind(address string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: %w; stop what uses it, or set listeners to "+
			"another port", address, err)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; set listeners to an address of this machine",
			address, err)
	}
	return ln, nil
}

// accept serves the connections that come in by ln until the network is closed.
func (n *network) accept(ln *boundListener) {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		ln.Close()
		return
	}
	n.listeners = append(n.listeners, ln)
	n.running.Go(func() {
		for n.waitForSlot(ln.exempt) {
			socket, err := ln.Accept()
			if err != nil {
				if !n.pauseAccepting(err) {
					return
				}
				continue
			}
			n.admit(socket.(*net.TCPConn), ln.name)
		}
	})
	n.mu.Unlock()
}

// waitForSlot waits until there are fewer connections than the limit, unless the
// listener is exempt. It returns false when the network is closed.
func (n *network) waitForSlot(exempt bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for !exempt && len(n.conns) >= n.limits.connectionsMax && !n.closed {
		n.slot.Wait()
	}
	return !n.closed
}

// pauseAccepting waits after an error such as too many open files, which passes. It
// returns false when the network is closed.
func (n *network) pauseAccepting(err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	n.logger.Warn("connection not accepted", "err", err)
	const pause = 100 * time.Millisecond
	select {
	case <-n.over:
		return false
	case <-time.After(pause):
		return true
	}
}

// admit starts serving a connection, or closes it if its address has too many.
func (n *network) admit(socket *net.TCPConn, listener string) {
	peer, _, err := net.SplitHostPort(socket.RemoteAddr().String())
	if err != nil {
		socket.Close()
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	perIPMax, ok := n.limits.perIPOverrides[peer]
	if !ok {
		perIPMax = n.limits.connectionsPerIPMax
	}
	if n.closed || n.perIP[peer] >= perIPMax {
		n.driver.metrics.refused.Add(1)
		socket.Close()
		return
	}
	n.lastID++
	c, err := newConn(n.lastID, n.driver, socket, &n.perConn, n.buffers)
	if err != nil {
		socket.Close()
		return
	}
	c.listener, c.peer = listener, peer
	n.conns[c] = struct{}{}
	n.perIP[peer]++
	n.driver.metrics.opened.Add(1)
	n.running.Go(func() {
		err := c.serve()
		n.remove(c)
		n.logger.Debug("connection closed", "conn", c.id, "peer", c.peer, "err", err)
	})
}

func (n *network) remove(c *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, c)
	if n.perIP[c.peer]--; n.perIP[c.peer] == 0 {
		delete(n.perIP, c.peer)
	}
	n.driver.metrics.closed.Add(1)
	n.slot.Broadcast()
}

// reap closes connections on which nothing has moved for idleMax, until the network
// is closed. It looks four times in that time.
func (n *network) reap() {
	if n.limits.idleMax < 0 {
		return
	}
	const looks = 4
	ticker := time.NewTicker(max(n.limits.idleMax/looks, time.Millisecond))
	defer ticker.Stop()
	type seen struct {
		activity uint32
		times    int
	}
	idle := map[*conn]seen{}
	for {
		select {
		case <-n.over:
			return
		case <-ticker.C:
		}
		before := idle
		idle = make(map[*conn]seen, len(before))
		for _, c := range n.all() {
			s := seen{activity: c.activity.Load()}
			if was, ok := before[c]; ok && was.activity == s.activity {
				s.times = was.times + 1
			}
			if s.times >= looks {
				n.driver.metrics.idleClosed.Add(1)
				c.kill()
				continue
			}
			idle[c] = s
		}
	}
}

// addPeer runs a link in a goroutine of its own. It returns false when the network is
// closed.
func (n *network) addPeer(p *peer, run func()) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.peers[p] = struct{}{}
	n.running.Go(func() {
		run()
		n.mu.Lock()
		delete(n.peers, p)
		n.mu.Unlock()
	})
	return true
}

func (n *network) allPeers() []*peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Collect(maps.Keys(n.peers))
}

func (n *network) all() []*conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make([]*conn, 0, len(n.conns))
	for c := range n.conns {
		all = append(all, c)
	}
	return all
}

// stopAccepting closes the listeners. Connections go on.
func (n *network) stopAccepting() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, ln := range n.listeners {
		ln.Close()
	}
	n.listeners = nil
}

// flush waits until every answer that is filed has been sent, or ctx is done.
func (n *network) flush(ctx context.Context) {
	for _, c := range n.all() {
		c.flush(ctx)
	}
}

// close closes the listeners, all connections and links, and waits for their goroutines.
func (n *network) close() {
	n.stopAccepting()
	n.mu.Lock()
	if !n.closed {
		n.closed = true
		close(n.over)
	}
	n.slot.Broadcast()
	n.mu.Unlock()
	for _, c := range n.all() {
		c.kill()
	}
	for _, p := range n.allPeers() {
		p.kill()
	}
	n.running.Wait()
}

// port returns the port that a listener was bound to.
func port(ln net.Listener) int32 {
	_, text, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		return 0
	}
	p, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return int32(p)
}
