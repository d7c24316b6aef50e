package sim

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
)

// fetch asks for all partitions that have a position, of one leader.
func (k *Consumer) fetch() {
	call := &fetchCall{}
	node := int32(-1)
	for _, p := range k.parts {
		leader := k.catalog.leader(p.topic, p.id.Index)
		if p.position < 0 || leader < 0 || node >= 0 && leader != node {
			continue
		}
		node = leader
		call.parts = append(call.parts, p)
		call.from = append(call.from, p.position)
		call.known = append(call.known, k.committed(p))
	}
	if node < 0 {
		k.next = k.now.Mono.Add(k.catalog.retry)
		return
	}
	conn := k.ready(node, laneData)
	if conn == nil {
		k.next = k.now.Mono.Add(k.backoff)
		return
	}
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.ReplicaID = k.version, -1
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = k.maxWaitMillis, k.minBytes, k.maxBytes
	req.SessionID, req.SessionEpoch = 0, -1
	if k.sessions {
		req.SessionID, req.SessionEpoch = k.sessionID, k.sessionEpoch
	}
	k.forget(req)
	for _, p := range call.parts {
		if k.sessionEpoch > 0 && p.told == p.position {
			continue
		}
		p.told = p.position
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = p.id.Index, p.position, k.partMaxBytes
		rp.CurrentLeaderEpoch, rp.LastFetchedEpoch, rp.LogStartOffset = -1, -1, -1
		t := fetchTopic(req, p)
		t.Partitions = append(t.Partitions, rp)
	}
	call.called, call.node = k.config.Judge.Now(), node
	k.call(conn, req, call)
	k.fetching = true
}

func (k *Consumer) committed(p *consumedPart) int64 {
	if part := k.config.Judge.Partition(p.id); part != nil {
		return part.Committed()
	}
	return -1
}

// forget takes partitions without position out of the session.
func (k *Consumer) forget(req *kmsg.FetchRequest) {
	for _, p := range k.parts {
		if p.position >= 0 || p.told < 0 || k.sessionEpoch == 0 {
			continue
		}
		p.told = -1
		t := kmsg.NewFetchRequestForgottenTopic()
		t.Topic, t.TopicID, t.Partitions = p.topic, p.id.Topic, append(t.Partitions, p.id.Index)
		req.ForgottenTopics = append(req.ForgottenTopics, t)
	}
}

func fetchTopic(req *kmsg.FetchRequest, p *consumedPart) *kmsg.FetchRequestTopic {
	for i := range req.Topics {
		if t := &req.Topics[i]; t.TopicID == p.id.Topic {
			return t
		}
	}
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = p.topic, p.id.Topic
	req.Topics = append(req.Topics, t)
	return &req.Topics[len(req.Topics)-1]
}

// closeSession makes the next fetch a full one.
func (k *Consumer) closeSession() {
	k.sessionID, k.sessionEpoch = 0, 0
	for _, p := range k.parts {
		p.told = -1
	}
}

// fetched takes in an answer.
func (k *Consumer) fetched(call *fetchCall, resp *kmsg.FetchResponse) {
	k.fetching = false
	k.next = k.now.Mono.Add(clock.Duration(k.rand.Exponential(int64(k.config.Interval))) + 1)
	if code := errcode.Code(resp.ErrorCode); code != errcode.None {
		k.closeSession()
		if code != errcode.FetchSessionIDNotFound && code != errcode.InvalidFetchSessionEpoch {
			k.catalog.stale(k.now.Mono)
		}
		return
	}
	k.follow(resp)
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			part := &t.Partitions[j]
			for n, p := range call.parts {
				same := p.topic == t.Topic
				if k.version >= 13 {
					same = p.id.Topic == t.TopicID
				}
				// A consumer that went elsewhere meanwhile has no use for the answer.
				if same && p.id.Index == part.Partition && p.position == call.from[n] {
					k.takeIn(call, n, part)
				}
			}
		}
	}
}

// follow keeps the session in step with the broker.
func (k *Consumer) follow(resp *kmsg.FetchResponse) {
	switch {
	case !k.sessions:
		k.closeSession()
	case resp.SessionID == 0:
		k.closeSession() // the broker keeps no session for us
	case k.sessionEpoch == 1<<31-1:
		k.sessionEpoch = 1
	default:
		k.sessionID = resp.SessionID
		k.sessionEpoch++
	}
}

// takeIn reads what the partition at an index of the call has to say.
func (k *Consumer) takeIn(
	call *fetchCall, index int, part *kmsg.FetchResponseTopicPartition,
) {
	p := call.parts[index]
	switch errcode.Code(part.ErrorCode) {
	case errcode.None:
	case errcode.OffsetOutOfRange:
		k.config.Judge.OutOfRange(k.client,
			checker.ReplicaID{PartitionID: p.id, Node: call.node},
			p.position, call.known[index], call.called)
		p.position = -1
		return
	default:
		k.catalog.stale(k.now.Mono)
		p.told = -1
		return
	}
	f := checker.Fetched{
		Partition: p.id, FetchOffset: p.position, HighWatermark: part.HighWatermark,
		LogStart: 0, Called: call.called, Consumer: k.client, Node: call.node,
	}
	if k.version >= 5 {
		f.LogStart = part.LogStartOffset
	}
	f.End = k.read(p, part.RecordBatches, &f)
	k.config.Judge.Fetched(&f)
	k.note(p, &f, call.called)
	p.position = f.End
}

// read decodes the batches of an answer. It returns the next position.
func (k *Consumer) read(p *consumedPart, data []byte, f *checker.Fetched) int64 {
	next := p.position
	for len(data) > 0 {
		b, records, size, err := readBatch(k.config.Codec, data)
		if err != nil {
			k.config.Judge.Corrupt(k.client, p.id, next, err)
			return next
		}
		if size == 0 {
			return next // cut short by the limit of bytes
		}
		data = data[size:]
		for i := range records {
			r := &records[i]
			if r.Offset >= p.position {
				f.Records = append(f.Records, checker.Read{
					Offset: r.Offset, Hash: checker.RecordHash(r.Key, r.Value),
				})
			}
		}
		next = max(next, b.EndOffset)
	}
	return next
}

// note adds what was read to the log of operations.
func (k *Consumer) note(p *consumedPart, f *checker.Fetched, called int64) {
	if len(f.Records) == 0 {
		return
	}
	op := checker.Op{
		Kind: checker.OpRead, Client: k.client, Topic: p.topic, Partition: p.id,
		Offset: f.Records[0].Offset,
	}
	for i, r := range f.Records {
		if r.Offset != op.Offset+int64(i) {
			return // the log has holes: it is compacted
		}
		op.Records = append(op.Records, r.Hash)
	}
	k.config.Judge.Happened(op, called)
}
