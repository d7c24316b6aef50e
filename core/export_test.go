package core

import "github.com/heiban/heiban/core/metadata"

// ParkedNotes returns how many notes of parked Fetches the broker's partitions hold.
func (b *Broker) ParkedNotes() int {
	n := 0
	for _, t := range b.sortedTopics() {
		for _, p := range t.partitions {
			n += len(p.fetches)
		}
	}
	return n
}

// Levels are the features that a broker of this software supports.
func Levels() []metadata.Feature { return levels() }
