package repeatable

import (
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// restore puts the flags back when the test ends.
func restore(t *testing.T) {
	for _, name := range []string{seedFlag, "rapid.nofailfile", "rapid.shrinktime"} {
		before := flag.Lookup(name).Value.String()
		t.Cleanup(func() { set(name, before) })
	}
}

// drawn returns what rapid draws in a few checks.
func drawn(t *testing.T) []uint64 {
	var all []uint64
	rapid.Check(t, func(t *rapid.T) { all = append(all, rapid.Uint64().Draw(t, "n")) })
	require.NotEmpty(t, all)
	return all
}

func TestSeedIsTheSame(t *testing.T) {
	restore(t)
	t.Setenv("RAPID_SEED", "") // so that it is as before when the test ends
	require.NoError(t, os.Unsetenv("RAPID_SEED"))
	set(seedFlag, "0")
	require.NotEqual(t, drawn(t), drawn(t))
	setDefaults()
	first := drawn(t)
	require.Equal(t, first, drawn(t))
}

func TestEnvironmentGoesFirst(t *testing.T) {
	restore(t)
	t.Setenv("RAPID_SEED", "7")
	set(seedFlag, "7") // as rapid does
	setDefaults()
	require.Equal(t, "7", flag.Lookup(seedFlag).Value.String())
}

func TestNextDrawsOthers(t *testing.T) {
	restore(t)
	set(seedFlag, "7")
	first := drawn(t)
	t.Run("one test", func(t *testing.T) {
		Next(t)
		second := drawn(t)
		Next(t)
		require.NotEqual(t, first, second)
		require.NotEqual(t, first, drawn(t))
		require.NotEqual(t, second, drawn(t))
	})
	require.Equal(t, first, drawn(t), "the next test begins again")

	set(seedFlag, "0")
	Next(t)
	require.Equal(t, "0", flag.Lookup(seedFlag).Value.String())
}
