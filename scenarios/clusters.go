package scenarios

import (
	"slices"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/sim"
)

// fault is a fault that befalls who plays a part, when something happens.
func fault(kind sim.FaultKind, target sim.Target, on sim.Trigger) sim.Fault {
	return sim.Fault{Kind: kind, Target: target, On: on}
}

// brief is as fault, for a short while.
func brief(kind sim.FaultKind, target sim.Target, on sim.Trigger) sim.Fault {
	f := fault(kind, target, on)
	f.For = 20 * clock.Millisecond
	return f
}

// clusterScenarios are those of several nodes.
func clusterScenarios() []sim.Scenario {
	return slices.Concat(electionScenarios(), syncScenarios(), controlScenarios(), copyScenarios())
}

// electionScenarios are about leaders that change, and logs that part and come together.
func electionScenarios() []sim.Scenario {
	return []sim.Scenario{
		scenario("follower-restarts-then-leads", cluster(
			hit(6, brief(sim.Crash, sim.TargetFollower, sim.AtOnce)),
			hit(4, fault(sim.Crash, sim.TargetLeader, sim.AtOnce)),
			hit(3, fault(sim.Crash, sim.TargetLeader, sim.OnReplicated)),
		), "followers restart and lead a moment later; what they held survives (KIP-101)"),
		scenario("elections-in-a-row", cluster(
			anyDown, minISR(1),
			hit(8, fault(sim.Crash, sim.TargetNode, sim.OnLeader)),
			hit(4, fault(sim.Isolate, sim.TargetNode, sim.OnLeader)),
		), "leaders fall as soon as they lead, so that logs part more than once (KIP-279)"),
		scenario("leader-comes-and-goes", cluster(
			hit(6, fault(sim.Isolate, sim.TargetLeader, sim.AtOnce)),
			hit(4, fault(sim.Pause, sim.TargetLeader, sim.AtOnce)),
			admins(sim.AdminOps{ElectPreferred: 1}),
		), "a leader loses its leadership and regains it, unseen by followers (KAFKA-7164)"),
		scenario("elections-without-writes", cluster(
			quiet, anyDown,
			suffer(sim.Crash, sim.Isolate, sim.Restart), often(6),
		), "leaders change again and again while little is written (KAFKA-7415)"),
		scenario("epochs-without-records", cluster(
			quiet,
			hit(8, brief(sim.Isolate, sim.TargetNode, sim.OnLeader)),
			hit(4, brief(sim.Crash, sim.TargetNode, sim.OnLeader)),
			admins(sim.AdminOps{ElectPreferred: 1}),
		), "leaders begin an epoch, write nothing and follow again (KAFKA-10706)"),
		scenario("old-leader-returns", cluster(
			racks, busy,
			hit(6, fault(sim.Isolate, sim.TargetLeader, sim.AtOnce)),
			hit(3, fault(sim.Split, sim.TargetNode, sim.AtOnce)),
		), "a leader comes back with records nobody copied; nobody reads them (KAFKA-14704)"),
		scenario("slow-answers-of-old-leaders", cluster(
			busy,
			suffer(sim.LinkClog, sim.SlowLink, sim.SplitOneWay, sim.Pause), often(6),
		), "answers to fetches arrive after elections and are no use any more (KAFKA-18723)"),
		scenario("stale-fetchers", cluster(
			suffer(sim.LinkClog, sim.LinkCutTo, sim.LinkCutFrom, sim.SplitOneWay, sim.Crash), often(6),
		), "who fetches in an epoch that is over, or not yet begun, is refused (KIP-320)"),
		scenario("unclean-elections", cluster(
			unclean, validating, anyDown, minISR(1),
			admins(sim.AdminOps{ElectUnclean: 1}),
			hit(5, fault(sim.Isolate, sim.TargetFollower, sim.AtOnce)),
			hit(5, fault(sim.Isolate, sim.TargetLeader, sim.OnISRShrunk)),
			hit(3, fault(sim.PowerOff, sim.TargetLeader, sim.OnISRShrunk)),
		), "who is not in sync may lead; consumers are told what is lost (KIP-320, KAFKA-7747)"),
		scenario("latest-after-failovers", cluster(
			watchers, validating,
			suffer(sim.Crash, sim.Isolate, sim.PowerOff),
			hit(4, fault(sim.Crash, sim.TargetLeader, sim.AtOnce)),
		), "the latest offset never goes back to who was told it, whoever leads (KIP-207)"),
		scenario("slow-metadata", cluster(
			hit(4, fault(sim.SplitOneWay, sim.TargetNode, sim.AtOnce)),
			hit(4, fault(sim.SlowNode, sim.TargetFollower, sim.AtOnce)),
			hit(4, fault(sim.LinkClog, sim.TargetController, sim.AtOnce)),
			admins(sim.AdminOps{ElectPreferred: 1, Grow: 1}),
		), "nodes hear of elections late, and are asked for what they do not know yet (KIP-951)"),
		scenario("power-fails-at-truncation", cluster(
			pageCache, busy, anyDown,
			hit(6, fault(sim.PowerOff, sim.TargetNode, sim.OnTruncated)),
			hit(6, fault(sim.Isolate, sim.TargetLeader, sim.AtOnce)),
			hit(3, fault(sim.Crash, sim.TargetLeader, sim.AtOnce)),
		), "the power fails where a log was just cut; epochs and records agree (KAFKA-16541)"),
	}
}

