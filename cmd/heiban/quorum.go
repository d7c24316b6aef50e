package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func quorumCommand() *cobra.Command {
	var conn connection
	cmd := &cobra.Command{
		Use:     "quorum",
		Short:   "Describe the metadata quorum",
		Example: "  heiban quorum describe --replication",
	}
	conn.flags(cmd)
	group(cmd)
	cmd.AddCommand(quorumDescribe(&conn))
	return cmd
}

// quorumDescription is the metadata quorum as its leader sees it. Numbers that are not
// known are -1.
type quorumDescription struct {
	ClusterID            string          `json:"clusterId"`
	LeaderID             int32           `json:"leaderId"`
	LeaderEpoch          int32           `json:"leaderEpoch"`
	HighWatermark        int64           `json:"highWatermark"`
	MaxFollowerLag       int64           `json:"maxFollowerLag"`
	MaxFollowerLagTimeMs int64           `json:"maxFollowerLagTimeMs"`
	Voters               []quorumReplica `json:"currentVoters"`
	Observers            []quorumReplica `json:"currentObservers"`
}

// quorumReplica is one copy of the metadata log.
type quorumReplica struct {
	ID                    int32    `json:"id"`
	DirectoryID           string   `json:"directoryId,omitempty"`
	Endpoints             []string `json:"endpoints,omitempty"`
	LogEndOffset          int64    `json:"logEndOffset"`
	Lag                   int64    `json:"lag"` // behind the leader
	LastFetchTimestamp    int64    `json:"lastFetchTimestamp"`
	LastCaughtUpTimestamp int64    `json:"lastCaughtUpTimestamp"`
}

func quorumDescribe(conn *connection) *cobra.Command {
	var status, replication, human, asJSON bool
	cmd := &cobra.Command{
		Use:   "describe",
		Short: "Show who leads the quorum and votes in it, or how far each copy of its log is",
		Example: "  heiban quorum describe\n" +
			"  heiban quorum describe --replication --human-readable",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := conn.client()
			if err != nil {
				return err
			}
			defer client.Close()
			q, err := describeQuorum(cmd.Context(), client)
			if err != nil {
				return err
			}
			switch {
			case asJSON:
				return json.NewEncoder(cmd.OutOrStdout()).Encode(q)
			case replication:
				return q.printReplication(cmd.OutOrStdout(), timestamps(human, time.Now()))
			default:
				return q.printStatus(cmd.OutOrStdout())
			}
		},
	}
	cmd.Flags().BoolVar(&status, "status", false, "show leader, lag and voters (the default)")
	cmd.Flags().BoolVar(&replication, "replication", false, "show each copy of the log")
	cmd.Flags().BoolVar(&human, "human-readable", false, "show how long ago instants were")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print all as JSON")
	cmd.MarkFlagsMutuallyExclusive("status", "replication", "json")
	return cmd
}

// describeQuorum asks for the state of the metadata log's only partition.
func describeQuorum(ctx context.Context, client *kgo.Client) (*quorumDescription, error) {
	req := kmsg.NewPtrDescribeQuorumRequest()
	topic := kmsg.NewDescribeQuorumRequestTopic()
	topic.Topic = "__cluster_metadata"
	topic.Partitions = append(topic.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("describe the quorum: %w", err)
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		message := ""
		if resp.ErrorMessage != nil {
			message = *resp.ErrorMessage
		}
		return nil, fmt.Errorf("describe the quorum: %w", detailed(err, message))
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("describe the quorum: the answer has no partition")
	}
	if err := kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode); err != nil {
		return nil, fmt.Errorf("describe the quorum: %w", err)
	}
	q := newQuorumDescription(resp)
	brokers, err := kadm.NewClient(client).BrokerMetadata(ctx)
	if err != nil {
		return nil, err
	}
	q.ClusterID = brokers.Cluster
	return q, nil
}

// newQuorumDescription reads an answer that describes one partition.
func newQuorumDescription(resp *kmsg.DescribeQuorumResponse) *quorumDescription {
	p := &resp.Topics[0].Partitions[0]
	q := &quorumDescription{
		LeaderID: p.LeaderID, LeaderEpoch: p.LeaderEpoch, HighWatermark: p.HighWatermark,
	}
	q.Voters = quorumReplicas(p.CurrentVoters, resp)
	q.Observers = quorumReplicas(p.Observers, resp)
	if len(q.Voters) == 0 {
		return q
	}
	behind := &q.Voters[0]
	for i := range q.Voters {
		if q.Voters[i].LogEndOffset < behind.LogEndOffset {
			behind = &q.Voters[i]
		}
	}
	q.MaxFollowerLag, q.MaxFollowerLagTimeMs = behind.Lag, -1
	leader := slices.IndexFunc(q.Voters, func(r quorumReplica) bool { return r.ID == q.LeaderID })
	if leader < 0 {
		return q
	}
	caughtUp := q.Voters[leader].LastCaughtUpTimestamp
	switch {
	case behind.Lag == 0:
		q.MaxFollowerLagTimeMs = 0
	case caughtUp >= 0 && behind.LastCaughtUpTimestamp >= 0:
		q.MaxFollowerLagTimeMs = caughtUp - behind.LastCaughtUpTimestamp
	}
	return q
}

