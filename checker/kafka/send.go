package kafka

import (
	"cmp"
	"fmt"
	"slices"
)

// sentLast is the last value of a key that a process sent.
type sentLast struct {
	op *Op
	r  Record
}

// checkSendSessions judges the offsets that each process was told for its own sends, in
// the order in which it began them. Only sends that were acknowledged count.
func (a *analysis) checkSendSessions() {
	last := map[int]map[Key]sentLast{}
	for _, op := range a.ops {
		if op.F != Send && op.F != Txn || op.Type != OK {
			continue
		}
		mine := last[op.Process]
		if mine == nil {
			mine = make(map[Key]sentLast)
			last[op.Process] = mine
		}
		for i := range op.Mops {
			m := &op.Mops[i]
			if m.Key == "" || m.Send.Offset == NoOffset {
				continue
			}
			if before, ok := mine[m.Key]; ok {
				a.checkNextSend(m.Key, before, sentLast{op, m.Send})
			}
			mine[m.Key] = sentLast{op, m.Send}
		}
	}
}

func (a *analysis) checkNextSend(key Key, before, next sentLast) {
	w := Witness{Key: key, Ops: []*Op{before.op, next.op}, Records: []Record{before.r, next.r}}
	inside := before.op == next.op
	switch {
	case next.r.Offset <= before.r.Offset && inside:
		w.Text = fmt.Sprintf("inside one operation, %s of %s was sent after %s", next.r, key, before.r)
		a.report(IntNonmonotonicSend, w)
	case next.r.Offset <= before.r.Offset:
		w.Text = fmt.Sprintf("%s of %s was sent after %s by the same process", next.r, key, before.r)
		a.report(NonmonotonicSend, w)
	case inside:
		other, found := a.logs[key].between(before.r.Offset, next.r.Offset, next.op)
		if !found {
			return
		}
		w.Text = fmt.Sprintf("%s of %s stands between %s and %s, which one operation sent", other, key,
			before.r, next.r)
		w.Records = append(w.Records, other)
		w.Ops = append(w.Ops, a.logs[key].versions[other.Value].proof())
		a.report(IntSendSkip, w)
	}
}

// checkAckOrder judges offsets in real time: what was sent after an acknowledgement
// stands after what was acknowledged. That needs no search: going through the sends in
// the order of their beginning, only the highest offset that was acknowledged before
// counts.
func (a *analysis) checkAckOrder() {
	for _, k := range a.keys {
		var begun, ended []*version // that stand somewhere; that were acknowledged there
		for _, v := range a.logs[k].sorted() {
			if v.send == nil {
				continue
			}
			if v.acked != NoOffset {
				ended = append(ended, v)
			}
			if v.standing() != NoOffset {
				begun = append(begun, v)
			}
		}
		slices.SortStableFunc(begun, func(v, u *version) int { return cmp.Compare(v.send.ID, u.send.ID) })
		slices.SortStableFunc(ended, func(v, u *version) int {
			return cmp.Compare(v.send.Done, u.send.Done)
		})
		var top *version
		next := 0
		for _, v := range begun {
			for ; next < len(ended) && ended[next].send.Done < v.send.ID; next++ {
				if top == nil || ended[next].acked > top.acked {
					top = ended[next]
				}
			}
			if top == nil || v.standing() > top.acked {
				continue
			}
			r, after := Record{top.acked, top.value}, Record{v.standing(), v.value}
			a.report(AckOrder, Witness{
				Key: k, Ops: []*Op{top.send, v.send, v.proof()}, Records: []Record{r, after},
				Text: fmt.Sprintf("%s of %s was sent after %s had been acknowledged", after, k, r),
			})
		}
	}
}

// standing returns the offset that was acknowledged, or else the one that is known.
func (v *version) standing() int64 {
	if v.acked != NoOffset {
		return v.acked
	}
	return v.offset()
}
