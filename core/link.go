package core

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/wire"
)

// Delays between attempts to reach a node, doubled after each that came to nothing:
// what Kafka's clients have for reconnect.backoff.ms and reconnect.backoff.max.ms.
const (
	reconnectBackoff    = 50 * clock.Millisecond
	reconnectBackoffMax = clock.Second
)

// tellsMax is how many one-way messages may be under way on a link. More are dropped:
// the far node does not keep up.
const tellsMax = 256

// errLinkLost is what becomes of the requests of a link that is gone for no said reason.
var errLinkLost = errors.New("the link was lost")

// errHungUp is what becomes of the requests of a link that nobody needs any more.
var errHungUp = errors.New("the link was hung up")

// linkKind says what a link is for. Each has a connection of its own, so that what
// waits on one does not hold up the others.
type linkKind uint8

const (
	raftLink       linkKind = iota // to a voter, for the messages of the quorum
	controllerLink                 // to a voter, for what a broker tells the controller
	forwardLink                    // to a voter, for requests of clients
	fetchLink                      // to a broker, for replication
	linkKinds
)

// linkNames tells the far node, in the client id, what a link is for.
var linkNames = [linkKinds]string{"raft", "controller", "forward", "fetch"}

// links are the links to other nodes, in the order in which they were made.
type links struct {
	all  []*link
	byID map[LinkID]*link // those that are open or being opened
}

// link is the way to another node: one connection after another, and the requests that
// are to go over it.
type link struct {
	questions []question // oldest first: those that are sent, then those that wait
	clientID  string
	armed     clock.Instant // when expireLink will look at it
	redialAt  clock.Instant // the earliest instant of the next attempt
	id        LinkID        // of the connection, zero if there is none
	node      int32
	sent      int32  // how many of the questions are sent
	tells     int32  // how many of the questions are one-way
	dials     uint64 // how often it was dialled
	failures  uint32 // attempts since the last answer
	serial    int32  // correlation id of the last request
	kind      linkKind
	open      bool // the connection is: requests are sent at once
	wanted    bool // dial as soon as redialAt allows
}

// question is a request that is not answered yet.
type question struct {
	who         asked        // nil: nobody cares
	request     wire.Request // nil once it is sent
	deadline    clock.Instant
	correlation int32
}

// linkTo returns the link of a kind to another node, and has it dialled if it is down.
// The caller may keep it: a link is never replaced.
func (b *Broker) linkTo(kind linkKind, node int32) *link {
	invariant.True(node != b.options.NodeID, "a node has no link to itself")
	i := slices.IndexFunc(b.links.all, func(l *link) bool { return l.kind == kind && l.node == node })
	if i < 0 {
		i = len(b.links.all)
		b.links.all = append(b.links.all, &link{
			kind: kind, node: node, armed: clock.Never,
			clientID: fmt.Sprintf("broker-%d-%s", b.options.NodeID, linkNames[kind]),
		})
	}
	l := b.links.all[i]
	b.want(l)
	return l
}

// up reports whether requests are sent at once.
func (l *link) up() bool { return l.open }

// ask sends a request as soon as the link is up, which it has dialled, and tells who of
// the answer once ask has returned. The request has its version set and must not
// change before. One that is sent and not answered in time costs the link its
// connection, as in Kafka: answers come in order, so none would come after it.
func (b *Broker) ask(l *link, request wire.Request, timeout clock.Duration, who asked) {
	invariant.True(who != nil, "somebody waits for the answer")
	b.put(l, question{who: who, request: request, deadline: b.now.Mono.Add(timeout)})
}

// tell sends a request whose answer says nothing. It is dropped unless the link is up
// and the far node keeps up; the link is dialled then.
func (b *Broker) tell(l *link, request wire.Request) {
	if !l.open {
		b.want(l)
		return
	}
	if l.tells < tellsMax {
		l.tells++
		timeout := b.base.QuorumRequestTimeout
		b.put(l, question{request: request, deadline: b.now.Mono.Add(timeout)})
	}
}

// put takes a question in, and sends it if the link is up.
func (b *Broker) put(l *link, q question) {
	l.questions = append(l.questions, q)
	b.armLink(l, q.deadline)
	if l.open {
		b.sendNext(l)
		return
	}
	b.want(l)
}

// sendNext sends the oldest question that waits.
func (b *Broker) sendNext(l *link) {
	q := &l.questions[l.sent]
	l.serial++
	l.sent++
	q.correlation = l.serial
	key, version := wire.Identify(q.request)
	b.fx.Sends = append(b.fx.Sends, LinkRequest{
		Link: l.id, Body: q.request,
		Header: wire.Header{
			ClientID: l.clientID, CorrelationID: q.correlation, Key: key, Version: version,
		},
	})
	q.request = nil
}

// want has a link dialled that is down, now or when the last failure is long enough
// ago.
func (b *Broker) want(l *link) {
	if l.id != 0 {
		return
	}
	l.wanted = true
	if l.redialAt > b.now.Mono {
		b.armLink(l, l.redialAt)
		return
	}
	b.dial(l)
}

func (b *Broker) dial(l *link) {
	l.wanted = false
	l.dials++
	host, port, ok := b.addressOf(l)
	if !ok { // it may become known
		b.backOff(l)
		return
	}
	l.id = LinkID(b.newID())
	if b.links.byID == nil {
		b.links.byID = map[LinkID]*link{}
	}
	b.links.byID[l.id] = l
	b.fx.Dials = append(b.fx.Dials, Dial{Link: l.id, Node: l.node, Host: host, Port: port})
}

