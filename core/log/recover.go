package log

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/heiban/heiban/clock"
)

// Recover is the job that opens a partition's directory after a start: it loads
// segments and indexes, and after an unclean stop it checks and rebuilds them
// (result *Recovered). A directory that Kafka wrote is as good as our own.
type Recover struct {
	Dir            string
	Now            clock.Time
	RecoveryPoint  int64 // from the checkpoint; 0 if there is none
	LogStartOffset int64
	HighWatermark  int64
	CleanerPoint   int64 // below it the log is compacted, and may have gaps
	TopicID        [16]byte
	Config         *Config
	Settings       *Settings
	Clean          bool // the last stop was clean
	Create         bool // make the directory if it is not there
	Renew          bool // trust no sync before an unclean stop: it costs a copy of the tail
}

// Recovered is what Recover found. Text tells what had to be repaired, and is empty
// if nothing was.
type Recovered struct {
	Text string

	segments      []*segment
	epochs        []epochEntry
	producers     *producers
	logStart      int64
	highWatermark int64
	recoveryPoint int64
	firstDirty    int64
	mark          *cutMark
	asClosed      bool // a close that writes nothing leaves it good for a clean start
}

// recovery is one run of Recover.
type recovery struct {
	*Recover
	d        *Devices
	names    []Entry
	segments []*segment
	epochs   epochCache
	scan     scanner
	mark     *cutMark // of former truncations
	repairs  []string
	renamed  bool // names in the directory changed
	created  bool // there was none
}

// Run opens the directory. What it removes or cuts is durable when it returns, so
// that a later crash cannot bring it back under what is appended since.
func (j *Recover) Run(d *Devices) (Result, error) {
	asked := *j // loadMark lowers its offsets
	r := recovery{Recover: &asked, d: d}
	r.scan = scanner{fs: d.Files, set: j.Settings, cfg: j.Config}
	if err := r.run(); err != nil {
		return nil, fmt.Errorf("open the log in %s: %w", j.Dir, err)
	}
	end := r.segments[len(r.segments)-1].end
	// There is nothing below the first segment, whatever a checkpoint from before the log
	// began anew there says.
	point := min(max(r.RecoveryPoint, r.segments[0].base), end)
	if r.Clean {
		point = end
	}
	start := max(r.LogStartOffset, r.segments[0].base)
	dirty := r.CleanerPoint
	if dirty < start || dirty > end { // of a log that was truncated, or began anew
		dirty = start
	}
	return &Recovered{
		Text:          strings.Join(r.repairs, "; "),
		segments:      r.segments,
		epochs:        r.epochs.entries,
		producers:     r.scan.producers,
		logStart:      start,
		highWatermark: min(max(r.HighWatermark, start), end),
		recoveryPoint: point,
		firstDirty:    dirty,
		mark:          r.mark,
		asClosed:      (r.Clean || r.created) && len(r.repairs) == 0,
	}, nil
}

