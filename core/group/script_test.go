package group

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

// script runs the commands of a file against a shard. Every command prints the answers
// that are sent, the records that are appended and the reports.
type script struct {
	t       *testing.T
	h       *host
	out     strings.Builder
	sent    Call // answers up to here were looked for
	waiting map[Call]string
	log     int
	reports int
}

func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		s := &script{t: t, waiting: map[Call]string{}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.out.Reset()
			s.run(&args{t: t, d: d})
			s.print()
			return s.out.String()
		})
	})
}

// args reads the arguments of a command.
type args struct {
	t *testing.T
	d *datadriven.TestData
}

func (a *args) has(name string) bool { return a.d.HasArg(name) }

func (a *args) text(name, def string) string {
	for _, arg := range a.d.CmdArgs {
		if arg.Key == name {
			return strings.Join(arg.Vals, ",")
		}
	}
	return def
}

func (a *args) ptr(name string) *string {
	if !a.has(name) {
		return nil
	}
	return ptr(a.text(name, ""))
}

func (a *args) list(name string) []string {
	for _, arg := range a.d.CmdArgs {
		if arg.Key == name {
			return slices.DeleteFunc(append([]string{}, arg.Vals...),
				func(v string) bool { return v == "" })
		}
	}
	return nil
}

func (a *args) int(name string, def int) int {
	if !a.has(name) {
		return def
	}
	n, err := strconv.Atoi(a.text(name, ""))
	require.NoError(a.t, err)
	return n
}

func (s *script) run(a *args) {
	group := a.text("group", "g")
	call := func(req kmsg.Request) {
		version := a.int("version", int(req.MaxVersion()))
		req.SetVersion(int16(version))
		id := s.h.call(a.text("client", "c"), req)
		s.waiting[id] = a.d.Cmd
	}
	switch a.d.Cmd {
	case "shard":
		props := map[string]string{}
		for _, line := range strings.Fields(a.d.Input) {
			name, value, _ := strings.Cut(line, "=")
			props[name] = value
		}
		s.h = newHost(a.t, mutantNone(), props)
		s.log, s.reports, s.sent = 0, 0, 0
	case "topic":
		s.h.createTopic(a.text("name", "t"), byte(a.int("id", 1)), a.int("partitions", 2))
	case "delete-topic":
		s.h.change(&metadata.RemoveTopicRecord{TopicID: topicID(byte(a.int("id", 1)))})
	case "advance":
		s.h.advance(clock.Duration(a.int("ms", 0)) * clock.Millisecond)
	case "refuse":
		s.h.refuses = errcode.Code(a.int("code", 0))
	case "lag":
		s.h.lags = true
	case "commit-log":
		s.h.lags = false
		s.h.commit()
	case "reload":
		s.h.crash(len(s.h.log))
	case "join":
		call(joinOf(a, group))
	case "sync":
		call(syncOf(a, group))
	case "beat":
		call(&kmsg.HeartbeatRequest{
			Group: group, Generation: int32(a.int("generation", 1)), MemberID: a.text("id", ""),
			InstanceID: a.ptr("instance"),
		})
	case "leave":
		call(&kmsg.LeaveGroupRequest{
			Group: group, MemberID: a.text("id", ""), Members: []kmsg.LeaveGroupRequestMember{
				{MemberID: a.text("id", ""), InstanceID: a.ptr("instance")},
			},
		})
	case "heartbeat":
		call(s.heartbeatOf(a, group))
	case "commit":
		call(commitOf(a, group))
	case "fetch":
		call(fetchOf(a, group))
	default:
		s.runAdmin(a, group, call)
	}
}

func (s *script) runAdmin(a *args, group string, call func(kmsg.Request)) {
	switch a.d.Cmd {
	case "describe":
		call(&kmsg.DescribeGroupsRequest{Groups: []string{group}})
	case "describe-consumer":
		call(&kmsg.ConsumerGroupDescribeRequest{Groups: []string{group}})
	case "list":
		call(&kmsg.ListGroupsRequest{StatesFilter: a.list("states"), TypesFilter: a.list("types")})
	case "delete":
		call(&kmsg.DeleteGroupsRequest{Groups: []string{group}})
	case "delete-offset":
		call(&kmsg.OffsetDeleteRequest{Group: group, Topics: []kmsg.OffsetDeleteRequestTopic{{
			Topic: a.text("topic", "t"), Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}},
		}}})
	default:
		require.Fail(a.t, "unknown command", a.d.Cmd)
	}
}

