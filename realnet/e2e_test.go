package realnet

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// node is a server under test.
type node struct {
	*Server
	t     testing.TB
	props map[string]string

	metricsAddress string
}

// startNode starts a node on a free port and waits until it serves.
func startNode(t testing.TB, dir string, props ...string) *node {
	n := &node{t: t, props: map[string]string{
		"node.id": "1", "process.roles": "broker,controller", "log.dirs": dir,
		"listeners": "PLAINTEXT://127.0.0.1:0", "offsets.topic.replication.factor": "1",
	}}
	for i := 0; i+1 < len(props); i += 2 {
		n.props[props[i]] = props[i+1]
	}
	n.start()
	t.Cleanup(func() { n.Close() })
	return n
}

func (n *node) start() {
	s, err := Start(Config{
		Properties: n.props, Logger: n.logger(), MetricsAddress: n.metricsAddress,
	})
	require.NoError(n.t, err)
	n.Server = s
	select {
	case <-s.Ready():
	case <-s.Done():
		require.NoError(n.t, s.Err())
	case <-time.After(30 * time.Second):
		require.FailNow(n.t, "the node did not become ready")
	}
}

// logger logs to the output of a test, and nowhere in a benchmark.
func (n *node) logger() *slog.Logger {
	if t, ok := n.t.(*testing.T); ok {
		return slog.New(slog.NewTextHandler(logWriter{t}, nil))
	}
	return nil
}

// logWriter writes log lines to a test's output.
type logWriter struct{ t testing.TB }

func (l logWriter) Write(p []byte) (int, error) {
	l.t.Logf("%s", bytes.TrimSpace(p))
	return len(p), nil
}

// shutdown stops the node cleanly.
func (n *node) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	require.NoError(n.t, n.Shutdown(ctx))
}

// client connects to the node.
func (n *node) client(opts ...kgo.Opt) *kgo.Client {
	opts = append([]kgo.Opt{kgo.SeedBrokers(n.Addr())}, opts...)
	c, err := kgo.NewClient(opts...)
	require.NoError(n.t, err)
	n.t.Cleanup(c.Close)
	return c
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func (n *node) createTopic(name string, partitions int32) {
	c, err := kgo.NewClient(kgo.SeedBrokers(n.Addr()))
	require.NoError(n.t, err)
	defer c.Close()
	_, err = kadm.NewClient(c).CreateTopic(testContext(n.t), partitions, 1, nil, name)
	require.NoError(n.t, err)
}

// consume reads records of a topic from the start until it has n.
func (n *node) consume(topic string, count int, opts ...kgo.Opt) []*kgo.Record {
	opts = append(opts, kgo.SeedBrokers(n.Addr()), kgo.ConsumeTopics(topic))
	c, err := kgo.NewClient(opts...)
	require.NoError(n.t, err)
	defer c.Close()
	ctx := testContext(n.t)
	var got []*kgo.Record
	for len(got) < count {
		fetches := c.PollFetches(ctx)
		require.NoError(n.t, fetches.Err())
		got = append(got, fetches.Records()...)
	}
	require.Len(n.t, got, count)
	return got
}

func TestProduceWithEveryCodecAndAck(t *testing.T) {
	n := startNode(t, t.TempDir())
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(),
		"lz4":    kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	acks := map[string][]kgo.Opt{
		"0":          {kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite()},
		"1":          {kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()},
		"all":        {kgo.RequiredAcks(kgo.AllISRAcks()), kgo.DisableIdempotentWrite()},
		"idempotent": nil,
	}
	for codec, compression := range codecs {
		for ack, opts := range acks {
			t.Run(codec+" "+ack, func(t *testing.T) {
				topic := codec + "-" + ack
				n.createTopic(topic, 3)
				c := n.client(append(opts, kgo.ProducerBatchCompression(compression))...)
				ctx := testContext(t)
				const count = 300
				want := map[string]bool{}
				for i := range count {
					r := &kgo.Record{
						Topic: topic, Key: fmt.Appendf(nil, "k%d", i),
						Value: bytes.Repeat(fmt.Appendf(nil, "%d,", i), 1+i%50),
					}
					want[string(r.Value)] = true
					c.Produce(ctx, r, func(_ *kgo.Record, err error) { require.NoError(t, err) })
				}
				require.NoError(t, c.Flush(ctx))
				for _, r := range n.consume(topic, count) {
					require.True(t, want[string(r.Value)])
					delete(want, string(r.Value))
				}
				require.Empty(t, want)
			})
		}
	}
}
