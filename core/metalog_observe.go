package core

import (
	"fmt"
	"slices"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/quorum"
	"github.com/heiban/heiban/core/wire"
)

// A node without the role of a controller takes no part in the quorum. It follows what
// is committed, by Fetch at the active controller, which it finds among the voters.

// observer is what such a node knows.
type observer struct {
	request  wire.FetchRequest // in flight
	next     int               // of the voters, to be asked when no leader is known
	epoch    int32             // of the leader, -1 if it is not known
	on       bool
	fetching bool
}

const (
	observerWait    = 500 * clock.Millisecond // at the leader, as Kafka's
	observerBackoff = 100 * clock.Millisecond
)

// isController reports whether the node has the role of a controller.
func (b *Broker) isController() bool { return slices.Contains(b.base.ProcessRoles, "controller") }

// isBroker reports whether the node has the role of a broker. Without it the node hosts no
// partition, serves no client and is not registered.
func (b *Broker) isBroker() bool { return slices.Contains(b.base.ProcessRoles, "broker") }

// beginObserving makes the image of all that the node has, and goes on from there. Only
// what is committed was ever fetched.
func (b *Broker) beginObserving(f *quorumFound) {
	m := &b.metalog
	m.observer.on, m.observer.epoch = true, -1
	for i := range f.entries {
		e := &f.entries[i]
		m.image, _ = m.image.Apply(e.records)
		m.image = m.image.At(e.end - 1)
		m.applied = quorum.Position{Index: e.Index, Term: e.Term}
		m.baseIndex, m.baseEnd = e.Index, e.end
	}
	b.orderLog()
	b.observe()
}

// observe fetches what comes next, unless that is under way or the log has something to
// do first.
func (b *Broker) observe() {
	m := &b.metalog
	o := &m.observer
	if !o.on || o.fetching || m.stopped || m.snapshots.coming != nil || len(m.orders) > 0 ||
		m.partition.log.Truncating() || len(b.base.QuorumVoters) == 0 {
		return
	}
	to := int32(m.leader)
	if m.leader == quorum.NoNode {
		to = b.base.QuorumVoters[o.next%len(b.base.QuorumVoters)].ID
	}
	o.fetching = true
	o.request = wire.FetchRequest{
		Version: fetchVersion, ReplicaID: b.options.NodeID, ReplicaEpoch: -1,
		MaxWaitMillis: int32(observerWait.Millis()), MinBytes: 1, MaxBytes: snapshotPartBytes,
		SessionEpoch: -1,
		Partitions: append(o.request.Partitions[:0], wire.FetchPartition{
			TopicID: metadataTopicID, FetchOffset: m.baseEnd, MaxBytes: snapshotPartBytes,
			LogStartOffset: -1, HighWatermark: 1<<63 - 1,
			CurrentLeaderEpoch: o.epoch, LastFetchedEpoch: m.partition.log.LatestEpoch(),
		}),
	}
	b.ask(b.linkTo(raftLink, to), &o.request, b.base.QuorumRequestTimeout+observerWait,
		&observed{from: to})
}

// observed is a Fetch of the metadata log.
type observed struct{ from int32 }

func (a *observed) answered(b *Broker, resp wire.Response, err error) {
	m := &b.metalog
	m.observer.fetching = false
	if m.stopped {
		return
	}
	r, ok := resp.(*wire.FetchResponse)
	if err != nil || !ok || r.Err != errcode.None || len(r.Partitions) != 1 {
		b.lookForLeader(-1, -1)
		return
	}
	part := &r.Partitions[0]
	switch {
	case part.Err == errcode.OffsetOutOfRange || part.DivergingEpoch >= 0:
		b.fatal(fmt.Errorf("the metadata log ends at %d, and is not the beginning of that of node %d",
			m.baseEnd, a.from))
	case part.Err != errcode.None:
		b.lookForLeader(part.LeaderID, part.LeaderEpoch)
	case part.SnapshotEndOffset > 0:
		b.leaderFound(a.from, part)
		b.snapshotOffered(&comingSnapshot{
			from: a.from, end: part.SnapshotEndOffset, epoch: part.SnapshotEpoch,
		})
	default:
		b.leaderFound(a.from, part)
		if err := b.observeBatches(part); err != nil {
			b.report(Report{
				Kind: RequestRefused, Err: errcode.CorruptMessage,
				Text: fmt.Sprintf("metadata from node %d: %v", a.from, err),
			})
			b.lookForLeader(-1, -1)
			return
		}
		b.observerCaughtUp(part.HighWatermark)
		b.observe()
	}
}

