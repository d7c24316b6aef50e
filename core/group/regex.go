package group

import (
	"maps"
	"regexp"
	"slices"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/metadata"
)

// Patterns are the regular expressions of a consumer group, in the syntax of RE2 (KIP-848).
// Whom they match grows with the topics of the cluster, so that it is found out outside of
// a decision.
type Patterns struct {
	Group    string
	Patterns []string // sorted
}

// Matches are the topics that a group's regular expressions match.
type Matches struct {
	Topics  map[string][]string // by pattern; sorted
	Group   string
	Version int64 // the end of the metadata log that they were found in
}

// Match finds the topics whose whole names the expressions match. It may run anywhere.
func (p Patterns) Match(image *metadata.Image) Matches {
	m := Matches{Group: p.Group, Version: image.Offset(), Topics: map[string][]string{}}
	for _, pattern := range p.Patterns {
		m.Topics[pattern] = []string{}
		re, err := regexp.Compile("^(?:" + pattern + ")$")
		if err != nil { // members with such are refused, but a log may hold anything
			continue
		}
		for topic := range image.Topics() {
			if re.MatchString(topic.Name) {
				m.Topics[pattern] = append(m.Topics[pattern], topic.Name)
			}
		}
	}
	return m
}

// Matched takes what the expressions of a group match. If that is news, the group's epoch
// rises.
func (s *Shard) Matched(now clock.Time, m Matches) *Decision {
	t := s.begin(now)
	g := t.group(m.Group)
	if g == nil || g.consumer == nil {
		return t.finish()
	}
	t.d.fired = timerKey{kind: regexTimer, group: m.Group}
	changed := false
	for _, pattern := range slices.Sorted(maps.Keys(m.Topics)) {
		known := t.group(m.Group).consumer.regexes[pattern]
		if !g.consumer.uses(pattern) || known != nil && known.Version > m.Version {
			continue
		}
		if known != nil && slices.Equal(known.Topics, m.Topics[pattern]) {
			continue
		}
		t.emit(Key{Type: ConsumerRegularExpressionType, Group: m.Group, Name: pattern},
			&ConsumerRegularExpression{
				Topics: m.Topics[pattern], Version: m.Version, Timestamp: t.wall(),
			})
		changed = true
	}
	if changed {
		t.bump(m.Group, CauseTopicsChanged, "")
	}
	return t.finish()
}

// rematch has the expressions of a group matched, now and again later.
func (t *tx) rematch(g *group) {
	var patterns []string
	for _, id := range g.consumer.ids() {
		if p, ok := g.consumer.members[id].regex(); ok {
			patterns = append(patterns, p)
		}
	}
	if len(patterns) == 0 {
		return
	}
	t.d.Patterns = append(t.d.Patterns, Patterns{Group: g.id, Patterns: sortedNames(patterns)})
	t.set(timerKey{kind: regexTimer, group: g.id}, t.s.config().GroupConsumerRegexRefreshInterval, 0)
}

// cleanRegex forgets the expression that a member used if nobody does any more, and has a
// new one matched. Now is nil for a member that is gone.
func (t *tx) cleanRegex(group string, was, now *consumerMember) {
	c := t.group(group).consumer
	old, had := was.regex()
	if had && !c.uses(old) && c.regexes[old] != nil {
		t.emit(Key{Type: ConsumerRegularExpressionType, Group: group, Name: old}, nil)
	}
	if now == nil {
		return
	}
	if p, ok := now.regex(); ok && c.regexes[p] == nil {
		t.d.Patterns = append(t.d.Patterns, Patterns{Group: group, Patterns: []string{p}})
		t.setIfAbsent(timerKey{kind: regexTimer, group: group},
			t.s.config().GroupConsumerRegexRefreshInterval)
	}
}
