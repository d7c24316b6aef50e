package controller

import (
	"fmt"
	"slices"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

// unassigned stands for a log directory that is still to be chosen (KIP-858).
var unassigned = metadata.ID{15: 1}

// place spreads partitions first to first+count over the brokers: leaders in turn
// over those that are active, and the further replicas over those that follow, the
// active ones before the others. Rotation is where the turn begins; it is drawn by
// the caller and its outcome recorded, never computed again.
func (c *Controller) place(first, count int32, factor int16, rotation uint32) (
	[][]int32, *failure,
) {
	var active, inactive []int32
	for _, b := range c.image.Brokers() {
		if b.Active() {
			active = append(active, b.ID)
		} else {
			inactive = append(inactive, b.ID)
		}
	}
	if len(active) == 0 {
		return nil, fail(errcode.InvalidReplicationFactor, "no broker is active")
	}
	if registered := len(active) + len(inactive); int(factor) > registered {
		return nil, fail(errcode.InvalidReplicationFactor, fmt.Sprintf(
			"the replication factor %d is above the number of brokers, %d", factor, registered))
	}
	placed := make([][]int32, count)
	for i := range placed {
		turn := uint64(rotation) + uint64(first) + uint64(i)
		at := int(turn % uint64(len(active)))
		replicas := make([]int32, 0, len(active)+len(inactive))
		replicas = append(replicas, active[at:]...)
		replicas = append(replicas, active[:at]...)
		replicas = append(replicas, inactive...)
		placed[i] = slices.Clip(replicas[:factor])
	}
	return placed, nil
}

// checkAssignment returns a failure unless replicas may be a partition's. A factor
// of 0 allows any number of them.
func (c *Controller) checkAssignment(replicas []int32, factor int) *failure {
	bad := func(format string, args ...any) *failure {
		return fail(errcode.InvalidReplicaAssignment, fmt.Sprintf(format, args...))
	}
	if len(replicas) == 0 {
		return bad("the assignment has no replicas")
	}
	for i, id := range replicas {
		if c.image.Broker(id) == nil {
			return bad("the assignment names broker %d, which is not registered", id)
		}
		if slices.Contains(replicas[:i], id) {
			return bad("the assignment names broker %d twice", id)
		}
	}
	if factor != 0 && len(replicas) != factor {
		return bad("the assignment has %d replicas, others have %d", len(replicas), factor)
	}
	return nil
}

// newPartition returns the record of a partition that begins with replicas; nil if
// none of them is active.
func (c *Controller) newPartition(
	topic metadata.ID, index int32, replicas []int32,
) *metadata.PartitionRecord {
	isr := make([]int32, 0, len(replicas))
	directories := make([]metadata.ID, len(replicas))
	for i, id := range replicas {
		b := c.image.Broker(id)
		if b.Active() {
			isr = append(isr, id)
		}
		directories[i] = unassigned
		if len(b.LogDirs) == 1 {
			directories[i] = b.LogDirs[0]
		}
	}
	if len(isr) == 0 {
		return nil
	}
	return &metadata.PartitionRecord{
		PartitionID: index, TopicID: topic, Replicas: replicas, ISR: isr, Leader: isr[0],
		Directories: directories,
	}
}
