// Package group coordinates groups of consumers: who is a member, which partitions each
// member has, and which offsets were committed. It knows the classic protocol, in which
// clients assign partitions themselves (KIP-62, KIP-345, KIP-394), and the consumer
// protocol, in which the coordinator does (KIP-848). It knows nothing of connections, of
// logs, or of how records are agreed on. Start at Shard.
//
// There is one shard for each partition of __consumer_offsets, at its leader. All that
// is to survive stands in records of that partition. A request comes in four steps:
//
//  1. The caller asks for a Decision, with Decide or Tick. It changes nothing.
//  2. It appends the records of the decision, as one batch, if there are any.
//  3. If the log took them, it calls Apply in the same step: from here on decisions see
//     them. If the log refused them (NOT_ENOUGH_REPLICAS, MESSAGE_TOO_LARGE and so on),
//     it calls Refuse: nothing has happened, and only the request's own call is told.
//     One of the two comes before the next decision.
//  4. When everything that was appended so far is committed, by this decision or by
//     earlier ones, it sends the answers and reports of the decision. A decision without
//     records may speak of what is not committed yet, so it waits all the same. Answers
//     of one connection keep their order.
//
// So nothing that is not committed reaches a client, and what was read stays true. If
// appended records may be lost (the node leads the partition no longer, or its log
// failed), the caller answers what it holds, calls Unload, and drops the shard. Whoever
// leads next makes a new one, replays the partition from its start, and calls Loaded.
//
// What is in no record is known to this shard only, and a new one begins without: when
// members were heard of, and who has joined a rebalance of a classic group that is not
// complete. Then members have a whole session to make themselves heard, and those whom
// the new shard does not know join again.
package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/mutant"
)

const (
	// newMemberJoinTimeout is how long a new member of a classic group is kept while it
	// waits for the others.
	newMemberJoinTimeout = 5 * clock.Minute // kafka: ClassicGroup new member join timeout
	// refusedRetry is how long after its records were refused a deadline is due again.
	refusedRetry = 500 * clock.Millisecond // kafka: CoordinatorRuntime's timer
	// expiredMax is how many offsets one decision forgets.
	expiredMax = 1000
	// nameMax is how long the strings of keys may be.
	nameMax = 1<<15 - 1
)

// Call names a request that waits for its answer. It means nothing to a shard.
type Call uint64

// Source is where a decision draws the ids of new members from.
type Source func() metadata.ID

// Context is what a shard has to know of a request beside the request.
type Context struct {
	IDs        Source
	ClientID   string
	ClientHost string // as Kafka writes it: "/127.0.0.1"
	Now        clock.Time
	Call       Call
}

// Answer is the response to a call.
type Answer struct {
	Response kmsg.Response
	Call     Call
}

// Options is what a shard knows beside its records.
type Options struct {
	// Image is the cluster's metadata, with the configuration.
	Image   *metadata.Image
	Mutants mutant.Set
}

// Shard coordinates the groups of one partition of __consumer_offsets.
type Shard struct {
	image   *metadata.Image
	groups  map[string]*group
	offsets map[string]groupOffsets // by group; none is empty
	matched map[string]uint64       // by group: Shard.topics when its hash was last the same
	timers  timers
	mutants mutant.Set

	topics    uint64            // counts changes of topics and partitions
	decisions uint64            // applied or refused
	deleted   []*metadata.Topic // whose offsets are not forgotten yet
	sweep     string            // the group that is looked through next for expired offsets
}

// New returns a shard without groups. The caller replays the partition's records next.
func New(o Options) *Shard {
	return &Shard{
		image: o.Image, mutants: o.Mutants, topics: 1,
		groups:  map[string]*group{},
		offsets: map[string]groupOffsets{},
		matched: map[string]uint64{},
		timers:  timers{current: map[timerKey]deadline{}},
	}
}

// group is one group. It is what one of the protocols makes of it: exactly one of classic
// and consumer is there. A group that has nothing but offsets is not there at all.
type group struct {
	classic  *classicGroup
	consumer *consumerGroup
	idle     map[TopicPartition]clock.Instant // partitions that lost their owner, since when
	id       string
}

func (s *Shard) config() *config.Broker { return s.image.Config() }

// Decision is what a request or a deadline comes to.
type Decision struct {
	// Records carry the decision out, all or none.
	Records []Record
	// Answers are sent once the records, and all that were appended before, are committed.
	// They may be to other calls than the one decided about; a call without an answer
	// waits for a later decision.
	Answers []Answer
	// Reports say what came to pass, once committed.
	Reports []Report
	// Patterns are regular expressions that the caller matches against the topics, with
	// Patterns.Match, and brings back with Matched. It may do so at any time, and need
	// not wait for the records.
	Patterns []Patterns

	groups  map[string]*group // as they are after the decision; nil: gone
	timers  []timerOp
	request kmsg.Request // nil for a deadline
	call    Call
	now     clock.Time
	at      uint64   // Shard.decisions
	fired   timerKey // what is due again if the decision is refused
	sweep   *string
	forgets int // of Shard.deleted
}

