package log

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func openTestDir() *OpenDir {
	return &OpenDir{
		Path: "/data/heiban", NodeID: 3, NewClusterID: "new-cluster",
		NewDirectoryID: [16]byte{1: 7},
	}
}

func openDir(m *memFiles, j *OpenDir) (*Dir, error) {
	result, err := j.Run(&Devices{Files: m})
	if err != nil {
		return nil, err
	}
	return result.(*Dir), nil
}

// fullDir is a log directory as Kafka leaves it, with something of everything.
func fullDir() *memFiles {
	m := newMemFiles()
	for name, text := range map[string]string{
		"meta.properties": "#\ncluster.id=old-cluster\ndirectory.id=AAcAAAAAAAAAAAAAAAAAAA\n" +
			"node.id=3\nversion=1\n",
		".kafka_cleanshutdown":             `{"version":0,"brokerEpoch":42}`,
		".lock":                            "",
		"recovery-point-offset-checkpoint": "0\n3\na-b 1 5\ngone 0 8\nt 0 7\n",
		"log-start-offset-checkpoint":      "0\n1\nt 0 2\n",
		"replication-offset-checkpoint":    "0\n2\na-b 1 4\nt 0 6\n",
		"cleaner-offset-checkpoint":        "0\n1\nt 0 broken\n",
		"t-0/partition.metadata":           "version: 0\ntopic_id: AQAAAAAAAAAAAAAAAAAAAA",
		"t-0/00000000000000000000.log":     "",
		"t-10/00000000000000000000.log":    "",
		"t-2/00000000000000000000.log":     "",
		"a-b-1/00000000000000000000.log":   "",
		"t-1.0123456789abcdef0123456789abcdef-delete/00000000000000000000.log": "",
		"t-3.0123456789abcdef0123456789abcdef-stray/00000000000000000000.log":  "",
		"t-4.0123456789abcdef0123456789abcdef-future/00000000000000000000.log": "",
		"lost+found/file": "",
		"t-01/file":       "",
		"no-delete/file":  "",
	} {
		m.put("/data/heiban/"+name, []byte(text))
	}
	m.syncAll()
	return m
}

func TestOpenDirNew(t *testing.T) {
	m := newMemFiles()
	dir, err := openDir(m, openTestDir())
	require.NoError(t, err)
	require.Equal(t, &Dir{
		ClusterID: "new-cluster", DirectoryID: [16]byte{1: 7}, BrokerEpoch: -1, Formatted: true,
	}, dir)
	m.crash(false)
	text, ok := m.get("/data/heiban/meta.properties")
	require.True(t, ok, "a new directory is durable")
	require.Equal(t, "#\ncluster.id=new-cluster\ndirectory.id=AAcAAAAAAAAAAAAAAAAAAA\n"+
		"node.id=3\nversion=1\n", string(text))

	again := openTestDir()
	again.NewClusterID, again.NewDirectoryID = "another", [16]byte{9}
	dir, err = openDir(m, again)
	require.NoError(t, err)
	require.Equal(t,
		&Dir{ClusterID: "new-cluster", DirectoryID: [16]byte{1: 7}, BrokerEpoch: -1}, dir)
}

func TestOpenDirFull(t *testing.T) {
	m := fullDir()
	dir, err := openDir(m, openTestDir())
	require.NoError(t, err)
	require.Len(t, dir.Warnings, 1)
	require.Contains(t, dir.Warnings[0], `/data/heiban/cleaner-offset-checkpoint:3: "t 0 broken"`)
	dir.Warnings = nil
	require.Equal(t, &Dir{
		ClusterID: "old-cluster", DirectoryID: [16]byte{1: 7}, BrokerEpoch: 42, Clean: true,
		Partitions: []PartitionDir{
			{
				Topic: "a-b", Partition: 1, Path: "/data/heiban/a-b-1",
				RecoveryPoint: 5, HighWatermark: 4,
			},
			{
				Topic: "t", Partition: 0, Path: "/data/heiban/t-0", TopicID: [16]byte{1},
				RecoveryPoint: 7, LogStart: 2, HighWatermark: 6,
			},
			{Topic: "t", Partition: 2, Path: "/data/heiban/t-2"},
			{Topic: "t", Partition: 10, Path: "/data/heiban/t-10"},
		},
		Deleted: []string{"t-1.0123456789abcdef0123456789abcdef-delete"},
		Stray:   []string{"t-3.0123456789abcdef0123456789abcdef-stray"},
		Future:  []string{"t-4.0123456789abcdef0123456789abcdef-future"},
		Unknown: []string{"lost+found", "no-delete", "t-01"},
	}, dir)
	for _, line := range m.dump() {
		require.NotContains(t, line, "hex-delete")
		require.NotContains(t, line, "abcdef-delete")
	}
	dir, err = openDir(m, openTestDir())
	require.NoError(t, err)
	require.False(t, dir.Clean, "the clean marker counts once")
	require.Equal(t, int64(-1), dir.BrokerEpoch)
}

