package quorum

import (
	"fmt"
	"slices"

	"github.com/heiban/heiban/clock"
)

// disk is what survives a crash.
type disk struct {
	hard     HardState
	snapshot Snapshot
	chain    uint64 // the state of the snapshot
	entries  []Entry
}

// write makes parts of a write durable.
func (d *disk) write(o *ordered, hard bool, entries int) {
	if s := o.Snapshot; s != nil {
		d.snapshot, d.chain, d.entries = *s, o.chain, nil
	}
	if entries > 0 {
		if len(d.entries) > 0 {
			keep := o.Entries[0].Index - d.entries[0].Index
			d.entries = d.entries[:keep:keep]
		}
		d.entries = append(d.entries, o.Entries[:entries]...)
	}
	if hard && o.HasHardState {
		d.hard = o.HardState
	}
}

// ordered is a write on its way, with the state that belongs to its snapshot.
type ordered struct {
	Write
	chain uint64
}

// host drives one engine as a broker would.
type host struct {
	w      *world
	id     NodeID
	life   int
	up     bool
	engine *Engine
	fx     Effects
	disk   disk
	writes []ordered
	busyTo uint64 // when the disk is done with all of them

	chain     uint64 // the state, as a hash of what was applied
	applied   Position
	log       []Entry // as ordered, after logBase
	logBase   Position
	committed uint64 // checked up to here
	terms     uint64 // the last term in which it was seen leading
	arriving  event

	pausedUntil  uint64
	snapshotting bool
	parked       []event // what happened while it was paused
	rate         uint64  // thousandths of real time at which the clock goes
	wakeAt       uint64
}

func (h *host) clock() clock.Instant { return clock.Instant(h.w.now / 1000 * h.rate) }
func (h *host) paused() bool         { return h.w.now < h.pausedUntil }

func (h *host) start() {
	h.up, h.life = true, h.life+1
	h.writes, h.busyTo, h.pausedUntil, h.wakeAt = nil, 0, 0, ^uint64(0)
	h.parked, h.snapshotting = nil, false
	h.chain, h.applied = h.disk.chain, h.disk.snapshot.Position
	h.logBase, h.log = h.disk.snapshot.Position, nil
	for _, entry := range h.disk.entries {
		if entry.Index > h.logBase.Index {
			h.log = append(h.log, entry)
		}
	}
	h.committed = h.logBase.Index
	if n := len(h.log); n > 0 && h.log[n-1].Term > h.disk.hard.Term {
		h.w.stats.termsRaised++
	}
	h.engine = New(h.clock(), Options{
		NodeID: h.id, ElectionTimeout: 300 * clock.Millisecond, Seed: h.w.plan.seed,
		MessageBytesMax: 1 << 10, InflightMax: 8, UncommittedBytesMax: 8 << 10,
		WindowBytesMax: h.w.plan.windowBytes, SnapshotTimeout: 2 * clock.Second,
		Restored: Restored{
			HardState: h.disk.hard, Snapshot: h.disk.snapshot,
			Entries: slices.Clone(h.disk.entries),
		},
		Mutants: h.w.plan.mutants,
	}, &h.fx)
	h.carryOut()
}

// crash loses what is not durable; of what is under way any prefix survives, and any
// part of the write after it.
func (h *host) crash() {
	if !h.up {
		return
	}
	h.up = false
	h.w.stats.crashes++
	if whole := h.w.rng.IntN(len(h.writes) + 1); h.w.chance(500) {
		for i := range h.writes[:whole] {
			h.disk.write(&h.writes[i], true, len(h.writes[i].Entries))
		}
		if whole < len(h.writes) {
			o := &h.writes[whole]
			h.disk.write(o, h.w.chance(500), h.w.rng.IntN(len(o.Entries)+1))
			h.w.stats.writesTorn++
		}
	} else {
		h.w.stats.writesLost += len(h.writes)
	}
	h.w.after(h.w.between(20*clock.Millisecond, 2*clock.Second),
		event{kind: restartEvent, node: int(h.id), life: h.life})
}

