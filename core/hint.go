package core

import (
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/wire"
)

// A client that asks the wrong broker is told at once who leads and where that is, as
// far as this broker knows (KIP-951).

// leaderOf returns who leads a partition and in which epoch, or -1 and -1.
func (b *Broker) leaderOf(p *partition) (leader, leaderEpoch int32) {
	if m := b.described(p); m != nil {
		return m.Leader, m.LeaderEpoch
	}
	return -1, -1
}

// described is what the metadata says of a partition, nil if its topic is gone.
func (b *Broker) described(p *partition) *metadata.Partition {
	t := b.image.TopicByID(p.topic.id)
	if t == nil {
		return nil
	}
	return &t.Partitions[p.index]
}

// addEndpoint adds where a broker is to the endpoints of an answer, once.
func (b *Broker) addEndpoint(
	endpoints []wire.NodeEndpoint, id int32, listener string,
) []wire.NodeEndpoint {
	for i := range endpoints {
		if endpoints[i].ID == id {
			return endpoints
		}
	}
	m := b.image.Broker(id)
	if m == nil {
		return endpoints
	}
	at := m.Endpoint(listener)
	if at == nil || m.Fenced {
		return endpoints
	}
	e := wire.NodeEndpoint{ID: id, Host: at.Host, Port: int32(at.Port)}
	if m.Rack != nil {
		e.Rack = *m.Rack
	}
	return append(endpoints, e)
}
