package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/checker/kafka"
)

// verdict is what check prints with --json, as far as the tests look at it.
type verdict struct {
	Verdict   string
	Reasons   []string
	Anomalies []struct{ Name, Allowed string }
	Counts    kafka.Counts
}

// faults returns the names of the anomalies that are not allowed, or of those that are.
func (v *verdict) faults(allowed bool) []string {
	var names []string
	for _, a := range v.Anomalies {
		if allowed == (a.Allowed != "") {
			names = append(names, a.Name)
		}
	}
	return names
}

const checkDuration = 1500 * time.Millisecond

// checkCluster runs a short check and returns its exit status and verdict.
func checkCluster(t *testing.T, bootstrap string, args ...string) (int, *verdict) {
	t.Helper()
	status, out, errOut := heiban("", append([]string{
		"check", "--bootstrap", bootstrap, "--duration", checkDuration.String(), "--rate", "400", "--keys", "2",
		"--settle", "10s", "--replication-factor", "1", "--json",
	}, args...)...)
	require.NotEmpty(t, out, errOut)
	v := &verdict{}
	require.NoError(t, json.Unmarshal([]byte(out), v))
	return status, v
}

// TestCheckNode: a node of ours is valid, however it is asked, and the files are there.
func TestCheckNode(t *testing.T) {
	address, _ := startNode(t)
	dir := t.TempDir()
	page, history := filepath.Join(dir, "page.html"), filepath.Join(dir, "history.jsonl")
	status, v := checkCluster(t, address, "--html", page, "--history", history)
	require.Zero(t, status, v)
	require.Equal(t, "valid", v.Verdict)
	require.Empty(t, v.faults(false))
	require.Greater(t, v.Counts.Acknowledged, 100)
	require.Equal(t, v.Counts.Acknowledged, v.Counts.Seen)
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(text), "</html>")

	status, out, errOut := heiban("", "check", "--load", history)
	require.Zero(t, status, errOut)
	require.True(t, strings.HasPrefix(out, "valid\n"), out)

	for _, acks := range []string{"0", "1"} {
		status, v = checkCluster(t, address, "--acks", acks)
		require.Zero(t, status, "acks=%s: %v", acks, v)
	}
	status, out, _ = heiban("", "topic", "list", "--bootstrap", address)
	require.Zero(t, status)
	require.Empty(t, out, "each check deletes its topic")
}

// TestCheckUse: wrong use is told from a cluster that is not good.
func TestCheckUse(t *testing.T) {
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"--acks 2", 2, "--acks"},
		{"--mode both", 2, "--mode"},
		{"--duration 0s", 2, "--duration"},
		{"--rate 0", 2, "--rate"},
		{"--config x", 2, "key=value"},
		{"--load no-such-file", 1, "no such file"},
		{"--bootstrap 127.0.0.1:1 --timeout 1s", 1, "refused"},
	} {
		status, _, errOut := heiban("", append([]string{"check"}, strings.Fields(c.args)...)...)
		require.Equal(t, c.status, status, "heiban check %s: %s", c.args, errOut)
		require.Contains(t, errOut, c.says)
	}
}

// bug is what a broker does wrong: it answers a request itself, or changes it, or leaves
// it alone.
type bug func(t *testing.T, c *kfake.Cluster, req kmsg.Request) (kmsg.Response, bool)

// after returns true when a time has passed.
func after(d time.Duration) func() bool {
	begun := time.Now()
	return func() bool { return time.Since(begun) > d }
}

// every returns true each nth time.
func every(n int32) func() bool {
	var count atomic.Int32
	return func() bool { return count.Add(1)%n == 0 }
}

