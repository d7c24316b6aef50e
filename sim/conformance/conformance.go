// Package conformance is what every disk must do for a broker, simulated or real: a
// suite of checks over a small interface. The simulated disk and the production
// devices both pass it, so that what a simulation shows holds outside as well. It
// knows nothing of logs. Start at Suite.
package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/heiban/heiban/core/log"
)

// Disk is a disk as a driver offers it to a broker.
type Disk interface {
	log.Reader
	// Root is a directory that exists and is empty.
	Root() string
	// Files is the disk as jobs see it.
	Files() log.Files
	// Write and Sync carry out one order and wait for its end.
	Write(w *log.Write) error
	Sync(s *log.Sync) error
	// Release closes the handle of a file.
	Release(ref log.FileRef)
	// Restart ends the process without a word and begins a new one.
	Restart() error
}

// Check is one check of the suite.
type Check struct {
	Name string
	Run  func(Disk) error // on a disk of its own
}

// Suite returns every check.
func Suite() []Check {
	return []Check{
		{"what is written can be read", writeRead},
		{"reads end with the file", readEnds},
		{"gaps are zeros", gaps},
		{"a file is cut and grows with zeros", truncates},
		{"a file that is written to may be cut between", cutsReferenced},
		{"what is not there is ErrNotExist", notThere},
		{"directories are made with parents and listed by name", lists},
		{"create keeps what is there", createKeeps},
		{"rename replaces", renameReplaces},
		{"directories are renamed with what they hold", renameDirectory},
		{"remove removes trees, and nothing gladly", removes},
		{"a reference stays with its file", references},
		{"a released path opens what is there now", releases},
		{"what was written survives the process", survives},
		{"a write to nothing fails", writeToNothing},
	}
}

type disk struct {
	Disk
	err error
}

func (d *disk) path(name string) string { return d.Root() + "/" + name }

func (d *disk) ref(id uint64, name string) log.FileRef {
	return log.FileRef{ID: id, Path: d.path(name)}
}

// check keeps the first error.
func (d *disk) check(err error, what string, args ...any) {
	if d.err == nil && err != nil {
		d.err = fmt.Errorf(what+": %w", append(args, err)...)
	}
}

func (d *disk) that(holds bool, what string, args ...any) {
	if d.err == nil && !holds {
		d.err = fmt.Errorf(what, args...)
	}
}

func (d *disk) write(ref log.FileRef, data string, pos int64) {
	d.check(d.Write(&log.Write{File: ref, Data: []byte(data), Pos: pos, Create: true}),
		"write %s", ref.Path)
}

