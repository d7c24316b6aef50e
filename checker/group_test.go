package checker

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/clock"
)

// groupBench is a Groups over one partition, and shorthands to feed it.
type groupBench struct {
	*bench
	g    *Groups
	tags int
	now  clock.Instant
}

func newGroupBench(t *testing.T, o GroupOptions) *groupBench {
	b := &groupBench{bench: newBench(t, Policy{}), now: clock.Instant(clock.Hour)}
	b.g = NewGroups(b.Judge, o)
	return b
}

func (b *groupBench) commit(member string, epoch int32, offset int64) (CommitRef, string) {
	b.tags++
	tag := string(rune('a' + b.tags))
	return b.g.Commit(&OffsetCommit{
		Group: "g", Member: member, Tag: tag, Partition: p0, Offset: offset, Epoch: epoch,
		Client: b.tags, Classic: true,
	}), tag
}

func (b *groupBench) committed(member string, epoch int32, offset int64) string {
	ref, tag := b.commit(member, epoch, offset)
	b.g.Committed("g", ref, Done)
	return tag
}

func (b *groupBench) fetched(tag string, offset int64) { b.fetchedSince(b.g.Now(), tag, offset) }

func (b *groupBench) fetchedSince(called int64, tag string, offset int64) {
	b.g.OffsetFetched(&OffsetRead{
		Group: "g", Tag: tag, Partition: p0, Offset: offset, Called: called, Client: 100,
	})
}

// answered tells a member of an epoch or generation.
func (b *groupBench) answered(member string, epoch int32, edit func(*GroupAnswer)) {
	a := GroupAnswer{
		Group: "g", Member: member, Sent: b.now, Now: b.now, Called: b.g.Now(),
		Session: clock.Second, Rebalance: 10 * clock.Second, Epoch: epoch, Classic: true, Led: true,
	}
	if edit != nil {
		edit(&a)
	}
	b.g.Answered(&a)
}

func consumerProtocol(a *GroupAnswer) { a.Classic, a.Led = false, false }

func (b *groupBench) took(member string, epoch int32) {
	b.g.Took("g", member, p0, epoch, b.now, b.now)
}

func TestCommittedOffsets(t *testing.T) {
	for _, c := range []struct {
		name  string
		does  func(b *groupBench)
		found []string
	}{
		{"a life", func(b *groupBench) {
			b.fetched("", -1)
			b.fetched(b.committed("m", 1, 1), 1)
			tag := b.committed("m", 1, 2)
			b.fetched(tag, 2)
			b.fetched(b.committed("m", 1, 1), 1) // back, because somebody wished so
		}, nil},
		{"lost", func(b *groupBench) {
			b.committed("m", 1, 1)
			b.fetched("", -1)
		}, []string{"CommittedOffsets/lost", "CommittedOffsets/illegal"}},
		{"asked before it was acknowledged", func(b *groupBench) {
			ref, _ := b.commit("m", 1, 1)
			called := b.g.Now()
			b.g.Committed("g", ref, Done)
			b.fetchedSince(called, "", -1)
		}, nil},
		{"an older one", func(b *groupBench) {
			tag := b.committed("m", 1, 1)
			b.committed("m", 1, 2)
			b.fetched(tag, 1)
		}, []string{"CommittedOffsets/stale-read", "CommittedOffsets/illegal"}},
		{"of unknown outcome, late", func(b *groupBench) {
			ref, tag := b.commit("m", 1, 1)
			b.g.Committed("g", ref, Unknown)
			b.fetched(b.committed("m", 1, 2), 2)
			b.fetched(tag, 1)
			b.fetched(tag, 1)
		}, nil},
		{"of unknown outcome, and gone again", func(b *groupBench) {
			_, tag := b.commit("m", 1, 1)
			b.fetched(tag, 1)
			b.fetched("", -1)
		}, []string{"CommittedOffsets/lost", "CommittedOffsets/illegal"}},
		{"of unknown outcome, never", func(b *groupBench) {
			b.commit("m", 1, 1)
			b.fetched("", -1)
		}, nil},
		{"refused", func(b *groupBench) {
			ref, tag := b.commit("m", 1, 1)
			b.g.Committed("g", ref, Refused)
			b.fetched("", -1)
			b.fetched(tag, 1)
		}, []string{"CommittedOffsets/refused-took-effect"}},
		{"from nowhere", func(b *groupBench) {
			b.fetched("z", 1)
		}, []string{"CommittedOffsets/phantom"}},
		{"another offset", func(b *groupBench) {
			b.fetched(b.committed("m", 1, 1), 2)
		}, []string{"CommittedOffsets/changed"}},
		{"two in turn", func(b *groupBench) {
			one, tagOne := b.commit("m", 1, 1)
			two, tagTwo := b.commit("m", 1, 2)
			b.g.Committed("g", one, Done)
			b.g.Committed("g", two, Done)
			b.fetched(tagOne, 1)
			b.fetched(tagOne, 1)
			b.fetched(tagTwo, 2) // only porcupine sees that both cannot have been last
		}, []string{"CommittedOffsets/illegal"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newGroupBench(t, GroupOptions{})
			b.put(5, -1)
			b.g.Delivered("g", p0, 0, 5)
			c.does(b)
			b.g.Check(true)
			b.expect(c.found...)
		})
	}
}

