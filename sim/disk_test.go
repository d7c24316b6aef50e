package sim

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/sim/conformance"
)

func TestDiskConformance(t *testing.T) {
	for _, check := range conformance.Suite() {
		t.Run(check.Name, func(t *testing.T) {
			d := NewDisk(NewNoise(1), 0)
			require.NoError(t, d.makeDir("/data"))
			require.NoError(t, check.Run(&orders{d}))
		})
	}
}

// orders makes a conformance.Disk of a simulated disk.
type orders struct{ *Disk }

func (o *orders) Root() string     { return "/data" }
func (o *orders) Files() log.Files { return o.Disk.Files(Unlimited) }
func (o *orders) Restart() error {
	o.crash()
	return nil
}

func newDisk(seed uint64) *Disk { return NewDisk(NewNoise(seed), 0) }

// order writes to a file by its path.
func (d *Disk) order(t require.TestingT, path, data string, pos int64) {
	f, err := d.create(path)
	require.NoError(t, err)
	_, err = d.writeAt(f, []byte(data), pos)
	require.NoError(t, err)
}

func (d *Disk) content(path string) string {
	f, err := d.open(path)
	if err != nil {
		return "<absent>"
	}
	p := make([]byte, f.size)
	f.read(p, 0)
	return string(p)
}

func (d *Disk) harden1(t require.TestingT, path string) {
	f, err := d.open(path)
	require.NoError(t, err)
	require.NoError(t, d.sync(f, f.mark()))
}

// after runs a disk through build and a power loss for many seeds, and returns what
// can be left of a file.
func after(t *testing.T, path string, build func(d *Disk)) map[string]int {
	outcomes := map[string]int{}
	for seed := range uint64(3000) {
		d := newDisk(seed)
		build(d)
		d.powerLoss()
		outcomes[d.content(path)]++
		require.Empty(t, d.names)
	}
	return outcomes
}

