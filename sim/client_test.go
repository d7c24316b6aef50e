package sim

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/compress"
	"github.com/heiban/heiban/core/errcode"
)

func TestClientBatchRoundTrip(t *testing.T) {
	codec := new(compress.Codec)
	for _, c := range []batch.Compression{
		batch.Uncompressed, batch.Gzip, batch.Snappy, batch.LZ4, batch.Zstd,
	} {
		b := clientBatch{producerID: 7, epoch: 2, sequence: 5, compression: c}
		b.records = []clientRecord{
			{key: []byte("k"), value: []byte("v"), timestamp: 1000},
			{value: []byte{}, timestamp: 990},
			{key: []byte("k"), timestamp: 1010},
		}
		data := b.encode(codec)

		var theirs kmsg.RecordBatch
		require.NoError(t, theirs.ReadFrom(data))
		require.EqualValues(t, 3, theirs.NumRecords)
		require.EqualValues(t, 1010, theirs.MaxTimestamp)
		require.EqualValues(t, len(data)-12, theirs.Length)

		ours, records, size, err := readBatch(codec, append(data, 0xff))
		require.NoError(t, err)
		require.Equal(t, len(data), size)
		require.Equal(t, int64(7), ours.ProducerID)
		require.Equal(t, int32(5), ours.BaseSequence)
		require.Equal(t, checker.Hash(data[batchCRCEnd:]), ours.Hash)
		require.Len(t, records, 3)
		require.Equal(t, []byte("v"), records[0].Value)
		require.Equal(t, []byte{}, records[1].Value)
		require.Nil(t, records[2].Value)
		require.Equal(t, []int64{1000, 990, 1010},
			[]int64{records[0].Timestamp, records[1].Timestamp, records[2].Timestamp})

		_, _, size, err = readBatch(codec, data[:len(data)-1])
		require.NoError(t, err)
		require.Zero(t, size, "a batch cut short is none")
		data[30] ^= 1
		_, _, _, err = readBatch(codec, data)
		require.Error(t, err)
	}
}

func TestSequencesWrap(t *testing.T) {
	require.EqualValues(t, 7, sequenceAfter(5, 2, 7))
	require.EqualValues(t, 0, sequenceAfter(5, 3, 7))
	require.EqualValues(t, 1, sequenceAfter(7, 2, 7))
	require.EqualValues(t, 0, sequenceAfter(1<<31-1, 1, 0))
}

// stage steps one actor by hand and plays the cluster.
type stage struct {
	t     *testing.T
	actor Actor
	now   clock.Time
	out   ActorOrders
	sends []ActorSend // not yet answered
}

func newStage(t *testing.T, a Actor) *stage {
	s := &stage{t: t, actor: a}
	s.step(ActorEvent{Kind: ActorStarted})
	return s
}

func (s *stage) step(ev ActorEvent) {
	s.out = ActorOrders{}
	s.actor.Step(s.now, ev, &s.out)
	s.sends = append(s.sends, s.out.Sends...)
	for _, d := range s.out.Dials {
		s.step(ActorEvent{Kind: ActorConnected, Conn: d.Conn})
	}
}

// wait lets the actor's next deadline come.
func (s *stage) wait() {
	at := s.actor.Deadline()
	require.Greater(s.t, at, s.now.Mono, "a deadline lies in the future")
	require.Less(s.t, at, clock.Never)
	s.now.Mono = at
	s.step(ActorEvent{Kind: ActorTimer})
}

// request waits for the next request of the given kind, answering metadata, the
// handshake and the producer's id on the way.
func request[R kmsg.Request](s *stage) (R, ActorSend) {
	s.t.Helper()
	for range 1000 {
		if len(s.sends) == 0 {
			s.wait()
			continue
		}
		send := s.sends[0]
		s.sends = s.sends[1:]
		if req, ok := send.Request.(R); ok {
			return req, send
		}
		s.answerOther(send)
	}
	s.t.Fatal("the actor asks for nothing")
	panic("unreachable")
}

var stageTopic = checker.TopicID{9}

