package checker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestForgiveness states which faults excuse that a leader lacks what was committed: it
// takes all copies of those who may be elected.
func TestForgiveness(t *testing.T) {
	const fsync, pageCache = true, false
	elected := []string{"LeaderCompleteness/elected-without"}
	for _, tt := range []struct {
		name  string
		fsync bool
		fault func(c *trio)
		isr   []int32 // then, the first one leads
		lost  int64   // acknowledged records, excused
		want  []string
	}{
		{"nothing lost", pageCache, func(*trio) {}, []int32{2, 3}, 0, nil},
		{"one copy lost, another leads", pageCache, losing(1), []int32{2, 3}, 0, nil},
		{"one copy lost, it leads", pageCache, losing(2), []int32{2, 3}, 0, elected},
		{"two copies lost", pageCache, losing(2, 3), []int32{2, 3, 1}, 0, elected},
		{"two copies lost, the third goes", pageCache, losing(2, 3), []int32{2, 3}, 2, nil},
		{"all copies lost", pageCache, losing(1, 2, 3), []int32{2, 3, 1}, 2, nil},
		{
			"all copies lost, one outside the ISR is left", pageCache,
			func(c *trio) {
				c.change(func(s *PartitionState) { s.ISR = []int32{1, 2} })
				losing(1, 2)(c)
			},
			[]int32{2, 1}, 2, nil,
		},
		{
			"an eligible one is left", pageCache,
			func(c *trio) {
				c.change(func(s *PartitionState) { s.ISR, s.ELR = []int32{1, 2}, []int32{3} })
				losing(1, 2)(c)
			},
			[]int32{2, 1}, 0, elected,
		},
		{
			"the last one in sync loses it", pageCache,
			func(c *trio) {
				c.change(func(s *PartitionState) { s.ISR = []int32{1} })
				c.change(func(s *PartitionState) { s.Leader, s.ISR = -1, []int32{1} })
				losing(1)(c)
			},
			[]int32{1}, 2, nil,
		},
		{
			"what is synced is not lost with the power", fsync,
			losing(1, 2, 3),
			[]int32{2}, 0,
			[]string{"AckDurable/acked-lost", "AckDurable/acked-lost", "AckDurable/acked-lost"},
		},
		{
			"what is synced is not lost on one node either", fsync,
			losing(1),
			[]int32{2}, 0,
			[]string{"RecoveryFidelity/acked-lost"},
		},
		{"all disks are replaced", fsync, wiping(1, 2, 3), []int32{2, 3, 1}, 2, nil},
		{"one disk is replaced and leads", fsync, wiping(2), []int32{2, 3}, 0, elected},
		{
			"a crash loses nothing written", pageCache,
			func(c *trio) {
				c.Judge.Stopped(on(2), false)
				c.Judge.Online(on(2), 0, 2)
			},
			[]int32{3}, 0,
			[]string{"RecoveryFidelity/acked-lost", "RecoveryFidelity/written-lost"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newTrio(t, Policy{Fsync: tt.fsync})
			c.put(true, 1, 2, 3)
			c.put(tt.fsync, 1, 2, 3)
			tt.fault(c)
			c.elect(tt.isr[0], tt.isr...)
			c.expect(tt.want...)
			require.Equal(t, tt.lost, c.Excused().Acked)
		})
	}
}

// losing lets nodes lose the second of two batches with the power, one after another.
func losing(nodes ...int32) func(*trio) {
	return func(c *trio) { c.lose(Power, 2, nodes...) }
}

// wiping replaces the disks of nodes, one after another while the others are down.
func wiping(nodes ...int32) func(*trio) {
	return func(c *trio) { c.lose(Wiped, 2, nodes...) }
}

func (c *trio) lose(cause Cause, from int64, nodes ...int32) {
	for _, node := range nodes {
		c.Judge.Stopped(on(node), false)
		c.Judge.Destroyed(on(node), from, cause)
	}
	for _, node := range nodes {
		c.Judge.Online(on(node), 0, from)
	}
}

