package scenarios

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/wire"
	"github.com/heiban/heiban/sim"
)

// situations are what must have happened in a few runs of each scenario of several
// nodes: without it the scenario would not be about what it says.
var situations = map[string][]string{
	"batches-above-fetch-limits": {"records-replicated", "fault crash"},
	"bridged-networks":           {"fault bridge", "controller"},
	"busy-metadata-registration": {"fenced", "create-topics NONE", "controller register NONE"},
	"cluster-everything":         {"leader", "controller"},
	"controlled-shutdowns":       {"shutting-down", "regained"},
	"controller-isolated":        {"fault isolate", "controller"},
	"controller-power-loss":      {"fault power-off", "create-topics NONE"},
	"controllers-die-in-a-row":   {"controllers-in-a-row"},
	"crashes-while-loading":      {"died-loading"},
	"decisions-in-doubt":         {"asked AlterPartition", "fault link-cut-from"},
	"duplicate-registrations":    {"controller register DUPLICATE_BROKER_REGISTRATION"},
	"empty-leader-epochs":        {"empty-epoch", "truncated"},
	"fast-leader-failovers":      {"replica-fetch diverging", "unclean-election"},
	"fenced-stay-out":            {"fenced", "shutting-down"},
	"fetch-sessions-disturbed": {
		"fetch INVALID_FETCH_SESSION_EPOCH", "fetch FETCH_SESSION_ID_NOT_FOUND",
	},
	"fetchers-of-other-epochs": {
		"replica-fetch FENCED_LEADER_EPOCH", "replica-fetch UNKNOWN_LEADER_EPOCH",
	},
	"flapping-node":                  {"fault isolate", "isr-shrunk"},
	"follower-behind-retention":      {"replica-fetch OFFSET_OUT_OF_RANGE", "truncated"},
	"follower-reads":                 {"fetch preferred", "isr-shrunk"},
	"join-below-epoch-start":         {"isr-expanded", "leader"},
	"last-replica-commits":           {"isr-shrunk", "last-in-sync"},
	"last-replica-standing":          {"last-in-sync", "fault power-off"},
	"late-answers-of-leaders":        {"reassigning", "leader"},
	"leader-cut-from-followers":      {"isr-shrunk", "leader"},
	"leader-disk-fails":              {"offline"},
	"metadata-lag":                   {"produce NOT_LEADER_OR_FOLLOWER"},
	"metadata-snapshots":             {"asked FetchSnapshot"},
	"min-isr-altered":                {"produce NOT_ENOUGH_REPLICAS"},
	"min-isr-violated":               {"produce NOT_ENOUGH_REPLICAS"},
	"missed-leader-epochs":           {"regained"},
	"more-replicas-than-live":        {"created-while-fenced"},
	"offsets-after-failover":         {"list-offsets OFFSET_NOT_AVAILABLE"},
	"one-way-networks":               {"fault split-one-way"},
	"parked-fetches-across-rolls":    {"high-watermark-learned"},
	"partitions-added-under-load":    {"partitions-added"},
	"paused-controllers":             {"controller", "fault pause"},
	"preferred-election-storm":       {"elect-leaders NONE", "regained"},
	"producer-id-blocks":             {"asked AllocateProducerIDs", "controller"},
	"producers-across-failovers":     {"fault conn-reset", "leader"},
	"quorum-of-bad-clocks":           {"fault clock-jump", "fault clock-drift"},
	"reassignment-of-slow-replicas":  {"reassigning", "reassigned"},
	"reassignment-under-failover":    {"reassigning", "reassigned", "leader"},
	"reassignments-cancelled":        {"cancelled"},
	"records-deleted-inside-batches": {"fault wipe", "log-start"},
	"recreated-while-down":           {"removed", "create-topics NONE"},
	"replicated-compaction":          {"compacted", "truncated"},
	"requests-of-former-lives":       {"fault slow-link", "controller register NONE"},
	"retention-with-laggards":        {"log-start", "fault slow-disk"},
	"rolling-power-loss":             {"fault power-off", "behind"},
	"sessions-expire-at-once":        {"fenced together"},
	"slow-follower-in-sync":          {"isr-shrunk", "isr-expanded"},
	"swizzled-links":                 {"fault link-clog"},
	"truncation-by-epoch":            {"behind", "leader"},
	"two-of-five-are-left":           {"controller", "leaderless"},
	"fire-and-forget":                {"leader"},
	"more-min-isr-than-replicas":     {"produce NONE"},
	"producers-outlive-records":      {"log-start", "leader"},
	"retries-after-timeouts":         {"produce REQUEST_TIMED_OUT"},
	"truncated-while-cleaned":        {"truncated", "compacted"},
	"unclean-elections":              {"unclean-election"},
	"whole-cluster-crash":            {"all-down"},
	"whole-cluster-power-loss":       {"all-down"},
	"wide-area-cluster":              {"leader"},
	"wiped-followers":                {"fault wipe", "isr-expanded"},
}

