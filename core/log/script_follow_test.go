package log

import (
	"fmt"
	"math"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/core/batch"
)

// follow runs the commands of a replica, and reports whether d is one.
func (s *script) follow(d *datadriven.TestData) bool {
	switch d.Cmd {
	case "replicate":
		s.replicate(d)
	case "truncate":
		s.log.TruncateTo(s.now, int64(arg(s.t, d, "to", 0)), &s.orders)
		s.take()
	case "truncate-fully":
		s.log.TruncateFullyAndStartAt(s.now, int64(arg(s.t, d, "at", 0)), &s.orders)
		s.take()
	case "move-high-watermark":
		s.log.MoveHighWatermark(int64(arg(s.t, d, "to", 0)))
	case "job-cut-short": // after some operations, by a crash
		done := len(s.files.trace)
		s.files.budget = arg(s.t, d, "operations", 0)
		_, err := s.jobs[0].Job.Run(&Devices{Files: s.files})
		require.ErrorIs(s.t, err, errCrashed)
		s.log = nil
		for _, op := range s.files.trace[done:] {
			fmt.Fprintln(&s.b, op)
		}
		s.files.crash(!d.HasArg("power"))
		s.writes, s.syncs, s.jobs = nil, nil, nil
	case "producers":
		for _, p := range s.log.Producers(s.now) {
			fmt.Fprintf(&s.b, "producer %d epoch %d sequence %d transaction from %d\n",
				p.ProducerID, p.ProducerEpoch, p.LastSequence, p.CurrentTxnStartOffset)
		}
	default:
		return false
	}
	if s.log != nil && s.log.Truncating() {
		s.b.WriteString("truncating\n")
	}
	return true
}

// replicate sends batches as a leader has them, one a line.
func (s *script) replicate(d *datadriven.TestData) {
	var data []byte
	for _, line := range textLines([]byte(d.Input)) {
		data = append(data, replicated(s.t, line)...)
	}
	var b Batches
	err := b.Parse(data)
	if err == nil {
		err = s.log.AppendReplicated(s.now, &b, &s.orders)
		s.take()
	}
	if err != nil {
		fmt.Fprintf(&s.b, "error: %v\n", err)
	}
}

// replicated makes a batch of a line "at=7 epoch=2 records=3 producer=9".
func replicated(t *testing.T, line string) []byte {
	cmd, args, err := datadriven.ParseLine("batch " + line)
	require.NoError(t, err)
	d := &datadriven.TestData{Cmd: cmd, CmdArgs: args}
	var data []byte
	switch {
	case d.HasArg("marker"):
		kind := ""
		d.ScanArgs(t, "marker", &kind)
		data = batch.AppendMarker(nil, &batch.Marker{
			ProducerID: int64(arg(t, d, "producer", 0)), Commit: kind == "commit", Timestamp: 1000,
		})
	case d.HasArg("leader-change"):
		data = batch.AppendControl(nil, batch.Options{}, batch.LeaderChange, 1000, []byte{0})
	default:
		o := batch.Options{Transactional: d.HasArg("txn")}
		if d.HasArg("producer") {
			o.HasProducer, o.ProducerID = true, int64(arg(t, d, "producer", 0))
			o.BaseSequence = int32(arg(t, d, "sequence", 0))
		}
		records := make([]testRecord, arg(t, d, "records", 1))
		for i := range records {
			records[i].timestamp = int64(arg(t, d, "time", 1000))
		}
		_, data = makeBatch(o, records...)
	}
	batch.SetBaseOffset(data, int64(arg(t, d, "at", 0)))
	batch.SetPartitionLeaderEpoch(data, int32(arg(t, d, "epoch", 0)))
	if d.HasArg("wrong-crc") {
		data[17] ^= 0xff
	}
	return data
}

// A segment holds offsets of 31 bits above its base. Behind a larger gap the log goes on
// in a segment that begins with the batch, and recovery takes the gap for what it is.
func TestReplicateBehindLargeGap(t *testing.T) {
	for _, first := range []int{0, 1} {
		d := newDevice()
		_, err := d.start(true)
		require.NoError(t, err)
		far := 3 << 30
		var data []byte
		for i := range first {
			data = append(data, replicated(t, fmt.Sprintf("at=%d", i))...)
		}
		behind := replicated(t, fmt.Sprintf("at=%d records=2", far))
		data = append(data, behind...)
		data = append(data, replicated(t, fmt.Sprintf("at=%d", far+math.MaxInt32+1))...)
		var b Batches
		require.NoError(t, b.Parse(data))
		require.NoError(t, d.log.AppendReplicated(d.now, &b, &d.orders))
		d.take()
		d.settle()
		end := int64(far) + math.MaxInt32 + 2
		require.Equal(t, end, d.log.HeldEndOffset())
		d.log.MoveHighWatermark(end)
		d.cleanerPoint = d.log.FirstDirtyOffset()
		d.files.crash(false)
		_, err = d.start(false)
		require.NoError(t, err)
		require.Equal(t, end, d.log.LogEndOffset())
		slice, _ := d.log.SliceFrom(int64(first), end)
		found, err := slice.Locate(d.reader, 1000, true)
		require.NoError(t, err)
		require.Equal(t, behind, d.read(found))
	}
}

// To append what a leader sends allocates nothing once all producers are known.
func TestReplicateAllocs(t *testing.T) {
	d := newDevice()
	d.cfg.SegmentBytes = 1 << 30
	d.set.Check = false
	_, err := d.start(true)
	require.NoError(t, err)
	var data []byte
	for i := range 8 {
		data = append(data, replicated(t, fmt.Sprintf("at=%d producer=%d sequence=0", i, i%2))...)
	}
	var b Batches
	next := int64(0)
	round := func() {
		for i := range 8 {
			batch.SetBaseOffset(data[i*len(data)/8:], next)
			next++
		}
		require.NoError(t, b.Parse(data))
		require.NoError(t, d.log.AppendReplicated(d.now, &b, &d.orders))
		d.orders.Reset()
	}
	for range 300 {
		round()
	}
	require.Zero(t, testing.AllocsPerRun(100, round))
}

// FuzzBatches: whatever a leader sends, what is taken is whole batches that follow one
// another.
func FuzzBatches(f *testing.F) {
	t := new(testing.T) // for ScanArgs, which has nothing to report
	one := replicated(t, "at=3 epoch=1 records=2 producer=9")
	f.Add(one)
	f.Add(append(one, replicated(t, "at=5 epoch=1 marker=abort producer=9")...))
	f.Add(append(one, replicated(t, "at=4 epoch=1")...))
	f.Add(replicated(t, "at=5 epoch=1 leader-change")[:70])
	f.Fuzz(func(t *testing.T, data []byte) {
		var b Batches
		if b.Parse(data) != nil {
			require.Zero(t, b.Len())
			require.Empty(t, b.Bytes())
			return
		}
		next, size := int64(0), 0
		for i := range b.Len() {
			h := b.Header(i)
			require.GreaterOrEqual(t, h.BaseOffset, next)
			require.True(t, batch.ValidCRC(data[size:], h))
			next, size = h.NextOffset(), size+int(h.Size)
		}
		require.Equal(t, data[:size], b.Bytes())
		if n := b.Len(); n > 0 {
			b.Keep(n - 1)
			require.Len(t, b.Bytes(), size-int(b.headers[:n][n-1].Size))
		}
	})
}
