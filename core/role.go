package core

import (
	"slices"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/mutant"
	"github.com/heiban/heiban/core/replica"
)

// A replica leads or follows as the metadata says, from the moment its log is online.
// Another leader epoch is another role; a role decides about numbers, and what follows
// from its decisions is done here and in replicate.go.

// replicated is what of the metadata a role goes by.
func replicated(m *metadata.Partition) replica.Partition {
	return replica.Partition{
		Replicas: m.Replicas, ISR: m.ISR,
		AddingReplicas: m.AddingReplicas, RemovingReplicas: m.RemovingReplicas,
		Leader: m.Leader, LeaderEpoch: m.LeaderEpoch, PartitionEpoch: m.PartitionEpoch,
	}
}

// replicaBrokers lists the registered brokers for the roles. It is made anew whenever
// one changes.
func replicaBrokers(image *metadata.Image) []replica.Broker {
	brokers := make([]replica.Broker, 0, len(image.Brokers()))
	for _, m := range image.Brokers() {
		one := replica.Broker{
			ID: m.ID, Epoch: m.Epoch, Fenced: m.Fenced,
			InControlledShutdown: m.InControlledShutdown,
		}
		if m.Rack != nil {
			one.Rack = *m.Rack
		}
		brokers = append(brokers, one)
	}
	return brokers
}

// brokersChanged tells the leaders who is alive, and the controller how far this broker
// has read if another one waits for that before it stops.
func (b *Broker) brokersChanged() {
	b.brokers = replicaBrokers(b.image)
	if slices.ContainsFunc(b.image.Brokers(), waitsToStop) {
		b.contactSoon()
	}
	for _, t := range b.sortedTopics() {
		for _, p := range t.partitions {
			if p.leader != nil {
				b.led(p, p.leader.BrokersChanged(b.now.Mono, b.brokers))
			}
		}
	}
}

func waitsToStop(m *metadata.Broker) bool { return m.InControlledShutdown && !m.Fenced }

// logState are the marks of p's log.
func (p *partition) logState() replica.LogState {
	return replica.LogState{
		LogStartOffset: p.log.LogStartOffset(), HighWatermark: p.log.HighWatermark(),
		LogEndOffset: p.log.LogEndOffset(), HeldEndOffset: p.log.HeldEndOffset(),
		LatestEpoch: p.log.LatestEpoch(),
	}
}

// assume gives p, whose log is online, the role that the metadata says, or tells the one
// it has what is new. While its log is being cut that waits: a role begins with where the
// log stands.
func (b *Broker) assume(p *partition, m *metadata.Partition) {
	if p.log.Truncating() {
		return
	}
	said := replicated(m)
	from := len(b.fx.Jobs)
	switch {
	case p.leaderEpoch > m.LeaderEpoch:
	case p.leaderEpoch == m.LeaderEpoch && p.leader != nil:
		isr := p.leader.ISR()
		b.led(p, p.leader.MetadataChanged(b.now.Mono, &said))
		b.reportISR(p, isr)
	case p.leaderEpoch == m.LeaderEpoch && p.follower != nil:
		p.follower.MetadataChanged(&said)
	case m.Leader == b.options.NodeID:
		b.becomeLeader(p, &said)
	default:
		b.becomeFollower(p, &said)
	}
	b.jobsOf(p, from)
}

func (b *Broker) becomeLeader(p *partition, said *replica.Partition) {
	b.unfollow(p)
	leader, changed := replica.BecomeLeader(b.now.Mono, &b.replicas, &replica.Election{
		Partition: *said, Brokers: b.brokers, Log: p.logState(),
		MinInsyncReplicas: b.image.TopicByID(p.topic.id).Config.MinInsyncReplicas,
		Before:            p.ledAs,
	})
	p.leader, p.ledAs, p.leaderEpoch = &leader, &leader, said.LeaderEpoch
	// What waits to be committed is still in the log, and still will be. Readers carry
	// the epoch they know, which is over.
	b.completeFetches(p)
	b.report(Report{
		Kind: LeaderStarted, Topic: p.topic.name, TopicID: p.topic.id, Partition: p.index,
		Epoch: p.leaderEpoch, Offset: leader.HighWatermark(),
		EndOffset: leader.EpochStartOffset(), ISR: said.ISR,
	})
	b.led(p, changed)
	b.armRole(p, leader.Deadline())
	b.coordinate(p)
}

