package log

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/core/batch"
	"github.com/heiban/heiban/core/errcode"
)

// script runs the commands of testdata/log. Orders are printed as they are given,
// and carried out by write, sync, job or settle.
type script struct {
	*device
	t *testing.T
	b strings.Builder
}

func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/log", func(t *testing.T, file string) {
		s := &script{device: newDevice(), t: t}
		datadriven.RunTest(t, file, s.run)
	})
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	s.t = t
	s.b.Reset()
	before := [3]int{len(s.writes), len(s.syncs), len(s.jobs)}
	switch d.Cmd {
	case "config":
		s.configure(d)
	case "open":
		s.openLog(d)
	case "append":
		s.appendBatch(d)
	case "write":
		s.write(arg(t, d, "i", 0))
		before[0] -= 1
	case "sync":
		s.sync()
		before[1] -= 1
	case "job":
		s.job(arg(t, d, "i", 0))
		before[2] -= 1
	case "settle":
		s.settle()
		before = [3]int{}
	case "tick":
		s.advance(int64(arg(t, d, "advance", 0)))
		s.tick()
	case "high-watermark":
		s.log.SetHighWatermark(int64(arg(t, d, "to", int(s.log.HeldEndOffset()))))
	case "delete-records":
		s.log.DeleteRecordsBefore(s.now, int64(arg(t, d, "before", 0)), &s.orders)
		s.take()
	case "elect":
		s.log.AssignEpoch(int32(arg(t, d, "epoch", 0)), &s.orders)
		s.take()
	case "epochs":
		fmt.Fprintf(&s.b, "%v\n", s.log.epochs.entries)
	case "fetch":
		s.fetch(d)
	case "time":
		s.lookUp(d)
	case "checkpoint":
		s.checkpoint()
	case "close":
		s.log.Close(s.now, &s.orders)
		s.take()
	case "crash":
		s.files.crash(d.HasArg("process"))
		return ""
	default:
		if !s.follow(d) {
			s.editFiles(d)
			return s.b.String()
		}
	}
	s.printOrders(before)
	s.printMarks()
	return s.b.String()
}

func arg(t *testing.T, d *datadriven.TestData, name string, otherwise int) int {
	if d.HasArg(name) {
		d.ScanArgs(t, name, &otherwise)
	}
	return otherwise
}

// configure sets configuration by Kafka's names.
func (s *script) configure(d *datadriven.TestData) {
	for _, a := range d.CmdArgs {
		n := int64(0)
		_, err := fmt.Sscan(a.Vals[0], &n)
		if err != nil && a.Key != "durability" && a.Key != "policy" {
			s.t.Fatalf("%s: %v", a.Key, err)
		}
		c := *s.cfg
		switch a.Key {
		case "segment.bytes":
			c.SegmentBytes = n
		case "segment.ms":
			c.SegmentMillis = n
		case "segment.index.bytes":
			c.SegmentIndexBytes = int32(n)
		case "index.interval.bytes":
			c.IndexIntervalBytes = int32(n)
		case "index.entries":
			s.set.IndexEntriesMax = int(n)
		case "retention.bytes":
			c.RetentionBytes = n
		case "retention.ms":
			c.RetentionMillis = n
		case "flush.messages":
			c.FlushMessages = n
		case "flush.ms":
			c.FlushMillis = n
		case "durability":
			c.Durability = map[string]Durability{"fsync": Fsync, "page-cache": PageCache}[a.Vals[0]]
		case "policy":
			c.CleanupDelete = strings.Contains(a.Vals[0], "delete")
			c.CleanupCompact = strings.Contains(a.Vals[0], "compact")
		default:
			s.t.Fatalf("unknown configuration %s", a.Key)
		}
		s.cfg = &c
	}
	if s.log != nil {
		s.log.SetConfig(s.cfg)
	}
}

func (s *script) openLog(d *datadriven.TestData) {
	s.cleanerPoint = int64(arg(s.t, d, "cleaner-point", int(s.cleanerPoint)))
	r, err := s.start(d.HasArg("clean"))
	if err != nil {
		fmt.Fprintf(&s.b, "error: %v\n", err)
		s.log = nil
		return
	}
	for _, line := range strings.Split(r.Text, "; ") {
		if line != "" {
			fmt.Fprintf(&s.b, "repaired %s\n", line)
		}
	}
	s.printSegments()
}

// appendBatch appends n batches; the first record of each has a value of some bytes.
func (s *script) appendBatch(d *datadriven.TestData) {
	for i := range arg(s.t, d, "n", 1) {
		at := arg(s.t, d, "time", 1000) + i*arg(s.t, d, "step", 0)
		records := make([]testRecord, arg(s.t, d, "records", 1))
		for j := range records {
			records[j] = testRecord{timestamp: int64(at + j)}
		}
		records[0].value = strings.Repeat("v", arg(s.t, d, "value", 0))
		if d.HasArg("keys") { // the keys of the batches in turn, one letter each
			keys := ""
			d.ScanArgs(s.t, "keys", &keys)
			records[0].key = string(keys[i%len(keys)])
		}
		o := batch.Options{}
		if d.HasArg("producer") {
			o.HasProducer, o.ProducerID = true, int64(arg(s.t, d, "producer", 0))
			o.BaseSequence = int32(arg(s.t, d, "sequence", 0) + i)
		}
		h, data := makeBatch(o, records...)
		a, _ := s.append(int32(arg(s.t, d, "epoch", 0)), &h, data)
		if a.Err != errcode.None {
			fmt.Fprintf(&s.b, "%s: %s\n", a.Err, a.Message)
			continue
		}
		fmt.Fprintf(&s.b, "appended %d to %d", a.BaseOffset, a.EndOffset)
		if a.Duplicate {
			s.b.WriteString(" duplicate")
		}
		s.b.WriteByte('\n')
	}
}

