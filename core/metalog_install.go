package core

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/quorum"
	"github.com/heiban/heiban/core/wire"
)

// A voter whose log is too far behind gets a snapshot of the leader's state:
//
//  1. The leader tells which snapshot, along with the message of the quorum.
//  2. The voter fetches it, piece by piece (KIP-630), and reads it.
//  3. The quorum takes the message in. If it still needs the state, it orders it stored.
//  4. The file is made durable, then the log is emptied and begins where it ends.
//  5. The quorum hands the state out as committed.

// comingSnapshot is a snapshot that is being fetched from a leader.
type comingSnapshot struct {
	message []byte // of the quorum, nil for one that only follows
	data    []byte // so far
	end     int64
	from    int32
	epoch   int32
}

// fetchedSnapshot is a snapshot that was fetched whole.
type fetchedSnapshot struct {
	metaSnapshot
	image *metadata.Image
	data  []byte
}

// snapshotOffered begins to fetch a snapshot, unless one is being fetched already.
func (b *Broker) snapshotOffered(c *comingSnapshot) {
	s := &b.metalog.snapshots
	if s.coming != nil || s.parsed != nil {
		return
	}
	s.coming = c
	b.fetchSnapshotPart()
}

// fetchSnapshotPart asks for the next piece.
func (b *Broker) fetchSnapshotPart() {
	c := b.metalog.snapshots.coming
	req := kmsg.NewPtrFetchSnapshotRequest()
	req.Version = 0
	req.ClusterID = &b.dirs[0].found.ClusterID
	req.ReplicaID, req.MaxBytes = b.options.NodeID, snapshotPartBytes
	part := kmsg.NewFetchSnapshotRequestTopicPartition()
	part.CurrentLeaderEpoch = -1
	part.SnapshotID.EndOffset, part.SnapshotID.Epoch = c.end, c.epoch
	part.Position = int64(len(c.data))
	topic := kmsg.NewFetchSnapshotRequestTopic()
	topic.Topic = metadataTopic
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	b.ask(b.linkTo(controllerLink, c.from), req, b.base.QuorumRequestTimeout, &snapshotPart{c})
}

// snapshotPartBytes is how much of a snapshot is fetched at once.
const snapshotPartBytes = 1 << 20

// snapshotPart is a piece of a snapshot that was asked for.
type snapshotPart struct{ of *comingSnapshot }

// answered takes in a piece. After a failure the leader finds out, and offers a snapshot
// again.
func (p *snapshotPart) answered(b *Broker, resp wire.Response, err error) {
	s := &b.metalog.snapshots
	if s.coming != p.of {
		return
	}
	if b.metalog.stopped {
		s.coming = nil
		return
	}
	part := snapshotPartOf(resp)
	if err != nil || part == nil || part.Position != int64(len(p.of.data)) ||
		len(part.Bytes) == 0 {
		s.coming = nil
		if b.metalog.observer.on {
			b.lookForLeader(-1, -1)
		}
		return
	}
	p.of.data = append(p.of.data, part.Bytes...)
	if int64(len(p.of.data)) < part.Size {
		b.fetchSnapshotPart()
		return
	}
	b.order(&parseSnapshot{
		data: p.of.data, end: p.of.end, epoch: p.of.epoch,
		base: metadata.New(b.base), node: quorum.NodeID(b.options.NodeID),
	}, jobOwner{kind: jobParseSnapshot, part: &b.metalog.partition})
}

// snapshotPartOf returns the piece in a response, or nil if it has none.
func snapshotPartOf(resp wire.Response) *kmsg.FetchSnapshotResponseTopicPartition {
	r, ok := resp.(*kmsg.FetchSnapshotResponse)
	if !ok || r.ErrorCode != 0 || len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		return nil
	}
	part := &r.Topics[0].Partitions[0]
	if part.ErrorCode != 0 {
		return nil
	}
	return part
}

// parseSnapshot is the job that reads a snapshot that was fetched (result
// *fetchedSnapshot, or its *snapshotError if it is damaged).
type parseSnapshot struct {
	base  *metadata.Image
	data  []byte
	end   int64
	node  quorum.NodeID
	epoch int32
}

// Run never fails: nothing is wrong with this node's disk.
func (j *parseSnapshot) Run(d *log.Devices) (log.Result, error) {
	f := &fetchedSnapshot{data: j.data, metaSnapshot: metaSnapshot{end: j.end, epoch: j.epoch}}
	alone, err := f.parse(j.data, d.Codec, j.node)
	if err == nil && (alone || len(f.Membership.Voters) == 0) {
		err = errSnapshotHeader // a leader knows where its snapshot stands
	}
	if err != nil {
		return &fetchedSnapshot{}, nil //nolint:nilerr // the result says it: it is empty
	}
	f.image, _ = j.base.Apply(f.records)
	f.image = f.image.At(f.end - 1)
	f.records = nil
	return f, nil
}

