package core

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/controller"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/wire"
)

// The broker's life as the controller sees it (KIP-631):
//
//  1. It registers, with a new incarnation id, and is fenced: it leads nothing.
//  2. When its image holds the registration it opens its logs, as the image says.
//  3. When they are open it asks to be unfenced. When its image says that it is, it
//     serves clients.
//  4. Its heartbeats keep its session. Without them it is fenced, and leads nothing,
//     until it is heard of again.
//  5. To stop, it asks until it leads nothing that another broker could lead, or there
//     is nobody left who could lead or decide about it.
//
// The active controller's own broker goes the same way, without a link. A node without the
// role of a broker does nothing of this: it is ready when it knows what is committed.

// A broker that gets no answer asks again after a while, which doubles each time.
const (
	lifeBackoff    = 100 * clock.Millisecond // kafka: BrokerLifecycleManager
	lifeBackoffMax = 2 * clock.Second
)

// shutdownPoll is how soon a broker that wants to stop asks again.
const shutdownPoll = 50 * clock.Millisecond // kafka: BrokerLifecycleManager

// shutdownMax is how long a broker that wants to stop asks at most.
const shutdownMax = 5 * 60 * clock.Second // kafka: BrokerServer

// life is where this node's broker is in its life.
type life struct {
	incarnation   wire.TopicID
	epoch         int64 // of the registration, -1 before the first
	previousEpoch int64 // of the life before, if its end was clean, or -1 (KIP-966)
	serial        uint64
	armed         clock.Instant // when lifeDue is due
	heard         clock.Instant // when a stop began, or was last answered
	stopBy        clock.Instant // when a stop waits no longer, unless an answer comes
	stopMax       clock.Instant // when it waits no longer at all
	failures      uint32        // messages without a good answer, in a row
	refusal       errcode.Code  // of the last registration
	registered    bool
	waiting       bool // for the answer to the message of the last serial
	urgent        bool // the next message is to follow at once
	stopping      bool // wants to stop
	opening       bool // its logs are being opened, or open
}

// beginLife registers the broker, once the image holds what was committed before.
func (b *Broker) beginLife() {
	l := &b.life
	l.incarnation = b.random.uuid()
	l.previousEpoch = b.cleanEpoch()
	b.contact()
}

// cleanEpoch is the broker epoch of the node's last life if all its directories say that
// it ended cleanly, or -1.
func (b *Broker) cleanEpoch() int64 {
	epoch := b.dirs[0].found.BrokerEpoch
	for i := range b.dirs {
		if found := b.dirs[i].found; !found.Clean || found.BrokerEpoch != epoch {
			return -1
		}
	}
	return epoch
}

// contact tells the controller of the broker: at once, or if a message is under way as
// soon as it is answered.
func (b *Broker) contact() {
	l := &b.life
	if b.phase > running {
		return
	}
	if l.waiting {
		l.urgent = true
		return
	}
	l.serial++
	l.waiting, l.urgent = true, false
	patience := b.contactTimeout()
	b.armLife(b.now.Mono.Add(patience))
	sign := &lifeSign{serial: l.serial}
	switch {
	case l.registered:
		b.askOnce(b.heartbeat(), patience, sign)
	case b.alone():
		b.registerAlone(sign)
	default:
		b.askOnce(b.registration(), patience, sign)
	}
}

// contactSoon is contact at the end of this Step, for who is in the middle of something.
func (b *Broker) contactSoon() {
	switch l := &b.life; {
	case !l.registered:
	case l.waiting:
		l.urgent = true
	default:
		b.armLife(b.now.Mono)
	}
}

// contactTimeout is how long an answer may take: two messages get lost before a session
// does. After each that was lost the next one has longer, since the way may be that slow.
func (b *Broker) contactTimeout() clock.Duration {
	patience := max(b.base.BrokerSessionTimeout/3, clock.Millisecond)
	return max(patience, min(patience<<min(b.life.failures, 8), b.base.RequestTimeout))
}

// lifeDue goes on after an interval, or gives up on an answer.
func (b *Broker) lifeDue() {
	l := &b.life
	l.armed = clock.Never
	switch {
	case b.phase > running:
	case l.stopping && b.now.Mono >= min(l.stopBy, l.stopMax):
		b.closeLogs()
	case l.waiting:
		l.waiting = false
		b.contactLater()
	default:
		b.contact()
	}
}

func (b *Broker) armLife(at clock.Instant) {
	l := &b.life
	if l.stopping {
		at = min(at, l.stopBy, l.stopMax)
	}
	l.armed = at
	b.deadlines.push(deadline{at: at, kind: lifeDeadline})
}

// lifeSign is a registration or a heartbeat on its way.
type lifeSign struct{ serial uint64 }

