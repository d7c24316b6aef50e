package core_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/wire"
)

// errorOr prints an error by its name, or what there is without one.
func errorOr(code int16, otherwise string) string {
	if code != 0 {
		return errcode.Code(code).String()
	}
	return otherwise
}

func text(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

// topic is how the script names a topic: by name, or by the name given to its id.
func (s *script) topic(name string, id wire.TopicID) string {
	if name != "" {
		return name
	}
	if known, ok := s.ids[id]; ok {
		return known
	}
	return fmt.Sprintf("%x", id[:2])
}

// session is the fetch session a script means by $N: the N-th it was given.
func (s *script) session(word string) int32 {
	if n, ok := strings.CutPrefix(word, "$"); ok {
		i, _ := strconv.Atoi(n)
		return s.sessions[i-1]
	}
	return int32(s.int64("session", word))
}

func (s *script) sessionName(id int32) string {
	if id == 0 {
		return "0"
	}
	for i, known := range s.sessions {
		if known == id {
			return fmt.Sprintf("$%d", i+1)
		}
	}
	s.sessions = append(s.sessions, id)
	return fmt.Sprintf("$%d", len(s.sessions))
}

func (s *script) printReport(r *core.Report) {
	name := fmt.Sprintf("%s-%d", r.Topic, r.Partition)
	switch r.Kind {
	case core.NodeReady:
		s.printf("ready: %s", r.Text)
	case core.PartitionOnline:
		s.printf("online %s start=%d end=%d epoch=%d%s", name, r.Offset, r.EndOffset, r.Epoch,
			prefixed(" recovery: ", r.Text))
	case core.PartitionRemoved:
		s.printf("removed %s", name)
	case core.HighWatermarkAdvanced:
		s.printf("highWatermark %s=%d", name, r.Offset)
	case core.LogStartAdvanced:
		s.printf("logStart %s=%d", name, r.Offset)
	case core.LogDirOffline:
		s.printf("offline: %s", r.Text)
	case core.LogCompacted:
		s.printf("compacted %s: %s", name, r.Text)
	case core.TopicCreated:
		s.created[r.Topic]++
		s.ids[r.TopicID] = fmt.Sprintf("%s#%d", r.Topic, s.created[r.Topic])
		s.byName[r.Topic] = r.TopicID
	case core.RequestRefused:
		s.printf("refused: %s %s", r.Err, r.Text)
	case core.LeaderStarted:
		if len(r.ISR) > 1 {
			s.printf("leads %s epoch=%d from=%d isr=%v", name, r.Epoch, r.EndOffset, r.ISR)
		}
	case core.FollowerStarted:
		s.printf("follows %s epoch=%d leader=%d", name, r.Epoch, r.Leader)
	case core.ISRExpanded, core.ISRShrunk:
		s.printf("isr %s=%v", name, r.ISR)
	case core.HighWatermarkLearned:
		s.printf("follower's highWatermark %s=%d", name, r.Offset)
	case core.LogTruncated:
		s.printf("truncated %s=%d from=%d", name, r.EndOffset, r.From)
	case core.ReplicationFailed:
		s.printf("replication failed %s=%d: %s", name, r.EndOffset, r.Text)
	case core.MetadataHeld:
		s.printf("committed metadata %d", r.Offset)
	case core.ControllerStarted, core.ControllerEnded:
	case core.GroupsLoaded:
		s.printf("coordinates %s to=%d", name, r.EndOffset)
	case core.GroupsNotLoaded:
		s.printf("cannot coordinate %s at=%d: %s", name, r.Offset, r.Text)
	case core.GroupChanged:
		s.printf("%s", s.groupReport(r.Group))
	case core.BatchAppended, core.TopicDeleted, core.RecordsReplicated:
	}
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

func (s *script) printResponse(r *core.Response, body wire.Response) {
	head := fmt.Sprintf("conn=%d", r.Conn)
	switch body := body.(type) {
	case nil:
		s.printf("%s no response", head)
	case *wire.ProduceResponse:
		for i := range body.Partitions {
			s.printf("%s %s", head, s.produced(&body.Partitions[i]))
		}
		s.printEndpoints(r.Header.Version >= 10, body.NodeEndpoints)
	case *wire.FetchResponse:
		s.printFetch(head, body)
		s.printEndpoints(r.Header.Version >= 16, body.NodeEndpoints)
	case *kmsg.MetadataResponse:
		s.printMetadata(head, body)
	case kmsg.Response:
		for _, line := range s.others(body) {
			s.printf("%s %s", head, strings.TrimRight(line, " "))
		}
	}
}

// printEndpoints prints where leaders are, if the version of a response tells.
func (s *script) printEndpoints(told bool, endpoints []wire.NodeEndpoint) {
	for _, e := range endpoints {
		if told {
			s.printf("  node %d=%s:%d", e.ID, e.Host, e.Port)
		}
	}
}

func (s *script) produced(p *wire.ProducedPartition) string {
	out := fmt.Sprintf("%s-%d ", s.topic(p.Topic, p.TopicID), p.Partition)
	if p.Err == errcode.None {
		out += fmt.Sprintf("offset=%d start=%d", p.BaseOffset, p.LogStartOffset)
		if p.LogAppendTime >= 0 {
			out += fmt.Sprintf(" appended=%d", p.LogAppendTime)
		}
		return out
	}
	out += p.Err.String() + prefixed(": ", p.ErrorMessage)
	if p.Err == errcode.NotLeaderOrFollower {
		out += fmt.Sprintf(" leader=%d epoch=%d", p.LeaderID, p.LeaderEpoch)
	}
	for _, e := range p.RecordErrors {
		out += fmt.Sprintf("; record %d: %s", e.Index, e.Message)
	}
	return out
}

func (s *script) printFetch(head string, r *wire.FetchResponse) {
	session := ""
	if r.SessionID != 0 || r.Err != 0 {
		session = " session=" + s.sessionName(r.SessionID)
	}
	if r.Err != errcode.None {
		s.printf("%s fetched%s %s", head, session, r.Err)
		return
	}
	s.printf("%s fetched%s", head, session)
	for i := range r.Partitions {
		p := &r.Partitions[i]
		if r.Incremental && !p.Changed && p.Err == 0 && len(p.Records) == 0 {
			continue
		}
		out := fmt.Sprintf("  %s-%d ", s.topic(p.Topic, p.TopicID), p.Partition)
		if p.Err != errcode.None {
			out += p.Err.String()
			if p.LeaderEpoch >= 0 {
				out += fmt.Sprintf(" leader=%d epoch=%d", p.LeaderID, p.LeaderEpoch)
			}
			s.printf("%s", out)
			continue
		}
		out += fmt.Sprintf("start=%d high=%d", p.LogStartOffset, p.HighWatermark)
		if p.LastStableOffset != p.HighWatermark {
			out += fmt.Sprintf(" stable=%d", p.LastStableOffset)
		}
		if p.PreferredReadReplica > 0 {
			out += fmt.Sprintf(" preferred=%d", p.PreferredReadReplica)
		}
		if p.DivergingEpoch >= 0 {
			out += fmt.Sprintf(" diverging epoch=%d end=%d", p.DivergingEpoch, p.DivergingEndOffset)
		}
		s.printf("%s%s", out, batches(p.Records))
	}
}

// batches shows which offsets a run of bytes holds, with their leader epochs.
func batches(data []byte) string {
	out := ""
	for len(data) > 0 {
		var h batch.Header
		if err := batch.Parse(data, &h); err != nil || int(h.Size) > len(data) {
			return out + fmt.Sprintf(" and %d bytes", len(data))
		}
		if !batch.ValidCRC(data, &h) {
			return out + " corrupt"
		}
		out += fmt.Sprintf(" [%d..%d e%d]", h.BaseOffset, h.LastOffset(), h.PartitionLeaderEpoch)
		data = data[h.Size:]
	}
	return out
}

func (s *script) printMetadata(head string, r *kmsg.MetadataResponse) {
	out := head + " brokers"
	for _, b := range r.Brokers {
		out += fmt.Sprintf(" %d=%s:%d", b.NodeID, b.Host, b.Port)
	}
	s.printf("%s", out)
	for _, t := range r.Topics {
		out := "  " + text(t.Topic)
		if name, ok := s.ids[t.TopicID]; ok {
			out += " id=" + name
		}
		out += " " + errorOr(t.ErrorCode, "")
		for _, p := range t.Partitions {
			out += fmt.Sprintf(" %d:%s", p.Partition,
				errorOr(p.ErrorCode, fmt.Sprintf("leader=%d,epoch=%d", p.Leader, p.LeaderEpoch)))
		}
		s.printf("%s", strings.TrimRight(out, " "))
	}
}

// others prints the responses of administrators.
func (s *script) others(r kmsg.Response) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	switch r := r.(type) {
	case *kmsg.CreateTopicsResponse:
		for _, t := range r.Topics {
			add("created %s %s", t.Topic, errorOr(t.ErrorCode, fmt.Sprintf(
				"partitions=%d factor=%d", t.NumPartitions, t.ReplicationFactor)))
		}
	case *kmsg.DeleteTopicsResponse:
		for _, t := range r.Topics {
			add("deleted %s %s", text(t.Topic), errorOr(t.ErrorCode, s.topic("", t.TopicID)))
		}
	case *kmsg.CreatePartitionsResponse:
		for _, t := range r.Topics {
			add("grown %s %s", t.Topic, errorOr(t.ErrorCode, ""))
		}
	case *kmsg.IncrementalAlterConfigsResponse:
		for _, t := range r.Resources {
			add("configured %s %s", t.ResourceName, errorOr(t.ErrorCode, "")+
				prefixed(": ", strings.TrimPrefix(text(t.ErrorMessage), "null")))
		}
	case *kmsg.AlterConfigsResponse:
		for _, t := range r.Resources {
			add("configured %s %s", t.ResourceName, errorOr(t.ErrorCode, ""))
		}
	case *kmsg.InitProducerIDResponse:
		add("producer %s", errorOr(r.ErrorCode,
			fmt.Sprintf("id=%d epoch=%d", r.ProducerID, r.ProducerEpoch)))
	case *kmsg.BrokerRegistrationResponse:
		add("registered %s", errorOr(r.ErrorCode, fmt.Sprintf("epoch=%d", r.BrokerEpoch)))
	case *kmsg.BrokerHeartbeatResponse:
		add("heard %s", errorOr(r.ErrorCode, fmt.Sprintf("fenced=%t", r.IsFenced)))
	case *kmsg.AlterPartitionAssignmentsResponse:
		if r.ErrorCode != 0 {
			add("reassigned %s", errorOr(r.ErrorCode, ""))
		}
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				add("reassigned %s-%d %s", t.Topic, p.Partition, errorOr(p.ErrorCode, ""))
			}
		}
	case *kmsg.ElectLeadersResponse:
		if r.ErrorCode != 0 {
			add("elected %s", errorOr(r.ErrorCode, ""))
		}
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				add("elected %s-%d %s", t.Topic, p.Partition, errorOr(p.ErrorCode, ""))
			}
		}
	case *kmsg.ApiVersionsResponse:
		add("apis=%d %s", len(r.ApiKeys), errorOr(r.ErrorCode, ""))
		for _, f := range r.SupportedFeatures {
			add("  supports %s %d-%d", f.Name, f.MinVersion, f.MaxVersion)
		}
		for _, f := range r.FinalizedFeatures {
			add("  finalized %s %d", f.Name, f.MaxVersionLevel)
		}
	default:
		out = s.describes(r)
	}
	return out
}

