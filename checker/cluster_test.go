package checker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// trio is a Judge with one partition that nodes 1 to 3 have copies of, and shorthands to
// feed it. Node 1 leads first, in epoch 0.
type trio struct {
	*bench
	state PartitionState
}

func newTrio(t *testing.T, policy Policy) *trio {
	c := &trio{bench: &bench{Judge: NewJudge(Limits{}), t: t}}
	c.Meet(p0, "a-0", policy)
	c.state = PartitionState{
		Partition: p0, Replicas: []int32{1, 2, 3}, ISR: []int32{1, 2, 3}, Leader: 1,
	}
	c.PartitionChanged(&c.state)
	for node := int32(1); node <= 3; node++ {
		c.Judge.Online(on(node), 0, 0)
	}
	c.lead(1)
	c.follow(2)
	c.follow(3)
	return c
}

func on(node int32) ReplicaID { return ReplicaID{p0, node} }

// change commits another state of the partition.
func (c *trio) change(change func(s *PartitionState)) {
	leader := c.state.Leader
	change(&c.state)
	c.state.PartitionEpoch++
	if c.state.Leader != leader {
		c.state.LeaderEpoch++
	}
	c.PartitionChanged(&c.state)
}

// elect makes a node the leader with an ISR.
func (c *trio) elect(leader int32, isr ...int32) {
	c.change(func(s *PartitionState) { s.Leader, s.ISR = leader, isr })
	if leader > 0 {
		c.lead(leader)
	}
}

func (c *trio) lead(node int32) {
	r := c.replica(on(node))
	c.LeaderStarted(on(node), c.state.LeaderEpoch, r.highWatermark, r.logEnd)
}

func (c *trio) follow(node int32) {
	r := c.replica(on(node))
	c.FollowerStarted(on(node), c.state.LeaderEpoch, r.highWatermark, r.logEnd)
}

// append appends batches to a copy and has them written, and synced if asked.
func (c *trio) append(node int32, synced bool, batches ...Batch) {
	for _, b := range batches {
		c.Judge.Appended(on(node), b)
		c.Judge.Written(on(node), b.EndOffset)
		if synced {
			c.Judge.Synced(on(node), b.EndOffset)
		}
	}
}

// batch announces a batch of two records at an offset, of the leader's epoch.
func (c *trio) batch(base int64) Batch {
	b := at(c.send(2, "k"), base)
	b.LeaderEpoch = c.state.LeaderEpoch
	return b
}

func (c *trio) commit(node int32, offset int64) {
	c.Judge.HighWatermark(on(node), offset, c.replica(on(node)).logEnd)
}

// put appends a batch to copies, the leader's first, and commits and acknowledges it.
func (c *trio) put(synced bool, nodes ...int32) Batch {
	b := c.batch(c.replica(on(nodes[0])).logEnd)
	for _, node := range nodes {
		c.append(node, synced, b)
	}
	c.commit(nodes[0], b.EndOffset)
	c.Acknowledged(&Answer{
		Replica: on(nodes[0]), Hash: b.Hash, Base: b.BaseOffset, Appended: b.BaseOffset, Acks: -1,
	})
	return b
}

func TestReplicasAgree(t *testing.T) {
	c := newTrio(t, Policy{Fsync: true})
	one := c.put(true, 1, 2, 3)
	c.HighWatermarkLearned(on(2), 2, 2)
	c.elect(2, 2, 3)
	two := c.put(true, 2, 3)
	c.follow(1)
	c.append(1, true, two)
	c.change(func(s *PartitionState) { s.ISR = []int32{2, 3, 1} })
	c.HighWatermarkLearned(on(1), 4, 4)
	c.expect()
	require.Equal(t, []Batch{one, two}, c.Partition(p0).Batches())
	end, high, known := c.Partition(p0).CopyOf(1)
	require.True(t, known)
	require.EqualValues(t, 4, end)
	require.EqualValues(t, 4, high)
	_, _, known = c.Partition(p0).CopyOf(7)
	require.False(t, known)
	require.Equal(t, int32(2), c.Partition(p0).State().Leader)
}

