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
}

// served is what this broker serves. Each API needs a shape as well, unless it has
// a walker of its own.
var served = [...]APIRange{
	// Produce is listed from 0 for librdkafka (KAFKA-18659).
	{Key: 0, Min: 3, Max: 13, AdvertisedMin: 0}, // Produce
	{Key: 1, Min: 4, Max: 18, AdvertisedMin: 4}, // Fetch
	{Key: 2, Min: 1, Max: 11, AdvertisedMin: 1}, // ListOffsets
	{Key: 3, Min: 0, Max: 13, AdvertisedMin: 0}, // Metadata
	{Key: 18, Min: 0, Max: 4, AdvertisedMin: 0}, // ApiVersions
	{Key: 19, Min: 2, Max: 7, AdvertisedMin: 2}, // CreateTopics
	{Key: 20, Min: 1, Max: 6, AdvertisedMin: 1}, // DeleteTopics
	{Key: 21, Min: 0, Max: 2, AdvertisedMin: 0}, // DeleteRecords
	{Key: 22, Min: 0, Max: 5, AdvertisedMin: 0}, // InitProducerId
	{Key: 23, Min: 2, Max: 4, AdvertisedMin: 2}, // OffsetForLeaderEpoch
	{Key: 32, Min: 1, Max: 4, AdvertisedMin: 1}, // DescribeConfigs
	{Key: 33, Min: 0, Max: 2, AdvertisedMin: 0}, // AlterConfigs
	{Key: 35, Min: 1, Max: 4, AdvertisedMin: 1}, // DescribeLogDirs
	{Key: 37, Min: 0, Max: 3, AdvertisedMin: 0}, // CreatePartitions
	{Key: 44, Min: 0, Max: 1, AdvertisedMin: 0}, // IncrementalAlterConfigs
	{Key: 60, Min: 0, Max: 2, AdvertisedMin: 0}, // DescribeCluster
	{Key: 61, Min: 0, Max: 0, AdvertisedMin: 0}, // DescribeProducers
	{Key: 74, Min: 0, Max: 1, AdvertisedMin: 0}, // ListConfigResources
	{Key: 75, Min: 0, Max: 0, AdvertisedMin: 0}, // DescribeTopicPartitions
}

// Versions gives the APIs this broker serves, in the order of their keys.
func Versions() iter.Seq[APIRange] {
	return func(yield func(APIRange) bool) {
		for _, r := range served {
			if !yield(r) {
				return
			}
		}
	}
}

// Supported says whether this broker serves a version of an API.
func Supported(key, version int16) bool {
	a := apiOf(key)
	return a != nil && version >= a.min && version <= a.max
}

// api is what the codecs need to know about an API that is served.
type api struct {
	shape        []field
	min          int16
	max          int16
	flexibleFrom int16
	served       bool
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
		*a = api{min: r.Min, max: r.Max, flexibleFrom: flexibleFrom(r.Key), served: true}
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
	if key < 0 || key > apiKeyMax || !apis[key].served {
		return nil
	}
	return &apis[key]
}
