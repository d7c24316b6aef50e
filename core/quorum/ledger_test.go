package quorum

import (
	"fmt"
	"hash/fnv"
)

// ledger knows what was promised, by anybody, and panics when it is broken.
type ledger struct {
	leaders map[uint64]NodeID
	entries map[Position]identity
	commits map[uint64]commitRecord
	states  map[uint64]stateRecord
	last    uint64 // the highest index known to be committed
	reads   []uint64
}

// identity is what an index and a term must determine.
type identity struct {
	before  uint64 // the term of the entry before
	content uint64
}

type commitRecord struct {
	term     uint64
	observed uint64 // the term in which it was first seen committed
}

type stateRecord struct{ term, chain uint64 }

func newLedger() ledger {
	return ledger{
		leaders: map[uint64]NodeID{}, entries: map[Position]identity{},
		commits: map[uint64]commitRecord{}, states: map[uint64]stateRecord{},
	}
}

func contentOf(entry *Entry) uint64 {
	h := fnv.New64a()
	h.Write([]byte{byte(entry.Kind)})
	h.Write(entry.Data)
	return h.Sum64()
}

func chainOf(chain uint64, entry *Entry) uint64 {
	return mix(mix(mix(chain)^entry.Index)^entry.Term) ^ contentOf(entry)
}

// appended checks log matching: an index and a term determine the entry and, with the
// term of the one before, the whole log up to it.
func (l *ledger) appended(before Position, entry *Entry) {
	at := Position{entry.Index, entry.Term}
	id := identity{before.Term, contentOf(entry)}
	if known, ok := l.entries[at]; ok && known != id {
		panic(fmt.Sprintf("log matching: two entries %d of term %d", at.Index, at.Term))
	}
	l.entries[at] = id
}

// committed checks that what is committed is never replaced.
func (l *ledger) committed(at Position, term uint64) {
	known, ok := l.commits[at.Index]
	if ok && known.term != at.Term {
		panic(fmt.Sprintf("entry %d is committed of term %d and of term %d",
			at.Index, known.term, at.Term))
	}
	if !ok || term < known.observed {
		l.commits[at.Index] = commitRecord{at.Term, term}
	}
	l.last = max(l.last, at.Index)
}

// applied checks that all states are equal at an index.
func (l *ledger) applied(at Position, chain uint64) {
	known, ok := l.states[at.Index]
	if ok && known != (stateRecord{at.Term, chain}) {
		panic(fmt.Sprintf("two states at index %d", at.Index))
	}
	l.states[at.Index] = stateRecord{at.Term, chain}
}

func (l *ledger) readAsked() uint64 {
	l.reads = append(l.reads, l.last)
	return uint64(len(l.reads) - 1)
}

func (l *ledger) readAnswered(r Read) {
	if r.Index < l.reads[r.ID] {
		panic(fmt.Sprintf("a read at %d misses what was committed at %d", r.Index, l.reads[r.ID]))
	}
}

// check looks at one engine after each of its inputs.
func (h *host) check() {
	l, e := &h.w.ledger, h.engine
	if e.Applied() != h.applied {
		panic("the engine applied what the host did not")
	}
	for h.committed < e.CommitIndex() {
		h.committed++
		if h.committed <= h.logBase.Index {
			continue
		}
		entry := &h.log[h.committed-h.logBase.Index-1]
		l.committed(Position{entry.Index, entry.Term}, e.Term())
	}
	if e.Role() != Leader {
		return
	}
	if h.terms != e.Term() {
		h.terms = e.Term()
		h.checkElected()
	}
	if e.Leader() != h.id {
		panic("a leader does not know that it leads")
	}
}

// checkElected checks that a term has one leader, and that it has every entry that
// was committed in earlier terms.
func (h *host) checkElected() {
	l, term := &h.w.ledger, h.engine.Term()
	h.w.stats.elections++
	if other, ok := l.leaders[term]; ok && other != h.id {
		panic(fmt.Sprintf("nodes %d and %d lead in term %d", other, h.id, term))
	}
	l.leaders[term] = h.id
	for index := h.logBase.Index + 1; index <= l.last; index++ {
		record, ok := l.commits[index]
		if !ok || record.observed >= term {
			continue
		}
		at := index - h.logBase.Index - 1
		if at >= uint64(len(h.log)) || h.log[at].Term != record.term {
			panic(fmt.Sprintf("the leader of term %d lacks committed entry %d", term, index))
		}
	}
}

// checkConverged checks that after the faults there is one leader that commits, and
// that every member has all it has.
func (w *world) checkConverged() {
	var leader *host
	for _, h := range w.hosts {
		if h.engine.Role() == Leader && (leader == nil || h.engine.Term() > leader.engine.Term()) {
			leader = h
		}
	}
	if leader == nil {
		panic("no leader although all is well")
	}
	e := leader.engine
	if !e.Active() || e.Applied().Term != e.Term() {
		panic("the leader does not commit although all is well")
	}
	members := e.Membership()
	if len(members.VotersOutgoing) > 0 {
		panic("the change of membership does not end although all is well")
	}
	const behindMax = 200 // the clients have not stopped
	for _, h := range w.hosts {
		if !members.IsMember(h.id) {
			continue
		}
		if h.applied.Index+behindMax < e.Applied().Index {
			panic(fmt.Sprintf("node %d is at %d, the leader at %d although all is well",
				h.id, h.applied.Index, e.Applied().Index))
		}
		if h.engine.Leader() != leader.id {
			panic(fmt.Sprintf("node %d does not follow node %d although all is well", h.id, leader.id))
		}
	}
	if w.ledger.last > e.Applied().Index+behindMax {
		panic("what was committed is gone although all is well")
	}
}
