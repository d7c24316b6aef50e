package config

// brokerKeys are the keys of nodes, their connections and replication.
var brokerKeys = []Key{
	{
		Name: "advertised.listeners", Type: String, Null: true,
		Scope: BrokerScope, Update: PerBroker,
		Doc: "The addresses that clients are told to connect to; those of listeners if it " +
			"is not set.",
	},
	{
		Name: "auto.create.topics.enable", Type: Boolean, Default: "true",
		Scope: BrokerScope,
		Doc:   "Whether a request for a topic that does not exist may create it.",
	},
	{
		Name: "auto.leader.rebalance.enable", Type: Boolean, Default: "true",
		Scope: BrokerScope,
		Doc:   "Whether leadership is moved back to preferred replicas by itself.",
	},
	{
		Name: "background.threads", Type: Int, Default: "10",
		Valid: atLeast(1), Scope: BrokerScope, Update: ClusterWide, Inert: true,
		Doc: "How many threads do background work in Kafka.",
	},
	{
		Name: "broker.heartbeat.interval.ms", Type: Int, Default: "2000",
		Scope: BrokerScope,
		Doc:   "How often a broker tells the controller that it lives.",
	},
	{
		Name: "broker.id", Type: Int, Default: "-1",
		Valid: atLeast(-1), Scope: BrokerScope,
		Doc: "The older name of node.id.",
	},
	{
		Name: "broker.rack", Type: String, Null: true,
		Scope: BrokerScope,
		Doc:   "The rack the broker stands in, for the placement of replicas.",
	},
	{
		Name: "broker.session.timeout.ms", Type: Int, Default: "9000",
		Scope: BrokerScope,
		Doc:   "How long the controller waits for a heartbeat before it fences a broker.",
	},
	{
		Name: "connections.max.idle.ms", Type: Long, Default: "600000",
		Scope: BrokerScope,
		Doc:   "How long a connection may be idle before it is closed.",
	},
	{
		Name: "controlled.shutdown.enable", Type: Boolean, Default: "true",
		Scope: BrokerScope,
		Doc:   "Whether a broker hands over leadership before it stops.",
	},
	{
		Name: "controlled.shutdown.max.retries", Type: Int, Default: "3",
		Scope: BrokerScope,
		Doc:   "How often a controlled shutdown is tried again without an answer.",
	},
	{
		Name: "controlled.shutdown.retry.backoff.ms", Type: Long, Default: "5000",
		Scope: BrokerScope,
		Doc:   "How long to wait before a controlled shutdown is tried again.",
	},
	{
		Name: "controller.listener.names", Type: String, Null: true,
		Scope: BrokerScope,
		Doc:   "The names of the listeners that controllers use, separated by commas.",
	},
	{
		Name: "controller.quorum.append.linger.ms", Type: Int, Default: "25",
		Scope: BrokerScope, Inert: true,
		Doc: "How long the quorum leader collects records before it syncs them.",
	},
	{
		Name: "controller.quorum.auto.join.enable", Type: Boolean, Default: "false",
		Scope: BrokerScope, Inert: true,
		Doc: "Whether a controller adds itself to the voters.",
	},
	{
		Name: "controller.quorum.bootstrap.servers", Type: List,
		Scope: BrokerScope,
		Doc: "Addresses of a metadata quorum that exists: a new node waits to be added to it, " +
			"and controller.quorum.voters only says where its nodes are.",
	},
	{
		Name: "controller.quorum.election.backoff.max.ms", Type: Int, Default: "1000",
		Scope: BrokerScope, Inert: true,
		Doc: "The longest wait between two elections of the metadata quorum.",
	},
	{
		Name: "controller.quorum.election.timeout.ms", Type: Int, Default: "1000",
		Scope: BrokerScope,
		Doc:   "How long a voter waits for votes before it starts a new election.",
	},
	{
		Name: "controller.quorum.fetch.timeout.ms", Type: Int, Default: "2000",
		Scope: BrokerScope,
		Doc:   "How long a voter goes without hearing from the leader before it campaigns.",
	},
	{
		Name: "controller.quorum.request.timeout.ms", Type: Int, Default: "2000",
		Scope: BrokerScope,
		Doc:   "How long a node of the metadata quorum waits for an answer.",
	},
	{
		Name: "controller.quorum.retry.backoff.ms", Type: Int, Default: "20",
		Scope: BrokerScope, Inert: true,
		Doc: "How long a node of the metadata quorum waits before it asks again.",
	},
	{
		Name: "controller.quorum.voters", Type: List,
		Scope: BrokerScope,
		Doc:   "The voters of a fixed metadata quorum, as id@host:port.",
	},
	{
		Name: "controller.socket.timeout.ms", Type: Int, Default: "30000",
		Scope: BrokerScope, Inert: true,
		Doc: "How long a broker waits for the controller's answer.",
	},
	{
		Name: "default.replication.factor", Type: Int, Default: "1",
		Valid: between(1, 32767), Scope: BrokerScope,
		Doc: "The replication factor of topics created without one.",
	},
	{
		Name: "delete.topic.enable", Type: Boolean, Default: "true",
		Scope: BrokerScope,
		Doc:   "Whether topics may be deleted.",
	},
	{
		Name: "fetch.max.bytes", Type: Int, Default: "57671680",
		Valid: atLeast(1024), Scope: BrokerScope,
		Doc: "The most bytes of records in one answer to a fetch.",
	},
	{
		Name: "heiban.internal.small.limits", Type: Boolean, Default: "false",
		Scope: BrokerScope, Internal: true,
		Doc: "Whether the minimums of sizes are lifted, for simulations.",
	},
	{
		Name: "inter.broker.listener.name", Type: String, Null: true,
		Scope: BrokerScope,
		Doc:   "The name of the listener that brokers use among themselves.",
	},
	{
		Name: "leader.imbalance.check.interval.seconds", Type: Long, Default: "300",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "How often the controller looks for leaders that are not the preferred " +
			"replica.",
	},
	{
		Name: "listener.security.protocol.map", Type: String,
		Default: "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
		Scope:   BrokerScope, Update: PerBroker,
		Doc: "The security protocol of each listener name.",
	},
	{
		Name: "listeners", Type: String, Default: "PLAINTEXT://:9092",
		Scope: BrokerScope, Update: PerBroker,
		Doc: "The addresses that the node listens on, as NAME://host:port.",
	},
	{
		Name: "max.connection.creation.rate", Type: Int, Default: "2147483647",
		Valid: atLeast(0), Scope: BrokerScope, Update: ClusterWide, Inert: true,
		Doc: "How many connections a second the broker accepts.",
	},
	{
		Name: "max.connections", Type: Int, Default: "2147483647",
		Valid: atLeast(0), Scope: BrokerScope, Update: ClusterWide,
		Doc: "How many connections the broker keeps.",
	},
	{
		Name: "max.connections.per.ip", Type: Int, Default: "2147483647",
		Valid: atLeast(0), Scope: BrokerScope, Update: ClusterWide,
		Doc: "How many connections the broker keeps from one address.",
	},
	{
		Name: "max.connections.per.ip.overrides", Type: String,
		Scope: BrokerScope, Update: ClusterWide,
		Doc: "Other limits than max.connections.per.ip for some addresses, as host:count " +
			"pairs.",
	},
	{
		Name: "max.incremental.fetch.session.cache.slots", Type: Int, Default: "1000",
		Valid: atLeast(0), Scope: BrokerScope,
		Doc: "How many incremental fetch sessions the broker remembers.",
	},
	{
		Name: "max.request.partition.size.limit", Type: Int, Default: "2000",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "How many partitions one answer describes at most.",
	},
	{
		Name: "node.id", Type: Int, Default: "1",
		Valid: atLeast(0), Scope: BrokerScope,
		Doc: "The number of the node within its cluster.",
	},
	{
		Name: "num.io.threads", Type: Int, Default: "8",
		Valid: atLeast(1), Scope: BrokerScope, Update: ClusterWide, Inert: true,
		Doc: "How many threads answer requests in Kafka.",
	},
	{
		Name: "num.network.threads", Type: Int, Default: "3",
		Valid: atLeast(1), Scope: BrokerScope, Update: ClusterWide, Inert: true,
		Doc: "How many threads read and write sockets in Kafka.",
	},
	{
		Name: "num.partitions", Type: Int, Default: "1",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "The number of partitions of topics created without one.",
	},
	{
		Name: "num.replica.alter.log.dirs.threads", Type: Int, Null: true,
		Scope: BrokerScope, Inert: true,
		Doc: "How many threads move replicas between log directories in Kafka.",
	},
	{
		Name: "num.replica.fetchers", Type: Int, Default: "1",
		Scope: BrokerScope, Update: ClusterWide, Inert: true,
		Doc: "How many threads fetch from each source broker in Kafka.",
	},
	{
		Name: "process.roles", Type: List, Default: "broker,controller",
		Valid: oneOf("broker", "controller"), Scope: BrokerScope,
		Doc: "What the node is: a broker, a controller or both.",
	},
	{
		Name: "queued.max.request.bytes", Type: Long, Default: "-1",
		Scope: BrokerScope,
		Doc: "How many bytes of requests may wait before connections stop reading; -1 is " +
			"no limit.",
	},
	{
		Name: "queued.max.requests", Type: Int, Default: "500",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "How many requests may wait before connections stop reading.",
	},
	{
		Name: "replica.fetch.backoff.ms", Type: Int, Default: "1000",
		Valid: atLeast(0), Scope: BrokerScope,
		Doc: "How long a follower waits after a failed fetch.",
	},
	{
		Name: "replica.fetch.max.bytes", Type: Int, Default: "1048576",
		Valid: atLeast(0), Scope: BrokerScope,
		Doc: "How many bytes a follower asks for each partition.",
	},
	{
		Name: "replica.fetch.min.bytes", Type: Int, Default: "1",
		Scope: BrokerScope,
		Doc:   "How many bytes a follower waits for.",
	},
	{
		Name: "replica.fetch.response.max.bytes", Type: Int, Default: "10485760",
		Valid: atLeast(0), Scope: BrokerScope,
		Doc: "How many bytes a follower asks for in one fetch.",
	},
	{
		Name: "replica.fetch.wait.max.ms", Type: Int, Default: "500",
		Scope: BrokerScope,
		Doc:   "How long a leader may hold a follower's fetch.",
	},
	{
		Name: "replica.high.watermark.checkpoint.interval.ms", Type: Long, Default: "5000",
		Scope: BrokerScope,
		Doc:   "How often high watermarks are written to their checkpoint file.",
	},
	{
		Name: "replica.lag.time.max.ms", Type: Long, Default: "30000",
		Scope: BrokerScope,
		Doc:   "How long a follower may lag before it leaves the in-sync replicas.",
	},
	{
		Name: "replica.selector.class", Type: Class, Null: true,
		Scope: BrokerScope,
		Doc:   "The class that chooses the replica a consumer reads from.",
	},
	{
		Name: "replica.socket.receive.buffer.bytes", Type: Int, Default: "65536",
		Scope: BrokerScope, Inert: true,
		Doc: "The receive buffer of a follower's connection.",
	},
	{
		Name: "replica.socket.timeout.ms", Type: Int, Default: "30000",
		Scope: BrokerScope,
		Doc:   "How long a follower waits for the leader's answer.",
	},
	{
		Name: "request.timeout.ms", Type: Int, Default: "30000",
		Scope: BrokerScope,
		Doc:   "How long a request between brokers may take.",
	},
	{
		Name: "socket.connection.setup.timeout.max.ms", Type: Long, Default: "30000",
		Scope: BrokerScope, Inert: true,
		Doc: "The longest time to set up a connection.",
	},
	{
		Name: "socket.connection.setup.timeout.ms", Type: Long, Default: "10000",
		Scope: BrokerScope,
		Doc:   "The time to set up a connection, before back-off.",
	},
	{
		Name: "socket.listen.backlog.size", Type: Int, Default: "50",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "How many connections may wait to be accepted.",
	},
	{
		Name: "socket.receive.buffer.bytes", Type: Int, Default: "102400",
		Scope: BrokerScope,
		Doc:   "The receive buffer of a connection; -1 leaves it to the system.",
	},
	{
		Name: "socket.request.max.bytes", Type: Int, Default: "104857600",
		Valid: atLeast(1), Scope: BrokerScope,
		Doc: "The largest request accepted.",
	},
	{
		Name: "socket.send.buffer.bytes", Type: Int, Default: "102400",
		Scope: BrokerScope,
		Doc:   "The send buffer of a connection; -1 leaves it to the system.",
	},
	{
		Name: "unclean.leader.election.interval.ms", Type: Long, Default: "300000",
		Valid: atLeast(1), Scope: BrokerScope, Internal: true,
		Doc: "How often the controller looks for partitions that need an unclean " +
			"election.",
	},
}
