package wire

import (
	"math"
	"strconv"
	"strings"

	"github.com/heiban/heiban/core/invariant"
)

// shapes are the layouts of the requests that kmsg reads, by key. They let a request
// be checked to its last byte before kmsg makes room for what it claims to hold.
//
//	int8 ...      a field of fixed size; bool is int8, uuid is 16 bytes
//	string        int16 length (flexible versions: compact), bytes
//	[int32]       an array of such fields
//	{int32 ...}   an array of structs; in flexible versions each ends in tagged fields
//	(int32 ...)?  a struct that may be null: int8, negative for null, then the fields
//	...?          may be null
//	.../2+ /2-5   in these versions only
//	@1...         a tagged field, of tag 1; in whatever version, as kmsg reads it
//
// Tagged fields that kmsg keeps unread are skipped.
var shapes = map[int16]string{
	2: "int32 int8/2+ {string {int32 int32/4+ int64}} int32/10+",      // ListOffsets
	3: "{uuid/10+ string/0-9 string?/10+}? bool/4+ bool/8-10 bool/8+", // Metadata
	// OffsetCommit
	8: "string int32/1+ string/1+ string?/7+ int64/2-4 " +
		"{string/0-9 uuid/10+ {int32 int64 int64/1 int32/6+ string?}}",
	// OffsetFetch
	9: "string/0-7 {string [int32]}?/0-7 " +
		"{string string?/9+ int32/9+ {string/8-9 uuid/10+ [int32]}?}/8+ bool/7+",
	10: "string/0-3 int8/1+ [string]/4+", // FindCoordinator
	// JoinGroup
	11: "string int32 int32/1+ string string?/5+ string {string [int8]} string?/8+",
	12: "string int32 string string?/3+",                   // Heartbeat
	13: "string string/0-2 {string string? string?/5+}/3+", // LeaveGroup
	// SyncGroup
	14: "string int32 string string?/3+ string?/5+ string?/5+ {string [int8]}",
	15: "[string] bool/3+",        // DescribeGroups
	16: "[string]/4+ [string]/5+", // ListGroups
	18: "string/3+ string/3+",     // ApiVersions
	// CreateTopics
	19: "{string int32 int16 {int32 [int32]} {string string?}} int32 bool",
	20: "[string]/1-5 {string? uuid}/6+ int32",     // DeleteTopics
	21: "{string {int32 int64}} int32",             // DeleteRecords
	22: "string? int32 int64/3+ int16/3+",          // InitProducerId
	23: "int32/3+ {string {int32 int32 int32}}",    // OffsetForLeaderEpoch
	32: "{int8 string [string]?} bool bool/3+",     // DescribeConfigs
	33: "{int8 string {string string?}} bool",      // AlterConfigs
	35: "{string [int32]}?",                        // DescribeLogDirs
	37: "{string int32 {[int32]}?} int32 bool",     // CreatePartitions
	42: "[string]",                                 // DeleteGroups
	43: "int8/1+ {string [int32]}? int32",          // ElectLeaders
	44: "{int8 string {string int8 string?}} bool", // IncrementalAlterConfigs
	// AlterPartitionReassignments
	45: "int32 bool/1+ {string {int32 [int32]?}}",
	46: "int32 {string [int32]}?", // ListPartitionReassignments
	47: "string {string {int32}}", // OffsetDelete
	55: "{string {int32}}",        // DescribeQuorum
	// AlterPartition
	56: "int32 int64 {uuid {int32 int32 [int32]/2 {int32 int64}/3+ int8 int32}}",
	57: "int32 {string int16 bool/0 int8/1+} bool/1+", // UpdateFeatures
	// FetchSnapshot
	59: "int32 int32 {string {int32 int32 (int64 int32) int64 @0uuid}} @0string?",
	60: "bool int8/1+ bool/2+", // DescribeCluster
	61: "{string [int32]}",     // DescribeProducers
	// BrokerRegistration
	62: "int32 string uuid {string string int16 int16} {string int16 int16} string? " +
		"bool/1+ [uuid]/2+ int64/3+",
	63: "int32 int64 int64 bool bool @0[uuid] @1[uuid]?", // BrokerHeartbeat
	64: "int32",                                          // UnregisterBroker
	67: "int32 int64",                                    // AllocateProducerIds
	// ConsumerGroupHeartbeat
	68: "string string int32 string? string? int32 [string]? string?/1+ string? {uuid [int32]}?",
	69: "[string] bool",                                  // ConsumerGroupDescribe
	73: "int32 int64 {uuid {uuid {int32}}}",              // AssignReplicasToDirs
	74: "[int8]/1+",                                      // ListConfigResources
	75: "{string} int32 (string int32)?",                 // DescribeTopicPartitions
	80: "string? int32 int32 uuid {string string int16}", // AddRaftVoter
	81: "string? int32 uuid",                             // RemoveRaftVoter
}

