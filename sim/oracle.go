package sim

import (
	"maps"
	"slices"
	"strings"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/wire"
)

// Oracle tells a checker.Judge what happens on the brokers of a run, from outside:
// from requests that arrive, bytes that are ordered to be written, what devices say,
// and answers that leave. What brokers report about themselves only moves marks.
type Oracle struct {
	Silent
	judge    *checker.Judge
	world    *World
	policy   func(topic string) checker.Policy
	clients  []Pending
	metadata metadataOracle
	nodes    []oracleNode
	handedIn int  // violations already given to the run
	healed   bool // the liveness phase has begun
}

// Pending is a client that says what it still waits for, or nothing.
type Pending interface{ Pending() string }

// oracleNode is what the oracle knows of one node.
type oracleNode struct {
	hosted  []*hosted                     // in order of appearance
	dirs    map[string]*hosted            // by directory, such as /data/t-0
	logs    map[log.ID]*hosted            // of this life
	pending map[core.ConnID][]openProduce // produce requests without answer
	jobs    map[log.OpID][]log.Checkpoint // log starts that a job is to write
	taken   []bool                        // writes of this step that were taken in
	damage  int                           // pieces that were taken in
	errors  int64                         // failed syncs that were taken in
	up      bool
	clean   bool // the last stop was
}

// openProduce is a Produce request without answer.
type openProduce struct {
	parts       []openPart
	correlation int32
	acks        int16
}

type openPart struct {
	topic      string
	topicID    checker.TopicID
	hash       uint64
	producerID int64
	appended   int64 // base offset, or -1
	partition  int32
	doubled    bool
}

// NewOracle makes the observer that feeds a judge. Policy says what a topic's
// configuration promises. Clients are asked in the liveness phase what they wait for.
func NewOracle(
	w *World, j *checker.Judge, policy func(topic string) checker.Policy, clients []Pending,
) *Oracle {
	nodes := 1
	if w != nil {
		nodes = len(w.nodes)
	}
	return &Oracle{
		judge: j, world: w, policy: policy, clients: clients, metadata: newMetadataOracle(nodes),
	}
}

func (o *Oracle) node(id int32) *oracleNode {
	for int(id) >= len(o.nodes) {
		o.nodes = append(o.nodes, oracleNode{})
	}
	return &o.nodes[id]
}

// NodeStarted implements Observer.
func (o *Oracle) NodeStarted(_ clock.Instant, id int32) {
	n := o.node(id)
	o.metadata.started(id)
	o.judge.NodeStarted(id)
	if n.dirs == nil {
		n.dirs = map[string]*hosted{}
	}
	n.logs = map[log.ID]*hosted{}
	n.pending = map[core.ConnID][]openProduce{}
	n.jobs = map[log.OpID][]log.Checkpoint{}
	for _, h := range n.hosted {
		h.online = false
	}
	n.up = true
}

// FaultInjected implements Observer.
func (o *Oracle) FaultInjected(_ clock.Instant, f *Fault) {
	if f.Kind == BitRot || f.Kind == Wipe { // what it means depends on whether the node is up
		o.takeDamage(o.node(f.Node), f.Node)
	}
}

// NodeStopped implements Observer.
func (o *Oracle) NodeStopped(_ clock.Instant, id int32, stop *NodeStop) {
	n := o.node(id)
	o.takeFailedSyncs(n, id)
	if n.up {
		o.judge.NodeStopped(id, stop.How == CleanStop)
		n.clean = stop.How == CleanStop
		for _, h := range n.hosted {
			o.judge.Stopped(h.id, stop.How == CleanStop)
		}
	}
	n.up = false
	o.takeDamage(n, id)
}

// takeDamage tells of everything that a disk lost since it was last asked.
func (o *Oracle) takeDamage(n *oracleNode, id int32) {
	all := o.world.Disk(id).Damage()
	for _, d := range all[n.damage:] {
		dir, name := split(d.Path)
		h := n.dirs[dir]
		if h == nil || !strings.HasSuffix(name, logFileSuffix) {
			continue
		}
		o.judge.Destroyed(h.id, h.firstHit(&d, name), n.causeOf(h, &d))
	}
	n.damage = len(all)
}

// causeOf says what a damage is to recovery: it reads the last segment after an
// unclean stop, and need not read what is before it.
func (n *oracleNode) causeOf(h *hosted, d *Damage) checker.Cause {
	last := len(h.placed) - 1
	switch {
	case d.Kind == BytesWiped:
		return checker.Wiped
	case d.Kind != BytesRotten:
		return checker.Power
	case !n.up && !n.clean && last >= 0 && h.placed[last].path == d.Path:
		return checker.RotInTail
	}
	return checker.Rot
}

