package sim

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
)

// The classic protocol: members join, one of them leads and assigns the partitions, all
// learn their own with SyncGroup, and heartbeats tell when to join again.

const (
	rangeProtocol       = "range"
	cooperativeProtocol = "cooperative-sticky"
)

func (m *Member) workClassic() {
	switch m.stage {
	case memberOutside:
		m.join()
	case memberSyncing:
		m.sync()
	case memberInside:
		if m.now.Mono >= m.nextBeat {
			m.beatClassic()
		}
	}
}

func (m *Member) join() {
	if !m.config.Cooperative {
		m.rest() // KIP-429 is about not having to
	}
	said := kmsg.NewConsumerMemberMetadata()
	said.Version, said.Topics, said.Generation = 0, m.config.Topics, -1
	name := rangeProtocol
	if m.config.Cooperative {
		name = cooperativeProtocol
		said.Version, said.Generation = 2, m.heldGeneration()
		for _, p := range m.parts {
			owned := kmsg.NewConsumerMemberMetadataOwnedPartition()
			owned.Topic, owned.Partitions = p.topic, []int32{p.id.Index}
			said.OwnedPartitions = append(said.OwnedPartitions, owned)
		}
	}
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID = m.versions.join, m.config.Group, m.id
	req.InstanceID = m.instance()
	req.SessionTimeoutMillis = int32(m.config.Session / clock.Millisecond)
	req.RebalanceTimeoutMillis = int32(m.config.Rebalance / clock.Millisecond)
	req.ProtocolType = "consumer"
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = name, said.AppendTo(nil)
	req.Protocols = append(req.Protocols, p)
	m.request(req, m.joinTimeout)
}

// heldGeneration is of the assignment that the member still works on.
func (m *Member) heldGeneration() int32 {
	if len(m.parts) == 0 {
		return -1
	}
	return m.parts[0].epoch
}

func (m *Member) joinedGroup(about *memberRequest, r *kmsg.JoinGroupResponse) {
	groups, group := m.config.Groups, m.config.Group
	switch code := errcode.Code(r.ErrorCode); code {
	case errcode.None:
	case errcode.MemberIDRequired:
		groups.Named(group, r.MemberID, m.life())
		m.id = r.MemberID
		return
	default:
		m.classicError(code)
		return
	}
	if m.id == "" {
		groups.Named(group, r.MemberID, m.life())
	}
	m.id, m.epoch, m.stage = r.MemberID, r.Generation, memberSyncing
	m.leader, m.members, m.protocol = r.LeaderID, nil, ""
	if r.Protocol != nil {
		m.protocol = *r.Protocol
	}
	groups.Heard(m.answer(about, r.Generation))
	if r.LeaderID == m.id && !r.SkipAssignment {
		m.members = r.Members
	}
}

// life numbers this process among all that belong to groups.
func (m *Member) life() int { return m.client<<16 | m.lives }

func (m *Member) sync() {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.Generation = m.versions.sync, m.config.Group, m.epoch
	req.MemberID, req.InstanceID = m.id, m.instance()
	req.ProtocolType, req.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr(m.protocol)
	if len(m.members) > 0 {
		m.share(req)
	}
	m.request(req, m.joinTimeout)
}

// share assigns the partitions that it knows of to the members of the generation.
func (m *Member) share(req *kmsg.SyncGroupRequest) {
	shares := assignAll(&m.catalog, m.members, m.protocol == cooperativeProtocol)
	told := map[string][]int{}
	m.sharedCount = m.partitionCount()
	for i := range shares {
		s := &shares[i]
		a := kmsg.NewConsumerMemberAssignment()
		for _, p := range s.parts {
			t := kmsg.NewConsumerMemberAssignmentTopic()
			t.Topic, t.Partitions = p.topic, []int32{p.index}
			a.Topics = append(a.Topics, t)
			told[s.order] = append(told[s.order], m.number(p.topic, p.index))
		}
		one := kmsg.NewSyncGroupRequestGroupAssignment()
		one.MemberID, one.MemberAssignment = s.member, a.AppendTo(nil)
		req.GroupAssignment = append(req.GroupAssignment, one)
	}
	m.config.Groups.Shared(m.config.Group, m.epoch, told)
}

// number names a partition of the topics that the group subscribes to.
func (m *Member) number(topic string, index int32) int {
	return slices.Index(m.config.Topics, topic)<<16 | int(index)
}

