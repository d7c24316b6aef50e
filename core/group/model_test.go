package group

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/mutant"
)

// model is a shard with clients that do what clients do, at times too late.
type model struct {
	t          *rapid.T
	h          *host
	clients    []*client
	topics     map[string]int // partitions
	lives      map[string]int // how often somebody came as an instance
	served     map[string]life
	generation map[string]int32
	names      int
	seen       int // records that were checked
}

func modelProps(t *rapid.T) map[string]string {
	one := func(values ...string) string { return rapid.SampledFrom(values).Draw(t, values[0]) }
	return map[string]string{
		"offsets.retention.minutes":            "1",
		"offsets.retention.check.interval.ms":  "20000",
		"group.initial.rebalance.delay.ms":     one("0", "3000"),
		"group.consumer.assignors":             one("uniform,range", "range"),
		"group.consumer.session.timeout.ms":    "45000",
		"group.consumer.max.size":              "6",
		"group.max.size":                       "6",
		"group.consumer.migration.policy":      one("bidirectional", "upgrade"),
		"group.consumer.heartbeat.interval.ms": "5000",
	}
}

func newModel(t *rapid.T, set mutant.Set) *model {
	m := &model{
		t: t, h: newHost(t, set, modelProps(t)), topics: map[string]int{}, lives: map[string]int{},
		served:     map[string]life{},
		generation: map[string]int32{},
	}
	m.h.strict = true
	m.h.createTopic("orders", 1, 4)
	m.topics["orders"] = 4
	m.h.createTopic("users", 2, 3)
	m.topics["users"] = 3
	return m
}

func (m *model) actions() map[string]func(*rapid.T) {
	some := func(act func(*rapid.T, *client)) func(*rapid.T) {
		return func(t *rapid.T) {
			if len(m.clients) > 0 {
				act(t, rapid.SampledFrom(m.clients).Draw(t, "client"))
				m.settle()
			}
		}
	}
	return map[string]func(*rapid.T){
		"start": m.start,
		"step":  some(func(_ *rapid.T, c *client) { m.step(c) }),
		"steps": func(t *rapid.T) { m.round() },
		"rounds": func(t *rapid.T) {
			for range 8 {
				m.h.advance(clock.Second)
				m.round()
			}
		},
		"commit": some(func(_ *rapid.T, c *client) { m.commit(c) }),
		"forget answer": some(func(_ *rapid.T, c *client) {
			if c.req != nil { // the connection broke
				c.req, c.full = nil, true
			}
		}),
		"arrive late": some(m.arriveLate),
		"leave":       some(func(_ *rapid.T, c *client) { m.leave(c) }),
		"die":         some(func(_ *rapid.T, c *client) { m.remove(c) }),
		"restart":     some(func(_ *rapid.T, c *client) { m.restart(c) }),
		"resubscribe": some(m.resubscribe),
		"wait": func(t *rapid.T) {
			m.h.advance(clock.Duration(rapid.IntRange(1, 40).Draw(t, "s")) * clock.Second)
			m.settle()
		},
		"lag":      func(t *rapid.T) { m.h.lags = true },
		"catch up": func(t *rapid.T) { m.h.lags = false; m.h.commit(); m.settle() },
		"refuse": func(t *rapid.T) {
			m.h.refuses = rapid.SampledFrom([]errcode.Code{
				0, errcode.NotEnoughReplicas, errcode.MessageTooLarge,
			}).Draw(t, "code")
		},
		"crash": func(t *rapid.T) {
			m.h.refuses = 0 // or nothing could be written down of what is found
			m.h.crash(rapid.SampledFrom(m.h.survivors()).Draw(t, "end"))
			m.settle()
		},
		"grow": func(t *rapid.T) {
			if m.topics["users"] < 6 {
				m.h.change(newPartition(2, m.topics["users"]))
				m.topics["users"]++
				for _, c := range m.clients {
					c.stale = true
				}
				m.settle()
			}
		},
		"": func(t *rapid.T) { m.check() },
	}
}

func (m *model) name() string {
	m.names++
	return fmt.Sprintf("c%d", m.names)
}