func TestLogMatching(t *testing.T) {
	c := newTrio(t, Policy{})
	b := c.batch(0)
	c.append(1, false, b)
	other := b
	other.Hash = 99
	c.append(2, false, other)
	c.expect("LogMatching/other-batch")

	c = newTrio(t, Policy{})
	c.append(2, false, c.batch(0))
	c.expect("LogMatching/from-nowhere")

	// The same batch after one of another epoch, which no leader wrote there.
	c = newTrio(t, Policy{})
	b = c.batch(0)
	c.append(1, false, b)
	c.append(2, false, b)
	c.elect(2, 2, 3)
	two := c.batch(2)
	c.append(2, false, two)
	b.LeaderEpoch = 1
	c.append(3, false, b, two)
	c.expect("OneLeader/two-writers", "LogMatching/from-nowhere", "LogMatching/other-history")
}

// TestFollowersTakeForCommitted: a follower's high watermark may fall, but what it takes
// for committed is.
func TestFollowersTakeForCommitted(t *testing.T) {
	c := newTrio(t, Policy{})
	c.put(false, 1, 2, 3)
	c.HighWatermarkLearned(on(2), 2, 2)
	c.HighWatermarkLearned(on(2), 0, 2)
	c.expect()
	c.HighWatermarkLearned(on(2), 3, 2)
	c.expect("Range/high-watermark-past-end")

	c = newTrio(t, Policy{})
	c.HighWatermarkLearned(on(2), 0, 1)
	c.expect("Range/wrong-end")

	c = newTrio(t, Policy{})
	b := c.batch(0)
	c.append(1, false, b)
	c.append(2, false, b)
	c.HighWatermarkLearned(on(2), 2, 2)
	c.expect("Range/high-watermark-from-nowhere")

	// Node 3 has a batch that node 1 never replicated.
	c = newTrio(t, Policy{})
	c.append(1, false, c.batch(0))
	c.elect(2, 2, 3)
	c.put(false, 2, 3)
	c.follow(1)
	c.HighWatermarkLearned(on(1), 2, 2)
	c.expect("LogMatching/committed-otherwise")
}

func TestOneLeader(t *testing.T) {
	c := newTrio(t, Policy{})
	c.LeaderStarted(on(2), 0, 0, 0)
	c.append(2, false, c.batch(0))
	c.append(1, false, c.batch(0))
	c.expect("OneLeader/usurped", "OneLeader/two-writers")

	c = newTrio(t, Policy{})
	c.elect(2, 2, 3)
	c.LeaderStarted(on(2), 0, 0, 0)
	c.FollowerStarted(on(1), 1, 0, 0)
	c.FollowerStarted(on(1), 0, 0, 0)
	c.expect("OneLeader/epoch-fell", "OneLeader/usurped", "OneLeader/epoch-fell")

	c = newTrio(t, Policy{})
	c.LeaderStarted(on(1), 0, 0, 1)
	c.FollowerStarted(on(2), 0, 0, 1)
	c.expect("Range/wrong-end", "Range/wrong-end")

	c = newTrio(t, Policy{})
	s := c.state
	s.Leader, s.PartitionEpoch = 2, 1
	c.PartitionChanged(&s)
	s.LeaderEpoch, s.PartitionEpoch = 5, 2
	c.PartitionChanged(&s)
	s.PartitionEpoch = 7
	c.PartitionChanged(&s)
	c.expect("OneLeader/two-leaders", "OneLeader/epoch-fell", "ISRLegality/partition-epoch")

	c = newTrio(t, Policy{})
	c.Judge.HighWatermark(on(2), 0, 0)
	c.expect("Range/high-watermark-of-follower")
}

