package log

import (
	"slices"
	"sort"

	"github.com/heiban/heiban/core/invariant"
)

// epochEntry says that a leader epoch starts at an offset.
type epochEntry struct {
	epoch       int32
	startOffset int64
}

// epochCache maps leader epochs to their start offsets (KIP-101). Epochs and start
// offsets strictly increase.
type epochCache struct{ entries []epochEntry }

// assign notes that epoch starts at offset, and reports whether that was news.
// Entries that the new one contradicts go: those of an epoch that wrote nothing,
// because it starts at the same offset.
func (c *epochCache) assign(epoch int32, offset int64) bool {
	invariant.True(epoch >= 0 && offset >= 0, "leader epochs and their offsets are not negative")
	n := len(c.entries)
	if n > 0 && c.entries[n-1].epoch == epoch && c.entries[n-1].startOffset <= offset {
		return false
	}
	for n > 0 && (c.entries[n-1].epoch >= epoch || c.entries[n-1].startOffset >= offset) {
		n--
	}
	c.entries = append(c.entries[:n], epochEntry{epoch: epoch, startOffset: offset})
	return true
}

// latest returns the last epoch, or -1.
func (c *epochCache) latest() int32 {
	if len(c.entries) == 0 {
		return -1
	}
	return c.entries[len(c.entries)-1].epoch
}

// truncateEnd drops the epochs that start at or after offset, and reports whether
// there were any.
func (c *epochCache) truncateEnd(offset int64) bool {
	n := len(c.entries)
	for n > 0 && c.entries[n-1].startOffset >= offset {
		n--
	}
	cut := n < len(c.entries)
	c.entries = c.entries[:n]
	return cut
}

// truncateStart makes the epoch of offset the first one, starting there, and
// reports whether that changed anything.
func (c *epochCache) truncateStart(offset int64) bool {
	n := c.find(offset)
	if n < 0 || n == 0 && c.entries[0].startOffset == offset {
		return false
	}
	c.entries = c.entries[n:]
	c.entries[0].startOffset = offset
	return true
}

// find returns the place of the entry that offset falls into, or -1.
func (c *epochCache) find(offset int64) int {
	return sort.Search(len(c.entries), func(i int) bool {
		return c.entries[i].startOffset > offset
	}) - 1
}

// epochOf returns the epoch that offset falls into, or -1.
func (c *epochCache) epochOf(offset int64) int32 {
	if i := c.find(offset); i >= 0 {
		return c.entries[i].epoch
	}
	return -1
}

// endOffsetFor returns the largest epoch at or below the one asked for and the
// offset where it ends (KIP-279), or -1, -1. Of an epoch before the first one
// known, it says that it ended where the first one starts.
func (c *epochCache) endOffsetFor(epoch int32, logEndOffset int64) (int32, int64) {
	n := len(c.entries)
	if epoch < 0 || n == 0 {
		return -1, -1
	}
	if epoch == c.entries[n-1].epoch {
		return epoch, logEndOffset
	}
	higher := sort.Search(n, func(i int) bool { return c.entries[i].epoch > epoch })
	switch higher {
	case n:
		return -1, -1
	case 0:
		return epoch, c.entries[0].startOffset
	}
	return c.entries[higher-1].epoch, c.entries[higher].startOffset
}

func (c *epochCache) clone() []epochEntry { return slices.Clone(c.entries) }

// writeEpochs is the job that replaces a log's leader-epoch-checkpoint.
type writeEpochs struct {
	dir     string
	entries []epochEntry
}

func (j *writeEpochs) Run(d *Devices) (Result, error) {
	return nil, replaceFile(d.Files, j.dir, leaderEpochFile, encodeEpochs(j.entries))
}

// AssignEpoch notes that leaderEpoch starts at the log end offset, even if nothing
// is appended in it. A leader calls it when it is elected.
func (l *Log) AssignEpoch(leaderEpoch int32, o *Orders) {
	l.assignEpoch(leaderEpoch, l.active.end, o)
}

func (l *Log) assignEpoch(leaderEpoch int32, offset int64, o *Orders) {
	if l.epochs.assign(leaderEpoch, offset) {
		l.epochsDirtyFrom = min(l.epochsDirtyFrom, offset)
		l.epochsChanged = true
		l.maybeWriteEpochs(o)
	}
}

// maybeWriteEpochs orders the checkpoint to be replaced if it is out of date. One
// job at a time, so that an older one cannot replace a newer one. Epochs that have
// written nothing wait until they do: the next start would forget them anyway, and
// elections concern thousands of logs.
func (l *Log) maybeWriteEpochs(o *Orders) {
	if !l.epochsChanged || l.epochsWriting || l.closeOrdered || l.cut != nil || l.onlyUnused() {
		return
	}
	l.epochsChanged, l.epochsWriting = false, true
	l.epochsWritingFrom, l.epochsDirtyFrom = l.epochsDirtyFrom, maxOffset
	l.runJob(&writeEpochs{dir: l.dir, entries: l.epochs.clone()}, epochsWritten, nil, o)
}

// onlyUnused reports that the checkpoint differs only in what the next start drops: epochs
// that have written nothing, and perhaps some that end below the log start offset.
func (l *Log) onlyUnused() bool {
	return l.epochsDirtyFrom >= l.active.end && l.epochsDirtyFrom != maxOffset
}

func (l *Log) epochsWrittenDone(o *Orders) {
	l.epochsWriting, l.epochsWritingFrom = false, maxOffset
	l.maybeWriteEpochs(o)
}

// LatestEpoch returns the last epoch of the log, or -1.
func (l *Log) LatestEpoch() int32 { return l.epochs.latest() }

// EndOffsetFor returns the largest epoch at or below leaderEpoch and the offset
// where it ends, or -1, -1 (KIP-101, KIP-279).
func (l *Log) EndOffsetFor(leaderEpoch int32) (epoch int32, endOffset int64) {
	return l.epochs.endOffsetFor(leaderEpoch, l.active.end)
}

// EpochOf returns the leader epoch of an offset, or -1 if it is not known.
func (l *Log) EpochOf(offset int64) int32 { return l.epochs.epochOf(offset) }
