package sim

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/core/errcode"
)

// memberPart is a partition that a member works on.
type memberPart struct {
	topic     string
	id        checker.PartitionID
	position  int64 // -1: to be asked for
	committed int64 // position of the last commit that was acknowledged; -1: none
	epoch     int32 // or generation, in which it was last assigned
}

func (m *Member) part(id checker.PartitionID) *memberPart {
	for _, p := range m.parts {
		if p.id == id {
			return p
		}
	}
	return nil
}

// takeWanted begins with the partitions that the member shall have, and reports whether
// there are new ones. Present says that the coordinator spoke of the present.
func (m *Member) takeWanted(about *memberRequest, present bool) bool {
	added := false
	for _, id := range m.wanted {
		t := m.topicOf(id.Topic)
		if t == "" {
			m.catalog.stale(m.now.Mono)
			continue // it is taken once the member knows of it
		}
		p := m.part(id)
		if p == nil {
			p = &memberPart{topic: t, id: id, position: -1, committed: -1}
			m.parts, added = append(m.parts, p), true
		}
		p.epoch = m.epoch
		if present {
			m.config.Groups.Took(m.config.Group, m.id, id, m.epoch, about.sent, m.now.Mono)
		}
	}
	return added
}

// topicOf returns the name of a topic, or nothing.
func (m *Member) topicOf(id checker.TopicID) string {
	for _, t := range m.topics {
		if t.id == id {
			return t.name
		}
	}
	return ""
}

// giveUnwanted commits, and gives up what the member shall not have any more.
func (m *Member) giveUnwanted() {
	unwanted := func(p *memberPart) bool { return !slices.Contains(m.wanted, p.id) }
	if !slices.ContainsFunc(m.parts, unwanted) {
		return
	}
	m.nextCommit = m.now.Mono
	m.commit()
	m.parts = slices.DeleteFunc(m.parts, func(p *memberPart) bool {
		if unwanted(p) {
			m.config.Groups.Gave(m.config.Group, m.id, p.id)
			return true
		}
		return false
	})
}

// rest commits and gives all up.
func (m *Member) rest() {
	m.nextCommit = m.now.Mono
	m.commit()
	m.giveAll()
}

func (m *Member) giveAll() {
	for _, p := range m.parts {
		m.config.Groups.Gave(m.config.Group, m.id, p.id)
	}
	m.parts = m.parts[:0:0]
}

// dirty reports whether there is something to commit.
func (m *Member) dirty() bool {
	return slices.ContainsFunc(m.parts, func(p *memberPart) bool {
		return p.position >= 0 && p.position != p.committed && p.position > 0
	})
}

// commit commits the positions that are new, if it is time to.
func (m *Member) commit() {
	if m.committing || m.coordinator < 0 || m.now.Mono < m.nextCommit || !m.dirty() ||
		m.epoch <= 0 {
		return
	}
	conn := m.ready(m.coordinator, laneControl)
	if conn == nil {
		m.nextCommit = m.now.Mono.Add(m.backoff)
		return
	}
	m.nextCommit = m.now.Mono.Add(m.config.CommitEvery)
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID = m.versions.commit, m.config.Group, m.id
	req.Generation, req.InstanceID = m.epoch, m.instance()
	req.RetentionTimeMillis = -1
	call := &commitCall{life: m.lives}
	for _, p := range m.parts {
		if p.position <= 0 || p.position == p.committed {
			continue
		}
		m.tags++
		tag := fmt.Sprintf("%d/%d", m.client, m.tags)
		addCommit(req, p.topic, p.id, p.position, tag)
		call.refs = append(call.refs, m.config.Groups.Commit(&checker.OffsetCommit{
			Group: m.config.Group, Member: m.id, Tag: tag, Partition: p.id, Offset: p.position,
			Epoch: m.epoch, Client: m.client, Classic: !m.consumer,
		}))
		call.parts, call.to = append(call.parts, p), append(call.to, p.position)
	}
	m.call(conn, req, call)
	m.committing = true
	m.remember(req)
}

func addCommit(
	req *kmsg.OffsetCommitRequest, topic string, id checker.PartitionID, offset int64, tag string,
) {
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = id.Index, offset, -1, kmsg.StringPtr(tag)
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.TopicID = topic, id.Topic
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
}

func (m *Member) committed(call *commitCall, r *kmsg.OffsetCommitResponse) {
	if call.life == m.lives {
		m.committing = false
	}
	worst := errcode.None
	for i := range call.refs {
		code := errcode.UnknownServerError
		if i < len(r.Topics) && len(r.Topics[i].Partitions) == 1 {
			code = errcode.Code(r.Topics[i].Partitions[0].ErrorCode)
		}
		m.config.Groups.Committed(m.config.Group, call.refs[i], commitOutcome(code))
		if code == errcode.None {
			call.parts[i].committed = call.to[i]
			continue
		}
		worst = code
	}
	if call.life != m.lives || worst == errcode.None {
		return
	}
	m.nextCommit = max(m.nextCommit, m.now.Mono.Add(m.backoff))
	if worst == errcode.UnknownTopicOrPartition || worst == errcode.UnknownTopicID ||
		worst == errcode.StaleMemberEpoch || worst == errcode.RebalanceInProgress {
		return // heartbeats will tell
	}
	if !m.again(worst) && !m.consumer && m.stage == memberInside && !m.asking {
		m.classicError(worst)
	}
}

