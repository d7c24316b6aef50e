// Package metadata holds what a cluster has agreed on: the records of the metadata
// log in Kafka's own schema, and the Image that every node folds them into. It
// decides nothing, and knows nothing of requests or of how records are agreed on.
// Start at Image and Image.Apply.
package metadata

import (
	"bytes"
	"cmp"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/log"
)

// ID is a UUID: of a topic, a log directory or a broker's incarnation. The zero ID
// means none.
type ID = [16]byte

// Image is the cluster's metadata at one offset of the metadata log. It is
// immutable and may be read by any number of goroutines; Apply returns another one
// and shares with it whatever did not change.
type Image struct {
	base      *config.Broker // as the node was started
	effective *config.Broker // with the dynamic values of the cluster
	topics    index[*Topic]  // by name
	ids       index[*Topic]  // by id
	unified   index[*Topic]  // those with '.' or '_' by unified name, then name
	brokers   []*Broker      // by id
	resources []Resource     // by type and name; topics have their own
	features  []Feature      // by name
	open      []Record       // of a transaction that has not ended

	partitions     int
	nextProducerID int64
	offset         int64
	inTransaction  bool
}

// Topic is a topic in an Image.
type Topic struct {
	Name       string
	ID         ID
	Partitions []Partition    // by number, from 0 on without gaps
	Overrides  []config.Entry // the topic's own configuration, sorted by name
	Config     *log.Config    // what its logs go by; shared between topics

	unified string // Name with '_' for each '.'
}

// Partition is a partition in an Image.
type Partition struct {
	Replicas         []int32 // the preferred leader first
	ISR              []int32
	RemovingReplicas []int32
	AddingReplicas   []int32
	Directories      []ID // of the replicas, in their order
	ELR              []int32
	LastKnownELR     []int32
	Leader           int32 // -1: none
	LeaderEpoch      int32
	PartitionEpoch   int32
	RecoveryState    int8 // 1: recovering from an unclean election
}

// Broker is a registered broker in an Image.
type Broker struct {
	Rack                 *string // nil: none
	Endpoints            []BrokerEndpoint
	Features             []BrokerFeature
	LogDirs              []ID
	CordonedLogDirs      []ID // take no new partitions
	Epoch                int64
	Incarnation          ID
	ID                   int32
	Fenced               bool
	InControlledShutdown bool
}

// Active reports whether the broker may lead partitions and be in sync.
func (b *Broker) Active() bool { return !b.Fenced && !b.InControlledShutdown }

// Endpoint returns the broker's address on a listener, and nil if it has none.
func (b *Broker) Endpoint(listener string) *BrokerEndpoint {
	for i := range b.Endpoints {
		if b.Endpoints[i].Name == listener {
			return &b.Endpoints[i]
		}
	}
	return nil
}

// ResourceType is what a configuration is of, numbered as in the protocol.
type ResourceType int8

// The types of resources.
const (
	TopicResource         ResourceType = 2
	BrokerResource        ResourceType = 4
	BrokerLoggerResource  ResourceType = 8
	ClientMetricsResource ResourceType = 16 // KIP-714
	GroupResource         ResourceType = 32 // KIP-848
)

// Resource is something with a dynamic configuration: the broker of a name, or
// with an empty name all brokers.
type Resource struct {
	Name    string
	Entries []config.Entry // sorted by name
	Type    ResourceType
}

// Feature is a feature's level in the cluster.
type Feature struct {
	Name  string
	Level int16
}

// New returns the image of an empty metadata log for a node that was started with
// the configuration base.
func New(base *config.Broker) *Image {
	return &Image{base: base, effective: base, offset: -1}
}

// Config returns the node's configuration with the cluster's dynamic values.
func (m *Image) Config() *config.Broker { return m.effective }

// Offset returns the offset of the last record that is part of the image, -1 if
// there is none.
func (m *Image) Offset() int64 { return m.offset }

// At returns the image as being at an offset of the metadata log. Apply counts
// records; what else stands in the log must be made up for with At.
func (m *Image) At(offset int64) *Image {
	next := *m
	next.offset = offset
	return &next
}

