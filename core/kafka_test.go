package core_test

import (
	"fmt"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/wire"
)

const kafkaDir = "testdata/kafka-4.3.0" // see its README

// kafkaFiles returns the regular files of Kafka's directory by path.
func kafkaFiles(t *testing.T) map[string][]byte {
	files := map[string][]byte{}
	for _, dir := range []string{"", "__cluster_metadata-0", "orders-0"} {
		entries, err := os.ReadDir(path.Join(kafkaDir, dir))
		require.NoError(t, err)
		for _, e := range entries {
			if e.IsDir() || e.Name() == "README" {
				continue
			}
			data, err := os.ReadFile(path.Join(kafkaDir, dir, e.Name()))
			require.NoError(t, err)
			files[path.Join(dir, e.Name())] = data
		}
	}
	return files
}

// put makes files durable on the driver's log directory.
func (d *driver) put(t *testing.T, files map[string][]byte) {
	for name, data := range files {
		name = path.Join("/d", name)
		require.NoError(t, d.disk.MakeDir(path.Dir(name)))
		f, err := d.disk.Create(name)
		require.NoError(t, err)
		_, err = f.WriteAt(data, 0)
		require.NoError(t, err)
		require.NoError(t, f.Sync())
	}
}

// online boots and returns what is reported of the partition orders-0.
func (d *driver) online(t *testing.T) core.Report {
	var found core.Report
	d.onReport = func(r *core.Report) {
		if r.Kind == core.PartitionOnline && r.Topic == "orders" {
			found = *r
		}
	}
	require.NoError(t, d.boot())
	require.NoError(t, d.fatal)
	return found
}

// requireSegments stops the node and compares the files of orders-0 with Kafka's: logs,
// indexes and producer snapshots are the same, byte for byte.
func (d *driver) requireSegments(t *testing.T, files map[string][]byte) {
	d.step(&core.ShutdownRequested{})
	require.True(t, d.stopped)
	for name, want := range files {
		if !strings.HasPrefix(name, "orders-0/0") {
			continue
		}
		got := d.disk.find("/d/" + name)
		require.NotNil(t, got, name)
		require.Equal(t, fmt.Sprintf("%x", want), fmt.Sprintf("%x", got.durableBytes), name)
	}
}

// A directory that Kafka closed is opened without repairs, its metadata from a snapshot
// and what follows it. The partition has the leader that Kafka's shutdown took away.
func TestKafkaDirectory(t *testing.T) {
	files := kafkaFiles(t)
	d := newDriver()
	d.put(t, files)
	r := d.online(t)
	require.Equal(t, core.Report{
		Kind: core.PartitionOnline, Topic: "orders", TopicID: r.TopicID, Epoch: 2, EndOffset: 48,
	}, r)
	require.NotEqual(t, wire.TopicID{}, r.TopicID)
	require.Equal(t, int64(1500), d.broker.Image().Topic("orders").Config.SegmentBytes)
	require.Equal(t, int16(30), d.broker.Image().Feature("metadata.version"))
	d.requireSegments(t, files)
}

// Of a directory that Kafka left in a crash, with its indexes still as large as it had
// reserved them, recovery makes the very files that Kafka makes when it closes it.
func TestKafkaDirectoryAfterCrash(t *testing.T) {
	files := kafkaFiles(t)
	left := map[string][]byte{}
	for name, data := range files {
		switch {
		case name == ".kafka_cleanshutdown", strings.HasSuffix(name, "-checkpoint"),
			strings.HasSuffix(name, "index"), strings.HasSuffix(name, ".snapshot"):
			continue
		}
		left[name] = data
	}
	for _, kind := range []string{"index", "timeindex"} {
		left["orders-0/00000000000000000034."+kind] = make([]byte, 240)
	}
	d := newDriver()
	d.put(t, left)
	r := d.online(t)
	require.Equal(t, int64(48), r.EndOffset)
	d.requireSegments(t, files)
}

// Without the snapshot that its metadata log goes on from, no node may start.
func TestKafkaSnapshotIsMissing(t *testing.T) {
	files := kafkaFiles(t)
	delete(files, "__cluster_metadata-0/00000000000000000309-0000000001.checkpoint")
	d := newDriver()
	d.put(t, files)
	require.NoError(t, d.boot())
	require.ErrorContains(t, d.fatal, "begins at 268, and no snapshot ends there or above")
}
