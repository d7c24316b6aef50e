package scenarios

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/sim"
)

// actScenarios are those of several nodes whose faults are acts.
func actScenarios() []sim.Scenario {
	return slices.Concat(replicationScenarios(), recordScenarios(), quorumScenarios(),
		reassignScenarios(), faultScenarios())
}

// stage is what a scenario asks of its cluster. What is zero is drawn.
type stage struct {
	nodes      int
	replicas   int16
	minISR     int
	partitions int64
	safety     clock.Duration
	fsync      bool // whatever the seed says
	pageCache  bool // whatever the seed says
	unclean    bool // who is not in sync may be elected
	anyWorld   bool // the network and the disks may be slow from the beginning
}

// staged is the load that scenarios of several nodes share: topics with replicas, and
// producers and consumers of all kinds. Timeouts are short, and so is what they wait
// for, so that much happens in a few seconds.
func staged(r *sim.Rand, s *sim.Setup, c stage) {
	s.Config.Nodes = max(c.nodes, 3)
	if c.nodes == 0 && r.Chance(some) {
		s.Config.Nodes = 5
	}
	s.Config.Safety = c.safety
	if c.safety == 0 {
		s.Config.Safety = clock.Duration(r.LogUniform(2000, 5000)) * clock.Millisecond
	}
	s.Config.Liveness = clock.Minute
	s.Config.EventsMax = 4_000_000
	s.Config.Properties = map[string]string{}
	s.Config.Tunables.Settings.SequenceMax = math.MaxInt32
	s.Config.Faults.Schemes = []sim.Scheme{}
	durability(s, c.fsync || !c.pageCache && r.Chance(half))
	if !c.anyWorld {
		machineRoom(r, s)
	}
	shortTimeouts(r, s)
	if c.unclean {
		s.Config.Properties["unclean.leader.election.enable"] = "true"
		s.Policy.Unclean = true
	}
	count := c.partitions
	if count == 0 {
		count = r.Between(1, 3)
	}
	for i := range r.Between(1, 2) {
		s.Topics = append(s.Topics, sim.TopicSpec{
			Name: fmt.Sprintf("t%d", i), Partitions: int32(count), Replicas: replicasOf(r, &c),
		})
	}
	if minISR := c.minISR; minISR > 0 || r.Chance(half) {
		configure(s, "min.insync.replicas", strconv.Itoa(max(minISR, int(r.Between(1, 2)))))
	}
	s.Admins = append(s.Admins, sim.AdminConfig{Interval: clock.Millisecond})
	for range r.Between(1, 3) {
		s.Producers = append(s.Producers, producer(r, s))
	}
	consumers(r, s, r.Between(0, 2))
}

func replicasOf(r *sim.Rand, c *stage) int16 {
	if c.replicas > 0 {
		return c.replicas
	}
	return sim.Pick(r, int16(3), 3, 3, 2)
}

// machineRoom is a world in which all is quick until a fault makes it slow, so that
// faults a few milliseconds apart meet what they are to meet.
func machineRoom(r *sim.Rand, s *sim.Setup) {
	us := func(low, high int64) clock.Duration {
		return clock.Duration(r.LogUniform(low, high)) * clock.Microsecond
	}
	l := &s.Config.Tunables.Latency
	l.Net = sim.Spread{Min: us(20, 400), Mean: us(20, 1500)}
	l.Write = sim.Spread{Min: us(1, 10), Mean: us(2, 200)}
	l.Sync = sim.Spread{Min: us(20, 200), Mean: us(50, 3000)}
	l.Job = sim.Spread{Min: us(50, 200), Mean: us(100, 3000)}
	l.BreakPPM = 0
}

// shortTimeouts are as short as the network and the disks allow.
func shortTimeouts(r *sim.Rand, s *sim.Setup) {
	l := &s.Config.Tunables.Latency
	millis := func(d clock.Duration) int64 { return int64(d / clock.Millisecond) }
	tail := millis(max(l.Net.Tail, l.Sync.Tail))
	trip := millis(2*(l.Net.Min+2*l.Net.Mean)+l.Sync.Min+2*l.Sync.Mean+l.Job.Min+2*l.Job.Mean) + 1
	session := max(r.LogUniform(200, 700), 4*tail, 20*trip)
	setting(s, "broker.session.timeout.ms", session)
	setting(s, "broker.heartbeat.interval.ms", max(session/r.Between(3, 8), 15))
	setting(s, "replica.lag.time.max.ms", max(r.LogUniform(100, 800), 4*trip))
	setting(s, "replica.fetch.wait.max.ms", r.LogUniform(5, 60))
	setting(s, "replica.fetch.backoff.ms", r.LogUniform(5, 100))
	setting(s, "controller.quorum.election.timeout.ms", max(r.LogUniform(50, 200), 4*trip, 2*tail))
	setting(s, "controller.quorum.fetch.timeout.ms", max(r.LogUniform(100, 400), 4*trip, 2*tail))
}