// TestStaleLeaders: who does not know that another leads may begin to lead late, and
// commits nothing that the others do not hold.
func TestStaleLeaders(t *testing.T) {
	c := newTrio(t, Policy{})
	b := c.put(false, 1, 2, 3)
	c.elect(2, 2, 3)
	stale := at(c.send(2, "k"), 2)
	c.append(1, false, stale)
	fresh := c.put(false, 2, 3)
	c.LeaderStarted(on(1), 0, 2, 4)
	require.Equal(t, []Batch{b, fresh}, c.Partition(p0).Batches())
	c.expect()
	c.commit(1, 4)
	c.expect("LeaderCompleteness/committed-otherwise")
}

func TestLeaderCompleteness(t *testing.T) {
	c := newTrio(t, Policy{})
	b := c.batch(0)
	c.append(1, false, b)
	c.append(2, false, b)
	c.change(func(s *PartitionState) { s.ISR = []int32{1, 2} })
	c.commit(1, 2)
	c.expect()
	c.change(func(s *PartitionState) { s.ISR = []int32{1, 2, 3} })
	c.expect("LeaderCompleteness/joined-without")
	c.elect(3, 3)
	c.expect("LeaderCompleteness/joined-without", "LeaderCompleteness/elected-without")

	c = newTrio(t, Policy{})
	c.put(false, 1, 2, 3)
	c.follow(2)
	c.Truncated(on(2), 0, 2) // nothing goes
	c.append(2, false, c.batch(2))
	c.found = nil
	c.Truncated(on(2), 0, 2)
	c.expect()
	c.Truncated(on(2), 0, 0)
	c.expect("LeaderCompleteness/committed-truncated")

	c = newTrio(t, Policy{})
	c.change(func(s *PartitionState) { s.ISR = []int32{1} })
	c.change(func(s *PartitionState) { s.Leader, s.ISR = 2, []int32{2} })
	c.expect("LeaderCompleteness/unclean-election", "ISRLegality/unclean-unmarked")

	// Who is added may lead with the change that ends the reassignment, if it has all.
	for _, held := range []bool{true, false} {
		c = newTrio(t, Policy{})
		b = c.put(false, 1, 2, 3)
		c.change(func(s *PartitionState) {
			s.Replicas, s.Adding, s.Removing = []int32{4, 1, 2, 3}, []int32{4}, []int32{1, 2, 3}
		})
		c.Judge.Online(on(4), 0, 0)
		c.follow(4)
		if held {
			c.append(4, false, b)
		}
		c.change(func(s *PartitionState) {
			s.Replicas, s.Adding, s.Removing = []int32{4}, nil, nil
			s.ISR, s.Leader = []int32{4}, 4
		})
		if held {
			c.expect()
		} else {
			c.expect("LeaderCompleteness/joined-without")
		}
	}

	// The last known leader may come back where nobody is in sync (KIP-966).
	c = newTrio(t, Policy{})
	c.change(func(s *PartitionState) {
		s.Leader, s.ISR, s.LastKnownELR = -1, nil, []int32{1}
	})
	c.change(func(s *PartitionState) { s.Leader, s.ISR, s.Recovering = 1, []int32{1}, true })
	c.expect()
}