// TestOpenDirRefuses makes sure that a directory of others is left as it is: not
// even its clean marker goes.
func TestOpenDirRefuses(t *testing.T) {
	foreign := openTestDir()
	foreign.ClusterID = "another"
	other := openTestDir()
	other.NodeID = 4
	for want, j := range map[string]*OpenDir{
		"log directory /data/heiban belongs to cluster old-cluster, not to another: " +
			"set log.dirs to another directory, or empty this one": foreign,
		"log directory /data/heiban belongs to node 3, not to node 4: " +
			"set node.id=3 or log.dirs to another directory": other,
	} {
		m := fullDir()
		m.budget = 0
		_, err := openDir(m, j)
		require.EqualError(t, err, want)
	}

	m := fullDir()
	require.NoError(t, m.Remove("/data/heiban/meta.properties"))
	m.budget = 0
	_, err := openDir(m, openTestDir())
	require.EqualError(t, err, "log directory /data/heiban holds partition a-b-1 but no "+
		"meta.properties: restore that file, or set log.dirs to another directory")

	m = fullDir()
	m.put("/data/heiban/meta.properties", []byte("version=9"))
	m.budget = 0
	_, err = openDir(m, openTestDir())
	require.EqualError(t, err, `/data/heiban/meta.properties: version "9", want 1`)
}

// unreadable is a disk on which one file cannot be read.
type unreadable struct {
	*memFiles
	path string
}

var errUnreadable = errors.New("input/output error")

func (u unreadable) Open(name string) (File, error) {
	if name == u.path {
		return nil, errUnreadable
	}
	return u.memFiles.Open(name)
}

// TestOpenDirUnreadable: what cannot be read now may be whole. Taken for missing, it
// would cost a partition its records, or its log start offset.
func TestOpenDirUnreadable(t *testing.T) {
	for _, name := range []string{
		"meta.properties", ".kafka_cleanshutdown", "t-0/partition.metadata",
		"recovery-point-offset-checkpoint", "log-start-offset-checkpoint",
		"replication-offset-checkpoint", "cleaner-offset-checkpoint",
	} {
		m := fullDir()
		_, err := openTestDir().Run(&Devices{Files: unreadable{m, "/data/heiban/" + name}})
		require.ErrorIs(t, err, errUnreadable, name)
	}
}

// TestOpenDirDamagedTopicID: a partition whose topic is not known is not set aside.
func TestOpenDirDamagedTopicID(t *testing.T) {
	m := fullDir()
	m.put("/data/heiban/t-10/partition.metadata", []byte("damaged"))
	_, err := openDir(m, openTestDir())
	require.EqualError(t, err, "/data/heiban/t-10/partition.metadata: 1 lines, want 2")
}

func TestOpenDirAddsDirectoryID(t *testing.T) {
	m := fullDir()
	m.put("/data/heiban/meta.properties", []byte("version=1\nnode.id=3\ncluster.id=old-cluster\n"))
	j := openTestDir()
	j.ClusterID = "old-cluster"
	dir, err := openDir(m, j)
	require.NoError(t, err)
	require.Equal(t, j.NewDirectoryID, dir.DirectoryID)
	j.NewDirectoryID = [16]byte{9}
	dir, err = openDir(m, j)
	require.NoError(t, err)
	require.Equal(t, [16]byte{1: 7}, dir.DirectoryID)
}

