package sim

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
)

// Violation is a promise found broken.
type Violation struct {
	Checker string // who found it, such as "AckDurable"
	Kind    string // the anomaly, a fixed word: with Checker it is the signature
	Text    string // the particulars, for people
}

// String returns the violation on one line.
func (v Violation) String() string { return fmt.Sprintf("%s/%s: %s", v.Checker, v.Kind, v.Text) }

// StopKind says how a node's life ended.
type StopKind uint8

// The ways in which a node stops.
const (
	CleanStop    StopKind = iota + 1 // a shutdown that ran to its end
	ProcessCrash                     // everything written is kept
	PowerLoss                        // what is not synced may be lost, in part or whole
	FatalStop                        // the broker said that it cannot go on
)

// String returns a short name, such as "power-loss".
func (k StopKind) String() string {
	switch k {
	case CleanStop:
		return "clean-stop"
	case ProcessCrash:
		return "process-crash"
	case PowerLoss:
		return "power-loss"
	case FatalStop:
		return "fatal-stop"
	}
	return "unknown"
}

// Damage is a run of bytes that a file held before a fault and does not hold
// after it. The path is the file's name at that moment.
type Damage struct {
	Path string
	From int64
	To   int64 // exclusive; the rest of the file if it became shorter
	Kind DamageKind
}

// DamageKind says what became of damaged bytes.
type DamageKind uint8

// The kinds of damage.
const (
	BytesLost   DamageKind = iota + 1 // unsynced bytes that did not survive a power loss
	FileLost                          // the name of the file did not survive
	BytesRotten                       // latent bit rot, sticky
	BytesWiped                        // with the disk
)

// NodeStop is the end of one life of a node.
type NodeStop struct {
	How    StopKind
	Damage []Damage // of a power loss; valid during the call
	Fatal  error    // of a FatalStop
}

// Observer watches a run: it is told every fact and may find promises broken.
// It must not change anything it is shown, nor keep an event, effects or message
// after the call. Times are of the world's clock, which no node sees.
type Observer interface {
	// NodeStarted says that a node begins a life; Stepped follows with Started.
	NodeStarted(now clock.Instant, node int32)
	// NodeStopped says that a life ended.
	NodeStopped(now clock.Instant, node int32, stop *NodeStop)
	// Stepped follows every step of a broker, before the effects are carried out.
	Stepped(now clock.Instant, node int32, ev core.Event, fx *core.Effects)
	// ActorSent says that an actor sent a request.
	ActorSent(now clock.Instant, actor int, conn uint64, correlation int32, req kmsg.Request)
	// ActorAnswered says that the response reached the actor, before its step.
	ActorAnswered(now clock.Instant, actor int, conn uint64, correlation int32, resp kmsg.Response)
	// ActorClosed says that an actor lost a connection, or closed it itself;
	// requests without answer have an unknown outcome.
	ActorClosed(now clock.Instant, actor int, conn uint64)
	// FaultInjected says that a fault of the plan begins.
	FaultInjected(now clock.Instant, f *Fault)
	// Healed says that the faults are over: the liveness phase begins.
	Healed(now clock.Instant)
	// Found returns what the observer found broken so far. It is asked after
	// every event, and the run stops at the first violation.
	Found() []Violation
	// Finish judges the whole history at the end of a run without violation.
	Finish(now clock.Instant) []Violation
}

// Silent is an Observer that sees nothing. Embed it to watch only some facts.
type Silent struct{}

var _ Observer = Silent{}

// NodeStarted does nothing.
func (Silent) NodeStarted(clock.Instant, int32) {}

// NodeStopped does nothing.
func (Silent) NodeStopped(clock.Instant, int32, *NodeStop) {}

// Stepped does nothing.
func (Silent) Stepped(clock.Instant, int32, core.Event, *core.Effects) {}

// ActorSent does nothing.
func (Silent) ActorSent(clock.Instant, int, uint64, int32, kmsg.Request) {}

// ActorAnswered does nothing.
func (Silent) ActorAnswered(clock.Instant, int, uint64, int32, kmsg.Response) {}

// ActorClosed does nothing.
func (Silent) ActorClosed(clock.Instant, int, uint64) {}

// FaultInjected does nothing.
func (Silent) FaultInjected(clock.Instant, *Fault) {}

// Healed does nothing.
func (Silent) Healed(clock.Instant) {}

// Found returns nothing.
func (Silent) Found() []Violation { return nil }

// Finish returns nothing.
func (Silent) Finish(clock.Instant) []Violation { return nil }
