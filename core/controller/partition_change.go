package controller

import (
	"slices"

	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/mutant"
)

// Every change of a partition that exists is made here, whatever its cause, so that
// the rules hold between the parts: who leads, who is in sync, who is eligible, and
// where the replicas are.

// noLeader stands for a leader that there is not.
const noLeader int32 = -1

// noBroker stands for a broker that there is not.
const noBroker int32 = -1

// Whether a leader was elected without all that was committed.
const (
	recovered  int8 = 0
	recovering int8 = 1 // KIP-704
)

// election says who may be elected if the leader cannot go on.
type election uint8

const (
	online    election = iota // who is eligible
	preferred                 // the same, and the first replica before the leader
	unclean                   // who is eligible, else who is alive: records may be lost
)

// liveness is who may lead once the decision that is being made is carried out. It
// differs from the image in one broker.
type liveness struct {
	image  *metadata.Image
	dirs   []metadata.ID // the log directories that broker has
	broker int32         // noBroker: no difference
	gone   bool          // broker may not lead
	back   bool          // broker is not fenced
}

// acceptable reports whether a broker may lead p: it is active, and the directory of
// its replica is online.
func (l *liveness) acceptable(p *metadata.Partition, id int32) bool {
	b := l.image.Broker(id)
	if b == nil {
		return false
	}
	fenced, dirs := b.Fenced, b.LogDirs
	if id == l.broker {
		fenced, dirs = fenced && !l.back, l.dirs
		if l.gone {
			return false
		}
	}
	return !fenced && !b.InControlledShutdown && isOnline(dirs, directoryOf(p, id))
}

// Log directories that are none (KIP-858).
var (
	unassigned = metadata.ID{15: 1} // still to be chosen
	lostDir    = metadata.ID{15: 2} // failed, and which one is not known
)

// reservedDirs is how many of the lowest ids are no log directory's.
const reservedDirs = 100 // kafka: DirectoryId.RESERVED

func isReserved(dir metadata.ID) bool {
	return [15]byte(dir[:15]) == [15]byte{} && dir[15] < reservedDirs
}

// isOnline reports whether a replica's directory is among those of its broker. A
// broker without directories did not tell which it has.
func isOnline(dirs []metadata.ID, dir metadata.ID) bool {
	if dir == lostDir {
		return false
	}
	return isReserved(dir) || len(dirs) == 0 || slices.Contains(dirs, dir)
}

// directoryOf returns the directory of a replica; the zero ID if it is not known.
func directoryOf(p *metadata.Partition, id int32) metadata.ID {
	if i := slices.Index(p.Replicas, id); i >= 0 && i < len(p.Directories) {
		return p.Directories[i]
	}
	return metadata.ID{}
}

// firstDirectory returns where a new replica of a broker stands: in its directory if
// it has only one.
func firstDirectory(m *metadata.Image, id int32) metadata.ID {
	if b := m.Broker(id); b != nil && len(b.LogDirs) == 1 {
		return b.LogDirs[0]
	}
	return unassigned
}

// change is a partition as it is and as it is wished to be. Build settles the rest.
type change struct {
	alive    *liveness
	topic    *metadata.Topic
	old      *metadata.Partition
	next     metadata.Partition // shares its slices with old: they are replaced only
	mutants  mutant.Set
	index    int32
	lost     int32 // the broker that may have lost its replica, noBroker if none has
	election election
	elr      bool // KIP-966 is in use
}

// changeOf begins the change of a partition. Topic's configuration says whether an
// unclean election may be held.
func (c *Controller) changeOf(t *metadata.Topic, index int32, alive *liveness) change {
	p := &t.Partitions[index]
	ch := change{
		alive: alive, topic: t, old: p, next: *p, mutants: c.options.Mutants, index: index,
		lost: noBroker, elr: c.elrEnabled(),
	}
	if t.Config.UncleanLeaderElection {
		ch.election = unclean
	}
	return ch
}

// elrEnabled reports whether replicas stay eligible when min.insync.replicas are not
// in sync any more (KIP-966).
func (c *Controller) elrEnabled() bool {
	return c.image.Feature(metadata.EligibleLeaderReplicaVersion) >= 1
}

// asIs is the liveness that the image shows.
func (c *Controller) asIs() *liveness { return &liveness{image: c.image, broker: noBroker} }

