package sim

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/invariant"
	"github.com/heiban/heiban/core/wire"
)

// packet is a request or a response on its way: as an object, or as bytes in wire
// mode and between nodes.
type packet struct {
	header  wire.Header // of the request, or of the request that is answered
	object  any         // wire.Request or kmsg.Response; nil in wire mode
	frame   []byte      // bytes: without size prefix
	records *buffer     // what frame is held in, or what object aliases
	size    int32       // about as many bytes as it would have on a wire; in both modes equal
	bad     bool        // no broker could parse it
}

// buffer holds the bytes of a request until the writes made of them are done.
type buffer struct {
	data []byte
	refs int32
}

// poison is what a buffer is filled with when it is given back, so that whoever
// kept a part of it is found out.
const poison = 0xdb

func (w *World) takeBuffer() *buffer {
	if n := len(w.buffers); n > 0 {
		b := w.buffers[n-1]
		w.buffers = w.buffers[:n-1]
		b.refs = 1
		return b
	}
	return &buffer{refs: 1}
}

// release gives up one reference to a buffer.
func (w *World) release(b *buffer) {
	if b == nil {
		return
	}
	b.refs--
	if b.refs > 0 {
		return
	}
	for i := range b.data {
		b.data[i] = poison
	}
	b.data = b.data[:0]
	w.buffers = append(w.buffers, b)
}

func (w *World) takePacket() *packet {
	if n := len(w.packets); n > 0 {
		p := w.packets[n-1]
		w.packets = w.packets[:n-1]
		return p
	}
	return new(packet)
}

func (w *World) dropPacket(p *packet) {
	*p = packet{}
	w.packets = append(w.packets, p)
}

// pack makes a packet of an actor's request, sharing nothing with it.
func (w *World) pack(req kmsg.Request, correlation int32, clientID string) *packet {
	p := w.takePacket()
	p.header = wire.Header{
		ClientID: clientID, CorrelationID: correlation,
		Key: req.Key(), Version: req.GetVersion(),
	}
	p.size = requestSize(req)
	if w.config.Wire {
		p.records = w.takeBuffer()
		f := kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID))
		p.records.data = f.AppendRequest(p.records.data[:0], req, correlation)
		p.frame = p.records.data[4:]
		return p
	}
	if !wire.Supported(p.header.Key, p.header.Version) && p.header.Key != apiVersionsKey {
		p.bad = true
		return p
	}
	switch req := req.(type) {
	case *kmsg.ProduceRequest:
		p.records = w.takeBuffer()
		produce := wire.FromKmsg(req).(*wire.ProduceRequest)
		p.records.copyRecords(produce)
		p.object = produce
	case *kmsg.FetchRequest:
		p.object = wire.FromKmsg(req)
	default:
		p.records = w.takeBuffer() // what is parsed may alias it
		p.records.data = req.AppendTo(p.records.data[:0])
		object, err := wire.Parse(&p.header, p.records.data)
		p.object, p.bad = object, err != nil
	}
	return p
}

const apiVersionsKey = 18

// copyRecords moves the records of a request into the buffer: the broker patches
// them in place.
func (b *buffer) copyRecords(r *wire.ProduceRequest) {
	need := 0
	for i := range r.Partitions {
		need += len(r.Partitions[i].Records)
	}
	if cap(b.data) < need {
		b.data = make([]byte, 0, max(need, 512))
	}
	for i := range r.Partitions {
		part := &r.Partitions[i]
		if part.Records == nil {
			continue
		}
		from := len(b.data)
		b.data = append(b.data, part.Records...)
		part.Records = b.data[from:len(b.data):len(b.data)]
	}
}

// unpackRequest returns the request that arrived, or false if the broker's end must
// close the connection.
func (w *World) unpackRequest(p *packet) (wire.Request, bool) {
	if p.bad {
		return nil, false
	}
	if p.frame == nil {
		return p.object, true
	}
	body, err := wire.ParseHeader(p.frame, &p.header)
	if err != nil {
		return nil, false
	}
	req, err := wire.Parse(&p.header, body)
	return req, err == nil
}

// packResponse makes a packet of a broker's response, sharing nothing that changes.
func (w *World) packResponse(h *wire.Header, r wire.Response) *packet {
	p := w.takePacket()
	p.header, p.size = *h, responseSize(r)
	if !w.config.Wire {
		p.object = wire.ToKmsg(h, r)
		return p
	}
	p.frame = wire.AppendResponse(nil, h, r)
	size, err := wire.FrameSize(p.frame, 1<<30)
	invariant.True(err == nil && int(size) == len(p.frame)-4, "a frame has its size before it")
	p.frame = p.frame[4:]
	return p
}

// packPeer makes a packet of a frame between two nodes. It is bytes in both modes: who
// receives it keeps no more of it than of what a socket brings.
func (w *World) packPeer(h *wire.Header, appendFrame func([]byte) []byte) *packet {
	p := w.takePacket()
	p.records = w.takeBuffer()
	p.records.data = appendFrame(p.records.data[:0])
	p.frame = p.records.data[4:]
	p.header, p.size = *h, int32(len(p.records.data))
	return p
}

// unpackResponse returns the response as a client decodes it.
func unpackResponse(p *packet) (resp kmsg.Response, correlation int32, err error) {
	if p.frame == nil {
		return p.object.(kmsg.Response), p.header.CorrelationID, nil
	}
	correlation = int32(binary.BigEndian.Uint32(p.frame))
	body := p.frame[4:]
	resp = kmsg.ResponseForKey(p.header.Key)
	resp.SetVersion(p.header.Version)
	if p.header.Key == apiVersionsKey && !wire.Supported(p.header.Key, p.header.Version) {
		resp.SetVersion(0)
	}
	if resp.IsFlexible() && p.header.Key != apiVersionsKey {
		body = body[1:] // no tags
	}
	return resp, correlation, resp.ReadFrom(body)
}

// requestSize is about the size of a request on a wire.
func requestSize(req kmsg.Request) int32 {
	size := 64
	switch req := req.(type) {
	case *kmsg.ProduceRequest:
		for i := range req.Topics {
			for j := range req.Topics[i].Partitions {
				size += 32 + len(req.Topics[i].Partitions[j].Records)
			}
		}
	case *kmsg.FetchRequest:
		for i := range req.Topics {
			size += 32 + 40*len(req.Topics[i].Partitions)
		}
	default:
		size = 128
	}
	return int32(size)
}

// responseSize is about the size of a response on a wire.
func responseSize(r wire.Response) int32 {
	size := 32
	switch r := r.(type) {
	case *wire.ProduceResponse:
		size += 48 * len(r.Partitions)
	case *wire.FetchResponse:
		for i := range r.Partitions {
			size += 64 + len(r.Partitions[i].Records)
		}
	default:
		size = 192
	}
	return int32(size)
}
