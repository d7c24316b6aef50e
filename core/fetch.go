package core

import (
	"strings"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/mutant"
	"github.com/heiban/heiban/core/replica"
	"github.com/heiban/heiban/core/wire"
)

// Fetch (key 1, versions 4-18): long poll by minimum bytes and maximum wait, size
// limits that always let the first batch through (KIP-74), incremental sessions
// (KIP-227), topic ids (KIP-516), divergence by epoch (KIP-320, KIP-595). Followers read
// with it, see fetch_replica.go. The core decides what may be read, up to which offset;
// the driver finds the bytes.

// parkedFetch is what a Fetch asks for: its own list, or its session's.
type parkedFetch struct {
	session    *session // nil: sessionless
	partitions []*fetchPart
	rack       string // of a consumer that may be sent to another replica (KIP-392)
	listener   string // on which it came

	brokerEpoch int64 // of a follower, or -1
	replica     int32 // id of a follower, or noReplica
	sessionID   int32 // to answer with
	maxWait     int32
	minBytes    int64
	maxBytes    int32
	available   int64 // estimate, while parked
	committed   bool  // read_committed
	anyReplica  bool  // a consumer that may read from followers
	byID        bool
	full        bool // answer every partition, not only those with news
}

// fetchPart is one partition a client wants to fetch from; in a session it lives as
// long as the partition is part of it. One Fetch at a time uses it.
type fetchPart struct {
	want wire.FetchPartition
	key  partKey
	// What the client was last told, for incremental answers.
	toldHigh  int64
	toldStart int64

	on *partition // where it was found last

	// While its Fetch is parked.
	available int64 // counted in parkedFetch.available
	call      *call
	at        int // index in on.fetches

	refused errcode.Code // what became of a follower's fetch when it was first read
	served  bool         // its last Fetch returned records of it
}

// partKey names a partition as the client names it.
type partKey struct {
	topic     string
	id        wire.TopicID
	partition int32
}

func (k partKey) sameTopic(other partKey) bool { return k.topic == other.topic && k.id == other.id }

const fetchTopicIDsFrom = 13

func (b *Broker) fetch(c *call, req *wire.FetchRequest) {
	if code := b.openFetch(c, req); code != errcode.None {
		c.fetch = nil
		b.answer(c, &wire.FetchResponse{Err: code})
		return
	}
	f := c.fetch
	if f.replica != noReplica {
		b.takeFollower(f)
	}
	if f.maxWait <= 0 || len(f.partitions) == 0 || b.estimate(f) {
		b.completeFetch(c)
		return
	}
	b.park(c)
	b.arm(c, clock.Millis(int64(f.maxWait)))
}

// openFetch resolves a request into the list of partitions to fetch.
func (b *Broker) openFetch(c *call, req *wire.FetchRequest) errcode.Code {
	const anyReplicaFrom = 11
	c.fetch = &c.fetching
	*c.fetch = parkedFetch{
		maxWait:     req.MaxWaitMillis,
		maxBytes:    min(req.MaxBytes, b.base.FetchMaxBytes),
		committed:   req.IsolationLevel == 1,
		anyReplica:  req.Version >= anyReplicaFrom,
		byID:        req.Version >= fetchTopicIDsFrom,
		listener:    c.conn.listener,
		brokerEpoch: req.ReplicaEpoch,
		replica:     max(req.ReplicaID, noReplica),
	}
	if b.base.RackAwareReplicaSelector && req.Rack != "" && c.fetch.replica == noReplica {
		c.fetch.rack = strings.Clone(req.Rack)
	}
	c.fetch.minBytes = int64(min(req.MinBytes, c.fetch.maxBytes))
	return b.openSession(c.fetch, req)
}

// park notes a Fetch with every partition it waits for, which estimate has found.
func (b *Broker) park(c *call) {
	f := c.fetch
	for _, part := range f.partitions {
		part.call, part.at = c, len(part.on.fetches)
		part.on.fetches = append(part.on.fetches, part)
	}
	if f.session != nil {
		f.session.parked = c
	}
}

// unpark takes the notes back.
func (f *parkedFetch) unpark() {
	for _, part := range f.partitions {
		if part.call == nil {
			continue
		}
		waiting := part.on.fetches
		last := waiting[len(waiting)-1]
		waiting[part.at], last.at = last, part.at
		waiting[len(waiting)-1] = nil
		part.on.fetches = waiting[:len(waiting)-1]
		part.call = nil
	}
	if f.session != nil {
		f.session.parked = nil
	}
}

// abandonFetch ends a parked Fetch whose client is gone. The client was told nothing.
func (b *Broker) abandonFetch(c *call) {
	c.fetch.unpark()
	b.answer(c, nil)
}

// keyOf names the partition that want is about.
func keyOf(want *wire.FetchPartition) partKey {
	return partKey{topic: want.Topic, id: want.TopicID, partition: want.Partition}
}

