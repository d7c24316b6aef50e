package quorum

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/heiban/heiban/clock"
)

func TestFaultsBreakNothing(t *testing.T) {
	seeds := uint64(120)
	if testing.Short() {
		seeds = 20
	}
	var all stats
	for seed := range seeds {
		r := run(drawPlan(seed))
		require.Empty(t, r.failure)
		all.add(&r.stats)
	}
	t.Logf("%+v", all)
	for name, n := range map[string]int{
		"elections": all.elections, "commits": all.commits, "crashes": all.crashes,
		"writesLost": all.writesLost, "writesTorn": all.writesTorn, "installed": all.installed,
		"transfers": all.transfers, "changes": all.changes, "joint": all.joint,
		"reads": all.reads, "compactions": all.compactions, "refusedBusy": all.refusedBusy,
	} {
		require.NotZero(t, n, name)
	}
}

// storeAll answers every write until there is none.
func storeAll(e *Engine, now clock.Instant, fx *Effects) {
	for len(e.writes) > 0 {
		e.Stored(now, e.writes[0].token, fx)
	}
}

func alone(restored Restored, fx *Effects) *Engine {
	return New(0, Options{NodeID: 0, Restored: restored}, fx)
}

func TestSoleVoterLeadsAtOnceAndCommitsWhatIsStored(t *testing.T) {
	var fx Effects
	e := alone(Bootstrap([]NodeID{0}), &fx)
	require.Equal(t, clock.Instant(0), e.Deadline())
	e.Advance(0, &fx)
	require.Equal(t, Candidate, e.Role())
	require.Len(t, fx.Writes, 1)
	require.Equal(t, HardState{Term: 2, Vote: 0, Commit: 1}, fx.Writes[0].HardState)

	fx.Reset()
	e.Stored(1, 1, &fx)
	require.Equal(t, Leader, e.Role())
	require.False(t, e.Active())
	require.Equal(t, []Entry{{Index: 2, Term: 2, Kind: KindEmpty}}, fx.Writes[0].Entries)
	require.Equal(t, RefusedNotReady, e.ReadIndex(1, 7, &fx))

	fx.Reset()
	at, refusal := e.Propose(1, []byte("a"), &fx)
	require.Equal(t, Accepted, refusal)
	require.Equal(t, Position{Index: 3, Term: 2}, at)
	require.Empty(t, fx.Commits)
	e.Stored(2, 2, &fx)
	require.True(t, e.Active())
	e.Stored(3, 3, &fx)
	require.Equal(t, []Entry{
		{Index: 2, Term: 2, Kind: KindEmpty}, {Index: 3, Term: 2, Data: []byte("a")},
	}, fx.Commits)
	require.Equal(t, Accepted, e.ReadIndex(3, 7, &fx))
	require.Equal(t, []Read{{ID: 7, Index: 3}}, fx.Reads)
	require.Empty(t, fx.Sends)
}

func TestVotesAreAskedForOnceTheTermIsStored(t *testing.T) {
	var fx Effects
	e := New(0, Options{NodeID: 0, Restored: Bootstrap([]NodeID{0, 1, 2})}, &fx)
	e.Advance(e.timer.campaignAt, &fx)
	require.Equal(t, Prospective, e.Role())
	require.Len(t, fx.Sends, 2)
	require.Empty(t, fx.Writes)

	fx.Reset()
	require.NoError(t, e.Receive(e.timer.campaignAt, encode(&raftpb.Message{
		Type: raftpb.MsgPreVoteResp.Enum(), From: new(raftID(1)), To: new(raftID(0)),
		Term: new(uint64(2)),
	}), &fx))
	require.Equal(t, Candidate, e.Role())
	require.Equal(t, HardState{Term: 2, Vote: 0, Commit: 1}, fx.Writes[0].HardState)
	require.Empty(t, fx.Sends)
	e.Stored(e.timer.campaignAt, 1, &fx)
	require.Len(t, fx.Sends, 2)
}

func TestRestoreReconcilesLogAndHardState(t *testing.T) {
	first := Bootstrap([]NodeID{0, 1})
	entries := []Entry{
		{Index: 2, Term: 2, Kind: KindEmpty}, {Index: 3, Term: 4, Data: []byte("a")},
	}
	for _, test := range []struct {
		name      string
		hard      HardState
		entries   []Entry
		want      HardState
		committed int
	}{
		{
			"log ahead",
			HardState{Term: 2, Vote: 1, Commit: 2},
			entries,
			HardState{Term: 4, Vote: NoNode, Commit: 2},
			1,
		},
		{
			"log behind",
			HardState{Term: 9, Vote: 0, Commit: 8},
			entries[:1],
			HardState{Term: 9, Vote: 0, Commit: 2},
			1,
		},
		{
			"commit below the snapshot",
			HardState{Term: 4, Vote: 1},
			entries,
			HardState{Term: 4, Vote: 1, Commit: 1},
			0,
		},
		{
			"nothing but the snapshot",
			HardState{Vote: NoNode},
			nil,
			HardState{Term: 1, Vote: NoNode, Commit: 1},
			0,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var fx Effects
			e := alone(Restored{
				HardState: test.hard, Snapshot: first.Snapshot, Entries: test.entries,
			}, &fx)
			require.Equal(t, test.want, e.hard)
			require.Len(t, fx.Commits, test.committed)
			require.Equal(t, NoNode, e.Leader())
		})
	}
}

