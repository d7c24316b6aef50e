package sim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/compress"
	"github.com/heiban/heiban/core/log"
)

// busy is a small load without faults but those of the plan.
func busy(plan ...Fault) Scenario {
	return Scenario{Name: "busy", Draw: func(_ *Rand, s *Setup) {
		s.Config.Plan = append([]Fault{}, plan...)
		s.Config.Safety = clock.Second
		s.Config.Properties = map[string]string{"heiban.durability": "fsync"}
		s.Config.Tunables.Settings.SequenceMax = 0x7fffffff
		s.Policy.Fsync = true
		s.Topics = []TopicSpec{{Name: "t", Partitions: 2}}
		s.Admins = []AdminConfig{{Interval: clock.Millisecond}}
		s.Producers = []ProducerConfig{
			{
				Topics: []string{"t"}, Batches: 40, RecordsMax: 3, Interval: 20 * clock.Millisecond,
				VersionMin: 3, VersionMax: 13, Acks: -1, Idempotent: true,
			},
			{
				Topics: []string{"t"}, Batches: 40, RecordsMax: 3, Interval: 20 * clock.Millisecond,
				VersionMin: 3, VersionMax: 13, Acks: 0, Compress: true,
			},
		}
		s.Consumers = []ConsumerConfig{{
			Topics: []string{"t"}, VersionMin: 4, VersionMax: 18, Audit: true,
			Interval: 10 * clock.Millisecond, Probe: 50 * clock.Millisecond,
		}}
		s.Duplicators = []Duplication{{Victim: 0, Requests: 10}}
	}}
}

// at is a fault that keeps the node down for a moment.
func at(millis int64, kind FaultKind) Fault {
	return Fault{
		At: clock.Instant(clock.Millis(millis)), For: 10 * clock.Millisecond,
		Kind: kind, Actor: -1,
	}
}

// TestOracleSeesEverything: without faults every batch is appended, read and
// acknowledged, and the judge knows of each.
func TestOracleSeesEverything(t *testing.T) {
	for seed := range uint64(8) {
		s := busy()
		o, err := s.Run(seed, &RunOptions{Codec: new(compress.Codec), Wire: seed%2 == 0})
		require.NoError(t, err)
		require.Empty(t, o.Violations, "seed %d", seed)
		require.True(t, o.Settled)
		require.Zero(t, o.Excused)
		require.Len(t, o.Judge.Partitions(), 2)

		records, produced, read := int64(0), 0, 0
		for _, p := range o.Judge.Partitions() {
			require.Equal(t, p.LogEnd(), p.HighWatermark(), "the run ends when all is committed")
			require.Zero(t, p.LogStart())
			records += p.LogEnd()
		}
		require.GreaterOrEqual(t, records, int64(40))
		for _, op := range o.Judge.Ops() {
			switch op.Kind {
			case checker.OpProduce:
				produced++
				require.Equal(t, op.Acks == 0, op.Outcome == checker.Unknown)
			case checker.OpRead:
				read += len(op.Records)
			}
		}
		require.Equal(t, 80, produced)
		require.GreaterOrEqual(t, int64(read), records)
	}
}

// TestOracleSurvivesStops: crashes, power losses and clean stops lose nothing, and
// the same seed comes out the same.
func TestOracleSurvivesStops(t *testing.T) {
	s := busy(at(200, Crash), at(400, PowerOff), at(600, Restart))
	first, err := s.Run(1, &RunOptions{Codec: new(compress.Codec)})
	require.NoError(t, err)
	require.Empty(t, first.Violations)
	require.EqualValues(t, 1, first.Injected[PowerOff])
	again, err := s.Run(1, &RunOptions{Codec: new(compress.Codec)})
	require.NoError(t, err)
	require.Equal(t, first.Hash, again.Hash)
	require.Equal(t, first.Judge.Ops(), again.Judge.Ops())
}

// TestFirstHit: damage to a file is told as the first record it took.
func TestFirstHit(t *testing.T) {
	const path = "/data/t-0/00000000000000000010.log"
	h := hosted{placed: []placedBatch{
		{path: "/data/t-0/00000000000000000000.log", to: 100},
		{path: path, to: 100, base: 10},
		{path: path, from: 100, to: 150, base: 14},
		{path: path, from: 150, to: 250, base: 20},
	}}
	for _, c := range []struct {
		name string
		d    Damage
		want int64
	}{
		{"inside the second", Damage{Path: path, From: 120, To: 121}, 14},
		{"over two", Damage{Path: path, From: 140, To: 200}, 14},
		{"the whole file", Damage{Path: path, From: 0, To: 250, Kind: FileLost}, 10},
		{"behind the last", Damage{Path: path, From: 300, To: 400}, 21},
		{
			"a file nobody saw written",
			Damage{Path: "/data/t-0/00000000000000000042.log", To: 9},
			42,
		},
	} {
		_, name := split(c.d.Path)
		require.Equal(t, c.want, h.firstHit(&c.d, name), c.name)
	}
}

// TestWritesMayOvertake: the files of a log are written independently, and the log
// is written up to its first batch that is not.
func TestWritesMayOvertake(t *testing.T) {
	h := hosted{placed: []placedBatch{
		{path: "0", base: 0, end: 2},
		{path: "0", base: 2, end: 3},
		{path: "3", base: 3, end: 5},
		{path: "3", base: 5, end: 6},
	}}
	require.EqualValues(t, 0, h.writeDone(5))
	require.EqualValues(t, 2, h.writeDone(2))
	require.EqualValues(t, 5, h.writeDone(3))
	require.EqualValues(t, 6, h.writeDone(6))
}

