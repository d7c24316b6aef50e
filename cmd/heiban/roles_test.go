package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRoles: three nodes that are only controllers and three that are only brokers make a
// cluster, whose controllers are voters and no brokers.
func TestRoles(t *testing.T) {
	const controllers, nodes = 3, 6
	dir := t.TempDir()
	port := freePorts(t, nodes)
	address := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", port+i) }
	var voters []string
	for i := range controllers {
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, address(i)))
	}
	await := make([]func(), nodes)
	for i := range nodes {
		role, listener := "controller", "CONTROLLER"
		if i >= controllers {
			role, listener = "broker", "PLAINTEXT"
		}
		file := filepath.Join(dir, fmt.Sprintf("node-%d.properties", i+1))
		require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "process.roles=%s\nnode.id=%d\n"+
			"listeners=%s://%s\ncontroller.listener.names=CONTROLLER\n"+
			"controller.quorum.voters=%s\nlog.dirs=%s\n", role, i+1, listener, address(i),
			strings.Join(voters, ","), filepath.Join(dir, fmt.Sprint("data-", i+1))), 0o600))
		_, lines := startProgram(t, "broker", "--config", file, "--log-level", "error",
			"--cluster-id", "MkU3OEVBNTcwNTJENDM2Qg")
		await[i] = func() { awaitLine(t, lines, `is ready on `+address(i)+` after`) }
	}
	for _, ready := range await {
		ready()
	}
	ok := func(in string, args ...string) string {
		t.Helper()
		status, out, errOut := heiban(in, append(args, "--bootstrap", address(nodes-1))...)
		require.Zero(t, status, "heiban %v: %s", args, errOut)
		return out
	}
	ok("", "topic", "create", "news", "--partitions", "3", "--replication-factor", "3")
	ok("hello\n", "produce", "news", "--acks", "all")
	require.Equal(t, "hello\n", ok("", "consume", "news", "--from-beginning", "--max", "1"))
	require.Equal(t, 3, strings.Count(ok("", "topic", "describe", "news"), "Leader: "))
	require.Regexp(t, `(?s)CurrentVoters: +\[{"id": 1,.*{"id": 2,.*{"id": 3,[^}]*}\]`,
		ok("", "quorum", "describe"))
	for i := range controllers {
		require.NoDirExists(t, filepath.Join(dir, fmt.Sprint("data-", i+1), "news-0"))
	}
}

// TestRolesRefused: what contradicts the roles of a node is told before it starts.
func TestRolesRefused(t *testing.T) {
	for roles, says := range map[string]string{
		"-o process.roles=controller":                                               "only a controller",
		"-o process.roles=broker":                                                   "names no controller",
		"-o process.roles=broker -o controller.quorum.voters=1@h:1":                 "only a broker",
		"-o process.roles=broker -o controller.listener.names=PLAINTEXT":            "none for clients",
		"-o process.roles=broker,controller -o controller.listener.names=PLAINTEXT": "none for clients",
	} {
		args := append([]string{"broker", "--data", t.TempDir()}, strings.Fields(roles)...)
		status, _, errOut := heiban("", args...)
		require.Equal(t, 1, status, roles)
		require.Contains(t, errOut, says, roles)
	}
}
