package sim

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/netsim"
)

// actorHost drives one actor: it brings events and carries out what the actor does.
type actorHost struct {
	w        *World
	actor    Actor
	orders   ActorOrders
	links    []*actorLink // open or opening connections
	name     string
	host     string
	timerAt  clock.Instant
	timerGen uint32
	id       int
	endpoint netsim.Endpoint
	started  bool
}

// actorLink is an actor's end of one connection.
type actorLink struct {
	conn    uint64 // the actor's name for it
	net     netsim.ConnID
	pending []int32 // correlation ids of requests that will be answered, in order
}

func newActorHost(w *World, id int, a Actor) *actorHost {
	return &actorHost{
		w: w, actor: a, id: id, timerAt: clock.Never,
		name: fmt.Sprintf("actor-%d", id), host: fmt.Sprintf("10.0.%d.%d", id/256, id%256),
		endpoint: netsim.Endpoint(w.config.Nodes + id),
	}
}

// time is what an actor takes for the time: its clocks are right.
func (a *actorHost) time() clock.Time {
	return clock.Time{
		Mono: a.w.now,
		Wall: clock.Wall(epochMillis + int64(a.w.now)/int64(clock.Millisecond)),
	}
}

// step tells the actor of an event and carries out what it does.
func (a *actorHost) step(ev ActorEvent) {
	o := &a.orders
	clear(o.Sends)
	o.Dials, o.Sends, o.Closes = o.Dials[:0], o.Sends[:0], o.Closes[:0]
	a.actor.Step(a.time(), ev, o)
	for i := range o.Sends {
		a.send(&o.Sends[i])
	}
	for _, conn := range o.Closes {
		a.close(conn)
	}
	for _, d := range o.Dials {
		a.dial(d)
	}
	a.arm()
}

func (a *actorHost) arm() {
	if at := a.actor.Deadline(); at < a.timerAt {
		a.timerAt = max(at, a.w.now)
		a.timerGen++
		a.w.schedule(a.timerAt, event{kind: actorTimer, node: int16(a.id), gen: a.timerGen})
	}
}

// timer tells the actor that its deadline has come, or that the run has begun.
func (a *actorHost) timer(gen uint32) {
	if !a.started {
		a.started = true
		a.step(ActorEvent{Kind: ActorStarted})
		return
	}
	if gen != a.timerGen {
		return
	}
	a.timerAt = clock.Never
	if a.actor.Deadline() <= a.w.now {
		a.step(ActorEvent{Kind: ActorTimer})
		return
	}
	a.arm()
}

func (a *actorHost) link(conn uint64) *actorLink {
	for _, l := range a.links {
		if l.conn == conn {
			return l
		}
	}
	return nil
}

func (a *actorHost) dial(d ActorDial) {
	net := a.w.net.Dial(a.w.now, a.endpoint, netsim.Endpoint(d.Node), brokerPort)
	a.links = append(a.links, &actorLink{conn: d.Conn, net: net})
	if a.w.tracing() {
		a.w.tracef("actor %d dials node %d as %d", a.id, d.Node, d.Conn)
	}
}

// send sends a request. On a connection that is not open it is lost: the actor will
// be told that the connection is closed, or was.
func (a *actorHost) send(s *ActorSend) {
	l := a.link(s.Conn)
	if l == nil {
		return
	}
	p := a.w.pack(s.Request, s.Correlation, a.name)
	sent := a.w.net.Send(a.w.now, l.net, netsim.Dialer,
		netsim.Frame[*packet]{Payload: p, Size: p.size})
	if !sent {
		return
	}
	if answered(s.Request) {
		l.pending = append(l.pending, s.Correlation)
	}
	a.w.hash.words(uint64(a.id)<<32|uint64(uint32(s.Correlation)), s.Conn)
	if a.w.tracing() {
		a.w.tracef("actor %d sends %s #%d on %d", a.id,
			kmsg.NameForKey(s.Request.Key()), s.Correlation, s.Conn)
	}
	for _, o := range a.w.observers {
		o.ActorSent(a.w.now, a.id, s.Conn, s.Correlation, s.Request)
	}
}

// answered reports whether a request has a response: all but an acks=0 Produce do.
func answered(r kmsg.Request) bool {
	produce, ok := r.(*kmsg.ProduceRequest)
	return !ok || produce.Acks != 0
}

func (a *actorHost) close(conn uint64) {
	l := a.link(conn)
	if l == nil {
		return
	}
	a.w.net.Close(a.w.now, l.net, netsim.Dialer)
	a.forget(l)
}

// forget drops a connection that is gone.
func (a *actorHost) forget(l *actorLink) {
	a.links = slices.DeleteFunc(a.links, func(o *actorLink) bool { return o == l })
	if a.w.tracing() {
		a.w.tracef("actor %d loses connection %d", a.id, l.conn)
	}
	for _, o := range a.w.observers {
		o.ActorClosed(a.w.now, a.id, l.conn)
	}
}

// netEvent takes in what happened on the network.
func (a *actorHost) netEvent(ev *netsim.Event[*packet]) {
	i := slices.IndexFunc(a.links, func(l *actorLink) bool { return l.net == ev.Conn })
	if i < 0 {
		return
	}
	l := a.links[i]
	switch ev.Kind {
	case netsim.Connected:
		a.step(ActorEvent{Kind: ActorConnected, Conn: l.conn})
	case netsim.Refused:
		a.forget(l)
		a.step(ActorEvent{Kind: ActorRefused, Conn: l.conn})
	case netsim.Closed:
		a.forget(l)
		a.step(ActorEvent{Kind: ActorClosed, Conn: l.conn})
	case netsim.Received:
		a.receive(l, ev.Payload)
	}
}

// receive takes in a response. The answers of a connection come in the order of its
// requests.
func (a *actorHost) receive(l *actorLink, p *packet) {
	resp, correlation, err := unpackResponse(p)
	a.w.dropPacket(p)
	if err != nil {
		a.w.violate("response-malformed", err.Error())
		return
	}
	if len(l.pending) == 0 || l.pending[0] != correlation {
		a.w.violate("response-order", fmt.Sprintf("actor %d: response %d, expected one of %v",
			a.id, correlation, l.pending))
		return
	}
	l.pending = append(l.pending[:0], l.pending[1:]...)
	a.w.hash.words(uint64(a.id)<<32|uint64(uint32(correlation)), l.conn)
	a.w.hash.response(resp)
	if a.w.tracing() {
		a.w.tracef("actor %d is answered %s #%d on %d", a.id,
			kmsg.NameForKey(resp.Key()), correlation, l.conn)
	}
	for _, o := range a.w.observers {
		o.ActorAnswered(a.w.now, a.id, l.conn, correlation, resp)
	}
	a.step(ActorEvent{
		Kind: ActorAnswered, Conn: l.conn, Correlation: correlation, Response: resp,
	})
}
