package core

import (
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/wire"
)

// call is one request in progress, from its arrival to its answer. Calls are
// reused; a reference kept in a queue carries the serial it was made for.
type call struct {
	conn     *conn
	request  wire.Request // a copy, while the call has not started
	body     wire.Response
	query    Query
	fetch    *parkedFetch
	deleting *deleting
	clientID string // of a request to join a group
	header   wire.Header
	deadline clock.Instant
	serial   uint64
	state    callState
	admin    bool // of a client that may write to internal topics
	closes   bool // ends by closing the connection
	produce  producing
	fetching parkedFetch // what fetch points to
}

type callState uint8

const (
	callQueued   callState = iota // waits for earlier requests of its connection
	callRunning                   // started, not yet answered
	callAnswered                  // waits for earlier answers of its connection
)

// callRef is a reference to a call that may have ended since.
type callRef struct {
	call   *call
	serial uint64
}

func (c *call) ref() callRef { return callRef{c, c.serial} }

// get returns the call, or nil if it has ended or been answered.
func (r callRef) get() *call {
	if r.call.serial != r.serial || r.call.state == callAnswered {
		return nil
	}
	return r.call
}

// callPool keeps ended calls for reuse. What a call answered with stays valid until
// the next Step, so ended calls rest for one Step first.
type callPool struct {
	free   []*call
	ended  []*call
	serial uint64
}

func (p *callPool) take() *call {
	p.serial++
	if n := len(p.free); n > 0 {
		c := p.free[n-1]
		p.free = p.free[:n-1]
		c.serial, c.state, c.deadline = p.serial, callQueued, clock.Never
		return c
	}
	return &call{serial: p.serial, deadline: clock.Never}
}

func (p *callPool) end(c *call) {
	c.serial = 0
	p.ended = append(p.ended, c)
}

func (p *callPool) recycle() {
	const freeMax = 4096
	for i, c := range p.ended {
		c.conn, c.request, c.body, c.query, c.fetch = nil, nil, nil, nil, nil
		c.deleting, c.clientID = nil, ""
		c.admin, c.closes = false, false
		c.produce.reset()
		c.fetching = parkedFetch{}
		if len(p.free) < freeMax {
			p.free = append(p.free, c)
		}
		p.ended[i] = nil
	}
	p.ended = p.ended[:0]
}
