package checker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	topicA = TopicID{1}
	p0     = PartitionID{Topic: topicA}
)

// bench is a Judge with one partition on node 0, and shorthands to feed it.
type bench struct {
	*Judge
	t *testing.T
	n uint64 // batches sent so far
}

func newBench(t *testing.T, policy Policy) *bench {
	b := &bench{Judge: NewJudge(Limits{}), t: t}
	b.Meet(p0, "a-0", policy)
	b.Online(p0, 0, 0)
	return b
}

// The only copy of a partition leads whenever it is online.

func only(id PartitionID) ReplicaID { return ReplicaID{PartitionID: id} }

func (b *bench) Online(id PartitionID, start, end int64) {
	b.Judge.Online(only(id), start, end)
	r := b.replica(only(id))
	b.LeaderStarted(only(id), 0, r.highWatermark, r.logEnd)
}

func (b *bench) Appended(id PartitionID, batch Batch) { b.Judge.Appended(only(id), batch) }

func (b *bench) Written(id PartitionID, end int64) { b.Judge.Written(only(id), end) }

func (b *bench) Synced(id PartitionID, end int64) { b.Judge.Synced(only(id), end) }

func (b *bench) SyncFailed(id PartitionID, inThisLog bool) {
	b.Judge.SyncFailed(only(id), inThisLog)
}

func (b *bench) HighWatermark(id PartitionID, offset, end int64) {
	b.Judge.HighWatermark(only(id), offset, end)
}

func (b *bench) LogStart(id PartitionID, offset int64) { b.Judge.LogStart(only(id), offset) }

func (b *bench) LogStartCheckpointed(id PartitionID, offset int64) {
	b.Judge.LogStartCheckpointed(only(id), offset)
}

func (b *bench) Stopped(id PartitionID, clean bool) { b.Judge.Stopped(only(id), clean) }

func (b *bench) Destroyed(id PartitionID, offset int64, cause Cause) {
	b.Judge.Destroyed(only(id), offset, cause)
}

func (b *bench) Durable(id PartitionID, batches []Batch) { b.Judge.Durable(only(id), batches) }

func (b *bench) Inspected(id PartitionID, batches []Batch, damaged error) {
	b.Judge.Inspected(only(id), batches, damaged)
}

func (b *bench) OutOfRange(consumer int, id PartitionID, offset, committed, called int64) {
	b.Judge.OutOfRange(consumer, only(id), offset, committed, called)
}

// send announces a batch of count records, all with the same key, and returns it.
func (b *bench) send(count int, key string) Batch {
	b.n++
	records := make([]AttemptRecord, count)
	for i := range records {
		records[i] = AttemptRecord{Hash: b.n<<8 | uint64(i+1), Key: KeyHash([]byte(key))}
	}
	b.Attempt(b.n, records)
	return Batch{
		EndOffset: int64(count), ProducerID: -1, BaseSequence: -1, Hash: b.n,
		RecordCount: int32(count),
	}
}

// at places a batch.
func at(batch Batch, base int64) Batch {
	batch.EndOffset += base - batch.BaseOffset
	batch.BaseOffset = base
	return batch
}

// put appends, writes and syncs a batch of count records at the end of the log,
// commits it, and answers its producer.
func (b *bench) put(count int, acks int16) Batch {
	batch := at(b.send(count, "k"), b.Partition(p0).LogEnd())
	b.Appended(p0, batch)
	b.Written(p0, batch.EndOffset)
	b.Synced(p0, batch.EndOffset)
	b.HighWatermark(p0, batch.EndOffset, batch.EndOffset)
	b.answer(batch, acks)
	return batch
}

func (b *bench) answer(batch Batch, acks int16) {
	b.Acknowledged(&Answer{
		Replica: only(p0), Hash: batch.Hash, Base: batch.BaseOffset,
		Appended: batch.BaseOffset, Acks: acks,
	})
}

func (b *bench) restart(start, end int64) {
	b.Stopped(p0, false)
	b.Online(p0, start, end)
}

// expect requires exactly the violations named, as Checker/Kind.
func (b *bench) expect(names ...string) {
	b.t.Helper()
	got := []string{}
	for _, v := range b.Found() {
		got = append(got, v.Checker+"/"+v.Kind)
		require.NotEmpty(b.t, v.Text)
		require.Equal(b.t, v.Checker+"/"+v.Kind+": "+v.Text, v.String())
	}
	if len(names) == 0 {
		names = []string{}
	}
	require.Equal(b.t, names, got)
}
