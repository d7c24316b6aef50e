package group

import (
	"maps"
	"slices"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
)

// client is a consumer as its users know it. What it does next follows from what it knows.
type client struct {
	req      kmsg.Request // that it waits for, nil if it does not
	late     kmsg.Request // an earlier one that may arrive a second time
	instance *string
	name     string
	id       string
	group    string
	topics   []string
	regex    *string
	members  []kmsg.JoinGroupResponseMember // if it leads
	owned    Assignment                     // by id, as the coordinator assigns
	names    []TopicPartition               // by name, as a leader assigns
	call     Call
	epoch    int32 // or generation
	stage    stage
	life     int // which start of an instance this is
	fenced   bool
	consumer bool // it uses the consumer protocol
	sticky   bool // it keeps what it has while it joins again (KIP-429)
	full     bool // it must say everything in its next heartbeat
	stale    bool // it must join again, since there is more to share
}

// life is one start of an instance that was served, with a call.
type life struct {
	n    int
	call Call
}

// stage is where a client of a classic group stands.
type stage uint8

const (
	outside stage = iota
	joining1
	syncing
	inside
)

func (m *model) step(c *client) {
	switch {
	case c.req != nil || c.fenced:
	case c.consumer:
		m.beat(c)
	case c.stage == outside || c.stage == inside && c.stale:
		c.stale, c.stage = false, outside
		m.join(c)
	case c.stage == syncing:
		m.sync(c)
	default:
		m.send(c, &kmsg.HeartbeatRequest{
			Version: 4, Group: c.group, Generation: c.epoch, MemberID: c.id, InstanceID: c.instance,
		})
	}
}

func (m *model) join(c *client) {
	said := kmsg.ConsumerMemberMetadata{Version: 1, Topics: c.topics}
	if !c.sticky {
		c.names = nil
	}
	for _, p := range c.names {
		said.OwnedPartitions = append(said.OwnedPartitions, kmsg.ConsumerMemberMetadataOwnedPartition{
			Topic: p.Topic, Partitions: []int32{p.Partition},
		})
	}
	m.send(c, &kmsg.JoinGroupRequest{
		Version: 9, Group: c.group, MemberID: c.id, InstanceID: c.instance,
		SessionTimeoutMillis: 10_000, RebalanceTimeoutMillis: 30_000, ProtocolType: "consumer",
		Protocols: []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: said.AppendTo(nil)}},
	})
}

func (m *model) sync(c *client) {
	req := &kmsg.SyncGroupRequest{
		Version: 5, Group: c.group, Generation: c.epoch, MemberID: c.id, InstanceID: c.instance,
		ProtocolType: ptr("consumer"), Protocol: ptr("range"),
	}
	parts := m.share(c.members)
	for _, member := range c.members {
		a := kmsg.ConsumerMemberAssignment{Topics: parts[member.MemberID]}
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{
			MemberID: member.MemberID, MemberAssignment: a.AppendTo(nil),
		})
	}
	m.send(c, req)
}

// share assigns partitions to members in turn, as a leader may.
func (m *model) share(
	members []kmsg.JoinGroupResponseMember,
) map[string][]kmsg.ConsumerMemberAssignmentTopic {
	parts := map[string][]kmsg.ConsumerMemberAssignmentTopic{}
	if len(members) == 0 {
		return parts
	}
	turn := 0
	for _, topic := range slices.Sorted(maps.Keys(m.topics)) {
		var wanting []string
		for _, member := range members {
			said, ok := readSubscription(member.ProtocolMetadata)
			require.True(m.t, ok)
			if slices.Contains(said.Topics, topic) {
				wanting = append(wanting, member.MemberID)
			}
		}
		for p := 0; p < m.topics[topic] && len(wanting) > 0; p++ {
			id := wanting[turn%len(wanting)]
			parts[id] = append(parts[id], kmsg.ConsumerMemberAssignmentTopic{
				Topic: topic, Partitions: []int32{int32(p)},
			})
			turn++
		}
	}
	return parts
}

func (m *model) beat(c *client) {
	req := &kmsg.ConsumerGroupHeartbeatRequest{
		Version: 1, Group: c.group, MemberID: c.id, MemberEpoch: c.epoch, InstanceID: c.instance,
		RebalanceTimeoutMillis: -1, Topics: []kmsg.ConsumerGroupHeartbeatRequestTopic{},
	}
	if c.full || c.epoch == 0 {
		req.RebalanceTimeoutMillis, req.SubscribedTopicNames = 20_000, c.topics
		req.SubscribedTopicRegex = c.regex
		c.full = false
	}
	for topic := range c.owned.topics() {
		part := kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: topic[0].Topic}
		for _, p := range topic {
			part.Partitions = append(part.Partitions, p.Index)
		}
		req.Topics = append(req.Topics, part)
	}
	m.send(c, req)
}

