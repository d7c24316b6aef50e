package kafka

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/internal/repeatable"
)

// model is a cluster that keeps every promise, but for one bug that it may have. Clients
// use it in a random order; an operation takes effect at any moment between
// its beginning and its end, or later if its outcome is unknown.
type model struct {
	random  *rand.Rand
	r       *Recorder
	bug     string
	keys    []Key
	logs    map[Key][]slot
	offsets map[Key]int64 // committed by the group; absent: none
	commits []Event       // the commits that ended, as they did
	members map[int]map[Key]*member
	owner   map[Key]int // the member that the group gave it to
	pending []*pending
	current *pending // that has its effect
	value   int64
	fired   int   // how often the bug showed
	hole    *slot // left out by the bug "late"
}

// slot is one offset of a log: a record, or nothing that anybody sees.
type slot struct {
	offset, value int64
	hidden        bool
}

// member is a consumer's place in a key.
type member struct {
	next   int64
	polled bool
	early  bool // it begins before the place that it was given, by a bug
}

// pending is an operation that is under way.
type pending struct {
	e       Event
	id      int64
	apply   func(done *Event)
	done    *Event // as its effect left it; nil: it has had none yet
	outcome Type
}

func newModel(seed uint64, bug string) *model {
	return &model{
		random: rand.New(rand.NewPCG(seed, 0)), r: NewRecorder(Strict()), bug: bug,
		keys: []Key{"a", "b"}, logs: map[Key][]slot{},
		offsets: map[Key]int64{}, members: map[int]map[Key]*member{}, owner: map[Key]int{},
	}
}

// draw returns a number below n. Rapid itself would prefer small ones.
func (m *model) draw(n int) int { return m.random.IntN(n) }

func (m *model) key() Key { return m.keys[m.draw(len(m.keys))] }

// fires decides whether a bug shows.
func (m *model) fires(bug string) bool {
	if m.bug != bug || m.draw(3) != 0 {
		return false
	}
	m.fired++
	return true
}

// begin invokes an operation. Its effect and its end come later.
func (m *model) begin(e Event, apply func(done *Event)) *pending {
	p := &pending{e: e, apply: apply, outcome: OK}
	p.id = m.r.Invoke(e)
	if e.F == Send || e.F == Commit {
		switch m.draw(8) {
		case 0:
			p.outcome = Info
		case 1:
			p.outcome = Fail
		}
	}
	m.pending = append(m.pending, p)
	return p
}

// take lets an operation have its effect.
func (m *model) take(p *pending) {
	if p.done != nil {
		return
	}
	m.current = p
	p.done = &Event{Process: p.e.Process, F: p.e.F, Type: p.outcome}
	switch {
	case p.outcome != Fail:
		p.apply(p.done)
	case p.e.F == Send && m.fires("error"):
		p.apply(p.done)
		p.done.Mops = nil
	}
}

// end completes an operation, which then has had its effect unless nobody knows.
func (m *model) end(p *pending) {
	m.pending = slices.DeleteFunc(m.pending, func(q *pending) bool { return q == p })
	if p.outcome != Info {
		m.take(p)
		m.r.Complete(p.id, *p.done)
	} else {
		m.r.Complete(p.id, Event{Process: p.e.Process, F: p.e.F, Type: Info})
		if m.draw(2) == 0 {
			m.take(p)
		}
	}
	if p.e.F == Commit {
		e := p.e
		e.Type, e.Of, e.Index = p.outcome, p.id, m.r.last
		m.commits = append(m.commits, e)
	}
}

// now runs an operation from its beginning to its end.
func (m *model) now(e Event, apply func(done *Event)) {
	p := m.begin(e, apply)
	p.outcome = OK
	m.end(p)
}

func (m *model) step() {
	if len(m.pending) > 5 {
		m.end(m.pending[m.draw(len(m.pending))])
	}
	switch m.draw(12) {
	case 0, 1, 2:
		m.send(m.draw(3))
	case 3, 4:
		m.poll(10 + m.draw(2))
	case 5:
		if len(m.pending) > 0 {
			m.take(m.pending[m.draw(len(m.pending))])
		}
	case 6, 7:
		if len(m.pending) > 0 {
			m.end(m.pending[m.draw(len(m.pending))])
		}
	case 8:
		if m.busy(30) {
			return
		}
		m.begin(Event{Process: 30, F: Ends, Keys: m.keys}, m.ends)
	case 9, 10, 11:
		m.group()
	}
}

