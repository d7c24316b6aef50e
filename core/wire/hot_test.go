package wire

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/log"
)

// produceFrame is a Produce request for some partitions of some topics.
func produceFrame(version int16, topics, partitions, recordsBytes int) []byte {
	r := kmsg.NewPtrProduceRequest()
	r.Version = version
	for i := range topics {
		t := kmsg.NewProduceRequestTopic()
		t.Topic = fmt.Sprintf("topic-%d", i)
		for j := range partitions {
			p := kmsg.NewProduceRequestTopicPartition()
			p.Partition = int32(j)
			p.Records = make([]byte, recordsBytes)
			t.Partitions = append(t.Partitions, p)
		}
		r.Topics = append(r.Topics, t)
	}
	return encode(r, "client", 1)
}

func fetchFrame(version int16, topics, partitions int) []byte {
	r := kmsg.NewPtrFetchRequest()
	r.Version = version
	r.ReplicaState.ID = 3
	for i := range topics {
		t := kmsg.NewFetchRequestTopic()
		t.Topic = fmt.Sprintf("topic-%d", i)
		f := kmsg.NewFetchRequestForgottenTopic()
		f.Topic = t.Topic
		for j := range partitions {
			p := kmsg.NewFetchRequestTopicPartition()
			p.Partition = int32(j)
			p.HighWatermark = 9
			t.Partitions = append(t.Partitions, p)
			f.Partitions = append(f.Partitions, p.Partition)
		}
		r.Topics = append(r.Topics, t)
		r.ForgottenTopics = append(r.ForgottenTopics, f)
	}
	return encode(r, "client", 1)
}

func produceResponse(topics, partitions int) *ProduceResponse {
	r := new(ProduceResponse)
	for i := range topics {
		for j := range partitions {
			r.Partitions = append(r.Partitions, ProducedPartition{
				Topic:         fmt.Sprintf("topic-%d", i),
				TopicRun:      int32(i),
				Partition:     int32(j),
				LogAppendTime: -1,
				LeaderEpoch:   int32(j%2) - 1,
			})
		}
	}
	r.NodeEndpoints = []NodeEndpoint{{ID: 1, Host: "host", Port: 9092}}
	return r
}

func fetchResponse(topics, partitions, recordsBytes int) *FetchResponse {
	r := new(FetchResponse)
	records := make([]byte, recordsBytes)
	for i := range topics {
		for j := range partitions {
			r.Partitions = append(r.Partitions, FetchedPartition{
				Topic:          fmt.Sprintf("topic-%d", i),
				TopicRun:       int32(i),
				Partition:      int32(j),
				Aborted:        []AbortedTransaction{{ProducerID: 1}},
				Range:          log.Range{Len: recordsBytes},
				Records:        records,
				DivergingEpoch: int32(j%2) - 1,
				LeaderEpoch:    -1,
			})
		}
	}
	return r
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	noAllocs := func(what string, version int16, f func() error) {
		t.Helper()
		require.Zero(t, testing.AllocsPerRun(20, func() {
			if err := f(); err != nil {
				panic(err)
			}
		}), "%s, version %d", what, version)
	}
	var dst []byte
	var cuts []int
	produce, fetch := apiOf(apiKeyProduce), apiOf(apiKeyFetch)
	for v := produce.min; v <= produce.max; v++ {
		var h Header
		var r ProduceRequest
		frame, response := produceFrame(v, 3, 5, 100), produceResponse(3, 5)
		noAllocs("produce request", v, func() error {
			body, err := ParseHeader(frame, &h)
			if err != nil {
				return err
			}
			return r.Parse(h.Version, body)
		})
		require.Len(t, r.Partitions, 15)
		noAllocs("produce response", v, func() error {
			dst = AppendResponse(dst[:0], &h, response)
			return nil
		})
	}
	for v := fetch.min; v <= fetch.max; v++ {
		var h Header
		var r FetchRequest
		frame, response := fetchFrame(v, 3, 5), fetchResponse(3, 5, 1000)
		noAllocs("fetch request", v, func() error {
			body, err := ParseHeader(frame, &h)
			if err != nil {
				return err
			}
			return r.Parse(h.Version, body)
		})
		require.Len(t, r.Partitions, 15)
		noAllocs("fetch response", v, func() error {
			dst = AppendResponse(dst[:0], &h, response)
			return nil
		})
		noAllocs("fetch response without records", v, func() error {
			dst, cuts = response.AppendFrame(dst[:0], &h, cuts[:0])
			return nil
		})
	}
}

// shapesOfLoad are numbers of topics and partitions.
var shapesOfLoad = [][2]int{{1, 1}, {1, 16}, {10, 10}, {10, 100}}

func BenchmarkParseProduce(b *testing.B) {
	for _, s := range shapesOfLoad {
		b.Run(fmt.Sprintf("%dx%d", s[0], s[1]), func(b *testing.B) {
			frame := produceFrame(9, s[0], s[1], 1000)
			var h Header
			var r ProduceRequest
			b.ReportAllocs()
			for b.Loop() {
				body, _ := ParseHeader(frame, &h)
				if r.Parse(h.Version, body) != nil {
					b.Fatal("malformed")
				}
			}
		})
	}
}

func BenchmarkParseFetch(b *testing.B) {
	for _, s := range shapesOfLoad {
		b.Run(fmt.Sprintf("%dx%d", s[0], s[1]), func(b *testing.B) {
			frame := fetchFrame(13, s[0], s[1])
			var h Header
			var r FetchRequest
			b.ReportAllocs()
			for b.Loop() {
				body, _ := ParseHeader(frame, &h)
				if r.Parse(h.Version, body) != nil {
					b.Fatal("malformed")
				}
			}
		})
	}
}

func BenchmarkAppendProduce(b *testing.B) {
	for _, s := range shapesOfLoad {
		b.Run(fmt.Sprintf("%dx%d", s[0], s[1]), func(b *testing.B) {
			r := produceResponse(s[0], s[1])
			h := &Header{Key: apiKeyProduce, Version: 11}
			var dst []byte
			b.ReportAllocs()
			for b.Loop() {
				dst = AppendResponse(dst[:0], h, r)
			}
		})
	}
}

func BenchmarkAppendFetch(b *testing.B) {
	for _, s := range shapesOfLoad {
		r := fetchResponse(s[0], s[1], 1000)
		h := &Header{Key: apiKeyFetch, Version: 13}
		var dst []byte
		var cuts []int
		b.Run(fmt.Sprintf("%dx%d/copy", s[0], s[1]), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				dst = AppendResponse(dst[:0], h, r)
			}
		})
		b.Run(fmt.Sprintf("%dx%d/splice", s[0], s[1]), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				dst, cuts = r.AppendFrame(dst[:0], h, cuts[:0])
			}
		})
	}
}

func BenchmarkParseMetadata(b *testing.B) {
	r := kmsg.NewPtrMetadataRequest()
	r.Version = 12
	for i := range 10 {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(fmt.Sprintf("topic-%d", i))
		r.Topics = append(r.Topics, t)
	}
	frame := encode(r, "client", 1)
	var h Header
	b.ReportAllocs()
	for b.Loop() {
		body, _ := ParseHeader(frame, &h)
		if _, err := Parse(&h, body); err != nil {
			b.Fatal(err)
		}
	}
}
