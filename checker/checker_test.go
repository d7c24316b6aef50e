package checker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAppendShape(t *testing.T) {
	b := newBench(t, Policy{})
	b.put(2, 1)
	b.put(3, 1)
	b.expect()

	b.Appended(p0, at(b.send(1, "k"), 4))
	b.expect("AppendShape/overlap")

	b = newBench(t, Policy{})
	b.Appended(p0, at(b.send(1, "k"), 1))
	b.expect("AppendShape/gap")

	b = newBench(t, Policy{})
	batch := b.send(2, "k")
	batch.EndOffset = 3
	b.Appended(p0, batch)
	b.expect("AppendShape/count")

	b = newBench(t, Policy{})
	batch = b.send(1, "k")
	batch.LeaderEpoch = 5
	b.Appended(p0, batch)
	batch = at(b.send(1, "k"), 1)
	batch.LeaderEpoch = 4
	b.Appended(p0, batch)
	b.expect("AppendShape/epoch-fell")

	b = newBench(t, Policy{})
	batch = b.send(1, "k")
	batch.Hash = 99
	b.Appended(p0, batch)
	b.expect("AppendShape/phantom")

	b = newBench(t, Policy{Rewritten: true})
	b.Appended(p0, batch)
	b.expect()
}

func TestRange(t *testing.T) {
	b := newBench(t, Policy{})
	b.put(5, 1)
	b.LogStart(p0, 3)
	b.LogStart(p0, 5)
	b.expect()
	b.LogStart(p0, 4)
	b.expect("Range/log-start-fell")

	b = newBench(t, Policy{})
	b.put(5, 1)
	b.HighWatermark(p0, 4, 5)
	b.expect("Range/high-watermark-fell")

	b = newBench(t, Policy{})
	b.put(5, 1)
	b.HighWatermark(p0, 6, 5)
	b.expect("Range/high-watermark-past-end")

	b = newBench(t, Policy{})
	b.put(5, 1)
	b.HighWatermark(p0, 5, 6)
	b.expect("Range/wrong-end")

	b = newBench(t, Policy{})
	b.put(5, 1)
	b.LogStart(p0, 6)
	b.expect("Range/log-start-past-high-watermark")

	b = newBench(t, Policy{})
	b.restart(1, 0)
	b.expect("Range/log-start-past-end")
}

func TestAckPolicy(t *testing.T) {
	// A record that is synced but not yet committed may be acknowledged under
	// acks=1 only.
	b := newBench(t, Policy{Fsync: true})
	batch := b.send(2, "k")
	b.Appended(p0, batch)
	b.Written(p0, 2)
	b.answer(batch, 1)
	b.expect()
	b.answer(batch, -1)
	b.expect("AckPolicy/acked-uncommitted")

	b = newBench(t, Policy{})
	batch = b.send(2, "k")
	b.Appended(p0, batch)
	b.answer(batch, 1)
	b.expect("AckPolicy/acked-unwritten")

	b = newBench(t, Policy{Fsync: true})
	b.Appended(p0, b.send(2, "k"))
	b.Written(p0, 2)
	b.HighWatermark(p0, 2, 2)
	b.expect("AckPolicy/committed-unsynced")

	b = newBench(t, Policy{Fsync: true}) // nor does a restart make it count
	b.Appended(p0, b.send(2, "k"))
	b.Written(p0, 2)
	b.restart(0, 2)
	b.HighWatermark(p0, 2, 2)
	b.expect("AckPolicy/committed-unsynced")

	b = newBench(t, Policy{})
	b.Appended(p0, b.send(2, "k"))
	b.HighWatermark(p0, 2, 2)
	b.expect("AckPolicy/committed-unwritten")

	b = newBench(t, Policy{Fsync: true})
	b.Appended(p0, b.send(2, "k"))
	b.Written(p0, 2)
	b.SyncFailed(p0, true)
	b.Synced(p0, 2)
	b.HighWatermark(p0, 2, 2)
	b.expect("AckPolicy/committed-after-failed-sync")

	b = newBench(t, Policy{})
	b.put(1, 1)
	b.Acknowledged(&Answer{Replica: only(p0), Base: -1, Appended: -1, Err: 45})
	b.Acknowledged(&Answer{Replica: only(p0), Base: -1, Appended: 0, Err: 7}) // timed out
	b.expect()
	b.Acknowledged(&Answer{Replica: only(p0), Base: -1, Appended: 0, Err: 45})
	b.expect("AckPolicy/refused-yet-appended")

	b = newBench(t, Policy{})
	batch = b.put(2, -1)
	b.Acknowledged(&Answer{Replica: only(p0), Hash: batch.Hash, Base: 0, Appended: -1, Acks: -1})
	b.expect() // a duplicate is answered with the place of the original
	b.Acknowledged(&Answer{Replica: only(p0), Hash: 77, Base: 0, Appended: -1, Acks: -1})
	b.expect("AckPolicy/acked-other")

	b = newBench(t, Policy{})
	batch = b.put(2, -1)
	b.Acknowledged(&Answer{Replica: only(p0), Hash: batch.Hash, Base: 1, Appended: -1, Acks: -1})
	b.expect("AckPolicy/acked-absent")

	b = newBench(t, Policy{})
	batch = b.put(2, -1)
	b.Acknowledged(&Answer{Replica: only(p0), Hash: batch.Hash, Base: 1, Appended: 0, Acks: -1})
	b.expect("AckPolicy/wrong-offset")
}

