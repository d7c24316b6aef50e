package controller

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/mutant"
)

// BrokerRegistration (62), versions 0 to 4: KIP-631, log directories (KIP-858), the
// epoch of the broker's previous life (KIP-966).

// BrokerRegistration decides about the registration of a broker that has started. It
// begins a new life, fenced, and in sync nowhere, unless the request repeats one that
// was accepted.
func (c *Controller) BrokerRegistration(
	now clock.Instant, req *kmsg.BrokerRegistrationRequest,
) Result[*kmsg.BrokerRegistrationResponse] {
	resp := req.ResponseKind().(*kmsg.BrokerRegistrationResponse)
	out := Result[*kmsg.BrokerRegistrationResponse]{Response: resp}
	resp.BrokerEpoch = -1
	if f := c.checkRegistration(now, req); f != nil {
		resp.ErrorCode = int16(f.code)
		return out
	}
	rec := registerRecord(req)
	old := c.image.Broker(req.BrokerID)
	if old != nil && old.Incarnation == req.IncarnationID {
		rec.BrokerEpoch, rec.Fenced = old.Epoch, old.Fenced
		rec.InControlledShutdown = old.InControlledShutdown
	} else {
		// As in Kafka, the epoch is the offset of the record itself.
		rec.BrokerEpoch, rec.Fenced = c.image.Offset()+1, true
		invariant.True(old == nil || rec.BrokerEpoch > old.Epoch, "broker epochs rise")
	}
	out.Records = append([]metadata.Record{rec}, c.follow(c.arrival(req, old))...)
	resp.BrokerEpoch = rec.BrokerEpoch
	c.contact(rec.BrokerID, rec.BrokerEpoch, now, -1)
	return out
}

// arrival returns what a registration means for the partitions. A broker that proves
// that it stopped in order after its previous life has all it had; one that cannot may
// have lost the tail of its logs, and with it what was committed.
func (c *Controller) arrival(
	req *kmsg.BrokerRegistrationRequest, old *metadata.Broker,
) *upheaval {
	u := &upheaval{broker: req.BrokerID, dirs: req.LogDirs}
	if old != nil && old.Incarnation == req.IncarnationID {
		return u // only a directory that it does not have any more matters
	}
	const previousEpochFrom = 3
	clean := req.Version >= previousEpochFrom && old != nil && req.PreviousBrokerEpoch == old.Epoch
	if !clean && c.options.Mutants.On(mutant.E1UncleanStaysEligible) {
		clean = true
	}
	u.leaves, u.lost = true, !clean
	return u
}

func registerRecord(req *kmsg.BrokerRegistrationRequest) *metadata.RegisterBrokerRecord {
	rec := &metadata.RegisterBrokerRecord{
		BrokerID: req.BrokerID, IncarnationID: req.IncarnationID, Rack: req.Rack,
		LogDirs: req.LogDirs,
	}
	for i := range req.Listeners {
		l := &req.Listeners[i]
		rec.EndPoints = append(rec.EndPoints, metadata.BrokerEndpoint{
			Name: l.Name, Host: l.Host, Port: l.Port, SecurityProtocol: l.SecurityProtocol,
		})
	}
	for i := range req.Features {
		f := &req.Features[i]
		rec.Features = append(rec.Features, metadata.BrokerFeature{
			Name: f.Name, MinSupportedVersion: f.MinSupportedVersion,
			MaxSupportedVersion: f.MaxSupportedVersion,
		})
	}
	return rec
}

func (c *Controller) checkRegistration(
	now clock.Instant, req *kmsg.BrokerRegistrationRequest,
) *failure {
	if req.ClusterID != c.options.ClusterID {
		return fail(errcode.InconsistentClusterID, "the broker is of cluster "+req.ClusterID)
	}
	if req.BrokerID < 0 {
		return fail(errcode.InvalidRequest, "the id of a broker cannot be negative")
	}
	old := c.image.Broker(req.BrokerID)
	// What is in controlled shutdown has given up its leaderships and may come back.
	if old != nil && old.Incarnation != req.IncarnationID && !old.InControlledShutdown &&
		c.heard(old, now) {
		return fail(errcode.DuplicateBrokerRegistration, "another broker has the same id")
	}
	if req.IsMigratingZkBroker {
		return fail(errcode.BrokerIDNotRegistered, "brokers do not come from ZooKeeper")
	}
	if f := c.checkDirectories(req); f != nil {
		return f
	}
	return c.checkBrokerFeatures(req)
}

func (c *Controller) checkDirectories(req *kmsg.BrokerRegistrationRequest) *failure {
	if len(req.LogDirs) == 0 {
		return fail(errcode.InvalidRegistration, "the broker has no log directories")
	}
	for i, dir := range req.LogDirs {
		if isReserved(dir) {
			return fail(errcode.InvalidRegistration, "a log directory has a reserved id")
		}
		if slices.Contains(req.LogDirs[:i], dir) {
			return fail(errcode.InvalidRegistration, "two log directories have the same id")
		}
		for _, b := range c.image.Brokers() {
			if b.ID != req.BrokerID && slices.Contains(b.LogDirs, dir) {
				return fail(errcode.InvalidRegistration,
					fmt.Sprintf("broker %d has a log directory of the same id", b.ID))
			}
		}
	}
	return nil
}

// checkBrokerFeatures returns a failure unless the broker supports the levels that the
// cluster uses. A broker understands only level 0 of a feature that it does not name.
func (c *Controller) checkBrokerFeatures(req *kmsg.BrokerRegistrationRequest) *failure {
	for i := range req.Features {
		f := &req.Features[i]
		level := c.image.Feature(f.Name)
		// No cluster is without a metadata version once it has begun.
		unset := level == 0 && f.Name == metadata.MetadataVersion
		if !unset && (level < f.MinSupportedVersion || level > f.MaxSupportedVersion) {
			return unsupportedFeature(f.Name, level)
		}
	}
	for _, used := range c.image.Features() {
		named := slices.ContainsFunc(req.Features,
			func(f kmsg.BrokerRegistrationRequestFeature) bool { return f.Name == used.Name })
		if !named {
			return unsupportedFeature(used.Name, used.Level)
		}
	}
	return nil
}

func unsupportedFeature(name string, level int16) *failure {
	return fail(errcode.UnsupportedVersion,
		fmt.Sprintf("the broker does not support level %d of %s", level, name))
}

// UnregisterBroker (64), version 0: KIP-631.

// UnregisterBroker decides to forget a broker. Its replicas stay assigned to it.
func (c *Controller) UnregisterBroker(
	req *kmsg.UnregisterBrokerRequest,
) Result[*kmsg.UnregisterBrokerResponse] {
	resp := req.ResponseKind().(*kmsg.UnregisterBrokerResponse)
	out := Result[*kmsg.UnregisterBrokerResponse]{Response: resp}
	b := c.image.Broker(req.BrokerID)
	if b == nil {
		resp.ErrorCode, resp.ErrorMessage = fail(errcode.BrokerIDNotRegistered,
			fmt.Sprintf("broker %d is not registered", req.BrokerID)).codes()
		return out
	}
	records := c.follow(&upheaval{broker: b.ID, dirs: b.LogDirs, leaves: true})
	out.Records = append(records,
		&metadata.UnregisterBrokerRecord{BrokerID: b.ID, BrokerEpoch: b.Epoch})
	return out
}
