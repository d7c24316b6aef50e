package realnet

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/metadata"
)

// stepper is the core as the driver sees it.
type stepper interface {
	Step(now clock.Time, ev core.Event, fx *core.Effects)
	Deadline() clock.Instant
}

// Driver steps one core under one mutex and carries out what it orders.
//
// There is no event loop. Whoever has an event steps the core with it, files the
// effects into queues while it still holds the mutex, so that the order of the queues
// is the order of the steps, and then works on the queues that nobody else is working
// on. Those pieces of work can end in further events; a turn keeps the list of what
// its goroutine has taken on itself.
type Driver struct {
	handles *handles
	jobs    *jobQueue
	syncers []*syncer
	codec   batch.Codec
	devices core.QueryDevices
	metrics *metrics
	started time.Time
	image   atomic.Pointer[metadata.Image]
	spawned sync.WaitGroup // goroutines that finish what others began

	// onReports gets what Steps reported and is worth a line, outside of the mutex.
	onReports func([]core.Report)

	mu        sync.Mutex
	core      stepper
	fx        core.Effects
	conns     map[core.ConnID]*conn
	peers     map[core.LinkID]*peer // that are open or being opened, and not hung up
	network   *network              // which dials; set before the first Step that does
	logs      map[log.ID]*logQueue
	spareLogs []*logQueue
	timer     *time.Timer
	armed     clock.Instant // when the timer will fire
	closed    bool          // the core is not stepped any more
	ready     chan struct{} // closed when the node serves
	isReady   bool
	closing   chan struct{} // closed by close
	ended     chan struct{} // closed when the core has stopped or cannot go on
	fatal     error         // why, if it cannot go on; set before ended is closed
	hasEnded  bool
}

// newDriver makes a driver of c. The caller starts its goroutines.
func newDriver(c stepper, codec batch.Codec, hs *handles, m *metrics) *Driver {
	d := &Driver{
		handles: hs,
		jobs:    newJobQueue(),
		codec:   codec,
		metrics: m,
		started: time.Now(),
		core:    c,
		conns:   map[core.ConnID]*conn{},
		peers:   map[core.LinkID]*peer{},
		logs:    map[log.ID]*logQueue{},
		armed:   clock.Never,
		ready:   make(chan struct{}),
		ended:   make(chan struct{}),
		closing: make(chan struct{}),
	}
	d.onReports = func([]core.Report) {}
	d.devices = core.QueryDevices{Reader: hs, Devices: log.Devices{Files: Files{}, Codec: codec}}
	d.image.Store(&metadata.Image{})
	d.timer = time.AfterFunc(time.Hour, d.timerFired)
	d.timer.Stop()
	return d
}

// now reads the clocks. Monotonic time counts from the driver's start.
func (d *Driver) now() clock.Time {
	t := time.Now()
	return clock.Time{Mono: clock.Instant(t.Sub(d.started)), Wall: clock.Wall(t.UnixMilli())}
}

// step steps the core with ev and takes on what follows. If ev came in a frame, the
// frame is kept until the writes it led to are done.
func (d *Driver) step(t *turn, ev core.Event, frame *buffer) {
	d.mu.Lock()
	d.stepLocked(t, ev, frame)
	d.mu.Unlock()
}

func (d *Driver) stepLocked(t *turn, ev core.Event, frame *buffer) {
	if d.closed {
		return
	}
	d.core.Step(d.now(), ev, &d.fx)
	if d.fx.Image != nil {
		d.image.Store(d.fx.Image)
	}
	d.fileOrders(t, frame)
	for i := range d.fx.Responses {
		d.fileResponse(t, &d.fx.Responses[i])
	}
	for _, id := range d.fx.Closes {
		if c := d.conns[id]; c != nil {
			c.fileClose(t)
		}
	}
	d.fileLinks(t)
	d.noteReports(t)
	d.noteEnd()
	d.arm()
}

func (d *Driver) fileResponse(t *turn, r *core.Response) {
	if c := d.conns[r.Conn]; c != nil {
		c.fileResponse(t, r)
	}
}

// noteReports counts what the core reported and keeps what is worth a line.
func (d *Driver) noteReports(t *turn) {
	for i := range d.fx.Reports {
		r := &d.fx.Reports[i]
		d.metrics.report(r)
		switch r.Kind {
		case core.BatchAppended, core.HighWatermarkAdvanced, core.RecordsReplicated,
			core.HighWatermarkLearned:
			continue // once per batch
		case core.NodeReady:
			if !d.isReady {
				d.isReady = true
				close(d.ready)
			}
		default:
		}
		t.reports = append(t.reports, *r)
	}
}

func (d *Driver) noteEnd() {
	if d.hasEnded || d.fx.Fatal == nil && !d.fx.Stopped {
		return
	}
	d.hasEnded = true
	d.fatal = d.fx.Fatal
	close(d.ended)
}

// arm sets the timer for the core's deadline. A timer that fires too early is left
// alone: most deadlines move away from us all the time.
func (d *Driver) arm() {
	deadline := d.core.Deadline()
	if deadline < d.armed {
		d.armed = deadline
		d.timer.Reset(time.Duration(deadline.Sub(d.now().Mono)))
	}
}

func (d *Driver) timerFired() {
	t := d.newTurn()
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return
	}
	d.spawned.Add(1)
	defer d.spawned.Done()
	d.armed = clock.Never
	if d.core.Deadline() <= d.now().Mono {
		d.stepLocked(t, &core.TimerFired{}, nil)
	} else {
		d.arm()
	}
	d.mu.Unlock()
	t.drain()
}

// start starts the goroutines and the core.
func (d *Driver) start(workers int) {
	for _, s := range d.syncers {
		for range 2 {
			d.spawned.Go(s.run)
		}
	}
	for range workers {
		d.spawned.Go(d.work)
	}
	d.spawned.Go(d.trimFiles)
	t := d.newTurn()
	d.step(t, &core.Started{}, nil)
	t.drain()
}

// close ends everything at once, as a crash would: nothing is stepped any more, and
// what is filed is not carried out. The connections must be gone.
func (d *Driver) close() {
	d.mu.Lock()
	invariant.True(len(d.conns) == 0, "connections are closed before the driver")
	invariant.True(len(d.peers) == 0, "links are closed before the driver")
	d.closed = true
	d.timer.Stop()
	for _, s := range d.syncers {
		s.wake.Broadcast()
	}
	d.mu.Unlock()
	close(d.closing)
	d.jobs.close()
	d.spawned.Wait()
	for _, s := range d.syncers {
		s.close()
	}
	d.handles.close()
}
