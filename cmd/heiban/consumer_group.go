package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func groupCommand() *cobra.Command {
	var conn connection
	cmd := &cobra.Command{
		Use:     "group",
		Short:   "List, describe, explain, reset and delete groups of consumers",
		Example: "  heiban group describe readers",
	}
	conn.flags(cmd)
	group(cmd)
	cmd.AddCommand(groupList(&conn), groupDescribe(&conn), groupMembers(&conn),
		groupResetOffsets(&conn), groupDelete(&conn), groupExplain(&conn))
	return cmd
}

// groupState is a group of either protocol.
type groupState struct {
	Group       string        `json:"group"`
	Type        string        `json:"type"` // classic or consumer
	State       string        `json:"state"`
	Assignor    string        `json:"assignor"`
	Coordinator int32         `json:"coordinator"`
	Members     []groupMember `json:"members"`
}

type groupMember struct {
	ID       string             `json:"id"`
	Instance string             `json:"instance,omitempty"`
	Client   string             `json:"client"`
	Host     string             `json:"host"`
	Assigned map[string][]int32 `json:"assigned"`
}

// describeGroup asks for a group in the one protocol and then in the other.
func describeGroup(ctx context.Context, admin *kadm.Client, name string) (*groupState, error) {
	consumers, err := admin.DescribeConsumerGroups(ctx, name)
	if err != nil {
		return nil, err
	}
	g := &groupState{Group: name, Type: "consumer"}
	switch found := consumers[name]; {
	case found.Err == nil:
		g.State, g.Assignor, g.Coordinator = found.State, found.AssignorName, found.Coordinator.NodeID
		for i := range found.Members {
			m := &found.Members[i]
			g.add(m.MemberID, m.InstanceID, m.ClientID, m.ClientHost, m.Assignment)
		}
		return g, nil
	case !errors.Is(found.Err, kerr.GroupIDNotFound) && !errors.Is(found.Err, kerr.UnsupportedVersion):
		return nil, fmt.Errorf("describe %s: %w", name, found.Err)
	}
	classic, err := admin.DescribeGroups(ctx, name)
	if err != nil {
		return nil, err
	}
	found := classic[name]
	if found.Err != nil {
		return nil, fmt.Errorf("describe %s: %w", name, found.Err)
	}
	g.Type, g.State, g.Assignor = "classic", found.State, found.Protocol
	g.Coordinator = found.Coordinator.NodeID
	for i := range found.Members {
		m := &found.Members[i]
		assigned := kadm.TopicsSet{}
		if said, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range said.Topics {
				assigned.Add(t.Topic, t.Partitions...)
			}
		}
		g.add(m.MemberID, m.InstanceID, m.ClientID, m.ClientHost, assigned)
	}
	return g, nil
}

func (g *groupState) add(id string, instance *string, client, host string, set kadm.TopicsSet) {
	m := groupMember{ID: id, Client: client, Host: host, Assigned: map[string][]int32{}}
	if instance != nil {
		m.Instance = *instance
	}
	for _, t := range set.Sorted() {
		m.Assigned[t.Topic] = t.Partitions
	}
	g.Members = append(g.Members, m)
}

func groupList(conn *connection) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List groups with their types, states and coordinators",
		Example: "  heiban group list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			admin, err := conn.admin()
			if err != nil {
				return err
			}
			defer admin.Close()
			var found []groupState
			for _, kind := range []string{"classic", "consumer"} {
				groups, err := admin.ListGroupsByType(cmd.Context(), []string{kind})
				if err != nil {
					return fmt.Errorf("list groups: %w", err)
				}
				for _, g := range groups {
					found = append(found, groupState{
						Group: g.Group, Type: kind, State: g.State, Coordinator: g.Coordinator,
					})
				}
			}
			slices.SortFunc(found, func(a, b groupState) int { return cmp.Compare(a.Group, b.Group) })
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(found)
			}
			table := newTable(cmd.OutOrStdout(), "GROUP", "TYPE", "STATE", "COORDINATOR")
			for i := range found {
				g := &found[i]
				fmt.Fprintf(table, "%s\t%s\t%s\t%d\n", g.Group, g.Type, g.State, g.Coordinator)
			}
			return table.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

func newTable(out io.Writer, columns ...string) *tabwriter.Writer {
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, strings.Join(columns, "\t"))
	return table
}

// position is where a group is in a partition.
type position struct {
	Topic     string `json:"topic"`
	Member    string `json:"member"` // who has the partition, "" if nobody
	Committed int64  `json:"committed"`
	End       int64  `json:"end"`
	Lag       int64  `json:"lag"` // -1 if nothing is committed
	Partition int32  `json:"partition"`
}

