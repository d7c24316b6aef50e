package scenarios

import (
	"strconv"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/sim"
)

// Scenarios about logs of several replicas: where they part, who may be in sync, and
// what is committed.

func replicationScenarios() []sim.Scenario {
	return []sim.Scenario{
		scenario("truncation-by-epoch", truncationByEpoch,
			"a follower restarts and at once its leader dies: nobody cuts by its own high "+
				"watermark (KIP-101)"),
		scenario("fast-leader-failovers", fastLeaderFailovers,
			"leaders die one after another with tails of their own: one answer about an epoch "+
				"is not enough (KIP-279, KAFKA-6361)"),
		scenario("missed-leader-epochs", missedLeaderEpochs,
			"a leader loses and regains the lead while followers hear nothing of it (KAFKA-7164)"),
		scenario("empty-leader-epochs", emptyLeaderEpochs,
			"leaders change and write nothing: their epochs begin all the same, and end "+
				"(KAFKA-7415, KAFKA-10706)"),
		scenario("late-answers-of-leaders", lateAnswersOfLeaders,
			"answers of a leader arrive when it leads no more, or again (KAFKA-13207, "+
				"KAFKA-8012, KAFKA-18723)"),
		scenario("fetchers-of-other-epochs", fetchersOfOtherEpochs,
			"leaders are asked in epochs that are over or that they have not heard of (KIP-320, "+
				"KAFKA-7395)"),
		scenario("follower-behind-retention", followerBehindRetention,
			"the leader deletes what a follower lacks: it begins anew, never with its marks "+
				"below its start (KAFKA-9491, KAFKA-3978)"),
		scenario("offsets-after-failover", offsetsAfterFailover,
			"a new leader's high watermark is behind: the latest offset never goes back "+
				"(KIP-207)"),
		scenario("join-below-epoch-start", joinBelowEpochStart,
			"replicas that lag come back just as there is a new leader, who knows of less than "+
				"was committed (KAFKA-7128)"),
		scenario("slow-follower-in-sync", slowFollowerInSync,
			"a follower with a slow disk holds acks=all back, falls out of sync and returns "+
				"(KIP-16)"),
		scenario("last-replica-commits", lastReplicaCommits,
			"all followers are cut off and nothing more is written: what waits is committed "+
				"when they are out of sync (KAFKA-13091)"),
		scenario("min-isr-violated", minISRViolated,
			"fewer than min.insync.replicas are left: nothing is committed until there are "+
				"enough (KIP-966, KAFKA-15583)"),
	}
}

// again is the pause between two acts that let the cluster come to rest, mostly.
var again = span{200, 1200}

func truncationByEpoch(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: sim.Pick(r, int16(2), 3), minISR: 1})
	act(r, s, again,
		deed{kind: sim.Crash, target: sim.TargetFollower, lasts: span{1, 30}},
		deed{kind: sim.Crash, target: sim.TargetLeader, after: span{5, 200}, lasts: span{1, 900}})
	besides(r, s, sim.SlowLink, sim.ConnReset, sim.LinkCut)
}

func fastLeaderFailovers(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{minISR: 1, unclean: true, replicas: 3, partitions: 1})
	hasty(s)
	dense(r, s)
	act(r, s, again,
		deed{kind: sim.Isolate, target: sim.TargetLeader, lasts: span{200, 1500}},
		deed{kind: sim.Crash, target: sim.TargetLeader, after: span{150, 900}, lasts: span{50, 900}},
		deed{kind: sim.Crash, target: sim.TargetLeader, after: span{50, 500}, lasts: span{50, 900}})
	besides(r, s, sim.Split, sim.Pause, sim.SlowLink)
}

func missedLeaderEpochs(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{nodes: 5, replicas: 3, minISR: 1})
	administer(r, s, sim.AdminOps{ElectPreferred: 1}, 10, 100)
	act(r, s, span{100, 600},
		deed{kind: sim.Isolate, target: sim.TargetFollower, lasts: span{100, 900}},
		deed{kind: sim.Restart, target: sim.TargetLeader, after: span{1, 50}, lasts: span{1, 30}})
	besides(r, s, sim.SlowLink, sim.Crash)
}

func emptyLeaderEpochs(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3, minISR: 1})
	sparse(r, s)
	administer(r, s, sim.AdminOps{ElectPreferred: 1}, 10, 60)
	act(r, s, span{20, 300},
		deed{kind: sim.Restart, target: sim.TargetLeader, lasts: span{1, 60}},
		deed{kind: sim.Crash, target: sim.TargetLeader, after: span{20, 300}, lasts: span{1, 200}})
	besides(r, s, sim.Crash, sim.SlowLink)
}

func lateAnswersOfLeaders(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3, minISR: 1})
	dense(r, s)
	administer(r, s, sim.AdminOps{ElectPreferred: 3, Reassign: 1}, 10, 80)
	act(r, s, span{50, 500},
		deed{
			kind: sim.SlowLink, target: sim.TargetLeader, lasts: span{100, 500}, peer: sim.AllPeers,
			param: r.LogUniform(20, 200),
		},
		deed{kind: sim.Restart, target: sim.TargetLeader, after: span{5, 100}, lasts: span{1, 20}})
	besides(r, s, sim.SlowNode, sim.Pause, sim.LinkClog)
}