func (s *lifeSign) answered(b *Broker, resp wire.Response, _ error) {
	l := &b.life
	if s.serial != l.serial || !l.waiting || b.phase > running {
		return
	}
	l.waiting = false
	switch r := resp.(type) {
	case *kmsg.BrokerRegistrationResponse:
		b.registrationAnswered(r)
	case *kmsg.BrokerHeartbeatResponse:
		b.heartbeatAnswered(r)
	default:
		b.contactFailed()
	}
}

// contactFailed tries again later, unless a broker that wants to stop has nobody to ask.
func (b *Broker) contactFailed() {
	if b.life.stopping && b.nobodyDecides() {
		b.closeLogs()
		return
	}
	b.contactLater()
}

func (b *Broker) contactLater() {
	l := &b.life
	delay := min(lifeBackoff<<min(l.failures, 8), lifeBackoffMax)
	if l.stopping {
		delay = lifeBackoff
	}
	l.failures++
	b.armLife(b.now.Mono.Add(delay))
}

// nobodyDecides reports whether no controller answered for as long as an election takes:
// once, if most voters cannot be reached either, or else with its second and third try.
func (b *Broker) nobodyDecides() bool {
	elections := clock.Duration(3)
	if b.metalog.engine != nil && b.votersReached() <= len(b.base.QuorumVoters)/2 {
		elections = 1
	}
	return b.now.Mono >= b.life.heard.Add(elections*b.base.QuorumElectionTimeout)
}

// contactNext sends the next message after a delay, or at once if it is urgent.
func (b *Broker) contactNext(delay clock.Duration) {
	b.life.failures = 0
	if b.life.urgent {
		b.contact()
		return
	}
	b.armLife(b.now.Mono.Add(delay))
}

func (b *Broker) registration() *kmsg.BrokerRegistrationRequest {
	l := &b.life
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version = 4
	req.BrokerID, req.ClusterID = b.options.NodeID, b.dirs[0].found.ClusterID
	req.IncarnationID, req.PreviousBrokerEpoch = l.incarnation, l.previousEpoch
	if b.base.BrokerRack != "" {
		req.Rack = &b.base.BrokerRack
	}
	for _, e := range b.options.Listeners {
		one := kmsg.NewBrokerRegistrationRequestListener()
		one.Name, one.Host, one.Port = e.Name, e.Host, uint16(e.Port)
		one.SecurityProtocol = int16(e.Protocol)
		req.Listeners = append(req.Listeners, one)
	}
	for _, f := range understood(b.image) {
		one := kmsg.NewBrokerRegistrationRequestFeature()
		one.Name = f.Name
		one.MinSupportedVersion, one.MaxSupportedVersion = f.MinSupportedVersion, f.MaxSupportedVersion
		req.Features = append(req.Features, one)
	}
	for i := range b.dirs {
		if !b.dirs[i].offline {
			req.LogDirs = append(req.LogDirs, b.dirs[i].found.DirectoryID)
		}
	}
	return req
}

// understood are the features this broker can live with: those it serves, and those that
// a cluster of Kafka's was brought to before. What they stand for is not served.
func understood(m *metadata.Image) []metadata.BrokerFeature {
	features := supported()
	for _, f := range m.Features() {
		served := slices.ContainsFunc(features,
			func(s metadata.BrokerFeature) bool { return s.Name == f.Name })
		if !served {
			features = append(features,
				metadata.BrokerFeature{Name: f.Name, MaxSupportedVersion: f.Level})
		}
	}
	return features
}

// alone reports whether the node is all there is of its cluster.
func (b *Broker) alone() bool {
	others := func(m *metadata.Broker) bool { return m.ID != b.options.NodeID }
	return b.controller != nil && len(b.base.QuorumVoters) <= 1 &&
		!slices.ContainsFunc(b.controller.Image().Brokers(), others)
}

// registerAlone registers the only broker of a cluster, which leads as soon as it is
// there: to fence it would only keep its clients waiting.
func (b *Broker) registerAlone(who asked) {
	l := &b.life
	resp := kmsg.NewPtrBrokerRegistrationResponse()
	resp.BrokerEpoch = b.controller.Image().Offset() + 1
	records := b.controller.Register(&controller.Registration{
		ID: b.options.NodeID, Incarnation: l.incarnation, Rack: b.base.BrokerRack,
		Endpoints: b.options.Listeners, LogDirs: b.directoryIDs(), Clean: b.clean(),
		Features: understood(b.image),
	})
	b.commit(commit{records: records, body: resp, who: who})
}

