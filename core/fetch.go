package core

import (
	"strings"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/mutant"
	"github.com/heiban/heiban/core/wire"
)

// Fetch (key 1, versions 4-18): long poll by minimum bytes and maximum wait, size
// limits that always let the first batch through (KIP-74), incremental sessions
// (KIP-227), topic ids (KIP-516), divergence by epoch (KIP-320, KIP-595). The core
// decides what may be read, up to which offset; the driver finds the bytes.

// parkedFetch is what a Fetch asks for: its own list, or its session's.
type parkedFetch struct {
	session    *session // nil: sessionless
	partitions []*fetchPart
	sessionID  int32 // to answer with
	maxWait    int32
	minBytes   int64
	maxBytes   int32
	available  int64 // estimate, while parked
	committed  bool  // read_committed
	byID       bool
	full       bool // answer every partition, not only those with news
}

// fetchPart is one partition a client wants to fetch from; in a session it lives as
// long as the partition is part of it.
type fetchPart struct {
	want wire.FetchPartition
	key  partKey
	// What the client was last told, for incremental answers.
	toldHigh  int64
	toldStart int64
	available int64 // counted in parkedFetch.available
}

// partKey names a partition as the client names it.
type partKey struct {
	topic     string
	id        wire.TopicID
	partition int32
}

func (k partKey) sameTopic(other partKey) bool { return k.topic == other.topic && k.id == other.id }

// fetchWait is a partition's note of a Fetch that waits for more bytes.
type fetchWait struct {
	call callRef
	part *fetchPart
}

const fetchTopicIDsFrom = 13

func (b *Broker) fetch(c *call, req *wire.FetchRequest) {
	f, code := b.openFetch(req)
	if code != errcode.None {
		b.answer(c, &wire.FetchResponse{Err: code})
		return
	}
	c.fetch = f
	if f.maxWait <= 0 || len(f.partitions) == 0 || b.estimate(f) {
		b.completeFetch(c)
		return
	}
	for _, part := range f.partitions {
		p, _ := b.find(part.want.Topic, part.want.TopicID, f.byID, part.want.Partition)
		p.fetches = append(p.fetches, fetchWait{call: c.ref(), part: part})
	}
	b.arm(c, clock.Millis(int64(f.maxWait)))
}

// openFetch resolves a request into the list of partitions to fetch.
func (b *Broker) openFetch(req *wire.FetchRequest) (*parkedFetch, errcode.Code) {
	if req.ReplicaID >= 0 {
		return nil, errcode.NotLeaderOrFollower // this cluster has no followers
	}
	f := &parkedFetch{
		maxWait:   req.MaxWaitMillis,
		maxBytes:  min(req.MaxBytes, int32(b.base.FetchMaxBytes)),
		committed: req.IsolationLevel == 1,
		byID:      req.Version >= fetchTopicIDsFrom,
	}
	f.minBytes = int64(min(req.MinBytes, f.maxBytes))
	code := b.sessions.open(b, f, req)
	return f, code
}

// newPart copies what a request asks of one partition.
func newPart(want *wire.FetchPartition) *fetchPart {
	part := &fetchPart{want: *want, toldHigh: -1, toldStart: -1}
	part.want.Topic = strings.Clone(want.Topic)
	part.key = keyOf(&part.want)
	return part
}

func keyOf(want *wire.FetchPartition) partKey {
	return partKey{topic: want.Topic, id: want.TopicID, partition: want.Partition}
}

// bound is the end of what a fetch may read.
func (b *Broker) bound(p *partition, committed bool) int64 {
	switch {
	case b.settings.Mutants.On(mutant.R7ReadToLogEnd):
		return p.log.LogEndOffset()
	case committed:
		return p.log.LastStableOffset()
	default:
		return p.log.HighWatermark()
	}
}

