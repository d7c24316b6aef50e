package group

import (
	"bytes"
	"cmp"
	"iter"
	"slices"

	"github.com/heiban/heiban/core/metadata"
)

// Partition names a partition of a topic.
type Partition struct {
	Topic metadata.ID
	Index int32
}

func comparePartitions(a, b Partition) int {
	if c := bytes.Compare(a.Topic[:], b.Topic[:]); c != 0 {
		return c
	}
	return cmp.Compare(a.Index, b.Index)
}

// Assignment is a set of partitions: sorted, each once, and never changed in place.
type Assignment []Partition

// sorted makes a list an Assignment. It takes the list over.
func (a Assignment) sorted() Assignment {
	slices.SortFunc(a, comparePartitions)
	return slices.Compact(a)
}

// topics gives the partitions of one topic after the other.
func (a Assignment) topics() iter.Seq[Assignment] {
	return func(yield func(Assignment) bool) {
		for start := 0; start < len(a); {
			end := start + 1
			for end < len(a) && a[end].Topic == a[start].Topic {
				end++
			}
			if !yield(a[start:end]) {
				return
			}
			start = end
		}
	}
}

func (a Assignment) has(p Partition) bool {
	_, ok := slices.BinarySearchFunc(a, p, comparePartitions)
	return ok
}

// and returns what is in both.
func (a Assignment) and(b Assignment) Assignment { return a.filter(b.has) }

// without returns what is in a only.
func (a Assignment) without(b Assignment) Assignment {
	return a.filter(func(p Partition) bool { return !b.has(p) })
}

func (a Assignment) filter(keep func(Partition) bool) Assignment {
	var kept Assignment
	for _, p := range a {
		if keep(p) {
			kept = append(kept, p)
		}
	}
	return kept
}

// plus returns what is in either.
func (a Assignment) plus(b Assignment) Assignment {
	if len(b) == 0 {
		return a
	}
	return slices.Concat(a, b).sorted()
}

func (a Assignment) equal(b Assignment) bool { return slices.Equal(a, b) }
