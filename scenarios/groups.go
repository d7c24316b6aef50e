package scenarios

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/sim"
)

// groupScenarios are about groups of consumers and the offsets they commit.
func groupScenarios() []sim.Scenario {
	calm := sim.MemberOps{Crash: 1, Leave: 2}
	rough := sim.MemberOps{Crash: 2, Pause: 2, Leave: 1}
	return slices.Concat(memberScenarios(calm, rough), coordinatorScenarios(calm, rough))
}

// memberScenarios are about what members do.
func memberScenarios(calm, rough sim.MemberOps) []sim.Scenario {
	return []sim.Scenario{
		scenario("groups-eager", cluster(
			grouped(eager, ops(rough), zombies),
			suffer(sim.Crash, sim.ConnReset, sim.Isolate, sim.LinkClog),
		), "members come and go, and all join again each time (KIP-62, KIP-394)"),
		scenario("groups-cooperative", cluster(
			grouped(cooperative, ops(rough)),
			suffer(sim.Crash, sim.ConnReset, sim.Isolate),
		), "members keep what they have while they join again (KIP-429)"),
		scenario("groups-of-consumers", cluster(
			grouped(consumerMembers, ops(rough), zombies),
			suffer(sim.Crash, sim.ConnReset, sim.Isolate, sim.LinkClog),
		), "the coordinator assigns; nobody has what another has not given up (KIP-848)"),
		scenario("groups-of-static-members", cluster(
			grouped(static, ops(rough)),
			suffer(sim.Crash, sim.ConnReset, sim.Isolate),
			hit(4, fault(sim.Crash, sim.TargetLeader, sim.AtOnce)),
		), "members are started again under their names; the old are fenced (KAFKA-8500)"),
		scenario("groups-of-old-members", cluster(
			grouped(old, ops(rough)),
			suffer(sim.Crash, sim.ConnReset, sim.LinkClog),
		), "members that speak old versions join without an id (KAFKA-7610, KAFKA-9752)"),
		scenario("groups-migrate", cluster(
			grouped(switching, ops(calm)),
			suffer(sim.Crash, sim.ConnReset, sim.Isolate),
		), "groups change to the consumer protocol and back under load (KIP-848)"),
		scenario("zombies-commit", cluster(
			grouped(anyMembers, ops(sim.MemberOps{Pause: 1}), zombies, zombies),
			suffer(sim.LinkClog, sim.SlowLink, sim.ConnReset), often(6),
		), "members that stood still commit, and sync, when their time is over (KIP-62)"),
		scenario("slow-revocations", cluster(
			grouped(consumerMembers, ignoring, ops(rough)),
			suffer(sim.LinkClog, sim.Crash),
		), "members give up late, or never, what others wait for (KAFKA-16147)"),
	}
}

// coordinatorScenarios are about what befalls coordinators.
func coordinatorScenarios(calm, rough sim.MemberOps) []sim.Scenario {
	return []sim.Scenario{
		scenario("groups-outlive-coordinators", cluster(
			anyDown, grouped(anyMembers, ops(calm)),
			hit(6, fault(sim.Crash, sim.TargetLeader, sim.AtOnce)),
			hit(6, fault(sim.Isolate, sim.TargetLeader, sim.AtOnce)),
			hit(4, fault(sim.Crash, sim.TargetNode, sim.OnLeader)),
		), "coordinators fall all the time, and come back (KAFKA-10614, KAFKA-15468)"),
		scenario("groups-without-power", cluster(
			anyDown, synced, schemes(sim.AllOff), grouped(anyMembers, ops(calm)),
			suffer(sim.PowerOff, sim.SlowDisk),
		), "the power fails under coordinators; what was committed stays (KAFKA-5600)"),
		scenario("groups-rolling", cluster(
			schemes(sim.Rolling), grouped(anyMembers, ops(calm)),
			hit(2, fault(sim.Crash, sim.TargetNode, sim.AtOnce)),
		), "every node is restarted in turn, and groups move (KAFKA-15468)"),
		scenario("groups-under-min-isr", cluster(
			minISR(2), anyDown, grouped(anyMembers, ops(calm)),
			hit(5, fault(sim.Isolate, sim.TargetFollower, sim.AtOnce)),
			hit(5, fault(sim.Crash, sim.TargetFollower, sim.OnISRShrunk)),
		), "coordinators cannot write, and what they refused has not happened (KAFKA-12890)"),
		scenario("groups-grow", cluster(
			grouped(anyMembers, ops(calm)),
			admins(sim.AdminOps{Grow: 1}), suffer(sim.Crash, sim.ConnReset),
		), "topics get more partitions, which somebody reads (KAFKA-13435, KIP-814)"),
		scenario("groups-on-one-node", alone(
			grouped(anyMembers, ops(rough), zombies),
			suffer(sim.Crash, sim.PowerOff, sim.Restart, sim.ConnReset, sim.SlowDisk),
		), "one node loses power and processes; offsets stay (KAFKA-5600)"),
		scenario("offsets-expire", alone(expiring),
			"offsets expire when nobody has use for them, and no sooner (KIP-211, KAFKA-13636)"),
		scenario("everything-in-groups", cluster(
			func(r *sim.Rand, s *sim.Setup) {
				durability(s, true)
				for range r.Between(1, 3) {
					grouped(anyMembers, ops(rough), zombies)(r, s)
				}
				s.Config.Faults.Schemes = nil // all
				faults(s, networkFaults()...)
				faults(s, sim.Crash, sim.PowerOff, sim.Restart, sim.Pause, sim.Isolate, sim.Split,
					sim.SlowDisk, sim.SlowNode)
			},
		), "several groups of all kinds, under all kinds of faults"),
	}
}