func (m *Member) synced(about *memberRequest, r *kmsg.SyncGroupResponse) {
	if code := errcode.Code(r.ErrorCode); code != errcode.None {
		m.classicError(code)
		return
	}
	a := kmsg.NewConsumerMemberAssignment()
	if len(r.MemberAssignment) > 0 && a.ReadFrom(r.MemberAssignment) != nil {
		m.config.Groups.Judge().Report(checker.GroupOwners, "malformed",
			"group %s: %s cannot read its assignment", m.config.Group, m.id)
		return
	}
	m.stage, m.nextBeat = memberInside, m.now.Mono.Add(m.config.Beat)
	groups := m.config.Groups
	present := groups.Answered(m.answer(about, m.epoch))
	m.joined = false
	m.wanted = m.wanted[:0]
	var told []int
	for i := range a.Topics {
		at := slices.IndexFunc(m.topics, func(t groupTopic) bool { return t.name == a.Topics[i].Topic })
		for _, index := range a.Topics[i].Partitions {
			told = append(told, m.number(a.Topics[i].Topic, index))
			if at >= 0 {
				m.wanted = append(m.wanted,
					checker.PartitionID{Topic: m.topics[at].id, Index: index})
			}
		}
	}
	if m.leader != "" && present {
		groups.Assigned(m.config.Group, cmp.Or(m.config.Instance, m.id), m.epoch, told)
	}
	before := len(m.parts)
	m.giveUnwanted()
	given := before > len(m.parts)
	m.takeWanted(about, present)
	if given && m.config.Cooperative {
		m.stage = memberOutside // the others wait for what it gave up (KIP-429)
	}
}

func (m *Member) beatClassic() {
	if m.leads() && m.outgrown() {
		m.stage = memberOutside // there is more to share, or less
		m.join()
		return
	}
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.Generation = m.versions.beat, m.config.Group, m.epoch
	req.MemberID, req.InstanceID = m.id, m.instance()
	m.request(req, m.timeout)
}

func (m *Member) leads() bool { return m.leader != "" && m.leader == m.id }

// outgrown reports whether the topics have other partitions than were shared.
func (m *Member) outgrown() bool { return m.partitionCount() != m.sharedCount }

func (m *Member) partitionCount() int {
	count := 0
	for i := range m.catalog.topics {
		count += len(m.catalog.topics[i].partitions)
	}
	return count
}

func (m *Member) beaten(about *memberRequest, r *kmsg.HeartbeatResponse) {
	m.nextBeat = m.now.Mono.Add(m.config.Beat)
	if code := errcode.Code(r.ErrorCode); code != errcode.None {
		m.classicError(code)
		return
	}
	m.config.Groups.Heard(m.answer(about, m.epoch))
}

// classicError does what an error asks of a member.
func (m *Member) classicError(code errcode.Code) {
	if m.again(code) {
		return
	}
	switch code {
	case errcode.RebalanceInProgress:
		m.stage = memberOutside
	case errcode.IllegalGeneration:
		m.giveAll() // others may have its partitions
		m.stage, m.joined = memberOutside, true
	case errcode.UnknownMemberID, errcode.GroupIDNotFound:
		m.lose()
		m.id = ""
		m.holdOff()
	case errcode.FencedInstanceID:
		m.fenced()
	default:
		m.lose()
		m.id = ""
		m.holdOff()
		if code != errcode.GroupMaxSizeReached && code != errcode.InconsistentGroupProtocol {
			m.config.Groups.Judge().Report(checker.GroupEpochs, "unexpected-error",
				"group %s: %s is told %v", m.config.Group, m.id, code)
		}
	}
}

// lose is what a member does that has no place in the group: it gives all up and joins.
func (m *Member) lose() {
	m.config.Groups.Refused(m.config.Group, m.id)
	m.giveAll()
	m.wanted = m.wanted[:0]
	m.stage, m.joined, m.epoch, m.full = memberOutside, true, 0, true
}

// fenced ends a process whose place another process has.
func (m *Member) fenced() {
	m.lose()
	m.stop(m.config.Session)
}

// leave says goodbye, and does not wait for an answer.
func (m *Member) leave() {
	m.rest()
	if m.stage == memberOutside || m.coordinator < 0 || m.id == "" {
		return
	}
	m.asking = false
	m.config.Groups.Left(m.config.Group, m.id, m.now.Mono)
	if m.consumer {
		m.leaveConsumer()
		return
	}
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version, req.Group, req.MemberID = m.versions.leave, m.config.Group, m.id
	if req.Version >= 3 {
		who := kmsg.NewLeaveGroupRequestMember()
		who.MemberID, who.InstanceID = m.id, m.instance()
		req.Members = append(req.Members, who)
	}
	m.request(req, m.timeout)
}
