package log

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/core/batch"
)

// transactionsLog is a log of four segments, none of which fits another, that all
// lose something when compacted. Two have transaction indexes.
func transactionsLog(t *testing.T) *compactLog {
	t.Helper()
	c := newCompactLog()
	c.cfg.SegmentBytes, c.cfg.IndexIntervalBytes = 400, 0
	add := func(key string, o batch.Options) {
		var b batch.Builder
		b.Reset(&o)
		b.Append(c.end, []byte(key), []byte("value"), nil)
		data, err := b.Finish(nil, nil)
		require.NoError(t, err)
		c.append(t, data)
	}
	for i := range int64(4) {
		add("again", batch.Options{})
		add(fmt.Sprint("stays", i), batch.Options{})
		if i%2 == 0 {
			add("aborted", batch.Options{HasProducer: true, ProducerID: i, Transactional: true})
			c.append(t, batch.AppendMarker(nil, &batch.Marker{ProducerID: i, Timestamp: c.end}))
		}
		add(fmt.Sprint("too", i), batch.Options{})
		c.roll(t)
	}
	return c
}

// segmentsOf splits what dumpLog tells.
func segmentsOf(t *testing.T, c *compactLog) []string {
	t.Helper()
	return strings.SplitAfter(dumpLog(t, c.files, c.dir), "\nsegment")
}

// TestCompactionCrashTwice crashes a compaction at every operation, and then the
// recovery at every operation. Each segment must come out as it was, or compacted.
func TestCompactionCrashTwice(t *testing.T) {
	for _, power := range []bool{false, true} {
		c := transactionsLog(t)
		origin := c.files
		before := segmentsOf(t, c)
		devices := func() *Devices { return &Devices{Files: c.files, Codec: flipCodec{}} }
		c.files = origin.clone()
		_, err := c.job(4, 100).Run(devices())
		require.NoError(t, err)
		after := segmentsOf(t, c)
		require.Len(t, after, len(before))

		// Below the recovery point nothing is looked at but indexes.
		recovery := &Recover{
			Dir: c.dir, Config: c.cfg, Settings: c.set, HighWatermark: c.end, RecoveryPoint: c.end,
		}
		for first := 0; ; first++ {
			c.files = origin.clone()
			c.files.budget = first
			_, done := c.job(4, 100).Run(devices())
			c.files.crash(!power)
			crashed := c.files
			for second := 0; ; second++ {
				c.files = crashed.clone()
				c.files.budget = second
				_, again := recovery.Run(devices())
				c.files.crash(!power)
				result, err := recovery.Run(devices())
				require.NoError(t, err)
				for i, got := range segmentsOf(t, c) {
					require.Contains(t, []string{before[i], after[i]}, got, "%d, %d", first, second)
				}
				segments := result.(*Recovered).segments
				require.Len(t, segments, 5)
				for _, s := range segments[:4] {
					c.checkFiles(t, s)
				}
				if again == nil {
					break
				}
			}
			if done == nil {
				break
			}
		}
	}
}

// TestCompactionCrashReordered crashes a compaction and the recovery after it at every
// operation, and lets names that were not synced survive in many patterns. Nothing
// must be lost that stays, and nothing be there twice.
func TestCompactionCrashReordered(t *testing.T) {
	for i, pattern := range []uint{
		0b1, 0b10, 0b100, 0b1000, 0b111, 0b10101010, 0b1010101,
		0b1, 0b10, 0b100, 0b1000, 0b111, 0b10101010, 0b1010101,
	} {
		c := transactionsLog(t)
		if i < 7 {
			c.cfg.SegmentBytes = 900 // two segments become one
		}
		origin := c.files
		recovery := &Recover{
			Dir: c.dir, Config: c.cfg, Settings: c.set, HighWatermark: c.end, RecoveryPoint: c.end,
		}
		crash := func() {
			bit := -1
			c.files.crashBy(func(int) int { bit++; return int(pattern >> (bit % 8) & 1) })
		}
		for budget := 0; ; budget++ {
			c.files = origin.clone()
			c.files.budget = budget
			_, done := c.job(4, 100).Run(&Devices{Files: c.files, Codec: flipCodec{}})
			crash()
			c.files.budget = budget % 10
			_, _ = recovery.Run(&Devices{Files: c.files})
			crash()
			_, err := recovery.Run(&Devices{Files: c.files})
			require.NoError(t, err)
			checkOrder(t, dumpLog(t, c.files, c.dir))
			if done == nil {
				break
			}
		}
	}
}

