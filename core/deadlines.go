package core

import "github.com/heiban/heiban/clock"

// deadlines is a binary heap of what waits for an instant. Entries are not removed
// when they become pointless; they are skipped when they come up.
type deadlines struct {
	heap []deadline
	seq  uint64
}

type deadline struct {
	conn *conn
	part *partition
	link *link

	fetcher *fetcher

	at   clock.Instant
	seq  uint64
	kind deadlineKind
}

type deadlineKind uint8

const (
	connDeadline deadlineKind = iota // the earliest deadline of conn's calls
	logDeadline
	roleDeadline
	fetcherDeadline // the records of its last Fetch are not held
	isrDeadline     // proposals that wait may be sent
	highWatermarksDeadline
	recoveryPointsDeadline
	logStartsDeadline
	removalDeadline    // of the oldest entry of Broker.removals
	controllerDeadline // of this node's controller
	inquiriesDeadline  // of requests that wait for an active controller
	lifeDeadline       // of the broker's next word with the controller
	linkDeadline       // the earliest deadline of link's requests, or its next dial
	groupsDeadline     // of a coordinator of groups
	quorumDeadline     // of the engine of the metadata quorum
	observerDeadline
	metadataFetchDeadline
)

func (d *deadlines) less(i, j int) bool {
	if d.heap[i].at != d.heap[j].at {
		return d.heap[i].at < d.heap[j].at
	}
	return d.heap[i].seq < d.heap[j].seq
}

func (d *deadlines) push(e deadline) {
	d.seq++
	e.seq = d.seq
	d.heap = append(d.heap, e)
	for i := len(d.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !d.less(i, parent) {
			return
		}
		d.heap[i], d.heap[parent] = d.heap[parent], d.heap[i]
		i = parent
	}
}

func (d *deadlines) pop() deadline {
	top := d.heap[0]
	last := len(d.heap) - 1
	d.heap[0] = d.heap[last]
	d.heap[last] = deadline{}
	d.heap = d.heap[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if d.less(child, least) {
				least = child
			}
		}
		if least == i {
			return top
		}
		d.heap[i], d.heap[least] = d.heap[least], d.heap[i]
		i = least
	}
}

// pointless reports whether nothing waits for e any more.
func (b *Broker) pointless(e *deadline) bool {
	switch e.kind {
	case controllerDeadline:
		return b.controller == nil || b.controllerArmed != e.at
	case inquiriesDeadline:
		return b.inquiriesArmed != e.at
	case lifeDeadline:
		return b.life.armed != e.at
	case connDeadline:
		return e.conn.armed != e.at
	case logDeadline:
		return e.part.armed != e.at || e.part.state != partitionOnline
	case groupsDeadline:
		return e.part.groups == nil || e.part.groups.armed != e.at
	case linkDeadline:
		return e.link.armed != e.at
	case fetcherDeadline:
		return e.fetcher.armed != e.at
	case isrDeadline:
		return b.isr.armed != e.at
	case roleDeadline:
		return e.part.roleArmed != e.at || e.part.state != partitionOnline
	default:
		return false
	}
}

// Deadline returns when the broker next wants a TimerFired, or clock.Never.
func (b *Broker) Deadline() clock.Instant {
	for len(b.deadlines.heap) > 0 && b.pointless(&b.deadlines.heap[0]) {
		b.deadlines.pop()
	}
	if len(b.deadlines.heap) == 0 {
		return clock.Never
	}
	return b.deadlines.heap[0].at
}

// expire does what the time asks for. It runs at the end of every Step.
func (b *Broker) expire() {
	for b.Deadline() <= b.now.Mono {
		e := b.deadlines.pop()
		switch e.kind {
		case connDeadline:
			b.expireCalls(e.conn)
		case logDeadline:
			b.tickLog(e.part)
		case linkDeadline:
			b.expireLink(e.link)
		case fetcherDeadline:
			e.fetcher.armed = clock.Never
			b.pumpLater(e.fetcher)
		case isrDeadline:
			b.isr.armed = clock.Never // askISR runs at the end of every Step
		case roleDeadline:
			b.tickRole(e.part)
		case highWatermarksDeadline, recoveryPointsDeadline, logStartsDeadline:
			b.checkpointsDue(e.kind)
		case groupsDeadline:
			b.tickGroups(e.part)
		case removalDeadline:
			b.removalDue()
		case controllerDeadline:
			b.tickController()
		case inquiriesDeadline:
			b.inquireAgain()
		case quorumDeadline:
			b.quorumDue(e.at)
		case observerDeadline:
			b.observe()
		case metadataFetchDeadline:
			b.wakeMetadataFetches()
		case lifeDeadline:
			b.lifeDue()
		}
	}
}

// arm asks for a call to be timed out after d. A connection has one entry in the
// heap, for the earliest of its calls: an entry a call would pile up, since most
// calls end long before their deadline.
func (b *Broker) arm(c *call, d clock.Duration) {
	c.deadline = b.now.Mono.Add(d)
	if c.deadline < c.conn.armed {
		c.conn.armed = c.deadline
		b.deadlines.push(deadline{at: c.deadline, conn: c.conn, kind: connDeadline})
	}
}

// expireCalls answers the calls whose deadline has come and arms the next one.
func (b *Broker) expireCalls(cn *conn) {
	cn.armed = clock.Never
	for _, c := range cn.calls {
		switch {
		case c.state != callRunning:
		case c.deadline > b.now.Mono:
			cn.armed = min(cn.armed, c.deadline)
		case c.fetch != nil:
			b.completeFetch(c)
		case c.deleting != nil:
			b.deleteTimedOut(c)
		default:
			b.produceTimedOut(c)
		}
	}
	if cn.armed != clock.Never {
		b.deadlines.push(deadline{at: cn.armed, conn: cn, kind: connDeadline})
	}
}