func (b *Broker) registrationAnswered(r *kmsg.BrokerRegistrationResponse) {
	l := &b.life
	if code := errcode.Code(r.ErrorCode); code != errcode.None {
		if code != l.refusal { // else it was told before
			b.report(Report{
				Kind: RequestRefused, Err: code, Text: "the controller does not register the broker",
			})
		}
		l.refusal = code
		b.contactFailed()
		return
	}
	l.registered, l.refusal, l.epoch = true, errcode.None, r.BrokerEpoch
	l.urgent = true
	b.contactNext(0)
	b.imageFollowed()
}

// heartbeat is what the broker tells of itself. One that is alone is never fenced while
// its logs are opened.
func (b *Broker) heartbeat() *kmsg.BrokerHeartbeatRequest {
	l := &b.life
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.Version = 1
	req.BrokerID, req.BrokerEpoch = b.options.NodeID, l.epoch
	req.CurrentMetadataOffset = b.image.Offset()
	req.WantFence = b.phase == booting && !b.alone()
	req.WantShutdown = l.stopping
	for i := range b.dirs {
		if b.dirs[i].offline {
			req.OfflineLogDirs = append(req.OfflineLogDirs, b.dirs[i].found.DirectoryID)
		}
	}
	return req
}

func (b *Broker) heartbeatAnswered(r *kmsg.BrokerHeartbeatResponse) {
	l := &b.life
	switch code := errcode.Code(r.ErrorCode); {
	case code == errcode.StaleBrokerEpoch || code == errcode.BrokerIDNotRegistered:
		l.registered = false // somebody has unregistered it
		b.contactFailed()
	case code != errcode.None:
		b.contactFailed()
	case l.stopping && (r.ShouldShutdown || !b.hasPeers()):
		b.closeLogs()
	case l.stopping:
		l.heard, l.stopBy = b.now.Mono, b.now.Mono.Add(b.stopPatience())
		b.contactNext(shutdownPoll)
	default:
		b.contactNext(b.base.BrokerHeartbeatInterval)
		b.assign()
	}
}

// imageFollowed goes on with the broker's life when the image has changed.
func (b *Broker) imageFollowed() {
	l := &b.life
	if !l.registered {
		return
	}
	own := b.image.Broker(b.options.NodeID)
	if own == nil || own.Epoch != l.epoch {
		return
	}
	switch {
	case b.phase == booting && !l.opening:
		l.opening = true
		b.openAll()
	case b.phase == joining && !own.Fenced:
		b.run()
	}
}

// run begins to serve.
func (b *Broker) run() {
	b.phase = running
	b.report(Report{Kind: NodeReady, Text: strconv.Itoa(len(b.logs)-1) + " partitions"})
}

// logsOpen asks for the broker to be unfenced. A node that is none has nobody to ask.
func (b *Broker) logsOpen() {
	b.phase = joining
	b.armCheckpoints()
	b.followHeld()
	if !b.isBroker() {
		b.run()
		return
	}
	b.contact()
	b.imageFollowed()
}

// controllerChanged sends what waits for a controller to the one that is active now. It is
// called when activeController has another answer, and when this node has become active.
func (b *Broker) controllerChanged() {
	leader := b.activeController()
	for _, l := range b.links.all {
		if (l.kind == controllerLink || l.kind == forwardLink) && leader >= 0 && l.node != leader {
			b.hangUp(l)
		}
	}
	if leader < 0 {
		return
	}
	b.inquireAgain()
	if l := &b.life; l.waiting || l.failures > 0 { // what the last one was asked is lost
		l.waiting = false
		b.contact()
	}
	b.armController()
}

// stopBroker has the broker's leaderships moved before it stops. Where all others stop as
// well it only tells the controller so that they need not wait for it.
func (b *Broker) stopBroker() {
	l := &b.life
	if l.stopping || !b.base.ControlledShutdownEnable || !l.registered || !b.hasOthers() {
		b.closeLogs()
		return
	}
	l.stopping, l.heard = true, b.now.Mono
	l.stopBy = b.now.Mono.Add(b.stopPatience())
	l.stopMax = b.now.Mono.Add(shutdownMax)
	b.contact()
}

// stopPatience is how long a broker that wants to stop waits for an answer.
func (b *Broker) stopPatience() clock.Duration {
	return b.base.ControlledShutdownRetryBackoff * clock.Duration(b.base.ControlledShutdownMaxRetries)
}

// hasOthers reports whether any other broker may care whether this one stops.
func (b *Broker) hasOthers() bool {
	return slices.ContainsFunc(b.image.Brokers(), func(m *metadata.Broker) bool {
		return m.ID != b.options.NodeID && !m.Fenced
	})
}

// hasPeers reports whether any other broker may lead.
func (b *Broker) hasPeers() bool {
	return slices.ContainsFunc(b.image.Brokers(), func(m *metadata.Broker) bool {
		return m.ID != b.options.NodeID && m.Active()
	})
}
