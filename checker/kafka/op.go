package kafka

import (
	"fmt"
	"slices"
	"strings"
)

// never is the end of an operation whose end nobody saw.
const never = 1<<63 - 1

// Op is one operation, from its invocation to its end.
type Op struct {
	Event        // as it ended; what the end does not say is taken from the invocation
	ID     int64 // Index of the invocation
	Done   int64 // Index of the end; a very large number if there is none
	Called int64 // Nanos of the invocation; Nanos is that of the end
}

// pair joins invocations with their ends, in the order of invocation. It also says what
// is wrong with the history itself.
func pair(events []Event) (ops []*Op, problems []string) {
	byID := make(map[int64]*Op, len(events)/2)
	open := map[int]*Op{} // the last one that each process has not ended
	last := int64(0)
	wrong := func(e *Event, format string, args ...any) {
		problems = append(problems, fmt.Sprintf("event %d: ", e.Index)+fmt.Sprintf(format, args...))
	}
	for i := range events {
		e := &events[i]
		if e.Index <= last {
			wrong(e, "it follows event %d", last)
		}
		last = e.Index
		if e.Type == Invoke {
			op := &Op{Event: *e, ID: e.Index, Done: never, Called: e.Nanos}
			op.Type = Info
			ops = append(ops, op)
			byID[op.ID], open[op.Process] = op, op
			continue
		}
		op := byID[e.Of]
		if e.Of == 0 {
			op = open[e.Process]
		}
		switch {
		case op == nil:
			wrong(e, "it ends what was not invoked")
		case op.Done != never:
			wrong(e, "it ends operation %d a second time", op.ID)
		case op.F != e.F || op.Process != e.Process:
			wrong(e, "it ends operation %d, which is another process's or function", op.ID)
		default:
			op.end(e)
			if open[op.Process] == op {
				delete(open, op.Process)
			}
		}
	}
	return ops, problems
}

// end takes over what the last event of an operation says.
func (op *Op) end(e *Event) {
	invoked := op.Event
	op.Event, op.Done = *e, e.Index
	if len(e.Mops) == 0 {
		op.Mops = invoked.Mops
	}
	if len(e.Keys) == 0 {
		op.Keys = invoked.Keys
	}
	if len(e.Offsets) == 0 {
		op.Offsets = invoked.Offsets
	}
	if e.Group == "" {
		op.Group = invoked.Group
	}
	op.Reset = op.Reset || invoked.Reset
	op.Ending = max(op.Ending, invoked.Ending)
}

// before reports whether all that op did was done when other began. An operation of
// unknown outcome may happen at any time.
func (op *Op) before(other *Op) bool { return op.Type != Info && op.Done < other.ID }

// String returns the whole operation on one line.
func (op *Op) String() string { return op.brief("", nil) }

// brief is String of what concerns one key, or all if it is "", with no records but those
// wanted, or all if that is nil.
func (op *Op) brief(key Key, wanted []Record) string {
	var b strings.Builder
	end := "?"
	if op.Done != never {
		end = fmt.Sprint(op.Done)
	}
	fmt.Fprintf(&b, "[%d,%s] process %d %s", op.ID, end, op.Process, op.F)
	if op.Group != "" {
		fmt.Fprintf(&b, " group %s", op.Group)
	}
	for _, k := range op.Keys {
		if key == "" || k == key {
			fmt.Fprintf(&b, " %s", k)
		}
	}
	for _, p := range op.Offsets {
		if key == "" || p.Key == key {
			fmt.Fprintf(&b, " %s=%d", p.Key, p.Offset)
		}
	}
	for i := range op.Mops {
		op.Mops[i].brief(&b, key, wanted)
	}
	fmt.Fprintf(&b, " %s", op.Type)
	if op.Error != "" {
		fmt.Fprintf(&b, " (%s)", op.Error)
	}
	return b.String()
}

func (m *Mop) brief(b *strings.Builder, key Key, wanted []Record) {
	if m.Key != "" {
		if (key == "" || m.Key == key) && contains(wanted, m.Send.Value) {
			fmt.Fprintf(b, " %s:%s", m.Key, m.Send)
		}
		return
	}
	for _, p := range m.Polled {
		if key != "" && p.Key != key {
			continue
		}
		var words []string
		cut := false
		for _, r := range p.Records {
			switch {
			case contains(wanted, r.Value):
				words, cut = append(words, r.String()), false
			case !cut:
				words, cut = append(words, "..."), true
			}
		}
		if len(words) > 1 || !cut {
			fmt.Fprintf(b, " %s:%s", p.Key, strings.Join(words, ","))
		}
	}
}

// contains reports whether a value is among those wanted, which are all if it is nil.
func contains(wanted []Record, value int64) bool {
	return wanted == nil ||
		slices.ContainsFunc(wanted, func(r Record) bool { return r.Value == value })
}

// Ended reports whether somebody saw the operation end.
func (op *Op) Ended() bool { return op.Done != never }

// About reports whether the operation concerns a key, or any key if it is "".
func (op *Op) About(key Key) bool {
	if key == "" || slices.Contains(op.Keys, key) {
		return true
	}
	for _, p := range op.Offsets {
		if p.Key == key {
			return true
		}
	}
	for i := range op.Mops {
		if op.Mops[i].Key == key {
			return true
		}
		for _, p := range op.Mops[i].Polled {
			if p.Key == key {
				return true
			}
		}
	}
	return false
}
