package log

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/batch"
)

// A producer snapshot, Kafka's .snapshot file of version 1, holds the producers at
// the offset in its name. Of a producer's batches it keeps the last one.
//
//	off len field
//	  0   2 version
//	  2   4 CRC-32C of all that follows
//	  6   4 number of entries
//	 10  46 per entry:
//	      0   8 producerId              26   8 timestamp
//	      8   2 producerEpoch           34   4 coordinatorEpoch
//	     10   4 lastSequence            38   8 currentTxnFirstOffset
//	     14   8 lastOffset
//	     22   4 offsetDelta
const (
	snapshotVersion    = 1
	snapshotHeaderSize = 10
	snapshotEntrySize  = 46
)

// castagnoli is the table of the CRC that Kafka uses in all its files.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// snapshot encodes the producers, by id.
func (p *producers) snapshot() []byte {
	be := binary.BigEndian
	data := make([]byte, 0, snapshotHeaderSize+len(p.byID)*snapshotEntrySize)
	data = be.AppendUint16(data, snapshotVersion)
	data = be.AppendUint32(data, 0)
	data = be.AppendUint32(data, uint32(len(p.byID)))
	for _, id := range p.ids() {
		e := p.byID[id]
		b := producerBatch{lastOffset: noOffset, lastSequence: batch.NoSequence}
		if last := e.last(); last != nil {
			b = *last
		}
		data = be.AppendUint64(data, uint64(id))
		data = be.AppendUint16(data, uint16(e.epoch))
		data = be.AppendUint32(data, uint32(b.lastSequence))
		data = be.AppendUint64(data, uint64(b.lastOffset))
		data = be.AppendUint32(data, uint32(b.offsetDelta))
		data = be.AppendUint64(data, uint64(e.lastTimestamp))
		data = be.AppendUint32(data, uint32(e.coordinatorEpoch))
		data = be.AppendUint64(data, uint64(e.currentTxnFirstOffset))
	}
	be.PutUint32(data[2:], crc32.Checksum(data[6:], castagnoli))
	return data
}

// loadSnapshot replaces the state by the one in a snapshot, without the producers
// that have expired by now. After an error the state is as it was.
func (p *producers) loadSnapshot(data []byte, now clock.Wall) error {
	if err := checkSnapshot(data); err != nil {
		return err
	}
	p.reset()
	be := binary.BigEndian
	for at := snapshotHeaderSize; at < len(data); at += snapshotEntrySize {
		d := data[at : at+snapshotEntrySize]
		e := &producerEntry{
			epoch:                 int16(be.Uint16(d[8:])),
			lastTimestamp:         int64(be.Uint64(d[26:])),
			coordinatorEpoch:      int32(be.Uint32(d[34:])),
			currentTxnFirstOffset: max(int64(be.Uint64(d[38:])), noOffset),
		}
		b := producerBatch{
			lastSequence: int32(be.Uint32(d[10:])),
			lastOffset:   int64(be.Uint64(d[14:])),
			offsetDelta:  int32(be.Uint32(d[22:])),
			timestamp:    e.lastTimestamp,
		}
		if b.lastOffset >= 0 {
			e.add(b)
		}
		if p.expired(e, now) {
			continue
		}
		id := int64(be.Uint64(d))
		p.byID[id] = e
		if first := e.currentTxnFirstOffset; first != noOffset {
			p.ongoing = append(p.ongoing, openTxn{
				firstOffset: first, lastOffset: noOffset, producerID: id,
			})
		}
	}
	slices.SortFunc(p.ongoing, func(a, b openTxn) int {
		return cmp.Or(cmp.Compare(a.firstOffset, b.firstOffset),
			cmp.Compare(a.producerID, b.producerID))
	})
	return nil
}

func checkSnapshot(data []byte) error {
	be := binary.BigEndian
	if len(data) < snapshotHeaderSize {
		return fmt.Errorf("producer snapshot of %d bytes is cut off", len(data))
	}
	if v := be.Uint16(data); v != snapshotVersion {
		return fmt.Errorf("producer snapshot has unknown version %d", v)
	}
	stored, computed := be.Uint32(data[2:]), crc32.Checksum(data[6:], castagnoli)
	if stored != computed {
		return fmt.Errorf("producer snapshot has CRC %08x and its content %08x", stored, computed)
	}
	entries := int64(be.Uint32(data[6:]))
	if int64(len(data)) != snapshotHeaderSize+entries*snapshotEntrySize {
		return fmt.Errorf("producer snapshot of %d bytes claims %d entries", len(data), entries)
	}
	return nil
}
