package core

import (
	"math"
	"slices"

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
	index    map[partKey]*fetchPart
	made     clock.Instant
	lastUsed clock.Instant
	id       int32
	epoch    int32 // the next request must carry it
	byID     bool
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

// open fills f with the partitions to fetch and advances the session, if any.
//
//	(n, -1)  full fetch without a session; closes n
//	(n, 0)   full fetch that asks for a session; closes n
//	(n, k)   the k-th incremental fetch of session n
func (s *sessions) open(b *Broker, f *parkedFetch, req *wire.FetchRequest) errcode.Code {
	if req.SessionEpoch > newSessionEpoch {
		return s.incremental(b.now.Mono, f, req)
	}
	if old := s.byID[req.SessionID]; old != nil {
		s.remove(old)
	}
	f.full = true
	made := &session{index: make(map[partKey]*fetchPart, len(req.Partitions)), byID: f.byID}
	made.update(req)
	f.partitions = made.parts
	if req.SessionEpoch == newSessionEpoch && len(made.parts) > 0 {
		made.made, made.lastUsed, made.epoch = b.now.Mono, b.now.Mono, 1
		if s.add(made, &b.random) {
			f.session, f.sessionID = made, made.id
			f.partitions = slices.Clone(made.parts)
		}
	}
	return errcode.None
}

func (s *sessions) incremental(now clock.Instant, f *parkedFetch, req *wire.FetchRequest) errcode.Code {
	found := s.byID[req.SessionID]
	switch {
	case found == nil:
		return errcode.FetchSessionIDNotFound
	case found.byID != f.byID:
		return errcode.FetchSessionTopicIDError
	case found.epoch != req.SessionEpoch:
		return errcode.InvalidFetchSessionEpoch
	}
	found.update(req)
	found.lastUsed = now
	if found.epoch == math.MaxInt32 {
		found.epoch = 0
	}
	found.epoch++
	if len(found.parts) == 0 {
		s.remove(found)
		f.full = true
		return errcode.None
	}
	f.session, f.sessionID = found, found.id
	f.partitions = slices.Clone(found.parts)
	return errcode.None
}

// update takes in the partitions a request adds, changes and forgets.
func (s *session) update(req *wire.FetchRequest) {
	for i := range req.Partitions {
		want := &req.Partitions[i]
		if part := s.index[keyOf(want)]; part != nil {
			name := part.want.Topic
			part.want = *want
			part.want.Topic = name
			continue
		}
		part := newPart(want)
		s.index[part.key] = part
		s.parts = append(s.parts, part)
	}
	for _, gone := range req.Forgotten {
		key := partKey{topic: gone.Topic, id: gone.TopicID, partition: gone.Partition}
		if part := s.index[key]; part != nil {
			delete(s.index, key)
			s.parts = slices.DeleteFunc(s.parts, func(p *fetchPart) bool { return p == part })
		}
	}
}

// rotate moves the partitions that returned data behind the others, so that the next
// fetch with too little room begins with those that waited.
func (s *session) rotate() {
	idle := make([]*fetchPart, 0, len(s.parts))
	var served []*fetchPart
	for _, part := range s.parts {
		if part.available > 0 {
			served = append(served, part)
		} else {
			idle = append(idle, part)
		}
	}
	if len(served) > 0 {
		s.parts = append(idle, served...)
	}
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
// else an older session with fewer partitions than the new one.
func (s *sessions) evictFor(made *session) bool {
	if len(s.all) == 0 {
		return false
	}
	idle, small := s.all[0], s.all[0]
	for _, other := range s.all[1:] {
		if other.lastUsed < idle.lastUsed {
			idle = other
		}
		if len(other.parts) < len(small.parts) {
			small = other
		}
	}
	switch {
	case made.made.Sub(idle.lastUsed) > sessionEvictAfter:
		s.remove(idle)
	case len(small.parts) < len(made.parts) && made.made.Sub(small.made) > sessionEvictAfter:
		s.remove(small)
	default:
		return false
	}
	return true
}

func (s *sessions) remove(gone *session) {
	delete(s.byID, gone.id)
	s.all = slices.DeleteFunc(s.all, func(other *session) bool { return other == gone })
}
