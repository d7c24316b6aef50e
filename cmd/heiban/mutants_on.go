//go:build mutants

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/heiban/heiban/scenarios"
)

// addMutants adds the hunt for known bugs, which only this build has.
func addMutants(parent *cobra.Command) {
	var (
		options scenarios.MutantOptions
		asJSON  bool
	)
	cmd := &cobra.Command{
		Use:     "mutants [ID...]",
		Short:   "Switch on known bugs, one at a time, and demand that the right checker notices",
		Example: "  heiban-mutants sim mutants D1 P2",
		RunE: func(cmd *cobra.Command, ids []string) error {
			if len(ids) > 0 {
				options.IDs = ids
			}
			kills, err := scenarios.HuntMutants(options, nil)
			if err != nil {
				return err
			}
			if len(kills) == 0 {
				return wrongUse("no such mutant")
			}
			return printKills(cmd.OutOrStdout(), kills, asJSON)
		},
	}
	cmd.Flags().Uint64Var(&options.From, "from", 1, "first seed")
	cmd.Flags().Uint64Var(&options.BudgetMax, "budget", 0,
		"seeds per scenario at most (0: the mutant's own)")
	cmd.Flags().IntVar(&options.Jobs, "jobs", runtime.GOMAXPROCS(0), "hunts at a time")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per mutant")
	parent.AddCommand(cmd)
}

// printKills prints the kill matrix. A mutant that survives, or that the wrong checker
// found, is a failure.
func printKills(out io.Writer, kills []scenarios.Kill, asJSON bool) error {
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	if !asJSON {
		fmt.Fprintln(table, "mutant\tkilled\tchecker\tkind\texpected\tscenario\tseed\t"+
			"seeds to kill\tseeds run\thits")
	}
	var failed error
	for _, k := range kills {
		if !k.Killed || !k.Expected {
			failed = errFailed
		}
		if asJSON {
			if err := json.NewEncoder(out).Encode(k); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(table, "%s\t%t\t%s\t%s\t%t\t%s\t%d\t%d\t%d\t%d\n",
			k.ID, k.Killed, k.Checker, k.Kind, k.Expected,
			k.Scenario, k.Seed, k.SeedsToKill, k.SeedsRun, k.Hits)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return failed
}
