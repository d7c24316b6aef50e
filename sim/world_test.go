package sim

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/compress"
)

// mixed is a small cluster under all kinds of clients and faults.
var mixed = Scenario{Name: "mixed", Draw: func(r *Rand, s *Setup) {
	s.Config.Safety = 700 * clock.Millisecond
	s.Config.Liveness = 30 * clock.Second
	s.Config.Faults = PlanOptions{PerSecondMax: 20}
	s.Config.Tunables.Settings.SequenceMax = math.MaxInt32
	s.Config.Properties = map[string]string{"heiban.durability": "fsync"}
	s.Policy.Fsync = true
	s.Topics = []TopicSpec{{Name: "t", Partitions: 2}}
	s.Admins = []AdminConfig{{Interval: clock.Millisecond}}
	for i := range 3 {
		s.Producers = append(s.Producers, ProducerConfig{
			Topics: []string{"t"}, Batches: 60, RecordsMax: 5, ValueMax: 300,
			Interval: 3 * clock.Millisecond, VersionMin: 9, VersionMax: 13,
			Acks: int16(i%2)*2 - 1, Idempotent: i == 0, Compress: i == 2,
		})
	}
	s.Consumers = []ConsumerConfig{{
		Topics: []string{"t"}, Interval: 5 * clock.Millisecond, Audit: true,
		VersionMin: 12, VersionMax: 17,
	}}
}}

func runMixed(t testing.TB, seed uint64, o RunOptions) *Outcome {
	if o.Codec == nil {
		o.Codec = new(compress.Codec)
	}
	outcome, err := mixed.Run(seed, &o)
	require.NoError(t, err)
	return outcome
}

// print says on one line what must be equal in equal runs.
func (r *Result) print() string {
	return fmt.Sprintf("seed=%d hash=%016x events=%d steps=%d messages=%d nanos=%d",
		r.Seed, r.Hash, r.Events, r.Steps, r.Messages, r.SimulatedNanos)
}

const seeds = 12

func prints(t testing.TB) []string {
	var lines []string
	for seed := range uint64(seeds) {
		lines = append(lines, runMixed(t, seed, RunOptions{}).print())
	}
	return lines
}

func TestSeedIsTheWholeRun(t *testing.T) {
	first := prints(t)
	require.Equal(t, first, prints(t))
	hashes := map[string]bool{}
	for _, line := range first {
		hashes[strings.Fields(line)[1]] = true
	}
	require.Len(t, hashes, seeds, "different seeds are different runs")
}

func TestProcessorsAndNeighboursChangeNothing(t *testing.T) {
	want := prints(t)
	for _, procs := range []int{1, 4} {
		before := runtime.GOMAXPROCS(procs)
		got := make([]string, seeds)
		var wg sync.WaitGroup
		for seed := range uint64(seeds) {
			wg.Go(func() { got[seed] = runMixed(t, seed, RunOptions{}).print() })
		}
		wg.Wait()
		runtime.GOMAXPROCS(before)
		require.Equal(t, want, got, "GOMAXPROCS=%d", procs)
	}
}

const childVariable = "HEIBAN_SIM_TEST_PRINT"

