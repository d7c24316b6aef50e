package sim

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
)

// MemberConfig says what a simulated consumer in a group does.
type MemberConfig struct {
	ClientConfig
	Groups *checker.Groups
	Codec  batch.Codec
	Group  string
	Topics []string
	// Pattern subscribes to the topics that it matches, in the consumer protocol.
	Pattern  string
	Instance string // a static member's (KIP-345); empty: dynamic
	Assignor string // of the coordinator, in the consumer protocol; empty: its choice

	Consumer    bool // speaks the consumer protocol (KIP-848)
	Cooperative bool // keeps its partitions while it joins again (KIP-429)
	Switches    bool // speaks now this protocol, now that, from life to life
	Old         bool // speaks old versions
	Ignores     bool // goes on with partitions that it is told to give up
	Temporary   bool // is gone for good once the faults are over

	Session     clock.Duration
	Rebalance   clock.Duration
	Beat        clock.Duration // between heartbeats
	CommitEvery clock.Duration // 0: after each batch
	Interval    clock.Duration // between fetches, on average
	Ops         MemberOps
	OpsEvery    clock.Duration // between crashes and the like, on average; 0: none
}

// MemberOps says how often what befalls a member, relative to one another.
type MemberOps struct {
	Crash, Pause, Leave int64
}

// Member is a simulated consumer in a group. It finds the coordinator, joins, shares the
// partitions with the others in one of the two protocols, reads them and commits.
type Member struct {
	caller
	catalog catalog
	config  MemberConfig
	parts   []*memberPart
	topics  []groupTopic
	wanted  []checker.PartitionID // that it shall have, as it was told last
	backlog []ActorEvent          // while it stands still
	sent    []kmsg.Request        // the last ones, for who sends them again

	id       string
	members  []kmsg.JoinGroupResponseMember // if it leads a classic group
	leader   string
	protocol string
	epoch    int32 // or generation
	stage    memberStage
	consumer bool // the protocol of this life
	lives    int
	tags     int

	downUntil   clock.Instant // it is not running
	pausedUntil clock.Instant
	nextOps     clock.Instant
	nextBeat    clock.Instant
	nextCommit  clock.Instant
	nextFetch   clock.Instant
	retryAt     clock.Instant // of anything that failed
	joinTimeout clock.Duration

	sharedCount int   // partitions that it assigned, if it leads
	coordinator int32 // -1: not known
	finding     bool
	asking      bool // a request about its membership is on its way
	committing  bool
	offsets     bool // it asked for offsets
	running     bool
	gone        bool // for good
	joined      bool // it has lost its place, or had none, before this generation
	full        bool // it says everything in its next heartbeat
	pattern     *string

	versions memberVersions
}

// groupTopic is a topic that there was at some time.
type groupTopic struct {
	name string
	id   checker.TopicID
}

// memberVersions are of the APIs that a member uses.
type memberVersions struct {
	find, join, sync, beat, leave, commit, fetchOffsets, fetch, consumer int16
}

// memberStage is where a member stands.
type memberStage uint8

const (
	memberOutside memberStage = iota
	memberSyncing
	memberInside
)

type (
	findCall   struct{}
	groupCall  struct{ about *memberRequest }
	commitCall struct {
		refs  []checker.CommitRef
		parts []*memberPart
		to    []int64
		life  int
	}
	offsetsCall struct {
		parts  []*memberPart
		called int64
		node   int32
		life   int
	}
)

// memberRequest is a request about membership, and when it was sent.
type memberRequest struct {
	sent   clock.Instant
	called int64
	node   int32
	life   int
}

