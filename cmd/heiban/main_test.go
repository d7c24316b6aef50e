package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/heiban/heiban/realnet"
)

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" { // a test runs the program as a process of its own
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	// The signal package keeps one goroutine for good once it was used.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("os/signal.signal_recv"),
		goleak.IgnoreTopFunction("os/signal.loop"))
}

// heiban runs a command line and returns its exit status and what it printed.
func heiban(in string, args ...string) (status int, out, errOut string) {
	var stdout, stderr bytes.Buffer
	status = run(args, strings.NewReader(in), &stdout, &stderr)
	return status, stdout.String(), stderr.String()
}

func TestExitStatus(t *testing.T) {
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"--version", 0, ""},
		{"sim list", 0, ""},
		{"bogus", 2, "unknown command"},
		{"broker --bogus", 2, "unknown flag"},
		{"broker -o x", 2, "want key=value"},
		{"broker --log-level loud", 2, "--log-level"},
		{"cluster --nodes 0", 2, "--nodes"},
		{"cluster --port 65535", 2, "--port"},
		{"cluster -o x", 2, "want key=value"},
		{"broker --config no-such-file", 1, "no such file"},
		{"broker -o num.partitions=many", 1, "num.partitions"},
		{"produce", 2, "arg(s)"},
		{"produce t --acks 7", 2, "--acks"},
		{"produce t --compression zip", 2, "--compression"},
		{"consume t --isolation none", 2, "--isolation"},
		{"consume t --format %", 2, "--format"},
		{"config describe", 2, "at least one of the flags"},
		{"config alter --topic t", 2, "nothing to change"},
		{"config describe --broker x", 2, "--broker"},
		{"topic alter t", 2, "--partitions"},
		{"quorum describe --status --replication", 2, "flags in the group"},
		{"consume t --group g --partition 1", 2, "flags in the group"},
		{"group describe", 2, "arg(s)"},
		{"group explain g", 2, "required flag"},
		{"group reset-offsets g --topic t", 2, "flags in the group"},
		{"group reset-offsets g --topic t --to-latest --shift-by 1", 2, "flags in the group"},
		{"topic list --bootstrap 127.0.0.1:1 --timeout 1s", 1, "refused"},
		{"sim run no-such-scenario", 2, "unknown scenario"},
		{"sim sweep --seeds 5", 2, "FROM:TO"},
		{"sim sweep --seeds 9:5", 2, "FROM:TO"},
		{"log dump no-such-file", 1, "no such file"},
	} {
		status, _, errOut := heiban("", strings.Fields(c.args)...)
		require.Equal(t, c.status, status, "heiban %s: %s", c.args, errOut)
		require.Contains(t, errOut, c.says, "heiban %s", c.args)
	}
}

// TestProperties: flags win over the environment, which wins over the file.
func TestProperties(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.properties")
	require.NoError(t, os.WriteFile(file, []byte(
		"# a comment\nnum.partitions=3\nlog.dir = /from/file\nlog.retention.hours: 5\n"+
			"listeners=PLAINTEXT://:1\nsome.key=a\\\n  b${c}\n"), 0o600))
	f := brokerFlags{
		configFile: file, listen: "h:9", nodeID: -1, overrides: []string{"num.partitions=7"},
	}
	props, err := f.properties([]string{
		"KAFKA_NUM_PARTITIONS=5", "KAFKA_CFG_LOG_RETENTION_HOURS=6",
		"KAFKA_HEAP_OPTS=-Xmx1g", "PATH=/",
	})
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"num.partitions": "7", "log.dir": "/from/file", "log.retention.hours": "6",
		"listeners": "PLAINTEXT://h:9", "some.key": "ab${c}", "node.id": "1",
	}, props)

	props, err = (&brokerFlags{data: "d", nodeID: 4}).properties(nil)
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"log.dirs": "d", "node.id": "4", "listeners": "PLAINTEXT://127.0.0.1:9092",
	}, props)
}

// startNode runs a broker in this process, with further configurations key=value, and
// returns its address and directory.
func startNode(t *testing.T, configs ...string) (address, dir string) {
	t.Helper()
	dir = t.TempDir()
	props, err := pairs("config", configs)
	require.NoError(t, err)
	props["log.dirs"], props["node.id"] = dir, "1"
	props["listeners"] = "PLAINTEXT://127.0.0.1:0"
	server, err := realnet.Start(realnet.Config{Properties: props})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Shutdown(context.Background())) })
	<-server.Ready()
	return server.Addr(), dir
}

