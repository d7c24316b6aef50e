package wire

import "math"

// Fetch, key 1, versions 4 to 18. Version 5 brings logStartOffset (KIP-107), 7
// sessions (KIP-227), 9 currentLeaderEpoch (KIP-320), 11 racks (KIP-392), 12 is the
// first flexible one and brings lastFetchedEpoch and divergingEpoch (KIP-595), 13
// topic ids (KIP-516), 15 replicaState (KIP-903), 16 node endpoints (KIP-951), 17
// directory ids (KIP-853), 18 the follower's high watermark (KIP-1166).

const (
	fetchFlexibleFrom = 12
	fetchTopicIDsFrom = 13
)

// Parse reads the body of a request. It reuses r's slices and sets every field.
// Strings alias body, so they hold for as long as its owner leaves the bytes alone.
// An error is an *Error. A cluster id and directory ids are checked and dropped.
//
//	4 replicaId (up to v14)            per partition:
//	4 maxWaitMs                          4 index
//	4 minBytes                           4 currentLeaderEpoch (v9+)
//	4 maxBytes                           8 fetchOffset
//	1 isolationLevel                     4 lastFetchedEpoch (v12+)
//	4 sessionId (v7+)                    8 logStartOffset (v5+)
//	4 sessionEpoch (v7+)                 4 partitionMaxBytes
//	. topics:                            . tagged fields:
//	    . name, or 16 topicId (v13+)         0 replicaDirectoryId (v17+)
//	    . partitions                         1 highWatermark (v18+)
//	    . tagged fields
//	. forgotten topics (v7+): . name, or 16 topicId; . indexes; . tagged fields
//	. rackId (v11+)
//	. tagged fields: 0 clusterId (nullable), 1 replicaState (v15+)
func (r *FetchRequest) Parse(version int16, body []byte) error {
	if !Supported(apiKeyFetch, version) {
		return &Error{Reason: APIVersionUnsupported, Key: apiKeyFetch, Version: version}
	}
	b := reader{b: body, flexible: version >= fetchFlexibleFrom}
	*r = FetchRequest{
		Partitions:   r.Partitions[:0],
		Forgotten:    r.Forgotten[:0],
		ReplicaEpoch: -1,
		ReplicaID:    -1,
		SessionEpoch: -1,
		Version:      version,
	}
	if version < 15 {
		r.ReplicaID = b.int32()
	}
	r.MaxWaitMillis = b.int32()
	r.MinBytes = b.int32()
	r.MaxBytes = b.int32()
	r.IsolationLevel = b.int8()
	if version >= 7 {
		r.SessionID = b.int32()
		r.SessionEpoch = b.int32()
	}
	topics := b.count(topicBytesMin)
	for run := 0; run < topics && !b.bad; run++ {
		r.parseTopic(&b, int32(run))
	}
	if version >= 7 {
		for n := b.count(topicBytesMin); n > 0 && !b.bad; n-- {
			r.parseForgotten(&b)
		}
	}
	if version >= 11 {
		r.Rack = b.string()
	}
	r.parseTags(&b)
	if !b.end() {
		return &Error{Reason: RequestMalformed, Key: apiKeyFetch, Version: version}
	}
	return nil
}

func (r *FetchRequest) parseTopic(b *reader, run int32) {
	topic, topicID := b.topic(r.Version >= fetchTopicIDsFrom)
	const partitionBytesMin = 4 + 8 + 4 // index, fetchOffset, partitionMaxBytes
	for n := b.count(partitionBytesMin); n > 0 && !b.bad; n-- {
		r.Partitions = append(r.Partitions, FetchPartition{})
		p := &r.Partitions[len(r.Partitions)-1]
		p.Topic = topic
		p.TopicID = topicID
		p.TopicRun = run
		p.parse(b, r.Version)
	}
	b.skipTags()
}

func (p *FetchPartition) parse(b *reader, version int16) {
	p.CurrentLeaderEpoch = -1
	p.LastFetchedEpoch = -1
	p.LogStartOffset = -1
	p.HighWatermark = math.MaxInt64
	p.Partition = b.int32()
	if version >= 9 {
		p.CurrentLeaderEpoch = b.int32()
	}
	p.FetchOffset = b.int64()
	if version >= 12 {
		p.LastFetchedEpoch = b.int32()
	}
	if version >= 5 {
		p.LogStartOffset = b.int64()
	}
	p.MaxBytes = b.int32()
	for n := b.tagCount(); n > 0; n-- {
		key, field := b.tag()
		switch {
		case key == 0 && version >= 17:
			field.topicID() // KIP-853's directory ids are UUIDs, too
		case key == 1 && version >= 18:
			p.HighWatermark = field.int64()
		default:
			continue
		}
		b.endTag(&field)
	}
}

func (r *FetchRequest) parseForgotten(b *reader) {
	topic, topicID := b.topic(r.Version >= fetchTopicIDsFrom)
	for n := b.count(4); n > 0; n-- {
		r.Forgotten = append(r.Forgotten, ForgottenPartition{
			Topic:     topic,
			TopicID:   topicID,
			Partition: b.int32(),
		})
	}
	b.skipTags()
}

func (r *FetchRequest) parseTags(b *reader) {
	for n := b.tagCount(); n > 0; n-- {
		key, field := b.tag()
		switch {
		case key == 0:
			field.nullString()
		case key == 1 && r.Version >= 15:
			r.ReplicaID = field.int32()
			r.ReplicaEpoch = field.int64()
			field.skipTags()
		default:
			continue
		}
		b.endTag(&field)
	}
}

