// Package report writes the verdict on a history as one page without any other file:
// the anomalies with their witnesses, a timeline for each key that has some, and what the
// clients saw over time.
//
// It knows nothing of how a verdict is found. Start at Write.
package report

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"time"

	"github.com/heiban/heiban/checker/kafka"
)

//go:embed page.html
var pageSource string

var page = template.Must(template.New("page").Parse(pageSource))

// content is what the page shows.
type content struct {
	Title     string
	Verdict   *kafka.Verdict
	Promised  []string // what the clients asked for
	Lag       string
	Anomalies []anomaly
	Timelines []timeline
	Rates     plot
	Latencies plot
}

type anomaly struct {
	*kafka.Anomaly
	Shown []witness
}

type witness struct {
	Text  string
	Lines []string
}

// Write writes the page.
func Write(w io.Writer, title string, config kafka.Config, v *kafka.Verdict) error {
	c := content{
		Title: title, Verdict: v, Promised: promised(config), Timelines: timelines(v),
		Rates: rates(v), Latencies: latencies(v),
	}
	if v.Lag.Nanos > 0 {
		c.Lag = fmt.Sprintf("%s in %s", span(v.Lag.Nanos), v.Lag.Key)
	}
	for i := range v.Anomalies {
		a := anomaly{Anomaly: &v.Anomalies[i]}
		for j := range a.Witnesses {
			a.Shown = append(a.Shown, witness{a.Witnesses[j].Text, a.Witnesses[j].Lines()})
		}
		c.Anomalies = append(c.Anomalies, a)
	}
	return page.Execute(w, c)
}

func promised(c kafka.Config) []string {
	var words []string
	for _, p := range []struct {
		is   bool
		name string
	}{
		{c.AcksAll, "acks=all"},
		{c.Idempotent, "idempotent"},
		{c.ReadCommitted, "read_committed"},
		{c.Transactional, "transactional"},
		{c.FreshReads, "fresh reads"},
	} {
		if p.is {
			words = append(words, p.name)
		}
	}
	return words
}

// span is a duration that people can read.
func span(nanos int64) string {
	d := time.Duration(nanos)
	return d.Round(max(1, d/1000)).String()
}

// timeline shows what processes did to one key around its witnesses.
type timeline struct {
	Key    kafka.Key
	Height int
	Rows   []row
	Bars   []bar
	From   string
	To     string
}

type row struct {
	Y     int
	Label string
}

// bar is one operation.
type bar struct {
	X, Y, Width float64
	Class       string
	Text        string // for a tooltip
}

// The geometry of a timeline, in pixels.
const (
	timelineWidth = 1000
	labelWidth    = 90
	rowHeight     = 18
	barHeight     = 12
	barsMax       = 600
	processesMax  = 40
)

// timelines returns one timeline for each key with witnesses, in order. It spans the
// first witness of every anomaly, and a little more.
func timelines(v *kafka.Verdict) []timeline {
	witnessed := map[kafka.Key]map[*kafka.Op]bool{}
	var keys []kafka.Key
	for i := range v.Anomalies {
		w := &v.Anomalies[i].Witnesses[0]
		if witnessed[w.Key] == nil {
			witnessed[w.Key] = map[*kafka.Op]bool{}
			keys = append(keys, w.Key)
		}
		for _, op := range w.Ops {
			witnessed[w.Key][op] = true
		}
	}
	slices.Sort(keys)
	var all []timeline
	for _, key := range keys {
		all = append(all, newTimeline(v, key, witnessed[key]))
	}
	return all
}

func newTimeline(v *kafka.Verdict, key kafka.Key, witnesses map[*kafka.Op]bool) timeline {
	from, to := int64(1)<<62, int64(0)
	for op := range witnesses {
		from, to = min(from, op.ID), max(to, op.ID, endOf(op, op.ID))
	}
	margin := (to-from)/20 + 2
	from, to = max(0, from-margin), to+margin
	ops := shown(v, key, witnesses, from, to)
	t := timeline{Key: key, From: fmt.Sprint("event ", from), To: fmt.Sprint("event ", to)}
	lines := map[int]int{}
	for _, op := range ops {
		lines[op.Process] = 0
	}
	var processes []int
	for process := range lines {
		processes = append(processes, process)
	}
	slices.Sort(processes)
	for i, process := range processes {
		lines[process] = i * rowHeight
		t.Rows = append(t.Rows, row{Y: i*rowHeight + barHeight, Label: fmt.Sprint("process ", process)})
	}
	t.Height = len(processes)*rowHeight + rowHeight
	scale := float64(timelineWidth-labelWidth) / float64(to-from)
	for _, op := range ops {
		begin, end := max(op.ID, from), min(endOf(op, to), to)
		class := op.Type.String()
		if witnesses[op] {
			class += " witness"
		}
		t.Bars = append(t.Bars, bar{
			X: labelWidth + float64(begin-from)*scale, Y: float64(lines[op.Process]),
			Width: max(2, float64(end-begin)*scale), Class: class, Text: cut(op.String()),
		})
	}
	return t
}

// cut shortens the text of an operation that polled much.
func cut(text string) string {
	const textMax = 400
	if len(text) > textMax {
		return text[:textMax] + "..."
	}
	return text
}

// endOf is when an operation ended, or the latest that is of interest.
func endOf(op *kafka.Op, latest int64) int64 {
	if op.Ended() {
		return op.Done
	}
	return latest
}

// shown returns the operations on a key in a window: all witnesses, and what else there
// is room for, those that begin closest to a witness first.
func shown(
	v *kafka.Verdict, key kafka.Key, witnesses map[*kafka.Op]bool, from, to int64,
) []*kafka.Op {
	var ops, others []*kafka.Op
	for _, op := range v.Ops {
		switch {
		case witnesses[op]:
			ops = append(ops, op)
		case op.ID <= to && endOf(op, to) >= from && op.About(key):
			others = append(others, op)
		}
	}
	distance := func(op *kafka.Op) int64 {
		least := int64(1) << 62
		for _, w := range ops {
			least = min(least, max(op.ID-w.ID, w.ID-op.ID))
		}
		return least
	}
	if len(others) > barsMax {
		slices.SortStableFunc(others, func(a, b *kafka.Op) int {
			return cmp.Compare(distance(a), distance(b))
		})
		others = others[:barsMax]
	}
	ops = append(ops, others...)
	slices.SortFunc(ops, func(a, b *kafka.Op) int { return cmp.Compare(a.ID, b.ID) })
	return ops[:min(len(ops), barsMax+processesMax)]
}