func (s *stage) answerOther(send ActorSend) {
	resp := send.Request.ResponseKind()
	switch resp := resp.(type) {
	case *kmsg.MetadataResponse:
		p := kmsg.NewMetadataResponseTopicPartition()
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic, topic.TopicID = kmsg.StringPtr("t"), stageTopic
		topic.Partitions = append(topic.Partitions, p)
		resp.Topics = append(resp.Topics, topic)
	case *kmsg.ListOffsetsResponse:
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = "t"
		topic.Partitions = append(topic.Partitions, kmsg.NewListOffsetsResponseTopicPartition())
		topic.Partitions[0].Offset = 0
		resp.Topics = append(resp.Topics, topic)
	case *kmsg.InitProducerIDResponse:
		resp.ProducerID = 42
	case *kmsg.ApiVersionsResponse:
	default:
		s.t.Fatalf("the actor asks with %T", send.Request)
	}
	s.answer(send, resp)
}

func (s *stage) answer(send ActorSend, resp kmsg.Response) {
	s.step(ActorEvent{
		Kind: ActorAnswered, Conn: send.Conn, Correlation: send.Correlation, Response: resp,
	})
}

// produced answers a Produce request for its only partition.
func (s *stage) produced(req *kmsg.ProduceRequest, send ActorSend, code errcode.Code, base int64) {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	p := kmsg.NewProduceResponseTopicPartition()
	p.Partition, p.ErrorCode, p.BaseOffset = 0, int16(code), base
	topic := kmsg.NewProduceResponseTopic()
	topic.Topic, topic.TopicID = "t", stageTopic
	topic.Partitions = append(topic.Partitions, p)
	resp.Topics = append(resp.Topics, topic)
	s.answer(send, resp)
}

func stagedProducer(t *testing.T, change func(*ProducerConfig)) (*stage, *checker.Judge) {
	j := checker.NewJudge(checker.Limits{})
	j.Meet(checker.PartitionID{Topic: stageTopic}, "t-0", checker.Policy{})
	c := ProducerConfig{
		ClientConfig: ClientConfig{Nodes: 1, Seed: 5, RequestTimeout: clock.Second}, Judge: j,
		Codec: new(compress.Codec), Topics: []string{"t"}, Batches: 10, RecordsMax: 1,
		Interval: clock.Millisecond, VersionMin: 13, VersionMax: 13, Acks: -1, Idempotent: true,
	}
	if change != nil {
		change(&c)
	}
	p := NewProducer(c)
	p.inFlight = 5
	return newStage(t, p), j
}

func sequenceOf(t *testing.T, req *kmsg.ProduceRequest) checker.Batch {
	b, _, _, err := checker.ParseBatch(req.Topics[0].Partitions[0].Records)
	require.NoError(t, err)
	return b
}

// TestProducerProvesItselfFirst: one batch is in flight until the partition knows the
// producer, then several are, and after a lost connection all are sent again, in
// order, byte for byte.
func TestProducerProvesItselfFirst(t *testing.T) {
	s, _ := stagedProducer(t, nil)
	first, send := request[*kmsg.ProduceRequest](s)
	require.EqualValues(t, 0, sequenceOf(t, first).BaseSequence)
	for range 20 {
		s.now.Mono = s.now.Mono.Add(clock.Millisecond)
		s.step(ActorEvent{Kind: ActorTimer})
		for _, other := range s.sends {
			_, is := other.Request.(*kmsg.ProduceRequest)
			require.False(t, is, "nothing follows an unproven batch")
		}
	}
	s.produced(first, send, errcode.None, 0)
	second, _ := request[*kmsg.ProduceRequest](s)
	third, send := request[*kmsg.ProduceRequest](s)
	require.EqualValues(t, 1, sequenceOf(t, second).BaseSequence)
	require.EqualValues(t, 2, sequenceOf(t, third).BaseSequence)

	s.sends = nil
	s.step(ActorEvent{Kind: ActorClosed, Conn: send.Conn})
	again, _ := request[*kmsg.ProduceRequest](s)
	require.Equal(t, second.Topics[0].Partitions[0].Records, again.Topics[0].Partitions[0].Records)
	again, _ = request[*kmsg.ProduceRequest](s)
	require.Equal(t, third.Topics[0].Partitions[0].Records, again.Topics[0].Partitions[0].Records)
}