// TestLossUndone: of two that are elected uncleanly in turn the second may have what the
// first lacked, and still knows that it was committed.
func TestLossUndone(t *testing.T) {
	c := newTrio(t, Policy{Unclean: true})
	c.change(func(s *PartitionState) { s.ISR = []int32{1, 2} })
	c.put(true, 1, 2)
	c.HighWatermarkLearned(on(2), 2, 2)
	unclean := func(node int32) {
		c.change(func(s *PartitionState) {
			s.Leader, s.ISR, s.Recovering = node, []int32{node}, true
		})
		c.lead(node)
	}
	unclean(3)
	require.Zero(t, c.Partition(p0).Committed())
	c.Judge.Stopped(on(1), true)
	c.Judge.Online(on(1), 0, 2)
	c.FollowerStarted(on(1), 1, 2, 2) // it knows that too
	unclean(2)
	require.EqualValues(t, 2, c.Partition(p0).Committed())
	c.Listed(&Listed{
		Partition: p0, Target: ListLatest, Offset: 2, Timestamp: -1, Called: c.Now(), Node: 2,
	})
	_, known, _ := c.Partition(p0).CopyOf(1)
	require.EqualValues(t, 2, known)
	c.expect()
	c.commit(2, 3)
	c.expect("Range/high-watermark-past-end")
}

// TestForgivenOnce: what all lost at one instant stays forgiven until somebody leads who
// has it after all, and what is written in its place is promised anew.
func TestForgivenOnce(t *testing.T) {
	c := newTrio(t, Policy{})
	c.put(true, 1, 2, 3)
	c.put(false, 1, 2, 3)
	losing(1, 2, 3)(c)
	c.elect(2, 2)
	require.EqualValues(t, 2, c.Partition(p0).Committed())
	c.elect(3, 3) // not in sync: it has the same
	c.expect("LeaderCompleteness/unclean-election", "ISRLegality/unclean-unmarked")
	c.found = nil
	fresh := c.put(false, 3)
	c.append(2, false, fresh)
	c.change(func(s *PartitionState) { s.ISR = []int32{3, 2} })
	c.expect()
	c.elect(1, 1)
	c.found = nil
	require.EqualValues(t, 2, c.Partition(p0).Committed())

	// Rot took it from all who may be elected, and none of them noticed.
	c = newTrio(t, Policy{})
	c.put(true, 1, 2, 3)
	for node := int32(1); node <= 3; node++ {
		c.Judge.Destroyed(on(node), 0, Rot)
	}
	c.elect(2, 2, 3)
	require.EqualValues(t, 2, c.Partition(p0).Committed())
	require.True(t, c.Partition(p0).Rots())
	c.expect()
}

// TestUncleanElections: where they are allowed, what the new leader lacks is lost with an
// excuse, and so is what the old one commits or shows before it hears of it.
func TestUncleanElections(t *testing.T) {
	c := newTrio(t, Policy{Unclean: true})
	c.put(false, 1, 2, 3)
	c.change(func(s *PartitionState) { s.ISR = []int32{1} })
	c.put(false, 1)
	c.change(func(s *PartitionState) { s.Leader, s.ISR, s.Recovering = 2, []int32{2}, true })
	late := at(c.send(2, "k"), 4)
	c.append(1, false, late)
	c.commit(1, 6)
	c.Fetched(&Fetched{
		Partition: p0, Node: 1, Records: reads(late, 4), FetchOffset: 4, HighWatermark: 6,
		Called: c.tick(), Consumer: 1,
	})
	c.HighWatermarkLearned(on(1), 6, 6)
	c.lead(2)
	require.EqualValues(t, 2, c.Partition(p0).Committed())
	require.EqualValues(t, 2, c.Excused().Acked)
	c.put(false, 2)
	c.follow(1)
	c.Truncated(on(1), 0, 2)
	c.expect()
}

// TestStaleCopies: who still has what is lost may show it until it has followed the new
// leader.
func TestStaleCopies(t *testing.T) {
	c := newTrio(t, Policy{})
	c.change(func(s *PartitionState) { s.ISR = []int32{1, 2} })
	b := c.put(false, 1, 2, 3)
	losing := func(node int32) {
		c.Judge.Stopped(on(node), false)
		c.Judge.Destroyed(on(node), 0, Power)
		c.Judge.Online(on(node), 0, 0)
	}
	losing(1)
	losing(2)
	c.elect(2, 2)
	c.follow(3)
	read := func() {
		c.Fetched(&Fetched{
			Partition: p0, Node: 3, Records: reads(b, 0), HighWatermark: 2, Called: c.tick(),
			Consumer: 1,
		})
	}
	read()
	c.Truncated(on(3), 0, 0)
	c.expect()
	read()
	c.expect("ReadPrefix/high-watermark-from-nowhere", "ReadPrefix/phantom")
}

