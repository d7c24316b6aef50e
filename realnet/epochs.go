package realnet

// epochs says when no query names a released file any more. A query works on a
// snapshot, so it may name files that were released after it was filed:
//
//  1. A fetch of foo-0 is filed and has to wait for a slow reader of its connection.
//  2. The topic foo is deleted, and its files are released.
//  3. A new topic foo is created, with files of the same paths.
//  4. The fetch is answered. It must not read the new topic's files.
//
// Therefore a released file stays in the table until every query that was filed before
// has been answered. Queries are counted in two epochs: the current one, and the one
// before. When the older one has ended, its files are done and the epochs move on.
type epochs struct {
	queries [2]int // filed in the epoch and not yet answered
	retired [2][]*handle
	current int
}

// begin counts a query and returns its epoch.
func (e *epochs) begin() int {
	e.queries[e.current]++
	return e.current
}

// end counts a query out.
func (e *epochs) end(epoch int) { e.queries[epoch]-- }

// retire adds a file that queries up to now may name.
func (e *epochs) retire(h *handle) { e.retired[e.current] = append(e.retired[e.current], h) }

// done returns the files that no query names, and moves on.
func (e *epochs) done() []*handle {
	var done []*handle
	for len(e.retired[0])+len(e.retired[1]) > 0 && e.queries[1-e.current] == 0 {
		older := 1 - e.current
		done = append(done, e.retired[older]...)
		e.retired[older] = nil
		e.current = older
	}
	return done
}
