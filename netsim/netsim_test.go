package netsim

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/clock"
	_ "github.com/heiban/heiban/internal/repeatable"
)

const (
	client Endpoint = 0
	server Endpoint = 1

	port Port = 9092
)

// connect opens a connection from the client to the server.
func (w *world) connect() ConnID {
	id := w.net.Dial(w.now, client, server, port)
	w.settle()
	w.events = nil
	return id
}

func (w *world) send(id ConnID, s Side, text string) bool {
	return w.net.Send(w.now, id, s, Frame[[]byte]{Payload: []byte(text), Size: int32(len(text))})
}

// seen lists what happened at an endpoint: frames by their text, the rest by name.
func (w *world) seen(at Endpoint) []string {
	names := map[EventKind]string{
		Accepted: "<accepted>", Connected: "<connected>", Refused: "<refused>", Closed: "<closed>",
	}
	var seen []string
	for _, ev := range w.events {
		switch {
		case ev.At != at:
		case ev.Kind == Received:
			seen = append(seen, string(ev.Payload))
		default:
			seen = append(seen, names[ev.Kind])
		}
	}
	return seen
}

func TestDialIsSeenByBothEnds(t *testing.T) {
	w := newWorld(2)
	id := w.net.Dial(0, client, server, port)
	require.False(t, w.send(id, Dialer, "too early"))
	w.settle()
	require.Equal(t, []string{"<accepted>"}, w.seen(server))
	require.Equal(t, []string{"<connected>"}, w.seen(client))
	require.True(t, w.net.Open(id, Dialer))
	require.True(t, w.net.Open(id, Listener))
}

// An endpoint answers at the ports it listens at, and says which was dialed.
func TestPorts(t *testing.T) {
	const other Port = 9093
	w := newWorld(2)
	refused := w.net.Dial(w.now, client, server, other)
	w.settle()
	require.Equal(t, []string{"<refused>"}, w.seen(client))
	require.False(t, w.net.Open(refused, Dialer))

	w.events = nil
	w.net.Up(w.now, server, other)
	w.net.Up(w.now, server, other)
	w.net.Dial(w.now, client, server, other)
	w.settle()
	w.net.Dial(w.now, client, server, port)
	w.settle()
	var ports []Port
	for _, ev := range w.events {
		if ev.Kind == Accepted {
			ports = append(ports, ev.Port)
		}
	}
	require.Equal(t, []Port{other, port}, ports)

	w.events = nil
	w.net.Down(w.now, server, false)
	w.settle()
	w.net.Up(w.now, server, port)
	w.net.Dial(w.now, client, server, other)
	w.settle()
	require.Equal(t, []string{"<closed>", "<closed>", "<refused>"}, w.seen(client))
}

func TestFramesWaitForACutToMend(t *testing.T) {
	w := newWorld(2)
	id := w.connect()
	w.send(id, Dialer, "a")
	w.net.Cut(client, server)
	w.send(id, Dialer, "b")
	w.until(w.now.Add(500 * clock.Millisecond))
	require.Empty(t, w.seen(server))
	w.send(id, Listener, "the other way is open")
	w.until(w.now.Add(clock.Millisecond))
	require.Equal(t, []string{"the other way is open"}, w.seen(client))
	w.net.Mend(w.now, client, server)
	w.send(id, Dialer, "c")
	w.settle()
	require.Equal(t, []string{"a", "b", "c"}, w.seen(server))
	require.Equal(t, int64(2), w.net.Counts.Stalls)
}

func TestSenderGivesUpOnALongCut(t *testing.T) {
	w := newWorld(2)
	id := w.connect()
	w.net.Cut(client, server)
	w.net.Cut(server, client)
	w.send(id, Dialer, "lost")
	w.settle()
	require.Equal(t, []string{"<closed>"}, w.seen(client))
	require.Empty(t, w.seen(server), "the listener sent nothing, so it cannot know")
	w.net.Mend(w.now, client, server)
	w.net.Mend(w.now, server, client)
	w.send(id, Listener, "anybody there?")
	w.settle()
	require.Equal(t, []string{"<closed>"}, w.seen(server))
	require.Equal(t, int64(1), w.net.Counts.GaveUp)
}

func TestNobodyGivesUpOnAClog(t *testing.T) {
	w := newWorld(2)
	id := w.connect()
	w.net.Clog(client, server)
	w.net.Clog(client, server)
	w.send(id, Dialer, "late")
	w.until(w.now.Add(clock.Minute))
	w.net.Unclog(w.now, client, server)
	w.until(w.now.Add(clock.Minute))
	require.Empty(t, w.seen(server), "one of two clogs is left")
	w.net.Unclog(w.now, client, server)
	w.settle()
	require.Equal(t, []string{"late"}, w.seen(server))
	require.Empty(t, w.seen(client))
}