// syncScenarios are about the replicas in sync and what is committed.
func syncScenarios() []sim.Scenario {
	return []sim.Scenario{
		scenario("catching-up", cluster(
			busy,
			hit(6, fault(sim.SlowNode, sim.TargetFollower, sim.AtOnce)),
			hit(4, fault(sim.Isolate, sim.TargetFollower, sim.AtOnce)),
			hit(4, fault(sim.Crash, sim.TargetLeader, sim.OnISRExpanded)),
		), "replicas join the ISR only with all of the epoch before (KAFKA-7128)"),
		scenario("lost-isr-answers", cluster(
			minISR(1),
			hit(6, fault(sim.LinkCutTo, sim.TargetController, sim.OnISRShrunk)),
			hit(4, fault(sim.SplitOneWay, sim.TargetNode, sim.AtOnce)),
			hit(4, fault(sim.Isolate, sim.TargetFollower, sim.AtOnce)),
			hit(2, fault(sim.Crash, sim.TargetLeader, sim.OnISRShrunk)),
		), "a leader does not hear whether its ISR was changed, and counts both (KIP-497)"),
		scenario("acks-wait-for-shrinks", cluster(
			quiet, ackedByAll, minISR(1),
			hit(4, fault(sim.Isolate, sim.TargetFollower, sim.AtOnce)),
			hit(4, fault(sim.Pause, sim.TargetFollower, sim.OnReplicated)),
		), "who waits for acks=all is answered when a dead replica leaves (KAFKA-13091)"),
		scenario("controller-falls-at-isr-changes", cluster(
			hit(4, fault(sim.Crash, sim.TargetController, sim.OnISRShrunk)),
			hit(4, fault(sim.Crash, sim.TargetController, sim.OnISRExpanded)),
			hit(4, fault(sim.Isolate, sim.TargetFollower, sim.AtOnce)),
		), "the controller falls between a change of an ISR and its answer (KAFKA-14144)"),
		scenario("stale-controllers", cluster(
			hit(5, fault(sim.Pause, sim.TargetController, sim.AtOnce)),
			hit(5, fault(sim.Isolate, sim.TargetController, sim.AtOnce)),
			hit(3, fault(sim.Crash, sim.TargetLeader, sim.OnController)),
		), "a controller does not know that another is active, and refuses (KAFKA-14154)"),
		scenario("shutting-down-replicas", cluster(
			busy, schemes(sim.Rolling),
			hit(5, fault(sim.Restart, sim.TargetFollower, sim.OnISRExpanded)),
			hit(3, fault(sim.Restart, sim.TargetLeader, sim.AtOnce)),
		), "brokers that shut down do not come back into an ISR (KIP-841)"),
		scenario("rebooted-replicas", cluster(
			hit(5, brief(sim.PowerOff, sim.TargetFollower, sim.AtOnce)),
			hit(3, brief(sim.Wipe, sim.TargetFollower, sim.AtOnce)),
			hit(4, fault(sim.LinkClog, sim.TargetFollower, sim.AtOnce)),
			hit(2, fault(sim.Crash, sim.TargetLeader, sim.AtOnce)),
		), "what a broker fetched in a former life does not count for this one (KIP-903)"),
		scenario("under-min-isr", cluster(
			minISR(2), anyDown, watchers,
			hit(5, fault(sim.Isolate, sim.TargetFollower, sim.AtOnce)),
			hit(5, fault(sim.Crash, sim.TargetFollower, sim.OnISRShrunk)),
		), "with too few in sync nothing is committed, whatever the acks (KAFKA-15583)"),
		scenario("slow-in-sync-replicas", cluster(
			ackedByAll,
			hit(6, fault(sim.SlowDisk, sim.TargetFollower, sim.AtOnce)),
			hit(6, fault(sim.SlowNode, sim.TargetFollower, sim.AtOnce)),
			hit(3, fault(sim.Crash, sim.TargetLeader, sim.AtOnce)),
		), "acks=all waits for every replica in sync, however slow"),
		scenario("retries-after-timeouts", cluster(
			ackedByAll, impatient, minISR(2), repeated,
			suffer(sim.Pause, sim.SlowNode, sim.LinkClog, sim.Isolate), often(5),
		), "batches that timed out may be there, and are not written twice (KIP-98)"),
		scenario("more-min-isr-than-replicas", cluster(
			replicas(2), minISR(3), ackedByAll,
			suffer(sim.Crash, sim.Isolate),
		), "more min.insync.replicas than replicas ask for all of them"),
		scenario("last-replica-standing", cluster(
			pageCache, minISR(1), anyDown, validating,
			hit(5, fault(sim.Isolate, sim.TargetFollower, sim.AtOnce)),
			hit(5, fault(sim.PowerOff, sim.TargetLeader, sim.OnISRShrunk)),
		), "the last replica in sync loses its tail with the power, and only that (KIP-966)"),
	}
}

