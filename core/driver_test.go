package core_test

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/compress"
	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/wire"
)

// driver steps one broker over a memDisk. Orders are carried out at once unless their
// kind is held; what is held waits until the test lets it happen.
type driver struct {
	options core.Options
	broker  *core.Broker
	disk    *memDisk
	now     clock.Time
	codec   batch.Codec

	holdWrites, holdSyncs, holdJobs, holdMetadata bool

	writes []log.Write
	syncs  []log.Sync
	jobs   []log.RunJob

	stopped bool
	fatal   error

	// What happened since the test last looked, and who wants to see it.
	onResponse func(*core.Response, wire.Response)
	onClose    func(core.ConnID)
	onReport   func(*core.Report)
	onOrder    func(string)
	onDial     func(core.Dial)
	onAsk      func(core.LinkRequest)
	onHangup   func(core.LinkID)
}

func newDriver() *driver {
	return &driver{
		options: core.Options{
			ClusterID: "cluster-of-the-scripts", NodeID: 1, LogDirs: []string{"/d"},
			Listeners: []config.Endpoint{
				{Name: "PLAINTEXT", Host: "localhost", Port: 9092},
				{Name: "INTERNAL", Host: "inside", Port: 9093},
			},
			SmallLimits: true,
			Properties:  map[string]string{}, Codec: &compress.Codec{},
			Settings: log.Settings{
				ProducerExpirationMillis: 86_400_000, IndexEntriesMax: 1000,
				CleanerIOBufferBytes: 1 << 16, CleanerDedupeBufferBytes: 1 << 20,
				SequenceMax: 1<<31 - 1, Check: true,
			},
		},
		codec: &compress.Codec{},
		disk:  newMemDisk(),
		now:   clock.Time{Mono: 0, Wall: 1_700_000_000_000},

		onResponse: func(*core.Response, wire.Response) {},
		onClose:    func(core.ConnID) {},
		onReport:   func(*core.Report) {},
		onOrder:    func(string) {},
		onDial:     func(core.Dial) {},
		onAsk:      func(core.LinkRequest) {},
		onHangup:   func(core.LinkID) {},
	}
}

// boot starts a new process.
func (d *driver) boot() error {
	d.writes, d.syncs, d.jobs = nil, nil, nil
	d.stopped, d.fatal = false, nil
	d.options.Seed[0]++
	broker, err := core.New(d.options)
	if err != nil {
		return err
	}
	d.broker = broker
	d.step(&core.Started{})
	return nil
}

// step brings one event and all that follows from it at once.
func (d *driver) step(ev core.Event) {
	if d.fatal != nil || d.stopped {
		return
	}
	var fx core.Effects
	d.disk.now = d.now.Wall
	d.broker.Step(d.now, ev, &fx)
	for i := range fx.Reports {
		d.onReport(&fx.Reports[i])
	}
	for i := range fx.Responses {
		r := &fx.Responses[i]
		body := r.Body
		if r.Query != nil {
			body = r.Query.Answer(&core.QueryDevices{
				Reader: reader{d.disk}, Devices: log.Devices{Files: d.disk, Codec: d.codec},
			})
		}
		d.onResponse(r, body)
	}
	for _, id := range fx.Closes {
		d.onClose(id)
	}
	for _, dial := range fx.Dials {
		d.onDial(dial)
	}
	for _, r := range fx.Sends {
		d.onAsk(r)
	}
	for _, id := range fx.Hangups {
		d.onHangup(id)
	}
	d.fatal, d.stopped = fx.Fatal, fx.Stopped
	d.file(&fx.Orders)
	d.settle()
}

// file takes in the orders of a step.
func (d *driver) file(o *log.Orders) {
	for _, w := range o.Writes {
		if d.holds(d.holdWrites, w.File.Path) {
			d.onOrder(fmt.Sprintf("write %s@%d to offset %d", logName(w.File.Path), w.Pos, w.EndOffset))
		}
		d.writes = append(d.writes, w)
	}
	for _, s := range o.Syncs {
		if d.holds(d.holdSyncs, s.File.Path) {
			d.onOrder(fmt.Sprintf("sync %s to offset %d", logName(s.File.Path), s.EndOffset))
		}
		d.syncs = append(d.syncs, s)
	}
	for _, j := range o.Jobs {
		if d.holdJobs {
			d.onOrder("job " + jobName(j.Job))
		}
		d.jobs = append(d.jobs, j)
	}
}

// holds reports whether an order about a file is held. Those of the metadata log are
// only if that is asked for too.
func (d *driver) holds(hold bool, file string) bool {
	return hold && (d.holdMetadata || !strings.Contains(file, "__cluster_metadata"))
}

