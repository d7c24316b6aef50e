package group

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/mutant"
)

// entry is one record in the log, in bytes.
type entry struct{ key, value []byte }

// held is what waits until the log is committed up to an end.
type held struct {
	answers []Answer
	reports []Report
	end     int
}

// host keeps a shard as a broker does: it has a log, and sends nothing that is not
// committed.
type host struct {
	t         require.TestingT
	shard     *Shard
	image     *metadata.Image
	mutants   mutant.Set
	answers   map[Call]kmsg.Response // sent
	log       []entry
	ends      []int // of batches
	held      []held
	reports   []Report // sent
	now       clock.Time
	committed int
	checks    int
	calls     Call
	ids       byte
	refuses   errcode.Code // what the log says to records, 0 if it takes them
	lags      bool         // nothing is committed
	strict    bool         // nobody deletes offsets
	unmatched []Patterns
}

func newHost(t require.TestingT, mutants mutant.Set, props map[string]string) *host {
	base, _, err := config.Parse(props)
	require.NoError(t, err)
	h := &host{t: t, mutants: mutants, answers: map[Call]kmsg.Response{}}
	h.now = clock.Time{Mono: clock.Instant(clock.Hour), Wall: 1_700_000_000_000}
	h.image = metadata.New(base)
	h.load()
	return h
}

// load makes a new shard from the log.
func (h *host) load() {
	h.shard = New(Options{Image: h.image, Mutants: h.mutants})
	for _, e := range h.log {
		r, err := DecodeRecord(e.key, e.value)
		require.NoError(h.t, err)
		h.shard.Replay(r)
	}
	h.do(h.shard.Loaded(h.now))
}

// survivors returns the ends that the log may have after a crash.
func (h *host) survivors() []int {
	list := []int{h.committed}
	for _, end := range h.ends {
		if end > h.committed {
			list = append(list, end)
		}
	}
	return list
}

// crash loses what is behind an end, and starts again.
func (h *host) crash(end int) {
	unanswered := h.shard.Unload()
	for _, held := range h.held {
		unanswered = append(unanswered, held.answers...)
	}
	for _, a := range unanswered {
		h.answers[a.Call] = nil // the client hears that this is no coordinator
	}
	h.log, h.held, h.unmatched = h.log[:end], nil, nil
	h.committed = end
	h.ends = slices.DeleteFunc(h.ends, func(e int) bool { return e > end })
	h.load()
}

// do carries a decision out.
func (h *host) do(d *Decision) {
	if len(d.Records) > 0 && h.refuses != 0 {
		h.held = append(h.held, held{answers: h.shard.Refuse(d, h.refuses), end: len(h.log)})
		h.commit()
		return
	}
	for _, r := range d.Records {
		e := entry{key: AppendKey(nil, r.Key)}
		if r.Value != nil {
			e.value = AppendValue(nil, r.Value)
		} else if h.strict && r.Key.Type == OffsetCommitType {
			g := h.shard.groups[r.Key.Group]
			require.False(h.t, g != nil && !g.empty() && g.subscribedTo(r.Key.Name),
				"an offset in use is forgotten")
		}
		h.log = append(h.log, e)
	}
	if len(d.Records) > 0 {
		h.ends = append(h.ends, len(h.log))
	}
	h.shard.Apply(d)
	h.unmatched = append(h.unmatched, d.Patterns...)
	h.held = append(h.held, held{answers: d.Answers, reports: d.Reports, end: len(h.log)})
	h.check()
	h.commit()
}

func (h *host) commit() {
	if !h.lags {
		h.committed = len(h.log)
	}
	for len(h.held) > 0 && h.held[0].end <= h.committed {
		for _, a := range h.held[0].answers {
			_, twice := h.answers[a.Call]
			require.False(h.t, twice, "a call is answered once")
			h.answers[a.Call] = a.Response
		}
		h.reports = append(h.reports, h.held[0].reports...)
		h.held = h.held[1:]
	}
}

// call sends a request.
func (h *host) call(client string, req kmsg.Request) Call {
	h.calls++
	c := Context{
		Call: h.calls, Now: h.now, ClientID: client, ClientHost: "/127.0.0.1", IDs: h.newID,
	}
	h.do(h.shard.Decide(&c, req))
	return h.calls
}

func (h *host) newID() (id metadata.ID) {
	h.ids++
	id[15] = h.ids
	return id
}

// advance lets time pass, and what is due happen.
func (h *host) advance(d clock.Duration) {
	end := h.now.Mono.Add(d)
	for h.shard.Deadline() <= end {
		if at := h.shard.Deadline(); at > h.now.Mono {
			h.pass(at.Sub(h.now.Mono))
		}
		h.do(h.shard.Tick(h.now))
	}
	h.pass(end.Sub(h.now.Mono))
	h.match()
}

func (h *host) pass(d clock.Duration) {
	before := h.now.Mono / clock.Instant(clock.Millisecond)
	h.now.Mono = h.now.Mono.Add(d)
	h.now.Wall += clock.Wall(h.now.Mono/clock.Instant(clock.Millisecond) - before)
}

// match does what takes its time outside of decisions.
func (h *host) match() {
	list := h.unmatched
	h.unmatched = nil
	for _, p := range list {
		h.do(h.shard.Matched(h.now, p.Match(h.image)))
	}
}

