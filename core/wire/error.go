package wire

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Reason says what is wrong with a frame.
type Reason uint8

// The reasons to close a connection because of what it sent. None of them can be
// answered: the layout of a response would have to be guessed.
const (
	FrameSizeInvalid      Reason = iota + 1 // negative, or over the limit
	RequestMalformed                        // too short, too long, or against the schema
	APIUnknown                              // not an API of this broker
	APIVersionUnsupported                   // not a version this broker serves
	ResponseMalformed                       // too short, too long, or against the schema
)

// Error is why a frame cannot be served, and its connection must be closed.
type Error struct {
	Reason  Reason
	Key     int16 // of the request, where known
	Version int16
	Size    int32 // of the frame, if that is what is wrong
}

func (e *Error) Error() string {
	switch e.Reason {
	case FrameSizeInvalid:
		return fmt.Sprintf("frame size %d is out of range", e.Size)
	case RequestMalformed:
		return fmt.Sprintf("malformed %s request, version %d", kmsg.NameForKey(e.Key), e.Version)
	case ResponseMalformed:
		return fmt.Sprintf("malformed %s response, version %d", kmsg.NameForKey(e.Key), e.Version)
	case APIUnknown:
		return fmt.Sprintf("unknown api key %d, version %d", e.Key, e.Version)
	case APIVersionUnsupported:
		return fmt.Sprintf("unsupported version %d of %s", e.Version, kmsg.NameForKey(e.Key))
	}
	return fmt.Sprintf("unknown reason %d", e.Reason)
}
