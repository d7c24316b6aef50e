package realnet

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/group"
)

// What is kept of the past of groups has limits, and the newest is kept.
func TestGroupHistory(t *testing.T) {
	h := newGroupHistory()
	at := time.Unix(1_700_000_000, 0)
	for i := range groupEventsMax + 5 {
		h.note(at.Add(time.Duration(i)), group.RebalanceStarted{
			Group: "busy", Cause: group.CauseMemberLeft, Member: "m", Epoch: int32(i),
		})
	}
	busy := historyOf(t, h, "busy")
	require.Len(t, busy, groupEventsMax)
	require.Equal(t, int32(5), busy[0].Epoch)
	require.Equal(t, int32(groupEventsMax+4), busy[groupEventsMax-1].Epoch)
	require.Equal(t, "member left", busy[0].Cause)

	for i := range groupsMax {
		h.note(at.Add(time.Hour+time.Duration(i)), group.Converted{Group: fmt.Sprint(i), To: "classic"})
	}
	require.Empty(t, historyOf(t, h, "busy"))
	require.Equal(t, "classic", historyOf(t, h, "0")[0].To)
	require.Empty(t, historyOf(t, h, "nobody"))
}

func TestGroupEventsKeepWhatReportsSay(t *testing.T) {
	h := newGroupHistory()
	now := time.Unix(1_700_000_000, 0)
	for _, r := range []group.Report{
		group.EpochStarted{Group: "g", Cause: group.CauseMemberJoined, Members: 3, Took: clock.Second},
		group.RebalanceCompleted{Group: "g", Epoch: 2, Took: clock.Minute},
		group.PartitionTaken{Group: "g", Member: "m", Topic: "t", Partition: 4, Unowned: clock.Hour},
		group.PartitionTaken{Group: "g", Member: "m", Topic: "t", First: true},
	} {
		h.note(now, r)
	}
	got := historyOf(t, h, "g")
	require.Equal(t, "EpochStarted", got[0].Kind)
	require.Equal(t, 3, got[0].Members)
	require.Equal(t, time.Second, got[0].Took)
	require.Equal(t, time.Minute, got[1].Took)
	require.Equal(t, "t", got[2].Topic)
	require.Equal(t, int32(4), got[2].Partition)
	require.Equal(t, time.Hour, got[2].Unowned)
	require.True(t, got[3].First)
	require.True(t, now.Equal(got[3].Time))
}

func historyOf(t *testing.T, h *groupHistory, name string) []GroupEvent {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("GET /groups/{group}", h)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/groups/"+name, http.NoBody))
	require.Equal(t, http.StatusOK, w.Code)
	var events []GroupEvent
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &events))
	return events
}
