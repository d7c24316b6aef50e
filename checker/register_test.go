package checker

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// did adds an operation that begins and ends at once.
func (b *bench) did(op Op, outcome Outcome) {
	b.Return(b.Call(op), outcome)
}

func TestTopicRegister(t *testing.T) {
	id, other := TopicID{7}, TopicID{8}
	create := Op{Kind: OpCreate, Topic: "x", TopicID: id}
	remove := Op{Kind: OpDelete, Topic: "x"}
	seen := Op{Kind: OpDescribe, Topic: "x", TopicID: id}
	absent := Op{Kind: OpDescribe, Topic: "x"}
	unsaid := Op{Kind: OpCreate, Topic: "x"}
	type step struct {
		op      Op
		outcome Outcome
	}
	for _, c := range []struct {
		name  string
		steps []step
		legal bool
	}{
		{"a life", []step{
			{absent, Done},
			{create, Done},
			{seen, Done},
			{create, Refused},
			{remove, Done},
			{remove, Refused},
			{absent, Done},
		}, true},
		{"created twice", []step{{create, Done}, {create, Done}}, false},
		{"refused while absent", []step{{create, Refused}}, false},
		{"deleted while absent", []step{{remove, Done}}, false},
		{"survives its deletion", []step{{create, Done}, {remove, Done}, {seen, Done}}, false},
		{"lost", []step{{create, Done}, {absent, Done}}, false},
		{"another id", []step{
			{create, Done},
			{Op{Kind: OpDescribe, Topic: "x", TopicID: other}, Done},
		}, false},
		{"perhaps created", []step{{create, Unknown}, {absent, Done}, {seen, Done}}, true},
		{"perhaps created, id unsaid", []step{{unsaid, Unknown}, {seen, Done}, {seen, Done}}, true},
		{"the id stays", []step{
			{unsaid, Unknown},
			{seen, Done},
			{Op{Kind: OpDescribe, Topic: "x", TopicID: other}, Done},
		}, false},
		{"perhaps deleted", []step{
			{create, Done},
			{remove, Unknown},
			{seen, Done},
			{absent, Done},
		}, true},
		{"back again", []step{
			{create, Done},
			{remove, Unknown},
			{absent, Done},
			{seen, Done},
		}, false},
		{"deleted by id", []step{
			{create, Done},
			{Op{Kind: OpDeleteID, Topic: "x", TopicID: other}, Refused},
			{Op{Kind: OpDeleteID, Topic: "x", TopicID: id}, Done},
			{Op{Kind: OpDeleteID, Topic: "x", TopicID: id}, Refused},
			{absent, Done},
		}, true},
		{"deleted by another id", []step{
			{create, Done},
			{Op{Kind: OpDeleteID, Topic: "x", TopicID: other}, Done},
		}, false},
		{"perhaps deleted by id", []step{
			{create, Done},
			{Op{Kind: OpDeleteID, Topic: "x", TopicID: id}, Unknown},
			{absent, Done},
			{Op{Kind: OpDeleteID, Topic: "x", TopicID: id}, Unknown},
		}, true},
		{"unseen", []step{{create, Done}, {absent, Unknown}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, Policy{})
			for _, s := range c.steps {
				b.did(s.op, s.outcome)
			}
			b.CheckTopics()
			if c.legal {
				b.expect()
			} else {
				b.expect("TopicRegister/illegal")
			}
		})
	}
}

func TestLongHistoriesAreCut(t *testing.T) {
	b := newBench(t, Policy{})
	b.limits.Porcupine = 5
	late := b.Call(Op{Kind: OpCreate, Topic: "x"})
	for range 20 {
		b.did(Op{Kind: OpDescribe, Topic: "x"}, Done)
	}
	b.Return(late, Done).TopicID = TopicID{7}
	b.CheckTopics()
	b.expect()

	for range 3 * openMax { // too many that never ended
		b.Call(Op{Kind: OpCreate, Topic: "z"})
	}
	b.did(Op{Kind: OpDescribe, Topic: "z", TopicID: TopicID{7}}, Done)
	b.CheckTopics()
	b.expect()

	b.did(Op{Kind: OpDescribe, Topic: "y"}, Done)
	b.did(Op{Kind: OpDelete, Topic: "y"}, Done)
	b.CheckTopics()
	b.expect("TopicRegister/illegal")
}

