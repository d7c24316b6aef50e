package log

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/heiban/heiban/clock"
)

// errCrashed is what every operation returns once a memFiles has used up its
// budget: the process is as good as dead.
var errCrashed = errors.New("crashed")

// memFiles is a disk in memory that knows what would survive a loss of power. File
// bytes become durable by Sync, names by SyncDir. Reads are free; every operation
// that changes something costs one of budget, and the one that finds it empty is
// done by half (a write is torn, the removal of a directory stops midway).
type memFiles struct {
	root   *memNode
	now    clock.Wall // becomes Modified of what is written
	budget int        // operations left; negative: no limit
	dead   bool       // the budget is used up
	ops    int        // operations done
	trace  []string   // what they were
}

// memNode is a file or a directory.
type memNode struct {
	names    map[string]*memNode // volatile; nil for a file
	bytes    []byte              // volatile
	modified clock.Wall

	durableNames map[string]*memNode
	durableBytes []byte
	pending      []memChange // since the last sync, in order
	deaf         bool        // a sync failed and dropped the bytes: no other one writes them
}

// memChange is one change of a node that is not durable yet: names set (or taken
// away, if nil), or a write or truncation.
type memChange struct {
	names    map[string]*memNode
	data     []byte
	pos      int64
	truncate bool
}

func newMemFiles() *memFiles {
	return &memFiles{root: newMemDir(), budget: -1}
}

func newMemDir() *memNode {
	return &memNode{names: map[string]*memNode{}, durableNames: map[string]*memNode{}}
}

// crash ends the process: the budget is unlimited again and handles are stale. With
// processOnly the operating system lives on and so does every change; otherwise
// the power is lost and with it all that was not synced.
func (m *memFiles) crash(processOnly bool) {
	if !processOnly {
		m.root.lose(nil)
	}
	m.restart()
}

// crashTorn loses the power, and t draws how much of what was not synced survives:
// of each directory any of its changes that do not build on a lost one, of each file
// any of its writes, or parts of them.
func (m *memFiles) crashTorn(t *rapid.T) {
	m.crashBy(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "survives") })
}

// crashBy is crashTorn with choices that draw makes: each is one of n, of which 0
// means that nothing is lost.
func (m *memFiles) crashBy(draw func(n int) int) {
	m.root.lose(draw)
	m.restart()
}

func (m *memFiles) restart() {
	m.budget, m.dead, m.ops, m.trace = -1, false, 0, nil
}

func (n *memNode) lose(draw func(int) int) {
	if n.names == nil {
		for _, c := range n.pending {
			n.durableBytes = c.survive(draw, n.durableBytes)
		}
		n.bytes, n.pending = slices.Clone(n.durableBytes), nil
		return
	}
	lost := map[string]bool{}
	for _, c := range n.pending {
		if draw == nil || c.touches(lost) || draw(2) > 0 {
			for name := range c.names { // in any order: a set is made of them
				lost[name] = true
			}
			continue
		}
		n.applyNames(n.durableNames, c.names)
	}
	n.names, n.pending = maps.Clone(n.durableNames), nil
	for _, name := range slices.Sorted(maps.Keys(n.names)) {
		n.names[name].lose(draw)
	}
}

// touches says that a change builds on one that was lost.
func (c memChange) touches(lost map[string]bool) bool {
	for name := range c.names { // in any order: one is enough
		if lost[name] {
			return true
		}
	}
	return false
}

// survive returns what is left of a file after the change may have been lost.
func (c memChange) survive(draw func(int) int, bytes []byte) []byte {
	if draw == nil {
		return bytes
	}
	if c.truncate {
		if draw(2) > 0 {
			return bytes
		}
		return resized(bytes, c.pos)
	}
	kept := []int{len(c.data), 0, len(c.data) / 2, 1}[draw(4)]
	return written(bytes, c.data[:min(kept, len(c.data))], c.pos)
}

func (*memNode) applyNames(names, changes map[string]*memNode) {
	for name, node := range changes { // in any order: the names differ
		if node == nil {
			delete(names, name)
		} else {
			names[name] = node
		}
	}
}

// clone returns an independent copy of the disk with an unlimited budget. Open
// handles stay with the original.
func (m *memFiles) clone() *memFiles {
	seen := map[*memNode]*memNode{}
	return &memFiles{root: m.root.clone(seen), now: m.now, budget: -1}
}

func (n *memNode) clone(seen map[*memNode]*memNode) *memNode {
	if n == nil {
		return nil
	}
	if c, ok := seen[n]; ok {
		return c
	}
	c := &memNode{
		bytes: slices.Clone(n.bytes), modified: n.modified,
		durableBytes: slices.Clone(n.durableBytes), deaf: n.deaf,
	}
	seen[n] = c
	c.names = cloneNames(n.names, seen)
	c.durableNames = cloneNames(n.durableNames, seen)
	for _, p := range n.pending {
		p.names = cloneNames(p.names, seen)
		c.pending = append(c.pending, p)
	}
	return c
}

