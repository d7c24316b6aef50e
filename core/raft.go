package core

import (
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/wire"
)

// Raft, key 10000, version 0, on the listeners of controllers only. A message is taken
// in and the request answered at once: what the quorum has to say to it is a message of
// its own.

func (b *Broker) raftArrived(c *call, req *wire.RaftRequest) {
	switch {
	case c.conn.serves != wire.OnController:
		b.refuse(c, errcode.InvalidRequest, "a message of the quorum on a listener for clients")
	case b.dirs[0].found == nil:
		b.refuse(c, errcode.BrokerNotAvailable, "the node does not know its cluster yet")
	case req.ClusterID != b.dirs[0].found.ClusterID:
		b.refuse(c, errcode.InconsistentClusterID, "a message of another cluster's quorum")
	case !b.raftReceived(req.From, req.Message):
		b.refuse(c, errcode.InvalidRequest, "a message that the quorum does not take")
	default:
		b.answer(c, &wire.RaftResponse{})
	}
}

// raftReceived takes in a message of another voter, and reports whether it could. The
// message belongs to the driver once the Step is over.
func (b *Broker) raftReceived(_ int32, _ []byte) bool {
	return false // a quorum of one hears nothing
}
