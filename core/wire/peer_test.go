package wire

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// What a node sends to another is what the other reads.

func reread(t require.TestingT, h *Header, r Request) Request {
	frame := AppendRequest(nil, h, r)
	size, err := FrameSize(frame, 1<<30)
	require.NoError(t, err)
	require.Len(t, frame, sizePrefix+int(size))
	var got Header
	body, err := ParseHeader(frame[sizePrefix:], &got)
	require.NoError(t, err)
	require.Equal(t, *h, got)
	request, err := Parse(&got, body)
	require.NoError(t, err)
	return request
}

func TestFetchRequestsAreReread(t *testing.T) {
	eachVersion(t, apiKeyFetch, func(t *rapid.T, version int16) {
		sent := FromKmsg(randomKmsg(t, apiKeyFetch, version)).(*FetchRequest)
		run, last := int32(-1), int32(-1) // topics without partitions are left out
		for i := range sent.Partitions {
			p := &sent.Partitions[i]
			if p.TopicRun != last {
				run, last = run+1, p.TopicRun
			}
			p.TopicRun = run
		}
		h := randomHeader(t, apiKeyFetch, version)
		require.Equal(t, sent, reread(t, h, sent))
		key, v := Identify(sent)
		require.Equal(t, [2]int16{apiKeyFetch, version}, [2]int16{key, v})
	})
}

func TestFetchResponsesAreReread(t *testing.T) {
	var reused FetchResponse
	eachVersion(t, apiKeyFetch, func(t *rapid.T, version int16) {
		sent := randomFetchResponse(t)
		h := randomHeader(t, apiKeyFetch, version)
		frame := AppendResponse(nil, h, sent)[sizePrefix:]
		correlationID, got, err := ParseResponse(h, frame)
		require.NoError(t, err)
		require.Equal(t, h.CorrelationID, correlationID)
		require.Equal(t, ToKmsg(h, sent), ToKmsg(h, got))

		// What was in the receiver leaves no trace.
		_, body, err := ParseResponseHeader(h, frame)
		require.NoError(t, err)
		require.NoError(t, reused.Parse(version, body))
		require.Equal(t, ToKmsg(h, got), ToKmsg(h, &reused))

		_, _, err = ParseResponse(h, append(frame, 0))
		require.Error(t, err, "a byte too many")
		_, _, err = ParseResponse(h, frame[:len(frame)-1])
		require.Error(t, err, "a byte too few")
	})
}

func TestRaftRequestsAreReread(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := &RaftRequest{
			ClusterID: randomString(t),
			Message:   rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "message"),
			From:      rapid.Int32Range(0, 1<<31-1).Draw(t, "from"),
		}
		key, version := Identify(sent)
		h := randomHeader(t, key, version)
		require.Equal(t, sent, reread(t, h, sent))
		frame := AppendResponse(nil, h, &RaftResponse{})[sizePrefix:]
		correlationID, resp, err := ParseResponse(h, frame)
		require.NoError(t, err)
		require.Equal(t, h.CorrelationID, correlationID)
		require.Equal(t, &RaftResponse{}, resp)
	})
}

func TestRaftIsNotListed(t *testing.T) {
	for r := range Versions() {
		require.NotEqual(t, int16(RaftKey), r.Key)
	}
	require.True(t, Supported(RaftKey, 0))
	require.False(t, Supported(RaftKey, 1))
}

// Requests of kmsg are those that a client would send.
func TestKmsgRequestsAreReread(t *testing.T) {
	for _, key := range []int16{3, 18, 19, 22, 60} {
		eachVersion(t, key, func(t *rapid.T, version int16) {
			k := kmsg.RequestForKey(key)
			k.SetVersion(version)
			h := &Header{ClientID: "node", CorrelationID: 7, Key: key, Version: version}
			require.Equal(t, encode(k, "node", 7), AppendRequest(nil, h, k)[sizePrefix:])
			resp := k.ResponseKind()
			frame := AppendResponse(nil, h, resp)[sizePrefix:]
			correlationID, got, err := ParseResponse(h, frame)
			require.NoError(t, err)
			require.Equal(t, int32(7), correlationID)
			require.Equal(t, ToKmsg(h, resp), got)
		})
	}
}

func TestResponsesThatCannotBeRead(t *testing.T) {
	for _, tt := range []struct {
		key, version int16
		frame        []byte
		want         Reason
	}{
		{apiKeyFetch, 17, nil, ResponseMalformed},
		{apiKeyFetch, 99, []byte{0, 0, 0, 1, 0}, APIVersionUnsupported},
		{9999, 0, []byte{0, 0, 0, 1}, APIUnknown},
		{RaftKey, 0, []byte{0, 0, 0, 1, 2}, ResponseMalformed},
		{19, 5, []byte{0, 0, 0, 1, 0, 1}, ResponseMalformed},
	} {
		_, resp, err := ParseResponse(&Header{Key: tt.key, Version: tt.version}, tt.frame)
		require.Nil(t, resp)
		var e *Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, tt.want, e.Reason)
		require.NotEmpty(t, e.Error())
	}
}

func FuzzParseFetchResponse(f *testing.F) {
	for v := apiOf(apiKeyFetch).min; v <= apiOf(apiKeyFetch).max; v++ {
		h := Header{Key: apiKeyFetch, Version: v}
		frame := AppendResponse(nil, &h, fetchResponse(2, 2, 10))[sizePrefix:]
		_, body, err := ParseResponseHeader(&h, frame)
		require.NoError(f, err)
		f.Add(v, body)
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		var r FetchResponse
		boundAllocation(t, body, func() {
			if r.Parse(version, body) != nil {
				return
			}
			var again FetchResponse
			h := Header{Key: apiKeyFetch, Version: version}
			_, body, err := ParseResponseHeader(&h, AppendResponse(nil, &h, &r)[sizePrefix:])
			require.NoError(t, err)
			require.NoError(t, again.Parse(version, body))
			require.Equal(t, ToKmsg(&h, &r), ToKmsg(&h, &again))
		})
	})
}

func FuzzParseRaft(f *testing.F) {
	f.Add([]byte{0, 1, 'c', 0, 0, 0, 1, 0, 0, 0, 2, 7, 7})
	f.Fuzz(func(t *testing.T, body []byte) {
		var r RaftRequest
		boundAllocation(t, body, func() {
			if r.Parse(0, body) != nil {
				return
			}
			h := Header{Key: RaftKey}
			require.Equal(t, &r, reread(t, &h, &r))
		})
	})
}

func TestHotPathsBetweenNodesDoNotAllocate(t *testing.T) {
	var dst []byte
	var r FetchResponse
	h := Header{ClientID: "broker-1-fetch", Key: apiKeyFetch, Version: 18}
	request, err := Parse(&h, func() []byte {
		body, err := ParseHeader(fetchFrame(18, 3, 5), &Header{})
		require.NoError(t, err)
		return body
	}())
	require.NoError(t, err)
	frame := AppendResponse(nil, &h, fetchResponse(3, 5, 1000))[sizePrefix:]
	require.Zero(t, testing.AllocsPerRun(20, func() {
		dst = AppendRequest(dst[:0], &h, request)
		_, body, err := ParseResponseHeader(&h, frame)
		if err != nil || r.Parse(18, body) != nil {
			panic("malformed")
		}
	}))
	require.Len(t, r.Partitions, 15)
}