func cloneNames(names map[string]*memNode, seen map[*memNode]*memNode) map[string]*memNode {
	if names == nil {
		return nil
	}
	c := map[string]*memNode{}
	for name, node := range names { // in any order: a map is made of it
		c[name] = node.clone(seen)
	}
	return c
}

// dump lists every file as "path size", and every directory as "path/", by path.
func (m *memFiles) dump() []string {
	return m.root.dump("")
}

func (n *memNode) dump(at string) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(n.names)) {
		node := n.names[name]
		full := path.Join(at, name)
		if node.names == nil {
			lines = append(lines, fmt.Sprintf("%s %d", full, len(node.bytes)))
			continue
		}
		lines = append(append(lines, full+"/"), node.dump(full)...)
	}
	return lines
}

// syncAll makes everything durable.
func (m *memFiles) syncAll() { m.root.syncAll() }

func (n *memNode) syncAll() {
	n.sync()
	for _, child := range n.names { // in any order: each is synced by itself
		child.syncAll()
	}
}

func (n *memNode) sync() {
	if n.deaf {
		return
	}
	n.durableBytes, n.durableNames = slices.Clone(n.bytes), maps.Clone(n.names)
	n.pending = nil
}

// put writes a whole file, and get reads one: for tests to prepare and look.
func (m *memFiles) put(name string, data []byte) {
	_ = m.MakeDir(path.Dir(name))
	f, err := m.Create(name)
	if err == nil {
		err = errors.Join(f.Truncate(0), writeAll(f, data))
	}
	if err != nil {
		panic(err)
	}
}

func writeAll(f File, data []byte) error {
	_, err := f.WriteAt(data, 0)
	return err
}

func (m *memFiles) get(name string) ([]byte, bool) {
	node, err := m.find(name)
	if err != nil || node.names != nil {
		return nil, false
	}
	return node.bytes, true
}

func (m *memFiles) split(name string) []string {
	return strings.FieldsFunc(path.Clean(name), func(r rune) bool { return r == '/' })
}

func (m *memFiles) find(name string) (*memNode, error) {
	if m.dead {
		return nil, errCrashed
	}
	node := m.root
	if path.Clean(name) == "." {
		return node, nil
	}
	for _, part := range m.split(name) {
		if node = node.names[part]; node == nil {
			return nil, fmt.Errorf("%s: %w", name, ErrNotExist)
		}
	}
	return node, nil
}

func (m *memFiles) findDir(name string) (*memNode, error) {
	node, err := m.find(name)
	if err == nil && node.names == nil {
		err = fmt.Errorf("%s: not a directory", name)
	}
	return node, err
}

// pay takes one operation from the budget.
func (m *memFiles) pay(format string, args ...any) error {
	if m.dead {
		return errCrashed
	}
	if m.budget == 0 {
		m.dead = true
		return errCrashed
	}
	if m.budget > 0 {
		m.budget--
	}
	m.ops++
	m.trace = append(m.trace, fmt.Sprintf(format, args...))
	return nil
}

func (n *memNode) change(names map[string]*memNode) {
	n.applyNames(n.names, names)
	n.pending = append(n.pending, memChange{names: names})
}

func (m *memFiles) Open(name string) (File, error) {
	node, err := m.find(name)
	if err != nil {
		return nil, err
	}
	if node.names != nil {
		return nil, fmt.Errorf("%s: is a directory", name)
	}
	return &memFile{files: m, node: node, path: name}, nil
}

func (m *memFiles) Create(name string) (File, error) {
	dir, err := m.findDir(path.Dir(name))
	if err != nil {
		return nil, err
	}
	if dir.names[path.Base(name)] == nil {
		if err := m.pay("create %s", name); err != nil {
			return nil, err
		}
		dir.change(map[string]*memNode{path.Base(name): {modified: m.now}})
	}
	return m.Open(name)
}

func (m *memFiles) List(name string) ([]Entry, error) {
	dir, err := m.findDir(name)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(dir.names))
	for _, name := range slices.Sorted(maps.Keys(dir.names)) {
		n := dir.names[name]
		entries = append(entries, Entry{
			Name: name, Size: int64(len(n.bytes)), Modified: n.modified, Dir: n.names != nil,
		})
	}
	return entries, nil
}

