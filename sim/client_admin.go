package sim

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/clock"
	"github.com/heiban/heiban/core/errcode"
)

// TopicSpec is a topic that the workload uses.
type TopicSpec struct {
	Name       string
	Configs    []TopicConfig
	Partitions int32
	Replicas   int16 // 0: 1
}

// TopicConfig is one configuration of a topic.
type TopicConfig struct{ Name, Value string }

// AdminOps says how often an admin does what, relative to one another.
type AdminOps struct {
	Create, Delete, Describe, Grow, Alter, DeleteRecords int64
	Reassign                                             int64 // or cancel a reassignment
	ElectPreferred, ElectUnclean                         int64
	DescribeConfigs                                      int64
}

// weights are the shares in the order of doSomething.
func (o *AdminOps) weights() []int64 {
	return []int64{
		o.Create, o.Delete, o.Describe, o.Grow, o.Alter, o.DeleteRecords, o.Reassign,
		o.ElectPreferred, o.ElectUnclean, o.DescribeConfigs,
	}
}

func (o *AdminOps) sum() int64 {
	sum := int64(0)
	for _, weight := range o.weights() {
		sum += weight
	}
	return sum
}

// AdminConfig says what a simulated administrator does: first it creates topics,
// then it works on them and on others that come and go.
type AdminConfig struct {
	ClientConfig
	Judge    *checker.Judge
	Setup    []TopicSpec   // created at once, and again until they are there
	Churn    []TopicSpec   // created, deleted and described again and again
	Alter    []TopicConfig // what may be altered in the topics of Setup
	Ops      AdminOps
	Interval clock.Duration // between operations, on average
	Count    int            // operations after the setup
}

// Admin is a simulated administrator. It does one thing at a time.
type Admin struct {
	caller
	config   AdminConfig
	setup    int // topics of Setup that are there
	done     int
	next     clock.Instant
	version  int16 // of CreateTopics, DeleteTopics
	metadata int16
	ids      map[string]checker.TopicID
	grown    map[string]int32
	waiting  bool
}

// adminCall is one operation without answer.
type adminCall struct {
	topic  string
	ref    checker.OpRef
	called int64
	node   int32
	setup  bool
}

// NewAdmin makes an administrator.
func NewAdmin(c AdminConfig) *Admin {
	a := &Admin{
		caller: newCaller(&c.ClientConfig, "admin"), config: c,
		ids: map[string]checker.TopicID{}, grown: map[string]int32{},
	}
	a.version = int16(a.rand.Between(2, 7))
	a.metadata = int16(a.rand.Between(10, 13))
	return a
}

// Step implements Actor.
func (a *Admin) Step(now clock.Time, ev ActorEvent, out *ActorOrders) {
	a.begin(now, out)
	answered, lost := a.take(&ev)
	if call, ok := answered.(*adminCall); ok {
		a.answer(call, ev.Response)
	}
	for _, l := range lost {
		if call, ok := l.what.(*adminCall); ok {
			a.waiting = false
			a.config.Judge.Return(call.ref, checker.Unknown)
		}
	}
	a.work()
}

// Deadline implements Actor.
func (a *Admin) Deadline() clock.Instant {
	at := a.deadline()
	if !a.waiting && !a.idle() {
		at = min(at, a.next)
	}
	return a.later(at)
}

func (a *Admin) idle() bool {
	return a.setup == len(a.config.Setup) && (a.done >= a.config.Count || a.config.Ops.sum() == 0)
}

// Pending says what the administrator still waits for, or nothing.
func (a *Admin) Pending() string {
	if a.waiting || !a.idle() {
		return fmt.Sprintf("admin %d set up %d topics and did %d of %d operations",
			a.client, a.setup, a.done, a.config.Count)
	}
	return ""
}

