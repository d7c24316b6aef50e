package log

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
)

// smallFileMax bounds what is read of a checkpoint or properties file. A million
// partitions with long names fit.
const smallFileMax = 512 << 20

// Checkpoint is one line of a checkpoint file: an offset of a partition.
type Checkpoint struct {
	Topic     string
	Partition int32
	Offset    int64
}

// metaProperties says to which node of which cluster a log directory belongs.
type metaProperties struct {
	clusterID   string
	nodeID      int32
	directoryID [16]byte // zero if there is none
}

// A checkpoint is a text file: a line with version 0, one with the number of
// entries, and one per entry.
const checkpointVersion = "0"

// encodeCheckpoints encodes an offset checkpoint: lines "topic partition offset", in
// order of topic and partition.
func encodeCheckpoints(entries []Checkpoint) []byte {
	sorted := slices.SortedFunc(slices.Values(entries), func(a, b Checkpoint) int {
		return comparePartitions(a.Topic, a.Partition, b.Topic, b.Partition)
	})
	text := fmt.Appendf(nil, "%s\n%d\n", checkpointVersion, len(sorted))
	for _, e := range sorted {
		text = fmt.Appendf(text, "%s %d %d\n", e.Topic, e.Partition, e.Offset)
	}
	return text
}

// parseCheckpoints decodes an offset checkpoint. name stands in errors only. An
// empty file has no entries.
func parseCheckpoints(name string, text []byte) ([]Checkpoint, error) {
	var entries []Checkpoint
	err := parseLines(name, text, 3, func(f []string) error {
		partition, err := parseInt32(f[1])
		if err != nil {
			return err
		}
		offset, err := strconv.ParseInt(f[2], 10, 64)
		if err == nil && (partition < 0 || offset < 0) {
			err = errNegative
		}
		entries = append(entries, Checkpoint{Topic: f[0], Partition: partition, Offset: offset})
		return err
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// encodeEpochs encodes a leader epoch checkpoint: lines "epoch startOffset".
func encodeEpochs(entries []epochEntry) []byte {
	text := fmt.Appendf(nil, "%s\n%d\n", checkpointVersion, len(entries))
	for _, e := range entries {
		text = fmt.Appendf(text, "%d %d\n", e.epoch, e.startOffset)
	}
	return text
}

// parseEpochs decodes a leader epoch checkpoint. Epochs and start offsets must
// strictly increase.
func parseEpochs(name string, text []byte) ([]epochEntry, error) {
	var entries []epochEntry
	err := parseLines(name, text, 2, func(f []string) error {
		epoch, err := parseInt32(f[0])
		if err != nil {
			return err
		}
		startOffset, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			return err
		}
		if epoch < 0 || startOffset < 0 {
			return errNegative
		}
		if n := len(entries); n > 0 &&
			(epoch <= entries[n-1].epoch || startOffset <= entries[n-1].startOffset) {
			return errors.New("epochs and their start offsets must increase")
		}
		entries = append(entries, epochEntry{epoch: epoch, startOffset: startOffset})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

var errNegative = errors.New("negative number")

func parseInt32(s string) (int32, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	return int32(n), err
}

// parseLines checks the frame of a checkpoint file and gives the fields of each
// entry to parse.
func parseLines(name string, text []byte, fields int, parse func([]string) error) error {
	lines := textLines(text)
	if len(lines) == 0 {
		return nil // created, and never written
	}
	if lines[0] != checkpointVersion {
		return fmt.Errorf("%s:1: version %q, want %s", name, lines[0], checkpointVersion)
	}
	if len(lines) == 1 {
		return fmt.Errorf("%s:2: the number of entries is missing", name)
	}
	count, err := strconv.ParseUint(lines[1], 10, 31)
	if err != nil {
		return fmt.Errorf("%s:2: number of entries %q", name, lines[1])
	}
	for i, line := range lines[2:] {
		f := strings.Fields(line)
		if len(f) != fields {
			return fmt.Errorf("%s:%d: %q has %d fields, want %d", name, i+3, line, len(f), fields)
		}
		if err := parse(f); err != nil {
			return fmt.Errorf("%s:%d: %q: %w", name, i+3, line, err)
		}
	}
	if n := uint64(len(lines) - 2); n != count {
		return fmt.Errorf("%s:2: %d entries are announced and %d are there", name, count, n)
	}
	return nil
}

// textLines splits a text into lines, without their ends.
func textLines(text []byte) []string {
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) == 1 && lines[0] == "" {
		return nil
	}
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
	}
	return lines
}

// encodeUUID writes an id as Kafka does: base64 for URLs, without padding.
func encodeUUID(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// parseUUID reads an id as Kafka does. Padding is accepted.
func parseUUID(s string) ([16]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimSuffix(s, "=="))
	if err == nil && len(b) != 16 {
		err = fmt.Errorf("%d bytes, want 16", len(b))
	}
	if err != nil {
		return [16]byte{}, fmt.Errorf("id %q: %w", s, err)
	}
	return [16]byte(b), nil
}

// encodePartitionMetadata encodes partition.metadata, which ties a directory to one
// incarnation of its topic (KIP-516). There is no newline at the end.
func encodePartitionMetadata(topicID [16]byte) []byte {
	return []byte("version: 0\ntopic_id: " + encodeUUID(topicID))
}

// parsePartitionMetadata decodes partition.metadata. A zero topic id is an error.
func parsePartitionMetadata(name string, text []byte) ([16]byte, error) {
	lines := textLines(text)
	if len(lines) != 2 {
		return [16]byte{}, fmt.Errorf("%s: %d lines, want 2", name, len(lines))
	}
	version, ok := strings.CutPrefix(lines[0], "version:")
	if !ok || strings.TrimSpace(version) != "0" {
		return [16]byte{}, fmt.Errorf("%s:1: %q, want \"version: 0\"", name, lines[0])
	}
	text64, ok := strings.CutPrefix(lines[1], "topic_id:")
	if !ok {
		return [16]byte{}, fmt.Errorf("%s:2: %q, want a topic_id", name, lines[1])
	}
	id, err := parseUUID(strings.TrimSpace(text64))
	if err == nil && id == [16]byte{} {
		err = errors.New("the topic id is zero")
	}
	if err != nil {
		return [16]byte{}, fmt.Errorf("%s:2: %w", name, err)
	}
	return id, nil
}

// encodeMetaProperties encodes meta.properties in version 1 (KIP-631, KIP-858).
func encodeMetaProperties(m *metaProperties) []byte {
	text := fmt.Appendf(nil, "#\ncluster.id=%s\n", escapeProperty(m.clusterID))
	if m.directoryID != [16]byte{} {
		text = fmt.Appendf(text, "directory.id=%s\n", encodeUUID(m.directoryID))
	}
	return fmt.Appendf(text, "node.id=%d\nversion=1\n", m.nodeID)
}

// escapeProperty writes a value so that Java's Properties reads it back.
func escapeProperty(value string) string {
	var s strings.Builder
	for _, r := range value {
		if strings.ContainsRune(`\:=#! `, r) {
			s.WriteByte('\\')
		}
		s.WriteRune(r)
	}
	return s.String()
}

// parseMetaProperties decodes meta.properties. Keys it does not know are ignored.
func parseMetaProperties(name string, text []byte) (*metaProperties, error) {
	values, lines := map[string]string{}, map[string]int{}
	for i, line := range textLines(text) {
		line = strings.TrimLeft(line, " \t\f")
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		key, value := cutProperty(line)
		values[key], lines[key] = value, i+1
	}
	if v := values["version"]; v != "1" {
		return nil, fmt.Errorf("%s: version %q, want 1", name, v)
	}
	m := &metaProperties{clusterID: values["cluster.id"]}
	if m.clusterID == "" {
		return nil, fmt.Errorf("%s: cluster.id is missing", name)
	}
	if strings.ContainsFunc(m.clusterID, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, fmt.Errorf("%s:%d: cluster.id %q is not printable ASCII",
			name, lines["cluster.id"], m.clusterID)
	}
	var err error
	if m.nodeID, err = parseInt32(values["node.id"]); err != nil || m.nodeID < 0 {
		return nil, fmt.Errorf("%s:%d: node.id %q is no id", name, lines["node.id"],
			values["node.id"])
	}
	if id, ok := values["directory.id"]; ok {
		if m.directoryID, err = parseUUID(id); err != nil {
			return nil, fmt.Errorf("%s:%d: directory.id: %w", name, lines["directory.id"], err)
		}
	}
	return m, nil
}

// cutProperty splits a line as Java's Properties does: at the first =, : or blank
// that no backslash precedes.
func cutProperty(line string) (key, value string) {
	end, escaped := len(line), false
	for i := 0; i < len(line); i++ {
		if !escaped && strings.IndexByte("=: \t\f", line[i]) >= 0 {
			end = i
			break
		}
		escaped = !escaped && line[i] == '\\'
	}
	rest := strings.TrimLeft(line[end:], " \t\f")
	if rest != "" && (rest[0] == '=' || rest[0] == ':') {
		rest = strings.TrimLeft(rest[1:], " \t\f")
	}
	return unescapeProperty(line[:end]), unescapeProperty(rest)
}

func unescapeProperty(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// cleanShutdown is the content of the clean marker.
type cleanShutdown struct {
	Version     int   `json:"version"`
	BrokerEpoch int64 `json:"brokerEpoch"`
}

func encodeCleanShutdown(brokerEpoch int64) []byte {
	return fmt.Appendf(nil, `{"version":0,"brokerEpoch":%d}`, brokerEpoch)
}

// parseCleanShutdown returns the broker epoch in a clean marker. That the marker is
// there counts for a clean stop even if its content is unreadable: the epoch is then
// unknown, -1 (KIP-966).
func parseCleanShutdown(text []byte) int64 {
	content := cleanShutdown{BrokerEpoch: -1}
	if json.Unmarshal(text, &content) != nil {
		return -1
	}
	return content.BrokerEpoch
}

// readSmallFile reads a whole file. The error wraps ErrNotExist if it is not there.
func readSmallFile(files Files, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err == nil && size > smallFileMax {
		err = fmt.Errorf("%d bytes, want at most %d", size, smallFileMax)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", name, err), f.Close())
	}
	data := make([]byte, size)
	if n, err := f.ReadAt(data, 0); n < len(data) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, errors.Join(fmt.Errorf("read %s: %w", name, err), f.Close())
	}
	return data, f.Close()
}

// replaceFile puts data in place of a small file of dir, so that after a crash
// there is the old file or the new one. When it returns nil the new one is durable.
func replaceFile(files Files, dir, name string, data []byte) error {
	if err := swapFile(files, dir, name, data); err != nil {
		return err
	}
	if err := files.SyncDir(dir); err != nil {
		return fmt.Errorf("replace %s: %w", path.Join(dir, name), err)
	}
	return nil
}

// swapFile is replaceFile without its last step: until dir is synced, a crash may
// bring the old file back.
func swapFile(files Files, dir, name string, data []byte) error {
	target := path.Join(dir, name)
	err := writeFile(files, target+tmpSuffix, data)
	if err == nil {
		err = files.Rename(target+tmpSuffix, target)
	}
	if err != nil {
		return fmt.Errorf("replace %s: %w", target, err)
	}
	return nil
}

// writeFile writes a file that holds data and nothing else, and syncs it. Its name
// is not durable.
func writeFile(files Files, name string, data []byte) error {
	f, err := files.Create(name)
	if err != nil {
		return err
	}
	err = f.Truncate(0)
	if err == nil && len(data) > 0 {
		_, err = f.WriteAt(data, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
