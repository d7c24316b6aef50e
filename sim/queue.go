package sim

import "github.com/heiban/heiban/clock"

// event is something that will happen at an instant of the world. It is a small
// value: what it is about lives in a slot of an arena.
type event struct {
	at    clock.Instant
	seq   uint64
	order uint32 // keyed, so that events of one instant run in an order of the seed
	slot  uint32
	gen   uint32 // a slot used again makes older events void
	node  int16
	kind  eventKind
}

// eventKind says which part of the world an event is for.
type eventKind uint8

// before orders events by time, keyed order and then by when they were scheduled.
func (e *event) before(o *event) bool {
	if e.at != o.at {
		return e.at < o.at
	}
	if e.order != o.order {
		return e.order < o.order
	}
	return e.seq < o.seq
}

// queue is a heap of events with four children to a node: it is half as deep as a
// binary one, and the children of a node share two cache lines.
type queue struct {
	heap  []event
	seq   uint64
	noise Noise
}

// push schedules an event. Order and seq are filled in.
func (q *queue) push(e event) {
	q.seq++
	e.seq = q.seq
	// The key must not count what was scheduled before: then one fault less in a plan
	// would change the order of everything.
	what := uint64(e.kind)<<16 | uint64(uint16(e.node))
	e.order = uint32(q.noise.Bits(orderStream, what, uint64(e.slot), uint64(e.at)))
	q.heap = append(q.heap, e)
	i := len(q.heap) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(&q.heap[parent]) {
			break
		}
		q.heap[i] = q.heap[parent]
		i = parent
	}
	q.heap[i] = e
}

// pop takes the first event out. The queue must not be empty.
func (q *queue) pop() event {
	first := q.heap[0]
	last := len(q.heap) - 1
	e := q.heap[last]
	q.heap = q.heap[:last]
	if last == 0 {
		return first
	}
	i := 0
	for {
		child := 4*i + 1
		if child >= last {
			break
		}
		least := child
		for c := child + 1; c < min(child+4, last); c++ {
			if q.heap[c].before(&q.heap[least]) {
				least = c
			}
		}
		if !q.heap[least].before(&e) {
			break
		}
		q.heap[i] = q.heap[least]
		i = least
	}
	q.heap[i] = e
	return first
}

// len returns how many events are waiting, void ones included.
func (q *queue) len() int { return len(q.heap) }

// arena holds the payloads of events in slots that are used again.
type arena[T any] struct {
	slots []slot[T]
	free  []uint32
}

type slot[T any] struct {
	value T
	gen   uint32
	used  bool
}

// put stores a value and returns its slot and the slot's generation.
func (a *arena[T]) put(value T) (index, gen uint32) {
	if n := len(a.free); n > 0 {
		index = a.free[n-1]
		a.free = a.free[:n-1]
	} else {
		index = uint32(len(a.slots))
		a.slots = append(a.slots, slot[T]{})
	}
	s := &a.slots[index]
	s.value, s.used = value, true
	return index, s.gen
}

// at returns the value of a slot, or nil if it was freed since.
func (a *arena[T]) at(index, gen uint32) *T {
	if int(index) >= len(a.slots) {
		return nil
	}
	s := &a.slots[index]
	if !s.used || s.gen != gen {
		return nil
	}
	return &s.value
}

// drop frees a slot.
func (a *arena[T]) drop(index uint32) {
	s := &a.slots[index]
	var zero T
	s.value, s.used = zero, false
	s.gen++
	a.free = append(a.free, index)
}

// len returns how many slots are in use.
func (a *arena[T]) len() int { return len(a.slots) - len(a.free) }

// each visits the values in use, in the order of their slots.
func (a *arena[T]) each(visit func(*T)) {
	for i := range a.slots {
		if a.slots[i].used {
			visit(&a.slots[i].value)
		}
	}
}

// reset frees every slot.
func (a *arena[T]) reset() {
	for i := range a.slots {
		if a.slots[i].used {
			a.drop(uint32(i))
		}
	}
}
