package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicDescription is a topic as `topic describe` shows it.
type topicDescription struct {
	Topic      string                 `json:"topic"`
	TopicID    string                 `json:"topicId"`
	Internal   bool                   `json:"internal"`
	Configs    map[string]string      `json:"configs"` // set on the topic itself
	Partitions []partitionDescription `json:"partitions"`

	minISR int
}

// partitionDescription is a partition as `topic describe` shows it. ELR and LastKnownELR
// are nil where the broker knows nothing of eligible leader replicas (KIP-966).
type partitionDescription struct {
	Partition    int32   `json:"partition"`
	Leader       int32   `json:"leader"` // -1 for none
	LeaderEpoch  int32   `json:"leaderEpoch"`
	Replicas     []int32 `json:"replicas"`
	ISR          []int32 `json:"isr"`
	Adding       []int32 `json:"addingReplicas,omitempty"` // by a reassignment
	Removing     []int32 `json:"removingReplicas,omitempty"`
	ELR          []int32 `json:"elr"`
	LastKnownELR []int32 `json:"lastKnownElr"`
}

// partitionFilter says which partitions to show: those that one of its conditions holds
// for, or all if it has none.
type partitionFilter struct {
	underReplicated, unavailable, underMinISR, atMinISR bool
}

func (f *partitionFilter) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.underReplicated, "under-replicated-partitions", false,
		"show only partitions with replicas that are not in sync")
	cmd.Flags().BoolVar(&f.unavailable, "unavailable-partitions", false,
		"show only partitions without a leader that is alive")
	cmd.Flags().BoolVar(&f.underMinISR, "under-min-isr-partitions", false,
		"show only partitions with fewer in-sync replicas than min.insync.replicas")
	cmd.Flags().BoolVar(&f.atMinISR, "at-min-isr-partitions", false,
		"show only partitions with as many in-sync replicas as min.insync.replicas")
}

func (f *partitionFilter) all() bool { return *f == partitionFilter{} }

func (f *partitionFilter) shows(p *partitionDescription, minISR int, alive []int32) bool {
	// A replica that is only being added is not missed yet.
	missing := len(p.Replicas) - len(p.Adding) - len(p.ISR)
	return f.all() ||
		f.underReplicated && missing > 0 ||
		f.unavailable && !slices.Contains(alive, p.Leader) ||
		f.underMinISR && (p.Leader < 0 || len(p.ISR) < minISR) ||
		f.atMinISR && len(p.ISR) == minISR
}

func topicDescribe(conn *connection) *cobra.Command {
	var (
		asJSON bool
		filter partitionFilter
	)
	cmd := &cobra.Command{
		Use:   "describe [TOPIC...]",
		Short: "Show partitions, leaders, replicas, in-sync and eligible leader replicas",
		Example: "  heiban topic describe news\n" +
			"  heiban topic describe --under-replicated-partitions",
		RunE: func(cmd *cobra.Command, names []string) error {
			client, err := conn.client()
			if err != nil {
				return err
			}
			defer client.Close()
			topics, err := describeTopics(cmd.Context(), client, names)
			if err != nil {
				return err
			}
			admin := kadm.NewClient(client)
			if err := describeFurther(cmd.Context(), admin, topics); err != nil {
				return err
			}
			brokers, err := admin.ListBrokers(cmd.Context())
			if err != nil {
				return err
			}
			topics = filter.apply(topics, brokers.NodeIDs())
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(topics)
			}
			return printTopics(cmd.OutOrStdout(), topics, filter.all())
		},
	}
	filter.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

// apply removes what the filter does not show, and topics of which nothing is left.
func (f *partitionFilter) apply(topics []*topicDescription, alive []int32) []*topicDescription {
	if f.all() {
		return topics
	}
	shown := []*topicDescription{}
	for _, t := range topics {
		t.Partitions = slices.DeleteFunc(t.Partitions, func(p partitionDescription) bool {
			return !f.shows(&p, t.minISR, alive)
		})
		if len(t.Partitions) > 0 {
			shown = append(shown, t)
		}
	}
	return shown
}

