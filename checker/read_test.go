package checker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// reads returns the records of a batch as a consumer gets them, from an offset.
func reads(batch Batch, from int64) []Read {
	var rs []Read
	for o := max(from, batch.BaseOffset); o < batch.EndOffset; o++ {
		rs = append(rs, Read{Offset: o, Hash: batch.Hash<<8 | uint64(o-batch.BaseOffset+1)})
	}
	return rs
}

func (b *bench) fetch(consumer int, from int64, records ...Read) {
	p := b.Partition(p0)
	b.Fetched(&Fetched{
		Partition: p0, Consumer: consumer, FetchOffset: from, Records: records,
		HighWatermark: p.HighWatermark(), LogStart: p.LogStart(), Called: b.tick(),
	})
}

func TestReadPrefix(t *testing.T) {
	b := newBench(t, Policy{})
	one, two := b.put(2, 1), b.put(3, 1)
	b.fetch(1, 0, reads(one, 0)...)
	b.fetch(1, 2, reads(two, 2)...)
	b.fetch(2, 3, reads(two, 3)...)
	b.expect()
	b.fetch(3, 0, Read{Offset: 0, Hash: 5})
	b.expect("ReadPrefix/changed")

	b = newBench(t, Policy{})
	b.fetch(1, 0, Read{Offset: 0, Hash: 5})
	b.expect("ReadPrefix/uncommitted")

	b = newBench(t, Policy{})
	b.Fetched(&Fetched{
		Partition: p0, Called: b.tick(), HighWatermark: 9,
		Records: []Read{{Hash: 5}},
	})
	b.expect("ReadPrefix/high-watermark-from-nowhere", "ReadPrefix/phantom")

	b = newBench(t, Policy{})
	b.Fetched(&Fetched{Partition: PartitionID{Index: 4}})
	b.expect("ReadPrefix/unknown-partition")

	b = newBench(t, Policy{})
	b.Fetched(&Fetched{Partition: p0, Called: b.tick(), LogStart: 1})
	b.expect("Range/log-start-past-high-watermark")
}

func TestReadPrefixLearnsFromTheFirstReader(t *testing.T) {
	b := newBench(t, Policy{Rewritten: true})
	batch := b.send(1, "k")
	batch.Hash = 99 // rewritten by the broker
	b.Appended(p0, batch)
	b.Written(p0, 1)
	b.HighWatermark(p0, 1, 1)
	b.fetch(1, 0, Read{Offset: 0, Hash: 5})
	b.fetch(2, 0, Read{Offset: 0, Hash: 5})
	b.expect()
	b.fetch(3, 0, Read{Offset: 0, Hash: 6})
	b.expect("ReadPrefix/changed")
}

func TestConsumerContiguity(t *testing.T) {
	put := func() (b *bench, one, two Batch) {
		b = newBench(t, Policy{})
		return b, b.put(2, 1), b.put(2, 1)
	}
	b, _, two := put()
	b.fetch(1, 0, reads(two, 0)...)
	b.expect("ConsumerContiguity/skipped")

	b, one, _ := put()
	b.fetch(1, 0, reads(one, 1)...)
	b.expect("ConsumerContiguity/skipped")

	b, one, two = put()
	b.fetch(1, 0, append(reads(two, 0), reads(one, 0)...)...)
	b.expect("ConsumerContiguity/skipped")

	b, one, _ = put()
	b.fetch(1, 0, append(reads(one, 0), reads(one, 0)...)...)
	b.expect("ConsumerContiguity/repeated")

	b, one, _ = put()
	b.fetch(1, 0, reads(one, 0)...)
	b.fetch(1, 0, reads(one, 0)...)
	b.expect("ConsumerContiguity/strayed")

	// Deleted records are skipped, and a consumer may choose its place.
	b, _, two = put()
	b.LogStart(p0, 2)
	b.fetch(1, 0, reads(two, 0)...)
	b.Positioned(1, p0, 2)
	b.fetch(1, 2, reads(two, 0)...)
	b.expect()
}

