package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/core/mutant"
	"github.com/heiban/heiban/sim"
)

// Hunt says how a known bug is to be found: by running which scenarios, and by
// which checkers.
type Hunt struct {
	ID        mutant.ID
	Scenarios []string
	Checkers  []string
	Budget    uint64 // seeds of each scenario
}

// Hunts returns how each known bug is to be found.
func Hunts() []Hunt { return slices.Concat(nodeHunts(), groupHunts()) }

// nodeHunts are for the bugs of a single node.
func nodeHunts() []Hunt {
	return []Hunt{
		{
			mutant.D1KeepTornTail,
			[]string{"power-loss-page-cache", "power-loss-fsync", "corrupt-tail"},
			[]string{checker.RecoveryFidelity, checker.ReadPrefix, checker.AppendShape},
			2000,
		},
		{
			mutant.D2RecoveryPointBeforeSync,
			[]string{"power-loss-page-cache", "power-loss-fsync", "retention"},
			[]string{
				checker.RecoveryFidelity, checker.ReadPrefix, checker.AckDurable,
				checker.AckPolicy, // a restart commits what it takes for synced
			},
			5000,
		},
		{
			mutant.D3SnapshotWithoutSync,
			[]string{"idempotence-power"},
			[]string{checker.ProducerSequence},
			5000,
		},
		{
			mutant.D7NoDirectorySync,
			[]string{"power-loss-fsync", "compaction", "retention"},
			[]string{checker.AckDurable, checker.RecoveryFidelity},
			5000,
		},
		{
			mutant.P1LastBatchOnly,
			[]string{"idempotence-storm", "basic-network"},
			[]string{checker.ProducerSequence},
			1000,
		},
		{
			mutant.P2StateBeforeAppend,
			[]string{"refused-batches", "idempotence-storm"},
			[]string{checker.ProducerSequence, checker.AckPolicy},
			2000,
		},
		{
			mutant.R5AckBeforeHighWatermark,
			[]string{"power-loss-fsync", "crash-under-load"},
			[]string{checker.AckPolicy, checker.AckDurable},
			100,
		},
		{
			mutant.R7ReadToLogEnd,
			[]string{"power-loss-fsync", "basic-network"},
			[]string{checker.ReadPrefix},
			100,
		},
		{
			mutant.F1RetryFailedSync,
			[]string{"failing-disk"},
			[]string{checker.AckPolicy, checker.AckDurable},
			2000,
		},
	}
}

// Kill is what came of a hunt.
type Kill struct {
	ID          string `json:"id"`
	Killed      bool   `json:"killed"`
	Checker     string `json:"checker,omitempty"` // that found it
	Kind        string `json:"kind,omitempty"`
	Expected    bool   `json:"expected"` // that checker should have
	Scenario    string `json:"scenario,omitempty"`
	Seed        uint64 `json:"seed"` // that found it
	SeedsToKill uint64 `json:"seeds_to_kill"`
	SeedsRun    uint64 `json:"seeds_run"`
	Hits        int64  `json:"hits"` // how often the bug's line ran
}

// errNoMutants says that the build has no mutants.
var errNoMutants = errors.New("this binary was built without -tags mutants")

// MutantOptions say which known bugs are hunted.
type MutantOptions struct {
	IDs       []string // nil: all
	From      uint64   // first seed
	BudgetMax uint64   // seeds for each scenario, at most; 0: as the hunt says
	Jobs      int
}

// HuntMutants hunts known bugs, each alone, and tells report, which may be nil, of
// each hunt that has ended.
func HuntMutants(o MutantOptions, report func(Kill)) ([]Kill, error) {
	if !mutant.Enabled {
		return nil, errNoMutants
	}
	hunts := Hunts()
	if o.IDs != nil {
		hunts = slices.DeleteFunc(hunts, func(h Hunt) bool {
			return !slices.Contains(o.IDs, h.ID.String())
		})
	}
	kills := make([]Kill, len(hunts))
	failed := make([]error, len(hunts))
	var mu sync.Mutex
	var hunters sync.WaitGroup
	next := make(chan int)
	for range max(o.Jobs, 1) {
		hunters.Go(func() {
			for i := range next {
				kills[i], failed[i] = hunts[i].run(&o)
				mu.Lock()
				if report != nil {
					report(kills[i])
				}
				mu.Unlock()
			}
		})
	}
	for i := range hunts {
		next <- i
	}
	close(next)
	hunters.Wait()
	return kills, errors.Join(failed...)
}

// run hunts one bug, seed by seed through all its scenarios.
func (h *Hunt) run(o *MutantOptions) (Kill, error) {
	k := Kill{ID: h.ID.String()}
	budget := h.Budget
	if o.BudgetMax > 0 {
		budget = min(budget, o.BudgetMax)
	}
	for seed := o.From; seed < o.From+budget; seed++ {
		for _, name := range h.Scenarios {
			scenario, err := Find(name)
			if err != nil {
				return k, err
			}
			options := Options(seed)
			options.Mutant = h.ID
			outcome, err := scenario.Run(seed, &options)
			if err != nil {
				return k, fmt.Errorf("mutant %s, scenario %s, seed %d: %w", k.ID, name, seed, err)
			}
			k.SeedsRun++
			k.Hits += outcome.MutantHits
			if outcome.Failed() {
				sound, err := soundWithout(&scenario, seed)
				if err != nil {
					return k, err
				}
				if !sound {
					continue
				}
				v := outcome.Violations[0]
				k.Killed, k.Checker, k.Kind, k.Seed = true, v.Checker, v.Kind, seed
				k.Scenario, k.SeedsToKill = name, k.SeedsRun
				k.Expected = slices.Contains(h.Checkers, v.Checker)
				return k, nil
			}
		}
	}
	return k, nil
}

// soundWithout reports whether a run keeps its promises without the bug: if it does
// not, what the run with the bug found says nothing.
func soundWithout(s *sim.Scenario, seed uint64) (bool, error) {
	options := Options(seed)
	outcome, err := s.Run(seed, &options)
	return err == nil && !outcome.Failed(), err
}
