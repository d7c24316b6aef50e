package wire

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
)

// ApiVersions, key 18, versions 0 to 4. Version 3 brings the client's software name
// (KIP-511) and features (KIP-584), version 4 ranges that begin at 0 (KAFKA-17011).

// Features is the part of an ApiVersions response that is about features (KIP-584).
type Features struct {
	Supported []SupportedFeature
	Finalized []FinalizedFeature
	Epoch     int64 // of the finalized features, -1: unknown
}

// SupportedFeature is the range of levels a broker can work with, inclusive.
type SupportedFeature struct {
	Name string
	Min  int16
	Max  int16
}

// FinalizedFeature is the level a cluster works with.
type FinalizedFeature struct {
	Name  string
	Level int16
}

// NewAPIVersionsResponse answers an ApiVersions request of the given version, which came
// on a listener of a kind, with the APIs served there and all features. Up to version 3 a feature whose range begins at 0 is left
// out, because clients refuse it. A version that is not served gets
// UNSUPPORTED_VERSION, and the versions of ApiVersions itself (KIP-511).
func NewAPIVersionsResponse(
	version int16, on Listeners, features *Features,
) *kmsg.ApiVersionsResponse {
	r := kmsg.NewPtrApiVersionsResponse()
	if !Supported(apiKeyAPIVersions, version) {
		r.ErrorCode = int16(errcode.UnsupportedVersion)
		for v := range Versions() {
			if v.Key == apiKeyAPIVersions {
				r.ApiKeys = append(r.ApiKeys, v.toKmsg())
			}
		}
		return r
	}
	r.Version = version
	for v := range Versions() {
		if v.On&on != 0 {
			r.ApiKeys = append(r.ApiKeys, v.toKmsg())
		}
	}
	if version < 3 {
		return r
	}
	for _, f := range features.Supported {
		if f.Min == 0 && version < 4 {
			continue
		}
		k := kmsg.NewApiVersionsResponseSupportedFeature()
		k.Name, k.MinVersion, k.MaxVersion = f.Name, f.Min, f.Max
		r.SupportedFeatures = append(r.SupportedFeatures, k)
	}
	r.FinalizedFeaturesEpoch = features.Epoch
	for _, f := range features.Finalized {
		k := kmsg.NewApiVersionsResponseFinalizedFeature()
		k.Name, k.MaxVersionLevel, k.MinVersionLevel = f.Name, f.Level, f.Level
		r.FinalizedFeatures = append(r.FinalizedFeatures, k)
	}
	return r
}

func (r APIRange) toKmsg() kmsg.ApiVersionsResponseApiKey {
	k := kmsg.NewApiVersionsResponseApiKey()
	k.ApiKey, k.MinVersion, k.MaxVersion = r.Key, r.AdvertisedMin, r.Max
	return k
}