func joinOf(a *args, group string) *kmsg.JoinGroupRequest {
	said := kmsg.ConsumerMemberMetadata{Version: 1, Topics: a.list("topics")}
	if said.Topics == nil {
		said.Topics = []string{"t"}
	}
	req := &kmsg.JoinGroupRequest{
		Group: group, MemberID: a.text("id", ""), InstanceID: a.ptr("instance"),
		SessionTimeoutMillis:   int32(a.int("session", 10_000)),
		RebalanceTimeoutMillis: int32(a.int("rebalance", 30_000)),
		ProtocolType:           a.text("type", "consumer"),
	}
	names := a.list("protocols")
	if names == nil {
		names = []string{"range"}
	}
	for _, name := range names {
		req.Protocols = append(req.Protocols,
			kmsg.JoinGroupRequestProtocol{Name: name, Metadata: said.AppendTo(nil)})
	}
	return req
}

// assigned is what a leader assigns: of topic t, the partition that the member's place
// in the list says.
func syncOf(a *args, group string) *kmsg.SyncGroupRequest {
	req := &kmsg.SyncGroupRequest{
		Group: group, Generation: int32(a.int("generation", 1)), MemberID: a.text("id", ""),
		InstanceID: a.ptr("instance"), ProtocolType: ptr("consumer"),
		Protocol: ptr(a.text("protocol", "range")),
	}
	for i, id := range a.list("assign") {
		part := kmsg.ConsumerMemberAssignment{Topics: []kmsg.ConsumerMemberAssignmentTopic{
			{Topic: "t", Partitions: []int32{int32(i)}},
		}}
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{
			MemberID: id, MemberAssignment: part.AppendTo(nil),
		})
	}
	return req
}

func (s *script) heartbeatOf(a *args, group string) *kmsg.ConsumerGroupHeartbeatRequest {
	epoch := a.int("epoch", 0)
	req := &kmsg.ConsumerGroupHeartbeatRequest{
		Group: group, MemberID: a.text("id", ""), MemberEpoch: int32(epoch),
		InstanceID: a.ptr("instance"), RebalanceTimeoutMillis: -1, ServerAssignor: a.ptr("assignor"),
		SubscribedTopicNames: a.list("topics"), SubscribedTopicRegex: a.ptr("regex"),
	}
	if epoch == 0 {
		req.RebalanceTimeoutMillis, req.Topics = 20_000, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	}
	if a.has("owned") {
		part := kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: topicID(1)}
		for _, p := range a.list("owned") {
			n, err := strconv.Atoi(p)
			require.NoError(a.t, err)
			part.Partitions = append(part.Partitions, int32(n))
		}
		req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{part}
	}
	return req
}

func commitOf(a *args, group string) *kmsg.OffsetCommitRequest {
	return &kmsg.OffsetCommitRequest{
		Group: group, Generation: int32(a.int("generation", -1)), MemberID: a.text("id", ""),
		InstanceID: a.ptr("instance"), RetentionTimeMillis: int64(a.int("retention", -1)),
		Topics: []kmsg.OffsetCommitRequestTopic{{
			Topic: a.text("topic", "t"), TopicID: topicID(byte(a.int("topic-id", 1))),
			Partitions: []kmsg.OffsetCommitRequestTopicPartition{{
				Partition: int32(a.int("partition", 0)), Offset: int64(a.int("offset", 0)),
				LeaderEpoch: int32(a.int("leader-epoch", -1)), Metadata: a.ptr("metadata"),
			}},
		}},
	}
}

