package core

import (
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/controller"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/quorum"
)

// This file drives the node's part in the metadata quorum: it brings inputs to the
// engine, carries out what it orders, and follows who leads.

// firstVoters are the voters of a new quorum: those that are configured, or this node
// alone. With bootstrap servers there is a quorum already, or an old log to go on with.
func (b *Broker) firstVoters() []quorum.NodeID {
	voters := b.namedVoters()
	switch {
	case len(b.base.QuorumBootstrapServers) > 0 || !b.isController():
		return nil
	case len(voters) == 0:
		return []quorum.NodeID{quorum.NodeID(b.options.NodeID)}
	}
	return voters
}

// quorumFound starts the engine from what stands in the metadata log's directory. All
// of it is durable: the log's tail was written anew if the last stop was not clean.
func (b *Broker) quorumFound(f *quorumFound) {
	if b.phase != booting {
		return
	}
	m := &b.metalog
	m.reader.codec = b.options.Codec
	m.baseIndex, m.baseEnd, m.applied = f.snapshot.Index, f.snapshot.end, f.snapshot.Position
	m.snapshots.last = f.snapshot.Position
	m.snapshots.end, m.snapshots.epoch = f.snapshot.end, f.snapshot.epoch
	if f.restart {
		m.order(logOrder{cut: f.snapshot.end, restart: true})
	}
	for i := range f.entries {
		m.entries = append(m.entries, f.entries[i].logEntry)
	}
	m.image, _ = metadata.New(b.base).Apply(f.snapshot.records)
	m.image = m.image.At(f.snapshot.end - 1)
	m.leader, m.armed = quorum.NoNode, clock.Never
	if !b.isController() {
		b.beginObserving(f)
		return
	}
	m.engine = quorum.New(b.now.Mono, quorum.Options{
		NodeID:          quorum.NodeID(b.options.NodeID),
		ElectionTimeout: b.base.QuorumElectionTimeout,
		Seed:            b.random.uint64(),
		Restored:        f.restored(),
		Mutants:         b.settings.Mutants,
	}, &m.fx)
	b.linkVoters()
	b.quorumMoved()
}

// quorumMoved carries out what the engine ordered, and what follows from that. Called
// while it is at it, it leaves all but the writes to the call that is under way: a
// proposal needs to know where the log ends.
func (b *Broker) quorumMoved() {
	m := &b.metalog
	b.takeWrites()
	if m.carrying {
		return
	}
	m.carrying = true
	for m.engine != nil && b.fx.Fatal == nil {
		b.quorumLed()
		if len(m.fx.Commits)+len(m.fx.Sends)+len(m.fx.Reports) == 0 {
			break
		}
		m.fx, m.carried = m.carried, m.fx
		for i := range m.carried.Commits {
			b.committed(&m.carried.Commits[i])
		}
		for i := range m.carried.Sends {
			b.sendRaft(&m.carried.Sends[i])
		}
		m.carried.Reset()
	}
	m.carrying = false
	if m.engine != nil {
		b.snapshotMaybe()
		b.changeMaybe()
		b.wakeMetadataFetches()
	}
	b.armQuorum()
	if b.phase == closingLogs {
		b.handOver() // where this node was elected since
		b.closedAll()
	}
}

// quorumLed follows who leads: the controller ends before anything else is done, and
// begins when all that was committed is applied.
func (b *Broker) quorumLed() {
	m := &b.metalog
	active := m.engine.Active()
	if b.controller != nil && (!active || m.term != m.engine.Term()) {
		b.controllerEnded()
	}
	if leader := m.engine.Leader(); leader != m.leader {
		m.leader = leader
		b.controllerChanged()
	}
	if len(m.fx.Commits) > 0 {
		return
	}
	if active && b.controller == nil && b.phase <= running {
		b.controllerStarted()
	}
	// What was committed before a leader was elected is before the first entry of its
	// term.
	if b.phase == booting && !m.caughtUp && m.leader != quorum.NoNode &&
		m.applied.Term == m.engine.Term() {
		m.caughtUp = true
		b.publish(m.image)
		b.metadataCaughtUp()
	}
}

