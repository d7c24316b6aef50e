package realnet

import (
	"errors"
	"net"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/wire"
	netconf "github.com/heiban/heiban/netsim/conformance"
)

// The links that a node dials are held to what all connections are.
func TestLinkConformance(t *testing.T) {
	for _, check := range netconf.Suite() {
		t.Run(check.Name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, check.Run(&linkedHosts{realHosts: newRealHosts(t)}))
		})
	}
}

// linkedHosts has a network dial itself. Frames travel as those of realHosts.
type linkedHosts struct {
	*realHosts
	last core.LinkID
}

func (h *linkedHosts) Dial() (dialer, listener netconf.Conn, err error) {
	h.last++
	e := &linkEnd{
		hosts: h.realHosts, id: h.last, opened: make(chan struct{}), frames: make(chan []byte, 1000),
	}
	host, port, err := net.SplitHostPort(h.address)
	if err != nil {
		return nil, nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, nil, err
	}
	h.give(func(fx *core.Effects) {
		h.core.links[e.id] = e
		fx.Dials = append(fx.Dials, core.Dial{Link: e.id, Host: host, Port: int32(number)})
	})
	<-e.opened
	if errors.Is(e.err, syscall.ECONNREFUSED) {
		return nil, nil, netconf.ErrRefused
	}
	if e.err != nil {
		return nil, nil, e.err
	}
	for range answersOwed {
		e.request(kmsg.NewPtrDescribeClusterRequest(), "")
	}
	end := <-h.core.opened
	end.await(h.realHosts)
	return e, end, nil
}

// linkEnd is the dialer's end of a connection.
type linkEnd struct {
	hosts  *realHosts
	id     core.LinkID
	serial int32
	opened chan struct{} // closed once it is, or cannot be
	err    error         // why not; set before opened is closed
	frames chan []byte
	ended  sync.Once
}

// lost says that the link is gone. The driver's mutex is held.
func (e *linkEnd) lost(err error) {
	select {
	case <-e.opened:
		e.end()
	default:
		e.err = err
		close(e.opened)
	}
}

func (e *linkEnd) end() { e.ended.Do(func() { close(e.frames) }) }

func (e *linkEnd) request(r kmsg.Request, clientID string) {
	e.serial++
	e.hosts.give(func(fx *core.Effects) {
		fx.Sends = append(fx.Sends, core.LinkRequest{Link: e.id, Body: r, Header: wire.Header{
			ClientID: clientID, CorrelationID: e.serial, Key: r.Key(), Version: r.GetVersion(),
		}})
	})
}

func (e *linkEnd) Send(frame []byte) error {
	e.request(metadataRequest(), string(frame))
	return nil
}

func (e *linkEnd) Receive() ([]byte, error) {
	select {
	case frame, ok := <-e.frames:
		if !ok {
			return nil, netconf.ErrClosed
		}
		return frame, nil
	case <-time.After(patience):
		return nil, netconf.ErrSilent
	}
}

func (e *linkEnd) Close() error {
	e.hosts.give(func(fx *core.Effects) { fx.Hangups = append(fx.Hangups, e.id) })
	e.end()
	return nil
}

func (e *linkEnd) Reset() error {
	d := e.hosts.network.driver
	d.mu.Lock()
	p := d.peers[e.id]
	d.mu.Unlock()
	if err := p.socket.SetLinger(0); err != nil {
		return err
	}
	p.kill()
	return nil
}