// busy reports whether a process waits for an answer.
func (m *model) busy(process int) bool {
	return slices.ContainsFunc(m.pending, func(p *pending) bool { return p.e.Process == process })
}

func (m *model) send(process int) {
	k := m.key()
	if m.busy(process) {
		return
	}
	m.value++
	value := m.value
	m.begin(Event{Process: process, F: Send, Mops: []Mop{SendOf(k, value)}}, func(done *Event) {
		s := m.store(k, value)
		done.Mops = []Mop{{Key: k, Send: Record{s, value}}}
	})
}

// store appends a value and returns the offset that the producer is told.
func (m *model) store(k Key, value int64) int64 {
	log := m.logs[k]
	s := slot{offset: int64(len(log)), value: value}
	switch {
	case m.current.outcome == OK && m.fires("drop"):
		s.hidden = true
	case m.bug == "late" && k == "a" && m.hole == nil:
		m.logs[k] = append(log, slot{offset: s.offset, hidden: true})
		m.hole = &m.logs[k][s.offset]
		return m.store(k, value)
	case m.bug == "late" && k == "a" && m.hole != nil && !m.hole.hidden, k != "a":
	case m.bug == "late" && m.acked(k) > m.hole.offset:
		at := m.hole.offset
		m.logs[k][at] = slot{offset: at, value: value}
		m.hole = &slot{}
		m.fired++
		return at
	}
	m.logs[k] = append(m.logs[k], s)
	if m.fires("twice") {
		m.logs[k] = append(m.logs[k], slot{offset: s.offset + 1, value: value})
	}
	return s.offset
}

// acked returns the highest offset that was acknowledged before the current operation
// began, or NoOffset.
func (m *model) acked(k Key) int64 {
	top := int64(NoOffset)
	for _, e := range m.r.History.Events {
		if e.Type == OK && e.F == Send && e.Mops[0].Key == k && e.Index < m.current.id {
			top = max(top, e.Mops[0].Send.Offset)
		}
	}
	return top
}

func (m *model) ends(done *Event) {
	for _, k := range m.keys {
		end := int64(len(m.logs[k]))
		if top := m.acked(k); top >= 0 && m.fires("end") {
			end = top
		}
		done.Offsets = append(done.Offsets, Place{k, end})
	}
}

// poll is a consumer that was assigned all keys, from the beginning.
func (m *model) poll(process int) {
	if m.busy(process) {
		return
	}
	places := m.members[process]
	if places == nil || m.draw(12) == 0 {
		if places != nil {
			m.r.Complete(m.r.Invoke(Event{Process: process, F: Crash}),
				Event{Process: process, F: Crash, Type: Info})
		}
		places = map[Key]*member{}
		done := Event{Process: process, F: Assign, Type: OK}
		for _, k := range m.keys {
			places[k] = &member{}
			done.Offsets = append(done.Offsets, Place{k, 0})
		}
		m.members[process] = places
		m.r.Complete(m.r.Invoke(Event{Process: process, F: Assign, Keys: m.keys}), done)
	}
	m.begin(Event{Process: process, F: Poll, Mops: []Mop{{}}}, func(done *Event) {
		done.Mops = []Mop{m.fetch(places, m.keys)}
	})
}

// fetch polls a few records of each key and moves on.
func (m *model) fetch(places map[Key]*member, keys []Key) Mop {
	mop := Mop{}
	for _, k := range keys {
		at := places[k]
		visible := slices.DeleteFunc(slices.Clone(m.logs[k]), func(s slot) bool {
			return s.hidden || s.offset < at.next
		})
		if m.bug == "late" && k == "a" && m.hole != nil && m.hole.hidden {
			visible = nil // who reads over the hole may not read it later
		}
		if at.polled && len(visible) > 1 && m.fires("skip") {
			visible = visible[1:]
		}
		if at.polled && len(visible) > 0 && m.fires("back") {
			visible = append([]slot{m.visibleBefore(k, at.next)}, visible...)
		}
		visible = visible[:min(len(visible), 1+m.draw(3))]
		if len(visible) == 0 {
			continue
		}
		p := Polled{Key: k}
		for _, s := range visible {
			p.Records = append(p.Records, Record{s.offset, s.value})
		}
		if at.early {
			m.fired++
			at.early = false
		}
		at.next, at.polled = visible[len(visible)-1].offset+1, true
		if m.fires("corrupt") {
			p.Records[0].Value += 1000
		}
		mop.Polled = append(mop.Polled, p)
	}
	return mop
}

