// Package quorum is one member of the metadata quorum: Raft (go.etcd.io/raft) as an
// engine of inputs and effects. It holds no file and no connection, reads no clock
// and draws no randomness but from its seed. It knows nothing of what entries mean,
// of record batches or of Kafka's requests. Start at Engine, New and Effects.
//
// # What is written before what
//
// A Write is to be durable, whole, before Stored is called with its token; writes
// are stored in order. Everything that promises something to a peer (votes, the wish
// to be voted for, acknowledged entries) leaves only after the writes it rests on.
// Of a Write that a crash cut short any part may have survived: New accepts a log
// that is ahead of its hard state as well as one behind it.
//
// Commit is a hint and seldom written. It is written with a Write where membership
// entries need it: a log that holds one membership entry must know that the one
// before is committed, else a member restarts two memberships behind and can find a
// majority of voters of long ago.
//
// # Time
//
// Raft draws its election timeout from a source of the whole process, so it is never
// asked to: a member that does not lead is never ticked. Its timer is kept here, in
// clock time, and drawn from (seed, node, term, attempt).
//
// # Entries and offsets
//
// An entry is one record batch in the log, of one or many records, so an index is
// not an offset. The n-th batch after a snapshot has the index of the snapshot plus
// n, and the terms are the batches' leader epochs. Since the members' logs are equal
// up to an index, the base offset of its batch is equal too. An entry without data
// is a batch as well (Kafka's LeaderChange), and so is a membership entry.
package quorum

import (
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/mutant"
)

// NodeID is a node's id in Kafka's sense, zero or more.
type NodeID int32

// NoNode stands for no node: no leader is known, nobody was voted for.
const NoNode NodeID = -1

// Position names an entry: no two entries of one index and term differ.
type Position struct {
	Index uint64
	Term  uint64
}

// Options make an Engine. Zero limits mean the defaults.
type Options struct {
	NodeID NodeID
	// ElectionTimeout is how long a voter waits at least to hear from a leader; it
	// waits up to twice that. It is at least twice the HeartbeatInterval.
	ElectionTimeout   clock.Duration // 0: 1 s
	HeartbeatInterval clock.Duration // 0: a tenth of ElectionTimeout
	// SnapshotTimeout is how long a leader waits for SnapshotSent before it takes the
	// snapshot for lost.
	SnapshotTimeout clock.Duration // 0: ten times ElectionTimeout
	Seed            uint64

	MessageBytesMax     uint64 // of the entries of one message; 0: 1 MiB
	InflightMax         int    // messages with entries on their way to one peer; 0: 64
	UncommittedBytesMax uint64 // of proposals not committed yet; 0: 16 MiB
	// WindowBytesMax is how much of the log is kept in memory before Compact. Above
	// it proposals are refused; from half of it on WantsSnapshot is true.
	WindowBytesMax int // 0: 64 MiB

	// Restored is what is durable: of a first start Bootstrap's, or the zero value for
	// a node that will be added to a quorum that exists.
	Restored Restored
	Mutants  mutant.Set
}

// Restored is what a member finds on its disk.
type Restored struct {
	HardState HardState
	Snapshot  Snapshot // of the state the host starts from
	// Entries follow each other without a gap and reach back to the one after the
	// snapshot at least. The engine keeps their data.
	Entries []Entry
}

// Bootstrap returns what every first voter of a new quorum starts from: a snapshot of
// nothing, at index 1, that names the voters. It must be durable before New.
func Bootstrap(voters []NodeID) Restored {
	m := Membership{Voters: slices.Clone(voters)}
	slices.Sort(m.Voters)
	invariant.True(len(m.Voters) > 0, "a quorum has voters")
	invariant.True(m.Voters[0] >= 0, "a node id is not negative")
	return Restored{
		HardState: HardState{Term: 1, Vote: NoNode, Commit: 1},
		Snapshot:  Snapshot{Position: Position{Index: 1, Term: 1}, Membership: m},
	}
}

