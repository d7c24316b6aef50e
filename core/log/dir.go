package log

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// OpenDir is the job that opens a log directory at start (result *Dir). A directory
// that is new is made and formatted. One that belongs to another node or cluster is
// refused, and left as it is.
type OpenDir struct {
	Path           string
	ClusterID      string   // the cluster it must belong to; "" for whichever it does
	NewClusterID   string   // of a new directory, if ClusterID is ""
	NewDirectoryID [16]byte // of a directory that has none
	NodeID         int32
}

// Dir is what OpenDir found.
type Dir struct {
	ClusterID   string
	Partitions  []PartitionDir // by topic and partition
	Deleted     []string       // directories of deleted partitions, which are gone now
	Stray       []string       // directories set aside: a topic of the same name replaced theirs
	Future      []string       // directories of unfinished moves between log directories
	Unknown     []string       // directories that are not Kafka's
	Warnings    []string       // checkpoints that are damaged and count as empty
	BrokerEpoch int64          // of the node's last life, if it stopped cleanly and told; or -1
	DirectoryID [16]byte
	Clean       bool // the last stop was clean
	Formatted   bool // the directory is new
}

// PartitionDir is a partition's directory and what the checkpoints say of it. An
// offset that no checkpoint holds is 0.
type PartitionDir struct {
	Topic         string
	Path          string
	RecoveryPoint int64
	LogStart      int64
	HighWatermark int64
	CleanerPoint  int64 // first dirty offset
	TopicID       [16]byte
	Partition     int32
}