// takeFailedSyncs notes syncs that failed inside of jobs too, of which no event tells
// what they were for.
func (o *Oracle) takeFailedSyncs(n *oracleNode, id int32) {
	failed := o.world.Disk(id).Counts.SyncErrors
	if failed == n.errors {
		return
	}
	n.errors = failed
	for _, h := range n.hosted {
		o.judge.SyncFailed(h.id, false)
	}
}

// Stepped implements Observer.
func (o *Oracle) Stepped(_ clock.Instant, id int32, ev core.Event, fx *core.Effects) {
	n := o.node(id)
	o.takeDamage(n, id)
	o.takeEvent(n, id, ev)
	o.takeFailedSyncs(n, id)
	o.metadata.stepped(o, id, fx)
	o.metadata.saw(o, id, fx, false)
	o.take(n, id, fx)
	o.metadata.saw(o, id, fx, true)
	for i := range fx.Syncs { // a log that recovery opened is synced before it is written
		n.host(fx.Syncs[i].Log, fx.Syncs[i].File.Path)
	}
	for i := range fx.Jobs {
		switch job := fx.Jobs[i].Job.(type) {
		case *log.WriteCheckpoints:
			n.jobs[fx.Jobs[i].Op] = job.LogStarts
		case *log.Remove:
			o.setAside(n, job)
		}
	}
	for i := range fx.Responses {
		if body, ok := fx.Responses[i].Body.(*wire.ProduceResponse); ok {
			o.produceAnswered(n, id, &fx.Responses[i], body)
		}
	}
}

// takeEvent takes in what devices and clients say.
func (o *Oracle) takeEvent(n *oracleNode, id int32, ev core.Event) {
	switch ev := ev.(type) {
	case *core.RequestArrived:
		if req, ok := ev.Request.(*wire.ProduceRequest); ok {
			n.pending[ev.Conn] = append(n.pending[ev.Conn], pendingOf(req, ev.Header.CorrelationID))
		}
	case *core.ConnClosed:
		delete(n.pending, ev.Conn)
	case *core.WriteDone:
		if h := n.logs[ev.Log]; h != nil && ev.Err == nil {
			o.judge.Written(h.id, h.writeDone(ev.EndOffset))
		}
	case *core.SyncDone:
		o.metadata.synced(o, id, ev)
		h := n.logs[ev.Log]
		switch {
		case h == nil:
		case ev.Err != nil:
			o.judge.SyncFailed(h.id, true)
		default:
			o.judge.Synced(h.id, ev.EndOffset)
		}
	case *core.JobDone:
		starts := n.jobs[ev.Op]
		delete(n.jobs, ev.Op)
		if ev.Err == nil {
			o.checkpointed(n, starts)
		}
	case *core.Started, *core.ConnOpened, *core.LinkOpened, *core.LinkClosed,
		*core.ResponseArrived, *core.TimerFired, *core.ShutdownRequested:
	}
}

func (o *Oracle) checkpointed(n *oracleNode, starts []log.Checkpoint) {
	for _, c := range starts {
		if h := n.dirs[logDir+"/"+log.DirName(c.Topic, c.Partition)]; h != nil {
			o.judge.LogStartCheckpointed(h.id, c.Offset)
		}
	}
}

// take takes in what a step did to logs and what it reported, in the order in which it
// happened. Batches are taken from what is ordered to be written, when a report says that
// they are in the log.
func (o *Oracle) take(n *oracleNode, node int32, fx *core.Effects) {
	n.taken = append(n.taken[:0], make([]bool, len(fx.Writes))...)
	for i := range fx.Reports {
		r := &fx.Reports[i]
		if r.Kind == core.BatchAppended || r.Kind == core.RecordsReplicated {
			o.takeWrites(n, fx, logDir+"/"+log.DirName(r.Topic, r.Partition), r.EndOffset)
			continue
		}
		o.reported(n, node, r)
	}
	for i := range fx.Writes {
		if !n.taken[i] {
			o.written(n, &fx.Writes[i])
		}
	}
}

