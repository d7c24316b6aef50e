package realnet

import (
	"sync"

	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/log"
)

// jobQueue holds the jobs that wait for a worker. It has no bound of its own: the
// core bounds what it orders, and a queue that could be full would make its Step wait.
type jobQueue struct {
	mu      sync.Mutex
	wake    sync.Cond
	waiting []log.RunJob
	running int
	closed  bool
}

func newJobQueue() *jobQueue {
	q := &jobQueue{}
	q.wake.L = &q.mu
	return q
}

func (q *jobQueue) add(j log.RunJob) {
	q.mu.Lock()
	q.waiting = append(q.waiting, j)
	q.mu.Unlock()
	q.wake.Signal()
}

// next waits for a job. It returns false when the queue is closed.
func (q *jobQueue) next() (log.RunJob, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == 0 && !q.closed {
		q.wake.Wait()
	}
	if q.closed {
		return log.RunJob{}, false
	}
	j := q.waiting[0]
	q.waiting[0] = log.RunJob{}
	q.waiting = q.waiting[1:]
	q.running++
	return j, true
}

// ended notes that a worker is free again.
func (q *jobQueue) ended() {
	q.mu.Lock()
	q.running--
	q.mu.Unlock()
}

// depth returns how many jobs wait and how many run.
func (q *jobQueue) depth() (waiting, running int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting), q.running
}

// close lets the workers end after the jobs they are running.
func (q *jobQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wake.Broadcast()
}

// work runs jobs until the queue is closed.
func (d *Driver) work() {
	t := d.newTurn()
	devices := &log.Devices{Files: jobFiles{handles: d.handles}, Codec: d.codec}
	for {
		j, ok := d.jobs.next()
		if !ok {
			return
		}
		result, err := j.Job.Run(devices)
		d.jobs.ended()
		d.step(t, &core.JobDone{Result: result, Err: err, Op: j.Op}, nil)
		t.drain()
	}
}
