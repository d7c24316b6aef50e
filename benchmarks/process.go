package benchmarks

import (
	"bytes"
	"fmt"
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
