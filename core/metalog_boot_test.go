package core_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/metadata"
)

// loneLog is the metadata log of a node from before there was a quorum: its first life
// had the leader epoch 0, and nothing but the log says that it was there.
func loneLog(t *testing.T) map[string][]byte {
	var segment []byte
	offset := int64(0)
	for epoch, records := range [][]metadata.Record{
		{
			&metadata.FeatureLevelRecord{
				Name: metadata.MetadataVersion, FeatureLevel: metadata.MetadataVersionMax,
			},
			&metadata.RegisterBrokerRecord{BrokerID: 1, BrokerEpoch: 1},
		},
		{&metadata.TopicRecord{Name: "old", TopicID: metadata.ID{7}}},
		{&metadata.ProducerIDsRecord{BrokerID: 1, NextProducerID: 5000}},
	} {
		var build batch.Builder
		build.Reset(&batch.Options{BaseOffset: offset, PartitionLeaderEpoch: int32(epoch)})
		for _, r := range records {
			build.Append(1, nil, metadata.AppendRecord(nil, r), nil)
			offset++
		}
		var err error
		segment, err = build.Finish(segment, nil)
		require.NoError(t, err)
	}
	return map[string][]byte{
		"meta.properties": []byte("version=1\nnode.id=1\ncluster.id=cluster-of-the-scripts\n"),
		"__cluster_metadata-0/00000000000000000000.log": segment,
	}
}

func TestLoneLogIsOpened(t *testing.T) {
	d := newDriver()
	d.put(t, loneLog(t))
	for _, dir := range []string{"/", "/d", "/d/__cluster_metadata-0"} {
		require.NoError(t, d.disk.SyncDir(dir))
	}
	for life := range int64(3) {
		require.NoError(t, d.boot())
		require.NoError(t, d.fatal)
		require.NotNil(t, d.broker.Image().Topic("old"))
		require.Equal(t, int64(5000), d.broker.Image().NextProducerID())
		// Of every life there are a LeaderChange and a registration.
		require.Equal(t, 4+2*life+1, d.broker.Image().Offset())
		if life == 1 {
			d.step(&core.ShutdownRequested{})
			require.True(t, d.stopped)
		}
		d.crash(true, func(int) int { return 0 })
	}
}

// What cannot be read of the quorum's state stops the node: to go on without could mean
// to vote twice.
func TestDamagedHardStateFailsTheStart(t *testing.T) {
	d := newDriver()
	files := loneLog(t)
	files["__cluster_metadata-0/quorum-state"] = []byte("{")
	d.put(t, files)
	require.NoError(t, d.boot())
	require.ErrorContains(t, d.fatal, "quorum-state")
}

// Every life of a node that is alone has a new term, also after a loss of power.
func TestTermsOfALoneNode(t *testing.T) {
	d := newDriver()
	var terms []int32
	d.onReport = func(r *core.Report) {
		if r.Kind == core.ControllerStarted {
			terms = append(terms, r.Epoch)
		}
	}
	for range 4 {
		require.NoError(t, d.boot())
		d.crash(true, func(int) int { return 0 })
	}
	require.Equal(t, []int32{2, 3, 4, 5}, terms)
	text, err := log.ReadFile(d.disk, "/d/__cluster_metadata-0/quorum-state")
	require.NoError(t, err)
	require.Contains(t, string(text), `"leaderEpoch":5,"votedId":1,`)
}
