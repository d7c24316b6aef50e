package log

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestCheckpointGolden(t *testing.T) {
	entries := []Checkpoint{
		{Topic: "b.topic_2", Partition: 0, Offset: 1 << 40},
		{Topic: "a-1", Partition: 11, Offset: 0},
		{Topic: "a-1", Partition: 2, Offset: 77},
	}
	text := "0\n3\na-1 2 77\na-1 11 0\nb.topic_2 0 1099511627776\n"
	require.Equal(t, text, string(encodeCheckpoints(entries)))
	require.Equal(t, "b.topic_2", entries[0].Topic, "the caller's order stays")
	parsed, err := parseCheckpoints("file", []byte(text))
	require.NoError(t, err)
	require.Equal(t, []Checkpoint{entries[2], entries[1], entries[0]}, parsed)

	require.Equal(t, "0\n0\n", string(encodeCheckpoints(nil)))
	for _, empty := range []string{"", "0\n0\n", "0\n0"} {
		parsed, err = parseCheckpoints("file", []byte(empty))
		require.NoError(t, err)
		require.Empty(t, parsed)
	}
}

func TestEpochsGolden(t *testing.T) {
	entries := []epochEntry{{epoch: 0, startOffset: 0}, {epoch: 3, startOffset: 12}}
	require.Equal(t, "0\n2\n0 0\n3 12\n", string(encodeEpochs(entries)))
	parsed, err := parseEpochs("file", []byte("0\n2\n0 0\n3 12\n"))
	require.NoError(t, err)
	require.Equal(t, entries, parsed)
	parsed, err = parseEpochs("file", nil)
	require.NoError(t, err)
	require.Empty(t, parsed)
}

// TestCheckpointErrors makes sure that an error names the file, the line and the
// mistake.
func TestCheckpointErrors(t *testing.T) {
	for text, want := range map[string]string{
		"1\n0\n":                          `file:1: version "1", want 0`,
		"\n":                              "",
		"0\n":                             "file:2: the number of entries is missing",
		"0\nx\n":                          `file:2: number of entries "x"`,
		"0\n-1\n":                         `file:2: number of entries "-1"`,
		"0\n99999999999\n":                `file:2: number of entries "99999999999"`,
		"0\n2\na 0 1\n":                   "file:2: 2 entries are announced and 1 are there",
		"0\n0\na 0 1\n":                   "file:2: 0 entries are announced and 1 are there",
		"0\n2\na 0 1\na 1\n":              `file:4: "a 1" has 2 fields, want 3`,
		"0\n1\na 0 1 2\n":                 `file:3: "a 0 1 2" has 4 fields, want 3`,
		"0\n1\na x 1\n":                   `file:3: "a x 1": strconv.ParseInt`,
		"0\n1\na 2147483648 1\n":          "value out of range",
		"0\n1\na 0 -1\n":                  `file:3: "a 0 -1": negative number`,
		"0\n1\na -1 1\n":                  `file:3: "a -1 1": negative number`,
		"0\n1\na 0 9223372036854775808\n": "value out of range",
	} {
		_, err := parseCheckpoints("file", []byte(text))
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "file:")
	}
	for text, want := range map[string]string{
		"0\n2\n1 0\n1 5\n":    `file:4: "1 5": epochs and their start offsets must increase`,
		"0\n2\n1 5\n2 5\n":    `file:4: "2 5": epochs and their start offsets must increase`,
		"0\n1\n-1 5\n":        `file:3: "-1 5": negative number`,
		"0\n1\n4294967296 5":  "value out of range",
		"0\n1\n1 5 6\n":       "has 3 fields, want 2",
		"0\n1\n1 0x5\n":       "invalid syntax",
		"0\n1\ntopic 0 100\n": "has 3 fields, want 2",
	} {
		_, err := parseEpochs("file", []byte(text))
		require.ErrorContains(t, err, want)
	}
}

