package wire

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// encode gives a request's frame without its size prefix, as a client sends it.
func encode(r kmsg.Request, clientID string, correlationID int32) []byte {
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID))
	return f.AppendRequest(nil, r, correlationID)[sizePrefix:]
}

// body gives a request's frame without its header.
func body(r kmsg.Request) []byte {
	return r.AppendTo(nil)
}

// decode reads a whole frame as a client does, and checks its size and header.
func decode(t require.TestingT, frame []byte, h *Header) kmsg.Response {
	size, err := FrameSize(frame, 1<<30)
	require.NoError(t, err)
	require.Len(t, frame, sizePrefix+int(size))
	frame = frame[sizePrefix:]
	require.Equal(t, uint32(h.CorrelationID), binary.BigEndian.Uint32(frame))
	frame = frame[4:]
	r := kmsg.ResponseForKey(h.Key)
	r.SetVersion(h.responseVersion())
	if r.IsFlexible() && h.Key != apiKeyAPIVersions {
		require.Zero(t, frame[0])
		frame = frame[1:]
	}
	require.NoError(t, r.ReadFrom(frame))
	require.Equal(t, frame, r.AppendTo([]byte{}), "kmsg would write the same bytes")
	return r
}

// eachVersion runs a property for all versions of an API.
func eachVersion(t *testing.T, key int16, property func(t *rapid.T, version int16)) {
	t.Helper()
	a := apiOf(key)
	require.NotNil(t, a)
	for v := a.min; v <= a.max; v++ {
		t.Run(fmt.Sprintf("%s-v%d", kmsg.NameForKey(key), v), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { property(t, v) })
		})
	}
}

// hot are the APIs with walkers of their own.
var hot = []int16{apiKeyProduce, apiKeyFetch}

func TestWalkersReadWhatKmsgWrites(t *testing.T) {
	for _, key := range hot {
		reused := [2]Request{new(ProduceRequest), new(FetchRequest)}
		eachVersion(t, key, func(t *rapid.T, version int16) {
			sent := randomKmsg(t, key, version)
			b := body(sent)
			h := Header{Key: key, Version: version}
			got, err := Parse(&h, b)
			require.NoError(t, err)
			require.Equal(t, FromKmsg(sent), got)

			decoded := kmsg.RequestForKey(key)
			decoded.SetVersion(version)
			require.NoError(t, decoded.ReadFrom(b))
			require.Equal(t, FromKmsg(decoded), got)

			// What was in the receiver leaves no trace.
			switch r := reused[key].(type) {
			case *ProduceRequest:
				require.NoError(t, r.Parse(version, b))
				require.Equal(t, got.(*ProduceRequest).Partitions, nilIfEmpty(r.Partitions))
			case *FetchRequest:
				require.NoError(t, r.Parse(version, b))
				require.Equal(t, got.(*FetchRequest).Partitions, nilIfEmpty(r.Partitions))
				require.Equal(t, got.(*FetchRequest).Forgotten, nilIfEmpty(r.Forgotten))
			}
		})
	}
}

func nilIfEmpty[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}

func TestParseReadsWhatKmsgWrites(t *testing.T) {
	for a := range Versions() {
		if a.Key == apiKeyProduce || a.Key == apiKeyFetch {
			continue
		}
		eachVersion(t, a.Key, func(t *rapid.T, version int16) {
			sent := randomKmsg(t, a.Key, version)
			frame := encode(sent, "client", 7)
			var h Header
			b, err := ParseHeader(frame, &h)
			require.NoError(t, err)
			require.Equal(t, Header{"client", 7, a.Key, version}, h)
			require.Equal(t, sent.AppendTo([]byte{}), b)
			got, err := Parse(&h, b)
			require.NoError(t, err)
			decoded := kmsg.RequestForKey(a.Key)
			decoded.SetVersion(version)
			require.NoError(t, decoded.ReadFrom(b))
			require.Equal(t, decoded, got)
		})
	}
}

func TestParseRejectsWhatIsShortOrLong(t *testing.T) {
	for a := range Versions() {
		eachVersion(t, a.Key, func(t *rapid.T, version int16) {
			b := body(randomKmsg(t, a.Key, version))
			h := Header{Key: a.Key, Version: version}
			n := rapid.IntRange(0, len(b)).Draw(t, "n")
			if n < len(b) {
				requireReason(t, RequestMalformed, second(Parse(&h, b[:n:n])))
			}
			requireReason(t, RequestMalformed, second(Parse(&h, append(b, 0))))
		})
	}
}

func second[A, B any](_ A, b B) B { return b }

func requireReason(t require.TestingT, want Reason, err error) {
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, want, e.Reason, "%v", err)
}

