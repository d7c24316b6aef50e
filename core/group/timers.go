package group

import (
	"cmp"

	"github.com/heiban/heiban/clock"
)

// timerKind is what happens when a deadline passes.
type timerKind uint8

const (
	sessionTimer    timerKind = iota // a member was not heard of
	joinTimer                        // a classic group's rebalance waits no longer for joins
	syncTimer                        // nor for members that joined and did not sync
	revocationTimer                  // a member of a consumer group did not give up partitions
	rejoinTimer                      // a classic member of a consumer group did not rejoin
	resyncTimer                      // nor sync after it did
	regexTimer                       // regular expressions are matched anew
	offsetsTimer                     // committed offsets are looked through
	topicsTimer                      // topics that changed are looked at again
)

// timerKey names a deadline. There is one deadline of a name.
type timerKey struct {
	group  string
	member string
	kind   timerKind
}

// deadline is when a name is due. Arg is what the name meant when it was set.
type deadline struct {
	key timerKey
	at  clock.Instant
	seq uint64 // those due at one instant come in the order they were set
	arg int64
}

// timers are the deadlines of a shard: a binary heap in which deadlines that were moved
// or cancelled stay behind until they come up or are too many.
type timers struct {
	current map[timerKey]deadline
	heap    []deadline
	seq     uint64
}

// timerOp is a change of the deadlines that is part of a decision.
type timerOp struct {
	key    timerKey
	at     clock.Instant
	arg    int64
	cancel bool
	absent bool // only if there is none of the name
}

func (t *timers) apply(op timerOp) {
	if op.cancel {
		delete(t.current, op.key)
		t.settle()
		return
	}
	if _, ok := t.current[op.key]; ok && op.absent {
		return
	}
	t.seq++
	d := deadline{key: op.key, at: op.at, seq: t.seq, arg: op.arg}
	t.current[op.key] = d
	t.push(d)
	t.settle()
}

// first returns the deadline that passes first; ok is false if there is none.
func (t *timers) first() (deadline, bool) {
	if len(t.heap) == 0 {
		return deadline{}, false
	}
	return t.heap[0], true
}

// settle keeps the top of the heap true, and the heap in proportion.
func (t *timers) settle() {
	for len(t.heap) > 0 && t.current[t.heap[0].key].seq != t.heap[0].seq {
		t.pop()
	}
	if len(t.heap) < 2*len(t.current)+64 {
		return
	}
	kept := t.heap[:0]
	for _, d := range t.heap {
		if t.current[d.key].seq == d.seq {
			kept = append(kept, d)
		}
	}
	t.heap = kept
	for i := len(t.heap)/2 - 1; i >= 0; i-- {
		t.down(i)
	}
}

func (t *timers) less(i, j int) bool {
	a, b := &t.heap[i], &t.heap[j]
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.seq, b.seq)) < 0
}

func (t *timers) push(d deadline) {
	t.heap = append(t.heap, d)
	for i := len(t.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !t.less(i, parent) {
			return
		}
		t.heap[i], t.heap[parent] = t.heap[parent], t.heap[i]
		i = parent
	}
}

func (t *timers) pop() {
	last := len(t.heap) - 1
	t.heap[0] = t.heap[last]
	t.heap = t.heap[:last]
	t.down(0)
}

func (t *timers) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(t.heap) {
			return
		}
		if child+1 < len(t.heap) && t.less(child+1, child) {
			child++
		}
		if !t.less(child, i) {
			return
		}
		t.heap[i], t.heap[child] = t.heap[child], t.heap[i]
		i = child
	}
}
