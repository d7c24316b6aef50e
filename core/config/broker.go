package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/log"
)

// Broker is the configuration of one node: the values it was started with, the
// dynamic values laid over them (KIP-226), and what follows from both as typed
// fields. It is immutable; WithDynamic returns another one.
//
// Fields bear the names of Kafka's properties. Durations replace the properties
// that end in .ms, .seconds, .minutes and .hours.
type Broker struct {
	Node
	Network
	Logs
	Groups
	Transactions

	// SmallLimits lifts the minimums that protect production from absurd sizes,
	// so that a simulation may use segments of 4 KiB.
	SmallLimits bool

	node    []Entry // dynamic, of this broker
	cluster []Entry // dynamic, of all brokers
	static  []Entry
	topic   topicValues
}

// Node is who a node is and what topics it creates.
type Node struct {
	NodeID                    int32 // node.id, or broker.id
	DefaultReplicationFactor  int16
	NumPartitions             int32
	AutoCreateTopicsEnable    bool
	AutoLeaderRebalanceEnable bool
	DeleteTopicEnable         bool
	ControlledShutdownEnable  bool
	BrokerRack                string   // empty: none
	ProcessRoles              []string // "broker", "controller" or both
	QuorumBootstrapServers    []string // controller.quorum.bootstrap.servers
	QuorumVoters              []Voter  // controller.quorum.voters, by id
	LogDirs                   []string // log.dirs, or log.dir
	MetadataLogDir            string   // the first of LogDirs by default
	BrokerHeartbeatInterval   clock.Duration
	BrokerSessionTimeout      clock.Duration
	// ControlledShutdownMaxRetries times ControlledShutdownRetryBackoff is how long a
	// broker that wants to stop waits for the controller's answer.
	ControlledShutdownMaxRetries   int32
	ControlledShutdownRetryBackoff clock.Duration
	// LeaderImbalanceCheckInterval is leader.imbalance.check.interval.seconds.
	LeaderImbalanceCheckInterval clock.Duration
	MetadataMaxIdleInterval      clock.Duration
	MetadataLogSegmentBytes      int32
	// MetadataLogMaxRecordBytes is metadata.log.max.record.bytes.between.snapshots.
	MetadataLogMaxRecordBytes int64
	QuorumElectionTimeout     clock.Duration // controller.quorum.election.timeout.ms
	QuorumFetchTimeout        clock.Duration // controller.quorum.fetch.timeout.ms
	ReplicaLagTimeMax         clock.Duration
	ReplicaFetchWaitMax       clock.Duration
	ReplicaFetchBackoff       clock.Duration
	ReplicaFetchMaxBytes      int32
	ReplicaFetchMinBytes      int32
	ReplicaFetchResponseBytes int32 // replica.fetch.response.max.bytes
	// QuorumRequestTimeout is controller.quorum.request.timeout.ms.
	QuorumRequestTimeout clock.Duration
	ReplicaSocketTimeout clock.Duration
	// RackAwareReplicaSelector says that replica.selector.class is the one of that name.
	RackAwareReplicaSelector bool
}

// Network is what concerns connections and requests.
type Network struct {
	Listeners                 []Endpoint
	AdvertisedListeners       []Endpoint
	ControllerListenerNames   []string
	InterBrokerListenerName   string
	MaxConnectionsPerIPByHost []Entry // max.connections.per.ip.overrides
	QueuedMaxRequestBytes     int64   // -1: no limit
	SocketRequestMaxBytes     int32
	SocketSendBufferBytes     int32 // -1: the system's choice
	SocketReceiveBufferBytes  int32 // -1: the system's choice
	SocketListenBacklogSize   int32
	MaxConnections            int32
	MaxConnectionsPerIP       int32
	QueuedMaxRequests         int32
	FetchMaxBytes             int32
	FetchSessionSlots         int32 // max.incremental.fetch.session.cache.slots
	MaxRequestPartitionSize   int32 // max.request.partition.size.limit
	ConnectionsMaxIdle        clock.Duration
	RequestTimeout            clock.Duration
	// ConnectionSetupTimeout is socket.connection.setup.timeout.ms.
	ConnectionSetupTimeout clock.Duration
}

