package core_test

import (
	"math"
	"strings"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/wire"
)

// requests are the commands that send a request: the request, its key and version.
func (s *script) requests() map[string]func() (wire.Request, int16, int16) {
	return map[string]func() (wire.Request, int16, int16){
		"produce":            s.produce,
		"fetch":              s.fetch,
		"list-offsets":       s.listOffsets,
		"delete-records":     s.deleteRecords,
		"metadata":           s.metadata,
		"create-topics":      s.createTopics,
		"delete-topics":      s.deleteTopics,
		"create-partitions":  s.createPartitions,
		"alter-configs":      s.alterConfigs,
		"replace-configs":    s.replaceConfigs,
		"init-producer-id":   s.initProducerID,
		"epoch-ends":         s.epochEnds,
		"api-versions":       s.apiVersions,
		"describe-topics":    s.describeTopics,
		"describe-producers": s.describeProducers,
		"describe-cluster":   s.describeCluster,
		"describe-configs":   s.describeConfigs,
		"describe-log-dirs":  s.describeLogDirs,
		"list-reassignments": s.listReassignments,
		"unregister-broker":  s.unregisterBroker,
		"update-features":    s.updateFeatures,
		"beat":               s.beat,
		"register":           s.register,
		"describe-quorum":    s.describeQuorum,
		"add-voter":          s.addVoter,
		"remove-voter":       s.removeVoter,
		"fetch-snapshot":     s.fetchSnapshot,
		"unknown-request":    s.unknownRequest,
		"reassign":           s.reassign,
		"elect-leaders":      s.electLeaders,
	}
}

func (s *script) produce() (wire.Request, int16, int16) {
	req := &wire.ProduceRequest{
		Version: int16(s.int("version", 9)), TimeoutMillis: int32(s.int("timeout", 30_000)),
	}
	req.Acks = int16(map[string]int64{"all": -1, "": -1}[s.args["acks"]])
	if v := s.args["acks"]; v != "all" && v != "" {
		req.Acks = int16(s.int64("acks", v))
	}
	run := int32(-1)
	for i, text := range s.lines {
		l := s.parsePartition(text)
		if i == 0 || req.Partitions[i-1].Topic != l.name {
			run++
		}
		req.Partitions = append(req.Partitions, wire.ProducePartition{
			Topic: l.name, TopicID: l.id(), Partition: l.index, TopicRun: run, Records: l.records(),
		})
	}
	if req.Version >= 13 {
		for i := range req.Partitions {
			req.Partitions[i].Topic = ""
		}
	}
	return req, 0, req.Version
}

// records makes what a line asks for: a batch of records=N, each of size=N bytes, of
// the producer pid= epoch= seq=, with the codec= and what is bad= about it.
func (l *line) records() []byte {
	var b batch.Builder
	options := batch.Options{PartitionLeaderEpoch: -1}
	if l.has("pid") {
		options.HasProducer = true
		options.ProducerID, options.ProducerEpoch = l.int("pid", 0), int16(l.int("epoch", 0))
		options.BaseSequence = int32(l.int("seq", 0))
	}
	options.Transactional = l.has("transactional")
	if l.fields["codec"] == "gzip" {
		options.Compression = batch.Gzip
	}
	b.Reset(&options)
	key := []byte("k")
	if l.has("nokey") {
		key = nil
	}
	if v, ok := l.fields["key"]; ok {
		key = []byte(v)
	}
	for range l.int("records", 1) {
		b.Append(l.int("ts", int64(l.s.now.Wall)), key,
			[]byte(strings.Repeat("v", int(l.int("size", 1)))), nil)
	}
	data, err := b.Finish(nil, l.s.codec)
	require.NoError(l.s.t, err)
	switch l.fields["bad"] {
	case "crc":
		data[len(data)-1]++
	case "two":
		data = append(data, data...)
	case "empty":
		data = nil
	case "base":
		batch.SetBaseOffset(data, 7)
	}
	return data
}

