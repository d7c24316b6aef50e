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
		scenario("bad-clocks", badClocks,
			"clocks jump and drift and the process stands still"),
		scenario("basic-network", basicNetwork,
			"produce and consume while connections break, stall and are refused"),
		scenario("compaction", compaction,
			"the cleaner works under load and crashes; the last value of every key stays"),
		scenario("corrupt-tail", corruptTail,
			"the power fails and a bit of the tail flips before the restart"),
		scenario("crash-under-load", crashUnderLoad,
			"the process crashes at any moment; everything written survives"),
		scenario("disk-full", diskFull,
			"the disk runs full and has room again"),
		scenario("everything", everything,
			"every kind of fault there is, under every kind of load"),
		scenario("failing-disk", failingDisk,
			"the disk is slow, stuck, and fails reads, writes and syncs"),
		scenario("idempotence-power", idempotencePower,
			"producers are remembered across power losses, whatever was deleted"),
		scenario("idempotence-storm", idempotenceStorm,
			"connections break all the time and old requests come again; nothing is twice"),
		scenario("power-loss-fsync", powerLossFsync,
			"the power fails at any moment; nothing acknowledged under acks=all is lost"),
		scenario("power-loss-page-cache", powerLossPageCache,
			"the power fails where writes count unsynced; only volatile records are lost"),
		scenario("refused-batches", refusedBatches,
			"batches are too large or too late and leave no trace"),
		scenario("retention", retention,
			"records are deleted by size, by time and by request under load and crashes"),
		scenario("rolling-restarts", rollingRestarts,
			"clean restarts one after another, with crashes among them"),
		scenario("sequence-wrap", sequenceWrap,
			"producers number their records past the last sequence, crashes included"),
		scenario("topic-churn", topicChurn,
			"topics of the same names are created and deleted again and again"),
	}
	all = slices.Concat(all, actScenarios(), groupScenarios())
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

func scenario(name string, draw func(*sim.Rand, *sim.Setup), text string) sim.Scenario {
	return sim.Scenario{Name: name, Text: text, Draw: draw}
}
