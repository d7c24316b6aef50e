package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/heiban/heiban/scenarios"
	"github.com/heiban/heiban/sim"
)

func simCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "sim",
		Short:   "Run seeded failure scenarios against the broker's own code",
		Example: "  heiban sim sweep --seeds 1:200",
	}
	group(cmd)
	cmd.AddCommand(simList(), simRun(), simSweep())
	addMutants(cmd)
	return cmd
}

func simList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the scenarios",
		Example: "  heiban sim list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			for _, s := range scenarios.All() {
				if asJSON {
					line := struct {
						Scenario string `json:"scenario"`
						About    string `json:"about"`
					}{s.Name, s.Text}
					if err := json.NewEncoder(cmd.OutOrStdout()).Encode(line); err != nil {
						return err
					}
					continue
				}
				fmt.Fprintf(table, "%s\t%s\n", s.Name, s.Text)
			}
			return table.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per scenario")
	return cmd
}

// findScenario returns the scenario of a name.
func findScenario(name string) (sim.Scenario, error) {
	s, err := scenarios.Find(name)
	if err != nil {
		return s, wrongUse("unknown scenario %q: see 'heiban sim list'", name)
	}
	return s, nil
}

type simRunFlags struct {
	seed   uint64
	trace  bool
	twice  bool
	wire   bool
	asJSON bool
}

func simRun() *cobra.Command {
	var f simRunFlags
	cmd := &cobra.Command{
		Use:     "run SCENARIO",
		Short:   "Run one scenario with one seed",
		Example: "  heiban sim run power-loss-fsync --seed 42 --twice",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			scenario, err := findScenario(args[0])
			if err != nil {
				return err
			}
			return f.run(&scenario, cmd.OutOrStdout(), cmd.Flags().Changed("wire"))
		},
	}
	cmd.Flags().Uint64Var(&f.seed, "seed", 1, "the seed that all of the run follows from")
	cmd.Flags().BoolVar(&f.trace, "trace", false, "print every event")
	cmd.Flags().BoolVar(&f.twice, "twice", false, "run again and compare the hashes")
	cmd.Flags().BoolVar(&f.wire, "wire", false,
		"encode and decode every message (default: every fourth seed)")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print a JSON object")
	return cmd
}

// runReport is what a run prints with --json.
type runReport struct {
	Scenario   string   `json:"scenario"`
	Seed       uint64   `json:"seed"`
	Events     int64    `json:"events"`
	Excused    int64    `json:"excused"`
	Simulated  float64  `json:"simulated_s"`
	Wall       float64  `json:"wall_s"`
	Hash       string   `json:"hash"`
	Violations []string `json:"violations"`
}

func (f *simRunFlags) run(scenario *sim.Scenario, out io.Writer, wireGiven bool) error {
	options := scenarios.Options(f.seed)
	if wireGiven {
		options.Wire = f.wire
	}
	if f.trace {
		options.Trace = func(line string) { fmt.Fprintln(out, line) }
	}
	begin := time.Now()
	outcome, err := scenario.Run(f.seed, &options)
	if err != nil {
		return err
	}
	report := runReport{
		Scenario: scenario.Name, Seed: f.seed, Events: outcome.Events,
		Excused:   outcome.Excused.Acked + outcome.Excused.Committed,
		Simulated: float64(outcome.SimulatedNanos) / 1e9, Wall: time.Since(begin).Seconds(),
		Hash: fmt.Sprintf("%016x", outcome.Hash), Violations: []string{},
	}
	var again *sim.Outcome
	if f.twice {
		options.Trace = nil
		if again, err = scenario.Run(f.seed, &options); err != nil {
			return err
		}
	}
	if failure := scenarios.Judge(scenario.Name, f.seed, outcome, again); failure != nil {
		report.Violations = failure.Violations
	}
	if f.asJSON {
		if err := json.NewEncoder(out).Encode(report); err != nil {
			return err
		}
	} else {
		report.print(out, f.twice)
	}
	if len(report.Violations) > 0 {
		return errFailed
	}
	return nil
}

func (r *runReport) print(out io.Writer, twice bool) {
	verdict := "PASS"
	if len(r.Violations) > 0 {
		verdict = "FAIL"
	}
	fmt.Fprintf(out, "%s %s seed %d: %d events, %.1f simulated seconds in %.2f s, hash %s", verdict,
		r.Scenario, r.Seed, r.Events, r.Simulated, r.Wall, r.Hash)
	if twice {
		fmt.Fprint(out, ", run twice")
	}
	if r.Excused > 0 {
		fmt.Fprintf(out, ", %d losses excused by the faults", r.Excused)
	}
	fmt.Fprintln(out)
	for _, v := range r.Violations {
		fmt.Fprintln(out, "  "+v)
	}
	if len(r.Violations) > 0 {
		fmt.Fprintln(out, "reproduce: "+scenarios.Reproduce(r.Scenario, r.Seed))
	}
}

