package realnet

import (
	"bufio"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/batch"
)

// BenchmarkProduce sends frames that are made before, with a number of them in
// flight, to a whole node on a disk.
func BenchmarkProduce(b *testing.B) {
	for _, acks := range []int16{1, -1} {
		for _, size := range []int{1 << 10, 100 << 10, 1 << 20} {
			for _, inFlight := range []int{1, 5} {
				name := fmt.Sprintf("acks=%d/%dKiB/inflight=%d", acks, size>>10, inFlight)
				b.Run(name, func(b *testing.B) { benchmarkProduce(b, acks, size, inFlight) })
			}
		}
	}
}

func benchmarkProduce(b *testing.B, acks int16, size, inFlight int) {
	n := quietNode(b)
	n.createTopic("t", 1)
	c := dial(b, n.Addr())
	require.NoError(b, c.SetDeadline(time.Time{}))
	frame := c.frame(produceRequest(0, acks, batchOf(size)), "")
	answers := bufio.NewReader(c)
	answer := make([]byte, 512)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	waiting := 0
	for b.Loop() {
		c.send(frame)
		if waiting++; waiting == inFlight {
			requireProduced(b, answers, answer)
			waiting--
		}
	}
	for ; waiting > 0; waiting-- {
		requireProduced(b, answers, answer)
	}
}

// BenchmarkFetch reads the same megabyte again and again.
func BenchmarkFetch(b *testing.B) {
	n := quietNode(b)
	n.createTopic("t", 1)
	c := dial(b, n.Addr())
	require.NoError(b, c.SetDeadline(time.Time{}))
	c.send(c.frame(produceRequest(0, -1, batchOf(1<<20)), ""))
	answers := bufio.NewReaderSize(c, 256<<10)
	requireProduced(b, answers, make([]byte, 512))
	r := kmsg.NewPtrFetchRequest()
	r.Version, r.MaxWaitMillis, r.MinBytes, r.MaxBytes = 12, 10_000, 1, 50<<20
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = "t"
	part := kmsg.NewFetchRequestTopicPartition()
	part.PartitionMaxBytes = 2 << 20
	topic.Partitions = append(topic.Partitions, part)
	r.Topics = append(r.Topics, topic)
	r.SessionEpoch = -1
	frame := c.frame(r, "")
	var prefix [4]byte
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		c.send(frame)
		_, err := io.ReadFull(answers, prefix[:])
		require.NoError(b, err)
		size := int(prefix[0])<<24 | int(prefix[1])<<16 | int(prefix[2])<<8 | int(prefix[3])
		require.Greater(b, size, 1<<19)
		_, err = answers.Discard(size)
		require.NoError(b, err)
	}
}

// requireProduced reads the answer to a Produce of one partition, version 9.
func requireProduced(b *testing.B, r *bufio.Reader, answer []byte) {
	_, err := io.ReadFull(r, answer[:4])
	require.NoError(b, err)
	answer = answer[:answer[3]]
	_, err = io.ReadFull(r, answer)
	require.NoError(b, err)
	const errorCodeAt = 4 + 1 + 1 + 2 + 1 + 4
	require.Zero(b, answer[errorCodeAt]|answer[errorCodeAt+1], "the produce was refused")
}

func batchOf(size int) []byte {
	var builder batch.Builder
	builder.Reset(&batch.Options{PartitionLeaderEpoch: -1})
	now := time.Now().UnixMilli()
	value := make([]byte, min(size, 1000))
	for builder.Size() < size-1100 || builder.Count() == 0 {
		builder.Append(now, nil, value, nil)
	}
	data, err := builder.Finish(nil, nil)
	if err != nil {
		panic(err)
	}
	return data
}

// quietNode starts a node that does not log, with large segments.
func quietNode(b *testing.B) *node {
	return startNode(b, b.TempDir(), "message.max.bytes", "10000000")
}
