package sim

import (
	"errors"
	"slices"

	"github.com/heiban/heiban/core/log"
)

// errClosed is what a job gets that uses a file after closing it.
var errClosed = errors.New("the file is closed")

// Unlimited is the budget of a job that no crash cuts.
const Unlimited = -1

// JobFiles is the disk as one job sees it. After budget operations every further
// one fails, as if the node had crashed there.
type JobFiles struct {
	d      *Disk
	budget int64
	open   []*openFile
}

// Files returns the disk for one job that may do budget operations.
func (d *Disk) Files(budget int64) *JobFiles { return &JobFiles{d: d, budget: budget} }

// Leaked returns how many files the job left open, and closes them.
func (j *JobFiles) Leaked() int {
	leaked := len(j.open)
	for _, f := range slices.Clone(j.open) {
		f.release()
	}
	return leaked
}

// Operations says, of a job with a budget, how much of it is left; 0 if it was cut.
func (j *JobFiles) Operations() int64 { return j.budget }

// spend takes one operation off the budget.
func (j *JobFiles) spend() error {
	if j.budget == 0 {
		return errCrashed
	}
	if j.budget > 0 {
		j.budget--
	}
	return nil
}

// Open opens an existing file.
func (j *JobFiles) Open(path string) (log.File, error) {
	if err := j.spend(); err != nil {
		return nil, err
	}
	f, err := j.d.open(path)
	if err != nil {
		return nil, err
	}
	return j.hand(f), nil
}

// Create opens a file, making it empty if it was not there.
func (j *JobFiles) Create(path string) (log.File, error) {
	if err := j.spend(); err != nil {
		return nil, err
	}
	f, err := j.d.create(path)
	if err != nil {
		return nil, err
	}
	return j.hand(f), nil
}

func (j *JobFiles) hand(f *inode) *openFile {
	f.holders++
	o := &openFile{j: j, f: f}
	j.open = append(j.open, o)
	return o
}

// List returns a directory's entries sorted by name.
func (j *JobFiles) List(dir string) ([]log.Entry, error) {
	if err := j.spend(); err != nil {
		return nil, err
	}
	return j.d.list(dir)
}

// MakeDir makes a directory and its missing parents.
func (j *JobFiles) MakeDir(path string) error {
	if err := j.spend(); err != nil {
		return err
	}
	return j.d.makeDir(path)
}

// Rename replaces newPath, atomically.
func (j *JobFiles) Rename(oldPath, newPath string) error {
	if err := j.spend(); err != nil {
		return err
	}
	return j.d.rename(oldPath, newPath)
}

// Remove removes a file, or a directory with all it holds.
func (j *JobFiles) Remove(path string) error {
	if err := j.spend(); err != nil {
		return err
	}
	return j.d.remove(path)
}

// SyncDir makes the names in a directory durable.
func (j *JobFiles) SyncDir(path string) error {
	if err := j.spend(); err != nil {
		return err
	}
	return j.d.syncDir(path)
}

// openFile is a file that a job holds open.
type openFile struct {
	j      *JobFiles
	f      *inode
	closed bool
}

// begin takes an operation off the budget, of a file that must be open.
func (o *openFile) begin() error {
	if o.closed {
		return errClosed
	}
	return o.j.spend()
}

// ReadAt reads as io.ReaderAt does.
func (o *openFile) ReadAt(p []byte, pos int64) (int, error) {
	if err := o.begin(); err != nil {
		return 0, err
	}
	return o.j.d.readAt(o.f, p, pos)
}

// WriteAt writes as io.WriterAt does.
func (o *openFile) WriteAt(p []byte, pos int64) (int, error) {
	if err := o.begin(); err != nil {
		return 0, err
	}
	return o.j.d.writeAt(o.f, p, pos)
}

// Size returns the size in bytes.
func (o *openFile) Size() (int64, error) {
	if err := o.begin(); err != nil {
		return 0, err
	}
	return o.f.size, nil
}

// Truncate sets the size.
func (o *openFile) Truncate(size int64) error {
	if err := o.begin(); err != nil {
		return err
	}
	o.j.d.truncate(o.f, size)
	return nil
}

// Sync makes the bytes and the size durable.
func (o *openFile) Sync() error {
	if err := o.begin(); err != nil {
		return err
	}
	return o.j.d.sync(o.f, o.f.mark())
}

// Close gives the file back. It spends nothing, so that a job cut by a crash can
// clean up behind itself.
func (o *openFile) Close() error {
	if o.closed {
		return errClosed
	}
	o.release()
	return nil
}

func (o *openFile) release() {
	o.closed = true
	o.f.holders--
	o.j.d.maybeDiscard(o.f)
	o.j.open = slices.DeleteFunc(o.j.open, func(f *openFile) bool { return f == o })
}
