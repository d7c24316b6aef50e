package checker

import (
	"fmt"
	"unicode/utf16"

	"github.com/heiban/heiban/clock"
)

// The names of the checkers of groups, as they stand in violations and in the kill matrix.
const (
	CommittedOffsets = "CommittedOffsets" // an offset of a group is a linearizable register
	GroupDelivery    = "GroupDelivery"    // a group is given every record, and skips none
	GroupEpochs      = "GroupEpochs"      // generations and epochs never go back
	GroupOwners      = "GroupOwners"      // a partition has one owner in a group
)

// Groups judges what coordinators promise groups of consumers, from what members ask and
// are told. It reports to the Judge of the run, whose clock orders what happens. Start at
// Answered, Took and Commit.
//
// What a node says that leads the group's partition no longer may be of the past, and is
// not judged.
type Groups struct {
	judge     *Judge
	retention clock.Duration // after which offsets of an empty group go; 0: never
	mixed     bool           // groups change between the protocols, and may begin anew
	books     map[string]*groupBook
	ordered   []*groupBook
	ids       map[string]int // members' ids, and the life that each was given to
}

// groupBook is what is known of one group.
type groupBook struct {
	name      string
	members   map[string]*groupMember
	ordered   []*groupMember
	registers map[PartitionID]*offsetRegister
	offsets   []*offsetRegister
	epochs    []answer                     // highest epochs or generations, and when they were told
	shared    map[int32][]map[string][]int // by generation: assignments that its leaders sent
	emptiedAt int64                        // judge's clock when it may have been empty for so long
}

// groupMember is a member's id, and who goes by it.
type groupMember struct {
	id        string
	instance  string
	heldSince map[PartitionID]heldPartition
	order     []PartitionID // the keys of heldSince, as they were taken
	heard     clock.Instant // it was in the group then, or later
	until     clock.Instant // and surely is until then
	session   clock.Duration
	rebalance clock.Duration
	epoch     int32
	toldAt    int64 // judge's clock when it was told of the epoch
	client    int
	classic   bool
	inside    bool // it was told so, and nothing else since
}

// heldPartition is a partition that a member works on.
type heldPartition struct {
	granted clock.Instant // the last request was sent whose answer left it with the member
	epoch   int32
}

// GroupOptions are what the groups under judgement are configured with.
type GroupOptions struct {
	Retention clock.Duration // of offsets; 0: they are kept for ever
	Mixed     bool           // groups change between the protocols
}

// NewGroups returns a Groups that has seen nothing.
func NewGroups(j *Judge, o GroupOptions) *Groups {
	return &Groups{
		judge: j, retention: o.Retention, mixed: o.Mixed,
		books: make(map[string]*groupBook), ids: make(map[string]int),
	}
}

// Now returns the instant of the judge's clock.
func (g *Groups) Now() int64 { return g.judge.Now() }

// Judge returns who is reported to.
func (g *Groups) Judge() *Judge { return g.judge }

func (g *Groups) book(name string) *groupBook {
	b := g.books[name]
	if b == nil {
		b = &groupBook{
			name: name, members: make(map[string]*groupMember),
			registers: make(map[PartitionID]*offsetRegister),
			shared:    make(map[int32][]map[string][]int),
		}
		g.books[name] = b
		g.ordered = append(g.ordered, b)
	}
	return b
}

func (b *groupBook) member(id string) *groupMember {
	m := b.members[id]
	if m == nil {
		m = &groupMember{id: id, heldSince: make(map[PartitionID]heldPartition)}
		b.members[id] = m
		b.ordered = append(b.ordered, m)
	}
	return m
}

// offsetsTopic is the topic whose leaders coordinate groups.
const offsetsTopic = "__consumer_offsets"

// speaks reports whether a node leads the partition of a group, and has since a question
// was called: what it says is of the present.
func (g *Groups) speaks(group string, node int32, called int64) bool {
	count := int32(0)
	for _, p := range g.judge.ordered {
		if p.deleted || len(p.Name) < len(offsetsTopic) || p.Name[:len(offsetsTopic)] != offsetsTopic {
			continue
		}
		count = max(count, p.ID.Index+1)
	}
	if count == 0 {
		return true // nobody told of the topic
	}
	name := fmt.Sprintf("%s-%d", offsetsTopic, partitionOfGroup(group, count))
	for _, p := range g.judge.ordered {
		if p.Name == name && !p.deleted {
			return p.ledBy(node, called)
		}
	}
	return false
}

// partitionOfGroup returns the partition that a group belongs to: Java's hash code of its
// id without sign, modulo their number.
func partitionOfGroup(group string, count int32) int32 {
	hash := int32(0)
	for _, unit := range utf16.Encode([]rune(group)) {
		hash = 31*hash + int32(unit)
	}
	if hash < 0 {
		hash = -hash
	}
	return max(hash, 0) % count
}