func TestZombiesCommitNothing(t *testing.T) {
	b := newGroupBench(t, GroupOptions{})
	b.answered("m", 1, nil)
	late, _ := b.commit("m", 1, 0) // called in time, whenever it is carried out
	b.answered("n", 2, nil)
	b.g.Committed("g", late, Done)
	b.expect()
	b.committed("m", 1, 0)
	b.expect("CommittedOffsets/stale-accepted")

	b = newGroupBench(t, GroupOptions{})
	b.answered("n", 2, nil)
	_, tag := b.commit("m", 1, 0)
	b.fetched(tag, 0)
	b.expect("CommittedOffsets/stale-took-effect")

	// In the consumer protocol each member has its own epoch.
	b = newGroupBench(t, GroupOptions{})
	b.answered("m", 1, consumerProtocol)
	b.answered("n", 2, consumerProtocol)
	ref := b.g.Commit(&OffsetCommit{Group: "g", Member: "m", Tag: "x", Partition: p0, Epoch: 1})
	b.g.Committed("g", ref, Done)
	b.answered("m", 2, consumerProtocol)
	b.expect()
	ref = b.g.Commit(&OffsetCommit{Group: "g", Member: "m", Tag: "y", Partition: p0, Epoch: 1})
	b.g.Committed("g", ref, Done)
	b.expect("CommittedOffsets/stale-accepted")
}

func TestDeliveryToGroups(t *testing.T) {
	b := newGroupBench(t, GroupOptions{})
	b.put(5, -1)
	b.g.Delivered("g", p0, 3, 5)
	b.g.Delivered("g", p0, 0, 1)
	b.g.Delivered("g", p0, 2, 3)
	b.fetched(b.committed("m", 1, 1), 1)
	b.g.Check(false)
	b.expect()
	b.g.Check(true)
	b.expect("GroupDelivery/never-delivered")
	b.fetched(b.committed("m", 1, 5), 5)
	b.expect("GroupDelivery/never-delivered", "GroupDelivery/skipped")
	b.g.Delivered("g", p0, 1, 2)
	b.fetched(b.committed("m", 1, 5), 5)
	b.g.Check(true)
	b.expect("GroupDelivery/never-delivered", "GroupDelivery/skipped")
	require.Equal(t, []span{{0, 5}}, b.g.book("g").register(p0).delivered)
}

