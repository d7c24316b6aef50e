package sim

import (
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/netsim"
)

// inject makes a fault of the plan happen, if it can: a node that is down cannot
// crash. One that waits for something is armed first.
func (w *World) inject(i int) {
	f := &w.plan[i]
	switch {
	case w.healed:
		return
	case f.On != AtOnce && !w.triggered[i]:
		w.armed = append(w.armed, i)
		return
	case !w.aim(f), f.Node < 0, int(f.Node) >= len(w.nodes):
		return
	}
	if w.tracing() {
		w.tracef("fault %d: %s node %d actor %d peer %d param %d for %d us", i, f.Kind, f.Node,
			f.Actor, f.Peer, f.Param, int64(f.For/clock.Microsecond))
	}
	n := w.nodes[f.Node]
	if !w.injectProcess(n, f) && !w.injectClock(n, f) && !w.injectSplit(f) &&
		!w.injectLink(n, f) && !w.injectDisk(n, f) {
		return
	}
	w.result.Injected[f.Kind]++
	for _, o := range w.observers {
		o.FaultInjected(w.now, f)
	}
	if f.Kind.ends() {
		w.schedule(w.now.Add(f.For), event{kind: faultEnds, slot: uint32(i)})
	}
}

// ends reports whether a fault lasts for its For and must then be taken back. A slow
// disk knows by itself when that is over.
func (k FaultKind) ends() bool {
	switch k {
	case ClockDrift, LinkCut, LinkCutTo, LinkCutFrom, LinkClog, ConnRefused, SlowLink,
		StuckDisk, FullDisk, WriteError, ReadError, SyncError, Split, SplitOneWay, Bridge,
		Isolate:
		return true
	}
	return false
}

// injectProcess does what befalls the process.
func (w *World) injectProcess(n *node, f *Fault) bool {
	up := n.broker != nil
	switch {
	case f.Kind.stops() && w.tooFew(n):
		return false
	case f.Kind == Crash && up:
		n.stop(&NodeStop{How: ProcessCrash})
		n.planBoot(f.For)
	case f.Kind == PowerOff && up:
		n.stop(&NodeStop{How: PowerLoss})
		n.planBoot(f.For)
	case f.Kind == PowerOff:
		n.losePower()
		n.planBoot(f.For)
	case f.Kind == Restart && up && !n.stopping && !n.standing:
		n.shutDown(f.For)
	case f.Kind == Pause && up && !n.standing:
		n.pause(f.For)
	case f.Kind == SlowNode && up && !n.standing:
		n.throttle(w.now.Add(f.For), f.Param)
	case f.Kind == Wipe:
		if up {
			n.stop(&NodeStop{How: PowerLoss})
		} else {
			n.losePower()
		}
		n.disk.wipe()
		n.planBoot(f.For)
	default:
		return false
	}
	return true
}

// losePower takes the power from a host whose process is down already: what the
// process wrote may not be durable.
func (n *node) losePower() {
	s := NodeStop{How: PowerLoss, Damage: n.disk.powerLoss()}
	n.w.net.Down(n.w.now, n.endpoint, true)
	for _, o := range n.w.observers {
		o.NodeStopped(n.w.now, n.id, &s)
	}
}

func (w *World) injectClock(n *node, f *Fault) bool {
	switch f.Kind {
	case ClockJump:
		n.clock.jumped += f.Param
	case ClockDrift:
		n.drift(f.Param)
	default:
		return false
	}
	return true
}

// drift changes the speed of the node's clock.
func (n *node) drift(ppm int64) {
	n.clock.setDrift(n.w.now, ppm)
	n.timerAt = clock.Never
	if n.broker != nil {
		n.arm()
	}
}

