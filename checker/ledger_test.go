package checker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLedger states which faults excuse which losses.
func TestLedger(t *testing.T) {
	const fsync, pageCache = true, false
	for _, c := range []struct {
		name      string
		fsync     bool
		acks      int16
		synced    int64 // of 4 records in two batches
		committed int64
		fault     func(b *bench)
		end       int64 // after the restart
		acked     int64 // excused
		want      []string
	}{
		{"nothing lost", fsync, -1, 4, 4, crash, 4, 0, nil},
		{
			"a crash excuses no acks=1", fsync, 1, 2, 2, crash, 2, 0,
			lost("acked-lost", "written-lost"),
		},
		{
			"a crash excuses no written record", fsync, 0, 2, 2, crash, 2, 0,
			lost("", "written-lost"),
		},
		{"power excuses volatile acks=1", fsync, 1, 2, 2, power(2), 2, 2, nil},
		{"power excuses no durable acks=1", fsync, 1, 4, 2, power(2), 2, 0, lost("acked-lost")},
		{"recovery syncs nothing", fsync, 1, 2, 2, powerAfterRestart(2), 2, 2, nil},
		{
			"what is synced after recovery is durable", fsync, 1, 2, 2, powerAfterRestart(4), 2, 0,
			lost("acked-lost"),
		},
		{
			"recovery forgets no sync", fsync, 1, 4, 2, powerAfterRestart(0), 2, 0,
			lost("acked-lost"),
		},
		{"power excuses no acks=all", fsync, -1, 4, 4, power(2), 2, 0, lost("acked-lost")},
		{"power excuses no commit", fsync, 0, 4, 4, power(2), 2, 0, lost("committed-lost")},
		{"page cache: volatile acks=all", pageCache, -1, 2, 4, power(2), 2, 2, nil},
		{"page cache: durable acks=all", pageCache, -1, 4, 4, power(2), 2, 0, lost("acked-lost")},
		{
			"page cache: more than destroyed", pageCache, -1, 0, 4, power(2), 0, 0,
			lost("acked-lost", "written-lost"),
		},
		{"a failed sync explains what it was for", fsync, 0, 2, 2, failedSync, 2, 0, nil},
		{
			"a failed sync explains no loss without power", fsync, 1, 2, 2,
			func(b *bench) { b.SyncFailed(p0, true); crash(b) }, 2, 0,
			lost("acked-lost", "written-lost"),
		},
		{"rot takes what is durable", fsync, -1, 4, 4, rot(2), 2, 2, nil},
		{
			"rot excuses nothing before it", fsync, -1, 4, 4, rot(2), 0, 0,
			lost("acked-lost", "written-lost"),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, Policy{Fsync: c.fsync})
			one, two := b.send(2, "k"), at(b.send(2, "k"), 2)
			b.Appended(p0, one)
			b.Appended(p0, two)
			b.Written(p0, 4)
			b.Synced(p0, c.synced)
			b.HighWatermark(p0, c.committed, 4)
			if c.acks != 0 {
				b.answer(one, c.acks)
				b.answer(two, c.acks)
			}
			c.fault(b)
			b.Online(p0, 0, c.end)
			b.expect(c.want...)
			require.Equal(t, c.acked, b.Excused().Acked)
		})
	}
}

func crash(b *bench) { b.Stopped(p0, false) }

func power(from int64) func(*bench) {
	return func(b *bench) {
		b.Stopped(p0, false)
		b.Destroyed(p0, from, Power)
	}
}

// failedSync is a sync that fails, after which another process commits what the
// failed sync left in doubt.
func failedSync(b *bench) {
	b.SyncFailed(p0, true)
	b.SyncFailed(p0, false)
	b.restart(0, 4)
	b.Synced(p0, 4)
	b.HighWatermark(p0, 4, 4)
	power(2)(b)
}

// powerAfterRestart is a restart that finds all 4 records, of which some are synced
// before the power fails too.
func powerAfterRestart(synced int64) func(*bench) {
	return func(b *bench) {
		b.restart(0, 4)
		b.Synced(p0, synced)
		power(2)(b)
	}
}

func rot(from int64) func(*bench) {
	return func(b *bench) {
		b.Stopped(p0, false)
		b.Destroyed(p0, from, Rot)
	}
}

func lost(durable string, recovery ...string) []string {
	var names []string
	if durable != "" {
		names = append(names, "AckDurable/"+durable)
	}
	for _, r := range recovery {
		names = append(names, "RecoveryFidelity/"+r)
	}
	return names
}

// TestDurable: what a disk shows to be durable may not be lost, though nobody said so.
func TestDurable(t *testing.T) {
	b := newBench(t, Policy{})
	one, two := b.send(2, "k"), at(b.send(2, "k"), 2)
	b.Appended(p0, one)
	b.Appended(p0, two)
	b.Written(p0, 4)
	b.answer(one, 1)
	b.answer(two, 1)
	rotten := two
	rotten.BaseOffset++
	b.Durable(p0, []Batch{one, rotten})
	powerAfterRestart(0)(b)
	b.Online(p0, 0, 2)
	b.expect()
	power(0)(b)
	b.Online(p0, 0, 0)
	b.expect("AckDurable/acked-lost")
}

func TestLedgerCountsCommittedLosses(t *testing.T) {
	b := newBench(t, Policy{})
	b.Appended(p0, b.send(3, "k"))
	b.Written(p0, 3)
	b.HighWatermark(p0, 3, 3)
	b.Stopped(p0, false)
	b.Stopped(p0, true) // a second stop changes nothing while it is down
	b.Destroyed(p0, 2, Power)
	b.Destroyed(p0, 0, Power)
	b.Destroyed(p0, 1, Power)
	b.Online(p0, 0, 0)
	b.expect()
	require.Equal(t, Excused{Committed: 3}, b.Excused())
}
