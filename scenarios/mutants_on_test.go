//go:build mutants

package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryMutantDies: each known bug is found, by a checker that should find it.
func TestEveryMutantDies(t *testing.T) {
	kills, err := HuntMutants(MutantOptions{Jobs: 2}, nil)
	require.NoError(t, err)
	require.Len(t, kills, len(Hunts()))
	for _, k := range kills {
		require.Positive(t, k.Hits, "%s: the bug's line runs", k.ID)
		require.True(t, k.Killed, "%s survives %d runs", k.ID, k.SeedsRun)
		require.True(t, k.Expected, "%s is found by %s/%s", k.ID, k.Checker, k.Kind)
	}

	one, err := HuntMutants(MutantOptions{IDs: []string{"R5"}, From: 1000, BudgetMax: 5}, nil)
	require.NoError(t, err)
	require.Len(t, one, 1)
	require.Equal(t, "R5", one[0].ID)
}