// TestEligibleCleared: nobody is eligible any more, so that there is nobody left who has
// what the last one in sync lost.
func TestEligibleCleared(t *testing.T) {
	c := newTrio(t, Policy{})
	c.put(false, 1, 2, 3)
	c.change(func(s *PartitionState) { s.ISR, s.ELR = []int32{1}, []int32{2} })
	c.lose(Power, 0, 1)
	c.EligibleCleared(p0)
	c.elect(-1, 1)
	c.elect(1, 1)
	c.expect()
	require.EqualValues(t, 2, c.Excused().Acked)
}

// TestReturned: what a follower cut off may be back if the power failed before that was
// durable, and takes the place of what it wrote since.
func TestReturned(t *testing.T) {
	setup := func() (*trio, Batch, Batch, Batch) {
		c := newTrio(t, Policy{})
		one := c.put(false, 1, 2, 3)
		stale := at(c.send(2, "k"), 2)
		c.append(1, false, stale)
		c.elect(2, 2, 3)
		c.follow(1)
		c.Truncated(on(1), 0, 2)
		fresh := c.put(false, 2, 3)
		c.append(1, false, fresh)
		c.Judge.Stopped(on(1), false)
		c.Judge.Destroyed(on(1), 2, Power)
		return c, one, stale, fresh
	}
	c, one, stale, fresh := setup()
	c.Returned(on(1), []Batch{one, stale})
	c.Judge.Online(on(1), 0, 4)
	c.Judge.Inspected(on(1), []Batch{one, stale}, nil)
	c.follow(1)
	c.Truncated(on(1), 0, 2)
	c.append(1, false, fresh)
	c.change(func(s *PartitionState) { s.ISR = []int32{2, 3, 1} })
	c.expect()

	c, one, _, fresh = setup()
	c.Returned(on(1), []Batch{one, fresh})
	c.Judge.Online(on(1), 0, 4)
	c.expect()

	c, one, stale, _ = setup()
	stale.Hash++
	c.Returned(on(1), []Batch{one, stale})
	c.Judge.Online(on(1), 0, 4)
	c.Judge.Inspected(on(1), []Batch{one, stale}, nil)
	c.expect("RecoveryFidelity/other-batch")
}

// TestTakenBack: a consumer is told of losses that have an excuse, and of no others
// (KIP-320).
func TestTakenBack(t *testing.T) {
	told := func(c *trio, from, to int64) {
		c.ToldTruncated(&Truncation{
			Replica: on(2), Consumer: 1, Position: from, Offset: to, Called: c.tick(),
		})
	}
	c := newTrio(t, Policy{})
	one := c.put(true, 1, 2, 3)
	two := c.put(false, 1, 2, 3)
	told(c, 6, 4) // it was never committed
	c.expect()
	told(c, 4, 2)
	c.expect("ConsumerContiguity/taken-back")
	c.found = nil

	seen := append(reads(one, 0), reads(two, 2)...)
	c.Witnessed(1, p0, seen)
	losing(1, 2, 3)(c)
	c.elect(2, 2)
	told(c, 4, 2)
	c.Witnessed(1, p0, seen[:2])
	c.expect()
	c.Witnessed(1, p0, seen)
	c.expect("ConsumerContiguity/loss-untold")
	c.found = nil
	c.put(false, 2)
	c.Witnessed(1, p0, seen)
	c.expect("ConsumerContiguity/loss-untold")
}

// TestAnswersOfThePast: who leads no more may not know it, and tells of the past.
func TestAnswersOfThePast(t *testing.T) {
	c := newTrio(t, Policy{})
	c.put(false, 1, 2, 3)
	list := func(node int32, offset, called int64) bool {
		return c.Listed(&Listed{
			Partition: p0, Node: node, Target: ListLatest, Offset: offset, Called: called,
		})
	}
	early := c.tick()
	require.True(t, list(1, 2, early))
	c.elect(2, 2, 3)
	c.put(false, 2, 3)
	require.False(t, list(2, 2, early), "asked before it led")
	require.True(t, list(2, 4, c.tick()))
	require.False(t, list(1, 2, c.tick()))
	c.Judge.OutOfRange(1, on(1), 3, 4, c.tick())
	c.expect()
	list(2, 3, c.tick())
	c.Judge.OutOfRange(1, on(2), 3, 4, c.tick())
	c.expect("ListOffsetsMonotone/latest-fell", "ConsumerContiguity/out-of-range")
	c.found = nil
	c.follow(2) // and when it leads again, what it said meanwhile says nothing
	meanwhile := c.tick()
	require.False(t, list(2, 0, c.tick()))
	c.elect(2, 2, 3)
	require.False(t, list(2, 0, meanwhile))
	c.expect()
}