func (a *Admin) work() {
	if a.waiting || a.idle() || a.now.Mono < a.next {
		return
	}
	a.next = a.now.Mono.Add(a.backoff)
	conn := a.ready(a.bootstrap(), laneControl)
	if conn == nil {
		return
	}
	if a.setup < len(a.config.Setup) {
		a.create(conn, &a.config.Setup[a.setup], true)
		return
	}
	a.next = a.now.Mono.Add(clock.Duration(a.rand.Exponential(int64(a.config.Interval))) + 1)
	a.done++
	a.doSomething(conn)
}

func (a *Admin) doSomething(conn *clientConn) {
	o := &a.config.Ops
	n := a.rand.Below(o.sum())
	for i, weight := range o.weights() {
		if n -= weight; n >= 0 {
			continue
		}
		switch i {
		case 0:
			a.create(conn, a.churned(), false)
		case 1:
			a.remove(conn, a.churned())
		case 2:
			a.describe(conn, a.churned())
		case 3:
			a.grow(conn, a.known())
		case 4:
			a.alter(conn, a.known())
		case 5:
			a.deleteRecords(conn, a.known())
		case 6:
			a.reassign(conn, a.known())
		case 7:
			a.elect(conn, a.known(), preferredElection)
		case 8:
			a.elect(conn, a.known(), uncleanElection)
		case 9:
			a.describeConfigs(conn, a.known())
		}
		return
	}
}

func (a *Admin) churned() *TopicSpec {
	return &a.config.Churn[a.rand.Below(int64(len(a.config.Churn)))]
}

func (a *Admin) known() *TopicSpec {
	return &a.config.Setup[a.rand.Below(int64(len(a.config.Setup)))]
}

func (a *Admin) ask(conn *clientConn, req kmsg.Request, kind checker.OpKind, topic, text string) {
	ref := a.config.Judge.Call(checker.Op{Kind: kind, Client: a.client, Topic: topic, Text: text})
	a.call(conn, req, &adminCall{
		topic: topic, ref: ref, called: a.config.Judge.Now(), node: conn.node,
		setup: a.setup < len(a.config.Setup),
	})
	a.waiting = true
}

