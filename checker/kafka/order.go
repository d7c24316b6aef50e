package kafka

import (
	"fmt"
	"maps"
	"slices"
)

// version is what is known of one value of a key.
type version struct {
	value   int64
	send    *Op     // nil: nobody sent it
	acked   int64   // the offset that its acknowledgement told; NoOffset: none
	perhaps int64   // the offset that the client had been told when its operation failed
	offsets []int64 // where it stands, as polls and acknowledgements say, in order of discovery
	poll    *Op     // the first operation that polled it, however that ended
	read    *Op     // the first operation to end that polled it and is OK
}

// offset returns where the value stands, if that is certain.
func (v *version) offset() int64 {
	if len(v.offsets) != 1 {
		return NoOffset
	}
	return v.offsets[0]
}

// record returns the value where it stands.
func (v *version) record() Record {
	r := Record{Offset: NoOffset, Value: v.value}
	if len(v.offsets) > 0 {
		r.Offset = v.offsets[0]
	}
	return r
}

// keyLog is what is known of one key's log.
type keyLog struct {
	key      Key
	values   map[int64][]int64 // by offset; more than one contradict each other
	offsets  []int64           // of values, ascending: the order of versions
	versions map[int64]*version
	high     int64 // the highest offset that an operation polled that is OK
}

func (l *keyLog) version(value int64) *version {
	v := l.versions[value]
	if v == nil {
		v = &version{value: value, acked: NoOffset, perhaps: NoOffset}
		l.versions[value] = v
	}
	return v
}

// sorted returns the values in ascending order.
func (l *keyLog) sorted() []*version {
	all := make([]*version, 0, len(l.versions))
	for _, value := range slices.Sorted(maps.Keys(l.versions)) {
		all = append(all, l.versions[value])
	}
	return all
}

// polled takes in a record that was polled. A poll counts even if its operation failed:
// a consumer must never be shown what is not committed.
func (l *keyLog) polled(op *Op, r Record) {
	v := l.version(r.Value)
	if v.poll == nil {
		v.poll = op
	}
	if op.Type == OK && (v.read == nil || op.Done < v.read.Done) {
		v.read = op
	}
	if op.Type == OK {
		l.high = max(l.high, r.Offset)
	}
	l.stands(v, r.Offset)
}

func (l *keyLog) stands(v *version, offset int64) {
	if !slices.Contains(v.offsets, offset) {
		v.offsets = append(v.offsets, offset)
	}
	if !slices.Contains(l.values[offset], v.value) {
		l.values[offset] = append(l.values[offset], v.value)
	}
}

// placeSends adds what acknowledgements say to the order of versions, and fixes it.
// Unless acks=all was asked for they prove nothing but that the leader of the moment
// had the record. A send of unknown outcome counts if a value of its operation was read,
// for then it happened.
func (a *analysis) placeSends() {
	for _, k := range a.keys {
		l := a.logs[k]
		for _, v := range l.sorted() {
			a.counts.Seen += count(v.poll != nil)
			switch {
			case v.send == nil:
			case v.acked != NoOffset && a.config.AcksAll:
				l.stands(v, v.acked)
			case v.perhaps != NoOffset && v.send.Type == Info && v.read != nil:
				l.stands(v, v.perhaps)
			}
		}
		l.offsets = slices.Sorted(maps.Keys(l.values))
	}
}

// between returns a record with an offset above low and below high, if one is known and
// is not of an operation that is left out.
func (l *keyLog) between(low, high int64, except *Op) (Record, bool) {
	i, exact := slices.BinarySearch(l.offsets, low)
	if exact {
		i++
	}
	for ; i < len(l.offsets) && l.offsets[i] < high; i++ {
		value := l.values[l.offsets[i]][0]
		if v := l.versions[value]; except == nil || v.send != except {
			return Record{l.offsets[i], value}, true
		}
	}
	return Record{}, false
}

// witnesses returns the operations that prove that a value stands somewhere.
func (v *version) witnesses() []*Op {
	var ops []*Op
	for _, op := range []*Op{v.send, v.poll} {
		if op != nil {
			ops = append(ops, op)
		}
	}
	return ops
}

// proof returns one operation that proves that a value stands somewhere.
func (v *version) proof() *Op {
	if v.acked != NoOffset && v.acked == v.standing() || v.poll == nil {
		return v.send
	}
	return v.poll
}

// checkOffsets looks for offsets with several values and values with several offsets.
func (a *analysis) checkOffsets() {
	for _, k := range a.keys {
		l := a.logs[k]
		for _, offset := range l.offsets {
			values := l.values[offset]
			if len(values) == 1 {
				continue
			}
			w := Witness{Key: k, Text: fmt.Sprintf("offset %d of %s has the values %d", offset, k,
				values)}
			for _, value := range values {
				w.Records = append(w.Records, Record{offset, value})
				w.Ops = append(w.Ops, a.saying(l.versions[value], k, offset)...)
			}
			a.report(InconsistentOffsets, w)
		}
		for _, v := range l.sorted() {
			if len(v.offsets) == 1 || len(v.offsets) == 0 {
				continue
			}
			w := Witness{Key: k, Text: fmt.Sprintf("value %d of %s is at the offsets %d", v.value, k,
				v.offsets)}
			for _, offset := range v.offsets {
				w.Records = append(w.Records, Record{offset, v.value})
				w.Ops = append(w.Ops, a.saying(v, k, offset)...)
			}
			a.report(Duplicate, w)
		}
	}
}

// saying returns the first operation that says that a value stands at an offset. It is
// not looked for once there are witnesses enough.
func (a *analysis) saying(v *version, key Key, offset int64) []*Op {
	if a.said++; a.said > 64*witnessesMax {
		return nil
	}
	if v.send != nil && v.acked == offset {
		return []*Op{v.send}
	}
	for _, op := range a.ops {
		for i := range op.Mops {
			for _, p := range op.Mops[i].Polled {
				if p.Key == key && slices.Contains(p.Records, Record{offset, v.value}) {
					return []*Op{op}
				}
			}
		}
	}
	return nil
}