// TestReassignedLeader: the last replica of a reassignment may come in sync and lead with
// one change. Who joins otherwise may not.
func TestReassignedLeader(t *testing.T) {
	moving := func() *trio {
		c := newTrio(t, Policy{})
		c.elect(1, 1)
		c.change(func(s *PartitionState) {
			s.Replicas, s.Adding, s.Removing = []int32{1, 2}, []int32{2}, []int32{1}
		})
		return c
	}
	c := moving()
	c.change(func(s *PartitionState) {
		s.Replicas, s.ISR, s.Adding, s.Removing, s.Leader = []int32{2}, []int32{2}, nil, nil, 2
	})
	c.expect()

	c = newTrio(t, Policy{}) // nobody is added, who stays was not in sync
	c.elect(1, 1, 3)
	c.change(func(s *PartitionState) { s.Removing = []int32{1} })
	c.change(func(s *PartitionState) {
		s.Replicas, s.ISR, s.Removing, s.Leader = []int32{2, 3}, []int32{3, 2}, nil, 2
	})
	c.expect()

	c = moving()
	c.append(1, false, c.batch(0))
	c.commit(1, 2)
	c.change(func(s *PartitionState) {
		s.Replicas, s.ISR, s.Adding, s.Removing, s.Leader = []int32{2}, []int32{2}, nil, nil, 2
	})
	c.expect("LeaderCompleteness/joined-without")

	c = moving()
	c.change(func(s *PartitionState) { s.ISR, s.Leader = []int32{2}, 2 })
	c.expect("LeaderCompleteness/unclean-election", "ISRLegality/unclean-unmarked")

	c = moving()
	c.change(func(s *PartitionState) { s.Leader, s.ISR = -1, []int32{1} })
	c.change(func(s *PartitionState) {
		s.Replicas, s.ISR, s.Adding, s.Removing, s.Leader = []int32{2}, []int32{2}, nil, nil, 2
	})
	c.expect("LeaderCompleteness/unclean-election", "ISRLegality/unclean-unmarked")
}

// TestUncleanRevert: a reassignment may be called off when only who was added is in sync,
// if the topic allows unclean elections: who is put in sync instead need not be alive, and
// lacks what it lacks.
func TestUncleanRevert(t *testing.T) {
	for _, unclean := range []bool{true, false} {
		c := newTrio(t, Policy{Unclean: unclean})
		c.change(func(s *PartitionState) { s.Adding = []int32{3} })
		c.elect(3, 3)
		b := c.batch(0)
		c.append(3, true, b)
		c.commit(3, 2)
		c.BrokerChanged(BrokerState{ID: 1, Epoch: 7, Fenced: true})
		c.change(func(s *PartitionState) {
			s.Replicas, s.Adding, s.ISR, s.Leader = []int32{1, 2}, nil, []int32{1}, -1
		})
		if !unclean {
			c.expect("ISRLegality/inactive-joined", "LeaderCompleteness/joined-without")
			continue
		}
		c.BrokerChanged(BrokerState{ID: 1, Epoch: 8})
		c.elect(1, 1)
		c.expect()
		require.Zero(t, c.Partition(p0).Committed())
	}
}

// TestSetAside: a node may put aside what it has been relieved of while it was down, and
// begins anew if it becomes a replica again.
func TestSetAside(t *testing.T) {
	moved := func() *trio {
		c := newTrio(t, Policy{Fsync: true})
		c.put(true, 1, 2, 3)
		c.Judge.Stopped(on(3), true)
		c.change(func(s *PartitionState) { s.Replicas, s.ISR = []int32{1, 2}, []int32{1, 2} })
		return c
	}
	c := moved()
	c.SetAside(on(3))
	c.change(func(s *PartitionState) { s.Replicas, s.Adding = []int32{1, 2, 3}, []int32{3} })
	c.Judge.Online(on(3), 0, 0)
	c.expect()

	c = moved() // and back, before the node is up
	c.change(func(s *PartitionState) { s.Replicas, s.Adding = []int32{1, 2, 3}, []int32{3} })
	c.SetAside(on(3))
	c.expect()

	c = newTrio(t, Policy{})
	c.put(true, 1, 2, 3)
	c.Judge.Stopped(on(3), true)
	c.SetAside(on(3))
	c.expect("ISRLegality/replica-set-aside")
}

