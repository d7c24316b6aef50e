package replica_test

import (
	"fmt"
	"strconv"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/replica"
)

func (s *script) follow() {
	p := s.partition(2)
	f, d := replica.BecomeFollower(&s.settings, &p, s.logState())
	s.follower = &f
	s.decided(d)
}

// decided prints a decision and the follower's marks.
func (s *script) decided(d replica.Decision) {
	switch d.Kind {
	case replica.Nothing:
	case replica.Append:
		s.printf("append")
	case replica.Truncate:
		s.printf("truncate to %d", d.Offset)
	case replica.TruncateFully:
		s.printf("truncate fully, start at %d", d.Offset)
	}
	s.followed()
}

func (s *script) followed() {
	f := s.follower
	s.printf("start=%d high=%d lag=%d parked=%v", f.LogStartOffset(), f.HighWatermark(), f.Lag(),
		f.Parked())
}

func (s *script) next() {
	ask, ok := s.follower.Next(s.now)
	if !ok {
		if at := s.follower.Deadline(); at != clock.Never {
			s.printf("nothing before %d", at/clock.Instant(clock.Millisecond))
			return
		}
		s.printf("nothing")
		return
	}
	s.asks = append(s.asks, ask)
	kind := map[replica.AskKind]string{
		replica.AskRecords: "records", replica.AskLatestOffset: "latest offset",
		replica.AskEarliestOffset: "earliest offset",
	}[ask.Kind]
	s.printf("ask %d in epoch %d for %s: offset=%d last-epoch=%d start=%d high=%d",
		ask.Leader, ask.CurrentLeaderEpoch, kind, ask.FetchOffset, ask.LastFetchedEpoch,
		ask.LogStartOffset, ask.HighWatermark)
}

func (s *script) ask() *replica.Ask { return &s.asks[s.number("ask", int64(len(s.asks)))-1] }

func (s *script) fetched() {
	s.answer = replica.FetchAnswer{
		Err: s.code(), HighWatermark: s.number("high", 0), LogStartOffset: s.number("start", 0),
		Diverging: s.epochEnd("diverging"),
	}
	s.decided(s.follower.Fetched(s.now, s.ask(), &s.answer, s.epochEnd("own")))
}

func (s *script) appended() {
	s.follower.Appended(&s.answer, s.logState())
	s.followed()
}

func (s *script) truncated() {
	s.follower.Truncated(s.logState())
	s.followed()
}

func (s *script) held() { s.follower.Held(s.number("end", 0)) }

func (s *script) listed() {
	s.decided(s.follower.Listed(s.now, s.ask(), s.number("offset", -1), s.code()))
}

func (s *script) accepts() {
	s.printf("%v", s.follower.Accepts(int32(s.number("epoch", 0))))
}

func (s *script) appendFailed() {
	s.follower.AppendFailed(s.now, s.code())
	s.followed()
}

// scriptLog is a log with the role it has.
type scriptLog struct {
	memLog
	id       int32
	leader   *replica.Leader
	follower *replica.Follower
}

// writeLog makes a log of records, given by their epochs.
func (s *script) writeLog() {
	l := &scriptLog{id: int32(s.number("id", 1))}
	l.start = s.number("start", 0)
	l.base = l.start
	values, _ := s.arg("epochs")
	for _, v := range values {
		epoch, _ := strconv.Atoi(v)
		l.append(entry{offset: l.end(), epoch: int32(epoch)})
	}
	l.high = s.number("high", 0)
	s.logs[s.text("log")] = l
	s.printf("%s", l)
}

func (l *scriptLog) String() string {
	text := fmt.Sprintf("start=%d high=%d", l.start, l.high)
	for _, e := range l.entries {
		text += fmt.Sprintf(" %d@%d", e.offset, e.epoch)
	}
	text += " epochs"
	for _, e := range l.epochs {
		text += fmt.Sprintf(" %d:%d", e.Epoch, e.EndOffset)
	}
	return text
}

func (l *scriptLog) state() *replica.LogState {
	return &replica.LogState{
		LogStartOffset: l.start, HighWatermark: l.high, LogEndOffset: l.end(),
		HeldEndOffset: l.end(), LatestEpoch: l.latestEpoch(),
	}
}

func (l *scriptLog) settings() *replica.Settings {
	return &replica.Settings{
		NodeID: l.id, ReplicaLagTimeMax: clock.Second, ReplicaFetchBackoff: clock.Second,
	}
}

