package realnet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
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

// followerCore writes the records of Fetch answers to a file, one behind the other, and
// notes what becomes of its links. A request goes out when the test says so.
type followerCore struct {
	file   log.FileRef
	pos    int64
	order  func(fx *core.Effects)
	events []string
}

func (c *followerCore) Deadline() clock.Instant { return clock.Never }

func (c *followerCore) Step(_ clock.Time, ev core.Event, fx *core.Effects) {
	fx.Reset()
	switch ev := ev.(type) {
	case *core.TimerFired:
		c.order(fx)
	case *core.LinkOpened:
		c.note("link %d opened", ev.Link)
	case *core.LinkClosed:
		c.note("link %d closed", ev.Link)
	case *core.ResponseArrived:
		c.note("answer %d on %d", ev.CorrelationID, ev.Link)
		if fetched, ok := ev.Response.(*wire.FetchResponse); ok {
			c.append(fetched, fx)
		}
	default:
	}
}

func (c *followerCore) append(fetched *wire.FetchResponse, fx *core.Effects) {
	for i := range fetched.Partitions {
		records := fetched.Partitions[i].Records
		fx.Writes = append(fx.Writes, log.Write{
			Log: 1, File: c.file, Data: records, Pos: c.pos, EndOffset: c.pos + int64(len(records)),
			Create: true,
		})
		c.pos += int64(len(records))
	}
}

func (c *followerCore) note(format string, args ...any) {
	c.events = append(c.events, fmt.Sprintf(format, args...))
}

// follower is a node with links to a far node that the test plays.
type follower struct {
	*network
	t      *testing.T
	core   *followerCore
	listen net.Listener
	last   core.LinkID
	serial int32
}

func newFollower(t *testing.T, l connLimits) *follower {
	c := &followerCore{file: log.FileRef{ID: 1, Path: filepath.Join(t.TempDir(), "1.log")}}
	m := &metrics{}
	d := newDriver(c, &compress.Codec{}, newHandles(8, 8), m)
	m.driver = d
	t.Cleanup(d.close)
	n := newNetwork(d, l, slog.New(slog.DiscardHandler))
	t.Cleanup(n.close)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	return &follower{network: n, t: t, core: c, listen: ln}
}

// give has the core order something.
func (f *follower) give(order func(fx *core.Effects)) {
	d := f.driver
	t := d.newTurn()
	d.mu.Lock()
	f.core.order = order
	d.stepLocked(t, &core.TimerFired{}, nil)
	d.mu.Unlock()
	t.drain()
}

// dial orders a link, and returns it with the far node's end once that is there.
func (f *follower) dial() (core.LinkID, *rawClient) {
	id := f.dialPort(port(f.listen))
	socket, err := f.listen.Accept()
	require.NoError(f.t, err)
	f.t.Cleanup(func() { socket.Close() })
	require.NoError(f.t, socket.SetDeadline(time.Now().Add(20*time.Second)))
	f.awaits("link %d opened", id)
	return id, &rawClient{t: f.t, Conn: socket}
}

func (f *follower) dialPort(port int32) core.LinkID {
	f.last++
	f.give(func(fx *core.Effects) {
		fx.Dials = append(fx.Dials, core.Dial{Link: f.last, Host: "127.0.0.1", Port: port})
	})
	return f.last
}

func (f *follower) ask(id core.LinkID, clientID string, body wire.Request) {
	f.serial++
	key, version := wire.Identify(body)
	f.give(func(fx *core.Effects) {
		fx.Sends = append(fx.Sends, core.LinkRequest{Link: id, Body: body, Header: wire.Header{
			ClientID: clientID, CorrelationID: f.serial, Key: key, Version: version,
		}})
	})
}

func (f *follower) hangUp(id core.LinkID) {
	f.give(func(fx *core.Effects) { fx.Hangups = append(fx.Hangups, id) })
}

func (f *follower) seen() []string {
	f.driver.mu.Lock()
	defer f.driver.mu.Unlock()
	return append([]string(nil), f.core.events...)
}

// awaits waits until the core has seen something.
func (f *follower) awaits(format string, args ...any) {
	want := fmt.Sprintf(format, args...)
	waitFor(f.t, func() bool { return bytes.Contains([]byte(fmt.Sprint(f.seen())), []byte(want)) })
}

// request reads a request as a node does.
func (c *rawClient) request() (h wire.Header, r wire.Request) {
	var prefix [4]byte
	_, err := io.ReadFull(c, prefix[:])
	require.NoError(c.t, err)
	frame := make([]byte, binary.BigEndian.Uint32(prefix[:]))
	_, err = io.ReadFull(c, frame)
	require.NoError(c.t, err)
	body, err := wire.ParseHeader(frame, &h)
	require.NoError(c.t, err)
	r, err = wire.Parse(&h, body)
	require.NoError(c.t, err)
	return h, r
}

