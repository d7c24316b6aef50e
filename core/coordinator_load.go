package core

import (
	"errors"
	"fmt"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/group"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/mutant"
)

// A coordinator that begins replays its partition from the start to the end, what is not
// committed included: it will be, or the node leads the partition no longer. The records
// are read and replayed by a job, into a shard that nobody else knows yet.

// loading is how far a coordinator has come.
type loading struct {
	replay  *groupReplay  // belongs to the job while that runs
	retry   clock.Instant // when a job that came upon replaced files is repeated
	next    int64         // offset from which on nothing was replayed
	stuck   int           // jobs in a row that replayed nothing
	running bool
	failed  bool // there will be no coordinator here
}

// What was not found in a file is looked for again: compaction may have replaced it.
const (
	loadRetry = 100 * clock.Millisecond
	loadsMax  = 50
	loadChunk = 1 << 20 // bytes that are read at once
	loadedMax = 1 << 30 // bytes that one compressed batch may expand to
)

// load goes on with what is written, unless it is under way.
func (b *Broker) load(co *coordinator) {
	p, l := co.part, co.loading
	end := p.log.LogEndOffset()
	if b.settings.Mutants.On(mutant.G1LoadToHighWatermark) {
		end = p.log.HighWatermark()
	}
	switch {
	case l.running || l.failed:
		return
	case l.next >= end:
		b.loaded(co)
		return
	case l.next >= p.log.WrittenEndOffset():
		return // called again when there is more
	}
	l.running = true
	slice, _ := p.log.SliceFrom(max(l.next, p.log.LogStartOffset()), end)
	b.order(&loadGroups{slice: slice, replay: l.replay},
		jobOwner{kind: jobLoadGroups, part: p, groups: co})
}

// groupsRead takes in how far a job has come.
func (b *Broker) groupsRead(owner jobOwner, read *loadedGroups) {
	co := owner.groups
	if co != owner.part.groups {
		return // the node leads the partition no longer
	}
	l := co.loading
	l.running = false
	l.stuck++
	if read.next > l.next {
		l.next, l.stuck = read.next, 0
	}
	err := read.err
	if l.stuck == loadsMax {
		err = fmt.Errorf("there is no valid batch at offset %d", l.next)
	}
	switch {
	case err != nil:
		l.failed = true
		b.report(Report{
			Kind: GroupsNotLoaded, Topic: co.part.topic.name, TopicID: co.part.topic.id,
			Partition: co.part.index, Epoch: co.part.leaderEpoch, Offset: l.next, Text: err.Error(),
		})
	case l.stuck > 0:
		l.retry = b.now.Mono.Add(loadRetry)
		b.armGroups(co)
	default:
		b.load(co)
	}
}

// loadGroups is the job that replays a part of a partition (result *loadedGroups).
type loadGroups struct {
	replay *groupReplay
	slice  log.Slice
}

// loadedGroups says up to where all is replayed.
type loadedGroups struct {
	err  error // what the log holds cannot be replayed
	next int64
}

// Run replays. Its error is the disk's.
func (j *loadGroups) Run(d *log.Devices) (log.Result, error) {
	records := batch.Reader{Codec: d.Codec, BytesMax: loadedMax}
	read := &loadedGroups{}
	var err error
	read.next, err = log.EachBatch(d, &j.slice, loadChunk, func(one []byte, h *batch.Header) error {
		read.err = j.replay.batch(&records, one, h)
		return read.err
	})
	if read.err != nil {
		return read, nil
	}
	return read, err
}

// groupReplay makes a shard of the batches of a partition.
type groupReplay struct {
	shard *group.Shard
	open  map[int64][]group.Record // of transactions that have not ended, by producer id
}

func newGroupReplay(o group.Options) *groupReplay {
	return &groupReplay{shard: group.New(o), open: map[int64][]group.Record{}}
}

// batch replays the records of a batch. Those of a transaction wait for its end (KIP-98).
func (r *groupReplay) batch(reader *batch.Reader, one []byte, h *batch.Header) error {
	if h.IsControl() {
		return r.control(one, h)
	}
	all, err := reader.Records(one, h)
	if err != nil {
		return fmt.Errorf("batch at offset %d: %w", h.BaseOffset, err)
	}
	var v batch.Record
	for all.Next(&v) {
		record, err := group.DecodeRecord(v.Key, v.Value)
		switch {
		case errors.Is(err, group.ErrNotKept):
		case err != nil:
			return fmt.Errorf("record at offset %d: %w", h.Offset(&v), err)
		case h.IsTransactional():
			r.open[h.ProducerID] = append(r.open[h.ProducerID], record)
		default:
			r.shard.Replay(record)
		}
	}
	if err := all.Err(); err != nil {
		return fmt.Errorf("batch at offset %d: %w", h.BaseOffset, err)
	}
	return nil
}

// control ends a transaction: what it holds counts, or never did.
func (r *groupReplay) control(one []byte, h *batch.Header) error {
	if h.RecordCount == 0 {
		return nil // compaction took its record away
	}
	m, ok, err := batch.ParseMarker(one, h)
	if err != nil {
		return fmt.Errorf("batch at offset %d: %w", h.BaseOffset, err)
	}
	if !ok {
		return nil
	}
	if m.Commit {
		for _, record := range r.open[m.ProducerID] {
			r.shard.Replay(record)
		}
	}
	delete(r.open, m.ProducerID)
	return nil
}