func (m *memFiles) MakeDir(name string) error {
	at := ""
	node := m.root
	for _, part := range m.split(name) {
		at = path.Join(at, part)
		next := node.names[part]
		if next == nil {
			if err := m.pay("mkdir %s", at); err != nil {
				return err
			}
			next = newMemDir()
			node.change(map[string]*memNode{part: next})
		}
		if next.names == nil {
			return fmt.Errorf("%s: not a directory", at)
		}
		node = next
	}
	if m.dead {
		return errCrashed
	}
	return nil
}

func (m *memFiles) Rename(oldName, newName string) error {
	node, err := m.find(oldName)
	if err != nil {
		return err
	}
	from, err := m.findDir(path.Dir(oldName))
	if err != nil {
		return err
	}
	to, err := m.findDir(path.Dir(newName))
	if err != nil {
		return err
	}
	if err := m.pay("rename %s %s", oldName, newName); err != nil {
		return err
	}
	if from == to {
		from.change(map[string]*memNode{path.Base(oldName): nil, path.Base(newName): node})
		return nil
	}
	to.change(map[string]*memNode{path.Base(newName): node})
	from.change(map[string]*memNode{path.Base(oldName): nil})
	return nil
}

func (m *memFiles) Remove(name string) error {
	node, err := m.find(name)
	if errors.Is(err, ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, child := range slices.Sorted(maps.Keys(node.names)) {
		if err := m.Remove(path.Join(name, child)); err != nil {
			return err
		}
	}
	if err := m.pay("remove %s", name); err != nil {
		return err
	}
	dir, err := m.findDir(path.Dir(name))
	if err == nil {
		dir.change(map[string]*memNode{path.Base(name): nil})
	}
	return err
}

func (m *memFiles) SyncDir(name string) error {
	dir, err := m.findDir(name)
	if err != nil {
		return err
	}
	if err := m.pay("syncdir %s", name); err != nil {
		return err
	}
	dir.durableNames, dir.pending = maps.Clone(dir.names), nil
	return nil
}

// memFile is an open file of a memFiles.
type memFile struct {
	files  *memFiles
	node   *memNode
	path   string
	closed bool
}

func (f *memFile) check() error {
	if f.closed {
		return fmt.Errorf("%s: used after close", f.path)
	}
	if f.files.dead {
		return errCrashed
	}
	return nil
}

func (f *memFile) ReadAt(p []byte, pos int64) (int, error) {
	if err := f.check(); err != nil {
		return 0, err
	}
	if pos >= int64(len(f.node.bytes)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.bytes[pos:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, pos int64) (int, error) {
	if err := f.check(); err != nil {
		return 0, err
	}
	err := f.files.pay("write %s %d+%d", f.path, pos, len(p))
	if err != nil {
		p = p[:len(p)/2]
	}
	f.node.bytes = written(f.node.bytes, p, pos)
	f.node.pending = append(f.node.pending, memChange{data: slices.Clone(p), pos: pos})
	f.node.modified = f.files.now
	return len(p), err
}

func written(bytes, p []byte, pos int64) []byte {
	if len(p) == 0 {
		return bytes
	}
	if end := pos + int64(len(p)); end > int64(len(bytes)) {
		bytes = resized(bytes, end)
	}
	copy(bytes[pos:], p)
	return bytes
}

func resized(bytes []byte, size int64) []byte {
	if size <= int64(len(bytes)) {
		return bytes[:size:size]
	}
	return append(bytes, make([]byte, size-int64(len(bytes)))...)
}

func (f *memFile) Size() (int64, error) { return int64(len(f.node.bytes)), f.check() }

func (f *memFile) Truncate(size int64) error {
	if err := f.check(); err != nil {
		return err
	}
	if err := f.files.pay("truncate %s %d", f.path, size); err != nil {
		return err
	}
	f.node.bytes = resized(f.node.bytes, size)
	f.node.pending = append(f.node.pending, memChange{pos: size, truncate: true})
	return nil
}

func (f *memFile) Sync() error {
	if err := f.check(); err != nil {
		return err
	}
	if err := f.files.pay("sync %s", f.path); err != nil {
		return err
	}
	f.node.sync()
	return nil
}

func (f *memFile) Close() error {
	f.closed = true
	return nil
}

// memReader reads the files of a memFiles by their refs and keeps them open, so
// that a ref goes on naming the same file after a rename or removal.
type memReader struct {
	files *memFiles
	open  map[uint64]File
}

func newMemReader(m *memFiles) *memReader {
	return &memReader{files: m, open: map[uint64]File{}}
}

func (r *memReader) ReadAt(ref FileRef, p []byte, pos int64) (int, error) {
	f, ok := r.open[ref.ID]
	if !ok {
		var err error
		if f, err = r.files.Open(ref.Path); err != nil {
			return 0, err
		}
		r.open[ref.ID] = f
	}
	return f.ReadAt(p, pos)
}