func TestProcessChangesNothing(t *testing.T) {
	if os.Getenv(childVariable) != "" {
		for _, line := range prints(t) {
			fmt.Println(line)
		}
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^TestProcessChangesNothing$")
	child.Env = append(os.Environ(), childVariable+"=1", "GOGC=20")
	out, err := child.Output()
	require.NoError(t, err)
	for _, line := range prints(t) {
		require.Contains(t, string(out), line+"\n")
	}
}

func TestWireModeIsTheSameRun(t *testing.T) {
	for seed := range uint64(seeds) {
		object := runMixed(t, seed, RunOptions{})
		wire := runMixed(t, seed, RunOptions{Wire: true})
		require.Equal(t, object.print(), wire.print())
	}
}

func TestTraceIsTheSameRun(t *testing.T) {
	lines := 0
	traced := runMixed(t, 3, RunOptions{Trace: func(string) { lines++ }})
	require.Greater(t, lines, 100)
	require.Equal(t, runMixed(t, 3, RunOptions{}).print(), traced.print())
}

// To take the last fault out of a plan changes nothing before that fault.
func TestPlansCanBeShortened(t *testing.T) {
	changed := 0
	for seed := range uint64(seeds) {
		plan := runMixed(t, seed, RunOptions{}).Plan
		if len(plan) == 0 {
			continue
		}
		last := plan[len(plan)-1]
		a, b := mixedWorld(t, seed, plan), mixedWorld(t, seed, plan[:len(plan)-1])
		_, at, differ := Lockstep(a, b)
		if differ {
			changed++
			require.GreaterOrEqual(t, at, last.At, "seed %d", seed)
		}
	}
	require.Greater(t, changed, 3)
}

// mixedWorld makes the world of a run of the scenario, without judge.
func mixedWorld(t *testing.T, seed uint64, plan []Fault) *World {
	setup := mixed.Setup(seed)
	setup.Config.Codec, setup.Config.Plan = new(compress.Codec), plan
	w, err := New(setup.Config)
	require.NoError(t, err)
	setup.populate(w, checker.NewJudge(checker.Limits{
		SequenceMax: setup.Config.Tunables.Settings.SequenceMax,
	}))
	return w
}

func TestLockstepFindsNoDifferenceWhereThereIsNone(t *testing.T) {
	plan := DrawPlan(1, &PlanOptions{KeepAll: true}, 1, clock.Second)
	_, _, differ := Lockstep(mixedWorld(t, 1, plan), mixedWorld(t, 1, plan))
	require.False(t, differ)
}

// Every kind of fault happens, and each leaves its mark.
func TestFaultsReallyHappen(t *testing.T) {
	var total Result
	kinds := append(DefaultFaults(), BitRot)
	for seed := range uint64(40) {
		var plan []Fault
		for _, kind := range kinds {
			o := PlanOptions{Kinds: []FaultKind{kind}, PerSecondMax: 3, KeepAll: true}
			plan = append(plan, DrawPlan(seed<<8|uint64(kind), &o, 1, 700*clock.Millisecond)...)
		}
		w := mixedWorld(t, seed, plan)
		w.config.Liveness = clock.Second
		r := w.Run()
		for kind, n := range r.Injected {
			total.Injected[kind] += n
		}
		total.Disk.add(&r.Disk)
		total.Net.Breaks += r.Net.Breaks
		total.Net.Stalls += r.Net.Stalls
		total.Net.Refusals += r.Net.Refusals
		total.Net.GaveUp += r.Net.GaveUp
		total.Net.Swallowed += r.Net.Swallowed
	}
	for _, kind := range kinds {
		require.NotZero(t, total.Injected[kind], kind.String())
	}
	for name, count := range map[string]int64{
		"write errors": total.Disk.WriteErrors, "read errors": total.Disk.ReadErrors,
		"sync errors": total.Disk.SyncErrors, "syncs dropped": total.Disk.SyncsDropped,
		"no space": total.Disk.NoSpace, "jobs cut": total.Disk.JobsCut,
		"lost operations": total.Disk.LostOps, "torn operations": total.Disk.TornOps,
		"lost names": total.Disk.LostNames, "lost bytes": total.Disk.LostBytes,
		"rotten bits": total.Disk.RottenBits, "breaks": total.Net.Breaks,
		"stalls": total.Net.Stalls, "refusals": total.Net.Refusals,
		"given up": total.Net.GaveUp, "swallowed": total.Net.Swallowed,
	} {
		require.NotZero(t, count, name)
	}
}

// What is under way on a slow disk takes its time only until the slowness ends, be it
// that the fault is over or that the world is healed.
func TestSlownessOfADiskEnds(t *testing.T) {
	const ms = clock.Millisecond
	w := mixedWorld(t, 1, []Fault{})
	n := w.nodes[0]
	require.Equal(t, 7*ms, n.slowed(7*ms))
	slow := &Fault{Kind: SlowDisk, Param: 50, For: 100 * ms}
	require.True(t, w.injectDisk(n, slow))
	require.Equal(t, 50*ms, n.slowed(ms))
	require.Equal(t, 100*ms, n.slowed(2*ms))
	require.Equal(t, 101*ms, n.slowed(3*ms))
	require.Equal(t, 100*ms+998*ms, n.slowed(1000*ms), "98 percent of it is left")
	w.now = w.now.Add(75 * ms)
	require.Equal(t, 25*ms+ms/2, n.slowed(ms))
	w.now = w.now.Add(25 * ms)
	require.Equal(t, 7*ms, n.slowed(7*ms))

	require.True(t, w.injectDisk(n, slow))
	n.heal()
	require.Equal(t, 7*ms, n.slowed(7*ms))
}

// accuser finds a violation, or breaks down, when the faults are over.
type accuser struct {
	Silent
	panic bool
	found []Violation
}

func (a *accuser) Healed(clock.Instant) {
	if a.panic {
		panic("a bug of the core")
	}
	a.found = append(a.found, Violation{Checker: "Accuser", Kind: "guilty"})
}

func (a *accuser) Found() []Violation { return a.found }

func TestRunStopsAtTheFirstViolation(t *testing.T) {
	w := mixedWorld(t, 1, []Fault{})
	w.Observe(&accuser{})
	r := w.Run()
	require.Equal(t, []Violation{{Checker: "Accuser", Kind: "guilty"}}, r.Violations)
	require.Equal(t, int64(w.config.Safety), r.SimulatedNanos)
	require.True(t, r.Failed())
	require.Same(t, r, w.Run(), "a world runs once")
}

func TestPanicIsAViolation(t *testing.T) {
	w := mixedWorld(t, 1, []Fault{})
	w.Observe(&accuser{panic: true})
	r := w.Run()
	require.Equal(t, []Violation{{Checker: "Engine", Kind: "panic", Text: "a bug of the core"}},
		r.Violations)
	require.NotZero(t, r.Hash)

	w = mixedWorld(t, 1, []Fault{})
	w.config.Panics = true
	w.Observe(&accuser{panic: true})
	require.PanicsWithValue(t, "a bug of the core", func() { w.Run() })
}

func TestBudgetEndsTheRun(t *testing.T) {
	w := mixedWorld(t, 1, []Fault{})
	w.config.EventsMax = 500
	r := w.Run()
	require.True(t, r.OutOfBudget)
	require.Equal(t, int64(500), r.Events)
}

func TestBadConfigurationIsAnError(t *testing.T) {
	_, err := New(Config{Properties: map[string]string{"log.segment.bytes": "many"}})
	require.ErrorContains(t, err, "log.segment.bytes")
}

func TestPlanIsDrawnFromTheSeedAlone(t *testing.T) {
	empty, full := 0, 0
	for seed := range uint64(300) {
		o := &PlanOptions{}
		plan := DrawPlan(seed, o, 2, 3*clock.Second)
		require.Equal(t, plan, DrawPlan(seed, o, 2, 3*clock.Second))
		if len(plan) == 0 {
			empty++
		}
		full += len(plan)
		for i, f := range plan {
			require.Less(t, f.At, clock.Instant(3*clock.Second))
			require.Contains(t, ClusterFaults(), f.Kind)
			require.True(t, i == 0 || plan[i-1].At <= f.At)
		}
	}
	require.Greater(t, empty, 5)
	require.Greater(t, full, 1000)
}

func BenchmarkRun(b *testing.B) {
	b.ReportAllocs()
	codec := new(compress.Codec)
	var events, seed int64
	for b.Loop() {
		events += runMixed(b, uint64(seed), RunOptions{Codec: codec}).Events
		seed++
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}
