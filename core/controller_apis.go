package core

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/controller"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/wire"
)

// What the active controller serves. It decides, the decision is committed to the metadata
// log, and then it is answered. Requests come in three ways: from clients and brokers on a
// listener of controllers, from clients at another listener, which this node forwards
// (see forward.go), and from this node's own broker.

// dispatchController serves a request that came on a listener of controllers (KIP-919).
// Unlike a broker such a listener works before the node's broker does.
func (b *Broker) dispatchController(c *call, request wire.Request) {
	switch req := request.(type) {
	case *kmsg.ApiVersionsRequest:
		b.apiVersions(c, req)
	case *kmsg.DescribeConfigsRequest, *kmsg.DescribeClusterRequest:
		b.answerFromImage(c, request)
	case *wire.FetchRequest:
		b.fetchMetadata(c, req)
	case *kmsg.FetchSnapshotRequest:
		b.fetchSnapshot(c, req)
	case kmsg.Request:
		if b.controller == nil {
			b.answer(c, refusal(req, errcode.NotController))
			return
		}
		b.decideFor(req, &relay{call: c.ref(), request: req})
	default:
		b.refuse(c, errcode.UnsupportedVersion, "unsupported api")
	}
}

// decideFor has the active controller decide about a request, and tells who of the answer.
func (b *Broker) decideFor(request kmsg.Request, who asked) {
	switch req := request.(type) {
	case *kmsg.AddRaftVoterRequest:
		b.addVoter(req, who)
	case *kmsg.RemoveRaftVoterRequest:
		b.removeVoter(req, who)
	default:
		records, resp := b.decide(req)
		b.commit(commit{records: records, body: resp, who: who})
	}
	b.armController()
}

// decide has the active controller decide about a request.
func (b *Broker) decide(request kmsg.Request) ([]metadata.Record, wire.Response) {
	switch req := request.(type) {
	case *kmsg.CreateTopicsRequest:
		return decided(b.controller.CreateTopics(req, b.random.uuid, b.rotation()))
	case *kmsg.DeleteTopicsRequest:
		return decided(b.controller.DeleteTopics(req))
	case *kmsg.CreatePartitionsRequest:
		return decided(b.controller.CreatePartitions(req, b.rotation()))
	case *kmsg.AlterConfigsRequest:
		return decided(b.controller.AlterConfigs(req))
	case *kmsg.IncrementalAlterConfigsRequest:
		return decided(b.controller.IncrementalAlterConfigs(req))
	case *kmsg.DescribeQuorumRequest:
		return nil, b.describeQuorum(req)
	case *kmsg.UpdateFeaturesRequest:
		return decided(b.controller.UpdateFeatures(req))
	default:
		return b.decidePlacement(request)
	}
}

// decidePlacement decides about brokers, and about which of them have what.
func (b *Broker) decidePlacement(request kmsg.Request) ([]metadata.Record, wire.Response) {
	switch req := request.(type) {
	case *kmsg.BrokerRegistrationRequest:
		return decided(b.controller.BrokerRegistration(b.now.Mono, req))
	case *kmsg.BrokerHeartbeatRequest:
		return decided(b.controller.BrokerHeartbeat(b.now.Mono, req))
	case *kmsg.UnregisterBrokerRequest:
		return decided(b.controller.UnregisterBroker(req))
	case *kmsg.AlterPartitionRequest:
		return decided(b.controller.AlterPartition(req))
	case *kmsg.AssignReplicasToDirsRequest:
		return decided(b.controller.AssignReplicasToDirs(req))
	case *kmsg.AllocateProducerIDsRequest:
		return decided(b.controller.AllocateProducerIDs(req))
	case *kmsg.ElectLeadersRequest:
		return decided(b.controller.ElectLeaders(req))
	case *kmsg.AlterPartitionAssignmentsRequest:
		return decided(b.controller.AlterPartitionReassignments(req))
	case *kmsg.ListPartitionReassignmentsRequest:
		// Like any answer it waits until what it speaks of is committed.
		return nil, controller.ListPartitionReassignments(b.controller.Image(), req)
	default:
		invariant.Fail("the controller does not decide about a %T", request)
		return nil, nil
	}
}

func decided[R any](d controller.Result[R]) ([]metadata.Record, wire.Response) {
	return d.Records, d.Response
}

// rotation is where the placement of replicas begins.
func (b *Broker) rotation() uint32 { return uint32(b.random.uint64()) }

// armController asks for the controller to be looked at when it wants to be. Whatever
// may bring that forward calls it.
func (b *Broker) armController() {
	if b.controller == nil || b.phase > running {
		return
	}
	if at := b.controller.Deadline(); at < b.controllerArmed {
		b.controllerArmed = at
		b.deadlines.push(deadline{at: at, kind: controllerDeadline})
	}
}

// tickController has the controller do what is due: fence brokers that are not heard of,
// and hold elections.
func (b *Broker) tickController() {
	b.controllerArmed = clock.Never
	for b.controller != nil && b.phase <= running && b.controller.Deadline() <= b.now.Mono {
		d := b.controller.Tick(b.now.Mono)
		if len(d.Records) > 0 {
			b.commit(commit{records: d.Records})
		}
	}
	b.armController()
}