// describes prints the responses that tell the state of partitions and nodes.
func (s *script) describes(r kmsg.Response) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	switch r := r.(type) {
	case *kmsg.ListOffsetsResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				add("%s-%d %s", t.Topic, p.Partition, errorOr(p.ErrorCode, fmt.Sprintf(
					"offset=%d time=%d epoch=%d", p.Offset, p.Timestamp, p.LeaderEpoch)))
			}
		}
	case *kmsg.DeleteRecordsResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				add("%s-%d %s", t.Topic, p.Partition,
					errorOr(p.ErrorCode, fmt.Sprintf("low=%d", p.LowWatermark)))
			}
		}
	case *kmsg.OffsetForLeaderEpochResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				add("%s-%d %s", t.Topic, p.Partition, errorOr(p.ErrorCode,
					fmt.Sprintf("epoch=%d end=%d", p.LeaderEpoch, p.EndOffset)))
			}
		}
	case *kmsg.DescribeTopicPartitionsResponse:
		for _, t := range r.Topics {
			add("%s %s", text(t.Topic),
				errorOr(t.ErrorCode, fmt.Sprintf("partitions=%d", len(t.Partitions))))
		}
		if c := r.NextCursor; c != nil {
			add("next %s-%d", c.Topic, c.Partition)
		}
	case *kmsg.DescribeProducersResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				line := fmt.Sprintf("%s-%d %s", t.Topic, p.Partition, errorOr(p.ErrorCode, ""))
				for _, a := range p.ActiveProducers {
					line += fmt.Sprintf(" [id=%d epoch=%d last=%d]", a.ProducerID, a.ProducerEpoch, a.LastSequence)
				}
				add("%s", line)
			}
		}
	case *kmsg.DescribeConfigsResponse:
		for _, t := range r.Resources {
			add("%s %s", t.ResourceName, errorOr(t.ErrorCode, ""))
			for _, c := range t.Configs {
				add("  %s=%s source=%d", c.Name, text(c.Value), c.Source)
			}
		}
	case *kmsg.DescribeLogDirsResponse:
		for _, d := range r.Dirs {
			add("%s %s", d.Dir, errorOr(d.ErrorCode, ""))
			for _, t := range d.Topics {
				for _, p := range t.Partitions {
					add("  %s-%d size=%d", t.Topic, p.Partition, p.Size)
				}
			}
		}
	default:
		s.placed(r, add)
	}
	return out
}
