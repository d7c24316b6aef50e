package realnet

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/compress"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/wire"
)

// testCore is a core small enough to know everything about: a Produce appends to
// one file per partition, and is answered when it is written (acks=1) or synced
// (acks=-1); a Metadata is answered with an answer of the size its client id asks for;
// a DescribeCluster is parked until the next Metadata of anyone, and answered before it.
type testCore struct {
	dir    string
	events []string
	logs   map[log.ID]*testLog
	parked []core.Response
	due    clock.Instant
	fired  int
	order  func(fx *core.Effects) // added to the next Step
}

type testLog struct {
	file    log.FileRef
	pos     int64 // where the next write goes
	written int64
	durable int64
	pending []testProduce
}

type testProduce struct {
	response core.Response
	end      int64
	synced   bool // it waits for a sync
	ordered  bool // the sync is ordered
}

func (c *testCore) Deadline() clock.Instant { return c.due }

func (c *testCore) Step(now clock.Time, ev core.Event, fx *core.Effects) {
	fx.Orders.Reset()
	clear(fx.Responses)
	fx.Responses, fx.Closes, fx.Reports = fx.Responses[:0], fx.Closes[:0], fx.Reports[:0]
	fx.Fatal, fx.Stopped = nil, false
	if c.order != nil {
		c.order(fx)
		c.order = nil
	}
	switch ev := ev.(type) {
	case *core.RequestArrived:
		c.request(ev, fx)
	case *core.WriteDone:
		c.note("write log=%d end=%d %s", ev.Log, ev.EndOffset, errText(ev.Err))
		c.written(ev, fx)
	case *core.SyncDone:
		c.note("sync log=%d end=%d %s", ev.Log, ev.EndOffset, errText(ev.Err))
		c.log(ev.Log).durable = ev.EndOffset
		c.answer(ev.Log, fx)
	case *core.TimerFired:
		c.fired++
		c.due = clock.Never
	case *core.JobDone:
		c.note("job %d %v %s", ev.Op, ev.Result, errText(ev.Err))
	default:
	}
}

func errText(err error) string {
	if err == nil {
		return "ok"
	}
	return "failed"
}

func (c *testCore) note(format string, args ...any) {
	c.events = append(c.events, fmt.Sprintf(format, args...))
}

func (c *testCore) request(ev *core.RequestArrived, fx *core.Effects) {
	header := ev.Header
	header.ClientID = ""
	answer := core.Response{Conn: ev.Conn, Header: header}
	switch r := ev.Request.(type) {
	case *wire.ProduceRequest:
		c.produce(answer, r, fx)
	case *kmsg.MetadataRequest:
		fx.Responses = append(fx.Responses, c.parked...)
		c.parked = nil
		bytes := 0
		fmt.Sscan(ev.Header.ClientID, &bytes)
		answer.Body = metadataOf(bytes)
		fx.Responses = append(fx.Responses, answer)
	case *kmsg.DescribeClusterRequest:
		bytes := 0
		fmt.Sscan(ev.Header.ClientID, &bytes)
		response := kmsg.NewPtrDescribeClusterResponse()
		response.ClusterID = string(make([]byte, bytes))
		answer.Body = response
		c.parked = append(c.parked, answer)
	default:
		fx.Closes = append(fx.Closes, ev.Conn)
	}
}

// metadataOf is an answer of a little more than bytes bytes.
func metadataOf(bytes int) *kmsg.MetadataResponse {
	r := kmsg.NewPtrMetadataResponse()
	const name = 16 << 10
	for ; bytes > 0; bytes -= name {
		t := kmsg.NewMetadataResponseTopic()
		t.Topic = kmsg.StringPtr(string(make([]byte, name)))
		r.Topics = append(r.Topics, t)
	}
	return r
}

func (c *testCore) produce(answer core.Response, r *wire.ProduceRequest, fx *core.Effects) {
	p := &r.Partitions[0]
	id := log.ID(p.Partition + 1)
	l := c.log(id)
	l.pos += int64(len(p.Records))
	fx.Writes = append(fx.Writes, log.Write{
		Log: id, File: l.file, Data: p.Records, Pos: l.pos - int64(len(p.Records)),
		EndOffset: l.pos, Create: true,
	})
	if r.Acks == 0 {
		fx.Responses = append(fx.Responses, answer)
		return
	}
	answer.Body = &wire.ProduceResponse{Partitions: []wire.ProducedPartition{{
		Topic: "t", Partition: p.Partition, BaseOffset: l.pos, LogAppendTime: -1, LeaderEpoch: -1,
	}}}
	l.pending = append(l.pending, testProduce{response: answer, end: l.pos, synced: r.Acks == -1})
}

func (c *testCore) log(id log.ID) *testLog {
	l := c.logs[id]
	if l == nil {
		path := filepath.Join(c.dir, fmt.Sprintf("%d.log", id))
		l = &testLog{file: log.FileRef{ID: uint64(id), Path: path}}
		c.logs[id] = l
	}
	return l
}

func (c *testCore) written(ev *core.WriteDone, fx *core.Effects) {
	l := c.log(ev.Log)
	for i := range l.pending {
		if p := &l.pending[i]; p.synced && !p.ordered && p.end <= ev.EndOffset {
			p.ordered = true
			fx.Syncs = append(fx.Syncs, log.Sync{
				Log: ev.Log, File: l.file, EndOffset: p.end, Dir: true,
			})
		}
	}
	l.written = ev.EndOffset
	c.answer(ev.Log, fx)
}

// answer answers the produces that have what they wait for, in order.
func (c *testCore) answer(id log.ID, fx *core.Effects) {
	l := c.log(id)
	for len(l.pending) > 0 {
		p := &l.pending[0]
		reached := l.written
		if p.synced {
			reached = l.durable
		}
		if reached < p.end {
			return
		}
		fx.Responses = append(fx.Responses, p.response)
		l.pending = l.pending[1:]
	}
}

// newTestDriver makes a driver of a testCore over a directory of its own, with its
// goroutines running.
func newTestDriver(t testing.TB) (*Driver, *testCore) {
	c := &testCore{dir: t.TempDir(), logs: map[log.ID]*testLog{}, due: clock.Never}
	m := &metrics{}
	d := newDriver(c, &compress.Codec{}, newHandles(64, 64), m)
	m.driver = d
	y, err := newSyncer(d, c.dir)
	require.NoError(t, err)
	d.syncers = append(d.syncers, y)
	d.start(2)
	t.Cleanup(d.close)
	return d, c
}

// waitFor yields until a condition that other goroutines bring about holds.
func waitFor(t testing.TB, holds func() bool) {
	for deadline := time.Now().Add(20 * time.Second); !holds(); runtime.Gosched() {
		if time.Now().After(deadline) {
			require.FailNow(t, "what was waited for did not happen")
		}
	}
}

// eventsOf returns what a testCore has seen.
func (d *Driver) eventsOf(c *testCore) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), c.events...)
}
