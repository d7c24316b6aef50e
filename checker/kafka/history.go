package kafka

import "fmt"

// Key names a partition, such as "news-3".
type Key string

// Type says what an event tells about its operation.
type Type uint8

// The types of event. An operation that was invoked and has no other event is like one
// that ended with Info.
const (
	Invoke Type = iota + 1 // it begins
	OK                     // it happened
	Fail                   // it did not happen, and will not
	Info                   // it may have happened, or happen yet, or never
)

var typeNames = []string{"", "invoke", "ok", "fail", "info"}

// String returns the name as in a history file.
func (t Type) String() string { return nameOf(typeNames, uint8(t)) }

// Function is what an operation does.
type Function uint8

// The functions. Offsets are Kafka's: a committed offset, a place to begin and an end
// name the next record, not the last one.
const (
	Assign    Function = iota + 1 // Keys; Offsets: where to begin, where it is known
	Subscribe                     // Keys, Group
	Send                          // Mops, all of them sends
	Poll                          // Mops, all of them polls
	Txn                           // Mops, atomic if Config.Transactional says so
	Commit                        // Group, Offsets; Reset if it means to go back
	Committed                     // Group, Keys; OK: Offsets, -1 where there is none
	Resume                        // Group, Keys: a member's; OK: Offsets to go on at
	Ends                          // Keys; OK: Offsets
	Crash                         // the process forgets all it knows
	Final                         // Keys; OK: they were polled to their ends, after all else
	Nemesis                       // somebody disturbs the cluster; Error says how
)

var functionNames = []string{
	"", "assign", "subscribe", "send", "poll", "txn", "commit", "committed", "resume", "ends",
	"crash", "final", "nemesis",
}

// String returns the name as in a history file.
func (f Function) String() string { return nameOf(functionNames, uint8(f)) }

func nameOf(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return fmt.Sprint(i)
}

// NoOffset is the offset of a send that was not told one, and of a group that has
// committed none.
const NoOffset = -1

// Record is a value at an offset.
type Record struct{ Offset, Value int64 }

// String returns value@offset.
func (r Record) String() string {
	if r.Offset == NoOffset {
		return fmt.Sprint(r.Value)
	}
	return fmt.Sprintf("%d@%d", r.Value, r.Offset)
}

// Polled is what one poll returned of one key.
type Polled struct {
	Key     Key
	Records []Record // as they came
}

// Mop is one step of an operation: a send if Key is set, otherwise a poll.
type Mop struct {
	Key    Key
	Send   Record   // its Offset is NoOffset while it is not known
	Polled []Polled // by key, in ascending order
}

// SendOf returns the step that sends a value, before its offset is known.
func SendOf(key Key, value int64) Mop {
	return Mop{Key: key, Send: Record{Offset: NoOffset, Value: value}}
}

// Place is an offset of a key.
type Place struct {
	Key    Key
	Offset int64
}

// Event is one line of a history: an operation begins or ends.
type Event struct {
	Index   int64    // from 1 on, strictly increasing: the order in real time
	Of      int64    // the Index of the invocation it ends; 0: the only open one of Process
	Nanos   int64    // since the beginning; for latencies and plots only, never for order
	Ending  int64    // Index at which a transaction was asked to end; 0: not known
	Process int      // who does it; what a process does follows in the order of invocation
	Keys    []Key    // what it is about
	Mops    []Mop    // of Send, Poll and Txn
	Offsets []Place  // of Assign, Commit, Committed, Resume and Ends
	Moved   []Key    // keys that a rebalance took or gave during the operation
	Group   string   // of Subscribe, Commit, Committed and Resume
	Error   string   // what the client was told
	Type    Type     // what the event says
	F       Function // what the operation does
	Reset   bool     // a Commit that means to go back
}

// History is what clients did, in the order of Index.
type History struct {
	Config Config
	Events []Event
}

// Recorder makes a history. It is for one goroutine.
type Recorder struct {
	History History
	last    int64
}

// NewRecorder returns a recorder that has recorded nothing.
func NewRecorder(config Config) *Recorder { return &Recorder{History: History{Config: config}} }

// Tick passes an instant that belongs to no event, and returns it.
func (r *Recorder) Tick() int64 {
	r.last++
	return r.last
}

// Invoke adds the beginning of an operation and returns its index, which names it.
func (r *Recorder) Invoke(e Event) int64 {
	e.Type, e.Of, e.Index = Invoke, 0, r.Tick()
	r.History.Events = append(r.History.Events, e)
	return e.Index
}

// Complete adds the end of the operation that of names.
func (r *Recorder) Complete(of int64, e Event) {
	e.Of, e.Index = of, r.Tick()
	r.History.Events = append(r.History.Events, e)
}
