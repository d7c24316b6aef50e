package sim

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/wire"
	"github.com/heiban/heiban/netsim"
)

// talker has node 0 ask node 1 for its API versions over a link, one request after the
// answer to the one before, and dials again whenever the link is lost.
type talker struct {
	Silent
	w       *World
	t       *testing.T
	link    core.LinkID // above those of the broker
	dialled bool

	opened, closed, answers int
	asked                   int32         // correlation id of the last
	last                    clock.Instant // when it was answered last
	gap                     clock.Duration
	listeners               map[string]bool // that node 1 was asked on by node 0
}

func newTalker(t *testing.T, w *World) *talker {
	c := &talker{w: w, t: t, link: 1 << 40, listeners: map[string]bool{}}
	w.Observe(c)
	return c
}

func (c *talker) NodeStopped(_ clock.Instant, node int32, _ *NodeStop) {
	if node == 0 {
		c.dialled = false
	}
}

func (c *talker) Stepped(now clock.Instant, node int32, ev core.Event, _ *core.Effects) {
	if opened, ok := ev.(*core.ConnOpened); ok && opened.Peer == "node-0" {
		require.Equal(c.t, int32(1), node)
		c.listeners[opened.Listener] = true
	}
	if node != 0 {
		return
	}
	if !c.dialled {
		c.dial()
	}
	switch ev := ev.(type) {
	case *core.LinkOpened:
		if ev.Link == c.link {
			c.opened++
			c.ask()
		}
	case *core.LinkClosed:
		if ev.Link == c.link {
			c.closed++
			c.dial()
		}
	case *core.ResponseArrived:
		if ev.Link == c.link {
			require.Equal(c.t, c.asked, ev.CorrelationID)
			require.NotEmpty(c.t, ev.Response.(*kmsg.ApiVersionsResponse).ApiKeys)
			if c.answers++; c.answers > 1 {
				c.gap = max(c.gap, now.Sub(c.last))
			}
			c.last = now
			c.ask()
		}
	}
}

// dial goes to the two listeners in turn.
func (c *talker) dial() {
	c.dialled = true
	c.link++
	port := int32(brokerPort)
	if c.link%2 == 0 {
		port = controllerPort
	}
	c.w.nodes[0].linkOrders(&core.Effects{
		Dials: []core.Dial{{Link: c.link, Node: 1, Host: "node-1", Port: port}},
	})
}

func (c *talker) ask() {
	c.asked++
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 4, "node", "1"
	c.w.nodes[0].linkOrders(&core.Effects{Sends: []core.LinkRequest{{
		Link: c.link, Body: req, Header: wire.Header{
			ClientID: "node-0", CorrelationID: c.asked, Key: 18, Version: 4,
		},
	}}})
}

// talk runs two nodes of which one asks the other.
func talk(t *testing.T, seed uint64, plan []Fault, change func(*Config)) (*talker, *Result) {
	config := Config{
		Seed: seed, Nodes: 2, Plan: plan, Safety: 2 * clock.Second, Liveness: clock.Second,
		EventsMax: 5_000_000,
		Properties: map[string]string{ // nodes answer when they have a controller
			"controller.quorum.election.timeout.ms": "100",
		},
	}
	if change != nil {
		change(&config)
	}
	w, err := New(config)
	require.NoError(t, err)
	c := newTalker(t, w)
	r := w.Run()
	require.Empty(t, r.Violations)
	return c, r
}

func TestNodesTalkToEachOther(t *testing.T) {
	c, r := talk(t, 1, []Fault{}, nil)
	require.Greater(t, c.answers, 500)
	require.LessOrEqual(t, int(c.asked)-c.answers, c.closed+1,
		"no request is without answer unless its link is lost")
	require.True(t, c.listeners["PLAINTEXT"] || c.listeners["CONTROLLER"])
	_, again := talk(t, 1, []Fault{}, nil)
	require.Equal(t, r.print(), again.print())
	_, wired := talk(t, 1, []Fault{}, func(c *Config) { c.Wire = true })
	require.Equal(t, r.print(), wired.print())
}

