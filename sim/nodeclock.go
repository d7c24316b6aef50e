package sim

import "github.com/heiban/heiban/clock"

// epochMillis is when the world begins, in wall-clock time: 2026-01-01 00:00 UTC.
const epochMillis = 1_767_225_600_000

// nodeClock is what a node takes for the time: the world's time, run fast or slow,
// counted from the node's start, and a wall clock that may jump.
type nodeClock struct {
	anchor clock.Instant  // world time of the last change of drift
	ticks  clock.Duration // of this clock at the anchor
	booted clock.Duration // ticks at the node's start
	drift  int64          // ppm
	jumped int64          // milliseconds
}

// at returns how many nanoseconds the clock has counted.
func (c *nodeClock) at(now clock.Instant) clock.Duration {
	passed := int64(now - c.anchor)
	if c.drift != 0 {
		passed += passed/1_000_000*c.drift + passed%1_000_000*c.drift/1_000_000
	}
	return c.ticks + clock.Duration(passed)
}

// time returns what the node's clocks show.
func (c *nodeClock) time(now clock.Instant) clock.Time {
	at := c.at(now)
	return clock.Time{
		Mono: clock.Instant(at - c.booted),
		Wall: clock.Wall(epochMillis + at.Millis() + c.jumped),
	}
}

// boot sets the monotonic clock to zero.
func (c *nodeClock) boot(now clock.Instant) { c.booted = c.at(now) }

// setDrift makes the clock run ppm millionths fast from now on.
func (c *nodeClock) setDrift(now clock.Instant, ppm int64) {
	c.ticks, c.anchor, c.drift = c.at(now), now, ppm
}

// worldTime returns when the monotonic clock will show mono.
func (c *nodeClock) worldTime(mono clock.Instant) clock.Instant {
	if mono == clock.Never {
		return clock.Never
	}
	missing := int64(mono) + int64(c.booted-c.ticks) // from the anchor, by this clock
	if c.drift == 0 {
		return c.anchor.Add(clock.Duration(missing))
	}
	// Divide in two steps, so that nothing overflows, and make up for rounding.
	speed := 1_000_000 + c.drift
	whole, part := missing/speed, missing%speed
	at := c.anchor + clock.Instant(whole*1_000_000+part*1_000_000/speed)
	due := clock.Duration(mono) + c.booted
	for c.at(at) < due {
		at++
	}
	for at > c.anchor && c.at(at-1) >= due {
		at--
	}
	return at
}
