package group

import (
	"slices"

	"github.com/heiban/heiban/core/metadata"
)

// assignUniform shares partitions among members that all subscribe to the same topics: the
// numbers of partitions that any two members have differ by one at most, and members keep
// what they had as far as that allows.
func assignUniform(members []memberSpec) map[string]Assignment {
	all := partitionsOf(members[0].topics)
	quota, extra := len(all)/len(members), len(all)%len(members)
	taken := make(map[Partition]bool, len(all))
	result := make(map[string]Assignment, len(members))
	// Those who had more than the quota keep the extra partitions: nobody else has to give
	// anything up for them.
	for i := range members {
		m := &members[i]
		kept := m.previous.filter(func(p Partition) bool { return all.has(p) && !taken[p] })
		room := quota
		if len(kept) > quota && extra > 0 {
			room++
			extra--
		}
		if len(kept) > room {
			kept = slices.Clip(kept[:room])
		}
		for _, p := range kept {
			taken[p] = true
		}
		result[m.id] = kept
	}
	free := all.filter(func(p Partition) bool { return !taken[p] })
	for i := range members {
		id := members[i].id
		room := quota - len(result[id])
		if room >= 0 && extra > 0 {
			room++
			extra--
		}
		if room <= 0 {
			continue
		}
		room = min(room, len(free))
		result[id] = result[id].plus(free[:room])
		free = free[room:]
	}
	return result
}

// assignBalanced shares partitions among members that subscribe to different topics.
// Members keep what they had as long as no partition can go to a member with fewer and
// leave the two more even. So nobody can be better off at the cost of one who has two
// more.
func assignBalanced(members []memberSpec) map[string]Assignment {
	b := newBalance(members)
	b.keep()
	b.place()
	for b.even() {
	}
	result := make(map[string]Assignment, len(members))
	for i := range members {
		result[members[i].id] = nil
	}
	for i, p := range b.partitions {
		if owner := b.owner[i]; owner >= 0 {
			id := members[owner].id
			result[id] = append(result[id], p) // in order, as the partitions are
		}
	}
	return result
}

// balance is an assignment that is worked on. Members are known by their place.
type balance struct {
	members     []memberSpec
	partitions  Assignment
	owner       []int                 // of each partition, -1 if none
	load        []int                 // of each member
	subscribers map[metadata.ID][]int // of each topic
}

func newBalance(members []memberSpec) *balance {
	b := &balance{
		members: members, load: make([]int, len(members)), subscribers: map[metadata.ID][]int{},
	}
	var topics []*metadata.Topic
	for i := range members {
		for _, t := range members[i].topics {
			if b.subscribers[t.ID] == nil {
				topics = append(topics, t)
			}
			b.subscribers[t.ID] = append(b.subscribers[t.ID], i)
		}
	}
	slices.SortFunc(topics, byTopicID)
	b.partitions = partitionsOf(topics)
	b.owner = slices.Repeat([]int{-1}, len(b.partitions))
	return b
}

// keep gives members what they had and still subscribe to.
func (b *balance) keep() {
	for i := range b.members {
		for _, p := range b.members[i].previous {
			at, ok := slices.BinarySearchFunc(b.partitions, p, comparePartitions)
			if ok && b.owner[at] < 0 && slices.Contains(b.subscribers[p.Topic], i) {
				b.owner[at] = i
				b.load[i]++
			}
		}
	}
}

// place gives each partition that nobody has to the subscriber with the fewest; those of
// topics with few subscribers first, as they have less of a choice.
func (b *balance) place() {
	var free []int
	for i, owner := range b.owner {
		if owner < 0 {
			free = append(free, i)
		}
	}
	slices.SortStableFunc(free, func(x, y int) int {
		return len(b.subscribers[b.partitions[x].Topic]) - len(b.subscribers[b.partitions[y].Topic])
	})
	for _, i := range free {
		to := b.least(b.partitions[i].Topic)
		b.owner[i] = to
		b.load[to]++
	}
}

// least returns the subscriber of a topic that has the fewest partitions.
func (b *balance) least(topic metadata.ID) int {
	best := -1
	for _, i := range b.subscribers[topic] {
		if best < 0 || b.load[i] < b.load[best] {
			best = i
		}
	}
	return best
}

// even moves partitions from members to others that have at least two fewer. Each move
// makes the sum of the squares of the loads smaller, so there is an end to it.
func (b *balance) even() (moved bool) {
	for i, p := range b.partitions {
		from, to := b.owner[i], b.least(p.Topic)
		if b.load[from] > b.load[to]+1 {
			b.owner[i] = to
			b.load[from]--
			b.load[to]++
			moved = true
		}
	}
	return moved
}
