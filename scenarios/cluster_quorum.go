package scenarios

import (
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/sim"
)

// Scenarios about who controls the cluster, what brokers know of its decisions, and the
// lives of brokers.

func quorumScenarios() []sim.Scenario {
	return []sim.Scenario{
		scenario("controller-isolated", controllerIsolated,
			"the controller reaches nobody and does not know that another was elected "+
				"(KAFKA-14154)"),
		scenario("controllers-die-in-a-row", controllersDieInARow,
			"each controller dies as soon as it is elected (KIP-595)"),
		scenario("controller-power-loss", controllerPowerLoss,
			"the controller's power fails in the middle of decisions: what was committed stays "+
				"(KIP-630)"),
		scenario("decisions-in-doubt", decisionsInDoubt,
			"answers about the ISR are lost, then the controller is: nobody knows whether it "+
				"was changed (KIP-497, KAFKA-14144)"),
		scenario("metadata-lag", metadataLag,
			"brokers are asked about what they have not learned yet: they refuse, and never "+
				"serve what is over (KIP-951)"),
		scenario("metadata-snapshots", metadataSnapshots,
			"brokers that were away catch up from snapshots of the metadata, while it changes "+
				"(KIP-630)"),
		scenario("busy-metadata-registration", busyMetadataRegistration,
			"brokers come back while the metadata changes all the time: they lead nothing "+
				"before they have caught up (KAFKA-13959)"),
		scenario("sessions-expire-at-once", sessionsExpireAtOnce,
			"all brokers of an ISR fall silent at once: the last one stays in it (KAFKA-13173)"),
		scenario("duplicate-registrations", duplicateRegistrations,
			"brokers are back before their last session is over, and must wait (KAFKA-13528)"),
		scenario("controlled-shutdowns", controlledShutdowns,
			"brokers hand over what they lead and leave, one after another, under load "+
				"(KAFKA-14292, KAFKA-14296)"),
		scenario("fenced-stay-out", fencedStayOut,
			"fenced brokers and brokers that shut down go on fetching and are not in sync "+
				"(KIP-841, KAFKA-13916)"),
		scenario("requests-of-former-lives", requestsOfFormerLives,
			"fetches and heartbeats arrive when their broker has been born again (KIP-380, "+
				"KIP-903)"),
		scenario("more-replicas-than-live", moreReplicasThanLive,
			"topics are made and grow while brokers are fenced (KAFKA-13841)"),
		scenario("producer-id-blocks", producerIDBlocks,
			"blocks of producer ids are given out by ever new controllers, none twice (KIP-730)"),
		scenario("quorum-of-bad-clocks", quorumOfBadClocks,
			"clocks jump and run fast or slow in a cluster that lives on timeouts (KIP-631)"),
		scenario("two-of-five-are-left", twoOfFiveAreLeft,
			"the quorum is lost and comes back: nothing is decided in between (KIP-595)"),
		scenario("paused-controllers", pausedControllers,
			"controllers stand still past their term and go on as if nothing was (KAFKA-13173)"),
	}
}

func controllerIsolated(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3})
	act(r, s, span{100, 800},
		deed{kind: sim.Isolate, target: sim.TargetController, lasts: span{200, 1500}},
		deed{
			kind: sim.Pick(r, sim.Crash, sim.Restart), target: sim.TargetLeader,
			after: span{1, 500}, lasts: span{1, 600},
		})
	besides(r, s, sim.Split, sim.SlowLink, sim.Pause)
}

func controllersDieInARow(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{nodes: 5, replicas: 3})
	act(r, s, span{50, 500},
		deed{kind: sim.Crash, target: sim.TargetController, lasts: span{1, 500}},
		deed{kind: sim.Crash, on: sim.OnController, lasts: span{1, 500}},
		deed{kind: sim.Pick(r, sim.Crash, sim.Pause), on: sim.OnController, lasts: span{1, 500}})
	besides(r, s, sim.Isolate, sim.LinkCut, sim.SlowDisk)
}

func controllerPowerLoss(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3})
	slowSyncs(r, s)
	shortTimeouts(r, s)
	churn := administer(r, s, sim.AdminOps{
		Create: 2, Delete: 1, Alter: 2, Describe: 2,
		DescribeConfigs: 1,
	}, 5, 60)
	churn.Churn = []sim.TopicSpec{{Name: "churn", Partitions: 2, Replicas: 2}}
	churn.Alter = []sim.TopicConfig{
		{Name: "retention.ms", Value: "100000000"}, {Name: "retention.ms", Value: "200000000"},
	}
	act(r, s, span{100, 800},
		deed{kind: sim.PowerOff, target: sim.TargetController, lasts: span{1, 700}})
	besides(r, s, sim.PowerOff, sim.SlowDisk, sim.StuckDisk)
}

