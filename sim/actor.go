package sim

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
)

// Actor is a simulated client: a state machine that speaks real requests. Like the
// broker it reads no clock and draws no randomness but what it was made with.
type Actor interface {
	// Step takes in one event and appends what the actor does to out.
	Step(now clock.Time, ev ActorEvent, out *ActorOrders)
	// Deadline is when the actor next wants an ActorTimer.
	Deadline() clock.Instant
}

// ActorEventKind says what happened to an actor.
type ActorEventKind uint8

// What can happen to an actor.
const (
	ActorStarted   ActorEventKind = iota + 1
	ActorTimer                    // Deadline has come
	ActorConnected                // Conn is open
	ActorRefused                  // Conn could not be opened
	ActorClosed                   // Conn is gone; requests without answer have an unknown outcome
	ActorAnswered                 // Response to the request Correlation on Conn
	ActorHealed                   // the faults are over: the liveness phase begins
)

// ActorEvent is a fact that reached an actor.
type ActorEvent struct {
	Response    kmsg.Response
	Conn        uint64
	Correlation int32
	Kind        ActorEventKind
}

// ActorOrders is what an actor does in one step.
type ActorOrders struct {
	Dials  []ActorDial
	Sends  []ActorSend
	Closes []uint64
}

// ActorDial opens a connection to a node under an id of the actor's choice.
type ActorDial struct {
	Conn uint64
	Node int32
}

// ActorSend sends a request. The simulation copies or encodes it at once.
type ActorSend struct {
	Request     kmsg.Request // with its version set
	Conn        uint64
	Correlation int32
}
