package group

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	_ "github.com/heiban/heiban/internal/repeatable"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	require.NoError(t, err)
	return b
}

func ptr[T any](v T) *T { return &v }

// goldens are records with the bytes that Kafka's schemas make of them, written by hand.
func goldens() map[string]struct {
	r          Record
	key, value string
} {
	topic := topicID(7)
	return map[string]struct {
		r          Record
		key, value string
	}{
		"offset": {
			Record{
				Key: Key{Type: OffsetCommitType, Group: "g", Name: "t", Partition: 3},
				Value: &kmsg.OffsetCommitValue{
					Version: 3, Offset: 42, LeaderEpoch: 5, Metadata: "m", CommitTimestamp: 9,
				},
			},
			"0001 0001 67 0001 74 00000003",
			"0003 000000000000002a 00000005 0001 6d 0000000000000009",
		},
		"offset that expires": {
			Record{
				Key: Key{Type: OffsetCommitType, Group: "g", Name: "t"},
				Value: &kmsg.OffsetCommitValue{
					Version: 1, Offset: 1, CommitTimestamp: 2, ExpireTimestamp: 3,
				},
			},
			"0001 0001 67 0001 74 00000000",
			"0001 0000000000000001 0000 0000000000000002 0000000000000003",
		},
		"offset of a topic known by id": {
			Record{
				Key: Key{Type: OffsetCommitType, Group: "g", Name: "t"},
				Value: &kmsg.OffsetCommitValue{
					Version: 4, Offset: 1, LeaderEpoch: 2, CommitTimestamp: 3,
					TopicID: topic,
				},
			},
			"0001 0001 67 0001 74 00000000",
			"0004 0000000000000001 00000002 01 0000000000000003 01 00 10" + hex.EncodeToString(topic[:]),
		},
		"classic group": {
			Record{
				Key: Key{Type: GroupMetadataType, Group: "g"},
				Value: &kmsg.GroupMetadataValue{
					Version: 3, ProtocolType: "consumer", Generation: 2, Protocol: ptr("range"),
					Leader: ptr("a"), CurrentStateTimestamp: 8,
					Members: []kmsg.GroupMetadataValueMember{{
						MemberID: "a", ClientID: "c", ClientHost: "/h", RebalanceTimeoutMillis: 1,
						SessionTimeoutMillis: 2, Subscription: []byte{1}, Assignment: []byte{2, 3},
					}},
				},
			},
			"0002 0001 67",
			"0003 0008 636f6e73756d6572 00000002 0005 72616e6765 0001 61 0000000000000008 00000001" +
				"0001 61 ffff 0001 63 0002 2f68 00000001 00000002 00000001 01 00000002 0203",
		},
		"epoch": {
			Record{
				Key:   Key{Type: ConsumerGroupMetadataType, Group: "g"},
				Value: &ConsumerGroupMetadata{Epoch: 10, MetadataHash: 255},
			},
			"0003 0001 67", "0000 0000000a 01 00 08 00000000000000ff",
		},
		"epoch as of Kafka 4.0": {
			Record{
				Key:   Key{Type: ConsumerGroupMetadataType, Group: "g"},
				Value: &ConsumerGroupMetadata{Epoch: 10},
			},
			"0003 0001 67", "0000 0000000a 00",
		},
		"partition metadata": {
			Record{
				Key:   Key{Type: ConsumerPartitionType, Group: "g"},
				Value: &ConsumerPartitionMetadata{Raw: []byte{0, 0, 1, 0}},
			},
			"0004 0001 67", "0000 01 00",
		},
		"member": {
			Record{
				Key: Key{Type: ConsumerMemberType, Group: "g", Name: "m"},
				Value: &ConsumerMember{
					InstanceID: ptr("i"), ClientID: "c", ClientHost: "h",
					SubscribedTopicNames: []string{"t", "u"}, RebalanceTimeoutMillis: 16,
					ServerAssignor: ptr("range"),
				},
			},
			"0005 0001 67 0001 6d",
			"0000 02 69 00 02 63 02 68 03 02 74 02 75 00 00000010 06 72616e6765 00",
		},
		"classic member": {
			Record{
				Key: Key{Type: ConsumerMemberType, Group: "g", Name: "m"},
				Value: &ConsumerMember{
					SubscribedTopicRegex: ptr("a.*"), RebalanceTimeoutMillis: -1,
					Classic: &ClassicMember{
						SessionTimeoutMillis: 1,
						Protocols:            []Protocol{{Name: "r", Metadata: []byte{9}}},
					},
				},
			},
			"0005 0001 67 0001 6d",
			"0000 00 00 01 01 01 04 612e2a ffffffff 00" +
				"01 00 0c 01 00000001 02 02 72 02 09 00 00",
		},
		"target epoch": {
			Record{
				Key:   Key{Type: ConsumerTargetMetadataType, Group: "g"},
				Value: &ConsumerTargetMetadata{AssignmentEpoch: 4},
			},
			"0006 0001 67", "0000 00000004 00",
		},
		"target": {
			Record{
				Key: Key{Type: ConsumerTargetMemberType, Group: "g", Name: "m"},
				Value: &ConsumerTargetMember{
					Partitions: Assignment{{Topic: topic, Index: 1}, {Topic: topic, Index: 2}},
				},
			},
			"0007 0001 67 0001 6d",
			"0000 02" + hex.EncodeToString(topic[:]) + "03 00000001 00000002 00 00",
		},
		"current": {
			Record{
				Key: Key{Type: ConsumerCurrentType, Group: "g", Name: "m"},
				Value: &ConsumerCurrent{
					MemberEpoch: 3, PreviousMemberEpoch: 2, State: UnrevokedPartitions,
					PendingRevocation: Assignment{{Topic: topic, Index: 1}},
				},
			},
			"0008 0001 67 0001 6d",
			"0000 00000003 00000002 02 01 02" + hex.EncodeToString(topic[:]) + "02 00000001 00 00",
		},
		"regular expression": {
			Record{
				Key: Key{Type: ConsumerRegularExpressionType, Group: "g", Name: "a.*"},
				Value: &ConsumerRegularExpression{
					Topics: []string{"ab"}, Version: 5, Timestamp: 6,
				},
			},
			"0010 0001 67 0003 612e2a", "0000 02 03 6162 0000000000000005 0000000000000006 00",
		},
	}
}

