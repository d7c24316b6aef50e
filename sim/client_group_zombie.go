package sim

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
)

// GroupZombie is an adversary: it sends requests of a member again when their generation
// is over, on connections of its own. Commits have tags of their own, so that one that
// takes effect is found; and a SyncGroup of one who did not lead assigns everything to
// itself.
type GroupZombie struct {
	caller
	victim   *Member
	next     clock.Instant
	interval clock.Duration
	left     int
	tags     int
}

// NewGroupZombie makes an adversary of one member that sends so many requests.
func NewGroupZombie(c ClientConfig, victim *Member, requests int) *GroupZombie {
	z := &GroupZombie{caller: newCaller(&c, "zombie"), victim: victim, left: requests}
	z.interval = clock.Duration(z.rand.LogUniform(5, 200)) * clock.Millisecond
	return z
}

// Step implements Actor.
func (z *GroupZombie) Step(now clock.Time, ev ActorEvent, out *ActorOrders) {
	z.begin(now, out)
	answered, _ := z.take(&ev)
	if call, ok := answered.(*commitCall); ok {
		r := ev.Response.(*kmsg.OffsetCommitResponse)
		for i := range call.refs {
			z.victim.config.Groups.Committed(z.victim.config.Group, call.refs[i],
				commitOutcome(errcode.Code(r.Topics[i].Partitions[0].ErrorCode)))
		}
	}
	if z.left == 0 || z.healed || z.next > now.Mono || z.victim.coordinator < 0 ||
		len(z.victim.sent) == 0 {
		return
	}
	conn := z.ready(z.victim.coordinator, laneControl)
	if conn == nil {
		return
	}
	z.next = now.Mono.Add(clock.Duration(z.rand.Exponential(int64(z.interval))) + 1)
	z.again(conn, z.victim.sent[z.rand.Below(int64(len(z.victim.sent)))])
}

// again sends a request again if the victim has gone on since.
func (z *GroupZombie) again(conn *clientConn, req kmsg.Request) {
	v := z.victim
	switch req := req.(type) {
	case *kmsg.OffsetCommitRequest:
		if req.MemberID == v.id && req.Generation >= v.epoch {
			return
		}
		z.commit(conn, req)
	case *kmsg.SyncGroupRequest:
		if req.MemberID != v.id || req.Generation >= v.epoch {
			return
		}
		copied := *req
		if len(copied.GroupAssignment) == 0 {
			copied.GroupAssignment = z.everything()
		}
		z.call(conn, &copied, nil)
	case *kmsg.HeartbeatRequest:
		if req.MemberID == v.id && req.Generation >= v.epoch {
			return
		}
		copied := *req
		z.call(conn, &copied, nil)
	default:
		return
	}
	z.left--
}

// everything assigns all that the victim knows of to it.
func (z *GroupZombie) everything() []kmsg.SyncGroupRequestGroupAssignment {
	a := kmsg.NewConsumerMemberAssignment()
	for i := range z.victim.catalog.topics {
		known := &z.victim.catalog.topics[i]
		t := kmsg.NewConsumerMemberAssignmentTopic()
		t.Topic = known.name
		for index := range known.partitions {
			t.Partitions = append(t.Partitions, int32(index))
		}
		a.Topics = append(a.Topics, t)
	}
	one := kmsg.NewSyncGroupRequestGroupAssignment()
	one.MemberID, one.MemberAssignment = z.victim.id, a.AppendTo(nil)
	return []kmsg.SyncGroupRequestGroupAssignment{one}
}

func (z *GroupZombie) commit(conn *clientConn, req *kmsg.OffsetCommitRequest) {
	v := z.victim
	copied := *req
	copied.Topics = nil
	call := &commitCall{}
	for i := range req.Topics {
		t := &req.Topics[i]
		z.tags++
		tag := fmt.Sprintf("%d/%d", z.client, z.tags)
		id := checker.PartitionID{Topic: t.TopicID, Index: t.Partitions[0].Partition}
		offset := t.Partitions[0].Offset
		addCommit(&copied, t.Topic, id, offset, tag)
		call.refs = append(call.refs, v.config.Groups.Commit(&checker.OffsetCommit{
			Group: v.config.Group, Member: req.MemberID, Tag: tag, Partition: id, Offset: offset,
			Epoch: req.Generation, Client: z.client, Classic: !v.consumer,
		}))
	}
	z.call(conn, &copied, call)
}

// Deadline implements Actor.
func (z *GroupZombie) Deadline() clock.Instant {
	at := z.deadline()
	if z.left > 0 && !z.healed {
		at = min(at, max(z.next, z.now.Mono.Add(z.interval)))
	}
	return z.later(at)
}
