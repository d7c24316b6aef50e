package core

import (
	"fmt"
	"path"
	"slices"

	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/quorum"
)

// Snapshots of the metadata keep its log short (KIP-630). A node takes one when enough
// was committed since the last, and for a voter that needs what the log does not hold
// any more. When it is durable the log before it may go.

// keptEntries are how many entries before a snapshot stay in memory, for voters that are
// a little behind: without them they need the snapshot.
const keptEntries = 10

// keptSnapshots are how many snapshots stay on disk: somebody may be reading the one
// before the last.
const keptSnapshots = 2

// snapshots is what the node has to do with snapshots.
type snapshots struct {
	last   quorum.Position  // of the newest durable one
	end    int64            // of it: the first offset that is not part of it
	epoch  int32            // of it
	bytes  int64            // of entries committed since the last one was begun
	taking []*takenSnapshot // being written
	coming *comingSnapshot  // being fetched from the leader
	parsed *fetchedSnapshot // whose message is being received
	take   []*fetchedSnapshot
}

// takenSnapshot is a snapshot on its way to the disk.
type takenSnapshot struct {
	metaSnapshot
	sends []quorum.Send // that wait for it
}

// writeSnapshot is the job that writes a snapshot of an image and removes those that are
// old. It has no result.
type writeSnapshot struct {
	dir      string
	snapshot metaSnapshot
	image    *metadata.Image
}

// Run makes the records in the first place: that takes as long as the cluster is large.
func (j *writeSnapshot) Run(d *log.Devices) (log.Result, error) {
	j.snapshot.records = j.image.Records()
	err := log.ReplaceFile(d.Files, j.dir, j.snapshot.name(), j.snapshot.encode())
	if err != nil {
		return nil, fmt.Errorf("write a metadata snapshot: %w", err)
	}
	return nil, removeOldSnapshots(d.Files, j.dir)
}

// removeOldSnapshots leaves the newest ones.
func removeOldSnapshots(files log.Files, dir string) error {
	entries, err := files.List(dir)
	if err != nil {
		return fmt.Errorf("list %s: %w", dir, err)
	}
	kept := 0
	for _, e := range slices.Backward(entries) { // sorted: the newest comes first
		if _, _, ok := parseSnapshotName(e.Name); !ok {
			continue
		}
		if kept++; kept <= keptSnapshots {
			continue
		}
		if err := files.Remove(path.Join(dir, e.Name)); err != nil {
			return fmt.Errorf("remove the metadata snapshot %s: %w", e.Name, err)
		}
	}
	return nil
}

// snapshotMaybe takes a snapshot if it is time to.
func (b *Broker) snapshotMaybe() {
	m := &b.metalog
	if len(m.snapshots.taking) > 0 || m.applied.Index <= m.snapshots.last.Index ||
		b.phase > running {
		return
	}
	enough := m.snapshots.bytes >= b.base.MetadataLogMaxRecordBytes
	switch {
	case m.engine == nil && enough:
		b.takeSnapshot(quorum.Snapshot{Position: m.applied})
	case m.engine != nil && (enough || m.engine.WantsSnapshot()):
		b.takeSnapshot(m.engine.Snapshot())
	}
}

// takeSnapshot has a snapshot of the image written, which is that of all that is applied.
func (b *Broker) takeSnapshot(s quorum.Snapshot) {
	m := &b.metalog
	t := &takenSnapshot{metaSnapshot: metaSnapshot{
		Snapshot: s, end: m.image.Offset() + 1, epoch: int32(s.Term),
	}}
	m.snapshots.bytes = 0
	m.snapshots.taking = append(m.snapshots.taking, t)
	b.order(&writeSnapshot{dir: m.partition.path(), snapshot: t.metaSnapshot, image: m.image},
		jobOwner{kind: jobSnapshot, part: &m.partition, snapshot: t})
}

// snapshotTaken lets the log go that a durable snapshot covers.
func (b *Broker) snapshotTaken(t *takenSnapshot) {
	m := &b.metalog
	m.snapshots.taking = slices.DeleteFunc(m.snapshots.taking, func(o *takenSnapshot) bool {
		return o == t
	})
	if t.Index > m.snapshots.last.Index {
		m.snapshots.last, m.snapshots.end, m.snapshots.epoch = t.Position, t.end, t.epoch
	}
	if m.engine == nil {
		b.dropLogBefore(t.end)
		return
	}
	for i := range t.sends {
		b.sendSnapshot(&t.sends[i], t.end, t.epoch)
	}
	m.compact(t.Index)
	b.dropLogBefore(m.baseEnd)
	b.quorumMoved()
}

// compact forgets the entries up to an index that is part of a durable snapshot, but for
// the last few, and those that voters are about to get.
func (m *metalog) compact(index uint64) {
	index = min(index, m.applied.Index)
	if !m.engine.WantsSnapshot() {
		progress := m.engine.AppendProgress(nil)
		if len(progress) != 1 { // the node is not alone
			index -= min(index, keptEntries)
		}
		for _, p := range progress {
			if p.Active {
				index = min(index, p.Match)
			}
		}
	}
	if index <= m.baseIndex {
		return
	}
	n := index - m.baseIndex
	m.baseIndex, m.baseEnd = index, m.entries[n-1].end
	m.entries = append([]logEntry(nil), m.entries[n:]...)
	m.engine.Compact(index)
}

// dropLogBefore removes the segments of the log that end at or before an offset.
func (b *Broker) dropLogBefore(offset int64) {
	m := &b.metalog
	l := m.partition.log
	if m.stopped || l.Truncating() || m.partition.state != partitionOnline || offset > l.HighWatermark() {
		return
	}
	from := len(b.fx.Jobs)
	l.DeleteRecordsBefore(b.now, offset, &b.fx.Orders)
	b.ownJobs(from)
}

// sendState sends a message with the state that belongs to it: the other voter is told
// where to fetch it as soon as it is durable here.
func (b *Broker) sendState(s *quorum.Send) {
	m := &b.metalog
	if m.snapshots.last == s.Snapshot.Position {
		b.sendSnapshot(s, m.snapshots.end, m.snapshots.epoch)
		return
	}
	i := slices.IndexFunc(m.snapshots.taking, func(t *takenSnapshot) bool {
		return t.Position == s.Snapshot.Position
	})
	if i < 0 {
		i = len(m.snapshots.taking)
		b.takeSnapshot(*s.Snapshot)
	}
	t := m.snapshots.taking[i]
	t.sends = append(t.sends, quorum.Send{To: s.To, Data: s.Data, Snapshot: s.Snapshot})
}
