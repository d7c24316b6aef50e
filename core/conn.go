package core

import (
	"slices"
	"strings"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/wire"
)

// conn is one connection: its requests in the order they arrived.
//
// Requests are answered in that order. Kafka executes them one at a time. Heiban
// executes a Produce at once while only started Produces are before it, so that
// the batches of one producer can share a write and a sync; every other request
// waits until those before it are answered.
type conn struct {
	calls    []*call
	listener string
	peer     string
	id       ConnID
	armed    clock.Instant // when expireCalls will look at the calls
	serves   wire.Listeners
	closing  bool // a call is to end the connection: no other starts
	closed   bool
	ready    bool // in Broker.ready
}

func (b *Broker) connOpened(ev *ConnOpened) {
	cn := &conn{
		id: ev.Conn, listener: ev.Listener, peer: ev.Peer,
		armed: clock.Never, serves: wire.OnBroker,
	}
	if slices.Contains(b.base.ControllerListenerNames, ev.Listener) {
		cn.serves = wire.OnController
	}
	b.conns[ev.Conn] = cn
}

// connClosed forgets a connection. What its requests have begun goes on, except for
// reading: there is nobody to read for.
func (b *Broker) connClosed(ev *ConnClosed) {
	cn := b.conns[ev.Conn]
	if cn == nil {
		return
	}
	cn.closed = true
	delete(b.conns, ev.Conn)
	for _, c := range cn.calls {
		if c.state == callRunning && c.fetch != nil {
			b.abandonFetch(c)
		}
	}
	b.dropQueued(cn)
}

// dropQueued ends the calls that have not started: nobody will read their answers.
func (b *Broker) dropQueued(cn *conn) {
	cn.calls = slices.DeleteFunc(cn.calls, func(c *call) bool {
		if c.state == callQueued {
			b.calls.end(c)
			return true
		}
		return false
	})
	b.flushLater(cn)
}

func (b *Broker) requestArrived(ev *RequestArrived) {
	cn := b.conns[ev.Conn]
	if cn == nil || cn.closing {
		return
	}
	c := b.calls.take()
	c.conn, c.header = cn, ev.Header
	c.admin = ev.Header.ClientID == adminClientID
	if ev.Header.Key == joinGroupKey || ev.Header.Key == consumerGroupHeartbeatKey {
		c.clientID = strings.Clone(ev.Header.ClientID)
	}
	c.header.ClientID = "" // it aliases the frame
	cn.calls = append(cn.calls, c)
	if !cn.mayStart(0, len(cn.calls)-1, ev.Header.Key) {
		c.request = keep(ev.Request)
		return
	}
	b.start(c, ev.Request)
}

// adminClientID is the client id of tools that may write to internal topics.
const adminClientID = "__admin_client"

// The keys of APIs that are looked at before a request starts.
const (
	produceKey                = 0
	joinGroupKey              = 11
	consumerGroupHeartbeatKey = 68
)

// mayStart reports whether the i-th call may start; first is the first unanswered one.
func (cn *conn) mayStart(first, i int, key int16) bool {
	if i == first {
		return true
	}
	before := cn.calls[i-1]
	return key == produceKey && before.header.Key == produceKey && before.state != callQueued
}

func (b *Broker) start(c *call, request wire.Request) {
	c.state = callRunning
	b.dispatch(c, request)
}

// answer completes a call with a response.
func (b *Broker) answer(c *call, body wire.Response) { b.finish(c, body, nil) }

// answerLater completes a call with a query that the driver turns into a response.
func (b *Broker) answerLater(c *call, query Query) { b.finish(c, nil, query) }

func (b *Broker) finish(c *call, body wire.Response, query Query) {
	c.state, c.body, c.query = callAnswered, body, query
	b.flushLater(c.conn)
}

// flushLater has a connection's answers sent at the end of this Step. Until then no
// call starts, so nobody's queue changes while it is walked.
func (b *Broker) flushLater(cn *conn) {
	if !cn.ready {
		cn.ready = true
		b.ready = append(b.ready, cn)
	}
}

// flushAll sends what became ready in this Step.
func (b *Broker) flushAll() {
	for i := 0; i < len(b.ready); i++ { // starting calls may add to it
		b.ready[i].ready = false
		b.flush(b.ready[i])
		b.ready[i] = nil
	}
	b.ready = b.ready[:0]
}

// flush sends the answers that are ready in order, and starts what they held up.
func (b *Broker) flush(cn *conn) {
	sent := 0
	for i := 0; i < len(cn.calls); i++ {
		c := cn.calls[i]
		if c.state == callQueued && !cn.closing && cn.mayStart(sent, i, c.header.Key) {
			b.start(c, c.request)
		}
		if i != sent || c.state != callAnswered {
			continue
		}
		switch {
		case cn.closed:
		case c.closes:
			cn.closed = true
			delete(b.conns, cn.id)
			b.fx.Closes = append(b.fx.Closes, cn.id)
		default:
			b.fx.Responses = append(b.fx.Responses,
				Response{Conn: cn.id, Header: c.header, Body: c.body, Query: c.query})
		}
		b.calls.end(c)
		sent++
	}
	n := copy(cn.calls, cn.calls[sent:])
	clear(cn.calls[n:])
	cn.calls = cn.calls[:n]
	if cn.closed && n > 0 && cn.calls[n-1].state == callQueued {
		b.dropQueued(cn)
	}
}

// answerByClosing ends a call without a response and closes its connection, once
// what came before it is answered. What comes after it is dropped.
func (b *Broker) answerByClosing(c *call) {
	c.conn.closing, c.closes = true, true
	b.answer(c, nil)
}
