package checker

import (
	"maps"
	"slices"

	"github.com/heiban/heiban/clock"
)

// Shared says that the leader of a generation sends an assignment: numbers that stand for
// partitions, in any order, by instance id or else by member id. After a change of
// coordinator a generation may come again, with another leader.
func (g *Groups) Shared(group string, generation int32, assignment map[string][]int) {
	b := g.book(group)
	for _, sent := range b.shared[generation] {
		if maps.EqualFunc(sent, assignment, slices.Equal) {
			return // again
		}
	}
	b.shared[generation] = append(b.shared[generation], assignment)
}

// Assigned judges that a member of a classic group was given what a leader of its
// generation sent for it. Who is its instance id, or else its member id.
func (g *Groups) Assigned(group, who string, generation int32, partitions []int) {
	slices.Sort(partitions)
	for _, sent := range g.book(group).shared[generation] {
		mine := slices.Clone(sent[who])
		slices.Sort(mine)
		if slices.Equal(mine, partitions) {
			return
		}
	}
	g.judge.Report(GroupOwners, "assigned-by-nobody", "group %s: %s is given %d partitions in "+
		"generation %d, as no leader of it said", group, who, len(partitions), generation)
}

// Took judges that a member may work on a partition from now on, or still: granted by an
// answer to a request that it sent at an instant, in an epoch or generation. Nobody else
// works on it in the same generation. In the consumer protocol nobody else works on it at
// all (KIP-848): who had it before has said that it gave it up, or may have been thrown
// out, since it was not heard of for its session, or did not give up in time.
func (g *Groups) Took(
	group, member string, id PartitionID, epoch int32, sent, now clock.Instant,
) {
	b := g.book(group)
	m := b.member(member)
	for _, other := range b.ordered {
		held, ok := other.heldSince[id]
		if other == m || !ok {
			continue
		}
		switch {
		case m.classic && other.classic:
			if m.instance != "" && m.instance == other.instance {
				continue // it has the place of the other, who is fenced
			}
			// A generation may come again after a change of coordinator, with others in it.
			if held.epoch == epoch && len(b.shared[epoch]) < 2 {
				g.twoOwners(b, m, other, id, now)
			}
		case m.classic || other.classic:
		case now >= sent.Add(min(m.session, m.rebalance)): // it may be none itself by now
		case now < other.heard.Add(other.session) && now < other.revoking().Add(other.rebalance):
			g.twoOwners(b, m, other, id, now)
		}
	}
	if _, ok := m.heldSince[id]; !ok {
		m.order = append(m.order, id)
	}
	m.heldSince[id] = heldPartition{epoch: epoch, granted: sent}
}

// revoking is since when a member may have been waited for to give up something: if it
// does not in time, it loses all that it has.
func (m *groupMember) revoking() clock.Instant {
	since := clock.Never
	for _, id := range m.order {
		since = min(since, m.heldSince[id].granted)
	}
	return since
}

func (g *Groups) twoOwners(b *groupBook, m, other *groupMember, id PartitionID, now clock.Instant) {
	name := "a partition"
	if p := g.judge.partitions[id]; p != nil {
		name = p.Name
	}
	g.judge.Report(GroupOwners, "two-owners", "group %s: %s is given %s at %d in epoch %d, which "+
		"%s has in epoch %d and was heard of at %d", b.name, m.id, name, now, m.epoch,
		other.id, other.heldSince[id].epoch, other.heard)
}

// Gave says that a member works on a partition no longer: before it tells the coordinator,
// or because it is no more.
func (g *Groups) Gave(group, member string, id PartitionID) {
	m := g.book(group).member(member)
	delete(m.heldSince, id)
	m.order = slices.DeleteFunc(m.order, func(o PartitionID) bool { return o == id })
}
