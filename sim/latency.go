package sim

import (
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/netsim"
)

// Latency is how long things take, apart from faults: mostly Min plus an
// exponential of mean Mean, and TailPPM millionths of the time one of mean Tail on
// top.
type Latency struct {
	Net           Spread
	Write         Spread // into the page cache
	Sync          Spread
	Job           Spread
	Answer        Spread // of a query
	Patience      Spread // until an end of a connection gives up
	BytesPerMilli int64  // of a connection; 0: no limit
	BreakPPM      int64  // of frames that break their connection
}

// Spread is a distribution of durations.
type Spread struct {
	Min, Mean, Tail clock.Duration
	TailPPM         int64
}

// draw maps random bits onto the distribution.
func (s *Spread) draw(random uint64) clock.Duration {
	d := int64(s.Min) + Exponential(random, int64(s.Mean))
	if s.TailPPM > 0 {
		tail := fold(random^0x589965cc75374cc3, 0x1d8e4e27c47d124f)
		if Chance(tail, s.TailPPM) {
			d += Exponential(tail<<24|tail>>40, int64(s.Tail))
		}
	}
	return clock.Duration(max(1, d))
}

// calm returns latencies without tails and breaks, for the liveness phase.
func (l *Latency) calm() Latency {
	c := *l
	c.BreakPPM = 0
	for _, s := range []*Spread{&c.Net, &c.Write, &c.Sync, &c.Job, &c.Answer} {
		s.TailPPM = 0
	}
	return c
}

// netNoise is the chance of the network, keyed by link and frame.
type netNoise struct {
	noise   Noise
	latency *Latency
}

// Delay is how long a frame travels.
func (z *netNoise) Delay(from, to netsim.Endpoint, n uint64) clock.Duration {
	return z.latency.Net.draw(z.noise.Bits(delayStream, uint64(from), uint64(to), n))
}

// Patience is how long an end waits for a silent peer.
func (z *netNoise) Patience(from, to netsim.Endpoint, n uint64) clock.Duration {
	return z.latency.Patience.draw(z.noise.Bits(patienceStream, uint64(from), uint64(to), n))
}

// Breaks says whether a connection breaks as a frame is sent.
func (z *netNoise) Breaks(from, to netsim.Endpoint, n uint64) (netsim.BreakKind, bool) {
	if z.latency.BreakPPM == 0 {
		return 0, false
	}
	random := z.noise.Bits(breakStream, uint64(from), uint64(to), n)
	if !Chance(random, z.latency.BreakPPM) {
		return 0, false
	}
	return netsim.BreakKind(random % uint64(netsim.BreakKinds)), true
}

// Lost is how many of the frames under way a break swallows.
func (z *netNoise) Lost(from, to netsim.Endpoint, n uint64, most int) int {
	random := z.noise.Bits(choiceStream, uint64(from), uint64(to), n)
	return int(Below(random, int64(most)+1))
}