func (a *Admin) create(conn *clientConn, spec *TopicSpec, setup bool) {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = spec.Name, spec.Partitions, max(spec.Replicas, 1)
	for _, c := range spec.Configs {
		config := kmsg.NewCreateTopicsRequestTopicConfig()
		config.Name, config.Value = c.Name, kmsg.StringPtr(c.Value)
		t.Configs = append(t.Configs, config)
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis, req.Topics = a.version, a.millis(), append(req.Topics, t)
	if setup {
		req.Version = max(req.Version, 5)
	}
	a.ask(conn, req, checker.OpCreate, spec.Name, "create")
}

func (a *Admin) remove(conn *clientConn, spec *TopicSpec) {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version, req.TimeoutMillis = min(a.version, 6), a.millis()
	id, known := a.ids[spec.Name]
	t := kmsg.NewDeleteTopicsRequestTopic()
	switch {
	case req.Version < 6:
		req.TopicNames = append(req.TopicNames, spec.Name)
		known = false
	case known && a.rand.Chance(300_000):
		t.TopicID = id
	default:
		t.Topic = kmsg.StringPtr(spec.Name)
		known = false
	}
	if req.Version >= 6 {
		req.Topics = append(req.Topics, t)
	}
	kind := checker.OpDelete
	if known && t.Topic == nil {
		kind = checker.OpDeleteID
	}
	a.ask(conn, req, kind, spec.Name, "delete")
	if kind == checker.OpDeleteID {
		a.config.Judge.Ops()[len(a.config.Judge.Ops())-1].TopicID = id
	}
}

func (a *Admin) describe(conn *clientConn, spec *TopicSpec) {
	k := catalog{wanted: []string{spec.Name}, version: a.metadata}
	a.ask(conn, k.request(), checker.OpDescribe, spec.Name, "describe")
}

func (a *Admin) grow(conn *clientConn, spec *TopicSpec) {
	const most = 6
	count := max(a.grown[spec.Name], spec.Partitions)
	if count < most {
		count++
	}
	a.grown[spec.Name] = count
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = spec.Name, count
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.Version, req.TimeoutMillis = int16(a.rand.Between(0, 3)), a.millis()
	req.Topics = append(req.Topics, t)
	a.ask(conn, req, checker.OpOther, spec.Name, "create partitions")
}

func (a *Admin) alter(conn *clientConn, spec *TopicSpec) {
	if len(a.config.Alter) == 0 {
		return
	}
	choice := a.config.Alter[a.rand.Below(int64(len(a.config.Alter)))]
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = choice.Name, kmsg.StringPtr(choice.Value)
	c.Op = kmsg.IncrementalAlterConfigOpSet
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, spec.Name
	r.Configs = append(r.Configs, c)
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version, req.Resources = int16(a.rand.Between(0, 1)), append(req.Resources, r)
	a.ask(conn, req, checker.OpOther, spec.Name, "alter "+choice.Name+"="+choice.Value)
}

func (a *Admin) millis() int32 { return int32(max(int64(a.timeout/clock.Millisecond)/2, 1)) }

// answer takes in what became of an operation.
func (a *Admin) answer(call *adminCall, resp kmsg.Response) {
	a.waiting = false
	outcome, id, code := outcomeOf(resp)
	op := a.config.Judge.Return(call.ref, outcome)
	op.Err = code
	if did := errcode.Code(code); did == errcode.InvalidReplicationFactor {
		op.Kind = checker.OpOther // the controller knows too few brokers yet: nothing was done
	}
	if described, ok := resp.(*kmsg.DescribeConfigsResponse); ok {
		a.configsShown(call, described)
	}
	if op.Kind == checker.OpDescribe && outcome == checker.Done {
		a.config.Judge.Described(call.node, call.topic, id, call.called)
	}
	if op.Kind == checker.OpCreate || op.Kind == checker.OpDescribe {
		op.TopicID = id
		if outcome == checker.Done && id != (checker.TopicID{}) {
			a.ids[call.topic] = id
		}
	}
	if call.setup && (outcome == checker.Done || errcode.Code(code) == errcode.TopicAlreadyExists) {
		a.setup++
	}
}

// outcomeOf reads an answer about one topic. Refused means for CreateTopics that the
// topic exists, and for DeleteTopics that it does not.
func outcomeOf(resp kmsg.Response) (outcome checker.Outcome, id checker.TopicID, code int16) {
	switch resp := resp.(type) {
	case *kmsg.CreateTopicsResponse:
		if len(resp.Topics) != 1 {
			return checker.Unknown, id, int16(errcode.UnknownServerError)
		}
		id, code = resp.Topics[0].TopicID, resp.Topics[0].ErrorCode
		return settled(code, errcode.TopicAlreadyExists), id, code
	case *kmsg.DeleteTopicsResponse:
		if len(resp.Topics) != 1 {
			return checker.Unknown, id, int16(errcode.UnknownServerError)
		}
		code = resp.Topics[0].ErrorCode
		if errcode.Code(code) == errcode.UnknownTopicID {
			return checker.Refused, id, code
		}
		return settled(code, errcode.UnknownTopicOrPartition), id, code
	case *kmsg.MetadataResponse:
		if len(resp.Topics) != 1 {
			return checker.Unknown, id, int16(errcode.UnknownServerError)
		}
		t := &resp.Topics[0]
		if errcode.Code(t.ErrorCode) == errcode.UnknownTopicOrPartition {
			return checker.Done, id, t.ErrorCode
		}
		return settled(t.ErrorCode, errcode.None), t.TopicID, t.ErrorCode
	}
	return checker.Done, id, 0
}

func settled(code int16, refusal errcode.Code) checker.Outcome {
	switch errcode.Code(code) {
	case errcode.None:
		return checker.Done
	case refusal:
		return checker.Refused
	}
	return checker.Unknown
}
