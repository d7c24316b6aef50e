package realnet

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/log"
)

// order makes a Step that orders what f adds to the effects.
func order(d *Driver, c *testCore, t *turn, f func(fx *core.Effects)) {
	d.mu.Lock()
	c.order = f
	d.stepLocked(t, &core.Started{}, nil)
	d.mu.Unlock()
}

func writeOf(file log.FileRef, text string, pos int64) log.Write {
	return log.Write{
		Log: 1, File: file, Data: []byte(text), Pos: pos, EndOffset: pos + int64(len(text)),
		Create: true,
	}
}

func TestWritesThatMeetAreOne(t *testing.T) {
	d, c := newTestDriver(t)
	file := log.FileRef{ID: 1, Path: filepath.Join(c.dir, "f")}
	writer, other := d.newTurn(), d.newTurn()
	order(d, c, writer, func(fx *core.Effects) {
		fx.Writes = append(fx.Writes, writeOf(file, "one ", 0))
	})
	order(d, c, other, func(fx *core.Effects) {
		fx.Writes = append(fx.Writes, writeOf(file, "two ", 4), writeOf(file, "gap", 100))
	})
	other.drain()
	require.Empty(t, d.eventsOf(c), "the first one to file is the writer")
	writer.drain()
	require.Equal(t, []string{"write log=1 end=103 ok"}, d.eventsOf(c))
	text, err := os.ReadFile(file.Path)
	require.NoError(t, err)
	require.Equal(t, "one two ", string(text[:8]))
	require.Equal(t, "gap", string(text[100:]))
	require.Empty(t, d.logs, "an idle log has no queue")
}