func (m *model) visibleBefore(k Key, next int64) slot {
	for _, s := range slices.Backward(m.logs[k][:next]) {
		if !s.hidden {
			return s
		}
	}
	panic("something was polled")
}

// group lets a member of the group do something: take over a key, poll, commit.
func (m *model) group() {
	k, process := m.key(), 20+m.draw(2)
	if m.busy(process) {
		return
	}
	places := m.members[process]
	if places == nil {
		places = map[Key]*member{}
		m.members[process] = places
		m.r.Complete(m.r.Invoke(Event{Process: process, F: Subscribe, Keys: m.keys, Group: "g"}),
			Event{Process: process, F: Subscribe, Type: OK})
	}
	if places[k] == nil || m.owner[k] != process && m.draw(2) == 0 {
		m.owner[k] = process
		m.begin(Event{Process: process, F: Resume, Keys: []Key{k}, Group: "g"}, func(done *Event) {
			at := m.committedOffset(k)
			done.Offsets = []Place{{k, at}}
			places[k] = &member{next: max(0, at)}
			if m.bug == "resume" && at > 0 {
				places[k] = &member{next: at - 1, early: true}
			}
		})
		return
	}
	if m.draw(2) == 0 {
		m.begin(Event{Process: process, F: Poll, Mops: []Mop{{}}}, func(done *Event) {
			done.Mops = []Mop{m.fetch(places, []Key{k})}
		})
		return
	}
	m.commit(k, process, places[k])
}

// committedOffset returns what the group's coordinator says.
func (m *model) committedOffset(k Key) int64 {
	at, ok := m.offsets[k]
	if !ok {
		at = NoOffset
	}
	if m.fires("wrong") {
		return at + 100
	}
	return at
}

func (m *model) commit(k Key, process int, at *member) {
	offset, beyond := at.next, false
	if end := int64(len(m.logs[k])); m.owner[k] == process && at.polled && offset < end {
		if beyond = m.fires("beyond"); beyond {
			offset = end
		}
	}
	e := Event{Process: process, F: Commit, Group: "g", Offsets: []Place{{k, offset}}}
	p := m.begin(e, nil)
	p.apply = func(done *Event) {
		if m.owner[k] == process || m.bug == "zombie" && p.outcome == OK {
			m.offsets[k] = offset
			return
		}
		// A member that was replaced is refused, even if it was not when it asked.
		done.Type, p.outcome = Fail, Fail
		m.fired -= count(beyond)
	}
	if beyond || m.bug == "zombie" {
		p.outcome = OK
	}
	if m.owner[k] == process {
		return
	}
	p.outcome = Fail // a member that was replaced is refused
	if m.bug == "zombie" && m.lowered(k, offset, p.id) {
		p.outcome = OK
		m.fired++
	}
}

// lowered reports whether a commit that begins now sets a key's offset back, without
// another one that nobody knows the outcome of.
func (m *model) lowered(k Key, offset, now int64) bool {
	lowered := false
	for _, e := range m.r.History.Events {
		if e.F != Commit || e.Type != Invoke || e.Offsets[0].Key != k || e.Index == now {
			continue
		}
		outcome := Info
		for _, c := range m.commits {
			if c.Of == e.Index {
				outcome = c.Type
			}
		}
		if outcome == Info && e.Offsets[0].Offset <= offset {
			return false
		}
		lowered = lowered || outcome == OK && e.Offsets[0].Offset > offset
	}
	return lowered
}

