// Package mutant names the known bugs that can be switched on, one at a time, to
// prove that the checkers notice them. In a normal build every Set is empty and
// the compiler removes the branches; with -tags mutants a Set holds one mutant.
package mutant

// ID names one mutant.
type ID uint8

// The mutants, each a one-line bug at the place that asks for it.
const (
	None ID = iota
	// D1: recovery keeps bytes after the first batch with a bad CRC.
	D1KeepTornTail
	// D2: the recovery point advances before the sync returns.
	D2RecoveryPointBeforeSync
	// D3: a producer snapshot is written without a sync, yet trusted.
	D3SnapshotWithoutSync
	// D7: a new segment counts as durable without its directory's sync.
	D7NoDirectorySync
	// P1: duplicates are looked for in the last batch only, not the last five.
	P1LastBatchOnly
	// P2: producer state changes although the append fails.
	P2StateBeforeAppend
	// R5: acks=all is answered when the leader's log holds the record, not when
	// the high watermark passed it.
	R5AckBeforeHighWatermark
	// R7: consumers read up to the log end offset.
	R7ReadToLogEnd
	// F1: after a failed sync the log goes on as if the next sync covered it.
	F1RetryFailedSync
	count
)

var names = [count]string{
	"none", "D1", "D2", "D3", "D7", "P1", "P2", "R5", "R7", "F1",
}

// String returns the short name used in the kill matrix, such as "D1".
func (id ID) String() string {
	if id < count {
		return names[id]
	}
	return "unknown"
}

// All lists every mutant in order.
func All() []ID {
	ids := make([]ID, 0, count-1)
	for id := None + 1; id < count; id++ {
		ids = append(ids, id)
	}
	return ids
}