// takeWrites takes in the writes of a log up to an offset.
func (o *Oracle) takeWrites(n *oracleNode, fx *core.Effects, dir string, endOffset int64) {
	for i := range fx.Writes {
		w := &fx.Writes[i]
		if in, _ := split(w.File.Path); !n.taken[i] && in == dir && w.EndOffset <= endOffset {
			n.taken[i] = true
			o.written(n, w)
		}
	}
}

// reported takes in what a broker says of its logs, of who leads and of marks.
func (o *Oracle) reported(n *oracleNode, node int32, r *core.Report) {
	id := replicaID(node, r)
	switch r.Kind {
	case core.NodeReady:
		if len(o.nodes) == 1 { // others may delete a topic, or move it, while a node is down
			o.missing(n)
		}
	case core.PartitionOnline:
		o.online(n, node, r)
	case core.LeaderStarted:
		o.judge.LeaderStarted(id, r.Epoch, r.Offset, r.EndOffset)
	case core.FollowerStarted:
		o.judge.FollowerStarted(id, r.Epoch, r.Offset, r.EndOffset)
	case core.LogTruncated:
		if h := n.dirs[logDir+"/"+log.DirName(r.Topic, r.Partition)]; h != nil && h.id == id {
			o.judge.Truncated(id, r.Offset, r.EndOffset)
			h.cut(r.EndOffset)
		}
	case core.HighWatermarkAdvanced:
		o.judge.HighWatermark(id, r.Offset, r.EndOffset)
	case core.HighWatermarkLearned:
		o.judge.HighWatermarkLearned(id, r.Offset, r.EndOffset)
	case core.LogStartAdvanced:
		o.judge.LogStart(id, r.Offset)
	case core.TopicDeleted:
		o.judge.TopicGone(r.TopicID)
	case core.PartitionRemoved:
		n.removed(id)
		o.judge.Removed(id)
	case core.ControllerStarted:
		o.judge.ControllerStarted(node, r.Epoch)
	}
}

// removed forgets a copy that the node deletes.
func (n *oracleNode) removed(id checker.ReplicaID) {
	n.hosted = slices.DeleteFunc(n.hosted, func(h *hosted) bool {
		if h.id != id {
			return false
		}
		delete(n.dirs, h.dir)
		// What its devices still say is of nobody's interest.
		maps.DeleteFunc(n.logs, func(_ log.ID, other *hosted) bool { return other == h })
		return true
	})
}

// setAside takes in that a node of several found a copy that it is to have no more. A lone
// node is asked what it misses.
func (o *Oracle) setAside(n *oracleNode, job *log.Remove) {
	h := n.dirs[job.Dir]
	if h == nil || len(o.nodes) == 1 || !strings.HasSuffix(job.To, straySuffix) {
		return
	}
	n.removed(h.id)
	o.judge.SetAside(h.id)
}

// missing tells of the topics that a node had in an earlier life and does not have now:
// no report says that they were deleted while it started.
func (o *Oracle) missing(n *oracleNode) {
	for _, h := range n.hosted {
		there := func(other *hosted) bool { return other.online && other.id.Topic == h.id.Topic }
		if !o.judge.Partition(h.id.PartitionID).Deleted() && !slices.ContainsFunc(n.hosted, there) {
			o.judge.TopicMissing(h.id.Topic, h.topic)
		}
	}
}

// Healed implements Observer.
func (o *Oracle) Healed(clock.Instant) { o.healed = true }

// Quiet reports whether nobody waits for anything. It is what Config.Done asks.
func (o *Oracle) Quiet() bool {
	for _, c := range o.clients {
		if c.Pending() != "" {
			return false
		}
	}
	kind, _ := o.unsettled()
	return kind == ""
}

// Found implements Observer.
func (o *Oracle) Found() []Violation {
	all := o.judge.Found()
	if len(all) == o.handedIn {
		return nil
	}
	var found []Violation
	for _, v := range all[o.handedIn:] {
		found = append(found, Violation(v))
	}
	o.handedIn = len(all)
	return found
}

// Finish implements Observer.
func (o *Oracle) Finish(clock.Instant) []Violation {
	if o.healed {
		for _, c := range o.clients {
			if what := c.Pending(); what != "" {
				o.judge.Report(checker.Progress, "stuck", "%s", what)
			}
		}
		if kind, text := o.unsettled(); kind != "" {
			o.judge.Report(checker.Progress, kind, "%s", text)
		}
	}
	for _, c := range o.clients {
		if w, ok := c.(interface{ Witness() }); ok {
			w.Witness()
		}
	}
	o.judge.CheckTopics()
	o.judge.CheckLogs()
	return o.Found()
}