// holds checks the whole content of a referenced file.
func (d *disk) holds(ref log.FileRef, want string) {
	got := make([]byte, len(want)+1)
	n, err := d.ReadAt(ref, got, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	d.check(err, "read %s", ref.Path)
	d.that(bytes.Equal(got[:n], []byte(want)), "%s holds %q, expected %q", ref.Path, got[:n], want)
}

// fileHolds checks the whole content of a file by its name.
func (d *disk) fileHolds(name, want string) {
	f, err := d.Files().Open(d.path(name))
	if err != nil {
		d.check(err, "open %s", name)
		return
	}
	size, err := f.Size()
	d.check(err, "size of %s", name)
	d.that(size == int64(len(want)), "%s has %d bytes, expected %d", name, size, len(want))
	got := make([]byte, len(want))
	if len(want) > 0 {
		_, err = f.ReadAt(got, 0)
		d.check(err, "read %s", name)
	}
	d.that(string(got) == want, "%s holds %q, expected %q", name, got, want)
	d.check(f.Close(), "close %s", name)
}

func (d *disk) makeFile(name, content string) {
	f, err := d.Files().Create(d.path(name))
	if err != nil {
		d.check(err, "create %s", name)
		return
	}
	_, err = f.WriteAt([]byte(content), 0)
	d.check(err, "write %s", name)
	d.check(f.Close(), "close %s", name)
}

func (d *disk) absent(name string) {
	_, err := d.Files().Open(d.path(name))
	d.that(errors.Is(err, log.ErrNotExist), "open %s: %v, expected ErrNotExist", name, err)
}

func writeRead(on Disk) error {
	d := &disk{Disk: on}
	ref := d.ref(1, "a")
	d.write(ref, "hello", 0)
	d.write(ref, " world", 5)
	d.holds(ref, "hello world")
	d.write(ref, "J", 0)
	d.holds(ref, "Jello world")
	d.check(d.Sync(&log.Sync{File: ref, Dir: true}), "sync")
	d.fileHolds("a", "Jello world")
	return d.err
}

func readEnds(on Disk) error {
	d := &disk{Disk: on}
	d.makeFile("a", "12345")
	f, err := d.Files().Open(d.path("a"))
	if err != nil {
		return err
	}
	p := make([]byte, 4)
	n, err := f.ReadAt(p, 1)
	d.that(n == 4 && err == nil, "a read that fits: %d, %v", n, err)
	n, err = f.ReadAt(p, 3)
	d.that(n == 2 && errors.Is(err, io.EOF), "a read past the end: %d, %v", n, err)
	n, err = f.ReadAt(p, 5)
	d.that(n == 0 && errors.Is(err, io.EOF), "a read at the end: %d, %v", n, err)
	d.check(f.Close(), "close")
	n, err = d.ReadAt(d.ref(1, "a"), p, 3)
	d.that(n == 2 && errors.Is(err, io.EOF), "a read of a reference past the end: %d, %v", n, err)
	return d.err
}

func gaps(on Disk) error {
	d := &disk{Disk: on}
	ref := d.ref(1, "a")
	d.write(ref, "x", 10_000)
	got := make([]byte, 10_001)
	n, err := d.ReadAt(ref, got, 0)
	d.check(err, "read")
	d.that(n == len(got) && bytes.Count(got, []byte{0}) == 10_000, "a gap of zeros: %d bytes", n)
	return d.err
}

func truncates(on Disk) error {
	d := &disk{Disk: on}
	d.makeFile("a", "hello world")
	f, err := d.Files().Open(d.path("a"))
	if err != nil {
		return err
	}
	d.check(f.Truncate(5), "truncate")
	d.fileHolds("a", "hello")
	d.check(f.Truncate(7), "grow")
	d.fileHolds("a", "hello\x00\x00")
	d.check(f.Sync(), "sync")
	d.check(f.Close(), "close")
	return d.err
}

// cutsReferenced cuts a file by a job while there is a handle of it, large enough for a
// disk that reserves room ahead of what is written.
func cutsReferenced(on Disk) error {
	const large = 3 << 20
	d := &disk{Disk: on}
	ref := d.ref(1, "a")
	for pos := int64(0); pos < large; pos += 1 << 20 {
		d.write(ref, strings.Repeat("x", 1<<20), pos)
	}
	d.holds(ref, strings.Repeat("x", large))
	f, err := d.Files().Open(d.path("a"))
	if err != nil {
		return err
	}
	d.check(f.Truncate(5), "truncate")
	d.check(f.Sync(), "sync")
	d.check(f.Close(), "close")
	d.holds(ref, "xxxxx")
	d.write(ref, "yy", 5)
	d.holds(ref, "xxxxxyy")
	d.check(d.Sync(&log.Sync{File: ref, Dir: true}), "sync")
	d.Release(ref)
	d.fileHolds("a", "xxxxxyy")
	d.check(d.Restart(), "restart")
	d.fileHolds("a", "xxxxxyy")
	return d.err
}

func notThere(on Disk) error {
	d := &disk{Disk: on}
	d.absent("a")
	d.absent("no/such/directory/a")
	_, err := d.Files().Create(d.path("no/a"))
	d.that(errors.Is(err, log.ErrNotExist), "create in nothing: %v", err)
	_, err = d.Files().List(d.path("no"))
	d.that(errors.Is(err, log.ErrNotExist), "list nothing: %v", err)
	err = d.Files().Rename(d.path("no"), d.path("b"))
	d.that(errors.Is(err, log.ErrNotExist), "rename nothing: %v", err)
	err = d.Files().SyncDir(d.path("no"))
	d.that(errors.Is(err, log.ErrNotExist), "sync no directory: %v", err)
	_, err = d.ReadAt(d.ref(1, "a"), make([]byte, 1), 0)
	d.that(errors.Is(err, log.ErrNotExist), "read nothing: %v", err)
	return d.err
}

func lists(on Disk) error {
	d := &disk{Disk: on}
	d.check(d.Files().MakeDir(d.path("x/y/z")), "make directory")
	d.check(d.Files().MakeDir(d.path("x/y/z")), "make directory again")
	for _, name := range []string{"x/b", "x/c", "x/a"} {
		d.makeFile(name, name)
	}
	d.check(d.Files().SyncDir(d.path("x")), "sync directory")
	entries, err := d.Files().List(d.path("x"))
	d.check(err, "list")
	var got []string
	for _, e := range entries {
		got = append(got, fmt.Sprintf("%s:%t", e.Name, e.Dir))
		d.that(e.Dir || e.Size == 3, "%s has %d bytes", e.Name, e.Size)
	}
	d.that(fmt.Sprint(got) == "[a:false b:false c:false y:true]", "listed %v", got)
	return d.err
}

func createKeeps(on Disk) error {
	d := &disk{Disk: on}
	d.makeFile("a", "hello")
	d.makeFile("a", "J")
	d.fileHolds("a", "Jello")
	d.write(d.ref(1, "a"), "j", 0)
	d.fileHolds("a", "jello")
	return d.err
}

func renameReplaces(on Disk) error {
	d := &disk{Disk: on}
	d.makeFile("a", "new")
	d.makeFile("b", "old")
	d.check(d.Files().Rename(d.path("a"), d.path("b")), "rename")
	d.absent("a")
	d.fileHolds("b", "new")
	return d.err
}

func renameDirectory(on Disk) error {
	d := &disk{Disk: on}
	d.check(d.Files().MakeDir(d.path("x")), "make directory")
	d.makeFile("x/a", "here")
	d.check(d.Files().Rename(d.path("x"), d.path("y")), "rename")
	d.absent("x/a")
	d.fileHolds("y/a", "here")
	d.check(d.Files().SyncDir(d.Root()), "sync directory")
	return d.err
}

func removes(on Disk) error {
	d := &disk{Disk: on}
	d.check(d.Files().MakeDir(d.path("x/y")), "make directory")
	d.makeFile("x/y/a", "gone")
	d.makeFile("b", "kept")
	d.check(d.Files().Remove(d.path("x")), "remove a tree")
	d.absent("x/y/a")
	d.check(d.Files().Remove(d.path("x")), "remove what is not there")
	d.check(d.Files().Remove(d.path("x/y/a")), "remove what cannot be there")
	d.fileHolds("b", "kept")
	d.check(d.Files().Remove(d.path("b")), "remove a file")
	d.absent("b")
	return d.err
}

func references(on Disk) error {
	d := &disk{Disk: on}
	first := d.ref(1, "a")
	d.write(first, "first", 0)
	d.check(d.Files().Rename(d.path("a"), d.path("a.deleted")), "rename")
	second := d.ref(2, "a")
	d.write(second, "second", 0)
	d.holds(first, "first")
	d.holds(second, "second")
	d.check(d.Files().Remove(d.path("a.deleted")), "remove")
	d.holds(first, "first")
	d.check(d.Sync(&log.Sync{File: first, Dir: true}), "sync a file without a name")
	d.Release(first)
	d.Release(second)
	d.fileHolds("a", "second")
	return d.err
}

func releases(on Disk) error {
	d := &disk{Disk: on}
	first := d.ref(1, "a")
	d.write(first, "first", 0)
	d.Release(first)
	d.Release(first)
	d.check(d.Files().Remove(d.path("a")), "remove")
	d.makeFile("a", "second")
	d.holds(d.ref(2, "a"), "second")
	return d.err
}

func survives(on Disk) error {
	d := &disk{Disk: on}
	ref := d.ref(1, "a")
	d.write(ref, "not synced", 0)
	d.makeFile("b", "neither")
	d.check(d.Files().Rename(d.path("b"), d.path("c")), "rename")
	d.check(d.Restart(), "restart")
	d.fileHolds("a", "not synced")
	d.absent("b")
	d.fileHolds("c", "neither")
	d.holds(d.ref(1, "c"), "neither")
	return d.err
}

func writeToNothing(on Disk) error {
	d := &disk{Disk: on}
	err := d.Write(&log.Write{File: d.ref(1, "a"), Data: []byte("x")})
	d.that(errors.Is(err, log.ErrNotExist), "write: %v, expected ErrNotExist", err)
	err = d.Sync(&log.Sync{File: d.ref(1, "a")})
	d.that(errors.Is(err, log.ErrNotExist), "sync: %v, expected ErrNotExist", err)
	d.absent("a")
	return d.err
}