// farEnds are the other ends of the links that a fault befalls.
func (w *World) farEnds(f *Fault) []netsim.Endpoint {
	var ends []netsim.Endpoint
	if f.Peer == 0 {
		for _, a := range w.actors {
			if f.Actor < 0 || f.Actor == int32(a.id) {
				ends = append(ends, a.endpoint)
			}
		}
		return ends
	}
	for _, n := range w.nodes {
		if n.id != f.Node && (f.Peer == AllPeers || f.Peer == PeerOf(n.id)) {
			ends = append(ends, n.endpoint)
		}
	}
	return ends
}

// injectLink does what befalls the network between a node and others.
func (w *World) injectLink(n *node, f *Fault) bool {
	if f.Kind == ConnRefused {
		w.net.Refuse(n.endpoint, true)
		return true
	}
	done := false
	for _, far := range w.farEnds(f) {
		done = w.injectOneLink(n.endpoint, far, f) || done
	}
	return done
}

func (w *World) injectOneLink(n, a netsim.Endpoint, f *Fault) bool {
	switch f.Kind {
	case LinkCut:
		w.net.Cut(n, a)
		w.net.Cut(a, n)
	case LinkCutTo:
		w.net.Cut(a, n)
	case LinkCutFrom:
		w.net.Cut(n, a)
	case LinkClog:
		w.net.Clog(n, a)
		w.net.Clog(a, n)
	case SlowLink:
		w.net.Slow(n, a, f.Param)
		w.net.Slow(a, n, f.Param)
	case ConnReset:
		kind := netsim.BreakKind(uint64(f.Param) % uint64(netsim.BreakKinds))
		return w.net.BreakAll(w.now, n, a, kind) > 0
	default:
		return false
	}
	return true
}

func (w *World) injectDisk(n *node, f *Fault) bool {
	switch f.Kind {
	case SlowDisk:
		n.slowDisk, n.slowUntil = max(1, f.Param), w.now.Add(f.For)
	case StuckDisk:
		n.stuck++
	case FullDisk:
		n.disk.Limit(f.Param)
	case WriteError:
		n.disk.Faults.WriteErrorPPM = f.Param
	case ReadError:
		n.disk.Faults.ReadErrorPPM = f.Param
	case SyncError:
		n.disk.Faults.SyncErrorPPM = f.Param
	case BitRot:
		rot := n.disk.rot
		if f.Param == TailOnly {
			rot = n.disk.rotTail
		}
		_, rotten := rot()
		return rotten
	default:
		return false
	}
	return true
}

// endFault takes a fault back.
func (w *World) endFault(i int) {
	f := &w.plan[i]
	if w.healed {
		return
	}
	n := w.nodes[f.Node]
	if w.tracing() {
		w.tracef("fault %d ends", i)
	}
	switch f.Kind {
	case ClockDrift:
		n.drift(0)
	case ConnRefused:
		w.net.Refuse(n.endpoint, false)
	case StuckDisk:
		n.stuck--
	case FullDisk:
		n.disk.Faults.BytesMax = 0
	case WriteError:
		n.disk.Faults.WriteErrorPPM = 0
	case ReadError:
		n.disk.Faults.ReadErrorPPM = 0
	case SyncError:
		n.disk.Faults.SyncErrorPPM = 0
	case Split, SplitOneWay, Bridge, Isolate:
		w.eachSplit(f, func(from, to netsim.Endpoint) { w.net.Mend(w.now, from, to) })
	default:
		w.endLinkFault(n, f)
	}
}

func (w *World) endLinkFault(n *node, f *Fault) {
	for _, far := range w.farEnds(f) {
		switch f.Kind {
		case LinkCut:
			w.net.Mend(w.now, n.endpoint, far)
			w.net.Mend(w.now, far, n.endpoint)
		case LinkCutTo:
			w.net.Mend(w.now, far, n.endpoint)
		case LinkCutFrom:
			w.net.Mend(w.now, n.endpoint, far)
		case LinkClog:
			w.net.Unclog(w.now, n.endpoint, far)
			w.net.Unclog(w.now, far, n.endpoint)
		case SlowLink:
			w.net.Slow(n.endpoint, far, 1)
			w.net.Slow(far, n.endpoint, 1)
		}
	}
}
