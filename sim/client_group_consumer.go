package sim

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
)

// The consumer protocol (KIP-848): the coordinator assigns. Members say in heartbeats what
// they want and have, and are told what they shall have.

const (
	leaveForGood   = -1
	leaveForAWhile = -2
)

func (m *Member) workConsumer() {
	if m.stage == memberInside && m.now.Mono < m.nextBeat {
		return
	}
	req := m.heartbeat()
	if m.stage == memberOutside {
		req.MemberEpoch = 0
	}
	if m.full || req.MemberEpoch == 0 {
		req.RebalanceTimeoutMillis = int32(m.config.Rebalance / clock.Millisecond)
		req.SubscribedTopicNames, req.SubscribedTopicRegex = m.config.Topics, m.pattern
		if m.pattern != nil {
			req.SubscribedTopicNames = []string{}
		}
		if m.config.Assignor != "" {
			req.ServerAssignor = &m.config.Assignor
		}
	}
	req.Topics = m.owned()
	if m.request(req, m.timeout) {
		m.full = false
	}
}

func (m *Member) heartbeat() *kmsg.ConsumerGroupHeartbeatRequest {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Version, req.Group, req.MemberID = m.versions.consumer, m.config.Group, m.id
	req.MemberEpoch, req.InstanceID = m.epoch, m.instance()
	return req
}

// owned is what the member works on, by topic.
func (m *Member) owned() []kmsg.ConsumerGroupHeartbeatRequestTopic {
	topics := []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	for _, p := range m.parts {
		i := slices.IndexFunc(topics, func(t kmsg.ConsumerGroupHeartbeatRequestTopic) bool {
			return t.TopicID == p.id.Topic
		})
		if i < 0 {
			t := kmsg.NewConsumerGroupHeartbeatRequestTopic()
			t.TopicID = p.id.Topic
			i, topics = len(topics), append(topics, t)
		}
		topics[i].Partitions = append(topics[i].Partitions, p.id.Index)
	}
	return topics
}

func (m *Member) consumerAnswered(about *memberRequest, r *kmsg.ConsumerGroupHeartbeatResponse) {
	m.nextBeat = m.now.Mono.Add(m.config.Beat)
	if code := errcode.Code(r.ErrorCode); code != errcode.None {
		m.consumerError(code)
		return
	}
	if m.id == "" && r.MemberID != nil {
		m.id = *r.MemberID
		m.config.Groups.Named(m.config.Group, m.id, m.life())
	}
	m.leader = ""
	present := m.config.Groups.Answered(m.answer(about, r.MemberEpoch))
	m.epoch, m.stage, m.joined = r.MemberEpoch, memberInside, false
	if r.Assignment != nil {
		m.wanted = m.wanted[:0]
		for _, t := range r.Assignment.Topics {
			for _, index := range t.Partitions {
				m.wanted = append(m.wanted, checker.PartitionID{Topic: t.TopicID, Index: index})
			}
		}
	}
	before := len(m.parts)
	if !m.config.Ignores {
		m.giveUnwanted()
	}
	given := before > len(m.parts)
	if added := m.takeWanted(about, present); added || given {
		m.nextBeat = m.now.Mono // the coordinator waits to hear that
	}
}

func (m *Member) consumerError(code errcode.Code) {
	if m.again(code) {
		return
	}
	switch code {
	case errcode.UnknownMemberID, errcode.FencedMemberEpoch, errcode.GroupIDNotFound:
		m.lose()
		m.holdOff()
	case errcode.UnreleasedInstanceID, errcode.GroupMaxSizeReached:
		m.holdOff() // until the session of whoever has the place is over
	case errcode.FencedInstanceID:
		m.fenced()
	default:
		m.lose()
		m.holdOff()
		m.config.Groups.Judge().Report(checker.GroupEpochs, "unexpected-error",
			"group %s: %s is told %v", m.config.Group, m.id, code)
	}
}

// leaveConsumer says goodbye, or that a static member comes back.
func (m *Member) leaveConsumer() {
	req := m.heartbeat()
	req.MemberEpoch = leaveForGood
	if m.config.Instance != "" && m.rand.Chance(700_000) {
		req.MemberEpoch = leaveForAWhile
	}
	req.RebalanceTimeoutMillis = -1
	m.request(req, m.timeout)
}
