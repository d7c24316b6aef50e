package realnet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestALongPollEndsWhenARecordArrives(t *testing.T) {
	n := startNode(t, t.TempDir())
	n.createTopic("t", 1)
	consumer := n.client(kgo.ConsumeTopics("t"), kgo.FetchMaxWait(30*time.Second))
	producer := n.client(kgo.DefaultProduceTopic("t"))
	ctx := testContext(t)
	for i := range 20 {
		arrived := make(chan *kgo.Record)
		go func() {
			fetches := consumer.PollFetches(ctx)
			for _, r := range fetches.Records() {
				arrived <- r
			}
		}()
		value := fmt.Sprint(i)
		require.NoError(t, producer.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr())
		require.Equal(t, value, string((<-arrived).Value))
	}
}

func TestLargeRecords(t *testing.T) {
	n := startNode(t, t.TempDir(), "message.max.bytes", "10000000")
	n.createTopic("t", 1)
	ctx := testContext(t)
	c := n.client(kgo.DefaultProduceTopic("t"), kgo.ProducerBatchMaxBytes(10_000_000),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	random := rand.New(rand.NewPCG(5, 6))
	var want []string
	for _, size := range []int{1, 1 << 20, 100, 1 << 20, 5 << 20, 1 << 20} {
		value := make([]byte, size)
		for i := range value {
			value[i] = byte(random.Uint32())
		}
		want = append(want, string(value))
		require.NoError(t, c.ProduceSync(ctx, &kgo.Record{Value: value}).FirstErr())
	}
	for i, r := range n.consume("t", len(want), kgo.FetchMaxBytes(1<<20)) {
		require.True(t, want[i] == string(r.Value), "record %d is not what was produced", i)
	}
}

func TestTwoThousandPartitions(t *testing.T) {
	const partitions = 2000
	dir := t.TempDir()
	n := startNode(t, dir)
	n.createTopic("t", partitions)
	produce := func(round int) {
		c := n.client(kgo.DefaultProduceTopic("t"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		ctx := testContext(t)
		for p := range int32(partitions) {
			r := &kgo.Record{Partition: p, Value: fmt.Appendf(nil, "%d %d", round, p)}
			c.Produce(ctx, r, func(_ *kgo.Record, err error) { require.NoError(t, err) })
		}
		require.NoError(t, c.Flush(ctx))
		c.Close()
	}
	produce(1)
	n.shutdown()
	n.start()
	produce(2)
	seen := map[string]bool{}
	for _, r := range n.consume("t", 2*partitions) {
		require.False(t, seen[string(r.Value)])
		seen[string(r.Value)] = true
	}
}

func TestARestartKeepsEverything(t *testing.T) {
	n := startNode(t, t.TempDir())
	n.createTopic("t", 5)
	var want []string
	for round := range 3 {
		c := n.client(kgo.DefaultProduceTopic("t"))
		ctx := testContext(t)
		for i := range 200 {
			value := fmt.Sprint(round, " ", i)
			want = append(want, value)
			require.NoError(t, c.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr())
		}
		c.Close()
		n.shutdown()
		n.start()
	}
	var got []string
	for _, r := range n.consume("t", len(want)) {
		got = append(got, string(r.Value))
	}
	require.ElementsMatch(t, want, got)
	c := n.client()
	meta, err := kadm.NewClient(c).Metadata(testContext(t))
	require.NoError(t, err)
	require.Contains(t, meta.Topics, "t")
}

// A node that is closed without a shutdown keeps what it has acknowledged.
func TestACrashKeepsWhatIsAcknowledged(t *testing.T) {
	n := startNode(t, t.TempDir())
	n.createTopic("t", 3)
	var mu sync.Mutex
	acked := map[string]bool{}
	produced := 0
	for round := range 4 {
		c := n.client(kgo.DefaultProduceTopic("t"), kgo.RecordRetries(0))
		ctx, cancel := context.WithCancel(testContext(t))
		crash := make(chan struct{})
		for i := range 2000 {
			produced++
			value := fmt.Sprint(round, " ", i)
			c.Produce(ctx, kgo.StringRecord(value), func(_ *kgo.Record, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					acked[value] = true
				}
				if i == 1000 {
					close(crash)
				}
			})
		}
		<-crash
		n.Close()
		cancel()
		c.Close()
		n.start()
	}
	mu.Lock()
	defer mu.Unlock()
	require.NotEmpty(t, acked)
	c := n.client(kgo.ConsumeTopics("t"))
	ctx := testContext(t)
	seen := map[string]bool{}
	for len(acked) > 0 {
		fetches := c.PollFetches(ctx)
		require.NoError(t, fetches.Err(), "%d acknowledged records are gone", len(acked))
		fetches.EachRecord(func(r *kgo.Record) {
			require.False(t, seen[string(r.Value)], "record %q is there twice", r.Value)
			seen[string(r.Value)] = true
			delete(acked, string(r.Value))
		})
	}
	require.LessOrEqual(t, len(seen), produced)
}

func TestTwoNodesCannotShareADirectory(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir)
	_, err := Start(Config{Properties: n.props})
	require.ErrorContains(t, err, "is in use by another process (pid")
	require.ErrorContains(t, err, "log.dirs")
}

func TestAPortInUseIsNamed(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	dir := t.TempDir()
	_, err = Start(Config{Properties: map[string]string{
		"log.dirs": dir, "listeners": "PLAINTEXT://" + ln.Addr().String(), "node.id": "1",
		"process.roles": "broker,controller",
	}})
	require.ErrorContains(t, err, "listen on "+ln.Addr().String())
	require.ErrorContains(t, err, "listeners")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries, "nothing was touched")
}

func TestADirectoryThatCannotBeMadeIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o644))
	_, err := Start(Config{Properties: map[string]string{
		"log.dirs": filepath.Join(path, "dir"), "listeners": "PLAINTEXT://127.0.0.1:0",
		"node.id": "1", "process.roles": "broker,controller",
	}})
	require.ErrorContains(t, err, "log directory "+path)
}

func TestAForeignDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir)
	n.shutdown()
	path := filepath.Join(dir, "meta.properties")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), "node.id=1")
	require.NoError(t, os.WriteFile(path,
		[]byte(strings.Replace(string(text), "node.id=1", "node.id=7", 1)), 0o644))
	s, err := Start(Config{Properties: n.props})
	require.NoError(t, err)
	<-s.Done()
	require.ErrorContains(t, s.Err(), "7")
	s.Close()
}
