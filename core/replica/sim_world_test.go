package replica_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/mutant"
	"github.com/heiban/heiban/core/replica"
)

// A small deterministic world of one partition: brokers with logs in memory, a
// controller that agrees with itself, a network that delays, loses, reorders and
// duplicates, crashes that lose what was not synced, and an oracle that watches.

// plan is what is drawn before a run.
type plan struct {
	seed              uint64
	brokers           int
	minInsyncReplicas int32
	elr               bool // eligible leader replicas (KIP-966)
	fsync             bool // what counts as held is synced
	late              int  // messages in a thousand that take very long
	lost              int
	twice             int
	crashes           int // in a thousand chances
	cuts              int
	moves             int // of leadership
	restartMax        clock.Duration
}

func drawPlan(seed uint64) plan {
	r := rand.New(rand.NewPCG(seed, 1))
	p := plan{
		seed:    seed,
		brokers: 3 + r.IntN(3),
		elr:     r.IntN(2) == 0,
		fsync:   r.IntN(2) == 0,
		late:    r.IntN(60),
		lost:    r.IntN(30),
		twice:   r.IntN(60),
		crashes: r.IntN(40),
		cuts:    r.IntN(40),
		moves:   r.IntN(80),

		restartMax: clock.Second,
	}
	switch r.IntN(4) {
	case 0: // leaders change faster than the news of it
		p.moves, p.cuts, p.late = 5*p.moves, 2*p.cuts, 3*p.late
	case 1: // brokers come back before what they sent arrives
		p.crashes, p.late, p.restartMax = 3*p.crashes, 5*p.late, 40*clock.Millisecond
	}
	p.minInsyncReplicas = int32(1 + r.IntN(min(3, p.brokers-1)))
	return p
}

const (
	faultsEnd       = clock.Instant(3 * clock.Second)
	patience        = 8 * clock.Second // to converge after the faults
	lagTimeMax      = 200 * clock.Millisecond
	fetchBackoff    = 20 * clock.Millisecond
	fetchWaitMax    = 40 * clock.Millisecond
	requestTimeout  = 250 * clock.Millisecond
	heartbeatPeriod = 80 * clock.Millisecond
	sessionTimeout  = 300 * clock.Millisecond
	chancePeriod    = 20 * clock.Millisecond
	batchesPerFetch = 4
)

type event struct {
	at  clock.Instant
	seq uint64
	do  func()
}

type world struct {
	plan       plan
	rng        *rand.Rand
	now        clock.Instant
	seq        uint64
	events     []event // a heap
	set        mutant.Set
	controller *controller
	nodes      []*node
	cutUntil   [6][6]clock.Instant // from, to; 0 is the controller
	oracle     oracle
	values     uint64
	healed     bool
	traced     bool // tell what happens
	steps      int
}

func newWorld(p plan, set mutant.Set) *world {
	w := &world{plan: p, rng: rand.New(rand.NewPCG(p.seed, 2)), set: set, traced: *traceFlag}
	w.oracle = newOracle(w)
	for i := range p.brokers {
		w.nodes = append(w.nodes, newNode(w, int32(i+1)))
	}
	w.controller = newController(w)
	for _, n := range w.nodes {
		n.start()
	}
	w.after(chancePeriod, w.chance)
	return w
}

func (w *world) node(id int32) *node { return w.nodes[id-1] }

func (w *world) chanceOf(perMille int) bool { return w.rng.IntN(1000) < perMille }

func (w *world) span(from, to clock.Duration) clock.Duration {
	return from + clock.Duration(w.rng.Int64N(int64(to-from)))
}

func (w *world) after(d clock.Duration, do func()) {
	w.seq++
	w.events = append(w.events, event{at: w.now.Add(d), seq: w.seq, do: do})
	for i := len(w.events) - 1; i > 0; {
		parent := (i - 1) / 2
		if !w.before(i, parent) {
			return
		}
		w.events[i], w.events[parent] = w.events[parent], w.events[i]
		i = parent
	}
}

