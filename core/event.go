package core

import (
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/wire"
)

// ConnID names one connection for the length of the node's life.
type ConnID uint64

// LinkID names one outgoing connection for the length of the node's life. The broker
// chooses it; zero names none.
type LinkID uint64

// Event is a fact that reached the broker from outside. Events are passed as
// pointers owned by the driver, and are not kept after Step returns.
//
//sumtype:decl
type Event interface{ event() }

// Started is the first event of a node's life.
type Started struct{}

// ConnOpened says that a client connected.
type ConnOpened struct {
	Conn     ConnID
	Listener string // listener name, such as "PLAINTEXT"
	Peer     string // address of the peer, without port
}

// ConnClosed says that a connection is gone. Requests in progress go on; their
// answers are dropped.
type ConnClosed struct{ Conn ConnID }

// RequestArrived says that a whole request was read from a connection. Produce and
// Fetch requests have been through Prepare. The broker may keep Request until it
// is answered; what Request aliases belongs to the driver, which keeps it until
// Step has returned and the writes ordered by this Step are done.
type RequestArrived struct {
	Request wire.Request
	Header  wire.Header
	Conn    ConnID
	Bytes   int32 // size of the frame
}

// WriteDone says that the writes of a log that were ordered to the file of the offset
// before EndOffset are done up to EndOffset, or failed. Of other files it says nothing.
type WriteDone struct {
	Err       error
	Log       log.ID
	EndOffset int64
}

// SyncDone says that a log is durable up to EndOffset, or that a sync failed.
type SyncDone struct {
	Err       error
	Log       log.ID
	EndOffset int64
}

// JobDone says that a job ended.
type JobDone struct {
	Result log.Result
	Err    error
	Op     log.OpID
}

// LinkOpened says that a Dial has succeeded: requests may be sent.
type LinkOpened struct{ Link LinkID }

// LinkClosed says that a link could not be opened, or is gone. What became of the
// requests sent on it and not yet answered is unknown. Nothing more is heard of it.
type LinkClosed struct {
	Err  error
	Link LinkID
}

// ResponseArrived says that the oldest unanswered request of a link is answered. A
// Fetch answer has been through PrepareAnswer. What Response aliases belongs to the
// driver, which keeps it until Step has returned and the writes ordered by this Step
// are done; a *wire.FetchResponse itself is valid during this Step only.
type ResponseArrived struct {
	Response      wire.Response
	Link          LinkID
	CorrelationID int32
	Bytes         int32 // size of the frame
}

// TimerFired says that Deadline has come.
type TimerFired struct{}

// ShutdownRequested asks the node to stop cleanly: it answers what it can, flushes
// and closes all logs, and ends with the effect Stopped.
type ShutdownRequested struct{}

func (*Started) event()           {}
func (*ConnOpened) event()        {}
func (*ConnClosed) event()        {}
func (*RequestArrived) event()    {}
func (*WriteDone) event()         {}
func (*SyncDone) event()          {}
func (*JobDone) event()           {}
func (*LinkOpened) event()        {}
func (*LinkClosed) event()        {}
func (*ResponseArrived) event()   {}
func (*TimerFired) event()        {}
func (*ShutdownRequested) event() {}
