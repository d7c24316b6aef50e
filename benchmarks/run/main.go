// Command run measures brokers side by side on this machine: Heiban at both
// durabilities, and franz-go's kfake as a peer. Every broker is a process of its own,
// every figure the median of several runs.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/heiban/heiban/benchmarks"
)

// row is one line of the table: a load on a broker.
type row struct {
	Broker     string        `json:"broker"`
	What       string        `json:"what"`
	Acks       string        `json:"acks"`
	Record     int           `json:"record_bytes"`
	MiBPerS    float64       `json:"mib_per_s"`
	RecsPerS   float64       `json:"records_per_s"`
	CPUPerGiB  float64       `json:"broker_cpu_s_per_gib"`
	RSSMiB     float64       `json:"broker_rss_mib"`
	AllocsPer  float64       `json:"broker_allocations_per_record"` // -1: not known
	P50        time.Duration `json:"p50_ns"`
	P99        time.Duration `json:"p99_ns"`
	Runs       int           `json:"runs"`
	MiBPerSMin float64       `json:"mib_per_s_min"`
	MiBPerSMax float64       `json:"mib_per_s_max"`
}

type settings struct {
	broker string
	kfake  string
	runs   int
	bytes  int64
	sizes  []int
	port   int
	asJSON bool
	only   string
}

func main() {
	var s settings
	var sizes string
	flag.StringVar(&s.broker, "broker", "bin/heiban", "the heiban binary")
	flag.StringVar(&s.kfake, "kfake", "",
		"the kfake peer's binary (empty: built on the fly; none: left out)")
	flag.IntVar(&s.runs, "runs", 3, "runs per figure; the median is printed")
	flag.Int64Var(&s.bytes, "bytes", 512<<20, "bytes of values per run")
	flag.StringVar(&sizes, "sizes", "100,1024,10240,102400", "record sizes")
	flag.IntVar(&s.port, "port", 19092, "first port to use")
	flag.BoolVar(&s.asJSON, "json", false, "print one JSON object per row")
	flag.StringVar(&s.only, "only", "", "only rows whose name holds this")
	flag.Parse()
	for _, size := range strings.Split(sizes, ",") {
		n, err := strconv.Atoi(size)
		if err != nil || n <= 0 {
			fmt.Fprintf(os.Stderr, "run: -sizes %q: want numbers\n", sizes)
			os.Exit(2)
		}
		s.sizes = append(s.sizes, n)
	}
	if err := s.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

// peer is a broker to measure.
type peer struct {
	name    string
	metered bool // it serves metrics
	command func(port int, dir string) *exec.Cmd
}

// metrics is where the broker that listens on a port serves its metrics.
func metrics(port int) string { return "127.0.0.1:" + strconv.Itoa(port+100) }

func (s *settings) peers(work string) ([]peer, error) {
	heiban := func(durability string) func(int, string) *exec.Cmd {
		return func(port int, dir string) *exec.Cmd {
			return exec.Command(s.broker, "broker", "--data", dir,
				"--listen", "127.0.0.1:"+strconv.Itoa(port), "--metrics", metrics(port),
				"-o", "heiban.durability="+durability)
		}
	}
	peers := []peer{
		{"heiban page-cache", true, heiban("page-cache")},
		{"heiban fsync", true, heiban("fsync")},
	}
	if s.kfake == "none" {
		return peers, nil
	}
	if s.kfake == "" {
		s.kfake = filepath.Join(work, "kfake")
		build := exec.Command("go", "build", "-o", s.kfake, "./benchmarks/kfake")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build kfake: %w: %s", err, out)
		}
	}
	return append(peers, peer{"kfake", false, func(port int, _ string) *exec.Cmd {
		return exec.Command(s.kfake, strconv.Itoa(port))
	}}), nil
}

func (s *settings) run(ctx context.Context) error {
	work, err := os.MkdirTemp("", "heiban-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	peers, err := s.peers(work)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', tabwriter.AlignRight)
	if !s.asJSON {
		fmt.Fprintln(table, "broker\twhat\tacks\trecord\tMiB/s\tmin\tmax\trecords/s\t"+
			"CPU s/GiB\tallocs/record\tRSS MiB\tp50\tp99\t")
	}
	for _, size := range s.sizes {
		for _, acks := range []string{"1", "all"} {
			rows, err := s.measure(ctx, peers, work, size, acks)
			if err != nil {
				return err
			}
			for _, r := range rows {
				if s.asJSON {
					if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
						return err
					}
					continue
				}
				fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%.0f\t%.0f\t%.0f\t%.0f\t%.2f\t%s\t%.0f\t%s\t%s\t\n",
					r.Broker, r.What, r.Acks, r.Record, r.MiBPerS, r.MiBPerSMin, r.MiBPerSMax,
					r.RecsPerS, r.CPUPerGiB, allocations(r.AllocsPer), r.RSSMiB,
					r.P50.Round(time.Microsecond), r.P99.Round(time.Microsecond))
			}
			table.Flush()
		}
	}
	return nil
}

// allocations prints how many objects a record costs the broker.
func allocations(per float64) string {
	if per < 0 {
		return "-"
	}
	return strconv.FormatFloat(per, 'f', 4, 64)
}

