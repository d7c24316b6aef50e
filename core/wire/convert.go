package wire

import (
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/invariant"
)

// FromKmsg gives the request that Parse would give for r's bytes in r's version,
// without the bytes. Records and strings are shared with r. Requests other than
// Produce and Fetch are returned as they are.
func FromKmsg(r kmsg.Request) Request {
	switch r := r.(type) {
	case *kmsg.ProduceRequest:
		return produceFromKmsg(r)
	case *kmsg.FetchRequest:
		return fetchFromKmsg(r)
	}
	return r
}

func produceFromKmsg(k *kmsg.ProduceRequest) *ProduceRequest {
	r := &ProduceRequest{
		TimeoutMillis: k.TimeoutMillis,
		Acks:          k.Acks,
		Version:       k.Version,
	}
	if k.TransactionID != nil {
		r.TransactionalID, r.HasTransactionalID = *k.TransactionID, true
	}
	for run := range k.Topics {
		t := &k.Topics[run]
		topic, topicID := topicFromKmsg(k.Version >= produceTopicIDsFrom, t.Topic, t.TopicID)
		for i := range t.Partitions {
			r.Partitions = append(r.Partitions, ProducePartition{
				Topic:     topic,
				TopicID:   topicID,
				Records:   t.Partitions[i].Records,
				Partition: t.Partitions[i].Partition,
				TopicRun:  int32(run),
			})
		}
	}
	return r
}

func topicFromKmsg(byID bool, name string, id TopicID) (string, TopicID) {
	if byID {
		return "", id
	}
	return name, TopicID{}
}

func fetchFromKmsg(k *kmsg.FetchRequest) *FetchRequest {
	r := &FetchRequest{
		ReplicaEpoch:   -1,
		ReplicaID:      k.ReplicaID,
		MaxWaitMillis:  k.MaxWaitMillis,
		MinBytes:       k.MinBytes,
		MaxBytes:       k.MaxBytes,
		SessionEpoch:   -1,
		Version:        k.Version,
		IsolationLevel: k.IsolationLevel,
	}
	if k.Version >= 7 {
		r.SessionID, r.SessionEpoch = k.SessionID, k.SessionEpoch
		r.forgottenFromKmsg(k.ForgottenTopics)
	}
	if k.Version >= 11 {
		r.Rack = k.Rack
	}
	if k.Version >= 15 {
		r.ReplicaID, r.ReplicaEpoch = k.ReplicaState.ID, k.ReplicaState.Epoch
	}
	for run := range k.Topics {
		t := &k.Topics[run]
		topic, topicID := topicFromKmsg(k.Version >= fetchTopicIDsFrom, t.Topic, t.TopicID)
		for i := range t.Partitions {
			p := fetchPartitionFromKmsg(&t.Partitions[i], k.Version)
			p.Topic, p.TopicID, p.TopicRun = topic, topicID, int32(run)
			r.Partitions = append(r.Partitions, p)
		}
	}
	return r
}

func (r *FetchRequest) forgottenFromKmsg(topics []kmsg.FetchRequestForgottenTopic) {
	for i := range topics {
		t := &topics[i]
		topic, topicID := topicFromKmsg(r.Version >= fetchTopicIDsFrom, t.Topic, t.TopicID)
		for _, partition := range t.Partitions {
			r.Forgotten = append(r.Forgotten, ForgottenPartition{
				Topic:     topic,
				TopicID:   topicID,
				Partition: partition,
			})
		}
	}
}

func fetchPartitionFromKmsg(k *kmsg.FetchRequestTopicPartition, version int16) FetchPartition {
	p := FetchPartition{
		FetchOffset:        k.FetchOffset,
		LogStartOffset:     -1,
		HighWatermark:      math.MaxInt64,
		Partition:          k.Partition,
		MaxBytes:           k.PartitionMaxBytes,
		CurrentLeaderEpoch: -1,
		LastFetchedEpoch:   -1,
	}
	if version >= 5 {
		p.LogStartOffset = k.LogStartOffset
	}
	if version >= 9 {
		p.CurrentLeaderEpoch = k.CurrentLeaderEpoch
	}
	if version >= 12 {
		p.LastFetchedEpoch = k.LastFetchedEpoch
	}
	if version >= 18 {
		p.HighWatermark = k.HighWatermark
	}
	return p
}

// ToKmsg gives what a client would decode from AppendResponse's bytes. For Produce
// and Fetch it does so without the bytes, and shares records and strings with r; any
// other response is a copy.
func ToKmsg(h *Header, r Response) kmsg.Response {
	switch r := r.(type) {
	case *ProduceResponse:
		return r.toKmsg(h.Version)
	case *FetchResponse:
		return r.toKmsg(h.Version)
	case kmsg.Response:
		setVersion(h, r)
		k := kmsg.ResponseForKey(r.Key())
		k.SetVersion(r.GetVersion())
		err := k.ReadFrom(r.AppendTo(nil))
		invariant.True(err == nil, "kmsg reads what it wrote")
		return k
	}
	invariant.Fail("%T is not a response", r)
	return nil
}

