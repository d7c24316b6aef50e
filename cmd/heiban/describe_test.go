package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// TestTopicDescribe: what kafka-topics --describe tells, page by page, in its order.
func TestTopicDescribe(t *testing.T) {
	address, _ := startNode(t, "max.request.partition.size.limit=2")
	ok := func(args ...string) string {
		t.Helper()
		status, out, errOut := heiban("", append(args, "--bootstrap", address)...)
		require.Zero(t, status, "heiban %v: %s", args, errOut)
		return out
	}
	ok("topic", "create", "a", "b", "--partitions", "3")
	ok("topic", "create", "c", "--config", "min.insync.replicas=2")

	out := ok("topic", "describe")
	require.Regexp(t, `(?s)Topic: a .*PartitionCount: 3 +ReplicationFactor: 1 .*`+
		`Topic: b .*PartitionCount: 3.*Topic: c .*PartitionCount: 1.*`+
		`Configs: min.insync.replicas=2\n`, out)
	require.Regexp(t,
		`(?m)^ +Topic: b +Partition: 2 +Leader: 1 +Replicas: 1 +Isr: 1 +Elr: +LastKnownElr: *$`, out)

	var topics []topicDescription
	require.NoError(t, json.Unmarshal([]byte(ok("topic", "describe", "b", "a", "--json")), &topics))
	require.Len(t, topics, 2)
	for i, name := range []string{"a", "b"} {
		require.Equal(t, name, topics[i].Topic)
		require.Len(t, topics[i].TopicID, 22)
		for j, p := range topics[i].Partitions {
			require.Equal(t, partitionDescription{
				Partition: int32(j), Leader: 1, Replicas: []int32{1}, ISR: []int32{1},
				ELR: []int32{}, LastKnownELR: []int32{},
			}, p)
		}
	}

	for option, pattern := range map[string]string{
		"--under-replicated-partitions": `^$`,
		"--unavailable-partitions":      `^$`,
		"--under-min-isr-partitions":    `^ +Topic: c +Partition: 0 [^\n]*\n$`,
		"--at-min-isr-partitions":       `^( +Topic: [ab] +Partition: [012] [^\n]*\n){6}$`,
	} {
		require.Regexp(t, pattern, ok("topic", "describe", option), option)
	}
	require.Equal(t, "[]\n", ok("topic", "describe", "--unavailable-partitions", "--json"))

	status, _, errOut := heiban("", "topic", "describe", "nowhere", "--bootstrap", address)
	require.Equal(t, 1, status)
	require.Contains(t, errOut, "describe nowhere: UNKNOWN_TOPIC_OR_PARTITION")
}

// TestTopicDescribeByMetadata: a broker that does not serve DescribeTopicPartitions is
// asked with Metadata, and eligible leader replicas are not known.
func TestTopicDescribeByMetadata(t *testing.T) {
	old := kversion.Stable()
	old.SetMaxKeyVersion(75, -1)
	peer, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "news"),
		kfake.MaxVersions(old))
	require.NoError(t, err)
	defer peer.Close()
	status, out, errOut := heiban("", "topic", "describe", "news", "--bootstrap",
		peer.ListenAddrs()[0])
	require.Zero(t, status, errOut)
	require.Regexp(t, `(?m)^ +Topic: news +Partition: 1 +Leader: 0 +Replicas: 0 +Isr: 0 +`+
		`Elr: N/A +LastKnownElr: N/A$`, out)
}

func TestPartitionFilter(t *testing.T) {
	all := partitionFilter{true, true, true, true}
	for _, c := range []struct {
		of                partitionDescription
		under, none, less bool
		equal             bool
	}{
		{of: partitionDescription{Leader: 1, Replicas: []int32{1, 2, 3}, ISR: []int32{1, 2, 3}}},
		{
			of:    partitionDescription{Leader: 1, Replicas: []int32{1, 2, 3}, ISR: []int32{1, 2}},
			under: true, equal: true,
		},
		{
			of:    partitionDescription{Leader: 1, Replicas: []int32{1, 2, 3}, ISR: []int32{1}},
			under: true, less: true,
		},
		{ // what is being added is not missed
			of: partitionDescription{
				Leader: 1, Replicas: []int32{1, 2, 4}, Adding: []int32{4}, ISR: []int32{1, 2},
			},
			equal: true,
		},
		{
			of:    partitionDescription{Leader: -1, Replicas: []int32{1, 2, 3}, ISR: []int32{9}},
			under: true, none: true, less: true,
		},
		{ // the leader is not alive
			of:   partitionDescription{Leader: 9, Replicas: []int32{9, 1, 2}, ISR: []int32{9, 1, 2}},
			none: true,
		},
	} {
		const minISR = 2
		alive := []int32{1, 2, 3, 4}
		shows := func(f partitionFilter) bool { return f.shows(&c.of, minISR, alive) }
		require.True(t, shows(partitionFilter{}))
		require.Equal(t, c.under, shows(partitionFilter{underReplicated: true}), "%+v", c.of)
		require.Equal(t, c.none, shows(partitionFilter{unavailable: true}), "%+v", c.of)
		require.Equal(t, c.less, shows(partitionFilter{underMinISR: true}), "%+v", c.of)
		require.Equal(t, c.equal, shows(partitionFilter{atMinISR: true}), "%+v", c.of)
		require.Equal(t, c.under || c.none || c.less || c.equal, shows(all), "%+v", c.of)
	}
}

