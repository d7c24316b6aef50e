package core_test

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/wire"
)

// Each file of testdata is the specification of one rule, which its first line says.
// Its commands are the methods of script below that are named in commands. A request
// goes out on conn=N, 1 unless it is given; what follows from a command stands below
// it, in the order in which it happened.
//
//	hold writes syncs jobs metadata   what is held, and shown when it is ordered
//	written, synced, jobs             let what is held happen (n=1: only the oldest)
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			datadriven.RunTest(t, file, newScript(t).run)
		})
	}
}

type script struct {
	*driver
	t        *testing.T
	out      *strings.Builder
	name     string // of the node, before each line
	conns    map[core.ConnID]bool
	ids      map[wire.TopicID]string // how the script names topic ids
	byName   map[string]wire.TopicID // the last one of a name
	created  map[string]int32        // topics of a name so far
	sessions []int32
	members  []string // of groups
	far      farNodes
	serial   int32

	// Of the command being run.
	args  map[string]string
	words []string // arguments without a value
	lines []string
}

func newScript(t *testing.T) *script {
	s := &script{
		driver: newDriver(), t: t, out: &strings.Builder{}, conns: map[core.ConnID]bool{},
		ids: map[wire.TopicID]string{}, byName: map[string]wire.TopicID{}, created: map[string]int32{},
	}
	s.onResponse = s.printResponse
	s.onClose = func(id core.ConnID) {
		delete(s.conns, id)
		s.printf("close conn=%d", id)
	}
	s.onReport = s.printReport
	s.far = farNodes{
		nodes: map[core.LinkID]int32{}, links: map[int32]core.LinkID{},
		asked: map[core.LinkID][]core.LinkRequest{},
	}
	s.onDial, s.onAsk, s.onHangup = s.dialed, s.asked, s.hungUp
	s.onOrder = func(order string) { s.printf("%s", order) }
	return s
}

func (s *script) printf(format string, args ...any) {
	fmt.Fprintf(s.out, s.name+format+"\n", args...)
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	s.t = t
	s.out.Reset()
	s.read(d)
	s.execute(t, d)
	if s.fatal != nil {
		s.printf("fatal: %v", s.fatal)
	}
	if s.stopped {
		s.printf("stopped")
	}
	s.fatal, s.stopped = nil, false
	return s.out.String()
}

// read takes in a command's arguments and input.
func (s *script) read(d *datadriven.TestData) {
	s.args, s.words = map[string]string{}, nil
	for _, a := range d.CmdArgs {
		if len(a.Vals) == 0 {
			s.words = append(s.words, a.Key)
			continue
		}
		s.args[a.Key] = strings.Join(a.Vals, ",")
	}
	s.lines = nil
	if d.Input != "" {
		s.lines = strings.Split(strings.TrimSpace(d.Input), "\n")
	}
}

func (s *script) execute(t *testing.T, d *datadriven.TestData) {
	if command, ok := s.requests()[d.Cmd]; ok {
		s.send(command())
	} else if command, ok := s.groupRequests()[d.Cmd]; ok {
		s.send(command())
	} else if command, ok := s.controls()[d.Cmd]; ok {
		command()
	} else {
		d.Fatalf(t, "unknown command %s", d.Cmd)
	}
}

// controls are the commands that are no requests.
func (s *script) controls() map[string]func() {
	return map[string]func(){
		"boot":    s.bootNode,
		"hold":    s.hold,
		"written": func() { s.force(s.nextWrite) },
		"synced":  func() { s.force(s.nextSync) },
		"jobs":    s.letJobsRun,
		"time":    func() { s.pass(clock.Millis(s.int64("", strings.TrimPrefix(s.words[0], "+")))) },
		"close":   s.closeConn,
		"crash":   func() { s.crash(s.has("power"), func(int) int { return 0 }); clear(s.conns) },
		"break":   func() { s.disk.broken = s.args["path"] },
		"shutdown": func() {
			s.step(&core.ShutdownRequested{})
		},
		"cluster": func() { s.options.ClusterID = s.args["id"] },

		"broker":    s.registerBroker,
		"heartbeat": func() { s.heartbeat(int32(s.int("id", 2)), s.has("fence")) },
		"link-up":   s.linkUp,
		"link-down": s.linkDown,
		"answer":    s.answer,
		"log":       s.showLog,

		"logs":  s.listLogs,
		"notes": func() { s.printf("notes=%d", s.broker.ParkedNotes()) },
	}
}

func (s *script) bootNode() {
	for _, line := range s.lines {
		key, value, _ := strings.Cut(line, "=")
		s.options.Properties[key] = value
	}
	if dirs, ok := s.args["dirs"]; ok {
		s.options.LogDirs = strings.Split(dirs, ",")
	}
	clear(s.conns)
	if err := s.boot(); err != nil {
		s.printf("error: %v", err)
	}
}

