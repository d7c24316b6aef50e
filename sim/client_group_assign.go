package sim

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// share is what the leader of a classic group gives one member.
type share struct {
	member string
	topics []string
	parts  []sharedPart
	order  string // instance id, or else the member's
	claims int32  // the generation of what it says it has
	owned  []sharedPart
}

type sharedPart struct {
	topic string
	index int32
}

// assignAll assigns the partitions of a catalog to the members of a group. What cannot be
// read is taken for a member that wants nothing.
func assignAll(k *catalog, members []kmsg.JoinGroupResponseMember, sticky bool) []share {
	shares := make([]share, len(members))
	for i := range members {
		s := &shares[i]
		s.member, s.order = members[i].MemberID, members[i].MemberID
		if members[i].InstanceID != nil {
			s.order = *members[i].InstanceID
		}
		said := kmsg.NewConsumerMemberMetadata()
		if said.ReadFrom(members[i].ProtocolMetadata) != nil {
			continue
		}
		s.topics, s.claims = said.Topics, said.Generation
		for _, o := range said.OwnedPartitions {
			for _, index := range o.Partitions {
				s.owned = append(s.owned, sharedPart{topic: o.Topic, index: index})
			}
		}
	}
	slices.SortFunc(shares, func(a, b share) int { return cmp.Compare(a.order, b.order) })
	if sticky {
		assignSticky(k, shares)
	} else {
		assignRange(k, shares)
	}
	return shares
}

// assignRange gives each member a run of the partitions of each topic.
func assignRange(k *catalog, shares []share) {
	for i := range k.topics {
		t := &k.topics[i]
		wanting := wantedBy(shares, t.name)
		for n, s := range wanting {
			from, to := n*len(t.partitions)/len(wanting), (n+1)*len(t.partitions)/len(wanting)
			for index := from; index < to; index++ {
				s.parts = append(s.parts, sharedPart{topic: t.name, index: int32(index)})
			}
		}
	}
}

func wantedBy(shares []share, topic string) []*share {
	var list []*share
	for i := range shares {
		if slices.Contains(shares[i].topics, topic) {
			list = append(list, &shares[i])
		}
	}
	return list
}

// assignSticky leaves partitions where they are as far as all get about as many. What
// changes hands is given to nobody at first: its owner gives it up, and joins again.
func assignSticky(k *catalog, shares []share) {
	owners := claimed(shares)
	count := map[*share]int{}
	for i := range k.topics {
		t := &k.topics[i]
		wanting := wantedBy(shares, t.name)
		if len(wanting) == 0 {
			continue
		}
		most := (len(t.partitions) + len(wanting) - 1) / len(wanting)
		clear(count)
		var free []sharedPart
		for index := range t.partitions {
			p := sharedPart{topic: t.name, index: int32(index)}
			owner := owners[p]
			if owner == nil || !slices.Contains(wanting, owner) || count[owner] == most {
				free = append(free, p)
				continue
			}
			count[owner]++
			owner.parts = append(owner.parts, p)
		}
		for _, p := range free {
			to := slices.MinFunc(wanting, func(a, b *share) int { return count[a] - count[b] })
			count[to]++
			if owners[p] == nil || owners[p] == to {
				to.parts = append(to.parts, p)
			}
		}
	}
}

// claimed returns who has what: of two who say so, the one of the later generation.
func claimed(shares []share) map[sharedPart]*share {
	owners := map[sharedPart]*share{}
	for i := range shares {
		s := &shares[i]
		for _, p := range s.owned {
			if o := owners[p]; o == nil || o.claims < s.claims {
				owners[p] = s
			}
		}
	}
	return owners
}
