// Package kafka judges histories of clients of a Kafka-compatible cluster, of any
// vendor, as Jepsen's Kafka workload does: it infers from sends and polls which value
// stands at which offset of each partition, and finds every anomaly that contradicts
// what the clients were told. It also judges what Jepsen's leaves out: the order of
// acknowledgements in real time, the ends of logs, and committed offsets.
//
// It knows nothing of a broker, a protocol or a clock: only histories. Start at
// History, then Analyze.
package kafka

// The anomalies. Those of the first two groups have the names of Jepsen's Kafka
// workload.
const (
	InconsistentOffsets = "inconsistent-offsets" // one offset with two values
	Duplicate           = "duplicate"            // one value at two offsets
	LostWrite           = "lost-write"           // acknowledged, read past, never read
	Unseen              = "unseen"               // acknowledged, and not read by the end
	G1a                 = "G1a"                  // read although its send failed
	G1b                 = "G1b"                  // read before its transaction was ended
	G1c                 = "G1c"                  // information that flows in a circle
	G0                  = "G0"                   // transactions that write in a circle
	PrecommittedRead    = "precommitted-read"    // a transaction reads what it sent itself

	IntPollSkip         = "int-poll-skip"         // inside an operation, a value is jumped over
	IntNonmonotonicPoll = "int-nonmonotonic-poll" // inside an operation, polls go back
	PollSkip            = "poll-skip"             // between two operations of a process
	NonmonotonicPoll    = "nonmonotonic-poll"
	IntSendSkip         = "int-send-skip" // another's value between two of one operation
	IntNonmonotonicSend = "int-nonmonotonic-send"
	NonmonotonicSend    = "nonmonotonic-send" // a later send of a process has a lower offset

	Phantom              = "phantom"                // read, and nobody sent it
	AckOrder             = "ack-order"              // sent after an ack, stored before it
	StaleEnd             = "stale-end"              // the end of a log is below what was told
	CommitBeyondPoll     = "commit-beyond-poll"     // committed what was not polled
	NonmonotonicCommit   = "nonmonotonic-commit"    // a group's offset went back
	WrongCommittedOffset = "wrong-committed-offset" // an offset that nobody committed
	StaleCommittedOffset = "stale-committed-offset" // an offset that was replaced before
	LostCommit           = "lost-commit"            // a commit that is gone in the end
	ResumeSkip           = "resume-skip"            // began after the place it was given
	ResumeRepeat         = "resume-repeat"          // began before the place it was given
)

// Config says what the clients of a history asked for, and so which anomalies are no
// fault of the cluster. The zero value promises nothing; see Strict.
type Config struct {
	AcksAll       bool `json:"acksAll"`       // acks=all: acknowledged records survive failover
	Idempotent    bool `json:"idempotent"`    // retries neither repeat nor reorder
	ReadCommitted bool `json:"readCommitted"` // consumers see committed transactions only
	Transactional bool `json:"transactional"` // txn operations are transactions
	// RebalancesLogged says that every change of a member's assignment stands in the
	// history. Then a jump where there is none is bad with subscribe as well.
	RebalancesLogged bool `json:"rebalancesLogged"`
	// FreshReads says that no leader answers that was replaced before. Kafka does not
	// promise it: one that does not know yet may tell old ends and old commits.
	FreshReads bool `json:"freshReads"`
	// WriteOrder adds the order of writes to the graph in which cycles are sought. Kafka
	// does not isolate writes of transactions from one another, so the cycles that it
	// makes are allowed.
	WriteOrder bool `json:"writeOrder"`
}

// Strict is the configuration of clients that asked for everything.
func Strict() Config {
	return Config{
		AcksAll: true, Idempotent: true, ReadCommitted: true, RebalancesLogged: true,
		FreshReads: true,
	}
}

// Allowed says why an anomaly is no fault of the cluster under this configuration, or
// returns "". With subscribe is meant that some process of the history subscribes.
func (c Config) Allowed(anomaly string, subscribe bool) string {
	switch anomaly {
	case IntSendSkip, G0:
		return "Kafka does not isolate writes"
	case G1c:
		if c.WriteOrder {
			return "the order of writes is in the graph"
		}
	case PollSkip, NonmonotonicPoll:
		if subscribe && !c.RebalancesLogged {
			return "rebalances move positions"
		}
	case LostWrite, Unseen, AckOrder:
		if !c.AcksAll {
			return "not acks=all"
		}
	case StaleEnd, StaleCommittedOffset:
		switch {
		case !c.FreshReads:
			return "a leader that was replaced may not know yet"
		case anomaly == StaleEnd && !c.AcksAll:
			return "not acks=all"
		}
	case Duplicate:
		if !c.Idempotent {
			return "not idempotent"
		}
	case NonmonotonicSend, IntNonmonotonicSend:
		if !c.AcksAll {
			return "not acks=all"
		}
		if !c.Idempotent {
			return "not idempotent"
		}
	case G1a, G1b, PrecommittedRead:
		if c.Transactional && !c.ReadCommitted {
			return "not read_committed"
		}
	}
	return ""
}
