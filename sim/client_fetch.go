package sim

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
)

// busy reports whether a fetch is on its way to every node that has something to read.
func (k *Consumer) busy() bool {
	for _, p := range k.parts {
		if node, ready := k.source(p); ready && !k.fetcher(node).fetching {
			return false
		}
	}
	return true
}

// source returns whom to fetch a partition from, and false if that must wait.
func (k *Consumer) source(p *consumedPart) (node int32, ready bool) {
	if p.position < 0 || k.unvalidated(p) {
		return -1, false
	}
	if p.preferred >= 0 && k.now.Mono < p.until {
		return p.preferred, true
	}
	leader := k.catalog.leader(p.topic, p.id.Index)
	return leader, leader >= 0
}

// fetcher returns the fetches from a node.
func (k *Consumer) fetcher(node int32) *fetcher {
	for _, f := range k.fetchers {
		if f.node == node {
			return f
		}
	}
	f := &fetcher{node: node}
	k.fetchers = append(k.fetchers, f)
	return f
}

// fetch asks each node for all partitions that are to be read there and have a
// position.
func (k *Consumer) fetch() {
	asked := false
	for node := range k.nodes {
		f := k.fetcher(node)
		if f.fetching {
			continue
		}
		call := &fetchCall{fetcher: f}
		for _, p := range k.parts {
			if from, ready := k.source(p); ready && from == node {
				call.parts = append(call.parts, p)
				call.from = append(call.from, p.position)
				call.known = append(call.known, k.committed(p))
			}
		}
		if len(call.parts) == 0 {
			continue
		}
		if conn := k.ready(node, laneData); conn != nil {
			asked = true
			k.fetchFrom(conn, call)
		}
	}
	wait := clock.Duration(k.rand.Exponential(int64(k.config.Interval))) + 1
	if !asked {
		wait = max(wait, min(k.backoff, k.catalog.retry))
	}
	k.next = k.now.Mono.Add(wait)
}

// fetchFrom asks one node.
func (k *Consumer) fetchFrom(conn *clientConn, call *fetchCall) {
	f := call.fetcher
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.ReplicaID, req.Rack = k.version, -1, k.config.Rack
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = k.maxWaitMillis, k.minBytes, k.maxBytes
	req.SessionID, req.SessionEpoch = 0, -1
	if k.sessions {
		req.SessionID, req.SessionEpoch = f.session, f.epoch
	}
	k.forget(req, call)
	for _, p := range call.parts {
		epoch := int32(-1)
		if k.validates {
			epoch = p.validated
		}
		last := int32(-1)
		if k.diverges {
			last = p.last
		}
		if !f.tell(toldPart{part: p, offset: p.position, epoch: epoch, last: last}) {
			continue
		}
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = p.id.Index, p.position, k.partMaxBytes
		rp.CurrentLeaderEpoch, rp.LastFetchedEpoch, rp.LogStartOffset = epoch, last, -1
		t := fetchTopic(req, p)
		t.Partitions = append(t.Partitions, rp)
	}
	call.called = k.config.Judge.Now()
	k.call(conn, req, call)
	f.fetching = true
}

func (k *Consumer) committed(p *consumedPart) int64 {
	if part := k.config.Judge.Partition(p.id); part != nil {
		return part.Committed()
	}
	return -1
}

// tell notes what the session's broker is told of a partition, and reports whether that
// is news.
func (f *fetcher) tell(t toldPart) bool {
	for i := range f.told {
		if f.told[i].part == t.part {
			news := f.told[i] != t
			f.told[i] = t
			return news
		}
	}
	f.told = append(f.told, t)
	return true
}

// retell has the broker told of a partition again that is in the session.
func (f *fetcher) retell(p *consumedPart) {
	for i := range f.told {
		if f.told[i].part == p {
			f.told[i].offset = -1
		}
	}
}

