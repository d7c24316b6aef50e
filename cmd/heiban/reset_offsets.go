package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// resetFlags say where a group is to go on.
type resetFlags struct {
	datetime   string
	topics     []string
	partitions []int32
	offset     int64
	shift      int64
	earliest   bool
	latest     bool
	dryRun     bool
}

func groupResetOffsets(conn *connection) *cobra.Command {
	var f resetFlags
	cmd := &cobra.Command{
		Use:   "reset-offsets GROUP",
		Short: "Have a group without members go on elsewhere",
		Example: "  heiban group reset-offsets readers --topic news --to-earliest\n" +
			"  heiban group reset-offsets readers --topic news --to-datetime 2026-01-31T08:00:00Z --dry-run",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			admin, err := conn.admin()
			if err != nil {
				return err
			}
			defer admin.Close()
			to, err := f.offsets(cmd.Context(), cmd, admin, args[0])
			if err != nil {
				return err
			}
			if !f.dryRun {
				if err := admin.CommitAllOffsets(cmd.Context(), args[0], to); err != nil {
					return fmt.Errorf("reset offsets of %s (it may have members): %w", args[0], err)
				}
			}
			table := newTable(cmd.OutOrStdout(), "TOPIC", "PARTITION", "NEW-OFFSET")
			for _, o := range to.Sorted() {
				fmt.Fprintf(table, "%s\t%d\t%d\n", o.Topic, o.Partition, o.At)
			}
			return table.Flush()
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.topics, "topic", nil, "of these topics; may be repeated")
	flags.Int32SliceVar(&f.partitions, "partition", nil, "only of these partitions")
	flags.BoolVar(&f.earliest, "to-earliest", false, "to the oldest record")
	flags.BoolVar(&f.latest, "to-latest", false, "to the end")
	flags.Int64Var(&f.offset, "to-offset", 0, "to this offset")
	flags.Int64Var(&f.shift, "shift-by", 0, "by so many records, back if negative")
	flags.StringVar(&f.datetime, "to-datetime", "", "to the first record at or after this time (RFC 3339)")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only print what would be done")
	where := []string{"to-earliest", "to-latest", "to-offset", "shift-by", "to-datetime"}
	cmd.MarkFlagsMutuallyExclusive(where...)
	cmd.MarkFlagsOneRequired(where...)
	_ = cmd.MarkFlagRequired("topic") // it was defined above
	return cmd
}

// offsets finds the offsets to commit, each within its partition.
func (f *resetFlags) offsets(
	ctx context.Context, cmd *cobra.Command, admin *kadm.Client, name string,
) (kadm.Offsets, error) {
	starts, err := admin.ListStartOffsets(ctx, f.topics...)
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	ends, err := admin.ListEndOffsets(ctx, f.topics...)
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	wanted := ends
	var committed kadm.OffsetResponses
	switch {
	case f.earliest:
		wanted = starts
	case f.datetime != "":
		at, err := time.Parse(time.RFC3339, f.datetime)
		if err != nil {
			return nil, wrongUse("--to-datetime: %v", err)
		}
		if wanted, err = admin.ListOffsetsAfterMilli(ctx, at.UnixMilli(), f.topics...); err != nil {
			return nil, fmt.Errorf("list offsets: %w", err)
		}
	case cmd.Flags().Changed("shift-by"):
		if committed, err = admin.FetchOffsets(ctx, name); err != nil {
			return nil, fmt.Errorf("fetch offsets of %s: %w", name, err)
		}
	}
	if err := wanted.Error(); err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	to := kadm.Offsets{}
	wanted.Each(func(o kadm.ListedOffset) {
		if len(f.partitions) > 0 && !slices.Contains(f.partitions, o.Partition) {
			return
		}
		at := o.Offset
		if cmd.Flags().Changed("to-offset") {
			at = f.offset
		}
		if committed != nil {
			was, ok := committed.Lookup(o.Topic, o.Partition)
			if !ok {
				return
			}
			at = was.At + f.shift
		}
		start, _ := starts.Lookup(o.Topic, o.Partition)
		end, _ := ends.Lookup(o.Topic, o.Partition)
		to.AddOffset(o.Topic, o.Partition, min(max(at, start.Offset), end.Offset), -1)
	})
	return to, nil
}
