package wire

import "encoding/binary"

// sizePrefix is the length of the size before every frame.
const sizePrefix = 4

// FrameSize reads the size prefix of a frame from the first 4 bytes of b. The size
// does not count the prefix. Less than 0 and more than sizeMax is an *Error.
func FrameSize(b []byte, sizeMax int32) (int32, error) {
	if len(b) < sizePrefix {
		return 0, &Error{Reason: RequestMalformed}
	}
	size := int32(binary.BigEndian.Uint32(b))
	if size < 0 || size > sizeMax {
		return 0, &Error{Reason: FrameSizeInvalid, Size: size}
	}
	return size, nil
}

// ParseHeader reads the header of a frame, which comes without its size prefix, and
// returns the body of the request. Any error is an *Error. Whatever could be
// read of the header is set then as well.
//
//	request header v1                  v2 (flexible versions)
//	  2 apiKey                           as v1, with
//	  2 apiVersion                       . tagged fields
//	  4 correlationId
//	  2 clientId length, -1 for null
//	  . clientId
//
// ClientID and body alias frame: they hold for as long as the frame's owner leaves
// its bytes alone. Who keeps ClientID for longer clones it (strings.Clone). A null
// client id is an empty one, as in Kafka.
//
// ApiVersions requests of a version that is not served are no error, because the
// client is to learn the versions that are (KIP-511): their body is nil.
func ParseHeader(frame []byte, h *Header) (body []byte, err error) {
	*h = Header{}
	r := reader{b: frame}
	h.Key = r.int16()
	h.Version = r.int16()
	h.CorrelationID = r.int32()
	if r.bad {
		return nil, &Error{Reason: RequestMalformed, Key: h.Key, Version: h.Version}
	}
	a := apiOf(h.Key)
	if a == nil {
		return nil, &Error{Reason: APIUnknown, Key: h.Key, Version: h.Version}
	}
	supported := h.Version >= a.min && h.Version <= a.max
	if !supported && h.Key != apiKeyAPIVersions {
		return nil, &Error{Reason: APIVersionUnsupported, Key: h.Key, Version: h.Version}
	}
	h.ClientID, _ = r.nullString()
	r.flexible = h.Version >= a.flexibleFrom
	r.skipTags()
	if !supported {
		// The rest of a header of the future may be anything.
		return nil, nil
	}
	if r.bad {
		return nil, &Error{Reason: RequestMalformed, Key: h.Key, Version: h.Version}
	}
	return r.b, nil
}

// flexible says whether a message has the layout of KIP-482.
func (h *Header) flexible() bool {
	a := apiOf(h.Key)
	return a != nil && h.Version >= a.flexibleFrom
}

// responseVersion is the version in which h is answered. A client that asks for
// ApiVersions in a version we do not know gets version 0, which all clients know.
func (h *Header) responseVersion() int16 {
	if h.Key == apiKeyAPIVersions && !Supported(h.Key, h.Version) {
		return 0
	}
	return h.Version
}

// beginFrame appends a size prefix to be set by endFrame, and the response header.
//
//	response header v0                 v1 (flexible versions, but never ApiVersions)
//	  4 correlationId                    as v0, with
//	                                     . tagged fields
func beginFrame(dst []byte, h *Header) writer {
	w := writer{b: dst}
	w.int32(0)
	w.int32(h.CorrelationID)
	w.flexible = h.flexible()
	if h.Key != apiKeyAPIVersions {
		w.noTags()
	}
	return w
}
