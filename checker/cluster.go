package checker

import "slices"

// PartitionState is what the committed metadata says of a partition at one partition
// epoch.
type PartitionState struct {
	Partition      PartitionID
	Replicas       []int32
	ISR            []int32
	ELR            []int32 // KIP-966
	LastKnownELR   []int32
	Adding         []int32
	Removing       []int32
	Leader         int32 // -1: none
	LeaderEpoch    int32
	PartitionEpoch int32
	Recovering     bool // from an unclean election
}

// candidate reports whether a node may be elected cleanly.
func (s *PartitionState) candidate(node int32) bool {
	return slices.Contains(s.ISR, node) || slices.Contains(s.ELR, node)
}

// completes reports whether a state ends a reassignment, whose last replica came in sync
// with the same change: the ISR that the leader asked for is not to be seen in any state
// then, but it held all of this one, and the leader may be among who joined.
func (s *PartitionState) completes(before *PartitionState) bool {
	moved := len(before.Adding)+len(before.Removing) > 0 && len(s.Adding)+len(s.Removing) == 0
	if !moved || before.Leader < 0 {
		return false
	}
	for _, id := range before.Replicas {
		removed := slices.Contains(before.Removing, id)
		if removed == slices.Contains(s.Replicas, id) || !removed && !slices.Contains(s.ISR, id) {
			return false
		}
	}
	return true
}

// revertsUncleanly reports whether a state ends a reassignment that is called off when only
// replicas that it added are in sync: one that was there before takes their place, alive
// or not.
func (s *PartitionState) revertsUncleanly(before *PartitionState) bool {
	if len(before.Adding) == 0 || len(s.Adding)+len(s.Removing) > 0 || len(s.ISR) != 1 {
		return false
	}
	for _, id := range before.ISR {
		if !slices.Contains(before.Adding, id) || slices.Contains(s.Replicas, id) {
			return false
		}
	}
	return len(before.ISR) > 0 && slices.Contains(before.Replicas, s.ISR[0])
}

// BrokerState is what the committed metadata says of a broker.
type BrokerState struct {
	ID           int32
	Epoch        int64 // of its present life (KIP-380)
	Fenced       bool
	ShuttingDown bool
}

// State returns the partition's state as last committed, or nil if none is known.
func (p *Partition) State() *PartitionState {
	if len(p.states) == 0 {
		return nil
	}
	return &p.states[len(p.states)-1]
}

// current reports whether an epoch is the last one that the metadata knows.
func (p *Partition) current(epoch int32) bool {
	s := p.State()
	return s == nil || s.LeaderEpoch == epoch
}

// leaderOf returns who leads in an epoch, if the metadata said so.
func (p *Partition) leaderOf(epoch int32) (leader int32, known bool) {
	for i := len(p.states) - 1; i >= 0; i-- {
		if s := &p.states[i]; s.LeaderEpoch == epoch {
			return s.Leader, true
		}
	}
	return 0, false
}

// PartitionChanged says that another state of a partition was committed. The states of
// a partition come in the order of the metadata log, none left out.
func (j *Judge) PartitionChanged(s *PartitionState) {
	p := j.partitions[s.Partition]
	before := p.State()
	j.checkState(p, s)
	if before != nil {
		j.checkEpochs(p, before, s)
		j.checkJoined(p, before, s)
		j.checkElected(p, before, s)
	}
	p.states = append(p.states, *s)
	j.reckon(p)
}

// EligibleCleared says that nobody is eligible to lead but who is in sync.
func (j *Judge) EligibleCleared(id PartitionID) {
	p := j.partitions[id]
	if s := p.State(); s != nil {
		s.ELR, s.LastKnownELR = nil, nil
		j.reckon(p)
	}
}

// checkState judges a state by itself.
func (j *Judge) checkState(p *Partition, s *PartitionState) {
	for _, id := range s.ISR {
		if !slices.Contains(s.Replicas, id) {
			j.Report(ISRLegality, "not-a-replica", "%s: ISR %v of replicas %v",
				p.Name, s.ISR, s.Replicas)
		}
		if slices.Contains(s.ELR, id) {
			j.Report(ISRLegality, "in-sync-and-eligible", "%s: ISR %v, ELR %v", p.Name, s.ISR, s.ELR)
		}
	}
	sorted := slices.Sorted(slices.Values(s.ISR))
	switch {
	case len(slices.Compact(sorted)) < len(s.ISR):
		j.Report(ISRLegality, "twice", "%s: ISR %v", p.Name, s.ISR)
	case s.Leader >= 0 && !slices.Contains(s.ISR, s.Leader):
		j.Report(ISRLegality, "leader-not-in-sync", "%s: leader %d, ISR %v",
			p.Name, s.Leader, s.ISR)
	case len(s.ISR) == 0 && len(s.ELR) == 0 && len(s.LastKnownELR) == 0:
		j.Report(ISRLegality, "nobody", "%s: no replica may ever lead again", p.Name)
	}
}

