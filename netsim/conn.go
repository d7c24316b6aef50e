package netsim

import (
	"slices"

	"github.com/heiban/heiban/clock"
)

// conn is one connection. Each side holds it open until it closes it, hears that it
// is gone, or gives up.
type conn[P any] struct {
	id     ConnID
	ends   [2]Endpoint
	ways   [2]way[P] // by sender
	port   Port      // of the listener
	open   [2]bool
	joined [2]bool // the side knows that the connection was opened
	dead   bool    // broken silently: what arrives is swallowed
}

// way is one direction of a connection: the frames under way, in order.
type way[P any] struct {
	frames     []frame[P] // from head on
	head       int
	epoch      uint32        // counts cuts, which void the arrivals planned before
	sent       clock.Instant // when the last byte left the sender
	last       clock.Instant // when the last frame arrives
	stalled    int           // frames that would have arrived, were the link not blocked
	waiting    bool          // the sender's patience is running out
	ended      bool          // an end or reset was sent: nothing follows
	unanswered bool          // something was swallowed: the sender is still waiting
}

type frame[P any] struct {
	Frame[P]
	kind frameKind
}

type frameKind uint8

const (
	data frameKind = iota + 1
	open
	opened
	end
	reset
)

func (w *way[P]) push(f frame[P]) {
	if w.head > 0 && len(w.frames) == cap(w.frames) { // move up rather than grow
		kept := copy(w.frames, w.frames[w.head:])
		clear(w.frames[kept:])
		w.frames, w.head = w.frames[:kept], 0
	}
	w.frames = append(w.frames, f)
}

func (w *way[P]) pop() frame[P] {
	f := w.frames[w.head]
	w.frames[w.head] = frame[P]{}
	w.head++
	return f
}

func (w *way[P]) len() int { return len(w.frames) - w.head }

// cut drops the last n frames. The arrivals of all frames must be planned anew.
func (w *way[P]) cut(n int) {
	keep := len(w.frames) - n
	clear(w.frames[keep:])
	w.frames = w.frames[:keep]
	w.epoch++
	w.stalled = 0
}

// newConn makes a connection that the dialer holds open.
func (n *Net[P]) newConn(from, to Endpoint, port Port) *conn[P] {
	var index uint32
	if last := len(n.free) - 1; last >= 0 {
		index, n.free = n.free[last], n.free[:last]
	} else {
		index = uint32(len(n.conns))
		n.conns = append(n.conns, nil)
	}
	n.serial++
	c := &conn[P]{id: ConnID(n.serial<<24 | uint64(index)), ends: [2]Endpoint{from, to}, port: port}
	c.open[Dialer] = true
	n.conns[index] = c
	return c
}

func (id ConnID) index() uint32 { return uint32(id & (1<<24 - 1)) }

func (n *Net[P]) conn(id ConnID) *conn[P] {
	index := id.index()
	if int(index) >= len(n.conns) {
		return nil
	}
	if c := n.conns[index]; c != nil && c.id == id {
		return c
	}
	return nil
}

// maybeFree forgets a connection that neither side holds open, with all that is
// still under way on it.
func (n *Net[P]) maybeFree(c *conn[P]) bool {
	if c.open[Dialer] || c.open[Listener] {
		return false
	}
	n.conns[c.id.index()] = nil
	n.free = append(n.free, c.id.index())
	return true
}

// link returns the link that a side's frames travel.
func (n *Net[P]) link(c *conn[P], sender Side) *link {
	return n.linkOf(c.ends[sender], c.ends[sender.Other()])
}

func (n *Net[P]) linkOf(from, to Endpoint) *link {
	return &n.links[int(from)*len(n.endpoints)+int(to)]
}

// enqueue sends a frame on its way. Nothing follows an end or a reset.
func (n *Net[P]) enqueue(now clock.Instant, c *conn[P], sender Side, f frame[P]) {
	w := &c.ways[sender]
	if w.ended {
		return
	}
	w.ended = f.kind == end || f.kind == reset
	w.sent = max(w.sent, now)
	if n.BytesPerMilli > 0 {
		took := int64(f.Size) * int64(clock.Millisecond) / n.BytesPerMilli
		w.sent = w.sent.Add(clock.Duration(took))
	}
	w.push(f)
	n.schedule(w.sent, c, sender)
}

