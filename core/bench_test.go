package core_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/wire"
)

// hot drives one broker through produces and fetches of one partition, without a
// disk: writes and syncs are done as soon as they are ordered.
type hot struct {
	*driver
	fx      core.Effects
	produce wire.ProduceRequest
	data    []byte
	events  struct {
		produce core.RequestArrived
		fetch   core.RequestArrived
		wrote   core.WriteDone
		synced  core.SyncDone
	}
	offset int64
}

// newHot boots a broker with the topic t and a connection for each of two clients.
func newHot(tb testing.TB) *hot {
	tb.Helper()
	h := &hot{driver: newDriver()}
	h.options.Settings.Check = false
	require.NoError(tb, h.boot())
	h.step(&core.ConnOpened{Conn: 1, Listener: "PLAINTEXT"})
	h.step(&core.ConnOpened{Conn: 2, Listener: "PLAINTEXT"})
	create := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "t", 1, 1
	create.Topics = append(create.Topics, topic)
	create.Version = 7
	h.request(1, wire.Header{Key: 19, Version: 7}, create)
	require.NotNil(tb, h.broker.Image().Topic("t"))

	h.produce = wire.ProduceRequest{
		Version: 9, Acks: -1, TimeoutMillis: 30_000,
		Partitions: []wire.ProducePartition{{Topic: "t"}},
	}
	var b batch.Builder
	b.Reset(&batch.Options{HasProducer: true, ProducerID: 7, PartitionLeaderEpoch: -1})
	for range 10 {
		b.Append(int64(h.now.Wall), nil, make([]byte, 100), nil)
	}
	data, err := b.Finish(nil, nil)
	require.NoError(tb, err)
	h.data = data
	part := &h.produce.Partitions[0]
	part.Records = data
	require.NoError(tb, batch.Parse(data, &part.Batch))
	h.events.produce = core.RequestArrived{
		Conn: 1, Request: &h.produce, Header: wire.Header{Key: 0, Version: 9},
	}
	return h
}

// run steps one event with the effects that are reused, as a driver does.
func (h *hot) run(ev core.Event) *core.Effects {
	h.broker.Step(h.now, ev, &h.fx)
	return &h.fx
}

// produceOne appends the next batch and brings it to the high watermark. It returns
// how many responses there were.
func (h *hot) produceOne() int {
	h.now.Mono += clock.Instant(clock.Microsecond)
	h.produce.Partitions[0].Batch.BaseSequence = int32(h.offset)
	answered := 0
	fx := h.run(&h.events.produce)
	answered += len(fx.Responses)
	w := fx.Writes[0]
	h.offset = w.EndOffset
	h.events.wrote = core.WriteDone{Log: w.Log, EndOffset: w.EndOffset}
	fx = h.run(&h.events.wrote)
	answered += len(fx.Responses)
	var s log.Sync
	if len(fx.Syncs) == 1 {
		s = fx.Syncs[0]
	}
	h.events.synced = core.SyncDone{Log: s.Log, EndOffset: s.EndOffset}
	fx = h.run(&h.events.synced)
	return answered + len(fx.Responses)
}

// fetchOne parks a Fetch of an incremental session, or answers it.
func (h *hot) fetchOne(session *fetching) int {
	h.now.Mono += clock.Instant(clock.Microsecond)
	return len(h.run(session.next(h)).Responses)
}

// fetching is a client's fetch session.
type fetching struct {
	request wire.FetchRequest
	part    [1]wire.FetchPartition
}

// open makes a session that reads from the log's end.
func (h *hot) open(tb testing.TB, wait, minBytes int32) *fetching {
	tb.Helper()
	f := &fetching{request: wire.FetchRequest{
		Version: 12, ReplicaID: -1, MinBytes: minBytes, MaxBytes: 50 << 20,
	}}
	f.part[0] = wire.FetchPartition{
		Topic: "t", FetchOffset: h.offset, MaxBytes: 1 << 20, CurrentLeaderEpoch: -1,
		LastFetchedEpoch: -1,
	}
	f.request.Partitions = f.part[:]
	h.events.fetch = core.RequestArrived{
		Conn: 2, Request: &f.request, Header: wire.Header{Key: 1, Version: 12},
	}
	fx := h.run(&h.events.fetch)
	require.Len(tb, fx.Responses, 1)
	f.request.SessionID = fx.Responses[0].Query.(*core.FetchQuery).Response.SessionID
	f.request.MaxWaitMillis = wait
	return f
}

// next is the session's next request, from the log's end.
func (f *fetching) next(h *hot) core.Event {
	f.request.SessionEpoch++
	f.part[0].FetchOffset = h.offset
	return &h.events.fetch
}

// allocations is how many a run of f makes, without those of the slow growth of
// what a log keeps of its batches.
func allocations(f func()) float64 { return testing.AllocsPerRun(2000, f) }

func TestProduceAllocatesNothing(t *testing.T) {
	h := newHot(t)
	answered := h.produceOne()
	require.Equal(t, 1, answered)
	for range 5000 { // let every slice and map take its size
		h.produceOne()
	}
	require.Zero(t, allocations(func() { answered = h.produceOne() }))
	require.Equal(t, 1, answered)
}

func TestLongPollAllocatesOnlyItsAnswer(t *testing.T) {
	h := newHot(t)
	f := h.open(t, 500, 1)
	poll := func() {
		if h.fetchOne(f) != 0 {
			t.Fatal("there is nothing to read, and the fetch is answered")
		}
		if h.produceOne() != 2 {
			t.Fatal("the produce and the fetch that waits for it are to be answered")
		}
	}
	for range 5000 {
		poll()
	}
	const ofTheAnswer = 1 // it outlives the step
	require.LessOrEqual(t, allocations(poll), float64(ofTheAnswer))

	expire := func() {
		if h.fetchOne(f) != 0 {
			t.Fatal("there is nothing to read, and the fetch is answered")
		}
		h.now.Mono = h.broker.Deadline()
		if len(h.run(&core.TimerFired{}).Responses) != 1 {
			t.Fatal("the fetch is to be answered when its time is over")
		}
	}
	f.request.MaxWaitMillis = 1 // long before any checkpoint is due
	expire()
	require.LessOrEqual(t, testing.AllocsPerRun(100, expire), float64(ofTheAnswer))
}

// BenchmarkProduceStep is the three steps of an acks=all Produce of one batch: its
// arrival, the end of its write and of its sync.
func BenchmarkProduceStep(b *testing.B) {
	h := newHot(b)
	b.ReportAllocs()
	for b.Loop() {
		h.produceOne()
	}
	b.ReportMetric(float64(b.N)*3/b.Elapsed().Seconds(), "steps/s")
}

// BenchmarkFetchStep is a Fetch in a session that is answered at once.
func BenchmarkFetchStep(b *testing.B) {
	h := newHot(b)
	f := h.open(b, 500, 0)
	for range 10 {
		h.produceOne()
	}
	h.offset -= 5
	b.ReportAllocs()
	for b.Loop() {
		h.fetchOne(f)
	}
}

// BenchmarkLongPollStep is a Fetch that waits, and a Produce that wakes it: four steps.
func BenchmarkLongPollStep(b *testing.B) {
	h := newHot(b)
	f := h.open(b, 500, 1)
	b.ReportAllocs()
	for b.Loop() {
		h.fetchOne(f)
		h.produceOne()
	}
}
