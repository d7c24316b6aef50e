package core_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/wire"
	_ "github.com/heiban/heiban/internal/repeatable"
)

const modelPartitions = 2

// world is what clients know: what they sent, and what they were told. It is checked
// against what they are told next.
type world struct {
	*driver
	t      *rapid.T
	logs   [modelPartitions]modelLog
	conns  map[core.ConnID][]*asked // open connections, and what is not answered on each
	last   *asked
	serial int32
	life   int // counts boots
	ready  bool
	broken bool // the disk has failed in this life
}

// modelLog is one partition's log.
type modelLog struct {
	batches   []modelBatch // as appended in this life, or recovered
	committed int64        // the end of what is promised for ever
	high      int64        // the high watermark, as last heard in this life
	written   int64        // the end of what acks=1 promises beyond a crash of the process
	position  int64        // of the consumer
}

type modelBatch struct {
	id        uint64
	base, end int64
	producer  int64
	sequence  int32
	life      int
}

func (l *modelLog) end() int64 {
	if n := len(l.batches); n > 0 {
		return l.batches[n-1].end
	}
	return 0
}

// asked is a request under way.
type asked struct {
	correlation int32
	acks        int16
	sent        []sentBatch // a Produce
	partition   int32       // a Fetch
	offset      int64
	isFetch     bool
}

type sentBatch struct {
	id        uint64
	partition int32
	producer  int64
	sequence  int32
	records   int32
	appended  bool
	expected  errcode.Code // of sequences
}

func newWorld(t *rapid.T) *world {
	w := &world{driver: newDriver(), t: t, conns: map[core.ConnID][]*asked{}}
	w.options.Properties["log.segment.bytes"] = "600"
	w.options.Properties["log.index.interval.bytes"] = "100"
	w.onResponse, w.onReport = w.answered, w.reported
	w.onClose = func(id core.ConnID) { delete(w.conns, id) }
	require.NoError(t, w.boot())
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Version = 7
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "t", modelPartitions, 1
	create.Topics = append(create.Topics, topic)
	w.send(9, &asked{}, create, 19, 7)
	return w
}

// send brings a request on a connection, which is opened if need be.
func (w *world) send(id core.ConnID, a *asked, req wire.Request, key, version int16) {
	if _, open := w.conns[id]; !open {
		w.conns[id] = nil
		w.step(&core.ConnOpened{Conn: id, Listener: "PLAINTEXT"})
	}
	w.serial++
	w.last, a.correlation = a, w.serial
	w.conns[id] = append(w.conns[id], a)
	w.request(id, wire.Header{Key: key, Version: version, CorrelationID: w.serial}, req)
}

// produce sends one or two batches: of no producer, or of one whose next sequence it
// is, or that tries an old batch again, or leaves one out.
func (w *world) produce(t *rapid.T) {
	a := &asked{acks: rapid.SampledFrom([]int16{-1, -1, 1, 0}).Draw(t, "acks")}
	req := &wire.ProduceRequest{
		Version: 9, Acks: a.acks,
		TimeoutMillis: rapid.SampledFrom([]int32{50, 30_000}).Draw(t, "timeout"),
	}
	first := rapid.IntRange(0, modelPartitions-1).Draw(t, "first partition")
	for p := first; p <= rapid.IntRange(first, modelPartitions-1).Draw(t, "last partition"); p++ {
		b := w.nextBatch(t, int32(p))
		a.sent = append(a.sent, b)
		req.Partitions = append(req.Partitions, wire.ProducePartition{
			Topic: "t", Partition: b.partition, Records: w.encode(&b),
		})
	}
	w.send(core.ConnID(rapid.IntRange(1, 3).Draw(t, "conn")), a, req, 0, 9)
}

func (w *world) nextBatch(t *rapid.T, partition int32) sentBatch {
	b := sentBatch{
		id: rapid.Uint64().Draw(t, "id"), partition: partition,
		producer: rapid.SampledFrom([]int64{-1, 7, 8}).Draw(t, "producer"), sequence: -1,
		records: int32(rapid.IntRange(1, 3).Draw(t, "records")),
	}
	if b.producer < 0 {
		return b
	}
	var own []modelBatch
	for _, old := range w.logs[partition].batches {
		if old.producer == b.producer {
			own = append(own, old)
		}
	}
	if len(own) == 0 {
		b.sequence = 0
		return b
	}
	switch rapid.SampledFrom([]string{"next", "next", "again", "gap"}).Draw(t, "sequence") {
	case "again":
		which := rapid.IntRange(max(0, len(own)-7), len(own)-1).Draw(t, "which")
		old := own[which]
		b.id, b.sequence, b.records = old.id, old.sequence, int32(old.end-old.base)
		const kept = 5 // and after a restart, the last one
		switch last := len(own) - 1; {
		case which < len(own)-kept:
			b.expected = errcode.OutOfOrderSequenceNumber
		case which < last && old.life != w.life:
			b.expected = unsure
		}
	case "gap":
		b.sequence, b.expected = nextSequence(own)+1, errcode.OutOfOrderSequenceNumber
	default:
		b.sequence = nextSequence(own)
	}
	return b
}

