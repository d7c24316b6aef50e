package sim

// tape is a list of choices to be made instead of random ones, so that all of them
// can be tried in turn.
type tape struct {
	choices []choice
	at      int
}

// choice is one of n.
type choice struct{ taken, n int64 }

// next makes the next choice: as the tape says, and beyond its end the first.
func (t *tape) next(n int64) int64 {
	if t.at == len(t.choices) {
		t.choices = append(t.choices, choice{n: n})
	}
	c := t.choices[t.at]
	t.at++
	return c.taken
}

// advance rewinds the tape for the next combination of choices, and reports whether
// there is one.
func (t *tape) advance() bool {
	t.at = 0
	for len(t.choices) > 0 {
		last := &t.choices[len(t.choices)-1]
		if last.taken++; last.taken < last.n {
			return true
		}
		t.choices = t.choices[:len(t.choices)-1]
	}
	return false
}

// choose makes one of n choices of what a power loss leaves.
func (d *Disk) choose(of *draws, n int64) int64 {
	if d.tape != nil {
		return d.tape.next(n)
	}
	return Below(d.next(crashStream, of), n)
}

// sectorFates says which sectors of a torn page are old, a bit each, and which one
// is strange: the low four bits name it, and the next one says whether it is
// garbage instead of zeros. A tape tries only a few of the combinations.
func (d *Disk) sectorFates(of *draws) (old, strange uint64) {
	if d.tape == nil {
		return d.next(crashStream, of), d.next(crashStream, of)
	}
	const noneStrange = 8
	switch d.tape.next(5) {
	case 0:
		return 0xff, noneStrange // nothing of it
	case 1:
		return 0xf0, noneStrange // the front of the page
	case 2:
		return 0x0f, noneStrange // the back of the page
	case 3:
		return 0, 0 // all, but zeros in front
	}
	return 0, 0 | 16 // all, but garbage in front
}

// CrashStates calls visit with the disk of a node after each power loss that can
// follow build: with everything that may be left of what build did not make
// durable, though not with every content of a torn page. It returns how many states
// there were. The states of a few operations are thousands: keep build small.
func CrashStates(build, visit func(*Disk)) int {
	t := &tape{}
	for states := 1; ; states++ {
		d := NewDisk(NewNoise(0), 0)
		build(d)
		d.tape = t
		d.powerLoss()
		d.tape = nil
		visit(d)
		if !t.advance() {
			return states
		}
	}
}
