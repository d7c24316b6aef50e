package realnet

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// members are the clients of one group, with what they were given.
type members struct {
	t    *testing.T
	n    *node
	opts []kgo.Opt

	mu      sync.Mutex
	changed *sync.Cond
	owned   map[*kgo.Client]map[int32]bool
	values  map[string]int // how often each record was seen
	running sync.WaitGroup
}

func newMembers(t *testing.T, n *node, opts ...kgo.Opt) *members {
	m := &members{
		t: t, n: n, opts: opts, owned: map[*kgo.Client]map[int32]bool{}, values: map[string]int{},
	}
	m.changed = sync.NewCond(&m.mu)
	return m
}

// join adds a client that consumes until it is closed.
func (m *members) join() *kgo.Client {
	give := func(_ context.Context, c *kgo.Client, parts map[string][]int32) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, p := range parts["t"] {
			for other, owned := range m.owned {
				require.False(m.t, owned[p] && other != c, "partition %d is given to two members", p)
			}
			if m.owned[c] == nil {
				m.owned[c] = map[int32]bool{}
			}
			m.owned[c][p] = true
		}
		m.changed.Broadcast()
	}
	take := func(_ context.Context, c *kgo.Client, parts map[string][]int32) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, p := range parts["t"] {
			delete(m.owned[c], p)
		}
		m.changed.Broadcast()
	}
	commit := func(ctx context.Context, c *kgo.Client, parts map[string][]int32) {
		require.NoError(m.t, c.CommitMarkedOffsets(ctx))
		take(ctx, c, parts)
	}
	c := m.n.client(append([]kgo.Opt{
		kgo.ConsumerGroup("g"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.AutoCommitMarks(),
		kgo.OnPartitionsAssigned(give), kgo.OnPartitionsRevoked(commit), kgo.OnPartitionsLost(take),
		kgo.BlockRebalanceOnPoll(),
	}, m.opts...)...)
	m.running.Go(func() {
		for {
			fetches := c.PollFetches(context.Background())
			if fetches.IsClientClosed() {
				c.AllowRebalance()
				return
			}
			m.mu.Lock()
			fetches.EachRecord(func(r *kgo.Record) { m.values[string(r.Value)]++ })
			m.changed.Broadcast()
			m.mu.Unlock()
			c.MarkCommitRecords(fetches.Records()...)
			c.AllowRebalance()
		}
	})
	return c
}

// await waits until something is true of the members.
func (m *members) await(what func() bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	stop := context.AfterFunc(testContext(m.t), func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.changed.Broadcast()
	})
	defer stop()
	ctx := testContext(m.t)
	for !what() {
		require.NoError(m.t, ctx.Err(), "owned %v, records %d", m.shares(), len(m.values))
		m.changed.Wait()
	}
}

// shares are how many partitions each member has, rising.
func (m *members) shares() []int {
	var shares []int
	for _, owned := range m.owned {
		shares = append(shares, len(owned))
	}
	slices.Sort(shares)
	return shares
}

func (m *members) leave(c *kgo.Client) {
	c.CloseAllowingRebalance()
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.owned, c)
}

func produceNumbers(t *testing.T, n *node, from, to int) {
	c := n.client(kgo.DefaultProduceTopic("t"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := from; i < to; i++ {
		r := &kgo.Record{Partition: int32(i % 12), Value: fmt.Append(nil, i)}
		c.Produce(testContext(t), r, func(_ *kgo.Record, err error) { require.NoError(t, err) })
	}
	require.NoError(t, c.Flush(testContext(t)))
	c.Close()
}

// Three members share twelve partitions, one leaves, and what they have committed outlives
// the node.
func TestGroups(t *testing.T) {
	for name, opts := range map[string][]kgo.Opt{ // in any order
		"range":              {kgo.Balancers(kgo.RangeBalancer())},
		"sticky":             {kgo.Balancers(kgo.StickyBalancer())},
		"cooperative-sticky": {kgo.Balancers(kgo.CooperativeStickyBalancer())},
		"consumer uniform":   {kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer()},
		"consumer range":     {kgo.Balancers(kgo.RangeBalancer()), kgo.ServerSideBalancer()},
		"regular expression": {
			kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer(), kgo.ConsumeRegex(),
		},
	} {
		topic := "t"
		if name == "regular expression" {
			topic = "^t$"
		}
		t.Run(name, func(t *testing.T) {
			shareAndLeave(t, append(opts, kgo.ConsumeTopics(topic)))
		})
	}
}

func shareAndLeave(t *testing.T, opts []kgo.Opt) {
	n := startNode(t, t.TempDir(), "group.initial.rebalance.delay.ms", "50",
		"group.consumer.min.heartbeat.interval.ms", "100",
		"group.consumer.heartbeat.interval.ms", "100")
	n.createTopic("t", 12)
	opts = append(opts, kgo.HeartbeatInterval(100*time.Millisecond))
	m := newMembers(t, n, opts...)
	produceNumbers(t, n, 0, 600)
	clients := []*kgo.Client{m.join(), m.join(), m.join()}
	m.await(func() bool { return slices.Equal(m.shares(), []int{4, 4, 4}) })
	produceNumbers(t, n, 600, 1200)
	m.await(func() bool { return len(m.values) == 1200 })

	m.leave(clients[0])
	m.await(func() bool { return slices.Equal(m.shares(), []int{6, 6}) })
	m.leave(clients[1])
	m.leave(clients[2])
	m.running.Wait()

	n.Close() // without a shutdown
	n.start()
	produceNumbers(t, n, 1200, 1300)
	again := newMembers(t, n, opts...)
	c := again.join()
	again.await(func() bool {
		return len(again.values) == 100 && slices.Equal(again.shares(), []int{12})
	})
	require.Contains(t, again.values, "1200")
	require.Contains(t, again.values, "1299")
	again.leave(c)
	again.running.Wait()

	admin := kadm.NewClient(n.client())
	committed, err := admin.FetchOffsets(testContext(t), "g")
	require.NoError(t, err)
	total := int64(0)
	committed.Each(func(o kadm.OffsetResponse) { total += o.At })
	require.Equal(t, int64(1300), total)
	deleted, err := admin.DeleteGroup(testContext(t), "g")
	require.NoError(t, err)
	require.NoError(t, deleted.Err)
	groups, err := admin.ListGroups(testContext(t))
	require.NoError(t, err)
	require.Empty(t, groups)
}

// librdkafka's balanced consumer, as kcat has it.
func TestKcatInAGroup(t *testing.T) {
	kcat, err := exec.LookPath("kcat")
	if err != nil {
		t.Skip("kcat is not installed")
	}
	n := startNode(t, t.TempDir(), "group.initial.rebalance.delay.ms", "50")
	n.createTopic("t", 12)
	produceNumbers(t, n, 0, 100)
	for round := range 2 {
		out, err := exec.CommandContext(testContext(t), kcat, "-b", n.Addr(), "-G", "g", "-e", "-q",
			"-X", "auto.offset.reset=earliest", "t").Output()
		require.NoError(t, err)
		require.Len(t, strings.Fields(string(out)), 100, "round %d", round)
		produceNumbers(t, n, 0, 100)
	}
}
