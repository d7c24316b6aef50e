package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/heiban/heiban/core/log"
)

// directory holds names twice: as everyone sees them, and as a power loss would
// leave them if no operation in between survived.
type directory struct {
	draws   draws
	now     []name // sorted
	durable []name // sorted
}

// name is one entry: a file or a directory.
type name struct {
	name string
	file *inode
	dir  *directory
}

// nameOp is a change of names that is not durable yet. A rename changes two names
// at once: no crash leaves one half.
type nameOp struct {
	from   *directory // nil: the entry is new
	to     *directory // nil: the entry goes
	old    string
	new    string
	entry  name
	needed bool // scratch of syncDir
}

func byName(n name, s string) int { return strings.Compare(n.name, s) }

func find(names []name, s string) (name, bool) {
	if i, ok := slices.BinarySearchFunc(names, s, byName); ok {
		return names[i], true
	}
	return name{}, false
}

// with returns names with one entry set.
func with(names []name, n name) []name {
	i, ok := slices.BinarySearchFunc(names, n.name, byName)
	if ok {
		names[i] = n
		return names
	}
	return slices.Insert(names, i, n)
}

// without returns names with one entry gone.
func without(names []name, s string) []name {
	if i, ok := slices.BinarySearchFunc(names, s, byName); ok {
		return slices.Delete(names, i, i+1)
	}
	return names
}

// lookDir finds a directory.
func (d *Disk) lookDir(path string) (*directory, error) {
	at := d.root
	for rest := path; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		if part == "" {
			continue
		}
		n, ok := find(at.now, part)
		if !ok || n.dir == nil {
			return nil, notExist(path)
		}
		at = n.dir
	}
	return at, nil
}

// open finds a file.
func (d *Disk) open(path string) (*inode, error) {
	parent, last := split(path)
	in, err := d.lookDir(parent)
	if err != nil {
		return nil, notExist(path)
	}
	n, ok := find(in.now, last)
	if !ok {
		return nil, notExist(path)
	}
	if n.file == nil {
		return nil, fmt.Errorf("open %s: is a directory", path)
	}
	return n.file, nil
}

// create finds a file or makes an empty one.
func (d *Disk) create(path string) (*inode, error) {
	parent, last := split(path)
	in, err := d.lookDir(parent)
	if err != nil {
		return nil, err
	}
	if n, ok := find(in.now, last); ok {
		if n.file == nil {
			return nil, fmt.Errorf("create %s: is a directory", path)
		}
		return n.file, nil
	}
	d.serial++
	f := &inode{id: d.serial, draws: draws{key: keyOf(path)}, modified: d.Now}
	d.change(nameOp{to: in, new: last, entry: name{name: last, file: f}})
	return f, nil
}

// makeDir makes a directory and its missing parents.
func (d *Disk) makeDir(path string) error {
	at := d.root
	for rest := path; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		if part == "" {
			continue
		}
		n, ok := find(at.now, part)
		if ok && n.dir == nil {
			return fmt.Errorf("make directory %s: %s is a file", path, part)
		}
		if !ok {
			n = name{name: part, dir: &directory{draws: draws{key: keyOf(part)}}}
			d.change(nameOp{to: at, new: part, entry: n})
		}
		at = n.dir
	}
	return nil
}

// rename moves an entry, replacing a file of the new name.
func (d *Disk) rename(oldPath, newPath string) error {
	oldParent, oldName := split(oldPath)
	newParent, newName := split(newPath)
	from, err := d.lookDir(oldParent)
	if err != nil {
		return notExist(oldPath)
	}
	to, err := d.lookDir(newParent)
	if err != nil {
		return notExist(newPath)
	}
	entry, ok := find(from.now, oldName)
	if !ok {
		return notExist(oldPath)
	}
	if there, ok := find(to.now, newName); ok && (there.dir != nil || entry.dir != nil) {
		if there.dir == nil || entry.dir == nil || len(there.dir.now) > 0 {
			return fmt.Errorf("rename %s to %s: %s is in the way", oldPath, newPath, newName)
		}
	}
	if from == to && oldName == newName {
		return nil
	}
	d.change(nameOp{from: from, to: to, old: oldName, new: newName, entry: entry})
	return nil
}

