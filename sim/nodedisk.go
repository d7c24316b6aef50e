package sim

import (
	"fmt"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/log"
)

// fileQueue is what is ordered of one file and not done yet. Writes are carried out
// in order, those that meet in the queue as one; a sync waits for the writes
// ordered before it, but not the other way round.
type fileQueue struct {
	ref      log.FileRef
	writes   []pendingWrite // from head on
	syncs    []pendingSync
	head     int
	under    int    // writes under way, from head on
	ordered  uint64 // writes
	done     uint64 // writes
	mark     uint64 // what the sync under way covers
	syncing  bool
	released bool
	self     handle
	draws    draws
}

type pendingWrite struct {
	log.Write
	buf *buffer
}

type pendingSync struct {
	log.Sync
	after uint64 // writes that must be done before it
}

type runningJob struct {
	job log.Job
	op  log.OpID
}

func (q *fileQueue) waiting() int { return len(q.writes) - q.head }

func (q *fileQueue) idle() bool { return q.waiting() == 0 && len(q.syncs) == 0 }

// fileOrders files what a step ordered of the disk.
func (n *node) fileOrders(o *log.Orders, buf *buffer) {
	for i := range o.Writes {
		q := n.file(o.Writes[i].File)
		if buf != nil {
			buf.refs++
		}
		q.writes = append(q.writes, pendingWrite{o.Writes[i], buf})
		q.ordered++
		n.startWrites(q)
	}
	for i := range o.Syncs {
		q := n.file(o.Syncs[i].File)
		q.syncs = append(q.syncs, pendingSync{o.Syncs[i], q.ordered})
		n.startSync(q)
	}
	for i := range o.Jobs {
		slot, gen := n.jobs.put(runningJob{o.Jobs[i].Job, o.Jobs[i].Op})
		n.ioDue(jobDue, handle{slot, gen}, n.w.latency.Job.draw(n.next(jobStream, &n.draws)))
	}
	for _, ref := range o.Releases {
		q := n.file(ref)
		q.released = true
		n.maybeRelease(q)
	}
}

// file returns the queue of a file.
func (n *node) file(ref log.FileRef) *fileQueue {
	if h, ok := n.fileSlots[ref.ID]; ok {
		return n.files.at(h.slot, h.gen)
	}
	slot, gen := n.files.put(fileQueue{ref: ref, draws: draws{key: keyOf(ref.Path)}})
	q := n.files.at(slot, gen)
	q.self = handle{slot, gen}
	n.fileSlots[ref.ID] = q.self
	return q
}

// ioDue schedules the completion of an I/O.
func (n *node) ioDue(kind eventKind, h handle, latency clock.Duration) {
	n.w.schedule(n.w.now.Add(n.slowed(latency)),
		event{kind: kind, node: int16(n.id), slot: h.slot, gen: h.gen})
}

// slowed is how long an I/O takes that begins now. What a slow disk has not done by the
// end of its slowness, it does at its usual speed: however long a latency was drawn,
// the disk is well again soon after the fault.
func (n *node) slowed(latency clock.Duration) clock.Duration {
	slow := n.slowUntil.Sub(n.w.now)
	factor := clock.Duration(n.slowDisk)
	switch {
	case slow <= 0:
		return latency
	case latency <= slow/factor:
		return latency * factor
	default:
		return slow + latency - slow/factor
	}
}

// stuckIO puts a completion off while the disk is stuck.
func (n *node) stuckIO(e *event) bool {
	const again = clock.Millisecond
	if n.stuck > 0 {
		n.ioDue(e.kind, handle{e.slot, e.gen}, again)
	}
	return n.stuck > 0
}

// startWrites begins the next writes of a file, unless some are under way: mostly all
// that wait, sometimes only one.
func (n *node) startWrites(q *fileQueue) {
	const together = 64
	if q.under > 0 || q.waiting() == 0 {
		return
	}
	q.under = 1
	if q.waiting() > 1 && n.next(mergeStream, &q.draws)&3 != 0 {
		q.under = min(q.waiting(), together)
	}
	n.ioDue(writeDue, q.self, n.w.latency.Write.draw(n.next(writeStream, &q.draws)))
}