// setting sets a property of every broker.
func setting(s *sim.Setup, name string, value int64) {
	s.Config.Properties[name] = strconv.FormatInt(value, 10)
}

// patient makes the producers wait for all that is in sync, and go on until they know
// what became of each batch.
func patient(s *sim.Setup) {
	for i := range s.Producers {
		s.Producers[i].Acks = -1
	}
}

// hasty makes the producers wait for the leader alone: much is in one log only.
func hasty(s *sim.Setup) {
	for i := range s.Producers {
		s.Producers[i].Acks, s.Producers[i].Idempotent = 1, false
	}
}

// sparse makes every producer write so little that leaders come and go in between.
func sparse(r *sim.Rand, s *sim.Setup) {
	for i := range s.Producers {
		p := &s.Producers[i]
		p.Batches = int(r.Between(3, 25))
		p.Interval = s.Config.Safety / clock.Duration(p.Batches)
	}
}

// dense makes every producer write much.
func dense(r *sim.Rand, s *sim.Setup) {
	for i := range s.Producers {
		p := &s.Producers[i]
		p.Batches = int(r.Between(80, 250))
		p.Interval = s.Config.Safety / clock.Duration(p.Batches)
	}
}

// administer adds an administrator who does things to the topics as long as the faults
// last.
func administer(r *sim.Rand, s *sim.Setup, ops sim.AdminOps, low, high int64) *sim.AdminConfig {
	interval := clock.Duration(r.LogUniform(low, high)) * clock.Millisecond
	s.Admins = append(s.Admins, sim.AdminConfig{
		Setup: s.Topics, Ops: ops, Interval: interval, Count: int(s.Config.Safety/interval) + 1,
	})
	return &s.Admins[len(s.Admins)-1]
}

// span is how long something lasts at least and at most, in milliseconds.
type span struct{ low, high int64 }

func (m span) draw(r *sim.Rand) clock.Duration {
	if m.high == 0 {
		return 0
	}
	return clock.Duration(r.LogUniform(max(m.low, 1), m.high)) * clock.Millisecond
}

// deed is one fault of an act: what happens, to whom, how long after the deed before
// and for how long.
type deed struct {
	kind   sim.FaultKind
	target sim.Target
	after  span
	lasts  span
	on     sim.Trigger
	peer   int32
	param  int64
}

// act makes the same happen again and again in the safety phase, with pauses between,
// each time to another partition. It begins when there are topics.
func act(r *sim.Rand, s *sim.Setup, pause span, deeds ...deed) {
	if s.Config.Plan == nil {
		s.Config.Plan = []sim.Fault{}
	}
	end := clock.Instant(s.Config.Safety)
	at := clock.Instant(0).Add(span{150, 500}.draw(r))
	for at < end {
		which := int32(r.Below(8))
		for i := range deeds {
			d := &deeds[i]
			at = at.Add(d.after.draw(r))
			f := sim.Fault{
				At: at, For: d.lasts.draw(r), Kind: d.kind, Actor: -1, Node: int32(r.Below(int64(
					s.Config.Nodes))), Target: d.target, Which: which, On: d.on, Peer: d.peer,
				Param: d.param,
			}
			if at < end {
				s.Config.Plan = append(s.Config.Plan, f)
			}
		}
		at = at.Add(pause.draw(r))
	}
	sortPlan(s)
}

// besides adds faults of some kinds to the plan, at any time and to anybody, to half of
// the runs: what is to happen is not to rest on all else being well.
func besides(r *sim.Rand, s *sim.Setup, kinds ...sim.FaultKind) {
	if !r.Chance(half) {
		return
	}
	s.Config.Faults.Kinds, s.Config.Faults.PerSecondMax = kinds, 2
	s.Config.Plan = append(s.Config.Plan, sim.DrawPlan(
		s.Config.Seed, &s.Config.Faults, s.Config.Nodes, s.Config.Safety)...)
	sortPlan(s)
}

func sortPlan(s *sim.Setup) {
	slices.SortStableFunc(s.Config.Plan, func(a, b sim.Fault) int { return cmp.Compare(a.At, b.At) })
}

// together adds faults that belong together to the plan.
func together(s *sim.Setup, schemes ...sim.Scheme) {
	o := s.Config.Faults
	o.Kinds, o.Schemes, o.KeepAll = []sim.FaultKind{sim.ConnReset}, schemes, true
	o.PerSecondMax = 1
	s.Config.Plan = append(s.Config.Plan,
		sim.DrawPlan(s.Config.Seed, &o, s.Config.Nodes, s.Config.Safety)...)
	sortPlan(s)
}
