// Command crash sends a log file line by line to a broker, kills the broker with
// SIGKILL in the middle, starts it again while the producer goes on, and demands that
// every acknowledged line is there once and in order. It then fills a log of a given
// size, kills the broker again, and prints how long the start takes.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/heiban/heiban/benchmarks"
)

type settings struct {
	broker     string
	file       string
	durability string
	address    string
	lines      int
	fillBytes  int64
}

func main() {
	var s settings
	flag.StringVar(&s.broker, "broker", "bin/heiban", "the heiban binary")
	flag.StringVar(&s.file, "file", "", "the log file to send (empty: one is made up)")
	flag.StringVar(&s.durability, "durability", "fsync", "heiban.durability")
	flag.StringVar(&s.address, "listen", "127.0.0.1:19392", "where the broker listens")
	flag.IntVar(&s.lines, "lines", 1_000_000, "lines of the made-up file")
	flag.Int64Var(&s.fillBytes, "fill", 1<<30, "bytes of log for the timed start (0: none)")
	flag.Parse()
	if err := s.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
}

func (s *settings) run(ctx context.Context) error {
	work, err := os.MkdirTemp("", "heiban-crash")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if s.file == "" {
		s.file = filepath.Join(work, "access.log")
		if err := writeLog(s.file, s.lines); err != nil {
			return err
		}
	}
	n := &node{settings: s, dir: filepath.Join(work, "data")}
	if _, err := n.start(); err != nil {
		return err
	}
	defer n.kill()
	if err := s.sendWithKgo(ctx, n); err != nil {
		return fmt.Errorf("kgo: %w", err)
	}
	if _, err := exec.LookPath("kcat"); err != nil {
		fmt.Println("kcat is not installed: its part is left out")
	} else if err := s.sendWithKcat(ctx, n); err != nil {
		return fmt.Errorf("kcat: %w", err)
	}
	if s.fillBytes > 0 {
		return s.timeStart(ctx, n)
	}
	return nil
}

// writeLog makes a web server's log up.
func writeLog(name string, lines int) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(f, 1<<20)
	for i := range lines {
		fmt.Fprintf(out, "10.0.%d.%d - - [22/Nov/2026:10:%02d:%02d +0000] "+
			"\"GET /item/%d HTTP/1.1\" 200 %d line=%d\n",
			i/250%250, i%250, i/60%60, i%60, i*7919%100_003, 200+i%5000, i)
	}
	return errors.Join(out.Flush(), f.Close())
}

// node is a broker process.
type node struct {
	settings *settings
	cmd      *exec.Cmd
	dir      string
}

// start starts the broker and returns how long it took until it served clients.
func (n *node) start() (time.Duration, error) {
	n.cmd = exec.Command(n.settings.broker, "broker", "--data", n.dir,
		"--listen", n.settings.address, "--log-level", "warn",
		"-o", "heiban.durability="+n.settings.durability)
	n.cmd.Stderr = os.Stderr
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := n.cmd.Start(); err != nil {
		return 0, fmt.Errorf("start the broker: %w", err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return 0, fmt.Errorf("wait for the broker: %w", err)
	}
	conn, err := net.Dial("tcp", n.settings.address)
	if err != nil {
		return 0, fmt.Errorf("connect to the broker: %w", err)
	}
	return time.Since(begun), conn.Close()
}

func (n *node) kill() {
	_ = n.cmd.Process.Kill() // SIGKILL: no handler runs
	_ = n.cmd.Wait()
}

// restart kills the broker and starts it again.
func (n *node) restart() (time.Duration, error) {
	n.kill()
	return n.start()
}

func (s *settings) client(options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(s.address)}, options...)...)
}

// sendWithKgo sends the file with an idempotent producer and acks=all, with two kills on
// the way.
func (s *settings) sendWithKgo(ctx context.Context, n *node) error {
	const topic = "kgo"
	client, err := s.client(kgo.DefaultProduceTopic(topic), kgo.AllowAutoTopicCreation(),
		kgo.ProducerBatchMaxBytes(1<<18), kgo.UnknownTopicRetries(-1))
	if err != nil {
		return err
	}
	defer client.Close()
	data, err := os.ReadFile(s.file)
	if err != nil {
		return err
	}
	lines := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
	failed := make(chan error, 1)
	acknowledged := 0 // promises are called one at a time
	for i, line := range lines {
		if i == len(lines)/3 || i == 2*len(lines)/3 {
			took, err := n.restart()
			if err != nil {
				return err
			}
			fmt.Printf("kgo: killed at line %d, ready again after %s\n", i,
				took.Round(time.Millisecond))
		}
		client.Produce(ctx, &kgo.Record{Value: line}, func(_ *kgo.Record, err error) {
			if err == nil {
				acknowledged++
				return
			}
			select {
			case failed <- err:
			default:
			}
		})
	}
	if err := client.Flush(ctx); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return fmt.Errorf("a line was not acknowledged: %w", err)
	default:
	}
	fmt.Printf("kgo: %d lines acknowledged\n", acknowledged)
	return s.verify(ctx, topic, lines)
}

