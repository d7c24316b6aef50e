package wire

import (
	"math"
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/log"
	_ "github.com/heiban/heiban/internal/repeatable"
)

// fill draws a value for every field of a kmsg struct but Version, whether or not
// the version has it. Tags that nobody knows are drawn as well.
func fill(t *rapid.T, v reflect.Value) {
	if tags, ok := v.Addr().Interface().(*kmsg.Tags); ok {
		for range rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "tags") {
			key := rapid.Uint32Range(100, 70_000).Draw(t, "tag")
			tags.Set(key, rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "value"))
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "Version" {
				fill(t, v.Field(i))
			}
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "present") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem())
		}
	case reflect.Slice:
		fillSlice(t, v)
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i))
		}
	case reflect.String:
		v.SetString(randomString(t))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int8:
		v.SetInt(int64(rapid.Int8().Draw(t, "int8")))
	case reflect.Int16:
		v.SetInt(int64(rapid.Int16().Draw(t, "int16")))
	case reflect.Int32:
		v.SetInt(int64(rapid.Int32().Draw(t, "int32")))
	case reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "int64"))
	case reflect.Uint16:
		v.SetUint(uint64(rapid.Uint16().Draw(t, "uint16")))
	case reflect.Uint8:
		v.SetUint(uint64(rapid.Byte().Draw(t, "byte")))
	default:
		t.Fatalf("no way to fill a %s", v.Type())
	}
}

func fillSlice(t *rapid.T, v reflect.Value) {
	n := rapid.IntRange(-1, 3).Draw(t, "length")
	if v.Type().Elem().Kind() == reflect.Uint8 {
		n = rapid.SampledFrom([]int{-1, 0, 1, 126, 127, 300}).Draw(t, "bytes")
	}
	if n < 0 {
		return // nil
	}
	v.Set(reflect.MakeSlice(v.Type(), n, n))
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return
	}
	for i := range n {
		fill(t, v.Index(i))
	}
}

// randomString has lengths around those where a compact length grows.
func randomString(t *rapid.T) string {
	n := rapid.SampledFrom([]int{0, 1, 2, 9, 126, 127, 128}).Draw(t, "string")
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + (i+n)%26)
	}
	return string(b)
}

// randomKmsg draws a request of a version.
func randomKmsg(t *rapid.T, key, version int16) kmsg.Request {
	r := kmsg.RequestForKey(key)
	fill(t, reflect.ValueOf(r).Elem())
	r.SetVersion(version)
	return r
}

func randomProduceResponse(t *rapid.T) *ProduceResponse {
	r := &ProduceResponse{
		ThrottleMillis: rapid.Int32().Draw(t, "throttle"),
		NodeEndpoints:  randomEndpoints(t),
	}
	for run := range int32(rapid.IntRange(0, 3).Draw(t, "topics")) {
		name, id := randomString(t), randomID(t)
		for range rapid.IntRange(1, 3).Draw(t, "partitions") {
			p := ProducedPartition{
				Topic:          name,
				TopicID:        id,
				TopicRun:       run,
				ErrorMessage:   randomString(t),
				BaseOffset:     rapid.Int64().Draw(t, "baseOffset"),
				LogAppendTime:  rapid.Int64().Draw(t, "logAppendTime"),
				LogStartOffset: rapid.Int64().Draw(t, "logStartOffset"),
				Partition:      rapid.Int32().Draw(t, "partition"),
				LeaderID:       rapid.Int32Range(-1, 9).Draw(t, "leaderID"),
				LeaderEpoch:    rapid.Int32Range(-1, 1).Draw(t, "leaderEpoch"),
				Err:            errcode.Code(rapid.Int16().Draw(t, "err")),
			}
			for range rapid.IntRange(0, 2).Draw(t, "recordErrors") {
				p.RecordErrors = append(p.RecordErrors, RecordError{
					Message: randomString(t),
					Index:   rapid.Int32().Draw(t, "index"),
				})
			}
			r.Partitions = append(r.Partitions, p)
		}
	}
	return r
}

func randomFetchResponse(t *rapid.T) *FetchResponse {
	r := &FetchResponse{
		ThrottleMillis: rapid.Int32().Draw(t, "throttle"),
		SessionID:      rapid.Int32().Draw(t, "session"),
		Err:            errcode.Code(rapid.Int16().Draw(t, "err")),
		Incremental:    rapid.Bool().Draw(t, "incremental"),
		NodeEndpoints:  randomEndpoints(t),
	}
	for run := range int32(rapid.IntRange(0, 4).Draw(t, "topics")) {
		name, id := randomString(t), randomID(t)
		for range rapid.IntRange(1, 3).Draw(t, "partitions") {
			p := randomFetchedPartition(t)
			p.Topic, p.TopicID, p.TopicRun = name, id, run
			r.Partitions = append(r.Partitions, p)
		}
	}
	return r
}

func randomFetchedPartition(t *rapid.T) FetchedPartition {
	p := FetchedPartition{
		HighWatermark:        rapid.Int64().Draw(t, "highWatermark"),
		LastStableOffset:     rapid.Int64().Draw(t, "lastStableOffset"),
		LogStartOffset:       rapid.Int64().Draw(t, "logStartOffset"),
		DivergingEndOffset:   rapid.Int64().Draw(t, "divergingEndOffset"),
		Partition:            rapid.Int32().Draw(t, "partition"),
		SnapshotEndOffset:    rapid.Int64Range(0, 1).Draw(t, "snapshotEndOffset"),
		SnapshotEpoch:        1,
		DivergingEpoch:       rapid.Int32Range(-1, 1).Draw(t, "divergingEpoch"),
		LeaderID:             rapid.Int32Range(-1, 9).Draw(t, "leaderID"),
		LeaderEpoch:          rapid.Int32Range(-1, 1).Draw(t, "leaderEpoch"),
		PreferredReadReplica: rapid.Int32().Draw(t, "preferredReadReplica"),
		Err:                  errcode.Code(rapid.Int16Range(0, 2).Draw(t, "err")),
		NullAborted:          rapid.Bool().Draw(t, "nullAborted"),
		Changed:              rapid.Bool().Draw(t, "changed"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "aborted") {
		p.Aborted = append(p.Aborted, AbortedTransaction{
			ProducerID:  rapid.Int64().Draw(t, "producerID"),
			FirstOffset: rapid.Int64().Draw(t, "firstOffset"),
		})
	}
	n := rapid.SampledFrom([]int{-1, 0, 1, 126, 127, 20_000}).Draw(t, "records")
	if n >= 0 {
		p.Records = make([]byte, n)
		for i := range p.Records {
			p.Records[i] = byte(i)
		}
	}
	p.Range = log.Range{Len: max(n, 0)}
	return p
}

func randomEndpoints(t *rapid.T) []NodeEndpoint {
	var endpoints []NodeEndpoint
	n := rapid.SampledFrom([]int{0, 0, 1, 2, 130}).Draw(t, "endpoints")
	for i := range n {
		endpoints = append(endpoints, NodeEndpoint{
			Host: randomString(t),
			Rack: randomString(t),
			Port: rapid.Int32().Draw(t, "port"),
			ID:   int32(i),
		})
	}
	return endpoints
}

func randomID(t *rapid.T) TopicID {
	return TopicID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "topicID"))
}

func randomHeader(t *rapid.T, key, version int16) *Header {
	return &Header{
		ClientID:      randomString(t),
		CorrelationID: rapid.Int32Range(math.MinInt32, math.MaxInt32).Draw(t, "correlationID"),
		Key:           key,
		Version:       version,
	}
}
