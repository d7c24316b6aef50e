package scenarios

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/mutant"
	"github.com/heiban/heiban/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestScenarios runs every scenario with a few seeds.
func TestScenarios(t *testing.T) {
	for _, s := range All() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			seeds := uint64(6)
			if s.Setup(0).Config.Nodes > 1 {
				seeds = 2
			}
			result, err := Sweep(SweepOptions{Scenarios: []sim.Scenario{s}, To: seeds, Twice: 3},
				nil)
			require.NoError(t, err)
			for _, f := range result.Failures {
				t.Errorf("%s\nreproduce: %s", f.Violations[0], f.Reproduce)
			}
			sum := result.Summaries[0]
			require.EqualValues(t, seeds, sum.Seeds)
			require.Greater(t, sum.Events, int64(1000), "something happens")
			require.Greater(t, sum.SimulatedSeconds, 1.0)
		})
	}
}

func TestScenariosAreWellNamed(t *testing.T) {
	all := All()
	require.GreaterOrEqual(t, len(all), 10)
	require.True(t, slices.IsSortedFunc(all, func(a, b sim.Scenario) int {
		require.NotEqual(t, a.Name, b.Name)
		if a.Name < b.Name {
			return -1
		}
		return 1
	}))
	for _, s := range all {
		require.Regexp(t, `^[a-z]+(-[a-z]+)*$`, s.Name)
		require.NotContains(t, s.Text, "\n")
		require.NotEmpty(t, s.Text)
		found, err := Find(s.Name)
		require.NoError(t, err)
		require.Equal(t, s.Name, found.Name)
	}
	_, err := Find("no-such")
	require.EqualError(t, err, `there is no scenario "no-such"`)
}

// TestSetupsAreDrawnAlike: a setup is a function of the seed, and its faults lie in
// the safety phase.
func TestSetupsAreDrawnAlike(t *testing.T) {
	for _, s := range All() {
		for seed := range uint64(50) {
			setup := s.Setup(seed)
			require.Equal(t, setup, s.Setup(seed))
			require.Equal(t, clock.Minute, setup.Config.Liveness)
			for _, f := range setup.Config.Plan {
				require.Less(t, f.At, clock.Instant(setup.Config.Safety), "%s %d", s.Name, seed)
			}
			for _, d := range setup.Duplicators {
				require.Less(t, d.Victim, len(setup.Producers))
			}
		}
	}
}

// TestSweepDoesNotDependOnJobs: the summary of the same seeds is the same.
func TestSweepDoesNotDependOnJobs(t *testing.T) {
	options := SweepOptions{To: 3}
	for _, name := range []string{"crash-under-load", "power-loss-page-cache"} {
		s, err := Find(name)
		require.NoError(t, err)
		options.Scenarios = append(options.Scenarios, s)
	}
	var told []uint64
	one, err := Sweep(options, func(r Ran) { told = append(told, r.Seed) })
	require.NoError(t, err)
	require.Equal(t, []uint64{0, 0, 1, 1, 2, 2}, told)

	options.Jobs = 4
	four, err := Sweep(options, nil)
	require.NoError(t, err)
	for i := range one.Summaries {
		a, b := one.Summaries[i], four.Summaries[i]
		require.Positive(t, a.WallSeconds)
		a.WallSeconds, b.WallSeconds, a.EventsPerSecond, b.EventsPerSecond = 0, 0, 0, 0
		require.Equal(t, a, b)
	}
	text, err := json.Marshal(one.Summaries[0])
	require.NoError(t, err)
	for _, key := range []string{
		"scenario", "seeds", "events", "failures", "excused", "simulated_s", "wall_s",
		"events_per_s", "hash",
	} {
		require.Contains(t, string(text), `"`+key+`"`)
	}
}

