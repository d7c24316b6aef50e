package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// resource is the thing whose configuration is meant: a topic or a broker.
type resource struct {
	topic  string
	broker string
}

func (r *resource) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.topic, "topic", "", "a topic")
	cmd.Flags().StringVar(&r.broker, "broker", "", "a broker's id, or \"default\" for all brokers")
	cmd.MarkFlagsMutuallyExclusive("topic", "broker")
	cmd.MarkFlagsOneRequired("topic", "broker")
}

// brokers lists the broker meant; none stands for the default of all brokers.
func (r *resource) brokers() ([]int32, error) {
	if r.broker == "default" {
		return nil, nil
	}
	id, err := strconv.ParseInt(r.broker, 10, 32)
	if err != nil {
		return nil, wrongUse("--broker %q: want an id or \"default\"", r.broker)
	}
	return []int32{int32(id)}, nil
}

func configCommand() *cobra.Command {
	var conn connection
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Describe and alter the configuration of topics and brokers",
		Example: "  heiban config describe --topic news",
	}
	conn.flags(cmd)
	group(cmd)
	cmd.AddCommand(configDescribe(&conn), configAlter(&conn))
	return cmd
}

func configDescribe(conn *connection) *cobra.Command {
	var (
		target resource
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:     "describe",
		Short:   "Show every configuration with its source",
		Example: "  heiban config describe --broker 1",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			admin, err := conn.admin()
			if err != nil {
				return err
			}
			defer admin.Close()
			var described kadm.ResourceConfigs
			if target.topic != "" {
				described, err = admin.DescribeTopicConfigs(cmd.Context(), target.topic)
			} else {
				var ids []int32
				if ids, err = target.brokers(); err == nil {
					described, err = admin.DescribeBrokerConfigs(cmd.Context(), ids...)
				}
			}
			if err != nil {
				return err
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			for _, one := range described {
				if one.Err != nil {
					return fmt.Errorf("describe %s: %w", one.Name, one.Err)
				}
				slices.SortFunc(one.Configs, func(a, b kadm.Config) int {
					return slices.Compare([]byte(a.Key), []byte(b.Key))
				})
				if asJSON {
					return json.NewEncoder(cmd.OutOrStdout()).Encode(one.Configs)
				}
				for _, c := range one.Configs {
					fmt.Fprintf(table, "%s\t%s\t%s\n", c.Key, c.MaybeValue(), c.Source)
				}
			}
			return table.Flush()
		},
	}
	target.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

func configAlter(conn *connection) *cobra.Command {
	var (
		target resource
		set    []string
		unset  []string
	)
	cmd := &cobra.Command{
		Use:   "alter",
		Short: "Set and unset configurations",
		Example: "  heiban config alter --topic news --set retention.ms=3600000 " +
			"--delete cleanup.policy",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			values, err := pairs("set", set)
			if err != nil {
				return err
			}
			var changes []kadm.AlterConfig
			for key, value := range values {
				changes = append(changes,
					kadm.AlterConfig{Op: kadm.SetConfig, Name: key, Value: &value})
			}
			for _, key := range unset {
				changes = append(changes, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: key})
			}
			if len(changes) == 0 {
				return wrongUse("nothing to change: give --set or --delete")
			}
			admin, err := conn.admin()
			if err != nil {
				return err
			}
			defer admin.Close()
			var altered kadm.AlterConfigsResponses
			if target.topic != "" {
				altered, err = admin.AlterTopicConfigs(cmd.Context(), changes, target.topic)
			} else {
				var ids []int32
				if ids, err = target.brokers(); err == nil {
					altered, err = admin.AlterBrokerConfigs(cmd.Context(), changes, ids...)
				}
			}
			if err != nil {
				return err
			}
			for _, one := range altered {
				if one.Err != nil {
					return fmt.Errorf("alter %s: %w", one.Name, detailed(one.Err, one.ErrMessage))
				}
			}
			return nil
		},
	}
	target.flags(cmd)
	cmd.Flags().StringArrayVar(&set, "set", nil, "key=value; may be repeated")
	cmd.Flags().StringArrayVar(&unset, "delete", nil, "a key to take back; may be repeated")
	return cmd
}
