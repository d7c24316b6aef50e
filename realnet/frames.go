package realnet

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/heiban/heiban/core/wire"
)

// frames reads frames from a socket, by one goroutine. Small ones share slabs; large
// ones get buffers of their own, which count against the budget.
type frames struct {
	buffers  *buffers
	raw      syscall.RawConn
	bytesMax int32         // of a frame
	gone     chan struct{} // closed when nothing is to be read any more
	received *atomic.Int64 // metric
	activity atomic.Uint32 // changes whenever bytes move, either way

	slab      *buffer // nil while nothing is there to be parsed
	begin     int     // of what is not parsed yet
	end       int
	slabBytes int
	large     *buffer // holds the last frame, if that fitted no slab
	into      []byte  // what tryRead reads into; nil: a new slab
	readBytes int
	readErr   error
	readFunc  func(fd uintptr) bool
}

// errGone ends the reading of a connection that somebody else has closed.
var errGone = errors.New("connection is closed")

// sizePrefix is the length of the size before every frame.
const sizePrefix = 4

// trustBytesMax is how much memory a frame gets for its size prefix alone. More is
// given as its bytes arrive.
const trustBytesMax = 2 << 20

func (f *frames) init(socket *net.TCPConn, b *buffers, bytesMax int32, received *atomic.Int64) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	f.raw, f.buffers, f.bytesMax, f.received = raw, b, bytesMax, received
	f.slabBytes, f.readFunc = slabBytesMin, f.tryRead
	return nil
}

// next returns the next frame, without its size, and the buffer that holds it until the
// next call; who needs it for longer retains that. Before it waits for bytes it
// drains t: what arrived together is stepped before what it led to is carried out, so
// that that can be carried out together.
func (f *frames) next(t *turn) (frame []byte, held *buffer, err error) {
	f.dropLarge()
	for {
		size, err := f.peek()
		if err != nil {
			t.drain()
			return nil, nil, err
		}
		have := f.end - f.begin - sizePrefix
		if size >= 0 && have >= size {
			begin := f.begin + sizePrefix
			f.begin = begin + size
			return f.slab.b[begin:f.begin:f.begin], f.slab, nil
		}
		t.drain()
		if size > slabBytesMax-sizePrefix {
			return f.readLarge(size)
		}
		if err := f.fill(max(0, size) + sizePrefix); err != nil {
			return nil, nil, err
		}
	}
}

// giveBack ends the reading.
func (f *frames) giveBack() {
	f.dropLarge()
	if f.slab != nil {
		f.slab.release()
		f.slab = nil
	}
}

func (f *frames) dropLarge() {
	if f.large != nil {
		f.large.release()
		f.large = nil
	}
}

// peek returns the size of the next frame, without its prefix, or -1 if it is not
// known yet.
func (f *frames) peek() (int, error) {
	if f.end-f.begin < sizePrefix {
		return -1, nil
	}
	size, err := wire.FrameSize(f.slab.b[f.begin:f.end], f.bytesMax)
	return int(size), err
}

// fill reads more into the slab, which gets room for a frame of need bytes, prefix
// included. A connection that waits for its next frame holds no slab.
func (f *frames) fill(need int) error {
	if f.slab != nil && (f.begin == f.end || f.begin+need > len(f.slab.b)) {
		if err := f.changeSlab(need); err != nil {
			return err
		}
	}
	f.into = nil
	if f.slab != nil {
		f.into = f.slab.b[f.end:]
	}
	if err := f.read(); err != nil {
		return err
	}
	switch {
	case f.readBytes == len(f.into):
		f.slabBytes = min(2*f.slabBytes, slabBytesMax)
	case f.readBytes < f.slabBytes/8:
		f.slabBytes = max(f.slabBytes/2, slabBytesMin)
	}
	f.end += f.readBytes
	return nil
}

// changeSlab leaves the slab and moves what is left of it to another one.
func (f *frames) changeSlab(need int) error {
	old := f.slab
	if old.users.Load() > 1 {
		// Writes under way keep it. From here on it counts, and so a sender
		// that is faster than the disk waits.
		if err := f.reserve(old, int64(len(old.b))); err != nil {
			return err
		}
	}
	f.slab = nil
	if f.begin < f.end {
		f.slab = f.buffers.get(max(need, f.slabBytes))
		copy(f.slab.b, old.b[f.begin:f.end])
	}
	f.begin, f.end = 0, f.end-f.begin
	old.release()
	return nil
}

// reserve makes b count against the budget, and waits for its turn.
func (f *frames) reserve(b *buffer, bytes int64) error {
	taken, ok := f.buffers.budget.take(bytes, f.gone)
	if !ok {
		return errGone
	}
	b.reserved = taken
	return nil
}

// readLarge reads a frame that fits no slab into a buffer of its own.
func (f *frames) readLarge(size int) (frame []byte, held *buffer, err error) {
	f.large = f.buffers.get(min(size, trustBytesMax))
	got := copy(f.large.b, f.slab.b[f.begin+sizePrefix:f.end])
	f.begin = f.end
	if err := f.changeSlab(0); err != nil {
		return nil, nil, err
	}
	if err := f.reserve(f.large, int64(min(size, trustBytesMax))); err != nil {
		return nil, nil, err
	}
	for got < size {
		if got == len(f.large.b) {
			if err := f.grow(size); err != nil {
				return nil, nil, err
			}
		}
		f.into = f.large.b[got:min(size, len(f.large.b))]
		if err := f.read(); err != nil {
			return nil, nil, err
		}
		got += f.readBytes
	}
	return f.large.b[:size:size], f.large, nil
}

// grow moves what has arrived of a large frame to a buffer of twice the size. What was
// reserved is given back before more is asked for, so that no two connections wait
// for each other's part.
func (f *frames) grow(size int) error {
	b := f.large
	if b.reserved < int64(size) {
		f.buffers.budget.give(b.reserved)
		b.reserved = 0
		if err := f.reserve(b, int64(size)); err != nil {
			return err
		}
	}
	f.large = f.buffers.get(min(size, 2*len(b.b)))
	copy(f.large.b, b.b)
	f.large.reserved, b.reserved = b.reserved, 0
	b.release()
	return nil
}

// read waits for bytes and reads them. It sets readBytes, which is more than 0.
func (f *frames) read() error {
	if err := f.raw.Read(f.readFunc); err != nil {
		return err
	}
	if f.readErr != nil {
		return f.readErr
	}
	f.activity.Add(1)
	f.received.Add(int64(f.readBytes))
	return nil
}

// tryRead reads without waiting. It returns false if there is nothing yet.
func (f *frames) tryRead(fd uintptr) bool {
	newSlab := f.into == nil
	if newSlab {
		f.slab = f.buffers.get(f.slabBytes)
		f.begin, f.end, f.into = 0, 0, f.slab.b
	}
	n, err := unix.Read(int(fd), f.into)
	for err == unix.EINTR {
		n, err = unix.Read(int(fd), f.into)
	}
	if err == unix.EAGAIN {
		if newSlab {
			f.slab.release()
			f.slab, f.into = nil, nil
		}
		return false
	}
	if err == nil && n == 0 {
		err = io.EOF
	}
	f.readBytes, f.readErr = n, err
	return true
}
