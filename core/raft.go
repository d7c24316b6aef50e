package core

import (
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/quorum"
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

// raftReceived takes in a message of another voter, and reports whether it could. While
// the node starts or stops messages are lost, as they may be on the way.
func (b *Broker) raftReceived(from int32, frame []byte) bool {
	m := &b.metalog
	if m.engine == nil {
		return true
	}
	message, coming, err := parseForm(from, frame)
	if coming != nil {
		b.snapshotOffered(coming)
		return true
	}
	if err == nil {
		err = m.engine.Receive(b.now.Mono, message, &m.fx)
		b.quorumMoved()
		m.heardOf(quorum.NodeID(from), b.now.Mono)
	}
	return err == nil
}

// heardOf notes that a voter sent a message, which says that it is alive if it leads.
func (m *metalog) heardOf(node quorum.NodeID, now clock.Instant) {
	if node == m.leader {
		m.before, m.heard = node, now
	}
}

// sendRaft sends a message to another voter, if there is a way.
func (b *Broker) sendRaft(s *quorum.Send) {
	if s.Snapshot != nil {
		b.sendState(s)
		return
	}
	b.tellRaft(int32(s.To), append([]byte{formPlain}, s.Data...))
}

func (b *Broker) tellRaft(node int32, frame []byte) {
	b.tell(b.linkTo(raftLink, node), &wire.RaftRequest{
		ClusterID: b.dirs[0].found.ClusterID, From: b.options.NodeID, Message: frame,
	})
}

// linkVoters has the ways to the other voters opened before there is something to say: a
// message is not kept until one is open.
func (b *Broker) linkVoters() {
	for _, v := range b.base.QuorumVoters {
		if v.ID != b.options.NodeID {
			b.linkTo(raftLink, v.ID)
		}
	}
}

// votersReached counts the voters that this one can talk to, itself included.
func (b *Broker) votersReached() int {
	reached := 0
	for _, v := range b.base.QuorumVoters {
		if v.ID == b.options.NodeID || b.linkTo(raftLink, v.ID).up() {
			reached++
		}
	}
	return reached
}

// raftLost says that messages to a voter were probably lost with the link to it, and has
// the link opened again.
func (b *Broker) raftLost(node int32) {
	m := &b.metalog
	if m.engine == nil {
		return
	}
	m.engine.Unreachable(b.now.Mono, quorum.NodeID(node), &m.fx)
	m.engine.SnapshotSent(b.now.Mono, quorum.NodeID(node), false, &m.fx)
	b.quorumMoved()
	b.linkTo(raftLink, node)
}
