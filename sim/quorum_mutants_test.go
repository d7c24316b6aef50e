//go:build mutants

package sim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/core/compress"
	"github.com/heiban/heiban/core/mutant"
)

// Known bugs of how a node hosts its part in the quorum are found by what the nodes then
// do to the metadata log.
func TestQuorumMutantsDie(t *testing.T) {
	for _, id := range []mutant.ID{mutant.K7SnapshotAboveCommit, mutant.K8AckBeforeSync} {
		const most = 40
		killed := false
		for seed := uint64(0); seed < most && !killed; seed++ {
			o, err := snapshotting.Run(seed, &RunOptions{Codec: new(compress.Codec), Mutant: id})
			require.NoError(t, err)
			killed = o.Failed() && o.MutantHits > 0
		}
		require.True(t, killed, "%s survives %d seeds", id, most)
	}
}
