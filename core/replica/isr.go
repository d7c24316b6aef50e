package replica

import (
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/mutant"
)

// maybeAdvanceHighWatermark raises the high watermark to what all hold who count, and
// never while too few replicas are in sync: then a record could be committed that
// only replicas hold which may all lose it (KIP-966).
func (l *Leader) maybeAdvanceHighWatermark(now clock.Instant) Change {
	if l.UnderMinISR() && !l.set.Mutants.On(mutant.R4CommitUnderMinISR) {
		return 0
	}
	committed := l.heldEndOffset
	last := len(l.remotes) - 1
	for i := range l.remotes {
		r := &l.remotes[i]
		if i == last && l.set.Mutants.On(mutant.R1IgnoreLastReplica) {
			continue
		}
		if l.counts(now, r) {
			committed = min(committed, r.logEndOffset)
		}
	}
	if committed <= l.highWatermark {
		return 0
	}
	l.highWatermark = committed
	return HighWatermarkAdvanced
}

// counts reports whether the high watermark waits for a replica: one in the maximal
// ISR, which is the committed one with who is proposed for it (KIP-497), or one about
// to be proposed, so that it is not kept from joining by ever new commits.
func (l *Leader) counts(now clock.Instant, r *remote) bool {
	if r.joining && !l.set.Mutants.On(mutant.R2CommittedISROnly) {
		return true
	}
	return r.inSync || l.caughtUp(now, r) && r.eligible()
}

// caughtUp reports whether a replica has the leader's whole log, or had it within
// replica.lag.time.max.ms.
func (l *Leader) caughtUp(now clock.Instant, r *remote) bool {
	return r.logEndOffset == l.logEndOffset ||
		now.Sub(r.lastCaughtUpAt) <= l.set.ReplicaLagTimeMax
}

// eligible reports whether a replica's broker may be in sync: it is alive and not on
// its way out (KIP-841), and what is known of it was told in its present life (KIP-903).
func (r *remote) eligible() bool {
	return r.registered && !r.broker.Fenced && !r.broker.InControlledShutdown && r.fetched &&
		(r.brokerEpoch == unknown || r.brokerEpoch == r.broker.Epoch)
}

func (l *Leader) maybeAdvanceLowWatermark() Change {
	before := l.lowWatermark
	l.lowWatermark = l.LowWatermark()
	if l.lowWatermark <= before {
		return 0
	}
	return LowWatermarkAdvanced
}

// maybeExpandISR proposes to take a replica into the ISR once it holds all that may be
// committed. The high watermark alone does not tell: a new leader's may be below what
// was committed before, which is all below where its epoch starts.
func (l *Leader) maybeExpandISR(r *remote) Change {
	if l.proposal.active || r.inSync || !r.eligible() {
		return 0
	}
	if r.logEndOffset < l.highWatermark && !l.set.Mutants.On(mutant.I2JoinBelowHighWatermark) {
		return 0
	}
	if r.logEndOffset < l.epochStartOffset && !l.set.Mutants.On(mutant.I1JoinBelowEpochStart) {
		return 0
	}
	isr := make([]int32, 0, len(l.isr)+1)
	isr = append(append(isr, l.isr...), r.id)
	r.joining = true
	l.propose(isr, r.id)
	return ISRProposed
}

// maybeShrinkISR proposes to drop the replicas from the ISR that fell behind. One that
// has the whole log is in sync even if it stopped fetching.
func (l *Leader) maybeShrinkISR(now clock.Instant) Change {
	if l.proposal.active {
		return 0
	}
	behind := 0
	for i := range l.remotes {
		if r := &l.remotes[i]; r.inSync && !l.caughtUp(now, r) {
			behind++
		}
	}
	if behind == 0 {
		return 0
	}
	isr := make([]int32, 0, len(l.isr)-behind)
	for _, id := range l.isr {
		if r := l.remote(id); r == nil || l.caughtUp(now, r) {
			isr = append(isr, id)
		}
	}
	l.propose(isr, unknown)
	return ISRProposed
}

// Tick does what time asks for. Call it when Deadline has come.
func (l *Leader) Tick(now clock.Instant) Change {
	if now < l.shrinkAt {
		return 0
	}
	l.shrinkAt = now.Add(l.set.ReplicaLagTimeMax / 2)
	return l.maybeShrinkISR(now)
}

// Deadline is when the leader next looks for replicas that fell behind, or Never if it
// has no others.
func (l *Leader) Deadline() clock.Instant {
	if len(l.remotes) == 0 {
		return clock.Never
	}
	return l.shrinkAt
}

// CheckProduce says whether a write that waits for all in-sync replicas may be
// appended: NotEnoughReplicas if fewer than min.insync.replicas are in sync, as
// committed. Other writes are not checked.
func (l *Leader) CheckProduce(acks int16) errcode.Code {
	if acks == -1 && l.UnderMinISR() {
		return errcode.NotEnoughReplicas
	}
	return errcode.None
}

// CheckAcks says whether a write up to endOffset is done that waits for all in-sync
// replicas: when the high watermark has passed it. If by then too few are in sync,
// counting who is proposed, it is answered NotEnoughReplicasAfterAppend: it stays in
// the log, and is committed as far as this leader goes.
func (l *Leader) CheckAcks(endOffset int64) (done bool, code errcode.Code) {
	if l.highWatermark < endOffset {
		return false, errcode.None
	}
	if l.maximalISR() < l.effectiveMinISR() {
		return true, errcode.NotEnoughReplicasAfterAppend
	}
	return true, errcode.None
}

// maximalISR is the size of the ISR with who is proposed for it.
func (l *Leader) maximalISR() int {
	if l.proposal.active && l.proposal.joining != unknown {
		return len(l.isr) + 1
	}
	return len(l.isr)
}

// InMaximalISR reports whether a replica is in the ISR or proposed for it.
func (l *Leader) InMaximalISR(id int32) bool {
	if id == l.set.NodeID {
		return true
	}
	r := l.remote(id)
	return r != nil && (r.inSync || r.joining)
}
