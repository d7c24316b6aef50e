package sim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/group"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/mutant"
)

// groupBench runs members against a coordinator without a broker: one node that has all
// partitions, loses connections, and begins anew from its records.
type groupBench struct {
	t       *testing.T
	r       *Rand
	judge   *checker.Judge
	board   *groupBoard
	shard   *group.Shard
	image   *metadata.Image
	mutants mutant.Set
	log     []group.Record
	logs    map[checker.PartitionID][]byte
	actors  []Actor
	queue   []benchEvent
	waiting map[group.Call]benchCall
	now     clock.Time
	seq     int
	calls   group.Call
	ids     uint64
	order   map[benchConn]clock.Instant
	open    map[benchConn]bool
	topic   checker.TopicID
	parts   int
}

type benchConn struct {
	actor int
	conn  uint64
}

type benchCall struct {
	conn        benchConn
	correlation int32
}

type benchEvent struct {
	at  clock.Instant
	seq int
	run func()
}

const benchPartitions = 5

func newGroupBench(t *testing.T, seed uint64, id mutant.ID) *groupBench {
	b := &groupBench{
		t: t, r: NewRand(seed, "group bench", 0), judge: checker.NewJudge(checker.Limits{}),
		mutants: mutant.New(id), logs: map[checker.PartitionID][]byte{},
		waiting: map[group.Call]benchCall{}, order: map[benchConn]clock.Instant{},
		open: map[benchConn]bool{}, topic: checker.TopicID{7},
	}
	b.now = clock.Time{Mono: clock.Instant(clock.Hour), Wall: epochMillis}
	base, _, err := config.Parse(map[string]string{
		"group.min.session.timeout.ms": "1", "group.initial.rebalance.delay.ms": "100",
		"group.consumer.min.session.timeout.ms": "1", "group.consumer.session.timeout.ms": "1000",
		"group.consumer.min.heartbeat.interval.ms": "1",
		"group.consumer.heartbeat.interval.ms":     "200",
	})
	require.NoError(t, err)
	b.image = metadata.New(base)
	b.change(&metadata.TopicRecord{Name: "t", TopicID: b.topic})
	for range benchPartitions {
		b.grow()
	}
	b.load()
	return b
}

// grow adds a partition with some records.
func (b *groupBench) grow() {
	id := checker.PartitionID{Topic: b.topic, Index: int32(b.parts)}
	b.change(&metadata.PartitionRecord{
		TopicID: b.topic, PartitionID: id.Index, Replicas: []int32{0}, ISR: []int32{0},
		Directories: []metadata.ID{{}},
	})
	b.parts++
	b.judge.Meet(id, fmt.Sprintf("t-%d", id.Index), checker.Policy{})
	copyID := checker.ReplicaID{PartitionID: id}
	b.judge.Online(copyID, 0, 0)
	b.judge.LeaderStarted(copyID, 0, 0, 0)
	for i := range 3 {
		b.produce(id, i)
	}
}

func (b *groupBench) produce(id checker.PartitionID, n int) {
	c := clientBatch{producerID: -1, epoch: -1, sequence: -1}
	c.records = []clientRecord{{value: fmt.Appendf(nil, "%d/%d", id.Index, n)}}
	data := c.encode(nil)
	data[7] = byte(n)
	parsed, _, _, err := checker.ParseBatch(data)
	require.NoError(b.t, err)
	attempt, _ := c.attempt()
	b.judge.Attempt(checker.Hash(data[21:]), attempt)
	copyID := checker.ReplicaID{PartitionID: id}
	b.judge.Appended(copyID, parsed)
	b.judge.Written(copyID, parsed.EndOffset)
	b.judge.HighWatermark(copyID, parsed.EndOffset, parsed.EndOffset)
	b.logs[id] = append(b.logs[id], data...)
}

func (b *groupBench) change(records ...metadata.Record) {
	image, delta := b.image.Apply(records)
	b.image = image
	if b.shard != nil {
		b.do(b.shard.ImageChanged(b.now, image, delta))
	}
}

