package config

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/invariant"
)

// reader fills in typed fields from a broker's layers, and keeps the first error.
type reader struct {
	b   *Broker
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// value returns the effective value of a key, empty if there is none.
func (r *reader) value(name string) (*Key, string, bool) {
	k, ok := Lookup(name)
	if !ok {
		invariant.Fail("configuration %s is not in the table", name)
	}
	v, _, ok := r.b.Get(name)
	return k, v, ok
}

func (r *reader) bool(name string) bool {
	k, v, ok := r.value(name)
	if !ok {
		return false
	}
	set, err := k.parseBool(v)
	if err != nil {
		r.fail(err)
	}
	return set
}

func (r *reader) long(name string) int64 {
	k, v, ok := r.value(name)
	if !ok {
		return 0
	}
	n, err := k.parseInt(v, r.b.SmallLimits)
	if err != nil {
		r.fail(err)
	}
	return n
}

func (r *reader) int(name string) int32 { return int32(r.long(name)) }

func (r *reader) short(name string) int16 { return int16(r.long(name)) }

func (r *reader) millis(name string) clock.Duration { return clock.Millis(r.long(name)) }

func (r *reader) seconds(name string) clock.Duration {
	return clock.Millis(min(r.long(name), math.MaxInt64/1000) * 1000)
}

// millionths reads a fraction, cut off at what 63 bits hold.
func (r *reader) millionths(name string) int64 {
	k, v, ok := r.value(name)
	if !ok {
		return 0
	}
	n, err := k.parseMillionths(v)
	if err != nil {
		r.fail(err)
	}
	return n
}

func (r *reader) string(name string) string {
	_, v, _ := r.value(name)
	return v
}

func (r *reader) list(name string) []string {
	_, v, ok := r.value(name)
	if !ok {
		return nil
	}
	return nonEmpty(SplitList(v))
}

// checkAll checks every value of the static layer, those without a typed field
// included. Dynamic values are checked before they get here.
func (r *reader) checkAll() {
	for _, e := range r.b.static {
		if k, ok := lookupIn(BrokerScope, e.Name); ok {
			if err := k.check(e.Value, r.b.SmallLimits); err != nil {
				r.fail(err)
			}
		}
	}
}

func (r *reader) node() {
	n := &r.b.Node
	n.NodeID = r.int("node.id")
	if _, source, _ := r.b.Get("node.id"); source == Default {
		if id := r.int("broker.id"); id >= 0 {
			n.NodeID = id
		}
	}
	n.BrokerRack = r.string("broker.rack")
	n.ProcessRoles = r.list("process.roles")
	voters, err := parseVoters(r.string("controller.quorum.voters"))
	if err != nil {
		r.fail(fmt.Errorf("controller.quorum.voters: %w", err))
	}
	n.QuorumVoters = voters
	n.QuorumBootstrapServers = r.list("controller.quorum.bootstrap.servers")
	n.QuorumRequestTimeout = r.millis("controller.quorum.request.timeout.ms")
	n.LogDirs = r.list("log.dirs")
	if _, _, ok := r.b.Get("log.dirs"); !ok {
		n.LogDirs = r.list("log.dir")
	}
	n.MetadataLogDir = r.string("metadata.log.dir")
	if n.MetadataLogDir == "" && len(n.LogDirs) > 0 {
		n.MetadataLogDir = n.LogDirs[0]
	}
	n.NumPartitions = r.int("num.partitions")
	n.DefaultReplicationFactor = r.short("default.replication.factor")
	n.AutoCreateTopicsEnable = r.bool("auto.create.topics.enable")
	n.DeleteTopicEnable = r.bool("delete.topic.enable")
	n.AutoLeaderRebalanceEnable = r.bool("auto.leader.rebalance.enable")
	n.LeaderImbalanceCheckInterval = r.seconds("leader.imbalance.check.interval.seconds")
	n.ControlledShutdownEnable = r.bool("controlled.shutdown.enable")
	n.ControlledShutdownMaxRetries = r.int("controlled.shutdown.max.retries")
	n.ControlledShutdownRetryBackoff = r.millis("controlled.shutdown.retry.backoff.ms")
	n.BrokerHeartbeatInterval = r.millis("broker.heartbeat.interval.ms")
	n.BrokerSessionTimeout = r.millis("broker.session.timeout.ms")
	n.MetadataLogSegmentBytes = r.int("metadata.log.segment.bytes")
	n.MetadataLogMaxRecordBytes = r.long("metadata.log.max.record.bytes.between.snapshots")
	n.MetadataMaxIdleInterval = r.millis("metadata.max.idle.interval.ms")
	n.QuorumElectionTimeout = r.millis("controller.quorum.election.timeout.ms")
	n.QuorumFetchTimeout = r.millis("controller.quorum.fetch.timeout.ms")
	n.ReplicaLagTimeMax = r.millis("replica.lag.time.max.ms")
	n.ReplicaFetchWaitMax = r.millis("replica.fetch.wait.max.ms")
	n.ReplicaFetchBackoff = r.millis("replica.fetch.backoff.ms")
	n.ReplicaFetchMaxBytes = r.int("replica.fetch.max.bytes")
	n.ReplicaFetchMinBytes = r.int("replica.fetch.min.bytes")
	n.ReplicaFetchResponseBytes = r.int("replica.fetch.response.max.bytes")
	n.ReplicaSocketTimeout = r.millis("replica.socket.timeout.ms")
	n.RackAwareReplicaSelector =
		r.string("replica.selector.class") == "org.apache.kafka.common.replica.RackAwareReplicaSelector"
}

func (r *reader) network() {
	n := &r.b.Network
	n.ControllerListenerNames = r.list("controller.listener.names")
	n.InterBrokerListenerName = cmp.Or(strings.ToUpper(r.string("inter.broker.listener.name")),
		r.string("security.inter.broker.protocol"))
	r.listeners(n)
	overrides, err := parseMap(r.string("max.connections.per.ip.overrides"))
	if err != nil {
		r.fail(fmt.Errorf("max.connections.per.ip.overrides: %w", err))
	}
	n.MaxConnectionsPerIPByHost = overrides
	n.QueuedMaxRequestBytes = r.long("queued.max.request.bytes")
	n.SocketRequestMaxBytes = r.int("socket.request.max.bytes")
	n.SocketSendBufferBytes = r.int("socket.send.buffer.bytes")
	n.SocketReceiveBufferBytes = r.int("socket.receive.buffer.bytes")
	n.SocketListenBacklogSize = r.int("socket.listen.backlog.size")
	n.MaxConnections = r.int("max.connections")
	n.MaxConnectionsPerIP = r.int("max.connections.per.ip")
	n.QueuedMaxRequests = r.int("queued.max.requests")
	n.FetchMaxBytes = r.int("fetch.max.bytes")
	n.FetchSessionSlots = r.int("max.incremental.fetch.session.cache.slots")
	n.MaxRequestPartitionSize = r.int("max.request.partition.size.limit")
	n.ConnectionsMaxIdle = r.millis("connections.max.idle.ms")
	n.RequestTimeout = r.millis("request.timeout.ms")
	n.ConnectionSetupTimeout = r.millis("socket.connection.setup.timeout.ms")
}

// listeners reads where the node listens and how clients reach it. Unless it is
// told, it advertises what it listens on, controller listeners excepted.
func (r *reader) listeners(n *Network) {
	protocols, err := r.protocols(n)
	if err != nil {
		r.fail(fmt.Errorf("listener.security.protocol.map: %w", err))
		return
	}
	if n.Listeners, err = ParseEndpoints(r.string("listeners"), protocols); err != nil {
		r.fail(fmt.Errorf("listeners: %w", err))
		return
	}
	if advertised := r.string("advertised.listeners"); advertised != "" {
		if n.AdvertisedListeners, err = ParseEndpoints(advertised, protocols); err != nil {
			r.fail(fmt.Errorf("advertised.listeners: %w", err))
			return
		}
	} else {
		n.AdvertisedListeners = slices.DeleteFunc(slices.Clone(n.Listeners), func(e Endpoint) bool {
			return slices.Contains(n.ControllerListenerNames, e.Name)
		})
	}
	for i := range n.AdvertisedListeners {
		switch e := &n.AdvertisedListeners[i]; e.Host {
		case "":
			e.Host = "localhost" // the core cannot ask for the machine's name
		case "0.0.0.0", "::":
			r.fail(fmt.Errorf("advertised.listeners: %s cannot be reached by clients", e.Host))
		}
	}
}

// protocols returns the protocol of each listener name. Controller listeners need no
// mention as long as the default stands and nothing is protected: a configuration that
// Kafka's documentation gives as the least one has none.
func (r *reader) protocols(n *Network) ([]Entry, error) {
	const key = "listener.security.protocol.map"
	given, err := parseMap(r.string(key))
	if err != nil {
		return nil, err
	}
	var protocols []Entry
	for _, e := range given {
		protocols = With(protocols, strings.ToUpper(e.Name), e.Value)
	}
	if _, source, _ := r.b.Get(key); source != Default {
		return protocols, nil
	}
	names := slices.Clone(n.ControllerListenerNames)
	for _, text := range SplitList(r.string("listeners")) {
		name, _, _ := strings.Cut(text, "://")
		names = append(names, name)
	}
	for _, name := range names {
		if p, ok := protocolOf(name); ok && p != Plaintext {
			return protocols, nil
		}
	}
	for _, name := range n.ControllerListenerNames {
		protocols = With(protocols, strings.ToUpper(name), Plaintext.String())
	}
	return protocols, nil
}

func (r *reader) logs() {
	l := &r.b.Logs
	l.MessageMaxBytes = r.int("message.max.bytes")
	l.NumRecoveryThreadsPerDataDir = r.int("num.recovery.threads.per.data.dir")
	l.LogCleanerThreads = r.int("log.cleaner.threads")
	l.LogCleanerIOBufferSize = r.int("log.cleaner.io.buffer.size")
	l.LogCleanerDedupeBufferSize = r.long("log.cleaner.dedupe.buffer.size")
	l.LogCleanerIOMaxBytesPerSecond = r.millionths("log.cleaner.io.max.bytes.per.second") / 1e6
	load := r.millionths("log.cleaner.io.buffer.load.factor")
	l.LogCleanerIOBufferLoadPPM = int32(min(load, math.MaxInt32))
	l.LogCleanerEnable = r.bool("log.cleaner.enable")
	l.LogCleanerBackoff = r.millis("log.cleaner.backoff.ms")
	l.LogRetentionCheckInterval = r.millis("log.retention.check.interval.ms")
	l.LogFlushSchedulerInterval = r.millis("log.flush.scheduler.interval.ms")
	l.LogFlushOffsetCheckpointInterval = r.millis("log.flush.offset.checkpoint.interval.ms")
	l.LogFlushStartCheckpointInterval = r.millis("log.flush.start.offset.checkpoint.interval.ms")
	l.LogInitialTaskDelay = r.millis("log.initial.task.delay.ms")
	l.HighWatermarkCheckpointInterval = r.millis("replica.high.watermark.checkpoint.interval.ms")
	l.ProducerIDExpirationMillis = r.long("producer.id.expiration.ms")
	l.ProducerIDExpirationCheckInterval = r.millis("producer.id.expiration.check.interval.ms")
	l.TransactionPartitionVerifyEnable = r.bool("transaction.partition.verification.enable")
	l.UncleanLeaderElectionCheckInterval = r.millis("unclean.leader.election.interval.ms")
}

func (r *reader) groups() {
	g := &r.b.Groups
	g.GroupMinSessionTimeout = r.millis("group.min.session.timeout.ms")
	g.GroupMaxSessionTimeout = r.millis("group.max.session.timeout.ms")
	g.GroupInitialRebalanceDelay = r.millis("group.initial.rebalance.delay.ms")
	g.GroupConsumerSessionTimeout = r.millis("group.consumer.session.timeout.ms")
	g.GroupConsumerMinSessionTimeout = r.millis("group.consumer.min.session.timeout.ms")
	g.GroupConsumerMaxSessionTimeout = r.millis("group.consumer.max.session.timeout.ms")
	g.GroupConsumerHeartbeatInterval = r.millis("group.consumer.heartbeat.interval.ms")
	g.GroupConsumerMinHeartbeatInterval = r.millis("group.consumer.min.heartbeat.interval.ms")
	g.GroupConsumerMaxHeartbeatInterval = r.millis("group.consumer.max.heartbeat.interval.ms")
	g.OffsetsRetention = clock.Duration(r.long("offsets.retention.minutes")) * clock.Minute
	g.OffsetsRetentionCheckInterval = r.millis("offsets.retention.check.interval.ms")
	g.OffsetsCommitTimeout = r.millis("offsets.commit.timeout.ms")
	g.GroupConsumerAssignors = r.list("group.consumer.assignors")
	g.GroupConsumerMigrationPolicy = r.string("group.consumer.migration.policy")
	g.GroupConsumerRegexRefreshInterval = r.millis("group.consumer.regex.refresh.interval.ms")
	g.GroupMaxSize = r.int("group.max.size")
	g.GroupConsumerMaxSize = r.int("group.consumer.max.size")
	g.OffsetMetadataMaxBytes = r.int("offset.metadata.max.bytes")
	g.OffsetsTopicSegmentBytes = r.int("offsets.topic.segment.bytes")
	g.OffsetsTopicNumPartitions = r.int("offsets.topic.num.partitions")
	g.OffsetsTopicReplicationFactor = r.short("offsets.topic.replication.factor")
}

func (r *reader) transactions() {
	t := &r.b.Transactions
	t.TransactionMaxTimeout = r.millis("transaction.max.timeout.ms")
	t.TransactionalIDExpiration = r.millis("transactional.id.expiration.ms")
	t.TransactionAbortTimedOutInterval = r.millis(
		"transaction.abort.timed.out.transaction.cleanup.interval.ms")
	t.TransactionRemoveExpiredInterval = r.millis(
		"transaction.remove.expired.transaction.cleanup.interval.ms")
	t.TransactionStateSegmentBytes = r.int("transaction.state.log.segment.bytes")
	t.TransactionStateNumPartitions = r.int("transaction.state.log.num.partitions")
	t.TransactionStateMinISR = r.int("transaction.state.log.min.isr")
	t.TransactionStateReplicationFactor = r.short("transaction.state.log.replication.factor")
}
