package core

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/group"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/metadata"
	"github.com/heiban/heiban/core/quorum"
	"github.com/heiban/heiban/core/wire"
)

// A node starts in this order, each step when the jobs of the one before are done:
//
//  1. open the log directories: lock out foreign ones, take away the clean marker
//  2. recover the metadata log, take part in the quorum, and wait until the image holds
//     what was committed before
//  3. register with the controller; after an unclean stop every partition this node
//     leads gets a new leader epoch, since its log may have lost its tail (KIP-320)
//  4. move aside directories the image does not know, recover the logs it does
//  5. write the checkpoints, so that they speak of nothing else
//  6. report NodeReady

// logDir is one log directory.
type logDir struct {
	path     string
	found    *log.Dir
	logs     map[string]*log.PartitionDir // what OpenDir found, by name
	replicas int                          // partitions placed here
	offline  bool

	writing bool        // a checkpoint job is under way
	stale   checkpoints // what has changed since it was last written
	due     checkpoints // what is to be written if it is stale
	freed   []string    // names that are free once the next job is done
	freeing []string    // once the job under way is
}

// jobOwner says who waits for a job.
type jobOwner struct {
	part *partition
	dir  *logDir
	path string
	to   string
	kind jobKind

	snapshot *takenSnapshot
	groups   *coordinator
}

type jobKind uint8

const (
	jobOfLog jobKind = iota
	jobOpenDir
	jobRecover
	jobOpenQuorum
	jobQuorumState
	jobSnapshot
	jobParseSnapshot
	jobStoreSnapshot
	jobSetAside // a stray, while booting
	jobRename   // a deleted partition
	jobRemove
	jobCheckpoint
	jobCloseDir
	jobLoadGroups
	jobMatchTopics
)

// order hands a job of the broker's own to the driver.
func (b *Broker) order(job log.Job, owner jobOwner) {
	op := log.OpID(b.newID())
	b.jobs[op] = owner
	b.fx.Jobs = append(b.fx.Jobs, log.RunJob{Op: op, Job: job})
}

func (b *Broker) jobDone(ev *JobDone) {
	owner, ok := b.jobs[ev.Op]
	if !ok {
		return
	}
	delete(b.jobs, ev.Op)
	if ev.Err != nil {
		b.jobFailed(owner, ev.Err)
	} else {
		b.jobEnded(owner, ev)
	}
	b.closedAll()
}

func (b *Broker) jobEnded(owner jobOwner, ev *JobDone) {
	switch owner.kind {
	case jobOfLog:
		b.logJobDone(owner.part, ev)
	case jobOpenDir:
		b.dirOpened(owner.dir, ev.Result.(*log.Dir))
	case jobRecover:
		b.recovered(owner.part, ev.Result.(*log.Recovered))
	case jobOpenQuorum:
		b.quorumFound(ev.Result.(*quorumFound))
	case jobQuorumState:
		b.hardStateWritten()
	case jobSnapshot:
		b.snapshotTaken(owner.snapshot)
	case jobParseSnapshot:
		b.snapshotParsed(ev.Result.(*fetchedSnapshot))
	case jobStoreSnapshot:
		b.snapshotStored()
	case jobSetAside:
		b.setAside()
	case jobRename:
		b.renamed(owner)
	case jobRemove, jobCloseDir:
	case jobCheckpoint:
		b.checkpointWritten(owner.dir)
	case jobLoadGroups:
		b.groupsRead(owner, ev.Result.(*loadedGroups))
	case jobMatchTopics:
		b.topicsMatched(owner, ev.Result.(*group.Matches))
	}
}

func (b *Broker) logJobDone(p *partition, ev *JobDone) {
	if p.log == nil || p.state == partitionOffline {
		return
	}
	from := len(b.fx.Jobs)
	p.log.JobDone(b.now, ev.Op, ev.Result, &b.fx.Orders)
	b.logChanged(p, from)
	if r, ok := ev.Result.(*log.Compacted); ok {
		b.report(Report{
			Kind: LogCompacted, Topic: p.topic.name, TopicID: p.topic.id,
			Partition: p.index, Text: cmp.Or(r.Uncleanable, r.Stats),
		})
		b.compacted(p.dir)
	}
}

