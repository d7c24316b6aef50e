package core_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/wire"
)

// The node of a script is broker 1 and the active controller. Other brokers are what the
// script says: they register and fetch by commands, and what node 1 asks of them is
// answered by commands.

// farNodes are the links of the script's node.
type farNodes struct {
	nodes map[core.LinkID]int32
	links map[int32]core.LinkID
	asked map[core.LinkID][]core.LinkRequest // and not answered

	session int64 // what Fetches are answered with
}

func (s *script) dialed(d core.Dial) {
	s.far.nodes[d.Link], s.far.links[d.Node] = d.Node, d.Link
	s.printf("dial node=%d %s:%d", d.Node, d.Host, d.Port)
}

func (s *script) hungUp(id core.LinkID) {
	s.printf("hang up node=%d", s.far.nodes[id])
	delete(s.far.asked, id)
}

func (s *script) asked(r core.LinkRequest) {
	head := fmt.Sprintf("ask node=%d", s.far.nodes[r.Link])
	switch req := r.Body.(type) {
	case *wire.FetchRequest:
		s.printf("%s fetch session=%s/%d wait=%d", head, s.sessionName(req.SessionID),
			req.SessionEpoch, req.MaxWaitMillis)
		for i := range req.Partitions {
			p := &req.Partitions[i]
			s.printf("  %s-%d offset=%d last=%d epoch=%d start=%d high=%d",
				s.topic("", p.TopicID), p.Partition, p.FetchOffset, p.LastFetchedEpoch,
				p.CurrentLeaderEpoch, p.LogStartOffset, p.HighWatermark)
		}
		for _, f := range req.Forgotten {
			s.printf("  forget %s-%d", s.topic("", f.TopicID), f.Partition)
		}
	case *kmsg.ListOffsetsRequest:
		s.printf("%s offsets replica=%d", head, req.ReplicaID)
		for _, t := range req.Topics {
			for _, p := range t.Partitions {
				s.printf("  %s-%d time=%d epoch=%d", t.Topic, p.Partition, p.Timestamp,
					p.CurrentLeaderEpoch)
			}
		}
	default:
		s.printf("%s %T", head, req)
	}
	s.far.asked[r.Link] = append(s.far.asked[r.Link], r)
}

func (s *script) link() core.LinkID { return s.far.links[int32(s.int("node", 2))] }

func (s *script) linkUp() { s.step(&core.LinkOpened{Link: s.link()}) }

func (s *script) linkDown() {
	id := s.link()
	delete(s.far.asked, id)
	s.step(&core.LinkClosed{Link: id, Err: errors.New("reset by the far node")})
}

// answer answers the oldest question to a node. Lines of a Fetch are partitions with
// high=, start=, error=, diverging=EPOCH/END, and batches as of produce with base= and
// leader-epoch=, of which one follows the other in several lines of the partition.
func (s *script) answer() {
	id := s.link()
	if len(s.far.asked[id]) == 0 {
		s.printf("nothing was asked")
		return
	}
	r := s.far.asked[id][0]
	s.far.asked[id] = s.far.asked[id][1:]
	ev := &core.ResponseArrived{Link: id, CorrelationID: r.Header.CorrelationID}
	switch req := r.Body.(type) {
	case *wire.FetchRequest:
		ev.Response = s.fetchAnswer()
	case *kmsg.ListOffsetsRequest:
		ev.Response = s.offsetsAnswer(req)
	}
	core.PrepareAnswer(ev.Response)
	s.step(ev)
}

func (s *script) fetchAnswer() *wire.FetchResponse {
	s.far.session = s.int("session", s.far.session)
	resp := &wire.FetchResponse{
		SessionID: int32(s.far.session), Err: s.code(s.string("error", "")),
	}
	if resp.SessionID != 0 {
		s.sessionName(resp.SessionID)
	}
	var last *wire.FetchedPartition
	for _, text := range s.lines {
		l := s.parsePartition(text)
		if last == nil || last.TopicID != l.id() || last.Partition != l.index {
			resp.Partitions = append(resp.Partitions, wire.FetchedPartition{
				TopicID: l.id(), Partition: l.index, HighWatermark: l.int("high", 0),
				LogStartOffset: l.int("start", 0), Err: s.code(l.fields["error"]),
				DivergingEpoch: -1, DivergingEndOffset: -1, LeaderEpoch: -1,
			})
			last = &resp.Partitions[len(resp.Partitions)-1]
		}
		if v, ok := l.fields["diverging"]; ok {
			epoch, end, _ := strings.Cut(v, "/")
			last.DivergingEpoch = int32(s.int64(text, epoch))
			last.DivergingEndOffset = s.int64(text, end)
		}
		if l.has("base") {
			data := l.records()
			batch.SetBaseOffset(data, l.int("base", 0))
			batch.SetPartitionLeaderEpoch(data, int32(l.int("leader-epoch", 0)))
			last.Records = append(last.Records, data...)
		}
	}
	return resp
}