func TestContiguityOfCompactedTopics(t *testing.T) {
	b := newBench(t, Policy{Compacted: true})
	b.put(1, 1) // 0, key k
	last := b.put(1, 1)
	b.fetch(1, 0, reads(last, 0)...)
	b.expect()

	other := at(b.send(1, "other"), 2)
	b.Appended(p0, other)
	b.Written(p0, 3)
	b.HighWatermark(p0, 3, 3)
	b.fetch(2, 0, reads(other, 0)...)
	b.expect("ConsumerContiguity/last-value-missing")

	b = newBench(t, Policy{Compacted: true})
	b.put(1, 1)
	require.False(t, b.CaughtUp(p0, 0))
	b.put(1, 1)
	require.False(t, b.CaughtUp(p0, 1))
	require.True(t, b.CaughtUp(p0, 2))
	b.LogStart(p0, 2)
	require.True(t, b.CaughtUp(p0, 0))

	tombstone := at(b.send(1, "other"), 2)
	b.attempts[tombstone.Hash].records[0].Tombstone = true
	b.Appended(p0, tombstone)
	b.Written(p0, 3)
	b.HighWatermark(p0, 3, 3)
	require.True(t, b.CaughtUp(p0, 2))
}

// TestStaleAnswers: an answer may still be on its way when the log loses records
// with an excuse and other records take their offsets.
func TestStaleAnswers(t *testing.T) {
	b := newBench(t, Policy{})
	old := b.put(2, 0)
	called := b.tick()
	b.replica(only(p0)).synced = 0
	b.Stopped(p0, false)
	b.Destroyed(p0, 0, Power)
	b.Online(p0, 0, 0)
	fresh := b.put(2, 1)
	b.Fetched(&Fetched{
		Partition: p0, Records: reads(old, 0), HighWatermark: 2, Called: called, Consumer: 1,
	})
	b.Listed(&Listed{Partition: p0, Target: ListLatest, Offset: 9, Called: called})
	b.expect()
	b.fetch(2, 0, reads(fresh, 0)...)
	b.expect()
	b.fetch(3, 0, reads(old, 0)...)
	b.expect("ReadPrefix/changed")
}

func TestListOffsetsMonotone(t *testing.T) {
	list := func(b *bench, target, offset, timestamp, called int64) {
		b.Listed(&Listed{
			Partition: p0, Target: target, Offset: offset,
			Timestamp: timestamp, Called: called,
		})
	}
	b := newBench(t, Policy{})
	b.put(4, 1)
	early := b.tick()
	list(b, ListLatest, 4, -1, b.tick())
	list(b, ListLatest, 2, -1, early) // asked before the answer of 4
	list(b, ListLatest, 4, -1, b.tick())
	list(b, ListMax, 2, 5, b.tick())
	b.expect()
	list(b, ListLatest, 3, -1, b.tick())
	b.expect("ListOffsetsMonotone/latest-fell")

	b = newBench(t, Policy{})
	b.put(4, 1)
	list(b, ListLatest, 5, -1, b.tick())
	b.expect("ListOffsetsMonotone/latest-uncommitted")

	b = newBench(t, Policy{})
	b.put(4, 1)
	b.LogStart(p0, 3)
	list(b, ListEarliest, 3, -1, b.tick())
	list(b, ListEarliest, 2, -1, b.tick())
	b.expect("ListOffsetsMonotone/earliest-fell")

	b = newBench(t, Policy{})
	b.put(4, 1)
	list(b, ListEarliest, 1, -1, b.tick())
	b.expect("ListOffsetsMonotone/earliest-ahead")

	// Many answers: the oldest are forgotten, the newest judge.
	b = newBench(t, Policy{})
	for i := range int64(2 * answersMax) {
		b.put(1, 1)
		list(b, ListLatest, i+1, -1, b.tick())
	}
	b.expect()
	list(b, ListLatest, 1, -1, b.tick())
	b.expect("ListOffsetsMonotone/latest-fell")
}

func TestListOffsetsByTime(t *testing.T) {
	for _, c := range []struct {
		target, offset, timestamp int64
		want                      []string
	}{
		{100, 0, 100, nil},
		{150, 2, 200, nil},
		{300, -1, -1, nil},
		{150, 2, 149, []string{"ListOffsetsMonotone/time-before-target"}},
		{100, 2, 200, []string{"ListOffsetsMonotone/time-not-first"}},
		{200, 5, 200, []string{
			"ListOffsetsMonotone/time-uncommitted", "ListOffsetsMonotone/time-not-first",
		}},
	} {
		b := newBench(t, Policy{})
		for i, timestamp := range []int64{100, 200} {
			batch := at(b.send(2, "k"), int64(2*i))
			batch.MaxTimestamp = timestamp
			b.Appended(p0, batch)
		}
		b.Written(p0, 4)
		b.HighWatermark(p0, 4, 4)
		b.Listed(&Listed{
			Partition: p0, Target: c.target, Offset: c.offset,
			Timestamp: c.timestamp, Called: b.tick(),
		})
		b.expect(c.want...)
	}
}

