package sim

import (
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/mutant"
	"github.com/heiban/heiban/netsim"
)

// Config is all that a run is a function of, besides its actors and observers.
// Zero durations and limits mean defaults.
type Config struct {
	Seed       uint64
	Nodes      int               // brokers, with ids from 0; default 1
	Properties map[string]string // of every broker, over those of the Tunables
	Racks      []string          // of the nodes by id; nil: none has one
	Tunables   *Tunables         // nil: drawn from the seed
	Plan       []Fault           // nil: drawn from the seed; empty: no faults
	Faults     PlanOptions       // how the plan is drawn
	Codec      batch.Codec       // nil: none, compressed batches are refused
	Safety     clock.Duration    // length of the phase with faults; default 3 s
	Liveness   clock.Duration    // longest phase after them; default 20 s
	EventsMax  int64             // budget; default 2,000,000
	Mutant     mutant.ID
	Wire       bool              // encode and decode every message
	Panics     bool              // let panics pass, for their stack
	Done       func() bool       // asked in the liveness phase: may the run end?
	Trace      func(line string) // nil: no text trace
}

// Tunables are the sizes, limits and latencies of one run. Small ones reach
// corners quickly.
type Tunables struct {
	Properties map[string]string
	Settings   log.Settings
	Latency    Latency
}

// Result is what came of a run.
type Result struct {
	Violations     []Violation
	Plan           []Fault
	Injected       [faultKindsEnd]int64 // by FaultKind: how often it really happened
	Disk           DiskCounts
	Net            netsim.Counts
	Seed           uint64
	Hash           uint64 // of every event and effect
	Events         int64
	Steps          int64 // of brokers
	Messages       int64
	SimulatedNanos int64
	OutOfBudget    bool // the event budget ended the run
	Settled        bool // Done said so, or nothing was left to happen
	MutantHits     int64
}

// Failed reports whether the run broke a promise.
func (r *Result) Failed() bool { return len(r.Violations) > 0 }
