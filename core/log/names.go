package log

import (
	"fmt"
	"strconv"
	"strings"
)

// What a file of a segment holds, by its suffix.
const (
	logSuffix       = ".log"
	indexSuffix     = ".index"
	timeIndexSuffix = ".timeindex"
	txnIndexSuffix  = ".txnindex"
	snapshotSuffix  = ".snapshot"
)

// What state a file of a partition is in, by a further suffix.
const (
	deletedSuffix = ".deleted" // waits for its removal
	cleanedSuffix = ".cleaned" // compaction is writing it: worthless after a crash
	swapSuffix    = ".swap"    // compaction finished it: it replaces the segments it covers
	tmpSuffix     = ".tmp"     // not yet renamed over a small file
)

// The suffixes of directories that are no partitions.
const (
	deleteDirSuffix = "-delete"
	strayDirSuffix  = "-stray"
	futureDirSuffix = "-future"
)

// The small files of a log directory.
const (
	recoveryPointFile  = "recovery-point-offset-checkpoint"
	logStartFile       = "log-start-offset-checkpoint"
	highWatermarkFile  = "replication-offset-checkpoint"
	cleanerFile        = "cleaner-offset-checkpoint"
	metaPropertiesFile = "meta.properties"
	cleanShutdownFile  = ".kafka_cleanshutdown"
)

// The small files of a partition's directory.
const (
	leaderEpochFile       = "leader-epoch-checkpoint"
	partitionMetadataFile = "partition.metadata"
	truncationFile        = "truncation-checkpoint"
)

// segmentPath is where the segment at base keeps the file with the given suffix.
func segmentPath(dir string, base int64, suffix string) string {
	return fmt.Sprintf("%s/%020d%s", dir, base, suffix)
}

// parseSegmentName splits a name such as 00000000000000000042.log.swap: the base
// offset, what the file holds, and its state or "". It reports whether name is one.
func parseSegmentName(name string) (base int64, kind, state string, ok bool) {
	digits, rest, found := strings.Cut(name, ".")
	n, err := strconv.ParseUint(digits, 10, 63)
	if !found || err != nil || len(digits) != 20 {
		return 0, "", "", false
	}
	kind, state, found = strings.Cut(rest, ".")
	if found {
		state = "." + state
	}
	return int64(n), "." + kind, state, true
}
