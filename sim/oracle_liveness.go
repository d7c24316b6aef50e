package sim

import (
	"fmt"

	"github.com/heiban/heiban/checker"
)

// What a cluster must come to once the faults are over, whatever happened: somebody
// controls, all brokers are alive and know all of the metadata, every partition has a
// leader and all its replicas in sync, and they hold the same.

// unsettled returns what is not yet as it must be, as a kind of violation and a text, or
// nothing.
func (o *Oracle) unsettled() (kind, text string) {
	if kind, text = o.unsettledNodes(); kind != "" {
		return kind, text
	}
	for _, p := range o.judge.Partitions() {
		if p.Deleted() || p.Rots() {
			continue
		}
		if kind, text = o.unsettledPartition(p); kind != "" {
			return kind, text
		}
	}
	return "", ""
}

func (o *Oracle) unsettledNodes() (kind, text string) {
	if o.world.controller < 0 {
		return "no-controller", "no node is the active controller"
	}
	end := o.judge.MetadataEnd()
	for _, n := range o.world.nodes {
		b := o.metadata.brokers[n.id]
		switch {
		case n.broker == nil || !n.ready:
			return "node-down", fmt.Sprintf("node %d is not up", n.id)
		case b == nil || b.Fenced || b.ShuttingDown:
			return "broker-fenced", fmt.Sprintf("broker %d is %+v", n.id, b)
		case o.judge.MetadataAppliedBy(n.id) < end:
			return "metadata-behind", fmt.Sprintf("node %d knows the metadata up to %d of %d",
				n.id, o.judge.MetadataAppliedBy(n.id), end)
		}
	}
	return "", ""
}

func (o *Oracle) unsettledPartition(p *checker.Partition) (kind, text string) {
	s := p.State()
	switch {
	case s == nil:
		return "no-state", p.Name + " is in no metadata"
	case s.Leader < 0:
		return "no-leader", fmt.Sprintf("%s: ISR %v, ELR %v", p.Name, s.ISR, s.ELR)
	case len(s.Adding)+len(s.Removing) > 0:
		return "reassigning", fmt.Sprintf("%s: replicas %v, adding %v, removing %v, ISR %v",
			p.Name, s.Replicas, s.Adding, s.Removing, s.ISR)
	case len(s.ISR) < len(s.Replicas):
		return "under-replicated", fmt.Sprintf("%s: ISR %v of replicas %v", p.Name, s.ISR, s.Replicas)
	case p.HighWatermark() < p.LogEnd():
		return "uncommitted", fmt.Sprintf("%s: high watermark %d, log end offset %d",
			p.Name, p.HighWatermark(), p.LogEnd())
	}
	for _, id := range s.Replicas {
		end, highWatermark, known := p.CopyOf(id)
		if !known || end != p.LogEnd() || highWatermark != end {
			return "replica-behind", fmt.Sprintf("%s: node %d has %d, high watermark %d, leader has %d",
				p.Name, id, end, highWatermark, p.LogEnd())
		}
	}
	return "", ""
}
