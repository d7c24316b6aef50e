package sim

import (
	"fmt"
	"io"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/log"
)

const (
	pageBytes   = 4096 // what the page cache writes back at once
	sectorBytes = 512  // what the device writes at once
	// writebackOps is how many operations of a file may wait for a sync before
	// the system writes the older half back by itself.
	writebackOps = 2048
)

type page [pageBytes]byte

// inode is one file: its content as everyone sees it, and the operations that are
// not durable yet. Bytes beyond size are zero in every page; a nil page is zero.
type inode struct {
	id       uint64
	draws    draws
	pages    []*page
	ops      []fileOp
	opsDone  uint64 // operations forgotten from the front of ops
	size     int64
	modified clock.Wall
	holders  int32 // names, volatile or durable, and handles
	dirty    bool  // on the disk's list
}

// fileOp is a write or a truncation that a power loss may undo.
type fileOp struct {
	pos      int64   // of a write; the new size of a truncation
	len      int64   // of a write
	oldSize  int64   // before
	undo     []byte  // of a write: the bytes it overwrote
	cut      []*page // of a truncation: the pages from pos on, as they were
	truncate bool
	state    opState
}

// opState says what a power loss can do to an operation.
type opState uint8

const (
	opPending opState = iota // it may survive or not
	opDurable                // it survives
	opDropped                // it does not: a failed sync took it out of write-back
)

func (d *Disk) newPage() *page {
	d.pages++
	if n := len(d.free); n > 0 {
		p := d.free[n-1]
		d.free = d.free[:n-1]
		return p
	}
	return new(page)
}

// readAt copies bytes out, as io.ReaderAt does.
func (d *Disk) readAt(f *inode, p []byte, pos int64) (int, error) {
	d.Counts.Reads++
	if d.Faults.ReadErrorPPM > 0 &&
		Chance(d.next(errorStream, &f.draws), d.Faults.ReadErrorPPM) {
		d.Counts.ReadErrors++
		return 0, fmt.Errorf("read: %w", errIO)
	}
	if pos >= f.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), f.size-pos))
	f.read(p[:n], pos)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// read copies bytes that lie within the pages, or zeros.
func (f *inode) read(p []byte, pos int64) {
	for len(p) > 0 {
		index, offset := pos/pageBytes, pos%pageBytes
		n := min(len(p), int(pageBytes-offset))
		if index < int64(len(f.pages)) && f.pages[index] != nil {
			copy(p[:n], f.pages[index][offset:])
		} else {
			clear(p[:n])
		}
		p, pos = p[n:], pos+int64(n)
	}
}

// put copies bytes in. It changes neither the size nor the operations.
func (d *Disk) put(f *inode, p []byte, pos int64) {
	for len(p) > 0 {
		index, offset := pos/pageBytes, pos%pageBytes
		for int64(len(f.pages)) <= index {
			f.pages = append(f.pages, nil)
		}
		if f.pages[index] == nil {
			f.pages[index] = d.newPage()
		}
		n := copy(f.pages[index][offset:], p)
		p, pos = p[n:], pos+int64(n)
	}
}

// writeAt writes, unless the disk is full or fails.
func (d *Disk) writeAt(f *inode, p []byte, pos int64) (int, error) {
	d.Counts.Writes++
	if d.Faults.WriteErrorPPM > 0 && Chance(d.next(errorStream, &f.draws), d.Faults.WriteErrorPPM) {
		d.Counts.WriteErrors++
		n := int(Below(d.next(errorStream, &f.draws), int64(len(p)+1)))
		d.write(f, p[:n], pos)
		return n, fmt.Errorf("write: %w", errIO)
	}
	if end := pos + int64(len(p)); d.Faults.BytesMax > 0 && end > f.size &&
		d.pages*pageBytes+end-f.size > d.Faults.BytesMax {
		d.Counts.NoSpace++
		n := int(Below(d.next(errorStream, &f.draws), int64(len(p)+1)))
		d.write(f, p[:n], pos)
		return n, fmt.Errorf("write: %w", log.ErrNoSpace)
	}
	d.write(f, p, pos)
	return len(p), nil
}