func (m *model) commit(c *client) {
	if c.req != nil || c.epoch < 0 || c.consumer && c.epoch == 0 {
		return
	}
	m.send(c, &kmsg.OffsetCommitRequest{
		Version: 9, Group: c.group, Generation: c.epoch, MemberID: c.id, InstanceID: c.instance,
		Topics: []kmsg.OffsetCommitRequestTopic{{
			Topic: "users", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: int64(c.call)}},
		}},
	})
	c.late = c.req
}

func (m *model) leave(c *client) {
	if c.consumer && c.epoch > 0 {
		m.h.call(c.name, &kmsg.ConsumerGroupHeartbeatRequest{
			Version: 1, Group: c.group, MemberID: c.id, MemberEpoch: leaveEpoch,
			InstanceID: c.instance, RebalanceTimeoutMillis: -1,
		})
	}
	if !c.consumer && c.id != "" {
		m.h.call(c.name, &kmsg.LeaveGroupRequest{
			Version: 5, Group: c.group,
			Members: []kmsg.LeaveGroupRequestMember{{MemberID: c.id, InstanceID: c.instance}},
		})
	}
	m.remove(c)
}

// take lets a client go on with an answer.
func (m *model) take(c *client, r kmsg.Response) {
	switch r := r.(type) {
	case *kmsg.JoinGroupResponse:
		switch errcode.Code(r.ErrorCode) {
		case errcode.None:
			c.id, c.epoch, c.members, c.stage = r.MemberID, r.Generation, nil, syncing
			// A leader that did not assign looks whether there is more to share by now.
			c.stale = c.stale || r.SkipAssignment
			if r.LeaderID == r.MemberID && !r.SkipAssignment {
				c.members = r.Members
			}
			return
		case errcode.MemberIDRequired:
			c.id = r.MemberID
			return
		}
		m.classicError(c, r.ErrorCode)
	case *kmsg.SyncGroupResponse:
		if r.ErrorCode != 0 {
			m.classicError(c, r.ErrorCode)
			return
		}
		c.stage, c.names = inside, nil
		topics, ok := readAssignment(r.MemberAssignment)
		require.True(m.t, ok)
		for _, topic := range topics {
			for _, p := range topic.Partitions {
				c.names = append(c.names, TopicPartition{Topic: topic.Topic, Partition: p})
			}
		}
	case *kmsg.HeartbeatResponse:
		if r.ErrorCode != 0 {
			m.classicError(c, r.ErrorCode)
		}
	case *kmsg.OffsetCommitResponse:
		code := r.Topics[0].Partitions[0].ErrorCode
		if code != 0 && !c.consumer {
			m.classicError(c, code)
		}
	case *kmsg.ConsumerGroupHeartbeatResponse:
		m.takeBeat(c, r)
	}
}

func (m *model) classicError(c *client, code int16) {
	switch errcode.Code(code) {
	case errcode.UnknownMemberID, errcode.GroupIDNotFound:
		c.id = ""
		c.reset()
	case errcode.IllegalGeneration, errcode.CoordinatorNotAvailable, errcode.UnknownServerError,
		errcode.RebalanceInProgress, errcode.GroupMaxSizeReached:
		names := c.names
		c.reset()
		if errcode.Code(code) != errcode.IllegalGeneration {
			c.names = names
		}
	case errcode.FencedInstanceID:
		c.fenced = true
	default:
		require.Fail(m.t, "unexpected", "%v", errcode.Code(code))
	}
}

func (m *model) takeBeat(c *client, r *kmsg.ConsumerGroupHeartbeatResponse) {
	switch errcode.Code(r.ErrorCode) {
	case errcode.None:
		c.epoch = r.MemberEpoch
		if r.Assignment == nil {
			return
		}
		c.owned = nil
		for _, topic := range r.Assignment.Topics {
			for _, p := range topic.Partitions {
				c.owned = append(c.owned, Partition{Topic: topic.TopicID, Index: p})
			}
		}
		c.owned = c.owned.sorted()
	case errcode.UnknownMemberID, errcode.FencedMemberEpoch, errcode.GroupIDNotFound:
		c.reset()
	case errcode.UnreleasedInstanceID, errcode.CoordinatorNotAvailable,
		errcode.UnknownServerError, errcode.GroupMaxSizeReached:
		c.full = true
	case errcode.FencedInstanceID:
		c.fenced = true
	default:
		require.Fail(m.t, "unexpected", "%v %v", errcode.Code(r.ErrorCode), text(r.ErrorMessage))
	}
}