func fetchersOfOtherEpochs(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{nodes: 5, replicas: 3})
	dense(r, s)
	administer(r, s, sim.AdminOps{ElectPreferred: 1}, 20, 150)
	act(r, s, span{50, 500},
		// It hears late of what the controller decides, and others of it at once.
		deed{
			kind: sim.SlowLink, target: sim.TargetController, lasts: span{100, 800},
			peer: sim.PeerOf(int32(r.Below(5))), param: r.LogUniform(20, 500),
		},
		deed{kind: sim.Pause, target: sim.TargetLeader, after: span{5, 100}, lasts: span{200, 1200}})
	besides(r, s, sim.SlowLink, sim.SlowNode, sim.LinkClog, sim.Restart)
}

func followerBehindRetention(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3, minISR: 1})
	dense(r, s)
	configure(s, "segment.bytes", strconv.FormatInt(r.LogUniform(400, 2_000), 10))
	configure(s, "retention.bytes", strconv.FormatInt(r.LogUniform(200, 3_000), 10))
	s.Config.Tunables.Settings.RetentionCheckMillis = r.LogUniform(10, 60)
	act(r, s, again,
		deed{kind: sim.Crash, target: sim.TargetFollower, lasts: span{500, 1500}},
		deed{kind: sim.Crash, target: sim.TargetLeader, after: span{500, 1500}, lasts: span{1, 400}})
	besides(r, s, sim.Isolate, sim.PowerOff, sim.Wipe)
}

func offsetsAfterFailover(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3})
	dense(r, s)
	consumers(r, s, 2)
	for i := range s.Consumers {
		s.Consumers[i].Probe = clock.Duration(r.LogUniform(2, 20)) * clock.Millisecond
	}
	act(r, s, span{100, 700},
		deed{
			kind: sim.SlowLink, target: sim.TargetLeader, lasts: span{50, 300}, peer: sim.AllPeers,
			param: r.LogUniform(10, 100),
		},
		deed{kind: sim.Restart, target: sim.TargetLeader, after: span{10, 100}, lasts: span{1, 100}})
	besides(r, s, sim.Crash, sim.Pause, sim.SlowLink)
}

func joinBelowEpochStart(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3, minISR: sim.Pick(r, 1, 2)})
	dense(r, s)
	act(r, s, span{100, 600},
		deed{kind: sim.Crash, target: sim.TargetFollower, lasts: span{300, 800}},
		deed{
			kind: sim.SlowLink, target: sim.TargetLeader, after: span{100, 600}, peer: sim.AllPeers,
			lasts: span{100, 600}, param: r.LogUniform(10, 100),
		},
		deed{kind: sim.Restart, target: sim.TargetLeader, after: span{20, 300}, lasts: span{1, 300}},
		deed{
			kind: sim.Crash, target: sim.TargetLeader, after: span{5, 200}, lasts: span{100, 900},
			on: sim.OnISRExpanded,
		})
	besides(r, s, sim.Pause, sim.SlowDisk, sim.PowerOff)
}

func slowFollowerInSync(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3, minISR: sim.Pick(r, 1, 2)})
	dense(r, s)
	patient(s)
	setting(s, "replica.lag.time.max.ms", r.LogUniform(60, 300))
	act(r, s, span{50, 400},
		deed{
			kind: sim.Pick(r, sim.SlowDisk, sim.StuckDisk, sim.SlowNode), target: sim.TargetFollower,
			lasts: span{50, 900}, param: r.LogUniform(50, 900),
		})
	besides(r, s, sim.SlowDisk, sim.StuckDisk, sim.SlowLink, sim.ConnReset)
}

func lastReplicaCommits(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{nodes: 5, replicas: sim.Pick(r, int16(2), 3), minISR: 1})
	patient(s)
	sparse(r, s)
	setting(s, "replica.lag.time.max.ms", r.LogUniform(60, 400))
	act(r, s, again,
		deed{kind: sim.Isolate, target: sim.TargetFollower, lasts: span{300, 1500}},
		deed{kind: sim.Isolate, target: sim.TargetFollower, after: span{1, 700}, lasts: span{300, 1500}})
	besides(r, s, sim.SlowLink, sim.Pause)
}

func minISRViolated(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: sim.Pick(r, int16(3), 3, 1), minISR: 2})
	dense(r, s)
	act(r, s, again,
		deed{kind: sim.Crash, target: sim.TargetFollower, lasts: span{400, 1500}},
		deed{kind: sim.Pause, target: sim.TargetFollower, after: span{1, 500}, lasts: span{400, 1500}},
		deed{kind: sim.Crash, target: sim.TargetLeader, after: span{200, 900}, lasts: span{50, 900}})
	besides(r, s, sim.Isolate, sim.PowerOff, sim.Restart)
}
