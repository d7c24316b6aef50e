package realnet

import (
	"fmt"

	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/log"
)

// logQueue is what was ordered to one log's files and is not carried out. Whoever files
// a write and finds the queue idle carries it out, and what others file meanwhile: so
// one pwritev serves all that met. A queue is per log and not per file, so that a
// failed write ends all that come after it in the log.
//
// The fields are under the driver's mutex, except that taken belongs to whoever made
// the queue busy.
type logQueue struct {
	id      log.ID
	busy    bool
	writes  []writeOrder
	syncs   []syncOrder // to be ordered once the writes are done
	taken   []writeOrder
	follows []syncOrder // syncs that follow the writes taken
	err     error       // the first failure: nothing is tried after it
}

// writeOrder is one Write on its way.
type writeOrder struct {
	log.Write
	handle *handle
	frame  *buffer // holds Data, if the event came in one
}

// syncOrder is one Sync on its way.
type syncOrder struct {
	log.Sync
	handle *handle
}

// fileOrders queues the writes and syncs that a Step ordered. The driver's mutex is
// held.
func (d *Driver) fileOrders(t *turn, frame *buffer) {
	for i := range d.fx.Writes {
		w := &d.fx.Writes[i]
		q := d.queueOf(w.Log)
		if frame != nil {
			frame.retain()
		}
		q.writes = append(q.writes,
			writeOrder{Write: *w, handle: d.handles.take(w.File), frame: frame})
		d.claimLog(t, q)
	}
	for i := range d.fx.Syncs {
		s := &d.fx.Syncs[i]
		order := syncOrder{Sync: *s, handle: d.handles.take(s.File)}
		q := d.logs[s.Log]
		if q == nil {
			d.orderSync(order)
			continue
		}
		q.syncs = append(q.syncs, order)
		d.claimLog(t, q)
	}
	for _, ref := range d.fx.Releases {
		d.handles.release(ref)
		t.sweep = true
	}
	for i := range d.fx.Jobs {
		d.jobs.add(d.fx.Jobs[i])
	}
}

// queueOf returns a log's queue. Only logs with orders under way have one.
func (d *Driver) queueOf(id log.ID) *logQueue {
	q := d.logs[id]
	if q != nil {
		return q
	}
	if n := len(d.spareLogs); n > 0 {
		q = d.spareLogs[n-1]
		d.spareLogs = d.spareLogs[:n-1]
		q.id = id
	} else {
		q = &logQueue{id: id}
	}
	d.logs[id] = q
	return q
}

// claimLog makes t carry out q's orders unless somebody does.
func (d *Driver) claimLog(t *turn, q *logQueue) {
	if !q.busy {
		q.busy = true
		t.logs = append(t.logs, q)
	}
}

// takeOrders takes what was filed in q since, for its owner to carry out. The
// driver's mutex is held. With nothing to take, the queue is idle and gone.
func (d *Driver) takeOrders(q *logQueue) bool {
	invariant.True(q.busy, "orders are taken by whoever made the queue busy")
	if len(q.writes) > 0 || len(q.syncs) > 0 {
		q.taken, q.writes = q.writes, q.taken[:0]
		q.follows, q.syncs = q.syncs, q.follows[:0]
		return true
	}
	q.busy = false
	if q.err != nil {
		return false // remembered until the node's end
	}
	delete(d.logs, q.id)
	const spareMax = 1024
	if len(d.spareLogs) < spareMax {
		d.spareLogs = append(d.spareLogs, q)
	}
	return false
}

// writeLog carries out one batch of q's orders and reports it. It returns whether
// there is more to do.
func (d *Driver) writeLog(t *turn, q *logQueue) (more bool) {
	if len(q.taken) == 0 && len(q.follows) == 0 {
		d.mu.Lock()
		more = d.takeOrders(q)
		d.mu.Unlock()
		if !more {
			return false
		}
	}
	if q.err == nil {
		q.err = d.writeAll(t, q.taken)
	}
	d.mu.Lock()
	for i := range q.taken {
		// A WriteDone speaks of one file: each needs its own, or a failure one for all.
		last := i+1 == len(q.taken)
		if last || q.err == nil && q.taken[i].handle != q.taken[i+1].handle {
			t.writeDone = core.WriteDone{Err: q.err, Log: q.id, EndOffset: q.taken[i].EndOffset}
			d.stepLocked(t, &t.writeDone, nil)
		}
	}
	for _, s := range q.follows {
		d.orderSyncAfter(t, s, q.err)
	}
	t.written, q.taken = q.taken, t.written[:0]
	clear(q.follows)
	q.follows = q.follows[:0]
	more = d.takeOrders(q)
	d.mu.Unlock()
	t.dropWritten()
	return more
}

// orderSyncAfter orders a sync of what has just been written, or could not be. The
// driver's mutex is held.
func (d *Driver) orderSyncAfter(t *turn, o syncOrder, err error) {
	if err == nil {
		d.orderSync(o)
		return
	}
	d.handles.drop(o.handle)
	t.syncDone = core.SyncDone{Err: err, Log: o.Log, EndOffset: o.EndOffset}
	d.stepLocked(t, &t.syncDone, nil)
}

// dropWritten ends the use of what the last writes needed.
func (t *turn) dropWritten() {
	for i := range t.written {
		t.d.handles.drop(t.written[i].handle)
		if frame := t.written[i].frame; frame != nil {
			frame.release()
		}
	}
	clear(t.written)
	t.written = t.written[:0]
}

// writeAll writes each run of adjacent writes at once.
func (d *Driver) writeAll(t *turn, writes []writeOrder) error {
	for len(writes) > 0 {
		n := adjacent(writes)
		if err := d.writeRun(t, writes[:n]); err != nil {
			return err
		}
		writes = writes[n:]
	}
	return nil
}

// adjacent returns how many of the first writes follow one another in one file.
func adjacent(writes []writeOrder) int {
	n := 1
	for n < len(writes) && writes[n].handle == writes[0].handle &&
		writes[n].Pos == writes[n-1].Pos+int64(len(writes[n-1].Data)) {
		n++
	}
	return n
}

func (d *Driver) writeRun(t *turn, run []writeOrder) error {
	u := forWriting
	t.iov = t.iov[:0]
	for i := range run {
		t.iov = append(t.iov, run[i].Data)
		if run[i].Create {
			u = forCreating
		}
	}
	defer clear(t.iov)
	fd, err := d.handles.descriptor(run[0].handle, u)
	if err != nil {
		return err
	}
	last := &run[len(run)-1]
	run[0].handle.reserve(fd, last.Pos+int64(len(last.Data)))
	if err := writeAllAt(fd, t.iov, run[0].Pos); err != nil {
		return fmt.Errorf("write %s at %d: %w", run[0].File.Path, run[0].Pos, err)
	}
	return nil
}
