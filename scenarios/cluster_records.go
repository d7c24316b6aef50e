package scenarios

import (
	"strconv"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/sim"
)

// Scenarios about records in a cluster: deleted and compacted, read from any replica,
// sent again and lost.

func recordScenarios() []sim.Scenario {
	return []sim.Scenario{
		scenario("retention-with-laggards", retentionWithLaggards,
			"records are deleted by size, time and request, below the high watermark only, "+
				"while replicas lag (KAFKA-5634)"),
		scenario("records-deleted-inside-batches", recordsDeletedInsideBatches,
			"a replica without anything begins at a log start inside of a batch (KIP-107)"),
		scenario("follower-reads", followerReads,
			"consumers read from the replica in their rack, while it comes and goes (KIP-392, "+
				"KAFKA-15390)"),
		scenario("parked-fetches-across-rolls", parkedFetchesAcrossRolls,
			"fetches wait at the end of segments that roll all the time (KAFKA-3159, KAFKA-9196)"),
		scenario("batches-above-fetch-limits", batchesAboveFetchLimits,
			"batches are larger than what followers and consumers ask for, and still arrive "+
				"(KIP-74)"),
		scenario("producers-across-failovers", producersAcrossFailovers,
			"leaders die between append and answer, old requests come again, and nothing is "+
				"twice (KIP-98)"),
		scenario("replicated-compaction", replicatedCompaction,
			"every replica compacts at its own pace, never what may yet be cut (KAFKA-3330)"),
		scenario("retries-after-timeouts", retriesAfterTimeouts,
			"writes time out while followers are slow, and come again: they are there once "+
				"(KIP-98)"),
		scenario("more-min-isr-than-replicas", moreMinISRThanReplicas,
			"more replicas are to be in sync than there are: all there are is enough (KIP-966)"),
		scenario("fire-and-forget", fireAndForget,
			"who wants no answer is hung up on when its batch finds no leader"),
		scenario("truncated-while-cleaned", truncatedWhileCleaned,
			"logs are cut below what was cleaned, and cleaned again (KAFKA-3330)"),
		scenario("producers-outlive-records", producersOutliveRecords,
			"followers that never saw a producer's records know its sequences, when they lead "+
				"(KAFKA-7190)"),
		scenario("unclean-elections", uncleanElections,
			"who is not in sync is elected, by itself and on request (KIP-460)"),
	}
}

// hurried makes producers give up on requests early, and send them again.
func hurried(r *sim.Rand, s *sim.Setup) {
	for i := range s.Producers {
		s.Producers[i].RequestTimeout = clock.Duration(r.LogUniform(40, 300)) * clock.Millisecond
	}
}

func retentionWithLaggards(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3})
	dense(r, s)
	configure(s, "segment.bytes", strconv.FormatInt(r.LogUniform(400, 4_000), 10))
	configure(s, "retention.bytes", strconv.FormatInt(r.LogUniform(100, 8_000), 10))
	if r.Chance(half) {
		configure(s, "retention.ms", strconv.FormatInt(r.LogUniform(50, 2_000), 10))
	}
	s.Config.Tunables.Settings.RetentionCheckMillis = r.LogUniform(10, 100)
	administer(r, s, sim.AdminOps{DeleteRecords: 1}, 20, 200)
	act(r, s, span{50, 600},
		deed{
			kind: sim.SlowDisk, target: sim.TargetFollower, lasts: span{100, 900},
			param: r.LogUniform(20, 400),
		},
		deed{kind: sim.Restart, target: sim.TargetLeader, after: span{20, 500}, lasts: span{1, 300}})
	besides(r, s, sim.Crash, sim.PowerOff, sim.ClockJump)
}

func recordsDeletedInsideBatches(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3, minISR: 1})
	for i := range s.Producers {
		s.Producers[i].RecordsMax = 20
	}
	administer(r, s, sim.AdminOps{DeleteRecords: 1}, 20, 150)
	act(r, s, again, deed{kind: sim.Wipe, target: sim.TargetFollower, lasts: span{10, 500}})
	s.Config.Faults.DownMax = 1 // more than one disk less is a loss that explains anything
	besides(r, s, sim.Restart, sim.Crash, sim.SlowLink)
}

