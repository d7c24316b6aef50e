package sim

import "math/bits"

// Noise is randomness by key: each message and each I/O has its own draw, named by
// a stream, the two ends and a counter. A draw depends on nothing drawn before, so
// to delete a fault from a plan does not change the delay of any other message.
// That is what makes minimising work. Only integers are used: floats are fused and
// rounded differently on different machines.
type Noise struct{ seed uint64 }

// Stream names what noise is used for.
type Stream uint32

// The streams.
const (
	orderStream Stream = iota + 1
	delayStream
	patienceStream
	breakStream
	choiceStream
	writeStream
	syncStream
	jobStream
	queryStream
	mergeStream
	errorStream
	crashStream
	rotStream
	bootStream
	identityStream
)

// NewNoise returns the noise of a seed.
func NewNoise(seed uint64) Noise { return Noise{seed: seed} }

// Bits returns 64 random bits for the key (stream, a, b, n).
func (z Noise) Bits(stream Stream, a, b, n uint64) uint64 {
	h := fold(z.seed^0x9e3779b97f4a7c15, uint64(stream)^0xa0761d6478bd642f)
	h = fold(h^a^0xe7037ed1a0b428db, 0x8ebc6af09c88c6e3)
	h = fold(h^b^0x589965cc75374cc3, 0x1d8e4e27c47d124f)
	h = fold(h^n^0xeb44accab455d165, 0x9fb21c651e98df25)
	h = (h ^ h>>32) * 0xda942042e4dd58b5 // a fold alone leaves the lowest bits weak
	return h ^ h>>29
}

// draws counts the draws of one thing, such as a file: what befalls it must not
// depend on how much is done to other things.
type draws struct{ key, n uint64 }

// next returns random bits for the next draw of a thing of a node.
func (z Noise) next(stream Stream, node uint64, d *draws) uint64 {
	d.n++
	return z.Bits(stream, node, d.key, d.n)
}

// keyOf makes a key of a name.
func keyOf(name string) uint64 {
	h := uint64(0x9e3779b97f4a7c15)
	for i := range len(name) {
		h = fold(h^uint64(name[i]), 0xe7037ed1a0b428db)
	}
	return h
}

// fold multiplies into 128 bits and folds the halves together.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo ^ bits.RotateLeft64(a, 29)
}

// Below maps random bits onto [0, n). It returns 0 if n is not positive.
func Below(random uint64, n int64) int64 {
	if n <= 0 {
		return 0
	}
	hi, _ := bits.Mul64(random, uint64(n))
	return int64(hi)
}

// Between maps random bits onto [low, high], both inclusive.
func Between(random uint64, low, high int64) int64 { return low + Below(random, high-low+1) }

// Chance reports whether an event of ppm millionths happens.
func Chance(random uint64, ppm int64) bool { return Below(random, 1_000_000) < ppm }

// Exponential maps random bits onto an exponential distribution. The tail ends at
// about 35 means.
func Exponential(random uint64, mean int64) int64 {
	scaled := int64(0) // the draw in units of mean/2^16
	for range 6 {
		i := random & 0xff
		random >>= 8
		if i == 0xff { // the distribution has no memory: its tail is itself, later
			scaled += exponentials[0xff]
			continue
		}
		low, high := exponentials[i], exponentials[i+1]
		scaled += low + (high-low)*int64(random&0xffff)>>16
		break
	}
	whole, part := scaled>>16, scaled&0xffff
	return whole*mean + part*(mean>>16) + part*(mean&0xffff)>>16
}

// Geometric maps random bits onto how many failures come before a success, with
// the given mean.
func Geometric(random uint64, mean int64) int64 {
	if mean <= 0 {
		return 0
	}
	// An exponential draw rounded down is geometric. Rounding takes about half a
	// unit off the mean, a little less off a small one, which is given back.
	return Exponential(random, 16*mean+8-1/mean) / 16
}

// LogUniform maps random bits onto [low, high], with every order of magnitude
// about equally likely. Both must be positive.
func LogUniform(random uint64, low, high int64) int64 {
	lowBits, highBits := bits.Len64(uint64(low)), bits.Len64(uint64(high))
	width := Between(random, int64(lowBits), int64(highBits))
	from := max(low, int64(1)<<(width-1))
	to := min(high, int64(1)<<(width-1)+(int64(1)<<(width-1)-1))
	return Between(random<<32|random>>32, from, to)
}

// exponentials[i] is -ln(1-i/256) in units of 2^-16.
var exponentials = [256]int64{
	0, 257, 514, 773, 1032, 1293, 1554, 1817, 2081, 2345, 2611, 2878, 3146, 3415, 3686,
	3957, 4230, 4503, 4778, 5054, 5331, 5609, 5889, 6169, 6451, 6734, 7019, 7304, 7591,
	7879, 8169, 8459, 8751, 9044, 9339, 9635, 9932, 10231, 10530, 10832, 11135, 11439,
	11744, 12051, 12360, 12669, 12981, 13294, 13608, 13924, 14241, 14560, 14880, 15202,
	15526, 15851, 16178, 16507, 16837, 17169, 17502, 17837, 18174, 18513, 18854, 19196,
	19540, 19886, 20233, 20583, 20934, 21288, 21643, 22000, 22359, 22720, 23083, 23448,
	23815, 24185, 24556, 24929, 25305, 25683, 26063, 26445, 26829, 27216, 27605, 27996,
	28390, 28786, 29184, 29585, 29988, 30394, 30802, 31213, 31627, 32043, 32461, 32883,
	33307, 33734, 34164, 34596, 35032, 35470, 35911, 36356, 36803, 37254, 37707, 38164,
	38624, 39087, 39553, 40023, 40496, 40973, 41453, 41937, 42424, 42915, 43409, 43908,
	44410, 44916, 45426, 45940, 46458, 46980, 47507, 48037, 48572, 49112, 49656, 50204,
	50757, 51315, 51877, 52445, 53017, 53595, 54177, 54765, 55358, 55957, 56561, 57170,
	57786, 58407, 59034, 59667, 60307, 60952, 61604, 62263, 62928, 63600, 64280, 64966,
	65659, 66360, 67069, 67785, 68509, 69241, 69982, 70731, 71489, 72255, 73031, 73816,
	74610, 75414, 76228, 77053, 77887, 78733, 79590, 80458, 81338, 82229, 83133, 84050,
	84979, 85922, 86879, 87850, 88836, 89836, 90852, 91884, 92933, 93999, 95082, 96183,
	97304, 98443, 99603, 100784, 101987, 103212, 104460, 105733, 107030, 108354, 109706,
	111085, 112495, 113935, 115408, 116915, 118457, 120036, 121654, 123314, 125016, 126764,
	128559, 130405, 132305, 134262, 136278, 138359, 140508, 142730, 145029, 147413, 149886,
	152457, 155132, 157921, 160834, 163883, 167080, 170442, 173985, 177731, 181704, 185934,
	190455, 195312, 200558, 206260, 212507, 219411, 227130, 235882, 245984, 257933, 272557,
	291410, 317983, 363409,
}
