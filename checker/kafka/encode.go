package kafka

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// A history file holds one JSON object on each line. The first holds the configuration,
// every other one an event:
//
//	{"config":{"acksAll":true,...}}
//	{"index":1,"process":0,"type":"invoke","f":"send","value":[["send","news-0",7]]}
//	{"index":2,"of":1,"process":0,"type":"ok","f":"send","value":[["send","news-0",[3,7]]]}
//	{"index":4,"of":3,"process":1,"type":"ok","f":"poll","value":[["poll",{"news-0":[[3,7]]}]]}
//
// Steps are written as in Jepsen's histories, with offset and value as a pair.

type eventLine struct {
	Index   int64           `json:"index"`
	Of      int64           `json:"of,omitempty"`
	Nanos   int64           `json:"nanos,omitempty"`
	Ending  int64           `json:"ending,omitempty"`
	Process int             `json:"process"`
	Type    string          `json:"type"`
	F       string          `json:"f"`
	Keys    []Key           `json:"keys,omitempty"`
	Mops    []Mop           `json:"value,omitempty"`
	Offsets map[Key]int64   `json:"offsets,omitempty"`
	Moved   []Key           `json:"moved,omitempty"`
	Group   string          `json:"group,omitempty"`
	Error   string          `json:"error,omitempty"`
	Reset   bool            `json:"reset,omitempty"`
	Config  json.RawMessage `json:"config,omitempty"`
}

// MarshalJSON writes the event as a line of a history file.
func (e Event) MarshalJSON() ([]byte, error) {
	line := eventLine{
		Index: e.Index, Of: e.Of, Nanos: e.Nanos, Ending: e.Ending, Process: e.Process,
		Type: e.Type.String(), F: e.F.String(), Keys: e.Keys, Mops: e.Mops, Moved: e.Moved,
		Group: e.Group, Error: e.Error, Reset: e.Reset,
	}
	if len(e.Offsets) > 0 {
		line.Offsets = make(map[Key]int64, len(e.Offsets))
		for _, p := range e.Offsets {
			line.Offsets[p.Key] = p.Offset
		}
	}
	return json.Marshal(line)
}

// event returns what the line says.
func (l *eventLine) event() (Event, error) {
	e := Event{
		Index: l.Index, Of: l.Of, Nanos: l.Nanos, Ending: l.Ending, Process: l.Process,
		Keys: l.Keys, Mops: l.Mops, Moved: l.Moved, Group: l.Group, Error: l.Error,
		Type:  Type(max(0, slices.Index(typeNames, l.Type))),
		F:     Function(max(0, slices.Index(functionNames, l.F))),
		Reset: l.Reset,
	}
	switch {
	case e.Type == 0:
		return e, fmt.Errorf("unknown type %q", l.Type)
	case e.F == 0:
		return e, fmt.Errorf("unknown function %q", l.F)
	}
	for _, k := range slices.Sorted(maps.Keys(l.Offsets)) {
		e.Offsets = append(e.Offsets, Place{k, l.Offsets[k]})
	}
	return e, nil
}

// MarshalJSON writes the record as [offset, value].
func (r Record) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "[%d,%d]", r.Offset, r.Value), nil
}

// UnmarshalJSON reads [offset, value].
func (r *Record) UnmarshalJSON(data []byte) error {
	var pair []int64
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("a record of %d numbers", len(pair))
	}
	r.Offset, r.Value = pair[0], pair[1]
	return nil
}

// MarshalJSON writes the step as in Jepsen's histories.
func (m Mop) MarshalJSON() ([]byte, error) {
	switch {
	case m.Key == "" && len(m.Polled) == 0:
		return []byte(`["poll"]`), nil
	case m.Key == "":
		polled := make(map[Key][]Record, len(m.Polled))
		for _, p := range m.Polled {
			polled[p.Key] = p.Records
		}
		return json.Marshal([]any{"poll", polled})
	case m.Send.Offset == NoOffset:
		return json.Marshal([]any{"send", m.Key, m.Send.Value})
	}
	return json.Marshal([]any{"send", m.Key, m.Send})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (m *Mop) UnmarshalJSON(data []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	var f string
	if len(parts) == 0 || json.Unmarshal(parts[0], &f) != nil {
		return errors.New("a step without a name")
	}
	*m = Mop{}
	switch {
	case f == "poll" && len(parts) == 1:
		return nil
	case f == "poll" && len(parts) == 2:
		var polled map[Key][]Record
		if err := json.Unmarshal(parts[1], &polled); err != nil {
			return err
		}
		for _, k := range slices.Sorted(maps.Keys(polled)) {
			m.Polled = append(m.Polled, Polled{k, polled[k]})
		}
		return nil
	case f == "send" && len(parts) == 3:
		if err := json.Unmarshal(parts[1], &m.Key); err != nil {
			return err
		}
		if bytes.HasPrefix(parts[2], []byte("[")) {
			return json.Unmarshal(parts[2], &m.Send)
		}
		m.Send.Offset = NoOffset
		return json.Unmarshal(parts[2], &m.Send.Value)
	}
	return fmt.Errorf("step %q with %d parts", f, len(parts))
}

// Write writes the history as a file that Read understands, one line at a time.
func (h *History) Write(w io.Writer) error {
	encoder := json.NewEncoder(w)
	if err := encoder.Encode(struct {
		Config Config `json:"config"`
	}{h.Config}); err != nil {
		return err
	}
	for i := range h.Events {
		if err := encoder.Encode(&h.Events[i]); err != nil {
			return err
		}
	}
	return nil
}

// Read reads a history file. A last line that was cut off is an error too: whoever
// wrote the history did not finish.
func Read(r io.Reader) (*History, error) {
	h := &History{}
	decoder := json.NewDecoder(r)
	for n := 1; ; n++ {
		var line eventLine
		err := decoder.Decode(&line)
		if errors.Is(err, io.EOF) {
			return h, nil
		}
		if err == nil && line.Config != nil {
			err = json.Unmarshal(line.Config, &h.Config)
		} else if err == nil {
			var e Event
			e, err = line.event()
			h.Events = append(h.Events, e)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
}
