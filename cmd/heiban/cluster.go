package main

import (
	"bufio"
	"context"
	crand "crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

type clusterFlags struct {
	data      string
	logLevel  string
	overrides []string
	nodes     int
	port      int
	restart   bool
}

func clusterCommand() *cobra.Command {
	var f clusterFlags
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Run a local cluster of several nodes, each a process of its own",
		Long: "Run a local cluster on loopback for trying things out. Each node is a child process,\n" +
			"broker and controller in one, and may be killed, paused and looked at like any other;\n" +
			"a line tells the process of each. The cluster stops when this command is stopped.",
		Example: "  heiban cluster --nodes 3\n" +
			"  heiban cluster --nodes 5 --port 19092 --restart -o broker.session.timeout.ms=3000",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().IntVar(&f.nodes, "nodes", 3, "how many nodes")
	cmd.Flags().StringVar(&f.data, "data", "heiban-cluster",
		"directory that holds a data directory for each node")
	cmd.Flags().IntVar(&f.port, "port", 9092,
		"the first node's port; the others follow, and then the controllers'")
	cmd.Flags().BoolVar(&f.restart, "restart", false, "start a node that dies again")
	cmd.Flags().StringArrayVarP(&f.overrides, "override", "o", nil,
		"key=value for every node; may be repeated")
	cmd.Flags().StringVar(&f.logLevel, "log-level", "warn", "debug, info, warn or error")
	return cmd
}

func (f *clusterFlags) check() error {
	const nodesMax, portMax = 99, 65535
	switch {
	case f.nodes < 1 || f.nodes > nodesMax:
		return wrongUse("--nodes %d: want 1 to %d", f.nodes, nodesMax)
	case f.port < 1 || f.port+2*f.nodes-1 > portMax:
		return wrongUse("--port %d: %d ports from there on are needed", f.port, 2*f.nodes)
	}
	_, err := pairs("override", f.overrides)
	return err
}

// run starts the nodes and waits until they are told to stop, or cannot go on.
func (f *clusterFlags) run(ctx context.Context, out, errOut io.Writer) error {
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	id, err := clusterID(f.data)
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	c := &cluster{
		flags: f, binary: binary, id: id, out: out, errOut: errOut,
		ready: make(chan struct{}, f.nodes),
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	for i := range f.nodes {
		running.Go(func() {
			if err := c.keep(ctx, i); err != nil {
				stop(err) // the others with it
			}
		})
	}
	c.announce(ctx)
	running.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// clusterID reads the id that the cluster in dir was formatted with, or makes one.
func clusterID(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the data directory: %w", err)
	}
	name := filepath.Join(dir, "cluster.id")
	data, err := os.ReadFile(name)
	if err == nil {
		return strings.TrimSpace(string(data)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the cluster id: %w", err)
	}
	const idBytes = 16
	random := make([]byte, idBytes)
	_, _ = crand.Read(random) // never fails
	id := base64.RawURLEncoding.EncodeToString(random)
	if err := os.WriteFile(name, []byte(id+"\n"), 0o644); err != nil {
		return "", fmt.Errorf("write the cluster id: %w", err)
	}
	return id, nil
}

// cluster is the nodes as child processes.
type cluster struct {
	flags   *clusterFlags
	binary  string
	id      string
	ready   chan struct{} // a value for each node that is ready for the first time
	writing sync.Mutex    // of out and errOut
	out     io.Writer
	errOut  io.Writer
}

// announce prints the ready line once all nodes are.
func (c *cluster) announce(ctx context.Context) {
	begun := time.Now()
	for range c.flags.nodes {
		select {
		case <-c.ready:
		case <-ctx.Done():
			return
		}
	}
	addresses := make([]string, c.flags.nodes)
	for i := range addresses {
		addresses[i] = c.address(i)
	}
	c.print("heiban %s: a cluster of %d is ready on %s after %s, data in %s\n", version,
		c.flags.nodes, strings.Join(addresses, ","), time.Since(begun).Round(time.Millisecond),
		c.flags.data)
}

func (c *cluster) print(format string, args ...any) {
	c.writing.Lock()
	defer c.writing.Unlock()
	fmt.Fprintf(c.out, format, args...)
}

func (c *cluster) address(i int) string {
	return "127.0.0.1:" + strconv.Itoa(c.flags.port+i)
}

func (c *cluster) controllerAddress(i int) string {
	return "127.0.0.1:" + strconv.Itoa(c.flags.port+c.flags.nodes+i)
}

// keep runs a node until ctx ends. It returns an error if the node ended before.
func (c *cluster) keep(ctx context.Context, i int) error {
	for first := true; ; first = false {
		err := c.runNode(ctx, i, first)
		if ctx.Err() != nil {
			return nil
		}
		if !c.flags.restart {
			return fmt.Errorf("node %d ended: %w", i+1, err)
		}
		c.print("node %d ended: %v\n", i+1, err)
		const pause = 100 * time.Millisecond // a node that ends at once is not to keep us busy
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// runNode runs a node's process to its end.
func (c *cluster) runNode(ctx context.Context, i int, first bool) error {
	child := exec.CommandContext(ctx, c.binary, c.arguments(i)...)
	child.SysProcAttr = ownGroup() // Ctrl-C is for this process, which passes it on
	child.Cancel = func() error { return child.Process.Signal(syscall.SIGTERM) }
	const patience = time.Minute
	child.WaitDelay = patience
	child.Stderr = &prefixed{prefix: fmt.Sprintf("node %d: ", i+1), to: c.errOut, lock: &c.writing}
	stdout, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return fmt.Errorf("start the node: %w", err)
	}
	c.print("node %d is process %d on %s\n", i+1, child.Process.Pid, c.address(i))
	lines := bufio.NewReader(stdout)
	if line, err := lines.ReadString('\n'); err == nil {
		if first {
			c.ready <- struct{}{}
		} else {
			c.print("node %d: %s", i+1, line)
		}
	}
	_, _ = io.Copy(io.Discard, lines)
	if err := child.Wait(); err != nil {
		return err
	}
	return errors.New("it stopped by itself")
}

// arguments are the command line of a node.
func (c *cluster) arguments(i int) []string {
	voters := make([]string, c.flags.nodes)
	for j := range voters {
		voters[j] = fmt.Sprintf("%d@%s", j+1, c.controllerAddress(j))
	}
	replicas := strconv.Itoa(min(c.flags.nodes, 3))
	args := []string{
		"broker", "--node-id", strconv.Itoa(i + 1), "--cluster-id", c.id,
		"--data", filepath.Join(c.flags.data, "node-"+strconv.Itoa(i+1)),
		"--log-level", c.flags.logLevel,
	}
	for _, override := range []string{
		"process.roles=broker,controller",
		"listeners=PLAINTEXT://" + c.address(i) + ",CONTROLLER://" + c.controllerAddress(i),
		"controller.listener.names=CONTROLLER",
		"controller.quorum.voters=" + strings.Join(voters, ","),
		"default.replication.factor=" + replicas,
		"min.insync.replicas=" + strconv.Itoa((min(c.flags.nodes, 3)+1)/2),
		"offsets.topic.replication.factor=" + replicas,
		"transaction.state.log.replication.factor=" + replicas,
	} {
		args = append(args, "-o", override)
	}
	for _, override := range c.flags.overrides {
		args = append(args, "-o", override)
	}
	return args
}

// prefixed writes whole lines with a prefix. It is used by one goroutine.
type prefixed struct {
	prefix string
	to     io.Writer
	lock   *sync.Mutex
	rest   []byte // of a line that is not complete
}

func (p *prefixed) Write(data []byte) (int, error) {
	p.rest = append(p.rest, data...)
	for {
		line, rest, ok := strings.Cut(string(p.rest), "\n")
		if !ok {
			return len(data), nil
		}
		p.rest = []byte(rest)
		p.lock.Lock()
		_, err := fmt.Fprintf(p.to, "%s%s\n", p.prefix, line)
		p.lock.Unlock()
		if err != nil {
			return 0, err
		}
	}
}
