// Package core is the broker as a function: (state, now, event) -> (state,
// effects). It never blocks, reads no clock, starts nothing and touches no file or
// socket. Drivers bring events and carry out effects; they decide nothing about
// Kafka. Start at Broker.Step, then read the file named after the API you are
// interested in.
package core

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/controller"
	"github.com/heiban/heiban/core/group"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/replica"
	"github.com/heiban/heiban/core/wire"
)

// Options is all that a broker needs to know before its first event.
type Options struct {
	// Properties are the static configuration, with the keys of Kafka's
	// server.properties.
	Properties map[string]string
	// ClusterID is taken when a log directory is formatted; an existing directory
	// keeps its own.
	ClusterID string
	// Listeners are what clients are told to connect to, for each listener by the name
	// that ConnOpened carries.
	Listeners []config.Endpoint
	// LogDirs are the paths of the log directories. The first one also holds the
	// metadata log.
	LogDirs []string
	Codec   batch.Codec
	// Seed feeds every random choice: ids of topics, directories and sessions.
	Seed     [2]uint64
	Settings log.Settings
	NodeID   int32
	// SmallLimits lifts Kafka's lower bounds of sizes, for simulation.
	SmallLimits bool
}

// Broker is one node's state. The zero value is of no use; call New. It is not safe
// for concurrent use: one driver steps it.
type Broker struct {
	options  Options
	base     *config.Broker // static configuration
	settings log.Settings
	replicas replica.Settings
	random   random

	// What this Step works on.
	now clock.Time
	fx  *Effects

	phase      phase
	dirs       []logDir
	image      *metadata.Image  // committed
	brokers    []replica.Broker // of image, for the roles of partitions
	controller *controller.Controller
	metalog    metalog

	conns     map[ConnID]*conn
	links     links
	topics    map[string]*topic
	topicIDs  map[wire.TopicID]*topic
	logs      map[log.ID]*partition
	jobs      map[log.OpID]jobOwner
	sessions  sessions
	producers producerIDs
	fetchers  map[int32]*fetcher // by the node they fetch from
	pumps     []*fetcher         // may have something to ask at the end of this Step
	isr       isrChanges
	asks      map[group.Call]*groupAsk // not answered yet
	creating  map[string]bool          // topics of coordinators
	deadlines deadlines
	calls     callPool
	ready     []*conn // have answers to send at the end of this Step

	life            life
	assignments     assignments
	inquiries       []*inquiry    // wait for an active controller
	inquiriesArmed  clock.Instant // when inquireAgain is due
	controllerArmed clock.Instant // when tickController is due

	removing map[string][]*partition // by path being renamed: who waits for the name
	removals []removal               // oldest first

	opening      int  // partitions whose logs are being recovered, while booting
	checkpointed bool // while booting
	closing      int  // partitions whose logs are being closed
	nextID       uint64
}

// phase is where a node is in its life.
type phase uint8

const (
	booting phase = iota // until its logs are open
	joining              // until the controller has unfenced the broker
	running
	closingLogs
	writingCheckpoints
	stopped
)

// New makes a broker that waits for its Started event. It fails on a bad
// configuration, naming the key.
func New(o Options) (*Broker, error) {
	properties := maps.Clone(o.Properties)
	if properties == nil {
		properties = map[string]string{}
	}
	properties["node.id"] = strconv.Itoa(int(o.NodeID))
	if o.SmallLimits {
		properties["heiban.internal.small.limits"] = "true"
	}
	base, _, err := config.Parse(properties)
	if err != nil {
		return nil, err
	}
	if len(o.Listeners) == 0 && slices.Contains(base.ProcessRoles, "broker") {
		return nil, fmt.Errorf("advertised.listeners: at least one listener is needed")
	}
	if len(o.LogDirs) == 0 {
		return nil, fmt.Errorf("log.dirs: at least one log directory is needed")
	}
	b := &Broker{
		options:  o,
		base:     base,
		settings: o.Settings,
		random:   newRandom(o.Seed),
		conns:    map[ConnID]*conn{},
		topics:   map[string]*topic{},
		topicIDs: map[wire.TopicID]*topic{},
		logs:     map[log.ID]*partition{},
		jobs:     map[log.OpID]jobOwner{},
		removing: map[string][]*partition{},
		fetchers: map[int32]*fetcher{},
		asks:     map[group.Call]*groupAsk{},
		creating: map[string]bool{},
		isr:      isrChanges{armed: clock.Never},

		inquiriesArmed: clock.Never, controllerArmed: clock.Never,
	}
	b.life.epoch, b.life.armed = -1, clock.Never
	b.settings.ProducerExpirationMillis = base.ProducerIDExpirationMillis
	b.replicas = replica.Settings{
		NodeID: o.NodeID, ReplicaLagTimeMax: base.ReplicaLagTimeMax,
		ReplicaFetchBackoff: base.ReplicaFetchBackoff, Mutants: o.Settings.Mutants,
	}
	b.sessions.init(int(base.FetchSessionSlots))
	for _, path := range o.LogDirs {
		b.dirs = append(b.dirs, logDir{path: path})
	}
	return b, nil
}

// Step applies one event at instant now and fills fx, which it empties first, with
// what the driver must do. It never blocks and never fails: bad requests are
// answered, bad disks are events, and bugs panic.
func (b *Broker) Step(now clock.Time, ev Event, fx *Effects) {
	fx.Reset()
	b.now, b.fx = now, fx
	b.calls.recycle()
	switch ev := ev.(type) {
	case *Started:
		b.started()
	case *ConnOpened:
		b.connOpened(ev)
	case *ConnClosed:
		b.connClosed(ev)
	case *RequestArrived:
		b.requestArrived(ev)
	case *WriteDone:
		b.writeDone(ev)
	case *SyncDone:
		b.syncDone(ev)
	case *JobDone:
		b.jobDone(ev)
	case *LinkOpened:
		b.linkOpened(ev)
	case *LinkClosed:
		b.linkClosed(ev)
	case *ResponseArrived:
		b.responseArrived(ev)
	case *TimerFired:
	case *ShutdownRequested:
		b.shutdownRequested()
	}
	b.expire()
	b.flushAll()
	for b.pumpAll() {
		b.flushAll()
	}
	if b.fx.Stopped {
		b.hangUpAll()
	}
	b.fx = nil
}

// Image returns the committed metadata. It is immutable.
func (b *Broker) Image() *metadata.Image { return b.image }

// open reports whether the node's logs are open, and it does not stop.
func (b *Broker) open() bool { return b.phase == joining || b.phase == running }

// newID returns an id that was never used in this node's life.
func (b *Broker) newID() uint64 {
	b.nextID++
	return b.nextID
}

func (b *Broker) report(r Report) { b.fx.Reports = append(b.fx.Reports, r) }

// fatal ends the node: the driver must exit.
func (b *Broker) fatal(err error) {
	invariant.True(err != nil, "a fatal error has a cause")
	if b.fx.Fatal == nil {
		b.fx.Fatal = err
	}
}
