package scenarios

import (
	"strconv"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/sim"
)

// Scenarios about networks that come apart, disks that fail and power that goes, in a
// cluster that is to survive them.

func faultScenarios() []sim.Scenario {
	return []sim.Scenario{
		scenario("leader-cut-from-followers", leaderCutFromFollowers,
			"a leader reaches its clients and no other node: it commits nothing more (KIP-966)"),
		scenario("one-way-networks", oneWayNetworks,
			"requests arrive and answers do not, or the other way round (KIP-595, KIP-996)"),
		scenario("bridged-networks", bridgedNetworks,
			"two halves reach each other through one node only (KIP-996)"),
		scenario("swizzled-links", swizzledLinks,
			"links clog one by one and are freed in another order, what was sent arrives late "+
				"(KIP-320)"),
		scenario("flapping-node", flappingNode,
			"one node is cut off again and again, and disturbs nobody for long (KIP-996)"),
		scenario("fetch-sessions-disturbed", fetchSessionsDisturbed,
			"answers of fetch sessions are lost and their requests come twice: no partition is "+
				"forgotten (KIP-227)"),
		scenario("whole-cluster-crash", wholeClusterCrash,
			"all processes die at once and all that was written is there again (KAFKA-1647, "+
				"KAFKA-8333)"),
		scenario("whole-cluster-power-loss", wholeClusterPowerLoss,
			"the power of all nodes fails at once: what is synced is kept (KIP-966)"),
		scenario("rolling-power-loss", rollingPowerLoss,
			"the power fails at one node after another, with unsynced tails everywhere "+
				"(KAFKA-16541, KAFKA-12520)"),
		scenario("crashes-while-loading", crashesWhileLoading,
			"nodes die again while they recover from the last time (KAFKA-10471)"),
		scenario("last-replica-standing", lastReplicaStanding,
			"the only replica in sync loses its tail and leads again: nothing else is lost "+
				"(KIP-966)"),
		scenario("wiped-followers", wipedFollowers,
			"disks of followers are replaced by empty ones: they fetch all of it again "+
				"(KIP-858, KIP-903)"),
		scenario("leader-disk-fails", leaderDiskFails,
			"the disk of a leader fails under load: it appends nothing behind a hole "+
				"(KAFKA-10778)"),
		scenario("wide-area-cluster", wideAreaCluster,
			"all is far away, some of it very far, and everything may fail (KIP-500)"),
		scenario("cluster-everything", clusterEverything,
			"every kind of fault there is, under every kind of load, in a cluster"),
	}
}

func leaderCutFromFollowers(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3})
	dense(r, s)
	act(r, s, again, deed{
		kind:   sim.Pick(r, sim.LinkCut, sim.LinkCutTo, sim.LinkCutFrom, sim.LinkClog),
		target: sim.TargetLeader, lasts: span{100, 2000}, peer: sim.AllPeers,
	})
	besides(r, s, sim.LinkCut, sim.SlowLink, sim.Crash)
}

func oneWayNetworks(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{})
	act(r, s, span{50, 700},
		deed{
			kind: sim.SplitOneWay, lasts: span{100, 1500},
			param: 1 + r.Below(1<<s.Config.Nodes-2),
		},
		deed{
			kind: sim.Pick(r, sim.LinkCutFrom, sim.LinkCutTo), after: span{1, 200},
			target: sim.Pick(r, sim.TargetLeader, sim.TargetController), lasts: span{100, 900},
			peer: sim.AllPeers,
		})
	besides(r, s, sim.SplitOneWay, sim.LinkCutTo, sim.LinkCutFrom)
}

func bridgedNetworks(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{nodes: 5})
	act(r, s, span{50, 500}, deed{
		kind: sim.Bridge, lasts: span{200, 2000}, param: 1 + r.Below(1<<5-2),
	})
	besides(r, s, sim.Bridge, sim.Crash, sim.Split)
}

func swizzledLinks(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{})
	together(s, sim.Swizzle)
	act(r, s, span{20, 200}, deed{
		kind: sim.LinkClog, target: sim.Pick(r, sim.TargetLeader, sim.TargetController,
			sim.TargetFollower), lasts: span{50, 900}, peer: sim.AllPeers,
	})
	besides(r, s, sim.LinkClog, sim.Restart, sim.Crash)
}

func flappingNode(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{})
	together(s, sim.Flapping)
	node := int32(r.Below(int64(s.Config.Nodes)))
	act(r, s, span{20, 400}, deed{kind: sim.Isolate, lasts: span{20, 500}})
	for i := range s.Config.Plan {
		if f := &s.Config.Plan[i]; f.Kind == sim.Isolate {
			f.Node = node
		}
	}
	besides(r, s, sim.SlowLink, sim.ConnReset)
}

