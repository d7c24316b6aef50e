package core

import (
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/group"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/wire"
)

// Effects is what one Step orders its driver to do, grouped by who does it. The
// driver owns the struct and passes it in empty; the slices are valid until the
// next Step.
//
// The driver may carry the orders out at any time, but keeps their order on one
// connection and on one file. No order waits for another: what must follow a write
// is ordered when its WriteDone arrives.
type Effects struct {
	log.Orders
	Responses []Response
	Closes    []ConnID // close these connections, after the responses before
	Dials     []Dial
	Sends     []LinkRequest
	Hangups   []LinkID // close these links, after the requests before; nothing of them arrives
	Reports   []Report
	Image     *metadata.Image // set when the metadata changed
	Fatal     error           // the node cannot go on, and must exit
	Stopped   bool            // a clean shutdown is complete
}

// Reset empties the effects and keeps their memory.
func (fx *Effects) Reset() {
	fx.Orders.Reset()
	clear(fx.Responses)
	fx.Responses, fx.Closes, fx.Reports = fx.Responses[:0], fx.Closes[:0], fx.Reports[:0]
	clear(fx.Sends)
	fx.Dials, fx.Sends, fx.Hangups = fx.Dials[:0], fx.Sends[:0], fx.Hangups[:0]
	fx.Image, fx.Fatal, fx.Stopped = nil, nil, false
}

// Response orders an answer: Body or Query is set. With neither, the request is over
// and nothing is sent (a Produce with acks=0). Header.ClientID is not kept.
type Response struct {
	Body   wire.Response // complete; a *wire.ProduceResponse is valid until the next Step
	Query  Query         // work left for the driver, outside of Step
	Header wire.Header   // of the request
	Conn   ConnID
}

// Dial orders a connection to another node. LinkOpened or LinkClosed follows.
type Dial struct {
	Host string
	Link LinkID
	Port int32
	Node int32
}

// LinkRequest orders a request to be sent on a link that is open. Requests of one link
// are sent in order, and answered in order. Body is valid until the next Step.
type LinkRequest struct {
	Body   wire.Request
	Header wire.Header
	Link   LinkID
}

// Query is an answer whose making grows with bytes or partitions. It is immutable,
// works on a snapshot taken in Step, and may be answered at any later time, in
// any goroutine. A driver that sends file ranges without copying handles
// *FetchQuery itself.
type Query interface {
	Answer(d *QueryDevices) wire.Response
}

// QueryDevices is what a query may use.
type QueryDevices struct {
	Reader log.Reader
	log.Devices
}

// Report is a fact from inside. Logs, metrics, traces and checkers read reports;
// nothing obeys them. Which fields are set follows from Kind.
type Report struct {
	Kind      ReportKind
	Topic     string
	Text      string
	Group     group.Report
	ISR       []int32 // never changed
	Offset    int64
	EndOffset int64
	From      int64
	Producer  int64
	TopicID   wire.TopicID
	Partition int32
	Epoch     int32
	Leader    int32
	Sequence  int32
	Err       errcode.Code
}

// ReportKind says what happened.
type ReportKind uint8

// The kinds of report, with the fields they set.
const (
	NodeReady             ReportKind = iota + 1 // Text: summary
	PartitionOnline                             // Topic, TopicID, Partition, Offset: log start, EndOffset, Epoch, Text: recovery
	PartitionRemoved                            // Topic, TopicID, Partition
	BatchAppended                               // Topic, TopicID, Partition, Offset, EndOffset, Epoch, Producer, Sequence
	HighWatermarkAdvanced                       // Topic, TopicID, Partition, Offset, EndOffset: log end offset, Epoch; of a leader
	LogStartAdvanced                            // Topic, TopicID, Partition, Offset
	LogDirOffline                               // Text: directory and cause
	LogCompacted                                // Topic, TopicID, Partition, Text
	TopicCreated                                // Topic, TopicID
	TopicDeleted                                // Topic, TopicID
	RequestRefused                              // Err, Text
	// Of roles. EndOffset is the log end offset, Epoch the leader epoch, and Topic, TopicID
	// and Partition are set.
	LeaderStarted        // Offset: high watermark, ISR
	FollowerStarted      // Offset: high watermark, Leader: -1 if there is none
	HighWatermarkLearned // Offset: high watermark of a follower, which may fall
	RecordsReplicated    // Offset: first offset that a follower appended
	ReplicationFailed    // Text: why a follower did not append what it was sent
	LogTruncated         // Offset: log start, From: log end offset before
	ISRExpanded          // ISR: as the leader has learnt; EndOffset is not set
	ISRShrunk            // as ISRExpanded
	ControllerStarted    // Epoch: of the quorum
	ControllerEnded      // Epoch: of the quorum
	MetadataHeld         // Offset: of the last committed record; not in Image while a node starts or stops
	// Of coordinators of groups. Topic, TopicID, Partition are set.
	GroupsLoaded    // EndOffset: log end offset, Epoch: leader epoch
	GroupsNotLoaded // Offset: where, Epoch: leader epoch, Text: why
	GroupChanged    // Group
)