func TestClientCommands(t *testing.T) {
	address, dir := startNode(t)
	ok := func(in string, args ...string) string {
		t.Helper()
		status, out, errOut := heiban(in, append(args, "--bootstrap", address)...)
		require.Zero(t, status, "heiban %v: %s", args, errOut)
		return out
	}
	require.Equal(t, "created news\n",
		ok("", "topic", "create", "news", "--partitions", "2", "--config", "retention.ms=3600000"))
	status, _, errOut := heiban("", "topic", "create", "news", "--bootstrap", address)
	require.Equal(t, 1, status)
	require.Contains(t, errOut, "TOPIC_ALREADY_EXISTS")
	require.Empty(t, ok("", "topic", "create", "news", "--if-not-exists"))

	ok("k1:one\nk2:two\nno key\n", "produce", "news", "--key-separator", ":", "--partition", "1")
	for _, acks := range []string{"0", "1", "all"} {
		for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
			ok("x\n", "produce", "other", "--acks", acks, "--compression", codec)
		}
	}
	require.Equal(t, "1 0 k1 one\n1 1 k2 two\n1 2  no key\n", ok("", "consume", "news",
		"--from-beginning", "--max", "3", "--format", "%p %o %k %v\n"))
	require.Equal(t, strings.Repeat("x\n", 15), ok("", "consume", "other", "--from-beginning",
		"--max", "15", "--partition", "0", "--isolation", "read_committed"))
	require.Empty(t, ok("", "consume", "news", "--exit-after", "50ms"))

	require.Equal(t, "news\nother\n", ok("", "topic", "list"))
	require.Equal(t, "[\"news\",\"other\"]\n", ok("", "topic", "list", "--json"))
	require.Equal(t, "news has 4 partitions\n",
		ok("", "topic", "alter", "news", "--partitions", "4"))
	described := ok("", "topic", "describe", "news")
	require.Contains(t, described, "PartitionCount: 4")
	require.Contains(t, described, "retention.ms=3600000")
	require.Contains(t, described, "Leader: 1")

	ok("", "config", "alter", "--topic", "news",
		"--set", "cleanup.policy=compact", "--delete", "retention.ms")
	require.Regexp(t, `cleanup.policy +compact +DYNAMIC_TOPIC_CONFIG`,
		ok("", "config", "describe", "--topic", "news"))
	require.Contains(t, ok("", "config", "describe", "--broker", "1", "--json"),
		`"log.retention.ms"`)

	require.Equal(t, "deleted other\n", ok("", "topic", "delete", "other"))
	require.Equal(t, "news\n", ok("", "topic", "list"))

	segment := filepath.Join(dir, "news-1", "00000000000000000000.log")
	status, out, _ := heiban("", "log", "dump", segment, "--records")
	require.Zero(t, status)
	require.Contains(t, out, "| offset: 1 timestamp: ")
	require.Contains(t, out, "key: k2 payload: two")
	testDumpOfDamage(t, segment)
}

// testDumpOfDamage: a batch that is not sound is told, and is a failure.
func testDumpOfDamage(t *testing.T, segment string) {
	t.Helper()
	data, err := os.ReadFile(segment)
	require.NoError(t, err)
	data[len(data)-1] ^= 1
	broken := filepath.Join(t.TempDir(), "broken.log")
	require.NoError(t, os.WriteFile(broken, data, 0o600))
	status, out, _ := heiban("", "log", "dump", broken, "--json")
	require.Equal(t, 1, status)
	require.Contains(t, out, `"isvalid":false`)

	require.NoError(t, os.WriteFile(broken, data[:len(data)-1], 0o600))
	status, out, _ = heiban("", "log", "dump", broken)
	require.Equal(t, 1, status)
	require.Contains(t, out, "ends after")
}

func TestSimCommands(t *testing.T) {
	status, out, errOut := heiban("", "sim", "run", "power-loss-fsync", "--seed", "42", "--twice")
	require.Zero(t, status, errOut)
	require.Contains(t, out, "PASS power-loss-fsync seed 42")

	var first, second runReport
	for wire, report := range map[string]*runReport{
		"--wire=true": &first, "--wire=false": &second,
	} {
		_, out, _ = heiban("", "sim", "run", "crash-under-load", "--seed", "3", "--json", wire)
		require.NoError(t, json.Unmarshal([]byte(out), report))
	}
	require.NotEmpty(t, first.Hash)
	require.Equal(t, first.Hash, second.Hash, "wire mode changes nothing")

	status, out, _ = heiban("", "sim", "run", "topic-churn", "--trace")
	require.Zero(t, status)
	require.Greater(t, strings.Count(out, "\n"), 100)

	status, out, errOut = heiban("", "sim", "sweep", "retention", "compaction",
		"--seeds", "1:3", "--json")
	require.Zero(t, status, errOut)
	require.Equal(t, 2, strings.Count(out, "\n"))
	require.Contains(t, out, `"scenario":"retention","seeds":3`)
}
