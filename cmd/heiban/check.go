package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/heiban/heiban/checker/kafka"
	"github.com/heiban/heiban/checker/report"
)

type checkFlags struct {
	connection
	topic         string
	acks          string
	mode          string
	chaos         string
	html          string
	history       string
	load          string
	configs       []string
	duration      time.Duration
	chaosInterval time.Duration
	settle        time.Duration
	rate          int
	producers     int
	consumers     int
	keys          int32
	replication   int16
	idempotence   bool
	freshReads    bool
	asJSON        bool
	keep          bool
}

func checkCommand() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Put a live cluster under load and judge what its clients were told",
		Long: "Produce unique values to a topic of its own, consume them, and judge what the clients\n" +
			"of the cluster were told as Jepsen's Kafka workload does: nothing acknowledged is lost,\n" +
			"nothing is doubled, reordered, skipped or invented, and groups go on where they were.\n" +
			"The cluster may be of any vendor. A command may disturb it meanwhile; it must leave it\n" +
			"able to recover. The status is 0 only if the verdict is valid.",
		Example: "  heiban check --duration 60s --rate 1000 --html check.html\n" +
			"  heiban check --bootstrap a:9092,b:9092,c:9092 --replication-factor 3 \\\n" +
			"    --config min.insync.replicas=2 --chaos ./kill-one.sh --chaos-interval 15s\n" +
			"  heiban check --load history.jsonl",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("fresh-reads") {
				f.freshReads = f.chaos == ""
			}
			if err := f.check(); err != nil {
				return err
			}
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f.flags(cmd)
	f.loadFlags(cmd)
	cmd.Flags().StringVar(&f.chaos, "chaos", "",
		"a shell command that disturbs the cluster, and lets it recover")
	cmd.Flags().DurationVar(&f.chaosInterval, "chaos-interval", 10*time.Second,
		"from the end of one disturbance to the beginning of the next")
	cmd.Flags().DurationVar(&f.settle, "settle", 30*time.Second,
		"how long the cluster may take in the end to answer everything")
	cmd.Flags().BoolVar(&f.freshReads, "fresh-reads", false,
		"ends and commits that a replaced leader tells are a fault too (default without --chaos)")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print the verdict as one JSON object")
	cmd.Flags().StringVar(&f.html, "html", "", "write a page about the verdict to this file")
	cmd.Flags().StringVar(&f.history, "history", "", "write the history to this file")
	cmd.Flags().StringVar(&f.load, "load", "", "judge the history in this file, and run nothing")
	return cmd
}

// loadFlags defines the flags of what is done to the cluster.
func (f *checkFlags) loadFlags(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&f.duration, "duration", time.Minute, "how long to produce")
	cmd.Flags().IntVar(&f.rate, "rate", 500, "records a second, of all producers")
	cmd.Flags().IntVar(&f.producers, "producers", 3, "how many clients produce")
	cmd.Flags().IntVar(&f.consumers, "consumers", 3, "how many clients consume")
	cmd.Flags().Int32Var(&f.keys, "keys", 4, "partitions of the topic")
	cmd.Flags().StringVar(&f.topic, "topic", "",
		"topic to make; it must not exist (default: a name of its own)")
	cmd.Flags().BoolVar(&f.keep, "keep", false, "do not delete the topic in the end")
	cmd.Flags().Int16Var(&f.replication, "replication-factor", -1,
		"replicas (-1: the broker's default)")
	cmd.Flags().StringArrayVar(&f.configs, "config", nil,
		"a topic configuration key=value; may be repeated")
	cmd.Flags().StringVar(&f.acks, "acks", "all", "0, 1 or all; only all forbids any loss")
	cmd.Flags().BoolVar(&f.idempotence, "idempotence", true,
		"let the cluster drop what is retried twice; only with --acks all")
	cmd.Flags().StringVar(&f.mode, "mode", "assign",
		"assign: consumers choose their partitions; subscribe: a group does")
}

func (f *checkFlags) check() error {
	if _, _, err := f.producing(); err != nil {
		return err
	}
	if f.mode != "assign" && f.mode != "subscribe" {
		return wrongUse("--mode %q: want assign or subscribe", f.mode)
	}
	for _, n := range []struct {
		flag  string
		value int64
	}{
		{"duration", int64(f.duration)},
		{"rate", int64(f.rate)},
		{"keys", int64(f.keys)},
		{"producers", int64(f.producers)},
		{"consumers", int64(f.consumers)},
		{"chaos-interval", int64(f.chaosInterval)},
		{"settle", int64(f.settle)},
	} {
		if n.value < 1 {
			return wrongUse("--%s: want more than nothing", n.flag)
		}
	}
	_, err := pairs("config", f.configs)
	return err
}

// promised is what the clients ask for.
func (f *checkFlags) promised() kafka.Config {
	return kafka.Config{
		AcksAll: f.acks == "all", Idempotent: f.acks == "all" && f.idempotence,
		RebalancesLogged: true, FreshReads: f.freshReads,
	}
}

func (f *checkFlags) run(ctx context.Context, out, errOut io.Writer) error {
	history, err := f.observe(ctx, errOut)
	if err != nil {
		return err
	}
	verdict := kafka.Analyze(history)
	if err := f.write(history, verdict); err != nil {
		return err
	}
	if f.asJSON {
		err = json.NewEncoder(out).Encode(verdict)
	} else {
		_, err = fmt.Fprint(out, summary(verdict))
	}
	if err == nil && verdict.Result != kafka.Valid {
		err = errFailed
	}
	return err
}

// observe makes a history, or reads the one that it was told to judge.
func (f *checkFlags) observe(ctx context.Context, errOut io.Writer) (*kafka.History, error) {
	if f.load == "" {
		ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		return f.workload(ctx, stop, errOut)
	}
	file, err := os.Open(f.load)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	history, err := kafka.Read(bufio.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.load, err)
	}
	return history, nil
}

// write writes the files that were asked for.
func (f *checkFlags) write(history *kafka.History, verdict *kafka.Verdict) error {
	if f.history != "" {
		if err := writeFile(f.history, history.Write); err != nil {
			return err
		}
	}
	if f.html == "" {
		return nil
	}
	return writeFile(f.html, func(w io.Writer) error {
		return report.Write(w, "heiban check of "+f.bootstrap, history.Config, verdict)
	})
}

func writeFile(name string, write func(io.Writer) error) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	buffer := bufio.NewWriterSize(file, 1<<20)
	if err = write(buffer); err == nil {
		err = buffer.Flush()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// summary is the verdict for people.
func summary(v *kafka.Verdict) string {
	c := v.Counts
	text := v.String() + fmt.Sprintf(
		"%d operations on %d partitions, %d of unknown outcome\n"+
			"%d values sent, %d acknowledged, %d failed; %d seen in %d records polled\n",
		c.Operations, c.Keys, c.Indefinite, c.Sent, c.Acknowledged, c.Failed, c.Seen, c.Polled)
	if c.Commits+c.Resumes > 0 {
		text += fmt.Sprintf("%d commits, %d offsets of the group read\n", c.Commits, c.Resumes)
	}
	if v.Lag.Nanos > 0 {
		text += fmt.Sprintf("the poll furthest behind was late by %s, in %s\n",
			time.Duration(v.Lag.Nanos).Round(time.Millisecond), v.Lag.Key)
	}
	return text
}