func (b *Broker) started() {
	for i := range b.dirs {
		dir := &b.dirs[i]
		b.order(&log.OpenDir{
			Path: dir.path, NewClusterID: b.options.ClusterID, NodeID: b.options.NodeID,
			NewDirectoryID: b.random.uuid(),
		}, jobOwner{kind: jobOpenDir, dir: dir})
	}
	b.opening = len(b.dirs)
}

func (b *Broker) dirOpened(dir *logDir, found *log.Dir) {
	dir.found, dir.logs = found, make(map[string]*log.PartitionDir, len(found.Partitions))
	for i := range found.Partitions {
		one := &found.Partitions[i]
		dir.logs[log.DirName(one.Topic, one.Partition)] = one
	}
	b.opening--
	if b.opening > 0 {
		return
	}
	for i := range b.dirs[1:] {
		if own, other := b.dirs[0].found, b.dirs[i+1].found; own.ClusterID != other.ClusterID {
			b.fatal(fmt.Errorf("log directories belong to different clusters: %s to %s, %s to %s",
				b.dirs[0].path, own.ClusterID, b.dirs[i+1].path, other.ClusterID))
			return
		}
	}
	m := &b.metalog.partition
	m.topic = &topic{name: metadataTopic, id: metadataTopicID}
	m.dir = &b.dirs[0]
	b.recover(m, b.metadataLogConfig())
}

// recover orders p's directory to be made or opened.
func (b *Broker) recover(p *partition, cfg *log.Config) {
	p.id, p.state, p.armed = log.ID(b.newID()), partitionOpening, clock.Never
	b.logs[p.id] = p
	job := &log.Recover{
		Dir: p.path(), Now: b.now, TopicID: p.topic.id, Config: cfg, Settings: &b.settings,
		Clean: p.dir.found.Clean, Create: true, Renew: p == &b.metalog.partition,
	}
	name := log.DirName(p.topic.name, p.index)
	if found := p.dir.logs[name]; found != nil && found.TopicID == p.topic.id {
		job.RecoveryPoint, job.LogStartOffset = found.RecoveryPoint, found.LogStart
		job.HighWatermark, job.CleanerPoint = found.HighWatermark, found.CleanerPoint
		delete(p.dir.logs, name) // a later topic of the same name starts anew
	}
	b.order(job, jobOwner{kind: jobRecover, part: p})
}

// path is the partition's directory, the same whenever its topic's name is.
func (p *partition) path() string {
	return p.dir.path + "/" + log.DirName(p.topic.name, p.index)
}

// recovered brings a log online.
func (b *Broker) recovered(p *partition, r *log.Recovered) {
	if p == &b.metalog.partition {
		b.metalogRecovered(r)
		return
	}
	if p.state == partitionDeleted {
		b.rename(p)
		return
	}
	if p.state != partitionOpening {
		return
	}
	if b.phase > running { // the node stops: it stays closed
		p.state = partitionClosed
		b.openingEnded(p)
		return
	}
	t := b.image.TopicByID(p.topic.id)
	from := len(b.fx.Jobs)
	p.log = log.Open(p.id, p.path(), t.Config, &b.settings, b.newID, r, b.now)
	p.state, p.dir.stale = partitionOnline, allCheckpoints
	p.highWatermark, p.logStart = p.log.HighWatermark(), p.log.LogStartOffset()
	p.written = p.log.WrittenEndOffset()
	b.report(Report{
		Kind: PartitionOnline, Topic: p.topic.name, TopicID: p.topic.id, Partition: p.index,
		Offset: p.logStart, EndOffset: p.log.LogEndOffset(),
		Epoch: t.Partitions[p.index].LeaderEpoch, Text: r.Text,
	})
	b.assume(p, &t.Partitions[p.index])
	p.log.Tick(b.now, &b.fx.Orders) // retention may raise the log start: that is news
	b.logChanged(p, from)
	b.placed(p)
	b.openingEnded(p)
	if b.phase == booting {
		b.opening--
		b.readyMaybe()
	}
}

// openingEnded tells who made p that it is as open as it gets.
func (b *Broker) openingEnded(p *partition) {
	if o := p.opening; o != nil {
		p.opening = nil
		b.opened(o)
	}
}