// unsure stands for either an answer or OUT_OF_ORDER_SEQUENCE_NUMBER.
const unsure errcode.Code = -2

func nextSequence(own []modelBatch) int32 {
	last := own[len(own)-1]
	return last.sequence + int32(last.end-last.base)
}

func (w *world) encode(b *sentBatch) []byte {
	var build batch.Builder
	build.Reset(&batch.Options{
		HasProducer: b.producer >= 0, ProducerID: b.producer, BaseSequence: b.sequence,
	})
	for range b.records {
		build.Append(int64(w.now.Wall), nil, binary.BigEndian.AppendUint64(nil, b.id), nil)
	}
	data, err := build.Finish(nil, nil)
	require.NoError(w.t, err)
	return data
}

func (w *world) fetch(t *rapid.T) {
	partition := rapid.IntRange(0, modelPartitions-1).Draw(t, "partition")
	a := &asked{isFetch: true, partition: int32(partition)}
	a.offset = w.logs[a.partition].position
	w.send(core.ConnID(rapid.IntRange(4, 5).Draw(t, "conn")), a, &wire.FetchRequest{
		Version: 12, ReplicaID: -1, SessionEpoch: -1,
		MaxWaitMillis:  int32(rapid.SampledFrom([]int{0, 100}).Draw(t, "wait")),
		MinBytes:       int32(rapid.SampledFrom([]int{1, 200}).Draw(t, "min bytes")),
		MaxBytes:       int32(rapid.SampledFrom([]int{1, 150, 1 << 20}).Draw(t, "max bytes")),
		IsolationLevel: int8(rapid.IntRange(0, 1).Draw(t, "isolation")),
		Partitions: []wire.FetchPartition{{
			Topic: "t", Partition: a.partition, FetchOffset: a.offset, MaxBytes: 1 << 20,
			CurrentLeaderEpoch: -1, LastFetchedEpoch: -1,
		}},
	}, 1, 12)
}

// reported takes in what happened inside.
func (w *world) reported(r *core.Report) {
	if r.Kind == core.NodeReady {
		w.ready = true
	}
	if r.Topic != "t" {
		return
	}
	l := &w.logs[r.Partition]
	switch r.Kind {
	case core.BatchAppended:
		w.appended(l, r)
	case core.HighWatermarkAdvanced:
		require.Greater(w.t, r.Offset, l.high, "the high watermark rises")
		require.LessOrEqual(w.t, r.Offset, r.EndOffset, "highWatermark <= logEndOffset")
		w.commit(l, r.Offset)
	case core.PartitionOnline:
		w.recovered(l, r)
	}
}

// appended takes in a batch of the request that was sent last: connections that carry
// nothing but Produces start them as they arrive.
func (w *world) appended(l *modelLog, r *core.Report) {
	require.Equal(w.t, l.end(), r.Offset, "offsets have no gaps")
	for i := range w.last.sent {
		b := &w.last.sent[i]
		if b.partition != r.Partition || b.appended {
			continue
		}
		require.Equal(w.t, b.producer, r.Producer)
		require.Equal(w.t, b.sequence, r.Sequence)
		require.Equal(w.t, int64(b.records), r.EndOffset-r.Offset)
		b.appended = true
		w.checkSequence(l, b)
		l.batches = append(l.batches, modelBatch{
			id: b.id, base: r.Offset, end: r.EndOffset, producer: b.producer, sequence: b.sequence,
			life: w.life,
		})
		return
	}
	w.t.Fatalf("nobody sent the batch at offset %d of partition %d", r.Offset, r.Partition)
}