func TestRecordsHaveKafkasBytes(t *testing.T) {
	for name, g := range goldens() {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, unhex(t, g.key), AppendKey(nil, g.r.Key))
			require.Equal(t, unhex(t, g.value), AppendValue(nil, g.r.Value))
			r, err := DecodeRecord(unhex(t, g.key), unhex(t, g.value))
			require.NoError(t, err)
			require.Equal(t, g.r, r)
			gone, err := DecodeRecord(unhex(t, g.key), nil)
			require.NoError(t, err)
			require.Equal(t, Record{Key: g.r.Key}, gone)
		})
	}
}

func TestOldKeysOfOffsetsAreRead(t *testing.T) {
	r, err := DecodeRecord(unhex(t, "0000 0001 67 0001 74 00000003"), nil)
	require.NoError(t, err)
	require.Equal(t, Key{Type: OffsetCommitType, Group: "g", Name: "t", Partition: 3}, r.Key)
}

func TestRecordsThatAreNotKept(t *testing.T) {
	for _, key := range []string{"000b 0001 67", "0011 0001 67", "7fff"} {
		_, err := DecodeRecord(unhex(t, key), []byte{0, 0})
		require.ErrorIs(t, err, ErrNotKept, key)
	}
}

func TestRecordsThatAreNotUnderstood(t *testing.T) {
	for name, c := range map[string]struct {
		key, value string
		err        error
	}{
		"no key":                {"", "", ErrCorrupt},
		"key ends early":        {"0002 0005 67", "", ErrCorrupt},
		"key goes on":           {"0002 0001 67 00", "", ErrCorrupt},
		"negative length":       {"0002 ffff", "", ErrCorrupt},
		"value ends early":      {"0003 0001 67", "0000 0000", ErrCorrupt},
		"value goes on":         {"0003 0001 67", "0000 0000000a 00 00", ErrCorrupt},
		"no version":            {"0003 0001 67", "00", ErrCorrupt},
		"nothing":               {"0004 0001 67", "", ErrCorrupt},
		"version of the future": {"0003 0001 67", "0001 0000000a 00", ErrUnsupported},
		"tags that fall":        {"0003 0001 67", "0000 0000000a 02 01 00 00 00", ErrCorrupt},
		"offset of the future":  {"0001 0001 67 0001 74 00000000", "0005", ErrUnsupported},
		"group ends early":      {"0002 0001 67", "0003 0008", ErrCorrupt},
		"too many partitions":   {"0007 0001 67 0001 6d", "0000 ffffffff0f", ErrCorrupt},
	} {
		_, err := DecodeRecord(unhex(t, c.key), unhex(t, c.value))
		require.ErrorIs(t, err, c.err, name)
	}
}

// What can be read is written again as something that reads the same, and can be replayed.
func FuzzDecodeRecord(f *testing.F) {
	for _, g := range goldens() {
		f.Add(AppendKey(nil, g.r.Key), AppendValue(nil, g.r.Value))
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		r, err := DecodeRecord(key, value)
		if err != nil {
			known := errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnsupported) ||
				errors.Is(err, ErrNotKept)
			require.True(t, known, "%v", err)
			return
		}
		if r.Value == nil {
			return
		}
		again, err := DecodeRecord(AppendKey(nil, r.Key), AppendValue(nil, r.Value))
		require.NoError(t, err)
		require.Equal(t, r, again)
		h := newHost(t, mutantNone(), nil)
		h.shard.Replay(r)
		h.shard.Replay(Record{Key: r.Key})
	})
}