func (b *Broker) metalogRecovered(r *log.Recovered) {
	if b.phase != booting {
		return
	}
	m := &b.metalog.partition
	from := len(b.fx.Jobs)
	m.log = log.Open(m.id, m.path(), b.metadataLogConfig(), &b.settings, b.newID, r, b.now)
	m.state = partitionOnline
	m.log.Tick(b.now, &b.fx.Orders)
	b.logChanged(m, from)
	start, end := m.log.LogStartOffset(), m.log.WrittenEndOffset()
	slice, _ := m.log.SliceFrom(start, end)
	b.order(&openQuorum{
		slice: slice, dir: m.path(), from: start, to: end,
		node: quorum.NodeID(b.options.NodeID), voters: b.firstVoters(),
		clean: m.dir.found.Clean, observes: !b.isController(),
	}, jobOwner{kind: jobOpenQuorum, part: m})
}

// metadataCaughtUp is called once in the node's life: from here on it knows all that was
// committed before.
func (b *Broker) metadataCaughtUp() {
	if b.isBroker() {
		b.beginLife()
		return
	}
	b.openAll()
}

func (b *Broker) directoryIDs() []wire.TopicID {
	var ids []wire.TopicID
	for i := range b.dirs {
		ids = append(ids, b.dirs[i].found.DirectoryID)
	}
	return ids
}

// clean reports whether the node's last stop was clean in all its directories.
func (b *Broker) clean() bool {
	for i := range b.dirs {
		if !b.dirs[i].found.Clean {
			return false
		}
	}
	return true
}

// openAll makes the topics of the image, moves aside what it does not know, and then
// recovers all logs. A node without the role of a broker leaves logs alone.
func (b *Broker) openAll() {
	b.opening = 1
	b.brokers = replicaBrokers(b.image)
	b.metalog.holds = true
	known := map[string]*partition{}
	for t := range b.image.Topics() {
		added := b.addTopic(t)
		for i := range t.Partitions {
			p := b.addPartition(added, int32(i))
			if b.hosts(&t.Partitions[i]) {
				p.state = partitionOpening
				known[log.DirName(t.Name, int32(i))] = p
			}
		}
	}
	for i := range b.dirs {
		dir := &b.dirs[i]
		for _, found := range dir.found.Partitions {
			if found.Topic == metadataTopic || !b.isBroker() {
				continue
			}
			p := known[log.DirName(found.Topic, found.Partition)]
			if p != nil && p.topic.id == found.TopicID && p.dir == nil {
				p.dir = dir
				dir.replicas++
				continue
			}
			b.opening++
			to := dir.path + "/" + log.StrayDirName(found.Topic, found.Partition, b.random.uuid())
			b.order(&log.Remove{Dir: found.Path, To: to}, jobOwner{kind: jobSetAside, dir: dir})
		}
	}
	b.setAside()
}

// setAside counts the strays that are out of the way, and opens the logs when all are.
func (b *Broker) setAside() {
	b.opening--
	if b.opening > 0 || b.dirs[0].offline {
		return
	}
	b.opening = 1
	for t := range b.image.Topics() {
		for i, p := range b.topicIDs[t.ID].partitions {
			if p.state == partitionAbsent {
				continue
			}
			b.place(p, &t.Partitions[i])
			if p.dir.offline {
				p.state = partitionOffline
				continue
			}
			b.opening++
			b.recover(p, t.Config)
		}
	}
	b.opening--
	b.readyMaybe()
}

// place chooses a log directory for a partition that has none: the one the controller
// has assigned (KIP-858), or else the one with the fewest.
func (b *Broker) place(p *partition, m *metadata.Partition) {
	if p.dir != nil {
		return
	}
	assigned := metadata.ID{}
	if i := slices.Index(m.Replicas, b.options.NodeID); i < len(m.Directories) {
		assigned = m.Directories[i]
	}
	for i := range b.dirs {
		dir := &b.dirs[i]
		if dir.offline {
			continue
		}
		if dir.found.DirectoryID == assigned {
			p.dir = dir
			break
		}
		if p.dir == nil || dir.replicas < p.dir.replicas {
			p.dir = dir
		}
	}
	p.dir.replicas++
}

// readyMaybe ends booting when all logs are open and the checkpoints are written.
func (b *Broker) readyMaybe() {
	if b.phase != booting || b.opening > 0 || b.fx.Fatal != nil {
		return
	}
	if !b.checkpointed {
		b.checkpointed = true
		for i := range b.dirs {
			b.dirs[i].stale, b.dirs[i].due = allCheckpoints, allCheckpoints
			b.checkpoint(&b.dirs[i])
		}
	}
	for i := range b.dirs {
		if b.dirs[i].writing && !b.dirs[i].offline {
			return
		}
	}
	b.logsOpen()
}
