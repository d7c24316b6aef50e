package realnet

import (
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core"
	"github.com/heiban/heiban/core/wire"
)

// metrics counts what a node does. Counting is an atomic addition; names and labels
// come in only when somebody looks. The names are those that Kafka's JMX beans have
// when they are exported to Prometheus.
type metrics struct {
	driver *Driver
	budget *budget

	received, sent, fetched    atomic.Int64 // bytes
	opened, closed             atomic.Int64 // connections
	refused, idleClosed        atomic.Int64
	linkReceived, linkSent     atomic.Int64 // bytes
	linksOpened, linksClosed   atomic.Int64
	requests                   [apiKeys]atomic.Int64
	requestBytes               [apiKeys]atomic.Int64
	messages                   atomic.Int64
	partitionsUp, partitionsDn atomic.Int64
	dirsOffline, refusedByCore atomic.Int64
	topicsCreated              atomic.Int64
	topicsDeleted              atomic.Int64
}

// apiKeys is one more than the largest key of an API.
const apiKeys = 128

// raftSlot counts the messages of the metadata quorum, whose key is far above.
const raftSlot = apiKeys - 1

// request counts a request that was read.
func (m *metrics) request(key int16, bytes int) {
	if key == wire.RaftKey {
		key = raftSlot
	}
	if key >= 0 && key < apiKeys {
		m.requests[key].Add(1)
		m.requestBytes[key].Add(int64(bytes))
	}
}

// report counts what the core reported.
func (m *metrics) report(r *core.Report) {
	switch r.Kind {
	case core.BatchAppended:
		m.messages.Add(r.EndOffset - r.Offset)
	case core.PartitionOnline:
		m.partitionsUp.Add(1)
	case core.PartitionRemoved:
		m.partitionsDn.Add(1)
	case core.LogDirOffline:
		m.dirsOffline.Add(1)
	case core.TopicCreated:
		m.topicsCreated.Add(1)
	case core.TopicDeleted:
		m.topicsDeleted.Add(1)
	case core.RequestRefused:
		m.refusedByCore.Add(1)
	default:
	}
}

const produceAPI, fetchAPI = 0, 1

// counter is one metric without labels.
type counter struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(m *metrics) int64
}

func newCounter(name, help string, value func(m *metrics) int64) counter {
	return counter{prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue, value}
}

func newGauge(name, help string, value func(m *metrics) int64) counter {
	return counter{prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, value}
}