// estimate adds up the bytes a fetch could return now and reports whether it should
// be answered: there are enough, or something other than bytes to tell.
func (b *Broker) estimate(f *parkedFetch) bool {
	f.available = 0
	for _, part := range f.partitions {
		p, code := b.checkFetch(part, f.byID)
		if code != errcode.None {
			return true
		}
		if epoch, _ := b.divergence(p, &part.want); epoch >= 0 {
			return true
		}
		part.available = b.availableBytes(p, part, f.committed)
		f.available += part.available
	}
	return f.available >= f.minBytes
}

// checkFetch returns the partition, or why it cannot be fetched from.
func (b *Broker) checkFetch(part *fetchPart, byID bool) (*partition, errcode.Code) {
	p, code := b.find(part.want.Topic, part.want.TopicID, byID, part.want.Partition)
	if code == errcode.None {
		code = p.checkEpoch(part.want.CurrentLeaderEpoch)
	}
	if code != errcode.None {
		return p, code
	}
	at := part.want.FetchOffset
	if at < p.log.LogStartOffset() || at > p.log.LogEndOffset() {
		return p, errcode.OffsetOutOfRange
	}
	if part.want.LastFetchedEpoch >= 0 {
		if epoch, _ := p.log.EndOffsetFor(part.want.LastFetchedEpoch); epoch < 0 {
			return p, errcode.OffsetOutOfRange
		}
	}
	return p, errcode.None
}

// divergence returns the epoch and its end offset where the fetcher's log parts from
// ours, or -1 (KIP-595).
func (b *Broker) divergence(p *partition, want *wire.FetchPartition) (int32, int64) {
	if want.LastFetchedEpoch < 0 {
		return -1, -1
	}
	epoch, end := p.log.EndOffsetFor(want.LastFetchedEpoch)
	if epoch < want.LastFetchedEpoch || end < want.FetchOffset {
		return epoch, end
	}
	return -1, -1
}

func (b *Broker) availableBytes(p *partition, part *fetchPart, committed bool) int64 {
	bound := b.bound(p, committed)
	if part.want.FetchOffset >= bound {
		return 0
	}
	_, bytes := p.log.SliceFrom(part.want.FetchOffset, bound)
	return min(bytes, int64(part.want.MaxBytes))
}

// wakeFetches counts what p's progress adds to the fetches that wait on it, and
// answers those that have enough.
func (b *Broker) wakeFetches(p *partition) {
	waiting := p.fetches
	keep := waiting[:0] // nothing is added meanwhile: calls start at the end of a Step
	for _, w := range waiting {
		c := w.call.get()
		if c == nil {
			continue
		}
		f := c.fetch
		f.available -= w.part.available
		w.part.available = b.availableBytes(p, w.part, f.committed)
		f.available += w.part.available
		if f.available >= f.minBytes || b.outOfReach(p, w.part) {
			b.completeFetch(c)
			continue
		}
		keep = append(keep, w)
	}
	clear(waiting[len(keep):])
	p.fetches = keep
}

// outOfReach reports whether a waiting fetch's offset has left the log.
func (b *Broker) outOfReach(p *partition, part *fetchPart) bool {
	at := part.want.FetchOffset
	return at < p.log.LogStartOffset() || at > p.log.LogEndOffset()
}

// completeFetch answers a Fetch with what there is now.
func (b *Broker) completeFetch(c *call) {
	f := c.fetch
	out := &wire.FetchResponse{
		SessionID:   f.sessionID,
		MaxBytes:    f.maxBytes,
		Incremental: !f.full,
		Partitions:  make([]wire.FetchedPartition, 0, len(f.partitions)),
	}
	left, run := int64(f.maxBytes), int32(-1)
	for i, part := range f.partitions {
		if i == 0 || !part.key.sameTopic(f.partitions[i-1].key) {
			run++
		}
		fetched := b.fetchOne(f, part, left)
		fetched.TopicRun = run
		bytes := part.available
		if left > 0 {
			left -= bytes
		}
		if f.full || fetched.Changed || bytes > 0 {
			part.toldHigh, part.toldStart = fetched.HighWatermark, fetched.LogStartOffset
			out.Partitions = append(out.Partitions, fetched)
		}
	}
	if f.session != nil {
		f.session.rotate()
	}
	b.answerLater(c, &FetchQuery{Response: out})
}

