package kafka

import (
	"fmt"
	"slices"
)

// checkWrites judges the fate of every value that was sent, and the origin of every
// value that was polled.
func (a *analysis) checkWrites() {
	for _, k := range a.keys {
		l := a.logs[k]
		unread := 0
		for _, v := range l.sorted() {
			switch {
			case v.send == nil:
				a.report(Phantom, Witness{
					Key: k, Text: fmt.Sprintf("value %d of %s was polled and never sent", v.value, k),
					Ops: v.witnesses(), Records: []Record{v.record()},
				})
			case v.poll != nil && v.poll.Done < v.send.ID:
				a.report(Phantom, Witness{
					Key: k, Text: fmt.Sprintf("value %d of %s was polled before it was sent", v.value, k),
					Ops: v.witnesses(), Records: []Record{v.record()},
				})
			case v.read != nil:
				a.checkReadValue(k, v)
			case v.send.Type == OK:
				unread++
				a.checkUnread(l, v)
			case v.send.Type == Info:
				a.checkTorn(l, v)
			}
		}
		if unread > 0 && !a.final[k] && a.config.AcksAll {
			a.unknown("%d acknowledged values of %s were not polled, and it was not read to its end",
				unread, k)
		}
	}
}

// checkReadValue judges a value that was sent and read.
func (a *analysis) checkReadValue(key Key, v *version) {
	w := Witness{Key: key, Ops: []*Op{v.send, v.read}, Records: []Record{v.record()}}
	switch {
	case v.send.Type == Fail:
		w.Text = fmt.Sprintf("value %d of %s was read, and its send had failed", v.value, key)
		a.report(G1a, w)
	case a.config.Transactional && v.read != v.send && v.read.Done < v.send.Ending:
		w.Text = fmt.Sprintf("value %d of %s was read before its transaction was asked to end",
			v.value, key)
		a.report(G1b, w)
	}
}

// checkUnread judges a value that was acknowledged and that nobody read.
func (a *analysis) checkUnread(l *keyLog, v *version) {
	r := Record{v.acked, v.value}
	if a.final[l.key] {
		a.report(Unseen, Witness{
			Key: l.key, Ops: []*Op{v.send}, Records: []Record{r},
			Text: fmt.Sprintf("value %d of %s was acknowledged, and was not read to the end", v.value,
				l.key),
		})
	}
	if v.acked == NoOffset || v.acked > l.high {
		return
	}
	i, _ := slices.BinarySearch(l.offsets, v.acked)
	for ; i < len(l.offsets); i++ {
		for _, value := range l.values[l.offsets[i]] {
			next := l.versions[value]
			if next.read == nil {
				continue
			}
			a.report(LostWrite, Witness{
				Key: l.key, Ops: []*Op{v.send, next.read},
				Records: []Record{r, {l.offsets[i], value}},
				Text: fmt.Sprintf("value %d of %s was acknowledged at offset %d, offset %d was read, "+
					"and the value never", v.value, l.key, v.acked, l.offsets[i]),
			})
			return
		}
	}
}

// checkTorn judges an unread value of a transaction of unknown outcome: if another value
// of it was read, it was committed, and so was this one.
func (a *analysis) checkTorn(l *keyLog, v *version) {
	if !a.config.Transactional || v.send.F != Txn || !a.final[l.key] {
		return
	}
	for i := range v.send.Mops {
		m := &v.send.Mops[i]
		if m.Key == "" {
			continue
		}
		other := a.logs[m.Key].versions[m.Send.Value]
		if other.read == nil {
			continue
		}
		a.report(LostWrite, Witness{
			Ops: []*Op{v.send, other.read}, Records: []Record{v.record(), other.record()},
			Text: fmt.Sprintf("value %d of %s was read, so its transaction was committed, and its "+
				"value %d of %s was not read to the end", m.Send.Value, m.Key, v.value, l.key),
		})
		return
	}
}

// checkReads looks for operations that polled what they sent themselves.
func (a *analysis) checkReads() {
	for _, op := range a.ops {
		if op.F != Txn || !a.config.Transactional {
			continue
		}
		for i := range op.Mops {
			for _, p := range op.Mops[i].Polled {
				for _, r := range p.Records {
					if a.logs[p.Key].versions[r.Value].send == op {
						a.report(PrecommittedRead, Witness{
							Key: p.Key, Ops: []*Op{op}, Records: []Record{r},
							Text: fmt.Sprintf("a transaction read the value %d of %s that it sent itself",
								r.Value, p.Key),
						})
					}
				}
			}
		}
	}
}
