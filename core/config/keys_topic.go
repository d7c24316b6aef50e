package config

// topicKeys are the keys of topics, with the broker keys that stand in for them.
var topicKeys = []Key{
	{
		Name: "cleanup.policy", Type: List, Default: "delete",
		Valid: oneOf("compact", "delete"), Scope: TopicScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "log.cleanup.policy"}},
		Doc: "What happens to old segments: delete removes them, compact keeps the last " +
			"record of each key; an empty list keeps all.",
	},
	{
		Name: "compression.gzip.level", Type: Int, Default: "-1",
		Valid: notZero(between(-1, 9)), Scope: TopicScope | BrokerScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "compression.gzip.level"}},
		Doc:      "The level used when compression.type is gzip; -1 is the codec's default.",
	},
	{
		Name: "compression.lz4.level", Type: Int, Default: "9",
		Valid: between(1, 17), Scope: TopicScope | BrokerScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "compression.lz4.level"}},
		Doc:      "The level used when compression.type is lz4.",
	},
	{
		Name: "compression.type", Type: String, Default: "producer",
		Valid: oneOf("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"),
		Scope: TopicScope | BrokerScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "compression.type"}},
		Doc: "The codec that batches are stored with; producer keeps the one they arrive " +
			"with.",
	},
	{
		Name: "compression.zstd.level", Type: Int, Default: "3",
		Valid: between(-131_072, 22), Scope: TopicScope | BrokerScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "compression.zstd.level"}},
		Doc:      "The level used when compression.type is zstd.",
	},
	{
		Name: "delete.retention.ms", Type: Long, Default: "86400000",
		Valid: atLeast(0), Scope: TopicScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "log.cleaner.delete.retention.ms"}},
		Doc:      "How long compaction keeps the tombstone of a deleted key.",
	},
	{
		Name: "file.delete.delay.ms", Type: Long, Default: "60000",
		Valid: atLeast(0), Scope: TopicScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "log.segment.delete.delay.ms"}},
		Doc:      "How long the files of a removed segment stay on disk.",
	},
	{
		Name: "flush.messages", Type: Long, Default: "9223372036854775807",
		Valid: atLeast(1), Scope: TopicScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "log.flush.interval.messages"}},
		Doc:      "A log is synced when this many records were appended since the last sync.",
	},
	{
		Name: "flush.ms", Type: Long, Default: "9223372036854775807",
		Valid: atLeast(0), Scope: TopicScope, Update: ClusterWide,
		Synonyms: []Synonym{
			{Name: "log.flush.interval.ms"},
			{Name: "log.flush.scheduler.interval.ms"},
		},
		Doc: "A log is synced when this much time has passed since the last sync.",
	},
	{
		Name: "follower.replication.throttled.replicas", Type: List,
		Scope: TopicScope, Inert: true,
		Doc: "Replicas whose fetching is throttled, as partition:broker pairs or a star.",
	},
	{
		Name: "heiban.durability", Type: String, Default: "fsync",
		Valid: oneOf("fsync", "page-cache"), Scope: TopicScope | BrokerScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "heiban.durability"}},
		Doc: "When a record counts as held by a replica: once it is synced (fsync), or " +
			"once it is written (page-cache, as in Kafka).",
	},
	{
		Name: "index.interval.bytes", Type: Int, Default: "4096",
		Valid: atLeast(0), Scope: TopicScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "log.index.interval.bytes"}},
		Doc:      "How many bytes of records lie between two entries of the offset index.",
	},
	{
		Name: "internal.segment.bytes", Type: Int, Null: true,
		Valid: atLeast(14), Scope: TopicScope, Internal: true,
		Doc: "The size of a segment, for tests; it is stronger than segment.bytes and has " +
			"no useful minimum.",
	},
	{
		Name: "leader.replication.throttled.replicas", Type: List,
		Scope: TopicScope, Inert: true,
		Doc: "Replicas whose serving is throttled, as partition:broker pairs or a star.",
	},
	{
		Name: "local.retention.bytes", Type: Long, Default: "-2",
		Valid: atLeast(-2), Scope: TopicScope, Update: ClusterWide, Inert: true,
		Synonyms: []Synonym{{Name: "log.local.retention.bytes"}},
		Doc: "The size kept on local disk of a log with tiered storage; -2 means " +
			"retention.bytes.",
	},
	{
		Name: "local.retention.ms", Type: Long, Default: "-2",
		Valid: atLeast(-2), Scope: TopicScope, Update: ClusterWide, Inert: true,
		Synonyms: []Synonym{{Name: "log.local.retention.ms"}},
		Doc: "The time kept on local disk of a log with tiered storage; -2 means " +
			"retention.ms.",
	},
	{
		Name: "max.compaction.lag.ms", Type: Long, Default: "9223372036854775807",
		Valid: atLeast(1), Scope: TopicScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "log.cleaner.max.compaction.lag.ms"}},
		Doc:      "The longest time a record may stay uncompacted.",
	},
	{
		Name: "max.message.bytes", Type: Int, Default: "1048588",
		Valid: atLeast(0), Scope: TopicScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "message.max.bytes"}},
		Doc:      "The largest batch of records accepted.",
	},
	{
		Name: "message.timestamp.after.max.ms", Type: Long, Default: "3600000",
		Valid: atLeast(0), Scope: TopicScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "log.message.timestamp.after.max.ms"}},
		Doc:      "How far a record's timestamp may lie ahead of the broker's clock.",
	},
	{
		Name: "message.timestamp.before.max.ms", Type: Long, Default: "9223372036854775807",
		Valid: atLeast(0), Scope: TopicScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "log.message.timestamp.before.max.ms"}},
		Doc:      "How far a record's timestamp may lie behind the broker's clock.",
	},
	{
		Name: "message.timestamp.type", Type: String, Default: "CreateTime",
		Valid: oneOf("CreateTime", "LogAppendTime"), Scope: TopicScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "log.message.timestamp.type"}},
		Doc:      "Who sets the timestamps of records: the producer or the broker.",
	},
	{
		Name: "min.cleanable.dirty.ratio", Type: Double, Default: "0.5",
		Valid: between(0, 1), Scope: TopicScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "log.cleaner.min.cleanable.ratio"}},
		Doc:      "The share of a log that must be uncompacted before it is compacted.",
	},
	{
		Name: "min.compaction.lag.ms", Type: Long, Default: "0",
		Valid: atLeast(0), Scope: TopicScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "log.cleaner.min.compaction.lag.ms"}},
		Doc:      "The time for which a record is not compacted.",
	},
	{
		Name: "min.insync.replicas", Type: Int, Default: "1",
		Valid: atLeast(1), Scope: TopicScope | BrokerScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "min.insync.replicas"}},
		Doc: "How many replicas must be in sync for a produce with acks=all to be " +
			"accepted.",
	},
	{
		Name: "preallocate", Type: Boolean, Default: "false",
		Scope: TopicScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "log.preallocate"}},
		Doc:      "Whether the file of a new segment is given its full size at once.",
	},
	{
		Name: "remote.log.copy.disable", Type: Boolean, Default: "false",
		Scope: TopicScope, Inert: true,
		Doc: "Whether segments of a tiered log stop being copied to remote storage.",
	},
	{
		Name: "remote.log.delete.on.disable", Type: Boolean, Default: "false",
		Scope: TopicScope, Inert: true,
		Doc: "Whether remote segments are deleted when tiered storage is disabled.",
	},
	{
		Name: "remote.storage.enable", Type: Boolean, Default: "false",
		Scope: TopicScope, Inert: true,
		Doc: "Whether the topic uses tiered storage, which this broker does not have.",
	},
	{
		Name: "retention.bytes", Type: Long, Default: "-1",
		Scope: TopicScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "log.retention.bytes"}},
		Doc: "The size a partition may reach before old segments are removed; -1 is no " +
			"limit.",
	},
	{
		Name: "retention.ms", Type: Long, Default: "604800000",
		Valid: atLeast(-1), Scope: TopicScope, Update: ClusterWide,
		Synonyms: []Synonym{
			{Name: "log.retention.ms"},
			{Name: "log.retention.minutes", Millis: 60000},
			{Name: "log.retention.hours", Millis: 3_600_000},
		},
		Doc: "The age at which segments are removed; -1 is no limit.",
	},
	{
		Name: "segment.bytes", Type: Int, Default: "1073741824",
		Valid: atLeast(1_048_576), SmallMin: 14, Scope: TopicScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "log.segment.bytes"}},
		Doc:      "The size at which a segment is closed and a new one begun.",
	},
	{
		Name: "segment.index.bytes", Type: Int, Default: "10485760",
		Valid: atLeast(4), Scope: TopicScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "log.index.size.max.bytes"}},
		Doc:      "The largest size of a segment's offset index.",
	},
	{
		Name: "segment.jitter.ms", Type: Long, Default: "0",
		Valid: atLeast(0), Scope: TopicScope, Update: ClusterWide,
		Synonyms: []Synonym{
			{Name: "log.roll.jitter.ms"},
			{Name: "log.roll.jitter.hours", Millis: 3_600_000},
		},
		Doc: "A random time by which segment.ms is shortened, so that not all logs roll " +
			"at once.",
	},
	{
		Name: "segment.ms", Type: Long, Default: "604800000",
		Valid: atLeast(1), Scope: TopicScope, Update: ClusterWide,
		Synonyms: []Synonym{
			{Name: "log.roll.ms"},
			{Name: "log.roll.hours", Millis: 3_600_000},
		},
		Doc: "The age at which a segment is closed even if it is not full.",
	},
	{
		Name: "unclean.leader.election.enable", Type: Boolean, Default: "false",
		Scope: TopicScope | BrokerScope, Update: ClusterWide,
		Synonyms: []Synonym{{Name: "unclean.leader.election.enable"}},
		Doc: "Whether a replica that is not in sync may become leader at the price of " +
			"lost records.",
	},
}
