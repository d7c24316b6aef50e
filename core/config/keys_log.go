package config

// logKeys are the keys of brokers about logs.
var logKeys = []Key{
	{
		Name: "log.cleaner.backoff.ms", Type: Long, Default: "15000",
		Valid: atLeast(0), Scope: BrokerScope, Update: ClusterWide,
		Doc: "How long the cleaner sleeps when there is nothing to compact.",
	},
	{
		Name: "log.cleaner.dedupe.buffer.size", Type: Long, Default: "134217728",
		Scope: BrokerScope, Update: ClusterWide,
		Doc: "The memory for the map of keys to offsets in compaction, over all cleaner " +
			"threads.",
	},
	{
		Name: "log.cleaner.delete.retention.ms", Type: Long, Default: "86400000",
		Valid: atLeast(0), Scope: BrokerScope, Update: ClusterWide,
		Doc: "How long compaction keeps tombstones, where a topic does not say.",
	},
	{
		Name: "log.cleaner.enable", Type: Boolean, Default: "true",
		Scope: BrokerScope,
		Doc:   "Whether logs with the compact policy are compacted.",
	},
	{
		Name: "log.cleaner.io.buffer.load.factor", Type: Double, Default: "0.9",
		Scope: BrokerScope, Update: ClusterWide, Inert: true,
		Doc: "How full the map of keys may become before compaction stops reading.",
	},
	{
		Name: "log.cleaner.io.buffer.size", Type: Int, Default: "524288",
		Valid: atLeast(0), Scope: BrokerScope, Update: ClusterWide,
		Doc: "The buffer size for reading and writing in compaction, over all cleaner " +
			"threads.",
	},
	{
		Name: "log.cleaner.io.max.bytes.per.second", Type: Double,
		Default: "1.7976931348623157E308",
		Scope:   BrokerScope, Update: ClusterWide, Inert: true,
		Doc: "The rate at which the cleaner may read and write.",
	},
	{
		Name: "log.cleaner.max.compaction.lag.ms", Type: Long, Default: "9223372036854775807",
		Valid: atLeast(1), Scope: BrokerScope, Update: ClusterWide,
		Doc: "The longest time a record may stay uncompacted, where a topic does not say.",
	},
	{
		Name: "log.cleaner.min.cleanable.ratio", Type: Double, Default: "0.5",
		Valid: between(0, 1), Scope: BrokerScope, Update: ClusterWide,
		Doc: "The share of a log that must be uncompacted before it is compacted, where a " +
			"topic does not say.",
	},
	{
		Name: "log.cleaner.min.compaction.lag.ms", Type: Long, Default: "0",
		Valid: atLeast(0), Scope: BrokerScope, Update: ClusterWide,
		Doc: "The time for which a record is not compacted, where a topic does not say.",
	},
	{
		Name: "log.cleaner.threads", Type: Int, Default: "1",
		Valid: atLeast(0), Scope: BrokerScope, Update: ClusterWide,
		Doc: "How many compactions may run at once.",
	},
	{
		Name: "log.cleanup.policy", Type: List, Default: "delete",
		Valid: oneOf("compact", "delete"), Scope: BrokerScope, Update: ClusterWide,
		Doc: "What happens to old segments, where a topic does not say.",
	},
	{
		Name: "log.dir", Type: String, Default: "/tmp/kafka-logs",
		Scope: BrokerScope,
		Doc:   "The directory for logs, if log.dirs is not set.",
	},
	{
		Name: "log.dir.failure.timeout.ms", Type: Long, Default: "30000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How long a broker may fail to report a broken log directory before it shuts " +
			"down.",
	},
	{
		Name: "log.dirs", Type: String, Null: true,
		Scope: BrokerScope,
		Doc:   "The directories for logs, separated by commas.",
	},
	{
		Name: "log.flush.interval.messages", Type: Long, Default: "9223372036854775807",
		Valid: atLeast(1), Scope: BrokerScope, Update: ClusterWide,
		Doc: "A log is synced after this many records, where a topic does not say.",
	},
	{
		Name: "log.flush.interval.ms", Type: Long, Null: true,
		Scope: BrokerScope, Update: ClusterWide,
		Doc: "A log is synced after this time, where a topic does not say.",
	},
	{
		Name: "log.flush.offset.checkpoint.interval.ms", Type: Int, Default: "60000",
		Valid: atLeast(0), Scope: BrokerScope,
		Doc: "How often recovery points are written to their checkpoint file.",
	},
	{
		Name: "log.flush.scheduler.interval.ms", Type: Long, Default: "9223372036854775807",
		Scope: BrokerScope,
		Doc:   "How often the broker looks for logs to sync.",
	},
	{
		Name: "log.flush.start.offset.checkpoint.interval.ms", Type: Int, Default: "60000",
		Valid: atLeast(0), Scope: BrokerScope,
		Doc: "How often log start offsets are written to their checkpoint file.",
	},
	{
		Name: "log.index.interval.bytes", Type: Int, Default: "4096",
		Valid: atLeast(0), Scope: BrokerScope, Update: ClusterWide,
		Doc: "How many bytes lie between two index entries, where a topic does not say.",
	},
	{
		Name: "log.index.size.max.bytes", Type: Int, Default: "10485760",
		Valid: atLeast(4), Scope: BrokerScope, Update: ClusterWide,
		Doc: "The largest size of an offset index, where a topic does not say.",
	},
	{
		Name: "log.initial.task.delay.ms", Type: Long, Default: "30000",
		Valid: atLeast(0), Scope: BrokerScope, Internal: true,
		Doc: "How long after the start the periodic tasks on logs begin.",
	},
	{
		Name: "log.local.retention.bytes", Type: Long, Default: "-2",
		Valid: atLeast(-2), Scope: BrokerScope, Update: ClusterWide, Inert: true,
		Doc: "The size kept on local disk with tiered storage, where a topic does not " +
			"say.",
	},
	{
		Name: "log.local.retention.ms", Type: Long, Default: "-2",
		Valid: atLeast(-2), Scope: BrokerScope, Update: ClusterWide, Inert: true,
		Doc: "The time kept on local disk with tiered storage, where a topic does not " +
			"say.",
	},
	{
		Name: "log.message.timestamp.after.max.ms", Type: Long, Default: "3600000",
		Valid: atLeast(0), Scope: BrokerScope, Update: ClusterWide,
		Doc: "How far a timestamp may lie ahead of the broker's clock, where a topic does " +
			"not say.",
	},
	{
		Name: "log.message.timestamp.before.max.ms", Type: Long, Default: "9223372036854775807",
		Valid: atLeast(0), Scope: BrokerScope, Update: ClusterWide,
		Doc: "How far a timestamp may lie behind the broker's clock, where a topic does " +
			"not say.",
	},
	{
		Name: "log.message.timestamp.type", Type: String, Default: "CreateTime",
		Valid: oneOf("CreateTime", "LogAppendTime"), Scope: BrokerScope, Update: ClusterWide,
		Doc: "Who sets the timestamps of records, where a topic does not say.",
	},
	{
		Name: "log.preallocate", Type: Boolean, Default: "false",
		Scope: BrokerScope, Update: ClusterWide,
		Doc: "Whether new segments are given their full size at once, where a topic does " +
			"not say.",
	},
	{
		Name: "log.retention.bytes", Type: Long, Default: "-1",
		Scope: BrokerScope, Update: ClusterWide,
		Doc: "The size at which old segments are removed, where a topic does not say.",
	},
	{
		Name: "log.retention.check.interval.ms", Type: Long, Default: "300000",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "How often the broker looks for segments to remove.",
	},
	{
		Name: "log.retention.hours", Type: Int, Default: "168",
		Scope: BrokerScope,
		Doc: "The age in hours at which segments are removed, if neither minutes nor " +
			"milliseconds are set.",
	},
	{
		Name: "log.retention.minutes", Type: Int, Null: true,
		Scope: BrokerScope,
		Doc: "The age in minutes at which segments are removed, if milliseconds are not " +
			"set.",
	},
	{
		Name: "log.retention.ms", Type: Long, Null: true,
		Scope: BrokerScope, Update: ClusterWide,
		Doc: "The age in milliseconds at which segments are removed, where a topic does " +
			"not say.",
	},
	{
		Name: "log.roll.hours", Type: Int, Default: "168",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "The age in hours at which a segment is closed, if milliseconds are not set.",
	},
	{
		Name: "log.roll.jitter.hours", Type: Int, Default: "0",
		Valid: atLeast(0), Scope: BrokerScope,
		Doc: "The random hours by which log.roll.hours is shortened, if milliseconds are " +
			"not set.",
	},
	{
		Name: "log.roll.jitter.ms", Type: Long, Null: true,
		Scope: BrokerScope, Update: ClusterWide,
		Doc: "The random milliseconds by which log.roll.ms is shortened, where a topic " +
			"does not say.",
	},
	{
		Name: "log.roll.ms", Type: Long, Null: true,
		Scope: BrokerScope, Update: ClusterWide,
		Doc: "The age in milliseconds at which a segment is closed, where a topic does " +
			"not say.",
	},
	{
		Name: "log.segment.bytes", Type: Int, Default: "1073741824",
		Valid: atLeast(1_048_576), SmallMin: 14, Scope: BrokerScope, Update: ClusterWide,
		Doc: "The size at which a segment is closed, where a topic does not say.",
	},
	{
		Name: "log.segment.delete.delay.ms", Type: Long, Default: "60000",
		Valid: atLeast(0), Scope: BrokerScope, Update: ClusterWide,
		Doc: "How long the files of a removed segment stay on disk, where a topic does " +
			"not say.",
	},
	{
		Name: "message.max.bytes", Type: Int, Default: "1048588",
		Valid: atLeast(0), Scope: BrokerScope, Update: ClusterWide,
		Doc: "The largest batch of records accepted, where a topic does not say.",
	},
	{
		Name: "metadata.log.dir", Type: String, Null: true,
		Scope: BrokerScope,
		Doc:   "The directory of the metadata log; the first of log.dirs if it is not set.",
	},
	{
		Name: "metadata.log.max.record.bytes.between.snapshots", Type: Long, Default: "20971520",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "How many bytes of metadata records call for a snapshot.",
	},
	{
		Name: "metadata.log.max.snapshot.interval.ms", Type: Long, Default: "3600000",
		Valid: atLeast(0), Scope: BrokerScope, Inert: true,
		Doc: "How much time with new metadata records calls for a snapshot.",
	},
	{
		Name: "metadata.log.segment.bytes", Type: Int, Default: "1073741824",
		Valid: atLeast(8_388_608), SmallMin: 1024, Scope: BrokerScope,
		Doc: "The size of a segment of the metadata log.",
	},
	{
		Name: "metadata.log.segment.ms", Type: Long, Default: "604800000",
		Scope: BrokerScope, Inert: true,
		Doc: "The age at which a segment of the metadata log is closed.",
	},
	{
		Name: "metadata.max.idle.interval.ms", Type: Int, Default: "500",
		Valid: atLeast(0), Scope: BrokerScope,
		Doc: "How often the controller writes an empty record when it has nothing else to " +
			"write.",
	},
	{
		Name: "metadata.max.retention.bytes", Type: Long, Default: "104857600",
		Scope: BrokerScope, Inert: true,
		Doc: "The size of the metadata log and its snapshots before old ones are removed.",
	},
	{
		Name: "metadata.max.retention.ms", Type: Long, Default: "604800000",
		Scope: BrokerScope, Inert: true,
		Doc: "The age at which metadata segments and snapshots are removed.",
	},
	{
		Name: "num.recovery.threads.per.data.dir", Type: Int, Default: "2",
		Valid: atLeast(1), Scope: BrokerScope, Update: ClusterWide,
		Doc: "How many logs of a directory are recovered at once.",
	},
	{
		Name: "producer.id.expiration.check.interval.ms", Type: Int, Default: "600000",
		Valid: atLeast(1), Scope: BrokerScope, Internal: true,
		Doc: "How often the broker looks for producers to forget.",
	},
	{
		Name: "producer.id.expiration.ms", Type: Int, Default: "86400000",
		Valid: atLeast(1), Scope: BrokerScope, Update: ClusterWide,
		Doc: "How long after its last write a partition forgets an idempotent producer.",
	},
}
