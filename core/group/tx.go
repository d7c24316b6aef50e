package group

import (
	"encoding/base64"
	"encoding/hex"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

// failure is a client's mistake: an error code and a sentence.
type failure struct {
	text string
	code errcode.Code
}

func fail(code errcode.Code, text string) *failure { return &failure{text: text, code: code} }

// tx is a decision in the making. Groups are copied before they change, so that the
// shard stays as it is until the decision is applied.
type tx struct {
	s *Shard
	c *Context // nil for a deadline
	d *Decision
}

func (s *Shard) begin(now clock.Time) *tx {
	return &tx{s: s, d: &Decision{now: now, at: s.decisions}}
}

// finish returns the decision, with what it did to the ownership of partitions.
func (t *tx) finish() *Decision {
	for _, id := range slices.Sorted(maps.Keys(t.d.groups)) {
		if g := t.d.groups[id]; g != nil {
			t.follow(t.s.groups[id], g)
		}
	}
	return t.d
}

func (t *tx) mono() clock.Instant { return t.d.now.Mono }

func (t *tx) wall() int64 { return int64(t.d.now.Wall) }

// group returns a group as the decision leaves it so far, nil if there is none. The
// caller does not change it.
func (t *tx) group(id string) *group {
	if g, ok := t.d.groups[id]; ok {
		return g
	}
	return t.s.groups[id]
}

// edit returns a group that belongs to the decision, and nil if there is none.
func (t *tx) edit(id string) *group {
	if g, ok := t.d.groups[id]; ok {
		return g
	}
	g := t.s.groups[id]
	if g == nil {
		return nil
	}
	g = g.clone()
	t.put(g)
	return g
}

func (t *tx) put(g *group) {
	if t.d.groups == nil {
		t.d.groups = map[string]*group{}
	}
	t.d.groups[g.id] = g
}

func (t *tx) remove(id string) {
	if t.d.groups == nil {
		t.d.groups = map[string]*group{}
	}
	t.d.groups[id] = nil
}

// emit makes a record part of the decision: what it says of a group is true at once for
// the rest of the decision, by the same code that replays it.
func (t *tx) emit(key Key, value Value) {
	r := Record{Key: key, Value: value}
	t.d.Records = append(t.d.Records, r)
	if key.Type != OffsetCommitType {
		replay(t, &r)
	}
}

func (t *tx) answer(r kmsg.Response) {
	t.d.Answers = append(t.d.Answers, Answer{Call: t.c.Call, Response: r})
}

func (t *tx) answerParked(p *parked, r kmsg.Response) {
	t.d.Answers = append(t.d.Answers, Answer{Call: p.call, Response: r})
}

func (t *tx) report(r Report) { t.d.Reports = append(t.d.Reports, r) }

func (t *tx) set(key timerKey, after clock.Duration, arg int64) {
	t.d.timers = append(t.d.timers, timerOp{key: key, at: t.mono().Add(after), arg: arg})
}

func (t *tx) setIfAbsent(key timerKey, after clock.Duration) {
	t.d.timers = append(t.d.timers, timerOp{key: key, at: t.mono().Add(after), absent: true})
}

func (t *tx) cancel(key timerKey) {
	t.d.timers = append(t.d.timers, timerOp{key: key, cancel: true})
}

func (g *group) clone() *group {
	c := &group{id: g.id, idle: maps.Clone(g.idle)}
	if g.classic != nil {
		c.classic = g.classic.clone()
	}
	if g.consumer != nil {
		c.consumer = g.consumer.clone()
	}
	return c
}

// ids returns the ids of the groups, sorted.
func (s *Shard) ids() []string { return slices.Sorted(maps.Keys(s.groups)) }

// dashed writes an id as Java does.
func dashed(id metadata.ID) string {
	h := hex.EncodeToString(id[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// compact writes an id as Kafka does.
func compact(id metadata.ID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func millis(n int32) clock.Duration { return clock.Millis(int64(n)) }

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func sameText(a, b *string) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}
