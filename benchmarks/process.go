package benchmarks

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process has used so far.
type Usage struct {
	CPU      time.Duration `json:"cpu_ns"`
	RSSBytes int64         `json:"rss_bytes"`
}

// UsageOf reads a process's processor time and resident memory (Linux).
func UsageOf(pid int) (Usage, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("read processor time: %w", err)
	}
	const (
		ticksPerSecond = 100 // USER_HZ of Linux
		userField      = 11  // after the command's closing parenthesis
		systemField    = 12
	)
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+2:]))
	user, err1 := strconv.ParseInt(fields[userField], 10, 64)
	system, err2 := strconv.ParseInt(fields[systemField], 10, 64)
	if err1 != nil || err2 != nil {
		return Usage{}, fmt.Errorf("parse /proc/%d/stat", pid)
	}
	u := Usage{CPU: time.Duration(user+system) * time.Second / ticksPerSecond}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("read memory: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				return Usage{}, fmt.Errorf("parse /proc/%d/status: %w", pid, err)
			}
			u.RSSBytes = kib << 10
		}
	}
	return u, nil
}

// AllocationsOf asks a Go process for how many objects it has allocated so far, by the
// metrics that it serves under an address.
func AllocationsOf(address string) (int64, error) {
	const name = "go_memstats_mallocs_total "
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name); ok {
			mallocs, err := strconv.ParseFloat(value, 64)
			return int64(mallocs), err
		}
	}
	return 0, fmt.Errorf("the metrics of %s do not tell the allocations", address)
}
