// Package scenarios holds the named scenarios: clusters, loads and faults that a
// broker must survive, and what it promises under each. It also runs them by the
// thousand and proves with known bugs that they would notice. Start at All, Find
// and Sweep.
package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"github.com/heiban/heiban/sim"
)

// All returns every scenario, sorted by name.
func All() []sim.Scenario {
	all := []sim.Scenario{
		{
			Name: "basic-network", Draw: basicNetwork,
			Text: "produce and consume while connections break, stall and are refused",
		},
		{
			Name: "crash-under-load", Draw: crashUnderLoad,
			Text: "the process crashes at any moment; everything written survives",
		},
		{
			Name: "power-loss-fsync", Draw: powerLossFsync,
			Text: "the power fails at any moment; nothing acknowledged under acks=all is lost",
		},
		{
			Name: "power-loss-page-cache", Draw: powerLossPageCache,
			Text: "the power fails where writes count unsynced; only volatile records are lost",
		},
		{
			Name: "disk-full", Draw: diskFull,
			Text: "the disk runs full and has room again",
		},
		{
			Name: "failing-disk", Draw: failingDisk,
			Text: "the disk is slow, stuck, and fails reads, writes and syncs",
		},
		{
			Name: "corrupt-tail", Draw: corruptTail,
			Text: "the power fails and a bit of the tail flips before the restart",
		},
		{
			Name: "retention", Draw: retention,
			Text: "records are deleted by size, by time and by request under load and crashes",
		},
		{
			Name: "compaction", Draw: compaction,
			Text: "the cleaner works under load and crashes; the last value of every key stays",
		},
		{
			Name: "topic-churn", Draw: topicChurn,
			Text: "topics of the same names are created and deleted again and again",
		},
		{
			Name: "idempotence-storm", Draw: idempotenceStorm,
			Text: "connections break all the time and old requests come again; nothing is twice",
		},
		{
			Name: "idempotence-power", Draw: idempotencePower,
			Text: "producers are remembered across power losses, whatever was deleted",
		},
		{
			Name: "refused-batches", Draw: refusedBatches,
			Text: "batches are too large or too late and leave no trace",
		},
		{
			Name: "sequence-wrap", Draw: sequenceWrap,
			Text: "producers number their records past the last sequence, crashes included",
		},
		{
			Name: "rolling-restarts", Draw: rollingRestarts,
			Text: "clean restarts one after another, with crashes among them",
		},
		{
			Name: "bad-clocks", Draw: badClocks,
			Text: "clocks jump and drift and the process stands still",
		},
		{
			Name: "everything", Draw: everything,
			Text: "every kind of fault there is, under every kind of load",
		},
	}
	slices.SortFunc(all, func(a, b sim.Scenario) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Find returns the scenario of a name.
func Find(name string) (sim.Scenario, error) {
	for _, s := range All() {
		if s.Name == name {
			return s, nil
		}
	}
	return sim.Scenario{}, fmt.Errorf("there is no scenario %q", name)
}