func TestDialThroughACutIsRefusedInTheEnd(t *testing.T) {
	w := newWorld(2)
	w.net.Cut(client, server)
	w.net.Dial(w.now, client, server, port)
	w.settle()
	require.Equal(t, []string{"<refused>"}, w.seen(client))
	require.Empty(t, w.seen(server))
	require.GreaterOrEqual(t, w.now, clock.Instant(clock.Second))
}

func TestBreaksAreLearnedAsTheirKindSays(t *testing.T) {
	soon := clock.Millisecond
	for _, test := range []struct {
		kind           BreakKind
		client, server []string // soon after
	}{
		{BreakBoth, []string{"<closed>"}, []string{"<closed>"}},
		{BreakDialer, []string{"<closed>"}, nil},
		{BreakListener, nil, []string{"<closed>"}},
		{BreakSilent, nil, nil},
	} {
		w := newWorld(2)
		id := w.connect()
		w.noise.lost = 1
		w.send(id, Dialer, "kept")
		w.send(id, Dialer, "swallowed")
		w.net.Break(w.now, id, test.kind)
		w.until(w.now.Add(soon))
		require.Equal(t, test.client, w.seen(client), "kind %d", test.kind)
		if test.kind == BreakSilent {
			require.Empty(t, w.seen(server))
		} else {
			require.Equal(t, append([]string{"kept"}, test.server...), w.seen(server))
		}
		w.send(id, Dialer, "x")
		w.send(id, Listener, "y")
		w.settle()
		require.Contains(t, w.seen(client), "<closed>", "in the end everyone knows")
		require.Contains(t, w.seen(server), "<closed>")
		require.NotContains(t, w.seen(server), "swallowed")
		require.NotContains(t, w.seen(server), "x")
	}
}

func TestHalfOpenConnectionIsSilentWithoutSending(t *testing.T) {
	w := newWorld(2)
	id := w.connect()
	w.net.Break(w.now, id, BreakSilent)
	w.settle()
	require.Empty(t, w.events)
	w.net.Heal(w.now)
	w.settle()
	require.Equal(t, []string{"<closed>"}, w.seen(client))
	require.Equal(t, []string{"<closed>"}, w.seen(server))
}

func TestHealingEndsWhatWasAcceptedUnheard(t *testing.T) {
	w := newWorld(2)
	id := w.net.Dial(w.now, client, server, port)
	w.net.Clog(server, client) // the server accepts, and the client does not hear of it
	w.until(w.now.Add(clock.Second))
	w.net.Down(w.now, server, true)
	w.net.Up(w.now, server, port)
	w.net.Heal(w.now)
	w.settle()
	require.False(t, w.net.Open(id, Dialer))
	require.False(t, w.net.Open(id, Listener))
	require.Equal(t, []string{"<connected>", "<closed>"}, w.seen(client))
}

func TestHealingEndsWhatBrokeWhileItOpened(t *testing.T) {
	w := newWorld(2)
	id := w.net.Dial(w.now, client, server, port)
	w.net.Cut(client, server)
	w.until(w.now.Add(clock.Second))
	w.net.Break(w.now, id, BreakSilent)
	w.net.Heal(w.now)
	w.settle()
	require.Equal(t, []string{"<refused>"}, w.seen(client))
	require.Empty(t, w.seen(server), "nobody is there to accept")
}

func TestCrashOfAProcessIsHeardOf(t *testing.T) {
	w := newWorld(2)
	id := w.connect()
	w.send(id, Listener, "last words")
	w.net.Down(w.now, server, false)
	w.settle()
	require.Equal(t, []string{"last words", "<closed>"}, w.seen(client))
	w.net.Dial(w.now, client, server, port)
	w.settle()
	require.Equal(t, []string{"last words", "<closed>", "<refused>"}, w.seen(client))
}

func TestPowerLossIsNotHeardOf(t *testing.T) {
	w := newWorld(2)
	idle, busy := w.connect(), w.connect()
	w.net.Down(w.now, server, true)
	w.settle()
	require.Empty(t, w.events)
	w.send(busy, Dialer, "hello?")
	w.until(w.now.Add(clock.Millisecond))
	require.Empty(t, w.events)
	w.net.Up(w.now, server, port)
	w.until(w.now.Add(clock.Millisecond))
	require.Equal(t, []string{"<closed>"}, w.seen(client), "the new life knows no such connection")
	w.send(idle, Dialer, "hello?")
	w.until(w.now.Add(clock.Millisecond))
	require.Equal(t, []string{"<closed>", "<closed>"}, w.seen(client))
}

func TestSilentHostIsGivenUp(t *testing.T) {
	w := newWorld(2)
	id := w.connect()
	w.net.Down(w.now, server, true)
	w.send(id, Dialer, "hello?")
	w.net.Dial(w.now, client, server, port)
	w.settle()
	require.ElementsMatch(t, []string{"<closed>", "<refused>"}, w.seen(client))
}

