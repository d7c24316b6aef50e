package sim

import (
	"slices"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/netsim"
)

// Faults that befall a cluster: splits of the network, nodes chosen by the part they
// play, and faults that wait for something to happen.

// stops reports whether a fault keeps a node from doing anything.
func (k FaultKind) stops() bool {
	switch k {
	case Crash, PowerOff, Restart, Pause, Wipe:
		return true
	}
	return false
}

// tooFew reports whether so many nodes are down that another may not be.
func (w *World) tooFew(n *node) bool {
	most := w.config.Faults.DownMax
	if most == 0 {
		return false
	}
	down := 0
	for _, other := range w.nodes {
		if other != n && (!other.ready || other.broker == nil || other.stopping || other.standing) {
			down++
		}
	}
	return down >= most
}

// eachSplit visits every direction that a split cuts.
func (w *World) eachSplit(f *Fault, visit func(from, to netsim.Endpoint)) {
	if f.Kind == Isolate {
		one := w.nodes[f.Node].endpoint
		for e := range netsim.Endpoint(len(w.nodes) + len(w.actors)) {
			if e != one {
				visit(one, e)
				visit(e, one)
			}
		}
		return
	}
	for _, a := range w.nodes {
		for _, b := range w.nodes {
			if !in(f.Param, a.id) || in(f.Param, b.id) ||
				f.Kind == Bridge && (a.id == f.Node || b.id == f.Node) {
				continue
			}
			visit(a.endpoint, b.endpoint)
			if f.Kind != SplitOneWay {
				visit(b.endpoint, a.endpoint)
			}
		}
	}
}

// in reports whether a node is in a set of nodes, which has a bit for each.
func in(set int64, node int32) bool { return set>>node&1 == 1 }

func (w *World) injectSplit(f *Fault) bool {
	done := false
	switch f.Kind {
	case Split, SplitOneWay, Bridge, Isolate:
		w.eachSplit(f, func(from, to netsim.Endpoint) {
			w.net.Cut(from, to)
			done = true
		})
	}
	return done
}

// aim finds the node that a fault's target is now, and reports whether there is one.
func (w *World) aim(f *Fault) bool {
	switch f.Target {
	case TargetNode:
		return true
	case TargetController:
		f.Node = w.controller
		return f.Node >= 0
	}
	p := w.partition(f.Which)
	if p == nil {
		return false
	}
	if f.Target == TargetLeader {
		f.Node = p.Leader
		return f.Node >= 0
	}
	for _, id := range p.Replicas {
		inSync := slices.Contains(p.ISR, id)
		if id != p.Leader && inSync == (f.Target == TargetFollower) {
			f.Node = id
			return true
		}
	}
	return false
}

// partition returns one of all partitions, as the node sees it that knows most.
func (w *World) partition(which int32) *metadata.Partition {
	var image *metadata.Image
	for _, n := range w.nodes {
		if n.image != nil && (image == nil || n.image.Offset() > image.Offset()) {
			image = n.image
		}
	}
	if image == nil || image.PartitionCount() == 0 {
		return nil
	}
	left := int(which) % image.PartitionCount()
	for t := range image.Topics() {
		if left < len(t.Partitions) {
			return &t.Partitions[left]
		}
		left -= len(t.Partitions)
	}
	return nil
}

// noteReports follows who controls, and sets off the faults that wait for what a node
// reports.
func (w *World) noteReports(n *node) {
	for i := range n.fx.Reports {
		r := &n.fx.Reports[i]
		switch r.Kind {
		case core.ControllerStarted:
			if r.Epoch > w.controllerEpoch { // or it is deposed and does not know it
				w.controller, w.controllerEpoch = n.id, r.Epoch
			}
		case core.ControllerEnded:
			if w.controller == n.id {
				w.controller = -1
			}
		}
		if len(w.armed) > 0 {
			w.trigger(n, r.Kind)
		}
	}
}

// triggerOf says what report a trigger waits for.
var triggerOf = [triggersEnd]core.ReportKind{
	OnLeader: core.LeaderStarted, OnISRShrunk: core.ISRShrunk, OnISRExpanded: core.ISRExpanded,
	OnTruncated: core.LogTruncated, OnReplicated: core.RecordsReplicated,
	OnController: core.ControllerStarted,
}

// trigger sets off the first fault that waits for a report.
func (w *World) trigger(n *node, kind core.ReportKind) {
	for at, i := range w.armed {
		f := &w.plan[i]
		if triggerOf[f.On] != kind {
			continue
		}
		w.armed = slices.Delete(w.armed, at, at+1)
		w.triggered[i] = true
		if f.Target == TargetNode {
			f.Node = n.id
		}
		// Not in the middle of a step, and sometimes a moment later.
		after := clock.Duration(Exponential(w.noise.Bits(choiceStream, uint64(n.id), uint64(i), 0),
			int64(clock.Millisecond)))
		w.schedule(w.now.Add(after), event{kind: faultBegins, slot: uint32(i)})
		return
	}
}

// throttleCycle is how long a slow node takes turns at standing still and going on.
const throttleCycle = 20 * clock.Millisecond

// throttle makes the node stand still for so many thousandths of the time.
func (n *node) throttle(until clock.Instant, share int64) {
	if n.w.now >= until || n.broker == nil || n.standing {
		return
	}
	n.slowTo, n.slowShare = until, share
	n.pause(throttleCycle * clock.Duration(min(share, 950)) / 1000)
	n.w.schedule(n.w.now.Add(throttleCycle), event{kind: throttleDue, node: int16(n.id)})
}
