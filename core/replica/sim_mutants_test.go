//go:build mutants

package replica_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/core/mutant"
)

// Each known bug is noticed by an invariant that should see it.
func TestProtocolKillsMutants(t *testing.T) {
	lost := []string{"LeaderCompleteness", "CandidateCompleteness", "ReadPrefix", "AckDurable"}
	for _, hunt := range []struct {
		id mutant.ID
		by []string
	}{
		{mutant.T1TruncateToHighWatermark, lost},
		{mutant.T2EpochOfEndIgnored, append([]string{"LogMatching", "EpochOrder"}, lost...)},
		{mutant.T3NoEpochAtElection, []string{"EpochStart", "Progress"}},
		{mutant.T5MarksBeforeTruncation, []string{"ReadPrefix", "HWBound"}},
		{mutant.T7StaleAnswer, []string{"LogMatching"}},
		{mutant.T8CountDiverging, lost},
		{mutant.T9NoEpochFencing, lost},
		{mutant.R1IgnoreLastReplica, lost},
		{mutant.R2CommittedISROnly, lost},
		{mutant.R4CommitUnderMinISR, []string{"MinISR"}},
		{mutant.R8UncappedHighWatermark, []string{"Assertion"}},
		{mutant.R9HighWatermarkBeyondLog, []string{"Assertion"}},
		{mutant.I1JoinBelowEpochStart, lost},
		{mutant.I2JoinBelowHighWatermark, lost},
		{mutant.I3KeepReplicaState, lost},
		{mutant.I5BrokerEpochIgnored, lost},
		{mutant.I9LateAnswerCounts, append([]string{"QuorumSuperset"}, lost...)},
	} {
		t.Run(hunt.id.String(), func(t *testing.T) {
			for seed := uint64(1); seed <= 10*(*seedsFlag); seed++ {
				if bad := run(drawPlan(seed), mutant.New(hunt.id)); bad != nil {
					t.Logf("seed %d: %s", seed, bad.text)
					require.True(t, slices.Contains(hunt.by, bad.invariant), "killed by %v", hunt.by)
					return
				}
			}
			t.Fatal("not noticed")
		})
	}
}