// controllerStarted makes this node the active controller.
func (b *Broker) controllerStarted() {
	m := &b.metalog
	m.term = m.engine.Term()
	b.controller = controller.New(m.image.At(m.endOffset()-1), controller.Options{
		ClusterID: b.dirs[0].found.ClusterID, Features: supported(),
		Mutants: b.settings.Mutants, Now: b.now.Mono,
		Before: int32(m.before), BeforeHeard: m.heard,
	})
	m.heard = 0 // from here on this node led last
	b.report(Report{Kind: ControllerStarted, Epoch: int32(m.term)})
	if m.image.Feature(metadata.MetadataVersion) == 0 { // a new cluster
		b.commit(commit{records: b.controller.Bootstrap(levels())})
	}
	b.controllerChanged()
}

// controllerEnded makes this node a follower: its decisions that are not committed may
// never be.
func (b *Broker) controllerEnded() {
	m := &b.metalog
	b.controller = nil
	b.report(Report{Kind: ControllerEnded, Epoch: int32(m.term)})
	failed := m.commits
	m.commits = nil
	for i := range failed {
		b.commitFailed(&failed[i])
	}
	switch {
	case m.change == nil:
	case m.change.done(m.engine.Membership()): // the leader removed itself
		b.endChange(errcode.None)
	default:
		b.endChange(errcode.NotController)
	}
}

// activeController returns the node that is known to lead the quorum, or -1.
func (b *Broker) activeController() int32 { return int32(b.metalog.leader) }

// armQuorum asks for the engine to be advanced at its deadline.
func (b *Broker) armQuorum() {
	m := &b.metalog
	if m.engine == nil {
		return
	}
	if at := m.engine.Deadline(); at < m.armed {
		m.armed = at
		b.deadlines.push(deadline{at: at, kind: quorumDeadline})
	}
}

// quorumDue advances the engine.
func (b *Broker) quorumDue(at clock.Instant) {
	m := &b.metalog
	if at == m.armed {
		m.armed = clock.Never
	}
	if m.engine == nil {
		return
	}
	if m.engine.Deadline() <= b.now.Mono {
		m.engine.Advance(b.now.Mono, &m.fx)
	}
	b.quorumMoved()
}

// stopQuorum ends the node's part in the quorum, before its log is closed.
func (b *Broker) stopQuorum() {
	m := &b.metalog
	m.engine, m.storing, m.orders, m.stopped = nil, nil, nil, true
	m.fx.Reset()
}

// handOver asks another voter to take over what this node leads, instead of after an
// election timeout. A node that stops does so as soon as its broker is done, and before
// its logs are closed, so that the cluster is not without a controller meanwhile.
func (b *Broker) handOver() {
	m := &b.metalog
	if m.engine == nil || m.engine.Role() != quorum.Leader || m.handed == m.engine.Term() {
		return
	}
	m.handed = m.engine.Term()
	to, ok := b.successor()
	if !ok || m.engine.TransferLeadership(b.now.Mono, to, &m.fx) != quorum.Accepted {
		return
	}
	m.handBy = b.now.Mono.Add(b.base.QuorumElectionTimeout)
	b.quorumMoved()
}

// handingOver reports whether another voter may still take over.
func (b *Broker) handingOver() bool {
	m := &b.metalog
	return m.engine != nil && m.engine.Role() == quorum.Leader && b.now.Mono < m.handBy
}

// successor is the voter that should lead next: one that does not stop as well, if there
// is one, and of those the one whose log is longest.
func (b *Broker) successor() (to quorum.NodeID, ok bool) {
	rank, match := 0, uint64(0)
	for _, p := range b.metalog.engine.AppendProgress(nil) {
		if p.Node == quorum.NodeID(b.options.NodeID) || !p.Voter || !p.Active {
			continue
		}
		r := 0
		switch broker := b.metalog.image.Broker(int32(p.Node)); {
		case broker == nil || broker.Active():
			r = 2
		case !broker.Fenced:
			r = 1
		}
		if !ok || r > rank || r == rank && p.Match > match {
			to, ok, rank, match = p.Node, true, r, p.Match
		}
	}
	return to, ok
}
