package sim

import (
	"fmt"
	"slices"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/netsim"
)

// The kinds of events.
const (
	deliveryDue eventKind = iota + 1 // slot: a netsim.Delivery
	nodeTimer
	writeDue  // slot: a file of the node
	syncDue   // slot: a file of the node
	jobDue    // slot: a job of the node
	answerDue // slot: a connection of the node
	bootDue
	resumeDue
	throttleDue
	stopOverdue
	actorTimer
	faultBegins // slot: index in the plan
	faultEnds   // slot: index in the plan
	healDue
	endDue
	askDone
)

// askDoneEvery is how often Config.Done is asked in the liveness phase.
const askDoneEvery = 20 * clock.Millisecond

// Run runs the world to its end: the safety phase with the faults of the plan, the
// healing, and the liveness phase. It stops at the first violation. A world runs
// once.
func (w *World) Run() *Result {
	if !w.started {
		w.started = true
		w.guarded(w.begin)
		w.guarded(func() {
			for w.next() {
			}
		})
		w.sum()
		w.guarded(w.judge)
	}
	return &w.result
}

// Lockstep runs two worlds that should be equal, an event of each in turn, and
// compares their hashes. It returns the number of the first event after which they
// differ and the time of it, or false. Neither world may have run.
func Lockstep(a, b *World) (event int64, at clock.Instant, differ bool) {
	for _, w := range []*World{a, b} {
		w.started = true
		w.guarded(w.begin)
	}
	for more := true; more; {
		var moreA, moreB bool
		a.guarded(func() { moreA = a.next() })
		b.guarded(func() { moreB = b.next() })
		if moreA != moreB || a.hash.sum != b.hash.sum {
			return a.result.Events, min(a.now, b.now), true
		}
		more = moreA
	}
	return 0, 0, false
}

// guarded turns a panic of the core, of an actor or of an observer into a violation.
func (w *World) guarded(run func()) {
	if w.result.Failed() {
		return
	}
	if !w.config.Panics {
		defer func() {
			if r := recover(); r != nil {
				w.violate("panic", fmt.Sprint(r))
			}
		}()
	}
	run()
}

// begin plans what happens whatever the nodes do.
func (w *World) begin() {
	w.net = netsim.New[*packet](len(w.nodes)+len(w.actors), &w.netNoise)
	w.net.BytesPerMilli = w.latency.BytesPerMilli
	w.plan = slices.Clone(w.config.Plan) // targets are filled in
	if w.plan == nil {
		w.plan = DrawPlan(w.config.Seed, &w.config.Faults, len(w.nodes), w.config.Safety)
	}
	w.triggered = make([]bool, len(w.plan))
	w.result.Plan = w.plan
	for i := range w.plan {
		w.schedule(w.plan[i].At, event{kind: faultBegins, slot: uint32(i)})
	}
	w.schedule(clock.Instant(w.config.Safety), event{kind: healDue})
	for _, n := range w.nodes {
		w.schedule(0, event{kind: bootDue, node: int16(n.id)})
	}
	for _, a := range w.actors {
		w.net.Up(0, a.endpoint, brokerPort)
		w.schedule(0, event{kind: actorTimer, node: int16(a.id)})
	}
}

// next runs one event, and reports whether the run goes on.
func (w *World) next() bool {
	if w.finished || w.queue.len() == 0 {
		w.result.Settled = w.result.Settled || w.queue.len() == 0
		return false
	}
	if w.result.Events >= w.config.EventsMax {
		w.result.OutOfBudget = true
		return false
	}
	e := w.queue.pop()
	w.now = e.at
	w.dispatch(&e)
	return !w.result.Failed()
}

// dispatch runs one event.
func (w *World) dispatch(e *event) {
	if w.toNode(e) {
		n := w.nodes[e.node]
		if n.putOff(e) {
			return
		}
		w.count(e)
		n.run(e)
	} else {
		w.count(e)
		w.runOther(e)
	}
	w.flushNet()
	for _, o := range w.observers {
		if found := o.Found(); len(found) > 0 {
			w.result.Violations = append(w.result.Violations, found...)
			return
		}
	}
}

