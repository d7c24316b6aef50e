package controller

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/metadata"
)

// When its last broker stops, Kafka leaves a partition without a leader, and with
// eligible leader replicas without anybody in sync (KIP-966).
func TestRegisterElects(t *testing.T) {
	type replicas = []int32
	for _, c := range []struct {
		name         string
		before, want metadata.Partition
	}{
		{
			"in sync",
			metadata.Partition{ISR: replicas{1}, Leader: -1},
			metadata.Partition{ISR: replicas{1}, Leader: 1, LeaderEpoch: 1, PartitionEpoch: 1},
		},
		{
			"in sync with another that is gone",
			metadata.Partition{ISR: replicas{2, 1}, Leader: -1},
			metadata.Partition{ISR: replicas{1}, Leader: 1, LeaderEpoch: 1, PartitionEpoch: 1},
		},
		{
			"eligible",
			metadata.Partition{ELR: replicas{1}, LastKnownELR: replicas{1}, Leader: -1},
			metadata.Partition{ISR: replicas{1}, Leader: 1, LeaderEpoch: 1, PartitionEpoch: 1},
		},
		{
			"last leader",
			metadata.Partition{LastKnownELR: replicas{1}, Leader: -1},
			metadata.Partition{ISR: replicas{1}, Leader: 1, LeaderEpoch: 1, PartitionEpoch: 1},
		},
		{
			"another is eligible",
			metadata.Partition{ELR: replicas{2}, LastKnownELR: replicas{1}, Leader: -1},
			metadata.Partition{ELR: replicas{2}, LastKnownELR: replicas{1}, Leader: -1},
		},
		{
			"led by another",
			metadata.Partition{ISR: replicas{1, 2}, Leader: 2},
			metadata.Partition{ISR: replicas{1, 2}, Leader: 2},
		},
		{
			"led",
			metadata.Partition{ISR: replicas{1}, Leader: 1},
			metadata.Partition{ISR: replicas{1}, Leader: 1},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			base, _, err := config.Parse(nil)
			require.NoError(t, err)
			topic := metadata.ID{1}
			image, _ := metadata.New(base).Apply([]metadata.Record{
				&metadata.TopicRecord{Name: "t", TopicID: topic},
				&metadata.PartitionRecord{
					TopicID: topic, Replicas: replicas{1, 2}, ISR: c.before.ISR, Leader: c.before.Leader,
					EligibleLeaderReplicas: c.before.ELR, LastKnownELR: c.before.LastKnownELR,
				},
			})
			image, _ = image.Apply(New(image, Options{}).Register(&Registration{ID: 1, Clean: true}))
			c.want.Replicas = replicas{1, 2}
			require.Equal(t, c.want, image.Topic("t").Partitions[0])
		})
	}
}