// snapshotParsed has the quorum take in the message that the snapshot came for.
func (b *Broker) snapshotParsed(f *fetchedSnapshot) {
	m := &b.metalog
	c := m.snapshots.coming
	m.snapshots.coming = nil
	switch {
	case m.stopped || c == nil:
		return
	case f.image == nil:
		b.report(Report{
			Kind: RequestRefused, Err: errcode.CorruptMessage,
			Text: fmt.Sprintf("the metadata snapshot of node %d is damaged", c.from),
		})
		if m.observer.on {
			b.lookForLeader(-1, -1)
		}
		return
	case m.engine == nil:
		b.observeSnapshot(f)
		return
	}
	m.snapshots.parsed = f
	err := m.engine.Receive(b.now.Mono, c.message, &m.fx)
	b.takeWrites()
	m.snapshots.parsed = nil
	if err != nil {
		b.report(Report{Kind: RequestRefused, Err: errcode.InvalidRequest, Text: err.Error()})
	}
	b.quorumMoved()
}

// installSnapshot orders the log replaced by the snapshot that was fetched last.
func (m *metalog) installSnapshot(at quorum.Position) {
	f := m.snapshots.parsed
	invariant.True(f != nil && f.Position == at, "a snapshot that is to be stored was fetched")
	m.entries, m.baseIndex, m.baseEnd = nil, at.Index, f.end
	for i := range m.storing {
		m.storing[i].end = min(m.storing[i].end, f.end)
	}
	m.snapshots.take = append(m.snapshots.take, f)
	m.order(logOrder{install: f})
	m.order(logOrder{cut: f.end, restart: true})
}

// storeSnapshot is the job that makes a fetched snapshot durable. It has no result.
type storeSnapshot struct {
	dir  string
	name string
	data []byte
}

// Run writes the file.
func (j *storeSnapshot) Run(d *log.Devices) (log.Result, error) {
	if err := log.ReplaceFile(d.Files, j.dir, j.name, j.data); err != nil {
		return nil, fmt.Errorf("store a metadata snapshot: %w", err)
	}
	return nil, removeOldSnapshots(d.Files, j.dir)
}

// snapshotStored goes on with the orders to the log that waited for it.
func (b *Broker) snapshotStored() {
	m := &b.metalog
	m.storingSnapshot = false
	f := m.orders[0].install
	m.snapshots.last, m.snapshots.end, m.snapshots.epoch = f.Position, f.end, f.epoch
	m.orders[0] = logOrder{}
	m.orders = m.orders[1:]
	b.metalogChanged()
}

// snapshotCommitted makes the state of a stored snapshot the node's.
func (b *Broker) snapshotCommitted(at quorum.Position) {
	m := &b.metalog
	f := m.snapshots.take[0]
	m.snapshots.take = m.snapshots.take[1:]
	invariant.True(f.Position == at, "snapshots are committed as they were stored")
	m.applied, m.snapshots.bytes = at, 0
	o := &opening{image: f.image, delta: f.image.Since(m.image), left: 1}
	m.image = f.image
	b.applied(o)
}

// A message of the quorum begins with its form:
//
//	int8 form | message                                      of formPlain
//	int8 form | int64 endOffset | int32 epoch | message      of formSnapshot
const (
	formPlain    = 0
	formSnapshot = 1 // of a snapshot that belongs to the message
)

var errForm = errors.New("a message of the quorum has an unknown form")

// parseForm returns the message, and with it the snapshot that belongs to it, if any.
func parseForm(from int32, frame []byte) (message []byte, c *comingSnapshot, err error) {
	const head = 1 + 8 + 4
	switch {
	case len(frame) > 1 && frame[0] == formPlain:
		return frame[1:], nil, nil
	case len(frame) > head && frame[0] == formSnapshot:
		return nil, &comingSnapshot{
			from: from, message: bytes.Clone(frame[head:]),
			end:   int64(binary.BigEndian.Uint64(frame[1:])),
			epoch: int32(binary.BigEndian.Uint32(frame[9:])),
		}, nil
	}
	return nil, nil, errForm
}

// sendSnapshot tells a voter of a snapshot that is durable, with the message of the
// quorum that it belongs to.
func (b *Broker) sendSnapshot(s *quorum.Send, end int64, epoch int32) {
	frame := []byte{formSnapshot}
	frame = binary.BigEndian.AppendUint64(frame, uint64(end))
	frame = binary.BigEndian.AppendUint32(frame, uint32(epoch))
	b.tellRaft(int32(s.To), append(frame, s.Data...))
}