// TestOpenDirCrash crashes at every operation. A start that got through says Clean
// at most once, and never after one that it does not know of (KAFKA-10471).
func TestOpenDirCrash(t *testing.T) {
	for _, fresh := range []bool{false, true} {
		for _, power := range []bool{false, true} {
			for budget := 0; ; budget++ {
				m := newMemFiles()
				if !fresh {
					m = fullDir()
				}
				m.budget = budget
				first, err := openDir(m, openTestDir())
				if err != nil {
					require.ErrorIs(t, err, errCrashed)
				}
				m.crash(!power)
				second, err2 := openDir(m, openTestDir())
				require.NoError(t, err2)
				require.Equal(t, fresh, second.ClusterID == "new-cluster")
				require.Equal(t, [16]byte{1: 7}, second.DirectoryID)
				if err != nil {
					continue
				}
				require.False(t, second.Clean)
				require.False(t, second.Formatted)
				require.Equal(t, first.Partitions, second.Partitions)
				break
			}
		}
	}
}

func TestWriteCheckpoints(t *testing.T) {
	m := fullDir()
	_, err := openDir(m, openTestDir())
	require.NoError(t, err)
	_, err = (&WriteCheckpoints{
		Path:           "/data/heiban",
		RecoveryPoints: []Checkpoint{{Topic: "t", Partition: 2, Offset: 50}},
		LogStarts:      []Checkpoint{},
		CleanerPoints:  []Checkpoint{{Topic: "t", Partition: 0, Offset: 3}},
		BrokerEpoch:    43,
		Clean:          true,
	}).Run(&Devices{Files: m})
	require.NoError(t, err)
	m.crash(false)
	dir, err := openDir(m, openTestDir())
	require.NoError(t, err)
	require.True(t, dir.Clean)
	require.Equal(t, int64(43), dir.BrokerEpoch)
	require.Equal(t, []PartitionDir{
		{Topic: "a-b", Partition: 1, Path: "/data/heiban/a-b-1", HighWatermark: 4},
		{
			Topic: "t", Partition: 0, Path: "/data/heiban/t-0", TopicID: [16]byte{1},
			HighWatermark: 6, CleanerPoint: 3,
		},
		{Topic: "t", Partition: 2, Path: "/data/heiban/t-2", RecoveryPoint: 50},
		{Topic: "t", Partition: 10, Path: "/data/heiban/t-10"},
	}, dir.Partitions)
}

// TestWriteCheckpointsCrash crashes at every operation. Each checkpoint is the old
// or the new one, and if the clean marker is there all of them are new.
func TestWriteCheckpointsCrash(t *testing.T) {
	for _, power := range []bool{false, true} {
		for budget := 0; ; budget++ {
			m := fullDir()
			_, err := openDir(m, openTestDir())
			require.NoError(t, err)
			m.syncAll()
			m.budget = budget
			_, done := (&WriteCheckpoints{
				Path:           "/data/heiban",
				RecoveryPoints: []Checkpoint{{Topic: "t", Partition: 0, Offset: 70}},
				LogStarts:      []Checkpoint{{Topic: "t", Partition: 0, Offset: 20}},
				HighWatermarks: []Checkpoint{{Topic: "t", Partition: 0, Offset: 60}},
				CleanerPoints:  []Checkpoint{{Topic: "t", Partition: 0, Offset: 30}},
				Clean:          true,
			}).Run(&Devices{Files: m})
			m.crash(!power)
			dir, err := openDir(m, openTestDir())
			require.NoError(t, err)
			p := dir.Partitions[1]
			require.Contains(t, []int64{7, 70}, p.RecoveryPoint)
			require.Contains(t, []int64{2, 20}, p.LogStart)
			require.Contains(t, []int64{6, 60}, p.HighWatermark)
			require.Contains(t, []int64{0, 30}, p.CleanerPoint)
			if dir.Clean {
				require.Equal(t, [4]int64{70, 20, 60, 30},
					[4]int64{p.RecoveryPoint, p.LogStart, p.HighWatermark, p.CleanerPoint})
			}
			if done == nil {
				require.True(t, dir.Clean)
				break
			}
			require.ErrorIs(t, done, errCrashed)
		}
	}
}