func fetchOf(a *args, group string) *kmsg.OffsetFetchRequest {
	req := &kmsg.OffsetFetchRequest{Group: group, RequireStable: true}
	topic := kmsg.OffsetFetchRequestGroupTopic{
		Topic: a.text("topic", "t"), TopicID: topicID(byte(a.int("topic-id", 1))),
		Partitions: []int32{int32(a.int("partition", 0))},
	}
	of := kmsg.OffsetFetchRequestGroup{
		Group: group, MemberID: a.ptr("id"), MemberEpoch: int32(a.int("epoch", -1)),
	}
	if !a.has("all") {
		of.Topics = []kmsg.OffsetFetchRequestGroupTopic{topic}
		req.Topics = []kmsg.OffsetFetchRequestTopic{
			{Topic: topic.Topic, Partitions: topic.Partitions},
		}
	}
	req.Groups = []kmsg.OffsetFetchRequestGroup{of}
	return req
}

// print writes down what is new.
func (s *script) print() {
	for ; s.log < len(s.h.log); s.log++ {
		e := s.h.log[s.log]
		r, err := DecodeRecord(e.key, e.value)
		require.NoError(s.t, err)
		fmt.Fprintf(&s.out, "record %s\n", describeRecord(r))
	}
	s.log = len(s.h.log)
	for id := Call(1); id <= s.h.calls; id++ {
		what, waits := s.waiting[id]
		r, answered := s.h.answers[id]
		if !waits || !answered {
			continue
		}
		delete(s.waiting, id)
		fmt.Fprintf(&s.out, "%s#%d %s\n", what, id, describeResponse(r))
	}
	for ; s.reports < len(s.h.reports); s.reports++ {
		r := s.h.reports[s.reports]
		fmt.Fprintf(&s.out, "report %s%+v\n", strings.TrimPrefix(fmt.Sprintf("%T", r), "group."), r)
	}
	if s.out.Len() == 0 {
		s.out.WriteString("nothing\n")
	}
}

func describeRecord(r Record) string {
	names := map[KeyType]string{
		OffsetCommitType: "offset", GroupMetadataType: "classic", ConsumerGroupMetadataType: "epoch",
		ConsumerPartitionType: "partitions", ConsumerMemberType: "member",
		ConsumerTargetMetadataType: "targetEpoch", ConsumerTargetMemberType: "target",
		ConsumerCurrentType: "current", ConsumerRegularExpressionType: "regex",
	}
	name := names[r.Key.Type] + " " + r.Key.Group
	if r.Key.Name != "" {
		name += " " + r.Key.Name
	}
	switch v := r.Value.(type) {
	case nil:
		return name + " gone"
	case *kmsg.OffsetCommitValue:
		return fmt.Sprintf("%s-%d = %d leaderEpoch=%d %q version=%d",
			name, r.Key.Partition, v.Offset, v.LeaderEpoch, v.Metadata, v.Version)
	case *kmsg.GroupMetadataValue:
		list := ""
		for i := range v.Members {
			topics, _ := readAssignment(v.Members[i].Assignment)
			list += fmt.Sprintf(" %s%v", v.Members[i].MemberID, topics)
		}
		return fmt.Sprintf("%s generation=%d protocol=%q leader=%q%s",
			name, v.Generation, text(v.Protocol), text(v.Leader), list)
	case *ConsumerGroupMetadata:
		return fmt.Sprintf("%s = %d", name, v.Epoch)
	case *ConsumerMember:
		return fmt.Sprintf("%s instance=%q topics=%v regex=%q classic=%v",
			name, text(v.InstanceID), v.SubscribedTopicNames, text(v.SubscribedTopicRegex),
			v.Classic != nil)
	case *ConsumerTargetMetadata:
		return fmt.Sprintf("%s = %d", name, v.AssignmentEpoch)
	case *ConsumerTargetMember:
		return fmt.Sprintf("%s = %s", name, short(v.Partitions))
	case *ConsumerCurrent:
		return fmt.Sprintf("%s epoch=%d previous=%d state=%d assigned=%s revoking=%s", name,
			v.MemberEpoch, v.PreviousMemberEpoch, v.State, short(v.Assigned),
			short(v.PendingRevocation))
	case *ConsumerRegularExpression:
		return fmt.Sprintf("%s = %v", name, v.Topics)
	}
	return name
}

// short writes an assignment with the first bytes of the topics' ids.
func short(a Assignment) string {
	list := make([]string, len(a))
	for i, p := range a {
		list[i] = fmt.Sprintf("%d-%d", p.Topic[0], p.Index)
	}
	return "[" + strings.Join(list, " ") + "]"
}