// controlScenarios are about the metadata quorum, the lives of brokers and reassignments.
func controlScenarios() []sim.Scenario {
	return []sim.Scenario{
		scenario("controller-crashes", cluster(
			hit(6, fault(sim.Crash, sim.TargetController, sim.AtOnce)),
			hit(4, brief(sim.PowerOff, sim.TargetController, sim.OnController)),
			churning,
		), "active controllers crash; what was decided stays decided"),
		scenario("quorum-splits", cluster(
			nodes(3, 5, 4),
			suffer(sim.Split, sim.SplitOneWay, sim.Bridge, sim.Isolate), often(4),
			admins(sim.AdminOps{Grow: 1, Alter: 2, DescribeConfigs: 2},
				sim.TopicConfig{Name: "retention.ms", Value: "1000000"},
				sim.TopicConfig{Name: "retention.ms", Value: "2000000"}),
		), "the network splits in all ways; a majority goes on, a minority decides nothing"),
		scenario("swizzled-links", cluster(
			nodes(3, 5), schemes(sim.Swizzle), suffer(sim.LinkClog, sim.Crash),
		), "links are clogged one after another and freed in another order"),
		scenario("whole-cluster-loses-power", cluster(
			anyDown, schemes(sim.AllOff), suffer(sim.PowerOff, sim.SlowDisk),
		), "the power of all nodes fails at once; they come back in any order"),
		scenario("whole-cluster-crashes", cluster(
			anyDown, schemes(sim.AllCrash), suffer(sim.Crash),
		), "all processes crash at once; high watermarks come back (KAFKA-8333)"),
		scenario("crashes-while-booting", cluster(
			anyDown, schemes(sim.Bounce), suffer(sim.Crash, sim.PowerOff), often(6),
		), "nodes crash again before they are up; nothing looks clean (KAFKA-10471)"),
		scenario("flapping-nodes", cluster(
			schemes(sim.Flapping), suffer(sim.Isolate, sim.ConnReset),
		), "a node is cut off again and again; the others go on"),
		scenario("rolling-cluster", cluster(
			schemes(sim.Rolling), ackedByAll, minISR(2), racks,
			hit(2, fault(sim.Crash, sim.TargetNode, sim.AtOnce)),
		), "every node is restarted in turn, and leaders move away first (KAFKA-14292)"),
		scenario("sessions-expire-together", cluster(
			anyDown, minISR(1),
			hit(4, fault(sim.Isolate, sim.TargetController, sim.AtOnce)),
			hit(4, fault(sim.Split, sim.TargetNode, sim.AtOnce)),
			hit(6, fault(sim.Pause, sim.TargetFollower, sim.AtOnce)),
			hit(4, fault(sim.Pause, sim.TargetLeader, sim.AtOnce)),
		), "several sessions end at once; the last replica in sync stays (KAFKA-13173)"),
		scenario("topics-while-brokers-are-down", cluster(
			churning, suffer(sim.Crash, sim.Restart, sim.Isolate), often(5),
		), "topics are made and deleted while brokers are down, and never mixed (KIP-516)"),
		scenario("lives-of-brokers", cluster(
			hit(6, brief(sim.Crash, sim.TargetNode, sim.AtOnce)),
			hit(6, brief(sim.PowerOff, sim.TargetNode, sim.AtOnce)),
			suffer(sim.LinkClog, sim.SlowLink), often(4),
		), "what a broker asked in a former life is refused (KIP-380)"),
		scenario("bad-clocks-in-clusters", cluster(
			suffer(sim.ClockJump, sim.ClockDrift, sim.Pause, sim.Crash), often(5),
		), "clocks jump and drift; sessions and leases are no matter of safety"),
		scenario("reassignments", cluster(
			nodes(4, 5, 3), replicas(2),
			admins(sim.AdminOps{Reassign: 4, ElectPreferred: 1, Grow: 1}),
			suffer(sim.Crash, sim.Isolate, sim.Restart),
		), "replicas move while nodes fall (KIP-455)"),
		scenario("reassigned-while-fetching", cluster(
			nodes(4, 5), replicas(3), busy, admins(sim.AdminOps{Reassign: 1}),
			suffer(sim.LinkClog, sim.SlowNode, sim.Crash), often(4),
		), "replicas come and go while answers for them are under way (KAFKA-13207)"),
		scenario("config-changes", cluster(
			admins(sim.AdminOps{Alter: 4, DescribeConfigs: 3},
				sim.TopicConfig{Name: "min.insync.replicas", Value: "1"},
				sim.TopicConfig{Name: "min.insync.replicas", Value: "2"},
				sim.TopicConfig{Name: "segment.bytes", Value: "2000"},
				sim.TopicConfig{Name: "segment.bytes", Value: "20000"},
				sim.TopicConfig{Name: "max.message.bytes", Value: "1000000"}),
			suffer(sim.Crash, sim.Isolate, sim.Pause),
		), "configurations change under load, and nobody sees them go back"),
	}
}

