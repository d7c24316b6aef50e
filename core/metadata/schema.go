package metadata

import "encoding/binary"

func (r *RegisterBrokerRecord) appendBody(dst []byte) []byte {
	dst = appendInt32(dst, r.BrokerID)
	dst = appendBool(dst, r.IsMigratingZkBroker)
	dst = append(dst, r.IncarnationID[:]...)
	dst = appendInt64(dst, r.BrokerEpoch)
	dst = binary.AppendUvarint(dst, uint64(len(r.EndPoints))+1)
	for i := range r.EndPoints {
		e := &r.EndPoints[i]
		dst = appendString(dst, e.Name)
		dst = appendString(dst, e.Host)
		dst = appendInt16(dst, int16(e.Port))
		dst = appendInt16(dst, e.SecurityProtocol)
		dst = append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.Features))+1)
	for i := range r.Features {
		f := &r.Features[i]
		dst = appendString(dst, f.Name)
		dst = appendInt16(dst, f.MinSupportedVersion)
		dst = appendInt16(dst, f.MaxSupportedVersion)
		dst = append(dst, 0)
	}
	dst = appendNullableString(dst, r.Rack)
	dst = appendBool(dst, r.Fenced)
	dst = appendBool(dst, r.InControlledShutdown)
	var t tagger
	if len(r.LogDirs) > 0 {
		t.add(0, appendIDs(nil, r.LogDirs))
	}
	if r.CordonedLogDirs != nil {
		t.add(1, appendIDs(nil, r.CordonedLogDirs))
	}
	return t.appendTo(dst)
}

func (r *RegisterBrokerRecord) decodeBody(d *decoder, version int16) {
	r.BrokerID = d.int32()
	if version >= 2 {
		r.IsMigratingZkBroker = d.bool()
	}
	r.IncarnationID = d.id()
	r.BrokerEpoch = d.int64()
	r.EndPoints = notNull(d, decodeArray(d, 7, decodeEndpoint))
	r.Features = notNull(d, decodeArray(d, 6, decodeFeature))
	r.Rack = d.nullableString()
	r.Fenced = d.bool()
	if version >= 1 {
		r.InControlledShutdown = d.bool()
	}
	d.tags(func(tag uint64, value *decoder) bool {
		switch {
		case tag == 0 && version >= 3:
			r.LogDirs = notNull(value, value.ids())
		case tag == 1 && version >= 4:
			r.CordonedLogDirs = value.ids()
		default:
			return false
		}
		return true
	})
}

// decodeArray reads an array of structs that take size bytes or more.
func decodeArray[T any](d *decoder, size int, element func(*decoder) T) []T {
	n := d.count(size)
	if n < 0 {
		return nil
	}
	list := make([]T, n)
	for i := range list {
		list[i] = element(d)
	}
	return list
}

func decodeEndpoint(d *decoder) BrokerEndpoint {
	e := BrokerEndpoint{
		Name: d.string(), Host: d.string(), Port: uint16(d.int16()), SecurityProtocol: d.int16(),
	}
	d.tags(noTags)
	return e
}

func decodeFeature(d *decoder) BrokerFeature {
	f := BrokerFeature{
		Name: d.string(), MinSupportedVersion: d.int16(), MaxSupportedVersion: d.int16(),
	}
	d.tags(noTags)
	return f
}

func (r *UnregisterBrokerRecord) appendBody(dst []byte) []byte {
	dst = appendInt32(dst, r.BrokerID)
	dst = appendInt64(dst, r.BrokerEpoch)
	return append(dst, 0)
}

func (r *UnregisterBrokerRecord) decodeBody(d *decoder, _ int16) {
	r.BrokerID, r.BrokerEpoch = d.int32(), d.int64()
	d.tags(noTags)
}

func (r *TopicRecord) appendBody(dst []byte) []byte {
	dst = appendString(dst, r.Name)
	dst = append(dst, r.TopicID[:]...)
	return append(dst, 0)
}

func (r *TopicRecord) decodeBody(d *decoder, _ int16) {
	r.Name, r.TopicID = d.string(), d.id()
	d.tags(noTags)
}

