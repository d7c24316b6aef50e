package sim

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
)

// caller is what all simulated clients share: connections to brokers, requests that
// wait for an answer, and when to give up on them. It holds at most one connection
// to each node in each lane.
type caller struct {
	rand    *Rand
	now     clock.Time
	out     *ActorOrders
	timeout clock.Duration // of a request
	backoff clock.Duration // between attempts to connect

	conns       []*clientConn
	refused     []refusal
	lastConn    uint64
	correlation int32
	handshake   int16 // version of ApiVersions asked for first, -1: not at all
	client      int
	nodes       int32
	healed      bool
}

// clientConn is one connection of a client.
type clientConn struct {
	calls []clientCall  // without answer, oldest first
	until clock.Instant // when to give up dialing
	id    uint64
	node  int32
	lane  int8
	state connState
}

type connState uint8

const (
	connDialing connState = iota
	connShaking           // waiting for the answer to ApiVersions
	connOpen
)

// clientCall is one request without answer.
type clientCall struct {
	what        any // of the client: what it asked for
	deadline    clock.Instant
	correlation int32
}

// refusal says when a node may be dialed again.
type refusal struct {
	until clock.Instant
	node  int32
	lane  int8
}

type handshakeCall struct{}

// ClientConfig is what every client is made with.
type ClientConfig struct {
	Client int   // its number among the actors
	Nodes  int32 // brokers, with ids from 0
	Seed   uint64
	// RequestTimeout is how long a client waits for an answer before it gives the
	// connection up. It should be longer than any timeout inside a request.
	RequestTimeout clock.Duration
}

func newCaller(c *ClientConfig, kind string) caller {
	r := NewRand(c.Seed, kind, c.Client)
	handshake := int16(-1)
	if r.Chance(500_000) {
		handshake = int16(r.Between(0, 4))
	}
	timeout := c.RequestTimeout
	if timeout == 0 {
		timeout = clock.Duration(r.LogUniform(300, 3000)) * clock.Millisecond
	}
	return caller{
		rand: r, timeout: timeout, handshake: handshake, client: c.Client, nodes: max(c.Nodes, 1),
		backoff: clock.Duration(r.LogUniform(5, 100)) * clock.Millisecond,
	}
}

// begin opens a step.
func (c *caller) begin(now clock.Time, out *ActorOrders) { c.now, c.out = now, out }

// ready returns the open connection to a node in a lane, or nil after it has seen
// to it that there will be one.
func (c *caller) ready(node int32, lane int8) *clientConn {
	for _, conn := range c.conns {
		if conn.node == node && conn.lane == lane {
			if conn.state == connOpen {
				return conn
			}
			return nil
		}
	}
	for _, r := range c.refused {
		if r.node == node && r.lane == lane && c.now.Mono < r.until {
			return nil
		}
	}
	c.lastConn++
	conn := &clientConn{
		id: c.lastConn, node: node, lane: lane, until: c.now.Mono.Add(c.timeout),
	}
	c.conns = append(c.conns, conn)
	c.out.Dials = append(c.out.Dials, ActorDial{Conn: conn.id, Node: node})
	return nil
}

// bootstrap returns some node to ask for metadata.
func (c *caller) bootstrap() int32 { return int32(c.rand.Below(int64(c.nodes))) }

// call sends a request and remembers it until its answer.
func (c *caller) call(conn *clientConn, req kmsg.Request, what any) {
	c.send(conn, req)
	conn.calls = append(conn.calls, clientCall{
		what: what, deadline: c.now.Mono.Add(c.timeout), correlation: c.correlation,
	})
}

// send sends a request that has no answer.
func (c *caller) send(conn *clientConn, req kmsg.Request) {
	c.correlation++
	c.out.Sends = append(c.out.Sends, ActorSend{
		Request: req, Conn: conn.id, Correlation: c.correlation,
	})
}

// take brings the connections up to date. It returns what the answer is for, and
// the calls that will never be answered.
func (c *caller) take(ev *ActorEvent) (answered any, lost []clientCall) {
	switch ev.Kind {
	case ActorConnected:
		c.connected(ev.Conn)
	case ActorRefused:
		lost = c.drop(ev.Conn)
	case ActorClosed:
		lost = c.drop(ev.Conn)
	case ActorAnswered:
		answered = c.answered(ev)
	case ActorHealed:
		c.healed = true
	case ActorStarted, ActorTimer:
	}
	return answered, append(lost, c.expire()...)
}

func (c *caller) find(id uint64) *clientConn {
	for _, conn := range c.conns {
		if conn.id == id {
			return conn
		}
	}
	return nil
}

func (c *caller) connected(id uint64) {
	conn := c.find(id)
	if conn == nil {
		return // given up meanwhile
	}
	conn.state = connOpen
	if c.handshake < 0 {
		return
	}
	conn.state = connShaking
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version = c.handshake
	req.ClientSoftwareName, req.ClientSoftwareVersion = "sim", "1"
	c.call(conn, req, handshakeCall{})
}

func (c *caller) answered(ev *ActorEvent) any {
	conn := c.find(ev.Conn)
	if conn == nil {
		return nil
	}
	for i, call := range conn.calls {
		if call.correlation != ev.Correlation {
			continue
		}
		conn.calls = append(conn.calls[:i], conn.calls[i+1:]...)
		if _, ok := call.what.(handshakeCall); ok {
			conn.state = connOpen
			return nil
		}
		return call.what
	}
	return nil
}

// drop forgets a connection and returns its calls.
func (c *caller) drop(id uint64) []clientCall {
	for i, conn := range c.conns {
		if conn.id != id {
			continue
		}
		c.conns = append(c.conns[:i], c.conns[i+1:]...)
		c.wait(conn)
		return conn.calls
	}
	return nil
}

// wait keeps a client from dialing a node again at once.
func (c *caller) wait(conn *clientConn) {
	until := c.now.Mono.Add(c.backoff + clock.Duration(c.rand.Below(int64(c.backoff))))
	for i := range c.refused {
		if r := &c.refused[i]; r.node == conn.node && r.lane == conn.lane {
			r.until = until
			return
		}
	}
	c.refused = append(c.refused, refusal{until: until, node: conn.node, lane: conn.lane})
}

// overdue is when to give up a connection: nobody accepts it, or the oldest call has
// waited too long.
func (conn *clientConn) overdue() clock.Instant {
	switch {
	case conn.state == connDialing:
		return conn.until
	case len(conn.calls) > 0:
		return conn.calls[0].deadline
	}
	return clock.Never
}

// expire closes the connections that are overdue.
func (c *caller) expire() (lost []clientCall) {
	for i := 0; i < len(c.conns); {
		conn := c.conns[i]
		if conn.overdue() > c.now.Mono {
			i++
			continue
		}
		lost = append(lost, c.hangUp(conn)...)
	}
	return lost
}

// hangUp closes a connection and returns its calls.
func (c *caller) hangUp(conn *clientConn) []clientCall {
	c.out.Closes = append(c.out.Closes, conn.id)
	return c.drop(conn.id)
}

// deadline is when the next call is overdue or a node may be dialed again.
func (c *caller) deadline() clock.Instant {
	at := clock.Never
	for _, conn := range c.conns {
		at = min(at, conn.overdue())
	}
	for _, r := range c.refused {
		if r.until > c.now.Mono {
			at = min(at, r.until)
		}
	}
	return at
}

// later keeps a deadline in the future: what is due already waits for something
// other than time.
func (c *caller) later(at clock.Instant) clock.Instant {
	return max(at, c.now.Mono.Add(clock.Millisecond))
}
