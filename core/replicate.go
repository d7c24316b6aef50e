package core

import (
	"github.com/heiban/heiban/core/replica"
)

type following struct {
	replica.Follower
}

func (b *Broker) startFollowing(p *partition, said *replica.Partition) {
	state := p.logState()
	f, _ := replica.BecomeFollower(&b.replicas, said, &state)
	p.follower = &following{Follower: f}
}
func (b *Broker) unfollow(p *partition)        { p.follower = nil }
func (b *Broker) followerSeesLog(p *partition) {}
func (b *Broker) askLater(p *partition)        {}
func (b *Broker) proposeISR(p *partition)      {}
