package config

// groupKeys are the keys of brokers about groups and transactions.
var groupKeys = []Key{
	{
		Name: "group.consumer.assignors", Type: List, Default: "uniform,range",
		Scope: BrokerScope,
		Doc:   "The assignors of consumer groups, the first being the default.",
	},
	{
		Name: "group.consumer.heartbeat.interval.ms", Type: Int, Default: "5000",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "How often members of consumer groups send heartbeats.",
	},
	{
		Name: "group.consumer.max.heartbeat.interval.ms", Type: Int, Default: "15000",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "The longest heartbeat interval a consumer group may be given.",
	},
	{
		Name: "group.consumer.max.session.timeout.ms", Type: Int, Default: "60000",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "The longest session timeout a consumer group may be given.",
	},
	{
		Name: "group.consumer.max.size", Type: Int, Default: "2147483647",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "How many members a consumer group may have.",
	},
	{
		Name: "group.consumer.migration.policy", Type: String, Default: "bidirectional",
		Valid: oneOf("disabled", "downgrade", "upgrade", "bidirectional"),
		Scope: BrokerScope,
		Doc: "In which directions groups may change between the classic and the consumer " +
			"protocol.",
	},
	{
		Name: "group.consumer.min.heartbeat.interval.ms", Type: Int, Default: "5000",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "The shortest heartbeat interval a consumer group may be given.",
	},
	{
		Name: "group.consumer.min.session.timeout.ms", Type: Int, Default: "45000",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "The shortest session timeout a consumer group may be given.",
	},
	{
		Name: "group.consumer.regex.refresh.interval.ms", Type: Int, Default: "600000",
		Valid: atLeast(10000), Scope: BrokerScope,
		Doc: "How often subscriptions by regular expression are resolved again.",
	},
	{
		Name: "group.consumer.session.timeout.ms", Type: Int, Default: "45000",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "How long a member of a consumer group may be silent.",
	},
	{
		Name: "group.coordinator.append.linger.ms", Type: Int, Default: "5",
		Valid: atLeast(-1), Scope: BrokerScope, Inert: true,
		Doc: "How long a group coordinator collects records before it writes them.",
	},
	{
		Name: "group.coordinator.rebalance.protocols", Type: List, Default: "classic,consumer",
		Valid: oneOf("classic", "consumer", "share", "streams"), Scope: BrokerScope, Inert: true,
		Doc: "The group protocols that are enabled.",
	},
	{
		Name: "group.coordinator.threads", Type: Int, Default: "4",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How many threads group coordinators have in Kafka.",
	},
	{
		Name: "group.initial.rebalance.delay.ms", Type: Int, Default: "3000",
		Scope: BrokerScope,
		Doc: "How long a coordinator waits for more members before a group's first " +
			"rebalance.",
	},
	{
		Name: "group.max.session.timeout.ms", Type: Int, Default: "1800000",
		Scope: BrokerScope,
		Doc:   "The longest session timeout a member of a classic group may ask for.",
	},
	{
		Name: "group.max.size", Type: Int, Default: "2147483647",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "How many members a classic group may have.",
	},
	{
		Name: "group.min.session.timeout.ms", Type: Int, Default: "6000",
		Scope: BrokerScope,
		Doc:   "The shortest session timeout a member of a classic group may ask for.",
	},
	{
		Name: "group.share.assignors", Type: List, Default: "simple",
		Scope: BrokerScope, Inert: true,
		Doc: "The assignor of share groups.",
	},
	{
		Name: "group.share.delivery.count.limit", Type: Int, Default: "5",
		Valid: between(2, 10), Scope: BrokerScope, Inert: true,
		Doc: "How often a record is delivered to a share group at most.",
	},
	{
		Name: "group.share.heartbeat.interval.ms", Type: Int, Default: "5000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How often members of share groups send heartbeats.",
	},
	{
		Name: "group.share.max.heartbeat.interval.ms", Type: Int, Default: "15000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The longest heartbeat interval a share group may be given.",
	},
	{
		Name: "group.share.max.record.lock.duration.ms", Type: Int, Default: "60000",
		Valid: between(30000, 3_600_000), Scope: BrokerScope, Inert: true,
		Doc: "The longest lock on a record a share group may be given.",
	},
	{
		Name: "group.share.max.session.timeout.ms", Type: Int, Default: "60000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The longest session timeout a share group may be given.",
	},
	{
		Name: "group.share.max.share.sessions", Type: Int, Default: "2000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How many share sessions a broker keeps.",
	},
	{
		Name: "group.share.max.size", Type: Int, Default: "200",
		Valid: between(1, 1000), Scope: BrokerScope, Inert: true,
		Doc: "How many members a share group may have.",
	},
	{
		Name: "group.share.min.heartbeat.interval.ms", Type: Int, Default: "5000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The shortest heartbeat interval a share group may be given.",
	},
	{
		Name: "group.share.min.record.lock.duration.ms", Type: Int, Default: "15000",
		Valid: between(1000, 30000), Scope: BrokerScope, Inert: true,
		Doc: "The shortest lock on a record a share group may be given.",
	},
	{
		Name: "group.share.min.session.timeout.ms", Type: Int, Default: "45000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The shortest session timeout a share group may be given.",
	},
	{
		Name: "group.share.partition.max.record.locks", Type: Int, Default: "2000",
		Valid: between(100, 10000), Scope: BrokerScope, Inert: true,
		Doc: "How many records of a partition a share group may have locked.",
	},
	{
		Name: "group.share.record.lock.duration.ms", Type: Int, Default: "30000",
		Valid: between(1000, 3_600_000), Scope: BrokerScope, Inert: true,
		Doc: "How long a record stays locked for a member of a share group.",
	},
	{
		Name: "group.share.session.timeout.ms", Type: Int, Default: "45000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How long a member of a share group may be silent.",
	},
	{
		Name: "group.streams.heartbeat.interval.ms", Type: Int, Default: "5000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How often members of streams groups send heartbeats.",
	},
	{
		Name: "group.streams.initial.rebalance.delay.ms", Type: Int, Default: "3000",
		Valid: atLeast(0), Scope: BrokerScope, Inert: true,
		Doc: "How long a coordinator waits before a streams group's first rebalance.",
	},
	{
		Name: "group.streams.max.heartbeat.interval.ms", Type: Int, Default: "15000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The longest heartbeat interval a streams group may be given.",
	},
	{
		Name: "group.streams.max.session.timeout.ms", Type: Int, Default: "60000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The longest session timeout a streams group may be given.",
	},
	{
		Name: "group.streams.max.size", Type: Int, Default: "2147483647",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How many members a streams group may have.",
	},
	{
		Name: "group.streams.max.standby.replicas", Type: Int, Default: "2",
		Valid: atLeast(0), Scope: BrokerScope, Inert: true,
		Doc: "The most standby replicas a streams group may be given.",
	},
	{
		Name: "group.streams.min.heartbeat.interval.ms", Type: Int, Default: "5000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The shortest heartbeat interval a streams group may be given.",
	},
	{
		Name: "group.streams.min.session.timeout.ms", Type: Int, Default: "45000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The shortest session timeout a streams group may be given.",
	},
	{
		Name: "group.streams.num.standby.replicas", Type: Int, Default: "0",
		Valid: atLeast(0), Scope: BrokerScope, Inert: true,
		Doc: "How many standby replicas the tasks of a streams group have.",
	},
	{
		Name: "group.streams.session.timeout.ms", Type: Int, Default: "45000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How long a member of a streams group may be silent.",
	},
	{
		Name: "offset.metadata.max.bytes", Type: Int, Default: "4096",
		Scope: BrokerScope,
		Doc:   "The most bytes of metadata that a committed offset may carry.",
	},
	{
		Name: "offsets.commit.timeout.ms", Type: Int, Default: "5000",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "How long an offset commit may wait for its replicas.",
	},
	{
		Name: "offsets.load.buffer.size", Type: Int, Default: "5242880",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How much a coordinator reads at once when it loads committed offsets.",
	},
	{
		Name: "offsets.retention.check.interval.ms", Type: Long, Default: "600000",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "How often the broker looks for committed offsets to forget.",
	},
	{
		Name: "offsets.retention.minutes", Type: Int, Default: "10080",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "How many minutes committed offsets outlive their group.",
	},
	{
		Name: "offsets.topic.compression.codec", Type: Int, Default: "0",
		Scope: BrokerScope, Inert: true,
		Doc: "The codec of the offsets topic, by its number.",
	},
	{
		Name: "offsets.topic.num.partitions", Type: Int, Default: "50",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "The number of partitions of the offsets topic.",
	},
	{
		Name: "offsets.topic.replication.factor", Type: Short, Default: "3",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "The replication factor of the offsets topic. Where the quorum has one voter, " +
			"the default is no more than the number of brokers.",
	},
	{
		Name: "offsets.topic.segment.bytes", Type: Int, Default: "104857600",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "The segment size of the offsets topic.",
	},
	{
		Name: "share.coordinator.append.linger.ms", Type: Int, Default: "5",
		Valid: atLeast(-1), Scope: BrokerScope, Inert: true,
		Doc: "How long a share coordinator collects records before it writes them.",
	},
	{
		Name: "share.coordinator.cold.partition.snapshot.interval.ms", Type: Int, Default: "300000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How often the state of idle share partitions is written anew.",
	},
	{
		Name: "share.coordinator.load.buffer.size", Type: Int, Default: "5242880",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How much a share coordinator reads at once when it loads its state.",
	},
	{
		Name: "share.coordinator.snapshot.update.records.per.snapshot", Type: Int, Default: "500",
		Valid: between(0, 500), Scope: BrokerScope, Inert: true,
		Doc: "How many updates lie between two snapshots of a share partition's state.",
	},
	{
		Name: "share.coordinator.state.topic.compression.codec", Type: Int, Default: "0",
		Scope: BrokerScope, Inert: true,
		Doc: "The codec of the share state topic, by its number.",
	},
	{
		Name: "share.coordinator.state.topic.min.isr", Type: Short, Default: "1",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The min.insync.replicas of the share state topic; Kafka's own default is 2.",
	},
	{
		Name: "share.coordinator.state.topic.num.partitions", Type: Int, Default: "50",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The number of partitions of the share state topic.",
	},
	{
		Name: "share.coordinator.state.topic.prune.interval.ms", Type: Int, Default: "300000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How often old records of the share state topic are removed.",
	},
	{
		Name: "share.coordinator.state.topic.replication.factor", Type: Short, Default: "1",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The replication factor of the share state topic; Kafka's own default is 3.",
	},
	{
		Name: "share.coordinator.state.topic.segment.bytes", Type: Int, Default: "104857600",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "The segment size of the share state topic.",
	},
	{
		Name: "share.coordinator.threads", Type: Int, Default: "1",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How many threads share coordinators have in Kafka.",
	},
	{
		Name: "share.coordinator.write.timeout.ms", Type: Int, Default: "5000",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How long a share coordinator's write may wait for its replicas.",
	},
	{
		Name: "share.fetch.purgatory.purge.interval.requests", Type: Int, Default: "1000",
		Scope: BrokerScope, Inert: true,
		Doc: "How often Kafka clears its list of waiting share fetches.",
	},
	{
		Name: "transaction.abort.timed.out.transaction.cleanup.interval.ms", Type: Int,
		Default: "10000",
		Valid:   atLeast(1), Scope: BrokerScope,
		Doc: "How often the coordinator looks for transactions that ran out of time.",
	},
	{
		Name: "transaction.max.timeout.ms", Type: Int, Default: "900000",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "The longest timeout a transactional producer may ask for.",
	},
	{
		Name: "transaction.partition.verification.enable", Type: Boolean, Default: "true",
		Scope: BrokerScope, Update: ClusterWide,
		Doc: "Whether a partition asks the coordinator if a transaction is open before it " +
			"accepts its first write.",
	},
	{
		Name: "transaction.remove.expired.transaction.cleanup.interval.ms", Type: Int,
		Default: "3600000",
		Valid:   atLeast(1), Scope: BrokerScope,
		Doc: "How often the coordinator looks for transactional ids to forget.",
	},
	{
		Name: "transaction.state.log.load.buffer.size", Type: Int, Default: "5242880",
		Valid: atLeast(1), Scope: BrokerScope, Inert: true,
		Doc: "How much a coordinator reads at once when it loads transactions.",
	},
	{
		Name: "transaction.state.log.min.isr", Type: Int, Default: "1",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "The min.insync.replicas of the transaction topic; Kafka's own default of 2 " +
			"asks for more brokers.",
	},
	{
		Name: "transaction.state.log.num.partitions", Type: Int, Default: "50",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "The number of partitions of the transaction topic.",
	},
	{
		Name: "transaction.state.log.replication.factor", Type: Short, Default: "1",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "The replication factor of the transaction topic; Kafka's own default of 3 " +
			"asks for three brokers.",
	},
	{
		Name: "transaction.state.log.segment.bytes", Type: Int, Default: "104857600",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "The segment size of the transaction topic.",
	},
	{
		Name: "transaction.two.phase.commit.enable", Type: Boolean, Default: "false",
		Scope: BrokerScope, Inert: true,
		Doc: "Whether transactions may be prepared for a commit decided outside of Kafka.",
	},
	{
		Name: "transactional.id.expiration.ms", Type: Int, Default: "604800000",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "How long after its last transaction a transactional id is forgotten.",
	},
}
