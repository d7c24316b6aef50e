package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/heiban/heiban/checker/kafka"
)

// The processes that are neither producers nor consumers, in the history.
const (
	nemesisProcess = -1 - iota
	endsProcess
	committedProcess
	finalProcess
)

// workload is one run against a live cluster.
type workload struct {
	flags  *checkFlags
	topic  string
	keys   []kafka.Key // by partition
	admin  *kadm.Client
	errOut io.Writer
	values atomic.Int64 // the last value that was sent

	start    time.Time
	lock     sync.Mutex // of recorder
	recorder *kafka.Recorder
}

// invoke records the beginning of an operation.
func (w *workload) invoke(e kafka.Event) int64 {
	w.lock.Lock()
	defer w.lock.Unlock()
	e.Nanos = int64(time.Since(w.start))
	return w.recorder.Invoke(e)
}

// complete records the end of an operation.
func (w *workload) complete(of int64, e kafka.Event) {
	w.lock.Lock()
	defer w.lock.Unlock()
	e.Nanos = int64(time.Since(w.start))
	w.recorder.Complete(of, e)
}

// group names the group of --mode subscribe.
func (w *workload) group() string { return w.topic }

// workload makes a topic, loads it until ctx ends or the time is over, lets the cluster
// settle, and reads everything once more.
func (f *checkFlags) workload(
	ctx context.Context, restoreSignals func(), errOut io.Writer,
) (*kafka.History, error) {
	w := &workload{
		flags: f, topic: f.topic, errOut: errOut, start: time.Now(),
		recorder: kafka.NewRecorder(f.promised()),
	}
	if w.topic == "" {
		w.topic = "heiban-check-" + strconv.FormatInt(w.start.UnixMilli(), 36)
	}
	for i := range f.keys {
		w.keys = append(w.keys, kafka.Key(w.topic+"-"+strconv.Itoa(int(i))))
	}
	var err error
	if w.admin, err = f.admin(); err != nil {
		return nil, err
	}
	defer w.admin.Close()
	if err := w.createTopic(ctx); err != nil {
		return nil, err
	}
	if !f.keep {
		defer w.deleteTopic()
	}
	fmt.Fprintf(errOut, "checking %s with topic %s for %s\n", f.bootstrap, w.topic, f.duration)
	loading, stop := context.WithTimeout(ctx, f.duration)
	defer stop()
	if err := w.load(loading); err != nil {
		return nil, err
	}
	restoreSignals() // a second signal ends the program at once
	settling, stop := context.WithTimeout(context.Background(), f.settle)
	defer stop()
	w.readAll(settling)
	w.lock.Lock()
	defer w.lock.Unlock()
	return &w.recorder.History, nil
}

func (w *workload) createTopic(ctx context.Context) error {
	set, err := pairs("config", w.flags.configs)
	if err != nil {
		return err
	}
	values := map[string]*string{}
	for key, value := range set {
		values[key] = &value
	}
	made, err := w.admin.CreateTopic(ctx, w.flags.keys, w.flags.replication, values, w.topic)
	if err != nil {
		return fmt.Errorf("create %s: %w", w.topic, detailed(err, made.ErrMessage))
	}
	return nil
}

func (w *workload) deleteTopic() {
	ctx, stop := context.WithTimeout(context.Background(), w.flags.timeout)
	defer stop()
	if _, err := w.admin.DeleteTopic(ctx, w.topic); err != nil {
		fmt.Fprintf(w.errOut, "delete %s: %v\n", w.topic, err)
	}
}

// load runs all clients. Producers stop when ctx ends; consumers when all that was
// produced is answered, or was not in time.
func (w *workload) load(ctx context.Context) error {
	producers := make([]*kgo.Client, w.flags.producers)
	for i := range producers {
		client, err := w.producer()
		if err != nil {
			return err
		}
		defer client.Close()
		producers[i] = client
	}
	consuming, stop := context.WithCancel(context.Background())
	defer stop()
	var sending, reading sync.WaitGroup
	for i, client := range producers {
		sending.Go(func() { w.produce(ctx, i, client) })
	}
	sending.Go(func() { w.disturb(ctx) })
	for i := range w.flags.consumers {
		process := w.flags.producers + i
		reading.Go(func() {
			if w.flags.mode == "subscribe" {
				w.subscribe(consuming, process)
			} else {
				w.assign(consuming, process)
			}
		})
	}
	reading.Go(func() { w.every(consuming, w.readEnds) })
	if w.flags.mode == "subscribe" {
		reading.Go(func() { w.every(consuming, w.readCommitted) })
	}
	sending.Wait()
	stop()
	reading.Wait()
	return nil
}

// disturb runs the command of --chaos again and again. One that is under way when ctx
// ends may finish: it is to leave the cluster able to recover.
func (w *workload) disturb(ctx context.Context) {
	if w.flags.chaos == "" {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(w.flags.chaosInterval):
		}
		event := kafka.Event{Process: nemesisProcess, F: kafka.Nemesis, Error: w.flags.chaos}
		id := w.invoke(event)
		patience, stop := context.WithTimeout(context.WithoutCancel(ctx), w.flags.settle)
		said, err := exec.CommandContext(patience, "sh", "-c", w.flags.chaos).CombinedOutput()
		stop()
		event.Type = kafka.Info
		if err != nil {
			event.Error += ": " + err.Error()
			fmt.Fprintf(w.errOut, "--chaos: %v: %s\n", err, strings.TrimSpace(string(said)))
		}
		w.complete(id, event)
	}
}

