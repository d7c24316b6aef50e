package sim

import (
	"sort"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/clock"
	_ "github.com/heiban/heiban/internal/repeatable"
)

func TestEventIsSmall(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(event{}), uintptr(32))
}

func TestQueueGivesEventsInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := queue{noise: NewNoise(rapid.Uint64().Draw(t, "seed"))}
		var model []event
		for _, at := range rapid.SliceOf(rapid.Int64Range(-1, 20)).Draw(t, "ops") {
			if at >= 0 {
				q.push(event{at: clock.Instant(at)})
				model = append(model, newest(&q))
				continue
			}
			if len(model) == 0 {
				continue
			}
			sort.Slice(model, func(i, j int) bool { return model[i].before(&model[j]) })
			require.Equal(t, model[0], q.pop())
			model = model[1:]
			require.Equal(t, len(model), q.len())
		}
	})
}

func newest(q *queue) event {
	for _, e := range q.heap {
		if e.seq == q.seq {
			return e
		}
	}
	panic("the event just pushed is not there")
}

func TestArenaVoidsOldGenerations(t *testing.T) {
	var a arena[string]
	i, gen := a.put("first")
	require.Equal(t, "first", *a.at(i, gen))
	a.drop(i)
	require.Nil(t, a.at(i, gen))
	j, next := a.put("second")
	require.Equal(t, i, j)
	require.Nil(t, a.at(i, gen))
	require.Equal(t, "second", *a.at(j, next))
	require.Nil(t, a.at(99, 0))
}

func TestQueueDoesNotAllocate(t *testing.T) {
	q := filled(200)
	r := NewRand(1, "allocs", 0)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		e := q.pop()
		e.at += clock.Instant(r.Below(1000))
		q.push(e)
	}))
}

func filled(n int) *queue {
	q := &queue{noise: NewNoise(1)}
	r := NewRand(2, "fill", 0)
	for range n {
		q.push(event{at: clock.Instant(r.Below(1000))})
	}
	return q
}

func BenchmarkQueue200(b *testing.B)  { benchmarkQueue(b, 200) }
func BenchmarkQueue5000(b *testing.B) { benchmarkQueue(b, 5000) }

func benchmarkQueue(b *testing.B, n int) {
	q := filled(n)
	r := NewRand(1, "bench", 0)
	b.ReportAllocs()
	for b.Loop() {
		e := q.pop()
		e.at += clock.Instant(r.Below(1000))
		q.push(e)
	}
}