// TestProducerTimesOut: a silent broker makes it give up the connection.
func TestProducerTimesOut(t *testing.T) {
	s, _ := stagedProducer(t, nil)
	_, send := request[*kmsg.ProduceRequest](s)
	s.now.Mono = s.now.Mono.Add(2 * clock.Second)
	s.step(ActorEvent{Kind: ActorTimer})
	require.Contains(t, s.out.Closes, send.Conn)
	again, other := request[*kmsg.ProduceRequest](s)
	require.EqualValues(t, 0, sequenceOf(t, again).BaseSequence)
	require.NotEqual(t, send.Conn, other.Conn)
}

// TestProducerStartsOver: what the broker refuses for good leaves a gap, so the
// producer takes a new epoch or a new id and numbers from 0.
func TestProducerStartsOver(t *testing.T) {
	for _, bumps := range []bool{true, false} {
		s, j := stagedProducer(t, nil)
		s.actor.(*Producer).bumps = bumps
		req, send := request[*kmsg.ProduceRequest](s)
		s.produced(req, send, errcode.OutOfOrderSequenceNumber, -1)
		require.Equal(t, checker.Refused, j.Ops()[0].Outcome)
		next, _ := request[*kmsg.ProduceRequest](s)
		b := sequenceOf(t, next)
		require.EqualValues(t, 0, b.BaseSequence)
		if bumps {
			require.EqualValues(t, 1, b.ProducerEpoch)
		} else {
			require.EqualValues(t, 0, b.ProducerEpoch)
		}
	}
}

// TestPlainProducerGivesUp: without idempotence there is an end to retries, and the
// outcome stays unknown; with acks=0 it is unknown at once.
func TestPlainProducerGivesUp(t *testing.T) {
	s, j := stagedProducer(t, func(c *ProducerConfig) { c.Idempotent, c.Batches = false, 1 })
	p := s.actor.(*Producer)
	p.attemptsMax = 2
	req, send := request[*kmsg.ProduceRequest](s)
	require.EqualValues(t, -1, sequenceOf(t, req).ProducerID)
	s.produced(req, send, errcode.NotLeaderOrFollower, -1)
	req, send = request[*kmsg.ProduceRequest](s)
	require.NotEmpty(t, p.Pending())
	s.produced(req, send, errcode.NotLeaderOrFollower, -1)
	require.Empty(t, p.Pending())
	require.Equal(t, checker.Unknown, j.Ops()[0].Outcome)

	s, j = stagedProducer(t,
		func(c *ProducerConfig) { c.Idempotent, c.Acks, c.Batches = false, 0, 1 })
	request[*kmsg.ProduceRequest](s)
	require.Empty(t, s.actor.(*Producer).Pending())
	require.Equal(t, checker.Unknown, j.Ops()[0].Outcome)
	require.NotZero(t, j.Ops()[0].Return)
}

// TestConsumerHurries: when the faults are over, no answer is limited to one batch, or
// a consumer far away would need a round trip for each.
func TestConsumerHurries(t *testing.T) {
	for _, least := range []int32{1, 40_000} {
		k := NewConsumer(ConsumerConfig{
			ClientConfig: ClientConfig{Nodes: 1, Seed: 5, RequestTimeout: clock.Second},
			Judge:        checker.NewJudge(checker.Limits{}), Codec: new(compress.Codec),
			Topics: []string{"t"}, VersionMin: 12, VersionMax: 12, Interval: clock.Second,
		})
		k.latest, k.minBytes, k.maxBytes, k.partMaxBytes = false, 3000, least, least
		s := newStage(t, k)
		s.step(ActorEvent{Kind: ActorHealed})
		req, _ := request[*kmsg.FetchRequest](s)
		require.LessOrEqual(t, req.MinBytes, int32(1))
		most := max(64*least, 32<<10)
		require.Equal(t, most, req.MaxBytes)
		require.Equal(t, most, req.Topics[0].Partitions[0].PartitionMaxBytes)
	}
}