// finish ends what is under way, and reads everything once more.
func (m *model) finish() *History {
	for len(m.pending) > 0 {
		m.end(m.pending[0])
	}
	if m.bug == "lost" {
		m.loseCommit()
	}
	places := map[Key]*member{}
	for _, k := range m.keys {
		places[k] = &member{}
	}
	bug := m.bug
	m.bug = ""
	for range m.value + 1 {
		m.now(Event{Process: 40, F: Poll, Mops: []Mop{{}}}, func(done *Event) {
			done.Mops = []Mop{m.fetch(places, m.keys)}
		})
		m.now(Event{Process: 40, F: Poll, Mops: []Mop{{}}}, func(done *Event) {
			done.Mops = []Mop{m.fetch(places, m.keys)}
		})
	}
	m.bug = bug
	m.now(Event{Process: 40, F: Final, Keys: m.keys}, func(*Event) {})
	return &m.r.History
}

// loseCommit commits twice, and then tells the first of both.
func (m *model) loseCommit() {
	const first, second = 1000, 1001
	for _, offset := range []int64{first, second} {
		m.now(Event{Process: 50, F: Commit, Group: "g", Offsets: []Place{{"a", offset}}},
			func(*Event) {})
	}
	m.now(Event{Process: 50, F: Committed, Group: "g", Keys: []Key{"a"}}, func(done *Event) {
		done.Offsets = []Place{{"a", first}}
	})
	m.fired++
}

// generate draws a history.
func generate(t *rapid.T, bug string) (h *History, fired int) {
	m := newModel(rapid.Uint64().Draw(t, "seed"), bug)
	for range 20 + m.draw(230) {
		m.step()
	}
	return m.finish(), m.fired
}

func TestGoodHistoriesAreValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, _ := generate(t, "")
		v := Analyze(h)
		require.Empty(t, v.Anomalies, "%s", v)
		if v.Counts.Acknowledged > 0 && v.Counts.Seen > 0 {
			require.Equal(t, Valid, v.Result, "%s", v)
		} else {
			require.Equal(t, Unknown, v.Result)
		}
	})
}

// TestBugsAreFound seeds each bug and demands that every history in which it showed has
// the anomaly with the right name.
func TestBugsAreFound(t *testing.T) {
	for _, c := range []struct{ bug, anomaly string }{
		{"drop", Unseen},
		{"twice", Duplicate},
		{"error", G1a},
		{"late", AckOrder},
		{"end", StaleEnd},
		{"skip", PollSkip},
		{"back", NonmonotonicPoll},
		{"corrupt", Phantom},
		{"wrong", WrongCommittedOffset},
		{"lost", StaleCommittedOffset},
		{"resume", ResumeRepeat},
		{"beyond", CommitBeyondPoll},
		{"zombie", NonmonotonicCommit},
	} {
		t.Run(c.bug, func(t *testing.T) {
			shown := 0
			for range 20 {
				rapid.Check(t, func(t *rapid.T) {
					h, fired := generate(t, c.bug)
					if fired == 0 {
						return
					}
					v := Analyze(h)
					if c.bug == "drop" && v.Counts.Acknowledged == 0 {
						return // nobody was promised anything
					}
					shown++
					found := v.Anomaly(c.anomaly)
					require.NotNil(t, found, "%s\n%s", v, dump(h))
					require.Equal(t, Invalid, v.Result)
					require.NotEmpty(t, found.Witnesses[0].Ops)
				})
				if shown > 20 {
					return
				}
				repeatable.Next(t)
			}
			t.Fatalf("the bug hardly ever showed: %d times", shown)
		})
	}
}

func dump(h *History) string {
	ops, _ := pair(h.Events)
	text := ""
	for _, op := range ops {
		text += fmt.Sprintln(op)
	}
	return text
}

// TestFileKeepsHistories: what is read from a file is what was written.
func TestFileKeepsHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, _ := generate(t, "")
		var file bytes.Buffer
		require.NoError(t, h.Write(&file))
		text := file.String()
		read, err := Read(&file)
		require.NoError(t, err)
		var again bytes.Buffer
		require.NoError(t, read.Write(&again))
		require.Equal(t, text, again.String())
		require.Equal(t, Analyze(h).String(), Analyze(read).String())
	})
}
