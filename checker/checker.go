// Package checker judges what a cluster promised its clients and what it kept. A
// Judge is fed facts in the order in which they happened: what brokers appended,
// committed, acknowledged and lost, and what clients were told. It finds broken
// promises at the fact that breaks them, and judges whole histories at the end.
//
// It knows nothing of the broker's code and reads batches with a parser of its own,
// so that it cannot share the broker's bugs. Start at Judge.
package checker

import "fmt"

// The names of the checkers, as they stand in violations and in the kill matrix.
const (
	AckDurable          = "AckDurable"          // no acknowledged record is lost without excuse
	AckPolicy           = "AckPolicy"           // an answer to Produce means what acks says
	AppendShape         = "AppendShape"         // batches follow one another, epochs never fall
	BrokerEpochs        = "BrokerEpochs"        // each life of a broker has an epoch of its own
	ConsumerContiguity  = "ConsumerContiguity"  // no committed record is skipped or delivered twice
	ISRLegality         = "ISRLegality"         // only live replicas in sync, changed one by one
	LeaderCompleteness  = "LeaderCompleteness"  // whoever may lead has all that was committed
	ListOffsetsMonotone = "ListOffsetsMonotone" // offsets of time and marks never go back (KIP-207)
	LogMatching         = "LogMatching"         // an offset and an epoch mean one record everywhere
	LogRegister         = "LogRegister"         // a partition is a linearizable append-only log
	MetadataLog         = "MetadataLog"         // all nodes agree on the metadata, and keep it
	MetadataView        = "MetadataView"        // what a node tells of the metadata never goes back
	OneLeader           = "OneLeader"           // a leader epoch has one leader
	ProducerSequence    = "ProducerSequence"    // sequences follow one another (KIP-98)
	ProducerIDs         = "ProducerIDs"         // nobody gets a producer id that another has
	Progress            = "Progress"            // after healing everything finishes
	Range               = "Range"               // the marks of a log are in order and monotone
	ReadPrefix          = "ReadPrefix"          // what was read was committed, and never changes
	RecoveryFidelity    = "RecoveryFidelity"    // a restart finds what the disk kept
	TopicRegister       = "TopicRegister"       // creating and deleting topics is linearizable
)

// TopicID is a topic's UUID.
type TopicID = [16]byte

// PartitionID names one partition of one incarnation of a topic.
type PartitionID struct {
	Topic TopicID
	Index int32
}

// Violation is a promise found broken.
type Violation struct {
	Checker string // one of the names above
	Kind    string // the anomaly, a fixed word: with Checker it is the signature
	Text    string // the particulars, for people
}

// String returns the violation on one line.
func (v Violation) String() string { return fmt.Sprintf("%s/%s: %s", v.Checker, v.Kind, v.Text) }

// Limits are what the cluster under judgement was configured with.
type Limits struct {
	SequenceMax int32 // the last sequence before 0 comes again; 0 means 2^31-1
	Voters      int   // of the metadata quorum; 0 means that it is not judged
	Porcupine   int   // longest history given to porcupine per key; 0 means 200
}

// Excused counts losses that injected faults explain, in records. A run in which
// everything is excused tests nothing.
type Excused struct {
	Acked     int64 // acknowledged records
	Committed int64 // records below the high watermark that nobody had been promised
}

// Judge accumulates facts and finds broken promises. The zero value is not usable;
// call NewJudge.
type Judge struct {
	limits     Limits
	partitions map[PartitionID]*Partition
	ordered    []*Partition // in order of appearance
	attempts   map[uint64]*attempt
	plain      map[PartitionID]bool // written without idempotence: retries may write twice
	ops        []Op
	brokers    map[int32]BrokerState
	unclean    map[int32]bool // nodes whose last life did not end cleanly
	returned   []int32        // brokers that registered after such an end, in this decision
	metalog    metalog
	views      map[string]*view
	born       map[int32]int64   // judge's clock when a node's life began
	granted    map[granted]int32 // by which node
	found      []Violation
	excused    Excused
	clock      int64 // advances with every call and return of an operation
}

// NewJudge returns a Judge that has seen nothing.
func NewJudge(limits Limits) *Judge {
	if limits.SequenceMax == 0 {
		limits.SequenceMax = 1<<31 - 1
	}
	if limits.Porcupine == 0 {
		limits.Porcupine = 200
	}
	return &Judge{
		limits:     limits,
		partitions: make(map[PartitionID]*Partition),
		attempts:   make(map[uint64]*attempt),
		plain:      make(map[PartitionID]bool),
		brokers:    make(map[int32]BrokerState),
		unclean:    make(map[int32]bool),
		views:      make(map[string]*view),
		born:       make(map[int32]int64),
		granted:    make(map[granted]int32),
		metalog: metalog{
			origins: make(map[place]origin), controllers: make(map[int32]int32),
		},
	}
}

// Found returns the violations so far, oldest first.
func (j *Judge) Found() []Violation { return j.found }

// Excused returns the losses that faults explain.
func (j *Judge) Excused() Excused { return j.excused }

// Ops returns the log of operations in the order of their calls.
func (j *Judge) Ops() []Op { return j.ops }

// Partitions returns every partition in order of appearance.
func (j *Judge) Partitions() []*Partition { return j.ordered }

// Partition returns what is known of a partition, or nil.
func (j *Judge) Partition(id PartitionID) *Partition { return j.partitions[id] }

// Now returns the instant of the judge's own clock, which orders calls and returns.
func (j *Judge) Now() int64 { return j.clock }

// Report adds a violation that another part of a run found.
func (j *Judge) Report(checker, kind, format string, args ...any) {
	j.found = append(j.found, Violation{checker, kind, fmt.Sprintf(format, args...)})
}

// Policy is what a topic's configuration promises.
type Policy struct {
	Fsync     bool // records count once they are synced
	Compacted bool // the cleaner may take superseded records away
	Rewritten bool // the broker may rewrite batches (LogAppendTime, recompression) or write its own
	Unclean   bool // who is not in sync may be elected, and what it lacks is lost
}

// Meet introduces a partition. To meet it again with another policy keeps the
// weaker promise of both, since configurations change at no exact instant.
func (j *Judge) Meet(id PartitionID, name string, policy Policy) *Partition {
	if p := j.partitions[id]; p != nil {
		p.policy.Fsync = p.policy.Fsync && policy.Fsync
		p.policy.Compacted = p.policy.Compacted || policy.Compacted
		p.policy.Rewritten = p.policy.Rewritten || policy.Rewritten
		p.policy.Unclean = p.policy.Unclean || policy.Unclean
		return p
	}
	p := &Partition{
		ID: id, Name: name, policy: policy, met: j.clock,
		keys: make(map[uint64]int64), cursors: make(map[int]int64),
		origins: make(map[place]origin), writers: make(map[int32]int32),
	}
	j.partitions[id] = p
	j.ordered = append(j.ordered, p)
	same := 0
	for _, q := range j.ordered {
		if q.Name == name {
			same++
		}
	}
	for _, q := range j.ordered {
		if q.Name == name {
			q.named = same
		}
	}
	return p
}

func (j *Judge) tick() int64 {
	j.clock++
	return j.clock
}