// One way of a link between two nodes can be cut, and so on: what the other node hears
// and says stops for as long, and goes on.
func TestFaultsBetweenNodes(t *testing.T) {
	const length = 400 * clock.Millisecond
	for _, tt := range []struct {
		name  string
		fault Fault
		stops bool // nothing is answered meanwhile
		lost  bool // the link is lost
	}{
		{"cut", Fault{Kind: LinkCut, Peer: PeerOf(1)}, true, false},
		{"cut to", Fault{Kind: LinkCutTo, Peer: PeerOf(1)}, true, false},
		{"cut from", Fault{Kind: LinkCutFrom, Peer: AllPeers}, true, false},
		{"clog", Fault{Kind: LinkClog, Peer: PeerOf(1)}, true, false},
		{"reset", Fault{Kind: ConnReset, Peer: PeerOf(1), Param: int64(netsim.BreakBoth)}, false, true},
		{"other end", Fault{Node: 1, Kind: LinkCut, Peer: PeerOf(0)}, true, false},
		{"actors only", Fault{Kind: LinkCut, Actor: -1}, false, false},
		{"refused", Fault{Node: 1, Kind: ConnRefused}, false, false},
		{"paused", Fault{Node: 1, Kind: Pause}, true, false},
		{"crash", Fault{Node: 1, Kind: Crash}, true, true},
		{"power loss", Fault{Node: 1, Kind: PowerOff}, true, true},
		{"asker crashes", Fault{Kind: Crash}, true, false},
		{"restart", Fault{Node: 1, Kind: Restart}, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calm, _ := talk(t, 7, []Fault{}, nil)
			f := tt.fault
			f.At, f.For = clock.Instant(clock.Second), length
			c, r := talk(t, 7, []Fault{f}, nil)
			if tt.name != "actors only" { // there is none here
				require.Equal(t, int64(1), r.Injected[f.Kind])
			}
			if tt.stops {
				require.GreaterOrEqual(t, c.gap, length/2)
			} else {
				require.Less(t, c.gap, length/2)
			}
			if tt.lost {
				require.Greater(t, c.closed, calm.closed)
			}
			require.Greater(t, c.last, clock.Instant(2*clock.Second), "it goes on afterwards")
			_, again := talk(t, 7, []Fault{f}, func(c *Config) { c.Wire = true })
			require.Equal(t, r.print(), again.print())
		})
	}
}

// Whatever befalls them, the nodes talk again when it is over.
func TestNodesTalkAgainAfterFaults(t *testing.T) {
	var injected [faultKindsEnd]int64
	for seed := range uint64(8) {
		o := PlanOptions{PerSecondMax: 20, KeepAll: true}
		plan := DrawPlan(seed, &o, 2, 2*clock.Second)
		c, r := talk(t, seed, plan, func(c *Config) { c.Liveness = 10 * clock.Second })
		for kind, n := range r.Injected {
			injected[kind] += n
		}
		require.Greater(t, c.last, clock.Instant(11*clock.Second), "seed %d", seed)
	}
	for _, kind := range DefaultFaults() {
		require.NotZero(t, injected[kind], kind.String())
	}
}

// A plan for several nodes has faults of links between them, one for one node has none.
func TestPeersAreDrawn(t *testing.T) {
	drawn := map[int32]int{}
	for seed := range uint64(100) {
		for _, f := range DrawPlan(seed, &PlanOptions{}, 3, 3*clock.Second) {
			require.NotEqual(t, PeerOf(f.Node), f.Peer, "no node has a link to itself")
			drawn[f.Peer]++
		}
		for _, f := range DrawPlan(seed, &PlanOptions{}, 1, 3*clock.Second) {
			require.Zero(t, f.Peer)
		}
	}
	for _, peer := range []int32{AllPeers, 0, PeerOf(0), PeerOf(1), PeerOf(2)} {
		require.Greater(t, drawn[peer], 10)
	}
	require.Len(t, drawn, 5)
}

// Each node has a disk, a clock and a seed of its own, and knows the others.
func TestNodesAreApart(t *testing.T) {
	w, err := New(Config{Seed: 1, Nodes: 3})
	require.NoError(t, err)
	seeds := map[[2]uint64]bool{}
	for id := range int32(3) {
		o := w.nodes[id].options()
		require.Equal(t, id, o.NodeID)
		require.Equal(t, w.nodes[0].options().ClusterID, o.ClusterID)
		require.Equal(t, "0@node-0:9093,1@node-1:9093,2@node-2:9093",
			o.Properties["controller.quorum.voters"])
		require.Equal(t, hostName(id), o.Listeners[0].Host)
		seeds[o.Seed] = true
		for other := range id {
			require.NotSame(t, w.Disk(other), w.Disk(id))
		}
	}
	require.Len(t, seeds, 3)
}