func TestSweepEnds(t *testing.T) {
	begin := time.Now()
	result, err := Sweep(SweepOptions{To: 1 << 40, Time: 50 * time.Millisecond, Jobs: 2}, nil)
	require.NoError(t, err)
	require.Positive(t, result.Summaries[0].Seeds)
	require.Less(t, time.Since(begin), 30*time.Second)

	stop := make(chan struct{})
	runs := 0
	_, err = Sweep(SweepOptions{To: 1 << 40, Stop: stop}, func(Ran) {
		if runs++; runs == 3 {
			close(stop)
		}
	})
	require.NoError(t, err)
	require.GreaterOrEqual(t, runs, 3)
}

// TestSweepTellsFailures: a scenario that cannot succeed fails, with a line to repeat
// it by; one that cannot run is an error.
func TestSweepTellsFailures(t *testing.T) {
	hopeless := sim.Scenario{Name: "hopeless", Draw: func(r *sim.Rand, s *sim.Setup) {
		basicNetwork(r, s)
		s.Config.Liveness = clock.Millisecond
		s.Config.Plan = []sim.Fault{}
	}}
	result, err := Sweep(SweepOptions{Scenarios: []sim.Scenario{hopeless}, From: 5, To: 6}, nil)
	require.NoError(t, err)
	require.Len(t, result.Failures, 1)
	require.Equal(t, "heiban sim run hopeless --seed 5", result.Failures[0].Reproduce)
	require.Contains(t, result.Failures[0].Violations[0], "Progress/")
	require.EqualValues(t, 1, result.Summaries[0].Failures)

	wrong := sim.Scenario{Name: "wrong", Draw: func(r *sim.Rand, s *sim.Setup) {
		basicNetwork(r, s)
		s.Config.Properties["heiban.durability"] = "no such"
	}}
	_, err = Sweep(SweepOptions{Scenarios: []sim.Scenario{wrong}, To: 1}, nil)
	require.ErrorContains(t, err, "scenario wrong, seed 0")
}

// TestFaultsMatter: each scenario's faults really happen.
func TestFaultsMatter(t *testing.T) {
	for name, kinds := range map[string][]sim.FaultKind{
		"crash-under-load":  {sim.Crash},
		"power-loss-fsync":  {sim.PowerOff},
		"corrupt-tail":      {sim.BitRot},
		"disk-full":         {sim.FullDisk},
		"failing-disk":      {sim.SyncError, sim.StuckDisk, sim.WriteError},
		"bad-clocks":        {sim.ClockJump, sim.Pause},
		"rolling-restarts":  {sim.Restart},
		"idempotence-storm": {sim.ConnReset, sim.LinkCut},
	} {
		s, err := Find(name)
		require.NoError(t, err)
		var injected [64]int64
		_, err = Sweep(SweepOptions{Scenarios: []sim.Scenario{s}, To: 30, Jobs: 2}, func(r Ran) {
			for k, n := range r.Outcome.Injected {
				injected[k] += n
			}
		})
		require.NoError(t, err)
		for _, k := range kinds {
			require.Positive(t, injected[k], "%s: %s", name, k)
		}
	}
}

// TestEveryMutantIsHunted: the hunts name all known bugs of a single node and of groups,
// and scenarios that exist.
func TestEveryMutantIsHunted(t *testing.T) {
	var hunted []mutant.ID
	for _, h := range Hunts() {
		hunted = append(hunted, h.ID)
		require.NotEmpty(t, h.Checkers)
		require.Positive(t, h.Budget)
		for _, name := range h.Scenarios {
			_, err := Find(name)
			require.NoError(t, err)
		}
	}
	require.Subset(t, hunted, mutant.SingleNode())
	for _, id := range []mutant.ID{
		mutant.G4CommitOfAnyone, mutant.G5ExpireInRebalance, mutant.G7StaticNotFenced,
		mutant.G8RevokingIsFree, mutant.G9SyncOfAnyone,
	} {
		require.Contains(t, hunted, id)
	}
}