func describeResponse(r kmsg.Response) string {
	code := func(c int16) string { return errcode.Code(c).String() }
	switch r := r.(type) {
	case nil:
		return "no coordinator"
	case *kmsg.JoinGroupResponse:
		var members []string
		for _, m := range r.Members {
			members = append(members, m.MemberID)
		}
		return fmt.Sprintf("%s id=%q generation=%d protocol=%q leader=%q members=%v skip=%v",
			code(r.ErrorCode), r.MemberID, r.Generation, text(r.Protocol), r.LeaderID, members,
			r.SkipAssignment)
	case *kmsg.SyncGroupResponse:
		topics, _ := readAssignment(r.MemberAssignment)
		return fmt.Sprintf("%s %v", code(r.ErrorCode), topics)
	case *kmsg.HeartbeatResponse:
		return code(r.ErrorCode)
	case *kmsg.LeaveGroupResponse:
		s := code(r.ErrorCode)
		for _, m := range r.Members {
			s += fmt.Sprintf(" %s=%s", m.MemberID, code(m.ErrorCode))
		}
		return s
	case *kmsg.ConsumerGroupHeartbeatResponse:
		s := fmt.Sprintf("%s id=%q epoch=%d", code(r.ErrorCode), text(r.MemberID), r.MemberEpoch)
		if r.Assignment != nil {
			s += fmt.Sprintf(" assignment=%v", len(r.Assignment.Topics))
			for _, t := range r.Assignment.Topics {
				s += fmt.Sprintf(" %d%v", t.TopicID[0], t.Partitions)
			}
		}
		return s
	case *kmsg.OffsetCommitResponse:
		return code(r.Topics[0].Partitions[0].ErrorCode)
	case *kmsg.OffsetFetchResponse:
		if r.Version < 8 {
			s := code(r.ErrorCode)
			for _, t := range r.Topics {
				for _, p := range t.Partitions {
					s += fmt.Sprintf(" %s-%d=%d %s", t.Topic, p.Partition, p.Offset, code(p.ErrorCode))
				}
			}
			return s
		}
		s := code(r.Groups[0].ErrorCode)
		for _, t := range r.Groups[0].Topics {
			for _, p := range t.Partitions {
				s += fmt.Sprintf(" %s/%d-%d=%d leaderEpoch=%d %q %s", t.Topic, t.TopicID[0], p.Partition,
					p.Offset, p.LeaderEpoch, text(p.Metadata), code(p.ErrorCode))
			}
		}
		return s
	case *kmsg.OffsetDeleteResponse:
		s := code(r.ErrorCode)
		for _, t := range r.Topics {
			s += " " + code(t.Partitions[0].ErrorCode)
		}
		return s
	case *kmsg.DeleteGroupsResponse:
		return code(r.Groups[0].ErrorCode)
	}
	return describeAdmin(r)
}

func describeAdmin(r kmsg.Response) string {
	s := ""
	switch r := r.(type) {
	case *kmsg.DescribeGroupsResponse:
		g := &r.Groups[0]
		s = fmt.Sprintf("%s state=%s type=%q protocol=%q",
			errcode.Code(g.ErrorCode), g.State, g.ProtocolType, g.Protocol)
		for i := range g.Members {
			topics, _ := readAssignment(g.Members[i].MemberAssignment)
			s += fmt.Sprintf(" %s%v", g.Members[i].MemberID, topics)
		}
	case *kmsg.ConsumerGroupDescribeResponse:
		g := &r.Groups[0]
		s = fmt.Sprintf("%s state=%s epoch=%d assignmentEpoch=%d assignor=%q",
			errcode.Code(g.ErrorCode), g.State, g.Epoch, g.AssignmentEpoch, g.AssignorName)
		for i := range g.Members {
			m := &g.Members[i]
			s += fmt.Sprintf(" %s(epoch=%d type=%d %v)", m.MemberID, m.MemberEpoch, m.MemberType,
				m.Assignment.TopicPartitions)
		}
	case *kmsg.ListGroupsResponse:
		for _, g := range r.Groups {
			s += fmt.Sprintf("%s(%q %s %s) ", g.Group, g.ProtocolType, g.GroupState, g.GroupType)
		}
	}
	return strings.TrimSpace(s)
}
