package sim

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core"
)

// traceHash is a rolling hash of everything that happened in a run. Two runs that
// differ anywhere differ in it, all but surely.
type traceHash struct {
	sum     uint64
	scratch []byte
}

// word takes in one number.
func (t *traceHash) word(x uint64) { t.sum = fold(t.sum^x, 0x9fb21c651e98df25) }

// words takes in two numbers.
func (t *traceHash) words(x, y uint64) { t.sum = fold(t.sum^x, y^0x8ebc6af09c88c6e3) }

// bytes takes in a run of bytes and its length.
func (t *traceHash) bytes(b []byte) {
	t.word(uint64(len(b)))
	for len(b) >= 16 {
		t.words(binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]))
		b = b[16:]
	}
	for len(b) >= 8 {
		t.word(binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	var rest uint64
	for _, c := range b {
		rest = rest<<8 | uint64(c)
	}
	t.word(rest)
}

// text takes in a string.
func (t *traceHash) text(s string) {
	t.scratch = append(t.scratch[:0], s...)
	t.bytes(t.scratch)
}

// failed takes in whether something failed. The words of an error are not hashed.
func (t *traceHash) failed(err error) {
	if err != nil {
		t.word(1)
	} else {
		t.word(0)
	}
}

// event takes in what a broker was told.
func (t *traceHash) event(ev core.Event) {
	switch ev := ev.(type) {
	case *core.Started:
		t.word(1)
	case *core.ConnOpened:
		t.words(2, uint64(ev.Conn))
	case *core.ConnClosed:
		t.words(3, uint64(ev.Conn))
	case *core.RequestArrived:
		t.words(4, uint64(ev.Conn))
		t.words(uint64(ev.Header.CorrelationID), uint64(ev.Header.Key)<<32|uint64(ev.Bytes))
	case *core.WriteDone:
		t.words(5, uint64(ev.Log))
		t.word(uint64(ev.EndOffset))
		t.failed(ev.Err)
	case *core.SyncDone:
		t.words(6, uint64(ev.Log))
		t.word(uint64(ev.EndOffset))
		t.failed(ev.Err)
	case *core.JobDone:
		t.words(7, uint64(ev.Op))
		t.failed(ev.Err)
	case *core.LinkOpened:
		t.words(12, uint64(ev.Link))
	case *core.LinkClosed:
		t.words(13, uint64(ev.Link))
	case *core.ResponseArrived:
		t.words(14, uint64(ev.Link))
		t.words(uint64(ev.CorrelationID), uint64(ev.Bytes))
	case *core.TimerFired:
		t.word(8)
	case *core.ShutdownRequested:
		t.word(9)
	}
}

// effects takes in what a broker ordered and reported.
func (t *traceHash) effects(fx *core.Effects) {
	t.words(uint64(len(fx.Writes))<<32|uint64(len(fx.Syncs)),
		uint64(len(fx.Jobs))<<32|uint64(len(fx.Responses)))
	for i := range fx.Writes {
		w := &fx.Writes[i]
		t.words(uint64(w.Log), w.File.ID)
		t.words(uint64(w.Pos), uint64(w.EndOffset))
		t.bytes(w.Data)
	}
	for i := range fx.Syncs {
		t.words(uint64(fx.Syncs[i].Log), uint64(fx.Syncs[i].EndOffset))
	}
	for i := range fx.Jobs {
		t.word(uint64(fx.Jobs[i].Op))
	}
	for i := range fx.Responses {
		r := &fx.Responses[i]
		t.words(uint64(r.Conn), uint64(r.Header.CorrelationID))
	}
	for _, conn := range fx.Closes {
		t.words(10, uint64(conn))
	}
	for i := range fx.Dials {
		t.words(uint64(fx.Dials[i].Link), uint64(fx.Dials[i].Node)<<16|uint64(fx.Dials[i].Port))
	}
	for i := range fx.Sends {
		s := &fx.Sends[i]
		t.words(uint64(s.Link), uint64(s.Header.CorrelationID)<<16|uint64(s.Header.Key))
	}
	for _, link := range fx.Hangups {
		t.words(11, uint64(link))
	}
	for i := range fx.Reports {
		t.report(&fx.Reports[i])
	}
}

func (t *traceHash) report(r *core.Report) {
	t.words(uint64(r.Kind)<<32|uint64(uint32(r.Partition)), uint64(r.Offset))
	t.words(uint64(r.EndOffset), uint64(r.Producer))
	t.words(uint64(uint32(r.Epoch))<<32|uint64(uint32(r.Sequence)), uint64(uint16(r.Err)))
	t.text(r.Topic)
}

// response takes in what an actor was told.
func (t *traceHash) response(r kmsg.Response) {
	switch r := r.(type) {
	case *kmsg.ProduceResponse:
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				p := &r.Topics[i].Partitions[j]
				t.words(uint64(uint32(p.Partition))<<16|uint64(uint16(p.ErrorCode)),
					uint64(p.BaseOffset))
			}
		}
	case *kmsg.FetchResponse:
		t.word(uint64(uint16(r.ErrorCode)))
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				p := &r.Topics[i].Partitions[j]
				t.words(uint64(uint32(p.Partition))<<16|uint64(uint16(p.ErrorCode)),
					uint64(p.HighWatermark))
				t.word(uint64(p.LogStartOffset))
				t.bytes(p.RecordBatches)
			}
		}
	default:
		t.scratch = r.AppendTo(t.scratch[:0])
		t.bytes(t.scratch)
	}
}