// sendWithKcat sends the file with kcat, idempotent, with a kill on the way.
func (s *settings) sendWithKcat(ctx context.Context, n *node) error {
	const topic = "kcat"
	half, rest, err := s.halves()
	if err != nil {
		return err
	}
	kcat := exec.CommandContext(ctx, "kcat", "-P", "-b", s.address, "-t", topic, "-E", "-q",
		"-X", "acks=all", "-X", "enable.idempotence=true", "-X", "message.timeout.ms=300000",
		"-X", "log_level=0")
	feed, err := kcat.StdinPipe()
	if err != nil {
		return err
	}
	kcat.Stderr = nil // it reports every lost connection
	if err := kcat.Start(); err != nil {
		return err
	}
	if _, err := feed.Write(half); err != nil {
		return err
	}
	took, err := n.restart()
	if err != nil {
		return err
	}
	fmt.Printf("kcat: killed half-way, ready again after %s\n", took.Round(time.Millisecond))
	if _, err := feed.Write(rest); err != nil {
		return err
	}
	if err := errors.Join(feed.Close(), kcat.Wait()); err != nil {
		return err
	}
	lines := bytes.Split(bytes.TrimSuffix(append(half, rest...), []byte("\n")), []byte("\n"))
	if err := s.verify(ctx, topic, lines); err != nil {
		return err
	}
	kcat = exec.CommandContext(ctx, "kcat", "-C", "-b", s.address, "-t", topic, "-e", "-q")
	back, err := kcat.Output()
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	if !bytes.Equal(back, append(half, rest...)) {
		return errors.New("what kcat reads back differs from the file")
	}
	fmt.Printf("kcat: read back %d lines, the same as the file\n", len(lines))
	return nil
}

// halves splits the file at the end of a line near its middle.
func (s *settings) halves() (half, rest []byte, err error) {
	data, err := os.ReadFile(s.file)
	if err != nil {
		return nil, nil, err
	}
	cut := len(data)/2 + bytes.IndexByte(data[len(data)/2:], '\n') + 1
	return data[:cut:cut], data[cut:], nil
}

// verify reads a topic with kgo: every line once, in order, and nothing else.
func (s *settings) verify(ctx context.Context, topic string, want [][]byte) error {
	client, err := s.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		topic: {0: kgo.NewOffset().AtStart()},
	}))
	if err != nil {
		return err
	}
	defer client.Close()
	seen := 0
	for seen < len(want) {
		fetches := client.PollFetches(ctx)
		if errs := fetches.Errors(); len(errs) > 0 {
			return errs[0].Err
		}
		for records := fetches.RecordIter(); !records.Done(); seen++ {
			r := records.Next()
			if seen >= len(want) || !bytes.Equal(r.Value, want[seen]) {
				return fmt.Errorf("offset %d holds %q instead of line %d", r.Offset, r.Value, seen)
			}
		}
	}
	const moment = time.Second
	quiet, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	if more := client.PollFetches(quiet); !more.Empty() {
		return fmt.Errorf("%d records too many", more.NumRecords())
	}
	fmt.Printf("%s: %d lines read back with kgo: each once, in order\n", topic, seen)
	return nil
}

// timeStart fills a log, kills the broker, and prints how long the start takes.
func (s *settings) timeStart(ctx context.Context, n *node) error {
	load := &benchmarks.Load{
		Bootstrap: s.address, Topic: "fill", Acks: "all", Compression: "none", Partitions: 4,
		RecordBytes: 1024, Bytes: s.fillBytes, BatchBytes: 1 << 20, Clients: 1,
	}
	if err := load.MakeTopic(ctx); err != nil {
		return err
	}
	if _, err := benchmarks.Produce(ctx, load); err != nil {
		return err
	}
	took, err := n.restart()
	if err != nil {
		return err
	}
	fmt.Printf("killed with %d MiB in the log, ready again after %s\n", s.fillBytes>>20,
		took.Round(time.Millisecond))
	_, err = benchmarks.Consume(ctx, load)
	return err
}
