package sim

import (
	"errors"
	"fmt"
	"slices"

	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/wire"
	"github.com/heiban/heiban/netsim"
)

// nodeLink is the dialer's end of a connection between two nodes.
type nodeLink struct {
	id      core.LinkID
	net     netsim.ConnID
	pending []wire.Header // of requests that are not answered, in order
}

// errLink is why a link is closed. A simulated node knows no better.
var errLink = errors.New("the connection is gone")

// linkOrders carries out what a step ordered of links.
func (n *node) linkOrders(fx *core.Effects) {
	for i := range fx.Dials {
		n.dial(&fx.Dials[i])
	}
	for i := range fx.Sends {
		n.ask(&fx.Sends[i])
	}
	for _, id := range fx.Hangups {
		if i := slices.IndexFunc(n.links, func(l *nodeLink) bool { return l.id == id }); i >= 0 {
			n.w.net.Close(n.w.now, n.links[i].net, netsim.Dialer)
			n.links = slices.Delete(n.links, i, i+1)
		}
	}
}

func (n *node) dial(d *core.Dial) {
	to := slices.IndexFunc(n.w.nodes, func(o *node) bool { return hostName(o.id) == d.Host })
	if to < 0 {
		n.w.violate("unknown-host", fmt.Sprintf("node %d dials %s", n.id, d.Host))
		return
	}
	net := n.w.net.Dial(n.w.now, n.endpoint, n.w.nodes[to].endpoint, netsim.Port(d.Port))
	n.links = append(n.links, &nodeLink{id: d.Link, net: net})
}

// ask sends a request to another node. On a link that is gone it is lost: the broker
// will be told, if it does not know.
func (n *node) ask(r *core.LinkRequest) {
	i := slices.IndexFunc(n.links, func(l *nodeLink) bool { return l.id == r.Link })
	if i < 0 {
		return
	}
	p := n.w.packPeer(&r.Header, func(dst []byte) []byte {
		return wire.AppendRequest(dst, &r.Header, r.Body)
	})
	l := n.links[i]
	l.pending = append(l.pending, p.header)
	sent := n.w.net.Send(n.w.now, l.net, netsim.Dialer,
		netsim.Frame[*packet]{Payload: p, Size: p.size})
	if !sent {
		n.w.violate("early-request", fmt.Sprintf("node %d sends on link %d, which is not open", n.id, l.id))
	}
}

// linkEvent takes in what happened on a connection that this node dialed.
func (n *node) linkEvent(ev *netsim.Event[*packet]) {
	i := slices.IndexFunc(n.links, func(l *nodeLink) bool { return l.net == ev.Conn })
	if i < 0 {
		return // hung up
	}
	l := n.links[i]
	switch ev.Kind {
	case netsim.Connected:
		n.linkOpened = core.LinkOpened{Link: l.id}
		n.step(&n.linkOpened, nil)
	case netsim.Received:
		n.responseArrived(l, ev.Payload)
	case netsim.Refused, netsim.Closed:
		n.links = slices.Delete(n.links, i, i+1)
		n.linkClosed = core.LinkClosed{Link: l.id, Err: errLink}
		n.step(&n.linkClosed, nil)
	case netsim.Accepted: // only listeners accept
	}
}

// responseArrived does what production does in the link's goroutine, and then tells the
// broker. What it was told is taken away afterwards, so that whoever kept it is found
// out.
func (n *node) responseArrived(l *nodeLink, p *packet) {
	w := n.w
	if len(l.pending) == 0 {
		w.violate("response-order", fmt.Sprintf("node %d: a response on link %d without a request",
			n.id, l.id))
		return
	}
	h := l.pending[0]
	l.pending = slices.Delete(l.pending, 0, 1)
	correlation, resp, err := wire.ParseResponse(&h, p.frame)
	if err != nil || correlation != h.CorrelationID {
		w.violate("response-malformed", fmt.Sprintf("node %d: response %d to request %d on link %d: %v",
			n.id, correlation, h.CorrelationID, l.id, err))
		return
	}
	core.PrepareAnswer(resp)
	w.hash.bytes(p.frame)
	buf := p.records
	n.responded = core.ResponseArrived{
		Response: resp, Link: l.id, CorrelationID: correlation, Bytes: p.size,
	}
	n.step(&n.responded, buf)
	if fetched, ok := resp.(*wire.FetchResponse); ok {
		clear(fetched.Partitions)
		*fetched = wire.FetchResponse{}
	}
	w.release(buf)
	w.dropPacket(p)
}
