package checker

// excused reports whether faults explain that a copy loses a record. A process crash
// explains only what was not written yet. Rot and a lost disk explain all behind them, and
// a failed sync what it was to make durable, once the power is lost. A power loss explains
// those that were volatile: where a record counts only once it is synced, those did not
// count.
func (r *Replica) excused(offset int64) bool {
	switch {
	case r.stopped != noOffset && offset >= r.stopped:
		return true
	case r.riskFrom == noOffset || offset < r.riskFrom:
		return false
	}
	return r.rotten || offset >= r.doubt.from && offset < r.doubt.to || offset >= r.synced
}

// lacks reports whether faults explain that a copy does not hold a committed record.
func (r *Replica) lacks(offset int64) bool {
	return r.lackFrom != noOffset && offset >= r.lackFrom || r.excused(offset)
}

// candidates are the copies that may be elected without breaking a promise: those in
// sync and those that are eligible (KIP-966). Without metadata it is all.
func (p *Partition) candidates() []*Replica {
	if len(p.states) == 0 {
		return p.replicas
	}
	s := &p.states[len(p.states)-1]
	var found []*Replica
	for _, r := range p.replicas {
		if s.candidate(r.Node) {
			found = append(found, r)
		}
	}
	return found
}

// elsewhere reports whether another candidate holds a committed record.
func (p *Partition) elsewhere(r *Replica, offset int64) bool {
	for _, other := range p.candidates() {
		if other != r && offset < other.has() {
			return true
		}
	}
	return false
}

// reckon notes which committed records no candidate holds any more. If faults explain
// that for each of them, their loss is forgiven from this instant on, whoever is elected:
// a candidate has no way to know of them.
func (j *Judge) reckon(p *Partition) {
	candidates := p.candidates()
	held := int64(0)
	for _, r := range candidates {
		held = max(held, r.has())
	}
	for o := max(held, p.highestStart); o < p.committed; o++ {
		explained := len(candidates) > 0
		for _, r := range candidates {
			explained = explained && r.lacks(o)
		}
		if s := &p.slots[o]; explained {
			s.flags |= slotForgiven
		}
	}
}

// deposed reports whether another leader was elected uncleanly after a copy's epoch
// began, or the copy still has what is lost: then nobody waits for what it commits or
// shows.
func (p *Partition) deposed(r *Replica) bool {
	return r != nil && (p.uncleanEpoch > r.leaderEpoch || r.stale)
}

// LeaderStarted says that a node begins to lead in an epoch, with a high watermark and
// a log end offset. It must hold all that was committed, but for what is forgiven.
func (j *Judge) LeaderStarted(id ReplicaID, epoch int32, highWatermark, endOffset int64) {
	r := j.replica(id)
	p := r.p
	if epoch < r.leaderEpoch {
		j.Report(OneLeader, "epoch-fell", "%s: node %d leads in epoch %d after %d",
			p.Name, r.Node, epoch, r.leaderEpoch)
	}
	if endOffset != r.logEnd {
		j.Report(Range, "wrong-end", "%s: node %d says its log ends at %d, it appended up to %d",
			p.Name, r.Node, endOffset, r.logEnd)
	}
	if leader, known := p.leaderOf(epoch); known && leader != r.Node {
		j.Report(OneLeader, "usurped", "%s: node %d leads in epoch %d, which is node %d's",
			p.Name, r.Node, epoch, leader)
	}
	r.leads, r.leaderEpoch, r.stale = true, epoch, false
	r.reported = highWatermark
	r.highWatermark = max(r.logStart, min(highWatermark, r.logEnd))
	if p.leading != nil && epoch < p.leading.leaderEpoch && p.leading.leads {
		return // it does not know yet that it leads no more
	}
	if p.leading == nil || p.leading.Node != r.Node || p.ceded {
		p.ledAt = j.tick()
	}
	p.leading, p.ceded = r, false
	if r.logStart < p.logStart { // it had not heard of the last raise
		p.startFellAt, p.earliest = j.tick(), nil
		p.startBefore = max(p.startBefore, p.logStart)
	}
	p.logStart = r.logStart
	p.highestStart = max(p.highestStart, r.logStart)
	if p.current(epoch) {
		j.settle(r)
	}
}

// FollowerStarted says that a node begins to follow the leader of an epoch, with a high
// watermark and a log end offset.
func (j *Judge) FollowerStarted(id ReplicaID, epoch int32, highWatermark, endOffset int64) {
	r := j.replica(id)
	if epoch < r.leaderEpoch {
		j.Report(OneLeader, "epoch-fell", "%s: node %d follows in epoch %d after %d",
			r.p.Name, r.Node, epoch, r.leaderEpoch)
	}
	if endOffset != r.logEnd {
		j.Report(Range, "wrong-end", "%s: node %d says its log ends at %d, it appended up to %d",
			r.p.Name, r.Node, endOffset, r.logEnd)
	}
	r.leads, r.leaderEpoch = false, epoch
	r.highWatermark = max(r.logStart, min(highWatermark, r.logEnd))
	r.p.ceded = r.p.ceded || r.p.leading == r
}

// settle closes the account of what a new leader does not hold. It is gone for good, and
// others will take its place.
func (j *Judge) settle(r *Replica) {
	p := r.p
	r.follow()
	acked, committed := int64(0), int64(0)
	for o := r.matched; o < p.committed; o++ {
		if !p.promised(o) {
			continue
		}
		s := &p.slots[o]
		if s.flags&slotForgiven == 0 && !p.unsettled && !p.broken {
			j.Report(LeaderCompleteness, "elected-without", "%s: node %d leads in epoch %d and "+
				"lacks %d, committed is %d", p.Name, r.Node, r.leaderEpoch, o, p.committed)
			p.broken = true
		}
		if s.flags&(slotAckedOne|slotAckedAll) != 0 {
			acked++
		} else {
			committed++
		}
	}
	if !p.broken {
		j.excused.Acked += acked
		j.excused.Committed += committed
	}
	unclean := p.unsettled
	p.broken, p.unsettled = false, false
	p.forget(r.matched)
	if r.matched < p.committed {
		p.committed = r.matched
		for _, other := range p.replicas {
			other.stale = other != r && other.logEnd > p.committed
		}
		p.truncatedAt = j.tick()
		p.latest, p.earliest = nil, nil
	}
	// Who is elected uncleanly may still have what an unclean leader before it lacked, and
	// know that it was committed.
	if unclean && r.highWatermark > p.committed {
		j.extend(r, r.highWatermark)
	}
}

// forget drops what the truth holds from end on, and what was forgiven before it.
func (p *Partition) forget(end int64) {
	n := len(p.batches)
	for n > 0 && p.batches[n-1].EndOffset > end {
		n-- // one that reaches beyond is gone too, though not what is before the log start
	}
	p.batches = p.batches[:n:n]
	p.slots = p.slots[:min(int64(len(p.slots)), end)]
	for i := range p.slots {
		p.slots[i].flags &^= slotForgiven
	}
	for _, r := range p.replicas {
		r.matched = min(r.matched, end)
	}
}
