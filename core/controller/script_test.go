package controller

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

// TestScripts runs the scripts in testdata. Each begins with its rule.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if !strings.HasSuffix(path, ".txt") {
			return // what another test left behind
		}
		var s script
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t, s.d = t, d
			s.out.Reset()
			s.run()
			return s.out.String()
		})
	})
}

// script is a controller driven by a script.
type script struct {
	t   *testing.T
	d   *datadriven.TestData
	c   *Controller
	now clock.Instant
	ids int
	out strings.Builder
}

func (s *script) printf(format string, args ...any) { fmt.Fprintf(&s.out, format, args...) }

func (s *script) newID() metadata.ID {
	s.ids++
	return scriptID(s.ids)
}

func scriptID(n int) (id metadata.ID) {
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

// arg returns an argument of the command, empty if it is not there.
func (s *script) arg(name string) string {
	for _, a := range s.d.CmdArgs {
		if a.Key == name {
			return strings.Join(a.Vals, ",")
		}
	}
	return ""
}

func (s *script) has(name string) bool {
	return slices.ContainsFunc(s.d.CmdArgs, func(a datadriven.CmdArg) bool { return a.Key == name })
}

func (s *script) number(name string, otherwise int) int {
	if !s.has(name) {
		return otherwise
	}
	n, err := strconv.Atoi(s.arg(name))
	require.NoError(s.t, err)
	return n
}

// line is one line of a command's input: a name and what is said of it.
type line struct {
	name   string
	fields []config.Entry
}

func (l *line) get(name, otherwise string) string {
	for _, f := range l.fields {
		if f.Name == name {
			return f.Value
		}
	}
	return otherwise
}

func (l *line) number(t *testing.T, name string, otherwise int) int {
	n, err := strconv.Atoi(l.get(name, strconv.Itoa(otherwise)))
	require.NoError(t, err)
	return n
}

func (s *script) lines() []line {
	var out []line
	for text := range strings.Lines(s.d.Input) {
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		l := line{name: strings.Trim(words[0], `"`)}
		for _, w := range words[1:] {
			k, v, _ := strings.Cut(w, "=")
			l.fields = append(l.fields, config.Entry{Name: k, Value: v})
		}
		out = append(out, l)
	}
	return out
}

func (s *script) run() {
	switch s.d.Cmd {
	case "new":
		s.start()
	case "create":
		s.create()
	case "auto-create":
		s.autoCreate()
	case "delete":
		s.delete()
	case "add-partitions":
		s.addPartitions()
	case "alter":
		s.alter()
	case "alter-all":
		s.alterAll()
	case "allocate":
		s.allocate()
	case "register":
		s.register()
	case "show":
		s.show()
	case "metadata":
		s.metadata()
	case "describe-partitions":
		s.describePartitions()
	case "describe-cluster":
		s.describeCluster()
	case "describe-configs":
		s.describeConfigs()
	case "list-configs":
		s.listConfigs()
	default:
		s.runCluster()
	}
}

// start makes a cluster of brokers 1 to N; input lines are properties.
func (s *script) start() {
	props := map[string]string{}
	for _, l := range s.lines() {
		name, value, _ := strings.Cut(l.name, "=")
		props[name] = value
	}
	b, _, err := config.Parse(props)
	require.NoError(s.t, err)
	s.ids, s.now = 0, 0
	s.c = New(metadata.New(b), scriptOptions(0))
	s.c.Replay([]metadata.Record{&metadata.NoOpRecord{}}) // epochs begin at 1
	if s.has("elr") {
		s.c.Replay([]metadata.Record{
			&metadata.FeatureLevelRecord{Name: metadata.MetadataVersion, FeatureLevel: 30},
			&metadata.FeatureLevelRecord{
				Name: metadata.EligibleLeaderReplicaVersion, FeatureLevel: 1,
			},
		})
	}
	fenced, racks := config.SplitList(s.arg("fenced")), config.SplitList(s.arg("racks"))
	for id := 1; id <= s.number("brokers", 1); id++ {
		r := &metadata.RegisterBrokerRecord{
			BrokerID: int32(id), BrokerEpoch: s.c.Image().Offset() + 1,
			LogDirs: []metadata.ID{scriptID(100 + id)}, Features: scriptFeatures(),
			Fenced: slices.Contains(fenced, strconv.Itoa(id)),
			EndPoints: []metadata.BrokerEndpoint{
				{Name: "PLAINTEXT", Host: fmt.Sprintf("h%d", id), Port: 9092},
			},
		}
		if id <= len(racks) && racks[id-1] != "-" {
			r.Rack = &racks[id-1]
		}
		s.c.Replay([]metadata.Record{r})
	}
	s.c = New(s.c.Image(), scriptOptions(0)) // all have sessions
}

func (s *script) code(code int16, message *string) {
	s.printf("%s", errcode.Code(code))
	if message != nil {
		s.printf(" (%s)", *message)
	}
	s.printf("\n")
}

// decided replays records and prints them.
func (s *script) decided(records []metadata.Record) {
	for _, r := range records {
		s.printf("  + %s\n", describeRecord(r))
	}
	s.c.Replay(records)
}

// wire checks that a response can be sent: what is read back is sent the same.
func (s *script) wire(resp kmsg.Response) {
	sent := resp.AppendTo(nil)
	back := resp.RequestKind().ResponseKind()
	require.NoError(s.t, back.ReadFrom(sent))
	require.Equal(s.t, sent, back.AppendTo(nil))
}

func (s *script) create() {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = int16(s.number("version", 7))
	req.ValidateOnly = s.has("validate-only")
	for _, l := range s.lines() {
		q := kmsg.NewCreateTopicsRequestTopic()
		q.Topic = l.name
		q.NumPartitions = int32(l.number(s.t, "partitions", -1))
		q.ReplicationFactor = int16(l.number(s.t, "factor", -1))
		for _, f := range l.fields {
			switch f.Name {
			case "assign":
				index, replicas := parseAssignment(s.t, f.Value)
				q.ReplicaAssignment = append(q.ReplicaAssignment,
					kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: index, Replicas: replicas})
			case "config":
				name, value, ok := strings.Cut(f.Value, ":")
				c := kmsg.CreateTopicsRequestTopicConfig{Name: name, Value: &value}
				if !ok {
					c.Value = nil
				}
				q.Configs = append(q.Configs, c)
			}
		}
		req.Topics = append(req.Topics, q)
	}
	result := s.c.CreateTopics(req, s.newID, uint32(s.number("seed", 0)))
	s.wire(result.Response)
	for _, r := range result.Response.Topics {
		s.printf("%s: ", r.Topic)
		s.code(r.ErrorCode, r.ErrorMessage)
		if r.ErrorCode == 0 {
			s.printf("  partitions=%d factor=%d", r.NumPartitions, r.ReplicationFactor)
			for _, c := range r.Configs {
				if c.Source != int8(config.Default) {
					s.printf(" %s=%s(source %d)", c.Name, *c.Value, c.Source)
				}
			}
			s.printf("\n")
		}
	}
	s.decided(result.Records)
}

