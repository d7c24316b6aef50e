package replica_test

import (
	"flag"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/core/mutant"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "the only seed to run")
	traceFlag = flag.Bool("tell", false, "tell what happens")
	seedsFlag = flag.Uint64("seeds", 3000, "how many seeds to run")
)

// Whatever the faults, nothing is lost that was acknowledged, nothing is read that is
// not committed, and without faults all replicas become equal and in sync.
func TestProtocol(t *testing.T) {
	from, to := uint64(1), *seedsFlag
	if *seedFlag != 0 {
		from, to = *seedFlag, *seedFlag
	}
	for seed := from; seed <= to; seed++ {
		if bad := run(drawPlan(seed), mutant.Set{}); bad != nil {
			t.Fatalf("%s\nreproduce: go test ./core/replica -run TestProtocol -seed=%d", bad.text, seed)
		}
	}
}

// The same seed plays the same run, to the last step and record.
func TestProtocolRepeats(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		first, second := newWorld(drawPlan(seed), mutant.Set{}), newWorld(drawPlan(seed), mutant.Set{})
		for range 5000 {
			for _, w := range []*world{first, second} {
				e := w.pop()
				w.now = e.at
				e.do()
			}
			require.Equal(t, first.now, second.now)
		}
		require.Equal(t, first.oracle.promises, second.oracle.promises)
		require.Equal(t, first.controller.p, second.controller.p)
	}
}

// The runs do what they are for: records are committed over many elections, leaders
// propose, logs are cut and brokers lose what they did not sync.
func TestProtocolIsExercised(t *testing.T) {
	var committed, forgiven, epochs, proposals, cuts, crashes int
	for seed := uint64(1); seed <= 200; seed++ {
		w := newWorld(drawPlan(seed), mutant.Set{})
		for w.now < faultsEnd {
			e := w.pop()
			w.now = e.at
			e.do()
		}
		for _, p := range w.oracle.promises {
			if p.made {
				committed++
			}
			if p.forgiven || p.changed {
				forgiven++
			}
		}
		epochs += int(w.controller.p.LeaderEpoch)
		proposals += slices.Max(w.controller.altered)
		for _, n := range w.nodes {
			crashes += n.life
			cuts += n.cuts
		}
	}
	t.Logf("%d committed, %d excused, %d epochs, %d proposals, %d cuts, %d crashes",
		committed, forgiven, epochs, proposals, cuts, crashes)
	require.Greater(t, committed, 200*20)
	require.Positive(t, forgiven)
	require.Less(t, forgiven, committed/20)
	require.Greater(t, epochs, 200*5)
	require.Greater(t, proposals, 200*2)
	require.Greater(t, cuts, 200)
	require.Greater(t, crashes, 200)
}