// bound is the end of what a fetch may read. What is not written yet cannot be read:
// a follower's high watermark may be beyond it.
func (b *Broker) bound(p *partition, f *parkedFetch) int64 {
	switch {
	case f.replica != noReplica:
		return p.log.WrittenEndOffset()
	case b.settings.Mutants.On(mutant.R7ReadToLogEnd):
		return p.log.LogEndOffset()
	case f.committed:
		return min(p.log.LastStableOffset(), p.log.WrittenEndOffset())
	default:
		return min(p.log.HighWatermark(), p.log.WrittenEndOffset())
	}
}

// estimate adds up the bytes a fetch could return now and reports whether it should
// be answered: there are enough, or something other than bytes to tell.
func (b *Broker) estimate(f *parkedFetch) bool {
	f.available = 0
	for _, part := range f.partitions {
		p, at := b.locate(f, part)
		if at.code != errcode.None || part.refused != errcode.None || at.diverges() ||
			f.lags(p, part) || b.preferred(f, p, part) != noReplica {
			return true
		}
		part.available = b.availableBytes(p, part, f)
		f.available += part.available
	}
	return f.available >= f.minBytes
}

// locate finds the partition of a fetch and its position there. An epoch that
// diverges is told even if the offset is beyond the log, but not if it is before it
// (KIP-595).
func (b *Broker) locate(f *parkedFetch, part *fetchPart) (*partition, fetchPosition) {
	want := &part.want
	at := fetchPosition{diverging: replica.NoEpoch}
	p := part.on
	if p == nil || p.state != partitionOnline { // else it is still what the client means
		p, at.code = b.find(want.Topic, want.TopicID, f.byID, want.Partition)
		part.on = p
	}
	if at.code == errcode.None {
		at.code = p.checkEpoch(want.CurrentLeaderEpoch)
	}
	onlyLeader := !f.anyReplica || f.replica != noReplica
	if at.code == errcode.None && p.leader == nil && onlyLeader {
		at.code = errcode.NotLeaderOrFollower
	}
	if at.code != errcode.None {
		return p, at
	}
	if f.replica != noReplica {
		return p, b.locateFollower(f, p, part)
	}
	if want.FetchOffset < p.log.LogStartOffset() {
		at.code = errcode.OffsetOutOfRange
		return p, at
	}
	if want.LastFetchedEpoch >= 0 {
		of := p.endOf(want.LastFetchedEpoch)
		switch {
		case of.Epoch < 0:
			at.code = errcode.OffsetOutOfRange
			return p, at
		case of.Epoch < want.LastFetchedEpoch || of.EndOffset < want.FetchOffset:
			at.diverging = of
			return p, at
		}
	}
	if want.FetchOffset > p.log.LogEndOffset() {
		at.code = errcode.OffsetOutOfRange
	}
	return p, at
}

// availableBytes estimates what a partition would return, at least 1 if anything.
func (b *Broker) availableBytes(p *partition, part *fetchPart, f *parkedFetch) int64 {
	bound := b.bound(p, f)
	if part.want.FetchOffset >= bound {
		return 0
	}
	_, bytes := p.log.SliceFrom(part.want.FetchOffset, bound)
	return max(1, min(bytes, int64(part.want.MaxBytes)))
}

// wakeFetches counts what p's progress adds to the fetches that wait on it, and
// answers those that have enough.
func (b *Broker) wakeFetches(p *partition) {
	for i := 0; i < len(p.fetches); {
		part := p.fetches[i]
		f := part.call.fetch
		f.available -= part.available
		if part.want.FetchOffset < p.log.LogStartOffset() || f.lags(p, part) {
			part.available = f.minBytes // something other than bytes is to be told
		} else {
			part.available = b.availableBytes(p, part, f)
		}
		f.available += part.available
		if f.available >= f.minBytes {
			b.completeFetch(part.call) // takes another into its place
			continue
		}
		i++
	}
}

// fetchAnswer is what the answer to a Fetch takes, in one piece for one partition.
type fetchAnswer struct {
	query    FetchQuery
	response wire.FetchResponse
	one      [1]wire.FetchedPartition
}

