package sim

import "math/bits"

// Rand is a sequence of random numbers (PCG-DXSM) for what is drawn before a run:
// plans, sizes, workloads. Its methods are our own, so that a seed keeps its meaning
// when the standard library changes. Nothing the system under test decides may
// draw from a Rand that others draw from too.
type Rand struct{ hi, lo uint64 }

// NewRand returns the sequence of a seed that has the given name and number, so
// that one more draw in one sequence does not shift another.
func NewRand(seed uint64, name string, i int) *Rand {
	h := fold(seed^0x9e3779b97f4a7c15, 0xa0761d6478bd642f)
	for _, c := range []byte(name) {
		h = fold(h^uint64(c), 0xe7037ed1a0b428db)
	}
	h = fold(h^uint64(i), 0x8ebc6af09c88c6e3)
	return &Rand{hi: h, lo: fold(h^0x589965cc75374cc3, 0x1d8e4e27c47d124f)}
}

// Uint64 returns 64 random bits.
func (r *Rand) Uint64() uint64 {
	const (
		mulHi, mulLo = 2549297995355413924, 4865540595714422341
		incHi, incLo = 6364136223846793005, 1442695040888963407
		cheap        = 0xda942042e4dd58b5
	)
	hi, lo := bits.Mul64(r.lo, mulLo)
	hi += r.hi*mulLo + r.lo*mulHi
	lo, carry := bits.Add64(lo, incLo, 0)
	hi, _ = bits.Add64(hi, incHi, carry)
	r.lo, r.hi = lo, hi
	hi ^= hi >> 32
	hi *= cheap
	hi ^= hi >> 48
	hi *= lo | 1
	return hi
}

// Below returns a number in [0, n), 0 if n is not positive.
func (r *Rand) Below(n int64) int64 { return Below(r.Uint64(), n) }

// Between returns a number in [low, high].
func (r *Rand) Between(low, high int64) int64 { return Between(r.Uint64(), low, high) }

// Chance reports true ppm times in a million.
func (r *Rand) Chance(ppm int64) bool { return Chance(r.Uint64(), ppm) }

// Exponential returns a number of the given mean.
func (r *Rand) Exponential(mean int64) int64 { return Exponential(r.Uint64(), mean) }

// LogUniform returns a number in [low, high], small ones as likely as large ones.
func (r *Rand) LogUniform(low, high int64) int64 { return LogUniform(r.Uint64(), low, high) }

// Shuffle puts n things into random order by swapping them.
func (r *Rand) Shuffle(n int, swap func(i, j int)) {
	for i := n - 1; i > 0; i-- {
		swap(i, int(r.Below(int64(i+1))))
	}
}

// Pick returns one of the choices.
func Pick[T any](r *Rand, choices ...T) T { return choices[r.Below(int64(len(choices)))] }
