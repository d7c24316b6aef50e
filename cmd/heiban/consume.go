package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

type consumeFlags struct {
	connection
	format        string
	isolation     string
	group         string
	partitions    []int32
	max           int64
	idle          time.Duration
	fromBeginning bool
}

func consumeCommand() *cobra.Command {
	var f consumeFlags
	cmd := &cobra.Command{
		Use:   "consume TOPIC",
		Short: "Print the records of a topic",
		Example: "  heiban consume news --from-beginning --max 10\n" +
			"  heiban consume news --from-beginning --format '%p %o %k %v\\n'",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return f.run(ctx, args[0], cmd.OutOrStdout())
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&f.format, "format", "%v\n",
		"what to print: %t topic, %p partition, %o offset, %k key, %v value, %h headers, "+
			"%d timestamp")
	cmd.Flags().StringVar(&f.isolation, "isolation", "read_uncommitted",
		"read_uncommitted or read_committed")
	cmd.Flags().Int32SliceVar(&f.partitions, "partition", nil, "only these partitions")
	cmd.Flags().StringVar(&f.group, "group", "",
		"consume as a member of this group, and commit what was printed")
	cmd.MarkFlagsMutuallyExclusive("group", "partition")
	cmd.Flags().Int64Var(&f.max, "max", 0, "stop after this many records (0: never)")
	cmd.Flags().DurationVar(&f.idle, "exit-after", 0,
		"stop when nothing came for this long (0: never)")
	cmd.Flags().BoolVar(&f.fromBeginning, "from-beginning", false, "start with the oldest record")
	return cmd
}

func (f *consumeFlags) options(topic string) ([]kgo.Opt, error) {
	start := kgo.NewOffset().AtEnd()
	if f.fromBeginning {
		start = kgo.NewOffset().AtStart()
	}
	isolation := kgo.ReadUncommitted()
	switch f.isolation {
	case "read_uncommitted":
	case "read_committed":
		isolation = kgo.ReadCommitted()
	default:
		return nil, wrongUse("--isolation %q: want read_uncommitted or read_committed", f.isolation)
	}
	options := []kgo.Opt{kgo.FetchIsolationLevel(isolation), kgo.ConsumeResetOffset(start)}
	if f.group != "" {
		options = append(options, kgo.ConsumerGroup(f.group), kgo.AutoCommitMarks(),
			kgo.BlockRebalanceOnPoll())
	}
	if len(f.partitions) == 0 {
		return append(options, kgo.ConsumeTopics(topic)), nil
	}
	chosen := map[int32]kgo.Offset{}
	for _, p := range f.partitions {
		chosen[p] = start
	}
	return append(options,
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: chosen})), nil
}

func (f *consumeFlags) run(ctx context.Context, topic string, stdout io.Writer) error {
	formatter, err := kgo.NewRecordFormatter(f.format)
	if err != nil {
		return wrongUse("--format: %v", err)
	}
	options, err := f.options(topic)
	if err != nil {
		return err
	}
	client, err := f.client(options...)
	if err != nil {
		return err
	}
	defer client.CloseAllowingRebalance()

	out := bufio.NewWriterSize(stdout, 1<<20)
	var line []byte
	for left := f.max; ; {
		client.AllowRebalance()
		fetches, err := f.poll(ctx, client)
		if err != nil {
			return err
		}
		records := fetches.Records()
		if f.max > 0 {
			records = records[:min(left, int64(len(records)))]
			left -= int64(len(records))
		}
		for _, r := range records {
			line = formatter.AppendRecord(line[:0], r)
			if _, err := out.Write(line); err != nil {
				return fmt.Errorf("write records: %w", err)
			}
		}
		if err := out.Flush(); err != nil {
			return fmt.Errorf("write records: %w", err)
		}
		ends := len(records) == 0 || f.max > 0 && left == 0
		if err := f.commit(ctx, client, records, ends); err != nil || ends {
			return err
		}
	}
}

// commit notes that records were printed. At the end it waits until that is committed.
func (f *consumeFlags) commit(
	ctx context.Context, client *kgo.Client, records []*kgo.Record, ends bool,
) error {
	if f.group == "" {
		return nil
	}
	client.MarkCommitRecords(records...)
	if !ends {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.timeout)
	defer cancel()
	if err := client.CommitMarkedOffsets(ctx); err != nil {
		return fmt.Errorf("commit offsets of %s: %w", f.group, err)
	}
	return nil
}

// poll waits for records. It returns none when the user or the time ended the wait.
func (f *consumeFlags) poll(ctx context.Context, client *kgo.Client) (kgo.Fetches, error) {
	wait, cancel := ctx, context.CancelFunc(func() {})
	if f.idle > 0 {
		wait, cancel = context.WithTimeout(ctx, f.idle)
	}
	defer cancel()
	for {
		fetches := client.PollFetches(wait)
		if wait.Err() != nil {
			return nil, nil
		}
		for _, e := range fetches.Errors() {
			if !errors.Is(e.Err, context.Canceled) {
				return nil, fmt.Errorf("fetch %s partition %d: %w", e.Topic, e.Partition, e.Err)
			}
		}
		if !fetches.Empty() {
			return fetches, nil
		}
		client.AllowRebalance()
	}
}
