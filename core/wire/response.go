package wire

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
)

// ParseResponse reads a whole frame, without its size prefix, that answers the request
// with header h. Any error is an *Error, and means that the connection must be closed.
//
// A *FetchResponse aliases frame; use its Parse method to avoid the allocation of a new
// one. Of any other response only the fields of type []byte do.
func ParseResponse(h *Header, frame []byte) (correlationID int32, resp Response, err error) {
	correlationID, body, err := ParseResponseHeader(h, frame)
	if err != nil {
		return 0, nil, err
	}
	switch h.Key {
	case apiKeyFetch:
		r := new(FetchResponse)
		if err := r.Parse(h.Version, body); err != nil {
			return 0, nil, err
		}
		return correlationID, r, nil
	case RaftKey:
		if len(body) > 0 {
			return 0, nil, malformedResponse(h)
		}
		return correlationID, &RaftResponse{}, nil
	}
	r := kmsg.ResponseForKey(h.Key)
	if r == nil {
		return 0, nil, &Error{Reason: APIUnknown, Key: h.Key, Version: h.Version}
	}
	r.SetVersion(h.Version)
	if r.ReadFrom(body) != nil {
		return 0, nil, malformedResponse(h)
	}
	return correlationID, r, nil
}

func malformedResponse(h *Header) error {
	return &Error{Reason: ResponseMalformed, Key: h.Key, Version: h.Version}
}

// ParseResponseHeader reads the header of a frame, without its size prefix, that answers
// the request with header h, and returns the body, which aliases frame.
func ParseResponseHeader(h *Header, frame []byte) (correlationID int32, body []byte, err error) {
	r := reader{b: frame}
	correlationID = r.int32()
	switch a := apiOf(h.Key); {
	case h.Key == apiKeyAPIVersions: // its header never is
	case a != nil:
		r.flexible = h.Version >= a.flexibleFrom
	default: // not served here
		k := kmsg.ResponseForKey(h.Key)
		if k == nil {
			return 0, nil, &Error{Reason: APIUnknown, Key: h.Key, Version: h.Version}
		}
		k.SetVersion(h.Version)
		r.flexible = k.IsFlexible()
	}
	r.skipTags()
	if r.bad {
		return 0, nil, malformedResponse(h)
	}
	return correlationID, r.b, nil
}

// Parse reads the body of a response to a request of the given version, in the layout
// that fetchAppender shows. It reuses r's slices and sets every field; Slice and Range
// stay empty. Strings and records alias body, so they hold for as long as its owner
// leaves the bytes alone. An error is an *Error.
func (r *FetchResponse) Parse(version int16, body []byte) error {
	if !Supported(apiKeyFetch, version) {
		return &Error{Reason: APIVersionUnsupported, Key: apiKeyFetch, Version: version}
	}
	b := reader{b: body, flexible: version >= fetchFlexibleFrom}
	*r = FetchResponse{Partitions: r.Partitions[:0], NodeEndpoints: r.NodeEndpoints[:0]}
	r.ThrottleMillis = b.int32()
	if version >= 7 {
		r.Err = errcode.Code(b.int16())
		r.SessionID = b.int32()
	}
	topics := b.count(topicBytesMin)
	for run := 0; run < topics && !b.bad; run++ {
		r.parseTopic(&b, int32(run), version)
	}
	for n := b.tagCount(); n > 0; n-- {
		if key, field := b.tag(); key == 0 && version >= 16 {
			r.NodeEndpoints = field.nodeEndpoints(r.NodeEndpoints)
			b.endTag(&field)
		}
	}
	if !b.end() {
		return &Error{Reason: ResponseMalformed, Key: apiKeyFetch, Version: version}
	}
	return nil
}

func (r *FetchResponse) parseTopic(b *reader, run int32, version int16) {
	topic, topicID := b.topic(version >= fetchTopicIDsFrom)
	const partitionBytesMin = 4 + 2 + 8 + 8 + 1 + 1 // index to lastStableOffset, and two lengths
	for n := b.count(partitionBytesMin); n > 0 && !b.bad; n-- {
		if len(r.Partitions) < cap(r.Partitions) { // with its slices
			r.Partitions = r.Partitions[:len(r.Partitions)+1]
		} else {
			r.Partitions = append(r.Partitions, FetchedPartition{})
		}
		p := &r.Partitions[len(r.Partitions)-1]
		p.parse(b, version)
		p.Topic, p.TopicID, p.TopicRun = topic, topicID, run
	}
	b.skipTags()
}

func (p *FetchedPartition) parse(b *reader, version int16) {
	*p = FetchedPartition{
		Aborted: p.Aborted[:0], Prepared: p.Prepared, LogStartOffset: -1, PreferredReadReplica: -1,
		DivergingEpoch: -1, DivergingEndOffset: -1, LeaderID: -1, LeaderEpoch: -1,
	}
	p.Partition = b.int32()
	p.Err = errcode.Code(b.int16())
	p.HighWatermark = b.int64()
	p.LastStableOffset = b.int64()
	if version >= 5 {
		p.LogStartOffset = b.int64()
	}
	p.parseAborted(b)
	if version >= 11 {
		p.PreferredReadReplica = b.int32()
	}
	p.Records = b.nullBytes()
	for n := b.tagCount(); n > 0; n-- {
		key, field := b.tag()
		switch {
		case key == 0 && version >= fetchFlexibleFrom: // KIP-595
			p.DivergingEpoch = field.int32()
			p.DivergingEndOffset = field.int64()
		case key == 1 && version >= fetchFlexibleFrom: // KIP-951
			p.LeaderID = field.int32()
			p.LeaderEpoch = field.int32()
		case key == 2 && version >= fetchFlexibleFrom: // KIP-630
			p.SnapshotEndOffset = max(0, field.int64())
			p.SnapshotEpoch = field.int32()
		default:
			continue
		}
		field.skipTags()
		b.endTag(&field)
	}
}

func (p *FetchedPartition) parseAborted(b *reader) {
	const abortedBytes = 8 + 8
	n := b.wideLength()
	if n < 0 {
		p.NullAborted = true
		return
	}
	if n > len(b.b)/abortedBytes {
		b.fail()
		return
	}
	for ; n > 0 && !b.bad; n-- {
		p.Aborted = append(p.Aborted,
			AbortedTransaction{ProducerID: b.int64(), FirstOffset: b.int64()})
		b.skipTags()
	}
}

// nodeEndpoints takes what the writer of that name wrote, without its tag.
func (r *reader) nodeEndpoints(to []NodeEndpoint) []NodeEndpoint {
	const endpointBytesMin = 4 + 1 + 4 + 1 + 1
	for n := r.count(endpointBytesMin); n > 0 && !r.bad; n-- {
		e := NodeEndpoint{ID: r.int32(), Host: r.string(), Port: r.int32()}
		e.Rack, _ = r.nullString()
		r.skipTags()
		to = append(to, e)
	}
	return to
}