func (s *script) fetch() (wire.Request, int16, int16) {
	req := &wire.FetchRequest{
		ReplicaEpoch: -1, ReplicaID: int32(s.int("replica", -1)),
		Version:       int16(s.int("version", 12)),
		MaxWaitMillis: int32(s.int("wait", 0)), MinBytes: int32(s.int("min", 1)),
		MaxBytes: int32(s.int("max", 50<<20)), SessionEpoch: -1,
	}
	if req.ReplicaID >= 0 {
		req.ReplicaEpoch = s.int("life", s.brokerEpoch(req.ReplicaID))
	}
	req.Rack = s.string("rack", "")
	if v, ok := s.args["session"]; ok { // id/epoch
		id, epoch, _ := strings.Cut(v, "/")
		req.SessionID, req.SessionEpoch = s.session(id), int32(s.int64("epoch", epoch))
	}
	if s.has("committed") {
		req.IsolationLevel = 1
	}
	for _, text := range s.lines {
		if rest, ok := strings.CutPrefix(text, "forget "); ok {
			l := s.parsePartition(rest)
			f := wire.ForgottenPartition{Topic: l.name, Partition: l.index}
			if req.Version >= 13 {
				f.Topic, f.TopicID = "", l.id()
			}
			req.Forgotten = append(req.Forgotten, f)
			continue
		}
		l := s.parsePartition(text)
		p := wire.FetchPartition{
			Topic: l.name, Partition: l.index, FetchOffset: l.int("offset", 0),
			LogStartOffset: l.int("start", -1), HighWatermark: l.int("high", math.MaxInt64),
			MaxBytes:           int32(l.int("max", 1<<20)),
			CurrentLeaderEpoch: int32(l.int("epoch", -1)), LastFetchedEpoch: int32(l.int("last", -1)),
		}
		if req.Version >= 13 {
			p.Topic, p.TopicID = "", l.id()
		}
		req.Partitions = append(req.Partitions, p)
	}
	return req, 1, req.Version
}

func (s *script) listOffsets() (wire.Request, int16, int16) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = int32(s.int("replica", -1))
	if s.has("committed") {
		req.IsolationLevel = 1
	}
	for _, text := range s.lines {
		l := s.parsePartition(text)
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = l.index, l.int("time", -1)
		p.CurrentLeaderEpoch = int32(l.int("epoch", -1))
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic, t.Partitions = l.name, append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
	}
	return req, 2, int16(s.int("version", 8))
}

func (s *script) deleteRecords() (wire.Request, int16, int16) {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = int32(s.int("timeout", 30_000))
	for _, text := range s.lines {
		l := s.parsePartition(text)
		p := kmsg.NewDeleteRecordsRequestTopicPartition()
		p.Partition, p.Offset = l.index, l.int("before", -1)
		t := kmsg.NewDeleteRecordsRequestTopic()
		t.Topic, t.Partitions = l.name, append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
	}
	return req, 21, int16(s.int("version", 2))
}

func (s *script) metadata() (wire.Request, int16, int16) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = s.has("create")
	if !s.has("all") {
		req.Topics = []kmsg.MetadataRequestTopic{}
	}
	for _, text := range s.lines {
		l := s.parse(text)
		t := kmsg.NewMetadataRequestTopic()
		if l.has("id") {
			t.TopicID = l.id()
		} else {
			t.Topic = &l.name
		}
		req.Topics = append(req.Topics, t)
	}
	return req, 3, int16(s.int("version", 12))
}

// createTopics makes the topics of its lines: NAME partitions=N factor=N KEY=VALUE.
func (s *script) createTopics() (wire.Request, int16, int16) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.ValidateOnly = s.has("validate")
	for _, text := range s.lines {
		l := s.parse(text)
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions = l.name, int32(l.int("partitions", 1))
		t.ReplicationFactor = int16(l.int("factor", 1))
		for _, word := range strings.Fields(text)[1:] {
			key, value, _ := strings.Cut(word, "=")
			if key == "replicas" {
				t.NumPartitions, t.ReplicationFactor = -1, -1
				t.ReplicaAssignment = l.assignments()
				continue
			}
			if key != "partitions" && key != "factor" {
				t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{
					Name: key, Value: kmsg.StringPtr(value),
				})
			}
		}
		req.Topics = append(req.Topics, t)
	}
	return req, 19, int16(s.int("version", 7))
}

func (s *script) deleteTopics() (wire.Request, int16, int16) {
	req := kmsg.NewPtrDeleteTopicsRequest()
	for _, text := range s.lines {
		l := s.parse(text)
		t := kmsg.NewDeleteTopicsRequestTopic()
		if l.has("id") {
			t.TopicID = l.id()
		} else {
			t.Topic = &l.name
			req.TopicNames = append(req.TopicNames, l.name) // up to version 5
		}
		req.Topics = append(req.Topics, t)
	}
	return req, 20, int16(s.int("version", 6))
}

func (s *script) createPartitions() (wire.Request, int16, int16) {
	req := kmsg.NewPtrCreatePartitionsRequest()
	for _, text := range s.lines {
		l := s.parse(text)
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic, t.Count = l.name, int32(l.int("count", 1))
		req.Topics = append(req.Topics, t)
	}
	return req, 37, int16(s.int("version", 3))
}