// TestTopicDescribeReassigned: what is being added and removed is shown, and does not
// count as missing.
func TestTopicDescribeReassigned(t *testing.T) {
	peer, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "news"))
	require.NoError(t, err)
	defer peer.Close()
	peer.ControlKey(46, func(req kmsg.Request) (kmsg.Response, error, bool) {
		peer.KeepControl()
		resp := req.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
		topic := kmsg.NewListPartitionReassignmentsResponseTopic()
		topic.Topic = "news"
		p := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
		p.Replicas, p.AddingReplicas, p.RemovingReplicas = []int32{0, 7}, []int32{7}, []int32{0}
		topic.Partitions = append(topic.Partitions, p)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	status, out, errOut := heiban("", "topic", "describe", "news", "--bootstrap",
		peer.ListenAddrs()[0])
	require.Zero(t, status, errOut)
	require.Regexp(t, `Isr: 0 +Adding Replicas: 7 +Removing Replicas: 0 +Elr:`, out)
}

func TestQuorumDescribe(t *testing.T) {
	address, _ := startNode(t)
	ok := func(args ...string) string {
		t.Helper()
		args = append([]string{"quorum", "describe", "--bootstrap", address}, args...)
		status, out, errOut := heiban("", args...)
		require.Zero(t, status, "heiban %v: %s", args, errOut)
		return out
	}
	require.Regexp(t, `^ClusterId: +\S{22}\nLeaderId: +1\nLeaderEpoch: +\d+\n`+
		`HighWatermark: +\d+\nMaxFollowerLag: +0\nMaxFollowerLagTimeMs: +0\n`+
		`CurrentVoters: +\[{"id": 1, "directoryId": "\S{22}".*}\]\nCurrentObservers: +\[\]\n$`,
		ok("--status"))
	require.Regexp(t, `^NodeId +DirectoryId .*\n1 +\S{22} +\d+ +0 +-1 +-1 +Leader *\n$`,
		ok("--replication", "--human-readable"))
	var q quorumDescription
	require.NoError(t, json.Unmarshal([]byte(ok("--json")), &q))
	require.Equal(t, int32(1), q.LeaderID)
	require.Len(t, q.Voters, 1)
}

// TestQuorumDescription: lags are the distance from the leader's log, in offsets and in time.
func TestQuorumDescription(t *testing.T) {
	state := func(id int32, end, caughtUp int64) (
		s kmsg.DescribeQuorumResponseTopicPartitionReplicaState,
	) {
		s.ReplicaID, s.LogEndOffset, s.LastCaughtUpTimestamp = id, end, caughtUp
		return s
	}
	p := kmsg.DescribeQuorumResponseTopicPartition{LeaderID: 2, LeaderEpoch: 5, HighWatermark: 90}
	p.CurrentVoters = append(p.CurrentVoters,
		state(3, 80, 700), state(2, 100, 1000), state(1, 100, 1000))
	p.Observers = append(p.Observers, state(4, 60, -1))
	var resp kmsg.DescribeQuorumResponse
	resp.Topics = []kmsg.DescribeQuorumResponseTopic{{
		Partitions: []kmsg.DescribeQuorumResponseTopicPartition{p},
	}}
	resp.Nodes = []kmsg.DescribeQuorumResponseNode{{
		NodeID: 2, Listeners: []kmsg.DescribeQuorumResponseNodeListener{
			{Name: "CONTROLLER", Host: "h", Port: 9093},
		},
	}}
	q := newQuorumDescription(&resp)
	require.EqualValues(t, 20, q.MaxFollowerLag)
	require.EqualValues(t, 300, q.MaxFollowerLagTimeMs)
	require.EqualValues(t, 40, q.Observers[0].Lag)
	require.Equal(t, `[{"id": 1, "directoryId": null}, `+
		`{"id": 2, "directoryId": null, "endpoints": ["CONTROLLER://h:9093"]}, `+
		`{"id": 3, "directoryId": null}]`, identities(q.Voters))

	// A leader that does not say when it was caught up says nothing of the others either.
	resp.Topics[0].Partitions[0].CurrentVoters[1].LastCaughtUpTimestamp = -1
	require.EqualValues(t, -1, newQuorumDescription(&resp).MaxFollowerLagTimeMs)
}
