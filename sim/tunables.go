package sim

import (
	"math"
	"strconv"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/log"
)

// DrawTunables draws sizes, limits and latencies from a seed. They are small, so that
// segments roll, sequences wrap and indexes fill within a few records.
func DrawTunables(seed uint64) *Tunables {
	r := NewRand(seed, "tunables", 0)
	t := &Tunables{Properties: map[string]string{}, Latency: drawLatency(r)}
	set := func(key string, value int64) { t.Properties[key] = strconv.FormatInt(value, 10) }

	set("log.segment.bytes", r.LogUniform(4<<10, 64<<10))
	set("log.index.interval.bytes", r.LogUniform(32, 4096))
	set("log.index.size.max.bytes", r.LogUniform(512, 8192))
	set("log.segment.delete.delay.ms", r.LogUniform(1, 500))
	set("log.flush.offset.checkpoint.interval.ms", r.LogUniform(10, 2000))
	set("log.flush.start.offset.checkpoint.interval.ms", r.LogUniform(10, 2000))
	if r.Chance(250_000) {
		set("log.roll.ms", r.LogUniform(20, 2000))
	}
	if r.Chance(250_000) {
		t.Properties["heiban.durability"] = "page-cache"
	}
	t.Settings = log.Settings{
		ProducerExpirationMillis: 86_400_000,
		RetentionCheckMillis:     r.LogUniform(20, 2000),
		CleanerBackoffMillis:     r.LogUniform(20, 2000),
		IndexEntriesMax:          int(r.LogUniform(4, 1000)),
		CleanerIOBufferBytes:     int(r.LogUniform(512, 64<<10)),
		CleanerDedupeBufferBytes: r.LogUniform(1<<10, 1<<20),
		SequenceMax:              math.MaxInt32,
	}
	if r.Chance(250_000) {
		t.Settings.SequenceMax = Pick(r, int32(7), 15, 100)
	}
	return t
}

// drawLatency draws one of three worlds: a machine room, a wide area, and one where
// most is fast and some is very slow.
func drawLatency(r *Rand) Latency {
	us := func(low, high int64) clock.Duration {
		return clock.Duration(r.LogUniform(low, high)) * clock.Microsecond
	}
	l := Latency{
		Net:      Spread{Min: us(20, 200), Mean: us(10, 500)},
		Write:    Spread{Min: us(1, 10), Mean: us(2, 200)},
		Sync:     Spread{Min: us(20, 200), Mean: us(50, 5000)},
		Job:      Spread{Min: us(50, 200), Mean: us(100, 10_000)},
		Answer:   Spread{Min: us(1, 5), Mean: us(2, 100)},
		Patience: Spread{Min: us(100_000, 1_000_000), Mean: us(100_000, 2_000_000)},
	}
	switch Pick(r, "machine room", "wide area", "bimodal") {
	case "wide area":
		l.Net = Spread{Min: us(1000, 50_000), Mean: us(100, 20_000)}
	case "bimodal":
		l.Net.Tail, l.Net.TailPPM = us(10_000, 1_000_000), r.LogUniform(500, 50_000)
		l.Sync.Tail, l.Sync.TailPPM = us(10_000, 500_000), r.LogUniform(500, 50_000)
		l.Write.Tail, l.Write.TailPPM = us(1000, 100_000), r.LogUniform(500, 20_000)
	}
	if r.Chance(250_000) {
		l.BytesPerMilli = r.LogUniform(1_000, 1_000_000)
	}
	if r.Chance(250_000) {
		l.BreakPPM = r.LogUniform(100, 10_000)
	}
	return l
}
