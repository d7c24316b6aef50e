package sim

import "slices"

// survival is what a power loss leaves of the operations that were not durable.
type survival uint8

const (
	survivesNone      survival = iota // nothing but what was synced
	survivesAll                       // the system had written everything back
	survivesPrefix                    // the first operations, the next one torn
	survivesScattered                 // any prefix of each page, and any size in between
	survivals
)

// crash is a process crash: what was written stays, open handles go.
func (d *Disk) crash() {
	for _, f := range d.handles { // closed in any order, the files come out the same
		f.holders--
		d.maybeDiscard(f)
	}
	clear(d.handles)
}

// powerLoss takes what was not durable, as far as a keyed choice wants it, and
// returns what is gone.
func (d *Disk) powerLoss() []Damage {
	d.crash()
	d.Counts.PowerLosses++
	first := len(d.damage)
	before := d.files(nil, "", d.root)
	for _, f := range d.dirty {
		f.dirty = false
		if len(f.ops) > 0 {
			d.loseOps(f, before)
		}
	}
	clear(d.dirty)
	d.dirty = d.dirty[:0]
	d.loseNames()
	d.noteLostNames(before)
	return d.damage[first:]
}

// named is a file with its path.
type named struct {
	path string
	file *inode
	size int64
}

// files lists every file below a directory, in the order of names.
func (d *Disk) files(list []named, path string, in *directory) []named {
	for _, n := range in.now {
		if n.dir != nil {
			list = d.files(list, path+"/"+n.name, n.dir)
		} else {
			list = append(list, named{path + "/" + n.name, n.file, n.file.size})
		}
	}
	return list
}

// loseOps replaces a file's content by what survives of it.
func (d *Disk) loseOps(f *inode, before []named) {
	low, high := f.size, f.size // the bytes in question
	for i := range f.ops {
		low = min(low, f.ops[i].pos, f.ops[i].oldSize)
	}
	was := make([]byte, high-low)
	f.read(was, low)

	ops := f.ops
	f.opsDone = f.mark()
	f.ops = nil
	redo := d.undo(f, ops)
	d.redo(f, ops, redo)

	if i := slices.IndexFunc(before, func(n named) bool { return n.file == f }); i >= 0 {
		d.compare(f, before[i].path, was, low)
	}
}

// undo takes operations back, the last one first, and returns what each write had
// written. The file is then as if nothing since the last sync had happened.
func (d *Disk) undo(f *inode, ops []fileOp) (written [][]byte) {
	written = make([][]byte, len(ops))
	for i := len(ops) - 1; i >= 0; i-- {
		op := &ops[i]
		if !op.truncate {
			written[i] = make([]byte, op.len)
			f.read(written[i], op.pos)
			d.cutOff(f, op.oldSize)
			d.put(f, op.undo, op.pos)
		} else if d.cutOff(f, min(op.pos, op.oldSize)); op.cut != nil {
			first := int(op.pos / pageBytes)
			for len(f.pages) < first {
				f.pages = append(f.pages, nil)
			}
			for _, p := range f.pages[first:] {
				d.freePage(p)
			}
			f.pages = append(f.pages[:first], op.cut...)
			op.cut = nil
		}
		f.size = op.oldSize
	}
	return written
}

// redo repeats the operations that survive.
func (d *Disk) redo(f *inode, ops []fileOp, written [][]byte) {
	n := int64(len(ops))
	how := survival(d.choose(&f.draws, int64(survivals)))
	whole := d.prefix(f, how, n) // of a scattered survival: how many sizes
	d.pageDraws = d.pageDraws[:0]
	size := f.size
	for i := range ops {
		op := &ops[i]
		counts := op.state == opDurable || (op.state == opPending && int64(i) < whole)
		if !counts && op.state == opPending {
			d.Counts.LostOps++
		}
		if op.truncate {
			if counts {
				size = op.pos
				d.cutOff(f, size)
			}
			continue
		}
		if counts {
			size = max(size, op.pos+op.len)
		}
		d.redoWrite(f, &crashedWrite{
			op: op, data: written[i], index: int64(i), ops: n, whole: whole,
			scattered: how == survivesScattered, torn: how != survivesNone,
		})
	}
	if how == survivesPrefix && whole < n && !ops[whole].truncate &&
		ops[whole].state == opPending && d.choose(&f.draws, 2) == 0 {
		size = max(size, ops[whole].pos+ops[whole].len) // the torn write's size was kept
	}
	d.cutOff(f, size)
	f.size = size
}

// prefix draws how many of n operations survive.
func (d *Disk) prefix(f *inode, how survival, n int64) int64 {
	switch how {
	case survivesNone:
		return 0
	case survivesAll:
		return n
	}
	return d.choose(&f.draws, n+1)
}

// pageDraw is how many operations of a file came before a page was written back.
type pageDraw struct{ page, whole int64 }

// pagePrefix draws how many of n operations survive on one page. It is the same for
// all of them: the page was written back once, after some of them.
func (d *Disk) pagePrefix(f *inode, page, n int64) int64 {
	for _, drawn := range d.pageDraws {
		if drawn.page == page {
			return drawn.whole
		}
	}
	whole := d.choose(&f.draws, n+1)
	d.pageDraws = append(d.pageDraws, pageDraw{page, whole})
	return whole
}