type fieldKind uint8

const (
	fixedField  fieldKind = iota
	stringField           // with its length
	arrayField            // of elements without tagged fields
	structField           // with its tagged fields
)

// field is one field of a shape.
type field struct {
	inner    []field // of a struct; of an array, its one element
	size     int     // of a fixed field, in bytes
	min      int16   // version
	max      int16   // version
	tag      int32   // untagged, or the field's tag
	kind     fieldKind
	nullable bool
}

// untagged is the tag of fields that have none.
const untagged = -1

// fits says whether body is a request of this API, from its first byte to its last.
func (a *api) fits(version int16, body []byte) bool {
	r := reader{b: body, flexible: version >= a.flexibleFrom}
	skipStruct(&r, a.shape, version)
	return r.end()
}

func skipStruct(r *reader, fields []field, version int16) {
	tagged := len(fields)
	for i := range fields {
		f := &fields[i]
		if f.tag != untagged {
			tagged = i // these come last
			break
		}
		if version >= f.min && version <= f.max {
			f.skip(r, version)
		}
	}
	if tagged == len(fields) {
		r.skipTags()
		return
	}
	for n := r.tagCount(); n > 0; n-- {
		key, inner := r.tag()
		for i := tagged; i < len(fields); i++ {
			if uint32(fields[i].tag) == key {
				fields[i].skip(&inner, version)
				r.endTag(&inner)
			}
		}
	}
}

func (f *field) skip(r *reader, version int16) {
	switch f.kind {
	case fixedField:
		r.span(f.size)
	case stringField:
		if n := r.stringLength(); n >= 0 || !f.nullable {
			r.span(n)
		}
	case arrayField:
		f.skipArray(r, version)
	case structField:
		if f.nullable && r.int8() < 0 {
			return
		}
		skipStruct(r, f.inner, version)
	}
}

func (f *field) skipArray(r *reader, version int16) {
	n := r.wideLength()
	if n < 0 && f.nullable {
		return
	}
	if n < 0 || n > len(r.b) { // every element takes a byte or more
		r.fail()
		return
	}
	for element := &f.inner[0]; n > 0 && !r.bad; n-- {
		element.skip(r, version)
	}
}

// shapeParser reads the notation of shapes.
type shapeParser struct{ rest string }

func parseShape(s string) []field {
	p := shapeParser{rest: s}
	fields := p.fields("")
	invariant.True(p.rest == "", "a shape is read to its end")
	return fields
}

// fields reads fields up to the given bracket, which it takes.
func (p *shapeParser) fields(end string) []field {
	var fields []field
	for p.rest = strings.TrimSpace(p.rest); p.rest != ""; p.rest = strings.TrimSpace(p.rest) {
		if end != "" && p.take(end) {
			return fields
		}
		fields = append(fields, p.field())
	}
	invariant.True(end == "", "the brackets of a shape match")
	return fields
}

func (p *shapeParser) take(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	p.rest = rest
	return ok
}

func (p *shapeParser) field() field {
	tag := int32(untagged)
	if p.take("@") {
		tag = int32(p.number())
	}
	f := p.bare()
	f.tag, f.nullable = tag, p.take("?")
	f.min, f.max = 0, math.MaxInt16
	if p.take("/") {
		f.min = p.number()
		switch {
		case p.take("+"):
		case p.take("-"):
			f.max = p.number()
		default:
			f.max = f.min
		}
	}
	return f
}

// bare reads a field without what may stand behind it.
func (p *shapeParser) bare() field {
	switch {
	case p.take("["):
		return field{kind: arrayField, inner: p.fields("]")}
	case p.take("{"):
		element := p.fields("}")
		return field{kind: arrayField, inner: []field{{
			kind:  structField,
			inner: element,
			max:   math.MaxInt16,
			tag:   untagged,
		}}}
	case p.take("("):
		return field{kind: structField, inner: p.fields(")")}
	case p.take("string"):
		return field{kind: stringField}
	case p.take("uuid"):
		return field{kind: fixedField, size: 16}
	case p.take("bool"), p.take("int8"):
		return field{kind: fixedField, size: 1}
	case p.take("int16"):
		return field{kind: fixedField, size: 2}
	case p.take("int32"):
		return field{kind: fixedField, size: 4}
	case p.take("int64"):
		return field{kind: fixedField, size: 8}
	}
	invariant.Fail("a shape has no type %q", p.rest)
	return field{}
}

func (p *shapeParser) number() int16 {
	end := strings.IndexFunc(p.rest, func(c rune) bool { return c < '0' || c > '9' })
	if end < 0 {
		end = len(p.rest)
	}
	v, err := strconv.ParseInt(p.rest[:end], 10, 16)
	invariant.True(err == nil, "the versions and tags of a shape are numbers")
	p.rest = p.rest[end:]
	return int16(v)
}