func fetchRequest() *wire.FetchRequest {
	return &wire.FetchRequest{
		Version: 17, ReplicaID: 1, ReplicaEpoch: 1, MaxWaitMillis: 500, MaxBytes: 1 << 20,
	}
}

// The records of Fetch answers are written from where they were read, while more are
// read, and the memory is given back when they are written.
func TestFetchAnswersOfAllSizesAreWritten(t *testing.T) {
	f := newFollower(t, connLimits{})
	id, far := f.dial()
	random := rand.New(rand.NewPCG(5, 6))
	var want []byte
	sizes := []int{
		1, 1000, slabBytesMin, 60_000, slabBytesMax - 100, slabBytesMax, 1 << 20,
		trustBytesMax + 1, 0, 7, 9_000_000, 17,
	}
	for range sizes {
		f.ask(id, "follower", fetchRequest())
	}
	var answers []byte
	for i, size := range sizes {
		h, r := far.request()
		require.Equal(t, int32(i+1), h.CorrelationID)
		require.Equal(t, "follower", h.ClientID)
		require.Equal(t, fetchRequest(), r)
		records := make([]byte, size)
		for i := range records {
			records[i] = byte(random.Uint32())
		}
		want = append(want, records...)
		answers = wire.AppendResponse(answers, &h, &wire.FetchResponse{
			Partitions: []wire.FetchedPartition{{
				Records: records[:size/2], DivergingEpoch: -1, LeaderEpoch: -1,
			}, {
				Records: records[size/2:], Partition: 1, DivergingEpoch: -1, LeaderEpoch: -1,
			}},
		})
	}
	far.send(answers) // all at once
	f.awaits("answer %d on %d", len(sizes), id)
	waitFor(t, func() bool {
		info, err := os.Stat(f.core.file.Path)
		return err == nil && info.Size() == int64(len(want))
	})
	budget := &f.buffers.budget
	waitFor(t, func() bool { return budget.left() == budget.total })
	got, err := os.ReadFile(f.core.file.Path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
	require.Greater(t, f.driver.metrics.linkReceived.Load(), int64(len(want)))
}

func TestLinksThatCannotBeOpened(t *testing.T) {
	f := newFollower(t, connLimits{})
	at := port(f.listen)
	require.NoError(t, f.listen.Close())
	f.awaits("link %d closed", f.dialPort(at))
	require.NotContains(t, f.seen(), "link 1 opened")

	hurried := newFollower(t, connLimits{setupTimeout: time.Nanosecond})
	hurried.awaits("link %d closed", hurried.dialPort(port(hurried.listen)))
	require.NotContains(t, hurried.seen(), "link 1 opened")
}

func TestBadAnswersEndTheirLink(t *testing.T) {
	f := newFollower(t, connLimits{requestBytesMax: 1 << 16})
	answer := func(h wire.Header) []byte {
		return wire.AppendResponse(nil, &h, kmsg.NewPtrMetadataResponse())
	}
	for _, tt := range []struct {
		name  string
		frame func(h wire.Header) []byte
	}{
		{"another correlation id", func(h wire.Header) []byte { h.CorrelationID++; return answer(h) }},
		{"cut", func(h wire.Header) []byte {
			b := answer(h)
			b = b[:len(b)-3]
			binary.BigEndian.PutUint32(b, uint32(len(b)-4))
			return b
		}},
		{"too large", func(wire.Header) []byte { return []byte{0, 2, 0, 0} }},
		{"empty", func(wire.Header) []byte { return []byte{0, 0, 0, 0} }},
		{"the end", func(wire.Header) []byte { return nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id, far := f.dial()
			f.ask(id, "", metadataRequest())
			h, _ := far.request()
			far.send(tt.frame(h))
			if tt.name == "the end" {
				require.NoError(t, far.Close())
			}
			f.awaits("link %d closed", id)
			require.NotContains(t, f.seen(), fmt.Sprintf("answer %d on %d", h.CorrelationID, id))
		})
	}
	t.Run("nothing was asked", func(t *testing.T) {
		id, far := f.dial()
		far.send(answer(wire.Header{Key: 3, Version: 12, CorrelationID: f.serial}))
		f.awaits("link %d closed", id)
	})
	waitFor(t, func() bool { return len(f.allPeers()) == 0 })
	require.Equal(t, f.driver.metrics.linksOpened.Load(), f.driver.metrics.linksClosed.Load())
}

// Of a link that is hung up nothing is heard, and what was asked before still goes out.
func TestHungUpLinks(t *testing.T) {
	f := newFollower(t, connLimits{})
	id, far := f.dial()
	f.give(func(fx *core.Effects) {
		for i := range 100 {
			fx.Sends = append(fx.Sends, core.LinkRequest{
				Link: id, Body: &wire.RaftRequest{Message: make([]byte, 10_000), From: 1},
				Header: wire.Header{Key: wire.RaftKey, CorrelationID: int32(i + 1)},
			})
		}
		fx.Hangups = append(fx.Hangups, id)
	})
	for i := range 100 {
		h, r := far.request()
		require.Equal(t, int32(i+1), h.CorrelationID)
		require.Len(t, r.(*wire.RaftRequest).Message, 10_000)
	}
	far.requireClosed()
	f.hangUp(f.dialPort(port(f.listen))) // which may be open by then
	f.hangUp(id)
	f.ask(id, "", metadataRequest())
	waitFor(t, func() bool { return len(f.allPeers()) == 0 })
	require.NotContains(t, f.seen(), fmt.Sprintf("link %d closed", id))
	require.NotContains(t, f.seen(), fmt.Sprintf("link %d closed", f.last))
}

// A node that does not read its requests holds up nobody, and is got rid of.
func TestAFarNodeThatDoesNotRead(t *testing.T) {
	f := newFollower(t, connLimits{})
	stuck, far := f.dial()
	require.NoError(t, far.Conn.(*net.TCPConn).SetReadBuffer(4096))
	message := &wire.RaftRequest{Message: make([]byte, 1<<20)}
	for range 32 {
		f.ask(stuck, "", message)
	}
	id, other := f.dial()
	f.ask(id, "", metadataRequest())
	h, _ := other.request()
	other.send(wire.AppendResponse(nil, &h, kmsg.NewPtrMetadataResponse()))
	f.awaits("answer %d on %d", h.CorrelationID, id)
	f.hangUp(stuck)
	waitFor(t, func() bool { return len(f.allPeers()) == 1 })
}

// The end of the node ends its links, whatever they are doing.
func TestClosingEndsLinks(t *testing.T) {
	f := newFollower(t, connLimits{})
	_, _ = f.dial()
	stuck, _ := f.dial()
	for range 32 {
		f.ask(stuck, "", &wire.RaftRequest{Message: make([]byte, 1<<20)})
	}
	for range 10 {
		f.dialPort(port(f.listen))
	}
	f.close()
	require.Empty(t, f.allPeers())
	f.dialPort(port(f.listen))
	require.Empty(t, f.driver.peers)
}

// The controller's listener serves from the start, and not what the others serve.
func TestListenersOfControllers(t *testing.T) {
	s, err := Start(Config{Properties: map[string]string{
		"log.dirs": t.TempDir(), "node.id": "1", "max.connections": "1",
		"listeners":                 "CONTROLLER://127.0.0.1:0,PLAINTEXT://127.0.0.1:0",
		"controller.listener.names": "CONTROLLER",
	}})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	<-s.Ready()
	const alterPartition = 56
	client := dial(t, s.Addr())
	require.NotContains(t, client.apiKeys(), int16(alterPartition))
	// Clients have taken all connections there are.
	controller := dial(t, s.bound[0].Addr().String())
	require.Contains(t, controller.apiKeys(), int16(alterPartition))
	require.NotEqual(t, s.Addr(), s.bound[0].Addr().String())

	_, err = Start(Config{Properties: map[string]string{
		"log.dirs": t.TempDir(), "node.id": "1", "listeners": "CONTROLLER://127.0.0.1:0",
		"controller.listener.names": "CONTROLLER",
	}})
	require.ErrorContains(t, err, "there is none for clients")
}

func (c *rawClient) apiKeys() []int16 {
	req := kmsg.NewPtrApiVersionsRequest()
	c.send(c.frame(req, ""))
	var prefix [4]byte
	_, err := io.ReadFull(c, prefix[:])
	require.NoError(c.t, err)
	frame := make([]byte, binary.BigEndian.Uint32(prefix[:]))
	_, err = io.ReadFull(c, frame)
	require.NoError(c.t, err)
	resp := kmsg.NewPtrApiVersionsResponse()
	require.NoError(c.t, resp.ReadFrom(frame[4:]))
	var keys []int16
	for _, k := range resp.ApiKeys {
		keys = append(keys, k.ApiKey)
	}
	return keys
}