func fetchSessionsDisturbed(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{})
	dense(r, s)
	setting(s, "max.incremental.fetch.session.cache.slots", r.Between(1, 8))
	consumers(r, s, 3)
	for i := range s.Consumers {
		s.Consumers[i].VersionMin = 7
	}
	act(r, s, span{5, 100}, deed{
		kind: sim.Pick(r, sim.ConnReset, sim.LinkCutFrom, sim.LinkClog), target: sim.Pick(r,
			sim.TargetLeader, sim.TargetNode), lasts: span{20, 400}, param: r.Below(4),
		peer: sim.Pick(r, int32(0), sim.AllPeers),
	})
	besides(r, s, sim.ConnReset, sim.SlowLink, sim.Restart)
}

func wholeClusterCrash(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{})
	together(s, sim.AllCrash)
	if r.Chance(half) {
		together(s, sim.AllCrash, sim.Rolling)
	}
	besides(r, s, sim.Crash, sim.SlowDisk, sim.Isolate)
}

func wholeClusterPowerLoss(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{fsync: r.Chance(mostly)})
	slowSyncs(r, s)
	shortTimeouts(r, s)
	together(s, sim.AllOff)
	besides(r, s, sim.PowerOff, sim.Crash, sim.SlowDisk)
}

func rollingPowerLoss(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3, pageCache: r.Chance(half)})
	idempotent(s)
	if r.Chance(half) {
		configure(s, "segment.bytes", strconv.FormatInt(r.LogUniform(400, 4_000), 10))
	}
	act(r, s, span{300, 1200}, deed{kind: sim.PowerOff, target: sim.Pick(r, sim.TargetNode,
		sim.TargetLeader, sim.TargetFollower), lasts: span{1, 500}})
	s.Config.Faults.DownMax = 1
	besides(r, s, sim.Crash, sim.SlowDisk, sim.ConnReset)
}

func crashesWhileLoading(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{})
	configure(s, "segment.bytes", strconv.FormatInt(r.LogUniform(300, 3_000), 10))
	s.Config.Tunables.Latency.Job.Mean = clock.Duration(r.Between(2, 15)) * clock.Millisecond
	shortTimeouts(r, s)
	kind := sim.Pick(r, sim.Crash, sim.PowerOff)
	target := sim.Pick(r, sim.TargetLeader, sim.TargetFollower)
	act(r, s, span{100, 800},
		deed{kind: kind, target: target, lasts: span{1, 20}},
		deed{kind: kind, target: target, after: span{1, 60}, lasts: span{1, 20}},
		deed{kind: kind, target: target, after: span{1, 60}, lasts: span{1, 200}})
	together(s, sim.Bounce)
	besides(r, s, sim.PowerOff, sim.SlowDisk)
}

func lastReplicaStanding(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3, minISR: sim.Pick(r, 1, 1, 2)})
	patient(s)
	act(r, s, again,
		deed{kind: sim.Crash, target: sim.TargetFollower, lasts: span{700, 1500}},
		deed{kind: sim.Crash, target: sim.TargetFollower, after: span{1, 100}, lasts: span{700, 1500}},
		deed{kind: sim.PowerOff, target: sim.TargetLeader, after: span{300, 900}, lasts: span{1, 900}})
	besides(r, s, sim.PowerOff, sim.Crash)
}

func wipedFollowers(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3})
	dense(r, s)
	act(r, s, again, deed{kind: sim.Wipe, target: sim.Pick(r, sim.TargetFollower,
		sim.TargetOutsider, sim.TargetFollower), lasts: span{1, 900}})
	s.Config.Faults.DownMax = 1 // more than one disk less is a loss that explains anything
	besides(r, s, sim.Restart, sim.Crash, sim.SlowLink)
}

func leaderDiskFails(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{replicas: 3})
	dense(r, s)
	act(r, s, again, deed{
		kind:   sim.Pick(r, sim.WriteError, sim.SyncError, sim.FullDisk, sim.ReadError),
		target: sim.TargetLeader, lasts: span{20, 300}, param: r.LogUniform(20_000, 1_000_000),
	})
	besides(r, s, sim.WriteError, sim.SyncError, sim.SlowDisk, sim.StuckDisk)
}

func wideAreaCluster(r *sim.Rand, s *sim.Setup) {
	staged(r, s, stage{anyWorld: true})
	s.Config.Faults.PerSecondMax = r.LogUniform(1, 5)
	s.Config.Faults.Schemes = nil // all
}

func clusterEverything(r *sim.Rand, s *sim.Setup) {
	sim.Pick(r, reassignmentUnderFailover, metadataLag, followerReads, replicatedCompaction,
		recreatedWhileDown, minISRAltered, producersAcrossFailovers)(r, s)
	s.Config.Plan = nil
	s.Config.Faults.Kinds, s.Config.Faults.Schemes = nil, nil // all
	s.Config.Faults.PerSecondMax = r.LogUniform(1, 6)
}
