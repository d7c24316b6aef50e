package checker

import (
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	_ "github.com/heiban/heiban/internal/repeatable"
)

// encode writes a batch with the encoder of another project.
func encode(base int64, records ...Record) []byte {
	b := kmsg.NewRecordBatch()
	b.FirstOffset, b.Magic, b.PartitionLeaderEpoch = base, 2, 3
	b.LastOffsetDelta, b.NumRecords = int32(len(records)-1), int32(len(records))
	b.FirstTimestamp, b.MaxTimestamp = 1000, 1000
	b.ProducerID, b.ProducerEpoch, b.FirstSequence = 9, 4, 17
	for i, r := range records {
		record := kmsg.Record{
			OffsetDelta: int32(i), TimestampDelta64: r.Timestamp - 1000, Key: r.Key, Value: r.Value,
		}
		// What stands before the body is a length of one byte, which is not counted.
		record.Length = int32(len(record.AppendTo(nil))) - 1
		b.Records = record.AppendTo(b.Records)
	}
	b.Length = int32(49 + len(b.Records))
	data := b.AppendTo(nil)
	crc := crc32.Checksum(data[21:], crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(data[17:], crc)
	return data
}

func TestParseBatch(t *testing.T) {
	want := []Record{
		{Key: []byte("k"), Value: []byte("v"), Offset: 5, Timestamp: 1000},
		{Key: nil, Value: []byte{}, Offset: 6, Timestamp: 1007},
		{Key: []byte("k"), Value: nil, Offset: 7, Timestamp: 999},
	}
	data := encode(5, want...)
	b, block, size, err := ParseBatch(append(data, 1, 2, 3))
	require.NoError(t, err)
	require.Equal(t, len(data), size)
	require.Equal(t, Batch{
		BaseOffset: 5, EndOffset: 8, MaxTimestamp: 1000, ProducerID: 9, Hash: Hash(data[21:]),
		LeaderEpoch: 3, BaseSequence: 17, RecordCount: 3, ProducerEpoch: 4,
	}, b)
	require.False(t, b.Control())
	require.Zero(t, b.Codec())
	got, err := ParseRecords(&b, BaseTimestamp(data), block)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestParseBatchRefuses(t *testing.T) {
	good := encode(0, Record{Value: []byte("value"), Timestamp: 1000})
	for pos := 16; pos < len(good); pos++ {
		data := append([]byte(nil), good...)
		data[pos] ^= 0x10
		_, _, _, err := ParseBatch(data)
		require.Error(t, err, "byte %d", pos)
	}
	for n := range good {
		_, _, _, err := ParseBatch(good[:n])
		require.ErrorIs(t, err, errShort)
	}
}

func TestParseRecordsNeverPanics(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		block := rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(rt, "block")
		b := Batch{RecordCount: rapid.Int32Range(-1, 8).Draw(rt, "count")}
		records, err := ParseRecords(&b, 0, block)
		if err == nil {
			require.Len(rt, records, int(b.RecordCount))
		}
	})
}

func TestHashes(t *testing.T) {
	require.NotEqual(t, RecordHash(nil, []byte{}), RecordHash(nil, nil))
	require.NotEqual(t, RecordHash([]byte("ab"), []byte("c")),
		RecordHash([]byte("a"), []byte("bc")))
	require.NotEqual(t, Hash([]byte{0}), Hash([]byte{0, 0}))
	require.Zero(t, KeyHash(nil))
	require.NotZero(t, KeyHash([]byte{}))
	require.Equal(t, Hash([]byte("0123456789")), Hash([]byte("0123456789")))
}
