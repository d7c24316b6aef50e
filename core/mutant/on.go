//go:build mutants

package mutant

// Enabled says whether this build can switch mutants on.
const Enabled = true

// Set is the mutants of one broker. Copies share the count of hits.
type Set struct{ s *state }

type state struct {
	id   ID
	hits int64
}

// New returns the set of the one mutant id.
func New(id ID) Set { return Set{s: &state{id: id}} }

// On reports whether id is switched on, and counts that its line ran.
func (s Set) On(id ID) bool {
	if s.s == nil || s.s.id != id {
		return false
	}
	s.s.hits++
	return true
}

// Hits returns how often the mutant's line ran.
func (s Set) Hits() int64 {
	if s.s == nil {
		return 0
	}
	return s.s.hits
}
