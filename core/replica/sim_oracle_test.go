package replica_test

import (
	"fmt"
	"slices"
)

// oracle remembers what was promised and judges what happens by it.
type oracle struct {
	w        *world
	appends  map[place]origin
	promises []promise // by offset
	deleted  int64     // below, records are deleted
	excused  int32     // what leaders of lower epochs commit may be lost
}

// place is where a record stands: log matching makes it the same everywhere.
type place struct {
	offset int64
	epoch  int32
}

type origin struct {
	value     uint64
	prevEpoch int32 // of the record before; -2: not known
}

type promise struct {
	e        entry
	made     bool
	forgiven bool // lost as faults allow; another may take its place
	changed  bool // another has taken the place of a forgiven one
}

func newOracle(w *world) oracle { return oracle{w: w, appends: map[place]origin{}} }

// appended checks LogMatching: two logs with a record of the same offset and epoch are
// equal up to there, which holds if it is the same record after the same epoch.
func (o *oracle) appended(n *node, e entry) {
	offset := n.log.end() - 1
	if e.offset != offset {
		o.w.fail("LogMatching", "broker %d has record %d at offset %d", n.id, e.offset, offset)
	}
	from := origin{value: e.value, prevEpoch: -2}
	if offset > o.deleted && n.log.holds(offset-1) {
		from.prevEpoch = n.log.at(offset - 1).epoch
	}
	if from.prevEpoch > e.epoch {
		o.w.fail("EpochOrder", "broker %d has epoch %d after %d", n.id, e.epoch, from.prevEpoch)
	}
	key := place{offset: offset, epoch: e.epoch}
	known, ok := o.appends[key]
	if !ok {
		o.appends[key] = from
		return
	}
	if known.value != from.value {
		o.w.fail("LogMatching", "broker %d has another record at offset %d of epoch %d",
			n.id, offset, e.epoch)
	}
	if known.prevEpoch != from.prevEpoch && known.prevEpoch != -2 && from.prevEpoch != -2 {
		o.w.fail("LogMatching", "broker %d has epoch %d, not %d, before offset %d of epoch %d",
			n.id, from.prevEpoch, known.prevEpoch, offset, e.epoch)
	}
}

// committed takes in a leader's high watermark that advanced.
func (o *oracle) committed(n *node, high int64) {
	if high > n.log.end() {
		o.w.fail("HWBound", "broker %d commits %d of %d", n.id, high, n.log.end())
	}
	if len(n.leader.ISR()) < o.w.controller.minISR() {
		o.w.fail("MinISR", "broker %d commits with the ISR %v", n.id, n.leader.ISR())
	}
	for offset := max(n.log.high, n.log.start); offset < high; offset++ {
		o.commit(n, *n.log.at(offset))
	}
	o.candidates()
}

func (o *oracle) commit(n *node, e entry) {
	for int64(len(o.promises)) <= e.offset {
		o.promises = append(o.promises, promise{})
	}
	p := &o.promises[e.offset]
	switch {
	case !p.made:
		// A leader that is cut off may still count on a broker that lost its records.
		*p = promise{e: e, made: true, forgiven: n.leader.LeaderEpoch() < o.excused}
	case p.e == e:
		p.forgiven = p.forgiven && n.leader.LeaderEpoch() < o.excused
	case p.forgiven, e.offset < o.deleted:
		*p = promise{
			e: e, made: true, changed: true, forgiven: n.leader.LeaderEpoch() < o.excused,
		}
	default:
		o.w.fail("LeaderCompleteness", "broker %d commits %v in the place of %v", n.id, e, p.e)
	}
}

// missing is the first record from an offset on that was committed, and is neither in
// a log nor excused.
func (o *oracle) missing(n *node, from int64) (offset int64, is bool) {
	end := min(int64(len(o.promises)), n.lostFrom)
	for offset := max(n.log.start, from); offset < end; offset++ {
		p := &o.promises[offset]
		if !p.made || p.forgiven {
			continue
		}
		if !n.log.holds(offset) || *n.log.at(offset) != p.e {
			return offset, true
		}
	}
	return 0, false
}

// candidates checks that whoever may be elected has all that is committed.
func (o *oracle) candidates() {
	c := o.w.controller
	for _, id := range c.p.Replicas {
		isr, elr := slices.Contains(c.p.ISR, id), slices.Contains(c.elr, id)
		if !isr && !elr {
			continue
		}
		if offset, is := o.missing(o.w.node(id), o.deleted); is {
			o.w.fail("CandidateCompleteness", "broker %d (ISR %v, ELR %v) lacks %v",
				id, isr, elr, o.promises[offset].e)
		}
	}
}

// elected checks that a leader has all that is committed, unless it is one no more.
func (o *oracle) elected(n *node, epoch int32) {
	if epoch != o.w.controller.p.LeaderEpoch {
		return
	}
	if offset, is := o.missing(n, o.deleted); is {
		o.w.fail("LeaderCompleteness", "broker %d leads in epoch %d without %v",
			n.id, epoch, o.promises[offset].e)
	}
}