func (r *PartitionRecord) appendBody(dst []byte) []byte {
	dst = appendInt32(dst, r.PartitionID)
	dst = append(dst, r.TopicID[:]...)
	dst = appendInt32s(dst, r.Replicas)
	dst = appendInt32s(dst, r.ISR)
	dst = appendInt32s(dst, r.RemovingReplicas)
	dst = appendInt32s(dst, r.AddingReplicas)
	dst = appendInt32(dst, r.Leader)
	dst = appendInt32(dst, r.LeaderEpoch)
	dst = appendInt32(dst, r.PartitionEpoch)
	dst = appendIDs(dst, r.Directories)
	var t tagger
	if r.LeaderRecoveryState != 0 {
		t.add(0, []byte{byte(r.LeaderRecoveryState)})
	}
	t.addInt32s(1, r.EligibleLeaderReplicas)
	t.addInt32s(2, r.LastKnownELR)
	return t.appendTo(dst)
}

func (r *PartitionRecord) decodeBody(d *decoder, version int16) {
	r.PartitionID, r.TopicID = d.int32(), d.id()
	r.Replicas = notNull(d, d.int32s())
	r.ISR = notNull(d, d.int32s())
	r.RemovingReplicas = notNull(d, d.int32s())
	r.AddingReplicas = notNull(d, d.int32s())
	r.Leader, r.LeaderEpoch, r.PartitionEpoch = d.int32(), d.int32(), d.int32()
	if version >= 1 {
		r.Directories = notNull(d, d.ids())
	}
	d.tags(func(tag uint64, value *decoder) bool {
		switch {
		case tag == 0:
			r.LeaderRecoveryState = value.int8()
		case tag == 1 && version >= 2:
			r.EligibleLeaderReplicas = value.int32s()
		case tag == 2 && version >= 2:
			r.LastKnownELR = value.int32s()
		default:
			return false
		}
		return true
	})
}

func (r *ConfigRecord) appendBody(dst []byte) []byte {
	dst = append(dst, byte(r.ResourceType))
	dst = appendString(dst, r.ResourceName)
	dst = appendString(dst, r.Name)
	dst = appendNullableString(dst, r.Value)
	return append(dst, 0)
}

func (r *ConfigRecord) decodeBody(d *decoder, _ int16) {
	r.ResourceType = ResourceType(d.int8())
	r.ResourceName, r.Name, r.Value = d.string(), d.string(), d.nullableString()
	d.tags(noTags)
}

func (r *PartitionChangeRecord) appendBody(dst []byte) []byte {
	dst = appendInt32(dst, r.PartitionID)
	dst = append(dst, r.TopicID[:]...)
	var t tagger
	t.addInt32s(0, r.ISR)
	if r.Leader != NoLeaderChange {
		t.add(1, appendInt32(nil, r.Leader))
	}
	t.addInt32s(2, r.Replicas)
	t.addInt32s(3, r.RemovingReplicas)
	t.addInt32s(4, r.AddingReplicas)
	if r.LeaderRecoveryState != NoRecoveryStateChange {
		t.add(5, []byte{byte(r.LeaderRecoveryState)})
	}
	t.addInt32s(6, r.EligibleLeaderReplicas)
	t.addInt32s(7, r.LastKnownELR)
	if r.Directories != nil {
		t.add(8, appendIDs(nil, r.Directories))
	}
	return t.appendTo(dst)
}

func (r *PartitionChangeRecord) decodeBody(d *decoder, version int16) {
	r.PartitionID, r.TopicID = d.int32(), d.id()
	d.tags(func(tag uint64, value *decoder) bool {
		switch {
		case tag == 0:
			r.ISR = value.int32s()
		case tag == 1:
			r.Leader = value.int32()
		case tag == 2:
			r.Replicas = value.int32s()
		case tag == 3:
			r.RemovingReplicas = value.int32s()
		case tag == 4:
			r.AddingReplicas = value.int32s()
		case tag == 5:
			r.LeaderRecoveryState = value.int8()
		case tag == 6 && version >= 2:
			r.EligibleLeaderReplicas = value.int32s()
		case tag == 7 && version >= 2:
			r.LastKnownELR = value.int32s()
		case tag == 8 && version >= 1:
			r.Directories = value.ids()
		default:
			return false
		}
		return true
	})
}

