package sim

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/clock"
)

func TestWallClockJumpsAndMonotonicDoesNot(t *testing.T) {
	var c nodeClock
	c.boot(5)
	c.jumped = -1000
	now := clock.Instant(5).Add(3 * clock.Second)
	require.Equal(t, clock.Instant(3*clock.Second), c.time(now).Mono)
	require.Equal(t, clock.Wall(epochMillis+3000-1000), c.time(now).Wall)
}

func TestMonotonicTimeStartsAtBoot(t *testing.T) {
	var c nodeClock
	c.boot(clock.Instant(clock.Hour))
	require.Zero(t, c.time(clock.Instant(clock.Hour)).Mono)
	require.Equal(t, clock.Wall(epochMillis+3_600_000), c.time(clock.Instant(clock.Hour)).Wall)
}

// However the clock's speed changes, it never goes back, and a deadline is due at the
// first instant that reaches it.
func TestDriftingClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c nodeClock
		now := clock.Instant(0)
		shown := clock.Instant(0)
		for range rapid.IntRange(1, 8).Draw(t, "changes") {
			now = now.Add(clock.Duration(rapid.Int64Range(0, int64(clock.Hour)).Draw(t, "later")))
			require.GreaterOrEqual(t, c.time(now).Mono, shown)
			shown = c.time(now).Mono
			c.setDrift(now, rapid.Int64Range(-900_000, 900_000).Draw(t, "ppm"))
			require.Equal(t, shown, c.time(now).Mono, "a change of speed is no jump")
			deadline := shown.Add(
				clock.Duration(rapid.Int64Range(1, int64(clock.Hour)).Draw(t, "deadline")))
			at := c.worldTime(deadline)
			require.GreaterOrEqual(t, c.time(at).Mono, deadline)
			require.Less(t, c.time(at-1).Mono, deadline)
		}
		require.Equal(t, clock.Never, c.worldTime(clock.Never))
	})
}
