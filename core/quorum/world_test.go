package quorum

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/mutant"
)

// plan is what a seed draws before its run.
type plan struct {
	seed    uint64
	voters  int
	spare   int // nodes that may become members
	mutants mutant.Set

	loss, duplicates, tail int // of a thousand messages
	slowDisk               int // of a thousand writes
	faults                 [faultKinds]bool
	faultEvery             clock.Duration
	proposeEvery           clock.Duration
	faulty, healed         clock.Duration
	windowBytes            int
}

type faultKind int

const (
	crashOne faultKind = iota
	crashAll
	splitNetwork
	cutOneWay
	healNetwork
	pauseOne
	moveLeader
	changeMembers
	takeSnapshot
	faultKinds
)

func drawPlan(seed uint64) *plan {
	r := rand.New(rand.NewPCG(seed, 1))
	p := &plan{
		seed: seed, voters: []int{1, 3, 3, 3, 5, 5}[r.IntN(6)], spare: 2,
		loss: r.IntN(100), duplicates: r.IntN(60), tail: r.IntN(50), slowDisk: r.IntN(200),
		faultEvery:   clock.Duration(50+r.IntN(800)) * clock.Millisecond,
		proposeEvery: clock.Duration(20+r.IntN(300)) * clock.Millisecond,
		faulty:       20 * clock.Second, healed: 10 * clock.Second,
		windowBytes: 4 << 10 << r.IntN(6),
	}
	for i := range p.faults {
		p.faults[i] = r.IntN(4) > 0
	}
	return p
}

// stats counts what happened, so that a test can say that it did.
type stats struct {
	events, elections, commits, crashes, writesLost, writesTorn int
	installed, transfers, changes, joint, reads, compactions    int
	refusedBusy, snapshotsLost, termsRaised                     int
}

func (s *stats) add(o *stats) {
	s.events += o.events
	s.elections += o.elections
	s.commits += o.commits
	s.crashes += o.crashes
	s.writesLost += o.writesLost
	s.writesTorn += o.writesTorn
	s.installed += o.installed
	s.transfers += o.transfers
	s.changes += o.changes
	s.joint += o.joint
	s.reads += o.reads
	s.compactions += o.compactions
	s.refusedBusy += o.refusedBusy
	s.snapshotsLost += o.snapshotsLost
	s.termsRaised += o.termsRaised
}

type eventKind uint8

const (
	deliverEvent eventKind = iota
	storedEvent
	wakeEvent
	resumeEvent
	restartEvent
	snapshotEvent // a host's own snapshot is durable
	reportEvent   // SnapshotSent
	proposeEvent
	faultEvent
)

type event struct {
	at, seq  uint64
	kind     eventKind
	node     int
	life     int // of the node, where the event dies with it
	from     int
	data     []byte
	snapshot *Snapshot
	chain    uint64
	token    Token
	arrived  bool
}

type eventQueue []event

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *eventQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

// world is one deterministic run: hosts, their disks and the network between them.
type world struct {
	plan   *plan
	rng    *rand.Rand
	queue  eventQueue
	seq    uint64
	now    uint64
	hosts  []*host
	cut    [][]bool
	quiet  bool // no more faults
	marker int
	hash   hash.Hash64
	ledger ledger
	stats  stats
}

// result is what a run came to.
type result struct {
	hash    uint64
	stats   stats
	failure string
}

// run plays a plan. A broken invariant, of the engine or of the test, is the failure.
func run(p *plan) (r result) {
	w := newWorld(p)
	defer func() {
		r.hash, r.stats = w.hash.Sum64(), w.stats
		if broken := recover(); broken != nil {
			r.failure = fmt.Sprintf("seed %d at %d us: %v", p.seed, w.now/1000, broken)
		}
	}()
	w.play(p.faulty)
	w.calm()
	w.play(p.faulty + p.healed)
	w.checkConverged()
	return r
}

func newWorld(p *plan) *world {
	w := &world{plan: p, rng: rand.New(rand.NewPCG(p.seed, 2)), hash: fnv.New64a()}
	w.ledger = newLedger()
	n := p.voters + p.spare
	var voters []NodeID
	for i := range p.voters {
		voters = append(voters, NodeID(i))
	}
	for i := range n {
		w.cut = append(w.cut, make([]bool, n))
		h := &host{w: w, id: NodeID(i), rate: uint64(950 + w.rng.IntN(101))}
		h.disk.hard.Vote = NoNode
		if i < p.voters {
			first := Bootstrap(voters)
			h.disk.hard, h.disk.snapshot = first.HardState, first.Snapshot
		}
		w.hosts = append(w.hosts, h)
	}
	for _, h := range w.hosts {
		h.start()
	}
	w.after(0, event{kind: proposeEvent})
	w.after(uint64(p.faultEvery), event{kind: faultEvent})
	return w
}