func (r *RemoveTopicRecord) appendBody(dst []byte) []byte {
	dst = append(dst, r.TopicID[:]...)
	return append(dst, 0)
}

func (r *RemoveTopicRecord) decodeBody(d *decoder, _ int16) {
	r.TopicID = d.id()
	d.tags(noTags)
}

func (r *FeatureLevelRecord) appendBody(dst []byte) []byte {
	dst = appendString(dst, r.Name)
	dst = appendInt16(dst, r.FeatureLevel)
	return append(dst, 0)
}

func (r *FeatureLevelRecord) decodeBody(d *decoder, _ int16) {
	r.Name, r.FeatureLevel = d.string(), d.int16()
	d.tags(noTags)
}

func (r *ProducerIDsRecord) appendBody(dst []byte) []byte {
	dst = appendInt32(dst, r.BrokerID)
	dst = appendInt64(dst, r.BrokerEpoch)
	dst = appendInt64(dst, r.NextProducerID)
	return append(dst, 0)
}

func (r *ProducerIDsRecord) decodeBody(d *decoder, _ int16) {
	r.BrokerID, r.BrokerEpoch, r.NextProducerID = d.int32(), d.int64(), d.int64()
	d.tags(noTags)
}

func (r *BrokerRegistrationChangeRecord) appendBody(dst []byte) []byte {
	dst = appendInt32(dst, r.BrokerID)
	dst = appendInt64(dst, r.BrokerEpoch)
	var t tagger
	if r.Fenced != 0 {
		t.add(0, []byte{byte(r.Fenced)})
	}
	if r.InControlledShutdown != 0 {
		t.add(1, []byte{byte(r.InControlledShutdown)})
	}
	if len(r.LogDirs) > 0 {
		t.add(2, appendIDs(nil, r.LogDirs))
	}
	if r.CordonedLogDirs != nil {
		t.add(3, appendIDs(nil, r.CordonedLogDirs))
	}
	return t.appendTo(dst)
}

func (r *BrokerRegistrationChangeRecord) decodeBody(d *decoder, version int16) {
	r.BrokerID, r.BrokerEpoch = d.int32(), d.int64()
	d.tags(func(tag uint64, value *decoder) bool {
		switch {
		case tag == 0:
			r.Fenced = value.int8()
		case tag == 1 && version >= 1:
			r.InControlledShutdown = value.int8()
		case tag == 2 && version >= 2:
			r.LogDirs = notNull(value, value.ids())
		case tag == 3 && version >= 3:
			r.CordonedLogDirs = value.ids()
		default:
			return false
		}
		return true
	})
}

func (*NoOpRecord) appendBody(dst []byte) []byte { return append(dst, 0) }

func (*NoOpRecord) decodeBody(d *decoder, _ int16) { d.tags(noTags) }

func (r *BeginTransactionRecord) appendBody(dst []byte) []byte { return appendText(dst, r.Name) }

func (r *BeginTransactionRecord) decodeBody(d *decoder, _ int16) { r.Name = d.text() }

func (*EndTransactionRecord) appendBody(dst []byte) []byte { return append(dst, 0) }

func (*EndTransactionRecord) decodeBody(d *decoder, _ int16) { d.tags(noTags) }

func (r *AbortTransactionRecord) appendBody(dst []byte) []byte { return appendText(dst, r.Reason) }

func (r *AbortTransactionRecord) decodeBody(d *decoder, _ int16) { r.Reason = d.text() }

func (r *ClearELRRecord) appendBody(dst []byte) []byte {
	return append(appendString(dst, r.TopicName), 0)
}

func (r *ClearELRRecord) decodeBody(d *decoder, _ int16) {
	r.TopicName = d.string()
	d.tags(noTags)
}

// appendText appends tagged fields that hold at most a string under tag 0.
func appendText(dst []byte, text *string) []byte {
	var t tagger
	if text != nil {
		t.add(0, appendString(nil, *text))
	}
	return t.appendTo(dst)
}

func (d *decoder) text() (text *string) {
	d.tags(func(tag uint64, value *decoder) bool {
		if tag != 0 {
			return false
		}
		text = value.nullableString()
		return true
	})
	return text
}