func TestWindowRefusesWhenFull(t *testing.T) {
	var fx Effects
	e := New(0, Options{
		NodeID: 0, Restored: Bootstrap([]NodeID{0}), WindowBytesMax: 1000,
	}, &fx)
	e.Advance(0, &fx)
	storeAll(e, 0, &fx)
	refusal := Accepted
	for n := 0; refusal == Accepted; n++ {
		require.Less(t, n, 10)
		_, refusal = e.Propose(0, make([]byte, 200), &fx)
		storeAll(e, 0, &fx)
	}
	require.Equal(t, RefusedBusy, refusal)
	require.True(t, e.WantsSnapshot())
	e.Compact(e.Snapshot().Index)
	require.False(t, e.WantsSnapshot())
	require.Zero(t, e.WindowBytes())
	_, refusal = e.Propose(0, []byte("a"), &fx)
	require.Equal(t, Accepted, refusal)
}

func TestChangesThatCannotBeAreRefused(t *testing.T) {
	var fx Effects
	e := alone(Bootstrap([]NodeID{0}), &fx)
	change := func(changes ...Change) Refusal {
		_, refusal := e.ProposeChange(0, changes, &fx)
		return refusal
	}
	require.Equal(t, RefusedNotReady, change(Change{1, AddLearner}))
	e.Advance(0, &fx)
	storeAll(e, 0, &fx)
	require.Equal(t, RefusedInvalid, change())
	require.Equal(t, RefusedInvalid, change(Change{0, Remove}))
	require.Equal(t, RefusedInvalid, change(Change{0, AddLearner}))
	require.Equal(t, RefusedInvalid, change(Change{NoNode, AddLearner}))
	require.Equal(t, RefusedInvalid, change(Change{1, AddVoter}, Change{1, Remove}))
	require.Equal(t, Accepted, change(Change{1, AddLearner}))
	require.Equal(t, RefusedPending, change(Change{2, AddLearner}))
	_, refusal := e.Propose(0, []byte("a"), &fx)
	require.Equal(t, RefusedBusy, refusal, "until the change is durably known")
	storeAll(e, 0, &fx)
	require.Equal(t, []NodeID{1}, e.Membership().Learners)
	_, refusal = e.Propose(0, []byte("a"), &fx)
	require.Equal(t, Accepted, refusal)
	require.Equal(t, RefusedInvalid, e.TransferLeadership(0, 1, &fx))
}

func TestTimeoutsAreKeyedAndInRange(t *testing.T) {
	options := Options{NodeID: 3, Seed: 5}
	withDefaults(&options)
	drawn := map[clock.Duration]bool{}
	for range 2 {
		a := newTimer(0, &options, 1)
		for term := range uint64(20) {
			a.entered(0, term, false)
			a.draw(0)
			drawn[a.timeout] = true
			require.GreaterOrEqual(t, a.timeout, options.ElectionTimeout)
			require.Less(t, a.timeout, 2*options.ElectionTimeout)
		}
	}
	require.Len(t, drawn, 20)
}

func TestReceiveRefusesWhatNoPeerSends(t *testing.T) {
	var fx Effects
	e := alone(Bootstrap([]NodeID{0, 1}), &fx)
	require.Error(t, e.Receive(0, []byte{0xff}, &fx))
	for _, m := range []*raftpb.Message{
		{To: new(uint64(1)), From: new(uint64(1)), Type: raftpb.MsgHeartbeat.Enum()},
		{To: new(uint64(2)), From: new(uint64(2)), Type: raftpb.MsgHeartbeat.Enum()},
		{To: new(uint64(1)), From: new(uint64(2)), Type: raftpb.MsgProp.Enum()},
		{To: new(uint64(1)), From: new(uint64(2)), Type: raftpb.MsgHup.Enum()},
		{To: new(uint64(1)), From: new(uint64(2)), Type: raftpb.MsgSnap.Enum(), Term: new(uint64(9))},
		{
			To: new(uint64(1)), From: new(uint64(2)), Type: raftpb.MsgApp.Enum(),
			Term: new(uint64(3)), Entries: []*raftpb.Entry{{Index: new(uint64(7))}},
		},
	} {
		require.Error(t, e.Receive(0, encode(m), &fx))
	}
	require.Equal(t, uint64(1), e.Term())
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(&raftpb.Message{
		To: new(uint64(1)), From: new(uint64(2)), Type: raftpb.MsgApp.Enum(), Term: new(uint64(3)),
		Entries: []*raftpb.Entry{{
			Index: new(uint64(1)), Term: new(uint64(1)), Type: raftpb.EntryConfChangeV2.Enum(),
		}},
	}))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decode(data, 1)
		if err != nil {
			return
		}
		again, err := decode(encode(m), 1)
		require.NoError(t, err)
		require.Equal(t, encode(m), encode(again))
	})
}
