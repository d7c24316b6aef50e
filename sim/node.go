package sim

import (
	"fmt"
	"strings"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/netsim"
)

// node drives one broker: it brings events, carries out effects and decides nothing
// about Kafka. Its disk and its clock outlive the broker's process.
type node struct {
	w        *World
	disk     *Disk
	broker   *core.Broker // nil while the process is down
	image    *metadata.Image
	clock    nodeClock
	fx       core.Effects
	deferred []event // while the node stands still

	conns arena[nodeConn]
	links []*nodeLink
	files arena[fileQueue]
	jobs  arena[runningJob]
	// Slots by the core's ids; never ranged over.
	connSlots map[core.ConnID]handle
	fileSlots map[uint64]handle

	timerAt    clock.Instant // world time of the timer that counts, or Never
	timerGen   uint32
	bootGen    uint32 // counts plans to boot, of which the last one counts
	pauseGen   uint32
	life       uint32 // counts processes
	draws      draws  // of the process as a whole
	slowDisk   int64  // factor on the latency of the disk, until slowUntil
	slowUntil  clock.Instant
	slowTo     clock.Instant // until when the process is throttled
	slowShare  int64         // thousandths of the time
	stuck      int32         // faults that let no I/O complete
	stayDown   clock.Duration
	errorsWere int64 // disk errors injected before this life
	id         int32
	endpoint   netsim.Endpoint
	stopping   bool // a clean shutdown is under way
	standing   bool
	ready      bool // the broker serves

	// Events handed to Step, reused.
	opened  core.ConnOpened
	closed  core.ConnClosed
	arrived core.RequestArrived
	wrote   core.WriteDone
	synced  core.SyncDone
	ended   core.JobDone

	linkOpened core.LinkOpened
	linkClosed core.LinkClosed
	responded  core.ResponseArrived

	fired core.TimerFired
}

// handle names a slot of an arena for as long as it holds the same thing.
type handle struct{ slot, gen uint32 }

const logDir = "/data"

func newNode(w *World, id int32) *node {
	return &node{
		w: w, id: id, endpoint: netsim.Endpoint(id), slowDisk: 1, timerAt: clock.Never,
		disk:      NewDisk(w.noise, id),
		connSlots: map[core.ConnID]handle{},
		fileSlots: map[uint64]handle{},
	}
}

// options are what the broker of the node's next life is made with.
func (n *node) options() core.Options {
	w := n.w
	t := w.config.Tunables
	o := core.Options{
		NodeID: n.id, ClusterID: "heiban-simulation-0000",
		LogDirs:   []string{logDir},
		Listeners: []config.Endpoint{{Name: brokerListener, Host: hostName(n.id), Port: brokerPort}},
		Codec:     w.config.Codec, SmallLimits: true, Settings: t.Settings,
		Properties: map[string]string{
			"listeners": fmt.Sprintf("%s://%s:%d,%s://%s:%d", brokerListener, hostName(n.id),
				brokerPort, controllerListener, hostName(n.id), controllerPort),
			"controller.listener.names": controllerListener,
			"controller.quorum.voters":  voters(w.config.Nodes),
		},
	}
	for key, value := range t.Properties { // a map made of maps: in any order
		o.Properties[key] = value
	}
	for key, value := range w.config.Properties { // in any order
		o.Properties[key] = value
	}
	if int(n.id) < len(w.config.Racks) {
		o.Properties["broker.rack"] = w.config.Racks[n.id]
	}
	o.Settings.Check = true
	o.Settings.Mutants = w.mutants
	for i := range o.Seed {
		o.Seed[i] = w.noise.Bits(identityStream, uint64(n.id), uint64(n.life), uint64(i))
	}
	return o
}

// The listeners of every node.
const (
	brokerListener     = "PLAINTEXT"
	controllerListener = "CONTROLLER"

	brokerPort     = 9092
	controllerPort = 9093
)

// listenerAt is the name of the listener at a port.
func listenerAt(port netsim.Port) string {
	if port == controllerPort {
		return controllerListener
	}
	return brokerListener
}

// voters makes every node a voter of the metadata quorum.
func voters(nodes int) string {
	list := make([]string, nodes)
	for id := range list {
		list[id] = fmt.Sprintf("%d@%s:%d", id, hostName(int32(id)), controllerPort)
	}
	return strings.Join(list, ",")
}