func (m *model) start(t *rapid.T) {
	if len(m.clients) == 6 {
		return
	}
	c := &client{
		name: m.name(), topics: []string{"orders", "users"},
		group:    rapid.SampledFrom([]string{"classic", "consumer", "mixed"}).Draw(t, "group"),
		consumer: rapid.Bool().Draw(t, "consumer"),
		sticky:   rapid.Bool().Draw(t, "sticky"),
	}
	if c.group != "mixed" {
		c.consumer = c.group == "consumer"
	}
	if n := rapid.IntRange(0, 4).Draw(t, "instance"); n < 2 {
		c.instance = ptr(fmt.Sprintf("%s-i%d", c.group, n))
	}
	if rapid.IntRange(0, 3).Draw(t, "one topic") == 0 {
		c.topics = []string{"users"}
	}
	if c.consumer && rapid.IntRange(0, 3).Draw(t, "regex") == 0 {
		c.topics, c.regex = []string{}, ptr("us.*|ord.*")
	}
	c.reset()
	m.clients = append(m.clients, c)
}

// reset makes a client begin anew.
func (c *client) reset() {
	c.epoch, c.stage, c.owned, c.names, c.members, c.full = -1, outside, nil, nil, nil, true
	if c.consumer {
		c.epoch = 0
		if c.id == "" {
			c.id = "id-" + c.name
		}
	}
}

func (m *model) remove(c *client) {
	m.clients = slices.DeleteFunc(m.clients, func(o *client) bool { return o == c })
}

// restart stops a client and starts it again: a static one under its instance id.
func (m *model) restart(c *client) {
	if c.instance == nil {
		return
	}
	m.remove(c)
	n := &client{
		name: m.name(), instance: c.instance, group: c.group, topics: c.topics, regex: c.regex,
		consumer: c.consumer, sticky: c.sticky,
	}
	n.reset()
	// The old process may linger, and not know that its place is taken.
	m.clients = append(m.clients, n, c)
	if c.consumer && c.epoch > 0 {
		m.send(c, &kmsg.ConsumerGroupHeartbeatRequest{
			Version: 1, Group: c.group, MemberID: c.id, MemberEpoch: leaveStaticEpoch,
			InstanceID: c.instance, RebalanceTimeoutMillis: -1,
		})
		m.remove(c)
	}
}

func (m *model) resubscribe(t *rapid.T, c *client) {
	if c.regex == nil {
		c.topics = rapid.SampledFrom([][]string{{"orders", "users"}, {"users"}}).Draw(t, "topics")
		c.full, c.stale = true, true
	}
}

// arriveLate lets a request arrive that its client has given up.
func (m *model) arriveLate(_ *rapid.T, c *client) {
	if c.late != nil {
		call := m.h.call(c.name, c.late)
		m.h.commit()
		if r := m.h.answers[call]; r != nil {
			m.judge(c, c.late, call, r)
		}
	}
}

func (m *model) send(c *client, req kmsg.Request) {
	if s, ok := req.(*kmsg.SyncGroupRequest); ok && len(s.GroupAssignment) > 0 {
		c.late = req
	}
	join, classic := req.(*kmsg.JoinGroupRequest)
	comes := classic && join.MemberID == ""
	if beat, ok := req.(*kmsg.ConsumerGroupHeartbeatRequest); ok {
		comes = beat.MemberEpoch == 0
	}
	if comes && c.instance != nil {
		m.lives[*c.instance]++
		c.life = m.lives[*c.instance]
	}
	c.req = req
	c.call = m.h.call(c.name, req)
}

// round lets every client do one thing.
func (m *model) round() {
	for _, c := range slices.Clone(m.clients) {
		m.step(c)
		m.settle()
	}
}

// settle brings answers to the clients.
func (m *model) settle() {
	for _, c := range slices.Clone(m.clients) {
		r, ok := m.h.answers[c.call]
		if c.req == nil || !ok {
			continue
		}
		req := c.req
		c.req = nil
		if r == nil { // no coordinator any more
			c.full = true
			if c.stage != outside && c.stage != inside {
				c.stage = outside
			}
			continue
		}
		m.judge(c, req, c.call, r)
		m.take(c, r)
	}
}

