package sim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/compress"
	"github.com/heiban/heiban/netsim"
)

// TestSplits: which directions each kind of split cuts, of nodes 0 to 2 and an actor at
// endpoint 3.
func TestSplits(t *testing.T) {
	type way struct{ from, to netsim.Endpoint }
	w, err := New(Config{Nodes: 3})
	require.NoError(t, err)
	w.AddActor(NewAdmin(AdminConfig{}))
	for _, tt := range []struct {
		fault Fault
		want  []way
	}{
		{Fault{Kind: Split, Param: 0b001}, []way{{0, 1}, {1, 0}, {0, 2}, {2, 0}}},
		{Fault{Kind: SplitOneWay, Param: 0b110}, []way{{1, 0}, {2, 0}}},
		{Fault{Kind: Bridge, Node: 1, Param: 0b001}, []way{{0, 2}, {2, 0}}},
		{Fault{Kind: Bridge, Node: 1, Param: 0b010}, nil},
		{Fault{Kind: Isolate, Node: 2}, []way{{2, 0}, {0, 2}, {2, 1}, {1, 2}, {2, 3}, {3, 2}}},
	} {
		var got []way
		w.eachSplit(&tt.fault, func(from, to netsim.Endpoint) { got = append(got, way{from, to}) })
		require.Equal(t, tt.want, got, tt.fault.Kind.String())
	}
}

// watcher notes which faults began, and on whom.
type watcher struct {
	Silent
	began []Fault
	stops int
}

func (c *watcher) FaultInjected(_ clock.Instant, f *Fault) { c.began = append(c.began, *f) }

func (c *watcher) NodeStopped(clock.Instant, int32, *NodeStop) { c.stops++ }

func watch(t *testing.T, plan ...Fault) (*watcher, *Outcome) {
	c := &watcher{}
	s := busy(plan...)
	o, err := s.Run(3, &RunOptions{Codec: new(compress.Codec), Observers: []Observer{c}})
	require.NoError(t, err)
	require.Empty(t, o.Violations)
	return c, o
}

// TestFaultsAreAimed: a fault befalls who plays a part, or does not happen.
func TestFaultsAreAimed(t *testing.T) {
	leader, nobody := at(300, Crash), at(400, Crash)
	leader.Node, leader.Target, leader.Which = 7, TargetLeader, 5
	nobody.Target = TargetFollower
	c, o := watch(t, leader, nobody)
	require.Len(t, c.began, 1)
	require.Zero(t, c.began[0].Node)
	require.EqualValues(t, 1, o.Injected[Crash])
	require.EqualValues(t, 7, leader.Node, "the plan of the caller stays as it is")
}

// TestFaultsWait: a fault waits until something happens, or does not happen.
func TestFaultsWait(t *testing.T) {
	waits, again, never := at(0, Crash), at(1, Pause), at(2, Pause)
	waits.On, again.On, never.On = OnLeader, OnLeader, OnTruncated
	c, _ := watch(t, waits, again, never)
	require.Len(t, c.began, 2)
	require.Equal(t, Crash, c.began[0].Kind)
	require.Equal(t, Pause, c.began[1].Kind)
}

// TestFewNodesAreDown: the budget of nodes that may be down at once.
func TestFewNodesAreDown(t *testing.T) {
	w, err := New(Config{Nodes: 3, Faults: PlanOptions{DownMax: 1}})
	require.NoError(t, err)
	for _, n := range w.nodes {
		n.ready, n.broker = true, w.Broker(n.id)
	}
	require.True(t, w.tooFew(w.nodes[0]), "the others are down")
	w.config.Faults.DownMax = 3
	require.False(t, w.tooFew(w.nodes[0]))
	w.config.Faults.DownMax = 0
	require.False(t, w.tooFew(w.nodes[0]), "there is no budget")
}

// TestWipe: the only copy goes with the disk, and the cluster with its topics stays.
func TestWipe(t *testing.T) {
	c, o := watch(t, at(500, Wipe))
	require.Equal(t, 1, c.stops)
	require.Positive(t, o.Excused.Acked)
	require.Len(t, o.Judge.Partitions(), 2)
	for _, p := range o.Judge.Partitions() {
		require.False(t, p.Deleted())
		require.Positive(t, p.LogEnd(), "it is written again")
	}
}

// TestSlowNode: a slow node does all it has to do, later.
func TestSlowNode(t *testing.T) {
	slow := at(100, SlowNode)
	slow.For, slow.Param = 800*clock.Millisecond, 900
	_, o := watch(t, slow)
	_, quick := watch(t)
	require.True(t, o.Settled)
	require.NotEqual(t, quick.Hash, o.Hash)
}

// TestSchemes: each scheme is made of faults that belong together.
func TestSchemes(t *testing.T) {
	const nodes = 3
	for s := Swizzle; s <= Flapping; s++ {
		for seed := range uint64(20) {
			o := &PlanOptions{Schemes: []Scheme{s}, KeepAll: true}
			plan := drawSchemes(NewRand(seed, "schemes", 0), o, nodes, 3*clock.Second)
			require.NotEmpty(t, plan)
			befallen := map[int32]bool{}
			for _, f := range plan {
				require.Less(t, f.At, clock.Instant(3*clock.Second))
				require.EqualValues(t, -1, f.Actor)
				require.Positive(t, f.For)
				befallen[f.Node] = true
			}
			switch s {
			case AllOff, AllCrash:
				require.Len(t, befallen, nodes)
			case Bounce, Flapping:
				require.Len(t, befallen, 1)
			case Swizzle, Rolling:
			}
		}
	}
}