func hostName(id int32) string { return fmt.Sprintf("node-%d", id) }

// next draws keyed noise for the next thing that happens to a part of the process.
func (n *node) next(stream Stream, of *draws) uint64 {
	return n.w.noise.next(stream, uint64(n.life)<<32|uint64(n.id), of)
}

// planBoot makes the node start after a while, instead of whenever it was to.
func (n *node) planBoot(after clock.Duration) {
	n.bootGen++
	n.w.schedule(n.w.now.Add(after),
		event{kind: bootDue, node: int16(n.id), gen: n.bootGen})
}

func (n *node) bootDue(gen uint32) {
	if gen == n.bootGen && n.broker == nil {
		n.boot()
	}
}

// boot starts the process.
func (n *node) boot() {
	w := n.w
	n.life++
	broker, err := core.New(n.options())
	if err != nil {
		w.violate("boot", err.Error())
		return
	}
	n.broker, n.image, n.stopping, n.ready = broker, nil, false, false
	n.errorsWere = n.disk.Counts.errors()
	n.clock.boot(w.now)
	// Other voters are heard from the start, clients once the broker is ready.
	w.net.Up(w.now, n.endpoint, controllerPort)
	if w.tracing() {
		w.tracef("node %d boots, life %d", n.id, n.life)
	}
	for _, o := range w.observers {
		o.NodeStarted(w.now, n.id)
	}
	n.step(&core.Started{}, nil)
}

// errors is how many operations were made to fail.
func (c *DiskCounts) errors() int64 {
	return c.WriteErrors + c.ReadErrors + c.SyncErrors + c.NoSpace
}

// run runs an event for the broker or the disk.
func (n *node) run(e *event) {
	switch e.kind {
	case deliveryDue:
		n.w.deliver(e)
	case nodeTimer:
		n.timerDue(e.gen)
	case writeDue:
		n.writeDue(e)
	case syncDue:
		n.syncDue(e)
	case jobDue:
		n.jobDue(e)
	case answerDue:
		n.answerDue(e)
	}
}

// step tells the broker of an event and carries out what it orders. The records of
// a request are in buf, which lives until the writes made of them are done.
func (n *node) step(ev core.Event, buf *buffer) {
	w := n.w
	n.disk.Now = n.clock.time(w.now).Wall
	n.broker.Step(n.clock.time(w.now), ev, &n.fx)
	w.result.Steps++
	w.hash.event(ev)
	w.hash.effects(&n.fx)
	if w.tracing() {
		n.traceStep(ev)
	}
	for _, o := range w.observers {
		o.Stepped(w.now, n.id, ev, &n.fx)
	}
	w.noteReports(n)
	n.carryOut(buf)
}

// carryOut files every order. Nothing here steps the broker again.
func (n *node) carryOut(buf *buffer) {
	fx := &n.fx
	if fx.Image != nil {
		n.image = fx.Image
	}
	n.fileOrders(&fx.Orders, buf)
	for i := range fx.Responses {
		n.fileResponse(&fx.Responses[i])
	}
	for _, id := range fx.Closes {
		n.closeAfterAnswers(id)
	}
	n.linkOrders(fx)
	for i := range fx.Reports {
		if fx.Reports[i].Kind == core.NodeReady {
			n.ready = true
			n.w.net.Up(n.w.now, n.endpoint, brokerPort)
		}
	}
	switch {
	case fx.Fatal != nil:
		n.fatal(fx.Fatal)
	case fx.Stopped:
		n.stop(&NodeStop{How: CleanStop})
		n.planBoot(n.stayDown)
	default:
		n.arm()
	}
}

// arm schedules the timer for the broker's deadline. One that fires too early is
// left alone: most deadlines move away all the time.
func (n *node) arm() {
	at := n.clock.worldTime(n.broker.Deadline())
	if at < n.timerAt {
		n.timerAt = max(at, n.w.now)
		n.timerGen++
		n.w.schedule(n.timerAt, event{kind: nodeTimer, node: int16(n.id), gen: n.timerGen})
	}
}

func (n *node) timerDue(gen uint32) {
	if gen != n.timerGen || n.broker == nil {
		return
	}
	n.timerAt = clock.Never
	if n.broker.Deadline() <= n.clock.time(n.w.now).Mono {
		n.step(&n.fired, nil)
		return
	}
	n.arm()
}

