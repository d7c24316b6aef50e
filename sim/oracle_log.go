package sim

import (
	"strconv"
	"strings"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/log"
)

const logFileSuffix = ".log"

// straySuffix ends the name of a directory that a node puts aside.
const straySuffix = "-stray"

// hosted is one partition on one node, with the place of every batch that was
// written while the oracle watched.
type hosted struct {
	id      checker.ReplicaID
	topic   string
	dir     string
	online  bool // in this life
	placed  []placedBatch
	written int // how many of placed are written, from the first on
}

type placedBatch struct {
	path      string
	from, to  int64 // in the file
	base, end int64 // offsets
	written   bool
}

// firstHit returns the first offset that a damage took. Where no batch is known to
// have been, after compaction for example, it is the first of the file.
func (h *hosted) firstHit(d *Damage, name string) int64 {
	first, _ := strconv.ParseInt(strings.TrimSuffix(name, logFileSuffix), 10, 64)
	known := false
	hit := int64(-1)
	for i := range h.placed {
		p := &h.placed[i]
		if p.path != d.Path {
			continue
		}
		known = true
		if p.from < d.To && d.From < p.to && (hit < 0 || p.base < hit) {
			hit = p.base
		}
	}
	switch {
	case hit >= 0:
		return hit
	case known && d.Kind != FileLost:
		// Between batches: the end of the last one before it.
		return h.endBefore(d, first)
	}
	return first
}

func (h *hosted) endBefore(d *Damage, first int64) int64 {
	for i := range h.placed {
		if p := &h.placed[i]; p.path == d.Path && p.to <= d.From {
			first = max(first, p.base+1)
		}
	}
	return first
}

// online takes up a partition that is served from now on.
func (o *Oracle) online(n *oracleNode, node int32, r *core.Report) {
	id := replicaID(node, r)
	dir := logDir + "/" + log.DirName(r.Topic, r.Partition)
	h := n.dirs[dir]
	if h == nil || h.id != id {
		h = &hosted{id: id, topic: r.Topic, dir: dir}
		n.dirs[dir] = h
		n.hosted = append(n.hosted, h)
		o.meet(id.PartitionID, r.Topic)
	}
	h.online = true
	batches, durable, err := parseSegments(o.world.Disk(node).segments(h.dir))
	o.judge.Returned(id, batches)
	o.judge.Online(id, r.Offset, r.EndOffset)
	// No event tells of what a recovery, a seal or a clean stop synced, nor of what a
	// power loss left.
	o.judge.Durable(id, batches[:durable])
	o.judge.Inspected(id, batches, err)
	h.cut(r.EndOffset)
	for i := range h.placed {
		h.placed[i].written = true
	}
	h.written = len(h.placed)
}

func replicaID(node int32, r *core.Report) checker.ReplicaID {
	return checker.ReplicaID{
		PartitionID: checker.PartitionID{Topic: r.TopicID, Index: r.Partition}, Node: node,
	}
}

func (o *Oracle) meet(id checker.PartitionID, topic string) {
	o.judge.Meet(id, topic+"-"+strconv.Itoa(int(id.Index)), o.policy(topic))
}

// cut forgets the places of batches that are in the log no more.
func (h *hosted) cut(end int64) {
	kept := h.placed[:0]
	written := 0
	for i, p := range h.placed {
		if p.base >= end {
			continue
		}
		if kept = append(kept, p); i < h.written {
			written++
		}
	}
	h.placed, h.written = kept, written
}

// writeDone takes in that the file which has the record before endOffset is written up
// to there, and returns up to where the log is. Files may be done out of order.
func (h *hosted) writeDone(endOffset int64) int64 {
	path := ""
	for i := len(h.placed) - 1; i >= h.written; i-- {
		p := &h.placed[i]
		if p.end == endOffset {
			path = p.path
		}
		p.written = p.written || path != "" && p.path == path
	}
	end := int64(0)
	for h.written < len(h.placed) && h.placed[h.written].written {
		h.written++
	}
	if h.written > 0 {
		end = h.placed[h.written-1].end
	}
	return end
}

// parseSegments returns the batches up to the first that is none, and how many of
// them are durable with all that is before them.
func parseSegments(segments []peeked) (batches []checker.Batch, durable int, err error) {
	sure := true
	for _, s := range segments {
		for data := s.data; len(data) > 0; {
			b, _, size, err := checker.ParseBatch(data)
			if err != nil {
				return batches, durable, err
			}
			batches, data = append(batches, b), data[size:]
			sure = sure && int64(len(s.data)-len(data)) <= s.durable
			if sure {
				durable++
			}
		}
	}
	return batches, durable, nil
}

// host notes of which partition a log is that orders something of a segment, and
// returns it, or nil if it is none that is judged.
func (n *oracleNode) host(id log.ID, path string) *hosted {
	dir, name := split(path)
	h := n.dirs[dir]
	if h == nil || !strings.HasSuffix(name, logFileSuffix) {
		return nil
	}
	n.logs[id] = h
	return h
}

// written takes in batches that are ordered to be written: from this moment on they
// are in the log.
func (o *Oracle) written(n *oracleNode, w *log.Write) {
	h := n.host(w.Log, w.File.Path)
	if h == nil {
		return
	}
	data, pos := w.Data, w.Pos
	for len(data) > 0 {
		b, _, size, err := checker.ParseBatch(data)
		if err != nil {
			o.judge.Report(checker.AppendShape, "malformed", "%s at %d: %v", w.File.Path, pos, err)
			return
		}
		o.judge.Appended(h.id, b)
		n.attribute(h.id, &b)
		h.placed = append(h.placed, placedBatch{
			path: w.File.Path, from: pos, to: pos + int64(size),
			base: b.BaseOffset, end: b.EndOffset,
		})
		data, pos = data[size:], pos+int64(size)
	}
}