// setReplicas gives the partition another assignment. Replicas keep their directories.
func (ch *change) setReplicas(replicas []int32) {
	directories := make([]metadata.ID, len(replicas))
	for i, id := range replicas {
		if slices.Contains(ch.next.Replicas, id) {
			directories[i] = directoryOf(&ch.next, id)
		} else {
			directories[i] = firstDirectory(ch.alive.image, id)
		}
	}
	ch.next.Replicas, ch.next.Directories = replicas, directories
}

// setDirectory moves the replica of a broker.
func (ch *change) setDirectory(id int32, dir metadata.ID) {
	directories := make([]metadata.ID, len(ch.next.Replicas))
	for i, r := range ch.next.Replicas {
		directories[i] = directoryOf(&ch.next, r)
		if r == id {
			directories[i] = dir
		}
	}
	ch.next.Directories = directories
}

// build settles what follows from the wish, and returns the smallest record that
// carries it out; nil if nothing changes.
func (ch *change) build() *metadata.PartitionChangeRecord {
	next := &ch.next
	ch.completeReassignment()
	if ch.elr {
		ch.keepEligible()
	}
	elected, clean := ch.elect()
	if elected != ch.old.Leader {
		switch {
		case !clean:
			next.ISR, next.ELR, next.RecoveryState = []int32{elected}, nil, recovering
		case len(next.ISR) == 0 && elected != noLeader:
			next.ISR, next.ELR = []int32{elected}, without(next.ELR, elected)
		}
	}
	next.Leader = elected
	switch {
	case !ch.elr:
		next.ELR, next.LastKnownELR = nil, nil
		if len(next.ISR) == 0 {
			next.ISR = ch.old.ISR // the last one in sync stays, for it may come back
		}
	case ch.enoughInSync():
		next.ELR = nil
	}
	if ch.elr {
		ch.keepLastLeader()
	}
	return ch.record()
}

// completeReassignment ends a reassignment whose target is in sync.
func (ch *change) completeReassignment() {
	next := &ch.next
	if len(next.AddingReplicas)+len(next.RemovingReplicas) == 0 {
		return
	}
	target := withoutAll(next.Replicas, next.RemovingReplicas)
	isr := withoutAll(next.ISR, next.RemovingReplicas)
	if len(target) == 0 || len(isr) == 0 || !containsAll(isr, target) {
		return
	}
	ch.setReplicas(target)
	next.ISR, next.AddingReplicas, next.RemovingReplicas = isr, nil, nil
}

// enoughInSync reports whether the high watermark may rise without the replicas that
// are not in sync.
func (ch *change) enoughInSync() bool {
	needed := min(int(ch.topic.Config.MinInsyncReplicas), len(ch.next.Replicas))
	return len(ch.next.ISR) >= needed && !ch.mutants.On(mutant.E2KeepEligible)
}

// keepEligible notes who holds all that was committed although it is not in sync: who
// was in sync when the high watermark stood still.
func (ch *change) keepEligible() {
	old, next := ch.old, &ch.next
	if ch.enoughInSync() {
		next.ELR = nil
		return
	}
	var elr []int32
	for _, id := range next.Replicas {
		holds := slices.Contains(old.ISR, id) || slices.Contains(next.ELR, id)
		if holds && id != ch.lost && !slices.Contains(next.ISR, id) {
			elr = append(elr, id)
		}
	}
	if !slices.Equal(sorted(elr), sorted(next.ELR)) { // another order is no change
		next.ELR = elr
	}
}

// elect returns who is to lead, noLeader if nobody can, and whether the leader has all
// that was committed.
func (ch *change) elect() (leader int32, clean bool) {
	replicas := ch.next.Replicas
	if ch.election == preferred && ch.eligible(replicas[0]) {
		return replicas[0], true
	}
	if ch.eligible(ch.old.Leader) {
		return ch.old.Leader, true
	}
	for _, id := range replicas {
		if ch.eligible(id) {
			return id, true
		}
	}
	// If nobody is left the last leader may have lost its tail, but no other replica
	// is known to have more.
	last := ch.old.LastKnownELR
	if ch.elr && len(ch.next.ISR)+len(ch.next.ELR) == 0 && len(last) == 1 &&
		slices.Contains(replicas, last[0]) && ch.alive.acceptable(&ch.next, last[0]) {
		return last[0], false
	}
	if ch.election == unclean {
		for _, id := range replicas {
			if ch.alive.acceptable(&ch.next, id) {
				return id, false
			}
		}
	}
	return noLeader, true
}