func followerReads(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3})
	const rackAware = "org.apache.kafka.common.replica.RackAwareReplicaSelector"
	s.Config.Properties["replica.selector.class"] = rackAware
	for i := range s.Config.Nodes {
		s.Config.Racks = append(s.Config.Racks, "r"+strconv.Itoa(i%3))
	}
	consumers(r, s, 3)
	for i := range s.Consumers {
		c := &s.Consumers[i]
		c.VersionMin = 11
		if !c.Audit {
			c.Rack = "r" + strconv.Itoa(i%3)
		}
	}
	act(r, s, span{100, 600},
		deed{
			kind: sim.Pick(r, sim.Isolate, sim.Pause, sim.SlowDisk), target: sim.TargetFollower,
			lasts: span{100, 900}, param: r.LogUniform(20, 400),
		})
	besides(r, s, sim.Restart, sim.Crash, sim.LinkCut, sim.SlowLink)
}

func parkedFetchesAcrossRolls(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3})
	configure(s, "segment.bytes", strconv.FormatInt(r.LogUniform(200, 900), 10))
	if r.Chance(half) {
		configure(s, "segment.ms", strconv.FormatInt(r.LogUniform(10, 100), 10))
	}
	setting(s, "replica.fetch.wait.max.ms", r.LogUniform(40, 90))
	setting(s, "replica.fetch.min.bytes", r.LogUniform(1, 3_000))
	for i := range s.Producers {
		s.Producers[i].ValueMax = r.LogUniform(10, 60)
	}
	act(r, s, span{100, 900},
		deed{
			kind: sim.SlowLink, target: sim.TargetLeader, lasts: span{50, 400}, peer: sim.AllPeers,
			param: r.LogUniform(5, 50),
		},
		deed{kind: sim.Restart, target: sim.TargetLeader, after: span{20, 300}, lasts: span{1, 100}})
	besides(r, s, sim.Crash, sim.ConnReset)
}

func batchesAboveFetchLimits(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{})
	setting(s, "replica.fetch.max.bytes", r.LogUniform(1, 2_000))
	setting(s, "replica.fetch.response.max.bytes", r.LogUniform(1, 3_000))
	for i := range s.Producers {
		p := &s.Producers[i]
		p.ValueMax, p.RecordsMax = r.LogUniform(200, 3_000), int(r.Between(1, 8))
	}
	act(r, s, again, deed{kind: sim.Crash, target: sim.TargetFollower, lasts: span{1, 500}})
	besides(r, s, sim.Restart, sim.ConnReset, sim.LinkCut)
}

func producersAcrossFailovers(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3})
	idempotent(s)
	dense(r, s)
	duplicators(r, s)
	if r.Chance(half) {
		configure(s, "segment.bytes", strconv.FormatInt(r.LogUniform(400, 4_000), 10))
	}
	act(r, s, span{100, 800},
		deed{kind: sim.ConnReset, target: sim.TargetLeader, param: r.Below(4)},
		deed{
			kind:   sim.Pick(r, sim.Crash, sim.Pause, sim.Isolate, sim.Restart),
			target: sim.TargetLeader, after: span{1, 100}, lasts: span{1, 900},
		})
	besides(r, s, sim.ConnReset, sim.LinkClog, sim.LinkCutFrom, sim.PowerOff)
}