// alone makes a scenario of a single node.
func alone(shapes ...shape) func(*sim.Rand, *sim.Setup) {
	return func(r *sim.Rand, s *sim.Setup) {
		base(r, s)
		durability(s, true)
		s.Config.EventsMax = 1_500_000
		s.Config.Safety += 2 * clock.Second
		for _, shape := range shapes {
			shape(r, s)
		}
	}
}

// groupShape is one thing that is said about a group.
type groupShape func(r *sim.Rand, s *sim.Setup, g *sim.GroupSetup)

// grouped adds a group of one to five members that read all topics.
func grouped(shapes ...groupShape) shape {
	return func(r *sim.Rand, s *sim.Setup) {
		coordination(r, s)
		g := sim.GroupSetup{Name: fmt.Sprintf("group-%d", r.Below(1000))}
		session, _ := strconv.ParseInt(s.Config.Properties["group.consumer.session.timeout.ms"], 10, 64)
		millis := func(n int64) clock.Duration { return clock.Duration(n) * clock.Millisecond }
		for range r.Between(1, 5) {
			m := sim.MemberConfig{
				Topics: names(s.Topics), Session: millis(session),
				Rebalance: millis(session * r.Between(1, 3)), Beat: millis(session / r.Between(3, 8)),
				Interval: millis(r.LogUniform(2, 100)),
			}
			// Who waits longer for an answer than its session lasts is thrown out before it
			// notices that the answer is lost.
			m.RequestTimeout = max(m.Session/3, millis(3*trip(s)))
			if r.Chance(half) {
				m.CommitEvery = millis(r.LogUniform(10, 2*session))
			}
			g.Members = append(g.Members, m)
		}
		for _, shape := range shapes {
			shape(r, s, &g)
		}
		s.Groups = append(s.Groups, g)
	}
}

// coordination configures coordinators, once.
func coordination(r *sim.Rand, s *sim.Setup) {
	if len(s.Groups) > 0 {
		return
	}
	set := func(key string, value int64) { s.Config.Properties[key] = strconv.FormatInt(value, 10) }
	session := r.LogUniform(max(300, 20*trip(s)), max(2000, 60*trip(s)))
	set("group.min.session.timeout.ms", 1)
	set("group.initial.rebalance.delay.ms", r.LogUniform(1, 300))
	set("group.consumer.min.session.timeout.ms", 1)
	set("group.consumer.session.timeout.ms", session)
	set("group.consumer.min.heartbeat.interval.ms", 1)
	set("group.consumer.heartbeat.interval.ms", max(session/4, 1))
	set("offsets.topic.num.partitions", r.Between(1, 4))
	set("offsets.topic.replication.factor", min(3, int64(max(s.Config.Nodes, 1))))
	set("offsets.topic.segment.bytes", r.LogUniform(1_000, 100_000))
	s.Policies = append(s.Policies, sim.TopicPolicy{
		Topic:  "__consumer_offsets",
		Policy: checker.Policy{Compacted: true, Rewritten: true, Fsync: s.Policy.Fsync},
	})
}

// ops lets things befall the members.
func ops(o sim.MemberOps) groupShape {
	return func(r *sim.Rand, s *sim.Setup, g *sim.GroupSetup) {
		for i := range g.Members {
			g.Members[i].Ops = o
			g.Members[i].OpsEvery = clock.Duration(
				r.LogUniform(int64(s.Config.Safety/20), int64(2*s.Config.Safety)))
		}
	}
}