// eligible reports whether nothing is lost if a broker leads.
func (ch *change) eligible(id int32) bool {
	next := &ch.next
	holds := slices.Contains(next.ISR, id) || len(next.ISR) == 0 && slices.Contains(next.ELR, id)
	if !holds && !ch.mutants.On(mutant.I11ElectAnyLive) {
		return false
	}
	return ch.alive.acceptable(next, id)
}

// keepLastLeader notes who led last when nobody is in sync any more, and forgets it
// when there is a leader.
func (ch *change) keepLastLeader() {
	old, next := ch.old, &ch.next
	switch {
	case next.Leader != noLeader:
		next.LastKnownELR = nil
	case len(next.ISR) == 0 && len(old.ISR) > 0:
		last := old.Leader
		if last == noLeader && len(old.ISR) == 1 {
			last = old.ISR[0] // as it is left where KIP-966 is not in use
		}
		if last != noLeader {
			next.LastKnownELR = []int32{last}
		}
	}
	for _, id := range next.LastKnownELR {
		if !slices.Contains(next.Replicas, id) {
			next.LastKnownELR = nil
			return
		}
	}
}

// record returns the difference between the partition and what it is to be.
func (ch *change) record() *metadata.PartitionChangeRecord {
	old, next := ch.old, &ch.next
	ch.check()
	r := metadata.PartitionChangeRecord{
		TopicID: ch.topic.ID, PartitionID: ch.index, Leader: metadata.NoLeaderChange,
		LeaderRecoveryState: metadata.NoRecoveryStateChange,
		ISR:                 different(old.ISR, next.ISR),
		Replicas:            different(old.Replicas, next.Replicas),
		AddingReplicas:      different(old.AddingReplicas, next.AddingReplicas),
		RemovingReplicas:    different(old.RemovingReplicas, next.RemovingReplicas),
		Directories:         different(old.Directories, next.Directories),
		LastKnownELR:        different(old.LastKnownELR, next.LastKnownELR),

		EligibleLeaderReplicas: different(old.ELR, next.ELR),
	}
	// A replica that leaves the assignment must not go on under the leader epoch.
	if next.Leader != old.Leader || !containsAll(next.Replicas, old.Replicas) {
		r.Leader = next.Leader
	}
	if next.RecoveryState != old.RecoveryState {
		r.LeaderRecoveryState = next.RecoveryState
	}
	if r.Leader == metadata.NoLeaderChange && r.ISR == nil && r.Replicas == nil &&
		r.AddingReplicas == nil && r.RemovingReplicas == nil && r.Directories == nil &&
		r.LastKnownELR == nil && r.EligibleLeaderReplicas == nil &&
		r.LeaderRecoveryState == metadata.NoRecoveryStateChange {
		return nil
	}
	own := r
	return &own
}

// check asserts what is true of every partition. The mutants break it on purpose, and
// are to be found by others.
func (ch *change) check() {
	if mutant.Enabled {
		return
	}
	next := &ch.next
	for _, id := range next.ISR {
		invariant.True(!slices.Contains(next.ELR, id), "who is in sync is not merely eligible")
	}
	invariant.True(next.Leader == noLeader || slices.Contains(next.ISR, next.Leader),
		"a leader is in sync")
	invariant.True(containsAll(next.Replicas, next.ISR), "who is in sync is a replica")
	invariant.True(containsAll(next.Replicas, next.ELR), "who is eligible is a replica")
}

// different returns next if it differs from old, and never nil then: an empty list in
// a record empties.
func different[T comparable](old, next []T) []T {
	if slices.Equal(old, next) {
		return nil
	}
	if next == nil {
		return []T{}
	}
	return next
}

func sorted(list []int32) []int32 {
	if slices.IsSorted(list) {
		return list
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// without returns list without id. It never changes list.
func without(list []int32, id int32) []int32 { return withoutAll(list, []int32{id}) }

// withoutAll returns list without ids. It never changes list.
func withoutAll(list, ids []int32) []int32 {
	var rest []int32
	for _, id := range list {
		if !slices.Contains(ids, id) {
			rest = append(rest, id)
		}
	}
	return rest
}

func containsAll(list, ids []int32) bool {
	for _, id := range ids {
		if !slices.Contains(list, id) {
			return false
		}
	}
	return true
}
