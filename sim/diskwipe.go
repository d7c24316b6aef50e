package sim

import "strings"

// wipe takes all partitions from a disk and all that is said of them, as if the disk was
// replaced by an empty one. The metadata log and the identity of the directory stay, as
// if they were on another disk: a voter that forgets its vote breaks any quorum. The
// power is off and nothing is volatile.
func (d *Disk) wipe() {
	in, err := d.lookDir(logDir)
	if err != nil {
		return
	}
	for _, f := range d.files(nil, logDir, in) {
		if strings.HasSuffix(f.path, logFileSuffix) && !strings.HasPrefix(f.path, metadataDir+"/") {
			d.damage = append(d.damage, Damage{Path: f.path, To: f.size, Kind: BytesWiped})
		}
	}
	kept := func(name string) bool {
		return logDir+"/"+name == metadataDir || name == "meta.properties" || name == ".lock"
	}
	names := make([]string, 0, len(in.now))
	for _, n := range in.now {
		if !kept(n.name) {
			names = append(names, n.name)
		}
	}
	for _, n := range names {
		d.removeEntry(in, n)
	}
	for i := range d.names {
		d.apply(&d.names[i], true)
		d.hold(d.names[i].entry, -1)
	}
	clear(d.names)
	d.names = d.names[:0]
}