func decisionsInDoubt(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{nodes: 5, replicas: 3})
	dense(r, s)
	setting(s, "replica.lag.time.max.ms", r.LogUniform(60, 200))
	act(r, s, span{100, 600},
		deed{kind: sim.SlowNode, target: sim.TargetFollower, lasts: span{200, 800}, param: 950},
		deed{
			kind: sim.LinkCutFrom, target: sim.TargetController, after: span{1, 200},
			lasts: span{50, 500}, peer: sim.AllPeers,
		},
		deed{
			kind: sim.Pick(r, sim.Crash, sim.PowerOff, sim.Isolate), target: sim.TargetController,
			after: span{1, 100}, lasts: span{50, 700},
		})
	besides(r, s, sim.SlowNode, sim.LinkCutTo, sim.LinkCutFrom, sim.ConnReset)
}

func metadataLag(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{nodes: 5, replicas: 3})
	dense(r, s)
	churn := administer(r, s, sim.AdminOps{
		ElectPreferred: 3, Create: 2, Delete: 1, Describe: 2, Grow: 1,
	}, 5, 60)
	churn.Churn = []sim.TopicSpec{
		{Name: "churn0", Partitions: 2, Replicas: 2}, {Name: "churn1", Partitions: 1, Replicas: 3},
	}
	act(r, s, span{50, 500},
		deed{kind: sim.Restart, target: sim.TargetLeader, lasts: span{1, 100}},
		deed{
			kind: sim.SlowLink, target: sim.TargetController, after: span{1, 50},
			lasts: span{100, 700}, peer: sim.PeerOf(int32(r.Below(5))), param: r.LogUniform(50, 500),
		})
	besides(r, s, sim.SlowLink, sim.LinkClog, sim.SlowNode)
}

func metadataSnapshots(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3})
	setting(s, "metadata.log.max.record.bytes.between.snapshots", r.LogUniform(100, 600))
	setting(s, "metadata.log.segment.bytes", r.LogUniform(1_024, 4_000))
	setting(s, "metadata.max.retention.bytes", r.LogUniform(500, 4_000))
	alter := administer(r, s, sim.AdminOps{Alter: 1, DescribeConfigs: 1}, 2, 20)
	alter.Alter = []sim.TopicConfig{
		{Name: "retention.ms", Value: "100000000"}, {Name: "retention.ms", Value: "200000000"},
	}
	act(r, s, span{50, 500},
		deed{kind: sim.Pick(r, sim.Crash, sim.PowerOff, sim.Isolate), lasts: span{300, 1500}})
	besides(r, s, sim.Crash, sim.PowerOff, sim.Wipe)
	s.Config.Faults.DownMax = 1
}

func busyMetadataRegistration(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3})
	churn := administer(r, s, sim.AdminOps{Create: 3, Delete: 2, Alter: 4}, 10, 80)
	churn.Churn = []sim.TopicSpec{
		{Name: "churn0", Partitions: 3, Replicas: 3}, {Name: "churn1", Partitions: 2, Replicas: 2},
	}
	churn.Alter = []sim.TopicConfig{
		{Name: "retention.ms", Value: "100000000"}, {Name: "retention.ms", Value: "200000000"},
	}
	act(r, s, span{50, 400},
		deed{kind: sim.Pick(r, sim.Crash, sim.Restart), lasts: span{1, 900}})
	besides(r, s, sim.SlowDisk, sim.SlowNode, sim.SlowLink)
}

func sessionsExpireAtOnce(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{nodes: 5, replicas: sim.Pick(r, int16(2), 3)})
	kind := sim.Pick(r, sim.Crash, sim.Pause, sim.Isolate)
	act(r, s, again,
		deed{kind: kind, target: sim.TargetLeader, lasts: span{400, 1500}},
		deed{kind: kind, target: sim.TargetFollower, lasts: span{400, 1500}})
	besides(r, s, sim.Pause, sim.Isolate, sim.Crash)
}

func duplicateRegistrations(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{})
	setting(s, "broker.session.timeout.ms", r.Between(600, 1500))
	act(r, s, span{50, 600}, deed{
		kind: sim.Pick(r, sim.Crash, sim.PowerOff), target: sim.Pick(r, sim.TargetNode,
			sim.TargetLeader), lasts: span{1, 20},
	})
	besides(r, s, sim.Crash, sim.Restart, sim.SlowLink)
}