// AppendFrame appends a whole frame, size prefix included, without the records: the
// frame's lengths count Range.Len bytes for each partition, and the driver splices
// them in. To cuts it appends one position in dst for every entry of r.Partitions,
// in order: there the bytes of Range belong. Positions of partitions whose
// Range.Len is 0 mean nothing.
func (r *FetchResponse) AppendFrame(dst []byte, h *Header, cuts []int) ([]byte, []int) {
	start := len(dst)
	w := beginFrame(dst, h)
	a := fetchAppender{w: w, r: r, cuts: cuts, version: h.Version, splice: true}
	a.append()
	spliced := 0
	for i := range r.Partitions {
		spliced += r.Partitions[i].Range.Len
	}
	return endFrame(a.w.b, start, spliced), a.cuts
}

// append appends the body with the records in place.
func (r *FetchResponse) append(w *writer, version int16) {
	a := fetchAppender{w: *w, r: r, version: version}
	a.append()
	*w = a.w
}

// fetchAppender appends the body of a response.
//
//	4 throttleTimeMs                   per partition:
//	2 errorCode (v7+)                    4 index
//	4 sessionId (v7+)                    2 errorCode
//	. topics:                            8 highWatermark
//	    . name, or 16 topicId (v13+)     8 lastStableOffset
//	    . partitions                     8 logStartOffset (v5+)
//	    . tagged fields                  . aborted (nullable): 8 producerId,
//	. tagged fields:                         8 firstOffset, . tagged fields
//	    0 nodeEndpoints (v16+)           4 preferredReadReplica (v11+)
//	                                     . records
//	                                     . tagged fields: 0 divergingEpoch,
//	                                         1 currentLeader, 2 snapshotId
type fetchAppender struct {
	w       writer
	r       *FetchResponse
	cuts    []int
	version int16
	splice  bool // leave the records out, and note where they belong
}

func (a *fetchAppender) append() {
	w, r := &a.w, a.r
	w.int32(r.ThrottleMillis)
	if a.version >= 7 {
		w.int16(int16(r.Err))
		w.int32(r.SessionID)
	}
	topics := 0
	for i := 0; i < len(r.Partitions); {
		end, present := a.run(i)
		if present > 0 {
			topics++
		}
		i = end
	}
	w.count(topics)
	for i := 0; i < len(r.Partitions); {
		end, present := a.run(i)
		a.topic(i, end, present)
		i = end
	}
	if a.version >= 16 { // KIP-951
		w.nodeEndpoints(r.NodeEndpoints)
	} else {
		w.noTags()
	}
}

// run is the end of the run of partitions of one topic that begins at i, and how
// many of them are not left out.
func (a *fetchAppender) run(i int) (end, present int) {
	run := a.r.Partitions[i].TopicRun
	for end = i; end < len(a.r.Partitions) && a.r.Partitions[end].TopicRun == run; end++ {
		if p := &a.r.Partitions[end]; a.r.present(p, a.size(p)) {
			present++
		}
	}
	return end, present
}

// present says whether p has something to say, given the size of its records. In
// an incremental response the other partitions are left out (KIP-227).
func (r *FetchResponse) present(p *FetchedPartition, size int) bool {
	return !r.Incremental || p.Changed || p.Err != 0 || size > 0
}

func (a *fetchAppender) size(p *FetchedPartition) int {
	if a.splice {
		return p.Range.Len
	}
	return len(p.Records)
}

func (a *fetchAppender) topic(i, end, present int) {
	if present > 0 {
		p := &a.r.Partitions[i]
		a.w.topic(a.version >= fetchTopicIDsFrom, p.Topic, p.TopicID)
		a.w.count(present)
	}
	for ; i < end; i++ {
		p := &a.r.Partitions[i]
		cut := len(a.w.b)
		if a.r.present(p, a.size(p)) {
			cut = a.partition(p)
		}
		if a.splice {
			a.cuts = append(a.cuts, cut)
		}
	}
	if present > 0 {
		a.w.noTags()
	}
}

// partition returns where the records are, or belong.
func (a *fetchAppender) partition(p *FetchedPartition) (cut int) {
	w := &a.w
	w.int32(p.Partition)
	w.int16(int16(p.Err))
	w.int64(p.HighWatermark)
	w.int64(p.LastStableOffset)
	if a.version >= 5 {
		w.int64(p.LogStartOffset)
	}
	if p.NullAborted {
		w.null()
	} else {
		w.count(len(p.Aborted))
		for _, t := range p.Aborted {
			w.int64(t.ProducerID)
			w.int64(t.FirstOffset)
			w.noTags()
		}
	}
	if a.version >= 11 {
		w.int32(p.PreferredReadReplica)
	}
	w.count(a.size(p))
	cut = len(w.b)
	if !a.splice {
		w.b = append(w.b, p.Records...)
	}
	if w.flexible {
		p.appendTags(w)
	}
	return cut
}

func (p *FetchedPartition) appendTags(w *writer) {
	diverging, led := p.DivergingEpoch != -1, p.LeaderEpoch != -1
	elsewhere := p.SnapshotEndOffset != 0
	tags := uint32(0)
	for _, there := range [...]bool{diverging, led, elsewhere} {
		if there {
			tags++
		}
	}
	w.uvarint(tags)
	if diverging { // KIP-595
		w.tag(0, 4+8+1)
		w.int32(p.DivergingEpoch)
		w.int64(p.DivergingEndOffset)
		w.noTags()
	}
	if led { // KIP-951
		w.currentLeader(1, p.LeaderID, p.LeaderEpoch)
	}
	if elsewhere { // KIP-630
		w.tag(2, 8+4+1)
		w.int64(p.SnapshotEndOffset)
		w.int32(p.SnapshotEpoch)
		w.noTags()
	}
}
