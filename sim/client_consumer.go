package sim

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
)

// ConsumerConfig says what a simulated consumer does.
type ConsumerConfig struct {
	ClientConfig
	Judge      *checker.Judge
	Codec      batch.Codec
	Topics     []string
	VersionMin int16 // of Fetch
	VersionMax int16
	Interval   clock.Duration // between fetches, on average
	Probe      clock.Duration // between questions for offsets, on average; 0: none
	Audit      bool           // read everything again once the faults are over
	Rack       string         // read from a replica there (KIP-392); empty: from leaders
}

// Consumer is a simulated consumer without group: it reads all partitions of its
// topics from the leaders, and tells the judge all that it is given.
type Consumer struct {
	caller
	catalog  catalog
	config   ConsumerConfig
	parts    []*consumedPart
	fetchers []*fetcher    // one for each node
	next     clock.Instant // of the next fetch
	probe    clock.Instant
	version  int16
	listed   int16 // version of ListOffsets
	latest   bool  // where to begin, and to begin again

	maxWaitMillis int32
	minBytes      int32
	maxBytes      int32
	partMaxBytes  int32

	sessions  bool // KIP-227
	validates bool // its positions whenever there is another leader (KIP-320)
	diverges  bool // sends the epoch it fetched last, to be told of divergence (KIP-595)
}

// fetcher is a consumer's fetches from one node, one at a time.
type fetcher struct {
	node     int32
	told     []toldPart // what the session holds
	session  int32      // its id (KIP-227)
	epoch    int32      // of the session
	fetching bool
}

// toldPart is a partition in a session, and what the broker was told of it.
type toldPart struct {
	part   *consumedPart
	offset int64 // -1: must be told again
	epoch  int32 // current leader epoch
	last   int32 // last fetched epoch
}

// consumedPart is one partition as its consumer sees it.
type consumedPart struct {
	topic     string
	id        checker.PartitionID
	position  int64 // -1: to be asked for
	last      int32 // leader epoch of what was read before the position; -1: not known
	validated int32 // leader epoch for which the position is known to be good
	asking    bool
	retryAt   clock.Instant // when to ask again after a refusal
	gone      bool

	preferred int32 // who to fetch from instead of the leader, -1: nobody
	until     clock.Instant

	seen []checker.Read // all that was read, and not taken back
}

type fetchCall struct {
	fetcher *fetcher
	parts   []*consumedPart // of the request or its session
	from    []int64         // their positions at the call
	known   []int64         // what the judge knew to be committed of each
	called  int64           // judge's clock at the call
}

type listCall struct {
	part   *consumedPart
	target int64
	ref    checker.OpRef
	called int64
	node   int32
	reset  bool
}

// NewConsumer makes a consumer.
func NewConsumer(c ConsumerConfig) *Consumer {
	k := &Consumer{caller: newCaller(&c.ClientConfig, "consumer"), config: c}
	r := k.rand
	k.catalog = newCatalog(r, c.Topics)
	k.version = int16(r.Between(int64(max(c.VersionMin, 4)), int64(c.VersionMax)))
	k.listed = int16(r.Between(1, 11))
	k.latest = r.Chance(200_000)
	k.sessions = k.version >= 7 && r.Chance(600_000)
	k.validates = k.version >= 9 && c.Nodes > 1 && r.Chance(700_000)
	k.diverges = k.validates && k.version >= 12 && r.Chance(500_000)
	k.maxWaitMillis = int32(r.Below(min(500, int64(k.timeout/clock.Millisecond)/2)))
	k.minBytes = int32(r.LogUniform(1, 3000)) - 1
	k.maxBytes = int32(r.LogUniform(1, 1<<20))
	k.partMaxBytes = int32(r.LogUniform(1, 1<<17))
	return k
}

