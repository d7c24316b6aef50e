package core_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/wire"
)

// hotPair drives a broker with one partition, whose other replica is on broker 2.
type hotPair struct {
	*driver
	tb     testing.TB
	fx     core.Effects
	data   []byte
	offset int64
	wrote  core.WriteDone
	synced core.SyncDone
	link   core.LinkID
	asked  core.LinkRequest
}

// newHotPair boots broker 1 and registers broker 2, with a topic of the replicas. The
// first leads.
func newHotPair(tb testing.TB, replicas ...int32) *hotPair {
	tb.Helper()
	h := &hotPair{driver: newDriver(), tb: tb}
	h.options.Settings.Check = false
	h.options.Properties["controller.listener.names"] = "CONTROLLER"
	h.options.Properties["broker.session.timeout.ms"] = "100000000"
	h.onDial = func(d core.Dial) { h.link = d.Link }
	h.onAsk = func(r core.LinkRequest) { h.asked = r }
	require.NoError(tb, h.boot())
	h.step(&core.ConnOpened{Conn: 1, Listener: "CONTROLLER"})
	h.step(&core.ConnOpened{Conn: 2, Listener: "PLAINTEXT"})
	h.step(&core.ConnOpened{Conn: 3, Listener: "PLAINTEXT"})
	h.register(2)
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Version = 7
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "t", -1, -1
	one := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
	one.Replicas = replicas
	topic.ReplicaAssignment = append(topic.ReplicaAssignment, one)
	create.Topics = append(create.Topics, topic)
	h.request(2, wire.Header{Key: 19, Version: 7}, create)
	require.NotNil(tb, h.broker.Image().Topic("t"))

	var b batch.Builder
	b.Reset(&batch.Options{PartitionLeaderEpoch: 0, BaseSequence: -1, ProducerID: -1})
	for range 10 {
		b.Append(int64(h.now.Wall), nil, make([]byte, 100), nil)
	}
	data, err := b.Finish(nil, nil)
	require.NoError(tb, err)
	h.data = data
	return h
}

func (h *hotPair) register(id int32) {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version, req.BrokerID, req.ClusterID = 3, id, h.options.ClusterID
	req.IncarnationID, req.LogDirs = metadata.ID{9}, []metadata.ID{{8}}
	for _, f := range core.Levels() {
		one := kmsg.NewBrokerRegistrationRequestFeature()
		one.Name, one.MinSupportedVersion, one.MaxSupportedVersion = f.Name, 1, f.Level
		req.Features = append(req.Features, one)
	}
	l := kmsg.NewBrokerRegistrationRequestListener()
	l.Name, l.Host, l.Port = "PLAINTEXT", "node-2", 9092
	req.Listeners = append(req.Listeners, l)
	h.request(1, wire.Header{Key: 62, Version: 3}, req)
	beat := kmsg.NewPtrBrokerHeartbeatRequest()
	beat.Version, beat.BrokerID = 1, id
	beat.BrokerEpoch = h.broker.Image().Broker(id).Epoch
	beat.CurrentMetadataOffset = h.broker.Image().Offset()
	h.request(1, wire.Header{Key: 63, Version: 1}, beat)
	require.False(h.tb, h.broker.Image().Broker(id).Fenced)
}

func (h *hotPair) run(ev core.Event) *core.Effects {
	h.broker.Step(h.now, ev, &h.fx)
	return &h.fx
}

// replicate is what a follower does for one batch: it takes the answer to its Fetch,
// writes, syncs, and asks for what follows.
func (h *hotPair) replicate(answer *core.ResponseArrived) {
	h.now.Mono += clock.Instant(clock.Microsecond)
	resp := answer.Response.(*wire.FetchResponse)
	part := &resp.Partitions[0]
	batch.SetBaseOffset(h.data, h.offset)
	part.Records, part.HighWatermark = h.data, h.offset
	answer.CorrelationID = h.asked.Header.CorrelationID
	core.PrepareAnswer(resp)
	fx := h.run(answer)
	if len(fx.Writes) != 1 {
		h.tb.Fatal("the batch is to be written")
	}
	w := fx.Writes[0]
	h.offset = w.EndOffset
	h.wrote = core.WriteDone{Log: w.Log, EndOffset: w.EndOffset}
	fx = h.run(&h.wrote)
	if len(fx.Syncs) == 1 {
		h.synced = core.SyncDone{Log: fx.Syncs[0].Log, EndOffset: fx.Syncs[0].EndOffset}
	}
	fx = h.run(&h.synced)
	if len(fx.Sends) != 1 {
		h.tb.Fatal("what follows is to be asked for")
	}
	h.asked = fx.Sends[0]
}

