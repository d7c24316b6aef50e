package controller

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

// ElectLeaders (43), versions 0 to 2: KIP-183, unclean elections (KIP-460).

// The kinds of elections that a client can ask for.
const (
	preferredElection int8 = 0
	uncleanElection   int8 = 1
)

// ElectLeaders decides about elections that an administrator wants. A request that
// names no topics is about all partitions; those that need no election are then left
// out of the answer.
func (c *Controller) ElectLeaders(
	req *kmsg.ElectLeadersRequest,
) Result[*kmsg.ElectLeadersResponse] {
	resp := req.ResponseKind().(*kmsg.ElectLeadersResponse)
	out := Result[*kmsg.ElectLeadersResponse]{Response: resp}
	var kind election
	switch {
	case req.Version == 0 || req.ElectionType == preferredElection:
		kind = preferred
	case req.ElectionType == uncleanElection:
		kind = unclean
	default:
		resp.ErrorCode = int16(errcode.InvalidRequest)
		return out
	}
	e := elections{c: c, kind: kind, seen: map[partitionKey]bool{}, all: req.Topics == nil}
	if e.all {
		for t := range c.image.Topics() {
			e.topic(resp, t.Name, t, everyIndex(t))
		}
	}
	for i := range req.Topics {
		q := &req.Topics[i]
		e.topic(resp, q.Topic, c.image.Topic(q.Topic), q.Partitions)
	}
	out.Records = e.records
	if len(e.records) > recordsMax {
		resp.ErrorCode, out.Records = int16(errcode.PolicyViolation), nil
		resp.Topics = nil
	}
	return out
}

func everyIndex(t *metadata.Topic) []int32 {
	all := make([]int32, len(t.Partitions))
	for i := range all {
		all[i] = int32(i)
	}
	return all
}

// elections are those of one request.
type elections struct {
	c       *Controller
	seen    map[partitionKey]bool
	records []metadata.Record
	kind    election
	all     bool
}

// topic decides about partitions of one topic, nil if there is none of the name.
func (e *elections) topic(
	resp *kmsg.ElectLeadersResponse, name string, t *metadata.Topic, partitions []int32,
) {
	out := kmsg.NewElectLeadersResponseTopic()
	out.Topic = name
	for _, index := range partitions {
		f := e.partition(name, t, index)
		if e.all && f != nil && f.code == errcode.ElectionNotNeeded {
			continue
		}
		answer := kmsg.NewElectLeadersResponseTopicPartition()
		answer.Partition = index
		answer.ErrorCode, answer.ErrorMessage = f.codes()
		out.Partitions = append(out.Partitions, answer)
	}
	if len(out.Partitions) > 0 || !e.all {
		resp.Topics = append(resp.Topics, out)
	}
}

func (e *elections) partition(name string, t *metadata.Topic, index int32) *failure {
	if t == nil || index < 0 || int(index) >= len(t.Partitions) {
		return fail(errcode.UnknownTopicOrPartition,
			fmt.Sprintf("there is no partition %d of topic %s", index, name))
	}
	key := partitionKey{t.ID, index}
	if e.seen[key] {
		return fail(errcode.InvalidRequest, "the request names the partition more than once")
	}
	e.seen[key] = true
	p := &t.Partitions[index]
	if e.kind == preferred && p.Leader == p.Replicas[0] || e.kind == unclean && p.Leader != noLeader {
		return fail(errcode.ElectionNotNeeded, "")
	}
	ch := e.c.changeOf(t, index, e.c.asIs())
	ch.election = e.kind
	r := ch.build()
	switch {
	case r != nil:
		e.records = append(e.records, r)
		return nil
	case e.kind == preferred:
		return fail(errcode.PreferredLeaderNotAvailable, "")
	}
	return fail(errcode.EligibleLeadersNotAvailable, "")
}

// electionsMax is how many elections one pass over all partitions holds at most.
const electionsMax = 1000 // kafka: QuorumController.MAX_ELECTIONS_PER_IMBALANCE

// Deadline returns when the controller next wants a Tick.
func (c *Controller) Deadline() clock.Instant {
	_, end := c.stalest()
	end = min(end, c.nextUnclean)
	if c.image.Config().AutoLeaderRebalanceEnable {
		end = min(end, c.nextBalance)
	}
	return end
}

// Tick decides about one thing that is due, and says which broker was fenced, -1 if
// none was. Its records must be replayed before the next Tick; there is more to do as
// long as the Deadline has passed.
//
// Of brokers whose sessions are over one is fenced at a time: what becomes of the
// second follows from what became of the first, and whoever is last in sync stays so.
func (c *Controller) Tick(now clock.Instant) Result[int32] {
	config := c.image.Config()
	switch b, end := c.stalest(); {
	case now >= end:
		return Result[int32]{Records: c.fence(b, b.LogDirs), Response: b.ID}
	case now >= c.nextUnclean:
		records := c.sweep(unclean)
		if len(records) < electionsMax {
			c.nextUnclean = now.Add(config.UncleanLeaderElectionCheckInterval)
		}
		return Result[int32]{Records: records, Response: noBroker}
	case config.AutoLeaderRebalanceEnable && now >= c.nextBalance:
		records := c.sweep(preferred)
		if len(records) < electionsMax {
			c.nextBalance = now.Add(config.LeaderImbalanceCheckInterval)
		}
		return Result[int32]{Records: records, Response: noBroker}
	}
	return Result[int32]{Response: noBroker}
}

// sweep holds elections of one kind wherever one is needed: preferred where the first
// replica does not lead, unclean where nobody leads and the topic allows it.
func (c *Controller) sweep(kind election) []metadata.Record {
	var records []metadata.Record
	alive := c.asIs()
	for t := range c.image.Topics() {
		if kind == unclean && !t.Config.UncleanLeaderElection {
			continue
		}
		for i := range t.Partitions {
			p := &t.Partitions[i]
			if kind == unclean && p.Leader != noLeader || p.Leader == p.Replicas[0] {
				continue
			}
			ch := c.changeOf(t, int32(i), alive)
			ch.election = kind
			if r := ch.build(); r != nil {
				records = append(records, r)
			}
			if len(records) == electionsMax {
				return records
			}
		}
	}
	return records
}
