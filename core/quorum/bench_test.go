package quorum

import (
	"testing"

	"github.com/heiban/heiban/clock"
)

// group is three engines whose disks and network take no time.
type group struct {
	engines []*Engine
	fx      Effects
	now     clock.Instant
	sends   []Send
	commits int
}

func (g *group) carryOut(e *Engine) {
	g.sends = append(g.sends, g.fx.Sends...)
	g.commits += len(g.fx.Commits)
	g.fx.Reset()
	for len(e.writes) > 0 {
		e.Stored(g.now, e.writes[0].token, &g.fx)
		g.sends = append(g.sends, g.fx.Sends...)
		g.commits += len(g.fx.Commits)
		g.fx.Reset()
	}
}

func (g *group) settle(b *testing.B) {
	for len(g.sends) > 0 {
		sends := g.sends
		g.sends = nil
		for _, s := range sends {
			e := g.engines[s.To]
			if err := e.Receive(g.now, s.Data, &g.fx); err != nil {
				b.Fatal(err)
			}
			g.carryOut(e)
		}
	}
}

// BenchmarkCommit is a proposal of a leader with two followers, until all three have
// applied it.
func BenchmarkCommit(b *testing.B) {
	g := &group{}
	for i := range NodeID(3) {
		e := New(0, Options{NodeID: i, Seed: 1, Restored: Bootstrap([]NodeID{0, 1, 2})}, &g.fx)
		g.engines = append(g.engines, e)
		g.carryOut(e)
	}
	leader := g.engines[0]
	g.now = leader.Deadline()
	leader.Advance(g.now, &g.fx)
	g.carryOut(leader)
	g.settle(b)
	if !leader.Active() {
		b.Fatal("nobody leads")
	}
	data := make([]byte, 500)
	g.commits = 0
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if _, refusal := leader.Propose(g.now, data, &g.fx); refusal != Accepted {
			b.Fatal(refusal)
		}
		g.carryOut(leader)
		g.settle(b)
		if n++; n%1000 == 0 {
			for _, e := range g.engines {
				e.Compact(e.Applied().Index)
			}
		}
	}
	b.StopTimer()
	if g.commits < 3*n {
		b.Fatalf("%d of %d entries were applied", g.commits, 3*n)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
}