func keys(outcomes map[string]int) []string {
	var list []string
	for k := range outcomes {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

func TestProcessCrashKeepsEverythingWritten(t *testing.T) {
	d := newDisk(1)
	d.order(t, "/a", "hello", 0)
	d.crash()
	require.Equal(t, "hello", d.content("/a"))
}

func TestPowerLossKeepsWhatIsSynced(t *testing.T) {
	outcomes := after(t, "/a", func(d *Disk) {
		d.order(t, "/a", "synced", 0)
		d.harden1(t, "/a")
		require.NoError(t, d.syncDir("/"))
		d.order(t, "/a", "!", 6)
	})
	require.Subset(t, keys(outcomes), []string{"synced", "synced!"})
	for content := range outcomes {
		require.Equal(t, "synced", content[:6])
	}
}

func TestNameIsDurableOnlyAfterSyncDir(t *testing.T) {
	outcomes := after(t, "/a", func(d *Disk) {
		d.order(t, "/a", "x", 0)
		d.harden1(t, "/a")
	})
	require.Equal(t, []string{"<absent>", "x"}, keys(outcomes))
}

func TestNameMayOutliveTheBytes(t *testing.T) {
	outcomes := after(t, "/a", func(d *Disk) {
		d.order(t, "/a", "x", 0)
		require.NoError(t, d.syncDir("/"))
	})
	require.Subset(t, keys(outcomes), []string{"", "x"})
	require.NotContains(t, keys(outcomes), "<absent>")
}

func TestRenameIsAtomicButMayBeLost(t *testing.T) {
	both := map[string]int{}
	for seed := range uint64(2000) {
		d := newDisk(seed)
		d.order(t, "/old", "old", 0)
		d.order(t, "/tmp", "new", 0)
		d.harden1(t, "/old")
		d.harden1(t, "/tmp")
		require.NoError(t, d.syncDir("/"))
		require.NoError(t, d.rename("/tmp", "/old"))
		d.powerLoss()
		both[d.content("/old")+" "+d.content("/tmp")]++
	}
	require.Equal(t, []string{"new <absent>", "old new"}, keys(both))
}

func TestChangeRestsOnEarlierOnes(t *testing.T) {
	outcomes := map[string]int{}
	for seed := range uint64(2000) {
		d := newDisk(seed)
		require.NoError(t, d.makeDir("/d"))
		d.order(t, "/d/a", "x", 0)
		d.harden1(t, "/d/a")
		require.NoError(t, d.syncDir("/d"))
		require.NoError(t, d.rename("/d", "/e"))
		d.powerLoss()
		outcomes[d.content("/d/a")+" "+d.content("/e/a")]++
	}
	require.Equal(t, []string{"<absent> <absent>", "<absent> x", "x <absent>"}, keys(outcomes))
}

func TestSyncDirBringsWhatItRestsOn(t *testing.T) {
	outcomes := after(t, "/e/a", func(d *Disk) {
		require.NoError(t, d.makeDir("/d"))
		require.NoError(t, d.makeDir("/e"))
		require.NoError(t, d.syncDir("/"))
		d.order(t, "/d/a", "x", 0)
		d.harden1(t, "/d/a")
		require.NoError(t, d.rename("/d/a", "/e/a"))
		require.NoError(t, d.syncDir("/e"))
	})
	require.Equal(t, []string{"x"}, keys(outcomes))
}

func TestRemovedFileMayComeBack(t *testing.T) {
	outcomes := after(t, "/a", func(d *Disk) {
		d.order(t, "/a", "x", 0)
		d.harden1(t, "/a")
		require.NoError(t, d.syncDir("/"))
		require.NoError(t, d.remove("/a"))
	})
	require.Equal(t, []string{"<absent>", "x"}, keys(outcomes))
}

func TestTruncationMayBeLost(t *testing.T) {
	outcomes := after(t, "/a", func(d *Disk) {
		d.order(t, "/a", "hello", 0)
		d.harden1(t, "/a")
		require.NoError(t, d.syncDir("/"))
		f, err := d.open("/a")
		require.NoError(t, err)
		d.truncate(f, 2)
	})
	require.Equal(t, []string{"he", "hello"}, keys(outcomes))
}

func TestFailedSyncIsReportedOnceAndMayDropWhatItHeld(t *testing.T) {
	outcomes := after(t, "/a", func(d *Disk) {
		d.order(t, "/a", "x", 0)
		require.NoError(t, d.syncDir("/"))
		f, err := d.open("/a")
		require.NoError(t, err)
		d.Faults.SyncErrorPPM = 1_000_000
		require.ErrorIs(t, d.sync(f, f.mark()), errIO)
		d.Faults.SyncErrorPPM = 0
		require.NoError(t, d.sync(f, f.mark()), "as if all were well")
		require.Equal(t, "x", d.content("/a"), "the page cache still has it")
	})
	// The size is hardened or dropped with the byte.
	require.Equal(t, []string{"", "x"}, keys(outcomes))
	require.InDelta(t, 1500, outcomes[""], 200)
}

func TestDroppedBytesStayLostUnderLaterWrites(t *testing.T) {
	outcomes := after(t, "/a", func(d *Disk) {
		d.order(t, "/a", "x", 0)
		require.NoError(t, d.syncDir("/"))
		f, err := d.open("/a")
		require.NoError(t, err)
		d.Faults.SyncErrorPPM = 1_000_000
		require.Error(t, d.sync(f, f.mark()))
		d.Faults.SyncErrorPPM = 0
		d.order(t, "/a", "y", 1)
		require.NoError(t, d.sync(f, f.mark()))
	})
	require.Equal(t, []string{"\x00y", "xy"}, keys(outcomes))
}

func TestSyncCoversOnlyWhatWasThereWhenItBegan(t *testing.T) {
	outcomes := after(t, "/a", func(d *Disk) {
		order := &log.Sync{File: log.FileRef{ID: 1, Path: "/a"}, Dir: true}
		d.order(t, "/a", "x", 0)
		mark := d.beginSync(order)
		d.order(t, "/a", "y", 1)
		require.NoError(t, d.endSync(order, mark))
	})
	require.Contains(t, keys(outcomes), "x")
	require.Contains(t, keys(outcomes), "xy")
	for content := range outcomes {
		require.Equal(t, byte('x'), content[0])
	}
}

func TestTornWriteKeepsSectorsAndItsNeighbours(t *testing.T) {
	old := string(bytes.Repeat([]byte{'o'}, 3*sectorBytes))
	torn, strange := 0, 0
	for seed := range uint64(3000) {
		d := newDisk(seed)
		d.order(t, "/a", old, 0)
		d.harden1(t, "/a")
		require.NoError(t, d.syncDir("/"))
		d.order(t, "/a", string(bytes.Repeat([]byte{'n'}, 2*sectorBytes)), 100)
		d.powerLoss()
		got := d.content("/a")
		require.Equal(t, old[:100], got[:100])
		require.Equal(t, old[100+2*sectorBytes:], got[100+2*sectorBytes:])
		written := got[100 : 100+2*sectorBytes]
		n, o := bytes.Count([]byte(written), []byte("n")), bytes.Count([]byte(written), []byte("o"))
		if n+o < len(written) {
			strange++
		} else if n > 0 && o > 0 {
			torn++
		}
	}
	require.Greater(t, torn, 50)
	require.Greater(t, strange, 20)
}

func TestFullDiskKeepsPartOfTheWrite(t *testing.T) {
	d := newDisk(3)
	d.order(t, "/a", "x", 0)
	d.Limit(10)
	f, err := d.open("/a")
	require.NoError(t, err)
	n, err := d.writeAt(f, make([]byte, 100), 1)
	require.ErrorIs(t, err, log.ErrNoSpace)
	require.Less(t, n, 101)
	require.Equal(t, int64(1+n), f.size)
	require.Equal(t, int64(1), d.Counts.NoSpace)
	_, err = d.writeAt(f, []byte("y"), 0)
	require.NoError(t, err, "what needs no space goes on")
}

func TestInjectedErrorsAreCounted(t *testing.T) {
	d := newDisk(4)
	d.order(t, "/a", "hello", 0)
	f, err := d.open("/a")
	require.NoError(t, err)
	d.Faults = DiskFaults{WriteErrorPPM: 1_000_000, ReadErrorPPM: 1_000_000}
	_, err = d.writeAt(f, []byte("x"), 5)
	require.ErrorIs(t, err, errIO)
	_, err = d.readAt(f, make([]byte, 1), 0)
	require.ErrorIs(t, err, errIO)
	require.Equal(t, int64(2), d.Counts.errors())
}

func TestRotFlipsOneBitForGood(t *testing.T) {
	d := newDisk(5)
	_, rotten := d.rot()
	require.False(t, rotten, "nothing to rot")
	content := string(make([]byte, 1000))
	d.order(t, "/a", content, 0)
	d.harden1(t, "/a")
	require.NoError(t, d.syncDir("/"))
	m, rotten := d.rot()
	require.True(t, rotten)
	d.powerLoss()
	got := d.content("/a")
	require.Equal(t, content[:m.From], got[:m.From])
	require.NotEqual(t, content[m.From], got[m.From])
	require.Equal(t, content[m.To:], got[m.To:])
}

func TestDiscardedFilesGiveTheirPagesBack(t *testing.T) {
	d := newDisk(6)
	for i := range 50 {
		path := fmt.Sprintf("/f%d", i)
		d.order(t, path, string(make([]byte, 20_000)), 0)
		f, err := d.open(path)
		require.NoError(t, err)
		d.truncate(f, 5000)
		d.harden1(t, path)
		require.NoError(t, d.syncDir("/"))
		require.NoError(t, d.remove(path))
		require.NoError(t, d.syncDir("/"))
	}
	require.Zero(t, d.pages)
	require.LessOrEqual(t, len(d.free), 10, "pages are used again")
}

func TestJobBudgetEndsAtTheCrash(t *testing.T) {
	d := newDisk(7)
	files := d.Files(2)
	f, err := files.Create("/a")
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("x"), 0)
	require.NoError(t, err)
	require.ErrorIs(t, f.Sync(), errCrashed)
	_, err = files.List("/")
	require.ErrorIs(t, err, errCrashed)
	require.NoError(t, f.Close())
	require.Zero(t, files.Leaked())
	require.Equal(t, "x", d.content("/a"))
}

func TestLeakedFilesAreFound(t *testing.T) {
	d := newDisk(8)
	files := d.Files(Unlimited)
	_, err := files.Create("/a")
	require.NoError(t, err)
	require.Equal(t, 1, files.Leaked())
	require.Zero(t, files.Leaked())
}

func TestAppendsAreCheap(t *testing.T) {
	d := newDisk(9)
	f, err := d.create("/a")
	require.NoError(t, err)
	data := make([]byte, 100)
	n := 0
	allocs := testing.AllocsPerRun(5000, func() {
		d.write(f, data, f.size)
		if n++; n%8 == 0 {
			require.NoError(t, d.sync(f, f.mark()))
		}
	})
	require.Less(t, allocs, 0.2) // new pages
}

func BenchmarkDiskAppend(b *testing.B) {
	d := newDisk(9)
	f, err := d.create("/a")
	require.NoError(b, err)
	data := make([]byte, 200)
	b.ReportAllocs()
	for b.Loop() {
		d.write(f, data, f.size)
		if f.size > 1<<20 {
			d.truncate(f, 0)
			require.NoError(b, d.sync(f, f.mark()))
		}
	}
}

// Random operations against a model that keeps whole copies: what everyone sees is
// always the model's; what is left after a power loss agrees with it wherever
// nothing was in doubt, and the list of damage is exact.
func TestDiskAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDisk(rapid.Uint64().Draw(t, "seed"))
		m := &diskModel{
			seen: map[string][]byte{}, synced: map[string]bool{}, sure: map[string]bool{},
		}
		t.Repeat(map[string]func(*rapid.T){
			"write":      func(t *rapid.T) { m.write(t, d) },
			"truncate":   func(t *rapid.T) { m.truncate(t, d) },
			"sync":       func(t *rapid.T) { m.sync(t, d) },
			"crash":      func(t *rapid.T) { d.crash() },
			"power loss": func(t *rapid.T) { m.powerLoss(t, d) },
			"":           func(t *rapid.T) { m.check(t, d) },
		})
	})
}

