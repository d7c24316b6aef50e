package core

import (
	"math"

	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/replica"
	"github.com/heiban/heiban/core/wire"
)

// A follower copies its leader's log. All followers of what one node leads share a
// fetcher: one Fetch of an incremental session (KIP-227) is in flight to that node, and
// the next one goes out when the last one's records are held, because it says so.

// following is a replica that copies its leader's log.
type following struct {
	replica.Follower
	fetcher *fetcher // of the leader's node; nil while there is no leader

	answer    replica.FetchAnswer // to records with which the log begins anew
	cutting   bool                // a truncation is under way
	restarted bool                // answer waits for it, and not the follower's decision
	ready     bool                // in fetcher.ready
	unheld    bool                // counted in fetcher.unheld
	waits     bool                // has nothing to ask before its records are held
}

// cut is a truncation of a log that is under way. It may outlast the role.
type cut struct {
	from      int64 // the log end offset before
	restartAt int64 // where the log begins anew, if it does so with records
	active    bool
	restarted bool
}

// fetcher fetches from one node for all partitions that follow it.
type fetcher struct {
	link    *link
	request wire.FetchRequest // of the Fetch in flight

	ready     []*partition // may have something to ask
	entries   []*fetchEntry
	index     map[*partition]*fetchEntry
	closed    []*fetchEntry // answered since the last Fetch; may be open again
	followers int           // partitions that follow the node
	open      int           // entries that are open
	unheld    int           // partitions with records that are not held yet

	patience clock.Instant // until when the next Fetch waits for them
	armed    clock.Instant // when the fetcher will be looked at
	session  int32         // 0: none
	epoch    int32         // of the session, for the next Fetch; 0 asks for all of it
	node     int32
	fetching bool // a Fetch is in flight
	pumped   bool // in Broker.pumps
}

// fetchEntry is a partition in a fetch session.
type fetchEntry struct {
	part *partition
	ask  replica.Ask // what was asked last
	told bool        // the node knows it as part of the session, with ask
	open bool        // ask is not answered
}

const (
	// holdPatience is how long a Fetch waits for the records of the last one to be held.
	// A slow disk must not keep partitions on others from being replicated.
	holdPatience = 20 * clock.Millisecond
	// stragglerWaitMillis is how long a Fetch may wait at the leader while a partition waits
	// to be fetched again.
	stragglerWaitMillis = 20
)

// fetcherOf returns the fetcher of a node.
func (b *Broker) fetcherOf(node int32) *fetcher {
	f := b.fetchers[node]
	if f == nil {
		f = &fetcher{
			node: node, link: b.linkTo(fetchLink, node), armed: clock.Never,
			index: map[*partition]*fetchEntry{},
		}
		b.fetchers[node] = f
	}
	return f
}

// unfollow ends p's role of a follower, if it has it. Its leader is told with the next
// Fetch.
func (b *Broker) unfollow(p *partition) {
	if p.follower == nil {
		return
	}
	if f := p.follower.fetcher; f != nil {
		f.followers--
		f.held(p.follower)
		if e := f.index[p]; e != nil {
			f.close(e)
		}
		b.pumpLater(f)
	}
	p.follower = nil
}

// held notes that what a follower appended is held, or of no interest any more.
func (f *fetcher) held(follower *following) {
	if follower.unheld {
		follower.unheld = false
		f.unheld--
	}
}

// close notes that an entry's question is answered, or not open any more.
func (f *fetcher) close(e *fetchEntry) {
	if e.open {
		e.open = false
		f.open--
		f.closed = append(f.closed, e)
	}
}

// askLater has p asked at the end of this Step what it wants to know of its leader.
func (b *Broker) askLater(p *partition) {
	follower := p.follower
	if follower.fetcher == nil {
		return
	}
	if !follower.ready {
		follower.ready = true
		follower.fetcher.ready = append(follower.fetcher.ready, p)
	}
	b.pumpLater(follower.fetcher)
}

func (b *Broker) pumpLater(f *fetcher) {
	if !f.pumped {
		f.pumped = true
		b.pumps = append(b.pumps, f)
	}
}

// pumpAll sends what was found in this Step to be asked of other nodes, and reports
// whether it found anything.
func (b *Broker) pumpAll() bool {
	some := len(b.pumps) > 0
	for i := 0; i < len(b.pumps); i++ { // a link that is hung up may add to it
		f := b.pumps[i]
		b.pumps[i], f.pumped = nil, false
		b.pump(f)
	}
	b.pumps = b.pumps[:0]
	return b.askISR() || some
}

