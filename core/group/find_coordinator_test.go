package group

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

func TestPartitionOfIsJavas(t *testing.T) {
	for id, want := range map[string]int32{
		"":                   0,
		"a":                  47, // hash 97
		"hello":              22, // hash 99162322
		"polygenelubricants": 0,  // hash -2^31
	} {
		require.Equal(t, want, PartitionOf(id, 50), id)
	}
	// Characters outside of the basic plane count as two, as in Java.
	require.Equal(t, int32((31*0xd83d+0xde00)%50), PartitionOf("\U0001f600", 50))
}

func TestFindCoordinator(t *testing.T) {
	h := newHost(t, mutantNone(), nil)
	req := &kmsg.FindCoordinatorRequest{Version: 4, CoordinatorKeys: []string{"a", "", "b"}}
	r, missing := FindCoordinator(h.image, req, "PLAINTEXT")
	require.Equal(t, OffsetsTopic, missing)
	require.Equal(t, int16(errcode.CoordinatorNotAvailable), r.Coordinators[0].ErrorCode)
	h.change(&metadata.RegisterBrokerRecord{
		BrokerID: 1, EndPoints: []metadata.BrokerEndpoint{{Name: "PLAINTEXT", Host: "h", Port: 9}},
	})
	h.createTopic(OffsetsTopic, 9, 50)
	r, missing = FindCoordinator(h.image, req, "PLAINTEXT")
	require.Empty(t, missing)
	require.Equal(t, kmsg.FindCoordinatorResponseCoordinator{
		Key: "a", NodeID: 1, Host: "h", Port: 9,
	}, r.Coordinators[0])
	require.Equal(t, int16(errcode.InvalidGroupID), r.Coordinators[1].ErrorCode)
	old := &kmsg.FindCoordinatorRequest{Version: 3, CoordinatorKey: "a"}
	r, _ = FindCoordinator(h.image, old, "PLAINTEXT")
	require.Equal(t, int32(1), r.NodeID)
	r, _ = FindCoordinator(h.image, old, "OTHER")
	require.Equal(t, int16(errcode.CoordinatorNotAvailable), r.ErrorCode)
	old.CoordinatorType = 2
	r, _ = FindCoordinator(h.image, old, "PLAINTEXT")
	require.Equal(t, int16(errcode.InvalidRequest), r.ErrorCode)
}
