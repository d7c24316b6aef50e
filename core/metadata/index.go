package metadata

import "slices"

// chunkMax is how many elements a chunk of an index holds before it is halved.
const chunkMax = 256

// index is an immutable sorted list. Insert and remove copy one chunk and the list
// of chunks, so that a change among n elements costs about chunkMax plus n/chunkMax
// copied words. The order is that of the compare function that every call is given.
type index[T any] struct {
	chunks [][]T // none is empty
	n      int
}

// find returns where the element of a key is, or would be.
func find[T, K any](x *index[T], key K, compare func(T, K) int) (chunk, i int, ok bool) {
	if len(x.chunks) == 0 {
		return 0, 0, false
	}
	chunk, exact := slices.BinarySearchFunc(x.chunks, key, func(c []T, key K) int {
		return compare(c[0], key)
	})
	if exact {
		return chunk, 0, true
	}
	chunk = max(0, chunk-1) // the last chunk that begins before the key
	i, ok = slices.BinarySearchFunc(x.chunks[chunk], key, compare)
	return chunk, i, ok
}

// get returns the element of a key, and the zero value if there is none.
func get[T, K any](x *index[T], key K, compare func(T, K) int) (element T, ok bool) {
	chunk, i, ok := find(x, key, compare)
	if ok {
		element = x.chunks[chunk][i]
	}
	return element, ok
}

// fresh is the chunks that no other index shares, by their first elements. One who
// replaces many elements one after the other keeps it, and copies each chunk once.
type fresh[T any] map[*T]bool

// put returns the index with an element added, or replaced if the key is there. It may
// change indexes that earlier calls with the same own returned, but no others.
func put[T, K any](
	x index[T], key K, element T, compare func(T, K) int, own fresh[T],
) index[T] {
	if len(x.chunks) == 0 {
		return index[T]{chunks: [][]T{{element}}, n: 1}
	}
	chunk, i, ok := find(&x, key, compare)
	old := x.chunks[chunk]
	if ok {
		if own[&old[0]] {
			old[i] = element
			return x
		}
		c := slices.Clone(old)
		c[i] = element
		own[&c[0]] = true
		return x.with(chunk, c)
	}
	x.n++
	c := make([]T, 0, len(old)+1)
	c = append(append(append(c, old[:i]...), element), old[i:]...)
	if len(c) <= chunkMax {
		return x.with(chunk, c)
	}
	half := len(c) / 2
	chunks := make([][]T, 0, len(x.chunks)+1)
	chunks = append(chunks, x.chunks[:chunk]...)
	chunks = append(chunks, slices.Clip(c[:half]), c[half:])
	x.chunks = append(chunks, x.chunks[chunk+1:]...)
	return x
}

// drop returns the index without the element of a key.
func drop[T, K any](x index[T], key K, compare func(T, K) int) index[T] {
	chunk, i, ok := find(&x, key, compare)
	if !ok {
		return x
	}
	x.n--
	old := x.chunks[chunk]
	if len(old) == 1 {
		x.chunks = slices.Concat(x.chunks[:chunk], x.chunks[chunk+1:])
		return x
	}
	return x.with(chunk, slices.Concat(old[:i], old[i+1:]))
}

func (x index[T]) with(chunk int, c []T) index[T] {
	chunks := slices.Clone(x.chunks)
	chunks[chunk] = c
	x.chunks = chunks
	return x
}

// from calls yield with the elements from a key on, in order, until it says no.
func from[T, K any](x *index[T], key K, compare func(T, K) int, yield func(T) bool) {
	chunk, i, _ := find(x, key, compare)
	for ; chunk < len(x.chunks); chunk, i = chunk+1, 0 {
		for ; i < len(x.chunks[chunk]); i++ {
			if !yield(x.chunks[chunk][i]) {
				return
			}
		}
	}
}
