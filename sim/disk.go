package sim

import (
	"errors"
	"fmt"
	"strings"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/log"
)

// errIO is the simulated EIO.
var errIO = errors.New("input/output error")

// errCrashed is what every operation of a job returns after the crash that cut it.
var errCrashed = errors.New("the node crashed")

// Disk is the file system of one node, with everything that a power loss may take
// from it.
//
// What was written is volatile until it is synced: the bytes and the size of a file
// by syncing the file, the names in a directory by syncing the directory. A
// process crash loses nothing of it; a power loss takes any part that the order
// of dependencies allows. Content is kept once, as everyone sees it now; each
// operation not yet durable keeps what it takes to undo it, which for an append
// is nothing but the old size.
type Disk struct {
	noise  Noise
	node   uint64
	Faults DiskFaults // what is wrong with the disk at present
	Counts DiskCounts
	Now    clock.Wall // what newly written files are dated

	root    *directory
	names   []nameOp          // not yet durable, in order
	handles map[uint64]*inode // by FileRef.ID, never ranged over
	dirty   []*inode          // files with operations not yet durable
	damage  []Damage          // since the beginning
	free    []*page
	tape    *tape  // nil: choices are keyed noise
	draws   draws  // of the disk as a whole
	serial  uint64 // of the last inode
	pages   int64  // in use by files that have a name or a handle

	pageDraws []pageDraw // scratch of redo
}

// DiskFaults is what is wrong with a disk. Shares are in millionths of operations.
type DiskFaults struct {
	WriteErrorPPM int64
	ReadErrorPPM  int64
	SyncErrorPPM  int64
	BytesMax      int64 // 0: no limit
}

// DiskCounts says how often each thing happened to a disk.
type DiskCounts struct {
	Writes, Reads, Syncs, Jobs               int64
	WriteErrors, ReadErrors, SyncErrors      int64
	NoSpace, SyncsDropped, JobsCut           int64
	PowerLosses, LostOps, TornOps, LostNames int64
	LostBytes, RottenBits                    int64
}

func (c *DiskCounts) add(o *DiskCounts) {
	c.Writes += o.Writes
	c.Reads += o.Reads
	c.Syncs += o.Syncs
	c.Jobs += o.Jobs
	c.WriteErrors += o.WriteErrors
	c.ReadErrors += o.ReadErrors
	c.SyncErrors += o.SyncErrors
	c.NoSpace += o.NoSpace
	c.SyncsDropped += o.SyncsDropped
	c.JobsCut += o.JobsCut
	c.PowerLosses += o.PowerLosses
	c.LostOps += o.LostOps
	c.TornOps += o.TornOps
	c.LostNames += o.LostNames
	c.LostBytes += o.LostBytes
	c.RottenBits += o.RottenBits
}

// NewDisk returns an empty disk.
func NewDisk(noise Noise, node int32) *Disk {
	return &Disk{
		noise: noise, node: uint64(node),
		root:    &directory{},
		handles: make(map[uint64]*inode),
	}
}

// Damage lists what the disk has lost since the beginning: bytes that a file held
// and that a fault took from it.
func (d *Disk) Damage() []Damage { return d.damage }

// Size returns a file's size, or false if there is no such file.
func (d *Disk) Size(path string) (int64, bool) {
	f, err := d.open(path)
	if err != nil {
		return 0, false
	}
	return f.size, true
}

// Limit leaves room for so many more bytes.
func (d *Disk) Limit(bytes int64) { d.Faults.BytesMax = d.pages*pageBytes + bytes + 1 }

// next draws keyed noise for the next thing that befalls a file or directory.
func (d *Disk) next(stream Stream, of *draws) uint64 {
	return d.noise.next(stream, d.node, of)
}

// ReadAt reads a file that the core has named.
func (d *Disk) ReadAt(ref log.FileRef, p []byte, pos int64) (int, error) {
	f, err := d.handle(ref, false)
	if err != nil {
		return 0, err
	}
	return d.readAt(f, p, pos)
}

// Write carries out one order.
func (d *Disk) Write(w *log.Write) error {
	f, err := d.handle(w.File, w.Create)
	if err != nil {
		return err
	}
	_, err = d.writeAt(f, w.Data, w.Pos)
	return err
}

// Sync carries out one order at once.
func (d *Disk) Sync(s *log.Sync) error { return d.endSync(s, d.beginSync(s)) }

// beginSync says what a sync that begins now will cover.
func (d *Disk) beginSync(s *log.Sync) (mark uint64) {
	f, err := d.handle(s.File, false)
	if err != nil {
		return 0 // endSync will say so
	}
	return f.mark()
}

// endSync makes durable what was written before the mark.
func (d *Disk) endSync(s *log.Sync, mark uint64) error {
	f, err := d.handle(s.File, false)
	if err != nil {
		return err
	}
	if err := d.sync(f, mark); err != nil || !s.Dir {
		return err
	}
	parent, _ := split(s.File.Path)
	if err := d.syncDir(parent); !errors.Is(err, log.ErrNotExist) {
		return err
	}
	return nil // the directory was renamed or removed: nobody needs the name
}

// Release closes the handle of a file.
func (d *Disk) Release(ref log.FileRef) {
	if f, open := d.handles[ref.ID]; open {
		delete(d.handles, ref.ID)
		f.holders--
		d.maybeDiscard(f)
	}
}

// handle returns the file that a reference means: the one its path named when it
// was first used.
func (d *Disk) handle(ref log.FileRef, create bool) (*inode, error) {
	if f, ok := d.handles[ref.ID]; ok {
		return f, nil
	}
	f, err := d.open(ref.Path)
	if create && errors.Is(err, log.ErrNotExist) {
		f, err = d.create(ref.Path)
	}
	if err != nil {
		return nil, err
	}
	f.holders++
	d.handles[ref.ID] = f
	return f, nil
}

// split parts a path into its directory and its last name.
func split(path string) (dir, name string) {
	path = strings.TrimRight(path, "/")
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

// notExist says that a path is not there.
func notExist(path string) error { return fmt.Errorf("%s: %w", path, log.ErrNotExist) }