func (s *script) fetch(d *datadriven.TestData) {
	from := int64(arg(s.t, d, "from", 0))
	slice, bytes := s.log.SliceFrom(from, int64(arg(s.t, d, "bound", int(s.log.HighWatermark()))))
	r, err := slice.Locate(s.reader, int32(arg(s.t, d, "max", 1<<20)), d.HasArg("at-least-one"))
	if err != nil {
		fmt.Fprintf(&s.b, "error: %v\n", err)
		return
	}
	if r.Len == 0 {
		s.b.WriteString("nothing\n")
		return
	}
	about := fmt.Sprint(bytes)
	if bytes == plenty {
		about = "plenty"
	}
	fmt.Fprintf(&s.b, "%s at %d, %d bytes of %s\n", path.Base(r.File.Path), r.Pos, r.Len, about)
}

func (s *script) lookUp(d *datadriven.TestData) {
	slice, _ := s.log.SliceFrom(s.log.LogStartOffset(), s.log.HighWatermark())
	offset, timestamp, err := slice.OffsetOfTime(s.reader, nil, int64(arg(s.t, d, "of", 0)))
	require.NoError(s.t, err)
	fmt.Fprintf(&s.b, "offset %d timestamp %d\n", offset, timestamp)
}

// editFiles looks at files or damages them.
func (s *script) editFiles(d *datadriven.TestData) {
	name := ""
	if d.HasArg("file") {
		d.ScanArgs(s.t, "file", &name)
	}
	full := path.Join(testDir, name)
	data, _ := s.files.get(full)
	switch d.Cmd {
	case "ls":
		entries, err := s.files.List(testDir)
		require.NoError(s.t, err)
		for _, e := range entries {
			fmt.Fprintf(&s.b, "%s %d\n", e.Name, e.Size)
		}
		return
	case "flip":
		data[arg(s.t, d, "at", 0)] ^= 0xff
	case "cut":
		f, err := s.files.Open(full)
		require.NoError(s.t, err)
		require.NoError(s.t, f.Truncate(int64(arg(s.t, d, "to", 0))))
	case "remove":
		require.NoError(s.t, s.files.Remove(full))
	case "copy":
		to := ""
		d.ScanArgs(s.t, "to", &to)
		s.files.put(path.Join(testDir, to), data)
	case "cat":
		s.b.Write(data)
		return
	case "put":
		s.files.put(full, []byte(d.Input+"\n"))
	default:
		s.t.Fatalf("unknown command %s", d.Cmd)
	}
	s.files.syncAll()
}

// printOrders prints what was ordered since.
func (s *script) printOrders(before [3]int) {
	for _, w := range s.writes[max(0, min(before[0], len(s.writes))):] {
		fmt.Fprintf(&s.b, "write %s at %d, %d bytes, to offset %d", path.Base(w.File.Path),
			w.Pos, len(w.Data), w.EndOffset)
		if w.Create {
			s.b.WriteString(", create")
		}
		s.b.WriteByte('\n')
	}
	for _, y := range s.syncs[max(0, min(before[1], len(s.syncs))):] {
		fmt.Fprintf(&s.b, "sync %s to offset %d", path.Base(y.File.Path), y.EndOffset)
		if y.Dir {
			s.b.WriteString(", and its name")
		}
		s.b.WriteByte('\n')
	}
	for _, j := range s.jobs[max(0, min(before[2], len(s.jobs))):] {
		fmt.Fprintf(&s.b, "job %s\n", strings.TrimPrefix(fmt.Sprintf("%T", j.Job), "*log."))
	}
	for _, r := range s.released {
		fmt.Fprintf(&s.b, "release %s\n", path.Base(r.Path))
	}
	s.released = nil
}

// printMarks prints the marks of the log, from the lowest to the highest.
func (s *script) printMarks() {
	if l := s.log; l != nil {
		fmt.Fprintf(&s.b, "start=%d recoveryPoint=%d highWatermark=%d held=%d written=%d end=%d\n",
			l.LogStartOffset(), l.RecoveryPoint(), l.HighWatermark(), l.HeldEndOffset(),
			l.WrittenEndOffset(), l.LogEndOffset())
	}
}

func (s *script) printSegments() {
	names := []string{"active", "closed", "sealing", "sealed"}
	l := s.log
	for _, g := range append(l.closed[:len(l.closed):len(l.closed)], l.active) {
		offsets, times := len(g.offsets), len(g.times)
		if g.inFiles {
			offsets, times = g.offsetEntries, g.timeEntries
		}
		fmt.Fprintf(&s.b,
			"segment %d to %d, %d bytes, %s, %d index and %d time entries, until %d\n",
			g.base, g.end, g.size, names[g.state], offsets, times, g.maxTime)
	}
}
