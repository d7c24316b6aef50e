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

// The shares in which things are chosen, in millionths.
const (
	seldom = 100_000
	some   = 300_000
	half   = 500_000
	mostly = 800_000
)

const (
	produceVersionMax = 13
	fetchVersionMax   = 18
	produceByTopicID  = 13 // KIP-516
	fetchByTopicID    = 13
)

// base is the load that most scenarios share: some topics, producers of all kinds,
// consumers of all kinds and one that reads everything again at the end.
func base(r *sim.Rand, s *sim.Setup) {
	s.Config.Properties = map[string]string{}
	s.Config.Safety = clock.Duration(r.LogUniform(500, 3000)) * clock.Millisecond
	s.Config.Liveness = 60 * clock.Second
	s.Config.EventsMax = 400_000
	s.Config.Tunables.Settings.SequenceMax = math.MaxInt32
	durability(s, r.Chance(half))
	topics(r, s, r.Between(1, 3))
	for range r.Between(1, 4) {
		s.Producers = append(s.Producers, producer(r, s))
	}
	consumers(r, s, r.Between(0, 2))
}

// durability sets what the whole cluster promises.
func durability(s *sim.Setup, fsync bool) {
	s.Policy.Fsync = fsync
	value := "page-cache"
	if fsync {
		value = "fsync"
	}
	s.Config.Properties["heiban.durability"] = value
}

func topics(r *sim.Rand, s *sim.Setup, count int64) {
	for i := range count {
		s.Topics = append(s.Topics, sim.TopicSpec{
			Name: fmt.Sprintf("t%d", i), Partitions: int32(r.Between(1, 3)),
		})
	}
	s.Admins = append(s.Admins, sim.AdminConfig{Interval: clock.Millisecond})
}

func names(topics []sim.TopicSpec) []string {
	all := make([]string, len(topics))
	for i := range topics {
		all[i] = topics[i].Name
	}
	return all
}

// producer draws one of any kind.
func producer(r *sim.Rand, s *sim.Setup) sim.ProducerConfig {
	p := sim.ProducerConfig{
		Topics: names(s.Topics), Batches: int(r.LogUniform(5, 120)),
		RecordsMax: int(r.Between(1, 5)), VersionMin: 3, VersionMax: produceVersionMax,
		Acks: -1, Idempotent: r.Chance(600_000), Compress: r.Chance(some),
	}
	if !p.Idempotent {
		p.Acks = sim.Pick(r, int16(-1), -1, 1, 1, 0)
	}
	if r.Chance(half) {
		p.ValueMax = r.LogUniform(10, 2000)
	}
	p.Interval = s.Config.Safety / clock.Duration(p.Batches)
	return p
}

// consumers adds so many of any kind, and one that reads everything at the end.
func consumers(r *sim.Rand, s *sim.Setup, count int64) {
	for i := range count + 1 {
		c := sim.ConsumerConfig{
			Topics: names(s.Topics), VersionMin: 4, VersionMax: fetchVersionMax, Audit: i == count,
			Interval: clock.Duration(r.LogUniform(1, 100)) * clock.Millisecond,
		}
		if r.Chance(half) {
			c.Probe = clock.Duration(r.LogUniform(5, 300)) * clock.Millisecond
		}
		s.Consumers = append(s.Consumers, c)
	}
}

// faults says what may go wrong.
func faults(s *sim.Setup, kinds ...sim.FaultKind) {
	s.Config.Faults.Kinds = append(s.Config.Faults.Kinds, kinds...)
}

func networkFaults() []sim.FaultKind {
	return []sim.FaultKind{
		sim.LinkCut, sim.LinkCutTo, sim.LinkCutFrom, sim.LinkClog, sim.ConnReset,
		sim.ConnRefused, sim.SlowLink,
	}
}

// configure adds a configuration to every topic.
func configure(s *sim.Setup, name, value string) {
	for i := range s.Topics {
		t := &s.Topics[i]
		t.Configs = append(t.Configs, sim.TopicConfig{Name: name, Value: value})
	}
}

