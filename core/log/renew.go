package log

import (
	"errors"
	"fmt"
	"path"
)

// renew writes the segments that reach above the recovery point to new files, with
// all that was found valid in them, and makes those durable. What a failed sync has
// left is not to be trusted: the page cache may show bytes that the device never got,
// and take every later sync of the file for a success. A file written over in place
// could be torn by the next crash where it had been whole.
func (r *recovery) renew() error {
	if r.Clean || !r.Renew {
		return nil
	}
	for i, seg := range r.segments {
		if i+1 < len(r.segments) && seg.end < r.RecoveryPoint {
			continue
		}
		name := segmentPath(r.Dir, seg.base, logSuffix)
		if err := r.copyFile(name, seg.size); err != nil {
			return fmt.Errorf("write %s anew: %w", name, err)
		}
	}
	return r.d.Files.SyncDir(path.Dir(r.Dir)) // the directory's own name is no better
}

// copyFile replaces a file by a new one that holds the first size bytes. Its name is
// not durable yet.
func (r *recovery) copyFile(name string, size int64) (err error) {
	s, err := r.scan.open(name, scanBytes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.f.Close()) }()
	to, err := r.d.Files.Create(name + tmpSuffix)
	if err != nil {
		return err
	}
	err = s.copyTo(to, size)
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	r.renamed = true
	return r.d.Files.Rename(name+tmpSuffix, name)
}

// copyTo writes the first size bytes to a file that is empty, and syncs it.
func (s *openSegment) copyTo(to File, size int64) error {
	for pos := int64(0); pos < size; {
		p, err := s.peek(pos, 1)
		if err != nil {
			return err
		}
		p = p[:min(int64(len(p)), size-pos)]
		if _, err := to.WriteAt(p, pos); err != nil {
			return err
		}
		pos += int64(len(p))
	}
	return to.Sync()
}
