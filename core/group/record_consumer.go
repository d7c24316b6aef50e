package group

import (
	"encoding/binary"

	"github.com/heiban/heiban/core/metadata"
)

// ConsumerGroupMetadata says which epoch a consumer group is at.
type ConsumerGroupMetadata struct {
	MetadataHash int64 // of the topics that are subscribed to (KIP-1101); 0: not known
	Epoch        int32
}

// ConsumerPartitionMetadata is what stood in the place of MetadataHash before KIP-1101.
// It is kept as it is, so that it can be removed.
type ConsumerPartitionMetadata struct{ Raw []byte }

// ConsumerMember says who a member of a consumer group is and what it wants.
type ConsumerMember struct {
	InstanceID             *string // nil: a dynamic member
	RackID                 *string
	SubscribedTopicRegex   *string
	ServerAssignor         *string        // nil: the group's choice
	Classic                *ClassicMember // nil: it uses the consumer protocol
	ClientID               string
	ClientHost             string
	SubscribedTopicNames   []string // sorted
	RebalanceTimeoutMillis int32
}

// ClassicMember is what is known besides of a member that uses the classic protocol.
type ClassicMember struct {
	Protocols            []Protocol
	SessionTimeoutMillis int32
}

// Protocol is a way to assign partitions that a member of a classic group understands.
type Protocol struct {
	Name     string
	Metadata []byte
}

// ConsumerTargetMetadata says up to which epoch of the group the target is computed.
type ConsumerTargetMetadata struct{ AssignmentEpoch int32 }

// ConsumerTargetMember says which partitions a member shall have.
type ConsumerTargetMember struct{ Partitions Assignment }

// ConsumerCurrent says which partitions a member has.
type ConsumerCurrent struct {
	Assigned            Assignment
	PendingRevocation   Assignment
	MemberEpoch         int32
	PreviousMemberEpoch int32
	State               MemberState
}

// ConsumerRegularExpression says which topics a regular expression matches.
type ConsumerRegularExpression struct {
	Topics    []string // sorted
	Version   int64    // the end of the metadata log that they were found in
	Timestamp int64
}

// AppendTo implements Value.
func (v *ConsumerGroupMetadata) AppendTo(dst []byte) []byte {
	dst = appendInt32(appendInt16(dst, 0), v.Epoch)
	if v.MetadataHash == 0 {
		return append(dst, 0)
	}
	return appendInt64(append(dst, 1, 0, 8), v.MetadataHash)
}

func (v *ConsumerGroupMetadata) decode(d *decoder) {
	v.Epoch = d.int32()
	d.tags(func(tag uint64, value *decoder) bool {
		if tag == 0 {
			v.MetadataHash = value.int64()
		}
		return tag == 0
	})
}

// AppendTo implements Value.
func (v *ConsumerPartitionMetadata) AppendTo(dst []byte) []byte { return append(dst, v.Raw...) }

// AppendTo implements Value.
func (v *ConsumerMember) AppendTo(dst []byte) []byte {
	dst = appendInt16(dst, 0)
	dst = appendNullableString(dst, v.InstanceID)
	dst = appendNullableString(dst, v.RackID)
	dst = appendString(dst, v.ClientID)
	dst = appendString(dst, v.ClientHost)
	dst = appendStrings(dst, v.SubscribedTopicNames)
	dst = appendNullableString(dst, v.SubscribedTopicRegex)
	dst = appendInt32(dst, v.RebalanceTimeoutMillis)
	dst = appendNullableString(dst, v.ServerAssignor)
	if v.Classic == nil {
		return append(dst, 0)
	}
	c := append([]byte(nil), 1) // not null
	c = appendInt32(c, v.Classic.SessionTimeoutMillis)
	c = appendLength(c, len(v.Classic.Protocols))
	for i := range v.Classic.Protocols {
		p := &v.Classic.Protocols[i]
		c = appendString(c, p.Name)
		c = append(appendLength(c, len(p.Metadata)), p.Metadata...)
		c = append(c, 0)
	}
	c = append(c, 0)
	dst = binary.AppendUvarint(append(dst, 1, 0), uint64(len(c)))
	return append(dst, c...)
}

