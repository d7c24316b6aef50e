package core

import (
	"math/bits"

	"github.com/heiban/heiban/core/wire"
)

// random is a stream of numbers that its seed determines (SplitMix64, two lanes).
// It serves ids, not secrets.
type random struct{ a, b uint64 }

// keyed returns a number that depends on the seed and the keys, and on nothing drawn
// before.
func (b *Broker) keyed(x, y uint64) uint64 {
	r := newRandom([2]uint64{b.options.Seed[0] ^ x, b.options.Seed[1] ^ y})
	r.uint64()
	return r.uint64()
}

func newRandom(seed [2]uint64) random { return random{seed[0], seed[1]} }

func (r *random) uint64() uint64 {
	r.a += 0x9e3779b97f4a7c15
	r.b += 0xd1342543de82ef95
	z := r.a ^ bits.RotateLeft64(r.b, 29)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// uuid returns a version 4 UUID whose text form does not start with a dash, as
// Kafka wants it of topic ids.
func (r *random) uuid() wire.TopicID {
	for {
		var id wire.TopicID
		for i := 0; i < len(id); i += 8 {
			word := r.uint64()
			for j := range 8 {
				id[i+j] = byte(word >> (8 * j))
			}
		}
		id[6] = id[6]&0x0f | 0x40
		id[8] = id[8]&0x3f | 0x80
		const dash = 62 // of the URL-safe base64 alphabet
		if id[0]>>2 != dash {
			return id
		}
	}
}