// load makes a new coordinator of the records.
func (b *groupBench) load() {
	b.shard = group.New(group.Options{Image: b.image, Mutants: b.mutants})
	for _, r := range b.log {
		b.shard.Replay(r)
	}
	b.do(b.shard.Loaded(b.now))
}

func (b *groupBench) crash() {
	b.shard.Unload()
	clear(b.waiting)
	conns := slices.SortedFunc(maps.Keys(b.open), func(a, b benchConn) int {
		return cmp.Or(cmp.Compare(a.actor, b.actor), cmp.Compare(a.conn, b.conn))
	})
	for _, c := range conns {
		b.close(c)
	}
	b.load()
}

func (b *groupBench) close(c benchConn) {
	if b.open[c] {
		delete(b.open, c)
		b.later(c, func() { b.step(c.actor, ActorEvent{Kind: ActorClosed, Conn: c.conn}) })
	}
}

func (b *groupBench) do(d *group.Decision) {
	b.log = append(b.log, d.Records...)
	b.shard.Apply(d)
	for _, a := range d.Answers {
		call := b.waiting[a.Call]
		delete(b.waiting, a.Call)
		b.answer(call, a.Response)
	}
	for _, p := range d.Patterns {
		b.at(b.now.Mono, func() { b.do(b.shard.Matched(b.now, p.Match(b.image))) })
	}
}

func (b *groupBench) answer(call benchCall, resp kmsg.Response) {
	if !b.open[call.conn] || resp == nil {
		return
	}
	b.later(call.conn, func() {
		b.step(call.conn.actor, ActorEvent{
			Kind: ActorAnswered, Conn: call.conn.conn, Correlation: call.correlation, Response: resp,
		})
	})
}

func (b *groupBench) at(at clock.Instant, run func()) {
	b.seq++
	e := benchEvent{at: at, seq: b.seq, run: run}
	i, _ := slices.BinarySearchFunc(b.queue, e, func(a, b benchEvent) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.seq, b.seq))
	})
	b.queue = slices.Insert(b.queue, i, e)
}

// later lets something arrive over a connection, in order.
func (b *groupBench) later(c benchConn, run func()) {
	delay := clock.Duration(b.r.Exponential(int64(2 * clock.Millisecond)))
	at := max(b.now.Mono.Add(delay), b.order[c])
	b.order[c] = at
	b.at(at, run)
}

func (b *groupBench) step(actor int, ev ActorEvent) {
	var out ActorOrders
	a := b.actors[actor]
	a.Step(b.now, ev, &out)
	for _, s := range out.Sends {
		c := benchConn{actor, s.Conn}
		copied := kmsg.RequestForKey(s.Request.Key())
		copied.SetVersion(s.Request.GetVersion())
		require.NoError(b.t, copied.ReadFrom(s.Request.AppendTo(nil)))
		b.later(c, func() { b.receive(c, s.Correlation, copied) })
	}
	for _, conn := range out.Closes {
		delete(b.open, benchConn{actor, conn})
	}
	for _, d := range out.Dials {
		c := benchConn{actor, d.Conn}
		b.open[c] = true
		b.later(c, func() { b.step(actor, ActorEvent{Kind: ActorConnected, Conn: d.Conn}) })
	}
}

func (b *groupBench) receive(c benchConn, correlation int32, req kmsg.Request) {
	call := benchCall{c, correlation}
	switch req := req.(type) {
	case *kmsg.ApiVersionsRequest:
		b.answer(call, req.ResponseKind())
	case *kmsg.MetadataRequest:
		b.answer(call, b.metadata(req))
	case *kmsg.FetchRequest:
		b.answer(call, b.fetch(req))
	case *kmsg.FindCoordinatorRequest:
		r := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
		for _, key := range req.CoordinatorKeys {
			r.Coordinators = append(r.Coordinators, kmsg.FindCoordinatorResponseCoordinator{Key: key})
		}
		b.answer(call, r)
	default:
		b.calls++
		b.waiting[b.calls] = call
		b.do(b.shard.Decide(&group.Context{
			IDs: b.newID, ClientID: "client", ClientHost: "/127.0.0.1", Now: b.now, Call: b.calls,
		}, req))
	}
}