// counters are the metrics without labels.
var counters = []counter{
	newCounter("kafka_server_brokertopicmetrics_bytesin_total",
		"Bytes of Produce requests.",
		func(m *metrics) int64 { return m.requestBytes[produceAPI].Load() }),
	newCounter("kafka_server_brokertopicmetrics_bytesout_total",
		"Bytes of records sent in Fetch responses.",
		func(m *metrics) int64 { return m.fetched.Load() }),
	newCounter("kafka_server_brokertopicmetrics_messagesin_total",
		"Records appended by producers.",
		func(m *metrics) int64 { return m.messages.Load() }),
	newCounter("kafka_server_brokertopicmetrics_totalproducerequests_total",
		"Produce requests.",
		func(m *metrics) int64 { return m.requests[produceAPI].Load() }),
	newCounter("kafka_server_brokertopicmetrics_totalfetchrequests_total",
		"Fetch requests.",
		func(m *metrics) int64 { return m.requests[fetchAPI].Load() }),
	newCounter("kafka_server_socketservermetrics_incoming_byte_total",
		"Bytes read from clients.",
		func(m *metrics) int64 { return m.received.Load() }),
	newCounter("kafka_server_socketservermetrics_outgoing_byte_total",
		"Bytes written to clients.",
		func(m *metrics) int64 { return m.sent.Load() }),
	newCounter("kafka_server_socketservermetrics_connection_creation_total",
		"Connections accepted.",
		func(m *metrics) int64 { return m.opened.Load() }),
	newCounter("kafka_server_socketservermetrics_connection_close_total",
		"Connections closed.",
		func(m *metrics) int64 { return m.closed.Load() }),
	newCounter("kafka_server_socketservermetrics_connection_refused_total",
		"Connections closed because their address had too many.",
		func(m *metrics) int64 { return m.refused.Load() }),
	newCounter("kafka_server_socketservermetrics_connection_idle_close_total",
		"Connections closed because nothing moved on them.",
		func(m *metrics) int64 { return m.idleClosed.Load() }),
	newGauge("kafka_server_socketservermetrics_connection_count",
		"Connections open.",
		func(m *metrics) int64 { return m.opened.Load() - m.closed.Load() }),
	newCounter("heiban_link_incoming_byte_total",
		"Bytes read from other nodes, as answers.",
		func(m *metrics) int64 { return m.linkReceived.Load() }),
	newCounter("heiban_link_outgoing_byte_total",
		"Bytes written to other nodes, as requests.",
		func(m *metrics) int64 { return m.linkSent.Load() }),
	newCounter("heiban_link_creation_total",
		"Connections opened to other nodes.",
		func(m *metrics) int64 { return m.linksOpened.Load() }),
	newGauge("heiban_link_count",
		"Connections open to other nodes.",
		func(m *metrics) int64 { return m.linksOpened.Load() - m.linksClosed.Load() }),
	newGauge("kafka_server_replicamanager_partitioncount",
		"Partitions online.",
		func(m *metrics) int64 { return m.partitionsUp.Load() - m.partitionsDn.Load() }),
	newGauge("kafka_log_logmanager_offlinelogdirectorycount",
		"Log directories that failed.",
		func(m *metrics) int64 { return m.dirsOffline.Load() }),
	newCounter("heiban_topics_created_total",
		"Topics created.",
		func(m *metrics) int64 { return m.topicsCreated.Load() }),
	newCounter("heiban_topics_deleted_total",
		"Topics deleted.",
		func(m *metrics) int64 { return m.topicsDeleted.Load() }),
	newCounter("heiban_requests_refused_total",
		"Requests that the broker refused.",
		func(m *metrics) int64 { return m.refusedByCore.Load() }),
}

var (
	requestsDesc = prometheus.NewDesc("kafka_network_requestmetrics_requests_total",
		"Requests read, by API.", []string{"request"}, nil)
	filesDesc = prometheus.NewDesc("heiban_open_files",
		"Log files held open.", nil, nil)
	mapsDesc = prometheus.NewDesc("heiban_mapped_files",
		"Log files mapped into memory.", nil, nil)
	jobsDesc = prometheus.NewDesc("heiban_jobs",
		"Disk jobs, by state.", []string{"state"}, nil)
	memoryDesc = prometheus.NewDesc("heiban_request_memory_free_bytes",
		"Memory left for large requests.", nil, nil)
)

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for i := range counters {
		out <- counters[i].desc
	}
	others := [...]*prometheus.Desc{requestsDesc, filesDesc, mapsDesc, jobsDesc, memoryDesc}
	for _, desc := range others {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	for i := range counters {
		c := &counters[i]
		out <- prometheus.MustNewConstMetric(c.desc, c.kind, float64(c.value(m)))
	}
	for key := range m.requests {
		if n := m.requests[key].Load(); n > 0 {
			out <- prometheus.MustNewConstMetric(requestsDesc, prometheus.CounterValue,
				float64(n), requestName(int16(key)))
		}
	}
	gauge := func(desc *prometheus.Desc, value int, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), labels...)
	}
	open, mapped := m.driver.handles.counts()
	gauge(filesDesc, open)
	gauge(mapsDesc, mapped)
	waiting, running := m.driver.jobs.depth()
	gauge(jobsDesc, waiting, "waiting")
	gauge(jobsDesc, running, "running")
	gauge(memoryDesc, int(m.budget.left()))
}

func requestName(key int16) string {
	if key == raftSlot {
		return "Raft"
	}
	if name := kmsg.NameForKey(key); name != "Unknown" {
		return name
	}
	return strconv.Itoa(int(key))
}
