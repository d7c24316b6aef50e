package quorum

import (
	"crypto/rand"
	"io"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const determinismSeeds = 8

func hashes() []uint64 {
	var all []uint64
	for seed := range uint64(determinismSeeds) {
		all = append(all, run(drawPlan(seed)).hash)
	}
	return all
}

// sameBytes is a source of randomness that has none.
type sameBytes byte

func (b sameBytes) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

// raft draws its own election timeouts from crypto/rand. Whatever it draws must never
// show, one run after the other, side by side, or on one processor.
func TestSameSeedIsSameRun(t *testing.T) {
	want := hashes()
	require.Equal(t, want, hashes(), "run twice")

	for _, source := range []io.Reader{sameBytes(0), sameBytes(9)} {
		original := rand.Reader
		rand.Reader = source
		got := hashes()
		rand.Reader = original
		require.Equal(t, want, got, "another source of randomness")
	}

	for _, processors := range []int{1, 2} {
		before := runtime.GOMAXPROCS(processors)
		got := make([]uint64, determinismSeeds)
		var group sync.WaitGroup
		for seed := range uint64(determinismSeeds) {
			group.Go(func() { got[seed] = run(drawPlan(seed)).hash })
		}
		group.Wait()
		runtime.GOMAXPROCS(before)
		require.Equal(t, want, got, "side by side on %d processors", processors)
	}
}

func TestSeedsDiffer(t *testing.T) {
	all := hashes()
	for i, hash := range all {
		require.NotContains(t, all[:i], hash)
	}
}
