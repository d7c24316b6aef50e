package kafka

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// told is an offset that a client was told: the end of the log lies above it ever after.
type told struct {
	op *Op
	r  Record // its Value is not set if end is
	// end: an end was told, so r.Offset is the last offset below it
	end bool
}

// checkEnds judges the ends of logs that clients asked for: an end lies above all that
// was acknowledged or polled before it was asked for, and is never below an earlier end.
func (a *analysis) checkEnds() {
	asked := map[Key][]told{}
	for _, op := range a.ops {
		if op.F != Ends || op.Type != OK {
			continue
		}
		for _, p := range op.Offsets {
			asked[p.Key] = append(asked[p.Key], told{op, Record{Offset: p.Offset - 1}, true})
		}
	}
	if len(asked) == 0 {
		return
	}
	facts := a.told()
	for _, k := range slices.Sorted(maps.Keys(asked)) {
		before := append(facts[k], asked[k]...)
		slices.SortStableFunc(before, func(a, b told) int { return cmp.Compare(a.op.Done, b.op.Done) })
		var top *told
		next := 0
		for _, end := range asked[k] {
			for ; next < len(before) && before[next].op.Done < end.op.ID; next++ {
				if top == nil || before[next].r.Offset > top.r.Offset {
					top = &before[next]
				}
			}
			if top != nil && end.r.Offset < top.r.Offset {
				a.reportEnd(k, end, *top)
			}
		}
	}
}

// told gathers, for each key, the last record that each operation was told of.
func (a *analysis) told() map[Key][]told {
	facts := map[Key][]told{}
	for _, op := range a.ops {
		if op.Type != OK {
			continue
		}
		for i := range op.Mops {
			m := &op.Mops[i]
			if m.Key != "" && m.Send.Offset != NoOffset {
				facts[m.Key] = append(facts[m.Key], told{op: op, r: m.Send})
			}
			for _, p := range m.Polled {
				if len(p.Records) > 0 {
					last := slices.MaxFunc(p.Records, func(r, s Record) int {
						return cmp.Compare(r.Offset, s.Offset)
					})
					facts[p.Key] = append(facts[p.Key], told{op: op, r: last})
				}
			}
		}
	}
	return facts
}

func (a *analysis) reportEnd(key Key, end, top told) {
	w := Witness{Key: key, Ops: []*Op{top.op, end.op}}
	switch {
	case top.end:
		w.Text = fmt.Sprintf("%s ended at offset %d, and then at %d", key, top.r.Offset+1,
			end.r.Offset+1)
	default:
		w.Records = []Record{top.r}
		w.Text = fmt.Sprintf("%s ended at offset %d after %s was known to be there", key,
			end.r.Offset+1, top.r)
	}
	a.report(StaleEnd, w)
}
