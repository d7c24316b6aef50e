package metadata

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var (
	id1 = ID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	id2 = ID{15: 1}
)

const (
	id1Hex = " 0102030405060708090a0b0c0d0e0f10 "
	id2Hex = " 00000000000000000000000000000001 "
)

func pointer(s string) *string { return &s }

// goldens are records with their bytes, written down field by field from Kafka's
// schemas.
var goldens = []struct {
	name   string
	record Record
	bytes  string
}{
	{
		"register broker", &RegisterBrokerRecord{
			BrokerID: 1, IncarnationID: id1, BrokerEpoch: 7, Rack: pointer("r"),
			EndPoints:            []BrokerEndpoint{{"PLAINTEXT", "host", 9092, 0}},
			Features:             []BrokerFeature{{"metadata.version", 7, 29}},
			InControlledShutdown: true, LogDirs: []ID{id2},
		},
		"01 00 03 00000001 00" + id1Hex + "0000000000000007" +
			"02 0a504c41494e54455854 05686f7374 2384 0000 00" +
			"02 116d657461646174612e76657273696f6e 0007 001d 00" +
			"0272 00 01 01 00 11 02" + id2Hex,
	},
	{
		"register broker, least", &RegisterBrokerRecord{
			BrokerID: 1, IncarnationID: id1, BrokerEpoch: 7, Fenced: true,
			EndPoints: []BrokerEndpoint{}, Features: []BrokerFeature{},
		},
		"01 00 03 00000001 00" + id1Hex + "0000000000000007 01 01 00 01 00 00",
	},
	{
		"register broker with cordoned directories", &RegisterBrokerRecord{
			BrokerID: 1, IncarnationID: id1, BrokerEpoch: 7, EndPoints: []BrokerEndpoint{},
			Features: []BrokerFeature{}, LogDirs: []ID{id1, id2}, CordonedLogDirs: []ID{id2},
		},
		"01 00 04 00000001 00" + id1Hex + "0000000000000007 01 01 00 00 00" +
			"02 00 21 03" + id1Hex + id2Hex + "01 11 02" + id2Hex,
	},
	{
		"unregister broker", &UnregisterBrokerRecord{BrokerID: 2, BrokerEpoch: 3},
		"01 01 00 00000002 0000000000000003 00",
	},
	{
		"topic", &TopicRecord{Name: "foo", TopicID: id1},
		"01 02 00 04666f6f" + id1Hex + "00",
	},
	{
		"partition", &PartitionRecord{
			PartitionID: 5, TopicID: id1, Replicas: []int32{1, 2}, ISR: []int32{1},
			RemovingReplicas: []int32{}, AddingReplicas: []int32{}, Leader: 1, LeaderEpoch: 3,
			PartitionEpoch: 4, Directories: []ID{id2, id1},
		},
		"01 03 01 00000005" + id1Hex + "03 00000001 00000002 02 00000001 01 01" +
			"00000001 00000003 00000004 03" + id2Hex + id1Hex + "00",
	},
	{
		"partition with eligible replicas", &PartitionRecord{
			TopicID: id1, Replicas: []int32{1}, ISR: []int32{1}, RemovingReplicas: []int32{},
			AddingReplicas: []int32{2}, Leader: -1, LeaderRecoveryState: 1, Directories: []ID{},
			EligibleLeaderReplicas: []int32{3}, LastKnownELR: []int32{},
		},
		"01 03 02 00000000" + id1Hex + "02 00000001 02 00000001 01 02 00000002" +
			"ffffffff 00000000 00000000 01" +
			"03 00 01 01 01 05 02 00000003 02 01 01",
	},
	{
		"config", &ConfigRecord{
			ResourceType: TopicResource, ResourceName: "foo", Name: "a.b", Value: pointer("1"),
		},
		"01 04 00 02 04666f6f 04612e62 0231 00",
	},
	{
		"deleted config", &ConfigRecord{ResourceType: BrokerResource, Name: "a"},
		"01 04 00 04 01 0261 00 00",
	},
	{
		"partition change of the leader", &PartitionChangeRecord{
			PartitionID: 1, TopicID: id1, Leader: 2, LeaderRecoveryState: NoRecoveryStateChange,
		},
		"01 05 00 00000001" + id1Hex + "01 01 04 00000002",
	},
	{
		"partition change of all", &PartitionChangeRecord{
			PartitionID: 1, TopicID: id1, Leader: -1, ISR: []int32{1}, Replicas: []int32{2},
			RemovingReplicas: []int32{}, AddingReplicas: []int32{}, LeaderRecoveryState: 0,
			EligibleLeaderReplicas: []int32{}, LastKnownELR: []int32{4}, Directories: []ID{id2},
		},
		"01 05 02 00000001" + id1Hex + "09 00 05 02 00000001 01 04 ffffffff 02 05 02 00000002" +
			"03 01 01 04 01 01 05 01 00 06 01 01 07 05 02 00000004 08 11 02" + id2Hex,
	},
	{
		"partition change of directories", &PartitionChangeRecord{
			TopicID: id1, Leader: NoLeaderChange, LeaderRecoveryState: NoRecoveryStateChange,
			Directories: []ID{id2},
		},
		"01 05 01 00000000" + id1Hex + "01 08 11 02" + id2Hex,
	},
	{"remove topic", &RemoveTopicRecord{TopicID: id1}, "01 09 00" + id1Hex + "00"},
	{
		"feature level", &FeatureLevelRecord{Name: "metadata.version", FeatureLevel: 29},
		"01 0c 00 116d657461646174612e76657273696f6e 001d 00",
	},
	{
		"producer ids", &ProducerIDsRecord{BrokerID: 1, BrokerEpoch: 2, NextProducerID: 1000},
		"01 0f 00 00000001 0000000000000002 00000000000003e8 00",
	},
	{
		"broker registration change", &BrokerRegistrationChangeRecord{
			BrokerID: 1, BrokerEpoch: 2, Fenced: -1,
		},
		"01 11 00 00000001 0000000000000002 01 00 01 ff",
	},
	{
		"broker registration change of all", &BrokerRegistrationChangeRecord{
			BrokerID: 1, BrokerEpoch: 2, Fenced: 1, InControlledShutdown: 1, LogDirs: []ID{id2},
		},
		"01 11 02 00000001 0000000000000002 03 00 01 01 01 01 01 02 11 02" + id2Hex,
	},
	{
		"broker registration change to no cordoned directories", &BrokerRegistrationChangeRecord{
			BrokerID: 1, BrokerEpoch: 2, CordonedLogDirs: []ID{},
		},
		"01 11 03 00000001 0000000000000002 01 03 01 01",
	},
	{"clear the eligible replicas", &ClearELRRecord{TopicName: "foo"}, "01 1c 00 04666f6f 00"},
	{"no op", &NoOpRecord{}, "01 14 00 00"},
	{"begin transaction", &BeginTransactionRecord{Name: pointer("x")}, "01 17 00 01 00 02 0278"},
	{"begin nameless transaction", &BeginTransactionRecord{}, "01 17 00 00"},
	{"end transaction", &EndTransactionRecord{}, "01 18 00 00"},
	{"abort transaction", &AbortTransactionRecord{Reason: pointer("")}, "01 19 00 01 00 01 01"},
}

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