func TestLogRegister(t *testing.T) {
	produce := func(hash uint64, offset int64, records ...uint64) Op {
		return Op{
			Kind: OpProduce, Partition: p0, Hash: hash, Offset: offset,
			Records: records, Acks: -1,
		}
	}
	read := func(offset int64, records ...uint64) Op {
		return Op{Kind: OpRead, Partition: p0, Offset: offset, Records: records}
	}
	latest := func(offset int64) Op { return Op{Kind: OpLatest, Partition: p0, Offset: offset} }

	b := newBench(t, Policy{})
	b.did(produce(1, 0, 11, 12), Done)
	b.did(latest(2), Done)
	b.did(read(1, 12), Done)
	b.did(produce(2, 2, 13), Refused)
	b.did(latest(2), Done)
	b.did(read(0, 11), Unknown)
	b.CheckLogs()
	b.expect()

	b.did(read(1, 99), Done)
	b.CheckLogs()
	b.expect("LogRegister/illegal")

	// An acknowledged record that latest does not count.
	b = newBench(t, Policy{})
	b.did(produce(1, 0, 11), Done)
	b.did(latest(0), Done)
	b.CheckLogs()
	b.expect("LogRegister/illegal")

	// The same under acks=1: it may be committed later.
	b = newBench(t, Policy{})
	op := produce(1, 0, 11)
	op.Acks = 1
	b.did(op, Done)
	b.did(latest(0), Done)
	b.did(latest(1), Done)
	b.CheckLogs()
	b.expect()

	// A produce of unknown outcome may show late, where it was appended.
	b = newBench(t, Policy{})
	batch := b.send(1, "k")
	b.Appended(p0, batch)
	b.Written(p0, 1)
	b.HighWatermark(p0, 1, 1)
	b.did(produce(batch.Hash, 0, 11), Unknown)
	b.did(latest(0), Done)
	b.did(read(0, 11), Done)
	b.CheckLogs()
	b.expect()
	b.did(latest(0), Done)
	b.CheckLogs()
	b.expect("LogRegister/illegal")

	// Who writes twice makes no such log, though the partition may not be met yet.
	b = newBench(t, Policy{})
	b.Plain(p0)
	b.did(produce(1, 0, 11), Done)
	b.did(latest(0), Done)
	b.CheckLogs()
	b.expect()
	b = &bench{Judge: NewJudge(Limits{}), t: t}
	b.Plain(p0)
	b.Meet(p0, "a-0", Policy{})
	b.Online(p0, 0, 0)
	b.did(produce(1, 0, 11), Done)
	b.did(latest(0), Done)
	b.CheckLogs()
	b.expect()
}

// TestRegisterAgreesWithDirectCheckers feeds both the same random histories, some
// with a lost record.
func TestRegisterAgreesWithDirectCheckers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, Policy{})
		loseAt := rapid.IntRange(0, 8).Draw(rt, "lose at")
		lost := false
		for i := range rapid.IntRange(1, 8).Draw(rt, "batches") {
			batch := b.put(rapid.IntRange(1, 3).Draw(rt, "records"), -1)
			var hashes []uint64
			for _, r := range reads(batch, 0) {
				hashes = append(hashes, r.Hash)
			}
			b.did(Op{
				Kind: OpProduce, Partition: p0, Hash: batch.Hash, Offset: batch.BaseOffset,
				Records: hashes, Acks: -1,
			}, Done)
			told := batch.EndOffset
			if i == loseAt {
				told, lost = batch.BaseOffset, true
			}
			called := b.tick()
			b.did(Op{Kind: OpLatest, Partition: p0, Offset: told}, Done)
			b.Listed(&Listed{
				Partition: p0, Target: ListLatest, Offset: batch.EndOffset, Called: called,
			})
			b.Listed(&Listed{Partition: p0, Target: ListLatest, Offset: told, Called: b.tick()})
		}
		direct := len(b.Found())
		b.CheckLogs()
		require.Equal(rt, lost, direct > 0)
		require.Equal(rt, lost, len(b.Found()) > direct)
	})
}

func TestOutcomesHaveNames(t *testing.T) {
	require.Equal(t, "ok fail unknown", Done.String()+" "+Refused.String()+" "+Unknown.String())
	b := newBench(t, Policy{})
	ref := b.Call(Op{Kind: OpOther, Text: "x"})
	require.Zero(t, b.Ops()[ref].Return)
	b.Return(ref, Done)
	require.Greater(t, b.Ops()[ref].Return, b.Ops()[ref].Call)
	require.Equal(t, b.Ops()[ref].Return, b.Now())
}

// TestTopicMissing: a start without a topic is the end of it if a request may have
// deleted it, and otherwise a loss.
func TestTopicMissing(t *testing.T) {
	topicB := TopicID{2}
	missing := []string{"RecoveryFidelity/topic-missing"}
	for _, c := range []struct {
		name    string
		op      Op
		outcome Outcome
		late    bool // it returns after the topic was met
		want    []string
	}{
		{"by name", Op{Kind: OpDelete, Topic: "a"}, Unknown, true, nil},
		{"by name, answered", Op{Kind: OpDelete, Topic: "a"}, Done, true, nil},
		{"by name, not answered for long", Op{Kind: OpDelete, Topic: "a"}, Unknown, false, nil},
		{"by id", Op{Kind: OpDeleteID, Topic: "a", TopicID: topicA}, Unknown, true, nil},
		{"before", Op{Kind: OpDelete, Topic: "a"}, Done, false, missing},
		{"refused", Op{Kind: OpDelete, Topic: "a"}, Refused, true, missing},
		{"another name", Op{Kind: OpDelete, Topic: "b"}, Unknown, true, missing},
		{"another id", Op{Kind: OpDeleteID, Topic: "a", TopicID: topicB}, Done, true, missing},
		{"no deletion", Op{Kind: OpCreate, Topic: "a"}, Unknown, true, missing},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &bench{Judge: NewJudge(Limits{}), t: t}
			ref := b.Call(c.op)
			if !c.late {
				b.Return(ref, c.outcome)
			}
			b.Meet(p0, "a-0", Policy{})
			b.Online(p0, 0, 0)
			if c.late {
				b.Return(ref, c.outcome)
			}
			b.TopicMissing(topicA, "a")
			require.True(t, b.Partition(p0).Deleted())
			b.expect(c.want...)
		})
	}

	// One request does not end two topics.
	b := newBench(t, Policy{})
	b.Call(Op{Kind: OpDelete, Topic: "a"})
	b.TopicMissing(topicA, "a")
	b.expect()
	b.Meet(PartitionID{Topic: topicB}, "a-0", Policy{})
	b.TopicMissing(topicB, "a")
	b.expect(missing...)
}
