package realnet

// ring is a list that its entries are linked into, in the order they were pushed.
type ring[T any] struct{ root link[T] }

// link is an entry's place in a ring. The zero value is in none.
type link[T any] struct {
	prev, next *link[T]
	of         T
}

func (r *ring[T]) init() { r.root.prev, r.root.next = &r.root, &r.root }

// push puts l at the end.
func (r *ring[T]) push(l *link[T]) {
	l.remove()
	l.prev, l.next = r.root.prev, &r.root
	l.prev.next, l.next.prev = l, l
}

// oldest returns the entry that was pushed first.
func (r *ring[T]) oldest() (of T, ok bool) {
	if r.root.next == &r.root {
		return of, false
	}
	return r.root.next.of, true
}

// remove takes l out of the ring it is in, if any.
func (l *link[T]) remove() {
	if l.next != nil {
		l.prev.next, l.next.prev = l.next, l.prev
		l.prev, l.next = nil, nil
	}
}
