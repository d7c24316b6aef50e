package wire

import (
	"iter"
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// APIRange is the versions of one API, both ends inclusive.
type APIRange struct {
	Key           int16
	Min           int16 // served from
	Max           int16
	AdvertisedMin int16 // listed from, in ApiVersions responses
	On            Listeners
}

// Listeners is a set of kinds of listeners. Kafka's request schemas say of each API on
// which it is served.
type Listeners uint8

// The kinds of listeners: for clients and brokers that want a broker, and for those that
// want the metadata quorum (KIP-631, KIP-919).
const (
	OnBroker     Listeners = 1 << iota
	OnController           // listeners in controller.listener.names
	onBoth       = OnBroker | OnController
)

// served is what this node serves. Each API needs a shape as well, unless it has
// a walker of its own.
var served = [...]APIRange{
	// Produce is listed from 0 for librdkafka (KAFKA-18659).
	{Key: 0, Min: 3, Max: 13, AdvertisedMin: 0, On: OnBroker},     // Produce
	{Key: 1, Min: 4, Max: 18, AdvertisedMin: 4, On: onBoth},       // Fetch
	{Key: 2, Min: 1, Max: 11, AdvertisedMin: 1, On: OnBroker},     // ListOffsets
	{Key: 3, Min: 0, Max: 13, AdvertisedMin: 0, On: OnBroker},     // Metadata
	{Key: 8, Min: 2, Max: 10, AdvertisedMin: 2, On: OnBroker},     // OffsetCommit
	{Key: 9, Min: 1, Max: 10, AdvertisedMin: 1, On: OnBroker},     // OffsetFetch
	{Key: 10, Min: 0, Max: 6, AdvertisedMin: 0, On: OnBroker},     // FindCoordinator
	{Key: 11, Min: 0, Max: 9, AdvertisedMin: 0, On: OnBroker},     // JoinGroup
	{Key: 12, Min: 0, Max: 4, AdvertisedMin: 0, On: OnBroker},     // Heartbeat
	{Key: 13, Min: 0, Max: 5, AdvertisedMin: 0, On: OnBroker},     // LeaveGroup
	{Key: 14, Min: 0, Max: 5, AdvertisedMin: 0, On: OnBroker},     // SyncGroup
	{Key: 15, Min: 0, Max: 6, AdvertisedMin: 0, On: OnBroker},     // DescribeGroups
	{Key: 16, Min: 0, Max: 5, AdvertisedMin: 0, On: OnBroker},     // ListGroups
	{Key: 18, Min: 0, Max: 4, AdvertisedMin: 0, On: onBoth},       // ApiVersions
	{Key: 19, Min: 2, Max: 7, AdvertisedMin: 2, On: onBoth},       // CreateTopics
	{Key: 20, Min: 1, Max: 6, AdvertisedMin: 1, On: onBoth},       // DeleteTopics
	{Key: 21, Min: 0, Max: 2, AdvertisedMin: 0, On: OnBroker},     // DeleteRecords
	{Key: 22, Min: 0, Max: 5, AdvertisedMin: 0, On: OnBroker},     // InitProducerId
	{Key: 23, Min: 2, Max: 4, AdvertisedMin: 2, On: OnBroker},     // OffsetForLeaderEpoch
	{Key: 32, Min: 1, Max: 4, AdvertisedMin: 1, On: onBoth},       // DescribeConfigs
	{Key: 33, Min: 0, Max: 2, AdvertisedMin: 0, On: onBoth},       // AlterConfigs
	{Key: 35, Min: 1, Max: 4, AdvertisedMin: 1, On: OnBroker},     // DescribeLogDirs
	{Key: 37, Min: 0, Max: 3, AdvertisedMin: 0, On: onBoth},       // CreatePartitions
	{Key: 42, Min: 0, Max: 2, AdvertisedMin: 0, On: OnBroker},     // DeleteGroups
	{Key: 43, Min: 0, Max: 2, AdvertisedMin: 0, On: onBoth},       // ElectLeaders
	{Key: 44, Min: 0, Max: 1, AdvertisedMin: 0, On: onBoth},       // IncrementalAlterConfigs
	{Key: 45, Min: 0, Max: 1, AdvertisedMin: 0, On: onBoth},       // AlterPartitionReassignments
	{Key: 46, Min: 0, Max: 0, AdvertisedMin: 0, On: onBoth},       // ListPartitionReassignments
	{Key: 47, Min: 0, Max: 0, AdvertisedMin: 0, On: OnBroker},     // OffsetDelete
	{Key: 55, Min: 0, Max: 2, AdvertisedMin: 0, On: onBoth},       // DescribeQuorum
	{Key: 56, Min: 2, Max: 3, AdvertisedMin: 2, On: OnController}, // AlterPartition
	{Key: 57, Min: 0, Max: 2, AdvertisedMin: 0, On: onBoth},       // UpdateFeatures
	{Key: 59, Min: 0, Max: 1, AdvertisedMin: 0, On: OnController}, // FetchSnapshot
	{Key: 60, Min: 0, Max: 2, AdvertisedMin: 0, On: onBoth},       // DescribeCluster
	{Key: 61, Min: 0, Max: 0, AdvertisedMin: 0, On: OnBroker},     // DescribeProducers
	{Key: 62, Min: 0, Max: 4, AdvertisedMin: 0, On: OnController}, // BrokerRegistration
	{Key: 63, Min: 0, Max: 1, AdvertisedMin: 0, On: OnController}, // BrokerHeartbeat
	{Key: 64, Min: 0, Max: 0, AdvertisedMin: 0, On: onBoth},       // UnregisterBroker
	{Key: 67, Min: 0, Max: 0, AdvertisedMin: 0, On: OnController}, // AllocateProducerIds
	{Key: 68, Min: 0, Max: 1, AdvertisedMin: 0, On: OnBroker},     // ConsumerGroupHeartbeat
	{Key: 69, Min: 0, Max: 1, AdvertisedMin: 0, On: OnBroker},     // ConsumerGroupDescribe
	{Key: 73, Min: 0, Max: 0, AdvertisedMin: 0, On: OnController}, // AssignReplicasToDirs
	{Key: 74, Min: 0, Max: 1, AdvertisedMin: 0, On: OnBroker},     // ListConfigResources
	{Key: 75, Min: 0, Max: 0, AdvertisedMin: 0, On: OnBroker},     // DescribeTopicPartitions
	{Key: 80, Min: 0, Max: 0, AdvertisedMin: 0, On: onBoth},       // AddRaftVoter
	{Key: 81, Min: 0, Max: 0, AdvertisedMin: 0, On: onBoth},       // RemoveRaftVoter
}

// Versions gives the APIs this node serves, in the order of their keys.
func Versions() iter.Seq[APIRange] {
	return func(yield func(APIRange) bool) {
		for _, r := range served {
			if !yield(r) {
				return
			}
		}
	}
}

// Supported says whether this node serves a version of an API, on some listener.
func Supported(key, version int16) bool {
	a := apiOf(key)
	return a != nil && version >= a.min && version <= a.max
}

// ServedOn says whether this node serves an API on a kind of listener.
func ServedOn(key int16, on Listeners) bool {
	a := apiOf(key)
	return a != nil && a.on&on != 0
}

// api is what the codecs need to know about an API that is served.
type api struct {
	shape        []field
	min          int16
	max          int16
	flexibleFrom int16
	on           Listeners // 0: not served
}

const (
	apiKeyProduce     = 0
	apiKeyFetch       = 1
	apiKeyAPIVersions = 18
	apiKeyMax         = 127
)

// apis is served and the shapes, by key.
var apis = indexAPIs()

func indexAPIs() *[apiKeyMax + 1]api {
	var index [apiKeyMax + 1]api
	for _, r := range served {
		a := &index[r.Key]
		*a = api{min: r.Min, max: r.Max, flexibleFrom: flexibleFrom(r.Key), on: r.On}
		if s, ok := shapes[r.Key]; ok {
			a.shape = parseShape(s)
		}
	}
	return &index
}

// flexibleFrom is the first flexible version of an API (KIP-482).
func flexibleFrom(key int16) int16 {
	r := kmsg.RequestForKey(key)
	for v := range r.MaxVersion() + 1 {
		if r.SetVersion(v); r.IsFlexible() {
			return v
		}
	}
	return math.MaxInt16
}

// apiOf is nil for an API that is not served.
func apiOf(key int16) *api {
	if key == RaftKey {
		return &raftAPI
	}
	if key < 0 || key > apiKeyMax || apis[key].on == 0 {
		return nil
	}
	return &apis[key]
}