func TestBandwidthSpacesFrames(t *testing.T) {
	w := newWorld(2)
	w.net.BytesPerMilli = 1000
	id := w.connect()
	start := w.now
	for range 10 {
		w.net.Send(w.now, id, Dialer, Frame[[]byte]{Size: 5000})
	}
	w.settle()
	require.Len(t, w.events, 10)
	require.GreaterOrEqual(t, w.now.Sub(start), 50*clock.Millisecond)
}

func TestSlowLinkMultipliesDelays(t *testing.T) {
	w := newWorld(2)
	id := w.connect()
	w.net.Slow(client, server, 1000)
	start := w.now
	w.send(id, Dialer, "slow")
	w.settle()
	require.GreaterOrEqual(t, w.now.Sub(start), 10*clock.Millisecond)
}

func TestBreakOnSend(t *testing.T) {
	w := newWorld(2)
	w.noise.breaks, w.noise.broken = BreakBoth, 3 // the draw of the second frame
	id := w.connect()
	w.send(id, Dialer, "a")
	w.send(id, Dialer, "b")
	w.settle()
	require.Equal(t, int64(1), w.net.Counts.Breaks)
	require.Contains(t, w.seen(client), "<closed>")
}

func TestSlotsAreUsedAgainUnderNewNames(t *testing.T) {
	w := newWorld(2)
	first := w.connect()
	w.net.Close(w.now, first, Dialer)
	w.settle()
	second := w.connect()
	require.NotEqual(t, first, second)
	require.Equal(t, first.index(), second.index())
	require.False(t, w.send(first, Dialer, "stale"))
	require.False(t, w.net.Open(first, Dialer))
}

// Whatever happens: a side sees a prefix of what the other sent, in order and once,
// then perhaps the end and nothing after it; and after healing nobody is left with
// one half of a connection.
func TestConnectionsAreStreamsUnderFaults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(2)
		w.noise.lost = rapid.IntRange(0, 3).Draw(t, "lost")
		var ids []ConnID
		next := map[ConnID]*[2]byte{}
		actions := rapid.SliceOfN(rapid.IntRange(0, 14), 1, 80).Draw(t, "actions")
		for i, action := range actions {
			pick := func() ConnID { return ids[i%len(ids)] }
			switch {
			case action == 0 || len(ids) == 0:
				id := w.net.Dial(w.now, client, server, port)
				ids = append(ids, id)
				next[id] = &[2]byte{}
			case action <= 4:
				id, side := pick(), Side(action%2)
				if w.net.Send(w.now, id, side, Frame[[]byte]{Payload: []byte{next[id][side]}}) {
					next[id][side]++
				}
			case action == 5:
				w.net.Cut(client, server)
			case action == 6:
				w.net.Mend(w.now, client, server)
			case action == 7:
				w.net.Clog(server, client)
			case action == 8:
				w.net.Unclog(w.now, server, client)
			case action == 9:
				w.net.Break(w.now, pick(), BreakKind(i%int(BreakKinds)))
			case action == 10:
				w.net.Close(w.now, pick(), Side(i%2))
			case action == 11:
				w.net.Down(w.now, server, i%2 == 0)
			case action == 12:
				w.net.Up(w.now, server, port)
			default:
				w.until(w.now.Add(clock.Duration(i) * 10 * clock.Millisecond))
			}
		}
		w.net.Up(w.now, server, port)
		w.net.Heal(w.now)
		w.settle()
		for _, id := range ids {
			require.Equal(t, w.net.Open(id, Dialer), w.net.Open(id, Listener), "half-open")
			for side := Dialer; side <= Listener; side++ {
				checkStream(t, w, id, side, next[id][side.Other()])
			}
		}
	})
}

// checkStream checks what one side of a connection saw.
func checkStream(t *rapid.T, w *world, id ConnID, side Side, sent byte) {
	got, over := byte(0), false
	for _, ev := range w.events {
		if ev.Conn != id || ev.Side != side {
			continue
		}
		require.False(t, over, "nothing follows the end")
		switch ev.Kind {
		case Received:
			require.Equal(t, got, ev.Payload[0], "in order, once")
			got++
		case Closed, Refused:
			over = true
		}
	}
	require.LessOrEqual(t, got, sent)
	if w.net.Open(id, side) {
		require.Equal(t, sent, got, "an unbroken connection loses nothing")
	}
}

func TestSendingDoesNotAllocate(t *testing.T) {
	w := newWorld(2)
	id := w.connect()
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		w.net.Send(w.now, id, Dialer, Frame[[]byte]{Size: 100})
		for _, d := range w.net.Due {
			w.now = max(w.now, d.At)
			w.net.Deliver(w.now, d)
		}
		w.net.Due = w.net.Due[:0]
	}))
}

func BenchmarkSendDeliver(b *testing.B) {
	w := newWorld(2)
	id := w.connect()
	b.ReportAllocs()
	for b.Loop() {
		w.net.Send(w.now, id, Dialer, Frame[[]byte]{Size: 100})
		for _, d := range w.net.Due {
			w.now = max(w.now, d.At)
			w.net.Deliver(w.now, d)
		}
		w.net.Due = w.net.Due[:0]
	}
}