// receive takes an event, unless the host is down or the event was for a life before.
func (h *host) receive(e event) {
	if !h.up || e.kind != deliverEvent && e.life != h.life {
		return
	}
	if h.paused() {
		if e.kind != resumeEvent {
			h.parked = append(h.parked, e)
		}
		if e.kind == resumeEvent || len(h.parked) == 1 {
			h.w.after(h.pausedUntil-h.w.now, event{
				kind: resumeEvent, node: int(h.id), life: h.life,
			})
		}
		return
	}
	parked := h.parked
	h.parked = nil
	for _, e := range parked {
		h.step(e)
	}
	h.step(e)
}

func (h *host) step(e event) {
	if !h.up || e.kind != deliverEvent && e.life != h.life {
		return
	}
	switch e.kind {
	case deliverEvent:
		h.deliver(e)
	case storedEvent:
		h.stored(e.token)
	case wakeEvent:
		if e.at >= h.wakeAt {
			h.wakeAt = ^uint64(0)
		}
		if h.engine.Deadline() <= h.clock() {
			h.engine.Advance(h.clock(), &h.fx)
		}
	case snapshotEvent:
		h.snapshotDurable(e)
	case reportEvent:
		h.engine.SnapshotSent(h.clock(), NodeID(e.from), e.arrived, &h.fx)
	default:
	}
	h.carryOut()
}

func (h *host) deliver(e event) {
	h.arriving = e
	err := h.engine.Receive(h.clock(), e.data, &h.fx)
	if err != nil {
		panic(err)
	}
	// Whether the sender learns that a snapshot arrived is up to luck; it has a timeout.
	if from := h.w.hosts[e.from]; e.snapshot != nil && from.up && h.w.chance(500) {
		h.w.after(h.w.between(clock.Millisecond, 5*clock.Millisecond), event{
			kind: reportEvent, node: e.from, life: from.life, from: int(h.id),
			arrived: h.w.chance(800),
		})
	}
}

func (h *host) stored(token Token) {
	o := h.writes[0]
	if o.Token != token {
		panic("writes end in another order than they began")
	}
	h.writes = h.writes[1:]
	h.disk.write(&o, true, len(o.Entries))
	if o.Snapshot != nil {
		h.arriving.chain = o.chain // what the commit of the snapshot restores
	}
	h.engine.Stored(h.clock(), token, &h.fx)
}

// carryOut does what the engine ordered, and checks all it says.
func (h *host) carryOut() {
	w := h.w
	for i := range h.fx.Writes {
		h.write(&h.fx.Writes[i])
	}
	for i := range h.fx.Commits {
		h.apply(&h.fx.Commits[i])
	}
	for _, s := range h.fx.Sends {
		if s.Snapshot != nil && s.Snapshot.Position != h.applied && h.w.plan.mutants.Hits() == 0 {
			panic("a snapshot is sent of another state than the one there is")
		}
		w.send(int(h.id), s)
	}
	for _, r := range h.fx.Reads {
		w.ledger.readAnswered(r)
		w.stats.reads++
	}
	for _, r := range h.fx.Reports {
		w.note(uint64(r.Kind), uint64(r.Role), uint64(r.Node), r.Position.Index, r.Position.Term)
		switch r.Kind {
		case MembershipChanged:
			w.stats.changes++
			if m := h.engine.Membership(); len(m.VotersOutgoing) > 0 {
				w.stats.joint++
			}
		case SnapshotLost:
			w.stats.snapshotsLost++
		case RoleChanged:
		}
	}
	h.fx.Reset()
	if h.engine.WantsSnapshot() {
		h.snapshot()
	}
	h.check()
	h.plan()
}

