package core_test

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/wire"
)

func (s *script) listReassignments() (wire.Request, int16, int16) {
	return kmsg.NewPtrListPartitionReassignmentsRequest(), 46, 0
}

func (s *script) unregisterBroker() (wire.Request, int16, int16) {
	req := kmsg.NewPtrUnregisterBrokerRequest()
	req.BrokerID = int32(s.int("id", 1))
	return req, 64, 0
}

// updateFeatures brings the features of its lines to levels: NAME LEVEL.
func (s *script) updateFeatures() (wire.Request, int16, int16) {
	req := kmsg.NewPtrUpdateFeaturesRequest()
	for _, text := range s.lines {
		words := strings.Fields(text)
		u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		u.Feature, u.MaxVersionLevel = words[0], int16(s.int64(text, words[1]))
		u.UpgradeType = int8(s.int("kind", 1))
		req.FeatureUpdates = append(req.FeatureUpdates, u)
	}
	return req, 57, int16(s.int("version", 2))
}

// beat is the heartbeat of a broker that is not there.
func (s *script) beat() (wire.Request, int16, int16) {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.BrokerID, req.BrokerEpoch = int32(s.int("id", 9)), s.int("epoch", 0)
	req.CurrentMetadataOffset = 1 << 40
	return req, 63, 1
}

// register registers a broker that is not there.
func (s *script) register() (wire.Request, int16, int16) {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.BrokerID, req.ClusterID = int32(s.int("id", 9)), s.string("cluster", s.options.ClusterID)
	req.IncarnationID, req.LogDirs = [16]byte{9}, [][16]byte{{1: 9}}
	for _, level := range core.Levels() {
		f := kmsg.NewBrokerRegistrationRequestFeature()
		f.Name, f.MinSupportedVersion, f.MaxSupportedVersion = level.Name, level.Level, level.Level
		req.Features = append(req.Features, f)
	}
	return req, 62, 4
}

// placed prints the answers about brokers, and about where replicas are.
func (s *script) placed(r kmsg.Response, add func(string, ...any)) {
	switch r := r.(type) {
	case *kmsg.ListPartitionReassignmentsResponse:
		add("reassignments %s", errorOr(r.ErrorCode, ""))
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				add("  %s-%d replicas=%v adding=%v removing=%v", t.Topic, p.Partition, p.Replicas,
					p.AddingReplicas, p.RemovingReplicas)
			}
		}
	case *kmsg.UnregisterBrokerResponse:
		add("unregistered %s", errorOr(r.ErrorCode, ""))
	case *kmsg.UpdateFeaturesResponse:
		add("features %s", errorOr(r.ErrorCode, ""))
	case *kmsg.DescribeClusterResponse:
		add("controller=%d %s", r.ControllerID, errorOr(r.ErrorCode, ""))
		for _, b := range r.Brokers {
			add("  %d=%s:%d", b.NodeID, b.Host, b.Port)
		}
	default:
		s.ofQuorum(r, add)
	}
}
