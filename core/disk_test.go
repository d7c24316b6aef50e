package core_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/log"
)

// memDisk is a disk in memory that knows what would survive a loss of power: of a
// file what was synced, of a directory the names that were.
type memDisk struct {
	root    *memNode
	handles map[uint64]*memNode
	now     clock.Wall
	broken  string // operations on what is below this path fail
}

// memNode is a file, or a directory if it has names.
type memNode struct {
	names, durableNames map[string]*memNode
	bytes, durableBytes []byte
	modified            clock.Wall
}

var errBroken = errors.New("input/output error")

func newMemDir() *memNode {
	return &memNode{names: map[string]*memNode{}, durableNames: map[string]*memNode{}}
}

func newMemDisk() *memDisk { return &memDisk{root: newMemDir(), handles: map[uint64]*memNode{}} }

func (d *memDisk) find(name string) *memNode {
	at := d.root
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '/' }) {
		if at = at.names[part]; at == nil {
			return nil
		}
	}
	return at
}

// check fails an operation of a job on what is broken.
func (d *memDisk) check(name string) error {
	if d.broken != "" && strings.HasPrefix(name, d.broken) {
		return fmt.Errorf("%s: %w", name, errBroken)
	}
	return nil
}

func missing(name string) error { return fmt.Errorf("%s: %w", name, log.ErrNotExist) }

func (d *memDisk) Open(name string) (log.File, error) {
	f := d.find(name)
	if f == nil {
		return nil, missing(name)
	}
	return &memFile{d: d, f: f, name: name}, d.check(name)
}

func (d *memDisk) Create(name string) (log.File, error) {
	in := d.find(path.Dir(name))
	if in == nil {
		return nil, missing(name)
	}
	if in.names[path.Base(name)] == nil {
		in.names[path.Base(name)] = &memNode{modified: d.now}
	}
	return d.Open(name)
}

func (d *memDisk) List(dir string) ([]log.Entry, error) {
	in := d.find(dir)
	if in == nil {
		return nil, missing(dir)
	}
	var entries []log.Entry
	for _, name := range slices.Sorted(maps.Keys(in.names)) {
		n := in.names[name]
		entries = append(entries, log.Entry{
			Name: name, Size: int64(len(n.bytes)), Modified: n.modified, Dir: n.names != nil,
		})
	}
	return entries, d.check(dir)
}

func (d *memDisk) MakeDir(dir string) error {
	at := d.root
	for _, part := range strings.FieldsFunc(dir, func(r rune) bool { return r == '/' }) {
		if at.names[part] == nil {
			at.names[part] = newMemDir()
		}
		at = at.names[part]
	}
	return d.check(dir)
}

func (d *memDisk) Rename(from, to string) error {
	const nameMax = 255
	n := d.find(from)
	if n == nil {
		return missing(from)
	}
	if len(path.Base(to)) > nameMax {
		return fmt.Errorf("%s: file name too long", to)
	}
	delete(d.find(path.Dir(from)).names, path.Base(from))
	d.find(path.Dir(to)).names[path.Base(to)] = n
	return d.check(from)
}

func (d *memDisk) Remove(name string) error {
	if in := d.find(path.Dir(name)); in != nil {
		delete(in.names, path.Base(name))
	}
	return d.check(name)
}

func (d *memDisk) SyncDir(dir string) error {
	in := d.find(dir)
	if in == nil {
		return missing(dir)
	}
	in.durableNames = maps.Clone(in.names)
	return d.check(dir)
}

// memFile is an open file.
type memFile struct {
	d    *memDisk
	f    *memNode
	name string
}

func (o *memFile) ReadAt(p []byte, pos int64) (int, error) { return o.f.readAt(p, pos) }

func (f *memNode) readAt(p []byte, pos int64) (int, error) {
	if pos >= int64(len(f.bytes)) {
		return 0, io.EOF
	}
	n := copy(p, f.bytes[pos:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (o *memFile) WriteAt(p []byte, pos int64) (int, error) {
	if err := o.d.check(o.name); err != nil {
		return 0, err
	}
	o.f.writeAt(p, pos)
	o.f.modified = o.d.now
	return len(p), nil
}

func (f *memNode) writeAt(p []byte, pos int64) {
	if end := pos + int64(len(p)); end > int64(len(f.bytes)) {
		f.bytes = append(f.bytes, make([]byte, end-int64(len(f.bytes)))...)
	}
	copy(f.bytes[pos:], p)
}

func (o *memFile) Size() (int64, error) { return int64(len(o.f.bytes)), nil }

func (o *memFile) Truncate(size int64) error {
	if size < int64(len(o.f.bytes)) {
		o.f.bytes = bytes.Clone(o.f.bytes[:size])
	} else {
		o.f.bytes = append(o.f.bytes, make([]byte, size-int64(len(o.f.bytes)))...)
	}
	return o.d.check(o.name)
}

func (o *memFile) Sync() error {
	o.f.durableBytes = bytes.Clone(o.f.bytes)
	return o.d.check(o.name)
}

func (o *memFile) Close() error { return nil }

// handle returns the file that a reference means: the one its path named when it was
// first used.
func (d *memDisk) handle(ref log.FileRef, create bool) (*memNode, error) {
	if f := d.handles[ref.ID]; f != nil {
		return f, nil
	}
	if create {
		if _, err := d.Create(ref.Path); err != nil {
			return nil, err
		}
	}
	f := d.find(ref.Path)
	if f == nil {
		return nil, missing(ref.Path)
	}
	d.handles[ref.ID] = f
	return f, nil
}

// reader is the disk as queries see it.
type reader struct{ d *memDisk }

func (r reader) ReadAt(ref log.FileRef, p []byte, pos int64) (int, error) {
	if err := r.d.check(ref.Path); err != nil {
		return 0, err
	}
	f, err := r.d.handle(ref, false)
	if err != nil {
		return 0, err
	}
	return f.readAt(p, pos)
}

// write carries out an order.
func (d *memDisk) write(w *log.Write) error {
	if err := d.check(w.File.Path); err != nil {
		return err
	}
	f, err := d.handle(w.File, w.Create)
	if err != nil {
		return err
	}
	f.writeAt(w.Data, w.Pos)
	f.modified = d.now
	return nil
}

// sync carries out an order.
func (d *memDisk) sync(s *log.Sync) error {
	if err := d.check(s.File.Path); err != nil {
		return err
	}
	f, err := d.handle(s.File, false)
	if err != nil {
		return err
	}
	f.durableBytes = bytes.Clone(f.bytes)
	if s.Dir {
		return d.SyncDir(path.Dir(s.File.Path))
	}
	return nil
}

// crash ends all handles. A loss of power takes what is not durable; of what a file
// gained since its last sync, keep says how many bytes survive.
func (d *memDisk) crash(powerLoss bool, keep func(unsynced int) int) {
	clear(d.handles)
	if powerLoss {
		d.root.lose(keep)
	}
}

func (f *memNode) lose(keep func(int) int) {
	if f.names == nil {
		kept := len(f.durableBytes)
		if n := len(f.bytes) - kept; n > 0 && bytes.HasPrefix(f.bytes, f.durableBytes) {
			f.bytes = bytes.Clone(f.bytes[:kept+keep(n)])
		} else {
			f.bytes = bytes.Clone(f.durableBytes)
		}
		f.durableBytes = bytes.Clone(f.bytes)
		return
	}
	f.names = maps.Clone(f.durableNames)
	for _, name := range slices.Sorted(maps.Keys(f.names)) {
		f.names[name].lose(keep)
	}
}