func (s *script) code(name string) errcode.Code {
	if name == "" {
		return errcode.None
	}
	for code := errcode.Code(-1); code < 200; code++ {
		if code.String() == name {
			return code
		}
	}
	require.Fail(s.t, "no error "+name)
	return errcode.None
}

func (s *script) offsetsAnswer(req *kmsg.ListOffsetsRequest) *kmsg.ListOffsetsResponse {
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	for _, text := range s.lines {
		l := s.parsePartition(text)
		p := kmsg.NewListOffsetsResponseTopicPartition()
		p.Partition, p.Offset = l.index, l.int("offset", -1)
		p.ErrorCode = int16(s.code(l.fields["error"]))
		t := kmsg.NewListOffsetsResponseTopic()
		t.Topic, t.Partitions = l.name, append(t.Partitions, p)
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// registerBroker registers broker id=N, in a new life, and unfences it.
func (s *script) registerBroker() {
	id := int32(s.int("id", 2))
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.BrokerID, req.ClusterID = id, s.options.ClusterID
	s.serial++
	req.IncarnationID = metadata.ID{0: 9, 14: byte(id), 15: byte(s.serial)}
	req.LogDirs = []metadata.ID{{1, 2, 3, byte(id)}}
	req.PreviousBrokerEpoch = -1
	if s.has("clean") {
		req.PreviousBrokerEpoch = s.brokerEpoch(id)
	}
	if rack, ok := s.args["rack"]; ok {
		req.Rack = &rack
	}
	for _, name := range []string{"PLAINTEXT", "INTERNAL"} {
		l := kmsg.NewBrokerRegistrationRequestListener()
		l.Name, l.Host, l.Port = name, fmt.Sprintf("node-%d", id), 9092
		req.Listeners = append(req.Listeners, l)
	}
	for _, f := range core.Levels() {
		one := kmsg.NewBrokerRegistrationRequestFeature()
		one.Name, one.MinSupportedVersion, one.MaxSupportedVersion = f.Name, 1, f.Level
		req.Features = append(req.Features, one)
	}
	s.toController(req, 62, 3)
	if !s.has("fenced") {
		s.heartbeat(id, false)
	}
}

func (s *script) heartbeat(id int32, fence bool) {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.BrokerID, req.BrokerEpoch = id, s.brokerEpoch(id)
	req.CurrentMetadataOffset, req.WantFence = s.broker.Image().Offset(), fence
	s.toController(req, 63, 1)
}

func (s *script) toController(req kmsg.Request, key, version int16) {
	s.args["listener"], s.args["conn"] = "CONTROLLER", "100"
	s.send(req, key, version)
}

func (s *script) brokerEpoch(id int32) int64 {
	if b := s.broker.Image().Broker(id); b != nil {
		return b.Epoch
	}
	return -1
}

// reassign moves partitions: t-0 replicas=1,2. Without replicas it calls that off.
func (s *script) reassign() (wire.Request, int16, int16) {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	for _, text := range s.lines {
		l := s.parsePartition(text)
		p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		p.Partition = l.index
		if l.has("replicas") {
			p.Replicas = s.ids32(l.fields["replicas"])
		}
		t := kmsg.NewAlterPartitionAssignmentsRequestTopic()
		t.Topic, t.Partitions = l.name, append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
	}
	return req, 45, int16(s.int("version", 0))
}

// electLeaders elects the preferred leaders of partitions.
func (s *script) electLeaders() (wire.Request, int16, int16) {
	req := kmsg.NewPtrElectLeadersRequest()
	for _, text := range s.lines {
		l := s.parsePartition(text)
		t := kmsg.NewElectLeadersRequestTopic()
		t.Topic, t.Partitions = l.name, []int32{l.index}
		req.Topics = append(req.Topics, t)
	}
	return req, 43, int16(s.int("version", 2))
}

func (s *script) ids32(text string) []int32 {
	var ids []int32
	for _, word := range strings.Split(text, ",") {
		id, err := strconv.ParseInt(word, 10, 32)
		require.NoError(s.t, err)
		ids = append(ids, int32(id))
	}
	return ids
}

// assignments parses replicas=1,2/2,1: the replicas of one partition after another.
func (l *line) assignments() []kmsg.CreateTopicsRequestTopicReplicaAssignment {
	var all []kmsg.CreateTopicsRequestTopicReplicaAssignment
	for i, text := range strings.Split(l.fields["replicas"], "/") {
		one := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		one.Partition, one.Replicas = int32(i), l.s.ids32(text)
		all = append(all, one)
	}
	return all
}

// showLog shows the batches of a partition's log, as the files have them.
func (s *script) showLog() {
	for _, name := range s.words {
		entries, err := s.disk.List("/d/" + name)
		require.NoError(s.t, err)
		out := name
		for _, e := range entries {
			if strings.HasSuffix(e.Name, ".log") {
				data, err := log.ReadFile(s.disk, "/d/"+name+"/"+e.Name)
				require.NoError(s.t, err)
				out += batches(data)
			}
		}
		s.printf("%s", out)
	}
}
