package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/checker/kafka"
)

// pick returns a random number below n.
func pick(n int) int { return rand.IntN(n) } //nolint:gosec // nothing depends on it

// pollRecordsMax is how many records one poll may return.
const pollRecordsMax = 1000

func (w *workload) consumer(options ...kgo.Opt) (*kgo.Client, error) {
	return w.flags.client(append([]kgo.Opt{
		kgo.FetchMaxWait(200 * time.Millisecond), kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.KeepControlRecords(),
	}, options...)...)
}

// polled is what a poll returned.
type polled struct {
	mop  kafka.Mop
	next map[int32]kgo.EpochOffset // for each partition, the offset after its last record
	err  error                     // that ended the consumption of a partition
}

// poll polls once, and records it. A poll that waited in vain is a poll of nothing.
func (w *workload) poll(ctx context.Context, process int, client *kgo.Client) polled {
	const patience = 300 * time.Millisecond
	event := kafka.Event{Process: process, F: kafka.Poll, Mops: []kafka.Mop{{}}}
	id := w.invoke(event)
	waiting, stop := context.WithTimeout(ctx, patience)
	fetches := client.PollRecords(waiting, pollRecordsMax)
	stop()
	p := w.gather(fetches)
	event.Mops = []kafka.Mop{p.mop}
	event.Type = kafka.OK
	if len(p.mop.Polled) == 0 && p.err != nil {
		event.Type = kafka.Info
	}
	w.complete(id, ended(event, p.err))
	return p
}

func (w *workload) gather(fetches kgo.Fetches) polled {
	p := polled{next: map[int32]kgo.EpochOffset{}}
	records := map[int32][]kafka.Record{}
	fetches.EachRecord(func(r *kgo.Record) {
		p.next[r.Partition] = kgo.EpochOffset{Epoch: r.LeaderEpoch, Offset: r.Offset + 1}
		if r.Attrs.IsControl() {
			return
		}
		value, err := strconv.ParseInt(string(r.Value), 10, 64)
		if err != nil {
			value = -1 - r.Offset // nobody sends such a one
		}
		records[r.Partition] = append(records[r.Partition], kafka.Record{
			Offset: r.Offset, Value: value,
		})
	})
	for i, k := range w.keys {
		if got := records[int32(i)]; got != nil {
			p.mop.Polled = append(p.mop.Polled, kafka.Polled{Key: k, Records: got})
		}
	}
	slices.SortFunc(p.mop.Polled, func(a, b kafka.Polled) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	fetches.EachError(func(_ string, partition int32, err error) {
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			p.err = fmt.Errorf("partition %d: %w", partition, err)
		}
	})
	return p
}

// assign consumes partitions of its own choice until ctx ends: others every few seconds,
// from where it was or from the beginning, and sometimes it forgets all.
func (w *workload) assign(ctx context.Context, process int) {
	position := map[int32]int64{}
	for ctx.Err() == nil {
		if pick(4) == 0 {
			w.crash(process)
			clear(position)
		}
		chosen := rand.Perm(len(w.keys))[:1+pick(len(w.keys))] //nolint:gosec // as pick
		offsets := map[int32]int64{}
		for _, i := range chosen {
			offsets[int32(i)] = position[int32(i)]
		}
		period := time.Second + time.Duration(pick(3000))*time.Millisecond
		assigned, stop := context.WithTimeout(ctx, period)
		err := w.consumeAt(assigned, process, offsets, func(p polled) bool {
			for i, next := range p.next {
				position[i] = next.Offset
			}
			return assigned.Err() == nil
		})
		stop()
		if err != nil { // as after a loss of data: the positions mean nothing any more
			w.crash(process)
			clear(position)
			rest(ctx)
		}
	}
}

// rest keeps a client that fails at once from failing all the time.
func rest(ctx context.Context) {
	const pause = 200 * time.Millisecond
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

func (w *workload) crash(process int) {
	event := kafka.Event{Process: process, F: kafka.Crash}
	id := w.invoke(event)
	event.Type = kafka.Info
	w.complete(id, event)
}

// consumeAt assigns partitions to a process, at these offsets, and polls as long as it
// is told to go on. It returns the error that stopped it.
func (w *workload) consumeAt(
	ctx context.Context, process int, offsets map[int32]int64, goOn func(polled) bool,
) error {
	event := kafka.Event{Process: process, F: kafka.Assign}
	from := map[int32]kgo.Offset{}
	for i, k := range w.keys {
		if at, ok := offsets[int32(i)]; ok {
			event.Keys = append(event.Keys, k)
			event.Offsets = append(event.Offsets, kafka.Place{Key: k, Offset: at})
			from[int32(i)] = kgo.NewOffset().At(at)
		}
	}
	client, err := w.consumer(kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{w.topic: from}))
	if err != nil {
		return err
	}
	defer client.Close()
	id := w.invoke(event)
	event.Type = kafka.OK
	w.complete(id, ended(event, nil))
	for {
		p := w.poll(ctx, process, client)
		if !goOn(p) || p.err != nil {
			return p.err
		}
	}
}

// member is a process that consumes in a group.
type member struct {
	w       *workload
	process int
	lock    sync.Mutex
	resumes map[int32]int64 // operations under way, by partition
}

// subscribe consumes as a member of the group until ctx ends. Every few seconds it
// leaves and another one joins in its place.
func (w *workload) subscribe(ctx context.Context, process int) {
	for ctx.Err() == nil {
		period := 3*time.Second + time.Duration(pick(6000))*time.Millisecond
		joined, stop := context.WithTimeout(ctx, period)
		m := &member{w: w, process: process, resumes: map[int32]int64{}}
		if err := m.consume(joined); err != nil {
			fmt.Fprintf(w.errOut, "group %s: %v\n", w.group(), err)
			<-joined.Done()
		}
		stop()
		w.crash(process)
	}
}