func (r *ProduceResponse) toKmsg(version int16) *kmsg.ProduceResponse {
	k := kmsg.NewPtrProduceResponse()
	k.Version = version
	k.ThrottleMillis = r.ThrottleMillis
	for i := 0; i < len(r.Partitions); {
		end := r.runEnd(i)
		t := kmsg.NewProduceResponseTopic()
		p := &r.Partitions[i]
		t.Topic, t.TopicID = topicFromKmsg(version >= produceTopicIDsFrom, p.Topic, p.TopicID)
		for ; i < end; i++ {
			t.Partitions = append(t.Partitions, r.Partitions[i].toKmsg(version))
		}
		k.Topics = append(k.Topics, t)
	}
	if version >= 10 {
		for _, e := range r.NodeEndpoints {
			b := kmsg.NewProduceResponseBroker()
			b.NodeID, b.Host, b.Port, b.Rack = e.ID, e.Host, e.Port, nullable(e.Rack)
			k.Brokers = append(k.Brokers, b)
		}
	}
	return k
}

func (p *ProducedPartition) toKmsg(version int16) kmsg.ProduceResponseTopicPartition {
	k := kmsg.NewProduceResponseTopicPartition()
	k.Partition = p.Partition
	k.ErrorCode = int16(p.Err)
	k.BaseOffset = p.BaseOffset
	k.LogAppendTime = p.LogAppendTime
	if version >= 5 {
		k.LogStartOffset = p.LogStartOffset
	}
	if version >= 8 {
		for _, e := range p.RecordErrors {
			r := kmsg.NewProduceResponseTopicPartitionErrorRecord()
			r.RelativeOffset, r.ErrorMessage = e.Index, nullable(e.Message)
			k.ErrorRecords = append(k.ErrorRecords, r)
		}
		k.ErrorMessage = nullable(p.ErrorMessage)
	}
	if version >= 10 && p.LeaderEpoch != -1 {
		k.CurrentLeader.LeaderID, k.CurrentLeader.LeaderEpoch = p.LeaderID, p.LeaderEpoch
	}
	return k
}

func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (r *FetchResponse) toKmsg(version int16) *kmsg.FetchResponse {
	k := kmsg.NewPtrFetchResponse()
	k.Version = version
	k.ThrottleMillis = r.ThrottleMillis
	if version >= 7 {
		k.ErrorCode = int16(r.Err)
		k.SessionID = r.SessionID
	}
	a := fetchAppender{r: r, version: version}
	for i := 0; i < len(r.Partitions); {
		end, present := a.run(i)
		if present > 0 {
			k.Topics = append(k.Topics, r.topicToKmsg(i, end, version))
		}
		i = end
	}
	if version >= 16 {
		for _, e := range r.NodeEndpoints {
			b := kmsg.NewFetchResponseBroker()
			b.NodeID, b.Host, b.Port, b.Rack = e.ID, e.Host, e.Port, nullable(e.Rack)
			k.Brokers = append(k.Brokers, b)
		}
	}
	return k
}

func (r *FetchResponse) topicToKmsg(i, end int, version int16) kmsg.FetchResponseTopic {
	t := kmsg.NewFetchResponseTopic()
	p := &r.Partitions[i]
	t.Topic, t.TopicID = topicFromKmsg(version >= fetchTopicIDsFrom, p.Topic, p.TopicID)
	for ; i < end; i++ {
		if p := &r.Partitions[i]; r.present(p, len(p.Records)) {
			t.Partitions = append(t.Partitions, p.toKmsg(version))
		}
	}
	return t
}

func (p *FetchedPartition) toKmsg(version int16) kmsg.FetchResponseTopicPartition {
	k := kmsg.NewFetchResponseTopicPartition()
	k.Partition = p.Partition
	k.ErrorCode = int16(p.Err)
	k.HighWatermark = p.HighWatermark
	k.LastStableOffset = p.LastStableOffset
	if version >= 5 {
		k.LogStartOffset = p.LogStartOffset
	}
	if !p.NullAborted {
		k.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
		for _, t := range p.Aborted {
			a := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
			a.ProducerID, a.FirstOffset = t.ProducerID, t.FirstOffset
			k.AbortedTransactions = append(k.AbortedTransactions, a)
		}
	}
	if version >= 11 {
		k.PreferredReadReplica = p.PreferredReadReplica
	}
	k.RecordBatches = p.Records
	if k.RecordBatches == nil {
		k.RecordBatches = []byte{} // we never send null
	}
	if version >= fetchFlexibleFrom && p.DivergingEpoch != -1 {
		k.DivergingEpoch.Epoch = p.DivergingEpoch
		k.DivergingEpoch.EndOffset = p.DivergingEndOffset
	}
	if version >= fetchFlexibleFrom && p.LeaderEpoch != -1 {
		k.CurrentLeader.LeaderID, k.CurrentLeader.LeaderEpoch = p.LeaderID, p.LeaderEpoch
	}
	if version >= fetchFlexibleFrom && p.SnapshotEndOffset != 0 {
		k.SnapshotID.EndOffset, k.SnapshotID.Epoch = p.SnapshotEndOffset, p.SnapshotEpoch
	}
	return k
}