// follower makes broker 1 follow broker 2, and returns the answer it gets again and again.
func follower(tb testing.TB) (*hotPair, *core.ResponseArrived) {
	tb.Helper()
	h := newHotPair(tb, 2, 1)
	h.step(&core.LinkOpened{Link: h.link})
	answer := &core.ResponseArrived{
		Link: h.link,
		Response: &wire.FetchResponse{SessionID: 7, Partitions: []wire.FetchedPartition{{
			TopicID: h.broker.Image().Topic("t").ID, DivergingEpoch: -1, DivergingEndOffset: -1,
		}}},
	}
	h.replicate(answer)
	return h, answer
}

func TestFollowerAllocatesNothing(t *testing.T) {
	h, answer := follower(t)
	for range 5000 { // let every slice and map take its size
		h.replicate(answer)
	}
	require.Zero(t, allocations(func() { h.replicate(answer) }))
}

// BenchmarkFollowerStep is the check of an answer with one batch, and the three steps of
// its arrival, the end of its write and of its sync.
func BenchmarkFollowerStep(b *testing.B) {
	h, answer := follower(b)
	b.ReportAllocs()
	for b.Loop() {
		h.replicate(answer)
	}
}

// leaderRound is a Produce with acks=all on a leader, and the two Fetches of its follower
// that bring it to the high watermark.
type leaderRound struct {
	*hotPair
	produce wire.ProduceRequest
	fetch   wire.FetchRequest
	events  [2]core.RequestArrived
}

func newLeaderRound(tb testing.TB) *leaderRound {
	tb.Helper()
	r := &leaderRound{hotPair: newHotPair(tb, 1, 2)}
	r.produce = wire.ProduceRequest{
		Version: 9, Acks: -1, TimeoutMillis: 30_000,
		Partitions: []wire.ProducePartition{{Topic: "t", Records: r.data}},
	}
	require.NoError(tb, batch.Parse(r.data, &r.produce.Partitions[0].Batch))
	r.fetch = wire.FetchRequest{
		Version: 18, ReplicaID: 2, ReplicaEpoch: r.broker.Image().Broker(2).Epoch,
		MinBytes: 1, MaxBytes: 10 << 20, MaxWaitMillis: 500,
		Partitions: []wire.FetchPartition{{
			TopicID: r.broker.Image().Topic("t").ID, MaxBytes: 1 << 20, LastFetchedEpoch: -1,
		}},
	}
	r.events[0] = core.RequestArrived{
		Conn: 2, Request: &r.produce, Header: wire.Header{Key: 0, Version: 9},
	}
	r.events[1] = core.RequestArrived{
		Conn: 3, Request: &r.fetch, Header: wire.Header{Key: 1, Version: 18},
	}
	r.fetch.MaxWaitMillis = 0
	fx := r.run(&r.events[1])
	require.Len(tb, fx.Responses, 1)
	r.fetch.MaxWaitMillis = 500
	r.fetch.SessionID = fx.Responses[0].Query.(*core.FetchQuery).Response.SessionID
	r.follow(0)
	return r
}

// follow is the follower's next Fetch, which says that it has the log. It returns how
// many responses that leads to.
func (r *leaderRound) follow(high int64) int {
	r.fetch.SessionEpoch++
	part := &r.fetch.Partitions[0]
	part.FetchOffset, part.HighWatermark = r.offset, high
	if r.offset > 0 {
		part.LastFetchedEpoch = 0
	}
	return len(r.run(&r.events[1]).Responses)
}

func (r *leaderRound) round() {
	r.now.Mono += clock.Instant(clock.Microsecond)
	before := r.offset
	w := r.run(&r.events[0]).Writes[0]
	r.offset = w.EndOffset
	r.wrote = core.WriteDone{Log: w.Log, EndOffset: w.EndOffset}
	fx := r.run(&r.wrote)
	if len(fx.Responses) != 1 {
		r.tb.Fatal("what is written is to be sent to the follower that waits")
	}
	r.synced = core.SyncDone{Log: w.Log, EndOffset: w.EndOffset}
	r.run(&r.synced)
	if r.follow(before) != 2 {
		r.tb.Fatal("the produce and the fetch that commits it are to be answered")
	}
	if r.follow(r.offset) != 0 {
		r.tb.Fatal("the next fetch is to wait")
	}
}

func TestLeaderAllocatesOnlyAnswersToFollowers(t *testing.T) {
	r := newLeaderRound(t)
	for range 5000 {
		r.round()
	}
	const ofTheAnswers = 2
	require.LessOrEqual(t, allocations(r.round), float64(ofTheAnswers))
}

// BenchmarkLeaderRound is a Produce with its write and sync, and the two Fetches of a
// follower that bring it to the high watermark: five steps.
func BenchmarkLeaderRound(b *testing.B) {
	r := newLeaderRound(b)
	b.ReportAllocs()
	for b.Loop() {
		r.round()
	}
}