func TestISRLegality(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(c *trio, s *PartitionState)
		want   []string
	}{
		{"shrinks", func(_ *trio, s *PartitionState) { s.ISR = []int32{1} }, nil},
		{
			"a stranger",
			func(_ *trio, s *PartitionState) { s.ISR = []int32{1, 4} },
			[]string{"ISRLegality/not-a-replica"},
		},
		{
			"twice",
			func(_ *trio, s *PartitionState) { s.ISR = []int32{1, 1} },
			[]string{"ISRLegality/twice"},
		},
		{
			"without its leader",
			func(_ *trio, s *PartitionState) { s.ISR = []int32{2, 3} },
			[]string{"ISRLegality/leader-not-in-sync"},
		},
		{
			"nobody",
			func(_ *trio, s *PartitionState) { s.Leader, s.ISR = -1, nil },
			[]string{"ISRLegality/nobody"},
		},
		{
			"eligible only",
			func(_ *trio, s *PartitionState) { s.Leader, s.ISR, s.ELR = -1, nil, []int32{2} },
			nil,
		},
		{
			"in sync and eligible",
			func(_ *trio, s *PartitionState) { s.ELR = []int32{2} },
			[]string{"ISRLegality/in-sync-and-eligible"},
		},
		{
			"a fenced leader",
			func(c *trio, s *PartitionState) {
				c.BrokerChanged(BrokerState{ID: 2, Epoch: 7, Fenced: true})
				s.Leader = 2
			},
			[]string{"ISRLegality/fenced-elected"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newTrio(t, Policy{})
			c.change(func(s *PartitionState) { tt.change(c, s) })
			c.expect(tt.want...)
		})
	}
	for _, b := range []BrokerState{
		{ID: 3, Epoch: 1, Fenced: true}, {ID: 3, Epoch: 1, ShuttingDown: true},
	} {
		c := newTrio(t, Policy{})
		c.change(func(s *PartitionState) { s.ISR = []int32{1, 2} })
		c.BrokerChanged(b)
		c.change(func(s *PartitionState) { s.ISR = []int32{1, 2, 3} })
		c.expect("ISRLegality/inactive-joined")
	}
}

func TestBrokerEpochs(t *testing.T) {
	c := newTrio(t, Policy{})
	c.BrokerChanged(BrokerState{ID: 1, Epoch: 5})
	c.BrokerChanged(BrokerState{ID: 1, Epoch: 5, Fenced: true})
	c.BrokerChanged(BrokerState{ID: 1, Epoch: 9})
	c.expect()
	c.BrokerChanged(BrokerState{ID: 1, Epoch: 8})
	c.BrokerChanged(BrokerState{ID: 2, Epoch: 8})
	c.expect("BrokerEpochs/epoch-fell", "BrokerEpochs/epoch-twice")
}

// TestUncleanReturns: who comes back after an unclean end leaves the in-sync replicas with
// its registration, unless it is the last one.
func TestUncleanReturns(t *testing.T) {
	register := func(c *trio, change func(s *PartitionState)) {
		c.BrokerChanged(BrokerState{ID: 2, Epoch: 8, Fenced: true})
		if change != nil {
			c.change(change)
		}
		c.DecisionEnded()
	}
	for _, tt := range []struct {
		name   string
		clean  bool
		before func(s *PartitionState)
		change func(s *PartitionState)
		want   []string
	}{
		{"leaves", false, nil, func(s *PartitionState) { s.ISR = []int32{1, 3} }, nil},
		{"stays", false, nil, nil, []string{"ISRLegality/unclean-stayed"}},
		{
			"stays eligible", false, nil,
			func(s *PartitionState) { s.ISR, s.ELR = []int32{1, 3}, []int32{2} },
			[]string{"ISRLegality/unclean-stayed"},
		},
		{"the last one", false, func(s *PartitionState) { s.Leader, s.ISR = -1, []int32{2} }, nil, nil},
		{"after a clean end", true, nil, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newTrio(t, Policy{})
			if tt.before != nil {
				c.change(tt.before)
			}
			c.NodeStopped(2, tt.clean)
			register(c, tt.change)
			c.expect(tt.want...)
			c.BrokerChanged(BrokerState{ID: 2, Epoch: 8}) // it is unfenced
			c.DecisionEnded()
			c.expect(tt.want...)
		})
	}
}

