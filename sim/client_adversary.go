package sim

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
)

// Duplicator is an adversary: it sends requests of a producer again, byte for byte,
// on connections of its own, long after the producer has gone on. It is what a
// network of middle boxes may do, and what a zombie of the producer does, whose
// epoch is old by then.
type Duplicator struct {
	caller
	victim   *Producer
	next     clock.Instant
	interval clock.Duration
	left     int
}

type duplicateCall struct{}

// NewDuplicator makes an adversary of one producer that sends so many requests.
func NewDuplicator(c ClientConfig, victim *Producer, requests int) *Duplicator {
	d := &Duplicator{caller: newCaller(&c, "duplicator"), victim: victim, left: requests}
	d.interval = clock.Duration(d.rand.LogUniform(5, 500)) * clock.Millisecond
	return d
}

// Step implements Actor.
func (d *Duplicator) Step(now clock.Time, ev ActorEvent, out *ActorOrders) {
	d.begin(now, out)
	d.take(&ev) // no answer means anything to it
	if d.left == 0 || d.next > now.Mono || len(d.victim.sent) == 0 {
		return
	}
	conn := d.ready(d.bootstrap(), laneData)
	if conn == nil {
		return
	}
	req := d.victim.sent[d.rand.Below(int64(len(d.victim.sent)))]
	d.left--
	d.next = now.Mono.Add(clock.Duration(d.rand.Exponential(int64(d.interval))) + 1)
	if req.Acks == 0 {
		d.send(conn, req)
		return
	}
	d.call(conn, copyProduce(req), duplicateCall{})
}

// copyProduce keeps the version of the copy apart from the original's.
func copyProduce(req *kmsg.ProduceRequest) *kmsg.ProduceRequest {
	again := *req
	return &again
}

// Deadline implements Actor.
func (d *Duplicator) Deadline() clock.Instant {
	at := d.deadline()
	if d.left > 0 {
		at = min(at, max(d.next, d.now.Mono.Add(d.interval)))
	}
	return d.later(at)
}
