package wire

import "math"

// Raft, key 10000, version 0: a message from one voter of the metadata quorum to
// another. Kafka's replicas pull the metadata log with Fetch; these push it, so the
// message is none of Kafka's. It is not listed in ApiVersions responses and served only
// on the listeners of controllers.

// RaftKey is the key of the Raft API, far above Kafka's.
const RaftKey = 10_000

// raftAPI is served like those of the table.
var raftAPI = api{flexibleFrom: math.MaxInt16, on: OnController}

// RaftRequest carries a message of the metadata quorum. Parsed, it aliases the frame.
type RaftRequest struct {
	ClusterID string // of the sender: messages of another cluster are refused
	Message   []byte // what it says is for the quorum to know
	From      int32  // node id of the sender
}

// RaftResponse says that a message has arrived. It says nothing of what came of it.
type RaftResponse struct{}

// Parse reads the body of a request, and sets every field. The cluster id and the
// message alias body. An error is an *Error.
//
//	. clusterId
//	4 from
//	. message
func (r *RaftRequest) Parse(version int16, body []byte) error {
	if !Supported(RaftKey, version) {
		return &Error{Reason: APIVersionUnsupported, Key: RaftKey, Version: version}
	}
	b := reader{b: body}
	*r = RaftRequest{ClusterID: b.string(), From: b.int32(), Message: b.nullBytes()}
	if !b.end() || r.Message == nil || r.From < 0 {
		*r = RaftRequest{}
		return &Error{Reason: RequestMalformed, Key: RaftKey, Version: version}
	}
	return nil
}

func (r *RaftRequest) append(w *writer) {
	w.string(r.ClusterID)
	w.int32(r.From)
	w.count(len(r.Message))
	w.b = append(w.b, r.Message...)
}