// Named judges that a coordinator gives a new id to whoever comes without one: a process
// that shares its id with another is not fenced when the other takes its place.
func (g *Groups) Named(group, id string, life int) {
	if before, ok := g.ids[id]; ok && before != life {
		g.judge.Report(GroupOwners, "not-fenced", "group %s: %s was given to two processes", group, id)
	}
	g.ids[id] = life
}

// GroupAnswer is what a coordinator told a member that it takes for one.
type GroupAnswer struct {
	Group     string
	Member    string
	Sent, Now clock.Instant // of the request and of the answer
	Called    int64         // Judge.Now when the request was sent
	Session   clock.Duration
	Rebalance clock.Duration
	Node      int32
	Epoch     int32 // or generation
	Client    int
	Instance  string // of a static member, else empty
	Classic   bool   // the member uses the classic protocol
	Led       bool   // and a leader of its own assigns
	Joined    bool   // the member was none before, or had lost its place
}

// Answered takes in that a member is one: of a generation that is complete, or of an epoch.
// It reports whether the answer was of the present.
func (g *Groups) Answered(a *GroupAnswer) bool {
	if !g.speaks(a.Group, a.Node, a.Called) {
		return false
	}
	b := g.book(a.Group)
	m := b.member(a.Member)
	m.client, m.classic, m.instance = a.Client, a.Classic, a.Instance
	g.keepBusy(b, m, a)
	g.checkEpoch(b, m, a)
	m.epoch, m.toldAt = a.Epoch, g.judge.tick()
	m.session, m.rebalance = a.Session, a.Rebalance
	if n := len(b.epochs); n == 0 || b.epochs[n-1].offset < int64(a.Epoch) {
		b.epochs = append(b.epochs, answer{at: m.toldAt, offset: int64(a.Epoch)})
	}
	return true
}

// Heard takes in that a member was in the group all the time since it was last heard, and
// is in it now, without a new generation or epoch.
func (g *Groups) Heard(a *GroupAnswer) {
	if g.speaks(a.Group, a.Node, a.Called) {
		b := g.book(a.Group)
		m := b.member(a.Member)
		m.session, m.rebalance = a.Session, a.Rebalance
		g.keepBusy(b, m, a)
	}
}

// Refused takes in that a member is told that it is none.
func (g *Groups) Refused(group, member string) {
	m := g.book(group).member(member)
	m.inside, m.until = false, m.heard
}

// Left takes in that a member says goodbye: whether it is one from now on is not known.
func (g *Groups) Left(group, member string, now clock.Instant) {
	m := g.book(group).member(member)
	m.inside, m.until = false, min(m.until, now)
}

// keepBusy notes since when and until when the group has a member. If it may have had none
// for the retention of offsets, they may be gone, and with them the group.
func (g *Groups) keepBusy(b *groupBook, m *groupMember, a *GroupAnswer) {
	since := a.Now
	if m.inside && !a.Joined {
		since = m.heard
	}
	patience := g.retention - g.retention/10
	if !a.Classic { // a consumer group that is empty forgets old offsets at once
		patience = 0
	}
	busy := clock.Instant(0)
	for _, o := range b.ordered {
		busy = max(busy, o.until)
	}
	if g.retention > 0 && since > busy.Add(patience) {
		b.emptiedAt = g.judge.tick()
		b.epochs = nil
	}
	m.inside = true
	m.heard, m.until = a.Sent, a.Sent.Add(a.Session)
}

// checkEpoch judges that a member is not told of an older epoch than it knows, or than the
// group was known to have when it asked.
func (g *Groups) checkEpoch(b *groupBook, m *groupMember, a *GroupAnswer) {
	if !a.Joined && m.toldAt > 0 && m.toldAt <= a.Called && a.Epoch < m.epoch {
		g.judge.Report(GroupEpochs, "epoch-fell", "group %s: %s was at %d and is told of %d",
			b.name, m.id, m.epoch, a.Epoch)
		return
	}
	whole := a.Led || !a.Classic && a.Joined && a.Instance == ""
	if g.mixed || !whole {
		return
	}
	for _, e := range b.epochs {
		if e.at <= a.Called && e.offset > int64(a.Epoch) {
			g.judge.Report(GroupEpochs, "generation-fell", "group %s: %s asked after it was at %d, "+
				"and is told of %d", b.name, m.id, e.offset, a.Epoch)
			return
		}
	}
}

// stale reports whether a member is known, at this instant, to be at an older generation
// or epoch than the coordinator is.
func (g *Groups) stale(b *groupBook, member string, epoch int32, classic bool) bool {
	m := b.members[member]
	if m != nil && m.toldAt > 0 && m.epoch > epoch {
		return true
	}
	n := len(b.epochs)
	return classic && !g.mixed && n > 0 && b.epochs[n-1].offset > int64(epoch)
}
