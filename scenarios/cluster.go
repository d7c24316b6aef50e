package scenarios

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/sim"
)

// shape is one thing that a scenario of a cluster says about its runs.
type shape func(r *sim.Rand, s *sim.Setup)

// cluster makes a scenario of several nodes out of what is said about it: three nodes
// mostly, topics with several replicas, producers and consumers of all kinds, and sizes,
// timeouts and latencies that suit one another.
func cluster(shapes ...shape) func(*sim.Rand, *sim.Setup) {
	return func(r *sim.Rand, s *sim.Setup) {
		s.Config.Nodes = sim.Pick(r, 3, 3, 3, 3, 5, 4, 2)
		s.Config.Properties = map[string]string{}
		s.Config.Safety = clock.Duration(r.LogUniform(2000, 6000)) * clock.Millisecond
		s.Config.Liveness = 60 * clock.Second
		s.Config.EventsMax = 1_500_000
		s.Config.Tunables.Settings.SequenceMax = math.MaxInt32
		s.Config.Faults.Schemes = []sim.Scheme{}
		if r.Chance(half) {
			s.Config.Faults.DownMax = max(1, (s.Config.Nodes-1)/2)
		}
		s.Config.Faults.PerSecondMax = 3
		timeouts(r, s)
		durability(s, r.Chance(half))
		if r.Chance(half) {
			s.Config.Properties["min.insync.replicas"] = "2"
		}
		topics(r, s, r.Between(1, 2))
		for i := range s.Topics {
			s.Topics[i].Replicas = int16(min(s.Config.Nodes, int(sim.Pick(r, int64(3), 3, 3, 2))))
		}
		for range r.Between(1, 3) {
			s.Producers = append(s.Producers, producer(r, s))
		}
		consumers(r, s, r.Between(0, 2))
		for _, shape := range shapes {
			shape(r, s)
		}
		finishPlan(s)
	}
}

// timeouts sets what nodes wait for each other, so that failovers take a moment only, and
// yet nobody gives up on who is alive and as far away as it is.
func timeouts(r *sim.Rand, s *sim.Setup) {
	set := func(key string, low, high, trips int64) int64 {
		value := r.LogUniform(max(low, trips*trip(s)), max(high, 3*trips*trip(s)))
		s.Config.Properties[key] = strconv.FormatInt(value, 10)
		return value
	}
	session := set("broker.session.timeout.ms", 200, 3000, 20)
	heartbeat := max(session/r.Between(2, 6), 10)
	s.Config.Properties["broker.heartbeat.interval.ms"] = strconv.FormatInt(heartbeat, 10)
	set("replica.lag.time.max.ms", 100, 3000, 10)
	set("replica.fetch.wait.max.ms", 5, 90, 1)
	set("replica.fetch.backoff.ms", 5, 300, 1)
	set("controller.quorum.election.timeout.ms", 50, 800, 6)
	set("controller.quorum.fetch.timeout.ms", 100, 1500, 10)
}

// trip is how many milliseconds a question and its answer take, with a sync at each end.
func trip(s *sim.Setup) int64 {
	l := &s.Config.Tunables.Latency
	both := 2*(l.Net.Min+l.Net.Mean) + 2*(l.Sync.Min+l.Sync.Mean)
	return max(int64(both/clock.Millisecond), 1)
}

// finishPlan draws the plan if faults of several sorts are to happen.
func finishPlan(s *sim.Setup) {
	c := &s.Config
	if c.Plan == nil {
		return
	}
	if c.Faults.Kinds != nil {
		c.Plan = append(c.Plan, sim.DrawPlan(c.Seed, &c.Faults, c.Nodes, c.Safety)...)
	}
	slices.SortStableFunc(c.Plan, func(a, b sim.Fault) int { return cmp.Compare(a.At, b.At) })
}

// suffer lets faults of some kinds happen, to any node at any time.
func suffer(kinds ...sim.FaultKind) shape {
	return func(r *sim.Rand, s *sim.Setup) {
		faults(s, kinds...)
		s.Config.Faults.KeepAll = r.Chance(half)
	}
}

// often lets so many more faults happen in a second.
func often(perSecond int64) shape {
	return func(_ *sim.Rand, s *sim.Setup) { s.Config.Faults.PerSecondMax = perSecond }
}

// schemes lets schemes of faults happen, each surely.
func schemes(all ...sim.Scheme) shape {
	return func(_ *sim.Rand, s *sim.Setup) {
		s.Config.Faults.Schemes = append(s.Config.Faults.Schemes, all...)
		s.Config.Faults.KeepAll = true
		if s.Config.Faults.Kinds == nil {
			s.Config.Faults.Kinds = []sim.FaultKind{sim.ConnReset}
		}
	}
}

// fault is a fault that befalls who plays a part, when something happens.
func fault(kind sim.FaultKind, target sim.Target, on sim.Trigger) sim.Fault {
	return sim.Fault{Kind: kind, Target: target, On: on}
}

// hit plans one fault several times, each for a different while.
func hit(times int64, f sim.Fault) shape {
	return func(r *sim.Rand, s *sim.Setup) {
		for range r.Between(1, times) {
			one := f
			one.At = clock.Instant(r.Below(int64(s.Config.Safety) * 9 / 10))
			one.Actor = -1
			one.Which = int32(r.Below(8))
			if one.Target == sim.TargetNode {
				one.Node = int32(r.Below(int64(s.Config.Nodes)))
			}
			if one.For == 0 {
				one.For = clock.Duration(r.LogUniform(1, 1500)) * clock.Millisecond
			}
			s.Config.Plan = append(s.Config.Plan, one)
		}
	}
}

// anyDown lifts the budget of nodes that are down at once.
func anyDown(_ *sim.Rand, s *sim.Setup) { s.Config.Faults.DownMax = 0 }

// minISR sets min.insync.replicas of the whole cluster.
func minISR(count int) shape { return property("min.insync.replicas", strconv.Itoa(count)) }

func property(key, value string) shape {
	return func(_ *sim.Rand, s *sim.Setup) { s.Config.Properties[key] = value }
}

func synced(_ *sim.Rand, s *sim.Setup) { durability(s, true) }

// admins adds administrators that do something to the topics, again and again.
func admins(ops sim.AdminOps, alter ...sim.TopicConfig) shape {
	return func(r *sim.Rand, s *sim.Setup) {
		for range r.Between(1, 2) {
			s.Admins = append(s.Admins, sim.AdminConfig{
				Setup: s.Topics, Ops: ops, Alter: alter,
				Interval: clock.Duration(r.LogUniform(20, 500)) * clock.Millisecond,
				Count:    int(r.LogUniform(3, 25)),
			})
		}
	}
}