func (w *World) count(e *event) {
	w.result.Events++
	w.hash.words(uint64(e.at), uint64(e.kind)<<16|uint64(uint16(e.node)))
}

// toNode reports whether an event waits while its node stands still.
func (w *World) toNode(e *event) bool {
	switch e.kind {
	case nodeTimer, writeDue, syncDue, jobDue, answerDue:
		return true
	case deliveryDue:
		return int(e.node) < len(w.nodes)
	}
	return false
}

// runOther runs an event that is not for a node's broker or disk.
func (w *World) runOther(e *event) {
	switch e.kind {
	case deliveryDue:
		w.deliver(e)
	case actorTimer:
		w.actors[e.node].timer(e.gen)
	case bootDue:
		w.nodes[e.node].bootDue(e.gen)
	case resumeDue:
		w.nodes[e.node].resumeDue(e.gen)
	case throttleDue:
		w.nodes[e.node].throttle(w.nodes[e.node].slowTo, w.nodes[e.node].slowShare)
	case stopOverdue:
		w.nodes[e.node].stopOverdue(e.gen)
	case faultBegins:
		w.inject(int(e.slot))
	case faultEnds:
		w.endFault(int(e.slot))
	case healDue:
		w.heal()
	case askDone:
		w.askDone()
	case endDue:
		w.finished = true
	}
}

// deliver hands what the network brings to whom it is for.
func (w *World) deliver(e *event) {
	d := w.delivery.at(e.slot, e.gen)
	due := *d
	w.delivery.drop(e.slot)
	ev, noticed := w.net.Deliver(w.now, due)
	if !noticed {
		return
	}
	w.hash.words(uint64(ev.Conn), uint64(ev.Kind)<<8|uint64(ev.Side))
	if int(ev.At) < len(w.nodes) {
		w.nodes[ev.At].netEvent(&ev)
	} else {
		w.actors[int(ev.At)-len(w.nodes)].netEvent(&ev)
	}
}

// flushNet schedules what the network wants to be asked for.
func (w *World) flushNet() {
	for i := range w.net.Due {
		due := &w.net.Due[i]
		slot, gen := w.delivery.put(*due)
		w.schedule(due.At, event{kind: deliveryDue, node: int16(due.To), slot: slot, gen: gen})
	}
	w.net.Due = w.net.Due[:0]
}

// heal ends the safety phase: no more faults, and every node comes up.
func (w *World) heal() {
	w.healed = true
	w.latency = w.latency.calm()
	w.net.Heal(w.now)
	if w.tracing() {
		w.tracef("world healed")
	}
	for _, n := range w.nodes {
		n.heal()
	}
	for _, o := range w.observers {
		o.Healed(w.now)
	}
	for _, a := range w.actors {
		a.step(ActorEvent{Kind: ActorHealed})
	}
	w.schedule(w.now.Add(w.config.Liveness), event{kind: endDue})
	if w.config.Done != nil {
		w.schedule(w.now.Add(askDoneEvery), event{kind: askDone})
	}
}

// askDone ends the run when all that was to happen has happened.
func (w *World) askDone() {
	if w.config.Done() {
		w.finished, w.result.Settled = true, true
		return
	}
	w.schedule(w.now.Add(askDoneEvery), event{kind: askDone})
}

// sum fills the result in.
func (w *World) sum() {
	r := &w.result
	r.Hash, r.SimulatedNanos = w.hash.sum, int64(w.now)
	r.Messages = w.net.Counts.Frames
	r.Net = w.net.Counts
	r.MutantHits = w.mutants.Hits()
	for _, n := range w.nodes {
		r.Disk.add(&n.disk.Counts)
	}
}

// judge lets the observers judge the whole history.
func (w *World) judge() {
	if w.result.OutOfBudget {
		return
	}
	for _, o := range w.observers {
		w.result.Violations = append(w.result.Violations, o.Finish(w.now)...)
	}
}
