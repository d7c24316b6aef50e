package benchmarks

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ClusterConfig says what cluster to start.
type ClusterConfig struct {
	Broker    string // the heiban binary
	Dir       string // of the nodes' data; kept
	Nodes     int
	Port      int      // the first one
	Overrides []string // key=value, for every node
	Restart   bool     // a node that ends is started again
}

// Cluster is a running `heiban cluster` and its nodes' processes.
type Cluster struct {
	ReadyLine string
	Bootstrap []string
	cmd       *exec.Cmd

	lock sync.Mutex
	pids map[int]int // by node
}

var (
	processLine = regexp.MustCompile(`^node (\d+) is process (\d+)`)
	readyLine   = regexp.MustCompile(`is ready on (\S+) after`)
)

// StartCluster starts the nodes and waits until all are ready.
func StartCluster(cfg *ClusterConfig) (*Cluster, error) {
	args := []string{
		"cluster", "--nodes", strconv.Itoa(cfg.Nodes), "--data", cfg.Dir,
		"--port", strconv.Itoa(cfg.Port), "--log-level", "error",
	}
	if cfg.Restart {
		args = append(args, "--restart")
	}
	for _, override := range cfg.Overrides {
		args = append(args, "-o", override)
	}
	c := &Cluster{pids: map[int]int{}, cmd: exec.Command(cfg.Broker, args...)}
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the cluster: %w", err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		c.note(lines.Text())
		if m := readyLine.FindStringSubmatch(lines.Text()); m != nil {
			c.ReadyLine, c.Bootstrap = lines.Text(), strings.Split(m[1], ",")
			go c.follow(lines)
			return c, nil
		}
	}
	return nil, errors.Join(errors.New("the cluster did not become ready"), c.cmd.Wait())
}

func (c *Cluster) follow(lines *bufio.Scanner) {
	for lines.Scan() {
		c.note(lines.Text())
	}
}

// note keeps what a line says of a node's process.
func (c *Cluster) note(line string) {
	m := processLine.FindStringSubmatch(line)
	if m == nil {
		return
	}
	node, _ := strconv.Atoi(m[1]) // digits
	pid, _ := strconv.Atoi(m[2])
	c.lock.Lock()
	c.pids[node] = pid
	c.lock.Unlock()
}

// Signal sends a signal to a node's process, if there is one.
func (c *Cluster) Signal(node int, what syscall.Signal) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if pid, ok := c.pids[node]; ok {
		_ = syscall.Kill(pid, what) // it may be gone
	}
}

// Pause stops a node's process for a time.
func (c *Cluster) Pause(node int, d time.Duration) {
	c.Signal(node, syscall.SIGSTOP)
	time.AfterFunc(d, func() { c.Signal(node, syscall.SIGCONT) })
}

// Stop stops all nodes cleanly and waits for them.
func (c *Cluster) Stop() {
	c.lock.Lock()
	for _, pid := range c.pids { // in any order: each is told the same
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	c.lock.Unlock()
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	_ = c.cmd.Wait()
}