// fatal ends a process that says it cannot go on, which only a broken disk excuses.
func (n *node) fatal(err error) {
	excused := n.disk.Counts.errors() > n.errorsWere || n.disk.Counts.RottenBits > 0
	n.stop(&NodeStop{How: FatalStop, Fatal: err})
	if !excused {
		n.w.violate("fatal", err.Error())
	}
	n.planBoot(clock.Duration(Between(n.next(bootStream, &n.draws), 1, int64(clock.Second))))
}

// stop ends the process, with what a crash does to the disk and to connections.
func (n *node) stop(s *NodeStop) {
	w := n.w
	n.broker = nil
	if w.controller == n.id {
		w.controller = -1
	}
	n.timerGen++
	n.timerAt = clock.Never
	n.bootGen++
	n.resume()
	if s.How == CleanStop && n.ready && n.busy() {
		w.violate("unclean-stop", "the broker stopped while it had orders under way")
	}
	n.crashDisk()
	if s.How == PowerLoss {
		s.Damage = n.disk.powerLoss()
	}
	n.conns.reset()
	n.files.reset()
	n.jobs.reset()
	n.links = nil
	clear(n.connSlots)
	clear(n.fileSlots)
	w.net.Down(w.now, n.endpoint, s.How == PowerLoss)
	if w.tracing() {
		w.tracef("node %d stops: %s, %d pieces of damage", n.id, s.How, len(s.Damage))
	}
	for _, o := range w.observers {
		o.NodeStopped(w.now, n.id, s)
	}
}

// shutDown asks the broker to stop cleanly and to come back after a while.
func (n *node) shutDown(downFor clock.Duration) {
	const patience = 60 * clock.Second
	n.stopping, n.stayDown = true, downFor
	n.w.schedule(n.w.now.Add(patience),
		event{kind: stopOverdue, node: int16(n.id), gen: n.life})
	n.step(&core.ShutdownRequested{}, nil)
}

// stopOverdue finds a broker that does not end its shutdown.
func (n *node) stopOverdue(life uint32) {
	if n.broker == nil || n.life != life || !n.stopping {
		return
	}
	if n.stuck == 0 && n.disk.Counts.errors() == n.errorsWere && !n.standing {
		n.w.violate("shutdown-hangs", hostName(n.id)+" did not stop within a minute")
		return
	}
	n.stop(&NodeStop{How: ProcessCrash})
	n.planBoot(n.stayDown)
}

// pause makes the node stand still, as a frozen virtual machine does.
func (n *node) pause(d clock.Duration) {
	n.standing = true
	n.pauseGen++
	n.w.schedule(n.w.now.Add(d), event{kind: resumeDue, node: int16(n.id), gen: n.pauseGen})
}

func (n *node) resumeDue(gen uint32) {
	if gen == n.pauseGen {
		n.resume()
	}
}

// resume lets everything that waited happen now, in the order it came.
func (n *node) resume() {
	n.standing = false
	n.pauseGen++
	for i, e := range n.deferred {
		n.w.schedule(n.w.now+clock.Instant(i), e)
	}
	n.deferred = n.deferred[:0]
}

// putOff keeps an event until the node goes on.
func (n *node) putOff(e *event) bool {
	if n.standing {
		n.deferred = append(n.deferred, *e)
	}
	return n.standing
}

// heal ends what is wrong with the node. A disk that failed is trusted again only by
// a new process.
func (n *node) heal() {
	n.resume()
	n.disk.Faults = DiskFaults{}
	n.slowUntil, n.stuck = 0, 0
	n.clock.setDrift(n.w.now, 0)
	n.timerAt = clock.Never // the clock's speed may have changed
	switch {
	case n.broker == nil:
		n.planBoot(0)
	case n.stopping:
		n.stayDown = 0
		n.arm()
	case n.disk.Counts.errors() > n.errorsWere:
		n.stop(&NodeStop{How: ProcessCrash})
		n.planBoot(0)
	default:
		n.arm()
	}
}

// devices are what jobs and queries of the node use.
func (n *node) devices(files log.Files) core.QueryDevices {
	return core.QueryDevices{
		Reader:  n.disk,
		Devices: log.Devices{Files: files, Codec: n.w.config.Codec},
	}
}
