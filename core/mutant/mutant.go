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
	// K7: a snapshot is labelled with the last entry stored, not the last applied.
	K7SnapshotAboveCommit
	// K8: entries count as stored, and are acknowledged, before the sync returns.
	K8AckBeforeSync
	// K9: votes are given and asked for before the hard state is stored.
	K9MessagesBeforeHardState
	// T1: a new follower cuts its log at its own high watermark (KIP-101).
	T1TruncateToHighWatermark
	// T2: where an epoch ends is believed without asking which epoch it is (KIP-279).
	T2EpochOfEndIgnored
	// T3: a new leader does not note where its epoch starts before it appends.
	T3NoEpochAtElection
	// T5: a follower takes the high watermark of an answer before it truncates.
	T5MarksBeforeTruncation
	// T7: a follower takes an answer to a question it no longer has.
	T7StaleAnswer
	// T8: a fetch counts as holding what is before it although the logs diverge.
	T8CountDiverging
	// T9: a leader does not compare the leader epoch of fetches (KIP-320).
	T9NoEpochFencing
	// R1: the high watermark does not wait for the last replica.
	R1IgnoreLastReplica
	// R2: the high watermark does not wait for who is proposed for the ISR.
	R2CommittedISROnly
	// R4: the high watermark advances under min.insync.replicas.
	R4CommitUnderMinISR
	// R8: a restored high watermark may be beyond the log.
	R8UncappedHighWatermark
	// R9: a follower's high watermark may be beyond its log.
	R9HighWatermarkBeyondLog
	// I1: a replica may join the ISR below the start of the leader's epoch.
	I1JoinBelowEpochStart
	// I2: a replica may join the ISR below the high watermark.
	I2JoinBelowHighWatermark
	// I3: a leader keeps what it knew of replicas although another led in between.
	I3KeepReplicaState
	// I5: the life of the broker that a fetch comes from is not looked at (KIP-903).
	I5BrokerEpochIgnored
	// I9: an answer to AlterPartition counts although its proposal is gone.
	I9LateAnswerCounts
	// I4: a fenced broker, or one that shuts down, may join the replicas in sync.
	I4InactiveInSync
	// I7: a leader's wish is carried out although the partition has changed since.
	I7IgnorePartitionEpoch
	// I11: the first live replica is elected, whether it is in sync or not.
	I11ElectAnyLive
	// E1: a broker that may have lost its tail stays eligible to lead.
	E1UncleanStaysEligible
	// E2: who was eligible stays so when min.insync.replicas are in sync again.
	E2KeepEligible
	// K10: a log with a membership entry does not know that the one before is committed.
	K10MembershipWithoutCommit
	// T15: a truncation keeps the leader epochs of what it cuts.
	T15KeepEpochs
	// T16: a truncation keeps what the producers were before it.
	T16KeepProducers
	// T17: a truncation does not say that the checkpoints are too high.
	T17NoTruncationMark
	// G4: offsets are committed without a look at who commits them.
	G4CommitOfAnyone
	// G5: offsets of a group expire while it rebalances (KAFKA-13636).
	G5ExpireInRebalance
	// G7: a static member that comes back keeps its id, and nothing is written down.
	G7StaticNotFenced
	// G8: a partition that is yet to be given up counts as free (KAFKA-16147).
	G8RevokingIsFree
	// G9: any member may assign, in any generation.
	G9SyncOfAnyone
	// G1: a coordinator that begins replays only what it knows to be committed.
	G1LoadToHighWatermark
	// G3: coordinators answer when the log holds the records, not when they are committed.
	G3AnswerBeforeCommit
	count
)

var names = [count]string{
	"none", "D1", "D2", "D3", "D7", "P1", "P2", "R5", "R7", "F1", "K7", "K8", "K9",
	"T1", "T2", "T3", "T5", "T7", "T8", "T9", "R1", "R2", "R4", "R8", "R9",
	"I1", "I2", "I3", "I5", "I9",
	"I4", "I7", "I11", "E1", "E2", "K10",
	"T15", "T16", "T17",
	"G4", "G5", "G7", "G8", "G9", "G1", "G3",
}

// String returns the short name used in the kill matrix, such as "D1".
func (id ID) String() string {
	if id < count {
		return names[id]
	}
	return "unknown"
}

// SingleNode lists the mutants of what a single node runs, in order: the scenarios
// must find them. The others are in packages of the cluster, whose own tests find them.
func SingleNode() []ID {
	ids := make([]ID, 0, count-1)
	for id := None + 1; id < K7SnapshotAboveCommit; id++ {
		ids = append(ids, id)
	}
	return ids
}
