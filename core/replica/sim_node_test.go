package replica_test

import (
	"fmt"
	"slices"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/replica"
)

const never = int64(1) << 62

// node is a broker with its replica.
type node struct {
	w           *world
	set         *replica.Settings
	log         memLog
	id          int32
	up          bool
	life        int
	cleanEpoch  int64 // the broker epoch that ended in a clean shutdown, or -1
	brokerEpoch int64 // -1: not registered in this life
	regVersion  int   // the version of the metadata that has its registration
	lostFrom    int64 // what a crash cost that the controller does not know of yet

	version     int // of the metadata it knows
	leaderEpoch int32
	leader      *replica.Leader
	follower    *replica.Follower
	waits       []wait
	asks        int
	openAsk     int
	altering    bool
	alters      int
	cuts        int // how often its log was truncated
	armed       clock.Instant

	toldHigh  int64 // the last high watermark seen, in toldEpoch
	toldEpoch int32
}

// wait is a produce that waits for all in-sync replicas.
type wait struct{ e entry }

func newNode(w *world, id int32) *node {
	return &node{
		w: w, id: id, up: true, cleanEpoch: -1, lostFrom: never, leaderEpoch: -1,
		armed: clock.Never, toldEpoch: -1,
		set: &replica.Settings{
			NodeID: id, ReplicaLagTimeMax: lagTimeMax, ReplicaFetchBackoff: fetchBackoff,
			Mutants: w.set,
		},
	}
}

func (n *node) start() {
	n.heartbeat(n.life)
	n.syncLater(n.life)
}

// alive makes a function of one life.
func (n *node) alive(do func()) func() {
	life := n.life
	return func() {
		if n.up && n.life == life {
			do()
		}
	}
}

func (n *node) heartbeat(life int) {
	if !n.up || n.life != life {
		return
	}
	n.w.after(heartbeatPeriod, func() { n.heartbeat(life) })
	if n.brokerEpoch < 0 {
		clean := n.cleanEpoch
		n.w.send(n.id, 0, func() { n.w.controller.register(n.id, life, clean) })
		return
	}
	epoch, version := n.brokerEpoch, n.version
	n.w.send(n.id, 0, func() { n.w.controller.heartbeat(n.id, epoch, version) })
}

func (n *node) registered(life int, epoch int64, version int) {
	if n.up && n.life == life && n.brokerEpoch < 0 {
		n.brokerEpoch, n.regVersion = epoch, version
	}
}

func (n *node) crash() {
	w := n.w
	clean := w.rng.IntN(4) == 0
	n.up, n.cleanEpoch = false, -1
	n.leader, n.follower, n.waits = nil, nil, nil
	switch {
	case clean:
		n.cleanEpoch = n.brokerEpoch
		n.log.synced, n.log.checkpoint = n.log.end(), n.log.high
	case w.rng.IntN(3) > 0: // the power is gone
		keep := n.log.synced
		if n.log.end() > keep {
			keep += w.rng.Int64N(n.log.end() - keep + 1)
		}
		if keep < n.log.end() {
			n.lostFrom = min(n.lostFrom, keep)
			n.log.entries = n.log.entries[:keep-n.log.base]
			n.log.cutEpochs(keep)
			n.log.start = min(n.log.start, keep)
		}
	}
	if w.traced {
		n.trace("crashes, clean: %v, loses from %d", clean, n.lostFrom)
	}
	w.after(w.span(5*clock.Millisecond, w.plan.restartMax), func() {
		if !n.up {
			n.restart()
		}
	})
}

// trace prints what happens to a broker, with the marks and epochs of its log.
func (n *node) trace(format string, args ...any) {
	l := &n.log
	fmt.Printf("%d broker %d [%d %d %d %v] ", n.w.now, n.id, l.start, l.high, l.end(), l.epochs)
	fmt.Printf(format+"\n", args...)
}

func (n *node) restart() {
	n.up = true
	n.life++
	n.brokerEpoch, n.version, n.leaderEpoch, n.toldEpoch = -1, 0, -1, -1
	n.log.high = n.log.checkpoint
	n.openAsk, n.altering, n.armed = 0, false, clock.Never
	n.start()
}