// parseAssignment reads "0:1,2": partition 0 on brokers 1 and 2.
func parseAssignment(t *testing.T, text string) (int32, []int32) {
	index, rest, _ := strings.Cut(text, ":")
	n, err := strconv.Atoi(index)
	require.NoError(t, err)
	var replicas []int32
	for _, word := range config.SplitList(rest) {
		id, err := strconv.Atoi(word)
		require.NoError(t, err)
		replicas = append(replicas, int32(id))
	}
	return int32(n), replicas
}

func (s *script) autoCreate() {
	var names []string
	for _, l := range s.lines() {
		names = append(names, l.name)
	}
	result := s.c.CreateTopics(AutoCreateRequest(s.c.Image(), names), s.newID, 0)
	for i := range result.Response.Topics {
		r := &result.Response.Topics[i]
		s.printf("%s: %s\n", r.Topic, errcode.Code(r.ErrorCode))
	}
	if s.has("quiet") {
		s.printf("%d records\n", len(result.Records))
		s.c.Replay(result.Records)
		return
	}
	s.decided(result.Records)
}

func (s *script) delete() {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version = int16(s.number("version", 6))
	for _, l := range s.lines() {
		q := kmsg.NewDeleteTopicsRequestTopic()
		if l.name != "-" {
			q.Topic = &l.name
		}
		q.TopicID = scriptID(l.number(s.t, "id", 0))
		req.Topics = append(req.Topics, q)
		req.TopicNames = append(req.TopicNames, l.name)
	}
	result := s.c.DeleteTopics(req)
	s.wire(result.Response)
	for _, r := range result.Response.Topics {
		name := "null"
		if r.Topic != nil {
			name = *r.Topic
		}
		s.printf("%s id=%d: ", name, binary.BigEndian.Uint64(r.TopicID[8:]))
		s.code(r.ErrorCode, r.ErrorMessage)
	}
	s.decided(result.Records)
}