func (v *ConsumerMember) decode(d *decoder) {
	v.InstanceID, v.RackID = d.nullableString(), d.nullableString()
	v.ClientID, v.ClientHost = d.string(), d.string()
	v.SubscribedTopicNames = d.strings()
	v.SubscribedTopicRegex = d.nullableString()
	v.RebalanceTimeoutMillis = d.int32()
	v.ServerAssignor = d.nullableString()
	d.tags(func(tag uint64, value *decoder) bool {
		if tag != 0 {
			return false
		}
		if value.int8() < 0 {
			return true
		}
		c := &ClassicMember{SessionTimeoutMillis: value.int32()}
		for n := value.count(3); n > 0; n-- {
			c.Protocols = append(c.Protocols,
				Protocol{Name: value.string(), Metadata: value.bytes()})
			value.tags(noTags)
		}
		value.tags(noTags)
		v.Classic = c
		return true
	})
}

// AppendTo implements Value.
func (v *ConsumerTargetMetadata) AppendTo(dst []byte) []byte {
	return append(appendInt32(appendInt16(dst, 0), v.AssignmentEpoch), 0)
}

func (v *ConsumerTargetMetadata) decode(d *decoder) {
	v.AssignmentEpoch = d.int32()
	d.tags(noTags)
}

// AppendTo implements Value.
func (v *ConsumerTargetMember) AppendTo(dst []byte) []byte {
	return append(appendAssignment(appendInt16(dst, 0), v.Partitions), 0)
}

func (v *ConsumerTargetMember) decode(d *decoder) {
	v.Partitions = d.assignment()
	d.tags(noTags)
}

// AppendTo implements Value.
func (v *ConsumerCurrent) AppendTo(dst []byte) []byte {
	dst = appendInt32(appendInt16(dst, 0), v.MemberEpoch)
	dst = append(appendInt32(dst, v.PreviousMemberEpoch), byte(v.State))
	dst = appendAssignment(dst, v.Assigned)
	return append(appendAssignment(dst, v.PendingRevocation), 0)
}

func (v *ConsumerCurrent) decode(d *decoder) {
	v.MemberEpoch, v.PreviousMemberEpoch = d.int32(), d.int32()
	v.State = MemberState(d.int8())
	v.Assigned, v.PendingRevocation = d.assignment(), d.assignment()
	d.tags(noTags)
}

// AppendTo implements Value.
func (v *ConsumerRegularExpression) AppendTo(dst []byte) []byte {
	dst = appendStrings(appendInt16(dst, 0), v.Topics)
	return append(appendInt64(appendInt64(dst, v.Version), v.Timestamp), 0)
}

func (v *ConsumerRegularExpression) decode(d *decoder) {
	v.Topics = d.strings()
	v.Version, v.Timestamp = d.int64(), d.int64()
	d.tags(noTags)
}

func appendLength(dst []byte, n int) []byte { return binary.AppendUvarint(dst, uint64(n)+1) }

func appendString(dst []byte, s string) []byte { return append(appendLength(dst, len(s)), s...) }

func appendNullableString(dst []byte, s *string) []byte {
	if s == nil {
		return append(dst, 0)
	}
	return appendString(dst, *s)
}

func appendStrings(dst []byte, list []string) []byte {
	dst = appendLength(dst, len(list))
	for _, s := range list {
		dst = appendString(dst, s)
	}
	return dst
}

func (d *decoder) strings() []string {
	var list []string
	for n := d.count(1); n > 0; n-- {
		list = append(list, d.string())
	}
	return list
}

// appendAssignment appends partitions, those of one topic together.
//
//	[ uuid topic | [ int32 partition ] | tagged fields ]
func appendAssignment(dst []byte, a Assignment) []byte {
	topics := 0
	for range a.topics() {
		topics++
	}
	dst = appendLength(dst, topics)
	for t := range a.topics() {
		dst = append(dst, t[0].Topic[:]...)
		dst = appendLength(dst, len(t))
		for _, p := range t {
			dst = appendInt32(dst, p.Index)
		}
		dst = append(dst, 0)
	}
	return dst
}

func (d *decoder) assignment() Assignment {
	var a Assignment
	for n := d.count(18); n > 0; n-- {
		var topic metadata.ID
		copy(topic[:], d.take(uint64(len(topic))))
		for m := d.count(4); m > 0; m-- {
			a = append(a, Partition{Topic: topic, Index: d.int32()})
		}
		d.tags(noTags)
	}
	return a.sorted()
}