// syncLater syncs the log now and then: often, if that is what counts.
func (n *node) syncLater(life int) {
	d := n.w.span(clock.Millisecond, 300*clock.Millisecond)
	if n.w.plan.fsync {
		d = n.w.span(clock.Millisecond, 10*clock.Millisecond)
	}
	end := n.log.end()
	n.w.after(d, func() {
		if !n.up || n.life != life {
			return
		}
		n.syncLater(life)
		n.log.synced = max(n.log.synced, min(end, n.log.end()))
		if n.w.rng.IntN(20) == 0 {
			n.log.checkpoint = n.log.high
		}
		n.held()
	})
}

func (n *node) held() {
	switch {
	case n.leader != nil:
		n.led(n.leader.LogChanged(n.w.now, n.state()))
	case n.follower != nil:
		n.follower.Held(n.state().HeldEndOffset)
		n.ask()
	}
}

func (n *node) state() *replica.LogState {
	s := &replica.LogState{
		LogStartOffset: n.log.start, HighWatermark: n.log.high,
		LogEndOffset: n.log.end(), HeldEndOffset: n.log.end(), LatestEpoch: n.log.latestEpoch(),
	}
	if n.w.plan.fsync {
		s.HeldEndOffset = n.log.synced
	}
	return s
}

// metadataArrived applies the newest metadata; what came between is skipped.
func (n *node) metadataArrived(m *metadata) {
	if !n.up || n.brokerEpoch < 0 || m.version <= n.version || m.version < n.regVersion {
		return
	}
	n.version = m.version
	p := &m.partition
	switch {
	case p.LeaderEpoch > n.leaderEpoch:
		n.leaderEpoch = p.LeaderEpoch
		n.elected(m)
	case n.leader != nil:
		n.led(n.leader.MetadataChanged(n.w.now, p))
		n.led(n.leader.BrokersChanged(n.w.now, m.brokers))
	default:
		n.follower.MetadataChanged(p)
	}
}

func (n *node) elected(m *metadata) {
	p := &m.partition
	if n.w.traced {
		n.trace("%+v", *p)
	}
	if p.Leader == n.id {
		l, changed := replica.BecomeLeader(n.w.now, n.set, &replica.Election{
			Partition: *p, Brokers: m.brokers, Log: *n.state(),
			MinInsyncReplicas: n.w.plan.minInsyncReplicas, Before: n.leader,
		})
		n.w.oracle.elected(n, p.LeaderEpoch)
		n.leader, n.follower, n.altering = &l, nil, false
		n.led(changed)
		return
	}
	f, d := replica.BecomeFollower(n.set, p, n.state())
	n.leader, n.follower, n.waits, n.openAsk = nil, &f, nil, 0
	n.decided(d, nil, nil)
}

// led follows up on a call of the leader.
func (n *node) led(changed replica.Change) {
	if changed.Has(replica.EpochStarted) {
		n.log.assignEpoch(n.leader.LeaderEpoch(), n.log.end())
	}
	high := n.leader.HighWatermark()
	if changed.Has(replica.HighWatermarkAdvanced) {
		n.w.oracle.committed(n, high)
	}
	n.log.high = high
	n.w.oracle.marks(n)
	n.answerProduces()
	if changed.Has(replica.ISRProposed) {
		n.alter()
	}
	n.arm()
}

func (n *node) answerProduces() {
	for len(n.waits) > 0 {
		done, code := n.leader.CheckAcks(n.waits[0].e.offset + 1)
		if !done {
			return
		}
		if code == errcode.None {
			n.w.oracle.acked(n, n.waits[0].e)
		}
		n.waits = n.waits[1:]
	}
}

func (n *node) produce(value uint64) {
	if n.leader.CheckProduce(-1) != errcode.None && n.w.rng.IntN(2) == 0 {
		return // the other half is written without waiting
	}
	e := entry{offset: n.log.end(), value: value, epoch: n.leader.LeaderEpoch()}
	n.log.append(e)
	n.w.oracle.appended(n, e)
	n.waits = append(n.waits, wait{e})
	n.led(n.leader.LogChanged(n.w.now, n.state()))
}

