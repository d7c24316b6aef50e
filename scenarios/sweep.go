package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/heiban/heiban/core/compress"
	"github.com/heiban/heiban/sim"
)

// SweepOptions say what a sweep runs.
type SweepOptions struct {
	Scenarios []sim.Scenario // nil: All
	From, To  uint64         // seeds, To exclusive
	Time      time.Duration  // no run begins after so long; 0: no limit
	Jobs      int            // runs at a time; 0: one
	Twice     uint64         // every so manyth seed runs twice; 0: none
	Stop      <-chan struct{}
}

// Failure is one run that broke a promise.
type Failure struct {
	Scenario   string   `json:"scenario"`
	Seed       uint64   `json:"seed"`
	Violations []string `json:"violations"`
	Reproduce  string   `json:"reproduce"` // the one line that repeats it
}

// Summary is what came of all runs of one scenario.
type Summary struct {
	Scenario         string  `json:"scenario"`
	Seeds            int64   `json:"seeds"`
	Events           int64   `json:"events"`
	Failures         int64   `json:"failures"`
	Excused          int64   `json:"excused"` // records lost, which faults explain
	SimulatedSeconds float64 `json:"simulated_s"`
	WallSeconds      float64 `json:"wall_s"` // added up over all jobs
	EventsPerSecond  float64 `json:"events_per_s"`
	Hash             string  `json:"hash"` // of all runs, whatever their order
	hash             uint64
	nanos            int64
}

// Ran is one run of a sweep that has ended.
type Ran struct {
	Scenario string
	Seed     uint64
	Outcome  *sim.Outcome
	Failure  *Failure // nil if it kept all promises
}

// SweepResult is what came of a sweep.
type SweepResult struct {
	Summaries []Summary // in the order of the scenarios
	Failures  []Failure // by scenario and seed
}

// Reproduce returns the one line that repeats a run.
func Reproduce(scenario string, seed uint64) string {
	return fmt.Sprintf("heiban sim run %s --seed %d", scenario, seed)
}

// wireEvery says which seeds encode and decode every message: every fourth.
const wireEvery = 4

// Options returns what a sweep runs a seed with, and so what repeats it.
func Options(seed uint64) sim.RunOptions {
	return sim.RunOptions{Codec: new(compress.Codec), Wire: seed%wireEvery == 0}
}

// Sweep runs every scenario with every seed. Report, which may be nil, is told of
// each run that has ended, of one at a time. An error means that a scenario is wrong.
func Sweep(o SweepOptions, report func(Ran)) (*SweepResult, error) {
	if o.Scenarios == nil {
		o.Scenarios = All()
	}
	s := sweep{options: o, report: report, summaries: make([]Summary, len(o.Scenarios))}
	for i := range o.Scenarios {
		s.summaries[i].Scenario = o.Scenarios[i].Name
	}
	work := make(chan task)
	var workers sync.WaitGroup
	for range max(o.Jobs, 1) {
		workers.Go(func() {
			for t := range work {
				s.run(t)
			}
		})
	}
	s.feed(work)
	close(work)
	workers.Wait()
	return s.result(), s.err
}

// task is one run.
type task struct {
	scenario int
	seed     uint64
}

type sweep struct {
	options SweepOptions
	report  func(Ran)

	mu        sync.Mutex
	summaries []Summary
	failures  []Failure
	err       error
}

// feed hands out the runs, all scenarios of a seed before the next seed.
func (s *sweep) feed(work chan<- task) {
	var over <-chan time.Time
	if s.options.Time > 0 {
		timer := time.NewTimer(s.options.Time)
		defer timer.Stop()
		over = timer.C
	}
	for seed := s.options.From; seed < s.options.To; seed++ {
		for i := range s.options.Scenarios {
			select {
			case work <- task{i, seed}:
			case <-over:
				return
			case <-s.options.Stop:
				return
			}
		}
	}
}

func (s *sweep) run(t task) {
	scenario := &s.options.Scenarios[t.scenario]
	begin := time.Now()
	options := Options(t.seed)
	outcome, err := scenario.Run(t.seed, &options)
	var again *sim.Outcome
	if err == nil && s.options.Twice > 0 && t.seed%s.options.Twice == 0 {
		again, err = scenario.Run(t.seed, &options)
	}
	wall := time.Since(begin)

	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if s.err == nil {
			s.err = fmt.Errorf("scenario %s, seed %d: %w", scenario.Name, t.seed, err)
		}
		return
	}
	failure := Judge(scenario.Name, t.seed, outcome, again)
	s.add(t, outcome, failure, wall)
	if s.report != nil {
		s.report(Ran{Scenario: scenario.Name, Seed: t.seed, Outcome: outcome, Failure: failure})
	}
}

// Judge makes a failure of a run that broke a promise, or that came out otherwise
// when it was run again.
func Judge(scenario string, seed uint64, outcome, again *sim.Outcome) *Failure {
	var all []string
	for _, v := range outcome.Violations {
		all = append(all, v.String())
	}
	if outcome.OutOfBudget {
		all = append(all,
			fmt.Sprintf("Engine/out-of-budget: no end after %d events", outcome.Events))
	}
	if again != nil && (again.Hash != outcome.Hash || again.Events != outcome.Events) {
		all = append(all, fmt.Sprintf("Engine/nondeterminism: hash %016x after %d events, "+
			"then %016x after %d", outcome.Hash, outcome.Events, again.Hash, again.Events))
	}
	if len(all) == 0 {
		return nil
	}
	return &Failure{
		Scenario: scenario, Seed: seed, Violations: all, Reproduce: Reproduce(scenario, seed),
	}
}

func (s *sweep) add(t task, o *sim.Outcome, failure *Failure, wall time.Duration) {
	sum := &s.summaries[t.scenario]
	sum.Seeds++
	sum.Events += o.Events
	sum.Excused += o.Excused.Acked + o.Excused.Committed
	sum.nanos += o.SimulatedNanos
	sum.WallSeconds += wall.Seconds()
	// A sum does not depend on the order of the runs.
	sum.hash += (o.Hash ^ t.seed*0x9e3779b97f4a7c15) * 0xa0761d6478bd642f
	if failure != nil {
		sum.Failures++
		s.failures = append(s.failures, *failure)
	}
}

func (s *sweep) result() *SweepResult {
	for i := range s.summaries {
		sum := &s.summaries[i]
		sum.SimulatedSeconds = float64(sum.nanos) / 1e9
		if sum.WallSeconds > 0 {
			sum.EventsPerSecond = float64(sum.Events) / sum.WallSeconds
		}
		sum.Hash = fmt.Sprintf("%016x", sum.hash)
	}
	slices.SortFunc(s.failures, func(a, b Failure) int {
		if c := strings.Compare(a.Scenario, b.Scenario); c != 0 {
			return c
		}
		if a.Seed < b.Seed {
			return -1
		}
		return 1
	})
	return &SweepResult{Summaries: s.summaries, Failures: s.failures}
}