// pump sends the next Fetch, if there is something to ask and none is in flight.
func (b *Broker) pump(f *fetcher) {
	if f.followers == 0 {
		b.dropFetcher(f)
		return
	}
	if f.fetching {
		return
	}
	if f.unheld > 0 && b.now.Mono < f.patience {
		b.armFetcher(f, f.patience)
		return
	}
	var lists *listing
	for _, p := range f.ready {
		if p.follower == nil || p.follower.fetcher != f || !p.follower.ready {
			continue
		}
		p.follower.ready = false
		lists = b.askOne(f, p, lists)
	}
	clear(f.ready)
	f.ready = f.ready[:0]
	if lists != nil {
		b.ask(f.link, lists.request(b.options.NodeID), b.base.ReplicaSocketTimeout, lists)
	}
	b.sendFetch(f)
}

// dropFetcher ends the fetcher of a node that nobody follows.
func (b *Broker) dropFetcher(f *fetcher) {
	if b.fetchers[f.node] == f {
		delete(b.fetchers, f.node)
		b.hangUp(f.link)
	}
}

// armFetcher asks for a fetcher to be looked at.
func (b *Broker) armFetcher(f *fetcher, at clock.Instant) {
	if at < f.armed {
		f.armed = at
		b.deadlines.push(deadline{at: at, fetcher: f, kind: fetcherDeadline})
	}
}

// askOne takes in what one partition wants to know now, if anything, and returns the
// ListOffsets that is to be sent, or nil.
func (b *Broker) askOne(f *fetcher, p *partition, lists *listing) *listing {
	if p.log.Truncating() {
		return lists // it asks when that is done
	}
	ask, ok := p.follower.Next(b.now.Mono)
	switch {
	case !ok:
		p.follower.waits = p.log.HeldEndOffset() < p.log.LogEndOffset()
		b.armRole(p, p.follower.Deadline())
	case ask.Kind == replica.AskRecords:
		f.openEntry(p, &ask)
	default:
		if lists == nil {
			lists = &listing{fetcher: f}
		}
		lists.asked = append(lists.asked, listed{part: p, ask: ask})
	}
	return lists
}

// openEntry puts a partition's question into the session.
func (f *fetcher) openEntry(p *partition, ask *replica.Ask) {
	e := f.index[p]
	if e == nil {
		e = &fetchEntry{part: p}
		f.index[p] = e
		f.entries = append(f.entries, e)
	}
	e.told = e.told && e.ask == *ask
	e.ask = *ask
	if !e.open {
		e.open = true
		f.open++
	}
}

// sendFetch sends the next Fetch of the session: what is new in it, and what left it.
func (b *Broker) sendFetch(f *fetcher) {
	if f.open == 0 {
		return // what is closed is forgotten with the next Fetch
	}
	req := &f.request
	forgotten := req.Forgotten[:0]
	if f.epoch == 0 {
		for _, e := range f.entries {
			e.told = false
		}
	}
	forgotten = f.forget(forgotten)
	*req = wire.FetchRequest{
		Version: fetchVersion, Partitions: req.Partitions[:0], Forgotten: forgotten,
		ReplicaID: b.options.NodeID, ReplicaEpoch: b.life.epoch,
		MaxWaitMillis: int32(b.base.ReplicaFetchWaitMax.Millis()),
		MinBytes:      b.base.ReplicaFetchMinBytes, MaxBytes: b.base.ReplicaFetchResponseBytes,
		SessionID: f.session, SessionEpoch: f.epoch,
	}
	if f.unheld > 0 {
		req.MaxWaitMillis = min(req.MaxWaitMillis, stragglerWaitMillis)
	}
	for _, e := range f.entries {
		if e.open && !e.told {
			e.told = true
			req.Partitions = append(req.Partitions, e.wanted(b.base.ReplicaFetchMaxBytes))
		}
	}
	for i := 1; i < len(req.Partitions); i++ {
		one, before := &req.Partitions[i], &req.Partitions[i-1]
		one.TopicRun = before.TopicRun
		if one.TopicID != before.TopicID {
			one.TopicRun++
		}
	}
	f.fetching = true
	b.ask(f.link, req, b.base.ReplicaSocketTimeout, f)
}

// fetchVersion is the version of Fetch that followers use.
const fetchVersion = 18

// forget drops the entries that are closed, and adds to forgotten those that the node
// knows.
func (f *fetcher) forget(forgotten []wire.ForgottenPartition) []wire.ForgottenPartition {
	gone := false
	for i, e := range f.closed {
		f.closed[i] = nil
		if e.open || f.index[e.part] != e {
			continue
		}
		gone = true
		delete(f.index, e.part)
		if f.epoch > 0 && !f.replaced(e.part) {
			forgotten = append(forgotten, wire.ForgottenPartition{
				TopicID: e.part.topic.id, Partition: e.part.index,
			})
		}
	}
	f.closed = f.closed[:0]
	if gone {
		kept := f.entries[:0]
		for _, e := range f.entries {
			if f.index[e.part] == e {
				kept = append(kept, e)
			}
		}
		clear(f.entries[len(kept):])
		f.entries = kept
	}
	return forgotten
}