// TestCompactionCrashThenPower kills the process at every operation of a compaction,
// and then the power at every operation of the recovery. What recovery saw after the
// first crash was not durable: of the compaction's last names, and of its own, any may
// be lost.
func TestCompactionCrashThenPower(t *testing.T) {
	for _, pattern := range []uint{0b11, 0b100, 0b110, 0b111, 0b10101010} {
		c := transactionsLog(t)
		c.cfg.SegmentBytes = 900 // two segments become one
		origin := c.files
		recovery := &Recover{
			Dir: c.dir, Config: c.cfg, Settings: c.set, HighWatermark: c.end, RecoveryPoint: c.end,
		}
		for first := 0; ; first++ {
			c.files = origin.clone()
			c.files.budget = first
			_, done := c.job(4, 100).Run(&Devices{Files: c.files, Codec: flipCodec{}})
			c.files.crash(true)
			crashed := c.files
			for second := 0; ; second++ {
				c.files = crashed.clone()
				c.files.budget = second
				_, again := recovery.Run(&Devices{Files: c.files})
				bit := -1
				c.files.crashBy(func(int) int { bit++; return int(pattern >> (bit % 8) & 1) })
				_, err := recovery.Run(&Devices{Files: c.files})
				require.NoError(t, err)
				checkOrder(t, dumpLog(t, c.files, c.dir))
				if again == nil {
					break
				}
			}
			if done == nil {
				break
			}
		}
	}
}

// checkOrder makes sure that offsets increase in what dumpLog told of
// transactionsLog, and that the records are there that must stay.
func checkOrder(t *testing.T, dump string) {
	t.Helper()
	next := 0
	for _, line := range strings.Split(dump, "\n") {
		var first, last int
		if n, _ := fmt.Sscanf(line, "  %d..%d", &first, &last); n == 2 {
			require.GreaterOrEqual(t, first, next, dump)
			next = last + 1
		}
	}
	for i := range 4 {
		require.Contains(t, dump, fmt.Sprint("stays", i))
		require.Contains(t, dump, fmt.Sprint("too", i))
		// While there are data or a marker of it, a transaction is known as aborted.
		if i%2 == 0 && strings.Contains(dump, " abort\n") {
			require.Contains(t, dump, fmt.Sprint("aborted pid=", i))
		}
	}
	require.Contains(t, dump, "again")
}

// TestRebuiltIndexCrash crashes the rebuilding of a missing offset index, below the
// recovery point, at every operation. The transaction index must not get lost.
func TestRebuiltIndexCrash(t *testing.T) {
	for _, power := range []bool{false, true} {
		c := transactionsLog(t)
		before := dumpLog(t, c.files, c.dir)
		require.Contains(t, before, "aborted pid=2")
		require.NoError(t, c.files.Remove(segmentPath(c.dir, c.closed[2].base, indexSuffix)))
		c.files.syncAll()
		origin := c.files
		recovery := &Recover{
			Dir: c.dir, Config: c.cfg, Settings: c.set, HighWatermark: c.end, RecoveryPoint: c.end,
		}
		for budget := 0; ; budget++ {
			c.files = origin.clone()
			c.files.budget = budget
			devices := &Devices{Files: c.files, Codec: flipCodec{}}
			_, done := recovery.Run(devices)
			c.files.crash(!power)
			result, err := recovery.Run(devices)
			require.NoError(t, err)
			require.Equal(t, before, dumpLog(t, c.files, c.dir))
			for _, s := range result.(*Recovered).segments[:4] {
				c.checkFiles(t, s)
			}
			if done == nil {
				break
			}
		}
	}
}

// TestCompactionCorrupt makes sure that damage is told and not sealed under a new
// checksum.
func TestCompactionCorrupt(t *testing.T) {
	c := transactionsLog(t)
	name := segmentPath(c.dir, c.closed[1].base, logSuffix)
	data, _ := c.files.get(name)
	damaged := slices.Clone(data)
	damaged[len(damaged)-1] ^= 1
	c.files.put(name, damaged)
	before := c.files.dump()
	r := c.compact(t, 4, 100)
	require.Equal(t, name+" at 157: the batch has a wrong CRC", r.Uncleanable)
	require.Zero(t, r.FirstDirty)
	require.Equal(t, before, c.files.dump())

	c.files.put(name, data[:len(data)-1])
	require.Equal(t, name+" ends at 233, want 234", c.compact(t, 4, 100).Uncleanable)
	c.files.put(name, data)
	index := segmentPath(c.dir, 0, txnIndexSuffix)
	c.files.put(index, []byte("torn"))
	require.Equal(t, index+": transaction index of 4 bytes has a torn entry",
		c.compact(t, 4, 100).Uncleanable)
}

// TestCompactionSpan makes sure that a segment's offsets lie within 31 bits of its
// base, however empty the segments are.
func TestCompactionSpan(t *testing.T) {
	c := newCompactLog()
	for range 3 {
		var b batch.Builder
		b.Reset(&batch.Options{})
		b.Append(1, []byte("a"), nil, nil)
		data, err := b.Finish(nil, nil)
		require.NoError(t, err)
		c.append(t, data)
		c.end += 1<<30 - 1 // as if what came here had been compacted away
		c.roll(t)
	}
	c.compact(t, 3, 100)
	require.Len(t, c.closed, 2)
	require.Equal(t, int64(0), c.closed[0].base)
	require.Equal(t, int64(1<<31), c.closed[0].end)
	require.Equal(t, int64(1<<31), c.closed[1].base)
}
