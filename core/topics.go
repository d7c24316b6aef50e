package core

import (
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/wire"
)

// addTopic makes a topic known, without partitions.
func (b *Broker) addTopic(t *metadata.Topic) *topic {
	added := &topic{name: t.Name, id: t.ID}
	b.topics[t.Name], b.topicIDs[t.ID] = added, added
	return added
}

func (b *Broker) addPartition(to *topic, t *metadata.Topic, index int32) *partition {
	p := &partition{
		topic: to, index: index, armed: clock.Never,
		leaderEpoch: t.Partitions[index].LeaderEpoch,
	}
	to.partitions = append(to.partitions, p)
	return p
}

// growTopic makes the partitions a topic does not have yet, as part of o.
func (b *Broker) growTopic(t *metadata.Topic, o *opening) {
	to := b.topicIDs[t.ID]
	for i := len(to.partitions); i < len(t.Partitions); i++ {
		p := b.addPartition(to, t, int32(i))
		p.opening = o
		o.left++
		b.place(p)
		if waiting, ok := b.removing[p.path()]; ok {
			b.removing[p.path()] = append(waiting, p)
			continue
		}
		b.recover(p, t.Config)
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
		b.dropPartition(p)
	}
	b.report(Report{Kind: TopicDeleted, Topic: t.name, TopicID: t.id})
}

// dropPartition has a partition's directory renamed at once, so that a topic of the
// same name can be made, and removed after file.delete.delay.ms.
func (b *Broker) dropPartition(p *partition) {
	was := p.state
	p.state = partitionDeleted
	delete(b.logs, p.id)
	b.leave(p, errcode.UnknownTopicOrPartition)
	if p.dir == nil || was == partitionOffline {
		return
	}
	p.dir.replicas--
	if p.log != nil {
		p.log.ReleaseFiles(&b.fx.Orders)
	}
	b.report(Report{Kind: PartitionRemoved, Topic: p.topic.name, TopicID: p.topic.id,
		Partition: p.index})
	b.removing[p.path()] = nil
	if was != partitionOpening {
		b.rename(p)
	}
}

// rename has a deleted partition's directory moved out of the way.
func (b *Broker) rename(p *partition) {
	to := p.dir.path + "/" + log.DeletedDirName(p.topic.name, p.index, b.random.uuid())
	b.order(&log.Remove{Dir: p.path(), To: to},
		jobOwner{kind: jobRename, part: p, dir: p.dir, path: p.path(), to: to})
}

// renamed lets the partitions that waited for a directory's name have it, and notes
// when the renamed one is to be removed.
func (b *Broker) renamed(owner jobOwner) {
	waiting := b.removing[owner.path]
	delete(b.removing, owner.path)
	for _, p := range waiting {
		if p.state != partitionOpening {
			continue
		}
		if t := b.image.TopicByID(p.topic.id); t != nil {
			b.recover(p, t.Config)
		}
	}
	defaults, _ := b.image.Config().Topic(nil)
	delay := defaults.FileDeleteDelayMillis
	b.removals = append(b.removals, removal{path: owner.to, dir: owner.dir})
	b.deadlines.push(deadline{at: b.now.Mono.Add(clock.Millis(delay)), kind: removalDeadline})
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
	if !due.dir.offline {
		b.order(&log.RemoveNow{Paths: []string{due.path}}, jobOwner{kind: jobRemove, dir: due.dir})
	}
}

// jobFailed takes in that a job could not do its work. Whatever a job does, it does to
// files of one log directory, which cannot be relied on any more.
func (b *Broker) jobFailed(owner jobOwner, err error) {
	dir := owner.dir
	if owner.part != nil {
		dir = owner.part.dir
	}
	b.dirFailed(dir, err)
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
				if p.state == partitionClosing {
					b.closing--
				}
				p.state = partitionOffline
				b.leave(p, errcode.KafkaStorageError)
				if o := p.opening; o != nil {
					p.opening = nil
					b.opened(o)
				}
			}
		}
	}
	b.closedAll()
	if dir == &b.dirs[0] {
		b.fatal(&DirError{Path: dir.path, Err: err})
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