// replaced reports whether a replica that was removed is there again and is fetched: then
// the session goes on with that one, since the node knows both by the same name.
func (f *fetcher) replaced(gone *partition) bool {
	now := gone.topic.partitions[gone.index]
	return now != gone && f.index[now] != nil && f.index[now].open
}

// wanted is how an entry stands in a request.
func (e *fetchEntry) wanted(maxBytes int32) wire.FetchPartition {
	return wire.FetchPartition{
		TopicID: e.part.topic.id, Partition: e.part.index, MaxBytes: maxBytes,
		FetchOffset: e.ask.FetchOffset, LogStartOffset: e.ask.LogStartOffset,
		HighWatermark:      e.ask.HighWatermark,
		CurrentLeaderEpoch: e.ask.CurrentLeaderEpoch, LastFetchedEpoch: e.ask.LastFetchedEpoch,
	}
}

// answered takes the answer to a Fetch.
func (f *fetcher) answered(b *Broker, resp wire.Response, err error) {
	f.fetching = false
	b.pumpLater(f)
	r, ok := resp.(*wire.FetchResponse)
	switch {
	case err != nil || !ok:
		b.fetchFailed(f, errcode.NetworkException)
	case lostSession(r.Err): // all is asked anew
		f.session, f.epoch = 0, 0
	case r.Err != errcode.None:
		b.fetchFailed(f, r.Err)
	default:
		f.advance(r.SessionID)
		for i := range r.Partitions {
			part := &r.Partitions[i]
			if e := b.entryOf(f, part); e != nil {
				b.fetchedPart(f, e, part)
			}
		}
	}
}

// lostSession reports whether a node does not know the session any more.
func lostSession(code errcode.Code) bool {
	return code == errcode.FetchSessionIDNotFound || code == errcode.InvalidFetchSessionEpoch ||
		code == errcode.FetchSessionTopicIDError
}

// advance goes on to the next epoch of the session, in which an answer came.
func (f *fetcher) advance(session int32) {
	f.session = session
	switch {
	case session == 0: // there is none
		f.epoch = 0
	case f.epoch == math.MaxInt32:
		f.epoch = 1
	default:
		f.epoch++
	}
}

// fetchFailed tells all who wait for an answer that there is none.
func (b *Broker) fetchFailed(f *fetcher, code errcode.Code) {
	f.session, f.epoch = 0, 0
	failed := wire.FetchedPartition{Err: code, DivergingEpoch: -1, DivergingEndOffset: -1}
	for _, e := range f.entries {
		if e.open {
			b.fetchedPart(f, e, &failed)
		}
	}
}

// entryOf returns the entry of a session that a part of an answer is about, or nil.
func (b *Broker) entryOf(f *fetcher, part *wire.FetchedPartition) *fetchEntry {
	t := b.topicIDs[part.TopicID]
	if t == nil || part.Partition < 0 || int(part.Partition) >= len(t.partitions) {
		return nil
	}
	return f.index[t.partitions[part.Partition]]
}

// fetchedPart takes in what a leader says of one partition.
func (b *Broker) fetchedPart(f *fetcher, e *fetchEntry, part *wire.FetchedPartition) {
	p := e.part
	f.close(e)
	if p.follower == nil || p.state != partitionOnline || p.log.Truncating() {
		return
	}
	a := replica.FetchAnswer{
		Diverging: replica.EpochEnd{
			Epoch: part.DivergingEpoch, EndOffset: part.DivergingEndOffset,
		},
		HighWatermark: part.HighWatermark, LogStartOffset: part.LogStartOffset, Err: part.Err,
	}
	own := replica.NoEpoch
	if a.Diverging.Epoch >= 0 {
		own = p.endOf(a.Diverging.Epoch)
	}
	b.decided(p, p.follower.Fetched(b.now.Mono, &e.ask, &a, own), &a, part)
}

// decided carries out what p's follower decided.
func (b *Broker) decided(
	p *partition, d replica.Decision, a *replica.FetchAnswer, part *wire.FetchedPartition,
) {
	switch d.Kind {
	case replica.Nothing:
		b.askLater(p)
	case replica.Append:
		b.replicate(p, a, part)
	case replica.Truncate, replica.TruncateFully:
		p.follower.cutting = true
		p.cut = cut{active: true, from: p.log.LogEndOffset()}
		from := len(b.fx.Jobs)
		if d.Kind == replica.Truncate {
			p.log.TruncateTo(b.now, d.Offset, &b.fx.Orders)
		} else {
			p.log.TruncateFullyAndStartAt(b.now, d.Offset, &b.fx.Orders)
		}
		b.logChanged(p, from)
	}
}