func TestOffsetsExpire(t *testing.T) {
	b := newGroupBench(t, GroupOptions{Retention: clock.Minute})
	back := func(after clock.Duration) {
		b.now = b.now.Add(after)
		b.answered("m", 1, func(a *GroupAnswer) { a.Joined = after > clock.Second })
	}
	b.answered("m", 1, func(a *GroupAnswer) { a.Joined = true })
	b.committed("m", 1, 0)
	for range 100 {
		back(clock.Second) // no time without members
	}
	b.fetched("", -1)
	b.expect("CommittedOffsets/lost")

	b.committed("m", 1, 0)
	back(30 * clock.Second)
	b.fetched("", -1)
	b.expect("CommittedOffsets/lost", "CommittedOffsets/lost")

	back(2 * clock.Minute)
	b.fetched("", -1)
	b.g.Check(true)
	b.expect("CommittedOffsets/lost", "CommittedOffsets/lost")
	b.committed("m", 1, 0)
	b.fetched("", -1)
	b.expect("CommittedOffsets/lost", "CommittedOffsets/lost", "CommittedOffsets/lost")

	// Who says goodbye may be gone before its session is over.
	b = newGroupBench(t, GroupOptions{Retention: clock.Minute})
	consumer := func(a *GroupAnswer) { a.Joined, a.Classic, a.Session = true, false, clock.Minute }
	b.answered("m", 1, consumer)
	b.committed("m", 1, 0)
	b.now = b.now.Add(clock.Second)
	b.g.Left("g", "m", b.now)
	b.now = b.now.Add(clock.Second)
	b.answered("n", 1, consumer)
	b.fetched("", -1)
	b.committed("n", 1, 0)
	b.g.Refused("g", "n") // and so may be who was thrown out
	b.now = b.now.Add(clock.Second)
	b.answered("o", 1, consumer)
	b.fetched("", -1)
	b.expect()

	// A consumer group without members forgets at once what is old.
	b = newGroupBench(t, GroupOptions{Retention: clock.Minute})
	b.answered("m", 1, func(a *GroupAnswer) { a.Joined, a.Classic = true, false })
	b.committed("m", 1, 0)
	b.now = b.now.Add(2 * clock.Second)
	b.answered("m", 2, func(a *GroupAnswer) { a.Joined, a.Classic = true, false })
	b.fetched("", -1)
	b.expect()
}

func TestGroupEpochs(t *testing.T) {
	b := newGroupBench(t, GroupOptions{})
	b.answered("m", 2, nil)
	b.answered("n", 2, nil)
	b.answered("m", 3, nil)
	called := b.g.Now()
	b.answered("n", 4, nil)
	b.answered("o", 3, func(a *GroupAnswer) { a.Called = called })
	b.expect()
	b.answered("o", 3, nil)
	b.expect("GroupEpochs/generation-fell")
	b.answered("n", 3, func(a *GroupAnswer) { a.Led = false })
	b.expect("GroupEpochs/generation-fell", "GroupEpochs/epoch-fell")

	b = newGroupBench(t, GroupOptions{})
	b.answered("m", 5, consumerProtocol)
	b.answered("n", 3, consumerProtocol) // it has something to give up
	b.answered("m", 2, func(a *GroupAnswer) { consumerProtocol(a); a.Joined, a.Instance = true, "i" })
	b.expect()
	b.answered("o", 3, func(a *GroupAnswer) { consumerProtocol(a); a.Joined = true })
	b.expect("GroupEpochs/generation-fell")

	// A group that changes its protocol may begin anew.
	b = newGroupBench(t, GroupOptions{Mixed: true})
	b.answered("m", 5, nil)
	b.answered("o", 1, nil)
	b.committed("o", 1, 0)
	b.expect()
}

