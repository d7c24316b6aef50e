package realnet

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// newTestNetwork serves a testCore on a free port.
func newTestNetwork(t testing.TB, l connLimits) (*network, *testCore, string) {
	d, c := newTestDriver(t)
	n := newNetwork(d, l, slog.New(slog.DiscardHandler))
	ln, err := bind("127.0.0.1:0")
	require.NoError(t, err)
	n.accept(&boundListener{Listener: ln, name: "PLAINTEXT"})
	n.running.Go(n.reap)
	t.Cleanup(n.close)
	return n, c, ln.Addr().String()
}

// rawClient speaks frames.
type rawClient struct {
	t testing.TB
	net.Conn
	correlation int32
}

func dial(t testing.TB, address string) *rawClient {
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	t.Cleanup(func() { c.Close() })
	return &rawClient{t: t, Conn: c}
}

// send writes bytes as they are.
func (c *rawClient) send(bytes []byte) {
	_, err := c.Write(bytes)
	require.NoError(c.t, err)
}

// frame makes a request with the next correlation id.
func (c *rawClient) frame(r kmsg.Request, clientID string) []byte {
	c.correlation++
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID)).
		AppendRequest(nil, r, c.correlation)
}

// receive reads an answer and returns its correlation id and how long it is.
func (c *rawClient) receive() (correlation int32, bytes int) {
	var prefix [4]byte
	_, err := io.ReadFull(c, prefix[:])
	require.NoError(c.t, err)
	frame := make([]byte, binary.BigEndian.Uint32(prefix[:]))
	_, err = io.ReadFull(c, frame)
	require.NoError(c.t, err)
	return int32(binary.BigEndian.Uint32(frame)), len(frame)
}

// requireClosed checks that the server ends the connection without another byte.
func (c *rawClient) requireClosed() {
	var b [1]byte
	n, err := c.Read(b[:])
	require.Zero(c.t, n, "the server sent something")
	var timeout net.Error
	if !errors.Is(err, io.EOF) {
		require.ErrorAs(c.t, err, &timeout)
		require.False(c.t, timeout.Timeout(), "the connection is still open")
	}
}

func metadataRequest() *kmsg.MetadataRequest {
	r := kmsg.NewPtrMetadataRequest()
	r.Version = 12
	return r
}

// closingRequest makes a testCore close the connection.
func closingRequest() *kmsg.ListConfigResourcesRequest {
	return kmsg.NewPtrListConfigResourcesRequest()
}

func produceRequest(partition int32, acks int16, records []byte) *kmsg.ProduceRequest {
	r := kmsg.NewPtrProduceRequest()
	r.Version, r.Acks, r.TimeoutMillis = 9, acks, 10_000
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = "t"
	part := kmsg.NewProduceRequestTopicPartition()
	part.Partition, part.Records = partition, records
	topic.Partitions = append(topic.Partitions, part)
	r.Topics = append(r.Topics, topic)
	return r
}

// ping sends a request and waits for its answer.
func (c *rawClient) ping() {
	c.send(c.frame(metadataRequest(), ""))
	correlation, _ := c.receive()
	require.Equal(c.t, c.correlation, correlation)
}
