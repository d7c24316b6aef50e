package sim

import "github.com/heiban/heiban/clock"

// Fault is one thing that goes wrong, as data. A plan is a list of faults drawn
// before the run; to leave one out changes nothing else.
type Fault struct {
	At    clock.Instant  `json:"at"`              // world time, in nanoseconds
	For   clock.Duration `json:"for,omitempty"`   // until it ends, or until the node restarts
	Kind  FaultKind      `json:"kind"`            // what goes wrong
	Node  int32          `json:"node"`            // whom it befalls
	Actor int32          `json:"actor,omitempty"` // of a link: the other end, or -1 for all actors
	Peer  int32          `json:"peer,omitempty"`  // of a link to another node: see PeerOf and AllPeers
	Param int64          `json:"param,omitempty"` // what the kind says

	Target Target  `json:"target,omitempty"` // whom it befalls instead of Node, when it begins
	Which  int32   `json:"which,omitempty"`  // the partition that Target means, by topic and index
	On     Trigger `json:"on,omitempty"`     // it begins when that happens, after At
}

// Target says whom a fault befalls by the part that the node plays.
type Target uint8

// The targets. A fault whose target nobody is does not happen.
const (
	TargetNode       Target = iota // the node Fault.Node
	TargetLeader                   // who leads a partition
	TargetFollower                 // an in-sync replica of a partition that does not lead
	TargetOutsider                 // a replica of a partition that is not in sync
	TargetController               // the active controller
	targetsEnd
)

// Trigger says what a fault waits for. With a target it befalls that, and otherwise the
// node where it happened.
type Trigger uint8

// The triggers.
const (
	AtOnce Trigger = iota
	OnLeader
	OnISRShrunk
	OnISRExpanded
	OnTruncated
	OnReplicated
	OnController
	triggersEnd
)

// AllPeers is the Peer of a fault that befalls the links between a node and all others.
const AllPeers = -1

// PeerOf is the Peer of a fault that befalls the links between two nodes. Without a Peer
// it befalls those to actors.
func PeerOf(node int32) int32 { return node + 1 }

// FaultKind says what goes wrong.
type FaultKind uint8

// The kinds of fault.
const (
	Crash       FaultKind = iota + 1 // process crash; restart after For
	PowerOff                         // power loss; restart after For
	Restart                          // clean shutdown; restart after For
	Pause                            // the node stands still for For
	ClockJump                        // the wall clock jumps by Param milliseconds
	ClockDrift                       // the monotonic clock runs Param ppm fast for For
	LinkCut                          // no frame passes between the two ends
	LinkCutTo                        // no frame reaches the node
	LinkCutFrom                      // no frame leaves the node
	LinkClog                         // as LinkCut, but no end gives up on it
	ConnReset                        // every connection of the link breaks; Param is a BreakKind
	ConnRefused                      // the node accepts no connection
	SlowLink                         // frames take Param times as long
	SlowDisk                         // I/O takes Param times as long
	StuckDisk                        // no I/O completes
	FullDisk                         // Param bytes are left
	WriteError                       // a share of Param ppm of the writes fails
	ReadError                        // a share of Param ppm of the reads fails
	SyncError                        // a share of Param ppm of the syncs fails
	BitRot                           // one bit of a file flips for good; see TailOnly
	Split                            // the nodes of the set Param and the others do not reach each other
	SplitOneWay                      // nothing from the nodes of the set Param reaches the others
	Bridge                           // as Split, but the node reaches all
	Isolate                          // the node reaches no other node and no actor
	SlowNode                         // the node stands still Param thousandths of the time
	Wipe                             // power loss, after which all partitions are gone
	faultKindsEnd
)

// TailOnly is the Param of a BitRot that strikes only the end of a partition's last
// segment.
const TailOnly = 1

var faultNames = [faultKindsEnd]string{
	"none", "crash", "power-off", "restart", "pause", "clock-jump", "clock-drift",
	"link-cut", "link-cut-to", "link-cut-from", "link-clog", "conn-reset", "conn-refused",
	"slow-link", "slow-disk", "stuck-disk", "full-disk", "write-error", "read-error",
	"sync-error", "bit-rot", "split", "split-one-way", "bridge", "isolate", "slow-node", "wipe",
}

// String returns the kind's name, such as "power-off".
func (k FaultKind) String() string {
	if k < faultKindsEnd {
		return faultNames[k]
	}
	return "unknown"
}

// FaultKinds lists every kind in order.
func FaultKinds() []FaultKind {
	kinds := make([]FaultKind, 0, faultKindsEnd-1)
	for k := Crash; k < faultKindsEnd; k++ {
		kinds = append(kinds, k)
	}
	return kinds
}