// change changes the cluster's metadata.
func (h *host) change(records ...metadata.Record) {
	image, delta := h.image.Apply(records)
	h.image = image
	h.do(h.shard.ImageChanged(h.now, image, delta))
	h.match()
}

func topicID(n byte) metadata.ID { return metadata.ID{0: n, 15: 0xff} }

func (h *host) createTopic(name string, id byte, partitions int) {
	records := []metadata.Record{&metadata.TopicRecord{Name: name, TopicID: topicID(id)}}
	for i := range partitions {
		records = append(records, newPartition(id, i))
	}
	h.change(records...)
}

func newPartition(id byte, i int) metadata.Record {
	return &metadata.PartitionRecord{
		TopicID: topicID(id), PartitionID: int32(i), Replicas: []int32{1}, ISR: []int32{1},
		Directories: []metadata.ID{{}}, Leader: 1,
	}
}

// check tells what is true after every decision.
func (h *host) check() {
	for _, id := range h.shard.ids() {
		g := h.shard.groups[id]
		require.True(h.t, (g.classic == nil) != (g.consumer == nil))
		if g.consumer != nil {
			checkConsumer(h.t, g.consumer)
		} else {
			checkClassic(h.t, g.classic)
		}
	}
	if h.checks++; h.checks%4 != 0 {
		return // it takes long
	}
	again := New(Options{Image: h.image})
	for _, e := range h.log {
		r, err := DecodeRecord(e.key, e.value)
		require.NoError(h.t, err)
		again.Replay(r)
	}
	live := snapshot(h.shard)
	require.Equal(h.t, live, snapshot(again), "the log tells all")
	require.Equal(h.t, live, snapshot(h.compacted()), "and so does what compaction leaves of it")
}

// compacted returns the shard that comes of the last record of each key.
func (h *host) compacted() *Shard {
	last := map[string]int{}
	for i, e := range h.log {
		last[string(e.key)] = i
	}
	s := New(Options{Image: h.image})
	for i, e := range h.log {
		if last[string(e.key)] != i || e.value == nil && i%2 == 0 {
			continue
		}
		r, err := DecodeRecord(e.key, e.value)
		require.NoError(h.t, err)
		s.Replay(r)
	}
	return s
}

func checkConsumer(t require.TestingT, c *consumerGroup) {
	owners := map[Partition]string{}
	for _, id := range c.ids() {
		m := c.members[id]
		for _, p := range m.has() {
			other, taken := owners[p]
			require.False(t, taken, "%v is both of %s and of %s", p, other, id)
			owners[p] = id
		}
		require.LessOrEqual(t, m.epoch, c.targetEpoch)
		if m.reconciled(c.targetEpoch) {
			require.Equal(t, c.target[id], m.assigned)
		}
	}
	require.LessOrEqual(t, c.targetEpoch, c.epoch)
	require.Equal(t, owners, c.owners)
}

func checkClassic(t require.TestingT, c *classicGroup) {
	switch c.state {
	case ClassicEmpty:
		require.Empty(t, c.members)
		require.True(t, c.stored == nil || c.stored.Generation == c.generation)
	case ClassicStable:
		require.Equal(t, c.stored, c.value(), "what is stable is written down")
	case ClassicPreparing, ClassicCompleting:
	}
	if len(c.members) > 0 {
		require.Contains(t, c.members, c.leader)
	}
}

// snapshot writes down all that records tell of a shard.
func snapshot(s *Shard) string {
	var b strings.Builder
	say := func(k Key, v Value) {
		fmt.Fprintf(&b, "%x=%x\n", AppendKey(nil, k), AppendValue(nil, v))
	}
	for _, id := range s.ids() {
		g := s.groups[id]
		if g.classic != nil {
			if g.classic.stored != nil {
				say(Key{Type: GroupMetadataType, Group: id}, g.classic.stored)
			}
			continue
		}
		c := g.consumer
		say(Key{Type: ConsumerGroupMetadataType, Group: id},
			&ConsumerGroupMetadata{Epoch: c.epoch, MetadataHash: c.metadataHash})
		say(Key{Type: ConsumerTargetMetadataType, Group: id},
			&ConsumerTargetMetadata{AssignmentEpoch: c.targetEpoch})
		for _, m := range c.ids() {
			say(Key{Type: ConsumerMemberType, Group: id, Name: m}, &c.members[m].ConsumerMember)
			say(Key{Type: ConsumerCurrentType, Group: id, Name: m}, &ConsumerCurrent{
				MemberEpoch: c.members[m].epoch, PreviousMemberEpoch: c.members[m].previousEpoch,
				State: c.members[m].state, Assigned: c.members[m].assigned,
				PendingRevocation: c.members[m].pendingRevocation,
			})
		}
		for _, m := range slices.Sorted(maps.Keys(c.target)) {
			say(Key{Type: ConsumerTargetMemberType, Group: id, Name: m},
				&ConsumerTargetMember{Partitions: c.target[m]})
		}
		for _, p := range slices.Sorted(maps.Keys(c.regexes)) {
			say(Key{Type: ConsumerRegularExpressionType, Group: id, Name: p}, c.regexes[p])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.offsets)) {
		for _, p := range s.offsets[id].sorted() {
			fmt.Fprintf(&b, "%s %v %+v\n", id, p, s.offsets[id][p])
		}
	}
	return b.String()
}

func mutantNone() mutant.Set { return mutant.Set{} }