// checkEpochs judges that every change has an epoch of its own, and every leader.
func (j *Judge) checkEpochs(p *Partition, before, s *PartitionState) {
	switch {
	case s.PartitionEpoch != before.PartitionEpoch+1:
		j.Report(ISRLegality, "partition-epoch", "%s: %d after %d",
			p.Name, s.PartitionEpoch, before.PartitionEpoch)
	case s.LeaderEpoch < before.LeaderEpoch, s.LeaderEpoch > before.LeaderEpoch+1:
		j.Report(OneLeader, "epoch-fell", "%s: leader epoch %d after %d",
			p.Name, s.LeaderEpoch, before.LeaderEpoch)
	case s.Leader != before.Leader && s.LeaderEpoch == before.LeaderEpoch:
		j.Report(OneLeader, "two-leaders", "%s: nodes %d and %d in epoch %d",
			p.Name, before.Leader, s.Leader, s.LeaderEpoch)
	}
}

// checkJoined judges who came into the ISR: it is alive (KIP-841) and has all that was
// committed, but for what faults took from it since it said so.
func (j *Judge) checkJoined(p *Partition, before, s *PartitionState) {
	if p.policy.Unclean && s.revertsUncleanly(before) {
		p.uncleanEpoch, p.unsettled = s.LeaderEpoch, true
		return
	}
	for _, id := range s.ISR {
		if slices.Contains(before.ISR, id) {
			continue
		}
		if b, known := j.brokers[id]; known && (b.Fenced || b.ShuttingDown) && id != s.Leader {
			j.Report(ISRLegality, "inactive-joined", "%s: broker %d joined ISR %v, fenced %t, "+
				"shutting down %t", p.Name, id, s.ISR, b.Fenced, b.ShuttingDown)
		}
		r := p.replica(id)
		if r == nil || s.Recovering || p.unsettled {
			continue
		}
		r.follow()
		for o := r.matched; o < p.committed; o++ {
			if p.promised(o) && p.slots[o].flags&slotForgiven == 0 && !r.lacks(o) {
				j.Report(LeaderCompleteness, "joined-without", "%s: broker %d joined ISR %v and "+
					"lacks %d, committed is %d", p.Name, id, s.ISR, o, p.committed)
				break
			}
		}
	}
}

// checkElected judges a new leader: it is one who may be elected, or the topic allows
// elections that lose records.
func (j *Judge) checkElected(p *Partition, before, s *PartitionState) {
	if s.LeaderEpoch == before.LeaderEpoch || s.Leader < 0 {
		return
	}
	if b, known := j.brokers[s.Leader]; known && b.Fenced {
		j.Report(ISRLegality, "fenced-elected", "%s: broker %d leads in epoch %d",
			p.Name, s.Leader, s.LeaderEpoch)
	}
	if before.candidate(s.Leader) || s.completes(before) {
		return
	}
	balanced := len(before.ISR) == 0 && slices.Contains(before.LastKnownELR, s.Leader)
	if !p.policy.Unclean && !balanced {
		j.Report(LeaderCompleteness, "unclean-election", "%s: broker %d leads in epoch %d after "+
			"ISR %v, ELR %v", p.Name, s.Leader, s.LeaderEpoch, before.ISR, before.ELR)
	}
	if !s.Recovering {
		j.Report(ISRLegality, "unclean-unmarked", "%s: broker %d leads in epoch %d after "+
			"ISR %v, ELR %v", p.Name, s.Leader, s.LeaderEpoch, before.ISR, before.ELR)
	}
	p.uncleanEpoch, p.unsettled = s.LeaderEpoch, true
}

// Saw says what a copy's node knows of its partition: the partition epoch, and the
// topic's min.insync.replicas.
func (j *Judge) Saw(id ReplicaID, partitionEpoch int32, minISR int) {
	if j.partitions[id.PartitionID] == nil {
		return
	}
	r := j.replica(id)
	r.stateEpoch, r.minISR = max(r.stateEpoch, partitionEpoch), minISR
}

