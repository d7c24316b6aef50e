package metadata

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/core/config"
)

// What Kafka wrote is read, and written again so that it reads the same.
func TestKafkaLog(t *testing.T) {
	text, err := os.ReadFile("testdata/kafka-4.3.0.txt")
	require.NoError(t, err)
	var records []Record
	skipped := map[byte]int{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		value := unhex(t, strings.TrimSpace(line))
		r, err := DecodeRecord(value)
		if err != nil {
			require.ErrorIs(t, err, ErrNotKept, line)
			skipped[value[1]]++
			continue
		}
		back, err := DecodeRecord(AppendRecord(nil, r))
		require.NoError(t, err)
		require.Equal(t, r, back)
		records = append(records, r)
	}
	require.Equal(t, map[byte]int{27: 1}, skipped) // RegisterControllerRecord

	m, d := emptyImage(t).Apply(records)
	require.Equal(t, []string{
		"__transaction_state", "a", "b.c_d", "broker.zstd_x", "comp", "empty", "lat", "plain",
		"seg", "txn", "z-gzip", "z-lz4", "z-snappy", "z-zstd",
	}, topicNames(slices.Collect(m.Topics())))
	require.Equal(t, 22, m.PartitionCount())
	require.Empty(t, d.Deleted, "a topic came and went")
	require.Equal(t, []Feature{
		{EligibleLeaderReplicaVersion, 1},
		{GroupVersion, 1},
		{MetadataVersion, 30},
		{"share.version", 1},
		{"streams.version", 1},
		{TransactionVersion, 2},
	}, m.Features())
	require.Equal(t, []config.Entry{
		{Name: "compression.type", Value: "zstd"}, {Name: "segment.bytes", Value: "1048576"},
	}, m.Configs(TopicResource, "b.c_d"))
	require.Equal(t, []config.Entry{{Name: "min.insync.replicas", Value: "1"}},
		m.Configs(BrokerResource, ""))
	broker := m.Broker(1)
	require.Equal(t, int64(12), broker.Epoch)
	require.True(t, broker.Fenced)
	require.Equal(t, "PLAINTEXT", broker.Endpoints[0].Name)
	require.Equal(t, Partition{
		Replicas: []int32{1}, ELR: []int32{1}, LastKnownELR: []int32{1},
		Directories: broker.LogDirs, Leader: -1, LeaderEpoch: 1, PartitionEpoch: 1,
	}, m.Topic("comp").Partitions[0])
	require.Equal(t, int64(1000), m.NextProducerID())
}
