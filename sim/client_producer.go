package sim

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
)

// ProducerConfig says what a simulated producer does. Zero values are drawn from
// the seed, where that makes sense.
type ProducerConfig struct {
	ClientConfig
	Judge       *checker.Judge
	Codec       batch.Codec
	Topics      []string
	Batches     int   // how many to produce in all
	RecordsMax  int   // of one batch
	ValueMax    int64 // bytes
	Keys        int64 // how many keys there are; 0: records have none
	Interval    clock.Duration
	SequenceMax int32
	VersionMin  int16 // of Produce
	VersionMax  int16
	Acks        int16
	Idempotent  bool
	Compress    bool
	Stubborn    bool // sends again what is too large for a segment
	Create      bool // topics by asking for their metadata
}

// Producer is a simulated producer. It numbers its values, so that each is unique,
// and notes every batch in the judge's log of operations.
type Producer struct {
	caller
	catalog catalog
	config  ProducerConfig
	queues  []*produceQueue
	sent    []*kmsg.ProduceRequest // the last ones, for who sends them again
	next    clock.Instant          // when the next batch is made
	linger  clock.Duration

	made        int // batches
	value       int64
	producerID  int64 // -1: none yet
	initVersion int16
	version     int16
	epoch       int16
	inFlight    int // requests at once
	attemptsMax int
	compression batch.Compression
	identifying bool
	bumps       bool // its epoch after an error, instead of asking for a new id
}

// produceQueue is what waits to be written to one partition, in order.
type produceQueue struct {
	topic   string
	id      checker.PartitionID
	batches []*produceBatch
	next    int32 // sequence
	proven  bool  // the partition knows the producer's id and epoch
	misses  int   // in a row: the broker knows no such partition
}

type produceBatch struct {
	clientBatch
	queue     *produceQueue
	data      []byte // nil: not yet sent
	notBefore clock.Instant
	ref       checker.OpRef
	attempts  int
	state     batchState
}

type batchState uint8

const (
	batchWaiting  batchState = iota
	batchInFlight            // sent, without answer
	batchSettled             // answered, or given up: a late answer means nothing
)

type produceCall struct{ batches []*produceBatch }

type identifyCall struct{ node int32 }

// NewProducer makes a producer.
func NewProducer(c ProducerConfig) *Producer {
	p := &Producer{caller: newCaller(&c.ClientConfig, "producer"), config: c, producerID: -1}
	r := p.rand
	p.catalog = newCatalog(r, c.Topics)
	p.catalog.create = c.Create
	p.linger = clock.Duration(r.LogUniform(1, 50)) * clock.Millisecond
	p.initVersion = int16(r.Between(3, 5))
	p.version = int16(r.Between(int64(max(c.VersionMin, 3)), int64(c.VersionMax)))
	p.inFlight = int(r.Between(1, 5))
	p.attemptsMax = int(r.Between(1, 4))
	p.bumps = r.Chance(500_000)
	if c.Compress {
		p.compression = Pick(r, batch.Gzip, batch.Snappy, batch.LZ4, batch.Zstd)
		if p.compression == batch.Zstd {
			p.version = max(p.version, 7)
		}
	}
	return p
}

// Step implements Actor.
func (p *Producer) Step(now clock.Time, ev ActorEvent, out *ActorOrders) {
	p.begin(now, out)
	answered, lost := p.take(&ev)
	switch call := answered.(type) {
	case metadataCall:
		p.catalog.learn(&p.caller, ev.Response.(*kmsg.MetadataResponse))
		p.forgetGone()
	case identifyCall:
		p.identified(call.node, ev.Response.(*kmsg.InitProducerIDResponse))
	case produceCall:
		p.produced(call, ev.Response.(*kmsg.ProduceResponse))
	}
	for _, call := range lost {
		p.lost(call.what)
	}
	p.work()
}

func (p *Producer) lost(what any) {
	p.catalog.stale(p.now.Mono)
	switch call := what.(type) {
	case metadataCall:
		p.catalog.learn(&p.caller, nil)
	case identifyCall:
		p.identifying = false
	case produceCall:
		for _, b := range call.batches {
			p.retry(b)
		}
	}
}

// Deadline implements Actor.
func (p *Producer) Deadline() clock.Instant {
	at := p.deadline()
	if !p.catalog.asking {
		at = min(at, p.catalog.due)
	}
	if p.made < p.config.Batches && len(p.catalog.topics) > 0 {
		at = min(at, p.next)
	}
	for _, q := range p.queues {
		for _, b := range q.batches {
			// With acks=0 there is no answer that would let the next one go.
			if b.state == batchWaiting && (b.notBefore > p.now.Mono || p.config.Acks == 0) {
				at = min(at, b.notBefore)
			}
		}
	}
	return p.later(at)
}