func controlledShutdowns(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{})
	dense(r, s)
	act(r, s, span{20, 500}, deed{kind: sim.Restart, target: sim.TargetLeader, lasts: span{1, 300}})
	besides(r, s, sim.SlowLink, sim.SlowDisk, sim.Isolate)
}

func fencedStayOut(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{nodes: 5, replicas: 3})
	dense(r, s)
	for i := range s.Topics {
		s.Topics[i].Partitions = int32(r.Between(4, 8)) // a shutdown takes its time
	}
	act(r, s, span{50, 500},
		// Its heartbeats do not arrive, but its fetches do.
		deed{
			kind: sim.LinkCut, target: sim.TargetController, lasts: span{200, 1500},
			peer: sim.PeerOf(int32(r.Below(5))),
		},
		deed{kind: sim.Restart, target: sim.TargetFollower, after: span{1, 300}, lasts: span{1, 300}})
	besides(r, s, sim.LinkCut, sim.SlowLink, sim.SlowDisk)
}

func requestsOfFormerLives(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3, minISR: sim.Pick(r, 1, 2)})
	dense(r, s)
	kind := sim.Pick(r, sim.Crash, sim.PowerOff, sim.Wipe)
	act(r, s, span{100, 600},
		deed{
			kind: sim.SlowLink, target: sim.TargetFollower, lasts: span{200, 900},
			peer: sim.AllPeers, param: r.LogUniform(20, 300),
		},
		deed{kind: kind, target: sim.TargetFollower, after: span{20, 200}, lasts: span{1, 20}})
	s.Config.Faults.DownMax = 1
	besides(r, s, sim.SlowLink, sim.LinkClog, sim.Restart)
}

func moreReplicasThanLive(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{})
	churn := administer(r, s, sim.AdminOps{Create: 2, Delete: 1, Grow: 1, Describe: 1}, 20, 150)
	churn.Churn = []sim.TopicSpec{
		{Name: "churn0", Partitions: 2, Replicas: 3}, {Name: "churn1", Partitions: 1, Replicas: 2},
	}
	act(r, s, span{50, 600},
		deed{kind: sim.Pick(r, sim.Crash, sim.Isolate, sim.Pause), lasts: span{500, 2000}})
	besides(r, s, sim.Crash, sim.Restart)
}

func producerIDBlocks(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{})
	for range r.Between(4, 8) {
		p := producer(r, s)
		p.Batches = int(r.Between(2, 20))
		s.Producers = append(s.Producers, p)
	}
	idempotent(s)
	act(r, s, span{50, 400},
		deed{
			kind: sim.Pick(r, sim.Crash, sim.Isolate, sim.PowerOff), target: sim.TargetController,
			lasts: span{1, 600},
		})
	besides(r, s, sim.Crash, sim.ConnReset, sim.LinkCut)
}

func quorumOfBadClocks(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{})
	act(r, s, span{20, 300},
		deed{kind: sim.ClockJump, param: sim.Pick(r, int64(-60_000), -500, 500, 60_000)},
		deed{
			kind: sim.ClockDrift, target: sim.TargetController, lasts: span{100, 1500},
			param: sim.Pick(r, int64(-500_000), -100_000, 100_000, 500_000),
		})
	besides(r, s, sim.ClockJump, sim.ClockDrift, sim.Crash, sim.Pause)
}

func twoOfFiveAreLeft(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{nodes: 5, replicas: 3})
	down := span{400, 1500}
	kind := sim.Pick(r, sim.Crash, sim.PowerOff, sim.Isolate)
	act(r, s, again,
		deed{kind: kind, target: sim.TargetController, lasts: down},
		deed{kind: kind, lasts: down}, deed{kind: kind, lasts: down}, deed{kind: kind, lasts: down})
	s.Config.Safety = max(s.Config.Safety, 3*clock.Second)
	besides(r, s, sim.Crash, sim.Split, sim.ConnReset)
}

func pausedControllers(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3})
	act(r, s, span{50, 700},
		deed{kind: sim.Pause, target: sim.TargetController, lasts: span{100, 1500}},
		deed{
			kind: sim.SlowNode, target: sim.TargetController, after: span{50, 900},
			lasts: span{100, 900}, param: r.Between(500, 950),
		})
	besides(r, s, sim.Pause, sim.SlowNode, sim.Crash)
}