func (b *Broker) becomeFollower(p *partition, said *replica.Partition) {
	b.unfollow(p)
	state := p.logState()
	follower, d := replica.BecomeFollower(&b.replicas, said, &state)
	p.leader, p.follower = nil, &following{Follower: follower}
	p.leaderEpoch = said.LeaderEpoch
	if !b.settings.Mutants.On(mutant.I3KeepReplicaState) {
		p.ledAs = nil
	}
	b.leave(p, errcode.NotLeaderOrFollower)
	b.resign(p)
	b.report(Report{
		Kind: FollowerStarted, Topic: p.topic.name, TopicID: p.topic.id, Partition: p.index,
		Epoch: p.leaderEpoch, Leader: said.Leader,
		Offset: p.log.HighWatermark(), EndOffset: p.log.LogEndOffset(),
	})
	if said.Leader >= 0 {
		p.follower.fetcher = b.fetcherOf(said.Leader)
		p.follower.fetcher.followers++
	}
	b.decided(p, d, nil, nil)
}

// endRole takes the role of a partition whose replica here is gone or of no use.
func (b *Broker) endRole(p *partition) {
	b.unfollow(p)
	b.resign(p)
	p.leader = nil
}

// roleSeesLog tells p's role where its log stands.
func (b *Broker) roleSeesLog(p *partition) {
	if p.cut.active && !p.log.Truncating() {
		b.cutEnded(p)
	}
	switch {
	case p.leader != nil:
		state := p.logState()
		b.led(p, p.leader.LogChanged(b.now.Mono, &state))
	case p.follower != nil:
		b.followerSeesLog(p)
	}
}

// led follows up on a call of p's leader.
func (b *Broker) led(p *partition, changed replica.Change) {
	if changed == 0 {
		return
	}
	if changed.Has(replica.EpochStarted) {
		p.log.AssignEpoch(p.leaderEpoch, &b.fx.Orders)
	}
	if changed.Has(replica.HighWatermarkAdvanced) {
		b.highWatermarkAdvanced(p)
	}
	if changed.Has(replica.LowWatermarkAdvanced) {
		b.answerDeleted(p)
	}
	if changed.Has(replica.ISRProposed) {
		b.proposeISR(p)
	}
}

func (b *Broker) highWatermarkAdvanced(p *partition) {
	p.log.SetHighWatermark(p.leader.HighWatermark())
	p.highWatermark = p.log.HighWatermark()
	p.dir.stale |= highWatermarks
	b.report(Report{
		Kind: HighWatermarkAdvanced, Topic: p.topic.name, TopicID: p.topic.id,
		Partition: p.index, Offset: p.highWatermark, EndOffset: p.log.LogEndOffset(),
		Epoch: p.leaderEpoch,
	})
	b.answerCommitted(p)
	if p.groups != nil {
		b.groupsCommitted(p.groups)
	}
	b.wakeFetches(p)
}

// reportISR reports that the replicas in sync are not those of before.
func (b *Broker) reportISR(p *partition, before []int32) {
	now := p.leader.ISR()
	if slices.Equal(before, now) {
		return
	}
	kind := ISRShrunk
	if len(now) > len(before) {
		kind = ISRExpanded
	}
	b.report(Report{
		Kind: kind, Topic: p.topic.name, TopicID: p.topic.id, Partition: p.index,
		Epoch: p.leaderEpoch, ISR: now,
	})
}

// armRole asks for p's role to be woken at an instant.
func (b *Broker) armRole(p *partition, at clock.Instant) {
	if at < p.roleArmed {
		p.roleArmed = at
		b.deadlines.push(deadline{at: at, part: p, kind: roleDeadline})
	}
}

// tickRole does what time asks of p's role.
func (b *Broker) tickRole(p *partition) {
	p.roleArmed = clock.Never
	switch {
	case p.leader != nil:
		b.led(p, p.leader.Tick(b.now.Mono))
		b.armRole(p, p.leader.Deadline())
	case p.follower != nil:
		b.askLater(p)
	}
}