// remove takes a file away, or a directory with all it holds.
func (d *Disk) remove(path string) error {
	parent, last := split(path)
	in, err := d.lookDir(parent)
	if err != nil {
		return nil // it is not there
	}
	d.removeEntry(in, last)
	return nil
}

// removeEntry removes from the leaves up, as those who delete a tree must.
func (d *Disk) removeEntry(in *directory, s string) {
	n, ok := find(in.now, s)
	if !ok {
		return
	}
	if n.dir != nil {
		for len(n.dir.now) > 0 {
			d.removeEntry(n.dir, n.dir.now[0].name)
		}
	}
	d.change(nameOp{from: in, old: s, entry: n})
}

// change applies an operation to what everyone sees, and notes it as not durable.
func (d *Disk) change(op nameOp) {
	if op.to != nil {
		op.entry.name = op.new
	}
	d.hold(op.entry, 1) // for as long as the operation may come undone
	d.apply(&op, false)
	d.names = append(d.names, op)
}

// apply carries an operation out on the names as seen, or on the durable ones.
func (d *Disk) apply(op *nameOp, durable bool) {
	if op.from != nil {
		names := op.from.view(durable)
		*names = without(*names, op.old)
	}
	if op.to == nil {
		d.hold(op.entry, -1)
		return
	}
	if op.from == nil {
		d.hold(op.entry, 1)
	}
	names := op.to.view(durable)
	if there, ok := find(*names, op.new); ok {
		d.hold(there, -1)
	}
	*names = with(*names, op.entry)
}

func (in *directory) view(durable bool) *[]name {
	if durable {
		return &in.durable
	}
	return &in.now
}

// hold counts the names of a file.
func (d *Disk) hold(n name, change int32) {
	if n.file != nil {
		n.file.holders += change
		d.maybeDiscard(n.file)
	}
}

// list returns the entries of a directory, which are sorted already.
func (d *Disk) list(path string) ([]log.Entry, error) {
	in, err := d.lookDir(path)
	if err != nil {
		return nil, err
	}
	entries := make([]log.Entry, 0, len(in.now))
	for _, n := range in.now {
		e := log.Entry{Name: n.name, Dir: n.dir != nil}
		if n.file != nil {
			e.Size, e.Modified = n.file.size, n.file.modified
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// syncDir makes the names in a directory durable, and with them every earlier
// change that they rest on.
func (d *Disk) syncDir(path string) error {
	d.Counts.Syncs++
	in, err := d.lookDir(path)
	if err != nil {
		return err
	}
	if d.Faults.SyncErrorPPM > 0 && Chance(d.next(errorStream, &in.draws), d.Faults.SyncErrorPPM) {
		d.Counts.SyncErrors++
		return fmt.Errorf("sync directory: %w", errIO)
	}
	for i := len(d.names) - 1; i >= 0; i-- {
		op := &d.names[i]
		op.needed = op.from == in || op.to == in
		for j := i + 1; j < len(d.names) && !op.needed; j++ {
			op.needed = d.names[j].needed && op.meets(&d.names[j])
		}
	}
	kept := d.names[:0]
	for _, op := range d.names {
		if op.needed {
			d.apply(&op, true)
			d.hold(op.entry, -1)
		} else {
			kept = append(kept, op)
		}
	}
	clear(d.names[len(kept):])
	d.names = kept
	return nil
}

// meets reports whether two operations touch a common name.
func (op *nameOp) meets(o *nameOp) bool {
	touches := func(in *directory, s string) bool {
		return in != nil && (op.from == in && op.old == s || op.to == in && op.new == s)
	}
	return touches(o.from, o.old) || touches(o.to, o.new)
}
