package group

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/core/metadata"
)

// drawTopics returns topics with some partitions each.
func drawTopics(t *rapid.T, equal bool) []*metadata.Topic {
	var topics []*metadata.Topic
	n := rapid.IntRange(0, 9).Draw(t, "partitions")
	for i := range rapid.IntRange(1, 4).Draw(t, "topics") {
		if !equal {
			n = rapid.IntRange(0, 9).Draw(t, "partitions")
		}
		topics = append(topics, &metadata.Topic{
			ID: topicID(byte(i)), Name: fmt.Sprint(i), Partitions: make([]metadata.Partition, n),
		})
	}
	return topics
}

// drawMembers returns members that had some of the partitions before.
func drawMembers(t *rapid.T, topics []*metadata.Topic, homogeneous bool) []memberSpec {
	members := make([]memberSpec, rapid.IntRange(1, 6).Draw(t, "members"))
	for i := range members {
		members[i].id = fmt.Sprintf("m%d", i)
		for _, topic := range topics {
			if homogeneous || rapid.Bool().Draw(t, "subscribes") {
				members[i].topics = append(members[i].topics, topic)
			}
		}
	}
	for _, p := range partitionsOf(topics) {
		if i := rapid.IntRange(-1, len(members)-1).Draw(t, "had"); i >= 0 {
			members[i].previous = append(members[i].previous, p)
		}
	}
	return members
}

// requireComplete makes sure that every partition that somebody subscribes to has one
// owner, who does.
func requireComplete(t *rapid.T, members []memberSpec, result map[string]Assignment) {
	owners := map[Partition]string{}
	want := Assignment{}
	for i := range members {
		mine := partitionsOf(members[i].topics)
		want = want.plus(mine)
		for _, p := range result[members[i].id] {
			require.True(t, mine.has(p), "%s has what it does not want", members[i].id)
			require.Empty(t, owners[p], "%v has one owner", p)
			owners[p] = members[i].id
		}
		require.True(t, slices.IsSortedFunc(result[members[i].id], comparePartitions))
	}
	require.Len(t, owners, len(want))
	require.Len(t, result, len(members))
}

// moves counts the partitions that another member of the group had.
func moves(members []memberSpec, result map[string]Assignment) int {
	n := 0
	for i := range members {
		kept := members[i].previous.and(partitionsOf(members[i].topics))
		n += len(kept.without(result[members[i].id]))
	}
	return n
}

func TestUniformIsBalancedAndSticky(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := drawMembers(t, drawTopics(t, false), true)
		result := assign(uniformAssignor, members)
		requireComplete(t, members, result)
		all := len(partitionsOf(members[0].topics))
		low, over, extra := all/len(members), 0, all%len(members)
		var surplus []int
		for i := range members {
			n := len(result[members[i].id])
			require.True(t, n == low || n == low+1)
			if had := len(members[i].previous); had > low {
				surplus = append(surplus, had-low)
			}
		}
		// Everybody gives up what is more than the quota, but for one of those that are over.
		for i, n := range surplus {
			if over += n; i < extra {
				over--
			}
		}
		require.Equal(t, over, moves(members, result), "nothing moves without need")
	})
}

func TestUniformRepeatsItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := drawMembers(t, drawTopics(t, false), rapid.Bool().Draw(t, "homogeneous"))
		result := assign(uniformAssignor, members)
		requireComplete(t, members, result)
		for i := range members {
			members[i].previous = result[members[i].id]
		}
		require.Equal(t, result, assign(uniformAssignor, members))
	})
}

func TestUniformBalancesDifferentSubscriptions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := drawMembers(t, drawTopics(t, false), false)
		result := assign(uniformAssignor, members)
		requireComplete(t, members, result)
		for i := range members {
			for _, p := range result[members[i].id] {
				for j := range members {
					if partitionsOf(members[j].topics).has(p) {
						require.GreaterOrEqual(t, len(result[members[j].id])+1,
							len(result[members[i].id]), "%v is better off elsewhere", p)
					}
				}
			}
		}
	})
}

func TestRangeJoinsTopics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topics := drawTopics(t, true)
		members := drawMembers(t, topics, true)
		if rapid.Bool().Draw(t, "static") {
			members[len(members)-1].instanceID = ptr("i")
		}
		result := assign(rangeAssignor, members)
		requireComplete(t, members, result)
		for i := range members {
			var first []int32
			for _, topic := range topics {
				var mine []int32
				for _, p := range result[members[i].id] {
					if p.Topic == topic.ID {
						mine = append(mine, p.Index)
					}
				}
				if first == nil {
					first = mine
				}
				require.Equal(t, first, mine, "the same of each topic")
			}
			if members[i].instanceID != nil && len(first) > 0 {
				require.Zero(t, first[0], "static members come first")
			}
		}
	})
}

func TestRangeOfDifferentSubscriptionsIsComplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := drawMembers(t, drawTopics(t, false), false)
		requireComplete(t, members, assign(rangeAssignor, members))
	})
}