func TestGroupOwners(t *testing.T) {
	b := newGroupBench(t, GroupOptions{})
	b.answered("m", 1, nil)
	b.took("m", 1)
	b.answered("n", 2, nil)
	b.took("n", 2) // m has not heard of it, and cannot commit
	b.took("n", 2)
	b.expect()
	b.took("m", 2)
	b.expect("GroupOwners/two-owners")

	// A static member that was started again has what the other had.
	b = newGroupBench(t, GroupOptions{})
	b.answered("m", 1, func(a *GroupAnswer) { a.Instance = "i" })
	b.took("m", 1)
	b.answered("n", 1, func(a *GroupAnswer) { a.Instance = "i" })
	b.took("n", 1)
	b.expect()

	// Two nodes that lead one after the other may both begin a generation 1.
	b = newGroupBench(t, GroupOptions{})
	b.g.Shared("g", 1, map[string][]int{"m": {1}})
	b.g.Shared("g", 1, map[string][]int{"m": {1}})
	b.g.Shared("g", 1, map[string][]int{"n": {1, 2}})
	b.took("m", 1)
	b.took("n", 1)
	b.g.Assigned("g", "m", 1, []int{1})
	b.g.Assigned("g", "n", 1, []int{2, 1})
	b.g.Assigned("g", "x", 1, nil)
	b.expect()
	b.g.Assigned("g", "m", 1, []int{2})
	b.expect("GroupOwners/assigned-by-nobody")
	b.g.Assigned("g", "m", 2, []int{1})
	b.expect("GroupOwners/assigned-by-nobody", "GroupOwners/assigned-by-nobody")

	b.g.Named("g", "m", 1)
	b.g.Named("g", "m", 1)
	b.g.Named("g", "n", 2)
	b.expect("GroupOwners/assigned-by-nobody", "GroupOwners/assigned-by-nobody")
	b.g.Named("g", "m", 2)
	b.expect("GroupOwners/assigned-by-nobody", "GroupOwners/assigned-by-nobody",
		"GroupOwners/not-fenced")
}

func TestOwnersInTheConsumerProtocol(t *testing.T) {
	begin := func() *groupBench {
		b := newGroupBench(t, GroupOptions{})
		b.answered("m", 1, consumerProtocol)
		b.took("m", 1)
		b.answered("n", 2, consumerProtocol)
		return b
	}
	b := begin()
	b.g.Gave("g", "m", p0)
	b.took("n", 2)
	b.expect()

	b = begin()
	b.now = b.now.Add(clock.Second / 2)
	b.took("n", 2)
	b.expect("GroupOwners/two-owners")

	b = begin() // m was not heard of
	b.now = b.now.Add(clock.Second)
	b.took("n", 2)
	b.expect()

	b = begin() // m keeps what it was told to give up
	for range 19 {
		b.now = b.now.Add(clock.Second / 2)
		b.answered("m", 1, consumerProtocol)
	}
	b.took("n", 2)
	b.expect("GroupOwners/two-owners")
	b.now = b.now.Add(clock.Second / 2)
	b.answered("m", 1, consumerProtocol)
	b.took("n", 2)
	b.expect("GroupOwners/two-owners")
}

// TestOnlyLeadersOfTheGroupAreJudged: who leads the partition of the group no longer may
// speak of the past.
func TestOnlyLeadersOfTheGroupAreJudged(t *testing.T) {
	b := newGroupBench(t, GroupOptions{})
	id := PartitionID{Topic: TopicID{9}, Index: partitionOfGroup("g", 2)}
	other := PartitionID{Topic: TopicID{9}, Index: 1 - id.Index}
	for _, p := range []PartitionID{id, other} {
		b.Meet(p, fmt.Sprintf("__consumer_offsets-%d", p.Index), Policy{Compacted: true})
	}
	on := func(p PartitionID, node int32) ReplicaID { return ReplicaID{PartitionID: p, Node: node} }
	b.Judge.Online(on(id, 0), 0, 0)
	b.Judge.Online(on(id, 1), 0, 0)
	b.LeaderStarted(on(id, 0), 1, 0, 0)
	b.committed("m", 1, 0)
	called := b.g.Now()
	b.LeaderStarted(on(id, 1), 2, 0, 0)
	b.fetchedSince(called, "", -1)
	b.fetched("", -1)
	b.expect()
	b.commit("m", 1, 0)
	b.g.OffsetFetched(&OffsetRead{
		Group: "g", Partition: p0, Offset: -1, Called: b.g.Now(), Node: 1,
	})
	b.expect("CommittedOffsets/lost")
}

func TestPartitionOfGroup(t *testing.T) {
	require.EqualValues(t, 'g'%50, partitionOfGroup("g", 50))
	require.EqualValues(t, 0, partitionOfGroup("polygenelubricants", 50)) // its hash is -2^31
	require.EqualValues(t, (31*0xd83d+0xde00)%50, partitionOfGroup("\U0001f600", 50))
}
