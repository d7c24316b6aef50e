package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func topicCommand() *cobra.Command {
	var conn connection
	cmd := &cobra.Command{
		Use:     "topic",
		Short:   "Create, list, describe, alter and delete topics",
		Example: "  heiban topic create news --partitions 3",
	}
	conn.flags(cmd)
	group(cmd)
	cmd.AddCommand(topicCreate(&conn), topicList(&conn), topicDescribe(&conn), topicAlter(&conn),
		topicDelete(&conn))
	return cmd
}

func topicCreate(conn *connection) *cobra.Command {
	var (
		partitions  int32
		replication int16
		configs     []string
		ifNotExists bool
	)
	cmd := &cobra.Command{
		Use:     "create TOPIC...",
		Short:   "Create topics",
		Example: "  heiban topic create news --partitions 3 --config retention.ms=604800000",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, topics []string) error {
			set, err := pairs("config", configs)
			if err != nil {
				return err
			}
			admin, err := conn.admin()
			if err != nil {
				return err
			}
			defer admin.Close()
			values := map[string]*string{}
			for key, value := range set {
				values[key] = &value
			}
			made, err := admin.CreateTopics(cmd.Context(), partitions, replication,
				values, topics...)
			if err != nil {
				return err
			}
			for _, one := range made.Sorted() {
				if ifNotExists && one.Err != nil &&
					strings.Contains(one.Err.Error(), "TOPIC_ALREADY_EXISTS") {
					continue
				}
				if one.Err != nil {
					return fmt.Errorf("create %s: %w", one.Topic, detailed(one.Err, one.ErrMessage))
				}
				fmt.Fprintf(cmd.OutOrStdout(), "created %s\n", one.Topic)
			}
			return nil
		},
	}
	cmd.Flags().Int32Var(&partitions, "partitions", -1,
		"number of partitions (-1: the broker's default)")
	cmd.Flags().Int16Var(&replication, "replication-factor", -1,
		"replicas (-1: the broker's default)")
	cmd.Flags().StringArrayVar(&configs, "config", nil,
		"a topic configuration key=value; may be repeated")
	cmd.Flags().BoolVar(&ifNotExists, "if-not-exists", false, "an existing topic is no error")
	return cmd
}

// detailed adds the broker's own words to an error code.
func detailed(err error, message string) error {
	if message == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, message)
}

func topicList(conn *connection) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List topics",
		Example: "  heiban topic list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			admin, err := conn.admin()
			if err != nil {
				return err
			}
			defer admin.Close()
			topics, err := admin.ListTopics(cmd.Context())
			if err != nil {
				return err
			}
			names := topics.Names()
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(names)
			}
			for _, name := range names {
				fmt.Fprintln(cmd.OutOrStdout(), name)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

func topicAlter(conn *connection) *cobra.Command {
	var partitions int
	cmd := &cobra.Command{
		Use:     "alter TOPIC...",
		Short:   "Add partitions",
		Example: "  heiban topic alter news --partitions 6",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, topics []string) error {
			if partitions <= 0 {
				return wrongUse("--partitions: want the new number of partitions")
			}
			admin, err := conn.admin()
			if err != nil {
				return err
			}
			defer admin.Close()
			grown, err := admin.UpdatePartitions(cmd.Context(), partitions, topics...)
			if err != nil {
				return err
			}
			for _, one := range grown.Sorted() {
				if one.Err != nil {
					return fmt.Errorf("alter %s: %w", one.Topic, detailed(one.Err, one.ErrMessage))
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s has %d partitions\n", one.Topic, partitions)
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&partitions, "partitions", 0, "the new number of partitions")
	return cmd
}

func topicDelete(conn *connection) *cobra.Command {
	return &cobra.Command{
		Use:     "delete TOPIC...",
		Short:   "Delete topics and all their records",
		Example: "  heiban topic delete news",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, topics []string) error {
			admin, err := conn.admin()
			if err != nil {
				return err
			}
			defer admin.Close()
			gone, err := admin.DeleteTopics(cmd.Context(), topics...)
			if err != nil {
				return err
			}
			for _, one := range gone.Sorted() {
				if one.Err != nil {
					return fmt.Errorf("delete %s: %w", one.Topic, detailed(one.Err, one.ErrMessage))
				}
				fmt.Fprintf(cmd.OutOrStdout(), "deleted %s\n", one.Topic)
			}
			return nil
		},
	}
}