func (n *node) deleteRecords() {
	if span := n.log.high - n.log.start; span > 0 {
		n.log.raiseStart(n.log.start + n.w.rng.Int64N(span+1))
		n.w.oracle.deleted = max(n.w.oracle.deleted, n.log.start)
		n.led(n.leader.LogChanged(n.w.now, n.state()))
	}
}

// alter sends what the leader proposes, one request at a time.
func (n *node) alter() {
	q, ok := n.leader.AlterPartition()
	if !ok || n.altering {
		return
	}
	n.altering = true
	n.alters++
	w, leaderEpoch, epoch, number := n.w, n.leader.LeaderEpoch(), n.brokerEpoch, n.alters
	answered := false
	take := func(a replica.AlterPartitionAnswer) func() {
		return n.alive(func() {
			if !answered && n.leaderEpoch == leaderEpoch {
				n.altering = false
			}
			answered = true
			if n.leader == nil {
				return
			}
			n.led(n.leader.AlterPartitionAnswered(w.now, &q, &a))
			n.alter()
		})
	}
	late := n.alive(func() {
		if !answered {
			take(replica.AlterPartitionAnswer{Err: errcode.RequestTimedOut})()
		}
	})
	w.after(requestTimeout, late)
	w.send(n.id, 0, func() {
		if number <= w.controller.altered[n.id] {
			return // requests of one broker keep their order, as on one connection
		}
		w.controller.altered[n.id] = number
		a := w.controller.alterPartition(n.id, epoch, &q)
		if w.traced {
			n.trace("proposes %+v: %+v", q, a)
		}
		w.send(0, n.id, take(a))
	})
}

// arm asks to be woken at the deadline of the role.
func (n *node) arm() {
	at := clock.Never
	if n.leader != nil {
		at = n.leader.Deadline()
	} else if n.follower != nil {
		at = n.follower.Deadline()
	}
	if at == clock.Never || at >= n.armed {
		return
	}
	n.armed = at
	n.w.after(max(0, at.Sub(n.w.now)), n.alive(func() {
		n.armed = clock.Never
		if n.leader != nil {
			n.led(n.leader.Tick(n.w.now))
		} else if n.follower != nil {
			n.ask()
		}
		n.arm()
	}))
}

// ask sends the follower's next question.
func (n *node) ask() {
	ask, ok := n.follower.Next(n.w.now)
	if !ok {
		n.arm()
		return
	}
	n.asks++
	n.openAsk = n.asks
	number, f, epoch := n.asks, n.follower, n.brokerEpoch
	n.w.after(requestTimeout, n.alive(func() {
		if n.openAsk != number || n.follower != f {
			return
		}
		if ask.Kind == replica.AskRecords {
			n.fetched(&ask, &fetchResult{answer: replica.FetchAnswer{
				Err: errcode.NetworkException, Diverging: replica.NoEpoch,
			}})
		} else {
			n.listed(&ask, 0, errcode.NetworkException)
		}
	}))
	n.w.send(n.id, ask.Leader, func() {
		leader := n.w.node(ask.Leader)
		if !leader.up {
			return
		}
		if ask.Kind == replica.AskRecords {
			leader.serveFetch(n, epoch, &ask)
			return
		}
		offset, code := leader.serveList(&ask)
		n.w.send(leader.id, n.id, n.alive(func() { n.listed(&ask, offset, code) }))
	})
}

type fetchResult struct {
	answer  replica.FetchAnswer
	entries []entry
}

func (n *node) serveList(ask *replica.Ask) (int64, errcode.Code) {
	if n.leader == nil {
		return 0, errcode.NotLeaderOrFollower
	}
	if code := n.leader.CheckEpoch(ask.CurrentLeaderEpoch); code != errcode.None {
		return 0, code
	}
	if ask.Kind == replica.AskLatestOffset {
		return n.log.end(), errcode.None
	}
	return n.log.start, errcode.None
}