// electLog makes a log a leader's, and appends records in its epoch.
func (s *script) electLog() {
	l := s.logs[s.text("log")]
	p := s.partition(int64(l.id))
	leader, changed := replica.BecomeLeader(s.now, l.settings(), &replica.Election{
		Partition: p, Log: *l.state(), MinInsyncReplicas: 1,
	})
	l.leader, l.follower = &leader, nil
	if changed.Has(replica.EpochStarted) {
		l.assignEpoch(p.LeaderEpoch, l.end())
	}
	for range s.number("append", 0) {
		l.append(entry{offset: l.end(), epoch: p.LeaderEpoch})
	}
	l.leader.LogChanged(s.now, l.state())
	l.high = l.leader.HighWatermark()
	s.printf("%s", l)
}

// joinLog makes a log a follower's.
func (s *script) joinLog() {
	l := s.logs[s.text("log")]
	p := s.partition(1)
	f, d := replica.BecomeFollower(l.settings(), &p, l.state())
	l.leader, l.follower = nil, &f
	s.carryOut(l, d, nil, nil)
	s.printf("%s", l)
}

// replicate lets one log follow another until there is nothing new.
func (s *script) replicate() {
	leader, l := s.logs[s.text("from")], s.logs[s.text("to")]
	for range 10 {
		ask, ok := l.follower.Next(s.now)
		if !ok {
			s.printf("nothing to ask")
			break
		}
		if done := s.exchange(leader, l, &ask); done {
			break
		}
	}
	s.printf("%s", l)
}

// exchange asks and answers once, and reports whether there was nothing new.
func (s *script) exchange(leader, l *scriptLog, ask *replica.Ask) (done bool) {
	switch ask.Kind {
	case replica.AskLatestOffset:
		s.printf("latest offset: %d", leader.end())
		s.carryOut(l, l.follower.Listed(s.now, ask, leader.end(), errcode.None), nil, nil)
		return false
	case replica.AskEarliestOffset:
		s.printf("earliest offset: %d", leader.start)
		s.carryOut(l, l.follower.Listed(s.now, ask, leader.start, errcode.None), nil, nil)
		return false
	case replica.AskRecords:
	}
	f := replica.FollowerFetch{
		ReplicaID: l.id, FetchOffset: ask.FetchOffset, LogStartOffset: ask.LogStartOffset,
		BrokerEpoch: -1, CurrentLeaderEpoch: ask.CurrentLeaderEpoch,
		LastFetchedEpoch: ask.LastFetchedEpoch,
	}
	at, _ := leader.leader.FollowerFetched(s.now, &f, leader.endOffsetFor(f.LastFetchedEpoch))
	leader.high = leader.leader.HighWatermark()
	a := replica.FetchAnswer{
		Err: at.Err, Diverging: at.Diverging,
		HighWatermark: leader.high, LogStartOffset: leader.start,
	}
	var entries []entry
	read := at.Err == errcode.None && !at.Diverges()
	if read {
		from := leader
		if later := s.text("read"); later != "" {
			from = s.logs[later]
		}
		entries = from.entries[f.FetchOffset-from.base:]
	}
	fmt.Fprintf(&s.out, "fetch offset=%d last-epoch=%d: %d records, ",
		f.FetchOffset, f.LastFetchedEpoch, len(entries))
	s.position(at)
	own := replica.NoEpoch
	if at.Diverges() {
		own = l.endOffsetFor(at.Diverging.Epoch)
	}
	end := l.end()
	s.carryOut(l, l.follower.Fetched(s.now, ask, &a, own), &a, entries)
	return read && l.end() == end
}

func (s *script) carryOut(
	l *scriptLog, d replica.Decision, a *replica.FetchAnswer, entries []entry,
) {
	switch d.Kind {
	case replica.Nothing:
		return
	case replica.Append:
		for _, e := range entries {
			if !l.follower.Accepts(e.epoch) {
				s.printf("dropped from %d on", e.offset)
				break
			}
			l.append(e)
		}
		l.follower.Appended(a, l.state())
	case replica.Truncate:
		s.printf("truncate to %d", d.Offset)
		l.truncate(d.Offset)
		l.follower.Truncated(l.state())
	case replica.TruncateFully:
		s.printf("truncate fully, start at %d", d.Offset)
		l.truncateFully(d.Offset)
		l.follower.Truncated(l.state())
	}
	l.high = l.follower.HighWatermark()
	l.raiseStart(l.follower.LogStartOffset())
}