// diskModel is the files that everyone sees, those whose names are durable, and those
// that are wholly durable.
type diskModel struct {
	seen         map[string][]byte
	synced, sure map[string]bool
}

func drawPath(t *rapid.T) string { return rapid.SampledFrom([]string{"/a", "/b"}).Draw(t, "path") }

func (m *diskModel) write(t *rapid.T, d *Disk) {
	path := drawPath(t)
	pos := rapid.Int64Range(0, 3*pageBytes).Draw(t, "pos")
	if rapid.Bool().Draw(t, "append") {
		pos = int64(len(m.seen[path]))
	}
	data := bytes.Repeat([]byte{byte(rapid.IntRange(1, 255).Draw(t, "byte"))},
		rapid.IntRange(1, 2*pageBytes).Draw(t, "len"))
	d.order(t, path, string(data), pos)
	m.sure[path] = false
	if grow := pos + int64(len(data)) - int64(len(m.seen[path])); grow > 0 {
		m.seen[path] = append(m.seen[path], make([]byte, grow)...)
	}
	copy(m.seen[path][pos:], data)
}

func (m *diskModel) truncate(t *rapid.T, d *Disk) {
	path := drawPath(t)
	f, err := d.open(path)
	if err != nil {
		return
	}
	size := rapid.IntRange(0, 4*pageBytes).Draw(t, "size")
	d.truncate(f, int64(size))
	m.sure[path] = false
	m.seen[path] = append(m.seen[path], make([]byte, max(0, size-len(m.seen[path])))...)[:size]
}

