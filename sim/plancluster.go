package sim

import "github.com/heiban/heiban/clock"

// aimAtParts makes some faults befall whoever plays a part when they begin, and lets
// some wait for something to happen.
func aimAtParts(r *Rand, plan []Fault, safety clock.Duration) {
	targets, triggers := r.Chance(500_000), r.Chance(300_000)
	for i := range plan {
		f := &plan[i]
		aimed, waits := r.Chance(300_000), r.Chance(200_000)
		target := Target(r.Between(int64(TargetLeader), int64(targetsEnd)-1))
		which := int32(r.Below(8))
		on := Trigger(r.Between(int64(OnLeader), int64(triggersEnd)-1))
		if targets && aimed {
			f.Target, f.Which = target, which
		}
		if triggers && waits {
			f.On = on
			f.At = min(f.At, clock.Instant(safety)*9/10) // so that something can happen yet
		}
	}
}

// drawSchemes draws the schemes of a plan. Most plans have none.
func drawSchemes(r *Rand, o *PlanOptions, nodes int, safety clock.Duration) []Fault {
	schemes := o.Schemes
	if schemes == nil {
		schemes = []Scheme{Swizzle, AllOff, AllCrash, Rolling, Bounce, Flapping}
	}
	var plan []Fault
	for _, s := range schemes {
		if !o.KeepAll && !r.Chance(150_000) {
			continue
		}
		at := clock.Instant(r.Below(int64(safety) * 2 / 3))
		plan = append(plan, s.draw(r, at, nodes, safety)...)
	}
	kept := plan[:0]
	for _, f := range plan {
		if f.At < clock.Instant(safety) {
			kept = append(kept, f)
		}
	}
	return kept
}

// draw draws the faults of a scheme that begins at an instant.
func (s Scheme) draw(r *Rand, at clock.Instant, nodes int, safety clock.Duration) []Fault {
	var plan []Fault
	add := func(f Fault) { f.Actor = -1; plan = append(plan, f) }
	order := make([]int32, nodes)
	for i := range order {
		order[i] = int32(i)
	}
	r.Shuffle(nodes, func(i, j int) { order[i], order[j] = order[j], order[i] })
	millis := func(low, high int64) clock.Duration {
		return clock.Duration(r.LogUniform(low, high)) * clock.Millisecond
	}
	switch s {
	case Swizzle:
		step := millis(5, 300)
		all := clock.Duration(nodes) * step
		for i, node := range order[:r.Between(1, int64(nodes))] {
			begin := at.Add(step * clock.Duration(i))
			end := at.Add(all + clock.Duration(r.Below(int64(all)))) // in any order
			add(Fault{At: begin, For: end.Sub(begin), Kind: LinkClog, Node: node, Peer: AllPeers})
		}
	case AllOff, AllCrash:
		kind := PowerOff
		if s == AllCrash {
			kind = Crash
		}
		for _, node := range order {
			add(Fault{At: at, For: millis(1, 2000), Kind: kind, Node: node})
		}
	case Rolling:
		for _, node := range order {
			add(Fault{At: at, For: millis(1, 500), Kind: Restart, Node: node})
			at = at.Add(millis(50, 1500))
		}
	case Bounce:
		for range r.Between(2, 8) {
			add(Fault{At: at, For: millis(1, 100), Kind: Crash, Node: order[0]})
			at = at.Add(millis(20, 500))
		}
	case Flapping:
		for range r.Between(2, 10) {
			length := millis(5, 500)
			add(Fault{At: at, For: length, Kind: Isolate, Node: order[0]})
			at = at.Add(length + millis(5, 500))
		}
	}
	return plan
}
