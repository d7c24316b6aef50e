package replica_test

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/replica"
)

// Each script is the specification of one rule, which its first line says. Instants
// are in milliseconds, and replica.lag.time.max.ms is 100.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			s := &script{settings: replica.Settings{
				NodeID: 1, ReplicaLagTimeMax: 100 * clock.Millisecond,
				ReplicaFetchBackoff: clock.Second,
			}, logs: map[string]*scriptLog{}}
			datadriven.RunTest(t, file, s.run)
		})
	}
}

// script is a leader, a follower, or both with their logs.
type script struct {
	settings replica.Settings
	now      clock.Instant
	brokers  []replica.Broker
	log      replica.LogState
	leader   *replica.Leader
	requests []replica.AlterPartition
	follower *replica.Follower
	asks     []replica.Ask
	answer   replica.FetchAnswer
	logs     map[string]*scriptLog

	d   *datadriven.TestData
	out strings.Builder
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	s.d = d
	s.out.Reset()
	if s.has("now") {
		s.now = clock.Instant(s.number("now", 0)) * clock.Instant(clock.Millisecond)
	}
	commands := map[string]func(){
		"broker": s.broker, "lead": s.lead, "log": s.logChanged, "fetch": s.fetch,
		"locate": s.locate, "tick": s.tick, "metadata": s.metadata, "answer": s.alterAnswered,
		"min-isr": s.minISR, "produce": s.produce, "acks": s.acks, "read-replica": s.readReplica,
		"follow": s.follow, "next": s.next, "fetched": s.fetched, "appended": s.appended,
		"truncated": s.truncated, "held": s.held, "listed": s.listed, "accepts": s.accepts,
		"append-failed": s.appendFailed,
		"write":         s.writeLog, "elect": s.electLog, "join": s.joinLog, "replicate": s.replicate,
		"check-epoch": s.checkEpoch,
	}
	do := commands[d.Cmd]
	require.NotNil(t, do, "the command %q", d.Cmd)
	do()
	return s.out.String()
}

func (s *script) printf(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

func (s *script) arg(name string) (values []string, ok bool) {
	for _, a := range s.d.CmdArgs {
		if a.Key == name {
			return a.Vals, true
		}
	}
	return nil, false
}

func (s *script) has(name string) bool {
	_, ok := s.arg(name)
	return ok
}

func (s *script) text(name string) string {
	if v, ok := s.arg(name); ok && len(v) > 0 {
		return v[0]
	}
	return ""
}

func (s *script) number(name string, otherwise int64) int64 {
	if v := s.text(name); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			s.d.Fatalf(nil, "%s: %v", name, err)
		}
		return n
	}
	return otherwise
}

func (s *script) ids(name string, otherwise []int32) []int32 {
	values, ok := s.arg(name)
	if !ok {
		return otherwise
	}
	ids := []int32{}
	for _, v := range values {
		n, _ := strconv.Atoi(v)
		ids = append(ids, int32(n))
	}
	return ids
}

func (s *script) epochEnd(name string) replica.EpochEnd {
	if v, ok := s.arg(name); ok {
		epoch, _ := strconv.Atoi(v[0])
		end, _ := strconv.Atoi(v[1])
		return replica.EpochEnd{Epoch: int32(epoch), EndOffset: int64(end)}
	}
	return replica.NoEpoch
}

func (s *script) code() errcode.Code {
	name := s.text("err")
	for c := errcode.UnknownServerError; name != "" && c <= errcode.ShareSessionLimitReached; c++ {
		if c.String() == name && (c >= 0 || name == "UNKNOWN_SERVER_ERROR") {
			return c
		}
	}
	return errcode.None
}

func (s *script) logState() *replica.LogState {
	l := &s.log
	l.LogEndOffset = s.number("end", l.LogEndOffset)
	l.HeldEndOffset = s.number("held", l.LogEndOffset)
	l.LogStartOffset = s.number("start", l.LogStartOffset)
	l.HighWatermark = s.number("high", l.HighWatermark)
	l.LatestEpoch = int32(s.number("latest", int64(l.LatestEpoch)))
	return l
}

func (s *script) partition(leader int64) replica.Partition {
	replicas := s.ids("replicas", []int32{1, 2, 3})
	return replica.Partition{
		Replicas: replicas, ISR: s.ids("isr", replicas),
		AddingReplicas: s.ids("adding", nil), RemovingReplicas: s.ids("removing", nil),
		Leader:         int32(s.number("leader", leader)),
		LeaderEpoch:    int32(s.number("epoch", 5)),
		PartitionEpoch: int32(s.number("partition-epoch", 1)),
	}
}

func (s *script) broker() {
	b := replica.Broker{
		ID: int32(s.number("id", 0)), Epoch: s.number("epoch", 10), Rack: s.text("rack"),
		Fenced: s.has("fenced"), InControlledShutdown: s.has("stopping"),
	}
	var list []replica.Broker
	for _, other := range s.brokers {
		if other.ID != b.ID {
			list = append(list, other)
		}
	}
	at := 0
	for at < len(list) && list[at].ID < b.ID {
		at++
	}
	list = append(list, replica.Broker{})
	copy(list[at+1:], list[at:])
	list[at] = b
	s.brokers = list
	if s.leader != nil {
		s.led(s.leader.BrokersChanged(s.now, s.brokers))
	}
}

