package core

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/wire"
)

// InitProducerId (key 22, versions 0-5) hands out producer ids for idempotent
// producers (KIP-98). Ids come in blocks from the controller; a block is used only
// after its record is committed, so no id is ever handed out twice. The ids left in a
// block are lost when the node stops.

// producerIDs is the node's current block.
type producerIDs struct {
	next, end  int64
	waiting    []callRef
	requesting bool
}

func (b *Broker) initProducerID(c *call, req *kmsg.InitProducerIDRequest) {
	if req.TransactionalID != nil {
		code := errcode.UnsupportedVersion // there is no transaction coordinator
		if *req.TransactionalID == "" {
			code = errcode.InvalidRequest
		}
		b.answerProducerID(c, -1, -1, code)
		return
	}
	ids := &b.producers
	if ids.next < ids.end {
		ids.next++
		b.answerProducerID(c, ids.next-1, 0, errcode.None)
		return
	}
	ids.waiting = append(ids.waiting, c.ref())
	if !ids.requesting {
		ids.requesting = true
		req := kmsg.NewPtrAllocateProducerIDsRequest()
		req.BrokerID = b.options.NodeID
		req.BrokerEpoch = b.life.epoch
		b.askController(req, b.base.RequestTimeout, &producerGrant{})
	}
}

// producerGrant is the wish for a block of producer ids.
type producerGrant struct{}

func (*producerGrant) answered(b *Broker, resp wire.Response, err error) {
	if err != nil {
		b.refuseProducerIDs(errcode.CoordinatorLoadInProgress) // so that the client asks again
		return
	}
	block := resp.(*kmsg.AllocateProducerIDsResponse)
	switch code := errcode.Code(block.ErrorCode); code {
	case errcode.None:
		b.grantProducerIDs(block)
	case errcode.StaleBrokerEpoch:
		b.refuseProducerIDs(errcode.CoordinatorLoadInProgress)
	default:
		b.refuseProducerIDs(code)
	}
}

func (b *Broker) answerProducerID(c *call, id int64, epoch int16, code errcode.Code) {
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.ProducerID, resp.ProducerEpoch, resp.ErrorCode = id, epoch, int16(code)
	b.answer(c, resp)
}

// refuseProducerIDs answers who waits that there are no more ids.
func (b *Broker) refuseProducerIDs(code errcode.Code) {
	ids := &b.producers
	ids.requesting = false
	waiting := ids.waiting
	ids.waiting = nil
	for _, ref := range waiting {
		if c := ref.get(); c != nil {
			b.answerProducerID(c, -1, -1, code)
		}
	}
}

// grantProducerIDs serves who waited for the block that was just committed.
func (b *Broker) grantProducerIDs(block *kmsg.AllocateProducerIDsResponse) {
	ids := &b.producers
	ids.next, ids.end = block.ProducerIDStart, block.ProducerIDStart+int64(block.ProducerIDLen)
	ids.requesting = false
	waiting := ids.waiting
	ids.waiting = nil
	for _, ref := range waiting {
		c := ref.get()
		if c == nil {
			continue
		}
		if b.phase != running {
			b.refuse(c, errcode.BrokerNotAvailable, "the node is not running")
			continue
		}
		if ids.next == ids.end {
			b.initProducerID(c, kmsg.NewPtrInitProducerIDRequest())
			continue
		}
		ids.next++
		b.answerProducerID(c, ids.next-1, 0, errcode.None)
	}
}
