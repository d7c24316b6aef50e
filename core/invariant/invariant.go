// Package invariant states what must be true of the broker itself. A broken
// invariant is our bug, never a client's mistake or the world's failure, and
// panics in production too: to stop is safer than to go on.
package invariant

import "fmt"

// True panics with fact unless it holds. Fact says what should have been true.
func True(holds bool, fact string) {
	if !holds {
		panic("invariant broken: " + fact)
	}
}

// Fail panics with a formatted message. Call it under an if, so that arguments
// are boxed only when something is broken.
func Fail(format string, args ...any) {
	panic("invariant broken: " + fmt.Sprintf(format, args...))
}
