package controller

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/metadata"
)

// cluster of brokers 1 to n, and one topic whose partitions are given.
func newCluster(t testing.TB, n int32, props map[string]string, partitions []metadata.Partition) (
	*Controller, *metadata.Topic,
) {
	base, _, err := config.Parse(props)
	require.NoError(t, err)
	var records []metadata.Record
	for id := int32(1); id <= n; id++ {
		records = append(records, &metadata.RegisterBrokerRecord{
			BrokerID: id, BrokerEpoch: int64(id), LogDirs: []metadata.ID{scriptID(100 + int(id))},
		})
	}
	records = append(records, &metadata.TopicRecord{Name: "t", TopicID: scriptID(1)})
	for i := range partitions {
		p := &partitions[i]
		records = append(records, &metadata.PartitionRecord{
			TopicID: scriptID(1), PartitionID: int32(i), Replicas: p.Replicas, ISR: p.ISR,
			Leader: p.Leader, Directories: make([]metadata.ID, len(p.Replicas)),
		})
	}
	image, _ := metadata.New(base).Apply(records)
	return New(image, Options{}), image.Topic("t")
}

// One pass elects so many leaders and no more, and the next follows at once.
func TestTickElectsInPasses(t *testing.T) {
	partitions := make([]metadata.Partition, 2*electionsMax+1)
	for i := range partitions {
		partitions[i] = metadata.Partition{Replicas: []int32{1, 2}, ISR: []int32{1, 2}, Leader: 2}
	}
	c, _ := newCluster(t, 2, map[string]string{
		"broker.session.timeout.ms": "900000",
	}, partitions)
	now := c.nextBalance
	var elected []int
	for now >= c.Deadline() {
		result := c.Tick(now)
		c.Replay(result.Records)
		elected = append(elected, len(result.Records))
	}
	require.Equal(t, []int{0, electionsMax, electionsMax, 1}, elected, "first come unclean ones")
	require.Equal(t, now.Add(5*clock.Minute), c.Deadline())
	for _, p := range c.Image().Topic("t").Partitions {
		require.Equal(t, int32(1), p.Leader)
	}
}

// Unclean elections that were not held when they were needed are held in time.
func TestTickElectsUncleanly(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		c, _ := newCluster(t, 2, map[string]string{
			"broker.session.timeout.ms":      "900000",
			"unclean.leader.election.enable": fmt.Sprint(allowed),
		}, []metadata.Partition{{Replicas: []int32{3, 2}, ISR: []int32{3}, Leader: noLeader}})
		require.Empty(t, c.Tick(c.Deadline()-1).Records)
		c.Replay(c.Tick(c.Deadline()).Records)
		p := c.Image().Topic("t").Partitions[0]
		require.Equal(t, allowed, p.Leader == 2)
		require.Equal(t, allowed, p.RecoveryState == recovering)
	}
}

// Placement puts replicas of a partition on different brokers, first those of all racks,
// and all brokers lead equally often.
func TestPlacement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, _, err := config.Parse(nil)
		require.NoError(t, err)
		racks := rapid.IntRange(1, 4).Draw(t, "racks")
		perRack := rapid.IntRange(1, 4).Draw(t, "brokers of a rack")
		brokers := racks * perRack
		fenced := rapid.SliceOfNDistinct(rapid.IntRange(1, brokers), 0, brokers-1,
			rapid.ID[int]).Draw(t, "fenced")
		var records []metadata.Record
		for id := 1; id <= brokers; id++ {
			r := &metadata.RegisterBrokerRecord{
				BrokerID: int32(id), Fenced: slices.Contains(fenced, id),
			}
			if rack := id % racks; rack > 0 {
				name := fmt.Sprint(rack)
				r.Rack = &name
			}
			records = append(records, r)
		}
		image, _ := metadata.New(base).Apply(records)
		c := New(image, Options{})
		factor := rapid.IntRange(1, brokers).Draw(t, "factor")
		rounds := rapid.IntRange(1, 5).Draw(t, "rounds")
		seed := rapid.Uint32().Draw(t, "seed")
		count := int32(rounds * (brokers - len(fenced)))
		placed, f := c.place(count, int16(factor), seed)
		require.Nil(t, f)
		again, _ := c.place(count, int16(factor), seed)
		require.Equal(t, placed, again, "the seed decides")
		leads := map[int32]int{}
		for _, replicas := range placed {
			require.Len(t, replicas, factor)
			require.Len(t, slices.Compact(sorted(replicas)), factor)
			require.False(t, image.Broker(replicas[0]).Fenced)
			leads[replicas[0]]++
			spread := map[int32]bool{}
			for _, id := range replicas {
				spread[id%int32(racks)] = true
			}
			require.Len(t, spread, min(factor, racks), "replicas stand in all racks")
		}
		if len(fenced) == 0 {
			for id := int32(1); id <= int32(brokers); id++ {
				require.Equal(t, rounds, leads[id], "all lead equally often")
			}
		}
	})
}

// Fencing a broker is one decision about all its partitions, of however many topics.
func BenchmarkFence(b *testing.B) {
	const replicated = 3000
	for _, topics := range []int{1, replicated} {
		b.Run(fmt.Sprintf("topics=%d", topics), func(b *testing.B) {
			c, _ := newCluster(b, 3, nil, nil)
			records := []metadata.Record{&metadata.RemoveTopicRecord{TopicID: scriptID(1)}}
			for i := range replicated {
				topic := scriptID(2 + i%topics)
				if i < topics {
					records = append(records,
						&metadata.TopicRecord{Name: fmt.Sprintf("topic-%04d", i), TopicID: topic})
				}
				first := int32(i % 3)
				replicas := []int32{1 + first, 1 + (first+1)%3, 1 + (first+2)%3}
				records = append(records, &metadata.PartitionRecord{
					TopicID: topic, PartitionID: int32(i / topics), Replicas: replicas, ISR: replicas,
					Leader: replicas[0], Directories: make([]metadata.ID, 3),
				})
			}
			c.Replay(records)
			full, broker := c.Image(), c.Image().Broker(1)
			b.ReportAllocs()
			for b.Loop() {
				records := c.fence(broker, broker.LogDirs)
				if len(records) != replicated+1 {
					b.Fatal("all partitions change")
				}
				c.Replay(records)
				c.image = full
			}
		})
	}
}
