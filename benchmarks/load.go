// Package benchmarks loads a real broker, of any vendor, and measures what it does:
// throughput, latency, and the processor time and memory of the broker's process.
// Start at Produce, Consume and EndToEnd; the program in benchmarks/run prints the
// table.
package benchmarks

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Load says what to send to a cluster.
type Load struct {
	Bootstrap   string
	Topic       string
	Acks        string // "0", "1" or "all"
	Compression string // "none", "gzip", "snappy", "lz4" or "zstd"
	Partitions  int32
	RecordBytes int
	Bytes       int64 // how much to send or read
	BatchBytes  int32
	Linger      time.Duration
	Clients     int
}

// Result is what a load came to.
type Result struct {
	Records   int64         `json:"records"`
	Bytes     int64         `json:"bytes"`
	Wall      time.Duration `json:"wall_ns"`
	MiBPerS   float64       `json:"mib_per_s"`
	RecsPerS  float64       `json:"records_per_s"`
	P50       time.Duration `json:"p50_ns"`
	P99       time.Duration `json:"p99_ns"`
	Max       time.Duration `json:"max_ns"`
	Latencies int           `json:"latencies"`
}

func (r *Result) finish(latencies []time.Duration) {
	seconds := r.Wall.Seconds()
	r.MiBPerS = float64(r.Bytes) / (1 << 20) / seconds
	r.RecsPerS = float64(r.Records) / seconds
	r.Latencies = len(latencies)
	if len(latencies) == 0 {
		return
	}
	slices.Sort(latencies)
	r.P50 = latencies[len(latencies)/2]
	r.P99 = latencies[len(latencies)*99/100]
	r.Max = latencies[len(latencies)-1]
}

// payloads are random but half compressible, and shared by all records.
func payloads(recordBytes int) [][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	values := make([][]byte, 64)
	for i := range values {
		values[i] = make([]byte, recordBytes)
		for j := 0; j < recordBytes; j += 2 {
			values[i][j] = byte(random.Uint32())
		}
	}
	return values
}

func (l *Load) client(options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(strings.Split(l.Bootstrap, ",")...),
		kgo.MaxBufferedRecords(1 << 20),
		kgo.MaxBufferedBytes(128 << 20),
	}, options...)...)
}

// MakeTopic makes the topic anew.
func (l *Load) MakeTopic(ctx context.Context) error {
	client, err := l.client()
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if _, err := admin.DeleteTopics(ctx, l.Topic); err != nil {
		return fmt.Errorf("delete topic %s: %w", l.Topic, err)
	}
	for {
		made, err := admin.CreateTopic(ctx, l.Partitions, 1, nil, l.Topic)
		if err == nil {
			err = made.Err
		}
		if err == nil || !strings.Contains(err.Error(), "TOPIC_ALREADY_EXISTS") {
			return err
		}
	}
}

func (l *Load) producerOptions() []kgo.Opt {
	acks := map[string]kgo.Acks{
		"0": kgo.NoAck(), "1": kgo.LeaderAck(), "all": kgo.AllISRAcks(),
	}[l.Acks]
	codec := map[string]kgo.CompressionCodec{
		"gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[l.Compression]
	options := []kgo.Opt{
		kgo.DefaultProduceTopic(l.Topic), kgo.RequiredAcks(acks), kgo.ProducerLinger(l.Linger),
		kgo.ProducerBatchMaxBytes(l.BatchBytes), kgo.ProducerBatchCompression(codec),
		kgo.RecordPartitioner(kgo.UniformBytesPartitioner(int(l.BatchBytes), false, false, nil)),
	}
	if l.Acks != "all" {
		options = append(options, kgo.DisableIdempotentWrite(),
			kgo.MaxProduceRequestsInflightPerBroker(5))
	}
	return options
}

// Produce sends as fast as the client can and returns when all is acknowledged.
func Produce(ctx context.Context, l *Load) (Result, error) {
	values := payloads(l.RecordBytes)
	total := l.Bytes / int64(l.RecordBytes)
	var (
		wait   sync.WaitGroup
		failed atomic.Pointer[error]
	)
	start := time.Now()
	for n := range l.Clients {
		client, err := l.client(l.producerOptions()...)
		if err != nil {
			return Result{}, err
		}
		defer client.Close()
		wait.Go(func() {
			for i := int64(n); i < total && failed.Load() == nil; i += int64(l.Clients) {
				client.Produce(ctx, &kgo.Record{Value: values[i%int64(len(values))]},
					func(_ *kgo.Record, err error) {
						if err != nil {
							failed.CompareAndSwap(nil, &err)
						}
					})
			}
			if err := client.Flush(ctx); err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		})
	}
	wait.Wait()
	if err := failed.Load(); err != nil {
		return Result{}, fmt.Errorf("produce: %w", *err)
	}
	r := Result{Records: total, Bytes: total * int64(l.RecordBytes), Wall: time.Since(start)}
	r.finish(nil)
	return r, nil
}

// ProduceOneByOne sends each record when the one before is acknowledged, and measures
// how long each takes.
func ProduceOneByOne(ctx context.Context, l *Load, records int) (Result, error) {
	client, err := l.client(l.producerOptions()...)
	if err != nil {
		return Result{}, err
	}
	defer client.Close()
	values := payloads(l.RecordBytes)
	const warmUp = 200
	latencies := make([]time.Duration, 0, records)
	start := time.Now()
	for i := range records + warmUp {
		if i == warmUp {
			start = time.Now()
		}
		sent := time.Now()
		record := &kgo.Record{Value: values[i%len(values)]}
		if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
			return Result{}, fmt.Errorf("produce: %w", err)
		}
		if i >= warmUp {
			latencies = append(latencies, time.Since(sent))
		}
	}
	r := Result{
		Records: int64(records), Bytes: int64(records * l.RecordBytes), Wall: time.Since(start),
	}
	r.finish(latencies)
	return r, nil
}

// Consume reads from the beginning until l.Bytes of values are read.
func Consume(ctx context.Context, l *Load) (Result, error) {
	client, err := l.client(kgo.ConsumeTopics(l.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxBytes(50<<20), kgo.FetchMaxPartitionBytes(1<<20))
	if err != nil {
		return Result{}, err
	}
	defer client.Close()
	total := l.Bytes / int64(l.RecordBytes)
	start := time.Now()
	var r Result
	for r.Records < total {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return Result{}, fmt.Errorf("consume: %w", err)
		}
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			for _, record := range p.Records {
				r.Bytes += int64(len(record.Value))
			}
			r.Records += int64(len(p.Records))
		})
	}
	r.Wall = time.Since(start)
	r.finish(nil)
	return r, nil
}