// sample is one run of one load.
type sample struct {
	benchmarks.Result
	allocs float64 // of the broker, a record; -1: not known
	cpu    time.Duration
	rss    int64
}

// measure runs every load on every peer in turn, runs times, so that a drift of the
// machine's speed meets all of them alike.
func (s *settings) measure(
	ctx context.Context, peers []peer, work string, size int, acks string,
) ([]row, error) {
	samples := map[string][]sample{}
	var names []string
	for range s.runs {
		for i, p := range peers {
			if s.only != "" && !strings.Contains(p.name, s.only) {
				continue
			}
			dir := filepath.Join(work, "data")
			got, err := s.once(ctx, p, dir, s.port+i, size, acks)
			if err != nil {
				return nil, fmt.Errorf("%s, %d bytes, acks=%s: %w", p.name, size, acks, err)
			}
			for _, what := range []string{"produce", "consume", "latency"} {
				one, ok := got[what]
				if !ok {
					continue
				}
				key := p.name + "\t" + what
				if !slices.Contains(names, key) {
					names = append(names, key)
				}
				samples[key] = append(samples[key], one)
			}
			if err := os.RemoveAll(dir); err != nil {
				return nil, err
			}
		}
	}
	var rows []row
	for _, name := range names {
		rows = append(rows, summarise(name, samples[name], size, acks))
	}
	return rows, nil
}

func summarise(name string, runs []sample, size int, acks string) row {
	broker, what, _ := strings.Cut(name, "\t")
	slices.SortFunc(runs,
		func(a, b sample) int { return int(a.MiBPerS*1000) - int(b.MiBPerS*1000) })
	median := func(of func(sample) float64) float64 {
		var values []float64
		for _, r := range runs {
			values = append(values, of(r))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	gib := func(r sample) float64 { return float64(r.Bytes) / (1 << 30) }
	return row{
		Broker: broker, What: what, Acks: acks, Record: size, Runs: len(runs),
		MiBPerS:    median(func(r sample) float64 { return r.MiBPerS }),
		RecsPerS:   median(func(r sample) float64 { return r.RecsPerS }),
		CPUPerGiB:  median(func(r sample) float64 { return r.cpu.Seconds() / gib(r) }),
		RSSMiB:     median(func(r sample) float64 { return float64(r.rss) / (1 << 20) }),
		AllocsPer:  median(func(r sample) float64 { return r.allocs }),
		P50:        time.Duration(median(func(r sample) float64 { return float64(r.P50) })),
		P99:        time.Duration(median(func(r sample) float64 { return float64(r.P99) })),
		MiBPerSMin: runs[0].MiBPerS, MiBPerSMax: runs[len(runs)-1].MiBPerS,
	}
}

// once starts a broker, runs the three loads, and stops it.
func (s *settings) once(
	ctx context.Context, p peer, dir string, port, size int, acks string,
) (map[string]sample, error) {
	cmd := p.command(port, dir)
	cmd.Stderr = os.Stderr
	ready, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}()
	if _, err := ready.Read(make([]byte, 1)); err != nil { // its ready line
		return nil, fmt.Errorf("wait until ready: %w", err)
	}
	go func() { _, _ = ready.Read(make([]byte, 1<<16)) }()
	load := &benchmarks.Load{
		Bootstrap: "127.0.0.1:" + strconv.Itoa(port), Topic: "bench", Acks: acks,
		Compression: "none", Partitions: 16, RecordBytes: size, Bytes: s.bytes,
		BatchBytes: 1 << 20, Clients: 1,
	}
	if size <= 100 {
		load.Bytes = s.bytes / 4
	}
	if err := load.MakeTopic(ctx); err != nil {
		return nil, err
	}
	got := map[string]sample{}
	steps := []struct {
		name string
		run  func() (benchmarks.Result, error)
	}{
		{"produce", func() (benchmarks.Result, error) { return benchmarks.Produce(ctx, load) }},
		{"consume", func() (benchmarks.Result, error) { return benchmarks.Consume(ctx, load) }},
		{"latency", func() (benchmarks.Result, error) {
			return benchmarks.ProduceOneByOne(ctx, load, 2000)
		}},
	}
	for _, step := range steps {
		one, err := p.observe(cmd.Process.Pid, port, step.run)
		if err != nil {
			return nil, err
		}
		got[step.name] = one
	}
	return got, nil
}

// observe runs a load and takes what it costs the broker.
func (p *peer) observe(
	pid, port int, run func() (benchmarks.Result, error),
) (sample, error) {
	mallocs := func() (int64, error) {
		if !p.metered {
			return 0, nil
		}
		return benchmarks.AllocationsOf(metrics(port))
	}
	mallocsBefore, err := mallocs()
	if err != nil {
		return sample{}, err
	}
	before, err := benchmarks.UsageOf(pid)
	if err != nil {
		return sample{}, err
	}
	result, err := run()
	if err != nil {
		return sample{}, err
	}
	after, err := benchmarks.UsageOf(pid)
	if err != nil {
		return sample{}, err
	}
	mallocsAfter, err := mallocs()
	if err != nil {
		return sample{}, err
	}
	one := sample{Result: result, cpu: after.CPU - before.CPU, rss: after.RSSBytes, allocs: -1}
	if p.metered {
		one.allocs = float64(mallocsAfter-mallocsBefore) / float64(result.Records)
	}
	return one, nil
}