// writeDue carries out the writes under way.
func (n *node) writeDue(e *event) {
	q := n.files.at(e.slot, e.gen)
	if q == nil || n.stuckIO(e) {
		return
	}
	var err error
	ev := &n.wrote
	for range q.under {
		p := &q.writes[q.head]
		if err == nil {
			err = n.disk.Write(&p.Write)
		}
		*ev = core.WriteDone{Log: p.Log, EndOffset: p.EndOffset, Err: err}
		n.w.release(p.buf)
		*p = pendingWrite{}
		q.head++
		q.done++
	}
	q.under = 0
	q.compact()
	n.step(ev, nil)
	if q := n.files.at(e.slot, e.gen); q != nil {
		n.startWrites(q)
		n.startSync(q)
		n.maybeRelease(q)
	}
}

// compact moves the waiting writes to the front.
func (q *fileQueue) compact() {
	if q.head == len(q.writes) {
		q.writes, q.head = q.writes[:0], 0
	} else if q.head > 64 {
		kept := copy(q.writes, q.writes[q.head:])
		clear(q.writes[kept:])
		q.writes, q.head = q.writes[:kept], 0
	}
}

// startSync begins the next sync of a file, once the writes before it are done.
func (n *node) startSync(q *fileQueue) {
	if q.syncing || len(q.syncs) == 0 || q.syncs[0].after > q.done {
		return
	}
	q.syncing = true
	q.mark = n.disk.beginSync(&q.syncs[0].Sync)
	n.ioDue(syncDue, q.self, n.w.latency.Sync.draw(n.next(syncStream, &q.draws)))
}

// syncDue carries out the sync under way.
func (n *node) syncDue(e *event) {
	q := n.files.at(e.slot, e.gen)
	if q == nil || n.stuckIO(e) {
		return
	}
	s := q.syncs[0]
	q.syncs = append(q.syncs[:0], q.syncs[1:]...)
	q.syncing = false
	n.synced = core.SyncDone{
		Log: s.Log, EndOffset: s.EndOffset, Err: n.disk.endSync(&s.Sync, q.mark),
	}
	n.step(&n.synced, nil)
	if q := n.files.at(e.slot, e.gen); q != nil {
		n.startSync(q)
		n.maybeRelease(q)
	}
}

// maybeRelease closes a file that nobody will name again, when all is done.
func (n *node) maybeRelease(q *fileQueue) {
	if !q.released || !q.idle() {
		return
	}
	n.disk.Release(q.ref)
	delete(n.fileSlots, q.ref.ID)
	n.files.drop(q.self.slot)
}

// jobDue runs a job whose time has come, all at once.
func (n *node) jobDue(e *event) {
	r := n.jobs.at(e.slot, e.gen)
	if r == nil || n.stuckIO(e) {
		return
	}
	job := *r
	n.jobs.drop(e.slot)
	n.disk.Counts.Jobs++
	files := n.disk.Files(Unlimited)
	devices := n.devices(files)
	result, err := job.job.Run(&devices.Devices)
	if files.Leaked() > 0 {
		n.w.violate("handle-leak", fmt.Sprintf("%T left a file open", job.job))
	}
	n.ended = core.JobDone{Op: job.op, Result: result, Err: err}
	n.step(&n.ended, nil)
}

// busy reports whether any order is not done.
func (n *node) busy() bool {
	busy := n.jobs.len() > 0
	n.files.each(func(q *fileQueue) { busy = busy || !q.idle() })
	return busy
}

// crashDisk leaves the disk as a crash of the process does: of what was under way,
// each file has got some of its writes, the last one in part, and each job some of
// its operations.
func (n *node) crashDisk() {
	n.files.each(func(q *fileQueue) {
		whole := Below(n.next(crashStream, &q.draws), int64(q.waiting())+1)
		for i, p := range q.writes[q.head:] {
			if int64(i) > whole {
				break
			}
			if int64(i) == whole {
				p.Data = p.Data[:Below(n.next(crashStream, &q.draws), int64(len(p.Data))+1)]
			}
			if n.disk.Write(&p.Write) != nil {
				break
			}
		}
	})
	n.jobs.each(func(r *runningJob) { n.cutJob(r.job) })
	n.disk.crash()
}

// cutJob runs the first few operations of a job.
func (n *node) cutJob(job log.Job) {
	const mean = 8
	begun := n.next(crashStream, &n.draws)&3 != 0
	if !begun {
		return
	}
	n.disk.Counts.JobsCut++
	files := n.disk.Files(Geometric(n.next(crashStream, &n.draws), mean))
	devices := n.devices(files)
	_, _ = job.Run(&devices.Devices) // nobody is left to be told
	files.Leaked()
}