func TestGolden(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			want := unhex(t, g.bytes)
			require.Equal(t, hex.EncodeToString(want), hex.EncodeToString(AppendRecord(nil, g.record)))
			back, err := DecodeRecord(want)
			require.NoError(t, err)
			require.Equal(t, g.record, back)
			for n := range want {
				_, err := DecodeRecord(want[:n])
				require.Error(t, err, "cut off after %d bytes", n)
			}
			_, err = DecodeRecord(append(want, 0))
			require.ErrorIs(t, err, ErrCorrupt)
		})
	}
}

// Records of older versions are read, with the schema's defaults.
func TestOldVersions(t *testing.T) {
	for _, c := range []struct {
		bytes string
		want  Record
	}{
		{
			"01 00 00 00000001" + id1Hex + "0000000000000007 01 01 00 01 00",
			&RegisterBrokerRecord{
				BrokerID: 1, IncarnationID: id1, BrokerEpoch: 7, Fenced: true,
				EndPoints: []BrokerEndpoint{}, Features: []BrokerFeature{},
			},
		},
		{
			"01 03 00 00000000" + id1Hex + "01 01 01 01 00000001 00000002 00000003 00",
			&PartitionRecord{
				TopicID: id1, Replicas: []int32{}, ISR: []int32{}, RemovingReplicas: []int32{},
				AddingReplicas: []int32{}, Leader: 1, LeaderEpoch: 2, PartitionEpoch: 3,
			},
		},
	} {
		got, err := DecodeRecord(unhex(t, c.bytes))
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
}

func TestUnknownTagsAreSkipped(t *testing.T) {
	got, err := DecodeRecord(unhex(t, "01 02 00 04666f6f"+id1Hex+"02 05 01 aa 81 01 02 bbcc"))
	require.NoError(t, err)
	require.Equal(t, &TopicRecord{Name: "foo", TopicID: id1}, got)
}

func TestDecodeErrors(t *testing.T) {
	for _, c := range []struct {
		name, bytes string
		want        error
	}{
		{"empty", "", ErrCorrupt},
		{"frame version 0", "00 02 00", ErrUnsupported},
		{"unknown type", "01 63 00 00", ErrUnsupported},
		{"type that is not kept", "01 12 00", ErrNotKept},
		{"unknown version", "01 02 01 04666f6f" + id1Hex + "00", ErrUnsupported},
		{"huge type", "01 808004 00", ErrCorrupt},
		{"null name", "01 02 00 00" + id1Hex + "00", ErrCorrupt},
		{"array longer than the record", "01 03 01 00000000" + id1Hex + "ffffffff0f", ErrCorrupt},
		{"tags out of order", "01 02 00 01" + id1Hex + "02 05 00 05 00", ErrCorrupt},
		{"tag with bytes left", "01 11 00 00000001 0000000000000002 01 00 02 0101", ErrCorrupt},
		{"varint of 33 bits", "01 8080808020 00", ErrCorrupt},
	} {
		_, err := DecodeRecord(unhex(t, c.bytes))
		require.ErrorIs(t, err, c.want, c.name)
	}
}

// A record reads back as it was written, whatever its values.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := records().Draw(t, "record")
		got, err := DecodeRecord(AppendRecord(nil, r))
		require.NoError(t, err)
		require.Equal(t, r, got)
	})
}

