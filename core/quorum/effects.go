package quorum

import (
	"go.etcd.io/raft/v3/raftpb"

	"github.com/heiban/heiban/core/invariant"
)

// Effects is what inputs order and tell. The caller owns and reuses it: Reset it,
// pass it to one input or several, carry it out.
//
// Commits are applied in order, at once. Writes are carried out in order. Sends may
// go at any time, in any order, or be lost: what must wait for a write is ordered
// only after Stored.
type Effects struct {
	Writes  []Write
	Sends   []Send
	Commits []Entry
	Reads   []Read
	Reports []Report
}

// Reset empties the effects and keeps their memory.
func (fx *Effects) Reset() {
	clear(fx.Writes)
	clear(fx.Sends)
	clear(fx.Commits)
	fx.Writes, fx.Sends, fx.Commits = fx.Writes[:0], fx.Sends[:0], fx.Commits[:0]
	fx.Reads, fx.Reports = fx.Reads[:0], fx.Reports[:0]
}

// Token names a Write. Tokens count from 1 in every Engine.
type Token uint64

// Write is to be made durable, all of it; then Stored is called with its token.
type Write struct {
	Token Token
	// HardState is to replace the one on disk, if HasHardState.
	HardState    HardState
	HasHardState bool
	// Snapshot, if not nil, is one that came with the last message received: its state
	// becomes the durable one, and the log continues empty at its index.
	Snapshot *Snapshot
	// Entries are to follow the entry before the first one: whatever the log holds at
	// the first one's index and above is truncated before.
	Entries []Entry
}

// Send is a message for a peer. Its Data belongs to whoever takes it.
type Send struct {
	To   NodeID
	Data []byte
	// Snapshot, if not nil, says that the state as of this index, which is the state
	// after all Commits of these Effects, must arrive before Data is received. When it
	// has arrived or failed, SnapshotSent is called.
	Snapshot *Snapshot
}

// Read answers ReadIndex: the state as of Index or later is not older than what was
// committed when it was asked for.
type Read struct {
	ID    uint64
	Index uint64
}

// Kind says what an entry is.
type Kind uint8

// The kinds of entries.
const (
	KindData       Kind = iota // what was proposed
	KindEmpty                  // a leader's first, or a change of membership it refused
	KindMembership             // Data is the engine's own
	KindSnapshot               // only in Commits: the state of the Write's Snapshot replaces all
)

// Entry is one entry of the replicated log. Data is not changed by anybody.
type Entry struct {
	Index uint64
	Term  uint64
	Kind  Kind
	Data  []byte
}

// HardState is what a member must not forget.
type HardState struct {
	Term   uint64
	Vote   NodeID // NoNode: nobody yet
	Commit uint64 // a hint; see the package comment
}

// Snapshot says what a state contains: every entry up to its index.
type Snapshot struct {
	Position
	Membership Membership
}

// Role is what a member is in a term.
type Role uint8

// The roles. A Prospective asks whether it would be elected before it disturbs
// anybody (KIP-996).
const (
	Follower Role = iota
	Prospective
	Candidate
	Leader
)

// String returns Kafka's name of the role.
func (r Role) String() string {
	switch r {
	case Follower:
		return "follower"
	case Prospective:
		return "prospective"
	case Candidate:
		return "candidate"
	case Leader:
		return "leader"
	}
	return "unknown"
}

// ReportKind says what a Report tells.
type ReportKind uint8

// The kinds of reports.
const (
	RoleChanged       ReportKind = iota // or the term or the leader
	MembershipChanged                   // as of Position
	SnapshotLost                        // Node did not get it in time
)

// Report is a fact from inside. Nothing obeys it.
type Report struct {
	Kind     ReportKind
	Role     Role
	Node     NodeID // the leader of RoleChanged
	Position Position
}

func (s HardState) toRaft() *raftpb.HardState {
	return &raftpb.HardState{
		Term: new(s.Term), Vote: new(raftID(s.Vote)), Commit: new(s.Commit),
	}
}

func hardStateOf(s *raftpb.HardState) HardState {
	return HardState{Term: s.GetTerm(), Vote: nodeID(s.GetVote()), Commit: s.GetCommit()}
}

func (en *Entry) toRaft() *raftpb.Entry {
	kind := raftpb.EntryNormal
	if en.Kind == KindMembership {
		kind = raftpb.EntryConfChangeV2
	}
	invariant.True(en.Kind != KindSnapshot, "a snapshot is not an entry of the log")
	return &raftpb.Entry{
		Index: new(en.Index), Term: new(en.Term), Type: kind.Enum(), Data: en.Data,
	}
}

func entryOf(en *raftpb.Entry) Entry {
	kind := KindData
	switch {
	case en.GetType() != raftpb.EntryNormal:
		kind = KindMembership
	case len(en.GetData()) == 0:
		kind = KindEmpty
	}
	return Entry{Index: en.GetIndex(), Term: en.GetTerm(), Kind: kind, Data: en.GetData()}
}

// raftID is a node's id as raft wants it, where 0 means none.
func raftID(node NodeID) uint64 { return uint64(node + 1) }

func nodeID(id uint64) NodeID { return NodeID(id) - 1 }
