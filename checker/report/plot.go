package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/heiban/heiban/checker/kafka"
)

// plot is a picture with time from left to right.
type plot struct {
	Width, Height, Left, Bottom int
	Lines                       []line
	Dots                        []dot
	Bands                       []bar  // when somebody disturbed the cluster
	Ticks                       []tick // on the left
	Times                       []tick // below
}

type line struct {
	Points string // of a polyline
	Class  string
	Label  string
	LabelY int
}

type dot struct {
	X, Y  float64
	Class string
}

type tick struct {
	At    float64
	Label string
}

// The geometry of a plot, in pixels, and its resolution.
const (
	plotWidth   = 1000
	plotHeight  = 220
	plotLeft    = 90
	plotBottom  = 200
	binsMax     = 200
	dotsMax     = 4000
	labelHeight = 16
)

// canvas turns instants into places.
type canvas struct {
	plot
	end int64 // of the history, in nanoseconds
}

func newCanvas(v *kafka.Verdict) *canvas {
	c := &canvas{plot: plot{
		Width: plotWidth, Height: plotHeight, Left: plotLeft, Bottom: plotBottom,
	}, end: 1}
	for _, op := range v.Ops {
		c.end = max(c.end, op.Called, op.Nanos)
	}
	for _, op := range v.Ops {
		if op.F == kafka.Nemesis {
			c.Bands = append(c.Bands, bar{
				X: c.x(op.Called), Width: max(1, c.x(op.Nanos)-c.x(op.Called)), Text: op.Error,
			})
		}
	}
	const parts = 5
	for i := range parts + 1 {
		at := c.end / parts * int64(i)
		c.Times = append(c.Times, tick{c.x(at), span(at)})
	}
	return c
}

func (c *canvas) x(nanos int64) float64 {
	return plotLeft + float64(nanos)/float64(c.end)*(plotWidth-plotLeft-10)
}

// rates plots how many values and records came to an end each second.
func rates(v *kafka.Verdict) plot {
	c := newCanvas(v)
	const second = 1_000_000_000
	width := max(c.end/binsMax, second/10)
	counts := map[string][]float64{}
	add := func(name string, at, n int64) {
		if counts[name] == nil {
			counts[name] = make([]float64, c.end/width+1)
		}
		counts[name][at/width] += float64(n) * second / float64(width)
	}
	for _, op := range v.Ops {
		if !op.Ended() {
			continue
		}
		for i := range op.Mops {
			m := &op.Mops[i]
			if m.Key != "" {
				add(op.Type.String(), op.Nanos, 1)
			}
			for _, p := range m.Polled {
				add("polled", op.Nanos, int64(len(p.Records)))
			}
		}
	}
	top := 1.0
	names := []string{"ok", "fail", "info", "polled"}
	for _, name := range names[:3] { // consumers that begin anew would press all else down
		for _, n := range counts[name] {
			top = max(top, n)
		}
	}
	top *= 1.5
	for _, name := range names {
		if counts[name] == nil {
			continue
		}
		var points strings.Builder
		for i, n := range counts[name] {
			fmt.Fprintf(&points, "%.1f,%.1f ", c.x(int64(i)*width), plotBottom*(1-min(1, n/top)))
		}
		c.Lines = append(c.Lines, line{
			Points: points.String(), Class: name, Label: name, LabelY: labelHeight * (1 + len(c.Lines)),
		})
	}
	for _, part := range []float64{0, 0.5, 1} {
		c.Ticks = append(c.Ticks, tick{plotBottom * (1 - part), fmt.Sprintf("%.0f/s", top*part)})
	}
	return c.plot
}

// latencies plots how long sends took, on a logarithmic scale.
func latencies(v *kafka.Verdict) plot {
	c := newCanvas(v)
	var sends []*kafka.Op
	slowest := int64(1)
	for _, op := range v.Ops {
		if (op.F == kafka.Send || op.F == kafka.Txn) && op.Ended() {
			sends = append(sends, op)
			slowest = max(slowest, op.Nanos-op.Called)
		}
	}
	const fastest = 10_000 // nanoseconds, at the bottom
	decades := max(1, math.Ceil(math.Log10(float64(slowest)/fastest)))
	y := func(nanos float64) float64 {
		return plotBottom * (1 - max(0, math.Log10(nanos/fastest))/decades)
	}
	every := len(sends)/dotsMax + 1
	for i, op := range sends {
		if i%every == 0 || op.Type != kafka.OK && len(c.Dots) < 2*dotsMax {
			c.Dots = append(c.Dots, dot{
				c.x(op.Nanos), y(float64(max(1, op.Nanos-op.Called))), op.Type.String(),
			})
		}
	}
	for d := range int(decades) + 1 {
		at := fastest * math.Pow10(d)
		c.Ticks = append(c.Ticks, tick{y(at), span(int64(at))})
	}
	return c.plot
}
