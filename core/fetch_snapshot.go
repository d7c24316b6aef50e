package core

import (
	"errors"
	"fmt"
	"io"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/quorum"
	"github.com/heiban/heiban/core/wire"
)

// FetchSnapshot (key 59, versions 0-1, KIP-630) reads a piece of a snapshot of the
// metadata, on the listeners of controllers only. The leader of the quorum answers.

func (b *Broker) fetchSnapshot(c *call, req *kmsg.FetchSnapshotRequest) {
	resp := req.ResponseKind().(*kmsg.FetchSnapshotResponse)
	if id := req.ClusterID; id != nil && *id != b.dirs[0].found.ClusterID {
		resp.ErrorCode = int16(errcode.InconsistentClusterID)
		b.answer(c, resp)
		return
	}
	for i := range req.Topics {
		t := &req.Topics[i]
		topic := kmsg.NewFetchSnapshotResponseTopic()
		topic.Topic = t.Topic
		for j := range t.Partitions {
			topic.Partitions = append(topic.Partitions, b.snapshotPart(t.Topic, &t.Partitions[j]))
		}
		resp.Topics = append(resp.Topics, topic)
	}
	b.answerLater(c, &snapshotQuery{
		dir: b.metalog.partition.path(), resp: resp, bytesMax: max(0, int(req.MaxBytes)),
	})
}

// snapshotPart answers for one partition, but for the bytes.
func (b *Broker) snapshotPart(
	topic string, p *kmsg.FetchSnapshotRequestTopicPartition,
) kmsg.FetchSnapshotResponseTopicPartition {
	m := &b.metalog
	part := kmsg.NewFetchSnapshotResponseTopicPartition()
	part.Partition = p.Partition
	part.SnapshotID.EndOffset, part.SnapshotID.Epoch = p.SnapshotID.EndOffset, p.SnapshotID.Epoch
	part.Position = p.Position
	switch {
	case topic != metadataTopic || p.Partition != 0:
		part.ErrorCode = int16(errcode.UnknownTopicOrPartition)
	case m.engine == nil || m.engine.Role() != quorum.Leader:
		part.ErrorCode = int16(errcode.NotLeaderOrFollower)
	case p.CurrentLeaderEpoch >= 0 && uint64(p.CurrentLeaderEpoch) < m.engine.Term():
		part.ErrorCode = int16(errcode.FencedLeaderEpoch)
	case p.CurrentLeaderEpoch >= 0 && uint64(p.CurrentLeaderEpoch) > m.engine.Term():
		part.ErrorCode = int16(errcode.UnknownLeaderEpoch)
	case p.SnapshotID.EndOffset < 0 || p.SnapshotID.Epoch < 0:
		part.ErrorCode = int16(errcode.SnapshotNotFound)
	}
	return part
}

// snapshotQuery reads pieces of snapshots. Only whole ones have the name of one.
type snapshotQuery struct {
	dir      string
	resp     *kmsg.FetchSnapshotResponse
	bytesMax int // of all pieces
}

// Answer fills in the bytes.
func (q *snapshotQuery) Answer(d *QueryDevices) wire.Response {
	for i := range q.resp.Topics {
		parts := q.resp.Topics[i].Partitions
		for j := range parts {
			if parts[j].ErrorCode == 0 {
				q.read(d.Files, &parts[j])
				q.bytesMax -= len(parts[j].Bytes)
			}
		}
	}
	return q.resp
}

func (q *snapshotQuery) read(files log.Files, p *kmsg.FetchSnapshotResponseTopicPartition) {
	s := metaSnapshot{end: p.SnapshotID.EndOffset, epoch: p.SnapshotID.Epoch}
	var err error
	if p.Size, p.Bytes, err = readPiece(files, q.dir+"/"+s.name(), p.Position, q.bytesMax); err == nil {
		return
	}
	p.Bytes = nil
	switch {
	case errors.Is(err, log.ErrNotExist):
		p.ErrorCode = int16(errcode.SnapshotNotFound)
	case errors.Is(err, errPosition):
		p.ErrorCode = int16(errcode.PositionOutOfRange)
	default:
		p.ErrorCode = int16(errcode.KafkaStorageError)
	}
}

var errPosition = errors.New("position out of range")

// readPiece reads at most n bytes of a file, and returns how large it is.
func readPiece(files log.Files, name string, at int64, n int) (_ int64, _ []byte, err error) {
	f, err := files.Open(name)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err != nil {
		return 0, nil, err
	}
	if at < 0 || at >= size {
		return 0, nil, errPosition
	}
	data := make([]byte, min(int64(n), size-at))
	if got, err := f.ReadAt(data, at); got < len(data) {
		return 0, nil, fmt.Errorf("read %s: %w", name, errors.Join(err, io.ErrUnexpectedEOF))
	}
	return size, data, nil
}