// Step implements Actor.
func (k *Consumer) Step(now clock.Time, ev ActorEvent, out *ActorOrders) {
	k.begin(now, out)
	answered, lost := k.take(&ev)
	switch call := answered.(type) {
	case metadataCall:
		k.catalog.learn(&k.caller, ev.Response.(*kmsg.MetadataResponse))
		k.assign()
	case *fetchCall:
		k.fetched(call, ev.Response.(*kmsg.FetchResponse))
	case *validateCall:
		k.answeredValidation(call, ev.Response.(*kmsg.OffsetForLeaderEpochResponse))
	case *listCall:
		k.answeredList(call, ev.Response.(*kmsg.ListOffsetsResponse))
	}
	for _, call := range lost {
		k.lost(call.what)
	}
	if ev.Kind == ActorHealed {
		k.hurry()
		if k.config.Audit {
			k.startAgain()
		}
	}
	k.work()
}

func (k *Consumer) lost(what any) {
	k.catalog.stale(k.now.Mono)
	switch call := what.(type) {
	case metadataCall:
		k.catalog.learn(&k.caller, nil)
	case *fetchCall:
		call.fetcher.fetching = false
		k.closeSession(call.fetcher)
		for _, p := range call.parts {
			p.preferred = -1
		}
	case *validateCall:
		call.part.asking = false
	case *listCall:
		call.part.asking = false
		k.config.Judge.Return(call.ref, checker.Unknown)
	}
}

// hurry lets the consumer catch up in bounded time, however slow it was before.
func (k *Consumer) hurry() {
	const (
		factor    = 64
		bytesMost = 1 << 20
		bytesMin  = 32 << 10 // more than one batch to an answer, however far the brokers
	)
	k.config.Interval = min(k.config.Interval, clock.Millisecond)
	k.minBytes = min(k.minBytes, 1)
	k.maxBytes = max(min(k.maxBytes, bytesMost)*factor, bytesMin)
	k.partMaxBytes = max(min(k.partMaxBytes, bytesMost)*factor, bytesMin)
}

// startAgain goes back to the beginning of every partition.
func (k *Consumer) startAgain() {
	k.latest = false
	for _, p := range k.parts {
		p.position, p.asking, p.last, p.seen = -1, false, -1, nil
	}
	for _, f := range k.fetchers {
		if !f.fetching {
			continue
		}
		// The answer on its way is for the old positions.
		for _, conn := range k.conns {
			if conn.lane == laneData && conn.node == f.node {
				for _, call := range k.hangUp(conn) {
					k.lost(call.what)
				}
				break
			}
		}
	}
}

// Deadline implements Actor.
func (k *Consumer) Deadline() clock.Instant {
	at := k.deadline()
	if !k.catalog.asking {
		at = min(at, k.catalog.due)
	}
	for _, p := range k.parts {
		if !p.asking && p.retryAt > k.now.Mono {
			at = min(at, p.retryAt)
		}
	}
	if len(k.parts) > 0 && (k.next > k.now.Mono || !k.busy()) {
		at = min(at, k.next)
	}
	if k.config.Probe > 0 {
		at = min(at, k.probe)
	}
	return k.later(at)
}

// Pending says what the consumer has not read yet, or nothing.
func (k *Consumer) Pending() string {
	if len(k.parts) == 0 {
		return fmt.Sprintf("consumer %d knows no partition", k.client)
	}
	for _, p := range k.parts {
		if p.gone {
			continue
		}
		part := k.config.Judge.Partition(p.id)
		if p.position < 0 {
			return fmt.Sprintf("consumer %d has no position in %s-%d", k.client, p.topic,
				p.id.Index)
		}
		if part != nil && !part.Deleted() && !k.config.Judge.CaughtUp(p.id, p.position) {
			return fmt.Sprintf("consumer %d is at %d of %s-%d, high watermark %d",
				k.client, p.position, p.topic, p.id.Index, part.HighWatermark())
		}
	}
	return ""
}

// assign takes up the partitions that are there and lets go of others.
func (k *Consumer) assign() {
	for _, p := range k.parts {
		t := k.catalog.topic(p.topic)
		if p.gone = t == nil || t.id != p.id.Topic; p.gone {
			p.position = -1 // answers on their way are of no use: it may be read anew
		}
	}
	kept := k.parts[:0]
	for _, p := range k.parts {
		if !p.gone {
			kept = append(kept, p)
		}
	}
	if len(kept) < len(k.parts) {
		for _, f := range k.fetchers {
			k.closeSession(f)
		}
	}
	k.parts = kept
	for i := range k.catalog.topics {
		t := &k.catalog.topics[i]
		for index := range t.partitions {
			k.adopt(t, int32(index))
		}
	}
}