// zombies gives a member, and mostly others too, somebody who repeats what it said.
func zombies(r *sim.Rand, _ *sim.Setup, g *sim.GroupSetup) {
	for i := range g.Members {
		if i == 0 || r.Chance(some) {
			g.Zombies = append(g.Zombies,
				sim.Duplication{Victim: i, Requests: int(r.LogUniform(5, 100))})
		}
	}
}

func eager(*sim.Rand, *sim.Setup, *sim.GroupSetup) {}

func old(r *sim.Rand, _ *sim.Setup, g *sim.GroupSetup) {
	for i := range g.Members {
		g.Members[i].Old = r.Chance(mostly)
	}
}

func cooperative(_ *sim.Rand, _ *sim.Setup, g *sim.GroupSetup) {
	for i := range g.Members {
		g.Members[i].Cooperative = true
	}
}

// static names the members. Some names have two processes, of which each takes the place
// of the other until the faults are over.
func static(r *sim.Rand, s *sim.Setup, g *sim.GroupSetup) {
	sim.Pick(r, eager, cooperative, consumerMembers)(r, s, g)
	for i := range g.Members {
		m := &g.Members[i]
		m.Instance = fmt.Sprintf("instance-%d", i)
		if i > 0 && r.Chance(some) {
			m.Instance, m.Temporary = fmt.Sprintf("instance-%d", i-1), true
			if g.Members[i-1].Temporary {
				m.Instance, m.Temporary = fmt.Sprintf("instance-%d", i), false
			}
		}
	}
}

func consumerMembers(r *sim.Rand, _ *sim.Setup, g *sim.GroupSetup) {
	for i := range g.Members {
		m := &g.Members[i]
		m.Consumer = true
		m.Assignor = sim.Pick(r, "", "", "uniform", "range")
		if r.Chance(seldom) {
			m.Pattern = "t[0-9]"
		}
		if r.Chance(seldom) {
			m.Instance = fmt.Sprintf("instance-%d", i)
		}
	}
}

func switching(r *sim.Rand, _ *sim.Setup, g *sim.GroupSetup) {
	for i := range g.Members {
		m := &g.Members[i]
		m.Cooperative, m.Consumer, m.Switches = r.Chance(half), r.Chance(half), true
	}
	if g.Members[0].Cooperative { // they need one way to assign in common
		cooperative(r, nil, g)
		return
	}
	for i := range g.Members {
		g.Members[i].Cooperative = false
	}
}

// ignoring lets some members keep what they should give up.
func ignoring(r *sim.Rand, _ *sim.Setup, g *sim.GroupSetup) {
	for i := range g.Members {
		g.Members[i].Ignores = i == 0 || r.Chance(some)
	}
}

func anyMembers(r *sim.Rand, s *sim.Setup, g *sim.GroupSetup) {
	sim.Pick(r, eager, cooperative, static, consumerMembers, switching)(r, s, g)
}

// expiring has a run of some minutes in which little happens: offsets are kept for one,
// and some members are away for longer.
func expiring(r *sim.Rand, s *sim.Setup) {
	s.Config.Safety = clock.Duration(r.Between(100, 300)) * clock.Second
	s.Config.Plan = []sim.Fault{}
	for range r.Between(0, 3) {
		s.Config.Plan = append(s.Config.Plan, sim.Fault{
			At: clock.Instant(r.Below(int64(s.Config.Safety))), Kind: sim.Crash, Actor: -1,
			For: clock.Duration(r.LogUniform(10, 10_000)) * clock.Millisecond,
		})
	}
	slices.SortStableFunc(s.Config.Plan, func(a, b sim.Fault) int { return cmp.Compare(a.At, b.At) })
	s.Consumers = s.Consumers[:0]
	for i := range s.Producers { // all is written at the beginning
		s.Producers[i].Interval = 20 * clock.Millisecond
	}
	away := func(_ *sim.Rand, s *sim.Setup, g *sim.GroupSetup) {
		for i := range g.Members {
			m := &g.Members[i]
			m.Session, m.Rebalance, m.Beat = 8*clock.Second, 10*clock.Second, 2*clock.Second
			m.Interval, m.OpsEvery = 2*clock.Second, s.Config.Safety/3
		}
		g.Retention = clock.Minute
	}
	kind := sim.Pick(r, eager, cooperative, consumerMembers)
	grouped(kind, ops(sim.MemberOps{Crash: 1, Leave: 2, Pause: 1}), away)(r, s)
	s.Config.Properties["group.consumer.session.timeout.ms"] = "8000"
	s.Config.Properties["group.consumer.heartbeat.interval.ms"] = "2000"
	s.Config.Properties["offsets.retention.minutes"] = "1"
	check := strconv.FormatInt(r.LogUniform(500, 20_000), 10)
	s.Config.Properties["offsets.retention.check.interval.ms"] = check
}