func TestClientsReadOurProduceResponses(t *testing.T) {
	eachVersion(t, apiKeyProduce, func(t *rapid.T, version int16) {
		r := randomProduceResponse(t)
		h := randomHeader(t, apiKeyProduce, version)
		before := []byte("before")
		frame := AppendResponse(before, h, r)
		require.Equal(t, before, frame[:len(before)])
		require.Equal(t, ToKmsg(h, r), decode(t, frame[len(before):], h))
	})
}

func TestClientsReadOurFetchResponses(t *testing.T) {
	eachVersion(t, apiKeyFetch, func(t *rapid.T, version int16) {
		r := randomFetchResponse(t)
		h := randomHeader(t, apiKeyFetch, version)
		frame := AppendResponse(nil, h, r)
		require.Equal(t, ToKmsg(h, r), decode(t, frame, h))

		// Splicing the records in gives the same bytes.
		dst, cuts := r.AppendFrame([]byte("before"), h, []int{-1})
		require.Equal(t, -1, cuts[0])
		require.Equal(t, append([]byte("before"), frame...), splice(t, dst, r, cuts[1:]))
	})
}

func splice(t require.TestingT, dst []byte, r *FetchResponse, cuts []int) []byte {
	require.Len(t, cuts, len(r.Partitions))
	var spliced []byte
	from := 0
	for i, p := range r.Partitions {
		if p.Range.Len == 0 {
			continue
		}
		spliced = append(spliced, dst[from:cuts[i]]...)
		spliced = append(spliced, p.Records...)
		from = cuts[i]
	}
	return append(spliced, dst[from:]...)
}

func TestIncrementalResponsesLeaveOutWhatIsSilent(t *testing.T) {
	h := &Header{Key: apiKeyFetch, Version: 12}
	quiet := FetchedPartition{Topic: "a", DivergingEpoch: -1, LeaderEpoch: -1}
	changed, failed, full := quiet, quiet, quiet
	changed.Partition, changed.Changed = 1, true
	failed.Partition, failed.Err = 2, 6
	full.Partition, full.Records = 3, []byte("records")
	other := quiet
	other.Topic, other.TopicRun = "b", 1
	r := &FetchResponse{
		Partitions:  []FetchedPartition{quiet, changed, failed, quiet, full, other},
		Incremental: true,
	}
	got := decode(t, AppendResponse(nil, h, r), h).(*kmsg.FetchResponse)
	require.Len(t, got.Topics, 1)
	var partitions []int32
	for _, p := range got.Topics[0].Partitions {
		partitions = append(partitions, p.Partition)
	}
	require.Equal(t, []int32{1, 2, 3}, partitions)

	r.Incremental = false
	got = decode(t, AppendResponse(nil, h, r), h).(*kmsg.FetchResponse)
	require.Len(t, got.Topics, 2)
	require.Len(t, got.Topics[0].Partitions, 5)
}

func TestOtherResponses(t *testing.T) {
	h := &Header{Key: 3, Version: 9, CorrelationID: 5}
	r := kmsg.NewPtrMetadataResponse()
	r.Topics = append(r.Topics, kmsg.NewMetadataResponseTopic())
	r.Topics[0].Topic = kmsg.StringPtr("t")
	r.Topics[0].TopicID = TopicID{1} // from version 10
	got := decode(t, AppendResponse(nil, h, r), h).(*kmsg.MetadataResponse)
	require.Equal(t, int16(9), r.Version)
	require.Equal(t, "t", *got.Topics[0].Topic)
	require.Equal(t, got, ToKmsg(h, r))
	require.Zero(t, ToKmsg(h, r).(*kmsg.MetadataResponse).Topics[0].TopicID)
	require.Panics(t, func() { AppendResponse(nil, h, "no response") })
	require.Panics(t, func() { ToKmsg(h, "no response") })
	require.Panics(t, func() { AppendResponse(nil, h, kmsg.NewPtrListOffsetsResponse()) })
}

func TestFromKmsgLeavesOtherRequestsAlone(t *testing.T) {
	r := kmsg.NewPtrMetadataRequest()
	require.Same(t, r, FromKmsg(r))
}

