package checker

import (
	"slices"

	"github.com/anishathalye/porcupine"
)

// forever is the return of an operation whose end nobody saw.
const forever = 1 << 62

// porcupineNanos bounds one check by porcupine. A check that is not over by then
// is reported as such: it is never a pass.
const porcupineNanos = 20_000_000_000

// openMax is how many operations that never end porcupine is given: the work doubles
// with each.
const openMax = 10

// topicState is what one topic name stands for.
type topicState struct {
	id     TopicID
	exists bool
	unsaid bool // it exists with an id that nobody was told yet
}

// CheckTopics judges all operations on topics: for each name they must be
// linearizable as creation, deletion and reading of one register.
func (j *Judge) CheckTopics() {
	names := []string{}
	byName := map[string][]porcupine.Operation{}
	for i := range j.ops {
		op := &j.ops[i]
		switch op.Kind {
		case OpCreate, OpDelete, OpDeleteID:
		case OpDescribe:
			if op.Outcome == Unknown || j.several() {
				continue // a node of several may lag behind: Described judges that
			}
		default:
			continue
		}
		if byName[op.Topic] == nil {
			names = append(names, op.Topic)
		}
		byName[op.Topic] = append(byName[op.Topic], operation(op))
	}
	slices.Sort(names)
	model := topicModel(j.several())
	for _, name := range names {
		j.linearize(TopicRegister, name, &model, j.beginning(byName[name]))
	}
}

func operation(op *Op) porcupine.Operation {
	o := porcupine.Operation{ClientId: op.Client, Input: op, Call: op.Call, Return: op.Return}
	if op.Outcome == Unknown || op.Return == 0 {
		o.Return = forever
	}
	return o
}

// linearize asks porcupine about a history.
func (j *Judge) linearize(checker, key string, model *porcupine.Model, ops []porcupine.Operation) {
	switch porcupine.CheckOperationsTimeout(*model, ops, porcupineNanos) {
	case porcupine.Ok:
	case porcupine.Illegal:
		j.Report(checker, "illegal", "%s: no order of its %d operations explains the answers",
			key, len(ops))
	default:
		j.Report(checker, "undecided", "%s: its %d operations took too long to judge",
			key, len(ops))
	}
}

// beginning cuts a history to the limit. What was called before the cut and
// returned after it is kept as unknown, so that the cut history is legal if the
// whole one is.
func (j *Judge) beginning(ops []porcupine.Operation) []porcupine.Operation {
	limit := min(len(ops), j.limits.Porcupine)
	open := 0
	for i := range limit {
		if ops[i].Return == forever {
			open++
		}
		if open > openMax {
			limit = i
			break
		}
	}
	if limit == len(ops) || limit == 0 {
		return ops[:limit]
	}
	ops = ops[:limit:limit]
	cut := ops[len(ops)-1].Call
	kept := make([]porcupine.Operation, 0, len(ops))
	for _, o := range ops {
		if o.Return <= cut {
			kept = append(kept, o)
			continue
		}
		op := *o.Input.(*Op)
		if op.Outcome == Refused || op.Kind == OpDescribe {
			continue // it changed nothing
		}
		op.Outcome = Unknown
		if op.Kind == OpCreate {
			op.TopicID = TopicID{}
		}
		o.Input, o.Return = &op, forever
		kept = append(kept, o)
	}
	return kept
}

// several reports whether requests may go through other nodes than the one that decides.
func (j *Judge) several() bool { return j.limits.Voters > 1 }

// topicModel is what a topic's name may go through. Where nodes pass requests on, one
// that lost its connection is passed on again, so that a refusal may be the answer to
// the second of two requests of which the first was carried out.
func topicModel(several bool) porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{topicState{}} },
		Step: func(state, input, _ any) []any {
			s, op := state.(topicState), input.(*Op)
			if several && op.Outcome == Refused {
				return append(stepTopic(s, op), stepTwice(s, op)...)
			}
			return stepTopic(s, op)
		},
	}
	return m.ToModel()
}

// stepTwice returns the states that an operation may lead to which was carried out and
// then refused.
func stepTwice(s topicState, op *Op) []any {
	switch op.Kind {
	case OpCreate:
		if !s.exists {
			return []any{topicState{exists: true, unsaid: true}}
		}
	case OpDelete:
		if s.exists {
			return []any{topicState{}}
		}
	case OpDeleteID:
		if s.exists && (s.unsaid || s.id == op.TopicID) {
			return []any{topicState{}}
		}
	}
	return nil
}

// stepTopic returns the states that an operation may lead to: none if its answer
// contradicts the state.
func stepTopic(s topicState, op *Op) []any {
	switch op.Kind {
	case OpCreate:
		created := topicState{id: op.TopicID, exists: true, unsaid: op.TopicID == TopicID{}}
		switch {
		case op.Outcome == Unknown && s.exists:
			return []any{s}
		case op.Outcome == Unknown:
			return []any{s, created}
		case s.exists == (op.Outcome == Refused):
			if s.exists {
				return []any{s}
			}
			return []any{created}
		}
	case OpDelete:
		switch {
		case op.Outcome == Unknown:
			return []any{s, topicState{}}
		case s.exists == (op.Outcome == Done):
			return []any{topicState{}}
		}
	case OpDeleteID:
		is := s.exists && (s.unsaid || s.id == op.TopicID)
		switch {
		case op.Outcome == Unknown && is:
			return []any{s, topicState{}}
		case op.Outcome == Done && !is, op.Outcome == Refused && is && !s.unsaid:
		case op.Outcome == Done:
			return []any{topicState{}}
		default:
			return []any{s}
		}
	case OpDescribe:
		switch {
		case !s.exists && op.TopicID == TopicID{}:
			return []any{s}
		case s.exists && op.TopicID != (TopicID{}) && (s.unsaid || s.id == op.TopicID):
			return []any{topicState{id: op.TopicID, exists: true}}
		}
	}
	return nil
}
