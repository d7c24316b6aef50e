package wire

import (
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/invariant"
)

// Identify returns the key and the version of a request.
func Identify(r Request) (key, version int16) {
	switch r := r.(type) {
	case *ProduceRequest:
		return apiKeyProduce, r.Version
	case *FetchRequest:
		return apiKeyFetch, r.Version
	case *RaftRequest:
		return RaftKey, 0
	case kmsg.Request:
		return r.Key(), r.GetVersion()
	}
	invariant.Fail("%T is not a request", r)
	return 0, 0
}

// AppendRequest appends a whole frame, size prefix included, as ParseHeader and Parse
// read it. Key and Version of h are the request's. Nodes do not produce to each other:
// there is no writer for a *ProduceRequest.
func AppendRequest(dst []byte, h *Header, r Request) []byte {
	start := len(dst)
	w := writer{b: dst}
	w.int32(0)
	w.int16(h.Key)
	w.int16(h.Version)
	w.int32(h.CorrelationID)
	w.nullString(h.ClientID)
	w.flexible = flexibleRequest(h, r)
	w.noTags()
	switch r := r.(type) {
	case *FetchRequest:
		r.append(&w)
	case *RaftRequest:
		r.append(&w)
	case kmsg.Request:
		w.b = r.AppendTo(w.b)
	default:
		invariant.Fail("%T cannot be sent", r)
	}
	return endFrame(w.b, start, 0)
}

// flexibleRequest asks a kmsg request itself, which may be one that is not served.
func flexibleRequest(h *Header, r Request) bool {
	if k, ok := r.(kmsg.Request); ok {
		return k.IsFlexible()
	}
	return h.flexible()
}

// append appends the body of a request, in the layout that Parse shows.
func (r *FetchRequest) append(w *writer) {
	if r.Version < 15 {
		w.int32(r.ReplicaID)
	}
	w.int32(r.MaxWaitMillis)
	w.int32(r.MinBytes)
	w.int32(r.MaxBytes)
	w.b = append(w.b, byte(r.IsolationLevel))
	if r.Version >= 7 {
		w.int32(r.SessionID)
		w.int32(r.SessionEpoch)
	}
	r.appendTopics(w)
	if r.Version >= 7 {
		r.appendForgotten(w)
	}
	if r.Version >= 11 {
		w.string(r.Rack)
	}
	if r.Version >= 15 && (r.ReplicaID != -1 || r.ReplicaEpoch != -1) { // KIP-903
		w.uvarint(1)
		w.tag(1, 4+8+1)
		w.int32(r.ReplicaID)
		w.int64(r.ReplicaEpoch)
	}
	w.noTags()
}

func (r *FetchRequest) appendTopics(w *writer) {
	topics := 0
	for i := 0; i < len(r.Partitions); i = r.runEnd(i) {
		topics++
	}
	w.count(topics)
	for i := 0; i < len(r.Partitions); {
		end := r.runEnd(i)
		w.topic(r.Version >= fetchTopicIDsFrom, r.Partitions[i].Topic, r.Partitions[i].TopicID)
		w.count(end - i)
		for ; i < end; i++ {
			r.Partitions[i].append(w, r.Version)
		}
		w.noTags()
	}
}

// runEnd is the end of the run of partitions of one topic that begins at i.
func (r *FetchRequest) runEnd(i int) int {
	run := r.Partitions[i].TopicRun
	for i < len(r.Partitions) && r.Partitions[i].TopicRun == run {
		i++
	}
	return i
}

func (p *FetchPartition) append(w *writer, version int16) {
	w.int32(p.Partition)
	if version >= 9 {
		w.int32(p.CurrentLeaderEpoch)
	}
	w.int64(p.FetchOffset)
	if version >= 12 {
		w.int32(p.LastFetchedEpoch)
	}
	if version >= 5 {
		w.int64(p.LogStartOffset)
	}
	w.int32(p.MaxBytes)
	if version >= 18 && p.HighWatermark != math.MaxInt64 { // KIP-1166
		w.uvarint(1)
		w.tag(1, 8)
		w.int64(p.HighWatermark)
		return
	}
	w.noTags()
}

// appendForgotten appends the partitions that leave the session, each under a topic of
// its own: they are few.
func (r *FetchRequest) appendForgotten(w *writer) {
	w.count(len(r.Forgotten))
	for i := range r.Forgotten {
		f := &r.Forgotten[i]
		w.topic(r.Version >= fetchTopicIDsFrom, f.Topic, f.TopicID)
		w.count(1)
		w.int32(f.Partition)
		w.noTags()
	}
}