// Foresees says which min.insync.replicas a copy's node will know when what it does now is
// over: it may go by either meanwhile.
func (j *Judge) Foresees(id ReplicaID, minISR int) {
	if j.partitions[id.PartitionID] != nil {
		r := j.replica(id)
		r.minISR = min(r.minISR, minISR)
	}
}

// checkHeld judges that all in-sync replicas hold what a leader committed, and that they
// are enough (KIP-966). Which replicas those are the leader may know before its image
// says so, from the answer of the controller.
func (j *Judge) checkHeld(r *Replica, offset int64) {
	p := r.p
	var last *PartitionState
	few := false
	for i := len(p.states) - 1; i >= 0; i-- {
		s := &p.states[i]
		if s.LeaderEpoch > r.leaderEpoch {
			continue
		}
		if s.LeaderEpoch < r.leaderEpoch || s.PartitionEpoch < r.stateEpoch {
			break
		}
		last = s
		few = len(s.ISR) < min(r.minISR, len(s.Replicas))
		if !few && p.allHeld(r, s.ISR, offset) {
			return
		}
	}
	switch {
	case last == nil:
	case few:
		j.Report(AckPolicy, "committed-under-min-isr", "%s: leader %d moved its high watermark "+
			"to %d with the ISR %v, min.insync.replicas %d",
			p.Name, r.Node, offset, last.ISR, r.minISR)
	default:
		j.Report(AckPolicy, "committed-unheld", "%s: leader %d moved its high watermark to %d, "+
			"which not all of the ISR %v hold", p.Name, r.Node, offset, last.ISR)
	}
}

// allHeld reports whether all of an ISR held the leader's log up to an offset at some
// time.
func (p *Partition) allHeld(leader *Replica, isr []int32, offset int64) bool {
	for _, id := range isr {
		if id != leader.Node && p.held(id) < offset {
			return false
		}
	}
	return true
}

// holding is what a node held.
type holding struct {
	node int32
	end  int64
}

// held returns up to where a node ever held the log as committed. What it held before it
// deleted its copy counts: a leader that does not know yet that it was relieved waits for
// it no longer than until then.
func (p *Partition) held(node int32) int64 {
	if m := p.replica(node); m != nil {
		return m.held()
	}
	for i := len(p.departed) - 1; i >= 0; i-- {
		if h := p.departed[i]; h.node == node {
			return h.end
		}
	}
	return noOffset
}

// held returns up to where the copy ever held the log as committed, but for what faults
// took from it.
func (r *Replica) held() int64 {
	r.follow()
	if r.matched >= r.p.committed || r.lacks(r.matched) {
		return r.heldOnce
	}
	return min(r.heldOnce, r.matched)
}

// BrokerChanged says what is committed about a broker from now on.
func (j *Judge) BrokerChanged(b BrokerState) {
	if old, known := j.brokers[b.ID]; known && b.Epoch < old.Epoch {
		j.Report(BrokerEpochs, "epoch-fell", "broker %d: epoch %d after %d",
			b.ID, b.Epoch, old.Epoch)
	}
	for id, other := range j.brokers { // the one that is found is the only one: in any order
		if id != b.ID && other.Epoch == b.Epoch {
			j.Report(BrokerEpochs, "epoch-twice", "brokers %d and %d both have epoch %d",
				id, b.ID, b.Epoch)
		}
	}
	if old, known := j.brokers[b.ID]; (!known || b.Epoch > old.Epoch) && j.unclean[b.ID] {
		j.returned = append(j.returned, b.ID)
	}
	j.brokers[b.ID] = b
}

// NodeStopped says how a node's life ended. After any but a clean end it may have lost
// what was not durable.
func (j *Judge) NodeStopped(node int32, clean bool) { j.unclean[node] = !clean }

// DecisionEnded says that all records of one decision were told. A broker that comes back
// after an unclean end may have lost what it had: with the record of its new life it
// leaves all in-sync replicas but those in which it is the last one, and is eligible to
// lead nowhere (KIP-966).
func (j *Judge) DecisionEnded() {
	for _, id := range j.returned {
		for _, p := range j.ordered {
			s := p.State()
			if p.deleted || s == nil {
				continue
			}
			if slices.Contains(s.ISR, id) && len(s.ISR) > 1 || slices.Contains(s.ELR, id) {
				j.Report(ISRLegality, "unclean-stayed", "%s: broker %d came back after an unclean "+
					"end and is in ISR %v, ELR %v", p.Name, id, s.ISR, s.ELR)
			}
		}
	}
	j.returned = j.returned[:0]
}