func TestParseHeader(t *testing.T) {
	frame := encode(&kmsg.MetadataRequest{Version: 9}, "someone", -3)
	frame[len("..........someone")] = 1                               // a tagged field
	frame = append(frame[:len("..........someone")+1], 9, 2, 0, 0, 1) // of 2 bytes, and a body
	var h Header
	b, err := ParseHeader(frame, &h)
	require.NoError(t, err)
	require.Equal(t, Header{ClientID: "someone", CorrelationID: -3, Key: 3, Version: 9}, h)
	require.Equal(t, []byte{1}, b)

	frame[len("..........")] = 'S'
	require.Equal(t, "Someone", h.ClientID, "the client id aliases the frame")

	for n := range frame[:len(frame)-1] {
		_, err := ParseHeader(frame[:n], &h)
		requireReason(t, RequestMalformed, err)
	}
	null := []byte{0, 3, 0, 1, 0, 0, 0, 8, 0xff, 0xff}
	b, err = ParseHeader(null, &h)
	require.NoError(t, err)
	require.Empty(t, b)
	require.Equal(t, Header{CorrelationID: 8, Key: 3, Version: 1}, h)
}

func TestParseHeaderRefuses(t *testing.T) {
	for _, c := range []struct {
		want         Reason
		key, version int16
	}{
		{APIUnknown, -1, 0},
		{APIUnknown, 999, 0},
		{APIUnknown, 4, 0}, // LeaderAndIsr, gone in 4.0
		{APIVersionUnsupported, 0, 2},
		{APIVersionUnsupported, 0, 14},
		{APIVersionUnsupported, 1, 3},
		{APIVersionUnsupported, 3, -1},
	} {
		frame := binary.BigEndian.AppendUint16(nil, uint16(c.key))
		frame = binary.BigEndian.AppendUint16(frame, uint16(c.version))
		frame = append(frame, 0, 0, 0, 9, 0, 0)
		var h Header
		_, err := ParseHeader(frame, &h)
		requireReason(t, c.want, err)
		require.Equal(t, int32(9), h.CorrelationID)
		_, err = Parse(&h, nil)
		requireReason(t, c.want, err)
	}
	var e *Error
	require.ErrorAs(t, new(ProduceRequest).Parse(2, nil), &e)
	require.Equal(t, "unsupported version 2 of Produce", e.Error())
	require.ErrorAs(t, new(FetchRequest).Parse(19, nil), &e)
	require.Equal(t, "unsupported version 19 of Fetch", e.Error())
}

func TestErrors(t *testing.T) {
	require.EqualError(t, &Error{Reason: FrameSizeInvalid, Size: -1},
		"frame size -1 is out of range")
	require.EqualError(t, &Error{Reason: RequestMalformed, Key: 3, Version: 1},
		"malformed Metadata request, version 1")
	require.EqualError(t, &Error{Reason: APIUnknown, Key: 999}, "unknown api key 999, version 0")
	require.EqualError(t, &Error{}, "unknown reason 0")
}

func TestFrameSize(t *testing.T) {
	size, err := FrameSize([]byte{0, 0, 1, 0}, 256)
	require.NoError(t, err)
	require.Equal(t, int32(256), size)
	_, err = FrameSize([]byte{0, 0, 1, 1, 0}, 256)
	requireReason(t, FrameSizeInvalid, err)
	_, err = FrameSize([]byte{0xff, 0xff, 0xff, 0xff}, 256)
	requireReason(t, FrameSizeInvalid, err)
	_, err = FrameSize([]byte{0, 0, 1}, 256)
	requireReason(t, RequestMalformed, err)
}

func TestWalkersRefuseNullWhereTheSchemaHasNone(t *testing.T) {
	// version 9: no transactional id, acks, timeout, then topics: null
	b := []byte{0, 0, 1, 0, 0, 0, 0, 0, 0}
	requireReason(t, RequestMalformed, new(ProduceRequest).Parse(9, b))
	b[7] = 1 // none
	require.NoError(t, new(ProduceRequest).Parse(9, b))

	// The only negative length there is is -1: of a string, and of an array.
	b = []byte{0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	require.NoError(t, new(ProduceRequest).Parse(3, b))
	b[1] = 0xfe
	requireReason(t, RequestMalformed, new(ProduceRequest).Parse(3, b))
	h := Header{Key: 3, Version: 1}
	require.NoError(t, second(Parse(&h, []byte{0xff, 0xff, 0xff, 0xff})))
	requireReason(t, RequestMalformed, second(Parse(&h, []byte{0xff, 0xff, 0xff, 0xfe})))
}

func TestHostileTagCounts(t *testing.T) {
	// kmsg alone would loop 4 billion times over the tagged fields of this one.
	h := Header{Key: 60, Version: 0}
	requireReason(t, RequestMalformed, second(Parse(&h, []byte{0, 0xff, 0xff, 0xff, 0xff, 0xf})))
	// A varint of more than 32 bits is no length.
	requireReason(t, RequestMalformed, second(Parse(&h, []byte{0, 0xff, 0xff, 0xff, 0xff, 0x1f})))
}