// reportNames are the reports that are counted, by what they are called here.
var reportNames = map[core.ReportKind]string{
	core.LeaderStarted: "leader", core.LogTruncated: "truncated", core.ISRShrunk: "isr-shrunk",
	core.ISRExpanded: "isr-expanded", core.ControllerStarted: "controller",
	core.RecordsReplicated: "records-replicated", core.LogStartAdvanced: "log-start",
	core.LogCompacted: "compacted", core.HighWatermarkLearned: "high-watermark-learned",
	core.PartitionRemoved: "removed", core.LogDirOffline: "offline",
	core.ReplicationFailed: "replication-failed",
}

// witness counts what happens in a run.
type witness struct {
	sim.Silent
	seen   map[string]int
	leads  map[ledPart]*lead
	offset int64 // of the metadata that was looked at last
	moves  map[ledPart]bool
	counts map[ledPart]int // partitions of each topic, at index 0
	fenced int
	before map[ledPart][]int32 // its replicas, before they were to move
	down   map[int32]bool
	loaded map[int32]bool

	controllerAt clock.Instant
}

type ledPart struct {
	topic wire.TopicID
	index int32
}

// lead is who leads a partition, and from where.
type lead struct {
	led         map[int32]bool
	node, epoch int32
	end         int64
}

func newWitness() *witness {
	return &witness{
		seen: map[string]int{}, leads: map[ledPart]*lead{}, moves: map[ledPart]bool{},
		counts: map[ledPart]int{}, before: map[ledPart][]int32{}, down: map[int32]bool{},
		loaded: map[int32]bool{},
	}
}

func (w *witness) NodeStarted(_ clock.Instant, node int32) {
	delete(w.down, node)
	delete(w.loaded, node)
}

func (w *witness) NodeStopped(_ clock.Instant, node int32, _ *sim.NodeStop) {
	if !w.loaded[node] && !w.down[node] {
		w.seen["died-loading"]++
	}
	w.down[node] = true
	if len(w.down) >= 3 {
		w.seen["all-down"]++ // or most, of five
	}
}

func (w *witness) Stepped(now clock.Instant, node int32, ev core.Event, fx *core.Effects) {
	for i := range fx.Reports {
		r := &fx.Reports[i]
		if name, counts := reportNames[r.Kind]; counts {
			w.seen[name]++
		}
		switch {
		case r.Kind == core.LeaderStarted:
			w.leaderStarted(node, r)
		case r.Kind == core.NodeReady:
			w.loaded[node] = true
		case r.Kind == core.ControllerStarted:
			if w.controllerAt > 0 && now.Sub(w.controllerAt) < clock.Second {
				w.seen["controllers-in-a-row"]++
			}
			w.controllerAt = now
		case r.Kind == core.FollowerStarted && r.Offset < r.EndOffset:
			w.seen["behind"]++ // its high watermark is behind its log
		}
	}
	if ev, ok := ev.(*core.ResponseArrived); ok {
		w.linkAnswered(ev.Response)
	}
	for i := range fx.Responses {
		w.answering(fx.Responses[i].Body)
	}
	for i := range fx.Sends {
		w.seen["asked "+kmsg.NameForKey(fx.Sends[i].Header.Key)]++
	}
	if fx.Image != nil && fx.Image.Offset() > w.offset {
		w.offset = fx.Image.Offset()
		w.look(fx.Image)
	}
}

func (w *witness) leaderStarted(node int32, r *core.Report) {
	id := ledPart{r.TopicID, r.Partition}
	l := w.leads[id]
	if l == nil {
		l = &lead{led: map[int32]bool{}, epoch: -1}
		w.leads[id] = l
	}
	if l.epoch >= 0 && r.EndOffset == l.end {
		w.seen["empty-epoch"]++
	}
	if l.led[node] && l.node != node {
		w.seen["regained"]++
	}
	l.led[node], l.node, l.epoch, l.end = true, node, r.Epoch, r.EndOffset
}

// linkAnswered counts what one node is told by another.
func (w *witness) linkAnswered(resp wire.Response) {
	switch resp := resp.(type) {
	case *wire.FetchResponse:
		w.code("replica-fetch", int16(resp.Err))
		for i := range resp.Partitions {
			p := &resp.Partitions[i]
			w.code("replica-fetch", int16(p.Err))
			if p.DivergingEpoch >= 0 {
				w.seen["replica-fetch diverging"]++
			}
		}
	case *kmsg.AlterPartitionResponse:
		w.code("alter-partition", resp.ErrorCode)
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				w.code("alter-partition", resp.Topics[i].Partitions[j].ErrorCode)
			}
		}
	case *kmsg.BrokerRegistrationResponse:
		w.code("register", resp.ErrorCode)
	case *kmsg.BrokerHeartbeatResponse:
		w.code("heartbeat", resp.ErrorCode)
	}
}