func TestManyWritesBecomeOnePwritev(t *testing.T) {
	d, c := newTestDriver(t)
	file := log.FileRef{ID: 1, Path: filepath.Join(c.dir, "f")}
	const writes = 3*iovecsMax + 7
	var want []byte
	turn := d.newTurn()
	order(d, c, turn, func(fx *core.Effects) {
		for i := range writes {
			text := fmt.Sprintf("%d,", i)
			fx.Writes = append(fx.Writes, writeOf(file, text, int64(len(want))))
			want = append(want, text...)
		}
	})
	turn.drain()
	got, err := os.ReadFile(file.Path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
	require.Equal(t, []string{fmt.Sprintf("write log=1 end=%d ok", len(want))}, d.eventsOf(c))
}

// The segments of a log are told of one by one when a roll falls among the writes that
// met: the core waits for the last write of each.
func TestEachFileIsReported(t *testing.T) {
	d, c := newTestDriver(t)
	old := log.FileRef{ID: 1, Path: filepath.Join(c.dir, "old")}
	next := log.FileRef{ID: 2, Path: filepath.Join(c.dir, "next")}
	turn := d.newTurn()
	order(d, c, turn, func(fx *core.Effects) {
		rolled := writeOf(next, "three", 0)
		rolled.EndOffset = 11
		fx.Writes = append(fx.Writes, writeOf(old, "one", 0), writeOf(old, "two", 3), rolled)
	})
	turn.drain()
	require.Equal(t, []string{"write log=1 end=6 ok", "write log=1 end=11 ok"}, d.eventsOf(c))
}

func TestSyncsFollowTheWritesBeforeThem(t *testing.T) {
	d, c := newTestDriver(t)
	file := log.FileRef{ID: 1, Path: filepath.Join(c.dir, "f")}
	turn := d.newTurn()
	order(d, c, turn, func(fx *core.Effects) {
		fx.Writes = append(fx.Writes, writeOf(file, "one", 0), writeOf(file, "two", 3))
		fx.Syncs = append(fx.Syncs,
			log.Sync{Log: 1, File: file, EndOffset: 3, Dir: true},
			log.Sync{Log: 1, File: file, EndOffset: 6})
	})
	turn.drain()
	waitFor(t, func() bool { return len(d.eventsOf(c)) >= 2 })
	require.Equal(t, []string{"write log=1 end=6 ok", "sync log=1 end=6 ok"}, d.eventsOf(c))
}

func TestManyFilesAreSyncedAtOnce(t *testing.T) {
	d, c := newTestDriver(t)
	turn := d.newTurn()
	const files = 3 * syncEachMax
	order(d, c, turn, func(fx *core.Effects) {
		for i := range files {
			file := log.FileRef{ID: uint64(i + 1), Path: filepath.Join(c.dir, fmt.Sprint(i))}
			w := writeOf(file, "x", 0)
			w.Log = log.ID(i + 1)
			fx.Writes = append(fx.Writes, w)
			fx.Syncs = append(fx.Syncs, log.Sync{Log: w.Log, File: file, EndOffset: 1, Dir: true})
		}
	})
	turn.drain()
	waitFor(t, func() bool { return len(d.eventsOf(c)) == 2*files })
	for i := range files {
		require.Contains(t, d.eventsOf(c), fmt.Sprintf("sync log=%d end=1 ok", i+1))
	}
}

func TestAFailedWriteIsReportedOnceAndNothingIsTriedAfterIt(t *testing.T) {
	d, c := newTestDriver(t)
	bad := log.FileRef{ID: 1, Path: fullDevice(t)}
	good := log.FileRef{ID: 2, Path: filepath.Join(c.dir, "good")}
	turn := d.newTurn()
	order(d, c, turn, func(fx *core.Effects) {
		fx.Writes = append(fx.Writes,
			writeOf(bad, "one", 0), writeOf(bad, "two", 3), writeOf(good, "x", 6))
		fx.Syncs = append(fx.Syncs, log.Sync{Log: 1, File: bad, EndOffset: 7})
	})
	turn.drain()
	require.Equal(t, []string{"write log=1 end=7 failed", "sync log=1 end=7 failed"}, d.eventsOf(c))
	require.ErrorIs(t, d.logs[1].err, log.ErrNoSpace)

	order(d, c, turn, func(fx *core.Effects) {
		fx.Writes = append(fx.Writes, writeOf(good, "x", 7))
	})
	turn.drain()
	require.Equal(t, "write log=1 end=8 failed", d.eventsOf(c)[2])
	require.NoFileExists(t, good.Path)
}

func TestAFailedSyncIsFinal(t *testing.T) {
	d, c := newTestDriver(t)
	missing := log.FileRef{ID: 1, Path: filepath.Join(c.dir, "missing")}
	good := log.FileRef{ID: 2, Path: filepath.Join(c.dir, "good")}
	require.NoError(t, os.WriteFile(good.Path, nil, 0o644))
	turn := d.newTurn()
	for i, file := range []log.FileRef{missing, good} {
		order(d, c, turn, func(fx *core.Effects) {
			fx.Syncs = append(fx.Syncs, log.Sync{Log: log.ID(i + 1), File: file, EndOffset: 1})
		})
		turn.drain()
		waitFor(t, func() bool { return len(d.eventsOf(c)) == i+1 })
	}
	require.Equal(t, []string{"sync log=1 end=1 failed", "sync log=2 end=1 failed"}, d.eventsOf(c))
}

type lengthJob struct{ path string }

func (j lengthJob) Run(d *log.Devices) (log.Result, error) {
	entries, err := d.Files.List(j.path)
	return len(entries), err
}

func TestJobsRunAndReport(t *testing.T) {
	d, c := newTestDriver(t)
	turn := d.newTurn()
	order(d, c, turn, func(fx *core.Effects) {
		fx.Jobs = append(fx.Jobs, log.RunJob{Op: 7, Job: lengthJob{c.dir}},
			log.RunJob{Op: 8, Job: lengthJob{filepath.Join(c.dir, "missing")}})
	})
	turn.drain()
	waitFor(t, func() bool { return len(d.eventsOf(c)) == 2 })
	require.ElementsMatch(t, []string{"job 7 0 ok", "job 8 0 failed"}, d.eventsOf(c))
}

func TestTheTimerFiresAtTheDeadline(t *testing.T) {
	d, c := newTestDriver(t)
	turn := d.newTurn()
	var due clock.Instant
	order(d, c, turn, func(*core.Effects) {
		due = d.now().Mono.Add(5 * clock.Millisecond)
		c.due = due
	})
	fired := func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return c.fired > 0
	}
	waitFor(t, fired)
	require.GreaterOrEqual(t, d.now().Mono, due)
	require.Equal(t, 1, c.fired)
}
