package realnet

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/group"
)

// GroupEvent is one thing that happened to a group of consumers, as /groups/GROUP tells
// it in JSON. What does not belong to its kind is left out.
type GroupEvent struct {
	Time      time.Time     `json:"time"`
	Kind      string        `json:"kind"`            // the name of a report of core/group
	Cause     string        `json:"cause,omitempty"` // why a rebalance or an epoch began
	Member    string        `json:"member,omitempty"`
	Topic     string        `json:"topic,omitempty"`
	To        string        `json:"to,omitempty"` // the protocol of a group that was converted
	Took      time.Duration `json:"tookNanos,omitempty"`
	Unowned   time.Duration `json:"unownedNanos,omitempty"` // how long nobody had a partition
	Partition int32         `json:"partition,omitempty"`
	Epoch     int32         `json:"epoch"` // or generation
	Members   int           `json:"members,omitempty"`
	First     bool          `json:"first,omitempty"` // nobody is known to have had a partition
}

// How much of the past of groups is kept.
const (
	groupEventsMax = 200  // of one group; the oldest are forgotten
	groupsMax      = 1000 // those of which nothing was heard longest are forgotten
)

// groupHistory is what happened to the groups that this node coordinates, or did.
type groupHistory struct {
	mu     sync.Mutex
	groups map[string][]GroupEvent // none is empty
}

func newGroupHistory() *groupHistory { return &groupHistory{groups: map[string][]GroupEvent{}} }

// note takes in a report.
func (h *groupHistory) note(now time.Time, r group.Report) {
	name, ev := groupEventOf(r)
	ev.Time = now
	h.mu.Lock()
	defer h.mu.Unlock()
	events, known := h.groups[name]
	if !known && len(h.groups) == groupsMax {
		h.forget()
	}
	if len(events) == groupEventsMax {
		events = append(events[:0], events[1:]...)
	}
	h.groups[name] = append(events, ev)
}

// forget forgets the group whose last event is oldest.
func (h *groupHistory) forget() {
	oldest, at := "", time.Time{}
	for name, events := range h.groups {
		if last := events[len(events)-1].Time; oldest == "" || last.Before(at) {
			oldest, at = name, last
		}
	}
	delete(h.groups, oldest)
}

// ServeHTTP answers GET /groups/{group} with an array of events, the oldest first.
func (h *groupHistory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	events := append([]GroupEvent{}, h.groups[r.PathValue("group")]...)
	h.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(events) // else the client is gone
}

func groupEventOf(r group.Report) (name string, ev GroupEvent) {
	switch r := r.(type) {
	case group.RebalanceStarted:
		return r.Group, GroupEvent{
			Kind: "RebalanceStarted", Cause: string(r.Cause), Member: r.Member, Epoch: r.Epoch,
		}
	case group.EpochStarted:
		return r.Group, GroupEvent{
			Kind: "EpochStarted", Cause: string(r.Cause), Member: r.Member, Epoch: r.Epoch,
			Members: r.Members, Took: time.Duration(r.Took),
		}
	case group.RebalanceCompleted:
		return r.Group, GroupEvent{
			Kind: "RebalanceCompleted", Epoch: r.Epoch, Took: time.Duration(r.Took),
		}
	case group.PartitionTaken:
		return r.Group, GroupEvent{
			Kind: "PartitionTaken", Member: r.Member, Topic: r.Topic, Partition: r.Partition,
			Epoch: r.Epoch, Unowned: time.Duration(r.Unowned), First: r.First,
		}
	case group.Converted:
		return r.Group, GroupEvent{Kind: "Converted", To: r.To, Epoch: r.Epoch}
	}
	return "", GroupEvent{}
}

// noteGroups keeps what a step reported about groups.
func (s *Server) noteGroups(r *core.Report) {
	s.groups.note(time.Now(), r.Group)
	s.logger.Debug("group changed", "partition", r.Partition, "report", r.Group)
}
