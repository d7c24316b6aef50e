package kafka

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	_ "github.com/heiban/heiban/internal/repeatable"
)

// TestScripts judges histories written by hand. A line is an operation,
//
//	PROCESS FUNCTION WORD... => TYPE WORD...
//
// or, where operations overlap, "LABEL: PROCESS FUNCTION WORD..." and later
// "LABEL => TYPE WORD...". The words:
//
//	k=5 k=5@0        a send, before and after its offset is known
//	k:5@0,6@1        a poll, as VALUE@OFFSET
//	k->7             an offset, of a commit, an end, a place to begin
//	k                a key
//	@g               the group
//	moved=k reset ending nanos=7
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			require.Equal(t, "analyze", d.Cmd)
			config := Strict()
			for _, arg := range d.CmdArgs {
				switch arg.Key {
				case "acks=1":
					config.AcksAll = false
				case "acks":
					config.AcksAll = false
				case "plain":
					config.Idempotent = false
				case "uncommitted":
					config.ReadCommitted = false
				case "txn":
					config.Transactional = true
				case "unlogged":
					config.RebalancesLogged = false
				case "ww":
					config.WriteOrder = true
				case "counts", "lag", "all":
				default:
					t.Fatalf("unknown argument %s", arg.Key)
				}
			}
			v := Analyze(&History{Config: config, Events: parseScript(t, d.Input)})
			out := v.String()
			if d.HasArg("counts") {
				out += fmt.Sprintf("%+v\n", v.Counts)
			}
			if d.HasArg("lag") && v.Lag.Op != nil {
				out += fmt.Sprintf("%s was %d behind in %s\n", v.Lag.Key, v.Lag.Nanos, v.Lag.Op)
			}
			return out
		})
	})
}

func parseScript(t *testing.T, input string) []Event {
	t.Helper()
	r := NewRecorder(Config{})
	open := map[string]Event{}
	for _, line := range strings.Split(strings.TrimSpace(input), "\n") {
		begin, end, ends := strings.Cut(line, "=>")
		label, rest, labelled := strings.Cut(begin, ": ")
		words := strings.Fields(begin)
		if labelled {
			words = strings.Fields(rest)
		}
		var e Event
		if labelled || len(words) > 1 {
			process, err := strconv.Atoi(words[0])
			require.NoError(t, err, line)
			e.Process = process
			e.F = Function(slices.Index(functionNames, words[1]))
			require.Positive(t, e.F, line)
			parseWords(t, r, &e, words[2:])
			e.Index = r.Invoke(e)
			open[label] = e
		} else {
			e = open[words[0]]
		}
		if !ends {
			continue
		}
		words = strings.Fields(end)
		done := Event{Process: e.Process, F: e.F, Type: Type(slices.Index(typeNames, words[0]))}
		require.Positive(t, done.Type, line)
		parseWords(t, r, &done, words[1:])
		r.Complete(e.Index, done)
	}
	return r.History.Events
}

func parseWords(t *testing.T, r *Recorder, e *Event, words []string) {
	t.Helper()
	number := func(text string) int64 {
		n, err := strconv.ParseInt(text, 10, 64)
		require.NoError(t, err, text)
		return n
	}
	record := func(text string) Record {
		value, offset, known := strings.Cut(text, "@")
		if !known {
			return Record{NoOffset, number(value)}
		}
		return Record{number(offset), number(value)}
	}
	for _, word := range words {
		key, place, isPlace := strings.Cut(word, "->")
		polledKey, records, isPoll := strings.Cut(word, ":")
		name, value, isPair := strings.Cut(word, "=")
		switch {
		case word == "reset":
			e.Reset = true
		case word == "ending":
			e.Ending = r.Tick()
		case strings.HasPrefix(word, "@"):
			e.Group = word[1:]
		case name == "moved":
			e.Moved = append(e.Moved, Key(value))
		case name == "nanos":
			e.Nanos = number(value)
		case isPlace:
			e.Offsets = append(e.Offsets, Place{Key(key), number(place)})
		case isPoll:
			p := Polled{Key: Key(polledKey)}
			for text := range strings.SplitSeq(records, ",") {
				p.Records = append(p.Records, record(text))
			}
			e.Mops = append(e.Mops, Mop{Polled: []Polled{p}})
		case isPair:
			e.Mops = append(e.Mops, Mop{Key: Key(name), Send: record(value)})
		default:
			e.Keys = append(e.Keys, Key(word))
		}
	}
}