// checkSequence makes sure that the sequences of a producer have neither gaps nor
// repetitions.
func (w *world) checkSequence(l *modelLog, b *sentBatch) {
	if b.producer < 0 {
		return
	}
	var own []modelBatch
	for _, old := range l.batches {
		if old.producer == b.producer {
			own = append(own, old)
		}
	}
	if len(own) > 0 {
		require.Equal(w.t, nextSequence(own), b.sequence, "sequences go on without gaps")
	}
}

// commit notes that everything below an offset is promised for ever.
func (w *world) commit(l *modelLog, high int64) {
	require.LessOrEqual(w.t, high, l.end(), "what is committed was appended")
	l.high = max(l.high, high)
	l.committed = max(l.committed, high)
}

// recovered compares what a new life found with what was promised in those before.
func (w *world) recovered(l *modelLog, r *core.Report) {
	require.GreaterOrEqual(w.t, r.EndOffset, l.committed, "what is committed is never lost")
	require.GreaterOrEqual(w.t, r.EndOffset, l.written, "what is written survives the process")
	i := slices.IndexFunc(l.batches, func(b modelBatch) bool { return b.base >= r.EndOffset })
	if i >= 0 {
		l.batches = l.batches[:i]
	}
	require.Equal(w.t, l.end(), r.EndOffset, "what is recovered is a prefix of what was appended")
	l.high = r.Offset
}

// answered checks a response against the request it belongs to.
func (w *world) answered(r *core.Response, body wire.Response) {
	waiting := w.conns[r.Conn]
	require.NotEmpty(w.t, waiting, "an answer has its request")
	a := waiting[0]
	require.Equal(w.t, a.correlation, r.Header.CorrelationID, "requests are answered in order")
	w.conns[r.Conn] = waiting[1:]
	switch body := body.(type) {
	case *wire.ProduceResponse:
		require.NotZero(w.t, a.acks, "a Produce with acks=0 has no response")
		for i := range body.Partitions {
			w.produced(a, &a.sent[i], &body.Partitions[i])
		}
	case *wire.FetchResponse:
		require.Equal(w.t, errcode.None, body.Err)
		w.fetched(a, &body.Partitions[0])
	}
}

func (w *world) produced(a *asked, b *sentBatch, p *wire.ProducedPartition) {
	l := &w.logs[b.partition]
	if p.Err == errcode.KafkaStorageError {
		require.True(w.t, w.broken)
		return
	}
	if b.expected != unsure && p.Err != errcode.RequestTimedOut {
		require.Equal(w.t, b.expected, p.Err, p.ErrorMessage)
	}
	switch p.Err {
	case errcode.None:
		i := slices.IndexFunc(l.batches, func(m modelBatch) bool { return m.base == p.BaseOffset })
		require.GreaterOrEqual(w.t, i, 0, "the batch is where the answer says")
		m := l.batches[i]
		require.Equal(w.t, b.id, m.id, "the batch is the one that was sent")
		if a.acks == -1 {
			w.commit(l, m.end)
		} else {
			l.written = max(l.written, m.end)
		}
	case errcode.OutOfOrderSequenceNumber:
		require.False(w.t, b.appended, "what was refused was not appended")
	case errcode.RequestTimedOut:
	default:
		w.t.Fatalf("produce: %s", p.Err)
	}
}

// fetched checks that a consumer gets exactly what was committed, from where it asked.
func (w *world) fetched(a *asked, p *wire.FetchedPartition) {
	l := &w.logs[a.partition]
	if w.broken {
		require.Equal(w.t, errcode.KafkaStorageError, p.Err)
		return
	}
	require.Equal(w.t, errcode.None, p.Err, "an offset that was readable stays so")
	require.GreaterOrEqual(w.t, p.HighWatermark, l.high, "the high watermark does not fall")
	w.commit(l, p.HighWatermark)
	next := a.offset
	for data := p.Records; len(data) > 0; {
		var h batch.Header
		if batch.Parse(data, &h) != nil || int(h.Size) > len(data) {
			break // cut off
		}
		require.True(w.t, batch.ValidCRC(data, &h), "no corrupt batch is served")
		require.LessOrEqual(w.t, h.NextOffset(), p.HighWatermark, "nobody reads beyond it")
		i := slices.IndexFunc(l.batches, func(m modelBatch) bool { return m.base == h.BaseOffset })
		require.GreaterOrEqual(w.t, i, 0, "a batch that was appended")
		require.LessOrEqual(w.t, h.BaseOffset, next, "nothing is left out")
		require.Equal(w.t, l.batches[i].end, h.NextOffset())
		require.Equal(w.t, fmt.Sprint(l.batches[i].id), valueOf(w.t, data, &h))
		next, data = h.NextOffset(), data[h.Size:]
	}
	l.position = max(l.position, next)
}

