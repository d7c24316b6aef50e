package sim

import (
	"fmt"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
)

// GroupSetup is a group and who is in it.
type GroupSetup struct {
	Name    string
	Members []MemberConfig
	Zombies []Duplication // of members, who send again what is over
	// Retention of offsets, if the run is long enough for it to matter.
	Retention clock.Duration
}

// groupBoard knows the members of one group, and what it must come to.
type groupBoard struct {
	groups  *checker.Groups
	name    string
	topics  []string
	members []*Member
	over    bool // it was once as it must be, in the liveness phase
}

// populateGroups adds the members to the world.
func (s *Setup) populateGroups(
	w *World, j *checker.Judge, client func(ClientConfig) ClientConfig,
) []Pending {
	var pending []Pending
	for i := range s.Groups {
		g := &s.Groups[i]
		mixed := false
		for _, c := range g.Members {
			mixed = mixed || c.Switches || c.Consumer != g.Members[0].Consumer
		}
		b := &groupBoard{
			groups: checker.NewGroups(j, checker.GroupOptions{Retention: g.Retention, Mixed: mixed}),
			name:   g.Name, topics: g.Members[0].Topics,
		}
		for _, c := range g.Members {
			c.ClientConfig, c.Groups, c.Codec = client(c.ClientConfig), b.groups, s.Config.Codec
			c.Group = g.Name
			m := NewMember(c)
			b.members = append(b.members, m)
			w.AddActor(m)
		}
		for _, z := range g.Zombies {
			w.AddActor(NewGroupZombie(client(ClientConfig{}), b.members[z.Victim], z.Requests))
		}
		pending = append(pending, b)
	}
	return pending
}

// Pending says what the group still has to come to, or nothing: its members share all
// partitions, have read everything and committed that.
func (b *groupBoard) Pending() string {
	owners := map[checker.PartitionID]int{}
	for _, m := range b.members {
		if m.gone {
			continue
		}
		if what := m.pending(); what != "" {
			return what
		}
		for _, p := range m.parts {
			if other, ok := owners[p.id]; ok {
				return fmt.Sprintf("group %s: members %d and %d both have %s-%d",
					b.name, other, m.client, p.topic, p.id.Index)
			}
			owners[p.id] = m.client
		}
	}
	for _, topic := range b.topics {
		for _, p := range b.groups.Judge().Partitions() {
			if p.Deleted() || p.Name != fmt.Sprintf("%s-%d", topic, p.ID.Index) {
				continue
			}
			if _, ok := owners[p.ID]; !ok {
				return fmt.Sprintf("group %s: nobody has %s", b.name, p.Name)
			}
		}
	}
	b.over = true
	return ""
}

// Witness judges the whole history of the group.
func (b *groupBoard) Witness() { b.groups.Check(b.over) }

// pending says what the member still waits for, or nothing.
func (m *Member) pending() string {
	say := func(what string) string {
		return fmt.Sprintf("group %s: member %d (%s, epoch %d) %s",
			m.config.Group, m.client, m.id, m.epoch, what)
	}
	switch {
	case !m.running:
		return say("is not running")
	case m.stage != memberInside:
		return say("is not in the group")
	case len(m.wanted) != len(m.parts):
		return say("has not what it shall have")
	}
	judge := m.config.Groups.Judge()
	for _, p := range m.parts {
		part := judge.Partition(p.id)
		switch {
		case part != nil && part.Deleted():
		case p.position < 0:
			return say(fmt.Sprintf("has no position in %s-%d", p.topic, p.id.Index))
		case part != nil && !judge.CaughtUp(p.id, p.position):
			return say(fmt.Sprintf("is at %d of %s-%d, high watermark %d",
				p.position, p.topic, p.id.Index, part.HighWatermark()))
		case p.position > 0 && p.committed != p.position:
			return say(fmt.Sprintf("is at %d of %s-%d, and committed %d",
				p.position, p.topic, p.id.Index, p.committed))
		}
	}
	return ""
}