func (s *script) addPartitions() {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.Version = 3
	req.ValidateOnly = s.has("validate-only")
	for _, l := range s.lines() {
		q := kmsg.NewCreatePartitionsRequestTopic()
		q.Topic, q.Count = l.name, int32(l.number(s.t, "count", 0))
		for _, f := range l.fields {
			if f.Name == "assign" {
				_, replicas := parseAssignment(s.t, f.Value)
				q.Assignment = append(q.Assignment,
					kmsg.CreatePartitionsRequestTopicAssignment{Replicas: replicas})
			}
		}
		req.Topics = append(req.Topics, q)
	}
	result := s.c.CreatePartitions(req, 0)
	s.wire(result.Response)
	for _, r := range result.Response.Topics {
		s.printf("%s: ", r.Topic)
		s.code(r.ErrorCode, r.ErrorMessage)
	}
	s.decided(result.Records)
}

// resource reads "topic/NAME", "broker/NAME" or "NUMBER/NAME".
func resource(t *testing.T, text string) (kmsg.ConfigResourceType, string) {
	kind, name, _ := strings.Cut(text, "/")
	switch kind {
	case "topic":
		return kmsg.ConfigResourceTypeTopic, name
	case "broker":
		return kmsg.ConfigResourceTypeBroker, name
	}
	n, err := strconv.Atoi(kind)
	require.NoError(t, err)
	return kmsg.ConfigResourceType(n), name
}

func (s *script) alter() {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version, req.ValidateOnly = 1, s.has("validate-only")
	ops := map[string]kmsg.IncrementalAlterConfigOp{
		"set": 0, "delete": 1, "append": 2, "subtract": 3, "odd": 9,
	}
	for _, l := range s.lines() {
		q := kmsg.NewIncrementalAlterConfigsRequestResource()
		q.ResourceType, q.ResourceName = resource(s.t, l.name)
		for _, f := range l.fields {
			op, ok := ops[f.Name]
			require.True(s.t, ok, f.Name)
			c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			name, value, hasValue := strings.Cut(f.Value, ":")
			c.Name, c.Op = name, op
			if hasValue {
				c.Value = &value
			}
			q.Configs = append(q.Configs, c)
		}
		req.Resources = append(req.Resources, q)
	}
	result := s.c.IncrementalAlterConfigs(req)
	s.wire(result.Response)
	for _, r := range result.Response.Resources {
		s.printf("%d/%s: ", r.ResourceType, r.ResourceName)
		s.code(r.ErrorCode, r.ErrorMessage)
	}
	s.decided(result.Records)
}