// valueOf returns the one value that all records of a batch have.
func valueOf(t require.TestingT, data []byte, h *batch.Header) string {
	reader := batch.Reader{}
	records, err := reader.Records(data[:h.Size], h)
	require.NoError(t, err)
	value := ""
	var r batch.Record
	for n := 0; records.Next(&r); n++ {
		v := fmt.Sprint(binary.BigEndian.Uint64(r.Value))
		require.True(t, n == 0 || v == value)
		value = v
	}
	require.NoError(t, records.Err())
	return value
}

// restart crashes the node and boots it again.
func (w *world) restart(t *rapid.T) {
	powerLoss := rapid.Bool().Draw(t, "power loss")
	w.crash(powerLoss, func(unsynced int) int {
		return rapid.IntRange(0, unsynced).Draw(t, "bytes that survive")
	})
	w.bootAgain(powerLoss)
}

// failSync lets a sync fail, which ends the node.
func (w *world) failSync(t *rapid.T) {
	w.disk.broken, w.broken = "/d", true
	w.nextSync(true)
	w.disk.broken = ""
	if w.fatal != nil {
		w.restart(t)
	}
	w.broken = false
}

func (w *world) bootAgain(powerLoss bool) {
	clear(w.conns)
	w.broken = false
	for i := range w.logs {
		l := &w.logs[i]
		if powerLoss {
			l.written = 0
		}
	}
	w.life++
	w.ready, w.holdJobs = false, false
	require.NoError(w.t, w.boot())
	require.True(w.t, w.ready, "the node starts")
}

// TestModel lets produces, fetches, writes, syncs, time and crashes happen in any
// order, and checks what clients are told: acknowledged records are committed and
// never lost, nobody reads what is not, sequences have no gaps, and every connection
// is answered in order.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.holdWrites, w.holdSyncs = true, true
		t.Repeat(map[string]func(*rapid.T){
			"produce":  w.produce,
			"produce2": w.produce,
			"fetch":    w.fetch,
			"written":  func(*rapid.T) { w.nextWrite(true) },
			"synced":   func(*rapid.T) { w.nextSync(true) },
			"synced2":  func(*rapid.T) { w.nextSync(true) },
			"jobs": func(t *rapid.T) {
				w.holdJobs = rapid.Bool().Draw(t, "hold jobs")
				w.settle()
			},
			"time": func(t *rapid.T) {
				w.pass(clock.Millis(int64(rapid.SampledFrom([]int{1, 60, 6000}).Draw(t, "ms"))))
			},
			"close": func(t *rapid.T) {
				id := core.ConnID(rapid.IntRange(1, 5).Draw(t, "conn"))
				if _, open := w.conns[id]; open {
					delete(w.conns, id)
					w.step(&core.ConnClosed{Conn: id})
				}
			},
			"restart": w.restart,
			"fail":    w.failSync,
			"": func(t *rapid.T) {
				require.NoError(t, w.fatal)
			},
		})
		w.finish()
	})
}

// finish stops the node cleanly, starts it again and reads everything.
func (w *world) finish() {
	w.holdWrites, w.holdSyncs, w.holdJobs = false, false, false
	w.settle()
	w.step(&core.ShutdownRequested{})
	require.True(w.t, w.stopped, "the node stops")
	require.Empty(w.t, w.writes)
	require.Empty(w.t, w.syncs)
	require.Empty(w.t, w.jobs)
	for i := range w.logs {
		w.logs[i].written = w.logs[i].end() // a clean stop loses nothing
	}
	w.crash(true, func(int) int { return 0 })
	w.bootAgain(false)
	for i := range w.logs {
		l := &w.logs[i]
		for l.position = 0; l.position < l.end(); {
			was := l.position
			w.send(4, &asked{isFetch: true, partition: int32(i), offset: was}, &wire.FetchRequest{
				Version: 12, ReplicaID: -1, SessionEpoch: -1, MaxBytes: 1 << 20,
				Partitions: []wire.FetchPartition{{
					Topic: "t", Partition: int32(i), FetchOffset: was, MaxBytes: 1 << 20,
					CurrentLeaderEpoch: -1, LastFetchedEpoch: -1,
				}},
			}, 1, 12)
			require.Greater(w.t, l.position, was, "everything can be read")
		}
	}
}
