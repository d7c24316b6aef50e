package sim

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// The numbers are part of what a stored seed means: they must never change.
func TestRandomNumbersKeepTheirMeaning(t *testing.T) {
	r := NewRand(1, "plan", 0)
	got := []uint64{r.Uint64(), r.Uint64(), r.Uint64()}
	require.Equal(t, []uint64{0xa1cffb35dceb831a, 0xd1ecf57eb87d157b, 0x88e2d4e5e3a425a4}, got)
	z := NewNoise(7)
	require.Equal(t, uint64(0xdcb7cf871ab1ff63), z.Bits(delayStream, 1, 2, 3))
	require.Equal(t, uint64(0xadbf8d5956caaf4d), z.Bits(delayStream, 1, 2, 4))
}

func TestRandIsThePublishedGenerator(t *testing.T) {
	r := NewRand(9, "pcg", 1)
	standard := rand.NewPCG(r.hi, r.lo)
	for range 1000 {
		require.Equal(t, standard.Uint64(), r.Uint64())
	}
}

func TestExponentialHasItsMeanAndItsTail(t *testing.T) {
	const draws, mean = 1_000_000, 1_000_000
	r := NewRand(3, "exponential", 0)
	var sum, least, most, beyond int64
	for range draws {
		x := r.Exponential(mean)
		sum += x
		least, most = min(least, x), max(most, x)
		if x > 5*mean {
			beyond++
		}
	}
	require.GreaterOrEqual(t, least, int64(0))
	require.InEpsilon(t, mean, sum/draws, 0.005)
	require.InEpsilon(t, 6738, beyond, 0.1) // e^-5 of a million
	require.Greater(t, most, int64(10*mean))
}

func TestGeometricHasItsMean(t *testing.T) {
	r := NewRand(4, "geometric", 0)
	for _, mean := range []int64{1, 3, 20} {
		var sum int64
		for range 200_000 {
			sum += Geometric(r.Uint64(), mean)
		}
		require.InEpsilon(t, mean*200_000, sum, 0.03)
	}
}

func TestDrawsStayWithinTheirBounds(t *testing.T) {
	r := NewRand(5, "bounds", 0)
	seen, inside := map[int64]int{}, true
	for range 100_000 {
		seen[r.Between(3, 7)]++
		x := r.LogUniform(5, 1000)
		inside = inside && x >= 5 && x <= 1000
	}
	require.True(t, inside)
	require.Len(t, seen, 5)
	for x := int64(3); x <= 7; x++ {
		require.InEpsilon(t, 20_000, seen[x], 0.05)
	}
	require.Equal(t, int64(0), r.Below(0))
	require.Equal(t, int64(9), r.LogUniform(9, 9))
}

func TestNoiseOfNearbyKeysIsUnrelated(t *testing.T) {
	z := NewNoise(1)
	var ones [64]int
	const keys = 20_000
	for n := range uint64(keys) {
		diff := z.Bits(delayStream, 1, 2, n) ^ z.Bits(delayStream, 1, 2, n+1)
		for b := range 64 {
			ones[b] += int(diff >> b & 1)
		}
	}
	for b := range 64 {
		require.InEpsilon(t, keys/2, ones[b], 0.06, "bit %d", b)
	}
	require.NotEqual(t, z.Bits(delayStream, 1, 2, 3), z.Bits(writeStream, 1, 2, 3))
	require.NotEqual(t, z.Bits(delayStream, 1, 2, 3), z.Bits(delayStream, 2, 1, 3))
	require.NotEqual(t, z.Bits(delayStream, 1, 2, 3), NewNoise(2).Bits(delayStream, 1, 2, 3))
}

func BenchmarkNoise(b *testing.B) {
	z := NewNoise(1)
	var n, sum uint64
	for b.Loop() {
		n++
		sum += z.Bits(delayStream, 1, 2, n)
	}
	_ = sum
}