// Decide decides about a request for groups of this shard. APIs that concern several
// groups (OffsetFetch from version 8, DescribeGroups, DeleteGroups, ListGroups,
// ConsumerGroupDescribe) are asked of each shard for its own groups; the caller puts the
// answers together.
func (s *Shard) Decide(c *Context, req kmsg.Request) *Decision {
	t := s.begin(c.Now)
	t.c, t.d.request, t.d.call = c, req, c.Call
	if f := t.decide(req); f != nil {
		// Nothing of what was prepared before the mistake was found may stay.
		t = s.begin(c.Now)
		t.c, t.d.request, t.d.call = c, req, c.Call
		t.answer(ErrorResponse(req, f.code, f.text))
	}
	return t.finish()
}

func (t *tx) decide(req kmsg.Request) *failure {
	switch req := req.(type) {
	case *kmsg.JoinGroupRequest:
		return t.joinGroup(req)
	case *kmsg.SyncGroupRequest:
		return t.syncGroup(req)
	case *kmsg.HeartbeatRequest:
		return t.heartbeat(req)
	case *kmsg.LeaveGroupRequest:
		return t.leaveGroup(req)
	case *kmsg.ConsumerGroupHeartbeatRequest:
		return t.consumerGroupHeartbeat(req)
	case *kmsg.OffsetCommitRequest:
		return t.offsetCommit(req)
	case *kmsg.OffsetFetchRequest:
		return t.offsetFetch(req)
	case *kmsg.OffsetDeleteRequest:
		return t.offsetDelete(req)
	case *kmsg.DescribeGroupsRequest:
		return t.describeGroups(req)
	case *kmsg.ConsumerGroupDescribeRequest:
		return t.consumerGroupDescribe(req)
	case *kmsg.ListGroupsRequest:
		return t.listGroups(req)
	case *kmsg.DeleteGroupsRequest:
		return t.deleteGroups(req)
	}
	invariant.Fail("no group is asked for API %d", req.Key())
	return nil
}

// Apply makes a decision part of what later decisions see. Its records are in the log.
func (s *Shard) Apply(d *Decision) {
	s.conclude(d)
	// Groups do not depend on each other: they are put in any order.
	for id, g := range d.groups {
		if g == nil {
			delete(s.groups, id)
			delete(s.matched, id)
			continue
		}
		s.groups[id] = g
	}
	for i := range d.Records {
		if r := &d.Records[i]; r.Key.Type == OffsetCommitType {
			s.replayOffset(r)
		}
	}
	for _, op := range d.timers {
		s.timers.apply(op)
	}
	if d.sweep != nil {
		s.sweep = *d.sweep
	}
	s.deleted = s.deleted[d.forgets:]
}

// Refuse takes a decision back whose records the log did not take: nothing of it has
// happened. It returns the answer to the request; a deadline is due again soon.
func (s *Shard) Refuse(d *Decision, code errcode.Code) []Answer {
	s.conclude(d)
	if d.request == nil {
		if d.fired != (timerKey{}) {
			again := s.timers.current[d.fired]
			s.timers.apply(timerOp{
				key: d.fired, at: d.now.Mono.Add(refusedRetry), arg: again.arg,
			})
		}
		return nil
	}
	return []Answer{{Call: d.call, Response: ErrorResponse(d.request, Refusal(code), "")}}
}

func (s *Shard) conclude(d *Decision) {
	invariant.True(d.at == s.decisions, "a decision is applied or refused before the next is made")
	s.decisions++
}

// refusals are how clients of a group are told that the log did not take records.
var refusals = map[errcode.Code]errcode.Code{ // kafka: CoordinatorOperationExceptionHelper
	errcode.UnknownTopicOrPartition:      errcode.CoordinatorNotAvailable,
	errcode.NotEnoughReplicas:            errcode.CoordinatorNotAvailable,
	errcode.NotEnoughReplicasAfterAppend: errcode.CoordinatorNotAvailable,
	errcode.RequestTimedOut:              errcode.CoordinatorNotAvailable,
	errcode.NotLeaderOrFollower:          errcode.NotCoordinator,
	errcode.KafkaStorageError:            errcode.NotCoordinator,
	errcode.MessageTooLarge:              errcode.UnknownServerError,
	errcode.RecordListTooLarge:           errcode.UnknownServerError,
	errcode.InvalidFetchSize:             errcode.UnknownServerError,
}