func (m *diskModel) sync(t *rapid.T, d *Disk) {
	path := drawPath(t)
	if _, err := d.open(path); err != nil {
		return
	}
	d.harden1(t, path)
	require.NoError(t, d.syncDir("/"))
	m.synced["/a"], m.synced["/b"] = m.seen["/a"] != nil, m.seen["/b"] != nil
	m.sure[path] = true
}

func (m *diskModel) powerLoss(t *rapid.T, d *Disk) {
	durable := map[string]int64{}
	for path := range m.seen {
		f, err := d.open(path)
		require.NoError(t, err)
		durable[path] = f.durable()
		require.True(t, !m.sure[path] || durable[path] == f.size, "all of it is synced")
	}
	damage := d.powerLoss()
	for _, path := range []string{"/a", "/b"} {
		before, had := m.seen[path]
		if !had {
			continue
		}
		f, err := d.open(path)
		if err != nil {
			require.False(t, m.synced[path], "a synced name is lost")
			require.Contains(t, damage, Damage{path, 0, int64(len(before)), FileLost})
			delete(m.seen, path)
			continue
		}
		after := []byte(d.content(path))
		m.compare(t, path, before, after, damage)
		require.True(t, bytes.HasPrefix(after, before[:durable[path]]), "durable bytes changed")
		m.seen[path] = after
		if m.sure[path] {
			require.Equal(t, len(before), len(after), "a synced size changed")
			require.True(t, bytes.Equal(before, after), "synced bytes changed")
		}
		require.Empty(t, f.ops)
		m.synced[path], m.sure[path] = true, true // what a power loss leaves is durable
	}
}

// compare checks that every byte outside of the damage is as it was.
func (m *diskModel) compare(t *rapid.T, path string, before, after []byte, damage []Damage) {
	for i := range before {
		whole := i < len(after) && before[i] == after[i]
		lost := slices.ContainsFunc(damage, func(d Damage) bool {
			return d.Path == path && d.From <= int64(i) && int64(i) < d.To
		})
		if !whole && !lost {
			t.Fatalf("%s: byte %d was lost without a word", path, i)
		}
	}
}

func (m *diskModel) check(t *rapid.T, d *Disk) {
	for _, path := range []string{"/a", "/b"} {
		want, ok := m.seen[path]
		if !ok {
			require.Equal(t, "<absent>", d.content(path))
			continue
		}
		require.True(t, string(want) == d.content(path), "%s differs", path)
	}
}
