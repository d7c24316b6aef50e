package sim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/core/log"
)

func TestCrashStatesOfTwoAppends(t *testing.T) {
	found := map[string]int{}
	states := CrashStates(func(d *Disk) {
		d.order(t, "/a", "", 0)
		require.NoError(t, d.syncDir("/"))
		d.order(t, "/a", "a", 0)
		d.order(t, "/a", "b", 1)
	}, func(d *Disk) { found[d.content("/a")]++ })
	require.Greater(t, states, 10)
	// Both bytes are on one page: the second is never there without the first.
	require.Equal(t, []string{"", "\x00", "\x00\x00", "a", "a\x00", "ab"},
		simple(keys(found)))
}

// simple leaves out contents with garbage.
func simple(contents []string) []string {
	var list []string
	for _, c := range contents {
		if plain(c) {
			list = append(list, c)
		}
	}
	return list
}

func plain(c string) bool {
	for i := range len(c) {
		if c[i] != 0 && c[i] != "ab"[i%2] {
			return false
		}
	}
	return true
}

func TestCrashStatesOfTheSafeReplace(t *testing.T) {
	found := map[string]int{}
	CrashStates(func(d *Disk) {
		d.order(t, "/f", "old", 0)
		d.harden1(t, "/f")
		require.NoError(t, d.syncDir("/"))
		d.order(t, "/f.tmp", "new", 0)
		d.harden1(t, "/f.tmp")
		require.NoError(t, d.rename("/f.tmp", "/f"))
	}, func(d *Disk) { found[d.content("/f")]++ })
	require.Equal(t, []string{"new", "old"}, keys(found))
}

func TestCrashStatesOfTheReplaceThatForgotToSync(t *testing.T) {
	found := map[string]int{}
	CrashStates(func(d *Disk) {
		d.order(t, "/f", "old", 0)
		d.harden1(t, "/f")
		require.NoError(t, d.syncDir("/"))
		d.order(t, "/f.tmp", "new", 0)
		require.NoError(t, d.rename("/f.tmp", "/f"))
	}, func(d *Disk) { found[d.content("/f")]++ })
	require.Contains(t, found, "", "the name may be durable before the bytes are")
}

// A crash between any two operations of a job that replaces checkpoints, with any
// choice of what is left, leaves the old checkpoints or the new ones.
func TestCheckpointsAreReplacedWhole(t *testing.T) {
	job := func(offset int64) *log.WriteCheckpoints {
		points := []log.Checkpoint{{Topic: "t", Partition: 0, Offset: offset}}
		return &log.WriteCheckpoints{Path: "/data", RecoveryPoints: points}
	}
	total, offsets := 0, map[int64]int{}
	for budget := int64(0); ; budget++ {
		left := int64(0)
		total += CrashStates(func(d *Disk) {
			runJob(t, d, &log.OpenDir{Path: "/data", NewClusterID: "c"}, Unlimited)
			require.NoError(t, d.makeDir("/data/t-0"))
			require.NoError(t, d.syncDir("/data"))
			runJob(t, d, job(1), Unlimited)
			files := d.Files(budget)
			_, _ = job(2).Run(&log.Devices{Files: files})
			left = files.Operations()
			files.Leaked()
		}, func(d *Disk) {
			dir := runJob(t, d, &log.OpenDir{Path: "/data"}, Unlimited).(*log.Dir)
			require.Empty(t, dir.Warnings)
			require.Len(t, dir.Partitions, 1)
			offsets[dir.Partitions[0].RecoveryPoint]++
		})
		if left > 0 {
			break // the job needs fewer operations than that
		}
	}
	require.Greater(t, total, 20)
	require.Len(t, offsets, 2)
	require.Contains(t, offsets, int64(1))
	require.Contains(t, offsets, int64(2))
}

func runJob(t *testing.T, d *Disk, job log.Job, budget int64) log.Result {
	files := d.Files(budget)
	result, err := job.Run(&log.Devices{Files: files})
	require.NoError(t, err)
	require.Zero(t, files.Leaked())
	return result
}