// Pending says what the producer still waits for, or nothing.
func (p *Producer) Pending() string {
	if p.made < p.config.Batches {
		return fmt.Sprintf("producer %d made %d of %d batches", p.client, p.made, p.config.Batches)
	}
	for _, q := range p.queues {
		if n := len(q.batches); n > 0 {
			return fmt.Sprintf("producer %d waits for %d batches in %s-%d (sequence %d)",
				p.client, n, q.topic, q.id.Index, q.batches[0].sequence)
		}
	}
	return ""
}

// work makes what is due and sends what may be sent.
func (p *Producer) work() {
	p.catalog.refresh(&p.caller)
	p.make()
	if p.config.Idempotent && p.producerID < 0 {
		p.identify()
		return
	}
	p.drain()
}

func (p *Producer) identify() {
	if p.identifying {
		return
	}
	conn := p.ready(p.bootstrap(), laneControl)
	if conn == nil {
		return
	}
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version = p.initVersion
	req.TransactionTimeoutMillis = 1<<31 - 1
	p.call(conn, req, identifyCall{node: conn.node})
	p.identifying = true
}

func (p *Producer) identified(node int32, resp *kmsg.InitProducerIDResponse) {
	p.identifying = false
	if errcode.Code(resp.ErrorCode) == errcode.None {
		p.config.Judge.ProducerIDGranted(node, resp.ProducerID, resp.ProducerEpoch)
		p.producerID, p.epoch = resp.ProducerID, resp.ProducerEpoch
	}
}

// batchesWaitingMax bounds what a producer makes ahead of the answers.
const batchesWaitingMax = 40

// make writes the batches that are due.
func (p *Producer) make() {
	for p.made < p.config.Batches && p.now.Mono >= p.next && len(p.catalog.topics) > 0 {
		p.next = p.now.Mono.Add(clock.Duration(p.rand.Exponential(int64(p.config.Interval))) + 1)
		waiting := 0
		for _, q := range p.queues {
			waiting += len(q.batches)
		}
		if waiting >= batchesWaitingMax {
			return
		}
		p.made++
		q := p.choose()
		q.batches = append(q.batches, p.fill(q))
	}
}

// choose picks a partition, the first ones more often.
func (p *Producer) choose() *produceQueue {
	t := &p.catalog.topics[p.rand.Below(int64(len(p.catalog.topics)))]
	index := int32(p.rand.Below(int64(len(t.partitions))))
	index = min(index, int32(p.rand.Below(int64(len(t.partitions)))))
	id := checker.PartitionID{Topic: t.id, Index: index}
	for _, q := range p.queues {
		if q.id == id {
			return q
		}
	}
	q := &produceQueue{topic: t.name, id: id}
	p.queues = append(p.queues, q)
	return q
}

func (p *Producer) fill(q *produceQueue) *produceBatch {
	b := &produceBatch{queue: q}
	b.compression = p.compression
	for range p.rand.Between(1, int64(max(p.config.RecordsMax, 1))) {
		p.value++
		r := clientRecord{timestamp: int64(p.now.Wall)}
		r.value = fmt.Appendf(nil, "%d/%d:", p.client, p.value)
		if p.config.ValueMax > 0 {
			r.value = append(r.value, make([]byte, p.rand.LogUniform(1, p.config.ValueMax))...)
		}
		if p.config.Keys > 0 {
			r.key = fmt.Appendf(nil, "k%d", p.rand.Below(p.config.Keys))
			if p.rand.Chance(100_000) {
				r.value = nil
			}
		}
		if p.rand.Chance(100_000) { // out of order
			r.timestamp -= p.rand.Between(0, 1000)
		}
		b.records = append(b.records, r)
	}
	return b
}

// forgetGone gives up on partitions that are no more.
func (p *Producer) forgetGone() {
	kept := p.queues[:0]
	for _, q := range p.queues {
		t := p.catalog.topic(q.topic)
		if t != nil && t.id != q.id.Topic || t == nil && q.misses >= 10 {
			for _, b := range q.batches {
				p.giveUp(b)
			}
			continue
		}
		if t == nil && len(q.batches) > 0 {
			q.misses++
		}
		kept = append(kept, q)
	}
	p.queues = kept
}

// giveUp ends a batch whose fate is not known, or that was never sent.
func (p *Producer) giveUp(b *produceBatch) {
	b.state = batchSettled
	if b.attempts > 0 {
		p.config.Judge.Return(b.ref, checker.Unknown)
	}
}
