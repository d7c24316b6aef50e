package sim

import "strings"

// peeked is the content of a file as whoever reads it now would see it.
type peeked struct {
	data    []byte
	durable int64 // bytes from the first on that no power loss can take
}

// segments returns the log files in a directory, oldest first. To look draws no noise
// and meets no fault.
func (d *Disk) segments(dir string) []peeked {
	in, err := d.lookDir(dir)
	if err != nil {
		return nil
	}
	named := d.durableDir(dir)
	var all []peeked
	for _, n := range in.now { // sorted, and so by base offset
		if n.dir != nil || !strings.HasSuffix(n.name, logFileSuffix) {
			continue
		}
		p := peeked{data: make([]byte, n.file.size)}
		n.file.read(p.data, 0)
		if kept, ok := find(in.durable, n.name); named && ok && kept.file == n.file {
			p.durable = n.file.durable()
		}
		all = append(all, p)
	}
	return all
}

// durableDir reports whether a directory that is there stays there without power.
func (d *Disk) durableDir(path string) bool {
	at := d.root
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if part == "" {
			continue
		}
		seen, ok := find(at.now, part)
		kept, is := find(at.durable, part)
		if !ok || !is || seen.dir == nil || kept.dir != seen.dir {
			return false
		}
		at = seen.dir
	}
	return true
}

// durable returns how many bytes of a file, from the first on, a power loss leaves as
// they are if it leaves the name.
func (f *inode) durable() int64 {
	kept := f.size
	for i := range f.ops {
		if op := &f.ops[i]; op.state != opDurable {
			kept = min(kept, op.pos, op.oldSize)
		}
	}
	return kept
}