func (s *script) hold() {
	s.holdWrites, s.holdSyncs = s.has("writes"), s.has("syncs")
	s.holdJobs, s.holdMetadata = s.has("jobs"), s.has("metadata")
	s.settle()
}

// force lets held orders happen: n of them, or all there are by now.
func (s *script) force(next func(bool) bool) {
	n := max(len(s.writes), len(s.syncs))
	if v, ok := s.args["n"]; ok {
		n, _ = strconv.Atoi(v)
	}
	was := s.disk.broken
	if s.has("fail") {
		s.disk.broken = "/"
	}
	for range n {
		if !next(true) {
			break
		}
	}
	s.disk.broken = was
}

func (s *script) letJobsRun() {
	n := len(s.jobs)
	if v, ok := s.args["n"]; ok {
		n, _ = strconv.Atoi(v)
	}
	was := s.disk.broken
	if s.has("fail") {
		s.disk.broken = "/"
	}
	for range min(n, len(s.jobs)) {
		s.runJob()
	}
	s.disk.broken = was
}

func (s *script) closeConn() {
	id := s.conn()
	delete(s.conns, id)
	s.step(&core.ConnClosed{Conn: id})
}

// listLogs shows the directories of partitions, and the files of one if it is named.
func (s *script) listLogs() {
	dir := "/d"
	if v, ok := s.args["dir"]; ok {
		dir = v
	}
	entries, err := s.disk.List(dir)
	require.NoError(s.t, err)
	for _, e := range entries {
		switch name := e.Name; {
		case e.Dir && strings.Contains(name, "."): // a random id is part of it
			s.printf("%s", name[:strings.LastIndex(name, ".")]+name[strings.LastIndex(name, "-"):])
		case e.Dir, s.has("files"):
			s.printf("%s", name)
		}
	}
}

func (s *script) has(word string) bool {
	for _, w := range s.words {
		if w == word {
			return true
		}
	}
	return false
}

func (s *script) conn() core.ConnID { return core.ConnID(s.int("conn", 1)) }

// int returns the value of an argument, or otherwise.
func (s *script) int(name string, otherwise int64) int64 {
	if v, ok := s.args[name]; ok {
		return s.int64(name, v)
	}
	return otherwise
}

func (s *script) int64(name, v string) int64 {
	n, err := strconv.ParseInt(v, 10, 64)
	require.NoError(s.t, err, name)
	return n
}

func (s *script) string(name, otherwise string) string {
	if v, ok := s.args[name]; ok {
		return v
	}
	return otherwise
}

// send brings a request on its connection, which is opened if need be.
func (s *script) send(req wire.Request, key, version int16) {
	id := s.conn()
	if !s.conns[id] {
		s.conns[id] = true
		s.step(&core.ConnOpened{
			Conn: id, Listener: s.string("listener", "PLAINTEXT"), Peer: "10.0.0.1",
		})
	}
	s.serial++
	h := wire.Header{
		ClientID: s.string("client", "script"), CorrelationID: s.serial, Key: key, Version: version,
	}
	if m, ok := req.(kmsg.Request); ok {
		m.SetVersion(version)
	}
	s.request(id, h, req)
}

// line is one line of a command's input: a word, then fields with a value.
type line struct {
	s      *script
	name   string // of the topic, or what it is
	index  int32  // of the partition, if the name ends in one
	fields map[string]string
}

func (s *script) parse(text string) *line {
	words := strings.Fields(text)
	l := &line{s: s, name: words[0], index: -1, fields: map[string]string{}}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		l.fields[key] = value
	}
	return l
}

// parsePartition parses a line that begins with a partition, such as t-0.
func (s *script) parsePartition(text string) *line {
	l := s.parse(text)
	dash := strings.LastIndexByte(l.name, '-')
	l.index = int32(s.int64(text, l.name[dash+1:]))
	l.name = l.name[:dash]
	return l
}

func (l *line) int(name string, otherwise int64) int64 {
	if v, ok := l.fields[name]; ok {
		return l.s.int64(name, v)
	}
	return otherwise
}

func (l *line) has(name string) bool {
	_, ok := l.fields[name]
	return ok
}

// id is the topic id a line means: that of the last topic of the name, unless
// another is given.
func (l *line) id() wire.TopicID {
	if v, ok := l.fields["id"]; ok {
		for id, name := range l.s.ids { // in any order: names are unique
			if name == v {
				return id
			}
		}
		return wire.TopicID{0xff}
	}
	return l.s.byName[l.name]
}