// crashedWrite is a write in the light of a power loss.
type crashedWrite struct {
	op        *fileOp
	data      []byte
	index     int64 // among the operations of the file
	ops       int64
	whole     int64 // how many of them survive whole
	scattered bool  // each page has a number of its own
	torn      bool  // the first that does not survive whole may survive in part
}

// redoWrite repeats a write page by page, as far as each page survives.
func (d *Disk) redoWrite(f *inode, w *crashedWrite) {
	if w.op.state == opDropped {
		return
	}
	for data, pos := w.data, w.op.pos; len(data) > 0; {
		part := min(len(data), int(pageBytes-pos%pageBytes))
		whole := w.whole
		if w.scattered {
			whole = d.pagePrefix(f, pos/pageBytes, w.ops)
		}
		switch {
		case w.op.state == opDurable || w.index < whole:
			d.put(f, data[:part], pos)
		case w.index == whole && w.torn:
			d.tear(f, data[:part], pos)
		}
		data, pos = data[part:], pos+int64(part)
	}
}

// tear repeats a part of a write within one page: some sectors are new, some old,
// and one may be zeros or garbage. Bytes that the write did not touch stay.
func (d *Disk) tear(f *inode, data []byte, pos int64) {
	d.Counts.TornOps++
	fate, strange := d.sectorFates(&f.draws)
	for len(data) > 0 {
		sector := uint(pos%pageBytes) / sectorBytes
		part := data[:min(len(data), int(sectorBytes-pos%sectorBytes))]
		switch {
		case strange&15 == uint64(sector): // one time in two there is one such sector
			junk := make([]byte, len(part))
			if strange&16 != 0 {
				for i := range junk {
					junk[i] = byte(d.noise.Bits(crashStream, strange, uint64(pos), uint64(i)))
				}
			}
			d.put(f, junk, pos)
		case fate>>sector&1 == 0:
			d.put(f, part, pos)
		}
		data, pos = data[len(part):], pos+int64(len(part))
	}
}

// compare notes which bytes of a file are not what they were.
func (d *Disk) compare(f *inode, path string, was []byte, low int64) {
	kept := max(0, min(int64(len(was)), f.size-low))
	is := make([]byte, kept)
	f.read(is, low)
	for i := 0; i < len(is); {
		if was[i] == is[i] {
			i++
			continue
		}
		from, last := i, i
		for ; i < len(is) && i-last < sectorBytes; i++ {
			if was[i] != is[i] {
				last = i
			}
		}
		d.damaged(Damage{path, low + int64(from), low + int64(last) + 1, BytesLost})
	}
	if kept < int64(len(was)) {
		d.damaged(Damage{path, low + kept, low + int64(len(was)), BytesLost})
	}
}

func (d *Disk) damaged(m Damage) {
	d.Counts.LostBytes += m.To - m.From
	d.damage = append(d.damage, m)
}

// loseNames lets some of the changes of names survive: each may, if all those that
// it rests on did.
func (d *Disk) loseNames() {
	if len(d.names) == 0 {
		return
	}
	how := survival(d.choose(&d.draws, int64(survivals)))
	whole := int64(0)
	if how == survivesPrefix {
		whole = d.choose(&d.draws, int64(len(d.names))+1)
	}
	var lost []*nameOp
	for i := range d.names {
		op := &d.names[i]
		rests := slices.ContainsFunc(lost, op.meets) // on something that is lost
		survives := how == survivesAll || (how == survivesPrefix && int64(i) < whole) ||
			(how == survivesScattered && !rests && d.choose(&d.draws, 2) == 0)
		if rests || !survives {
			lost = append(lost, op)
			d.Counts.LostNames++
			continue
		}
		d.apply(op, true)
	}
	d.restore(d.root)
	for i := range d.names {
		d.hold(d.names[i].entry, -1)
	}
	clear(d.names)
	d.names = d.names[:0]
}

// restore makes everyone see the durable names.
func (d *Disk) restore(in *directory) {
	for _, n := range in.durable {
		d.hold(n, 1)
	}
	for _, n := range in.now {
		d.hold(n, -1)
	}
	in.now = append(in.now[:0], in.durable...)
	for _, n := range in.now {
		if n.dir != nil {
			d.restore(n.dir)
		}
	}
}

// noteLostNames notes the files that are no longer where they were.
func (d *Disk) noteLostNames(before []named) {
	for _, n := range before {
		if f, err := d.open(n.path); err != nil || f != n.file {
			d.damaged(Damage{n.path, 0, n.size, FileLost})
		}
	}
}

// rot flips one bit of a file for good, and reports which.
func (d *Disk) rot() (Damage, bool) {
	all := slices.DeleteFunc(d.files(nil, "", d.root), func(n named) bool { return n.size == 0 })
	if len(all) == 0 {
		return Damage{}, false
	}
	n := all[Below(d.next(rotStream, &d.draws), int64(len(all)))]
	return d.flip(n, Below(d.next(rotStream, &n.file.draws), n.size)), true
}

// flip inverts one bit of the byte at a position.
func (d *Disk) flip(n named, at int64) Damage {
	b := make([]byte, 1)
	n.file.read(b, at)
	b[0] ^= 1 << Below(d.next(rotStream, &n.file.draws), 8)
	d.put(n.file, b, at)
	d.Counts.RottenBits++
	m := Damage{n.path, at, at + 1, BytesRotten}
	d.damage = append(d.damage, m)
	return m
}