func TestAnswersToDeletedTopicsSayNothing(t *testing.T) {
	b := newBench(t, Policy{})
	batch := b.put(1, -1)
	b.TopicGone(topicA)
	require.True(t, b.Partition(p0).Deleted())
	batch.BaseOffset = 100
	b.answer(batch, -1)
	b.Fetched(&Fetched{Partition: p0, FetchOffset: 50, HighWatermark: 70})
	b.expect()
}

func TestRecoveryFidelity(t *testing.T) {
	b := newBench(t, Policy{})
	b.put(2, -1)
	b.restart(0, 2)
	b.restart(0, 2)
	b.expect()
	b.restart(0, 3)
	b.expect("RecoveryFidelity/from-nowhere")

	// What was ordered but not yet written may be gone after a crash, but not
	// after a clean stop.
	b = newBench(t, Policy{})
	b.put(2, -1)
	b.Appended(p0, at(b.send(1, "k"), 2))
	b.restart(0, 2)
	b.expect()
	b.Appended(p0, at(b.send(1, "k"), 2))
	b.Stopped(p0, true)
	b.Online(p0, 0, 2)
	b.expect("RecoveryFidelity/written-lost")

	b = newBench(t, Policy{})
	b.Appended(p0, b.send(2, "k"))
	b.restart(0, 1)
	b.expect("RecoveryFidelity/torn-batch")

	b = newBench(t, Policy{})
	b.put(4, 1)
	b.LogStart(p0, 3)
	b.LogStartCheckpointed(p0, 2)
	b.restart(2, 4)
	b.expect() // the raise from 2 to 3 was not checkpointed
	b.restart(1, 4)
	b.expect("RecoveryFidelity/log-start-fell")

	b = newBench(t, Policy{})
	b.put(4, 1)
	b.restart(2, 4)
	b.expect("AckDurable/acked-lost")
}

func TestRecoveryFidelityOnDisk(t *testing.T) {
	for _, c := range []struct {
		name    string
		policy  Policy
		damaged error
		change  func(batches []Batch) []Batch
		want    []string
	}{
		{"as it was", Policy{}, nil, same, nil},
		{"damage", Policy{}, errCRC, same, []string{"RecoveryFidelity/damage-kept"}},
		{
			"a hole",
			Policy{},
			nil, func(bs []Batch) []Batch { return append(bs[:1:1], bs[2:]...) },
			[]string{"RecoveryFidelity/hole"},
		},
		{
			"too short",
			Policy{},
			nil, func(bs []Batch) []Batch { return bs[:2] },
			[]string{"RecoveryFidelity/hole"},
		},
		{"too long", Policy{}, nil, func(bs []Batch) []Batch {
			return append(bs, Batch{BaseOffset: 6, EndOffset: 7})
		}, []string{"RecoveryFidelity/other-batch"}},
		{
			"changed",
			Policy{},
			nil, func(bs []Batch) []Batch { bs[1].Hash++; return bs },
			[]string{"RecoveryFidelity/other-batch"},
		},
		{"cleaned", Policy{Compacted: true}, nil, func(bs []Batch) []Batch {
			bs[1].Hash++
			return bs[1:]
		}, nil},
		{"moved by the cleaner", Policy{Compacted: true}, nil, func(bs []Batch) []Batch {
			bs[1].EndOffset--
			return bs
		}, []string{"RecoveryFidelity/other-batch"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.policy)
			for range 3 {
				b.put(2, -1)
			}
			b.restart(0, 6)
			b.Inspected(p0, c.change(append([]Batch(nil), b.Partition(p0).Batches()...)), c.damaged)
			b.expect(c.want...)
		})
	}
	b := newBench(t, Policy{})
	b.Destroyed(p0, 0, Rot)
	b.Inspected(p0, nil, errCRC)
	b.expect()

	// A power loss takes what a failed sync left in doubt, though it was taken for
	// durable since: the log has a hole that recovery need not notice.
	b = newBench(t, Policy{Fsync: true})
	b.Appended(p0, b.send(2, "k"))
	b.Written(p0, 2)
	b.SyncFailed(p0, true)
	b.restart(0, 2)
	b.put(2, -1)
	power(0)(b)
	b.Online(p0, 0, 4)
	b.Inspected(p0, nil, errShort)
	b.Corrupt(1, p0, 0, errShort)
	require.True(t, b.CaughtUp(p0, 0))
	b.expect()
}

func same(batches []Batch) []Batch { return batches }

