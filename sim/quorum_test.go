package sim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/compress"
)

// terms counts the controllers of a run.
type terms struct {
	Silent
	n int
}

func (c *terms) Stepped(_ clock.Instant, _ int32, _ core.Event, fx *core.Effects) {
	for i := range fx.Reports {
		if fx.Reports[i].Kind == core.ControllerStarted {
			c.n++
		}
	}
}

// quorumRun is a cluster of nodes without clients. Its liveness phase ends when all
// brokers live and all nodes have applied the same metadata.
func quorumRun(t *testing.T, seed uint64, nodes int, change func(*Config)) (int, *Result) {
	var w *World // that Done looks at
	var oracle *Oracle
	config := Config{
		Seed: seed, Nodes: nodes, Safety: 20 * clock.Second, Liveness: 60 * clock.Second,
		EventsMax: 5_000_000,
		Properties: map[string]string{
			"controller.quorum.election.timeout.ms": "200", "broker.session.timeout.ms": "900",
			"broker.heartbeat.interval.ms": "100",
		},
		Done: func() bool {
			for _, n := range w.nodes {
				if !n.ready || n.image.Offset() != w.nodes[0].image.Offset() {
					return false
				}
			}
			return oracle.Quiet()
		},
	}
	change(&config)
	var err error
	w, err = New(config)
	require.NoError(t, err)
	judge := checker.NewJudge(checker.Limits{Voters: nodes})
	oracle = NewOracle(w, judge, func(string) checker.Policy { return checker.Policy{} }, nil)
	w.Observe(oracle)
	c := &terms{}
	w.Observe(c)
	r := w.Run()
	return c.n, r
}

func TestQuorumElectsOneController(t *testing.T) {
	for _, nodes := range []int{1, 2, 3, 5} {
		_, r := quorumRun(t, 1, nodes, func(c *Config) { c.Plan = []Fault{} })
		require.Empty(t, r.Violations)
		require.True(t, r.Settled, "%d nodes", nodes)
	}
}

// Whatever befalls the nodes, all commit the same, and there is a controller again when
// it is over.
func TestQuorumSurvivesFaults(t *testing.T) {
	all := 0
	for seed := range uint64(40) {
		n, r := quorumRun(t, seed, 3, func(c *Config) {
			c.Faults = PlanOptions{PerSecondMax: 1 + int64(seed)%8, KeepAll: true}
		})
		require.Empty(t, r.Violations, "seed %d", seed)
		require.True(t, r.Settled, "seed %d", seed)
		all += n
	}
	require.Greater(t, all, 200)
}

// snapshotting is a cluster whose metadata changes so fast that a node that was away
// needs a snapshot.
var snapshotting = Scenario{Name: "snapshotting", Draw: func(r *Rand, s *Setup) {
	s.Config.Nodes = 3
	s.Config.Safety = 10 * clock.Second
	s.Config.Liveness = 60 * clock.Second
	s.Config.EventsMax = 5_000_000
	s.Config.Faults = PlanOptions{PerSecondMax: 1 + r.Below(4)}
	s.Config.Properties = map[string]string{
		"controller.quorum.election.timeout.ms": "300", "broker.session.timeout.ms": "900",
		"broker.heartbeat.interval.ms":                    "100",
		"metadata.log.max.record.bytes.between.snapshots": "300",
		"metadata.log.segment.bytes":                      "2048",
	}
	s.Topics = []TopicSpec{{Name: "t", Partitions: 2}}
	s.Admins = []AdminConfig{{
		Interval: clock.Millisecond, Count: 200,
		Alter: []TopicConfig{
			{Name: "retention.ms", Value: "100000000"}, {Name: "retention.ms", Value: "200000000"},
		},
		Ops: AdminOps{Alter: 1},
	}}
}}

// fetches counts the snapshots that nodes got.
type fetches struct {
	Silent
	pieces int
}

func (c *fetches) Stepped(_ clock.Instant, _ int32, _ core.Event, fx *core.Effects) {
	for i := range fx.Sends {
		if fx.Sends[i].Header.Key == 59 {
			c.pieces++
		}
	}
}

func TestMetadataSnapshots(t *testing.T) {
	pieces := 0
	for seed := range uint64(30) {
		c := &fetches{}
		o, err := snapshotting.Run(seed,
			&RunOptions{Codec: new(compress.Codec), Observers: []Observer{c}})
		require.NoError(t, err)
		require.Empty(t, o.Violations, "seed %d", seed)

		pieces += c.pieces
	}
	require.NotZero(t, pieces)
}
