package log

import (
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/mutant"
)

// Durability says when a record counts as held by a replica.
type Durability uint8

// The values of heiban.durability.
const (
	Fsync     Durability = iota // once it is synced
	PageCache                   // once it is written
)

// Config is the effective configuration of one log: the topic's overrides over
// the broker's values over Kafka's defaults. It is immutable; a change of
// configuration brings a new one. Millis and bytes of -1 mean no limit where
// Kafka allows it.
type Config struct {
	SegmentBytes             int64
	SegmentMillis            int64
	SegmentJitterMillis      int64
	SegmentIndexBytes        int32
	IndexIntervalBytes       int32
	RetentionBytes           int64
	RetentionMillis          int64
	FileDeleteDelayMillis    int64
	DeleteRetentionMillis    int64
	MinCompactionLagMillis   int64
	MaxCompactionLagMillis   int64
	FlushMessages            int64
	FlushMillis              int64
	TimestampBeforeMaxMillis int64
	TimestampAfterMaxMillis  int64
	MaxMessageBytes          int32
	MinInsyncReplicas        int32
	MinCleanableDirtyPPM     int32 // min.cleanable.dirty.ratio in millionths
	CompressionLevel         int
	Compression              batch.Compression
	KeepCompression          bool // compression.type=producer
	TimestampType            batch.TimestampType
	Durability               Durability
	CleanupDelete            bool
	CleanupCompact           bool
	Preallocate              bool
	UncleanLeaderElection    bool
	LargeBatches             bool // a batch may be larger than SegmentBytes
}

// Kafka's defaults of how often a log looks at what time has made of it.
const (
	retentionCheckMillis = 300_000
	producerCheckMillis  = 600_000
	cleanerBackoffMillis = 15_000
)

// Settings are the limits that all logs of a broker share.
type Settings struct {
	ProducerExpirationMillis int64 // producer.id.expiration.ms
	ProducerCheckMillis      int64 // producer.id.expiration.check.interval.ms; 0: Kafka's default
	RetentionCheckMillis     int64 // log.retention.check.interval.ms; 0: Kafka's default
	CleanerBackoffMillis     int64 // log.cleaner.backoff.ms; 0: Kafka's default
	IndexEntriesMax          int   // of the active segment, in memory; beyond, the interval doubles
	CleanerIOBufferBytes     int   // largest chunk a job reads at once
	CleanerDedupeBufferBytes int64 // log.cleaner.dedupe.buffer.size
	SequenceMax              int32 // 2^31-1; smaller in simulation, so that sequences wrap
	Check                    bool  // run the costly assertions too
	Mutants                  mutant.Set
}
