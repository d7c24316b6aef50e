package group

import (
	"maps"
	"slices"

	"github.com/heiban/heiban/core/mutant"
)

// expireOffsets forgets offsets whose time is over (KIP-211), of as many groups as fit in
// one decision, and comes back for the others. A group that has nothing left is gone.
func (t *tx) expireOffsets() {
	budget := expiredMax
	for _, id := range t.s.idsFrom(t.s.sweep) {
		if budget == 0 {
			t.sweepTo(id)
			t.set(timerKey{kind: offsetsTimer}, 0, 0)
			return
		}
		budget -= t.expireGroup(id, budget)
	}
	t.sweepTo("")
	t.set(timerKey{kind: offsetsTimer}, t.s.config().OffsetsRetentionCheckInterval, 0)
}

func (t *tx) sweepTo(id string) { t.d.sweep = &id }

// idsFrom returns the ids of what has members, offsets or a record, from one on.
func (s *Shard) idsFrom(first string) []string {
	ids := slices.AppendSeq(s.ids(), maps.Keys(s.offsets)) // in any order: sorted below
	slices.Sort(ids)
	ids = slices.Compact(ids)
	at, _ := slices.BinarySearch(ids, first)
	return ids[at:]
}

// expireGroup returns how many records it wrote, at most so many.
func (t *tx) expireGroup(id string, most int) int {
	g := t.group(id)
	offsets := t.s.offsets[id]
	n := t.forgetOffsets(id, most, func(p TopicPartition, o *committed) bool {
		return !t.expired(g, p, o)
	})
	if n < len(offsets) || n == most || g == nil || !g.empty() {
		return n
	}
	if g.classic != nil && len(g.classic.pendingJoin) > 0 {
		return n
	}
	t.deleteGroup(g)
	return n + 1
}

// deleteGroup removes a group that is empty.
func (t *tx) deleteGroup(g *group) {
	if g.consumer != nil {
		t.emitConsumerTombstones(g)
		return
	}
	// Ids that were given out may not come back any more: they are of a group that is gone.
	for _, id := range slices.Sorted(maps.Keys(g.classic.pendingJoin)) {
		t.cancel(session(g.id, id))
	}
	t.emit(Key{Type: GroupMetadataType, Group: g.id}, nil)
}

// expired reports whether an offset is forgotten now. What a group still works with never
// is, and that of a group that rebalances is not either (KAFKA-13636).
func (t *tx) expired(g *group, p TopicPartition, o *committed) bool {
	since := o.timestamp
	switch {
	case g == nil || g.classic != nil && g.classic.protocolType == "":
	case g.consumer != nil:
		if g.subscribedTo(p.Topic) {
			return false
		}
	case g.classic.state == ClassicEmpty:
		if g.classic.stateTimestamp >= 0 {
			since = g.classic.stateTimestamp
		}
	case t.s.mutants.On(mutant.G5ExpireInRebalance):
	case g.classic.state != ClassicStable || g.subscribedTo(p.Topic):
		return false
	case g.classic.protocolType != consumerProtocol:
		return false
	}
	if o.expires >= 0 {
		return t.wall() >= o.expires
	}
	return t.wall()-since >= t.s.config().OffsetsRetention.Millis()
}