// NewMember makes a member. It is not running before its first step.
func NewMember(c MemberConfig) *Member {
	m := &Member{caller: newCaller(&c.ClientConfig, "member"), config: c, coordinator: -1}
	c.Old = c.Old && c.Instance == "" // KIP-345
	r := m.rand
	m.catalog = newCatalog(r, c.Topics)
	m.consumer = c.Consumer
	m.joinTimeout = c.Rebalance + m.timeout
	v := &m.versions
	v.find = int16(r.Between(0, 6))
	v.join, v.sync, v.beat, v.leave = int16(r.Between(5, 9)), int16(r.Between(3, 5)),
		int16(r.Between(3, 4)), int16(r.Between(3, 5))
	if c.Old {
		v.join, v.sync, v.beat, v.leave = int16(r.Between(0, 4)), int16(r.Between(0, 2)),
			int16(r.Between(0, 2)), int16(r.Between(0, 2))
	}
	if c.Instance != "" {
		// Before, a leader that was started again did not know that it leads, and nobody
		// noticed new partitions (KIP-814).
		v.join = 9
	}
	v.commit, v.fetchOffsets = int16(r.Between(7, 10)), int16(r.Between(1, 10))
	if c.Old {
		v.commit = int16(r.Between(2, 6))
	}
	if c.Consumer || c.Switches {
		v.commit, v.fetchOffsets = int16(r.Between(9, 10)), int16(r.Between(9, 10))
	}
	v.fetch, v.consumer = int16(r.Between(4, 18)), int16(r.Between(0, 1))
	if c.Pattern != "" {
		v.consumer, m.pattern = 1, kmsg.StringPtr(c.Pattern)
	}
	return m
}

// Step implements Actor.
func (m *Member) Step(now clock.Time, ev ActorEvent, out *ActorOrders) {
	m.begin(now, out)
	if ev.Kind == ActorHealed {
		m.heal()
	}
	if m.pausedUntil > now.Mono {
		m.backlog = append(m.backlog, ev)
		return
	}
	if m.pausedUntil > 0 { // what it was about to commit goes out before it hears of anything
		m.pausedUntil = 0
		if m.running {
			m.nextCommit = now.Mono
			m.commit()
		}
	}
	for len(m.backlog) > 0 {
		first := m.backlog[0]
		m.backlog = m.backlog[1:]
		m.takeIn(&first)
	}
	m.takeIn(&ev)
	m.live()
	if m.running {
		m.work()
	}
}

// heal lets the member go on as it should, for the group to come to rest.
func (m *Member) heal() {
	m.pausedUntil, m.downUntil = min(m.pausedUntil, m.now.Mono), min(m.downUntil, m.now.Mono)
	m.config.Ignores = false
	m.config.Interval = min(m.config.Interval, 20*clock.Millisecond)
	m.config.CommitEvery = min(m.config.CommitEvery, 200*clock.Millisecond)
	m.healed = true
	if m.config.Temporary && m.running {
		m.stop(0)
	}
	m.gone = m.gone || m.config.Temporary
}

func (m *Member) takeIn(ev *ActorEvent) {
	answered, lost := m.take(ev)
	switch call := answered.(type) {
	case metadataCall:
		m.catalog.learn(&m.caller, ev.Response.(*kmsg.MetadataResponse))
		m.note()
	case findCall:
		m.finding = false
		m.found(ev.Response.(*kmsg.FindCoordinatorResponse))
	case *groupCall:
		if call.about.life == m.lives {
			m.asking = false
			m.answered(call.about, ev.Response)
		}
	case *commitCall:
		m.committed(call, ev.Response.(*kmsg.OffsetCommitResponse))
	case *offsetsCall:
		m.offsetsFetched(call, ev.Response.(*kmsg.OffsetFetchResponse))
	case *memberFetch:
		m.fetched(call, ev.Response.(*kmsg.FetchResponse))
	}
	for _, l := range lost {
		m.lost(l.what)
	}
}

// note remembers which topics there are.
func (m *Member) note() {
	for i := range m.catalog.topics {
		t := &m.catalog.topics[i]
		if m.topicOf(t.id) == "" {
			m.topics = append(m.topics, groupTopic{name: t.name, id: t.id})
		}
	}
}

