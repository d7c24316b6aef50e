package realnet

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBuffersHaveTheSizeAskedFor(t *testing.T) {
	p := newBuffers(1 << 30)
	for _, size := range []int{
		1, minBufferBytes, minBufferBytes + 1, slabBytesMax, 1<<20 + 1, 200 << 20,
	} {
		b := p.get(size)
		require.GreaterOrEqual(t, len(b.b), size)
		require.Less(t, len(b.b), max(2*size, minBufferBytes+1))
		b.retain()
		b.release()
		b.release()
	}
}

func TestBudgetIsGrantedInTheOrderOfAsking(t *testing.T) {
	var b budget
	b.init(100)
	taken, ok := b.take(80, nil)
	require.True(t, ok)
	require.EqualValues(t, 80, taken)

	large := make(chan int64)
	go func() {
		taken, _ := b.take(500, nil)
		large <- taken
	}()
	waitFor(t, func() bool { return b.waiters() == 1 })
	small := make(chan int64)
	go func() {
		taken, _ := b.take(10, nil)
		small <- taken
	}()
	waitFor(t, func() bool { return b.waiters() == 2 })
	require.EqualValues(t, 20, b.left(), "the small one waits behind the large one")

	b.give(80)
	require.EqualValues(t, 100, <-large, "nobody gets more than there is")
	b.give(100)
	require.EqualValues(t, 10, <-small)
	b.give(10)
	require.EqualValues(t, 100, b.left())
}

func TestBudgetForgetsWhoGivesUp(t *testing.T) {
	var b budget
	b.init(100)
	_, _ = b.take(60, nil)
	gone := make(chan struct{})
	result := make(chan bool)
	go func() {
		_, ok := b.take(50, gone)
		result <- ok
	}()
	waitFor(t, func() bool { return b.waiters() == 1 })
	behind := make(chan bool)
	go func() {
		_, ok := b.take(40, nil)
		behind <- ok
	}()
	waitFor(t, func() bool { return b.waiters() == 2 })
	close(gone)
	require.False(t, <-result)
	require.True(t, <-behind, "who waited behind goes on")
	b.give(60)
	b.give(40)
	require.EqualValues(t, 100, b.left())
}

func (b *budget) waiters() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting)
}
