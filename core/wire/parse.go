package wire

import (
	"encoding/binary"
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/invariant"
)

// Parse reads the body of a request whose header ParseHeader has read. Any error is
// an *Error, and means that the connection must be closed.
//
// A *ProduceRequest, a *FetchRequest and a *RaftRequest alias body; use their Parse
// methods to avoid the allocation of a new one. Any other request is a copy. An ApiVersions
// request of a version that is not served is empty but for its version.
func Parse(h *Header, body []byte) (Request, error) {
	switch h.Key {
	case apiKeyProduce:
		r := new(ProduceRequest)
		if err := r.Parse(h.Version, body); err != nil {
			return nil, err
		}
		return r, nil
	case apiKeyFetch:
		r := new(FetchRequest)
		if err := r.Parse(h.Version, body); err != nil {
			return nil, err
		}
		return r, nil
	case RaftKey:
		r := new(RaftRequest)
		if err := r.Parse(h.Version, body); err != nil {
			return nil, err
		}
		return r, nil
	}
	return parseKmsg(h, body)
}

func parseKmsg(h *Header, body []byte) (Request, error) {
	a := apiOf(h.Key)
	if a == nil {
		return nil, &Error{Reason: APIUnknown, Key: h.Key, Version: h.Version}
	}
	r := kmsg.RequestForKey(h.Key)
	r.SetVersion(h.Version)
	if h.Version < a.min || h.Version > a.max {
		if h.Key == apiKeyAPIVersions {
			return r, nil
		}
		return nil, &Error{Reason: APIVersionUnsupported, Key: h.Key, Version: h.Version}
	}
	// kmsg accepts trailing bytes, and makes room for as many array elements as
	// there are bytes left, and loops over as many tags as it is told. So it
	// only gets to see what has the right shape.
	if !a.fits(h.Version, body) {
		return nil, &Error{Reason: RequestMalformed, Key: h.Key, Version: h.Version}
	}
	if err := r.ReadFrom(body); err != nil {
		return nil, &Error{Reason: RequestMalformed, Key: h.Key, Version: h.Version}
	}
	return r, nil
}

// AppendResponse appends a whole frame, size prefix included, that answers the
// request with header h. Records of a *FetchResponse are copied from Records. A
// kmsg response has its version set to that of the request.
func AppendResponse(dst []byte, h *Header, r Response) []byte {
	start := len(dst)
	switch r := r.(type) {
	case *ProduceResponse:
		w := beginFrame(dst, h)
		r.append(&w, h.Version)
		return endFrame(w.b, start, 0)
	case *FetchResponse:
		w := beginFrame(dst, h)
		r.append(&w, h.Version)
		return endFrame(w.b, start, 0)
	case *RaftResponse:
		w := beginFrame(dst, h)
		return endFrame(w.b, start, 0)
	case kmsg.Response:
		invariant.True(r.Key() == h.Key, "a response answers its own request")
		setVersion(h, r)
		w := beginFrame(dst, h)
		return endFrame(r.AppendTo(w.b), start, 0)
	}
	invariant.Fail("%T is not a response", r)
	return nil
}

// setVersion leaves a response alone that has the right version already, so that it
// may be shared.
func setVersion(h *Header, r kmsg.Response) {
	if v := h.responseVersion(); r.GetVersion() != v {
		r.SetVersion(v)
	}
}

// endFrame sets the size of the frame that begins at start, which will be spliced
// bytes longer than it is now.
func endFrame(dst []byte, start, spliced int) []byte {
	size := len(dst) - start - sizePrefix + spliced
	invariant.True(size <= math.MaxInt32, "a response fits its size prefix")
	binary.BigEndian.PutUint32(dst[start:], uint32(size))
	return dst
}
