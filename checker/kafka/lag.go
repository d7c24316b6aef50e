package kafka

import (
	"maps"
	"slices"
)

// progress is how far a process has come in a key.
type progress struct {
	next     int64 // the offset after its last record
	caughtUp bool  // it has once read all that had been acknowledged
}

// measureLag finds the poll that was furthest behind: when it began, how long ago had
// the oldest record been acknowledged that neither it nor any earlier poll of the same
// process returned? Only keys that the process was assigned count, and only once it had
// read all there was: how long it takes to catch up says little.
func (a *analysis) measureLag() {
	oldest := map[Key][]int64{}
	for _, k := range a.keys {
		oldest[k] = a.logs[k].ackedFrom()
	}
	at := map[int]map[Key]progress{} // in assigned keys
	for _, op := range a.ops {
		mine := at[op.Process]
		switch op.F {
		case Crash:
			delete(at, op.Process)
		case Assign, Resume:
			if mine == nil {
				mine = map[Key]progress{}
				at[op.Process] = mine
			}
			if op.F == Assign {
				// in any order: each key is dropped by itself
				maps.DeleteFunc(mine, func(k Key, _ progress) bool { return !slices.Contains(op.Keys, k) })
			}
			for _, p := range op.Offsets {
				mine[p.Key] = progress{next: max(0, p.Offset)}
			}
		case Poll, Txn:
			if op.Type == OK && mine != nil {
				a.measurePoll(op, mine, oldest)
			}
		}
	}
}

// ackedFrom returns, for each index into offsets, the earliest Nanos at which one of the
// records from there on was acknowledged, or never.
func (l *keyLog) ackedFrom() []int64 {
	from := make([]int64, len(l.offsets)+1)
	from[len(l.offsets)] = never
	for i, offset := range slices.Backward(l.offsets) {
		from[i] = from[i+1]
		for _, value := range l.values[offset] {
			if v := l.versions[value]; v.send != nil && v.send.Type == OK {
				from[i] = min(from[i], v.send.Nanos)
			}
		}
	}
	return from
}

func (a *analysis) measurePoll(op *Op, mine map[Key]progress, oldest map[Key][]int64) {
	for i := range op.Mops {
		for _, p := range op.Mops[i].Polled {
			if at, assigned := mine[p.Key]; assigned && len(p.Records) > 0 {
				at.next = p.Records[len(p.Records)-1].Offset + 1
				mine[p.Key] = at
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(mine)) {
		l := a.logs[k]
		if l == nil {
			continue
		}
		i, _ := slices.BinarySearch(l.offsets, mine[k].next)
		lag := op.Called - oldest[k][i]
		switch {
		case oldest[k][i] >= op.Called:
			mine[k] = progress{next: mine[k].next, caughtUp: true}
		case mine[k].caughtUp && lag > a.lag.Nanos:
			a.lag = Lag{Op: op, Key: k, Nanos: lag}
		}
	}
}
