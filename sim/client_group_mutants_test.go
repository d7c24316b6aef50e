//go:build mutants

package sim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/core/mutant"
)

// TestGroupMutantsDie: what members tell gives bugs of the coordinator away.
func TestGroupMutantsDie(t *testing.T) {
	for _, c := range []struct {
		id       mutant.ID
		kind     string
		checkers []string
	}{
		{mutant.G4CommitOfAnyone, "eager", []string{checker.CommittedOffsets}},
		{mutant.G7StaticNotFenced, "static", []string{checker.GroupOwners}},
		{
			mutant.G8RevokingIsFree, "consumer",
			[]string{checker.GroupOwners},
		},
		{mutant.G9SyncOfAnyone, "eager", []string{checker.GroupOwners, checker.GroupEpochs}},
	} {
		t.Run(c.id.String(), func(t *testing.T) {
			for seed := range uint64(100) {
				if _, found := playGroup(t, seed, c.id, benchKinds()[c.kind]); len(found) > 0 {
					require.Contains(t, c.checkers, found[0].Checker, "%s", found[0])
					t.Logf("seed %d: %s", seed, found[0])
					return
				}
			}
			t.Fatalf("%s survives", c.id)
		})
	}
}