func (s *script) lead() {
	if s.brokers == nil {
		for id := int32(1); id <= 4; id++ {
			s.brokers = append(s.brokers, replica.Broker{ID: id, Epoch: 10})
		}
	}
	s.log.LatestEpoch = 4
	l, changed := replica.BecomeLeader(s.now, &s.settings, &replica.Election{
		Partition: s.partition(1), Brokers: s.brokers, Log: *s.logState(),
		MinInsyncReplicas: int32(s.number("min-isr", 1)), Before: s.leader,
	})
	s.leader = &l
	s.led(changed)
}

// led prints what a leader's change comes to.
func (s *script) led(c replica.Change) {
	l := s.leader
	var what []string
	for i, name := range []string{
		"epoch-started", "high-watermark", "low-watermark", "proposed", "expanded", "shrunk",
		"rejected",
	} {
		if c.Has(1 << i) {
			what = append(what, name)
		}
	}
	if len(what) > 0 {
		s.printf("%s", strings.Join(what, " "))
	}
	if q, ok := l.AlterPartition(); ok && c.Has(replica.ISRProposed) {
		s.requests = append(s.requests, q)
		s.printf("alter-partition epoch=%d partition-epoch=%d isr=%v",
			q.LeaderEpoch, q.PartitionEpoch, members(q.ISR))
	}
	var maximal []int32
	for _, id := range l.Replicas() {
		if l.InMaximalISR(id) {
			maximal = append(maximal, id)
		}
	}
	s.printf("high=%d low=%d isr=%v maximal=%v partition-epoch=%d",
		l.HighWatermark(), l.LowWatermark(), l.ISR(), maximal, l.PartitionEpoch())
}

func members(isr []replica.ISRMember) (text []string) {
	for _, m := range isr {
		text = append(text, fmt.Sprintf("%d@%d", m.BrokerID, m.BrokerEpoch))
	}
	return text
}

func (s *script) logChanged() { s.led(s.leader.LogChanged(s.now, s.logState())) }

func (s *script) followerFetch() (*replica.FollowerFetch, replica.EpochEnd) {
	return &replica.FollowerFetch{
		ReplicaID: int32(s.number("replica", 2)), FetchOffset: s.number("offset", 0),
		LogStartOffset: s.number("start", 0), BrokerEpoch: s.number("broker-epoch", 10),
		CurrentLeaderEpoch: int32(s.number("epoch", 5)),
		LastFetchedEpoch:   int32(s.number("last-epoch", -1)),
	}, s.epochEnd("of")
}

func (s *script) position(at replica.Position) {
	switch {
	case at.Err != errcode.None:
		s.printf("%v", at.Err)
	case at.Diverges():
		s.printf("diverges: epoch %d ends at %d", at.Diverging.Epoch, at.Diverging.EndOffset)
	default:
		s.printf("read")
	}
}

func (s *script) fetch() {
	f, of := s.followerFetch()
	at, changed := s.leader.FollowerFetched(s.now, f, of)
	s.position(at)
	s.led(changed)
}

func (s *script) locate() {
	s.position(s.leader.Locate(s.followerFetch()))
	s.led(0)
}

func (s *script) tick() {
	s.led(s.leader.Tick(s.now))
	s.printf("deadline=%d", s.leader.Deadline()/clock.Instant(clock.Millisecond))
}

func (s *script) metadata() {
	p := s.partition(1)
	if s.leader != nil {
		s.led(s.leader.MetadataChanged(s.now, &p))
		s.printf("under-replicated=%v reassigning=%v",
			s.leader.UnderReplicated(), s.leader.Reassigning())
		return
	}
	s.follower.MetadataChanged(&p)
	s.followed()
}

func (s *script) alterAnswered() {
	request := s.requests[s.number("request", int64(len(s.requests)))-1]
	a := replica.AlterPartitionAnswer{Err: s.code()}
	if a.Err == errcode.None {
		a.ISR = s.ids("isr", nil)
		a.LeaderEpoch = int32(s.number("epoch", 5))
		a.PartitionEpoch = int32(s.number("partition-epoch", int64(request.PartitionEpoch)+1))
	}
	s.led(s.leader.AlterPartitionAnswered(s.now, &request, &a))
	_, pending := s.leader.AlterPartition()
	s.printf("pending=%v", pending)
}

func (s *script) minISR() { s.led(s.leader.SetMinInsyncReplicas(s.now, int32(s.number("n", 1)))) }

func (s *script) produce() {
	s.printf("%v under=%v at=%v", s.leader.CheckProduce(int16(s.number("acks", -1))),
		s.leader.UnderMinISR(), s.leader.AtMinISR())
}

func (s *script) acks() {
	done, code := s.leader.CheckAcks(s.number("end", 0))
	s.printf("done=%v %v", done, code)
}

func (s *script) readReplica() {
	s.printf("%d", s.leader.PreferredReadReplica(s.text("rack"), s.number("offset", 0)))
}

func (s *script) checkEpoch() {
	epoch := int32(s.number("epoch", -1))
	if s.leader != nil {
		s.printf("%v", s.leader.CheckEpoch(epoch))
		return
	}
	s.printf("%v", s.follower.CheckEpoch(epoch))
}
