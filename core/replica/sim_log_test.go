package replica_test

import "github.com/heiban/heiban/core/replica"

// entry is a record, which is a batch of its own.
type entry struct {
	offset int64
	value  uint64
	epoch  int32
}

// memLog is a log in memory, of which a part is synced.
type memLog struct {
	base       int64 // of entries[0]
	start      int64
	entries    []entry
	epochs     []replica.EpochEnd // with where they start
	synced     int64
	high       int64
	checkpoint int64 // of high, as it survives
}

func (l *memLog) end() int64 { return l.base + int64(len(l.entries)) }

func (l *memLog) at(offset int64) *entry { return &l.entries[offset-l.base] }

func (l *memLog) holds(offset int64) bool { return offset >= l.base && offset < l.end() }

func (l *memLog) latestEpoch() int32 {
	if len(l.epochs) == 0 {
		return -1
	}
	return l.epochs[len(l.epochs)-1].Epoch
}

func (l *memLog) assignEpoch(epoch int32, offset int64) {
	if l.latestEpoch() >= epoch {
		return
	}
	l.cutEpochs(offset)
	l.epochs = append(l.epochs, replica.EpochEnd{Epoch: epoch, EndOffset: offset})
}

func (l *memLog) cutEpochs(offset int64) {
	n := len(l.epochs)
	for n > 0 && l.epochs[n-1].EndOffset >= offset {
		n--
	}
	l.epochs = l.epochs[:n]
}

func (l *memLog) endOffsetFor(epoch int32) replica.EpochEnd {
	n := len(l.epochs)
	if epoch < 0 || n == 0 || epoch > l.epochs[n-1].Epoch {
		return replica.NoEpoch
	}
	if epoch == l.epochs[n-1].Epoch {
		return replica.EpochEnd{Epoch: epoch, EndOffset: l.end()}
	}
	higher := 0
	for l.epochs[higher].Epoch <= epoch {
		higher++
	}
	if higher == 0 {
		return replica.EpochEnd{Epoch: epoch, EndOffset: l.epochs[0].EndOffset}
	}
	return replica.EpochEnd{Epoch: l.epochs[higher-1].Epoch, EndOffset: l.epochs[higher].EndOffset}
}

func (l *memLog) append(e entry) {
	l.assignEpoch(e.epoch, l.end())
	l.entries = append(l.entries, e)
}

func (l *memLog) truncate(offset int64) {
	if offset < l.base {
		l.truncateFully(offset)
		return
	}
	if offset < l.end() {
		l.entries = l.entries[:offset-l.base]
	}
	l.cutEpochs(offset)
	l.start = min(l.start, offset)
	l.synced, l.high = min(l.synced, l.end()), min(l.high, l.end())
}

func (l *memLog) truncateFully(offset int64) {
	l.entries, l.epochs = l.entries[:0], nil
	l.base, l.start, l.synced, l.high = offset, offset, offset, offset
}

// raiseStart drops what is before offset.
func (l *memLog) raiseStart(offset int64) {
	if offset <= l.start {
		return
	}
	l.start = offset
	n := 0
	for n+1 < len(l.epochs) && l.epochs[n+1].EndOffset <= offset {
		n++
	}
	if len(l.epochs) > 0 {
		l.epochs = l.epochs[n:]
		l.epochs[0].EndOffset = max(l.epochs[0].EndOffset, offset)
	}
}
