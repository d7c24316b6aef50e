package core

import (
	"maps"
	"path"
	"slices"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/wire"
)

// addTopic makes a topic known, without partitions.
func (b *Broker) addTopic(t *metadata.Topic) *topic {
	added := &topic{name: t.Name, id: t.ID, internal: isInternal(t.Name)}
	b.topics[t.Name], b.topicIDs[t.ID] = added, added
	return added
}

// isInternal reports whether a topic belongs to coordinators.
func isInternal(name string) bool {
	switch name {
	case "__consumer_offsets", "__transaction_state", "__share_group_state":
		return true
	}
	return false
}

// addPartition makes a partition known, without a replica here.
func (b *Broker) addPartition(to *topic, index int32) *partition {
	p := newPartition(to, index)
	to.partitions = append(to.partitions, p)
	return p
}

func newPartition(of *topic, index int32) *partition {
	return &partition{
		topic: of, index: index, leaderEpoch: -1, armed: clock.Never, roleArmed: clock.Never,
	}
}

// hosts reports whether this broker has a replica of a partition.
func (b *Broker) hosts(m *metadata.Partition) bool {
	return b.isBroker() && slices.Contains(m.Replicas, b.options.NodeID)
}

// growTopic makes the partitions a topic does not have yet, as part of o.
func (b *Broker) growTopic(t *metadata.Topic, o *opening) {
	to := b.topicIDs[t.ID]
	for i := len(to.partitions); i < len(t.Partitions); i++ {
		p := b.addPartition(to, int32(i))
		if b.hosts(&t.Partitions[i]) {
			b.openReplica(p, t, o)
		}
	}
}

// openReplica makes this broker's replica of a partition, as part of o.
func (b *Broker) openReplica(p *partition, t *metadata.Topic, o *opening) {
	p.state, p.opening = partitionOpening, o
	o.left++
	b.place(p, &t.Partitions[p.index])
	if waiting, ok := b.removing[p.path()]; ok {
		b.removing[p.path()] = append(waiting, p)
		return
	}
	b.recover(p, t.Config)
}

// partitionChanged makes this broker's part in a partition what the metadata says.
func (b *Broker) partitionChanged(t *metadata.Topic, index int32, o *opening) {
	known := b.topicIDs[t.ID]
	p, m := known.partitions[index], &t.Partitions[index]
	switch hosts := b.hosts(m); {
	case hosts && p.state == partitionAbsent:
		b.openReplica(p, t, o)
	case hosts && p.state == partitionOnline:
		b.assume(p, m)
	case !hosts && p.state != partitionAbsent:
		known.partitions[index] = newPartition(known, index)
		b.dropPartition(p, errcode.NotLeaderOrFollower)
	}
}

// configure gives a topic's logs their new configuration.
func (b *Broker) configure(t *metadata.Topic) {
	known := b.topicIDs[t.ID]
	if known == nil {
		return
	}
	for _, p := range known.partitions {
		if p.state != partitionOnline {
			continue // it is opened with the configuration of that moment
		}
		from := len(b.fx.Jobs)
		p.log.SetConfig(t.Config)
		p.log.Tick(b.now, &b.fx.Orders)
		b.logChanged(p, from)
		if p.leader != nil {
			b.led(p, p.leader.SetMinInsyncReplicas(b.now.Mono, t.Config.MinInsyncReplicas))
		}
	}
}

// dropTopic forgets a topic, answers who waits on it, and has its files removed.
func (b *Broker) dropTopic(id wire.TopicID) {
	t := b.topicIDs[id]
	if t == nil {
		return
	}
	delete(b.topicIDs, id)
	delete(b.topics, t.name)
	for _, p := range t.partitions {
		b.dropPartition(p, errcode.UnknownTopicOrPartition)
	}
	b.report(Report{Kind: TopicDeleted, Topic: t.name, TopicID: t.id})
}

// dropPartition answers who waits on a partition whose replica here is to go with why,
// and has its directory renamed, so that a topic of the same name can be made, and
// removed after file.delete.delay.ms.
func (b *Broker) dropPartition(p *partition, why errcode.Code) {
	was := p.state
	p.state = partitionDeleted
	b.leave(p, why)
	b.endRole(p)
	b.openingEnded(p)
	if p.dir == nil || was == partitionOffline {
		delete(b.logs, p.id)
		return
	}
	p.dir.replicas--
	b.report(Report{
		Kind: PartitionRemoved, Topic: p.topic.name, TopicID: p.topic.id,
		Partition: p.index,
	})
	b.removing[p.path()] = nil
	if was != partitionOpening { // else when it is open, or it never had the name
		p.log.Abandon()
		b.removeIdle(p)
	}
}

// removeIdle has a deleted partition's directory renamed, once nothing is in flight
// that knows its files by their paths and could meet those of a later topic there.
func (b *Broker) removeIdle(p *partition) {
	if !p.log.Idle() || p.dir.offline {
		return
	}
	delete(b.logs, p.id)
	p.log.ReleaseFiles(&b.fx.Orders)
	b.rename(p)
}

