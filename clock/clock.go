// Package clock holds instants and durations as values. It never reads a clock:
// drivers bring the time in, and the core compares it.
//
// Monotonic and wall time are kept apart. Deadlines, timeouts and sessions use
// monotonic time; record timestamps and retention use wall time.
package clock

// Instant is a point in monotonic time, in nanoseconds since the node started.
type Instant int64

// Duration is a span of time in nanoseconds.
type Duration int64

// Wall is a point in wall-clock time, in milliseconds since the Unix epoch, as
// Kafka writes timestamps.
type Wall int64

// Common durations.
const (
	Nanosecond  Duration = 1
	Microsecond          = 1000 * Nanosecond
	Millisecond          = 1000 * Microsecond
	Second               = 1000 * Millisecond
	Minute               = 60 * Second
	Hour                 = 60 * Minute
)

// Never is later than every deadline.
const Never Instant = 1<<63 - 1

// Time is what a node's clocks show at one moment.
type Time struct {
	Mono Instant
	Wall Wall
}

// Add returns the instant d later, or Never if that would overflow.
func (i Instant) Add(d Duration) Instant {
	if i == Never {
		return Never
	}
	if sum := i + Instant(d); d < 0 || sum >= i {
		return sum
	}
	return Never
}

// Sub returns the time from j to i.
func (i Instant) Sub(j Instant) Duration { return Duration(i - j) }

// Millis returns d in whole milliseconds, rounded towards zero.
func (d Duration) Millis() int64 { return int64(d / Millisecond) }

// Millis returns the duration of n milliseconds, at most the longest Duration.
func Millis(n int64) Duration {
	const most = int64(1<<63-1) / int64(Millisecond)
	if n > most {
		return 1<<63 - 1
	}
	return Duration(n) * Millisecond
}
