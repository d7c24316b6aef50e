package log

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRetentionCrashReordered crashes the renaming of three segments at every operation,
// and lets names that were not synced survive in many patterns. Without a checkpoint of
// the log start offset, the log must go on without a gap from wherever it begins.
func TestRetentionCrashReordered(t *testing.T) {
	for _, pattern := range []uint{0, 0b1, 0b10, 0b100, 0b1000, 0b111, 0b1111, 0b10101010, 0xff} {
		for budget := 0; ; budget++ {
			c := transactionsLog(t)
			c.cfg.CleanupCompact = false
			bases := []int64{c.closed[0].base, c.closed[1].base, c.closed[2].base}
			keep := c.closed[3].base
			want := append(bases[:3:3], keep, c.active.base)
			j := &doomSegments{
				dir: c.dir, keep: segmentPath(c.dir, keep, logSuffix), bases: bases, mutants: c.set.Mutants,
			}
			c.files.budget = budget
			_, done := j.Run(&Devices{Files: c.files})
			bit := -1
			c.files.crashBy(func(int) int { bit++; return int(pattern >> (bit % 8) & 1) })

			recovery := &Recover{
				Dir: c.dir, Config: c.cfg, Settings: c.set, HighWatermark: c.end, RecoveryPoint: c.end,
			}
			result, err := recovery.Run(&Devices{Files: c.files})
			require.NoError(t, err)
			var got []int64
			for _, s := range result.(*Recovered).segments {
				got = append(got, s.base)
			}
			at := fmt.Sprintf("pattern %b, budget %d", pattern, budget)
			require.GreaterOrEqual(t, len(got), 2, at)
			require.LessOrEqual(t, len(got), len(want), at)
			require.Equal(t, want[len(want)-len(got):], got, at)
			if done == nil {
				break
			}
		}
	}
}