// forget takes partitions that are not read there now out of the session.
func (k *Consumer) forget(req *kmsg.FetchRequest, call *fetchCall) {
	f := call.fetcher
	if f.epoch == 0 {
		f.told = f.told[:0]
		return
	}
	kept := f.told[:0]
	for _, told := range f.told {
		p := told.part
		if slices.Contains(call.parts, p) {
			kept = append(kept, told)
			continue
		}
		t := kmsg.NewFetchRequestForgottenTopic()
		t.Topic, t.TopicID, t.Partitions = p.topic, p.id.Topic, append(t.Partitions, p.id.Index)
		req.ForgottenTopics = append(req.ForgottenTopics, t)
	}
	f.told = kept
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

// closeSession makes the next fetch from a node a full one.
func (k *Consumer) closeSession(f *fetcher) {
	f.session, f.epoch, f.told = 0, 0, f.told[:0]
}

// fetched takes in an answer.
func (k *Consumer) fetched(call *fetchCall, resp *kmsg.FetchResponse) {
	f := call.fetcher
	f.fetching = false
	if code := errcode.Code(resp.ErrorCode); code != errcode.None {
		k.closeSession(f)
		if code != errcode.FetchSessionIDNotFound && code != errcode.InvalidFetchSessionEpoch {
			k.catalog.stale(k.now.Mono)
		}
		return
	}
	k.follow(f, resp)
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
func (k *Consumer) follow(f *fetcher, resp *kmsg.FetchResponse) {
	switch {
	case !k.sessions:
		k.closeSession(f)
	case resp.SessionID == 0:
		k.closeSession(f) // the broker keeps no session for us
	case f.epoch == 1<<31-1:
		f.epoch = 1
	default:
		f.session = resp.SessionID
		f.epoch++
	}
}

// takeIn reads what the partition at an index of the call has to say.
func (k *Consumer) takeIn(
	call *fetchCall, index int, part *kmsg.FetchResponseTopicPartition,
) {
	p := call.parts[index]
	node := call.fetcher.node
	switch code := errcode.Code(part.ErrorCode); code {
	case errcode.None:
	case errcode.OffsetOutOfRange:
		k.outOfRange(call, index)
		return
	default:
		k.catalog.stale(k.now.Mono)
		k.catalog.hint(p.topic, p.id.Index, part.CurrentLeader.LeaderID,
			part.CurrentLeader.LeaderEpoch)
		p.preferred = -1
		call.fetcher.retell(p)
		return
	}
	if part.DivergingEpoch.EndOffset >= 0 && k.diverges {
		k.truncated(p, node, part.DivergingEpoch.Epoch, part.DivergingEpoch.EndOffset, call.called)
		return
	}
	f := checker.Fetched{
		Partition: p.id, FetchOffset: p.position, HighWatermark: part.HighWatermark,
		LogStart: 0, Called: call.called, Consumer: k.client, Node: node,
	}
	if k.version >= 5 {
		f.LogStart = part.LogStartOffset
	}
	f.End = k.read(p, part.RecordBatches, &f)
	k.config.Judge.Fetched(&f)
	k.note(p, &f, call.called)
	p.position = f.End
	if part.PreferredReadReplica >= 0 && k.version >= 11 {
		p.preferred, p.until = part.PreferredReadReplica, k.now.Mono.Add(k.catalog.maxAge)
	}
}

// outOfRange is what a consumer does that may not read where it is: it begins again, or
// goes back to the leader if it asked another.
func (k *Consumer) outOfRange(call *fetchCall, index int) {
	p := call.parts[index]
	if p.preferred == call.fetcher.node {
		p.preferred = -1
		call.fetcher.retell(p)
		return
	}
	k.config.Judge.OutOfRange(k.client,
		checker.ReplicaID{PartitionID: p.id, Node: call.fetcher.node},
		p.position, call.known[index], call.called)
	p.position, p.last, p.seen = -1, -1, nil
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
					Epoch: b.LeaderEpoch,
				})
			}
		}
		next = max(next, b.EndOffset)
		p.last = b.LeaderEpoch
	}
	if k.validates {
		p.seen = append(p.seen, f.Records...)
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