func (n *node) serveFetch(from *node, epoch int64, ask *replica.Ask) {
	life := from.life
	reply := func(r *fetchResult) {
		n.w.send(n.id, from.id, func() {
			if from.up && from.life == life {
				from.fetched(ask, r)
			}
		})
	}
	if n.leader == nil {
		reply(&fetchResult{answer: replica.FetchAnswer{
			Err: errcode.NotLeaderOrFollower, Diverging: replica.NoEpoch,
		}})
		return
	}
	n.w.oracle.serving(n)
	f := replica.FollowerFetch{
		ReplicaID: from.id, BrokerEpoch: epoch, CurrentLeaderEpoch: ask.CurrentLeaderEpoch,
		FetchOffset: ask.FetchOffset, LastFetchedEpoch: ask.LastFetchedEpoch,
		LogStartOffset: ask.LogStartOffset,
	}
	of := n.log.endOffsetFor(f.LastFetchedEpoch)
	result := n.read(&f, n.leader.Locate(&f, of))
	at, changed := n.leader.FollowerFetched(n.w.now, &f, of)
	if n.w.traced {
		n.trace("serves %+v: %+v", f, at)
	}
	result.answer.Err = at.Err
	n.led(changed)
	told := result.answer.HighWatermark > ask.HighWatermark
	if len(result.entries) > 0 || at.Err != errcode.None || at.Diverges() || told {
		reply(result)
		return
	}
	leader := n.leader
	n.w.after(n.w.span(0, fetchWaitMax), n.alive(func() {
		if n.leader != leader {
			reply(&fetchResult{answer: replica.FetchAnswer{
				Err: errcode.NotLeaderOrFollower, Diverging: replica.NoEpoch,
			}})
			return
		}
		reply(n.read(&f, n.leader.Locate(&f, n.log.endOffsetFor(f.LastFetchedEpoch))))
	}))
}

func (n *node) read(f *replica.FollowerFetch, at replica.Position) *fetchResult {
	r := &fetchResult{answer: replica.FetchAnswer{
		Err: at.Err, Diverging: at.Diverging,
		HighWatermark: n.log.high, LogStartOffset: n.log.start,
	}}
	if at.Err == errcode.None && !at.Diverges() {
		end := min(n.log.end(), f.FetchOffset+batchesPerFetch)
		r.entries = slices.Clone(n.log.entries[f.FetchOffset-n.log.base : end-n.log.base])
	}
	return r
}

func (n *node) fetched(ask *replica.Ask, r *fetchResult) {
	if n.follower == nil {
		return
	}
	own := replica.NoEpoch
	if r.answer.Diverging.Epoch >= 0 {
		own = n.log.endOffsetFor(r.answer.Diverging.Epoch)
	}
	d := n.follower.Fetched(n.w.now, ask, &r.answer, own)
	if n.w.traced && d.Kind != replica.Nothing {
		n.trace("asked %+v, answered %+v with %d: %+v", *ask, r.answer, len(r.entries), d)
	}
	n.decided(d, &r.answer, r.entries)
}

func (n *node) listed(ask *replica.Ask, offset int64, code errcode.Code) {
	if n.follower != nil {
		n.decided(n.follower.Listed(n.w.now, ask, offset, code), nil, nil)
	}
}

// decided carries out what the follower decided.
func (n *node) decided(d replica.Decision, a *replica.FetchAnswer, entries []entry) {
	switch d.Kind {
	case replica.Nothing:
	case replica.Append:
		for _, e := range entries {
			if !n.follower.Accepts(e.epoch) {
				break
			}
			n.log.append(e)
			n.w.oracle.appended(n, e)
		}
		n.follower.Appended(a, n.state())
	case replica.Truncate:
		n.cuts++
		n.log.truncate(d.Offset)
		n.follower.Truncated(n.state())
	case replica.TruncateFully:
		n.log.truncateFully(d.Offset)
		n.follower.Truncated(n.state())
	}
	n.log.high = n.follower.HighWatermark()
	n.log.raiseStart(n.follower.LogStartOffset())
	n.w.oracle.marks(n)
	n.ask()
}