// write changes a file and notes how to undo it.
func (d *Disk) write(f *inode, p []byte, pos int64) {
	if len(p) == 0 {
		return
	}
	op := fileOp{pos: pos, len: int64(len(p)), oldSize: f.size}
	end := pos + op.len
	if pos < f.size {
		op.undo = make([]byte, min(end, f.size)-pos)
		f.read(op.undo, pos)
	}
	d.put(f, p, pos)
	f.size = max(f.size, end)
	d.note(f, op)
}

// truncate changes a file's size and notes how to undo it.
func (d *Disk) truncate(f *inode, size int64) {
	if size == f.size {
		return
	}
	op := fileOp{pos: size, oldSize: f.size, truncate: true}
	if size < f.size {
		op.cut = d.shrink(f, size)
	}
	f.size = size
	d.note(f, op)
}

// shrink cuts the pages off beyond size, and returns them as they were.
func (d *Disk) shrink(f *inode, size int64) (cut []*page) {
	first := size / pageBytes
	if first >= int64(len(f.pages)) {
		return nil
	}
	cut = append(cut, f.pages[first:]...)
	whole := first
	if offset := size % pageBytes; offset > 0 && f.pages[first] != nil {
		kept := d.newPage()
		*kept = *f.pages[first]
		clear(kept[offset:])
		f.pages[first] = kept
		whole++
	}
	clear(f.pages[whole:])
	f.pages = f.pages[:whole]
	return cut
}

// cutOff discards the pages beyond size.
func (d *Disk) cutOff(f *inode, size int64) {
	for _, p := range d.shrink(f, size) {
		d.freePage(p)
	}
}

// note adds an operation to those that a power loss may undo.
func (d *Disk) note(f *inode, op fileOp) {
	f.modified = d.Now
	f.ops = append(f.ops, op)
	if !f.dirty {
		f.dirty = true
		d.dirty = append(d.dirty, f)
	}
	if len(f.ops) >= writebackOps {
		d.harden(f, len(f.ops)/2)
	}
}

// mark names the operations done so far.
func (f *inode) mark() uint64 { return f.opsDone + uint64(len(f.ops)) }

// sync makes the operations before a mark durable. A failed sync is reported once:
// what it did not write is either kept for the next one or silently left out of
// all that follow, as some file systems do.
func (d *Disk) sync(f *inode, mark uint64) error {
	n := int(int64(mark) - int64(f.opsDone)) // may be less than 0: written back since
	n = max(0, min(n, len(f.ops)))
	d.Counts.Syncs++
	if d.Faults.SyncErrorPPM > 0 && Chance(d.next(errorStream, &f.draws), d.Faults.SyncErrorPPM) {
		d.Counts.SyncErrors++
		if d.next(errorStream, &f.draws)&1 == 0 {
			d.Counts.SyncsDropped++
			for i := range f.ops[:n] {
				if f.ops[i].state == opPending {
					f.ops[i].state = opDropped
				}
			}
		}
		return fmt.Errorf("sync: %w", errIO)
	}
	d.harden(f, n)
	return nil
}

// harden makes the first n operations durable and forgets those that nothing can
// undo any more: the ones before the first that may yet be undone.
func (d *Disk) harden(f *inode, n int) {
	for i := range f.ops[:n] {
		if f.ops[i].state == opPending {
			f.ops[i].state = opDurable
		}
	}
	forget := 0
	for forget < len(f.ops) && f.ops[forget].state == opDurable {
		d.recycle(&f.ops[forget])
		forget++
	}
	f.opsDone += uint64(forget)
	kept := copy(f.ops, f.ops[forget:])
	clear(f.ops[kept:])
	f.ops = f.ops[:kept]
}

// recycle takes back the pages that only an undo still needed.
func (d *Disk) recycle(op *fileOp) {
	for _, p := range op.cut {
		d.freePage(p)
	}
	op.cut = nil
}

func (d *Disk) freePage(p *page) {
	if p == nil {
		return
	}
	d.pages--
	*p = page{}
	d.free = append(d.free, p)
}

// maybeDiscard frees the pages of a file that has neither name nor handle.
func (d *Disk) maybeDiscard(f *inode) {
	if f.holders > 0 {
		return
	}
	for i := range f.ops {
		d.recycle(&f.ops[i])
	}
	for _, p := range f.pages {
		d.freePage(p)
	}
	f.opsDone = f.mark()
	f.pages, f.ops, f.size = nil, nil, 0
}