// describeTopics asks for topics, or for all if none is named, in the order of names.
func describeTopics(
	ctx context.Context, client *kgo.Client, names []string,
) ([]*topicDescription, error) {
	topics, err := describeTopicPages(ctx, client, names)
	if unserved(err) {
		topics, err = describeTopicsByMetadata(ctx, client, names)
	}
	slices.SortFunc(topics, func(a, b *topicDescription) int {
		return strings.Compare(a.Topic, b.Topic)
	})
	return topics, err
}

// unserved reports whether a request has failed because the brokers do not know its API.
// The client's own errors for that are not exported.
func unserved(err error) bool {
	return err != nil && (errors.Is(err, kerr.UnsupportedVersion) ||
		strings.Contains(err.Error(), "request key is unknown") ||
		strings.Contains(err.Error(), "broker is too old"))
}

// describeTopicPages asks with DescribeTopicPartitions, page by page.
func describeTopicPages(
	ctx context.Context, client *kgo.Client, names []string,
) ([]*topicDescription, error) {
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = 2000 // what Kafka's client asks for
	sorted := slices.Compact(slices.Sorted(slices.Values(names)))
	topics := []*topicDescription{}
	for {
		// The cursor's topic is the first one that is not described completely.
		req.Topics = nil
		for _, name := range sorted {
			if req.Cursor != nil && name < req.Cursor.Topic {
				continue
			}
			t := kmsg.NewDescribeTopicPartitionsRequestTopic()
			t.Topic = name
			req.Topics = append(req.Topics, t)
		}
		resp, err := req.RequestWith(ctx, client)
		if err != nil {
			return nil, fmt.Errorf("describe topics: %w", err)
		}
		for i := range resp.Topics {
			if topics, err = addPage(topics, &resp.Topics[i]); err != nil {
				return nil, err
			}
		}
		next := resp.NextCursor
		if next == nil {
			return topics, nil
		}
		if req.Cursor != nil && next.Topic == req.Cursor.Topic &&
			next.Partition <= req.Cursor.Partition {
			return nil, fmt.Errorf("describe topics: the answer ends where it began")
		}
		cursor := kmsg.NewDescribeTopicPartitionsRequestCursor()
		cursor.Topic, cursor.Partition = next.Topic, next.Partition
		req.Cursor = &cursor
	}
}

// addPage adds what a page says of a topic. It may go on where the last page ended.
func addPage(
	topics []*topicDescription, page *kmsg.DescribeTopicPartitionsResponseTopic,
) ([]*topicDescription, error) {
	name := ""
	if page.Topic != nil {
		name = *page.Topic
	}
	if err := kerr.ErrorForCode(page.ErrorCode); err != nil {
		return nil, fmt.Errorf("describe %s: %w", name, err)
	}
	if last := len(topics) - 1; last < 0 || topics[last].Topic != name {
		topics = append(topics, &topicDescription{
			Topic: name, TopicID: uuid(page.TopicID), Internal: page.IsInternal,
		})
	}
	t := topics[len(topics)-1]
	for i := range page.Partitions {
		p := &page.Partitions[i]
		t.Partitions = append(t.Partitions, partitionDescription{
			Partition: p.Partition, Leader: p.LeaderID, LeaderEpoch: p.LeaderEpoch,
			Replicas: p.Replicas, ISR: p.ISR,
			ELR: p.EligibleLeaderReplicas, LastKnownELR: p.LastKnownELR,
		})
	}
	return topics, nil
}

// describeTopicsByMetadata asks with Metadata, which every broker serves, and which knows
// nothing of eligible leader replicas.
func describeTopicsByMetadata(
	ctx context.Context, client *kgo.Client, names []string,
) ([]*topicDescription, error) {
	admin := kadm.NewClient(client)
	found, err := admin.ListTopicsWithInternal(ctx, names...)
	if err != nil {
		return nil, err
	}
	topics := []*topicDescription{}
	for _, t := range found {
		if t.Err != nil {
			return nil, fmt.Errorf("describe %s: %w", t.Topic, t.Err)
		}
		described := &topicDescription{
			Topic: t.Topic, TopicID: uuid(t.ID), Internal: t.IsInternal,
		}
		for _, p := range t.Partitions.Sorted() {
			described.Partitions = append(described.Partitions, partitionDescription{
				Partition: p.Partition, Leader: p.Leader, LeaderEpoch: p.LeaderEpoch,
				Replicas: p.Replicas, ISR: p.ISR,
			})
		}
		topics = append(topics, described)
	}
	return topics, nil
}