func (s *script) alterAll() {
	req := kmsg.NewPtrAlterConfigsRequest()
	req.Version, req.ValidateOnly = 2, s.has("validate-only")
	for _, l := range s.lines() {
		q := kmsg.NewAlterConfigsRequestResource()
		q.ResourceType, q.ResourceName = resource(s.t, l.name)
		for _, f := range l.fields {
			c := kmsg.NewAlterConfigsRequestResourceConfig()
			c.Name = f.Name
			if f.Value != "null" {
				c.Value = &f.Value
			}
			q.Configs = append(q.Configs, c)
		}
		req.Resources = append(req.Resources, q)
	}
	result := s.c.AlterConfigs(req)
	s.wire(result.Response)
	for _, r := range result.Response.Resources {
		s.printf("%d/%s: ", r.ResourceType, r.ResourceName)
		s.code(r.ErrorCode, r.ErrorMessage)
	}
	s.decided(result.Records)
}

func (s *script) allocate() {
	req := kmsg.NewPtrAllocateProducerIDsRequest()
	req.BrokerID = int32(s.number("broker", 1))
	req.BrokerEpoch = int64(s.number("epoch", 1))
	result := s.c.AllocateProducerIDs(req)
	s.wire(result.Response)
	s.code(result.Response.ErrorCode, nil)
	s.printf("  start=%d length=%d\n", result.Response.ProducerIDStart, result.Response.ProducerIDLen)
	s.decided(result.Records)
}

func (s *script) register() {
	s.decided(s.c.Bootstrap([]metadata.Feature{
		{Name: metadata.GroupVersion, Level: 1},
		{Name: metadata.MetadataVersion, Level: metadata.MetadataVersionMax},
	}))
	s.decided(s.c.Register(&Registration{
		ID: int32(s.number("broker", 1)), Clean: s.has("clean"), Rack: s.arg("rack"),
		Endpoints: []config.Endpoint{{Name: "PLAINTEXT", Host: "new", Port: 1}},
	}))
}

// show prints the topics that decisions see.
func (s *script) show() {
	for topic := range s.c.Image().Topics() {
		s.printf("%s id=%d", topic.Name, binary.BigEndian.Uint64(topic.ID[8:]))
		for _, e := range topic.Overrides {
			s.printf(" %s=%s", e.Name, e.Value)
		}
		s.printf("\n")
		for i, p := range topic.Partitions {
			s.printf("  %d replicas=%v isr=%v leader=%d leaderEpoch=%d partitionEpoch=%d directory=%d\n",
				i, p.Replicas, p.ISR, p.Leader, p.LeaderEpoch, p.PartitionEpoch,
				binary.BigEndian.Uint64(p.Directories[0][8:]))
		}
	}
}

func (s *script) view() View {
	v := View{Listener: "PLAINTEXT", ClusterID: "cluster", Controller: 1}
	if s.has("listener") {
		v.Listener = s.arg("listener")
	}
	return v
}

func (s *script) metadata() {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = int16(s.number("version", 13))
	req.AllowAutoTopicCreation = s.has("auto-create")
	req.IncludeTopicAuthorizedOperations = s.has("operations")
	req.IncludeClusterAuthorizedOperations = s.has("operations")
	if !s.has("all") {
		req.Topics = []kmsg.MetadataRequestTopic{}
	}
	for _, l := range s.lines() {
		q := kmsg.NewMetadataRequestTopic()
		if l.name != "-" {
			q.Topic = &l.name
		}
		q.TopicID = scriptID(l.number(s.t, "id", 0))
		req.Topics = append(req.Topics, q)
	}
	resp, missing := Metadata(s.c.Image(), req, s.view())
	s.wire(resp)
	s.printf("cluster=%s controller=%d operations=%d brokers:", *resp.ClusterID, resp.ControllerID,
		resp.AuthorizedOperations)
	for _, b := range resp.Brokers {
		s.printf(" %d@%s:%d", b.NodeID, b.Host, b.Port)
	}
	s.printf("\n")
	for _, r := range resp.Topics {
		name := "null"
		if r.Topic != nil {
			name = *r.Topic
		}
		s.printf("%s id=%d internal=%t operations=%d: %s\n", name,
			binary.BigEndian.Uint64(r.TopicID[8:]), r.IsInternal, r.AuthorizedOperations,
			errcode.Code(r.ErrorCode))
		for _, p := range r.Partitions {
			s.printf("  %d leader=%d epoch=%d replicas=%v isr=%v offline=%v: %s\n", p.Partition, p.Leader,
				p.LeaderEpoch, p.Replicas, p.ISR, p.OfflineReplicas, errcode.Code(p.ErrorCode))
		}
	}
	if len(missing) > 0 {
		s.printf("to create: %v\n", missing)
	}
}

