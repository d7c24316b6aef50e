package core

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/quorum"
)

// openQuorum is the job that reads all that the node knows of the metadata quorum
// (result *quorumFound). Kafka drops the beginning of a log that has grown long; what
// stood there is in a snapshot (KIP-630).
//
// After an unclean stop the small files are written anew, as Recover does with the
// log's tail: a sync that failed before may have left in memory what is not on disk.
type openQuorum struct {
	slice  log.Slice
	dir    string
	voters []quorum.NodeID // of a new quorum; none: the node is to be added to one
	from   int64           // log start offset
	to     int64           // log end offset
	node   quorum.NodeID
	clean  bool
	// observes says that the node takes no part in the quorum.
	observes bool
}

// quorumFound is what stands in the directory of the metadata log.
type quorumFound struct {
	hard     quorum.HardState
	snapshot metaSnapshot
	entries  []foundEntry
	joins    bool // there is nothing, and the node is to be added to a quorum
	restart  bool // the log does not hold the snapshot's end, and begins anew there
}

// foundEntry is one batch of the log, with the records in it.
type foundEntry struct {
	quorum.Entry
	logEntry
}

// Run reads the newest snapshot that the log goes on from, the log after it, and the
// hard state.
func (j *openQuorum) Run(d *log.Devices) (log.Result, error) {
	f := &quorumFound{}
	name, err := j.newestSnapshot(d.Files)
	if err != nil {
		return nil, err
	}
	if name == "" {
		return f, j.begin(d, f)
	}
	data, err := log.ReadFile(d.Files, path.Join(j.dir, name))
	if err != nil {
		return nil, fmt.Errorf("read metadata snapshot %s: %w", name, err)
	}
	f.snapshot.end, f.snapshot.epoch, _ = parseSnapshotName(name)
	if _, err = f.snapshot.parse(data, d.Codec, j.node); err != nil {
		return nil, fmt.Errorf("metadata snapshot %s: %w", name, err)
	}
	for _, step := range []func() error{
		func() error { return j.readHardState(d.Files, f) },
		func() error { return j.readLog(d, f) },
		func() error { return j.checkVoters(f) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if j.clean {
		return f, nil
	}
	return f, j.write(d.Files, f, data)
}

// newestSnapshot finds the last snapshot from which the log goes on, or which it is
// behind of; "" if there is none and the log is whole.
func (j *openQuorum) newestSnapshot(files log.Files) (string, error) {
	entries, err := files.List(j.dir)
	if err != nil {
		return "", fmt.Errorf("list %s: %w", j.dir, err)
	}
	for _, e := range slices.Backward(entries) { // sorted: the newest comes first
		if end, _, ok := parseSnapshotName(e.Name); ok && end >= j.from {
			return e.Name, nil
		}
	}
	if j.from > 0 {
		return "", fmt.Errorf("the metadata log in %s begins at %d, and no snapshot ends there or "+
			"above: restore its .checkpoint files", j.dir, j.from)
	}
	return "", nil
}

// begin makes the first snapshot, of nothing, which says who the voters are. A log
// without one was written by a node that is alone.
func (j *openQuorum) begin(d *log.Devices, f *quorumFound) error {
	voters := j.voters
	if j.observes {
		f.snapshot.Position = quorum.Position{Index: 1, Term: 1}
		if err := j.readLog(d, f); err != nil {
			return err
		}
		return j.write(d.Files, f, f.snapshot.encode())
	}
	if j.to > 0 {
		voters = []quorum.NodeID{j.node}
	}
	if len(voters) == 0 {
		f.joins = true
		return j.readHardState(d.Files, f)
	}
	first := quorum.Bootstrap(voters)
	f.hard, f.snapshot.Snapshot = first.HardState, first.Snapshot
	f.snapshot.epoch = int32(first.Snapshot.Term)
	if err := j.readHardState(d.Files, f); err != nil {
		return err
	}
	if err := j.readLog(d, f); err != nil {
		return err
	}
	if err := j.checkVoters(f); err != nil {
		return err
	}
	return j.write(d.Files, f, f.snapshot.encode())
}

// checkVoters refuses to take part in the quorum under other names than those that the log
// knows: what the named nodes would agree on among themselves is not what is in the log.
func (j *openQuorum) checkVoters(f *quorumFound) error {
	m := &f.snapshot.Membership
	changed := slices.ContainsFunc(f.entries, func(e foundEntry) bool {
		return e.Kind == quorum.KindMembership
	})
	switch {
	case j.observes:
		return nil
	case len(m.Voters) == 0:
		return fmt.Errorf("the metadata log in %s is that of a node without the role of a "+
			"controller: remove the directory, and the node gets it again", j.dir)
	case changed: // the members follow from the entries, which are the quorum's own
		return nil
	}
	for _, voter := range j.voters {
		if !m.IsMember(voter) {
			return fmt.Errorf("controller.quorum.voters names node %d, and the voters of the metadata "+
				"log in %s are %d: set controller.quorum.bootstrap.servers, and add the node with "+
				"AddRaftVoter", voter, j.dir, m.Voters)
		}
	}
	return nil
}

// readHardState takes in quorum-state. Before Heiban had terms there was none.
func (j *openQuorum) readHardState(files log.Files, f *quorumFound) error {
	name := path.Join(j.dir, quorumStateFile)
	text, err := log.ReadFile(files, name)
	if errors.Is(err, log.ErrNotExist) {
		f.hard = quorum.HardState{Term: f.snapshot.Term, Vote: quorum.NoNode}
		return nil
	}
	if err == nil {
		f.hard, err = parseQuorumState(text)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// readLog takes in the batches after the snapshot.
func (j *openQuorum) readLog(d *log.Devices, f *quorumFound) error {
	data, err := log.ReadAll(d, &j.slice)
	if err != nil {
		return fmt.Errorf("read the metadata log: %w", err)
	}
	read := metadataReader{codec: d.Codec}
	index, next := f.snapshot.Index, f.snapshot.end
	goesOn := j.from == f.snapshot.end
	for len(data) > 0 {
		one, h, err := read.batch(data)
		if err != nil {
			return fmt.Errorf("metadata log: %w", err)
		}
		data = data[len(one):]
		if h.NextOffset() <= f.snapshot.end {
			goesOn = goesOn || h.NextOffset() == f.snapshot.end &&
				termOf(h.PartitionLeaderEpoch) == f.snapshot.Term
			continue
		}
		if !goesOn {
			break
		}
		if h.BaseOffset != next {
			return fmt.Errorf("metadata log: batch at offset %d, want %d", h.BaseOffset, next)
		}
		index++
		next = h.NextOffset()
		found := foundEntry{logEntry: logEntry{end: next}}
		if found.Entry, err = entryOf(one, &h, index); err == nil {
			found.records, err = read.records(one, &h)
		}
		if err != nil {
			return fmt.Errorf("metadata log: %w", err)
		}
		f.entries = append(f.entries, found)
	}
	// A snapshot came from a leader, and the node stopped before the log was emptied. What
	// it holds was not committed, or is part of the snapshot.
	f.restart = !goesOn
	return nil
}

// write makes the snapshot and the hard state durable.
func (j *openQuorum) write(files log.Files, f *quorumFound, snapshot []byte) error {
	if err := log.ReplaceFile(files, j.dir, f.snapshot.name(), snapshot); err != nil {
		return err
	}
	return log.ReplaceFile(files, j.dir, quorumStateFile, encodeQuorumState(f.hard))
}

// restored is what the engine starts from.
func (f *quorumFound) restored() quorum.Restored {
	r := quorum.Restored{HardState: f.hard, Snapshot: f.snapshot.Snapshot}
	for i := range f.entries {
		r.Entries = append(r.Entries, f.entries[i].Entry)
	}
	return r
}
