package sim

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/wire"
)

// traceStep writes the lines of one step: what the broker was told, and what it
// ordered and reported.
func (n *node) traceStep(ev core.Event) {
	w := n.w
	w.tracef("node %d < %s", n.id, describe(ev))
	fx := &n.fx
	for i := range fx.Writes {
		o := &fx.Writes[i]
		w.tracef("node %d   write %s at %d, %d bytes, to offset %d",
			n.id, o.File.Path, o.Pos, len(o.Data), o.EndOffset)
	}
	for i := range fx.Syncs {
		o := &fx.Syncs[i]
		w.tracef("node %d   sync %s to offset %d dir=%t", n.id, o.File.Path, o.EndOffset, o.Dir)
	}
	for i := range fx.Jobs {
		w.tracef("node %d   job %d %T", n.id, fx.Jobs[i].Op, fx.Jobs[i].Job)
	}
	for i := range fx.Responses {
		r := &fx.Responses[i]
		w.tracef("node %d   answer %s #%d on %x", n.id,
			apiName(r.Header.Key), r.Header.CorrelationID, uint64(r.Conn))
	}
	for _, conn := range fx.Closes {
		w.tracef("node %d   close %x", n.id, uint64(conn))
	}
	for i := range fx.Dials {
		d := &fx.Dials[i]
		w.tracef("node %d   dial node %d at %s:%d as link %d", n.id, d.Node, d.Host, d.Port, d.Link)
	}
	for i := range fx.Sends {
		s := &fx.Sends[i]
		w.tracef("node %d   send %s #%d on link %d", n.id,
			apiName(s.Header.Key), s.Header.CorrelationID, s.Link)
	}
	for _, link := range fx.Hangups {
		w.tracef("node %d   hang up link %d", n.id, link)
	}
	for i := range fx.Reports {
		r := &fx.Reports[i]
		w.tracef("node %d   report %d %s-%d offset=%d end=%d epoch=%d producer=%d/%d err=%d %s",
			n.id, r.Kind, r.Topic, r.Partition, r.Offset, r.EndOffset, r.Epoch,
			r.Producer, r.Sequence, r.Err, r.Text)
	}
	if fx.Fatal != nil {
		w.tracef("node %d   fatal: %v", n.id, fx.Fatal)
	}
}

// describe says what an event is, on one line.
func describe(ev core.Event) string {
	switch ev := ev.(type) {
	case *core.Started:
		return "started"
	case *core.ConnOpened:
		return fmt.Sprintf("connection %x to %s opened by %s", uint64(ev.Conn), ev.Listener, ev.Peer)
	case *core.ConnClosed:
		return fmt.Sprintf("connection %x closed", uint64(ev.Conn))
	case *core.RequestArrived:
		return fmt.Sprintf("%s #%d on %x", apiName(ev.Header.Key),
			ev.Header.CorrelationID, uint64(ev.Conn))
	case *core.WriteDone:
		return fmt.Sprintf("log %d written to %d, err=%v", ev.Log, ev.EndOffset, ev.Err)
	case *core.SyncDone:
		return fmt.Sprintf("log %d synced to %d, err=%v", ev.Log, ev.EndOffset, ev.Err)
	case *core.JobDone:
		return fmt.Sprintf("job %d done, err=%v", ev.Op, ev.Err)
	case *core.LinkOpened:
		return fmt.Sprintf("link %d opened", ev.Link)
	case *core.LinkClosed:
		return fmt.Sprintf("link %d closed: %v", ev.Link, ev.Err)
	case *core.ResponseArrived:
		return fmt.Sprintf("answer #%d on link %d", ev.CorrelationID, ev.Link)
	case *core.TimerFired:
		return "timer"
	case *core.ShutdownRequested:
		return "shutdown requested"
	}
	return fmt.Sprintf("%T", ev)
}

// apiName is what a request is called.
func apiName(key int16) string {
	if key == wire.RaftKey {
		return "Raft"
	}
	return kmsg.NameForKey(key)
}