func (b *groupBench) newID() (id metadata.ID) {
	b.ids++
	id[15], id[14] = byte(b.ids), byte(b.ids>>8)
	return id
}

func (b *groupBench) metadata(req *kmsg.MetadataRequest) kmsg.Response {
	r := req.ResponseKind().(*kmsg.MetadataResponse)
	t := kmsg.NewMetadataResponseTopic()
	t.Topic, t.TopicID = kmsg.StringPtr("t"), b.topic
	for i := range b.parts {
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Partition = int32(i)
		t.Partitions = append(t.Partitions, p)
	}
	r.Topics = append(r.Topics, t)
	return r
}

func (b *groupBench) fetch(req *kmsg.FetchRequest) kmsg.Response {
	r := req.ResponseKind().(*kmsg.FetchResponse)
	for _, from := range req.Topics {
		for _, p := range from.Partitions {
			id := checker.PartitionID{Topic: b.topic, Index: p.Partition}
			out := kmsg.NewFetchResponseTopicPartition()
			out.Partition, out.HighWatermark = p.Partition, b.judge.Partition(id).Committed()
			for data := b.logs[id]; len(data) > 0; {
				parsed, _, size, err := checker.ParseBatch(data)
				require.NoError(b.t, err)
				if parsed.EndOffset > p.FetchOffset {
					out.RecordBatches = append(out.RecordBatches, data[:size]...)
				}
				data = data[size:]
			}
			r.Topics = append(r.Topics, kmsg.FetchResponseTopic{
				Topic: from.Topic, TopicID: from.TopicID,
				Partitions: []kmsg.FetchResponseTopicPartition{out},
			})
		}
	}
	return r
}

// run lets time pass, and reports whether done said so before the end.
func (b *groupBench) run(length clock.Duration, done func() bool) bool {
	end := b.now.Mono.Add(length)
	for b.now.Mono < end && len(b.judge.Found()) == 0 {
		at := end
		if len(b.queue) > 0 {
			at = min(at, b.queue[0].at)
		}
		for _, a := range b.actors {
			at = min(at, a.Deadline())
		}
		at = max(min(at, b.shard.Deadline()), b.now.Mono)
		b.now.Wall += clock.Wall(at/clock.Instant(clock.Millisecond) -
			b.now.Mono/clock.Instant(clock.Millisecond))
		b.now.Mono = at
		for b.shard.Deadline() <= at {
			b.do(b.shard.Tick(b.now))
		}
		for len(b.queue) > 0 && b.queue[0].at <= at {
			e := b.queue[0]
			b.queue = b.queue[1:]
			e.run()
		}
		for i, a := range b.actors {
			if a.Deadline() <= at {
				b.step(i, ActorEvent{Kind: ActorTimer})
			}
		}
		if done() {
			return true
		}
	}
	return false
}

// trouble closes connections, and now and then lets the coordinator begin anew, while
// more partitions come.
func (b *groupBench) trouble(until clock.Instant) {
	b.at(b.now.Mono.Add(clock.Duration(b.r.Exponential(int64(300*clock.Millisecond)))), func() {
		if b.now.Mono >= until {
			return
		}
		switch b.r.Below(6) {
		case 0:
			b.crash()
		case 1:
			if b.parts < 2*benchPartitions {
				b.grow()
			}
		default:
			c := benchConn{int(b.r.Below(int64(len(b.actors)))), uint64(b.r.Between(1, 20))}
			b.close(c)
		}
		b.trouble(until)
	})
}

