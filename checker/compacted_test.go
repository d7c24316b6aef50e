package checker

import "testing"

// TestCompactedOnDisk: the cleaner may take what a later record of the key replaces,
// and nothing else.
func TestCompactedOnDisk(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(batches []Batch) []Batch
		want   []string
	}{
		{"as it was", same, nil},
		{"one replaced", func(bs []Batch) []Batch { return bs[1:] }, nil},
		{"one emptied", func(bs []Batch) []Batch { bs[0].RecordCount = 0; return bs }, nil},
		{
			"the last of a key",
			func(bs []Batch) []Batch { return append(bs[:1:1], bs[2:]...) },
			[]string{"RecoveryFidelity/hole"},
		},
		{
			"the last of a key emptied",
			func(bs []Batch) []Batch { bs[1].RecordCount = 0; return bs },
			[]string{"RecoveryFidelity/hole"},
		},
		{
			"the end",
			func(bs []Batch) []Batch { return bs[:2] },
			[]string{"RecoveryFidelity/hole"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, Policy{Compacted: true})
			for i, key := range []string{"k", "other", "k"} {
				b.Appended(p0, at(b.send(1, key), int64(i)))
			}
			b.Written(p0, 3)
			b.HighWatermark(p0, 3, 3)
			b.restart(0, 3)
			b.Inspected(p0, c.change(append([]Batch(nil), b.Partition(p0).Batches()...)), nil)
			b.expect(c.want...)
		})
	}
}
