package kafka

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Result is the verdict in one word.
type Result uint8

// The results. Unknown is never a pass: the history shows too little to say.
const (
	Unknown Result = iota
	Valid
	Invalid
)

// String returns the word.
func (r Result) String() string {
	switch r {
	case Valid:
		return "valid"
	case Invalid:
		return "invalid"
	}
	return "unknown"
}

// MarshalText returns the word.
func (r Result) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// witnessesMax is how many witnesses are kept of each anomaly.
const witnessesMax = 8

// Witness is what proves one anomaly: the operations that contradict one another, and
// the records of them that do.
type Witness struct {
	Key     Key
	Text    string // what is wrong, in one sentence
	Ops     []*Op  // in the order of invocation
	Records []Record
}

// Lines returns the operations, each with nothing but what matters here.
func (w *Witness) Lines() []string {
	lines := make([]string, 0, len(w.Ops))
	for _, op := range w.Ops {
		lines = append(lines, op.brief(w.Key, w.Records))
	}
	return lines
}

// MarshalJSON writes the operations as Lines gives them.
func (w Witness) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Key        Key      `json:"key,omitempty"`
		Text       string   `json:"text"`
		Records    []Record `json:"records,omitempty"`
		Operations []string `json:"operations"`
	}{w.Key, w.Text, w.Records, w.Lines()})
}

// Anomaly is one kind of anomaly that a history shows.
type Anomaly struct {
	Name      string    `json:"name"`
	Allowed   string    `json:"allowed,omitempty"` // why it is no fault of the cluster; "": it is
	Witnesses []Witness `json:"witnesses"`         // the smallest ones, smallest first
	Count     int       `json:"count"`
}

// Counts says how much a history shows.
type Counts struct {
	Operations   int `json:"operations"`
	Indefinite   int `json:"indefinite"`   // that ended with Info or not at all
	Sent         int `json:"sent"`         // values
	Acknowledged int `json:"acknowledged"` // of these
	Failed       int `json:"failed"`       // of these
	Polled       int `json:"polled"`       // records, each as often as it was polled
	Seen         int `json:"seen"`         // values that were polled at least once
	Commits      int `json:"commits"`      // that were acknowledged
	Resumes      int `json:"resumes"`      // offsets of groups that were asked for and told
	Keys         int `json:"keys"`
}

// Lag is how far a poll was behind what had been acknowledged when it began. Kafka
// promises no bound, so it is only told.
type Lag struct {
	Op    *Op   `json:"-"` // the poll
	Key   Key   `json:"key,omitempty"`
	Nanos int64 `json:"nanos"`
}

// Verdict is what a history comes to.
type Verdict struct {
	Result    Result    `json:"verdict"`
	Reasons   []string  `json:"reasons,omitempty"` // why it is unknown, or would be
	Anomalies []Anomaly `json:"anomalies"`         // those that are no fault come last
	Counts    Counts    `json:"counts"`
	Lag       Lag       `json:"worstRealtimeLag"`
	Ops       []*Op     `json:"-"` // all operations, in the order of invocation
}

// Anomaly returns what was found of one kind, or nil.
func (v *Verdict) Anomaly(name string) *Anomaly {
	for i := range v.Anomalies {
		if v.Anomalies[i].Name == name {
			return &v.Anomalies[i]
		}
	}
	return nil
}

// String returns the verdict for people: each anomaly with its smallest witness.
func (v *Verdict) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", v.Result)
	for _, reason := range v.Reasons {
		fmt.Fprintf(&b, "  %s\n", reason)
	}
	for i := range v.Anomalies {
		a := &v.Anomalies[i]
		fmt.Fprintf(&b, "%s: %d", a.Name, a.Count)
		if a.Allowed != "" {
			fmt.Fprintf(&b, ", allowed: %s", a.Allowed)
		}
		w := &a.Witnesses[0]
		fmt.Fprintf(&b, "\n  %s\n", w.Text)
		for _, line := range w.Lines() {
			fmt.Fprintf(&b, "    %s\n", line)
		}
	}
	return b.String()
}

// finding collects anomalies.
type finding struct {
	byName map[string]*Anomaly
}

func (f *finding) report(name string, w Witness) {
	a := f.byName[name]
	if a == nil {
		a = &Anomaly{Name: name}
		f.byName[name] = a
	}
	a.Count++
	slices.SortStableFunc(w.Ops, func(a, b *Op) int { return cmp.Compare(a.ID, b.ID) })
	w.Ops = slices.Compact(w.Ops)
	a.Witnesses = append(a.Witnesses, w)
	slices.SortStableFunc(a.Witnesses, func(a, b Witness) int {
		return cmp.Compare(len(a.Ops)+len(a.Records), len(b.Ops)+len(b.Records))
	})
	a.Witnesses = a.Witnesses[:min(len(a.Witnesses), witnessesMax)]
}

// anomalies returns what was found, faults first, then by name.
func (f *finding) anomalies(config Config, subscribe bool) []Anomaly {
	all := make([]Anomaly, 0, len(f.byName))
	for _, name := range slices.Sorted(maps.Keys(f.byName)) {
		a := f.byName[name]
		a.Allowed = config.Allowed(name, subscribe)
		all = append(all, *a)
	}
	slices.SortStableFunc(all, func(a, b Anomaly) int {
		return cmp.Compare(min(1, len(a.Allowed)), min(1, len(b.Allowed)))
	})
	return all
}
