package sim

import (
	"encoding/binary"
	"slices"
	"strings"
)

// rotTail flips one bit near the end of the last segment of some partition, where
// recovery must look after an unclean stop.
func (d *Disk) rotTail() (Damage, bool) {
	const tail = 256
	var last []named
	for _, n := range d.files(nil, "", d.root) {
		dir, name := split(n.path)
		if !strings.HasSuffix(name, logFileSuffix) || strings.HasSuffix(dir, "-delete") {
			continue
		}
		if len(last) > 0 {
			if before, _ := split(last[len(last)-1].path); before == dir {
				last = last[:len(last)-1] // names are in the order of base offsets
			}
		}
		last = append(last, n)
	}
	// The metadata of the cluster is the quorum's business: a lone node has no
	// other copy of it. The segment before an empty one may be below the recovery
	// point.
	last = slices.DeleteFunc(last, func(n named) bool {
		return n.size == 0 || strings.Contains(n.path, "__cluster_metadata")
	})
	if len(last) == 0 {
		return Damage{}, false
	}
	n := last[Below(d.next(rotStream, &d.draws), int64(len(last)))]
	at := n.size - 1 - Below(d.next(rotStream, &n.file.draws), min(tail, n.size))
	return d.flip(n, guarded(n.file, at)), true
}

// guarded moves a position in a log off those fields of its batch that no CRC
// covers: a flip of the base offset or of the leader epoch makes another batch that
// is just as good.
func guarded(f *inode, at int64) int64 {
	const lengthAt, epochAt, magicAt = 8, 12, 16
	head := make([]byte, magicAt)
	for begin := int64(0); begin+magicAt <= f.size; {
		f.read(head, begin)
		next := begin + epochAt + int64(binary.BigEndian.Uint32(head[lengthAt:]))
		if at < next {
			in := at - begin
			if in < lengthAt || in >= epochAt && in < magicAt {
				return begin + lengthAt
			}
			return at
		}
		begin = next
	}
	return at
}