// judge compares an answer with what was answered before.
func (m *model) judge(c *client, req kmsg.Request, call Call, r kmsg.Response) {
	switch req := req.(type) {
	case *kmsg.SyncGroupRequest:
		if r := r.(*kmsg.SyncGroupResponse); r.ErrorCode == 0 {
			m.current(c, req.Generation)
			m.serve(c, call, true)
		}
	case *kmsg.HeartbeatRequest:
		if r.(*kmsg.HeartbeatResponse).ErrorCode == 0 {
			m.serve(c, call, false)
		}
	case *kmsg.OffsetCommitRequest:
		if r.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode == 0 {
			m.current(c, req.Generation)
			m.serve(c, call, false)
		}
	case *kmsg.ConsumerGroupHeartbeatRequest:
		if r.(*kmsg.ConsumerGroupHeartbeatResponse).ErrorCode == 0 {
			m.serve(c, call, true)
		}
	}
}

// serve makes sure that nobody is served as an instance after somebody who came later. A
// place is certain when the partitions are known.
func (m *model) serve(c *client, call Call, certain bool) {
	if c.instance == nil {
		return
	}
	last := m.served[*c.instance]
	require.False(m.t, c.life < last.n && call > last.call, "an older process is served")
	if certain && c.life > last.n {
		m.served[*c.instance] = life{n: c.life, call: call}
	}
}

// current makes sure that nobody acts in a generation of a classic group that is over.
func (m *model) current(c *client, generation int32) {
	g := m.h.shard.groups[c.group]
	if g == nil || g.classic == nil || m.h.lags {
		return
	}
	require.GreaterOrEqual(m.t, generation, m.generation[c.group], "an old generation is served")
}

// check tells what is true after every action.
func (m *model) check() {
	for ; m.seen < len(m.h.log); m.seen++ {
		e := m.h.log[m.seen]
		r, err := DecodeRecord(e.key, e.value)
		require.NoError(m.t, err)
		if v, ok := r.Value.(*kmsg.GroupMetadataValue); ok && m.seen < m.h.committed {
			m.generation[r.Key.Group] = max(m.generation[r.Key.Group], v.Generation)
		}
		if r.Key.Type == GroupMetadataType && r.Value == nil {
			delete(m.generation, r.Key.Group)
		}
	}
	m.seen = min(m.seen, len(m.h.log))
	for _, c := range m.clients {
		g := m.h.shard.groups[c.group]
		if !c.consumer || g == nil || g.consumer == nil || c.req != nil || m.h.lags {
			continue
		}
		if member := g.consumer.members[c.id]; member != nil && member.epoch == c.epoch {
			require.Empty(m.t, c.owned.without(member.has()), "%s has what it must not", c.name)
		}
	}
}

// heal ends all faults, and lets the clients go on until every group is at rest.
func (m *model) heal() {
	m.h.refuses, m.h.lags = 0, false
	m.h.commit()
	m.settle()
	m.clients = slices.DeleteFunc(m.clients, func(c *client) bool { return c.fenced })
	for range 150 {
		m.h.advance(clock.Second)
		m.round()
		m.check()
	}
	m.clients = slices.DeleteFunc(m.clients, func(c *client) bool { return c.fenced })
	for _, id := range m.h.shard.ids() {
		m.atRest(id)
	}
}

func (m *model) atRest(id string) {
	g := m.h.shard.groups[id]
	owners := map[TopicPartition]string{}
	topics := map[string]bool{}
	own := func(p TopicPartition, name string) {
		require.Empty(m.t, owners[p], "%v has two owners", p)
		owners[p] = name
	}
	for _, c := range m.clients {
		if c.group != id || c.epoch <= 0 && c.consumer || !c.consumer && c.stage != inside {
			continue // somebody else has its instance, or the group is full
		}
		for _, p := range c.names {
			own(p, c.name)
		}
		for _, p := range c.owned {
			own(TopicPartition{Topic: m.h.image.TopicByID(p.Topic).Name, Partition: p.Index}, c.name)
		}
		for _, topic := range c.topics {
			topics[topic] = true
		}
		if c.regex != nil {
			topics["orders"], topics["users"] = true, true
		}
	}
	if g.empty() {
		return
	}
	if g.classic != nil {
		require.Equal(m.t, ClassicStable, g.classic.state)
	} else {
		require.Equal(m.t, consumerStable, g.consumer.state())
	}
	want := 0
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		want += m.topics[topic]
	}
	require.Len(m.t, owners, want, "%s: every partition has an owner", id)
}

func runModel(t *rapid.T, set mutant.Set) {
	m := newModel(t, set)
	t.Repeat(m.actions())
	m.heal()
}

func TestGroupsKeepTheirPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { runModel(t, mutantNone()) })
}
