// Package wire turns the bytes of Kafka's protocol into requests and responses
// into bytes. Produce and Fetch have walkers of their own, which allocate nothing
// in steady state; every other API goes through kmsg. It knows nothing of
// partitions or connections. Start at Header, Parse and AppendResponse.
package wire

import (
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/log"
)

// TopicID is a topic's UUID. The zero id means none.
type TopicID = [16]byte

// Header is a request's header (versions 1 and 2).
type Header struct {
	ClientID      string
	CorrelationID int32
	Key           int16
	Version       int16
}

// Request is *ProduceRequest, *FetchRequest, *RaftRequest or one of kmsg's other requests.
type Request any

// Response is *ProduceResponse, *FetchResponse, *RaftResponse or one of kmsg's other responses.
type Response any

// ProduceRequest is a Produce request, versions 3 to 13 (KIP-98, KIP-516). It
// aliases the frame it was parsed from, strings included.
type ProduceRequest struct {
	TransactionalID    string
	Partitions         []ProducePartition // in request order, topics in runs
	TimeoutMillis      int32
	Acks               int16
	Version            int16
	HasTransactionalID bool
}

// ProducePartition is one partition's part of a Produce request. Fields below the
// blank line are filled in by core.Prepare before the request is stepped.
type ProducePartition struct {
	Topic     string  // up to version 12
	TopicID   TopicID // from version 13
	Records   []byte  // nil if null
	Partition int32
	TopicRun  int32 // index of the topic's entry in the request

	Batch        batch.Header
	RecordErrors []RecordError
	ErrorMessage string
	Err          errcode.Code
}

// RecordError names a record that made its batch fail (KIP-467).
type RecordError struct {
	Message string // empty: null
	Index   int32  // within the batch
}

// ProduceResponse answers a ProduceRequest.
type ProduceResponse struct {
	Partitions     []ProducedPartition
	NodeEndpoints  []NodeEndpoint // KIP-951
	ThrottleMillis int32
}

// ProducedPartition is one partition's part of a Produce response.
type ProducedPartition struct {
	Topic          string
	ErrorMessage   string // empty: null
	RecordErrors   []RecordError
	TopicID        TopicID
	BaseOffset     int64 // -1 on error
	LogAppendTime  int64 // -1 unless the topic uses LogAppendTime
	LogStartOffset int64
	Partition      int32
	TopicRun       int32
	LeaderID       int32 // KIP-951; LeaderEpoch -1: absent
	LeaderEpoch    int32
	Err            errcode.Code
}

// NodeEndpoint tells a client where a leader is (KIP-951).
type NodeEndpoint struct {
	Host string
	Rack string
	Port int32
	ID   int32
}

// FetchRequest is a Fetch request, versions 4 to 18. It aliases the frame it was
// parsed from, strings included.
type FetchRequest struct {
	Rack           string
	Partitions     []FetchPartition     // in request order, topics in runs
	Forgotten      []ForgottenPartition // KIP-227
	ReplicaEpoch   int64                // broker epoch, -1 for consumers
	ReplicaID      int32                // -1 for consumers
	MaxWaitMillis  int32
	MinBytes       int32
	MaxBytes       int32
	SessionID      int32 // before version 7: 0
	SessionEpoch   int32 // before version 7: -1
	Version        int16
	IsolationLevel int8 // 1: read_committed
}

// FetchPartition is one partition's part of a Fetch request.
type FetchPartition struct {
	Topic              string  // up to version 12
	TopicID            TopicID // from version 13
	FetchOffset        int64
	LogStartOffset     int64 // of a follower, -1 otherwise
	HighWatermark      int64 // known to the follower, MaxInt64 if not sent (KIP-1166)
	Partition          int32
	MaxBytes           int32
	CurrentLeaderEpoch int32 // -1: none
	LastFetchedEpoch   int32 // -1: none
	TopicRun           int32
}

// ForgottenPartition leaves an incremental fetch session.
type ForgottenPartition struct {
	Topic     string
	TopicID   TopicID
	Partition int32
}

// FetchResponse answers a FetchRequest. The core fills in everything but Range;
// the driver locates Range within Slice, outside of Step.
type FetchResponse struct {
	Partitions     []FetchedPartition
	NodeEndpoints  []NodeEndpoint
	ThrottleMillis int32
	SessionID      int32
	MaxBytes       int32 // of all records (KIP-74)
	Err            errcode.Code
	Incremental    bool // leave out partitions that turn out to have nothing to say
}

// FetchedPartition is one partition's part of a Fetch response. Fields below the blank
// line are filled in by core.PrepareAnswer at the broker that fetches.
type FetchedPartition struct {
	Topic                string
	Aborted              []AbortedTransaction
	Slice                log.Slice // what may be sent
	Range                log.Range // what is sent
	Records              []byte    // the bytes of Range, where the driver copies
	TopicID              TopicID
	HighWatermark        int64
	LastStableOffset     int64
	LogStartOffset       int64
	DivergingEndOffset   int64 // DivergingEpoch -1: absent
	SnapshotEndOffset    int64 // of the metadata (KIP-630), 0: absent
	MaxBytes             int32
	Partition            int32
	TopicRun             int32
	DivergingEpoch       int32
	SnapshotEpoch        int32
	LeaderID             int32 // LeaderEpoch -1: absent
	LeaderEpoch          int32
	PreferredReadReplica int32 // -1: none
	Err                  errcode.Code
	NullAborted          bool // read_uncommitted
	Changed              bool // worth a line in an incremental response without records

	Prepared *PreparedRecords
}

// PreparedRecords are Records as a follower needs them.
type PreparedRecords struct {
	Err     error // what is wrong with them
	Batches log.Batches
}

// AbortedTransaction tells a read_committed consumer what to skip.
type AbortedTransaction struct {
	ProducerID  int64
	FirstOffset int64
}