func (h *host) write(write *Write) {
	w := h.w
	o := ordered{Write: *write}
	if o.Snapshot != nil {
		if h.arriving.snapshot == nil || o.Snapshot.Position != h.arriving.snapshot.Position {
			panic("a snapshot is written that did not arrive")
		}
		o.chain = h.arriving.chain
		h.log, h.logBase = nil, o.Snapshot.Position
		w.stats.installed++
	}
	if len(o.Entries) > 0 {
		at := o.Entries[0].Index - h.logBase.Index - 1
		h.log = append(h.log[:at:at], o.Entries...)
		for i := int(at); i < len(h.log); i++ {
			w.ledger.appended(h.before(i), &h.log[i])
		}
	}
	h.writes = append(h.writes, o)
	took := w.between(200*clock.Microsecond, 3*clock.Millisecond)
	if !w.quiet && w.chance(w.plan.slowDisk) {
		took = w.between(5*clock.Millisecond, 500*clock.Millisecond)
	}
	h.busyTo = max(h.busyTo, w.now) + took
	w.note(uint64(o.Token), o.HardState.Term, uint64(o.HardState.Vote), uint64(len(o.Entries)))
	w.after(h.busyTo-w.now, event{
		kind: storedEvent, node: int(h.id), life: h.life, token: o.Token,
	})
}

// before is the entry before the i-th one of the log.
func (h *host) before(i int) Position {
	if i == 0 {
		return h.logBase
	}
	return Position{h.log[i-1].Index, h.log[i-1].Term}
}

func (h *host) apply(entry *Entry) {
	if entry.Kind == KindSnapshot {
		h.chain = h.arriving.chain
	} else {
		if entry.Index != h.applied.Index+1 {
			panic(fmt.Sprintf("entry %d is applied after %d", entry.Index, h.applied.Index))
		}
		h.chain = chainOf(h.chain, entry)
		h.w.stats.commits++
	}
	h.applied = Position{entry.Index, entry.Term}
	h.w.ledger.applied(h.applied, h.chain)
	h.w.note(uint64(h.id), h.applied.Index, h.applied.Term, h.chain)
}

// plan arranges for the engine's deadline.
func (h *host) plan() {
	at := h.engine.Deadline()
	if at == clock.Never {
		return
	}
	due := max(uint64(at)/h.rate*1000+1000, h.w.now) // never early on its own clock
	if due < h.wakeAt {
		h.wakeAt = due
		h.w.after(due-h.w.now, event{kind: wakeEvent, node: int(h.id), life: h.life})
	}
}

func (h *host) read() {
	id := h.w.ledger.readAsked()
	h.engine.ReadIndex(h.clock(), id, &h.fx)
	h.carryOut()
}

func (h *host) transfer(to NodeID) {
	if h.up && !h.paused() && h.engine.TransferLeadership(h.clock(), to, &h.fx) == Accepted {
		h.w.stats.transfers++
		h.carryOut()
	}
}

// change proposes some change of the membership; raft may refuse it.
func (h *host) change() {
	if !h.up || h.paused() {
		return
	}
	var changes []Change
	for range 1 + h.w.rng.IntN(2) {
		node := NodeID(h.w.rng.IntN(len(h.w.hosts)))
		changes = append(changes, Change{Node: node, Kind: ChangeKind(h.w.rng.IntN(3))})
	}
	h.engine.ProposeChange(h.clock(), changes, &h.fx)
	h.carryOut()
}

// snapshot takes a snapshot of the state, which is durable later.
func (h *host) snapshot() {
	if !h.up || h.paused() {
		return
	}
	s := h.engine.Snapshot()
	if h.snapshotting || s.Index <= h.disk.snapshot.Index {
		return
	}
	h.snapshotting = true
	h.w.after(h.w.between(clock.Millisecond, 300*clock.Millisecond), event{
		kind: snapshotEvent, node: int(h.id), life: h.life, snapshot: &s, chain: h.chain,
	})
}

func (h *host) snapshotDurable(e event) {
	h.snapshotting = false
	s := e.snapshot
	if s.Index <= h.disk.snapshot.Index {
		return
	}
	h.disk.snapshot, h.disk.chain = *s, e.chain
	upTo := min(s.Index, h.engine.Applied().Index)
	if h.w.chance(300) && upTo > 20 {
		upTo -= 20
	}
	drop := 0
	for drop < len(h.disk.entries) && h.disk.entries[drop].Index <= upTo {
		drop++
	}
	h.disk.entries = h.disk.entries[drop:]
	h.engine.Compact(upTo)
	h.w.stats.compactions++
}