// Engine is one member of the quorum. Its methods are called one at a time and with
// instants that do not decrease; each adds to the Effects what is to be done.
type Engine struct {
	id      uint64
	node    *raft.RawNode
	window  window
	timer   timer
	mutants mutant.Set

	role   Role
	leader uint64
	hard   HardState // what raft holds
	// ordered is the hard state of the last Write that carried one.
	ordered HardState
	// storedCommit is a commit index that a restart will know of.
	storedCommit uint64
	last         Position // the last entry ordered to be written
	// membershipIndex is where the last membership entry of the log is or, after the log
	// was truncated below it, an index in the log that is not before.
	membershipIndex uint64

	writes    []pendingWrite // in order
	token     Token          // of the last write
	due       []*raftpb.Message
	held      []*raftpb.Message // snapshots, until the end of an input
	snapshots []sentSnapshot    // by node
	proposed  uint64            // the index of the proposal being made, or 0
	refused   bool              // raft put an empty entry in its place

	snapshotTimeout clock.Duration
	windowBytesMax  int
}

// pendingWrite is a Write that is not stored yet, and what may happen once it is.
type pendingWrite struct {
	token     Token
	snapshot  *Snapshot
	entries   []*raftpb.Entry
	commit    uint64 // a commit index that it makes durable, or 0
	responses []*raftpb.Message
}

// sentSnapshot is a snapshot on its way to a peer.
type sentSnapshot struct {
	to       uint64
	deadline clock.Instant
}

// New makes a member of what is durable. Entries known to be committed are in the
// effects, to be applied on top of the snapshot.
func New(now clock.Instant, options Options, fx *Effects) *Engine {
	withDefaults(&options)
	e := &Engine{
		id: raftID(options.NodeID), mutants: options.Mutants,
		snapshotTimeout: options.SnapshotTimeout, windowBytesMax: options.WindowBytesMax,
	}
	e.restore(&options.Restored)
	ticks := int(options.ElectionTimeout / options.HeartbeatInterval)
	node, err := raft.NewRawNode(&raft.Config{
		ID: e.id, ElectionTick: ticks, HeartbeatTick: 1, Storage: &e.window,
		Applied: e.window.applied.Index, AsyncStorageWrites: true,
		MaxSizePerMsg: options.MessageBytesMax, MaxInflightMsgs: options.InflightMax,
		MaxUncommittedEntriesSize: options.UncommittedBytesMax,
		CheckQuorum:               true, PreVote: true, ReadOnlyOption: raft.ReadOnlySafe,
		Logger: quiet{}, DisableProposalForwarding: true, StepDownOnRemoval: true,
	})
	invariant.True(err == nil, "the configuration of raft is valid")
	e.node = node
	e.timer = newTimer(now, &options, e.hard.Term)
	if e.window.membership.soleVoter(options.NodeID) {
		e.timer.campaignAt = now
	}
	e.drain(now, fx)
	e.settle(now, fx)
	return e
}

func withDefaults(o *Options) {
	invariant.True(o.NodeID >= 0, "a node id is not negative")
	o.ElectionTimeout = orDefault(o.ElectionTimeout, clock.Second)
	o.HeartbeatInterval = orDefault(o.HeartbeatInterval, o.ElectionTimeout/10)
	o.SnapshotTimeout = orDefault(o.SnapshotTimeout, 10*o.ElectionTimeout)
	o.MessageBytesMax = orDefault(o.MessageBytesMax, 1<<20)
	o.InflightMax = orDefault(o.InflightMax, 64)
	o.UncommittedBytesMax = orDefault(o.UncommittedBytesMax, 16<<20)
	o.WindowBytesMax = orDefault(o.WindowBytesMax, 64<<20)
	invariant.True(o.ElectionTimeout >= 2*o.HeartbeatInterval && o.HeartbeatInterval > 0,
		"an election timeout holds two heartbeats")
}