func (m *Member) lost(what any) {
	m.catalog.stale(m.now.Mono)
	switch call := what.(type) {
	case metadataCall:
		m.catalog.learn(&m.caller, nil)
	case findCall:
		m.finding = false
	case *groupCall:
		if call.about.life == m.lives {
			m.asking, m.coordinator = false, -1
			m.full = true // what was lost may have said something new
			m.holdOff()
		}
	case *commitCall:
		if call.life == m.lives {
			m.committing, m.coordinator = false, -1
		}
	case *offsetsCall:
		if call.life == m.lives {
			m.offsets, m.coordinator = false, -1
		}
	case *memberFetch:
		m.fetchEnded(call)
	}
}

// holdOff lets a moment pass before what failed is tried again.
func (m *Member) holdOff() { m.retryAt = m.now.Mono.Add(m.backoff) }

// live lets a life begin or end.
func (m *Member) live() {
	now := m.now.Mono
	switch {
	case m.gone:
	case !m.running && now >= m.downUntil:
		m.start()
	case m.running && m.config.OpsEvery > 0 && !m.healed && now >= m.nextOps:
		m.nextOps = now.Add(clock.Duration(m.rand.Exponential(int64(m.config.OpsEvery))) + 1)
		m.befall()
	}
}

func (m *Member) start() {
	m.lives++
	m.running, m.stage, m.joined = true, memberOutside, true
	if m.config.Switches && m.rand.Chance(500_000) {
		m.consumer = !m.consumer
	}
	m.id, m.epoch, m.full = "", 0, true
	if m.consumer && m.versions.consumer > 0 {
		m.id = fmt.Sprintf("member-%d-%d", m.client, m.lives)
	}
	if m.config.OpsEvery > 0 {
		m.nextOps = m.now.Mono.Add(
			clock.Duration(m.rand.Exponential(int64(m.config.OpsEvery))) + 1)
	}
}

// befall lets something happen to the member.
func (m *Member) befall() {
	o := &m.config.Ops
	length := func() clock.Duration {
		return clock.Duration(m.rand.LogUniform(int64(m.config.Session/20), int64(m.config.Session*3)))
	}
	switch n := m.rand.Below(o.Crash + o.Pause + o.Leave); {
	case n < o.Crash:
		m.stop(length())
	case n < o.Crash+o.Pause:
		m.pausedUntil = m.now.Mono.Add(length())
	default:
		m.leave()
		m.stop(length())
	}
}

// stop ends a life at once, and begins the next one later.
func (m *Member) stop(down clock.Duration) {
	for len(m.conns) > 0 {
		for _, call := range m.hangUp(m.conns[0]) {
			if _, ok := call.what.(metadataCall); ok {
				m.catalog.learn(&m.caller, nil)
			}
		}
	}
	m.giveAll()
	m.wanted, m.backlog = nil, nil
	m.running, m.finding, m.asking, m.committing, m.offsets = false, false, false, false, false
	m.lives++ // no answer of this life means anything to the next
	m.downUntil = m.now.Mono.Add(down)
}

// Deadline implements Actor.
func (m *Member) Deadline() clock.Instant {
	now := m.now.Mono
	switch {
	case m.gone:
		return clock.Never
	case m.pausedUntil > now:
		return m.pausedUntil
	case !m.running:
		return m.later(max(m.downUntil, now))
	}
	at := m.deadline()
	if !m.catalog.asking {
		at = min(at, m.catalog.due)
	}
	if m.config.OpsEvery > 0 && !m.healed {
		at = min(at, m.nextOps)
	}
	if m.retryAt > now {
		at = min(at, m.retryAt)
	}
	if m.stage == memberInside && !m.asking {
		at = min(at, m.nextBeat)
	}
	if len(m.parts) > 0 {
		at = min(at, m.nextFetch)
		if m.dirty() {
			at = min(at, m.nextCommit)
		}
	}
	return m.later(at)
}