// TestRecoveryMakesNothingDurable: a crash comes before records are synced, recovery
// finds them, and the power fails before it has them synced. Who asked for acks=1 may
// lose them, and nobody else loses anything.
func TestRecoveryMakesNothingDurable(t *testing.T) {
	lost := int64(0)
	for seed := range uint64(40) {
		s := busy(at(300, Crash), at(400, PowerOff))
		draw := s.Draw
		s.Draw = func(r *Rand, setup *Setup) {
			draw(r, setup)
			setup.Config.Tunables.Latency.Sync.Min = 40 * clock.Millisecond
			setup.Producers[1].Acks = 1
		}
		o, err := s.Run(seed, &RunOptions{Codec: new(compress.Codec)})
		require.NoError(t, err)
		require.Empty(t, o.Violations, "seed %d", seed)
		require.True(t, o.Settled)
		lost += o.Excused.Acked
	}
	require.Positive(t, lost)
}

// TestPeekSaysWhatIsDurable: a batch is durable if its bytes, the name of its file and
// that of the directory are, and all that with every batch before it.
func TestPeekSaysWhatIsDurable(t *testing.T) {
	const dir = "/data/t-0"
	const first, second = dir + "/00000000000000000000.log", dir + "/00000000000000000002.log"
	d := newDisk(7)
	durable := func() int {
		batches, durable, err := parseSegments(d.segments(dir))
		require.NoError(t, err)
		require.Len(t, batches, 4)
		return durable
	}
	require.NoError(t, d.makeDir(dir))
	one := clientBatch{records: []clientRecord{{value: []byte("v")}}}
	data := string(one.encode(nil))
	d.order(t, first, data, 0)
	d.order(t, first, data, int64(len(data)))
	d.harden1(t, first)
	d.order(t, first, data, int64(2*len(data)))
	d.order(t, second, data, 0)
	d.harden1(t, second)
	require.NoError(t, d.syncDir("/data"))
	require.Zero(t, durable(), "the files have no names")

	require.NoError(t, d.syncDir(dir))
	require.Zero(t, durable(), "/data has none")
	require.NoError(t, d.syncDir("/"))
	require.Equal(t, 2, durable(), "the third batch is before the one that is synced")

	d.harden1(t, first)
	require.Equal(t, 4, durable())
	require.NoError(t, d.remove(second))
	d.order(t, second, data, 0)
	d.harden1(t, second)
	require.Equal(t, 3, durable(), "the name is another file's")
}

// TestRemovedCopiesStayRemoved: what devices say of a copy that its node has deleted does
// not make it one again.
func TestRemovedCopiesStayRemoved(t *testing.T) {
	judge := checker.NewJudge(checker.Limits{})
	o := NewOracle(nil, judge, nil, nil)
	o.NodeStarted(0, 0)
	n := o.node(0)
	id := checker.ReplicaID{PartitionID: checker.PartitionID{Topic: checker.TopicID{1}}}
	judge.Meet(id.PartitionID, "t-0", checker.Policy{})
	judge.Online(id, 0, 0)
	h := &hosted{id: id, topic: "t", dir: logDir + "/t-0", online: true}
	n.hosted, n.logs[7], n.dirs[h.dir] = append(n.hosted, h), h, h
	o.reported(n, 0, &core.Report{Kind: core.PartitionRemoved, Topic: "t", TopicID: id.Topic})
	o.takeEvent(n, 0, &core.SyncDone{Log: 7, EndOffset: 4})
	_, _, known := judge.Partition(id.PartitionID).CopyOf(0)
	require.False(t, known)
	require.Empty(t, judge.Found())
}

// TestTopicsGoneAtStart: of a topic that is deleted while a node stops or starts no
// report tells, but that the node is ready without it.
func TestTopicsGoneAtStart(t *testing.T) {
	judge := checker.NewJudge(checker.Limits{})
	o := NewOracle(nil, judge, nil, nil)
	o.NodeStarted(0, 0)
	n := o.node(0)
	ids := []checker.PartitionID{
		{Topic: checker.TopicID{1}},
		{Topic: checker.TopicID{1}, Index: 1},
		{Topic: checker.TopicID{2}},
		{Topic: checker.TopicID{2}, Index: 1},
	}
	for i, id := range ids {
		topic := []string{"gone", "there"}[i/2]
		judge.Meet(id, log.DirName(topic, id.Index), checker.Policy{})
		n.hosted = append(n.hosted, &hosted{
			id: checker.ReplicaID{PartitionID: id}, topic: topic, online: true,
		})
	}
	ready := func() { o.reported(n, 0, &core.Report{Kind: core.NodeReady}) }
	ready()
	require.False(t, judge.Partition(ids[0]).Deleted())

	judge.Call(checker.Op{Kind: checker.OpDelete, Topic: "gone"})
	judge.Call(checker.Op{Kind: checker.OpDelete, Topic: "there"})
	o.NodeStarted(0, 0)
	n.hosted[2].online = true // the other one is in a directory that failed
	ready()
	for i, id := range ids {
		require.Equal(t, i < 2, judge.Partition(id).Deleted())
	}
	require.Empty(t, judge.Found())
	o.NodeStarted(0, 0)
	n.hosted[2].online = true
	ready()
	require.Empty(t, judge.Found(), "a topic is missed once")
}
