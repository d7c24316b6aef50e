package core

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/wire"
)

// What only the active controller may do, any broker does for its clients: it forwards
// the request and relays the answer (KIP-590). It asks again as long as there is no active
// controller, or the one it asked is not any more, or the way there is lost: until the time
// is over. So a request may be carried out more than once, as in Kafka: whoever creates a
// topic while the controller fails may be told that it exists already.

// errNotController is what becomes of a decision that was not committed before the node
// lost its office.
var errNotController = errors.New("this node is not the active controller")

// errTimedOut is what becomes of a request that was not answered in time.
var errTimedOut = errors.New("the request timed out")

// asked is who waits for the answer to a request sent to another node.
type asked interface {
	// answered takes the answer. Without one resp is nil and err says why. The request may
	// then have been carried out all the same.
	answered(b *Broker, resp wire.Response, err error)
}

// controllerBackoff is how long a node waits before it asks for the controller again,
// unless it hears of a new one.
const controllerBackoff = 100 * clock.Millisecond // kafka: NodeToControllerRequestThread

// inquiry is a request on its way to the active controller, whoever that is.
type inquiry struct {
	request  kmsg.Request
	who      asked
	deadline clock.Instant
	kind     linkKind
	once     bool // whatever comes of it is told, and it is not asked again
}

// askController sends a request to the active controller, this node's own included, and
// tells who of the answer, which may be before it returns. The request has its version
// set, and must not change any more.
func (b *Broker) askController(request kmsg.Request, timeout clock.Duration, who asked) {
	b.inquire(&inquiry{
		request: request, who: who, deadline: b.now.Mono.Add(timeout), kind: controllerLink,
	})
}

// askOnce is askController for who has something newer to send when this fails.
func (b *Broker) askOnce(request kmsg.Request, timeout clock.Duration, who asked) {
	b.inquire(&inquiry{
		request: request, who: who, deadline: b.now.Mono.Add(timeout), kind: controllerLink,
		once: true,
	})
}

// inquire asks the controller that is active now.
func (b *Broker) inquire(q *inquiry) {
	leader := b.activeController()
	switch {
	case b.phase > running:
		q.answered(b, nil, errNotController)
	case b.controller != nil:
		b.decideFor(q.request, q)
	case leader >= 0 && leader != b.options.NodeID:
		b.ask(b.linkTo(q.kind, leader), q.request, q.deadline.Sub(b.now.Mono), q)
	default:
		q.answered(b, nil, errNotController)
	}
}

// inquireLater keeps a request until there is a controller to ask.
func (b *Broker) inquireLater(q *inquiry) {
	b.inquiries = append(b.inquiries, q)
	if at := min(q.deadline, b.now.Mono.Add(controllerBackoff)); at < b.inquiriesArmed {
		b.inquiriesArmed = at
		b.deadlines.push(deadline{at: at, kind: inquiriesDeadline})
	}
}

// inquireAgain goes on with the requests that wait, except those whose time is over.
func (b *Broker) inquireAgain() {
	b.inquiriesArmed = clock.Never
	waiting := b.inquiries
	b.inquiries = nil
	for _, q := range waiting {
		if q.deadline <= b.now.Mono {
			q.who.answered(b, nil, errTimedOut)
			continue
		}
		b.inquire(q)
	}
}

// answered relays the answer of a controller that is the active one.
func (q *inquiry) answered(b *Broker, resp wire.Response, err error) {
	switch {
	case err == nil && codeOf(resp) != errcode.NotController:
		q.who.answered(b, resp, nil)
	case q.once || b.phase > running:
		q.who.answered(b, nil, errNotController)
	default:
		b.inquireLater(q)
	}
}

// forward has the active controller answer a client's request.
func (b *Broker) forward(c *call, request kmsg.Request) {
	b.inquire(&inquiry{
		request: request, who: &relay{call: c.ref(), request: request},
		deadline: b.now.Mono.Add(b.patience(request)), kind: forwardLink,
	})
}

// patience is how long a client waits for an answer: what its request says, if it says
// something sensible.
func (b *Broker) patience(request kmsg.Request) clock.Duration {
	if r, ok := request.(kmsg.TimeoutRequest); ok && r.Timeout() > 0 {
		return clock.Millis(int64(r.Timeout()))
	}
	return b.base.RequestTimeout
}

// relay answers a client's call with what a controller has answered.
type relay struct {
	request kmsg.Request
	call    callRef
}

func (r *relay) answered(b *Broker, resp wire.Response, err error) {
	c := r.call.get()
	switch {
	case c == nil:
	case err == nil:
		b.answer(c, resp)
	case errors.Is(err, errTimedOut):
		b.answer(c, refusal(r.request, errcode.RequestTimedOut))
	default:
		b.answer(c, refusal(r.request, errcode.NotController))
	}
}
