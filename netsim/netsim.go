// Package netsim is a simulated network: connections between endpoints that carry
// frames in order, late, or not at all. It behaves as TCP does to those who use it:
// nothing is lost or doubled inside a connection, but a connection may break, be
// half-open, be refused or stand still, and the two ends may learn of it at
// different times. It knows nothing of what the frames mean, starts nothing and
// reads no clock: it says when something will happen, and a scheduler asks for it
// then. Start at Net, Dial, Send and Deliver.
package netsim

import (
	"slices"

	"github.com/heiban/heiban/clock"
)

// Endpoint is a host on the network, a small number from 0.
type Endpoint int32

// Port names a service at an endpoint.
type Port uint16

// ConnID names one connection; it is never used twice. Zero names none.
type ConnID uint64

// Side is one of the two ends of a connection.
type Side uint8

// The sides.
const (
	Dialer Side = iota
	Listener
)

// Other returns the opposite side.
func (s Side) Other() Side { return s ^ 1 }

// Noise decides what the network does by chance. The nth draw between two
// endpoints must not depend on other draws.
type Noise interface {
	// Delay is how long the nth frame travels.
	Delay(from, to Endpoint, n uint64) clock.Duration
	// Patience is how long an end waits for a silent peer before it gives up.
	Patience(from, to Endpoint, n uint64) clock.Duration
	// Breaks says whether the connection breaks as the nth frame is sent.
	Breaks(from, to Endpoint, n uint64) (BreakKind, bool)
	// Lost is how many of the frames under way a break swallows, at most most.
	Lost(from, to Endpoint, n uint64, most int) int
}

// BreakKind says who learns that a connection broke, and when.
type BreakKind uint8

// The ways in which a connection breaks. Frames under way may be lost in all.
const (
	BreakBoth     BreakKind = iota // both ends learn of it soon
	BreakDialer                    // the dialer soon, the listener late
	BreakListener                  // the listener soon, the dialer late
	BreakSilent                    // half-open: an end learns of it only after it sends
	BreakKinds                     // how many there are
)

// Frame is what is sent: anything, said to be Size bytes long.
type Frame[P any] struct {
	Payload P
	Size    int32
}

// EventKind says what happened at an endpoint.
type EventKind uint8

// What can happen.
const (
	Accepted  EventKind = iota + 1 // a connection was opened to this endpoint
	Connected                      // the connection this endpoint dialed is open
	Refused                        // the connection this endpoint dialed could not be opened
	Received                       // a frame arrived
	Closed                         // the connection is gone: nothing more happens on it here
)

// Event is something that happened at an endpoint.
type Event[P any] struct {
	Frame[P]
	Conn ConnID
	At   Endpoint // where it happened
	Peer Endpoint // the other end
	Port Port     // that was dialed
	Side Side     // of the connection, on which it happened
	Kind EventKind
}

// Delivery says when to call Deliver, and for whom it will matter.
type Delivery struct {
	At    clock.Instant
	Conn  ConnID
	To    Endpoint
	epoch uint32
	what  deliveryKind
	side  Side // the sender of what arrives; who gives up
}

type deliveryKind uint8

const (
	arrival deliveryKind = iota + 1
	patienceOver
)

// Counts says how often each thing happened.
type Counts struct {
	Dials, Refusals, Frames, Stalls, Breaks, GaveUp, Swallowed int64
}

// Net is the network. It is not safe for concurrent use.
type Net[P any] struct {
	// Due holds the deliveries scheduled by the calls since it was last emptied;
	// the owner takes them out.
	Due []Delivery
	// BytesPerMilli is how many bytes a millisecond one connection carries in
	// each direction; 0 means no limit.
	BytesPerMilli int64
	Counts        Counts

	noise     Noise
	endpoints []endpoint
	links     []link // from*len(endpoints)+to
	conns     []*conn[P]
	free      []uint32
	serial    uint64
}

type endpoint struct {
	ports    []Port // something listens at these
	silent   bool   // the host is gone: not even a refusal comes back
	refusing bool
}

// link is one direction between two endpoints.
type link struct {
	number uint64 // of the last draw
	slow   int64  // factor on delays, 0 as 1
	cuts   int32  // how many faults cut it
	clogs  int32  // how many faults clog it
}

func (l *link) blocked() bool { return l.cuts > 0 || l.clogs > 0 }

// New makes a network of so many endpoints, none of which listens yet.
func New[P any](endpoints int, noise Noise) *Net[P] {
	return &Net[P]{
		noise:     noise,
		endpoints: make([]endpoint, endpoints),
		links:     make([]link, endpoints*endpoints),
	}
}

// Up says that an endpoint listens at one more port. Ends that still wait for an answer
// to what they sent to its earlier life learn that their connections are gone.
func (n *Net[P]) Up(now clock.Instant, e Endpoint, port Port) {
	host := &n.endpoints[e]
	host.silent = false
	if !slices.Contains(host.ports, port) {
		host.ports = append(host.ports, port)
	}
	for _, c := range n.conns {
		if c == nil {
			continue
		}
		for side := Dialer; side <= Listener; side++ {
			if c.ends[side] == e && !c.open[side] && c.ways[side.Other()].unanswered {
				n.enqueue(now, c, side, frame[P]{kind: reset})
			}
		}
	}
}

// Down says that an endpoint is gone with all its connections. Unless the host went
// silently, as at a power loss, peers hear of it.
func (n *Net[P]) Down(now clock.Instant, e Endpoint, silently bool) {
	host := &n.endpoints[e]
	host.ports, host.silent = host.ports[:0], silently
	for _, c := range n.conns {
		if c == nil {
			continue
		}
		for side := Dialer; side <= Listener; side++ {
			if c.ends[side] != e || !c.open[side] {
				continue
			}
			c.open[side] = false
			if !silently {
				n.enqueue(now, c, side, frame[P]{kind: end})
			}
		}
		n.maybeFree(c)
	}
}

// Refuse makes an endpoint refuse new connections, or accept them again.
func (n *Net[P]) Refuse(e Endpoint, refuse bool) { n.endpoints[e].refusing = refuse }

// Dial begins to open a connection to a port of an endpoint. The dialer hears of it by
// Connected or Refused, after which it may send.
func (n *Net[P]) Dial(now clock.Instant, from, to Endpoint, port Port) ConnID {
	n.Counts.Dials++
	c := n.newConn(from, to, port)
	n.enqueue(now, c, Dialer, frame[P]{kind: open})
	return c.id
}

// Send sends a frame from one side. It reports false if that side is not open.
func (n *Net[P]) Send(now clock.Instant, id ConnID, side Side, f Frame[P]) bool {
	c := n.conn(id)
	if c == nil || !c.open[side] || !c.joined[side] {
		return false
	}
	n.Counts.Frames++
	n.enqueue(now, c, side, frame[P]{kind: data, Frame: f})
	l := n.link(c, side)
	if kind, breaks := n.noise.Breaks(c.ends[side], c.ends[side.Other()], l.number); breaks {
		n.breakConn(now, c, kind)
	}
	return true
}

// Close closes a connection from one side. What that side sent before still
// arrives; nothing more happens on it here.
func (n *Net[P]) Close(now clock.Instant, id ConnID, side Side) {
	c := n.conn(id)
	if c == nil || !c.open[side] {
		return
	}
	c.open[side] = false
	n.enqueue(now, c, side, frame[P]{kind: end})
	n.maybeFree(c)
}

// Open reports whether a side still holds the connection open.
func (n *Net[P]) Open(id ConnID, side Side) bool {
	c := n.conn(id)
	return c != nil && c.open[side]
}
