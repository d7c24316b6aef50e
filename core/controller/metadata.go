package controller

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

// Metadata (3), versions 0 to 13: topic ids (KIP-516), rebootstrap (KIP-1102).

// View is from where a client looks at the cluster.
type View struct {
	Listener   string // the name of the listener the request came in on
	ClusterID  string
	Controller int32 // the node that clients are to send controller requests to
	// OnController says that the listener is one of controllers, and Voters who else has
	// one (KIP-919).
	OnController bool
	Voters       []config.Voter
}

// What the fields for authorized operations hold (KIP-430). Without an authorizer
// everything that a resource supports is authorized.
const (
	notRequested int32 = -1 << 31
	// READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS.
	topicOperations int32 = 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<11
	// CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS,
	// IDEMPOTENT_WRITE.
	clusterOperations int32 = 1<<5 | 1<<7 | 1<<8 | 1<<9 | 1<<10 | 1<<11 | 1<<12
)

func operations(requested bool, all int32) int32 {
	if requested {
		return all
	}
	return notRequested
}

// Metadata answers a Metadata request from an image. The second result holds the
// names of topics that do not exist and that the request wants created; they stand
// in the answer as UNKNOWN_TOPIC_OR_PARTITION. It reads only the image and may run
// in any goroutine.
func Metadata(
	m *metadata.Image, req *kmsg.MetadataRequest, v View,
) (*kmsg.MetadataResponse, []string) {
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	resp.ClusterID = &v.ClusterID
	resp.ControllerID = v.Controller
	resp.AuthorizedOperations = operations(
		req.IncludeClusterAuthorizedOperations && req.Version >= 8 && req.Version <= 10,
		clusterOperations)
	for _, b := range m.Brokers() {
		e := b.Endpoint(v.Listener)
		if b.Fenced || e == nil {
			continue
		}
		out := kmsg.NewMetadataResponseBroker()
		out.NodeID, out.Host, out.Port, out.Rack = b.ID, e.Host, int32(e.Port), b.Rack
		resp.Brokers = append(resp.Brokers, out)
	}
	a := topicAnswers{m: m, req: req, view: v}
	if req.Topics == nil || req.Version == 0 && len(req.Topics) == 0 {
		resp.Topics = make([]kmsg.MetadataResponseTopic, 0, m.TopicCount())
		for t := range m.Topics() {
			resp.Topics = append(resp.Topics, a.topic(t))
		}
		return resp, nil
	}
	resp.Topics = make([]kmsg.MetadataResponseTopic, 0, len(req.Topics))
	seen := make(map[topicKey]bool, len(req.Topics))
	for i := range req.Topics {
		key, out := a.asked(&req.Topics[i])
		if !seen[key] {
			seen[key] = true
			resp.Topics = append(resp.Topics, out)
		}
	}
	return resp, a.missing
}

// topicAnswers makes the topics of one Metadata response.
type topicAnswers struct {
	m       *metadata.Image
	req     *kmsg.MetadataRequest
	missing []string
	view    View
}

// asked answers for one entry of the request, and returns which topic it names.
func (a *topicAnswers) asked(q *kmsg.MetadataRequestTopic) (topicKey, kmsg.MetadataResponseTopic) {
	out := kmsg.NewMetadataResponseTopic()
	out.Topic, out.TopicID = q.Topic, q.TopicID
	byID := q.TopicID != metadata.ID{}
	if a.req.Version < 12 && (byID || q.Topic == nil) {
		// Versions 10 and 11 have the field, yet no server accepts it.
		out.ErrorCode = int16(errcode.InvalidRequest)
		if q.Topic == nil {
			out.Topic = new(string)
		}
		return topicKey{id: q.TopicID, name: *out.Topic}, out
	}
	if byID {
		if t := a.m.TopicByID(q.TopicID); t != nil {
			return topicKey{id: t.ID}, a.topic(t)
		}
		out.Topic, out.ErrorCode = nil, int16(errcode.UnknownTopicID)
		return topicKey{id: q.TopicID}, out
	}
	if q.Topic == nil {
		out.ErrorCode = int16(errcode.InvalidRequest)
		return topicKey{}, out
	}
	name := *q.Topic
	if t := a.m.Topic(name); t != nil {
		return topicKey{id: t.ID}, a.topic(t)
	}
	out.ErrorCode = int16(errcode.UnknownTopicOrPartition)
	out.IsInternal = internal(name)
	if f := checkName(name); f != nil {
		out.ErrorCode = int16(f.code)
	} else if a.creates() && !slices.Contains(a.missing, name) {
		a.missing = append(a.missing, name)
	}
	return topicKey{name: name}, out
}

// creates reports whether topics that do not exist are to be created.
func (a *topicAnswers) creates() bool {
	wanted := a.req.AllowAutoTopicCreation || a.req.Version < 4
	return wanted && a.m.Config().AutoCreateTopicsEnable
}

func (a *topicAnswers) topic(t *metadata.Topic) kmsg.MetadataResponseTopic {
	out := kmsg.NewMetadataResponseTopic()
	out.Topic, out.TopicID = &t.Name, t.ID
	out.IsInternal = internal(t.Name)
	out.AuthorizedOperations = operations(
		a.req.IncludeTopicAuthorizedOperations && a.req.Version >= 8, topicOperations)
	out.Partitions = make([]kmsg.MetadataResponseTopicPartition, len(t.Partitions))
	for i := range t.Partitions {
		out.Partitions[i] = a.partition(int32(i), &t.Partitions[i])
	}
	return out
}

func (a *topicAnswers) partition(
	index int32, p *metadata.Partition,
) kmsg.MetadataResponseTopicPartition {
	out := kmsg.NewMetadataResponseTopicPartition()
	out.Partition, out.LeaderEpoch = index, p.LeaderEpoch
	out.Replicas, out.ISR = p.Replicas, p.ISR
	var code errcode.Code
	out.Leader, code = leaderOf(a.m, p, a.view.Listener)
	if code == errcode.ListenerNotFound && a.req.Version < 6 {
		code = errcode.LeaderNotAvailable
	}
	out.OfflineReplicas = offline(a.m, p, a.view.Listener)
	if a.req.Version == 0 && len(out.OfflineReplicas) > 0 {
		// The oldest clients connect to every replica, and are told not to.
		alive := func(ids []int32) []int32 {
			return slices.DeleteFunc(slices.Clone(ids), func(id int32) bool {
				return slices.Contains(out.OfflineReplicas, id)
			})
		}
		out.Replicas, out.ISR = alive(p.Replicas), alive(p.ISR)
		if code == errcode.None {
			code = errcode.ReplicaNotAvailable
		}
	}
	out.ErrorCode = int16(code)
	return out
}

// leaderOf returns the leader of a partition for a client on a listener, -1 if it
// cannot be reached.
func leaderOf(m *metadata.Image, p *metadata.Partition, listener string) (int32, errcode.Code) {
	if p.Leader < 0 {
		return -1, errcode.LeaderNotAvailable
	}
	b := m.Broker(p.Leader)
	switch {
	case b == nil || b.Fenced:
		return -1, errcode.LeaderNotAvailable
	case b.Endpoint(listener) == nil:
		return -1, errcode.ListenerNotFound
	}
	return p.Leader, errcode.None
}

// offline returns the replicas that a client on a listener cannot reach.
func offline(m *metadata.Image, p *metadata.Partition, listener string) []int32 {
	var out []int32
	for _, id := range p.Replicas {
		if b := m.Broker(id); b == nil || b.Fenced || b.Endpoint(listener) == nil {
			out = append(out, id)
		}
	}
	return out
}