func basicNetwork(r *sim.Rand, s *sim.Setup) {
	base(r, s)
	faults(s, networkFaults()...)
	if r.Chance(some) { // the topics are made when they are first asked for
		s.Topics = s.Topics[:1]
		s.Admins[0].Setup = nil
		s.Config.Properties["num.partitions"] = strconv.Itoa(int(r.Between(1, 3)))
		for i := range s.Producers {
			s.Producers[i].Topics, s.Producers[i].Create = []string{"auto"}, true
		}
		for i := range s.Consumers {
			s.Consumers[i].Topics = []string{"auto"}
		}
	}
}

func crashUnderLoad(r *sim.Rand, s *sim.Setup) {
	base(r, s)
	faults(s, sim.Crash, sim.ConnReset, sim.SlowDisk)
	s.Config.Faults.KeepAll = r.Chance(half)
}

func powerLossFsync(r *sim.Rand, s *sim.Setup) {
	base(r, s)
	durability(s, true)
	faults(s, sim.PowerOff, sim.Crash, sim.SlowDisk)
	s.Config.Faults.KeepAll = r.Chance(half)
	s.Config.Faults.PerSecondMax = 10
	slowSyncs(r, s)
}

// slowSyncs makes it likely that a checkpoint is written while a sync is under way.
func slowSyncs(r *sim.Rand, s *sim.Setup) {
	if r.Chance(half) {
		return
	}
	const interval = "log.flush.offset.checkpoint.interval.ms"
	s.Config.Properties[interval] = strconv.FormatInt(r.LogUniform(1, 30), 10)
	l := &s.Config.Tunables.Latency
	l.Sync.Min = clock.Duration(r.LogUniform(1, 20)) * clock.Millisecond
	l.Sync.Mean = clock.Duration(r.LogUniform(1, 50)) * clock.Millisecond
}

func powerLossPageCache(r *sim.Rand, s *sim.Setup) {
	base(r, s)
	durability(s, false)
	faults(s, sim.PowerOff, sim.Crash, sim.SlowDisk)
	s.Config.Faults.KeepAll = r.Chance(half)
	if r.Chance(half) {
		configure(s, "flush.messages", strconv.FormatInt(r.LogUniform(1, 100), 10))
	}
	slowSyncs(r, s)
}

func diskFull(r *sim.Rand, s *sim.Setup) {
	base(r, s)
	faults(s, sim.FullDisk, sim.Crash)
	s.Config.Faults.KeepAll = true
	for i := range s.Producers {
		s.Producers[i].ValueMax = r.LogUniform(100, 3000)
	}
}

func failingDisk(r *sim.Rand, s *sim.Setup) {
	base(r, s)
	faults(s, sim.SlowDisk, sim.StuckDisk, sim.WriteError, sim.ReadError, sim.SyncError,
		sim.PowerOff, sim.Crash)
	plan := sim.DrawPlan(s.Config.Seed, &s.Config.Faults, 1, s.Config.Safety)
	for range r.Between(0, 3) { // syncs that fail for long enough to be noticed
		plan = append(plan, sim.Fault{
			At:   clock.Instant(r.Below(int64(s.Config.Safety))),
			For:  clock.Duration(r.LogUniform(10, 300)) * clock.Millisecond,
			Kind: sim.SyncError, Actor: -1, Param: r.LogUniform(50_000, 1_000_000),
		})
	}
	slices.SortStableFunc(plan, func(a, b sim.Fault) int { return cmp.Compare(a.At, b.At) })
	s.Config.Plan = plan
}

// corruptTail lets the power fail and flips one bit while the node is down.
func corruptTail(r *sim.Rand, s *sim.Setup) {
	base(r, s)
	s.Config.Plan = []sim.Fault{}
	at := clock.Instant(0)
	for range r.Between(1, 5) {
		at = at.Add(clock.Duration(r.LogUniform(50, 1000)) * clock.Millisecond)
		down := clock.Duration(r.LogUniform(5, 200)) * clock.Millisecond
		kind := sim.Pick(r, sim.PowerOff, sim.PowerOff, sim.Crash)
		s.Config.Plan = append(s.Config.Plan,
			sim.Fault{At: at, For: down, Kind: kind, Actor: -1},
			sim.Fault{At: at.Add(down / 2), Kind: sim.BitRot, Actor: -1, Param: sim.TailOnly})
		at = at.Add(down)
	}
	s.Config.Safety = max(s.Config.Safety, clock.Duration(at)+100*clock.Millisecond)
}

