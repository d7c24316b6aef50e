package sim

import (
	"fmt"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/mutant"
	"github.com/heiban/heiban/netsim"
)

// World is everything in one run: brokers, their disks, the network, the actors and
// the faults. It is not safe for concurrent use, but any number of worlds may run
// side by side.
type World struct {
	config    Config
	noise     Noise
	now       clock.Instant
	queue     queue
	net       *netsim.Net[*packet]
	netNoise  netNoise
	latency   Latency
	delivery  arena[netsim.Delivery]
	nodes     []*node
	actors    []*actorHost
	observers []Observer
	plan      []Fault
	triggered []bool // by index in the plan: what the fault waited for has happened
	armed     []int  // faults of the plan that wait for something
	hash      traceHash
	mutants   mutant.Set
	result    Result

	packets []*packet
	buffers []*buffer

	controller      int32 // who is active, as far as known; -1: nobody
	controllerEpoch int32 // since which epoch

	started  bool
	healed   bool
	finished bool
}

// New makes a world that has not begun to run.
func New(config Config) (*World, error) {
	w := &World{config: config, noise: NewNoise(config.Seed), controller: -1, controllerEpoch: -1}
	w.setDefaults()
	w.queue.noise = w.noise
	w.mutants = mutant.New(config.Mutant)
	w.latency = w.config.Tunables.Latency
	w.netNoise = netNoise{noise: w.noise, latency: &w.latency}
	for id := range int32(w.config.Nodes) {
		w.nodes = append(w.nodes, newNode(w, id))
	}
	for _, n := range w.nodes {
		if _, err := core.New(n.options()); err != nil {
			return nil, fmt.Errorf("configure the brokers: %w", err)
		}
	}
	return w, nil
}

func (w *World) setDefaults() {
	c := &w.config
	if c.Nodes == 0 {
		c.Nodes = 1
	}
	if c.Safety == 0 {
		c.Safety = 3 * clock.Second
	}
	if c.Liveness == 0 {
		c.Liveness = 20 * clock.Second
	}
	if c.EventsMax == 0 {
		c.EventsMax = 2_000_000
	}
	if c.Tunables == nil {
		c.Tunables = DrawTunables(c.Seed)
	}
	w.result.Seed = c.Seed
}

// AddActor adds a simulated client and returns its number, from 0. All actors are
// added before Run.
func (w *World) AddActor(a Actor) int {
	w.actors = append(w.actors, newActorHost(w, len(w.actors), a))
	return len(w.actors) - 1
}

// Observe adds an observer. All are added before Run.
func (w *World) Observe(o Observer) { w.observers = append(w.observers, o) }

// Now returns the world's time.
func (w *World) Now() clock.Instant { return w.now }

// Seed returns the seed of the run.
func (w *World) Seed() uint64 { return w.config.Seed }

// Tunables returns the sizes, limits and latencies of the run.
func (w *World) Tunables() *Tunables { return w.config.Tunables }

// Disk returns a node's disk. The bytes may be read at any time.
func (w *World) Disk(node int32) *Disk { return w.nodes[node].disk }

// Broker returns a node's broker, or nil while the node is down.
func (w *World) Broker(node int32) *core.Broker { return w.nodes[node].broker }

// NodeTime returns what a node's clocks show.
func (w *World) NodeTime(node int32) clock.Time { return w.nodes[node].clock.time(w.now) }

// hostOf is what an endpoint of the network is called.
func (w *World) hostOf(e netsim.Endpoint) string {
	if int(e) < len(w.nodes) {
		return hostName(int32(e))
	}
	return w.actors[int(e)-len(w.nodes)].host
}

// violate notes a promise that the engine itself finds broken.
func (w *World) violate(kind, text string) {
	w.result.Violations = append(w.result.Violations,
		Violation{Checker: "Engine", Kind: kind, Text: text})
}

// tracef writes a line of the text trace. Call it only if w.config.Trace is set:
// the arguments are costly.
func (w *World) tracef(format string, args ...any) {
	w.config.Trace(fmt.Sprintf("%12d.%03d ", int64(w.now)/1_000_000, int64(w.now)/1_000%1000) +
		fmt.Sprintf(format, args...))
}

// tracing reports whether there is a text trace.
func (w *World) tracing() bool { return w.config.Trace != nil }

// schedule plans an event.
func (w *World) schedule(at clock.Instant, e event) {
	e.at = max(at, w.now)
	w.queue.push(e)
}