// positions are those of the partitions that are assigned or have a committed offset.
func positions(ctx context.Context, admin *kadm.Client, g *groupState) ([]position, error) {
	committed, err := admin.FetchOffsets(ctx, g.Group)
	if err != nil {
		return nil, fmt.Errorf("fetch offsets of %s: %w", g.Group, err)
	}
	owners := map[string]map[int32]string{}
	own := func(topic string, partition int32, member string) {
		if owners[topic] == nil {
			owners[topic] = map[int32]string{}
		}
		owners[topic][partition] = member
	}
	committed.Each(func(o kadm.OffsetResponse) { own(o.Topic, o.Partition, "") })
	for _, m := range g.Members {
		for topic, partitions := range m.Assigned {
			for _, p := range partitions {
				own(topic, p, m.ID)
			}
		}
	}
	if len(owners) == 0 {
		return nil, nil
	}
	ends, err := admin.ListEndOffsets(ctx, slices.Sorted(maps.Keys(owners))...)
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	var all []position
	for _, topic := range slices.Sorted(maps.Keys(owners)) {
		for _, p := range slices.Sorted(maps.Keys(owners[topic])) {
			at := position{
				Topic: topic, Partition: p, Member: owners[topic][p], Committed: -1, End: -1, Lag: -1,
			}
			if end, ok := ends.Lookup(topic, p); ok && end.Err == nil {
				at.End = end.Offset
			}
			if o, ok := committed.Lookup(topic, p); ok && o.Err == nil && o.At >= 0 {
				at.Committed = o.At
				at.Lag = max(0, at.End-at.Committed)
			}
			all = append(all, at)
		}
	}
	return all, nil
}

func groupDescribe(conn *connection) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "describe GROUP...",
		Short:   "Show where groups are in their partitions, and who has them",
		Example: "  heiban group describe readers",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			admin, err := conn.admin()
			if err != nil {
				return err
			}
			defer admin.Close()
			for _, name := range names {
				g, err := describeGroup(cmd.Context(), admin, name)
				if err != nil {
					return err
				}
				at, err := positions(cmd.Context(), admin, g)
				if err != nil {
					return err
				}
				if asJSON {
					err = json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
						*groupState
						Positions []position `json:"positions"`
					}{g, at})
				} else {
					err = printGroup(cmd.OutOrStdout(), g, at)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object for each group")
	return cmd
}

func printGroup(out io.Writer, g *groupState, at []position) error {
	fmt.Fprintf(out, "Group: %s  Type: %s  State: %s  Assignor: %s  Members: %d  Coordinator: %d\n",
		g.Group, g.Type, g.State, dash(g.Assignor), len(g.Members), g.Coordinator)
	table := newTable(out, "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "MEMBER")
	number := func(n int64) string {
		if n < 0 {
			return "-"
		}
		return fmt.Sprint(n)
	}
	for _, p := range at {
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t%s\n", p.Topic, p.Partition, number(p.Committed),
			number(p.End), number(p.Lag), dash(p.Member))
	}
	return table.Flush()
}

func dash(s string) string { return cmp.Or(s, "-") }

func groupMembers(conn *connection) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "members GROUP",
		Short:   "Show the members of a group, and the partitions of each",
		Example: "  heiban group members readers",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			admin, err := conn.admin()
			if err != nil {
				return err
			}
			defer admin.Close()
			g, err := describeGroup(cmd.Context(), admin, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(g.Members)
			}
			table := newTable(cmd.OutOrStdout(), "MEMBER", "INSTANCE", "CLIENT", "HOST", "PARTITIONS")
			for _, m := range g.Members {
				var assigned []string
				for _, topic := range slices.Sorted(maps.Keys(m.Assigned)) {
					assigned = append(assigned, topic+"("+join(m.Assigned[topic])+")")
				}
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", m.ID, dash(m.Instance), dash(m.Client), m.Host,
					dash(strings.Join(assigned, " ")))
			}
			return table.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

func groupDelete(conn *connection) *cobra.Command {
	return &cobra.Command{
		Use:     "delete GROUP...",
		Short:   "Delete groups that have no members, with their offsets",
		Example: "  heiban group delete readers",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			admin, err := conn.admin()
			if err != nil {
				return err
			}
			defer admin.Close()
			deleted, err := admin.DeleteGroups(cmd.Context(), names...)
			if err != nil {
				return err
			}
			for _, g := range deleted.Sorted() {
				if g.Err != nil {
					return fmt.Errorf("delete %s: %w", g.Group, g.Err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "deleted %s\n", g.Group)
			}
			return nil
		},
	}
}
