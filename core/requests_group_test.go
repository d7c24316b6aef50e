package core_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/group"
	"github.com/heiban/heiban/core/wire"
)

// The requests of members of groups, and of those who look after groups. Members are
// called $1, $2 and so on, in the order in which their ids were given out.

func (s *script) groupRequests() map[string]func() (wire.Request, int16, int16) {
	return map[string]func() (wire.Request, int16, int16){
		"find-coordinator":   s.findCoordinator,
		"join":               s.joinGroup,
		"sync":               s.syncGroup,
		"heartbeat-group":    s.heartbeatGroup,
		"leave":              s.leaveGroup,
		"commit-offsets":     s.commitOffsets,
		"fetch-offsets":      s.fetchOffsets,
		"delete-offsets":     s.deleteOffsets,
		"consumer-heartbeat": s.consumerHeartbeat,
		"describe-consumers": s.describeConsumers,
		"describe-groups":    s.describeGroups,
		"list-groups":        s.listGroups,
		"delete-groups":      s.deleteGroups,
	}
}

// groups are those in a command's lines, or g.
func (s *script) groups() []string {
	if len(s.lines) == 0 {
		return []string{"g"}
	}
	return s.lines
}

func (s *script) group() string { return s.string("group", "g") }

// member is the id that an argument means.
func (s *script) member(name string) string {
	word := s.args[name]
	if !strings.HasPrefix(word, "$") {
		return word
	}
	i := s.int64(name, word[1:])
	return s.members[i-1]
}

// memberName is how a script names a member.
func (s *script) memberName(id string) string {
	if id == "" {
		return "-"
	}
	i := slices.Index(s.members, id)
	if i < 0 {
		i = len(s.members)
		s.members = append(s.members, id)
	}
	return fmt.Sprintf("$%d", i+1)
}

func (s *script) pointer(name string) *string {
	if v, ok := s.args[name]; ok {
		return &v
	}
	return nil
}

func (s *script) findCoordinator() (wire.Request, int16, int16) {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorType = int8(s.int("type", 0))
	req.CoordinatorKey, req.CoordinatorKeys = s.groups()[0], s.groups()
	return req, 10, int16(s.int("version", 6))
}

func (s *script) joinGroup() (wire.Request, int16, int16) {
	said := kmsg.ConsumerMemberMetadata{Version: 1, Topics: strings.Split(s.string("topics", "t"), ",")}
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.InstanceID = s.group(), s.member("id"), s.pointer("instance")
	req.SessionTimeoutMillis = int32(s.int("session", 10_000))
	req.RebalanceTimeoutMillis, req.ProtocolType = 30_000, "consumer"
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", said.AppendTo(nil)
	req.Protocols = append(req.Protocols, p)
	return req, 11, int16(s.int("version", 9))
}

// syncGroup has lines for the leader: MEMBER PARTITION of t.
func (s *script) syncGroup() (wire.Request, int16, int16) {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.Generation = s.group(), s.member("id"), int32(s.int("generation", 1))
	req.ProtocolType, req.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr("range")
	for _, text := range s.lines {
		words := strings.Fields(text)
		part := kmsg.ConsumerMemberAssignment{Topics: []kmsg.ConsumerMemberAssignmentTopic{
			{Topic: "t", Partitions: []int32{int32(s.int64(text, words[1]))}},
		}}
		s.args["assigned"] = words[0]
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = s.member("assigned"), part.AppendTo(nil)
		req.GroupAssignment = append(req.GroupAssignment, a)
	}
	return req, 14, int16(s.int("version", 5))
}

func (s *script) heartbeatGroup() (wire.Request, int16, int16) {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation = s.group(), s.member("id"), int32(s.int("generation", 1))
	return req, 12, 4
}

func (s *script) leaveGroup() (wire.Request, int16, int16) {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.MemberID = s.group(), s.member("id")
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID, m.InstanceID = req.MemberID, s.pointer("instance")
	req.Members = append(req.Members, m)
	return req, 13, int16(s.int("version", 5))
}

// commitOffsets commits the offsets of its lines: TOPIC-PARTITION offset=N metadata=WORD.
func (s *script) commitOffsets() (wire.Request, int16, int16) {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation = s.group(), s.member("id"), int32(s.int("generation", -1))
	for _, text := range s.lines {
		l := s.parsePartition(text)
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset = l.index, l.int("offset", 0)
		if v, ok := l.fields["metadata"]; ok {
			p.Metadata = &v
		}
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic, t.TopicID, t.Partitions = l.name, l.id(), append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
	}
	return req, 8, int16(s.int("version", 9))
}