// Run opens the directory. Nothing is loaded before the clean marker is durably
// gone (KAFKA-10471): otherwise a crash while logs are loaded would look clean.
func (j *OpenDir) Run(d *Devices) (Result, error) {
	dir := &Dir{BrokerEpoch: -1}
	if err := j.identify(d.Files, dir); err != nil {
		return nil, err
	}
	if err := j.takeCleanMarker(d.Files, dir); err != nil {
		return nil, err
	}
	entries, err := d.Files.List(j.Path)
	if err != nil {
		return nil, fmt.Errorf("list log directory %s: %w", j.Path, err)
	}
	for _, e := range entries {
		if !e.Dir {
			continue
		}
		if err := dir.sort(d.Files, j.Path, e.Name); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(dir.Partitions, func(a, b PartitionDir) int {
		return comparePartitions(a.Topic, a.Partition, b.Topic, b.Partition)
	})
	for _, name := range dir.Deleted {
		if err := d.Files.Remove(path.Join(j.Path, name)); err != nil {
			return nil, fmt.Errorf("remove deleted partition %s: %w", name, err)
		}
	}
	if err := dir.readCheckpoints(d.Files, j.Path); err != nil {
		return nil, err
	}
	return dir, nil
}

// identify checks whose directory it is, and formats it if it is nobody's.
func (j *OpenDir) identify(files Files, dir *Dir) error {
	text, err := readSmallFile(files, path.Join(j.Path, metaPropertiesFile))
	if errors.Is(err, ErrNotExist) {
		return j.format(files, dir)
	}
	if err != nil {
		return err
	}
	m, err := parseMetaProperties(path.Join(j.Path, metaPropertiesFile), text)
	if err != nil {
		return err
	}
	switch {
	case j.ClusterID != "" && m.clusterID != j.ClusterID:
		return fmt.Errorf("log directory %s belongs to cluster %s, not to %s: "+
			"set log.dirs to another directory, or empty this one",
			j.Path, m.clusterID, j.ClusterID)
	case m.nodeID != j.NodeID:
		return fmt.Errorf("log directory %s belongs to node %d, not to node %d: "+
			"set node.id=%d or log.dirs to another directory", j.Path, m.nodeID, j.NodeID, m.nodeID)
	}
	if m.directoryID == [16]byte{} { // Kafka before KIP-858 wrote none
		m.directoryID = j.NewDirectoryID
		if err := j.writeIdentity(files, m); err != nil {
			return err
		}
	}
	dir.ClusterID, dir.DirectoryID = m.clusterID, m.directoryID
	return nil
}

// format makes the directory and marks it as this node's.
func (j *OpenDir) format(files Files, dir *Dir) error {
	entries, err := files.List(j.Path)
	if err != nil && !errors.Is(err, ErrNotExist) {
		return fmt.Errorf("list log directory %s: %w", j.Path, err)
	}
	for _, e := range entries {
		if _, _, ok := parseDirName(e.Name); ok && e.Dir {
			return fmt.Errorf("log directory %s holds partition %s but no %s: "+
				"restore that file, or set log.dirs to another directory",
				j.Path, e.Name, metaPropertiesFile)
		}
	}
	if err := makeDir(files, j.Path); err != nil {
		return fmt.Errorf("make log directory %s: %w", j.Path, err)
	}
	dir.Formatted = true
	dir.ClusterID = cmp.Or(j.ClusterID, j.NewClusterID)
	dir.DirectoryID = j.NewDirectoryID
	return j.writeIdentity(files, &metaProperties{
		clusterID: dir.ClusterID, nodeID: j.NodeID, directoryID: dir.DirectoryID,
	})
}

func (j *OpenDir) writeIdentity(files Files, m *metaProperties) error {
	return replaceFile(files, j.Path, metaPropertiesFile, encodeMetaProperties(m))
}

// makeDir makes a directory and makes its name and those of its missing parents
// durable. Its own name is synced in any case: a former life may have crashed
// between the two.
func makeDir(files Files, dir string) error {
	missing := []string{dir}
	for at := path.Dir(dir); at != path.Dir(at); at = path.Dir(at) {
		err := files.SyncDir(at) // is it there? to list it costs more the more it holds
		if err == nil {
			break
		}
		if !errors.Is(err, ErrNotExist) {
			return err
		}
		missing = append(missing, at)
	}
	if err := files.MakeDir(dir); err != nil {
		return err
	}
	for _, name := range missing {
		if err := files.SyncDir(path.Dir(name)); err != nil {
			return err
		}
	}
	return nil
}

// takeCleanMarker notes whether the last stop was clean, and makes sure that the
// next start will not think so of this life.
func (j *OpenDir) takeCleanMarker(files Files, dir *Dir) error {
	marker := path.Join(j.Path, cleanShutdownFile)
	text, err := readSmallFile(files, marker)
	if errors.Is(err, ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	dir.Clean, dir.BrokerEpoch = true, parseCleanShutdown(text)
	if err := files.Remove(marker); err != nil {
		return fmt.Errorf("remove %s: %w", marker, err)
	}
	if err := files.SyncDir(j.Path); err != nil {
		return fmt.Errorf("remove %s: %w", marker, err)
	}
	return nil
}

// sort puts a directory where it belongs. Whose partition it is must be known: taken
// for a stray, it would be set aside with all its records and made anew.
func (dir *Dir) sort(files Files, parent, name string) error {
	topic, partition, ok := parseDirName(name)
	switch {
	case ok:
		p := PartitionDir{Topic: topic, Partition: partition, Path: path.Join(parent, name)}
		metadata := path.Join(p.Path, partitionMetadataFile)
		text, err := readSmallFile(files, metadata)
		if err == nil {
			p.TopicID, err = parsePartitionMetadata(metadata, text)
		}
		if err != nil && !errors.Is(err, ErrNotExist) {
			return err
		}
		dir.Partitions = append(dir.Partitions, p)
	case isSetAside(name, deleteDirSuffix):
		dir.Deleted = append(dir.Deleted, name)
	case isSetAside(name, strayDirSuffix):
		dir.Stray = append(dir.Stray, name)
	case isSetAside(name, futureDirSuffix):
		dir.Future = append(dir.Future, name)
	default:
		dir.Unknown = append(dir.Unknown, name)
	}
	return nil
}

// readCheckpoints adds to the partitions what the checkpoints say of them. One that
// is damaged counts as empty: recovery then looks at more than it needs to.
func (dir *Dir) readCheckpoints(files Files, parent string) error {
	for _, c := range []struct {
		name  string
		field func(*PartitionDir) *int64
	}{
		{recoveryPointFile, func(p *PartitionDir) *int64 { return &p.RecoveryPoint }},
		{logStartFile, func(p *PartitionDir) *int64 { return &p.LogStart }},
		{highWatermarkFile, func(p *PartitionDir) *int64 { return &p.HighWatermark }},
		{cleanerFile, func(p *PartitionDir) *int64 { return &p.CleanerPoint }},
	} {
		name := path.Join(parent, c.name)
		text, err := readSmallFile(files, name)
		if errors.Is(err, ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		entries, err := parseCheckpoints(name, text)
		if err != nil {
			dir.Warnings = append(dir.Warnings, err.Error())
		}
		for _, e := range entries {
			i, ok := slices.BinarySearchFunc(dir.Partitions, e,
				func(p PartitionDir, e Checkpoint) int {
					return comparePartitions(p.Topic, p.Partition, e.Topic, e.Partition)
				})
			if ok {
				*c.field(&dir.Partitions[i]) = e.Offset
			}
		}
	}
	return nil
}

func comparePartitions(topicA string, partitionA int32, topicB string, partitionB int32) int {
	return cmp.Or(cmp.Compare(topicA, topicB), cmp.Compare(partitionA, partitionB))
}

// dirNameMax is the longest file name that common file systems take.
const dirNameMax = 255

// DirName names a partition's directory.
func DirName(topic string, partition int32) string {
	return topic + "-" + strconv.Itoa(int(partition))
}

// DeletedDirName names the directory of a deleted partition until it is removed. id
// is one that was never used. Of a long topic name the end is cut off.
func DeletedDirName(topic string, partition int32, id [16]byte) string {
	return asideName(topic, partition, id, deleteDirSuffix)
}

// StrayDirName names the directory of a partition that the node does not know. id is
// as in DeletedDirName.
func StrayDirName(topic string, partition int32, id [16]byte) string {
	return asideName(topic, partition, id, strayDirSuffix)
}

func asideName(topic string, partition int32, id [16]byte, state string) string {
	suffix := fmt.Sprintf("-%d.%s%s", partition, hex.EncodeToString(id[:]), state)
	return topic[:min(len(topic), dirNameMax-len(suffix))] + suffix
}

// parseDirName reads the name of a partition's directory. Only what DirName makes
// of a legal topic name is one.
func parseDirName(name string) (topic string, partition int32, ok bool) {
	dash := strings.LastIndexByte(name, '-')
	if dash <= 0 {
		return "", 0, false
	}
	topic = name[:dash]
	partition, err := parseInt32(name[dash+1:])
	if err != nil || partition < 0 || DirName(topic, partition) != name || !isTopicName(topic) {
		return "", 0, false
	}
	return topic, partition, true
}

func isTopicName(s string) bool {
	if len(s) > 249 || s == "." || s == ".." {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') &&
			r != '.' && r != '_' && r != '-'
	}) < 0
}

// isSetAside says that name is TOPIC-PARTITION.UNIQUE and the suffix.
func isSetAside(name, suffix string) bool {
	rest, ok := strings.CutSuffix(name, suffix)
	dot := strings.LastIndexByte(rest, '.')
	return ok && dot > 0 && strings.Contains(rest[:dot], "-")
}

// WriteCheckpoints is the job that replaces the checkpoints of a log directory (no
// result). A list that is nil leaves its file as it is. With Clean, the clean marker
// is written once all else is durable: only for a node that has closed all its logs,
// and does nothing after it.
type WriteCheckpoints struct {
	Path           string
	RecoveryPoints []Checkpoint
	LogStarts      []Checkpoint
	HighWatermarks []Checkpoint
	CleanerPoints  []Checkpoint
	BrokerEpoch    int64 // goes into the clean marker
	Clean          bool
}

// Run writes the checkpoints.
func (j *WriteCheckpoints) Run(d *Devices) (Result, error) {
	for _, c := range []struct {
		name    string
		entries []Checkpoint
	}{
		{recoveryPointFile, j.RecoveryPoints},
		{logStartFile, j.LogStarts},
		{highWatermarkFile, j.HighWatermarks},
		{cleanerFile, j.CleanerPoints},
	} {
		if c.entries == nil {
			continue
		}
		if err := swapFile(d.Files, j.Path, c.name, encodeCheckpoints(c.entries)); err != nil {
			return nil, err
		}
	}
	if err := d.Files.SyncDir(j.Path); err != nil {
		return nil, fmt.Errorf("write checkpoints of %s: %w", j.Path, err)
	}
	if j.Clean {
		return nil, replaceFile(d.Files, j.Path, cleanShutdownFile,
			encodeCleanShutdown(j.BrokerEpoch))
	}
	return nil, nil
}

// Remove is the job that deletes a partition at once: its directory takes a name
// that no start will load, made by DeletedDirName, and loses it later by RemoveNow.
// That Dir is not there is no error.
type Remove struct{ Dir, To string }

// Run renames the directory. It has no result.
func (j *Remove) Run(d *Devices) (Result, error) {
	err := d.Files.Rename(j.Dir, j.To)
	if err == nil || errors.Is(err, ErrNotExist) {
		err = d.Files.SyncDir(path.Dir(j.Dir))
	}
	if err != nil {
		return nil, fmt.Errorf("delete partition %s: %w", j.Dir, err)
	}
	return nil, nil
}

// RemoveNow is the job that removes a directory or files for good. A crash may bring
// them back: OpenDir and Recover remove what is named as deleted.
type RemoveNow struct{ Paths []string }

// Run removes the paths. It has no result.
func (j *RemoveNow) Run(d *Devices) (Result, error) {
	for _, p := range j.Paths {
		if err := d.Files.Remove(p); err != nil {
			return nil, fmt.Errorf("remove %s: %w", p, err)
		}
	}
	return nil, nil
}
