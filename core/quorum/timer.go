package quorum

import "github.com/heiban/heiban/clock"

// timer is the election timer of a member and, while it leads, its heartbeat. Safety
// does not depend on it.
type timer struct {
	seed      uint64
	node      uint64
	election  clock.Duration
	heartbeat clock.Duration

	term    uint64
	attempt uint64 // how often the timeout was drawn in this term
	timeout clock.Duration

	campaignAt clock.Instant
	forgetAt   clock.Instant // when the leader not heard of is forgotten, or Never
	tickAt     clock.Instant // of a leader
}

func newTimer(now clock.Instant, o *Options, term uint64) timer {
	t := timer{
		seed: o.Seed, node: raftID(o.NodeID), election: o.ElectionTimeout,
		heartbeat: o.HeartbeatInterval, term: term, tickAt: clock.Never,
	}
	t.draw(now)
	t.forgetAt = clock.Never
	return t
}

// draw starts a wait of a new random length.
func (t *timer) draw(now clock.Instant) {
	t.attempt++
	draw := mix(mix(mix(mix(t.seed)^t.node)^t.term) ^ t.attempt)
	t.timeout = t.election + clock.Duration(draw%uint64(t.election))
	t.restart(now)
}

// restart starts the wait from now: a leader was heard of, or a vote was given.
func (t *timer) restart(now clock.Instant) { t.campaignAt = now.Add(t.timeout) }

// heard notes that the leader of the term lives.
func (t *timer) heard(now clock.Instant) {
	t.restart(now)
	t.forgetAt = now.Add(t.election)
}

// entered notes that the term or the role is another one.
func (t *timer) entered(now clock.Instant, term uint64, leads bool) {
	if t.term != term {
		t.term, t.attempt = term, 0
	}
	t.draw(now)
	t.forgetAt, t.tickAt = clock.Never, clock.Never
	if leads {
		t.tickAt = now.Add(t.heartbeat)
	}
}

// mix spreads every bit of x over all bits (SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
