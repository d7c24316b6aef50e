package checker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// quorum is a Judge of three voters with empty logs.
type quorumBench struct{ *bench }

func newQuorum(t *testing.T) *quorumBench {
	q := &quorumBench{&bench{Judge: NewJudge(Limits{Voters: 3}), t: t}}
	for node := int32(1); node <= 3; node++ {
		q.MetadataFound(node, nil, 0)
	}
	return q
}

func entry(base int64, epoch int32, hash uint64) Batch {
	return Batch{BaseOffset: base, EndOffset: base + 1, LeaderEpoch: epoch, Hash: hash}
}

// append appends a batch to the logs of nodes and has it synced.
func (q *quorumBench) append(b Batch, nodes ...int32) {
	for _, node := range nodes {
		q.MetadataAppended(node, b)
		q.MetadataSynced(node, b.EndOffset)
	}
}

func TestMetadataLog(t *testing.T) {
	q := newQuorum(t)
	q.append(entry(0, 1, 10), 1, 2, 3)
	q.append(entry(1, 1, 11), 1)       // nobody else has it
	q.append(entry(1, 2, 12), 2, 3, 1) // and node 1 cuts it off
	require.Equal(t, []Batch{entry(0, 1, 10), entry(1, 2, 12)}, q.MetadataApplied(2, 2))
	require.Empty(t, q.MetadataApplied(1, 1))
	require.Empty(t, q.MetadataApplied(1, 2))
	require.EqualValues(t, 2, q.MetadataEnd())
	require.EqualValues(t, 2, q.MetadataAppliedBy(1))
	require.EqualValues(t, 0, q.MetadataAppliedBy(3))
	q.MetadataFound(1, []Batch{entry(0, 1, 10), entry(1, 2, 12)}, 2) // it begins again
	q.MetadataApplied(1, 1)
	q.ControllerStarted(1, 4)
	q.ControllerStarted(1, 4)
	q.expect()
	q.ControllerStarted(2, 4)
	q.expect("MetadataLog/two-controllers")
}

// TestMetadataHeld: a node may know of more that is committed than its image is made of.
func TestMetadataHeld(t *testing.T) {
	q := newQuorum(t)
	q.append(entry(0, 1, 10), 1, 2, 3)
	q.append(entry(1, 1, 11), 1, 2)
	require.Len(t, q.MetadataApplied(1, 1), 1)
	require.Equal(t, []Batch{entry(1, 1, 11)}, q.MetadataCommitted(1, 2))
	require.EqualValues(t, 1, q.MetadataAppliedBy(1))
	require.EqualValues(t, 2, q.MetadataEnd())
	require.Empty(t, q.MetadataApplied(2, 1))
	require.Empty(t, q.MetadataApplied(1, 2))
	q.expect()
	q.append(entry(2, 1, 12), 1)
	q.MetadataCommitted(1, 3)
	q.expect("MetadataLog/committed-unheld")
}

func TestMetadataLogIsBroken(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(q *quorumBench)
		want string
	}{
		{"two batches of an epoch", func(q *quorumBench) {
			q.append(entry(0, 1, 10), 1)
			q.append(entry(0, 1, 11), 2)
		}, "other-batch"},
		{"two histories", func(q *quorumBench) {
			q.append(entry(0, 1, 10), 1)
			q.append(entry(1, 3, 12), 1)
			q.append(entry(0, 2, 11), 2)
			q.append(entry(1, 3, 12), 2)
		}, "other-history"},
		{"epochs fall", func(q *quorumBench) {
			q.append(entry(0, 2, 10), 1)
			q.append(entry(1, 1, 11), 1)
		}, "epoch-fell"},
		{"a hole", func(q *quorumBench) {
			q.append(entry(1, 1, 11), 1)
		}, "gap"},
		{"applied by a minority", func(q *quorumBench) {
			q.append(entry(0, 1, 10), 1)
			q.MetadataApplied(1, 1)
		}, "committed-unheld"},
		{"applied before it is synced", func(q *quorumBench) {
			q.append(entry(0, 1, 10), 1)
			q.MetadataAppended(2, entry(0, 1, 10))
			q.MetadataApplied(1, 1)
		}, "committed-unheld"},
		{"applied without having it", func(q *quorumBench) {
			q.append(entry(0, 1, 10), 1, 2)
			q.MetadataApplied(3, 1)
		}, "from-nowhere"},
		{"two truths", func(q *quorumBench) {
			q.append(entry(0, 1, 10), 1, 2)
			q.append(entry(0, 2, 11), 3)
			q.MetadataApplied(1, 1)
			q.MetadataApplied(3, 1)
		}, "committed-otherwise"},
		{"cut below what is committed", func(q *quorumBench) {
			q.append(entry(0, 1, 10), 1, 2)
			q.MetadataApplied(1, 1)
			q.append(entry(0, 2, 11), 2)
		}, "committed-truncated"},
		{"an image goes back", func(q *quorumBench) {
			q.append(entry(0, 1, 10), 1, 2)
			q.MetadataApplied(1, 1)
			q.MetadataApplied(1, 0)
		}, "image-fell"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := newQuorum(t)
			tt.do(q)
			q.expect("MetadataLog/" + tt.want)
		})
	}

	// A voter that begins again with less than it said it had.
	q := newQuorum(t)
	q.append(entry(0, 1, 10), 1, 2)
	q.MetadataFound(2, nil, 0)
	q.MetadataApplied(1, 1)
	q.expect("MetadataLog/committed-unheld")

	// A quorum of one may lose what did not count yet, and write in its place.
	b := newBench(t, Policy{})
	b.MetadataAppended(0, entry(0, 1, 10))
	b.MetadataFound(0, nil, 0)
	b.MetadataAppended(0, entry(0, 1, 11))
	b.expect()
}

