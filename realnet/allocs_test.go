//go:build !race

package realnet

import (
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/compress"
	"github.com/heiban/heiban/core/wire"
)

// The way of a Produce through sockets, driver and disk allocates nothing. What is
// left is the core's.
func TestAProduceAllocatesNothingHere(t *testing.T) {
	n := startNode(t, t.TempDir())
	n.createTopic("t", 1)
	c := dial(t, n.Addr())
	require.NoError(t, c.SetDeadline(time.Time{}))
	answer := make([]byte, 512)
	frame := c.frame(produceRequest(0, 1, batchOf(1<<10)), "")
	produce := func() {
		_, err := c.Write(frame)
		if err == nil {
			_, err = io.ReadFull(c, answer[:4])
		}
		if err == nil {
			_, err = io.ReadFull(c, answer[4:4+int(answer[3])])
		}
		if err != nil {
			t.Error(err)
		}
	}
	const ofTheCore = 1 // the rules in Prepare
	require.LessOrEqual(t, testing.AllocsPerRun(2000, produce), float64(ofTheCore))
}

// steadyCore asks again as soon as it is answered.
type steadyCore struct {
	request wire.FetchRequest
	header  wire.Header
	dial    core.Dial
}

func (c *steadyCore) Deadline() clock.Instant { return clock.Never }

func (c *steadyCore) Step(_ clock.Time, ev core.Event, fx *core.Effects) {
	fx.Reset()
	switch ev := ev.(type) {
	case *core.TimerFired:
		fx.Dials = append(fx.Dials, c.dial)
	case *core.LinkOpened:
		c.ask(ev.Link, fx)
	case *core.ResponseArrived:
		c.ask(ev.Link, fx)
	default:
	}
}

func (c *steadyCore) ask(id core.LinkID, fx *core.Effects) {
	c.header.CorrelationID++
	fx.Sends = append(fx.Sends, core.LinkRequest{Link: id, Header: c.header, Body: &c.request})
}

// A follower's Fetch goes out and its answer comes in without allocation.
func TestAFetchOfAFollowerAllocatesNothingHere(t *testing.T) {
	c := &steadyCore{
		request: *fetchRequest(), header: wire.Header{ClientID: "follower", Key: 1, Version: 17},
	}
	m := &metrics{}
	d := newDriver(c, &compress.Codec{}, newHandles(8, 8), m)
	m.driver = d
	t.Cleanup(d.close)
	n := newNetwork(d, connLimits{}, slog.New(slog.DiscardHandler))
	t.Cleanup(n.close)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	c.dial = core.Dial{Link: 1, Host: "127.0.0.1", Port: port(ln)}
	turn := d.newTurn()
	d.step(turn, &core.TimerFired{}, nil)
	socket, err := ln.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { socket.Close() })

	partition := wire.FetchedPartition{
		Records: batchOf(1 << 10), DivergingEpoch: -1, LeaderEpoch: -1,
	}
	answer := wire.AppendResponse(nil, &c.header,
		&wire.FetchResponse{Partitions: []wire.FetchedPartition{partition}})
	request := make([]byte, 512)
	fetch := func() {
		_, err := io.ReadFull(socket, request[:sizePrefix])
		if err == nil {
			_, err = io.ReadFull(socket, request[:binary.BigEndian.Uint32(request)])
		}
		copy(answer[sizePrefix:], request[4:8]) // the correlation id
		if err == nil {
			_, err = socket.Write(answer)
		}
		if err != nil {
			t.Error(err)
		}
	}
	require.Zero(t, int(testing.AllocsPerRun(2000, fetch)))
}
