//go:build linux

package realnet

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/heiban/heiban/core/log"
)

// BenchmarkSendRecords compares the ways to send a run of a cached file behind a
// header, over loopback to a reader that discards.
func BenchmarkSendRecords(b *testing.B) {
	const fileBytes = 64 << 20
	path := filepath.Join(b.TempDir(), "segment")
	require.NoError(b, os.WriteFile(path, make([]byte, fileBytes), 0o644))
	ref := log.FileRef{ID: 1, Path: path}
	header := make([]byte, 60)
	for _, size := range []int{16 << 10, 100 << 10, 1 << 20} {
		hs := newHandles(4, 4)
		h := hs.take(ref)
		file, err := hs.descriptor(h, forReading)
		require.NoError(b, err)
		scratch := make([]byte, size)
		ways := map[string]func(fd int, pos int64) error{
			"mapped": func(fd int, pos int64) error {
				m, bytes, err := hs.pin(ref, pos, size)
				if err != nil {
					return err
				}
				defer hs.unpin(m)
				return sendAll(fd, header, bytes)
			},
			"sendfile": func(fd int, pos int64) error {
				if err := unix.Send(fd, header, unix.MSG_MORE); err != nil {
					return err
				}
				return sendFile(fd, file, pos, size)
			},
			"pread": func(fd int, pos int64) error {
				if _, err := readAt(file, scratch, pos); err != nil {
					return err
				}
				return sendAll(fd, header, scratch)
			},
		}
		for _, name := range []string{"mapped", "sendfile", "pread"} {
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) {
				fd := discardingPeer(b)
				b.SetBytes(int64(size))
				pos := int64(0)
				for b.Loop() {
					require.NoError(b, ways[name](fd, pos))
					pos = (pos + int64(size)) % (fileBytes - int64(size))
				}
			})
		}
		hs.drop(h)
		hs.close()
	}
}

func sendAll(fd int, bufs ...[]byte) error {
	for len(bufs) > 0 {
		n, err := writev(fd, bufs)
		if err != nil {
			return err
		}
		bufs = advance(bufs, n)
	}
	return nil
}

func sendFile(fd, file int, pos int64, size int) error {
	for size > 0 {
		n, err := unix.Sendfile(fd, file, &pos, size)
		if err != nil {
			return err
		}
		size -= n
	}
	return nil
}

// discardingPeer returns a blocking socket whose other end is read and discarded.
func discardingPeer(b *testing.B) int {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer ln.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		p := make([]byte, 256<<10)
		for err == nil {
			_, err = c.Read(p)
		}
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(b, err)
	file, err := c.(*net.TCPConn).File() // a blocking copy
	require.NoError(b, err)
	require.NoError(b, c.Close())
	fd := int(file.Fd())
	require.NoError(b, unix.SetNonblock(fd, false))
	b.Cleanup(func() {
		file.Close()
		<-done
	})
	return fd
}
