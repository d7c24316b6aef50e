// Package conformance is what every network must do, simulated or real: a suite of
// checks over a small interface. The simulated network and the production listener
// both pass it, so that what a simulation shows holds outside as well. Start at
// Suite.
package conformance

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrRefused is what Dial returns when nothing listens.
var ErrRefused = errors.New("connection refused")

// ErrClosed is what Receive returns when a connection is gone, however it went.
var ErrClosed = errors.New("connection closed")

// ErrSilent is what Receive returns when nothing will arrive: a simulated network
// knows, a real one waits for a while first.
var ErrSilent = errors.New("nothing arrives")

// Network is one host that dials and one that may listen.
type Network interface {
	// Listen makes the second host accept connections, or refuse them.
	Listen(accept bool) error
	// Dial opens a connection and returns both ends.
	Dial() (dialer, listener Conn, err error)
}

// Conn is one end of a connection.
type Conn interface {
	// Send sends one frame. It may succeed although the connection is gone.
	Send(frame []byte) error
	// Receive returns the next frame.
	Receive() ([]byte, error)
	// Close closes this end after what was sent. Receive returns ErrClosed then.
	Close() error
	// Reset breaks the connection at once, as a crash of this host does.
	Reset() error
}

// Check is one check of the suite.
type Check struct {
	Name string
	Run  func(Network) error // on a network of its own
}

// Suite returns every check.
func Suite() []Check {
	return []Check{
		{"frames arrive whole and in order", inOrder},
		{"both directions carry at once", bothWays},
		{"connections do not mix", apart},
		{"frames sent before a close arrive", closeAfterSend},
		{"nothing arrives after a close", silentAfterClose},
		{"a reset reaches both ends", resetReachesBoth},
		{"a host that does not listen refuses", refuses},
		{"a host that listens again accepts", acceptsAgain},
		{"an open connection without frames is silent", silence},
	}
}

// dial opens a connection to a host that listens.
func dial(n Network) (a, b Conn, err error) {
	if err := n.Listen(true); err != nil {
		return nil, nil, err
	}
	return n.Dial()
}

// frame makes the ith frame of a stream: of many sizes, and told apart by content.
func frame(stream byte, i int) []byte {
	size := 5 + i*i%9973
	f := bytes.Repeat([]byte{stream ^ byte(i)}, size)
	f[0] = stream
	binary.BigEndian.PutUint32(f[1:], uint32(i))
	return f
}

func sendAll(c Conn, stream byte, n int) error {
	for i := range n {
		if err := c.Send(frame(stream, i)); err != nil {
			return fmt.Errorf("send frame %d: %w", i, err)
		}
	}
	return nil
}

// expect receives the first n frames of a stream.
func expect(c Conn, stream byte, n int) error {
	for i := range n {
		got, err := c.Receive()
		if err != nil {
			return fmt.Errorf("receive frame %d: %w", i, err)
		}
		if !bytes.Equal(got, frame(stream, i)) {
			return fmt.Errorf("frame %d is not what was sent: %d bytes", i, len(got))
		}
	}
	return nil
}

func expectError(c Conn, want error) error {
	got, err := c.Receive()
	if !errors.Is(err, want) {
		return errors.Join(fmt.Errorf("received %d bytes, expected: %w", len(got), want), err)
	}
	return nil
}

func inOrder(n Network) error {
	a, b, err := dial(n)
	if err != nil {
		return err
	}
	if err := sendAll(a, 1, 100); err != nil {
		return err
	}
	return expect(b, 1, 100)
}

func bothWays(n Network) error {
	a, b, err := dial(n)
	if err != nil {
		return err
	}
	for i := range 50 {
		if err := errors.Join(a.Send(frame(1, i)), b.Send(frame(2, i))); err != nil {
			return err
		}
	}
	return errors.Join(expect(b, 1, 50), expect(a, 2, 50))
}

func apart(n Network) error {
	const conns = 8
	var dialers, listeners [conns]Conn
	for i := range conns {
		a, b, err := dial(n)
		if err != nil {
			return err
		}
		dialers[i], listeners[i] = a, b
	}
	for f := range 20 {
		for i := range conns {
			if err := dialers[i].Send(frame(byte(i), f)); err != nil {
				return err
			}
		}
	}
	for i := conns - 1; i >= 0; i-- {
		if err := expect(listeners[i], byte(i), 20); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	return nil
}

func closeAfterSend(n Network) error {
	a, b, err := dial(n)
	if err != nil {
		return err
	}
	if err := errors.Join(sendAll(a, 1, 20), a.Close()); err != nil {
		return err
	}
	return errors.Join(expect(b, 1, 20), expectError(b, ErrClosed))
}

func silentAfterClose(n Network) error {
	a, b, err := dial(n)
	if err != nil {
		return err
	}
	if err := errors.Join(a.Close(), expectError(a, ErrClosed)); err != nil {
		return err
	}
	_ = b.Send(frame(2, 0)) // may or may not notice yet
	return errors.Join(expectError(a, ErrClosed), expectError(b, ErrClosed))
}

func resetReachesBoth(n Network) error {
	a, b, err := dial(n)
	if err != nil {
		return err
	}
	if err := sendAll(b, 2, 3); err != nil {
		return err
	}
	if err := expect(a, 2, 3); err != nil {
		return err
	}
	if err := b.Reset(); err != nil {
		return err
	}
	return errors.Join(expectError(a, ErrClosed), expectError(b, ErrClosed))
}

func refuses(n Network) error {
	if err := n.Listen(false); err != nil {
		return err
	}
	if _, _, err := n.Dial(); !errors.Is(err, ErrRefused) {
		return errors.Join(fmt.Errorf("dial, expected: %w", ErrRefused), err)
	}
	return nil
}

func acceptsAgain(n Network) error {
	if err := refuses(n); err != nil {
		return err
	}
	return inOrder(n)
}

func silence(n Network) error {
	a, b, err := dial(n)
	if err != nil {
		return err
	}
	return errors.Join(expectError(a, ErrSilent), expectError(b, ErrSilent))
}