func ids() *rapid.Generator[ID] {
	return rapid.Custom(func(t *rapid.T) (id ID) {
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		return id
	})
}

func records() *rapid.Generator[Record] {
	list := rapid.SliceOfN(rapid.Int32(), 0, 4)
	return rapid.Custom(func(t *rapid.T) Record {
		switch rapid.IntRange(0, 3).Draw(t, "type") {
		case 0:
			return &PartitionRecord{
				PartitionID: rapid.Int32().Draw(t, "partition"), TopicID: ids().Draw(t, "topic"),
				Replicas: list.Draw(t, "replicas"), ISR: list.Draw(t, "isr"),
				RemovingReplicas: list.Draw(t, "removing"), AddingReplicas: list.Draw(t, "adding"),
				Leader: rapid.Int32().Draw(t, "leader"), LeaderEpoch: rapid.Int32().Draw(t, "epoch"),
				Directories:         rapid.SliceOfN(ids(), 0, 3).Draw(t, "directories"),
				LeaderRecoveryState: rapid.Int8().Draw(t, "state"),
			}
		case 1:
			r := &PartitionChangeRecord{
				TopicID: ids().Draw(t, "topic"), Leader: rapid.Int32().Draw(t, "leader"),
				LeaderRecoveryState: rapid.Int8().Draw(t, "state"),
			}
			if rapid.Bool().Draw(t, "some") {
				r.ISR, r.LastKnownELR = list.Draw(t, "isr"), list.Draw(t, "elr")
				r.Directories = rapid.SliceOfN(ids(), 0, 3).Draw(t, "directories")
			}
			return r
		case 2:
			return &ConfigRecord{
				ResourceType: ResourceType(rapid.Int8().Draw(t, "resource")),
				ResourceName: rapid.String().Draw(t, "name"), Name: rapid.String().Draw(t, "key"),
				Value: rapid.Ptr(rapid.String(), true).Draw(t, "value"),
			}
		default:
			return &RegisterBrokerRecord{
				BrokerID: rapid.Int32().Draw(t, "id"), BrokerEpoch: rapid.Int64().Draw(t, "epoch"),
				EndPoints: []BrokerEndpoint{{
					rapid.String().Draw(t, "listener"), rapid.String().Draw(t, "host"),
					rapid.Uint16().Draw(t, "port"), rapid.Int16().Draw(t, "protocol"),
				}},
				Features: []BrokerFeature{}, Fenced: rapid.Bool().Draw(t, "fenced"),
				Rack: rapid.Ptr(rapid.String(), true).Draw(t, "rack"),
			}
		}
	})
}

// No bytes make decoding panic, and what decodes is written so that it decodes to
// the same again.
func FuzzDecodeRecord(f *testing.F) {
	for _, g := range goldens {
		f.Add(unhex(f, g.bytes))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := DecodeRecord(value)
		if err != nil {
			return
		}
		again, err := DecodeRecord(AppendRecord(nil, r))
		require.NoError(t, err)
		if p, ok := r.(*PartitionRecord); ok && p.Directories == nil {
			p.Directories = []ID{} // version 0 has none
		}
		require.Equal(t, r, again)
	})
}
