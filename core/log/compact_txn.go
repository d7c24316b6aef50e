package log

import (
	"cmp"
	"slices"

	"github.com/heiban/heiban/core/batch"
)

// txnTracker follows the transactions of a log as its batches pass by in order, and
// says which of them were aborted and which markers have nothing left to end.
type txnTracker struct {
	waiting   []abortedTxn          // by first offset: not yet reached
	aborted   map[int64]*trackedTxn // open here, by producer
	committed map[int64]bool        // producers with data of another open transaction
	kept      []abortedTxn          // of the abort markers that must stay
}

// trackedTxn is an aborted transaction whose marker was not met yet.
type trackedTxn struct {
	abortedTxn
	seen bool // a batch of it was met
}

// newTxnTracker tracks a log from any offset on. aborted are all transactions that
// ended at or after it with an abort, perhaps more.
func newTxnTracker(aborted []abortedTxn) *txnTracker {
	t := &txnTracker{
		waiting: slices.Clone(aborted),
		aborted: map[int64]*trackedTxn{}, committed: map[int64]bool{},
	}
	slices.SortFunc(t.waiting, func(a, b abortedTxn) int {
		return cmp.Compare(a.firstOffset, b.firstOffset)
	})
	return t
}

// reach opens the aborted transactions that begin at or before offset.
func (t *txnTracker) reach(offset int64) {
	for len(t.waiting) > 0 && t.waiting[0].firstOffset <= offset {
		txn := t.waiting[0]
		t.waiting = t.waiting[1:]
		t.aborted[txn.producerID] = &trackedTxn{abortedTxn: txn}
	}
}

// data takes in a batch of records, and reports whether its transaction was aborted.
func (t *txnTracker) data(h *batch.Header) bool {
	t.reach(h.LastOffset())
	if !h.IsTransactional() {
		return false
	}
	// The marker of a transaction that ended before the tracking began is never met.
	if txn := t.aborted[h.ProducerID]; txn != nil && h.BaseOffset < txn.lastOffset {
		txn.seen = true
		return true
	}
	t.committed[h.ProducerID] = true
	return false
}

// control takes in a control batch, and reports whether there is nothing left for it
// to end: it was emptied, or is the marker of a transaction of which no batch was
// met. Control batches of other kinds always stay.
func (t *txnTracker) control(data []byte, h *batch.Header) (bool, error) {
	t.reach(h.LastOffset())
	if h.RecordCount == 0 {
		return true, nil
	}
	m, ok, err := batch.ParseMarker(data, h)
	if err != nil || !ok {
		return false, err
	}
	if m.Commit {
		open := t.committed[h.ProducerID]
		delete(t.committed, h.ProducerID)
		return !open, nil
	}
	txn := t.aborted[h.ProducerID]
	delete(t.aborted, h.ProducerID)
	if txn == nil || !txn.seen {
		return true, nil
	}
	t.kept = append(t.kept, txn.abortedTxn)
	return false, nil
}
