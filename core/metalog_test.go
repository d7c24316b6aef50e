package core

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/compress"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/quorum"
)

func TestQuorumStateIsKafkas(t *testing.T) {
	text, err := os.ReadFile("testdata/kafka-4.3.0/__cluster_metadata-0/quorum-state")
	require.NoError(t, err)
	hard, err := parseQuorumState(text)
	require.NoError(t, err)
	require.Equal(t, quorum.HardState{Term: 1, Vote: 1}, hard, "who follows a leader has voted")

	hard = quorum.HardState{Term: 7, Vote: quorum.NoNode, Commit: 12}
	text = encodeQuorumState(hard)
	require.Equal(t, `{"leaderId":-1,"leaderEpoch":7,"votedId":-1,`+
		`"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","commitIndex":12,"data_version":1}`, string(text))
	again, err := parseQuorumState(text)
	require.NoError(t, err)
	require.Equal(t, hard, again)

	for _, bad := range []string{"", "{", `{"leaderEpoch":-1}`, `{"votedId":-2}`, `{"leaderId":"x"}`} {
		_, err := parseQuorumState([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestKafkaSnapshotStandsAlone(t *testing.T) {
	const name = "00000000000000000309-0000000001.checkpoint"
	data, err := os.ReadFile("testdata/kafka-4.3.0/__cluster_metadata-0/" + name)
	require.NoError(t, err)
	s := metaSnapshot{}
	var ok bool
	s.end, s.epoch, ok = parseSnapshotName(name)
	require.True(t, ok)
	require.Equal(t, name, s.name())
	alone, err := s.parse(data, &compress.Codec{}, 1)
	require.NoError(t, err)
	require.True(t, alone)
	require.Equal(t, quorum.Position{Index: 1, Term: 1}, s.Position)
	require.Equal(t, []quorum.NodeID{1}, s.Membership.Voters)
	require.NotEmpty(t, s.records)
}

func TestSnapshotRoundTrip(t *testing.T) {
	nodes := rapid.SliceOfNDistinct(rapid.Map(rapid.Int32Min(0), func(n int32) quorum.NodeID {
		return quorum.NodeID(n)
	}), 0, 4, rapid.ID)
	rapid.Check(t, func(t *rapid.T) {
		s := metaSnapshot{
			Snapshot: quorum.Snapshot{
				Position: quorum.Position{
					Index: rapid.Uint64Min(1).Draw(t, "index"), Term: rapid.Uint64Min(1).Draw(t, "term"),
				},
				Membership: quorum.Membership{
					Voters:         append([]quorum.NodeID{9}, nodes.Draw(t, "voters")...),
					Learners:       append([]quorum.NodeID{8}, nodes.Draw(t, "learners")...),
					VotersOutgoing: append([]quorum.NodeID{7}, nodes.Draw(t, "outgoing")...),
					LearnersNext:   append([]quorum.NodeID{6}, nodes.Draw(t, "next")...),
					AutoLeave:      rapid.Bool().Draw(t, "auto leave"),
				},
			},
			end: rapid.Int64Min(0).Draw(t, "end"), epoch: rapid.Int32Min(0).Draw(t, "epoch"),
		}
		for i := range rapid.IntRange(0, 2500).Draw(t, "records") {
			s.records = append(s.records, &metadata.ProducerIDsRecord{NextProducerID: int64(i)})
		}
		again := metaSnapshot{}
		var ok bool
		again.end, again.epoch, ok = parseSnapshotName(s.name())
		require.True(t, ok)
		alone, err := again.parse(s.encode(), &compress.Codec{}, 1)
		require.NoError(t, err)
		require.False(t, alone)
		require.Equal(t, s, again)
	})
}

// A damaged header neither panics nor passes for one.
func TestSnapshotHeaderIsChecked(t *testing.T) {
	s := metaSnapshot{Snapshot: quorum.Bootstrap([]quorum.NodeID{1, 2, 300}).Snapshot}
	field := s.appendPosition(nil)
	for n := range field {
		require.ErrorIs(t, (&metaSnapshot{}).decodePosition(field[:n]), errSnapshotHeader)
	}
	_, err := (&metaSnapshot{}).parsePosition([]byte{0, 0, 0})
	require.ErrorIs(t, err, errSnapshotHeader)
}

// An entry is the same after a restart, and its batch is the same on every node.
func TestEntriesAreBatches(t *testing.T) {
	var build batch.Builder
	build.Reset(&batch.Options{BaseOffset: 5, PartitionLeaderEpoch: 3})
	build.Append(0, nil, metadata.AppendRecord(nil, &metadata.NoOpRecord{}), nil)
	data, err := build.Finish(nil, nil)
	require.NoError(t, err)
	foreign := batch.AppendControl(nil, batch.Options{BaseOffset: 5, PartitionLeaderEpoch: 3},
		batch.LeaderChange, 99, []byte{0, 0, 0, 0, 0, 1, 1, 1, 0})
	for _, entry := range []quorum.Entry{
		{Index: 4, Term: 3, Kind: quorum.KindEmpty},
		{Index: 4, Term: 3, Kind: quorum.KindMembership, Data: []byte("whatever")},
		{Index: 4, Term: 3, Kind: quorum.KindData, Data: data},
		{Index: 4, Term: 3, Kind: quorum.KindData, Data: foreign},
	} {
		one := batchOf(&entry, 5)
		var h batch.Header
		require.NoError(t, checkEntry(one, &h, 5))
		require.Error(t, checkEntry(one, &h, 6))
		again, err := entryOf(one, &h, 4)
		require.NoError(t, err)
		require.Equal(t, entry, again)
	}
	batch.SetPartitionLeaderEpoch(data, 0)
	var h batch.Header
	require.NoError(t, batch.Parse(data, &h))
	entry, err := entryOf(data, &h, 2)
	require.NoError(t, err)
	require.Equal(t, uint64(1), entry.Term, "terms begin at 1")
	batch.SetPartitionLeaderEpoch(data, -1)
	require.NoError(t, batch.Parse(data, &h))
	_, err = entryOf(data, &h, 2)
	require.Error(t, err)
}