// quorum checks that who the controller counts as in sync, the leader waits for.
func (o *oracle) quorum() {
	p := &o.w.controller.p
	if p.Leader < 0 {
		return
	}
	n := o.w.node(p.Leader)
	if n.leader == nil || n.leader.LeaderEpoch() != p.LeaderEpoch {
		return
	}
	for _, id := range p.ISR {
		if !n.leader.InMaximalISR(id) {
			o.w.fail("QuorumSuperset", "leader %d does not wait for %d of %v", n.id, id, p.ISR)
		}
	}
}

// forgive excuses what a broker does not have: faults destroyed it, as they may. What
// leaders before an epoch commit from now on is excused as well.
func (o *oracle) forgive(n *node, epoch int32) {
	o.excused = max(o.excused, epoch)
	lost := n.lostFrom
	n.lostFrom = never
	defer func() { n.lostFrom = lost }()
	for {
		offset, is := o.missing(n, 0)
		if !is {
			return
		}
		o.promises[offset].forgiven = true
	}
}

// marks checks the marks of a log, and what may be read since the last time.
func (o *oracle) marks(n *node) {
	l := &n.log
	if l.start > l.high || l.high > l.end() {
		o.w.fail("HWBound", "broker %d: %d <= %d <= %d", n.id, l.start, l.high, l.end())
	}
	from := l.start
	if n.leader != nil && n.toldEpoch == n.leaderEpoch {
		if l.high < n.toldHigh {
			o.w.fail("HWMonotone", "broker %d: from %d to %d", n.id, n.toldHigh, l.high)
		}
		from = max(from, n.toldHigh)
	} else {
		from = max(from, l.high-8)
	}
	n.toldHigh, n.toldEpoch = l.high, n.leaderEpoch
	for offset := from; offset < l.high; offset++ {
		o.read(n, offset)
	}
}

// read checks ReadPrefix: what a consumer may read is committed. What is deleted may
// still be there, and is promised to nobody.
func (o *oracle) read(n *node, offset int64) {
	if offset < o.deleted {
		return
	}
	if offset >= int64(len(o.promises)) || !o.promises[offset].made {
		o.w.fail("ReadPrefix", "broker %d shows %v, which is not committed", n.id, *n.log.at(offset))
	}
	p := &o.promises[offset]
	if *n.log.at(offset) != p.e && !p.forgiven && !p.changed {
		o.w.fail("ReadPrefix", "broker %d shows %v instead of %v", n.id, *n.log.at(offset), p.e)
	}
}

func (o *oracle) readSomewhere(n *node) {
	if n.up && (n.leader != nil || n.follower != nil) && n.log.high > n.log.start {
		o.read(n, n.log.start+o.w.rng.Int64N(n.log.high-n.log.start))
	}
}

// acked checks that what is acknowledged is committed.
func (o *oracle) acked(n *node, e entry) {
	if e.offset >= int64(len(o.promises)) || !o.promises[e.offset].made {
		o.w.fail("AckDurable", "broker %d acknowledges %v, which is not committed", n.id, e)
	}
	if p := o.promises[e.offset]; p.e != e && !p.forgiven && !p.changed {
		o.w.fail("AckDurable", "broker %d acknowledges %v instead of %v", n.id, e, p.e)
	}
}

// serving checks that a leader's log knows the epoch it leads in.
func (o *oracle) serving(n *node) {
	if n.log.latestEpoch() != n.leader.LeaderEpoch() {
		o.w.fail("EpochStart", "broker %d leads in epoch %d, and its log knows %d",
			n.id, n.leader.LeaderEpoch(), n.log.latestEpoch())
	}
}

// unsettled says what keeps the world from being as it should be without faults.
func (o *oracle) unsettled() string {
	c := o.w.controller
	if c.p.Leader < 0 {
		return "nobody leads"
	}
	leader := o.w.node(c.p.Leader)
	if len(c.p.ISR) != len(c.p.Replicas) {
		return fmt.Sprintf("the ISR is %v", c.p.ISR)
	}
	for _, n := range o.w.nodes {
		if n.leaderEpoch != c.p.LeaderEpoch {
			return fmt.Sprintf("broker %d is in epoch %d of %d", n.id, n.leaderEpoch, c.p.LeaderEpoch)
		}
		if n.log.end() != leader.log.end() || n.log.high != leader.log.end() {
			return fmt.Sprintf("broker %d has %d, committed %d, of %d",
				n.id, n.log.end(), n.log.high, leader.log.end())
		}
		for offset := max(n.log.start, leader.log.start); offset < n.log.end(); offset++ {
			if *n.log.at(offset) != *leader.log.at(offset) {
				o.w.fail("LogMatching", "broker %d has %v instead of %v",
					n.id, *n.log.at(offset), *leader.log.at(offset))
			}
		}
	}
	return ""
}