// fetchOffsets asks for all offsets of groups, or before version 8 for those of one.
func (s *script) fetchOffsets() (wire.Request, int16, int16) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = s.groups()[0]
	for _, id := range s.groups() {
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group, g.MemberEpoch, g.Topics = id, -1, nil
		req.Groups = append(req.Groups, g)
	}
	return req, 9, int16(s.int("version", 9))
}

func (s *script) deleteOffsets() (wire.Request, int16, int16) {
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = s.group()
	for _, text := range s.lines {
		l := s.parsePartition(text)
		p := kmsg.NewOffsetDeleteRequestTopicPartition()
		p.Partition = l.index
		t := kmsg.NewOffsetDeleteRequestTopic()
		t.Topic, t.Partitions = l.name, append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
	}
	return req, 47, 0
}

func (s *script) consumerHeartbeat() (wire.Request, int16, int16) {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch = s.group(), s.member("id"), int32(s.int("epoch", 0))
	req.RebalanceTimeoutMillis = -1
	if req.MemberEpoch == 0 {
		req.RebalanceTimeoutMillis = 30_000
		req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		req.SubscribedTopicRegex = s.pointer("regex")
		if req.SubscribedTopicRegex == nil {
			req.SubscribedTopicNames = strings.Split(s.string("topics", "t"), ",")
		}
	}
	return req, 68, int16(s.int("version", 1))
}

func (s *script) describeConsumers() (wire.Request, int16, int16) {
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = s.groups()
	return req, 69, 1
}

func (s *script) describeGroups() (wire.Request, int16, int16) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = s.groups()
	return req, 15, int16(s.int("version", 6))
}

func (s *script) listGroups() (wire.Request, int16, int16) {
	return kmsg.NewPtrListGroupsRequest(), 16, int16(s.int("version", 5))
}

func (s *script) deleteGroups() (wire.Request, int16, int16) {
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = s.groups()
	return req, 42, 2
}

// grouped prints the answers that members get.
func (s *script) grouped(r kmsg.Response, add func(string, ...any)) {
	switch r := r.(type) {
	case *kmsg.FindCoordinatorResponse:
		if len(r.Coordinators) == 0 {
			add("coordinator %s", errorOr(r.ErrorCode, fmt.Sprintf("%d=%s:%d", r.NodeID, r.Host, r.Port)))
		}
		for _, c := range r.Coordinators {
			add("coordinator of %s %s", c.Key,
				errorOr(c.ErrorCode, fmt.Sprintf("%d=%s:%d", c.NodeID, c.Host, c.Port)))
		}
	case *kmsg.JoinGroupResponse:
		line := fmt.Sprintf("joined %s", errorOr(r.ErrorCode, fmt.Sprintf("generation=%d protocol=%s",
			r.Generation, text(r.Protocol))))
		if r.MemberID != "" {
			line += " member=" + s.memberName(r.MemberID)
		}
		if r.ErrorCode == 0 {
			line += " leader=" + s.memberName(r.LeaderID)
		}
		for _, m := range r.Members {
			line += " " + s.memberName(m.MemberID)
		}
		add("%s", line)
	case *kmsg.SyncGroupResponse:
		add("synced %s", errorOr(r.ErrorCode, "assigned"+classicAssignment(r.MemberAssignment)))
	case *kmsg.HeartbeatResponse:
		add("heartbeat %s", errorOr(r.ErrorCode, "ok"))
	case *kmsg.LeaveGroupResponse:
		line := "left " + errorOr(r.ErrorCode, "")
		for _, m := range r.Members {
			line += s.memberName(m.MemberID) + " " + errorOr(m.ErrorCode, "")
		}
		add("%s", line)
	case *kmsg.ConsumerGroupHeartbeatResponse:
		line := "heartbeat " + errorOr(r.ErrorCode, fmt.Sprintf("epoch=%d", r.MemberEpoch))
		if r.MemberID != nil && r.ErrorCode == 0 {
			line += " member=" + s.memberName(*r.MemberID)
		}
		if r.Assignment != nil {
			line += " assigned"
			for _, t := range r.Assignment.Topics {
				line += fmt.Sprintf(" %s%v", s.topic("", t.TopicID), t.Partitions)
			}
		}
		add("%s", line)
	default:
		s.looked(r, add)
	}
}

