package core

import (
	"math"
	"slices"
	"strings"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/wire"
)

// sessions is the cache of incremental fetch sessions (KIP-227): a client with a
// session names only what changed, and is told only what changed.
type sessions struct {
	byID  map[int32]*session
	all   []*session // in the order they were made
	slots int
}

// session is what a client fetches, between its requests.
type session struct {
	parts    []*fetchPart // in the order they are read
	moved    []*fetchPart // of rotate, reused
	index    map[partKey]*fetchPart
	parked   *call // the Fetch that waits, and uses parts
	made     clock.Instant
	lastUsed clock.Instant
	id       int32
	epoch    int32 // the next request must carry it
	byID     bool
	follower bool // of a follower: no consumer takes its place (privileged, in Kafka)
}

const (
	sessionlessEpoch = -1
	newSessionEpoch  = 0

	// A session must be idle, or old enough for a larger one to take its place.
	sessionEvictAfter = 2 * clock.Minute
)

func (s *sessions) init(slots int) {
	s.byID = map[int32]*session{}
	s.slots = slots
}

// openSession fills f with the partitions to fetch and advances the session, if any.
//
//	(n, -1)  full fetch without a session; closes n
//	(n, 0)   full fetch that asks for a session; closes n
//	(n, k)   the k-th incremental fetch of session n
func (b *Broker) openSession(f *parkedFetch, req *wire.FetchRequest) errcode.Code {
	s := &b.sessions
	if req.SessionEpoch != sessionlessEpoch && req.SessionEpoch != newSessionEpoch {
		return b.resumeSession(f, req)
	}
	if old := s.byID[req.SessionID]; old != nil {
		s.remove(old)
	}
	f.full = true
	if req.SessionEpoch == sessionlessEpoch || len(req.Partitions) == 0 {
		f.partitions = make([]*fetchPart, len(req.Partitions))
		own := make([]fetchPart, len(req.Partitions))
		for i := range own {
			own[i] = b.newPart(&req.Partitions[i])
			f.partitions[i] = &own[i]
		}
		return errcode.None
	}
	made := &session{
		index: make(map[partKey]*fetchPart, len(req.Partitions)), byID: f.byID,
		follower: f.replica != noReplica,
		made:     b.now.Mono, lastUsed: b.now.Mono, epoch: 1,
	}
	b.updateSession(made, req)
	f.partitions = made.parts
	if s.add(made, &b.random) {
		f.session, f.sessionID = made, made.id
	}
	return errcode.None
}

func (b *Broker) resumeSession(f *parkedFetch, req *wire.FetchRequest) errcode.Code {
	found := b.sessions.byID[req.SessionID]
	switch {
	case found == nil:
		return errcode.FetchSessionIDNotFound
	case found.epoch != req.SessionEpoch:
		return errcode.InvalidFetchSessionEpoch
	case found.byID != f.byID:
		return errcode.FetchSessionTopicIDError
	}
	if found.parked != nil {
		// Its client went on without the answer, on another connection.
		b.completeFetch(found.parked)
	}
	b.updateSession(found, req)
	found.lastUsed = b.now.Mono
	if found.epoch == math.MaxInt32 {
		found.epoch = 0
	}
	found.epoch++
	if len(found.parts) == 0 {
		b.sessions.remove(found)
		f.full = true
		return errcode.None
	}
	f.session, f.sessionID, f.partitions = found, found.id, found.parts
	return errcode.None
}

// updateSession takes in the partitions a request adds, changes and forgets.
func (b *Broker) updateSession(s *session, req *wire.FetchRequest) {
	for i := range req.Partitions {
		want := &req.Partitions[i]
		if part := s.index[keyOf(want)]; part != nil {
			name := part.want.Topic
			part.want = *want
			part.want.Topic = name
			continue
		}
		part := b.newPart(want)
		s.index[part.key] = &part
		s.parts = append(s.parts, &part)
	}
	for _, gone := range req.Forgotten {
		key := partKey{topic: gone.Topic, id: gone.TopicID, partition: gone.Partition}
		if part := s.index[key]; part != nil {
			delete(s.index, key)
			s.parts = slices.DeleteFunc(s.parts, func(p *fetchPart) bool { return p == part })
		}
	}
}

// newPart copies what a request asks of one partition.
func (b *Broker) newPart(want *wire.FetchPartition) fetchPart {
	part := fetchPart{want: *want, toldHigh: -1, toldStart: -1}
	if t := b.topics[want.Topic]; t != nil {
		part.want.Topic = t.name
	} else {
		part.want.Topic = strings.Clone(want.Topic)
	}
	part.key = keyOf(&part.want)
	return part
}

// rotate moves the partitions that returned records behind the others, so that the
// next fetch with too little room begins with those that waited.
func (s *session) rotate() {
	kept := s.parts[:0]
	s.moved = s.moved[:0]
	for _, part := range s.parts {
		if part.served {
			s.moved = append(s.moved, part)
		} else {
			kept = append(kept, part)
		}
	}
	s.parts = append(kept, s.moved...)
}

// add gives a session an id and a slot, or reports that there is no room.
func (s *sessions) add(made *session, r *random) bool {
	if len(s.all) >= s.slots && !s.evictFor(made) {
		return false
	}
	for made.id == 0 || s.byID[made.id] != nil {
		made.id = int32(r.uint64() & math.MaxInt32)
	}
	s.byID[made.id] = made
	s.all = append(s.all, made)
	return true
}

// evictFor makes room by dropping the session idle for longest, if that is long, or
// else the least valuable of those that have had their time, if the new one is of more
// value. A consumer's has no time of its own where a follower wants its place.
func (s *sessions) evictFor(made *session) bool {
	if len(s.all) == 0 {
		return false
	}
	idle, least := s.all[0], (*session)(nil)
	for _, other := range s.all {
		if other.lastUsed < idle.lastUsed {
			idle = other
		}
		settled := made.made.Sub(other.made) > sessionEvictAfter
		evictable := settled || made.follower && !other.follower
		if evictable && (least == nil || other.lessThan(least)) {
			least = other
		}
	}
	switch {
	case made.made.Sub(idle.lastUsed) > sessionEvictAfter:
		s.remove(idle)
	case least != nil && least.lessThan(made):
		s.remove(least)
	default:
		return false
	}
	return true
}

// lessThan reports whether a session is of less value than another.
func (s *session) lessThan(other *session) bool {
	if s.follower != other.follower {
		return other.follower
	}
	return len(s.parts) < len(other.parts)
}

func (s *sessions) remove(gone *session) {
	delete(s.byID, gone.id)
	s.all = slices.DeleteFunc(s.all, func(other *session) bool { return other == gone })
}