// alterConfigs sets values of topics: NAME KEY=VALUE. An empty value deletes. With the
// word brokers the names are those of brokers, or * for all.
func (s *script) alterConfigs() (wire.Request, int16, int16) {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	for _, text := range s.lines {
		words := strings.Fields(text)
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = s.resource(words[0])
		for _, word := range words[1:] {
			key, value, _ := strings.Cut(word, "=")
			c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			c.Name, c.Value = key, kmsg.StringPtr(value)
			if value == "" {
				c.Op, c.Value = kmsg.IncrementalAlterConfigOpDelete, nil
			}
			r.Configs = append(r.Configs, c)
		}
		req.Resources = append(req.Resources, r)
	}
	return req, 44, int16(s.int("version", 1))
}

// replaceConfigs sets all values of topics: NAME KEY=VALUE.
func (s *script) replaceConfigs() (wire.Request, int16, int16) {
	req := kmsg.NewPtrAlterConfigsRequest()
	for _, text := range s.lines {
		words := strings.Fields(text)
		r := kmsg.NewAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, words[0]
		for _, word := range words[1:] {
			key, value, _ := strings.Cut(word, "=")
			c := kmsg.NewAlterConfigsRequestResourceConfig()
			c.Name, c.Value = key, kmsg.StringPtr(value)
			r.Configs = append(r.Configs, c)
		}
		req.Resources = append(req.Resources, r)
	}
	return req, 33, int16(s.int("version", 2))
}

func (s *script) initProducerID() (wire.Request, int16, int16) {
	req := kmsg.NewPtrInitProducerIDRequest()
	if v, ok := s.args["transactional-id"]; ok {
		req.TransactionalID = &v
	}
	return req, 22, int16(s.int("version", 4))
}

func (s *script) epochEnds() (wire.Request, int16, int16) {
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	for _, text := range s.lines {
		l := s.parsePartition(text)
		p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		p.Partition, p.LeaderEpoch = l.index, int32(l.int("of", 0))
		p.CurrentLeaderEpoch = int32(l.int("epoch", -1))
		t := kmsg.NewOffsetForLeaderEpochRequestTopic()
		t.Topic, t.Partitions = l.name, append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
	}
	return req, 23, int16(s.int("version", 4))
}

func (s *script) apiVersions() (wire.Request, int16, int16) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName = s.string("name", "script")
	req.ClientSoftwareVersion = s.string("software", "1.0")
	return req, 18, int16(s.int("version", 4))
}

func (s *script) describeTopics() (wire.Request, int16, int16) {
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = int32(s.int("limit", 2000))
	if v, ok := s.args["cursor"]; ok {
		l := s.parsePartition(v)
		cursor := kmsg.NewDescribeTopicPartitionsRequestCursor()
		cursor.Topic, cursor.Partition = l.name, l.index
		if s.has("negative") {
			cursor.Partition = -1
		}
		req.Cursor = &cursor
	}
	for _, text := range s.lines {
		t := kmsg.NewDescribeTopicPartitionsRequestTopic()
		t.Topic = text
		req.Topics = append(req.Topics, t)
	}
	return req, 75, 0
}

func (s *script) describeProducers() (wire.Request, int16, int16) {
	req := kmsg.NewPtrDescribeProducersRequest()
	for _, text := range s.lines {
		l := s.parsePartition(text)
		t := kmsg.NewDescribeProducersRequestTopic()
		t.Topic, t.Partitions = l.name, []int32{l.index}
		req.Topics = append(req.Topics, t)
	}
	return req, 61, 0
}

func (s *script) describeCluster() (wire.Request, int16, int16) {
	req := kmsg.NewPtrDescribeClusterRequest()
	req.EndpointType = int8(s.int("endpoints", 1))
	return req, 60, int16(s.int("version", 2))
}

// resource is what a line about configurations names.
func (s *script) resource(name string) (kmsg.ConfigResourceType, string) {
	switch {
	case !s.has("brokers"):
		return kmsg.ConfigResourceTypeTopic, name
	case name == "*":
		return kmsg.ConfigResourceTypeBroker, ""
	}
	return kmsg.ConfigResourceTypeBroker, name
}

// describeConfigs asks for keys of topics, or with the word brokers of brokers: NAME KEY.
func (s *script) describeConfigs() (wire.Request, int16, int16) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, text := range s.lines {
		words := strings.Fields(text)
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName = s.resource(words[0])
		r.ConfigNames = words[1:]
		req.Resources = append(req.Resources, r)
	}
	return req, 32, 4
}

func (s *script) describeLogDirs() (wire.Request, int16, int16) {
	return kmsg.NewPtrDescribeLogDirsRequest(), 35, 4
}

func (s *script) unknownRequest() (wire.Request, int16, int16) {
	return kmsg.NewPtrJoinGroupRequest(), int16(s.int("key", 11)), int16(s.int("version", 5))
}