func TestPartitionMetadata(t *testing.T) {
	id := [16]byte{0xfb, 0xef, 0xbe, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}
	text := "version: 0\ntopic_id: ----AQIDBAUGBwgJCgsMDQ"
	require.Equal(t, text, string(encodePartitionMetadata(id)))
	for _, variant := range []string{text, text + "\n", strings.ReplaceAll(text, "\n", "\r\n")} {
		parsed, err := parsePartitionMetadata("file", []byte(variant))
		require.NoError(t, err)
		require.Equal(t, id, parsed)
	}
	for text, want := range map[string]string{
		"":                           "file: 0 lines, want 2",
		"version: 1\ntopic_id: abc":  `file:1: "version: 1", want "version: 0"`,
		"version: 0\ntopic: abc":     `file:2: "topic: abc", want a topic_id`,
		"version: 0\ntopic_id: abc":  `file:2: id "abc": 2 bytes, want 16`,
		"version: 0\ntopic_id: +///": `file:2: id "+///": illegal base64`,
		"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA": "file:2: the topic id is zero",
	} {
		_, err := parsePartitionMetadata("file", []byte(text))
		require.ErrorContains(t, err, want)
	}
}

func TestMetaProperties(t *testing.T) {
	// As Kafka's storage tool leaves it: Java's Properties, in any order.
	kafka := "#\n#Tue Nov 04 10:21:33 UTC 2025\nnode.id=3\ndirectory.id=MTIzNDU2Nzg5MDEyMzQ1Ng\n" +
		"version=1\ncluster.id=4L6g3nShT-eMCtK--X86sw\n"
	m, err := parseMetaProperties("file", []byte(kafka))
	require.NoError(t, err)
	want := &metaProperties{
		clusterID: "4L6g3nShT-eMCtK--X86sw", nodeID: 3,
		directoryID: [16]byte([]byte("1234567890123456")),
	}
	require.Equal(t, want, m)
	require.Equal(t, "#\ncluster.id=4L6g3nShT-eMCtK--X86sw\ndirectory.id=MTIzNDU2Nzg5MDEyMzQ1Ng\n"+
		"node.id=3\nversion=1\n", string(encodeMetaProperties(want)))

	m, err = parseMetaProperties("file", []byte(
		"! note\n  version : 1 \r\nnode.id 0\nunknown=x\n\ncluster.id = my\\ cluster\\=1\\\\\n"))
	require.ErrorContains(t, err, `version "1 "`, "blanks at the end belong to the value")
	require.Nil(t, m)
	m, err = parseMetaProperties("file", []byte(
		"! note\n  version : 1\r\nnode.id 0\nunknown=x\n\ncluster.id = my\\ cluster\\=1\\\\\n"))
	require.NoError(t, err)
	require.Equal(t, &metaProperties{clusterID: `my cluster=1\`, nodeID: 0}, m)

	for text, want := range map[string]string{
		"":                                      `file: version "", want 1`,
		"version=1\ncluster.id=\xff\nnode.id=1": `file:2: cluster.id "\xff" is not printable ASCII`,
		"version=0\nbroker.id=1":                `file: version "0", want 1`,
		"version=1\nnode.id=1":                  "file: cluster.id is missing",
		"version=1\ncluster.id=a":               `node.id "" is no id`,
		"version=1\ncluster.id=a\nnode.id=-1":   `file:3: node.id "-1" is no id`,
		"version=1\nnode.id=1\ncluster.id=a\ndirectory.id=x": "file:4: directory.id: id \"x\"",
	} {
		_, err := parseMetaProperties("file", []byte(text))
		require.ErrorContains(t, err, want)
	}
}

func TestCleanShutdown(t *testing.T) {
	require.Equal(t, `{"version":0,"brokerEpoch":42}`, string(encodeCleanShutdown(42)))
	require.Equal(t, int64(42), parseCleanShutdown([]byte(`{"version":0,"brokerEpoch":42}`)))
	require.Equal(t, int64(7), parseCleanShutdown([]byte(`{"brokerEpoch":7,"more":true}`)))
	for _, text := range []string{"", "{}", "{", `{"brokerEpoch":"x"}`} {
		require.Equal(t, int64(-1), parseCleanShutdown([]byte(text)))
	}
}

func TestSmallFilesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkpoint := rapid.Custom(func(t *rapid.T) Checkpoint {
			return Checkpoint{
				Topic:     rapid.StringMatching(`[a-zA-Z0-9._-]{1,20}`).Draw(t, "topic"),
				Partition: rapid.Int32Min(0).Draw(t, "partition"),
				Offset:    rapid.Int64Min(0).Draw(t, "offset"),
			}
		})
		entries := rapid.SliceOfNDistinct(checkpoint, 0, 20, func(c Checkpoint) string {
			return fmt.Sprint(c.Topic, " ", c.Partition)
		}).Draw(t, "entries")
		parsed, err := parseCheckpoints("file", encodeCheckpoints(entries))
		require.NoError(t, err)
		require.ElementsMatch(t, entries, parsed)

		m := &metaProperties{
			clusterID:   rapid.StringMatching(`[!-~][ -~]{0,30}`).Draw(t, "cluster"),
			nodeID:      rapid.Int32Min(0).Draw(t, "node"),
			directoryID: [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "directory")),
		}
		properties, err := parseMetaProperties("file", encodeMetaProperties(m))
		require.NoError(t, err)
		require.Equal(t, m, properties)

		var epochs []epochEntry
		for _, e := range rapid.SliceOfN(rapid.Int32Range(1, 1000), 0, 10).Draw(t, "epochs") {
			last := epochEntry{}
			if len(epochs) > 0 {
				last = epochs[len(epochs)-1]
			}
			last.epoch, last.startOffset = last.epoch+e, last.startOffset+int64(e)
			epochs = append(epochs, last)
		}
		parsedEpochs, err := parseEpochs("file", encodeEpochs(epochs))
		require.NoError(t, err)
		require.Equal(t, epochs, parsedEpochs)
	})
}

// TestReplaceFile crashes at every operation: the old file or the new one is there,
// and once it returned it is the new one.
func TestReplaceFile(t *testing.T) {
	for _, power := range []bool{false, true} {
		for budget := 0; ; budget++ {
			m := newMemFiles()
			m.put("dir/file", []byte("old"))
			m.put("dir/file.tmp", []byte("left over by an older crash"))
			m.syncAll()
			m.budget = budget
			err := replaceFile(m, "dir", "file", []byte("new one"))
			m.crash(!power)
			text, ok := m.get("dir/file")
			require.True(t, ok)
			if err == nil {
				require.Equal(t, "new one", string(text))
				break
			}
			require.ErrorIs(t, err, errCrashed)
			require.Contains(t, []string{"old", "new one"}, string(text))
		}
	}
}

func TestReadSmallFile(t *testing.T) {
	m := newMemFiles()
	_, err := readSmallFile(m, "dir/file")
	require.ErrorIs(t, err, ErrNotExist)
	m.put("dir/file", nil)
	text, err := readSmallFile(m, "dir/file")
	require.NoError(t, err)
	require.Empty(t, text)
}

func FuzzSmallFiles(f *testing.F) {
	f.Add([]byte("0\n1\ntopic 1 2\n"))
	f.Add([]byte("0\n1\n1 2\n"))
	f.Add([]byte("version: 0\ntopic_id: ----AQIDBAUGBwgJCgsMDQ"))
	f.Add([]byte("#\ncluster.id=a\\ b\nnode.id=3\nversion=1\n"))
	f.Add([]byte(`{"version":0,"brokerEpoch":42}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if entries, err := parseCheckpoints("file", text); err == nil {
			again, err := parseCheckpoints("file", encodeCheckpoints(entries))
			require.NoError(t, err)
			require.ElementsMatch(t, entries, again)
		}
		if entries, err := parseEpochs("file", text); err == nil {
			again, err := parseEpochs("file", encodeEpochs(entries))
			require.NoError(t, err)
			require.Equal(t, entries, again)
		}
		if id, err := parsePartitionMetadata("file", text); err == nil {
			again, err := parsePartitionMetadata("file", encodePartitionMetadata(id))
			require.NoError(t, err)
			require.Equal(t, id, again)
		}
		if m, err := parseMetaProperties("file", text); err == nil {
			again, err := parseMetaProperties("file", encodeMetaProperties(m))
			require.NoError(t, err)
			require.Equal(t, m, again)
		}
		parseCleanShutdown(text)
	})
}
