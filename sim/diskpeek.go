package sim

import "strings"

// segments returns the content of the log files in a directory, oldest first, as
// whoever reads them now would see it. To look draws no noise and meets no fault.
func (d *Disk) segments(dir string) [][]byte {
	in, err := d.lookDir(dir)
	if err != nil {
		return nil
	}
	var all [][]byte
	for _, n := range in.now { // sorted, and so by base offset
		if n.dir == nil && strings.HasSuffix(n.name, logFileSuffix) {
			data := make([]byte, n.file.size)
			n.file.read(data, 0)
			all = append(all, data)
		}
	}
	return all
}