// rename has a deleted partition's directory moved out of the way.
func (b *Broker) rename(p *partition) {
	to := p.dir.path + "/" + log.DeletedDirName(p.topic.name, p.index, b.random.uuid())
	b.order(&log.Remove{Dir: p.path(), To: to},
		jobOwner{kind: jobRename, part: p, dir: p.dir, path: p.path(), to: to})
}

// renamed notes when the renamed directory is to be removed. Its name is free once
// the checkpoints do not speak of it any more: after a crash, what they say would be
// taken for the state of a later topic of the name.
func (b *Broker) renamed(owner jobOwner) {
	owner.dir.freed = append(owner.dir.freed, owner.path)
	owner.dir.stale, owner.dir.due = allCheckpoints, allCheckpoints
	b.checkpoint(owner.dir)
	defaults, _ := b.image.Config().Topic(nil)
	delay := defaults.FileDeleteDelayMillis
	b.removals = append(b.removals, removal{path: owner.to, dir: owner.dir})
	b.deadlines.push(deadline{at: b.now.Mono.Add(clock.Millis(delay)), kind: removalDeadline})
}

// freeName lets the partition that waited for a directory's name have it.
func (b *Broker) freeName(path string) {
	waiting := b.removing[path]
	delete(b.removing, path)
	for _, p := range waiting {
		if t := b.image.TopicByID(p.topic.id); t != nil && p.state == partitionOpening &&
			b.open() {
			b.recover(p, t.Config)
		}
	}
}

// removal is a directory on its way out.
type removal struct {
	path string
	dir  *logDir
}

// removalDue removes the directory that was renamed longest ago.
func (b *Broker) removalDue() {
	due := b.removals[0]
	b.removals = b.removals[1:]
	if !due.dir.offline && b.open() { // else the next start removes it
		b.order(&log.RemoveNow{Paths: []string{due.path}}, jobOwner{kind: jobRemove, dir: due.dir})
	}
}

// jobFailed takes in that a job could not do its work. Whatever a job does, it does to
// files of one log directory, which cannot be relied on any more. Only a node that
// could open all its directories starts: it could not tell otherwise which partitions
// are in one that is missing, and would make them anew.
func (b *Broker) jobFailed(owner jobOwner, err error) {
	if owner.kind == jobOfLog && owner.part.state == partitionDeleted ||
		owner.groups != nil && owner.groups != owner.part.groups {
		return // its directory was renamed while the job ran, or nobody waits for it
	}
	dir := owner.dir
	if owner.part != nil {
		dir = owner.part.dir
	}
	if owner.kind == jobOpenDir {
		b.fatal(&DirError{Path: dir.path, Err: err})
	}
	b.dirFailed(dir, err)
	if owner.kind == jobSetAside {
		b.setAside()
	}
	if owner.kind == jobCheckpoint && b.phase == booting {
		b.readyMaybe()
	}
}

// dirFailed takes a log directory offline, for good: nothing is retried on it. With
// the metadata log's directory the node is lost.
func (b *Broker) dirFailed(dir *logDir, err error) {
	if dir.offline {
		return
	}
	dir.offline = true
	b.report(Report{Kind: LogDirOffline, Text: dir.path + ": " + err.Error()})
	for _, t := range b.sortedTopics() {
		for _, p := range t.partitions {
			if p.dir == dir && p.state != partitionDeleted {
				b.partitionFailed(p)
			}
		}
	}
	// Nobody gets a name in it any more. In any order.
	maps.DeleteFunc(b.removing, func(at string, _ []*partition) bool {
		return path.Dir(at) == dir.path
	})
	if dir == &b.dirs[0] {
		b.fatal(&DirError{Path: dir.path, Err: err})
		return
	}
	b.readyMaybe()
	b.closedAll()
	if b.life.registered {
		b.contact()
	}
}

func (b *Broker) partitionFailed(p *partition) {
	was := p.state
	p.state = partitionOffline
	switch {
	case was == partitionClosing:
		b.closing--
	case was == partitionOpening && b.phase == booting && p.id != 0:
		b.opening--
	}
	b.leave(p, errcode.KafkaStorageError)
	b.endRole(p)
	if o := p.opening; o != nil {
		p.opening = nil
		b.opened(o)
	}
}

// sortedTopics lists the topics by name.
func (b *Broker) sortedTopics() []*topic {
	if b.image == nil {
		return nil
	}
	topics := make([]*topic, 0, len(b.topics))
	for t := range b.image.Topics() {
		if known := b.topicIDs[t.ID]; known != nil {
			topics = append(topics, known)
		}
	}
	return topics
}

// DirError says that a node cannot go on without a log directory.
type DirError struct {
	Err  error
	Path string
}

func (e *DirError) Error() string { return "log directory " + e.Path + " failed: " + e.Err.Error() }

func (e *DirError) Unwrap() error { return e.Err }