// Logs is what all logs of a node share. What a topic can set is in Topic.
type Logs struct {
	MessageMaxBytes                  int32
	NumRecoveryThreadsPerDataDir     int32
	LogCleanerThreads                int32
	LogCleanerIOBufferSize           int32
	LogCleanerDedupeBufferSize       int64
	LogCleanerIOMaxBytesPerSecond    int64
	LogCleanerIOBufferLoadPPM        int32 // log.cleaner.io.buffer.load.factor
	LogCleanerEnable                 bool
	LogCleanerBackoff                clock.Duration
	LogRetentionCheckInterval        clock.Duration
	LogFlushSchedulerInterval        clock.Duration
	LogFlushOffsetCheckpointInterval clock.Duration
	// LogFlushStartCheckpointInterval is log.flush.start.offset.checkpoint.interval.ms.
	LogFlushStartCheckpointInterval    clock.Duration
	LogInitialTaskDelay                clock.Duration
	HighWatermarkCheckpointInterval    clock.Duration
	ProducerIDExpirationMillis         int64
	ProducerIDExpirationCheckInterval  clock.Duration
	TransactionPartitionVerifyEnable   bool
	UncleanLeaderElectionCheckInterval clock.Duration
}

// Groups is what concerns group coordinators.
type Groups struct {
	GroupMinSessionTimeout            clock.Duration
	GroupMaxSessionTimeout            clock.Duration
	GroupInitialRebalanceDelay        clock.Duration
	GroupConsumerSessionTimeout       clock.Duration
	GroupConsumerMinSessionTimeout    clock.Duration
	GroupConsumerMaxSessionTimeout    clock.Duration
	GroupConsumerHeartbeatInterval    clock.Duration
	GroupConsumerMinHeartbeatInterval clock.Duration
	GroupConsumerMaxHeartbeatInterval clock.Duration
	OffsetsRetention                  clock.Duration
	OffsetsRetentionCheckInterval     clock.Duration
	OffsetsCommitTimeout              clock.Duration
	GroupConsumerAssignors            []string
	GroupConsumerMigrationPolicy      string
	GroupConsumerRegexRefreshInterval clock.Duration
	GroupMaxSize                      int32
	GroupConsumerMaxSize              int32
	OffsetMetadataMaxBytes            int32
	OffsetsTopicSegmentBytes          int32
	OffsetsTopicNumPartitions         int32
	OffsetsTopicReplicationFactor     int16
}

// Transactions is what concerns transaction coordinators.
type Transactions struct {
	TransactionMaxTimeout             clock.Duration
	TransactionalIDExpiration         clock.Duration
	TransactionAbortTimedOutInterval  clock.Duration
	TransactionRemoveExpiredInterval  clock.Duration
	TransactionStateSegmentBytes      int32 // transaction.state.log.segment.bytes
	TransactionStateNumPartitions     int32
	TransactionStateMinISR            int32
	TransactionStateReplicationFactor int16
}

// Warning says what Parse found odd, yet let pass.
type Warning struct {
	Name string
	Text string
}

// Parse reads the properties that a node is started with. Unknown names are kept
// and warned about; wrong values are errors that name the key, the value and what
// is allowed. Warnings come in the order of names.
func Parse(props map[string]string) (*Broker, []Warning, error) {
	b := &Broker{}
	var warnings []Warning
	for _, name := range slices.Sorted(maps.Keys(props)) {
		b.static = append(b.static, Entry{Name: name, Value: props[name]})
		k, ok := lookupIn(BrokerScope, name)
		switch {
		case !ok:
			warnings = append(warnings, Warning{Name: name, Text: "unknown, and ignored"})
		case k.Inert:
			warnings = append(warnings, Warning{Name: name, Text: "without effect here"})
		}
	}
	if err := b.derive(); err != nil {
		return nil, warnings, err
	}
	return b, warnings, nil
}

// WithDynamic returns the broker with other dynamic values: those of this broker,
// and those of all brokers. Both are sorted by name and become the Broker's own. A
// value that does not fit is left out, as if it were not set, and the first such is
// returned as the error; the Broker is usable all the same.
func (b *Broker) WithDynamic(node, cluster []Entry) (*Broker, error) {
	next := &Broker{static: b.static}
	var err error
	next.node, err = b.usable(node, err)
	next.cluster, err = b.usable(cluster, err)
	if e := next.derive(); e != nil { // the values fit each, but not together
		next = &Broker{static: b.static}
		if base := next.derive(); base != nil {
			return b, cmp.Or(err, base)
		}
		err = cmp.Or(err, e)
	}
	return next, err
}

