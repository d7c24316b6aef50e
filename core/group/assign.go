package group

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/metadata"
)

// The assignors of group.consumer.assignors.
const (
	uniformAssignor = "uniform"
	rangeAssignor   = "range"
)

// memberSpec is what an assignor knows of a member.
type memberSpec struct {
	instanceID *string
	id         string
	topics     []*metadata.Topic // that exist, and that it subscribes to
	previous   Assignment        // what it was to have until now
}

func knownAssignor(c *config.Broker, name string) bool {
	return slices.Contains(c.GroupConsumerAssignors, name) &&
		(name == uniformAssignor || name == rangeAssignor)
}

// defaultAssignor returns the first assignor of the configuration that there is here.
func defaultAssignor(c *config.Broker) string {
	for _, name := range c.GroupConsumerAssignors {
		if knownAssignor(c, name) {
			return name
		}
	}
	return uniformAssignor
}

// assign computes which partitions each member shall have. Members come in the order of
// their ids. Every partition that somebody subscribes to is given to one who does.
func assign(assignor string, members []memberSpec) map[string]Assignment {
	for i := range members {
		slices.SortFunc(members[i].topics, byTopicID)
	}
	switch {
	case len(members) == 0:
		return nil
	case assignor == rangeAssignor:
		return assignRange(members)
	case homogeneous(members):
		return assignUniform(members)
	}
	return assignBalanced(members)
}

func byTopicID(a, b *metadata.Topic) int { return bytes.Compare(a.ID[:], b.ID[:]) }

// homogeneous reports whether all members subscribe to the same topics.
func homogeneous(members []memberSpec) bool {
	for i := range members {
		if !slices.Equal(members[i].topics, members[0].topics) {
			return false
		}
	}
	return true
}

// partitionsOf returns the partitions of topics, in order.
func partitionsOf(topics []*metadata.Topic) Assignment {
	var a Assignment
	for _, t := range topics {
		for i := range t.Partitions {
			a = append(a, Partition{Topic: t.ID, Index: int32(i)})
		}
	}
	return a
}

// assignRange gives each member a range of each topic's partitions. Members of the same
// place in the order get ranges of the same place in all topics that have the same
// subscribers and as many partitions, so that such topics can be joined. Static members
// come first, in the order of their instance ids, and so keep their place.
func assignRange(members []memberSpec) map[string]Assignment {
	order := slices.Clone(members)
	slices.SortFunc(order, func(a, b memberSpec) int {
		switch {
		case a.instanceID != nil && b.instanceID != nil:
			return cmp.Compare(*a.instanceID, *b.instanceID)
		case a.instanceID != nil:
			return -1
		case b.instanceID != nil:
			return 1
		}
		return cmp.Compare(a.id, b.id)
	})
	subscribers := map[metadata.ID]int{}
	for i := range order {
		for _, t := range order[i].topics {
			subscribers[t.ID]++
		}
	}
	place := map[metadata.ID]int{} // of the next subscriber
	result := make(map[string]Assignment, len(order))
	for i := range order {
		var a Assignment
		for _, t := range order[i].topics {
			n, among := len(t.Partitions), subscribers[t.ID]
			k := place[t.ID]
			place[t.ID]++
			first := k*(n/among) + min(k, n%among)
			last := (k+1)*(n/among) + min(k+1, n%among)
			for p := first; p < last; p++ {
				a = append(a, Partition{Topic: t.ID, Index: int32(p)})
			}
		}
		result[order[i].id] = a.sorted()
	}
	return result
}
