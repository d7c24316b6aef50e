package wire

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestVersions(t *testing.T) {
	last := int16(-1)
	for r := range Versions() {
		name := kmsg.NameForKey(r.Key)
		require.Greater(t, r.Key, last, "the order of keys")
		last = r.Key
		require.LessOrEqual(t, r.Max, kmsg.RequestForKey(r.Key).MaxVersion(), name)
		require.LessOrEqual(t, r.AdvertisedMin, r.Min, name)
		require.True(t, Supported(r.Key, r.Min), name)
		require.True(t, Supported(r.Key, r.Max), name)
		require.False(t, Supported(r.Key, r.Min-1), name)
		require.False(t, Supported(r.Key, r.Max+1), name)
		_, shaped := shapes[r.Key]
		require.NotEqual(t, r.Key == apiKeyProduce || r.Key == apiKeyFetch, shaped, name)
	}
	for range Versions() {
		break // an iteration may be left early
	}
	require.False(t, Supported(-1, 0))
	require.False(t, Supported(128, 0))
	require.False(t, Supported(4, 0))
}

func TestFlexibleVersionsAreKafkas(t *testing.T) {
	for key, want := range map[int16]int16{ // in any order
		0: 9, 1: 12, 2: 6, 3: 9, 8: 8, 9: 6, 10: 3, 11: 6, 12: 4, 13: 4, 14: 4, 15: 5, 16: 3, 18: 3, 19: 5, 20: 4, 21: 2, 22: 2, 23: 4, 32: 4, 33: 2,
		35: 2, 37: 2, 42: 2, 43: 2, 44: 1, 45: 0, 46: 0,
		47: 1<<15 - 1, 56: 0, 57: 0, 60: 0, 61: 0, 62: 0, 63: 0,
		64: 0, 67: 0, 73: 0, 74: 0, 75: 0,
	} {
		require.Equal(t, want, apiOf(key).flexibleFrom, kmsg.NameForKey(key))
	}
	require.Equal(t, int16(1<<15-1), flexibleFrom(17), "SaslHandshake never is")
}

func TestBrokenShapesPanic(t *testing.T) {
	for _, s := range []string{"int7", "{int8", "int8}", "int8/x"} {
		require.Panics(t, func() { parseShape(s) }, s)
	}
	require.Equal(t, int16(4), parseShape("int8/4")[0].max)
	require.Equal(t, int32(7), parseShape("int8 @7[uuid]")[1].tag)
}

// kmsg alone would make room for a billion directories.
func TestHostileTaggedFields(t *testing.T) {
	h := Header{Key: 63, Version: 1}
	b := body(&kmsg.BrokerHeartbeatRequest{Version: 1})
	require.NoError(t, second(Parse(&h, b)))
	b[len(b)-1] = 1
	for _, field := range [][]byte{
		{0, 5, 0xff, 0xff, 0xff, 0xff, 3},
		{0, 1, 0},    // null
		{0, 2, 1, 9}, // too long
		{1, 5, 0xff, 0xff, 0xff, 0xff, 3},
	} {
		requireReason(t, RequestMalformed, second(Parse(&h, append(b[:len(b):len(b)], field...))))
	}
	for _, field := range [][]byte{{0, 1, 1}, {1, 1, 0}, {9, 2, 1, 9}} {
		require.NoError(t, second(Parse(&h, append(b[:len(b):len(b)], field...))))
	}
}

var testFeatures = &Features{
	Supported: []SupportedFeature{
		{Name: "metadata.version", Min: 7, Max: 29},
		{Name: "group.version", Min: 0, Max: 1},
	},
	Finalized: []FinalizedFeature{{Name: "metadata.version", Level: 29}},
	Epoch:     42,
}

func TestAPIVersionsResponse(t *testing.T) {
	for version := range int16(5) {
		h := &Header{Key: apiKeyAPIVersions, Version: version, CorrelationID: 1}
		sent := NewAPIVersionsResponse(version, OnBroker, testFeatures)
		got := decode(t, AppendResponse(nil, h, sent), h).(*kmsg.ApiVersionsResponse)
		require.Zero(t, got.ErrorCode)
		require.Equal(t, keysOn(OnBroker), keysIn(got))
		require.Equal(t, int16(0), got.ApiKeys[0].MinVersion, "KAFKA-18659")
		require.Equal(t, int16(13), got.ApiKeys[0].MaxVersion)
		require.Equal(t, int16(4), got.ApiKeys[1].MinVersion)
		switch version {
		case 0, 1, 2:
			require.Empty(t, got.SupportedFeatures)
			require.Equal(t, int64(-1), got.FinalizedFeaturesEpoch)
		case 3:
			require.Len(t, got.SupportedFeatures, 1)
		case 4:
			require.Len(t, got.SupportedFeatures, 2)
		}
		if version >= 3 {
			require.Equal(t, int64(42), got.FinalizedFeaturesEpoch)
			require.Len(t, got.FinalizedFeatures, 1)
			require.Equal(t, int16(29), got.FinalizedFeatures[0].MaxVersionLevel)
		}
		require.Equal(t, got, ToKmsg(h, sent))
	}
}

// Kafka's schemas have these APIs on the listeners of controllers, and no others of ours.
func TestWhatControllersServe(t *testing.T) {
	resp := NewAPIVersionsResponse(4, OnController, testFeatures)
	require.Equal(t, keysOn(OnController), keysIn(resp))
	require.Equal(t, []int16{
		1, 18, 19, 20, 32, 33, 37, 43, 44, 45, 46, 55, 56, 57, 59, 60, 62, 63, 64, 67, 73, 80, 81,
	}, keysIn(resp))
	for _, key := range []int16{56, 59, 62, 63, 67, 73} {
		require.False(t, ServedOn(key, OnBroker), kmsg.NameForKey(key))
		require.True(t, ServedOn(key, OnController), kmsg.NameForKey(key))
	}
	require.False(t, ServedOn(0, OnController))
	require.False(t, ServedOn(99, OnController))
}

func keysOn(on Listeners) []int16 {
	var keys []int16
	for r := range Versions() {
		if ServedOn(r.Key, on) {
			keys = append(keys, r.Key)
		}
	}
	return keys
}

func keysIn(r *kmsg.ApiVersionsResponse) []int16 {
	var keys []int16
	for i := range r.ApiKeys {
		keys = append(keys, r.ApiKeys[i].ApiKey)
	}
	return keys
}

// A client from the future gets an answer it can read, with the version to use.
func TestAPIVersionsOfAnUnknownVersion(t *testing.T) {
	for _, version := range []int16{5, 99, -1} {
		frame := []byte{0, 18, byte(version >> 8), byte(version), 0, 0, 0, 77, 9, 9, 9}
		var h Header
		body, err := ParseHeader(frame, &h)
		require.NoError(t, err)
		require.Nil(t, body)
		require.Equal(t, int32(77), h.CorrelationID)
		r, err := Parse(&h, body)
		require.NoError(t, err)
		require.Equal(t, version, r.(*kmsg.ApiVersionsRequest).Version)

		sent := NewAPIVersionsResponse(version, OnBroker, testFeatures)
		require.Equal(t, []byte{
			0, 0, 0, 16, // size
			0, 0, 0, 77, // correlationId
			0, 35, // UNSUPPORTED_VERSION
			0, 0, 0, 1, // one API:
			0, 18, 0, 0, 0, 4,
		}, AppendResponse(nil, &h, sent))
	}
}