func TestProducerSequence(t *testing.T) {
	idempotent := func(b *bench, id int64, epoch int16, sequence int32, count int) Batch {
		batch := at(b.send(count, "k"), b.Partition(p0).LogEnd())
		batch.ProducerID, batch.ProducerEpoch, batch.BaseSequence = id, epoch, sequence
		return batch
	}
	b := newBench(t, Policy{})
	b.Appended(p0, idempotent(b, 7, 0, 0, 2))
	b.Appended(p0, idempotent(b, 8, 0, 5, 1)) // unknown producers may begin anywhere
	b.Appended(p0, idempotent(b, 7, 0, 2, 3))
	b.Appended(p0, idempotent(b, 7, 1, 0, 1))
	b.expect()
	b.Appended(p0, idempotent(b, 7, 0, 5, 1))
	b.expect("ProducerSequence/zombie")

	b = newBench(t, Policy{})
	first := idempotent(b, 7, 0, 0, 2)
	b.Appended(p0, first)
	b.Appended(p0, at(first, 2))
	b.expect("ProducerSequence/duplicate")

	b = newBench(t, Policy{})
	b.Appended(p0, idempotent(b, 7, 0, 0, 2))
	b.Appended(p0, idempotent(b, 7, 0, 3, 1))
	b.expect("ProducerSequence/gap")

	b = newBench(t, Policy{})
	b.Appended(p0, idempotent(b, 7, 0, 0, 2))
	b.Appended(p0, idempotent(b, 7, 1, 2, 1))
	b.expect("ProducerSequence/gap")

	// After a loss with an excuse the sequence goes on where the log ends now.
	b = newBench(t, Policy{})
	b.Appended(p0, idempotent(b, 7, 0, 0, 2))
	second := idempotent(b, 7, 0, 2, 1)
	b.Appended(p0, second)
	b.restart(0, 2)
	b.Appended(p0, second)
	b.expect()

	// A log that lost everything behind its log start begins anew there, and knows
	// nobody.
	b = newBench(t, Policy{})
	first = idempotent(b, 7, 0, 0, 4)
	b.Appended(p0, first)
	b.Written(p0, 4)
	b.HighWatermark(p0, 2, 4)
	b.LogStart(p0, 2)
	power(0)(b)
	b.Online(p0, 2, 2)
	b.Appended(p0, idempotent(b, 7, 0, 4, 1))
	b.expect()

	// A compacted log may have forgotten the producer altogether.
	b = newBench(t, Policy{Compacted: true})
	b.Appended(p0, idempotent(b, 7, 0, 0, 2))
	b.Appended(p0, idempotent(b, 7, 0, 2, 1))
	b.restart(0, 2)
	b.Appended(p0, idempotent(b, 7, 0, 3, 1))
	b.expect()
}

// TestRefusedDuplicates: a leader recognizes the last five batches of a producer.
func TestRefusedDuplicates(t *testing.T) {
	for _, c := range []struct {
		later   int
		restart bool
		want    []string
	}{
		{4, false, []string{"ProducerSequence/duplicate-refused"}},
		{5, false, nil},
		{0, true, nil},
	} {
		b := newBench(t, Policy{})
		first := b.send(1, "k")
		first.ProducerID, first.BaseSequence = 7, 0
		b.Appended(p0, first)
		for i := range c.later {
			next := at(b.send(1, "k"), int64(2*i+1))
			next.ProducerID, next.BaseSequence = 7, int32(i+1)
			b.Appended(p0, next)
			b.Appended(p0, at(b.send(1, "k"), int64(2*i+2))) // of others
		}
		if c.restart {
			b.restart(0, 1)
		}
		b.Acknowledged(&Answer{
			Replica: only(p0), Hash: first.Hash, ProducerID: 7, Base: -1, Appended: -1, Err: 45,
		})
		b.expect(c.want...)
	}
}

func TestProducerSequenceWraps(t *testing.T) {
	b := newBench(t, Policy{})
	b.limits.SequenceMax = 7
	for _, c := range []struct {
		sequence int32
		count    int
	}{{0, 5}, {5, 3}, {0, 6}, {6, 4}, {2, 1}} {
		batch := at(b.send(c.count, "k"), b.Partition(p0).LogEnd())
		batch.ProducerID, batch.BaseSequence = 1, c.sequence
		b.Appended(p0, batch)
	}
	b.expect()
}

func TestKnownPartitions(t *testing.T) {
	b := newBench(t, Policy{Fsync: true})
	b.put(2, 1)
	require.Nil(t, b.Partition(PartitionID{Index: 9}))
	require.Same(t, b.Partition(p0), b.Partitions()[0])
	require.Len(t, b.Partition(p0).Batches(), 1)
	require.EqualValues(t, 2, b.Partition(p0).HighWatermark())
	b.LogStart(p0, 1)
	require.EqualValues(t, 1, b.Partition(p0).LogStart())
	p := b.Meet(p0, "a-0", Policy{Compacted: true})
	require.Equal(t, Policy{Compacted: true}, p.policy)
	b.Report(Progress, "stuck", "client %d", 3)
	b.expect("Progress/stuck")
}