// every reads something now and then until ctx ends.
func (w *workload) every(ctx context.Context, read func(ctx context.Context)) {
	const pause = 500 * time.Millisecond
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			read(ctx)
		}
	}
}

// readEnds asks for the ends of all partitions.
func (w *workload) readEnds(ctx context.Context) {
	event := kafka.Event{Process: endsProcess, F: kafka.Ends, Keys: w.keys}
	id := w.invoke(event)
	event.Type = kafka.Info
	listed, err := w.admin.ListEndOffsets(ctx, w.topic)
	listed.Each(func(o kadm.ListedOffset) {
		if o.Err != nil || int(o.Partition) >= len(w.keys) {
			return
		}
		event.Type = kafka.OK
		event.Offsets = append(event.Offsets, kafka.Place{Key: w.keys[o.Partition], Offset: o.Offset})
	})
	w.complete(id, ended(event, err))
}

// readCommitted asks for the offsets that the group has committed.
func (w *workload) readCommitted(ctx context.Context) {
	event := kafka.Event{
		Process: committedProcess, F: kafka.Committed, Keys: w.keys, Group: w.group(),
	}
	id := w.invoke(event)
	event.Type = kafka.Info
	committed, err := w.admin.FetchOffsets(ctx, w.group())
	if err == nil && committed.Error() == nil {
		event.Type = kafka.OK
		for i, k := range w.keys {
			at := int64(kafka.NoOffset)
			if o, ok := committed.Lookup(w.topic, int32(i)); ok {
				at = o.At
			}
			event.Offsets = append(event.Offsets, kafka.Place{Key: k, Offset: at})
		}
	}
	w.complete(id, ended(event, err))
}

// ended adds an error to the end of an operation, with the places in order.
func ended(event kafka.Event, err error) kafka.Event {
	slices.SortFunc(event.Offsets, func(a, b kafka.Place) int {
		return strings.Compare(string(a.Key), string(b.Key))
	})
	if err != nil {
		event.Error = err.Error()
	}
	return event
}

// producing returns what --acks means to a producer.
func (f *checkFlags) producing() (acks kgo.Acks, idempotent bool, err error) {
	switch f.acks {
	case "0":
		return kgo.NoAck(), false, nil
	case "1":
		return kgo.LeaderAck(), false, nil
	case "all":
		return kgo.AllISRAcks(), f.idempotence, nil
	}
	return acks, false, wrongUse("--acks %q: want 0, 1 or all", f.acks)
}

func (w *workload) producer() (*kgo.Client, error) {
	acks, idempotent, err := w.flags.producing()
	if err != nil {
		return nil, err
	}
	options := []kgo.Opt{
		kgo.RequiredAcks(acks), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(time.Millisecond), kgo.MaxBufferedRecords(1000),
		kgo.MetadataMinAge(100 * time.Millisecond), kgo.UnknownTopicRetries(-1),
	}
	if !idempotent {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	return w.flags.client(options...)
}

// produce sends values at an even rate until ctx ends, without waiting for answers. Then
// it waits for the answers.
func (w *workload) produce(ctx context.Context, process int, client *kgo.Client) {
	interval := time.Second * time.Duration(w.flags.producers) / time.Duration(w.flags.rate)
	begun := time.Now()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			flushing, stop := context.WithTimeout(context.Background(), w.flags.settle)
			_ = client.Flush(flushing) // what is not answered stays of unknown outcome
			stop()
			return
		case <-time.After(time.Until(begun.Add(time.Duration(n) * interval))):
			w.send(process, client)
		}
	}
}

// send sends one value. A producer that has too much under way fails at once.
func (w *workload) send(process int, client *kgo.Client) {
	value := w.values.Add(1)
	partition := pick(len(w.keys))
	event := kafka.Event{
		Process: process, F: kafka.Send, Mops: []kafka.Mop{kafka.SendOf(w.keys[partition], value)},
	}
	id := w.invoke(event)
	client.TryProduce(context.Background(), &kgo.Record{
		Topic: w.topic, Partition: int32(partition), Value: strconv.AppendInt(nil, value, 10),
	}, func(r *kgo.Record, err error) {
		event.Type = kafka.OK
		switch {
		case err == nil && w.flags.acks != "0":
			event.Mops = []kafka.Mop{{
				Key: w.keys[partition], Send: kafka.Record{Offset: r.Offset, Value: value},
			}}
		case err != nil:
			event.Type = kafka.Info
			if neverStored(err) {
				event.Type = kafka.Fail
			}
		}
		w.complete(id, ended(event, err))
	})
}

// neverStored reports whether an error says for certain that a record was not stored, by
// this attempt or an earlier one.
func neverStored(err error) bool {
	for _, certain := range []error{
		kgo.ErrMaxBuffered, kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRequiredAcks,
		kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed,
	} {
		if errors.Is(err, certain) {
			return true
		}
	}
	return false
}
