package checker

import (
	"cmp"
	"slices"

	"github.com/anishathalye/porcupine"
)

// logState is a partition's committed log: the hash of the record at each offset.
// States share their memory and never change it.
type logState []uint64

// CheckLogs judges the operations on each partition as those of a linearizable
// append-only log. It is slow and sees a part of each history only: it is there to
// check the direct checkers. Partitions that lost records with an excuse, are
// compacted, were written without idempotence, have the name of an earlier one, or had
// a copy begin where producers before it are not known any more, are no such logs and left
// out.
func (j *Judge) CheckLogs() {
	histories := map[PartitionID][]Op{}
	for i := range j.ops {
		op := &j.ops[i]
		if op.Kind == OpProduce || op.Kind == OpRead || op.Kind == OpLatest {
			histories[op.Partition] = append(histories[op.Partition], *op)
		}
	}
	model := logModel()
	for _, p := range j.ordered {
		noLog := p.policy.Compacted || p.truncatedAt > 0 || j.plain[p.ID] || p.named > 1 || p.anew
		if noLog || len(histories[p.ID]) == 0 {
			continue
		}
		if ops := j.observed(p, histories[p.ID]); len(ops) > 0 {
			j.linearize(LogRegister, p.Name, &model, ops)
		}
	}
}

// observed makes a history for porcupine of the beginning of one: all operations that
// returned, and of those that may have happened at any later time the ones whose
// records somebody saw. What nobody saw need not have happened.
func (j *Judge) observed(p *Partition, ops []Op) []porcupine.Operation {
	cut := int64(forever)
	if len(ops) > j.limits.Porcupine {
		ops = ops[:j.limits.Porcupine]
		cut = ops[len(ops)-1].Call
	}
	var kept []porcupine.Operation
	seen := int64(0)
	var open looks
	for i := range ops {
		op := &ops[i]
		if op.Return == 0 || op.Return > cut || op.Outcome != Done || !op.promptly() {
			continue
		}
		if op.Kind != OpProduce && !open.admit(op) {
			continue
		}
		kept = append(kept, operation(op))
		seen = max(seen, op.Offset+int64(len(op.Records)))
	}
	sightings := sightingsOf(kept)
	for i := range ops {
		op := &ops[i]
		if op.Kind != OpProduce || op.Outcome == Done && op.promptly() && op.Return <= cut {
			continue
		}
		// One that was refused may be there too, if somebody sent it twice.
		if op.Outcome != Done {
			op.Offset = baseOf(p.batches, op.Hash)
		}
		if op.Offset >= 0 && op.Offset < seen {
			op.Outcome, op.Return = Done, max(op.Call, sightings.before(op.Offset))
			kept = append(kept, operation(op))
		}
	}
	return kept
}

// looks are when the operations return that only look at the log and are under way at
// once. Any order of them is possible, so the search doubles with each; appends have
// one order only. To leave some out makes no illegal history of a legal one.
type looks []int64

const looksMax = 8

// admit takes op in, and reports false if too many are under way.
func (l *looks) admit(op *Op) bool {
	*l = slices.DeleteFunc(*l, func(end int64) bool { return end < op.Call })
	if len(*l) == looksMax {
		return false
	}
	*l = append(*l, op.Return)
	return true
}

// sightings are the operations that show how far a log had come, the farthest first.
// Earliest is when the first of them and of those before it returned.
type sightings []sighting

type sighting struct {
	end      int64 // the log held at least so much
	earliest int64
}

func sightingsOf(ops []porcupine.Operation) sightings {
	all := make(sightings, 0, len(ops))
	for i := range ops {
		op := ops[i].Input.(*Op)
		all = append(all, sighting{op.Offset + int64(len(op.Records)), ops[i].Return})
	}
	slices.SortFunc(all, func(a, b sighting) int { return cmp.Compare(b.end, a.end) })
	for i := 1; i < len(all); i++ {
		all[i].earliest = min(all[i].earliest, all[i-1].earliest)
	}
	return all
}

// before returns when a record at offset must have been in the log at the latest: when
// the first operation returned that had seen the log grow past it. That leaves the
// search no choice among operations whose end nobody saw.
func (s sightings) before(offset int64) int64 {
	n, _ := slices.BinarySearchFunc(s, offset, func(one sighting, offset int64) int {
		if one.end > offset {
			return -1
		}
		return 1
	})
	return s[n-1].earliest
}

// promptly reports whether an operation takes effect before it returns. A produce that
// does not wait for the commit may show later.
func (op *Op) promptly() bool { return op.Kind != OpProduce || op.Acks == -1 }

// baseOf returns where a batch stands, or -1.
func baseOf(batches []Batch, hash uint64) int64 {
	for i := range batches {
		if batches[i].Hash == hash {
			return batches[i].BaseOffset
		}
	}
	return noOffset
}

func logModel() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init:  func() []any { return []any{logState(nil)} },
		Step:  func(state, input, _ any) []any { return stepLog(state.(logState), input.(*Op)) },
		Equal: func(a, b any) bool { return slices.Equal(a.(logState), b.(logState)) },
	}
	return m.ToModel()
}

func stepLog(s logState, op *Op) []any {
	switch op.Kind {
	case OpProduce:
		if op.Offset == int64(len(s)) {
			return []any{append(s[:len(s):len(s)], op.Records...)}
		}
	case OpRead:
		end := op.Offset + int64(len(op.Records))
		if end <= int64(len(s)) && slices.Equal([]uint64(s[op.Offset:end]), op.Records) {
			return []any{s}
		}
	case OpLatest:
		if op.Offset == int64(len(s)) {
			return []any{s}
		}
	}
	return nil
}
