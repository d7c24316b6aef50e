package replica_test

import (
	"slices"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/replica"
)

// controller decides who leads and who is in sync, as Kafka's does.
type controller struct {
	w         *world
	p         replica.Partition
	elr       []int32
	lastKnown int32
	brokers   []registration // by id
	altered   []int          // by id: the last AlterPartition's number
	epochs    int64
	version   int
}

type registration struct {
	epoch   int64
	life    int
	version int // of the metadata that has it
	heardAt clock.Instant
	fenced  bool
}

func newController(w *world) *controller {
	c := &controller{w: w, lastKnown: -1, brokers: make([]registration, len(w.nodes)+1)}
	c.altered = make([]int, len(w.nodes)+1)
	for _, n := range w.nodes {
		c.p.Replicas = append(c.p.Replicas, n.id)
		c.epochs++
		c.brokers[n.id] = registration{epoch: c.epochs, life: n.life}
		n.brokerEpoch = c.epochs
	}
	c.p.ISR = slices.Clone(c.p.Replicas)
	c.p.Leader = 1
	c.publish()
	w.after(sessionTimeout/3, c.expire)
	return c
}

func (c *controller) registered() []replica.Broker {
	var list []replica.Broker
	for _, id := range c.p.Replicas {
		b := &c.brokers[id]
		list = append(list, replica.Broker{ID: id, Epoch: b.epoch, Fenced: b.fenced})
	}
	return list
}

func (c *controller) latest() *metadata {
	return &metadata{version: c.version, partition: c.p, brokers: c.registered()}
}

func (c *controller) publish() {
	c.version++
	m := c.latest()
	for _, n := range c.w.nodes {
		c.w.send(0, n.id, func() { n.metadataArrived(m) })
	}
}

// heartbeat is a broker's sign of life, with the version of the metadata it knows.
func (c *controller) heartbeat(id int32, epoch int64, version int) {
	b := &c.brokers[id]
	if b.epoch != epoch {
		return
	}
	b.heardAt = c.w.now
	if b.fenced && version >= b.version {
		b.fenced = false
		if !c.change(c.p.ISR, -1) {
			c.publish()
		}
	}
	if version < c.version {
		m := c.latest()
		c.w.send(0, id, func() { c.w.node(id).metadataArrived(m) })
	}
}

// register begins a broker's next life. What the one before may have lost, it may no
// longer be elected for.
func (c *controller) register(id int32, life int, cleanEpoch int64) {
	b := &c.brokers[id]
	if life < b.life {
		return
	}
	if life > b.life {
		unclean := id
		if cleanEpoch == b.epoch {
			unclean = -1
		}
		c.epochs++
		*b = registration{
			epoch: c.epochs, life: life, fenced: true, heardAt: c.w.now, version: c.version + 1,
		}
		if !c.w.plan.elr && len(c.p.ISR) == 1 && c.p.ISR[0] == id {
			// The last in-sync replica lost them.
			c.w.oracle.forgive(c.w.node(id), c.p.LeaderEpoch+1)
		}
		if !c.change(without(c.p.ISR, id), unclean) {
			c.publish()
		}
		c.w.node(id).lostFrom = never
	}
	epoch, version := b.epoch, b.version
	c.w.send(0, id, func() { c.w.node(id).registered(life, epoch, version) })
}

// expire fences one broker at a time that was not heard of.
func (c *controller) expire() {
	c.w.after(sessionTimeout/3, c.expire)
	for _, id := range c.p.Replicas {
		b := &c.brokers[id]
		if !b.fenced && c.w.now.Sub(b.heardAt) > sessionTimeout {
			b.fenced = true
			if !c.change(without(c.p.ISR, id), -1) {
				c.publish()
			}
			return
		}
	}
}

// move gives the leadership to another replica, or to the same once more.
func (c *controller) move() {
	to := c.p.ISR
	if len(to) == 0 {
		return
	}
	id := to[c.w.rng.IntN(len(to))]
	if c.brokers[id].fenced {
		return
	}
	c.p.Leader = id
	c.p.LeaderEpoch++
	c.p.PartitionEpoch++
	c.publish()
}

