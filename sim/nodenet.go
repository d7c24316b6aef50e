package sim

import (
	"fmt"

	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/wire"
	"github.com/heiban/heiban/netsim"
)

// nodeConn is the broker's end of one connection: the answers that are not sent yet,
// in order, the first of which is a query.
type nodeConn struct {
	answers []outgoing
	net     netsim.ConnID
	self    handle
	draws   draws
	closing bool // once the answers are sent
	node    bool // the peer is another node
}

// outgoing is a response, or the query that will make one.
type outgoing struct {
	packet *packet
	query  core.Query
	header wire.Header
}

// netEvent takes in what happened on the network.
func (n *node) netEvent(ev *netsim.Event[*packet]) {
	if n.broker == nil {
		return // the process ended while this was under way to it
	}
	if ev.Side == netsim.Dialer {
		n.linkEvent(ev)
		return
	}
	id := core.ConnID(ev.Conn)
	switch ev.Kind {
	case netsim.Accepted:
		slot, gen := n.conns.put(nodeConn{
			net: ev.Conn, draws: draws{key: uint64(ev.Conn)}, node: int(ev.Peer) < len(n.w.nodes),
		})
		n.conns.at(slot, gen).self = handle{slot, gen}
		n.connSlots[id] = handle{slot, gen}
		n.opened = core.ConnOpened{
			Conn: id, Listener: listenerAt(ev.Port), Peer: n.w.hostOf(ev.Peer),
		}
		n.step(&n.opened, nil)
	case netsim.Received:
		n.requestArrived(id, ev.Payload)
	case netsim.Closed:
		if c := n.conn(id); c != nil {
			n.forget(id, c)
			n.closed = core.ConnClosed{Conn: id}
			n.step(&n.closed, nil)
		}
	}
}

func (n *node) conn(id core.ConnID) *nodeConn {
	h, ok := n.connSlots[id]
	if !ok {
		return nil
	}
	return n.conns.at(h.slot, h.gen)
}

// close ends a connection from the broker's side.
func (n *node) close(id core.ConnID, c *nodeConn) {
	n.w.net.Close(n.w.now, c.net, netsim.Listener)
	n.forget(id, c)
}

func (n *node) forget(id core.ConnID, c *nodeConn) {
	n.conns.drop(c.self.slot)
	delete(n.connSlots, id)
}

// requestArrived does what production does in the connection's goroutine, and then
// tells the broker.
func (n *node) requestArrived(id core.ConnID, p *packet) {
	w := n.w
	buf := p.records
	c := n.conn(id)
	req, good := w.unpackRequest(p)
	switch {
	case c == nil || c.closing:
	case !good:
		n.close(id, c)
		n.closed = core.ConnClosed{Conn: id}
		n.step(&n.closed, nil)
	default:
		if produce, ok := req.(*wire.ProduceRequest); ok && n.image != nil {
			core.Prepare(n.image, w.config.Codec, n.clock.time(w.now).Wall, produce)
		}
		n.arrived = core.RequestArrived{Request: req, Header: p.header, Conn: id, Bytes: p.size}
		n.step(&n.arrived, buf)
	}
	w.release(buf)
	w.dropPacket(p)
}

// fileResponse sends a response, or queues it behind those that are not ready.
func (n *node) fileResponse(r *core.Response) {
	c := n.conn(r.Conn)
	if c == nil || r.Body == nil && r.Query == nil {
		return // gone, or a request that is never answered
	}
	a := outgoing{query: r.Query, header: r.Header}
	if r.Query == nil {
		a.packet = n.packResponse(c, &r.Header, r.Body)
	}
	c.answers = append(c.answers, a)
	if len(c.answers) == 1 {
		n.drain(r.Conn, c)
	}
}

// drain sends the answers that are ready, up to the first query, and sets to work on
// that.
func (n *node) drain(id core.ConnID, c *nodeConn) {
	sent := 0
	for ; sent < len(c.answers) && c.answers[sent].query == nil; sent++ {
		n.send(c, c.answers[sent].packet)
	}
	left := copy(c.answers, c.answers[sent:])
	clear(c.answers[left:])
	c.answers = c.answers[:left]
	switch {
	case left > 0:
		n.ioDue(answerDue, c.self, n.w.latency.Answer.draw(n.next(queryStream, &c.draws)))
	case c.closing:
		n.close(id, c)
	}
}

// packResponse makes a packet of a response for whoever asked.
func (n *node) packResponse(c *nodeConn, h *wire.Header, body wire.Response) *packet {
	if !c.node {
		return n.w.packResponse(h, body)
	}
	return n.w.packPeer(h, func(dst []byte) []byte { return wire.AppendResponse(dst, h, body) })
}

func (n *node) send(c *nodeConn, p *packet) {
	n.w.net.Send(n.w.now, c.net, netsim.Listener, netsim.Frame[*packet]{Payload: p, Size: p.size})
}

// answerDue makes a response of the query at the head of a connection's queue.
func (n *node) answerDue(e *event) {
	c := n.conns.at(e.slot, e.gen)
	if c == nil || n.stuckIO(e) {
		return
	}
	files := n.disk.Files(Unlimited)
	devices := n.devices(files)
	first := &c.answers[0]
	body := first.query.Answer(&devices)
	if files.Leaked() > 0 {
		n.w.violate("handle-leak", fmt.Sprintf("%T left a file open", first.query))
	}
	first.packet, first.query = n.packResponse(c, &first.header, body), nil
	n.drain(core.ConnID(c.net), c)
}

// closeAfterAnswers closes a connection once what was answered before is sent.
func (n *node) closeAfterAnswers(id core.ConnID) {
	c := n.conn(id)
	if c == nil {
		return
	}
	c.closing = true
	if len(c.answers) == 0 {
		n.drain(id, c)
	}
}
