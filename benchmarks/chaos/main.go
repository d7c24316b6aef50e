// Command chaos runs a cluster of real processes under load while it kills, pauses and
// restarts its nodes, and then demands that every acknowledged record is there once and
// in order. It prints how long partitions were unavailable after each disturbance.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/heiban/heiban/benchmarks"
)

type settings struct {
	broker     string
	overrides  string
	port       int
	nodes      int
	partitions int
	producers  int
	rate       int // records a second of a producer to a partition
	duration   time.Duration
	every      time.Duration
	session    time.Duration
	seed       uint64
	controlled bool
}

func main() {
	var s settings
	flag.StringVar(&s.broker, "broker", "bin/heiban", "the heiban binary")
	flag.IntVar(&s.port, "port", 19492, "the first port of the cluster")
	flag.IntVar(&s.nodes, "nodes", 3, "nodes")
	flag.IntVar(&s.partitions, "partitions", 12, "partitions")
	flag.IntVar(&s.producers, "producers", 3, "idempotent producers with acks=all")
	flag.IntVar(&s.rate, "rate", 50, "records a second of a producer to each partition")
	flag.DurationVar(&s.duration, "duration", 5*time.Minute, "how long nodes are disturbed")
	flag.DurationVar(&s.every, "every", 8*time.Second, "mean time between disturbances")
	flag.DurationVar(&s.session, "session", 3*time.Second, "broker.session.timeout.ms")
	flag.Uint64Var(&s.seed, "seed", 1, "of the choice of disturbances")
	flag.BoolVar(&s.controlled, "controlled", false,
		"only stop nodes cleanly, one after the other: a rolling restart")
	flag.StringVar(&s.overrides, "o", "", "key=value,... for every node")
	flag.Parse()
	if err := s.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

const topic = "chaos"

// killAll is the disturbance that kills all nodes at once: one of killAllEvery.
const (
	killAll      = "kill all"
	killAllEvery = 6
)

func (s *settings) run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "heiban-chaos")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	overrides := []string{
		fmt.Sprintf("broker.session.timeout.ms=%d", s.session.Milliseconds()),
		fmt.Sprintf("broker.heartbeat.interval.ms=%d", s.session.Milliseconds()/6),
	}
	for override := range strings.SplitSeq(s.overrides, ",") {
		if override != "" {
			overrides = append(overrides, override)
		}
	}
	c, err := benchmarks.StartCluster(&benchmarks.ClusterConfig{
		Broker: s.broker, Dir: dir, Nodes: s.nodes, Port: s.port, Restart: true,
		Overrides: overrides,
	})
	if err != nil {
		return err
	}
	defer c.Stop()
	fmt.Println(c.ReadyLine)
	if err := s.makeTopic(ctx, c); err != nil {
		return err
	}
	l := newLoad(s)
	loading, stopLoad := context.WithCancel(ctx)
	defer stopLoad()
	if err := l.start(loading, c.Bootstrap); err != nil {
		return err
	}
	s.disturb(c, l)
	const settle = 15 * time.Second
	time.Sleep(settle)
	stopLoad()
	if err := l.finish(); err != nil {
		return err
	}
	return l.verify(ctx, c.Bootstrap)
}

func (s *settings) makeTopic(ctx context.Context, c *benchmarks.Cluster) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Bootstrap...))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	two := strconv.Itoa(min(s.nodes, 2))
	made, err := admin.CreateTopic(ctx, int32(s.partitions), int16(min(s.nodes, 3)),
		map[string]*string{"min.insync.replicas": &two}, topic)
	if err != nil {
		return fmt.Errorf("create topic: %w", err)
	}
	return made.Err
}

// disturb kills, pauses and stops nodes for a time, and prints what partitions felt.
func (s *settings) disturb(c *benchmarks.Cluster, l *load) {
	random := rand.New(rand.NewPCG(s.seed, 0))
	time.Sleep(5 * time.Second) // until all partitions are written to
	end := time.Now().Add(s.duration)
	worst := map[string]time.Duration{}
	for i := 0; time.Now().Before(end); i++ {
		begun := time.Now()
		what := "stop"
		var node int
		switch {
		case s.controlled:
			node = i%s.nodes + 1
			c.Signal(node, syscall.SIGTERM)
		case random.IntN(killAllEvery) == 0:
			what = killAll
			for other := 1; other <= s.nodes; other++ {
				c.Signal(other, syscall.SIGKILL)
			}
		default:
			node = random.IntN(s.nodes) + 1
			what = "kill"
			c.Signal(node, syscall.SIGKILL)
			if other := random.IntN(s.nodes) + 1; other != node && random.IntN(2) == 0 {
				what = "kill " + strconv.Itoa(node) + " and pause " + strconv.Itoa(other)
				c.Pause(other, time.Duration(500+random.IntN(4000))*time.Millisecond)
			}
		}
		time.Sleep(s.every/2 + time.Duration(random.Int64N(int64(s.every))))
		gap, partition := l.longestGap(begun)
		kind := what
		if strings.Contains(what, "pause") {
			kind = "kill and pause"
		}
		if what != killAll {
			what = fmt.Sprintf("%-22s node %d", what, node)
		}
		fmt.Printf("%s: longest time without an acknowledgement %s, partition %d\n",
			what, gap.Round(time.Millisecond), partition)
		worst[kind] = max(worst[kind], gap)
	}
	for _, kind := range []string{"kill", "kill and pause", killAll, "stop"} {
		if gap, ok := worst[kind]; ok {
			fmt.Printf("longest unavailability after %q: %s (session timeout %s)\n", kind,
				gap.Round(time.Millisecond), s.session)
		}
	}
}

var errLost = errors.New("what was promised does not hold")