// TestOldAnswersByTime: what an answer must find is what lay behind the log start in
// one of the lives that may have given it.
func TestOldAnswersByTime(t *testing.T) {
	list := func(b *bench, offset, called int64) {
		b.Listed(&Listed{
			Partition: p0, Target: 100, Offset: offset, Timestamp: 100, Called: called,
		})
	}
	forgetful := func() (b *bench, before int64) {
		b = newBench(t, Policy{})
		for range 3 {
			batch := at(b.send(2, "k"), b.Partition(p0).LogEnd())
			batch.MaxTimestamp = 100
			b.Appended(p0, batch)
			b.Written(p0, batch.EndOffset)
		}
		b.HighWatermark(p0, 6, 6)
		b.LogStart(p0, 2)
		before = b.tick()
		b.restart(0, 6)
		return b, before
	}
	b, before := forgetful()
	list(b, 2, before)
	list(b, 0, before)
	list(b, 0, b.tick())
	b.expect()
	list(b, 2, b.tick()) // asked in the life that starts at 0
	b.expect("ListOffsetsMonotone/time-not-first")

	b, before = forgetful()
	list(b, 4, before) // no life started past 2
	b.expect("ListOffsetsMonotone/time-not-first")
}

// TestRottenBatchesByTime: a batch that rot took is not found, one before it is.
func TestRottenBatchesByTime(t *testing.T) {
	for _, c := range []struct {
		rot  int64
		want []string
	}{
		{0, nil},
		{2, []string{"ListOffsetsMonotone/time-not-first"}},
	} {
		b := newBench(t, Policy{})
		for i := range int64(3) {
			batch := at(b.send(2, "k"), 2*i)
			batch.MaxTimestamp = 100
			b.Appended(p0, batch)
		}
		b.Written(p0, 6)
		b.HighWatermark(p0, 6, 6)
		b.Destroyed(p0, 4, Rot)
		b.Destroyed(p0, c.rot, Rot)
		b.Listed(&Listed{Partition: p0, Target: 100, Offset: 4, Timestamp: 100, Called: b.tick()})
		b.expect(c.want...)
	}
}

func TestOutOfRange(t *testing.T) {
	b := newBench(t, Policy{})
	b.put(4, 1)
	b.LogStart(p0, 2)
	b.OutOfRange(1, p0, 1, 4, b.tick())
	b.OutOfRange(1, p0, 4, 3, b.tick())
	b.expect()
	b.OutOfRange(1, p0, 4, b.Partition(p0).Committed(), b.tick())
	b.expect("ConsumerContiguity/out-of-range")
}

func TestCorruptBatches(t *testing.T) {
	b := newBench(t, Policy{})
	b.Destroyed(p0, 0, Rot)
	b.Corrupt(1, p0, 0, errCRC)
	b.expect()

	b = newBench(t, Policy{})
	b.Corrupt(1, p0, 0, errCRC)
	b.expect("ReadPrefix/corrupt")

	b = newBench(t, Policy{})
	b.Stopped(p0, false)
	b.Destroyed(p0, 0, RotInTail)
	b.Online(p0, 0, 0)
	b.Corrupt(1, p0, 0, errCRC)
	b.expect("ReadPrefix/corrupt")
}

// TestNamesakes: ListOffsets asks by name, so its answers say nothing once a topic
// was made anew.
func TestNamesakes(t *testing.T) {
	b := newBench(t, Policy{})
	again := PartitionID{Topic: TopicID{2}}
	b.Meet(again, "a-0", Policy{})
	b.Listed(&Listed{Partition: p0, Target: ListLatest, Offset: 9, Called: b.tick()})
	b.OutOfRange(1, p0, 0, 0, b.tick())
	b.expect()
}