// play runs a group through troubles and lets it come to rest. It returns what was found.
func playGroup(
	t *testing.T, seed uint64, id mutant.ID, draw func(r *Rand, i int) MemberConfig,
) (*groupBench, []checker.Violation) {
	b := newGroupBench(t, seed, id)
	s := &Setup{}
	g := GroupSetup{Name: "g"}
	for i := range int(b.r.Between(1, 5)) {
		c := draw(b.r, i)
		c.Topics, c.Session, c.Rebalance = []string{"t"}, clock.Second, 2*clock.Second
		c.Beat, c.Interval = 200*clock.Millisecond, 50*clock.Millisecond
		c.Nodes, c.Seed = 1, seed
		g.Members = append(g.Members, c)
		if i == 0 || b.r.Chance(300_000) {
			g.Zombies = append(g.Zombies, Duplication{Victim: i, Requests: 30})
		}
	}
	s.Groups = []GroupSetup{g}
	w, err := New(Config{Seed: seed})
	require.NoError(t, err)
	pending := s.populateGroups(w, b.judge, func(c ClientConfig) ClientConfig {
		c.Client, c.Nodes, c.Seed = len(w.actors), 1, seed
		return c
	})
	b.board = pending[0].(*groupBoard)
	for _, host := range w.actors {
		b.actors = append(b.actors, host.actor)
	}
	for i := range b.actors {
		b.step(i, ActorEvent{Kind: ActorStarted})
	}
	length := 15 * clock.Second
	b.trouble(b.now.Mono.Add(length))
	b.run(length, func() bool { return false })
	if len(b.judge.Found()) == 0 {
		for i := range b.actors {
			b.step(i, ActorEvent{Kind: ActorHealed})
		}
		if !b.run(clock.Minute, func() bool { return b.board.Pending() == "" }) &&
			len(b.judge.Found()) == 0 {
			b.judge.Report(checker.Progress, "stuck", "%s", b.board.Pending())
		}
		b.board.Witness()
	}
	return b, b.judge.Found()
}

func someOps(r *Rand, c *MemberConfig) {
	c.OpsEvery = clock.Duration(r.LogUniform(300, 10_000)) * clock.Millisecond
	c.Ops = MemberOps{Crash: 2, Pause: 2, Leave: 1}
	if r.Chance(500_000) {
		c.CommitEvery = clock.Duration(r.LogUniform(10, 3000)) * clock.Millisecond
	}
}

func benchKinds() map[string]func(r *Rand, i int) MemberConfig {
	static := func(r *Rand, i int, c *MemberConfig) {
		if r.Chance(600_000) {
			c.Instance = fmt.Sprintf("i%d", i)
		}
	}
	return map[string]func(r *Rand, i int) MemberConfig{
		"eager": func(r *Rand, _ int) (c MemberConfig) {
			someOps(r, &c)
			c.Old = r.Chance(300_000)
			return c
		},
		"cooperative": func(r *Rand, i int) (c MemberConfig) {
			someOps(r, &c)
			static(r, i, &c)
			c.Cooperative = true
			return c
		},
		"static": func(r *Rand, i int) (c MemberConfig) {
			someOps(r, &c)
			c.Instance = fmt.Sprintf("i%d", i/2) // two that take each other's place
			c.Temporary = i%2 == 1
			return c
		},
		"consumer": func(r *Rand, i int) (c MemberConfig) {
			someOps(r, &c)
			static(r, i, &c)
			c.Consumer, c.Ignores = true, r.Chance(100_000)
			if r.Chance(200_000) {
				c.Pattern = "t.*"
			}
			c.Assignor = Pick(r, "", "", "uniform", "range")
			return c
		},
		"mixed": func(r *Rand, _ int) (c MemberConfig) {
			someOps(r, &c)
			c.Cooperative, c.Switches, c.Consumer = true, true, r.Chance(500_000)
			return c
		},
	}
}

// TestGroups: members of all kinds come through troubles, and their coordinator keeps
// what it promises.
func TestGroups(t *testing.T) {
	for name, draw := range benchKinds() { // in any order
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(40) {
				_, found := playGroup(t, seed, mutant.None, draw)
				require.Empty(t, found, "seed %d", seed)
			}
		})
	}
}