// fetchOne says what one partition may return. It leaves the estimate of its bytes in
// part.available.
func (b *Broker) fetchOne(f *parkedFetch, part *fetchPart, left int64) wire.FetchedPartition {
	out := wire.FetchedPartition{
		Topic: part.want.Topic, TopicID: part.want.TopicID, Partition: part.want.Partition,
		MaxBytes:      part.want.MaxBytes,
		HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1,
		DivergingEpoch: -1, DivergingEndOffset: -1,
		LeaderID: -1, LeaderEpoch: -1, PreferredReadReplica: -1,
		NullAborted: !f.committed,
	}
	part.available = 0
	p, code := b.checkFetch(part, f.byID)
	if code != errcode.None {
		out.Err, out.Changed = code, true
		if code == errcode.NotLeaderOrFollower || code == errcode.FencedLeaderEpoch {
			out.LeaderID, out.LeaderEpoch = b.options.NodeID, p.leaderEpoch
		}
		if code == errcode.OffsetOutOfRange {
			b.tellMarks(p, &out)
		}
		return out
	}
	b.tellMarks(p, &out)
	out.Changed = out.HighWatermark != part.toldHigh || out.LogStartOffset != part.toldStart
	if epoch, end := b.divergence(p, &part.want); epoch >= 0 {
		out.DivergingEpoch, out.DivergingEndOffset, out.Changed = epoch, end, true
		return out
	}
	bound := b.bound(p, f.committed)
	if part.want.FetchOffset < bound && left > 0 {
		var bytes int64
		out.Slice, bytes = p.log.SliceFrom(part.want.FetchOffset, bound)
		part.available = max(1, min(bytes, int64(part.want.MaxBytes)))
	}
	return out
}

func (b *Broker) tellMarks(p *partition, out *wire.FetchedPartition) {
	out.HighWatermark = p.log.HighWatermark()
	out.LastStableOffset = p.log.LastStableOffset()
	out.LogStartOffset = p.log.LogStartOffset()
}

// FetchQuery is a Fetch whose partitions and offsets are decided and whose bytes are
// still to be found.
type FetchQuery struct {
	Response *wire.FetchResponse
}

// Locate sets each partition's Range within the limits of the request (KIP-74): the
// first batch of the first partition with data is sent whole, whatever its size.
func (q *FetchQuery) Locate(r log.Reader) {
	left := q.Response.MaxBytes
	first := true
	for i := range q.Response.Partitions {
		part := &q.Response.Partitions[i]
		if part.Slice.Empty() || left <= 0 && !first {
			continue
		}
		found, err := part.Slice.Locate(r, min(left, part.MaxBytes), first)
		if err != nil {
			// The file is gone or unreadable: the client asks again, and the core
			// answers with what it knows by then.
			part.Err, part.Changed = errcode.KafkaStorageError, true
			continue
		}
		part.Range = found
		if found.Len > 0 {
			first = false
			left -= int32(min(int64(found.Len), int64(left)))
		}
	}
}

// Answer locates the records and copies them.
func (q *FetchQuery) Answer(d *QueryDevices) wire.Response {
	q.Locate(d.Reader)
	for i := range q.Response.Partitions {
		part := &q.Response.Partitions[i]
		if part.Range.Len == 0 {
			continue
		}
		part.Records = make([]byte, part.Range.Len)
		n, err := d.Reader.ReadAt(part.Range.File, part.Records, part.Range.Pos)
		if n < len(part.Records) {
			_ = err // the missing bytes say it
			part.Records, part.Range, part.Err = nil, log.Range{}, errcode.KafkaStorageError
		}
	}
	return q.Response
}