// completeFetch answers a Fetch with what there is now.
func (b *Broker) completeFetch(c *call) {
	f := c.fetch
	f.unpark()
	a := &fetchAnswer{}
	a.query.Response = &a.response
	a.response = wire.FetchResponse{
		SessionID: f.sessionID, MaxBytes: f.maxBytes, Incremental: !f.full, Partitions: a.one[:0],
	}
	if n := len(f.partitions); n > 1 {
		a.response.Partitions = make([]wire.FetchedPartition, 0, n)
	}
	left, first, run := int64(f.maxBytes), true, int32(-1)
	for i, part := range f.partitions {
		if i == 0 || !part.key.sameTopic(f.partitions[i-1].key) {
			run++
		}
		fetched, bytes := b.fetchOne(f, part)
		fetched.TopicRun = run
		// Bytes are an estimate, and what there is may be unreadable: what fits is for the
		// query to find. What may turn out not to fit does not count as served, so that
		// it comes first the next time.
		part.served = bytes > 0 && (first || bytes <= left)
		first = first && bytes == 0
		left = max(0, left-bytes)
		if fetched.LeaderEpoch >= 0 {
			a.response.NodeEndpoints = b.addEndpoint(a.response.NodeEndpoints,
				fetched.LeaderID, f.listener)
		}
		if f.full || fetched.Changed || bytes > 0 {
			part.toldHigh, part.toldStart = fetched.HighWatermark, fetched.LogStartOffset
			a.response.Partitions = append(a.response.Partitions, fetched)
		}
	}
	if f.session != nil {
		f.session.rotate()
	}
	b.answerLater(c, &a.query)
}

// fetchOne says what one partition may return, with an estimate of its bytes.
func (b *Broker) fetchOne(f *parkedFetch, part *fetchPart) (wire.FetchedPartition, int64) {
	out := wire.FetchedPartition{
		Topic: part.want.Topic, TopicID: part.want.TopicID, Partition: part.want.Partition,
		MaxBytes:      part.want.MaxBytes,
		HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1,
		DivergingEpoch: -1, DivergingEndOffset: -1,
		LeaderID: -1, LeaderEpoch: -1, PreferredReadReplica: -1,
		NullAborted: !f.committed,
	}
	p, at := b.locate(f, part)
	if at.code == errcode.None {
		at.code = part.refused
	}
	if at.code != errcode.None {
		out.Err, out.Changed = at.code, true
		if at.code == errcode.NotLeaderOrFollower || at.code == errcode.FencedLeaderEpoch {
			out.LeaderID, out.LeaderEpoch = b.leaderOf(p)
		}
		return out, 0
	}
	out.HighWatermark = p.log.HighWatermark()
	out.LastStableOffset = p.log.LastStableOffset()
	out.LogStartOffset = p.log.LogStartOffset()
	out.Changed = out.HighWatermark != part.toldHigh || out.LogStartOffset != part.toldStart ||
		f.lags(p, part)
	if at.diverges() {
		out.DivergingEpoch, out.DivergingEndOffset = at.diverging.Epoch, at.diverging.EndOffset
		out.Changed = true
		return out, 0
	}
	if other := b.preferred(f, p, part); other != noReplica {
		out.PreferredReadReplica, out.Changed = other, true
		return out, 0
	}
	bound := b.bound(p, f)
	if part.want.FetchOffset >= bound {
		return out, 0
	}
	slice, bytes := p.log.SliceFrom(part.want.FetchOffset, bound)
	out.Slice = slice
	return out, max(1, min(bytes, int64(part.want.MaxBytes)))
}

// FetchQuery is a Fetch whose partitions and offsets are decided and whose bytes are
// still to be found.
type FetchQuery struct {
	Response *wire.FetchResponse
	found    int64 // bytes of the partitions so far
}

// Locate sets the Range of the i-th partition within the limits of the request
// (KIP-74), and reports whether there is something to read. Partitions are located in
// order: the first batch of the first one with data is sent whole, whatever its size.
func (q *FetchQuery) Locate(r log.Reader, i int) bool {
	part := &q.Response.Partitions[i]
	left, first := max(0, int64(q.Response.MaxBytes)-q.found), q.found == 0
	if part.Slice.Empty() || left == 0 && !first {
		return false
	}
	found, err := part.Slice.Locate(r, min(int32(left), part.MaxBytes), first)
	if err != nil {
		q.Unreadable(i)
		return false
	}
	part.Range = found
	q.found += int64(found.Len)
	return found.Len > 0
}

// Unreadable says that the i-th partition, the one located last, is gone or cannot be
// read, which leaves its room to those after it. The client asks again, and the core
// answers with what it knows by then.
func (q *FetchQuery) Unreadable(i int) {
	part := &q.Response.Partitions[i]
	q.found -= int64(part.Range.Len)
	part.Records, part.Range = nil, log.Range{}
	part.Err, part.Changed = errcode.KafkaStorageError, true
}

// Answer locates the records and copies them.
func (q *FetchQuery) Answer(d *QueryDevices) wire.Response {
	for i := range q.Response.Partitions {
		if !q.Locate(d.Reader, i) {
			continue
		}
		part := &q.Response.Partitions[i]
		part.Records = make([]byte, part.Range.Len)
		n, _ := d.Reader.ReadAt(part.Range.File, part.Records, part.Range.Pos) // n says it
		if n < len(part.Records) {
			q.Unreadable(i)
		}
	}
	return q.Response
}
