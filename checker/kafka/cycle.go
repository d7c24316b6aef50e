package kafka

import (
	"fmt"
	"slices"
	"strings"
)

// edge says that a transaction comes after another, and why.
type edge struct {
	to    int // index of the operation in ops
	key   Key
	r     Record // that from wrote and to read, or wrote over
	write bool   // to wrote the next value; otherwise to read the value
}

// graph is the dependencies of transactions, by index of the operation.
type graph struct {
	ops   []*Op
	edges map[int][]edge
}

// checkCycles looks for information that flows in a circle: each transaction must have
// happened before the next one, and the last before the first. Kafka has no reads that
// forbid later writes, so no anti-dependencies are sought.
func (a *analysis) checkCycles() {
	index := map[*Op]int{}
	for i, op := range a.ops {
		if op.F == Txn && len(op.Mops) > 1 {
			index[op] = i
		}
	}
	if len(index) == 0 {
		return
	}
	reads := &graph{ops: a.ops, edges: map[int][]edge{}}
	a.addReads(reads, index)
	writes := &graph{ops: a.ops, edges: map[int][]edge{}}
	a.addWrites(writes, index)
	if a.config.WriteOrder {
		a.addWrites(reads, index)
	}
	a.reportCycles(G0, writes)
	a.reportCycles(G1c, reads)
}

func (a *analysis) addReads(g *graph, index map[*Op]int) {
	for i, op := range a.ops {
		if _, is := index[op]; !is || op.Type != OK {
			continue
		}
		for j := range op.Mops {
			for _, p := range op.Mops[j].Polled {
				for _, r := range p.Records {
					from, is := index[a.logs[p.Key].versions[r.Value].send]
					if is && from != i {
						g.edges[from] = append(g.edges[from], edge{to: i, key: p.Key, r: r})
					}
				}
			}
		}
	}
}

func (a *analysis) addWrites(g *graph, index map[*Op]int) {
	for _, k := range a.keys {
		l := a.logs[k]
		for n := 1; n < len(l.offsets); n++ {
			r := Record{l.offsets[n-1], l.values[l.offsets[n-1]][0]}
			from, is := index[l.versions[r.Value].send]
			to, isToo := index[l.versions[l.values[l.offsets[n]][0]].send]
			if is && isToo && from != to {
				g.edges[from] = append(g.edges[from], edge{to: to, key: k, r: r, write: true})
			}
		}
	}
}

// reportCycles reports one shortest cycle for each set of transactions that depend on
// one another.
func (a *analysis) reportCycles(name string, g *graph) {
	for _, component := range g.components() {
		path := g.cycle(component)
		if name == G1c && !slices.ContainsFunc(path, func(e edge) bool { return !e.write }) {
			continue // it is a G0, and reported as such
		}
		w := Witness{}
		var steps []string
		for i, e := range path {
			from := g.ops[path[(i+len(path)-1)%len(path)].to]
			verb := "read"
			if e.write {
				verb = "wrote after"
			}
			steps = append(steps, fmt.Sprintf("%d %s %s of %s that %d sent", g.ops[e.to].ID, verb, e.r,
				e.key, from.ID))
			w.Ops = append(w.Ops, g.ops[e.to])
			w.Records = append(w.Records, e.r)
		}
		w.Text = "in a circle: " + strings.Join(steps, "; ")
		a.report(name, w)
	}
}

// components returns the sets of more than one operation that can all reach one another,
// by Tarjan's algorithm. Sets and members are in ascending order.
func (g *graph) components() [][]int {
	t := tarjan{g: g, number: map[int]int{}, low: map[int]int{}, onStack: map[int]bool{}}
	for i := range g.ops {
		if t.number[i] == 0 && len(g.edges[i]) > 0 {
			t.visit(i)
		}
	}
	slices.SortFunc(t.found, slices.Compare)
	return t.found
}

type tarjan struct {
	g       *graph
	number  map[int]int // in order of discovery, from 1 on
	low     map[int]int // the lowest number on the stack that can be reached
	onStack map[int]bool
	stack   []int
	found   [][]int
}

func (t *tarjan) visit(v int) {
	t.number[v] = len(t.number) + 1
	t.low[v] = t.number[v]
	t.stack, t.onStack[v] = append(t.stack, v), true
	for _, e := range t.g.edges[v] {
		switch {
		case t.number[e.to] == 0:
			t.visit(e.to)
			t.low[v] = min(t.low[v], t.low[e.to])
		case t.onStack[e.to]:
			t.low[v] = min(t.low[v], t.number[e.to])
		}
	}
	if t.low[v] != t.number[v] {
		return
	}
	at := slices.Index(t.stack, v)
	component := slices.Sorted(slices.Values(t.stack[at:]))
	for _, member := range component {
		delete(t.onStack, member)
	}
	t.stack = t.stack[:at]
	if len(component) > 1 {
		t.found = append(t.found, component)
	}
}

// cycle returns a shortest cycle through the first operation of a component.
func (g *graph) cycle(component []int) []edge {
	start := component[0]
	came := map[int]edge{} // by operation reached; its to is where it was reached from
	queue := []int{start}
	for len(queue) > 0 {
		v := queue[0]
		queue = queue[1:]
		for _, e := range g.edges[v] {
			if _, seen := came[e.to]; seen || !slices.Contains(component, e.to) {
				continue
			}
			came[e.to] = edge{to: v, key: e.key, r: e.r, write: e.write}
			queue = append(queue, e.to)
		}
	}
	var path []edge
	for v := start; ; {
		back := came[v]
		path = append(path, edge{to: v, key: back.key, r: back.r, write: back.write})
		if v = back.to; v == start {
			slices.Reverse(path)
			return path
		}
	}
}
