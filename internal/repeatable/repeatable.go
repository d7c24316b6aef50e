// Package repeatable makes property tests repeat themselves: a tree that passes once
// passes always. Every test package that uses rapid imports it, if only for its init.
//
// rapid draws its seed anew in every run unless it is told one. That finds more bugs,
// but at moments of its own choosing. Here it always begins with the same seed. What
// the environment (RAPID_SEED and so on) or the command line says goes first, and a
// seed of 0 asks for a fresh one: `make explore` does that.
package repeatable

import (
	"flag"
	"os"
	"strconv"
	"testing"

	_ "pgregory.net/rapid" // defines the flags
)

const seedFlag = "rapid.seed"

func init() { setDefaults() } // before the command line is parsed

// setDefaults sets the flags of rapid that differ from its own defaults, unless the
// environment says what they are.
func setDefaults() {
	for _, d := range []struct{ flag, env, value string }{
		{seedFlag, "RAPID_SEED", "1"},
		// What stands in a file of failures is tried first in every later run, but only
		// on the machine where it failed.
		{"rapid.nofailfile", "RAPID_NOFAILFILE", "true"},
		{"rapid.shrinktime", "RAPID_SHRINKTIME", "5s"},
	} {
		if _, told := os.LookupEnv(d.env); !told {
			set(d.flag, d.value)
		}
	}
}

func set(name, value string) {
	if err := flag.Set(name, value); err != nil {
		panic(err)
	}
}

// Next makes rapid check other cases than before, until the test ends. It is for tests
// that check again and again until something is found. Seeds that are fresh in every
// check stay so.
func Next(t testing.TB) {
	t.Helper()
	before := flag.Lookup(seedFlag).Value.String()
	seed, err := strconv.ParseUint(before, 0, 64)
	if err != nil {
		t.Fatalf("parse %s: %v", seedFlag, err)
	}
	if seed == 0 {
		return
	}
	t.Cleanup(func() { set(seedFlag, before) })
	seed += 1 << 32 // further than rapid goes from a seed in its checks
	set(seedFlag, strconv.FormatUint(seed, 10))
}
