package realnet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestBadFramesEndOnlyTheirConnection(t *testing.T) {
	_, _, address := newTestNetwork(t, connLimits{})
	healthy := dial(t, address)
	healthy.ping()
	size := func(n int32, rest ...byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(n)), rest...)
	}
	metadata := healthy.frame(metadataRequest(), "c")
	for name, frame := range map[string][]byte{
		"negative size":       size(-1),
		"smallest size":       size(-1 << 31),
		"size over the limit": size(100<<20 + 1),
		"empty":               size(0),
		"short header":        size(3, 0, 3, 0),
		"unknown key":         size(10, 0x7f, 0, 0, 0, 0, 0, 0, 1, 0, 0),
		"negative key":        size(10, 0xff, 0xff, 0, 0, 0, 0, 0, 1, 0, 0),
		"unknown version":     size(10, 0, 3, 0x7f, 0, 0, 0, 0, 1, 0, 0),
		"cut body":            append(size(int32(len(metadata)-6)), metadata[4:len(metadata)-2]...),
		"bytes behind":        append(size(int32(len(metadata)-3)), append(metadata[4:], 0)...),
		"http":                []byte("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, address)
			c.ping()
			c.send(frame)
			c.requireClosed()
			healthy.ping()
		})
	}
}

func TestGarbageIsSurvived(t *testing.T) {
	n, _, address := newTestNetwork(t, connLimits{requestBytesMax: 1 << 16})
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		c := dial(t, address)
		garbage := make([]byte, random.IntN(4096)+4)
		for i := range garbage {
			garbage[i] = byte(random.Uint32())
		}
		binary.BigEndian.PutUint32(garbage, uint32(random.IntN(len(garbage))))
		_, _ = c.Write(garbage)
		require.NoError(t, c.Close())
	}
	dial(t, address).ping()
	waitFor(t, func() bool { return len(n.all()) <= 1 })
}

func TestHugeFrameGetsNoMemoryBeforeItsBytes(t *testing.T) {
	n, _, address := newTestNetwork(t, connLimits{})
	c := dial(t, address)
	c.send(binary.BigEndian.AppendUint32(nil, 100<<20))
	c.send(make([]byte, 10))
	budget := &n.buffers.budget
	waitFor(t, func() bool { return budget.left() < budget.total })
	require.LessOrEqual(t, budget.total-budget.left(), int64(trustBytesMax))
	require.NoError(t, c.Close())
	waitFor(t, func() bool { return budget.left() == budget.total })
}

func TestFramesOfAllSizesArriveWhole(t *testing.T) {
	n, c, address := newTestNetwork(t, connLimits{})
	client := dial(t, address)
	random := rand.New(rand.NewPCG(3, 4))
	var want []byte
	for i, size := range []int{
		1, 100, slabBytesMin - 80, slabBytesMin, 60_000, slabBytesMax - 100, slabBytesMax,
		slabBytesMax + 1, 1 << 20, trustBytesMax, trustBytesMax + 1, 9_000_000, 17, 33_000_000, 1,
	} {
		records := make([]byte, size)
		for i := range records {
			records[i] = byte(random.Uint32())
		}
		want = append(want, records...)
		client.send(client.frame(produceRequest(0, int16(i%2)-int16((i+1)%2), records), ""))
		correlation, _ := client.receive()
		require.Equal(t, client.correlation, correlation)
	}
	got, err := os.ReadFile(filepath.Join(c.dir, "1.log"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
	budget := &n.buffers.budget
	waitFor(t, func() bool { return budget.left() == budget.total })
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	for _, acks := range []int16{1, -1} {
		t.Run(fmt.Sprint("acks=", acks), func(t *testing.T) {
			_, c, address := newTestNetwork(t, connLimits{inFlightMax: 10})
			client := dial(t, address)
			const requests = 500
			var frames, want []byte
			for i := range requests {
				records := bytes.Repeat([]byte{byte(i)}, 1+i*7%3000)
				want = append(want, records...)
				frames = append(frames, client.frame(produceRequest(0, acks, records), "")...)
			}
			go client.Write(frames)
			for i := range requests {
				correlation, _ := client.receive()
				require.EqualValues(t, i+1, correlation)
			}
			got, err := os.ReadFile(filepath.Join(c.dir, "1.log"))
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got))
		})
	}
}

func TestNoAnswerIsOwedForAcksNone(t *testing.T) {
	_, _, address := newTestNetwork(t, connLimits{inFlightMax: 3})
	client := dial(t, address)
	for range 20 {
		client.send(client.frame(produceRequest(0, 0, []byte("x")), ""))
	}
	client.ping()
}

