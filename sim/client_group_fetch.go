package sim

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
)

// memberFetch is a Fetch of one node that is under way.
type memberFetch struct {
	parts  []*memberPart
	from   []int64
	called int64
	node   int32
	life   int
}

// fetchAll reads on, one Fetch of each node at a time.
func (m *Member) fetchAll() {
	if m.now.Mono < m.nextFetch {
		return
	}
	m.nextFetch = m.now.Mono.Add(clock.Duration(m.rand.Exponential(int64(m.config.Interval))) + 1)
	var calls []*memberFetch
	for _, p := range m.parts {
		leader := m.catalog.leader(p.topic, p.id.Index)
		if leader < 0 {
			m.catalog.stale(m.now.Mono)
		}
		if p.position < 0 || leader < 0 {
			continue
		}
		i := slices.IndexFunc(calls, func(c *memberFetch) bool { return c.node == leader })
		if i < 0 {
			i, calls = len(calls), append(calls, &memberFetch{node: leader, life: m.lives})
		}
		calls[i].parts = append(calls[i].parts, p)
		calls[i].from = append(calls[i].from, p.position)
	}
	for _, call := range calls {
		conn := m.ready(call.node, laneData)
		if conn == nil || len(conn.calls) > 0 {
			continue
		}
		m.fetchFrom(conn, call)
	}
}

func (m *Member) fetchFrom(conn *clientConn, call *memberFetch) {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.ReplicaID, req.SessionEpoch = m.versions.fetch, -1, -1
	req.MaxBytes, req.MinBytes, req.MaxWaitMillis = 1<<20, 1, 0
	for i, p := range call.parts {
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = p.id.Index, call.from[i], 1<<17
		rp.CurrentLeaderEpoch, rp.LastFetchedEpoch, rp.LogStartOffset = -1, -1, -1
		t := kmsg.NewFetchRequestTopic()
		t.Topic, t.TopicID = p.topic, p.id.Topic
		t.Partitions = append(t.Partitions, rp)
		req.Topics = append(req.Topics, t)
	}
	call.called = m.config.Groups.Now()
	m.call(conn, req, call)
}

func (m *Member) fetchEnded(call *memberFetch) {
	if call.life == m.lives {
		m.nextFetch = max(m.nextFetch, m.now.Mono.Add(m.backoff))
	}
}

func (m *Member) fetched(call *memberFetch, r *kmsg.FetchResponse) {
	m.fetchEnded(call)
	if errcode.Code(r.ErrorCode) != errcode.None {
		m.catalog.stale(m.now.Mono)
		return
	}
	for i := range r.Topics {
		t := &r.Topics[i]
		for j := range t.Partitions {
			part := &t.Partitions[j]
			for n, p := range call.parts {
				same := p.topic == t.Topic
				if m.versions.fetch >= 13 {
					same = p.id.Topic == t.TopicID
				}
				if same && p.id.Index == part.Partition && p.position == call.from[n] &&
					m.part(p.id) == p {
					m.read(call, p, part)
				}
			}
		}
	}
}

// read takes in what a partition has to say.
func (m *Member) read(call *memberFetch, p *memberPart, part *kmsg.FetchResponseTopicPartition) {
	judge := m.config.Groups.Judge()
	switch errcode.Code(part.ErrorCode) {
	case errcode.None:
	case errcode.OffsetOutOfRange:
		committed := int64(-1)
		judge.OutOfRange(m.client, checker.ReplicaID{PartitionID: p.id, Node: call.node},
			p.position, committed, call.called)
		p.position = -1
		return
	default:
		m.catalog.stale(m.now.Mono)
		m.catalog.hint(p.topic, p.id.Index, part.CurrentLeader.LeaderID,
			part.CurrentLeader.LeaderEpoch)
		return
	}
	f := checker.Fetched{
		Partition: p.id, FetchOffset: p.position, HighWatermark: part.HighWatermark,
		Called: call.called, Consumer: m.client, Node: call.node, End: p.position,
	}
	for data := part.RecordBatches; len(data) > 0; {
		b, records, size, err := readBatch(m.config.Codec, data)
		if err != nil {
			judge.Corrupt(m.client, p.id, f.End, err)
			break
		}
		if size == 0 {
			break
		}
		data = data[size:]
		for i := range records {
			if r := &records[i]; r.Offset >= p.position {
				f.Records = append(f.Records, checker.Read{
					Offset: r.Offset, Hash: checker.RecordHash(r.Key, r.Value), Epoch: b.LeaderEpoch,
				})
			}
		}
		f.End = max(f.End, b.EndOffset)
	}
	judge.Fetched(&f)
	if f.End > p.position {
		m.config.Groups.Delivered(m.config.Group, p.id, p.position, f.End)
		p.position = f.End
		if m.config.CommitEvery == 0 {
			m.nextCommit = m.now.Mono
		}
	}
}