func TestMetadataViews(t *testing.T) {
	id, other := TopicID{7}, TopicID{8}
	setup := func() *bench {
		b := newBench(t, Policy{})
		b.NodeStarted(1)
		b.NodeStarted(2)
		b.TopicChanged("x", id)
		b.TopicChanged("x", TopicID{})
		b.TopicChanged("x", other)
		return b
	}
	b := setup()
	early := b.tick()
	b.Described(1, "x", TopicID{}, b.tick()) // it need not know of anything
	b.Described(1, "x", id, b.tick())
	b.Described(2, "x", other, b.tick())
	b.Described(1, "x", TopicID{}, b.tick())
	b.Described(1, "x", other, b.tick())
	b.Described(1, "x", id, early) // asked before the later answers
	b.Described(1, "y", TopicID{}, b.tick())
	b.NodeStarted(1)
	b.Described(1, "x", id, b.tick()) // it begins again
	b.expect()
	b.Described(2, "x", id, b.tick())
	b.Described(1, "y", id, b.tick())
	b.expect("MetadataView/topic", "MetadataView/topic")

	b = setup()
	called := b.tick()
	b.NodeStarted(1)
	b.Described(1, "x", TopicID{9}, called) // of an earlier life
	b.ConfigShown(1, "x", "c", "5", called)
	b.expect()

	b = setup()
	b.ConfigChanged("x", "c", "1")
	b.ConfigChanged("x", "c", "2")
	b.ConfigShown(1, "x", "c", "", b.tick())
	b.ConfigShown(1, "x", "c", "2", b.tick())
	b.expect()
	b.ConfigShown(1, "x", "c", "1", b.tick())
	b.ConfigShown(2, "x", "c", "3", b.tick())
	b.expect("MetadataView/config", "MetadataView/config")
}

func TestProducerIDs(t *testing.T) {
	b := newBench(t, Policy{})
	b.ProducerIDGranted(1, 5, 0)
	b.ProducerIDGranted(2, 6, 0)
	b.ProducerIDGranted(2, 5, 1)
	b.expect()
	b.ProducerIDGranted(2, 5, 0)
	b.expect("ProducerIDs/twice")
}

// TestPassedOnTwice: a node that loses its connection to the controller passes a request
// on again, so that a refusal may follow upon what was done.
func TestPassedOnTwice(t *testing.T) {
	for _, tt := range []struct {
		voters int
		want   []string
	}{
		{3, nil}, {1, []string{"TopicRegister/illegal"}},
	} {
		b := &bench{Judge: NewJudge(Limits{Voters: tt.voters}), t: t}
		b.did(Op{Kind: OpCreate, Topic: "x"}, Refused)
		b.did(Op{Kind: OpDelete, Topic: "x"}, Refused)
		b.did(Op{Kind: OpDelete, Topic: "x"}, Refused)
		b.did(Op{Kind: OpCreate, Topic: "x"}, Refused)
		b.did(Op{Kind: OpDeleteID, Topic: "x", TopicID: TopicID{1}}, Refused)
		b.did(Op{Kind: OpDescribe, Topic: "x", TopicID: TopicID{3}}, Done) // by a node that lags
		b.CheckTopics()
		b.expect(tt.want...)
	}
	b := &bench{Judge: NewJudge(Limits{Voters: 3}), t: t}
	b.did(Op{Kind: OpCreate, Topic: "x", TopicID: TopicID{1}}, Done)
	b.did(Op{Kind: OpDelete, Topic: "x"}, Refused)
	b.did(Op{Kind: OpDelete, Topic: "x"}, Done)
	b.CheckTopics()
	b.expect("TopicRegister/illegal")
}
