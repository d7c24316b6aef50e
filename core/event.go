package core

import (
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/wire"
)

// ConnID names one connection for the length of the node's life.
type ConnID uint64

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
func (*TimerFired) event()        {}
func (*ShutdownRequested) event() {}
