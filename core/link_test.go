package core

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/wire"
)

// Each file is the specification of one rule about links. The node is broker 1; nodes 2
// and 3 are voters, and brokers with these ids can be registered.
func TestLinkScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/link/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			datadriven.RunTest(t, file, newLinkScript(t).run)
		})
	}
}

// linkScript steps a broker that does nothing but talk to others.
type linkScript struct {
	t      *testing.T
	broker *Broker
	now    clock.Time
	fx     Effects
	out    strings.Builder
}

func newLinkScript(t *testing.T) *linkScript {
	broker, err := New(Options{
		NodeID: 1, LogDirs: []string{"/d"}, Seed: [2]uint64{1, 2},
		Listeners:  []config.Endpoint{{Name: "PLAINTEXT", Host: "node-1", Port: 9092}},
		Properties: map[string]string{"controller.quorum.voters": "2@node-2:9093,3@node-3:9093"},
	})
	require.NoError(t, err)
	broker.phase = running
	broker.image = metadata.New(broker.base)
	return &linkScript{t: t, broker: broker}
}

// waiting is who asks, by name.
type waiting struct {
	script *linkScript
	name   string
	again  bool // ask once more when there is no answer
}

func (w *waiting) answered(b *Broker, resp wire.Response, err error) {
	if err != nil {
		w.script.printf("%s gets no answer: %v", w.name, err)
		if w.again {
			w.again = false
			b.ask(b.linkTo(controllerLink, 2), &kmsg.MetadataRequest{}, clock.Second, w)
		}
		return
	}
	w.script.printf("%s is answered: %T", w.name, resp)
}

func (s *linkScript) printf(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

func (s *linkScript) run(t *testing.T, d *datadriven.TestData) string {
	s.t = t
	s.out.Reset()
	args := map[string]string{}
	for _, a := range d.CmdArgs {
		args[a.Key] = strings.Join(a.Vals, ",")
	}
	switch d.Cmd {
	case "time":
		s.pass(clock.Millis(s.number(d.CmdArgs[0].Key)))
	case "opened":
		s.step(&LinkOpened{Link: LinkID(s.number(args["link"]))})
	case "closed":
		s.step(&LinkClosed{Link: LinkID(s.number(args["link"])), Err: errors.New("reset by the far node")})
	case "answer":
		s.step(&ResponseArrived{
			Link: LinkID(s.number(args["link"])), CorrelationID: int32(s.number(args["id"])),
			Response: &kmsg.MetadataResponse{},
		})
	case "register":
		s.broker.image, _ = s.broker.image.Apply([]metadata.Record{&metadata.RegisterBrokerRecord{
			BrokerID: int32(s.number(args["node"])), BrokerEpoch: 1,
			EndPoints: []metadata.BrokerEndpoint{{Name: args["listener"], Host: args["host"], Port: 9092}},
		}})
	case "shutdown":
		s.inside(func(b *Broker) { b.fx.Stopped = true; b.hangUpAll() })
	default:
		s.inside(func(b *Broker) { s.use(d, b, args) })
	}
	return s.out.String()
}

// use does to a link what the broker does.
func (s *linkScript) use(d *datadriven.TestData, b *Broker, args map[string]string) {
	kind := controllerLink
	for k, name := range linkNames {
		if args["kind"] == name {
			kind = linkKind(k)
		}
	}
	l := b.linkTo(kind, int32(s.number(args["node"])))
	switch d.Cmd {
	case "link":
		s.printf("up=%t", l.up())
	case "ask":
		_, again := args["again"]
		b.ask(l, &kmsg.MetadataRequest{}, clock.Millis(s.number(args["timeout"])),
			&waiting{script: s, name: args["who"], again: again})
	case "tell":
		for range max(1, s.number(args["times"])) {
			b.tell(l, &wire.RaftRequest{Message: []byte("message")})
		}
	case "hang-up":
		b.hangUp(l)
	default:
		d.Fatalf(s.t, "unknown command %s", d.Cmd)
	}
}

func (s *linkScript) number(text string) int64 {
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(text, "+"), 10, 64)
	require.NoError(s.t, err)
	return n
}

// inside runs a part of a Step.
func (s *linkScript) inside(f func(*Broker)) {
	s.fx.Reset()
	s.broker.now, s.broker.fx = s.now, &s.fx
	f(s.broker)
	s.broker.expire()
	s.broker.fx = nil
	s.print()
}

func (s *linkScript) step(ev Event) {
	s.broker.Step(s.now, ev, &s.fx)
	s.print()
}

func (s *linkScript) print() {
	for _, d := range s.fx.Dials {
		s.printf("dial link=%d node=%d %s:%d", d.Link, d.Node, d.Host, d.Port)
	}
	if n := len(s.fx.Sends); n > 4 {
		s.printf("send %d requests", n)
	} else {
		for _, r := range s.fx.Sends {
			s.printf("send link=%d key=%d id=%d as %s", r.Link, r.Header.Key, r.Header.CorrelationID,
				r.Header.ClientID)
		}
	}
	for _, id := range s.fx.Hangups {
		s.printf("hang up link=%d", id)
	}
}

// pass lets time go by, and shows when something happens.
func (s *linkScript) pass(by clock.Duration) {
	end := s.now.Mono.Add(by)
	for s.broker.Deadline() <= end {
		s.now.Mono = max(s.now.Mono, s.broker.Deadline())
		before := s.out.Len()
		s.broker.Step(s.now, &TimerFired{}, &s.fx)
		s.print()
		if s.out.Len() > before {
			s.printf("  at %d ms", s.now.Mono.Sub(0).Millis())
		}
	}
	s.now.Mono = end
}