// TestRemoveCrash crashes at every operation: the partition is there as it was, or
// gone for good.
func TestRemoveCrash(t *testing.T) {
	remove := &Remove{
		Dir: "/data/heiban/t-0",
		To:  "/data/heiban/" + DeletedDirName("t", 0, [16]byte{0xab}),
	}
	for _, power := range []bool{false, true} {
		for budget := 0; ; budget++ {
			m := fullDir()
			m.budget = budget
			_, err := remove.Run(&Devices{Files: m})
			renamed := err == nil
			if renamed {
				_, err = (&RemoveNow{Paths: []string{remove.To}}).Run(&Devices{Files: m})
			}
			m.crash(!power)
			dir, openErr := openDir(m, openTestDir())
			require.NoError(t, openErr)
			here := dir.Partitions[1].Path == remove.Dir
			if here {
				text, ok := m.get(remove.Dir + "/partition.metadata")
				require.True(t, ok)
				require.Len(t, text, 43)
			}
			require.False(t, here && renamed)
			for _, line := range m.dump() {
				require.NotContains(t, line, remove.To[1:])
			}
			if err == nil {
				break
			}
			require.ErrorIs(t, err, errCrashed)
		}
	}
	m := fullDir()
	for range 2 { // that it is renamed already is no error
		_, err := remove.Run(&Devices{Files: m})
		require.NoError(t, err)
	}
}

func TestDirNames(t *testing.T) {
	id := [16]byte{0xde, 0xad, 15: 1}
	require.Equal(t, "t-7.dead0000000000000000000000000001-delete", DeletedDirName("t", 7, id))
	long := DeletedDirName(strings.Repeat("x", 249), 12, id)
	require.Len(t, long, 255)
	require.True(t, strings.HasSuffix(long, "xxx-12.dead0000000000000000000000000001-delete"))

	for name, want := range map[string]Checkpoint{
		"t-0":                           {Topic: "t"},
		"a-b-12":                        {Topic: "a-b", Partition: 12},
		"_x.Y-2147483647":               {Topic: "_x.Y", Partition: 2147483647},
		"__consumer_-49":                {Topic: "__consumer_", Partition: 49},
		"--1":                           {Topic: "-", Partition: 1},
		"t":                             {},
		"-1":                            {},
		"t-":                            {},
		"t-00":                          {},
		"t-+1":                          {},
		"t-2147483648":                  {},
		"a b-0":                         {},
		"..-0":                          {},
		"t-0-stray":                     {},
		"t-0.x-delete":                  {},
		"\xff-0":                        {},
		strings.Repeat("x", 250) + "-0": {},
	} {
		topic, partition, ok := parseDirName(name)
		require.Equal(t, want.Topic != "", ok, name)
		require.Equal(t, want, Checkpoint{Topic: topic, Partition: partition})
		if ok {
			require.Equal(t, name, DirName(topic, partition))
		}
	}
}

func TestSegmentNames(t *testing.T) {
	require.Equal(t, "d/00000000000000000042.log", segmentPath("d", 42, logSuffix))
	type parts struct {
		base        int64
		kind, state string
		ok          bool
	}
	for name, want := range map[string]parts{
		"00000000000000000042.log":            {42, ".log", "", true},
		"00000000000000000042.timeindex.swap": {42, ".timeindex", ".swap", true},
		"09223372036854775807.snapshot":       {1<<63 - 1, ".snapshot", "", true},
		"09223372036854775808.snapshot":       {},
		"-0000000000000000042.log":            {},
		"+0000000000000000042.log":            {},
		"42.log":                              {},
		"00000000000000000042":                {},
		"leader-epoch-checkpoint.tmp":         {},
	} {
		base, kind, state, ok := parseSegmentName(name)
		require.Equal(t, want, parts{base, kind, state, ok}, name)
	}
}
