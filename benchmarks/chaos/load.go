package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// load is producers that number their records, and a consumer that reads along.
type load struct {
	settings *settings
	clients  []*kgo.Client
	running  sync.WaitGroup

	lock   sync.Mutex
	acked  []map[int]bool // by producer and partition: numbers that were acknowledged
	times  [][]time.Time  // by partition: of acknowledgements
	failed int
	tail   map[int32]int64 // by partition: what the consumer has read up to
	broken error           // what the consumer saw and must not
}

func newLoad(s *settings) *load {
	l := &load{
		settings: s, acked: make([]map[int]bool, s.producers*s.partitions),
		times: make([][]time.Time, s.partitions), tail: map[int32]int64{},
	}
	for i := range l.acked {
		l.acked[i] = map[int]bool{}
	}
	return l
}

// impatient are the options of clients that look for a new leader at once, so that what
// is measured is the cluster.
func impatient(bootstrap []string, options ...kgo.Opt) []kgo.Opt {
	const soon = 50 * time.Millisecond
	return append([]kgo.Opt{
		kgo.SeedBrokers(bootstrap...), kgo.MetadataMinAge(soon),
		kgo.RetryBackoffFn(func(int) time.Duration { return soon }),
		kgo.DialTimeout(time.Second), kgo.RetryTimeout(time.Minute),
	}, options...)
}

func (l *load) start(ctx context.Context, bootstrap []string) error {
	for n := range l.settings.producers {
		client, err := kgo.NewClient(impatient(bootstrap,
			kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
			kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(0),
			kgo.ProduceRequestTimeout(5*time.Second), kgo.RequestTimeoutOverhead(2*time.Second),
			kgo.UnknownTopicRetries(-1), kgo.MaxBufferedRecords(1<<20))...)
		if err != nil {
			return err
		}
		l.clients = append(l.clients, client)
		l.running.Go(func() { l.produce(ctx, client, n) })
	}
	l.running.Go(func() { l.consume(ctx, bootstrap) })
	return nil
}

// produce sends numbered records at a steady rate to all partitions.
func (l *load) produce(ctx context.Context, client *kgo.Client, producer int) {
	ticker := time.NewTicker(time.Second / time.Duration(l.settings.rate))
	defer ticker.Stop()
	for number := 0; ; number++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for partition := range l.settings.partitions {
			value := fmt.Sprintf("%d %d %d", producer, partition, number)
			record := &kgo.Record{Partition: int32(partition), Value: []byte(value)}
			client.Produce(context.Background(), record, func(_ *kgo.Record, err error) {
				l.lock.Lock()
				defer l.lock.Unlock()
				if err != nil {
					l.failed++
					return
				}
				l.acked[producer*l.settings.partitions+partition][number] = true
				l.times[partition] = append(l.times[partition], time.Now())
			})
		}
	}
}

// consume reads along, and notes offsets that come twice or go back.
func (l *load) consume(ctx context.Context, bootstrap []string) {
	client, err := kgo.NewClient(impatient(bootstrap, kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		l.broken = err
		return
	}
	defer client.Close()
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		l.lock.Lock()
		fetches.EachRecord(func(r *kgo.Record) {
			if next := l.tail[r.Partition]; r.Offset < next && l.broken == nil {
				l.broken = fmt.Errorf("partition %d: the consumer went from %d back to %d",
					r.Partition, next, r.Offset)
			}
			l.tail[r.Partition] = r.Offset + 1
		})
		l.lock.Unlock()
	}
}

// longestGap returns the longest time between two acknowledgements of a partition, the
// second of them after since.
func (l *load) longestGap(since time.Time) (longest time.Duration, partition int) {
	l.lock.Lock()
	defer l.lock.Unlock()
	now := time.Now()
	for p, times := range l.times {
		next := now
		for i := len(times) - 1; i >= 0 && next.After(since); i-- {
			if gap := next.Sub(times[i]); gap > longest {
				longest, partition = gap, p
			}
			next = times[i]
		}
	}
	return longest, partition
}

// finish waits until every record sent is acknowledged.
func (l *load) finish() error {
	l.running.Wait()
	flushing, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, client := range l.clients {
		if err := client.Flush(flushing); err != nil {
			return fmt.Errorf("flush: %w", err)
		}
		client.Close()
	}
	return nil
}

// verify reads everything again and compares it with what was acknowledged.
func (l *load) verify(ctx context.Context, bootstrap []string) error {
	found, err := l.readAll(ctx, bootstrap)
	if err != nil {
		return err
	}
	acknowledged, lost, twice, disorder := 0, 0, 0, 0
	for i, numbers := range found {
		seen := map[int]bool{}
		last := -1
		for _, number := range numbers {
			switch {
			case seen[number]:
				twice++
			case number < last:
				disorder++
			}
			seen[number] = true
			last = max(last, number)
		}
		acknowledged += len(l.acked[i])
		for number := range l.acked[i] { // in any order: it is only counted
			if !seen[number] {
				lost++
			}
		}
	}
	fmt.Printf("%d records acknowledged, %d failed; lost %d, twice %d, out of order %d\n",
		acknowledged, l.failed, lost, twice, disorder)
	if l.broken != nil {
		return l.broken
	}
	if lost+twice+disorder > 0 || acknowledged == 0 {
		return errLost
	}
	return nil
}

// readAll returns the numbers of each producer in each partition, in log order.
func (l *load) readAll(ctx context.Context, bootstrap []string) ([][]int, error) {
	client, err := kgo.NewClient(impatient(bootstrap, kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	found := make([][]int, len(l.acked))
	for {
		const quiet = 5 * time.Second
		polling, cancel := context.WithTimeout(ctx, quiet)
		fetches := client.PollFetches(polling)
		cancel()
		if fetches.Empty() {
			return found, nil
		}
		var bad error
		fetches.EachRecord(func(r *kgo.Record) {
			fields := strings.Fields(string(r.Value))
			if len(fields) != 3 || fields[1] != strconv.Itoa(int(r.Partition)) {
				bad = fmt.Errorf("partition %d holds %q at %d", r.Partition, r.Value, r.Offset)
				return
			}
			producer, _ := strconv.Atoi(fields[0])
			number, _ := strconv.Atoi(fields[2])
			i := producer*l.settings.partitions + int(r.Partition)
			found[i] = append(found[i], number)
		})
		if bad != nil {
			return nil, bad
		}
	}
}