// change sets the ISR and elects, and reports whether anything is different.
func (c *controller) change(isr []int32, unclean int32) bool {
	before, elr := c.p, c.elr
	if !c.w.plan.elr {
		if len(isr) == 0 {
			isr = before.ISR // the last one stays
		}
	} else if len(isr) >= c.minISR() {
		elr, c.lastKnown = nil, -1
	} else {
		elr = nil
		for _, id := range c.p.Replicas {
			was := slices.Contains(c.elr, id) || slices.Contains(before.ISR, id)
			if was && !slices.Contains(isr, id) && id != unclean {
				elr = append(elr, id)
			}
		}
	}
	leader, lost := c.elect(isr, elr)
	if leader >= 0 && !slices.Contains(isr, leader) {
		isr, elr = []int32{leader}, without(elr, leader)
	}
	if leader < 0 && before.Leader >= 0 {
		c.lastKnown = before.Leader
	}
	if slices.Equal(isr, before.ISR) && slices.Equal(elr, c.elr) && leader == before.Leader {
		return false
	}
	c.p.ISR, c.elr, c.p.Leader = isr, elr, leader
	c.p.PartitionEpoch++
	if leader != before.Leader {
		c.p.LeaderEpoch++
	}
	if lost {
		c.elr = nil
		c.w.oracle.forgive(c.w.node(leader), c.p.LeaderEpoch)
	}
	c.publish()
	c.w.oracle.candidates()
	return true
}

// elect picks a leader, and says whether it may have lost records.
func (c *controller) elect(isr, elr []int32) (leader int32, lost bool) {
	valid := func(id int32) bool {
		return id >= 0 && !c.brokers[id].fenced &&
			(slices.Contains(isr, id) || len(isr) == 0 && slices.Contains(elr, id))
	}
	if valid(c.p.Leader) {
		return c.p.Leader, false
	}
	for _, id := range c.p.Replicas {
		if valid(id) {
			return id, false
		}
	}
	last := c.lastKnown
	if c.w.plan.elr && len(isr) == 0 && len(elr) == 0 && last >= 0 && !c.brokers[last].fenced {
		return last, true
	}
	return -1, false
}

func (c *controller) minISR() int {
	return min(int(c.w.plan.minInsyncReplicas), len(c.p.Replicas))
}

// alterPartition decides a leader's proposal.
func (c *controller) alterPartition(
	from int32, brokerEpoch int64, q *replica.AlterPartition,
) replica.AlterPartitionAnswer {
	refuse := func(code errcode.Code) replica.AlterPartitionAnswer {
		return replica.AlterPartitionAnswer{Err: code}
	}
	switch {
	case c.brokers[from].epoch != brokerEpoch:
		return refuse(errcode.StaleBrokerEpoch)
	case !c.w.healed && c.w.chanceOf(50):
		return refuse(errcode.NotController)
	case q.LeaderEpoch > c.p.LeaderEpoch || q.PartitionEpoch > c.p.PartitionEpoch:
		return refuse(errcode.NotController)
	case q.LeaderEpoch < c.p.LeaderEpoch:
		return refuse(errcode.FencedLeaderEpoch)
	case c.p.Leader != from:
		return refuse(errcode.InvalidRequest)
	case q.PartitionEpoch < c.p.PartitionEpoch:
		return refuse(errcode.InvalidUpdateVersion)
	}
	var isr []int32
	for _, m := range q.ISR {
		b := &c.brokers[m.BrokerID]
		if b.fenced || m.BrokerEpoch != -1 && m.BrokerEpoch != b.epoch {
			return refuse(errcode.IneligibleReplica)
		}
		isr = append(isr, m.BrokerID)
	}
	if !slices.Contains(isr, from) {
		return refuse(errcode.InvalidRequest)
	}
	c.change(isr, -1)
	if c.p.Leader != from {
		return refuse(errcode.NewLeaderElected)
	}
	return replica.AlterPartitionAnswer{
		ISR: c.p.ISR, LeaderEpoch: c.p.LeaderEpoch, PartitionEpoch: c.p.PartitionEpoch,
	}
}

func without(ids []int32, id int32) []int32 {
	var rest []int32
	for _, other := range ids {
		if other != id {
			rest = append(rest, other)
		}
	}
	return rest
}
