package checker

import (
	"slices"

	"github.com/anishathalye/porcupine"
)

// logState is a partition's committed log: the hash of the record at each offset.
// States share their memory and never change it.
type logState []uint64

// CheckLogs judges the operations on each partition as those of a linearizable
// append-only log. It is slow and sees a part of each history only: it is there to
// check the direct checkers. Partitions that lost records with an excuse, are
// compacted, were written without idempotence, or have the name of an earlier one,
// are no such logs and left out.
func (j *Judge) CheckLogs() {
	histories := map[PartitionID][]porcupine.Operation{}
	for i := range j.ops {
		op := j.ops[i]
		if op.Kind == OpProduce {
			j.settle(&op)
		}
		if op.Outcome == Refused || op.Outcome == Unknown && (op.Kind != OpProduce || op.Offset < 0) {
			continue
		}
		if op.Kind == OpProduce || op.Kind == OpRead || op.Kind == OpLatest {
			histories[op.Partition] = append(histories[op.Partition], operation(&op))
		}
	}
	model := logModel()
	for _, p := range j.ordered {
		noLog := p.policy.Compacted || p.truncatedAt > 0 || p.plain || p.named > 1
		if noLog || len(histories[p.ID]) == 0 {
			continue
		}
		j.linearize(LogRegister, p.Name, &model, histories[p.ID])
	}
}

// settle makes of a produce of unknown outcome one of known place, or one that never
// was. One that did not wait for the commit is of unknown outcome: it shows when it
// is committed, which may be after its return.
func (j *Judge) settle(op *Op) {
	switch {
	case op.Outcome == Done && op.Acks == -1:
		return
	case op.Outcome != Done:
		// One that was refused may be there too, if somebody sent it twice.
		op.Offset = noOffset
		if p := j.partitions[op.Partition]; p != nil {
			op.Offset = p.baseOf(op.Hash)
		}
	}
	op.Outcome = Unknown
}

// baseOf returns where a batch was appended, or -1.
func (p *Partition) baseOf(hash uint64) int64 {
	for i := range p.batches {
		if p.batches[i].Hash == hash {
			return p.batches[i].BaseOffset
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
		longer := append(s[:len(s):len(s)], op.Records...)
		switch {
		case op.Outcome == Unknown && op.Offset == int64(len(s)):
			return []any{s, longer}
		case op.Outcome == Unknown:
			return []any{s}
		case op.Offset == int64(len(s)):
			return []any{longer}
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