func retention(r *sim.Rand, s *sim.Setup) {
	base(r, s)
	faults(s, sim.Crash, sim.PowerOff, sim.Restart, sim.ClockJump, sim.ConnReset)
	if r.Chance(half) {
		configure(s, "retention.bytes", strconv.FormatInt(r.LogUniform(1_000, 50_000), 10))
	}
	if r.Chance(half) {
		configure(s, "retention.ms", strconv.FormatInt(r.LogUniform(50, 5_000), 10))
	}
	configure(s, "segment.bytes", strconv.FormatInt(r.LogUniform(1_000, 10_000), 10))
	s.Admins = append(s.Admins, sim.AdminConfig{
		Setup:    s.Topics,
		Ops:      sim.AdminOps{DeleteRecords: 4, Alter: 1, Grow: 1},
		Interval: clock.Duration(r.LogUniform(5, 200)) * clock.Millisecond,
		Count:    int(r.LogUniform(5, 100)),
		Alter: []sim.TopicConfig{
			{Name: "retention.bytes", Value: "5000"},
			{Name: "retention.bytes", Value: "-1"},
			{Name: "retention.ms", Value: "300"},
			{Name: "retention.ms", Value: "-1"},
			{Name: "segment.bytes", Value: "3000"},
			{Name: "file.delete.delay.ms", Value: "0"},
		},
	})
}

func compaction(r *sim.Rand, s *sim.Setup) {
	base(r, s)
	faults(s, sim.Crash, sim.PowerOff, sim.Restart, sim.SlowDisk)
	durability(s, r.Chance(mostly))
	s.Policy.Compacted = true
	configure(s, "cleanup.policy", sim.Pick(r, "compact", "compact", "compact,delete"))
	configure(s, "min.cleanable.dirty.ratio", sim.Pick(r, "0.0", "0.1", "0.5"))
	configure(s, "segment.bytes", strconv.FormatInt(r.LogUniform(500, 5_000), 10))
	configure(s, "delete.retention.ms", strconv.FormatInt(r.LogUniform(1, 2_000), 10))
	keys := r.LogUniform(1, 30)
	for i := range s.Producers {
		p := &s.Producers[i]
		p.Keys, p.Batches = keys, int(r.LogUniform(20, 200))
		p.Interval = s.Config.Safety / clock.Duration(p.Batches)
	}
}

// topicChurn uses topic ids wherever there is a choice: a name may mean another
// topic by the time a request arrives.
func topicChurn(r *sim.Rand, s *sim.Setup) {
	base(r, s)
	faults(s, sim.Crash, sim.PowerOff, sim.Restart, sim.ConnReset, sim.SlowDisk)
	var churn []sim.TopicSpec
	for i := range r.Between(1, 3) {
		churn = append(churn, sim.TopicSpec{
			Name: fmt.Sprintf("churn%d", i), Partitions: int32(r.Between(1, 2)),
		})
	}
	for range r.Between(1, 3) {
		s.Admins = append(s.Admins, sim.AdminConfig{
			Churn:    churn,
			Ops:      sim.AdminOps{Create: 3, Delete: 2, Describe: 3},
			Interval: clock.Duration(r.LogUniform(2, 200)) * clock.Millisecond,
			Count:    int(r.LogUniform(10, 60)),
		})
	}
	all := append(names(s.Topics), names(churn)...)
	for i := range s.Producers {
		p := &s.Producers[i]
		p.Topics, p.VersionMin = all, produceByTopicID
	}
	for i := range s.Consumers {
		c := &s.Consumers[i]
		c.Topics, c.VersionMin = all, fetchByTopicID
	}
}

func idempotenceStorm(r *sim.Rand, s *sim.Setup) {
	base(r, s)
	faults(s, sim.ConnReset, sim.LinkCut, sim.LinkClog, sim.Crash)
	s.Config.Faults.PerSecondMax = 30
	s.Config.Faults.KeepAll = true
	idempotent(s)
	duplicators(r, s)
}

