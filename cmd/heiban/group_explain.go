package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/heiban/heiban/realnet"
)

// groupExplain tells the past of a group: why it was rebalanced, by whom, how long that
// took, and how long partitions had no owner. No API of Kafka's tells that, so it is asked
// of the nodes' metrics listeners. A group's coordinator may have moved: what several
// nodes remember is put together.
func groupExplain(conn *connection) *cobra.Command {
	var (
		metrics []string
		asJSON  bool
	)
	cmd := &cobra.Command{
		Use:   "explain GROUP",
		Short: "Tell why a group was rebalanced, by whom, and how long partitions were idle",
		Long: "Tell what happened to a group, as far as its coordinators remember: the last 200\n" +
			"events since they were started. The nodes have to be run with --metrics.",
		Example: "  heiban group explain readers --metrics 127.0.0.1:9404",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var all []realnet.GroupEvent
			for _, address := range metrics {
				events, err := groupEvents(cmd.Context(), conn.timeout, address, args[0])
				if err != nil {
					return err
				}
				all = append(all, events...)
			}
			slices.SortStableFunc(all, func(a, b realnet.GroupEvent) int { return a.Time.Compare(b.Time) })
			for i := range all {
				if asJSON {
					if err := json.NewEncoder(cmd.OutOrStdout()).Encode(&all[i]); err != nil {
						return err
					}
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n",
					all[i].Time.Format("2006-01-02 15:04:05.000"), inWords(&all[i]))
			}
			if len(all) == 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "nothing is remembered of %s\n", args[0])
				return errFailed
			}
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&metrics, "metrics", nil,
		"the nodes' metrics listeners, as HOST:PORT,HOST:PORT")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object for each event")
	_ = cmd.MarkFlagRequired("metrics") // it was defined above
	return cmd
}

func groupEvents(
	ctx context.Context, patience time.Duration, address, name string,
) ([]realnet.GroupEvent, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	at := "http://" + address + "/groups/" + url.PathEscape(name)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, http.NoBody)
	if err != nil {
		return nil, wrongUse("--metrics %q: %v", address, err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", address, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask %s: %s", address, resp.Status)
	}
	const answerMax = 16 << 20
	var events []realnet.GroupEvent
	if err := json.NewDecoder(io.LimitReader(resp.Body, answerMax)).Decode(&events); err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", address, err)
	}
	return events, nil
}

// inWords tells of an event.
func inWords(ev *realnet.GroupEvent) string {
	cause := ev.Cause
	if ev.Member != "" {
		cause += ": " + ev.Member
	}
	round := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	switch ev.Kind {
	case "RebalanceStarted":
		return fmt.Sprintf("rebalance begins, generation %d ends (%s)", ev.Epoch, cause)
	case "EpochStarted":
		text := fmt.Sprintf("epoch %d begins with %d members (%s)", ev.Epoch, ev.Members, cause)
		if ev.Took > 0 {
			text += fmt.Sprintf(", after %s of waiting for them", round(ev.Took))
		}
		return text
	case "RebalanceCompleted":
		return fmt.Sprintf("epoch %d is balanced, after %s", ev.Epoch, round(ev.Took))
	case "PartitionTaken":
		text := fmt.Sprintf("%s has %s-%d", ev.Member, ev.Topic, ev.Partition)
		if !ev.First {
			text += fmt.Sprintf(", which nobody had for %s", round(ev.Unowned))
		}
		return text
	case "Converted":
		return "the group uses the " + ev.To + " protocol now"
	}
	return ev.Kind
}