// dropProduce acknowledges some batches that it does not store.
func dropProduce(now func() bool) bug {
	return func(_ *testing.T, _ *kfake.Cluster, req kmsg.Request) (kmsg.Response, bool) {
		r := req.(*kmsg.ProduceRequest)
		if !now() {
			return nil, false
		}
		resp := r.ResponseKind().(*kmsg.ProduceResponse)
		for i := range r.Topics {
			topic := kmsg.NewProduceResponseTopic()
			topic.Topic, topic.TopicID = r.Topics[i].Topic, r.Topics[i].TopicID
			for j := range r.Topics[i].Partitions {
				p := kmsg.NewProduceResponseTopicPartition()
				p.Partition = r.Topics[i].Partitions[j].Partition
				topic.Partitions = append(topic.Partitions, p)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp, true
	}
}

// repeatProduce stores some batches twice.
func repeatProduce(now func() bool) bug {
	var stored sync.Map
	return func(t *testing.T, c *kfake.Cluster, req kmsg.Request) (kmsg.Response, bool) {
		body := req.AppendTo(nil)
		if _, again := stored.LoadOrStore(string(body), true); again || !now() {
			return nil, false
		}
		copied := kmsg.NewPtrProduceRequest()
		copied.SetVersion(req.GetVersion())
		require.NoError(t, copied.ReadFrom(bytes.Clone(body)))
		client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
		require.NoError(t, err)
		var asking sync.WaitGroup
		asking.Go(func() { _, _ = client.Request(context.Background(), copied) })
		t.Cleanup(func() {
			asking.Wait()
			client.Close()
		})
		return nil, false
	}
}

// skipFetch begins some fetches from the beginning too late, such as those of the last
// read of all, and by more than a batch.
func skipFetch(now func() bool) bug {
	return func(_ *testing.T, _ *kfake.Cluster, req kmsg.Request) (kmsg.Response, bool) {
		r := req.(*kmsg.FetchRequest)
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				p := &r.Topics[i].Partitions[j]
				if late := now(); late && p.FetchOffset == 0 {
					p.FetchOffset += 100
				}
			}
		}
		return nil, false
	}
}

// dropCommit acknowledges commits that it does not keep, but for the first ones.
func dropCommit(now func() bool) bug {
	return func(_ *testing.T, _ *kfake.Cluster, req kmsg.Request) (kmsg.Response, bool) {
		r := req.(*kmsg.OffsetCommitRequest)
		if !now() {
			return nil, false
		}
		resp := r.ResponseKind().(*kmsg.OffsetCommitResponse)
		for i := range r.Topics {
			topic := kmsg.NewOffsetCommitResponseTopic()
			topic.Topic, topic.TopicID = r.Topics[i].Topic, r.Topics[i].TopicID
			for j := range r.Topics[i].Partitions {
				p := kmsg.NewOffsetCommitResponseTopicPartition()
				p.Partition = r.Topics[i].Partitions[j].Partition
				topic.Partitions = append(topic.Partitions, p)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp, true
	}
}

// aheadCommit keeps another offset than the one that was committed.
func aheadCommit(now func() bool) bug {
	return func(_ *testing.T, _ *kfake.Cluster, req kmsg.Request) (kmsg.Response, bool) {
		r := req.(*kmsg.OffsetCommitRequest)
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				if now() {
					r.Topics[i].Partitions[j].Offset += 1000
				}
			}
		}
		return nil, false
	}
}

// TestCheckFindsBugs checks clusters of another make, with bugs and without.
func TestCheckFindsBugs(t *testing.T) {
	const produce, fetch, offsetCommit = 0, 1, 8
	for _, c := range []struct {
		name      string
		args      string
		key       int16
		bug       bug
		anomalies []string
	}{
		{name: "assign"},
		{name: "subscribe", args: "--mode subscribe"},
		{
			"drop", "--idempotence=false", produce, dropProduce(every(20)),
			[]string{kafka.Unseen, kafka.LostWrite},
		},
		{
			"repeat", "--idempotence=false", produce, repeatProduce(every(20)),
			[]string{kafka.Duplicate},
		},
		{"skip", "", fetch, skipFetch(after(checkDuration)), []string{kafka.ResumeSkip}},
		{
			"drop commits", "--mode subscribe", offsetCommit, dropCommit(every(1)),
			[]string{kafka.LostCommit},
		},
		{
			"other commits", "--mode subscribe", offsetCommit, aheadCommit(every(1)),
			[]string{kafka.WrongCommittedOffset},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cluster, err := kfake.NewCluster(kfake.NumBrokers(2))
			require.NoError(t, err)
			t.Cleanup(cluster.Close)
			if c.bug != nil {
				cluster.ControlKey(c.key, func(req kmsg.Request) (kmsg.Response, error, bool) {
					cluster.KeepControl()
					resp, handled := c.bug(t, cluster, req)
					return resp, nil, handled
				})
			}
			status, v := checkCluster(t, strings.Join(cluster.ListenAddrs(), ","),
				strings.Fields(c.args)...)
			if len(c.anomalies) == 0 {
				require.Zero(t, status, v)
				require.Equal(t, "valid", v.Verdict)
				require.Equal(t, c.name == "subscribe", v.Counts.Commits > 0)
				return
			}
			allowed := c.name == "repeat" // for that is what was asked for
			require.Equal(t, allowed, status == 0, v)
			for _, anomaly := range c.anomalies {
				require.Contains(t, v.faults(allowed), anomaly)
			}
		})
	}
}
