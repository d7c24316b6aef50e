package sim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/compress"
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
	plan := []Fault{
		{At: clock.Instant(200 * clock.Millisecond), For: 10 * clock.Millisecond, Kind: Crash, Actor: -1},
		{At: clock.Instant(400 * clock.Millisecond), For: 10 * clock.Millisecond, Kind: PowerOff, Actor: -1},
		{At: clock.Instant(600 * clock.Millisecond), For: 10 * clock.Millisecond, Kind: Restart, Actor: -1},
	}
	s := busy(plan...)
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
		{"/data/t-0/00000000000000000000.log", 0, 100, 0},
		{path, 0, 100, 10},
		{path, 100, 150, 14},
		{path, 150, 250, 20},
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
		{"a file nobody saw written", Damage{Path: "/data/t-0/00000000000000000042.log", To: 9}, 42},
	} {
		_, name := split(c.d.Path)
		require.Equal(t, c.want, h.firstHit(&c.d, name), c.name)
	}
}
