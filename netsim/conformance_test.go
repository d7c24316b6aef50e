package netsim

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/netsim/conformance"
)

func TestConformance(t *testing.T) {
	for _, check := range conformance.Suite() {
		t.Run(check.Name, func(t *testing.T) {
			require.NoError(t, check.Run(&hosts{world: newWorld(2)}))
		})
	}
}

// plainNoise delays by a fixed rule, so that tests can say what will happen.
type plainNoise struct {
	breaks BreakKind
	broken uint64 // the draw at which a connection breaks; 0: none
	lost   int
}

func (z *plainNoise) Delay(_, _ Endpoint, n uint64) clock.Duration {
	return clock.Duration(10+n*7919%90) * clock.Microsecond
}

func (z *plainNoise) Patience(_, _ Endpoint, n uint64) clock.Duration {
	return clock.Second + clock.Duration(n)*clock.Millisecond
}

func (z *plainNoise) Breaks(_, _ Endpoint, n uint64) (BreakKind, bool) {
	return z.breaks, n == z.broken
}

func (z *plainNoise) Lost(_, _ Endpoint, _ uint64, most int) int { return min(z.lost, most) }

// world is a network with a scheduler that keeps deliveries in the order of time.
type world struct {
	net    *Net[[]byte]
	noise  *plainNoise
	now    clock.Instant
	due    []Delivery
	events []Event[[]byte]
}

func newWorld(endpoints int) *world {
	noise := &plainNoise{}
	w := &world{net: New[[]byte](endpoints, noise), noise: noise}
	for e := range endpoints {
		w.net.Up(0, Endpoint(e), port)
	}
	return w
}

// step carries out the next delivery and reports whether there was one.
func (w *world) step() bool {
	w.due = append(w.due, w.net.Due...)
	w.net.Due = w.net.Due[:0]
	if len(w.due) == 0 {
		return false
	}
	slices.SortStableFunc(w.due, func(a, b Delivery) int { return int(a.At - b.At) })
	d := w.due[0]
	w.due = w.due[1:]
	w.now = max(w.now, d.At)
	if ev, noticed := w.net.Deliver(w.now, d); noticed {
		w.events = append(w.events, ev)
	}
	return true
}

// until runs the world up to an instant.
func (w *world) until(at clock.Instant) {
	for {
		w.due = append(w.due, w.net.Due...)
		w.net.Due = w.net.Due[:0]
		next := clock.Never
		for _, d := range w.due {
			next = min(next, d.At)
		}
		if next > at {
			w.now = at
			return
		}
		w.step()
	}
}

func (w *world) settle() {
	for w.step() {
	}
}

// hosts makes a conformance.Network of a world with two endpoints.
type hosts struct{ world *world }

func (h *hosts) Listen(accept bool) error {
	h.world.net.Refuse(1, !accept)
	return nil
}

func (h *hosts) Dial() (dialer, listener conformance.Conn, err error) {
	id := h.world.net.Dial(h.world.now, 0, 1, port)
	h.world.settle()
	for _, ev := range h.world.events {
		if ev.Conn == id && ev.Kind == Refused {
			return nil, nil, conformance.ErrRefused
		}
	}
	return &side{h.world, id, Dialer}, &side{h.world, id, Listener}, nil
}

// side is one end of a connection of a world.
type side struct {
	world *world
	id    ConnID
	side  Side
}

func (s *side) Send(frame []byte) error {
	s.world.net.Send(s.world.now, s.id, s.side,
		Frame[[]byte]{Payload: frame, Size: int32(len(frame))})
	return nil
}

func (s *side) Receive() ([]byte, error) {
	for {
		for i, ev := range s.world.events {
			if ev.Conn != s.id || ev.Side != s.side {
				continue
			}
			switch ev.Kind {
			case Received:
				s.world.events = slices.Delete(s.world.events, i, i+1)
				return ev.Payload, nil
			case Closed:
				return nil, conformance.ErrClosed
			}
		}
		if !s.world.net.Open(s.id, s.side) {
			return nil, conformance.ErrClosed
		}
		if !s.world.step() {
			return nil, conformance.ErrSilent
		}
	}
}

func (s *side) Close() error {
	s.world.net.Close(s.world.now, s.id, s.side)
	return nil
}

func (s *side) Reset() error {
	s.world.net.Break(s.world.now, s.id, BreakBoth)
	return nil
}
