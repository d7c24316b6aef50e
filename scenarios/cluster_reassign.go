package scenarios

import (
	"strconv"

	"github.com/heiban/heiban/sim"
)

// Scenarios about replicas that move, leaders that are chosen by request, and topics that
// grow, come and go.

func reassignScenarios() []sim.Scenario {
	return []sim.Scenario{
		scenario("reassignment-under-failover", reassignmentUnderFailover,
			"replicas move while leaders and controllers die (KIP-455)"),
		scenario("reassignments-cancelled", reassignmentsCancelled,
			"reassignments are taken back and replaced before they are done (KIP-455)"),
		scenario("reassignment-of-slow-replicas", reassignmentOfSlowReplicas,
			"new replicas have far to go and old ones leave, and leaders keep their epoch until "+
				"then (KAFKA-15021)"),
		scenario("preferred-election-storm", preferredElectionStorm,
			"leaders are moved back and forth by request and by the controller itself (KIP-460)"),
		scenario("partitions-added-under-load", partitionsAddedUnderLoad,
			"topics grow while they are written and their leaders die (KIP-195)"),
		scenario("recreated-while-down", recreatedWhileDown,
			"topics are deleted and made again while a broker is down: what it has is of another "+
				"topic (KIP-516, KAFKA-14616, KAFKA-12257)"),
		scenario("min-isr-altered", minISRAltered,
			"min.insync.replicas and the retention change under load and failovers (KIP-966)"),
	}
}

func reassignmentUnderFailover(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{nodes: 5})
	administer(r, s, sim.AdminOps{Reassign: 1}, 30, 300)
	act(r, s, span{50, 700}, deed{
		kind: sim.Pick(r, sim.Crash, sim.Isolate, sim.Restart),
		target: sim.Pick(r, sim.TargetLeader, sim.TargetController, sim.TargetFollower,
			sim.TargetOutsider), lasts: span{1, 900},
	})
	besides(r, s, sim.PowerOff, sim.Crash, sim.SlowLink)
}

func reassignmentsCancelled(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{nodes: 5})
	dense(r, s)
	administer(r, s, sim.AdminOps{Reassign: 1}, 5, 40)
	act(r, s, span{50, 700}, deed{
		kind: sim.Pick(r, sim.SlowLink, sim.Isolate), target: sim.TargetOutsider,
		lasts: span{50, 700}, peer: sim.AllPeers, param: r.LogUniform(20, 300),
	})
	besides(r, s, sim.Restart, sim.Crash, sim.Pause)
}

func reassignmentOfSlowReplicas(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{nodes: 5, replicas: 3})
	dense(r, s)
	setting(s, "replica.fetch.max.bytes", r.LogUniform(100, 2_000))
	setting(s, "replica.fetch.response.max.bytes", r.LogUniform(100, 2_000))
	administer(r, s, sim.AdminOps{Reassign: 1}, 100, 600)
	act(r, s, span{50, 500}, deed{
		kind: sim.Pick(r, sim.SlowDisk, sim.SlowNode), target: sim.TargetOutsider,
		lasts: span{100, 900}, param: r.Between(50, 900),
	})
	besides(r, s, sim.SlowDisk, sim.SlowLink, sim.ConnReset)
}

func preferredElectionStorm(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{})
	dense(r, s)
	setting(s, "leader.imbalance.check.interval.seconds", 1)
	administer(r, s, sim.AdminOps{ElectPreferred: 10, Reassign: 1}, 2, 20)
	act(r, s, span{50, 500}, deed{
		kind: sim.Pick(r, sim.Restart, sim.Crash, sim.SlowLink), target: sim.TargetLeader,
		lasts: span{1, 300}, peer: sim.AllPeers, param: r.LogUniform(10, 200),
	})
	besides(r, s, sim.SlowLink, sim.ConnReset, sim.LinkClog)
}

func partitionsAddedUnderLoad(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{})
	administer(r, s, sim.AdminOps{Grow: 2, Describe: 1}, 50, 400).Churn = s.Topics
	act(r, s, span{50, 600}, deed{
		kind:   sim.Pick(r, sim.Crash, sim.PowerOff, sim.Restart, sim.Isolate),
		target: sim.Pick(r, sim.TargetLeader, sim.TargetController), lasts: span{1, 700},
	})
	besides(r, s, sim.Crash, sim.PowerOff, sim.ConnReset)
}

func recreatedWhileDown(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{})
	var churn []sim.TopicSpec
	for i := range r.Between(1, 2) {
		churn = append(churn, sim.TopicSpec{
			Name: "churn" + strconv.Itoa(int(i)), Partitions: 2, Replicas: sim.Pick(r, int16(2), 3),
		})
	}
	for range 2 {
		administer(r, s, sim.AdminOps{Create: 3, Delete: 2, Describe: 1}, 10, 100).Churn = churn
	}
	all := append(names(s.Topics), names(churn)...)
	for i := range s.Producers {
		s.Producers[i].Topics, s.Producers[i].VersionMin = all, produceByTopicID
	}
	for i := range s.Consumers {
		s.Consumers[i].Topics, s.Consumers[i].VersionMin = all, fetchByTopicID
	}
	act(r, s, span{50, 500}, deed{
		kind:  sim.Pick(r, sim.Crash, sim.PowerOff, sim.Restart, sim.Isolate),
		lasts: span{200, 1200},
	})
	besides(r, s, sim.Crash, sim.PowerOff, sim.SlowDisk)
}

func minISRAltered(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3, minISR: 2})
	administer(r, s, sim.AdminOps{Alter: 2, DescribeConfigs: 1}, 20, 150).Alter = []sim.TopicConfig{
		{Name: "min.insync.replicas", Value: "1"},
		{Name: "min.insync.replicas", Value: "2"},
		{Name: "min.insync.replicas", Value: "3"},
		{Name: "retention.bytes", Value: "3000"},
		{Name: "retention.bytes", Value: "-1"},
	}
	act(r, s, span{100, 700},
		deed{kind: sim.Crash, target: sim.TargetFollower, lasts: span{200, 900}},
		deed{kind: sim.Restart, target: sim.TargetLeader, after: span{50, 500}, lasts: span{1, 500}})
	besides(r, s, sim.Isolate, sim.Pause, sim.SlowLink)
}
