package netsim

import "github.com/heiban/heiban/clock"

// Cut stops all frames from one endpoint to another. Frames wait for the link to
// heal, and senders give up after a while. Cuts add up: each needs its Mend.
func (n *Net[P]) Cut(from, to Endpoint) { n.linkOf(from, to).cuts++ }

// Mend takes one Cut back.
func (n *Net[P]) Mend(now clock.Instant, from, to Endpoint) {
	l := n.linkOf(from, to)
	l.cuts = max(0, l.cuts-1)
	n.release(now, from, to)
}

// Clog stops all frames from one endpoint to another, for so short a time that
// no sender gives up. Clogs add up: each needs its Unclog.
func (n *Net[P]) Clog(from, to Endpoint) { n.linkOf(from, to).clogs++ }

// Unclog takes one Clog back.
func (n *Net[P]) Unclog(now clock.Instant, from, to Endpoint) {
	l := n.linkOf(from, to)
	l.clogs = max(0, l.clogs-1)
	n.release(now, from, to)
}

// Slow makes frames from one endpoint to another take factor times as long.
// A factor of 1 is no slowness.
func (n *Net[P]) Slow(from, to Endpoint, factor int64) { n.linkOf(from, to).slow = factor }

// release lets the frames that stood still go on.
func (n *Net[P]) release(now clock.Instant, from, to Endpoint) {
	if n.linkOf(from, to).blocked() {
		return
	}
	for _, c := range n.conns {
		if c == nil {
			continue
		}
		for side := Dialer; side <= Listener; side++ {
			w := &c.ways[side]
			if c.ends[side] != from || c.ends[side.Other()] != to || w.stalled == 0 {
				continue
			}
			for range w.stalled {
				n.schedule(now, c, side)
			}
			w.stalled = 0
		}
	}
}

// Break breaks one connection.
func (n *Net[P]) Break(now clock.Instant, id ConnID, kind BreakKind) {
	if c := n.conn(id); c != nil {
		n.breakConn(now, c, kind)
	}
}

// BreakAll breaks every connection between two endpoints, whoever dialed, and
// returns how many there were.
func (n *Net[P]) BreakAll(now clock.Instant, a, b Endpoint, kind BreakKind) int {
	broken := 0
	for _, c := range n.conns {
		if c == nil {
			continue
		}
		if (c.ends[0] == a && c.ends[1] == b) || (c.ends[0] == b && c.ends[1] == a) {
			n.breakConn(now, c, kind)
			broken++
		}
	}
	return broken
}

// breakConn swallows some of the last frames under way and tells the ends as the
// kind says.
func (n *Net[P]) breakConn(now clock.Instant, c *conn[P], kind BreakKind) {
	if c.dead {
		return
	}
	n.Counts.Breaks++
	for sender := Dialer; sender <= Listener; sender++ {
		w, l := &c.ways[sender], n.link(c, sender)
		l.number++
		lost := n.noise.Lost(c.ends[sender], c.ends[sender.Other()], l.number, w.len())
		w.cut(lost)
		for range w.len() {
			n.schedule(now, c, sender)
		}
		n.Counts.Swallowed += int64(lost)
	}
	if kind == BreakSilent {
		c.dead = true
		return
	}
	for told := Dialer; told <= Listener; told++ {
		late := (kind == BreakDialer && told == Listener) ||
			(kind == BreakListener && told == Dialer)
		n.tellBroken(now, c, told, late)
	}
}

// tellBroken sends word of a break to one side, the way frames come to it.
func (n *Net[P]) tellBroken(now clock.Instant, c *conn[P], told Side, late bool) {
	w := &c.ways[told.Other()]
	w.ended = false // an end on its way may have been swallowed
	if late {
		l := n.link(c, told.Other())
		l.number++
		w.sent = max(w.sent, now.Add(
			n.noise.Patience(c.ends[told.Other()], c.ends[told], l.number)))
	}
	n.enqueue(now, c, told.Other(), frame[P]{kind: reset})
}

// Heal takes all cuts, clogs, slowness and refusals back, and makes every side that
// holds a connection its peer no longer has learn of it.
func (n *Net[P]) Heal(now clock.Instant) {
	for i := range n.links {
		n.links[i].cuts, n.links[i].clogs, n.links[i].slow = 0, 0, 0
	}
	for i := range n.endpoints {
		n.endpoints[i].refusing = false
	}
	for from := range n.endpoints {
		for to := range n.endpoints {
			n.release(now, Endpoint(from), Endpoint(to))
		}
	}
	for _, c := range n.conns {
		if c == nil {
			continue
		}
		c.healed(n, now)
	}
}

// healed ends half-open connections.
func (c *conn[P]) healed(n *Net[P], now clock.Instant) {
	if c.dead { // what is under way on it arrives nowhere, not even a request to open it
		c.ways[Dialer].cut(c.ways[Dialer].len())
		c.ways[Listener].cut(c.ways[Listener].len())
	}
	for side := Dialer; side <= Listener; side++ {
		peer := side.Other()
		// A dialer that was accepted may not have heard of it yet.
		accepted := c.joined[side] || c.joined[peer]
		lost := c.dead || (accepted && !c.open[peer])
		if !c.open[side] || !lost {
			continue
		}
		n.tellBroken(now, c, side, false)
	}
	c.dead = false
}