// Refusal returns what a client of a group is told when the log said code to records.
func Refusal(code errcode.Code) errcode.Code {
	if told, ok := refusals[code]; ok {
		return told
	}
	return code
}

// Deadline returns when Tick has something to decide, or clock.Never.
func (s *Shard) Deadline() clock.Instant {
	if d, ok := s.timers.first(); ok {
		return d.at
	}
	return clock.Never
}

// Tick decides about the deadline that passed first. The caller asks again, once the
// decision is applied or refused, as long as Deadline is not after now.
func (s *Shard) Tick(now clock.Time) *Decision {
	first, ok := s.timers.first()
	invariant.True(ok && first.at <= now.Mono, "a tick comes when a deadline has passed")
	t := s.begin(now)
	t.d.fired = first.key
	t.cancel(first.key)
	t.fire(first)
	return t.finish()
}

func (t *tx) fire(d deadline) {
	g := t.group(d.key.group)
	switch d.key.kind {
	case offsetsTimer:
		t.expireOffsets()
	case topicsTimer:
		t.followTopics()
	case sessionTimer, rejoinTimer, resyncTimer:
		t.fireMember(g, d)
	case joinTimer:
		if g != nil && g.classic != nil {
			t.fireJoin(g)
		}
	case syncTimer:
		if g != nil && g.classic != nil {
			t.fireSync(g, int32(d.arg))
		}
	case revocationTimer:
		if g == nil || g.consumer == nil {
			return
		}
		if m := g.consumer.members[d.key.member]; m != nil && m.epoch == int32(d.arg) {
			t.fence(g, m, CauseRevocationTimeout)
		}
	case regexTimer:
		if g != nil && g.consumer != nil {
			t.rematch(g)
		}
	}
}

func (t *tx) fireMember(g *group, d deadline) {
	switch {
	case g == nil:
	case g.classic != nil:
		t.classicSessionExpired(g, d.key.member)
	default:
		m := g.consumer.members[d.key.member]
		if m == nil {
			return
		}
		cause := CauseSessionExpired
		if d.key.kind != sessionTimer {
			cause = CauseRejoinTimeout
		}
		t.fence(g, m, cause)
	}
}

// Loaded says that all records of the partition are replayed: the shard is in charge as
// of now. The caller applies the decision as any other.
func (s *Shard) Loaded(now clock.Time) *Decision {
	t := s.begin(now)
	for _, id := range s.ids() {
		g := s.groups[id]
		if g.classic != nil {
			t.classicLoaded(g)
		} else {
			t.consumerLoaded(g)
		}
	}
	t.set(timerKey{kind: offsetsTimer}, s.config().OffsetsRetentionCheckInterval, 0)
	return t.finish()
}

// Unload answers every call that waits: this node coordinates the groups no longer. The
// shard must not be used afterwards.
func (s *Shard) Unload() []Answer {
	var answers []Answer
	for _, id := range s.ids() {
		c := s.groups[id].classic
		if c == nil {
			continue
		}
		for _, m := range c.ordered() {
			for _, p := range []*parked{m.join, m.sync} {
				if p != nil {
					answers = append(answers, Answer{
						Call: p.call, Response: ErrorResponse(p.request, errcode.NotCoordinator, ""),
					})
				}
			}
		}
	}
	return answers
}

// ImageChanged gives the shard newer metadata. The decision forgets the offsets of topics
// that were deleted, and has regular expressions matched against the topics there are.
func (s *Shard) ImageChanged(
	now clock.Time, image *metadata.Image, delta *metadata.Delta,
) *Decision {
	s.image = image
	if !changesTopics(delta) {
		return s.begin(now).finish()
	}
	s.topics++
	s.deleted = append(s.deleted, delta.Deleted...)
	t := s.begin(now)
	t.d.fired = timerKey{kind: topicsTimer}
	if len(delta.Created)+len(delta.Deleted) > 0 {
		t.followTopics()
	}
	return t.finish()
}

// followTopics does what is due when there are other topics than before.
func (t *tx) followTopics() {
	for _, topic := range t.s.deleted {
		t.forgetTopic(topic)
	}
	t.d.forgets = len(t.s.deleted)
	for _, id := range t.s.ids() {
		if g := t.s.groups[id]; g.consumer != nil {
			t.rematch(g)
		}
	}
}

func changesTopics(delta *metadata.Delta) bool {
	if len(delta.Created)+len(delta.Deleted) > 0 {
		return true
	}
	for i := range delta.Partitions {
		if delta.Partitions[i].New {
			return true
		}
	}
	return false
}
