package sim

import (
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
		if !strings.HasSuffix(name, logFileSuffix) || n.size == 0 || strings.HasSuffix(dir, "-delete") {
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
	// other copy of it.
	last = slices.DeleteFunc(last, func(n named) bool {
		return strings.Contains(n.path, "__cluster_metadata")
	})
	if len(last) == 0 {
		return Damage{}, false
	}
	n := last[Below(d.bits(rotStream, 1), int64(len(last)))]
	at := n.size - 1 - Below(d.bits(rotStream, n.file.id), min(tail, n.size))
	return d.flip(n, at), true
}