func (s *script) describePartitions() {
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = int32(s.number("limit", 2000))
	for _, l := range s.lines() {
		req.Topics = append(req.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: l.name})
	}
	if s.has("cursor") {
		req.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{
			Topic: s.arg("cursor"), Partition: int32(s.number("partition", 0)),
		}
	}
	resp, err := DescribeTopicPartitions(s.c.Image(), req, s.view())
	if err != nil {
		s.printf("%s\n", err)
		return
	}
	s.wire(resp)
	for _, r := range resp.Topics {
		s.printf("%s: %s\n", *r.Topic, errcode.Code(r.ErrorCode))
		for _, p := range r.Partitions {
			s.printf("  %d leader=%d replicas=%v isr=%v: %s\n", p.Partition, p.LeaderID, p.Replicas,
				p.ISR, errcode.Code(p.ErrorCode))
		}
	}
	if c := resp.NextCursor; c != nil {
		s.printf("next: %s %d\n", c.Topic, c.Partition)
	}
}

func (s *script) describeCluster() {
	req := kmsg.NewPtrDescribeClusterRequest()
	req.Version = 2
	req.EndpointType = int8(s.number("endpoint-type", 1))
	req.IncludeFencedBrokers = s.has("fenced")
	resp := DescribeCluster(s.c.Image(), req, s.view())
	s.wire(resp)
	s.code(resp.ErrorCode, resp.ErrorMessage)
	s.printf("  cluster=%s controller=%d\n", resp.ClusterID, resp.ControllerID)
	for _, b := range resp.Brokers {
		s.printf("  %d@%s:%d fenced=%t\n", b.NodeID, b.Host, b.Port, b.IsFenced)
	}
}

func (s *script) describeConfigs() {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Version, req.IncludeSynonyms = 4, true
	for _, l := range s.lines() {
		q := kmsg.NewDescribeConfigsRequestResource()
		q.ResourceType, q.ResourceName = resource(s.t, l.name)
		for _, f := range l.fields {
			q.ConfigNames = append(q.ConfigNames, f.Name)
		}
		req.Resources = append(req.Resources, q)
	}
	resp := DescribeConfigs(s.c.Image(), req)
	s.wire(resp)
	for _, r := range resp.Resources {
		s.printf("%d/%s: ", r.ResourceType, r.ResourceName)
		s.code(r.ErrorCode, r.ErrorMessage)
		for _, c := range r.Configs {
			value := "null"
			if c.Value != nil {
				value = *c.Value
			}
			s.printf("  %s=%s source=%d default=%t readonly=%t type=%d:", c.Name, value, c.Source,
				c.IsDefault, c.ReadOnly, c.ConfigType)
			for _, y := range c.ConfigSynonyms {
				s.printf(" %s(%d)", y.Name, y.Source)
			}
			s.printf("\n")
		}
	}
}

func (s *script) listConfigs() {
	req := kmsg.NewPtrListConfigResourcesRequest()
	req.Version = int16(s.number("version", 1))
	for _, l := range s.lines() {
		n, err := strconv.Atoi(l.name)
		require.NoError(s.t, err)
		req.ResourceTypes = append(req.ResourceTypes, int8(n))
	}
	resp := ListConfigResources(s.c.Image(), req)
	s.wire(resp)
	s.code(resp.ErrorCode, nil)
	for _, r := range resp.ConfigResources {
		s.printf("  %d/%s\n", r.Type, r.Name)
	}
}