// replicate appends the batches of an answer that the follower accepts.
func (b *Broker) replicate(p *partition, a *replica.FetchAnswer, part *wire.FetchedPartition) {
	follower, base := p.follower, p.log.LogEndOffset()
	from := len(b.fx.Jobs)
	err, batches := part.Prepared.Err, &part.Prepared.Batches
	if err == nil {
		accepted := 0
		for accepted < batches.Len() &&
			follower.Accepts(batches.Header(accepted).PartitionLeaderEpoch) {
			accepted++
		}
		batches.Keep(accepted)
		err = p.log.AppendReplicated(b.now, batches, &b.fx.Orders)
	}
	if err != nil { // the leader's disk or the network may do better the next time
		b.report(Report{
			Kind: ReplicationFailed, Topic: p.topic.name, TopicID: p.topic.id,
			Partition: p.index, EndOffset: base, Epoch: p.leaderEpoch, Text: err.Error(),
		})
		follower.AppendFailed(b.now.Mono, errcode.CorruptMessage)
		b.askLater(p)
		return
	}
	if p.log.Truncating() {
		follower.cutting, follower.restarted, follower.answer = true, true, *a
		p.cut = cut{
			active: true, from: base, restarted: true, restartAt: batches.Header(0).BaseOffset,
		}
	} else {
		b.replicated(p, a, base)
	}
	b.logChanged(p, from)
}

// replicated tells the follower where its log ends after an answer, the end having been
// base before.
func (b *Broker) replicated(p *partition, a *replica.FetchAnswer, base int64) {
	state := p.logState()
	p.follower.Appended(a, &state)
	if state.LogEndOffset > base {
		b.report(Report{
			Kind: RecordsReplicated, Topic: p.topic.name, TopicID: p.topic.id,
			Partition: p.index, Offset: base, EndOffset: state.LogEndOffset, Epoch: p.leaderEpoch,
		})
	}
	f := p.follower.fetcher
	if f != nil && state.HeldEndOffset < state.LogEndOffset && !p.follower.unheld {
		p.follower.unheld = true
		f.unheld++
		f.patience = b.now.Mono.Add(holdPatience)
	}
	b.takeMarks(p)
	b.askLater(p)
}

// takeMarks brings the log's high watermark and start to where the follower says.
func (b *Broker) takeMarks(p *partition) {
	p.log.MoveHighWatermark(p.follower.HighWatermark())
	if high := p.log.HighWatermark(); high != p.highWatermark {
		p.highWatermark = high
		p.dir.stale |= highWatermarks
		b.report(Report{
			Kind: HighWatermarkLearned, Topic: p.topic.name, TopicID: p.topic.id,
			Partition: p.index, Offset: high, EndOffset: p.log.LogEndOffset(),
			Epoch: p.leaderEpoch,
		})
		b.wakeFetches(p)
	}
	if start := p.follower.LogStartOffset(); start > p.log.LogStartOffset() {
		p.log.DeleteRecordsBefore(b.now, start, &b.fx.Orders)
	}
}

// followerSeesLog tells p's follower where its log stands.
func (b *Broker) followerSeesLog(p *partition) {
	if p.log.Truncating() {
		return
	}
	follower := p.follower
	if follower.cutting {
		b.truncated(p)
	}
	if p.follower != follower { // it had to wait for that to become something else
		return
	}
	held := p.log.HeldEndOffset()
	follower.Held(held)
	if (follower.unheld || follower.waits) && held >= p.log.LogEndOffset() {
		follower.waits = false
		if follower.fetcher != nil {
			follower.fetcher.held(follower)
		}
		b.askLater(p)
	}
}

// cutEnded reports a truncation that is done.
func (b *Broker) cutEnded(p *partition) {
	c := p.cut
	p.cut = cut{}
	r := Report{
		Kind: LogTruncated, Topic: p.topic.name, TopicID: p.topic.id, Partition: p.index,
		Offset: p.log.LogStartOffset(), EndOffset: p.log.LogEndOffset(), From: c.from,
		Epoch: p.leaderEpoch,
	}
	if c.restarted {
		r.Offset, r.EndOffset = c.restartAt, c.restartAt
		p.logStart = c.restartAt // from where it goes up at once
	}
	b.report(r)
}

// truncated goes on after a truncation.
func (b *Broker) truncated(p *partition) {
	follower := p.follower
	follower.cutting = false
	if follower.restarted {
		follower.restarted = false
		b.replicated(p, &follower.answer, p.logStart)
	} else {
		state := p.logState()
		follower.Truncated(&state)
		b.takeMarks(p)
		b.askLater(p)
	}
	if m := b.described(p); m != nil {
		b.assume(p, m)
	}
}