func (r *recovery) run() error {
	for _, step := range []func() error{
		r.open, r.loadMark, r.finishSwaps, r.loadEpochs, r.loadSegments, r.startEmpty,
		r.cutEpochs, r.loadProducers, r.renew, r.syncNames,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (r *recovery) path(name string) string { return path.Join(r.Dir, name) }

func (r *recovery) repaired(format string, args ...any) {
	r.repairs = append(r.repairs, fmt.Sprintf(format, args...))
}

// open lists the directory, or makes it.
func (r *recovery) open() error {
	names, err := r.d.Files.List(r.Dir)
	if errors.Is(err, ErrNotExist) && r.Create {
		return r.create()
	}
	if err != nil {
		return err
	}
	r.names = names
	return r.checkTopic()
}

// create makes an empty directory of the topic.
func (r *recovery) create() error {
	r.created = true
	if err := makeDir(r.d.Files, r.Dir); err != nil {
		return err
	}
	return r.writeTopic()
}

func (r *recovery) writeTopic() error {
	if r.TopicID == [16]byte{} {
		return nil
	}
	return replaceFile(r.d.Files, r.Dir, partitionMetadataFile, encodePartitionMetadata(r.TopicID))
}

// checkTopic makes sure that the directory belongs to the topic (KIP-516).
func (r *recovery) checkTopic() error {
	if r.TopicID == [16]byte{} {
		return nil
	}
	name := r.path(partitionMetadataFile)
	text, err := readSmallFile(r.d.Files, name)
	if errors.Is(err, ErrNotExist) {
		return r.writeTopic() // the stop came before the first append, or Kafka 2.7 wrote it
	}
	if err != nil {
		return err
	}
	id, err := parsePartitionMetadata(name, text)
	if err == nil && id != r.TopicID {
		err = fmt.Errorf("%s: topic id %s, want %s", name, encodeUUID(id), encodeUUID(r.TopicID))
	}
	return err
}

// remove removes a file of the directory.
func (r *recovery) remove(name string) error {
	r.renamed = true
	return r.d.Files.Remove(r.path(name))
}

// relist reads the directory again after names changed.
func (r *recovery) relist() (err error) {
	r.names, err = r.d.Files.List(r.Dir)
	return err
}

// has reports whether the segment at base has a file of the kind.
func (r *recovery) has(base int64, kind string) bool {
	name := path.Base(segmentPath(r.Dir, base, kind))
	_, found := slices.BinarySearchFunc(r.names, name, func(e Entry, name string) int {
		return strings.Compare(e.Name, name)
	})
	return found
}

// finishSwaps takes away what waits for removal and what compaction did not finish,
// and puts in place what it did. A .cleaned file may be torn. A .swap file is whole,
// unless a .cleaned one of the same or a lower base is there: then it is part of the
// same, broken replacement. Such a .swap goes before the .cleaned that tells of it.
func (r *recovery) finishSwaps() error {
	minCleaned := int64(maxOffset)
	var cleaned, swaps, useless []string
	for _, e := range r.names {
		base, _, state, ok := parseSegmentName(e.Name)
		switch {
		case strings.HasSuffix(e.Name, tmpSuffix), ok && state == deletedSuffix:
			useless = append(useless, e.Name)
		case ok && state == cleanedSuffix:
			minCleaned = min(minCleaned, base)
			cleaned = append(cleaned, e.Name)
		case ok && state == swapSuffix:
			swaps = append(swaps, e.Name)
		}
	}
	broken := func(name string) bool {
		base, _, _, _ := parseSegmentName(name)
		return base >= minCleaned
	}
	for _, name := range swaps {
		if broken(name) {
			useless = append(useless, name)
		}
	}
	swaps = slices.DeleteFunc(swaps, broken)
	for _, names := range [][]string{useless, cleaned} {
		if err := r.removeAll(names); err != nil {
			return err
		}
	}
	if len(swaps) > 0 {
		if err := r.swapIn(swaps); err != nil {
			return err
		}
	}
	if r.renamed {
		return r.relist()
	}
	return nil
}

// removeAll removes files of the directory durably.
func (r *recovery) removeAll(names []string) error {
	if len(names) == 0 {
		return nil
	}
	for _, name := range names {
		if err := r.remove(name); err != nil {
			return err
		}
	}
	return r.d.Files.SyncDir(r.Dir)
}

// swapIn renames the .swap files into place, after it removed the segments that they
// replace. In order, and each durable before the next:
//
//  1. The .swap files have their names. If only the process crashed, the names are
//     seen but may not be durable: a loss of power could turn them into .cleaned again,
//     which are worthless, and keep the removal of what they replace.
//  2. The segments that they replace are gone. If a replacement had its name before
//     that, a crash could leave both.
//  3. The .swap files take their final names.
func (r *recovery) swapIn(swaps []string) error {
	first, next := int64(maxOffset), int64(-1)
	for _, name := range swaps {
		base, kind, _, _ := parseSegmentName(name)
		if kind != logSuffix {
			continue
		}
		end, err := r.scan.endOf(r.path(name), base)
		if err != nil {
			return err
		}
		first, next = min(first, base), max(next, end)
	}
	var replaced []string
	for _, e := range r.names {
		base, kind, state, ok := parseSegmentName(e.Name)
		if !ok || state != "" || base < first || base >= next || kind == snapshotSuffix {
			continue
		}
		if r.has(base, logSuffix) { // or it has its final name already
			replaced = append(replaced, e.Name)
		}
	}
	if len(replaced) > 0 {
		if err := r.d.Files.SyncDir(r.Dir); err != nil {
			return err
		}
	}
	if err := r.removeAll(replaced); err != nil {
		return err
	}
	for _, name := range swaps {
		r.renamed = true
		target := strings.TrimSuffix(name, swapSuffix)
		if err := r.d.Files.Rename(r.path(name), r.path(target)); err != nil {
			return err
		}
		r.repaired("%s: finished the replacement", target)
	}
	return nil
}

// loadEpochs reads the leader epochs. If they cannot be read, or begin above the log
// start offset because that was checkpointed before it rose, they are found again in
// the batches.
func (r *recovery) loadEpochs() error {
	name := r.path(leaderEpochFile)
	text, err := readSmallFile(r.d.Files, name)
	if err != nil && !errors.Is(err, ErrNotExist) {
		return err
	}
	if err == nil {
		r.epochs.entries, err = parseEpochs(name, text)
	}
	start := r.LogStartOffset
	for _, e := range r.names { // sorted: the first segment is the lowest
		base, kind, state, ok := parseSegmentName(e.Name)
		if ok && kind == logSuffix && state == "" {
			start = max(start, base)
			break
		}
	}
	if err != nil || r.epochs.find(start) < 0 {
		r.scan.allEpochs = true
		r.epochs.entries = nil
	}
	return nil
}

// startEmpty begins anew at the log start offset if there is no segment, or if all
// of the log lies below it.
func (r *recovery) startEmpty() error {
	n := len(r.segments)
	if n > 0 && r.segments[n-1].end >= r.LogStartOffset {
		return nil
	}
	base := max(r.LogStartOffset, 0)
	if r.mark != nil && n == 0 {
		base = max(base, r.mark.offset) // it was to begin anew there
	}
	switch {
	case n > 0:
		r.repaired("all segments removed: the log ends at %d and starts at %d",
			r.segments[n-1].end, base)
	case base > 0:
		r.repaired("the segments are lost: the log starts empty at %d", base)
	}
	if err := r.dropFrom(0); err != nil {
		return err
	}
	r.scan.producers, r.scan.producersAt = nil, 0
	s := newSegment(base, r.Now.Wall, r.Config)
	s.exists = true
	r.segments = []*segment{s}
	r.renamed = true
	return syncFile(r.d.Files, segmentPath(r.Dir, base, logSuffix))
}

// dropFrom removes the files of the segments from base on.
func (r *recovery) dropFrom(base int64) error {
	for _, e := range r.names {
		b, _, state, ok := parseSegmentName(e.Name)
		if !ok || state != "" || b < base {
			continue
		}
		if err := r.remove(e.Name); err != nil {
			return err
		}
	}
	i := slices.IndexFunc(r.segments, func(s *segment) bool { return s.base >= base })
	if i >= 0 {
		r.segments = r.segments[:i]
	}
	return r.relist()
}

// cutEpochs brings the leader epochs into the bounds of the log, and makes the
// checkpoint agree.
func (r *recovery) cutEpochs() error {
	changed := r.scan.allEpochs && len(r.epochs.entries) > 0 || r.scan.epochsFound
	end := r.segments[len(r.segments)-1].end
	changed = r.epochs.truncateEnd(end) || changed
	changed = r.epochs.truncateStart(max(r.LogStartOffset, r.segments[0].base)) || changed
	if !changed {
		return nil
	}
	return replaceFile(r.d.Files, r.Dir, leaderEpochFile, encodeEpochs(r.epochs.entries))
}

// syncNames makes what was removed and renamed durable.
func (r *recovery) syncNames() error {
	if !r.renamed {
		return nil
	}
	return r.d.Files.SyncDir(r.Dir)
}