func TestASlowReaderBlocksNobodyElse(t *testing.T) {
	n, _, address := newTestNetwork(t, connLimits{})
	slow, fast := dial(t, address), dial(t, address)
	const large = 32 << 20
	slow.send(slow.frame(kmsg.NewPtrDescribeClusterRequest(), fmt.Sprint(large)))
	waitFor(t, func() bool { return n.driver.metrics.requests[60].Load() == 1 })
	for range 200 {
		fast.ping()
	}
	correlation, size := slow.receive()
	require.EqualValues(t, 1, correlation)
	require.Greater(t, size, large)
	slow.send(slow.frame(metadataRequest(), ""))
	correlation, _ = slow.receive()
	require.EqualValues(t, 2, correlation)
}

func TestAClientThatNeverReadsIsNotReadForever(t *testing.T) {
	n, _, address := newTestNetwork(t, connLimits{inFlightMax: 4})
	c := dial(t, address)
	require.NoError(t, c.Conn.(*net.TCPConn).SetReadBuffer(4096))
	frame := c.frame(metadataRequest(), "1000000")
	require.NoError(t, c.SetWriteDeadline(time.Now().Add(300*time.Millisecond)))
	sent := 0
	for {
		if _, err := c.Write(frame); err != nil {
			break
		}
		sent++
	}
	require.Less(t, n.driver.metrics.requests[3].Load(), int64(sent))
	require.LessOrEqual(t, n.all()[0].waiting(), 4)
	dial(t, address).ping()
}

func (c *conn) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inFlight
}

func TestLargeRequestsWaitForMemory(t *testing.T) {
	n, _, address := newTestNetwork(t, connLimits{requestMemoryMax: 4 << 20})
	budget := &n.buffers.budget
	records := make([]byte, 3<<20)
	first := dial(t, address)
	frame := first.frame(produceRequest(0, 1, records), "")
	first.send(frame[:len(frame)-1])
	waitFor(t, func() bool { return budget.left() < 1<<20+100 })

	second := dial(t, address)
	frame2 := second.frame(produceRequest(1, 1, records), "")
	go second.Write(frame2)
	waitFor(t, func() bool { return budget.waiters() == 1 })
	dial(t, address).ping() // small requests need no share
	first.send(frame[len(frame)-1:])
	first.receive()
	second.receive()
	waitFor(t, func() bool { return budget.left() == budget.total })
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	n, _, address := newTestNetwork(t, connLimits{idleMax: 40 * time.Millisecond})
	c := dial(t, address)
	c.ping()
	c.requireClosed()
	require.EqualValues(t, 1, n.driver.metrics.idleClosed.Load())
}

func TestConnectionsBeyondTheLimitWait(t *testing.T) {
	n, _, address := newTestNetwork(t, connLimits{connectionsMax: 2})
	a, b := dial(t, address), dial(t, address)
	a.ping()
	b.ping()
	c := dial(t, address) // in the listener's backlog
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		c.ping()
	}()
	require.Len(t, n.all(), 2)
	select {
	case <-answered:
		require.Fail(t, "a third connection was served")
	default:
	}
	require.NoError(t, a.Close())
	<-answered
}

func TestConnectionsOfOneAddressAreBounded(t *testing.T) {
	n, _, address := newTestNetwork(t, connLimits{connectionsPerIPMax: 2})
	a, b := dial(t, address), dial(t, address)
	a.ping()
	b.ping()
	dial(t, address).requireClosed()
	require.NoError(t, a.Close())
	waitFor(t, func() bool { return len(n.all()) == 1 })
	dial(t, address).ping()
}

func TestManyConnectionsShareOneLog(t *testing.T) {
	_, c, address := newTestNetwork(t, connLimits{})
	const clients, requests = 16, 50
	var all sync.WaitGroup
	for i := range clients {
		client := dial(t, address)
		all.Go(func() {
			for range requests {
				client.send(client.frame(produceRequest(0, 1-2*int16(i%2), []byte{byte(i)}), ""))
				client.receive()
			}
		})
	}
	all.Wait()
	got, err := os.ReadFile(filepath.Join(c.dir, "1.log"))
	require.NoError(t, err)
	require.Len(t, got, clients*requests)
	for i := range clients {
		require.Equal(t, requests, bytes.Count(got, []byte{byte(i)}))
	}
}

func TestTheCoreClosesAConnectionAfterItsAnswers(t *testing.T) {
	_, _, address := newTestNetwork(t, connLimits{})
	c := dial(t, address)
	frames := c.frame(metadataRequest(), "100000")
	frames = append(frames, c.frame(closingRequest(), "")...)
	c.send(append(frames, c.frame(metadataRequest(), "")...))
	correlation, size := c.receive()
	require.EqualValues(t, 1, correlation)
	require.Greater(t, size, 100_000)
	c.requireClosed()
}