type simSweepFlags struct {
	seeds  string
	time   time.Duration
	jobs   int
	twice  uint64
	asJSON bool
}

func simSweep() *cobra.Command {
	var f simSweepFlags
	cmd := &cobra.Command{
		Use:   "sweep [SCENARIO...]",
		Short: "Run scenarios, all by default, with a range of seeds",
		Example: "  heiban sim sweep --seeds 1:1000 --json\n" +
			"  heiban sim sweep topic-churn --seeds 1:1000000 --time 60s",
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := f.options(args)
			if err != nil {
				return err
			}
			return f.run(options, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&f.seeds, "seeds", "1:100", "FROM:TO, both run")
	cmd.Flags().DurationVar(&f.time, "time", 0, "begin no run after this long (0: run all seeds)")
	cmd.Flags().IntVar(&f.jobs, "jobs", runtime.GOMAXPROCS(0), "runs at a time")
	cmd.Flags().Uint64Var(&f.twice, "twice", 50,
		"run every so manyth seed twice and compare (0: none)")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object per scenario")
	return cmd
}

func (f *simSweepFlags) options(names []string) (scenarios.SweepOptions, error) {
	options := scenarios.SweepOptions{Time: f.time, Jobs: f.jobs, Twice: f.twice}
	from, to, ok := strings.Cut(f.seeds, ":")
	first, err1 := strconv.ParseUint(from, 10, 64)
	last, err2 := strconv.ParseUint(to, 10, 64)
	if !ok || err1 != nil || err2 != nil || last < first {
		return options, wrongUse("--seeds %q: want FROM:TO", f.seeds)
	}
	options.From, options.To = first, last+1
	for _, name := range names {
		s, err := findScenario(name)
		if err != nil {
			return options, err
		}
		options.Scenarios = append(options.Scenarios, s)
	}
	if options.Scenarios == nil {
		options.Scenarios = scenarios.All()
	}
	return options, nil
}

func (f *simSweepFlags) run(options scenarios.SweepOptions, out, errOut io.Writer) error {
	// Runs are short and leave nothing behind: memory is cheaper than collecting it.
	const gcPercent = 400
	debug.SetGCPercent(gcPercent)
	stop := make(chan struct{})
	options.Stop = stop
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(interrupted)
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-interrupted:
			close(stop)
		case <-ended:
		}
	}()
	total := int64(options.To-options.From) * int64(len(options.Scenarios))
	result, err := scenarios.Sweep(options, newProgress(errOut, total).ran)
	if err != nil {
		return err
	}
	f.print(out, result)
	for _, failure := range result.Failures {
		fmt.Fprintf(errOut, "FAIL %s seed %d\n", failure.Scenario, failure.Seed)
		for _, v := range failure.Violations {
			fmt.Fprintln(errOut, "  "+v)
		}
		fmt.Fprintln(errOut, "reproduce: "+failure.Reproduce)
	}
	if len(result.Failures) > 0 {
		return errFailed
	}
	return nil
}

func (f *simSweepFlags) print(out io.Writer, result *scenarios.SweepResult) {
	if f.asJSON {
		for _, s := range result.Summaries {
			_ = json.NewEncoder(out).Encode(s)
		}
		return
	}
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table,
		"scenario\tseeds\tevents\tfailures\texcused\tsimulated s\tCPU s\tevents/s\thash")
	for _, s := range result.Summaries {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%.0f\t%.1f\t%.0f\t%s\n",
			s.Scenario, s.Seeds, s.Events, s.Failures, s.Excused,
			s.SimulatedSeconds, s.WallSeconds, s.EventsPerSecond, s.Hash)
	}
	table.Flush()
}

// progress prints how far a sweep is, on terminals only.
type progress struct {
	out    io.Writer
	total  int64
	done   int64
	failed int64
	next   time.Time
}

func newProgress(out io.Writer, total int64) *progress {
	p := &progress{total: total}
	if f, ok := out.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.out = out
		}
	}
	return p
}

func (p *progress) ran(r scenarios.Ran) {
	p.done++
	if r.Failure != nil {
		p.failed++
	}
	now := time.Now()
	if p.out == nil || now.Before(p.next) && p.done < p.total {
		return
	}
	const every = 200 * time.Millisecond
	p.next = now.Add(every)
	fmt.Fprintf(p.out, "\r%d of %d runs, %d failed ", p.done, p.total, p.failed)
	if p.done == p.total {
		fmt.Fprintln(p.out)
	}
}
