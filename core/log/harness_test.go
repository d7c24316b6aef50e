package log

import (
	"fmt"
	"path"
	"slices"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
)

const testDir = "data/t-0"

// testConfig is small enough to reach the corners in a few batches.
func testConfig() *Config {
	return &Config{
		SegmentBytes:          600,
		SegmentMillis:         7 * 24 * 3600 * 1000,
		SegmentIndexBytes:     10 << 20,
		IndexIntervalBytes:    100,
		RetentionBytes:        -1,
		RetentionMillis:       -1,
		FileDeleteDelayMillis: 1000,
		FlushMessages:         1<<63 - 1,
		FlushMillis:           -1,
		MinCleanableDirtyPPM:  500_000,
		Durability:            Fsync,
		CleanupDelete:         true,
	}
}

func testSettings() *Settings {
	return &Settings{
		ProducerExpirationMillis: 24 * 3600 * 1000,
		IndexEntriesMax:          64,
		CleanerIOBufferBytes:     4096,
		CleanerDedupeBufferBytes: 1 << 20,
		SequenceMax:              1<<31 - 1,
		Check:                    true,
	}
}

// device carries out the orders of one Log over a memFiles, one at a time as the
// test asks, and keeps the order of each file.
type device struct {
	files  *memFiles
	reader *memReader
	log    *Log
	now    clock.Time
	ids    uint64
	orders Orders

	open     map[uint64]File
	writes   []Write
	syncs    []Sync
	jobs     []RunJob
	released []FileRef

	cfg *Config
	set *Settings
	// what the broker's checkpoints hold
	recoveryPoint, logStart, highWatermark, cleanerPoint int64

	renew bool // goes into Recover
}

func newDevice() *device {
	d := &device{files: newMemFiles(), cfg: testConfig(), set: testSettings()}
	d.now = clock.Time{Mono: 1, Wall: 1_000_000}
	if err := d.files.MakeDir(path.Dir(testDir)); err != nil {
		panic(err)
	}
	d.files.syncAll()
	return d
}

func (d *device) nextID() uint64 {
	d.ids++
	return d.ids
}

// start runs Recover and opens the log.
func (d *device) start(clean bool) (*Recovered, error) {
	j := &Recover{
		Dir: testDir, Now: d.now, RecoveryPoint: d.recoveryPoint, LogStartOffset: d.logStart,
		HighWatermark: d.highWatermark, CleanerPoint: d.cleanerPoint,
		TopicID: [16]byte{7}, Config: d.cfg, Settings: d.set,
		Clean: clean, Create: true, Renew: d.renew,
	}
	d.files.now = d.now.Wall
	result, err := j.Run(&Devices{Files: d.files})
	if err != nil {
		return nil, err
	}
	r := result.(*Recovered)
	d.reader, d.open = newMemReader(d.files), map[uint64]File{}
	d.writes, d.syncs, d.jobs, d.released = nil, nil, nil, nil
	d.log = Open(1, testDir, d.cfg, d.set, d.nextID, r, d.now)
	return r, nil
}

// take files the orders of the last step. Data is copied, as a driver that keeps it
// until the write is done would hold on to it.
func (d *device) take() {
	for _, w := range d.orders.Writes {
		w.Data = slices.Clone(w.Data)
		d.writes = append(d.writes, w)
	}
	d.syncs = append(d.syncs, d.orders.Syncs...)
	d.jobs = append(d.jobs, d.orders.Jobs...)
	d.released = append(d.released, d.orders.Releases...)
	d.orders.Reset()
}

func (d *device) file(ref FileRef, create bool) File {
	f, ok := d.open[ref.ID]
	if !ok {
		var err error
		if create {
			f, err = d.files.Create(ref.Path)
		} else {
			f, err = d.files.Open(ref.Path)
		}
		if err != nil {
			panic(err)
		}
		d.open[ref.ID] = f
	}
	return f
}

// write carries out the i-th write; the ones before it must be of other files.
func (d *device) write(i int) {
	w := d.writes[i]
	d.writes = slices.Delete(d.writes, i, i+1)
	if _, err := d.file(w.File, w.Create).WriteAt(w.Data, w.Pos); err != nil {
		panic(err)
	}
	d.log.WriteDone(d.now, w.EndOffset, &d.orders)
	d.take()
}

// writable lists the writes that may be carried out next.
func (d *device) writable() []int {
	var first []int
	seen := map[uint64]bool{}
	for i, w := range d.writes {
		if !seen[w.File.ID] {
			seen[w.File.ID] = true
			first = append(first, i)
		}
	}
	return first
}

func (d *device) sync() {
	s := d.syncs[0]
	d.syncs = d.syncs[1:]
	if err := d.file(s.File, false).Sync(); err != nil {
		panic(err)
	}
	if s.Dir {
		if err := d.files.SyncDir(path.Dir(s.File.Path)); err != nil {
			panic(err)
		}
	}
	d.log.SyncDone(d.now, s.EndOffset, &d.orders)
	d.take()
}

func (d *device) job(i int) {
	j := d.jobs[i]
	d.jobs = slices.Delete(d.jobs, i, i+1)
	result, err := j.Job.Run(&Devices{Files: d.files})
	if err != nil {
		panic(fmt.Sprintf("%T: %v", j.Job, err))
	}
	d.log.JobDone(d.now, j.Op, result, &d.orders)
	d.take()
}

// settle carries out all there is to do.
func (d *device) settle() {
	for len(d.writes)+len(d.syncs)+len(d.jobs) > 0 {
		switch {
		case len(d.writes) > 0:
			d.write(0)
		case len(d.syncs) > 0:
			d.sync()
		default:
			d.job(0)
		}
	}
}

func (d *device) tick() {
	d.log.Tick(d.now, &d.orders)
	d.take()
}

// advance lets time pass, without ticks.
func (d *device) advance(millis int64) {
	d.now.Mono = d.now.Mono.Add(clock.Millis(millis))
	d.now.Wall += clock.Wall(millis)
	d.files.now = d.now.Wall
}

// checkpoint saves what the broker saves now and then.
func (d *device) checkpoint() {
	d.recoveryPoint, d.logStart = d.log.RecoveryPoint(), d.log.LogStartOffset()
	d.highWatermark, d.cleanerPoint = d.log.HighWatermark(), d.log.FirstDirtyOffset()
}

// testRecord is one record of a test batch.
type testRecord struct {
	timestamp int64
	key       string
	value     string
}

// makeBatch builds a batch as a client would send it.
func makeBatch(o batch.Options, records ...testRecord) (batch.Header, []byte) {
	var b batch.Builder
	o.PartitionLeaderEpoch = -1
	b.Reset(&o)
	for _, r := range records {
		var key []byte
		if r.key != "" {
			key = []byte(r.key)
		}
		b.Append(r.timestamp, key, []byte(r.value), nil)
	}
	data, err := b.Finish(nil, nil)
	if err != nil {
		panic(err)
	}
	var h batch.Header
	if err := batch.Parse(data, &h); err != nil {
		panic(err)
	}
	return h, data
}

// append appends a batch in an epoch, and returns its bytes as they are to be found
// in the log.
func (d *device) append(epoch int32, h *batch.Header, data []byte) (Appended, []byte) {
	a := d.log.Append(d.now, epoch, h, data, &d.orders)
	d.take()
	return a, data
}

// read returns the bytes of a range.
func (d *device) read(r Range) []byte {
	if r.Len == 0 {
		return nil
	}
	p := make([]byte, r.Len)
	if _, err := d.reader.ReadAt(r.File, p, r.Pos); err != nil {
		panic(err)
	}
	return p
}