// addressOf is where a link leads. Voters are where the configuration says, brokers
// where their registration does.
func (b *Broker) addressOf(l *link) (host string, port int32, ok bool) {
	if l.kind != fetchLink {
		for _, v := range b.base.QuorumVoters {
			if v.ID == l.node {
				return v.Host, v.Port, true
			}
		}
		return "", 0, false
	}
	if b.image == nil {
		return "", 0, false
	}
	if broker := b.image.Broker(l.node); broker != nil {
		if e := broker.Endpoint(b.base.InterBrokerListenerName); e != nil {
			return e.Host, int32(e.Port), true
		}
	}
	return "", 0, false
}

// backOff puts the next attempt off, and goes for it if somebody waits.
func (b *Broker) backOff(l *link) {
	delay := min(reconnectBackoff<<min(l.failures, 16), reconnectBackoffMax)
	l.failures++
	random := b.keyed(uint64(l.kind+1)<<32|uint64(uint32(l.node)), l.dials)
	const jitterPercent = 20 // either way, as in Kafka
	delay += delay * (clock.Duration(random%(2*jitterPercent+1)) - jitterPercent) / 100
	l.redialAt = b.now.Mono.Add(delay)
	if len(l.questions) > 0 || l.wanted {
		b.want(l)
	}
}

func (b *Broker) linkOpened(ev *LinkOpened) {
	l := b.links.byID[ev.Link]
	if l == nil {
		return
	}
	l.open = true
	for int(l.sent) < len(l.questions) {
		b.sendNext(l)
	}
}

func (b *Broker) linkClosed(ev *LinkClosed) {
	if l := b.links.byID[ev.Link]; l != nil {
		b.lose(l, ev.Err)
	}
}

// lose ends a link's connection, which is gone or is being closed. What was sent on it
// will not be answered; what waits goes on waiting.
func (b *Broker) lose(l *link, err error) {
	delete(b.links.byID, l.id)
	lost := slices.Clone(l.questions[:l.sent])
	l.questions = slices.Delete(l.questions, 0, int(l.sent))
	l.id, l.open, l.sent, l.tells = 0, false, 0, 0
	b.backOff(l)
	b.disappoint(lost, cmp.Or(err, errLinkLost))
	if l.kind == raftLink {
		b.raftLost(l.node)
	}
}

// disappoint tells who asked that no answer will come.
func (b *Broker) disappoint(questions []question, err error) {
	for i := range questions {
		if who := questions[i].who; who != nil {
			who.answered(b, nil, err)
		}
	}
}

func (b *Broker) responseArrived(ev *ResponseArrived) {
	l := b.links.byID[ev.Link]
	if l == nil {
		return
	}
	if l.sent == 0 || l.questions[0].correlation != ev.CorrelationID {
		b.fx.Hangups = append(b.fx.Hangups, l.id)
		b.lose(l, fmt.Errorf("response %d was not asked for", ev.CorrelationID))
		return
	}
	who := l.questions[0].who
	l.questions = slices.Delete(l.questions, 0, 1)
	l.sent--
	l.failures = 0
	if who == nil {
		l.tells--
		return
	}
	who.answered(b, ev.Response, nil)
}

// hangUp closes a link that is not needed any more, and gives its requests up. It may
// be used again.
func (b *Broker) hangUp(l *link) {
	b.disconnect(l)
	questions := l.questions
	l.questions, l.sent, l.tells, l.failures, l.wanted = nil, 0, 0, 0, false
	b.disappoint(questions, errHungUp)
}

// disconnect closes a link's connection, if there is one.
func (b *Broker) disconnect(l *link) {
	if l.id != 0 {
		b.fx.Hangups = append(b.fx.Hangups, l.id)
		delete(b.links.byID, l.id)
		l.id, l.open = 0, false
	}
}

// hangUpAll closes all links of a node that has stopped. Nobody waits any more.
func (b *Broker) hangUpAll() {
	for _, l := range b.links.all {
		b.disconnect(l)
		l.questions, l.armed = nil, clock.Never
	}
}

// armLink asks for a link to be looked at.
func (b *Broker) armLink(l *link, at clock.Instant) {
	if at < l.armed {
		l.armed = at
		b.deadlines.push(deadline{at: at, link: l, kind: linkDeadline})
	}
}

// expireLink ends the requests whose time is over, and dials if it is time to.
func (b *Broker) expireLink(l *link) {
	l.armed = clock.Never
	unanswered := slices.ContainsFunc(l.questions[:l.sent], func(q question) bool {
		return q.deadline <= b.now.Mono
	})
	if unanswered {
		b.fx.Hangups = append(b.fx.Hangups, l.id)
		b.lose(l, errTimedOut)
	}
	var late []question
	l.questions = slices.DeleteFunc(l.questions, func(q question) bool {
		over := q.deadline <= b.now.Mono
		if over {
			late = append(late, q)
		}
		return over
	})
	b.disappoint(late, errTimedOut)
	next := clock.Never
	for i := range l.questions {
		next = min(next, l.questions[i].deadline)
	}
	b.armLink(l, next)
	if l.wanted && l.id == 0 {
		b.want(l)
	}
}