// answering counts what a node answers, to whomever.
func (w *witness) answering(body wire.Response) {
	switch body := body.(type) {
	case *wire.ProduceResponse:
		for i := range body.Partitions {
			w.code("produce", int16(body.Partitions[i].Err))
		}
	case *kmsg.AlterPartitionResponse:
		w.code("controller alter-partition", body.ErrorCode)
		for i := range body.Topics {
			for j := range body.Topics[i].Partitions {
				w.code("controller alter-partition", body.Topics[i].Partitions[j].ErrorCode)
			}
		}
	case *kmsg.BrokerRegistrationResponse:
		w.code("controller register", body.ErrorCode)
	case *kmsg.BrokerHeartbeatResponse:
		w.code("controller heartbeat", body.ErrorCode)
	case *kmsg.InitProducerIDResponse:
		w.code("init-producer-id", body.ErrorCode)
	case *kmsg.CreateTopicsResponse:
		for i := range body.Topics {
			w.code("create-topics", body.Topics[i].ErrorCode)
		}
	case *kmsg.ElectLeadersResponse:
		for i := range body.Topics {
			for j := range body.Topics[i].Partitions {
				w.code("elect-leaders", body.Topics[i].Partitions[j].ErrorCode)
			}
		}
	}
}

func (w *witness) code(what string, code int16) {
	w.seen[what+" "+errcode.Code(code).String()]++
}

func (w *witness) look(m *metadata.Image) {
	fenced := 0
	for _, b := range m.Brokers() {
		if b.InControlledShutdown {
			w.seen["shutting-down"]++
		}
		if b.Fenced {
			w.seen["fenced"]++
			fenced++
		}
	}
	if fenced > w.fenced && fenced > 1 {
		w.seen["fenced together"]++
	}
	w.fenced = fenced
	for t := range m.Topics() {
		all := ledPart{topic: t.ID}
		switch before := w.counts[all]; {
		case before == 0 && fenced > 0:
			w.seen["created-while-fenced"]++
		case before > 0 && len(t.Partitions) > before:
			w.seen["partitions-added"]++
		}
		w.counts[all] = len(t.Partitions)
		for i := range t.Partitions {
			p := &t.Partitions[i]
			id := ledPart{t.ID, int32(i)}
			moving := len(p.AddingReplicas)+len(p.RemovingReplicas) > 0
			switch {
			case moving && !w.moves[id]:
				w.seen["reassigning"]++
			case !moving && w.moves[id] && slices.Equal(p.Replicas, w.before[id]):
				w.seen["cancelled"]++
			case !moving && w.moves[id]:
				w.seen["reassigned"]++
			}
			if w.moves[id] = moving; !moving {
				w.before[id] = p.Replicas
			}
			if p.RecoveryState != 0 {
				w.seen["unclean-election"]++
			}
			if p.Leader < 0 {
				w.seen["leaderless"]++
			}
			if len(p.ISR) == 1 && len(p.Replicas) > 1 {
				w.seen["last-in-sync"]++
			}
			if len(p.ELR) > 0 {
				w.seen["eligible"]++
			}
		}
	}
}

func (w *witness) ActorAnswered(
	_ clock.Instant, _ int, _ uint64, _ int32, resp kmsg.Response,
) {
	switch resp := resp.(type) {
	case *kmsg.FetchResponse:
		w.code("fetch", resp.ErrorCode)
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				p := &resp.Topics[i].Partitions[j]
				w.code("fetch", p.ErrorCode)
				if p.DivergingEpoch.Epoch >= 0 {
					w.seen["fetch diverging"]++
				}
				if p.PreferredReadReplica >= 0 {
					w.seen["fetch preferred"]++
				}
			}
		}
	case *kmsg.ListOffsetsResponse:
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				w.code("list-offsets", resp.Topics[i].Partitions[j].ErrorCode)
			}
		}
	case *kmsg.OffsetForLeaderEpochResponse:
		w.seen["epoch-end"]++
	case *kmsg.MetadataResponse:
		for i := range resp.Topics {
			w.code("metadata", resp.Topics[i].ErrorCode)
		}
	}
}

func (w *witness) FaultInjected(_ clock.Instant, f *sim.Fault) {
	w.seen["fault "+f.Kind.String()]++
}

// TestSituationsArise: each scenario of several nodes brings about what it is about.
func TestSituationsArise(t *testing.T) {
	const seeds = 4
	for _, s := range actScenarios() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			want := situations[s.Name]
			require.NotEmpty(t, want)
			all := map[string]int{}
			for seed := uint64(100); seed < 100+seeds; seed++ {
				options := Options(seed)
				options.Wire = false
				w := newWitness()
				options.Observers = []sim.Observer{w}
				outcome, err := s.Run(seed, &options)
				require.NoError(t, err)
				require.Empty(t, outcome.Violations, Reproduce(s.Name, seed))
				for what, n := range w.seen {
					all[what] += n
				}
			}
			for _, what := range want {
				require.Positive(t, all[what], "%s: %s", what, list(all))
			}
			t.Log(list(all))
		})
	}
}

// list shows what was seen.
func list(all map[string]int) string {
	var text strings.Builder
	for _, what := range slices.Sorted(maps.Keys(all)) {
		text.WriteString(what)
		text.WriteString(", ")
	}
	return text.String()
}
