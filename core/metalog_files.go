package core

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/quorum"
)

const quorumStateFile = "quorum-state"

// quorumState is the content of quorum-state: Kafka's QuorumStateData, version 1, with
// a field of our own. Kafka passes over what it does not know.
type quorumState struct {
	LeaderID         int32  `json:"leaderId"`
	LeaderEpoch      int64  `json:"leaderEpoch"`
	VotedID          int32  `json:"votedId"`
	VotedDirectoryID string `json:"votedDirectoryId"`
	CommitIndex      uint64 `json:"commitIndex"`
	DataVersion      int16  `json:"data_version"`
}

func encodeQuorumState(s quorum.HardState) []byte {
	text, err := json.Marshal(&quorumState{
		LeaderID: int32(quorum.NoNode), LeaderEpoch: int64(s.Term), VotedID: int32(s.Vote),
		VotedDirectoryID: "AAAAAAAAAAAAAAAAAAAAAA", CommitIndex: s.Commit, DataVersion: 1,
	})
	if err != nil {
		return nil // a struct of numbers and strings can be encoded
	}
	return text
}

// parseQuorumState reads the hard state. A node that Kafka knew to follow a leader has
// no vote left in that epoch.
func parseQuorumState(text []byte) (quorum.HardState, error) {
	s := quorumState{LeaderID: -1, VotedID: -1}
	if err := json.Unmarshal(text, &s); err != nil {
		return quorum.HardState{}, err
	}
	if s.LeaderEpoch < 0 || s.VotedID < -1 || s.LeaderID < -1 {
		return quorum.HardState{}, fmt.Errorf("epoch %d, vote %d, leader %d",
			s.LeaderEpoch, s.VotedID, s.LeaderID)
	}
	vote := quorum.NodeID(s.VotedID)
	if vote == quorum.NoNode {
		vote = quorum.NodeID(s.LeaderID)
	}
	return quorum.HardState{
		Term: max(1, uint64(s.LeaderEpoch)), Vote: vote, Commit: s.CommitIndex,
	}, nil
}

// writeQuorumState is the job that replaces quorum-state.
type writeQuorumState struct {
	dir   string
	state quorum.HardState
}

// Run has no result.
func (j *writeQuorumState) Run(d *log.Devices) (log.Result, error) {
	return nil, log.ReplaceFile(d.Files, j.dir, quorumStateFile, encodeQuorumState(j.state))
}

// metaSnapshot is a metadata snapshot (KIP-630): a file of batches that says what the
// log came to up to an offset. Between a header and a footer, which are control
// records, stand the records of the image.
type metaSnapshot struct {
	quorum.Snapshot
	end     int64 // the first offset that is not part of it
	epoch   int32 // the leader epoch of the offset before
	records []metadata.Record
}

// name is the file's: end offset and epoch, with 20 and 10 digits.
func (s *metaSnapshot) name() string {
	return fmt.Sprintf("%0*d-%0*d%s", offsetDigits, s.end, epochDigits, s.epoch, checkpointSuffix)
}

const (
	offsetDigits, epochDigits = 20, 10
	checkpointSuffix          = ".checkpoint"
)

// parseSnapshotName reads what name makes.
func parseSnapshotName(name string) (end int64, epoch int32, ok bool) {
	digits, ok := strings.CutSuffix(name, checkpointSuffix)
	if !ok || len(digits) != offsetDigits+1+epochDigits || digits[offsetDigits] != '-' {
		return 0, 0, false
	}
	end, err := strconv.ParseInt(digits[:offsetDigits], 10, 64)
	if err != nil || end < 0 {
		return 0, 0, false
	}
	n, err := strconv.ParseInt(digits[offsetDigits+1:], 10, 32)
	return end, int32(n), err == nil && n >= 0
}

// positionTag is a tagged field of the SnapshotHeaderRecord that Kafka passes over. It
// says where the snapshot stands in the quorum's log; without it, the snapshot is that
// of a node that was alone, and has the index 1.
//
//	uvarint index | uvarint term | 4 lists of node ids | byte autoLeave
//
// A node that takes no part in the quorum does not know the voters. A list is a count and ids, all of them uvarints.
const positionTag = 10000

