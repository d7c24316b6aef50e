package sim

import (
	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/log"
	"github.com/heiban/heiban/core/wire"
)

// batchCRCEnd is where in a batch that begins which no broker may change.
const batchCRCEnd = 21

// pendingOf notes what a Produce request asks for.
func pendingOf(req *wire.ProduceRequest, correlation int32) openProduce {
	a := openProduce{correlation: correlation, acks: req.Acks}
	for i := range req.Partitions {
		p := &req.Partitions[i]
		part := openPart{
			topic: string([]byte(p.Topic)), topicID: p.TopicID, partition: p.Partition,
			appended: -1, producerID: -1,
		}
		if b, _, _, err := checker.ParseBatch(p.Records); err == nil {
			part.hash, part.producerID = b.Hash, b.ProducerID
		} else if len(p.Records) > batchCRCEnd {
			part.hash = checker.Hash(p.Records[batchCRCEnd:])
		}
		a.parts = append(a.parts, part)
	}
	return a
}

// attribute finds the request that made the broker append a batch. If the batch is
// in several requests that wait for their answers, it may have been any of them.
func (n *oracleNode) attribute(id checker.ReplicaID, b *checker.Batch) {
	var found []*openPart
	for conn := range n.pending { // those found are all treated alike, in any order
		answers := n.pending[conn]
		for i := range answers {
			for k := range answers[i].parts {
				part := &answers[i].parts[k]
				if part.hash == b.Hash && part.appended < 0 && n.idOf(part) == id.PartitionID {
					found = append(found, part)
				}
			}
		}
	}
	for _, part := range found {
		part.appended = b.BaseOffset
		part.doubled = part.doubled || len(found) > 1
	}
}

// idOf returns the partition that a request means, which names it or its topic's id.
func (n *oracleNode) idOf(part *openPart) checker.PartitionID {
	if part.topicID != (checker.TopicID{}) {
		return checker.PartitionID{Topic: part.topicID, Index: part.partition}
	}
	if h := n.dirs[logDir+"/"+log.DirName(part.topic, part.partition)]; h != nil {
		return h.id.PartitionID
	}
	return checker.PartitionID{Index: -1}
}

// produceAnswered judges an answer at the moment when it leaves.
func (o *Oracle) produceAnswered(
	n *oracleNode, node int32, r *core.Response, body *wire.ProduceResponse,
) {
	answers := n.pending[r.Conn]
	for i := range answers {
		a := &answers[i]
		if a.correlation != r.Header.CorrelationID {
			continue
		}
		for k := range body.Partitions {
			p := &body.Partitions[k]
			if part := a.find(p); part != nil {
				o.judge.Acknowledged(&checker.Answer{
					Replica: checker.ReplicaID{PartitionID: n.idOf(part), Node: node}, Hash: part.hash, ProducerID: part.producerID,
					Base: p.BaseOffset, Appended: part.appended, Doubled: part.doubled,
					Err: int16(p.Err), Acks: a.acks,
				})
			}
		}
		n.pending[r.Conn] = append(answers[:i], answers[i+1:]...)
		return
	}
}

// find returns the part of a request that a part of its answer is for.
func (a *openProduce) find(p *wire.ProducedPartition) *openPart {
	for i := range a.parts {
		part := &a.parts[i]
		same := part.topic == p.Topic
		if part.topicID != (checker.TopicID{}) {
			same = part.topicID == p.TopicID
		}
		if same && part.partition == p.Partition {
			return part
		}
	}
	return nil
}