func (k *Consumer) adopt(t *topicView, index int32) {
	id := checker.PartitionID{Topic: t.id, Index: index}
	for _, p := range k.parts {
		if p.id == id {
			return
		}
	}
	k.parts = append(k.parts, &consumedPart{
		topic: t.name, id: id, position: -1, last: -1, validated: -1, preferred: -1,
	})
}

// work asks for what is due.
func (k *Consumer) work() {
	k.catalog.refresh(&k.caller)
	for _, p := range k.parts {
		if p.position < 0 && !p.asking && k.now.Mono >= p.retryAt {
			target := checker.ListEarliest
			if k.latest {
				target = checker.ListLatest
			}
			k.list(p, target, true)
		}
		k.validate(p)
	}
	if k.config.Probe > 0 && k.now.Mono >= k.probe && len(k.parts) > 0 {
		k.probe = k.now.Mono.Add(clock.Duration(k.rand.Exponential(int64(k.config.Probe))) + 1)
		k.ask()
	}
	if k.now.Mono >= k.next {
		k.fetch()
	}
}

// ask puts a question about some partition, which the judge knows the answer to.
func (k *Consumer) ask() {
	p := k.parts[k.rand.Below(int64(len(k.parts)))]
	switch k.rand.Below(4) {
	case 0:
		k.list(p, checker.ListEarliest, false)
	case 1:
		k.list(p, max(int64(k.now.Wall)-k.rand.Between(0, 3000), 0), false)
	default:
		k.list(p, checker.ListLatest, false)
	}
}

// list asks for one offset of a partition.
func (k *Consumer) list(p *consumedPart, target int64, reset bool) {
	leader := k.catalog.leader(p.topic, p.id.Index)
	if leader < 0 {
		k.catalog.stale(k.now.Mono)
		return
	}
	conn := k.ready(leader, laneControl)
	if conn == nil {
		return
	}
	rp := kmsg.NewListOffsetsRequestTopicPartition()
	rp.Partition, rp.Timestamp, rp.CurrentLeaderEpoch = p.id.Index, target, -1
	if k.validates && k.listed >= 4 {
		rp.CurrentLeaderEpoch = k.catalog.epoch(p.topic, p.id.Index)
	}
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic, t.Partitions = p.topic, append(t.Partitions, rp)
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID, req.Topics = k.listed, -1, append(req.Topics, t)
	kind := checker.OpOther
	if target == checker.ListLatest {
		kind = checker.OpLatest
	}
	ref := k.config.Judge.Call(checker.Op{
		Kind: kind, Client: k.client, Topic: p.topic, Partition: p.id,
	})
	p.asking = p.asking || reset
	k.call(conn, req, &listCall{
		part: p, target: target, ref: ref, called: k.config.Judge.Now(), node: conn.node,
		reset: reset,
	})
}

func (k *Consumer) answeredList(call *listCall, resp *kmsg.ListOffsetsResponse) {
	call.part.asking = call.part.asking && !call.reset
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		k.config.Judge.Report(checker.ListOffsetsMonotone, "unanswered",
			"consumer %d asked for one partition and was told of others", k.client)
		return
	}
	part := &resp.Topics[0].Partitions[0]
	if errcode.Code(part.ErrorCode) != errcode.None {
		k.catalog.stale(k.now.Mono)
		k.config.Judge.Return(call.ref, checker.Refused).Err = part.ErrorCode
		call.part.retryAt = k.now.Mono.Add(k.catalog.retry)
		return
	}
	outcome := checker.Done
	if !k.config.Judge.Listed(&checker.Listed{
		Partition: call.part.id, Target: call.target, Offset: part.Offset,
		Timestamp: part.Timestamp, Called: call.called, Client: k.client, Node: call.node,
	}) {
		outcome = checker.Unknown // it may be of the past
	}
	k.config.Judge.Return(call.ref, outcome).Offset = part.Offset
	if call.reset && call.part.position < 0 && !call.part.gone {
		k.position(call.part, part.Offset)
	}
}