// commitOutcome says what an error tells of a commit.
func commitOutcome(code errcode.Code) checker.Outcome {
	switch code {
	case errcode.None:
		return checker.Done
	case errcode.IllegalGeneration, errcode.UnknownMemberID, errcode.FencedInstanceID,
		errcode.RebalanceInProgress, errcode.StaleMemberEpoch, errcode.GroupIDNotFound,
		errcode.UnknownTopicOrPartition, errcode.UnknownTopicID, errcode.OffsetMetadataTooLarge,
		errcode.InvalidGroupID, errcode.CoordinatorLoadInProgress, errcode.UnsupportedVersion:
		return checker.Refused
	}
	return checker.Unknown // a coordinator may lose its office with the commit in the log
}

// fetchOffsets asks where to go on.
func (m *Member) fetchOffsets() {
	if m.offsets || m.now.Mono < m.retryAt || m.stage != memberInside {
		return
	}
	call := &offsetsCall{life: m.lives}
	for _, p := range m.parts {
		if p.position < 0 {
			call.parts = append(call.parts, p)
		}
	}
	if len(call.parts) == 0 {
		return
	}
	conn := m.ready(m.coordinator, laneControl)
	if conn == nil {
		m.holdOff()
		return
	}
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group = m.versions.fetchOffsets, m.config.Group
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = m.config.Group
	if m.consumer {
		g.MemberID, g.MemberEpoch = &m.id, m.epoch
	}
	for _, p := range call.parts {
		t := kmsg.NewOffsetFetchRequestTopic()
		t.Topic, t.Partitions = p.topic, []int32{p.id.Index}
		req.Topics = append(req.Topics, t)
		gt := kmsg.NewOffsetFetchRequestGroupTopic()
		gt.Topic, gt.TopicID, gt.Partitions = p.topic, p.id.Topic, []int32{p.id.Index}
		g.Topics = append(g.Topics, gt)
	}
	if req.Version >= 8 {
		req.Groups = append(req.Groups, g)
	}
	call.called, call.node = m.config.Groups.Now(), conn.node
	m.call(conn, req, call)
	m.offsets = true
}

func (m *Member) offsetsFetched(call *offsetsCall, r *kmsg.OffsetFetchResponse) {
	if call.life != m.lives {
		return
	}
	m.offsets = false
	if code := errcode.Code(r.ErrorCode); code != errcode.None {
		m.offsetsFailed(code)
		return
	}
	if len(r.Groups) > 0 {
		if code := errcode.Code(r.Groups[0].ErrorCode); code != errcode.None {
			m.offsetsFailed(code)
			return
		}
		r.Topics = r.Topics[:0]
		for _, t := range r.Groups[0].Topics {
			out := kmsg.OffsetFetchResponseTopic{Topic: t.Topic}
			for _, p := range t.Partitions {
				out.Partitions = append(out.Partitions, kmsg.OffsetFetchResponseTopicPartition{
					Partition: p.Partition, Offset: p.Offset, Metadata: p.Metadata,
					ErrorCode: p.ErrorCode,
				})
			}
			r.Topics = append(r.Topics, out)
		}
	}
	for i, p := range call.parts {
		if i >= len(r.Topics) || len(r.Topics[i].Partitions) != 1 {
			m.config.Groups.Judge().Report(checker.CommittedOffsets, "unanswered",
				"group %s: client %d asked for %d partitions and was told of others",
				m.config.Group, m.client, len(call.parts))
			return
		}
		answer := &r.Topics[i].Partitions[0]
		if code := errcode.Code(answer.ErrorCode); code != errcode.None {
			m.offsetsFailed(code)
			continue
		}
		m.goOn(call, p, answer)
	}
}

// goOn lets the member read a partition from where the group stands.
func (m *Member) goOn(
	call *offsetsCall, p *memberPart, answer *kmsg.OffsetFetchResponseTopicPartition,
) {
	tag := ""
	if answer.Metadata != nil {
		tag = *answer.Metadata
	}
	m.config.Groups.OffsetFetched(&checker.OffsetRead{
		Group: m.config.Group, Tag: tag, Partition: p.id, Offset: answer.Offset,
		Called: call.called, Node: call.node, Client: m.client,
	})
	if m.part(p.id) != p || p.position >= 0 {
		return // given up meanwhile
	}
	p.position, p.committed = max(answer.Offset, 0), answer.Offset
	m.config.Groups.Judge().Positioned(m.client, p.id, p.position)
}

func (m *Member) offsetsFailed(code errcode.Code) {
	if m.again(code) {
		return
	}
	m.holdOff()
	switch code {
	case errcode.UnknownTopicID, errcode.UnknownTopicOrPartition, errcode.StaleMemberEpoch,
		errcode.IllegalGeneration, errcode.UnknownMemberID, errcode.GroupIDNotFound:
		return // heartbeats will tell
	}
	m.config.Groups.Judge().Report(checker.CommittedOffsets, "unexpected-error",
		"group %s: %s is told %v", m.config.Group, m.id, code)
}
