package sim

import (
	"cmp"
	"slices"

	"github.com/heiban/heiban/clock"
)

// PlanOptions say how a plan of faults is drawn from a seed.
type PlanOptions struct {
	Kinds        []FaultKind // that may occur; nil: DefaultFaults
	PerSecondMax int64       // faults of a node, at most; default 10
	KeepAll      bool        // no kind is left out at random
	DownMax      int         // nodes that may be down or stand still at once; 0: all
	Schemes      []Scheme    // of which each may be part of a plan for several nodes; nil: all
}

// Scheme is a number of faults that belong together.
type Scheme uint8

// The schemes.
const (
	Swizzle  Scheme = iota + 1 // links of some nodes are clogged one by one, and freed in any order
	AllOff                     // the power of all nodes fails at once
	AllCrash                   // all processes crash at once
	Rolling                    // nodes are restarted cleanly, one after another
	Bounce                     // one node crashes again and again, as soon as it is up
	Flapping                   // one node is isolated again and again
)

// DefaultFaults are the kinds of faults that a broker must survive without losing
// anything that it promised to keep.
func DefaultFaults() []FaultKind {
	return []FaultKind{
		Crash, PowerOff, Restart, Pause, ClockJump, ClockDrift, LinkCut, LinkCutTo,
		LinkCutFrom, LinkClog, ConnReset, ConnRefused, SlowLink, SlowDisk, StuckDisk,
		FullDisk, WriteError, ReadError, SyncError,
	}
}

// ClusterFaults are those of DefaultFaults and what only several nodes can suffer.
func ClusterFaults() []FaultKind {
	return append(DefaultFaults(), Split, SplitOneWay, Bridge, Isolate, SlowNode)
}

// faultShape is how faults of one kind are drawn.
type faultShape struct {
	weight              int64
	forLow, forHigh     clock.Duration
	paramLow, paramHigh int64
}

// faultShapes says how often a kind is chosen among those that may occur, for how
// long it lasts, and what its parameter is.
var faultShapes = [faultKindsEnd]faultShape{
	Crash:       {8, clock.Millisecond, clock.Second, 0, 0},
	PowerOff:    {8, clock.Millisecond, clock.Second, 0, 0},
	Restart:     {4, clock.Millisecond, clock.Second, 0, 0},
	Pause:       {3, clock.Millisecond, 2 * clock.Second, 0, 0},
	ClockJump:   {2, 0, 0, 1, 100_000},
	ClockDrift:  {2, 10 * clock.Millisecond, 2 * clock.Second, 1, 500_000},
	LinkCut:     {3, clock.Millisecond, 2 * clock.Second, 0, 0},
	LinkCutTo:   {2, clock.Millisecond, 2 * clock.Second, 0, 0},
	LinkCutFrom: {2, clock.Millisecond, 2 * clock.Second, 0, 0},
	LinkClog:    {2, clock.Millisecond, clock.Second, 0, 0},
	ConnReset:   {6, 0, 0, 0, 3},
	ConnRefused: {1, clock.Millisecond, clock.Second, 0, 0},
	SlowLink:    {1, 10 * clock.Millisecond, clock.Second, 2, 50},
	SlowDisk:    {2, 10 * clock.Millisecond, clock.Second, 2, 100},
	StuckDisk:   {2, clock.Millisecond, clock.Second, 0, 0},
	FullDisk:    {1, clock.Millisecond, clock.Second, 1, 100_000},
	WriteError:  {1, clock.Millisecond, 100 * clock.Millisecond, 1_000, 1_000_000},
	ReadError:   {1, clock.Millisecond, 100 * clock.Millisecond, 1_000, 1_000_000},
	SyncError:   {2, clock.Millisecond, 100 * clock.Millisecond, 10_000, 1_000_000},
	BitRot:      {1, 0, 0, 0, 0},
	Split:       {4, clock.Millisecond, 2 * clock.Second, 0, 0},
	SplitOneWay: {3, clock.Millisecond, 2 * clock.Second, 0, 0},
	Bridge:      {3, clock.Millisecond, 2 * clock.Second, 0, 0},
	Isolate:     {3, clock.Millisecond, 2 * clock.Second, 0, 0},
	SlowNode:    {2, 10 * clock.Millisecond, 2 * clock.Second, 100, 950},
	Wipe:        {2, 10 * clock.Millisecond, clock.Second, 0, 0},
}

