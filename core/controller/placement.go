package controller

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

// Replicas are placed in stripes: the first replica of each partition goes to the next
// rack, and there to the next broker that is not fenced; the further ones to the racks
// in turn, and in a rack to fenced brokers only when no others are left. When every
// broker that is not fenced had its turn, racks and brokers are shuffled, so that not
// the same brokers share all their partitions.

// draws are random numbers that follow from a seed (SplitMix64).
type draws struct{ state uint64 }

// below returns a number from 0 to n-1.
func (d *draws) below(n int) int {
	d.state += 0x9e3779b97f4a7c15
	z := d.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int((z ^ z>>31) % uint64(n))
}

func shuffle[T any](d *draws, list []T) {
	for i := len(list) - 1; i > 0; i-- {
		j := d.below(i + 1)
		list[i], list[j] = list[j], list[i]
	}
}

// turn is brokers of a rack that are chosen from in turn.
type turn struct {
	brokers []int32
	lead    int // whose turn it is to be first
	follow  int // where this partition's choice of the further replicas began
	asked   int // how many this partition has gone through
	round   int // the partition that follow and asked are of
}

// first returns the broker whose turn it is to be a partition's first.
func (t *turn) first() (int32, bool) {
	if len(t.brokers) == 0 {
		return noBroker, false
	}
	id := t.brokers[t.lead]
	t.lead = (t.lead + 1) % len(t.brokers)
	return id, true
}

// next returns a broker that the partition of a round does not have yet. Only a list
// that is asked moves on to another beginning.
func (t *turn) next(round int, replicas []int32) (int32, bool) {
	if t.round != round && len(t.brokers) > 0 {
		t.round, t.asked = round, 0
		t.follow = (t.follow + 1) % len(t.brokers)
	}
	for t.asked < len(t.brokers) {
		id := t.brokers[(t.follow+t.asked)%len(t.brokers)]
		t.asked++
		if !slices.Contains(replicas, id) {
			return id, true
		}
	}
	return noBroker, false
}

type rack struct {
	name     string // empty: brokers without one
	unfenced turn
	fenced   turn
}

func (r *rack) next(round int, replicas []int32) (int32, bool) {
	if id, ok := r.unfenced.next(round, replicas); ok {
		return id, true
	}
	return r.fenced.next(round, replicas)
}

// stripes is the state of a placement.
type stripes struct {
	draws    draws
	racks    []rack
	at       int // the rack of the next partition
	round    int // the partition being placed
	last     int // the round of the last shuffle
	unfenced int
	usable   int
}

// newStripes begins a placement over the brokers that do not shut down.
func newStripes(m *metadata.Image, seed uint32) *stripes {
	s := &stripes{draws: draws{state: uint64(seed)}}
	for _, b := range m.Brokers() {
		if b.InControlledShutdown {
			continue
		}
		name := ""
		if b.Rack != nil {
			name = *b.Rack
		}
		i, ok := slices.BinarySearchFunc(s.racks, name, func(r rack, name string) int {
			return cmp.Compare(r.name, name)
		})
		if !ok {
			s.racks = slices.Insert(s.racks, i, rack{name: name})
		}
		s.usable++
		if b.Fenced {
			s.racks[i].fenced.brokers = append(s.racks[i].fenced.brokers, b.ID)
			continue
		}
		s.unfenced++
		s.racks[i].unfenced.brokers = append(s.racks[i].unfenced.brokers, b.ID)
	}
	for i := range s.racks {
		for _, t := range []*turn{&s.racks[i].unfenced, &s.racks[i].fenced} {
			if len(t.brokers) > 0 {
				t.lead, t.follow = s.draws.below(len(t.brokers)), s.draws.below(len(t.brokers))
			}
		}
	}
	if len(s.racks) > 0 {
		s.at = s.draws.below(len(s.racks))
	}
	return s
}

// partition returns the replicas of the next partition. There must be an unfenced
// broker, and as many brokers as replicas.
func (s *stripes) partition(factor int) []int32 {
	if s.round-s.last == s.unfenced && s.unfenced > 1 {
		s.last = s.round
		shuffle(&s.draws, s.racks)
		for i := range s.racks {
			shuffle(&s.draws, s.racks[i].unfenced.brokers)
			shuffle(&s.draws, s.racks[i].fenced.brokers)
		}
	}
	replicas := make([]int32, 0, factor)
	first := s.at
	for len(replicas) == 0 {
		if id, ok := s.racks[first].unfenced.first(); ok {
			replicas = append(replicas, id)
			break
		}
		first = (first + 1) % len(s.racks)
	}
	skip := true // the first replica's rack has had its turn
	for i := s.at; len(replicas) < factor; i = (i + 1) % len(s.racks) {
		if i == first && skip {
			skip = false
			continue
		}
		if id, ok := s.racks[i].next(s.round, replicas); ok {
			replicas = append(replicas, id)
		}
	}
	s.round++
	s.at = (s.at + 1) % len(s.racks)
	return replicas
}

// place spreads partitions over the brokers. What is random in it follows from seed,
// which the caller draws; the outcome is recorded, never computed again.
func (c *Controller) place(count int32, factor int16, seed uint32) ([][]int32, *failure) {
	s := newStripes(c.image, seed)
	if s.unfenced == 0 {
		return nil, fail(errcode.InvalidReplicationFactor, "no broker is active")
	}
	if int(factor) > s.usable {
		return nil, fail(errcode.InvalidReplicationFactor, fmt.Sprintf(
			"the replication factor %d is above the number of brokers, %d", factor, s.usable))
	}
	placed := make([][]int32, count)
	for i := range placed {
		placed[i] = s.partition(int(factor))
	}
	return placed, nil
}

// checkAssignment returns a failure unless replicas may be a partition's. A factor
// of 0 allows any number of them.
func (c *Controller) checkAssignment(replicas []int32, factor int) *failure {
	bad := func(format string, args ...any) *failure {
		return fail(errcode.InvalidReplicaAssignment, fmt.Sprintf(format, args...))
	}
	if len(replicas) == 0 {
		return bad("the assignment has no replicas")
	}
	for i, id := range replicas {
		if c.image.Broker(id) == nil {
			return bad("the assignment names broker %d, which is not registered", id)
		}
		if slices.Contains(replicas[:i], id) {
			return bad("the assignment names broker %d twice", id)
		}
	}
	if factor != 0 && len(replicas) != factor {
		return bad("the assignment has %d replicas, others have %d", len(replicas), factor)
	}
	return nil
}

// newPartition returns the record of a partition that begins with replicas; nil if
// none of them is active.
func (c *Controller) newPartition(
	topic metadata.ID, index int32, replicas []int32,
) *metadata.PartitionRecord {
	isr := make([]int32, 0, len(replicas))
	directories := make([]metadata.ID, len(replicas))
	for i, id := range replicas {
		if c.image.Broker(id).Active() {
			isr = append(isr, id)
		}
		directories[i] = firstDirectory(c.image, id)
	}
	if len(isr) == 0 {
		return nil
	}
	return &metadata.PartitionRecord{
		PartitionID: index, TopicID: topic, Replicas: replicas, ISR: isr, Leader: isr[0],
		Directories: directories,
	}
}
