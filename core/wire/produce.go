package wire

// Produce, key 0, versions 3 to 13. Version 9 is the first flexible one, version 8
// brings record errors (KIP-467), 10 the current leader (KIP-951), 13 topic ids
// (KIP-516).

const (
	produceFlexibleFrom = 9
	produceTopicIDsFrom = 13

	// topicBytesMin is the least a topic takes, in Produce and Fetch requests:
	// lengths of the name and of the partitions, and no tagged fields.
	topicBytesMin = 1 + 1 + 1
)

// Parse reads the body of a request. It reuses r's slices and sets every field, with
// those that Prepare fills in at zero. Strings and records alias body, so they hold
// for as long as its owner leaves the bytes alone. An error is an *Error.
//
//	. transactionalId (nullable)       per partition:
//	2 acks                               4 index
//	4 timeoutMs                          . records (nullable)
//	. topics:                            . tagged fields
//	    . name, or 16 topicId (v13+)
//	    . partitions
//	    . tagged fields
//	. tagged fields
func (r *ProduceRequest) Parse(version int16, body []byte) error {
	if !Supported(apiKeyProduce, version) {
		return &Error{Reason: APIVersionUnsupported, Key: apiKeyProduce, Version: version}
	}
	b := reader{b: body, flexible: version >= produceFlexibleFrom}
	*r = ProduceRequest{Partitions: r.Partitions[:0], Version: version}
	r.TransactionalID, r.HasTransactionalID = b.nullString()
	r.Acks = b.int16()
	r.TimeoutMillis = b.int32()
	topics := b.count(topicBytesMin)
	for run := 0; run < topics && !b.bad; run++ {
		r.parseTopic(&b, int32(run))
	}
	b.skipTags()
	if !b.end() {
		return &Error{Reason: RequestMalformed, Key: apiKeyProduce, Version: version}
	}
	return nil
}

func (r *ProduceRequest) parseTopic(b *reader, run int32) {
	topic, topicID := b.topic(r.Version >= produceTopicIDsFrom)
	const partitionBytesMin = 4 + 1 + 1 // index, no records, no tagged fields
	for n := b.count(partitionBytesMin); n > 0 && !b.bad; n-- {
		r.Partitions = append(r.Partitions, ProducePartition{})
		p := &r.Partitions[len(r.Partitions)-1]
		p.Topic = topic
		p.TopicID = topicID
		p.TopicRun = run
		p.Partition = b.int32()
		p.Records = b.nullBytes()
		b.skipTags()
	}
	b.skipTags()
}

// topic takes what names a topic: its id or its name, by the version.
func (r *reader) topic(byID bool) (name string, id TopicID) {
	if byID {
		return "", r.topicID()
	}
	return r.string(), TopicID{}
}

// append appends the body of a response.
//
//	. topics:                          per partition:
//	    . name, or 16 topicId (v13+)     4 index
//	    . partitions                     2 errorCode
//	    . tagged fields                  8 baseOffset
//	4 throttleTimeMs                     8 logAppendTimeMs
//	. tagged fields:                     8 logStartOffset (v5+)
//	    0 nodeEndpoints (v10+)           . recordErrors (v8+): 4 index, . message
//	                                     . errorMessage (v8+, nullable)
//	                                     . tagged fields: 0 currentLeader (v10+)
func (r *ProduceResponse) append(w *writer, version int16) {
	topics := 0
	for i := 0; i < len(r.Partitions); i = r.runEnd(i) {
		topics++
	}
	w.count(topics)
	for i := 0; i < len(r.Partitions); {
		end := r.runEnd(i)
		p := &r.Partitions[i]
		w.topic(version >= produceTopicIDsFrom, p.Topic, p.TopicID)
		w.count(end - i)
		for ; i < end; i++ {
			r.Partitions[i].append(w, version)
		}
		w.noTags()
	}
	w.int32(r.ThrottleMillis)
	if version >= 10 { // KIP-951
		w.nodeEndpoints(r.NodeEndpoints)
	} else {
		w.noTags()
	}
}

// runEnd is the end of the run of partitions of one topic that begins at i.
func (r *ProduceResponse) runEnd(i int) int {
	run := r.Partitions[i].TopicRun
	for i < len(r.Partitions) && r.Partitions[i].TopicRun == run {
		i++
	}
	return i
}

func (p *ProducedPartition) append(w *writer, version int16) {
	w.int32(p.Partition)
	w.int16(int16(p.Err))
	w.int64(p.BaseOffset)
	w.int64(p.LogAppendTime)
	if version >= 5 {
		w.int64(p.LogStartOffset)
	}
	if version >= 8 { // KIP-467
		w.count(len(p.RecordErrors))
		for i := range p.RecordErrors {
			w.int32(p.RecordErrors[i].Index)
			w.nullString(p.RecordErrors[i].Message)
			w.noTags()
		}
		w.nullString(p.ErrorMessage)
	}
	if version >= 10 && p.LeaderEpoch != -1 { // KIP-951
		w.uvarint(1)
		w.currentLeader(0, p.LeaderID, p.LeaderEpoch)
	} else {
		w.noTags()
	}
}

// topic appends what names a topic: its id or its name, by the version.
func (w *writer) topic(byID bool, name string, id TopicID) {
	if byID {
		w.topicID(id)
	} else {
		w.string(name)
	}
}
