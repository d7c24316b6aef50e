package controller

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

// BrokerHeartbeat (63), versions 0 and 1: KIP-631, offline log directories (KIP-858).

// brokerState is where a broker is in its life.
type brokerState uint8

const (
	stateFenced brokerState = iota
	stateUnfenced
	stateControlledShutdown // its leaderships move, and it is in sync nowhere (KIP-841)
	stateShutdownNow        // fenced, and told to stop
)

// BrokerHeartbeat decides about the heartbeat of a broker: whether it is fenced, and
// whether it may stop. Any heartbeat of the broker's present life keeps its session.
func (c *Controller) BrokerHeartbeat(
	now clock.Instant, req *kmsg.BrokerHeartbeatRequest,
) Result[*kmsg.BrokerHeartbeatResponse] {
	resp := req.ResponseKind().(*kmsg.BrokerHeartbeatResponse)
	out := Result[*kmsg.BrokerHeartbeatResponse]{Response: resp}
	b := c.image.Broker(req.BrokerID)
	if b == nil || b.Epoch != req.BrokerEpoch {
		resp.ErrorCode = int16(errcode.StaleBrokerEpoch)
		return out
	}
	dirs := slices.DeleteFunc(slices.Clone(b.LogDirs), func(dir metadata.ID) bool {
		return slices.Contains(req.OfflineLogDirs, dir)
	})
	current := stateOf(b)
	next := c.nextState(b, req, len(dirs) == 0 && len(b.LogDirs) > 0)
	out.Records = c.move(b, current, next, dirs)
	s := c.contact(b.ID, b.Epoch, now, req.CurrentMetadataOffset)
	switch {
	case next == stateControlledShutdown && s.shutdownOffset < 0:
		s.shutdownOffset = c.image.Offset() + int64(len(out.Records))
	case next != stateControlledShutdown:
		s.shutdownOffset = -1
	}
	resp.IsCaughtUp = req.CurrentMetadataOffset >= b.Epoch
	resp.IsFenced = next == stateFenced || next == stateShutdownNow
	resp.ShouldShutdown = next == stateShutdownNow
	return out
}

func stateOf(b *metadata.Broker) brokerState {
	switch {
	case b.Fenced:
		return stateFenced
	case b.InControlledShutdown:
		return stateControlledShutdown
	}
	return stateUnfenced
}

// nextState returns what becomes of a broker after a heartbeat. Without any log
// directory it is as if it wanted to be fenced.
func (c *Controller) nextState(
	b *metadata.Broker, req *kmsg.BrokerHeartbeatRequest, noDirs bool,
) brokerState {
	wantFence := req.WantFence || noDirs
	switch current := stateOf(b); {
	case current == stateFenced && req.WantShutdown:
		return stateShutdownNow
	case current == stateFenced:
		// A broker that has not read its registration yet would act on what its
		// earlier life was told. The epoch is the offset of that record.
		if !wantFence && req.CurrentMetadataOffset >= b.Epoch {
			return stateUnfenced
		}
		return stateFenced
	case current == stateUnfenced && wantFence && req.WantShutdown:
		return stateShutdownNow
	case current == stateUnfenced && wantFence:
		return stateFenced
	case current == stateUnfenced && !req.WantShutdown:
		return stateUnfenced
	case c.leads(b.ID):
		return stateControlledShutdown
	case current == stateUnfenced:
		return stateShutdownNow
	}
	// The others must have learned who leads in its place, or clients would be sent
	// to a broker that has stopped.
	if s := c.sessionOf(b); s != nil && s.shutdownOffset <= c.lowestActiveOffset() {
		return stateShutdownNow
	}
	return stateControlledShutdown
}

// move returns the records that bring a broker from one state to another, with the log
// directories that it has left.
func (c *Controller) move(
	b *metadata.Broker, from, to brokerState, dirs []metadata.ID,
) []metadata.Record {
	if to == stateShutdownNow {
		to = stateFenced
	}
	if to == stateFenced && from != stateFenced {
		return c.fence(b, dirs)
	}
	u := upheaval{broker: b.ID, dirs: dirs}
	changed := metadata.BrokerRegistrationChangeRecord{
		BrokerID: b.ID, BrokerEpoch: b.Epoch, LogDirs: newDirs(b, dirs),
	}
	switch {
	case from == to && len(changed.LogDirs) == 0:
		return nil
	case from == to:
	case to == stateUnfenced:
		changed.Fenced, u.returns = -1, true
	case to == stateControlledShutdown:
		changed.InControlledShutdown, u.leaves = 1, true
	}
	return append([]metadata.Record{&changed}, c.follow(&u)...)
}
