package log

import (
	"errors"
	"fmt"
	"path"
	"strconv"
)

// cutMark is what a partition's truncation-checkpoint says: that the log was cut, and
// the checkpoints of its log directory may be from before. They would then speak of a
// log that is no more:
//
//  1. The log is durable up to 100, and so says the recovery point's checkpoint.
//  2. It is cut at 50, and appended to, up to 200.
//  3. The machine crashes before 60 to 200 are durable, and before the checkpoint is
//     written again.
//  4. Recovery must not believe that it need not look at what is below 100.
//
// A checkpoint above all that the log had when it was cut is from later, and true.
//
// It is a checkpoint file of one entry: "offset logEndOffset logStartOffset".
type cutMark struct {
	offset   int64 // the lowest that the log was cut at
	logEnd   int64 // the highest log end offset before a cut
	logStart int64 // the highest log start offset before a cut
}

// with adds the marks of a log that is to be cut next.
func (m *cutMark) with(next cutMark) cutMark {
	next.offset = min(m.offset, next.offset)
	next.logEnd = max(m.logEnd, next.logEnd)
	next.logStart = max(m.logStart, next.logStart)
	return next
}

// lower returns what is to be believed of a checkpoint; before is the highest it may
// have been before a cut.
func (m *cutMark) lower(checkpoint, before int64) int64 {
	if checkpoint > before {
		return checkpoint
	}
	return min(checkpoint, m.offset)
}

func encodeCutMark(m *cutMark) []byte {
	return fmt.Appendf(nil, "%s\n1\n%d %d %d\n", checkpointVersion, m.offset, m.logEnd, m.logStart)
}

func parseCutMark(name string, text []byte) (*cutMark, error) {
	var m *cutMark
	err := parseLines(name, text, 3, func(f []string) error {
		m = &cutMark{}
		for i, field := range []*int64{&m.offset, &m.logEnd, &m.logStart} {
			n, err := strconv.ParseInt(f[i], 10, 64)
			if err != nil {
				return err
			}
			if n < 0 {
				return errNegative
			}
			*field = n
		}
		return nil
	})
	if err == nil && m == nil {
		err = fmt.Errorf("%s: there is no entry", name)
	}
	return m, err
}

// loadMark lowers the checkpoints if the log was cut since they were written. A clean
// stop has written them anew.
func (r *recovery) loadMark() error {
	name := r.path(truncationFile)
	text, err := readSmallFile(r.d.Files, name)
	if errors.Is(err, ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if r.Clean {
		return r.remove(path.Base(name))
	}
	m, err := parseCutMark(name, text)
	if err != nil {
		r.repaired("%v: the recovery point is not believed", err)
		m = &cutMark{logEnd: maxOffset}
	}
	r.mark = m
	r.RecoveryPoint = m.lower(r.RecoveryPoint, m.logEnd)
	r.HighWatermark = m.lower(r.HighWatermark, m.logEnd)
	r.LogStartOffset = m.lower(r.LogStartOffset, m.logStart)
	r.CleanerPoint = min(r.CleanerPoint, m.offset) // ours leaves no gaps above it
	return nil
}