// Topic returns the topic of a name, and nil if there is none.
func (m *Image) Topic(name string) *Topic {
	t, _ := get(&m.topics, name, byName)
	return t
}

// TopicByID returns the topic of an id, and nil if there is none.
func (m *Image) TopicByID(id ID) *Topic {
	t, _ := get(&m.ids, id, byID)
	return t
}

// Topics returns all topics in the order of names.
func (m *Image) Topics() iter.Seq[*Topic] { return m.TopicsFrom("") }

// TopicsFrom returns the topics whose names are not below name, in order.
func (m *Image) TopicsFrom(name string) iter.Seq[*Topic] {
	return func(yield func(*Topic) bool) { from(&m.topics, name, byName, yield) }
}

// TopicCount returns how many topics there are.
func (m *Image) TopicCount() int { return m.topics.n }

// PartitionCount returns how many partitions all topics have.
func (m *Image) PartitionCount() int { return m.partitions }

// Colliding returns a topic whose name becomes the same as name when each '.' is
// taken for a '_', as names of metrics do; nil if there is none. Only names with
// one of the two can collide.
func (m *Image) Colliding(name string) *Topic {
	if !hasCollisionChars(name) {
		return nil
	}
	unified := unify(name)
	var found *Topic
	from(&m.unified, collisionKey{unified: unified}, byUnified, func(t *Topic) bool {
		if t.unified == unified {
			found = t
		}
		return false
	})
	return found
}

// Broker returns the registered broker of an id, and nil if there is none.
func (m *Image) Broker(id int32) *Broker {
	i, ok := slices.BinarySearchFunc(m.brokers, id, byBrokerID)
	if !ok {
		return nil
	}
	return m.brokers[i]
}

// Brokers returns the registered brokers in the order of ids. The slice must not be
// changed.
func (m *Image) Brokers() []*Broker { return m.brokers }

// Configs returns the dynamic configuration of a resource, sorted by name. The
// slice must not be changed.
func (m *Image) Configs(kind ResourceType, name string) []config.Entry {
	if kind == TopicResource {
		if t := m.Topic(name); t != nil {
			return t.Overrides
		}
		return nil
	}
	i, ok := slices.BinarySearchFunc(m.resources, Resource{Type: kind, Name: name}, byResource)
	if !ok {
		return nil
	}
	return m.resources[i].Entries
}

// Resources returns everything but topics that has a dynamic configuration, in the
// order of type and name. The slice must not be changed.
func (m *Image) Resources() []Resource { return m.resources }

// Features returns the features that are in use, in the order of names. The slice
// must not be changed.
func (m *Image) Features() []Feature { return m.features }

// Feature returns the level of a feature, 0 if it is not used.
func (m *Image) Feature(name string) int16 {
	i, ok := slices.BinarySearchFunc(m.features, name, byFeature)
	if !ok {
		return 0
	}
	return m.features[i].Level
}

// NextProducerID returns the lowest producer id that no broker was given yet.
func (m *Image) NextProducerID() int64 { return m.nextProducerID }

func byName(t *Topic, name string) int { return cmp.Compare(t.Name, name) }

func byID(t *Topic, id ID) int { return bytes.Compare(t.ID[:], id[:]) }

func byBrokerID(b *Broker, id int32) int { return cmp.Compare(b.ID, id) }

func byFeature(f Feature, name string) int { return cmp.Compare(f.Name, name) }

func byResource(a, b Resource) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name))
}

type collisionKey struct{ unified, name string }

func byUnified(t *Topic, k collisionKey) int {
	if c := cmp.Compare(t.unified, k.unified); c != 0 {
		return c
	}
	return cmp.Compare(t.Name, k.name)
}

func hasCollisionChars(name string) bool { return strings.ContainsAny(name, "._") }

func unify(name string) string { return strings.ReplaceAll(name, ".", "_") }

func (m *Image) nodeName() string { return strconv.Itoa(int(m.base.NodeID)) }