func replicatedCompaction(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3})
	s.Policy.Compacted = true
	configure(s, "cleanup.policy", sim.Pick(r, "compact", "compact", "compact,delete"))
	configure(s, "min.cleanable.dirty.ratio", sim.Pick(r, "0.0", "0.1", "0.5"))
	configure(s, "segment.bytes", strconv.FormatInt(r.LogUniform(500, 3_000), 10))
	configure(s, "delete.retention.ms", strconv.FormatInt(r.LogUniform(1, 2_000), 10))
	dense(r, s)
	for i := range s.Producers {
		s.Producers[i].Keys = r.LogUniform(1, 30)
	}
	s.Config.Tunables.Settings.CleanerBackoffMillis = r.LogUniform(20, 200)
	act(r, s, again,
		deed{kind: sim.Crash, target: sim.TargetFollower, lasts: span{1, 600}},
		deed{kind: sim.Crash, target: sim.TargetLeader, after: span{5, 500}, lasts: span{1, 600}})
	besides(r, s, sim.PowerOff, sim.SlowDisk, sim.Restart)
}

func retriesAfterTimeouts(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3, minISR: 2})
	idempotent(s)
	hurried(r, s)
	duplicators(r, s)
	act(r, s, span{50, 400}, deed{
		kind:   sim.Pick(r, sim.Pause, sim.SlowNode, sim.StuckDisk, sim.LinkClog),
		target: sim.TargetFollower, lasts: span{50, 700}, param: r.Between(500, 950),
		peer: sim.AllPeers,
	})
	besides(r, s, sim.Crash, sim.LinkClog, sim.Isolate)
}

func moreMinISRThanReplicas(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: sim.Pick(r, int16(1), 2), minISR: 3})
	patient(s)
	act(r, s, span{100, 700}, deed{
		kind: sim.Pick(r, sim.Crash, sim.Isolate, sim.Restart), lasts: span{50, 900},
	})
	besides(r, s, sim.Crash, sim.Pause)
}

func fireAndForget(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{})
	for i := range s.Producers {
		s.Producers[i].Acks, s.Producers[i].Idempotent = 0, false
	}
	act(r, s, span{50, 500}, deed{
		kind:   sim.Pick(r, sim.Restart, sim.Isolate, sim.Crash),
		target: sim.TargetLeader, lasts: span{1, 500},
	})
	besides(r, s, sim.Crash, sim.ConnReset)
}

func truncatedWhileCleaned(r *sim.Rand, s *sim.Setup) {
	replicatedCompaction(r, s)
	s.Config.Plan = nil
	s.Config.Tunables.Settings.CleanerBackoffMillis = r.LogUniform(5, 40)
	act(r, s, span{50, 500},
		deed{
			kind: sim.SlowLink, target: sim.TargetLeader, lasts: span{100, 400}, peer: sim.AllPeers,
			param: r.LogUniform(20, 200),
		},
		deed{kind: sim.Crash, on: sim.OnTruncated, lasts: span{1, 200}},
		deed{
			kind: sim.Pick(r, sim.Isolate, sim.Crash), target: sim.TargetLeader,
			after: span{20, 200}, lasts: span{200, 900},
		})
	besides(r, s, sim.Isolate, sim.SlowDisk)
}

func producersOutliveRecords(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3})
	idempotent(s)
	dense(r, s)
	duplicators(r, s)
	configure(s, "segment.bytes", strconv.FormatInt(r.LogUniform(300, 2_000), 10))
	configure(s, "retention.bytes", strconv.FormatInt(r.LogUniform(100, 2_000), 10))
	s.Config.Tunables.Settings.RetentionCheckMillis = r.LogUniform(10, 60)
	act(r, s, span{50, 700}, deed{
		kind:   sim.Pick(r, sim.Restart, sim.Crash, sim.PowerOff),
		target: sim.Pick(r, sim.TargetLeader, sim.TargetFollower), lasts: span{1, 600},
	})
	besides(r, s, sim.ConnReset, sim.SlowLink)
}

func uncleanElections(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{unclean: true})
	administer(r, s, sim.AdminOps{ElectUnclean: 1, ElectPreferred: 1}, 30, 300)
	act(r, s, again,
		deed{kind: sim.Crash, target: sim.TargetFollower, lasts: span{100, 900}},
		deed{kind: sim.PowerOff, target: sim.TargetLeader, after: span{100, 900}, lasts: span{300, 2000}})
	besides(r, s, sim.Split, sim.Isolate, sim.Wipe)
}