func (m *member) consume(ctx context.Context) error {
	client, err := m.w.consumer(
		kgo.ConsumerGroup(m.w.group()), kgo.ConsumeTopics(m.w.topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.OnPartitionsAssigned(m.assigned), kgo.AdjustFetchOffsetsFn(m.resumed))
	if err != nil {
		return err
	}
	defer client.CloseAllowingRebalance()
	event := kafka.Event{
		Process: m.process, F: kafka.Subscribe, Keys: m.w.keys, Group: m.w.group(),
	}
	id := m.w.invoke(event)
	event.Type = kafka.OK
	m.w.complete(id, event)
	for ctx.Err() == nil {
		p := m.w.poll(ctx, m.process, client)
		if len(p.next) > 0 {
			m.commit(client, p.next)
		}
		client.AllowRebalance()
		if errors.Is(p.err, kgo.ErrClientClosed) {
			break
		}
	}
	return nil
}

// assigned begins to ask where to go on, for each partition that the member was given.
func (m *member) assigned(_ context.Context, _ *kgo.Client, given map[string][]int32) {
	m.lock.Lock()
	defer m.lock.Unlock()
	for _, i := range given[m.w.topic] {
		m.resumes[i] = m.w.invoke(kafka.Event{
			Process: m.process, F: kafka.Resume, Keys: []kafka.Key{m.w.keys[i]}, Group: m.w.group(),
		})
	}
}

// resumed learns where to go on. It changes nothing.
func (m *member) resumed(
	_ context.Context, offsets map[string]map[int32]kgo.Offset,
) (map[string]map[int32]kgo.Offset, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	for i, offset := range offsets[m.w.topic] {
		id, begun := m.resumes[i]
		if !begun {
			continue
		}
		delete(m.resumes, i)
		at := max(offset.EpochOffset().Offset, kafka.NoOffset) // below: there is no commit
		m.w.complete(id, kafka.Event{
			Process: m.process, F: kafka.Resume, Type: kafka.OK,
			Offsets: []kafka.Place{{Key: m.w.keys[i], Offset: at}},
		})
	}
	return offsets, nil
}

// commit commits what was polled, and records it.
func (m *member) commit(client *kgo.Client, next map[int32]kgo.EpochOffset) {
	const patience = 10 * time.Second
	event := kafka.Event{Process: m.process, F: kafka.Commit, Group: m.w.group()}
	for i, k := range m.w.keys {
		if at, ok := next[int32(i)]; ok {
			event.Offsets = append(event.Offsets, kafka.Place{Key: k, Offset: at.Offset})
		}
	}
	event = ended(event, nil)
	id := m.w.invoke(event)
	waiting, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	client.CommitOffsetsSync(waiting, map[string]map[int32]kgo.EpochOffset{m.w.topic: next},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
			event.Type, err = commitOutcome(answer, err)
			m.w.complete(id, ended(event, err))
		})
}

// commitOutcome returns what became of a commit: of all its partitions, or it is unknown.
func commitOutcome(answer *kmsg.OffsetCommitResponse, err error) (kafka.Type, error) {
	if err != nil {
		return kafka.Info, err
	}
	outcomes := map[kafka.Type]bool{}
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			code := kerr.ErrorForCode(p.ErrorCode)
			switch {
			case code == nil:
				outcomes[kafka.OK] = true
				continue
			case errors.Is(code, kerr.IllegalGeneration), errors.Is(code, kerr.UnknownMemberID),
				errors.Is(code, kerr.RebalanceInProgress), errors.Is(code, kerr.FencedInstanceID),
				errors.Is(code, kerr.StaleMemberEpoch):
				outcomes[kafka.Fail] = true
			default:
				outcomes[kafka.Info] = true
			}
			err = code
		}
	}
	for outcome := range outcomes {
		if len(outcomes) == 1 {
			return outcome, err
		}
	}
	return kafka.Info, err
}

// readAll reads every partition from its beginning to the end that it has now, once all
// else is over, and then what the group had committed.
func (w *workload) readAll(ctx context.Context) {
	event := kafka.Event{Process: finalProcess, F: kafka.Final, Keys: w.keys}
	id := w.invoke(event)
	event.Type = kafka.Info
	for ctx.Err() == nil {
		if err := w.readToEnds(ctx); err == nil {
			event.Type = kafka.OK
			break
		} else if ctx.Err() == nil {
			w.crash(finalProcess) // and once more
			rest(ctx)
		}
	}
	w.complete(id, ended(event, ctx.Err()))
	if w.flags.mode == "subscribe" {
		w.readCommitted(ctx)
	}
}

func (w *workload) readToEnds(ctx context.Context) error {
	listed, err := w.admin.ListEndOffsets(ctx, w.topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return err
	}
	from, left := map[int32]int64{}, map[int32]int64{}
	for i := range w.keys {
		end, ok := listed.Lookup(w.topic, int32(i))
		if !ok {
			return fmt.Errorf("partition %d has no end", i)
		}
		from[int32(i)] = 0
		if end.Offset > 0 {
			left[int32(i)] = end.Offset
		}
	}
	err = w.consumeAt(ctx, finalProcess, from, func(p polled) bool {
		for i, next := range p.next {
			if next.Offset >= left[i] {
				delete(left, i)
			}
		}
		return len(left) > 0 && ctx.Err() == nil
	})
	if err == nil && len(left) > 0 {
		err = ctx.Err()
	}
	return err
}