func (w *world) before(i, j int) bool {
	if w.events[i].at != w.events[j].at {
		return w.events[i].at < w.events[j].at
	}
	return w.events[i].seq < w.events[j].seq
}

func (w *world) pop() event {
	first, last := w.events[0], len(w.events)-1
	w.events[0] = w.events[last]
	w.events[last] = event{}
	w.events = w.events[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return first
		}
		if child+1 < last && w.before(child+1, child) {
			child++
		}
		if !w.before(child, i) {
			return first
		}
		w.events[i], w.events[child] = w.events[child], w.events[i]
		i = child
	}
}

// send delivers a message, or not, or twice, sooner or later.
func (w *world) send(from, to int32, deliver func()) {
	copies := 1
	if !w.healed {
		switch {
		case w.now < w.cutUntil[from][to], w.chanceOf(w.plan.lost):
			copies = 0
		case w.chanceOf(w.plan.twice):
			copies = 2
		}
	}
	for i := range copies {
		delay := w.span(clock.Millisecond/2, 4*clock.Millisecond)
		if !w.healed && w.chanceOf(w.plan.late*(1+5*i)) {
			delay = w.span(10*clock.Millisecond, clock.Second)
		}
		w.after(delay, deliver)
	}
}

// chance lets something happen.
func (w *world) chance() {
	if w.now >= faultsEnd {
		w.heal()
		return
	}
	w.after(chancePeriod, w.chance)
	for range w.rng.IntN(3) {
		w.produce()
	}
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	switch {
	case w.chanceOf(w.plan.crashes) && n.up:
		n.crash()
	case w.chanceOf(w.plan.cuts):
		w.cut()
	case w.chanceOf(w.plan.moves):
		w.controller.move()
	case w.chanceOf(10) && n.up && n.leader != nil:
		n.deleteRecords()
	}
	w.oracle.readSomewhere(n)
}

func (w *world) produce() {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	for range w.nodes {
		if n.up && n.leader != nil {
			w.values++
			n.produce(w.values)
			return
		}
		n = w.nodes[int(n.id)%len(w.nodes)]
	}
}

// cut takes away some links for a while, in one direction or both.
func (w *world) cut() {
	a, b := w.rng.IntN(len(w.nodes)+1), w.rng.IntN(len(w.nodes)+1)
	until := w.now.Add(w.span(100*clock.Millisecond, clock.Second))
	w.cutUntil[a][b] = until
	if w.rng.IntN(2) == 0 {
		w.cutUntil[b][a] = until
	}
	if w.rng.IntN(3) == 0 { // from everybody
		for c := range w.cutUntil {
			w.cutUntil[a][c], w.cutUntil[c][a] = until, until
		}
	}
}

func (w *world) heal() {
	w.healed = true
	for _, n := range w.nodes {
		if !n.up {
			n.restart()
		}
	}
}

// violation is a broken invariant.
type violation struct{ invariant, text string }

// run plays a seed, and returns what went wrong, if anything.
func run(p plan, set mutant.Set) (bad *violation) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case violation:
			bad = &r
		case string:
			bad = &violation{invariant: "Assertion", text: r}
		default:
			panic(r)
		}
	}()
	w := newWorld(p, set)
	for ; len(w.events) > 0; w.steps++ {
		e := w.pop()
		w.now = e.at
		e.do()
		w.oracle.quorum()
		if w.healed && w.steps%64 == 0 {
			why := w.oracle.unsettled()
			if why == "" {
				return nil
			}
			if w.now > faultsEnd.Add(patience) {
				w.fail("Progress", "%s", why)
			}
		}
	}
	w.fail("Progress", "nothing happens any more")
	return nil
}

func (w *world) fail(invariant, format string, args ...any) {
	panic(violation{invariant, fmt.Sprintf("%s at %d: ", invariant, w.now) +
		fmt.Sprintf(format, args...)})
}

// metadata is one version of what the controller has decided. It is immutable.
type metadata struct {
	version   int
	partition replica.Partition
	brokers   []replica.Broker
}
