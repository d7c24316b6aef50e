package log

// ID names one log for the length of the node's life; it is never used twice.
type ID uint64

// OpID names one job.
type OpID uint64

// Orders is what a driver must do to files. The slices are reused: they are valid
// until the next Step. Writes and syncs of one file are carried out in the order
// given; nothing else is ordered.
type Orders struct {
	Writes   []Write
	Syncs    []Sync
	Jobs     []RunJob
	Releases []FileRef // nothing will name these files again: close their handles
}

// Write orders Data to be written at Pos. The driver answers with a WriteDone
// that carries EndOffset; when several writes of one file are done, the answer to
// the last of them is enough. Data belongs to the driver's event until the write
// is done.
type Write struct {
	Log       ID
	File      FileRef
	Data      []byte
	Pos       int64
	EndOffset int64 // the log end offset once this and all earlier writes are done
	Create    bool  // the file is new, or a job has made it, empty
}

// Sync orders everything written to File to be made durable and, if Dir is set,
// the name of the file in its directory as well. The driver answers with a
// SyncDone that carries EndOffset. It may carry out several syncs as one.
type Sync struct {
	Log       ID
	File      FileRef
	EndOffset int64
	Dir       bool
}

// RunJob orders a job: work that grows with bytes, on files that no Write or Sync
// names at the same time except where the job says so. The driver answers with a
// JobDone that carries the Op and the job's result.
type RunJob struct {
	Op  OpID
	Job Job
}

// Job is a piece of work on files. Run shares no memory with the core: a job holds
// copies or immutable values, and so does its result.
type Job interface {
	Run(d *Devices) (Result, error)
}

// Result is what a job found or made. Its type follows from the job's.
type Result any

// Reset empties the orders and keeps their memory.
func (o *Orders) Reset() {
	clear(o.Writes)
	clear(o.Syncs)
	clear(o.Jobs)
	o.Writes, o.Syncs, o.Jobs, o.Releases = o.Writes[:0], o.Syncs[:0], o.Jobs[:0], o.Releases[:0]
}
