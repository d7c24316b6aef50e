package main

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// asProgram is set in the environment of a test binary that is to be the program.
const asProgram = "HEIBAN_TEST_AS_PROGRAM"

// startProgram runs a command line as a process and returns its output.
func startProgram(t *testing.T, args ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // if it was not waited for
	return cmd, bufio.NewReader(out)
}

// awaitLine reads lines up to one that a pattern matches.
func awaitLine(t *testing.T, lines *bufio.Reader, pattern string) []string {
	t.Helper()
	for {
		line, err := lines.ReadString('\n')
		require.NoError(t, err, "no line matches %s", pattern)
		if m := regexp.MustCompile(pattern).FindStringSubmatch(line); m != nil {
			return m
		}
	}
}

// freePorts finds n ports in a row that nobody listens on.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	for {
		var taken []net.Listener
		first := 0
		for i := range n {
			address := "127.0.0.1:0"
			if i > 0 {
				address = "127.0.0.1:" + strconv.Itoa(first+i)
			}
			l, err := net.Listen("tcp", address)
			if err != nil {
				break
			}
			if taken = append(taken, l); i == 0 {
				first = l.Addr().(*net.TCPAddr).Port
			}
		}
		for _, l := range taken {
			require.NoError(t, l.Close())
		}
		if len(taken) == n {
			return first
		}
	}
}

// TestCluster: the nodes serve clients, one that is killed comes back, and SIGTERM stops
// all of them cleanly.
func TestCluster(t *testing.T) {
	const nodes = 1
	dir := t.TempDir()
	port := freePorts(t, 2*nodes)
	cmd, lines := startProgram(t, "cluster", "--nodes", strconv.Itoa(nodes), "--data", dir,
		"--port", strconv.Itoa(port), "--restart")
	first := awaitLine(t, lines, `^node 1 is process (\d+)`)
	bootstrap := awaitLine(t, lines, `is ready on (\S+) after`)[1]

	status, _, errOut := heiban("", "topic", "create", "news", "--bootstrap", bootstrap)
	require.Zero(t, status, errOut)
	status, _, errOut = heiban("hello\n", "produce", "news", "--bootstrap", bootstrap)
	require.Zero(t, status, errOut)

	pid, err := strconv.Atoi(first[1])
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	second := awaitLine(t, lines, `^node 1 is process (\d+)`)
	require.NotEqual(t, first[1], second[1])
	awaitLine(t, lines, `^node 1: heiban .* is ready on`)

	status, out, errOut := heiban("", "consume", "news", "--bootstrap", bootstrap,
		"--from-beginning", "--max", "1")
	require.Zero(t, status, errOut)
	require.Equal(t, "hello", strings.TrimSpace(out))

	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	_, err = io.Copy(io.Discard, lines)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	for i := range nodes {
		node := filepath.Join(dir, "node-"+strconv.Itoa(i+1))
		require.FileExists(t, filepath.Join(node, ".kafka_cleanshutdown"))
	}
}
