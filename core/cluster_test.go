package core_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/wire"
)

// Each file of testdata/cluster is the specification of one rule about several nodes. Its
// commands are those of TestScripts, at node=N, and those of cluster.commands. What is
// sent between nodes arrives at once, in the order in which it was sent; lines bear the
// name of their node.
func TestClusterScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/cluster/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			datadriven.RunTest(t, file, (&cluster{t: t}).run)
		})
	}
}

// cluster is several nodes and the links between them.
type cluster struct {
	t     *testing.T
	out   strings.Builder
	nodes []*script // by id, from 1 on; a node without a broker is down
	links []*clusterLink
	queue []func() // what is on its way
	cut   []int32  // nodes that reach nobody, and are reached by nobody
	conns core.ConnID
}

// clusterLink is a connection from one node to another.
type clusterLink struct {
	from, to *script
	link     core.LinkID
	conn     core.ConnID
	pending  []wire.Header // of requests that are not answered
}

// portOfClients and portOfControllers are where every node listens.
const (
	portOfClients     = 9092
	portOfControllers = 9093
)

var errCut = errors.New("cut")

func (c *cluster) run(t *testing.T, d *datadriven.TestData) string {
	c.t = t
	c.out.Reset()
	s := c.node(d)
	s.read(d)
	if command, ok := c.commands()[d.Cmd]; ok {
		command(s)
	} else if s.broker == nil {
		s.printf("down")
	} else if command, ok := c.looks()[d.Cmd]; ok {
		command(s)
	} else {
		s.execute(t, d)
	}
	c.settle()
	return c.out.String()
}

// commands are those that are about more than one node.
func (c *cluster) commands() map[string]func(s *script) {
	return map[string]func(s *script){
		"nodes": c.make,
		"boot":  c.boot,
		"time":  func(s *script) { c.pass(clock.Millis(s.int64("", strings.TrimPrefix(s.words[0], "+")))) },
		"cut":   func(s *script) { c.cut = append(c.cut, s.options.NodeID); c.lose(s, false) },
		"heal":  func(*script) { c.cut = nil },
		"crash": c.crash,
	}
}

// looks are the commands that show what a node knows of the cluster.
func (*cluster) looks() map[string]func(s *script) {
	return map[string]func(s *script){
		"brokers": func(s *script) {
			for _, b := range s.broker.Image().Brokers() {
				s.printf("%d fenced=%v stopping=%v dirs=%d", b.ID, b.Fenced, b.InControlledShutdown,
					len(b.LogDirs))
			}
		},
		"partitions": func(s *script) {
			for topic := range s.broker.Image().Topics() {
				for i := range topic.Partitions {
					p := &topic.Partitions[i]
					s.printf("%s-%d leader=%d epoch=%d replicas=%v isr=%v", topic.Name, i, p.Leader,
						p.LeaderEpoch, p.Replicas, p.ISR)
				}
			}
		},
	}
}

// node is the node that a command is about.
func (c *cluster) node(d *datadriven.TestData) *script {
	id := 1
	for _, a := range d.CmdArgs {
		if a.Key == "node" {
			id, _ = strconv.Atoi(a.Vals[0])
		}
	}
	if len(c.nodes) == 0 {
		return newScript(c.t)
	}
	return c.nodes[id-1]
}

// make adds n=N nodes, with the properties in its lines. All of them are voters.
func (c *cluster) make(s *script) {
	n := int(s.int("n", 3))
	var voters []string
	for id := 1; id <= n; id++ {
		voters = append(voters, fmt.Sprintf("%d@node-%d:%d", id, id, portOfControllers))
	}
	for id := 1; id <= n; id++ {
		node := newScript(c.t)
		node.name, node.out = fmt.Sprintf("%d: ", id), &c.out
		o := &node.options
		o.NodeID, o.Seed = int32(id), [2]uint64{uint64(id), 7}
		o.Listeners = o.Listeners[:1]
		o.Listeners[0].Host, o.Listeners[0].Port = fmt.Sprintf("node-%d", id), portOfClients
		o.Properties["controller.listener.names"] = "CONTROLLER"
		o.Properties["controller.quorum.voters"] = strings.Join(voters, ",")
		for _, line := range s.lines {
			key, value, _ := strings.Cut(line, "=")
			o.Properties[key] = value
		}
		c.connect(node)
		c.nodes = append(c.nodes, node)
	}
}

// connect has what a node orders of its links carried out.
func (c *cluster) connect(s *script) {
	s.onDial = func(d core.Dial) { c.later(func() { c.dial(s, d) }) }
	s.onAsk = func(r core.LinkRequest) { c.send(s, &r) }
	s.onHangup = func(id core.LinkID) {
		c.later(func() {
			c.end(func(l *clusterLink) bool { return l.from == s && l.link == id }, false)
		})
	}
	s.onResponse = func(r *core.Response, body wire.Response) {
		if l := c.linkOf(s, r.Conn); l != nil {
			c.respond(l, r, body)
			return
		}
		s.printResponse(r, body)
	}
	s.onClose = func(id core.ConnID) {
		if c.linkOf(s, id) == nil {
			delete(s.conns, id)
			s.printf("close conn=%d", id)
			return
		}
		c.later(func() { c.end(func(l *clusterLink) bool { return l.to == s && l.conn == id }, true) })
	}
	s.onReport = func(r *core.Report) {
		switch r.Kind {
		case core.ControllerStarted:
			s.printf("active controller")
		case core.ControllerEnded:
			s.printf("not the active controller any more")
		default:
			s.printReport(r)
		}
	}
}

func (c *cluster) later(f func()) { c.queue = append(c.queue, f) }

