package log

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/core/batch"
)

// failSync writes n batches, of which the last one is in the page cache only and will
// never leave it: its sync failed.
func failSync(t *testing.T, d *device, n int) {
	t.Helper()
	_, err := d.start(false)
	require.NoError(t, err)
	for i := range n {
		h, data := makeBatch(batch.Options{ProducerID: batch.NoProducerID},
			testRecord{timestamp: int64(i), value: "v"})
		a, _ := d.append(1, &h, data)
		require.Zero(t, a.Err)
		if i < n-1 {
			d.settle()
		}
	}
	d.write(0)
	f, err := d.files.find(segmentPath(testDir, 0, logSuffix))
	require.NoError(t, err)
	f.deaf, f.pending = true, nil
	d.files.crash(true)
}

// TestRenewAfterFailedSync: what a start has found and synced is not lost any more,
// even where an earlier life's sync failed.
func TestRenewAfterFailedSync(t *testing.T) {
	for _, renew := range []bool{false, true} {
		d := newDevice()
		d.renew = renew
		failSync(t, d, 3)

		_, err := d.start(false)
		require.NoError(t, err)
		require.Equal(t, int64(3), d.log.LogEndOffset())
		d.settle()
		d.tick()
		d.settle()

		d.files.crash(false)
		_, err = d.start(false)
		require.NoError(t, err)
		want := int64(2) // the file as it was is lost with its last batch
		if renew {
			want = 3
		}
		require.Equal(t, want, d.log.LogEndOffset())
	}
}

// TestRenewCrash loses the power at every operation of a start that renews the log:
// what was durable before stays, and there is one file of it.
func TestRenewCrash(t *testing.T) {
	for budget := 0; ; budget++ {
		d := newDevice()
		d.renew = true
		failSync(t, d, 3)

		d.files.budget = budget
		_, err := d.start(false)
		done := err == nil
		if !done {
			require.ErrorIs(t, err, errCrashed)
		}
		d.files.crash(false)
		_, err = d.start(false)
		require.NoError(t, err)
		require.GreaterOrEqual(t, d.log.LogEndOffset(), int64(2), "budget %d", budget)
		if done {
			require.Equal(t, int64(3), d.log.LogEndOffset())
			require.Greater(t, budget, 3)
			return
		}
	}
}

// TestRenewOnlyWhatIsInDoubt: a clean stop tells that every sync went well, and below
// the recovery point they have.
func TestRenewOnlyWhatIsInDoubt(t *testing.T) {
	d := newDevice()
	d.renew = true
	_, err := d.start(true)
	require.NoError(t, err)
	for range 12 {
		h, data := makeBatch(batch.Options{ProducerID: batch.NoProducerID},
			testRecord{timestamp: 1, value: string(make([]byte, 100))})
		a, _ := d.append(1, &h, data)
		require.Zero(t, a.Err)
		d.settle()
	}
	d.checkpoint()
	segments := 0
	before := map[string]*memNode{}
	entries, err := d.files.List(testDir)
	require.NoError(t, err)
	for _, e := range entries {
		if _, kind, _, ok := parseSegmentName(e.Name); ok && kind == logSuffix {
			segments++
			before[e.Name], err = d.files.find(testDir + "/" + e.Name)
			require.NoError(t, err)
		}
	}
	require.Greater(t, segments, 2)
	renewed := func() (names []string) {
		for _, e := range entries {
			now, err := d.files.find(testDir + "/" + e.Name)
			require.NoError(t, err)
			if was := before[e.Name]; was != nil && was != now {
				names = append(names, e.Name)
			}
		}
		return names
	}

	d.files.crash(true)
	_, err = d.start(true)
	require.NoError(t, err)
	require.Empty(t, renewed())
	d.files.crash(true)
	_, err = d.start(false)
	require.NoError(t, err)
	require.Len(t, renewed(), 1, "the last segment")
}