// leaderFound takes note of who answered as the leader.
func (b *Broker) leaderFound(node int32, part *wire.FetchedPartition) {
	m := &b.metalog
	if part.LeaderEpoch >= 0 {
		m.observer.epoch = part.LeaderEpoch
	}
	if m.leader != quorum.NodeID(node) {
		m.leader = quorum.NodeID(node)
		b.controllerChanged()
	}
}

// lookForLeader asks another voter after a while: the one that is said to lead, or the
// next one.
func (b *Broker) lookForLeader(leader, epoch int32) {
	m := &b.metalog
	o := &m.observer
	o.epoch = -1
	at := slices.Index(b.namedVoters(), quorum.NodeID(leader))
	if at >= 0 && epoch >= 0 {
		o.next = at
	} else {
		o.next++
	}
	if m.leader != quorum.NoNode {
		m.leader = quorum.NoNode
		b.controllerChanged()
	}
	b.deadlines.push(deadline{at: b.now.Mono.Add(observerBackoff), kind: observerDeadline})
}

// observeBatches appends and applies what was fetched.
func (b *Broker) observeBatches(part *wire.FetchedPartition) error {
	if part.Prepared == nil || part.Prepared.Err != nil {
		return fmt.Errorf("malformed batches")
	}
	m := &b.metalog
	all := &part.Prepared.Batches
	rest, next := all.Bytes(), m.baseEnd
	decoded := make([]observedBatch, 0, all.Len())
	for i := range all.Len() {
		h := all.Header(i)
		if h.BaseOffset != next {
			return fmt.Errorf("batch at offset %d, want %d", h.BaseOffset, next)
		}
		records, err := m.reader.records(rest[:h.Size], h)
		if err != nil {
			return err
		}
		rest, next = rest[h.Size:], h.NextOffset()
		decoded = append(decoded, observedBatch{
			logEntry: logEntry{records: records, end: next}, term: termOf(h.PartitionLeaderEpoch),
		})
	}
	from := len(b.fx.Jobs)
	if err := m.partition.log.AppendReplicated(b.now, all, &b.fx.Orders); err != nil {
		return err
	}
	b.ownJobs(from)
	m.snapshots.bytes += int64(len(all.Bytes()))
	m.partition.log.SetHighWatermark(next)
	for i := range decoded {
		e := &decoded[i]
		m.baseIndex++
		m.baseEnd = e.end
		m.applied = quorum.Position{Index: m.baseIndex, Term: e.term}
		b.apply(commit{}, e.records, e.end)
	}
	b.snapshotMaybe()
	return nil
}

// observedBatch is a batch that was fetched.
type observedBatch struct {
	logEntry
	term uint64
}

// observeSnapshot makes the state of a snapshot the node's.
func (b *Broker) observeSnapshot(f *fetchedSnapshot) {
	m := &b.metalog
	m.snapshots.parsed = f
	m.installSnapshot(f.Position)
	m.snapshots.parsed = nil
	b.snapshotCommitted(f.Position)
	b.orderLog()
}

// observerCaughtUp begins the broker's life once the node knows what was committed when
// it asked.
func (b *Broker) observerCaughtUp(highWatermark int64) {
	m := &b.metalog
	if b.phase == booting && !m.caughtUp && m.baseEnd >= highWatermark {
		m.caughtUp = true
		b.publish(m.image)
		b.metadataCaughtUp()
	}
}