// quorumReplicas reads copies of the log, with their endpoints and how far they are behind.
func quorumReplicas(
	states []kmsg.DescribeQuorumResponseTopicPartitionReplicaState,
	resp *kmsg.DescribeQuorumResponse,
) []quorumReplica {
	p := &resp.Topics[0].Partitions[0]
	end := p.HighWatermark // the leader's log has it, at least
	for i := range p.CurrentVoters {
		if p.CurrentVoters[i].ReplicaID == p.LeaderID {
			end = p.CurrentVoters[i].LogEndOffset
		}
	}
	replicas := []quorumReplica{}
	for i := range states {
		s := &states[i]
		r := quorumReplica{
			ID: s.ReplicaID, LogEndOffset: s.LogEndOffset, Lag: end - s.LogEndOffset,
			LastFetchTimestamp:    s.LastFetchTimestamp,
			LastCaughtUpTimestamp: s.LastCaughtUpTimestamp,
		}
		if s.ReplicaDirectoryID != [16]byte{} {
			r.DirectoryID = uuid(s.ReplicaDirectoryID)
		}
		for j := range resp.Nodes {
			if resp.Nodes[j].NodeID != s.ReplicaID {
				continue
			}
			for _, l := range resp.Nodes[j].Listeners {
				r.Endpoints = append(r.Endpoints,
					l.Name+"://"+net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port))))
			}
		}
		replicas = append(replicas, r)
	}
	slices.SortFunc(replicas, func(a, b quorumReplica) int { return int(a.ID) - int(b.ID) })
	return replicas
}

// printStatus prints what kafka-metadata-quorum describe --status does.
func (q *quorumDescription) printStatus(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, line := range []struct {
		name  string
		value any
	}{
		{"ClusterId", q.ClusterID},
		{"LeaderId", q.LeaderID},
		{"LeaderEpoch", q.LeaderEpoch},
		{"HighWatermark", q.HighWatermark},
		{"MaxFollowerLag", q.MaxFollowerLag},
		{"MaxFollowerLagTimeMs", q.MaxFollowerLagTimeMs},
		{"CurrentVoters", identities(q.Voters)},
		{"CurrentObservers", identities(q.Observers)},
	} {
		fmt.Fprintf(table, "%s:\t%v\n", line.name, line.value)
	}
	return table.Flush()
}

// identities lists ids, directories and endpoints as Kafka's tool does.
func identities(replicas []quorumReplica) string {
	list := make([]string, len(replicas))
	for i, r := range replicas {
		directory := "null"
		if r.DirectoryID != "" {
			directory = strconv.Quote(r.DirectoryID)
		}
		list[i] = fmt.Sprintf(`{"id": %d, "directoryId": %s`, r.ID, directory)
		if len(r.Endpoints) > 0 {
			list[i] += `, "endpoints": ["` + strings.Join(r.Endpoints, `", "`) + `"]`
		}
		list[i] += "}"
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// timestamps gives the way to print an instant in milliseconds, -1 for none.
func timestamps(human bool, now time.Time) func(int64) string {
	return func(ms int64) string {
		if !human || ms < 0 {
			return strconv.FormatInt(ms, 10)
		}
		return fmt.Sprintf("%d ms ago", now.UnixMilli()-ms)
	}
}

// printReplication prints what kafka-metadata-quorum describe --replication does.
func (q *quorumDescription) printReplication(out io.Writer, instant func(int64) string) error {
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "NodeId\tDirectoryId\tLogEndOffset\tLag\tLastFetchTimestamp\t"+
		"LastCaughtUpTimestamp\tStatus")
	section := func(status string, replicas []quorumReplica) {
		for _, r := range replicas {
			directory := r.DirectoryID
			if directory == "" {
				directory = uuid([16]byte{})
			}
			fmt.Fprintf(table, "%d\t%s\t%d\t%d\t%s\t%s\t%s\n", r.ID, directory, r.LogEndOffset,
				r.Lag, instant(r.LastFetchTimestamp), instant(r.LastCaughtUpTimestamp), status)
		}
	}
	leads := func(r quorumReplica) bool { return r.ID == q.LeaderID }
	follows := func(r quorumReplica) bool { return !leads(r) }
	section("Leader", slices.DeleteFunc(slices.Clone(q.Voters), follows))
	section("Follower", slices.DeleteFunc(slices.Clone(q.Voters), leads))
	section("Observer", q.Observers)
	return table.Flush()
}
