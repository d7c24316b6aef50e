//go:build mutants

package quorum

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/core/mutant"
)

// TestMutantsAreKilled switches on each known bug of this package: some seed of the
// budget must show it, and every seed before must be clean without it.
func TestMutantsAreKilled(t *testing.T) {
	const seeds = 3000
	for _, id := range []mutant.ID{
		mutant.K7SnapshotAboveCommit, mutant.K8AckBeforeSync, mutant.K9MessagesBeforeHardState,
		mutant.K10MembershipWithoutCommit,
	} {
		t.Run(id.String(), func(t *testing.T) {
			for seed := range uint64(seeds) {
				p := drawPlan(seed)
				p.mutants = mutant.New(id)
				r := run(p)
				if r.failure == "" {
					continue
				}
				require.NotZero(t, p.mutants.Hits())
				require.Empty(t, run(drawPlan(seed)).failure, "without the mutant")
				t.Logf("%s: %s", id, r.failure)
				return
			}
			t.Fatalf("%s survived %d seeds", id, seeds)
		})
	}
}