func classicAssignment(data []byte) string {
	var a kmsg.ConsumerMemberAssignment
	if len(data) == 0 || a.ReadFrom(data) != nil {
		return " nothing"
	}
	line := ""
	for _, t := range a.Topics {
		line += fmt.Sprintf(" %s%v", t.Topic, t.Partitions)
	}
	return line
}

// looked prints what is told of groups and of their offsets.
func (s *script) looked(r kmsg.Response, add func(string, ...any)) {
	offsets := func(topic string, id wire.TopicID, p int32, offset int64, code int16, metadata *string) {
		add("  %s-%d %s", s.topic(topic, id), p,
			errorOr(code, strings.TrimRight(fmt.Sprintf("%d %s", offset, text(metadata)), " ")))
	}
	switch r := r.(type) {
	case *kmsg.OffsetCommitResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				add("committed %s-%d %s", s.topic(t.Topic, t.TopicID), p.Partition, errorOr(p.ErrorCode, ""))
			}
		}
	case *kmsg.OffsetFetchResponse:
		if len(r.Groups) == 0 {
			add("offsets %s", errorOr(r.ErrorCode, ""))
		}
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				offsets(t.Topic, wire.TopicID{}, p.Partition, p.Offset, p.ErrorCode, p.Metadata)
			}
		}
		for _, g := range r.Groups {
			add("offsets of %s %s", g.Group, errorOr(g.ErrorCode, ""))
			for _, t := range g.Topics {
				for _, p := range t.Partitions {
					offsets(t.Topic, t.TopicID, p.Partition, p.Offset, p.ErrorCode, p.Metadata)
				}
			}
		}
	case *kmsg.OffsetDeleteResponse:
		add("offsets deleted %s", errorOr(r.ErrorCode, ""))
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				add("  %s-%d %s", t.Topic, p.Partition, errorOr(p.ErrorCode, ""))
			}
		}
	case *kmsg.ListGroupsResponse:
		add("groups %s", errorOr(r.ErrorCode, ""))
		for _, g := range r.Groups {
			add("  %s %s %s", g.Group, g.GroupState, g.GroupType)
		}
	case *kmsg.DescribeGroupsResponse:
		for _, g := range r.Groups {
			add("group %s %s", g.Group, errorOr(g.ErrorCode, g.State))
			for _, m := range g.Members {
				add("  %s %s %s%s", s.memberName(m.MemberID), m.ClientID, m.ClientHost,
					classicAssignment(m.MemberAssignment))
			}
		}
	case *kmsg.ConsumerGroupDescribeResponse:
		for _, g := range r.Groups {
			add("group %s %s", g.Group, errorOr(g.ErrorCode, fmt.Sprintf("%s epoch=%d", g.State, g.Epoch)))
			for _, m := range g.Members {
				add("  %s %s %s epoch=%d", s.memberName(m.MemberID), m.ClientID, m.ClientHost, m.MemberEpoch)
			}
		}
	case *kmsg.DeleteGroupsResponse:
		for _, g := range r.Groups {
			add("deleted %s %s", g.Group, errorOr(g.ErrorCode, ""))
		}
	default:
		add("%T", r)
	}
}

// groupReport prints what came to pass in a group.
func (s *script) groupReport(r group.Report) string {
	switch r := r.(type) {
	case group.RebalanceStarted:
		return fmt.Sprintf("%s: generation %d ends: %s %s", r.Group, r.Epoch, r.Cause,
			s.memberName(r.Member))
	case group.EpochStarted:
		return fmt.Sprintf("%s: epoch %d begins: %s %s members=%d", r.Group, r.Epoch, r.Cause,
			s.memberName(r.Member), r.Members)
	case group.RebalanceCompleted:
		return fmt.Sprintf("%s: epoch %d is balanced", r.Group, r.Epoch)
	case group.PartitionTaken:
		return fmt.Sprintf("%s: %s has %s-%d", r.Group, s.memberName(r.Member), r.Topic, r.Partition)
	case group.Converted:
		return fmt.Sprintf("%s: %s now", r.Group, r.To)
	}
	return ""
}
