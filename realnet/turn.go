package realnet

import (
	"slices"

	"github.com/heiban/heiban/core"
)

// turn is what one goroutine has taken on itself: queues that it found idle when it
// filed something, and has to work on until they are empty or handed on.
type turn struct {
	d       *Driver
	logs    []*logQueue
	conns   []*conn
	peers   []*peer
	reports []core.Report
	own     *conn // the connection whose requests this goroutine reads
	reading bool  // the goroutine has frames to read
	sweep   bool  // files were released

	// Reused memory.
	iov       [][]byte
	written   []writeOrder
	writeDone core.WriteDone
	syncDone  core.SyncDone
}

// logRoundsMax is how many batches of one log a goroutine writes for others, before it
// hands the log on to get back to its own business.
const logRoundsMax = 8

func (d *Driver) newTurn() *turn { return &turn{d: d} }

// drain works until nothing is left. Answers go out before the next batch of writes:
// they wait for nothing any more, and the batch only grows.
func (t *turn) drain() {
	ownIsBlocked := false
	for rounds := 0; ; {
		switch {
		case len(t.conns) > 0:
			c := t.conns[len(t.conns)-1]
			t.conns = t.conns[:len(t.conns)-1]
			if c.send(false) {
				break
			}
			if c == t.own {
				ownIsBlocked = true
			} else {
				t.d.spawned.Go(c.sendRest)
			}
		case len(t.peers) > 0:
			p := t.peers[len(t.peers)-1]
			t.peers = t.peers[:len(t.peers)-1]
			if !p.send(false) {
				t.d.spawned.Go(p.sendRest)
			}
		case len(t.logs) > 0:
			q := t.logs[0]
			t.logs = slices.Delete(t.logs, 0, 1)
			rounds++
			if !t.d.writeLog(t, q) {
				break
			}
			if t.reading && rounds >= logRoundsMax {
				t.d.spawned.Go(func() { t.d.finishLog(q) })
			} else {
				t.logs = append(t.logs, q)
			}
		case ownIsBlocked:
			// The client does not read its answers, so its requests may wait.
			ownIsBlocked = false
			t.own.send(true)
		case t.sweep:
			t.sweep = false
			t.d.handles.sweep()
		default:
			t.report()
			return
		}
	}
}

// finishLog works on a log that another goroutine has claimed.
func (d *Driver) finishLog(q *logQueue) {
	t := d.newTurn()
	t.logs = append(t.logs, q)
	t.drain()
}

func (t *turn) report() {
	if len(t.reports) > 0 {
		t.d.onReports(t.reports)
		clear(t.reports)
		t.reports = t.reports[:0]
	}
}
