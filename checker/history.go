package checker

// Outcome is how an operation ended, as its client sees it.
type Outcome uint8

// The outcomes.
const (
	Unknown Outcome = iota // it may have happened, or happen yet, or never
	Done                   // it happened
	Refused                // it did not happen, and will not
)

// String returns a short name.
func (o Outcome) String() string {
	switch o {
	case Done:
		return "ok"
	case Refused:
		return "fail"
	}
	return "unknown"
}

// OpKind says what an operation does.
type OpKind uint8

// The kinds of operation.
const (
	OpProduce  OpKind = iota + 1 // Records; Done: Offset is the base offset
	OpRead                       // Offset; Done: Records are what is there
	OpLatest                     // Done: Offset is the high watermark
	OpCreate                     // Topic; Done: TopicID; Refused: it exists
	OpDelete                     // Topic; Refused: it does not exist; TopicID if a start tells
	OpDeleteID                   // Topic, TopicID; Refused: no topic has the id
	OpDescribe                   // Topic; Done: TopicID, zero if it does not exist
	OpOther                      // Text says what
)

// Op is one operation of one client, from call to return.
type Op struct {
	Topic     string
	Text      string
	Records   []uint64 // RecordHash of each
	Partition PartitionID
	TopicID   TopicID
	Hash      uint64 // of a produced batch
	Call      int64  // on the judge's clock
	Return    int64  // 0: it has not returned
	Offset    int64
	Client    int
	Err       int16
	Acks      int16
	Kind      OpKind
	Outcome   Outcome
}

// OpRef names one operation in the log.
type OpRef int

// Call adds an operation that begins now.
func (j *Judge) Call(op Op) OpRef {
	op.Call, op.Return, op.Outcome = j.tick(), 0, Unknown
	j.ops = append(j.ops, op)
	return OpRef(len(j.ops) - 1)
}

// Return ends an operation now. An operation that never returns stays unknown.
func (j *Judge) Return(ref OpRef, outcome Outcome) *Op {
	op := &j.ops[ref]
	op.Return, op.Outcome = j.tick(), outcome
	return op
}

// Happened adds an operation that was called at an earlier instant and ends now, as
// done.
func (j *Judge) Happened(op Op, called int64) {
	op.Call, op.Return, op.Outcome = called, j.tick(), Done
	j.ops = append(j.ops, op)
}

// Plain says that somebody writes to a partition without idempotence. Clients may know
// of a partition before it is met.
func (j *Judge) Plain(id PartitionID) { j.plain[id] = true }