// describeFurther adds the topics' configurations and what is being reassigned.
func describeFurther(
	ctx context.Context, admin *kadm.Client, topics []*topicDescription,
) error {
	if len(topics) == 0 {
		return nil
	}
	names := make([]string, len(topics))
	asked := kadm.TopicsSet{}
	for i, t := range topics {
		names[i] = t.Topic
		for j := range t.Partitions {
			asked.Add(t.Topic, t.Partitions[j].Partition)
		}
	}
	configs, err := admin.DescribeTopicConfigs(ctx, names...)
	if err != nil {
		return err
	}
	reassigned, err := admin.ListPartitionReassignments(ctx, asked)
	if err != nil && !unserved(err) {
		return err
	}
	for _, t := range topics {
		one, err := configs.On(t.Topic, nil)
		if err = errors.Join(err, one.Err); err != nil {
			return fmt.Errorf("describe the configuration of %s: %w", t.Topic, err)
		}
		t.configure(one.Configs)
		for i := range t.Partitions {
			p := &t.Partitions[i]
			under := reassigned[t.Topic][p.Partition]
			p.Adding, p.Removing = under.AddingReplicas, under.RemovingReplicas
		}
	}
	return nil
}

func (t *topicDescription) configure(configs []kadm.Config) {
	t.Configs = map[string]string{}
	for _, c := range configs {
		if c.Source == kmsg.ConfigSourceDynamicTopicConfig {
			t.Configs[c.Key] = c.MaybeValue()
		}
		if c.Key == "min.insync.replicas" {
			t.minISR, _ = strconv.Atoi(c.MaybeValue()) // brokers take numbers only
		}
	}
}

// printTopics prints what kafka-topics --describe does, in columns.
func printTopics(out io.Writer, topics []*topicDescription, headings bool) error {
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, t := range topics {
		if headings {
			replicas := 0
			if len(t.Partitions) > 0 {
				replicas = len(t.Partitions[0].Replicas) - len(t.Partitions[0].Adding)
			}
			fmt.Fprintf(table,
				"Topic: %s\tTopicId: %s\tPartitionCount: %d\tReplicationFactor: %d\tConfigs: %s\n",
				t.Topic, t.TopicID, len(t.Partitions), replicas, t.overrides())
		}
		for i := range t.Partitions {
			printPartition(table, t.Topic, &t.Partitions[i])
		}
	}
	return table.Flush()
}

func printPartition(out io.Writer, topic string, p *partitionDescription) {
	leader := "none"
	if p.Leader >= 0 {
		leader = strconv.Itoa(int(p.Leader))
	}
	fmt.Fprintf(out, "\tTopic: %s\tPartition: %d\tLeader: %s\tReplicas: %s\tIsr: %s",
		topic, p.Partition, leader, join(p.Replicas), join(p.ISR))
	if len(p.Adding)+len(p.Removing) > 0 {
		fmt.Fprintf(out, "\tAdding Replicas: %s\tRemoving Replicas: %s",
			join(p.Adding), join(p.Removing))
	}
	known := func(ids []int32) string {
		if ids == nil {
			return "N/A"
		}
		return join(ids)
	}
	fmt.Fprintf(out, "\tElr: %s\tLastKnownElr: %s\n", known(p.ELR), known(p.LastKnownELR))
}

// overrides lists the values set on the topic itself, in the order of keys.
func (t *topicDescription) overrides() string {
	set := make([]string, 0, len(t.Configs))
	for key, value := range t.Configs {
		set = append(set, key+"="+value)
	}
	slices.Sort(set)
	return strings.Join(set, ",")
}

// uuid writes an id as Kafka's tools do.
func uuid(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func join(ids []int32) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", ","), "[]")
}