// copyScenarios are about logs that are copied while they change otherwise too, and about
// who reads and writes them.
func copyScenarios() []sim.Scenario {
	return []sim.Scenario{
		scenario("retention-past-followers", cluster(
			busy, smallSegments,
			onTopicsBetween("retention.bytes", 500, 10_000),
			onTopicsBetween("file.delete.delay.ms", 1, 500),
			hit(5, fault(sim.Isolate, sim.TargetFollower, sim.AtOnce)),
			hit(3, fault(sim.SlowNode, sim.TargetFollower, sim.AtOnce)),
			hit(2, fault(sim.Crash, sim.TargetLeader, sim.AtOnce)),
		), "leaders delete what followers have not copied; these start over (KAFKA-12996)"),
		scenario("followers-start-over", cluster(
			smallSegments, admins(sim.AdminOps{DeleteRecords: 1}),
			hit(4, fault(sim.Wipe, sim.TargetFollower, sim.AtOnce)),
			hit(4, fault(sim.Isolate, sim.TargetFollower, sim.AtOnce)),
			hit(2, fault(sim.Crash, sim.TargetLeader, sim.AtOnce)),
		), "empty followers begin at the log start, even within a batch (KAFKA-9491)"),
		scenario("retention-below-high-watermark", cluster(
			busy, smallSegments, minISR(2),
			onTopicsBetween("retention.ms", 20, 500),
			hit(6, fault(sim.SlowNode, sim.TargetFollower, sim.AtOnce)),
			hit(4, fault(sim.Pause, sim.TargetFollower, sim.AtOnce)),
		), "nothing is deleted that is not committed (KAFKA-5634)"),
		scenario("read-from-followers", cluster(
			racks, watchers, suffer(sim.Crash, sim.Isolate, sim.SlowNode, sim.Restart),
		), "consumers read from replicas nearby while nodes fall (KIP-392, KAFKA-15390)"),
		scenario("segments-roll-under-readers", cluster(
			smallSegments, busy, watchers, suffer(sim.Crash, sim.ConnReset, sim.LinkClog),
		), "segments roll while readers wait at the high watermark (KAFKA-9952)"),
		scenario("sessions-across-failovers", cluster(
			validating, suffer(sim.ConnReset, sim.Crash, sim.Pause, sim.Isolate), often(6),
		), "fetch sessions are lost with their nodes, and no partition with them (KIP-227)"),
		scenario("compacted-clusters", cluster(
			compacted, busy, suffer(sim.Crash, sim.PowerOff, sim.Isolate, sim.SlowDisk),
		), "replicas are cleaned at different times; last values stay (KAFKA-5490)"),
		scenario("truncated-while-cleaned", cluster(
			compacted, busy, anyDown, minISR(1),
			hit(6, fault(sim.Isolate, sim.TargetLeader, sim.AtOnce)),
			hit(4, fault(sim.Crash, sim.TargetNode, sim.OnTruncated)),
			hit(4, fault(sim.Crash, sim.TargetNode, sim.OnLeader)),
		), "logs are cut below what was cleaned, and cleaned again (KAFKA-3330)"),
		scenario("duplicates-across-failovers", cluster(
			ackedByAll, repeated, impatient,
			suffer(sim.Crash, sim.Isolate, sim.ConnReset), often(5),
		), "a new leader knows the last batches of every producer (KIP-98)"),
		scenario("producers-outlive-records", cluster(
			ackedByAll, repeated, smallSegments,
			onTopicsBetween("retention.bytes", 100, 4_000),
			suffer(sim.Crash, sim.PowerOff, sim.Restart),
		), "producers are remembered by followers whose records are gone (KAFKA-7190)"),
		scenario("fire-and-forget", cluster(
			func(_ *sim.Rand, s *sim.Setup) {
				for i := range s.Producers {
					s.Producers[i].Idempotent, s.Producers[i].Acks = false, 0
				}
			},
			suffer(sim.Crash, sim.Isolate, sim.Restart), often(5),
		), "who wants no answer is hung up on when its batch finds no leader"),
		scenario("disks-fail-in-clusters", cluster(
			suffer(sim.SlowDisk, sim.StuckDisk, sim.WriteError, sim.ReadError, sim.SyncError,
				sim.FullDisk, sim.PowerOff), often(4),
		), "disks fail under replicas; the others have what counts (KAFKA-10778)"),
		scenario("disks-are-replaced", cluster(
			synced, suffer(sim.Wipe, sim.Crash),
		), "disks are replaced by empty ones, and filled again"),
		scenario("everything-in-clusters", cluster(
			func(r *sim.Rand, s *sim.Setup) {
				s.Config.Faults.Schemes = nil // all
				s.Config.Faults.PerSecondMax = 8
				sim.Pick(r, shape(racks), compacted, smallSegments, churning, busy, repeated)(r, s)
				sim.Pick(r, admins(sim.AdminOps{Reassign: 1, ElectPreferred: 1, Grow: 1}),
					admins(sim.AdminOps{DeleteRecords: 1}), shape(watchers))(r, s)
			},
		), "every kind of fault there is, under every kind of load, in clusters"),
	}
}