// TestDepartedHeldIt: a leader may commit what an in-sync replica held that was relieved,
// and deleted its copy, before the leader knows of that.
func TestDepartedHeldIt(t *testing.T) {
	depart := func(nodes ...int32) *trio {
		c := newTrio(t, Policy{})
		c.Saw(on(1), c.state.PartitionEpoch, 2)
		b := c.batch(0)
		for _, node := range nodes {
			c.append(node, true, b)
		}
		c.change(func(s *PartitionState) { s.Replicas, s.ISR, s.LeaderEpoch = []int32{1, 2}, []int32{1, 2}, 1 })
		c.Removed(on(3))
		c.commit(1, 2)
		return c
	}
	depart(1, 2, 3).expect()
	depart(1, 2).expect("AckPolicy/committed-unheld")
	depart(1, 3).expect("AckPolicy/committed-unheld")
}

// TestHighWatermarkNeedsTheISR: what is committed all in-sync replicas hold, as the
// durability wants it, and they are enough (KIP-966).
func TestHighWatermarkNeedsTheISR(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fsync  bool
		synced bool
		nodes  []int32
		isr    []int32
		minISR int
		want   []string
	}{
		{"all hold it", false, false, []int32{1, 2, 3}, []int32{1, 2, 3}, 2, nil},
		{"who is in sync holds it", false, false, []int32{1, 2}, []int32{1, 2}, 2, nil},
		{
			"one does not", false, false,
			[]int32{1, 2},
			[]int32{1, 2, 3},
			2,
			[]string{"AckPolicy/committed-unheld"},
		},
		{"all have it synced", true, true, []int32{1, 2, 3}, []int32{1, 2, 3}, 2, nil},
		{
			"one has it unsynced", true, false,
			[]int32{1, 2},
			[]int32{1, 2},
			1,
			[]string{"AckPolicy/committed-unheld"},
		},
		{
			"too few", false, false,
			[]int32{1},
			[]int32{1},
			2,
			[]string{"AckPolicy/committed-under-min-isr"},
		},
		{"more than there are replicas", false, false, []int32{1, 2, 3}, []int32{1, 2, 3}, 5, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newTrio(t, Policy{Fsync: tt.fsync})
			c.change(func(s *PartitionState) { s.ISR = tt.isr })
			c.Saw(on(1), c.state.PartitionEpoch, tt.minISR)
			b := c.batch(0)
			for _, node := range tt.nodes {
				c.append(node, tt.synced || node == 1, b)
			}
			c.commit(1, 2)
			c.expect(tt.want...)
		})
	}

	// The leader may know of a shrink by the controller's answer before its image does,
	// but goes by no ISR that is older than its image.
	c := newTrio(t, Policy{})
	b := c.batch(0)
	c.append(1, false, b)
	c.append(2, false, b)
	c.Saw(on(1), 0, 1)
	c.change(func(s *PartitionState) { s.ISR = []int32{1, 2} })
	c.commit(1, 2)
	c.expect()
	c.append(3, false, b)
	c.change(func(s *PartitionState) { s.ISR = []int32{1, 2, 3} })
	c.Saw(on(1), c.state.PartitionEpoch, 1)
	two := c.batch(2)
	c.append(1, false, two)
	c.append(2, false, two)
	c.commit(1, 4)
	c.expect("AckPolicy/committed-unheld")

	// min.insync.replicas is lowered with what the leader does now.
	c = newTrio(t, Policy{})
	c.Saw(on(1), 0, 2)
	c.change(func(s *PartitionState) { s.ISR = []int32{1} })
	c.Foresees(on(1), 1)
	c.append(1, false, c.batch(0))
	c.commit(1, 2)
	c.expect()

	// A follower held it and lost it since: its last fetch may still be under way.
	c = newTrio(t, Policy{})
	b = c.batch(0)
	for node := int32(1); node <= 3; node++ {
		c.append(node, false, b)
	}
	c.Judge.Stopped(on(3), false)
	c.Judge.Destroyed(on(3), 0, Power)
	c.commit(1, 2)
	c.Judge.Online(on(3), 0, 0)
	c.expect()
}