func duplicators(r *sim.Rand, s *sim.Setup) {
	for i := range s.Producers {
		if r.Chance(half) {
			s.Duplicators = append(s.Duplicators,
				sim.Duplication{Victim: i, Requests: int(r.LogUniform(5, 100))})
		}
	}
}

// idempotencePower rolls segments often, so that much rests on the snapshots of
// producers, and deletes the records they could be made of again.
func idempotencePower(r *sim.Rand, s *sim.Setup) {
	base(r, s)
	faults(s, sim.PowerOff, sim.ConnReset, sim.Crash)
	s.Config.Faults.PerSecondMax = 10
	s.Config.Faults.KeepAll = true
	idempotent(s)
	durability(s, true)
	duplicators(r, s)
	configure(s, "segment.bytes", strconv.FormatInt(r.LogUniform(400, 4_000), 10))
	if r.Chance(mostly) {
		configure(s, "retention.bytes", strconv.FormatInt(r.LogUniform(100, 4_000), 10))
	}
	for i := range s.Producers {
		p := &s.Producers[i]
		p.ValueMax, p.Batches = r.LogUniform(10, 60), int(r.LogUniform(20, 200))
		p.Interval = s.Config.Safety / clock.Duration(p.Batches)
	}
}

// refusedBatches has limits that many batches break.
func refusedBatches(r *sim.Rand, s *sim.Setup) {
	base(r, s)
	faults(s, sim.Crash, sim.ConnReset, sim.SlowDisk)
	configure(s, "segment.bytes", strconv.FormatInt(r.LogUniform(300, 2_000), 10))
	if r.Chance(half) {
		configure(s, "max.message.bytes", strconv.FormatInt(r.LogUniform(200, 2_000), 10))
	}
	if r.Chance(some) {
		configure(s, "message.timestamp.before.max.ms", "500")
	}
	for i := range s.Producers {
		p := &s.Producers[i]
		p.ValueMax, p.Stubborn = r.LogUniform(100, 1_000), r.Chance(half)
		p.Idempotent, p.Acks = r.Chance(mostly), -1
	}
}

// idempotent makes every producer so.
func idempotent(s *sim.Setup) {
	for i := range s.Producers {
		s.Producers[i].Idempotent, s.Producers[i].Acks = true, -1
	}
}

// sequenceWrap has so few sequences that they come again soon. A request that is on
// its way for long would be taken for a new one, which cannot happen in earnest; so
// connections end only with the process at their other end, and nobody sends anything
// again that may still arrive.
func sequenceWrap(r *sim.Rand, s *sim.Setup) {
	base(r, s)
	idempotent(s)
	few := sim.Pick(r, int32(7), 63, 100)
	s.Config.Tunables.Settings.SequenceMax = few
	s.Config.Tunables.Latency.BreakPPM = 0
	for i := range s.Producers {
		p := &s.Producers[i]
		p.Batches, p.RequestTimeout = int(r.LogUniform(20, 200)), clock.Minute
		p.Interval = s.Config.Safety / clock.Duration(p.Batches)
		if few == 7 {
			p.RecordsMax = 1 // more, and five batches are all there are
		}
	}
	faults(s, sim.Crash, sim.Restart)
}

func rollingRestarts(r *sim.Rand, s *sim.Setup) {
	base(r, s)
	faults(s, sim.Restart)
	if r.Chance(half) {
		faults(s, sim.PowerOff, sim.Crash)
	}
	s.Config.Faults.KeepAll = true
	s.Config.Faults.PerSecondMax = 10
}

func badClocks(r *sim.Rand, s *sim.Setup) {
	base(r, s)
	faults(s, sim.ClockJump, sim.ClockDrift, sim.Pause, sim.Crash)
	s.Config.Faults.KeepAll = r.Chance(half)
	if r.Chance(some) {
		configure(s, "retention.ms", strconv.FormatInt(r.LogUniform(1_000, 100_000), 10))
	}
}

func everything(r *sim.Rand, s *sim.Setup) {
	sim.Pick(r, retention, compaction, topicChurn, idempotenceStorm, powerLossPageCache)(r, s)
	s.Config.Faults.Kinds = nil // all
	s.Config.Faults.KeepAll = false
	if r.Chance(seldom) {
		s.Config.Safety *= 3
	}
}