// settle carries out what is not held, until nothing is left.
func (d *driver) settle() {
	for d.fatal == nil && !d.stopped {
		switch {
		case d.nextWrite(false):
		case d.nextSync(false):
		case !d.holdJobs && len(d.jobs) > 0:
			d.runJob()
		default:
			return
		}
	}
}

// nextWrite carries out the oldest write and all that follow it in its file, unless
// they are held and not forced.
func (d *driver) nextWrite(force bool) bool {
	first := slices.IndexFunc(d.writes, func(w log.Write) bool {
		return force || !d.holds(d.holdWrites, w.File.Path)
	})
	if first < 0 {
		return false
	}
	var done *core.WriteDone
	file := d.writes[first].File
	d.writes = slices.DeleteFunc(d.writes, func(w log.Write) bool {
		if w.File != file || done != nil && done.Err != nil {
			return false
		}
		done = &core.WriteDone{Log: w.Log, EndOffset: w.EndOffset, Err: d.disk.write(&w)}
		return true
	})
	d.step(done)
	return true
}

// nextSync carries out the oldest sync whose writes are done, unless it is held and
// not forced.
func (d *driver) nextSync(force bool) bool {
	for i, s := range d.syncs {
		if !force && d.holds(d.holdSyncs, s.File.Path) || d.writing(&s) {
			continue
		}
		d.syncs = append(d.syncs[:i:i], d.syncs[i+1:]...)
		d.step(&core.SyncDone{Log: s.Log, EndOffset: s.EndOffset, Err: d.disk.sync(&s)})
		return true
	}
	return false
}

func (d *driver) writing(s *log.Sync) bool {
	for _, w := range d.writes {
		if w.File == s.File && w.EndOffset <= s.EndOffset {
			return true
		}
	}
	return false
}

// runJob runs the oldest job.
func (d *driver) runJob() {
	j := d.jobs[0]
	d.jobs = d.jobs[1:]
	result, err := j.Job.Run(&log.Devices{Files: d.disk, Codec: d.codec})
	d.step(&core.JobDone{Op: j.Op, Result: result, Err: err})
}

// pass lets time go by, firing the timer whenever the broker asks for it.
func (d *driver) pass(by clock.Duration) {
	end := d.now.Mono.Add(by)
	for d.broker != nil && d.fatal == nil && !d.stopped {
		at := d.broker.Deadline()
		if at > end {
			break
		}
		d.setTime(max(at, d.now.Mono))
		d.step(&core.TimerFired{})
	}
	d.setTime(end)
}

func (d *driver) setTime(at clock.Instant) {
	was := d.now.Mono.Sub(0).Millis()
	d.now.Mono = at
	d.now.Wall += clock.Wall(at.Sub(0).Millis() - was)
}

// request sends a request as a driver does: a Produce is prepared first.
func (d *driver) request(conn core.ConnID, h wire.Header, req wire.Request) {
	if p, ok := req.(*wire.ProduceRequest); ok && d.broker.Image() != nil {
		core.Prepare(d.broker.Image(), d.codec, d.now.Wall, p)
	}
	d.step(&core.RequestArrived{Conn: conn, Header: h, Request: req})
}

// crash ends the process.
func (d *driver) crash(powerLoss bool, keep func(int) int) {
	d.broker, d.writes, d.syncs, d.jobs = nil, nil, nil, nil
	d.disk.crash(powerLoss, keep)
}

// logName is how a script names the log that a file belongs to.
func logName(file string) string { return path.Base(path.Dir(file)) }

// jobName is how a script names a job: its type, and the directory it is about.
func jobName(j log.Job) string {
	name := fmt.Sprintf("%T", j)
	name = name[strings.LastIndexByte(name, '.')+1:]
	switch j := j.(type) {
	case *log.Recover:
		return name + " " + j.Dir
	case *log.Remove:
		return name + " " + j.Dir
	case *log.OpenDir:
		return name + " " + j.Path
	case *log.WriteCheckpoints:
		name += " " + j.Path
		for _, list := range []struct {
			name  string
			lines []log.Checkpoint
		}{
			{"recovery", j.RecoveryPoints}, {"start", j.LogStarts}, {"high", j.HighWatermarks},
		} {
			if list.lines == nil {
				continue
			}
			name += " " + list.name + "{"
			for i, c := range list.lines {
				if i > 0 {
					name += " "
				}
				name += fmt.Sprintf("%s=%d", log.DirName(c.Topic, c.Partition), c.Offset)
			}
			name += "}"
		}
		if j.Clean {
			name += " clean"
		}
		return name
	}
	return name
}