// work does what is due.
func (m *Member) work() {
	m.catalog.refresh(&m.caller)
	if m.coordinator < 0 {
		m.find()
		m.fetchAll()
		return
	}
	m.commit()
	if !m.asking && m.now.Mono >= m.retryAt && len(m.topics) >= len(m.config.Topics) {
		if m.consumer {
			m.workConsumer()
		} else {
			m.workClassic()
		}
	}
	m.fetchOffsets()
	m.fetchAll()
}

// find asks who coordinates the group.
func (m *Member) find() {
	if m.finding || m.now.Mono < m.retryAt {
		return
	}
	conn := m.ready(m.bootstrap(), laneControl)
	if conn == nil {
		m.holdOff()
		return
	}
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.Version = m.versions.find
	req.CoordinatorKey, req.CoordinatorKeys = m.config.Group, []string{m.config.Group}
	if req.Version < 4 {
		req.CoordinatorKeys = nil
	}
	m.call(conn, req, findCall{})
	m.finding = true
}

func (m *Member) found(resp *kmsg.FindCoordinatorResponse) {
	node, code := resp.NodeID, resp.ErrorCode
	if len(resp.Coordinators) > 0 {
		node, code = resp.Coordinators[0].NodeID, resp.Coordinators[0].ErrorCode
	}
	if errcode.Code(code) != errcode.None {
		m.holdOff()
		return
	}
	m.coordinator = node
}

// answered takes in an answer about membership.
func (m *Member) answered(about *memberRequest, resp kmsg.Response) {
	switch resp := resp.(type) {
	case *kmsg.JoinGroupResponse:
		m.joinedGroup(about, resp)
	case *kmsg.SyncGroupResponse:
		m.synced(about, resp)
	case *kmsg.HeartbeatResponse:
		m.beaten(about, resp)
	case *kmsg.ConsumerGroupHeartbeatResponse:
		m.consumerAnswered(about, resp)
	}
}

// request sends a request about membership, one at a time.
func (m *Member) request(req kmsg.Request, timeout clock.Duration) bool {
	conn := m.ready(m.coordinator, laneGroup)
	if conn == nil {
		m.holdOff()
		return false
	}
	about := &memberRequest{
		sent: m.now.Mono, called: m.config.Groups.Now(), node: conn.node, life: m.lives,
	}
	m.call(conn, req, &groupCall{about})
	conn.calls[len(conn.calls)-1].deadline = m.now.Mono.Add(timeout)
	m.asking = true
	m.remember(req)
	return true
}

// laneGroup is for requests about membership, of which some wait for others.
const laneGroup int8 = 2

func (m *Member) remember(req kmsg.Request) {
	if len(m.sent) == remembered {
		m.sent = append(m.sent[:0], m.sent[1:]...)
	}
	m.sent = append(m.sent, req)
}

// answer is what the judge is told of an answer.
func (m *Member) answer(about *memberRequest, epoch int32) *checker.GroupAnswer {
	return &checker.GroupAnswer{
		Group: m.config.Group, Member: m.id, Client: m.client, Node: about.node,
		Sent: about.sent, Now: m.now.Mono, Called: about.called, Epoch: epoch,
		Session: m.config.Session, Rebalance: m.config.Rebalance, Classic: !m.consumer,
		Joined: m.joined, Instance: m.config.Instance, Led: m.leader != "",
	}
}

func (m *Member) instance() *string {
	if m.config.Instance == "" {
		return nil
	}
	return &m.config.Instance
}

// again looks for the coordinator again if an answer says that it is another, or not
// ready.
func (m *Member) again(code errcode.Code) bool {
	switch code {
	case errcode.NotCoordinator, errcode.CoordinatorNotAvailable:
		m.coordinator = -1
	case errcode.CoordinatorLoadInProgress, errcode.UnknownServerError, errcode.RequestTimedOut:
	default:
		return false
	}
	m.full = true
	m.holdOff()
	return true
}