// settle lets what is on its way arrive, until nothing is.
func (c *cluster) settle() {
	for c.bury(); len(c.queue) > 0; c.bury() {
		next := c.queue[0]
		c.queue = c.queue[1:]
		next()
	}
}

// bury takes the nodes down that have ended.
func (c *cluster) bury() {
	for _, s := range c.nodes {
		if s.fatal != nil {
			s.printf("fatal: %v", s.fatal)
		}
		if s.stopped {
			s.printf("stopped")
		}
		if s.fatal != nil || s.stopped {
			s.fatal, s.stopped, s.broker = nil, false, nil
			c.lose(s, true)
		}
	}
}

func (c *cluster) reaches(from, to *script) bool {
	return to.broker != nil && !slices.Contains(c.cut, from.options.NodeID) &&
		!slices.Contains(c.cut, to.options.NodeID)
}

func (c *cluster) dial(from *script, d core.Dial) {
	if from.broker == nil {
		return
	}
	require.Equal(c.t, fmt.Sprintf("node-%d", d.Node), d.Host)
	to := c.nodes[d.Node-1]
	if !c.reaches(from, to) {
		from.step(&core.LinkClosed{Link: d.Link, Err: errCut})
		return
	}
	listener := map[int32]string{
		portOfClients: "PLAINTEXT", portOfControllers: "CONTROLLER",
	}[d.Port]
	c.conns++
	l := &clusterLink{from: from, to: to, link: d.Link, conn: 1000 + c.conns}
	c.links = append(c.links, l)
	to.step(&core.ConnOpened{Conn: l.conn, Listener: listener, Peer: "10.0.0.9"})
	from.step(&core.LinkOpened{Link: l.link})
}

// send brings a request to another node, as bytes.
func (c *cluster) send(from *script, r *core.LinkRequest) {
	i := slices.IndexFunc(c.links, func(l *clusterLink) bool {
		return l.from == from && l.link == r.Link
	})
	if i < 0 {
		return
	}
	l := c.links[i]
	h := r.Header
	l.pending = append(l.pending, h)
	frame := wire.AppendRequest(nil, &h, r.Body)
	c.later(func() {
		if !slices.Contains(c.links, l) {
			return
		}
		var h wire.Header
		body, err := wire.ParseHeader(frame[4:], &h)
		require.NoError(c.t, err)
		req, err := wire.Parse(&h, body)
		require.NoError(c.t, err)
		l.to.request(l.conn, h, req)
	})
}

// respond brings an answer back.
func (c *cluster) respond(l *clusterLink, r *core.Response, body wire.Response) {
	require.Equal(c.t, l.pending[0].CorrelationID, r.Header.CorrelationID)
	h := l.pending[0]
	l.pending = l.pending[1:]
	if body == nil {
		return
	}
	frame := wire.AppendResponse(nil, &h, body)
	c.later(func() {
		if !slices.Contains(c.links, l) {
			return
		}
		correlation, resp, err := wire.ParseResponse(&h, frame[4:])
		require.NoError(c.t, err)
		core.PrepareAnswer(resp)
		l.from.step(&core.ResponseArrived{
			Link: l.link, CorrelationID: correlation, Response: resp, Bytes: int32(len(frame)),
		})
	})
}

func (c *cluster) linkOf(to *script, conn core.ConnID) *clusterLink {
	i := slices.IndexFunc(c.links, func(l *clusterLink) bool { return l.to == to && l.conn == conn })
	if i < 0 {
		return nil
	}
	return c.links[i]
}

// lose ends all links of a node. Gone says that there is nobody to tell at it.
func (c *cluster) lose(s *script, gone bool) {
	c.end(func(l *clusterLink) bool { return l.from == s || l.to == s }, true)
	if gone {
		clear(s.conns)
	}
}

// end closes links. Tell says that who dialled them does not know.
func (c *cluster) end(which func(*clusterLink) bool, tell bool) {
	var ended []*clusterLink
	c.links = slices.DeleteFunc(c.links, func(l *clusterLink) bool {
		if which(l) {
			ended = append(ended, l)
			return true
		}
		return false
	})
	for _, l := range ended {
		if l.to.broker != nil {
			c.later(func() { l.to.stepIfUp(&core.ConnClosed{Conn: l.conn}) })
		}
		if tell && l.from.broker != nil {
			c.later(func() { l.from.stepIfUp(&core.LinkClosed{Link: l.link, Err: errCut}) })
		}
	}
}

func (s *script) stepIfUp(ev core.Event) {
	if s.broker != nil {
		s.step(ev)
	}
}

// boot starts the node, or with the word all those that are down.
func (c *cluster) boot(s *script) {
	for _, one := range c.nodes {
		if one.broker == nil && (one == s || s.has("all")) {
			one.lines, one.args = s.lines, s.args
			one.bootNode()
		}
	}
}

// crash ends a node's process; with the word power its disk keeps what was synced only.
func (c *cluster) crash(s *script) {
	s.crash(s.has("power"), func(int) int { return 0 })
	c.lose(s, true)
}

// pass lets time go by for all nodes alike.
func (c *cluster) pass(by clock.Duration) {
	c.settle()
	end := c.nodes[0].now.Mono.Add(by)
	for {
		var next *script
		at := end
		for _, s := range c.nodes {
			if s.broker != nil && s.broker.Deadline() <= at && (next == nil || s.broker.Deadline() < at) {
				next, at = s, s.broker.Deadline()
			}
		}
		if next == nil {
			break
		}
		c.setTime(max(at, c.nodes[0].now.Mono))
		next.step(&core.TimerFired{})
		c.settle()
	}
	c.setTime(end)
}

func (c *cluster) setTime(at clock.Instant) {
	for _, s := range c.nodes {
		s.setTime(at)
	}
}