func (b *Broker) usable(entries []Entry, first error) ([]Entry, error) {
	kept := make([]Entry, 0, len(entries))
	for _, e := range entries {
		k, ok := lookupIn(BrokerScope, e.Name)
		if ok {
			if err := k.check(e.Value, b.SmallLimits); err != nil {
				if first == nil {
					first = err
				}
				continue
			}
		}
		kept = append(kept, e)
	}
	return kept, first
}

// Get returns the effective value of a broker key, and where it comes from. It is
// false if the key has neither a value nor a default.
func (b *Broker) Get(name string) (string, Source, bool) {
	if v, ok := Find(b.node, name); ok {
		return v, DynamicBroker, true
	}
	if v, ok := Find(b.cluster, name); ok {
		return v, DynamicDefaultBroker, true
	}
	if v, ok := Find(b.static, name); ok {
		return v, StaticBroker, true
	}
	if k, ok := Lookup(name); ok && !k.Null {
		return k.Default, Default, true
	}
	return "", Default, false
}

// Static returns the values the node was started with, sorted by name.
func (b *Broker) Static() []Entry { return b.static }

// LogSettings returns the limits that all logs of the node share. The fields that
// are no configuration of Kafka's have their values for production.
func (b *Broker) LogSettings() log.Settings {
	return log.Settings{
		ProducerExpirationMillis: b.ProducerIDExpirationMillis,
		ProducerCheckMillis:      b.ProducerIDExpirationCheckInterval.Millis(),
		RetentionCheckMillis:     b.LogRetentionCheckInterval.Millis(),
		CleanerBackoffMillis:     b.LogCleanerBackoff.Millis(),
		IndexEntriesMax:          1 << 20,
		CleanerIOBufferBytes:     int(b.LogCleanerIOBufferSize),
		CleanerDedupeBufferBytes: b.LogCleanerDedupeBufferSize,
		SequenceMax:              1<<31 - 1,
	}
}

// derive fills in the typed fields from the layers of values.
func (b *Broker) derive() error {
	r := &reader{b: b}
	b.SmallLimits = r.bool("heiban.internal.small.limits")
	r.checkAll()
	r.node()
	r.network()
	r.logs()
	r.groups()
	r.transactions()
	if r.err != nil {
		return r.err
	}
	if err := b.checkTogether(); err != nil {
		return err
	}
	return b.deriveTopic()
}

func (b *Broker) checkTogether() error {
	if b.GroupMinSessionTimeout > b.GroupMaxSessionTimeout {
		return fmt.Errorf("group.min.session.timeout.ms is above group.max.session.timeout.ms")
	}
	if b.ReplicaFetchWaitMax > b.ReplicaLagTimeMax {
		return fmt.Errorf("replica.fetch.wait.max.ms is above replica.lag.time.max.ms")
	}
	if len(b.LogDirs) == 0 {
		return fmt.Errorf("log.dirs names no directory")
	}
	if err := b.checkRoles(); err != nil {
		return err
	}
	if id, _, ok := b.Get("broker.id"); ok && strings.TrimSpace(id) != "-1" {
		if node, source, _ := b.Get("node.id"); source != Default && node != id {
			return fmt.Errorf("broker.id %s differs from node.id %s", id, node)
		}
	}
	return nil
}

// checkRoles refuses roles that the rest of the configuration contradicts.
func (b *Broker) checkRoles() error {
	broker := slices.Contains(b.ProcessRoles, "broker")
	controller := slices.Contains(b.ProcessRoles, "controller")
	votes := slices.ContainsFunc(b.QuorumVoters, func(v Voter) bool { return v.ID == b.NodeID })
	forControllers := 0
	for _, e := range b.Listeners {
		if slices.Contains(b.ControllerListenerNames, e.Name) {
			forControllers++
		}
	}
	switch {
	case !broker && !controller:
		return fmt.Errorf("process.roles names no role")
	case broker && forControllers == len(b.Listeners):
		return fmt.Errorf("listeners: there is none for clients")
	case !broker && forControllers < len(b.Listeners):
		return fmt.Errorf("listeners: a node that is only a controller has those of " +
			"controller.listener.names alone")
	case controller:
		return nil
	case forControllers > 0:
		return fmt.Errorf("listeners: a node that is only a broker has none of " +
			"controller.listener.names")
	case votes:
		return fmt.Errorf("controller.quorum.voters: node %d is only a broker", b.NodeID)
	case len(b.QuorumVoters) == 0:
		return fmt.Errorf("controller.quorum.voters names no controller that a broker could follow")
	}
	return nil
}
