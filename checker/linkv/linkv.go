// Package linkv judges histories of a key-value store with reads, writes and
// compare-and-set, as in Maelstrom's lin-kv workload: each key must be a linearizable
// register. The search is porcupine's.
//
// It knows nothing of what stores the values. Start at Check.
package linkv

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// Function is what an operation does.
type Function uint8

// The functions.
const (
	Read  Function = iota + 1 // OK: Value
	Write                     // Value
	CAS                       // writes Value if From is there, or nothing is and Create is set
)

// Outcome is how an operation ended.
type Outcome uint8

// The outcomes.
const (
	Unknown  Outcome = iota // it may have happened, or happen yet, or never
	OK                      // it happened
	Absent                  // a Read or CAS found no value
	Mismatch                // a CAS found another value than From
	Fail                    // it did not happen, and tells nothing of the value
)

// Op is one operation of one client. Call and Return are of a counter that grows with
// every call and return of the history: two operations at one instant overlap.
type Op struct {
	Key     string
	Process int
	Call    int64
	Return  int64 // not looked at if the outcome is unknown
	Value   int64
	From    int64
	F       Function
	Outcome Outcome
	Create  bool
}

// Result is a verdict in one word.
type Result string

// The results. Undecided is no pass: the search took too long.
const (
	Valid     Result = "valid"
	Invalid   Result = "invalid"
	Undecided Result = "unknown"
)

// KeyVerdict is the verdict on one key.
type KeyVerdict struct {
	Key    string
	Result Result
	Ops    int // that were judged
	Open   int // of these, that may happen at any time: they make the search long
	// HTML is a page of porcupine's that shows how far the search came, if the key is
	// invalid.
	HTML []byte
}

// Verdict is the verdict on a history.
type Verdict struct {
	Result Result
	Keys   []KeyVerdict // in ascending order
}

// forever is the return of an operation whose end nobody saw.
const forever = 1 << 62

// Check judges a history. It gives up on a key after a limit of wall time, which makes
// the verdict on it Undecided; a limit of 0 is none.
func Check(history []Op, limit time.Duration) Verdict {
	byKey := map[string][]porcupine.Operation{}
	for i := range history {
		op := &history[i]
		if o, counts := operation(op); counts {
			byKey[op.Key] = append(byKey[op.Key], o)
		}
	}
	v := Verdict{Result: Valid}
	if len(byKey) == 0 {
		v.Result = Undecided
	}
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		k := checkKey(key, byKey[key], limit)
		v.Keys = append(v.Keys, k)
		if k.Result == Invalid || k.Result == Undecided && v.Result == Valid {
			v.Result = k.Result
		}
	}
	return v
}

// operation returns what porcupine is given, unless the operation tells nothing.
func operation(op *Op) (o porcupine.Operation, counts bool) {
	o = porcupine.Operation{
		ClientId: op.Process, Input: op, Call: op.Call, Output: op.Outcome, Return: op.Return,
	}
	if op.Outcome == Unknown {
		o.Return = forever
	}
	return o, op.Outcome != Fail && (op.Outcome != Unknown || op.F != Read)
}

func checkKey(key string, ops []porcupine.Operation, limit time.Duration) KeyVerdict {
	k := KeyVerdict{Key: key, Ops: len(ops)}
	for _, o := range ops {
		if o.Return == forever {
			k.Open++
		}
	}
	model := registerModel()
	switch porcupine.CheckOperationsTimeout(model, ops, limit) {
	case porcupine.Ok:
		k.Result = Valid
	case porcupine.Illegal:
		k.Result = Invalid
		k.HTML = picture(model, ops, limit)
	default:
		k.Result = Undecided
	}
	return k
}

// picture searches again, now keeping what it needs for a page.
func picture(model porcupine.Model, ops []porcupine.Operation, limit time.Duration) []byte {
	_, info := porcupine.CheckOperationsVerbose(model, ops, limit)
	var page bytes.Buffer
	if err := porcupine.Visualize(model, info, &page); err != nil {
		return nil // the verdict stands without it
	}
	return page.Bytes()
}

// register is the state of one key.
type register struct {
	value  int64
	exists bool
}

func registerModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return register{} },
		Step: func(state, input, _ any) (bool, any) {
			return state.(register).step(input.(*Op))
		},
		DescribeOperation: func(input, _ any) string { return input.(*Op).String() },
		DescribeState: func(state any) string {
			if s := state.(register); s.exists {
				return fmt.Sprint(s.value)
			}
			return "nothing"
		},
	}
}

// step tells whether an operation may happen in a state, and what state follows. One of
// unknown outcome may always: at the end, where it contradicts nobody, if nowhere else.
func (s register) step(op *Op) (legal bool, next any) {
	wrote := register{value: op.Value, exists: true}
	switch op.F {
	case Read:
		if op.Outcome == Absent {
			return !s.exists, s
		}
		return s == wrote, s
	case Write:
		return true, wrote
	case CAS:
		matches := s.exists && s.value == op.From || !s.exists && op.Create
		switch {
		case op.Outcome == OK:
			return matches, wrote
		case op.Outcome == Absent:
			return !s.exists && !op.Create, s
		case op.Outcome == Mismatch:
			return s.exists && s.value != op.From, s
		case matches:
			return true, wrote
		}
		return true, s
	}
	return false, s
}

// String returns what was asked and answered.
func (op *Op) String() string {
	answer := [...]string{"?", "ok", "absent", "mismatch", "fail"}[op.Outcome]
	switch op.F {
	case Read:
		if op.Outcome == OK {
			answer = fmt.Sprint(op.Value)
		}
		return "read " + answer
	case Write:
		return fmt.Sprintf("write %d %s", op.Value, answer)
	case CAS:
		return fmt.Sprintf("cas %d to %d %s", op.From, op.Value, answer)
	}
	return answer
}