// encode returns the file. Records go in batches of recordsPerBatch at most.
func (s *metaSnapshot) encode() []byte {
	const recordsPerBatch = 1024
	header := []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1} // version, timestamp, tagged fields
	position := s.appendPosition(nil)
	header = binary.AppendUvarint(header, positionTag)
	header = binary.AppendUvarint(header, uint64(len(position)))
	header = append(header, position...)
	o := batch.Options{PartitionLeaderEpoch: s.epoch}
	data := batch.AppendControl(nil, o, batch.SnapshotHeader, 0, header)
	o.BaseOffset = 1
	var build batch.Builder
	for rest := s.records; len(rest) > 0; {
		n := min(len(rest), recordsPerBatch)
		build.Reset(&o)
		for _, r := range rest[:n] {
			build.Append(0, nil, metadata.AppendRecord(nil, r), nil)
		}
		data, _ = build.Finish(data, nil) // an uncompressed batch can be built
		rest = rest[n:]
		o.BaseOffset += int64(n)
	}
	return batch.AppendControl(data, o, batch.SnapshotFooter, 0, []byte{0, 0, 0})
}

func (s *metaSnapshot) appendPosition(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, s.Index)
	dst = binary.AppendUvarint(dst, s.Term)
	for _, list := range s.lists() {
		dst = binary.AppendUvarint(dst, uint64(len(*list)))
		for _, node := range *list {
			dst = binary.AppendUvarint(dst, uint64(node))
		}
	}
	if s.Membership.AutoLeave {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func (s *metaSnapshot) lists() [4]*[]quorum.NodeID {
	m := &s.Membership
	return [4]*[]quorum.NodeID{&m.Voters, &m.Learners, &m.VotersOutgoing, &m.LearnersNext}
}

var errSnapshotHeader = errors.New("the snapshot's header is malformed")

// parsePosition finds the tagged field in the value of a SnapshotHeaderRecord, and
// reports whether it is there.
func (s *metaSnapshot) parsePosition(value []byte) (bool, error) {
	const fixed = 10 // version int16, lastContainedLogTimestamp int64
	if len(value) <= fixed {
		return false, errSnapshotHeader
	}
	r := uvarints{rest: value[fixed:]}
	for n := r.next(); n > 0 && !r.bad; n-- {
		tag, size := r.next(), r.next()
		if size > uint64(len(r.rest)) {
			return false, errSnapshotHeader
		}
		if tag != positionTag {
			r.rest = r.rest[size:]
			continue
		}
		return true, s.decodePosition(r.rest[:size])
	}
	if r.bad {
		return false, errSnapshotHeader
	}
	return false, nil
}

func (s *metaSnapshot) decodePosition(field []byte) error {
	const nodesMax = 1 << 16
	r := uvarints{rest: field}
	s.Index, s.Term = r.next(), r.next()
	for _, list := range s.lists() {
		n := r.next()
		if r.bad || n > nodesMax {
			return errSnapshotHeader
		}
		for range n {
			*list = append(*list, quorum.NodeID(r.next()))
		}
	}
	s.Membership.AutoLeave = r.next() != 0
	if r.bad || s.Index == 0 || s.Term == 0 {
		return errSnapshotHeader
	}
	return nil
}

// uvarints reads numbers off a slice.
type uvarints struct {
	rest []byte
	bad  bool
}

func (u *uvarints) next() uint64 {
	v, n := binary.Uvarint(u.rest)
	if n <= 0 {
		u.bad, u.rest = true, nil
		return 0
	}
	u.rest = u.rest[n:]
	return v
}

// parse reads the file. If it does not say where in the quorum's log it stands, it is
// that of node alone, and parse reports so.
func (s *metaSnapshot) parse(data []byte, codec batch.Codec, node quorum.NodeID) (bool, error) {
	read := metadataReader{codec: codec}
	found := false
	for len(data) > 0 {
		one, h, err := read.batch(data)
		if err != nil {
			return false, err
		}
		data = data[len(one):]
		if !h.IsControl() {
			records, err := read.records(one, &h)
			if err != nil {
				return false, err
			}
			s.records = append(s.records, records...)
			continue
		}
		all, err := read.reader().Records(one, &h)
		var r batch.Record
		for err == nil && all.Next(&r) {
			kind, e := batch.ParseControlKey(r.Key)
			if err = e; err == nil && kind == batch.SnapshotHeader {
				found, err = s.parsePosition(r.Value)
			}
		}
		if err = errors.Join(err, all.Err()); err != nil {
			return false, fmt.Errorf("control batch at offset %d: %w", h.BaseOffset, err)
		}
	}
	if !found {
		s.Position = quorum.Position{Index: 1, Term: termOf(s.epoch)}
		s.Membership = quorum.Membership{Voters: []quorum.NodeID{node}}
	}
	return !found, nil
}
