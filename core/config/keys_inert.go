package config

// inertKeys are keys of Kafka about what this broker does not have.
var inertKeys = []Key{
	{
		Name: "alter.config.policy.class.name", Type: Class, Null: true,
		Scope: BrokerScope, Inert: true,
		Doc: "The class that may refuse changes of configurations.",
	},
	{
		Name: "alter.log.dirs.replication.quota.window.num", Type: Int, Default: "11",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How many samples the quota for moving replicas between directories keeps.",
	},
	{
		Name: "alter.log.dirs.replication.quota.window.size.seconds", Type: Int, Default: "1",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The length of a sample of the quota for moving replicas between " +
			"directories.",
	},
	{
		Name: "client.quota.callback.class", Type: Class, Null: true,
		Scope: BrokerScope, Inert: true,
		Doc: "The class that decides which quota applies to a client.",
	},
	{
		Name: "controller.quota.window.num", Type: Int, Default: "11",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How many samples the quota for controller mutations keeps.",
	},
	{
		Name: "controller.quota.window.size.seconds", Type: Int, Default: "1",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The length of a sample of the quota for controller mutations.",
	},
	{
		Name: "create.topic.policy.class.name", Type: Class, Null: true,
		Scope: BrokerScope, Inert: true,
		Doc: "The class that may refuse the creation of topics.",
	},
	{
		Name: "delegation.token.expiry.check.interval.ms", Type: Long, Default: "3600000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How often expired delegation tokens are looked for.",
	},
	{
		Name: "delegation.token.expiry.time.ms", Type: Long, Default: "86400000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How long a delegation token is valid unless it is renewed.",
	},
	{
		Name: "delegation.token.max.lifetime.ms", Type: Long, Default: "604800000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How long a delegation token can be renewed at most.",
	},
	{
		Name: "delegation.token.secret.key", Type: Password, Null: true,
		Scope: BrokerScope, Inert: true,
		Doc: "The secret that delegation tokens are signed with.",
	},
	{
		Name: "delete.records.purgatory.purge.interval.requests", Type: Int, Default: "1",
		Scope: BrokerScope, Inert: true,
		Doc: "How often Kafka clears its list of waiting record deletions.",
	},
	{
		Name: "early.start.listeners", Type: String, Null: true,
		Scope: BrokerScope, Inert: true,
		Doc: "Listeners that are opened before the authorizer is ready.",
	},
	{
		Name: "fetch.purgatory.purge.interval.requests", Type: Int, Default: "1000",
		Scope: BrokerScope, Inert: true,
		Doc: "How often Kafka clears its list of waiting fetches.",
	},
	{
		Name: "follower.replication.throttled.rate", Type: Long, Default: "9223372036854775807",
		Valid: atLeast(0), Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The bytes a second at which throttled followers fetch.",
	},
	{
		Name: "initial.broker.registration.timeout.ms", Type: Int, Default: "60000",
		Scope: BrokerScope, Inert: true,
		Doc: "How long a starting broker tries to register.",
	},
	{
		Name: "kafka.metrics.polling.interval.secs", Type: Int, Default: "10",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How often Kafka's older metrics reporters are asked.",
	},
	{
		Name: "kafka.metrics.reporters", Type: List,
		Scope: BrokerScope, Inert: true,
		Doc: "The classes of Kafka's older metrics reporters.",
	},
	{
		Name: "leader.imbalance.per.broker.percentage", Type: Int, Default: "10",
		Scope: BrokerScope, Inert: true,
		Doc: "A limit of imbalance that controllers of earlier times used.",
	},
	{
		Name: "leader.replication.throttled.rate", Type: Long, Default: "9223372036854775807",
		Valid: atLeast(0), Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The bytes a second at which throttled leaders serve followers.",
	},
	{
		Name: "metric.reporters", Type: List,
		Default: "org.apache.kafka.common.metrics.JmxReporter",
		Scope:   BrokerScope, Update: ClusterWide, Inert: true,
		Doc: "The classes of metrics reporters.",
	},
	{
		Name: "metrics.num.samples", Type: Int, Default: "2",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How many samples a metric keeps.",
	},
	{
		Name: "metrics.recording.level", Type: String, Default: "INFO",
		Valid: oneOf("INFO", "DEBUG", "TRACE"), Scope: BrokerScope, Inert: true,
		Doc: "The level of detail of metrics.",
	},
	{
		Name: "metrics.sample.window.ms", Type: Long, Default: "30000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The length of a metric's sample.",
	},
	{
		Name: "producer.purgatory.purge.interval.requests", Type: Int, Default: "1000",
		Scope: BrokerScope, Inert: true,
		Doc: "How often Kafka clears its list of waiting produces.",
	},
	{
		Name: "quota.window.num", Type: Int, Default: "11",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How many samples a client quota keeps.",
	},
	{
		Name: "quota.window.size.seconds", Type: Int, Default: "1",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The length of a sample of a client quota.",
	},
	{
		Name: "remote.fetch.max.wait.ms", Type: Int, Default: "500",
		Valid: atLeast(1), Scope: BrokerScope, Update: ClusterWide, Inert: true,
		Doc: "How long a fetch waits for remote storage.",
	},
	{
		Name: "remote.list.offsets.request.timeout.ms", Type: Long, Default: "30000",
		Valid: atLeast(1), Scope: BrokerScope, Update: ClusterWide, Inert: true,
		Doc: "How long a search for an offset by time may take in remote storage.",
	},
	{
		Name: "remote.log.index.file.cache.total.size.bytes", Type: Long, Default: "1073741824",
		Valid: atLeast(1), Scope: BrokerScope, Update: ClusterWide, Inert: true,
		Doc: "The disk space for cached indexes of remote segments.",
	},
	{
		Name: "remote.log.manager.copier.thread.pool.size", Type: Int, Default: "10",
		Valid: atLeast(1), Scope: BrokerScope, Update: ClusterWide, Inert: true,
		Doc: "How many threads copy segments to remote storage.",
	},
	{
		Name: "remote.log.manager.copy.max.bytes.per.second", Type: Long,
		Default: "9223372036854775807",
		Valid:   atLeast(1), Scope: BrokerScope, Update: ClusterWide, Inert: true,
		Doc: "The rate at which segments are copied to remote storage.",
	},
	{
		Name: "remote.log.manager.copy.quota.window.num", Type: Int, Default: "11",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How many samples the quota for copying to remote storage keeps.",
	},
	{
		Name: "remote.log.manager.copy.quota.window.size.seconds", Type: Int, Default: "1",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The length of a sample of the quota for copying to remote storage.",
	},
	{
		Name: "remote.log.manager.expiration.thread.pool.size", Type: Int, Default: "10",
		Valid: atLeast(1), Scope: BrokerScope, Update: ClusterWide, Inert: true,
		Doc: "How many threads remove expired remote segments.",
	},
	{
		Name: "remote.log.manager.fetch.max.bytes.per.second", Type: Long,
		Default: "9223372036854775807",
		Valid:   atLeast(1), Scope: BrokerScope, Update: ClusterWide, Inert: true,
		Doc: "The rate at which segments are fetched from remote storage.",
	},
	{
		Name: "remote.log.manager.fetch.quota.window.num", Type: Int, Default: "11",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How many samples the quota for fetching from remote storage keeps.",
	},
	{
		Name: "remote.log.manager.fetch.quota.window.size.seconds", Type: Int, Default: "1",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The length of a sample of the quota for fetching from remote storage.",
	},
	{
		Name: "remote.log.manager.follower.thread.pool.size", Type: Int, Default: "2",
		Valid: atLeast(1), Scope: BrokerScope, Update: ClusterWide, Inert: true,
		Doc: "How many threads serve followers of tiered partitions.",
	},
	{
		Name: "remote.log.manager.task.interval.ms", Type: Long, Default: "30000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How often segments are looked for to be copied or removed.",
	},
	{
		Name: "remote.log.manager.thread.pool.size", Type: Int, Default: "2",
		Valid: atLeast(1), Scope: BrokerScope, Update: ClusterWide, Inert: true,
		Doc: "How many threads do other work on remote storage.",
	},
	{
		Name: "remote.log.metadata.consume.wait.ms", Type: Long, Default: "120000",
		Valid: atLeast(0), Scope: BrokerScope, Inert: true,
		Doc: "How long to wait until a remote segment's metadata has been read back.",
	},
	{
		Name: "remote.log.metadata.custom.metadata.max.bytes", Type: Int, Default: "128",
		Valid: atLeast(0), Scope: BrokerScope, Inert: true,
		Doc: "The most bytes of a storage plug-in's own metadata for a segment.",
	},
	{
		Name: "remote.log.metadata.initialization.retry.interval.ms", Type: Long, Default: "100",
		Valid: atLeast(0), Scope: BrokerScope, Inert: true,
		Doc: "How long to wait before the remote metadata topic is asked for again.",
	},
	{
		Name: "remote.log.metadata.initialization.retry.max.timeout.ms", Type: Long,
		Default: "120000",
		Valid:   atLeast(0), Scope: BrokerScope, Inert: true,
		Doc: "How long to try to reach the remote metadata topic.",
	},
	{
		Name: "remote.log.metadata.manager.class.name", Type: String,
		Default: "org.apache.kafka.server.log.remote.metadata.storage." +
			"TopicBasedRemoteLogMetadataManager",
		Scope: BrokerScope, Inert: true,
		Doc: "The class that keeps the metadata of remote segments.",
	},
	{
		Name: "remote.log.metadata.manager.class.path", Type: String, Null: true,
		Scope: BrokerScope, Inert: true,
		Doc: "Where the class for remote metadata is found.",
	},
	{
		Name: "remote.log.metadata.manager.impl.prefix", Type: String, Default: "rlmm.config.",
		Scope: BrokerScope, Inert: true,
		Doc: "The prefix of the remote metadata class's own settings.",
	},
	{
		Name: "remote.log.metadata.manager.listener.name", Type: String, Null: true,
		Scope: BrokerScope, Inert: true,
		Doc: "The listener the remote metadata class connects to.",
	},
	{
		Name: "remote.log.metadata.topic.num.partitions", Type: Int, Default: "50",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The number of partitions of the remote metadata topic.",
	},
	{
		Name: "remote.log.metadata.topic.replication.factor", Type: Short, Default: "3",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The replication factor of the remote metadata topic.",
	},
	{
		Name: "remote.log.metadata.topic.retention.ms", Type: Long, Default: "-1",
		Scope: BrokerScope, Inert: true,
		Doc: "The retention of the remote metadata topic.",
	},
	{
		Name: "remote.log.reader.max.pending.tasks", Type: Int, Default: "100",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How many reads of remote storage may wait.",
	},
	{
		Name: "remote.log.reader.threads", Type: Int, Default: "10",
		Valid: atLeast(1), Scope: BrokerScope, Update: ClusterWide, Inert: true,
		Doc: "How many threads read remote storage.",
	},
	{
		Name: "remote.log.storage.manager.class.name", Type: String, Null: true,
		Scope: BrokerScope, Inert: true,
		Doc: "The class that stores remote segments.",
	},
	{
		Name: "remote.log.storage.manager.class.path", Type: String, Null: true,
		Scope: BrokerScope, Inert: true,
		Doc: "Where the class for remote segments is found.",
	},
	{
		Name: "remote.log.storage.manager.impl.prefix", Type: String, Default: "rsm.config.",
		Scope: BrokerScope, Inert: true,
		Doc: "The prefix of the remote storage class's own settings.",
	},
	{
		Name: "remote.log.storage.system.enable", Type: Boolean, Default: "false",
		Scope: BrokerScope, Inert: true,
		Doc: "Whether tiered storage is available, which on this broker it is not.",
	},
	{
		Name: "replica.alter.log.dirs.io.max.bytes.per.second", Type: Long,
		Default: "9223372036854775807",
		Valid:   atLeast(0), Scope: BrokerScope, Update: PerBroker, Inert: true,
		Doc: "The bytes a second at which replicas move between log directories.",
	},
	{
		Name: "replication.quota.window.num", Type: Int, Default: "11",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How many samples the replication quota keeps.",
	},
	{
		Name: "replication.quota.window.size.seconds", Type: Int, Default: "1",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The length of a sample of the replication quota.",
	},
	{
		Name: "telemetry.max.bytes", Type: Int, Default: "1048576",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The largest push of client metrics accepted.",
	},
}
