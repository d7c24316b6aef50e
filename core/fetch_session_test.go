package core_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/wire"
)

const sessionPartitions = 4

// sessionClient consumes four partitions in one fetch session, and knows of them only
// what the session has told it.
type sessionClient struct {
	*driver
	t        *rapid.T
	got      *wire.FetchResponse
	id       int32
	epoch    int32
	wanted   [sessionPartitions]bool
	unsent   [sessionPartitions]bool // the session does not know its position
	forget   []int32
	position [sessionPartitions]int64
	told     [sessionPartitions][2]int64 // high watermark and log start offset
	high     [sessionPartitions]int64    // what is true
	start    [sessionPartitions]int64
}

func newSessionClient(t *rapid.T) *sessionClient {
	c := &sessionClient{driver: newDriver(), t: t}
	c.onResponse = func(_ *core.Response, body wire.Response) {
		if got, ok := body.(*wire.FetchResponse); ok {
			c.got = got
		}
	}
	c.onReport = func(r *core.Report) {
		switch r.Kind {
		case core.HighWatermarkAdvanced:
			c.high[r.Partition] = r.Offset
		case core.LogStartAdvanced:
			c.start[r.Partition] = r.Offset
		}
	}
	require.NoError(t, c.boot())
	c.step(&core.ConnOpened{Conn: 1, Listener: "PLAINTEXT"})
	c.step(&core.ConnOpened{Conn: 2, Listener: "PLAINTEXT"})
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Version = 7
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "t", sessionPartitions, 1
	create.Topics = append(create.Topics, topic)
	c.request(1, wire.Header{Key: 19, Version: 7}, create)
	return c
}

// poll fetches what there is, within so many bytes, and returns whether records came.
func (c *sessionClient) poll(maxBytes int32) bool {
	req := &wire.FetchRequest{
		Version: 12, ReplicaID: -1, SessionID: c.id, SessionEpoch: c.epoch, MaxBytes: maxBytes,
	}
	for i := range int32(sessionPartitions) {
		if c.wanted[i] && c.unsent[i] {
			req.Partitions = append(req.Partitions, wire.FetchPartition{
				Topic: "t", Partition: i, FetchOffset: c.position[i], MaxBytes: 1 << 20,
				CurrentLeaderEpoch: -1, LastFetchedEpoch: -1,
			})
		}
	}
	for _, i := range c.forget {
		req.Forgotten = append(req.Forgotten, wire.ForgottenPartition{Topic: "t", Partition: i})
	}
	c.request(2, wire.Header{Key: 1, Version: 12}, req)
	require.Equal(c.t, errcode.None, c.got.Err)
	c.unsent, c.forget = [sessionPartitions]bool{}, nil
	c.id = c.got.SessionID
	c.epoch++
	if c.id == 0 { // the session is empty, and over
		c.epoch = 0
	}
	records := false
	for i := range c.got.Partitions {
		records = c.take(&c.got.Partitions[i]) || records
	}
	return records
}

func (c *sessionClient) take(p *wire.FetchedPartition) bool {
	i := p.Partition
	require.True(c.t, c.wanted[i], "nobody wants it")
	if !p.Changed && len(p.Records) == 0 && p.Err == errcode.None && c.got.Incremental {
		return false // left out on the wire
	}
	if p.Err == errcode.OffsetOutOfRange {
		require.Less(c.t, c.position[i], c.start[i])
		c.position[i], c.unsent[i] = c.start[i], true
		return true
	}
	require.Equal(c.t, errcode.None, p.Err)
	c.told[i] = [2]int64{p.HighWatermark, p.LogStartOffset}
	var h batch.Header
	if batch.Parse(p.Records, &h) != nil || int(h.Size) > len(p.Records) {
		return false
	}
	require.LessOrEqual(c.t, h.BaseOffset, c.position[i])
	c.position[i], c.unsent[i] = h.NextOffset(), true
	return true
}

func (c *sessionClient) change(t *rapid.T) {
	i := int32(rapid.IntRange(0, sessionPartitions-1).Draw(t, "partition"))
	switch c.wanted[i] = !c.wanted[i]; {
	case c.wanted[i]:
		c.unsent[i] = true
		for j, forgotten := range c.forget {
			if forgotten == i {
				c.forget = append(c.forget[:j:j], c.forget[j+1:]...)
			}
		}
	case c.epoch > 0: // even if the session does not know it yet
		c.forget = append(c.forget, i)
	}
}

func (c *sessionClient) append(t *rapid.T) {
	i := rapid.IntRange(0, sessionPartitions-1).Draw(t, "partition")
	var b batch.Builder
	b.Reset(&batch.Options{})
	b.Append(int64(c.now.Wall), nil, make([]byte, rapid.IntRange(0, 300).Draw(t, "bytes")), nil)
	data, err := b.Finish(nil, nil)
	require.NoError(t, err)
	c.request(1, wire.Header{Key: 0, Version: 9}, &wire.ProduceRequest{
		Version: 9, Acks: -1, TimeoutMillis: 1000,
		Partitions: []wire.ProducePartition{{Topic: "t", Partition: int32(i), Records: data}},
	})
}

func (c *sessionClient) deleteRecords(t *rapid.T) {
	i := rapid.IntRange(0, sessionPartitions-1).Draw(t, "partition")
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.Version = 2
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Partition, p.Offset = int32(i), c.start[i]+(c.high[i]-c.start[i])/2
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic, topic.Partitions = "t", append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	c.request(1, wire.Header{Key: 21, Version: 2}, req)
}

// wrong sends what the session refuses, which must change nothing.
func (c *sessionClient) wrong(*rapid.T) {
	if c.epoch == 0 {
		return
	}
	c.request(2, wire.Header{Key: 1, Version: 12}, &wire.FetchRequest{
		Version: 12, ReplicaID: -1, SessionID: c.id, SessionEpoch: c.epoch + 1, MaxBytes: 1000,
		Forgotten: []wire.ForgottenPartition{{Topic: "t", Partition: 0}, {Topic: "t", Partition: 1}},
	})
	require.Equal(c.t, errcode.InvalidFetchSessionEpoch, c.got.Err)
}

// TestSessionModel polls one fetch session while its partitions change. However small
// the responses are, in the end the client has read everything, and knows each high
// watermark and log start offset although it was only told what changed.
func TestSessionModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newSessionClient(t)
		t.Repeat(map[string]func(*rapid.T){
			"change": c.change,
			"append": c.append,
			"delete": c.deleteRecords,
			"wrong":  c.wrong,
			"poll": func(t *rapid.T) {
				c.poll(rapid.SampledFrom([]int32{1, 150, 400, 1 << 20}).Draw(t, "max bytes"))
			},
			"": func(*rapid.T) {},
		})
		c.wanted, c.forget = [sessionPartitions]bool{true, true, true, true}, nil
		c.unsent = c.wanted
		left := 2 * sessionPartitions
		for i := range c.high {
			left += int(c.high[i] - min(c.high[i], c.position[i]))
		}
		for polls := 0; c.poll(1); polls++ {
			require.Less(t, polls, left, "each poll gets on")
		}
		for i := range c.high {
			require.Equal(t, c.high[i], c.position[i], "partition %d is read to its end", i)
			require.Equal(t, [2]int64{c.high[i], c.start[i]}, c.told[i], "partition %d", i)
		}
	})
}