// DrawPlan draws the faults of a safety phase from a seed. Each run leaves about half
// of the kinds out, and one in sixteen has no faults at all: a bug may need many
// faults of few kinds.
func DrawPlan(seed uint64, o *PlanOptions, nodes int, safety clock.Duration) []Fault {
	r := NewRand(seed, "plan", 0)
	kinds := o.Kinds
	if kinds == nil {
		kinds = DefaultFaults()
		if nodes > 1 {
			kinds = ClusterFaults()
		}
	}
	most := o.PerSecondMax
	if most == 0 {
		most = 10
	}
	quiet := r.Chance(1_000_000/16) && !o.KeepAll
	perKilosecond := r.LogUniform(min(1000, most*1000), most*1000)
	var weights [faultKindsEnd]int64
	var total int64
	for _, k := range kinds {
		if o.KeepAll || r.Chance(500_000) {
			weights[k] = faultShapes[k].weight
			total += weights[k]
		}
	}
	if quiet || total == 0 {
		return []Fault{}
	}
	plan := []Fault{}
	for node := range int32(nodes) {
		count := perKilosecond * int64(safety) / int64(1000*clock.Second)
		for range max(1, count) {
			kind := pickKind(r, &weights, total)
			plan = append(plan, drawFault(r, node, kind, nodes, safety))
		}
	}
	if nodes > 1 {
		aimAtParts(r, plan, safety)
		plan = append(plan, drawSchemes(r, o, nodes, safety)...)
	}
	slices.SortStableFunc(plan, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
	return plan
}

// pickKind chooses a kind by weight.
func pickKind(r *Rand, weights *[faultKindsEnd]int64, total int64) FaultKind {
	left := r.Below(total)
	for k := range weights {
		left -= weights[k]
		if left < 0 {
			return FaultKind(k)
		}
	}
	return Crash
}

func drawFault(r *Rand, node int32, kind FaultKind, nodes int, safety clock.Duration) Fault {
	shape := &faultShapes[kind]
	f := Fault{At: clock.Instant(r.Below(int64(safety))), Kind: kind, Node: node, Actor: -1}
	if shape.forHigh > 0 {
		f.For = clock.Duration(r.LogUniform(int64(shape.forLow), int64(shape.forHigh)))
	}
	if shape.paramHigh > 0 {
		f.Param = r.LogUniform(max(1, shape.paramLow), shape.paramHigh)
	}
	switch kind {
	case ClockJump, ClockDrift: // either way
		if r.Chance(500_000) {
			f.Param = -f.Param
		}
	case LinkCut, LinkCutTo, LinkCutFrom, LinkClog, SlowLink, ConnReset:
		if r.Chance(500_000) { // one of the first few actors
			f.Actor = int32(r.Below(4))
		}
		if nodes > 1 && r.Chance(500_000) { // another node, or all
			f.Peer = drawPeer(r, node, nodes)
		}
	}
	switch kind {
	case ConnReset:
		f.Param = r.Below(4)
	case Split, SplitOneWay, Bridge:
		f.Param = 1 + r.Below(1<<nodes-2) // neither nobody nor all
	}
	return f
}

// drawPeer chooses one of the other nodes, or all of them.
func drawPeer(r *Rand, node int32, nodes int) int32 {
	if r.Chance(250_000) {
		return AllPeers
	}
	return PeerOf(int32((int64(node) + 1 + r.Below(int64(nodes-1))) % int64(nodes)))
}
