package quorum

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/heiban/heiban/core/invariant"
)

var (
	errMisdirected = errors.New("quorum message is not from a peer to this node")
	errMalformed   = errors.New("quorum message is malformed")
)

// encode returns the bytes of a message; a message without maps has one encoding.
func encode(m *raftpb.Message) []byte {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	invariant.True(err == nil, "a message of raft can be encoded")
	return data
}

// decode parses a message and checks what raft takes for granted.
func decode(data []byte, self uint64) (*raftpb.Message, error) {
	m := &raftpb.Message{}
	if err := proto.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("decode a quorum message: %w", err)
	}
	if m.GetTo() != self || m.GetFrom() == self || m.GetFrom() == 0 || m.GetFrom() > 1<<31 {
		return nil, errMisdirected
	}
	if !wellFormed(m) {
		return nil, errMalformed
	}
	return m, nil
}

// wellFormed says whether m is something that one member may send another. Proposals
// and requests to read or transfer are the leader's own.
func wellFormed(m *raftpb.Message) bool {
	snapshot, context := m.GetSnapshot().GetMetadata(), len(m.GetContext())
	switch kind := m.GetType(); {
	case m.GetTerm() == 0:
		return false
	case kind == raftpb.MsgApp:
		return wellFormedEntries(m)
	case kind == raftpb.MsgSnap:
		return snapshot.GetIndex() > 0 && snapshot.GetTerm() > 0 &&
			snapshot.GetTerm() <= m.GetTerm() && wellFormedVoters(snapshot.GetConfState())
	case kind == raftpb.MsgHeartbeatResp:
		return context == 0 || context == 8
	default:
		return isCanvass(m) || isVote(m) || kind == raftpb.MsgAppResp ||
			kind == raftpb.MsgHeartbeat || kind == raftpb.MsgTimeoutNow
	}
}

func wellFormedEntries(m *raftpb.Message) bool {
	index, term := m.GetIndex(), m.GetLogTerm()
	for _, entry := range m.GetEntries() {
		index++
		if index == 0 || entry.GetIndex() != index || entry.GetTerm() < term {
			return false
		}
		term = entry.GetTerm()
		switch kind := entry.GetType(); {
		case kind == raftpb.EntryNormal:
		case kind != raftpb.EntryConfChangeV2,
			proto.Unmarshal(entry.GetData(), &raftpb.ConfChangeV2{}) != nil:
			return false
		}
	}
	return term <= m.GetTerm()
}

func wellFormedVoters(s *raftpb.ConfState) bool {
	if len(s.GetVoters()) == 0 {
		return false
	}
	for _, ids := range [][]uint64{
		s.GetVoters(), s.GetLearners(), s.GetVotersOutgoing(), s.GetLearnersNext(),
	} {
		for i, id := range ids {
			if id == 0 || id > 1<<31 || i > 0 && id <= ids[i-1] {
				return false
			}
		}
	}
	return true
}

// isFromLeader says whether only a leader sends messages like m.
func isFromLeader(m *raftpb.Message) bool {
	kind := m.GetType()
	return kind == raftpb.MsgApp || kind == raftpb.MsgHeartbeat || kind == raftpb.MsgSnap
}

// isCanvass says whether m asks for a vote.
func isCanvass(m *raftpb.Message) bool {
	return m.GetType() == raftpb.MsgVote || m.GetType() == raftpb.MsgPreVote
}

// isVote says whether m is an answer to one that does.
func isVote(m *raftpb.Message) bool {
	return m.GetType() == raftpb.MsgVoteResp || m.GetType() == raftpb.MsgPreVoteResp
}