// schedule plans the arrival of one more frame, after those planned before. Which
// frame that is shows when it comes: the first one under way.
func (n *Net[P]) schedule(from clock.Instant, c *conn[P], sender Side) {
	w, l := &c.ways[sender], n.link(c, sender)
	l.number++
	delay := n.noise.Delay(c.ends[sender], c.ends[sender.Other()], l.number)
	if l.slow > 1 {
		delay *= clock.Duration(l.slow)
	}
	w.last = max(from.Add(delay), w.last+1)
	n.Due = append(n.Due, Delivery{
		At: w.last, Conn: c.id, To: c.ends[sender.Other()],
		what: arrival, side: sender, epoch: w.epoch,
	})
}

// loseHope makes a sender wait for an answer that will not come, unless the link
// heals before its patience is over.
func (n *Net[P]) loseHope(now clock.Instant, c *conn[P], sender Side) {
	w := &c.ways[sender]
	if w.waiting || !c.open[sender] {
		return
	}
	w.waiting = true
	l := n.link(c, sender)
	l.number++
	patience := n.noise.Patience(c.ends[sender], c.ends[sender.Other()], l.number)
	n.Due = append(n.Due, Delivery{
		At: now.Add(patience), Conn: c.id, To: c.ends[sender],
		what: patienceOver, side: sender,
	})
}

// Deliver carries out a delivery whose time has come. It reports false if nothing
// that an endpoint could notice happened.
func (n *Net[P]) Deliver(now clock.Instant, d Delivery) (Event[P], bool) {
	c := n.conn(d.Conn)
	if c == nil {
		return Event[P]{}, false
	}
	if d.what == patienceOver {
		return n.giveUp(c, d.side)
	}
	w := &c.ways[d.side]
	if w.len() == 0 || d.epoch != w.epoch {
		return Event[P]{}, false // cut off since
	}
	if l := n.link(c, d.side); l.blocked() {
		w.stalled++
		n.Counts.Stalls++
		if l.cuts > 0 {
			n.loseHope(now, c, d.side)
		}
		return Event[P]{}, false
	}
	return n.arrive(now, c, d.side, w.pop())
}

// arrive is a frame's arrival at the far side.
func (n *Net[P]) arrive(now clock.Instant, c *conn[P], sender Side, f frame[P]) (Event[P], bool) {
	receiver := sender.Other()
	host := &n.endpoints[c.ends[receiver]]
	ev := Event[P]{
		Frame: f.Frame, Conn: c.id, At: c.ends[receiver], Peer: c.ends[sender], Port: c.port,
		Side: receiver,
	}
	switch {
	case c.dead || (host.silent && !c.open[receiver]):
		n.Counts.Swallowed++
		c.ways[sender].unanswered = true
		n.loseHope(now, c, sender)
		return Event[P]{}, false
	case f.kind == open:
		if host.refusing || !slices.Contains(host.ports, c.port) {
			n.enqueue(now, c, receiver, frame[P]{kind: reset})
			return Event[P]{}, false
		}
		c.open[receiver], c.joined[receiver] = true, true
		n.enqueue(now, c, receiver, frame[P]{kind: opened})
		ev.Kind = Accepted
		return ev, true
	case !c.open[receiver]:
		if f.kind == data {
			n.Counts.Swallowed++
			n.enqueue(now, c, receiver, frame[P]{kind: reset})
		}
		return Event[P]{}, false
	case f.kind == opened:
		c.joined[receiver] = true
		ev.Kind = Connected
		return ev, true
	case f.kind == data:
		ev.Kind = Received
		return ev, true
	}
	return n.gone(c, receiver)
}

// gone tells a side that its connection is no more.
func (n *Net[P]) gone(c *conn[P], side Side) (Event[P], bool) {
	ev := Event[P]{
		Conn: c.id, At: c.ends[side], Peer: c.ends[side.Other()], Port: c.port, Side: side,
		Kind: Closed,
	}
	if !c.joined[side] {
		ev.Kind = Refused
		n.Counts.Refusals++
	}
	c.open[side] = false
	n.maybeFree(c)
	return ev, true
}

// giveUp ends a side's patience, unless its peer can be reached again.
func (n *Net[P]) giveUp(c *conn[P], side Side) (Event[P], bool) {
	w := &c.ways[side]
	w.waiting = false
	reachable := n.link(c, side).cuts == 0 && (!w.unanswered || !n.unanswering(c, side.Other()))
	if !c.open[side] || reachable {
		return Event[P]{}, false
	}
	n.Counts.GaveUp++
	w.cut(w.len())
	w.ended = false // so that a reset can answer what the other side still sends
	return n.gone(c, side)
}

// unanswering reports whether a side swallows what it is sent.
func (n *Net[P]) unanswering(c *conn[P], side Side) bool {
	return c.dead || (n.endpoints[c.ends[side]].silent && !c.open[side])
}
