package main

import (
	"context"
	"io"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/heiban/heiban/realnet"
)

func TestGroupCommands(t *testing.T) {
	server, err := realnet.Start(realnet.Config{
		MetricsAddress: "127.0.0.1:0",
		Properties: map[string]string{
			"log.dirs": t.TempDir(), "listeners": "PLAINTEXT://127.0.0.1:0", "node.id": "1",
			"group.initial.rebalance.delay.ms": "0",
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Shutdown(context.Background())) })
	<-server.Ready()
	ok := func(in string, args ...string) string {
		t.Helper()
		status, out, errOut := heiban(in, append(args, "--bootstrap", server.Addr())...)
		require.Zero(t, status, "heiban %v: %s", args, errOut)
		return out
	}
	ok("", "topic", "create", "news", "--partitions", "1")
	ok("one\ntwo\nthree\nfour\n", "produce", "news")
	require.Equal(t, "one\ntwo\n",
		ok("", "consume", "news", "--group", "g", "--from-beginning", "--max", "2"))
	require.Equal(t, "three\n", ok("", "consume", "news", "--group", "g", "--max", "1"))
	require.Regexp(t, `g +classic +Empty +1`, ok("", "group", "list"))
	require.Regexp(t, `news +0 +3 +4 +1 +-`, ok("", "group", "describe", "g"))

	require.Regexp(t, `news +0 +1\n`,
		ok("", "group", "reset-offsets", "g", "--topic", "news", "--shift-by", "-2"))
	require.Equal(t, "two\n", ok("", "consume", "news", "--group", "g", "--max", "1"))
	for flag, want := range map[string]string{ // in any order
		"--to-earliest": "0", "--to-latest": "4", "--to-offset=99": "4", "--shift-by=-9": "0",
		"--to-datetime=2020-01-01T00:00:00Z": "0", "--to-datetime=2999-01-01T00:00:00Z": "4",
	} {
		require.Regexp(t, `news +0 +`+want+`\n`,
			ok("", "group", "reset-offsets", "g", "--topic", "news", "--dry-run", flag), flag)
	}
	require.Regexp(t, `news +0 +2 +4 +2 +-`, ok("", "group", "describe", "g"))

	member := joinGroup(t, server.Addr(), "g")
	require.Regexp(t, `\S+ +- +reader +/127.0.0.1 +news\(0\)`, ok("", "group", "members", "g"))
	status, _, errOut := heiban("", "group", "reset-offsets", "g", "--topic", "news", "--to-latest",
		"--bootstrap", server.Addr())
	require.Equal(t, 1, status)
	require.Contains(t, errOut, "UNKNOWN_MEMBER_ID")
	status, _, errOut = heiban("", "group", "delete", "g", "--bootstrap", server.Addr())
	require.Equal(t, 1, status)
	require.Contains(t, errOut, "NON_EMPTY_GROUP")
	member.Close()

	consumer := joinGroup(t, server.Addr(), "k", kgo.ServerSideBalancer())
	require.Contains(t, ok("", "group", "describe", "k"), "Type: consumer  State: Stable")
	require.Contains(t, ok("", "group", "describe", "k", "--json"), `"type":"consumer"`)
	require.Contains(t, ok("", "group", "members", "k", "--json"), `"assigned":{"news":[0]}`)
	require.Contains(t, ok("", "group", "list", "--json"), `"group":"k","type":"consumer"`)
	consumer.Close()

	story := ok("", "group", "explain", "g", "--metrics", server.MetricsAddr())
	for _, want := range []string{
		"epoch 1 begins with 1 members (member joined: heiban-", "has news-0", "is balanced, after",
		"rebalance begins, generation 1 ends (member left: heiban-", "which nobody had for",
	} {
		require.Contains(t, story, want)
	}
	require.Contains(t, ok("", "group", "explain", "k", "--json", "--metrics", server.MetricsAddr()),
		`"kind":"PartitionTaken"`)
	status, _, _ = heiban("", "group", "explain", "nobody", "--metrics", server.MetricsAddr())
	require.Equal(t, 1, status)

	require.Equal(t, "deleted g\n", ok("", "group", "delete", "g"))
	require.NotContains(t, ok("", "group", "list"), "g ")
}

// joinGroup returns a member of a group that has its partition.
func joinGroup(t *testing.T, address, name string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	assigned := make(chan struct{}, 1)
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(address), kgo.ClientID("reader"), kgo.ConsumeTopics("news"),
		kgo.ConsumerGroup(name), kgo.Balancers(kgo.RangeBalancer()),
		kgo.HeartbeatInterval(50 * time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, p map[string][]int32) {
			if len(p) > 0 {
				assigned <- struct{}{}
			}
		}),
	}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	<-assigned
	return client
}

// What a group has committed outlives a node that is killed.
func TestOffsetsOutliveAKill(t *testing.T) {
	port := freePorts(t, 2)
	cmd, lines := startProgram(t, "cluster", "--nodes", "1", "--data", t.TempDir(),
		"--port", strconv.Itoa(port), "--restart", "-o", "group.initial.rebalance.delay.ms=0")
	first := awaitLine(t, lines, `^node 1 is process (\d+)`)
	bootstrap := awaitLine(t, lines, `is ready on (\S+) after`)[1]
	ok := func(in string, args ...string) string {
		t.Helper()
		status, out, errOut := heiban(in, append(args, "--bootstrap", bootstrap)...)
		require.Zero(t, status, "heiban %v: %s", args, errOut)
		return strings.TrimSpace(out)
	}
	ok("", "topic", "create", "news", "--partitions", "1")
	ok("one\ntwo\n", "produce", "news")
	require.Equal(t, "one",
		ok("", "consume", "news", "--group", "g", "--from-beginning", "--max", "1"))
	pid, err := strconv.Atoi(first[1])
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	awaitLine(t, lines, `^node 1: heiban .* is ready on`)
	require.Equal(t, "two", ok("", "consume", "news", "--group", "g", "--max", "1"))
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	_, err = io.Copy(io.Discard, lines)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
}