// TestLateAnswers: an answer may have waited for its turn while its leader was deposed.
func TestLateAnswers(t *testing.T) {
	answer := func(c *trio, b Batch, acks int16) {
		c.Acknowledged(&Answer{
			Replica: on(1), Hash: b.Hash, Base: b.BaseOffset, Appended: b.BaseOffset, Acks: acks,
		})
	}
	c := newTrio(t, Policy{})
	b := c.put(false, 1, 2, 3)
	late := c.batch(2)
	c.append(1, false, late)
	c.elect(2, 2, 3)
	c.follow(1)
	c.Truncated(on(1), 0, 2)
	answer(c, b, -1)
	answer(c, late, 1)
	c.expect()
	answer(c, late, -1)
	c.expect("AckPolicy/acked-by-follower")
}

// TestLogsBeginAnew: a follower may begin where the leader's log begins, even within a
// batch, and a cleaned log has holes.
func TestLogsBeginAnew(t *testing.T) {
	c := newTrio(t, Policy{})
	var batches []Batch
	for range 3 {
		batches = append(batches, c.put(false, 1, 2, 3))
	}
	c.Judge.LogStart(on(1), 3)
	c.change(func(s *PartitionState) { s.ISR = []int32{1, 2} })
	c.Judge.Stopped(on(3), false)
	c.Judge.Destroyed(on(3), 0, Wiped)
	c.Judge.Online(on(3), 0, 0)
	c.follow(3)
	c.Truncated(on(3), 3, 3)
	c.append(3, false, batches[1:]...)
	c.Judge.Stopped(on(3), false)
	c.Judge.Destroyed(on(3), 2, Wiped)
	c.Judge.Online(on(3), 0, 0)
	c.Truncated(on(3), 3, 3)
	c.append(3, false, batches[1:]...)
	c.Judge.Removed(on(2))
	c.change(func(s *PartitionState) { s.ISR = []int32{1, 3} })
	c.elect(3, 3)
	c.expect()

	// What it had before, of another epoch, is not before what it has now.
	c = newTrio(t, Policy{})
	c.append(1, false, c.batch(0))
	c.elect(2, 2, 3)
	one := c.put(false, 2, 3)
	two := c.put(false, 2, 3)
	c.Judge.LogStart(on(2), 2)
	c.follow(1)
	c.Truncated(on(1), 2, 2)
	c.append(1, false, two)
	require.NotEqual(t, one.LeaderEpoch, 0)
	c.expect()

	c = newTrio(t, Policy{Compacted: true})
	for range 3 {
		c.put(false, 1, 2)
	}
	c.found = nil // node 3 is not in sync
	c.append(3, false, at(Batch{Hash: 5, EndOffset: 2, RecordCount: 1}, 4))
	c.HighWatermarkLearned(on(3), 6, 6)
	c.elect(3, 3)
	c.expect()
}

// TestLogsBeginAnewBehindAll: a log of which nothing is in the leader's any more is emptied
// and goes on where the leader's starts, with another history.
func TestLogsBeginAnewBehindAll(t *testing.T) {
	c := newTrio(t, Policy{})
	stale := c.batch(0)
	c.append(1, true, stale)
	c.append(3, true, stale)
	c.elect(2, 2)
	c.follow(1)
	c.follow(3)
	b := c.batch(0)
	c.append(2, true, b)
	c.commit(2, 2)
	c.Judge.LogStart(on(2), 2)
	next := c.batch(2)
	c.append(2, true, next)
	c.commit(2, 4)
	c.Truncated(on(3), 2, 2)
	c.append(3, true, next)
	c.HighWatermarkLearned(on(3), 4, 4)
	c.expect()
}
