package linkv

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	_ "github.com/heiban/heiban/internal/repeatable"
)

// inOrder gives operations that follow one another their instants.
func inOrder(ops ...Op) []Op {
	for i := range ops {
		ops[i].Key, ops[i].Call, ops[i].Return = "x", int64(2*i+1), int64(2*i+2)
	}
	return ops
}

func TestCheck(t *testing.T) {
	read := func(value int64) Op { return Op{F: Read, Value: value, Outcome: OK} }
	write := func(value int64) Op { return Op{F: Write, Value: value, Outcome: OK} }
	cas := func(from, to int64, outcome Outcome) Op {
		return Op{F: CAS, From: from, Value: to, Outcome: outcome}
	}
	absent := Op{F: Read, Outcome: Absent}
	perhaps := func(op Op) Op { op.Outcome = Unknown; return op }
	create := cas(0, 7, OK)
	create.Create = true
	for _, c := range []struct {
		name   string
		ops    []Op
		result Result
	}{
		{"a life", inOrder(absent, write(1), read(1), cas(1, 2, OK), cas(1, 3, Mismatch),
			read(2)), Valid},
		{"stale", inOrder(write(1), write(2), read(1)), Invalid},
		{"lost", inOrder(write(1), absent), Invalid},
		{"invented", inOrder(write(1), read(4)), Invalid},
		{"cas of another value", inOrder(write(1), cas(2, 3, OK)), Invalid},
		{"refused without reason", inOrder(write(1), cas(1, 2, Mismatch)), Invalid},
		{"absent without reason", inOrder(write(1), cas(1, 2, Absent)), Invalid},
		{"absent", inOrder(cas(1, 2, Absent), create, read(7)), Valid},
		{"created twice", inOrder(create, create), Invalid},
		{"perhaps", inOrder(write(1), perhaps(write(2)), read(1), read(2)), Valid},
		{"perhaps and back", inOrder(write(1), perhaps(write(2)), read(2), read(1)), Invalid},
		{"perhaps never", inOrder(write(1), perhaps(cas(1, 2, OK)), read(1)), Valid},
		{"perhaps late", inOrder(write(1), perhaps(cas(1, 2, OK)), read(1), read(2)), Valid},
		{"cannot have", inOrder(write(1), perhaps(cas(3, 2, OK)), read(2)), Invalid},
		{"failed", inOrder(write(1), Op{F: Write, Value: 2, Outcome: Fail}, read(1)), Valid},
		{"failed and there", inOrder(write(1), Op{F: Write, Value: 2, Outcome: Fail}, read(2)), Invalid},
		{"nothing", nil, Undecided},
		{"nothing is known", inOrder(perhaps(read(1))), Undecided},
	} {
		v := Check(c.ops, time.Minute)
		require.Equal(t, c.result, v.Result, c.name)
		if c.result == Invalid {
			require.Contains(t, string(v.Keys[0].HTML), "<html", c.name)
		}
	}
}

// TestKeysAreApart: each key is judged by itself, and one bad key is enough.
func TestKeysAreApart(t *testing.T) {
	ops := inOrder(Op{F: Write, Value: 1, Outcome: OK}, Op{F: Read, Outcome: Absent})
	ops[1].Key = "y"
	require.Equal(t, Valid, Check(ops, time.Minute).Result)

	ops[1].Key = "x"
	ops = append(ops, Op{Key: "y", F: Read, Outcome: Absent, Call: 5, Return: 6})
	v := Check(ops, time.Minute)
	require.Equal(t, Invalid, v.Result)
	require.Equal(t, Invalid, v.Keys[0].Result)
	require.Equal(t, Valid, v.Keys[1].Result)
	require.Empty(t, v.Keys[1].HTML)
}

// TestUndecided: a search that takes too long is no pass.
func TestUndecided(t *testing.T) {
	var ops []Op
	for i := range int64(40) { // a write and a read of it, all at once
		ops = append(ops,
			Op{Key: "x", Process: int(i), F: Write, Value: i, Outcome: Unknown, Call: i + 1},
			Op{Key: "x", Process: int(i), F: Read, Value: i, Outcome: OK, Call: i + 1, Return: 100})
	}
	ops = append(ops, Op{Key: "x", F: Read, Value: 1000, Outcome: OK, Call: 101, Return: 102})
	v := Check(ops, time.Millisecond)
	require.Equal(t, Undecided, v.Result)
	require.Equal(t, 40, v.Keys[0].Open)
}

// TestRegister: what a register does, seen by clients that overlap, is valid; a read that
// is changed to what nobody wrote is not.
func TestRegister(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ops := overlapping(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))
		v := Check(ops, time.Minute)
		require.Equal(t, Valid, v.Result)
		for i := range ops {
			if ops[i].F == Read && ops[i].Outcome == OK {
				ops[i].Value = -1
				require.Equal(t, Invalid, Check(ops, time.Minute).Result)
				return
			}
		}
	})
}

// overlapping makes a history of 3 clients, whose operations take effect at a moment
// between call and return, or later or never if nobody saw their end.
func overlapping(random *rand.Rand) []Op {
	var state register
	var ops []Op
	open := map[int]int{} // by client, the operation under way
	effects := map[int]bool{}
	now := int64(0)
	take := func(i int) {
		op := &ops[i]
		if effects[i] {
			return
		}
		effects[i] = true
		matches := state.exists && state.value == op.From
		switch {
		case op.F == Write, op.F == CAS && matches:
			state, op.Outcome = register{op.Value, true}, OK
		case !state.exists:
			op.Outcome = Absent
		case op.F == Read:
			op.Value, op.Outcome = state.value, OK
		default:
			op.Outcome = Mismatch
		}
	}
	for range 60 {
		now++
		client := random.IntN(3)
		i, busy := open[client]
		switch {
		case !busy:
			open[client] = len(ops)
			ops = append(ops, Op{
				Key: "x", Process: client, Call: now, Return: forever, From: random.Int64N(4),
				Value: random.Int64N(4), F: Function(1 + random.IntN(3)),
			})
		case random.IntN(2) == 0:
			take(i)
		case random.IntN(8) == 0:
			delete(open, client)
			if ops[i].F == Write && !effects[i] && random.IntN(2) == 0 {
				state = register{ops[i].Value, true}
			}
			ops[i].Outcome, effects[i] = Unknown, true
		default:
			take(i)
			ops[i].Return = now
			delete(open, client)
		}
	}
	for client := range 3 {
		i, busy := open[client]
		if !busy {
			continue
		}
		if effects[i] {
			now++
			ops[i].Return = now
		} else {
			ops[i].Outcome = Unknown
		}
	}
	return ops
}
