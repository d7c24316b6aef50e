package kafka

import (
	"fmt"
	"maps"
	"slices"
)

// analysis is one history under judgement.
type analysis struct {
	config    Config
	ops       []*Op // in the order of invocation
	logs      map[Key]*keyLog
	keys      []Key // of logs, ascending
	found     finding
	reasons   []string
	final     map[Key]bool // keys that were read to their ends
	counts    Counts
	lag       Lag
	said      int   // how often an operation was looked for
	settled   int64 // when the first key had been read to its end, after all else
	subscribe bool
	resumed   bool // a member of a group was told where to go on
}

// Analyze judges a history. It takes time in proportion to its length, but for sorting.
func Analyze(h *History) *Verdict {
	a := &analysis{
		config: h.Config, logs: make(map[Key]*keyLog), final: make(map[Key]bool),
		found: finding{byName: make(map[string]*Anomaly)}, settled: never,
	}
	a.ops, a.reasons = pair(h.Events)
	a.collect()
	a.placeSends()
	a.checkOffsets()
	a.checkWrites()
	a.checkReads()
	a.checkSessions()
	a.checkSendSessions()
	a.checkAckOrder()
	a.checkEnds()
	a.checkCommits()
	a.checkCycles()
	a.measureLag()
	return a.verdict()
}

func (a *analysis) report(name string, w Witness) { a.found.report(name, w) }

func (a *analysis) unknown(format string, args ...any) {
	a.reasons = append(a.reasons, fmt.Sprintf(format, args...))
}

// log returns what is known of a key.
func (a *analysis) log(key Key) *keyLog {
	l := a.logs[key]
	if l == nil {
		l = &keyLog{
			key: key, values: make(map[int64][]int64), versions: make(map[int64]*version),
			high: NoOffset,
		}
		a.logs[key] = l
	}
	return l
}

func (a *analysis) verdict() *Verdict {
	switch {
	case a.counts.Acknowledged == 0:
		a.unknown("no send was acknowledged")
	case a.counts.Seen == 0:
		a.unknown("nothing was polled")
	case a.subscribe && a.config.RebalancesLogged && !a.resumed:
		a.unknown("no group gave a place to any member")
	}
	v := &Verdict{
		Result: Valid, Reasons: a.reasons, Counts: a.counts, Lag: a.lag, Ops: a.ops,
		Anomalies: a.found.anomalies(a.config, a.subscribe),
	}
	if len(a.reasons) > 0 {
		v.Result = Unknown
	}
	for i := range v.Anomalies {
		if v.Anomalies[i].Allowed == "" {
			v.Result = Invalid
		}
	}
	return v
}

// collect gathers what sends and polls say of each key.
func (a *analysis) collect() {
	for _, op := range a.ops {
		if op.F == Nemesis {
			continue
		}
		a.counts.Operations++
		a.counts.Indefinite += count(op.Type == Info)
		switch op.F {
		case Send, Poll, Txn:
			a.collectMops(op)
		case Subscribe:
			a.subscribe = true
		case Final:
			if op.Type == OK {
				a.settled = min(a.settled, op.Done)
			}
			for _, k := range op.Keys {
				a.final[k] = a.final[k] || op.Type == OK
			}
		case Commit:
			a.counts.Commits += count(op.Type == OK)
		case Committed, Resume:
			a.counts.Resumes += count(op.Type == OK)
			a.resumed = a.resumed || op.F == Resume && op.Type == OK
		case Assign, Ends, Crash, Nemesis:
		}
	}
	a.keys = slices.Sorted(maps.Keys(a.logs))
	a.counts.Keys = len(a.keys)
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

func (a *analysis) collectMops(op *Op) {
	for i := range op.Mops {
		m := &op.Mops[i]
		if m.Key != "" {
			a.collectSend(op, m)
			continue
		}
		for _, p := range m.Polled {
			l := a.log(p.Key)
			for _, r := range p.Records {
				a.counts.Polled++
				l.polled(op, r)
			}
		}
	}
}

func (a *analysis) collectSend(op *Op, m *Mop) {
	a.counts.Sent++
	a.counts.Acknowledged += count(op.Type == OK)
	a.counts.Failed += count(op.Type == Fail)
	v := a.log(m.Key).version(m.Send.Value)
	if v.send != nil {
		a.unknown("value %d of %s is sent twice, by operations %d and %d", m.Send.Value, m.Key,
			v.send.ID, op.ID)
		return
	}
	v.send, v.acked = op, NoOffset
	if op.Type == OK {
		v.acked = m.Send.Offset
	} else if m.Send.Offset != NoOffset {
		v.perhaps = m.Send.Offset
	}
}
