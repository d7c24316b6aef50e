// Command failover measures a cluster of real processes with many partitions: how long it
// takes to start, and how long until every partition of a node that was killed has
// another leader.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/benchmarks"
)

type settings struct {
	broker     string
	port       int
	nodes      int
	partitions int
	topics     int
	session    time.Duration
}

func main() {
	var s settings
	flag.StringVar(&s.broker, "broker", "bin/heiban", "the heiban binary")
	flag.IntVar(&s.port, "port", 19592, "the first port of the cluster")
	flag.IntVar(&s.nodes, "nodes", 3, "nodes, and replicas of each partition")
	flag.IntVar(&s.partitions, "partitions", 3000, "partitions")
	flag.IntVar(&s.topics, "topics", 30, "topics that the partitions belong to")
	flag.DurationVar(&s.session, "session", 3*time.Second, "broker.session.timeout.ms")
	flag.Parse()
	if s.nodes < 2 {
		fmt.Fprintln(os.Stderr, "failover: -nodes: at least 2, one of which is stopped")
		os.Exit(2)
	}
	if err := s.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
		os.Exit(1)
	}
}

func (s *settings) run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "heiban-failover")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	begun := time.Now()
	c, err := s.start(dir)
	if err != nil {
		return err
	}
	if err := s.makeTopics(ctx, c); err != nil {
		c.Stop()
		return err
	}
	if err := s.await(ctx, c, "", s.inSync); err != nil {
		c.Stop()
		return err
	}
	fmt.Printf("a new cluster with %d partitions x %d replicas: %s until all are in sync\n",
		s.partitions, s.nodes, time.Since(begun).Round(time.Millisecond))
	begun = time.Now()
	c.Stop()
	fmt.Printf("stopped cleanly in %s\n", time.Since(begun).Round(time.Millisecond))

	begun = time.Now()
	if c, err = s.start(dir); err != nil {
		return err
	}
	defer c.Stop()
	if err := s.await(ctx, c, "", s.inSync); err != nil {
		return err
	}
	fmt.Printf("started again: %s until all partitions are led and in sync\n",
		time.Since(begun).Round(time.Millisecond))
	return s.failOver(ctx, c)
}

func (s *settings) start(dir string) (*benchmarks.Cluster, error) {
	return benchmarks.StartCluster(&benchmarks.ClusterConfig{
		Broker: s.broker, Dir: dir, Nodes: s.nodes, Port: s.port,
		Overrides: []string{
			fmt.Sprintf("broker.session.timeout.ms=%d", s.session.Milliseconds()),
			fmt.Sprintf("broker.heartbeat.interval.ms=%d", s.session.Milliseconds()/6),
		},
		Restart: true,
	})
}

func (s *settings) makeTopics(ctx context.Context, c *benchmarks.Cluster) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Bootstrap...))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	for i := range s.topics {
		name := fmt.Sprintf("topic-%d", i)
		made, err := admin.CreateTopic(ctx, int32(s.partitions/s.topics), int16(s.nodes), nil, name)
		if err == nil {
			err = made.Err
		}
		if err != nil {
			return fmt.Errorf("create %s: %w", name, err)
		}
	}
	return nil
}

// failOver stops the node that leads the most and waits until it leads nothing.
func (s *settings) failOver(ctx context.Context, c *benchmarks.Cluster) error {
	victim, led := 0, 0
	err := s.await(ctx, c, "", func(all topics) bool {
		for node := 1; node <= s.nodes; node++ {
			if n := s.ledBy(all, int32(node)); n > led {
				victim, led = node, n
			}
		}
		return led > 0
	})
	if err != nil {
		return err
	}
	var detected time.Time
	stopped := time.Now()
	c.Signal(victim, syscall.SIGSTOP) // so that it does not come back meanwhile
	witness := c.Bootstrap[victim%s.nodes]
	err = s.await(ctx, c, witness, func(all topics) bool {
		now := s.ledBy(all, int32(victim))
		if now < led && detected.IsZero() {
			detected = time.Now()
		}
		return now == 0
	})
	if err != nil {
		return err
	}
	fmt.Printf("node %d stood still: its %d partitions have other leaders %s later"+
		" (session timeout %s), %s after the first of them was seen to move\n", victim, led,
		time.Since(stopped).Round(time.Millisecond), s.session,
		time.Since(detected).Round(time.Millisecond))
	return nil
}

// await asks a node, or any, again and again until what it says of the topics will do.
func (s *settings) await(
	ctx context.Context, c *benchmarks.Cluster, node string, good func(topics) bool,
) error {
	seeds := c.Bootstrap
	if node != "" {
		seeds = []string{node}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(seeds...))
	if err != nil {
		return err
	}
	defer client.Close()
	asked := client.SeedBrokers()[0] // not just any: the one that stands still never answers
	const patience = 2 * time.Minute
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, asked)
		if err == nil && good(resp.Topics) {
			return nil
		}
	}
	return errors.New("it takes too long")
}

type topics = []kmsg.MetadataResponseTopic

// inSync reports whether every partition has a leader and all its replicas in sync.
func (s *settings) inSync(all topics) bool {
	partitions := 0
	for _, t := range all {
		for _, p := range t.Partitions {
			if p.Leader >= 0 && len(p.ISR) == s.nodes {
				partitions++
			}
		}
	}
	return partitions >= s.partitions/s.topics*s.topics
}

func (s *settings) ledBy(all topics, node int32) int {
	led := 0
	for _, t := range all {
		for _, p := range t.Partitions {
			if p.Leader == node {
				led++
			}
		}
	}
	return led
}