func orDefault[T clock.Duration | int | uint64](value, otherwise T) T {
	if value == 0 {
		return otherwise
	}
	return value
}

// restore reconciles what is durable. The parts were written at different times, and
// a crash may have kept the later ones only.
func (e *Engine) restore(r *Restored) {
	e.window.reset(r.Snapshot.Position)
	e.window.applied = r.Snapshot.Position
	e.window.membership = r.Snapshot.Membership.clone()
	entries := make([]*raftpb.Entry, 0, len(r.Entries))
	for i := range r.Entries {
		entry := &r.Entries[i]
		invariant.True(i == 0 || entry.Index == r.Entries[i-1].Index+1,
			"restored entries have no gap")
		if entry.Index > r.Snapshot.Index {
			entries = append(entries, entry.toRaft())
		}
		if entry.Kind == KindMembership {
			e.membershipIndex = entry.Index
		}
	}
	e.window.append(entries)
	e.last = e.window.last()

	e.hard = r.HardState
	e.hard.Commit = max(min(e.hard.Commit, e.last.Index), r.Snapshot.Index)
	if e.hard.Term < e.last.Term {
		// The hard state of the same write is lost. No vote of that term was sent, since
		// it would have waited for the whole write.
		e.hard.Term, e.hard.Vote = e.last.Term, NoNode
	}
	if e.hard.Term == 0 {
		e.hard.Vote = NoNode
	}
	e.ordered, e.storedCommit = e.hard, e.hard.Commit
	e.window.hard = e.hard.toRaft()
}

// Term is the current term; as Kafka's leader epoch and controller epoch it fits
// into 31 bits for as long as elections are seconds apart.
func (e *Engine) Term() uint64 { return e.hard.Term }

// Role is what the member is in the current term.
func (e *Engine) Role() Role { return e.role }

// Leader is the leader of the current term, or NoNode while none is known.
func (e *Engine) Leader() NodeID { return nodeID(e.leader) }

// Active says that the member leads and has applied every entry of earlier leaders:
// from here on its state is the newest there is, and it may decide.
func (e *Engine) Active() bool {
	return e.role == Leader && e.window.applied.Term == e.hard.Term
}

// CommitIndex is the last index known to be committed; it may be ahead of what is
// stored here.
func (e *Engine) CommitIndex() uint64 { return e.hard.Commit }

// Applied is the last entry handed out in Effects.Commits.
func (e *Engine) Applied() Position { return e.window.applied }

// Last is the last entry ordered to be written.
func (e *Engine) Last() Position { return e.last }

// Membership is the membership as of the last applied entry.
func (e *Engine) Membership() Membership { return e.window.membership.clone() }

// WindowBytes is what the entries in memory take.
func (e *Engine) WindowBytes() int { return e.window.bytes }

// WantsSnapshot says that the host should take a snapshot and Compact.
func (e *Engine) WantsSnapshot() bool { return e.window.bytes >= e.windowBytesMax/2 }

// Snapshot says where a snapshot of the state stands that is taken now, after all
// Effects.Commits so far are applied.
func (e *Engine) Snapshot() Snapshot { return e.window.here(e.mutants) }

// Progress is what a leader knows of a member's log.
type Progress struct {
	Node     NodeID
	Match    uint64 // the last index known to be stored there
	Voter    bool
	Active   bool // heard of since the last check of the quorum
	Snapshot bool // a snapshot is on its way
}

// AppendProgress appends the progress of every member by node id, if this one leads.
func (e *Engine) AppendProgress(dst []Progress) []Progress {
	if e.role != Leader {
		return dst
	}
	for id, progress := range e.node.Status().Progress { // in any order: sorted below
		dst = append(dst, Progress{
			Node: nodeID(id), Match: progress.Match, Voter: !progress.IsLearner,
			Active: progress.RecentActive, Snapshot: progress.PendingSnapshot != 0,
		})
	}
	slices.SortFunc(dst, func(a, b Progress) int { return int(a.Node) - int(b.Node) })
	return dst
}