func (w *world) after(delay uint64, e event) {
	w.seq++
	e.at, e.seq = w.now+delay, w.seq
	heap.Push(&w.queue, e)
}

// chance is true n times of a thousand.
func (w *world) chance(n int) bool { return w.rng.IntN(1000) < n }

func (w *world) between(low, high clock.Duration) uint64 {
	return uint64(low) + w.rng.Uint64N(uint64(high-low))
}

func (w *world) note(values ...uint64) {
	var b [8]byte
	for _, v := range values {
		binary.LittleEndian.PutUint64(b[:], v)
		w.hash.Write(b[:])
	}
}

func (w *world) play(until clock.Duration) {
	for len(w.queue) > 0 && w.queue[0].at <= uint64(until) {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		w.stats.events++
		w.note(e.at, uint64(e.kind), uint64(e.node), uint64(e.from))
		w.hash.Write(e.data)
		switch e.kind {
		case proposeEvent:
			w.propose()
		case faultEvent:
			w.fault()
		case restartEvent:
			if h := w.hosts[e.node]; !h.up && h.life == e.life {
				h.start()
			}
		default:
			w.hosts[e.node].receive(e)
		}
	}
	w.now = uint64(until)
}

// propose is a client: it proposes at whoever leads, and sometimes reads.
func (w *world) propose() {
	w.after(1+w.rng.Uint64N(2*uint64(w.plan.proposeEvery)), event{kind: proposeEvent})
	for _, i := range w.rng.Perm(len(w.hosts)) {
		h := w.hosts[i]
		if !h.up || h.paused() || h.engine.Role() != Leader {
			continue
		}
		for range 1 + w.rng.IntN(4) {
			w.marker++
			data := make([]byte, 8+w.rng.IntN(200))
			binary.LittleEndian.PutUint64(data, uint64(w.marker))
			_, refusal := h.engine.Propose(h.clock(), data, &h.fx)
			if refusal == RefusedBusy {
				w.stats.refusedBusy++
			}
			h.carryOut()
		}
		if w.chance(300) {
			h.read()
		}
		return
	}
}

func (w *world) send(from int, s Send) {
	to := int(s.To)
	copies := 1
	if w.chance(w.plan.duplicates) && !w.quiet {
		copies = 2
	}
	e := event{kind: deliverEvent, node: to, from: from, data: s.Data, snapshot: s.Snapshot}
	if s.Snapshot != nil {
		e.chain = w.hosts[from].chain
	}
	for range copies {
		if w.cut[from][to] || !w.quiet && w.chance(w.plan.loss) {
			continue
		}
		delay := w.between(clock.Millisecond, 10*clock.Millisecond)
		if !w.quiet && w.chance(w.plan.tail) {
			delay = w.between(10*clock.Millisecond, 2*clock.Second)
		}
		w.after(delay, e)
	}
}

// calm ends the faults: everybody is up and reaches everybody.
func (w *world) calm() {
	w.quiet = true
	for i, h := range w.hosts {
		clear(w.cut[i])
		if !h.up {
			h.start()
		}
	}
}

func (w *world) fault() {
	w.after(1+w.rng.Uint64N(2*uint64(w.plan.faultEvery)), event{kind: faultEvent})
	kind := faultKind(w.rng.IntN(int(faultKinds)))
	if !w.plan.faults[kind] || w.quiet && kind != takeSnapshot {
		return
	}
	h := w.hosts[w.rng.IntN(len(w.hosts))]
	if w.chance(500) { // whoever leads is the most interesting one
		for _, other := range w.hosts {
			if other.up && other.engine.Role() == Leader {
				h = other
			}
		}
	}
	switch kind {
	case crashOne:
		h.crash()
	case crashAll:
		for _, h := range w.hosts {
			h.crash()
		}
	case splitNetwork, cutOneWay, healNetwork:
		w.rewire(kind, int(h.id))
	case pauseOne:
		until := w.now + w.between(50*clock.Millisecond, 2*clock.Second)
		h.pausedUntil = max(h.pausedUntil, until)
	case moveLeader:
		h.transfer(NodeID(w.rng.IntN(len(w.hosts))))
	case changeMembers:
		h.change()
	case takeSnapshot:
		h.snapshot()
	case faultKinds:
	}
}

func (w *world) rewire(kind faultKind, node int) {
	side := make([]bool, len(w.hosts))
	for i := range side {
		side[i] = w.chance(500)
	}
	for i := range w.cut {
		for j := range w.cut[i] {
			switch kind {
			case splitNetwork:
				w.cut[i][j] = side[i] != side[j]
			case cutOneWay:
				w.cut[i][j] = w.cut[i][j] || i == node && side[j] && i != j
			default:
				w.cut[i][j] = false
			}
		}
	}
}
