package wire

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What parsing may allocate: so many bytes for each byte of input, and some more for
// what the runtime does meanwhile.
const (
	allocatedPerByteMax = 128
	allocatedSlack      = 256 << 10
)

func boundAllocation(t *testing.T, input []byte, f func()) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	limit := uint64(len(input)*allocatedPerByteMax + allocatedSlack)
	require.LessOrEqual(t, after.TotalAlloc-before.TotalAlloc, limit)
}

func FuzzParse(f *testing.F) {
	for r := range Versions() {
		for v := r.Min; v <= r.Max; v++ {
			k := kmsg.RequestForKey(r.Key)
			k.SetVersion(v)
			f.Add(encode(k, "client", 1))
		}
	}
	for v := apiOf(apiKeyProduce).min; v <= apiOf(apiKeyProduce).max; v++ {
		f.Add(produceFrame(v, 2, 2, 10))
	}
	for v := apiOf(apiKeyFetch).min; v <= apiOf(apiKeyFetch).max; v++ {
		f.Add(fetchFrame(v, 2, 2))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		boundAllocation(t, frame, func() {
			var h Header
			body, err := ParseHeader(frame, &h)
			if err != nil {
				return
			}
			r, err := Parse(&h, body)
			if err != nil {
				require.Nil(t, r)
				return
			}
			sameAsKmsg(t, &h, body, r)
		})
	})
}

// sameAsKmsg checks that kmsg agrees with a walker about what the walker accepts.
func sameAsKmsg(t *testing.T, h *Header, body []byte, r Request) {
	if h.Key != apiKeyProduce && h.Key != apiKeyFetch {
		return
	}
	if h.Key == apiKeyFetch && h.Version >= fetchFlexibleFrom && h.Version < 18 {
		return // kmsg reads tagged fields of later versions, which we skip
	}
	k := kmsg.RequestForKey(h.Key)
	k.SetVersion(h.Version)
	require.NoError(t, k.ReadFrom(body))
	require.Equal(t, FromKmsg(k), r)
}

func FuzzParseProduce(f *testing.F) {
	for v := apiOf(apiKeyProduce).min; v <= apiOf(apiKeyProduce).max; v++ {
		h := Header{}
		body, err := ParseHeader(produceFrame(v, 2, 2, 10), &h)
		require.NoError(f, err)
		f.Add(v, body)
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		var r ProduceRequest
		boundAllocation(t, body, func() {
			if r.Parse(version, body) == nil {
				sameAsKmsg(t, &Header{Key: apiKeyProduce, Version: version}, body, &r)
			}
		})
	})
}

func FuzzParseFetch(f *testing.F) {
	for v := apiOf(apiKeyFetch).min; v <= apiOf(apiKeyFetch).max; v++ {
		h := Header{}
		body, err := ParseHeader(fetchFrame(v, 2, 2), &h)
		require.NoError(f, err)
		f.Add(v, body)
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		var r FetchRequest
		boundAllocation(t, body, func() {
			if r.Parse(version, body) == nil {
				sameAsKmsg(t, &Header{Key: apiKeyFetch, Version: version}, body, &r)
			}
		})
	})
}
