package core

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/wire"
)

// AssignReplicasToDirs (key 73, version 0, KIP-858). A broker with several log directories
// chooses one for each of its replicas, and tells the controller: when a directory fails,
// others are to lead in the place of just the replicas there.

// assignmentsMax is how many replicas one request is about.
const assignmentsMax = 2250 // kafka: AssignReplicasToDirsRequest

// assignments are the replicas whose directory the controller does not know yet.
type assignments struct {
	waiting []*partition
	asked   []*partition // the controller is being told
}

// placed has the controller told where p is, unless it knows.
func (b *Broker) placed(p *partition) {
	t := b.image.TopicByID(p.topic.id)
	if t == nil {
		return
	}
	m := &t.Partitions[p.index]
	i := slices.Index(m.Replicas, b.options.NodeID)
	known := i >= 0 && i < len(m.Directories) && m.Directories[i] == p.dir.found.DirectoryID
	if i < 0 || known {
		return
	}
	b.assignments.waiting = append(b.assignments.waiting, p)
	b.assign()
}

// assign tells the controller of what waits, in one request at a time.
func (b *Broker) assign() {
	a := &b.assignments
	if len(a.asked) > 0 || len(a.waiting) == 0 || !b.open() || !b.life.registered {
		return
	}
	n := min(len(a.waiting), assignmentsMax)
	a.asked, a.waiting = slices.Clone(a.waiting[:n]), slices.Delete(a.waiting, 0, n)
	req := kmsg.NewPtrAssignReplicasToDirsRequest()
	req.BrokerID, req.BrokerEpoch = b.options.NodeID, b.life.epoch
	for i := range b.dirs {
		if dir := assignedTo(&b.dirs[i], a.asked); len(dir.Topics) > 0 {
			req.Directories = append(req.Directories, dir)
		}
	}
	b.askController(req, b.base.RequestTimeout, &assignment{})
}

// assignedTo lists those of partitions that are in a directory, or were when it failed.
func assignedTo(dir *logDir, partitions []*partition) kmsg.AssignReplicasToDirsRequestDirectory {
	out := kmsg.NewAssignReplicasToDirsRequestDirectory()
	out.ID = dir.found.DirectoryID
	for _, p := range partitions {
		if p.dir != dir || p.state != partitionOnline && p.state != partitionOffline {
			continue
		}
		if n := len(out.Topics); n == 0 || out.Topics[n-1].TopicID != p.topic.id {
			t := kmsg.NewAssignReplicasToDirsRequestDirectoryTopic()
			t.TopicID = p.topic.id
			out.Topics = append(out.Topics, t)
		}
		one := kmsg.NewAssignReplicasToDirsRequestDirectoryTopicPartition()
		one.Partition = p.index
		t := &out.Topics[len(out.Topics)-1]
		t.Partitions = append(t.Partitions, one)
	}
	return out
}

// assignment is the request that is under way.
type assignment struct{}

// answered goes on with what waits. If the controller has not taken it in, the next
// heartbeat does.
func (*assignment) answered(b *Broker, resp wire.Response, err error) {
	a := &b.assignments
	asked := a.asked
	a.asked = nil
	if err != nil || codeOf(resp) != 0 {
		a.waiting = append(asked, a.waiting...)
		return
	}
	b.assign()
}
